//! A relay that keeps every byte, to show what is readable on the wire.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A relay with its own port.
pub struct Wiretap {
    pub port: u16,
    connections: Arc<Mutex<Vec<Recording>>>,
}

/// What passed on one connection.
#[derive(Clone, Default)]
pub struct Recording {
    pub from_client: Arc<Mutex<Vec<u8>>>,
    pub from_server: Arc<Mutex<Vec<u8>>>,
}

impl Wiretap {
    /// Relays to a port of this machine, as long as the process lives.
    pub fn in_front_of(behind: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let connections = Arc::<Mutex<Vec<Recording>>>::default();
        let all = connections.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { continue };
                let recording = Recording::default();
                all.lock().expect("nobody panics holding this lock").push(recording.clone());
                relay(&client, &server, recording.from_client);
                relay(&server, &client, recording.from_server);
            }
        });
        Self { port, connections }
    }

    /// `<protocol>://…/<path>` through the relay.
    pub fn url(&self, protocol: &str, path: &str) -> String {
        format!("{protocol}://127.0.0.1:{}/{path}", self.port)
    }

    /// What each connection has carried so far, from the client and from the server.
    pub fn recordings(&self) -> Vec<[Vec<u8>; 2]> {
        let copy = |bytes: &Mutex<Vec<u8>>| bytes.lock().expect("nobody panics holding this lock").clone();
        let connections = self.connections.lock().expect("nobody panics holding this lock");
        connections.iter().map(|one| [copy(&one.from_client), copy(&one.from_server)]).collect()
    }

    /// Panics unless there were connections, and none of them shows words of RTMP.
    pub fn assert_unreadable(&self, what: &str) {
        let recordings = self.recordings();
        assert!(!recordings.is_empty(), "{what}: nothing passed");
        for bytes in recordings.iter().flatten() {
            for word in [&b"connect"[..], b"NetConnection", b"NetStream", b"onMetaData", b"127.0.0.1/"] {
                let readable = bytes.windows(word.len()).any(|window| window == word);
                assert!(!readable, "{what}: {} can be read on the wire", String::from_utf8_lossy(word));
            }
        }
    }
}

fn relay(from: &TcpStream, to: &TcpStream, keep: Arc<Mutex<Vec<u8>>>) {
    let clone = |stream: &TcpStream| stream.try_clone().expect("sockets can be shared");
    let (mut from, mut to) = (clone(from), clone(to));
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let mut part = [0; 65536];
        while let Ok(n @ 1..) = from.read(&mut part) {
            keep.lock().expect("nobody panics holding this lock").extend_from_slice(&part[..n]);
            if to.write_all(&part[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    });
}
