//! Messages and chunks, written from the RTMP 1.0 specification. They share no code with the crate, because they check it.

use std::collections::HashMap;

use super::{amf, hex};

/// A whole message as a receiver that follows RTMP 1.0 sees it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Message {
    /// The first chunk's header as it was on the wire.
    pub header: Vec<u8>,
    pub chunk_stream: u32,
    pub timestamp: u32,
    pub kind: u8,
    pub message_stream: u32,
    pub body: Vec<u8>,
}

impl Message {
    pub fn new(chunk_stream: u32, timestamp: u32, kind: u8, message_stream: u32, body: &[u8]) -> Self {
        Self { header: Vec::new(), chunk_stream, timestamp, kind, message_stream, body: body.to_vec() }
    }

    /// A command.
    pub fn invoke(chunk_stream: u32, message_stream: u32, values: &[amf::Value]) -> Self {
        Self::new(chunk_stream, 0, 0x14, message_stream, &amf::encode(values))
    }

    /// The name of the command, if this is one.
    pub fn command(&self) -> Option<String> {
        if self.kind != 0x14 {
            return None;
        }
        amf::decode(&self.body)?.first()?.text().map(str::to_owned)
    }

    /// The header format (0 to 3) of the first chunk.
    pub fn format(&self) -> u8 {
        self.header.first().map_or(0, |byte| byte >> 6)
    }

    /// One line with the chunk stream and the content. Other tests check header formats and timestamps.
    pub fn describe(&self) -> String {
        let content = match self.kind {
            0x12 | 0x14 => amf::describe(&self.body),
            _ => hex::encode(&self.body),
        };
        format!(
            "chunk stream {} type {} stream {}: {content}",
            self.chunk_stream, self.kind, self.message_stream
        )
    }

    /// The message in chunks of `size` bytes, with a full header.
    pub fn chunks(&self, size: usize) -> Vec<u8> {
        let mut out = basic_header(0, self.chunk_stream);
        let short = self.timestamp.min(0xff_ffff);
        out.extend(&short.to_be_bytes()[1..]);
        out.extend(&(self.body.len() as u32).to_be_bytes()[1..]);
        out.push(self.kind);
        out.extend(self.message_stream.to_le_bytes());
        let extended = if short == 0xff_ffff { self.timestamp.to_be_bytes().to_vec() } else { Vec::new() };
        out.extend(&extended);
        for (i, part) in self.body.chunks(size).enumerate() {
            if i > 0 {
                out.extend(basic_header(3, self.chunk_stream));
                out.extend(&extended);
            }
            out.extend(part);
        }
        out
    }
}

/// The one to three bytes every chunk starts with.
pub fn basic_header(format: u8, chunk_stream: u32) -> Vec<u8> {
    let format = format << 6;
    match chunk_stream {
        0..=63 => vec![format | chunk_stream as u8],
        64..=319 => vec![format, (chunk_stream - 64) as u8],
        _ => {
            let id = (chunk_stream - 64) as u16;
            vec![format | 1, id as u8, (id >> 8) as u8]
        }
    }
}

/// Takes chunks apart. Bytes may come in any portions.
#[derive(Default)]
pub struct Reader {
    /// Bytes of a message per chunk; set by the peer's chunk size message, or by a test that knows better.
    pub chunk_size: usize,
    /// The sender's violations of the protocol; reading continues as far as possible.
    pub violations: Vec<String>,
    pending: Vec<u8>,
    streams: HashMap<u32, Stream>,
}

#[derive(Default)]
struct Stream {
    /// The timestamp field of the last header that had one: an absolute time or a difference.
    field: u32,
    extended: bool,
    length: usize,
    message: Message,
    /// False between messages.
    inside: bool,
}

impl Reader {
    pub fn new() -> Self {
        Self { chunk_size: 128, ..Self::default() }
    }

    /// Adds bytes and returns the messages that became complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.pending.extend(bytes);
        let mut messages = Vec::new();
        while let Some((used, message)) = self.chunk() {
            self.pending.drain(..used);
            if let Some(message) = message {
                if let (1, Ok(size)) = (message.kind, message.body.as_slice().try_into()) {
                    self.chunk_size = u32::from_be_bytes(size) as usize;
                }
                messages.push(message);
            }
        }
        messages
    }

    /// Bytes that do not make a whole chunk yet.
    pub fn rest(&self) -> &[u8] {
        &self.pending
    }

    /// Takes one chunk: how many bytes it has, and the message it completes. `None`: more bytes are needed.
    fn chunk(&mut self) -> Option<(usize, Option<Message>)> {
        let input = &self.pending;
        let first = *input.first()?;
        let format = first >> 6;
        let (id, mut at) = match first & 0x3f {
            0 if input.len() >= 2 => (u32::from(input[1]) + 64, 2),
            1 if input.len() >= 3 => (u32::from(input[1]) + 256 * u32::from(input[2]) + 64, 3),
            0 | 1 => return None,
            id => (u32::from(id), 1),
        };
        let fields = [11, 7, 3, 0][usize::from(format)];
        let known = self.streams.get(&id);
        let header = input.get(at..at + fields)?;
        at += fields;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
        let mut field =
            if fields > 0 { number(&header[..3]) } else { known.map_or(0, |stream| stream.field) };
        let extended =
            if fields > 0 { field == 0xff_ffff } else { known.is_some_and(|stream| stream.extended) };
        if extended {
            field = number(input.get(at..at + 4)?);
            at += 4;
        }
        let length = if fields >= 7 { number(&header[3..6]) as usize } else { known.map_or(0, |s| s.length) };
        let fresh = known.is_none();
        let interrupted = known.is_some_and(|stream| stream.inside) && format != 3;
        let inside = known.is_some_and(|stream| stream.inside) && !interrupted;
        let have = if inside { known.map_or(0, |stream| stream.message.body.len()) } else { 0 };
        let part = self.chunk_size.min(length - have);
        let data = input.get(at..at + part)?.to_vec();
        let wire = input[..at].to_vec();
        let (kind, message_stream) = (header.get(6).copied(), header.get(7..11).map(<[u8]>::to_vec));

        if fresh && format != 0 {
            self.violations.push(format!("format {format} on chunk stream {id}, which has no history"));
        }
        if interrupted {
            self.violations.push(format!("format {format} inside a message on chunk stream {id}"));
        }
        let stream = self.streams.entry(id).or_default();
        stream.field = field;
        stream.extended = extended;
        stream.length = length;
        if !inside {
            let message = &mut stream.message;
            message.header = wire;
            message.chunk_stream = id;
            message.body.clear();
            message.kind = kind.unwrap_or(message.kind);
            if let Some(bytes) = message_stream {
                message.message_stream = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
            message.timestamp = if format == 0 { field } else { message.timestamp.wrapping_add(field) };
        }
        stream.message.body.extend(data);
        stream.inside = stream.message.body.len() < length;
        Some((at + part, (!stream.inside).then(|| stream.message.clone())))
    }
}

