//! Proxies in TLS: what goes through them, and how they fail.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use rtmp_core::{
    error::Error,
    net::{Link, Received, Target, Wanted},
    transport::{proxy::Proxy, tls::Trust},
};

use crate::{need, pumps, pumps::End};

use super::{
    peers::{read, serve, serve_tunnel, to},
    pump::{exchange, finish, open, pattern, pause, receive, receive_all},
    support::certs::{Authority, Valid},
    tls::{authority, secure},
};

const MUCH: usize = 2 << 20;
const LOGIN: &str = "Basic bWU6czNjcmV0";

/// `target` through a proxy in TLS on `port`, whose certificate `authority` has issued.
fn through(target: Target, port: u16, authority: &Authority, user: &str) -> Target {
    let proxy = Proxy::parse(format!("https://{user}localhost:{port}").as_bytes()).unwrap();
    Target { proxy: Some(proxy), proxy_trust: Trust::File(authority.certificate()), ..target }
}

/// Echoes received bytes until the end.
fn echo(mut client: TcpStream) {
    let mut copy = client.try_clone().unwrap();
    let _ = std::io::copy(&mut copy, &mut client);
    let _ = client.shutdown(Shutdown::Write);
}

#[test]
fn large_transfers_go_both_ways_through_a_proxy_in_tls() {
    let (authority, context) = need!(authority());
    let proxy = pumps::https_proxy(context, Some(LOGIN));
    let (port, peer) = serve(echo);
    let target = through(to(port), proxy, &authority, "me:s3cret@");
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    let said = pattern(MUCH, 1);
    assert!(exchange(&mut link, &said, said.len()).unwrap() == said);
    finish(&mut link);
    peer.join().unwrap();
}

#[test]
fn tls_works_through_tls_and_ends_after_the_last_bytes() {
    let (authority, context) = need!(authority());
    let proxy = pumps::https_proxy(context.clone(), None);
    let (up, down) = (pattern(MUCH, 2), pattern(MUCH, 3));
    let (expected, said) = (up.clone(), down.clone());
    let (port, peer) = serve(move |client| {
        let end = End::server(client, &context, Duration::from_secs(30)).unwrap();
        end.send(&said).unwrap();
        let heard = end.receive_exact(expected.len());
        assert!(heard == expected);
        end.send(b"the end").unwrap();
        end.close();
        // The goodbye of the link.
        assert_eq!(end.receive(&mut [0; 9]).unwrap_or(0), 0);
    });
    let target = through(secure(port, "localhost", &authority), proxy, &authority, "");
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    let mut heard = exchange(&mut link, &up, down.len()).unwrap();
    heard.extend(receive_all(&mut link).unwrap());
    assert!(heard == [&down[..], b"the end"].concat());
    finish(&mut link);
    peer.join().unwrap();
}

#[test]
fn a_tunnel_goes_through_a_proxy_in_tls_with_and_without_tls_of_its_own() {
    let (authority, context) = need!(authority());
    let proxy = pumps::https_proxy(context.clone(), None);
    for is_secure in [false, true] {
        let port = serve_tunnel(is_secure.then(|| context.clone()), |mut stream| {
            let heard = read(&mut stream, MUCH);
            stream.write_all(&heard).unwrap();
            let _ = stream.read(&mut [0]);
        });
        let target = if is_secure { secure(port, "localhost", &authority) } else { to(port) };
        let target = Target { tunnelled: true, ..through(target, proxy, &authority, "") };
        let mut link = Link::connect(&target, Instant::now()).unwrap();
        open(&mut link).unwrap();
        let said = pattern(MUCH, 4);
        assert!(exchange(&mut link, &said, said.len()).unwrap() == said);
        finish(&mut link);
    }
}

#[test]
fn a_link_that_has_reached_the_server_proceeds_to_tls() {
    let (authority, context) = need!(authority());
    let proxy = pumps::https_proxy(context.clone(), None);
    let (port, peer) = serve(move |client| {
        let end = End::server(client, &context, Duration::from_secs(30)).unwrap();
        let heard = end.receive_exact(5);
        end.send(&heard).unwrap();
        let _ = end.receive(&mut [0; 9]);
    });
    let target = through(secure(port, "localhost", &authority), proxy, &authority, "");
    let mut link = Link::connect(&Target { tls: None, ..target.clone() }, Instant::now()).unwrap();
    open(&mut link).unwrap();
    assert!(link.leads_through_proxy_in_tls());
    link.proceed(&target, Instant::now()).unwrap();
    assert!(!link.is_open() && !link.leads_through_proxy_in_tls());
    open(&mut link).unwrap();
    assert_eq!(exchange(&mut link, b"hello", 5).unwrap(), b"hello");
    finish(&mut link);
    peer.join().unwrap();
}

