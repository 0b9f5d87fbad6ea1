//! One RTMP connection as a machine: bytes in, events out; messages in, bytes out; deadlines.
//!
//! A [`Session`] owns the handshake, the ciphers, the chunk streams, the protocol's state and the queue of bytes to be sent. It
//! never touches a socket or a clock. The code that moves its bytes does this:
//!
//! - pass received bytes to [`Session::decrypt`] once, and then with all unread bytes to [`Session::receive`];
//! - write the bytes of [`Session::unsent`] to the connection, and report with [`Session::sent`] how many were written;
//! - call [`Session::check`], which fails, at [`Session::deadline`].

mod outgoing;
mod reactions;
mod requests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use log::{Level, error, log_enabled};

use self::{outgoing::Answers, reactions::Content};
use super::{
    Calls, Capabilities, Notice, Peer, Profile, Reconnect, State, packet_log, pausing,
    queue::Queue,
    serve::{Request, Requests},
    streams::Streams,
};
use crate::{
    chunk::{self, Chunk, Decoder, Encoder, Ready},
    error::{Error, Refusal, Result},
    handshake::{self, Cipher, ClientOptions, Keys, Progress, ServerOptions},
    message::{Body, Message, MessageType},
    random::Random,
    stats::{Phases, Stats, spent},
};

/// The requests of a session to the application that owns it.
pub trait Application {
    /// The application's settings, and the commands that wait for their results.
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls);

    /// The second part of [`Application::wishes`], without the cost of the first.
    fn calls(&mut self) -> &mut dyn Calls {
        self.wishes().1
    }

    /// Called for each message that has arrived, with its timestamp.
    fn arrived(&mut self, _chunk_stream: u32, _timestamp: u32) {}

    /// Whether [`Application::notified`] does anything with a notice.
    fn wants_notices(&self) -> bool {
        false
    }

    /// Called with a peer's notice (anything besides media), in the middle of a step.
    fn notified(&mut self, _notice: Notice) {}
}

/// An application that borrows its settings.
impl Application for (Profile<'_>, Vec<(Vec<u8>, i32)>) {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        (self.0, &mut self.1)
    }
}

/// One end of an RTMP connection, without its socket.
///
/// `B` stores the bodies of received messages.
///
/// The fields are in memory as they are here, and the first ones are those that each message needs: with thousands of sessions,
/// a message costs as many cache misses as it touches lines.
#[repr(C)]
pub struct Session<B = Vec<u8>> {
    side: Side,
    stage: Stage,
    receiving: Option<Cipher>,
    sending: Option<Cipher>,
    queue: Queue,
    answers: Answers,
    /// The number of bytes ever queued, or written past the queue.
    queued: u64,
    /// Length of the first chunk of the oldest message in the queue.
    first_chunk: usize,
    descriptor: Option<i32>,
    /// The number of our commands that were answered.
    answered: u32,
    marks_ends: bool,
    /// Whether the application waits for the stream to run.
    is_starting: bool,
    /// Whether the log already has the line that announces the next chunk.
    is_announced: bool,
    /// The protocol's state. The C library shows it in its struct.
    pub state: State,
    encoder: Encoder,
    decoder: Decoder<B>,
    /// Timestamp of the first media after a pause, which librtmp does not show its callers.
    newest: Option<u32>,
    /// The end of each message in the queue, counted as `queued`, if messages are written one by one.
    ends: VecDeque<u64>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// The peer's announcement.
    peer: Option<Peer>,
    /// The announcement that a server sends when it accepts a client.
    announced: Option<Box<Capabilities>>,
    /// The server's last request to reconnect.
    reconnect: Option<Box<Reconnect>>,
    counters: Counters,
    /// Streams that are published besides the first one.
    further: Streams,
}

/// The counters of [`Session::stats`] besides the totals of the chunk layer.
#[derive(Default)]
struct Counters {
    /// Bytes that were not encoded as chunks here: those of the handshake, and bytes that the application had encoded.
    bytes_in: u64,
    bytes_out: u64,
    acknowledged: u64,
    /// The times when the handshake began and ended, when `connect` was answered, and when the stream began.
    begun: Option<Instant>,
    shaken: Option<Instant>,
    connected: Option<Instant>,
    streaming: Option<Instant>,
}

enum Side {
    Client,
    Server(Box<Requests>),
}

enum Stage {
    ClientHandshake(Box<handshake::Client>),
    ServerHandshake(Box<handshake::Server>),
    Open,
    /// The goodbye is in the queue. Later input is dropped.
    Closing,
}

