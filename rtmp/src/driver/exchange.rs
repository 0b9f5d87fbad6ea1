//! Handshakes, and chunks and messages in both directions.

use std::mem;

use log::{debug, error};

use super::{Connection, Parts, Phase, Reading};
use crate::{
    chunk::{self, Chunk, Chunks},
    error::{Error, Result},
    handshake::{self, Progress},
    message::{Body, Message},
    session::{Command, Profile, command, packet_log},
};

/// Runs the client's side of a handshake, within the time of one wait. Its outcome applies to every byte after it, received ones that are still
/// unread included.
pub fn handshake_as_client<C: Connection>(
    connection: &C,
    mut client: handshake::Client,
) -> Result<handshake::Outcome> {
    start_session(connection);
    in_one_phase(connection, || {
        connection.transmit_bytes(&[&client.start()])?;
        // A command comes next.
        run_handshake(connection, |input| client.advance(input), |last| connection.transmit_ahead(last))
    })
}

/// Runs the server's side of a handshake. Its outcome as in [`handshake_as_client`].
pub fn handshake_as_server<C: Connection>(
    connection: &C,
    mut server: handshake::Server,
) -> Result<handshake::Outcome> {
    start_session(connection);
    in_one_phase(connection, || {
        run_handshake(connection, |input| server.advance(input), |last| connection.transmit_bytes(&[&last]))
    })
}

/// All waits of `phase` together may last as long as one wait may: a peer that sends a byte now and then gains nothing.
pub(super) fn in_one_phase<C: Connection, T>(connection: &C, phase: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.begin_phase();
    let result = phase();
    connection.end_phase();
    result
}

/// A new connection starts with fresh chunk streams and the default chunk size both ways.
fn start_session<C: Connection>(connection: &C) {
    connection.step(|parts| {
        *parts.decoder = chunk::Decoder::new();
        *parts.encoder = chunk::Encoder::new();
        parts.state.in_chunk_size = chunk::DEFAULT_CHUNK_SIZE as i32;
        parts.state.out_chunk_size = chunk::DEFAULT_CHUNK_SIZE as i32;
    });
}

/// What is to be sent goes when there is nothing to be done but to wait, or when all is done; then `finish` sends it.
fn run_handshake<C: Connection>(
    connection: &C,
    mut advance: impl FnMut(&[u8]) -> Result<Progress>,
    finish: impl FnOnce(Vec<u8>) -> Result<()>,
) -> Result<handshake::Outcome> {
    let mut unsent = Vec::new();
    loop {
        let progress = connection.reading_step(|parts| {
            let progress = advance(parts.input)?;
            parts.consume(progress.consumed);
            Ok::<_, Error>(progress)
        });
        // A peer that answers with nonsense has earned an answer all the same.
        if progress.is_err() && !unsent.is_empty() {
            connection.transmit_bytes(&[&unsent])?;
        }
        let mut progress = progress?;
        let waits = progress.consumed == 0 && progress.output.is_empty();
        if unsent.is_empty() {
            unsent = mem::take(&mut progress.output);
        } else {
            unsent.append(&mut progress.output);
        }
        if let Some(outcome) = progress.outcome {
            if !unsent.is_empty() {
                finish(unsent)?;
            }
            return Ok(outcome);
        }
        if waits {
            if !unsent.is_empty() {
                connection.transmit_bytes(&[&unsent])?;
                unsent.clear();
            }
            connection.fill(true)?;
        }
    }
}

/// Receives one chunk. A time-out leaves the connection open, and the next call goes on where this one stopped; after
/// any other error the connection is closed.
pub fn receive_chunk<C: Connection>(connection: &C) -> Result<Chunk<C::Body>> {
    let mut reading = Reading::new(connection);
    receive_chunk_with(connection, || reading.fill(false))
}

fn receive_chunk_with<C: Connection>(
    connection: &C,
    fill: impl FnMut() -> Result<()>,
) -> Result<Chunk<C::Body>> {
    let dumps = connection.dumps();
    if dumps {
        packet_log::log_reading(connection.descriptor());
    }
    receive(connection, fill, |parts| {
        let decoded = parts.decoder.decode(parts.input, parts.chunk_size_in())?;
        parts.consume(decoded.consumed);
        if dumps && let Some(chunk) = &decoded.chunk {
            packet_log::log_chunk(chunk, parts.decoder);
        }
        if let Some(message) = decoded.chunk.as_ref().and_then(|chunk| chunk.message.as_ref()) {
            connection.arrived(message.chunk_stream, message.timestamp);
        }
        Ok(decoded.chunk)
    })
}

