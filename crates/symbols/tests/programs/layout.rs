//! Rust types whose layout the program prints.

use std::mem::{offset_of, size_of};

pub struct Mixed {
    pub byte: u8,
    pub word: u64,
    pub half: i16,
    pub text: String,
    pub list: Vec<u32>,
}
pub struct Pair(pub u8, pub u32);
#[allow(dead_code)]
pub enum Shape {
    Circle { radius: f64 },
    Square(u32, u32),
    Nothing,
}
#[allow(dead_code)]
#[repr(i8)]
#[derive(Clone, Copy)]
pub enum Level {
    Low = -3,
    High = 7,
}
pub union Bits {
    pub int: u32,
    pub float: f32,
}
pub static COUNTER: i32 = 12;
pub mod settings {
    pub static LIMIT: u16 = 500;
}

#[inline(never)]
fn show(mixed: &Mixed, shape: &Shape, level: Level, maybe: Option<&i32>, bits: Bits, pair: Pair) {
    let letter = 'x';
    let unit = ();
    let slice: &[u32] = &mixed.list;
    println!("shown {} {}", mixed.text, matches!(shape, Shape::Nothing));
    println!("shown {} {:?} {}", level as i8, maybe, unsafe { bits.int });
    println!("shown {} {:?} {} {}", letter, unit, slice.len(), pair.1);
    println!("shown {} {}", COUNTER, settings::LIMIT);
}

fn main() {
    println!("size {} layout::Mixed", size_of::<Mixed>());
    println!("size {} layout::Pair", size_of::<Pair>());
    println!("size {} layout::Shape", size_of::<Shape>());
    println!("size {} layout::Level", size_of::<Level>());
    println!("size {} layout::Bits", size_of::<Bits>());
    println!("size {} alloc::string::String", size_of::<String>());
    println!("size {} u64", size_of::<u64>());
    println!("offset {} layout::Mixed byte", offset_of!(Mixed, byte));
    println!("offset {} layout::Mixed word", offset_of!(Mixed, word));
    println!("offset {} layout::Mixed half", offset_of!(Mixed, half));
    println!("offset {} layout::Mixed list", offset_of!(Mixed, list));
    println!("offset {} layout::Pair __1", offset_of!(Pair, 1));
    let mixed =
        Mixed { byte: 1, word: 2, half: 3, text: "t".to_owned(), list: vec![1, 2, 3] };
    let number = std::env::args().count() as i32;
    let shape = if number > 5 { Shape::Square(1, 2) } else { Shape::Circle { radius: 1.5 } };
    show(&mixed, &shape, Level::High, Some(&number), Bits { int: 7 }, Pair(1, 2));
}
