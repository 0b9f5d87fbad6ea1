//! Why calls fail, according to `RTMP_GetLastError` and `RTMP_GetErrorString`: every phase with its code and
//! its text.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::pumps::End;
use crate::support::amf::{self, Value, n, object, s, status};
use crate::support::certs::{Authority, Valid};
use crate::support::wire::{Message, basic_header};
use crate::support::{Library, Peer, Program, Run, Server, TempDir, hex, library, process, program, require};
use rtmp_core::transport::tls::ServerContext;

const LIMIT: Duration = Duration::from_secs(60);
/// The beginning of a session; the peer may be slow on a busy machine, unless the test is about its silence.
const SETUP: &str = "setup rtmp://127.0.0.1:PORT/app/stream\ntimeout 20\n";
const WORDS: &str = "already publishing";

/// Runs steps of `tests/c/reasons.c` on our library.
fn run(steps: &str) -> Option<Run> {
    if library::ours_is_original() {
        return None;
    }
    Program::test_of_ours("reasons")?.run(Library::Ours, &[], steps, LIMIT)
}

/// The texts of the steps that failed, with the port as PORT.
fn failures(run: Run, port: u16) -> Vec<String> {
    let text = run.expect("reasons.c").replace(&format!(":{port}"), ":PORT");
    let lines = text.lines().filter(|line| line.contains('\''));
    lines.map(|line| line.split_once(": -> ").map_or(line, |(_, result)| result).to_owned()).collect()
}

/// Checks the failures of some steps.
#[track_caller]
fn assert_failures(steps: &str, expected: &[&str]) {
    let found = failures(need!(run(steps)), 0);
    assert_eq!(found, expected, "{steps}");
}

/// Checks the failures of a session with a peer.
#[track_caller]
fn assert_failures_with(script: impl FnOnce(&mut Peer) + Send + 'static, steps: &str, expected: &[&str]) {
    if library::ours_is_original() {
        return;
    }
    let server = Server::once(move |peer| {
        script(peer);
        peer.drain(LIMIT);
    });
    let port = server.port;
    let run = need!(run(&steps.replace("PORT", &port.to_string())));
    server.join();
    assert_eq!(failures(run, port), expected, "{steps}");
}

/// Also those that the calls check before they look at the session.
#[test]
fn invalid_arguments_are_the_reason() {
    for (call, reason) in [
        ("write", "invalid argument: buf"),
        ("write-size", "invalid argument: buf"),
        ("send", "invalid argument: packet"),
        ("send-body", "m_body is NULL but m_nBodySize is not 0"),
        ("chunk", "invalid argument: chunk"),
        ("chunk-body", "invalid argument: c_chunk"),
        ("read-packet", "invalid argument: packet"),
        ("media", "invalid argument: packet"),
        ("client-packet", "invalid argument: packet"),
        ("take-connect", "invalid argument: packet"),
        ("take-body", "m_body is NULL but m_nBodySize is not 0"),
        ("property-name", "invalid argument: name"),
        ("property", "invalid argument: p"),
        ("connect0", "connect: invalid argument: svc"),
    ] {
        assert_failures(&format!("invalid {call}\n"), &[&format!("0 ARGUMENT '{reason}'")]);
    }
}

fn play(more: &str) -> String {
    format!("{SETUP}connect\nstream\n{more}")
}

fn publish(more: &str) -> String {
    format!("{SETUP}enablewrite\nconnect\nstream\n{more}")
}

#[test]
fn nothing_is_wrong_at_first_and_null_is_itself_the_reason() {
    let null = "0 ARGUMENT 'the RTMP pointer is NULL'";
    assert_failures("init\nnull\nsetup rtmp://host/app\nconnect\n", &["0 NONE ''", null, null, null]);
}

#[test]
fn urls_and_options() {
    assert_failures(
        "setup nonsense\nsetup rtmp://\nsetup rtmp://host/app lvie=1\nsetup rtmp://host/app playpath=a\\2\n\
         setup rtmp://host/app conn=X:1\nsetup rtmp://host/app socks=ftp://host\noption nothing 1\n\
         option tlsVerify maybe\noption ipv 5\ndrop 3\n",
        &[
            "0 URL 'URL: no :// in url'",
            "0 URL 'URL: no hostname in url'",
            "0 OPTION 'option: there is no option lvie'",
            "0 OPTION 'option: malformed option value: a backslash without two characters behind it'",
            "0 OPTION 'option: malformed conn option: not one of B, S, N, Z, O, NB, NS, NN, NO and a colon'",
            "0 OPTION 'option: the scheme of the proxy is not supported'",
            "0 OPTION 'option: there is no option nothing'",
            "0 OPTION 'option: tlsVerify is neither 1 nor 0'",
            "0 OPTION 'option: the version of IP is neither 4 nor 6'",
            "0 ARGUMENT 'RTMP_DropRequest, no such request'",
        ],
    );
}

