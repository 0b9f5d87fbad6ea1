//! The four requests as a server sees them.

use super::{Command, MAX_HEADERS, SessionId, content_length};
use crate::{
    error::{Error, Result},
    http::head::{self, MAX_HEAD, Request},
};

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The purpose of the request.
    pub target: Target,
    /// Bytes of the body that follows.
    pub length: u32,
    /// Whether the client keeps the connection for its next request.
    pub keep_alive: bool,
    /// Whether the client waits for an interim reply before it sends the body.
    pub expects_continue: bool,
}

/// The purpose of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// Start a session.
    Open,
    /// A command for a session.
    Session {
        /// `send`, `idle` or `close`.
        command: Command,
        /// The session's name.
        id: SessionId,
        /// The client's number of the request, if there is one.
        sequence: Option<u32>,
    },
    /// A resource that a tunnel does not have, such as `/fcs/ident2`, with which Flash asks for a better address.
    Other,
}

/// The head at the start of `input` and its length, once it is complete. `seen` bytes of it were offered before.
pub fn parse_head(input: &[u8], seen: usize) -> Result<Option<(Head, usize)>> {
    let skipped = head::empty_lines(input);
    let fresh = &input[skipped..];
    let Some(len) = head::len(fresh, seen.saturating_sub(skipped)) else {
        return match input.len() {
            0..MAX_HEAD => Ok(None),
            _ => Err(Error::TooLarge("head of an HTTP request")),
        };
    };
    if len > MAX_HEAD {
        return Err(Error::TooLarge("head of an HTTP request"));
    }
    let Ok(Some((Request { method, path, headers }, _))) = Request::parse(&fresh[..len], MAX_HEADERS) else {
        return Err(Error::malformed("HTTP request", "its head cannot be read"));
    };
    if headers.values("Transfer-Encoding").next().is_some() {
        return Err(Error::Unsupported("the transfer encoding of an HTTP request"));
    }
    let head = Head {
        target: if method == "POST" { target(path) } else { Target::Other },
        length: content_length(&headers)?.unwrap_or(0),
        keep_alive: headers.keep_alive(),
        expects_continue: headers.has_token("Expect", "100-continue"),
    };
    Ok(Some((head, skipped + len)))
}

/// `/open/1`, or `/<command>/<session>/<number>`.
fn target(path: &str) -> Target {
    // A client behind a proxy may send the whole URL.
    let path = match path.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => path,
    };
    let path = path.split('?').next().unwrap_or_default();
    let Some((command, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return if path == "/open" { Target::Open } else { Target::Other };
    };
    let command = match command {
        "open" => return Target::Open,
        "send" => Command::Send,
        "idle" => Command::Idle,
        "close" => Command::Close,
        _ => return Target::Other,
    };
    let (id, sequence) = match rest.rsplit_once('/') {
        Some((id, sequence)) => (id, sequence.parse().ok()),
        None => (rest, None),
    };
    match SessionId::new(id.as_bytes()) {
        Ok(id) => Target::Session { command, id, sequence },
        Err(_) => Target::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<(Head, usize)>> {
        parse_head(text.as_bytes(), 0)
    }

    fn target_of(line: &str) -> Target {
        parse(&format!("{line} HTTP/1.1\r\n\r\n")).unwrap().unwrap().0.target
    }

    fn session(command: Command, id: &str, sequence: Option<u32>) -> Target {
        Target::Session { command, id: SessionId::new(id.as_bytes()).unwrap(), sequence }
    }

    #[test]
    fn a_head_is_found_wherever_it_is_split() {
        let text = "\r\nPOST /send/abc/17 HTTP/1.1\r\nHOST:x\r\ncontent-LENGTH:5\r\n\r\nhello";
        for at in 0..text.len() - 5 {
            assert!(parse(&text[..at]).unwrap().is_none(), "{at}");
            let (head, len) = parse_head(text.as_bytes(), at).unwrap().unwrap();
            assert_eq!((head.length, &text[len..]), (5, "hello"), "{at}");
            assert_eq!(head.target, session(Command::Send, "abc", Some(17)));
            assert!(head.keep_alive && !head.expects_continue);
        }
    }

    #[test]
    fn paths_name_a_command_and_a_session() {
        assert_eq!(target_of("POST /open/1"), Target::Open);
        assert_eq!(target_of("POST /open"), Target::Open);
        assert_eq!(target_of("POST http://h:80/open/1"), Target::Open);
        assert_eq!(target_of("POST /idle/a-b/4294967295"), session(Command::Idle, "a-b", Some(u32::MAX)));
        assert_eq!(target_of("POST /idle/a/b/4294967296"), session(Command::Idle, "a/b", None));
        assert_eq!(target_of("POST /close/x"), session(Command::Close, "x", None));
        for other in ["POST /fcs/ident2", "GET /open/1", "POST /", "POST /x", "POST /send//1", "GET http://h"]
        {
            assert_eq!(target_of(other), Target::Other, "{other}");
        }
    }

    #[test]
    fn connections_are_kept_according_to_version_and_client() {
        let keeps = |version, line: &str| {
            parse(&format!("POST /open/1 {version}\r\n{line}\r\n\r\n")).unwrap().unwrap().0.keep_alive
        };
        assert!(keeps("HTTP/1.1", "A: b"));
        assert!(!keeps("HTTP/1.1", "connection: CLOSE"));
        assert!(!keeps("HTTP/1.0", "A: b"));
        assert!(keeps("HTTP/1.0", "Connection: keep-alive"));
    }

    #[test]
    fn invalid_requests_are_errors() {
        let long = format!("POST /open/1 HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD));
        let long_and_complete = format!("{long}\r\n\r\n");
        let many = format!("POST /open/1 HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        for bad in [
            "hello\r\n\r\n",
            "POST /open/1 HTTP/3\r\n\r\n",
            "POST /open/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /open/1 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST /open/1 HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
            "POST /open/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            &long,
            &long_and_complete,
            &many,
        ] {
            assert!(parse(bad).is_err(), "{:?}", &bad[..bad.len().min(60)]);
        }
    }

    #[test]
    fn damaged_requests_never_panic() {
        let good = b"POST /send/abc/17 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
        for at in 0..good.len() {
            for value in [0, b'\n', b'\r', b' ', b'-', b'/', b':', 0x80, 0xFF] {
                let mut bad = good.to_vec();
                bad[at] = value;
                let _ = parse_head(&bad, at);
            }
        }
    }
}
