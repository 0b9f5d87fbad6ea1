//! Lends out the body of an unfinished message, so that its bytes can be received directly into it.
//!
//! A reader takes the body out of the decoder, waits for bytes without blocking other threads, and returns it. The decoder
//! predicts what follows: the rest of the chunk, and until the message ends, the same short header and the next chunk. Bytes
//! that turn out to be something else are not used.

use std::num::NonZeroU64;

use super::{
    Decoder, EXTENDED, Header,
    decoder::{Convention, Current, reserve},
};
use crate::message::Body;

/// A body that was taken out of its decoder. [`Decoder::give_back`] returns it.
#[derive(Debug)]
pub struct Loan<B> {
    /// The received bytes of the message, with room for more.
    pub body: B,
    /// Bytes that are missing from the current chunk.
    pub missing: usize,
    /// The header of every further chunk of the message, unless another message comes in between.
    pub header: Header,
    /// Whether that header is known. It is unknown until the chunk stream has shown whether it repeats extended timestamps.
    foretold: bool,
    /// Payload of each further chunk except the last.
    pub chunk_size: usize,
    /// Length of the whole message.
    pub length: usize,
    chunk_stream: u32,
    number: NonZeroU64,
}

impl<B: Body> Decoder<B> {
    /// Lends the body of the message whose chunk is arriving; `None` if less than `worthwhile` bytes are missing from the
    /// chunk.
    pub fn lend(&mut self, chunk_size: u32, worthwhile: usize) -> Option<Loan<B>> {
        let current = self.current.as_ref().filter(|current| current.missing >= worthwhile.max(1))?;
        if current.doubt.is_some() {
            return None;
        }
        let (chunk_stream, missing) = (current.chunk_stream, current.missing);
        let stream = self.streams.get_mut(chunk_stream)?;
        reserve(&mut stream.body, 1, stream.length, &mut self.unfinished).ok()?;
        let is_extended = stream.field == EXTENDED;
        let repeats = is_extended && matches!(stream.convention, Convention::Repeats);
        let header = Header::next(chunk_stream, repeats.then_some(stream.sent_timestamp));
        let foretold = !is_extended || !matches!(stream.convention, Convention::Unknown);
        let number = NonZeroU64::MIN.saturating_add(self.loans);
        self.loans += 1;
        stream.lent = Some(number);
        let body = std::mem::take(&mut stream.body);
        Some(Loan {
            missing,
            header,
            foretold,
            chunk_size: chunk_size.max(1) as usize,
            length: stream.length as usize,
            chunk_stream,
            number,
            body,
        })
    }

    /// Returns a body that has grown within its capacity, by the rest of the current chunk and by the `chunks` after it, whose
    /// headers were as predicted. It has no effect if the decoder has been reset meanwhile.
    pub fn give_back(&mut self, loan: Loan<B>, chunks: usize) {
        let Some(stream) = self.streams.get_mut(loan.chunk_stream) else { return };
        if stream.lent != Some(loan.number) {
            return;
        }
        stream.lent = None;
        let Some(current) = self.current.as_mut() else { return };
        let received = loan.body.as_ref().len();
        let arrived = received.saturating_sub(stream.received as usize);
        let mut end = loan.missing.saturating_add(stream.received as usize);
        stream.received = received as u32;
        stream.body = loan.body;
        self.totals.add(arrived + chunks * loan.header.as_bytes().len(), 0);
        current.missing = loan.missing.saturating_sub(arrived);
        for _ in 0..chunks {
            let payload = loan.chunk_size.min(loan.length.saturating_sub(end));
            end += payload;
            *current = Current {
                chunk_stream: loan.chunk_stream,
                payload: payload as u32,
                missing: end.saturating_sub(received),
                header: loan.header,
                doubt: None,
            };
        }
        if std::mem::take(&mut stream.abandoned) {
            self.abort(loan.chunk_stream);
        }
    }
}

impl<B: Body> Loan<B> {
    /// The payloads that are likely to follow the current chunk, up to the end of the message.
    pub fn following(&self) -> impl Iterator<Item = usize> + use<B> {
        let (chunk_size, length, foretold) = (self.chunk_size, self.length, self.foretold);
        let mut position = self.body.as_ref().len() + self.missing;
        std::iter::from_fn(move || {
            let rest = length.checked_sub(position).filter(|rest| foretold && *rest > 0)?;
            let payload = chunk_size.min(rest);
            position += payload;
            Some(payload)
        })
    }
}
