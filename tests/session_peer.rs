//! The session layer against a scripted server: every command sent, every message and command received.
//!
//! Each case is a list of steps for one C program and a script for the server. What the program prints and what the
//! server gets is recorded from the original in `tests/vectors/session/<case>.txt`; ours has to do the same, apart
//! from [`DIFFERENCES`]. `RTMP_TEST_RECORD=1` writes the files anew.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use support::amf::{self, Value, ecma, n, object, s, status};
use support::wire::Message;
use support::{Library, Peer, Program, Server, hex, library};

const LIMIT: Duration = Duration::from_secs(30);

/// A line of a recording that is different with ours.
struct Difference {
    case: &'static str,
    original: &'static str,
    ours: &'static str,
    why: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        case: "end-through-media",
        original: "-> 2 | connected=0 stream_id=-1 numInvokes=0 bytesIn=0 playpath=NULL\nclose: -> 0 | playing=0\n",
        ours: "-> 2 | connected=0 playing=0 stream_id=-1 numInvokes=0 bytesIn=0 playpath=NULL\nclose: -> 0 |\n",
        why: "a closed session is not playing: the original sets m_bPlaying again after it has closed",
    },
    Difference {
        case: "end-through-media-after-pause",
        original: "media: -> 0 | connected=0",
        ours: "media: type 20 time 0 size 89 -> 2 | connected=0",
        why: "the end of the stream is delivered: the original drops it as a frame that is not newer than the last",
    },
];

struct Case {
    name: &'static str,
    /// Steps of `tests/c/session_driver.c`; PORT stands for the server's port.
    steps: &'static str,
    server: fn(&mut Peer),
}

const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nconnect\nstream 0\n";
const PUBLISH: &str =
    "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 5\nenablewrite\nconnect\nstream 0\n";