/// The result of [`Session::receive`].
#[derive(Debug)]
pub struct Received<B = Vec<u8>> {
    /// Bytes of the input that were used. Offer the rest again, with more after it.
    pub used: usize,
    /// The event; `None` asks for more input.
    pub event: Option<Event<B>>,
}

/// An event of a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<B = Vec<u8>> {
    /// The handshake has ended. A client sends [`Session::connect`] next.
    Handshaken {
        /// Whether the connection is encrypted (RTMPE).
        encrypted: bool,
        /// The answer to a request for SWF verification; only signed handshakes have one.
        swf_response: Option<handshake::Response>,
    },
    /// The stream of a client plays, or may be published.
    Streaming,
    /// Audio, video, metadata, or an aggregate of these.
    Media(Message<B>),
    /// The peer has ended the stream with this message.
    Ended(Message<B>),
    /// The server has refused the stream. The session is closing.
    Refused(Refusal),
    /// The server requires a publisher to log in. Connect again, with these bytes appended to the application's name and to its
    /// URL.
    Login(Vec<u8>),
    /// A client requests something from a server. [`Session::accept`] or [`Session::refuse`] answers; nothing is received
    /// before that.
    Request(Request),
    /// The server asks its client to connect again. The session continues.
    Reconnect(Reconnect),
    /// The client of a server has released a message stream.
    StreamClosed {
        /// The message stream.
        stream_id: u32,
    },
}

/// The limit of queued answers in bytes. With more, nothing is received until the peer has read some of them.
pub const MAX_ANSWERS: usize = 64 << 10;

impl<B: Body> Session<B> {
    /// A client's session. `timeout` limits each phase: the handshake, and the answer to each command that a stream needs
    /// before it runs.
    pub fn client(
        options: ClientOptions,
        timeout: Option<Duration>,
        random: Random<'_>,
        now: Instant,
    ) -> Result<Self> {
        let client = Box::new(handshake::Client::new(options, random)?);
        let mut session = Self::new(Side::Client, Stage::Open, timeout);
        session.enqueue(|out| fill(out, client.start()));
        session.counters.bytes_out = session.queued;
        session.counters.begun = Some(now);
        session.stage = Stage::ClientHandshake(client);
        session.begin_phase(now);
        Ok(session)
    }

    /// A server's session with a client that has connected. `timeout` limits the handshake, and the wait for `connect` after
    /// it.
    pub fn server(
        options: ServerOptions,
        timeout: Option<Duration>,
        random: Random<'_>,
        now: Instant,
    ) -> Result<Self> {
        let server = Box::new(handshake::Server::new(options, random)?);
        let mut session = Self::new(Side::Server(Box::default()), Stage::ServerHandshake(server), timeout);
        session.counters.begun = Some(now);
        session.begin_phase(now);
        Ok(session)
    }

    /// The session of a server that answers all commands itself.
    pub fn bare_server(options: ServerOptions, random: Random<'_>) -> Result<Self> {
        let server = Box::new(handshake::Server::new(options, random)?);
        Ok(Self::new(Side::Client, Stage::ServerHandshake(server), None))
    }

    fn new(side: Side, stage: Stage, timeout: Option<Duration>) -> Self {
        Self {
            state: State { acknowledges: true, ..State::NEW },
            side,
            stage,
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            receiving: None,
            sending: None,
            queue: Queue::default(),
            queued: 0,
            ends: VecDeque::new(),
            marks_ends: false,
            answers: Answers::default(),
            is_starting: false,
            newest: None,
            first_chunk: 0,
            answered: 0,
            timeout,
            deadline: None,
            descriptor: None,
            is_announced: false,
            peer: None,
            announced: None,
            reconnect: None,
            counters: Counters::default(),
            further: Streams::default(),
        }
    }

    /// The socket's number in the log.
    pub fn set_descriptor(&mut self, descriptor: Option<i32>) {
        self.descriptor = descriptor;
    }

    /// Decrypts bytes that have just been received, each once.
    pub fn decrypt(&mut self, fresh: &mut [u8]) {
        if let Some(cipher) = &mut self.receiving {
            cipher.apply(fresh);
        }
    }

