//! Every message type and command that a server may send, to a player, to a publisher, and before either has begun.

use super::cases::Case;
use super::session::Session;
use super::support::Peer;
use super::support::amf::{self, Value, ecma, n, object, s, status};
use super::support::wire::Message;

/// One session per kind of client: messages that a server may send at any time change only their own subject.
pub const INCOMING: &[Case] = &[
    Case {
        name: "types-to-a-player",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            every_type(peer);
        },
    },
    Case {
        name: "types-to-a-publisher",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_publish();
            every_type(peer);
        },
    },
    Case {
        name: "types-while-connecting",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\nmedia\n",
        server: |peer| {
            peer.accept_connect();
            every_type(peer);
            peer.accept_create();
            every_type(peer);
            peer.wait_for("play");
            every_type(peer);
            peer.status(1, "status", "NetStream.Play.Start", "");
            peer.send(&Message::new(6, 40, 9, 1, &[0x27, 1, 1]));
        },
    },
    Case {
        name: "events-to-a-player",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nset lFlags 0x10\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            every_event(peer);
        },
    },
    Case {
        name: "events-to-a-publisher",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_publish();
            every_event(peer);
        },
    },
    Case {
        name: "events-while-connecting",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\n",
        server: |peer| {
            peer.accept_connect();
            every_event(peer);
            peer.accept_create();
            every_event(peer);
            peer.wait_for("play");
            every_event(peer);
            peer.status(1, "status", "NetStream.Play.Start", "");
        },
    },
    Case {
        name: "swf-verification",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nset SWFSize 5008\nstream 0\npacket\n\
                packet\npacket\npacket\nset SWFSize 0\npacket\n",
        server: |peer| {
            peer.accept_play();
            for body in [&[0, 0x1a, 1][..], &[0, 0x1a, 2], &[0, 0x1a, 0x80], &[0, 0x1a, 0], &[0, 0x1a, 1]] {
                peer.send_control(4, body);
            }
        },
    },
    Case {
        name: "commands-to-a-publisher",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n\
                packet\n",
        server: |peer| {
            peer.accept_publish();
            every_command(peer);
        },
    },
    Case {
        name: "commands-in-flex-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\n\
                packet\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            let null = Value::Null;
            flex(peer, 0, &[s("onBWDone"), n(0), null.clone()]);
            flex(peer, 0, &[s("_onbwcheck"), n(41), null.clone(), n(1)]);
            flex(peer, 3, &[s("ping"), n(44), null.clone()]);
            let reset = status("status", "NetStream.Play.Reset", "");
            flex(peer, 0, &[s("onStatus"), n(0), null.clone(), reset]);
            flex(peer, 0, &[s("unheardOf"), n(0)]);
            let complete = status("status", "NetStream.Play.Complete", "");
            flex(peer, 0, &[s("onStatus"), n(0), null, complete]);
        },
    },
    Case {
        name: "statuses-to-a-publisher",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_publish();
            for code in IGNORED {
                peer.status(1, "status", code, "");
            }
            peer.status(1, "status", "NetStream.Publish.Start", "");
            peer.status(1, "status", "NetStream.Pause.Notify", "");
            peer.status(1, "status", "NetStream.Seek.Notify", "");
        },
    },
    Case {
        name: "pause-notifications",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\nmedia\nset pausing 2\n\
                packet\nset pausing 3\npacket\nset pausing 0\npacket\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 1000, 9, 1, &[0x17, 1, 1, 2]));
            for _ in 0..3 {
                peer.status(1, "status", "NetStream.Pause.Notify", "");
            }
        },
    },
    Case {
        name: "results-of-every-kind",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\npause 1\nseek 100\n\
                create\npacket\npacket\npacket\npacket\nreconnect 0\n",
        server: |peer| {
            peer.accept_play();
            let pause = peer.wait_for("pause")[1].clone();
            let seek = peer.wait_for("seek")[1].clone();
            let create = peer.wait_for("createStream")[1].clone();
            let null = Value::Null;
            peer.invoke(0, &[s("_result"), seek, null.clone()]);
            peer.invoke(0, &[s("_result"), pause.clone(), null.clone(), object(&[("a", n(1))])]);
            peer.invoke(0, &[s("_result"), pause, null.clone()]);
            peer.invoke(0, &[s("_result"), create, null.clone(), n(7)]);
            // The result of a play command starts the stream without a status.
            let play = peer.wait_for("play")[1].clone();
            peer.invoke(0, &[s("_result"), play, null]);
        },
    },
    Case {
        name: "publish-started-by-a-result",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n",
        server: |peer| {
            peer.accept_connect();
            peer.accept_create();
            let publish = peer.wait_for("publish")[1].clone();
            peer.invoke(0, &[s("_result"), publish, Value::Null]);
        },
    },
    Case {
        name: "stream-ids",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\ncreate\npacket\ncreate\n\
                packet\ncreate\npacket\ndelete\n",
        server: |peer| {
            peer.accept_play();
            for id in [n(300), n(2.9), n(0)] {
                let create = peer.wait_for("createStream")[1].clone();
                peer.invoke(0, &[s("_result"), create, Value::Null, id]);
            }
        },
    },
    Case {
        name: "metadata-of-every-kind",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            let inner = object(&[("deep", object(&[("duration", n(7.25))]))]);
            let unknown = object(&[("video", n(1)), ("audio", n(1)), ("durations", n(1))]);
            let codecs = object(&[("videodatarate", n(1)), ("audiosamplerate", n(1))]);
            let bodies = [
                amf::encode(&[s("onMetaData"), inner]),
                amf::encode(&[s("onMetaData"), unknown]),
                amf::encode(&[s("onMetaData"), codecs]),
                amf::encode(&[s("onMetaData"), ecma(&[("duration", n(9)), ("audiocodecid", n(10))])]),
                amf::encode(&[s("@setDataFrame"), s("onMetaData"), ecma(&[("duration", n(1))])]),
                amf::encode(&[s("|RtmpSampleAccess"), Value::Bool(true), Value::Bool(true)]),
                amf::encode(&[n(1), s("onMetaData")]),
                b"\x02\x00\x0aonMetaData\x03\x00\x01".to_vec(),
            ];
            for body in bodies {
                peer.send(&Message::new(5, 10, 0x12, 1, &body));
            }
        },
    },
    Case {
        name: "times-of-chunk-streams",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\nmedia\nmedia\nmedia\nmedia\n\
                media\npause 1\n",
        server: |peer| {
            peer.accept_play();
            let all = [(4, 8, 0), (6, 9, 40), (4, 8, 0xff_ffff), (6, 9, 0x0100_0000), (63, 9, 5)];
            for (chunk_stream, kind, time) in all {
                peer.send(&Message::new(chunk_stream, time, kind, 1, &[0xaf, 1, 1, 2]));
            }
        },
    },
    Case {
        name: "acknowledgement",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\nset clientBW 40000\npause 1\n\
                settle 928\nmedia\n",
        server: |peer| {
            peer.accept_play();
            peer.wait_for("pause");
            // A tenth of the bandwidth is exceeded in the middle of the body, which has arrived completely.
            peer.set_chunk_size(4096);
            peer.send(&Message::new(6, 20, 9, 1, &[0x17; 900]));
        },
    },
    Case {
        name: "refused-connect",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nconnect\nstream 0\n",
        server: |peer| {
            peer.handshake();
            peer.wait_for("connect");
            let why = status("error", "NetConnection.Connect.Rejected", "no");
            peer.invoke(0, &[s("_error"), n(1), Value::Null, why]);
        },
    },
    Case {
        name: "refused-publish",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nenablewrite\nconnect\nstream 0\n",
        server: |peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for("publish");
            peer.status(1, "error", "NetStream.Publish.BadName", "no");
        },
    },
    Case {
        name: "refused-without-description",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nenablewrite\nconnect\nstream 0\n",
        server: |peer| {
            peer.handshake();
            peer.wait_for("connect");
            let why = object(&[("level", s("error")), ("code", s("NetConnection.Connect.Rejected"))]);
            peer.invoke(0, &[s("_error"), n(1), Value::Null, why]);
        },
    },
    Case {
        name: "chunk-size-zero",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nconnect\nstream 0\npacket\nmedia\n",
        server: |peer| {
            peer.accept_play();
            peer.send_control(1, &0_u32.to_be_bytes());
            peer.send(&Message::new(6, 20, 9, 1, &[0x17, 1, 1, 2]));
        },
    },
    Case {
        name: "tunnel-without-answers",
        steps: "setup rtmpt://127.0.0.1:PORT/app/inst/stream timeout=2\nconnect\n",
        server: |peer| {
            let head = peer.read_head();
            assert!(head.starts_with("POST /open/1 HTTP/1.1\r\n"), "{head}");
        },
    },
    Case {
        name: "publishing-to-nobody",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nenablewrite\nconnect\nstream 0\npacket\n\
                write 0900000600000000000000170100000000000011\nbroken\nwrite 0900000600002800000000270100000000000011\n\
                write 0900000600005000000000270100000000000011\nwrite 0900000600007800000000270100000000000011\n",
        server: |peer| {
            peer.accept_publish();
            // The client reads this after the server has closed.
            peer.status(1, "status", "NetStream.Publish.Idle", "");
            peer.leave();
        },
    },
    Case {
        name: "unread-bytes",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\npause 1\nsettle 345\npacket\n\
                media\npacket\nmedia\n",
        server: |peer| {
            peer.accept_play();
            // The client reads nothing between its command and the time when everything has arrived.
            peer.wait_for("pause");
            // Unread bytes must be visible in sb_size: callers wait for the socket if there are none.
            peer.send(&Message::new(4, 10, 8, 1, &[0xaf; 50]));
            peer.send(&Message::new(6, 20, 9, 1, &[0x17; 200]));
            peer.send_control(4, &[0, 0, 0, 0, 0, 1]);
            peer.send(&Message::new(4, 30, 8, 1, &[0xaf; 40]));
        },
    },
];

