//! A session of a client or a server from the first byte on: the same events however the peer's bytes arrive, no more queued
//! than a peer may cause, and no wait for a stream without a deadline.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rtmp_core::{
    error::{Error, Result},
    handshake::{BLOCK_LEN, ClientOptions, RESPONSE_LEN, ServerOptions},
    session::{Application, Calls, Event, MAX_ANSWERS, Profile, Request, Session},
};

use super::{
    counted::Counted,
    input::{self, Cuts},
};

/// What the first byte chooses.
const SERVER: u8 = 0x01;
/// The handshake is part of the input.
const HANDSHAKE: u8 = 0x02;
const ACKNOWLEDGES: u8 = 0x04;
/// The peer reads nothing.
const DEAF: u8 = 0x08;
/// A client publishes; a server refuses streams.
const PUBLISH: u8 = 0x10;
const LIVE: u8 = 0x20;
const BUFFER_EVENTS: u8 = 0x40;
const EXTRAS: u8 = 0x80;

/// How long a phase may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Phases of a client, of which each has a timeout.
const PHASES: u32 = 5;

pub fn run(data: &[u8]) {
    let Some(([choice], cuts, bytes)) = input::choices(data) else { return };
    let whole = Driven::new(choice, bytes, Cuts::WHOLE);
    let cut = Driven::new(choice, bytes, cuts);
    // When an acknowledgement is sent depends on how much came at once, and so do the headers after it.
    if choice & ACKNOWLEDGES == 0 {
        assert_eq!(cut.sent, whole.sent);
    }
    if choice & (ACKNOWLEDGES | DEAF) != ACKNOWLEDGES | DEAF {
        assert_eq!(cut.events, whole.events);
    }
    assert!(cut.sent.len() <= 16_384 + 1024 * bytes.len());
    assert_eq!(Counted::reserved(), 0);
}

/// A session that was given all bytes.
struct Driven {
    events: Vec<String>,
    sent: Vec<u8>,
}

impl Driven {
    fn new(choice: u8, bytes: &[u8], cuts: Cuts) -> Self {
        let mut end = End::new(choice);
        if choice & HANDSHAKE == 0 {
            // The peer's blocks of a plain handshake, in which any bytes will do.
            end.receive(&[&[3][..], &[0; 2 * BLOCK_LEN]].concat());
            assert!(end.session.is_open() && end.failure.is_none());
        }
        for piece in cuts.pieces(bytes) {
            end.receive(piece);
        }
        let ending = end.failure.map(|error| error.to_string());
        end.events.extend(ending);
        Self { events: end.events, sent: end.sent }
    }
}

struct End {
    choice: u8,
    session: Session<Counted>,
    owner: Owner,
    input: Vec<u8>,
    events: Vec<String>,
    sent: Vec<u8>,
    failure: Option<Error>,
    began: Instant,
    now: Instant,
    is_streaming: bool,
}

impl End {
    fn new(choice: u8) -> Self {
        let now = Instant::now();
        // Not all zeros, and the same each time.
        let mut random = |bytes: &mut [u8]| {
            bytes.fill(9);
            Ok(())
        };
        let session = if choice & SERVER != 0 {
            Session::server(ServerOptions::default(), Some(TIMEOUT), &mut random, now)
        } else {
            Session::client(ClientOptions::default(), Some(TIMEOUT), &mut random, now)
        };
        let mut session = session.expect("there are random bytes");
        session.state.acknowledges = choice & ACKNOWLEDGES != 0;
        let mut end = Self {
            choice,
            session,
            owner: Owner { choice, calls: Vec::new() },
            input: Vec::new(),
            events: Vec::new(),
            sent: Vec::new(),
            failure: None,
            began: now,
            now,
            is_streaming: false,
        };
        end.send();
        end
    }

