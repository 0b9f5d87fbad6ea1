//! Everything below RTMP, as one machine.

use std::{
    io::IoSlice,
    mem,
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::Socket;

#[cfg(target_os = "linux")]
use super::sock_diag::TcpInfo;
use super::{
    arrival::{Arrival, Outcome},
    served::Served,
    step::{Interest, Received, SendHook, Wanted},
    target::Target,
    tunnel::Tunnel,
    tunnels::Tunnels,
    wire::{Wire, after},
};
use crate::{
    error::{Error, Result},
    features,
    stats::{Phases, Stats},
    transport::{tls::ServerContext, tunnel::Status},
};

/// A connection that carries the bytes of an RTMP session: through a proxy, TLS and an HTTP tunnel, or some of them.
///
/// It never waits. Its phases, which follow each other within [`Self::step`], are the look-up of the host, the connection (to
/// several addresses in parallel), the proxy's negotiation, the TLS handshake, and opening the tunnel. A phase ends at its
/// deadline, however many bytes trickle in. Once the link is open it has no deadlines: the session decides for how long a peer
/// may be silent or accept nothing. A tunnel that loses its connection makes another one itself.
///
/// Before a pump waits, it calls `receive` until that returns nothing, if it waits for bytes, and `send` until that accepts
/// nothing, if it has bytes to send: bytes that were already decrypted, for example, make no socket ready.
pub struct Link {
    path: Path,
    aborted: bool,
}

/// The phase of a [`Link`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPhase {
    /// The look-up, the connection and the proxy.
    Reaching,
    /// The TLS handshake.
    Tls,
    /// Opening the tunnel.
    Tunnel,
    /// The link carries bytes, or has ended.
    Open,
}

#[allow(clippy::large_enum_variant, reason = "most links are direct, and a link has its own memory already")]
enum Path {
    Direct(Wire),
    Tunnelled(Box<Tunnel>),
    /// An accepted connection of which nothing is known yet, or an HTTP connection whose session is not known yet.
    Arriving(Box<Arrival>),
    Served(Box<Served>),
    /// An accepted HTTP connection of a session that another link serves.
    Joined,
}

impl Link {
    /// Begins to connect.
    pub fn connect(target: &Target, now: Instant) -> Result<Self> {
        Self::to(target, Wire::connect(target, None, now)?, now)
    }

    /// Continues with a socket that is already connected to `target`, directly or through its proxy: TLS and the tunnel follow,
    /// if the target has them. Further connections of a tunnel are made as `target` says. The socket may be in blocking mode or
    /// not.
    pub fn over(socket: impl Into<Arc<Socket>>, target: &Target, now: Instant) -> Result<Self> {
        Self::to(target, Wire::over(socket.into(), target.tls.as_ref(), target.timeout, now)?, now)
    }

    /// Continues with a connected socket, for example an accepted one, that carries plain bytes. `timeout` limits the goodbye.
    pub fn from_socket(
        socket: impl Into<Arc<Socket>>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        Ok(Self::direct(Wire::over(socket.into(), None, timeout, now)?))
    }

    /// Continues with an accepted socket as the server's side of TLS. `timeout` limits its handshake.
    pub fn accept_tls(
        socket: impl Into<Arc<Socket>>,
        context: &ServerContext,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        Ok(Self::direct(Wire::accept_tls(socket.into(), context, timeout, now)?))
    }

    /// Continues with a link that has reached `target` and was made for less than that: adds TLS and the tunnel, if the target has
    /// them. Fails for a link that is not open, or has a tunnel already.
    pub fn proceed(&mut self, target: &Target, now: Instant) -> Result<()> {
        let Path::Direct(wire) = &mut self.path else { return Err(Error::NotConnected) };
        if let Some(tls) = &target.tls {
            wire.secure(tls, now)?;
        }
        if target.tunnelled {
            let wire = mem::replace(wire, Wire::ended());
            self.path = Path::Tunnelled(Box::new(Tunnel::new(target, wire, now)?));
        }
        Ok(())
    }

