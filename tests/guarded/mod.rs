//! Memory that ends where the test says: the next byte cannot be accessed.

#![allow(clippy::undocumented_unsafe_blocks, reason = "every pointer here comes from the mapping next to it")]

use std::{ptr, slice};

use libc::{c_char, c_int, c_void};

#[cfg(unix)]
use unix::{map, page_size, unmap};
#[cfg(windows)]
use windows::{map, page_size, unmap};

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
        let mapping = map(pages, page);
        unsafe {
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
        unmap(self.mapping, self.pages + page_size());
    }
}

#[cfg(unix)]
mod unix {
    use std::ptr;

    use libc::c_void;

    /// Memory, and behind it some that cannot be accessed.
    pub fn map(len: usize, guard: usize) -> *mut c_void {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        unsafe {
            let mapping = libc::mmap(ptr::null_mut(), len + guard, protection, flags, -1, 0);
            assert_ne!(mapping, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(mapping.byte_add(len), guard, libc::PROT_NONE), 0);
            mapping
        }
    }

    pub fn unmap(mapping: *mut c_void, len: usize) {
        assert_eq!(unsafe { libc::munmap(mapping, len) }, 0);
    }

    pub fn page_size() -> usize {
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
    }
}

#[cfg(windows)]
mod windows {
    use std::ptr;

    use libc::c_void;
    use windows_sys::Win32::System::Memory::{
        MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
        VirtualProtect,
    };

    /// Memory, and behind it some that cannot be accessed.
    pub fn map(len: usize, guard: usize) -> *mut c_void {
        let mut before = 0;
        unsafe {
            let mapping = VirtualAlloc(ptr::null(), len + guard, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
            assert!(!mapping.is_null());
            assert_ne!(VirtualProtect(mapping.byte_add(len), guard, PAGE_NOACCESS, &mut before), 0);
            mapping
        }
    }

    pub fn unmap(mapping: *mut c_void, _: usize) {
        assert_ne!(unsafe { VirtualFree(mapping, 0, MEM_RELEASE) }, 0);
    }

    /// That of all processors that Windows runs on.
    pub fn page_size() -> usize {
        4096
    }
}
