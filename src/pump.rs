//! The blocking pump: calls that receive until something for the program arrives.

use std::time::Instant;

use rtmp_core::{
    chunk::Chunk,
    error::{Error, Result},
    handshake,
    message::Message,
    session::{
        Application, Consequence, Event, Outcome, Phase as Owed, Received, Session, StreamStage, packet_log,
    },
    transport::{deadline::Deadline, wait::Patience},
};

use super::{
    connection::Wishes,
    event_loop::notices::event_of,
    log::Deferred,
    memory::Body,
    reason::Phase,
    rtmp::{close, connect},
    state::{Fact, Handle},
};

/// Keeps a peer that never stops sending from blocking a call forever.
///
/// A live stream may have no media for a long time, while its server sends pings, so the number of received bytes has no limit:
/// each wait is limited instead. A peer that never lets the socket run empty causes no wait. For such a peer, the time of one
/// wait limits the whole call, from the moment when the flood is noticed until the socket has run empty.
pub(crate) struct Reading<'h> {
    handle: &'h Handle,
    /// The number of receives since the socket was empty, as far as they count.
    receives: u32,
    flooded: bool,
}

/// The number of receives before a call checks whether there is more. Most messages have arrived by then.
const FREE_RECEIVES: u32 = 64;

impl<'h> Reading<'h> {
    /// A call begins.
    pub(crate) fn new(handle: &'h Handle) -> Self {
        Self { handle, receives: 0, flooded: false }
    }

    /// Receives once, as [`Handle::fill`].
    fn fill(&mut self, whole: bool) -> Result<()> {
        if self.receives < FREE_RECEIVES {
            self.receives += 1;
        } else if !self.handle.has_more() {
            self.receives = 0;
            self.calm();
        } else if self.flooded {
            self.handle.check()?;
        } else {
            self.handle.begin_phase();
            self.flooded = true;
        }
        self.handle.fill(whole)
    }

    fn calm(&mut self) {
        if self.flooded {
            self.handle.end_phase();
            self.flooded = false;
        }
    }

    /// Waits for the next media message, or for [`Outcome::Ended`] with the message that ended the stream. After a timeout the
    /// position to resume at is remembered.
    pub(crate) fn next_media(&mut self) -> Result<(Outcome, Message<Body>)> {
        let handle = self.handle;
        handle.note_reading();
        handle.step(|session, _| session.begin_receiving());
        loop {
            if !handle.is_open() {
                return Err(Error::Closed);
            }
            match handle.receive()? {
                Some(Event::Media(message)) => return Ok((Outcome::Media, message)),
                Some(Event::Ended(message)) => return Ok((Outcome::Ended, message)),
                Some(_) => {}
                None => self.fill(true).inspect_err(|error| {
                    handle.fail_receiving(error);
                    if matches!(error, Error::TimedOut) {
                        handle.step(|session, _| session.remember_pause());
                    }
                })?,
            }
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.calm();
    }
}

impl Handle {
    /// Begins a handshake. The values that `session` agrees on apply to every byte after it.
    pub(crate) fn begin_handshake(&self, session: Session<Body>) {
        self.step(|current, _| {
            let (state, is_starting) = (current.state, current.is_starting());
            *current = session;
            current.set_starting(is_starting);
            current.mark_ends(self.has(Fact::Carried));
            // A new connection starts with the default chunk size both ways.
            let fresh = current.state;
            current.state = state;
            current.state.in_chunk_size = fresh.in_chunk_size;
            current.state.out_chunk_size = fresh.out_chunk_size;
        });
    }

    /// Does the handshake. Returns whether the connection is encrypted, and the answer to a request for SWF verification. The
    /// last bytes of the handshake may still be in the queue.
    pub(crate) fn run_handshake(&self) -> Result<(bool, Option<handshake::Response>)> {
        loop {
            // The caller decides whether an error closes the connection.
            match self.receiving_step(take) {
                Ok(Some(Event::Handshaken { encrypted, swf_response })) => {
                    return Ok((encrypted, swf_response));
                }
                // A handshake has no other events.
                Ok(Some(_)) => {}
                Ok(None) => {
                    // Send the queue when there is nothing to do but wait. The peer cannot have answered yet.
                    self.flush()?;
                    self.patience().begin_wait();
                    self.fill(true)?;
                }
                Err(error) => {
                    // A peer that answers with invalid bytes still gets our answer.
                    self.flush()?;
                    return Err(error);
                }
            }
        }
    }

    /// Receives one chunk. A timeout leaves the connection open, and the next call continues where this one stopped; any other
    /// error closes the connection.
    pub(crate) fn receive_chunk(&self) -> Result<Chunk<Body>> {
        self.note_reading();
        let mut reading = Reading::new(self);
        self.step(|session, _| session.begin_receiving());
        loop {
            let received = self.receiving_step(|session, wishes, input| session.receive_chunk(wishes, input));
            let chunk = received.inspect_err(|_| self.give_up())?;
            self.answer()?;
            if let Some(chunk) = chunk {
                self.note_found();
                return Ok(chunk);
            }
            reading.fill(false).inspect_err(|error| self.fail_receiving(error))?;
        }
    }

