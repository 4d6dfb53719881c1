//! Arrays and records.

use std::fmt::Write as _;
use std::mem::take;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::types::{
    BaseKind, BitField, Language, Member, Own, Record, RecordFlavour, Type, TypeKind, TypeLink,
    VirtualBase,
};

use super::number::{signed, unsigned};
use super::pointer::is_c_text;
use crate::limits;

use super::{Context, Formatter, Letter, OPTIMIZED_OUT, Present, quote};

impl Formatter<'_> {
    pub(super) fn array(
        &mut self,
        brackets: [char; 2],
        element: &TypeLink,
        count: Option<u64>,
        bytes: &[u8],
        context: Context,
    ) {
        let resolved = self.scope.follow(element).and_then(|ty| {
            let stripped = self.scope.strip(&ty)?;
            Ok((ty, stripped))
        });
        let (ty, stripped) = match resolved {
            Ok(both) => both,
            Err(why) => return self.note(&why),
        };
        let is_rust = brackets[0] == '[';
        if bytes.is_empty()
            && !is_rust
            && let Some(at) = context.at
        {
            return self.open_array(&ty, at);
        }
        let as_text = matches!(self.options.letter, None | Some(Letter::Text));
        let whole = self.present(context, bytes.len()) == Present::All;
        if whole && as_text && is_c_text(&stripped) {
            return self.char_array(bytes);
        }
        let size = usize::try_from(stripped.size.unwrap_or(0)).unwrap_or(0);
        if let (Some(prefix), 2 | 4) = (self.wide_prefix(&ty).filter(|_| whole && as_text), size) {
            return self.wide_array(bytes, size, prefix);
        }
        let count = usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
        let fitting = count.min(bytes.len().checked_div(size).unwrap_or(0));
        if context.depth >= self.options.depth {
            return self.out.push_str("{...}");
        }
        self.out.push(brackets[0]);
        if size == 0 && is_rust {
            self.empty_elements(&ty, count, context);
        } else {
            self.elements(&ty, &bytes[..fitting * size], size, context);
        }
        self.out.push(brackets[1]);
    }

    /// An array of no length, which goes on for as long as the program knows:
    /// where it begins, and the text there.
    fn open_array(&mut self, element: &Arc<Type>, at: VirtAddr) {
        let letter = self.options.letter.filter(|letter| *letter != Letter::Text);
        if let Some(letter) = letter
            && self.by_letter(letter, BaseKind::Unsigned, &at.get().to_le_bytes())
        {
            return;
        }
        self.address(at);
        self.text_at(at, element);
    }

    /// Elements without bytes, such as Rust's `()`.
    fn empty_elements(&mut self, ty: &Arc<Type>, count: usize, context: Context) {
        let counted = count > quote::REPEATS;
        for index in 0..if counted { 1 } else { count } {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.value(ty, &[], context.inside(0));
        }
        if counted {
            let _ = write!(self.out, " <repeats {count} times>");
        }
    }

    /// Elements between commas, equal ones counted.
    fn elements(&mut self, ty: &Arc<Type>, bytes: &[u8], size: usize, context: Context) {
        let whole = self.present(context, bytes.len()) == Present::All;
        let mut chunks = bytes.chunks_exact(size.max(1)).enumerate().peekable();
        let mut printed = 0;
        while let Some((index, chunk)) = chunks.next() {
            if index > 0 {
                self.out.push_str(", ");
            }
            if printed >= self.options.max_elements {
                // gdb ends a cut list without the last comma.
                self.out.truncate(self.out.len() - 2);
                return self.out.push_str("...");
            }
            let mut run = 1;
            let rest = &bytes[(index + 1) * size..];
            let equal = rest.chunks_exact(size).take_while(|next| whole && *next == chunk).count();
            self.value(ty, chunk, context.inside((index * size) as u64));
            if equal >= quote::REPEATS {
                run += equal;
                for _ in 0..equal {
                    chunks.next();
                }
                let _ = write!(self.out, " <repeats {run} times>");
            }
            printed += 1;
        }
    }

    /// A `char` array; its terminator does not show.
    fn char_array(&mut self, bytes: &[u8]) {
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        self.out.push_str(&quote::string(text, self.options.max_elements, false));
    }

    pub(super) fn record(
        &mut self,
        ty: &Arc<Type>,
        record: &Record,
        bytes: &[u8],
        context: Context,
    ) {
        if record.declaration {
            return self.note("incomplete type");
        }
        let by_parts = !matches!(record.flavour, RecordFlavour::Variants { .. });
        let whole = self.present(context, bytes.len()) == Present::All;
        if !whole && !by_parts {
            return self.note(OPTIMIZED_OUT);
        }
        let (around, is_static) = (self.shown.statics.len(), take(&mut self.shown.is_static));
        if !self.by_view(ty, bytes, context) {
            self.record_as_it_is(ty, record, bytes, context);
        }
        if !is_static {
            self.shown.statics.truncate(around);
        }
    }

    pub(super) fn record_as_it_is(
        &mut self,
        ty: &Type,
        record: &Record,
        bytes: &[u8],
        context: Context,
    ) {
        if context.depth >= self.options.depth {
            return self.out.push_str("{...}");
        }
        match &record.flavour {
            RecordFlavour::Variants { discriminant } => {
                self.variants(ty, record, discriminant.as_deref(), bytes, context);
            }
            _ if record.language == Language::Rust => self.rust(&ty.name, record, bytes, context),
            _ => self.members(record, bytes, context),
        }
    }

    fn members(&mut self, record: &Record, bytes: &[u8], context: Context) {
        self.out.push('{');
        let mut parts = 0;
        for base in &record.virtual_bases {
            let at = self.place_of_virtual_base(base, bytes, context);
            // One that several classes of the object share is shown with the
            // first.
            if at.is_some_and(|at| self.shown.virtual_bases.contains(&at)) {
                continue;
            }
            self.separate(parts, context);
            self.virtual_base(base, at, context);
            parts += 1;
        }
        for base in record.members.iter().filter(|member| member.base_class) {
            self.separate(parts, context);
            self.base_class(base, bytes, context);
            parts += 1;
        }
        let joint = if record.language == Language::Rust { ": " } else { " = " };
        let own = record.in_order();
        for each in &own {
            self.separate(parts, context);
            match each {
                Own::Data(member) => self.named_member(member, joint, bytes, context),
                Own::Static(member) => self.static_member(member, context),
            }
            parts += 1;
        }
        if own.is_empty() {
            self.separate(parts, context);
            self.out.push_str("<No data fields>");
        }
        if self.options.pretty {
            self.new_line(context.depth);
        }
        self.out.push('}');
    }

    fn base_class(&mut self, base: &Member, bytes: &[u8], context: Context) {
        let ty = self.scope.follow(&base.ty);
        let _ = write!(self.out, "<{}> = ", ty.as_ref().map_or("", |ty| &ty.name));
        let is_empty =
            |ty: &Type| matches!(&ty.kind, TypeKind::Record(record) if record.is_empty());
        if ty.and_then(|ty| self.scope.strip(&ty)).is_ok_and(|ty| is_empty(&ty)) {
            self.out.push_str("{<No data fields>}");
        } else {
            self.member(base, bytes, context);
        }
    }

    fn named_member(&mut self, member: &Member, joint: &str, bytes: &[u8], context: Context) {
        if !member.name.is_empty() {
            let _ = write!(self.out, "{}{joint}", member.name);
        }
        self.member(member, bytes, context);
    }

    /// A virtual base class, wherever the object has it.
    fn virtual_base(&mut self, base: &VirtualBase, at: Option<VirtAddr>, context: Context) {
        let ty = self.scope.follow(&base.ty);
        let name = ty.as_ref().map_or("", |ty| &ty.name);
        let _ = write!(self.out, "<{name}> = ");
        let Ok(ty) = ty else { return self.note("unknown type") };
        let Some(at) = at else { return self.note("virtual base") };
        self.shown.virtual_bases.push(at);
        let size = self.scope.strip(&ty).ok().and_then(|ty| ty.size).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(size.min(limits::MAX_VALUE)).unwrap_or(0)];
        match self.memory.read_exact(at, &mut bytes) {
            Ok(()) => {
                let inside = Context { at: Some(at), offset: None, ..context.inside(0) };
                self.value(&ty, &bytes, inside);
            }
            Err(error) => self.note(&format!("error: {error}")),
        }
    }

    /// Itanium C++ ABI, 2.4: where the vtable says.
    fn place_of_virtual_base(
        &self,
        base: &VirtualBase,
        bytes: &[u8],
        context: Context,
    ) -> Option<VirtAddr> {
        let table = VirtAddr::new(unsigned(bytes.get(..8)?) as u64);
        let mut distance = [0; 8];
        let slot = table.wrapping_offset(base.slot?);
        self.memory.read_exact(slot, &mut distance).ok()?;
        Some(context.at?.wrapping_offset(i64::from_le_bytes(distance)))
    }

    pub(super) fn separate(&mut self, index: usize, context: Context) {
        if index > 0 {
            self.out.push(',');
        }
        if self.options.pretty {
            self.new_line(context.depth + 1);
        } else if index > 0 {
            self.out.push(' ');
        }
    }

    pub(super) fn new_line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(depth));
    }

    /// The value of one member of a record's bytes.
    fn member(&mut self, member: &Member, bytes: &[u8], context: Context) {
        let ty = match self.scope.follow(&member.ty) {
            Ok(ty) => ty,
            Err(why) => return self.note(&why),
        };
        let size = self.scope.strip(&ty).ok().and_then(|stripped| stripped.size);
        let Some(mine) = part(bytes, member.offset, size) else {
            return self.note("outside the record");
        };
        let inside = context.inside(member.offset);
        match member.bits {
            None => self.value(&ty, mine, inside),
            Some(field) => {
                let (first, last) = (field.shift / 8, (field.shift + field.width).div_ceil(8));
                let place = context.inside(member.offset + u64::from(first));
                if self.present(place, usize::try_from(last - first).unwrap_or(0)) != Present::All {
                    return self.note(OPTIMIZED_OUT);
                }
                let inside = Context { offset: None, ..inside };
                let taken = bits(mine, field, self.is_signed(&ty));
                self.value(&ty, &taken[..mine.len().min(16)], inside);
            }
        }
    }

    fn is_signed(&self, ty: &Arc<Type>) -> bool {
        self.scope.strip(ty).is_ok_and(|stripped| {
            matches!(
                stripped.kind,
                TypeKind::Base(BaseKind::Signed | BaseKind::SignedChar)
                    | TypeKind::Enum { signed: true, .. }
            )
        })
    }

    /// `Name`, `Name(a, b)` or `Name {a: 1, b: 2}`; a tuple has no name.
    fn rust(&mut self, name: &str, record: &Record, bytes: &[u8], context: Context) {
        let is_tuple = is_tuple(record);
        let name = if name.starts_with('(') { "" } else { without_arguments(short_name(name)) };
        self.out.push_str(name);
        if record.members.is_empty() {
            return;
        }
        if !is_tuple {
            self.out.push_str(if name.is_empty() { "" } else { " " });
            return self.members(record, bytes, context);
        }
        self.out.push('(');
        for (index, member) in record.members.iter().enumerate() {
            if index > 0 {
                self.out.push_str(", ");
            }
            self.member(member, bytes, context);
        }
        self.out.push(')');
    }

    /// The live variant of a sum type: `Some(5)`, `Point{x: 1}`'s like.
    fn variants(
        &mut self,
        ty: &Type,
        record: &Record,
        discriminant: Option<&Member>,
        bytes: &[u8],
        context: Context,
    ) {
        let selected = match discriminant {
            None => record.members.first(),
            Some(member) => match self.discriminant(member, bytes) {
                Some(values) => live(record, values),
                None => None,
            },
        };
        let Some(variant) = selected else {
            return self.note(&format!("{} without a live variant", ty.name));
        };
        let inner = self.scope.follow(&variant.ty).and_then(|ty| self.scope.strip(&ty));
        let inner = match inner {
            Ok(inner) => inner,
            Err(why) => return self.note(&why),
        };
        let Some(mine) = part(bytes, variant.offset, inner.size) else {
            return self.note("outside the record");
        };
        let name = variant_name(variant, &inner);
        match &inner.kind {
            TypeKind::Record(fields) => self.rust(name, fields, mine, context),
            _ => self.parenthesised(name, &inner, mine, context),
        }
    }

    fn parenthesised(&mut self, name: &str, ty: &Arc<Type>, bytes: &[u8], context: Context) {
        let _ = write!(self.out, "{}(", short_name(name));
        self.value(ty, bytes, context.inside(0));
        self.out.push(')');
    }

    /// The discriminant read as unsigned and as signed.
    fn discriminant(&self, member: &Member, bytes: &[u8]) -> Option<(i128, i128)> {
        let ty = self.scope.follow(&member.ty).and_then(|ty| self.scope.strip(&ty)).ok()?;
        let mine = part(bytes, member.offset, ty.size)?;
        Some((unsigned(mine).cast_signed(), signed(mine)))
    }
}

