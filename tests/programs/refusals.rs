//! Servers that refuse, and servers that require a login.
//!
//! A refusal ends `RTMP_ConnectStream` at once and the log names its code and description. The original waits for its
//! timeout, and crashes on some of these servers (session.md, "Known defects"): most of this does not run on it.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::matrix::programs::Program as Publisher;
use crate::support::amf::{Value, n, object, s, status};
use crate::support::{Library, Peer, Program, Server, clip, hex, library};

const LIMIT: Duration = Duration::from_secs(30);
const PLAY: &str = "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 20\nconnect\nstream 0\n";
const PUBLISH: &str =
    "setup rtmp://127.0.0.1:PORT/app/inst/stream\nset timeout 20\nenablewrite\nconnect\nstream 0\n";

/// A refusal ends RTMP_ConnectStream at once and the log names its code and description. The original waits for its
/// timeout (session.md, "Known defects"), so these do not run on it.
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
        let steps = steps.replace("PORT", &server.port.to_string());
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

/// A server that requires a login of a publisher. It sends these answers, one per connection, and then
/// accepts; its result is the app of each connect message.
fn lock(answers: &'static [&'static str]) -> Server<Vec<String>> {
    Server::listen(move |listener| {
        let mut apps = Vec::new();
        for answer in answers.iter().map(Some).chain([None]) {
            let mut peer = Peer::accept(listener);
            peer.handshake();
            let connect = peer.wait_for("connect");
            let member =
                |name: &str| connect[2].member(name).and_then(Value::text).unwrap_or_default().to_owned();
            let (app, url) = (member("app"), member("tcUrl"));
            assert!(url.ends_with(&format!("/{app}")), "app {app:?} and tcUrl {url:?} must agree");
            apps.push(app);
            let Some(description) = answer else {
                peer.connect_result(&[]);
                peer.accept_create();
                peer.wait_for("publish");
                peer.status(1, "status", "NetStream.Publish.Start", "");
                peer.drain(LIMIT);
                break;
            };
            let why = status("error", "NetConnection.Connect.Rejected", description);
            peer.invoke(0, &[s("_error"), n(1), Value::Null, why]);
            peer.drain(LIMIT);
        }
        apps
    })
}

/// The output of the driver and the server for a login that publishes to app/inst as foo with the password
/// bar.
fn log_in(library: Library, answers: &'static [&'static str]) -> Option<(String, Vec<String>)> {
    let program = Program::test("session_driver")?;
    let server = lock(answers);
    let steps = PUBLISH
        .replace("PORT", &server.port.to_string())
        .replace("/stream\n", "/stream pubUser=foo pubPasswd=bar\n");
    let output = program.run(library, &[], &steps, LIMIT)?.expect("session_driver");
    Some((output, server.join()))
}

/// The MD5 of a text as coreutils compute it, in hexadecimal digits.
fn md5(text: &str) -> String {
    let run =
        crate::support::program::run(&mut std::process::Command::new("md5sum"), text, LIMIT).expect("md5sum");
    run[..32].to_owned()
}

/// The value of a parameter in the query of an app.
fn parameter<'a>(app: &'a str, name: &str) -> &'a str {
    let found = app.split(['?', '&']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {name} in {app:?}"))
}

/// The login of Limelight: the answer to a nonce, checked with the values of session.md, 9.1.
#[test]
fn publishers_log_in_with_limelights_method() {
    for library in [Library::Original, Library::Ours] {
        let (output, apps) = need!(log_in(
            library,
            &[
                "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ",
                "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=foo&nonce=NONCE",
            ]
        ));
        assert!(output.contains("stream 0: -> 1 |"), "{library:?}: {output}");
        assert_eq!(apps[..2], ["app/inst", "app/inst?authmod=llnw&user=foo"], "{library:?}");
        let client_nonce = parameter(&apps[2], "cnonce");
        let response = md5(&format!(
            "04f2f878f9745e1a0f89c4bf10e9c5e7:NONCE:00000001:{client_nonce}:auth:8452829835600774edc2917e13b23abf"
        ));
        let expected =
            format!("{}&nonce=NONCE&cnonce={client_nonce}&nc=00000001&response={response}", apps[1]);
        assert_eq!(apps[2], expected, "{library:?}");
    }
}

const ADOBE_FIRST: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const ADOBE: &[&str] = &[
    ADOBE_FIRST,
    "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=foo&salt=SALT&challenge=CHAL&opaque=OPAQ",
];
const ADOBE_WITHOUT_OPAQUE: &[&str] = &[
    ADOBE_FIRST,
    "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=foo&salt=SALT&challenge=CHAL",
];

