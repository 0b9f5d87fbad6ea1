//! One connection to a peer: the socket from its making to its end, with TLS over it or not.

use std::{
    io::{self, IoSlice},
    mem,
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use log::{debug, warn};
use rustix::{
    fd::AsFd,
    io::Errno,
    net::{RecvFlags, recv},
};
use socket2::Socket;

use super::{
    dial::Dial,
    send::send_now,
    step::{Interest, Received, SendHook, Step, Wanted, is_past, sooner},
    target::Target,
};
use crate::{
    error::{Error, Result},
    stats::{Phases, spent},
    system::{self, RECEIVE_NOW},
    transport::{
        tcp::LINGER,
        tls::{
            ServerContext, Trust,
            machine::{Available, BATCH_LEN, BLOCK_LEN, Machine, Outgoing},
        },
    },
};

/// A connection that is made, used and ended.
pub(super) struct Wire {
    stage: Stage,
    timeout: Option<Duration>,
    /// Nothing more comes from the peer.
    ended: bool,
    /// The last `receive` left bytes on the socket, at that time.
    stopped: Option<Instant>,
    /// When the TLS handshake began.
    shaking: Option<Instant>,
    phases: Phases,
    intake: Intake,
    hook: Option<SendHook>,
}

/// How bytes are taken from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    All,
    /// The last byte that was received stays on the socket, which keeps it readable for a program that watches it. `left`
    /// says whether there is such a byte.
    AllButOne {
        left: bool,
    },
}

enum Stage {
    Dialling {
        dial: Box<Dial>,
        tls: Option<(String, Trust)>,
        /// When the TLS handshake ends at the latest, besides its own time-out.
        limit: Option<Instant>,
    },
    Shaking {
        socket: Arc<Socket>,
        tls: Box<Tls>,
        deadline: Option<Instant>,
    },
    Open {
        socket: Arc<Socket>,
        tls: Option<Box<Tls>>,
    },
    /// What was taken is sent; then the sending side ends.
    Flushing {
        socket: Arc<Socket>,
        tls: Option<Box<Tls>>,
        until: Instant,
    },
    /// What still comes is thrown away.
    Lingering {
        socket: Arc<Socket>,
        until: Instant,
    },
    Over,
}

/// TLS over a socket.
struct Tls {
    machine: Machine,
    outgoing: Outgoing,
    block: Vec<u8>,
}

impl Wire {
    /// Begins to connect to `target`. All phases together have to be over at `limit`.
    pub(super) fn connect(target: &Target, limit: Option<Instant>, now: Instant) -> Result<Self> {
        let deadline = sooner(after(now, target.timeout), limit);
        let (dial, tls) = (Box::new(Dial::to(target, deadline, now)?), target.tls.clone());
        Ok(Self::new(Stage::Dialling { dial, tls, limit }, target.timeout))
    }

    /// Goes on with a connected socket.
    pub(super) fn over(
        socket: Arc<Socket>,
        tls: Option<&(String, Trust)>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        let stage = connected(prepared(socket), tls, after(now, timeout))?;
        Ok(Self::new(stage, timeout))
    }

    /// Goes on with a connected socket, as a TLS server.
    pub(super) fn accept_tls(
        socket: Arc<Socket>,
        context: &ServerContext,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        let tls = Box::new(Tls::new(Machine::server(context)?));
        let (socket, deadline) = (prepared(socket), after(now, timeout));
        Ok(Self::new(Stage::Shaking { socket, tls, deadline }, timeout))
    }

    fn new(stage: Stage, timeout: Option<Duration>) -> Self {
        let phases = Phases::default();
        Self {
            stage,
            timeout,
            ended: false,
            stopped: None,
            shaking: None,
            phases,
            intake: Intake::All,
            hook: None,
        }
    }

    /// How long each phase took that has ended.
    pub(super) fn phases(&self) -> Phases {
        self.phases
    }

