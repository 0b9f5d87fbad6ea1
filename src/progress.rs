//! What a session that does not wait has begun and not finished: data for the calls that go on with it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    message::MessageType,
    net::Link,
    stats::Backlog,
    transport::deadline::Deadline,
};

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::event_loop::descriptor::Descriptor;
use super::{carrier::Carrier, pipe::Pipe, reason::Failure};

/// A connection that is being made, on either side.
pub(crate) struct Opening {
    pub(crate) what: What,
    pub(crate) stage: Stage,
    /// The chunk size that the program has set before the handshake, after which both sides begin with 128 bytes.
    pub(crate) chunk_size: Option<c_int>,
    /// What goes to the server in place of the library's `connect` command.
    pub(crate) first: Option<Result<FirstMessage>>,
    /// The header format with which it was sent.
    pub(crate) sent_format: Option<u8>,
    /// When the handshake has to be over.
    pub(crate) limit: Deadline,
    /// Whether the socket has turned out to belong to a session that is served already.
    pub(crate) has_joined: bool,
    /// Whether the program's socket had no time-out for receiving.
    pub(crate) waits_for_ever: bool,
}

/// The call that makes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `RTMP_Connect`, or a login that a server asks for.
    Connect,
    /// `RTMP_Connect0`.
    Reach,
    /// `RTMP_Connect1`.
    Begin,
    /// `RTMP_TLS_Accept`.
    AcceptTls,
    /// `RTMP_Serve`.
    Serve,
}

/// How far a connection has come.
pub(crate) enum Stage {
    /// On the way to the server or to its proxy.
    Reaching(Box<Link>),
    /// There is a socket.
    Connected,
    /// TLS and the tunnel are being opened.
    Securing(Arc<Carrier>),
    /// A server waits for the client's first byte.
    Listening,
    /// It is found out which session an HTTP connection belongs to.
    Admitting(Arc<Carrier>),
    /// The handshake comes next.
    Secured,
    Handshaking,
    /// What follows the handshake is sent.
    Greeting,
    Done,
}

/// A message of the program, to be sent when the handshake is over.
pub(crate) struct FirstMessage {
    pub(crate) chunk_stream: u32,
    pub(crate) format: u8,
    pub(crate) kind: MessageType,
    pub(crate) timestamp: u32,
    pub(crate) stream_id: u32,
    pub(crate) body: Vec<u8>,
}

/// A connection that the program has closed, whose goodbye is on its way.
pub(crate) struct Leaving {
    pub(crate) carrier: Arc<Carrier>,
    /// The socket. Closed with this.
    pub(crate) pipe: Pipe,
    pub(crate) queue: Vec<u8>,
    pub(crate) sent: usize,
    /// Whether the peer may take its time to read.
    pub(crate) publishes: bool,
    pub(crate) until: Instant,
}

/// Everything else that a session which does not wait remembers between calls.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) opening: Option<Box<Opening>>,
    /// Why a step could not make one, for the call that has begun it.
    pub(crate) opening_failure: Option<(What, Failure)>,
    /// Whether `RTMP_ConnectStream` waits for the stream, and until when for the next answer.
    pub(crate) starting: Option<Deadline>,
    /// Why a step gave up waiting for the stream of a connection that is still open, for `RTMP_ConnectStream`.
    pub(crate) starting_failure: Option<Error>,
    /// Whether `RTMP_ReconnectStream` has asked for that stream: its next call continues.
    pub(crate) reconnecting: bool,
    pub(crate) leaving: Vec<Leaving>,
    /// Since when a call that reads has found nothing.
    pub(crate) silent_since: Option<Instant>,
    /// Since when calls that read have found nothing for the program although the peer never stopped sending.
    pub(crate) flooded_since: Option<Instant>,
    /// How long bytes have been waiting for the peer to take some.
    pub(crate) backlog: Backlog,
    /// What is known of bytes for a call that reads.
    pub(crate) input: Input,
    /// Whether the last receive took everything that was on the socket. Holds until the next step, or the next call that would
    /// receive.
    pub(crate) drained: bool,
    /// Whether `RTMP_Step` has told of them, and no call has read since.
    pub(crate) told: bool,
    /// An error of receiving or sending that a step has met, for the call that it concerns.
    pub(crate) receive_error: Option<Error>,
    pub(crate) send_error: Option<Error>,
    /// Whether `RTMP_Close` was called and no step has said since that everything is closed.
    pub(crate) closing: bool,
    /// Whether a connection was lost since the program began one.
    pub(crate) failed: bool,
    /// When a stream that `RTMP_ToggleStream` has paused goes on.
    pub(crate) toggled: Option<Instant>,
    /// One descriptor for all that is waited for, if the program wants that.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) descriptor: Option<Descriptor>,
}

/// Whether a call that reads would find something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Input {
    /// A call has found nothing, and nothing has come since.
    #[default]
    None,
    /// The last call has found something, so there may be more.
    Maybe,
    /// There is something.
    Some,
}

impl Progress {
    /// The program uses the connection: it knows that there is one.
    pub(crate) fn use_connection(&mut self) {
        if !self.is_opening() {
            self.opening = None;
        }
    }

    /// Whether a connection is being made.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| !matches!(opening.stage, Stage::Done))
    }

    /// Forgets what belongs to a connection, when it ends or another begins.
    pub(crate) fn forget_connection(&mut self) {
        let before = std::mem::take(self);
        *self = Self {
            leaving: before.leaving,
            failed: before.failed,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            descriptor: before.descriptor,
            ..Self::default()
        };
    }

    /// When the wait of a call that reads is over.
    pub(crate) fn silence_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.silent_since?.checked_add(timeout?)
    }

    /// When the wait for the peer to take bytes is over.
    pub(crate) fn stall_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.backlog.stalled_since()?.checked_add(timeout?)
    }
}
