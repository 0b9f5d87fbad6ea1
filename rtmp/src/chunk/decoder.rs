//! Chunks in, messages out.

use std::num::NonZeroU64;

use super::{EXTENDED, Header, MESSAGE_HEADER_LEN, spare::Spare, streams::Streams};
use crate::{
    error::{Error, Result},
    message::{Body, Message, MessageType},
};

/// How many bytes of unfinished messages a decoder holds before it gives the connection up. A message is at most
/// 16 MiB, so this is room for several of the largest at once.
pub const MAX_UNFINISHED: usize = 64 << 20;

/// The first allocation for a body; longer messages grow while they arrive, so that a header alone costs little.
const FIRST_RESERVATION: usize = 64 << 10;

/// The header of a further chunk on one of the first chunk streams: its number.
pub(super) const SHORT_HEADER: usize = 1;

/// Puts messages together from chunks.
///
/// Keeps no input: [`Decoder::decode`] takes a slice and says how much of it was used. What it keeps is the last
/// header of every chunk stream, the unfinished messages, and the chunk whose payload is still arriving.
#[derive(Debug)]
pub struct Decoder<B = Vec<u8>> {
    pub(super) streams: Streams<Inbound<B>>,
    pub(super) current: Option<Current>,
    /// Capacity of all unfinished bodies.
    pub(super) unfinished: usize,
    /// How many bodies were lent, which gives each loan a number.
    pub(super) loans: u64,
    /// Where the next audio or video message goes if there is room for it.
    pub(super) offer: Option<B>,
    /// The chunk stream of the message that took the offer last.
    pub(super) placed: Option<u32>,
    /// Memory of an earlier message, for the next long one. Few connections have any.
    pub(super) spare: Option<Box<Spare<B>>>,
}

/// What [`Decoder::decode`] made of its input.
#[derive(Debug)]
pub struct Decoded<B> {
    /// Bytes of the input that were used; the rest has to be offered again, with more behind it.
    pub consumed: usize,
    /// The chunk that these bytes completed; `None` asks for more input.
    pub chunk: Option<Chunk<B>>,
}

/// A complete chunk.
#[derive(Debug)]
pub struct Chunk<B> {
    /// The chunk stream it came on.
    pub chunk_stream: u32,
    /// Header format of the message's first chunk, 0 to 3.
    pub format: u8,
    /// What the message carries.
    pub kind: MessageType,
    /// The message stream that the message belongs to.
    pub stream_id: u32,
    /// The timestamp as it was sent, the extended one if there was one: absolute if `format` is 0, else a difference.
    pub sent_timestamp: u32,
    /// Length of the whole message.
    pub length: u32,
    /// Bytes of the message that have arrived, this chunk included.
    pub received: u32,
    /// Payload bytes in this chunk, the last of those received.
    pub payload: u32,
    /// The header as it travelled.
    pub header: Header,
    /// The message, if this chunk was its last.
    pub message: Option<Message<B>>,
}

/// What is known of one chunk stream.
#[derive(Debug, Default)]
pub(super) struct Inbound<B> {
    pub(super) format: u8,
    pub(super) kind: MessageType,
    pub(super) stream_id: u32,
    pub(super) length: u32,
    /// The last 24-bit timestamp field; [`EXTENDED`] means that every header carries 32 bits more.
    pub(super) field: u32,
    /// `field`, or the 32 bits that followed it.
    pub(super) sent_timestamp: u32,
    /// Timestamp of the last complete message.
    pub(super) clock: u32,
    pub(super) body: B,
    pub(super) received: u32,
    /// The number of the loan that the body is on.
    pub(super) lent: Option<NonZeroU64>,
    /// Whether the message was aborted while its body was on loan.
    pub(super) abandoned: bool,
}

/// A chunk whose payload is still arriving.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) chunk_stream: u32,
    pub(super) payload: u32,
    pub(super) missing: usize,
    pub(super) header: Header,
}

/// Where the parts of a header are, before they are applied to their chunk stream.
struct Parsed<'i> {
    format: u8,
    chunk_stream: u32,
    /// The message header, behind the basic header.
    fields: &'i [u8],
    header: Header,
}

impl<B> Default for Decoder<B> {
    fn default() -> Self {
        Self {
            streams: Streams::default(),
            current: None,
            unfinished: 0,
            loans: 0,
            offer: None,
            placed: None,
            spare: None,
        }
    }
}

