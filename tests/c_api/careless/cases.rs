//! The scenarios of `tests/c/careless.c` and `tests/c/misuse.c`, and the servers that they connect to.
#![allow(dead_code)] // every test binary uses a part of this module

use std::time::Duration;

use crate::support::amf::Value;
use crate::support::wire::Message;
use crate::support::{Peer, Server};

/// The time that a server waits for a program that may run under valgrind.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The server's behaviour on each connection of a program.
pub type Script = fn(&mut Peer, usize);

/// A run of a program.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// The first argument.
    pub name: &'static str,
    /// The number of its connections.
    pub connections: usize,
    pub server: Script,
}

impl Scenario {
    /// Starts its server, which exists even if the program does not connect.
    pub fn serve(self) -> Server<()> {
        Server::listen(move |listener| {
            for connection in 0..self.connections {
                (self.server)(&mut Peer::accept(listener), connection);
            }
        })
    }
}

/// The scenarios of `misuse.c`.
pub const MISUSE: &[Scenario] = &[
    offline("closed"),
    offline("literal"),
    offline("bodies"),
    offline("chunks"),
    offline("queued"),
    offline("handled"),
    offline("piece"),
    offline("socket"),
    offline("write"),
    offline("gone"),
    offline("threads"),
    offline("options"),
    Scenario { name: "used", connections: 1, server: film },
    Scenario { name: "zeroed", connections: 1, server: film },
    Scenario { name: "cleared", connections: 1, server: film },
    Scenario { name: "twice", connections: 3, server: film_without_a_name_at_last },
    Scenario { name: "reconnect", connections: 2, server: large_chunks_first },
    Scenario { name: "leftover", connections: 1, server: film },
    Scenario { name: "double", connections: 1, server: film },
    Scenario { name: "freed", connections: 1, server: film },
    Scenario { name: "moved", connections: 1, server: film },
];

const fn offline(name: &'static str) -> Scenario {
    Scenario { name, connections: 0, server: |_, _| {} }
}

/// A few frames of several chunks each.
fn send_film(peer: &mut Peer) {
    for frame in 0..20_u32 {
        peer.send(&Message::new(6, frame * 40, 9, 1, &[frame as u8; 700]));
        peer.send(&Message::new(5, frame * 40, 8, 1, &[frame as u8; 60]));
    }
}

fn film(peer: &mut Peer, _: usize) {
    peer.accept_play();
    send_film(peer);
    peer.finish();
    peer.drain(LIMIT);
}

/// `RTMP_Close` frees the stream's name: the next connection requests a stream without one.
fn film_without_a_name_at_last(peer: &mut Peer, connection: usize) {
    peer.accept_connect();
    peer.accept_create();
    let play = peer.wait_for("play");
    let name = if connection == 2 { "" } else { "stream" };
    assert_eq!(play.get(3), Some(&Value::Text(name.to_owned())), "connection {connection}");
    peer.status(1, "status", "NetStream.Play.Start", "");
    send_film(peer);
    peer.drain(LIMIT);
}

fn large_chunks_first(peer: &mut Peer, connection: usize) {
    peer.accept_play();
    if connection == 0 {
        peer.set_chunk_size(65_536);
    }
    for time in [0, 40] {
        peer.send(&Message::new(6, time, 9, 1, &[0x17; 600]));
    }
    peer.finish();
    peer.drain(LIMIT);
}
