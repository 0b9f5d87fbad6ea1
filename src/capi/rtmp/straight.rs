//! Messages that are sent straight away: nothing but the socket is in their way.
//!
//! What the library does for a message is what short ones cost. Everything out of the ordinary, and every call that finds
//! the session in another thread's hands, is left to the long way.

use libc::{c_char, c_int};

use super::{
    RTMP, RTMPPacket,
    io::{PUBLISHING, mirror_writer},
    packet::{body_of, report},
};
use crate::{
    capi::{
        TRUE, boundary,
        ptr::bytes,
        reason::{self, Phase},
        shared,
        state::Handle,
    },
    chunk::Outgoing,
    error::Error,
    message::MessageType,
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
    // SAFETY: the caller's contract.
    let (handle, packet) = unsafe { (Handle::at_hand(r)?, packet.as_mut()?) };
    let kind = MessageType(packet.m_packetType);
    if queue && kind == MessageType::COMMAND {
        return None;
    }
    let message = Outgoing {
        chunk_stream: u32::try_from(packet.m_nChannel).ok()?,
        format: packet.m_headerType,
        kind,
        timestamp: packet.m_nTimeStamp,
        stream_id: packet.m_nInfoField2.cast_unsigned(),
        // SAFETY: the caller's contract.
        body: unsafe { body_of(packet) }.ok()?,
    };
    let (format, result) =
        handle.transmit_straight(|core, chunk_size| Some(core.encoder.encode(&message, chunk_size)))?;
    match result {
        Ok(()) => {
            packet.m_headerType = format;
            Some(TRUE)
        }
        Err(error) => Some(fail(&handle, error, failure)),
    }
}

/// Publishes a tag; returns `size`, or `failure` when the connection is gone.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[inline(always)]
pub(super) unsafe fn write(r: *mut RTMP, buf: *const c_char, size: c_int, failure: c_int) -> Option<c_int> {
    // SAFETY: the caller's contract.
    let (handle, input) = unsafe { (Handle::at_hand(r)?, bytes(buf, size, "buf").ok()?) };
    let (_, result) = handle.transmit_straight(|core, chunk_size| {
        // SAFETY: the caller's contract, and there is a session.
        let stream_id = unsafe { shared::read(&raw const (*r).m_stream_id) };
        let writer = core.writer.get_or_insert_default();
        let tag = writer.whole(input)?;
        let message = Outgoing {
            chunk_stream: PUBLISHING,
            format: tag.format_hint,
            kind: tag.kind,
            timestamp: tag.timestamp,
            stream_id: stream_id.cast_unsigned(),
            body: tag.body,
        };
        let encoded = core.encoder.encode(&message, chunk_size);
        if let Ok(chunks) = &encoded {
            // SAFETY: as above; the lock keeps threads out that close the connection.
            unsafe { mirror_writer(&raw mut (*r).m_write, writer, stream_id, Some(chunks.format)) };
        }
        Some(encoded)
    })?;
    match result {
        Ok(()) => Some(size),
        Err(error) => Some(fail(&handle, error, failure)),
    }
}

/// What is said and done when a message could not be sent.
#[cold]
fn fail(handle: &Handle, error: Error, failure: c_int) -> c_int {
    boundary(failure, || {
        // SAFETY: the handle's contract.
        unsafe { reason::about(handle.raw()) }?;
        reason::enter(Phase::SENDING);
        Err(report(handle, error))
    })
}
