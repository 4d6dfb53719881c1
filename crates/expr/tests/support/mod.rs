//! A small program that never ran: types, variables and memory for tests.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of it")]

use std::collections::HashMap;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::ids::ModuleId;
use trapline_core::location::{Frame, Op, Piece, Place};
use trapline_core::memory::{Bytes, ReadMemory};
use trapline_core::types::{
    AliasFlavour, BaseKind, BitField, Enumerator, Language, Member, PointerFlavour, Record,
    RecordFlavour, ResolveType, Type, TypeKind, TypeLink, TypeRef, VirtualBase,
};
use trapline_core::x64::{Reg, RegView};
use trapline_expr::{Binding, EvalError, Input, InputValue, Machine, Path, Purpose, Scope, Value};

pub const BASE: u64 = 0x1000;

/// Names, types, memory, registers and inputs, all in one.
pub struct World {
    pub memory: Bytes,
    pub symbols: HashMap<String, Binding>,
    pub types: HashMap<String, Arc<Type>>,
    pub lazy: Vec<Arc<Type>>,
    pub remembered: HashMap<usize, Vec<u8>>,
    pub written: Vec<(String, Vec<u8>)>,
    pub hits: u64,
    pub language: Language,
}

pub fn base(name: &str, kind: BaseKind, size: u64) -> Arc<Type> {
    Arc::new(Type::base(name, kind, size))
}

pub fn int() -> Arc<Type> {
    base("int", BaseKind::Signed, 4)
}

pub fn char_type() -> Arc<Type> {
    base("char", BaseKind::SignedChar, 1)
}

pub fn pointer(to: &Arc<Type>) -> Arc<Type> {
    Arc::new(Type::pointer_to(TypeLink::Known(to.clone())))
}

pub fn array(of: &Arc<Type>, count: u64) -> Arc<Type> {
    let size = of.size.expect("elements have a size");
    Arc::new(Type::array_of(TypeLink::Known(of.clone()), size, count))
}

pub fn alias(name: &str, flavour: AliasFlavour, to: &Arc<Type>) -> Arc<Type> {
    let kind = TypeKind::Alias { flavour, target: Some(TypeLink::Known(to.clone())) };
    Arc::new(Type { name: name.to_owned(), size: to.size, kind })
}

pub fn member(name: &str, ty: &Arc<Type>, offset: u64) -> Member {
    let ty = TypeLink::Known(ty.clone());
    Member { name: name.to_owned(), ty, offset, bits: None, base_class: false, variant: None }
}

pub fn record(name: &str, flavour: RecordFlavour, size: u64, members: Vec<Member>) -> Arc<Type> {
    let (virtual_bases, arguments) = (Vec::new(), Vec::new());
    let kind = TypeKind::Record(Record {
        flavour,
        language: Language::C,
        members,
        statics: Vec::new(),
        virtual_bases,
        virtual_functions: Vec::new(),
        declaration: false,
        arguments,
    });
    Arc::new(Type { name: name.to_owned(), size: Some(size), kind })
}

/// The same as Rust has it.
pub fn in_rust(ty: &Arc<Type>) -> Arc<Type> {
    let mut ty = Type::clone(ty);
    let TypeKind::Record(record) = &mut ty.kind else { panic!("{ty:?} is no record") };
    record.language = Language::Rust;
    Arc::new(ty)
}

pub fn enumeration(name: &str, names: &[(&str, i128)]) -> Arc<Type> {
    let enumerators =
        names.iter().map(|(name, value)| Enumerator { name: (*name).to_owned(), value: *value });
    let kind =
        TypeKind::Enum { signed: false, enumerators: enumerators.collect(), scope: String::new() };
    Arc::new(Type { name: name.to_owned(), size: Some(4), kind })
}

impl World {
    /// `int`s, strings, a list of two nodes, a Rust string and the like.
    pub fn new() -> Self {
        let mut world = Self {
            memory: Bytes { start: VirtAddr::new(BASE), data: vec![0; 0x1000] },
            symbols: HashMap::new(),
            types: HashMap::new(),
            lazy: Vec::new(),
            remembered: HashMap::new(),
            written: Vec::new(),
            hits: 7,
            language: Language::C,
        };
        world.scalars();
        world.strings();
        world.records();
        world.rust();
        world.classes();
        world
    }

    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.memory.data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A global variable with these bytes.
    pub fn global(&mut self, name: &str, ty: &Arc<Type>, address: u64, bytes: &[u8]) {
        self.put(address, bytes);
        let place = Place::Memory(vec![Op::Const(address)]);
        self.bind(name, ty, place);
    }

