//! A connection from the look-up to the goodbye, logins included, or from when a client was accepted. Never waits.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use log::{debug, error};
use rustix::fd::AsFd;

use super::{
    pump::{Farewell, Progress, Pump},
    settings::Settings,
};
use crate::{
    chunk::Outgoing,
    error::{Error, Refusal, Result},
    handshake::{self, ClientOptions, ServerOptions, Swf},
    media,
    message::Message,
    net::{Interest, Link},
    random,
    session::{
        Application, Calls, Capabilities, Event, Notice, Profile, Reconnect, Request, Session, State, auth,
    },
    stats::Stats,
    transport::tcp,
};

/// A connection that is being made, is used, or has ended.
pub(super) struct Connection {
    wishes: Wishes,
    swf: Option<Swf>,
    logins: u32,
    timeout: Option<Duration>,
    stage: Stage,
    /// Why the server has refused the stream, if it has.
    refusal: Option<Refusal>,
    /// What the protocol knew in the end.
    last: State,
    /// Its numbers in the end.
    last_stats: Stats,
    /// What came of a step behind the notices that it has led to.
    held: Option<Result<Progress>>,
    /// The chunk size to announce after the handshake.
    chunk_size: Option<u32>,
    /// What a server says of itself.
    announced: Option<Capabilities>,
    /// What the server has asked for last.
    reconnect: Option<Reconnect>,
}

enum Stage {
    /// The session begins when the link is open.
    Linking(Box<Link>),
    Open(Box<Pump>),
    /// The goodbye is on its way, until then at the latest.
    Leaving(Box<Pump>, Instant),
    Ended,
}

/// What the session asks of us.
#[derive(Default)]
struct Wishes {
    /// What a client wants; a server wants nothing.
    settings: Option<Arc<Settings>>,
    publish: bool,
    app: Vec<u8>,
    tc_url: Vec<u8>,
    calls: Vec<(Vec<u8>, i32)>,
    /// What the peer has said, and nobody was told.
    notices: VecDeque<Notice>,
    /// Whether the stream runs, or ran.
    streams: bool,
    /// Whether notices are kept.
    wants_notices: bool,
    /// Servers may ask for verification when there was no signed handshake to make an answer from.
    swf_response: Option<handshake::Response>,
}

/// What happens to a connection.
pub(super) enum Happening {
    /// The stream plays, or may be published.
    Streaming,
    /// Audio, video, metadata, or an aggregate of these.
    Media(Message),
    /// The server has said that the stream has ended.
    Ended,
    /// The client asks for something, and waits for the answer.
    Request(Request),
    /// The client has given a message stream back.
    StreamClosed(u32),
    /// The server wants its client to connect again.
    Reconnect(Reconnect),
    /// The peer has said something besides media.
    Notice(Notice),
    /// Nothing can be done before a socket is ready or a deadline has passed.
    Idle,
    /// There is more to do, after a look at the clock.
    Busy,
    /// The goodbye was said, and the server has closed the connection or has had its time to.
    Left,
}

impl Wishes {
    /// The next notice. What comes before the stream runs waits for that: until then programs do not look.
    fn take_notice(&mut self) -> Option<Notice> {
        if self.streams { self.notices.pop_front() } else { None }
    }
}

/// How many notices wait for the stream to run, and of how many bytes. The oldest make room for one more.
const MAX_NOTICES: usize = 64;
const MAX_NOTICE_BYTES: usize = 64 << 10;

impl Application for Wishes {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let Self { settings, publish, app, tc_url, swf_response, calls, .. } = self;
        let profile =
            settings.as_ref().map(|settings| settings.profile(*publish, app, tc_url, swf_response.as_ref()));
        (profile.unwrap_or_default(), calls)
    }

    fn notified(&mut self, notice: Notice) {
        // The connection hands these out by itself.
        if !self.wants_notices || matches!(notice, Notice::Reconnect(_)) {
            return;
        }
        self.notices.push_back(notice);
        let bytes = |notices: &VecDeque<Notice>| notices.iter().map(Notice::len).sum::<usize>();
        while !self.streams && (self.notices.len() > MAX_NOTICES || bytes(&self.notices) > MAX_NOTICE_BYTES) {
            self.notices.pop_front();
        }
    }
}

