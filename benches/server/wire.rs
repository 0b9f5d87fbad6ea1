//! The part of RTMP that publisher and players need: their commands, and headers of chunks.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The chunk size of both ends.
pub const CHUNK: usize = 65_536;
/// The stream of the measurement, in the application `live`.
pub const STREAM: &str = "bench";

/// Connects and does the handshake.
pub fn connect(port: u16) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut hello = vec![0; 1537];
    hello[0] = 3;
    stream.write_all(&hello)?;
    let mut answer = vec![0; 3073];
    stream.read_exact(&mut answer)?;
    stream.write_all(&answer[1..1537])?;
    Ok(stream)
}

/// A message in one chunk.
pub fn message(chunk_stream: u8, time: u32, kind: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let (time, len) = (time.to_be_bytes(), (body.len() as u32).to_be_bytes());
    let mut bytes = vec![chunk_stream, time[1], time[2], time[3], len[1], len[2], len[3], kind];
    bytes.extend(stream.to_le_bytes());
    bytes.extend(body);
    bytes
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(2);
    name(out, text);
}

fn name(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: f64) {
    out.push(0);
    out.extend(number.to_be_bytes());
}

fn command(stream: u32, method: &str, transaction: f64, arguments: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, method);
    number(&mut body, transaction);
    arguments(&mut body);
    message(3, 0, 20, stream, &body)
}

/// All commands of a client that calls `publish` or `play`, at once: servers process the commands one after the other. Message
/// stream 1 is the first one that they create.
pub fn requests(port: u16, method: &str) -> Vec<u8> {
    let mut bytes = message(2, 0, 1, 0, &(CHUNK as u32).to_be_bytes());
    bytes.extend(command(0, "connect", 1.0, |body| {
        body.push(3);
        for (key, value) in [("app", "live".to_owned()), ("tcUrl", format!("rtmp://127.0.0.1:{port}/live"))] {
            name(body, key);
            string(body, &value);
        }
        body.extend([0, 0, 9]);
    }));
    bytes.extend(command(0, "createStream", 2.0, |body| body.push(5)));
    bytes.extend(command(1, method, 3.0, |body| {
        body.push(5);
        string(body, STREAM);
        if method == "publish" {
            string(body, "live");
        }
    }));
    bytes
}

/// Finds messages in a server's output, and keeps the first bytes of each; the rest is skipped.
pub struct Messages {
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Bytes of an incomplete header.
    header: Vec<u8>,
    /// The chunk stream of the next payload, and the number of its bytes.
    payload: Option<(usize, usize)>,
}

#[derive(Default)]
struct ChunkStream {
    len: usize,
    kind: u8,
    has_extended: bool,
    received: usize,
    beginning: Vec<u8>,
}

/// The number of bytes of a message that are kept.
pub const BEGINNING: usize = 32;

impl Messages {
    pub fn new() -> Self {
        Self { chunk_size: 128, streams: Vec::new(), header: Vec::new(), payload: None }
    }

    /// Calls `found` with the type and the beginning of each message that ends in `bytes`.
    pub fn take(&mut self, mut bytes: &[u8], mut found: impl FnMut(u8, &[u8])) {
        while !bytes.is_empty() {
            let Some((index, missing)) = self.payload else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                self.take_header();
                continue;
            };
            let count = missing.min(bytes.len());
            let stream = &mut self.streams[index];
            let kept = BEGINNING.saturating_sub(stream.received).min(count);
            stream.beginning.extend(&bytes[..kept]);
            stream.received += count;
            bytes = &bytes[count..];
            self.payload = (count < missing).then_some((index, missing - count));
            if stream.received == stream.len {
                found(stream.kind, &stream.beginning);
                if let (1, [a, b, c, d, ..]) = (stream.kind, &stream.beginning[..]) {
                    self.chunk_size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                }
                stream.received = 0;
                stream.beginning.clear();
            }
        }
    }

    /// Checks whether the header is complete.
    fn take_header(&mut self) {
        let header = &self.header;
        let (format, id) = (header[0] >> 6, usize::from(header[0] & 63));
        assert!(id > 1, "servers use short chunk stream ids only");
        let len = [11, 7, 3, 0][usize::from(format)];
        if self.streams.len() <= id {
            self.streams.resize_with(id + 1, ChunkStream::default);
        }
        let stream = &mut self.streams[id];
        if header.len() < 1 + len {
            return;
        }
        let has_extended = if len >= 3 { header[1..4] == [0xff; 3] } else { stream.has_extended };
        if header.len() < 1 + len + 4 * usize::from(has_extended) {
            return;
        }
        stream.has_extended = has_extended;
        if len >= 7 {
            stream.len = usize::from(header[4]) << 16 | usize::from(header[5]) << 8 | usize::from(header[6]);
            stream.kind = header[7];
        }
        let missing = (stream.len - stream.received).min(self.chunk_size);
        self.payload = (missing > 0).then_some((id, missing));
        self.header.clear();
    }
}
