//! One session and several URLs: no setting of one URL affects the next. And the login in a URL, and stream
//! names that begin with a type.
#![forbid(unsafe_code)]

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use crate::support::amf::{Value, n, object, s};
use crate::support::{Library, Peer, Program, Server, library, program, require};
use rtmp_core::Client;

const LIMIT: Duration = Duration::from_secs(60);

/// A client's messages until its stream plays: all commands with their values.
fn commands(peer: &mut Peer) -> String {
    peer.accept_play();
    peer.status(1, "status", "NetStream.Play.Stop", "");
    peer.finish();
    peer.drain(LIMIT);
    let commands = peer.messages.iter().filter(|message| message.kind == 0x14 || message.kind == 4);
    commands.map(|message| message.describe() + "\n").collect()
}

/// A server for this many connections; returns the commands of each.
fn server(connections: usize) -> Server<Vec<String>> {
    Server::listen(move |listener| (0..connections).map(|_| commands(&mut Peer::accept(listener))).collect())
}

/// Plays one URL after the other, under valgrind; returns the server's commands of each connection.
fn play(library: Library, what: &str, texts: &[&str]) -> Option<Vec<String>> {
    let server = server(texts.len());
    let port = server.port.to_string();
    let texts: Vec<String> = texts.iter().map(|text| text.replace("PORT", &port)).collect();
    let plain = Program::test("next_url")?.command(library)?;
    let mut command = Command::new(plain.get_program());
    if library == Library::Ours && !library::ours_is_original() {
        command = Command::new(require::program("valgrind")?);
        command.args(["-q", "--error-exitcode=9", "--leak-check=full"]).arg(plain.get_program());
    }
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let run = program::run(command.arg(what).args(&texts), "", LIMIT);
    assert_eq!(run.code, Some(0), "{what} {texts:?}: {run:?}");
    assert_eq!(run.stdout, "connect: 1\nstream: 1\n".repeat(texts.len()), "{what}: {}", run.stderr);
    Some(server.join().iter().map(|heard| heard.replace(&port, "PORT")).collect())
}

const EVERYTHING: &str = "rtmp://127.0.0.1:PORT/first/one app=other tcUrl=rtmp://x/y pageUrl=http://p swfUrl=http://s flashver=F \
                          conn=S:text conn=O:1 conn=NS:n:v conn=O:0 playlist=1 live=1 subscribe=sub jtv=j start=1000 \
                          stop=2000 buffer=1234 ipv=4";
const NEXT: &str = "rtmp://127.0.0.1:PORT/second/two";

#[test]
fn next_url_is_parsed_like_the_first() {
    if library::ours_is_original() {
        return;
    }
    let fresh = need!(play(Library::Ours, "keep", &[NEXT])).remove(0);
    assert!(fresh.contains("rtmp://127.0.0.1:PORT/second") && fresh.contains("two"), "{fresh}");
    for what in ["free", "keep"] {
        let heard = need!(play(Library::Ours, what, &[EVERYTHING, NEXT, EVERYTHING, NEXT]));
        assert_ne!(heard[0], fresh);
        assert_eq!(heard[1], fresh, "{what}");
        assert_eq!(heard[2], heard[0], "{what}");
        assert_eq!(heard[3], fresh, "{what}");
    }
}

/// Programs that try again after the end pass the same text once more, whose options are cut off by then, or none at all.
#[test]
fn programs_that_connect_again_keep_their_options_on_both() {
    const TEXT: &str = "rtmp://127.0.0.1:PORT/first/one playpath=name tcUrl=rtmp://x/y swfUrl=http://s conn=S:text live=1 start=1000";
    for what in ["again", "without"] {
        let [original, ours] =
            [Library::Original, Library::Ours].map(|library| play(library, what, &[TEXT, TEXT]));
        let (original, ours) = (need!(original), need!(ours));
        let first = |heard: &[String]| {
            let lines =
                heard[1].lines().filter(|line| line.contains("\"connect\"") || line.contains("\"play\""));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(first(&ours), first(&original), "{what}");
        assert!(first(&ours)[0].contains("http://s"), "{ours:?}");
    }
}

/// The command with which a client connects.
fn connect(peer: &Peer) -> String {
    let mut messages = peer.messages.iter();
    let connect = messages.find(|message| message.command().as_deref() == Some("connect"));
    connect.expect("clients connect first").describe()
}

/// Requests a publisher's login with Limelight's scheme.
fn lock() -> Server<Vec<String>> {
    const ANSWERS: [&str; 2] =
        ["[ authmod=llnw : code=403 need auth ]", "[ authmod=llnw ] : ?reason=needauth&user=x&nonce=NONCE"];
    Server::listen(|listener| {
        let mut heard = Vec::new();
        for answer in ANSWERS {
            let mut peer = Peer::accept(listener);
            peer.handshake();
            peer.wait_for("connect");
            heard.push(connect(&peer));
            let refusal = object(&[
                ("level", s("error")),
                ("code", s("NetConnection.Connect.Rejected")),
                ("description", s(answer)),
            ]);
            peer.invoke(0, &[s("_error"), n(1), Value::Null, refusal]);
            peer.drain(LIMIT);
        }
        let mut peer = Peer::accept(listener);
        peer.accept_publish();
        peer.drain(LIMIT);
        heard.push(connect(&peer));
        heard
    })
}

/// The value of a parameter in a command.
fn parameter<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("&{name}=")).unwrap_or_else(|| panic!("no {name} in {text}"));
    rest.split(['&', '"']).next().unwrap_or_default()
}

