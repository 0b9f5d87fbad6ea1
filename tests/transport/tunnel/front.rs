//! HTTP servers that do what clients had better be prepared for. They pass requests on to a good one and write its
//! replies in their own way.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// What is odd about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    LowerCaseHeaders,
    SpacesAroundColons,
    BareLineFeeds,
    NoEndOfLineAfterTheSession,
    OneByteAtATime,
    Continue,
    LargePollingByte,
    Chunks,
    /// `Connection: close` in each reply.
    RefusesKeepAlive,
    /// HTTP/1.0 without a length.
    EndsWithTheConnection,
    /// Announces the end in its third reply, whatever has arrived behind it.
    ThreeRepliesPerConnection,
    /// Closes after the third reply without a word.
    SilentlyThreeReplies,
    TwoRepliesInOnePiece,
    /// Has everything else to do first.
    AnswersLate,
}

impl Oddity {
    /// All that cost no time.
    pub const ALL: [Self; 13] = [
        Self::LowerCaseHeaders,
        Self::SpacesAroundColons,
        Self::BareLineFeeds,
        Self::NoEndOfLineAfterTheSession,
        Self::OneByteAtATime,
        Self::Continue,
        Self::LargePollingByte,
        Self::Chunks,
        Self::RefusesKeepAlive,
        Self::EndsWithTheConnection,
        Self::ThreeRepliesPerConnection,
        Self::SilentlyThreeReplies,
        Self::TwoRepliesInOnePiece,
    ];

    /// Whether clients need more than one connection.
    pub fn closes(self) -> bool {
        self.replies_per_connection() < u32::MAX
    }

    fn replies_per_connection(self) -> u32 {
        match self {
            Self::RefusesKeepAlive | Self::EndsWithTheConnection => 1,
            Self::ThreeRepliesPerConnection | Self::SilentlyThreeReplies => 3,
            _ => u32::MAX,
        }
    }

    /// A reply in this server's words.
    fn reply(self, content: &[u8], last: bool) -> Vec<u8> {
        let len = content.len();
        let mut content = content.to_vec();
        let head = match self {
            Self::LowerCaseHeaders => {
                format!("HTTP/1.1 200 OK\r\ncontent-type:application/x-fcs\r\ncontent-length:{len}\r\n\r\n")
            }
            Self::SpacesAroundColons => {
                format!("HTTP/1.1 200 Fine\r\nContent-Language : x\r\nCONTENT-Length \t:   {len}  \r\n\r\n")
            }
            Self::BareLineFeeds => format!("HTTP/1.1 200 OK\nContent-Length: {len}\n\n"),
            Self::Continue => {
                format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n")
            }
            Self::Chunks => {
                let (left, right) = content.split_at(len / 2);
                let mut chunks = Vec::new();
                for part in [left, right].into_iter().filter(|part| !part.is_empty()) {
                    chunks.extend(format!("{:X};a=b\r\n", part.len()).bytes());
                    chunks.extend(part);
                    chunks.extend(b"\r\n");
                }
                chunks.extend(b"0\r\nTrailer: x\r\n\r\n");
                content = chunks;
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()
            }
            Self::EndsWithTheConnection => "HTTP/1.0 200 OK\r\nServer: old\r\n\r\n".to_owned(),
            Self::RefusesKeepAlive => {
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n")
            }
            Self::ThreeRepliesPerConnection if last => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nconnection: CLOSE\r\n\r\n")
            }
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n"),
        };
        [head.as_bytes(), &content].concat()
    }
}

/// Puts an odd server in front of a good one; returns its port.
pub fn in_front_of(good: u16, oddity: Oddity) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            thread::spawn(move || {
                if let Err(error) = pass_on(&client, good, oddity) {
                    println!("{oddity:?}: {error}");
                }
            });
        }
    });
    port
}

fn pass_on(client: &TcpStream, good: u16, oddity: Oddity) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(("127.0.0.1", good))?;
    server.set_nodelay(true)?;
    let mut requests = BufReader::new(client);
    let mut replies = BufReader::new(&server);
    let mut kept = Vec::new();
    for count in 1.. {
        let Some((head, body)) = read(&mut requests)? else { break };
        if oddity == Oddity::AnswersLate {
            thread::sleep(Duration::from_millis(300));
        }
        (&server).write_all(&[head.as_bytes(), &body].concat())?;
        let Some((_, mut content)) = read(&mut replies)? else { break };
        let opens = head.starts_with("POST /open");
        if opens && oddity == Oddity::NoEndOfLineAfterTheSession {
            content.truncate(content.trim_ascii_end().len());
        }
        if !opens && oddity == Oddity::LargePollingByte {
            content[0] = 0xFF;
        }
        let last = count == oddity.replies_per_connection();
        kept.extend(oddity.reply(&content, last));
        // As long as more requests are there, so are more replies.
        if oddity == Oddity::TwoRepliesInOnePiece && !requests.buffer().is_empty() {
            continue;
        }
        write(client, &std::mem::take(&mut kept), oddity)?;
        if last {
            break;
        }
    }
    Ok(())
}

fn write(mut client: &TcpStream, reply: &[u8], oddity: Oddity) -> io::Result<()> {
    if oddity != Oddity::OneByteAtATime {
        return client.write_all(reply);
    }
    for (at, byte) in reply.iter().enumerate() {
        client.write_all(&[*byte])?;
        // Long enough for the first bytes to travel alone.
        if at < 4 {
            thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}

/// A request or a reply of the good server: head and body.
fn read(input: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if input.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some((head, body)))
}