impl Connection {
    /// Begins to connect. `swf` is the file to vouch for, see [`Settings::swf`].
    pub(super) fn begin(
        settings: &Arc<Settings>,
        publish: bool,
        swf: Option<Swf>,
        now: Instant,
    ) -> Result<Self> {
        let (app, tc_url) = settings.application();
        let wishes = Wishes {
            settings: Some(settings.clone()),
            publish,
            app,
            tc_url,
            calls: Vec::new(),
            notices: VecDeque::new(),
            streams: false,
            wants_notices: true,
            swf_response: swf.map(|_| [0; handshake::RESPONSE_LEN]),
        };
        let stage = Stage::Linking(Box::new(Link::connect(&settings.target(), now)?));
        Ok(Self { wishes, swf, ..Self::new(stage, Some(settings.timeout())) })
    }

    /// Serves a client that has connected.
    pub(super) fn serve(link: Link, timeout: Option<Duration>, announced: Option<&Capabilities>) -> Self {
        Self { announced: announced.cloned(), ..Self::new(Stage::Linking(Box::new(link)), timeout) }
    }

    fn new(stage: Stage, timeout: Option<Duration>) -> Self {
        Self {
            wishes: Wishes::default(),
            swf: None,
            logins: 0,
            timeout,
            stage,
            refusal: None,
            last: State::NEW,
            last_stats: Stats::default(),
            held: None,
            chunk_size: None,
            announced: None,
            reconnect: None,
        }
    }

    /// Moves bytes until something happens or nothing can be done. An error ends the connection, unless it is
    /// [`Error::TimedOut`].
    pub(super) fn step(&mut self, now: Instant) -> Result<Happening> {
        let happening = self.advance(now);
        if happening.as_ref().is_err_and(|error| !matches!(error, Error::TimedOut) || !self.is_open()) {
            self.end();
        }
        happening.map_err(|error| self.explain(error))
    }

    fn advance(&mut self, now: Instant) -> Result<Happening> {
        loop {
            let event = match &mut self.stage {
                Stage::Linking(link) => {
                    link.step(now)?;
                    if !link.is_open() {
                        return Ok(Happening::Idle);
                    }
                    self.begin_session(now)?;
                    continue;
                }
                Stage::Open(pump) => {
                    if let Some(notice) = self.wishes.take_notice() {
                        return Ok(Happening::Notice(notice));
                    }
                    let held = self.held.take();
                    let progress = held.unwrap_or_else(|| pump.step(&mut self.wishes, now));
                    if let Some(notice) = self.wishes.take_notice() {
                        self.held = Some(progress);
                        return Ok(Happening::Notice(notice));
                    }
                    match progress? {
                        Progress::Event(event) => event,
                        Progress::Idle => return Ok(Happening::Idle),
                        Progress::Busy => return Ok(Happening::Busy),
                    }
                }
                Stage::Leaving(..) => return self.leave(now),
                Stage::Ended => return Err(Error::NotConnected),
            };
            match event {
                Event::Handshaken { swf_response, .. } => {
                    if let Some(response) = swf_response {
                        self.wishes.swf_response = Some(response);
                    }
                    if let Some(bytes) = self.chunk_size.take() {
                        self.with_session(|session, wishes| session.set_chunk_size(wishes, bytes))?;
                    }
                    if let Some(settings) = &self.wishes.settings {
                        let extras = settings.extras.encoded();
                        self.with_session(|session, wishes| session.connect(wishes, &extras, now))?;
                    }
                }
                Event::Streaming => {
                    self.wishes.streams = true;
                    return Ok(Happening::Streaming);
                }
                Event::Media(message) => return Ok(Happening::Media(message)),
                Event::Ended(_) => {
                    self.say_goodbye(now);
                    return Ok(Happening::Ended);
                }
                Event::Refused(refusal) => {
                    self.refusal = Some(refusal.clone());
                    self.say_goodbye(now);
                    return Err(Error::Refused(refusal));
                }
                Event::Login(token) => {
                    self.log_in(&token, now).inspect_err(|error| error!("Closing connection: {error}"))?;
                }
                Event::Request(request) => return Ok(Happening::Request(request)),
                Event::StreamClosed { stream_id } => return Ok(Happening::StreamClosed(stream_id)),
                Event::Reconnect(request) => {
                    self.reconnect = Some(request.clone());
                    return Ok(Happening::Reconnect(request));
                }
            }
        }
    }

    /// The link is open: the handshake comes next.
    fn begin_session(&mut self, now: Instant) -> Result<()> {
        let (time, random) = (system_time(), &mut random::system);
        let session = match &self.wishes.settings {
            Some(settings) => {
                let options =
                    ClientOptions { time, encrypted: settings.protocol.is_encrypted(), swf: self.swf };
                let mut session = Session::client(options, self.timeout, random, now)?;
                session.state.buffer_ms = settings.buffer_ms;
                session.state.object_encoding = settings.enhanced.object_encoding.unwrap_or(0).into();
                session
            }
            None => {
                let options = ServerOptions { time, swf: None };
                let mut session = Session::server(options, self.timeout, random, now)?;
                if let Some(announced) = self.announced.take() {
                    session.announce(announced);
                }
                session
            }
        };
        self.wishes.calls.clear();
        if let Stage::Linking(link) = mem::replace(&mut self.stage, Stage::Ended) {
            self.stage = Stage::Open(Box::new(Pump::new(*link, session)));
        }
        Ok(())
    }

