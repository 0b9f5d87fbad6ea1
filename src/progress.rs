//! The unfinished work of a session that does not wait: data for the calls that continue it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    message::Message,
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
    /// The chunk size that the program has set before the handshake; both sides begin with 128 bytes after it.
    pub(crate) chunk_size: Option<c_int>,
    /// The message that replaces the library's `connect` command.
    pub(crate) first: Option<Result<Message>>,
    /// The header format with which it was sent.
    pub(crate) sent_format: Option<u8>,
    /// The deadline of the handshake.
    pub(crate) limit: Deadline,
    /// Whether the socket belongs to a session that is already served.
    pub(crate) has_joined: bool,
    /// Whether the program's socket had no timeout for receiving.
    pub(crate) waits_for_ever: bool,
}

/// The call that makes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `RTMP_Connect`, or a login that a server requests.
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

/// The stage of a connection.
#[allow(clippy::large_enum_variant, reason = "one connection at a time is being made")]
pub(crate) enum Stage {
    /// Connecting to the server or to its proxy.
    Reaching(Link),
    /// The socket exists.
    Connected,
    /// TLS and the tunnel are being opened.
    Securing(Arc<Carrier>),
    /// A server waits for the client's first byte.
    Listening,
    /// Reads the HTTP requests that determine the session of a connection.
    Admitting(Arc<Carrier>),
    /// The handshake comes next.
    Secured,
    Handshaking,
    /// The messages after the handshake are being sent.
    Greeting,
    Done,
}

/// A connection that the program has closed, whose goodbye is not finished.
pub(crate) struct Leaving {
    pub(crate) carrier: Arc<Carrier>,
    /// The socket, which is closed when this is dropped.
    pub(crate) pipe: Pipe,
    pub(crate) queue: Vec<u8>,
    pub(crate) sent: usize,
    /// Whether the peer may read slowly.
    pub(crate) publishes: bool,
    pub(crate) until: Instant,
}

/// The other state that a session which does not wait keeps between calls. With thousands of sessions, each message costs as many
/// cache misses as it touches lines here: what is rare is in boxes, and the fields are in memory as they are here, so that the
/// first line has what each message needs.
#[derive(Default)]
#[repr(C, align(64))]
pub(crate) struct Progress {
    /// Whether the calls have begun nothing that a step continues, and nothing has to be reported, as
    /// [`Handle::progress`](super::state::Handle::progress) has found.
    pub(crate) quiet: bool,
    /// Whether there are bytes for a call that reads.
    pub(crate) input: Input,
    /// Whether the last receive took everything that was on the socket. Holds until the next step, or the next call that would
    /// receive.
    pub(crate) drained: bool,
    /// Whether a call has ended because of that without asking the system. Holds until the system has nothing, or a call finds
    /// something for the program.
    pub(crate) assumed_empty: bool,
    /// Whether `RTMP_Step` has reported bytes for a call that reads, and no call has read since.
    pub(crate) told: bool,
    /// Whether `RTMP_Close` was called, and no step since has reported that everything is closed.
    pub(crate) closing: bool,
    /// Whether a connection was lost since the program began one.
    pub(crate) failed: bool,
    /// Whether `RTMP_ReconnectStream` has asked for that stream: its next call continues.
    pub(crate) reconnecting: bool,
    /// The time since which reading calls have found nothing.
    pub(crate) silent_since: Option<Instant>,
    /// The time since which reading calls have found nothing for the program although the peer never stopped sending.
    pub(crate) flooded_since: Option<Instant>,
    pub(crate) opening: Option<Box<Opening>>,
    /// Why a step could not make a connection, for the call that has begun it.
    pub(crate) opening_failure: Option<Box<(What, Failure)>>,
    /// Whether `RTMP_ConnectStream` waits for the stream, and the deadline of the next answer.
    pub(crate) starting: Option<Deadline>,
    /// Why a step stopped waiting for the stream of a connection that is still open, for `RTMP_ConnectStream`.
    pub(crate) starting_failure: Option<Box<Error>>,
    pub(crate) leaving: Vec<Leaving>,
    /// The time for which bytes have been waiting for the peer to accept some.
    pub(crate) backlog: Backlog,
    /// An error of receiving or sending that a step has stored, for the call that it concerns.
    pub(crate) receive_error: Option<Box<Error>>,
    pub(crate) send_error: Option<Box<Error>>,
    /// The time at which a stream that `RTMP_ToggleStream` has paused resumes.
    pub(crate) toggled: Option<Instant>,
    /// One descriptor that replaces all others, if the program uses it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) descriptor: Option<Box<Descriptor>>,
}

