//! Further streams over the connection of the first one: `RTMP_OpenStream`, `RTMP_WriteStream` and `RTMP_CloseStream`.

use libc::{c_char, c_int};
use rtmp_core::{
    error::Error,
    flv,
    session::{self, further_chunk_stream},
};

use super::outgoing::{outgoing, send_message};
use crate::{
    FALSE, TRUE,
    amf::view::Text,
    boundary::{Kind, boundary},
    ptr::{bytes, given},
    reason::{self, During, Failure, Phase},
    state::Handle,
    valid::Rtmp,
};

/// Publishes another stream on the connection of a session that publishes.
///
/// Call it after `RTMP_ConnectStream`, which opens the first stream. A connection has at most eight streams with different
/// names. `name` is copied. The call waits for the server's answers like `RTMP_ConnectStream`, and processes what else arrives
/// meanwhile; it discards media. If the server refuses the stream, the other streams continue. Some servers, such as
/// nginx-rtmp, accept one stream for each connection. Only a lost connection closes the session.
///
/// In a non-blocking session, the call fails with `RTMP_ERR_AGAIN` until the answer has arrived. Call it again with the same
/// name after `RTMP_Step`.
///
/// The result is an argument of `RTMP_WriteStream` and `RTMP_CloseStream`. For `RTMP_SendPacket`, store it in `m_nInfoField2`,
/// and use a chunk stream (`m_nChannel`) of its own or a full header. A new connection, also that of a new login, starts
/// without further streams. Other threads may send during the call.
///
/// Returns the message stream, or 0. Fails with `RTMP_ERR_REFUSED` if the server refuses the stream.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `name` is null or points to a string that is readable for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_OpenStream(r: Option<Rtmp<'_>>, name: Option<Text<'_>>) -> c_int {
    boundary(Kind::Waits, 0, |_| {
        reason::use_session(r)?;
        let name = given(name, "name is NULL")?;
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let stream = handle.open_stream(name.bytes()).map_err(|error| handle.failure(error, PUBLISH))?;
        Ok(stream as c_int)
    })
}

/// Sends FLV bytes on a further stream, like `RTMP_Write` on the first one.
///
/// `stream` is a result of `RTMP_OpenStream`. The FLV header is optional. A tag may be cut anywhere, and continues with the
/// next call for this stream. Other threads may send on other streams, one thread for each stream.
///
/// Returns `size`, or -1.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `buf` is null or readable for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_WriteStream(
    r: Option<Rtmp<'_>>,
    stream: c_int,
    buf: *const c_char,
    size: c_int,
) -> c_int {
    boundary(Kind::Waits, -1, |_| {
        reason::use_session(r)?;
        // SAFETY: `buf` is null or readable for `size` bytes, by the Safety section.
        let input = unsafe { bytes(buf, size, "buf") }?;
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let stream_id = open(&handle, stream)?;
        let mut writer = handle.core().further.remove(&stream_id).unwrap_or_default();
        let mut phase = Phase::Flv;
        let result = flv::write(&mut writer, input, &mut |message| {
            let message = outgoing(further_chunk_stream(stream_id), stream_id, &message);
            send_message(&handle, &message, None).map(drop).inspect_err(|_| phase = Phase::SENDING)
        });
        // Another thread, or an error, may have closed the connection, and all of this with it.
        if handle.is_current() {
            handle.core().further.insert(stream_id, writer);
        }
        result.map(|used| used as c_int).during(phase)
    })
}

/// Ends a further stream. The other streams continue, and its name may be used again.
///
/// `stream` is a result of `RTMP_OpenStream`. The call waits only until the message can be sent. `RTMP_Close` ends all streams.
///
/// Returns TRUE or FALSE.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_CloseStream(r: Option<Rtmp<'_>>, stream: c_int) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        reason::use_session(r)?;
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let stream_id = open(&handle, stream)?;
        handle.core().further.remove(&stream_id);
        handle.step(|session, wishes| session.close_stream(wishes, stream_id)).during(Phase::SENDING)?;
        handle.answer().during(Phase::SENDING)?;
        Ok(TRUE)
    })
}

/// The state of a call that opens a stream.
const PUBLISH: Phase = Phase::Stream(session::Phase::Publish);

/// The message stream of a further stream that is open.
fn open(handle: &Handle, stream: c_int) -> Result<u32, Failure> {
    let stream_id = u32::try_from(stream).ok().filter(|stream| handle.core().session.has_stream(*stream));
    stream_id.ok_or(Error::Invalid("there is no further stream of this number").into())
}
