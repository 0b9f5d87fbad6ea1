//! One request and its response over a stream. Knows time, but neither sockets nor the meaning of the body.

use std::time::{Duration, Instant};

use super::{
    Outcome, Receiver,
    body::Body,
    response::{Head, Progress, decode},
};
use crate::{
    error::{Error, Result},
    transport::stream::Stream,
};

/// The limit of a peer's silence.
const PAUSE: Duration = Duration::from_secs(5);
/// The limit for sending the request, and for receiving the head of the response.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The limit for a body that arrives more slowly than [`BODY_RATE`].
const BODY_TIME: Duration = Duration::from_secs(60);
/// This many bytes of a body extend the limit by a second.
const BODY_RATE: u64 = 4096;
/// The number of bytes that are received at once.
const BLOCK: usize = 16_383;

/// Sends a request and passes its response to `receiver`.
///
/// A body of unknown length also ends with a pause of 5 seconds, since librtmp's servers may keep the connection open.
pub fn exchange(stream: &mut dyn Stream, request: &[u8], receiver: &mut dyn Receiver) -> Result<Outcome> {
    exchange_within(BODY_TIME, stream, request, receiver)
}

/// As [`exchange`], with another limit for slow bodies.
fn exchange_within(
    body_time: Duration,
    stream: &mut dyn Stream,
    request: &[u8],
    receiver: &mut dyn Receiver,
) -> Result<Outcome> {
    stream.send(request, HEAD_TIME)?;
    let mut block = vec![0; BLOCK];
    let mut input = Vec::new();
    let Some((consumed, head)) = receive_head(stream, &mut block, &mut input, receiver)? else {
        return Ok(Outcome::NotModified);
    };
    if let Some(date) = &head.last_modified {
        receiver.last_modified(date);
    }
    // A length of 0 counts as unknown, as in librtmp.
    let mut body = head.content_length.filter(|length| *length > 0).map_or(Body::UntilClose, Body::Length);
    let first = input.get(consumed..).unwrap_or_default();
    if !first.is_empty() {
        receiver.body(first)?;
        body.next(first)?;
    }
    let mut pace = Pace::new(body_time);
    while !body.is_complete() {
        pace.check(Instant::now())?;
        match (stream.receive(&mut block, PAUSE), &body) {
            (Ok(0) | Err(Error::TimedOut), Body::UntilClose) => break,
            (Ok(0), _) => return Err(Error::Closed),
            (Ok(count), _) => {
                // All of it, as in librtmp: there may be more than was announced.
                let block = block.get(..count).unwrap_or_default();
                receiver.body(block)?;
                body.next(block)?;
                pace.arrived(count);
            }
            (Err(error), _) => return Err(error),
        }
    }
    Ok(Outcome::of_status(head.status))
}

/// The time limit for a body, which grows with it: for a peer that sends slowly, only the first part counts.
struct Pace {
    began: Instant,
    time: Duration,
    received: u64,
}

impl Pace {
    fn new(time: Duration) -> Self {
        Self { began: Instant::now(), time, received: 0 }
    }

    fn arrived(&mut self, count: usize) {
        self.received = self.received.saturating_add(count as u64);
    }

    /// Fails if the body should be complete by `now`.
    fn check(&self, now: Instant) -> Result<()> {
        let earned = Duration::from_secs(self.received / BODY_RATE);
        let time = self.time.saturating_add(earned);
        if now.saturating_duration_since(self.began) > time { Err(Error::TimedOut) } else { Ok(()) }
    }
}

