//! The client's side of an RTMP session: commands, their results, and stream control (RTMP 1.0, sections 5.4 and 7).
//!
//! Turns messages into actions and knows neither sockets nor chunks. The state of a session is [`State`], which belongs to the
//! caller: programs that use the C library read and write it between calls.
//!
//! ```
//! use rtmp::{message::MessageType, random, session::{self, Action, Context, Outcome, Profile, State, command}};
//!
//! let profile = Profile { app: b"live", tc_url: b"rtmp://localhost/live", stream_name: b"film", ..Profile::default() };
//! let mut state = State::default();
//! let mut calls = Vec::new();
//!
//! // The first command, for the chunk layer to send. The stored number identifies its result.
//! let connect = command::connect(&mut state, &profile, &[]);
//! assert_eq!(connect.remember, Some(("connect", 1)));
//!
//! // Then react to every message that arrives. Here the server asks whether the client is still there.
//! let ping = [0, 6, 0, 0, 0, 42];
//! let mut context = Context {
//!     state: &mut state,
//!     profile: &profile,
//!     calls: &mut calls,
//!     media_clock: 0,
//!     random: random::system,
//!     wants_notices: false,
//! };
//! let reaction = session::react(&mut context, MessageType::USER_CONTROL, 0, &ping);
//! let [Action::Send(pong)] = &reaction.actions[..] else { panic!("one answer") };
//! assert_eq!((reaction.outcome, &pong.body[..]), (Outcome::Handled, &[0, 7, 0, 0, 0, 42][..]));
//! ```

mod actions;
pub mod auth;
mod capabilities;
mod client;
pub mod command;
mod machine;
mod metadata;
mod notice;
pub mod packet_log;
mod phase;
mod queue;
mod reader;
pub mod ready;
mod reconnect;
mod reply;
mod secure_token;
mod serve;
mod streams;

#[cfg(test)]
mod tests;

pub use actions::Actions;
pub use capabilities::{Capabilities, MAX_CODECS, MAX_KEPT, Peer, ability, feature, video_function};
pub use client::event;
pub use client::react;
pub use machine::{Application, Consequence, Event, MAX_ANSWERS, Received, Session, chunk_size};
pub use notice::{Notice, Status};
pub use phase::Phase;
pub use reader::gets_something;
pub use reconnect::{History, MAX_RECONNECTS, PERIOD, Reconnect, application, stream_url};
pub use reply::status_words;
pub use serve::{Connect, Request, reconnect_request};
pub use streams::{MAX_STREAMS, StreamStage, further_chunk_stream};

use crate::{
    amf::ShortBytes,
    chunk::Outgoing,
    error::{Refusal, Result},
    handshake,
    message::MessageType,
};

/// The state of a session between two messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Largest payload of a chunk from the peer, in bytes.
    pub in_chunk_size: i32,
    /// Largest payload of a chunk to the peer, in bytes.
    pub out_chunk_size: i32,
    /// Bandwidth checks that were answered.
    pub bandwidth_checks: i32,
    /// Bytes received, modulo 2^32.
    pub bytes_in: u32,
    /// `bytes_in` at the last acknowledgement.
    pub acknowledged: u32,
    /// Length of the play buffer that is announced to the server, in milliseconds.
    pub buffer_ms: i32,
    /// The message stream of play or publish; negative if there is none.
    pub stream_id: i32,
    /// The chunk stream that media comes on; 0 before the first.
    pub media_chunk_stream: i32,
    /// Timestamp of the last media message.
    pub media_timestamp: u32,
    /// Timestamp at which the stream was paused.
    pub pause_timestamp: u32,
    /// The state of a pause, see [`pausing`].
    pub pausing: i32,
    /// The window acknowledgement size, in bytes.
    pub window_size: i32,
    /// The bandwidth limit that the peer set, in bytes.
    pub peer_bandwidth: i32,
    /// The kind of that limit (RTMP 1.0, section 5.4.5).
    pub peer_bandwidth_limit: u8,
    /// Whether a stream plays or is being published.
    pub playing: bool,
    /// Whether `connect` names the object encoding even when it is 0.
    pub sends_encoding: bool,
    /// Whether received bytes are acknowledged.
    pub acknowledges: bool,
    /// The last transaction id that was used.
    pub transactions: i32,
    /// Audio codecs that `connect` announces.
    pub audio_codecs: f64,
    /// Video codecs that `connect` announces.
    pub video_codecs: f64,
    /// AMF version that `connect` announces.
    pub object_encoding: f64,
    /// Duration of the stream in seconds; 0 while it is unknown.
    pub duration: f64,
    /// The contents of the stream, as the flags of an FLV header: 4 audio, 1 video.
    pub media_types: u8,
    /// Whether a seek waits for its notification.
    pub seeking: bool,
}

