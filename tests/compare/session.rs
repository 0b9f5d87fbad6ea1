//! Runs rows of `tests/c/session_driver.c` against a server that follows a script.
//!
//! `carried` lists those that also run over other transports than plain RTMP.

use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::accepted::{DEFECTS, Ending};
use super::answers::ANSWERS;
use super::carried;
use super::cases::{COMMANDS, Case, MESSAGES};
use super::endings::ENDINGS;
use super::incoming::{INCOMING, LOGINS};
use super::odd_options::ODD;
use super::options::OPTIONS;
use super::patterns::{IN_TURNS, PATTERNS};
use super::support::calls::CallLog;
use super::support::{Library, Peer, Program, Server, TempDir, hex, library, program};
use super::ways::{Credentials, Way};
use super::{Observation, Row};

/// The time limit of a program; librtmp 2.4 waits where ours does not.
pub const LIMIT: Duration = Duration::from_secs(40);
/// Enough to see that the original does not continue.
const HANGS: Duration = Duration::from_secs(5);

/// Steps for the client, and the server's script for each connection.
pub struct Session {
    pub name: &'static str,
    pub steps: &'static str,
    pub connections: &'static [fn(&mut Peer)],
}

/// All sessions over plain RTMP.
pub fn all() -> impl Iterator<Item = Session> {
    let single = |case: &'static Case| Session {
        name: case.name,
        steps: case.steps,
        connections: std::slice::from_ref(&case.server),
    };
    let cases = [COMMANDS, MESSAGES, INCOMING, ENDINGS, ANSWERS].into_iter().flatten().map(single);
    let several =
        OPTIONS.iter().chain(LOGINS).chain(ODD).chain(PATTERNS).map(|session| Session { ..*session });
    cases.chain(several)
}

pub fn rows() -> impl Iterator<Item = Row> {
    let plain = all().map(|session| (session, Way::PLAIN));
    // One certificate for all of them.
    let credentials: Arc<OnceLock<Option<Credentials>>> = Arc::default();
    let in_turns = all().filter(|session| IN_TURNS.contains(&session.name));
    let once = plain.chain(carried::all()).map(|(session, way)| (session, way, false));
    once.chain(in_turns.map(|session| (session, Way::PLAIN, true))).map(move |(session, way, in_turns)| {
        let credentials = credentials.clone();
        Row {
            name: match (way, in_turns) {
                (_, true) => format!("{} in turns", session.name),
                (Way::PLAIN, false) => session.name.to_owned(),
                (way, false) => format!("{} over {way}", session.name),
            },
            like: session.name,
            run: Box::new(move |library| {
                let credentials = match way.tls {
                    true => Some(credentials.get_or_init(Credentials::new).as_ref()?),
                    false => None,
                };
                observe(library, &session, way, in_turns, credentials)
            }),
        }
    })
}

fn observe(
    library: Library,
    session: &Session,
    way: Way,
    in_turns: bool,
    credentials: Option<&Credentials>,
) -> Option<Observation> {
    let driver = Program::test("session_driver")?;
    let scripts = session.connections;
    let trusted = credentials.map(|credentials| credentials.authority.certificate());
    let tls = credentials.map(|credentials| credentials.config.clone());
    let server = Server::listen(move |listener| serve(listener, scripts, way, tls.as_ref()));
    let port = server.port.to_string();
    let home = TempDir::new("home");
    let mut command = driver.command(library)?;
    command.arg("6").args(in_turns.then_some("in-turns")).env("HOME", home.path());
    command.envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
    let calls = CallLog::of(&mut command);
    let hangs = DEFECTS.iter().any(|entry| entry.row == session.name && entry.original == Ending::Hang);
    let limit = if hangs && library == Library::Original { HANGS } else { LIMIT };
    let steps = session.steps.replace("rtmp://127.0.0.1:PORT", &format!("{way}://127.0.0.1:PORT"));
    let run = program::run(&mut command, &steps.replace("PORT", &port), limit);
    let mut observation = server.join();
    observation.log = mask(&run.stderr, &port);
    observation.ending = match (run.timed_out, run.code) {
        (true, _) => Ending::Hang,
        (false, None) => Ending::Crash,
        (false, _) => Ending::Well,
    };
    let shown = if observation.ending == Ending::Well { run.expect(session.name) } else { run.stdout };
    observation.used = calls.used_by(driver.path());
    observation.text = mask(&format!("{shown}\n{}", observation.text), &port);
    if in_turns && (library == Library::Original || library::ours_is_original()) {
        // For "errno-after-success": a signal may come in any call.
        observation.text = observation.text.replace(" stray=EINTR", "");
    }
    Some(observation)
}

/// Accepts connections as long as there are scripts for them.
fn serve(
    listener: &TcpListener,
    scripts: &[fn(&mut Peer)],
    way: Way,
    tls: Option<&Arc<ServerConfig>>,
) -> Observation {
    let mut all = Observation::default();
    for (number, script) in scripts.iter().enumerate() {
        let mut peer = way.dress(Peer::accept(listener), tls);
        script(&mut peer);
        peer.drain(LIMIT);
        // The time in C1 is the client's own, and the bytes after the four zeros are random.
        let c1 = peer.c1.get(4..8).map(hex::encode).unwrap_or_default();
        all.text += &format!("connection {number}, C1 {c1}\n{}", peer.transcript());
        all.violations.extend_from_slice(peer.violations());
        all.messages.append(&mut peer.messages);
        all.sent.append(&mut peer.sent);
    }
    listener.set_nonblocking(true).expect("listening sockets can be polled");
    // A client that connects once more has a request without a script.
    let deadline = Instant::now() + Duration::from_millis(20);
    while Instant::now() < deadline {
        if Peer::try_accept(listener).is_some() {
            all.text += "one more connection\n";
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    all
}

/// Replaces values that differ each time: the server's port, the nonce of a login and the answer to it.
fn mask(text: &str, port: &str) -> String {
    let mut text = text.to_owned();
    // The same digits may be a part of another value.
    for before in [":", "port=", "setupstream ", "connectwith ", "serve "] {
        text = text.replace(&format!("{before}{port}"), &format!("{before}PORT"));
    }
    for (name, length) in [("cnonce=", 8), ("response=", 32)] {
        let mut from = 0;
        while let Some(at) = text[from..].find(name) {
            let start = from + at + name.len();
            let digits = text[start..].bytes().take_while(u8::is_ascii_hexdigit).count();
            if digits == length {
                text.replace_range(start..start + length, "RANDOM");
            }
            from = start;
        }
    }
    text
}
