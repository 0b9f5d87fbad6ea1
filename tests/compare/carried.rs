//! Sessions over HTTP, RTMPE and TLS: their contents have to be the same as over plain RTMP, and the layers
//! around them the same as with librtmp 2.4.

use super::cases::{COMMANDS, Case, MESSAGES};
use super::endings::ENDINGS;
use super::incoming::INCOMING;
use super::session::Session;
use super::support::Peer;
use super::support::amf::{Value, n, s};
use super::support::peer::PATIENCE;
use super::support::wire::Message;
use super::ways::Way;

/// All of them, with their ways.
pub fn all() -> impl Iterator<Item = (Session, Way)> {
    WAYS.iter().flat_map(|(way, lists)| {
        let cases = lists.iter().copied().flatten().filter(|case| !is_left_out(case.name, *way));
        cases.map(|case| (session(case), *way))
    })
}

fn session(case: &'static Case) -> Session {
    Session { name: case.name, steps: case.steps, connections: std::slice::from_ref(&case.server) }
}

const WAYS: &[(Way, &[&[Case]])] = &[
    (Way::TUNNELLED, &[COMMANDS, MESSAGES, INCOMING, ENDINGS, FILMS, LARGE_FILMS, REPLIES, SILENCE]),
    (Way::ENCRYPTED, &[COMMANDS, MESSAGES, ENDINGS, FILMS, LARGE_FILMS]),
    (Way::ENCRYPTED_TUNNELLED, &[COMMANDS, FILMS, LARGE_FILMS, REPLIES]),
    (Way::TLS, &[COMMANDS, MESSAGES, ENDINGS, FILMS, LARGE_FILMS]),
    (Way::TLS_TUNNELLED, &[COMMANDS, FILMS, REPLIES]),
];

fn is_left_out(name: &str, way: Way) -> bool {
    let silence = SILENT.contains(&name) && way != Way::ENCRYPTED;
    silence || UNTRANSLATABLE.contains(&name)
}

/// Sessions that wait for nothing. Through a tunnel the original asks forever (`tunnel-of-silence`), and with TLS it
/// closes the connection.
const SILENT: &[&str] = &[
    "pause-and-seek",
    "end-through-media-after-pause",
    "silence",
    "refused-connect",
    "refused-publish",
    "chunk-size-zero",
    "read-until-silence",
    "read-nothing-until-silence",
];

/// Sessions about the layers around messages: bytes of the socket, memory, their own tunnel.
const UNTRANSLATABLE: &[&str] = &[
    "acknowledgement",
    "unread-bytes",
    "publishing-to-nobody",
    "read-until-memory-runs-out",
    "tunnel-without-answers",
];

/// More than a few messages, small and large.
const FILMS: &[Case] = &[
    Case {
        name: "film-to-the-end",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nread 1000\nread 65536\n\
                read 65536\nread 65536\nread 65536\nclose\n",
        server: |peer| {
            peer.accept_play();
            for (time, size) in (0..).map(|number| number * 40).zip(SIZES) {
                peer.send(&Message::new(6, time, 9, 1, &vec![0x27; size]));
                peer.send(&Message::new(4, time, 8, 1, &[0xaf, 1, 2, 3]));
            }
            peer.status(1, "status", "NetStream.Play.Complete", "the end");
        },
    },
    Case {
        name: "film-to-a-server",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                write 1200000e0000000000000002000a6f6e4d657461446174610500000019\n\
                tag 9 0 5\ntag 8 0 10\ntag 9 40 128\ntag 8 40 129\ntag 9 80 5000\ntag 8 80 10\ntag 9 16777216 10\n\
                packet\ndelete\nclose\n",
        server: film_from_a_publisher,
    },
];

/// Through a tunnel with TLS, librtmp 2.4 announces the length of a message and sends only its first record.
const LARGE_FILMS: &[Case] = &[
    Case {
        name: "large-film-to-a-server",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                tag 9 0 20000\ntag 8 0 10\ntag 9 40 70000\ntag 8 40 300\ntag 9 16777216 10\npacket\nclose\n",
        server: film_from_a_publisher,
    },
    Case {
        name: "large-film-to-a-server-in-large-chunks",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                send 1 2 0 0 0 0 00010000\nset outChunkSize 65536\ntag 9 0 5\ntag 8 0 10\ntag 9 40 65536\n\
                tag 9 80 200000\ntag 8 80 10\ntag 9 16777216 10\npacket\nclose\n",
        server: film_from_a_publisher,
    },
];

