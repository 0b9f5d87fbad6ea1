//! The messages that are published and played.

use std::fmt;

use rtmp::{
    amf::Encoder,
    chunk::Outgoing,
    message::{Message, MessageType},
};

use super::dice::Dice;

/// A message of a stream.
pub struct Item {
    pub chunk_stream: u32,
    pub format: u8,
    pub kind: MessageType,
    pub timestamp: u32,
    pub body: Vec<u8>,
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chunk_stream, format, kind, timestamp, body } = self;
        write!(f, "{}:{format}:{chunk_stream}@{timestamp:x}+{}", kind.0, body.len())
    }
}

impl Item {
    pub fn outgoing(&self, stream_id: u32) -> Outgoing<'_> {
        Outgoing {
            chunk_stream: self.chunk_stream,
            format: self.format,
            kind: self.kind,
            timestamp: self.timestamp,
            stream_id,
            body: &self.body,
        }
    }

    /// Whether this is what arrived.
    pub fn is(&self, message: &Message, stream_id: u32) -> bool {
        self.chunk_stream == message.chunk_stream
            && self.kind == message.kind
            && self.timestamp == message.timestamp
            && stream_id == message.stream_id
            && self.body == message.body
    }

    /// Whether the other end hands it to its application: a client knows one kind of data message, and nobody gets an
    /// empty message.
    pub fn is_delivered(&self, to_client: bool) -> bool {
        let is_foreign = to_client && self.kind == MessageType::DATA && !self.body.starts_with(METADATA);
        !is_foreign && !self.body.is_empty()
    }
}

/// How a metadata message begins.
const METADATA: &[u8] = b"\x02\x00\x0aonMetaData";

/// Chunk streams that messages of the connection use too.
const SHARED: [u32; 2] = [3, 5];

/// Chunk streams whose numbers take one, two and three bytes.
const CHUNK_STREAMS: [u32; 12] = [3, 4, 5, 6, 8, 31, 32, 63, 64, 319, 320, 65_599];

/// Lengths around those of chunks.
const LENGTHS: [usize; 12] = [1, 2, 127, 128, 129, 255, 256, 257, 384, 1000, 4096, 4097];

/// Timestamps at which something changes on the wire.
const TIMES: [u32; 7] = [0, 1, 0xFF_FFFE, 0xFF_FFFF, 0x100_0000, 0x7FFF_FFFF, 0xFFFF_FF00];

/// How timestamps continue.
#[derive(Clone, Copy)]
enum Steps {
    Usual,
    Equal,
    Large,
    Any,
}

/// The messages of a stream, with none longer than `longest`. With `ascending` they are audio and video, each later than
/// the one before.
pub fn items(dice: &mut Dice, count: usize, ascending: bool, longest: usize) -> Vec<Item> {
    let mut timestamp = if ascending { 1 + dice.below(0x100_0000) as u32 } else { dice.pick(&TIMES) };
    let steps = dice.pick(&[Steps::Usual, Steps::Usual, Steps::Equal, Steps::Large, Steps::Any]);
    let streams = [dice.pick(&CHUNK_STREAMS), dice.pick(&CHUNK_STREAMS), dice.pick(&CHUNK_STREAMS)];
    let mut step = 40;
    let item = |_| {
        if dice.once_in(4) {
            step = 1 + dice.below(100) as u32;
        }
        timestamp = match steps {
            _ if ascending => timestamp + step,
            Steps::Usual => timestamp.wrapping_add(step),
            Steps::Equal if dice.once_in(2) => timestamp,
            Steps::Equal => timestamp.wrapping_add(0xFF_FFFF),
            Steps::Large => timestamp.wrapping_add(step << 20),
            Steps::Any if dice.once_in(3) => timestamp.wrapping_sub(step),
            Steps::Any => dice.pick(&TIMES).wrapping_add(dice.below(3) as u32),
        };
        let len = length(dice, longest);
        // What comes again after a pause is recognised by the timestamps of audio and video.
        let (kind, body) = match dice.below(12).max(if ascending { 3 } else { 0 }) {
            0 => (MessageType::DATA, metadata(dice, len)),
            1 => (MessageType::DATA, data(dice, len)),
            2 => (MessageType::AGGREGATE, aggregate(dice, timestamp, len)),
            3..=6 => (MessageType::AUDIO, noise(dice, len)),
            _ => (MessageType::VIDEO, noise(dice, len)),
        };
        let chunk_stream = dice.pick(&streams);
        // Where messages of the connection come in between, only a full header says which message stream is meant.
        let format = if SHARED.contains(&chunk_stream) { 0 } else { dice.below(4) as u8 };
        Item { chunk_stream, format, kind, timestamp, body }
    };
    (0..count).map(item).collect()
}

fn length(dice: &mut Dice, longest: usize) -> usize {
    let len = match dice.below(64) {
        0 => 0,
        1..=20 => dice.pick(&LENGTHS),
        21 => dice.up_to(40_000),
        22 if dice.once_in(20) => dice.up_to(300_000),
        _ => dice.up_to(100),
    };
    len.min(longest)
}

/// Any bytes; sometimes such that look like headers of chunks, or all alike.
fn noise(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    match dice.below(4) {
        0 => body.fill(dice.pick(&[0, 0xFF, 0xC3, 0xC4, 0xC6])),
        _ => dice.fill(&mut body),
    }
    body
}

fn metadata(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut body = Encoder::new();
    body.string(b"onMetaData").begin_ecma_array(3);
    body.named_number(b"duration", dice.below(1000) as f64).named_boolean(b"stereo", true);
    body.named_string(b"encoder", &noise(dice, len)).end_object();
    body.finish()
}

fn data(dice: &mut Dice, len: usize) -> Vec<u8> {
    let mut body = Encoder::new();
    body.string(b"onTextData").string(&noise(dice, len));
    body.finish()
}

/// FLV tags, or what only looks like them.
fn aggregate(dice: &mut Dice, timestamp: u32, len: usize) -> Vec<u8> {
    if dice.once_in(4) {
        return noise(dice, len);
    }
    let mut body = Vec::new();
    for _ in 0..dice.up_to(3) {
        let tag = noise(dice, len / 3);
        let [_, l0, l1, l2] = (tag.len() as u32).to_be_bytes();
        let [t3, t0, t1, t2] = timestamp.to_be_bytes();
        body.extend([dice.pick(&[8, 9, 18]), l0, l1, l2, t0, t1, t2, t3, 0, 0, 0]);
        body.extend(&tag);
        body.extend((tag.len() as u32 + 11).to_be_bytes());
    }
    body
}
