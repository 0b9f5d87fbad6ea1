//! Looks ahead: whether the input contains complete media, and whether it contains anything for a reader.

use std::cell::Cell;

use super::{State, chunk_size, gets_something, pausing};
use crate::{
    chunk::{self, Decoder, Ready},
    error::Result,
    message::{Body, Message, MessageType},
};

/// Takes the next message if it is audio or video, is complete, and needs no reaction. `accept` copies it, or returns `None` to
/// leave it. Also returns how much of `input` was used.
///
/// An acknowledgement may be due afterwards.
#[inline(always)]
pub fn ready_media<B: Body, T>(
    state: &mut State,
    decoder: &mut Decoder<B>,
    input: &[u8],
    accept: impl FnOnce(&Ready<'_>) -> Option<T>,
) -> Option<(usize, T)> {
    if state.pausing != pausing::NO {
        return None;
    }
    let ready = decoder.ready(input, chunk_size(state.in_chunk_size))?;
    if ready.is_empty() || !matches!(ready.kind, MessageType::AUDIO | MessageType::VIDEO) {
        return None;
    }
    let accepted = accept(&ready)?;
    decoder.take_ready(&ready);
    state.bytes_in = state.bytes_in.wrapping_add(ready.consumed as u32);
    state.media_arrived(ready.chunk_stream, ready.timestamp);
    state.playing = true;
    Some((ready.consumed, accepted))
}

/// The result of looking at the input.
pub enum Arriving<B> {
    /// A message for the application.
    Media(Message<B>),
    /// More bytes are needed.
    Unfinished,
    /// The session has to react to the next message.
    Other,
}

/// As [`ready_media`], for messages that may be incomplete: the available bytes are used, and the returned number counts them.
/// `wanted` accepts the body of a message, or leaves the message to the session.
#[inline(always)]
pub fn arriving_media<B: Body>(
    state: &mut State,
    decoder: &mut Decoder<B>,
    input: &[u8],
    wanted: impl Fn(MessageType, &B) -> bool,
) -> Result<(usize, Arriving<B>)> {
    if state.pausing != pausing::NO {
        return Ok((0, Arriving::Other));
    }
    let refused = Cell::new(false);
    let chunk_size = chunk_size(state.in_chunk_size);
    let (consumed, message) = decoder.decode_message_if(input, chunk_size, |kind, body| {
        let media = matches!(kind, MessageType::AUDIO | MessageType::VIDEO) && !body.as_ref().is_empty();
        let wanted = media && wanted(kind, body);
        refused.set(!wanted);
        wanted
    })?;
    state.bytes_in = state.bytes_in.wrapping_add(consumed as u32);
    let arriving = match message {
        Some(message) => {
            state.media_arrived(message.chunk_stream, message.timestamp);
            state.playing = true;
            Arriving::Media(message)
        }
        None if refused.get() => Arriving::Other,
        None => Arriving::Unfinished,
    };
    Ok((consumed, arriving))
}

/// Whether `input` has something for a reader, so that a call that waits for it returns. In doubt the answer is yes. `begun`
/// says whether something was read before, `all_data` whether the reader gets every data message.
pub fn is_worth_reading<B: Body>(
    state: &State,
    decoder: &Decoder<B>,
    begun: bool,
    all_data: bool,
    input: &[u8],
) -> bool {
    let Some(mut decoder) = decoder.scout() else { return true };
    let (mut input, mut size) = (input, state.in_chunk_size);
    loop {
        let Ok((consumed, message)) = decoder.decode_message(input, chunk_size(size)) else {
            return true;
        };
        let Some(message) = message else { return false };
        match (message.kind, message.body.first_chunk()) {
            (MessageType::ABORT, _) => return true,
            (MessageType::SET_CHUNK_SIZE, Some(bytes)) => {
                size = chunk::valid_chunk_size(u32::from_be_bytes(*bytes)).map_or(size, |size| size as i32);
            }
            (kind, _) if gets_something(kind, message.timestamp, &message.body, begun, all_data) => {
                return true;
            }
            _ => {}
        }
        input = &input[consumed..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of one chunk.
    fn message(kind: MessageType, body: &[u8]) -> Vec<u8> {
        [&[5, 0, 0, 1, 0, 0, body.len() as u8, kind.0, 1, 0, 0, 0], body].concat()
    }

    #[test]
    fn data_messages_are_worth_reading_for_those_who_get_all_of_them() {
        let state = State { in_chunk_size: 128, ..State::default() };
        let decoder = Decoder::<Vec<u8>>::default();
        let is_worth = |all_data, input: &[u8]| is_worth_reading(&state, &decoder, true, all_data, input);
        let cue_point = message(MessageType::DATA, b"\x02\0\x0aonCuePoint\x05");
        let caption = message(MessageType::DATA_AMF3, b"\0\x02\0\x09onCaption\x05");
        for data in [&cue_point, &caption] {
            assert_eq!((is_worth(false, data), is_worth(true, data)), (false, true));
            assert!(!is_worth(true, &data[..data.len() - 1]), "it is not complete");
        }
        let metadata = message(MessageType::DATA, b"\x02\0\x0aonMetaData\x05");
        assert!(is_worth(false, &metadata) && is_worth(true, &[cue_point, metadata].concat()));
    }
}
