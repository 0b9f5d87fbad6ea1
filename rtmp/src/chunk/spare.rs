//! Reuses the memory of a finished message for the next one of that length. The system clears new memory page by page, which
//! costs more than receiving into it.

use crate::message::Body;

/// Messages longer than this are long: allocators request so much memory from the system each time, and return it.
const LONG: usize = 128 << 10;

/// The number of messages that may begin without using the spare body before it is freed.
const KEPT_FOR: u32 = 1000;

/// A spare body is used only if it is at most this many times as long as the message.
const MOST_ROOM: usize = 8;

/// A body that is kept for a later message.
#[derive(Debug)]
pub(super) struct Spare<B> {
    body: B,
    /// The number of messages that have begun since without using it.
    passed: u32,
}

impl<B: Body> Spare<B> {
    /// Keeps a body that is no longer needed in place of a smaller one, if it is large enough.
    pub(super) fn keep(spare: &mut Option<Box<Self>>, mut body: B) {
        body.clear();
        let kept = spare.as_ref().map_or(LONG, |spare| spare.body.capacity());
        if body.capacity() > kept {
            *spare = Some(Box::new(Self { body, passed: 0 }));
        }
    }

    /// Takes the spare body for a message of `length` bytes that begins, if the message is long and the body has at most `most`
    /// bytes of memory.
    pub(super) fn take(spare: &mut Option<Box<Self>>, length: usize, most: usize) -> Option<B> {
        let fits = |spare: &mut Box<Self>| {
            let room = spare.body.capacity();
            (LONG + 1..=room).contains(&length) && room <= length * MOST_ROOM && room <= most
        };
        spare.take_if(fits).map(|spare| spare.body)
    }

    /// Counts a message that did not use the spare body.
    pub(super) fn pass(spare: &mut Option<Box<Self>>) {
        if let Some(spare) = spare {
            spare.passed += 1;
        }
        spare.take_if(|spare| spare.passed > KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chunk::{Decoder, Encoder, Outgoing},
        message::{Message, MessageType},
    };

    fn send(decoder: &mut Decoder<Vec<u8>>, length: usize) -> Message {
        let body = vec![7; length];
        let message = Outgoing {
            chunk_stream: 4,
            format: 0,
            kind: MessageType::VIDEO,
            timestamp: 0,
            stream_id: 1,
            body: &body,
        };
        let wire: Vec<u8> =
            Encoder::new().encode(&message, 4096).unwrap().pieces().flatten().copied().collect();
        let (used, message) = decoder.decode_message(&wire, 4096).unwrap();
        assert_eq!((used, decoder.unfinished), (wire.len(), 0));
        let message = message.unwrap();
        assert!(message.body == body);
        message
    }

    #[test]
    fn long_messages_use_the_same_memory_again_and_others_do_not() {
        let mut decoder = Decoder::new();
        let first = send(&mut decoder, 1 << 20).body;
        let place = first.as_ptr();
        decoder.reuse(first);
        for (length, reused) in [(1 << 20, true), (1 << 18, true), (1 << 21, false), (1 << 17, false)] {
            let body = send(&mut decoder, length).body;
            assert_eq!(body.as_ptr() == place, reused, "{length}");
            if reused {
                decoder.reuse(body);
            }
        }
        let smaller = Vec::with_capacity(1 << 19);
        decoder.reuse(smaller);
        assert_eq!(send(&mut decoder, 1 << 20).body.as_ptr(), place, "the larger one was kept");
    }

    #[test]
    fn unneeded_memory_is_freed() {
        let mut decoder = Decoder::new();
        let body = send(&mut decoder, 1 << 20).body;
        decoder.reuse(body);
        for _ in 0..KEPT_FOR {
            send(&mut decoder, 100);
        }
        assert!(decoder.spare.is_some());
        send(&mut decoder, 100);
        assert!(decoder.spare.is_none());
    }
}