/// Codes that a client takes note of and continues.
const IGNORED: [&str; 5] = [
    "NetStream.Play.Reset",
    "NetStream.Publish.Idle",
    "NetStream.Unpublish.Success",
    "NetStream.Record.Start",
    "NetStream.Buffer.Empty",
];

/// One message of every type that does not affect the connection, and of unknown types.
fn every_type(peer: &mut Peer) {
    peer.send_control(1, &128_u32.to_be_bytes());
    peer.send_control(3, &[0, 0, 1, 0]);
    peer.send_control(4, &[0, 0, 0, 0, 0, 1]);
    peer.send_control(5, &[0, 0x26, 0x25, 0xa0]);
    peer.send_control(6, &[0, 0x26, 0x25, 0xa0, 2]);
    peer.send(&Message::new(4, 10, 8, 1, &[0xaf, 1, 1, 2]));
    peer.send(&Message::new(6, 20, 9, 1, &[0x17, 1, 1, 2]));
    for kind in [0x0f, 0x10, 0x13] {
        peer.send(&Message::new(5, 30, kind, 1, b"\x00\x02\x00\x01x"));
    }
    let metadata = amf::encode(&[s("onMetaData"), object(&[("duration", n(12.5)), ("audiocodecid", n(2))])]);
    peer.send(&Message::new(5, 0, 0x12, 1, &metadata));
    flex(peer, 0, &[s("unheardOf"), n(0), Value::Null]);
    peer.invoke(0, &[s("unheardOf"), n(0), Value::Null]);
    // An aggregate of metadata, audio and video.
    let mut aggregate = vec![0x12, 0, 0, metadata.len() as u8, 0, 0, 30, 0, 0, 0, 0];
    aggregate.extend(&metadata);
    aggregate.extend((11 + metadata.len() as u32).to_be_bytes());
    aggregate.extend([8, 0, 0, 2, 0, 0, 40, 0, 0, 0, 0, 0xaf, 1, 0, 0, 0, 13]);
    aggregate.extend([9, 0, 0, 2, 0, 0, 60, 1, 0, 0, 0, 0x27, 1, 0, 0, 0, 13]);
    peer.send(&Message::new(7, 100, 0x16, 1, &aggregate));
    for kind in [0, 2, 7, 10, 0x15, 0x17, 0xff] {
        peer.send(&Message::new(5, 0, kind, 0, b"nobody knows this type"));
    }
}

