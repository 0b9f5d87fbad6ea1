//! `RTMPSockBuf`: a socket, its TLS layer if there is one, and the bytes received in advance, which `sb_size` counts.

use std::{
    io::{self, IoSlice},
    iter, mem, ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
};

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::Chunks,
    error::{Error, Result},
    net::Received,
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
    ptr::{bytes, given},
    reason, scratch, socket, tcp_info,
    valid::{Valid, field},
};

/// The last byte of the buffer stays free, so that text in it can have a NUL at its end.
pub(crate) const CAPACITY: usize = RTMP_BUFFER_CACHE_SIZE - 1;

/// A valid `RTMPSockBuf`.
pub(crate) type SockBuf<'a> = Valid<'a, RTMPSockBuf>;

impl<'a> SockBuf<'a> {
    /// Makes `sb_start` point into this buffer again, after its struct moved by assignment from one address to another.
    /// [`Inbox::extent`] handles an invalid pointer.
    pub(crate) fn follow(self, from: usize, to: usize) {
        let buffer = field!(self, sb_buf).as_ptr().cast::<c_char>();
        let there = buffer.addr().wrapping_sub(to).wrapping_add(from);
        let start = field!(self, sb_start);
        let offset = start.get().addr().wrapping_sub(there);
        if offset <= CAPACITY {
            start.set(buffer.wrapping_add(offset));
        }
    }

    /// Records whether the last wait for bytes ended with a timeout.
    pub(crate) fn set_timed_out(self, timed_out: bool) {
        field!(self, sb_timedout).set(timed_out.into());
    }

