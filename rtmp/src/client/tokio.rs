//! Playing, publishing and serving with the runtime tokio: [`play`], [`publish`] and [`Server`]. It needs the Cargo
//! feature `tokio`.
//!
//! ```no_run
//! # async fn copy() -> rtmp::Result<()> {
//! use rtmp::{Client, tokio};
//!
//! let mut player = tokio::play(&Client::new("rtmp://localhost/live/stream")?.live(true)).await?;
//! let mut publisher = tokio::publish(&Client::new("rtmp://localhost/live/copy")?).await?;
//! while let Some(message) = player.next_message().await? {
//!     publisher.send(message.kind, message.timestamp, &message.body).await?;
//! }
//! publisher.finish().await
//! # }
//! ```
//!
//! Each connection has its own task, which moves its bytes, answers the peer and watches deadlines while the program
//! does something else. The task ends with the connection. It needs a runtime with the drivers for I/O and time.
//!
//! Futures can be dropped at any time: the next future returns the message that a dropped one waited for, and a
//! dropped `send` that waited for room has sent nothing. Dropping a connection ends the stream, sends the queue, and
//! closes the connection in the background, as long as the runtime exists and for at most one timeout.

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use ::tokio::{
    io::{Interest as Directions, unix::AsyncFd},
    sync::Notify,
    task,
    time::timeout_at,
};
use socket2::Socket;

use super::{
    Client, Event, ServerEvent,
    blocking::Abort,
    stepper::{Sent, Stepper, StepperEvent},
};
use crate::{
    error::{Error, Result},
    media,
    message::{Message, MessageType},
    net::Interest,
    session::{Capabilities, Reconnect},
    stats::Stats,
};

/// Connects and waits until the stream plays.
///
/// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
pub async fn play(client: &Client) -> Result<Player> {
    Ok(Player { front: connect(client, false).await?, patience: client.settings.timeout(), over: false })
}

/// Connects and waits until the stream can be published.
///
/// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
pub async fn publish(client: &Client) -> Result<Publisher> {
    let front = connect(client, true).await?;
    let stream_id = front.lock().stepper.stream_id();
    front.lock().drops_events = true;
    Ok(Publisher { front, stream_id })
}

/// A stream that plays.
///
/// Made by [`play`].
pub struct Player {
    front: Front,
    patience: Duration,
    /// The server has ended the stream.
    over: bool,
}

/// A stream that is published.
///
/// Made by [`publish`]. The server is answered whether or not the program sends anything.
pub struct Publisher {
    front: Front,
    stream_id: u32,
}

/// A socket that RTMP clients connect to.
///
/// ```no_run
/// # async fn serve() -> rtmp::Result<()> {
/// use rtmp::{Request, ServerEvent};
///
/// // Takes every stream that is published, and says what comes.
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
    server: super::Server,
    listener: AsyncFd<Arc<Socket>>,
}

/// One client of a [`Server`].
pub struct ServerSession {
    front: Front,
    peer: Option<SocketAddr>,
    patience: Option<Duration>,
}

/// The program's end of a connection whose bytes a task moves.
struct Front(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    /// The program has done something that the task has to act upon.
    work: Notify,
    /// The task has done something that the program may wait for.
    news: Notify,
}

struct Inner {
    stepper: Stepper,
    /// What has happened, for the program to take.
    events: VecDeque<StepperEvent>,
    /// Bytes of the messages among these.
    waiting: usize,
    /// Whether nobody takes events.
    drops_events: bool,
    /// Whether no more of them can come than the last.
    is_ending: bool,
    /// Why the connection has ended, until the program knows.
    failure: Option<Error>,
    is_over: bool,
}

/// The sockets that the runtime watches for a connection.
#[derive(Default)]
struct Watch {
    interests: Vec<Interest>,
    /// In the same order.
    sockets: Vec<AsyncFd<Arc<Socket>>>,
}

/// How many events may wait for the program before nothing more is received.
const MAX_EVENTS: usize = 32;

/// How many bytes of messages may.
const MAX_WAITING: usize = 256 << 10;

/// How long what is due waits at least while nothing is received.
const PAUSE: Duration = Duration::from_millis(20);

