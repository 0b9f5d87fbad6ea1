//! Unmodified programs over rtmps: the film that they receive from nginx's RTMP module behind other TLS implementations is
//! complete, and environment variables set the trusted certificates.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::certs::{Authority, Valid};
use crate::support::flv;
use crate::support::front::Front;
use crate::support::process::{TempDir, wait_until};
use crate::support::program::{self, LoaderLog, Run};
use crate::support::servers::Nginx;
use crate::support::{Library, clip, library::ours_is_original, require};

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// Runs a program on our library with these environment variables.
fn run(name: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Option<Run> {
    let mut command = program::on_library(&require::program(name)?, Library::Ours)?;
    command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR").env_remove("RTMP_TLS_VERIFY");
    command.args(arguments).envs(environment.iter().copied());
    let loader = LoaderLog::of(&mut command);
    let run = program::run(&mut command, "", LIMIT);
    loader.assert_loaded(Library::Ours);
    Some(run)
}

/// nginx with a film, the film, and certificates.
fn film() -> Option<(Nginx, PathBuf, Authority)> {
    let clip = clip::flv()?;
    let nginx = Nginx::start()?;
    nginx.offer(&clip, "film.flv");
    Some((nginx, clip, Authority::new()?))
}

/// rtmpdump downloads the film. The file must be complete.
fn download(front: &Front, clip: &Path, environment: &[(&str, &Path)], what: &str) -> Option<()> {
    let directory = TempDir::new("rtmps");
    let file = directory.join("film.flv");
    let arguments = ["-r", &front.url("vod", "film"), "-o", &file.to_string_lossy(), "-m", "10"];
    let run = run("rtmpdump", &arguments, environment)?;
    assert!(file.exists(), "{what}: {}", run.stderr);
    let sent = flv::readable(&flv::media(&flv::load(clip)));
    flv::assert_equal(&sent, &flv::media(&flv::load(&file)), what);
    Some(())
}

#[test]
fn rtmpdump_downloads_through_nginx_with_tls() {
    if ours_is_original() {
        return;
    }
    let (nginx, clip, authority) = need!(film());
    let certificate = authority.issue_through_intermediate(NAMES);
    let ca = authority.certificate();
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let front = need!(Front::nginx(&certificate, protocol, nginx.port));
        need!(download(&front, &clip, &[("SSL_CERT_FILE", &ca)], protocol));
    }
}

#[test]
fn rtmpdump_downloads_through_stunnel() {
    if ours_is_original() {
        return;
    }
    let (nginx, clip, authority) = need!(film());
    let own = authority.self_signed("own", NAMES, "CA:TRUE", Valid::Now);
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let front = need!(Front::stunnel(&own, protocol, nginx.port));
        need!(download(&front, &clip, &[("SSL_CERT_FILE", &own.chain)], protocol));
        need!(download(&front, &clip, &[("RTMP_TLS_VERIFY", Path::new("0"))], protocol));
    }
}

#[test]
fn rtmpdump_refuses_an_unverifiable_server_and_names_the_options() {
    if ours_is_original() {
        return;
    }
    let (nginx, _, authority) = need!(film());
    let own = authority.self_signed("own", NAMES, "CA:TRUE", Valid::Now);
    let front = need!(Front::stunnel(&own, "TLSv1.3", nginx.port));
    let directory = TempDir::new("rtmps-refused");
    let file = directory.join("film.flv");
    let arguments = ["-r", &front.url("vod", "film"), "-o", &file.to_string_lossy(), "-m", "10"];
    let run = need!(run("rtmpdump", &arguments, &[]));
    assert_ne!(run.code, Some(0));
    for word in
        ["certificate of localhost is refused", "unknown issuer", "SSL_CERT_FILE", "RTMP_TLS_VERIFY=0"]
    {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
}

#[test]
fn curl_uploads_and_downloads_over_tls() {
    if ours_is_original() {
        return;
    }
    let (nginx, clip, authority) = need!(film());
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let (ca, sent) = (authority.certificate(), flv::readable(&flv::media(&flv::load(&clip))));
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let front = need!(Front::nginx(&certificate, protocol, nginx.port));
        let (url, file) = (front.url("record", protocol), clip.to_string_lossy());
        let arguments = ["--silent", "--show-error", "--max-time", "30", "-T", &file, &url];
        let uploaded = need!(run("curl", &arguments, &[("SSL_CERT_FILE", &ca)]));
        let recording = nginx.recording(protocol);
        assert!(wait_until(LIMIT, || recording.exists()), "{protocol}: {}", uploaded.stderr);
        let complete = || flv::media(&flv::load_part(&recording)).len() >= sent.len();
        assert!(wait_until(Duration::from_secs(20), complete), "{protocol}: {}", uploaded.stderr);

        let directory = TempDir::new("rtmps-curl");
        let file = directory.join("film.flv");
        let url = front.url("vod", "film");
        let arguments = ["--silent", "--max-time", "30", "-o", &file.to_string_lossy(), &url];
        let downloaded = need!(run("curl", &arguments, &[("SSL_CERT_FILE", &ca)]));
        assert_eq!(downloaded.code, Some(0), "{protocol}: {downloaded:?}");
        flv::assert_equal(&sent, &flv::media(&flv::load(&file)), protocol);
    }
}
