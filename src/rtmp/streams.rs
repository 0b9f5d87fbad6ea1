//! Further streams over the connection of the first one: `RTMP_OpenStream`, `RTMP_WriteStream` and `RTMP_CloseStream`.

use libc::{c_char, c_int};
use rtmp_core::{
    chunk::Outgoing,
    error::Error,
    flv,
    session::{self, further_chunk_stream},
};

use super::{RTMP, outgoing::send_message};
use crate::{
    FALSE, TRUE,
    amf::AVal,
    boundary::{Kind, boundary},
    ptr::{aval_bytes, bytes, required},
    reason::{self, During, Failure, Phase},
    state::Handle,
};

/// Publishes a further stream on the connection of a session that publishes; returns its message stream, or 0.
///
/// `RTMP_ConnectStream` comes first: its stream is the first one. A connection has eight streams at most, each of another
/// `name`, which is copied. The call waits for the server's answers as `RTMP_ConnectStream` does, and processes what else
/// arrives meanwhile; media are dropped. A server that refuses the stream is `RTMP_ERR_REFUSED`, and the other streams go on; some have one stream for each
/// connection (nginx-rtmp).
/// The connection is closed only if it is lost. With `RTMP_SetNonBlocking` it fails with `RTMP_ERR_AGAIN` until the answer is there:
/// call it again, with the same name, when a step is due.
///
/// The result is what `RTMP_WriteStream` and `RTMP_CloseStream` take, and, in `m_nInfoField2` of a packet, `RTMP_SendPacket`. A
/// packet for it has a chunk stream (`m_nChannel`) of its own, or a full header. A new connection, also that of a new login,
/// begins without further streams. Needs exclusive use of the session, except that other threads may send.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `name` is null or points to a string that is readable for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_OpenStream(r: *mut RTMP, name: *const AVal) -> c_int {
    boundary(Kind::Waits, 0, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`; `name` is null or points to a readable string, by the Safety
        // section.
        let (handle, name) = unsafe {
            reason::about(r)?;
            let name = aval_bytes(required(name, "name is NULL")?);
            (Handle::connected(r).during(Phase::SENDING)?, name)
        };
        let stream = handle.open_stream(name).map_err(|error| handle.failure(error, PUBLISH))?;
        Ok(stream as c_int)
    })
}

/// Sends FLV bytes on a further stream, as `RTMP_Write` does on the first one; returns how many of the `size` bytes it took, which
/// are all of them, or -1.
///
/// `stream` is a result of `RTMP_OpenStream`. The FLV header may be there or not; a tag may be cut anywhere and continues with the
/// next call for this stream. Other threads may send on other streams, one in each.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_WriteStream(
    r: *mut RTMP,
    stream: c_int,
    buf: *const c_char,
    size: c_int,
) -> c_int {
    boundary(Kind::Waits, -1, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes, by the Safety
        // section.
        let (handle, input) = unsafe {
            reason::about(r)?;
            let input = bytes(buf, size, "buf")?;
            (Handle::connected(r).during(Phase::SENDING)?, input)
        };
        let stream_id = open(&handle, stream)?;
        let mut writer = handle.core().further.remove(&stream_id).unwrap_or_default();
        let mut phase = Phase::Flv;
        let result = flv::write(&mut writer, input, &mut |message| {
            let outgoing = Outgoing {
                chunk_stream: further_chunk_stream(stream_id),
                format: message.format_hint,
                kind: message.kind,
                timestamp: message.timestamp,
                stream_id,
                body: message.body,
            };
            send_message(&handle, &outgoing, None).map(drop).inspect_err(|_| phase = Phase::SENDING)
        });
        // Another thread, or an error, may have closed the connection, and all of this with it.
        if handle.is_current() {
            handle.core().further.insert(stream_id, writer);
        }
        result.map(|used| used as c_int).during(phase)
    })
}

/// Ends a further stream; returns TRUE or FALSE. The others go on, and its name may be used again.
///
/// `stream` is a result of `RTMP_OpenStream`. It waits for nothing but room for the message. `RTMP_Close` ends all streams.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_CloseStream(r: *mut RTMP, stream: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe {
            reason::about(r)?;
            Handle::connected(r).during(Phase::SENDING)?
        };
        let stream_id = open(&handle, stream)?;
        handle.core().further.remove(&stream_id);
        handle.step(|session, wishes| session.close_stream(wishes, stream_id)).during(Phase::SENDING)?;
        handle.answer().during(Phase::SENDING)?;
        Ok(TRUE)
    })
}

/// What a call is at that asks for a stream.
const PUBLISH: Phase = Phase::Stream(session::Phase::Publish);

/// The message stream of a further stream that is open.
fn open(handle: &Handle, stream: c_int) -> Result<u32, Failure> {
    let stream_id = u32::try_from(stream).ok().filter(|stream| handle.core().session.has_stream(*stream));
    stream_id.ok_or(Error::Invalid("there is no further stream of this number").into())
}
