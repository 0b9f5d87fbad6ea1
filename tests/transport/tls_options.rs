//! The options `tlsCert`, `tlsKey` and `tlsPin` with stunnel as the server.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use crate::support::certs::{Authority, Certificate, Valid};
use crate::support::examples::Client;
use crate::support::front::Front;
use crate::support::{Library, Run, Server, TempDir, process};

const NAMES: &str = "DNS:localhost,IP:127.0.0.1";
const LIMIT: Duration = Duration::from_secs(20);

/// Plays from behind a front with these options.
fn play(front: &Front, options: &str) -> Option<Run> {
    let directory = TempDir::new("tls-options");
    let file = directory.join("out.flv");
    let url = format!("{} {options}", front.url("app", "name"));
    let arguments = ["-q", "-t", "20", "-o", &file.to_string_lossy(), &url];
    Some(Client::example("receive", Library::Ours, &arguments)?.finish())
}

fn assert_refused(run: &Run, why: &str) {
    assert!(run.code != Some(0) && run.stderr.contains(why), "{why}: {run:?}");
}

/// The pin of a certificate, computed by `openssl`.
fn pin(certificate: &Certificate) -> String {
    let command = format!(
        "openssl x509 -in '{}' -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | \
         openssl base64 -A",
        certificate.chain.display()
    );
    let digest = process::output(Path::new("/bin/sh"), &["-c", &command], LIMIT);
    format!("sha256//{}", String::from_utf8(digest).expect("base64 is text"))
}

#[test]
fn server_that_requests_a_certificate_gets_it() {
    let authority = need!(Authority::new());
    let trust = format!("tlsCA={}", authority.certificate().display());
    let own = authority.issue("client", "DNS:client", Valid::Now);
    let both = authority.directory().join("both.pem");
    let pem = [&own.chain, &own.key].map(|file| std::fs::read_to_string(file).expect("it was just written"));
    std::fs::write(&both, pem.concat()).expect("the directory is writable");
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        for identity in [
            format!("tlsCert={} tlsKey={}", own.chain.display(), own.key.display()),
            format!("tlsCert={}", both.display()),
        ] {
            let server = Server::of_sounds(20);
            let certificate = authority.issue("server", NAMES, Valid::Now);
            let front = need!(Front::stunnel_for_clients_of(
                &authority.certificate(),
                &certificate,
                protocol,
                server.port
            ));
            // Without a certificate, stunnel refuses the client, and the server behind it never sees a connection.
            let run = need!(play(&front, &trust));
            assert!(run.code != Some(0), "{protocol}: {run:?}");
            let run = need!(play(&front, &format!("{trust} {identity}")));
            assert_eq!(run.code, Some(0), "{protocol} {identity}: {run:?}");
            server.join();
        }
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error() {
    let authority = need!(Authority::new());
    let (own, other) = (
        authority.issue("client", "DNS:client", Valid::Now),
        authority.issue("other", "DNS:other", Valid::Now),
    );
    let server = Server::of_sounds(20);
    let front = need!(Front::stunnel(&authority.issue("server", NAMES, Valid::Now), "TLSv1.3", server.port));
    let trust = format!("tlsCA={}", authority.certificate().display());
    let run = need!(play(&front, &format!("{trust} tlsCert={}", own.chain.display())));
    assert_refused(&run, "there is no unencrypted key in it");
    let run = need!(play(&front, &format!("{trust} tlsCert=/nowhere/client.pem")));
    assert_refused(&run, "/nowhere/client.pem");
    let options = format!("{trust} tlsCert={} tlsKey={}", own.chain.display(), other.key.display());
    assert_refused(&need!(play(&front, &options)), "cannot use");
    let run = need!(play(&front, &trust));
    assert_eq!(run.code, Some(0), "{run:?}");
    server.join();
}

#[test]
fn only_a_server_with_a_pinned_key_is_accepted() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let (right, wrong) = (pin(&certificate), pin(&authority.issue("other", NAMES, Valid::Now)));
    let trust = format!("tlsCA={}", authority.certificate().display());
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        for (checks, pins, accepted) in [
            (&trust[..], right.clone(), true),
            (&trust, format!("{wrong};{right}"), true),
            (&trust, wrong.clone(), false),
            // Only the key is checked, and that the server has it.
            ("tlsVerify=0", right.clone(), true),
            ("tlsVerify=0", wrong.clone(), false),
            // A pin is an additional check, never a replacement for one.
            ("tlsVerify=1", right.clone(), false),
        ] {
            let server = Server::of_sounds(20);
            let front = need!(Front::stunnel(&certificate, protocol, server.port));
            let run = need!(play(&front, &format!("{checks} tlsPin={pins}")));
            assert_eq!(run.code == Some(0), accepted, "{protocol} {checks} {pins}: {run:?}");
            if pins == wrong {
                assert_refused(&run, &right);
                assert_refused(&run, "tlsPin");
            }
            if !accepted {
                // The server is still running.
                let run = need!(play(&front, &trust));
                assert_eq!(run.code, Some(0), "{run:?}");
            }
            server.join();
        }
    }
    let server = Server::of_sounds(20);
    let front = need!(Front::stunnel(&certificate, "TLSv1.3", server.port));
    for nonsense in ["sha256/x", "sha256//AAAA", "sha256//", "md5//AAAA", ""] {
        assert!(need!(play(&front, &format!("{trust} tlsPin={nonsense}"))).code != Some(0), "{nonsense}");
    }
    assert_eq!(need!(play(&front, &trust)).code, Some(0));
    server.join();
}
