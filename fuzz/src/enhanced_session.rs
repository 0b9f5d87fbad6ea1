//! A whole session of Enhanced RTMP, both ends as machines: each knows what the other announces, media arrives as it was
//! sent, and a reconnect request arrives and leads nowhere that it must not. Whatever else is said, both ends continue or fail.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rtmp_core::{
    chunk::Outgoing,
    error::{Error, Result},
    handshake::{ClientOptions, ServerOptions},
    media::{self, Codec, FourCc, Frame, Kind, Message, Packet, Track},
    message::MessageType,
    session::{Application, Calls, Capabilities, Event, Profile, Reconnect, Request, Session, feature, video_function},
};

use super::{
    counted::Counted,
    input::{self, Cuts},
};

/// What the first byte chooses.
const PUBLISH: u8 = 0x01;
const CLIENT_ANNOUNCES: u8 = 0x02;
const SERVER_ANNOUNCES: u8 = 0x04;
/// The session is one of AMF3.
const AMF3: u8 = 0x08;
/// The connection is said to be inside TLS.
const TLS: u8 = 0x10;

/// More than this many steps show nothing new.
const MAX_STEPS: usize = 64;

/// What both ends may have queued after one step: the messages here are short.
const MAX_QUEUED: usize = 128 << 10;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let mut input = Input(bytes);
    let own = if choice & CLIENT_ANNOUNCES != 0 { capabilities(&mut input) } else { Capabilities::default() };
    let mut announced =
        if choice & SERVER_ANNOUNCES != 0 { capabilities(&mut input) } else { Capabilities::default() };
    // That property is the client's.
    announced.video_function = None;
    let mut session = Both::new(choice, cuts, own, announced);
    for _ in 0..MAX_STEPS {
        if input.0.is_empty() || session.is_over() {
            break;
        }
        session.step(&mut input);
    }
    drop(session);
    assert_eq!(Counted::reserved(), 0);
}

/// The bytes that are left; zeros follow them.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Up to 255 bytes with their number in front.
    fn bytes(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.take(count.into())
    }

    fn number(&mut self) -> u32 {
        self.take(4).iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    fn codec(&mut self) -> FourCc {
        const KNOWN: [FourCc; 8] = [
            FourCc::AVC,
            FourCc::HEVC,
            FourCc::VVC,
            FourCc::AV1,
            FourCc::VP9,
            FourCc::OPUS,
            FourCc::AAC,
            FourCc::FLAC,
        ];
        match KNOWN.get(usize::from(self.byte() & 0xF)) {
            Some(known) => *known,
            None => FourCc(self.number()),
        }
    }

    fn kind(&mut self) -> Kind {
        if self.byte() & 1 == 0 { Kind::Audio } else { Kind::Video }
    }
}

fn capabilities(input: &mut Input<'_>) -> Capabilities {
    let mut own = Capabilities::default();
    for _ in 0..input.byte() % 8 {
        let kind = input.kind();
        if input.byte() & 3 == 0 {
            own.set_all_codecs(kind, input.number());
        } else {
            let codec = input.codec();
            own.set_codec(kind, codec, input.number());
        }
    }
    match input.byte() % 3 {
        0 => {}
        1 => own.features = Some(u32::from(input.byte())),
        _ => own.features = Some(input.number()),
    }
    if input.byte() & 1 != 0 {
        own.video_function = Some(video_function::HDR | video_function::METADATA);
    }
    own
}

/// The tracks of a message that may are invalid.
fn tracks<'a>(input: &mut Input<'a>, kind: Kind) -> Vec<Track<'a>> {
    let packet = match input.byte() % 8 {
        0 => Packet::Config,
        1 => Packet::TsConfig,
        2 => Packet::End,
        3 => Packet::Metadata,
        4 => Packet::Channels,
        5 => Packet::Command,
        _ => Packet::Frames,
    };
    let frame = match input.byte() % 5 {
        0 => Some(Frame::Key),
        1 => Some(Frame::Inter),
        2 => Some(Frame::Disposable),
        3 => Some(Frame::GeneratedKey),
        _ => None,
    };
    let frame = frame.filter(|_| kind == Kind::Video && !matches!(packet, Packet::Metadata | Packet::Command));
    (0..1 + input.byte() % 4)
        .map(|_| {
            let codec = if input.byte() & 0xF == 0 { Codec::None } else { Codec::FourCc(input.codec()) };
            let (id, offset) = (input.byte(), input.number() as i32 >> 8);
            Track { codec, id, packet, frame, offset, body: input.bytes() }
        })
        .collect()
}

struct Both {
    choice: u8,
    cuts: Cuts,
    own: Capabilities,
    client: End,
    server: End,
    now: Instant,
    stream_id: u32,
    time: u32,
    /// Nothing was said that may have ended the stream, or changed what is meant.
    is_plain: bool,
}

