use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::*;
use socket2::Socket;

use crate::{
    net::{Channel, ProxyDialog, blocking, run},
    transport::deadline::Deadline,
};

const V4: &str = "192.0.2.7:1935";
const V6: &str = "[2001:db8::7]:1935";

fn proxy(text: &str) -> Proxy {
    let parts = split(text.as_bytes());
    let port = parts
        .port
        .map_or(default_port(text.as_bytes()), |port| std::str::from_utf8(port).unwrap().parse().unwrap());
    Proxy::new(parts.host, port).unwrap()
}

fn to(address: &str) -> Target<'static> {
    Target::Address(address.parse().unwrap())
}

fn name() -> Target<'static> {
    Target::Name(b"example.com", 1935)
}

/// The messages to a proxy with these replies, each of which ends with a message of ours or the connection.
fn talk(proxy: &Proxy, target: Target<'_>, replies: &[&[u8]]) -> Result<Vec<Vec<u8>>> {
    let mut negotiation = proxy.negotiation(target)?;
    let mut said = vec![negotiation.greeting()];
    for (index, reply) in replies.iter().enumerate() {
        // A reply is complete only with its last byte.
        for end in 0..reply.len() {
            assert_eq!(negotiation.receive(&reply[..end])?, None, "reply {index} cut at {end}");
        }
        let with_more = [reply, &b"\x03 of the server"[..]].concat();
        match negotiation.receive(&with_more)? {
            Some((used, Next::Send(bytes))) => {
                assert_eq!(used, reply.len());
                said.push(bytes);
            }
            Some((used, Next::Receive)) => assert_eq!(used, reply.len()),
            Some((used, Next::Done)) => {
                assert_eq!((used, index + 1), (reply.len(), replies.len()));
                return Ok(said);
            }
            None => panic!("reply {index} is complete"),
        }
    }
    panic!("the negotiation wants more than {} replies", replies.len());
}

fn refusal(proxy: &Proxy, replies: &[&[u8]]) -> String {
    let mut negotiation = proxy.negotiation(to(V4)).unwrap();
    let mut result = Ok(None);
    for reply in replies {
        result = negotiation.receive(reply);
    }
    result.unwrap_err().to_string()
}

#[test]
fn port_follows_the_host_in_the_text_of_a_proxy() {
    let cases = [
        ("proxy", "proxy", None, 1080),
        ("proxy:99", "proxy", Some("99"), 1080),
        ("a:b:5", "a", Some("b:5"), 1080),
        ("user@proxy:5", "user@proxy", Some("5"), 1080),
        (":5", "", Some("5"), 1080),
        ("[::1]:1081", "[::1]", Some("1081"), 1080),
        ("[::1]", "[::1]", None, 1080),
        ("[::1", "[", Some(":1"), 1080),
        ("socks5://proxy:99/", "socks5://proxy", Some("99"), 1080),
        ("socks5://u:p@proxy", "socks5://u:p@proxy", None, 1080),
        ("socks4a://u@[::1]:9", "socks4a://u@[::1]", Some("9"), 1080),
        ("HTTP://u:p:q@r@proxy:9", "HTTP://u:p:q@r@proxy", Some("9"), 80),
        ("https://proxy", "https://proxy", None, 443),
    ];
    for (text, host, port, default) in cases {
        let parts = split(text.as_bytes());
        assert_eq!((parts.host, parts.port), (host.as_bytes(), port.map(str::as_bytes)), "{text}");
        assert_eq!(default_port(text.as_bytes()), default, "{text}");
        assert_eq!(parts.is_url, text.contains("://"));
        // Splitting again changes nothing.
        assert_eq!(split(parts.host).host, parts.host, "{text}");
    }
}

#[test]
fn proxy_text_is_split_into_its_parts() {
    let text = |text: &str| {
        let Proxy { kind, host, port, user, password } = proxy(text);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        format!("{kind:?} {} {port} {} {}", text(&host), text(&user), text(&password))
    };
    assert_eq!(text("proxy"), "Socks4 proxy 1080  ");
    assert_eq!(text("socks4://me@proxy:1"), "Socks4 proxy 1 me ");
    assert_eq!(text("Socks4a://[::1]:1"), "Socks4a ::1 1  ");
    assert_eq!(text("socks5://me:p%40s%3as%zz%@proxy"), "Socks5 proxy 1080 me p@s:s%zz%");
    assert_eq!(text("socks5h://me:a:b@c@proxy"), "Socks5 proxy 1080 me a:b@c");
    assert_eq!(text("http://proxy"), "Http proxy 80  ");
    assert_eq!(text("https://me:p@proxy"), "Https proxy 443 me p");
}

