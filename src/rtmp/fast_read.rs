//! Messages that need no waiting, at little more than the cost of the system call and of the copy.
//!
//! Short messages come by the dozen with one system call, and of long ones the rest is often on the socket already. So what
//! the library does for each of them is what they cost. Everything that is not plain audio or video, every wait, and every
//! call that finds the session in another thread's hands, is left to the long way, which goes on where this has stopped.

use std::slice;

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::{Decoder, Ready},
    error::{Error, Result},
    flv::{self, PREVIOUS_TAG_SIZE_LEN, TAG_HEADER_LEN},
    message::{Message, MessageType},
    session::{
        self, State,
        ready::{Arriving, arriving_media, ready_media},
    },
};

use super::{
    RTMP, RTMP_LF_LIVE, RTMPPacket, RTMPSockBuf, direct,
    read_state::{Block, with_read_state},
    reservoir::{self, Reservoir},
    sockbuf,
};
use crate::{
    Errno,
    cancel::Shield,
    fields::{load_for_media, mirror_timestamp, store_for_media},
    globals,
    memory::Body,
    reason, shared,
    state::{Core, Exclusive, Handle, exclusive},
};

/// What came of a short cut: `None` leaves everything to the long way, and a failure all but the outcome.
pub(super) type Attempt<T> = Option<Result<T, Box<Failure>>>;

/// Puts the next message into `packet`, all of which but `m_chunk` is overwritten; the body is the caller's.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket`.
#[inline(always)]
pub(super) unsafe fn next(r: *mut RTMP, packet: *mut RTMPPacket) -> Attempt<()> {
    // SAFETY: `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket`, by the
    // Safety section.
    unsafe { if packet.is_null() || globals::dumps() { None } else { take(r, Packet(packet)) } }
}

/// The next message as an FLV tag in `out`, and how long that is.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or writable for `size` bytes.
#[inline(always)]
pub(super) unsafe fn read(r: *mut RTMP, buf: *mut c_char, size: c_int) -> Attempt<usize> {
    let size = usize::try_from(size).ok().filter(|_| !buf.is_null() && !globals::dumps())?;
    // SAFETY: `r` is null or points to an initialised `RTMP`; `buf` is null or writable for `size` bytes, by the Safety
    // section.
    unsafe { take(r, Tag { r, start: buf.cast(), size }) }
}

/// Why the long way need not be tried.
#[derive(Debug)]
pub(super) enum Failure {
    /// What came makes no sense.
    Decoding(Error),
    /// Nothing more will come.
    Receiving(Error),
}

impl Failure {
    /// Does what the long way does when it fails like this.
    pub(super) fn settle(self, handle: &Handle) -> Error {
        match self {
            Self::Decoding(error) => {
                handle.fail_decoding(&error);
                error
            }
            Self::Receiving(error) => {
                // Whoever ends a wait may shut the socket down, too.
                let error = handle.check().err().unwrap_or(error);
                handle.fail_receiving(&error);
                if matches!(error, Error::TimedOut) {
                    handle.step(|session, _| session.remember_pause());
                }
                error
            }
        }
    }
}

/// What becomes of a message.
trait Place {
    type Made;

    /// Copies a message that is in the buffer as a whole.
    fn copy(&mut self, ready: &Ready<'_>, flv: &flv::Stream<Body>, block: &mut Block) -> Option<Self::Made>;

    /// Gets ready for a message of which more has to come, and tells whether it may.
    fn prepare(&mut self, decoder: &mut Decoder<Body>, flv: &flv::Stream<Body>) -> bool;

    /// Whether a complete message is where it should be.
    fn fits(&self, kind: MessageType, body: &Body) -> bool;

    /// Takes a complete message that fits.
    fn keep(&mut self, message: Message<Body>, block: &mut Block) -> Option<Self::Made>;
}

/// A packet with a body of its own.
struct Packet(*mut RTMPPacket);

impl Place for Packet {
    type Made = ();