/// Receives chunks until a message is complete, within the time of the phase, if there is one. Time-outs and errors as in
/// [`receive_chunk`].
pub fn receive_message<C: Connection>(connection: &C) -> Result<Message<C::Body>> {
    receive_messages(connection, || connection.fill(true), |_, message| Some(message))
}

/// Receives with `fill` until `select`, which is part of the step that completes messages, takes one. Time-outs and errors
/// as in [`receive_chunk`].
pub(super) fn receive_messages<C: Connection, T>(
    connection: &C,
    mut fill: impl FnMut() -> Result<()>,
    mut select: impl FnMut(&mut Parts<'_, '_, C::Body>, Message<C::Body>) -> Option<T>,
) -> Result<T> {
    if connection.dumps() {
        loop {
            if let Some(message) = receive_chunk_with(connection, &mut fill)?.message
                && let Some(selected) = connection.step(|parts| select(parts, message))
            {
                return Ok(selected);
            }
        }
    }
    receive(connection, fill, |parts| {
        loop {
            let (consumed, message) = parts.decoder.decode_message(parts.input, parts.chunk_size_in())?;
            parts.consume(consumed);
            let Some(message) = message else { return Ok(None) };
            connection.arrived(message.chunk_stream, message.timestamp);
            if let Some(selected) = select(parts, message) {
                return Ok(Some(selected));
            }
        }
    })
}

/// Receives with `fill` until `decode` finds what it looks for in the input.
fn receive<C: Connection, T>(
    connection: &C,
    mut fill: impl FnMut() -> Result<()>,
    mut decode: impl FnMut(&mut Parts<'_, '_, C::Body>) -> Result<Option<T>>,
) -> Result<T> {
    loop {
        let (selected, acknowledgement) = connection
            .reading_step(|parts| {
                let selected = decode(parts)?;
                Ok::<_, Error>((selected, parts.state.acknowledgement_due()))
            })
            .inspect_err(|error| fail_decoding(connection, error))?;
        if let Some(acknowledgement) = acknowledgement {
            acknowledge(connection, &acknowledgement)?;
        }
        if let Some(selected) = selected {
            return Ok(selected);
        }
        fill().inspect_err(|error| fail_receiving(connection, error))?;
    }
}

/// What becomes of a connection on which something came that makes no sense.
pub fn fail_decoding<C: Connection>(connection: &C, error: &Error) {
    error!("RTMP_ReadPacket, {error}");
    connection.give_up();
}

/// What becomes of a connection that nothing comes on.
pub fn fail_receiving<C: Connection>(connection: &C, error: &Error) {
    // A wait that this side has ended is no news.
    let is_news = connection.is_open();
    packet_log::log_failed_receive(error);
    if !matches!(error, Error::TimedOut) {
        // A peer that will send no more may still read.
        connection.close();
    }
    if is_news {
        error!("RTMP_ReadPacket, failed to read RTMP packet header: {error}");
    }
}

/// Sends one of the session's messages; after an error the connection is closed.
pub fn send<C: Connection>(connection: &C, command: &Command) -> Result<()> {
    let result = connection.transmit(|parts| encode(connection, parts, command));
    close_on_error(connection, result, || connection.step(|parts| parts.first_chunk(command)))
}

/// Encodes one of the session's messages, and logs it.
pub fn encode<'m, C: Connection, B: AsRef<[u8]>>(
    connection: &C,
    parts: &mut Parts<'_, '_, C::Body>,
    command: &'m Command<B>,
) -> Result<Chunks<'m>> {
    packet_log::announce(command, &parts.profile);
    let chunks = parts.encode(command)?;
    packet_log::log_sent(connection.descriptor(), &command.message(), &chunks, &parts.profile);
    Ok(chunks)
}

/// Logs one of the session's messages that cannot be sent. Returns how many bytes its first chunk would have.
pub fn log_unsent_command(command: &Command, profile: &Profile<'_>, chunk_size: u32) -> usize {
    packet_log::announce(command, profile);
    packet_log::log_unsent(&command.message(), profile, chunk_size)
}

/// Sends an acknowledgement if one is due; an error has closed the connection.
pub fn acknowledge_if_due<C: Connection>(connection: &C) -> Result<()> {
    match connection.step(|parts| parts.state.acknowledgement_due()) {
        Some(acknowledgement) => acknowledge(connection, &acknowledgement),
        None => Ok(()),
    }
}