    /// Records that the wait with this result ended with a timeout, if it did.
    pub(super) fn note_timeout<T>(self, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            if matches!(error, Error::TimedOut) {
                self.set_timed_out(true);
            }
        })
    }

    /// Records the number of unread bytes.
    pub(super) fn set_size(self, size: usize) {
        field!(self, sb_size).set(size as c_int);
    }

    /// The number of unread bytes, as callers see it.
    pub(super) fn size(self) -> usize {
        usize::try_from(field!(self, sb_size).get()).unwrap_or(0)
    }

    /// The socket, if there is one.
    pub(crate) fn socket(self) -> Result<BorrowedFd<'a>> {
        let number = field!(self, sb_socket).get();
        if number < 0 {
            return Err(Error::Closed);
        }
        // SAFETY: the last call that may use a descriptor of the library closes it (`Handle::hang_up`), and a program's own
        // descriptor stays open during calls, which is a rule of `rtmp.h`.
        Ok(unsafe { socket::borrow(number) })
    }

    /// Whether there is TLS on the socket.
    pub(crate) fn has_tls(self) -> bool {
        !field!(self, sb_ssl).get().is_null()
    }

    /// The object that carries the bytes in TLS, if any; running calls keep it alive until they return.
    pub(crate) fn carrier(self) -> Option<Arc<Carrier>> {
        let carrier = field!(self, sb_ssl).get().cast::<Carrier>().cast_const();
        if carrier.is_null() {
            return None;
        }
        // SAFETY: a pointer that is not null was stored by `attach` and holds a reference of its own; connections that another
        // call closes are kept until this one has ended (`Handle::hang_up`).
        unsafe {
            Arc::increment_strong_count(carrier);
            Some(Arc::from_raw(carrier))
        }
    }

    /// Stores the object that carries the bytes in TLS, in place of an earlier one.
    pub(crate) fn attach(self, carrier: Arc<Carrier>) {
        drop(self.exchange(Arc::into_raw(carrier).cast_mut()));
    }

    /// Removes the object that carries the bytes in TLS.
    pub(crate) fn detach(self) -> Option<Arc<Carrier>> {
        self.exchange(ptr::null_mut())
    }

    fn exchange(self, carrier: *mut Carrier) -> Option<Arc<Carrier>> {
        // SAFETY: the field outlives this value, and all accesses are atomic; all pointers have the same layout.
        let slot = unsafe { AtomicPtr::from_ptr(field!(self, sb_ssl).as_ptr().cast()) };
        let before = slot.swap(carrier, Ordering::AcqRel);
        // SAFETY: a pointer that is not null was stored by `attach`; this takes over the slot's own reference.
        (!before.is_null()).then(|| unsafe { Arc::from_raw(before) })
    }

    /// Detaches the socket and TLS from an `RTMP` whose gate is held.
    pub(crate) fn take_pipe(self, _: &Keeper<'_>) -> Pipe {
        let socket = field!(self, sb_socket);
        let number = socket.get();
        socket.set(-1);
        // SAFETY: the session owns the descriptor, and passes it on.
        let socket = (number >= 0).then(|| unsafe { socket::from_c(number) });
        Pipe { carrier: self.detach(), socket }
    }

    /// Whether a received byte was left on the socket.
    pub(crate) fn has_left_byte(self, left: &AtomicBool) -> bool {
        self.carrier().map_or_else(|| left.load(Ordering::Relaxed), |carrier| carrier.lock().has_left_byte())
    }

    /// Removes the byte that was left on the socket.
    pub(crate) fn drop_left_byte(self, fd: BorrowedFd<'_>, left: &AtomicBool) {
        if let Some(carrier) = self.carrier() {
            return carrier.lock().release_byte();
        }
        if left.swap(false, Ordering::Relaxed) {
            // The byte is available, so this does not wait.
            let _ = tcp::receive(fd, &mut [0], &globals::USER);
        }
    }

    /// Waits for bytes from the socket, decrypted if it has TLS; 0 when the peer has closed.
    pub(crate) fn receive_into(self, room: &mut [u8], patience: &dyn Patience) -> Result<usize> {
        let fd = self.socket()?;
        match self.carrier() {
            Some(carrier) => carrier.receive(room, patience),
            None => tcp::receive(fd, room, patience),
        }
    }

    /// As [`Self::receive_into`], but only available bytes; `None` if there are none. A later call reports the end.
    fn receive_now(self, room: &mut [u8]) -> Result<Option<usize>> {
        let fd = self.socket()?;
        match self.carrier() {
            None => tcp::receive_now(fd, room),
            Some(_) if room.is_empty() => Ok(None),
            Some(carrier) => match carrier.receive_now(room)? {
                Received::Bytes(count) => Ok(Some(count)),
                Received::Nothing | Received::End => Ok(None),
            },
        }
    }

    /// As [`Self::receive_into`], but leaves the last received byte on the socket, so that the socket stays readable for a
    /// program that waits for it. `left` says whether the last call did so.
    pub(crate) fn receive_leaving_one(
        self,
        room: &mut [u8],
        left: &AtomicBool,
        patience: &dyn Patience,
    ) -> Result<usize> {
        let fd = self.socket()?;
        if let Some(carrier) = self.carrier() {
            // The carrier leaves the byte itself.
            return carrier.receive(room, patience);
        }
        self.drop_left_byte(fd, left);
        let count = tcp::peek(fd, room, patience)?;
        let mut taken = 1;
        while taken < count {
            // These are the same bytes again.
            match tcp::receive(fd, &mut room[taken - 1..count - 1], patience)? {
                0 => return Err(Error::Closed),
                more => taken += more,
            }
        }
        left.store(count > 0, Ordering::Relaxed);
        Ok(count)
    }

    /// Whether TLS has more bytes than were put into the buffer.
    #[inline(never)]
    pub(crate) fn tls_holds_more(self) -> bool {
        self.carrier().is_some_and(|carrier| carrier.lock().holds_more())
    }

    /// Sends bytes, through TLS if there is any.
    pub(crate) fn send_all(self, bytes: &[u8], patience: &dyn Patience) -> Result<()> {
        let fd = self.socket()?;
        match self.carrier() {
            Some(carrier) => carrier.send_all(iter::once(bytes), patience),
            // A single piece needs no memory to assemble it.
            None => tcp::send_all(fd, iter::once(bytes), &mut Vec::new(), patience),
        }
    }

    /// Sends a message, through TLS if there is any.
    pub(crate) fn send_chunks(self, chunks: &Chunks<'_>, patience: &dyn Patience) -> Result<()> {
        if let Some(carrier) = self.carrier() {
            return carrier.send_all(chunks.pieces(), patience);
        }
        match self.send_chunks_now(chunks) {
            Some(Ok(sent)) if sent == chunks.len() => Ok(()),
            first => self.send_rest_of(chunks, first, patience),
        }
    }

    /// Sends what the system takes of a message at once, without TLS; `None` if it is too long for one call.
    #[inline]
    pub(crate) fn send_chunks_now(self, chunks: &Chunks<'_>) -> Option<io::Result<usize>> {
        let fd = self.socket().ok()?;
        arrange(chunks, |slices| tcp::send_slices_now(fd, slices))
    }

    /// Encrypts what TLS takes of a message at once, and sends it; returns how many bytes that was, and whether the system has
    /// accepted all of it.
    pub(crate) fn encrypt_chunks_now(self, chunks: &Chunks<'_>) -> Result<(usize, bool)> {
        let carrier = self.carrier().ok_or(Error::NotConnected)?;
        arrange(chunks, |slices| carrier.send_at_once(slices)).unwrap_or(Ok((0, false)))
    }

    /// Sends what is left of a message after [`encrypt_chunks_now`](Self::encrypt_chunks_now) took `first`.
    pub(crate) fn encrypt_rest_of(
        self,
        chunks: &Chunks<'_>,
        first: Result<usize>,
        patience: &dyn Patience,
    ) -> Result<()> {
        let carrier = self.carrier().ok_or(Error::Closed)?;
        carrier.send_rest(chunks.pieces(), first, patience)
    }

    /// Sends what the system takes of some pieces at once, without TLS; `None` if there is no socket.
    #[inline]
    pub(crate) fn send_now(self, pieces: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
        Some(tcp::send_slices_now(self.socket().ok()?, pieces))
    }

    /// Sends what is left of a message without TLS after `first` came of [`send_chunks_now`](Self::send_chunks_now).
    pub(crate) fn send_rest_of(
        self,
        chunks: &Chunks<'_>,
        first: Option<io::Result<usize>>,
        patience: &dyn Patience,
    ) -> Result<()> {
        let fd = self.socket()?;
        let rest =
            first.and_then(|first| arrange(chunks, |slices| tcp::send_rest(fd, slices, first, patience)));
        rest.unwrap_or_else(|| scratch::with(|memory| tcp::send_all(fd, chunks.pieces(), memory, patience)))
    }

    /// Informs the peer that nothing more follows, and waits until it has read everything, see [`tcp::linger`].
    pub(crate) fn linger(self, patience: &dyn Patience) {
        let (Ok(fd), carrier) = (self.socket(), self.carrier()) else { return };
        if let Some(carrier) = carrier {
            carrier.say_goodbye();
        }
        tcp::linger(fd, || tcp_info::unsent(fd), patience);
    }
}

