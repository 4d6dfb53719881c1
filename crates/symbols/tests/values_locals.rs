//! Variables of stopped programs: each has the value gdb gives it.

mod values_support;

use trapline_core::location::{Frame, LocationError, Place, relocate, run};
use trapline_core::memory::{Bytes, ReadMemory};
use trapline_core::types::{ResolveType, Type, TypeKind, TypeLink, TypeRef};
use trapline_core::x64::Reg;
use trapline_core::{ImageAddr, LoadBias, ModuleId, VirtAddr};
use trapline_symbols::{FrameRegisters, Image, PcKind, Variable, VariableKind};
use values_support::{compile, gdb, hex, load};

use std::path::Path;
use std::sync::Arc;

/// Where Linux puts the end of the stack when gdb turns randomization off.
const STACK_END: u64 = 0x7fff_ffff_f000;

/// A program that stops at `stop_here` and has a global `counter`.
struct Program {
    source: &'static str,
    /// Variables and members to compare, by the number of inlined calls around
    /// their scope.
    compared: &'static [(u32, &'static [&'static str])],
}

const C: Program = Program {
    source: "locals.c",
    compared: &[
        (1, &["given", "scale", "product"]),
        (
            0,
            &[
                "small", "byte", "big", "pt.x", "pt.y", "wide.a", "wide.b", "wide.c", "text",
                "seventh", "eighth", "calls", "total", "moved.x", "moved.y", "narrow", "i",
                "shadow",
            ],
        ),
    ],
};

const CPP: Program =
    Program { source: "objects.cpp", compared: &[(0, &["this", "factor", "product", "caught"])] };

const RUST: Program = Program {
    source: "owned.rs",
    compared: &[(0, &["product", "owned.price", "owned.count", "small", "factor", "deal_total"])],
};

/// One stop below a function, as gdb sees the function's frame.
struct Stop {
    registers: FrameRegisters,
    stack: Bytes,
    data: Bytes,
    bias: LoadBias,
    /// What gdb prints for each name, by inlined calls around.
    said: Vec<(u32, &'static str, Option<u64>)>,
}

impl ReadMemory for Stop {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.stack.read_some(addr, buf).max(self.data.read_some(addr, buf))
    }
}

impl Frame for Stop {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        self.registers.get(reg).ok_or_else(|| format!("{reg} is not known"))
    }

    fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
        Err("no thread".to_owned())
    }
}

/// Stops for the `hit`th time at `stop_here`, `inlined` inlined calls below
/// the function to look at.
fn record(what: &Program, flags: &[&str], hit: u32, inlined: u32) -> (Image, Stop) {
    let program = compile(what.source, flags);
    let image = load(&program);
    let dump = |what: &str| program.with_extension(what);
    let mut commands: Vec<String> = vec!["break stop_here".into(), "run".into()];
    commands.extend((1..hit).map(|_| "continue".into()));
    commands.push("info proc mappings".into());
    commands.push("set language c".into());
    commands.push("printf \"stack %#lx\\n\", $rsp-128".into());
    commands.push(format!("dump binary memory {} $rsp-128 {STACK_END:#x}", dump("s").display()));
    commands.push("printf \"data %#lx\\n\", (long)&counter & ~0xfff".into());
    commands.push(format!(
        "dump binary memory {} (long)&counter&~0xfff ((long)&counter&~0xfff)+0x1000",
        dump("d").display()
    ));
    commands.push("set language auto".into());
    for around in (0..=inlined).rev() {
        commands.push("up-silently".into());
        for name in what.compared.iter().find(|row| row.0 == around).expect("a row").1 {
            commands.push(format!("echo var {around} {name}\\n"));
            commands.push(format!("print/x {name}"));
        }
    }
    let names: Vec<_> = Reg::general().chain([Reg::Rip]).map(Reg::name).collect();
    commands.push(format!("info registers {}", names.join(" ")));
    let said = gdb(&program, &commands);
    let read = |part: &str| std::fs::read(dump(part)).expect("gdb dumped memory");
    let stop = parse(what, &said, &image, &program, read);
    (image, stop)
}

fn parse(
    what: &Program,
    said: &str,
    image: &Image,
    path: &Path,
    read: impl Fn(&str) -> Vec<u8>,
) -> Stop {
    let value_of =
        |key: &str| said.lines().find_map(|line| hex(line.strip_prefix(key)?)).expect("a value");
    let mut registers = FrameRegisters::default();
    for line in said.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next().and_then(hex)) else {
            continue;
        };
        if let Some(reg) = Reg::general().chain([Reg::Rip]).find(|reg| reg.name() == name) {
            registers.set(reg, Some(value));
        }
    }
    let mapped = said.lines().find(|line| {
        line.trim_start().starts_with("0x") && line.ends_with(&*path.to_string_lossy())
    });
    let start = mapped.and_then(|line| hex(line.split_whitespace().next()?)).expect("a mapping");
    Stop {
        registers,
        stack: Bytes { start: VirtAddr::new(value_of("stack ")), data: read("s") },
        data: Bytes { start: VirtAddr::new(value_of("data ")), data: read("d") },
        bias: LoadBias::between(image.image_range().0, VirtAddr::new(start)),
        said: parse_values(what, said),
    }
}

