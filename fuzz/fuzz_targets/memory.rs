//! The overlay against an untouched twin: after any sequence of armings,
//! disarmings and writes the user sees what a memory without any of our bytes
//! would show, and our bytes are where they should be.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trapline_core::VirtAddr;
use trapline_core::overlay::Overlay;

const BYTES: usize = 64;
const BASE: VirtAddr = VirtAddr::new(0x1000);

#[derive(Arbitrary, Debug)]
enum Step {
    Arm { at: u8, ours: Vec<u8> },
    Disarm { at: u8 },
    Write { at: u8, data: Vec<u8> },
}

/// A debuggee's memory with our bytes in it, and the same memory without.
struct Twins {
    overlay: Overlay,
    raw: [u8; BYTES],
    pure: [u8; BYTES],
}

fuzz_target!(|steps: Vec<Step>| {
    let mut twins = Twins { overlay: Overlay::default(), raw: [7; BYTES], pure: [7; BYTES] };
    for step in steps {
        twins.take(step);
        twins.compare();
    }
});

impl Twins {
    fn take(&mut self, step: Step) {
        match step {
            Step::Arm { at, ours } => self.arm(clamp(at), &ours),
            Step::Disarm { at } => self.disarm(clamp(at)),
            Step::Write { at, data } => self.write(clamp(at), &data),
        }
    }

    fn arm(&mut self, at: usize, ours: &[u8]) {
        let ours = &ours[..ours.len().min(BYTES - at)];
        let original = self.raw[at..at + ours.len()].to_vec();
        if self.overlay.arm(addr(at), &original, ours).is_ok() {
            self.raw[at..at + ours.len()].copy_from_slice(ours);
        }
    }

    fn disarm(&mut self, at: usize) {
        if let Some(original) = self.overlay.disarm(addr(at)) {
            self.raw[at..at + original.len()].copy_from_slice(&original);
        }
    }

    fn write(&mut self, at: usize, data: &[u8]) {
        let data = &data[..data.len().min(BYTES - at)];
        for (start, part) in self.overlay.split_write(addr(at), data) {
            let start = index(start);
            self.raw[start..start + part.len()].copy_from_slice(&part);
        }
        self.overlay.commit_write(addr(at), data);
        self.pure[at..at + data.len()].copy_from_slice(data);
    }

    fn compare(&self) {
        let mut seen = self.raw;
        self.overlay.restore_view(BASE, &mut seen);
        assert_eq!(seen, self.pure);
        assert_eq!(self.overlay.check(BASE, &self.raw), []);
    }
}

fn clamp(at: u8) -> usize {
    usize::from(at) % BYTES
}

fn addr(at: usize) -> VirtAddr {
    BASE.wrapping_add(at as u64)
}

fn index(addr: VirtAddr) -> usize {
    (addr.get() - BASE.get()) as usize
}