    #[inline(always)]
    fn copy(&mut self, ready: &Ready<'_>, _: &flv::Stream<Body>, _: &mut Block) -> Option<()> {
        let mut body = Body::with_capacity(ready.len())?;
        ready.append_to(&mut body);
        let Ready { chunk_stream, format, kind, timestamp, stream_id, .. } = *ready;
        // SAFETY: by the contract of `next`.
        unsafe { show(self.0, Message { chunk_stream, format, kind, timestamp, stream_id, body }) }
        Some(())
    }

    fn prepare(&mut self, _: &mut Decoder<Body>, _: &flv::Stream<Body>) -> bool {
        true
    }

    fn fits(&self, _: MessageType, _: &Body) -> bool {
        true
    }

    fn keep(&mut self, message: Message<Body>, _: &mut Block) -> Option<()> {
        // SAFETY: by the contract of `next`.
        unsafe { show(self.0, message) }
        Some(())
    }
}

/// Puts a message into a packet, field by field: most calls do this. C frees the body.
///
/// # Safety
/// `packet` points to an `RTMPPacket`.
#[inline(always)]
pub(super) unsafe fn show(packet: *mut RTMPPacket, message: Message<Body>) {
    let Message { chunk_stream, format, kind, timestamp, stream_id, body } = message;
    let size = body.as_ref().len() as u32;
    // SAFETY: `packet` points to an `RTMPPacket`, by the Safety section.
    unsafe {
        (*packet).m_headerType = format;
        (*packet).m_packetType = kind.0;
        (*packet).m_hasAbsTimestamp = u8::from(format == 0);
        (*packet).m_nChannel = chunk_stream as c_int;
        (*packet).m_nTimeStamp = timestamp;
        (*packet).m_nInfoField2 = stream_id as i32;
        (*packet).m_nBodySize = size;
        (*packet).m_nBytesRead = size;
        (*packet).m_body = body.into_raw();
    }
}

/// A tag in the memory of a caller of `RTMP_Read`, who lends it until the call ends.
struct Tag {
    r: *mut RTMP,
    start: *mut u8,
    size: usize,
}

impl Tag {
    /// The caller's memory.
    #[inline(always)]
    fn out(&mut self) -> &mut [u8] {
        // SAFETY: by the contract of `read`; no message is in this memory while it is used in this way.
        unsafe { slice::from_raw_parts_mut(self.start, self.size) }
    }

    /// Writes what a tag has around a body of `length` bytes; tells how long the tag is.
    #[inline(always)]
    fn finish(
        &mut self,
        kind: MessageType,
        timestamp: u32,
        length: usize,
        block: &mut Block,
    ) -> Option<usize> {
        let r = self.r;
        // SAFETY: by the contract of `read`, and `take` has found a session.
        let header = unsafe {
            let live = (*r).Link.lFlags & RTMP_LF_LIVE != 0;
            with_read_state(r, |state| flv::plain_tag(state, kind, timestamp, length, live))
        }?;
        let (tag, _) = self.out().split_at_mut_checked(whole(length))?;
        let (front, behind) = tag.split_first_chunk_mut()?;
        *front = header.write();
        let (_, last) = behind.split_last_chunk_mut()?;
        *last = header.previous_tag_size();
        block.next(self.start.cast(), self.size);
        Some(whole(length))
    }
}

/// The length of a tag.
const fn whole(length: usize) -> usize {
    TAG_HEADER_LEN + length + PREVIOUS_TAG_SIZE_LEN
}

impl Place for Tag {
    type Made = usize;

    #[inline(always)]
    fn copy(&mut self, ready: &Ready<'_>, flv: &flv::Stream<Body>, block: &mut Block) -> Option<usize> {
        if whole(ready.len()) > self.size || !flv.pending().is_empty() {
            return None;
        }
        let made = self.finish(ready.kind, ready.timestamp, ready.len(), block)?;
        ready.copy_to(&mut self.out()[TAG_HEADER_LEN..][..ready.len()]);
        Some(made)
    }

