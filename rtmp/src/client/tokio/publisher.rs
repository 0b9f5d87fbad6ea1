//! Publishing: messages, or the bytes of an FLV file.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use ::tokio::{io::AsyncWrite, time::timeout_at};

use super::front::Front;
use crate::{
    client::{into_io, stepper::StepperEvent},
    error::{Error, Result},
    flv, media,
    message::MessageType,
    session::{Capabilities, Reconnect, StreamStage},
    stats::Stats,
};

/// A stream that is published.
///
/// Made by [`publish`](super::publish). The server is answered whether or not the program sends anything.
pub struct Publisher {
    front: Front,
    stream_id: u32,
    /// The further stream that a dropped future has requested.
    opening: Option<(String, i32)>,
    writer: flv::Writer<Vec<u8>>,
    /// Whether the goodbye was sent.
    is_leaving: bool,
}

impl Publisher {
    pub(super) fn new(front: Front) -> Self {
        let stream_id = {
            let mut inner = front.lock();
            inner.drops_events = true;
            inner.stepper.stream_id()
        };
        let (opening, writer) = (None, flv::Writer::default());
        Self { front, stream_id, opening, writer, is_leaving: false }
    }

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

    /// Publishes a further stream on this connection, and waits until the server lets it be published; see
    /// [`Publisher::open_stream`](crate::Publisher::open_stream). The result is for [`send_on`](Self::send_on).
    ///
    /// If the future is dropped, the next call with the same name continues.
    pub async fn open_stream(&mut self, name: &str) -> Result<u32> {
        let key = match self.opening.take().filter(|(begun, _)| begun == name) {
            Some((_, key)) => key,
            None => self.front.act(|inner| inner.stepper.open_stream(name))?,
        };
        self.opening = Some((name.to_owned(), key));
        let result = self.wait_for_stream(key).await;
        self.opening = None;
        if result.is_err() {
            self.front.lock().stepper.forget_stream(key);
        }
        result
    }

    async fn wait_for_stream(&self, key: i32) -> Result<u32> {
        let timeout = self.front.lock().stepper.timeout();
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let news = self.front.news();
            {
                let mut inner = self.front.lock();
                match inner.stepper.stream_stage(key) {
                    Some(StreamStage::Open { stream_id }) => return Ok(stream_id),
                    Some(StreamStage::Refused(refusal)) => return Err(Error::Refused(refusal)),
                    stage => {
                        inner.check_open()?;
                        stage.ok_or(Error::Closed)?;
                    }
                }
            }
            match until {
                Some(until) => timeout_at(until.into(), news).await.map_err(|_| Error::TimedOut)?,
                None => news.await,
            }
        }
    }

    /// Like [`send`](Self::send), but on a stream of [`open_stream`](Self::open_stream).
    pub async fn send_on(
        &mut self,
        stream_id: u32,
        kind: MessageType,
        timestamp: u32,
        body: &[u8],
    ) -> Result<()> {
        self.front.send(stream_id, kind, timestamp, body).await
    }

    /// Ends a stream of [`open_stream`](Self::open_stream). The other streams continue, and the name can be used again.
    pub fn close_stream(&mut self, stream_id: u32) -> Result<()> {
        self.front.act(|inner| inner.stepper.close_stream(stream_id))
    }

    /// The capabilities that the server has announced.
    pub fn peer(&self) -> Capabilities {
        self.front.lock().stepper.peer()
    }

    /// The server's last request to connect again, if there was one; see [`Client::follow`](crate::Client::follow).
    /// The stream continues.
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

impl AsyncWrite for Publisher {
    /// Sends every message that these bytes complete, as soon as the queue of this connection has room for it; takes at most 64
    /// KiB. Errors contain an [`Error`].
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { front, stream_id, writer, .. } = self.get_mut();
        let bytes = &bytes[..bytes.len().min(MOST_AT_ONCE)];
        let mut inner = front.lock();
        inner.check_open().map_err(into_io)?;
        if !inner.stepper.has_room_for(writer.bytes_read() + bytes.len()) {
            inner.wake_later(context);
            return Poll::Pending;
        }
        let result = flv::write(writer, bytes, &mut |tag: flv::Finished<&[u8]>| {
            inner.stepper.send_at_once(*stream_id, tag.kind, tag.timestamp, tag.body)
        });
        drop(inner);
        front.wake_task();
        result.map_err(into_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    /// Waits until the system has accepted all sent bytes.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.front.lock();
        inner.check_open().map_err(into_io)?;
        if inner.stepper.unsent() == 0 {
            return Poll::Ready(Ok(()));
        }
        inner.wake_later(context);
        Poll::Pending
    }

    /// As [`Publisher::finish`].
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let publisher = self.get_mut();
        if !publisher.is_leaving {
            publisher.front.lock().check_open().map_err(into_io)?;
            publisher.front.close();
            publisher.is_leaving = true;
        }
        loop {
            match ready!(publisher.front.poll_next(context)) {
                Ok(StepperEvent::Left) | Err(Error::NotConnected) => return Poll::Ready(Ok(())),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(into_io(error))),
            }
        }
    }
}

/// The limit of bytes that one call of `poll_write` takes: the messages that they complete may exceed the limit of the queue by
/// that much.
const MOST_AT_ONCE: usize = 64 << 10;

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("stream_id", &self.stream_id).finish_non_exhaustive()
    }
}