    /// Whether there is TLS with a proxy, and neither TLS with the server nor a tunnel yet.
    pub fn leads_through_proxy_in_tls(&self) -> bool {
        matches!(&self.path, Path::Direct(wire) if wire.leads_through_proxy_in_tls())
    }

    /// Continues with an accepted socket: with TLS if there is a `context`, and in an HTTP tunnel if the client begins with an
    /// HTTP request. `timeout` limits all of this up to the first byte of the stream. If the connection belongs to a session
    /// that another link serves, that link takes it over, and this one ends with [`Error::Closed`]; see [`Self::has_joined`].
    pub fn accept(
        socket: impl Into<Arc<Socket>>,
        context: Option<&ServerContext>,
        tunnels: &Tunnels,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        let wire = match context {
            Some(context) => Wire::accept_tls(socket.into(), context, timeout, now)?,
            None => Wire::over(socket.into(), None, timeout, now)?,
        };
        let arrival = Arrival::new(wire, tunnels.clone(), after(now, timeout));
        Ok(Self { path: Path::Arriving(Box::new(arrival)), aborted: false })
    }

    /// Continues with an open link to a client that has begun with an HTTP request, of which `received` has already arrived.
    /// See [`Self::accept`].
    pub fn accept_tunnel(
        &mut self,
        received: &[u8],
        tunnels: &Tunnels,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<()> {
        let Path::Direct(wire) = &mut self.path else { return Err(Error::NotConnected) };
        let wire = mem::replace(wire, Wire::ended());
        let arrival = Arrival::of_http(wire, received.to_vec(), tunnels.clone(), after(now, timeout));
        self.path = Path::Arriving(Box::new(arrival));
        Ok(())
    }

    /// Whether the client of a tunnel has gone or has said goodbye. There may still be bytes to receive that it sent before.
    pub(super) fn peer_has_left(&self) -> bool {
        matches!(&self.path, Path::Served(served) if served.peer_has_left())
    }

    /// Takes the server's side of a tunnel, which no longer needs [`Self::socket`]. The remaining link has ended.
    pub fn take_served(&mut self) -> Option<Self> {
        let Path::Served(served) = &mut self.path else { return None };
        served.let_go_of_face();
        let path = mem::replace(&mut self.path, Path::Joined);
        Some(Self { path, aborted: self.aborted })
    }

    /// Whether the connection belongs to a session that another link serves.
    pub fn has_joined(&self) -> bool {
        matches!(self.path, Path::Joined)
    }

    /// The connection that [`Self::socket`] should refer to from now on, if its connection has ended and another one carries
    /// the session of a tunnel's client. For a user whose descriptor keeps its number.
    pub fn take_replacement(&mut self) -> Option<Arc<Socket>> {
        match &mut self.path {
            Path::Served(served) => served.take_replacement(),
            _ => None,
        }
    }

    fn to(target: &Target, wire: Wire, now: Instant) -> Result<Self> {
        if !target.tunnelled {
            return Ok(Self::direct(wire));
        }
        features::RTMPT.check()?;
        let tunnel = Tunnel::new(target, wire, now)?;
        Ok(Self { path: Path::Tunnelled(Box::new(tunnel)), aborted: false })
    }

    fn direct(wire: Wire) -> Self {
        Self { path: Path::Direct(wire), aborted: false }
    }

    /// Does what can be done now: continues the current phase, and sends taken bytes. Fails when a phase fails, for example at
    /// its deadline, or when a tunnel fails; that ends the link. Once a link without a tunnel is open, bytes that the peer sent
    /// before a send error can still be received.
    pub fn step(&mut self, now: Instant) -> Result<()> {
        self.check()?;
        self.decide(now)?;
        match &mut self.path {
            Path::Direct(wire) => wire.step(now),
            Path::Tunnelled(tunnel) => tunnel.step(now).inspect_err(|_| tunnel.give_up()),
            Path::Arriving(_) => Ok(()),
            Path::Served(served) => served.step(now),
            Path::Joined => Err(Error::Closed),
        }
    }

    /// Determines what an accepted connection carries.
    fn decide(&mut self, now: Instant) -> Result<()> {
        if let Path::Arriving(arrival) = &mut self.path {
            match arrival.step(now)? {
                None => {}
                Some(Outcome::Plain(wire)) => self.path = Path::Direct(*wire),
                Some(Outcome::Started(served)) => self.path = Path::Served(served),
                Some(Outcome::Joined) => self.path = Path::Joined,
            }
        }
        Ok(())
    }

    /// The phase of the link.
    pub fn phase(&self) -> LinkPhase {
        let is_tunnelled =
            matches!(self.path, Path::Tunnelled(_) | Path::Arriving(_) | Path::Served(_) | Path::Joined);
        match self.wire() {
            _ if self.is_open() => LinkPhase::Open,
            Some(wire) if wire.shakes_hands() => LinkPhase::Tls,
            Some(wire) if wire.socket().is_none() && !wire.is_over() => LinkPhase::Reaching,
            _ if is_tunnelled => LinkPhase::Tunnel,
            _ => LinkPhase::Open,
        }
    }

    /// Whether this is the client's end of a tunnel.
    pub fn has_tunnel(&self) -> bool {
        matches!(self.path, Path::Tunnelled(_))
    }

    /// The state of a tunnel's client; `None` for other links.
    pub fn tunnel_status(&self) -> Option<Status> {
        match &self.path {
            Path::Tunnelled(tunnel) => Some(tunnel.status()),
            _ => None,
        }
    }

    /// The socket of a link without TLS and tunnel, for the caller to continue with; `None` if there is no such socket.
    pub fn into_socket(self) -> Option<Arc<Socket>> {
        match self.path {
            Path::Direct(wire) => wire.into_socket(),
            _ => None,
        }
    }

    /// Uses another descriptor of the same socket from now on, in place of [`Self::socket`].
    pub fn replace_socket(&mut self, socket: Arc<Socket>) {
        match &mut self.path {
            Path::Served(served) => served.replace_face(socket),
            _ => self.with_wire(|wire| wire.replace_socket(socket)),
        }
    }

    /// Passes the bytes of a link without TLS to `hook` from now on, or to the socket again. The server's side of a tunnel
    /// ignores it.
    pub fn send_through(&mut self, hook: Option<SendHook>) {
        self.with_wire(|wire| wire.send_through(hook));
    }

    /// Sets whether the last received byte stays on the socket: a program that watches the socket then finds it readable as
    /// long as there is something to receive here. The server's side of a tunnel ignores it.
    pub fn keep_readable(&mut self, keep: bool) {
        self.with_wire(|wire| wire.keep_readable(keep));
    }

    /// Removes the byte that [`Self::keep_readable`] has left on the socket, if there is one.
    pub fn release_byte(&mut self) {
        self.with_wire(Wire::release_byte);
    }

    /// Whether [`Self::keep_readable`] has left a byte on the socket.
    pub fn has_left_byte(&self) -> bool {
        self.wire().is_some_and(Wire::has_left_byte)
    }

    /// Whether `receive` has bytes, or the end, that no socket signals, because they were received already.
    pub fn holds_more(&mut self) -> bool {
        match &mut self.path {
            Path::Direct(wire) => wire.holds_more(),
            Path::Tunnelled(tunnel) => tunnel.has_early() || tunnel.wire_mut().holds_more(),
            Path::Served(served) => served.has_early(),
            Path::Arriving(_) | Path::Joined => false,
        }
    }

    /// Whether RTMP bytes can flow.
    pub fn is_open(&self) -> bool {
        match &self.path {
            Path::Direct(wire) => wire.is_open(),
            Path::Tunnelled(tunnel) => tunnel.is_open(),
            Path::Served(served) => served.is_open(),
            Path::Arriving(_) | Path::Joined => false,
        }
    }

    /// Copies received bytes of the stream to the front of `buffer`; the rest of `buffer` is scratch space.
    pub fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.receive(buffer, now),
            // After an error the server may still accept a goodbye.
            Path::Tunnelled(tunnel) => tunnel.receive(buffer, now),
            Path::Served(served) => served.receive(buffer, now),
            Path::Arriving(_) => Ok(Received::Nothing),
            Path::Joined => Ok(Received::End),
        }
    }

    /// Lends memory for bytes of TLS to a caller that waits for them on [`Self::socket`] itself, so that it does not have to lock
    /// the link meanwhile. [`Self::give_back`] must be called before anything else is received. `None` for a link without TLS, or
    /// with a tunnel, and if there is something else to do than to receive.
    pub fn lend(&mut self) -> Option<Vec<u8>> {
        match &mut self.path {
            Path::Direct(wire) if !self.aborted => wire.lend(),
            _ => None,
        }
    }

    /// Takes the memory back, with `count` received bytes at its start. The next [`Self::receive`] finds them.
    pub fn give_back(&mut self, memory: Vec<u8>, count: usize) {
        if let Path::Direct(wire) = &mut self.path {
            wire.give_back(memory, count);
        }
    }

    /// Fills in what the system measures of the connection; zeros where it does not say.
    #[cfg(target_os = "linux")]
    pub(crate) fn measure(&self, stats: &mut Stats) {
        let info = self.socket().and_then(|socket| TcpInfo::of(socket)).unwrap_or_default();
        stats.unsent = info.unsent;
        stats.round_trip = info.round_trip;
        stats.retransmissions = info.retransmissions;
    }

    /// Fills in what the system measures of the connection: nothing, because there is no safe function for it.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn measure(&self, _: &mut Stats) {}

    /// Whether the last `receive` took everything that was on the socket: the next one has nothing until the socket is readable
    /// again, unless bytes have come meanwhile.
    pub fn is_drained(&self) -> bool {
        matches!(&self.path, Path::Direct(wire) if wire.is_drained())
    }

    /// Takes the first bytes of `pieces` and returns how many; 0 if there is no room now. [`Self::step`] sends taken bytes that
    /// were not sent yet. A link without TLS and tunnel makes one system call and keeps nothing.
    pub fn send(&mut self, pieces: &[IoSlice<'_>], now: Instant) -> Result<usize> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.send(pieces),
            Path::Tunnelled(tunnel) => tunnel.send(pieces, now).inspect_err(|_| tunnel.give_up()),
            Path::Served(served) => served.send(pieces, now),
            Path::Arriving(_) => Ok(0),
            Path::Joined => Err(Error::NotConnected),
        }
    }

    /// Whether bytes go from the caller's memory to [`Self::socket`] unchanged, and none is kept here. It stays so until the link
    /// gets a hook, TLS or a tunnel, or finishes.
    pub fn is_bare(&self) -> bool {
        !self.aborted && matches!(&self.path, Path::Direct(wire) if wire.is_bare())
    }

    /// The durations of the connection phases that have ended.
    pub fn phases(&self) -> Phases {
        self.wire().map(Wire::phases).unwrap_or_default()
    }

    /// As [`Self::send`], but the client of a tunnel takes all bytes in one request or nothing.
    pub fn send_whole(&mut self, bytes: &[u8], now: Instant) -> Result<usize> {
        self.check()?;
        match &mut self.path {
            Path::Tunnelled(tunnel) => tunnel.send_whole(bytes, now).inspect_err(|_| tunnel.give_up()),
            _ => self.send(&[IoSlice::new(bytes)], now),
        }
    }

    /// Bytes that were taken and that the system has not accepted yet, including the overhead of TLS and HTTP. On the server's
    /// side of a tunnel, bytes that wait for the client's next request do not count.
    pub fn unsent(&self) -> usize {
        match &self.path {
            Path::Direct(wire) => wire.unsent(),
            Path::Tunnelled(tunnel) => tunnel.unsent(),
            Path::Served(served) => served.unsent(),
            Path::Arriving(_) | Path::Joined => 0,
        }
    }

    /// Appends the sockets to wait for, if the user waits for `wanted`.
    pub fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        match &self.path {
            Path::Direct(wire) => wire.interests(wanted, out),
            Path::Tunnelled(tunnel) => tunnel.interests(wanted, out),
            Path::Arriving(arrival) => arrival.interests(out),
            Path::Served(served) => served.interests(wanted, out),
            Path::Joined => {}
        }
    }

    /// The time at which the link has something to do although no socket is ready.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.path {
            Path::Direct(wire) => wire.deadline(),
            Path::Tunnelled(tunnel) => tunnel.deadline(),
            Path::Arriving(arrival) => arrival.deadline(),
            Path::Served(served) => served.deadline(),
            Path::Joined => None,
        }
    }

    /// The socket of the connection to the peer or its proxy, if it exists. A tunnel's client may replace it in any step. On
    /// the server's side of a tunnel it is that of the first HTTP connection.
    pub fn socket(&self) -> Option<&Arc<Socket>> {
        match &self.path {
            Path::Served(served) => Some(served.face()),
            _ => self.wire().and_then(Wire::socket),
        }
    }

    /// Makes the server of a tunnel send a reply, for a program that watches the socket instead of receiving. Does nothing
    /// while a reply is due, and on other links.
    pub fn keep_polling(&mut self, now: Instant) -> Result<()> {
        self.check()?;
        match &mut self.path {
            Path::Tunnelled(tunnel) => tunnel.keep_polling(now).inspect_err(|_| tunnel.give_up()),
            _ => Ok(()),
        }
    }

    /// Says goodbye, in TLS and in the tunnel too, and ends the sending side once everything was sent. Nothing more is
    /// received; later bytes are dropped until the peer has ended its side, or for a second. [`Self::step`] continues until
    /// [`Self::is_finished`].
    pub fn finish(&mut self, now: Instant) {
        if self.aborted {
            return;
        }
        match &mut self.path {
            Path::Direct(wire) => wire.finish(now),
            Path::Tunnelled(tunnel) => tunnel.finish(now),
            Path::Served(served) => served.finish(now),
            Path::Arriving(_) => {
                // The client receives nothing and is not informed.
                if let Path::Arriving(arrival) = mem::replace(&mut self.path, Path::Joined) {
                    let mut wire = arrival.into_wire();
                    wire.finish(now);
                    self.path = Path::Direct(wire);
                }
            }
            Path::Joined => {}
        }
    }

    /// For a link that finishes: the caller has seen that the peer still accepts bytes, so the second that it has to end its
    /// side begins again.
    pub fn linger_on(&mut self, now: Instant) {
        self.with_wire(|wire| wire.linger_on(now));
    }

    /// Whether the link has ended and can be dropped.
    pub fn is_finished(&self) -> bool {
        self.aborted
            || match &self.path {
                Path::Served(served) => served.is_finished(),
                _ => self.wire().is_none_or(Wire::is_over),
            }
    }

    /// Ends the connection at once, without a goodbye, and the waits for it. All later calls fail with [`Error::Interrupted`].
    pub fn abort(&mut self) {
        self.aborted = true;
        let mut interests = Vec::new();
        self.interests(Wanted { read: true, write: true }, &mut interests);
        let sockets = interests.iter().map(|interest| &interest.socket);
        for socket in sockets.chain(self.socket()) {
            // If the peer has gone, the socket is shut down already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn check(&self) -> Result<()> {
        if self.aborted { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// The one connection of the link; `None` on the server's side of a tunnel.
    fn wire(&self) -> Option<&Wire> {
        match &self.path {
            Path::Direct(wire) => Some(wire),
            Path::Tunnelled(tunnel) => Some(tunnel.wire()),
            Path::Arriving(arrival) => Some(arrival.wire()),
            Path::Served(_) | Path::Joined => None,
        }
    }

    fn with_wire(&mut self, change: impl FnOnce(&mut Wire)) {
        match &mut self.path {
            Path::Direct(wire) => change(wire),
            Path::Tunnelled(tunnel) => change(tunnel.wire_mut()),
            Path::Arriving(arrival) => change(arrival.wire_mut()),
            Path::Served(_) | Path::Joined => {}
        }
    }
}
