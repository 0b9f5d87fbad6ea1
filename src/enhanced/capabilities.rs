//! The announcements of both ends of a connection, and messages that the peer has to understand.

use std::ptr;

use libc::{c_char, c_int};
use rtmp_core::{
    amf::Encoder,
    chunk::Outgoing,
    error::Error,
    media::FourCc,
    message::MessageType,
    session::{Peer, feature},
};

use super::{
    media::{Tracks, medium},
    types::RTMPTrack,
};
use crate::{
    FALSE, TRUE,
    amf::{
        AMFObjectProperty, owned_property,
        room::{Edge, Room},
        view::{In, Text},
    },
    boundary::{Kind, boundary},
    ptr::{Out, given},
    reason::{self, During, Failure, Phase},
    rtmp::{
        RTMPPacket,
        outgoing::{PUBLISHING, send_message},
    },
    state::Handle,
    valid::{Rtmp, field},
};

/// Returns the features that the peer announces, bits of `RTMP_CAPS_*`.
///
/// A client announces them in `connect`, a server in its answer. The result is 0 before the peer has done so, for peers
/// without Enhanced RTMP, and if `r` is NULL.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_PeerCaps(r: Option<Rtmp<'_>>) -> c_int {
    boundary(Kind::Session, 0, |_| {
        let features = with_peer(r, |peer| peer.capabilities.features);
        Ok(features.unwrap_or(0) as c_int)
    })
}

/// Returns the abilities that the peer announces for a codec, bits of `RTMP_CAN_*`.
///
/// `kind` is `RTMP_PACKET_TYPE_AUDIO` or `RTMP_PACKET_TYPE_VIDEO`. The result includes the abilities that the peer
/// announces for all codecs. A codec in `fourCcList`, the only announcement of older peers, counts as
/// `RTMP_CAN_DECODE`. The result is 0 before the peer has announced anything, for codecs that it does not announce,
/// and if an argument is not valid.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_PeerFourCc(r: Option<Rtmp<'_>>, kind: u8, fourcc: u32) -> c_int {
    boundary(Kind::Session, 0, |_| {
        let Some(medium) = medium(kind) else { return Ok(0) };
        let abilities = with_peer(r, |peer| Some(peer.capabilities.codec(medium, FourCc(fourcc))));
        Ok(abilities.unwrap_or(0) as c_int)
    })
}

/// Finds a property of the peer's announcement.
///
/// On a client, the announcement is the server's answer to `connect`; the function searches its information object
/// first, then the other object. On a server, it is the object of the `connect` that the program has passed to
/// `RTMP_TakeConnect`. The function stores a copy of the property in `*p`. Its strings are valid until the next call
/// with this session; its objects belong to the caller, who frees them with `AMFProp_Reset`.
///
/// Returns TRUE, or FALSE if there is no such property; nothing is stored then.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `name` is null or points to a string that is readable for its
/// length; `p` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_PeerProperty(
    r: Option<Rtmp<'_>>,
    name: Option<Text<'_>>,
    p: Option<Out<AMFObjectProperty>>,
) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let name = reason::argument(r, given(name, "name"))?.bytes();
        let p = reason::argument(r, given(p, "p"))?;
        // Strings lie in what the session keeps of the command, which stays until another call changes it.
        let found = with_peer(r, |peer| peer.property(name, |value| owned_property(name, value)));
        let Some(found) = found else { return Ok(FALSE) };
        p.write(found?);
        Ok(TRUE)
    })
}

/// Passes a client's `connect` to the session of its server.
///
/// A server that answers commands itself calls this with the message, before it answers. `RTMP_PeerCaps`,
/// `RTMP_PeerFourCc`, `RTMP_PeerProperty`, `RTMP_SendMedia` and `RTMP_SendReconnect` then use the client's
/// announcement. The packet still belongs to the caller.
///
/// Returns TRUE, or FALSE if the packet is not a `connect` command.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `packet` is null or points to an `RTMPPacket` whose body is null or
/// readable for `m_nBodySize` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_TakeConnect(r: Option<Rtmp<'_>>, packet: Option<In<'_, RTMPPacket>>) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let packet = reason::argument(r, given(packet, "packet"))?;
        let body = reason::argument(r, packet.body())?;
        let handle = Handle::connected_to(r)?;
        let body = match MessageType(packet.m_packetType) {
            MessageType::COMMAND => body,
            // AMF0 follows a byte that names the format.
            MessageType::COMMAND_AMF3 => body.get(1..).unwrap_or_default(),
            _ => return Ok(FALSE),
        };
        if !body.starts_with(b"\x02\0\x07connect") {
            return Ok(FALSE);
        }
        handle.core().session.set_peer(Peer::from_command(body));
        Ok(TRUE)
    })
}

