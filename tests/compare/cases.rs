//! The steps of the client, and the server's script for each.

use super::support::Peer;
use super::support::amf::{self, Value, ecma, n, object, s, status};
use super::support::wire::Message;

/// A list of steps for the client and a script for the server.
pub struct Case {
    pub name: &'static str,
    /// Steps of `tests/c/session_driver.c`; PORT stands for the server's port.
    pub steps: &'static str,
    pub server: fn(&mut Peer),
}

pub const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\n";
pub const PUBLISH: &str =
    "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n";

/// The commands a client sends.
pub const COMMANDS: &[Case] = &[
    Case { name: "play", steps: PLAY, server: Peer::accept_play },
    Case {
        name: "play-live",
        steps: "setup rtmp://127.0.0.1:PORT/app/inst/stream live=1\nset timeout 5\nconnect\nstream 0\nclose\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-start-stop",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream.mp4 start=5000 stop=9000\nset timeout 5\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-seek-argument",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 7000\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-playlist",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream playlist=1\nset timeout 5\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-subscribe",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream subscribe=other/path live=1\nset timeout 5\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-usher-token",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream jtv=usher\\20token\nset timeout 5\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case {
        name: "play-secure-token",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream token=foobar\nset timeout 5\nconnect\nstream 0\n",
        server: |peer| {
            secure_token(
                peer,
                "58656322c972d6cdf2d776167575045f8484ea888e31c086f7b5ffbd0baec55ce442c2fb",
                Peer::connect_result,
            );
        },
    },
    Case {
        name: "play-secure-token-long-key",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream token=0123456789abcdefXYZ\nset timeout 5\nconnect\nstream 0\n",
        server: |peer| secure_token(peer, "00112233445566778899aabbccddeeff", Peer::connect_result),
    },
    Case {
        name: "play-options",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream swfUrl=http://h/a.swf pageUrl=http://h/p flashver=WIN\\2010,0 \
                tcUrl=rtmp://elsewhere/app app=other buffer=1234\nset timeout 5\nset encoding 3\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case {
        name: "connect-extras",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream conn=S:hello:there conn=B:1 conn=N:2.5 conn=Z: conn=O:1 \
                conn=NS:name:text conn=NN:number:-1 conn=NB:flag:0 conn=NO:inner:1 conn=NS:deep:x conn=O:0 \
                conn=NS:after:y conn=O:0 conn=S:last\nset timeout 5\nset sendEncoding 1\nconnect\nstream 0\n",
        server: Peer::accept_play,
    },
    Case { name: "publish", steps: PUBLISH, server: Peer::accept_publish },
    Case {
        name: "publish-delete-close",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\ndelete\nclose\n",
        server: Peer::accept_publish,
    },
    Case {
        name: "pause-and-seek",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nmedia\npause 1\npause 0\n\
                sendpause 1 777\nseek 5000\nmedia\nmedia\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, b"\x17\x01key frame"));
            peer.send(&Message::new(6, 1234, 9, 1, b"\x27\x01frame"));
            peer.wait_for("seek");
            peer.status(1, "status", "NetStream.Seek.Notify", "");
            peer.send(&Message::new(6, 5000, 9, 1, b"\x17\x01key frame"));
        },
    },
    Case {
        name: "toggle",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\ntoggle\nmedia\ntoggle\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 500, 9, 1, b"\x17\x01key frame"));
            peer.wait_for("pause");
            peer.wait_for("pause");
            // The first is not later than what the player has seen: it is dropped after the pause.
            peer.send(&Message::new(6, 400, 9, 1, b"\x17\x01key frame"));
            peer.send(&Message::new(6, 600, 9, 1, b"\x27\x01frame"));
        },
    },
    Case {
        name: "reconnect-stream",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nreconnect 3000\nclose\n",
        server: |peer| {
            peer.accept_play();
            peer.wait_for("deleteStream");
            peer.accept_create();
            peer.wait_for("play");
            peer.status(1, "status", "NetStream.Play.Start", "");
        },
    },
    Case {
        name: "control-senders",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nctrl 0 1 0\nctrl 3 1 5000\n\
                ctrl 6 0x01020304 0\nctrl 7 9 0\nctrl 0x1a 0x1ff 0\nctrl 99 5 6\nserverbw\nclientbw\nbuffer 2500\ncreate\npacket\n",
        server: |peer| {
            peer.accept_play();
            // The client stays until everything is there: what its system has not sent may be lost when it closes.
            peer.accept_create();
        },
    },
    Case {
        name: "closed-object",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nclose\nclose\npause 1\nseek 1\nserverbw\n",
        server: |peer| {
            peer.handshake();
            peer.wait_for("connect");
        },
    },
];

