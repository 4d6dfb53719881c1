//! What a function returned, read from where its ABI leaves it. Which registers
//! those are is in `returns`.

use std::sync::Arc;

use trapline_core::memory::ReadMemory;
use trapline_core::types::{ResolveType, Type, TypeKind};
use trapline_core::x64::{Reg, VectorState};
use trapline_core::{Pid, Tid, VirtAddr};
use trapline_expr::{Value, ValuePlace, limits};
use trapline_symbols::Passing;

use super::Session;
use super::scope::Types;
use crate::returns::{self, Half, Place};

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
        let result = module.image.function_result_at(module.to_image(function))?;
        let ty = types.follow(&result.ty).ok()?;
        let bare = types.strip(&ty).ok()?;
        let place = match result.passing {
            Passing::InMemory => Place::Memory,
            Passing::Unknown if !is_scalar(&bare) => return None,
            Passing::ByClass | Passing::Unknown => returns::place(&ty, &types)?,
        };
        let size = usize::try_from(bare.size.filter(|size| *size <= limits::MAX_VALUE)?).ok()?;
        let value = match place {
            Place::Memory => self.returned_in_memory(pid, tid, ty, size)?,
            Place::Registers(halves) => {
                let bytes = self.returned_in_registers(pid, tid, halves)?;
                Value::new(ty, bytes.get(..size)?)
            }
            Place::X87(count) => {
                let state = self.vector_state(pid, tid)?;
                Value::new(ty, state.x87.get(..count)?.concat().get(..size)?)
            }
        };
        let text = self.format(&value, None);
        Some((self.known.values.push(value), text))
    }

    /// The ABI has the callee leave the address in `rax`.
    fn returned_in_memory(
        &mut self,
        pid: Pid,
        tid: Tid,
        ty: Arc<Type>,
        size: usize,
    ) -> Option<Value> {
        let address = VirtAddr::new(self.program_registers(pid, tid)?.rax());
        let mut bytes = vec![0; size];
        self.memory(pid)?.read_exact(address, &mut bytes).ok()?;
        let mut value = Value::new(ty, &bytes);
        value.place = Some(ValuePlace::Memory { address, bits: None });
        Some(value)
    }

    fn vector_state(&mut self, pid: Pid, tid: Tid) -> Option<VectorState> {
        let stopped = self.processes.get(&pid)?.threads.get(&tid)?.stopped()?;
        self.target.vector_state(stopped).ok()
    }

    fn returned_in_registers(&mut self, pid: Pid, tid: Tid, halves: [Half; 2]) -> Option<Vec<u8>> {
        let registers = self.program_registers(pid, tid)?;
        let mut general = [Reg::Rax, Reg::Rdx].into_iter();
        let mut vector = 0..2_usize;
        let mut bytes = Vec::with_capacity(16);
        for half in halves {
            match half {
                Half::General => {
                    bytes.extend(registers.get(general.next()?)?.to_le_bytes());
                }
                Half::Vector => {
                    let state = self.vector_state(pid, tid)?;
                    bytes.extend(state.xmm.get(vector.next()?)?.get(..8)?);
                }
                Half::Upper => {
                    let state = self.vector_state(pid, tid)?;
                    bytes.extend(state.xmm.get(vector.start.checked_sub(1)?)?.get(8..)?);
                }
                Half::X87 => return None,
                Half::None => bytes.extend([0; 8]),
            }
        }
        Some(bytes)
    }
}

fn is_scalar(ty: &Type) -> bool {
    matches!(ty.kind, TypeKind::Base(_) | TypeKind::Pointer { .. } | TypeKind::Enum { .. })
}