#[test]
fn hosts_that_are_not_reached() {
    let refused = "0 CONNECT 'connect: connection refused by 127.0.0.1:PORT'";
    let check = |steps: &str, expected: &[&str]| {
        let port = process::free_port();
        let found = failures(need!(run(&steps.replace("PORT", &port.to_string()))), port);
        assert_eq!(found, expected, "{steps}");
    };
    check("connect\n", &["0 ARGUMENT 'connect: RTMP_Connect, there is no host name'"]);
    // Later calls that need a connection do not hide why there is none.
    check(&format!("{SETUP}connect\nstream\nread\nsend 4 10\nclose\nread\n"), &[refused; 6]);
    check("connect0 PORT\nconnect1\n", &[refused, "0 NOT_CONNECTED 'there is no connection'"]);
    check(
        "setup rtmp://192.0.2.1/app socks=127.0.0.1:PORT\nconnect\n",
        &["0 CONNECT 'connect: proxy: connection refused by 127.0.0.1:PORT'"],
    );
    // The system's text and the time that it needs do not matter.
    let run = need!(run("setup rtmp://name.invalid/app\nconnect\n"));
    let found = failures(run, 0).concat();
    assert!(
        found.starts_with("0 RESOLVE 'name lookup: no address for host name.invalid (")
            && found.ends_with(")'"),
        "{found}"
    );
}

#[test]
fn a_proxy_that_refuses() {
    assert_failures_with(
        |peer| {
            peer.read_exact(9);
            peer.send_raw(&[0, 91, 0, 0, 0, 0, 0, 0]);
        },
        "setup rtmp://192.0.2.1/app/stream socks=127.0.0.1:PORT\ntimeout 20\nconnect\n",
        &["0 PROXY 'proxy: SOCKS negotiation failed. 127.0.0.1:PORT: SOCKS returned error code 91, \
           request rejected or failed'"],
    );
}

#[test]
fn handshakes() {
    assert_failures_with(
        |_| {},
        &format!("{SETUP}timeout 1\nconnect\n"),
        &["0 TIMEDOUT 'handshake: timed out'"],
    );
    assert_failures_with(
        Peer::finish,
        &format!("{SETUP}connect\n"),
        &["0 CLOSED 'handshake: the peer closed the connection'"],
    );
    assert_failures_with(
        |peer| peer.send_raw(&[0x5A; 3073]),
        &format!("{}connect\n", SETUP.replace("rtmp:", "rtmpe:")),
        &["0 HANDSHAKE 'handshake: Couldn't verify the server digest'"],
    );
}

#[test]
fn tls() {
    let steps = format!("{}connect\n", SETUP.replace("rtmp:", "rtmps:"));
    assert_failures_with(
        |peer| peer.send_raw(b"220 this is another service\r\n"),
        &steps,
        &["0 TLS 'TLS with 127.0.0.1 failed: what it sends is not TLS'"],
    );
    assert_failures_with(
        Peer::finish,
        &steps,
        &["0 TLS 'TLS: 127.0.0.1 closed the connection during the TLS handshake'"],
    );
    assert_failures_with(|_| {}, &steps.replace("timeout 20", "timeout 1"), &["0 TIMEDOUT 'TLS: timed out'"]);
}

#[test]
fn refused_certificate_error_names_the_options() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).expect("it is a good one");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a client");
        End::server(socket, &context, LIMIT).map(drop).map_err(|error| error.to_string())
    });
    let steps = format!("setup rtmps://127.0.0.1:{port}/app/stream\ntimeout 20\nconnect\n");
    let found = failures(need!(run(&steps)), port);
    server.join().expect("the server runs").expect_err("the client refuses");
    assert_eq!(
        found,
        [
            "0 TLS 'TLS: the certificate of 127.0.0.1 is refused: unknown issuer; to trust a certificate name its PEM \
          file with the option tlsCA or the environment variable SSL_CERT_FILE, to check nothing set tlsVerify=0 \
          or the environment variable RTMP_TLS_VERIFY=0'"
        ]
    );
}

