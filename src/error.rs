//! The one error type of the library. Its text reads as a log line: lower case, what was wrong and what was seen.

#![forbid(unsafe_code)]

use std::{fmt, io};

/// What a fallible operation of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// ```
/// use rtmp::{Client, Error};
///
/// match Client::new("http://localhost/live/stream") {
///     Err(Error::TimedOut) => println!("the server does not answer, later perhaps"),
///     Err(error) => println!("{error}"),
///     Ok(_) => unreachable!("this is no address of RTMP"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that do not follow their format: which format, and what was seen.
    Malformed {
        /// The format or message that was being read.
        what: &'static str,
        /// What was wrong with it.
        detail: &'static str,
    },
    /// The two ends did not agree in the handshake, and why.
    Handshake(&'static str),
    /// A value that the format or a stated bound cannot hold.
    TooLarge(&'static str),
    /// An argument that makes no sense.
    Invalid(&'static str),
    /// Memory could not be had.
    OutOfMemory,
    /// The peer closed the connection.
    Closed,
    /// There is no connection.
    NotConnected,
    /// Nothing arrived, or nothing could be sent, within the time-out; the connection is still open.
    TimedOut,
    /// The caller asked to stop.
    Interrupted,
    /// The operating system refused an operation on the socket.
    Io(io::Error),
    /// The host has no usable address.
    Unresolved(String),
    /// The host was not reached: what was tried, and why it failed.
    Unreachable(String),
    /// A proxy did not connect us: which one, and why.
    Proxy(String),
    /// The peer answered a command with an error.
    Refused(Refusal),
    /// TLS could not be had, or broke: the whole story.
    Tls(String),
    /// There is no option of that name.
    UnknownOption(String),
    /// A feature that this build does not have.
    Unsupported(&'static str),
    /// Something of the above that has been logged already, where more was known about it. The C library's own: no
    /// function for Rust programs returns it.
    #[doc(hidden)]
    Reported(Box<Error>),
}

/// A peer's refusal of a command, in its own words.
///
/// ```no_run
/// use rtmp::{Client, Error};
///
/// let played = Client::new("rtmp://localhost/vod/film")?.play();
/// if let Err(Error::Refused(refusal)) = played
///     && refusal.code == "NetStream.Play.StreamNotFound"
/// {
///     println!("there is no such film: {}", refusal.description);
/// }
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The command that was refused, or the status message that said so.
    pub method: String,
    /// The status code, for example `NetStream.Play.StreamNotFound`; empty if the peer gave none.
    pub code: String,
    /// The peer's explanation; empty if it gave none.
    pub description: String,
    /// The URL at which the peer says the stream is; empty if it named none.
    pub redirect: String,
}

impl Error {
    /// Bytes that do not follow their format.
    pub const fn malformed(what: &'static str, detail: &'static str) -> Self {
        Self::Malformed { what, detail }
    }

    /// Whether it says that the connection has ended: nothing can be sent any more. What the peer sent before may still
    /// be there to be read.
    pub(crate) fn is_end_of_connection(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        match self {
            Self::Closed => true,
            Self::Io(error) => matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof
            ),
            Self::Reported(cause) => cause.is_end_of_connection(),
            _ => false,
        }
    }

    /// The operating system's number for it, if it has one.
    pub(crate) fn system_code(&self) -> Option<i32> {
        match self {
            Self::Io(error) => error.raw_os_error(),
            Self::TimedOut => Some(libc::EAGAIN),
            Self::NotConnected => Some(libc::EBADF),
            Self::Interrupted => Some(libc::EINTR),
            Self::Closed => Some(libc::EPIPE),
            Self::Reported(cause) => cause.system_code(),
            _ => None,
        }
    }

    /// This error, marked as logged.
    pub(crate) fn reported(self) -> Self {
        match self {
            Self::Reported(_) => self,
            error => Self::Reported(Box::new(error)),
        }
    }
}

/// What the operating system calls the error of this number.
pub(crate) fn system_words(code: i32) -> String {
    let words = io::Error::from_raw_os_error(code).to_string();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { what, detail } => write!(f, "malformed {what}: {detail}"),
            Self::Handshake(why) => write!(f, "handshake: {why}"),
            Self::TooLarge(what) => write!(f, "{what} is too large"),
            Self::Invalid(what) => write!(f, "invalid argument: {what}"),
            Self::OutOfMemory => f.write_str("out of memory"),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::NotConnected => f.write_str("there is no connection"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Unresolved(host) => write!(f, "no address for host {host}"),
            Self::Unreachable(reason) | Self::Proxy(reason) => f.write_str(reason),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::UnknownOption(name) => write!(f, "there is no option {name}"),
            Self::Reported(cause) => write!(f, "{cause}"),
            Self::Tls(story) => f.write_str(story),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl Refusal {
    /// Writes what the peer said: code, description, and where to connect instead.
    pub(crate) fn write_words(&self, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str(if self.code.is_empty() { "refused without a code" } else { &self.code })?;
        if !self.description.is_empty() {
            write!(to, ": {}", self.description)?;
        }
        match &self.redirect[..] {
            "" => Ok(()),
            redirect => write!(to, "; redirected to {redirect}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_words(f)?;
        write!(f, " (in answer to {})", self.method)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::TimedOut,
            // A code of the system's (ETIMEDOUT) says that the connection is dead, not that a wait was.
            io::ErrorKind::TimedOut if error.raw_os_error().is_none() => Self::TimedOut,
            io::ErrorKind::Interrupted => Self::Interrupted,
            io::ErrorKind::OutOfMemory => Self::OutOfMemory,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_the_system_gave_up_is_not_a_wait_that_timed_out() {
        let dead = io::Error::from_raw_os_error(libc::ETIMEDOUT);
        assert_eq!(dead.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(Error::from(dead), Error::Io(_)));
        let waited = io::Error::from_raw_os_error(libc::EAGAIN);
        assert!(matches!(Error::from(waited), Error::TimedOut));
        let deadline = io::Error::from(io::ErrorKind::TimedOut);
        assert!(matches!(Error::from(deadline), Error::TimedOut));
    }
}
