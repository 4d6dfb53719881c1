//! Static members of classes, found from where a class declares them.

use gimli::constants as dw;
use trapline_core::ImageAddr;
use trapline_core::location::Place;

use crate::names::{self, ANONYMOUS, Pattern};
use crate::types::die::Die;
use crate::types::die_of;
use crate::{Image, SymbolKind};

/// What a class says of a static member of its own.
#[derive(Clone, PartialEq, Debug)]
pub enum StaticMemberPlace {
    /// Where it is; addresses are not relocated.
    Here(Place),
    /// Where a symbol of this name says, in this image or in another.
    Symbol(StaticMemberName),
}

/// The name of a static member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticMemberName {
    /// The name linkers know it by, as far as the compiler says it.
    linkage: Option<String>,
    /// Its name with all scopes.
    pub full: String,
}

impl StaticMemberName {
    /// Anonymous namespaces need not be named, and not all are.
    fn pattern(&self) -> Option<Pattern> {
        let named = names::components(&self.full).filter(|component| *component != ANONYMOUS);
        Pattern::new(&named.collect::<Vec<_>>().join("::"), true)
    }
}

impl Image {
    /// Where the static member is that an entry declares. The error is a sentence
    /// (corrupt debug information).
    pub fn static_member_at(&self, declared: u64) -> Result<StaticMemberPlace, String> {
        let die = die_of(declared)
            .and_then(|at| Die::open(self.units(), at))
            .ok_or("corrupt debug information: a class declares nothing as its member")?;
        if die.has(dw::DW_AT_location) || die.has(dw::DW_AT_const_value) {
            return Ok(StaticMemberPlace::Here(self.place_outside(&die)));
        }
        let full = self.values.scopes.qualified_name(&die).unwrap_or_default();
        // Each file has its own of those, and their symbols do not say whose.
        if names::components(&full).any(|component| component == ANONYMOUS)
            && let Some(place) = self.place_of_definition(&die)
        {
            return Ok(StaticMemberPlace::Here(place));
        }
        let linkage = die.text(dw::DW_AT_linkage_name);
        Ok(StaticMemberPlace::Symbol(StaticMemberName { linkage, full }))
    }

    fn place_of_definition(&self, declared: &Die<'_>) -> Option<Place> {
        let definitions = self.instances(&[declared.at]).into_iter();
        let mut definitions = definitions.filter_map(|at| Die::open(self.units(), at));
        let definition = definitions.find(|it| it.has(dw::DW_AT_location))?;
        Some(self.place_outside(&definition))
    }

    /// Where this image has a static member. The symbol table leads there, which
    /// costs less than to look for the entry that defines it.
    pub fn static_member_named(&self, name: &StaticMemberName) -> Option<ImageAddr> {
        let pattern = name.pattern();
        let symbols = match &name.linkage {
            Some(linkage) => self.symbols_of_linkage(linkage),
            None => self.symbols_meant(&name.full, pattern.as_ref()),
        };
        let mut data = symbols.into_iter().filter_map(|symbol| self.symbol_hit(symbol));
        data.find(|symbol| symbol.kind == SymbolKind::Data).map(|symbol| symbol.start)
    }

    /// Whether each thread has its own of a static member of this image.
    pub fn is_thread_local(&self, name: &StaticMemberName) -> bool {
        let pattern = name.pattern();
        self.has_thread_local(|linkage| match (&name.linkage, &pattern) {
            (Some(known), _) => linkage == known.as_bytes(),
            (None, Some(pattern)) => crate::symbols::mangled_matches(pattern, linkage),
            (None, None) => false,
        })
    }
}
