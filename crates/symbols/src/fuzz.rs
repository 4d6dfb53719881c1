//! Every lookup over arbitrary bytes, for the fuzz target: nothing may panic,
//! hang or read out of bounds whatever a file claims.

use regex::Regex;
use trapline_core::types::{TypeKind, TypeLink};
use trapline_core::{ImageAddr, ModuleId};

use crate::{Image, Near, PcKind, StaticMemberPlace};

/// Addresses and names that are tried per image.
const PROBES: usize = 32;

/// Loads `bytes` as an image and asks it everything once.
pub fn fuzz_everything(bytes: &[u8]) {
    let Ok(image) = Image::from_bytes("fuzz", bytes.to_vec(), ModuleId::new(0)) else { return };
    ask_everything(&image);
}

/// How many names an image has, and those that searching for them would miss.
pub fn missed_by_search(image: &Image) -> (usize, Vec<String>) {
    image.missed_by_search()
}

/// Asks an image everything once.
pub fn ask_everything(image: &Image) {
    facts(image);
    let names = image.function_names("", PROBES);
    for name in names.iter().map(String::as_str).chain(["main", "a::b", "f<int>(int)"]) {
        for function in image.functions_named(name, false).iter().take(PROBES) {
            image.lines_of_function(function);
            at(image, function.entry);
            at(image, function.prologue_end);
        }
        image.symbols_named(name);
        image.nearest_functions(name, 3);
    }
    let first = names.iter().find_map(|name| image.functions_named(name, false).pop());
    if let Some(first) = first {
        names_at(image, first.prologue_end);
    }
    if let Ok(any) = Regex::new("m.*n") {
        image.functions_matching(&any);
    }
    for file in image.files().iter().take(PROBES) {
        for line in [1, 2, 10, u32::MAX] {
            if let Ok(found) = image.line_locations(file, line) {
                found.places.iter().take(PROBES).for_each(|place| at(image, place.address));
            }
        }
    }
    let _unknown = image.line_locations("no_such_file.c", 1);
    for global in image.global_names("", PROBES) {
        image.globals_named(&global);
        image.types_named(&global);
        image.enumerator_named(&global);
        image.declared_global(&global, None);
    }
    image.statement_addresses().take(PROBES).for_each(|address| at(image, address));
    image.problems();
}

fn facts(image: &Image) {
    image.build_id();
    image.interpreter();
    image.soname();
    image.tls();
    image.debug_info();
    let (start, end) = image.image_range();
    for address in [start, end, ImageAddr::new(0), ImageAddr::new(u64::MAX)] {
        at(image, address);
    }
    if let Some(entry) = image.entry() {
        at(image, entry);
    }
}

fn at(image: &Image, address: ImageAddr) {
    let mut code = [0; 16];
    image.read_static(address, &mut code);
    image.read_initial(address, &mut code);
    image.symbol_at(address);
    image.function_at(address);
    image.inline_chain_at(address);
    image.source_at(address);
    image.plt_target(address);
    for variable in image.variables_at(address, PcKind::Exact).iter().take(PROBES) {
        if let TypeLink::Lazy(reference) = &variable.ty {
            let Ok(ty) = image.type_at(reference.offset) else { continue };
            let TypeKind::Record(record) = &ty.kind else { continue };
            for member in record.statics.iter().take(PROBES) {
                let found = image.static_member_at(member.declared.offset);
                if let Ok(StaticMemberPlace::Symbol(name)) = found {
                    image.static_member_named(&name);
                    image.is_thread_local(&name);
                }
            }
        }
    }
    image.function_result_at(address);
    image.cfa_rule_at(address);
    image.landing_pads(address);
    image.language_at(address);
}

/// What names mean at a place: asked at one, since each answer may read much.
fn names_at(image: &Image, address: ImageAddr) {
    let Some(near) = image.near(address, None) else { return };
    let known = image.global_names("", 1).into_iter().chain(image.function_names("", 1));
    for name in known {
        named_near(image, &name, &near);
    }
    for name in ["T", "a", "::a", "a::b", "crate::a", "super::super::a"] {
        named_near(image, name, &near);
    }
}

fn named_near(image: &Image, name: &str, near: &Near) {
    image.in_full(name, near);
    image.template_parameter(name, near);
    image.local_name(name, near);
    image.local_type(name, near);
    image.type_distance(name, near);
    image.types_near(name, near);
    image.globals_near(name, near);
    image.enumerator_near(name, near);
    image.functions_near(name, near);
    image.declared_global(name, Some(near));
}
