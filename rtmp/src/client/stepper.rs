//! The pump that never waits: [`Stepper`].

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    blocking::Abort,
    connection::{Connection, Happening},
    milliseconds,
    settings::Settings,
};
use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    handshake::Swf,
    media,
    message::{Message, MessageType},
    net::{Interest, Link},
    session::{Capabilities, Notice, Reconnect, Request, StreamStage},
    stats::Stats,
};

/// A connection for programs with an event loop: no call waits.
///
/// Made by [`Client::start_play`](crate::Client::start_play), [`Client::start_publish`](crate::Client::start_publish)
/// and [`Server::poll_accept`](crate::Server::poll_accept). Call [`step`](Self::step) until it returns `None`, and
/// again when a socket of [`interests`](Self::interests) is ready or [`deadline`](Self::deadline) has passed. Every
/// call can change both, so ask for them before each wait. One thread can serve any number of connections.
///
/// The session has deadlines for the look-up and the connection, the handshake, each answer that is needed before the
/// stream plays, and for a peer that accepts none of the queued data. A playing stream may be silent for any time;
/// the program decides how long is too long.
///
/// Dropping it ends the stream if there is room to say so, and closes the connection.
///
/// ```no_run
/// use std::time::Instant;
/// use rtmp::{Client, StepperEvent, net::wait};
///
/// let mut players = Vec::new();
/// for camera in 1..=100 {
///     players.push(Client::new(&format!("rtmp://localhost/live/{camera}"))?.live(true).start_play()?);
/// }
/// let mut interests = Vec::new();
/// loop {
///     let now = Instant::now();
///     players.retain_mut(|player| loop {
///         match player.step(now) {
///             Ok(Some(StepperEvent::Message(message))) => println!("{} ms", message.timestamp),
///             Ok(Some(StepperEvent::Left)) => return false,
///             Ok(Some(_)) => {}
///             Ok(None) => return true,
///             Err(error) => {
///                 println!("{error}");
///                 return false;
///             }
///         }
///     });
///     if players.is_empty() {
///         break;
///     }
///     interests.clear();
///     players.iter().for_each(|player| player.interests(&mut interests));
///     wait(&interests, players.iter().filter_map(|player| player.deadline()).min())?;
/// }
/// # Ok::<(), rtmp::Error>(())
/// ```
///
/// # Sending
///
/// [`send`](Self::send) accepts a message completely or not at all. Data that the system does not accept waits in a
/// queue of limited size, 4 MiB unless [`set_queue_limit`](Self::set_queue_limit) changes it. If the queue is full,
/// the result is [`Sent::Full`]: the program tries again after a step, or drops frames for a slow peer.
pub struct Stepper {
    connection: Connection,
    abort: Arc<Abort>,
    peer: Option<SocketAddr>,
    queue_limit: usize,
    /// The time of the next step, although no socket is ready.
    again: Option<Instant>,
    /// The number of sent bytes of the queue, and the time since when it has not grown; `None` while nothing waits.
    stalled: Option<(u64, Instant)>,
    ending: Ending,
    /// The message stream of the last message.
    last_stream: Option<u32>,
}

/// An event of a [`Stepper`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StepperEvent {
    /// The stream of a client plays, or may be published.
    Streaming,
    /// Audio, video, metadata, or an aggregate of these.
    Message(Message),
    /// Any other message of the server, if [`Stepper::want_notices`] was called. Messages before [`Self::Streaming`]
    /// follow that event.
    Notice(Notice),
    /// The server has ended the stream. Further steps close the connection.
    Ended,
    /// The connection has ended in an orderly way: it was closed and the peer has left or did not do so in time, or
    /// the client of a server has left. Nothing follows.
    Left,
    /// A request of a server's client. Nothing else follows before [`Stepper::accept`] or [`Stepper::refuse`].
    Request(Request),
    /// The client of a server has ended publishing or playing on a message stream.
    StreamClosed {
        /// The message stream.
        stream_id: u32,
    },
    /// The server wants its client to connect again; see [`Client::follow`](crate::Client::follow). The stream
    /// continues.
    Reconnect(Reconnect),
}

/// The result of sending a message.
#[must_use = "a message that was not taken is not sent"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// The message was sent or is in the queue.
    Taken,
    /// The queue is full, and nothing of the message was accepted. There may be room after a step.
    Full,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// The goodbye has begun, and may have ended already.
    Closing,
    Over,
}

/// The default limit of bytes that may wait for a peer.
const QUEUE_LIMIT: usize = 4 << 20;