#[test]
fn http_tunnels() {
    let steps = format!("{}connect\n", SETUP.replace("rtmp:", "rtmpt:"));
    assert_failures_with(
        |peer| peer.send_raw(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        &steps,
        &["0 REFUSED 'HTTP tunnel: HTTP 403: Forbidden'"],
    );
    assert_failures_with(
        |peer| peer.send_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        &steps,
        &["0 TOO_LARGE 'HTTP tunnel: Content-Length of an HTTP tunnel is too large'"],
    );
}

#[test]
fn requests_that_a_server_refuses() {
    let refuse = |command: &'static str, code: &'static str| {
        move |peer: &mut Peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.wait_for(command);
            peer.status(1, "error", code, WORDS);
        }
    };
    assert_failures_with(
        |peer| {
            peer.handshake();
            peer.wait_for("connect");
            let why = status("error", "NetConnection.Connect.Rejected", "no\nentry");
            peer.invoke(0, &[s("_error"), n(1), Value::Null, why]);
        },
        &play("read\n"),
        &["0 REFUSED 'connect command: NetConnection.Connect.Rejected: no\\x0aentry'"; 2],
    );
    assert_failures_with(
        |peer| {
            peer.accept_connect();
            let create = peer.wait_for("createStream");
            let why = status("error", "NetConnection.Call.Failed", "");
            peer.invoke(0, &[s("_error"), create[1].clone(), Value::Null, why]);
        },
        &play(""),
        &["0 REFUSED 'createStream: NetConnection.Call.Failed'"],
    );
    assert_failures_with(
        refuse("play", "NetStream.Play.StreamNotFound"),
        &play(""),
        &["0 REFUSED 'play: NetStream.Play.StreamNotFound: already publishing'"],
    );
    assert_failures_with(
        refuse("publish", "NetStream.Publish.BadName"),
        &publish("send 4 10\n"),
        &["0 REFUSED 'publish: NetStream.Publish.BadName: already publishing'"; 2],
    );
    assert_failures_with(
        |peer| {
            peer.accept_play();
            peer.status(1, "error", "NetStream.Failed", WORDS);
        },
        &play("read\n"),
        &["0 REFUSED 'reading: NetStream.Failed: already publishing'"],
    );
}

#[test]
fn servers_that_fall_silent_or_close() {
    let impatient = SETUP.replace("timeout 20", "timeout 3");
    assert_failures_with(
        Peer::handshake,
        &format!("{impatient}connect\nstream\n"),
        &["0 TIMEDOUT 'connect command: timed out'"],
    );
    assert_failures_with(
        |peer| {
            peer.accept_connect();
        },
        &format!("{impatient}connect\nstream\n"),
        &["0 TIMEDOUT 'createStream: timed out'"],
    );
    assert_failures_with(
        |peer| {
            peer.accept_connect();
            peer.accept_create();
            peer.finish();
        },
        &publish(""),
        &["0 CLOSED 'publish: the peer closed the connection'"],
    );
    assert_failures_with(
        |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, &[0x17; 300]));
            peer.finish();
        },
        &play("read\nread\n"),
        &["0 CLOSED 'reading: the peer closed the connection'"; 2],
    );
    assert_failures_with(
        |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, &[0x17; 300]));
        },
        &format!("{impatient}connect\nstream\nread\nmedia\nreadpacket\n"),
        &["0 TIMEDOUT 'reading: timed out'"; 3],
    );
}

#[test]
fn ended_stream() {
    assert_failures_with(
        |peer| {
            peer.accept_play();
            peer.send(&Message::new(6, 0, 9, 1, &[0x17; 300]));
            peer.status(1, "status", "NetStream.Play.Stop", "");
        },
        &play("read\nread\n"),
        &["0 ENDED 'reading: the stream has ended, NetStream.Play.Stop'"; 2],
    );
}

#[test]
fn malformed_chunks() {
    // More unfinished messages than are kept.
    assert_failures_with(
        |peer| {
            peer.accept_play();
            let message = Message::new(64, 0, 9, 1, &[0; 1 << 20]).chunks(128);
            let start = basic_header(0, 64).len();
            let begun = &message[start..start + 11 + 128];
            for chunk_stream in 64..64 + 1100 {
                peer.send_raw(&[&basic_header(0, chunk_stream), begun].concat());
            }
        },
        &play("media\n"),
        &["0 MALFORMED 'reading: malformed chunk stream: more unfinished messages than this library holds'"],
    );
}

