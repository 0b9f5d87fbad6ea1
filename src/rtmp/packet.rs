//! Packets and chunks: messages as C programs build, send and receive them.

use std::ptr;

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::Chunk,
    error::{Error, Result},
    message::{Message, MessageType},
    session::{Outcome, packet_log},
};

use super::{
    RTMPChunk, RTMPPacket, fast_read, fast_receive, fast_write,
    outgoing::{command_of, log_unsent, send_message},
    view::{Packet, RawChunk},
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, attempt, attempt_once, boundary},
    cancel, globals,
    memory::{Body, RTMP_MAX_HEADER_SIZE, release},
    ptr::given,
    pump::Reading,
    reason::{self, During, Failure, Phase},
    state::Handle,
    valid::{Rtmp, Valid, field},
};

/// Sets the fields that describe a message to zero. `m_chunk` and `m_body` keep their values.
///
/// # Safety
/// `p` is null or points to an `RTMPPacket`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMPPacket_Reset(p: Option<Valid<'_, RTMPPacket>>) {
    let Some(p) = p else { return refuse("p") };
    // Every message needs this call, and nothing in it can fail.
    let (m_chunk, m_body) = (field!(p, m_chunk).copy(), field!(p, m_body).copy());
    p.put(RTMPPacket { m_chunk, m_body, ..RTMPPacket::EMPTY });
}

/// Writes one log line about a packet at level DEBUG.
///
/// # Safety
/// `p` is null or points to an `RTMPPacket` whose body is null or readable for `m_nBodySize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMPPacket_Dump(p: Option<Packet<'_>>) {
    boundary(Kind::Session, (), |_| {
        let packet = given(p, "p")?;
        // RTMPPacket_Free leaves the size unchanged.
        let body = if packet.m_body.is_null() { &[] } else { packet.body()? };
        let first = body.first().unwrap_or(&0);
        log::debug!(
            "RTMP PACKET: packet type: 0x{:02x}. channel: 0x{:02x}. info 1: {} info 2: {}. Body size: {}. body: 0x{:02x}",
            packet.m_packetType,
            packet.m_nChannel,
            packet.m_nTimeStamp,
            packet.m_nInfoField2,
            packet.m_nBodySize,
            first,
        );
        Ok(())
    })
}

/// Gives a packet a body of `nSize` zero bytes, with room for a chunk header in front. Free the body with
/// `RTMPPacket_Free`. The function does not set `m_nBodySize`, and it does not free an earlier body.
///
/// Returns TRUE, or FALSE if memory is short.
///
/// # Safety
/// `p` is null or points to an `RTMPPacket`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMPPacket_Alloc(p: Option<Valid<'_, RTMPPacket>>, nSize: u32) -> c_int {
    let Some(p) = p else {
        refuse("p");
        return FALSE;
    };
    let size = usize::try_from(nSize).ok().and_then(|size| size.checked_add(RTMP_MAX_HEADER_SIZE + 1));
    // SAFETY: calloc accepts any size.
    let block = size.map_or(ptr::null_mut(), |size| unsafe { libc::calloc(1, size) }).cast::<c_char>();
    if block.is_null() {
        return boundary(Kind::Session, FALSE, |_| Err(Error::OutOfMemory.into()));
    }
    field!(p, m_body).set(block.wrapping_add(RTMP_MAX_HEADER_SIZE));
    field!(p, m_nBytesRead).set(0);
    TRUE
}

/// Frees the body of a packet, if there is one, and sets `m_body` to NULL.
///
/// # Safety
/// `p` is null or points to an `RTMPPacket` whose body is null or lies `RTMP_MAX_HEADER_SIZE` bytes behind the start of
/// a block from `malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMPPacket_Free(p: Option<Valid<'_, RTMPPacket>>) {
    let Some(p) = p else { return refuse("p") };
    // Every message needs this call, and nothing in it can fail.
    let body = field!(p, m_body);
    if !body.get().is_null() {
        // SAFETY: the body lies `RTMP_MAX_HEADER_SIZE` bytes behind the start of a block from `malloc`, by the Safety section.
        unsafe { release(body.get().sub(RTMP_MAX_HEADER_SIZE)) };
        body.set(ptr::null_mut());
    }
}

/// Reads one chunk of a message.
///
/// A message may need several chunks. It is complete when `RTMPPacket_IsReady(packet)` is true. Only then is `m_body`
/// set; free it with `RTMPPacket_Free`. If `packet->m_chunk` is not NULL, the function stores the chunk there as it was
/// on the wire. `c_chunk` then points into `m_body`, or, while the message is incomplete, into memory of the library
/// that the next call may move.
///
/// Returns TRUE, or FALSE if the connection was closed or the timeout passed. After a timeout (`RTMP_IsTimedout`)
/// nothing is lost, and the next call continues.
///
/// Fails with `RTMP_ERR_TIMEDOUT`, `RTMP_ERR_CLOSED`, `RTMP_ERR_IO`, `RTMP_ERR_MALFORMED` or `RTMP_ERR_ABORTED`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket`, whose `m_chunk` is null
/// or points to an `RTMPChunk`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ReadPacket(
    r: Option<Rtmp<'_>>,
    packet: Option<Valid<'_, RTMPPacket>>,
) -> c_int {
    // Here, because a cancellation later would leak a body that the call returns.
    cancel::act();
    let result = attempt_once(FALSE, || fast_receive::read(r?, packet?, FALSE));
    let result = result.unwrap_or_else(|| read_in_general(r, packet));
    if result == FALSE {
        cancel::act();
    }
    result
}

