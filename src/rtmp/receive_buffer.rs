//! A receive buffer larger than the one in the struct, for fast peers: one system call receives many messages, which saves more
//! than the additional copy costs.
//!
//! A session has one while its peer sends faster than it reads. `sb_start` and `sb_size` still show callers the unread bytes.

use std::mem::MaybeUninit;

use rtmp_core::{
    error::{Error, Result},
    transport::{tcp, wait::Patience},
};
use socket2::MaybeUninitSlice;

use super::sockbuf::{self, Inbox, SockBuf};
use crate::valid::field;

/// A larger buffer did not make reading cheaper, and one of half the size made it slower. Allocators keep blocks of this size.
const CAPACITY: usize = 96 << 10;

/// The number of successive receives that would have fitted into the struct's own buffer, after which the memory is freed.
const KEPT_FOR: u32 = 16;

/// Bytes that were received in advance, besides those in the struct.
#[derive(Debug)]
pub(crate) struct ReceiveBuffer {
    memory: Vec<u8>,
    /// The number of successive receives that would have fitted into the struct.
    modest: u32,
}

impl ReceiveBuffer {
    /// An empty buffer, or none if memory is short: it only saves time.
    fn new() -> Option<Box<Self>> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(CAPACITY).ok()?;
        Some(Box::new(Self { memory, modest: 0 }))
    }

    /// The offset of the first unread byte of `sb` in this memory, if it is in it.
    fn offset(&self, sb: SockBuf<'_>) -> usize {
        field!(sb, sb_start).get().addr().wrapping_sub(self.memory.as_ptr().addr())
    }

    /// The unread bytes of `sb`, if they are all in this memory.
    fn unread(&self, sb: SockBuf<'_>) -> Option<&[u8]> {
        self.memory.get(self.offset(sb)..)?.get(..sb.size())
    }

    /// Whether the struct's buffer has been enough for so long that this memory can be freed.
    fn is_idle(&self) -> bool {
        self.modest >= KEPT_FOR
    }

    /// Whether the last receive brought more than fits into the struct: then more bytes have probably arrived meanwhile.
    pub(crate) fn expects_bytes(&self) -> bool {
        self.modest == 0
    }

    /// Copies unread bytes from the struct into this memory, and moves them to the front.
    pub(crate) fn gather(&mut self, inbox: &Inbox<'_>) {
        let sb = inbox.sb();
        if self.unread(sb).is_some() {
            let (offset, size) = (self.offset(sb), sb.size());
            self.memory.copy_within(offset..offset + size, 0);
            self.memory.truncate(size);
        } else {
            self.memory.clear();
            self.memory.extend_from_slice(inbox.unread());
        }
        field!(sb, sb_start).set(self.memory.as_mut_ptr().cast());
        self.show(sb);
    }

    /// Makes all gathered bytes visible to callers.
    pub(crate) fn show(&self, sb: SockBuf<'_>) {
        sb.set_size(self.memory.len());
    }

    /// Lets `receive` append to the gathered bytes; returns how many came.
    fn append(&mut self, receive: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<usize>) -> Result<usize> {
        let received = receive(self.memory.spare_capacity_mut())?;
        // SAFETY: the system wrote that many bytes after the existing ones (`receive`).
        unsafe { self.memory.set_len(self.memory.len() + received) };
        if received > 0 {
            self.modest = if received > sockbuf::CAPACITY { 0 } else { self.modest.saturating_add(1) };
        }
        Ok(received)
    }

    /// Waits for bytes and appends them to the gathered ones. They are invisible until [`show`](Self::show), because another
    /// call may have closed the connection meanwhile. The socket's bytes need no decryption or unwrapping.
    pub(crate) fn fill(&mut self, sb: SockBuf<'_>, patience: &dyn Patience) -> Result<()> {
        sb.set_timed_out(false);
        let fd = sb.socket()?;
        let received =
            self.append(|room| tcp::receive_vectored(fd, &mut [MaybeUninitSlice::new(room)], patience));
        if sb.note_timeout(received)? == 0 { Err(Error::Closed) } else { Ok(()) }
    }

    /// Gathers, receives the bytes that are available on the socket, and shows them; returns whether there were any.
    fn fill_now(&mut self, inbox: &Inbox<'_>) -> Result<bool> {
        let sb = inbox.sb();
        sb.set_timed_out(false);
        self.gather(inbox);
        let fd = sb.socket()?;
        let received = self.append(|room| {
            Ok(tcp::receive_vectored_now(fd, &mut [MaybeUninitSlice::new(room)])?.unwrap_or(0))
        })?;
        self.show(sb);
        Ok(received > 0)
    }
}