/// The buffer of an `RTMPSockBuf`, for the thread that reads: the received bytes that are unread.
pub(crate) struct Inbox<'a>(SockBuf<'a>);

impl<'a> Inbox<'a> {
    /// The buffer of `sb`.
    ///
    /// # Safety
    /// No other thread reads from `sb`, and no other `Inbox` of it is used while this one is.
    pub(crate) unsafe fn of(sb: SockBuf<'a>) -> Self {
        Self(sb)
    }

    /// The struct around it.
    pub(crate) fn sb(&self) -> SockBuf<'a> {
        self.0
    }

    /// The offset and length of the unread bytes. A buffer with invalid fields, because its struct was moved or never filled,
    /// counts as empty.
    #[inline(always)]
    pub(crate) fn extent(&self) -> (usize, usize) {
        let start = field!(self.0, sb_start).get();
        let offset = start.addr().wrapping_sub(self.start().addr());
        match self.0.size() {
            size if size > 0 && offset <= CAPACITY && size <= CAPACITY - offset => (offset, size),
            _ => (0, 0),
        }
    }

    fn start(&self) -> *mut u8 {
        field!(self.0, sb_buf).as_ptr().cast()
    }

    /// The unread bytes.
    #[inline(always)]
    pub(crate) fn unread(&self) -> &[u8] {
        let (offset, size) = self.extent();
        &self.whole()[offset..offset + size]
    }

    #[inline(always)]
    fn whole(&self) -> &[u8; CAPACITY] {
        // SAFETY: `sb_buf` is an array of initialised bytes, one more than these, and only the thread that reads writes to it
        // (`of`).
        unsafe { &*self.start().cast() }
    }

    /// The whole buffer. `RTMP_Init` has cleared that of an `RTMP`.
    pub(super) fn whole_mut(&mut self) -> &mut [u8; CAPACITY] {
        // SAFETY: as in `whole`, and this value is borrowed exclusively.
        unsafe { &mut *self.start().cast() }
    }

    /// Removes used bytes from the front of the unread ones. `count` is at most the number of unread bytes.
    #[inline(always)]
    pub(crate) fn consume(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        let start = field!(self.0, sb_start);
        start.set(start.get().wrapping_add(count));
        self.0.set_size(self.0.size().saturating_sub(count));
    }

    /// The last `count` unread bytes, or all of them if there are fewer.
    pub(crate) fn newest(&mut self, count: usize) -> &mut [u8] {
        let (offset, size) = self.extent();
        let count = count.min(size);
        &mut self.whole_mut()[offset + size - count..offset + size]
    }

    /// Records that the unread bytes are the first `size` bytes of the buffer.
    pub(super) fn show_front(&mut self, size: usize) {
        field!(self.0, sb_start).set(self.start().cast());
        self.0.set_size(size);
    }

    /// Moves the unread bytes to the front and lets `receive` append more; returns how many arrived.
    pub(crate) fn fill(&mut self, receive: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<usize> {
        let received = self.append(receive);
        let received = self.0.note_timeout(received)?;
        if received == 0 { Err(Error::Closed) } else { Ok(received) }
    }

    /// As [`Self::fill`], but only with bytes that are available on the socket; returns whether there were any.
    pub(crate) fn fill_now(&mut self) -> Result<bool> {
        let sb = self.0;
        let received = self.append(|room| Ok(sb.receive_now(room)?.unwrap_or(0)))?;
        Ok(received > 0)
    }

    /// As [`Self::fill`], with what the system has at once; also returns whether there was room for more.
    pub(crate) fn fill_at_once(&mut self) -> Result<io::Result<(usize, bool)>> {
        let (fd, mut result) = (self.0.socket()?, Ok((0, false)));
        self.append(|room| {
            result = tcp::receive_at_once(fd, room).map(|count| (count, count < room.len()));
            Ok(result.as_ref().map_or(0, |(count, _)| *count))
        })?;
        Ok(result)
    }

    /// Moves the unread bytes to the front and lets `receive` append to them.
    fn append(&mut self, receive: impl FnOnce(&mut [u8]) -> Result<usize>) -> Result<usize> {
        self.0.set_timed_out(false);
        let (offset, size) = self.extent();
        if offset > 0 {
            self.whole_mut().copy_within(offset..offset + size, 0);
        }
        self.show_front(size);
        let received = receive(&mut self.whole_mut()[size..])?;
        self.0.set_size(size + received);
        Ok(received)
    }

    /// Receives after the unread bytes; 0 when the peer has closed, or when there is no room or unread bytes are elsewhere.
    fn receive(&mut self) -> Result<usize> {
        let (offset, size) = self.extent();
        if size == 0 {
            if self.0.size() > 0 && !field!(self.0, sb_start).get().is_null() {
                // The bytes are in a session's receive buffer. Starting over would lose them.
                return Ok(0);
            }
            self.show_front(0);
        }
        let end = offset + size;
        // SAFETY: these bytes follow the unread ones in `sb_buf`. A program that made the struct itself may not have
        // initialised them.
        unsafe { self.start().add(end).write_bytes(0, CAPACITY - end) };
        let sb = self.0;
        let received = sb.note_timeout(sb.receive_into(&mut self.whole_mut()[end..], &globals::USER))?;
        sb.set_size(size + received);
        Ok(received)
    }

    /// Moves the bytes that TLS has already decrypted into a buffer without unread bytes, without waiting; returns how many
    /// these were. Callers wait for the socket when `sb_size` is 0, so this runs each time it may have become 0.
    pub(crate) fn refill_from_pending(&mut self) -> usize {
        if !self.0.has_tls() || self.extent().1 > 0 {
            return 0;
        }
        let Some(carrier) = self.0.carrier() else { return 0 };
        let count = carrier.receive_held(self.whole_mut());
        self.show_front(count);
        count
    }
}