/// The time that a header of the original stands for after `before`: its format 3 means "the same time".
pub fn meant_time(before: u32, header: &[u8]) -> u32 {
    let format = header[0] >> 6;
    if format == 3 {
        return before;
    }
    let basic = [2, 3].get(usize::from(header[0] & 0x3f)).copied().unwrap_or(1);
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |n, byte| n << 8 | u32::from(*byte));
    let short = number(&header[basic..basic + 3]);
    let field = if short == 0xff_ffff { number(&header[header.len() - 4..]) } else { short };
    if format == 0 { field } else { before.wrapping_add(field) }
}

/// One message to be sent, as the caller of the library described it.
pub struct Sent {
    pub chunk_stream: u32,
    pub timestamp: u32,
    pub length: usize,
    pub kind: u8,
    pub message_stream: u32,
}

/// Returns the headers that our library may send for a message where the original used `original`.
///
/// The deliberate differences, each of which lets every conforming receiver see the right time and type:
/// * the first message of a kind (commands, metadata, audio, video, control) on a chunk stream has a full header;
/// * so has one whose timestamp steps back (the original sends a difference of nearly 2^32);
/// * a message with the timestamp of its predecessor is format 2 with difference 0 where format 3 would repeat a
///   difference that is not 0;
/// * a header that keeps the length or type of a predecessor that had another one becomes format 1.
#[derive(Default)]
pub struct Improved {
    streams: HashMap<u32, History>,
}

/// What was last sent on a chunk stream.
struct History {
    last: Sent,
    /// The last transmitted timestamp field, which format 3 would repeat.
    field: u32,
    /// The kinds that have been sent.
    groups: Vec<u8>,
}

impl Improved {
    /// The name of these differences in `docs/src/differences.md`.
    pub const NAME: &str = "full-first-headers";

    /// The acceptable headers, the preferred one first.
    pub fn headers(&mut self, sent: Sent, original: &[u8]) -> Vec<Vec<u8>> {
        let full = header(0, &sent, sent.timestamp);
        let format = original.first().map_or(0, |byte| byte >> 6);
        let group = group(sent.kind);
        let id = sent.chunk_stream;
        let Some(mut history) = self.streams.remove(&id) else {
            let groups = group.into_iter().collect();
            self.streams.insert(id, History { field: sent.timestamp, last: sent, groups });
            return vec![full];
        };
        let delta = sent.timestamp.wrapping_sub(history.last.timestamp);
        let back = delta > u32::MAX / 2;
        let new_group = group.is_some_and(|group| !history.groups.contains(&group));
        let accepted;
        if format == 0 || back || new_group {
            history.field = sent.timestamp;
            accepted = vec![full];
        } else {
            let same = sent.length == history.last.length && sent.kind == history.last.kind;
            let smallest = match (same, delta == history.field) {
                (false, _) => 1,
                (true, false) => 2,
                (true, true) => 3,
            };
            history.field = delta;
            // A correct header of the original is not changed.
            let chosen = header(format.min(smallest), &sent, delta);
            // A kind without a group (such as aggregates) or another message stream may have a full header as well.
            let free = group.is_none() || sent.message_stream != history.last.message_stream;
            accepted = if free { vec![chosen, full] } else { vec![chosen] };
        }
        history.groups.extend(group);
        history.last = sent;
        self.streams.insert(id, history);
        accepted
    }
}

/// The kinds that each get a full header the first time.
fn group(kind: u8) -> Option<u8> {
    match kind {
        1..=6 => Some(1),
        8 | 9 => Some(kind),
        0x0f | 0x12 => Some(0x12),
        0x11 | 0x14 => Some(0x14),
        _ => None,
    }
}

fn header(format: u8, sent: &Sent, time: u32) -> Vec<u8> {
    let mut out = basic_header(format, sent.chunk_stream);
    if format < 3 {
        out.extend(&time.min(0xff_ffff).to_be_bytes()[1..]);
    }
    if format < 2 {
        out.extend(&(sent.length as u32).to_be_bytes()[1..]);
        out.push(sent.kind);
    }
    if format == 0 {
        out.extend(sent.message_stream.to_le_bytes());
    }
    if time >= 0xff_ffff {
        out.extend(time.to_be_bytes());
    }
    out
}