fn parse_values(what: &Program, said: &str) -> Vec<(u32, &'static str, Option<u64>)> {
    let mut values = Vec::new();
    for part in said.split("var ").skip(1) {
        let mut lines = part.lines();
        let Some((around, name)) = lines.next().and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let around = around.parse().expect("a number");
        let row = what.compared.iter().find(|row| row.0 == around).expect("a row");
        let name = row.1.iter().find(|known| **known == name).expect("a known name");
        let value = lines.next().and_then(|line| hex(line.split_once(" = ")?.1));
        values.push((around, *name, value));
    }
    values
}

struct Types<'a>(&'a Image);

impl ResolveType for Types<'_> {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        self.0.type_at(reference.offset)
    }
}

impl Stop {
    fn variables(&self, image: &Image) -> Vec<Variable> {
        let pc = self.bias.to_image(VirtAddr::new(self.registers.get(Reg::Rip).expect("pc")));
        image.variables_at(pc, PcKind::ReturnAddress)
    }

    fn bytes(&self, place: &Place, size: usize) -> Result<Vec<u8>, LocationError> {
        let word = |word: u64| word.to_le_bytes().to_vec();
        Ok(match place {
            Place::Memory(program) => {
                let mut bytes = vec![0; size];
                self.read_exact(VirtAddr::new(run(program, self)?), &mut bytes)?;
                bytes
            }
            Place::Register(reg) => word(self.register(*reg).map_err(LocationError::Unknown)?),
            Place::Value(program) => word(run(program, self)?),
            Place::Bytes(bytes) => bytes.clone(),
            Place::Pieces(pieces) => {
                let mut all = Vec::new();
                for piece in pieces {
                    let len = usize::try_from(piece.len).expect("a small piece");
                    let mut bytes = self.bytes(&piece.place, len).unwrap_or(vec![0xee; len]);
                    bytes.resize(len, 0);
                    all.extend(bytes);
                }
                all
            }
            Place::Pointer(_) => {
                let why = trapline_core::location::NO_ADDRESS.to_owned();
                return Err(LocationError::Unknown(why));
            }
            Place::Unavailable(why) => return Err(LocationError::Unknown(why.clone())),
        })
    }

    /// The number in a variable or a member of one, `name.member`.
    fn number(&self, image: &Image, variable: &Variable, name: &str) -> Result<u64, LocationError> {
        let types = Types(image);
        let mut place = variable.place.clone();
        relocate(&mut place, self.bias);
        let unknown = LocationError::Unknown;
        let follow =
            |link: &TypeLink| types.follow(link).and_then(|ty| types.strip(&ty)).map_err(unknown);
        let mut ty = follow(&variable.ty)?;
        let size = |ty: &Type| usize::try_from(ty.size.unwrap_or(0)).expect("small");
        let bytes = self.bytes(&place, size(&ty))?;
        let mut offset = 0;
        if let (Some((_, member)), TypeKind::Record(record)) = (name.split_once('.'), &ty.kind) {
            let member = record.members.iter().find(|it| it.name == member).expect("a member");
            offset = usize::try_from(member.offset).expect("small");
            let inner = follow(&member.ty)?;
            ty = inner;
        }
        let mut word = [0; 8];
        word[..size(&ty)].copy_from_slice(&bytes[offset..offset + size(&ty)]);
        Ok(u64::from_le_bytes(word))
    }
}

/// Every value gdb prints is ours, of which there are at least `least`.
fn check(what: &Program, flags: &[&str], hit: u32, inlined: u32, least: usize) {
    let (image, stop) = record(what, flags, hit, inlined);
    let variables = stop.variables(&image);
    let mut compared = 0;
    for (around, name, theirs) in &stop.said {
        let base = name.split('.').next().expect("a name");
        let variable = variables.iter().find(|it| it.inline_depth == *around && it.name == base);
        let ours = variable.map(|variable| stop.number(&image, variable, name));
        let context = format!("{name} at hit {hit} with {flags:?}: {variable:#?}");
        match (theirs, ours) {
            (Some(theirs), Some(Ok(ours))) => {
                assert_eq!(ours, *theirs, "{context}");
                compared += 1;
            }
            // gdb asks the caller for values at function entry.
            (Some(_), Some(Err(LocationError::Unknown(why)))) if why.contains("entry") => {}
            (Some(theirs), ours) => panic!("gdb has {theirs:#x}, we {ours:?}: {context}"),
            (None, Some(Ok(ours))) if !is_partial(variable) => {
                panic!("gdb has nothing, we {ours:#x}: {context}");
            }
            (None, _) => {}
        }
    }
    assert!(compared >= least, "only {compared} of {:?} with {flags:?}", stop.said);
}

