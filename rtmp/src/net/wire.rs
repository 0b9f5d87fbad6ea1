//! One connection to a peer, from its beginning to its end.

use std::{
    io::IoSlice,
    mem,
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::Socket;

use super::{
    channel::Channel,
    dial::Dial,
    receive::{Intake, peek_now},
    step::{Interest, Received, SendHook, Step, Wanted, is_past, sooner},
    target::Target,
};
use crate::{
    error::{Error, Result},
    stats::{Phases, spent},
    transport::{
        tcp::LINGER,
        tls::{ServerContext, Trust},
    },
};

/// A connection that is made, used and ended.
pub(super) struct Wire {
    stage: Stage,
    timeout: Option<Duration>,
    /// The peer has ended its side.
    ended: bool,
    /// The system has reported an error of the connection, which only the peer or the network can have caused.
    broken: bool,
    /// The last `receive` left bytes on the socket, at that time.
    stopped: Option<Instant>,
    /// When the TLS handshake began.
    shaking: Option<Instant>,
    phases: Phases,
    keeps_readable: bool,
    /// The last `receive` took everything that was on the socket.
    drained: bool,
    hook: Option<SendHook>,
    /// Bytes that were received only to look at them.
    early: Vec<u8>,
}

enum Stage {
    Dialling {
        dial: Box<Dial>,
        tls: Option<(String, Trust)>,
        /// The deadline of the TLS handshake, in addition to its own timeout.
        limit: Option<Instant>,
    },
    /// There is a connection to the peer.
    Reached(Channel, Phase),
    Over,
}

/// The phase of a connection to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The TLS handshake, and its deadline.
    Shaking(Option<Instant>),
    Open,
    /// Taken bytes are sent; then the sending side ends.
    Flushing(Instant),
    /// Later bytes are dropped.
    Lingering(Instant),
}

impl Wire {
    /// Begins to connect to `target`. All phases together end at `limit`.
    pub(super) fn connect(target: &Target, limit: Option<Instant>, now: Instant) -> Result<Self> {
        let deadline = sooner(after(now, target.timeout), limit);
        let (dial, tls) = (Box::new(Dial::to(target, deadline, now)?), target.tls.clone());
        Ok(Self::new(Stage::Dialling { dial, tls, limit }, target.timeout))
    }

    /// Continues with a connected socket.
    pub(super) fn over(
        socket: Arc<Socket>,
        tls: Option<&(String, Trust)>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        let stage = reached(Channel::adopt(socket), tls, after(now, timeout))?;
        Ok(Self::new(stage, timeout))
    }

    /// Continues with a connected socket, as a TLS server.
    pub(super) fn accept_tls(
        socket: Arc<Socket>,
        context: &ServerContext,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        let mut channel = Channel::adopt(socket);
        channel.accept(context)?;
        Ok(Self::new(Stage::Reached(channel, Phase::Shaking(after(now, timeout))), timeout))
    }

    /// A connection that has already ended.
    pub(super) fn ended() -> Self {
        Self::new(Stage::Over, None)
    }

    fn new(stage: Stage, timeout: Option<Duration>) -> Self {
        Self {
            stage,
            timeout,
            ended: false,
            broken: false,
            stopped: None,
            shaking: None,
            phases: Phases::default(),
            keeps_readable: false,
            drained: false,
            hook: None,
            early: Vec::new(),
        }
    }

