//! A connection from the look-up to the goodbye, including logins, or from the acceptance of a client. It never waits.

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
        Application, Calls, Capabilities, Event, Notice, Profile, Reconnect, Request, Session, State,
        StreamStage, auth,
    },
    stats::Stats,
    transport::tcp,
};

/// A connection that is being made, is in use, or has ended.
pub(super) struct Connection {
    wishes: Wishes,
    swf: Option<Swf>,
    logins: u32,
    timeout: Option<Duration>,
    stage: Stage,
    /// Why the server has refused the stream, if it has.
    refusal: Option<Refusal>,
    /// The protocol's state at the end.
    last: State,
    /// The statistics at the end.
    last_stats: Stats,
    /// The result of a step, kept until its notices were returned.
    held: Option<Result<Progress>>,
    /// The chunk size to announce after the handshake.
    chunk_size: Option<u32>,
    /// The announcement of a server.
    announced: Option<Capabilities>,
    /// The server's last reconnect request.
    reconnect: Option<Reconnect>,
}

enum Stage {
    /// The session begins when the link is open.
    Linking(Box<Link>),
    Open(Box<Pump>),
    /// The goodbye has begun. It must end by this time.
    Leaving(Box<Pump>, Instant),
    Ended,
}

/// The settings that the session reads.
#[derive(Default)]
struct Wishes {
    /// A client's settings; a server has none.
    settings: Option<Arc<Settings>>,
    publish: bool,
    app: Vec<u8>,
    tc_url: Vec<u8>,
    calls: Vec<(Vec<u8>, i32)>,
    /// The peer's notices that were not returned yet.
    notices: VecDeque<Notice>,
    /// Whether the stream runs or has run.
    streams: bool,
    /// Whether notices are kept.
    wants_notices: bool,
    /// The answer for servers that request verification; `None` if the handshake was not signed.
    swf_response: Option<handshake::Response>,
}

/// An event of a connection.
pub(super) enum Happening {
    /// The stream plays, or may be published.
    Streaming,
    /// Audio, video, metadata, or an aggregate of these.
    Media(Message),
    /// The server has ended the stream.
    Ended,
    /// The client sends a request, and waits for the answer.
    Request(Request),
    /// The client has released a message stream.
    StreamClosed(u32),
    /// The server asks its client to connect again.
    Reconnect(Reconnect),
    /// The peer has sent something besides media.
    Notice(Notice),
    /// Nothing can be done before a socket is ready or a deadline has passed.
    Idle,
    /// There is more to do, with a new time.
    Busy,
    /// The goodbye was sent, and the server has closed the connection, or its time has passed.
    Left,
}

impl Wishes {
    /// The next notice. Notices from before the stream wait until it runs, because programs do not read them earlier.
    fn take_notice(&mut self) -> Option<Notice> {
        if self.streams { self.notices.pop_front() } else { None }
    }
}

/// The limit of notices that wait for the stream to run, and of their bytes. The oldest are dropped first.
const MAX_NOTICES: usize = 64;
const MAX_NOTICE_BYTES: usize = 64 << 10;

impl Application for Wishes {
    fn wishes(&mut self) -> (Profile<'_>, &mut dyn Calls) {
        let Self { settings, publish, app, tc_url, swf_response, calls, .. } = self;
        let profile =
            settings.as_ref().map(|settings| settings.profile(*publish, app, tc_url, swf_response.as_ref()));
        (profile.unwrap_or_default(), calls)
    }

    fn calls(&mut self) -> &mut dyn Calls {
        &mut self.calls
    }

    fn wants_notices(&self) -> bool {
        self.wants_notices
    }

