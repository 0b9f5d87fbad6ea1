//! `RTMPSockBuf`: a socket, TLS over it if there is any, and the bytes received ahead of need, which callers count with
//! `sb_size`.

use std::{
    io::IoSlice,
    slice,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
};

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::{Chunks, TINY},
    error::{Error, Result},
    transport::{tcp, wait::Patience},
};
use rustix::fd::BorrowedFd;

use super::{RTMP, RTMP_BUFFER_CACHE_SIZE, RTMPSockBuf};
use crate::{
    boundary::{Kind, boundary},
    carrier::Carrier,
    gate::Keeper,
    globals,
    pipe::Pipe,
    ptr, reason, shared, socket, tcp_info,
};

/// The last byte of the buffer stays free, so that text in it can be ended with a NUL.
pub(crate) const CAPACITY: usize = RTMP_BUFFER_CACHE_SIZE - 1;

/// A descriptor that C keeps in an `int`.
///
/// # Safety
/// `fd` is not closed while the result is used.
pub(crate) unsafe fn borrow<'a>(fd: c_int) -> Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Error::Closed);
    }
    // SAFETY: `fd` is not -1, and not closed while the result is used, by the Safety section.
    Ok(unsafe { socket::borrow(fd) })
}

/// Where the unread bytes lie, as offset and length. A buffer whose fields make no sense, because its struct was moved
/// or never filled, counts as empty.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn extent(sb: *const RTMPSockBuf) -> (usize, usize) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    let (start, size, first) = unsafe {
        let size = shared::read(&raw const (*sb).sb_size);
        ((*sb).sb_start, size, (&raw const (*sb).sb_buf))
    };
    let offset = (start as usize).wrapping_sub(first as usize);
    match usize::try_from(size) {
        Ok(size) if size > 0 && offset <= CAPACITY && size <= CAPACITY - offset => (offset, size),
        _ => (0, 0),
    }
}

/// Makes `sb_start` point into this buffer again, after its struct and all around it moved by assignment from one address
/// to another. A pointer that makes no sense is left to [`extent`].
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn follow(sb: *mut RTMPSockBuf, from: usize, to: usize) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe {
        let buffer = (&raw mut (*sb).sb_buf).cast::<c_char>();
        let there = buffer.addr().wrapping_sub(to).wrapping_add(from);
        let offset = (*sb).sb_start.addr().wrapping_sub(there);
        if offset <= CAPACITY {
            (*sb).sb_start = buffer.add(offset);
        }
    }
}

/// The unread bytes.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose buffer nobody writes while the result is used.
pub(crate) unsafe fn unread<'a>(sb: *const RTMPSockBuf) -> &'a [u8] {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose buffer nobody writes while the result is used, by the
    // Safety section; `extent` stays inside the buffer.
    unsafe {
        let (offset, size) = extent(sb);
        slice::from_raw_parts((&raw const (*sb).sb_buf).cast::<u8>().add(offset), size)
    }
}

/// Takes bytes that were used from the front of the unread ones.
///
/// # Safety
/// As for [`unread`]; `count` is at most what is unread.
pub(crate) unsafe fn consume(sb: *mut RTMPSockBuf, count: usize) {
    if count == 0 {
        return;
    }
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose buffer nobody writes while the result is used; `count`
    // is at most what is unread, by the Safety section.
    unsafe {
        (*sb).sb_start = (*sb).sb_start.add(count);
        set_size(sb, shared::read(&raw const (*sb).sb_size) - count as c_int);
    }
}

/// The last of the unread bytes, `count` of them or all there are.
///
/// # Safety
/// As for [`unread`], and nobody reads the buffer while the result is used.
pub(crate) unsafe fn newest<'a>(sb: *mut RTMPSockBuf, count: usize) -> &'a mut [u8] {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose buffer nobody writes while the result is used; nobody
    // reads the buffer while the result is used, by the Safety section; `extent` stays inside the buffer.
    unsafe {
        let (offset, size) = extent(sb);
        let count = count.min(size);
        slice::from_raw_parts_mut((&raw mut (*sb).sb_buf).cast::<u8>().add(offset + size - count), count)
    }
}