    fn prepare(&mut self, decoder: &mut Decoder<Body>, flv: &flv::Stream<Body>) -> bool {
        // SAFETY: by the contract of `read`, and `take` has found a session.
        let in_order = unsafe { with_read_state(self.r, |state| flv::in_order(state)) };
        if !in_order || !flv.pending().is_empty() || self.size <= whole(0) {
            return false;
        }
        // SAFETY: the caller's memory is longer than a tag's header, as just checked. It is the caller's for the length of
        // the call, before the end of which `Offered` takes the offer back; it is not used in another way until then.
        decoder.offer(unsafe {
            let room = self.start.add(TAG_HEADER_LEN).cast();
            Body::borrowed(slice::from_raw_parts_mut(room, self.size - TAG_HEADER_LEN))
        });
        true
    }

    fn fits(&self, kind: MessageType, body: &Body) -> bool {
        body.is_borrowed() && !flv::is_too_small(kind, body.as_ref().len())
    }

    fn keep(&mut self, message: Message<Body>, block: &mut Block) -> Option<usize> {
        self.finish(message.kind, message.timestamp, message.body.as_ref().len(), block)
    }
}

/// A decoder that may have an offer, in any case no longer than this lives.
struct Offered<'d>(&'d mut Decoder<Body>);

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        // Without effect if that was done before; else this is a panic, and the session's end.
        let _ = self.0.withdraw();
    }
}

/// Lets `place` have the next message if it is plain audio or video and all of it is there.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`, and so is what `place` works with.
#[inline(always)]
unsafe fn take<P: Place>(r: *mut RTMP, mut place: P) -> Attempt<P::Made> {
    // SAFETY: `r` is null or points to an initialised `RTMP`, and so is what `place` works with, by the Safety section;
    // only the thread that reads touches the buffer, and the lock keeps steps out.
    unsafe {
        if r.is_null() || shared::read(&raw const (*r).m_sb.sb_socket) == -1 || reason::is_reporting() {
            return None;
        }
        let mut found = exclusive(r)?;
        let Core { session, reservoir, stream, block, .. } = found.core();
        let decoder = session.decoder();
        let sb = &raw mut (*r).m_sb;
        let before = load_for_media(r);
        let mut state = before;
        let mut seen = (0, 0);
        let ready = ready_media(&mut state, decoder, reservoir::unread(sb, reservoir.as_deref()), |ready| {
            seen = (ready.chunk_stream, ready.timestamp);
            place.copy(ready, stream, block)
        });
        let Some((consumed, made)) = ready else {
            // Asking for bytes that are not there yet would be in vain.
            if found.expects_wait() {
                return None;
            }
            return take_arriving(r, found, &mut place);
        };
        sockbuf::consume(sb, consumed);
        mirror_timestamp(r, seen.0 as usize, seen.1);
        store_for_media(r, &before, &state);
        if is_due(r, &state) {
            drop(found);
            settle(r);
        }
        Some(Ok(made))
    }
}

/// As [`take`], for a message of which something may be on the socket still.
///
/// # Safety
/// `r` points to an initialised `RTMP`, whose protocol state was found.
#[inline(never)]
unsafe fn take_arriving<P: Place>(r: *mut RTMP, mut found: Exclusive<'_>, place: &mut P) -> Attempt<P::Made> {
    // That nothing is on the socket is an error for the system, and none for the caller.
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    // SAFETY: `r` points to an initialised `RTMP`, whose protocol state was found, by the Safety section.
    unsafe {
        let before = load_for_media(r);
        let mut state = before;
        let made = receive(r, &mut found, &mut state, place);
        store_for_media(r, &before, &state);
        if is_due(r, &state) && matches!(made, Some(Ok(_))) {
            drop(found);
            settle(r);
        }
        made
    }
}