/// Receives until the head is complete, which may include the first bytes of the body. There is no head if the status means
/// "not modified": the headers are then not waited for.
fn receive_head(
    stream: &mut dyn Stream,
    block: &mut [u8],
    input: &mut Vec<u8>,
    receiver: &mut dyn Receiver,
) -> Result<Option<(usize, Head)>> {
    let deadline = Instant::now() + HEAD_TIME;
    let mut reported = None;
    loop {
        let wait = PAUSE.min(deadline.saturating_duration_since(Instant::now()));
        let count = match stream.receive(block, wait) {
            Ok(0) => return Err(cut_head(input, Error::Closed)),
            Ok(count) => count,
            Err(error) => return Err(cut_head(input, error)),
        };
        input.extend_from_slice(block.get(..count).unwrap_or_default());
        let progress = decode(input)?;
        let status = match &progress {
            Progress::Incomplete { status } => *status,
            Progress::Complete { head, .. } => Some(head.status),
        };
        if let (Some(status), None) = (status, reported) {
            receiver.status(status);
            reported = Some(status);
        }
        if reported.map(Outcome::of_status) == Some(Outcome::NotModified) {
            return Ok(None);
        }
        if let Progress::Complete { consumed, head } = progress {
            return Ok(Some((consumed, head)));
        }
    }
}

