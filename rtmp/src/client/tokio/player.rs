//! Playing: messages, or the bytes of an FLV file.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use ::tokio::{
    io::{AsyncRead, ReadBuf},
    time::{Sleep, sleep_until},
};

use super::front::Front;
use crate::{
    client::{
        Event,
        flv_bytes::{FlvBytes, Source},
        into_io,
        settings::Settings,
        stepper::StepperEvent,
    },
    error::{Error, Result},
    message::Message,
    session::{Capabilities, Notice, Reconnect, State},
    stats::Stats,
};

/// A stream that plays.
///
/// Made by [`play`](super::play).
pub struct Player {
    front: Front,
    patience: Duration,
    /// The server has ended the stream.
    over: bool,
    bytes: FlvBytes,
    /// The state of a read that has found nothing: the number of received bytes at its beginning, and its deadline.
    silence: Option<(u64, Pin<Box<Sleep>>)>,
}

/// The source of messages for reading.
struct Messages<'a, 'c> {
    player: &'a mut Player,
    context: &'a mut Context<'c>,
}

impl Player {
    pub(super) fn new(front: Front, settings: &Settings) -> Self {
        let bytes = FlvBytes::new(settings);
        Self { front, patience: settings.timeout(), over: false, bytes, silence: None }
    }

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

impl Player {
    /// As [`Self::next_message`].
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Message>>> {
        while !self.over {
            let event = match self.front.poll_next(context) {
                Poll::Ready(event) => event,
                Poll::Pending => {
                    ready!(self.poll_silence(context));
                    return Poll::Ready(Err(Error::TimedOut));
                }
            };
            self.silence = None;
            match event? {
                StepperEvent::Message(message) => return Poll::Ready(Ok(Some(message))),
                StepperEvent::Ended => self.over = true,
                StepperEvent::Left => return Poll::Ready(Err(Error::Closed)),
                _ => {}
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Whether nothing has been received for the time of one wait.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let received = self.front.lock().stepper.received();
            let known = self.silence.take().filter(|(before, _)| *before == received);
            let (_, timer) = self.silence.insert(known.unwrap_or_else(|| {
                let now = Instant::now();
                let until = now.checked_add(self.patience).unwrap_or(now + A_LONG_TIME);
                (received, Box::pin(sleep_until(until.into())))
            }));
            ready!(timer.as_mut().poll(context));
            // Bytes may have arrived that did not complete a message.
            if self.front.lock().stepper.received() == received {
                self.silence = None;
                return Poll::Ready(());
            }
        }
    }
}

impl Source for Messages<'_, '_> {
    type Error = Option<Error>;

    fn next(&mut self) -> Result<Option<Message>, Self::Error> {
        match self.player.poll_message(self.context) {
            Poll::Ready(result) => result.map_err(Some),
            Poll::Pending => Err(None),
        }
    }

    fn state(&self) -> State {
        self.player.front.lock().stepper.state()
    }
}

impl AsyncRead for Player {
    /// Reads the stream as an FLV file; nothing at its end. Errors contain an [`Error`]; after one of the kind `TimedOut`,
    /// reading may continue.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let player = self.get_mut();
        let mut bytes = std::mem::take(&mut player.bytes);
        let result = bytes.read(buffer.initialize_unfilled(), &mut Messages { player, context });
        player.bytes = bytes;
        match result {
            Ok(count) => {
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
            Err(Some(error)) => Poll::Ready(Err(into_io(error))),
            Err(None) => Poll::Pending,
        }
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("over", &self.over).finish_non_exhaustive()
    }
}

/// Replaces a time that the clock cannot represent.
const A_LONG_TIME: Duration = Duration::from_secs(365 * 24 * 3600);