#[test]
fn invalid_proxy_is_refused() {
    for (text, port) in [
        ("", 1080),
        ("proxy", 0),
        ("proxy:x", 1080),
        ("socks5://", 1080),
        ("socks5://u:p@", 1080),
        ("ftp://proxy", 21),
        ("://proxy", 1080),
    ] {
        assert!(Proxy::new(text.as_bytes(), port).is_err(), "{text}");
    }
    assert!(Proxy::new(b"::1", 1080).is_ok(), "a program may have stored an address without brackets");
}

#[test]
fn a_password_is_not_shown() {
    let proxy = proxy("socks5://me:secret@[::1]:99");
    assert_eq!(format!("{proxy}"), "SOCKS5 proxy: [::1]:99");
    assert!(!format!("{proxy:?}").contains("secret"));
    assert!(!proxy.failed(Error::TimedOut).to_string().contains("secret"));
}

#[test]
fn socks4_sends_the_address_and_socks4a_the_name() {
    let granted = b"\0\x5a\0\0\0\0\0\0";
    let said = talk(&proxy("proxy"), to("207.255.255.255:1999"), &[granted]).unwrap();
    assert_eq!(said, [b"\x04\x01\x07\xcf\xcf\xff\xff\xff\0"]);
    let said = talk(&proxy("socks4://me@proxy"), to(V4), &[granted]).unwrap();
    assert_eq!(said, [b"\x04\x01\x07\x8f\xc0\x00\x02\x07me\0"]);
    let said = talk(&proxy("socks4a://proxy"), name(), &[granted]).unwrap();
    assert_eq!(said, [b"\x04\x01\x07\x8f\0\0\0\x01\0example.com\0"]);
    let said = talk(&proxy("proxy"), to("[::ffff:192.0.2.7]:1935"), &[granted]).unwrap();
    assert_eq!(said, [b"\x04\x01\x07\x8f\xc0\x00\x02\x07\0"]);
    assert!(matches!(proxy("proxy").negotiation(to(V6)), Err(Error::Unsupported(_))));
    assert!(proxy("socks4://me:secret@proxy").negotiation(to(V4)).is_err());
    assert!(proxy("socks4://m%00e@proxy").negotiation(to(V4)).is_err());
}

#[test]
fn every_code_of_socks4_but_one_is_a_refusal() {
    for code in (0..=255_u8).filter(|code| *code != 90) {
        let error = refusal(&proxy("proxy"), &[&[0, code, 0, 0, 0, 0, 0, 0]]);
        assert!(error.starts_with(&format!("SOCKS returned error code {code}, ")), "{error}");
    }
    let error = refusal(&proxy("proxy"), &[b"HTTP/1.0"]);
    assert_eq!(error, "this is no SOCKS4 reply, it starts with 0x48");
}

#[test]
fn socks5_sends_names_and_addresses() {
    let plain = proxy("socks5://proxy");
    let method = b"\x05\0";
    let short = b"\x05\0\0\x01\0\0\0\0\0\0";
    let said = talk(&plain, name(), &[method, short]).unwrap();
    assert_eq!(said, [&b"\x05\x01\0"[..], b"\x05\x01\0\x03\x0bexample.com\x07\x8f"]);
    let long = [&b"\x05\0\0\x04"[..], &[0; 18]].concat();
    let said = talk(&plain, to(V4), &[method, &long]).unwrap();
    assert_eq!(said[1], b"\x05\x01\0\x01\xc0\x00\x02\x07\x07\x8f");
    let named = b"\x05\0\0\x03\x04name\0\0";
    let said = talk(&plain, to(V6), &[method, named]).unwrap();
    assert_eq!(said[1], b"\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x07\x8f");
}

#[test]
fn socks5_logs_in_when_the_proxy_wants_it() {
    let with_user = proxy("socks5://me:secret@proxy");
    let granted = b"\x05\0\0\x01\0\0\0\0\0\0";
    let said = talk(&with_user, to(V4), &[b"\x05\x02", b"\x01\0", granted]).unwrap();
    assert_eq!(said[0], b"\x05\x02\0\x02");
    assert_eq!(said[1], b"\x01\x02me\x06secret");
    assert_eq!(talk(&with_user, to(V4), &[b"\x05\0", granted]).unwrap().len(), 2);
    let long = format!("socks5://{}:p@proxy", "u".repeat(256));
    assert!(matches!(proxy(&long).negotiation(to(V4)), Err(Error::TooLarge(_))));
}

