//! Chunks in, messages out.
//!
//! # Timestamps
//!
//! A timestamp field of 0xFFFFFF is followed by 32 bits that hold the value, the *extended timestamp* (RTMP 1.0, section
//! 5.3.1.3). These are the rules; the sections are those of RTMP 1.0.
//!
//! 1. **The chunk that begins a message sets its time**, and no other chunk does. A header of format 0 has the absolute time. A
//!    header of format 1 or 2 has the difference from the last message that began on the chunk stream (5.3.1.2.1 to 5.3.1.2.3).
//!    Format 3 repeats the field of the last header of another format (5.3.1.2.4), also after format 0: the absolute value then
//!    counts as a difference.
//! 2. **A message that never ends still sets the time.** Neither an Abort message (5.4.2) nor a new header in the middle of a
//!    message reverts the time that its first header set.
//! 3. **A chunk of format 3 carries the extended timestamp again** if the last header of another format on its chunk stream had
//!    one (5.3.1.3). On the chunk that begins a message, this value counts. In the middle of a message it has no meaning and is
//!    skipped: librtmp, FFmpeg, GStreamer's `rtmp2sink` and nginx's RTMP module repeat the value, others write the absolute
//!    time, the difference, or 0 there.
//! 4. **Some senders leave it out**, as the edition of 2009 requires ("Type 3 chunks MUST NOT have this field"). The decoder
//!    learns the convention of a chunk stream from the first chunk of format 3 that shows it. The convention holds until the
//!    next header of format 0. In the middle of a message, four bytes with one of the values of rule 3 are an extended
//!    timestamp, and anything else belongs to the body. At the beginning of a message the extended timestamp may have any
//!    value.
//! 5. **If the body could begin with the same bytes, the next header decides.** This applies to a value below 0xFFFFFF, which
//!    needs no extended timestamp (0 above all), to any value in a chunk that does not end its message, and at the beginning of
//!    a message to a value that repeats nothing. The four bytes belong to the body if the bytes after the chunk look like a
//!    header only when these four are counted as payload. Otherwise they are an extended timestamp.
//!
//! The result does not depend on how the input is split: a decision that needs more bytes waits for them. It waits for the four
//! bytes, unless the first of them already differ from all values of rule 3, and where rule 5 applies, for at most eight bytes
//! after the chunk. Only in these cases does a message wait for the first bytes of the next.

use std::num::NonZeroU64;

use super::{EXTENDED, EXTENDED_LEN, Header, MESSAGE_HEADER_LEN, Totals, spare::Spare, streams::Streams};
use crate::{
    error::{Error, Result},
    message::{Body, Message, MessageType},
};

/// The limit of bytes of unfinished messages; a decoder fails when they exceed it. A message has at most 16 MiB, so several of
/// the largest fit.
pub const MAX_UNFINISHED: usize = 64 << 20;

/// The first allocation for a body. Longer messages grow while they arrive, so that a header alone costs little. With a smaller
/// value, glibc returns the memory of messages of 200 kB to the system each time, because growing them takes more than it
/// keeps.
const FIRST_RESERVATION: usize = 256 << 10;

/// The header of a further chunk on one of the first chunk streams: its number.
pub(super) const SHORT_HEADER: usize = 1;

/// Assembles messages from chunks.
///
/// It keeps no input: [`Decoder::decode`] takes a slice and returns how much of it was used. It keeps the last header of every
/// chunk stream, the unfinished messages, and the chunk whose payload is still arriving.
#[derive(Debug)]
pub struct Decoder<B = Vec<u8>> {
    pub(super) streams: Streams<Inbound<B>>,
    pub(super) current: Option<Current>,
    /// Capacity of all unfinished bodies.
    pub(super) unfinished: usize,
    /// The number of loans so far, which numbers each loan.
    pub(super) loans: u64,
    /// Where the next audio or video message goes if there is room for it.
    pub(super) offer: Option<B>,
    /// The chunk stream of the message that took the offer last.
    pub(super) placed: Option<u32>,
    /// Memory of an earlier message, for the next long one. Few connections have any.
    pub(super) spare: Option<Box<Spare<B>>>,
    pub(super) totals: Totals,
}

/// The result of [`Decoder::decode`].
#[derive(Debug)]
pub struct Decoded<B> {
    /// Bytes of the input that were used; offer the rest again, with more after it.
    pub consumed: usize,
    /// The chunk that is complete now. It may use none of these bytes if the decoder only had to look at them. `None` asks for
    /// more input.
    pub chunk: Option<Chunk<B>>,
}

