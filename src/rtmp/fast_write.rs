//! The fast path of sending: messages that bypass the queue because nothing but the socket is in their way.
//!
//! An exception to the one way out, for the rows `RTMP_Write, 100-byte messages` and `RTMP_SendPacket, 300-byte messages` of
//! `make bench`, which take half as long with it. Everything out of the ordinary, and every call that finds another thread using
//! the session, is left to the general path, which starts from the beginning: here nothing has happened then.

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::{Chunks, Outgoing},
    error::{Error, Result},
    message::MessageType,
    session,
};

use super::{
    RTMP, RTMPPacket,
    outgoing::{first_tag, message_of, mirror_writer, outgoing, report},
};
use crate::{
    Errno, TRUE,
    boundary::{Kind, boundary},
    cancel::Shield,
    globals,
    ptr::bytes,
    reason::{self, Failure, Phase},
    shared,
    state::{Core, Handle},
};

/// Sends a packet; returns TRUE, or `failure` when the connection is gone.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body is null or
/// readable for `m_nBodySize` bytes.
#[inline(always)]
pub(super) unsafe fn send(
    r: *mut RTMP,
    packet: *mut RTMPPacket,
    queue: bool,
    failure: c_int,
) -> Option<c_int> {
    // SAFETY: `packet` is null or points to an `RTMPPacket` whose body is null or readable for `m_nBodySize` bytes, by
    // the Safety section.
    let packet = unsafe { packet.as_mut()? };
    let kind = MessageType(packet.m_packetType);
    if kind == MessageType::COMMAND && (queue || globals::logs_debug()) {
        return None;
    }
    // SAFETY: `packet` points to a packet whose body is readable for its size, by the Safety section.
    let message = unsafe { message_of(packet) }.ok()?;
    let encode = |core: &mut Core, chunk_size| Some(core.session.encoder().encode(&message, chunk_size));
    // SAFETY: `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body
    // is null or readable for `m_nBodySize` bytes, by the Safety section.
    match unsafe { transmit(r, encode) }? {
        Ok(format) => {
            packet.m_headerType = format;
            Some(TRUE)
        }
        // SAFETY: `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose
        // body is null or readable for `m_nBodySize` bytes, by the Safety section; there is a session.
        Err(unsent) => Some(unsafe { fail_packet(r, packet, *unsent, failure) }),
    }
}

/// Publishes a tag; returns `size`, or `failure` when the connection is gone.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[inline(always)]
pub(super) unsafe fn write(r: *mut RTMP, buf: *const c_char, size: c_int, failure: c_int) -> Option<c_int> {
    // SAFETY: `buf` is null or readable for `size` bytes, by the Safety section.
    let input = unsafe { bytes(buf, size, "buf").ok()? };
    let encode = |core: &mut Core, chunk_size| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section; there is a session.
        let stream_id = unsafe { shared::read(&raw const (*r).m_stream_id) };
        if core.unfinished.is_some() {
            return None;
        }
        let writer = core.writer.get_or_insert_default();
        let tag = writer.whole(input)?;
        let encoded = core.session.encoder().encode(&outgoing(stream_id, &tag), chunk_size);
        if let Ok(chunks) = &encoded {
            // SAFETY: as above; no other thread closes the connection meanwhile.
            unsafe { mirror_writer(&raw mut (*r).m_write, writer, stream_id, Some(chunks.format)) };
        }
        Some(encoded)
    };
    // SAFETY: `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes, by the Safety
    // section.
    match unsafe { transmit(r, encode) }? {
        Ok(_) => Some(size),
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section; there is a session.
        Err(unsent) => Some(unsafe { fail_tag(r, input, *unsent, failure) }),
    }
}

/// What became of a message; `None` if nothing has happened.
type Attempt = Option<Result<u8, Box<Unsent>>>;

/// Why a message was not sent, and the call in which that was.
struct Unsent {
    error: Error,
    handle: Handle,
}

/// Encodes a message and sends it; returns the header format. `None` if nothing has happened.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[inline(always)]
unsafe fn transmit<'m>(
    r: *mut RTMP,
    encode: impl FnOnce(&mut Core, u32) -> Option<Result<Chunks<'m>>>,
) -> Attempt {
    // What the system does not take at once is an error for it, and none for the caller.
    let _errno = Errno::keep();
    if r.is_null() || globals::dumps() || reason::is_reporting() {
        return None;
    }
    let _shield = Shield::begin();
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let handle = unsafe { Handle::at_hand(r) }?;
    let (format, result) = handle.transmit_unqueued(encode)?;
    match result {
        Ok(()) => Some(Ok(format)),
        Err(error) => Some(Err(Box::new(Unsent { error, handle }))),
    }
}

/// Reports that a packet could not be sent, and closes the connection.
///
/// # Safety
/// As for [`send`], and there is a session.
#[cold]
#[inline(never)]
unsafe fn fail_packet(r: *mut RTMP, packet: *const RTMPPacket, unsent: Unsent, failure: c_int) -> c_int {
    boundary(Kind::Session, failure, |_| {
        // SAFETY: `packet` is null or points to an `RTMPPacket` whose body is null or readable for `m_nBodySize` bytes;
        // there is a session, by the Safety section; it was a message.
        let message = unsafe { message_of(&*packet) }?;
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        unsafe { fail(r, unsent, &message) }
    })
}

/// Reports that a tag could not be sent, and closes the connection.
///
/// # Safety
/// `r` points to an initialised `RTMP`.
#[cold]
#[inline(never)]
unsafe fn fail_tag(r: *mut RTMP, input: &[u8], unsent: Unsent, failure: c_int) -> c_int {
    boundary(Kind::Session, failure, |_| {
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        unsafe { fail(r, unsent, &first_tag(r, input)) }
    })
}

/// # Safety
/// `r` points to an initialised `RTMP`.
unsafe fn fail(r: *mut RTMP, unsent: Unsent, message: &Outgoing<'_>) -> Result<c_int, Failure> {
    // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
    let chunk_size = unsafe {
        reason::about(r)?;
        session::chunk_size(shared::read(&raw const (*r).m_outChunkSize))
    };
    let Unsent { error, handle } = unsent;
    let error = report(&handle, error, message.as_asked(chunk_size).first_len());
    Err(Failure::new(error, Phase::SENDING))
}
