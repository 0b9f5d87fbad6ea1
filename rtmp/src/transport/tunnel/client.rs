//! The client's side of a tunnel without sockets: requests to send, received replies, and the time of the next request.

use std::{collections::VecDeque, sync::Arc};

use super::{
    Command, NOTHING, SessionId,
    reply::{Event, Replies},
};
use crate::error::{Error, Result};

/// A client of one session.
///
/// Requests are kept until they are answered, because a server may close a connection without having read the last requests on
/// it. These are sent again on the next connection, with the same numbers.
#[derive(Debug)]
pub struct Client {
    /// Value of the `Host` header.
    host: String,
    stage: Stage,
    /// Number of the next request.
    sequence: u32,
    unanswered: VecDeque<Arc<Vec<u8>>>,
    unanswered_bytes: usize,
    replies: Replies,
    /// For the reply that is being read: whether the polling byte was read, and bytes of the stream after it.
    polling_seen: bool,
    carried: bool,
    /// The last polling byte of the server, which determines the pause between polls.
    polling: u8,
    /// The number of successive empty replies.
    empty_replies: u32,
    /// The time of the last complete reply, in milliseconds.
    answered_at: u64,
    /// Replies on this connection.
    answered: u32,
    /// Whether connections outlive a reply.
    keep_alive: bool,
    /// The number of requests that are sent ahead of their replies.
    window: usize,
    /// The error after the bytes that were returned last.
    failure: Option<Error>,
}

#[derive(Debug)]
enum Stage {
    New,
    /// With the received part of the session's name.
    Opening(Vec<u8>),
    Open(SessionId),
}

/// The result for received bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The number of bytes of the stream that are now at the front of the buffer.
    pub payload: usize,
    /// Whether the server will send no more replies on this connection.
    pub connection_over: bool,
}

/// The next action of a client that waits for bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Poll {
    /// Receive: there are unanswered requests.
    Receive,
    /// Wait for this many milliseconds, and ask again.
    Pause(u64),
    /// Send an `idle` request.
    Idle,
}

/// The state of a client, for callers that show it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Number of the next request.
    pub sequence: u32,
    /// The number of unanswered requests.
    pub unanswered: u32,
    /// The server's last polling byte.
    pub polling: u8,
    /// The number of missing bytes of the reply, if it gave its length.
    pub missing: u32,
    /// The session's name, once the server gave it.
    pub session: Option<SessionId>,
}

/// The limit of requests that are sent ahead of their replies.
const MAX_UNANSWERED: usize = 16;

/// The limit of bytes that are sent ahead of replies. Bytes that fit the system's buffers cannot block: a server whose sending
/// is blocked reads no requests.
const MAX_UNANSWERED_BYTES: usize = 128 << 10;

/// The line ending that may follow a session's name.
const MAX_LINE_END: usize = 2;

/// The unit of the polling byte, in milliseconds.
const POLLING_UNIT: u64 = 10;

/// The polling byte counts up to this value.
const MAX_POLLING: u64 = 32;

/// The longest pause between polls, in milliseconds.
const MAX_PAUSE: u64 = 500;

impl Client {
    /// A client that has not requested a session. `host` is a name or an address.
    pub fn new(host: &str, port: u16) -> Result<Self> {
        if host.is_empty() || host.bytes().any(|byte| byte <= b' ' || byte == 0x7F) {
            return Err(Error::Invalid("host name for an HTTP tunnel"));
        }
        let bare_ipv6 = host.contains(':') && !host.starts_with('[');
        Ok(Self {
            host: if bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
            stage: Stage::New,
            sequence: 1,
            unanswered: VecDeque::new(),
            unanswered_bytes: 0,
            replies: Replies::default(),
            polling_seen: false,
            carried: false,
            polling: 0,
            empty_replies: 0,
            answered_at: 0,
            answered: 0,
            keep_alive: true,
            window: MAX_UNANSWERED,
            failure: None,
        })
    }