/// A complete chunk.
#[derive(Debug)]
pub struct Chunk<B> {
    /// The chunk stream it came on.
    pub chunk_stream: u32,
    /// Header format of the message's first chunk, 0 to 3.
    pub format: u8,
    /// The kind of message.
    pub kind: MessageType,
    /// The message stream that the message belongs to.
    pub stream_id: u32,
    /// The timestamp as it was sent, or the extended one if there was one: absolute if `format` is 0, else a difference.
    pub sent_timestamp: u32,
    /// Length of the whole message.
    pub length: u32,
    /// Bytes of the message that have arrived, this chunk included.
    pub received: u32,
    /// Payload bytes in this chunk, the last bytes of those received.
    pub payload: u32,
    /// The header as it was sent.
    pub header: Header,
    /// The message, if this chunk was its last.
    pub message: Option<Message<B>>,
}

/// The state of one chunk stream.
#[derive(Debug, Default)]
pub(super) struct Inbound<B> {
    pub(super) format: u8,
    pub(super) kind: MessageType,
    pub(super) stream_id: u32,
    pub(super) length: u32,
    /// The timestamp field of the last header that had one; [`EXTENDED`] means that 32 bits followed it.
    pub(super) field: u32,
    /// `field`, or the 32 bits.
    pub(super) sent_timestamp: u32,
    /// Whether chunks of format 3 repeat these 32 bits.
    pub(super) convention: Convention,
    /// Timestamp of the last message that began, absolute.
    pub(super) time: u32,
    /// Its difference from the timestamp of the message before.
    pub(super) step: u32,
    /// Timestamp of the last complete message.
    pub(super) clock: u32,
    pub(super) body: B,
    pub(super) received: u32,
    /// The number of the loan that the body is on.
    pub(super) lent: Option<NonZeroU64>,
    /// Whether the message was aborted while its body was on loan.
    pub(super) abandoned: bool,
}

/// Whether chunks of format 3 repeat an extended timestamp (rule 4).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    #[default]
    Unknown,
    /// They carry it again.
    Repeats,
    /// They leave it out.
    Omits,
}

/// A chunk whose payload is still arriving.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) chunk_stream: u32,
    pub(super) payload: u32,
    pub(super) missing: usize,
    pub(super) header: Header,
    /// An extended timestamp, or the first bytes of the payload. It counts as a timestamp until the next header decides (rule
    /// 5).
    pub(super) doubt: Option<u32>,
}

/// The parts of a header, before they are applied to their chunk stream.
struct Parsed<'i> {
    format: u8,
    chunk_stream: u32,
    /// The message header, behind the basic header, without an extended timestamp.
    fields: &'i [u8],
    extended: Extended,
    header: Header,
}

/// Whether a chunk has an extended timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extended {
    /// The header has none.
    None,
    /// The header has this one.
    Sent(u32),
    /// The header probably has this one.
    Doubtful(u32),
    /// The header would have one if the chunk stream repeated it.
    Omitted,
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
            totals: Totals::default(),
        }
    }
}

impl<B: Body> Decoder<B> {
    /// A decoder for a connection that has not received a chunk yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The totals of decoded bytes and messages.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Reads up to the end of one chunk. A chunk may arrive in any number of pieces.
    pub fn decode(&mut self, input: &[u8], chunk_size: u32) -> Result<Decoded<B>> {
        let (consumed, complete) = self.advance(input, chunk_size)?;
        self.totals.add(consumed, 0);
        let Some(current) = self.current.take_if(|_| complete) else {
            return Ok(Decoded { consumed, chunk: None });
        };
        let stream = slot(&mut self.streams, current.chunk_stream);
        let mut chunk = Chunk {
            chunk_stream: current.chunk_stream,
            format: stream.format,
            kind: stream.kind,
            stream_id: stream.stream_id,
            sent_timestamp: if stream.format == 0 { stream.time } else { stream.step },
            length: stream.length,
            received: stream.received,
            payload: current.payload,
            header: current.header,
            message: None,
        };
        if stream.received == stream.length {
            self.unfinished -= stream.body.capacity();
            self.totals.add(0, 1);
            chunk.message = Some(stream.finish(current.chunk_stream));
        }
        Ok(Decoded { consumed, chunk: Some(chunk) })
    }

    /// Reads up to the end of one message, and returns how many bytes that took. Without a complete message, it uses all the
    /// bytes it can.
    pub fn decode_message(&mut self, input: &[u8], chunk_size: u32) -> Result<(usize, Option<Message<B>>)> {
        self.decode_message_if(input, chunk_size, |_, _| true)
    }

