//! Everything below RTMP, as one machine.

use std::{
    io::IoSlice,
    net::Shutdown,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::Socket;

use super::{
    step::{Interest, Received, SendHook, Wanted},
    target::Target,
    tunnel::Tunnel,
    wire::Wire,
};
use crate::{
    error::{Error, Result},
    features,
    stats::Phases,
    transport::{tls::ServerContext, tunnel::Status},
};

/// A connection that carries the bytes of an RTMP session: through a proxy, TLS and an HTTP tunnel, or some of them.
///
/// It never waits. Its phases, which follow each other within [`Self::step`], are looking the host up, connecting (to
/// several addresses side by side), the proxy's negotiation, the TLS handshake, and opening the tunnel. A phase ends at its
/// deadline, however many bytes trickle in. Once the link is open it has no deadlines: how long a peer may be silent, or
/// take nothing, is for the session to say. A tunnel that loses its connection makes another one by itself.
///
/// Before a pump waits, it has called `receive` until there was nothing, if it wants bytes, and `send` until it took
/// nothing, if it has some: what is decrypted already, for example, makes no socket ready.
pub struct Link {
    path: Path,
    aborted: bool,
}

/// What a [`Link`] is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPhase {
    /// Looking the host up, connecting and passing the proxy.
    Reaching,
    /// The TLS handshake.
    Tls,
    /// Opening the tunnel.
    Tunnel,
    /// Carrying bytes, or past that.
    Open,
}

enum Path {
    Direct(Box<Wire>),
    Tunnelled(Box<Tunnel>),
}

impl Link {
    /// Begins to connect.
    pub fn connect(target: &Target, now: Instant) -> Result<Self> {
        Self::to(target, Wire::connect(target, None, now)?, now)
    }

    /// Goes on with a socket that is already connected to `target`, or to its proxy and through it: TLS and the tunnel
    /// come next, if it has them. Further connections of a tunnel are made as `target` says. Whether the socket blocks makes no
    /// difference.
    pub fn over(socket: impl Into<Arc<Socket>>, target: &Target, now: Instant) -> Result<Self> {
        Self::to(target, Wire::over(socket.into(), target.tls.as_ref(), target.timeout, now)?, now)
    }

    /// Goes on with a connected socket, an accepted one for example, that carries plain bytes. `timeout` is how long the goodbye may take.
    pub fn from_socket(
        socket: impl Into<Arc<Socket>>,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        Ok(Self::direct(Wire::over(socket.into(), None, timeout, now)?))
    }

    /// Goes on with an accepted socket as the server's side of TLS, whose handshake may take `timeout`.
    pub fn accept_tls(
        socket: impl Into<Arc<Socket>>,
        context: &ServerContext,
        timeout: Option<Duration>,
        now: Instant,
    ) -> Result<Self> {
        Ok(Self::direct(Wire::accept_tls(socket.into(), context, timeout, now)?))
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
        Self { path: Path::Direct(Box::new(wire)), aborted: false }
    }

