//! A stream that is sent as fast as it is taken: messages of all sizes on two chunk streams, cut into each other, in chunks
//! whose size changes, with pings in between.

use std::sync::Arc;

use super::peer::PATIENCE;
use super::wire::{Message, basic_header};
use super::{Peer, Server};

/// How the stream ends, after all that comes fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With short messages, each of which is sent when the one before has been read.
    Slow,
    /// With a long message, of which the second half is sent when the client has noticed that time was up.
    Late,
    /// In the middle of a message.
    Cut,
    /// The same, and the peer does not read any more either.
    Gone,
}

/// The sent and the received messages.
#[derive(Clone)]
pub struct Torrent {
    pub end: End,
    fast: Arc<Fast>,
}

/// What comes fast.
struct Fast {
    /// The last message of each piece is a ping. The next piece is sent when the client has answered all pings.
    pieces: Vec<Piece>,
    /// What the program prints.
    lines: Vec<String>,
    chunk_size: usize,
    /// Of the last message that began, in milliseconds.
    time: u32,
}

#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    pings: usize,
}

/// A message of which a part has been sent.
struct Sending {
    message: Message,
    sent: usize,
    /// What stands between the first byte of each chunk and its payload, once the first chunk was sent.
    extended: Vec<u8>,
}

const SIZES: [usize; 14] =
    [1, 5, 6, 40, 127, 128, 129, 1400, 4096, 16_383, 16_385, 48 << 10, 70_000, 200_000];
/// As many of them as are short.
const SHORT: usize = 9;
const CHUNK_SIZES: [u32; 8] = [128, 4096, 65_536, 1000, 200_000, 49_153, 16_384, 128];
/// The chunk streams and the types of audio and of video.
const CHANNELS: [(u32, u8); 2] = [(4, 8), (70, 9)];
/// From here on timestamps are extended.
const EXTENDED: u32 = 0xff_ffff;
const SLOW_MESSAGES: u32 = 60;
/// The length of the last message that comes late or not at all, and how much of it comes at first.
const LATE: (usize, usize) = (60_000, 40_000);
/// More bytes than come before all this.
const BEFORE: usize = 8192;
/// What a client may leave without an acknowledgement.
const WINDOW: usize = 2_500_000;
/// A user control message that asks for an answer.
const PING: [u8; 6] = [0, 6, 0, 0, 0, 1];

impl Torrent {
    /// Some `total` bytes, in messages of at least `smallest` bytes; everything follows from `seed`.
    pub fn new(seed: u32, total: usize, smallest: usize) -> Self {
        let mut dice = Dice(seed);
        let pieces = vec![Piece::default()];
        let mut fast = Fast { pieces, lines: Vec::new(), chunk_size: 128, time: EXTENDED / 2 };
        let mut under_way: [Option<Sending>; 2] = [None, None];
        let (mut sent, mut changes) = (0, 0);
        // What is under way ends before the stream does.
        while sent < total || under_way.iter().any(Option::is_some) {
            let before = fast.piece().bytes.len();
            if changes < CHUNK_SIZES.len() && sent * CHUNK_SIZES.len() / total >= changes {
                fast.set_chunk_size(CHUNK_SIZES[changes]);
                changes += 1;
            }
            let which = dice.roll(2) as usize;
            match &mut under_way[which] {
                Some(sending) => {
                    fast.add_chunk(sending);
                    if sending.sent == sending.message.body.len() {
                        fast.lines.push(describe(&sending.message));
                        under_way[which] = None;
                    }
                }
                None if sent >= total => {}
                None => {
                    let full = fast.time < EXTENDED && sent >= total / 2;
                    fast.time = if full { EXTENDED } else { fast.time + dice.roll(20) };
                    let message = dice.message(CHANNELS[which], fast.time, smallest);
                    under_way[which] = Some(Sending { message, sent: 0, extended: Vec::new() });
                }
            }
            if dice.roll(1000) == 0 {
                fast.ping();
            }
            sent += fast.piece().bytes.len() - before;
            if dice.roll(3000) == 0 {
                fast.ping();
                fast.pieces.push(Piece::default());
            }
        }
        fast.ping();
        Self { end: End::Slow, fast: Arc::new(fast) }
    }

    pub fn with_end(&self, end: End) -> Self {
        Self { end, fast: self.fast.clone() }
    }

    /// Starts a server for several connections, one after another.
    pub fn serve(self, connections: usize) -> Server<()> {
        Server::listen(move |listener| {
            for _ in 0..connections {
                self.send(&mut Peer::accept(listener));
            }
        })
    }

    /// Serves one client, until it leaves.
    fn send(&self, peer: &mut Peer) {
        peer.accept_play();
        for Piece { bytes, pings } in &self.fast.pieces {
            peer.send_raw(bytes);
            if !wait_for_pongs(peer, *pings) {
                return; // The client has gone.
            }
        }
        let total: usize = self.fast.pieces.iter().map(|piece| piece.bytes.len()).sum();
        check_acknowledgements(peer, total);
        peer.chunk_size = self.fast.chunk_size;
        match self.end {
            End::Slow => {
                for message in self.slow() {
                    peer.send(&message);
                    peer.send_control(4, &PING);
                    assert!(wait_for_pongs(peer, 1), "an answer to each ping");
                }
            }
            End::Late => {
                peer.set_chunk_size(LATE.0 as u32);
                let chunks = self.late().chunks(LATE.0);
                peer.send_raw(&chunks[..LATE.1]);
                // After a timeout, the program sends the length of its buffer.
                while !is_event(&peer.next(PATIENCE).expect("the program notices"), 3) {}
                peer.send_raw(&chunks[LATE.1..]);
            }
            End::Cut | End::Gone => peer.send_raw(&self.late().chunks(peer.chunk_size)[..LATE.1]),
        }
        match self.end {
            End::Slow | End::Late => peer.status(1, "status", "NetStream.Play.Complete", ""),
            End::Cut => {}
            End::Gone => return peer.leave(),
        }
        peer.finish();
        peer.swallow(PATIENCE);
    }