    /// Adds TLS to an open connection that has none with its peer.
    pub(super) fn secure(&mut self, tls: &(String, Trust), now: Instant) -> Result<()> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Reached(channel, Phase::Open) => {
                self.stage = reached(channel, Some(tls), after(now, self.timeout))?;
                Ok(())
            }
            _ => Err(Error::NotConnected),
        }
    }

    /// The durations of the phases that have ended.
    pub(super) fn phases(&self) -> Phases {
        self.phases
    }

    /// Does what is possible without waiting.
    pub(super) fn step(&mut self, now: Instant) -> Result<()> {
        self.stopped = None;
        loop {
            if let Some(channel) = self.open_mut() {
                return channel.flush();
            }
            match self.advance(now) {
                Ok(false) => return Ok(()),
                Ok(true) => {
                    if let (true, Some(channel)) = (self.keeps_readable, self.open_mut()) {
                        channel.set_intake(Intake::AllButOne { left: false });
                    }
                }
                Err(error) => {
                    self.stage = Stage::Over;
                    return Err(error);
                }
            }
        }
    }

    /// Continues a connection that is not open; returns whether its phase has ended.
    fn advance(&mut self, now: Instant) -> Result<bool> {
        match &mut self.stage {
            Stage::Dialling { dial, tls, limit } => {
                let Some(channel) = dial.step(now)? else { return Ok(false) };
                self.phases = dial.phases();
                self.stage = reached(channel, tls.as_ref(), sooner(after(now, self.timeout), *limit))?;
            }
            Stage::Reached(channel, phase) => match *phase {
                Phase::Shaking(deadline) => {
                    if !channel.shake_hands()? {
                        if is_past(deadline, now) {
                            return Err(Error::TimedOut);
                        }
                        self.shaking.get_or_insert(now);
                        return Ok(false);
                    }
                    self.phases.tls = spent(self.shaking.unwrap_or(now), now);
                    *phase = Phase::Open;
                }
                Phase::Flushing(until) => {
                    // A peer whose sending is blocked reads nothing.
                    self.ended = self.ended || channel.discard().unwrap_or(true);
                    let flushed = channel.flush().is_ok();
                    let unsent = channel.unsent() > 0;
                    if flushed && unsent && now < until {
                        return Ok(false);
                    }
                    let is_sent = flushed && !unsent && channel.socket().shutdown(Shutdown::Write).is_ok();
                    if is_sent && !self.ended {
                        *phase = Phase::Lingering(now + LINGER);
                    } else {
                        self.stage = Stage::Over;
                    }
                }
                Phase::Lingering(until) => match channel.discard() {
                    Ok(false) if now < until => return Ok(false),
                    _ => self.stage = Stage::Over,
                },
                Phase::Open => return Ok(false),
            },
            Stage::Over => return Ok(false),
        }
        Ok(true)
    }

    /// Whether bytes can go both ways.
    pub(super) fn is_open(&self) -> bool {
        self.open().is_some()
    }

    /// Whether bytes go to the socket unchanged.
    pub(super) fn is_bare(&self) -> bool {
        self.hook.is_none() && self.open().is_some_and(|channel| !channel.is_secure())
    }

    /// Whether the connection has finished.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn channel(&self) -> Option<&Channel> {
        if let Stage::Reached(channel, _) = &self.stage { Some(channel) } else { None }
    }

    /// The connection while bytes can go both ways.
    fn open(&self) -> Option<&Channel> {
        if let Stage::Reached(channel, Phase::Open) = &self.stage { Some(channel) } else { None }
    }

    fn open_mut(&mut self) -> Option<&mut Channel> {
        if let Stage::Reached(channel, Phase::Open) = &mut self.stage { Some(channel) } else { None }
    }

    /// The socket, once it is connected to the peer.
    pub(super) fn socket(&self) -> Option<&Arc<Socket>> {
        self.channel().map(Channel::socket)
    }

    /// Copies received bytes into `buffer`.
    pub(super) fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        (self.stopped, self.drained) = (None, false);
        if !self.early.is_empty() && !buffer.is_empty() {
            let count = self.early.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Ok(Received::Bytes(count));
        }
        let channel = match &mut self.stage {
            Stage::Reached(channel, Phase::Open) if !self.ended => channel,
            Stage::Dialling { .. } | Stage::Reached(_, Phase::Shaking(_)) => return Ok(Received::Nothing),
            _ => return Ok(Received::End),
        };
        let received = match channel.receive(buffer) {
            Ok(None) => {
                self.stopped = Some(now);
                return Ok(Received::Nothing);
            }
            Ok(Some(received)) => Ok(received),
            Err(error) => Err(error),
        };
        self.drained = matches!(received, Ok(Received::Bytes(_))) && channel.is_drained();
        self.ended = matches!(received, Ok(Received::End) | Err(_));
        received
    }

    /// Lends memory for bytes of TLS to a caller that waits for them on the socket; `None` if there is something else to do.
    pub(super) fn lend(&mut self) -> Option<Vec<u8>> {
        if self.ended || self.stopped.is_some() || !self.early.is_empty() {
            return None;
        }
        self.open_mut()?.lend()
    }

    /// Takes it back, with `count` received bytes at its start.
    pub(super) fn give_back(&mut self, memory: Vec<u8>, count: usize) {
        if let Some(channel) = self.open_mut() {
            channel.give_back(memory, count);
        }
    }

    /// Whether the last `receive` took everything that was on the socket.
    pub(super) fn is_drained(&self) -> bool {
        self.drained
    }

    /// The peer's first byte, once it has arrived. It is received again later.
    pub(super) fn first_byte(&mut self, now: Instant) -> Result<Option<u8>> {
        let mut byte = [0];
        let received = match self.open() {
            Some(channel) if !channel.is_secure() => peek_now(channel.socket(), &mut byte)?,
            _ => self.receive(&mut byte, now)?,
        };
        match received {
            Received::Nothing => Ok(None),
            Received::End => Err(Error::Closed),
            Received::Bytes(_) => {
                if self.open().is_some_and(Channel::is_secure) {
                    self.early.extend(byte);
                }
                Ok(Some(byte[0]))
            }
        }
    }

    /// The bytes that [`Self::first_byte`] has received, which are then not received again.
    pub(super) fn take_early(&mut self) -> Vec<u8> {
        mem::take(&mut self.early)
    }

    /// Passes bytes to `hook` instead of the socket, if there is no TLS.
    pub(super) fn send_through(&mut self, hook: Option<SendHook>) {
        self.hook = hook;
    }

    pub(super) fn hook(&self) -> Option<SendHook> {
        self.hook.clone()
    }

    /// Sets whether the socket stays readable while there is something to receive.
    pub(super) fn keep_readable(&mut self, keep: bool) {
        if self.keeps_readable == keep {
            return;
        }
        self.keeps_readable = keep;
        if let Some(channel) = self.open_mut() {
            channel.set_intake(if keep { Intake::AllButOne { left: false } } else { Intake::All });
        }
    }

    pub(super) fn keeps_readable(&self) -> bool {
        self.keeps_readable
    }

    /// Removes the byte that was left on the socket to keep it readable.
    pub(super) fn release_byte(&mut self) {
        if let Some(channel) = self.open_mut() {
            channel.release_byte();
        }
    }

    /// Whether a byte was left on the socket.
    pub(super) fn has_left_byte(&self) -> bool {
        self.channel().is_some_and(Channel::has_left_byte)
    }

    /// Whether there are bytes, or the end, that no socket signals, because they were received already.
    pub(super) fn holds_more(&mut self) -> bool {
        let has_early = !self.early.is_empty();
        self.open_mut().is_some_and(|channel| has_early || channel.holds_more())
    }

    /// Uses another descriptor of the same socket from now on.
    pub(super) fn replace_socket(&mut self, by: Arc<Socket>) {
        if let Stage::Reached(channel, _) = &mut self.stage {
            channel.replace_socket(by);
        }
    }

    /// Uses a descriptor of its own for the socket from now on.
    pub(super) fn use_own_descriptor(&mut self) -> Result<()> {
        if let Some(socket) = self.socket() {
            let own = Arc::new(socket.try_clone()?);
            self.replace_socket(own);
        }
        Ok(())
    }

    /// Whether the peer has been reached, and the TLS handshake is running.
    pub(super) fn shakes_hands(&self) -> bool {
        matches!(self.stage, Stage::Reached(_, Phase::Shaking(_)))
    }

    /// Whether there is TLS with a proxy, and none with the peer yet.
    pub(super) fn leads_through_proxy_in_tls(&self) -> bool {
        self.open().is_some_and(Channel::leads_through_proxy_in_tls)
    }

    /// The socket of a connection without TLS, for the caller to continue with.
    pub(super) fn into_socket(self) -> Option<Arc<Socket>> {
        match self.stage {
            Stage::Reached(channel, Phase::Open) => channel.into_socket(),
            _ => None,
        }
    }

    /// Takes the first bytes of `pieces`; returns how many.
    pub(super) fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let channel = match &mut self.stage {
            Stage::Reached(channel, Phase::Open) => channel,
            Stage::Dialling { .. } | Stage::Reached(_, Phase::Shaking(_)) => return Ok(0),
            _ => return Err(Error::NotConnected),
        };
        let Some(first) = pieces.iter().position(|piece| !piece.is_empty()) else { return Ok(0) };
        match &self.hook {
            Some(hook) if !channel.is_secure() => hook.send(&pieces[first]),
            _ => channel.send(&pieces[first..]),
        }
    }

    /// Bytes that were taken and that the system has not accepted yet.
    pub(super) fn unsent(&self) -> usize {
        match &self.stage {
            Stage::Dialling { .. } | Stage::Reached(_, Phase::Lingering(_)) | Stage::Over => 0,
            Stage::Reached(channel, _) => channel.unsent(),
        }
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        let unsent = self.unsent() > 0;
        let (channel, phase) = match &self.stage {
            Stage::Dialling { dial, .. } => return dial.interests(out),
            Stage::Reached(channel, phase) => (channel, phase),
            Stage::Over => return,
        };
        let (read, write) = match phase {
            Phase::Shaking(_) => (true, unsent),
            Phase::Open => (wanted.read && !self.ended, wanted.write || unsent),
            Phase::Flushing(_) => (!self.ended, unsent),
            Phase::Lingering(_) => (true, false),
        };
        if read || write {
            out.push(channel.interest(read, write));
        }
    }

    /// The time at which a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Dialling { dial, .. } => dial.deadline(),
            Stage::Reached(_, Phase::Shaking(deadline)) => *deadline,
            Stage::Reached(_, Phase::Flushing(until) | Phase::Lingering(until)) => Some(*until),
            Stage::Reached(_, Phase::Open) => self.stopped,
            Stage::Over => None,
        }
    }

    /// Says goodbye. [`Self::step`] completes it.
    pub(super) fn finish(&mut self, now: Instant) {
        match &mut self.stage {
            Stage::Reached(channel, phase @ Phase::Open) => {
                channel.close();
                *phase = Phase::Flushing(now + self.timeout.unwrap_or(MAX_FLUSH).min(MAX_FLUSH));
            }
            Stage::Reached(_, Phase::Flushing(_) | Phase::Lingering(_)) => {}
            Stage::Dialling { .. } | Stage::Reached(_, Phase::Shaking(_)) | Stage::Over => {
                self.stage = Stage::Over;
            }
        }
        // These stages cannot fail.
        let _ = self.step(now);
    }

    /// The peer still accepts bytes: waits again for the whole time that it has to close.
    pub(super) fn linger_on(&mut self, now: Instant) {
        if let Stage::Reached(_, Phase::Lingering(until)) = &mut self.stage {
            *until = now + LINGER;
        }
    }

    /// Drops the connection.
    pub(super) fn give_up(&mut self) {
        self.stage = Stage::Over;
    }

    /// Asks the system for an error of the connection, and remembers it. Must be called before anything is sent: sending clears
    /// the error, and then the socket looks as if this side had shut it down.
    pub(super) fn note_error(&mut self) {
        let error = self.socket().map(|socket| socket.take_error());
        self.broken |= matches!(error, Some(Ok(Some(_))));
    }

    /// Whether this side has ended the connection, by shutting the socket down. A connection that the peer has reset accepts no
    /// bytes either, but then there was an error.
    pub(super) fn is_shut_down_here(&mut self) -> bool {
        self.note_error();
        !self.broken && self.channel().is_none_or(Channel::takes_nothing)
    }
}

/// A connection that has reached the peer.
fn reached(mut channel: Channel, tls: Option<&(String, Trust)>, deadline: Option<Instant>) -> Result<Stage> {
    let Some((name, trust)) = tls else { return Ok(Stage::Reached(channel, Phase::Open)) };
    channel.secure(name, trust)?;
    Ok(Stage::Reached(channel, Phase::Shaking(deadline)))
}

/// That time after now; a time that the clock cannot represent is never.
pub(super) fn after(now: Instant, time: Option<Duration>) -> Option<Instant> {
    now.checked_add(time?)
}

/// The limit for sending the last bytes to a peer.
const MAX_FLUSH: Duration = Duration::from_secs(30);
