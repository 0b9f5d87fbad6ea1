//! Makes a connection, on either side: the steps that all connecting calls share. A call that must not wait can continue at the
//! step where it stopped.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use libc::c_int;
use rtmp_core::{
    chunk::{self, Outgoing},
    error::{Error, Result},
    features,
    handshake::{ClientOptions, ServerOptions},
    message::Message,
    net::{Entry, Link, LinkPhase, Target},
    random,
    session::{Profile, Session, command},
    text::Text,
    transport::{
        deadline::Deadline,
        local::Bind,
        proxy::Proxy,
        tcp,
        tls::{ServerContext, Trust},
    },
    url::Protocol,
};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use socket2::{SockRef, Socket};

use super::{
    RTMP_FEATURE_ENC, RTMP_FEATURE_HTTP, RTMP_FEATURE_SSL,
    defaults::DEFAULT_CHUNK_SIZE,
    misc::RTMP_GetTime,
    outgoing::{command_of, send_message},
};
use crate::{
    amf::encode::encode_extras,
    carrier::{Carrier, Shown, into_descriptor, reach},
    fields,
    progress::{Opening, Stage, What},
    reason::{During, Failure, Phase},
    socket,
    state::{Fact, Handle},
    tls::{proxy_trust, trust},
    valid::field,
};

impl Opening {
    /// Begins to connect to the server that `Link` names, or to `entry`, the address of that server or of its proxy.
    pub(super) fn reaching(handle: &Handle, what: What, entry: Entry) -> Result<Self, Failure> {
        handle.sb().set_timed_out(false);
        field!(handle.rtmp(), m_pausing).set(0);
        field!(handle.rtmp(), m_fDuration).set(0.0);
        let link = target(handle).and_then(|target| {
            Link::connect(&Target { entry, tls: None, tunnelled: false, ..target }, Instant::now())
        });
        let link = link.map_err(|error| unreached(handle, error)).during(Phase::Connect)?;
        Ok(Self::at(what, Stage::Reaching(link)))
    }

    /// Continues with the existing socket.
    pub(super) fn at(what: What, stage: Stage) -> Self {
        Self {
            what,
            stage,
            chunk_size: None,
            first: None,
            sent_format: None,
            limit: Deadline::NEVER,
            has_joined: false,
            waits_for_ever: false,
        }
    }

    /// As a server that does the TLS handshake with the client on the socket.
    pub(crate) fn accepting_tls(handle: &Handle, context: &ServerContext) -> Result<Self> {
        tcp::add_missing_timeouts(handle.socket()?, handle.timeout());
        let shown = shown(handle)?;
        let link = Link::accept_tls(shown.share(), context, handle.timeout(), Instant::now())?;
        let carrier = carry(handle, link, shown, true);
        Ok(Self::at(What::AcceptTls, Stage::Securing(carrier)))
    }

    /// Continues until the connection is made. [`Error::Again`] comes from sessions that do not wait, and keeps everything for
    /// the next call; any other error ends the attempt.
    pub(crate) fn run(&mut self, handle: &Handle) -> Result<(), Failure> {
        let mut result = self.advance(handle);
        if matches!(&result, Err(failure) if failure.is_again()) {
            result = still_open(handle).and(result);
        }
        if !matches!(&result, Err(failure) if failure.is_again()) {
            self.restore_chunk_size(handle);
        }
        result
    }

