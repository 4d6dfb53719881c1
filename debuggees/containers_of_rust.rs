//! Objects of Rust's standard library: empty, with one element, with many, in
//! one another. Functions are called with them in numbers that are counted.
//! Usage: containers_of_rust
//! Prints: alices=N longs=N fives=N

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::*;
use std::ffi::{CString, OsString};
use std::hint::black_box;
use std::num::{NonZeroU32, Wrapping};
use std::path::{Path, PathBuf};
use std::rc::{self, Rc};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

#[derive(Clone)]
struct Person {
    id: u32,
    name: String,
}

fn person(id: u32, name: &str) -> Person {
    Person { id, name: name.to_owned() }
}

fn sequences() {
    let (empty_text, text) = (String::new(), String::from("hello"));
    let (slice_of_text, boxed_text): (&str, Box<str>) = (&text[1..4], "boxed".into());
    let (none, one, three): (Vec<i32>, Vec<i32>, Vec<i32>) = (vec![], vec![1], vec![1, 2, 3]);
    let many = vec![7u8; 1000];
    let people = vec![person(1, "one"), person(2, "two")];
    let nested = vec![vec![], vec![1], vec![2, 3]];
    let units = vec![(), ()];
    let (slice, boxed_slice): (&[i32], Box<[i32]>) = (&three[1..], vec![4, 5].into());
    let array = [1u8, 2, 3];
    let mut ring: VecDeque<i32> = (0..5).collect();
    ring.pop_front();
    ring.push_back(9);
    let no_ring: VecDeque<String> = VecDeque::new();
    let list: LinkedList<i32> = [1, 2].into();
    let heap: BinaryHeap<i32> = [1, 5, 3].into();
    let (c_text, os_text) = (CString::new("c").unwrap(), OsString::from("os"));
    let (path, path_buf): (&Path, PathBuf) = (Path::new("/tmp"), PathBuf::from("/usr/lib"));
    let all = (&empty_text, &text, slice_of_text, &boxed_text, &none, &one, &three, &many);
    black_box(all);
    black_box((&people, &nested, &units, slice, &boxed_slice, &array, &ring, &no_ring));
    black_box((&list, &heap, &c_text, &os_text, path, &path_buf)); // @mark sequences
}

fn lookups() {
    let no_map: HashMap<String, i32> = HashMap::new();
    let map = HashMap::from([("a".to_owned(), 1)]);
    let set = HashSet::from([3]);
    let no_tree: BTreeMap<i32, i32> = BTreeMap::new();
    let tree = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    let large: BTreeMap<i32, String> = (0..1000).rev().map(|i| (i, format!("v{i}"))).collect();
    let tree_set = BTreeSet::from([3u8, 1, 2]);
    let map_of_vectors = BTreeMap::from([(1, vec!["p"]), (2, vec![])]);
    black_box((&no_map, &map, &set, &no_tree, &tree, &large, &tree_set, &map_of_vectors)); // @mark lookups
}

fn wrappers() {
    let (some, nothing): (Option<i32>, Option<Box<i32>>) = (Some(5), None);
    let (good, bad): (Result<i32, String>, Result<i32, String>) = (Ok(1), Err("bad".into()));
    let counted = Rc::new(5);
    let again = counted.clone();
    let weak = Rc::downgrade(&counted);
    let (dangling, text): (rc::Weak<i32>, Rc<str>) = (rc::Weak::new(), "counted".into());
    let shared = Arc::new(person(3, "arc"));
    let traits: Rc<dyn std::any::Any> = Rc::new(1);
    let (cell, shared_cell) = (Cell::new(4), RefCell::new(vec![1]));
    let borrowed = shared_cell.borrow();
    let changed_cell = RefCell::new(2);
    let changing = changed_cell.borrow_mut();
    let (mutex, lock) = (Mutex::new(7), RwLock::new(8));
    let (once, empty_once): (OnceCell<i32>, OnceCell<i32>) = (OnceCell::from(1), OnceCell::new());
    let (atomic, whole) = (AtomicU32::new(4), NonZeroU32::new(3).unwrap());
    let (wrapping, tuple, unit) = (Wrapping(3), (1, "x"), ());
    let cow: Cow<'_, str> = "cow".into();
    let (second, half) = (Duration::from_secs(1), Duration::from_millis(1500));
    let range = 1..5;
    black_box((&some, &nothing, &good, &bad, &counted, &again, &weak, &dangling, &text, &shared));
    black_box((&traits, &cell, &borrowed, &changing, &mutex, &lock, &once, &empty_once));
    black_box((&atomic, &whole, &wrapping, &tuple, unit, &cow, &second, &half, &range)); // @mark wrappers
}

static SINK: AtomicU32 = AtomicU32::new(0);

#[inline(never)]
fn greet(name: &String, short: &str) {
    SINK.fetch_add((name.len() + short.len()) as u32, Ordering::Relaxed); // @mark greet
}

#[inline(never)]
fn count(people: &Vec<Person>, shared: &Rc<Person>) {
    SINK.fetch_add(people.len() as u32 + shared.id, Ordering::Relaxed); // @mark count
}

fn main() {
    sequences();
    lookups();
    wrappers();
    let names = ["alice", "alic", "alices", "", "bob"];
    let (mut alices, mut longs, mut fives) = (0, 0, 0);
    for i in 0..2000 {
        let name = names[i % 5].to_owned();
        alices += u32::from(name == "alice");
        greet(&name, &name[..name.len() / 2]);
        let people = vec![person((i % 6) as u32, &name); i % 7];
        let shared = Rc::new(person((i % 3) as u32, &name));
        longs += u32::from(people.len() > 3 && shared.name == "bob");
        fives += u32::from(people.len() > 1 && people[1].id == 5);
        count(&people, &shared);
    }
    println!("alices={alices} longs={longs} fives={fives}");
}
