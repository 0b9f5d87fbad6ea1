//! Servers for one connection each, in threads.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
    time::Duration,
};

use rtmp_core::{
    net::{Target, Tunnels},
    transport::tls::ServerContext,
};

use crate::pumps;

/// A peer that does not end is an error of the test.
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

/// Serves tunnels, in TLS if there is a context: `handle` gets the session's stream.
pub fn serve_tunnel(
    context: Option<ServerContext>,
    handle: impl Fn(&UnixStream) + Send + Sync + 'static,
) -> u16 {
    pumps::serve(&Tunnels::new(16, GUARD), context, GUARD, handle)
}