    /// Waits until the stream plays or is being published, and answers the server's messages meanwhile.
    ///
    /// Between two answers to our commands, the server has the time of one wait, whatever else it sends meanwhile. Like any
    /// timeout, this one leaves the connection open, and the call may be repeated.
    pub(crate) fn connect_stream(&self) -> Result<()> {
        self.note_reading();
        match self.take_starting()? {
            Some(limit) => self.set_limit(limit),
            None => {
                self.progress_if_any(|progress| progress.failed = false);
                self.step(|session, _| {
                    session.begin_receiving();
                    session.set_starting(true);
                    session.state.media_chunk_stream = 0;
                });
                self.begin_phase();
            }
        }
        let result = self.wait_for_stream();
        if self.never_waits() && matches!(result, Err(Error::Again)) {
            let limit = self.limit();
            self.progress(|progress| progress.starting = Some(limit));
            return result;
        }
        self.end_phase();
        self.step(|session, _| session.set_starting(false));
        result
    }

    /// The deadline of the server's next answer, if a call that does not wait has begun to wait for the stream. Fails with the
    /// error that a step has stored.
    fn take_starting(&self) -> Result<Option<Deadline>> {
        if !self.never_waits() {
            return Ok(None);
        }
        let (limit, failure) =
            self.progress(|progress| (progress.starting.take(), progress.starting_failure.take()));
        failure.map_or(Ok(limit), |failure| Err(*failure))
    }