    pub fn bind(&mut self, name: &str, ty: &Arc<Type>, place: Place) {
        self.symbols.insert(name.to_owned(), Binding::Variable { ty: ty.clone(), place });
    }

    fn scalars(&mut self) {
        self.global("i", &int(), 0x1000, &(-7i32).to_le_bytes());
        let unsigned = base("unsigned int", BaseKind::Unsigned, 4);
        self.global("u", &unsigned, 0x1004, &3_000_000_000u32.to_le_bytes());
        let long = base("long", BaseKind::Signed, 8);
        self.global("l", &long, 0x1008, &(1i64 << 40).to_le_bytes());
        let byte = base("unsigned char", BaseKind::UnsignedChar, 1);
        self.global("b", &byte, 0x1010, &[200]);
        self.global("c", &char_type(), 0x1011, b"a");
        self.global("flag", &base("bool", BaseKind::Bool, 1), 0x1012, &[1]);
        self.global("f", &base("float", BaseKind::Float, 4), 0x1014, &1.5f32.to_le_bytes());
        self.global("d", &base("double", BaseKind::Float, 8), 0x1018, &(-0.25f64).to_le_bytes());
        // 3.0 as x87 has it: mantissa 0b11 at the top, exponent 16383 + 1.
        let extended = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0x40, 0, 0, 0, 0, 0, 0];
        self.global("ld", &base("long double", BaseKind::Float, 16), 0x1020, &extended);
        let numbers: Vec<u8> = [10i32, 20, 30, 40].iter().flat_map(|n| n.to_le_bytes()).collect();
        self.global("arr", &array(&int(), 4), 0x1030, &numbers);
        self.global("ip", &pointer(&int()), 0x1040, &0x1034u64.to_le_bytes());
        self.global("wild", &pointer(&int()), 0x1048, &8u64.to_le_bytes());
        let reference = Arc::new(Type {
            name: String::new(),
            size: Some(8),
            kind: TypeKind::Pointer {
                target: Some(TypeLink::Known(int())),
                flavour: PointerFlavour::Reference,
            },
        });
        self.global("ref", &reference, 0x1050, &0x1000u64.to_le_bytes());
        let holder = vec![member("r", &reference, 0), member("k", &int(), 8)];
        let holder = record("holder", RecordFlavour::Struct, 16, holder);
        let mut bytes = 0x1000u64.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        self.global("holder", &holder, 0x1060, &bytes);
        self.bind("reg", &int(), Place::Register(Reg::Rbx));
        self.bind("local", &int(), Place::Memory(vec![Op::RegOffset(Reg::Rbp, -0x10)]));
        self.put(0x1ff0, &99i32.to_le_bytes());
        self.bind("gone", &int(), Place::Unavailable("optimized out".to_owned()));
        let two =
            vec![Op::Const(40), Op::Const(2), Op::Binary(trapline_core::location::BinaryOp::Add)];
        self.bind("computed", &int(), Place::Value(two));
        self.bind("vec", &base("double", BaseKind::Float, 8), Place::Register(Reg::Xmm(1)));
        self.bind("file.c::hidden", &int(), Place::Bytes(vec![5, 0, 0, 0]));
        self.bind("main::count", &int(), Place::Bytes(vec![6, 0, 0, 0]));
        self.types.insert("myint".into(), alias("myint", AliasFlavour::Typedef, &int()));
        let function = Arc::new(Type {
            name: String::new(),
            size: None,
            kind: TypeKind::Function {
                result: Some(TypeLink::Known(int())),
                parameters: vec![TypeLink::Known(char_type())],
            },
        });
        let address = VirtAddr::new(0x401000);
        self.symbols.insert(
            "handler".into(),
            Binding::Function {
                ty: function.clone(),
                address,
                name: "handler".into(),
                takes_object: false,
            },
        );
        let untyped = Binding::Untyped { address: VirtAddr::new(0x1034), name: "untyped".into() };
        self.symbols.insert("untyped".into(), untyped);
        self.global("fp", &pointer(&function), 0x1058, &0x401000u64.to_le_bytes());
    }

    fn strings(&mut self) {
        self.global("text", &pointer(&char_type()), 0x1100, &0x1180u64.to_le_bytes());
        self.put(0x1180, b"hello\0");
        self.global("buf", &array(&char_type(), 8), 0x1108, b"abc\0\0\0\0\0");
        self.global("full", &array(&char_type(), 3), 0x1110, b"xyz");
        self.global("zeros", &array(&char_type(), 32), 0x1120, b"start");
        let edge = pointer(&char_type());
        self.global("edge", &edge, 0x1148, &0x1ffdu64.to_le_bytes());
        self.put(0x1ffd, b"end");
    }

    fn records(&mut self) {
        let color = enumeration("color", &[("RED", 0), ("GREEN", 5), ("BLUE", 6)]);
        self.types.insert("color".into(), color.clone());
        self.global("paint", &color, 0x1200, &5u32.to_le_bytes());
        let flags = enumeration("flags", &[("A", 1), ("B", 2), ("C", 4)]);
        self.global("mask", &flags, 0x1204, &5u32.to_le_bytes());
        let point = record(
            "point",
            RecordFlavour::Struct,
            8,
            vec![member("x", &int(), 0), member("y", &int(), 4)],
        );
        self.types.insert("point".into(), point.clone());
        let next = Member {
            ty: TypeLink::Known(Arc::new(Type::pointer_to(TypeLink::Lazy(TypeRef {
                module: ModuleId::new(0),
                offset: 0,
            })))),
            ..member("next", &int(), 8)
        };
        let unsigned = base("unsigned int", BaseKind::Unsigned, 4);
        let low = BitField { shift: 0, width: 3 };
        let high = BitField { shift: 3, width: 5 };
        let anonymous = record("", RecordFlavour::Union, 4, vec![member("tag", &int(), 0)]);
        let node = record(
            "node",
            RecordFlavour::Struct,
            48,
            vec![
                member("value", &int(), 0),
                next,
                member("pos", &point, 16),
                Member { bits: Some(low), ..member("low", &unsigned, 24) },
                Member { bits: Some(high), ..member("delta", &int(), 24) },
                member("", &anonymous, 28),
                member("name", &array(&char_type(), 8), 32),
                member("color", &color, 40),
            ],
        );
        self.lazy.push(node.clone());
        self.types.insert("node".into(), node.clone());
        let mut bytes = [0u8; 48];
        bytes[0..4].copy_from_slice(&11i32.to_le_bytes());
        bytes[8..16].copy_from_slice(&0x1340u64.to_le_bytes());
        bytes[16..20].copy_from_slice(&1i32.to_le_bytes());
        bytes[20..24].copy_from_slice(&2i32.to_le_bytes());
        bytes[24] = 0b1110_1101;
        bytes[28..32].copy_from_slice(&77i32.to_le_bytes());
        bytes[32..36].copy_from_slice(b"head");
        bytes[40] = 6;
        self.global("node", &node, 0x1300, &bytes);
        bytes[0] = 22;
        bytes[8..16].fill(0);
        self.put(0x1340, &bytes);
        self.global("p", &pointer(&node), 0x1380, &0x1300u64.to_le_bytes());
        self.global("vp", &pointer(&Arc::new(Type::void())), 0x1388, &0x1300u64.to_le_bytes());
    }

    fn rust(&mut self) {
        let usize_type = base("usize", BaseKind::Unsigned, 8);
        let u8_type = base("u8", BaseKind::Unsigned, 1);
        let str_type = record(
            "&str",
            RecordFlavour::Struct,
            16,
            vec![member("data_ptr", &pointer(&u8_type), 0), member("length", &usize_type, 8)],
        );
        let mut fat = 0x1180u64.to_le_bytes().to_vec();
        fat.extend_from_slice(&5u64.to_le_bytes());
        self.global("s", &str_type, 0x1400, &fat);
        let piece = |op| Piece { place: Place::Value(vec![op]), len: 8 };
        let pieces = vec![piece(Op::Const(0x1180)), piece(Op::Const(4))];
        self.bind("split", &str_type, Place::Pieces(pieces));
        // As the standard library of Rust 1.95 has it.
        let within = |name: &str, inner: &str, ty: &Arc<Type>, size: u64, at: u64| {
            record(name, RecordFlavour::Struct, size, vec![member(inner, ty, at)])
        };
        let non_null = within("NonNull<u8>", "pointer", &pointer(&u8_type), 8, 0);
        let unique = within("Unique<u8>", "pointer", &non_null, 8, 0);
        let raw_inner = within("RawVecInner", "ptr", &unique, 16, 8);
        let raw = within("RawVec<u8, Global>", "inner", &raw_inner, 16, 0);
        let vec_type = record(
            "alloc::vec::Vec<u8, Global>",
            RecordFlavour::Struct,
            24,
            vec![member("buf", &raw, 0), member("len", &usize_type, 16)],
        );
        let string = within("alloc::string::String", "vec", &vec_type, 24, 0);
        let mut owned = 5u64.to_le_bytes().to_vec();
        owned.extend_from_slice(&fat);
        self.global("owned", &string, 0x1420, &owned);
        let tuple = record(
            "(i32, bool)",
            RecordFlavour::Struct,
            8,
            vec![member("__0", &int(), 0), member("__1", &base("bool", BaseKind::Bool, 1), 4)],
        );
        self.global("pair", &in_rust(&tuple), 0x1440, &[9, 0, 0, 0, 1, 0, 0, 0]);
        let u32_type = base("u32", BaseKind::Unsigned, 4);
        let some = record("Some", RecordFlavour::Struct, 8, vec![member("__0", &u32_type, 4)]);
        let none = record("None", RecordFlavour::Struct, 8, vec![]);
        let option = record(
            "core::option::Option<u32>",
            RecordFlavour::Variants { discriminant: Some(Box::new(member("", &u32_type, 0))) },
            8,
            vec![
                Member { variant: Some(vec![0]), ..member("None", &in_rust(&none), 0) },
                Member { variant: Some(vec![1]), ..member("Some", &in_rust(&some), 0) },
            ],
        );
        self.global("opt", &option, 0x1450, &[1, 0, 0, 0, 5, 0, 0, 0]);
        self.global("nothing", &option, 0x1458, &[0; 8]);
    }

    /// `D : A, B` in `E : Z, D`; `M` has `A` twice; `X` has a virtual base.
    fn classes(&mut self) {
        let class = |name: &str, bases: &[(&Arc<Type>, u64)], own: &str, size: u64| {
            let base =
                |&(ty, offset): &(_, u64)| Member { base_class: true, ..member("", ty, offset) };
            let members = bases.iter().map(base).chain([member(own, &int(), size - 4)]);
            record(name, RecordFlavour::Class, size, members.collect())
        };
        let [a, b, z, v] =
            ["A", "B", "Z", "V"].map(|name| class(name, &[], &name.to_lowercase(), 4));
        let d = class("D", &[(&a, 0), (&b, 4)], "d", 12);
        let e = class("E", &[(&z, 0), (&d, 4)], "e", 20);
        let (l, r) = (class("L", &[(&a, 0)], "l", 8), class("R", &[(&a, 0)], "r", 8));
        let m = class("M", &[(&l, 0), (&r, 8)], "m", 20);
        let mut w = (*class("W", &[], "w", 12)).clone();
        if let TypeKind::Record(record) = &mut w.kind {
            let ty = TypeLink::Known(v.clone());
            record.virtual_bases.push(VirtualBase { ty, slot: Some(-24) });
        }
        let x = class("X", &[(&z, 0), (&Arc::new(w.clone()), 8)], "x", 24);
        let mut declared = (*e).clone();
        if let TypeKind::Record(record) = &mut declared.kind {
            (record.members, record.declaration, declared.size) = (Vec::new(), true, None);
        }
        for ty in [&a, &b, &z, &v, &d, &e, &l, &r, &m, &Arc::new(w), &x] {
            self.types.insert(ty.name.clone(), ty.clone());
        }
        let numbers: Vec<u8> = (1..=6i32).flat_map(|n| n.to_le_bytes()).collect();
        self.global("e", &e, 0x1500, &numbers[..20]);
        self.global("m", &m, 0x1520, &numbers[..20]);
        // Its `W`, at 0x1548, has a table at 0x15c0, which says that the `V` is 16
        // bytes further.
        let mut object = numbers.clone();
        object[8..16].copy_from_slice(&0x15c0_u64.to_le_bytes());
        self.global("x", &x, 0x1540, &object);
        self.put(0x1558, &7_i32.to_le_bytes());
        self.put(0x15a8, &16_i64.to_le_bytes());
        self.bind("stored", &e, Place::Bytes(numbers[..20].to_vec()));
        self.global("ep", &pointer(&e), 0x1560, &0x1500u64.to_le_bytes());
        self.global("dp", &pointer(&d), 0x1568, &0x1504u64.to_le_bytes());
        self.global("bp", &pointer(&b), 0x1570, &0x1508u64.to_le_bytes());
        self.global("none", &pointer(&d), 0x1578, &[0; 8]);
        self.global("opaque", &pointer(&Arc::new(declared)), 0x1580, &0x1500u64.to_le_bytes());
        let alias = alias("", AliasFlavour::Const, &alias("Base", AliasFlavour::Typedef, &b));
        self.types.insert("Base".into(), alias);
    }

    /// Parses, checks and evaluates; a failure of any step as one text.
    pub fn eval(&mut self, text: &str, purpose: Purpose) -> Result<Value, String> {
        let program =
            trapline_expr::compile(text, self, purpose).map_err(|error| error.to_string())?;
        trapline_expr::evaluate(&program, self).map_err(|error: EvalError| error.to_string())
    }

    /// The value as it prints.
    pub fn show(&mut self, text: &str) -> String {
        match self.eval(text, Purpose::Assignment) {
            Ok(value) => self.print(&value, Default::default()),
            Err(error) => format!("error: {error}"),
        }
    }

    pub fn print(
        &self,
        value: &Value,
        options: trapline_expr::format::FormatOptions<'_>,
    ) -> String {
        let symbolize =
            |address: VirtAddr| (address.get() == 0x401000).then(|| "handler".to_owned());
        let options =
            trapline_expr::format::FormatOptions { symbolize: Some(&symbolize), ..options };
        trapline_expr::format::format_value(value, self, &self.memory, &options)
    }
}

