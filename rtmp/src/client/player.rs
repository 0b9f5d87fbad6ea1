//! A stream that plays.

use std::{
    fmt, io, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    blocking::Shared,
    connection::Happening,
    flv_bytes::{FlvBytes, Source},
    into_io, milliseconds,
    settings::Settings,
};
use crate::{
    amf::{self, Properties, Value},
    error::{Error, Result},
    message::{Message, MessageType},
    session::{Application, Capabilities, Notice, Reconnect, Session, State},
    stats::Stats,
};

/// A stream that plays, as messages or as the bytes of an FLV file.
///
/// Made by [`Client::play`](crate::Client::play). Dropping it ends the stream and closes the connection.
///
/// [`messages`](Self::messages) and [`next_message`](Self::next_message) return audio, video and metadata as they
/// arrive. Some servers send several of them in one message of the type [`MessageType::AGGREGATE`], whose body is a
/// sequence of FLV tags.
///
/// ```no_run
/// use rtmp::message::MessageType;
///
/// let mut player = rtmp::Client::new("rtmp://localhost/vod/film")?.play()?;
/// for message in player.messages() {
///     let message = message?;
///     if message.kind == MessageType::VIDEO {
///         println!("{} ms: {} bytes of video", message.timestamp, message.body.len());
///     }
/// }
/// println!("{:?} long", player.duration());
/// # Ok::<(), rtmp::Error>(())
/// ```
///
/// [`Read`](io::Read) returns FLV: a file header, then tags, with aggregates split. The header waits for the first
/// messages, because it contains the kinds of media. Both interfaces read from the same connection, so use only one
/// of them.
///
/// ```no_run
/// let mut player = rtmp::Client::new("rtmp://localhost/live/stream live=1")?.play()?;
/// std::io::copy(&mut player, &mut std::io::stdout())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Player {
    server: Arc<Shared>,
    settings: Arc<Settings>,
    bytes: FlvBytes,
    /// Body of the last metadata message.
    metadata: Option<Vec<u8>>,
    /// The server has ended the stream.
    over: bool,
}

/// A message or notice that a playing connection receives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Audio, video, metadata, or an aggregate of these.
    Message(Message),
    /// Any other message of the server.
    Notice(Notice),
}

/// The messages of a stream, see [`Player::messages`].
///
/// ```no_run
/// let mut player = rtmp::Client::new("rtmp://localhost/vod/film")?.play()?;
/// let first: Result<Vec<_>, _> = player.messages().take(10).collect();
/// assert_eq!(first?.len(), 10);
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug)]
pub struct Messages<'a> {
    player: &'a mut Player,
    /// After an error that ends the iteration.
    failed: bool,
}

impl Player {
    pub(super) fn new(server: Arc<Shared>, settings: Arc<Settings>) -> Self {
        let bytes = FlvBytes::new(&settings);
        Self { server, settings, bytes, metadata: None, over: false }
    }

