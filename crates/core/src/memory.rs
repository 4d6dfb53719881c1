//! Reading a debuggee's memory: the one trait that everything symbolic reads
//! through, and readers for numbers and strings on top of it.

use std::fmt;

use crate::addr::VirtAddr;

/// Memory that cannot be read: a value, not a failure of the debugger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The first address that could not be read.
    pub addr: VirtAddr,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cannot access memory at address {}", self.addr)
    }
}

impl std::error::Error for Unreadable {}

/// Something with readable bytes at [`VirtAddr`]esses.
pub trait ReadMemory {
    /// Copies bytes from `addr` into `buf` and returns how many from the start
    /// could be read (all of `buf` when everything is mapped).
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize;

    /// Fills `buf` or says which address stopped it.
    fn read_exact(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), Unreadable> {
        let read = self.read_some(addr, buf);
        if read == buf.len() {
            Ok(())
        } else {
            Err(Unreadable { addr: addr.wrapping_add(read as u64) })
        }
    }

    /// A little-endian number of 8 bytes.
    fn read_u64(&self, addr: VirtAddr) -> Result<u64, Unreadable> {
        let mut bytes = [0; 8];
        self.read_exact(addr, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The bytes of a C string without its terminator: at most `limit` bytes,
    /// the terminator or the end of readable memory, whichever comes first.
    /// An error when not even the first byte is readable.
    fn read_c_string(&self, addr: VirtAddr, limit: usize) -> Result<Vec<u8>, Unreadable> {
        const CHUNK: usize = 64;
        let mut text = Vec::new();
        while text.len() < limit {
            let mut chunk = [0; CHUNK];
            let here = addr.wrapping_add(text.len() as u64);
            // A chunk ends at a multiple of its size, so it never crosses into
            // a page that the string itself does not reach.
            let aligned = CHUNK - (here.get() as usize % CHUNK);
            let want = aligned.min(limit - text.len());
            let got = self.read_some(here, &mut chunk[..want]);
            if let Some(end) = chunk[..got].iter().position(|&byte| byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return Ok(text);
            }
            text.extend_from_slice(&chunk[..got]);
            if got < want {
                if text.is_empty() {
                    return Err(Unreadable { addr });
                }
                break;
            }
        }
        Ok(text)
    }
}

impl<T: ReadMemory + ?Sized> ReadMemory for &T {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        (**self).read_some(addr, buf)
    }
}

/// Bytes at one address, nothing elsewhere: the fake for tests and for images
/// held in memory.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    /// Address of the first byte.
    pub start: VirtAddr,
    /// The bytes.
    pub data: Vec<u8>,
}

impl ReadMemory for Bytes {
    fn read_some(&self, addr: VirtAddr, buf: &mut [u8]) -> usize {
        let Some(skip) = addr.checked_sub(self.start) else { return 0 };
        let Ok(skip) = usize::try_from(skip) else { return 0 };
        let available = self.data.get(skip..).unwrap_or(&[]);
        let count = available.len().min(buf.len());
        buf[..count].copy_from_slice(&available[..count]);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_c_string_ends_at_its_terminator_its_limit_or_the_end_of_memory() {
        let start = VirtAddr::new(0x103d);
        let mut data = b"hello, long enough to cross a chunk boundary of sixty-four".to_vec();
        data.extend_from_slice(b", and some more\0tail");
        let memory = Bytes { start, data };
        let all = memory.read_c_string(start, 4096).unwrap();
        assert!(all.ends_with(b"some more"));
        assert_eq!(memory.read_c_string(start, 5).unwrap(), b"hello");
        let near_end = start.wrapping_add(all.len() as u64 + 1);
        assert_eq!(memory.read_c_string(near_end, 4096).unwrap(), b"tail");
        assert_eq!(
            memory.read_c_string(VirtAddr::new(1), 8),
            Err(Unreadable { addr: VirtAddr::new(1) })
        );
    }
}
