//! Memory that crosses the boundary: all of it comes from the C allocator, because either side may free or grow it.

use std::{mem::MaybeUninit, ptr, slice};

use libc::{c_char, c_void};
use rtmp_core::{
    chunk,
    error::{Error, Result},
    message,
};

use crate::ptr::items;

/// Bytes before a packet body that belong to its block, for callers that write headers there.
pub const RTMP_MAX_HEADER_SIZE: usize = 18;

/// A NUL-terminated copy of `bytes` from `malloc`, owned by the caller.
pub(crate) fn duplicate(bytes: &[u8]) -> Result<*mut c_char> {
    // SAFETY: null makes it a new block, which has room for the bytes and the NUL, and overlaps nothing.
    unsafe {
        let block = resize(ptr::null_mut::<u8>(), bytes.len() + 1)?;
        ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len());
        *block.add(bytes.len()) = 0;
        Ok(block.cast())
    }
}

/// Writes a NUL and returns whether that was possible: the C API splits texts in place, and such a text may be a literal in
/// memory that is not writable.
///
/// # Safety
/// Nothing else uses the byte at `at`, which is readable.
pub(crate) unsafe fn try_end_text(at: *mut c_char) -> bool {
    // SAFETY: nothing else uses the byte at `at`, which is readable, by the Safety section. If the system cannot say whether it
    // is writable, that is the contract of the functions that split texts.
    unsafe {
        let is_writable = is_writable(at).unwrap_or(true);
        if is_writable {
            *at = 0;
        }
        is_writable
    }
}

/// Lets the system write a byte: it returns an error for memory that is not writable, where a direct write would end the process.
/// `None` if there is no way to ask.
///
/// # Safety
/// As for [`try_end_text`].
#[cfg(unix)]
unsafe fn is_writable(at: *mut c_char) -> Option<bool> {
    use std::{
        io::Write,
        os::{fd::AsRawFd, unix::net::UnixStream},
    };

    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // SAFETY: the kernel checks that the byte can be written, and nothing else uses it, by the Safety section.
        let count = unsafe { libc::syscall(libc::SYS_getrandom, at, 1, libc::GRND_NONBLOCK) };
        if count == 1 || std::io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT) {
            return Some(count == 1);
        }
        // Systems before Linux 3.17 do not have this call.
    }
    let (reader, mut writer) = UnixStream::pair().ok()?;
    writer.write_all(&[0]).ok()?;
    // SAFETY: the kernel checks that the byte can be written, and nothing else uses it, by the Safety section.
    Some(unsafe { libc::read(reader.as_raw_fd(), at.cast(), 1) } == 1)
}

/// Asks the system whether a byte is writable; `None` if there is no way to ask.
///
/// # Safety
/// As for [`try_end_text`].
#[cfg(windows)]
unsafe fn is_writable(at: *mut c_char) -> Option<bool> {
    use windows_sys::Win32::System::Memory::{
        MEMORY_BASIC_INFORMATION, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_READWRITE,
        PAGE_WRITECOPY, VirtualQuery,
    };

    let mut page = MEMORY_BASIC_INFORMATION::default();
    // SAFETY: `page` has the size that is passed, and the function accepts any address.
    let len = unsafe { VirtualQuery(at.cast(), &raw mut page, size_of_val(&page)) };
    let writable = PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    (len != 0).then_some(page.Protect & writable != 0)
}

/// Frees a block of the C allocator; null is allowed.
///
/// # Safety
/// `block` is null or came from the C allocator and nobody uses it any more.
pub(crate) unsafe fn release<T>(block: *mut T) {
    // SAFETY: `block` is null or came from the C allocator and nobody uses it any more, by the Safety section.
    unsafe { libc::free(block.cast::<c_void>()) }
}

/// Changes the size of an array of the C allocator. If this fails, the old one stays valid.
///
/// # Safety
/// `array` is null or came from the C allocator.
pub(crate) unsafe fn resize<T>(array: *mut T, entries: usize) -> Result<*mut T> {
    let size = entries.checked_mul(size_of::<T>()).ok_or(Error::OutOfMemory)?;
    // SAFETY: the block is null or came from the C allocator, by the Safety section.
    let resized = unsafe { libc::realloc(array.cast(), size) }.cast::<T>();
    if resized.is_null() { Err(Error::OutOfMemory) } else { Ok(resized) }
}