    fn advance(&mut self, handle: &Handle) -> Result<(), Failure> {
        loop {
            self.stage = match &mut self.stage {
                Stage::Reaching(link) => {
                    let reached = reach(link, &handle.patience());
                    still_open(handle)?;
                    reached.map_err(|error| unreached(handle, error)).during(Phase::Connect)?;
                    let Stage::Reaching(link) = std::mem::replace(&mut self.stage, Stage::Done) else {
                        return Ok(());
                    };
                    adopt(handle, link).during(Phase::Connect)?;
                    if self.what == What::Reach {
                        return Ok(());
                    }
                    handle.note(Fact::Dialled, true);
                    field!(handle.rtmp(), m_bSendCounter).set(1);
                    Stage::Connected
                }
                Stage::Connected => {
                    // The library's own sockets have the options already.
                    if !handle.has(Fact::Opened) {
                        let socket = handle.socket().during(Phase::Call)?;
                        tcp::add_missing_timeouts(socket, handle.timeout());
                    }
                    match secure(handle) {
                        Ok(Some(carrier)) => Stage::Securing(carrier),
                        Ok(None) => Stage::Secured,
                        Err(error) => {
                            return Err(failed(handle, "TLS_Connect failed", error)).during(Phase::Tls);
                        }
                    }
                }
                Stage::Securing(carrier) => {
                    let carrier = carrier.clone();
                    self.open(handle, &carrier)?;
                    if self.what == What::AcceptTls { Stage::Done } else { Stage::Secured }
                }
                Stage::Listening => {
                    let unshaken = |error| handle.failure(error, Phase::Handshake);
                    handle.set_limit(self.limit);
                    let speaks_http = handle.speaks_http();
                    handle.set_limit(Deadline::NEVER);
                    if speaks_http.map_err(unshaken)? {
                        Stage::Admitting(handle.begin_tunnel().during(Phase::Tunnel)?)
                    } else {
                        Stage::Secured
                    }
                }
                Stage::Admitting(carrier) => {
                    if handle.finish_tunnel(carrier)? {
                        Stage::Secured
                    } else {
                        self.has_joined = true;
                        Stage::Done
                    }
                }
                Stage::Secured => {
                    self.chunk_size = requested_chunk_size(handle);
                    let begun = if self.what == What::Serve {
                        let options = ServerOptions { time: RTMP_GetTime(), swf: handle.swf() };
                        Session::bare_server(options, &mut random::system)
                    } else {
                        // A reconnect request applies only to the connection that received it.
                        if handle.with_settings(|settings| settings.reconnect.is_some()) {
                            handle.change_settings(|settings| settings.reconnect = None);
                        }
                        log::debug!("RTMP_Connect1, ... connected, handshaking");
                        handle.forget_session();
                        let encrypted = field!(handle.rtmp(), Link.protocol).get() & RTMP_FEATURE_ENC != 0;
                        let options = ClientOptions { time: RTMP_GetTime(), encrypted, swf: handle.swf() };
                        // The handle decides how long its phases may take.
                        Session::client(options, None, &mut random::system, Instant::now())
                    };
                    let session = begun.map_err(|error| self.unshaken(handle, error))?;
                    handle.begin_handshake(session);
                    self.limit = Deadline::after(handle.timeout());
                    Stage::Handshaking
                }
                Stage::Handshaking => {
                    handle.set_limit(self.limit);
                    let shaken = handle.run_handshake();
                    handle.set_limit(Deadline::NEVER);
                    let (encrypted, swf_response) = shaken.map_err(|error| self.unshaken(handle, error))?;
                    if self.what == What::Serve {
                        handle.flush().map_err(|error| self.unshaken(handle, error))?;
                        if encrypted {
                            field!(handle.rtmp(), Link.protocol)
                                .change(|protocol| protocol | RTMP_FEATURE_ENC);
                        }
                    }
                    handle.show_handshake(encrypted, swf_response);
                    Stage::Greeting
                }
                Stage::Greeting => {
                    self.greet(handle)?;
                    still_open(handle)?;
                    Stage::Done
                }
                Stage::Done => return Ok(()),
            };
        }
    }

    /// Opens TLS and the tunnel.
    fn open(&self, handle: &Handle, carrier: &Carrier) -> Result<(), Failure> {
        if let Err((phase, error)) = carrier.open(&handle.patience()) {
            if self.what == What::AcceptTls {
                return Err(error).during(Phase::Tls);
            }
            return match phase {
                LinkPhase::Tunnel => {
                    Err(failed(handle, "Could not connect for handshake", error)).during(Phase::Tunnel)
                }
                _ => Err(failed(handle, "TLS_Connect failed", error)).during(Phase::Tls),
            };
        }
        handle.show_tunnel(carrier);
        let phases = carrier.lock().phases();
        handle.core().phases.tls = phases.tls;
        // The peer's first bytes may have arrived together with the end of its handshake.
        if !handle.has(Fact::Carried) {
            handle.inbox().refill_from_pending();
        }
        Ok(())
    }

