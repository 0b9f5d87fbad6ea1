//! Joins a session to a transport: the blocking calls that programs make.
//!
//! Protocol code runs in short steps that never block ([`Connection::step`]); between them the driver waits for bytes
//! or sends them. Nothing is borrowed across a wait, so another thread can send while one receives.
//!
//! Whoever has a session and a transport implements [`Connection`]. A player is then:
//!
//! ```
//! use rtmp::{Result, driver::{self, Connection}, handshake, random, session::{Outcome, command}};
//!
//! fn play<C: Connection>(connection: &C, mut show: impl FnMut(&[u8])) -> Result<()> {
//!     let client = handshake::Client::new(handshake::ClientOptions::default(), &mut random::system)?;
//!     driver::handshake_as_client(connection, client)?;
//!     let connect = connection.step(|parts| command::connect(parts.state, &parts.profile, &[]));
//!     driver::send(connection, &connect)?;
//!     driver::connect_stream(connection)?;
//!     while let (Outcome::Media, message) = driver::next_media(connection)? {
//!         show(message.body.as_ref());
//!     }
//!     Ok(())
//! }
//! ```

mod exchange;
mod phase;
mod play;
mod reading;

pub use exchange::{
    acknowledge_if_due, chunk_size, close_politely, encode, fail_decoding, fail_receiving,
    handshake_as_client, handshake_as_server, log_unsent_command, receive_chunk, receive_message, send,
};
pub use phase::Phase;
pub use play::{
    Arriving, arriving_media, connect_stream, dispatch, is_worth_reading, next_media, ready_media,
};
pub use reading::Reading;

pub use crate::session::packet_log::{
    log_failed_send, log_reading, log_receive_error, log_sent, log_sent_chunk, log_unsent,
};

use crate::{
    chunk::{Chunks, Decoder, Encoder},
    error::{Error, Refusal, Result},
    message::Body,
    random,
    session::{Calls, Command, Context, Profile, State},
};

/// What a step of protocol code works with.
pub struct Parts<'a, 'p, B> {
    /// What the session knows.
    pub state: &'a mut State,
    /// What the application wants.
    pub profile: Profile<'p>,
    /// Commands that wait for their results.
    pub calls: &'a mut dyn Calls,
    /// Puts received messages together.
    pub decoder: &'a mut Decoder<B>,
    /// Cuts messages to be sent.
    pub encoder: &'a mut Encoder,
    /// Bytes received and not used yet; empty unless the step reads.
    pub input: &'a [u8],
    /// How many bytes of `input` the step used.
    pub consumed: usize,
}

/// A session and its transport, wherever they are kept.
pub trait Connection {
    /// Where the bodies of received messages live.
    type Body: Body;

    /// Runs protocol code that does not block. Log records of the step are delivered after it.
    fn step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Self::Body>) -> R) -> R;

    /// As `step`, with the bytes received so far; only for the thread that reads.
    fn reading_step<R>(&self, step: impl FnOnce(&mut Parts<'_, '_, Self::Body>) -> R) -> R;

    /// Waits until at least one more byte is there to be read. `whole` tells that nobody looks at the chunks of a
    /// message one by one.
    fn fill(&self, whole: bool) -> Result<()>;

    /// Encodes a message in a step and sends it; no other message gets between the two.
    fn transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Self::Body>) -> Result<Chunks<'m>>,
    ) -> Result<()>;

    /// As `transmit`, unless another thread is sending: then nothing happens, and the result is `None`.
    fn try_transmit<'m>(
        &self,
        encode: impl FnOnce(&mut Parts<'_, '_, Self::Body>) -> Result<Chunks<'m>>,
    ) -> Option<Result<()>> {
        Some(self.transmit(encode))
    }

    /// Encodes messages and sends them, one after the other.
    fn transmit_commands<'m>(&self, commands: impl Iterator<Item = &'m Command>) -> Result<()>
    where
        Self: Sized,
    {
        for command in commands {
            self.transmit(|parts| encode(self, parts, command))?;
        }
        Ok(())
    }

    /// Sends bytes that were not encoded here, piece by piece.
    fn transmit_bytes(&self, pieces: &[&[u8]]) -> Result<()>;

    /// Sends bytes that were not encoded here, at the latest together with what is sent next.
    fn transmit_ahead(&self, bytes: Vec<u8>) -> Result<()> {
        self.transmit_bytes(&[&bytes])
    }

    /// From now on all waits together may last no longer than one of them may, until [`end_phase`](Self::end_phase).
    fn begin_phase(&self) {}

    /// From now on each wait may last as long as one may.
    fn end_phase(&self) {}

    /// Fails if a wait would fail at once, because the phase is over or somebody wants to stop. For those who go on as
    /// long as something comes.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether the peer has sent more than was received, so that receiving would not wait.
    fn has_more(&self) -> bool {
        false
    }

    /// Whether there is a connection.
    fn is_open(&self) -> bool;

    /// Whether the log shows the bytes of chunks. What decodes several at once is not used then.
    fn dumps(&self) -> bool {
        log::log_enabled!(log::Level::Trace)
    }

    /// The socket's number in the log.
    fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Says goodbye, closes the connection and forgets what belongs to it.
    fn close(&self);

    /// Closes the connection, on which nothing can be sent any more.
    fn give_up(&self);

    /// Closes the connection and connects again, up to and including the `connect` command, with `token` appended to
    /// the application's name and to its URL. Logs why if that fails.
    fn reconnect(&self, _token: &[u8]) -> Result<()> {
        Err(Error::Unsupported("publisher authentication"))
    }

    /// Called when the peer will not let the stream run, before the connection is closed.
    fn refused(&self, _refusal: &Refusal) {}

    /// Called when something failed, with what it was that failed.
    fn failed(&self, _phase: Phase) {}

    /// Called for each message that arrived, with its timestamp.
    fn arrived(&self, _chunk_stream: u32, _timestamp: u32) {}
}

impl<'p, B: Body> Parts<'_, 'p, B> {
    /// Uses up received bytes.
    fn consume(&mut self, count: usize) {
        self.consumed += count;
        self.input = &self.input[count..];
        self.state.bytes_in = self.state.bytes_in.wrapping_add(count as u32);
    }

    /// Timestamp of the last message on the chunk stream that media comes on.
    pub fn media_clock(&self) -> u32 {
        self.decoder.clock(self.state.media_chunk_stream as u32)
    }

    /// What the session needs to react to a message.
    fn context(&mut self) -> Context<'_, 'p> {
        let media_clock = self.media_clock();
        Context {
            state: self.state,
            profile: &self.profile,
            calls: self.calls,
            media_clock,
            random: random::system,
        }
    }
}

#[cfg(test)]
mod tests;
