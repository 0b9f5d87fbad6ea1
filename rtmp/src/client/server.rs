//! Serving clients: [`Server`] and [`ServerSession`].

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{SockAddr, Socket};

use super::{
    blocking::{Abort, Shared},
    connection::{Connection, Happening},
    stepper::Stepper,
};
use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    features, media,
    message::{Message, MessageType},
    net::{Interest, Link, Tunnels, wait},
    session::{Capabilities, Request},
    stats::Stats,
    transport::tls::ServerContext,
};

/// The chunk stream that media is sent on.
const MEDIA: u32 = 4;

/// A socket that RTMP clients connect to.
///
/// [`accept`](Self::accept) waits for the next client. Handshakes happen in the session's own calls, so a silent
/// client delays no other one if each session has its own thread.
///
/// Clients may tunnel through HTTP (RTMPT). The requests of such a client may come on several connections. Each of them is
/// accepted like a client; one that belongs to a session which has begun before goes over to that session, and its own
/// [`ServerSession`] ends with its first event. Requests are answered while the session is used, so keep calling
/// [`next_event`](ServerSession::next_event).
///
/// ```no_run
/// use rtmp::{Server, ServerEvent, Request};
///
/// // Accepts every stream that is published, and prints the size of its messages.
/// let server = Server::bind("127.0.0.1:1935")?;
/// loop {
///     let mut session = server.accept()?;
///     std::thread::spawn(move || {
///         while let Some(event) = session.next_event()? {
///             match event {
///                 ServerEvent::Request(Request::Play { .. }) => session.refuse("there is nothing to play")?,
///                 ServerEvent::Request(_) => session.accept()?,
///                 ServerEvent::Message(message) => println!("{} bytes", message.body.len()),
///                 _ => {}
///             }
///         }
///         Ok::<(), rtmp::Error>(())
///     });
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), rtmp::Error>(())
/// ```
pub struct Server {
    listener: Arc<Socket>,
    tls: Option<ServerContext>,
    timeout: Option<Duration>,
    announced: Option<Capabilities>,
    tunnels: Tunnels,
}

/// One client of a [`Server`].
///
/// [`next_event`](Self::next_event) waits for a request or a message of the client. Answer each [`Request`] with
/// [`accept`](Self::accept) or [`refuse`](Self::refuse) before the next call. Dropping the session ends the
/// connection.
pub struct ServerSession {
    shared: Arc<Shared>,
    peer: SocketAddr,
    timeout: Option<Duration>,
    /// The message stream of the last message.
    last_stream: Option<u32>,
}

/// An event from the client of a server.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It sends a request.
    Request(Request),
    /// It sends audio, video, data or an aggregate, on a message stream that it publishes.
    Message(Message),
    /// It has ended publishing or playing on a message stream.
    StreamClosed {
        /// The message stream.
        stream_id: u32,
    },
}

