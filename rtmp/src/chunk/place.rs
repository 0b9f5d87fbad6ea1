//! Shared memory for the body of the next message, so that it is received directly into its destination.

use super::{Decoder, MAX_UNFINISHED, decoder::slot};
use crate::{
    error::Result,
    message::{Body, MessageType},
};

impl<B: Body> Decoder<B> {
    /// Offers an empty body for the next audio or video message that begins and fits into it.
    pub fn offer(&mut self, body: B) {
        self.offer = Some(body);
    }

    /// Withdraws the offer. An incomplete message in that body moves to another body.
    pub fn withdraw(&mut self) -> Result<()> {
        self.offer = None;
        let Some(chunk_stream) = self.placed.take() else { return Ok(()) };
        let body = &mut slot(&mut self.streams, chunk_stream).body;
        self.unfinished -= body.capacity();
        let result = body.keep();
        self.unfinished += body.capacity();
        result
    }

    /// Uses the offer for the message that begins on a chunk stream, if the offer is for such a message.
    pub(super) fn accept_offer(&mut self, chunk_stream: u32) {
        let stream = slot(&mut self.streams, chunk_stream);
        let media = matches!(stream.kind, MessageType::AUDIO | MessageType::VIDEO);
        let unused = stream.body.capacity() == 0 && stream.lent.is_none();
        let fits = |offer: &mut B| {
            stream.length as usize <= offer.capacity()
                && offer.capacity() <= MAX_UNFINISHED - self.unfinished.min(MAX_UNFINISHED)
        };
        let wanted = media && unused && stream.length > 0;
        if let Some(offer) = wanted.then(|| self.offer.take_if(fits)).flatten() {
            self.unfinished += offer.capacity();
            stream.body = offer;
            self.placed = Some(chunk_stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{Encoder, Outgoing};

    fn wire(
        encoder: &mut Encoder,
        chunk_stream: u32,
        kind: MessageType,
        timestamp: u32,
        body: &[u8],
    ) -> Vec<u8> {
        let message = Outgoing { chunk_stream, format: 1, kind, timestamp, stream_id: 1, body };
        encoder.encode(&message, 128).unwrap().pieces().flatten().copied().collect()
    }

    #[test]
    fn media_that_fits_takes_the_offer_and_everything_else_does_not() {
        let mut encoder = Encoder::new();
        for (kind, length, takes) in [
            (MessageType::VIDEO, 300, true),
            (MessageType::AUDIO, 200, true),
            (MessageType::VIDEO, 301, false),
            (MessageType::DATA, 20, false),
        ] {
            let body = vec![7; length];
            let input = wire(&mut encoder, 4, kind, 40, &body);
            let mut decoder = Decoder::<Vec<u8>>::new();
            let offer = Vec::with_capacity(300);
            let place = offer.as_ptr();
            decoder.offer(offer);
            // The encoder may omit header fields that a new decoder does not know, so the message gets a full header.
            let input =
                if input[0] >> 6 == 0 { input } else { wire(&mut Encoder::new(), 4, kind, 40, &body) };
            let (_, message) = decoder.decode_message(&input, 128).unwrap();
            let message = message.unwrap();
            assert_eq!(
                (message.body == body, message.body.as_ptr() == place),
                (true, takes),
                "{kind:?} {length}"
            );
            decoder.withdraw().unwrap();
            assert_eq!(decoder.unfinished, 0);
        }
    }

    /// A body that records whether it was moved.
    #[derive(Default)]
    struct Marked(Vec<u8>, bool);

    impl AsRef<[u8]> for Marked {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl AsMut<[u8]> for Marked {
        fn as_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }

    impl Body for Marked {
        fn reserve_total(&mut self, capacity: usize) -> Result<()> {
            self.0.reserve_total(capacity)
        }

        fn capacity(&self) -> usize {
            self.0.capacity()
        }

        fn append(&mut self, bytes: &[u8]) {
            Body::append(&mut self.0, bytes);
        }

        fn keep(&mut self) -> Result<()> {
            self.1 = true;
            self.0.shrink_to_fit();
            Ok(())
        }
    }

    #[test]
    fn partial_message_is_moved_and_continues() {
        let body: Vec<u8> = (0..300).map(|at| at as u8).collect();
        let input = wire(&mut Encoder::new(), 4, MessageType::VIDEO, 0, &body);
        for cut in 0..input.len() {
            let mut decoder = Decoder::<Marked>::new();
            decoder.offer(Marked(Vec::with_capacity(4096), false));
            let (used, message) = decoder.decode_message(&input[..cut], 128).unwrap();
            assert!(message.is_none());
            decoder.withdraw().unwrap();
            assert!(decoder.unfinished <= 300, "an offer's room is not counted for ever");
            let (_, message) = decoder.decode_message(&input[used..], 128).unwrap();
            let message = message.unwrap();
            assert_eq!((message.body.0, message.body.1), (body.clone(), used >= 12), "cut at {cut}");
            assert_eq!(decoder.unfinished, 0);
        }
    }
}
