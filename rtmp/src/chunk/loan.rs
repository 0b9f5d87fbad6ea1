//! The body of an unfinished message on loan, so that its bytes can come straight from the socket.
//!
//! A reader takes the body out of the decoder, waits for bytes without holding other threads up, and gives it back. What
//! is likely to follow is known: the rest of the chunk, and as long as the message lasts, the same short header and the
//! next chunk. Bytes that turn out to be something else are not used.

use std::num::NonZeroU64;

use super::{
    Decoder, EXTENDED, Header,
    decoder::{Convention, Current, reserve},
};
use crate::message::Body;

/// A body that was taken out of its decoder. Goes back with [`Decoder::give_back`].
#[derive(Debug)]
pub struct Loan<B> {
    /// What has arrived of the message, with room for more.
    pub body: B,
    /// Bytes that are missing to the end of the current chunk.
    pub missing: usize,
    /// The header that every further chunk of the message has, unless something comes in between.
    pub header: Header,
    /// Whether that is known: it is not before a chunk stream has shown what it does with extended timestamps.
    foretold: bool,
    /// Payload of each further chunk but the last.
    pub chunk_size: usize,
    /// Length of the whole message.
    pub length: usize,
    chunk_stream: u32,
    number: NonZeroU64,
}

impl<B: Body> Decoder<B> {
    /// Lends the body of the message whose chunk is arriving; `None` if less than `worthwhile` bytes are missing to the end of
    /// the chunk.
    pub fn lend(&mut self, chunk_size: u32, worthwhile: usize) -> Option<Loan<B>> {
        let current = self.current.as_ref().filter(|current| current.missing >= worthwhile.max(1))?;
        if current.doubt.is_some() {
            return None;
        }
        let (chunk_stream, missing) = (current.chunk_stream, current.missing);
        let stream = self.streams.get_mut(chunk_stream)?;
        reserve(&mut stream.body, 1, stream.length, &mut self.unfinished).ok()?;
        let mut header = Header::default();
        header.push_basic(3, chunk_stream);
        let mut foretold = true;
        if stream.field == EXTENDED {
            match stream.convention {
                Convention::Unknown => foretold = false,
                Convention::Repeats => header.push(&stream.sent_timestamp.to_be_bytes()),
                Convention::Omits => {}
            }
        }
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

    /// Takes a body back that has grown within its capacity, by the rest of the current chunk and of the `chunks`
    /// after it, whose headers were as foretold. Without effect if the decoder has started anew meanwhile.
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
    /// The payloads that are likely to follow the current chunk, as far as they end the message.
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
