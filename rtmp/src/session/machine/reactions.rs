//! Reactions to the messages of the peer.

use std::time::Instant;

use log::{debug, warn};

use super::{Application, Consequence, Event, Reacted, Session, Side, Stage};
use crate::{
    error::{Error, Result},
    message::{Body, Message, MessageType},
    random,
    session::{
        self, Action, Context, Outcome, Peer, Reaction, pausing, reply,
        serve::{self, Request},
    },
};

impl<B: Body> Session<B> {
    pub(super) fn react(
        &mut self,
        application: &mut dyn Application,
        message: Message<Content<'_, B>>,
        now: Instant,
    ) -> Result<Reacted<B>> {
        let Message { chunk_stream, format, kind, timestamp, stream_id, .. } = message;
        let borrowed =
            Message { chunk_stream, format, kind, timestamp, stream_id, body: message.body.as_ref() };
        let is_media = matches!(kind, MessageType::AUDIO | MessageType::VIDEO);
        if borrowed.body.is_empty() && !(is_media && application.wishes().0.all_data) {
            return Ok(Reacted::Done);
        }
        if self.is_starting && matches!(kind, MessageType::AUDIO | MessageType::VIDEO | MessageType::DATA) {
            warn!("Received FLV packet before play()! Ignoring.");
            return Ok(Reacted::Done);
        }
        if let Side::Server(requests) = &mut self.side {
            match requests.receive(&mut self.state, &borrowed)? {
                serve::Reaction::Event(event) => {
                    return Ok(Reacted::Event(match event {
                        serve::Said::Request(request) => {
                            if let Request::Connect(connect) = &request {
                                self.peer = Some(Peer::from_command(&connect.body));
                            }
                            self.deadline = None;
                            Event::Request(request)
                        }
                        serve::Said::StreamClosed(stream_id) => Event::StreamClosed { stream_id },
                        serve::Said::Media => Event::Media(own(message)?),
                    }));
                }
                serve::Reaction::Answer(commands) => {
                    commands.iter().try_for_each(|command| self.reply(application, command))?;
                    return Ok(Reacted::Done);
                }
                serve::Reaction::Nothing => return Ok(Reacted::Done),
                serve::Reaction::Control => {}
            }
        } else if matches!(kind, MessageType::AUDIO | MessageType::VIDEO | MessageType::AGGREGATE) {
            let is_whole = kind != MessageType::AGGREGATE;
            if is_whole {
                self.state.media_arrived(chunk_stream, timestamp);
            }
            if self.precedes_pause(kind, timestamp) {
                return Ok(Reacted::Done);
            }
            if is_whole {
                return self.media(message);
            }
        }
        let (outcome, consequence) = self.dispatch(application, &borrowed, now)?;
        Ok(match (outcome, consequence) {
            (_, Consequence::Refused(refusal)) => Reacted::Event(Event::Refused(refusal)),
            (_, Consequence::Login(token)) => Reacted::Event(Event::Login(token)),
            (Outcome::Ended, _) => Reacted::Event(Event::Ended(own(message)?)),
            // The peer requests the end of the connection without a reason.
            (_, Consequence::Closed) => return Err(Error::Closed),
            (Outcome::Media, Consequence::None)
                if self.is_starting || self.precedes_pause(kind, timestamp) =>
            {
                Reacted::Done
            }
            (Outcome::Media, Consequence::None) => self.media(message)?,
            (Outcome::Handled, Consequence::None) if self.begins_to_stream() => {
                Reacted::Event(Event::Streaming)
            }
            (Outcome::Handled, Consequence::None) => match self.take_reconnect() {
                Some(request) => Reacted::Event(Event::Reconnect(request)),
                None => Reacted::Done,
            },
        })
    }

