//! One end: a session, its application, and what moves the session's bytes.

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use rtmp::{
    Error, Refusal, Result,
    handshake::{ClientOptions, ServerOptions, Swf},
    session::{Application, Calls, Command, Event, MAX_ANSWERS, Profile, Request, Session, command},
};

use super::{
    dice::Dice,
    layer::Layer,
    media::Item,
    network::{Pipe, Time},
    plan::{CLIENT, Plan, Protocol},
};

/// A client or a server.
pub struct End {
    pub side: usize,
    pub session: Session,
    pub owner: Owner,
    pub layer: Layer,
    /// Received, and not used by the session.
    pub input: Vec<u8>,
    pub over: Option<Over>,
    /// The connection is closed from here.
    pub shut: bool,
    /// The message stream, once it runs.
    pub stream_id: Option<u32>,
    /// How many messages of the stream were sent, or have arrived.
    pub sent: usize,
    pub received: usize,
    pub noise_left: u32,
    pub controls_left: u32,
    /// How often a server runs dry, whether it has, and whether it has confirmed the pause that follows.
    pub dry_left: u32,
    pub dry: bool,
    pub confirmed: bool,
    /// What a client asks for, and when it is answered.
    pub pending: Option<(Request, Time)>,
    /// How often the session timed out.
    pub time_outs: u32,
    pub began: Time,
    /// When a byte of the session moved last.
    pub progress: Time,
    /// The handshake has ended.
    pub handshaken: bool,
    /// A server has told its client to close.
    pub asked_to_close: bool,
    /// The other end has closed the connection.
    pub peer_gone: bool,
    /// The most that may be queued.
    pub most_queued: usize,
}

/// How it ended.
#[derive(Debug)]
pub enum Over {
    /// The application has all that it wanted.
    Done,
    Ended,
    Refused(Refusal),
    Login(Vec<u8>),
    TimedOut,
    /// The connection has ended.
    PeerGone,
    Failed(Error),
    /// Nothing happened for so long that the application gave up.
    Idle,
}

/// What the application wants.
pub struct Owner {
    pub app: Vec<u8>,
    pub tc_url: Vec<u8>,
    publishes: bool,
    buffer_events: bool,
    live: bool,
    swf_verification: Option<rtmp::handshake::Response>,
    calls: Vec<(Vec<u8>, i32)>,
}

impl Owner {
    pub fn new(plan: &Plan, dice: &mut Dice) -> Self {
        Self {
            app: b"app".to_vec(),
            tc_url: b"rtmp://host/app".to_vec(),
            publishes: plan.publishes,
            buffer_events: plan.buffer_events,
            live: dice.once_in(2),
            swf_verification: None,
            calls: Vec::new(),
        }
    }
}

impl Application for Owner {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let profile = Profile {
            publish: self.publishes,
            live: self.live,
            buffer_events: self.buffer_events,
            app: &self.app,
            tc_url: &self.tc_url,
            flash_version: b"LNX 10,0,32,18",
            stream_name: b"stream",
            user: b"user",
            password: b"password",
            swf_verification: self.swf_verification.as_ref(),
            ..Profile::default()
        };
        (profile, &mut self.calls)
    }

    fn wants_notices(&self) -> bool {
        true
    }
}

impl End {
    pub fn new(side: usize, plan: &Plan, owner: Owner, now: Time, clock: Instant, dice: &mut Dice) -> Self {
        let swf = (plan.protocol == Protocol::Signed).then_some(Swf { size: 1000, hash: [7; 32] });
        let encrypted = plan.protocol == Protocol::Encrypted;
        let timeout = Some(Duration::from_micros(plan.timeout));
        let mut seeded = dice.clone();
        dice.roll();
        let mut random = |bytes: &mut [u8]| {
            seeded.fill(bytes);
            Ok(())
        };
        let session = if side == CLIENT {
            Session::client(ClientOptions { time: 0, encrypted, swf }, timeout, &mut random, clock)
        } else {
            Session::server(ServerOptions { time: 0, swf }, timeout, &mut random, clock)
        };
        let longest = plan.items.iter().map(|item| item.body.len()).max().unwrap_or(0);
        // Every byte may be a chunk, of which the header takes up to seven more.
        let longest = if plan.chunk_sizes.contains(&1) { longest * 8 } else { longest + longest / 16 };
        Self {
            side,
            session: session.expect("there are random bytes"),
            owner,
            layer: Layer::new(side, plan.protocol, dice),
            input: Vec::new(),
            over: None,
            shut: false,
            stream_id: None,
            sent: 0,
            received: 0,
            noise_left: plan.noise[side],
            controls_left: if side == CLIENT { plan.controls } else { 0 },
            dry_left: if plan.buffer_events { 3 } else { 0 },
            dry: false,
            confirmed: false,
            pending: None,
            time_outs: 0,
            began: now,
            progress: now,
            handshaken: false,
            asked_to_close: false,
            peer_gone: false,
            most_queued: plan.high_water[side] + longest + MAX_ANSWERS + SLACK,
        }
    }