    /// Waits for the next audio, video or metadata message. Returns `None` when the server has ended the stream.
    /// Other messages of the server are dropped; [`next_event`](Self::next_event) returns them.
    ///
    /// After [`Error::TimedOut`] the call may be repeated. [`Error::Closed`] means that the server closed the
    /// connection without ending the stream; with some servers, live streams end this way.
    pub fn next_message(&mut self) -> Result<Option<Message>> {
        loop {
            match self.next_event()? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(Event::Notice(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Like [`next_message`](Self::next_message), but also returns the server's other messages, in order, starting
    /// with those before the stream.
    ///
    /// ```no_run
    /// use rtmp::{Event, Notice};
    ///
    /// let mut player = rtmp::Client::new("rtmp://localhost/live/stream")?.play()?;
    /// while let Some(event) = player.next_event()? {
    ///     match event {
    ///         Event::Message(message) => println!("{} bytes", message.body.len()),
    ///         Event::Notice(Notice::Status(status)) => println!("{}", String::from_utf8_lossy(&status.code)),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let patience = Some(self.settings.timeout());
        while !self.over {
            match self.server.next(patience)? {
                Happening::Media(message) => {
                    match message.kind {
                        MessageType::DATA => self.metadata = Some(message.body.clone()),
                        // AMF0 follows a byte that names the format.
                        MessageType::DATA_AMF3 => self.metadata = message.body.get(1..).map(<[u8]>::to_vec),
                        _ => {}
                    }
                    if !self.server.lock().state().seeking {
                        return Ok(Some(Event::Message(message)));
                    }
                }
                Happening::Notice(notice) => return Ok(Some(Event::Notice(notice))),
                Happening::Reconnect(request) => {
                    return Ok(Some(Event::Notice(Notice::Reconnect(request))));
                }
                Happening::Ended => {
                    self.over = true;
                    self.server.leave_at_once();
                }
                Happening::Left => return Err(Error::Closed),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Iterates over the following messages. After a timeout it can continue; after other errors it ends.
    pub fn messages(&mut self) -> Messages<'_> {
        Messages { player: self, failed: false }
    }

    /// The capabilities that the server has announced. A server without Enhanced RTMP announces nothing.
    pub fn peer(&self) -> Capabilities {
        self.server.lock().peer()
    }

    /// The server's last request to connect again, if there was one; see [`Client::follow`](crate::Client::follow).
    /// The stream continues.
    pub fn reconnect(&self) -> Option<Reconnect> {
        self.server.lock().reconnect()
    }

    /// The duration of the stream, if its metadata has arrived and contains it.
    pub fn duration(&self) -> Option<Duration> {
        let seconds = self.server.lock().state().duration;
        Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
    }

    /// The metadata of the stream (`onMetaData`), if it has arrived: width, height, codecs and so on.
    ///
    /// ```no_run
    /// # let mut player = rtmp::Client::new("rtmp://localhost/vod/film")?.play()?;
    /// player.next_message()?;
    /// let width = player.metadata().and_then(|metadata| metadata.find(b"width")?.as_number());
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn metadata(&self) -> Option<Properties<'_>> {
        let values = amf::decode(self.metadata.as_deref()?).ok()?;
        values.iter().find_map(|property| match &property.value {
            Value::Object(members) | Value::EcmaArray(members) => Some(members.clone()),
            _ => None,
        })
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.server.lock().stats(Some(Instant::now()))
    }

    /// Asks the server to pause. Messages on their way still arrive; then nothing arrives until
    /// [`resume`](Self::resume).
    pub fn pause(&mut self) -> Result<()> {
        self.say(|session, wishes| session.pause(wishes, true))
    }

    /// Asks the server to continue where it was paused.
    pub fn resume(&mut self) -> Result<()> {
        self.say(|session, wishes| session.pause(wishes, false))
    }

    /// Asks the server to seek. Messages that arrive before it does are dropped. Most servers go to a nearby key
    /// frame.
    pub fn seek(&mut self, time: Duration) -> Result<()> {
        self.say(|session, wishes| session.seek(wishes, milliseconds(time)))
    }

    fn say(&mut self, say: impl FnOnce(&mut Session, &mut dyn Application) -> Result<()>) -> Result<()> {
        self.server.say(say)
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.player.next_message();
        self.failed = next.as_ref().is_err_and(|error| !matches!(error, Error::TimedOut));
        next.transpose()
    }
}

impl io::Read for Player {
    /// Waits for the next bytes of the stream as an FLV file. Returns 0 at its end. Errors contain an [`Error`];
    /// after one of the kind `TimedOut`, reading may continue.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = mem::take(&mut self.bytes);
        let result = bytes.read(buffer, self);
        self.bytes = bytes;
        result.map_err(into_io)
    }
}

impl Source for Player {
    type Error = Error;

    fn next(&mut self) -> Result<Option<Message>> {
        self.next_message()
    }

    fn state(&self) -> State {
        self.server.lock().state()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.server.leave_at_once();
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.settings.host_name();
        f.debug_struct("Player").field("host", &host).field("over", &self.over).finish_non_exhaustive()
    }
}
