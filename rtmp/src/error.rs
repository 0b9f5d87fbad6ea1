//! The only error type of the library. Its text reads as a log line: lower case, what was wrong and what was seen.

use std::{fmt, io};

/// The result of an operation that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason for a failure.
///
/// ```
/// use rtmp::{Client, Error};
///
/// match Client::new("http://localhost/live/stream") {
///     Err(Error::TimedOut) => println!("the server does not answer, try again later"),
///     Err(error) => println!("{error}"),
///     Ok(_) => unreachable!("this is not an RTMP URL"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that do not follow their format: which format, and what was seen.
    Malformed {
        /// The format or message that was being read.
        what: &'static str,
        /// The flaw.
        detail: &'static str,
    },
    /// The two ends did not agree in the handshake, and why.
    Handshake(&'static str),
    /// A value that exceeds a format or a documented limit.
    TooLarge(&'static str),
    /// An invalid argument.
    Invalid(&'static str),
    /// Not enough memory.
    OutOfMemory,
    /// The peer closed the connection.
    Closed,
    /// There is no connection.
    NotConnected,
    /// The timeout passed while nothing arrived or nothing could be sent. The connection is still open.
    TimedOut,
    /// The caller cancelled the operation.
    Interrupted,
    /// The operating system reported an error of the socket.
    Io(io::Error),
    /// The host has no usable address.
    Unresolved(Cause),
    /// No connection to the host: what was tried, and the reasons.
    Unreachable(Cause),
    /// A proxy did not connect to the host: which proxy, and the reason.
    Proxy(Cause),
    /// The peer answered a command with an error.
    Refused(Refusal),
    /// The TLS handshake or connection failed, with the reason.
    Tls(Cause),
    /// There is no option of that name.
    UnknownOption(String),
    /// A feature that this build does not support.
    Unsupported(&'static str),
    /// Nothing more can be done without waiting, and the caller does not wait. Only the C library uses it; functions for
    /// Rust programs that do not wait return other values.
    #[doc(hidden)]
    Again,
    /// One of the errors above that has been logged already. Only the C library uses it; no function for Rust programs
    /// returns it.
    #[doc(hidden)]
    Reported(Box<Error>),
}

/// A reason as text, with the operating system's error number if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    words: String,
    code: Option<i32>,
}

/// A peer's refusal of a command.
///
/// ```no_run
/// use rtmp::{Client, Error};
///
/// let played = Client::new("rtmp://localhost/vod/film")?.play();
/// if let Err(Error::Refused(refusal)) = played
///     && refusal.code == "NetStream.Play.StreamNotFound"
/// {
///     println!("no such stream: {}", refusal.description);
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
    /// The URL that the peer redirects to; empty if there is none.
    pub redirect: String,
}

impl Error {
    /// Bytes that do not follow their format.
    pub const fn malformed(what: &'static str, detail: &'static str) -> Self {
        Self::Malformed { what, detail }
    }

    /// Whether the connection has ended, so that nothing can be sent any more. Data that the peer sent before may still be
    /// unread.
    pub fn is_end_of_connection(&self) -> bool {
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

    /// The value that C programs find in `errno`: the operating system's number for this error, or its number for the same
    /// condition. `None` if librtmp left `errno` unchanged, because no system call had failed.
    #[doc(hidden)]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::TimedOut | Self::Again => Some(libc::EAGAIN),
            Self::NotConnected => Some(libc::EBADF),
            Self::OutOfMemory => Some(libc::ENOMEM),
            Self::Interrupted => Some(libc::EINTR),
            Self::Io(error) => error.raw_os_error(),
            // The C library sets 0 for an unknown name, and librtmp returned that.
            Self::Unresolved(cause) => Some(cause.code.unwrap_or(0)),
            Self::Unreachable(cause) | Self::Proxy(cause) | Self::Tls(cause) => cause.code,
            Self::Reported(cause) => cause.errno(),
            _ => None,
        }
    }

    /// The operating system's number for the failure of a system call, if this is one.
    pub fn os_code(&self) -> Option<i32> {
        match self {
            Self::Io(error) => error.raw_os_error(),
            Self::Unresolved(cause) | Self::Unreachable(cause) | Self::Proxy(cause) | Self::Tls(cause) => {
                cause.code
            }
            Self::Reported(cause) => cause.os_code(),
            _ => None,
        }
    }

    /// The number that librtmp's log lines about a socket show.
    pub fn system_code(&self) -> Option<i32> {
        match self {
            Self::Closed => Some(libc::EPIPE),
            Self::Reported(cause) => cause.system_code(),
            error => error.errno(),
        }
    }

    /// This error, marked as logged.
    pub fn reported(self) -> Self {
        match self {
            Self::Reported(_) => self,
            error => Self::Reported(Box::new(error)),
        }
    }
}

