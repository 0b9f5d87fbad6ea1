//! A peer's notice as an event.

use libc::c_int;
use rtmp_core::{message::Message, session::Notice};

use super::{RTMP_EVENT_COMMAND, RTMP_EVENT_DATA, RTMP_EVENT_RECONNECT, RTMP_EVENT_STATUS, RTMPEvent};
use crate::amf::AVal;

/// The notice in the form that programs see. The strings are borrowed.
pub(crate) fn event_of(notice: &Notice) -> RTMPEvent {
    let message = |kind, name: &[u8], message: &Message| RTMPEvent {
        e_name: borrowed(name),
        e_stream: message.stream_id as i32,
        e_packetType: message.kind.0.into(),
        e_timestamp: message.timestamp,
        e_body: borrowed(&message.body),
        ..RTMPEvent::of(kind)
    };
    match notice {
        Notice::Status(status) => RTMPEvent {
            e_stream: status.stream_id as i32,
            e_name: borrowed(&status.method),
            e_code: borrowed(&status.code),
            e_level: borrowed(&status.level),
            e_description: borrowed(&status.description),
            e_body: borrowed(&status.body),
            ..RTMPEvent::of(RTMP_EVENT_STATUS)
        },
        Notice::Data { name, message: data } => message(RTMP_EVENT_DATA, name, data),
        Notice::Command { name, message: command } => message(RTMP_EVENT_COMMAND, name, command),
        Notice::Reconnect(reconnect) => RTMPEvent {
            e_url: borrowed(&reconnect.reference),
            e_description: borrowed(&reconnect.description),
            ..RTMPEvent::of(RTMP_EVENT_RECONNECT)
        },
        // The core may have notices that this library does not know.
        _ => RTMPEvent::of(0),
    }
}

/// A string that outlives the callback that receives it.
fn borrowed(bytes: &[u8]) -> AVal {
    AVal {
        av_val: bytes.as_ptr().cast_mut().cast(),
        av_len: c_int::try_from(bytes.len()).unwrap_or(c_int::MAX),
    }
}