/// Whether a call that reads would find something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Input {
    /// A call has found nothing, and nothing has arrived since.
    #[default]
    None,
    /// The last call has found something, so there may be more.
    Maybe,
    /// There is something.
    Some,
}

impl Progress {
    /// The program uses the connection, so it knows that the connection exists.
    pub(crate) fn use_connection(&mut self) {
        if !self.is_opening() {
            self.opening = None;
        }
    }

    /// Whether a call that reads has nothing to report, and no call waits for the stream.
    pub(crate) fn lets_read(&self) -> bool {
        self.quiet || (self.receive_error.is_none() && self.starting.is_none())
    }

    /// The value of `quiet`.
    pub(crate) fn is_quiet(&self) -> bool {
        self.leaving.is_empty()
            && self.starting.is_none()
            && self.starting_failure.is_none()
            && self.receive_error.is_none()
            && self.backlog.stalled_since().is_none()
            && self.toggled.is_none()
            && !self.failed
            && !self.closing
    }

    /// Stores an error of receiving for the call that it concerns.
    pub(crate) fn keep_receive_error(&mut self, error: Error) {
        (self.receive_error, self.quiet) = (Some(Box::new(error)), false);
    }

    /// Whether a call may assume that the system has nothing to receive, because the last call took everything. A peer may send while
    /// its bytes are processed, so the system is asked every second time if nothing was found in them.
    pub(crate) fn may_assume_empty(&self) -> bool {
        self.drained && !self.assumed_empty && self.flooded_since.is_none()
    }

    /// A call has found nothing, as it may assume, and its time is not over; otherwise returns false.
    pub(crate) fn note_empty(&mut self, timeout: Option<Duration>, now: Instant) -> bool {
        let is_over = || self.silence_ends(timeout).is_some_and(|end| end <= now);
        if !self.may_assume_empty() || is_over() {
            return false;
        }
        self.note_reading();
        (self.drained, self.assumed_empty, self.input) = (false, true, Input::None);
        self.silent_since.get_or_insert(now);
        true
    }

    /// Notes that there is nothing to read if the last receive has shown it and a call has read all of that, as nothing is unread:
    /// no step is needed to find that out.
    pub(crate) fn note_drained(&mut self, has_unread: bool, now: Instant) {
        if self.input == Input::Maybe && self.drained && !has_unread {
            self.input = Input::None;
            self.silent_since.get_or_insert(now);
        }
    }

    /// A call reads, and so processes what a step has reported.
    pub(crate) fn note_reading(&mut self) {
        self.use_connection();
        self.told = false;
        if self.input == Input::Some {
            self.input = Input::Maybe;
        }
    }

    /// A call has found something for the program.
    pub(crate) fn note_found(&mut self) {
        (self.flooded_since, self.assumed_empty) = (None, false);
    }

    /// Whether the program uses one descriptor for the session.
    pub(crate) fn has_descriptor(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return self.descriptor.is_some();
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        false
    }

    /// Whether a connection is being made.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| !matches!(opening.stage, Stage::Done))
    }

    /// Resets the state of a connection, when it ends or another begins.
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

    /// The end of the wait of a call that reads.
    pub(crate) fn silence_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.silent_since?.checked_add(timeout?)
    }

    /// The end of the wait for the peer to accept bytes.
    pub(crate) fn stall_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.backlog.stalled_since()?.checked_add(timeout?)
    }
}
