//! Static members of classes, found from where a class declares them.

use gimli::constants as dw;
use trapline_core::location::{Op, Place};

use crate::location::{OPTIMIZED_OUT, unavailable};
use crate::types::die::Die;
use crate::types::die_of;
use crate::{Image, SymbolHit, SymbolKind};

impl Image {
    /// Where the static member is that an entry declares; addresses are not
    /// relocated. The symbol table leads there, which costs less than to look
    /// for the entry that defines it. The error is a sentence (corrupt debug
    /// information).
    pub fn static_member_at(&self, declared: u64) -> Result<Place, String> {
        let die = die_of(declared)
            .and_then(|at| Die::open(self.units(), at))
            .ok_or("corrupt debug information: a class declares nothing as its member")?;
        if die.has(dw::DW_AT_location) || die.has(dw::DW_AT_const_value) {
            return Ok(self.place_outside(&die));
        }
        let full = self.values.scopes.qualified_name(&die).unwrap_or_default();
        let linkage = die.text(dw::DW_AT_linkage_name);
        let name = linkage.as_deref().unwrap_or(&full);
        let data = |symbol: &SymbolHit| symbol.kind == SymbolKind::Data;
        if let Some(symbol) = self.symbols_named(name).into_iter().find(data) {
            return Ok(Place::Memory(vec![Op::Address(symbol.start)]));
        }
        if self.is_thread_local(name) {
            let found = self.globals_named(&full).into_iter().next();
            return Ok(found.map_or_else(|| unavailable("thread-local storage"), |it| it.place));
        }
        Ok(unavailable(OPTIMIZED_OUT))
    }
}
