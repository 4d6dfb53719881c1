//! A program that never was: random memory, registers and variables, in places
//! of every kind.

use std::collections::HashMap;
use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::ids::ModuleId;
use trapline_core::location::{BinaryOp, Op, Piece, Place, UnaryOp};
use trapline_core::memory::{Bytes, ReadMemory};
use trapline_core::types::{
    BaseKind, BitField, Member, RecordFlavour, ResolveType, Type, TypeLink, TypeRef,
};
use trapline_core::x64::Reg;
use trapline_expr::native::{Environment, InputPlace, cell};
use trapline_expr::{Binding, Input, Path, Scope, Value};

#[path = "world/kinds.rs"]
mod kinds;

use super::random::Random;
use super::support::{array, base, char_type, int, member, pointer, record};

pub(crate) const LOW: u64 = 0x1000_0000;
pub(crate) const HIGH: u64 = 0x5000_0000_0000;
pub(crate) const STACK: u64 = 0x5100_0000_0000;
const DATA_SIZE: u64 = 0x2000;
const STACK_SIZE: u64 = 0x4000;
const TLS_SIZE: u64 = 256;
/// Bytes at the start of [`HIGH`] for cells: three slots and the last value.
pub(crate) const CELLS: usize = 4 * cell::SIZE as usize;
/// Bytes of a row, and the words of it that hold numbers.
pub(crate) const TID: u32 = 4;
pub(crate) const THREAD: u32 = 12;
/// The word that pays.
pub(crate) const CREDIT: u32 = 64;

const TEXTS: [&[u8]; 9] = [
    b"",
    b"a",
    b"ab",
    b"hello",
    b"help me",
    b"hello, world",
    b"hello, worlds apart",
    b"a text of some length, which is more than thirty-two bytes",
    b"a text of some length, which is more than thirty-two bites",
];

/// Scalar types by name, with their sizes.
const SCALARS: [(&str, BaseKind, u64); 11] = [
    ("signed char", BaseKind::SignedChar, 1),
    ("unsigned char", BaseKind::UnsignedChar, 1),
    ("short", BaseKind::Signed, 2),
    ("unsigned short", BaseKind::Unsigned, 2),
    ("int", BaseKind::Signed, 4),
    ("unsigned int", BaseKind::Unsigned, 4),
    ("long", BaseKind::Signed, 8),
    ("unsigned long", BaseKind::Unsigned, 8),
    ("bool", BaseKind::Bool, 1),
    ("float", BaseKind::Float, 4),
    ("double", BaseKind::Float, 8),
];

/// Names, types and memory; the registers are each run's own.
pub(crate) struct World {
    /// Low, high, stack, thread-local.
    pub(crate) memory: [Bytes; 4],
    pub(crate) fs_base: u64,
    /// Texts that end where an area does, without a zero.
    edges: Vec<u64>,
    variables: HashMap<String, Binding>,
    node: Arc<Type>,
    /// What computes the lengths of arrays.
    lengths: Vec<Vec<Op>>,
    /// What registers hold at the start of a run.
    roles: [Role; 16],
    /// Names of variables that are integers, floats, pointers to nodes,
    /// pointers to numbers, and texts.
    pub(crate) ints: Vec<String>,
    pub(crate) floats: Vec<String>,
    pub(crate) nodes: Vec<String>,
    pub(crate) numbers: Vec<String>,
    pub(crate) texts: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Int,
    Data,
    Stack,
}

/// The registers at the start of one run, and what changes from run to run.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) registers: [u64; 16],
    pub(crate) xmm: [[u8; 16]; 16],
    pub(crate) row: [u64; 16],
    pub(crate) cells: Vec<u8>,
    rflags: u32,
    mxcsr: u32,
}

impl Run {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.registers.iter().chain(&self.row).for_each(|word| out.extend(word.to_le_bytes()));
        self.xmm.iter().for_each(|bytes| out.extend(bytes));
        out.extend(&self.cells);
        out.extend(self.rflags.to_le_bytes());
        out.extend(self.mxcsr.to_le_bytes());
    }

    /// 4 bytes of the row.
    pub(crate) fn row_number(&self, at: u32) -> u64 {
        (self.row[at as usize / 8] >> (8 * (at % 8))) & 0xffff_ffff
    }
}