/// Why a head is incomplete: a peer that sends less than a line and ends does not speak HTTP.
fn cut_head(input: &[u8], error: Error) -> Error {
    if input.is_empty() || input.contains(&b'\n') {
        return error;
    }
    Error::malformed("HTTP response", "it ends in the first line")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// The next action of the peer.
    #[derive(Clone)]
    enum Step {
        Send(Vec<u8>),
        Pause,
        Reset,
    }

    /// A peer that follows a script and then closes.
    struct Script {
        steps: VecDeque<Step>,
        sent: Vec<u8>,
    }

    impl Stream for Script {
        fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize> {
            assert!(wait <= PAUSE);
            match self.steps.pop_front() {
                None => Ok(0),
                Some(Step::Pause) => Err(Error::TimedOut),
                Some(Step::Reset) => Err(Error::Io(std::io::ErrorKind::ConnectionReset.into())),
                Some(Step::Send(bytes)) => {
                    let count = bytes.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&bytes[..count]);
                    if count < bytes.len() {
                        self.steps.push_front(Step::Send(bytes[count..].to_vec()));
                    }
                    Ok(count)
                }
            }
        }

        fn send(&mut self, bytes: &[u8], _wait: Duration) -> Result<()> {
            self.sent.extend_from_slice(bytes);
            Ok(())
        }
    }

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Seen {
        status: Option<u16>,
        date: Option<Vec<u8>>,
        body: Vec<u8>,
    }

    impl Receiver for Seen {
        fn status(&mut self, status: u16) {
            assert_eq!(self.status, None, "the status is told once");
            self.status = Some(status);
        }

        fn last_modified(&mut self, date: &[u8]) {
            assert!(self.status.is_some() && self.body.is_empty());
            self.date = Some(date.to_vec());
        }

        fn body(&mut self, bytes: &[u8]) -> Result<()> {
            assert!(!bytes.is_empty() && bytes.len() <= BLOCK);
            self.body.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn run(steps: &[Step]) -> (Outcome, Seen) {
        let mut script = Script { steps: steps.iter().cloned().collect(), sent: Vec::new() };
        let mut seen = Seen::default();
        let result = exchange(&mut script, b"request", &mut seen);
        assert_eq!(script.sent, b"request");
        (Outcome::of_result(&result), seen)
    }

    fn send(bytes: &[u8]) -> Step {
        Step::Send(bytes.to_vec())
    }

    const OK: &[u8] = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nLast-Modified: now\r\n\r\nhello";
    const OPEN: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nhello";

    #[test]
    fn a_response_is_the_same_wherever_it_is_split() {
        let expected = Seen { status: Some(200), date: Some(b"now".to_vec()), body: b"hello".to_vec() };
        for first in 0..=OK.len() {
            let (start, end) = OK.split_at(first);
            let steps: Vec<_> = [start, end].into_iter().filter(|part| !part.is_empty()).map(send).collect();
            let (outcome, seen) = run(&steps);
            assert_eq!((outcome, &seen), (Outcome::Complete, &expected), "{first}");
        }
        let bytes: Vec<_> = OK.chunks(1).map(send).collect();
        assert_eq!(run(&bytes), (Outcome::Complete, expected));
    }

    #[test]
    fn a_body_that_is_cut_is_a_lost_connection() {
        let head = OK.len() - 5;
        for end in head..OK.len() {
            for last in [None, Some(Step::Pause), Some(Step::Reset)] {
                let steps: Vec<_> = [send(&OK[..end])].into_iter().chain(last).collect();
                let (outcome, seen) = run(&steps);
                assert_eq!(outcome, Outcome::LostConnection, "{end}");
                assert_eq!(seen.body, &OK[head..end]);
            }
        }
    }

    #[test]
    fn a_lost_connection_overrides_the_status() {
        let (outcome, seen) = run(&[send(b"HTTP/1.0 404 No\r\nContent-Length: 9\r\n\r\nabc")]);
        assert_eq!((outcome, seen.status), (Outcome::LostConnection, Some(404)));
    }

    #[test]
    fn a_body_of_unknown_length_ends_with_the_connection_or_a_pause() {
        for last in [None, Some(Step::Pause)] {
            let steps: Vec<_> = [send(OPEN), send(b" world")].into_iter().chain(last).collect();
            let (outcome, seen) = run(&steps);
            assert_eq!((outcome, &seen.body[..]), (Outcome::Complete, &b"hello world"[..]));
        }
    }

    #[test]
    fn a_body_may_take_a_minute_and_a_second_for_each_4_kib() {
        let mut pace = Pace::new(BODY_TIME);
        let after = |pace: &Pace, seconds| pace.check(pace.began + Duration::from_secs(seconds)).is_ok();
        assert!(after(&pace, 60) && !after(&pace, 61));
        (0..4096).for_each(|_| pace.arrived(1));
        assert!(after(&pace, 61) && !after(&pace, 62));
        pace.arrived(100 << 20);
        assert!(after(&pace, 60 + (100 << 8)) && !after(&pace, 100 + (100 << 8)));
    }

    /// Sends its bytes, and then one byte at each receive.
    struct Trickle(Vec<u8>, usize);

    impl Stream for Trickle {
        fn receive(&mut self, buffer: &mut [u8], _wait: Duration) -> Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            let bytes = if self.0.is_empty() { vec![b'x'] } else { std::mem::take(&mut self.0) };
            buffer[..bytes.len()].copy_from_slice(&bytes);
            self.1 += 1;
            assert!(self.1 < 100_000, "this goes on for ever");
            Ok(bytes.len())
        }

        fn send(&mut self, _bytes: &[u8], _wait: Duration) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_body_that_trickles_is_a_lost_connection_whether_or_not_its_length_is_known() {
        for length in ["", "Content-Length: 1000000\r\n"] {
            let head = format!("HTTP/1.0 200 OK\r\n{length}\r\n").into_bytes();
            let mut seen = Seen::default();
            let result =
                exchange_within(Duration::from_millis(50), &mut Trickle(head, 0), b"request", &mut seen);
            assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
            assert_eq!(Outcome::of_result(&result), Outcome::LostConnection);
            assert!(!seen.body.is_empty() && seen.body.iter().all(|byte| *byte == b'x'));
        }
    }

    #[test]
    fn a_connection_that_is_reset_is_lost() {
        assert_eq!(run(&[send(OPEN), Step::Reset]).0, Outcome::LostConnection);
    }

    #[test]
    fn bytes_after_the_length_are_delivered_with_their_block_only() {
        let (outcome, seen) = run(&[send(OK), send(b"again")]);
        assert_eq!((outcome, &seen.body[..]), (Outcome::Complete, &b"hello"[..]));
        let (outcome, seen) = run(&[send(&[OK, b"again"].concat()), send(b"again")]);
        assert_eq!((outcome, &seen.body[..]), (Outcome::Complete, &b"helloagain"[..]));
    }

    #[test]
    fn length_of_0_is_ignored() {
        let (outcome, seen) = run(&[send(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), send(b"hello")]);
        assert_eq!((outcome, &seen.body[..]), (Outcome::Complete, &b"hello"[..]));
    }

    #[test]
    fn bodies_of_errors_are_delivered() {
        for (status, expected) in [
            (302, Outcome::Redirected),
            (400, Outcome::BadRequest),
            (404, Outcome::NotFound),
            (503, Outcome::ServerError),
        ] {
            let response = format!("HTTP/1.1 {status} x\r\nLast-Modified: d\r\n\r\nsorry");
            let (outcome, seen) = run(&[send(response.as_bytes())]);
            assert_eq!(outcome, expected);
            assert_eq!(
                seen,
                Seen { status: Some(status), date: Some(b"d".to_vec()), body: b"sorry".to_vec() }
            );
        }
    }

    #[test]
    fn not_modified_waits_for_nothing() {
        for response in [&b"HTTP/1.0 304 Not Mod"[..], b"HTTP/1.0 304 x\r\nLast-Modified: d\r\n\r\nbody"] {
            let (outcome, seen) = run(&[send(response), send(b"more")]);
            assert_eq!(outcome, Outcome::NotModified);
            assert_eq!(seen, Seen { status: Some(304), ..Seen::default() });
        }
    }

    #[test]
    fn silence_is_a_lost_connection_without_a_status() {
        for steps in [&[][..], &[Step::Pause], &[Step::Reset]] {
            assert_eq!(run(steps), (Outcome::LostConnection, Seen::default()));
        }
    }

    #[test]
    fn a_first_line_that_does_not_end_is_a_bad_request() {
        let (outcome, seen) = run(&[send(b"HTTP/1.0 200 OK")]);
        assert_eq!((outcome, seen.status), (Outcome::BadRequest, Some(200)));
        assert_eq!(run(&[send(b"HT")]), (Outcome::BadRequest, Seen::default()));
    }

    #[test]
    fn headers_that_do_not_end_are_a_lost_connection() {
        for last in [None, Some(Step::Pause)] {
            let steps: Vec<_> =
                [send(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n")].into_iter().chain(last).collect();
            let (outcome, seen) = run(&steps);
            assert_eq!((outcome, seen.status), (Outcome::LostConnection, Some(200)));
        }
    }

    #[test]
    fn a_head_without_end_is_a_bad_request() {
        let endless = vec![send(&b"X: y\r\n".repeat(1000)); 4];
        let steps: Vec<_> = [send(b"HTTP/1.0 200 OK\r\n")].into_iter().chain(endless).collect();
        let (outcome, seen) = run(&steps);
        assert_eq!((outcome, seen.status), (Outcome::BadRequest, Some(200)));
        assert_eq!(seen.body, b"");
    }

    #[test]
    fn the_receiver_can_end_the_request() {
        struct Full;
        impl Receiver for Full {
            fn status(&mut self, _status: u16) {}
            fn last_modified(&mut self, _date: &[u8]) {}
            fn body(&mut self, _bytes: &[u8]) -> Result<()> {
                Err(Error::TooLarge("test"))
            }
        }
        let mut script = Script { steps: [send(OPEN), send(b"more")].into(), sent: Vec::new() };
        assert!(matches!(exchange(&mut script, b"", &mut Full), Err(Error::TooLarge("test"))));
        assert_eq!(script.steps.len(), 1);
    }

    #[test]
    fn no_cut_and_no_changed_byte_panics() {
        for index in 0..OK.len() {
            run(&[send(&OK[..index]), Step::Pause][usize::from(index == 0)..]);
            for byte in [0, b'\n', b'\r', b' ', b':', b'0', b'9', 0x7f, 0xff] {
                let mut changed = OK.to_vec();
                changed[index] = byte;
                run(&[send(&changed)]);
            }
        }
    }
}