/// The commands a client sends.
const COMMANDS: &[Case] = &[
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
                ctrl 6 0x01020304 0\nctrl 7 9 0\nctrl 0x1a 0x1ff 0\nctrl 99 5 6\nserverbw\nclientbw\nbuffer 2500\ncreate\n",
        server: Peer::accept_play,
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

/// What a client does with what it gets. Every `packet` step reads one message and dispatches it.
const MESSAGES: &[Case] = &[
    Case {
        name: "protocol-messages",
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 5\nconnect\nstream 0\npacket\npacket\npacket\npacket\n\
                packet\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\npacket\n",
        server: |peer| {
            peer.accept_play();
            peer.set_chunk_size(4096);
            send_control(peer, 3, &[0, 0, 1, 0]);
            send_control(peer, 5, &[0, 0x10, 0, 0]);
            send_control(peer, 6, &[0, 0x20, 0, 0, 1]);
            send_control(peer, 6, &[0, 0x30, 0, 0]);
            for event in [0_u8, 1, 2, 4, 6, 31, 32, 99] {
                send_control(peer, 4, &[0, event, 0, 0, 0, 1]);
            }
            send_control(peer, 4, &[0, 6]);
            send_control(peer, 0x20, b"nobody knows this type");
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
            send_control(peer, 4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(2000));
            send_control(peer, 4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(3000));
            send_control(peer, 4, &[0, 31, 0, 0, 0, 1]);
            peer.send(&frame(3000));
            peer.send(&frame(4000));
            peer.send(&frame(5000));
            send_control(peer, 4, &[0, 1, 0, 0, 0, 1]);
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
            let array = ecma(&[("code", s("NetStream.Play.Stop"))]);
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
        steps: "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 1\nconnect\nstream 0\nmedia\nmedia\nset status -1\n\
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

fn send_control(peer: &mut Peer, kind: u8, body: &[u8]) {
    peer.send(&Message::new(2, 0, kind, 0, body));
}

/// What a case shows: the program's output, then the client's messages.
fn play(library: Library, case: &Case) -> Option<(String, Vec<String>)> {
    let program = Program::test("session_driver")?;
    let script = case.server;
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
        (peer.transcript(), peer.violations().to_vec())
    });
    let port = server.port.to_string();
    let run = program.run(library, &[], &case.steps.replace("PORT", &port), LIMIT)?;
    let shown = run.expect(case.name);
    let (transcript, violations) = server.join();
    let text = format!("{shown}\nmessages of the client:\n{transcript}").replace(&port, "PORT");
    Some((text, violations))
}

fn recording(case: &Case) -> std::path::PathBuf {
    library::package().join("tests/vectors/session").join(format!("{}.txt", case.name))
}

/// Runs the cases side by side and collects what went wrong.
fn run_all(library: Library, cases: &'static [Case]) {
    need!(library.file());
    need!(Program::test("session_driver"));
    let threads: Vec<_> = cases.iter().map(|case| thread::spawn(move || check(library, case))).collect();
    let failures: Vec<String> = threads
        .into_iter()
        .zip(cases)
        .filter_map(|(thread, case)| match thread.join() {
            Ok(result) => result.err().map(|error| format!("{}: {error}", case.name)),
            Err(_) => Some(format!("{}: panicked, see above", case.name)),
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn check(library: Library, case: &Case) -> Result<(), String> {
    let (text, violations) = play(library, case).ok_or("the library went away")?;
    let file = recording(case);
    let original = library == Library::Original || library::ours_is_original();
    if original && std::env::var_os("RTMP_TEST_RECORD").is_some() {
        fs::create_dir_all(file.parent().expect("a file has a directory"))
            .map_err(|error| error.to_string())?;
        fs::write(&file, &text).map_err(|error| error.to_string())?;
    }
    let mut expected = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    if !original {
        for difference in DIFFERENCES.iter().filter(|difference| difference.case == case.name) {
            if !expected.contains(difference.original) {
                return Err(format!("a listed difference is not in the recording ({})", difference.why));
            }
            expected = expected.replace(difference.original, difference.ours);
        }
        if !violations.is_empty() {
            return Err(format!("against the protocol: {violations:?}"));
        }
    }
    for (expected, found) in expected.lines().zip(text.lines()) {
        if expected != found {
            return Err(format!("\n  expected {expected}\n  found    {found}"));
        }
    }
    if expected != text {
        return Err(format!("the lengths differ:\n--- expected\n{expected}\n--- found\n{text}"));
    }
    Ok(())
}

#[test]
fn the_original_sends_the_recorded_commands() {
    run_all(Library::Original, COMMANDS);
}

#[test]
fn ours_sends_the_recorded_commands() {
    run_all(Library::Ours, COMMANDS);
}

#[test]
fn the_original_reacts_as_recorded() {
    run_all(Library::Original, MESSAGES);
}

#[test]
fn ours_reacts_as_recorded() {
    run_all(Library::Ours, MESSAGES);
}

/// The connect message as it was measured, for a URL with the port 19350.
#[test]
fn connect_is_byte_for_byte_the_measured_one() {
    const PLAY_WIRE: &str = "030000000000b31400000000020007636f6e6e656374003ff00000000000000300036170700200086170702f69\
        6e73740005746355726c02001f72746d703a2f2f3132372e302e302e313a31393335302f6170702f696e73740004667061640100000c6361\
        706162696c697469657300402e000000000000000b617564696f436f646563730040a8ee000000c30000000b766964656f436f64656373\
        00406f800000000000000d766964656f46756e6374696f6e003ff0000000000000000009";
    const PUBLISH_WIRE: &str = "030000000000631400000000020007636f6e6e656374003ff00000000000000300036170700200086170702f\
        696e737400047479706502000a6e6f6e707269766174650005746355726c02001f72746d703a2f2f3132372e302e302e313a3139333530\
        2f6170702f696e7374000009";
    for library in [Library::Original, Library::Ours] {
        for (steps, wire) in [(PLAY, PLAY_WIRE), (PUBLISH, PUBLISH_WIRE)] {
            let program = need!(Program::test("session_driver"));
            let server = Server::once(|peer| {
                peer.handshake();
                peer.wait_for("connect");
                peer.finish();
                peer.drain(LIMIT);
                peer.bytes.clone()
            });
            let port = server.port.to_string();
            need!(program.run(library, &[], &steps.replace("PORT", &port), LIMIT)).expect("session_driver");
            let expected = hex::decode(wire);
            let mut found = server.join();
            found.truncate(expected.len());
            let found = hex::encode(&found).replace(&hex::encode(port.as_bytes()), &hex::encode(b"19350"));
            assert_eq!(found, hex::encode(&expected), "{library:?}");
        }
    }
}

/// The client's acknowledgements, as numbers.
fn acknowledgements(messages: &[Message]) -> Vec<u32> {
    let bodies = messages.iter().filter(|message| message.kind == 3).map(|message| message.body.as_slice());
    bodies.map(|body| u32::from_be_bytes(body.try_into().expect("four bytes"))).collect()
}

/// After Set Peer Bandwidth the client acknowledges every tenth of that many bytes, as soon as the message that
/// crosses the line has arrived or in its middle.
#[test]
fn acknowledgements_come_every_tenth_of_the_bandwidth() {
    const MESSAGE: u32 = 150 + 12 + 1;
    let program = need!(Program::test("session_driver"));
    for library in [Library::Original, Library::Ours] {
        let server = Server::once(|peer| {
            peer.accept_play();
            send_control(peer, 6, &[0, 0, 0x03, 0xe8, 2]);
            for time in 0..20 {
                peer.send(&Message::new(6, time, 9, 1, &[0x27; 150]));
            }
            peer.drain(LIMIT);
            peer.messages.clone()
        });
        let steps = PLAY.replace("PORT", &server.port.to_string()) + &"media\n".repeat(20);
        need!(program.run(library, &[], &steps, LIMIT)).expect("session_driver");
        let counts = acknowledgements(&server.join());
        // 20 messages after the handshake, the two results, the status and the bandwidth message.
        let last = counts.last().copied().unwrap_or(0);
        let gaps: Vec<u32> = counts.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(gaps.iter().all(|gap| (101..=100 + MESSAGE).contains(gap)), "{library:?}: {counts:?}");
        assert!(last > 3073 + 20 * MESSAGE - 263 && counts.len() >= 12, "{library:?}: {counts:?}");
    }
}

/// A server that announces only Window Acknowledgement Size (type 5) expects acknowledgements within that window. The
/// original looks at Set Peer Bandwidth (type 6) alone and lets such a server wait.
#[test]
fn ours_acknowledges_within_the_window_of_the_server() {
    if library::ours_is_original() {
        return;
    }
    const WINDOW: u32 = 5000;
    let program = need!(Program::test("session_driver"));
    let server = Server::once(|peer| {
        peer.accept_play();
        send_control(peer, 5, &WINDOW.to_be_bytes());
        for time in 0..8 {
            peer.send(&Message::new(6, time, 9, 1, &[0x27; 1000]));
        }
        peer.drain(LIMIT);
        peer.messages.clone()
    });
    let steps = PLAY.replace("PORT", &server.port.to_string()) + &"media\n".repeat(8);
    need!(program.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
    let counts = acknowledgements(&server.join());
    // 8000 bytes and more have arrived since the window was announced.
    assert!(!counts.is_empty(), "no acknowledgement");
    let all: Vec<u32> = std::iter::once(0).chain(counts.iter().copied()).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "sequence numbers must grow: {counts:?}");
    assert!(
        counts.windows(2).all(|pair| pair[1] - pair[0] <= WINDOW),
        "further apart than the window: {counts:?}"
    );
}

/// A refusal ends RTMP_ConnectStream at once and the log names its code and description. The original waits for its
/// time-out (session.md, "Known defects"), so these do not run on it.
#[test]
fn refusals_end_connect_stream_at_once() {
    if library::ours_is_original() {
        return;
    }
    type Refusal = (&'static str, &'static str, fn(&mut Peer, &str));
    const REFUSALS: &[Refusal] = &[
        ("play", "NetConnection.Connect.Rejected", refuse_connect),
        ("publish", "NetConnection.Connect.Rejected", refuse_connect),
        ("play", "NetConnection.Connect.Rejected", |peer, code| {
            peer.handshake();
            peer.wait_for("connect");
            peer.status(0, "error", code, DESCRIPTION);
        }),
        ("play", "NetConnection.Connect.InvalidApp", refuse_connect),
        ("play", "NetConnection.Call.Failed", refuse_create),
        ("publish", "NetConnection.Call.Failed", refuse_create),
        ("publish", "NetStream.Publish.BadName", |peer, code| refuse(peer, "publish", code)),
        ("publish", "NetStream.publish.Unauthorized", |peer, code| refuse(peer, "publish", code)),
        ("play", "NetStream.Play.StreamNotFound", |peer, code| refuse(peer, "play", code)),
        ("play", "NetStream.Play.Failed", |peer, code| refuse(peer, "play", code)),
        ("play", "NetStream.Play.InsufficientBW", |peer, code| refuse(peer, "play", code)),
        ("play", "NetStream.Play.Unauthorized", |peer, code| refuse_by_error(peer, "play", code)),
        ("publish", "NetStream.Publish.Denied", |peer, code| refuse_by_error(peer, "publish", code)),
    ];
    let program = need!(Program::test("session_driver"));
    let check = |(mode, code, script): &Refusal| -> Result<(), String> {
        let (code, script) = (*code, *script);
        let server = Server::once(move |peer| {
            script(peer, code);
            peer.drain(LIMIT);
        });
        let steps = if *mode == "play" { PLAY } else { PUBLISH };
        let steps = steps.replace("PORT", &server.port.to_string()).replace("timeout 5", "timeout 20");
        let start = Instant::now();
        let run = program.run(Library::Ours, &[], &steps, LIMIT).ok_or("the library went away")?;
        let took = start.elapsed();
        server.join();
        let result = run.stdout.lines().last().unwrap_or("nothing").to_owned();
        if run.code != Some(0) || !result.starts_with("stream 0: -> 0") {
            return Err(format!("{:?}: {result}\n{}", run.code, run.stderr));
        }
        if took > Duration::from_secs(5) {
            return Err(format!("took {took:?}"));
        }
        if !run.stderr.contains(code) || !run.stderr.contains(DESCRIPTION) {
            return Err(format!("the log does not say why:\n{}", run.stderr));
        }
        Ok(())
    };
    let failures: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> =
            REFUSALS.iter().map(|refusal| (refusal, scope.spawn(|| check(refusal)))).collect();
        threads
            .into_iter()
            .filter_map(|((mode, code, _), thread)| match thread.join() {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{mode} {code}: {error}")),
                Err(_) => Some(format!("{mode} {code}: panicked, see above")),
            })
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

const DESCRIPTION: &str = "not for you";

fn refuse_connect(peer: &mut Peer, code: &str) {
    peer.handshake();
    peer.wait_for("connect");
    peer.invoke(0, &[s("_error"), n(1), Value::Null, status("error", code, DESCRIPTION)]);
}

fn refuse_create(peer: &mut Peer, code: &str) {
    peer.accept_connect();
    let create = peer.wait_for("createStream");
    peer.invoke(0, &[s("_error"), create[1].clone(), Value::Null, status("error", code, DESCRIPTION)]);
}

fn refuse(peer: &mut Peer, command: &str, code: &str) {
    peer.accept_connect();
    peer.accept_create();
    peer.wait_for(command);
    peer.status(1, "error", code, DESCRIPTION);
}

fn refuse_by_error(peer: &mut Peer, command: &str, code: &str) {
    peer.accept_connect();
    peer.accept_create();
    let values = peer.wait_for(command);
    peer.invoke(1, &[s("_error"), values[1].clone(), Value::Null, status("error", code, DESCRIPTION)]);
}

/// The messages a client must not trip over: the original hangs, reads behind the body or crashes. Afterwards an audio
/// message must arrive as usual.
#[test]
fn hostile_messages_change_nothing() {
    if library::ours_is_original() {
        return;
    }
    let hostile: &[(u8, &[u8])] = &[
        (1, &[0, 0, 0, 0]),
        (1, &[0x80, 0, 0, 0]),
        (1, &[0, 0]),
        (3, &[]),
        (4, &[]),
        (4, &[0]),
        (4, &[0, 6, 0]),
        (5, &[1]),
        (6, &[]),
        (0x11, &[]),
        (0x11, &[0]),
        (0x12, &[2, 0xff, 0xff, b'x']),
        (0x12, &[]),
        (0x14, &[2, 0, 8]),
        (0x14, &[]),
        (0x14, &[2, 0, 7, b'_', b'r', b'e', b's', b'u', b'l', b't']),
        (0x16, &[9]),
        (0xff, &[0xff; 200]),
    ];
    let program = need!(Program::test("session_driver"));
    let server = Server::once(move |peer| {
        peer.accept_play();
        for (kind, body) in hostile {
            peer.send(&Message::new(5, 0, *kind, 0, body));
        }
        let mut nested = amf::encode(&[s("onMetaData")]);
        for _ in 0..30_000 {
            nested.extend([3, 0, 1, b'a']);
        }
        peer.send(&Message::new(5, 0, 0x12, 1, &nested));
        peer.send(&Message::new(4, 77, 8, 1, &[0xaf, 1, 1, 2]));
        peer.drain(LIMIT);
    });
    let steps = PLAY.replace("PORT", &server.port.to_string()) + &"packet\n".repeat(hostile.len() + 2);
    let output = need!(program.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
    server.join();
    let last = output.lines().last().unwrap_or("nothing");
    assert!(last.starts_with("packet: type 8 time 77 size 4 -> 1"), "{output}");
}
