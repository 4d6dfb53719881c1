//! Types as compilers lay them out: sizes, offsets and bits against what the
//! compiled program prints of itself.

mod values_support;

use std::sync::Arc;

use trapline_core::location::{Op, Place};
use trapline_core::types::{
    AliasFlavour, BaseKind, Count, Member, Record, ResolveType, Type, TypeKind, TypeLink, TypeRef,
};
use trapline_symbols::Image;
use values_support::{MODULE, compile, load, run};

struct Types<'a>(&'a Image);

impl ResolveType for Types<'_> {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        assert_eq!(reference.module, MODULE);
        self.0.type_at(reference.offset)
    }
}

impl Types<'_> {
    fn named(&self, name: &str) -> Arc<Type> {
        let found = self.0.types_named(name);
        found.first().unwrap_or_else(|| panic!("no type {name}")).clone()
    }

    fn record(&self, name: &str) -> Record {
        let ty = self.strip(&self.named(name)).expect("strips");
        match &ty.kind {
            TypeKind::Record(record) => record.clone(),
            other => panic!("{name} is {other:?}"),
        }
    }

    fn member(&self, ty: &str, path: &str) -> Member {
        let find = |record: &Record, name: &str| {
            record.members.iter().find(|member| member.name == name).cloned()
        };
        let record = self.record(ty);
        find(&record, path).unwrap_or_else(|| panic!("{ty} has no member {path}: {record:#?}"))
    }

    fn global(&self, name: &str) -> Arc<Type> {
        let globals = self.0.globals_named(name);
        let global = globals.first().unwrap_or_else(|| panic!("no global {name}"));
        self.follow(&global.ty).expect("resolves")
    }
}

/// Holds the image to every line that the program prints.
fn check_printed(program: &str, flags: &[&str]) {
    let path = compile(program, flags);
    let image = load(&path);
    let types = Types(&image);
    let mut checked = 0;
    for line in run(&path).lines() {
        let Some((what, rest)) = line.split_once(' ') else { continue };
        let Some((value, rest)) = rest.split_once(' ') else { continue };
        match what {
            "size" => {
                assert_eq!(types.named(rest).size, value.parse().ok(), "{line} ({flags:?})");
            }
            "offset" => {
                let (ty, member) = rest.rsplit_once(' ').expect("a member");
                let offset = types.member(ty, member).offset;
                assert_eq!(Ok(offset), value.parse(), "{line} ({flags:?})");
            }
            "bits" => {
                let (ty, member) = rest.rsplit_once(' ').expect("a member");
                let size = types.named(ty).size.expect("a size");
                let bits = ones(&types.member(ty, member), size);
                assert_eq!(bits, value, "{line} ({flags:?})");
            }
            _ => continue,
        }
        checked += 1;
    }
    assert!(checked >= 10, "{program} printed {checked} facts");
}

