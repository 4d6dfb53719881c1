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

pub static COUNT: i32 = 3;

mod second {
    pub mod inner {
        pub static COUNT: i32 = 4;
        pub struct Held(pub i32);
        impl Held {
            pub fn sum(&self) -> i32 {
                self.0 + COUNT + super::COUNT // @mark inner
            }
        }
    }

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
    println!("{}", first::sum(1) + second::sum(2) + second::inner::Held(COUNT).sum());
}