    /// As `decode_message`, but stops before a complete message that is not `wanted`, by its kind and body. That message is the
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
            let (true, Some(current)) = (complete, &mut self.current) else {
                self.totals.add(consumed, 0);
                return Ok((consumed, None));
            };
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
                    self.totals.add(consumed, 0);
                    return Ok((consumed, None));
                }
                self.current = None;
                self.unfinished -= stream.body.capacity();
                self.totals.add(consumed, 1);
                return Ok((consumed, Some(stream.finish(chunk_stream))));
            }
            self.current = None;
        }
    }

    /// Uses bytes up to the end of a chunk; returns how many, and whether the chunk is complete.
    #[inline]
    fn advance(&mut self, input: &[u8], chunk_size: u32) -> Result<(usize, bool)> {
        let (start, current) = match &mut self.current {
            Some(current) => (0, current),
            None => {
                let Some(parsed) = self.parse_header(input, chunk_size) else { return Ok((0, false)) };
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
        let (used, complete) = (start + taken, current.missing == 0);
        match current.doubt {
            Some(value) if complete => {
                let decided = self.decide(value, &input[used..]);
                Ok((used + decided.unwrap_or(0), decided.is_some()))
            }
            _ => Ok((used, complete)),
        }
    }

    /// Decides whether a chunk whose payload is complete began with an extended timestamp (rule 5), and returns how many
    /// more bytes it takes. `None` if the bytes after it are too few to know.
    #[cold]
    fn decide(&mut self, value: u32, behind: &[u8]) -> Option<usize> {
        let current = self.current.as_ref()?;
        let (last, behind) = behind.split_first_chunk::<EXTENDED_LEN>()?;
        let omitted = self.may_follow(current.chunk_stream, last)?;
        let repeated = !omitted || self.may_follow(current.chunk_stream, behind)?;

        let current = self.current.as_mut()?;
        let stream = slot(&mut self.streams, current.chunk_stream);
        current.doubt = None;
        if !repeated {
            stream.convention = Convention::Omits;
            return Some(0);
        }
        if !omitted {
            stream.convention = Convention::Repeats;
        }
        current.header.push(&value.to_be_bytes());
        if stream.received == current.payload {
            // As in `begin`, with the new value in place of the old one.
            stream.time = stream.time.wrapping_sub(stream.sent_timestamp).wrapping_add(value);
            stream.step = value;
            stream.sent_timestamp = value;
        }
        // The payload begins and ends four bytes later.
        let end = stream.received as usize;
        let payload = &mut stream.body.as_mut()[end - current.payload as usize..end];
        match payload.len().checked_sub(EXTENDED_LEN) {
            Some(kept) => {
                payload.copy_within(EXTENDED_LEN.., 0);
                payload[kept..].copy_from_slice(last);
            }
            None => payload.copy_from_slice(&last[EXTENDED_LEN - payload.len()..]),
        }
        Some(EXTENDED_LEN)
    }

    /// Whether `input` looks like the header after a chunk of this chunk stream; `None` if it is too short to decide.
    fn may_follow(&self, chunk_stream: u32, input: &[u8]) -> Option<bool> {
        let (format, next, basic_len) = basic_header(input)?;
        let own = next == chunk_stream;
        if own && self.stream(next).is_some_and(|stream| stream.received < stream.length) {
            return Some(format == 3);
        }
        let known = own || self.stream(next).is_some();
        if format == 3 || (format > 0 && !known) {
            return Some(known);
        }
        // A difference that needs the first of the three bytes is longer than a minute, and in this case timestamps need the
        // extended form, except those of control messages.
        Some(match input.get(basic_len)? {
            0x00 => known,
            0xFF => true,
            _ => false,
        })
    }

    /// Forgets the unfinished message of a chunk stream (Abort message, RTMP 1.0, section 5.4.2).
    ///
    /// While a chunk of that chunk stream is arriving, this does nothing: the message has continued since.
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

    /// The received bytes of a chunk stream's unfinished message.
    pub fn unfinished_body(&self, chunk_stream: u32) -> Option<&B> {
        self.stream(chunk_stream).map(|stream| &stream.body)
    }

    /// Takes a body that is no longer needed, for reuse by a long message. Keeps the largest one, and drops it when it was not
    /// needed for some time.
    pub fn reuse(&mut self, body: B) {
        Spare::keep(&mut self.spare, body);
    }

    /// Uses the spare body for the message that begins on a chunk stream, if it fits.
    fn use_spare(&mut self, chunk_stream: u32) {
        let stream = self.streams.slot(chunk_stream);
        let is_free = stream.body.capacity() == 0 && stream.lent.is_none();
        let most = if is_free { MAX_UNFINISHED.saturating_sub(self.unfinished) } else { 0 };
        match Spare::take(&mut self.spare, stream.length as usize, most) {
            Some(body) => {
                self.unfinished += body.capacity();
                stream.body = body;
            }
            None => Spare::pass(&mut self.spare),
        }
    }

    #[inline]
    pub(super) fn stream(&self, chunk_stream: u32) -> Option<&Inbound<B>> {
        self.streams.get(chunk_stream)
    }

    /// Finds a complete header at the start of `input`, or asks for more.
    #[inline]
    fn parse_header<'i>(&self, input: &'i [u8], chunk_size: u32) -> Option<Parsed<'i>> {
        let (format, chunk_stream, basic_len) = basic_header(input)?;
        let mut len = basic_len + MESSAGE_HEADER_LEN[usize::from(format)];
        let (head, behind) = input.split_at_checked(len)?;
        let fields = &head[basic_len..];
        let extended = match fields {
            [a, b, c, ..] if u24([*a, *b, *c]) == EXTENDED => {
                Extended::Sent(u32::from_be_bytes(*behind.first_chunk()?))
            }
            [] => match self.stream(chunk_stream) {
                Some(stream) if stream.field == EXTENDED => stream.extended_again(behind, chunk_size)?,
                _ => Extended::None,
            },
            _ => Extended::None,
        };
        if matches!(extended, Extended::Sent(_)) {
            len += EXTENDED_LEN;
        }
        let header = Header::at_start_of(input, len)?;
        Some(Parsed { format, chunk_stream, fields, extended, header })
    }

    /// Applies a header to its chunk stream.
    #[inline]
    fn start_chunk(&mut self, parsed: Parsed<'_>, chunk_size: u32) -> Current {
        let Parsed { format, chunk_stream, fields, extended, header } = parsed;
        let stream = slot(&mut self.streams, chunk_stream);
        if format <= 1 && stream.received > 0 {
            // A new length in mid-message: the old message never ends. Its bytes must not meet the new length.
            self.unfinished -= stream.body.capacity();
            stream.body = B::default();
            stream.received = 0;
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
            stream.convention = Convention::Unknown;
        }
        let begins = stream.received == 0;
        let mut doubt = None;
        match extended {
            Extended::None => {}
            Extended::Omitted => stream.convention = Convention::Omits,
            Extended::Doubtful(value) => doubt = Some(value),
            Extended::Sent(value) => {
                if format == 3 {
                    stream.convention = Convention::Repeats;
                }
                if format < 3 || begins {
                    stream.sent_timestamp = value;
                }
            }
        }
        if begins {
            stream.begin(format);
        }
        let payload = (stream.length - stream.received).min(chunk_size.max(1));
        if begins && self.offer.is_some() {
            self.accept_offer(chunk_stream);
        }
        if begins && self.spare.is_some() {
            self.use_spare(chunk_stream);
        }
        Current { chunk_stream, payload, missing: payload as usize, header, doubt }
    }
}