/// The unread bytes, in the struct or in the receive buffer.
#[inline(always)]
pub(crate) fn unread<'r>(inbox: &'r Inbox<'_>, receive_buffer: Option<&'r ReceiveBuffer>) -> &'r [u8] {
    receive_buffer
        .and_then(|receive_buffer| receive_buffer.unread(inbox.sb()))
        .unwrap_or_else(|| inbox.unread())
}

/// As [`unread`], mutable.
pub(crate) fn unread_mut<'r>(
    inbox: &'r mut Inbox<'_>,
    receive_buffer: Option<&'r mut ReceiveBuffer>,
) -> &'r mut [u8] {
    let sb = inbox.sb();
    let place = receive_buffer.and_then(|receive_buffer| {
        let offset = receive_buffer.offset(sb);
        receive_buffer.memory.get_mut(offset..)?.get_mut(..sb.size())
    });
    place.unwrap_or_else(|| inbox.newest(usize::MAX))
}

/// Receives available bytes after the unread ones; returns whether there were any. Creates or frees a receive buffer as needed.
pub(crate) fn fill_now(
    inbox: &mut Inbox<'_>,
    receive_buffer: &mut Option<Box<ReceiveBuffer>>,
) -> Result<bool> {
    release_idle(inbox, receive_buffer);
    if let Some(receive_buffer) = receive_buffer {
        return receive_buffer.fill_now(inbox);
    }
    let received = inbox.fill_now()?;
    // A record of TLS is not longer than the struct's own buffer, except for a byte.
    if inbox.unread().len() == sockbuf::CAPACITY && !inbox.sb().has_tls() {
        provide(receive_buffer);
    }
    Ok(received)
}

/// Creates a receive buffer unless there is one: the peer has sent more than the buffer has room for.
pub(crate) fn provide(receive_buffer: &mut Option<Box<ReceiveBuffer>>) {
    if receive_buffer.is_none() {
        *receive_buffer = ReceiveBuffer::new();
    }
}

/// Frees the memory if it was not useful lately.
pub(crate) fn release_idle(inbox: &mut Inbox<'_>, receive_buffer: &mut Option<Box<ReceiveBuffer>>) {
    if receive_buffer.as_ref().is_some_and(|receive_buffer| receive_buffer.is_idle()) {
        release(inbox, receive_buffer);
    }
}

