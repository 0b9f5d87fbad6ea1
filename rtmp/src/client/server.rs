//! A session with a server, and everything below it, for one program that plays or publishes.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    settings::Settings,
    wire::{Abort, Wire},
};
use crate::{
    chunk::{Chunks, Decoder, Encoder},
    driver::{self, Connection, Parts},
    error::{Error, Refusal, Result},
    handshake::{self, Cipher, ClientOptions, Swf},
    random,
    session::{State, auth, command},
    transport::{
        deadline::Deadline,
        tcp::LINGER,
        tunnel::{Carrier, Tunnel},
    },
};

/// How much is received at once.
const BLOCK_LEN: usize = 64 << 10;

/// A server that is played from or published to. One thread may receive while another sends.
pub(super) struct Server {
    settings: Arc<Settings>,
    publish: bool,
    swf: Option<Swf>,
    wire: Wire,
    /// If bytes go through one. Has locks of its own.
    tunnel: Mutex<Option<Arc<Tunnel>>>,
    /// Held for short steps only, never while waiting.
    core: Mutex<Core>,
    /// Used by the thread that reads; not held while it waits.
    inbound: Mutex<Inbound>,
    /// Held by whoever sends, so that messages stay whole.
    outbound: Mutex<Outbound>,
    open: AtomicBool,
    said_goodbye: AtomicBool,
    refusal: Mutex<Option<Refusal>>,
}

#[derive(Default)]
struct Core {
    state: State,
    calls: Vec<(Vec<u8>, i32)>,
    decoder: Decoder,
    encoder: Encoder,
    app: Vec<u8>,
    tc_url: Vec<u8>,
    swf_response: Option<handshake::Response>,
    logins: u32,
}

#[derive(Default)]
struct Inbound {
    /// Decrypts, after an RTMPE handshake.
    cipher: Option<Cipher>,
    /// Received, and not used yet from `used` on. What was used goes when more comes: moving the rest for each message would
    /// cost more than the message.
    received: Vec<u8>,
    used: usize,
    /// Where bytes arrive; empty while a thread waits.
    block: Vec<u8>,
}

#[derive(Default)]
struct Outbound {
    /// Encrypts, after an RTMPE handshake.
    cipher: Option<Cipher>,
    /// Memory for putting pieces together.
    scratch: Vec<u8>,
    /// Memory for a message as a whole, where it has to be changed.
    whole: Vec<u8>,
}

impl Inbound {
    fn unread(&mut self) -> &mut [u8] {
        &mut self.received[self.used..]
    }
}

impl Server {
    /// Connects, and waits until the stream plays or may be published.
    pub(super) fn connect(settings: &Arc<Settings>, abort: &Arc<Abort>, publish: bool) -> Result<Self> {
        let (app, tc_url) = settings.application();
        let server = Self {
            settings: settings.clone(),
            publish,
            swf: settings.swf(),
            wire: Wire::new(settings.clone(), abort.clone()),
            tunnel: Mutex::default(),
            core: Mutex::new(Core { app, tc_url, ..Core::default() }),
            inbound: Mutex::default(),
            outbound: Mutex::default(),
            open: AtomicBool::new(false),
            said_goodbye: AtomicBool::new(false),
            refusal: Mutex::default(),
        };
        let result = server.begin().and_then(|()| driver::connect_stream(&server));
        result.map_err(|error| server.verdict(error))?;
        Ok(server)
    }

