//! Variables of Rust: `self`, matches, closures, shadowing.

use std::hint::black_box;

#[no_mangle]
pub static mut counter: i64 = 3;

#[no_mangle]
#[inline(never)]
pub extern "C" fn stop_here() {
    black_box(0);
}

pub struct Item {
    pub price: i32,
    pub count: u8,
}

pub enum Deal {
    Single(i32),
    Bulk { each: i32, number: u16 },
}

impl Item {
    #[inline(never)]
    pub fn total(&self, deal: &Deal, factor: i64) -> i64 {
        let product = i64::from(self.price) * factor;
        let owned = Item { price: self.price + 1, count: self.count + 2 };
        let small: u8 = self.count;
        let product = product + 1;
        match deal {
            Deal::Single(value) => i64::from(*value) + product,
            Deal::Bulk { each, number } => {
                let deal_total = i64::from(*each) * i64::from(*number);
                stop_here();
                black_box(deal_total + product + i64::from(owned.price) + i64::from(small))
            }
        }
    }
}

fn main() {
    let many = std::env::args().count() as u16;
    let item = Item { price: 21, count: 9 };
    let deals = [Deal::Bulk { each: 5, number: many + 4 }, Deal::Single(2)];
    let sum: i64 = deals.iter().map(|deal| item.total(deal, 6)).sum();
    println!("{} {}", sum, unsafe { counter });
}