/// Lets `receive` put more bytes behind those that are unread, which move to the front; returns how many came.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf` that nobody else reads from.
pub(crate) unsafe fn fill(
    sb: *mut RTMPSockBuf,
    receive: impl FnOnce(&mut [u8]) -> Result<usize>,
) -> Result<usize> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from, by the Safety section.
    let received = unsafe { append(sb, receive) }.inspect_err(|error| {
        if matches!(error, Error::TimedOut) {
            // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from, by the Safety section.
            unsafe { set_timed_out(sb, true) };
        }
    })?;
    if received == 0 { Err(Error::Closed) } else { Ok(received) }
}

/// As [`fill`], but only with what is on the socket already; tells whether that was something.
///
/// # Safety
/// As for [`fill`]; nobody closes the socket meanwhile.
pub(crate) unsafe fn fill_now(sb: *mut RTMPSockBuf) -> Result<bool> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from; nobody closes the socket
    // meanwhile, by the Safety section.
    unsafe {
        let fd = socket(sb)?;
        let received = append(sb, |room| Ok(tcp::receive_now(fd, room)?.unwrap_or(0)))?;
        Ok(received > 0)
    }
}

/// Lets `receive` append to the unread bytes, which move to the front.
///
/// # Safety
/// As for [`fill`].
unsafe fn append(sb: *mut RTMPSockBuf, receive: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<usize> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from, by the Safety section; `sb_buf`
    // is an array of initialised bytes.
    unsafe {
        set_timed_out(sb, false);
        let (offset, size) = extent(sb);
        let buffer = (&raw mut (*sb).sb_buf).cast::<c_char>();
        if offset > 0 {
            std::ptr::copy(buffer.add(offset), buffer, size);
        }
        (*sb).sb_start = buffer;
        set_size(sb, size as c_int);
        let room = slice::from_raw_parts_mut(buffer.cast::<u8>().add(size), CAPACITY - size);
        let received = receive(room)?;
        set_size(sb, (size + received) as c_int);
        Ok(received)
    }
}

/// Says how many bytes are unread.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(super) unsafe fn set_size(sb: *mut RTMPSockBuf, size: c_int) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe { shared::write(&raw mut (*sb).sb_size, size) }
}

/// Says whether the last wait for bytes ended because time was up.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn set_timed_out(sb: *mut RTMPSockBuf, timed_out: bool) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe { shared::write(&raw mut (*sb).sb_timedout, c_int::from(timed_out)) }
}

/// Waits for bytes from the socket, decrypted if there is TLS over it; 0 when the peer has closed.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile.
pub(crate) unsafe fn receive_into(
    sb: *const RTMPSockBuf,
    room: &mut [u8],
    patience: &dyn Patience,
) -> Result<usize> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile, by the Safety section.
    let (fd, carrier) = unsafe { (socket(sb)?, carrier(sb)) };
    match carrier {
        Some(carrier) => carrier.receive(room, patience),
        None => tcp::receive(fd, room, patience),
    }
}

/// As [`receive_into`], and leaves the last byte that came from the socket there, so that the socket stays readable for
/// whoever waits for it. `left` tells whether it was done before.
///
/// # Safety
/// As for [`receive_into`].
pub(crate) unsafe fn receive_leaving_one(
    sb: *const RTMPSockBuf,
    room: &mut [u8],
    left: &AtomicBool,
    patience: &dyn Patience,
) -> Result<usize> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile, by the Safety section.
    let (fd, carrier) = unsafe { (socket(sb)?, carrier(sb)) };
    if let Some(carrier) = carrier {
        // It leaves the byte itself.
        return carrier.receive(room, patience);
    }
    // SAFETY: as above.
    unsafe { drop_left_byte(sb, fd, left) };
    let count = tcp::peek(fd, room, patience)?;
    let mut taken = 1;
    while taken < count {
        // These are the same bytes once more.
        match tcp::receive(fd, &mut room[taken - 1..count - 1], patience)? {
            0 => return Err(Error::Closed),
            more => taken += more,
        }
    }
    left.store(count > 0, Ordering::Relaxed);
    Ok(count)
}

/// Takes the byte that was left on the socket.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn drop_left_byte(sb: *const RTMPSockBuf, fd: BorrowedFd<'_>, left: &AtomicBool) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    if let Some(carrier) = unsafe { carrier(sb) } {
        return carrier.lock().release_byte();
    }
    if left.swap(false, Ordering::Relaxed) {
        // It is there, so this does not wait.
        let _ = tcp::receive(fd, &mut [0], &globals::USER);
    }
}

