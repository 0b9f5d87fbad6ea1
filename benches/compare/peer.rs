//! The other end of every measured connection: a handshake, replies, and media from a prepared block of bytes.
//!
//! It has no RTMP session: the client's messages are read and dropped. All replies are sent at once, because a client sends its
//! next command when it has found the answer to the last one.

use std::{
    io::{self, Read, Write},
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use rtmp_core::handshake::{Cipher, Server, ServerOptions};
use socket2::SockRef;

use crate::tls;

/// The peer's behaviour on a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Role {
    /// Sends video messages of `size` bytes in chunks of `chunk`.
    Play {
        /// Largest payload of a chunk.
        chunk: usize,
        /// Bytes of a message.
        size: usize,
        /// The number of chunk streams that alternate.
        streams: usize,
        /// The time of sending.
        pace: Pace,
    },
    /// Drops everything after the handshake.
    Publish,
    /// Sends an audio message every millisecond that contains the time, and drops everything.
    Clock {
        /// Without a handshake and commands.
        bare: bool,
    },
    /// Answers each message that contains the time with an audio message that contains its delay, in nanoseconds.
    Stopwatch {
        /// Whether video messages are sent as fast as the client accepts them.
        floods: bool,
        /// Without a handshake and commands.
        bare: bool,
    },
    /// Sends video messages of 100 bytes as fast as the client accepts them, without a handshake and commands.
    BareFlood,
    /// Sends replies and then nothing.
    Idle,
    /// Sends `size` zeros at a time, without any protocol.
    RawSource {
        /// Bytes of one call.
        size: usize,
        /// The time of sending.
        pace: Pace,
    },
    /// Drops everything, without any protocol.
    RawSink,
}

/// The pace of a peer's media.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as the client accepts it.
    Flood,
    /// One message per [`LIVE_INTERVAL`], so that the client waits for each.
    Live,
    /// 25 video messages and 43 audio messages of [`SOUND`] bytes a second.
    Stream,
    /// A block of [`BURST`] bytes, and then nothing.
    Burst,
}

/// Time between two messages at live pace.
pub const LIVE_INTERVAL: Duration = Duration::from_millis(2);
/// Bytes of an audio message of a live stream.
pub const SOUND: usize = 350;
/// Bytes that a peer sends at a time between its answers.
const FLOOD: usize = 16 << 10;
/// The bytes in front of the time of sending in a message for [`Role::Stopwatch`].
const MARK: &[u8; 8] = b"it was:\n";
/// The length of a block of media; the sum of its message bodies if these have 16 kB.
pub const BURST: usize = 1 << 20;

/// The encryption of the bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cover {
    /// None.
    Plain,
    /// RTMPE.
    Encrypted,
    /// TLS up to this version: `1.2` or `1.3`.
    Tls(&'static str),
}

impl Cover {
    /// The name for program arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "rc4",
            Self::Tls(_) => "tls",
        }
    }
}

/// Listens until the end of the measurement.
pub struct Peer {
    /// The port on loopback.
    pub port: u16,
}

impl Peer {
    /// Starts to listen.
    pub fn start(role: Role, cover: Cover) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        SockRef::from(&listener).listen(1024)?;
        let port = listener.local_addr()?.port();
        let config = match cover {
            Cover::Tls(version) => Some(tls::config(version)?),
            _ => None,
        };
        let source = Source::of(role);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (source, config) = (source.clone(), config.clone());
                let serve = move || {
                    // The client closes when it has received enough.
                    let _ = match config {
                        Some(config) => tls::accept(stream, config)
                            .and_then(|mut tls| talk(&mut tls, role, source, tls::answer_goodbye)),
                        None => serve(stream, role, cover, source),
                    };
                };
                let _ = thread::Builder::new().stack_size(128 << 10).spawn(serve);
            }
        });
        Ok(Self { port })
    }
}

/// The bytes that a peer sends again and again, at its pace.
#[derive(Clone)]
struct Source {
    block: Arc<[u8]>,
    /// An audio message.
    sound: Arc<[u8]>,
    pace: Pace,
    /// The time of the first message, and the number of messages so far.
    begun: Instant,
    videos: u64,
    sounds: u64,
}

