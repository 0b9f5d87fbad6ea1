//! A small HTTP/1.0 client: one GET over one connection.
//!
//! [`url`], [`request`] and [`response`] turn bytes into values and back; tunnels and proxies share `head` and `body` with
//! them. [`exchange`] sends one request over a stream, and [`get()`] makes the connection for it. There are no redirections, no
//! content codings and no cookies, and the receiver interprets the body.
//!
//! ```no_run
//! use rtmp::{http::{self, Outcome, Receiver}, transport::{tls::Trust, wait::Endless}};
//!
//! /// Keeps the body.
//! struct Body(Vec<u8>);
//!
//! impl Receiver for Body {
//!     fn status(&mut self, _status: u16) {}
//!     fn last_modified(&mut self, _date: &[u8]) {}
//!     fn body(&mut self, bytes: &[u8]) -> rtmp::Result<()> {
//!         self.0.extend_from_slice(bytes);
//!         Ok(())
//!     }
//! }
//!
//! let mut body = Body(Vec::new());
//! let outcome = http::get(b"https://localhost/player.swf", b"", &Trust::Platform, &Endless, &mut body)?;
//! assert_eq!(outcome, Outcome::Complete);
//! # Ok::<(), rtmp::Error>(())
//! ```

pub(crate) mod body;
pub mod exchange;
mod get;
pub(crate) mod head;
pub mod request;
pub mod response;
pub mod url;

pub use get::get;

use crate::error::{Error, Result};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole body was delivered.
    Complete,
    /// The existing copy is still valid; there was no body.
    NotModified,
    /// The server does not know the resource.
    NotFound,
    /// The URL cannot be used, the server refused the request, or it does not speak HTTP.
    BadRequest,
    /// The server failed.
    ServerError,
    /// The resource is somewhere else.
    Redirected,
    /// There was no connection, or it ended before the whole body had arrived.
    LostConnection,
}

impl Outcome {
    /// The meaning of a status, if its body arrives completely.
    pub fn of_status(status: u16) -> Self {
        match status {
            ..300 => Self::Complete,
            304 => Self::NotModified,
            300..400 => Self::Redirected,
            404 => Self::NotFound,
            400..500 => Self::BadRequest,
            500.. => Self::ServerError,
        }
    }

    /// The outcome of a request, including errors: invalid bytes of either side are a bad request, and all other errors are a
    /// lost connection.
    pub fn of_result(result: &Result<Self>) -> Self {
        match result {
            Ok(outcome) => *outcome,
            Err(Error::Malformed { .. } | Error::Invalid(_)) => Self::BadRequest,
            Err(_) => Self::LostConnection,
        }
    }
}

/// Receives the parts of a response as they arrive.
pub trait Receiver {
    /// The status, once, before anything else.
    fn status(&mut self, status: u16);

    /// The date of the resource in the server's words, if the head has one.
    fn last_modified(&mut self, date: &[u8]);

    /// One piece of the body, whatever the status. An error ends the request.
    fn body(&mut self, bytes: &[u8]) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_and_unchanged_are_good() {
        let expected = [
            (0, Outcome::Complete),
            (100, Outcome::Complete),
            (206, Outcome::Complete),
            (299, Outcome::Complete),
            (300, Outcome::Redirected),
            (302, Outcome::Redirected),
            (304, Outcome::NotModified),
            (399, Outcome::Redirected),
            (400, Outcome::BadRequest),
            (404, Outcome::NotFound),
            (499, Outcome::BadRequest),
            (500, Outcome::ServerError),
            (999, Outcome::ServerError),
        ];
        for (status, outcome) in expected {
            assert_eq!(Outcome::of_status(status), outcome, "{status}");
        }
    }
}