    /// Does what can be done without waiting.
    pub(super) fn step(&mut self, now: Instant) -> Result<()> {
        self.stopped = None;
        loop {
            let next = match &mut self.stage {
                Stage::Dialling { dial, tls, limit } => match dial.step(now) {
                    Ok(None) => return Ok(()),
                    Ok(Some(socket)) => {
                        self.phases = dial.phases();
                        connected(socket, tls.as_ref(), sooner(after(now, self.timeout), *limit))
                    }
                    Err(error) => Err(error),
                },
                Stage::Shaking { socket, tls, deadline } => match tls.shake_hands(socket) {
                    Ok(false) if is_past(*deadline, now) => Err(Error::TimedOut),
                    Ok(false) => {
                        self.shaking.get_or_insert(now);
                        return Ok(());
                    }
                    Ok(true) => match mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Shaking { socket, tls, .. } => {
                            let begun = self.shaking.unwrap_or(now);
                            self.phases.tls = spent(begun, now);
                            Ok(Stage::Open { socket, tls: Some(tls) })
                        }
                        stage => Ok(stage),
                    },
                    Err(error) => Err(error),
                },
                Stage::Open { socket, tls } => {
                    return tls.as_mut().map_or(Ok(()), |tls| tls.flush(socket));
                }
                Stage::Flushing { socket, tls, until } => {
                    // A peer that is stuck sending reads nothing.
                    self.ended = self.ended || discard(socket).unwrap_or(true);
                    let flushed = tls.as_mut().map_or(Ok(()), |tls| tls.flush(socket));
                    let unsent = tls.as_ref().is_some_and(|tls| !tls.outgoing.unsent().is_empty());
                    match flushed {
                        Ok(()) if unsent && now < *until => return Ok(()),
                        Ok(()) if !unsent && socket.shutdown(Shutdown::Write).is_ok() && !self.ended => {
                            Ok(Stage::Lingering { socket: socket.clone(), until: now + LINGER })
                        }
                        _ => Ok(Stage::Over),
                    }
                }
                Stage::Lingering { socket, until } => match discard(socket) {
                    Ok(false) if now < *until => return Ok(()),
                    _ => Ok(Stage::Over),
                },
                Stage::Over => return Ok(()),
            };
            match next {
                Ok(stage) => self.stage = stage,
                Err(error) => {
                    self.stage = Stage::Over;
                    return Err(error);
                }
            }
        }
    }

    /// Whether bytes can go both ways.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The socket, once there is one that leads to the peer.
    pub(super) fn socket(&self) -> Option<&Arc<Socket>> {
        match &self.stage {
            Stage::Shaking { socket, .. }
            | Stage::Open { socket, .. }
            | Stage::Flushing { socket, .. }
            | Stage::Lingering { socket, .. } => Some(socket),
            Stage::Dialling { .. } | Stage::Over => None,
        }
    }

    /// Puts bytes that have arrived into `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        self.stopped = None;
        let (socket, tls) = match &mut self.stage {
            Stage::Open { socket, tls } if !self.ended => (socket, tls),
            Stage::Dialling { .. } | Stage::Shaking { .. } => return Ok(Received::Nothing),
            _ => return Ok(Received::End),
        };
        let received = match tls {
            None => self.intake.receive(socket, buffer),
            Some(tls) => match tls.receive(socket, buffer, &mut self.intake) {
                Ok(None) => {
                    self.stopped = Some(now);
                    return Ok(Received::Nothing);
                }
                Ok(Some(received)) => Ok(received),
                Err(error) => {
                    tls.send_alert(socket);
                    Err(error)
                }
            },
        };
        self.ended = matches!(received, Ok(Received::End) | Err(_));
        received
    }

    /// Hands bytes to `hook` instead of the socket, if there is no TLS.
    pub(super) fn send_through(&mut self, hook: Option<SendHook>) {
        self.hook = hook;
    }

    pub(super) fn hook(&self) -> Option<SendHook> {
        self.hook.clone()
    }

    /// Keeps the socket readable from now on while there is something to receive, or no longer.
    pub(super) fn keep_readable(&mut self, keep: bool) {
        match (self.intake, keep) {
            (Intake::All, true) => self.intake = Intake::AllButOne { left: false },
            (Intake::AllButOne { .. }, false) => {
                self.release_byte();
                self.intake = Intake::All;
            }
            _ => {}
        }
    }

    pub(super) fn keeps_readable(&self) -> bool {
        self.intake != Intake::All
    }

    /// Takes the byte that was left on the socket to keep it readable.
    pub(super) fn release_byte(&mut self) {
        if let (Intake::AllButOne { left }, Stage::Open { socket, .. }) = (&mut self.intake, &self.stage) {
            release_byte(socket, left);
        }
    }

    /// Whether a byte was left on the socket.
    pub(super) fn has_left_byte(&self) -> bool {
        self.intake == Intake::AllButOne { left: true }
    }

    /// Whether there is more than was received so far, which no socket tells: decrypted bytes, or the end.
    pub(super) fn holds_more(&mut self) -> bool {
        match &mut self.stage {
            Stage::Open { tls: Some(tls), .. } => tls.machine.holds_more(),
            _ => false,
        }
    }

    /// Goes on with another descriptor of the same socket.
    pub(super) fn replace_socket(&mut self, by: Arc<Socket>) {
        match &mut self.stage {
            Stage::Shaking { socket, .. }
            | Stage::Open { socket, .. }
            | Stage::Flushing { socket, .. }
            | Stage::Lingering { socket, .. } => *socket = by,
            Stage::Dialling { .. } | Stage::Over => {}
        }
    }

    /// Whether the peer has been reached, and shakes hands in TLS.
    pub(super) fn shakes_hands(&self) -> bool {
        matches!(self.stage, Stage::Shaking { .. })
    }

    /// The socket of a connection without TLS, which is left to the caller.
    pub(super) fn into_socket(self) -> Option<Arc<Socket>> {
        match self.stage {
            Stage::Open { socket, tls: None } => Some(socket),
            _ => None,
        }
    }

    /// Takes the beginning of `pieces`; returns how much that was.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let (socket, tls) = match &mut self.stage {
            Stage::Open { socket, tls } => (socket, tls),
            Stage::Dialling { .. } | Stage::Shaking { .. } => return Ok(0),
            _ => return Err(Error::NotConnected),
        };
        let Some(first) = pieces.iter().position(|piece| !piece.is_empty()) else { return Ok(0) };
        match tls {
            None => match &self.hook {
                Some(hook) => hook.send(&pieces[first]),
                None => send_now(socket, &pieces[first..]),
            },
            Some(tls) => tls.send(socket, &pieces[first..]),
        }
    }

    /// Bytes that were taken and that the system does not have yet.
    pub(super) fn unsent(&self) -> usize {
        match &self.stage {
            Stage::Shaking { tls, .. }
            | Stage::Open { tls: Some(tls), .. }
            | Stage::Flushing { tls: Some(tls), .. } => tls.outgoing.unsent().len(),
            _ => 0,
        }
    }

    /// Appends the sockets that are waited for.
    pub(super) fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        let unsent = self.unsent() > 0;
        let (socket, read, write) = match &self.stage {
            Stage::Dialling { dial, .. } => return dial.interests(out),
            Stage::Shaking { socket, .. } => (socket, true, unsent),
            Stage::Open { socket, .. } => (socket, wanted.read && !self.ended, wanted.write || unsent),
            Stage::Flushing { socket, .. } => (socket, !self.ended, unsent),
            Stage::Lingering { socket, .. } => (socket, true, false),
            Stage::Over => return,
        };
        if read || write {
            out.push(Interest { socket: socket.clone(), read, write });
        }
    }

    /// When a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Dialling { dial, .. } => dial.deadline(),
            Stage::Shaking { deadline, .. } => *deadline,
            Stage::Flushing { until, .. } | Stage::Lingering { until, .. } => Some(*until),
            Stage::Open { .. } => self.stopped,
            Stage::Over => None,
        }
    }

    /// Says goodbye. What still has to be done for it is left to [`Self::step`].
    pub(super) fn finish(&mut self, now: Instant) {
        self.stage = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open { socket, mut tls } => {
                if let Some(tls) = &mut tls {
                    tls.machine.close(&mut tls.outgoing);
                }
                let until = now + self.timeout.unwrap_or(MAX_FLUSH).min(MAX_FLUSH);
                Stage::Flushing { socket, tls, until }
            }
            stage @ (Stage::Flushing { .. } | Stage::Lingering { .. }) => stage,
            Stage::Dialling { .. } | Stage::Shaking { .. } | Stage::Over => Stage::Over,
        };
        // Nothing in these stages fails.
        let _ = self.step(now);
    }

    /// The peer still takes what was sent to it: lingers for the whole time again.
    pub(super) fn linger_on(&mut self, now: Instant) {
        if let Stage::Lingering { until, .. } = &mut self.stage {
            *until = now + LINGER;
        }
    }

    /// Drops the connection.
    pub(super) fn give_up(&mut self) {
        self.stage = Stage::Over;
    }

    /// Whether this side has ended the connection, by shutting the socket down. One that the peer broke takes nothing either,
    /// but has no peer any more.
    pub(super) fn is_shut_down_here(&self) -> bool {
        self.socket().is_none_or(|socket| {
            socket.peer_addr().is_ok() && send_now(socket, &[IoSlice::new(&[])]).is_err()
        })
    }
}