fn secure_token(peer: &mut Peer, token: &str, result: fn(&mut Peer, &[(&str, Value)])) {
    peer.handshake();
    peer.wait_for("connect");
    result(peer, &[("secureToken", s(token))]);
    peer.accept_create();
    peer.wait_for("play");
    peer.status(1, "status", "NetStream.Play.Start", "");
}

/// A client's reaction to messages. Every `packet` step reads one message and dispatches it.
pub const MESSAGES: &[Case] = &[
    Case {
        name: "protocol-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            peer.set_chunk_size(4096);
            peer.send_control(3, &[0, 0, 1, 0]);
            peer.send_control(5, &[0, 0x10, 0, 0]);
            peer.send_control(6, &[0, 0x20, 0, 0, 1]);
            peer.send_control(6, &[0, 0x30, 0, 0]);
            for event in [0_u8, 1, 2, 4, 6, 31, 32, 99] {
                peer.send_control(4, &[0, event, 0, 0, 0, 1]);
            }
            peer.send_control(4, &[0, 6]);
            peer.send_control(0x20, b"nobody knows this type");
        },
    },
    Case {
        name: "media-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(4, 10, 8, 1, &[0xaf, 1, 1, 2]));
            peer.send(&Message::new(6, 20, 9, 1, &[0x17, 1, 1, 2]));
            let properties = [("duration", n(12.5)), ("width", n(640))];
            peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onMetaData"), ecma(&properties)])));
            let properties = [("videocodecid", n(7)), ("audiocodecid", n(10)), ("duration", n(3))];
            peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onMetaData"), object(&properties)])));
            peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onCuePoint"), object(&[])])));
            for kind in [0x0f, 0x10, 0x13] {
                peer.send(&Message::new(5, 0, kind, 1, b"\x02\x00\x01x"));
            }
            let mut aggregate = vec![8, 0, 0, 2, 0, 0, 40, 0, 0, 0, 0, 0xaf, 1, 0, 0, 0, 13];
            aggregate.extend([9, 0, 0, 2, 0, 0, 60, 0, 0, 0, 0, 0x27, 1, 0, 0, 0, 13]);
            peer.send(&Message::new(6, 100, 0x16, 1, &aggregate));
            aggregate[3] = 0xff;
            peer.send(&Message::new(6, 200, 0x16, 1, &aggregate));
            let flex = [&[0][..], &amf::encode(&[s("ping"), n(9), Value::Null])].concat();
            peer.send(&Message::new(3, 0, 0x11, 0, &flex));
        },
    },
    Case {
        name: "buffer-empty",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nset lFlags 0x10\nmedia\nmedia\n\
                media\nset pausing 2\nmedia\nmedia\nset pausing 1\nmedia\n",
        server: |peer| {
            peer.accept_play();
            let frame = |time| Message::new(6, time, 9, 1, &[0x17, 1, 1, 2]);
            peer.send(&frame(1000));
            peer.send_control(4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(2000));
            peer.send_control(4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(3000));
            peer.send_control(4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(3000));
            peer.send(&frame(4000));
            peer.send(&frame(5000));
            peer.send_control(4, &[0, 1, 0, 0, 0, 1]);
        },
    },
    Case {
        name: "invokes",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\ncreate\npacket\n",
        server: |peer| {
            peer.accept_play();
            let null = Value::Null;
            peer.invoke(0, &[s("onBWDone"), n(0), null.clone()]);
            peer.wait_for("_checkbw");
            peer.invoke(0, &[s("_onbwcheck"), n(41), null.clone(), n(1)]);
            peer.invoke(0, &[s("_onbwcheck"), n(42), null.clone(), n(2)]);
            peer.invoke(0, &[s("_onbwdone"), n(43), null.clone()]);
            peer.invoke(0, &[s("onBWDone"), n(0), null.clone()]);
            peer.invoke(0, &[s("ping"), n(44), null.clone()]);
            peer.invoke(0, &[s("onFCSubscribe"), n(0), null.clone(), object(&[])]);
            peer.invoke(0, &[s("playlist_ready"), n(0), null.clone()]);
            peer.invoke(0, &[s("unheardOf"), n(0), null.clone()]);
            peer.invoke(0, &[s("_result"), n(99), null.clone()]);
            peer.invoke(0, &[s("_error"), n(99), null.clone(), status("error", "Some.Code", "some text")]);
            peer.invoke(0, &[n(5), n(99)]);
            peer.send(&Message::new(3, 0, 0x14, 0, b"\x05\x05"));
            peer.send(&Message::new(3, 0, 0x14, 0, b"\x02\x00\x20cut"));
            let create = peer.wait_for("createStream");
            let transaction = create[1].number().expect("createStream has a transaction id");
            peer.result(transaction + 0.7, &[null, n(5)]);
        },
    },
    Case {
        name: "status-codes",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\npacket\n\
                packet\nset pausing 1\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            peer.status(1, "status", "NetStream.Play.Reset", "");
            peer.status(1, "status", "NetStream.Play.PublishNotify", "");
            peer.status(1, "status", "NetStream.Publish.Start", "");
            peer.status(1, "status", "NetStream.Seek.Notify", "");
            peer.status(1, "status", "NetStream.Pause.Notify", "");
            peer.status(1, "status", "NetStream.Pause.Notify", "");
            let array = ecma(&[("code", s("NetStream.Play.Reset"))]);
            peer.invoke(1, &[s("onStatus"), n(0), Value::Null, array]);
        },
    },
    Case {
        name: "media-before-play",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\n",
        server: |peer| {
            peer.accept_connect();
            peer.send(&Message::new(4, 0, 8, 1, &[0xaf, 0, 1]));
            peer.accept_create();
            peer.wait_for("play");
            peer.send(&Message::new(4, 0, 9, 1, &[0x17, 0, 1]));
            peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onMetaData"), object(&[])])));
            peer.status(1, "status", "NetStream.Play.Start", "");
            peer.send(&Message::new(4, 40, 9, 1, &[0x27, 1, 1]));
        },
    },
    Case { name: "end-complete", steps: ENDING, server: |peer| ending(peer, "NetStream.Play.Complete") },
    Case { name: "end-stop", steps: ENDING, server: |peer| ending(peer, "NetStream.Play.Stop") },
    Case {
        name: "end-unpublish",
        steps: ENDING,
        server: |peer| ending(peer, "NetStream.Play.UnpublishNotify"),
    },
    Case { name: "end-failed", steps: ENDING, server: |peer| ending(peer, "NetStream.Failed") },
    Case { name: "end-play-failed", steps: ENDING, server: |peer| ending(peer, "NetStream.Play.Failed") },
    Case {
        name: "end-not-found",
        steps: ENDING,
        server: |peer| ending(peer, "NetStream.Play.StreamNotFound"),
    },
    Case {
        name: "end-invalid-app",
        steps: ENDING,
        server: |peer| ending(peer, "NetConnection.Connect.InvalidApp"),
    },
    Case {
        name: "end-fcunsubscribe",
        steps: ENDING,
        server: |peer| {
            peer.accept_play();
            peer.invoke(0, &[s("onFCUnsubscribe"), n(0), Value::Null, object(&[])]);
        },
    },
    Case {
        name: "end-close",
        steps: ENDING,
        server: |peer| {
            peer.accept_play();
            peer.invoke(0, &[s("close"), n(0), Value::Null]);
        },
    },
    Case {
        name: "end-peer-closes",
        steps: ENDING,
        server: |peer| {
            peer.accept_play();
            peer.finish();
        },
    },
    Case {
        name: "end-through-media",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nmedia\nclose\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 10, 9, 1, &[0x17, 1, 1, 2]));
            peer.status(1, "status", "NetStream.Play.Complete", "");
        },
    },
    Case {
        name: "end-through-media-after-pause",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\nmedia\nset pausing 3\nmedia\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 10, 9, 1, &[0x17, 1, 1, 2]));
            peer.status(1, "status", "NetStream.Play.Complete", "");
        },
    },
    Case {
        name: "end-publishing",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\npacket\nclose\n",
        server: |peer| {
            peer.accept_publish();
            peer.status(1, "status", "NetStream.Play.UnpublishNotify", "");
        },
    },
    Case {
        name: "silence",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 2\nconnect\nstream 0\nmedia\nmedia\nset status -1\n\
                toggle\nread 100\n",
        server: |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 321, 9, 1, &[0x17, 1, 1, 2]));
            peer.wait_for("pause");
            peer.wait_for("pause");
            peer.send(&Message::new(6, 400, 9, 1, &[0x27, 1, 1, 2, 3, 4]));
            peer.send(&Message::new(4, 410, 8, 1, &[0xaf, 1, 1, 2, 3, 4]));
        },
    },
];

const ENDING: &str =
    "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\nclose\n";

fn ending(peer: &mut Peer, code: &str) {
    peer.accept_play();
    peer.status(1, "status", code, "the end");
}