    /// Connects again, with what a server that wants a publisher to log in asked for.
    fn log_in(&mut self, token: &[u8], now: Instant) -> Result<()> {
        auth::count_login(&mut self.logins)?;
        self.wishes.app.extend_from_slice(token);
        self.wishes.tc_url.extend_from_slice(token);
        self.end();
        if let Some(settings) = &self.wishes.settings {
            self.stage = Stage::Linking(Box::new(Link::connect(&settings.target(), now)?));
        }
        Ok(())
    }

    /// Sends a message, as far as there is room for it now.
    pub(super) fn send(&mut self, message: &Outgoing<'_>, now: Instant) -> Result<()> {
        let result = match &mut self.stage {
            Stage::Open(pump) => pump.send(message, now),
            _ => Err(Error::NotConnected),
        };
        result.map_err(|error| {
            // Part of the message may have been sent.
            if error.is_end_of_connection() {
                self.cut();
            }
            self.explain(error)
        })
    }

    /// Changes the largest chunk payload to the peer, at the latest after the handshake.
    pub(super) fn set_chunk_size(&mut self, now: Instant, bytes: u32) -> Result<()> {
        if bytes == 0 {
            return Err(Error::Invalid("a chunk size of 0"));
        }
        if self.is_open() {
            return self.say(now, |session, wishes| session.set_chunk_size(wishes, bytes));
        }
        self.chunk_size = Some(bytes);
        Ok(())
    }

    /// Has the session say something.
    pub(super) fn say(
        &mut self,
        now: Instant,
        say: impl FnOnce(&mut Session, &mut dyn Application) -> Result<()>,
    ) -> Result<()> {
        let result = self.with_session(|session, wishes| say(session, wishes));
        result.map_err(|error| self.explain(error))?;
        self.flush(now)
    }

    /// As [`Self::flush`], and does what the layers below have to do.
    #[cfg(feature = "tokio")]
    pub(super) fn push(&mut self, now: Instant) -> Result<()> {
        if let Stage::Open(pump) | Stage::Leaving(pump, _) = &mut self.stage {
            pump.link().step(now)?;
        }
        self.flush(now)
    }

