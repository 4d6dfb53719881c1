//! How the dynamic linker numbers the images that have thread-local storage:
//! its own list of what is loaded, read as its C library tells debuggers to.
//!
//! glibc's `nptl_db/structs.def`: for each field that a debugger needs, the
//! library has a variable `_thread_db_TYPE_FIELD` of three 32-bit words, the
//! field's size in bits, how many there are, and its offset in bytes.
//! `nptl_db/td_thr_tlsbase.c` is what is followed here. `<link.h>` has the
//! list.

use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::{ImageAddr, VirtAddr};

use super::is_executable;
use crate::space::{Module, Modules};

/// More than any program loads: where a damaged list is given up.
const MOST: usize = 1 << 16;

/// What `l_tls_offset` holds without a place that is the same in every thread
/// (glibc's `NO_TLS_OFFSET` and `FORCED_DYNAMIC_TLS_OFFSET`).
const NO_PLACE: [u64; 2] = [0, u64::MAX];

/// What one set of images says of the linker among them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Linker {
    /// Where it tells what is loaded, `struct r_debug`.
    told: Option<VirtAddr>,
    /// Offsets in `struct link_map`.
    number: Option<u64>,
    below: Option<u64>,
    generations: Option<Generations>,
}

/// What a module is in the thread-local storage of each thread.
pub(crate) struct Numbered {
    /// Its entry of the vector.
    pub(crate) number: u64,
    /// How far below the thread pointer its block begins, where that is the
    /// same in every thread.
    pub(crate) below: Option<u64>,
}

/// Where the linker has which number it gave when.
#[derive(Clone, Debug)]
struct Generations {
    /// The pointer to the first part of the list.
    list: VirtAddr,
    len: u64,
    next: u64,
    slots: u64,
    slot_size: u64,
    generation: u64,
}

/// One image of the linker's list.
struct Listed {
    map: u64,
    /// Its dynamic section, which lies in it.
    dynamic: VirtAddr,
}

impl Linker {
    /// Looks through the images of an address space.
    pub(crate) fn among(modules: &Modules) -> Self {
        let generations = || {
            let global = symbol(modules, "_rtld_global")?.0;
            let list = field(modules, "rtld_global__dl_tls_dtv_slotinfo_list")?;
            Some(Generations {
                list: VirtAddr::new(global.get().wrapping_add(list)),
                len: field(modules, "dtv_slotinfo_list_len")?,
                next: field(modules, "dtv_slotinfo_list_next")?,
                slots: field(modules, "dtv_slotinfo_list_slotinfo")?,
                slot_size: described::<1>(modules, "sizeof_dtv_slotinfo")?[0],
                generation: field(modules, "dtv_slotinfo_gen")?,
            })
        };
        Self {
            told: symbol(modules, "_r_debug").map(|(at, _)| at),
            number: field(modules, "link_map_l_tls_modid"),
            below: field(modules, "link_map_l_tls_offset"),
            generations: generations(),
        }
    }

    /// What a library is to threads.
    pub(crate) fn numbered(
        &self,
        modules: &Modules,
        memory: &dyn ReadMemory,
        owner: &Module,
    ) -> Result<Numbered, String> {
        let told = self.told.ok_or("the dynamic linker does not tell what it loaded")?;
        let list = listed(memory, told).map_err(|error| error.to_string())?;
        let Some(it) = list.iter().find(|it| owner.range.contains(it.dynamic)) else {
            return Err(format!("the dynamic linker has not loaded {}", owner.path.display()));
        };
        let field = |offset: u64| {
            let at = VirtAddr::new(it.map.wrapping_add(offset));
            memory.read_u64(at).map_err(|error| error.to_string())
        };
        let number = match self.number {
            Some(offset) => field(offset)?,
            None => position(modules, &list, it),
        };
        if number == 0 {
            return Err("the library's thread-local storage is not set up yet".to_owned());
        }
        let below = self.below.map(field).transpose()?;
        Ok(Numbered { number, below: below.filter(|below| !NO_PLACE.contains(below)) })
    }

    /// Since when a number is that of the module that has it now. Vectors count
    /// in the same way.
    pub(crate) fn generation(
        &self,
        memory: &dyn ReadMemory,
        number: u64,
    ) -> Result<u64, Unreadable> {
        let Some(it) = &self.generations else { return Ok(0) };
        let word = |at: u64| memory.read_u64(VirtAddr::new(at));
        let (mut part, mut index) = (word(it.list.get())?, number);
        for _ in 0..MOST {
            let len = word(part.wrapping_add(it.len))?;
            if index < len {
                let slot =
                    part.wrapping_add(it.slots).wrapping_add(index.wrapping_mul(it.slot_size));
                return word(slot.wrapping_add(it.generation));
            }
            index -= len;
            part = word(part.wrapping_add(it.next))?;
        }
        Ok(0)
    }
}

/// The linker's list, and those of other namespaces behind it.
fn listed(memory: &dyn ReadMemory, told: VirtAddr) -> Result<Vec<Listed>, Unreadable> {
    /// From this version on there is `r_next`.
    const WITH_NEXT: u64 = 2;
    let word = |at: u64| memory.read_u64(VirtAddr::new(at));
    let mut list = Vec::new();
    let mut namespace = told.get();
    while namespace != 0 && list.len() < MOST {
        let mut map = word(namespace.wrapping_add(8))?;
        while map != 0 && list.len() < MOST {
            let dynamic = VirtAddr::new(word(map.wrapping_add(16))?);
            list.push(Listed { map, dynamic });
            map = word(map.wrapping_add(24))?;
        }
        let version = word(namespace)? & u64::from(u32::MAX);
        let next = namespace.wrapping_add(40);
        namespace = if version >= WITH_NEXT { word(next)? } else { 0 };
    }
    Ok(list)
}

/// The number that an image gets when all were loaded in the order of the list;
/// 0 for none.
fn position(modules: &Modules, list: &[Listed], it: &Listed) -> u64 {
    let has_any =
        |it: &&Listed| modules.at(it.dynamic).is_some_and(|module| module.image.tls().is_some());
    let place = list.iter().filter(has_any).position(|other| other.map == it.map);
    place.map_or(0, |place| place as u64 + 1)
}

/// The offset of a field that the C library describes.
fn field(modules: &Modules, name: &str) -> Option<u64> {
    described::<3>(modules, name).map(|[_, _, offset]| offset)
}

/// The words of a description. It never changes, so the file has it too.
fn described<const WORDS: usize>(modules: &Modules, name: &str) -> Option<[u64; WORDS]> {
    let (at, module) = symbol(modules, &format!("_thread_db_{name}"))?;
    let mut words = [0; WORDS];
    for (word, index) in words.iter_mut().zip(0..) {
        let mut bytes = [0; 4];
        let place = ImageAddr::new(module.to_image(at).get() + 4 * index);
        let read = module.image.read_static(place, &mut bytes);
        *word = (read == bytes.len()).then(|| u64::from(u32::from_le_bytes(bytes)))?;
    }
    Some(words)
}

/// A variable of a library.
fn symbol<'a>(modules: &'a Modules, name: &str) -> Option<(VirtAddr, &'a Module)> {
    let libraries = modules.in_load_order().filter(|module| !is_executable(module));
    libraries
        .filter_map(|module| {
            let symbol = module.image.symbols_named(name).into_iter().next()?;
            Some((module.bias.to_virt(symbol.start), module))
        })
        .next()
}
