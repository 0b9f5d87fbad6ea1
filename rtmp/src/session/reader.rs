//! Decides what a reader of a stream gets from a message, without reacting to the message.

use super::{client::event, metadata, reply};
use crate::message::MessageType;

/// Whether a message lets a reader continue: media, the end of the stream, or a message after which the session asks for more.
/// `begun` says whether something has been read already: before that, only a message with a timestamp ends the wait. `all_data`
/// says whether the reader gets every data message (the option `data=all`).
pub fn gets_something(kind: MessageType, timestamp: u32, body: &[u8], begun: bool, all_data: bool) -> bool {
    let counts = begun || timestamp != 0;
    match kind {
        MessageType::AUDIO | MessageType::VIDEO | MessageType::AGGREGATE => counts,
        MessageType::DATA => counts && (all_data || metadata::is_handed_on(body)),
        MessageType::DATA_AMF3 => counts && all_data,
        MessageType::COMMAND => reply::ends(body),
        MessageType::COMMAND_AMF3 => reply::ends(body.get(1..).unwrap_or_default()),
        MessageType::USER_CONTROL => {
            let kind = body.first_chunk().copied().map(u16::from_be_bytes);
            matches!(kind, Some(event::BUFFER_EMPTY | event::STREAM_EOF))
        }
        _ => false,
    }
}