/// Grows an array of the C allocator from `old` to `new` entries, the new ones zero; the old array is freed unless this fails.
///
/// # Safety
/// `array` is null or an array of `old` entries from the C allocator; all-zero bytes are a valid `T`.
pub(crate) unsafe fn grow_zeroed<T>(array: *mut T, old: usize, new: usize) -> Result<*mut T> {
    // SAFETY: the array is null or came from the C allocator, by the Safety section; then it has `new` entries, and those
    // from `old` on are new.
    unsafe {
        let grown = resize(array, new)?;
        ptr::write_bytes(grown.add(old), 0, new.saturating_sub(old));
        Ok(grown)
    }
}

/// A packet body: one `malloc` block with `RTMP_MAX_HEADER_SIZE` bytes before the body and a NUL after it.
#[derive(Debug)]
pub struct Body {
    /// First byte of the body, null while there is no block.
    data: *mut u8,
    len: usize,
    /// Large enough for the longest message.
    capacity: u32,
    /// Whether the memory belongs to a caller: no block, and no room before the body.
    borrowed: bool,
}

// SAFETY: a body owns its block, and malloc blocks may be used and freed by any thread.
unsafe impl Send for Body {}

impl Body {
    /// A body with room for `capacity` bytes, unless memory is short.
    #[inline]
    pub(crate) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut body = Self::default();
        body.resize(capacity)?;
        body.end();
        Some(body)
    }

    /// Gives the block another size; `None` if memory is short. The body is not borrowed.
    #[inline]
    fn resize(&mut self, capacity: usize) -> Option<()> {
        let size = capacity.checked_add(RTMP_MAX_HEADER_SIZE + 1)?;
        let stored = u32::try_from(capacity).ok()?;
        // SAFETY: the block is null or was allocated for this body; on failure the old one stays valid and with the body. The
        // new one is larger than the headroom.
        self.data = unsafe { resize(self.block(), size).ok()?.add(RTMP_MAX_HEADER_SIZE) };
        self.capacity = stored;
        Some(())
    }

    /// The address of the first byte; valid until the body grows or is dropped.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.data
    }

    /// A body that uses the memory of a caller, except the last four bytes of `room`.
    ///
    /// # Safety
    /// Nothing else uses the memory before [`keep`](message::Body::keep), or the last use of the body.
    pub(crate) unsafe fn borrowed(room: &mut [MaybeUninit<u8>]) -> Self {
        let capacity = u32::try_from(room.len()).unwrap_or(u32::MAX).saturating_sub(4);
        Self { data: room.as_mut_ptr().cast(), len: 0, capacity, borrowed: true }
    }

    /// Whether the body is in the memory of a caller.
    pub(crate) fn is_borrowed(&self) -> bool {
        self.borrowed
    }

    /// Passes the body to C, which frees it with `RTMPPacket_Free`; null if there is none.
    pub(crate) fn into_raw(self) -> *mut c_char {
        assert!(!self.borrowed, "bodies in a caller's memory end with its call");
        let data = self.data;
        std::mem::forget(self);
        data.cast()
    }

    /// The room after the body's bytes.
    pub(crate) fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        if self.data.is_null() {
            return &mut [];
        }
        // SAFETY: the block has `capacity` bytes, and the body is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.data.add(self.len).cast(), self.room()) }
    }

    /// Makes the first `count` bytes of the spare room part of the body.
    ///
    /// # Safety
    /// These bytes were written, and there are that many.
    pub(crate) unsafe fn advance(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        debug_assert!(count <= self.room());
        self.len += count;
        self.end();
    }

    /// Writes the NUL after the body.
    #[inline]
    fn end(&mut self) {
        debug_assert!(self.len <= self.capacity as usize);
        // SAFETY: there is a block, or the memory of a caller, with one more byte than its `capacity`, and `len` is at most
        // that.
        unsafe { *self.data.add(self.len) = 0 };
    }

    /// The number of bytes in the spare room.
    #[inline]
    fn room(&self) -> usize {
        self.capacity as usize - self.len
    }

    /// The block of C's allocator.
    fn block(&self) -> *mut u8 {
        if self.data.is_null() || self.borrowed {
            return ptr::null_mut();
        }
        self.data.wrapping_sub(RTMP_MAX_HEADER_SIZE)
    }
}

