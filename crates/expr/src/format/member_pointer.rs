//! Pointers to members of C++, by the names of what they lead to. Itanium C++
//! ABI, 2.3.

use std::fmt::Write as _;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::types::{BaseKind, Record, Type, TypeKind, TypeLink};

use super::number::{signed, unsigned};
use super::{Formatter, type_name};
use crate::layout::{NO_MEMBER, WORD};
use crate::limits;

impl Formatter<'_> {
    pub(super) fn member_pointer(
        &mut self,
        ty: &Type,
        class: Option<&TypeLink>,
        target: &TypeLink,
        bytes: &[u8],
    ) {
        let first = bytes.get(..WORD).unwrap_or(bytes);
        if let Some(letter) = self.options.letter
            && self.by_letter(letter, BaseKind::Signed, first)
        {
            return;
        }
        let target = self.scope.follow(target).and_then(|target| self.scope.strip(&target));
        match target.map(|target| matches!(target.kind, TypeKind::Function { .. })) {
            Ok(true) => self.function_pointer(ty, class, bytes),
            Ok(false) => self.data_pointer(class, signed(first)),
            Err(why) => self.note(&why),
        }
    }

    fn data_pointer(&mut self, class: Option<&TypeLink>, offset: i128) {
        if offset == i128::from(NO_MEMBER) {
            return self.out.push_str("NULL");
        }
        let name = u64::try_from(offset).ok().and_then(|offset| {
            let class = self.scope.follow(class?).ok()?;
            self.member_at(&class, offset, limits::MAX_PRINT_DEPTH)
        });
        let _ = match name {
            Some(name) => write!(self.out, "&{name}"),
            None => write!(self.out, "{offset}"),
        };
    }

    /// The member of a class that begins at an offset, of the class itself or of
    /// a base of it.
    fn member_at(&self, class: &Arc<Type>, offset: u64, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let class = self.scope.strip(class).ok()?;
        let TypeKind::Record(record) = &class.kind else { return None };
        let own =
            record.members.iter().filter(|member| !member.base_class && member.bits.is_none());
        if let Some(member) = own.clone().find(|member| member.offset == offset) {
            return Some(format!("{}::{}", class.name, member.name));
        }
        self.bases_at(record, offset)
            .find_map(|(base, within)| self.member_at(&base, within, depth))
    }

    /// The base classes around an offset, and the offset within.
    fn bases_at<'a>(
        &'a self,
        record: &'a Record,
        offset: u64,
    ) -> impl Iterator<Item = (Arc<Type>, u64)> + 'a {
        record.members.iter().filter(|member| member.base_class).filter_map(move |member| {
            let base = self.scope.follow(&member.ty).ok()?;
            let within = offset.checked_sub(member.offset)?;
            (within < base.size?).then_some((base, within))
        })
    }

    fn function_pointer(&mut self, ty: &Type, class: Option<&TypeLink>, bytes: &[u8]) {
        let word = |index: usize| bytes.get(index * WORD..(index + 1) * WORD).map(unsigned);
        let (Some(pointer), Some(adjustment)) = (word(0), word(1)) else {
            return self.note("outside the value");
        };
        let (pointer, adjustment) = (pointer as u64, adjustment as u64);
        if pointer & 1 == 0 {
            return self.plain_function(ty, pointer, adjustment);
        }
        let name = class.and_then(|link| {
            let class = self.scope.follow(link).ok()?;
            let slot = (pointer - 1) / WORD as u64;
            self.virtual_at(&class, slot, adjustment, limits::MAX_PRINT_DEPTH)
        });
        let _ = match name {
            Some(name) => write!(self.out, "&virtual {name}"),
            None => write!(self.out, "&virtual table offset {}", pointer - 1),
        };
    }

    fn plain_function(&mut self, ty: &Type, pointer: u64, adjustment: u64) {
        if pointer == 0 {
            return self.out.push_str("NULL");
        }
        let _ = write!(self.out, "({}) ", type_name(ty, self.scope));
        self.address(VirtAddr::new(pointer));
        if adjustment != 0 {
            let _ = write!(self.out, ", this adjustment {}", adjustment.cast_signed());
        }
    }

    /// The virtual function in a slot of the table that is so far in an object.
    fn virtual_at(
        &self,
        class: &Arc<Type>,
        slot: u64,
        adjustment: u64,
        depth: usize,
    ) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let class = self.scope.strip(class).ok()?;
        let TypeKind::Record(record) = &class.kind else { return None };
        let mut own = record.virtual_functions.iter().filter(|_| adjustment == 0);
        if let Some(function) = own.find(|function| function.slot == slot) {
            return Some(function.name.clone());
        }
        let mut bases = self.bases_at(record, adjustment);
        bases.find_map(|(base, within)| self.virtual_at(&base, slot, within, depth))
    }
}