    /// Sends the messages after the handshake.
    fn greet(&mut self, handle: &Handle) -> Result<(), Failure> {
        if self.what == What::Serve {
            let unshaken = |error| handle.failure(error, Phase::Handshake);
            self.announce_chunk_size(handle).map_err(unshaken)?;
            if self.waits_for_ever {
                // Players send nothing while they play. The caller decides how long to wait for them.
                tcp::wait_for_ever(handle.socket().map_err(unshaken)?);
            }
            return Ok(());
        }
        log::debug!("RTMP_Connect1, handshaked");
        let unsent = |error| handle.failure(error, Phase::CONNECT_COMMAND);
        self.announce_chunk_size(handle).map_err(unsent)?;
        if let Some(first) = self.first.take() {
            let sent = first.and_then(|first| send_first(handle, &first));
            self.sent_format = Some(sent.inspect_err(|_| handle.give_up()).map_err(unsent)?);
            return Ok(());
        }
        let extras = encode_extras(fields::extras(field!(handle.rtmp(), Link)));
        let extras = extras.inspect_err(|_| handle.give_up()).map_err(unsent)?;
        let enhanced = handle.with_settings(|settings| settings.common.enhanced.clone());
        handle
            .send(|session, profile| {
                if let Some(version) = enhanced.object_encoding {
                    session.state.object_encoding = version.into();
                }
                let profile = Profile { capabilities: enhanced.announced(), ..*profile };
                command::connect(&mut session.state, &profile, &extras)
            })
            .map_err(|error| unsent(error.reported()))
    }

    /// Reports a failed handshake.
    fn unshaken(&self, handle: &Handle, error: Error) -> Failure {
        match error {
            Error::Again => Failure::new(error, Phase::Handshake),
            error if self.what == What::Serve => handle.failure(error, Phase::Handshake),
            error => Failure::new(failed(handle, "handshake failed", error), Phase::Handshake),
        }
    }

    /// Announces the chunk size that the program has set; an error has closed the connection.
    fn announce_chunk_size(&mut self, handle: &Handle) -> Result<()> {
        let Some(size) = self.chunk_size else { return Ok(()) };
        let announcement = command::set_chunk_size(size as u32);
        handle.send(|_, _| announcement).map_err(Error::reported)?;
        // The size applies from now on.
        self.restore_chunk_size(handle);
        Ok(())
    }

    /// Restores the chunk size that was set before the handshake, so that it also applies to the next connection, even if this
    /// one has failed.
    fn restore_chunk_size(&mut self, handle: &Handle) {
        if let Some(size) = self.chunk_size.take() {
            field!(handle.rtmp(), m_outChunkSize).set(size);
        }
    }
}

impl Handle {
    /// Lets a link on the plain socket carry the session.
    pub(crate) fn carry_socket(&self) -> Result<Arc<Carrier>> {
        let shown = shown(self)?;
        let link = Link::from_socket(shown.share(), self.timeout(), Instant::now())?;
        Ok(carry(self, link, shown, false))
    }

    /// Makes a connection with `begin`, or continues one that an earlier call without waiting has begun; `finish` runs when the
    /// connection exists.
    pub(crate) fn make_connection(
        &self,
        what: What,
        begin: impl FnOnce() -> Result<Opening, Failure>,
        finish: impl FnOnce(&Opening),
    ) -> Result<(), Failure> {
        if !self.never_waits() {
            let mut opening = begin()?;
            opening.run(self)?;
            finish(&opening);
            return Ok(());
        }
        let (begun, failed) = self.progress(|progress| {
            (progress.opening.take(), progress.opening_failure.take().filter(|failure| failure.0 == what))
        });
        if let Some(failure) = failed {
            return Err(failure.1);
        }
        let opening = match begun.filter(|opening| opening.what == what) {
            Some(opening) => opening,
            None => {
                self.progress(|progress| {
                    progress.forget_connection();
                    progress.failed = false;
                });
                Box::new(begin().inspect_err(|_| self.progress(|progress| progress.failed = true))?)
            }
        };
        let opening = self.run_or_keep(opening)?;
        finish(&opening);
        Ok(())
    }

