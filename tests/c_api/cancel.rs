//! `pthread_cancel` of a thread during a call: the thread is joined, no lock stays held, and no memory leaks.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![forbid(unsafe_code)]

use std::{
    net::TcpListener,
    sync::mpsc::{self, Receiver, TryRecvError},
    time::Duration,
};

use crate::support::{Library, Peer, Program, Server, library, wire::Message};

const LIMIT: Duration = Duration::from_secs(60);

/// The server's behaviour on the connection, until the program has ended.
fn serve(listener: &TcpListener, how: &str, ended: &Receiver<()>) {
    match how {
        // The system has accepted the connection, but there is no handshake.
        "connect" | "callback" => {
            let _ = ended.recv();
        }
        "log" => {}
        // The server reads nothing.
        "send" => {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            let _ = ended.recv();
        }
        "media" => {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            let messages: Vec<u8> =
                (0..100).flat_map(|time| Message::new(6, time, 9, 1, &[7; 100]).chunks(128)).collect();
            while ended.try_recv() == Err(TryRecvError::Empty) {
                peer.send_raw(&messages);
            }
        }
        _ => {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            peer.drain(LIMIT);
        }
    }
}

fn run(how: &'static str) {
    if library::ours_is_original() {
        return;
    }
    let program = need!(Program::test("cancel"));
    let (end, ended) = mpsc::channel();
    let server = Server::listen(move |listener| serve(listener, how, &ended));
    let url = format!("rtmp://127.0.0.1:{}/app/stream", server.port);
    let run = need!(program.run(Library::Ours, &[how, &url], "", LIMIT));
    assert_eq!(run.code, Some(0), "{how}: {run:?}");
    assert_eq!(run.stdout, "cancelled 1, in time 1, closed 1\n", "{how}");
    drop(end);
    server.join();
}

#[test]
fn thread_in_a_handshake_is_cancelled_at_the_end_of_the_call() {
    run("connect");
}

#[test]
fn a_thread_that_waits_for_bytes_is_cancelled_at_the_end_of_the_call() {
    run("read");
    run("packet");
}

#[test]
fn a_thread_that_reads_from_a_fast_peer_is_cancelled() {
    run("media");
}

#[test]
fn a_thread_that_waits_to_send_is_cancelled_at_the_end_of_the_call() {
    run("send");
}

#[test]
fn a_thread_that_prints_is_cancelled_and_others_can_print() {
    run("log");
}

#[test]
fn a_callback_is_not_cancelled_in_the_middle_of_a_call() {
    run("callback");
}