/// Frees the memory if the unread bytes fit into the struct.
pub(crate) fn release(inbox: &mut Inbox<'_>, receive_buffer: &mut Option<Box<ReceiveBuffer>>) {
    if let Some(bytes) = receive_buffer.as_ref().and_then(|receive_buffer| receive_buffer.unread(inbox.sb()))
    {
        let Some(room) = inbox.whole_mut().get_mut(..bytes.len()) else { return };
        room.copy_from_slice(bytes);
        inbox.show_front(bytes.len());
    }
    *receive_buffer = None;
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io::Write, ptr, slice, time::Duration};

    use libc::c_int;
    use rustix::fd::AsFd;
    use socket2::Socket;

    use super::*;
    use crate::{
        rtmp::RTMPSockBuf,
        socket::{number_of, pair},
    };
    use rtmp_core::transport::{deadline::Deadline, wait::Endless};

    /// A buffer on one end of a pair of sockets.
    struct Line {
        sb: Box<RTMPSockBuf>,
        receive_buffer: Option<Box<ReceiveBuffer>>,
        near: Socket,
        far: Socket,
        sent: usize,
        taken: usize,
    }

    /// The byte at a position of the sent data. The period is not a power of two.
    fn byte_at(place: usize) -> u8 {
        (place % 251) as u8 ^ (place / 251) as u8
    }

    /// The buffer of a test.
    fn inbox<'a>(sb: *mut RTMPSockBuf) -> Inbox<'a> {
        // SAFETY: the buffer is initialised, and one thread uses it.
        unsafe { Inbox::of(SockBuf::new(sb).unwrap()) }
    }

    impl Line {
        fn new() -> Self {
            let (near, far) = pair();
            // SAFETY: all-zero bytes are a valid `RTMPSockBuf`.
            let mut sb = Box::new(unsafe { std::mem::zeroed::<RTMPSockBuf>() });
            sb.sb_socket = number_of(near.as_fd());
            Self { sb, receive_buffer: None, near, far, sent: 0, taken: 0 }
        }

        fn with_receive_buffer() -> Self {
            let mut line = Self::new();
            provide(&mut line.receive_buffer);
            line
        }

        /// Sends the next bytes; the system must have room for them.
        fn send(&mut self, count: usize) {
            let bytes: Vec<u8> = (self.sent..self.sent + count).map(byte_at).collect();
            self.far.set_nonblocking(true).unwrap();
            self.far.write_all(&bytes).unwrap();
            self.sent += count;
        }

        fn fill_now(&mut self) -> bool {
            let mut inbox = inbox(&raw mut *self.sb);
            fill_now(&mut inbox, &mut self.receive_buffer).unwrap()
        }

        fn fill(&mut self, patience: &dyn Patience) -> Result<()> {
            let receive_buffer = self.receive_buffer.as_mut().unwrap();
            let inbox = inbox(&raw mut *self.sb);
            receive_buffer.gather(&inbox);
            let result = receive_buffer.fill(inbox.sb(), patience);
            receive_buffer.show(inbox.sb());
            result
        }

        fn unread(&mut self) -> Vec<u8> {
            let inbox = inbox(&raw mut *self.sb);
            unread(&inbox, self.receive_buffer.as_deref()).to_vec()
        }

        /// The bytes that a program finds through the struct's fields.
        fn shown(&self) -> Vec<u8> {
            let size = usize::try_from(self.sb.sb_size).unwrap();
            // SAFETY: the library keeps `sb_start` and `sb_size` so that they describe initialised bytes.
            unsafe { slice::from_raw_parts(self.sb.sb_start.cast::<u8>(), size) }.to_vec()
        }

        fn is_outside(&self) -> bool {
            let first = (&raw const self.sb.sb_buf).addr();
            !(first..=first + sockbuf::CAPACITY).contains(&self.sb.sb_start.addr())
        }

        /// Uses bytes and checks that they are the next ones in order.
        fn take(&mut self, count: usize) {
            assert!(self.unread() == self.shown());
            let expected = (self.taken..self.taken + count).map(byte_at);
            assert!(self.unread()[..count].iter().copied().eq(expected), "at {}", self.taken);
            self.taken += count;
            inbox(&raw mut *self.sb).consume(count);
        }

        fn release(&mut self) {
            let mut inbox = inbox(&raw mut *self.sb);
            release(&mut inbox, &mut self.receive_buffer);
        }
    }

    #[test]
    fn full_buffer_provides_a_larger_one_and_keeps_the_order() {
        let mut line = Line::new();
        line.send(40_000);
        assert!(line.fill_now() && line.receive_buffer.is_some() && !line.is_outside());
        line.take(sockbuf::CAPACITY - 7);
        assert!(line.fill_now() && line.is_outside());
        assert_eq!(line.unread().len(), 40_000 - sockbuf::CAPACITY + 7);
        let count = line.unread().len();
        line.take(count);
        assert_eq!(line.taken, 40_000);
    }

    #[test]
    fn a_buffer_that_is_not_full_provides_nothing() {
        let mut line = Line::new();
        line.send(sockbuf::CAPACITY - 1);
        assert!(line.fill_now() && line.receive_buffer.is_none());
    }

    #[test]
    fn no_byte_is_lost_or_repeated() {
        const SIZES: [usize; 11] = [
            1,
            11,
            sockbuf::CAPACITY - 1,
            sockbuf::CAPACITY,
            sockbuf::CAPACITY + 1,
            2 * sockbuf::CAPACITY,
            50_000,
            CAPACITY - 1,
            CAPACITY,
            CAPACITY + 1,
            100_000,
        ];
        for left in [0, 1, 18, sockbuf::CAPACITY - 1, sockbuf::CAPACITY] {
            let mut line = Line::new();
            for round in 0..3 * SIZES.len() {
                line.send(SIZES[round % SIZES.len()]);
                while line.sent - line.taken - line.unread().len() > 0 {
                    if round % 3 == 1 && line.receive_buffer.is_some() {
                        line.fill(&Endless).unwrap();
                    } else {
                        assert!(line.fill_now());
                    }
                    // A decoder that asks for more has used all bytes except a few.
                    let count = line.unread().len().saturating_sub(left.min(18));
                    line.take(count);
                }
                let count = line.unread().len().saturating_sub(left);
                line.take(count);
                if round % 4 == 3 {
                    line.release();
                    assert!(line.receive_buffer.is_none() && !line.is_outside());
                }
            }
            let count = line.unread().len();
            line.take(count);
            assert_eq!(line.taken, line.sent);
        }
    }

    #[test]
    fn all_of_the_memory_is_used_by_one_receive() {
        let mut line = Line::with_receive_buffer();
        line.send(CAPACITY + 5);
        assert!(line.fill_now());
        assert_eq!(line.unread().len(), CAPACITY);
        line.take(CAPACITY);
        assert!(line.fill_now());
        line.take(5);
    }

    #[test]
    fn modest_receives_let_it_go_and_a_large_one_in_between_does_not() {
        let mut line = Line::with_receive_buffer();
        for size in [sockbuf::CAPACITY, sockbuf::CAPACITY + 1] {
            for _ in 0..KEPT_FOR - 1 {
                line.send(10);
                assert!(line.fill_now() && line.is_outside());
                line.take(10);
            }
            line.send(size);
            assert!(line.fill_now() && line.is_outside());
            line.take(size);
            if size > sockbuf::CAPACITY {
                break;
            }
            // That was one receive too many.
            line.send(100);
            assert!(line.fill_now() && line.receive_buffer.is_none() && !line.is_outside());
            line.take(100);
            provide(&mut line.receive_buffer);
        }
        for _ in 0..KEPT_FOR {
            line.send(10);
            assert!(line.fill_now() && line.is_outside(), "the large one began a new count");
            line.take(4);
        }
        line.send(1);
        assert!(line.fill_now() && !line.is_outside(), "{}", line.unread().len());
        let count = line.unread().len();
        line.take(count);
        assert_eq!(line.taken, line.sent);
    }

    #[test]
    fn a_look_at_an_empty_socket_is_no_modest_receive() {
        let mut line = Line::with_receive_buffer();
        for _ in 0..3 * KEPT_FOR {
            assert!(!line.fill_now());
        }
        assert!(line.receive_buffer.is_some());
    }

    #[test]
    fn bytes_that_do_not_fit_the_struct_keep_the_larger_buffer() {
        let mut line = Line::with_receive_buffer();
        line.send(sockbuf::CAPACITY + 1);
        assert!(line.fill_now());
        line.release();
        assert!(line.receive_buffer.is_some() && line.is_outside());
        line.take(1);
        line.release();
        assert!(line.receive_buffer.is_none() && !line.is_outside());
        line.take(sockbuf::CAPACITY);
    }

    #[test]
    fn timeout_is_reported_without_losing_bytes() {
        let mut line = Line::with_receive_buffer();
        line.send(30);
        line.fill(&Endless).unwrap();
        line.take(20);
        line.near.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert!(matches!(line.fill(&Endless), Err(Error::TimedOut)));
        assert_eq!((line.sb.sb_timedout, line.sb.sb_size), (1, 10));
        line.send(5);
        assert!(line.fill_now());
        assert_eq!(line.sb.sb_timedout, 0, "it was not the last wait");
        line.take(15);
        assert!(matches!(line.fill(&Endless), Err(Error::TimedOut)));
        line.send(5);
        line.fill(&Endless).unwrap();
        assert_eq!(line.sb.sb_timedout, 0);
        line.take(5);
    }

    #[test]
    #[cfg_attr(windows, ignore = "Windows does not say whether a socket blocks")]
    fn a_socket_that_does_not_block_is_not_waited_for() {
        let mut line = Line::with_receive_buffer();
        line.near.set_nonblocking(true).unwrap();
        assert!(matches!(line.fill(&Endless), Err(Error::TimedOut)));
        line.send(5);
        line.fill(&Endless).unwrap();
        line.take(5);
    }

    #[test]
    fn the_end_of_the_connection_comes_after_the_last_byte() {
        let mut line = Line::with_receive_buffer();
        line.send(30);
        line.far = pair().0;
        line.fill(&Endless).unwrap();
        line.take(20);
        assert!(!line.fill_now());
        assert!(matches!(line.fill(&Endless), Err(Error::Closed)));
        assert_eq!(line.sb.sb_timedout, 0);
        line.take(10);
        line.sb.sb_socket = -1;
        assert!(matches!(line.fill(&Endless), Err(Error::Closed)));
        assert_eq!(line.sb.sb_size, 0);
    }

    /// A program that closes the connection while another thread waits.
    struct Closing<'a> {
        sb: *mut RTMPSockBuf,
        far: &'a Socket,
        asked: Cell<u32>,
    }

    // SAFETY: used by one thread.
    unsafe impl Sync for Closing<'_> {}

    impl Patience for Closing<'_> {
        fn is_over(&self) -> bool {
            self.asked.set(self.asked.get() + 1);
            if self.asked.get() == 1 {
                inbox(self.sb).sb().set_size(0);
                let mut far = self.far;
                far.write_all(&[7; 1000]).unwrap();
            }
            false
        }

        fn deadline(&self) -> Deadline {
            Deadline::after(Some(Duration::from_secs(20)))
        }
    }

    #[test]
    fn bytes_received_while_a_connection_is_closed_are_not_shown() {
        let mut line = Line::with_receive_buffer();
        line.send(30);
        line.fill(&Endless).unwrap();
        let sb = &raw mut *line.sb;
        let mut receive_buffer = line.receive_buffer.take().unwrap();
        let closing = Closing { sb, far: &line.far, asked: Cell::new(0) };
        // SAFETY: the buffer is initialised, and only this thread uses it.
        unsafe {
            let inbox = inbox(sb);
            receive_buffer.gather(&inbox);
            assert_eq!((*sb).sb_size, 30);
            receive_buffer.fill(inbox.sb(), &closing).unwrap();
            assert!(closing.asked.get() > 0, "there was a wait");
            // The memory is freed with the session.
            assert_eq!((*sb).sb_size, 0);
            receive_buffer.show(inbox.sb());
            assert_eq!((*sb).sb_size, 1030);
        }
    }

    #[test]
    fn invalid_fields_count_as_empty() {
        let mut other = [0_u8; 64];
        for case in 0..9 {
            let mut line = Line::with_receive_buffer();
            line.send(50_000);
            assert!(line.fill_now() && line.is_outside());
            match case {
                0 => line.sb.sb_start = ptr::null_mut(),
                1 => line.sb.sb_size = -1,
                2 => line.sb.sb_size = c_int::MIN,
                3 => line.sb.sb_size = 50_001,
                4 => line.sb.sb_size = c_int::MAX,
                5 => line.sb.sb_start = line.sb.sb_start.wrapping_sub(1),
                6 => line.sb.sb_start = line.sb.sb_start.wrapping_add(1),
                7 => line.sb.sb_start = other.as_mut_ptr().cast(),
                _ => line.sb.sb_start = ptr::without_provenance_mut(usize::MAX),
            }
            assert!(line.unread().is_empty(), "case {case}");
            if case % 2 == 0 {
                line.release();
                assert!(line.receive_buffer.is_none() && line.unread().is_empty(), "case {case}");
            }
            line.taken = line.sent;
            line.send(20);
            assert!(line.fill_now());
            assert_eq!(line.sb.sb_size, 20, "case {case}");
            line.take(20);
        }
    }

    #[test]
    fn programs_may_skip_bytes_themselves() {
        let mut line = Line::with_receive_buffer();
        line.send(50_000);
        assert!(line.fill_now());
        line.sb.sb_start = line.sb.sb_start.wrapping_add(1000);
        line.sb.sb_size -= 1000;
        line.taken = 1000;
        line.take(9000);
        line.sb.sb_size = 100;
        line.send(30_000);
        assert!(line.fill_now());
        line.take(100);
        line.taken = 50_000;
        line.take(30_000);
    }
}
