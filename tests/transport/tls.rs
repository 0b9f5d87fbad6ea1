//! TLS: which certificates are accepted, that bytes arrive for all sizes of records and all interruptions, and that other
//! implementations are compatible.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::pumps::End;
use crate::support::certs::{Authority, Certificate, Valid};
use crate::support::process::{Running, free_port, listens_unseen, wait_until};
use crate::support::require;
use rtmp_core::error::Error;
use rtmp_core::transport::tls::{ServerContext, Trust};

const PATIENCE: Duration = Duration::from_secs(20);
const NAMES: &str = "DNS:localhost,IP:127.0.0.1,IP:::1";

/// The timeouts of a test.
fn patient(socket: TcpStream) -> TcpStream {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Client and server over the sockets.
fn shake(
    near: TcpStream,
    far: TcpStream,
    certificate: &Certificate,
    host: &str,
    trust: &Trust,
) -> (Result<End, Error>, Result<End, Error>) {
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let server = thread::spawn(move || End::server(patient(far), &context, PATIENCE));
    let client = End::client(patient(near), host, trust, PATIENCE);
    (client, server.join().unwrap())
}

/// The error of a client that must fail, or "accepted".
fn verdict(certificate: &Certificate, host: &str, trust: &Trust) -> String {
    let (near, far) = sockets();
    let (client, _) = shake(near, far, certificate, host, trust);
    client.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

/// A connection that works.
fn pair() -> Option<(End, End)> {
    let (near, far) = sockets();
    pair_over(near, far)
}

fn pair_over(near: TcpStream, far: TcpStream) -> Option<(End, End)> {
    let authority = Authority::new()?;
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let trust = Trust::File(authority.certificate());
    let (client, server) = shake(near, far, &certificate, "localhost", &trust);
    Some((client.unwrap(), server.unwrap()))
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn certificate_must_be_trusted_valid_and_for_the_host() {
    let authority = need!(Authority::new());
    let other = need!(Authority::new());
    let trust = Trust::File(authority.certificate());
    let good = authority.issue("good", NAMES, Valid::Now);
    for host in ["localhost", "LOCALHOST", "127.0.0.1", "::1"] {
        assert_eq!(verdict(&good, host, &trust), "accepted", "{host}");
    }
    let chain = authority.issue_through_intermediate(NAMES);
    assert_eq!(verdict(&chain, "localhost", &trust), "accepted");
    let broken = Certificate { chain: authority.directory().join("deep.pem"), key: chain.key };

    let cases = [
        (good.clone(), "127.0.0.2", "wrong name", "tlsVerify=0"),
        (good.clone(), "example.org", "wrong name", "tlsVerify=0"),
        (
            authority.issue("names", "DNS:*.example.org", Valid::Now),
            "localhost",
            "*.example.org",
            "tlsVerify=0",
        ),
        (authority.issue("old", NAMES, Valid::Before), "localhost", "it expired", "RTMP_TLS_VERIFY=0"),
        (authority.issue("new", NAMES, Valid::Later), "localhost", "not valid yet", "RTMP_TLS_VERIFY=0"),
        (broken, "localhost", "unknown issuer", "tlsCA"),
        // Its issuer has the same name as the trusted authority.
        (other.issue("foreign", NAMES, Valid::Now), "localhost", "unknown issuer", "tlsCA"),
    ];
    for (certificate, host, why, way_out) in cases {
        let text = verdict(&certificate, host, &trust);
        assert!(text.starts_with(&format!("the certificate of {host} is refused")), "{text}");
        assert!(text.contains(why) && text.contains(way_out), "{why}: {text}");
        assert_eq!(verdict(&certificate, host, &Trust::Anyone), "accepted", "{why}");
    }
}

#[test]
fn named_self_signed_certificate_is_accepted_after_all_other_checks() {
    let authority = need!(Authority::new());
    for constraints in ["CA:TRUE", "CA:FALSE"] {
        let make = |file, valid| authority.self_signed(file, NAMES, constraints, valid);
        let (own, old) = (make("own", Valid::Now), make("old", Valid::Before));
        let text = verdict(&own, "localhost", &Trust::File(authority.certificate()));
        assert!(text.contains("unknown issuer") && text.contains("tlsCA"), "{constraints}: {text}");
        let text = verdict(&own, "localhost", &Trust::PlatformOnly);
        assert!(text.contains("unknown issuer") || text.contains("no trusted certificates"), "{text}");

        let trust = Trust::File(own.chain.clone());
        assert_eq!(verdict(&own, "localhost", &trust), "accepted", "{constraints}");
        assert_eq!(verdict(&own, "::1", &trust), "accepted", "{constraints}");
        let text = verdict(&own, "example.org", &trust);
        assert!(text.contains("wrong name"), "{constraints}: {text}");
        let text = verdict(&old, "localhost", &Trust::File(old.chain.clone()));
        assert!(text.contains("it expired"), "{constraints}: {text}");
        // Same names and constraints, but another key: trust in one must not include the other.
        let impostor = authority.self_signed("impostor", NAMES, constraints, Valid::Now);
        assert!(verdict(&impostor, "localhost", &trust).contains("unknown issuer"), "{constraints}");
    }
}

#[test]
fn unverifiable_certificate_is_refused() {
    let authority = need!(Authority::new());
    let good = authority.issue("good", NAMES, Valid::Now);
    let missing = Trust::File(authority.directory().join("missing.pem"));
    assert!(verdict(&good, "localhost", &missing).contains("missing.pem"));
    // A file without a certificate.
    assert!(verdict(&good, "localhost", &Trust::File(good.key.clone())).contains("no certificate"));
    let trust = Trust::File(authority.certificate());
    for host in ["", "two words", "a..b"] {
        assert!(verdict(&good, host, &trust).contains("not a name"), "{host}");
        assert_eq!(verdict(&good, host, &Trust::Anyone), "accepted", "{host}");
    }
}

#[test]
fn a_file_of_certificates_is_read_again_when_it_has_changed() {
    let authority = need!(Authority::new());
    let good = authority.issue("good", NAMES, Valid::Now);
    let other = authority.self_signed("other", NAMES, "CA:TRUE", Valid::Now);
    let named = authority.directory().join("named.pem");
    let trust = Trust::File(named.clone());
    let verdict = || verdict(&good, "localhost", &trust);
    let replace = |by: &Path| {
        let new = authority.directory().join("new.pem");
        fs::copy(by, &new).and_then(|_| fs::rename(&new, &named)).expect("the directory is writable");
    };
    for _ in 0..2 {
        replace(&authority.certificate());
        assert_eq!((verdict(), verdict()), ("accepted".to_owned(), "accepted".to_owned()));
        replace(&other.chain);
        assert!(verdict().contains("unknown issuer"));
    }
    fs::remove_file(&named).expect("it is there");
    assert!(verdict().contains("named.pem"));
}

#[test]
fn every_form_of_key_is_read() {
    let authority = need!(Authority::new());
    let trust = Trust::File(authority.certificate());
    let rsa = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
    let rsa = authority.issue_for("rsa", &rsa, NAMES);
    // With a section of parameters before the key, as this command writes it.
    let sec1 = authority.issue_for("sec1", &["ecparam", "-name", "prime256v1", "-genkey"], NAMES);
    let ed25519 = authority.issue_for("ed25519", &["genpkey", "-algorithm", "ED25519"], NAMES);
    let pkcs1 = Certificate {
        chain: rsa.chain.clone(),
        key: authority.convert(&rsa.key, "pkcs1.key", &["rsa", "-traditional"]),
    };
    let both = authority.directory().join("both.pem");
    fs::write(&both, [fs::read(&sec1.key).unwrap(), fs::read(&sec1.chain).unwrap()].concat()).unwrap();
    let one_file = Certificate { chain: both.clone(), key: both };
    let marks = [
        (&rsa, "BEGIN PRIVATE KEY"),
        (&pkcs1, "BEGIN RSA PRIVATE KEY"),
        (&sec1, "BEGIN EC PRIVATE KEY"),
        (&ed25519, "BEGIN PRIVATE KEY"),
        (&one_file, "BEGIN CERTIFICATE"),
    ];
    for (certificate, mark) in marks {
        assert!(fs::read_to_string(&certificate.key).unwrap().contains(mark), "{mark}");
        assert_eq!(verdict(certificate, "localhost", &trust), "accepted", "{mark}");
    }

    let locked = authority.convert(
        &rsa.key,
        "locked.key",
        &["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:secret"],
    );
    let refused = |chain: &Path, key: &Path| ServerContext::from_files(chain, key).unwrap_err().to_string();
    assert!(refused(&rsa.chain, &locked).contains("no unencrypted key"));
    assert!(refused(&rsa.chain, &sec1.key).contains("sec1.key"), "a key of another certificate");
    assert!(refused(&rsa.key, &rsa.key).contains("no certificate"));
    assert!(refused(Path::new("/nonexistent"), &rsa.key).contains("/nonexistent"));
}

#[test]
fn bytes_arrive_in_order_however_large_the_pieces_and_the_buffer_are() {
    let (client, server) = need!(pair());
    let bytes = noise(3_000_000, 1);
    let expected = bytes.clone();
    let sender = thread::spawn(move || {
        let sizes = [1, 129, 16_383, 16_384, 16_385, 65_536, 200_000];
        let mut rest = &bytes[..];
        for size in sizes.into_iter().cycle() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            client.send_pieces(&now.chunks(129).collect::<Vec<_>>()).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        client
    });
    let mut received = Vec::new();
    for size in [1, 3, 16_383, 16_384, 100_000].into_iter().cycle() {
        let mut buffer = vec![0; size];
        let count = server.receive(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..count]);
        if received.len() == expected.len() {
            break;
        }
    }
    assert!(received == expected);
    sender.join().unwrap();
}

#[test]
fn decrypted_bytes_are_returned_without_waiting() {
    let (client, server) = need!(pair());
    // More than one record, so that a receive call ends in the middle of a record.
    let bytes = noise(100_000, 2);
    client.send(&bytes).unwrap();
    let mut received = Vec::new();
    while received.len() < bytes.len() {
        // A buffer that is one byte shorter than a record, the worst case for callers of the C library.
        let mut buffer = [0; 16_383];
        let count = server.receive(&mut buffer).unwrap();
        received.extend_from_slice(&buffer[..count]);
        while server.lock().holds_more() {
            let count = server.receive(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..count]);
        }
    }
    assert!(received == bytes);
}

#[test]
fn a_timeout_anywhere_in_a_record_loses_nothing() {
    const LEN: usize = 1 << 20;
    const ALL: usize = 2 * LEN;
    let (near, relay_near) = sockets();
    let (relay_far, far) = sockets();
    // From server to client, bytes pass only when the test says how many. In the other direction they pass freely.
    let (allow, allowed) = mpsc::channel::<usize>();
    let (mut from, mut to) = (relay_far.try_clone().unwrap(), relay_near.try_clone().unwrap());
    thread::spawn(move || {
        for mut count in allowed {
            let mut buffer = [0; 4096];
            while count > 0 {
                let want = count.min(buffer.len());
                let Ok(got @ 1..) = from.read(&mut buffer[..want]) else { return };
                to.write_all(&buffer[..got]).unwrap();
                count = count.saturating_sub(got);
            }
        }
    });
    let (mut from, mut to) = (relay_near, relay_far);
    thread::spawn(move || std::io::copy(&mut from, &mut to));

    let handshake = thread::spawn(move || pair_over(near, far));
    while !handshake.is_finished() {
        allow.send(1).unwrap();
        thread::yield_now();
    }
    let (client, server) = need!(handshake.join().unwrap());
    client.socket.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    // More bytes than the handshake has may have been allowed: a record uses them up.
    server.send(&noise(LEN, 3)).unwrap_or_else(|error| panic!("{error}"));
    let mut received = Vec::new();
    let mut buffer = [0; 16_383];
    let mut waits = 0;
    let deadline = Instant::now() + PATIENCE;
    for step in [1, 4, 5, 6, 100, 9000, 16_400, 7, 20_000, ALL] {
        allow.send(step).unwrap();
        loop {
            match client.receive(&mut buffer) {
                Ok(count) => received.extend_from_slice(&buffer[..count]),
                // On a busy machine the relay may take longer than a wait.
                Err(Error::TimedOut) if step == ALL && received.len() < LEN && Instant::now() < deadline => {}
                Err(Error::TimedOut) => break,
                Err(error) => panic!("{error}"),
            }
            assert!(Instant::now() < deadline);
        }
        waits += 1;
    }
    assert!(waits > 5 && received == noise(1 << 20, 3), "{} bytes", received.len());
    // And the session continues.
    client.send(b"still here").unwrap();
    assert_eq!(server.receive_exact(10), b"still here");
}

#[test]
fn two_threads_send_and_receive_at_the_same_time() {
    const LEN: usize = 20 << 20;
    let (client, server) = need!(pair());
    let ends = [Arc::new(client), Arc::new(server)];
    let mut threads = Vec::new();
    for (seed, end) in ends.iter().enumerate() {
        let (sender, receiver) = (end.clone(), end.clone());
        threads.push(thread::spawn(move || {
            let block = noise(1 << 20, seed as u32);
            for _ in 0..LEN >> 20 {
                sender.send(&block).unwrap();
            }
        }));
        threads.push(thread::spawn(move || {
            let block = noise(1 << 20, 1 - seed as u32);
            for _ in 0..LEN >> 20 {
                assert!(receiver.receive_exact(1 << 20) == block);
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_thread_can_send_while_another_waits_for_bytes() {
    let (client, server) = need!(pair());
    let client = Arc::new(client);
    let waiting = client.clone();
    let receiver = thread::spawn(move || waiting.receive_exact(4));
    for _ in 0..100 {
        client.send(b"ping").unwrap();
        assert_eq!(server.receive_exact(4), b"ping");
    }
    assert!(!receiver.is_finished());
    server.send(b"pong").unwrap();
    assert_eq!(receiver.join().unwrap(), b"pong");
}

#[test]
fn both_sides_see_the_end_with_or_without_close_notify() {
    for polite in [true, false] {
        let (client, server) = need!(pair());
        client.send(b"last words").unwrap();
        if polite {
            client.close();
        } else {
            client.socket.shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert_eq!(server.receive_exact(10), b"last words");
        let mut buffer = [0; 10];
        assert_eq!(server.receive(&mut buffer).unwrap(), 0);
        assert_eq!(server.receive(&mut buffer).unwrap(), 0);
        // The other direction is still open.
        server.send(b"bye").unwrap();
        server.close();
        if !polite {
            assert_eq!(client.receive_exact(3), b"bye");
            assert_eq!(client.receive(&mut buffer).unwrap(), 0);
        }
    }
}

#[test]
fn closing_does_not_wait_for_a_peer_that_does_not_read() {
    let (client, server) = need!(pair());
    client.socket.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    let block = noise(1 << 20, 4);
    let mut result = Ok(());
    for _ in 0..64 {
        result = client.send(&block);
        if result.is_err() {
            break;
        }
    }
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    let start = Instant::now();
    client.close();
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(server);
}

#[test]
fn a_handshake_that_trickles_ends_in_time() {
    let (near, mut far) = sockets();
    let (stop, stopped) = mpsc::channel::<()>();
    let peer = thread::spawn(move || {
        // A record of the handshake with the greatest length, one byte at a time.
        far.write_all(&[22, 3, 3, 0x40, 0]).unwrap();
        far.write_all(&[2, 0, 0x3F, 0xF0]).unwrap();
        while matches!(stopped.recv_timeout(Duration::from_millis(20)), Err(mpsc::RecvTimeoutError::Timeout))
        {
            if far.write_all(&[0]).is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    let timeout = Duration::from_millis(400);
    let result = End::client(near, "localhost", &Trust::Anyone, timeout).map(drop);
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    drop(stop);
    peer.join().unwrap();
}

#[test]
fn a_peer_that_does_not_speak_tls_is_an_error() {
    for reply in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[3; 3073], &[21, 3, 3, 0, 2, 2, 40], b""] {
        let (near, mut far) = sockets();
        far.write_all(reply).unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let shaken = End::client(patient(near), "localhost", &Trust::Anyone, PATIENCE);
        let error = shaken.err().expect("no handshake").to_string();
        assert!(error.contains("TLS"), "{error}");
    }
}

#[test]
fn tampered_record_ends_the_session_after_earlier_data() {
    let (near, relay_near) = sockets();
    let (mut relay_far, far) = sockets();
    let mut back = (relay_far.try_clone().unwrap(), relay_near.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
    let (tamper, tampers) = mpsc::channel::<()>();
    let mut from = relay_near;
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if tampers.try_recv().is_ok() {
                buffer[count - 1] ^= 1;
            }
            relay_far.write_all(&buffer[..count]).unwrap();
        }
    });
    let (client, server) = need!(pair_over(near, far));
    client.send(b"fine").unwrap();
    assert_eq!(server.receive_exact(4), b"fine");
    tamper.send(()).unwrap();
    client.send(b"never").unwrap();
    let error = server.receive(&mut [0; 10]).unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
    assert_eq!(server.receive(&mut [0; 10]).unwrap(), 0);
    assert!(server.send(b"no more").is_err());
}

/// Starts `openssl s_server`, which sends every line back reversed.
fn openssl_server(certificate: &Certificate, arguments: &[&str]) -> Option<(Running, u16)> {
    let port = free_port();
    let mut command = Command::new(require::program("openssl")?);
    command.args(["s_server", "-rev", "-accept", &format!("127.0.0.1:{port}")]).args(arguments);
    command.arg("-cert").arg(&certificate.chain).arg("-key").arg(&certificate.key);
    let server = Running::start(&mut command);
    assert!(wait_until(PATIENCE, || listens_unseen(port)), "{}", server.stderr());
    Some((server, port))
}

#[test]
fn openssl_understands_the_client_in_both_versions_with_and_without_tickets() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", NAMES, Valid::Now);
    let trust = Trust::File(authority.certificate());
    for arguments in
        [&["-tls1_2"][..], &["-tls1_3"], &["-tls1_3", "-num_tickets", "8"], &["-tls1_2", "-no_ticket"]]
    {
        let (_server, port) = need!(openssl_server(&certificate, arguments));
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let end = End::client(socket, "localhost", &trust, PATIENCE).unwrap();
        // Only the tickets are being sent. Silence is a timeout, not an end and not another error.
        end.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(matches!(end.receive(&mut [0; 10]), Err(Error::TimedOut)), "{arguments:?}");
        end.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for _ in 0..3 {
            end.send(b"live\n").unwrap();
            assert_eq!(end.receive_exact(5), b"evil\n", "{arguments:?}");
        }
    }
    let (_server, port) = need!(openssl_server(&certificate, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]));
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(End::client(socket, "localhost", &trust, PATIENCE).is_err(), "TLS 1.1");
}

/// A client program talks to our server, which sends back what it gets.
fn echo_to(program: &str, authority: &Authority, arguments: &[&str]) {
    let Some(program) = require::program(program) else { return };
    let certificate = authority.issue_through_intermediate(NAMES);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let server = thread::spawn(move || {
        let end = End::server(patient(listener.accept().unwrap().0), &context, PATIENCE).unwrap();
        let line = end.receive_exact(6);
        end.send(b"you said ").unwrap();
        end.send(&line).unwrap();
        end.close();
        end.receive(&mut [0; 1])
    });
    let ca = authority.certificate();
    let arguments: Vec<_> = arguments
        .iter()
        .map(|word| word.replace("PORT", &port).replace("ISSUER", ca.to_str().expect("a path that is text")))
        .collect();
    let mut client = Running::start_with_input(Command::new(&program).args(&arguments), b"hello\n".to_vec());
    assert!(
        wait_until(PATIENCE, || client.stdout().contains("you said hello")),
        "{program:?} {arguments:?}\n{}{}",
        client.stdout(),
        client.stderr()
    );
    client.wait(PATIENCE);
    let _ = server.join().unwrap();
}

#[test]
fn openssl_understands_the_server_in_both_versions() {
    let authority = need!(Authority::new());
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [
            "s_client",
            version,
            "-connect",
            "127.0.0.1:PORT",
            "-CAfile",
            "ISSUER",
            "-verify_return_error",
            "-quiet",
        ];
        echo_to("openssl", &authority, &arguments);
    }
}

#[test]
fn gnutls_understands_the_server_in_both_versions() {
    let authority = need!(Authority::new());
    for version in ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] {
        let arguments = ["--x509cafile", "ISSUER", "--priority", version, "-p", "PORT", "localhost"];
        echo_to("gnutls-cli", &authority, &arguments);
    }
}

/// The data that a foreign server receives.
fn foreign_server(
    certificate: &Certificate,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ServerConfig {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

    let chain = CertificateDer::pem_file_iter(&certificate.chain).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    rustls::ServerConfig::builder_with_protocol_versions(versions)
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

#[test]
fn a_client_resumes_its_session_only_with_a_server_that_it_would_accept() {
    use rustls::HandshakeKind::{Full, Resumed};

    let (authority, other) = (need!(Authority::new()), need!(Authority::new()));
    let certificate = authority.issue("server", "DNS:localhost", Valid::Now);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(foreign_server(&certificate, &[version]));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // The kind of the handshake, or `None` if it failed.
        let connect = |trust: &Trust| {
            thread::scope(|scope| {
                let server = scope.spawn(|| {
                    let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                    let mut tls = rustls::StreamOwned::new(connection, patient(listener.accept().unwrap().0));
                    tls.write_all(b"hello").and_then(|()| tls.flush()).ok()?;
                    // The client has read the tickets before this, and sends a last byte.
                    tls.read_exact(&mut [0]).ok()?;
                    tls.conn.handshake_kind()
                });
                let socket = patient(TcpStream::connect(("127.0.0.1", port)).unwrap());
                if let Ok(end) = End::client(socket, "localhost", trust, PATIENCE) {
                    assert_eq!(end.receive_exact(5), b"hello");
                    end.send(b"!").unwrap();
                }
                server.join().unwrap()
            })
        };
        let trust = Trust::File(authority.certificate());
        assert_eq!(connect(&trust), Some(Full), "{version:?}");
        assert_eq!(connect(&trust), Some(Resumed), "{version:?}");
        // A session that was not checked, or that another authority certified, is not used.
        assert_eq!(connect(&Trust::Anyone), Some(Full), "{version:?}");
        assert_eq!(connect(&Trust::File(other.certificate())), None, "{version:?}");
        assert_eq!(connect(&trust), Some(Resumed), "{version:?}");
    }
}

/// A server may send tickets for any length of time, but they contain nothing to read.
#[test]
fn records_without_content_do_not_extend_a_wait() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("server", "DNS:localhost", Valid::Now);
    let mut config = foreign_server(&certificate, rustls::ALL_VERSIONS);
    config.send_tls13_tickets = 3000;
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    // Bytes that the server sends after its handshake stay here.
    let server = thread::spawn(move || {
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        while connection.is_handshaking() {
            while connection.wants_write() {
                connection.write_tls(&mut far).unwrap();
            }
            connection.read_tls(&mut far).unwrap();
            connection.process_new_packets().unwrap();
        }
        let mut tickets = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut tickets).unwrap();
        }
        (tickets, far)
    });
    let end = End::client(near, "localhost", &Trust::Anyone, PATIENCE).unwrap();
    let (tickets, mut far) = server.join().unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let sender = thread::spawn(move || {
        let mut pieces = tickets.chunks(200);
        let pause = || stopped.recv_timeout(Duration::from_millis(2));
        while matches!(pause(), Err(mpsc::RecvTimeoutError::Timeout)) {
            let piece = pieces.next().expect("the wait should have ended long ago");
            far.write_all(piece).unwrap();
        }
        far
    });
    end.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let received = end.receive(&mut [0; 100]);
    assert!(matches!(received, Err(Error::TimedOut)), "{received:?}");
    drop(stop);
    sender.join().unwrap();
}