/// The login of Adobe's servers, with and without an opaque value. The original builds its answer from uninitialised
/// memory.
#[test]
fn publishers_log_in_with_adobes_method() {
    if library::ours_is_original() {
        return;
    }
    for (answers, hashed, opaque) in [(ADOBE, "OPAQ", "OPAQ"), (ADOBE_WITHOUT_OPAQUE, "CHAL", "")] {
        let (output, apps) = need!(log_in(Library::Ours, answers));
        assert!(output.contains("stream 0: -> 1 |"), "{output}");
        assert_adobe(&apps, hashed, opaque);
    }
}

/// The apps of a login as foo with the password bar.
fn assert_adobe(apps: &[String], hashed: &str, opaque: &str) {
    assert_eq!(apps[..2], ["app/inst", "app/inst?authmod=adobe&user=foo"]);
    let challenge = parameter(&apps[2], "challenge");
    assert_eq!(challenge.len(), 8, "{:?}", apps[2]);
    let response = base64(&hex::decode(&md5(&format!("sgHUb5T2rJR/BmRsZP3RsQ=={hashed}{challenge}"))));
    assert_eq!(apps[2], format!("{}&challenge={challenge}&response={response}&opaque={opaque}", apps[1]));
}

/// Unmodified programs log in to publish a film. They abort on the original.
#[test]
fn programs_log_in_with_adobes_method() {
    if library::ours_is_original() {
        return;
    }
    let clip = need!(clip::without_index());
    for program in [Publisher::GStreamer, Publisher::DebiansPython, Publisher::PypisPython] {
        let server = lock(ADOBE);
        // Blanks that do not end an argument of GStreamer's.
        let blank = if program == Publisher::GStreamer { "\u{a0}" } else { " " };
        let url = ["/app/inst/stream", "pubUser=foo", "pubPasswd=bar"].join(blank);
        let url = format!("rtmp://127.0.0.1:{}{url}", server.port);
        need!(program.publish(Library::Ours, &clip, &url)).finish().expect(&format!("{program:?}"));
        assert_adobe(&server.join(), "OPAQ", "OPAQ");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let bits =
            part.iter().enumerate().fold(0_u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Logins that cannot succeed end RTMP_ConnectStream: a wrong password, no description at all (librtmp 2.4
/// crashes), a server that always asks again (librtmp 2.4 recurses without limit).
#[test]
fn failed_logins_end_connect_stream() {
    if library::ours_is_original() {
        return;
    }
    const AGAIN: &str = "[ authmod=llnw ] : ?reason=needauth&user=foo&nonce=NONCE";
    let endings: [(&str, Vec<Value>); 4] = [
        (
            "wrong password",
            vec![status("error", "NetConnection.Connect.Rejected", "authmod=adobe : ?reason=authfailed")],
        ),
        (
            "no description",
            vec![object(&[("level", s("error")), ("code", s("NetConnection.Connect.Rejected"))])],
        ),
        ("nothing at all", vec![]),
        ("the same again", vec![status("error", "NetConnection.Connect.Rejected", AGAIN)]),
    ];
    let program = need!(Program::test("session_driver"));
    for (what, ending) in endings {
        let ended = Arc::new(AtomicBool::new(false));
        let client_ended = ended.clone();
        let server = Server::listen(move |listener| {
            let mut connections = 0;
            listener.set_nonblocking(true).expect("listening sockets can be polled");
            while !client_ended.load(Ordering::Relaxed) && connections < 50 {
                let Some(mut peer) = Peer::try_accept(listener) else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                connections += 1;
                peer.handshake();
                peer.wait_for("connect");
                let mut values = vec![s("_error"), n(1), Value::Null];
                values.extend(ending.clone());
                peer.invoke(0, &values);
                peer.drain(Duration::from_secs(10));
            }
            connections
        });
        let steps = PUBLISH
            .replace("PORT", &server.port.to_string())
            .replace("/stream\n", "/stream pubUser=foo pubPasswd=bar\n");
        let start = Instant::now();
        let run = need!(program.run(Library::Ours, &[], &steps, LIMIT));
        let took = start.elapsed();
        ended.store(true, Ordering::Relaxed);
        let connections = server.join();
        assert!(run.stdout.contains("stream 0: -> 0 |"), "{what}: {run:?}");
        assert!(connections <= 10, "{what}: {connections} connections");
        assert!(took < Duration::from_secs(8), "{what}: took {took:?}");
        assert!(run.stderr.contains("ERROR: "), "{what}: the log says nothing");
    }
}