impl Source {
    fn of(role: Role) -> Self {
        let (block, sound, pace) = match role {
            Role::Play { chunk, size, streams, pace } => {
                let least = if matches!(pace, Pace::Live | Pace::Stream) { size } else { BURST };
                let mut sound = vec![0x46, 0, 0, 23, 0, (SOUND >> 8) as u8, SOUND as u8, 8];
                pieces(&mut sound, 6, chunk, &[0x55; SOUND]);
                (media(chunk, size, streams, least), sound, pace)
            }
            Role::RawSource { size, pace } => (vec![0; size], vec![0; SOUND], pace),
            Role::Stopwatch { .. } | Role::BareFlood => (media(128, 100, 1, FLOOD), Vec::new(), Pace::Flood),
            _ => (Vec::new(), Vec::new(), Pace::Flood),
        };
        Self { block: block.into(), sound: sound.into(), pace, begun: Instant::now(), videos: 0, sounds: 0 }
    }

    /// The next bytes, when it is time to send them.
    fn next(&mut self) -> &[u8] {
        match self.pace {
            Pace::Flood | Pace::Burst => {}
            Pace::Live if self.videos == 0 => {}
            Pace::Live => thread::sleep(LIVE_INTERVAL),
            Pace::Stream => {
                if self.videos == 0 {
                    self.begun = Instant::now();
                }
                let (video, sound) = (self.videos * 1_000_000 / 25, self.sounds * 1_000_000 / 43);
                let due = self.begun + Duration::from_micros(video.min(sound));
                thread::sleep(due.saturating_duration_since(Instant::now()));
                if sound < video {
                    self.sounds += 1;
                    return &self.sound;
                }
            }
        }
        self.videos += 1;
        &self.block
    }
}

/// A connection without TLS.
fn serve(mut stream: TcpStream, role: Role, cover: Cover, source: Source) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match role {
        Role::RawSource { .. } | Role::BareFlood => return send_for_ever(&mut stream, source, None),
        Role::RawSink => return discard(&stream),
        Role::Clock { bare } => {
            if !bare {
                greet(&mut stream, role)?;
            }
            return tell_time(stream);
        }
        Role::Stopwatch { floods, bare } => {
            if !bare {
                greet(&mut stream, role)?;
            }
            return measure_delays(stream, source, floods);
        }
        _ => {}
    }
    if cover != Cover::Encrypted {
        if role == Role::Publish {
            // Like the socket that it is compared with.
            greet(&mut stream, role)?;
            return discard(&stream);
        }
        return talk(&mut stream, role, source, |_| Ok(false));
    }
    let mut cipher = shake_hands_encrypted(&mut stream)?;
    let mut first = start(role);
    cipher.apply(&mut first);
    stream.write_all(&first)?;
    match role {
        Role::Play { .. } => send_for_ever(&mut stream, source, Some(cipher)),
        _ => discard(&stream),
    }
}

/// The handshake that echoes its input, and everything that a client waits for before media.
fn greet<S: Read + Write>(stream: &mut S, role: Role) -> io::Result<()> {
    let mut hello = [0; 1537];
    stream.read_exact(&mut hello)?;
    let mut answer = vec![3];
    answer.extend([0; 1536]);
    answer.extend(&hello[1..]);
    stream.write_all(&answer)?;
    stream.read_exact(&mut hello[1..])?;
    stream.write_all(&start(role))
}

/// The handshake, then the role, until the client closes or `is_over`.
fn talk<S: Read + Write>(
    stream: &mut S,
    role: Role,
    mut source: Source,
    is_over: impl Fn(&mut S) -> io::Result<bool>,
) -> io::Result<()> {
    match role {
        Role::RawSource { .. } | Role::RawSink => {}
        _ => greet(stream, role)?,
    }
    match role {
        Role::Play { pace: Pace::Burst, .. } => {
            stream.write_all(source.next())?;
            read_all(stream)
        }
        Role::Play { .. } | Role::RawSource { .. } => {
            while !is_over(stream)? {
                stream.write_all(source.next())?;
            }
            Ok(())
        }
        _ => read_all(stream),
    }
}

