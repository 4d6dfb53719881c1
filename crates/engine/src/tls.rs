//! Where a thread's copy of a thread-local variable is: the C library's
//! dynamic thread vector, read from outside.
//!
//! "ELF Handling For Thread-Local Storage" (Drepper), variant II, sections 3
//! and 4.4.6: on x86-64 `fs:0` points to the thread control block itself,
//! whose second word is the vector; entry *m* of it (16 bytes each, counted
//! from 1) points to module *m*'s block. The executable's block ends at the
//! control block.

use trapline_core::memory::ReadMemory;
use trapline_core::{ModuleId, VirtAddr};

use crate::space::{Module, Modules};

/// Entries that were never allocated hold all ones (glibc's
/// `TLS_DTV_UNALLOCATED`).
const UNALLOCATED: u64 = u64::MAX;

/// The address of the variable at `offset` in `module`'s block.
pub(crate) fn address(
    modules: &Modules,
    memory: &dyn ReadMemory,
    fs_base: u64,
    module: ModuleId,
    offset: u64,
) -> Result<VirtAddr, String> {
    if fs_base == 0 {
        return Err("thread-local storage is not set up yet".to_owned());
    }
    let owner = modules.by_id(module).ok_or("the variable's image is not loaded")?;
    let block = if is_executable(owner) {
        executable_block(owner, fs_base)?
    } else {
        vector_block(modules, memory, fs_base, module)?
    };
    Ok(VirtAddr::new(block.wrapping_add(offset)))
}

fn is_executable(module: &Module) -> bool {
    module.image.entry().is_some()
        && module.image.kind() != trapline_symbols::ImageKind::SharedObject
}

fn executable_block(module: &Module, fs_base: u64) -> Result<u64, String> {
    let tls = module.image.tls().ok_or("the image has no thread-local storage")?;
    let align = tls.align.max(1);
    let size = tls.memory_size.checked_next_multiple_of(align).ok_or("absurd TLS size")?;
    Ok(fs_base.wrapping_sub(size))
}

/// Modules are numbered in load order among those that have thread-local
/// storage; the executable, when it has some, is number 1.
fn vector_block(
    modules: &Modules,
    memory: &dyn ReadMemory,
    fs_base: u64,
    module: ModuleId,
) -> Result<u64, String> {
    let with_tls: Vec<&Module> =
        modules.in_load_order().filter(|m| m.image.tls().is_some()).collect();
    let position = with_tls
        .iter()
        .position(|candidate| candidate.id() == module)
        .ok_or("the image has no thread-local storage")?;
    let number = position as u64 + 1;
    let vector = memory
        .read_u64(VirtAddr::new(fs_base.wrapping_add(8)))
        .map_err(|error| error.to_string())?;
    let entry = memory
        .read_u64(VirtAddr::new(vector.wrapping_add(16 * number)))
        .map_err(|error| error.to_string())?;
    if entry == UNALLOCATED || entry == 0 {
        return Err("this thread has not used that thread-local storage yet".to_owned());
    }
    Ok(entry)
}

/// Bytes from the thread pointer to the variable, where they are the same in
/// all threads from the start: in the executable's own block.
pub(crate) fn from_thread_pointer(
    modules: &Modules,
    module: ModuleId,
    offset: u64,
) -> Result<i64, String> {
    let owner = modules.by_id(module).ok_or("the variable's image is not loaded")?;
    if !is_executable(owner) {
        return Err("each thread has the thread-local variables of libraries elsewhere".to_owned());
    }
    Ok(executable_block(owner, 0)?.wrapping_add(offset).cast_signed())
}