/// The chunk stream that media is sent on.
const MEDIA: u32 = 4;

impl Stepper {
    /// Begins to connect. `swf` is the file to verify, see [`Settings::swf`].
    pub(super) fn connect(
        settings: &Arc<Settings>,
        abort: &Arc<Abort>,
        publish: bool,
        swf: Option<Swf>,
        now: Instant,
    ) -> Result<Self> {
        let mut connection = Connection::begin(settings, publish, swf, now)?;
        connection.want_notices(false);
        let mut stepper = Self::new(connection, abort.clone(), None, now);
        stepper.queue_limit = settings.common.tuning.queue_limit.unwrap_or(QUEUE_LIMIT);
        Ok(stepper)
    }

    /// Serves a client that has connected.
    pub(super) fn serve(
        link: Link,
        timeout: Option<Duration>,
        announced: Option<&Capabilities>,
        peer: SocketAddr,
        now: Instant,
    ) -> Self {
        Self::new(Connection::serve(link, timeout, announced), Arc::default(), Some(peer), now)
    }

    fn new(connection: Connection, abort: Arc<Abort>, peer: Option<SocketAddr>, now: Instant) -> Self {
        Self {
            connection,
            abort,
            peer,
            queue_limit: QUEUE_LIMIT,
            again: Some(now),
            stalled: None,
            ending: Ending::No,
            last_stream: None,
        }
    }

    /// Does what can be done now, up to the next event. Returns `None` when nothing is left to do until a socket is
    /// ready or the deadline has passed.
    ///
    /// An error ends the connection. [`Error::Closed`] means that the server closed it without ending the stream,
    /// [`Error::TimedOut`] that a deadline has passed, and [`Error::Interrupted`] that an
    /// [`AbortHandle`](crate::AbortHandle) was used. After an error or [`StepperEvent::Left`], all further steps
    /// fail.
    pub fn step(&mut self, now: Instant) -> Result<Option<StepperEvent>> {
        self.again = None;
        let result = self.advance(now);
        if result.is_err() {
            self.end();
        }
        result
    }

    fn advance(&mut self, now: Instant) -> Result<Option<StepperEvent>> {
        if self.ending == Ending::Over {
            return Err(self.connection.explain(Error::NotConnected));
        }
        if self.abort.is_wanted() {
            return Err(Error::Interrupted);
        }
        loop {
            let happening = match self.connection.step(now) {
                // A server's session ends when its client closes, and a goodbye may find the connection closed.
                Err(Error::Closed) if self.peer.is_some() => Happening::Left,
                Err(Error::NotConnected) if self.ending == Ending::Closing => Happening::Left,
                result => result?,
            };
            self.check_sending(now)?;
            return Ok(Some(match happening {
                Happening::Streaming => StepperEvent::Streaming,
                // Media from before the requested position.
                Happening::Media(_) if self.connection.state().seeking => continue,
                Happening::Media(message) => StepperEvent::Message(message),
                Happening::Ended => {
                    self.ending = Ending::Closing;
                    StepperEvent::Ended
                }
                Happening::Request(request) => StepperEvent::Request(request),
                Happening::StreamClosed(stream_id) => StepperEvent::StreamClosed { stream_id },
                Happening::Reconnect(request) => StepperEvent::Reconnect(request),
                Happening::Left => {
                    self.ending = Ending::Over;
                    StepperEvent::Left
                }
                // That is a separate event.
                Happening::Notice(Notice::Reconnect(_)) => continue,
                Happening::Notice(notice) => StepperEvent::Notice(notice),
                Happening::Idle => return Ok(None),
                Happening::Busy => {
                    // Other connections have their turn first.
                    self.again = Some(now);
                    return Ok(None);
                }
            }));
        }
    }

    /// Fails when the peer has accepted nothing for too long.
    fn check_sending(&mut self, now: Instant) -> Result<()> {
        let sent = self.connection.sent_until();
        if !self.connection.is_open() || sent >= self.connection.queued_until() {
            self.stalled = None;
        } else if self.stalled.is_none_or(|(before, _)| before != sent) {
            self.stalled = Some((sent, now));
        }
        match self.sending_deadline() {
            Some(deadline) if deadline <= now => {
                self.connection.cut();
                Err(Error::TimedOut)
            }
            _ => Ok(()),
        }
    }

    fn sending_deadline(&self) -> Option<Instant> {
        self.stalled?.1.checked_add(self.connection.timeout()?)
    }

    /// Appends the sockets to wait for.
    pub fn interests(&self, out: &mut Vec<Interest>) {
        self.connection.interests(out);
    }

