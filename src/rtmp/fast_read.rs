//! The fast path of reading: audio and video that is available, or arrives while the call waits for bytes once, for little
//! more than the cost of the system call and the copy.
//!
//! This is an exception to the one way of receiving, for the rows `RTMP_Read, 400-byte messages`, `RTMP_GetNextMediaPacket,
//! 400-byte messages`, `RTMP_Read, chunks of 4096`, `TLS 1.3, RTMP_Read`, `Live pace, RTMP_Read` and `Live pace, RTMP_Read by
//! steps` of `make bench`. One system call receives dozens of short messages, and the rest of a long one is often on the
//! socket already, so their cost is the library's work for each message: without the part that receives, messages in chunks
//! of 4096 took 1.6 times as long. A live player waits for every message; there a call takes 1,900 instructions beside the
//! copies, and 5,300 on the general path. Over TLS the bytes come from the link, one record at a time. All other messages,
//! and every call that finds another call using the session, go to the general path, which continues at the same position.

use std::{mem::MaybeUninit, time::Instant};

use libc::c_int;
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
    RTMP_LF_LIVE, RTMPPacket, direct,
    read_state::{Block, with_read_state},
    receive_buffer::{self, ReceiveBuffer},
    sockbuf::Inbox,
};
use crate::{
    Errno,
    cancel::Shield,
    fields::{load_for_media, mirror_timestamp, store_for_media},
    globals,
    memory::Body,
    reason,
    state::{Core, Exclusive, Handle, exclusive},
    valid::{Rtmp, Valid, field},
};

/// The result of the fast path. With `None`, the general path does everything; after a failure, it only reports the outcome.
pub(super) type Attempt<T> = Option<Result<T, Failure>>;

/// Stores the next message in `packet` and overwrites all of it except `m_chunk`; the body belongs to the caller.
#[inline(always)]
pub(super) fn next(r: Rtmp<'_>, packet: Valid<'_, RTMPPacket>) -> Attempt<()> {
    take(r, Packet(packet))
}

/// Stores the next message as an FLV tag in `out`; returns the length of the tag.
#[inline(always)]
pub(super) fn read(r: Rtmp<'_>, out: &mut [MaybeUninit<u8>]) -> Attempt<usize> {
    take(r, Tag { r, out })
}

/// Why the general path is not needed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The received bytes are malformed.
    Decoding(Box<Error>),
    /// The connection has ended.
    Receiving(Box<Error>),
    /// The call would have to wait.
    Again,
}

impl Failure {
    /// Does the same as the general path after this failure.
    pub(super) fn handle(self, handle: &Handle) -> Error {
        match self {
            Self::Again => Error::Again,
            Self::Decoding(error) => {
                handle.fail_decoding(&error);
                *error
            }
            Self::Receiving(error) => {
                // The thread that ends a wait may also shut the socket down.
                let error = handle.check().err().unwrap_or(*error);
                handle.fail_receiving(&error);
                if matches!(error, Error::TimedOut) {
                    handle.step(|session, _| session.remember_pause());
                }
                error
            }
        }
    }
}

/// The destination of a message.
trait Place {
    type Made;

    /// Copies a message that is completely in the buffer.
    fn copy(&mut self, ready: &Ready<'_>, flv: &flv::Stream<Body>, block: &mut Block) -> Option<Self::Made>;

    /// Whether the next message can be taken if it is audio or video.
    fn is_open(&self, flv: &flv::Stream<Body>) -> bool;

    /// Prepares for an incomplete message, if this destination is open.
    fn prepare(&mut self, decoder: &mut Decoder<Body>);

    /// Whether a complete message is already in its place.
    fn fits(&self, kind: MessageType, body: &Body) -> bool;

    /// Takes a complete message that fits.
    fn keep(&mut self, message: Message<Body>, block: &mut Block) -> Option<Self::Made>;
}

/// A packet, whose body is allocated here.
struct Packet<'a>(Valid<'a, RTMPPacket>);