/// Every user control event, complete and incomplete.
fn every_event(peer: &mut Peer) {
    for event in [0_u8, 1, 2, 3, 4, 6, 7, 31, 31, 32, 99] {
        peer.send_control(4, &[0, event, 0, 0, 0, 1]);
    }
    peer.send_control(4, &[0, 6, 0]);
    peer.send_control(4, &[0, 0x1a, 1]);
}

/// Every command that does not affect a publisher.
fn every_command(peer: &mut Peer) {
    let null = Value::Null;
    peer.invoke(0, &[s("onBWDone"), n(0), null.clone()]);
    peer.invoke(0, &[s("onBWDone"), n(0), null.clone()]);
    peer.invoke(0, &[s("_onbwcheck"), n(41), null.clone(), n(1)]);
    peer.invoke(0, &[s("_onbwcheck"), n(42), null.clone(), n(1)]);
    peer.invoke(0, &[s("_onbwdone"), n(43), null.clone()]);
    peer.invoke(0, &[s("ping"), n(44), null.clone()]);
    peer.invoke(0, &[s("onFCSubscribe"), n(0), null.clone(), object(&[])]);
    peer.invoke(0, &[s("playlist_ready"), n(0), null.clone()]);
    peer.invoke(0, &[s("onFCPublish"), n(0), null.clone(), status("status", "NetStream.Publish.Start", "")]);
    peer.invoke(0, &[s("_result"), n(99), null.clone()]);
    peer.invoke(0, &[s("_error"), n(99), null.clone(), status("error", "Some.Code", "some text")]);
    // The results of releaseStream and FCPublish, which are not waited for.
    peer.invoke(0, &[s("_result"), n(2), null.clone(), Value::Undefined]);
    peer.invoke(0, &[s("_error"), n(3), null.clone(), status("error", "Some.Code", "some text")]);
    peer.invoke(0, &[s("_result"), Value::Text("4".to_owned()), null]);
    peer.invoke(0, &[s("")]);
}

