//! Events, the send callback and the log of a session: each event is reported once, in the thread of the
//! call, and the callback can end the call.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::amf::{self, Value, n, s};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server, library};

const LIMIT: Duration = Duration::from_secs(120);

/// Runs the program against a script, with calls that wait and with calls made of steps. Both have to succeed and to print
/// the same text.
fn run(arguments: &[&str], script: impl FnOnce(&TcpListener) + Clone + Send + 'static) -> Option<String> {
    let program = Program::test_of_ours("events")?;
    let mut outputs = Vec::new();
    for library in library::both_ways() {
        let server = Server::listen(script.clone());
        let url = format!("{} timeout=60", server.url());
        let arguments: Vec<_> = arguments.iter().copied().chain([&url[..]]).collect();
        outputs.push(program.run(*library, &arguments, "", LIMIT)?.expect("events"));
        server.join();
    }
    assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
    outputs.pop()
}

/// The server's messages to a player, and how they are reported.
fn play(listener: &TcpListener) {
    let mut peer = Peer::accept(listener);
    peer.accept_play();
    peer.send(&Message::new(6, 0, 9, 1, &[0x17; 50]));
    let values = |values: &[Value]| amf::encode(values);
    let cue = values(&[s("onCuePoint"), n(1.5)]);
    peer.send(&Message::new(6, 40, 18, 1, &cue));
    let caption = [vec![0], values(&[s("onCaption"), s("words")])].concat();
    peer.send(&Message::new(6, 50, 15, 1, &caption));
    let metadata = values(&[s("onMetaData"), n(1.0)]);
    peer.send(&Message::new(6, 50, 18, 1, &metadata));
    let unknown = values(&[s("onSomething"), n(0.0), Value::Null, s("x")]);
    peer.send(&Message::new(3, 60, 20, 1, &unknown));
    peer.send(&Message::new(3, 70, 17, 1, &[vec![0], unknown].concat()));
    peer.status(1, "warning", "NetStream.Play.InsufficientBW", "slow");
    peer.send(&Message::new(6, 80, 9, 1, &[0x27; 50]));
    peer.status(1, "status", "NetStream.Play.Complete", "over");
    peer.drain(LIMIT);
}

const TOLD: &str = "\
status 0 _result status NetConnection.Connect.Success ''
status 1 onStatus status NetStream.Play.Start ''
data 1 18 40 onCuePoint 22
data 1 15 50 onCaption 21
command 1 20 60 onSomething 28
command 1 20 70 onSomething 28
status 1 onStatus warning NetStream.Play.InsufficientBW 'slow'
status 1 onStatus status NetStream.Play.Complete 'over'
sockets 1
";

#[test]
fn server_messages_are_reported_once_and_in_order() {
    assert_eq!(need!(run(&["play"], play)), TOLD);
}