impl Place for Packet<'_> {
    type Made = ();

    #[inline(always)]
    fn copy(&mut self, ready: &Ready<'_>, _: &flv::Stream<Body>, _: &mut Block) -> Option<()> {
        let mut body = Body::with_capacity(ready.len())?;
        ready.append_to(&mut body);
        let Ready { chunk_stream, format, kind, timestamp, stream_id, .. } = *ready;
        show(self.0, Message { chunk_stream, format, kind, timestamp, stream_id, body });
        Some(())
    }

    fn is_open(&self, _: &flv::Stream<Body>) -> bool {
        true
    }

    fn prepare(&mut self, _: &mut Decoder<Body>) {}

    fn fits(&self, _: MessageType, _: &Body) -> bool {
        true
    }

    fn keep(&mut self, message: Message<Body>, _: &mut Block) -> Option<()> {
        show(self.0, message);
        Some(())
    }
}

/// Stores a message in a packet, field by field: most calls do this. C frees the body.
#[inline(always)]
pub(super) fn show(packet: Valid<'_, RTMPPacket>, message: Message<Body>) {
    let Message { chunk_stream, format, kind, timestamp, stream_id, body } = message;
    let size = body.as_ref().len() as u32;
    field!(packet, m_headerType).set(format);
    field!(packet, m_packetType).set(kind.0);
    field!(packet, m_hasAbsTimestamp).set(u8::from(format == 0));
    field!(packet, m_nChannel).set(chunk_stream as c_int);
    field!(packet, m_nTimeStamp).set(timestamp);
    field!(packet, m_nInfoField2).set(stream_id as i32);
    field!(packet, m_nBodySize).set(size);
    field!(packet, m_nBytesRead).set(size);
    field!(packet, m_body).set(body.into_raw());
}

/// A tag in the memory of a caller of `RTMP_Read`, which is lent until the call ends.
struct Tag<'a> {
    r: Rtmp<'a>,
    out: &'a mut [MaybeUninit<u8>],
}

impl Tag<'_> {
    /// The header and trailer of a tag around a body of `length` bytes, if that can be the next tag.
    #[inline(always)]
    fn header(&self, kind: MessageType, timestamp: u32, length: usize) -> Option<flv::TagHeader> {
        let live = field!(self.r, Link.lFlags).get() & RTMP_LF_LIVE != 0;
        with_read_state(self.r, |state| flv::plain_tag(state, kind, timestamp, length, live))
    }

    /// Writes the tag; returns its length.
    #[inline(always)]
    fn finish(&mut self, header: &flv::TagHeader, length: usize, block: &mut Block) -> Option<usize> {
        block.next(self.out.as_ptr().cast(), self.out.len());
        let tag = self.out.get_mut(..whole(length))?;
        let (front, behind) = tag.split_first_chunk_mut()?;
        *front = header.write().map(MaybeUninit::new);
        let (_, last) = behind.split_last_chunk_mut()?;
        *last = header.previous_tag_size().map(MaybeUninit::new);
        Some(whole(length))
    }

    /// The memory after the header, as a body.
    ///
    /// # Safety
    /// As for [`Body::borrowed`]; the body is not used after the tag.
    #[inline(always)]
    unsafe fn body(&mut self) -> Body {
        // SAFETY: nothing else uses the memory meanwhile, by the Safety section.
        unsafe { Body::borrowed(&mut self.out[TAG_HEADER_LEN..]) }
    }
}

/// The length of a tag.
const fn whole(length: usize) -> usize {
    TAG_HEADER_LEN + length + PREVIOUS_TAG_SIZE_LEN
}

impl Place for Tag<'_> {
    type Made = usize;

    #[inline(always)]
    fn copy(&mut self, ready: &Ready<'_>, flv: &flv::Stream<Body>, block: &mut Block) -> Option<usize> {
        if whole(ready.len()) > self.out.len() || !flv.pending().is_empty() {
            return None;
        }
        let header = self.header(ready.kind, ready.timestamp, ready.len())?;
        // SAFETY: the body ends with this statement, before the memory is used again.
        ready.append_to(&mut unsafe { self.body() });
        self.finish(&header, ready.len(), block)
    }

    fn is_open(&self, flv: &flv::Stream<Body>) -> bool {
        let in_order = with_read_state(self.r, |state| flv::in_order(state));
        in_order && flv.pending().is_empty() && self.out.len() > whole(0)
    }

    fn prepare(&mut self, decoder: &mut Decoder<Body>) {
        // SAFETY: the memory belongs to the caller until the call ends; `Offered` withdraws the offer before that, and the
        // memory has no other use until then.
        decoder.offer(unsafe { self.body() });
    }

    fn fits(&self, kind: MessageType, body: &Body) -> bool {
        body.is_borrowed() && !flv::is_too_small(kind, body.as_ref().len())
    }

    fn keep(&mut self, message: Message<Body>, block: &mut Block) -> Option<usize> {
        let length = message.body.as_ref().len();
        let header = self.header(message.kind, message.timestamp, length)?;
        drop(message);
        self.finish(&header, length, block)
    }
}

