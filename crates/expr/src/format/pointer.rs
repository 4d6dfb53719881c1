//! Pointers, references, functions, and the strings they point to.

use std::fmt::Write as _;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::types::{BaseKind, Type, TypeKind};

use super::number::unsigned;
use super::{Context, Formatter, Letter, quote, type_name};
use crate::layout;

impl Formatter<'_> {
    pub(super) fn pointer(
        &mut self,
        ty: &Arc<Type>,
        stripped: &Type,
        bytes: &[u8],
        context: Context,
    ) {
        let address = VirtAddr::new(unsigned(bytes) as u64);
        let letter = self.options.letter.filter(|letter| *letter != Letter::Text);
        if let Some(letter) = letter
            && self.by_letter(letter, BaseKind::Unsigned, bytes)
        {
            return;
        }
        let target = self.target(stripped);
        let is_text = target.as_ref().is_some_and(|target| self.is_text(target));
        if context.top && self.options.pointer_types && !is_text {
            let _ = write!(self.out, "({}) ", type_name(ty, self.scope));
        }
        self.address(address);
        if let Some(target) = target {
            self.text_at(address, &target);
        }
    }

    /// The text at an address of characters, behind a blank.
    pub(super) fn text_at(&mut self, address: VirtAddr, character: &Arc<Type>) {
        if address.get() == 0 || !self.is_text(character) {
            return;
        }
        self.out.push(' ');
        let width = self.scope.strip(character).ok().and_then(|stripped| stripped.size);
        match (self.wide_prefix(character), width) {
            (Some(prefix), Some(width @ (2 | 4))) => {
                self.wide_string(address, width as usize, prefix);
            }
            _ => self.c_string(address),
        }
    }

    /// What a pointer points to.
    fn target(&self, pointer: &Type) -> Option<Arc<Type>> {
        let TypeKind::Pointer { target: Some(link), .. } = &pointer.kind else { return None };
        self.scope.follow(link).ok()
    }

    /// Whether a pointer to such shows the text there.
    fn is_text(&self, character: &Arc<Type>) -> bool {
        self.wide_prefix(character).is_some()
            || self.scope.strip(character).is_ok_and(|stripped| is_c_text(&stripped))
    }

    fn c_string(&mut self, address: VirtAddr) {
        let max = self.options.max_elements;
        match self.memory.read_c_string(address, max.saturating_add(1)) {
            Ok(text) => self.out.push_str(&quote::string(&text, max, false)),
            Err(error) => {
                let _ = write!(self.out, "<error: {error}>");
            }
        }
    }

    /// A C++ reference shows what it refers to, in whatever format; a Rust one
    /// is a pointer.
    pub(super) fn reference(
        &mut self,
        ty: &Arc<Type>,
        stripped: &Type,
        bytes: &[u8],
        context: Context,
    ) {
        if stripped.name.starts_with('&') {
            return self.pointer(ty, stripped, bytes, context);
        }
        let address = VirtAddr::new(unsigned(bytes) as u64);
        let target = self.target(stripped).and_then(|target| self.scope.strip(&target).ok());
        let by_view = target.as_ref().is_some_and(|target| self.has_view(target));
        if !by_view {
            if context.top && self.options.pointer_types {
                let _ = write!(self.out, "({}) ", type_name(ty, self.scope));
            }
            let _ = write!(self.out, "@{address}");
        }
        let Some(target) = target.filter(|_| context.top || by_view) else { return };
        if !by_view {
            self.out.push_str(": ");
        }
        let size = usize::try_from(target.size.unwrap_or(0)).unwrap_or(usize::MAX);
        if size as u64 > crate::limits::MAX_VALUE {
            return self.note("too large");
        }
        let mut bytes = vec![0; size];
        match self.memory.read_exact(address, &mut bytes) {
            Ok(()) => {
                let inside = Context { at: Some(address), offset: None, top: false, ..context };
                self.value(&target, &bytes, inside);
            }
            Err(error) => self.note(&format!("error: {error}")),
        }
    }

    /// A function, whose bytes are its address.
    pub(super) fn function(&mut self, ty: &Arc<Type>, bytes: &[u8]) {
        let _ = write!(self.out, "{{{}}} ", type_name(ty, self.scope));
        self.address(VirtAddr::new(unsigned(bytes) as u64));
    }
}

/// Whether a pointer to this shows the string there: C's characters, but not
/// Rust's `u8`.
pub(super) fn is_c_text(ty: &Type) -> bool {
    let named_byte = matches!(ty.name.as_str(), "u8" | "i8");
    layout::is_text_byte(ty)
        && !named_byte
        && !matches!(ty.kind, TypeKind::Base(BaseKind::Signed | BaseKind::Unsigned))
}