    /// Takes all unread bytes, and returns the next event. Call it again until there is no event.
    ///
    /// An error ends the session.
    pub fn receive(
        &mut self,
        application: &mut dyn Application,
        input: &mut [u8],
        now: Instant,
    ) -> Result<Received<B>> {
        let mut used = 0;
        while self.wants_input() {
            let event = match &mut self.stage {
                Stage::ClientHandshake(client) => {
                    let progress = client.advance(&input[used..])?;
                    self.shake_hands(progress, input, &mut used, now)
                }
                Stage::ServerHandshake(server) => {
                    let progress = server.advance(&input[used..])?;
                    self.shake_hands(progress, input, &mut used, now)
                }
                Stage::Open => {
                    let (consumed, message) = self.decode(application, &input[used..])?;
                    used += consumed;
                    match message {
                        Some(message) => self.react(application, message, now)?,
                        None => return Ok(Received { used, event: None }),
                    }
                }
                Stage::Closing => return Ok(Received { used: input.len(), event: None }),
            };
            match event {
                Reacted::Event(event) => return Ok(Received { used, event: Some(event) }),
                Reacted::Unfinished => return Ok(Received { used, event: None }),
                Reacted::Done => {}
            }
        }
        Ok(Received { used, event: None })
    }

    /// Reads up to the end of one chunk without reacting to it. Returns how many bytes that took.
    pub fn receive_chunk(
        &mut self,
        application: &mut dyn Application,
        input: &[u8],
    ) -> Result<(usize, Option<Chunk<B>>)> {
        let logs = log_enabled!(Level::Trace);
        if logs && !self.is_announced {
            packet_log::log_reading(self.descriptor);
            self.is_announced = true;
        }
        let decoded = self
            .decoder
            .decode(input, chunk_size(self.state.in_chunk_size))
            .inspect_err(|error| error!("RTMP_ReadPacket, {error}"))?;
        if let Some(chunk) = &decoded.chunk {
            self.is_announced = false;
            if logs {
                packet_log::log_chunk(chunk, &self.decoder);
            }
            if let Some(message) = &chunk.message {
                self.counters.look_at(message.kind, message.body.as_ref());
                application.arrived(message.chunk_stream, message.timestamp);
            }
        }
        self.count(application, decoded.consumed)?;
        Ok((decoded.consumed, decoded.chunk))
    }

    /// Begins a call that receives; the log then announces the next chunk again.
    pub fn begin_receiving(&mut self) {
        self.is_announced = false;
    }

    /// Whether received bytes would be used. They are not used while the peer does not read the answers to its messages, and
    /// while a request waits for its answer. A session that is closing continues to read, so that the peer does so, too.
    pub fn wants_input(&self) -> bool {
        if matches!(self.stage, Stage::Closing) {
            return true;
        }
        let answered = match &self.side {
            Side::Client => true,
            Side::Server(requests) => !requests.is_pending(),
        };
        answered && self.answers.len() <= MAX_ANSWERS
    }

    /// Whether a request of a server's client waits for its answer.
    pub fn has_request(&self) -> bool {
        matches!(&self.side, Side::Server(requests) if requests.is_pending())
    }

    /// The time at which the current phase fails.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Fails if the current phase has taken too long. The session can continue: [`Session::begin_phase`] gives it more time.
    pub fn check(&self, now: Instant) -> Result<()> {
        match self.deadline {
            Some(deadline) if deadline <= now => Err(Error::TimedOut),
            _ => Ok(()),
        }
    }

    /// Restarts the time of the current phase.
    pub fn begin_phase(&mut self, now: Instant) {
        self.deadline = self.timeout.and_then(|timeout| now.checked_add(timeout));
    }

    /// Whether the handshake has ended and the session is not closing.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// The number of our commands that the peer has answered.
    pub fn answered(&self) -> u32 {
        self.answered
    }

    /// Whether the connection is encrypted (RTMPE).
    pub fn is_encrypted(&self) -> bool {
        self.sending.is_some()
    }

    /// The decoder of received messages.
    pub fn decoder(&mut self) -> &mut Decoder<B> {
        &mut self.decoder
    }

    /// The encoder of sent messages.
    pub fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    /// Sets whether the application waits for the stream to run. Media that arrives before is dropped.
    pub fn set_starting(&mut self, is_starting: bool) {
        self.is_starting = is_starting;
    }

    /// See [`Session::set_starting`].
    pub fn is_starting(&self) -> bool {
        self.is_starting
    }

    /// Remembers the position of the stream, for a pause.
    pub fn remember_pause(&mut self) {
        if self.state.pausing == pausing::NO {
            self.state.pause_timestamp = self.media_clock();
        }
    }

    /// The peer's announcement: a server sends it in the result of `connect`, a client in `connect`. `None` before that.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Stores the announcement from a `connect` that the application has received itself.
    pub fn set_peer(&mut self, peer: Peer) {
        self.peer = Some(peer);
    }

    /// Takes the server's last request to connect again.
    pub fn take_reconnect(&mut self) -> Option<Reconnect> {
        self.reconnect.take().map(|request| *request)
    }

