//! Values of Rust's own shapes: references to references, tuples, enumerations
//! with data, what has no size, and a future that is waited for.
//! Usage: values_of_rust
//! Prints: total=N

use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroU128;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

struct Point {
    x: i32,
    y: i32,
}

enum Shape {
    Dot,
    Disc(i32),
    Oblong { width: i32, height: i32 },
}

fn follow(point: &&Point, text: &&str, number: &&i32, deep: &&&i32, pair: &&[i32; 2]) -> i32 {
    let raw: *const i32 = &raw const ***deep;
    let to_raw = &raw;
    black_box(to_raw);
    // What operators come to is asked beside these.
    black_box((**number & 4 == 4, **number ^ 2 < 3, !**number & 1 == 1, 250_u8 << 4));
    point.x + point.y + text.len() as i32 + **number + ***deep + pair[1] // @mark follow
}

/// Ready when it is asked for the second time.
struct Later(bool);

impl Future for Later {
    type Output = i32;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<i32> {
        let ready = std::mem::replace(&mut self.0, true);
        if ready { Poll::Ready(5) } else { Poll::Pending }
    }
}

async fn waits(number: i32) -> i32 {
    number + Later(false).await
}

fn shapes() -> i32 {
    let (dot, disc, oblong) =
        (Shape::Dot, Shape::Disc(-3), Shape::Oblong { width: 2, height: 4 });
    let (some, none): (Option<i32>, Option<i32>) = (Some(2), None);
    let (both, neither): (Option<Option<i32>>, Option<Option<i32>>) = (Some(Some(2)), None);
    let (units, many_units, tuple) = ([(), ()], [(); 1000], (1, "one", 2.5));
    black_box((&dot, &disc, &oblong, &some, &none, &both, &neither));
    black_box((&units, &many_units, &tuple)); // @mark shapes
    match oblong {
        Shape::Dot => 0,
        Shape::Disc(radius) => radius,
        Shape::Oblong { width, height } => width + height,
    }
}

#[inline(never)]
fn takes_turns(shape: &Shape, found: Option<i32>, wide: Option<NonZeroU128>, nested: Option<Option<bool>>) -> i32 {
    black_box((&wide, &nested));
    black_box(shape); // @mark turn
    found.unwrap_or(1)
}

/// What is found is passed in registers where it is optimised.
#[inline(never)]
fn finds(found: Option<i32>, other: Option<&i32>) -> i32 {
    black_box(found.unwrap_or(0)) + black_box(*other.unwrap_or(&0))
}

fn main() {
    for number in 0..9 {
        let shape = match number % 3 {
            0 => Shape::Dot,
            1 => Shape::Disc(number),
            _ => Shape::Oblong { width: number, height: 0 },
        };
        let found = (number % 2 == 0).then_some(number);
        let wide = NonZeroU128::new(if number < 3 { 0 } else { 1 << 64 });
        let nested = [None, Some(None), Some(Some(true))][number as usize % 3];
        black_box(takes_turns(&shape, found, wide, nested));
        black_box(finds(found, found.as_ref()));
    }
    let mut future = pin!(waits(3));
    let mut context = Context::from_waker(Waker::noop());
    black_box(&future); // @mark unresumed
    let first = future.as_mut().poll(&mut context);
    black_box((&future, &first)); // @mark suspended
    let second = future.as_mut().poll(&mut context);
    black_box((&future, &second)); // @mark returned
    let mut total = shapes();
    for number in 0..10 {
        total += follow(&&Point { x: number, y: 2 }, &"text", &&number, &&&7, &&[1, 2]);
    }
    println!("total={total}");
}
