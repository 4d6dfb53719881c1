//! Writing the pieces of which packets are made; the counterpart of
//! [`cursor`](crate::cursor).

use crate::hex;
use crate::ids::ThreadId;

/// Appends pieces of packets; each method gives itself back, so that a packet
/// is one chain.
pub(crate) trait Put {
    fn text(&mut self, text: &str) -> &mut Self;
    fn raw(&mut self, bytes: &[u8]) -> &mut Self;
    fn hex(&mut self, bytes: &[u8]) -> &mut Self;
    fn number(&mut self, number: impl Into<u64>) -> &mut Self;
    fn decimal(&mut self, number: impl Into<u64>) -> &mut Self;
    fn thread(&mut self, thread: ThreadId) -> &mut Self;
}

impl Put for Vec<u8> {
    fn text(&mut self, text: &str) -> &mut Self {
        self.raw(text.as_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.extend_from_slice(bytes);
        self
    }

    fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        hex::write_bytes(bytes, self);
        self
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        hex::write_number(number.into(), self);
        self
    }

    fn decimal(&mut self, number: impl Into<u64>) -> &mut Self {
        let number: u64 = number.into();
        self.text(&number.to_string())
    }

    fn thread(&mut self, thread: ThreadId) -> &mut Self {
        thread.write(self);
        self
    }
}

/// Appends `items` with `between` in between.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    between: &str,
    items: &[T],
    mut write: impl FnMut(&mut Vec<u8>, &T),
) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.text(between);
        }
        write(out, item);
    }
}
