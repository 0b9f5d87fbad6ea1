//! Programs that make the socket non-blocking, wait for it with poll, and continue when errno is EAGAIN: all
//! messages arrive, over every transport.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::time::Duration;

use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Server};
use crate::ways::{Credentials, Way};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn messages_arrive_on_a_socket_that_does_not_block() {
    let driver = need!(Program::test("session_driver"));
    let credentials = need!(Credentials::new());
    for way in
        [Way::PLAIN, Way::TUNNELLED, Way::ENCRYPTED, Way::ENCRYPTED_TUNNELLED, Way::TLS, Way::TLS_TUNNELLED]
    {
        let tls = credentials.config.clone();
        let server = Server::listen(move |listener: &TcpListener| {
            let mut peer = way.dress(Peer::accept(listener), Some(&tls));
            peer.accept_play();
            for time in 0..20 {
                peer.send(&Message::new(6, time, 9, 1, &vec![0x17; 3000]));
                peer.send(&Message::new(4, time, 8, 1, &[0xaf; 9]));
            }
            peer.wait_for("pause");
            peer.send(&Message::new(6, 40, 9, 1, &[0x27; 100_000]));
            peer.drain(LIMIT);
        });
        let steps = format!(
            "setup {way}://127.0.0.1:{}/app/stream tlsCA={}\nset timeout 5\nconnect\nstream 0\nnonblocking\n{}pause 1\n\
             poll\nclose\n",
            server.port,
            credentials.authority.certificate().display(),
            "poll\n".repeat(40),
        );
        let output = need!(driver.run(Library::Ours, &[], &steps, LIMIT)).expect("session_driver");
        server.join();
        for time in 0..20 {
            for kind in
                [format!("type 9 time {time} size 3000 -> 1"), format!("type 8 time {time} size 9 -> 1")]
            {
                assert!(output.contains(&format!("\npoll: {kind} |")), "{way}: no {kind}:\n{output}");
            }
        }
        assert!(output.contains("\npoll: type 9 time 40 size 100000 -> 1 |"), "{way}:\n{output}");
        assert!(!output.contains("errno=") && !output.contains("stray="), "{way}:\n{output}");
    }
}