impl Tls {
    fn new(machine: Machine) -> Self {
        Self { machine, outgoing: Outgoing::default(), block: vec![0; BLOCK_LEN] }
    }

    /// Goes on with the handshake; true once it is over.
    fn shake_hands(&mut self, socket: &Socket) -> Result<bool> {
        loop {
            let handshaking = self.machine.produce(&mut self.outgoing);
            self.flush(socket)?;
            if !handshaking {
                return Ok(true);
            }
            let accepted = match receive_now(socket, &mut self.block)? {
                Received::Nothing => return Ok(false),
                Received::End => self.machine.accept_handshake(&[]),
                Received::Bytes(count) => self.machine.accept_handshake(&self.block[..count]),
            };
            accepted.inspect_err(|_| self.send_alert(socket))?;
        }
    }

    /// `None` if nothing came of much that was received: there may be more on the socket.
    fn receive(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
        intake: &mut Intake,
    ) -> Result<Option<Received>> {
        // Records without content, tickets and the like, may come without end.
        for _ in 0..MAX_BLOCKS {
            match self.machine.read(buffer)? {
                Available::Bytes(count) => return Ok(Some(Received::Bytes(count))),
                Available::End => return Ok(Some(Received::End)),
                Available::Torn => {
                    debug!("{} ended the connection without closing TLS", self.machine.peer());
                    return Ok(Some(Received::End));
                }
                Available::Nothing => {}
            }
            match intake.receive(socket, &mut self.block)? {
                Received::Nothing => return Ok(Some(Received::Nothing)),
                Received::End => self.machine.accept(&[]),
                Received::Bytes(count) => self.machine.accept(&self.block[..count]),
            }
            // The peer may have asked for new keys.
            self.machine.produce(&mut self.outgoing);
        }
        Ok(None)
    }