    fn wait_for_stream(&self) -> Result<()> {
        loop {
            let (playing, owed, answered) = self.step(|session, wishes| {
                let (profile, calls) = wishes.wishes();
                (session.state.playing, Owed::owed(&profile, calls), session.answered())
            });
            if playing {
                return Ok(());
            }
            let enter = || self.note_failed(Phase::Stream(owed));
            if !self.is_open() {
                enter();
                return Err(Error::Closed);
            }
            self.check().inspect_err(|_| enter())?;
            match self.receive_without_answers().inspect_err(|_| enter()) {
                Ok(None) => {
                    self.answer()?;
                    if self.restart_phase(answered) || self.step(|session, _| session.state.playing) {
                        continue;
                    }
                    self.fill(true).inspect_err(|error| {
                        self.fail_receiving(error);
                        enter();
                    })?;
                }
                Ok(Some(_)) => {
                    self.answer()?;
                    self.restart_phase(answered);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Publishes a further stream; returns its message stream once the server accepts it. A refusal or a timeout affects
    /// nothing else. In a session that does not wait, a later call continues it.
    pub(crate) fn open_stream(&self, name: &[u8]) -> Result<u32> {
        self.note_reading();
        let begun = self.core().opening.take().filter(|(begun, _)| begun == name);
        let key = match begun {
            Some((_, key)) => key,
            None => self.step(|session, wishes| session.open_stream(wishes, name))?,
        };
        self.begin_phase();
        let result = self.wait_for_further_stream(key);
        self.end_phase();
        match &result {
            Ok(_) => {}
            Err(Error::Again) => self.core().opening = Some((name.to_vec(), key)),
            Err(_) => self.step(|session, _| session.forget_stream(key)),
        }
        result
    }

    fn wait_for_further_stream(&self, key: i32) -> Result<u32> {
        self.answer()?;
        loop {
            match self.step(|session, _| session.stream_stage(key).cloned()) {
                Some(StreamStage::Open { stream_id }) => return Ok(stream_id),
                Some(StreamStage::Refused(refusal)) => return Err(Error::Refused(refusal)),
                Some(StreamStage::Opening) if self.is_open() => {}
                _ => return Err(Error::Closed),
            }
            self.check()?;
            if self.receive()?.is_none()
                && self.step(|session, _| session.stream_stage(key) == Some(&StreamStage::Opening))
            {
                self.fill(true).inspect_err(|error| self.fail_receiving(error))?;
            }
        }
    }

    /// Restarts the time of one wait if the server has answered something; returns whether it has.
    fn restart_phase(&self, answered: u32) -> bool {
        let has_answered = self.step(|session, _| session.answered()) != answered;
        if has_answered {
            self.begin_phase();
        }
        has_answered
    }

    /// Lets the session react to a message. After an error, such as a refusal by the server, the connection is closed.
    pub(crate) fn dispatch(&self, message: &Message<&[u8]>) -> Result<Outcome> {
        let (result, reconnect) = self.step(|session, wishes| {
            let result = session.dispatch(wishes, message, Instant::now());
            (result, session.take_reconnect())
        });
        let (outcome, consequence) = result?;
        if let Some(request) = reconnect {
            self.keep_reconnect(request);
        }
        self.tell()?;
        self.answer()?;
        match consequence {
            Consequence::None => {}
            Consequence::Closed => close::close(self, close::Manner::Polite),
            Consequence::Refused(refusal) => {
                close::close(self, close::Manner::Polite);
                return Err(Error::Refused(refusal));
            }
            Consequence::Login(token) => self.log_in(&token)?,
        }
        Ok(outcome)
    }

    /// Lets the session process received bytes, and sends its answers. An error has closed the connection.
    fn receive(&self) -> Result<Option<Event<Body>>> {
        let event = self.receive_without_answers()?;
        self.answer()?;
        Ok(event)
    }

    /// Lets the session process received bytes. An error has closed the connection, and so has the end of the stream.
    fn receive_without_answers(&self) -> Result<Option<Event<Body>>> {
        let received = self.receiving_step(take);
        if let Ok(Some(Event::Reconnect(request))) = &received {
            // Before the program is informed.
            self.keep_reconnect(request.clone());
        }
        self.tell()?;
        match received {
            Ok(Some(Event::Refused(refusal))) => {
                close::close(self, close::Manner::Polite);
                Err(Error::Refused(refusal))
            }
            Ok(Some(Event::Ended(message))) => {
                close::close(self, close::Manner::Polite);
                Ok(Some(Event::Ended(message)))
            }
            Ok(Some(Event::Login(token))) => self.log_in(&token).map(|()| None),
            // The peer requests the end of the connection.
            Err(Error::Closed) => {
                close::close(self, close::Manner::Polite);
                Err(Error::Closed)
            }
            received => received.inspect_err(|_| self.give_up()),
        }
    }

    /// Reports the peer's notices to the program. An error means that the program gives up.
    fn tell(&self) -> Result<()> {
        self.take_notices().iter().try_for_each(|notice| self.raise(&event_of(notice)))
    }

    /// Sends the session's answers to received messages, or leaves them to a thread that is sending. An error has closed the
    /// connection.
    pub(crate) fn answer(&self) -> Result<()> {
        let (first_chunk, wants_input) = {
            let core = self.core();
            if core.session.unsent().is_empty() {
                return Ok(());
            }
            (core.session.first_chunk_len(), core.session.wants_input())
        };
        let _deferred = Deferred::begin();
        let sent = if wants_input { self.try_flush() } else { self.flush() };
        self.forgive(sent).map_err(|error| self.fail_sending(error, first_chunk))
    }

    /// Sends an acknowledgement if one is due, and moves decrypted bytes of TLS into an empty buffer. An error has closed the
    /// connection.
    pub(crate) fn acknowledge_if_due(&self) -> Result<()> {
        self.receiving_step(|session, wishes, _| Ok((0, session.acknowledge_if_due(wishes)?)))?;
        self.answer()
    }

    /// Logs why a message could not be sent, with the length of its first chunk, and closes the connection.
    pub(crate) fn fail_sending(&self, error: Error, first_chunk: usize) -> Error {
        if matches!(error, Error::Again) {
            return error;
        }
        packet_log::log_failed_send(&error, first_chunk);
        self.note_failed(Phase::SENDING);
        self.prepare_reset();
        self.give_up();
        error
    }

    /// Closes a connection that nothing can be received from.
    pub(crate) fn fail_receiving(&self, error: &Error) {
        if matches!(error, Error::Again) {
            return;
        }
        // A wait that this side has ended is not reported.
        let is_news = self.is_open();
        packet_log::log_failed_receive(error);
        if !matches!(error, Error::TimedOut) {
            // A peer that has stopped sending may still read.
            close::close(self, close::Manner::Polite);
        }
        if is_news {
            ::log::error!("RTMP_ReadPacket, failed to read RTMP packet header: {error}");
        }
    }

    /// Closes a connection that has received invalid bytes.
    pub(crate) fn fail_decoding(&self, error: &Error) {
        ::log::error!("RTMP_ReadPacket, {error}");
        self.give_up();
    }

    /// Closes a connection on which nothing can be sent any more.
    pub(crate) fn give_up(&self) {
        close::close(self, close::Manner::Abrupt);
    }

    fn log_in(&self, token: &[u8]) -> Result<()> {
        connect::log_in(self, token).map_err(|failure| {
            let (error, phase) = failure.into_parts();
            if matches!(error, Error::Again) {
                return error;
            }
            if !matches!(error, Error::Reported(_)) {
                ::log::error!("Closing connection: {error}");
            }
            close::close(self, close::Manner::Polite);
            self.note_failed(phase);
            error
        })
    }
}

/// Lets the session process received bytes; a step.
fn take(
    session: &mut Session<Body>,
    wishes: &mut Wishes<'_>,
    input: &mut [u8],
) -> Result<(usize, Option<Event<Body>>)> {
    session.receive(wishes, input, Instant::now()).map(|Received { used, event }| (used, event))
}