    /// Moves bytes from the session to the network.
    pub fn flush(&mut self, pipe: &mut Pipe, now: Time, dice: &mut Dice) {
        match self.layer.send(&[IoSlice::new(self.session.unsent())], pipe, now, dice) {
            Ok(0) => {}
            Ok(sent) => {
                self.session.sent(sent);
                self.progress = now;
            }
            Err(error) => self.finish(Over::Failed(error)),
        }
    }

    /// Moves bytes from the network to the layer above it.
    pub fn read(&mut self, pipe: &mut Pipe, most: usize, now: Time, dice: &mut Dice) {
        if let Err(error) = self.layer.receive(pipe.read(most, now), now, dice) {
            self.finish(Over::Failed(error));
        }
        if self.layer.holds_bytes() {
            self.progress = now;
        }
    }

    /// Sends a message of the stream, in one of the ways in which applications do.
    pub fn send(&mut self, item: &Item, pipe: &mut Pipe, now: Time, dice: &mut Dice) {
        let style = dice.below(8);
        let layer = &mut self.layer;
        let stream_id = self.stream_id.expect("the stream runs");
        let queued = self.session.queued();
        let result = self.session.send(&item.outgoing(stream_id), |slices| {
            assert!(slices.iter().map(|slice| slice.len()).sum::<usize>() > 0);
            match style {
                0 => Err(Error::Interrupted),
                1..=3 => Ok(0),
                _ => layer.send(slices, pipe, now, dice),
            }
        });
        match result {
            Ok(format) => assert!(format <= 3),
            Err(error) => {
                assert!(
                    matches!(error, Error::Interrupted | Error::Tls(_)) && self.session.queued() > queued
                );
            }
        }
        self.sent += 1;
    }

    pub fn say(&mut self, command: &Command) {
        self.session.send_command(&mut self.owner, command).expect("it is short");
    }

    pub fn publish_again(&mut self) {
        let command = command::publish(&mut self.session.state, &self.owner.wishes().0);
        self.say(&command);
    }

    /// The next event, if there is one.
    pub fn event(&mut self, clock: Instant) -> Option<Event> {
        if self.session.wants_input() {
            let start = self.input.len();
            self.input.extend(self.layer.take_held());
            self.session.decrypt(&mut self.input[start..]);
        }
        let len = self.input.len();
        match self.session.receive(&mut self.owner, &mut self.input, clock) {
            Ok(received) => {
                assert!(received.used <= len);
                self.input.drain(..received.used);
                if received.event.is_none() && self.session.wants_input() {
                    assert!(self.input.len() <= MOST_UNUSED, "{} bytes are not used", self.input.len());
                }
                received.event
            }
            Err(error) => {
                self.finish(Over::Failed(error));
                None
            }
        }
    }

    /// The first reason counts.
    pub fn finish(&mut self, over: Over) {
        self.over.get_or_insert(over);
    }

    /// Whether the session would see the end of the connection.
    pub fn has_used_all(&self) -> bool {
        self.session.wants_input() && !self.layer.holds_bytes()
    }

    /// Whether there are bytes for the network.
    pub fn wants_to_write(&self, now: Time) -> bool {
        self.layer.wants_to_write(!self.session.unsent().is_empty(), now)
    }

    /// Whether the connection can be closed: there is nothing left to be said, or nobody to hear it.
    pub fn may_shut(&self) -> bool {
        match self.over {
            None => false,
            Some(Over::PeerGone | Over::Failed(_) | Over::Idle) => true,
            Some(_) => self.peer_gone || self.session.unsent().is_empty() && self.layer.is_flushed(),
        }
    }

    pub fn set_swf_response(&mut self, response: Option<rtmp::handshake::Response>) {
        self.owner.swf_verification = response;
    }

    /// Checks what must always hold.
    pub fn check(&self, clock: Instant, due: bool) -> Result<()> {
        assert!(self.session.queued() <= self.most_queued, "{} bytes are queued", self.session.queued());
        assert_eq!(self.session.queued(), self.session.unsent().len());
        if self.over.is_none() && !self.handshaken {
            assert!(self.session.deadline().is_some(), "a handshake without a deadline");
        }
        if self.over.is_none() && self.side == CLIENT && self.stream_id.is_none() {
            assert!(self.session.deadline().is_some(), "a client waits for its stream without a deadline");
        }
        let result = self.session.check(clock);
        assert_eq!(result.is_err(), due);
        result
    }
}

/// What a message of the protocol may add to a queue that is full already.
const SLACK: usize = 8192;

/// The longest input that a session may leave until there is more: a block of the handshake, or the header of a chunk.
const MOST_UNUSED: usize = 1536;
