//! A stream that is published.

use std::{
    fmt, io, mem,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
};

use super::{into_io, server::Server};
use crate::{
    chunk::{self, Outgoing},
    driver::{self, Connection, Parts},
    error::{Error, Result},
    flv,
    message::{Message, MessageType},
};

/// The chunk stream that media is sent on, as Flash Player does.
const MEDIA: u32 = 4;

/// The chunk stream of control messages (RTMP 1.0, section 5.4).
const CONTROL: u32 = 2;

/// A stream that is published: the bytes of an FLV file go in, or messages one by one.
///
/// Made by [`Client::publish`](crate::Client::publish). A thread of its own answers what the server asks meanwhile.
/// [`finish`](Self::finish) ends the stream; dropping does the same and ignores errors.
///
/// As FLV, through [`Write`](io::Write), cut anywhere. Messages leave as they become complete, without regard to their
/// timestamps: servers expect them at the pace of the clock.
///
/// ```no_run
/// let mut publisher = rtmp::Client::new("rtmp://localhost/live/stream")?.publish()?;
/// std::io::copy(&mut std::io::stdin(), &mut publisher)?;
/// publisher.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As messages, through [`send`](Self::send):
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
    server: Arc<Server>,
    listener: Option<Listener>,
    writer: flv::Writer<Vec<u8>>,
}

/// The thread that answers the server.
struct Listener {
    thread: JoinHandle<()>,
    /// Ends when the thread does.
    ended: Receiver<()>,
}

impl Publisher {
    pub(super) fn new(server: Server) -> Result<Self> {
        let server = Arc::new(server);
        if !server.settings().protocol.is_tunnelled() {
            server.wait_for_ever()?;
        }
        let (alive, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("rtmp-publisher".to_owned()).spawn({
            let server = server.clone();
            move || {
                let _alive = alive;
                listen(&server);
            }
        })?;
        let listener = Some(Listener { thread, ended });
        Ok(Self { server, listener, writer: flv::Writer::default() })
    }

    /// Sends one message. `timestamp` is in milliseconds, `body` that of an FLV tag. Metadata has the kind
    /// [`MessageType::DATA`] and begins with the string `@setDataFrame`, so that the server keeps it.
    ///
    /// If the server has ended the stream, the error says why; nothing can be sent after an error.
    pub fn send(&mut self, kind: MessageType, timestamp: u32, body: &[u8]) -> Result<()> {
        let format = if kind == MessageType::DATA || timestamp == 0 { 0 } else { 1 };
        let stream_id = self.server.stream_id();
        let message = Outgoing { chunk_stream: MEDIA, format, kind, timestamp, stream_id, body };
        self.transmit(&message, |_| {})
    }

    /// Changes the largest payload of a chunk, 128 bytes at first. More means less overhead, and longer waits for
    /// audio behind a large picture. Not 0.
    pub fn set_chunk_size(&mut self, bytes: u32) -> Result<()> {
        let size = chunk::valid_chunk_size(bytes).ok_or(Error::Invalid("a chunk size of 0"))?;
        let body = size.to_be_bytes();
        let message = Outgoing {
            chunk_stream: CONTROL,
            format: 0,
            kind: MessageType::SET_CHUNK_SIZE,
            timestamp: 0,
            stream_id: 0,
            body: &body,
        };
        self.transmit(&message, |parts| parts.state.out_chunk_size = size.cast_signed())
    }

    /// Ends the stream and waits until the server has closed the connection, so that nothing is lost on the way. A
    /// server that does not close it in time is left.
    pub fn finish(mut self) -> Result<()> {
        if !self.server.is_open() {
            return Err(self.server.verdict(Error::Closed));
        }
        self.end();
        Ok(())
    }

    /// Sends a message; `after` runs before another one can be sent.
    fn transmit(
        &mut self,
        message: &Outgoing<'_>,
        after: impl FnOnce(&mut Parts<'_, '_, Vec<u8>>),
    ) -> Result<()> {
        let server = &*self.server;
        if !server.is_open() {
            return Err(server.verdict(Error::Closed));
        }
        let result = server.transmit(|parts| {
            let chunks = parts.encoder.encode(message, parts.chunk_size_out())?;
            after(parts);
            Ok(chunks)
        });
        result.map_err(|error| {
            // Part of the message may have been sent.
            server.give_up();
            server.verdict(error)
        })
    }

    /// Takes FLV bytes, all of them.
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let mut writer = mem::take(&mut self.writer);
        let mut send = |tag: flv::Finished<&[u8]>| self.send(tag.kind, tag.timestamp, tag.body);
        let result = flv::write(&mut writer, bytes, &mut send);
        self.writer = writer;
        result.map(drop)
    }

    /// Says goodbye, and waits until the server has, too.
    fn end(&mut self) {
        let Some(Listener { thread, ended }) = self.listener.take() else { return };
        self.server.end_sending();
        // Nothing is ever sent here: it ends with the thread, or with the time.
        let _ = ended.recv_timeout(self.server.settings().timeout);
        self.server.give_up();
        // A thread that panicked has said so.
        let _ = thread.join();
    }
}

/// Answers the server until there is no connection any more.
fn listen(server: &Server) {
    while server.is_open() {
        match driver::receive_message(server) {
            Ok(message) if message.body.is_empty() => {}
            Ok(message) => {
                let Message { chunk_stream, kind, timestamp, body, .. } = message;
                if let Err(error) = driver::dispatch(server, chunk_stream, kind, timestamp, &body) {
                    log::debug!("the connection is over: {error}");
                }
            }
            Err(Error::TimedOut) => {}
            Err(error) => log::debug!("the server will not say any more: {error}"),
        }
    }
}

impl io::Write for Publisher {
    /// Sends every message that these bytes complete. Errors carry an [`Error`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(bytes).map_err(into_io)?;
        Ok(bytes.len())
    }

    /// Does nothing: what is complete has been sent.
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
        let host = self.server.settings().host_name();
        f.debug_struct("Publisher").field("host", &host).finish_non_exhaustive()
    }
}
