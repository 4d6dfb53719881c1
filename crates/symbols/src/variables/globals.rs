//! Variables that are visible everywhere, and the names of enumerations.

use std::collections::BTreeSet;
use std::sync::Arc;

use gimli::constants as dw;
use trapline_core::location::Place;
use trapline_core::types::{Type, TypeKind, TypeLink};

use super::place_of;
use crate::Image;
use crate::index::{NameKind, Named};
use crate::location::{Doing, Scene};
use crate::names::{self, Pattern};
use crate::near::{Distance, Near, is_external};
use crate::types::die::Die;
use crate::types::{type_at_entry, type_link};

/// A variable outside of functions, or a static member of a class.
#[derive(Clone, PartialEq, Debug)]
pub struct Global {
    /// Its name with all scopes, `ns::Class::member`.
    pub name: String,
    /// The name linkers know it by, where that is another.
    pub linkage_name: Option<String>,
    /// Its type.
    pub ty: TypeLink,
    /// Where it is; addresses are not relocated.
    pub place: Place,
    /// The source file whose compilation made it.
    pub file: Option<String>,
    /// Whether other files can refer to it.
    pub external: bool,
}

impl Global {
    /// Whether it has neither a place nor a value.
    pub fn is_nowhere(&self) -> bool {
        matches!(self.place, Place::Unavailable(_))
    }
}

impl Image {
    /// The global variables that a name or a path means: globals, statics of
    /// any file, of namespaces and of classes, Rust statics, thread-local
    /// ones. Those named in full come first.
    pub fn globals_named(&self, name: &str) -> Vec<Global> {
        let Some(pattern) = Pattern::new(name, false) else { return Vec::new() };
        let named = self.named(pattern.key(), NameKind::Global);
        let meant = named.filter(|entry| pattern.matches(entry.outward()));
        let mut found = self.globals_among(meant);
        found.sort_by_key(|global| global.name != name.trim_start_matches("::"));
        found
    }

    /// Those of them that the name can mean at a place, the nearest first: no
    /// statics of other files. What is nowhere in its own file is among them,
    /// and hides what others have.
    pub fn globals_near(&self, name: &str, near: &Near) -> Vec<(Distance, Global)> {
        let Some(pattern) = Pattern::new(name, false) else { return Vec::new() };
        let mut meant: Vec<_> = self
            .named_near(pattern.key(), NameKind::Global, Some(near))
            .filter(|entry| pattern.matches(entry.outward()))
            .filter_map(|entry| {
                let unit = entry.die().unit;
                Some((near.distance(&pattern, entry.outward(), unit)?, entry))
            })
            .filter(|(distance, entry)| {
                !distance.is_elsewhere() || self.is_seen_outside(entry.die())
            })
            .collect();
        meant.sort_by_key(|(distance, _)| *distance);
        let of = |(distance, entry)| {
            self.globals_among(std::iter::once(entry)).into_iter().map(move |it| (distance, it))
        };
        let mut found: Vec<(Distance, Global)> = meant
            .into_iter()
            .flat_map(of)
            .filter(|(distance, global)| !(global.is_nowhere() && distance.is_elsewhere()))
            .collect();
        found.sort_by_key(|(distance, global)| (*distance, global.is_nowhere()));
        found
    }