/// A decoder that may have an offer, which ends when this is dropped.
struct Offered<'d>(&'d mut Decoder<Body>);

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        // No effect if it was withdrawn before; otherwise this is a panic, which ends the session.
        let _ = self.0.withdraw();
    }
}

/// Passes the next message to `place` if it is plain audio or video that is completely available, or arrives while this waits for
/// bytes once.
#[inline(always)]
fn take<P: Place>(r: Rtmp<'_>, mut place: P) -> Attempt<P::Made> {
    if field!(r, m_sb.sb_socket).get() == -1 || globals::dumps() || reason::is_reporting() {
        return None;
    }
    let mut found = exclusive(r)?;
    let mut has_waited = false;
    loop {
        found = match take_ready(r, found, &mut place) {
            Ok(made) => return Some(Ok(made)),
            Err(found) => found,
        };
        if has_waited {
            return None;
        }
        if found.never_waits() {
            return finds_nothing(&mut found, &place).then(|| Err(Failure::Again));
        }
        if !found.expects_wait() {
            return take_arriving(r, found, &mut place);
        }
        // A request for bytes that are not there yet would be useless.
        found = match wait(r, found, &place)? {
            Ok(found) => found,
            Err(failure) => return Some(Err(failure)),
        };
        has_waited = true;
    }
}

/// As [`take`], for a message that is completely in the buffer; otherwise returns the session.
#[inline(always)]
fn take_ready<'a, P: Place>(
    r: Rtmp<'a>,
    mut found: Exclusive<'a>,
    place: &mut P,
) -> Result<P::Made, Exclusive<'a>> {
    let (core, mut inbox) = found.core_and_inbox();
    let Core { session, receive_buffer, stream, block, progress, .. } = core;
    if progress.as_deref().is_some_and(|progress| !progress.lets_read()) {
        return Err(found);
    }
    let before = load_for_media(r);
    let mut state = before;
    let mut seen = (0, 0);
    let unread = receive_buffer::unread(&inbox, receive_buffer.as_deref());
    let ready = ready_media(&mut state, session.decoder(), unread, |ready| {
        seen = (ready.chunk_stream, ready.timestamp);
        place.copy(ready, stream, block)
    });
    let Some((consumed, made)) = ready else { return Err(found) };
    inbox.consume(consumed);
    mirror_timestamp(r, seen.0 as usize, seen.1);
    store_for_media(r, &before, &state);
    if let Some(progress) = progress {
        progress.note_reading();
        progress.note_found();
    }
    if is_due(r, &state) {
        drop(found);
        finish_message(r);
    }
    Ok(made)
}

/// Whether a session that never waits has nothing to read, as its last receive has shown. Programs read until they get that answer.
#[inline(never)]
fn finds_nothing<P: Place>(found: &mut Exclusive<'_>, place: &P) -> bool {
    let timeout = found.timeout();
    let (core, inbox) = found.core_and_inbox();
    let Core { session, receive_buffer, stream, progress, .. } = core;
    let Some(progress) = progress.as_deref_mut() else { return false };
    receive_buffer::unread(&inbox, receive_buffer.as_deref()).is_empty()
        && session.unsent().is_empty()
        && session.wants_input()
        && place.is_open(stream)
        && progress.lets_read()
        && !globals::interrupted()
        && progress.note_empty(timeout, Instant::now())
}

/// Waits for bytes once, as the general path does, if nothing was received that a call has not read, nothing has to be sent, and
/// `place` is open. Live players wait for each message.
#[inline(never)]
fn wait<'a, P: Place>(
    r: Rtmp<'a>,
    mut found: Exclusive<'a>,
    place: &P,
) -> Option<Result<Exclusive<'a>, Failure>> {
    let (core, inbox) = found.core_and_inbox();
    let Core { session, receive_buffer, stream, .. } = core;
    let is_idle = receive_buffer::unread(&inbox, receive_buffer.as_deref()).is_empty()
        && session.unsent().is_empty()
        && session.wants_input()
        && place.is_open(stream);
    if !is_idle {
        return None;
    }
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    let handle = found.into_handle()?;
    match handle.fill(true) {
        Ok(()) => drop(handle),
        Err(error) => return Some(Err(Failure::Receiving(Box::new(error)))),
    }
    exclusive(r).map(Ok)
}