/// Writes the announcement of this session's options, as members of an object.
///
/// A server writes them into both objects of its answer to `connect`, because clients differ in which one they read.
/// The options are `enhanced`, `fourCcList`, `videoFourCc`, `audioFourCc`, `capsEx` and `reconnect`. A client need
/// not call this: its `connect` contains the members.
///
/// Returns the position after the members, which is `p` if nothing is announced, or NULL if they do not fit.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; the bytes from `p` to `end` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_EncodeCapabilities(
    r: Option<Rtmp<'_>>,
    p: Option<Edge<'_>>,
    end: Option<Edge<'_>>,
) -> *mut c_char {
    boundary(Kind::Session, ptr::null_mut(), |_| {
        let handle = Handle::of(reason::use_session(r)?);
        let capabilities = handle
            .map(|handle| handle.with_settings(|settings| settings.common.enhanced.capabilities.clone()));
        let mut members = Encoder::new();
        capabilities.unwrap_or_default().write_members(&mut members);
        let members = members.finish();
        let after =
            Room::between(p, end).ok().and_then(|mut room| room.put(&members).map(|()| room.position()));
        Ok(after.ok_or(Error::TooLarge("the announcement"))?)
    })
}

/// Sends an audio or video message made of its parts, see `RTMP_EncodeMedia`, on the stream of this session.
///
/// `timestamp` is in milliseconds. The tracks and their data are only read. A server sets `m_stream_id` to the stream
/// that its client plays.
///
/// Returns TRUE, or FALSE if the message is invalid, if the peer has not announced support for it (nothing was sent
/// then), or if sending failed (the connection was closed). The option `enhancedForce` sends it anyway. A server
/// without an announcement counts as one that supports one track of any video codec, and nothing else of Enhanced
/// RTMP.
///
/// Fails with `RTMP_ERR_UNSUPPORTED` if the peer has not announced several tracks, nanoseconds or the codec,
/// `RTMP_ERR_ARGUMENT`, and as `RTMP_SendPacket` does.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `tracks` is null or points to `count` tracks whose `t_body` is
/// null or readable for `t_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendMedia(
    r: Option<Rtmp<'_>>,
    kind: u8,
    timestamp: u32,
    nano: u32,
    tracks: *const RTMPTrack,
    count: c_int,
) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let mut room = Tracks::new();
        reason::use_session(r)?;
        // SAFETY: `tracks` is null or points to `count` tracks whose data is readable, by the Safety section.
        let message = unsafe { room.read(kind, tracks, count, nano) }.during(Phase::SENDING)?;
        let body = message.encode().during(Phase::SENDING)?;
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        if !handle.with_settings(|settings| settings.common.enhanced.force) {
            let peer = handle.core().session.peer().map(|peer| peer.capabilities.clone());
            // The program only gets the code; nothing is wrong with the connection.
            peer.unwrap_or_default().check(&message).map_err(|error| Failure::new(error, Phase::Call))?;
        }
        let stream_id = field!(handle.rtmp(), m_stream_id).get() as u32;
        let format = u8::from(timestamp != 0);
        let kind = MessageType(kind);
        let message = Outgoing { chunk_stream: PUBLISHING, format, kind, timestamp, stream_id, body: &body };
        send_message(&handle, &message, None).during(Phase::SENDING)?;
        Ok(TRUE)
    })
}

/// Asks the client of a server to connect again.
///
/// `url` is the URL of an application: absolute, or relative to the current one (`//host/app`, `/app`), or NULL for
/// the same one. `description` is for people and may be NULL. The session continues until the client closes it.
///
/// Returns TRUE, or FALSE if the client has not announced support for such requests (nothing was sent then), or if
/// sending failed (the connection was closed). `RTMP_TakeConnect` must have received the client's `connect`.
///
/// Fails with `RTMP_ERR_UNSUPPORTED`, and as `RTMP_SendPacket` does.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `url` and `description` are null or point to strings that are
/// readable for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_SendReconnect(
    r: Option<Rtmp<'_>>,
    url: Option<Text<'_>>,
    description: Option<Text<'_>>,
) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let handle = Handle::connected_to(r).during(Phase::SENDING)?;
        let [url, description] = [url, description].map(|text| text.map_or(&[][..], |text| text.bytes()));
        let knows =
            handle.core().session.peer().is_some_and(|peer| peer.capabilities.has(feature::RECONNECT));
        if !knows {
            let error = Error::Unsupported("a reconnect request to a client that has not announced them");
            return Err(Failure::new(error, Phase::Call));
        }
        let request = rtmp_core::session::reconnect_request(url, description);
        handle.send(|_, _| request).map_err(|error| handle.failure(error.reported(), Phase::SENDING))?;
        Ok(TRUE)
    })
}

/// The result of `look` for the peer's announcement, if there is one.
fn with_peer<R>(r: Option<Rtmp<'_>>, look: impl FnOnce(&Peer) -> Option<R>) -> Option<R> {
    let handle = Handle::of(r?)?;
    let core = handle.core();
    core.session.peer().and_then(look)
}
