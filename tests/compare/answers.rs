//! A client's reaction to errors that answer its commands, and to information objects in other forms.

use super::cases::{Case, PLAY, PUBLISH};
use super::support::Peer;
use super::support::amf::{Value, ecma, n, object, s, status};

/// A stream that starts, and three more messages.
const PLAY_ON: &str = "setup rtmp://127.0.0.1:PORT/app/stream live=1\nset timeout 5\nconnect\nstream 0\npacket\npacket\n\
                       packet\nclose\n";
const PUBLISH_ON: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n\
                          packet\npacket\npacket\nclose\n";

pub const ANSWERS: &[Case] = &[
    Case {
        name: "errors-for-what-a-publisher-need-not-have",
        steps: PUBLISH,
        server: |peer| {
            peer.accept_connect();
            for name in ["releaseStream", "FCPublish"] {
                refuse(peer, name, "NetConnection.Call.Failed");
            }
            peer.accept_create();
            peer.wait_for("publish");
            peer.status(1, "status", "NetStream.Publish.Start", "");
        },
    },
    Case {
        name: "errors-for-what-a-player-need-not-have",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream live=1\nset timeout 5\nconnect\nstream 0\n",
        server: |peer| {
            peer.accept_connect();
            peer.accept_create();
            refuse(peer, "FCSubscribe", "NetConnection.Call.Failed");
            peer.wait_for("play");
            peer.status(1, "status", "NetStream.Play.Start", "");
        },
    },
    Case {
        name: "side-matters-before-publishing",
        steps: PUBLISH,
        server: |peer| {
            peer.accept_connect();
            side_matters(peer);
            peer.accept_create();
            side_matters(peer);
            peer.wait_for("publish");
            side_matters(peer);
            peer.status(1, "error", "NetStream.Play.InsufficientBW", "");
            peer.status(1, "status", "NetStream.Publish.Start", "");
        },
    },
    Case {
        name: "side-matters-before-playing",
        steps: PLAY,
        server: |peer| {
            peer.accept_connect();
            side_matters(peer);
            peer.accept_create();
            side_matters(peer);
            peer.wait_for("play");
            side_matters(peer);
            peer.status(1, "error", "NetStream.Publish.BadName", "");
            peer.status(1, "status", "NetStream.Play.Start", "");
        },
    },
    Case {
        name: "errors-while-publishing",
        steps: PUBLISH_ON,
        server: |peer| {
            peer.accept_publish();
            peer.status(1, "error", "NetStream.Record.Failed", "the disk is full");
            peer.status(1, "error", "NetStream.Publish.BadName", "");
            peer.status(1, "error", "NetConnection.Connect.Closed", "");
        },
    },
    Case {
        name: "errors-while-playing",
        steps: PLAY_ON,
        server: |peer| {
            peer.accept_play();
            peer.status(1, "error", "NetStream.Seek.Failed", "");
            peer.status(1, "error", "NetStream.Play.InsufficientBW", "");
            peer.status(1, "error", "NetConnection.Connect.AppShutdown", "");
        },
    },
    Case {
        name: "errors-for-commands-of-a-running-player",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npause 1\nseek 5\ncreate\npacket\n\
                packet\npacket\n",
        server: |peer| {
            peer.accept_play();
            for name in ["pause", "seek", "createStream"] {
                refuse(peer, name, "NetConnection.Call.Failed");
            }
        },
    },
    Case {
        name: "errors-for-commands-of-a-running-publisher",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\ncreate\npacket\npacket\n\
                close\n",
        server: |peer| {
            peer.accept_publish();
            refuse(peer, "createStream", "NetConnection.Call.Failed");
            peer.invoke(0, &[s("_error"), n(99), Value::Null, Value::Null]);
        },
    },
    Case {
        name: "statuses-without-a-code",
        steps: PLAY_ON,
        server: |peer| {
            peer.accept_play();
            peer.invoke(
                1,
                &[s("onStatus"), n(0), Value::Null, object(&[("code", s("")), ("level", s("error"))])],
            );
            peer.invoke(1, &[s("onStatus"), n(0), Value::Null, object(&[("level", s("error"))])]);
            peer.invoke(1, &[s("onStatus"), n(0), Value::Null]);
        },
    },
    Case {
        name: "serving-a-client",
        steps: "set timeout 5\nserve PORT\npacket\npacket\nclose\n",
        server: |peer| {
            peer.send_raw(&[3]);
            peer.send_raw(&[0; 1536]);
            let reply = peer.read_exact(1 + 2 * 1536);
            peer.send_raw(&reply[1..=1536]);
            peer.invoke(0, &[s("connect"), n(1), object(&[("app", s("live"))])]);
            peer.finish();
        },
    },
    Case {
        name: "end-in-an-array",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\nclose\n",
        server: |peer| {
            peer.accept_play();
            let array = ecma(&[("code", s("NetStream.Play.Stop"))]);
            peer.invoke(1, &[s("onStatus"), n(0), Value::Null, array]);
        },
    },
];

/// Refuses the next command of this name.
fn refuse(peer: &mut Peer, name: &str, code: &str) {
    let command = peer.wait_for(name);
    let transaction = command[1].number().expect("commands have a transaction id");
    peer.invoke(0, &[s("_error"), n(transaction), Value::Null, status("error", code, "no")]);
}

/// Errors about anything other than the request.
fn side_matters(peer: &mut Peer) {
    for code in ["NetStream.Record.NoAccess", "NetStream.Record.Failed", "NetConnection.Call.Failed"] {
        peer.status(0, "error", code, "no");
    }
}