#[test]
fn socks5_refusal_has_its_reason() {
    let (plain, with_user) = (proxy("socks5://proxy"), proxy("socks5://u:p@proxy"));
    let cases: [(&Proxy, &[&[u8]], &str); 7] = [
        (&plain, &[b"\x05\xff"], "the proxy wants a user name and password"),
        (&plain, &[b"\x05\x02"], "unknown SOCKS5 method 2"),
        (&with_user, &[b"\x05\xff"], "the proxy takes no user name and password"),
        (&with_user, &[b"\x05\x02", b"\x01\x01"], "user name or password is wrong"),
        (&plain, &[b"\x04"], "this is no SOCKS5 reply, it starts with 0x04"),
        (&with_user, &[b"\x05\x02", b"\x05\x00"], "this is no SOCKS5 reply, it starts with 0x05"),
        (&plain, &[b"\x05\0", b"\x05\0\0\x02\0"], "unknown SOCKS5 address type 2"),
    ];
    for (proxy, replies, text) in cases {
        assert_eq!(refusal(proxy, replies), text);
    }
    for code in 1..=255_u8 {
        let error = refusal(&plain, &[b"\x05\0", &[5, code]]);
        assert!(error.starts_with(&format!("SOCKS returned error code {code}, ")), "{error}");
    }
    assert!(refusal(&plain, &[b"\x05\0", b"\x05\x05"]).ends_with("connection refused"));
}

#[test]
fn http_asks_for_a_connection_and_logs_in() {
    let granted = b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n";
    let said = talk(&proxy("http://proxy"), name(), &[granted]).unwrap();
    assert_eq!(said, [b"CONNECT example.com:1935 HTTP/1.1\r\nHost: example.com:1935\r\n\r\n"]);
    let said = talk(&proxy("http://Aladdin:open%20sesame@proxy"), to(V6), &[granted]).unwrap();
    let text = "CONNECT [2001:db8::7]:1935 HTTP/1.1\r\nHost: [2001:db8::7]:1935\r\n\
                Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&said[0]), text);
    assert!(proxy("http://a%3ab:c@proxy").negotiation(name()).is_err());
}