fn is_partial(variable: Option<&Variable>) -> bool {
    variable.is_some_and(|variable| matches!(variable.place, Place::Pieces(_)))
}

#[test]
fn locals_have_the_values_that_gdb_prints() {
    for (flags, least) in [
        (&["-g", "-O0"][..], 18),
        (&["-g", "-O0", "-fomit-frame-pointer"], 18),
        (&["-gdwarf-4", "-O0"], 18),
        (&["-g", "-O2"], 5),
        (&["-gdwarf-4", "-O2"], 5),
        (&["-g", "-O1", "-no-pie"], 5),
        (&["-g", "-Og"], 5),
    ] {
        check(&C, flags, 1, 1, least);
        check(&C, flags, 2, 1, least);
        check(&C, flags, 3, 0, least.min(13));
    }
    // gdb sees no inlined calls in DWARF 2.
    check(&C, &["-gdwarf-2", "-gstrict-dwarf", "-O1"], 3, 0, 5);
}

#[test]
fn cpp_and_rust_locals_have_the_values_that_gdb_prints() {
    for (flags, least) in [
        (&["-g", "-O0"][..], 4),
        (&["-g", "-O2"], 1),
        (&["-gdwarf-4", "-Og"], 1),
        (&["-g", "-O0", "-gsplit-dwarf"], 4),
        (&["-gdwarf-4", "-Og", "-gsplit-dwarf"], 1),
    ] {
        check(&CPP, flags, 1, 0, least);
    }
    for (flags, least) in [(&["-g"][..], 6), (&["-g", "-Cdwarf-version=5"], 6)] {
        check(&RUST, flags, 1, 0, least);
    }
}

#[test]
fn methods_have_their_object() {
    for (program, name, artificial) in [(CPP, "this", true), (RUST, "self", false)] {
        let (image, stop) = record(&program, &["-g"], 1, 0);
        let variables = stop.variables(&image);
        let object = variables.iter().find(|it| it.name == name).expect("an object");
        assert_eq!((object.kind, object.artificial), (VariableKind::Argument, artificial));
        let types = Types(&image);
        let ty = types.strip(&types.follow(&object.ty).expect("resolves")).expect("strips");
        let TypeKind::Pointer { target: Some(target), .. } = &ty.kind else { panic!("{ty:?}") };
        let target = types.strip(&types.follow(target).expect("resolves")).expect("strips");
        assert!(target.name.ends_with("::Item"), "{target:?}");
    }
}

#[test]
fn scopes_come_innermost_first_with_their_code() {
    let (image, stop) = record(&C, &["-g", "-O0"], 1, 1);
    let variables = stop.variables(&image);
    let totals: Vec<_> = variables.iter().filter(|it| it.name == "total").collect();
    assert_eq!(totals.len(), 2);
    assert!(totals[0].scope_depth > totals[1].scope_depth);
    let depths: Vec<_> = variables.iter().map(|it| it.scope_depth).collect();
    assert!(depths.is_sorted_by(|one, next| one >= next), "{depths:?}");

    let pc = stop.bias.to_image(VirtAddr::new(stop.registers.get(Reg::Rip).expect("pc")));
    for variable in &variables {
        let inside = |(start, end): &(ImageAddr, ImageAddr)| *start <= pc && pc <= *end;
        assert!(variable.scope.iter().any(inside), "{variable:#?}");
    }
    let arguments: Vec<_> = variables
        .iter()
        .filter(|it| it.kind == VariableKind::Argument && it.inline_depth == 0)
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(arguments, ["small", "byte", "big", "pt", "wide", "text", "seventh", "eighth"]);
    assert!(variables.iter().all(|it| it.decl_line.is_some() && !it.artificial));
    assert_eq!(image.variables_at(ImageAddr::new(1), PcKind::Exact), []);
}

#[test]
fn results_and_globals_are_found() {
    let (image, stop) = record(&C, &["-g", "-O0"], 3, 0);
    let pc = stop.bias.to_image(VirtAddr::new(stop.registers.get(Reg::Rip).expect("pc")));
    let result = image.function_result_at(pc).expect("debug information").ty;
    assert_eq!(Types(&image).follow(&result).expect("resolves").name, "long int");
    for (name, expected, external) in [("counter", 3, true), ("hidden", 0xfff9, false)] {
        let globals = image.globals_named(name);
        let [global] = globals.as_slice() else { panic!("{globals:?}") };
        let mut place = global.place.clone();
        relocate(&mut place, stop.bias);
        let bytes = stop.bytes(&place, 2).expect("readable");
        assert_eq!(
            (u16::from_le_bytes([bytes[0], bytes[1]]), global.external),
            (expected, external)
        );
        assert!(global.file.as_ref().is_some_and(|file| file.ends_with("locals.c")));
    }
    assert_eq!(image.global_names("hid", 5), ["hidden"]);
    assert_eq!(image.global_names("", 1), ["counter"]);
}
