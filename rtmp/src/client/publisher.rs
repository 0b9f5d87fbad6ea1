//! A stream that is published.

use std::{
    fmt, io, mem,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{blocking::Shared, connection::Happening, into_io, settings::Settings};
use crate::{
    chunk::Outgoing,
    error::{Error, Result},
    flv, media,
    message::MessageType,
    session::{self, Capabilities, Reconnect, StreamStage},
    stats::Stats,
};

/// The limit of a wait for an answer that the listener may receive.
const LISTENER_IS_FASTER: Duration = Duration::from_millis(20);

/// The chunk stream that media is sent on, as Flash Player does.
const MEDIA: u32 = 4;

/// A stream that is published, as messages or as the bytes of an FLV file.
///
/// Made by [`Client::publish`](crate::Client::publish). A thread of its own answers the server meanwhile.
/// [`finish`](Self::finish) ends the stream; dropping it does the same and ignores errors.
///
/// [`Write`](io::Write) accepts FLV, cut anywhere. Messages are sent as soon as they are complete, whatever their
/// timestamps: the program writes in real time, as servers expect.
///
/// ```no_run
/// let mut publisher = rtmp::Client::new("rtmp://localhost/live/stream")?.publish()?;
/// std::io::copy(&mut std::io::stdin(), &mut publisher)?;
/// publisher.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`send`](Self::send) sends messages:
///
/// ```no_run
/// use rtmp::message::MessageType;
///
/// let mut publisher = rtmp::Client::new("rtmp://localhost/live/stream")?.publish()?;
/// let mut metadata = rtmp::amf::Encoder::new();
/// metadata.string(b"@setDataFrame").string(b"onMetaData");
/// metadata.begin_ecma_array(1).named_number(b"framerate", 25.0).end_object();
/// publisher.send(MessageType::DATA, 0, &metadata.finish())?;
/// # let frame = [0x17, 1, 0, 0, 0];
/// publisher.send(MessageType::VIDEO, 40, &frame)?;
/// # Ok::<(), rtmp::Error>(())
/// ```
pub struct Publisher {
    server: Arc<Shared>,
    /// The thread that answers the server; it ends with the connection.
    listener: Option<JoinHandle<()>>,
    stream_id: u32,
    host: String,
    writer: flv::Writer<Vec<u8>>,
}

impl Publisher {
    pub(super) fn new(server: Arc<Shared>, settings: &Settings) -> Result<Self> {
        let stream_id = server.lock().state().stream_id as u32;
        let listener = thread::Builder::new().name("rtmp-publisher".to_owned()).spawn({
            let server = server.clone();
            move || listen(&server)
        })?;
        let (listener, host) = (Some(listener), settings.host_name());
        Ok(Self { server, listener, stream_id, host, writer: flv::Writer::default() })
    }

    /// Sends a message. `timestamp` is in milliseconds, and `body` is that of an FLV tag. Metadata has the type
    /// [`MessageType::DATA`] and starts with the string `@setDataFrame`, so that the server keeps it.
    ///
    /// If the server has ended the stream, the error contains the reason. Nothing can be sent after an error.
    pub fn send(&mut self, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        let format = if kind == MessageType::DATA || timestamp == 0 { 0 } else { 1 };
        let stream_id = self.stream_id;
        let message = Outgoing { chunk_stream: MEDIA, format, kind, timestamp, stream_id, body };
        self.end_on_error(self.server.send(&message))
    }

    /// Sends an audio or video message made of its parts. Fails with [`Error::Unsupported`], and sends nothing, if
    /// the server has not announced that it supports the message. The option `enhancedForce` sends it anyway.
    ///
    /// ```no_run
    /// use rtmp::media::{FourCc, Frame, Kind, Message, Packet, Track};
    ///
    /// let mut publisher = rtmp::Client::new("rtmp://localhost/live/stream")?.publish()?;
    /// # let (configuration, access_unit) = (b"", b"");
    /// let config = Track { frame: Some(Frame::Key), ..Track::new(FourCc::HEVC, Packet::Config, configuration) };
    /// let frame = Track { packet: Packet::Frames, body: access_unit, offset: 40, ..config };
    /// publisher.send_media(0, &Message::new(Kind::Video, &[config]))?;
    /// publisher.send_media(0, &Message::new(Kind::Video, &[frame]))?;
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn send_media(&mut self, timestamp: u32, message: &media::Message<'_>) -> Result<()> {
        let body = self.server.lock().encode_media(message)?;
        self.send(message.kind.message_type(), timestamp, &body)
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

    /// Publishes another stream on this connection, and waits until the server accepts it. Returns its message stream, for
    /// [`send_on`](Self::send_on). A connection can have eight streams, each with its own name.
    ///
    /// If the server refuses the stream, this fails with [`Error::Refused`], and the other streams continue. Some servers, such
    /// as nginx-rtmp, accept one stream per connection.
    ///
    /// ```no_run
    /// use rtmp::message::MessageType;
    ///
    /// let mut publisher = rtmp::Client::new("rtmp://localhost/live/camera")?.publish()?;
    /// let screen = publisher.open_stream("screen")?;
    /// # let (picture, window) = (b"", b"");
    /// publisher.send(MessageType::VIDEO, 40, picture)?;
    /// publisher.send_on(screen, MessageType::VIDEO, 40, window)?;
    /// # Ok::<(), rtmp::Error>(())
    /// ```
    pub fn open_stream(&mut self, name: &str) -> Result<u32> {
        let mut key = 0;
        self.server.say(|session, wishes| {
            key = session.open_stream(wishes, name.as_bytes())?;
            Ok(())
        })?;
        let result = self.wait_for_stream(key);
        if result.is_err() && self.server.check_open().is_ok() {
            self.server.say(|session, _| {
                session.forget_stream(key);
                Ok(())
            })?;
        }
        result
    }

    fn wait_for_stream(&self, key: i32) -> Result<u32> {
        let until = self.server.lock().timeout().and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.server.lock().stream_stage(key) {
                Some(StreamStage::Open { stream_id }) => return Ok(stream_id),
                Some(StreamStage::Refused(refusal)) => return Err(Error::Refused(refusal)),
                Some(StreamStage::Opening) => {}
                None => return Err(Error::Closed),
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(Error::TimedOut);
            }
            // The listener may receive it first, and then nothing arrives here.
            match self.server.next(Some(LISTENER_IS_FASTER)) {
                Ok(_) | Err(Error::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Like [`send`](Self::send), but on a stream of [`open_stream`](Self::open_stream).
    pub fn send_on(&mut self, stream_id: u32, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        if !self.server.lock().has_stream(stream_id) {
            return Err(Error::Invalid("there is no further stream of this number"));
        }
        let format = if kind == MessageType::DATA || timestamp == 0 { 0 } else { 1 };
        let chunk_stream = session::further_chunk_stream(stream_id);
        let message = Outgoing { chunk_stream, format, kind, timestamp, stream_id, body };
        self.end_on_error(self.server.send(&message))
    }

    /// Ends a stream of [`open_stream`](Self::open_stream). The other streams continue, and the name can be used again.
    pub fn close_stream(&mut self, stream_id: u32) -> Result<()> {
        self.server.say(|session, wishes| session.close_stream(wishes, stream_id))
    }

    /// The numbers of the connection, or its last ones after it has ended: bytes, messages, waits, and how long
    /// connecting took.
    pub fn stats(&self) -> Stats {
        self.server.lock().stats(Some(Instant::now()))
    }

    /// Sets the chunk size, which is 128 bytes at first. Larger chunks have less overhead, but audio waits longer
    /// behind a large frame. Not 0.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        self.end_on_error(self.server.set_chunk_size(bytes))
    }

    /// Ends the stream and waits until the server has closed the connection, so that nothing is lost. If the server
    /// does not close it in time, this side does.
    pub fn finish(mut self) -> Result<()> {
        self.server.check_open()?;
        self.end();
        Ok(())
    }

    /// A part of a message may have been sent before the error.
    fn end_on_error(&self, result: Result<()>) -> Result<()> {
        result.inspect_err(|error| {
            if !matches!(error, Error::TooLarge(_) | Error::Invalid(_)) {
                self.server.lock().end();
            }
        })
    }

    /// Processes FLV bytes, all of them.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut writer = mem::take(&mut self.writer);
        let mut send = |tag: flv::Finished<&[u8]>| self.send(tag.kind, tag.timestamp, tag.body);
        let result = flv::write(&mut writer, bytes, &mut send);
        self.writer = writer;
        result.map(drop)
    }

    /// Says goodbye, and waits until the server has done so, or its time has passed.
    fn end(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        self.server.lock().say_goodbye(Instant::now());
        // A thread that panicked has already reported it.
        let _ = listener.join();
        self.server.lock().end();
    }
}

/// Answers the server until the connection has ended.
fn listen(server: &Shared) {
    loop {
        match server.next(None) {
            Ok(Happening::Left) => return,
            Ok(_) | Err(Error::TimedOut) => {}
            Err(error) => {
                log::debug!("the server sends no more: {error}");
                return;
            }
        }
    }
}

impl io::Write for Publisher {
    /// Sends every message that these bytes complete. Errors contain an [`Error`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map_err(into_io)?;
        Ok(bytes.len())
    }

    /// Does nothing: complete messages have been sent.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        f.debug_struct("Publisher").field("host", host).finish_non_exhaustive()
    }
}