#[test]
fn http_replies_may_be_old_or_interim() {
    let plain = proxy("http://proxy");
    assert!(talk(&plain, name(), &[b"HTTP/1.0 200 \r\n\r\n"]).is_ok());
    assert!(talk(&plain, name(), &[b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 Fine\r\n\r\n"]).is_ok());
}

#[test]
fn every_http_status_but_success_is_a_refusal() {
    let plain = proxy("http://proxy");
    for code in (300..=999).chain([101]) {
        let error = refusal(&plain, &[format!("HTTP/1.1 {code} No\x1b way\r\n\r\n").as_bytes()]);
        let refused =
            error == format!("the proxy refuses: {code} ") || error.starts_with("this is no HTTP reply: ");
        assert!(refused, "{error}");
        let error = refusal(&plain, &[format!("HTTP/1.1 {code} No way\r\n\r\n").as_bytes()]);
        assert_eq!(error, format!("the proxy refuses: {code} No way"));
    }
    let many = format!("HTTP/1.1 200 Fine\r\n{}\r\n", "a: b\r\n".repeat(65));
    for garbage in [many.as_bytes(), b"\0\x5a\0\0\0\0\0\0", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"] {
        let error = refusal(&plain, &[garbage]);
        assert!(error.starts_with("this is no HTTP reply: "), "{error}");
    }
}

#[test]
fn names_cannot_smuggle_anything_into_a_request() {
    let long = "a".repeat(256);
    for kind in ["socks4a", "socks5", "http"] {
        let proxy = proxy(&format!("{kind}://proxy"));
        for host in ["", "a b", "a\r\nHost: b", "a\0b", "ä", &long] {
            assert!(matches!(proxy.target(host.as_bytes(), 1), Err(Error::Unresolved(_))), "{host}");
        }
        assert_eq!(proxy.target(b"localhost", 1).unwrap(), Target::Name(b"localhost", 1));
        assert_eq!(proxy.target(b"::1", 1).unwrap(), to("[::1]:1"));
    }
}

#[test]
fn socks4_looks_names_up_and_leaves_unknown_ones_to_the_proxy() {
    // Resolvers refuse a label that is too long.
    let unknown = "a".repeat(64);
    let named = [&b"\x04\x01\x00\x05\0\0\0\x01\0"[..], unknown.as_bytes(), b"\0"].concat();
    let local = b"\x04\x01\x00\x05\x7f\0\0\x01\0".to_vec();
    for (host, request) in [("localhost", local.clone()), ("127.1", local), (&unknown, named)] {
        let (socket, script) = scripted(move |mut client| {
            let mut said = vec![0; request.len()];
            client.read_exact(&mut said).unwrap();
            assert_eq!(said, request);
            client.write_all(b"\0\x5a\0\0\0\0\0\0").unwrap();
        });
        let deadline = Deadline::after(Some(PATIENCE));
        ask(&proxy("proxy"), socket, host.as_bytes(), 5, deadline).unwrap();
        script.join().unwrap();
    }
}

/// A proxy that runs a script with its one client.
fn scripted<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Socket, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // As Windows wants it.
    socket.set_nonblocking(true).unwrap();
    (socket.into(), thread::spawn(move || script(listener.accept().unwrap().0)))
}

fn open(kind: &str, socket: Socket, limit: Duration) -> Result<Socket> {
    ask(&proxy(kind), socket, b"192.0.2.7", 1935, Deadline::after(Some(limit)))
}

/// Lets the proxy at the other end of `socket` connect us to a server. The socket is in blocking mode afterwards.
fn ask(proxy: &Proxy, socket: Socket, host: &[u8], port: u16, deadline: Deadline) -> Result<Socket> {
    let (deadline, now) = (deadline.moment(), Instant::now());
    let channel = Channel::new(Arc::new(socket));
    let dialog = ProxyDialog::begin(proxy.clone(), channel, host.to_vec(), port, deadline, now)?;
    blocking(run(dialog)?.into_socket().expect("there is no TLS"))
}

const PATIENCE: Duration = Duration::from_secs(20);
const KINDS: [&str; 3] = ["proxy", "socks5://proxy", "http://proxy"];

#[test]
fn bytes_after_the_reply_stay_on_the_socket() {
    let replies: [&[u8]; 3] = [
        b"\0\x5a\0\0\0\0\0\0",
        b"\x05\0\x05\0\0\x01\0\0\0\0\0\0",
        b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 Fine\r\nVia: x\r\n\r\n",
    ];
    for (kind, reply) in KINDS.into_iter().zip(replies) {
        for pause in [false, true] {
            let (socket, script) = scripted(move |mut client| {
                let said = [reply, b"from the server"].concat();
                for part in said.chunks(if pause { 1 } else { said.len() }) {
                    client.write_all(part).unwrap();
                    if pause {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                // Kept open until the other side has closed: closing with unread bytes would reset the connection.
                let _ = client.read_to_end(&mut Vec::new());
            });
            let mut stream = TcpStream::from(open(kind, socket, PATIENCE).unwrap());
            let mut rest = [0; 15];
            stream.read_exact(&mut rest).unwrap();
            assert_eq!(&rest, b"from the server", "{kind}");
            drop(stream);
            script.join().unwrap();
        }
    }
}

#[test]
fn silent_proxy_fails_at_the_deadline() {
    for kind in KINDS {
        let (socket, script) = scripted(|mut client| client.read_to_end(&mut Vec::new()).map(|_| ()));
        let start = Instant::now();
        let error = open(kind, socket, Duration::from_millis(300)).unwrap_err().to_string();
        let spent = start.elapsed();
        assert!(
            error.contains("negotiation failed. proxy:") && error.ends_with("no answer in time"),
            "{error}"
        );
        assert!(spent >= Duration::from_millis(290) && spent < PATIENCE, "{spent:?}");
        script.join().unwrap().unwrap();
    }
}

#[test]
fn single_bytes_do_not_extend_the_deadline() {
    let (socket, script) = scripted(|mut client| {
        // A header without end.
        let _ = client.write_all(b"HTTP/1.1 200 Fine\r\nX: ");
        while client.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let start = Instant::now();
    let error = open("http://proxy", socket, Duration::from_millis(400)).unwrap_err().to_string();
    assert!(error.ends_with("no answer in time"), "{error}");
    assert!(start.elapsed() < PATIENCE);
    script.join().unwrap();
}

#[test]
fn a_proxy_that_hangs_up_halfway_is_an_error() {
    for (kind, reply) in KINDS.into_iter().zip([&b"\0\x5a\0"[..], b"\x05\0\x05", b"HTTP/1.1 200 Fi"]) {
        for reply in [&b""[..], reply] {
            let (socket, script) = scripted(move |mut client| {
                client.write_all(reply).unwrap();
                client.shutdown(std::net::Shutdown::Write).unwrap();
                let _ = client.read_to_end(&mut Vec::new());
            });
            let error = open(kind, socket, PATIENCE).unwrap_err().to_string();
            assert!(error.ends_with("the proxy closed the connection"), "{error}");
            script.join().unwrap();
        }
    }
}

#[test]
fn a_reply_without_an_end_is_given_up() {
    for start in ["HTTP/1.1 200 Fine\r\nX: ", "HTTP/1.1 100 \r\n\r\n"] {
        let (socket, script) =
            scripted(move |mut client| while client.write_all(start.as_bytes()).is_ok() {});
        let error = open("http://proxy", socket, PATIENCE).unwrap_err().to_string();
        assert!(error.ends_with("the reply is too large") || error.contains("no HTTP reply"), "{error}");
        script.join().unwrap();
    }
}