impl<B: Body> Decoder<B> {
    /// A decoder for a connection that has not received a chunk yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads up to the end of one chunk. A chunk may arrive in any number of pieces.
    pub fn decode(&mut self, input: &[u8], chunk_size: u32) -> Result<Decoded<B>> {
        let (consumed, complete) = self.advance(input, chunk_size)?;
        let Some(current) = self.current.take_if(|_| complete) else {
            return Ok(Decoded { consumed, chunk: None });
        };
        let stream = slot(&mut self.streams, current.chunk_stream);
        let mut chunk = Chunk {
            chunk_stream: current.chunk_stream,
            format: stream.format,
            kind: stream.kind,
            stream_id: stream.stream_id,
            sent_timestamp: stream.sent_timestamp,
            length: stream.length,
            received: stream.received,
            payload: current.payload,
            header: current.header,
            message: None,
        };
        if stream.received == stream.length {
            self.unfinished -= stream.body.capacity();
            chunk.message = Some(stream.finish(current.chunk_stream));
        }
        Ok(Decoded { consumed, chunk: Some(chunk) })
    }

    /// Reads up to the end of one message, and tells how many bytes that took; without a message, all that can be used.
    pub fn decode_message(&mut self, input: &[u8], chunk_size: u32) -> Result<(usize, Option<Message<B>>)> {
        self.decode_message_if(input, chunk_size, |_, _| true)
    }

    /// As `decode_message`, unless a message ends that is not `wanted`, by its kind and body: that one stays and is the
    /// next to be decoded.
    #[inline]
    pub fn decode_message_if(
        &mut self,
        input: &[u8],
        chunk_size: u32,
        wanted: impl Fn(MessageType, &B) -> bool,
    ) -> Result<(usize, Option<Message<B>>)> {
        let mut consumed = 0;
        loop {
            let (used, complete) = self.advance(&input[consumed..], chunk_size)?;
            consumed += used;
            let (true, Some(current)) = (complete, &mut self.current) else { return Ok((consumed, None)) };
            let chunk_stream = current.chunk_stream;
            let stream = slot(&mut self.streams, chunk_stream);
            let follows = 0xC0 | chunk_stream as u8;
            if stream.received < stream.length
                && chunk_stream < 64
                && stream.field != EXTENDED
                && input.get(consumed) == Some(&follows)
            {
                consumed += stream.take_chunks(&input[consumed..], chunk_size, &mut self.unfinished)?;
            }
            if stream.received == stream.length {
                if !wanted(stream.kind, &stream.body) {
                    return Ok((consumed, None));
                }
                self.current = None;
                self.unfinished -= stream.body.capacity();
                return Ok((consumed, Some(stream.finish(chunk_stream))));
            }
            self.current = None;
        }
    }

    /// Takes bytes up to the end of a chunk; tells how many, and whether it is complete.
    #[inline]
    fn advance(&mut self, input: &[u8], chunk_size: u32) -> Result<(usize, bool)> {
        let (start, current) = match &mut self.current {
            Some(current) => (0, current),
            None => {
                let Some(parsed) = self.parse_header(input) else { return Ok((0, false)) };
                let start = parsed.header.as_bytes().len();
                let current = self.start_chunk(parsed, chunk_size);
                (start, self.current.insert(current))
            }
        };
        let available = &input[start..];
        let taken = current.missing.min(available.len());
        if taken > 0 {
            let stream = slot(&mut self.streams, current.chunk_stream);
            reserve(&mut stream.body, taken, stream.length, &mut self.unfinished)?;
            stream.body.append(&available[..taken]);
            stream.received += taken as u32;
            current.missing -= taken;
        }
        Ok((start + taken, current.missing == 0))
    }

    /// Forgets the unfinished message of a chunk stream (Abort message, RTMP 1.0, section 5.4.2).
    ///
    /// While a chunk of that chunk stream is arriving this comes too late and does nothing: what was to be forgotten
    /// has gone on since.
    pub fn abort(&mut self, chunk_stream: u32) {
        if self.current.as_ref().is_some_and(|current| current.chunk_stream == chunk_stream) {
            return;
        }
        if let Some(stream) = self.streams.get_mut(chunk_stream) {
            if stream.lent.is_some() {
                stream.abandoned = true;
                return;
            }
            self.unfinished -= stream.body.capacity();
            stream.body = B::default();
            stream.received = 0;
        }
    }

    /// Timestamp of the last complete message on a chunk stream, 0 if there was none.
    pub fn clock(&self, chunk_stream: u32) -> u32 {
        self.stream(chunk_stream).map_or(0, |stream| stream.clock)
    }

    /// What has arrived of a chunk stream's unfinished message.
    pub fn unfinished_body(&self, chunk_stream: u32) -> Option<&B> {
        self.stream(chunk_stream).map(|stream| &stream.body)
    }

    #[inline]
    pub(super) fn stream(&self, chunk_stream: u32) -> Option<&Inbound<B>> {
        self.streams.get(chunk_stream)
    }

