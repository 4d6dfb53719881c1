//! Where a thread's copy of a thread-local variable is: the C library's
//! dynamic thread vector, read from outside.
//!
//! "ELF Handling For Thread-Local Storage" (Drepper), variant II, sections 3
//! and 4.4.6: on x86-64 `fs:0` points to the thread control block itself,
//! whose second word is the vector; entry *m* of it (16 bytes each, counted
//! from 1) points to module *m*'s block. The executable's block ends at the
//! control block, and so do, further below, those of libraries that were
//! loaded with it.

mod linker;

use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::{ModuleId, VirtAddr};

pub(crate) use linker::Linker;

use crate::space::{Module, Modules};
use linker::Numbered;

/// Bytes of an entry of the vector.
const ENTRY: u64 = 16;

/// Entries without a block have the lowest bit set (glibc's
/// `TLS_DTV_UNALLOCATED` is all ones).
const UNALLOCATED: u64 = 1;

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
        library_block(modules, memory, fs_base, owner)?
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

fn library_block(
    modules: &Modules,
    memory: &dyn ReadMemory,
    fs_base: u64,
    owner: &Module,
) -> Result<u64, String> {
    let linker = modules.linker();
    let Numbered { number, below } = linker.numbered(modules, memory, owner)?;
    if let Some(below) = below {
        return Ok(fs_base.wrapping_sub(below));
    }
    let since = linker.generation(memory, number).map_err(|error| error.to_string())?;
    let block = vector_block(memory, fs_base, number, since).map_err(|error| error.to_string())?;
    block.ok_or_else(|| {
        "this thread has no copy of it yet: one is made when the thread first uses it".to_owned()
    })
}

/// A module's block by the vector; `None` where the thread has none. A vector
/// older than the module can still hold the block of one that had its number.
fn vector_block(
    memory: &dyn ReadMemory,
    fs_base: u64,
    number: u64,
    since: u64,
) -> Result<Option<u64>, Unreadable> {
    let word = |at: u64| memory.read_u64(VirtAddr::new(at));
    let vector = word(fs_base.wrapping_add(8))?;
    let entries = word(vector.wrapping_sub(ENTRY))?;
    if number > entries || word(vector)? < since {
        return Ok(None);
    }
    let entry = word(vector.wrapping_add(number.wrapping_mul(ENTRY)))?;
    Ok((entry != 0 && entry & UNALLOCATED == 0).then_some(entry))
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