/// Calls `send` with the pieces of a message, or with one piece if it costs less to put them together; `None` if they are too
/// many for one call of the system.
#[inline]
fn arrange<R>(chunks: &Chunks<'_>, send: impl FnOnce(&mut [IoSlice<'_>]) -> R) -> Option<R> {
    let len = chunks.len();
    let many = len > tcp::SHORT && chunks.count() > tcp::MAX_SLICES / 2;
    if len <= tcp::SHORT || (many && len <= tcp::MOST_PUT_TOGETHER) {
        return Some(scratch::with(|memory| send(&mut [IoSlice::new(chunks.assemble(memory))])));
    }
    if let Some(pieces) = chunks.as_one() {
        return Some(send(&mut pieces.map(IoSlice::new)));
    }
    if many {
        return None;
    }
    let mut slices = [IoSlice::new(&[]); tcp::MAX_SLICES];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(chunks.pieces()) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    Some(send(&mut slices[..count]))
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
pub unsafe extern "C-unwind" fn RTMPSockBuf_Fill(sb: Option<Valid<'_, RTMPSockBuf>>) -> c_int {
    boundary(Kind::Waits, -1, |errno| {
        refuse_in_callback(sb)?;
        // SAFETY: the program reads from the buffer in this call, which it may do in one thread only.
        let received = with_socket(sb).and_then(|sb| unsafe { Inbox::of(sb) }.receive());
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
    sb: Option<Valid<'_, RTMPSockBuf>>,
    buf: *const c_char,
    len: c_int,
) -> c_int {
    boundary(Kind::Waits, -1, |_| {
        refuse_in_callback(sb)?;
        let sb = with_socket(sb)?;
        // SAFETY: `buf` is null or readable for `len` bytes, by the Safety section.
        let bytes = unsafe { bytes(buf, len, "buf") }?;
        let fd = sb.socket()?;
        let sent = match sb.carrier() {
            Some(carrier) => carrier.send_some(bytes, &globals::USER),
            None => tcp::send_some(fd, bytes, &globals::USER),
        };
        Ok(sent? as c_int)
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
pub unsafe extern "C-unwind" fn RTMPSockBuf_Close(sb: Option<Valid<'_, RTMPSockBuf>>) -> c_int {
    boundary(Kind::Waits, -1, |errno| {
        refuse_in_callback(sb)?;
        let sb = given(sb, "sb")?;
        let socket = field!(sb, sb_socket).get();
        if let Some(carrier) = sb.detach() {
            carrier.say_goodbye();
        }
        if socket == -1 {
            return Ok(0);
        }
        // SAFETY: the caller may close the descriptor.
        let closed = unsafe { socket::close(socket) };
        if closed == -1 {
            errno.take_current();
        }
        Ok(closed)
    })
}

/// The buffer of a caller that has a socket.
fn with_socket(sb: Option<SockBuf<'_>>) -> Result<SockBuf<'_>> {
    let sb = given(sb, "sb")?;
    if field!(sb, sb_socket).get() < 0 { Err(Error::NotConnected) } else { Ok(sb) }
}

/// Fails in the log callback of a call with the session that this buffer belongs to.
fn refuse_in_callback(sb: Option<SockBuf<'_>>) -> Result<()> {
    let its = |told: *mut RTMP| told.addr() + mem::offset_of!(RTMP, m_sb);
    let is_told = sb.is_some_and(|sb| reason::is_told(|told| its(told) == sb.as_ptr().addr()));
    if is_told { Err(reason::refusal()) } else { Ok(()) }
}