    /// Finds a complete header at the start of `input`, or asks for more.
    #[inline]
    fn parse_header<'i>(&self, input: &'i [u8]) -> Option<Parsed<'i>> {
        let (format, chunk_stream, basic_len) = basic_header(input)?;
        let mut len = basic_len + MESSAGE_HEADER_LEN[usize::from(format)];
        let extended = match format {
            3 => self.stream(chunk_stream).is_some_and(|stream| stream.field == EXTENDED),
            _ => u24(*input.get(basic_len..)?.first_chunk()?) == EXTENDED,
        };
        if extended {
            len += 4;
        }
        let header = Header::at_start_of(input, len)?;
        Some(Parsed { format, chunk_stream, fields: &input[basic_len..len], header })
    }

    /// Applies a header to its chunk stream.
    #[inline]
    fn start_chunk(&mut self, parsed: Parsed<'_>, chunk_size: u32) -> Current {
        let Parsed { format, chunk_stream, fields, header } = parsed;
        let stream = slot(&mut self.streams, chunk_stream);
        if format <= 1 && stream.received > 0 {
            // A new length in mid-message: the old message never ends. Its bytes must not meet the new length.
            self.unfinished -= stream.body.capacity();
            stream.body = B::default();
            stream.received = 0;
        }
        if stream.received == 0 {
            stream.format = format;
        }
        if format <= 2 {
            stream.field = u24([fields[0], fields[1], fields[2]]);
            stream.sent_timestamp = stream.field;
        }
        if format <= 1 {
            stream.length = u24([fields[3], fields[4], fields[5]]);
            stream.kind = MessageType(fields[6]);
        }
        if format == 0 {
            stream.stream_id = u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]]);
        }
        if let [.., a, b, c, d] = *fields
            && stream.field == EXTENDED
        {
            stream.sent_timestamp = u32::from_be_bytes([a, b, c, d]);
        }
        let begins = stream.received == 0;
        let payload = (stream.length - stream.received).min(chunk_size.max(1));
        if begins && self.offer.is_some() {
            self.accept_offer(chunk_stream);
        }
        if begins && self.spare.is_some() {
            self.use_spare(chunk_stream);
        }
        Current { chunk_stream, payload, missing: payload as usize, header }
    }
}

impl<B: Body> Inbound<B> {
    /// Takes further chunks of the message that are there as a whole and have the same header of one byte as the one that
    /// `input` begins with; tells how many bytes that were.
    fn take_chunks(&mut self, input: &[u8], chunk_size: u32, unfinished: &mut usize) -> Result<usize> {
        let chunk_size = chunk_size.max(1) as usize;
        let whole = chunk_size + SHORT_HEADER;
        let missing = (self.length - self.received) as usize;
        let longest = missing + missing.div_ceil(chunk_size) * SHORT_HEADER;
        let mut end = if input.len() >= longest { longest } else { input.len() / whole * whole };
        if let Some(index) = input[..end].iter().step_by(whole).position(|header| *header != input[0]) {
            end = index * whole;
        }
        let count = end.div_ceil(whole);
        let taken = end - count * SHORT_HEADER;
        reserve(&mut self.body, taken, self.length, unfinished)?;
        self.body.append_behind_headers(&input[..end], SHORT_HEADER, chunk_size);
        self.received += taken as u32;
        Ok(end)
    }

    /// Takes the complete message out and gets ready for the next.
    fn finish(&mut self, chunk_stream: u32) -> Message<B> {
        self.clock =
            if self.format == 0 { self.sent_timestamp } else { self.clock.wrapping_add(self.sent_timestamp) };
        self.received = 0;
        Message {
            chunk_stream,
            format: self.format,
            kind: self.kind,
            timestamp: self.clock,
            stream_id: self.stream_id,
            body: std::mem::take(&mut self.body),
        }
    }
}

/// The record of a chunk stream, made on first use.
#[inline]
pub(super) fn slot<B: Default>(streams: &mut Streams<Inbound<B>>, chunk_stream: u32) -> &mut Inbound<B> {
    streams.slot(chunk_stream)
}

/// Format, chunk stream, and how many bytes it takes to say them.
#[inline]
pub(super) fn basic_header(input: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *input.first()?;
    let (chunk_stream, len) = match first & 0x3F {
        0 => (u32::from(*input.get(1)?) + 64, 2),
        1 => (u32::from(*input.get(1)?) + u32::from(*input.get(2)?) * 256 + 64, 3),
        id => (u32::from(id), 1),
    };
    Some((first >> 6, chunk_stream, len))
}

/// Makes room for `more` bytes in the body of a message of `length` bytes, doubling towards that length.
pub(super) fn reserve<B: Body>(body: &mut B, more: usize, length: u32, unfinished: &mut usize) -> Result<()> {
    let old = body.capacity();
    let needed = body.as_ref().len() + more;
    if needed <= old {
        return Ok(());
    }
    let wanted = needed.max(old.saturating_mul(2)).max(FIRST_RESERVATION).min(length as usize);
    if *unfinished - old + wanted > MAX_UNFINISHED {
        return Err(Error::malformed("chunk stream", "more unfinished messages than this library holds"));
    }
    body.reserve_total(wanted)?;
    *unfinished = *unfinished - old + body.capacity();
    Ok(())
}

pub(super) fn u24(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}
