//! Damaged debug information: whatever its bytes say, every question ends with
//! an answer.

mod values_support;

use std::ops::Range;

use trapline_core::memory::Bytes;
use trapline_core::types::{ResolveType, Type, TypeKind, TypeLink, TypeRef};
use trapline_core::x64::Reg;
use trapline_core::{ImageAddr, LoadBias, VirtAddr};
use trapline_symbols::{FrameRegisters, Image, PcKind};
use values_support::{MODULE, compile, load};

use std::sync::Arc;

/// A small generator of numbers that never change (Knuth's MMIX constants).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

struct Types<'a>(&'a Image);

impl ResolveType for Types<'_> {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        self.0.type_at(reference.offset)
    }
}

/// Asks everything at `pcs`; only panics and hangs are wrong. Returns how many
/// answers were not empty.
fn ask(image: &Image, pcs: &[ImageAddr]) -> usize {
    let mut answers = 0;
    for &pc in pcs {
        for variable in image.variables_at(pc, PcKind::Exact) {
            answers += follow(&Types(image), &variable.ty, 4);
        }
        answers += usize::from(image.function_result_at(pc).is_some());
        answers += usize::from(image.cfa_rule_at(pc).is_some());
        answers += usize::from(unwind(image, pc));
    }
    for name in ["global_outer", "file_static", "counter", "text"] {
        answers += image.globals_named(name).len();
    }
    for name in ["struct outer", "int", "shapes::Box<int>", "outer_t"] {
        answers += image.types_named(name).len();
    }
    answers + usize::from(image.enumerator_named("GREEN").is_some())
}

fn unwind(image: &Image, pc: ImageAddr) -> bool {
    let mut registers = FrameRegisters::default();
    for reg in Reg::general() {
        registers.set(reg, Some(0x1000));
    }
    let stack = Bytes { start: VirtAddr::new(0xf00), data: vec![0x41; 0x400] };
    image.unwind_frame(pc, PcKind::Exact, LoadBias::new(0), &registers, &stack).is_ok()
}

fn follow(types: &Types<'_>, link: &TypeLink, depth: u32) -> usize {
    let Ok(ty) = types.follow(link) else { return 0 };
    let _aliases_end = types.strip(&ty);
    let Some(depth) = depth.checked_sub(1) else { return 1 };
    1 + match &ty.kind {
        TypeKind::Pointer { target: Some(target), .. }
        | TypeKind::Alias { target: Some(target), .. }
        | TypeKind::Array { element: target, .. } => follow(types, target, depth),
        TypeKind::Record(record) => {
            record.members.iter().map(|member| follow(types, &member.ty, depth)).sum()
        }
        _ => 0,
    }
}

fn sections(image: &Image) -> Vec<Range<usize>> {
    let names = [
        ".debug_info",
        ".debug_abbrev",
        ".debug_loclists",
        ".debug_loc",
        ".debug_rnglists",
        ".debug_str",
        ".eh_frame",
        ".eh_frame_hdr",
    ];
    let found = names.iter().filter_map(|name| image.section_named(name));
    let bytes = found.filter_map(|section| {
        let start = usize::try_from(section.file?.get()).ok()?;
        Some(start..start + usize::try_from(section.size).ok()?)
    });
    bytes.filter(|range| !range.is_empty()).collect()
}

fn check(program: &str, flags: &[&str]) {
    let path = compile(program, flags);
    let whole = std::fs::read(&path).expect("the program is there");
    let sound = load(&path);
    let sections = sections(&sound);
    assert!(sections.len() >= 5, "{sections:?}");
    let pcs: Vec<_> = sound.statement_addresses().step_by(3).take(12).collect();
    let expected = ask(&sound, &pcs);
    let mut numbers = Numbers(program.len() as u64);
    let mut different = 0;
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=numbers.below(1 + round / 2) {
            let section = sections[numbers.below(sections.len())].clone();
            let at = section.start + numbers.below(section.len());
            bytes[at] = numbers.below(256) as u8;
        }
        let Ok(image) = Image::from_bytes("damaged", bytes, MODULE) else { continue };
        different += usize::from(ask(&image, &pcs) != expected);
    }
    assert!(different > 30, "the damage was felt {different} times");
}

#[test]
fn damage_is_survived() {
    check("layout.c", &["-g"]);
    check("locals.c", &["-g", "-O2"]);
    check("layout.cpp", &["-g", "-O1"]);
}