/// Values of [`State::pausing`].
pub mod pausing {
    /// The stream runs.
    pub const NO: i32 = 0;
    /// Pause was asked for.
    pub const ASKED: i32 = 1;
    /// The server confirmed the pause.
    pub const PAUSED: i32 = 2;
    /// The server was asked to continue; media older than the pause is dropped.
    pub const RESUMING: i32 = 3;
}

/// The application's settings for the connection. Strings are bytes: the protocol does not specify their encoding.
#[derive(Debug, Clone, Copy, Default)]
pub struct Profile<'a> {
    /// Publish instead of play.
    pub publish: bool,
    /// The stream is live.
    pub live: bool,
    /// Send set_playlist before play.
    pub playlist: bool,
    /// Pause when the server's buffer runs empty, and resume when it does so again.
    pub buffer_events: bool,
    /// Application name.
    pub app: &'a [u8],
    /// URL of the application.
    pub tc_url: &'a [u8],
    /// Version of the Flash Player that this end claims to be.
    pub flash_version: &'a [u8],
    /// URL of the SWF file that this end claims to run.
    pub swf_url: &'a [u8],
    /// URL of the page that the SWF file claims to be on.
    pub page_url: &'a [u8],
    /// Name of the stream.
    pub stream_name: &'a [u8],
    /// A string sent after the command object of `connect`, with `auth_flag` before it.
    pub auth: &'a [u8],
    /// See `auth`.
    pub auth_flag: bool,
    /// Stream to subscribe to; if empty, a live stream's own name.
    pub subscribe_name: &'a [u8],
    /// Token for `NetStream.Authenticate.UsherToken`.
    pub usher_token: &'a [u8],
    /// Key for SecureToken answers.
    pub secure_token: &'a [u8],
    /// User name for publishing, for servers that require a login.
    pub user: &'a [u8],
    /// Password of that user.
    pub password: &'a [u8],
    /// The answer to requests for SWF verification, if a SWF file is given.
    pub swf_verification: Option<&'a handshake::Response>,
    /// Where to start, in milliseconds.
    pub start_ms: i32,
    /// Where to stop, in milliseconds; 0 for the end.
    pub stop_ms: i32,
    /// Additional announcements in `connect`, if any.
    pub capabilities: Option<&'a Capabilities>,
    /// Deliver every data message, and audio and video without data.
    pub all_data: bool,
}

/// The limit of commands that wait for their results; one more replaces the oldest. Without it, a server that answers none of
/// them could use up the memory.
pub const MAX_CALLS: usize = 1024;

/// Commands that wait for their results. The C library keeps them in an array that its callers see.
pub trait Calls {
    /// Remembers a command that was sent.
    fn remember(&mut self, name: &[u8], transaction: i32);

    /// The name of the command with this transaction id.
    fn name_of(&self, transaction: i32) -> Option<&[u8]>;

    /// Forgets the command with this transaction id.
    fn end(&mut self, transaction: i32);

    /// Forgets the first command of this name.
    fn forget(&mut self, name: &[u8]);

    /// The number of commands that wait.
    fn count(&self) -> usize;

    /// The transaction id of the first command of this name that waits for its result.
    fn transaction_of(&self, name: &[u8]) -> Option<i32>;

    /// Whether a command of this name waits for its result.
    fn contains(&self, name: &[u8]) -> bool {
        self.transaction_of(name).is_some()
    }
}

impl Calls for Vec<(Vec<u8>, i32)> {
    fn remember(&mut self, name: &[u8], transaction: i32) {
        if self.len() >= MAX_CALLS {
            self.remove(0);
        }
        self.push((name.to_vec(), transaction));
    }

    fn name_of(&self, transaction: i32) -> Option<&[u8]> {
        self.iter().find(|call| call.1 == transaction).map(|call| &call.0[..])
    }

    fn end(&mut self, transaction: i32) {
        if let Some(index) = self.iter().position(|call| call.1 == transaction) {
            self.remove(index);
        }
    }

    fn forget(&mut self, name: &[u8]) {
        if let Some(index) = self.iter().position(|call| call.0 == name) {
            self.remove(index);
        }
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn transaction_of(&self, name: &[u8]) -> Option<i32> {
        self.iter().find(|call| call.0 == name).map(|call| call.1)
    }
}

/// A message that the session sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command<B = ShortBytes> {
    /// The chunk stream to send it on.
    pub chunk_stream: u32,
    /// The requested header format.
    pub format: u8,
    /// The kind of message.
    pub kind: MessageType,
    /// Milliseconds.
    pub timestamp: u32,
    /// The message stream it belongs to.
    pub stream_id: u32,
    /// Its bytes.
    pub body: B,
    /// Name and transaction id, if the result has to be recognised later.
    pub remember: Option<(&'static str, i32)>,
}

impl<B: AsRef<[u8]>> Command<B> {
    /// The message for the chunk layer.
    pub fn message(&self) -> Outgoing<'_> {
        Outgoing {
            chunk_stream: self.chunk_stream,
            format: self.format,
            kind: self.kind,
            timestamp: self.timestamp,
            stream_id: self.stream_id,
            body: self.body.as_ref(),
        }
    }
}

