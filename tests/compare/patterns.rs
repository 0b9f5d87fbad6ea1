//! What programs do with a session besides calling the library: on the socket, in fields, in their own
//! packets.

use super::session::Session;
use super::support::Peer;
use super::support::wire::Message;

/// Sessions whose steps alternate between two threads, each with a small stack, while signals interrupt them,
/// like calls through the bindings of Go and Java.
pub const IN_TURNS: &[&str] = &[
    "play",
    "publish-delete-close",
    "media-messages",
    "invokes",
    "reconnect-stream",
    "end-complete",
    "chunk-size-of-its-own-accord",
    "poll-and-read-packets",
    "socket-closed-by-the-program",
];

pub const PATTERNS: &[Session] = &[
    // The name is short: librtmp 2.4 sends the connect command in one chunk, whose size it has not announced.
    Session {
        name: "chunk-size-before-connecting",
        steps: "setup rtmp://127.0.0.1:PORT/a/b\nset timeout 5\nset outChunkSize 4096\nenablewrite\nconnect\nannounce 4096\n\
                stream 0\ntag 9 40 5000\nclose\n",
        connections: &[publishing],
    },
    Session {
        name: "chunk-size-of-its-own-accord",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nannounce 4096\n\
                set outChunkSize 4096\nstream 0\ntag 9 40 5000\ntag 8 41 300\nsent 4\nsent 2\nsent 40000\nclose\nsent 4\n",
        connections: &[publishing],
    },
    Session {
        name: "poll-and-read-packets",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nnonblocking\npoll\npoll\npause 1\n\
                poll\npoll\npoll\n",
        connections: &[|peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 20, 9, 1, &[0x17; 200]));
            peer.send(&Message::new(4, 20, 8, 1, &[0xaf; 9]));
            peer.wait_for("pause");
            // Chunks that come one by one, and a message in two parts.
            peer.send(&Message::new(6, 40, 9, 1, &[0x27; 1000]));
            peer.send_raw(&[4, 0, 0, 41, 0, 0, 6, 8, 1, 0, 0, 0, 0xaf, 1]);
            peer.send_raw(&[1, 2, 3, 4]);
            peer.finish();
        }],
    },
    Session {
        name: "time-outs-of-the-socket",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 30\nconnect\nstream 0\nwaits 200\nmedia\nmedia\nmedia\n\
                pause 1\nmedia\nread 100\n",
        connections: &[|peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 20, 9, 1, &[0x17; 200]));
            peer.wait_for("pause");
            peer.send(&Message::new(6, 40, 9, 1, &[0x27; 10]));
        }],
    },
    Session {
        name: "socket-closed-by-the-program",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nsteal\nmedia\npause 1\nclose\n\
                setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nsteal\nclose\n\
                setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\ntag 9 40 50\nclose\n",
        connections: &[playing, playing, publishing],
    },
];

fn playing(peer: &mut Peer) {
    peer.accept_play();
    peer.send(&Message::new(6, 20, 9, 1, &[0x17; 200]));
}

fn publishing(peer: &mut Peer) {
    peer.accept_publish();
}
