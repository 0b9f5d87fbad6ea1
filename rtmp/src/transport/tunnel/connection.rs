//! One HTTP connection on the server's side of a tunnel, without a socket: requests in, replies out.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::request::{Head, parse_head};
use crate::{
    error::{Error, Result},
    http::head::MAX_HEAD,
};

/// The unused input of a connection, and its output.
#[derive(Debug)]
pub(crate) struct Connection {
    input: Vec<u8>,
    /// The number of bytes of the input that were already part of an incomplete head.
    seen: usize,
    /// The body after the last head, until it has been used and answered.
    body: Option<Body>,
    output: VecDeque<Arc<Vec<u8>>>,
    /// The number of sent bytes of the first piece of the output.
    sent: usize,
    /// The deadline for the completion of the current request.
    limit: Option<Instant>,
    /// Nothing more is read: the connection ends after its output.
    is_last: bool,
    /// The peer has ended its side.
    has_ended: bool,
}

#[derive(Debug)]
struct Body {
    left: usize,
    received: usize,
    began: Instant,
    keep_alive: bool,
}

/// The longest body of a request: the largest message that chunks can carry, in the smallest chunks.
const MAX_BODY: u32 = 40 << 20;

/// Unwanted bodies up to this length are read, so that the connection can be kept.
pub(crate) const MAX_UNWANTED: u32 = 64 << 10;

/// The time limit of a request from its first byte on; for a body, a second is added for each [`BODY_RATE`] received bytes.
const REQUEST_TIME: Duration = Duration::from_secs(30);
const BODY_RATE: usize = 4096;

/// The time limit of any body.
const BODY_TIME: Duration = Duration::from_secs(300);

/// The number of bytes that are received before some of them are used.
const MAX_INPUT: usize = MAX_HEAD + (16 << 10);

impl Connection {
    /// A connection on which `input` was already received.
    pub(crate) fn new(input: Vec<u8>) -> Self {
        Self {
            input,
            seen: 0,
            body: None,
            output: VecDeque::new(),
            sent: 0,
            limit: None,
            is_last: false,
            has_ended: false,
        }
    }