impl World {
    pub(crate) fn random(random: &mut Random, fs_base: u64, tls: u64) -> Self {
        let area = |start: u64, size: u64| Bytes {
            start: VirtAddr::new(start),
            data: vec![0; size as usize],
        };
        let memory = [
            area(LOW, DATA_SIZE),
            area(HIGH, DATA_SIZE),
            area(STACK, STACK_SIZE),
            area(tls, TLS_SIZE),
        ];
        let roles = std::array::from_fn(|_| random.pick(&[Role::Int, Role::Int, Role::Data]));
        let mut world = Self {
            memory,
            fs_base,
            edges: Vec::new(),
            variables: HashMap::new(),
            node: node(),
            lengths: Vec::new(),
            roles,
            ints: Vec::new(),
            floats: Vec::new(),
            nodes: Vec::new(),
            numbers: Vec::new(),
            texts: Vec::new(),
        };
        world.roles[4] = Role::Stack;
        if random.one_in(2) {
            world.roles[5] = Role::Stack;
        }
        world.fill(random);
        world.bind_scalars(random);
        world.bind_pointers(random);
        world.bind_texts(random);
        world.bind_kinds(random);
        world
    }

    fn fill(&mut self, random: &mut Random) {
        for area in &mut self.memory {
            for word in area.data.chunks_exact_mut(8) {
                let value = match random.below(10) {
                    0..=2 => pointer_to_data(random),
                    3 => f64::to_bits(random.pick(&FLOATS)),
                    4 => u64::from(f32::to_bits(random.pick(&FLOATS) as f32)) * 0x1_0000_0001,
                    5 => random.next(),
                    6 => small(random) & 0xffff_ffff | small(random) << 32,
                    _ => small(random),
                };
                word.copy_from_slice(&value.to_le_bytes());
            }
            for _ in 0..20 {
                let text = random.pick(&TEXTS);
                let at = random.below((area.data.len() - text.len()) as u64) as usize;
                area.data[at..at + text.len()].copy_from_slice(text);
                area.data[at + text.len()] = 0;
            }
            let text = random.pick(&TEXTS[3..]);
            let at = area.data.len() - text.len();
            area.data[at..].copy_from_slice(text);
            self.edges.push(area.start.get() + at as u64);
        }
    }

    /// The registers of one run.
    pub(crate) fn run(&self, random: &mut Random) -> Run {
        let mut registers = [0; 16];
        for (register, role) in registers.iter_mut().zip(self.roles) {
            *register = match role {
                Role::Int => number(random),
                Role::Data => pointer_to_data(random),
                Role::Stack => STACK + STACK_SIZE / 2 + 8 * random.below(0x80),
            };
        }
        let mut xmm = [[0; 16]; 16];
        for half in xmm.iter_mut().flat_map(|bytes| bytes.chunks_exact_mut(8)) {
            let bits = match random.below(4) {
                0 => random.next(),
                1 => u64::from(f32::to_bits(random.pick(&FLOATS) as f32)) * 0x1_0000_0001,
                _ => f64::to_bits(random.pick(&FLOATS)),
            };
            half.copy_from_slice(&bits.to_le_bytes());
        }
        let mut row = std::array::from_fn(|_| random.next());
        row[0] = random.below(5) << 32 | random.below(2);
        row[1] = random.below(5) << 32 | 1;
        row[CREDIT as usize / 8] = random.pick(&[0, 1, 2, u64::MAX, 1 << 40]);
        Run {
            registers,
            xmm,
            row,
            cells: vec![0; CELLS],
            rflags: 0x202 | (random.next() as u32 & 0x8d5) | random.pick(&[0, 0x400]),
            mxcsr: random.pick(&[0x1f80, 0x1f80, 0x9fc0, 0x0000, 0x7f80, 0x1fa5]),
        }
    }

    fn bind_scalars(&mut self, random: &mut Random) {
        for (name, kind, size) in SCALARS {
            for copy in 0..3 {
                let ty = base(name, kind, size);
                let place = self.place(random, size, kind == BaseKind::Float);
                let name = format!("{}{copy}", name.replace(' ', "_"));
                self.bind(&name, &ty, place);
                let names = if kind == BaseKind::Float { &mut self.floats } else { &mut self.ints };
                names.push(name);
            }
        }
    }

    fn bind_pointers(&mut self, random: &mut Random) {
        for copy in 0..3 {
            let node = self.node.clone();
            let place = self.pointer_place(random, pointer_to_data);
            self.bind(&format!("node{copy}"), &pointer(&node), place);
            self.nodes.push(format!("node{copy}"));
            let place = self.memory_place(random, node.size.unwrap_or(0));
            self.bind(&format!("whole{copy}"), &node, place);
            self.nodes.push(format!("(&whole{copy})"));
            let (name, kind, size) = random.pick(&SCALARS[..8]);
            let place = self.pointer_place(random, pointer_to_data);
            self.bind(&format!("number{copy}"), &pointer(&base(name, kind, size)), place);
            self.numbers.push(format!("number{copy}"));
        }
        let place = self.memory_place(random, 32);
        self.bind("list", &array(&base("short", BaseKind::Signed, 2), 16), place);
        self.numbers.push("list".to_owned());
    }

