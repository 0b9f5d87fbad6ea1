//! TLS from C: servers and clients of the exported functions, and every way to set trusted certificates.

use std::process::Command;
use std::time::Duration;

use crate::support::certs::{Authority, Certificate, Valid};
use crate::support::{Library, Program, library::ours_is_original, program, require};

const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// A server's certificate, the options and the environment of its client, and the expected result.
type Case<'a> = (&'a Certificate, &'a str, &'a [(&'a str, &'a str)], &'a str);

/// The C program, with the server's files as its first arguments.
fn c_program(mode: &str, certificate: &Certificate, arguments: &[&str]) -> Option<Command> {
    let mut command = Program::test("tls")?.command(Library::Ours)?;
    command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR").env_remove("RTMP_TLS_VERIFY");
    command.arg(mode).arg(&certificate.chain).arg(&certificate.key).args(arguments);
    Some(command)
}

#[test]
fn c_programs_send_and_receive_at_once_and_wait_with_select() {
    if ours_is_original() {
        return;
    }
    let authority = need!(Authority::new());
    let certificate = authority.issue_through_intermediate(NAMES);
    let ca = authority.certificate();
    let arguments = [ca.to_str().expect("a path that is text"), "3", "3000"];
    let mut command = need!(c_program("echo", &certificate, &arguments));
    let output = program::run(&mut command, "", Duration::from_secs(120));
    assert_eq!(output.expect("tls echo"), "3 clients\n");
}

#[test]
fn c_programs_continue_after_a_timeout_over_tls() {
    if ours_is_original() {
        return;
    }
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let ca = authority.certificate();
    let mut command = need!(c_program("silence", &certificate, &[ca.to_str().expect("a path that is text")]));
    let output = program::run(&mut command, "", Duration::from_secs(60));
    assert_eq!(output.expect("tls silence"), "heard\n");
}

#[test]
fn c_programs_leak_no_memory_over_tls() {
    if ours_is_original() {
        return;
    }
    let valgrind = need!(require::program("valgrind"));
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let ca = authority.certificate();
    let plain =
        need!(c_program("echo", &certificate, &[ca.to_str().expect("a path that is text"), "2", "200"]));
    let mut command = Command::new(valgrind);
    // Valgrind reports the tags of AES-GCM as uninitialised, because vector instructions compute them.
    command.args([
        "-q",
        "--undef-value-errors=no",
        "--error-exitcode=9",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
    ]);
    command.arg("--errors-for-leak-kinds=definite").arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = program::run(&mut command, "", Duration::from_secs(300));
    assert_eq!(output.expect("tls echo in valgrind"), "2 clients\n");
}

#[test]
fn c_programs_get_tls_reasons_and_each_option_works() {
    if ours_is_original() {
        return;
    }
    let authority = need!(Authority::new());
    let own = authority.self_signed("own", NAMES, "CA:TRUE", Valid::Now);
    let wrong = authority.self_signed("wrong", "DNS:example.org", "CA:TRUE", Valid::Now);
    let file = own.chain.to_str().expect("a path that is text");
    let named = format!("tlsCA={file}");
    let cases: [Case<'_>; 12] = [
        (&own, "", &[], "refused"),
        (&own, &named, &[], "accepted"),
        (&own, "tlsVerify=0", &[], "accepted"),
        (&own, "tlsVerify=no", &[], "accepted"),
        (&own, "", &[("SSL_CERT_FILE", file)], "accepted"),
        (&own, "", &[("RTMP_TLS_VERIFY", "0")], "accepted"),
        (&own, "", &[("RTMP_TLS_VERIFY", "1")], "refused"),
        (&own, "tlsVerify=1", &[("RTMP_TLS_VERIFY", "0")], "refused"),
        (&own, "tlsCA=/nonexistent", &[("RTMP_TLS_VERIFY", "0")], "refused"),
        (&wrong, &named, &[], "refused"),
        (&wrong, "", &[("SSL_CERT_FILE", wrong.chain.to_str().expect("a path that is text"))], "refused"),
        (&wrong, "tlsVerify=0", &[], "accepted"),
    ];
    for (certificate, options, environment, expected) in cases {
        let mut command = need!(c_program("refuse", certificate, &[options]));
        command.envs(environment.iter().copied());
        let run = program::run(&mut command, "", PATIENCE);
        let log = run.stderr.clone();
        assert_eq!(run.expect(options).trim(), expected, "{options} {environment:?}\n{log}");
        // A connection without a check is always logged.
        let unchecked = log.contains("nobody checks that the server is localhost");
        let is_off = options.starts_with("tlsVerify=0") || options.starts_with("tlsVerify=n");
        let is_off = is_off || (options.is_empty() && environment == [("RTMP_TLS_VERIFY", "0")]);
        assert_eq!(unchecked, is_off, "{options} {environment:?}\n{log}");
    }
    let mut command = need!(c_program("refuse", &own, &[]));
    let log = program::run(&mut command, "", PATIENCE).stderr;
    for word in
        ["certificate of localhost is refused", "tlsCA", "SSL_CERT_FILE", "RTMP_TLS_VERIFY=0", "tlsVerify=0"]
    {
        assert!(log.contains(word), "{word}: {log}");
    }
}
