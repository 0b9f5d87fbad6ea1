//! Messages as the application sees them: starting a stream, and its media.

use std::cell::Cell;

use log::{debug, warn};

use super::{Connection, Phase, Reading, exchange};
use crate::{
    chunk::{self, Decoder, Ready},
    error::{Error, Result},
    message::{Body, Message, MessageType},
    session::{self, Action, Outcome, State, pausing},
};

/// Lets the session react to a message and does what it asks for. After an error, of which a refusal by the server is
/// one, the connection is closed.
pub fn dispatch<C: Connection>(
    connection: &C,
    chunk_stream: u32,
    kind: MessageType,
    timestamp: u32,
    body: &[u8],
) -> Result<Outcome> {
    let reaction =
        connection.step(|parts| session::react(&mut parts.context(), chunk_stream, kind, timestamp, body));
    perform(connection, reaction.actions)?;
    Ok(reaction.outcome)
}

/// Does what the session asks for.
fn perform<C: Connection>(connection: &C, actions: Vec<Action>) -> Result<()> {
    let mut actions = actions.into_iter();
    loop {
        // What is sent without anything in between goes together.
        let commands = actions.as_slice().iter().map_while(Action::command);
        let count = commands.clone().count();
        if count > 0 {
            exchange::respond(connection, commands)?;
        }
        let Some(action) = actions.nth(count) else { return Ok(()) };
        match action {
            // They were all sent.
            Action::Send(_) => {}
            Action::Abort(chunk_stream) => connection.step(|parts| parts.decoder.abort(chunk_stream)),
            Action::Close => connection.close(),
            Action::Refuse(refusal) => {
                connection.refused(&refusal);
                connection.close();
                return Err(Error::Refused(refusal));
            }
            Action::Authenticate(token) => {
                connection.reconnect(&token).inspect_err(|_| connection.close())?;
            }
        }
    }
}

/// Waits until the stream plays or is being published: answers what the server says until it says that.
///
/// Between two answers to what was asked the server has the time of one wait, whatever else it says meanwhile. Like any
/// time-out, this one leaves the connection open, and the call may be repeated.
pub fn connect_stream<C: Connection>(connection: &C) -> Result<()> {
    connection.step(|parts| parts.state.media_chunk_stream = 0);
    exchange::in_one_phase(connection, || {
        loop {
            let (playing, owed) = connection.step(|parts| (parts.state.playing, Phase::owed(parts)));
            if playing {
                return Ok(());
            }
            if !connection.is_open() {
                connection.failed(owed);
                return Err(Error::Closed);
            }
            let message = connection
                .check()
                .and_then(|()| exchange::receive_message(connection))
                .inspect_err(|_| connection.failed(owed))?;
            match message.kind {
                _ if message.body.as_ref().is_empty() => {}
                MessageType::AUDIO | MessageType::VIDEO | MessageType::DATA => {
                    warn!("Received FLV packet before play()! Ignoring.");
                }
                _ => answer(connection, &message).inspect_err(|error| {
                    // What else can fail is on its way to the server.
                    if matches!(error, Error::Refused(_)) {
                        connection.failed(owed);
                    }
                })?,
            }
        }
    })
}

/// As [`dispatch`], and an answer to what was asked begins another phase.
fn answer<C: Connection>(connection: &C, message: &Message<C::Body>) -> Result<()> {
    let Message { chunk_stream, kind, timestamp, .. } = *message;
    let body = message.body.as_ref();
    let (reaction, is_answer) = connection.step(|parts| {
        let asked = parts.calls.count();
        let reaction = session::react(&mut parts.context(), chunk_stream, kind, timestamp, body);
        (reaction, parts.calls.count() < asked)
    });
    if is_answer {
        // Logging in means to connect again, which has phases of its own.
        connection.end_phase();
    }
    let result = perform(connection, reaction.actions);
    if is_answer {
        connection.begin_phase();
    }
    result
}

/// Waits for the next media message, and tells [`Outcome::Ended`] with the message that ended the stream. On a
/// time-out the place to resume at is remembered.
pub fn next_media<C: Connection>(connection: &C) -> Result<(Outcome, Message<C::Body>)> {
    Reading::new(connection).next_media()
}

impl<C: Connection> Reading<'_, C> {
    /// As the function [`next_media`], for calls that may drop what comes.
    pub fn next_media(&mut self) -> Result<(Outcome, Message<C::Body>)> {
        let connection = self.connection;
        loop {
            if !connection.is_open() {
                return Err(Error::Closed);
            }
            let (message, outcome, actions, wanted) = exchange::receive_messages(
                connection,
                || self.fill(true),
                |parts, message| {
                    if message.body.as_ref().is_empty() {
                        return None;
                    }
                    let Message { chunk_stream, kind, timestamp, .. } = message;
                    if matches!(kind, MessageType::AUDIO | MessageType::VIDEO)
                        && parts.state.pausing == pausing::NO
                    {
                        parts.state.media_arrived(chunk_stream, timestamp);
                        parts.state.playing = true;
                        return Some((message, Outcome::Media, Vec::new(), Some(true)));
                    }
                    let body = message.body.as_ref();
                    let session::Reaction { outcome, actions } =
                        session::react(&mut parts.context(), chunk_stream, kind, timestamp, body);
                    // What is to be done first may change the answer.
                    let wanted = actions.is_empty().then(|| is_wanted(parts.state, outcome, kind, timestamp));
                    Some((message, outcome, actions, wanted))
                },
            )
            .inspect_err(|error| {
                if matches!(error, Error::TimedOut) {
                    remember_pause(connection);
                }
            })?;
            let wanted = match wanted {
                Some(wanted) => wanted,
                None => {
                    perform(connection, actions)?;
                    connection.step(|parts| is_wanted(parts.state, outcome, message.kind, message.timestamp))
                }
            };
            if wanted {
                return Ok((outcome, message));
            }
        }
    }
}