    fn bind_texts(&mut self, random: &mut Random) {
        for copy in 0..4 {
            let starts = self.starts_of_texts();
            let place = self.pointer_place(random, |random| random.pick(&starts));
            self.bind(&format!("text{copy}"), &pointer(&char_type()), place);
            self.texts.push(format!("text{copy}"));
            let start = random.pick(&starts);
            let size = 1 + random.below(24).min(self.room(start).saturating_sub(1));
            let place = Place::Memory(vec![Op::Const(start)]);
            self.bind(&format!("chars{copy}"), &array(&char_type(), size), place);
            self.texts.push(format!("chars{copy}"));
        }
        let word = base("usize", BaseKind::Unsigned, 8);
        let slice = record(
            "&str",
            RecordFlavour::Struct,
            16,
            vec![
                member("data_ptr", &pointer(&base("u8", BaseKind::Unsigned, 1)), 0),
                member("length", &word, 8),
            ],
        );
        for copy in 0..2 {
            let start = random.pick(&self.starts_of_texts());
            let len = random.pick(&[0, 1, 2, 5, 7, 12, 19, 58, 5000]);
            let place = match random.one_in(2) {
                true => {
                    let at = self.memory_address(random, 16);
                    self.put(at, &start.to_le_bytes());
                    self.put(at + 8, &u64::to_le_bytes(len));
                    Place::Memory(vec![Op::Const(at)])
                }
                false => {
                    let piece = |op| Piece { place: Place::Value(vec![op]), len: 8 };
                    Place::Pieces(vec![piece(Op::Const(start)), piece(Op::Const(len))])
                }
            };
            self.bind(&format!("slice{copy}"), &slice, place);
            self.texts.push(format!("slice{copy}"));
        }
    }

    /// Where one of [`TEXTS`] is, and places at the ends of areas.
    fn starts_of_texts(&self) -> Vec<u64> {
        let mut starts =
            vec![LOW + DATA_SIZE - 3, HIGH + DATA_SIZE - 1, LOW + DATA_SIZE - 8, HIGH + 0x1000 - 4];
        for area in &self.memory[..2] {
            for text in &TEXTS[3..] {
                let found = area.data.windows(text.len()).position(|window| window == *text);
                starts.extend(found.map(|at| area.start.get() + at as u64));
            }
        }
        starts
    }

    fn room(&self, start: u64) -> u64 {
        let area = self.area(start).expect("a text is in memory");
        area.start.get() + area.data.len() as u64 - start
    }

