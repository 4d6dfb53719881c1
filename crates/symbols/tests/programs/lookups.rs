//! Inherent and trait methods, generics and closures to find.
use std::fmt;
use std::hint::black_box;

struct Point {
    x: i32,
    y: i32,
}

impl Point {
    fn new(x: i32, y: i32) -> Self {
        Point { x, y }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.x + self.y)
    }
}

mod inner {
    #[inline(never)]
    pub fn generic<T: Into<i64>>(t: T) -> i64 {
        let v: i64 = t.into(); // @mark generic
        v + 1
    }
}

fn main() {
    let p = Point::new(1, 2);
    println!("{} {} {}", p, inner::generic(black_box(4i32)), inner::generic(black_box(5u8)));
}