/// Receives the next message as far as it is there, and lets `place` have it.
///
/// # Safety
/// `r` points to an initialised `RTMP`, whose protocol state was found.
unsafe fn receive<P: Place>(
    r: *mut RTMP,
    found: &mut Exclusive<'_>,
    state: &mut State,
    place: &mut P,
) -> Attempt<P::Made> {
    // SAFETY: `r` points to an initialised `RTMP`, whose protocol state was found, by the Safety section; only the
    // thread that reads touches the buffer.
    unsafe {
        let sb = &raw mut (*r).m_sb;
        if sockbuf::has_tls(sb) || !found.is_plain() {
            return None;
        }
        let Core { session, reservoir, stream, block, .. } = found.core();
        let decoder = session.decoder();
        if !place.prepare(decoder, stream) {
            return None;
        }
        let offered = Offered(decoder);
        let mut receives = 0..MAX_RECEIVES;
        let message = loop {
            let input = reservoir::unread(sb, reservoir.as_deref());
            let (consumed, arriving) =
                match arriving_media(state, offered.0, input, |kind, body| place.fits(kind, body)) {
                    Ok(decoded) => decoded,
                    Err(error) => return Some(Err(Box::new(Failure::Decoding(error)))),
                };
            sockbuf::consume(sb, consumed);
            match arriving {
                Arriving::Media(message) => break Some(message),
                Arriving::Other => break None,
                Arriving::Unfinished => {}
            }
            if receives.next().is_none() {
                break None;
            }
            match receive_more(sb, offered.0, reservoir, state) {
                Ok(true) => {}
                Ok(false) => break None,
                Err(error) => return Some(Err(Box::new(Failure::Receiving(error)))),
            }
        };
        let made = message.and_then(|message| {
            mirror_timestamp(r, message.chunk_stream as usize, message.timestamp);
            place.keep(message, block)
        });
        let withdrawn = offered.0.withdraw();
        drop(offered);
        match withdrawn {
            Ok(()) => made.map(Ok),
            Err(error) => Some(Err(Box::new(Failure::Decoding(error)))),
        }
    }
}

/// How often one call receives here. A peer can begin message after message and finish none: that is for the general path to
/// end.
const MAX_RECEIVES: u32 = 64;

/// Receives what is there; tells whether that was something.
///
/// # Safety
/// `sb` points to an initialised `RTMPSockBuf` without TLS that nobody else reads from, and whose socket nobody closes
/// meanwhile.
unsafe fn receive_more(
    sb: *mut RTMPSockBuf,
    decoder: &mut Decoder<Body>,
    reservoir: &mut Option<Box<Reservoir>>,
    state: &mut State,
) -> Result<bool> {
    let (chunk_size, worthwhile) =
        (session::chunk_size(state.in_chunk_size), direct::worthwhile(reservoir.as_deref()));
    // SAFETY: `sb` points to an initialised `RTMPSockBuf` without TLS that nobody else reads from, and whose socket
    // nobody closes meanwhile, by the Safety section.
    unsafe {
        let is_empty = reservoir::unread(sb, reservoir.as_deref()).is_empty();
        if let Some(mut loan) = is_empty.then(|| decoder.lend(chunk_size, worthwhile)).flatten() {
            let result = direct::receive_now(sb, &mut loan);
            let arrived = result.as_ref().ok().copied().flatten().unwrap_or_default();
            decoder.give_back(loan, arrived.chunks);
            state.bytes_in = state.bytes_in.wrapping_add(arrived.used as u32);
            if arrived.full {
                reservoir::provide(reservoir);
            }
            return result.map(|arrived| arrived.is_some());
        }
        reservoir::fill_now(sb, reservoir)
    }
}

/// Whether something is to be done after a message.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[inline(always)]
unsafe fn is_due(r: *mut RTMP, state: &State) -> bool {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    unsafe {
        let sb = &raw const (*r).m_sb;
        state.owes_acknowledgement() || (shared::read(&raw const (*sb).sb_size) == 0 && sockbuf::has_tls(sb))
    }
}

/// Does what is due after a message: the acknowledgement, and, when the buffer is empty, getting what TLS holds ready into
/// it.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[cold]
unsafe fn settle(r: *mut RTMP) {
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let Ok(handle) = (unsafe { Handle::connected(r) }) else { return };
    // An error has closed the connection, which the next call will find. The message has arrived before.
    let _ = handle.acknowledge_if_due();
    handle.settle();
}
