//! Messages to be sent, from a packet or from FLV bytes, and the fields that callers see of them.

use std::ptr;

use libc::c_int;
use rtmp_core::{
    chunk::Outgoing,
    error::{Error, Result},
    flv::{self, Finished},
    message::MessageType,
    session::{self, packet_log},
};

use super::RTMPPacket;
use crate::{
    connection::Batch,
    fields::profile,
    log::Deferred,
    memory::Body,
    reason::{self, Failure},
    state::{Core, Handle},
    valid::{Rtmp, Valid, field},
};

/// The chunk stream that `RTMP_Write` sends on.
pub(crate) const PUBLISHING: u32 = 4;

/// Logs a message that cannot be sent, and returns the length that its first chunk would have.
pub(super) fn log_unsent(r: Rtmp<'_>, message: &Outgoing<'_>) -> usize {
    without_session(r, || {
        let chunk_size = session::chunk_size(field!(r, m_outChunkSize).get());
        packet_log::log_unsent(message, &profile(field!(r, Link)), chunk_size)
    })
}

/// The session of a call that sends. Without a connection, `log` logs the message and returns the length of its first chunk.
pub(super) fn connected(r: Option<Rtmp<'_>>, log: impl FnOnce(Rtmp<'_>) -> usize) -> Result<Handle, Failure> {
    Handle::connected_to(r).map_err(|error| {
        let first_chunk = if matches!(error, Error::Again) { 0 } else { r.map_or(0, log) };
        Failure::unsent(error, first_chunk)
    })
}

/// Returns the result of `log`, the length that could not be sent. Waits for another call that is still closing the session and
/// frees strings of `Link`; delivers the records of `log` afterwards. In a log callback of the session nothing is logged, and
/// the result is 0.
pub(super) fn without_session(r: Rtmp<'_>, log: impl FnOnce() -> usize) -> usize {
    if reason::is_told(|told| told == r.as_ptr()) {
        return 0;
    }
    let _deferred = Deferred::begin();
    let handle = Handle::of(r);
    let _core = handle.as_ref().map(Handle::core);
    log()
}

/// Name and transaction id of a command; `None` for other messages.
pub(super) fn command_of<'a>(message: &Outgoing<'a>) -> Option<(&'a [u8], i32)> {
    let (MessageType::COMMAND, (&2, rest)) = (message.kind, message.body.split_first()?) else { return None };
    let (len, rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    let (&0, rest) = rest.split_first()? else { return None };
    Some((name, f64::from_be_bytes(*rest.first_chunk()?) as i32))
}

/// Sends a message and returns the header format that was used; remembers the command's name and transaction id.
pub(crate) fn send_message(
    handle: &Handle,
    message: &Outgoing<'_>,
    call: Option<(&[u8], i32)>,
) -> Result<u8> {
    let mut encoded = None;
    let result = handle.transmit_packet(message, call, &mut encoded);
    outcome(handle, message, result, encoded)
}

/// As [`send_message`], in a batch: the error may concern an earlier message.
pub(super) fn send_in_batch(handle: &Handle, batch: &mut Batch<'_>, message: &Outgoing<'_>) -> Result<u8> {
    let mut encoded = None;
    let result = batch.transmit(message, &mut encoded);
    outcome(handle, message, result, encoded)
}

/// Returns the header format of a message; a send error has closed the connection.
fn outcome(handle: &Handle, message: &Outgoing<'_>, result: Result<()>, encoded: Option<u8>) -> Result<u8> {
    match (result, encoded) {
        (Ok(()), Some(format)) => Ok(format),
        (Err(error), Some(_)) => Err(report(handle, error, first_chunk_len(handle, message))),
        (Err(error), None) => Err(error),
        // Nothing was encoded, and so nothing was sent: `transmit_packet` encodes first.
        (Ok(()), None) => Err(Error::Invalid("nothing was sent")),
    }
}

/// The length of a message's first chunk.
pub(super) fn first_chunk_len(handle: &Handle, message: &Outgoing<'_>) -> usize {
    message.first_len(session::chunk_size(field!(handle.rtmp(), m_outChunkSize).get()))
}

/// Logs why a message could not be sent, with the length of its first chunk, and closes the connection.
pub(super) fn report(handle: &Handle, error: Error, first_chunk: usize) -> Error {
    packet_log::log_failed_send(&error, first_chunk);
    handle.prepare_reset();
    handle.give_up();
    error.reported()
}

/// The message in `input`, if `input` is exactly one tag.
pub(super) fn first_tag<'i>(r: Rtmp<'_>, input: &'i [u8]) -> Outgoing<'i> {
    let tag = flv::Writer::<Body>::default().whole(input);
    let none = Finished { kind: MessageType::default(), timestamp: 0, format_hint: 0, body: &[][..] };
    outgoing(PUBLISHING, field!(r, m_stream_id).get() as u32, &tag.unwrap_or(none))
}

/// A part of FLV bytes as a message.
#[inline(always)]
pub(super) fn outgoing<'a>(chunk_stream: u32, stream_id: u32, message: &Finished<&'a [u8]>) -> Outgoing<'a> {
    Outgoing {
        chunk_stream,
        format: message.format_hint,
        kind: message.kind,
        timestamp: message.timestamp,
        stream_id,
        body: message.body,
    }
}

/// Stores the body of the incomplete tag, if there is one, in `m_write`.
pub(super) fn show_unfinished(core: &mut Core, r: Rtmp<'_>, writer: &mut flv::Writer<Body>) {
    let Some(body) = writer.take_body() else { return };
    let (shown, lent) = body.lend();
    field!(r, m_write.m_body).set(shown);
    core.unfinished = Some(lent);
}

/// Takes the body of the incomplete tag from `m_write`; `None` if there is none, or if the caller has freed it.
pub(super) fn take_unfinished(core: &mut Core, r: Rtmp<'_>) -> Option<Body> {
    let lent = core.unfinished.take()?;
    let field = field!(r, m_write.m_body);
    let shown = field.get();
    field.set(ptr::null_mut());
    // SAFETY: `m_write` holds the body that `show_unfinished` stored there, or one that the program stored: null, or a body of
    // its own.
    unsafe { lent.take_back(shown) }
}

/// Shows the position of the writer in `m_write`.
pub(super) fn mirror_writer(
    shown: Valid<'_, RTMPPacket>,
    writer: &flv::Writer<Body>,
    stream_id: c_int,
    sent_format: Option<u8>,
) {
    let body = writer.body();
    let last_format = field!(shown, m_headerType).get();
    let packet = RTMPPacket {
        m_headerType: if body.is_some() { writer.format() } else { sent_format.unwrap_or(last_format) },
        m_packetType: writer.kind().0,
        m_nChannel: PUBLISHING as c_int,
        m_nTimeStamp: writer.timestamp(),
        m_nInfoField2: stream_id,
        m_nBodySize: writer.body_size(),
        m_nBytesRead: writer.bytes_read() as u32,
        ..RTMPPacket::EMPTY
    };
    shown.put(packet);
}