impl ResolveType for World {
    fn resolve(&self, reference: TypeRef) -> Result<Arc<Type>, String> {
        let found = self.lazy.get(reference.offset as usize).cloned();
        found.ok_or_else(|| "no such type".to_owned())
    }
}

impl Scope for World {
    fn language(&self) -> Language {
        self.language
    }

    fn variable(&self, path: &Path) -> Result<Option<Binding>, String> {
        let prefix = path.file.as_ref().map_or(String::new(), |file| format!("{file}::"));
        Ok(self.symbols.get(&format!("{prefix}{}", path.joined())).cloned())
    }

    fn is_local(&self, name: &str) -> bool {
        matches!(name, "this" | "local")
    }

    fn method_object(&self) -> Option<Arc<Type>> {
        let Some(Binding::Variable { ty, .. }) = self.symbols.get("this") else { return None };
        let TypeKind::Pointer { target: Some(link), .. } = &ty.kind else { return None };
        self.follow(link).ok()
    }

    fn type_named(&self, name: &str) -> Result<Option<Arc<Type>>, String> {
        Ok(self.types.get(name).cloned())
    }

    fn convenience(&self, name: &str) -> Option<Value> {
        (name == "mine").then(|| Value::new(int(), &42i32.to_le_bytes()))
    }