/// Until the client closes.
fn read_all<S: Read>(stream: &mut S) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// The time on the clock that the client uses, too, in nanoseconds.
fn clock() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// [`Role::Clock`].
fn tell_time(mut stream: TcpStream) -> io::Result<()> {
    let incoming = stream.try_clone()?;
    thread::spawn(move || discard(&incoming));
    let mut bytes = Vec::new();
    loop {
        thread::sleep(Duration::from_millis(1));
        bytes.clear();
        let mut body = [0; 30];
        body[..8].copy_from_slice(&clock().to_ne_bytes());
        message(&mut bytes, 6, 8, 128, &body);
        stream.write_all(&bytes)?;
    }
}

/// [`Role::Stopwatch`].
fn measure_delays(mut stream: TcpStream, mut source: Source, floods: bool) -> io::Result<()> {
    let (tell, told) = mpsc::channel::<Vec<u8>>();
    let mut outgoing = stream.try_clone()?;
    thread::spawn(move || -> io::Result<()> {
        if !floods {
            return told.iter().try_for_each(|answer| outgoing.write_all(&answer));
        }
        loop {
            told.try_iter().try_for_each(|answer| outgoing.write_all(&answer))?;
            outgoing.write_all(source.next())?;
        }
    });
    let (mut input, mut room) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let count = stream.read(&mut room)?;
        let arrived = clock();
        if count == 0 {
            return Ok(());
        }
        input.extend(&room[..count]);
        while let Some(at) = input.windows(MARK.len()).position(|bytes| bytes == MARK) {
            let Some(sent) = input.get(at + MARK.len()..).and_then(|rest| rest.first_chunk()) else { break };
            let delay = arrived.saturating_sub(u64::from_ne_bytes(*sent));
            let mut answer = Vec::new();
            message(&mut answer, 6, 8, 128, &delay.to_ne_bytes());
            if tell.send(answer).is_err() {
                return Ok(());
            }
            input.drain(..at + 2 * MARK.len());
        }
        // A mark may have begun at the end.
        let useless = input.len().saturating_sub(2 * MARK.len());
        input.drain(..useless);
    }
}

/// The signed handshake; returns the cipher for sending.
fn shake_hands_encrypted(stream: &mut TcpStream) -> io::Result<Cipher> {
    let mut random = |bytes: &mut [u8]| {
        bytes.fill(0x5A);
        Ok(())
    };
    let mut server = Server::new(ServerOptions::default(), &mut random).map_err(io::Error::other)?;
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let progress = server.advance(&input).map_err(io::Error::other)?;
        input.drain(..progress.consumed);
        stream.write_all(&progress.output)?;
        if let Some(outcome) = progress.outcome {
            let keys = outcome.keys.ok_or_else(|| io::Error::other("the client does not encrypt"))?;
            return Ok(keys.send);
        }
        if progress.consumed == 0 && progress.output.is_empty() {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            input.extend(&buffer[..count]);
        }
    }
}

/// Sends media, and sometimes reads and drops acknowledgements.
fn send_for_ever(stream: &mut TcpStream, mut source: Source, mut cipher: Option<Cipher>) -> io::Result<()> {
    let mut encrypted = Vec::new();
    let mut room = [MaybeUninit::uninit(); 4096];
    loop {
        let bytes = source.next();
        match &mut cipher {
            Some(cipher) => {
                encrypted.clear();
                encrypted.extend(bytes);
                cipher.apply(&mut encrypted);
                stream.write_all(&encrypted)?;
            }
            None => stream.write_all(bytes)?,
        }
        while SockRef::from(&*stream)
            .recv_with_flags(&mut room, libc::MSG_DONTWAIT)
            .is_ok_and(|count| count > 0)
        {}
    }
}

