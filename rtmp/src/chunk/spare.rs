//! Memory of a message that was used up, for the next one that is as long: memory that is new is cleared by the system first,
//! page by page, which costs more than to receive into it.

use super::{Decoder, MAX_UNFINISHED, decoder::slot};
use crate::message::Body;

/// Messages longer than this are long: allocators get that much from the system each time, and give it back.
const LONG: usize = 128 << 10;

/// How many messages may begin without a use for a spare body before it goes.
const KEPT_FOR: u32 = 1000;

/// How many times as long as a message a spare body may be to be used for it.
const MOST_ROOM: usize = 8;

/// A body that waits for a message.
#[derive(Debug)]
pub(super) struct Spare<B> {
    body: B,
    /// How many messages have begun since that had no use for it.
    passed: u32,
}

impl<B: Body> Decoder<B> {
    /// Takes a body that nobody needs any more, to be used for a long message. Keeps the largest of those, and that as long
    /// as it is needed now and then.
    pub fn reuse(&mut self, mut body: B) {
        body.clear();
        let kept = self.spare.as_ref().map_or(LONG, |spare| spare.body.capacity());
        if body.capacity() > kept {
            self.spare = Some(Box::new(Spare { body, passed: 0 }));
        }
    }

    /// Uses the spare body for the message that begins on a chunk stream, if that is a long one.
    pub(super) fn use_spare(&mut self, chunk_stream: u32) {
        let stream = slot(&mut self.streams, chunk_stream);
        let length = stream.length as usize;
        let unused = stream.body.capacity() == 0 && stream.lent.is_none();
        let unfinished = self.unfinished;
        let fits = |spare: &mut Box<Spare<B>>| {
            let room = spare.body.capacity();
            unused
                && (LONG + 1..=room).contains(&length)
                && room <= length * MOST_ROOM
                && room <= MAX_UNFINISHED - unfinished.min(MAX_UNFINISHED)
        };
        match self.spare.take_if(fits) {
            Some(spare) => {
                self.unfinished += spare.body.capacity();
                stream.body = spare.body;
            }
            None => self.pass_spare(),
        }
    }

    /// Says that a message has no use for the spare body.
    pub(super) fn pass_spare(&mut self) {
        if let Some(spare) = &mut self.spare {
            spare.passed += 1;
        }
        self.spare.take_if(|spare| spare.passed > KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chunk::{Encoder, Outgoing},
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
    fn memory_that_nobody_needs_goes() {
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