    fn bind(&mut self, name: &str, ty: &Arc<Type>, place: Place) {
        self.variables.insert(name.to_owned(), Binding::Variable { ty: ty.clone(), place });
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let area = self.memory.iter_mut().find(|area| holds(area, address));
        let area = area.expect("it is in memory");
        let at = (address - area.start.get()) as usize;
        area.data[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn area(&self, address: u64) -> Option<&Bytes> {
        self.memory.iter().find(|area| holds(area, address))
    }

    fn memory_address(&self, random: &mut Random, size: u64) -> u64 {
        let start = random.pick(&[LOW, HIGH + CELLS as u64]);
        start + random.below(DATA_SIZE - CELLS as u64 - size)
    }

    fn memory_place(&self, random: &mut Random, size: u64) -> Place {
        let address = self.memory_address(random, size);
        let op = match random.below(4) {
            0 => Op::Const(address),
            1 => Op::RegOffset(Reg::Rsp, random.below(0x200).cast_signed()),
            2 if self.roles[5] == Role::Stack => {
                Op::RegOffset(Reg::Rbp, random.below(0x200).cast_signed())
            }
            3 => {
                let offset = random.below(TLS_SIZE - size.min(TLS_SIZE - 1));
                if size > TLS_SIZE / 2 {
                    return Place::Memory(vec![Op::Const(address)]);
                }
                Op::Tls { module: ModuleId::new(1), offset }
            }
            _ => {
                let less = vec![Op::Const(address - 24), Op::Const(24), Op::Binary(BinaryOp::Add)];
                return Place::Memory(less);
            }
        };
        Place::Memory(vec![op])
    }

    /// A place for a scalar.
    fn place(&self, random: &mut Random, size: u64, float: bool) -> Place {
        match random.below(12) {
            0..=3 => self.memory_place(random, size),
            4 | 5 if float => Place::Register(Reg::Xmm(random.below(16) as u8)),
            4..=6 => Place::Register(self.general(random)),
            7 => Place::Value(self.location(random, 3)),
            8 => {
                let address = self.memory_address(random, 16);
                let mut program = vec![Op::Const(address)];
                if random.one_in(2) {
                    program.extend(self.location(random, 1));
                    program.extend([
                        Op::Const(7),
                        Op::Binary(BinaryOp::And),
                        Op::Binary(BinaryOp::Add),
                    ]);
                } else {
                    program.push(Op::Deref { size: 8 });
                }
                Place::Memory(program)
            }
            9 if size > 1 => {
                let first = 1 + random.below(size - 1);
                let mut part = |len| Piece { place: self.part(random), len };
                Place::Pieces(vec![part(first), part(size - first)])
            }
            10 => Place::Register(Reg::Xmm(random.below(16) as u8)),
            _ => Place::Bytes(random.next().to_le_bytes().to_vec()),
        }
    }

    fn part(&self, random: &mut Random) -> Place {
        match random.below(3) {
            0 => self.memory_place(random, 8),
            1 => Place::Register(self.general(random)),
            _ => Place::Value(self.location(random, 1)),
        }
    }

    fn pointer_place(&mut self, random: &mut Random, target: impl Fn(&mut Random) -> u64) -> Place {
        let data: Vec<Reg> = Reg::general()
            .zip(self.roles)
            .filter(|row| row.1 == Role::Data)
            .map(|row| row.0)
            .collect();
        if !data.is_empty() && random.one_in(3) {
            return Place::Register(random.pick(&data));
        }
        let address = self.memory_address(random, 8);
        let target = target(random);
        self.put(address, &target.to_le_bytes());
        Place::Memory(vec![Op::Const(address)])
    }

    fn general(&self, random: &mut Random) -> Reg {
        let all: Vec<Reg> = Reg::general().collect();
        random.pick(&all)
    }

    /// A location description that yields any number.
    fn location(&self, random: &mut Random, depth: u32) -> Vec<Op> {
        if depth == 0 {
            return vec![match random.below(3) {
                0 => Op::Const(number(random)),
                _ => Op::RegOffset(self.general(random), small(random).cast_signed()),
            }];
        }
        let mut program = self.location(random, depth - 1);
        match random.below(8) {
            0 => {
                let op = random.pick(&[UnaryOp::Neg, UnaryOp::Not, UnaryOp::Abs]);
                program.push(Op::Unary(op));
            }
            1 => {
                let address = self.memory_address(random, 8);
                let size = random.pick(&[1, 2, 3, 4, 7, 8]);
                program.extend([Op::Const(address), Op::Deref { size }]);
                program.push(Op::Binary(binary(random)));
            }
            2 => program.extend([Op::Pick(0), Op::Binary(binary(random))]),
            3 => {
                program.extend(self.location(random, 0));
                program.extend([Op::Swap, Op::Binary(binary(random))]);
            }
            4 => {
                program.extend(self.location(random, 0));
                program.extend(self.location(random, 0));
                program.extend([Op::Rot, Op::Binary(binary(random)), Op::Binary(binary(random))]);
            }
            5 => program.extend([Op::Const(3), Op::Drop]),
            _ => {
                program.extend(self.location(random, depth - 1));
                program.push(Op::Binary(binary(random)));
            }
        }
        program
    }
}

fn binary(random: &mut Random) -> BinaryOp {
    use BinaryOp::*;
    random.pick(&[Add, Sub, Mul, Div, Mod, And, Or, Xor, Shl, Shr, Shra, Eq, Ne, Lt, Le, Gt, Ge])
}

fn holds(area: &Bytes, address: u64) -> bool {
    address.wrapping_sub(area.start.get()) < area.data.len() as u64
}

const FLOATS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    1.5,
    2.5,
    -2.5,
    3.0,
    100.25,
    1e-40,
    5e-324,
    1e19,
    -1e19,
    f64::INFINITY,
    f64::NAN,
    1e300,
];

fn small(random: &mut Random) -> u64 {
    random.below(16).wrapping_sub(4)
}

fn number(random: &mut Random) -> u64 {
    match random.below(6) {
        0 => random.next(),
        1 => random.pick(&[
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            1 << 63,
            i64::MAX as u64,
            u64::MAX,
        ]),
        2 => small(random) & 0xffff_ffff,
        _ => small(random),
    }
}

/// Somewhere in memory, rarely nowhere.
fn pointer_to_data(random: &mut Random) -> u64 {
    if random.one_in(30) {
        return random.pick(&[
            0,
            8,
            LOW - 8,
            LOW + DATA_SIZE,
            HIGH + DATA_SIZE - 3,
            u64::MAX - 3,
            1 << 60,
        ]);
    }
    let start = random.pick(&[LOW, HIGH + CELLS as u64, STACK + STACK_SIZE - DATA_SIZE + 0x1000]);
    start + 8 * random.below((DATA_SIZE - CELLS as u64 - 0x1080) / 8)
}

/// A record with members of all kinds.
fn node() -> Arc<Type> {
    let scalar = |name: &str, at: u64, kind: usize| {
        let (ty, kind, size) = SCALARS[kind];
        member(name, &base(ty, kind, size), at)
    };
    let bits = |name: &str, at: u64, kind: usize, shift: u32, width: u32| Member {
        bits: Some(BitField { shift, width }),
        ..scalar(name, at, kind)
    };
    let link = TypeLink::Lazy(TypeRef { module: ModuleId::new(0), offset: 0 });
    let next = Member {
        ty: TypeLink::Known(Arc::new(Type::pointer_to(link))),
        ..member("next", &int(), 8)
    };
    let members = vec![
        scalar("value", 0, 4),
        scalar("count", 4, 5),
        next,
        scalar("half", 16, 2),
        scalar("small", 18, 0),
        scalar("byte", 19, 1),
        bits("low", 20, 5, 0, 3),
        bits("delta", 20, 4, 3, 5),
        bits("wide", 20, 5, 8, 17),
        bits("last", 20, 4, 25, 7),
        bits("big", 24, 7, 10, 40),
        bits("sbig", 24, 6, 20, 33),
        bits("tiny", 19, 1, 2, 3),
        bits("stiny", 18, 0, 1, 5),
        bits("all", 28, 5, 0, 32),
        member("name", &array(&char_type(), 8), 32),
        member("text", &pointer(&char_type()), 40),
        scalar("ratio", 48, 10),
        scalar("part", 56, 9),
        scalar("flag", 60, 8),
        scalar("total", 64, 6),
        member("list", &array(&int(), 4), 72),
        scalar("size", 88, 7),
    ];
    record("node", RecordFlavour::Struct, 96, members)
}

impl ResolveType for World {
    fn resolve(&self, _: TypeRef) -> Result<Arc<Type>, String> {
        Ok(self.node.clone())
    }
}

impl Scope for World {
    fn variable(&self, path: &Path) -> Result<Option<Binding>, String> {
        Ok(self.variables.get(path.joined().as_ref()).cloned())
    }