    /// Processes received bytes. Call it only while [`Self::wants_input`] is true.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) {
        if self.is_last {
            return;
        }
        self.input.extend_from_slice(bytes);
        if let Some(body) = &mut self.body {
            body.received += bytes.len();
            if self.limit.is_some() {
                self.limit = body.began.checked_add(body_time(body.received));
            }
        }
        self.begin_waiting(now);
    }

    /// Starts the time limit for the missing part of a request, unless it has started. While there is no room for more input,
    /// the time does not run.
    pub(crate) fn begin_waiting(&mut self, now: Instant) {
        if self.limit.is_some() || !self.waits() {
            return;
        }
        self.limit = match &mut self.body {
            Some(body) => {
                body.began = now;
                now.checked_add(body_time(body.received))
            }
            None => now.checked_add(REQUEST_TIME),
        };
    }

    /// The peer has ended its side.
    pub(crate) fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether there is room for more input.
    pub(crate) fn wants_input(&self) -> bool {
        !self.is_last && !self.has_ended && self.input.len() < MAX_INPUT
    }

    /// Whether the connection has finished: all output was sent, and no request can become complete.
    pub(crate) fn is_over(&self) -> bool {
        match &self.body {
            _ if !self.output.is_empty() => false,
            _ if self.is_last => true,
            Some(body) => self.has_ended && body.left > self.input.len(),
            None => self.has_ended && !matches!(parse_head(&self.input, self.seen), Ok(Some(_))),
        }
    }

    /// The deadline of the request that is arriving.
    pub(crate) fn limit(&self) -> Option<Instant> {
        self.limit.filter(|_| self.waits())
    }

    /// Whether a part of a request is missing.
    fn waits(&self) -> bool {
        self.wants_input()
            && match &self.body {
                Some(body) => body.left > self.input.len(),
                None => !self.input.is_empty() && self.output.is_empty(),
            }
    }

    /// The head of the next request and its length, once the last request was answered and the reply was sent.
    pub(crate) fn head(&mut self) -> Option<(Head, usize)> {
        if self.body.is_some() || self.is_last || !self.output.is_empty() || self.input.is_empty() {
            return None;
        }
        match parse_head(&self.input, self.seen) {
            Ok(Some(found)) => Some(found),
            Ok(None) => {
                self.seen = self.input.len();
                None
            }
            Err(error) => {
                log::debug!("an HTTP connection ends: {error}");
                self.refuse("400 Bad Request");
                None
            }
        }
    }

    /// Continues with the body after a head. If it is too long, queues a reply and fails.
    pub(crate) fn begin(&mut self, head: &Head, len: usize, now: Instant) -> Result<()> {
        if head.length > MAX_BODY {
            self.refuse("413 Content Too Large");
            return Err(Error::TooLarge("body of an HTTP request"));
        }
        self.input.drain(..len);
        self.seen = 0;
        let left = head.length as usize;
        let received = self.input.len().min(left);
        self.body = Some(Body { left, received, began: now, keep_alive: head.keep_alive });
        self.limit = None;
        self.begin_waiting(now);
        if head.expects_continue && received < left {
            self.output.push_back(Arc::new(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()));
        }
        Ok(())
    }

    /// The received and unused part of the body.
    pub(crate) fn body(&self) -> &[u8] {
        let left = self.body.as_ref().map_or(0, |body| body.left);
        &self.input[..left.min(self.input.len())]
    }

    /// The first `count` bytes of [`Self::body`] were used.
    pub(crate) fn use_body(&mut self, count: usize) {
        if !self.wants_input() {
            self.limit = None;
        }
        if let Some(body) = &mut self.body {
            body.left -= count;
            self.input.drain(..count);
        }
    }

    /// Drops the received part of the body; true when the body is complete.
    pub(crate) fn skip_body(&mut self) -> bool {
        self.use_body(self.body().len());
        self.is_complete()
    }

    /// Whether all of the body was used.
    pub(crate) fn is_complete(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.left == 0)
    }

    /// The length of the unused part of the body.
    pub(crate) fn left(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.left)
    }

    /// Answers a request whose body was used.
    pub(crate) fn reply(&mut self, status: &str, content: Option<Arc<Vec<u8>>>) {
        let keep_alive = self.body.take().is_some_and(|body| body.keep_alive) && !self.is_last;
        self.limit = None;
        let len = content.as_ref().map_or(0, |content| content.len());
        // librtmp treats the first header that begins with `Content-` as the length, and expects one space after its colon.
        let head = format!(
            "HTTP/1.1 {status}\r\n\
             Content-Length: {len}\r\n\
             Content-Type: application/x-fcs\r\n\
             Connection: {}\r\n\
             Cache-Control: no-cache\r\n\
             \r\n",
            if keep_alive { "Keep-Alive" } else { "close" }
        );
        self.output.push_back(Arc::new(head.into_bytes()));
        self.output.extend(content.filter(|content| !content.is_empty()));
        self.is_last |= !keep_alive;
    }

    /// Ends the connection with a reply that refuses the request.
    pub(crate) fn refuse(&mut self, status: &str) {
        self.is_last = true;
        self.reply(status, None);
        self.input = Vec::new();
    }

    /// Ends the connection after its output.
    pub(crate) fn finish(&mut self) {
        self.is_last = true;
        self.input = Vec::new();
    }

    /// The output, in pieces.
    pub(crate) fn output(&self) -> impl Iterator<Item = &[u8]> {
        let skipped = std::iter::once(self.sent).chain(std::iter::repeat(0));
        self.output.iter().zip(skipped).map(|(piece, sent)| &piece[sent..])
    }

    /// The first `count` bytes of [`Self::output`] were sent.
    pub(crate) fn advance(&mut self, count: usize) {
        self.sent += count;
        while let Some(first) = self.output.front().filter(|first| self.sent >= first.len()) {
            self.sent -= first.len();
            self.output.pop_front();
        }
    }

    /// The number of bytes of output.
    pub(crate) fn unsent(&self) -> usize {
        self.output().map(<[u8]>::len).sum()
    }

    /// The received and unused bytes: all of them before the first request begins.
    pub(crate) fn into_input(self) -> Vec<u8> {
        self.input
    }
}

/// The time limit of a body of which this many bytes have arrived. A slow one has only the first part.
fn body_time(received: usize) -> Duration {
    let earned = Duration::from_secs((received / BODY_RATE) as u64);
    (REQUEST_TIME + earned).min(BODY_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limit_of_a_body_grows_with_its_bytes_up_to_a_maximum() {
        for (received, seconds) in [(0, 30), (4095, 30), (4096, 31), (1 << 20, 286), (2 << 20, 300)] {
            assert_eq!(body_time(received), Duration::from_secs(seconds), "{received}");
        }
    }
}