    /// A line for each message, as the program prints it.
    pub fn arrives(&self) -> Vec<String> {
        let mut lines = self.fast.lines.clone();
        match self.end {
            End::Slow => lines.extend(self.slow().iter().map(describe)),
            End::Late => lines.push(describe(&self.late())),
            End::Cut | End::Gone => {}
        }
        lines
    }

    fn slow(&self) -> Vec<Message> {
        let ((channel, kind), time) = (CHANNELS[1], self.fast.time);
        (1..=SLOW_MESSAGES).map(|number| Message::new(channel, time + number, kind, 1, &[0x22; 90])).collect()
    }

    fn late(&self) -> Message {
        let (channel, kind) = CHANNELS[1];
        Message::new(channel, self.fast.time + 1, kind, 1, &[0x22; LATE.0])
    }
}

/// Waits for as many answers to pings; false if the client has gone.
fn wait_for_pongs(peer: &mut Peer, pings: usize) -> bool {
    for _ in 0..pings {
        while !match peer.next(PATIENCE) {
            Some(message) => is_event(&message, 7),
            None => return false,
        } {}
    }
    true
}

/// Compares the acknowledged bytes with the bytes that the client has read, which are all of `total` bytes and a few before.
fn check_acknowledgements(peer: &Peer, total: usize) {
    let acknowledgements = peer.messages.iter().filter(|message| message.kind == 3);
    let counts: Vec<u32> = acknowledgements
        .map(|message| u32::from_be_bytes(message.body[..].try_into().expect("four bytes")))
        .collect();
    assert!(counts.is_sorted_by(|before, after| before < after), "{counts:?}");
    let (last, total) = (counts.last().copied().unwrap_or(0) as usize, total + BEFORE);
    assert!(last <= total && last + WINDOW >= total, "{last} of {total} bytes are acknowledged");
}

/// Whether a message is a user control message of this kind.
fn is_event(message: &Message, event: u8) -> bool {
    message.kind == 4 && message.body.starts_with(&[0, event])
}

impl Fast {
    fn piece(&mut self) -> &mut Piece {
        self.pieces.last_mut().expect("there is always one")
    }

    /// Adds a message on the control chunk stream, which may come between the chunks of others.
    fn control(&mut self, kind: u8, body: &[u8]) {
        let chunks = Message::new(2, 0, kind, 0, body).chunks(self.chunk_size);
        self.piece().bytes.extend(chunks);
    }

    fn set_chunk_size(&mut self, size: u32) {
        self.control(1, &size.to_be_bytes());
        self.chunk_size = size as usize;
    }

    fn ping(&mut self) {
        self.control(4, &PING);
        self.piece().pings += 1;
    }

    /// Adds the next chunk of a message.
    fn add_chunk(&mut self, sending: &mut Sending) {
        let Sending { message, sent, extended } = sending;
        let end = message.body.len().min(*sent + self.chunk_size);
        let bytes = &mut self.pieces.last_mut().expect("there is always one").bytes;
        if *sent == 0 {
            // With everything in one chunk, this is the chunk's header and payload.
            let whole = message.chunks(message.body.len());
            let header = whole.len() - message.body.len();
            bytes.extend(&whole[..header]);
            if message.timestamp >= EXTENDED {
                extended.extend(message.timestamp.to_be_bytes());
            }
        } else {
            bytes.extend(basic_header(3, message.chunk_stream));
            bytes.extend(extended.iter());
        }
        bytes.extend(&message.body[*sent..end]);
        *sent = end;
    }
}

/// Numbers that follow from a seed.
struct Dice(u32);

impl Dice {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0
    }

    /// A number below `sides`, which are few.
    fn roll(&mut self, sides: u32) -> u32 {
        (self.next() >> 8) % sides
    }

    fn message(&mut self, (channel, kind): (u32, u8), time: u32, smallest: usize) -> Message {
        let sizes = if self.roll(5) == 0 { SIZES.len() } else { SHORT };
        let size = SIZES[self.roll(sizes as u32) as usize].max(smallest);
        let mut body: Vec<u8> = (0..size.div_ceil(4)).flat_map(|_| self.next().to_be_bytes()).collect();
        body.truncate(size);
        // MP3, and a frame of H.263.
        body[0] = if kind == 8 { 0x2f } else { 0x22 };
        Message::new(channel, time, kind, 1, &body)
    }
}

/// The line of a message: kind, timestamp, length, and the hash that the program has, too.
fn describe(message: &Message) -> String {
    let words = message.body.chunks_exact(8);
    let rest = words.remainder();
    let words = words.map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let hash = words
        .chain(rest.iter().map(|byte| u64::from(*byte)))
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| (hash ^ word).wrapping_mul(0x100_0000_01b3));
    format!("{} {} {} {hash:016x}", message.kind, message.timestamp, message.body.len())
}