struct End {
    session: Session<Counted>,
    owner: Owner,
    input: Vec<u8>,
    events: Vec<Event<Counted>>,
    is_over: bool,
}

struct Owner {
    choice: u8,
    own: Option<Capabilities>,
    calls: Vec<(Vec<u8>, i32)>,
}

impl Application for Owner {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let profile = Profile {
            publish: self.choice & PUBLISH != 0,
            app: b"app",
            tc_url: b"rtmp://host/app",
            stream_name: b"name",
            capabilities: self.own.as_ref().filter(|own| !own.is_empty()),
            all_data: true,
            ..Profile::default()
        };
        (profile, &mut self.calls)
    }

    fn wants_notices(&self) -> bool {
        true
    }
}

impl End {
    fn new(session: Result<Session<Counted>>, choice: u8, own: Option<Capabilities>) -> Self {
        Self {
            session: session.expect("there are random bytes"),
            owner: Owner { choice, own, calls: Vec::new() },
            input: Vec::new(),
            events: Vec::new(),
            is_over: false,
        }
    }

    fn receive(&mut self, piece: &[u8], now: Instant) {
        self.input.extend_from_slice(piece);
        while !self.is_over {
            let Ok(received) = self.session.receive(&mut self.owner, &mut self.input, now) else {
                self.is_over = true;
                break;
            };
            self.input.drain(..received.used);
            let Some(event) = received.event else { break };
            let answer = match &event {
                Event::Handshaken { .. } if self.owner.own.is_some() => self.session.connect(&mut self.owner, b"", now),
                Event::Request(_) => self.session.accept(&mut self.owner),
                Event::Refused(_) | Event::Login(_) | Event::Ended(_) => {
                    self.is_over = true;
                    Ok(())
                }
                _ => Ok(()),
            };
            self.is_over |= answer.is_err();
            self.events.push(event);
        }
        assert!(self.session.queued() <= MAX_QUEUED, "{} bytes are queued", self.session.queued());
    }

    fn send(&mut self, kind: MessageType, stream_id: u32, timestamp: u32, body: &[u8]) {
        let chunk_stream = if matches!(kind, MessageType::AUDIO | MessageType::VIDEO) { 4 } else { 3 };
        let message = Outgoing { chunk_stream, format: 0, kind, timestamp, stream_id, body };
        self.is_over |= self.session.send(&message, |_| Ok(0)).is_err();
    }
}

impl Both {
    fn new(choice: u8, cuts: Cuts, own: Capabilities, announced: Capabilities) -> Self {
        let now = Instant::now();
        let timeout = Some(Duration::from_secs(10));
        let mut random = |bytes: &mut [u8]| {
            bytes.fill(9);
            Ok(())
        };
        let mut client = Session::client(ClientOptions::default(), timeout, &mut random, now);
        if let (Ok(client), true) = (&mut client, choice & AMF3 != 0) {
            client.state.object_encoding = 3.0;
            client.state.sends_encoding = true;
        }
        let server = Session::server(ServerOptions::default(), timeout, &mut random, now);
        let mut both = Self {
            choice,
            cuts,
            client: End::new(client, choice, Some(own.clone())),
            server: End::new(server, choice, None),
            own,
            now,
            stream_id: 0,
            time: 0,
            is_plain: true,
        };
        both.server.session.announce(announced.clone());
        both.pump();
        assert!(!both.is_over(), "two ends that follow the protocol understand each other");
        assert!(both.client.events.iter().any(|event| matches!(event, Event::Streaming)));
        for event in &both.server.events {
            if let Event::Request(Request::Publish { stream_id, .. } | Request::Play { stream_id, .. }) = event {
                both.stream_id = *stream_id;
            }
        }
        for (end, expected) in [(&both.server, &both.own), (&both.client, &announced)] {
            let mut seen = end.session.peer().expect("the other end has spoken").capabilities.clone();
            if expected.video_function.is_none() {
                // Players always say something there.
                seen.video_function = None;
            }
            assert_eq!(seen, *expected);
        }
        both.forget();
        both
    }

    fn is_over(&self) -> bool {
        self.client.is_over || self.server.is_over
    }

    fn forget(&mut self) {
        self.client.events.clear();
        self.server.events.clear();
    }

