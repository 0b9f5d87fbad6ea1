//! RTMPS and RTMPTS with the examples: our server with other clients, our clients behind nginx and stunnel, and all ways to set
//! trusted certificates.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;

use crate::support::certs::{Authority, Certificate, Valid};
use crate::support::examples::{self, Client, ExampleServer};
use crate::support::front::Front;
use crate::support::servers::{self, Nginx};
use crate::support::stage::Stage;
use crate::support::wiretap::Wiretap;
use crate::support::{Library, Program, Run, foreign, library::ours_is_original, process, require};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// A film and a certificate authority.
struct Trusted {
    stage: Stage,
    authority: Authority,
}

impl Trusted {
    /// Also `None` when the original is tested, which checks no certificates.
    fn set() -> Option<Self> {
        if ours_is_original() {
            return None;
        }
        Some(Self { stage: Stage::set()?, authority: Authority::new()? })
    }

    fn server(&self) -> Option<ExampleServer> {
        let certificate = self.authority.issue_through_intermediate(NAMES);
        ExampleServer::start_with_tls(Library::Ours, self.stage.folder.path(), &certificate)
    }

    /// The option that makes our clients trust the authority.
    fn option(&self) -> String {
        format!(" tlsCA={}", self.authority.certificate().display())
    }
}

/// Plays, publishes, pauses and seeks.
fn films_travel(protocol: &str) {
    let trusted = need!(Trusted::set());
    let (server, option) = (need!(trusted.server()), trusted.option());
    let tap = Wiretap::in_front_of(server.tls_port());
    need!(trusted.stage.travel(&server, &tap, protocol, &option, Library::Ours));
    tap.assert_unreadable(protocol);
    let program = need!(Program::test("pause_seek"));
    let url = server.url(protocol, "vod/film") + &option;
    need!(program.run(Library::Ours, &[&url], "", examples::LIMIT)).expect(protocol);
}

#[test]
fn our_clients_play_publish_pause_and_seek_on_our_server() {
    films_travel("rtmps");
}

#[test]
fn our_clients_play_publish_pause_and_seek_on_our_server_over_https() {
    films_travel("rtmpts");
}

#[test]
fn librtmps_rtmpdump_plays_from_our_server() {
    let trusted = need!(Trusted::set());
    let stage = &trusted.stage;
    let server = need!(trusted.server());
    for protocol in ["rtmps", "rtmpts"] {
        let file = stage.folder.join(format!("{protocol}.flv"));
        need!(examples::rtmpdump(Library::Original, &server.url(protocol, "vod/film"), &file));
        stage.assert_whole(&file, protocol);
    }
}

#[test]
fn ffmpeg_plays_from_our_server() {
    let trusted = need!(Trusted::set());
    let stage = &trusted.stage;
    let (server, ffmpeg) = (need!(trusted.server()), need!(require::program("ffmpeg")));
    let file = stage.folder.join("played.flv");
    for protocol in ["rtmps", "rtmpts"] {
        foreign::play_with(&ffmpeg, &server.url(protocol, "vod/film"), &file);
        stage.assert_most(&file, protocol);
    }
    // ffmpeg checks it, too.
    let (ca, file) = (trusted.authority.certificate(), file.to_string_lossy());
    let url = server.url("rtmps", "vod/film");
    let arguments = ["-loglevel", "error", "-y", "-tls_verify", "1", "-ca_file", &ca.to_string_lossy()];
    let arguments = [&arguments[..], &["-i", &url, "-c", "copy", &file]].concat();
    process::output(&ffmpeg, &arguments, examples::LIMIT);
}

#[test]
fn ffmpeg_publishes_to_our_server() {
    let trusted = need!(Trusted::set());
    let stage = &trusted.stage;
    let (server, trust) = (need!(trusted.server()), trusted.option());
    let mut players = Vec::new();
    for protocol in ["rtmps", "rtmpts"] {
        let (url, file) =
            (server.url(protocol, &format!("live/{protocol}")), stage.folder.join(format!("{protocol}.flv")));
        let player = need!(stage.player(&format!("{url}{trust}"), &file, Library::Ours));
        server.wait_for_log(&format!("plays live/{protocol}"));
        players.push((need!(servers::publish_with_ffmpeg(&stage.clip, &url)), player, file));
    }
    for (mut publisher, player, file) in players {
        let status = publisher.wait(examples::LIMIT);
        assert!(status.is_some_and(|status| status.success()), "{}", publisher.stderr());
        player.finish().expect("the player");
        stage.assert_most(&file, "ffmpeg");
    }
}