/// As [`take`], for a message whose rest may still be on the socket.
#[inline(never)]
fn take_arriving<P: Place>(r: Rtmp<'_>, mut found: Exclusive<'_>, place: &mut P) -> Attempt<P::Made> {
    // For the system it is an error that the socket has no bytes, but not for the caller.
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    let before = load_for_media(r);
    let mut state = before;
    let made = receive(r, &mut found, &mut state, place);
    store_for_media(r, &before, &state);
    if is_due(r, &state) && matches!(made, Some(Ok(_))) {
        drop(found);
        finish_message(r);
    }
    made
}

/// Receives the available part of the next message, and passes it to `place`.
fn receive<P: Place>(
    r: Rtmp<'_>,
    found: &mut Exclusive<'_>,
    state: &mut State,
    place: &mut P,
) -> Attempt<P::Made> {
    if !found.is_plain() {
        return None;
    }
    let (core, mut inbox) = found.core_and_inbox();
    let Core { session, receive_buffer, stream, block, .. } = core;
    if !place.is_open(stream) {
        return None;
    }
    let decoder = session.decoder();
    place.prepare(decoder);
    let offered = Offered(decoder);
    let mut receives = 0..MAX_RECEIVES;
    let message = loop {
        let unread = receive_buffer::unread(&inbox, receive_buffer.as_deref());
        let (consumed, arriving) =
            match arriving_media(state, offered.0, unread, |kind, body| place.fits(kind, body)) {
                Ok(decoded) => decoded,
                Err(error) => return Some(Err(Failure::Decoding(Box::new(error)))),
            };
        inbox.consume(consumed);
        match arriving {
            Arriving::Media(message) => break Some(message),
            Arriving::Other => break None,
            Arriving::Unfinished => {}
        }
        if receives.next().is_none() {
            break None;
        }
        match receive_more(&mut inbox, offered.0, receive_buffer, state) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => return Some(Err(Failure::Receiving(Box::new(error)))),
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
        Err(error) => Some(Err(Failure::Decoding(Box::new(error)))),
    }
}

/// The limit of receives of one call here. A peer can begin message after message and finish none; the general path ends that.
const MAX_RECEIVES: u32 = 64;

/// Receives available bytes; returns whether there were any.
fn receive_more(
    inbox: &mut Inbox<'_>,
    decoder: &mut Decoder<Body>,
    receive_buffer: &mut Option<Box<ReceiveBuffer>>,
    state: &mut State,
) -> Result<bool> {
    let (chunk_size, worthwhile) =
        (session::chunk_size(state.in_chunk_size), direct::worthwhile(receive_buffer.as_deref()));
    let is_direct =
        !inbox.sb().has_tls() && receive_buffer::unread(inbox, receive_buffer.as_deref()).is_empty();
    let Some(mut loan) = is_direct.then(|| decoder.lend(chunk_size, worthwhile)).flatten() else {
        return receive_buffer::fill_now(inbox, receive_buffer);
    };
    let result = direct::receive_now(inbox, &mut loan);
    let arrived = result.as_ref().ok().copied().flatten().unwrap_or_default();
    decoder.give_back(loan, arrived.chunks);
    state.bytes_in = state.bytes_in.wrapping_add(arrived.used as u32);
    if arrived.full {
        receive_buffer::provide(receive_buffer);
    }
    result.map(|arrived| arrived.is_some())
}

/// Whether something has to be done after a message.
#[inline(always)]
fn is_due(r: Rtmp<'_>, state: &State) -> bool {
    let sb = field!(r, m_sb);
    state.owes_acknowledgement() || (field!(sb, sb_size).get() == 0 && sb.has_tls() && sb.tls_holds_more())
}

/// Does what is due after a message: the acknowledgement, and, when the buffer is empty, moving the bytes that TLS has
/// decrypted into it.
#[cold]
fn finish_message(r: Rtmp<'_>) {
    let _errno = Errno::keep();
    let _shield = Shield::begin();
    let Ok(handle) = Handle::connected_to(Some(r)) else { return };
    // An error has closed the connection, and the next call reports it. The message arrived before it.
    let _ = handle.acknowledge_if_due();
    handle.update_readiness();
}