    /// The peer reads what there is, if it reads anything.
    fn send(&mut self) {
        if self.choice & DEAF == 0 || !self.session.is_open() {
            let count = self.session.queued();
            if self.failure.is_none() {
                self.sent.extend_from_slice(self.session.unsent());
            }
            self.session.sent(count);
            assert!(self.session.unsent().is_empty());
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        let start = self.input.len();
        self.input.extend_from_slice(piece);
        self.session.decrypt(&mut self.input[start..]);
        loop {
            let received = self.session.receive(&mut self.owner, &mut self.input, self.now);
            self.send();
            assert!(self.session.queued() <= MAX_QUEUED, "{} bytes are queued", self.session.queued());
            match received {
                Ok(received) => {
                    self.input.drain(..received.used);
                    if let Some(event) = received.event {
                        // An answer is the answer to a request, which may fail.
                        if let Err(error) = self.take(event) {
                            self.failure.get_or_insert(error);
                        }
                        self.send();
                        continue;
                    }
                    let waits = self.session.wants_input() && self.failure.is_none();
                    assert!(!waits || self.input.len() <= BLOCK_LEN);
                }
                // What a session does after an error is its own business, as long as it does no harm.
                Err(error) => drop(self.failure.get_or_insert(error)),
            }
            break;
        }
        self.pass_time();
    }

    fn take(&mut self, event: Event<Counted>) -> Result<()> {
        if self.failure.is_none() {
            // The answer to a server that wants to know who publishes has a number from the system in it.
            self.events.push(match event {
                Event::Login(_) => "login".to_owned(),
                _ => format!("{event:?}"),
            });
        }
        match event {
            Event::Handshaken { .. } if self.choice & SERVER == 0 => {
                self.session.connect(&mut self.owner, b"", self.now)
            }
            Event::Streaming => {
                assert!(!self.is_streaming && self.session.deadline().is_none());
                self.is_streaming = true;
                self.session.pause(&mut self.owner, true)
            }
            Event::Refused(_) | Event::Login(_) => {
                assert!(!self.session.is_open() && self.session.deadline().is_none());
                Ok(())
            }
            Event::Request(request) => {
                assert!(!self.session.wants_input());
                let is_stream = !matches!(request, Request::Connect(_));
                if self.choice & PUBLISH != 0 && is_stream {
                    self.session.refuse(&mut self.owner, "there is no such stream")
                } else {
                    self.session.accept(&mut self.owner)
                }
            }
            _ => Ok(()),
        }
    }

    /// A client that waits for its stream does so until a deadline, which no server puts off forever.
    fn pass_time(&mut self) {
        let waits = self.session.is_open() && !self.is_streaming && self.failure.is_none();
        if self.choice & SERVER != 0 || !waits {
            return;
        }
        let deadline = self.session.deadline().expect("a wait has a deadline");
        assert!(self.session.check(self.now).is_ok() && self.session.check(deadline).is_err());
        assert!(deadline - self.began <= PHASES * TIMEOUT);
        self.now += Duration::from_millis(1);
    }
}

/// What a peer may cause to be queued: the answers that are too many already, and those to one message.
const MAX_QUEUED: usize = MAX_ANSWERS + (16 << 10);

struct Owner {
    choice: u8,
    calls: Vec<(Vec<u8>, i32)>,
}

impl Application for Owner {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let choice = self.choice;
        let mut profile = Profile {
            publish: choice & PUBLISH != 0,
            live: choice & LIVE != 0,
            buffer_events: choice & BUFFER_EVENTS != 0,
            app: b"app",
            tc_url: b"rtmp://h/app",
            stream_name: b"name",
            ..Profile::default()
        };
        if choice & EXTRAS != 0 {
            profile = Profile {
                // As when a publisher connects again to log in.
                app: if profile.live { b"app?authmod=adobe&user=user" } else { b"app?authmod=llnw&user=user" },
                auth: b"auth",
                auth_flag: true,
                playlist: true,
                subscribe_name: b"other",
                usher_token: b"usher",
                secure_token: b"key",
                user: b"user",
                password: b"password",
                swf_verification: Some(&[1; RESPONSE_LEN]),
                start_ms: 1000,
                stop_ms: 9000,
                ..profile
            };
        }
        (profile, &mut self.calls)
    }

    fn wants_notices(&self) -> bool {
        true
    }
}