/// The general path.
#[inline(never)]
fn read_in_general(r: Option<Rtmp<'_>>, packet: Option<Valid<'_, RTMPPacket>>) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let packet = reason::argument(r, given(packet, "packet"))?;
        field!(packet, m_body).set(ptr::null_mut());
        // SAFETY: `m_chunk` is null or points to an `RTMPChunk`, as `rtmp.h` says of the field.
        let shown = unsafe { Valid::new(field!(packet, m_chunk).get()) };
        let handle = Handle::connected_to(r)
            .inspect_err(|error| {
                if !matches!(error, Error::Again) {
                    packet_log::log_reading(None);
                    packet_log::log_receive_error(error);
                }
            })
            .during(Phase::Reading)?;
        let chunk =
            handle.receive_chunk().map_err(|error| handle.failure(error.reported(), Phase::Reading))?;
        handle.update_readiness();
        if let Some(shown) = shown {
            show_chunk(shown, &handle, &chunk);
        }
        fast_receive::show(packet, chunk);
        Ok(TRUE)
    })
}

/// Fills in the caller's chunk.
fn show_chunk(shown: Valid<'_, RTMPChunk>, handle: &Handle, chunk: &Chunk<Body>) {
    let (header, place) = (chunk.header.as_bytes(), field!(shown, c_header));
    let mut bytes = place.copy();
    for (shown, byte) in bytes.iter_mut().zip(header) {
        *shown = *byte as c_char;
    }
    place.put(bytes);
    field!(shown, c_headerSize).set(header.len() as c_int);
    let mut core = handle.core();
    let body = match &chunk.message {
        Some(message) => Some(&message.body),
        None => core.session.decoder().unfinished_body(chunk.chunk_stream),
    };
    let offset = (chunk.received - chunk.payload) as usize;
    field!(shown, c_chunk).set(match body {
        Some(body) if chunk.payload > 0 => body.as_ptr().wrapping_add(offset).cast(),
        _ => ptr::null_mut(),
    });
    field!(shown, c_chunkSize).set(chunk.payload as c_int);
}

/// Sends a message.
///
/// `m_headerType` requests a header format. The function uses a smaller one if it says the same, a larger one if
/// necessary, and stores its choice. It only reads the body, which still belongs to the caller and needs no room in
/// front. If `queue` is not 0, the library remembers a command (type 0x14) until its result arrives.
///
/// Returns TRUE, or FALSE if the packet is invalid (nothing was sent) or if sending failed (the connection was closed).
///
/// Fails with `RTMP_ERR_ARGUMENT` if the packet is invalid, `RTMP_ERR_NOT_CONNECTED`, `RTMP_ERR_TIMEDOUT` if the peer
/// accepts nothing for `Link.timeout`, `RTMP_ERR_CLOSED` or `RTMP_ERR_IO`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body is null or
/// readable for `m_nBodySize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendPacket(
    r: Option<Rtmp<'_>>,
    packet: Option<Packet<'_>>,
    queue: c_int,
) -> c_int {
    let sent = attempt_once(FALSE, || fast_write::send(r?, packet?, queue != 0, FALSE));
    let sent = sent.unwrap_or_else(|| send_in_general(r, packet, queue != 0));
    cancel::act();
    sent
}

/// The general path.
#[inline(never)]
fn send_in_general(r: Option<Rtmp<'_>>, packet: Option<Packet<'_>>, queue: bool) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let packet = reason::argument(r, given(packet, "packet"))?;
        let message = packet.message();
        let handle = match Handle::connected_to(r) {
            Ok(handle) => handle,
            Err(Error::Again) => return Err(Failure::new(Error::Again, Phase::SENDING)),
            Err(error) => {
                let message = message?;
                let first_chunk = r.map_or(0, |r| log_unsent(r, &message));
                return Err(Failure::unsent(error, first_chunk));
            }
        };
        let len = message.as_ref().map_or(0, |message| message.body.len());
        handle.reserve_queue(len).during(Phase::SENDING)?;
        let message = message.during(Phase::SENDING)?;
        let call = if queue { command_of(&message) } else { None };
        packet.note_format(send_message(&handle, &message, call).during(Phase::SENDING)?);
        Ok(TRUE)
    })
}