    /// The time at which a step has something to do although no socket is ready. It may have passed already.
    pub fn deadline(&self) -> Option<Instant> {
        [self.again, self.sending_deadline(), self.connection.deadline()].into_iter().flatten().min()
    }

    /// Sends one message, or says that there is no room for it; see [above](Self#sending). `stream_id` is
    /// [`Self::stream_id`] for a publisher, and for a server that of a [`Request::Play`]. `timestamp` is in
    /// milliseconds, `body` that of an FLV tag. Metadata that is published begins with the string `@setDataFrame`, so
    /// that the server keeps it.
    ///
    /// A message that is longer than the limit is accepted when the queue is empty.
    pub fn send(&mut self, stream_id: u32, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<Sent> {
        if !self.has_room_for(body.len()) {
            return Ok(Sent::Full);
        }
        self.send_at_once(stream_id, kind, timestamp, body)?;
        Ok(Sent::Taken)
    }

    /// Whether the queue has room for this many more bytes.
    pub(super) fn has_room_for(&self, len: usize) -> bool {
        let waiting = self.unsent();
        waiting == 0 || waiting.saturating_add(len) <= self.queue_limit
    }

    /// As [`Self::send`], even without room.
    pub(super) fn send_at_once(
        &mut self,
        stream_id: u32,
        kind: MessageType,
        timestamp: u32,
        body: &[u8],
    ) -> Result<()> {
        // Only a full header has the message stream.
        let is_other = self.last_stream.replace(stream_id) != Some(stream_id);
        let format = if is_other || kind == MessageType::DATA || timestamp == 0 { 0 } else { 1 };
        let message = Outgoing { chunk_stream: MEDIA, format, kind, timestamp, stream_id, body };
        self.act(|connection, now| connection.send(&message, now))
    }

    /// Like [`send`](Self::send), for an audio or video message made of its parts. Fails with [`Error::Unsupported`],
    /// and sends nothing, if the peer has not announced that it supports the message. A client's option
    /// `enhancedForce` sends it anyway.
    pub fn send_media(
        &mut self,
        stream_id: u32,
        timestamp: u32,
        message: &media::Message<'_>,
    ) -> Result<Sent> {
        let body = self.connection.encode_media(message)?;
        self.send(stream_id, message.kind.message_type(), timestamp, &body)
    }

    #[cfg(feature = "tokio")]
    pub(super) fn encode_media(&mut self, message: &media::Message<'_>) -> Result<Vec<u8>> {
        self.connection.encode_media(message)
    }

    /// The server's last request to connect again, if there was one.
    pub fn reconnect(&self) -> Option<Reconnect> {
        self.connection.reconnect()
    }

    /// The peer's announcement: a server's from [`StepperEvent::Streaming`] on, a client's from its first request on.
    pub fn peer(&mut self) -> Capabilities {
        self.connection.peer()
    }

    /// Asks the client of a server to connect again, see
    /// [`ServerSession::request_reconnect`](crate::ServerSession::request_reconnect).
    pub fn request_reconnect(&mut self, url: &str, description: &str) -> Result<()> {
        self.act(|connection, now| {
            connection.say(now, |session, wishes| {
                session.request_reconnect(wishes, url.as_bytes(), description.as_bytes())
            })
        })
    }

    /// Begins to publish a further stream on the connection of a client that publishes. Returns a key for
    /// [`stream_stage`](Self::stream_stage), which reports when the stream is open and its number; [`send`](Self::send) takes
    /// that number.
    pub fn open_stream(&mut self, name: &str) -> Result<i32> {
        let mut key = 0;
        self.act(|connection, now| {
            connection.say(now, |session, wishes| {
                key = session.open_stream(wishes, name.as_bytes())?;
                Ok(())
            })
        })?;
        Ok(key)
    }

    /// The stage of a further stream; `None` if there is none with this key.
    pub fn stream_stage(&mut self, key: i32) -> Option<StreamStage> {
        self.connection.stream_stage(key)
    }

    /// Ends the further stream with this number. The others continue.
    pub fn close_stream(&mut self, stream_id: u32) -> Result<()> {
        self.act(|connection, now| {
            connection.say(now, |session, wishes| session.close_stream(wishes, stream_id))
        })
    }

    /// Forgets a further stream that could not be opened.
    #[cfg(feature = "tokio")]
    pub(super) fn forget_stream(&mut self, key: i32) {
        // Without a connection there is no stream.
        let _ = self.act(|connection, now| {
            connection.say(now, |session, _| {
                session.forget_stream(key);
                Ok(())
            })
        });
    }

    /// The protocol's state.
    #[cfg(feature = "tokio")]
    pub(super) fn state(&mut self) -> crate::session::State {
        self.connection.state()
    }

    /// Enables [`StepperEvent::Notice`]. Call it before the first step.
    pub fn want_notices(&mut self) {
        self.connection.want_notices(true);
    }

    /// The message stream of a client that plays or publishes; 0 before [`StepperEvent::Streaming`].
    pub fn stream_id(&mut self) -> u32 {
        self.connection.state().stream_id as u32
    }

    /// Number of bytes in the queue for the peer.
    pub fn unsent(&self) -> usize {
        self.connection.unsent()
    }

    /// Sets the limit of the queue, above which [`Self::send`] accepts nothing.
    pub fn set_queue_limit(&mut self, bytes: usize) {
        self.queue_limit = bytes;
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self, now: Instant) -> Stats {
        self.connection.stats(Some(now))
    }

    /// Sets the size of chunks to the peer, which is 128 bytes at first. Not 0.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.act(|connection, now| connection.set_chunk_size(now, bytes))
    }