    fn suggest(&self, name: &str) -> Vec<String> {
        let close = |known: &&String| known.starts_with(&name[..name.len().min(3)]);
        self.symbols.keys().filter(close).cloned().collect()
    }
}

impl ReadMemory for World {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        self.memory.read_some(addr, buf)
    }
}

impl Frame for World {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        match reg {
            Reg::Rax => Ok(0x1122_3344_5566_8877),
            Reg::Rbx => Ok(0xffff_ffff_ffff_fffe),
            Reg::Rbp => Ok(0x2000),
            Reg::Rip => Ok(0x401000),
            _ => Err(format!("{reg} is not known in this frame")),
        }
    }

    fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
        Err("no thread-local storage".to_owned())
    }
}

impl Machine for World {
    fn vector_register(&self, index: u8) -> Result<[u8; 16], String> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&2.5f64.to_le_bytes());
        if index == 1 { Ok(bytes) } else { Err("not known".to_owned()) }
    }

    fn input(&mut self, input: Input) -> Result<InputValue, String> {
        Ok(match input {
            Input::Hits => InputValue::Number(self.hits),
            Input::Passes => InputValue::Number(100),
            Input::Tid => InputValue::Number(4321),
            Input::Thread => InputValue::Number(2),
            Input::Pid => InputValue::Number(1234),
            Input::ThreadName => InputValue::Text("worker".into()),
            Input::ProcessName => InputValue::Text("server".into()),
            Input::Machine => InputValue::Text("host".into()),
            Input::Caller => return Err("there is no caller".to_owned()),
        })
    }

    fn changed(&mut self, slot: usize, bytes: &[u8]) -> bool {
        let before = self.remembered.insert(slot, bytes.to_vec());
        before.is_some_and(|before| before != bytes)
    }

    fn write_memory(&mut self, address: VirtAddr, bytes: &[u8]) -> Result<(), String> {
        self.put(address.get(), bytes);
        Ok(())
    }

    fn write_register(&mut self, view: RegView, bytes: &[u8]) -> Result<(), String> {
        self.written.push((view.reg.to_string(), bytes.to_vec()));
        Ok(())
    }
}