    /// Continues a connection that is being made, if there is one. The call that began it gets the result; this returns whether
    /// it has failed.
    pub(crate) fn go_on(&self) -> Result<bool> {
        if !self.has(Fact::Noted) {
            return Ok(false);
        }
        let Some(opening) = self.progress(|progress| progress.opening.take()) else { return Ok(false) };
        let what = opening.what;
        match self.run_or_keep(opening) {
            Ok(opening) => {
                self.progress(|progress| progress.opening = Some(opening));
                Ok(false)
            }
            Err(failure) if failure.is_again() => Err(Error::Again),
            Err(failure) => {
                failure.log();
                failure.keep();
                self.progress(|progress| {
                    progress.opening_failure = Some(Box::new((what, failure.reported())))
                });
                Ok(true)
            }
        }
    }

    fn run_or_keep(&self, mut opening: Box<Opening>) -> Result<Box<Opening>, Failure> {
        match opening.run(self) {
            Ok(()) => {
                // The next phase gets the full time again.
                let limit = Deadline::after(self.timeout());
                self.progress(|progress| progress.starting = progress.starting.map(|_| limit));
                Ok(opening)
            }
            Err(failure) => {
                self.progress(|progress| match failure.is_again() {
                    true => progress.opening = Some(opening),
                    false => progress.failed = true,
                });
                Err(failure)
            }
        }
    }
}

/// An error if a callback of the program has closed the session meanwhile.
fn still_open(handle: &Handle) -> Result<(), Failure> {
    if handle.is_current() { Ok(()) } else { Err(Failure::new(Error::Closed, Phase::Connect)) }
}

/// Sends a program's message, and remembers a command until its result arrives; returns the header format that was used.
fn send_first(handle: &Handle, message: &Message) -> Result<u8> {
    let Message { chunk_stream, format, kind, timestamp, stream_id, ref body } = *message;
    let message = Outgoing { chunk_stream, format, kind, timestamp, stream_id, body };
    send_message(handle, &message, command_of(&message))
}

/// The chunk size that a program set before the handshake, if it is not the default.
fn requested_chunk_size(handle: &Handle) -> Option<c_int> {
    match field!(handle.rtmp(), m_outChunkSize).get() {
        // A program that cleared the struct leaves 0 here.
        0 | DEFAULT_CHUNK_SIZE => None,
        size if u32::try_from(size).is_ok_and(|size| size <= chunk::MAX_MESSAGE_LEN) => Some(size),
        size => {
            log::warn!("ignoring m_outChunkSize {size}, which no message needs: it is {DEFAULT_CHUNK_SIZE}");
            None
        }
    }
}

/// The server that `Link` names, and the way to it.
fn target(handle: &Handle) -> Result<Target> {
    let link = field!(handle.rtmp(), Link);
    let (port, protocol) = (field!(link, port).get(), field!(link, protocol).get());
    let [host, proxy] = [field!(link, hostname), field!(link, sockshost)].map(fields::text);
    let proxy = match field!(link, socksport).get() {
        0 => None,
        port => Some(Proxy::new(proxy, port)?),
    };
    features::check_protocol(Protocol::from_bits(protocol))?;
    let (tls, proxy_trust) = handle.with_settings(|settings| {
        let tls =
            (protocol & RTMP_FEATURE_SSL != 0).then(|| (Text(host).to_string(), trust(&settings.common.tls)));
        // Asking for the process's rights takes system calls.
        (tls, proxy.as_ref().map_or(Trust::Platform, |_| proxy_trust(&settings.common.tls)))
    });
    Ok(Target {
        host: host.to_vec(),
        port,
        entry: Entry::Name,
        proxy,
        proxy_trust,
        local: handle.local(),
        tls,
        tunnelled: protocol & RTMP_FEATURE_HTTP != 0,
        timeout: handle.timeout(),
    })
}

