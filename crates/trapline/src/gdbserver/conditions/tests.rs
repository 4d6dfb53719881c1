//! What the bytecode means is what the condition made of it means: the
//! interpreter of the one against that of the other.

use proptest::prelude::*;
use trapline_core::location::Frame;
use trapline_core::memory::ReadMemory;
use trapline_core::x64::ExtendedLayout;
use trapline_core::x64::Reg;
use trapline_core::{ModuleId, VirtAddr};
use trapline_expr::interp::{self, InputValue};
use trapline_expr::ir::Input;
use trapline_rsp::agent::Limits;

use super::*;

/// Registers whose value is their number, and memory with a hole below.
struct Ramp;

const HOLE: u64 = 8;

fn register(number: u16) -> u64 {
    u64::from(number) * 3 + 1
}

fn fill(address: u64, bytes: &mut [u8]) -> bool {
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = address.wrapping_add(place as u64).wrapping_mul(37) as u8;
    }
    address >= HOLE
}

impl agent::Machine for Ramp {
    fn register(&mut self, number: u16) -> Option<u64> {
        (number < 16).then_some(register(number))
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        fill(address, bytes)
    }

    fn print(&mut self, _: &str) {}
}

impl ReadMemory for Ramp {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        if fill(addr.get(), buf) { buf.len() } else { 0 }
    }
}

impl Frame for Ramp {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        let file = RegisterFile::new(&ExtendedLayout::default());
        let number = (0..16).find(|number| file.by_number(*number) == Some(reg));
        Ok(register(number.expect("a general register")))
    }

    fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
        Err("there are none".to_owned())
    }
}

impl interp::Machine for Ramp {
    fn vector_register(&self, _: u8) -> Result<[u8; 16], String> {
        Err("there are none".to_owned())
    }

    fn input(&mut self, _: Input) -> Result<InputValue, String> {
        Err("there is none".to_owned())
    }

    fn changed(&mut self, _: usize, _: &[u8]) -> bool {
        false
    }
}

/// An expression as gdb compiles it.
#[derive(Clone, Debug)]
enum Tree {
    Const(u64),
    Register(u16),
    Load(u8, Box<Tree>),
    Not(Box<Tree>),
    BitNot(Box<Tree>),
    Extend(bool, u8, Box<Tree>),
    Binary(u8, Box<[Tree; 2]>),
    /// Both, moved about on the stack.
    Shuffled(u8, Box<[Tree; 2]>),
    And(Box<[Tree; 2]>),
    Or(Box<[Tree; 2]>),
    Choice(Box<[Tree; 3]>),
}

const IF_GOTO: u8 = 0x20;
const GOTO: u8 = 0x21;

/// Code under construction.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    fn constant(&mut self, value: u64) {
        self.0.push(0x25);
        self.0.extend(value.to_be_bytes());
    }

    /// A jump whose end is not known yet.
    fn jump(&mut self, op: u8) -> usize {
        self.0.extend([op, 0, 0]);
        self.0.len() - 2
    }

    fn land(&mut self, jump: usize) {
        let here = u16::try_from(self.0.len()).unwrap();
        self.0[jump..jump + 2].copy_from_slice(&here.to_be_bytes());
    }

    fn choose(&mut self, test: &Tree, then: &Tree, otherwise: &Tree) {
        self.add(test);
        let holds = self.jump(IF_GOTO);
        self.add(otherwise);
        let over = self.jump(GOTO);
        self.land(holds);
        self.add(then);
        self.land(over);
    }

    fn add(&mut self, tree: &Tree) {
        match tree {
            Tree::Const(value) => self.constant(*value),
            Tree::Register(number) => {
                self.0.push(0x26);
                self.0.extend(number.to_be_bytes());
            }
            Tree::Load(power, address) => {
                self.add(address);
                self.0.push(0x17 + power);
            }
            Tree::Not(value) => {
                self.add(value);
                self.0.push(0x0e);
            }
            Tree::BitNot(value) => {
                self.add(value);
                self.0.push(0x12);
            }
            Tree::Extend(signed, bits, value) => {
                self.add(value);
                self.0.extend([if *signed { 0x16 } else { 0x2a }, *bits]);
            }
            Tree::Binary(op, both) => {
                both.iter().for_each(|tree| self.add(tree));
                self.0.push(*op);
            }
            Tree::Shuffled(how, both) => {
                both.iter().for_each(|tree| self.add(tree));
                self.0.extend(SHUFFLES[usize::from(*how)]);
            }
            Tree::And(both) => self.choose(&both[0], &both[1], &Tree::Const(0)),
            Tree::Or(both) => self.choose(&both[0], &Tree::Const(1), &both[1]),
            Tree::Choice(all) => self.choose(&all[0], &all[1], &all[2]),
        }
    }
}