    /// Asks the server to pause. Messages on their way still arrive.
    pub fn pause(&mut self) -> Result<()> {
        self.act(|connection, now| connection.say(now, |session, wishes| session.pause(wishes, true)))
    }

    /// Asks the server to continue where it was paused.
    pub fn resume(&mut self) -> Result<()> {
        self.act(|connection, now| connection.say(now, |session, wishes| session.pause(wishes, false)))
    }

    /// Asks the server to seek. Messages that arrive before it does are dropped.
    pub fn seek(&mut self, time: Duration) -> Result<()> {
        self.act(|connection, now| {
            connection.say(now, |session, wishes| session.seek(wishes, milliseconds(time)))
        })
    }

    /// Accepts the request of a server's client.
    pub fn accept(&mut self) -> Result<()> {
        self.act(|connection, now| connection.say(now, |session, wishes| session.accept(wishes)))
    }

    /// Refuses the request of a server's client, with a description for people. After a refused connection nothing
    /// else follows.
    pub fn refuse(&mut self, description: &str) -> Result<()> {
        self.act(|connection, now| connection.say(now, |session, wishes| session.refuse(wishes, description)))
    }

    /// Tells the client of a server that a message stream that it plays has ended.
    pub fn end_stream(&mut self, stream_id: u32) -> Result<()> {
        self.act(|connection, now| {
            connection.say(now, |session, wishes| session.end_stream(wishes, stream_id))
        })
    }

    /// Ends the stream in an orderly way. Continue with steps until everything was sent and the peer has left, or a
    /// timeout has passed; then [`StepperEvent::Left`] follows.
    pub fn close(&mut self) {
        if self.ending == Ending::No {
            self.ending = Ending::Closing;
            let now = Instant::now();
            self.connection.say_goodbye(now);
            self.again = Some(now);
        }
    }

    /// The address of a server's client.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Only sends, for an owner that cannot receive events now.
    #[cfg(feature = "tokio")]
    pub(super) fn flush(&mut self, now: Instant) -> Result<()> {
        self.again = None;
        if self.abort.is_wanted() {
            self.end();
            return Err(Error::Interrupted);
        }
        let result = self.connection.push(now).and_then(|()| self.check_sending(now));
        if result.is_err() {
            self.end();
        }
        result
    }

    /// Ends the connection now.
    pub(super) fn end(&mut self) {
        self.connection.end();
        self.ending = Ending::Over;
    }

    /// The total of received bytes.
    #[cfg(feature = "tokio")]
    pub(super) fn received(&self) -> u64 {
        self.connection.received()
    }

    /// The limit of a wait.
    #[cfg(feature = "tokio")]
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.connection.timeout()
    }

    /// Runs something on the connection that may leave more to do: received bytes that could not be used before make no socket
    /// ready.
    fn act(&mut self, act: impl FnOnce(&mut Connection, Instant) -> Result<()>) -> Result<()> {
        let now = Instant::now();
        let wanted_input = self.connection.wants_input();
        let result = act(&mut self.connection, now);
        if result.is_err() || wanted_input != self.connection.wants_input() {
            self.again = Some(now);
        }
        result
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.connection.say_goodbye(Instant::now());
        self.connection.end();
    }
}

impl fmt::Debug for Stepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.peer;
        f.debug_struct("Stepper").field("peer", peer).field("unsent", &self.unsent()).finish_non_exhaustive()
    }
}