    fn notified(&mut self, notice: Notice) {
        // The connection returns these itself.
        if matches!(notice, Notice::Reconnect(_)) {
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
    /// Begins to connect. `swf` is the file to verify, see [`Settings::swf`].
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

    /// Moves bytes until there is an event or nothing more can be done. An error ends the connection, unless it is
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

    /// The link is open, and the handshake begins.
    fn begin_session(&mut self, now: Instant) -> Result<()> {
        let (time, random) = (system_time(), &mut random::system);
        let session = match &self.wishes.settings {
            Some(settings) => {
                let options =
                    ClientOptions { time, encrypted: settings.protocol.is_encrypted(), swf: self.swf };
                let mut session = Session::client(options, self.timeout, random, now)?;
                session.state.buffer_ms = settings.buffer_ms;
                session.state.object_encoding = settings.common.enhanced.object_encoding.unwrap_or(0).into();
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

    /// Connects again, and appends what the server requested for a publisher's login.
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
            // A part of the message may have been sent.
            if error.is_end_of_connection() {
                self.cut();
            }
            self.explain(error)
        })
    }

    /// Changes the largest chunk payload to the peer, now or after the handshake.
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

    /// Makes the session send something.
    pub(super) fn say(
        &mut self,
        now: Instant,
        say: impl FnOnce(&mut Session, &mut dyn Application) -> Result<()>,
    ) -> Result<()> {
        let result = self.with_session(|session, wishes| say(session, wishes));
        result.map_err(|error| self.explain(error))?;
        self.flush(now)
    }

    /// As [`Self::flush`], and also performs the work of the layers below.
    #[cfg(feature = "tokio")]
    pub(super) fn push(&mut self, now: Instant) -> Result<()> {
        if let Stage::Open(pump) | Stage::Leaving(pump, _) = &mut self.stage {
            pump.link().step(now)?;
        }
        self.flush(now)
    }

    /// Writes queued bytes, as far as there is room now. An error ends the connection.
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

    /// The peer's announcement; empty while it is not connected.
    pub(super) fn peer(&mut self) -> Capabilities {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().peer().map(|peer| peer.capabilities.clone()),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// The body of a message. Fails if the peer has not announced support for it.
    pub(super) fn encode_media(&mut self, message: &media::Message<'_>) -> Result<Vec<u8>> {
        let body = message.encode()?;
        if !self.wishes.settings.as_ref().is_some_and(|settings| settings.common.enhanced.force) {
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

    /// Ends the stream in an orderly way. Steps continue until the server has read everything, for at most the time of one
    /// wait.
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        self.held = None;
        match mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Open(mut pump) => {
                self.last = pump.session().state;
                pump.session().close(&mut self.wishes);
                // The clock may be unable to represent a very long timeout.
                let until = self.timeout.and_then(|timeout| now.checked_add(timeout));
                self.stage = Stage::Leaving(pump, until.unwrap_or(now + LONGEST_GOODBYE));
                // The next step meets an error again.
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

    /// Ends a connection on which nothing can be sent any more.
    pub(super) fn cut(&mut self) {
        let resets = self.wishes.settings.as_ref().is_some_and(|settings| settings.common.tuning.resets);
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

    /// Sets whether [`Happening::Notice`] is returned. By default, a client returns it.
    pub(super) fn want_notices(&mut self, wants: bool) {
        self.wishes.wants_notices = wants;
    }

    /// Whether a further stream is open on a message stream.
    pub(super) fn has_stream(&mut self, stream_id: u32) -> bool {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().has_stream(stream_id),
            _ => false,
        }
    }

    /// The stage of a further stream; `None` if there is none.
    pub(super) fn stream_stage(&mut self, key: i32) -> Option<StreamStage> {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().stream_stage(key).cloned(),
            _ => None,
        }
    }

    /// Restarts the time of a phase that has timed out.
    pub(super) fn begin_phase(&mut self, now: Instant) {
        if let Stage::Open(pump) = &mut self.stage {
            pump.session().begin_phase(now);
        }
    }

    /// Whether messages can be sent and received.
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.is_open())
    }

    /// Whether a request of the client waits for an answer.
    pub(super) fn has_request(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.has_request())
    }

    /// Whether messages can probably be sent: a server that no longer accepts bytes may have sent some before.
    pub(super) fn takes_bytes(&self) -> bool {
        matches!(&self.stage, Stage::Open(pump) if pump.is_open() && pump.takes_bytes())
    }

    /// The protocol's state, also after the end.
    pub(super) fn state(&mut self) -> State {
        match &mut self.stage {
            Stage::Open(pump) => pump.session().state,
            _ => self.last,
        }
    }

    /// The statistics of the connection, also after the end. Without a time, the length of the current wait is not included.
    pub(super) fn stats(&self, now: Option<Instant>) -> Stats {
        match &self.stage {
            Stage::Linking(link) => Stats { phases: link.phases(), ..Stats::default() },
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.stats(now),
            Stage::Ended => self.last_stats,
        }
    }

    /// The limit of a wait.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The total of received bytes.
    pub(super) fn received(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.received(),
            _ => 0,
        }
    }

    /// The end of the queue of bytes to the server, counted from the beginning of the session.
    pub(super) fn queued_until(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.queued_until(),
            _ => 0,
        }
    }

    /// The number of these bytes that the connection has accepted.
    pub(super) fn sent_until(&self) -> u64 {
        match &self.stage {
            Stage::Open(pump) | Stage::Leaving(pump, _) => pump.sent_until(),
            _ => u64::MAX,
        }
    }

    /// The number of bytes that wait for the peer, here and in the layers below.
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

    /// The time at which a step has something to do although no socket is ready.
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

    /// The error to report: if the server closes the connection after refusing the stream, the refusal.
    pub(super) fn explain(&self, error: Error) -> Error {
        match (error, &self.refusal) {
            (Error::Closed | Error::NotConnected | Error::Io(_), Some(refusal)) => {
                Error::Refused(refusal.clone())
            }
            (error, _) => error,
        }
    }
}

/// The limit of a goodbye without a timeout.
const LONGEST_GOODBYE: Duration = Duration::from_secs(30);

/// Milliseconds of the system's clock, modulo 2^32.
fn system_time() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u32)
}
