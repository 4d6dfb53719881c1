//! Names that mean something else in each module.
//! Usage: scoped_modules

mod first {
    pub static COUNT: i32 = 1;
    pub struct Part {
        pub a: u8,
    }
    pub fn sum(by: i32) -> i32 {
        let part = Part { a: 1 };
        by + COUNT + i32::from(part.a) // @mark first
    }
}

mod second {
    pub static COUNT: i32 = 2;
    pub struct Part {
        pub a: u8,
        pub rest: [u64; 4],
    }
    pub fn sum(by: i32) -> i32 {
        let part = Part { a: 1, rest: [by as u64; 4] };
        by + COUNT + i32::from(part.a) + part.rest[0] as i32 // @mark second
    }
}

fn main() {
    println!("{}", first::sum(1) + second::sum(2));
}