/// The operating system's text for the error with this number.
pub fn system_words(code: i32) -> String {
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
            Self::Again => f.write_str("it would have to wait"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Unresolved(host) => write!(f, "no address for host {host}"),
            Self::Unreachable(cause) | Self::Proxy(cause) | Self::Tls(cause) => write!(f, "{cause}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::UnknownOption(name) => write!(f, "there is no option {name}"),
            Self::Reported(cause) => write!(f, "{cause}"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl Cause {
    /// A text, and the operating system's number if it has one.
    pub fn new(words: String, code: Option<i32>) -> Self {
        Self { words, code }
    }

    /// The operating system's number, as in [`io::Error::raw_os_error`].
    pub fn raw_os_error(&self) -> Option<i32> {
        self.code
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl<T: Into<String>> From<T> for Cause {
    fn from(words: T) -> Self {
        Self { words: words.into(), code: None }
    }
}

impl Refusal {
    /// Writes the peer's answer: code, description, and where to connect instead.
    pub fn write_words(&self, to: &mut impl fmt::Write) -> fmt::Result {
        to.write_str(if self.code.is_empty() { "refused without a code" } else { &self.code })?;
        match self.explanation() {
            "" => {}
            explanation => write!(to, ": {explanation}")?,
        }
        match &self.redirect[..] {
            "" => Ok(()),
            redirect => write!(to, "; redirected to {redirect}"),
        }
    }

    /// The description without the code. Many servers begin it with the code, and some send nothing else.
    fn explanation(&self) -> &str {
        match self.description.strip_prefix(&self.code[..]) {
            Some(rest)
                if !self.code.is_empty()
                    && (rest.is_empty() || rest.starts_with([':', ' ', ',', '-', '('])) =>
            {
                rest.trim_start_matches([':', ' ', ',', '-'])
            }
            _ => &self.description,
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
            // A code of the system (ETIMEDOUT) means that the connection has failed, not that a wait timed out.
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
    fn a_refusal_gives_its_code_once() {
        let words = |code: &str, description: &str| {
            let mut text = String::new();
            let refusal =
                Refusal { code: code.into(), description: description.into(), ..Refusal::default() };
            refusal.write_words(&mut text).expect("strings take everything");
            text
        };
        let code = "NetStream.Play.Failed";
        for (description, expected) in [
            ("", "NetStream.Play.Failed"),
            ("NetStream.Play.Failed", "NetStream.Play.Failed"),
            ("NetStream.Play.Failed: no disk", "NetStream.Play.Failed: no disk"),
            ("NetStream.Play.Failed - no disk", "NetStream.Play.Failed: no disk"),
            ("NetStream.Play.Failed (no disk)", "NetStream.Play.Failed: (no disk)"),
            ("NetStream.Play.FailedAgain", "NetStream.Play.Failed: NetStream.Play.FailedAgain"),
            ("no disk", "NetStream.Play.Failed: no disk"),
        ] {
            assert_eq!(words(code, description), expected);
        }
        assert_eq!(words("", ": no disk"), "refused without a code: : no disk");
    }

    #[test]
    fn a_connection_that_the_system_gave_up_is_not_a_wait_that_timed_out() {
        let dead = io::Error::from(rustix::io::Errno::TIMEDOUT);
        assert_eq!(dead.kind(), io::ErrorKind::TimedOut);
        assert!(matches!(Error::from(dead), Error::Io(_)));
        let waited = io::Error::from(rustix::io::Errno::WOULDBLOCK);
        assert!(matches!(Error::from(waited), Error::TimedOut));
        let deadline = io::Error::from(io::ErrorKind::TimedOut);
        assert!(matches!(Error::from(deadline), Error::TimedOut));
    }
}