#[test]
fn invalid_packets_and_flv() {
    assert_failures_with(
        Peer::accept_publish,
        &publish(
            "send -1 10\nsend 70000 10\nsend 4 20000000\nsend 4 10\nwrite 12ffffff00000000000000\npause 1\n",
        ),
        &[
            "0 ARGUMENT 'sending: m_nChannel is negative'",
            "0 TOO_LARGE 'sending: chunk stream id is too large'",
            "0 TOO_LARGE 'sending: message is too large'",
            "-1 FLV 'FLV: metadata tag is too large'",
        ],
    );
}

#[test]
fn a_stream_that_is_not_the_one_to_resume() {
    assert_failures_with(
        |peer| {
            peer.accept_play();
            let metadata = [s("onMetaData"), object(&[("duration", n(3))])];
            peer.send(&Message::new(5, 0, 18, 1, &amf::encode(&metadata)));
        },
        &play("resume x\nread\n"),
        &["0 RESUME 'reading: the stream does not go on where the file ends'"],
    );
}

#[test]
fn clients_that_are_served() {
    let http = |text: &str| hex::encode(text.as_bytes());
    let steps = format!(
        "serve {}\nserve {}\nserve {}\nserve {}\naccept\n",
        hex::encode(b"\x03 half a handshake"),
        hex::encode(&[b'x'; 1537]),
        http("POST /open/1"),
        http("GET / HTTP/1.1\r\nHost: us\r\n\r\n"),
    );
    let no_session = "0 MALFORMED 'HTTP tunnel: malformed HTTP connection: it ended before a session began'";
    assert_failures(
        &steps,
        &[
            "0 CLOSED 'handshake: the peer closed the connection'",
            "0 HANDSHAKE 'handshake: the client speaks another protocol'",
            no_session,
            no_session,
            "0 NOT_CONNECTED 'TLS: there is no connection'",
        ],
    );
}

#[test]
fn an_http_connection_that_joins_a_session() {
    let run = need!(run("join\n"));
    assert_eq!(
        run.expect("reasons.c"),
        "join: socket -1 -> 0 JOINED 'HTTP tunnel: the connection belongs to a session that is served already'\n"
    );
}

#[test]
fn a_reason_follows_its_session_until_it_starts_again() {
    let option = "0 OPTION 'option: there is no option nothing'";
    assert_failures(
        "option nothing 1\nmove\nclose\nconnect\ninit\n",
        &[option, option, option, "0 ARGUMENT 'connect: RTMP_Connect, there is no host name'", "0 NONE ''"],
    );
}

/// The examples also run with a library that lacks the function.
#[test]
fn examples_print_the_reason_if_the_library_has_it() {
    if library::ours_is_original() {
        return;
    }
    let receive = need!(Program::example("receive"));
    let url = format!("rtmp://127.0.0.1:{}/app/stream", process::free_port());
    let says = |library| {
        let directory = TempDir::new("reasons");
        let file = directory.join("out.flv");
        let run = receive.run(library, &["-q", "-o", &file.to_string_lossy(), &url], "", LIMIT)?;
        assert_eq!(run.code, Some(3), "{run:?}");
        Some(run.stderr)
    };
    let ours = says(Library::Ours).expect("ours is always there");
    assert!(
        ours.contains(&format!("cannot connect to {url} (connect: connection refused by 127.0.0.1:")),
        "{ours}"
    );
    let original = need!(says(Library::Original));
    assert!(original.contains(&format!("cannot connect to {url} (the log says why)")), "{original}");
}

#[test]
fn reasons_of_two_threads_stay_separate() {
    assert_failures("threads\n", &[]);
}

#[test]
fn unconnected_session_needs_no_close() {
    let valgrind = need!(require::program("valgrind"));
    let plain = need!(need!(Program::test_of_ours("reasons")).command(Library::Ours));
    let port = process::free_port();
    for arguments in [&[][..], &["careless"]] {
        let mut command = Command::new(&valgrind);
        command.args(["-q", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]);
        command.args(["--show-leak-kinds=definite,indirect", "--error-exitcode=99"]);
        command.arg(plain.get_program()).args(arguments);
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let steps = format!("option nothing 1\noption timeout 10\nconnect0 {port}\nconnect1\nread\n");
        let run = program::run(&mut command, &steps, Duration::from_secs(120));
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("CONNECT 'connect: connection refused by 127.0.0.1:"), "{run:?}");
    }
}
