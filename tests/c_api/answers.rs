//! The results of a C program for answers of servers that librtmp 2.4 does not understand or treats as
//! refusals: AMF3 in commands, information objects in other forms, errors about side matters, and a redirect.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::amf::{self, Value, n, object, s};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server};

const LIMIT: Duration = Duration::from_secs(60);

/// What `tests/c/session_driver.c` prints and logs at a level.
fn drive(
    script: impl FnOnce(&mut Peer) + Send + 'static,
    level: &str,
    steps: &str,
) -> Option<(String, String)> {
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
    });
    let steps = steps.replace("PORT", &server.port.to_string());
    let run = Program::test("session_driver")?.run(Library::Ours, &[level], &steps, LIMIT)?;
    server.join();
    let log = run.stderr.clone();
    Some((run.expect("session_driver.c"), log))
}

const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 20\nconnect\nstream 0\n";
const PUBLISH: &str =
    "setup rtmp://127.0.0.1:PORT/app/stream\nset timeout 20\nenablewrite\nconnect\nstream 0\n";

/// A command in a type 17 message: AMF0 bytes, some of which announce AMF3 values.
fn flex(peer: &mut Peer, parts: &[&[u8]]) {
    peer.send(&Message::new(3, 0, 0x11, 0, &[&[0], &parts.concat()[..]].concat()));
}

#[test]
fn a_session_in_amf3_plays() {
    let script = |peer: &mut Peer| {
        peer.handshake();
        peer.wait_for("connect");
        // Null in place of the command object, and an AMF3 object that refers to a string of its own.
        let info = b"\x11\x0a\x0b\x01\x09code\x06\x3bNetConnection.Connect.Success\x0blevel\x06\x0dstatus\x0dstatus\x06\x06\x01";
        flex(peer, &[&amf::encode(&[s("_result"), n(1)]), b"\x11\x01", info]);
        peer.wait_for("createStream");
        flex(peer, &[&amf::encode(&[s("_result"), n(2)]), b"\x11\x01", b"\x11\x04\x07"]);
        peer.wait_for("play");
        let start = b"\x11\x0a\x0b\x01\x09code\x06\x29NetStream.Play.Start\x01";
        flex(peer, &[&amf::encode(&[s("onStatus"), n(0)]), b"\x11\x00", start]);
    };
    let (text, log) = need!(drive(script, "4", PLAY));
    assert!(text.contains("stream 0: -> 1 | playing=1 stream_id=7"), "{text}");
    assert!(log.contains("Property: <Name:               code, STRING:\tNetStream.Play.Start>"), "{log}");
}

#[test]
fn publisher_does_not_receive_unneeded_commands() {
    let script = |peer: &mut Peer| {
        peer.accept_connect();
        for name in ["releaseStream", "FCPublish"] {
            let transaction = peer.wait_for(name)[1].number().expect("commands have a transaction id");
            let info = object(&[("level", s("error")), ("code", s("NetConnection.Call.Failed"))]);
            peer.invoke(0, &[s("_error"), n(transaction), Value::Null, info]);
        }
        for code in ["NetStream.Record.NoAccess", "NetConnection.Call.Failed"] {
            peer.status(0, "error", code, "no");
        }
        peer.accept_create();
        peer.wait_for("publish");
        peer.status(1, "status", "NetStream.Publish.Start", "");
    };
    let (text, log) = need!(drive(script, "1", PUBLISH));
    assert!(text.contains("stream 0: -> 1 | playing=1"), "{text}");
    assert_eq!(log, "");
}