    /// The type that a variable is declared with which another file defines, or
    /// nobody; in one unit, or in any.
    pub fn declared_global(&self, name: &str, within: Option<&Near>) -> Option<TypeLink> {
        let pattern = Pattern::new(name, false)?;
        let declared = |entry: Named<'_>| {
            let die = Die::open(self.units(), entry.die())?;
            let is_meant = pattern.matches(entry.outward()) && is_external(&die);
            die.type_reference().filter(|_| is_meant).map(|ty| type_link(self.module(), ty))
        };
        let (key, kind) = (pattern.key(), NameKind::Global);
        match within {
            Some(near) => self.names_of(near.unit)?.named(key, kind).find_map(declared),
            None => self.named(key, kind).find_map(declared),
        }
    }

    fn globals_among<'a>(&self, meant: impl Iterator<Item = Named<'a>>) -> Vec<Global> {
        let mut found: Vec<Global> = Vec::new();
        for global in meant.flat_map(|entry| self.globals_of(entry)) {
            // A declaration and its definition lead to the same variable.
            if !found.iter().any(|known| known.name == global.name && known.place == global.place) {
                found.push(global);
            }
        }
        found
    }

    /// Names of globals that start with `prefix` (in their last component or
    /// in full), sorted, at most `limit`.
    pub fn global_names(&self, prefix: &str, limit: usize) -> Vec<String> {
        let mut found = BTreeSet::new();
        for name in self.all_named(NameKind::Global) {
            let full = name.qualified();
            if name.text().starts_with(prefix) || full.starts_with(prefix) {
                found.insert(full);
            }
            if found.len() > limit {
                found.pop_last();
            }
        }
        found.into_iter().collect()
    }

    /// The constant that an enumerator's name means (`RED`, `Color::Red`), with
    /// its enumeration.
    pub fn enumerator_named(&self, name: &str) -> Option<(Arc<Type>, i128)> {
        let pattern = Pattern::new(name, false)?;
        let named = self.named(pattern.key(), NameKind::Enumerator);
        let mut named = named.filter(|entry| pattern.len() > 1 || !entry.is_in_function());
        named.find_map(|entry| self.enumerator(&pattern, entry))
    }

    /// The one that the name means at a place.
    pub fn enumerator_near(
        &self,
        name: &str,
        near: &Near,
    ) -> Option<(Distance, (Arc<Type>, i128))> {
        let pattern = Pattern::new(name, false)?;
        let meant = |entry: Named<'_>| {
            let entry = Some(entry).filter(|entry| !entry.is_in_block(1))?;
            let (ty, value) = self.enumerator(&pattern, entry)?;
            // The names of an enumeration that is no class are those of the scope
            // around it.
            let lent = !ty.name.is_empty() && !is_class(&ty);
            let outward = entry.outward().enumerate().filter(|(at, _)| !(lent && *at == 1));
            let outward = outward.map(|(_, component)| component);
            Some((near.distance(&pattern, outward, entry.die().unit)?, (ty, value)))
        };
        // Of other units, which may be many, any that is visible does.
        let kind = NameKind::Enumerator;
        let own = self.names_of(near.unit).into_iter();
        let own = own.flat_map(|unit| unit.named(pattern.key(), kind)).filter_map(meant);
        own.min_by_key(|(distance, _)| *distance)
            .or_else(|| self.named(pattern.key(), kind).find_map(meant))
    }

    /// What an enumerator is, when the pattern means it.
    fn enumerator(&self, pattern: &Pattern, entry: Named<'_>) -> Option<(Arc<Type>, i128)> {
        let ty = self.enumeration_of(entry)?;
        let TypeKind::Enum { enumerators, scope, .. } = &ty.kind else { return None };
        let found = enumerators.iter().find(|known| known.name == entry.text())?;
        // `Class::RED` and `Class::Color::RED` are one name.
        let outside = format!("{scope}{}", found.name);
        let meant =
            pattern.matches(entry.outward()) || pattern.matches_path(names::components(&outside));
        meant.then(|| (ty.clone(), found.value))
    }

    fn enumeration_of(&self, enumerator: Named<'_>) -> Option<Arc<Type>> {
        let at = enumerator.die();
        let scopes = self.values.scopes.of(self.units(), at.unit);
        let holder = Die::open(self.units(), scopes.holder(at)?)?;
        (holder.tag() == dw::DW_TAG_enumeration_type)
            .then(|| type_at_entry(self, holder.at).ok())?
    }

    /// The variables behind an entry of the index: itself when it says where
    /// it is, else the definitions of what it declares.
    fn globals_of(&self, entry: Named<'_>) -> Vec<Global> {
        let Some(die) = Die::open(self.units(), entry.die()) else { return Vec::new() };
        let name = entry.qualified();
        if die.has(dw::DW_AT_location) {
            return self.global(&die, &name).into_iter().collect();
        }
        let definitions =
            self.instances(&[die.at]).into_iter().filter_map(|at| Die::open(self.units(), at));
        let mut found: Vec<Global> = definitions
            .filter(|definition| definition.has(dw::DW_AT_location))
            .filter_map(|definition| self.global(&definition, &name))
            .collect();
        // What other files cannot define is here or nowhere.
        let is_all = die.has(dw::DW_AT_const_value) || !is_external(&die);
        if found.is_empty() && is_all {
            found.extend(self.global(&die, &name));
        }
        found
    }

    /// Where what an entry says of a variable outside of functions leads.
    pub(super) fn place_outside(&self, die: &Die<'_>) -> Place {
        let scene = Scene {
            doing: Doing::Running,
            behind: 0,
            unit: Some((self.units(), die.at.unit)),
            encoding: die.unit.encoding(),
            module: self.module(),
            cfa: None,
            frame_base: None,
        };
        place_of(die, None, scene)
    }

    fn global(&self, die: &Die<'_>, name: &str) -> Option<Global> {
        Some(Global {
            name: name.to_owned(),
            linkage_name: die.inherited(|die| die.text(dw::DW_AT_linkage_name)),
            ty: type_link(self.module(), die.inherited(Die::type_reference)?),
            place: self.place_outside(die),
            file: die.unit.name.map(|file| file.to_string_lossy().into_owned()),
            external: is_external(die),
        })
    }
}

/// Whether the names of an enumeration are in a scope of their own.
fn is_class(ty: &Type) -> bool {
    let TypeKind::Enum { scope, .. } = &ty.kind else { return false };
    scope.strip_suffix("::") == Some(&ty.name)
}