impl<B: Body> Inbound<B> {
    /// Whether a chunk of format 3 has an extended timestamp, if `input` follows its basic header; `None` if `input` is too
    /// short to decide.
    #[cold]
    fn extended_again(&self, input: &[u8], chunk_size: u32) -> Option<Extended> {
        let begins = self.received == 0;
        let values = [self.sent_timestamp, self.time, self.step, 0].map(u32::to_be_bytes);
        let start = &input[..input.len().min(EXTENDED_LEN)];
        let fits = values.iter().any(|value| value.starts_with(start));
        match self.convention {
            Convention::Omits => return Some(Extended::Omitted),
            Convention::Unknown if !begins && !fits => return Some(Extended::Omitted),
            _ => {}
        }
        let value = u32::from_be_bytes(*input.first_chunk()?);
        let ends = self.length - self.received <= chunk_size.max(1);
        Some(match self.convention {
            Convention::Repeats => Extended::Sent(value),
            _ if fits && value >= EXTENDED && ends => Extended::Sent(value),
            _ => Extended::Doubtful(value),
        })
    }

    /// Sets the time of a message that begins with a header of this format.
    #[inline]
    fn begin(&mut self, format: u8) {
        let before = self.time;
        self.format = format;
        self.time = if format == 0 { self.sent_timestamp } else { before.wrapping_add(self.sent_timestamp) };
        self.step = self.time.wrapping_sub(before);
    }

    /// Takes complete further chunks of the message that have the same one-byte header as the first bytes of `input`; returns
    /// how many bytes that were.
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
        self.clock = self.time;
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

/// Format, chunk stream, and the length of the basic header.
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