#[test]
fn redirect_appears_in_the_log_and_the_error_text() {
    let refuse = |peer: &mut Peer| {
        peer.handshake();
        peer.wait_for("connect");
        let elsewhere = object(&[("code", n(302)), ("redirect", s("rtmp://elsewhere/app"))]);
        let info = object(&[
            ("level", s("error")),
            ("code", s("NetConnection.Connect.Rejected")),
            ("description", s("moved")),
            ("ex", elsewhere),
        ]);
        peer.invoke(0, &[s("_error"), n(1), Value::Null, info]);
    };
    let (_, log) = need!(drive(refuse, "4", PLAY));
    let words =
        "NetConnection.Connect.Rejected: moved; redirected to rtmp://elsewhere/app (in answer to connect)";
    for line in [
        "DEBUG: Property: <Name:           redirect, STRING:\trtmp://elsewhere/app>\n",
        &format!("ERROR: rtmp server sent error: {words}\n"),
        &format!("ERROR: Closing connection: {words}\n"),
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
    let server = Server::once(move |peer| {
        refuse(peer);
        peer.drain(LIMIT);
    });
    let steps = format!("setup rtmp://127.0.0.1:{}/app/stream\ntimeout 20\nconnect\nstream\n", server.port);
    let program = need!(Program::test_of_ours("reasons"));
    let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
    server.join();
    let expected = "REFUSED 'connect command: NetConnection.Connect.Rejected: moved; redirected to rtmp://elsewhere/app'";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

#[test]
fn server_text_is_logged_without_control_characters() {
    let script = |peer: &mut Peer| {
        peer.accept_play();
        let trap = "\x1b[31m\nERROR: forged";
        peer.invoke(0, &[s(trap), n(0), Value::Null, object(&[(trap, s(trap))])]);
        peer.status(1, "error", trap, trap);
        peer.send(&Message::new(5, 0, 0x12, 1, &amf::encode(&[s("onMetaData"), object(&[(trap, s(trap))])])));
    };
    let (_, log) = need!(drive(script, "6", &format!("{PLAY}packet\npacket\npacket\n")));
    assert!(log.contains(r"HandleInvoke, server invoking <\x1b[31m\x0aERROR: forged>"), "{log}");
    assert!(!log.contains('\x1b') && !log.lines().any(|line| line.starts_with("ERROR")), "{log}");
}

/// Bytes that a dump of the log shows.
fn dumped(log: &str) -> Vec<u8> {
    let rows = log.lines().filter_map(|line| line.strip_prefix("DEBUG2:   ")?.split_once(":  ")?.1.get(..49));
    rows.flat_map(|row| row.split_whitespace().filter_map(|byte| u8::from_str_radix(byte, 16).ok())).collect()
}

#[test]
fn no_level_of_the_log_shows_tokens_and_passwords() {
    let script = |peer: &mut Peer| {
        peer.handshake();
        peer.wait_for("connect");
        peer.connect_result(&[("secureToken", s("0011223344556677"))]);
        peer.accept_create();
        peer.wait_for("play");
        peer.status(1, "status", "NetStream.Play.Start", "");
    };
    let steps = "setup rtmp://127.0.0.1:PORT/app/stream jtv=ushersecret token=k pubUser=me pubPasswd=opensesame\n\
                 set timeout 20\nconnect\nstream 0\n";
    let (text, log) = need!(drive(script, "6", steps));
    assert!(text.contains("playing=1"), "{text}");
    let bytes = dumped(&log);
    let shows = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(shows(&bytes, b"secureTokenResponse") && log.contains("UsherToken: (not shown)"), "{log}");
    // The last is the answer to the challenge.
    for secret in [&b"ushersecret"[..], b"opensesame", &[0x5e, 0x69, 0xef, 0x2f, 0x30, 0xf7, 0x1c, 0x6d]] {
        assert!(!shows(&bytes, secret) && !shows(log.as_bytes(), secret), "{secret:02x?}: {log}");
    }
}

#[test]
fn invalid_timeout_does_not_disable_the_timeout() {
    let steps = "setup rtmp://127.0.0.1:PORT/app/stream timeout=abc\nset timeout 1\nconnect\nstream 0\n";
    let (text, log) = need!(drive(|peer| drop(peer.accept_connect()), "2", steps));
    assert!(text.contains("timeout=30") && text.contains("stream 0: -> 0 | timedout=1"), "{text}");
    assert!(log.contains("WARNING: timeout=abc: not a number, the old value stays\n"), "{log}");
}