    /// The next request, to be sent completely and in order; `pieces` are the body of [`Command::Send`].
    pub fn request(&mut self, command: Command, pieces: &[&[u8]]) -> Result<Arc<Vec<u8>>> {
        let session = match (&self.stage, command) {
            (Stage::New, Command::Open) => {
                self.stage = Stage::Opening(Vec::new());
                String::new()
            }
            (Stage::Open(session), Command::Send | Command::Idle | Command::Close) => {
                format!("/{}", session.as_str())
            }
            _ => return Err(Error::NotConnected),
        };
        let pieces = if command == Command::Send { pieces } else { &[&NOTHING[..]] };
        if command == Command::Send {
            // The server may answer this soon.
            self.empty_replies = 0;
        }
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        // The header lines of librtmp, in its order: some servers compare more than they should.
        let mut request = format!(
            "POST /{}{session}/{} HTTP/1.1\r\n\
             Host: {}\r\n\
             Accept: */*\r\n\
             User-Agent: Shockwave Flash\r\n\
             Connection: Keep-Alive\r\n\
             Cache-Control: no-cache\r\n\
             Content-type: application/x-fcs\r\n\
             Content-length: {len}\r\n\
             \r\n",
            command.name(),
            self.sequence,
            self.host
        )
        .into_bytes();
        request.reserve_exact(len);
        pieces.iter().for_each(|piece| request.extend_from_slice(piece));
        self.sequence = self.sequence.wrapping_add(1);
        self.unanswered_bytes += request.len();
        let request = Arc::new(request);
        self.unanswered.push_back(request.clone());
        Ok(request)
    }

    /// Processes newly received bytes and leaves those of the stream at the front of `input`. `now` is in milliseconds.
    ///
    /// An error after bytes of the stream is kept for [`Self::check`]: a server may send the end of a session together with the
    /// last useful reply.
    pub fn decode(&mut self, input: &mut [u8], now: u64) -> Result<Decoded> {
        self.check()?;
        let mut decoded = Decoded { payload: 0, connection_over: false };
        match self.decode_all(input, now, &mut decoded) {
            Err(error) if decoded.payload > 0 => self.failure = Some(error),
            result => result?,
        }
        Ok(decoded)
    }