impl Server {
    /// Listens on an address.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        features::SERVER.check()?;
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let timeout = Some(Duration::from_secs(30));
        Ok(Self {
            listener: Arc::new(listener.into()),
            tls: None,
            timeout,
            announced: None,
            tunnels: Tunnels::default(),
        })
    }

    /// Serves over TLS (RTMPS), with a certificate chain and its key from PEM files.
    pub fn tls(mut self, certificate: &Path, key: &Path) -> Result<Self> {
        self.tls = Some(ServerContext::from_files(certificate, key)?);
        Ok(self)
    }

    /// Sets the limit of each wait of a session: for the handshake, for the client's data, for the client to accept
    /// ours. The default is 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.max(Duration::from_millis(1)));
        self
    }

    /// Announces this server's support for new codecs and features to clients that are accepted from now on. Without
    /// this, nothing is announced.
    pub fn announce(mut self, capabilities: Capabilities) -> Self {
        self.announced = Some(capabilities);
        self
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        address(self.listener.local_addr()?)
    }

    /// Waits for a client to connect.
    pub fn accept(&self) -> Result<ServerSession> {
        loop {
            if let Some((link, peer)) = self.poll_link(Instant::now())? {
                let timeout = self.timeout;
                let connection = Connection::serve(link, timeout, self.announced.as_ref());
                let shared = Shared::new(connection, &Arc::new(Abort::default()));
                return Ok(ServerSession { shared, peer, timeout, last_stream: None });
            }
            wait(&[self.interest()], None)?;
        }
    }

    /// Accepts the next client without waiting, for programs with an event loop. Returns `None` if there is none.
    /// Call it until then when the socket of [`interest`](Self::interest) is ready.
    pub fn poll_accept(&self) -> Result<Option<Stepper>> {
        let now = Instant::now();
        let accepted = self.poll_link(now)?;
        Ok(accepted
            .map(|(link, peer)| Stepper::serve(link, self.timeout, self.announced.as_ref(), peer, now)))
    }

    /// The socket that becomes ready when a client connects.
    pub fn interest(&self) -> Interest {
        Interest { socket: self.listener.clone(), read: true, write: false }
    }

    fn poll_link(&self, now: Instant) -> Result<Option<(Link, SocketAddr)>> {
        let (socket, peer) = match self.listener.accept() {
            Ok((socket, peer)) => (socket, address(peer)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let link = Link::accept(socket, self.tls.as_ref(), &self.tunnels, self.timeout, now)?;
        Ok(Some((link, peer)))
    }
}

impl ServerSession {
    /// Waits for what the client does next. Returns `None` when it has closed the connection.
    ///
    /// After [`Error::TimedOut`] the call may be repeated: a client that plays may send nothing for long.
    pub fn next_event(&mut self) -> Result<Option<ServerEvent>> {
        if self.shared.lock().has_request() {
            return Err(Error::Invalid("a request has to be answered before anything else comes"));
        }
        loop {
            match self.shared.next(self.timeout) {
                Ok(Happening::Request(request)) => return Ok(Some(ServerEvent::Request(request))),
                Ok(Happening::Media(message)) => return Ok(Some(ServerEvent::Message(message))),
                Ok(Happening::StreamClosed(stream_id)) => {
                    return Ok(Some(ServerEvent::StreamClosed { stream_id }));
                }
                Ok(Happening::Left) | Err(Error::Closed | Error::NotConnected) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Accepts the client's request.
    pub fn accept(&mut self) -> Result<()> {
        self.shared.say(|session, wishes| session.accept(wishes))
    }

    /// Refuses the client's request, with a description for people. After a refused connection nothing else follows.
    pub fn refuse(&mut self, description: &str) -> Result<()> {
        self.shared.say(|session, wishes| session.refuse(wishes, description))
    }

    /// Sends a message on a stream that the client plays. `timestamp` is in milliseconds, and `body` is that of an
    /// FLV tag.
    pub fn send(&mut self, stream_id: u32, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        // Only a full header has the message stream.
        let is_other = self.last_stream.replace(stream_id) != Some(stream_id);
        let format = if is_other || kind == MessageType::DATA || timestamp == 0 { 0 } else { 1 };
        self.shared.send(&Outgoing { chunk_stream: MEDIA, format, kind, timestamp, stream_id, body })
    }

    /// Sends an audio or video message made of its parts on a stream that the client plays. Fails with
    /// [`Error::Unsupported`], and sends nothing, if the client has not announced that it supports the message.
    pub fn send_media(&mut self, stream_id: u32, timestamp: u32, message: &media::Message<'_>) -> Result<()> {
        let body = self.shared.lock().encode_media(message)?;
        self.send(stream_id, message.kind.message_type(), timestamp, &body)
    }

    /// The capabilities that the client has announced.
    pub fn peer(&self) -> Capabilities {
        self.shared.lock().peer()
    }

    /// Asks the client to connect again: to the application at `url`, which may be relative, or to the same one if it
    /// is empty. The session continues until the client leaves. Fails with [`Error::Unsupported`], and sends nothing,
    /// if the client has not announced that it supports such requests.
    pub fn request_reconnect(&mut self, url: &str, description: &str) -> Result<()> {
        self.shared
            .say(|session, wishes| session.request_reconnect(wishes, url.as_bytes(), description.as_bytes()))
    }

    /// Tells the client that a message stream that it plays has ended.
    pub fn end_stream(&mut self, stream_id: u32) -> Result<()> {
        self.shared.say(|session, wishes| session.end_stream(wishes, stream_id))
    }

    /// Sets the size of chunks to the client, which is 128 bytes at first.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.shared.set_chunk_size(bytes)
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats(Some(Instant::now()))
    }

    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }
}

/// The address of a TCP socket.
fn address(address: SockAddr) -> Result<SocketAddr> {
    address.as_socket().ok_or(Error::Invalid("a socket without an address of IP"))
}

impl Drop for ServerSession {
    fn drop(&mut self) {
        self.shared.leave_at_once();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("peer", &self.peer).finish_non_exhaustive()
    }
}