    fn send(&mut self, socket: &Socket, pieces: &[IoSlice<'_>]) -> Result<usize> {
        if !self.outgoing.unsent().is_empty() {
            self.flush(socket)?;
        }
        if self.outgoing.unsent().len() >= BATCH_LEN {
            return Ok(0);
        }
        let taken = self.machine.encrypt(pieces, &mut self.outgoing)?;
        self.flush(socket)?;
        Ok(taken)
    }

    /// Sends the records that are ready, as far as the system takes them.
    fn flush(&mut self, socket: &Socket) -> Result<()> {
        while !self.outgoing.unsent().is_empty() {
            match send_now(socket, &[IoSlice::new(self.outgoing.unsent())]) {
                Ok(0) => break,
                Ok(count) => self.outgoing.advance(count),
                Err(error) => {
                    // The connection is broken in this direction; there may still be bytes to receive.
                    self.outgoing = Outgoing::default();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Tells the peer what it did wrong, if that needs no waiting.
    fn send_alert(&mut self, socket: &Socket) {
        self.machine.produce(&mut self.outgoing);
        let _ = self.flush(socket);
    }
}

/// A socket whose peer has been reached.
fn connected(socket: Arc<Socket>, tls: Option<&(String, Trust)>, deadline: Option<Instant>) -> Result<Stage> {
    let Some((name, trust)) = tls else { return Ok(Stage::Open { socket, tls: None }) };
    if *trust.whom() == Trust::Anyone {
        warn!("TLS: nobody checks that the server is {name}");
    }
    let tls = Box::new(Tls::new(Machine::client(name, trust)?));
    Ok(Stage::Shaking { socket, tls, deadline })
}

/// A socket that was made elsewhere.
fn prepared(socket: Arc<Socket>) -> Arc<Socket> {
    system::own(socket.as_fd());
    if let Err(error) = socket.set_tcp_nodelay(true) {
        debug!("cannot set a socket option: {error}");
    }
    socket
}

/// Takes what has arrived and forgets it; true at the end.
fn discard(socket: &Socket) -> Result<bool> {
    let mut unwanted = [0; 4096];
    for _ in 0..MAX_BLOCKS {
        match receive_now(socket, &mut unwanted)? {
            Received::Bytes(_) => {}
            Received::Nothing => return Ok(false),
            Received::End => return Ok(true),
        }
    }
    Ok(false)
}

impl Intake {
    /// Puts bytes that have arrived into `buffer`.
    fn receive(&mut self, socket: &Socket, buffer: &mut [u8]) -> Result<Received> {
        let Self::AllButOne { left } = self else { return receive_now(socket, buffer) };
        release_byte(socket, left);
        let received = receive_flagged(socket, buffer, RecvFlags::PEEK)?;
        if let Received::Bytes(count) = received {
            let mut taken = 1;
            while taken < count {
                // These are the same bytes once more.
                match receive_now(socket, &mut buffer[taken - 1..count - 1])? {
                    Received::Bytes(more) => taken += more,
                    Received::Nothing | Received::End => return Err(Error::Closed),
                }
            }
            *left = true;
        }
        Ok(received)
    }
}

/// Takes the byte that was left on a socket.
fn release_byte(socket: &Socket, left: &mut bool) {
    if mem::take(left) {
        let _ = receive_now(socket, &mut [0]);
    }
}

/// Puts bytes that have arrived into `buffer`.
fn receive_now(socket: &Socket, buffer: &mut [u8]) -> Result<Received> {
    receive_flagged(socket, buffer, RecvFlags::empty())
}

fn receive_flagged(socket: &Socket, buffer: &mut [u8], flags: RecvFlags) -> Result<Received> {
    if buffer.is_empty() {
        return Ok(Received::Nothing);
    }
    loop {
        return match recv(socket, &mut *buffer, RECEIVE_NOW | flags) {
            Ok((_, 0)) => Ok(Received::End),
            Ok((_, count)) => Ok(Received::Bytes(count)),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Received::Nothing),
            Err(error) => Err(io::Error::from(error).into()),
        };
    }
}

/// The moment that far from now; what the clock cannot count never comes.
pub(super) fn after(now: Instant, time: Option<Duration>) -> Option<Instant> {
    now.checked_add(time?)
}

/// How many blocks one call takes from a peer that sends nothing of use.
const MAX_BLOCKS: u32 = 16;

/// How long a peer may take for the last bytes at most.
const MAX_FLUSH: Duration = Duration::from_secs(30);
