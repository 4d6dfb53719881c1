//! /proc/PID/maps. proc_pid_maps(5).

use trapline_core::target::Region;
use trapline_core::{AddrRange, VirtAddr};

use super::os_string;

/// Reads all lines; a line that is not understood is left out.
pub fn parse(text: &[u8]) -> Vec<Region> {
    text.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// `7f00-7f10 r-xp 00001000 08:01 1234      /usr/lib/x.so`.
pub(super) fn line(line: &[u8]) -> Option<Region> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut ascii = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = ascii()?.split_once('-')?;
    let permissions = ascii()?.as_bytes();
    let [read, write, execute, shared] = *permissions else { return None };
    let file_offset = hex(ascii()?)?;
    let (major, minor) = ascii()?.split_once(':')?;
    let inode = ascii()?.parse().ok()?;
    let name = fields.next().unwrap_or_default();
    Some(Region {
        range: AddrRange::between(VirtAddr::new(hex(start)?), VirtAddr::new(hex(end)?)),
        read: read == b'r',
        write: write == b'w',
        execute: execute == b'x',
        shared: shared == b's',
        file_offset,
        inode: (device(hex(major)?, hex(minor)?), inode),
        name: os_string(&unescape(name.trim_ascii_start())),
    })
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

/// One number for a device, as `st_dev` of stat(2) packs it. makedev(3).
fn device(major: u64, minor: u64) -> u64 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

/// Undoes the kernel's `\012` for a newline, the one byte it escapes here.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(b"\\012") {
            Some(after) => {
                plain.push(b'\n');
                rest = after;
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_it_all() {
        let regions = parse(
            b"7f0000001000-7f0000003000 r-xp 00002000 fe:01 1234                       /a b/c.so (deleted)\n\
              7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n\
              10000-11000 ---s 00000000 00:05 7 /x\\012y\n\
              20000-21000 rw-p 00000000 00:00 0 \n",
        );
        let [so, stack, shared, anonymous] = regions.as_slice() else { panic!("{regions:?}") };
        assert_eq!(so.range, AddrRange::sized(VirtAddr::new(0x7f00_0000_1000), 0x2000));
        assert_eq!((so.read, so.write, so.execute, so.shared), (true, false, true, false));
        assert_eq!((so.file_offset, so.inode), (0x2000, (0xfe01, 1234)));
        assert_eq!(so.name, "/a b/c.so (deleted)");
        assert_eq!(stack.name, "[stack]");
        assert_eq!((shared.shared, shared.read), (true, false));
        assert_eq!(shared.name, "/x\ny");
        assert_eq!(anonymous.name, "");
    }

    #[test]
    fn nonsense_is_left_out() {
        for text in ["", "zz", "1-2 rwxp", "1-2 rwx 0 0:0 0", "1-2 rwxp g 0:0 0 x"] {
            assert_eq!(parse(text.as_bytes()), []);
        }
    }
}