/// An action that a message requires. Actions are carried out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Send(Command),
    /// Forget the unfinished message of a chunk stream.
    Abort(u32),
    /// Close the connection.
    Close,
    /// Close the connection: the peer refuses the stream.
    Refuse(Refusal),
    /// Store the peer's announcement from the result of `connect`.
    Introduced(Peer),
    /// Inform the application that the server asks its client to connect again.
    Reconnect(Reconnect),
    /// Close the connection and connect again, with this appended to the application's name and to its URL.
    Authenticate(Vec<u8>),
}

impl Action {
    /// The message to be sent.
    pub fn command(&self) -> Option<&Command> {
        match self {
            Self::Send(command) => Some(command),
            _ => None,
        }
    }
}

/// The meaning of a message for the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It needs nothing from the application.
    Handled,
    /// It is audio, video, metadata or an aggregate of these, for the application.
    Media,
    /// It ended the stream.
    Ended,
}

/// The reaction of [`react`] to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// The meaning of the message for the application.
    pub outcome: Outcome,
    /// The necessary actions, in this order.
    pub actions: Actions,
    /// A notice for the application, if any.
    pub notice: Option<Notice>,
}

impl Reaction {
    fn new(outcome: Outcome) -> Self {
        Self { outcome, actions: Actions::default(), notice: None }
    }
}

/// The input of [`react`] besides the message.
pub struct Context<'a, 'p> {
    /// The state of the session.
    pub state: &'a mut State,
    /// The application's settings.
    pub profile: &'a Profile<'p>,
    /// Commands that wait for their results.
    pub calls: &'a mut dyn Calls,
    /// Timestamp of the last message on the chunk stream that media comes on.
    pub media_clock: u32,
    /// Fills a slice with random bytes.
    pub random: fn(&mut [u8]) -> Result<()>,
    /// Whether the application reads notices.
    pub wants_notices: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::NEW
    }
}

impl State {
    /// The state before there is a connection.
    pub const NEW: Self = Self {
        in_chunk_size: 128,
        out_chunk_size: 128,
        bandwidth_checks: 0,
        bytes_in: 0,
        acknowledged: 0,
        buffer_ms: 30_000,
        stream_id: 0,
        media_chunk_stream: 0,
        media_timestamp: 0,
        pause_timestamp: 0,
        pausing: pausing::NO,
        window_size: 2_500_000,
        peer_bandwidth: 2_500_000,
        peer_bandwidth_limit: 2,
        playing: false,
        sends_encoding: false,
        acknowledges: false,
        transactions: 0,
        audio_codecs: 3191.0,
        video_codecs: 252.0,
        object_encoding: 0.0,
        duration: 0.0,
        media_types: 0,
        seeking: false,
    };

    /// The transaction id of the next command.
    fn next_transaction(&mut self) -> i32 {
        self.transactions = self.transactions.wrapping_add(1);
        self.transactions
    }

    /// The acknowledgement that is due, if any: after a tenth of the peer's bandwidth limit, and early enough for the window
    /// acknowledgement size (RTMP 1.0, section 5.4.3).
    pub fn acknowledgement_due(&mut self) -> Option<Command<[u8; 4]>> {
        if !self.owes_acknowledgement() {
            return None;
        }
        self.acknowledged = self.bytes_in;
        Some(command::acknowledgement(self.bytes_in))
    }

    /// Whether an acknowledgement is due.
    pub fn owes_acknowledgement(&self) -> bool {
        self.acknowledges && self.bytes_in.wrapping_sub(self.acknowledged) > self.acknowledgement_threshold()
    }

    /// Updates the position of the stream from audio or video.
    pub fn media_arrived(&mut self, chunk_stream: u32, timestamp: u32) {
        if self.media_chunk_stream == 0 {
            self.media_chunk_stream = chunk_stream as i32;
        }
        if self.pausing == pausing::NO {
            self.media_timestamp = timestamp;
        }
    }

    /// Makes an acknowledgement that could not be sent due again with the next byte.
    pub fn postpone_acknowledgement(&mut self) {
        self.acknowledged = self.bytes_in.wrapping_sub(self.acknowledgement_threshold());
    }

    fn acknowledgement_threshold(&self) -> u32 {
        let window = if self.window_size > 0 { self.window_size } else { i32::MAX };
        (self.peer_bandwidth / 10).min(window / 2).max(0) as u32
    }
}