/// A command in a message of type 0x11, after its byte for the encoding.
fn flex(peer: &mut Peer, encoding: u8, values: &[Value]) {
    peer.send(&Message::new(3, 0, 0x11, 0, &[&[encoding][..], &amf::encode(values)].concat()));
}

/// Logins of publishers, each attempt on its own connection.
pub const LOGINS: &[Session] = &[
    Session {
        name: "login-limelight",
        steps: LOGIN,
        connections: &[
            |peer| reject(peer, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : "),
            |peer| {
                reject(
                    peer,
                    "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=foo&nonce=NONCE",
                )
            },
            Peer::accept_publish,
        ],
    },
    Session {
        name: "login-limelight-wrong-password",
        steps: FAILING,
        connections: &[
            |peer| reject(peer, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : "),
            |peer| reject(peer, "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=authfail&opaque=x"),
        ],
    },
    Session {
        name: "login-limelight-unknown-user",
        steps: FAILING,
        connections: &[|peer| reject(peer, "[ authmod=llnw ] : ?reason=nosuchuser")],
    },
    Session {
        name: "login-adobe-wrong-password",
        steps: FAILING,
        connections: &[
            |peer| reject(peer, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "),
            |peer| reject(peer, "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x"),
        ],
    },
    Session {
        name: "login-adobe-unknown-user",
        steps: FAILING,
        connections: &[|peer| reject(peer, "[ authmod=adobe ] : ?reason=nosuchuser")],
    },
    Session {
        name: "login-without-a-password",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 2\nenablewrite\nconnect\nstream 0\n",
        connections: &[|peer| reject(peer, "[ code=403 need auth; authmod=adobe ] : ")],
    },
    Session {
        name: "login-of-an-unknown-kind",
        steps: FAILING,
        connections: &[|peer| reject(peer, "[ code=403 need auth; authmod=other ] : ")],
    },
];

const LOGIN: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream pubUser=foo pubPasswd=bar\nset timeout 5\nenablewrite\n\
                     connect\nstream 0\nclose\n";
/// The original waits for the timeout when it has given up.
const FAILING: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream pubUser=foo pubPasswd=bar\nset timeout 2\nenablewrite\nconnect\nstream 0\n";

fn reject(peer: &mut Peer, description: &str) {
    peer.handshake();
    peer.wait_for("connect");
    let why = status("error", "NetConnection.Connect.Rejected", description);
    peer.invoke(0, &[s("_error"), n(1), Value::Null, why]);
}