    /// Timestamp of the last message on the chunk stream that media comes on.
    pub fn media_clock(&self) -> u32 {
        self.decoder.clock(self.state.media_chunk_stream as u32)
    }

    /// The statistics of the session, without those of the connection below it.
    pub fn stats(&self) -> Stats {
        let Counters { bytes_in, bytes_out, acknowledged, begun, shaken, connected, streaming } =
            self.counters;
        let (decoded, encoded) = (self.decoder.totals(), self.encoder.totals());
        let between = |from: Option<Instant>, to: Option<Instant>| {
            to.zip(from).map_or(Duration::ZERO, |(to, from)| spent(from, to))
        };
        let bytes_out = bytes_out + encoded.bytes;
        Stats {
            bytes_in: bytes_in + decoded.bytes,
            bytes_out,
            messages_in: decoded.messages,
            messages_out: encoded.messages,
            // A peer may send any number.
            acknowledged: acknowledged.min(bytes_out),
            queued: self.queue.len() as u64,
            phases: Phases {
                handshake: between(begun, shaken),
                connect: between(shaken, connected),
                stream: between(connected, streaming),
                ..Phases::default()
            },
            ..Stats::default()
        }
    }

    fn shake_hands(
        &mut self,
        progress: Progress,
        input: &mut [u8],
        used: &mut usize,
        now: Instant,
    ) -> Reacted<B> {
        let Progress { consumed, output, outcome } = progress;
        *used += consumed;
        self.state.bytes_in = self.state.bytes_in.wrapping_add(consumed as u32);
        let waits = consumed == 0 && output.is_empty();
        self.counters.begun.get_or_insert(now);
        self.counters.bytes_in += consumed as u64;
        self.counters.bytes_out += output.len() as u64;
        self.enqueue(|out| fill(out, output));
        let Some(handshake::Outcome { keys, swf_response }) = outcome else {
            return if waits { Reacted::Unfinished } else { Reacted::Done };
        };
        self.stage = Stage::Open;
        self.counters.shaken = Some(now);
        match self.side {
            // The application decides what comes next.
            Side::Client => self.deadline = None,
            // Clients send their request at once.
            Side::Server(_) => self.begin_phase(now),
        }
        let encrypted = keys.is_some();
        if let Some(Keys { mut receive, send }) = keys {
            receive.apply(&mut input[*used..]);
            self.receiving = Some(receive);
            self.sending = Some(send);
        }
        Reacted::Event(Event::Handshaken { encrypted, swf_response })
    }

    /// The next message of the input, and the number of bytes that it took.
    fn decode<'i>(
        &mut self,
        application: &mut dyn Application,
        input: &'i [u8],
    ) -> Result<(usize, Option<Message<Content<'i, B>>>)> {
        let logs = log_enabled!(Level::Trace);
        if let Some((used, message)) = if logs { None } else { self.decode_in_place(input) } {
            application.arrived(message.chunk_stream, message.timestamp);
            self.count(application, used)?;
            return Ok((used, Some(message)));
        }
        let (used, message) = self.decode_to_body(application, input, logs)?;
        let message = message.map(|message| {
            let Message { chunk_stream, format, kind, timestamp, stream_id, body } = message;
            Message { chunk_stream, format, kind, timestamp, stream_id, body: Content::Own(body) }
        });
        Ok((used, message))
    }

    /// A short message for the session itself, which needs no memory of its own.
    fn decode_in_place<'i>(&mut self, input: &'i [u8]) -> Option<(usize, Message<Content<'i, B>>)> {
        let ready = self.decoder.ready(input, chunk_size(self.state.in_chunk_size))?;
        let is_own = matches!(ready.kind, MessageType::COMMAND | MessageType(..=6));
        let bytes = ready.as_one().filter(|_| is_own)?;
        self.decoder.take_ready(&ready);
        let Ready { chunk_stream, format, kind, timestamp, stream_id, .. } = ready;
        self.counters.look_at(kind, bytes);
        let body = Content::Here(bytes);
        Some((ready.consumed, Message { chunk_stream, format, kind, timestamp, stream_id, body }))
    }

    fn decode_to_body(
        &mut self,
        application: &mut dyn Application,
        input: &[u8],
        logs: bool,
    ) -> Result<(usize, Option<Message<B>>)> {
        if logs {
            // The log shows each chunk.
            let mut used = 0;
            loop {
                let (consumed, chunk) = self.receive_chunk(application, &input[used..])?;
                used += consumed;
                let Some(chunk) = chunk else { return Ok((used, None)) };
                if chunk.message.is_some() {
                    return Ok((used, chunk.message));
                }
            }
        }
        let (used, message) = self
            .decoder
            .decode_message(input, chunk_size(self.state.in_chunk_size))
            .inspect_err(|error| error!("RTMP_ReadPacket, {error}"))?;
        if let Some(message) = &message {
            self.counters.look_at(message.kind, message.body.as_ref());
            application.arrived(message.chunk_stream, message.timestamp);
        }
        self.count(application, used)?;
        Ok((used, message))
    }

    /// Counts received bytes, and acknowledges them when that is due.
    fn count(&mut self, application: &mut dyn Application, bytes: usize) -> Result<()> {
        self.state.bytes_in = self.state.bytes_in.wrapping_add(bytes as u32);
        self.acknowledge_if_due(application)
    }

    /// Queues an acknowledgement if one is due.
    pub fn acknowledge_if_due(&mut self, application: &mut dyn Application) -> Result<()> {
        match self.state.acknowledgement_due() {
            Some(acknowledgement) => self.reply(application, &acknowledgement),
            None => Ok(()),
        }
    }
}