/// The bytes of a record of zeroes but for the ones in a bit-field, as hex.
fn ones(member: &Member, size: u64) -> String {
    let bits = member.bits.expect("a bit-field");
    let mut bytes = vec![0_u8; usize::try_from(size).expect("a small record")];
    for bit in bits.shift..bits.shift + bits.width {
        let at = usize::try_from(member.offset).expect("small") + bit as usize / 8;
        bytes[at] |= 1 << (bit % 8);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn c_layouts_are_the_compilers() {
    for flags in [
        &["-g"][..],
        &["-g", "-O2"],
        &["-gdwarf-4", "-fdebug-types-section"],
        &["-g", "-gsplit-dwarf", "-fdebug-types-section"],
        &["-gdwarf-4", "-gsplit-dwarf"],
        &["-gdwarf-3", "-gstrict-dwarf"],
        &["-gdwarf-2", "-gstrict-dwarf"],
    ] {
        check_printed("layout.c", flags);
    }
}

#[test]
fn cpp_layouts_are_the_compilers() {
    for flags in [
        &["-g"][..],
        &["-g", "-O2"],
        &["-gdwarf-5", "-fdebug-types-section"],
        &["-gdwarf-4"],
        &["-gdwarf-4", "-gsplit-dwarf", "-fdebug-types-section"],
    ] {
        check_printed("layout.cpp", flags);
    }
}

#[test]
fn rust_layouts_are_the_compilers() {
    check_printed("layout.rs", &["-g"]);
    check_printed("layout.rs", &["-g", "-O"]);
}

#[test]
fn c_types_are_what_the_source_says() {
    let path = compile("layout.c", &["-g"]);
    let image = load(&path);
    let types = Types(&image);

    let matrix = types.member("struct outer", "matrix");
    let matrix = types.follow(&matrix.ty).expect("resolves");
    let TypeKind::Array { element, count: Count::Known(3) } = &matrix.kind else {
        panic!("{matrix:?}")
    };
    let row = types.follow(element).expect("resolves");
    assert!(matches!(row.kind, TypeKind::Array { count: Count::Known(4), .. }), "{row:?}");
    assert_eq!((matrix.size, row.size), (Some(48), Some(16)));

    let tail = types.follow(&types.member("struct outer", "tail").ty).expect("resolves");
    assert!(matches!(tail.kind, TypeKind::Array { count: Count::Unknown, .. }), "{tail:?}");

    let anonymous = types.member("struct outer", "");
    let inside = types.follow(&anonymous.ty).expect("resolves");
    let TypeKind::Record(inside) = &inside.kind else { panic!("{inside:?}") };
    assert_eq!(inside.members[0].name, "hidden");

    let color = types.named("enum color");
    let TypeKind::Enum { signed: true, enumerators, .. } = &color.kind else { panic!("{color:?}") };
    let values: Vec<_> = enumerators.iter().map(|it| (it.name.as_str(), it.value)).collect();
    assert_eq!(values, [("RED", 0), ("GREEN", 5), ("BLUE", -2)]);
    let (big, value) = image.enumerator_named("LARGE").expect("an enumerator");
    assert_eq!((big.name.as_str(), value), ("big", 0xffff_ffff));

    let alias = types.named("outer_t");
    assert!(matches!(alias.kind, TypeKind::Alias { flavour: AliasFlavour::Typedef, .. }));

    let opaque = types.global("global_opaque");
    let TypeKind::Pointer { target: Some(target), .. } = &opaque.kind else { panic!("{opaque:?}") };
    let target = types.follow(target).expect("resolves");
    assert!(matches!(&target.kind, TypeKind::Record(record) if record.declaration), "{target:?}");

    let callback = types.follow(&types.member("struct outer", "callback").ty).expect("resolves");
    let TypeKind::Pointer { target: Some(target), .. } = &callback.kind else {
        panic!("{callback:?}")
    };
    let function = types.follow(target).expect("resolves");
    let TypeKind::Function { result: None, parameters } = &function.kind else {
        panic!("{function:?}")
    };
    assert_eq!(parameters.len(), 2);
}

#[test]
fn base_types_keep_their_encodings() {
    let path = compile("layout.c", &["-g"]);
    let image = load(&path);
    let types = Types(&image);
    for (global, kind, size) in [
        ("global_bool", BaseKind::Bool, 1),
        ("global_schar", BaseKind::SignedChar, 1),
        ("second_thread_local", BaseKind::SignedChar, 1),
        ("global_uchar", BaseKind::UnsignedChar, 1),
        ("file_static", BaseKind::Signed, 8),
        ("global_long_double", BaseKind::Float, 16),
        ("global_int128", BaseKind::Signed, 16),
    ] {
        let ty = types.global(global);
        assert_eq!((&ty.kind, ty.size), (&TypeKind::Base(kind), Some(size)), "{global}");
    }
}

#[test]
fn thread_locals_lie_in_their_modules_block() {
    let path = compile("layout.c", &["-g"]);
    let image = load(&path);
    let mut offsets = Vec::new();
    for name in ["thread_local_value", "second_thread_local"] {
        let globals = image.globals_named(name);
        let [global] = globals.as_slice() else { panic!("{name}: {globals:?}") };
        let Place::Memory(program) = &global.place else { panic!("{global:?}") };
        let [Op::Tls { module: MODULE, offset }] = program.as_slice() else { panic!("{global:?}") };
        offsets.push(*offset);
    }
    let block = image.tls().expect("a thread-local segment").memory_size;
    assert_ne!(offsets[0], offsets[1]);
    assert!(offsets.iter().all(|offset| *offset < block), "{offsets:?} in {block}");
}

#[test]
fn cpp_classes_have_bases_and_no_statics() {
    let path = compile("layout.cpp", &["-g"]);
    let image = load(&path);
    let types = Types(&image);
    let derived = types.record("shapes::Derived");
    let bases: Vec<_> = derived.members.iter().filter(|member| member.base_class).collect();
    assert_eq!(bases.len(), 2, "{derived:#?}");
    assert!(derived.members.iter().all(|member| member.name != "count"));
    let names: Vec<_> =
        bases.iter().map(|base| types.follow(&base.ty).unwrap().name.clone()).collect();
    assert_eq!(names, ["shapes::Base", "shapes::Other"]);
    assert_eq!(derived.virtual_bases, []);

    let shared = types.record("shapes::Shared");
    let virtual_bases: Vec<_> = shared
        .virtual_bases
        .iter()
        .map(|base| types.follow(&base.ty).unwrap().name.clone())
        .collect();
    assert_eq!(virtual_bases, ["shapes::Base"]);
    let bases = shared.members.iter().filter(|member| member.base_class).count();
    assert_eq!(bases, 1, "{shared:#?}");

    let boxed = types.named("Box<int>");
    assert_eq!(boxed.name, "shapes::Box<int>");
    let nested = types.named("Outer::Nested");
    assert_eq!((nested.name.as_str(), nested.size), ("shapes::Outer::Nested", Some(8)));

    let (mode, value) = image.enumerator_named("Mode::Fast").expect("an enumerator");
    assert_eq!((mode.name.as_str(), mode.size, value), ("shapes::Mode", Some(1), 200));

    for (name, value) in [("shapes::Derived::count", 5), ("shapes::hidden::secret", 9)] {
        let globals = image.globals_named(name);
        assert_eq!(globals.len(), 1, "{name}: {globals:#?}");
        assert!(globals[0].name.ends_with(name.rsplit("::").next().unwrap()), "{value}");
    }
    let definition = types.named("shapes::Late");
    assert_eq!(definition.size, Some(12));
    let pointer = types.global("late_pointer");
    let TypeKind::Pointer { target: Some(target), .. } = &pointer.kind else { panic!() };
    assert_eq!(types.follow(target).unwrap().size, Some(12));
}

#[test]
fn rust_enums_have_variants() {
    let path = compile("layout.rs", &["-g"]);
    let image = load(&path);
    let types = Types(&image);
    use trapline_core::types::RecordFlavour::Variants;

    let shape = types.record("layout::Shape");
    let Variants { discriminant: Some(tag) } = &shape.flavour else { panic!("{shape:#?}") };
    assert_eq!(tag.bits, None);
    let variants: Vec<_> =
        shape.members.iter().map(|it| (it.name.as_str(), it.variant.clone().unwrap())).collect();
    assert_eq!(
        variants,
        [("Circle", vec![0]), ("Square", vec![1]), ("Nothing", vec![2])],
        "{shape:#?}"
    );

    // A niche: null means `None`, every other address `Some`.
    let option = types.record("core::option::Option<&i32>");
    let Variants { discriminant: Some(_) } = &option.flavour else { panic!("{option:#?}") };
    let by_name = |name: &str| {
        option.members.iter().find(|member| member.name == name).unwrap().variant.clone()
    };
    assert_eq!(by_name("None"), Some(vec![0]));
    assert_eq!(by_name("Some"), Some(vec![]));

    let level = types.named("layout::Level");
    let TypeKind::Enum { signed: true, enumerators, .. } = &level.kind else { panic!("{level:?}") };
    assert_eq!(enumerators[0].value, -3);
    assert_eq!(image.enumerator_named("Level::High").expect("found").1, 7);

    let string = types.named("alloc::string::String");
    assert_eq!((string.name.as_str(), string.size), ("alloc::string::String", Some(24)));
    let link: TypeLink = image.globals_named("layout::COUNTER")[0].ty.clone();
    assert_eq!(types.follow(&link).expect("resolves").name, "i32");
    assert_eq!(image.globals_named("settings::LIMIT")[0].name, "layout::settings::LIMIT");
}