/// Sends a chunk unchanged: `c_headerSize` bytes of `c_header`, then `c_chunkSize` bytes at `c_chunk`. The function
/// does not compress the header and remembers nothing.
///
/// Returns TRUE, or FALSE if sending failed.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `chunk` is null or points to an `RTMPChunk` whose `c_chunk` is null or
/// readable for `c_chunkSize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendChunk(r: Option<Rtmp<'_>>, chunk: Option<RawChunk<'_>>) -> c_int {
    let sent = attempt_once(FALSE, || fast_write::send_chunk(r?, chunk?, FALSE));
    let sent = sent.unwrap_or_else(|| send_chunk_in_general(r, chunk));
    cancel::act();
    sent
}

/// The general path.
#[inline(never)]
fn send_chunk_in_general(r: Option<Rtmp<'_>>, chunk: Option<RawChunk<'_>>) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let [header, payload] = reason::argument(r, given(chunk, "chunk").and_then(RawChunk::pieces))?;
        let handle = Handle::connected_to(r);
        if globals::dumps() {
            packet_log::log_sent_chunk(handle.as_ref().ok().and_then(Handle::descriptor), header, payload);
        }
        let handle = handle.map_err(|error| Failure::unsent(error, header.len() + payload.len()))?;
        handle.reserve_queue(header.len() + payload.len()).during(Phase::SENDING)?;
        handle.core().session.count_sent(header.len() + payload.len());
        handle.send_pieces(&[header, payload]).inspect_err(|_| handle.give_up()).during(Phase::SENDING)?;
        Ok(TRUE)
    })
}

/// Lets the session process a complete message: it answers pings, notes chunk sizes and handles results of commands.
/// The body still belongs to the caller.
///
/// Returns 0 if the message needs nothing more, 1 if it is media for the caller, and 2 if it ended the stream.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body is null or
/// readable for `m_nBodySize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_ClientPacket(r: Option<Rtmp<'_>>, packet: Option<Packet<'_>>) -> c_int {
    boundary(Kind::Waits, 0, |_| {
        let packet = reason::argument(r, given(packet, "packet"))?;
        let handle = Handle::made_for(reason::use_session(r)?)?;
        let message = Message {
            chunk_stream: packet.m_nChannel as u32,
            format: packet.m_headerType,
            kind: MessageType(packet.m_packetType),
            timestamp: packet.m_nTimeStamp,
            stream_id: packet.m_nInfoField2 as u32,
            body: packet.body().unwrap_or_default(),
        };
        // Messages that the server refuses, and those that could not be answered, are not for the caller.
        let outcome = handle.dispatch(&message);
        Ok(number(outcome.map_err(|error| handle.failure(error.reported(), Phase::Reading))?))
    })
}

/// Waits for the next audio, video, metadata or aggregate message and processes all others.
///
/// Returns 1 if `packet` holds such a message, 2 if the stream has ended, and 0 if the connection was closed or the
/// timeout passed (`RTMP_IsTimedout`). After 1 and 2 the caller frees the body with `RTMPPacket_Free`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_GetNextMediaPacket(
    r: Option<Rtmp<'_>>,
    packet: Option<Valid<'_, RTMPPacket>>,
) -> c_int {
    // Here, because a cancellation later would leak a body that the call returns.
    cancel::act();
    let outcome = match attempt(|| fast_read::next(r?, packet?)) {
        Some(Ok(())) => number(Outcome::Media),
        other => next_media(r, packet, other.and_then(Result::err)),
    };
    if outcome == 0 {
        cancel::act();
    }
    outcome
}

/// The general path. `failure` is a failure that is already known.
#[inline(never)]
fn next_media(
    r: Option<Rtmp<'_>>,
    packet: Option<Valid<'_, RTMPPacket>>,
    failure: Option<fast_read::Failure>,
) -> c_int {
    boundary(Kind::Session, 0, |errno| {
        let packet = reason::argument(r, given(packet, "packet"))?;
        field!(packet, m_body).set(ptr::null_mut());
        let handle =
            Handle::connected_to(r).inspect_err(|_| errno.leave_unchanged()).during(Phase::Reading)?;
        let next = match failure {
            None => Reading::new(&handle).next_media(),
            Some(failure) => Err(failure.handle(&handle)),
        };
        let (outcome, message) = next.map_err(|error| handle.failure(error.reported(), Phase::Reading))?;
        handle.note_found();
        handle.update_readiness();
        fast_read::show(packet, message);
        Ok(number(outcome))
    })
}

/// Logs what is wrong with an argument.
#[cold]
#[inline(never)]
fn refuse(why: &'static str) {
    boundary(Kind::Session, (), |_| Err(Error::Invalid(why).into()));
}

/// The return value of `RTMP_ClientPacket`.
fn number(outcome: Outcome) -> c_int {
    match outcome {
        Outcome::Handled => 0,
        Outcome::Media => 1,
        Outcome::Ended => 2,
    }
}
