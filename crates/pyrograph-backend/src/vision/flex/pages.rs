//! Pages of mapped files.

#![allow(unsafe_code)] // The system is told that nobody needs them.

#[cfg(target_os = "linux")]
use std::{fs, ops::Range};

/// Whole pages of a file that is mapped to be read only, shared with all who map it: the process has none of its own.
pub(super) struct Pages<'a>(&'a [u8]);

impl Pages<'_> {
    /// Bytes of the pages.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

#[cfg(target_os = "linux")]
impl<'a> Pages<'a> {
    /// The pages within `bytes`; none where these are not those of such a file.
    pub(super) fn of_a_file(bytes: &'a [u8]) -> Option<Self> {
        // SAFETY: the call reads a constant of the system.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        let first = bytes.as_ptr().align_offset(page);
        let count = bytes.len().checked_sub(first)? / page;
        let pages = &bytes[first..first + count * page];
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let begin = pages.as_ptr().addr();
        let is_within =
            |range: Range<usize>| range.start <= begin && begin + pages.len() <= range.end;
        (count > 0 && maps.lines().filter_map(read_only_file).any(is_within)).then_some(Self(pages))
    }

    /// Gives the pages back to the system, which reads them from the file again where somebody needs them.
    pub(super) fn give_back(self) {
        // SAFETY: the pages lie in a shared mapping of a file that is not written to, as was asked: after this a read
        // brings the same bytes back. A failure costs memory alone.
        unsafe {
            let first = self.0.as_ptr().cast_mut();
            libc::madvise(first.cast(), self.0.len(), libc::MADV_DONTNEED);
        }
    }
}

/// The addresses of a line of `/proc/self/maps`, if it is a file that may only be read.
#[cfg(target_os = "linux")]
fn read_only_file(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let inode = fields.nth(2)?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let range = address(begin)?..address(end)?;
    (rights.starts_with("r-") && rights.ends_with('s') && inode != "0").then_some(range)
}

#[cfg(not(target_os = "linux"))]
impl<'a> Pages<'a> {
    pub(super) fn of_a_file(_: &'a [u8]) -> Option<Self> {
        None
    }

    pub(super) fn give_back(self) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs::File, io::Write, os::fd::AsRawFd, ptr, slice};

    use super::*;

    #[test]
    fn memory_of_the_heap_has_no_pages_of_a_file() {
        let bytes = vec![1_u8; 1 << 20];
        assert!(Pages::of_a_file(&bytes).is_none());
        assert!(bytes.iter().all(|byte| *byte == 1));
    }

    #[test]
    fn lines_of_maps_are_read() {
        let file = "7f00-8f00 r--s 00000000 fe:00 123 /a path";
        assert_eq!(read_only_file(file), Some(0x7f00..0x8f00));
        for other in [
            "7f00-8f00 rw-p 00000000 fe:00 123 /a",
            "7f00-8f00 r--p 00000000 fe:00 123 /a",
            "7f00-8f00 r--s 00000000 00:00 0",
            "",
        ] {
            assert_eq!(read_only_file(other), None, "{other}");
        }
    }

    #[test]
    fn pages_that_were_given_back_are_read_again() {
        let path = std::env::temp_dir().join(format!("pyrograph-pages-{}", std::process::id()));
        // SAFETY: the call reads a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let len = 5 * page;
        File::create(&path)
            .and_then(|mut file| file.write_all(&vec![7; len]))
            .expect("a temporary file");
        let file = File::open(&path).expect("the file");
        // SAFETY: a new mapping of the whole file, which nobody else writes to.
        let bytes = unsafe {
            let map = libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            );
            assert_ne!(map, libc::MAP_FAILED);
            slice::from_raw_parts(map.cast::<u8>(), len)
        };
        let pages = Pages::of_a_file(&bytes[1..]).expect("a file");
        assert_eq!(pages.size(), 4 * page);
        pages.give_back();
        assert!(bytes.iter().all(|byte| *byte == 7));
        std::fs::remove_file(&path).expect("the file");
    }
}