/// Whether a byte was left on the socket.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn has_left_byte(sb: *const RTMPSockBuf, left: &AtomicBool) -> bool {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe { carrier(sb) }
        .map_or_else(|| left.load(Ordering::Relaxed), |carrier| carrier.lock().has_left_byte())
}

/// Receives behind the unread bytes; 0 when the peer has closed, or when there is no room or unread bytes are elsewhere.
///
/// # Safety
/// As for [`fill`].
unsafe fn receive(sb: *mut RTMPSockBuf) -> Result<usize> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from, by the Safety section; `sb_buf`
    // is an array of initialised bytes, and `extent` stays inside it.
    unsafe {
        let (offset, size) = extent(sb);
        let buffer = (&raw mut (*sb).sb_buf).cast::<u8>();
        if size == 0 {
            if shared::read(&raw const (*sb).sb_size) > 0 && !(*sb).sb_start.is_null() {
                // They are in a session's reservoir. To start over would lose them.
                return Ok(0);
            }
            (*sb).sb_start = buffer.cast();
            set_size(sb, 0);
        }
        let end = offset + size;
        let room = slice::from_raw_parts_mut(buffer.add(end), CAPACITY - end);
        let received = receive_into(sb, room, &globals::USER);
        if matches!(received, Err(Error::TimedOut)) {
            set_timed_out(sb, true);
        }
        let received = received?;
        set_size(sb, (size + received) as c_int);
        Ok(received)
    }
}