/// Sends an acknowledgement, or leaves it for later while another thread is sending: that thread may be waiting for a
/// peer that itself waits for us to read.
fn acknowledge<C: Connection>(connection: &C, acknowledgement: &Command<[u8; 4]>) -> Result<()> {
    match connection.try_transmit(|parts| encode(connection, parts, acknowledgement)) {
        Some(result) => close_unless_gone(connection, result, || {
            connection.step(|parts| parts.first_chunk(acknowledgement))
        }),
        None => {
            connection.step(|parts| parts.state.postpone_acknowledgement());
            Ok(())
        }
    }
}

/// Answers what the peer said, which the program knows nothing of. A peer that is gone may have sent more before it
/// went, so that is for those to find out who read to the end; after any other error the connection is closed.
pub(super) fn respond<'m, C: Connection>(
    connection: &C,
    commands: impl Iterator<Item = &'m Command> + Clone,
) -> Result<()> {
    let result = connection.transmit_commands(commands.clone());
    close_unless_gone(connection, result, || {
        let len = |command| connection.step(|parts| parts.first_chunk(command));
        commands.clone().next().map_or(0, len)
    })
}

fn close_unless_gone<C: Connection>(
    connection: &C,
    result: Result<()>,
    first_chunk: impl FnOnce() -> usize,
) -> Result<()> {
    match result {
        Err(error) if error.is_end_of_connection() => {
            debug!("the peer takes no answer any more: {error}");
            Ok(())
        }
        result => close_on_error(connection, result, first_chunk),
    }
}

fn close_on_error<C: Connection>(
    connection: &C,
    result: Result<()>,
    first_chunk: impl FnOnce() -> usize,
) -> Result<()> {
    result.inspect_err(|error| {
        packet_log::log_failed_send(error, first_chunk());
        connection.failed(Phase::Sending);
        connection.give_up();
    })
}

/// Ends the stream, if there is one: what a client says before it closes the connection.
pub fn close_politely<C: Connection>(connection: &C) {
    let goodbyes = connection.step(|parts| {
        let stream_id = mem::replace(&mut parts.state.stream_id, 0);
        if stream_id <= 0 {
            return Vec::new();
        }
        let mut goodbyes = Vec::with_capacity(2);
        if parts.profile.publish {
            goodbyes.push(command::fc_unpublish(parts.state, &parts.profile));
        }
        goodbyes.push(command::delete_stream(parts.state, stream_id));
        goodbyes
    });
    let publish = connection.step(|parts| parts.profile.publish);
    for goodbye in goodbyes {
        let result = if publish {
            connection.transmit(|parts| encode(connection, parts, &goodbye))
        } else {
            // Another thread that is sending is not worth a wait.
            connection.try_transmit(|parts| encode(connection, parts, &goodbye)).unwrap_or(Ok(()))
        };
        if let Err(error) = result {
            debug!("the peer is gone before the goodbye: {error}");
            return;
        }
    }
}

impl<B: Body> Parts<'_, '_, B> {
    /// One of the session's messages as chunks; remembers the command if it will have a result.
    pub fn encode<'m, C: AsRef<[u8]>>(&mut self, command: &'m Command<C>) -> Result<Chunks<'m>> {
        let chunks = self.encoder.encode(&command.message(), self.chunk_size_out())?;
        if let Some((name, transaction)) = command.remember {
            self.calls.remember(name.as_bytes(), transaction);
        }
        Ok(chunks)
    }

    /// How many bytes the first chunk of one of the session's messages has.
    fn first_chunk<C: AsRef<[u8]>>(&self, command: &Command<C>) -> usize {
        command.message().as_asked(self.chunk_size_out()).first_len()
    }

    /// The largest chunk payload from the peer; nonsense that a caller stored counts as the default.
    fn chunk_size_in(&self) -> u32 {
        chunk_size(self.state.in_chunk_size)
    }

    /// The largest chunk payload to the peer; nonsense that a caller stored counts as the default.
    pub fn chunk_size_out(&self) -> u32 {
        chunk_size(self.state.out_chunk_size)
    }
}

/// A chunk size that a caller stored; nonsense counts as the default.
pub fn chunk_size(stored: i32) -> u32 {
    u32::try_from(stored).ok().and_then(chunk::valid_chunk_size).unwrap_or(chunk::DEFAULT_CHUNK_SIZE)
}