/// Sets up TLS and the tunnel over the socket, if the protocol has them, and the link of a session that does not wait. Steps
/// open them later. `None` if bytes go directly to the socket.
fn secure(handle: &Handle) -> Result<Option<Arc<Carrier>>> {
    handle.set_carrier(None);
    let protocol = Protocol::from_bits(field!(handle.rtmp(), Link.protocol).get());
    let is_plain = !protocol.is_tls() && !protocol.is_tunnelled();
    if is_plain && !handle.never_waits() && !handle.sb().has_tls() {
        return features::check_protocol(protocol).map(|()| None);
    }
    let mut target = target(handle)?;
    if let Some(carrier) = handle.sb().carrier().filter(|carrier| carrier.lock().leads_through_proxy_in_tls())
    {
        carrier.lock().proceed(&target, Instant::now())?;
        if target.tunnelled || handle.never_waits() {
            handle.set_carrier(Some(carrier.clone()));
        }
        return Ok(Some(carrier));
    }
    if target.tunnelled && !handle.has(Fact::Dialled) && !handle.has(Fact::Opened) && target.proxy.is_none() {
        // The program made the connection and chose its addresses: further connections use the same ones.
        match ends(handle.socket()?) {
            Some((here, there)) => {
                target.entry = Entry::Address(there);
                target.local.bind = Some(Bind::Address(here));
            }
            None => target.entry = Entry::None,
        }
    }
    let shown = shown(handle)?;
    let link = Link::over(shown.share(), &target, Instant::now())?;
    let carrier = carry(handle, link, shown, target.tls.is_some());
    if target.tunnelled {
        handle.set_carrier(Some(carrier.clone()));
    }
    Ok(Some(carrier))
}

/// Lets a link carry the session; the TLS layer is stored with the socket.
fn carry(handle: &Handle, link: Link, shown: Shown, is_tls: bool) -> Arc<Carrier> {
    let carrier = Arc::new(Carrier::new(link, shown));
    if is_tls {
        handle.sb().attach(carrier.clone());
    } else {
        handle.send_through_hook(&carrier);
    }
    if handle.never_waits() {
        handle.set_carrier(Some(carrier.clone()));
    }
    carrier
}

/// The socket that the program sees, for a link.
fn shown(handle: &Handle) -> Result<Shown> {
    let socket = handle.socket()?;
    // SAFETY: the descriptor is open; `Shown` leaves it to the session to close it.
    Ok(Shown::new(unsafe { Socket::from_raw_fd(socket.as_raw_fd()) }))
}

/// Gives the session the socket of a link that has reached its target. The link stays if it has TLS with a proxy.
fn adopt(handle: &Handle, link: Link) -> Result<()> {
    let phases = link.phases();
    let (socket, link) = into_descriptor(link, !handle.never_waits())?;
    tcp::configure(socket.as_fd(), handle.timeout());
    // Data left from a connection that was never closed does not belong to this socket.
    drop(handle.sb().detach());
    handle.sb().set_size(0);
    {
        let mut core = handle.core();
        core.receive_buffer = None;
        core.phases = phases;
    }
    field!(handle.sb(), sb_socket).set(socket::into_c(socket));
    handle.mark_opened();
    if let Some(mut link) = link {
        let shown = shown(handle)?;
        link.replace_socket(shown.share());
        carry(handle, link, shown, true);
    }
    Ok(())
}

/// The local and the remote address of a connection; `None` if it does not use IP.
fn ends(socket: BorrowedFd<'_>) -> Option<(IpAddr, SocketAddr)> {
    let socket = SockRef::from(&socket);
    let (here, there) = (socket.local_addr().ok()?.as_socket()?, socket.peer_addr().ok()?.as_socket()?);
    Some((here.ip(), there))
}

/// Reports that the server was not reached.
fn unreached(handle: &Handle, error: Error) -> Error {
    if matches!(error, Error::Again) {
        return error;
    }
    // As in librtmp, an unknown host closes nothing: the stream name is kept for another attempt.
    if !matches!(error, Error::Unresolved(_)) {
        handle.give_up();
    }
    // The words that users of librtmp search for.
    match &error {
        Error::Unresolved(host) => log::error!("Problem accessing the DNS. (addr: {host})"),
        Error::Proxy(reason) => log::error!("RTMP_Connect0, {reason}"),
        error => log::error!("RTMP_Connect0, failed to connect socket. {error}"),
    }
    error.reported()
}

/// Reports the failure of an existing connection and closes it, unless the step only cannot continue without waiting.
fn failed(handle: &Handle, what: &str, error: Error) -> Error {
    if matches!(error, Error::Again) {
        return error;
    }
    log::error!("RTMP_Connect1, {what}: {error}");
    handle.give_up();
    error.reported()
}