#[test]
fn a_callback_that_returns_false_ends_the_call() {
    for (kind, told) in [
        ("1", "gave up in connect\n"),
        ("2", "status 0 _result status NetConnection.Connect.Success ''\ngave up in stream\n"),
        ("4", "gave up in read\n"),
        ("5", "gave up in read\n"),
    ] {
        let script = move |listener: &TcpListener| {
            // The program does not connect if it refuses the socket.
            if kind != "1" {
                let mut peer = Peer::accept(listener);
                peer.accept_connect();
                if kind != "2" {
                    peer.accept_create();
                    peer.wait_for("play");
                    peer.status(1, "status", "NetStream.Play.Start", "");
                    peer.send(&Message::new(6, 0, 9, 1, &[0x17; 50]));
                    peer.send(&Message::new(6, 0, 18, 1, &amf::encode(&[s("onCuePoint")])));
                    peer.send(&Message::new(3, 0, 20, 1, &amf::encode(&[s("onSomething"), n(0.0)])));
                }
                peer.drain(LIMIT);
            }
        };
        let output = need!(run(&["give_up", kind], script));
        let ending: String = output
            .lines()
            .filter(|line| !line.starts_with("sockets"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(ending.ends_with(told), "{kind}: {output}");
        assert_eq!(ending.matches("gave up").count(), 1, "{output}");
    }
}

/// The program closes the session in a callback: the call fails, and no connection is left.
#[test]
fn a_callback_that_closes_the_session_ends_the_call() {
    for (how, at, told) in [
        ("close", "1", "closed in connect\n"),
        ("close", "2", "closed in stream\n"),
        ("close", "4", "closed in read\n"),
        ("close_at", "connecting to", "closed in connect\n"),
        ("close_at", "RTMP_Connect1, handshaked", "closed in connect\n"),
        ("close_at", "Invoking connect", "closed in connect\n"),
        ("close_at", "Invoking createStream", "closed in stream\n"),
    ] {
        let script = move |listener: &TcpListener| {
            if at == "1" || at == "connecting to" {
                return;
            }
            let mut peer = Peer::accept(listener);
            if told.ends_with("connect\n") {
                peer.handshake();
                peer.drain(LIMIT);
                return;
            }
            peer.accept_connect();
            if at == "4" {
                peer.accept_create();
                peer.wait_for("play");
                peer.status(1, "status", "NetStream.Play.Start", "");
                peer.send(&Message::new(6, 0, 9, 1, &[0x17; 50]));
                peer.send(&Message::new(6, 0, 18, 1, &amf::encode(&[s("onCuePoint")])));
            }
            peer.drain(LIMIT);
        };
        let output = need!(run(&[how, at], script));
        assert!(output.contains(told), "{how} {at}: {output}");
    }
}

#[test]
fn all_bytes_are_sent_through_the_send_callback() {
    let (tell, messages) = mpsc::channel();
    let script = move |listener: &TcpListener| {
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
        assert!(peer.violations().is_empty(), "{:?}", peer.violations());
        let videos = peer.messages.iter().filter(|message| message.kind == 9 && message.body == [0; 3000]);
        tell.send(videos.count()).unwrap();
    };
    need!(run(&["publish"], script));
    assert!(messages.iter().all(|count| count == 50));
}

#[test]
fn a_send_callback_that_fails_ends_the_connection_with_its_errno() {
    let script = |listener: &TcpListener| {
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
    };
    need!(run(&["fail"], script));
}

#[test]
fn each_second_of_a_stall_is_reported() {
    let (ended, end) = mpsc::channel();
    let program = need!(Program::test_of_ours("events"));
    let server = Server::once(move |peer| {
        peer.accept_publish();
        end.recv_timeout(LIMIT).expect("the program ends");
    });
    let url = format!("{} timeout=60", server.url());
    let run = need!(program.run(Library::Ours, &["stall", &url], "", LIMIT));
    ended.send(()).unwrap();
    run.expect("events");
    server.join();
}

#[test]
fn socket_of_a_new_login_is_reported() {
    let refuse = |peer: &mut Peer, description: &str| {
        peer.handshake();
        peer.wait_for("connect");
        let info = amf::status("error", "NetConnection.Connect.Rejected", description);
        peer.invoke(0, &[s("_error"), n(1.0), Value::Null, info]);
        peer.drain(LIMIT);
    };
    let script = move |listener: &TcpListener| {
        refuse(&mut Peer::accept(listener), "code=403 need auth; authmod=adobe");
        let challenge = "authmod=adobe : ?reason=needauth&salt=S&challenge=C";
        refuse(&mut Peer::accept(listener), challenge);
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
    };
    let program = need!(Program::test_of_ours("events"));
    let server = Server::listen(script);
    let url = format!("{} timeout=60 pubUser=name pubPasswd=secret", server.url());
    let output = need!(program.run(Library::Ours, &["login", &url], "", LIMIT)).expect("events");
    server.join();
    assert!(output.ends_with("sockets 3\n"), "{output}");
    assert_eq!(output.matches("_error error NetConnection.Connect.Rejected").count(), 2, "{output}");
}