impl Counters {
    /// Acknowledgements count modulo 2^32 (RTMP 1.0, section 5.4.3).
    fn look_at(&mut self, kind: MessageType, body: &[u8]) {
        if kind != MessageType::ACKNOWLEDGEMENT {
            return;
        }
        if let Some(bytes) = body.first_chunk().copied().map(u32::from_be_bytes) {
            self.acknowledged += u64::from(bytes.wrapping_sub(self.acknowledged as u32));
        }
    }
}

/// The consequence of a message, besides answers.
#[derive(Debug)]
pub enum Consequence {
    /// Nothing.
    None,
    /// The session is closing; the goodbye is in the queue.
    Closed,
    /// The server has refused the stream, and the session is closing.
    Refused(Refusal),
    /// See [`Event::Login`].
    Login(Vec<u8>),
}

/// The result of a step of [`Session::receive`].
enum Reacted<B> {
    /// The application has to know.
    Event(Event<B>),
    /// The input had no event; there may be more input.
    Done,
    /// More input is needed.
    Unfinished,
}

impl<B: Body> Default for Session<B> {
    /// A session without a handshake, on which nothing has been sent.
    fn default() -> Self {
        Self::new(Side::Client, Stage::Open, None)
    }
}

/// Appends bytes, whose memory an empty queue takes over.
fn fill(out: &mut Vec<u8>, bytes: Vec<u8>) {
    if out.capacity() == 0 { *out = bytes } else { out.extend(bytes) }
}