#[test]
fn first_bytes_of_the_server_are_not_lost_with_the_reply() {
    let (authority, context) = need!(authority());
    let (port, peer) = serve(move |client| {
        let end = End::server(client, &context, Duration::from_secs(30)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(end.receive_exact(1));
        }
        // In one record with the end of the reply.
        end.send(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 Fine\r\nVia: x\r\n\r\nfirst words").unwrap();
        end.close();
    });
    let target = through(to(1), port, &authority, "");
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    assert_eq!(receive_all(&mut link).unwrap(), b"first words");
    peer.join().unwrap();
}

/// The error of connecting through a proxy in TLS.
fn failure(target: &Target) -> String {
    let mut link = Link::connect(target, Instant::now()).unwrap();
    let error = open(&mut link).unwrap_err();
    assert!(matches!(error, Error::Proxy(_)), "{error:?}");
    assert!(link.is_finished());
    error.to_string()
}

#[test]
fn the_certificate_of_the_proxy_is_checked_and_its_refusal_reported() {
    let (authority, context) = need!(authority());
    let other = need!(Authority::new());
    let proxy = pumps::https_proxy(context, Some(LOGIN));
    let text = failure(&through(to(1), proxy, &other, ""));
    assert!(text.contains("HTTPS negotiation failed") && text.contains("unknown issuer"), "{text}");
    let text = failure(&through(to(1), proxy, &authority, ""));
    assert!(text.contains("the proxy refuses: 407 Proxy Authentication Required"), "{text}");
    let text = failure(&through(to(1), proxy, &authority, "me:wrong@"));
    assert!(text.contains("407"), "{text}");
    let certificate = authority.issue("elsewhere", "DNS:example.org", Valid::Now);
    let elsewhere =
        rtmp_core::transport::tls::ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let proxy = pumps::https_proxy(elsewhere, None);
    let text = failure(&through(to(1), proxy, &authority, ""));
    assert!(text.contains("wrong name"), "{text}");
    // The certificate is not verified if that is requested.
    let (port, peer) = serve(echo);
    let target = Target { proxy_trust: Trust::Anyone, ..through(to(port), proxy, &authority, "") };
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    assert_eq!(exchange(&mut link, b"hello", 5).unwrap(), b"hello");
    finish(&mut link);
    peer.join().unwrap();
}

#[test]
fn a_proxy_without_tls_is_refused() {
    let authority = need!(Authority::new());
    let (port, peer) = serve(|mut client| {
        read(&mut client, 5);
        client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    });
    let text = failure(&through(to(1), port, &authority, ""));
    assert!(text.contains("what it sends is not TLS"), "{text}");
    peer.join().unwrap();
}

#[test]
fn silent_proxy_fails_at_the_deadline() {
    let (authority, context) = need!(authority());
    for shakes_hands in [false, true] {
        let context = context.clone();
        let (done, wait_for_it) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let (port, peer) = serve(move |mut client| {
            // The link waits for an answer from here on.
            let end = if shakes_hands {
                let end =
                    End::server(client.try_clone().unwrap(), &context, Duration::from_secs(30)).unwrap();
                end.receive_exact(9);
                Some(end)
            } else {
                read(&mut client, 5);
                None
            };
            tell.send(()).unwrap();
            let _ = wait_for_it.recv();
            drop((client, end));
        });
        let target = through(to(1), port, &authority, "");
        let begin = Instant::now();
        let mut link = Link::connect(&target, begin).unwrap();
        while told.try_recv().is_err() {
            link.step(Instant::now()).unwrap();
            pause(&link, Wanted::default(), Instant::now() + Duration::from_millis(10));
        }
        let error = loop {
            match link.step(begin + Duration::from_secs(31)) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        let text = error.to_string();
        assert!(text.contains("HTTPS negotiation failed") && text.ends_with("no answer in time"), "{text}");
        drop(done);
        peer.join().unwrap();
    }
}

#[test]
fn records_of_a_proxy_may_be_split_at_every_byte() {
    let (authority, context) = need!(authority());
    let proxy = super::tls::byte_by_byte(pumps::https_proxy(context.clone(), None));
    let (port, peer) = serve(move |client| {
        let end = End::server(client, &context, Duration::from_secs(30)).unwrap();
        let heard = end.receive_exact(3000);
        end.send(&heard).unwrap();
        end.close();
        end
    });
    let target = through(secure(port, "localhost", &authority), proxy, &authority, "");
    let mut link = Link::connect(&target, Instant::now()).unwrap();
    open(&mut link).unwrap();
    let said = pattern(3000, 7);
    assert!(exchange(&mut link, &said, said.len()).unwrap() == said);
    assert_eq!(receive(&mut link, &mut [0; 9]).unwrap(), Received::End);
    peer.join().unwrap();
}