impl Player {
    /// Waits for the next audio, video or metadata message. Returns `None` when the server has ended the stream.
    /// Other messages of the server are dropped; [`next_event`](Self::next_event) returns them.
    ///
    /// After [`Error::TimedOut`] the call may be repeated. [`Error::Closed`] means that the server closed the
    /// connection without ending the stream; with some servers, live streams end this way.
    pub async fn next_message(&mut self) -> Result<Option<Message>> {
        loop {
            match self.next_event().await? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(Event::Notice(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Like [`next_message`](Self::next_message), but also returns the server's other messages, in order, starting
    /// with those before the stream.
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        while !self.over {
            match self.front.next(Some(self.patience)).await? {
                StepperEvent::Message(message) => return Ok(Some(Event::Message(message))),
                StepperEvent::Notice(notice) => return Ok(Some(Event::Notice(notice))),
                StepperEvent::Reconnect(request) => {
                    return Ok(Some(Event::Notice(Notice::Reconnect(request))));
                }
                StepperEvent::Ended => self.over = true,
                StepperEvent::Left => return Err(Error::Closed),
                _ => {}
            }
        }
        Ok(None)
    }

    /// What the server has announced.
    pub fn peer(&self) -> Capabilities {
        self.front.lock().stepper.peer()
    }

    /// The server's last request to connect again, if there was one; see [`Client::follow`]. The stream continues.
    pub fn reconnect(&self) -> Option<Reconnect> {
        self.front.lock().stepper.reconnect()
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.front.stats()
    }

    /// Asks the server to pause. Messages on their way still arrive.
    pub fn pause(&mut self) -> Result<()> {
        self.front.act(|inner| inner.stepper.pause())
    }

    /// Asks the server to continue where it was paused.
    pub fn resume(&mut self) -> Result<()> {
        self.front.act(|inner| inner.stepper.resume())
    }

    /// Asks the server to seek. Messages that arrive before it does are dropped. Most servers go to a nearby key
    /// frame.
    pub fn seek(&mut self, time: Duration) -> Result<()> {
        self.front.act(|inner| {
            inner.stepper.seek(time)?;
            inner.drop_messages();
            Ok(())
        })
    }
}

impl Publisher {
    /// Sends a message, after waiting for room in the queue of this connection; see
    /// [`Stepper`](crate::Stepper#sending). `timestamp` is in milliseconds, and `body` is that of an FLV tag.
    /// Metadata has the type [`MessageType::DATA`] and starts with the string `@setDataFrame`, so that the server
    /// keeps it.
    ///
    /// If the server has ended the stream, the error contains the reason.
    pub async fn send(&mut self, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        self.front.send(self.stream_id, kind, timestamp, body).await
    }

    /// Sends an audio or video message made of its parts, see
    /// [`Publisher::send_media`](crate::Publisher::send_media).
    pub async fn send_media(&mut self, timestamp: u32, message: &media::Message<'_>) -> Result<()> {
        let body = self.front.lock().stepper.encode_media(message)?;
        self.send(message.kind.message_type(), timestamp, &body).await
    }

    /// What the server has announced.
    pub fn peer(&self) -> Capabilities {
        self.front.lock().stepper.peer()
    }

    /// The server's last request to connect again, if there was one; see [`Client::follow`]. The stream continues.
    pub fn reconnect(&self) -> Option<Reconnect> {
        self.front.lock().stepper.reconnect()
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.front.stats()
    }

    /// Sets the chunk size, which is 128 bytes at first. Not 0.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.front.act(|inner| inner.stepper.set_chunk_size(bytes))
    }

    /// Sets the limit of the queue, above which [`Self::send`] waits.
    pub fn set_queue_limit(&mut self, bytes: usize) {
        self.front.lock().stepper.set_queue_limit(bytes);
    }

    /// Ends the stream and waits until the server has closed the connection, so that nothing is lost. If the server
    /// does not close it in time, this side does.
    pub async fn finish(self) -> Result<()> {
        self.front.lock().check_open()?;
        self.front.close();
        loop {
            match self.front.next(None).await {
                Ok(StepperEvent::Left) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Server {
    /// Accepts the clients of a server. Call it inside a runtime.
    pub fn new(server: super::Server) -> Result<Self> {
        let listener = register(server.interest().socket, Directions::READABLE)?;
        Ok(Self { server, listener })
    }

    /// Waits for a client to connect.
    pub async fn accept(&self) -> Result<ServerSession> {
        loop {
            let mut ready = self.listener.readable().await?;
            if let Some(stepper) = self.server.poll_accept()? {
                let (peer, patience) = (stepper.peer_addr(), stepper.timeout());
                return Ok(ServerSession { front: Front::new(stepper, Arc::default()), peer, patience });
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

    /// What the client has announced.
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

async fn connect(client: &Client, publish: bool) -> Result<Front> {
    let (settings, abort) = (client.settings.clone(), client.abort.clone());
    let swf = if settings.wants_swf() {
        let settings = settings.clone();
        // A download, which waits.
        task::spawn_blocking(move || settings.swf()).await.unwrap_or_default()
    } else {
        None
    };
    let mut stepper = Stepper::connect(&settings, &abort, publish, swf, Instant::now())?;
    if !publish {
        stepper.want_notices();
    }
    let front = Front::new(stepper, abort);
    loop {
        // Each phase has a deadline of its own.
        match front.next(None).await? {
            StepperEvent::Streaming => return Ok(front),
            StepperEvent::Ended | StepperEvent::Left => return Err(Error::Closed),
            _ => {}
        }
    }
}

impl Front {
    /// Begins to move the bytes of a connection.
    fn new(stepper: Stepper, abort: Arc<Abort>) -> Self {
        let inner = Inner {
            stepper,
            events: VecDeque::new(),
            waiting: 0,
            drops_events: false,
            is_ending: false,
            failure: None,
            is_over: false,
        };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), work: Notify::new(), news: Notify::new() });
        task::spawn(drive(shared.clone(), abort));
        Self(shared)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }

    /// Waits until something happens. `patience` is how long one wait for the peer's bytes may take.
    async fn next(&self, patience: Option<Duration>) -> Result<StepperEvent> {
        // Programs that always have something to receive let others have their turn, too.
        task::consume_budget().await;
        let after = |now: Instant| patience.and_then(|patience| now.checked_add(patience));
        let (mut deadline, mut received) = (after(Instant::now()), None);
        loop {
            {
                let mut inner = self.lock();
                if let Some(event) = inner.take() {
                    self.0.work.notify_one();
                    return event;
                }
                let now = Instant::now();
                let received_now = Some(inner.stepper.received());
                if received != received_now {
                    (received, deadline) = (received_now, after(now));
                }
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Err(Error::TimedOut);
                }
            }
            let news = self.0.news.notified();
            match deadline {
                // What became of it shows above.
                Some(deadline) => drop(timeout_at(deadline.into(), news).await),
                None => news.await,
            }
        }
    }

    fn stats(&self) -> Stats {
        self.lock().stepper.stats(Instant::now())
    }

    /// Waits until there is room for a message, and sends it.
    async fn send(&self, stream_id: u32, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        task::consume_budget().await;
        loop {
            {
                let mut inner = self.lock();
                inner.check_open()?;
                if inner.stepper.send(stream_id, kind, timestamp, body)? == Sent::Taken {
                    // What the system has not taken is for the task.
                    self.0.work.notify_one();
                    return Ok(());
                }
            }
            self.0.news.notified().await;
        }
    }

    /// Does something with the connection, whose bytes are for the task to send.
    fn act(&self, act: impl FnOnce(&mut Inner) -> Result<()>) -> Result<()> {
        let mut inner = self.lock();
        inner.check_open()?;
        let result = act(&mut inner);
        self.0.work.notify_one();
        result
    }

    /// Says goodbye. The task ends when that is done.
    fn close(&self) {
        self.lock().stepper.close();
        self.0.work.notify_one();
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.lock().drops_events = true;
        self.close();
    }
}

impl Shared {
    /// A thread that panicked may leave a connection half changed: at worst it is unusable.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Steps as long as there is something to do and room for what comes of it.
    fn advance(&mut self, now: Instant) {
        while !self.is_over {
            let event =
                if self.reads() { self.stepper.step(now) } else { self.stepper.flush(now).map(|()| None) };
            match event {
                Ok(None) => return,
                Ok(Some(event)) => {
                    self.is_ending |= matches!(event, StepperEvent::Ended);
                    self.is_over = matches!(event, StepperEvent::Left);
                    if !self.drops_events || self.is_over {
                        self.waiting += len(&event);
                        self.events.push_back(event);
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    self.failure = Some(error);
                }
            }
        }
    }

    /// What happened first; the failure comes behind all events.
    fn take(&mut self) -> Option<Result<StepperEvent>> {
        match self.events.pop_front() {
            Some(event) => {
                self.waiting -= len(&event);
                Some(Ok(event))
            }
            None if self.is_over => Some(Err(self.failure.take().unwrap_or(Error::NotConnected))),
            None => None,
        }
    }

    /// Forgets the messages that nobody has taken.
    fn drop_messages(&mut self) {
        self.events.retain(|event| !matches!(event, StepperEvent::Message(_)));
        self.waiting = 0;
    }

    /// Fails if nothing can be sent, with the reason.
    fn check_open(&mut self) -> Result<()> {
        match self.failure.take() {
            Some(error) => Err(error),
            None if self.is_over => Err(Error::NotConnected),
            None => Ok(()),
        }
    }

    /// Whether more is received.
    fn reads(&self) -> bool {
        self.drops_events || self.is_ending || self.events.len() < MAX_EVENTS && self.waiting < MAX_WAITING
    }
}

fn len(event: &StepperEvent) -> usize {
    match event {
        StepperEvent::Message(message) => message.body.len(),
        StepperEvent::Notice(notice) => notice.len(),
        _ => 0,
    }
}

/// Has the runtime watch a socket.
// What came instead is unsafe: descriptors of any type may be closed too early. Ours is open as long as the share of
// the socket that is registered.
#[allow(deprecated)]
fn register(socket: Arc<Socket>, directions: Directions) -> Result<AsyncFd<Arc<Socket>>> {
    Ok(AsyncFd::with_interest(socket, directions)?)
}

/// Moves the bytes of a connection until it has ended.
async fn drive(shared: Arc<Shared>, abort: Arc<Abort>) {
    let mut watch = Watch::default();
    loop {
        // From here on it is noticed, whatever the step sees.
        let mut aborted = pin!(abort.notified());
        let mut work = pin!(shared.work.notified());
        let now = Instant::now();
        let (is_over, deadline) = {
            let mut inner = shared.lock();
            inner.advance(now);
            if let Err(error) = watch.follow(&inner) {
                inner.stepper.end();
                (inner.failure, inner.is_over) = (Some(error), true);
            }
            let deadline = inner.stepper.deadline();
            // What has to wait for the program to take an event must not keep us busy.
            let soonest = if inner.reads() { now } else { now + PAUSE };
            (inner.is_over, deadline.map(|deadline| deadline.max(soonest)))
        };
        shared.news.notify_one();
        if is_over {
            return;
        }
        let ready = poll_fn(|context| {
            let is_ready = aborted.as_mut().poll(context).is_ready()
                | work.as_mut().poll(context).is_ready()
                | watch.poll(context);
            if is_ready { Poll::Ready(()) } else { Poll::Pending }
        });
        match deadline {
            // Others have their turn before a peer that sends without a pause goes on.
            Some(deadline) if deadline <= now => task::yield_now().await,
            Some(deadline) => drop(timeout_at(deadline.into(), ready).await),
            None => ready.await,
        }
    }
}

impl Watch {
    /// Watches what the connection waits for now. Sockets that it waited for before stay registered.
    fn follow(&mut self, inner: &Inner) -> Result<()> {
        self.interests.clear();
        inner.stepper.interests(&mut self.interests);
        let reads = inner.reads();
        self.interests.iter_mut().for_each(|interest| interest.read &= reads);
        let mut sockets = Vec::with_capacity(self.interests.len());
        for interest in &self.interests {
            let known = self.sockets.iter().position(|fd| Arc::ptr_eq(fd.get_ref(), &interest.socket));
            sockets.push(match known {
                Some(place) => self.sockets.swap_remove(place),
                None => register(interest.socket.clone(), Directions::READABLE | Directions::WRITABLE)?,
            });
        }
        self.sockets = sockets;
        Ok(())
    }

    /// Whether a socket is ready. Readiness is taken back before the step that uses it: what comes later shows again.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let mut is_ready = false;
        for (interest, socket) in self.interests.iter().zip(&self.sockets) {
            // An error means that the runtime ends; it drops this task, too.
            let readable = interest.read.then(|| socket.poll_read_ready(context));
            if let Some(Poll::Ready(Ok(mut guard))) = readable {
                guard.clear_ready();
                is_ready = true;
            }
            let writable = interest.write.then(|| socket.poll_write_ready(context));
            if let Some(Poll::Ready(Ok(mut guard))) = writable {
                guard.clear_ready();
                is_ready = true;
            }
        }
        is_ready
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("over", &self.over).finish_non_exhaustive()
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("stream_id", &self.stream_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession").field("peer", &self.peer).finish_non_exhaustive()
    }
}