    /// Whether all received bytes were valid. Call it before waiting for more.
    pub fn check(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    fn decode_all(&mut self, input: &mut [u8], now: u64, decoded: &mut Decoded) -> Result<()> {
        let mut used = 0;
        loop {
            let (consumed, event) = self.replies.next(&input[used..])?;
            match event {
                Event::More => return Ok(()),
                Event::Begin => {
                    if self.unanswered.is_empty() {
                        return Err(Error::malformed("HTTP tunnel", "a reply that nobody asked for"));
                    }
                    (self.polling_seen, self.carried) = (false, false);
                }
                Event::Content(range) => {
                    let content = used + range.start..used + range.end;
                    if let Stage::Opening(name) = &mut self.stage {
                        if name.len() + content.len() > SessionId::MAX_LEN + MAX_LINE_END {
                            return Err(Error::TooLarge("session id of an HTTP tunnel"));
                        }
                        name.extend_from_slice(&input[content]);
                    } else {
                        let stream = self.take_polling(input, content.start)..content.end;
                        self.carried |= !stream.is_empty();
                        let len = stream.len();
                        input.copy_within(stream, decoded.payload);
                        decoded.payload += len;
                    }
                }
                Event::End { keep_alive } => {
                    self.end_reply(keep_alive, now)?;
                    decoded.connection_over = !keep_alive;
                }
            }
            used += consumed;
        }
    }

    /// The peer has closed the connection. Unless that is an error, the session continues with a new one. Returns whether the
    /// end of the connection also completed a reply.
    pub fn connection_ended(&mut self, now: u64) -> Result<bool> {
        let ends_reply = self.replies.finish()?;
        if ends_reply {
            self.end_reply(false, now)?;
        }
        if !self.unanswered.is_empty() {
            // A server that closes while requests wait may lose replies with them.
            self.window = (self.window / 2).max(1);
        }
        match self.answered {
            // This connection brought nothing, so another would not either.
            0 => Err(Error::Closed),
            _ if self.is_open() => Ok(ends_reply),
            _ => Err(Error::Closed),
        }
    }

    /// There is a new connection; returns the requests to send on it first, in order.
    pub fn reconnected(&mut self) -> Vec<Arc<Vec<u8>>> {
        self.replies = Replies::default();
        self.answered = 0;
        self.unanswered.iter().cloned().collect()
    }

    /// The next action to receive bytes. `now` and `longest`, the longest pause, are in milliseconds.
    pub fn next_poll(&self, now: u64, longest: u64) -> Poll {
        if !self.unanswered.is_empty() {
            return Poll::Receive;
        }
        match self.answered_at.saturating_add(self.pause().min(longest)).saturating_sub(now) {
            0 => Poll::Idle,
            left => Poll::Pause(left),
        }
    }

    /// Whether a request with a body of `len` bytes may be sent before more replies arrive.
    pub fn has_room(&self, len: usize) -> bool {
        self.unanswered.is_empty()
            || (self.keep_alive
                && self.unanswered.len() < self.window
                && self.unanswered_bytes.saturating_add(len) <= MAX_UNANSWERED_BYTES)
    }

    /// The limit of the next request's body in bytes, if it may be sent before more replies arrive; 0 otherwise.
    pub(crate) fn room(&self, longest: usize) -> usize {
        match self.unanswered.is_empty() {
            true => longest,
            false if !self.has_room(0) => 0,
            false => (MAX_UNANSWERED_BYTES - self.unanswered_bytes).min(longest),
        }
    }

    /// The number of unanswered requests, and of their bytes.
    pub(crate) fn unanswered(&self) -> (usize, usize) {
        (self.unanswered.len(), self.unanswered_bytes)
    }

    /// Whether the server has given the session a name.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// The state of the client.
    pub fn status(&self) -> Status {
        Status {
            sequence: self.sequence,
            unanswered: self.unanswered.len() as u32,
            polling: self.polling,
            missing: self.replies.missing(),
            session: match &self.stage {
                Stage::Open(session) => Some(session.clone()),
                _ => None,
            },
        }
    }

    /// Milliseconds between a reply and the next poll: none after a reply with content, otherwise the server's value, which
    /// grows with each empty reply.
    fn pause(&self) -> u64 {
        let wanted = POLLING_UNIT * u64::from(self.polling).clamp(1, MAX_POLLING);
        (wanted * u64::from(self.empty_replies)).min(MAX_PAUSE)
    }

    /// Reads the first byte of a reply's body; returns the position of the stream's bytes.
    fn take_polling(&mut self, input: &[u8], start: usize) -> usize {
        match input.get(start) {
            Some(&polling) if !self.polling_seen => {
                self.polling = polling;
                self.polling_seen = true;
                start + 1
            }
            _ => start,
        }
    }

    fn end_reply(&mut self, keep_alive: bool, now: u64) -> Result<()> {
        if let Stage::Opening(name) = &self.stage {
            // A line, although some servers omit its ending.
            let session = SessionId::new(name.trim_ascii_end())?;
            self.stage = Stage::Open(session);
            self.sequence = 0;
        } else {
            if !self.polling_seen {
                return Err(Error::malformed("HTTP tunnel", "a reply without a polling byte"));
            }
            self.empty_replies = if self.carried { 0 } else { self.empty_replies.saturating_add(1) };
        }
        if let Some(request) = self.unanswered.pop_front() {
            self.unanswered_bytes -= request.len();
        }
        self.keep_alive = keep_alive;
        self.answered = self.answered.saturating_add(1);
        self.answered_at = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(content: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", content.len());
        [head.as_bytes(), content].concat()
    }

    fn decode(client: &mut Client, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut buffer = bytes.to_vec();
        let decoded = client.decode(&mut buffer, 0)?;
        buffer.truncate(decoded.payload);
        Ok(buffer)
    }

    fn opened() -> Client {
        let mut client = Client::new("host", 80).unwrap();
        client.request(Command::Open, &[]).unwrap();
        assert_eq!(decode(&mut client, &reply(b"id\n")).unwrap(), b"");
        client
    }

    #[test]
    fn requests_are_those_of_librtmp() {
        let mut client = Client::new("example.org", 1935).unwrap();
        let lines = "Host: example.org:1935\r\nAccept: */*\r\nUser-Agent: Shockwave Flash\r\n\
                     Connection: Keep-Alive\r\nCache-Control: no-cache\r\n\
                     Content-type: application/x-fcs\r\nContent-length: ";
        let expected = |path: &str, body: &str| {
            format!("POST {path} HTTP/1.1\r\n{lines}{}\r\n\r\n{body}", body.len()).into_bytes()
        };
        assert!(matches!(client.request(Command::Send, &[b"x"]), Err(Error::NotConnected)));
        assert_eq!(*client.request(Command::Open, &[]).unwrap(), expected("/open/1", "\0"));
        decode(&mut client, &reply(b"4711\n")).unwrap();
        assert_eq!(
            *client.request(Command::Send, &[b"ab", b"", b"c"]).unwrap(),
            expected("/send/4711/0", "abc")
        );
        assert_eq!(*client.request(Command::Idle, &[]).unwrap(), expected("/idle/4711/1", "\0"));
        assert_eq!(*client.request(Command::Close, &[]).unwrap(), expected("/close/4711/2", "\0"));
        assert!(matches!(client.request(Command::Open, &[]), Err(Error::NotConnected)));
    }

    #[test]
    fn host_header_has_the_host() {
        let host = |name| {
            let mut client = Client::new(name, 80).unwrap();
            let request = client.request(Command::Open, &[]).unwrap();
            String::from_utf8_lossy(&request).lines().nth(1).map(str::to_owned)
        };
        assert_eq!(host("::1").as_deref(), Some("Host: [::1]:80"));
        assert_eq!(host("[::1]").as_deref(), Some("Host: [::1]:80"));
        assert_eq!(host("127.0.0.1").as_deref(), Some("Host: 127.0.0.1:80"));
        for bad in ["", "a b", "a\r\nX: y", "a\0"] {
            assert!(Client::new(bad, 80).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_stream_is_left_at_the_front_wherever_replies_are_split() {
        let bytes = [&reply(b"\x01abc")[..], &reply(b"\x09"), &reply(b"\x21defgh")].concat();
        for step in 1..=bytes.len() {
            let mut client = opened();
            for _ in 0..3 {
                client.request(Command::Idle, &[]).unwrap();
            }
            let stream: Vec<u8> =
                bytes.chunks(step).flat_map(|piece| decode(&mut client, piece).unwrap()).collect();
            assert_eq!(stream, b"abcdefgh", "by {step}");
            assert_eq!((client.status().unanswered, client.status().polling), (0, 0x21));
        }
    }

    #[test]
    fn a_session_has_a_name_with_or_without_the_end_of_its_line() {
        for (content, name) in [(&b"a1\n"[..], "a1"), (b"a1", "a1"), (b"a1\r\n", "a1"), (b"7", "7")] {
            let mut client = Client::new("host", 80).unwrap();
            client.request(Command::Open, &[]).unwrap();
            decode(&mut client, &reply(content)).unwrap();
            assert_eq!(client.status().session.unwrap().as_str(), name);
        }
        let long = [b'x'; 10_000];
        for content in [&b""[..], b"\n", b"a\r\nb", b"a b\n", b"a\0\n", &long] {
            let mut client = Client::new("host", 80).unwrap();
            client.request(Command::Open, &[]).unwrap();
            assert!(decode(&mut client, &reply(content)).is_err(), "{content:?}");
        }
    }

    #[test]
    fn replies_need_a_request_and_a_polling_byte() {
        let mut client = opened();
        assert!(decode(&mut client, &reply(b"\x01abc")).is_err());
        let mut client = opened();
        client.request(Command::Idle, &[]).unwrap();
        assert!(decode(&mut client, &reply(b"")).is_err());
    }

    #[test]
    fn bytes_before_an_error_are_delivered() {
        let last_words =
            [&reply(b"\x01abc")[..], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"].concat();
        for step in 1..=last_words.len() {
            let mut client = opened();
            for _ in 0..2 {
                client.request(Command::Idle, &[]).unwrap();
            }
            let (mut stream, mut failed) = (Vec::new(), false);
            for piece in last_words.chunks(step) {
                match decode(&mut client, piece) {
                    Ok(bytes) => stream.extend(bytes),
                    Err(error) => failed |= matches!(error, Error::Refused(_)),
                }
            }
            failed |= matches!(client.check(), Err(Error::Refused(_)));
            assert_eq!((stream.as_slice(), failed), (&b"abc"[..], true), "by {step}");
        }
    }

    #[test]
    fn damaged_replies_never_panic() {
        let open = reply(b"id\n");
        let good = [&open[..], &reply(b"\x01abc"), &reply(b"\x09"), &reply(b"\x21defgh")].concat();
        for at in 0..good.len() {
            for value in [0, b'\n', b'\r', b' ', b'-', b'9', b':', 0x80, 0xFF] {
                let mut bad = good.clone();
                bad[at] = value;
                for step in [1, 7, bad.len()] {
                    let mut client = Client::new("host", 80).unwrap();
                    client.request(Command::Open, &[]).unwrap();
                    for piece in bad.chunks(step) {
                        let _ = client.request(Command::Idle, &[]);
                        let mut piece = piece.to_vec();
                        let len = piece.len();
                        if let Ok(decoded) = client.decode(&mut piece, 0) {
                            assert!(decoded.payload <= len);
                        }
                    }
                    let _ = client.connection_ended(0);
                }
            }
        }
    }

    #[test]
    fn polls_follow_the_polling_byte_and_grow_rarer_while_nothing_comes() {
        let mut client = opened();
        assert_eq!(client.next_poll(0, 1000), Poll::Idle);
        let mut ask = |content: &[u8]| {
            client.request(Command::Idle, &[]).unwrap();
            assert_eq!(client.next_poll(0, 1000), Poll::Receive);
            decode(&mut client, &reply(content)).unwrap();
            client.next_poll(0, 1000)
        };
        assert_eq!(ask(b"\x01"), Poll::Pause(10));
        assert_eq!(ask(b"\x01"), Poll::Pause(20));
        assert_eq!(ask(b"\x05"), Poll::Pause(150));
        assert_eq!(ask(b"\x05data"), Poll::Idle);
        assert_eq!(ask(b"\x00"), Poll::Pause(10));
        assert_eq!(ask(b"\xFFdata"), Poll::Idle);
        assert_eq!(ask(b"\xFF"), Poll::Pause(320));
        for _ in 0..100 {
            assert_eq!(ask(b"\xFF"), Poll::Pause(MAX_PAUSE));
        }
        assert_eq!(client.next_poll(MAX_PAUSE - 1, 1000), Poll::Pause(1));
        assert_eq!(client.next_poll(MAX_PAUSE, 1000), Poll::Idle);
        assert_eq!(client.next_poll(0, 7), Poll::Pause(7));
    }

    #[test]
    fn requests_ahead_of_replies_are_bounded() {
        let mut client = opened();
        assert!(client.has_room(10 << 20), "nothing is in the way of a large message");
        for _ in 0..MAX_UNANSWERED {
            assert!(client.has_room(100));
            client.request(Command::Send, &[&[0; 100]]).unwrap();
        }
        assert!(!client.has_room(0));
        decode(&mut client, &reply(b"\x01")).unwrap();
        assert!(client.has_room(100));
        assert!(!client.has_room(MAX_UNANSWERED_BYTES));
    }

    #[test]
    fn without_keep_alive_each_request_waits_for_the_last_reply() {
        let mut client = Client::new("host", 80).unwrap();
        client.request(Command::Open, &[]).unwrap();
        let mut bytes = b"HTTP/1.0 200 OK\r\n\r\nid".to_vec();
        assert_eq!(client.decode(&mut bytes, 0).unwrap(), Decoded { payload: 0, connection_over: false });
        client.connection_ended(0).unwrap();
        assert!(client.is_open());
        client.reconnected();
        assert!(client.has_room(100));
        client.request(Command::Send, &[b"x"]).unwrap();
        assert!(!client.has_room(0));
    }

    #[test]
    fn requests_that_a_closing_server_left_are_sent_again() {
        let mut client = opened();
        let sent: Vec<_> = (0..3).map(|_| client.request(Command::Send, &[b"x"]).unwrap()).collect();
        let mut bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n\x01".to_vec();
        assert!(client.decode(&mut bytes, 0).unwrap().connection_over);
        client.connection_ended(0).unwrap();
        assert_eq!(client.reconnected(), sent[1..]);
        assert!(matches!(client.connection_ended(0), Err(Error::Closed)), "no answer on a fresh connection");
    }
}