    /// What an error means: that the program wanted it, that the server has refused the stream, or itself.
    pub(super) fn verdict(&self, error: Error) -> Error {
        match (self.wire.verdict(error), &*lock(&self.refusal)) {
            (Error::Closed | Error::NotConnected | Error::Io(_), Some(refusal)) => {
                Error::Refused(refusal.clone())
            }
            (error, _) => error,
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The message stream of play or publish.
    pub(super) fn stream_id(&self) -> u32 {
        self.step(|parts| parts.state.stream_id.cast_unsigned())
    }

    /// Lets the thread that reads wait until there is something, or the connection ends.
    pub(super) fn wait_for_ever(&self) -> Result<()> {
        self.wire.wait_for_ever()
    }

    /// Ends the stream and sends nothing from then on. What the server still says can be read.
    pub(super) fn end_sending(&self) {
        if !self.is_open() || self.said_goodbye.swap(true, Ordering::SeqCst) {
            return;
        }
        // A player has nothing to lose that would be worth a wait.
        let (limit, goodbye) =
            if self.publish { (self.settings.timeout, LINGER) } else { Default::default() };
        self.wire.set_limit(Deadline::after(Some(limit)));
        driver::close_politely(self);
        match self.tunnel() {
            // The replies to what was sent before still come, and then there is nothing to ask for.
            Some(tunnel) => tunnel.close(&self.wire, goodbye),
            None => self.wire.end_sending(),
        }
        self.wire.set_limit(Deadline::NEVER);
    }

    /// A connection, a handshake, and the first command.
    fn begin(&self) -> Result<()> {
        self.wire.dial(Deadline::NEVER)?;
        self.open.store(true, Ordering::SeqCst);
        self.said_goodbye.store(false, Ordering::SeqCst);
        *lock(&self.inbound) = Inbound::default();
        *lock(&self.outbound) = Outbound::default();
        *lock(&self.tunnel) = None;
        {
            let mut core = lock(&self.core);
            core.calls.clear();
            core.state = State { buffer_ms: self.settings.buffer_ms, acknowledges: true, ..State::default() };
        }
        self.start().inspect_err(|_| self.give_up())
    }

    fn start(&self) -> Result<()> {
        let settings = &self.settings;
        if settings.protocol.is_tunnelled() {
            let tunnel = Arc::new(Tunnel::new(&settings.host_name(), settings.port())?);
            tunnel.open(&self.wire)?;
            *lock(&self.tunnel) = Some(tunnel);
        }
        let encrypted = settings.protocol.is_encrypted();
        let options = ClientOptions { time: now(), encrypted, swf: self.swf };
        let client = handshake::Client::new(options, &mut random::system)?;
        self.apply(driver::handshake_as_client(self, client)?);
        let extras = settings.extras.encoded();
        let connect = self.step(|parts| command::connect(parts.state, &parts.profile, &extras));
        driver::send(self, &connect)
    }

    /// Applies what a handshake agreed on to everything after it, what is received and unread already included.
    fn apply(&self, outcome: handshake::Outcome) {
        lock(&self.core).swf_response = outcome.swf_response;
        if let Some(handshake::Keys { mut receive, send }) = outcome.keys {
            let mut inbound = lock(&self.inbound);
            receive.apply(inbound.unread());
            inbound.cipher = Some(receive);
            lock(&self.outbound).cipher = Some(send);
        }
    }

    /// Connects again, with what a server that wants a publisher to log in asked for.
    fn log_in(&self, token: &[u8]) -> Result<()> {
        {
            let mut core = lock(&self.core);
            auth::count_login(&mut core.logins)?;
            core.app.extend_from_slice(token);
            core.tc_url.extend_from_slice(token);
        }
        self.give_up();
        self.begin()
    }

    /// Runs a step with what the session owns; tells how much of `input` it used.
    fn run<R>(&self, input: &[u8], step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> (R, usize) {
        let mut core = lock(&self.core);
        let Core { state, calls, decoder, encoder, app, tc_url, swf_response, .. } = &mut *core;
        // Servers may ask for verification when there was no signed handshake to make an answer from.
        let none = [0; handshake::RESPONSE_LEN];
        let response = self.swf.map(|_| swf_response.as_ref().unwrap_or(&none));
        let profile = self.settings.profile(self.publish, app, tc_url, response);
        let mut parts = Parts { state, profile, calls, decoder, encoder, input, consumed: 0 };
        let result = step(&mut parts);
        let consumed = parts.consumed;
        (result, consumed)
    }

    fn send_pieces<'p>(&self, pieces: impl Iterator<Item = &'p [u8]>, outbound: &mut Outbound) -> Result<()> {
        let Outbound { cipher, scratch, whole } = outbound;
        let tunnel = self.tunnel();
        if cipher.is_none() && tunnel.is_none() {
            return self.wire.send_all(pieces, scratch, self.wire.limit());
        }
        whole.clear();
        pieces.for_each(|piece| whole.extend_from_slice(piece));
        if let Some(cipher) = cipher {
            cipher.apply(whole);
        }
        match tunnel {
            Some(tunnel) => tunnel.send(&self.wire, &[whole]),
            None => self.wire.send_all(std::iter::once(&whole[..]), scratch, self.wire.limit()),
        }
    }

    fn tunnel(&self) -> Option<Arc<Tunnel>> {
        lock(&self.tunnel).clone()
    }
}

impl Connection for Server {
    type Body = Vec<u8>;

    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        self.run(&[], step).0
    }

    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> R) -> R {
        let mut inbound = lock(&self.inbound);
        let (result, consumed) = self.run(inbound.unread(), step);
        inbound.used += consumed;
        result
    }