    /// Writes what waits, as far as there is room for it. An error ends the connection.
    pub(super) fn flush(&mut self, now: Instant) -> Result<()> {
        let result = match &mut self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.flush(now),
            _ => Err(Error::NotConnected),
        };
        result.map_err(|error| {
            self.cut();
            self.explain(error)
        })
    }

    /// What the peer has announced; nothing while it is not connected.
    pub(super) fn peer(&mut self) -> Capabilities {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().peer().map(|peer| peer.capabilities.clone()),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// The body of a message, unless the peer has not announced that it understands it.
    pub(super) fn encode_media(&mut self, message: &media::Message<'_>) -> Result<Vec<u8>> {
        let body = message.encode()?;
        if !self.wishes.settings.as_ref().is_some_and(|settings| settings.enhanced.force) {
            self.peer().check(message)?;
        }
        Ok(body)
    }

    /// The server's last request to connect again.
    pub(super) fn reconnect(&self) -> Option<Reconnect> {
        self.reconnect.clone()
    }

    fn with_session(&mut self, step: impl FnOnce(&mut Session, &mut Wishes) -> Result<()>) -> Result<()> {
        match &mut self.stage {
            Stage::Open(pump) => step(pump.session(), &mut self.wishes),
            _ => Err(Error::NotConnected),
        }
    }

    /// Ends the stream politely. Steps go on until the server has read everything, for the time of one wait.
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        self.held = None;
        match mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Open(mut pump) => {
                self.last = pump.session().state;
                pump.session().close(&mut self.wishes);
                // A time-out may be longer than the clock can count.
                let until = self.timeout.and_then(|timeout| now.checked_add(timeout));
                self.stage = Stage::Leaving(pump, until.unwrap_or(now + LONGEST_GOODBYE));
                // What is in the way of it, the next step meets again.
                let _ = self.leave(now);
            }
            Stage::Leaving(pump, deadline) => self.stage = Stage::Leaving(pump, deadline),
            Stage::Linking(_) | Stage::Ended => {}
        }
    }

    fn leave(&mut self, now: Instant) -> Result<Happening> {
        let Stage::Leaving(pump, deadline) = &mut self.stage else { return Ok(Happening::Left) };
        match pump.leave(now) {
            Ok(Farewell::Idle) if now < *deadline => return Ok(Happening::Idle),
            Ok(Farewell::Busy) if now < *deadline => return Ok(Happening::Busy),
            Ok(Farewell::Idle | Farewell::Busy) => debug!("the peer does not close the connection"),
            Ok(Farewell::Over) => debug!("the peer has closed the connection"),
            Err(error) => debug!("the connection has ended: {error}"),
        }
        self.end();
        Ok(Happening::Left)
    }

    /// Ends the connection, on which nothing can be sent any more.
    pub(super) fn cut(&mut self) {
        let resets = self.wishes.settings.as_ref().is_some_and(|settings| settings.tuning.resets);
        if let (true, Stage::Open(pump) | Stage::Leaving(pump, _)) = (resets, &mut self.stage) {
            if let Some(socket) = pump.link().socket() {
                tcp::reset_at_close(socket.as_fd());
            }
        }
        self.end();
    }

    /// Ends the connection now.
    pub(super) fn end(&mut self) {
        if !matches!(self.stage, Stage::Ended) {
            self.last_stats = self.stats(None);
            self.held = None;
        }
        match mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Linking(mut link) => link.abort(),
            Stage::Open(mut pump) => {
                self.last = pump.session().state;
                pump.link().abort();
            }
            Stage::Leaving(mut pump, _) => pump.link().abort(),
            Stage::Ended => {}
        }
    }

    /// Says whether [`Happening::Notice`] is wanted. A client wants it unless it says otherwise.
    pub(super) fn want_notices(&mut self, wants: bool) {
        self.wishes.wants_notices = wants;
    }

    /// Lets the phase that has timed out go on.
    pub(super) fn begin_phase(&mut self, now: Instant) {
        if let Stage::Open(pump) = &mut self.stage {
            pump.session().begin_phase(now);
        }
    }

    /// Whether messages can be sent and received.
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.is_open())
    }

    /// Whether a request of the client waits for its answer.
    pub(super) fn has_request(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.has_request())
    }

    /// Whether messages can be sent, as far as is known: a server that takes nothing any more may have sent more
    /// before.
    pub(super) fn takes_bytes(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.is_open() && pump.takes_bytes())
    }

    /// What the protocol knows, or knew in the end.
    pub(super) fn state(&mut self) -> State {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().state,
            _ => self.last,
        }
    }

    /// The numbers of the connection, or what they were in the end. Without a time nothing is waiting.
    pub(super) fn stats(&self, now: Option<Instant>) -> Stats {
        match &self.stage {
            Stage::Linking(link) => Stats { phases: link.phases(), ..Stats::default() },
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.stats(now),
            Stage::Ended => self.last_stats,
        }
    }

    /// How long a wait may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Bytes received in all.
    pub(super) fn received(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.received(),
            _ => 0,
        }
    }

    /// Where the queue of bytes to the server ends, counted from the beginning of the session.
    pub(super) fn queued_until(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.queued_until(),
            _ => 0,
        }
    }

    /// How much of it the connection has taken.
    pub(super) fn sent_until(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.sent_until(),
            _ => u64::MAX,
        }
    }

    /// How many bytes wait for the peer, here and in the layers below.
    pub(super) fn unsent(&self) -> usize {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.unsent(),
            Stage::Linking(_) | Stage::Ended => 0,
        }
    }

    /// Whether received bytes would be used.
    pub(super) fn wants_input(&self) -> bool {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.wants_input(),
            Stage::Linking(_) | Stage::Ended => false,
        }
    }

    /// Appends the sockets to wait for.
    pub(super) fn interests(&self, out: &mut Vec<Interest>) {
        match &self.stage {
            Stage::Linking(link) => link.interests(Default::default(), out),
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.interests(out),
            Stage::Ended => {}
        }
    }

    /// When a step has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Linking(link) => link.deadline(),
            Stage::Open(pump) => pump.deadline(),
            Stage::Leaving(pump, deadline) => {
                Some(pump.deadline().map_or(*deadline, |own| own.min(*deadline)))
            }
            Stage::Ended => None,
        }
    }

    /// What an error means: a connection that the server ends after it has refused the stream is its refusal.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &self.refusal) {
            (Error::Closed | Error::NotConnected | Error::Io(_), Some(refusal)) => {
                Error::Refused(refusal.clone())
            }
            (error, _) => error,
        }
    }
}

/// How long a goodbye may take when there is no time-out.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// Milliseconds of the system's clock, modulo 2^32.
fn system_time() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u32)
}