/// A body that a struct shows to callers: they may free it, as they may the body of every packet.
#[derive(Debug)]
pub(crate) struct Lent {
    address: usize,
    len: usize,
    capacity: u32,
}

impl Body {
    /// Passes the body to a struct that shows it, until it is taken back.
    pub(crate) fn lend(self) -> (*mut c_char, Lent) {
        let (len, capacity) = (self.len, self.capacity);
        let data = self.into_raw();
        (data, Lent { address: data.addr(), len, capacity })
    }
}

impl Lent {
    /// Takes the body back from the field that showed it; `None` if the caller has freed or replaced it.
    ///
    /// # Safety
    /// `shown` is what [`Body::lend`] returned, or what the caller has put in its place: null, or a body of its own.
    pub(crate) unsafe fn take_back(self, shown: *mut c_char) -> Option<Body> {
        if shown.is_null() || shown.addr() != self.address {
            return None;
        }
        let mut body = Body { data: shown.cast(), len: self.len, capacity: self.capacity, borrowed: false };
        // A caller may have freed the body, and allocated a shorter one at the same address.
        body.resize(self.capacity as usize)?;
        Some(body)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self { data: ptr::null_mut(), len: 0, capacity: 0, borrowed: false }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // SAFETY: the block is null or belongs only to this body.
        unsafe { release(self.block()) }
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: without a block `len` is 0; else the first `len` bytes were written by `append` or are those of `advance`.
        unsafe { items(self.data, self.len as u32) }.unwrap_or_default()
    }
}

impl AsMut<[u8]> for Body {
    fn as_mut(&mut self) -> &mut [u8] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: the first `len` bytes were written by `append` or are those of `advance`, and the body is borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.data, self.len) }
    }
}

impl message::Body for Body {
    fn reserve_total(&mut self, capacity: usize) -> Result<()> {
        if capacity <= self.capacity() {
            return Ok(());
        }
        self.keep()?;
        self.resize(capacity).ok_or(Error::OutOfMemory)?;
        self.end();
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.capacity as usize
    }

    fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room(), "room is made before bytes are appended");
        if bytes.is_empty() {
            return;
        }
        // SAFETY: the bytes fit, as just checked; `bytes` cannot overlap a block that only this body has.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.data.add(self.len), bytes.len()) };
        self.len += bytes.len();
        self.end();
    }

    fn clear(&mut self) {
        if self.borrowed || self.data.is_null() {
            *self = Self::default();
            return;
        }
        self.len = 0;
        self.end();
    }

    fn keep(&mut self) -> Result<()> {
        if self.borrowed {
            let borrowed = std::mem::take(self);
            if borrowed.len > 0 {
                self.reserve_total(borrowed.len)?;
                self.append(borrowed.as_ref());
            }
        }
        Ok(())
    }

    fn append_behind_headers(&mut self, chunks: &[u8], header: usize, payload: usize) {
        const USUAL: usize = chunk::DEFAULT_CHUNK_SIZE as usize;
        let mut chunks = chunks;
        if (header, payload) == (1, USUAL) {
            let usual = chunks.chunks_exact(1 + USUAL);
            chunks = usual.remainder();
            let len = usual.len() * USUAL;
            assert!(len <= self.room(), "room is made before bytes are appended");
            // SAFETY: there is room for that many payloads. The compiler inlines copies of a known length.
            unsafe {
                let to = self.data.add(self.len);
                for (index, chunk) in usual.enumerate() {
                    to.add(index * USUAL).copy_from_nonoverlapping(chunk[1..].as_ptr(), USUAL);
                }
                self.advance(len);
            }
        }
        for chunk in chunks.chunks(header + payload) {
            self.append(chunk.get(header..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtmp_core::message::Body as _;

    #[test]
    fn a_body_in_borrowed_memory_can_be_moved_and_grow() {
        let mut room = b"....and more".map(MaybeUninit::new);
        // SAFETY: all of it was initialised above.
        let bytes = |room: &[MaybeUninit<u8>; 12]| room.map(|byte| unsafe { byte.assume_init() });
        // SAFETY: the memory is not used before `keep`.
        let mut body = unsafe { Body::borrowed(&mut room) };
        assert_eq!((body.capacity(), body.is_borrowed()), (8, true));
        body.append(b"abc");
        body.keep().unwrap();
        assert_eq!((body.as_ref(), body.is_borrowed()), (&b"abc"[..], false));
        assert_eq!(&bytes(&room), b"abc\0and more");
        // SAFETY: as above, for `reserve_total`.
        let mut body = unsafe { Body::borrowed(&mut room) };
        body.append(b"abc");
        body.reserve_total(100).unwrap();
        body.append(b"defghijklm");
        assert_eq!(body.as_ref(), b"abcdefghijklm");
        assert_eq!(&bytes(&room), b"abc\0and more");
        // SAFETY: as above, for the last use.
        drop(unsafe { Body::borrowed(&mut room) });
    }

    #[test]
    fn a_lent_body_comes_back_unless_the_caller_freed_or_replaced_it() {
        let body = || {
            let mut body = Body::default();
            body.reserve_total(1000).unwrap();
            body.append(b"abc");
            body
        };
        let (shown, lent) = body().lend();
        // SAFETY: that pointer was shown.
        let mut back = unsafe { lent.take_back(shown) }.unwrap();
        back.append(&[7; 997]);
        assert_eq!((&back.as_ref()[..3], back.as_ref().len()), (&b"abc"[..], 1000));
        let (shown, lent) = body().lend();
        // SAFETY: as `RTMPPacket_Free` does.
        unsafe {
            release(shown.sub(RTMP_MAX_HEADER_SIZE));
            assert!(lent.take_back(ptr::null_mut()).is_none());
        }
        let (shown, lent) = body().lend();
        // SAFETY: a body of the caller's, which happens to be at the same address and is shorter.
        unsafe {
            let block = libc::realloc(shown.sub(RTMP_MAX_HEADER_SIZE).cast(), RTMP_MAX_HEADER_SIZE + 4);
            let shorter = block.cast::<c_char>().add(RTMP_MAX_HEADER_SIZE);
            let lent = Lent { address: shorter.addr(), ..lent };
            lent.take_back(shorter).unwrap().append(&[7; 997]);
        }
    }

    #[test]
    fn payloads_are_taken_out_from_between_headers() {
        for (payload, size) in
            [(128, 0), (128, 1), (128, 127), (128, 128), (128, 129), (128, 1000), (100, 950)]
        {
            let bytes: Vec<u8> = (0..size).map(|at| at as u8).collect();
            let chunks: Vec<u8> = bytes.chunks(payload).flat_map(|piece| [&[0xC4], piece].concat()).collect();
            let mut body = Body::default();
            body.reserve_total(size + 2).unwrap();
            body.append(b"ab");
            body.append_behind_headers(&chunks, 1, payload);
            assert_eq!(body.as_ref(), [b"ab", &bytes[..]].concat());
            // SAFETY: the byte after the body belongs to its block.
            assert_eq!(unsafe { *body.as_ptr().add(size + 2) }, 0);
        }
    }

    #[test]
    fn a_body_keeps_its_bytes_while_it_grows_and_ends_with_a_nul() {
        let mut body = Body::default();
        assert_eq!(body.as_ref(), b"");
        body.reserve_total(3).unwrap();
        body.append(b"abc");
        body.reserve_total(1 << 20).unwrap();
        body.append(b"def");
        assert_eq!(body.as_ref(), b"abcdef");
        // SAFETY: the byte after the body belongs to its block.
        assert_eq!(unsafe { *body.as_ptr().add(6) }, 0);
    }
}