/// Lets the system drop the received bytes, without copying them.
fn discard(stream: &TcpStream) -> io::Result<()> {
    let mut room = vec![MaybeUninit::uninit(); 1 << 20];
    while SockRef::from(stream).recv_with_flags(&mut room, libc::MSG_TRUNC)? > 0 {}
    Ok(())
}

/// The replies to all commands of a client that plays or publishes, and the first messages of the role.
fn start(role: Role) -> Vec<u8> {
    let mut bytes = Vec::new();
    message(&mut bytes, 2, 5, 128, &2_500_000_u32.to_be_bytes());
    for transaction in 1..=4 {
        // When publishing, releaseStream and FCPublish come in between; their results are not read.
        let mut body = b"\x02\0\x07_result\0".to_vec();
        body.extend(f64::from(transaction).to_be_bytes());
        if transaction == 1 {
            body.extend(b"\x03\0\0\x09\x03\0\0\x09");
        } else {
            body.extend(b"\x05\0");
            body.extend(1_f64.to_be_bytes());
        }
        message(&mut bytes, 3, 20, 128, &body);
    }
    let code = if role == Role::Publish { "NetStream.Publish.Start" } else { "NetStream.Play.Start" };
    let mut body =
        b"\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x03\0\x05level\x02\0\x06status\0\x04code\x02".to_vec();
    body.extend((code.len() as u16).to_be_bytes());
    body.extend(code.as_bytes());
    body.extend(b"\0\0\x09");
    message(&mut bytes, 5, 20, 128, &body);
    if let Role::Play { chunk, .. } = role {
        if chunk != 128 {
            message(&mut bytes, 2, 1, 128, &(chunk as u32).to_be_bytes());
        }
        // One message of each kind, so that neither end waits for the other's full header.
        message(&mut bytes, 6, 8, chunk, &[0xAF, 1, 2, 3]);
        message(&mut bytes, 4, 9, chunk, &[0x27, 1, 0, 0, 0, 0, 0]);
    }
    bytes
}

/// Complete video messages of at least `least` bytes: on one chunk stream, or alternating between several.
fn media(chunk: usize, size: usize, streams: usize, least: usize) -> Vec<u8> {
    let mut body = vec![0x55; size];
    body[..2].copy_from_slice(&[0x27, 1]);
    let mut bytes = Vec::new();
    while bytes.len() < least {
        if streams == 1 {
            let [_, length @ ..] = (size as u32).to_be_bytes();
            bytes.extend([0x44, 0, 0, 40]);
            bytes.extend(length);
            bytes.push(9);
            pieces(&mut bytes, 4, chunk, &body);
        } else {
            for chunk_stream in 3..3 + streams {
                message(&mut bytes, chunk_stream, 9, chunk, &body);
            }
        }
    }
    bytes
}

/// A message with a full header.
fn message(bytes: &mut Vec<u8>, chunk_stream: usize, kind: u8, chunk: usize, body: &[u8]) {
    let [_, length @ ..] = (body.len() as u32).to_be_bytes();
    basic_header(bytes, 0, chunk_stream);
    bytes.extend([0; 3]);
    bytes.extend(length);
    bytes.extend([kind, u8::from(kind > 6), 0, 0, 0]);
    pieces(bytes, chunk_stream, chunk, body);
}

fn pieces(bytes: &mut Vec<u8>, chunk_stream: usize, chunk: usize, body: &[u8]) {
    for (index, piece) in body.chunks(chunk).enumerate() {
        if index > 0 {
            basic_header(bytes, 0xC0, chunk_stream);
        }
        bytes.extend(piece);
    }
}

/// The format and the chunk stream's id in the shortest form.
fn basic_header(bytes: &mut Vec<u8>, format: u8, chunk_stream: usize) {
    match chunk_stream {
        ..64 => bytes.push(format | chunk_stream as u8),
        64..320 => bytes.extend([format, (chunk_stream - 64) as u8]),
        _ => {
            bytes.push(format | 1);
            bytes.extend(((chunk_stream - 64) as u16).to_le_bytes());
        }
    }
}