/// Puts what TLS has decrypted already into a buffer with nothing unread, without waiting; returns how much that was.
/// Callers wait for the socket when `sb_size` is 0, so this comes after each time it may have become that.
///
/// # Safety
/// As for [`fill`].
pub(crate) unsafe fn refill_from_pending(sb: *mut RTMPSockBuf) -> usize {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` that nobody else reads from, by the Safety section; `sb_buf`
    // is an array of initialised bytes, of which the first `CAPACITY` are used; the descriptor is open as long as the
    // caller leaves it so.
    unsafe {
        if !has_tls(sb) || extent(sb).1 > 0 {
            return 0;
        }
        let Some(carrier) = carrier(sb) else { return 0 };
        let buffer = (&raw mut (*sb).sb_buf).cast::<u8>();
        let count = carrier.receive_held(slice::from_raw_parts_mut(buffer, CAPACITY));
        (*sb).sb_start = buffer.cast();
        set_size(sb, count as c_int);
        count
    }
}

/// Whether TLS has received more than was put into the buffer.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn tls_holds_more(sb: *const RTMPSockBuf) -> bool {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe { carrier(sb) }.is_some_and(|carrier| carrier.holds_more())
}

/// Sends all pieces, over TLS if there is any.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile.
pub(crate) unsafe fn send_all<'p>(
    sb: *const RTMPSockBuf,
    pieces: impl Iterator<Item = &'p [u8]>,
    scratch: &mut Vec<u8>,
    patience: &dyn Patience,
) -> Result<()> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile, by the Safety section.
    let (fd, carrier) = unsafe { (socket(sb)?, carrier(sb)) };
    match carrier {
        Some(carrier) => carrier.send_all(pieces, patience),
        None => tcp::send_all(fd, pieces, scratch, patience),
    }
}

/// Sends a message, over TLS if there is any.
///
/// # Safety
/// As for [`send_all`].
#[inline]
pub(crate) unsafe fn send_chunks(
    sb: *const RTMPSockBuf,
    chunks: &Chunks<'_>,
    scratch: &mut Vec<u8>,
    patience: &dyn Patience,
) -> Result<()> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile, by the Safety section.
    let (fd, carrier) = unsafe { (socket(sb)?, carrier(sb)) };
    if let Some(carrier) = carrier {
        return carrier.send_all(chunks.pieces(), patience);
    }
    // Connections that only listen send acknowledgements, and keep no memory for them.
    if let Some(whole) = chunks.together(&mut [0; TINY]) {
        return send_slices(fd, &mut [IoSlice::new(whole)], whole.len(), patience);
    }
    let len = chunks.len();
    let many = chunks.count() > tcp::MAX_SLICES / 2;
    if len <= tcp::SHORT || (many && len <= tcp::MOST_PUT_TOGETHER) {
        return send_slices(fd, &mut [IoSlice::new(put_together(chunks, len, scratch))], len, patience);
    }
    if let Some(pieces) = chunks.as_one() {
        return send_slices(fd, &mut pieces.map(IoSlice::new), len, patience);
    }
    tcp::send_all(fd, chunks.pieces(), scratch, patience)
}

/// The `len` bytes of a message in one piece. What was in the memory before need not be cleared.
#[inline]
fn put_together<'s>(chunks: &Chunks<'_>, len: usize, scratch: &'s mut Vec<u8>) -> &'s [u8] {
    if scratch.len() < len {
        scratch.resize(len, 0);
    }
    chunks.write_to(&mut scratch[..len]);
    &scratch[..len]
}

/// Sends all slices, `len` bytes in all. Most of the time the system takes them at once.
#[inline]
fn send_slices(
    fd: BorrowedFd<'_>,
    slices: &mut [IoSlice<'_>],
    len: usize,
    patience: &dyn Patience,
) -> Result<()> {
    match tcp::send_slices_now(fd, slices) {
        Ok(sent) if sent == len => Ok(()),
        first => tcp::send_rest(fd, slices, first, patience),
    }
}

/// Says that nothing more will be sent, and waits for the peer to have read what was, see [`tcp::linger`].
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile.
pub(crate) unsafe fn linger(sb: *const RTMPSockBuf, patience: &dyn Patience) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket nobody closes meanwhile, by the Safety section.
    let (fd, carrier) = unsafe { (socket(sb), carrier(sb)) };
    let Ok(fd) = fd else { return };
    if let Some(carrier) = carrier {
        carrier.say_goodbye();
    }
    tcp::linger(fd, || tcp_info::unsent(fd), patience);
}

/// What carries bytes over the socket in TLS, if anything does; calls that are running keep it alive until they return.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn carrier(sb: *const RTMPSockBuf) -> Option<Arc<Carrier>> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section; what is not null was put there by
    // `attach` and holds a reference of its own.
    unsafe {
        let carrier = shared::read(&raw const (*sb).sb_ssl).cast::<Carrier>().cast_const();
        if carrier.is_null() {
            return None;
        }
        Arc::increment_strong_count(carrier);
        Some(Arc::from_raw(carrier))
    }
}

/// Puts what carries bytes in TLS on the socket, in place of what may be there.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn attach(sb: *mut RTMPSockBuf, carrier: Arc<Carrier>) {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    unsafe {
        let before = ssl(sb).swap(Arc::into_raw(carrier).cast_mut(), Ordering::AcqRel);
        if !before.is_null() {
            drop(Arc::from_raw(before));
        }
    }
}

/// Takes what carries bytes in TLS off the socket.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn detach(sb: *mut RTMPSockBuf) -> Option<Arc<Carrier>> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section; the slot's own reference is handed
    // over.
    unsafe {
        let carrier = ssl(sb).swap(std::ptr::null_mut(), Ordering::AcqRel);
        if carrier.is_null() { None } else { Some(Arc::from_raw(carrier)) }
    }
}

/// Takes the socket and TLS off the buffer of an `RTMP` whose gate is held.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn take_pipe(sb: *mut RTMPSockBuf, _: &Keeper<'_>) -> Pipe {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section; the descriptor is the session's to
    // close.
    unsafe {
        let socket = shared::read(&raw const (*sb).sb_socket);
        shared::write(&raw mut (*sb).sb_socket, -1);
        Pipe { carrier: detach(sb), socket: (socket >= 0).then(|| socket::from_c(socket)) }
    }
}

/// Where `sb_ssl` is.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, which outlives the result.
unsafe fn ssl<'a>(sb: *mut RTMPSockBuf) -> &'a AtomicPtr<Carrier> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, which outlives the result, by the Safety section; a pointer
    // is laid out like any other.
    unsafe { AtomicPtr::from_ptr((&raw mut (*sb).sb_ssl).cast()) }
}

/// Whether there is TLS on the socket.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`.
pub(crate) unsafe fn has_tls(sb: *const RTMPSockBuf) -> bool {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, by the Safety section.
    !unsafe { shared::read(&raw const (*sb).sb_ssl) }.is_null()
}

/// The socket, while there is one.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf`, whose socket is not closed while the result is used.
pub(crate) unsafe fn socket<'a>(sb: *const RTMPSockBuf) -> Result<BorrowedFd<'a>> {
    // SAFETY: `sb` points to an initialised `RTMPSockBuf`, whose socket is not closed while the result is used, by the
    // Safety section.
    unsafe { borrow(shared::read(&raw const (*sb).sb_socket)) }
}

/// Waits for bytes from the socket and appends them to the buffer.
///
/// Returns the number of bytes, or -1 on an error. Returns 0 when the peer has closed the connection, when the socket's
/// timeout passed (`sb_timedout` is then 1), and when the buffer is full; it counts as full while unread bytes are
/// outside of it.
///
/// # Safety
/// `sb` is null or points to an initialised `RTMPSockBuf`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMPSockBuf_Fill(sb: *mut RTMPSockBuf) -> c_int {
    boundary(Kind::Waits, -1, |errno| {
        refuse_in_callback(sb)?;
        // SAFETY: `sb` is null or points to an initialised `RTMPSockBuf`, by the Safety section.
        let received =
            unsafe { ptr::required_mut(sb, "sb").and_then(with_socket).and_then(|sb| receive(sb)) };
        if let Err(error) = &received {
            errno.set_from(error);
        }
        match received {
            Ok(received) => Ok(received as c_int),
            Err(Error::TimedOut) => Ok(0),
            Err(error) => {
                log::debug!("RTMPSockBuf_Fill, {error}");
                Ok(-1)
            }
        }
    })
}