/// Tells a publisher when its last message has arrived: bytes that the system has not sent when librtmp 2.4
/// closes are lost.
fn film_from_a_publisher(peer: &mut Peer) {
    peer.accept_publish();
    while peer.next(PATIENCE).expect("the film has an end").timestamp != 16_777_216 {}
    peer.status(1, "status", "NetStream.Publish.Idle", "");
}

const SIZES: [usize; 8] = [1, 128, 129, 1000, 16_383, 16_384, 40_000, 7];

/// Through a tunnel, the server has to be asked for every reply.
const REPLIES: &[Case] = &[
    Case {
        name: "messages-in-replies-of-their-own",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\nmedia\nmedia\nmedia\n\
                packet\nclose\n",
        server: |peer| {
            peer.accept_play();
            // The client has polled twice already, and polls once more before each of the following.
            peer.part();
            peer.part();
            peer.send_control(4, &[0, 0, 0, 0, 0, 1]);
            for time in [0, 40, 80] {
                peer.part();
                peer.send(&Message::new(6, time, 9, 1, &[0x17; 300]));
            }
            peer.part();
            peer.status(1, "status", "NetStream.Play.Complete", "");
        },
    },
    Case {
        name: "polls-without-an-answer",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nmedia\nclose\n",
        server: |peer| {
            peer.accept_play();
            for time in [0, 40] {
                for _ in 0..5 {
                    peer.part();
                }
                peer.send(&Message::new(4, time, 8, 1, &[0xaf, 1, 2]));
            }
        },
    },
    Case {
        name: "message-in-pieces",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nmedia\nmedia\nclose\n",
        server: |peer| {
            peer.accept_play();
            let message = Message::new(6, 40, 9, 1, &[0x27; 1000]).chunks(128);
            // In the basic header, the message header, the body, the header of the next chunk, and without
            // any byte.
            let ends = [0, 1, 5, 12, 13, 139, 140, 141, 1018, message.len()];
            for (start, end) in [0].into_iter().chain(ends).zip(ends) {
                peer.part();
                peer.send_raw(&message[start..end]);
            }
            peer.send(&Message::new(4, 40, 8, 1, &[0xaf, 1, 2]));
            peer.part();
            peer.send(&Message::new(6, 80, 9, 1, &[0x27; 100_000]));
        },
    },
    Case {
        name: "answers-between-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\nmedia\npacket\nmedia\n\
                pause 1\nmedia\nseek 5000\nmedia\nclose\n",
        server: |peer| {
            peer.accept_play();
            peer.send_control(4, &[0, 6, 0, 0, 1, 0]);
            peer.send(&Message::new(6, 0, 9, 1, &[0x17; 300]));
            peer.invoke(0, &[s("ping"), n(9), Value::Null]);
            peer.send(&Message::new(6, 40, 9, 1, &[0x27; 300]));
            peer.wait_for("pong");
            peer.wait_for("pause");
            peer.status(1, "status", "NetStream.Pause.Notify", "");
            peer.send(&Message::new(6, 80, 9, 1, &[0x27; 300]));
            peer.wait_for("seek");
            peer.status(1, "status", "NetStream.Seek.Notify", "");
            peer.send(&Message::new(6, 5000, 9, 1, &[0x17; 300]));
        },
    },
    Case {
        name: "close-after-connect",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nclose\nclose\n",
        server: |peer| {
            peer.accept_connect();
        },
    },
    Case {
        name: "close-with-media-on-its-way",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nclose\npause 1\nmedia\n",
        server: |peer| {
            peer.accept_play();
            for time in 0..20 {
                peer.send(&Message::new(6, time, 9, 1, &[0x17; 300]));
            }
        },
    },
];

/// A server that answers every poll without data.
const SILENCE: &[Case] = &[Case {
    name: "tunnel-of-silence",
    steps: "setup rtmp://127.0.0.1:PORT/app/stream timeout=2\nconnect\nstream 0\nmedia\nclose\n",
    server: Peer::accept_play,
}];
