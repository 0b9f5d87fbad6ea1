//! Looks ahead at bytes without using them.

use super::{Decoder, decoder::Inbound, streams::Streams};

/// With more chunk streams than this, a copy costs too much. Servers use a handful.
const MOST_STREAMS: usize = 64;

impl<B> Decoder<B> {
    /// A decoder that continues at the position of this one, to look ahead without using the input. `None` in the middle of a
    /// message, because the copy would lack its beginning, and after headers on very many chunk streams.
    pub fn scout(&self) -> Option<Decoder> {
        let unfinished = self.streams.records().any(|stream| stream.received > 0);
        if self.current.is_some() || unfinished || self.streams.records().nth(MOST_STREAMS).is_some() {
            return None;
        }
        let copy = |stream: &Inbound<B>| Inbound {
            format: stream.format,
            kind: stream.kind,
            stream_id: stream.stream_id,
            length: stream.length,
            field: stream.field,
            sent_timestamp: stream.sent_timestamp,
            convention: stream.convention,
            time: stream.time,
            step: stream.step,
            clock: stream.clock,
            ..Inbound::default()
        };
        let mut streams = Streams::default();
        for (id, stream) in self.streams.iter() {
            *streams.slot(id) = copy(stream);
        }
        Some(Decoder { streams, ..Decoder::default() })
    }
}