#[test]
fn our_clients_play_and_publish_through_nginx_and_stunnel_with_either_version() {
    let trusted = need!(Trusted::set());
    let stage = &trusted.stage;
    let nginx = need!(Nginx::start());
    nginx.offer(&stage.clip, "film.flv");
    let (certificate, trust) = (trusted.authority.issue("server", NAMES, Valid::Now), trusted.option());
    let mut clients = Vec::new();
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let fronts = [
            ("nginx", need!(Front::nginx(&certificate, protocol, nginx.port))),
            ("stunnel", need!(Front::stunnel(&certificate, protocol, nginx.port))),
        ];
        for (name, front) in fronts {
            let what = format!("{name}-{protocol}");
            let file = stage.folder.join(format!("{what}.flv"));
            need!(examples::receive(Library::Ours, &(front.url("vod", "film") + &trust), &file));
            stage.assert_whole(&file, &what);
            let url = front.url("record", &what) + &trust;
            let arguments = ["-q", "-t", "10", &stage.clip.to_string_lossy(), &url];
            let publisher = need!(Client::example("publish", Library::Ours, &arguments));
            clients.push((publisher, front, what));
        }
    }
    let count = 2 * clients.len();
    let mut names = Vec::new();
    for (publisher, _front, what) in clients {
        publisher.finish().expect(&what);
        names.push(what);
    }
    nginx.wait_for_disconnects(count);
    for what in names {
        stage.assert_complete(&nginx.recording(&what), &what);
    }
}

#[test]
fn our_clients_tunnel_through_stunnel_to_a_foreign_server() {
    let trusted = need!(Trusted::set());
    let certificate = trusted.authority.issue("server", NAMES, Valid::Now);
    let (server, trust) = (need!(foreign::NodeServer::start()), trusted.option());
    let front = need!(Front::stunnel(&certificate, "TLSv1.3", server.http_port));
    let url = |path: &str| format!("rtmpts://localhost:{}/{path}{trust}", front.port);
    need!(server.exercise_at("rtmpts", url, Library::Ours));
}

/// Asks for the film through TLS that uses this certificate.
fn play(stage: &Stage, front: &Front, options: &str, environment: &[(&str, &Path)]) -> Option<Run> {
    let file = stage.folder.join("trusted.flv");
    let mut command: Command = Program::example("receive")?.command(Library::Ours)?;
    command.args(["-t", "10", "-o"]).arg(&file).arg(front.url("vod", "film") + options);
    command.envs(environment.iter().copied());
    Some(Client::start(command, Library::Ours).finish())
}

#[test]
fn invalid_certificate_is_refused_unless_checks_are_off() {
    let trusted = need!(Trusted::set());
    let stage = &trusted.stage;
    let nginx = need!(Nginx::start());
    nginx.offer(&stage.clip, "film.flv");
    let authority = &trusted.authority;
    let (ca, zero) = (authority.certificate(), Path::new("0"));
    let own = authority.self_signed("own", NAMES, "CA:TRUE", Valid::Now);
    let named_own = format!(" tlsCA={}", own.chain.display());
    let front = |certificate: &Certificate| Front::nginx(certificate, "TLSv1.3", nginx.port);

    let front_of_own = need!(front(&own));
    let front_of_other = need!(front(&authority.issue("other", "DNS:elsewhere.example", Valid::Now)));
    let front_of_old = need!(front(&authority.issue("old", NAMES, Valid::Before)));
    let fronts = [
        (&front_of_own, "", "unknown issuer"),
        (&front_of_other, trusted.option().as_str(), "wrong name"),
        (&front_of_old, trusted.option().as_str(), "expired"),
    ]
    .map(|(front, options, reason)| (front, options.to_owned(), reason));
    for (front, options, reason) in &fronts {
        let run = need!(play(stage, front, options, &[]));
        assert_eq!(run.code, Some(3), "{reason}: {run:?}");
        assert!(run.stderr.contains("certificate of localhost is refused"), "{reason}: {}", run.stderr);
        assert!(run.stderr.contains(reason), "{reason}: {}", run.stderr);
        need!(play(stage, front, " tlsVerify=0", &[])).expect(reason);
        need!(play(stage, front, "", &[("RTMP_TLS_VERIFY", zero)])).expect(reason);
        // The option overrides the environment.
        let run = need!(play(stage, front, " tlsVerify=1", &[("RTMP_TLS_VERIFY", zero)]));
        assert_eq!(run.code, Some(3), "{reason}: {run:?}");
    }
    need!(play(stage, &front_of_own, &named_own, &[])).expect("tlsCA");
    need!(play(stage, &front_of_own, "", &[("SSL_CERT_FILE", &own.chain)])).expect("SSL_CERT_FILE");
    let run = need!(play(stage, &front_of_own, "", &[("SSL_CERT_FILE", &ca)]));
    assert_eq!(run.code, Some(3), "another authority: {run:?}");
}