    /// Carries bytes both ways until there are none.
    fn pump(&mut self) {
        loop {
            let mut moved = false;
            for from_client in [true, false] {
                let (from, to) = if from_client {
                    (&mut self.client, &mut self.server)
                } else {
                    (&mut self.server, &mut self.client)
                };
                let bytes = from.session.unsent().to_vec();
                from.session.sent(bytes.len());
                moved |= !bytes.is_empty();
                for piece in self.cuts.pieces(&bytes) {
                    to.receive(piece, self.now);
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        self.time = self.time.wrapping_add(input.byte().into());
        match input.byte() % 8 {
            0 => {
                let kind = input.kind();
                self.media(kind, input.bytes());
            }
            1..=3 => {
                let kind = input.kind();
                let tracks = tracks(input, kind);
                let nano = (input.byte() & 1 != 0).then(|| input.number() % 1_100_000);
                self.made(&Message { kind, nano, tracks: &tracks });
            }
            4 => self.reconnect(input.bytes(), input.bytes()),
            5 => {
                let to_client = input.byte();
                let kinds = [MessageType::COMMAND, MessageType::COMMAND_AMF3, MessageType::DATA, MessageType::DATA_AMF3];
                let kind = kinds[usize::from(to_client >> 1 & 3)];
                let stream_id = if to_client & 8 != 0 { self.stream_id } else { 0 };
                let from = if to_client & 1 != 0 { &mut self.server } else { &mut self.client };
                self.is_plain = false;
                from.send(kind, stream_id, self.time, input.bytes());
                self.pump();
            }
            6 => {
                let size = 1 + input.number() % 70_000;
                let from = if input.byte() & 1 != 0 { &mut self.server } else { &mut self.client };
                from.is_over |= from.session.set_chunk_size(&mut from.owner, size).is_err();
                self.pump();
            }
            _ => {
                // One that a server of another make may have said.
                let mut body = rtmp_core::amf::Encoder::new();
                body.string(b"onStatus").number(0.0).null().begin_ecma_array(2);
                body.named_string(b"code", b"NetConnection.Connect.ReconnectRequest");
                let url = input.bytes();
                body.named_string(b"tcUrl", url).end_object();
                let body = body.finish();
                self.server.send(MessageType::COMMAND, 0, self.time, &body);
                self.pump();
                self.expect_reconnect(url, b"");
            }
        }
        self.forget();
    }

    /// Sends any bytes as media, which have to arrive.
    fn media(&mut self, kind: Kind, body: &[u8]) {
        let (stream_id, time) = (self.stream_id, self.time);
        let (from, to) = if self.choice & PUBLISH != 0 { (&mut self.client, true) } else { (&mut self.server, false) };
        from.send(kind.message_type(), stream_id, time, body);
        self.pump();
        let end = if to { &self.server } else { &self.client };
        if !self.is_plain {
            return;
        }
        let arrived: Vec<_> = end.events.iter().collect();
        let [Event::Media(message)] = &arrived[..] else { panic!("{} bytes of {kind:?}: {arrived:?}", body.len()) };
        assert_eq!((message.kind, message.timestamp, message.body.as_ref()), (kind.message_type(), time, body));
    }

    /// Sends a message made of its parts, if it makes sense, which has to be understood.
    fn made(&mut self, message: &Message<'_>) {
        let sender = if self.choice & PUBLISH != 0 { &self.client } else { &self.server };
        let peer = sender.session.peer().expect("it has spoken").capabilities.clone();
        if peer.check(message).is_ok() {
            assert!(message.nano.is_none() || peer.has(feature::MODEX | feature::NANO));
            assert!(message.tracks.iter().all(|track| track.id == 0) || peer.has(feature::MULTITRACK));
        }
        let Ok(body) = message.encode() else { return };
        self.media(message.kind, &body);
        let again = media::parse(message.kind, &body).expect("what was written can be read");
        assert_eq!(again.nano, message.nano);
        for (read, written) in again.tracks().zip(message.tracks) {
            let read = read.expect("what was written can be read");
            assert_eq!((read.codec, read.id, read.packet, read.body), (written.codec, written.id, written.packet, written.body));
        }
    }

    fn reconnect(&mut self, url: &[u8], description: &[u8]) {
        let knows = self.own.has(feature::RECONNECT);
        let end = &mut self.server;
        match end.session.request_reconnect(&mut end.owner, url, description) {
            Ok(()) => assert!(knows || !self.is_plain),
            Err(Error::Unsupported(_)) => {
                assert!(!knows || !self.is_plain);
                return;
            }
            Err(_) => end.is_over = true,
        }
        self.pump();
        self.expect_reconnect(url, description);
    }

    fn expect_reconnect(&self, url: &[u8], description: &[u8]) {
        let request = Reconnect { reference: url.to_vec(), description: description.to_vec() };
        if self.is_plain {
            let arrived: Vec<_> = self.client.events.iter().collect();
            let [Event::Reconnect(found)] = &arrived[..] else { panic!("{arrived:?}") };
            assert_eq!(*found, request);
        }
        let is_tls = self.choice & TLS != 0;
        let current: &[u8] = if is_tls { b"rtmps://host/app/inst?key" } else { b"rtmp://host:1936/app" };
        if let Ok(url) = request.resolve(current, is_tls) {
            assert!(url.iter().all(|byte| *byte > b' ' && *byte != 0x7F));
            let scheme = url.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
            assert!(scheme.starts_with(b"rtmp"), "{scheme:?}");
            assert!(!is_tls || scheme.ends_with(b"s"), "{scheme:?}");
        }
    }
}