    /// Reacts to a complete message as a client, and queues the answers.
    pub fn dispatch(
        &mut self,
        application: &mut dyn Application,
        message: &Message<&[u8]>,
        now: Instant,
    ) -> Result<(Outcome, Consequence)> {
        let Message { chunk_stream, kind, timestamp, body, .. } = *message;
        if !self.further.is_empty() {
            if let Some(answered) = self.further.receive(&mut self.state, message) {
                for command in &answered.commands {
                    self.reply(application, command)?;
                }
                if application.wants_notices() {
                    if let Some(notice) = reply::notice(body_of_command(message)) {
                        application.notified(notice.placed(message));
                    }
                }
                return Ok((Outcome::Handled, Consequence::None));
            }
        }
        if matches!(kind, MessageType::AUDIO | MessageType::VIDEO) {
            self.state.media_arrived(chunk_stream, timestamp);
            return Ok((Outcome::Media, Consequence::None));
        }
        let media_clock = self.media_clock();
        let wants_notices = application.wants_notices();
        let (profile, calls) = application.wishes();
        let is_awaited = self.is_starting || self.deadline.is_some();
        let needed = is_awaited.then(|| reply::count_essential(calls));
        let connects = self.counters.connected.is_none() && calls.contains(b"connect");
        let Reaction { outcome, actions, notice } = session::react(
            &mut Context {
                state: &mut self.state,
                profile: &profile,
                calls: &mut *calls,
                media_clock,
                random: random::system,
                wants_notices,
            },
            kind,
            timestamp,
            body,
        );
        if connects && !calls.contains(b"connect") {
            self.counters.connected = Some(now);
        }
        if self.state.playing && self.counters.connected.is_some() {
            self.counters.streaming.get_or_insert(now);
        }
        if needed.is_some_and(|needed| reply::count_essential(calls) < needed) {
            // An answer that the stream needs begins another phase. If any other answer extended the deadline, it might never end.
            self.answered = self.answered.wrapping_add(1);
            if self.deadline.is_some() {
                self.begin_phase(now);
            }
        }
        if let Some(notice) = notice {
            application.notified(notice.placed(message));
        }
        let mut consequence = Consequence::None;
        for action in actions {
            match action {
                Action::Send(command) => self.reply(application, &command)?,
                Action::Introduced(peer) => self.peer = Some(peer),
                Action::Reconnect(request) => self.reconnect = Some(Box::new(request)),
                Action::Abort(chunk_stream) => self.decoder.abort(chunk_stream),
                Action::Close => {
                    self.close(application);
                    consequence = Consequence::Closed;
                }
                Action::Refuse(refusal) => {
                    self.close(application);
                    return Ok((outcome, Consequence::Refused(refusal)));
                }
                Action::Authenticate(token) => {
                    self.stage = Stage::Closing;
                    self.deadline = None;
                    return Ok((outcome, Consequence::Login(token)));
                }
            }
        }
        Ok((outcome, consequence))
    }

    /// Whether the stream that the application waits for now runs.
    fn begins_to_stream(&mut self) -> bool {
        let begins = self.is_starting && self.state.playing;
        if begins {
            self.is_starting = false;
            self.deadline = None;
        }
        begins
    }

    fn media(&mut self, message: Message<Content<'_, B>>) -> Result<Reacted<B>> {
        let message = own(message)?;
        self.state.playing = true;
        Ok(Reacted::Event(Event::Media(message)))
    }

    /// Whether media is older than a pause that has ended. The first media that is not older ends this state.
    fn precedes_pause(&mut self, kind: MessageType, timestamp: u32) -> bool {
        if self.state.pausing != pausing::RESUMING {
            return false;
        }
        let precedes = timestamp <= self.state.media_timestamp.max(self.newest.unwrap_or(0));
        if precedes {
            debug!("Skipped type: {:02X}, timestamp {timestamp} before the pause", kind.0);
        } else {
            self.state.pausing = pausing::NO;
            self.newest = Some(timestamp);
        }
        precedes
    }
}

/// The body of a received message.
pub(super) enum Content<'i, B> {
    Own(B),
    /// Bytes of the input.
    Here(&'i [u8]),
}

impl<B: Body> AsRef<[u8]> for Content<'_, B> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Own(body) => body.as_ref(),
            Self::Here(bytes) => bytes,
        }
    }
}

/// The message for the application.
fn own<B: Body>(message: Message<Content<'_, B>>) -> Result<Message<B>> {
    let Message { chunk_stream, format, kind, timestamp, stream_id, body } = message;
    let body = match body {
        Content::Own(body) => body,
        Content::Here(bytes) => {
            let mut body = B::default();
            body.reserve_total(bytes.len())?;
            body.append(bytes);
            body
        }
    };
    Ok(Message { chunk_stream, format, kind, timestamp, stream_id, body })
}

/// The AMF0 values of a command.
fn body_of_command<'m>(message: &Message<&'m [u8]>) -> &'m [u8] {
    match message.kind {
        MessageType::COMMAND_AMF3 => message.body.get(1..).unwrap_or_default(),
        _ => message.body,
    }
}
