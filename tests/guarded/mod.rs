//! Memory that ends where the test says: the next byte cannot be accessed.

#![allow(clippy::undocumented_unsafe_blocks, reason = "every pointer here comes from the mapping next to it")]

use std::{ptr, slice};

use libc::{c_char, c_int, c_void};

/// Bytes directly in front of a page that cannot be accessed.
pub struct Guarded {
    mapping: *mut c_void,
    pages: usize,
    len: usize,
}

impl Guarded {
    pub fn holding(bytes: &[u8]) -> Self {
        let page = page_size();
        let pages = bytes.len().div_ceil(page) * page;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        unsafe {
            let mapping = libc::mmap(ptr::null_mut(), pages + page, protection, flags, -1, 0);
            assert_ne!(mapping, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(mapping.byte_add(pages), page, libc::PROT_NONE), 0);
            let guarded = Self { mapping, pages, len: bytes.len() };
            ptr::copy_nonoverlapping(bytes.as_ptr(), guarded.start().cast_mut().cast(), bytes.len());
            guarded
        }
    }

    pub fn start(&self) -> *const c_char {
        unsafe { self.mapping.byte_add(self.pages - self.len).cast() }
    }

    pub fn len(&self) -> c_int {
        c_int::try_from(self.len).unwrap()
    }

    pub fn bytes(&self) -> &[u8] {
        unsafe { slice::from_raw_parts(self.start().cast(), self.len) }
    }

    pub fn set(&self, at: usize, value: u8) {
        assert!(at < self.len);
        unsafe { self.start().cast_mut().cast::<u8>().add(at).write(value) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        assert_eq!(unsafe { libc::munmap(self.mapping, self.pages + page_size()) }, 0);
    }
}

fn page_size() -> usize {
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}