    fn fill(&self, _whole: bool) -> Result<()> {
        let mut block = mem::take(&mut lock(&self.inbound).block);
        block.resize(BLOCK_LEN, 0);
        let received = match self.tunnel() {
            None => self.wire.receive(&mut block, self.wire.limit()),
            Some(tunnel) => tunnel.fill(&self.wire, &mut block),
        };
        let mut inbound = lock(&self.inbound);
        let result = received.and_then(|count| {
            if count == 0 {
                return Err(self.wire.verdict(Error::Closed));
            }
            let Some(arrived) = block.get_mut(..count) else {
                return Err(Error::Invalid("length of received bytes"));
            };
            if let Some(cipher) = &mut inbound.cipher {
                cipher.apply(arrived);
            }
            let used = mem::take(&mut inbound.used);
            inbound.received.drain(..used);
            inbound.received.extend_from_slice(arrived);
            Ok(())
        });
        inbound.block = block;
        if result.is_err() && (self.said_goodbye.load(Ordering::SeqCst) || self.wire.is_aborted()) {
            // As this side wants it, so there is nothing to report, and nobody to say goodbye to.
            self.open.store(false, Ordering::SeqCst);
        }
        result
    }

    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> Result<Chunks<'m>>,
    ) -> Result<()> {
        let mut outbound = lock(&self.outbound);
        let chunks = self.step(encode)?;
        self.send_pieces(chunks.pieces(), &mut outbound)
    }

    fn try_transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>) -> Result<Chunks<'m>>,
    ) -> Option<Result<()>> {
        let mut outbound = match self.outbound.try_lock() {
            Ok(outbound) => outbound,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let chunks = self.step(encode);
        Some(chunks.and_then(|chunks| self.send_pieces(chunks.pieces(), &mut outbound)))
    }

    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()> {
        self.send_pieces(pieces.iter().copied(), &mut lock(&self.outbound))
    }

    fn has_more(&self) -> bool {
        self.wire.has_more()
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn close(&self) {
        self.end_sending();
        self.give_up();
    }

    fn give_up(&self) {
        self.open.store(false, Ordering::SeqCst);
        self.step(|parts| parts.state.playing = false);
        self.wire.shut_down();
    }

    fn reconnect(&self, token: &[u8]) -> Result<()> {
        self.log_in(token).inspect_err(|error| log::error!("Closing connection: {error}"))
    }

    fn begin_phase(&self) {
        self.wire.set_limit(Deadline::after(self.wire.timeout()));
    }

    fn end_phase(&self) {
        self.wire.set_limit(Deadline::NEVER);
    }

    fn check(&self) -> Result<()> {
        if self.wire.is_aborted() { Err(Error::Interrupted) } else { self.wire.limit().left().map(drop) }
    }

    fn refused(&self, refusal: &Refusal) {
        *lock(&self.refusal) = Some(refusal.clone());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a panic left behind is as good as anything: each field is assigned in one go.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds of the system's clock, modulo 2^32.
fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u32)
}
