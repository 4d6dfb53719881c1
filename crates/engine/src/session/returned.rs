//! What a function returned, in the registers where a scalar is. System V ABI
//! AMD64, section 3.2.3; records, which are classified by their members and by
//! rules of their language, are left out.

use std::sync::Arc;

use trapline_core::types::{BaseKind, ResolveType, Type, TypeKind};
use trapline_core::x64::Reg;
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_expr::Value;

use super::Session;
use super::scope::Types;

/// Where a scalar is returned.
enum Class {
    General,
    Vector,
}

impl Session {
    /// The value that a function, which starts at an address, has just
    /// returned: how it is remembered, and as text.
    pub(super) fn returned_value(
        &mut self,
        pid: Pid,
        tid: Tid,
        function: VirtAddr,
    ) -> Option<(u32, String)> {
        let types = Types(&self.space_of(pid)?.modules);
        let module = self.space_of(pid)?.modules.at(function)?;
        let link = module.image.function_result_type(module.to_image(function))?;
        let ty = types.follow(&link).ok()?;
        let bare = types.strip(&ty).ok()?;
        let size = usize::try_from(bare.size?).ok()?;
        let bytes = match class(&bare)? {
            Class::General => {
                let registers = self.program_registers(pid, tid)?;
                [registers.get(Reg::Rax)?, registers.get(Reg::Rdx)?].map(u64::to_le_bytes).concat()
            }
            Class::Vector => {
                let process = self.processes.get(&pid)?;
                let stopped = process.threads.get(&tid)?.stopped()?;
                self.target.vector_state(stopped).ok()?.xmm.first()?.to_vec()
            }
        };
        let value = Value::new(ty, bytes.get(..size)?);
        let text = self.format(&value, None);
        Some((self.known.values.push(value), text))
    }
}

fn class(ty: &Arc<Type>) -> Option<Class> {
    match &ty.kind {
        TypeKind::Base(BaseKind::Float) => (ty.size? <= 8).then_some(Class::Vector),
        TypeKind::Base(_) | TypeKind::Pointer { .. } | TypeKind::Enum { .. } => {
            Some(Class::General)
        }
        _ => None,
    }
}