/// The variant that a discriminant selects, or the one chosen by default.
fn live(record: &Record, (unsigned, signed): (i128, i128)) -> Option<&Member> {
    let selects = |member: &&Member| {
        member
            .variant
            .as_ref()
            .is_some_and(|values| values.contains(&unsigned) || values.contains(&signed))
    };
    let default = |member: &&Member| member.variant.as_ref().is_none_or(|values| values.is_empty());
    record.members.iter().find(selects).or_else(|| record.members.iter().find(default))
}

/// What a variant is called: the states of Rust's futures are members with
/// numbers, and types with names.
pub(super) fn variant_name<'a>(variant: &'a Member, inner: &'a Type) -> &'a str {
    let is_number = variant.name.chars().all(|c| c.is_ascii_digit());
    if is_number && !inner.name.is_empty() { &inner.name } else { &variant.name }
}

/// Whether the members are numbered as Rust numbers a tuple's: `__0`, `__1`.
pub(super) fn is_tuple(record: &Record) -> bool {
    !record.members.is_empty()
        && record.members.iter().enumerate().all(|(index, member)| {
            member.name.strip_prefix("__") == Some(index.to_string().as_str())
        })
}

/// A path's last name, generic arguments kept.
pub(super) fn short_name(name: &str) -> &str {
    let (mut inside, mut start, mut before) = (0_usize, 0, ' ');
    for (at, c) in name.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => inside += 1,
            // Not that of an arrow.
            '>' if before == '-' => {}
            '>' | ')' | ']' | '}' => inside = inside.saturating_sub(1),
            ':' if before == ':' && inside == 0 => start = at + 1,
            _ => {}
        }
        before = c;
    }
    &name[start..]
}

/// A name without generic arguments.
fn without_arguments(name: &str) -> &str {
    name.find('<').map_or(name, |at| &name[..at])
}

fn part(bytes: &[u8], offset: u64, size: Option<u64>) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size.unwrap_or(0)).ok()?)?;
    bytes.get(start..end)
}

/// A bit-field's value in the bytes of its integer.
fn bits(bytes: &[u8], field: BitField, is_signed: bool) -> [u8; 16] {
    let width = field.width.clamp(1, 128);
    let unused = 128 - width;
    let low = unsigned(bytes).checked_shr(field.shift).unwrap_or(0) << unused;
    if is_signed {
        (low.cast_signed() >> unused).to_le_bytes()
    } else {
        (low >> unused).to_le_bytes()
    }
}