/// Sends as many of the `len` bytes at `buf` as the socket accepts. A closed connection never raises SIGPIPE. Over TLS
/// a call accepts at most 16384 bytes.
///
/// Returns the number of bytes, or -1 on an error.
///
/// # Safety
/// `sb` is null or points to an initialised `RTMPSockBuf`; `buf` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMPSockBuf_Send(
    sb: *mut RTMPSockBuf,
    buf: *const c_char,
    len: c_int,
) -> c_int {
    boundary(Kind::Waits, -1, |_| {
        refuse_in_callback(sb)?;
        // SAFETY: `sb` is null or points to an initialised `RTMPSockBuf`; `buf` is null or readable for `len` bytes, by
        // the Safety section.
        unsafe {
            let sb = with_socket(ptr::required_mut(sb, "sb")?)?;
            let bytes = ptr::bytes(buf, len, "buf")?;
            let fd = socket(sb)?;
            let sent = match carrier(sb) {
                Some(carrier) => carrier.send_some(bytes, &globals::USER),
                None => tcp::send_some(fd, bytes, &globals::USER),
            };
            Ok(sent? as c_int)
        }
    })
}

/// Closes the socket. Over TLS it notifies the peer first, does not wait for an answer, and sets `sb_ssl` to NULL.
/// `sb_socket` keeps its number, so do not call this twice.
///
/// Returns 0, or -1 if the system reported an error.
///
/// # Safety
/// `sb` is null or points to an initialised `RTMPSockBuf`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMPSockBuf_Close(sb: *mut RTMPSockBuf) -> c_int {
    boundary(Kind::Waits, -1, |errno| {
        refuse_in_callback(sb)?;
        // SAFETY: `sb` is null or points to an initialised `RTMPSockBuf`, by the Safety section.
        let (socket, carrier) = unsafe { (ptr::required(sb, "sb")?.sb_socket, detach(sb)) };
        if let Some(carrier) = carrier {
            carrier.say_goodbye();
        }
        if socket == -1 {
            return Ok(0);
        }
        // SAFETY: the descriptor is the caller's to close.
        let closed = unsafe { socket::close(socket) };
        if closed == -1 {
            errno.take_current();
        }
        Ok(closed)
    })
}

/// A buffer of a caller who has a socket.
fn with_socket(sb: &mut RTMPSockBuf) -> Result<&mut RTMPSockBuf> {
    if sb.sb_socket < 0 { Err(Error::NotConnected) } else { Ok(sb) }
}

/// Fails in the log callback of a call with the session that this buffer belongs to.
fn refuse_in_callback(sb: *mut RTMPSockBuf) -> Result<()> {
    let offset = std::mem::offset_of!(RTMP, m_sb);
    if reason::is_told(|told| told.addr() + offset == sb.addr()) { Err(reason::refusal()) } else { Ok(()) }
}