    /// Does what can be done now: goes on with the phase the link is in, and sends what was taken. Fails when a phase does, at
    /// its deadline for example, or when a tunnel does; that ends the link. Once a link without a tunnel is open, an error of
    /// sending leaves what the peer sent before to be received.
    pub fn step(&mut self, now: Instant) -> Result<()> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.step(now),
            Path::Tunnelled(tunnel) => tunnel.step(now).inspect_err(|_| tunnel.give_up()),
        }
    }

    /// What the link is at.
    pub fn phase(&self) -> LinkPhase {
        match (&self.path, self.wire()) {
            _ if self.is_open() => LinkPhase::Open,
            (_, wire) if wire.shakes_hands() => LinkPhase::Tls,
            (_, wire) if wire.socket().is_none() && !wire.is_over() => LinkPhase::Reaching,
            (Path::Tunnelled(_), _) => LinkPhase::Tunnel,
            (Path::Direct(_), _) => LinkPhase::Open,
        }
    }

    /// Whether this is the client's end of a tunnel.
    pub fn has_tunnel(&self) -> bool {
        matches!(self.path, Path::Tunnelled(_))
    }

    /// Where the client of a tunnel stands; `None` for other links.
    pub fn tunnel_status(&self) -> Option<Status> {
        match &self.path {
            Path::Direct(_) => None,
            Path::Tunnelled(tunnel) => Some(tunnel.status()),
        }
    }

    /// The socket of a link without TLS and tunnel, which the caller goes on with; `None` if there is no such socket.
    pub fn into_socket(self) -> Option<Arc<Socket>> {
        match self.path {
            Path::Direct(wire) => wire.into_socket(),
            Path::Tunnelled(_) => None,
        }
    }

    /// Goes on with another descriptor of the same socket, in place of [`Self::socket`].
    pub fn replace_socket(&mut self, socket: Arc<Socket>) {
        self.wire_mut().replace_socket(socket);
    }

    /// Hands the bytes of a link without TLS to `hook` from now on, or to the socket again.
    pub fn send_through(&mut self, hook: Option<SendHook>) {
        self.wire_mut().send_through(hook);
    }

    /// Leaves the last byte that was received on the socket from now on, or no longer: a program that watches the socket finds it
    /// readable as long as there is something to receive here.
    pub fn keep_readable(&mut self, keep: bool) {
        self.wire_mut().keep_readable(keep);
    }

    /// Takes the byte that [`Self::keep_readable`] has left on the socket, if there is one.
    pub fn release_byte(&mut self) {
        self.wire_mut().release_byte();
    }

    /// Whether [`Self::keep_readable`] has left a byte on the socket.
    pub fn has_left_byte(&self) -> bool {
        self.wire().has_left_byte()
    }

    /// Whether `receive` has bytes, or the end, of which no socket tells, because they were received already.
    pub fn holds_more(&mut self) -> bool {
        let early = matches!(&self.path, Path::Tunnelled(tunnel) if tunnel.has_early());
        early || self.wire_mut().holds_more()
    }

    /// Whether RTMP bytes can flow.
    pub fn is_open(&self) -> bool {
        match &self.path {
            Path::Direct(wire) => wire.is_open(),
            Path::Tunnelled(tunnel) => tunnel.is_open(),
        }
    }

    /// Puts bytes of the stream that have arrived to the front of `buffer`, whose rest is scratch space.
    pub fn receive(&mut self, buffer: &mut [u8], now: Instant) -> Result<Received> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.receive(buffer, now),
            // After an error the server may still take a goodbye.
            Path::Tunnelled(tunnel) => tunnel.receive(buffer, now),
        }
    }

    /// Takes the beginning of `pieces` and returns how many bytes that was; 0 if there is no room now. What was taken and not
    /// sent yet is sent by [`Self::step`]. A link without TLS and tunnel makes one system call and keeps nothing.
    pub fn send(&mut self, pieces: &[IoSlice<'_>], now: Instant) -> Result<usize> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.send(pieces),
            Path::Tunnelled(tunnel) => tunnel.send(pieces, now).inspect_err(|_| tunnel.give_up()),
        }
    }

    /// How long each phase of connecting took that has ended.
    pub fn phases(&self) -> Phases {
        self.wire().phases()
    }

    /// As [`Self::send`], but a tunnel takes all bytes in one request or nothing.
    pub fn send_whole(&mut self, bytes: &[u8], now: Instant) -> Result<usize> {
        self.check()?;
        match &mut self.path {
            Path::Direct(wire) => wire.send(&[IoSlice::new(bytes)]),
            Path::Tunnelled(tunnel) => tunnel.send_whole(bytes, now).inspect_err(|_| tunnel.give_up()),
        }
    }

    /// Bytes that were taken and that the system does not have yet, with what TLS and HTTP add.
    pub fn unsent(&self) -> usize {
        match &self.path {
            Path::Direct(wire) => wire.unsent(),
            Path::Tunnelled(tunnel) => tunnel.unsent(),
        }
    }

    /// Appends the sockets to wait for, for a user who waits for what is `wanted`.
    pub fn interests(&self, wanted: Wanted, out: &mut Vec<Interest>) {
        match &self.path {
            Path::Direct(wire) => wire.interests(wanted, out),
            Path::Tunnelled(tunnel) => tunnel.interests(wanted, out),
        }
    }

    /// When the link has something to do although no socket is ready.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.path {
            Path::Direct(wire) => wire.deadline(),
            Path::Tunnelled(tunnel) => tunnel.deadline(),
        }
    }

    /// The socket that leads to the peer or its proxy, once there is one. A tunnel may replace it in any step.
    pub fn socket(&self) -> Option<&Arc<Socket>> {
        self.wire().socket()
    }

    /// Has the server of a tunnel send a reply, for a program that watches the socket instead of receiving. Does nothing
    /// while a reply is on its way, and on other links.
    pub fn keep_polling(&mut self, now: Instant) -> Result<()> {
        self.check()?;
        match &mut self.path {
            Path::Direct(_) => Ok(()),
            Path::Tunnelled(tunnel) => tunnel.keep_polling(now).inspect_err(|_| tunnel.give_up()),
        }
    }

    /// Says goodbye, in TLS and in the tunnel too, and ends the sending side once everything is out. Nothing is received
    /// any more; what still comes is thrown away until the peer has ended its side, or for a second. [`Self::step`] goes on
    /// with it until [`Self::is_finished`].
    pub fn finish(&mut self, now: Instant) {
        if self.aborted {
            return;
        }
        match &mut self.path {
            Path::Direct(wire) => wire.finish(now),
            Path::Tunnelled(tunnel) => tunnel.finish(now),
        }
    }

    /// While the link finishes: the peer still takes what is on its way to it, as the caller has seen, so the second that it
    /// has for ending its side begins again.
    pub fn linger_on(&mut self, now: Instant) {
        self.wire_mut().linger_on(now);
    }

    /// Whether the link has ended, and there is nothing left to do but to drop it.
    pub fn is_finished(&self) -> bool {
        self.aborted || self.wire().is_over()
    }

    /// Ends the connection at once, without a goodbye, and the waits for it. All that follows fails with
    /// [`Error::Interrupted`].
    pub fn abort(&mut self) {
        self.aborted = true;
        let mut interests = Vec::new();
        self.interests(Wanted { read: true, write: true }, &mut interests);
        let sockets = interests.iter().map(|interest| &interest.socket);
        for socket in sockets.chain(self.socket()) {
            // A socket whose peer has gone is shut down already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn check(&self) -> Result<()> {
        if self.aborted { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn wire(&self) -> &Wire {
        match &self.path {
            Path::Direct(wire) => wire,
            Path::Tunnelled(tunnel) => tunnel.wire(),
        }
    }

    fn wire_mut(&mut self) -> &mut Wire {
        match &mut self.path {
            Path::Direct(wire) => wire,
            Path::Tunnelled(tunnel) => tunnel.wire_mut(),
        }
    }
}
