//! Types and enumerators that functions have of their own: their names mean
//! them in the block that declares them, and nowhere else.

use std::sync::Arc;

use gimli::constants as dw;
use trapline_core::types::{Type, TypeKind};

use super::die::Die;
use super::spelling::Wanted;
use super::{shares_names, type_offset};
use crate::Image;
use crate::near::Near;
use crate::variables::is_inside;

/// What a name means among a function's own types.
#[derive(Clone, PartialEq, Debug)]
pub enum LocalName {
    /// A type that variables share their names with.
    Type,
    /// A name of an enumeration.
    Enumerator(Arc<Type>, i128),
}

/// Blocks in one another that are looked at, and functions.
const MAX_BLOCKS: usize = 64;

impl Image {
    /// The type of a name that the innermost block around a place has, of those
    /// that have one.
    pub fn local_type(&self, name: &str, near: &Near) -> Option<Arc<Type>> {
        let wanted = Wanted::parse(name);
        let found = self.declared_locally(near, &|die| {
            let fits = wanted.keyword.is_none_or(|keyword| keyword.fits(die.tag()));
            (fits && is_named_type(die) && wanted.spellings.contains(&die.name()?)).then_some(())
        });
        found.and_then(|(die, ())| self.type_at(type_offset(die.at)).ok())
    }

    /// What a name that is no variable means in the innermost block that has it.
    pub fn local_name(&self, name: &str, near: &Near) -> Option<LocalName> {
        let found = self.declared_locally(near, &|die| {
            if is_named_type(die) && shares_names(die) && die.name().as_deref() == Some(name) {
                return Some(LocalName::Type);
            }
            let lends = die.tag() == dw::DW_TAG_enumeration_type && !die.flag(dw::DW_AT_enum_class);
            let ty = lends.then(|| self.type_at(type_offset(die.at)).ok())??;
            let TypeKind::Enum { enumerators, .. } = &ty.kind else { return None };
            let found = enumerators.iter().find(|known| known.name == name)?;
            Some(LocalName::Enumerator(ty.clone(), found.value))
        });
        found.map(|(_, found)| found)
    }

    /// The first entry that is wanted, of the innermost block that has one.
    fn declared_locally<'a, T>(
        &'a self,
        near: &Near,
        wanted: &dyn Fn(&Die<'a>) -> Option<T>,
    ) -> Option<(Die<'a>, T)> {
        let function = Die::open(self.units(), near.function())?;
        let pc = near.address().get();
        let own = blocks(&function, &|child, _| is_inside(child, pc) && is_plain_block(child));
        first_in(own, wanted).or_else(|| {
            // A closure sees what is around it.
            let closure = function.declared_at();
            let around = self.values.scopes.function_around(self.units(), closure)?;
            let around = Die::open(self.units(), around).filter(|die| die.at != closure)?;
            let holds = |child: &Die<'_>, next: Option<&Die<'_>>| {
                let start = child.at.offset.0;
                let end = next.map_or(usize::MAX, |next| next.at.offset.0);
                is_plain_block(child) && (start..end).contains(&closure.offset.0)
            };
            first_in(blocks(&around, &holds), wanted)
        })
    }
}

/// A function and the blocks within it that hold something, innermost first.
/// `holds` is told of a child and of the one behind it.
fn blocks<'a>(
    function: &Die<'a>,
    holds: &dyn Fn(&Die<'a>, Option<&Die<'a>>) -> bool,
) -> Vec<Vec<Die<'a>>> {
    let parts = |die: &Die<'a>| (die.children(), die.follow(dw::DW_AT_abstract_origin));
    let (mut found, mut open) = (Vec::new(), vec![parts(function)]);
    while let Some((mut children, whole)) = open.pop().filter(|_| found.len() < MAX_BLOCKS) {
        for (at, child) in children.iter().enumerate() {
            if holds(child, children.get(at + 1)) {
                open.push(parts(child));
            }
        }
        children.extend(whole.map(|whole| whole.children()).unwrap_or_default());
        found.push(children);
    }
    found.reverse();
    found
}

fn first_in<'a, T>(
    blocks: Vec<Vec<Die<'a>>>,
    wanted: &dyn Fn(&Die<'a>) -> Option<T>,
) -> Option<(Die<'a>, T)> {
    blocks.into_iter().flatten().find_map(|die| wanted(&die).map(|found| (die, found)))
}

fn is_plain_block(die: &Die<'_>) -> bool {
    matches!(die.tag(), dw::DW_TAG_lexical_block | dw::DW_TAG_try_block | dw::DW_TAG_catch_block)
}

/// Whether an entry gives a type a name here.
fn is_named_type(die: &Die<'_>) -> bool {
    !die.flag(dw::DW_AT_declaration)
        && matches!(
            die.tag(),
            dw::DW_TAG_structure_type
                | dw::DW_TAG_class_type
                | dw::DW_TAG_union_type
                | dw::DW_TAG_enumeration_type
                | dw::DW_TAG_typedef
        )
}