/// As [`next_media`], but only for audio and video of which all bytes are there, and nothing else has to be done. `accept`
/// copies the message, unless it returns `None`. Tells how much of `input` was used as well.
///
/// An acknowledgement may be due afterwards: see [`acknowledge_if_due`](super::acknowledge_if_due).
#[inline(always)]
pub fn ready_media<B: Body, T>(
    state: &mut State,
    decoder: &mut Decoder<B>,
    input: &[u8],
    accept: impl FnOnce(&Ready<'_>) -> Option<T>,
) -> Option<(usize, T)> {
    if state.pausing != pausing::NO {
        return None;
    }
    let ready = decoder.ready(input, exchange::chunk_size(state.in_chunk_size))?;
    if ready.is_empty() || !matches!(ready.kind, MessageType::AUDIO | MessageType::VIDEO) {
        return None;
    }
    let accepted = accept(&ready)?;
    decoder.take_ready(&ready);
    state.bytes_in = state.bytes_in.wrapping_add(ready.consumed as u32);
    state.media_arrived(ready.chunk_stream, ready.timestamp);
    state.playing = true;
    Some((ready.consumed, accepted))
}

/// What a look at the input comes to.
pub enum Arriving<B> {
    /// A message for the application.
    Media(Message<B>),
    /// More bytes are needed.
    Unfinished,
    /// The next message needs more care, of [`next_media`].
    Other,
}

/// As [`ready_media`], for messages of which more may have to come: what is there is used up, as the number tells.
/// `wanted` says yes to the body of a message, or leaves it to [`next_media`].
///
/// An error is for [`fail_decoding`](super::fail_decoding).
#[inline(always)]
pub fn arriving_media<B: Body>(
    state: &mut State,
    decoder: &mut Decoder<B>,
    input: &[u8],
    wanted: impl Fn(MessageType, &B) -> bool,
) -> Result<(usize, Arriving<B>)> {
    if state.pausing != pausing::NO {
        return Ok((0, Arriving::Other));
    }
    let refused = Cell::new(false);
    let chunk_size = exchange::chunk_size(state.in_chunk_size);
    let (consumed, message) = decoder.decode_message_if(input, chunk_size, |kind, body| {
        let media = matches!(kind, MessageType::AUDIO | MessageType::VIDEO) && !body.as_ref().is_empty();
        let wanted = media && wanted(kind, body);
        refused.set(!wanted);
        wanted
    })?;
    state.bytes_in = state.bytes_in.wrapping_add(consumed as u32);
    let arriving = match message {
        Some(message) => {
            state.media_arrived(message.chunk_stream, message.timestamp);
            state.playing = true;
            Arriving::Media(message)
        }
        None if refused.get() => Arriving::Other,
        None => Arriving::Unfinished,
    };
    Ok((consumed, arriving))
}

/// Whether `input` has something for a reader, so that a call which waits for it returns. In doubt it has. `begun` tells
/// whether something was read before.
pub fn is_worth_reading<B: Body>(state: &State, decoder: &Decoder<B>, begun: bool, input: &[u8]) -> bool {
    let Some(mut decoder) = decoder.scout() else { return true };
    let (mut input, mut size) = (input, state.in_chunk_size);
    loop {
        let Ok((consumed, message)) = decoder.decode_message(input, exchange::chunk_size(size)) else {
            return true;
        };
        let Some(message) = message else { return false };
        match (message.kind, message.body.first_chunk()) {
            (MessageType::ABORT, _) => return true,
            (MessageType::SET_CHUNK_SIZE, Some(bytes)) => {
                size = chunk::valid_chunk_size(u32::from_be_bytes(*bytes)).map_or(size, u32::cast_signed);
            }
            (kind, _) if session::gets_something(kind, message.timestamp, &message.body, begun) => {
                return true;
            }
            _ => {}
        }
        input = &input[consumed..];
    }
}

/// Whether the application gets a message.
fn is_wanted(state: &mut State, outcome: Outcome, kind: MessageType, timestamp: u32) -> bool {
    match outcome {
        Outcome::Handled => false,
        Outcome::Media if state.pausing == pausing::RESUMING && timestamp <= state.media_timestamp => {
            debug!("Skipped type: {:02X}, timestamp {timestamp} before the pause", kind.0);
            false
        }
        Outcome::Media => {
            if state.pausing == pausing::RESUMING {
                state.pausing = pausing::NO;
            }
            state.playing = true;
            true
        }
        Outcome::Ended => true,
    }
}

fn remember_pause<C: Connection>(connection: &C) {
    connection.step(|parts| {
        if parts.state.pausing == pausing::NO {
            parts.state.pause_timestamp = parts.media_clock();
        }
    });
}