/// Ways to make one value of two, of which both are used.
const SHUFFLES: &[&[u8]] = &[
    // swap, sub
    &[0x2b, 0x03],
    // dup, rot, add, add
    &[0x28, 0x33, 0x02, 0x02],
    // pick 1, swap, sub, add
    &[0x32, 1, 0x2b, 0x03, 0x02],
    // dup, pop, swap, dup, mul, add
    &[0x28, 0x29, 0x2b, 0x28, 0x04, 0x02],
];

const BINARIES: &[u8] = &[2, 3, 4, 5, 6, 7, 8, 9, 0x0a, 0x0b, 0x0f, 0x10, 0x11, 0x13, 0x14, 0x15];

fn trees() -> impl Strategy<Value = Tree> {
    let constant =
        prop_oneof![0..5_u64, Just(u64::MAX), Just(1 << 63), Just(0x8000_0000), any::<u64>(),];
    let leaf = prop_oneof![constant.prop_map(Tree::Const), (0..16_u16).prop_map(Tree::Register),];
    leaf.prop_recursive(7, 60, 3, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let two = [inner.clone(), inner.clone()].prop_map(Box::new);
        let three = [inner.clone(), inner.clone(), inner].prop_map(Box::new);
        prop_oneof![
            (0..4_u8, one.clone()).prop_map(|(power, tree)| Tree::Load(power, tree)),
            one.clone().prop_map(Tree::Not),
            one.clone().prop_map(Tree::BitNot),
            (any::<bool>(), 0..=64_u8, one)
                .prop_map(|(signed, bits, it)| Tree::Extend(signed, bits, it)),
            (prop::sample::select(BINARIES), two.clone())
                .prop_map(|(op, both)| Tree::Binary(op, both)),
            (0..4_u8, two.clone()).prop_map(|(how, both)| Tree::Shuffled(how, both)),
            two.clone().prop_map(Tree::And),
            two.prop_map(Tree::Or),
            three.prop_map(Tree::Choice),
        ]
    })
}

fn check(code: &[u8]) {
    let program = agent::Program::decode(code).unwrap();
    let meant = program.run(&mut Ramp, Limits { stack: 10_000, ..Limits::default() });
    let file = RegisterFile::new(&ExtendedLayout::default());
    let condition = any_of(&[code.to_vec()], &file).unwrap();
    let held = interp::condition(&condition, &mut Ramp);
    let meant = meant.map(|top| top != Some(0)).map_err(|fault| fault.to_string());
    match (&meant, &held) {
        (Ok(meant), Ok(held)) => assert_eq!(meant, held, "{program}\n{condition:?}"),
        (Err(_), Err(_)) => {}
        _ => panic!("{meant:?} and {held:?} of\n{program}"),
    }
}

proptest! {
    #[test]
    fn conditions_mean_what_their_bytecode_means(tree in trees()) {
        let mut code = Code::default();
        code.add(&tree);
        code.0.push(0x27);
        check(&code.0);
    }
}

/// Each place is reached from the one before and from the one before that, so
/// that the ways to it are as many as numbers of Fibonacci's.
#[test]
fn code_that_branches_in_too_many_ways_is_refused() {
    let mut code = Code::default();
    let mut jumps = Vec::new();
    for number in 0..2000 {
        code.0.extend([0x26, 0, number as u8 % 16]);
        jumps.push(code.jump(IF_GOTO));
        if let [.., before, _] = jumps[..] {
            code.land(before);
        }
    }
    let last = jumps.split_off(jumps.len() - 1);
    last.into_iter().for_each(|jump| code.land(jump));
    code.constant(1);
    code.0.push(0x27);
    let file = RegisterFile::new(&ExtendedLayout::default());
    let refused = any_of(&[code.0], &file).map(drop).unwrap_err();
    assert_eq!(refused.why, "the code branches in too many ways");
}

#[test]
fn long_conditions_of_users_are_taken() {
    let mut all = Tree::Register(0);
    for number in 0..80_u16 {
        let next = Box::new([Tree::Register(number % 16), all]);
        all = if number % 3 == 0 { Tree::Or(next) } else { Tree::And(next) };
    }
    let mut code = Code::default();
    code.add(&all);
    code.0.push(0x27);
    check(&code.0);
}
