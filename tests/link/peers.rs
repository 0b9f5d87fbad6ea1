//! Servers of one connection each, in threads.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rtmp_core::{
    net::Target,
    transport::{
        deadline::Deadline,
        tunnel::{
            Link as HttpLink,
            server::{Accepted, Registry},
        },
    },
};

/// A peer that hangs is an error of the test.
const GUARD: Duration = Duration::from_secs(60);

/// Runs `script` with the first client; the port, and the script's result.
pub fn serve<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let thread = thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client comes");
        prepare(&client);
        script(client)
    });
    (port, thread)
}

pub fn prepare(client: &TcpStream) {
    client.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
    client.set_read_timeout(Some(GUARD)).expect("a positive time-out");
    client.set_write_timeout(Some(GUARD)).expect("a positive time-out");
}

/// A target on this machine.
pub fn to(port: u16) -> Target {
    Target { timeout: Some(Duration::from_secs(30)), ..Target::new(b"127.0.0.1", port) }
}

/// Reads exactly `count` bytes.
pub fn read(client: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).expect("the link sends as much");
    bytes
}

/// Reads an HTTP head, byte by byte.
pub fn read_head(client: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).expect("heads are text"))
}

/// Reads a request of a tunnel: its path and its body.
pub fn read_request(client: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let head = read_head(client)?;
    let path = head.split(' ').nth(1).expect("a request has a path").to_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-length: "));
    let length = length.expect("requests have a length").parse().expect("it is a number");
    Some((path, read(client, length)))
}

/// Sends a reply of a tunnel.
pub fn reply(client: &mut impl Write, connection: &str, content: &[u8]) {
    let head =
        format!("HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n", content.len());
    client.write_all(&[head.as_bytes(), content].concat()).expect("the link takes it");
}

/// Serves a tunnel: `accept` makes HTTP connections of sockets, `handle` gets the session's stream.
pub fn serve_tunnel(
    accept: impl Fn(TcpStream) -> Option<Arc<dyn HttpLink>> + Send + Sync + 'static,
    handle: impl Fn(std::os::unix::net::UnixStream) + Send + Sync + 'static,
) -> u16 {
    let registry: &'static Registry = Box::leak(Box::new(Registry::new(GUARD, 16, 64)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let (accept, handle) = (Arc::new(accept), Arc::new(handle));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a client comes");
            prepare(&stream);
            let (accept, handle) = (accept.clone(), handle.clone());
            thread::spawn(move || {
                let Some(link) = accept(stream) else { return };
                let mut random = [0; 16];
                getrandom::fill(&mut random).expect("the system has random bytes");
                match registry.accept(link, &[], random, Deadline::NEVER) {
                    Ok(Accepted::Session(fd)) => handle(fd.into()),
                    Ok(Accepted::Joined) => {}
                    Err(error) => println!("not accepted: {error}"),
                }
            });
        }
    });
    port
}
