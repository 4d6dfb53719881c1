//! Static members among those of an object.

use std::fmt::Write as _;

use trapline_core::VirtAddr;
use trapline_core::location::{Op, Place};
use trapline_core::types::{StaticMember, TypeKind};

use super::{Context, Formatter, format_unavailable};
use crate::limits;

impl Formatter<'_> {
    pub(super) fn static_member(&mut self, member: &StaticMember, context: Context) {
        let _ = write!(self.out, "static {} = ", member.name);
        let place = match self.scope.static_member(member.declared) {
            Ok(place) => place,
            Err(why) => return self.note(&why),
        };
        match place {
            Place::Memory(program) => match program[..] {
                [Op::Const(address)] => self.static_at(member, VirtAddr::new(address), context),
                // Each thread has its own.
                _ => self.note("thread-local storage"),
            },
            Place::Value(program) => match program[..] {
                [Op::Const(value)] => {
                    self.static_bytes(member, &value.to_le_bytes(), None, context)
                }
                _ => self.note("computed"),
            },
            Place::Bytes(bytes) => self.static_bytes(member, &bytes, None, context),
            Place::Unavailable(why) => self.out.push_str(&format_unavailable(&why)),
            Place::Register(_) | Place::Pieces(_) | Place::Pointer(_) => self.note("in pieces"),
        }
    }

    /// A class may have objects of its own: each is shown once.
    fn static_at(&mut self, member: &StaticMember, at: VirtAddr, context: Context) {
        if self.shown.statics.contains(&at) {
            return self.note("same as static member of an already seen type");
        }
        let ty = self.scope.static_member_type(member);
        let size = ty.and_then(|ty| self.scope.strip(&ty));
        let size = size.ok().and_then(|ty| ty.size).unwrap_or(0).min(limits::MAX_VALUE);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        match self.memory.read_exact(at, &mut bytes) {
            Ok(()) => self.static_bytes(member, &bytes, Some(at), context),
            Err(error) => self.note(&format!("error: {error}")),
        }
    }

    /// The value that is in so many bytes, or in the first of them.
    fn static_bytes(
        &mut self,
        member: &StaticMember,
        bytes: &[u8],
        at: Option<VirtAddr>,
        context: Context,
    ) {
        let resolved = self.scope.static_member_type(member).and_then(|ty| {
            let stripped = self.scope.strip(&ty)?;
            Ok((ty, stripped))
        });
        let (ty, stripped) = match resolved {
            Ok(both) => both,
            Err(why) => return self.note(&why),
        };
        let size = stripped.size.and_then(|size| usize::try_from(size).ok());
        let Some(bytes) = size.and_then(|size| bytes.get(..size)) else {
            return self.note("its size is not known here");
        };
        if matches!(stripped.kind, TypeKind::Record(_) | TypeKind::Array { .. }) {
            self.shown.statics.extend(at);
            self.shown.is_static = matches!(stripped.kind, TypeKind::Record(_));
        }
        self.value(&ty, bytes, Context { at, offset: None, ..context.inside(0) });
    }
}