    fn is_local(&self, _: &str) -> bool {
        false
    }

    fn method_object(&self) -> Option<Arc<Type>> {
        None
    }

    fn type_named(&self, name: &str) -> Result<Option<Arc<Type>>, String> {
        Ok((name == "node").then(|| self.node.clone()))
    }

    fn length(&self, array: TypeRef) -> Result<Vec<Op>, String> {
        let known = self.lengths.get(array.offset as usize);
        known.cloned().ok_or_else(|| "no such array".to_owned())
    }

    fn convenience(&self, _: &str) -> Option<Value> {
        None
    }

    fn suggest(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

impl ReadMemory for World {
    fn read_some(&self, address: VirtAddr, buffer: &mut [u8]) -> usize {
        let area = self.area(address.get());
        area.map_or(0, |area| area.read_some(address, buffer))
    }
}

impl Environment for World {
    fn input(&self, input: Input) -> InputPlace {
        match input {
            Input::Tid => InputPlace::Row(TID),
            Input::Thread => InputPlace::Row(THREAD),
            Input::Pid => InputPlace::Number(1234),
            Input::ProcessName => InputPlace::Text("hello".into()),
            Input::Machine => InputPlace::Text("a".into()),
            Input::Hits => InputPlace::Number(7),
            Input::Passes | Input::ThreadName | Input::Caller => {
                InputPlace::Unknown("it is not known in advance".to_owned())
            }
        }
    }

    fn tls(&self, _: ModuleId, offset: u64) -> Result<i64, String> {
        let start = self.memory[3].start.get();
        Ok(start.wrapping_sub(self.fs_base).wrapping_add(offset).cast_signed())
    }

    fn pc(&self) -> u64 {
        0x40_1000
    }
}