const USER: &str = "us:er@x";
const PASSWORD: &str = "p@ss/?#:%41";

/// A login as the answer to the challenge that was made for it.
fn assert_logged_in(heard: &[String], log: &str) {
    let token = &heard[2];
    let md5 = |text: &str| {
        use std::io::Write;
        let mut child = Command::new("md5sum")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("coreutils are there");
        child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends").stdout;
        String::from_utf8_lossy(&output[..32]).into_owned()
    };
    assert!(heard[1].contains(&format!("?authmod=llnw&user={USER}\"")), "{}", heard[1]);
    // The server says for whom the challenge is.
    let hashes = [md5(&format!("x:live:{PASSWORD}")), md5("publish:/app/_definst_")];
    let expected =
        md5(&format!("{}:NONCE:00000001:{}:auth:{}", hashes[0], parameter(token, "cnonce"), hashes[1]));
    assert_eq!(parameter(token, "response"), expected);
    for heard in heard {
        assert!(!heard.contains("p@ss") && !heard.contains("p%40ss"), "{heard}");
        assert!(heard.contains("\"rtmp://127.0.0.1:"), "tcUrl has no login: {heard}");
    }
    for secret in ["p@ss", "p%40ss"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn login_in_a_url_is_decoded_and_not_logged() {
    if library::ours_is_original() {
        return;
    }
    let text = |port: u16| format!("rtmp://us%3aer%40x:p%40ss%2F%3F%23:%2541@127.0.0.1:{port}/app/name");
    let server = lock();
    let run = need!(
        Program::test("next_url")
            .and_then(|program| { program.run(Library::Ours, &["publish", &text(server.port)], "", LIMIT) })
    );
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "connect: 1\nstream: 1\n"), "{run:?}");
    assert_logged_in(&server.join(), &run.stderr);

    let server = lock();
    let publisher = Client::new(&text(server.port)).unwrap().publish().unwrap();
    assert!(!format!("{publisher:?}").contains("p@ss"));
    drop(publisher);
    assert_logged_in(&server.join(), "");
}

#[test]
fn application_ends_in_front_of_a_name_with_a_type() {
    for (path, app, name) in [
        ("vod/mp4:Media/2017/x.mp4", "vod", "mp4:Media/2017/x.mp4"),
        ("vod/_definst_/mp4:path/to/v.mp4", "vod/_definst_", "mp4:path/to/v.mp4"),
        ("vod/flv:films/x?k=v/w", "vod", "flv:films/x?k=v/w"),
    ] {
        let expected = [
            format!("app=s(\"{app}\")"),
            format!("tcUrl=s(\"rtmp://127.0.0.1:PORT/{app}\")"),
            format!("s(\"{name}\")"),
        ];
        let check = |heard: &str| {
            for part in &expected {
                assert!(heard.contains(part), "{part} in {heard}");
            }
        };
        if !library::ours_is_original() {
            check(&need!(play(Library::Ours, "keep", &[&format!("rtmp://127.0.0.1:PORT/{path}")]))[0]);
        }
        let server = server(1);
        let url = format!("rtmp://127.0.0.1:{}/{path}", server.port);
        let mut player = Client::new(&url).unwrap().play().unwrap();
        // Nothing follows except the end.
        let _ = player.read(&mut [0]);
        drop(player);
        let port = url[17..].split('/').next().unwrap_or_default().to_owned();
        check(&server.join()[0].replace(&port, "PORT"));
    }
}
