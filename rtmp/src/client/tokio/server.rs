//! Serving.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use ::tokio::io::{Interest as Directions, unix::AsyncFd};
use socket2::Socket;

use super::{
    front::Front,
    task::{drive, register},
};
use crate::{
    client::{self, ServerEvent, stepper::StepperEvent},
    error::{Error, Result},
    media,
    message::MessageType,
    session::Capabilities,
    stats::Stats,
};

/// A socket that RTMP clients connect to.
///
/// ```no_run
/// # async fn serve() -> rtmp::Result<()> {
/// use rtmp::{Request, ServerEvent};
///
/// // Accepts every stream that is published, and prints the size of its messages.
/// let server = rtmp::tokio::Server::new(rtmp::Server::bind("127.0.0.1:1935")?)?;
/// loop {
///     let mut session = server.accept().await?;
///     tokio::spawn(async move {
///         while let Some(event) = session.next_event().await? {
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
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    server: client::Server,
    listener: AsyncFd<Arc<Socket>>,
}

/// One client of a [`Server`].
pub struct ServerSession {
    front: Front,
    peer: Option<SocketAddr>,
    patience: Option<Duration>,
}

impl Server {
    /// Accepts the clients of a server. Call it inside a runtime.
    pub fn new(server: client::Server) -> Result<Self> {
        let listener = register(server.interest().socket, Directions::READABLE)?;
        Ok(Self { server, listener })
    }

    /// Waits for a client to connect.
    pub async fn accept(&self) -> Result<ServerSession> {
        loop {
            let mut ready = self.listener.readable().await?;
            if let Some(stepper) = self.server.poll_accept()? {
                let (peer, patience) = (stepper.peer_addr(), stepper.timeout());
                return Ok(ServerSession { front: drive(stepper, Arc::default()), peer, patience });
            }
            ready.clear_ready();
        }
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        self.server.local_addr()
    }
}

impl ServerSession {
    /// Waits for what the client does next. Returns `None` when it has closed the connection. Answer each
    /// [`Request`](crate::Request) with [`accept`](Self::accept) or [`refuse`](Self::refuse) before the next call.
    ///
    /// After [`Error::TimedOut`] the call may be repeated: a client that plays may send nothing for long.
    pub async fn next_event(&mut self) -> Result<Option<ServerEvent>> {
        loop {
            match self.front.next(self.patience).await {
                Ok(StepperEvent::Request(request)) => return Ok(Some(ServerEvent::Request(request))),
                Ok(StepperEvent::Message(message)) => return Ok(Some(ServerEvent::Message(message))),
                Ok(StepperEvent::StreamClosed { stream_id }) => {
                    return Ok(Some(ServerEvent::StreamClosed { stream_id }));
                }
                Ok(StepperEvent::Left) | Err(Error::NotConnected) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Accepts the client's request.
    pub fn accept(&mut self) -> Result<()> {
        self.front.act(|inner| inner.stepper.accept())
    }

    /// Refuses the client's request, with a description for people. After a refused connection nothing else follows.
    pub fn refuse(&mut self, description: &str) -> Result<()> {
        self.front.act(|inner| inner.stepper.refuse(description))
    }

    /// Sends a message on a stream that the client plays, after waiting for room in the queue of this connection.
    /// `timestamp` is in milliseconds, and `body` is that of an FLV tag.
    pub async fn send(
        &mut self,
        stream_id: u32,
        kind: MessageType,
        timestamp: u32,
        body: &[u8],
    ) -> Result<()> {
        self.front.send(stream_id, kind, timestamp, body).await
    }

    /// Sends an audio or video message made of its parts on a stream that the client plays, see
    /// [`ServerSession::send_media`](crate::ServerSession::send_media).
    pub async fn send_media(
        &mut self,
        stream_id: u32,
        timestamp: u32,
        message: &media::Message<'_>,
    ) -> Result<()> {
        let body = self.front.lock().stepper.encode_media(message)?;
        self.send(stream_id, message.kind.message_type(), timestamp, &body).await
    }

    /// The capabilities that the client has announced.
    pub fn peer(&self) -> Capabilities {
        self.front.lock().stepper.peer()
    }

    /// Asks the client to connect again, see
    /// [`ServerSession::request_reconnect`](crate::ServerSession::request_reconnect).
    pub fn request_reconnect(&mut self, url: &str, description: &str) -> Result<()> {
        self.front.act(|inner| inner.stepper.request_reconnect(url, description))
    }

    /// Tells the client that a message stream that it plays has ended.
    pub fn end_stream(&mut self, stream_id: u32) -> Result<()> {
        self.front.act(|inner| inner.stepper.end_stream(stream_id))
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.front.stats()
    }

    /// Sets the size of chunks to the client, which is 128 bytes at first.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.front.act(|inner| inner.stepper.set_chunk_size(bytes))
    }

    /// Sets the limit of the queue, above which [`Self::send`] waits.
    pub fn set_queue_limit(&mut self, bytes: usize) {
        self.front.lock().stepper.set_queue_limit(bytes);
    }

    /// The client's address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("peer", &self.peer).finish_non_exhaustive()
    }
}
