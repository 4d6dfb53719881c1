//! Rust as its users write it: threads, generics, enums with data, strings,
//! closures, a trait object and a panic that is caught.
//!
//! Usage: rust_threads [THREADS [PASSES]]
//! Prints: threads=T passes=T*P circles=C squares=S widest=W area=A longest=NAME

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Debug)]
enum Shape {
    Circle { radius: u32 },
    Square(u32),
    Named(String),
    Nothing,
}

trait Area {
    fn area(&self) -> u64;
}

impl Area for Shape {
    #[inline(never)]
    fn area(&self) -> u64 {
        match self {
            Shape::Circle { radius } => 3 * u64::from(*radius) * u64::from(*radius), // @mark circle
            Shape::Square(side) => u64::from(*side) * u64::from(*side),              // @mark square
            Shape::Named(name) => name.len() as u64,
            Shape::Nothing => 0,
        }
    }
}

struct Tally<T> {
    items: Vec<T>,
    label: &'static str,
}

impl<T: Clone> Tally<T> {
    #[inline(never)]
    fn record(&mut self, item: &T) -> usize {
        self.items.push(item.clone()); // @mark record
        self.items.len()
    }
}

#[inline(never)]
fn largest<T: PartialOrd + Copy>(items: &[T]) -> Option<T> {
    let mut best = *items.first()?; // @mark largest
    for &item in items {
        if item > best {
            best = item;
        }
    }
    Some(best)
}

fn shape_of(pass: u32) -> Shape {
    match pass % 4 {
        0 => Shape::Circle { radius: pass },
        1 => Shape::Square(pass),
        2 => Shape::Named(format!("shape {pass}")),
        _ => Shape::Nothing,
    }
}

mod counting {
    use super::{Area, Shape};
    use std::sync::atomic::{AtomicU64, Ordering};

    pub static PASSES: AtomicU64 = AtomicU64::new(0);

    #[inline(never)]
    pub fn visit(thread: usize, pass: u32, shape: &Shape) -> u64 {
        let area = shape.area(); // @mark visit
        PASSES.fetch_add(1, Ordering::Relaxed);
        area + (thread as u64) * u64::from(pass == u32::MAX)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap_or(4));
    let threads = arguments.next().unwrap_or(4); // @mark main
    let passes = arguments.next().unwrap_or(1000);
    let area = Arc::new(AtomicU64::new(0));
    let circles = Arc::new(Mutex::new(Tally { items: Vec::new(), label: "circles" }));
    let squares = Arc::new(Mutex::new(Tally { items: Vec::<u32>::new(), label: "squares" }));
    let handles: Vec<_> = (0..threads as usize)
        .map(|index| {
            let (area, circles, squares) = (area.clone(), circles.clone(), squares.clone());
            thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || {
                    for pass in 0..passes {
                        let shape = shape_of(pass);
                        area.fetch_add(counting::visit(index, pass, &shape), Ordering::Relaxed);
                        match &shape {
                            Shape::Circle { .. } => drop(circles.lock().unwrap().record(&shape)),
                            Shape::Square(side) => drop(squares.lock().unwrap().record(side)),
                            _ => {}
                        }
                    }
                })
                .unwrap()
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
    let (circles, squares) = (circles.lock().unwrap(), squares.lock().unwrap());
    let names = ["ada", "barbara", "grace"];
    let longest = names.iter().copied().max_by_key(|name| name.len()).unwrap_or("");
    let widest = largest(&squares.items).unwrap_or(0);
    assert_eq!((circles.label, squares.label), ("circles", "squares"));
    println!(
        "threads={threads} passes={} circles={} squares={} widest={widest} area={} longest={longest}",
        counting::PASSES.load(Ordering::Relaxed),
        circles.items.len(),
        squares.items.len(),
        area.load(Ordering::Relaxed),
    ); // @mark end
}