/// A chunk size from [`State`]; an invalid value that a C program stored counts as the default.
pub fn chunk_size(stored: i32) -> u32 {
    u32::try_from(stored).ok().and_then(chunk::valid_chunk_size).unwrap_or(chunk::DEFAULT_CHUNK_SIZE)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::{
        chunk::Outgoing,
        features, random,
        session::{Command, Connect, command},
    };

    type Wishes = (Profile<'static>, Vec<(Vec<u8>, i32)>);

    /// One end, and the bytes that have arrived for it.
    struct End {
        session: Session,
        wishes: Wishes,
        input: Vec<u8>,
        events: Vec<Event>,
        /// The reason with which it refuses the first request, if any.
        refusal: Option<&'static str>,
    }

    fn timeout() -> Option<Duration> {
        Some(Duration::from_secs(10))
    }

    impl End {
        fn new(session: Session, profile: Profile<'static>) -> Self {
            let (input, events, refusal) = (Vec::new(), Vec::new(), None);
            Self { session, wishes: (profile, Vec::new()), input, events, refusal }
        }

        /// Moves the bytes that the other end has sent, `step` bytes at a time.
        fn take_from(&mut self, other: &mut Self, step: usize, now: Instant) -> Result<bool> {
            let count = other.session.unsent().len().min(step);
            let start = self.input.len();
            self.input.extend_from_slice(&other.session.unsent()[..count]);
            other.session.sent(count);
            self.session.decrypt(&mut self.input[start..]);
            loop {
                let received = self.session.receive(&mut self.wishes, &mut self.input, now)?;
                self.input.drain(..received.used);
                match received.event {
                    None => return Ok(count > 0),
                    Some(Event::Handshaken { .. }) if matches!(self.session.side, Side::Client) => {
                        self.session.connect(&mut self.wishes, &[], now)?;
                    }
                    Some(Event::Request(request)) => {
                        match self.refusal {
                            Some(words) => self.session.refuse(&mut self.wishes, words)?,
                            None => self.session.accept(&mut self.wishes)?,
                        }
                        self.events.push(Event::Request(request));
                    }
                    Some(event) => self.events.push(event),
                }
            }
        }

        fn media(&self) -> Vec<(u32, Vec<u8>)> {
            let media = |event: &Event| match event {
                Event::Media(message) => Some((message.timestamp, message.body.clone())),
                _ => None,
            };
            self.events.iter().filter_map(media).collect()
        }

        fn streams(&self) -> bool {
            self.events.iter().any(|event| matches!(event, Event::Streaming))
        }
    }

    fn pair(publish: bool, encrypted: bool, now: Instant) -> (End, End) {
        let options = ClientOptions { encrypted, ..ClientOptions::default() };
        let client = Session::client(options, timeout(), &mut random::system, now).unwrap();
        let server = Session::server(ServerOptions::default(), timeout(), &mut random::system, now).unwrap();
        let profile = Profile {
            app: b"app",
            tc_url: b"rtmp://host/app",
            stream_name: b"name",
            publish,
            live: true,
            ..Profile::default()
        };
        (End::new(client, profile), End::new(server, Profile::default()))
    }

    fn exchange_all(a: &mut End, b: &mut End, step: usize, now: Instant) {
        while a.take_from(b, step, now).unwrap() | b.take_from(a, step, now).unwrap() {}
    }

    fn send(end: &mut End, stream_id: u32, timestamp: u32, body: &[u8], room: usize) {
        let message =
            Outgoing { chunk_stream: 6, format: 1, kind: MessageType::VIDEO, timestamp, stream_id, body };
        let mut wire = Vec::new();
        let mut left = room;
        let write = |slices: &[IoSlice<'_>]| {
            let mut count = 0;
            for slice in slices {
                let taken = slice.len().min(left);
                wire.extend_from_slice(&slice[..taken]);
                (left, count) = (left - taken, count + taken);
            }
            Ok(count)
        };
        end.session.send(&message, write).unwrap();
        // As if the connection had accepted that many bytes before the rest of the queue.
        let rest = end.session.unsent().to_vec();
        end.session.sent(rest.len());
        end.session.queue.append(|out| {
            out.extend(wire);
            out.extend(rest);
        });
    }

    #[test]
    fn a_client_that_does_not_connect_has_its_time() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        let later = now + Duration::from_secs(9);
        while !server.session.is_open() {
            client.take_from(&mut server, usize::MAX, now).unwrap();
            server.take_from(&mut client, 1, later).unwrap();
        }
        assert!(server.session.check(later + Duration::from_secs(9)).is_ok());
        assert!(matches!(server.session.check(later + Duration::from_secs(10)), Err(Error::TimedOut)));
        exchange_all(&mut client, &mut server, usize::MAX, later);
        assert!(client.streams() && server.session.deadline().is_none());
    }

    #[test]
    fn a_stream_goes_from_a_client_to_a_server() {
        let now = Instant::now();
        for (encrypted, step) in [(false, 1), (false, 1000), (true, 100_000)] {
            if encrypted && !features::RTMPE.is_built() {
                continue;
            }
            let (mut client, mut server) = pair(true, encrypted, now);
            exchange_all(&mut client, &mut server, step, now);
            assert!(client.streams() && client.session.deadline().is_none());
            let [Event::Handshaken { encrypted: said, .. }, Event::Request(connect), Event::Request(publish)] =
                &server.events[..]
            else {
                panic!("{:?}", server.events)
            };
            assert_eq!(*said, encrypted);
            assert!(matches!(connect, Request::Connect(Connect { app, .. }) if app == b"app"));
            let name = b"name".to_vec();
            assert_eq!(*publish, Request::Publish { stream_id: 1, name, kind: b"live".to_vec() });
            let bodies = [vec![1; 10], vec![2; 20_000], vec![3; 100], vec![4; 300_000]];
            for room in [0, 5, 17_000, usize::MAX] {
                for (at, body) in bodies.iter().enumerate() {
                    send(&mut client, 1, 40 * at as u32, body, room);
                }
            }
            exchange_all(&mut client, &mut server, step, now);
            let expected = bodies.iter().enumerate().map(|(at, body)| (40 * at as u32, body.clone()));
            let expected: Vec<_> = expected.cycle().take(16).collect();
            assert!(server.media() == expected);
            client.session.close(&mut client.wishes);
            exchange_all(&mut client, &mut server, step, now);
            assert!(matches!(server.events.last(), Some(Event::StreamClosed { stream_id: 1 })));
        }
    }

    #[test]
    fn a_stream_goes_from_a_server_to_a_client() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        exchange_all(&mut client, &mut server, 77, now);
        assert!(client.streams());
        send(&mut server, 1, 0, &[7; 500], usize::MAX);
        exchange_all(&mut client, &mut server, 77, now);
        assert_eq!(client.media(), [(0, vec![7; 500])]);
        server.session.end_stream(&mut server.wishes, 1).unwrap();
        exchange_all(&mut client, &mut server, 77, now);
        assert!(client.events.iter().any(|event| matches!(event, Event::Ended(_))));
    }

    #[test]
    fn a_refused_stream_is_reported_with_the_servers_words() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        while server.session.wants_input() {
            let moved = server.session.unsent().len() + client.session.unsent().len();
            assert!(moved > 0);
            client.take_from(&mut server, 10_000, now).unwrap();
            let count = client.session.unsent().len();
            server.input.extend_from_slice(client.session.unsent());
            client.session.sent(count);
            while let Some(event) = {
                let received = server.session.receive(&mut server.wishes, &mut server.input, now).unwrap();
                server.input.drain(..received.used);
                received.event
            } {
                if matches!(event, Event::Request(Request::Connect(_))) {
                    server.session.accept(&mut server.wishes).unwrap();
                }
            }
        }
        server.session.refuse(&mut server.wishes, "there is no such stream").unwrap();
        client.take_from(&mut server, 10_000, now).unwrap();
        let refusal = client.events.iter().find_map(|event| match event {
            Event::Refused(refusal) => Some(refusal),
            _ => None,
        });
        let refusal = refusal.expect("it is refused");
        assert_eq!(refusal.code, "NetStream.Play.StreamNotFound");
        assert_eq!(refusal.description, "there is no such stream");
    }

    #[test]
    fn messages_repeated_after_a_pause_arrive_once() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        client.wishes.0.buffer_events = true;
        exchange_all(&mut client, &mut server, 1000, now);
        let (run_dry, mut next) = (command::user_control(31, &[0, 0, 0, 1]), 1);
        for last in [3, 4, 7] {
            for timestamp in next..=last {
                send(&mut server, 1, timestamp, b"x", usize::MAX);
            }
            server.session.send_command(&mut server.wishes, &run_dry).unwrap();
            exchange_all(&mut client, &mut server, 1000, now);
            assert_eq!(client.session.state.pausing, pausing::ASKED);
            let confirm = Command {
                kind: MessageType::COMMAND,
                chunk_stream: 5,
                body: {
                    let mut body = crate::amf::Encoder::new();
                    body.string(b"onStatus").number(0.0).null().begin_object();
                    body.named_string(b"code", b"NetStream.Pause.Notify").end_object();
                    body.into_bytes()
                },
                ..run_dry.clone()
            };
            server.session.send_command(&mut server.wishes, &confirm).unwrap();
            exchange_all(&mut client, &mut server, 1000, now);
            assert_eq!(client.session.state.pausing, pausing::RESUMING);
            // The next read continues at the last message that the client has.
            next = last;
        }
        send(&mut server, 1, 7, b"x", usize::MAX);
        send(&mut server, 1, 8, b"x", usize::MAX);
        exchange_all(&mut client, &mut server, 1000, now);
        assert!(client.media().iter().map(|media| media.0).eq(1..=8));
    }

    #[test]
    fn phase_that_times_out_can_continue() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        let late = now + Duration::from_secs(10);
        assert!(client.session.check(late - Duration::from_millis(1)).is_ok());
        assert!(matches!(client.session.check(late), Err(Error::TimedOut)));
        client.session.begin_phase(late);
        assert!(client.session.check(late).is_ok());
        exchange_all(&mut client, &mut server, 5, late);
        assert!(client.streams());
    }

    #[test]
    fn a_peer_that_does_not_read_its_answers_is_not_read_from() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        exchange_all(&mut client, &mut server, 1000, now);
        let ping = command::user_control(6, &[0, 0, 0, 1]);
        for _ in 0..20_000 {
            server.session.send_command(&mut server.wishes, &ping).unwrap();
        }
        while client.take_from(&mut server, 1000, now).unwrap() {
            assert!(client.session.queued() <= MAX_ANSWERS + 1000);
        }
        assert!(!client.session.wants_input() && !client.input.is_empty());
        exchange_all(&mut client, &mut server, 1000, now);
        assert!(client.session.wants_input() && client.input.is_empty());
    }

    #[test]
    fn answers_that_were_sent_do_not_count_although_the_queue_is_never_empty() {
        let now = Instant::now();
        let (mut client, mut server) = pair(true, false, now);
        exchange_all(&mut client, &mut server, 1000, now);
        let ping = command::user_control(6, &[0, 0, 0, 1]);
        for _ in 0..20_000 {
            while client.session.queued() <= 2 * MAX_ANSWERS {
                let message = Outgoing {
                    chunk_stream: 6,
                    format: 1,
                    kind: MessageType::VIDEO,
                    timestamp: 0,
                    stream_id: 1,
                    body: &[0; 10_000],
                };
                client.session.send(&message, |_| Ok(0)).unwrap();
            }
            server.session.send_command(&mut server.wishes, &ping).unwrap();
            client.take_from(&mut server, 1000, now).unwrap();
            server.take_from(&mut client, 1000, now).unwrap();
            assert!(client.session.wants_input());
        }
    }

    #[test]
    fn requests_wait_while_the_client_does_not_read_replies() {
        let now = Instant::now();
        let (mut client, mut server) = pair(true, false, now);
        exchange_all(&mut client, &mut server, 1000, now);
        let publish = command::publish(&mut client.session.state, &client.wishes.0);
        for _ in 0..2000 {
            client.session.send_command(&mut client.wishes, &publish).unwrap();
        }
        while server.take_from(&mut client, 1000, now).unwrap() {
            assert!(server.session.queued() <= MAX_ANSWERS + 1000);
        }
        assert!(!server.session.wants_input());
        exchange_all(&mut client, &mut server, 1000, now);
        assert!(server.session.wants_input() && server.input.is_empty());
    }

    #[test]
    fn only_answers_that_a_stream_needs_begin_a_phase() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        client.wishes.0.buffer_events = true;
        while Calls::transaction_of(&client.wishes.1, b"play").is_none() {
            server.take_from(&mut client, 10_000, now).unwrap();
            client.take_from(&mut server, 10_000, now).unwrap();
        }
        let later = now + Duration::from_secs(5);
        let deadline = client.session.deadline();
        assert!(deadline.is_some());
        // The client pauses, and receives an answer.
        let run_dry = command::user_control(31, &[0, 0, 0, 1]);
        server.session.send_command(&mut server.wishes, &run_dry).unwrap();
        client.take_from(&mut server, 10_000, later).unwrap();
        let (name, transaction) = client.wishes.1.last().cloned().unwrap();
        assert_eq!(name, b"pause");
        let mut body = crate::amf::Encoder::new();
        body.string(b"_result").number(f64::from(transaction)).null();
        let answer =
            Command { kind: MessageType::COMMAND, chunk_stream: 3, body: body.into_bytes(), ..run_dry };
        server.session.send_command(&mut server.wishes, &answer).unwrap();
        client.take_from(&mut server, 10_000, later).unwrap();
        assert!(!client.wishes.1.iter().any(|call| call.0 == b"pause"));
        assert_eq!(client.session.deadline(), deadline);
    }

    #[test]
    fn a_login_waits_for_nothing_on_the_old_connection() {
        let now = Instant::now();
        let (mut client, mut server) = pair(true, false, now);
        (client.wishes.0.user, client.wishes.0.password) = (b"user", b"password");
        server.refusal = Some("code=403 need auth; authmod=adobe");
        exchange_all(&mut client, &mut server, 1000, now);
        assert!(
            matches!(client.events.last(), Some(Event::Login(token)) if token == b"?authmod=adobe&user=user")
        );
        assert!(client.session.deadline().is_none());
    }

    #[test]
    fn a_time_out_anywhere_loses_nothing() {
        let now = Instant::now();
        let (mut client, mut server) = pair(false, false, now);
        exchange_all(&mut client, &mut server, 1000, now);
        for (timestamp, length) in [(0, 10), (40, 300), (80, 1000)] {
            send(&mut server, 1, timestamp, &vec![timestamp as u8; length], usize::MAX);
        }
        // A wait that ends after each byte, and a call that begins again.
        while client.take_from(&mut server, 1, now).unwrap() {
            assert!(client.session.is_open());
            client.session.begin_receiving();
            client.session.remember_pause();
        }
        let expected = [(0, 10), (40, 300), (80, 1000)]
            .map(|(timestamp, length)| (timestamp, vec![timestamp as u8; length]));
        assert_eq!(client.media(), expected);
    }

    #[test]
    fn nonsense_in_the_chunk_sizes_counts_as_the_default() {
        let now = Instant::now();
        for nonsense in [0, -1, i32::MIN] {
            let (mut client, mut server) = pair(false, false, now);
            exchange_all(&mut client, &mut server, 1000, now);
            client.session.state.in_chunk_size = nonsense;
            server.session.state.out_chunk_size = nonsense;
            send(&mut server, 1, 40, &[7; 500], usize::MAX);
            exchange_all(&mut client, &mut server, 50, now);
            assert_eq!(client.media(), [(40, vec![7; 500])]);
        }
    }
}
