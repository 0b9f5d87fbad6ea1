//! Connections that never wait, many of them on one thread, with our own server on the same thread.
#![forbid(unsafe_code)]

mod pumps;
mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rtmp_core::message::MessageType;
use rtmp_core::net::wait;
use rtmp_core::transport::tls::ServerContext;
use rtmp_core::{Client, Error, Request, Sent, Server, Stepper, StepperEvent};
use socket2::SockRef;
use support::certs::{Authority, Valid};
use support::wire::Message;

const LIMIT: Duration = Duration::from_secs(60);

/// The limit for every call. It is far below all timeouts in this file.
const AT_ONCE: Duration = Duration::from_millis(150);

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/app/name")
}

/// The body of the message with this number.
fn body(number: u32) -> Vec<u8> {
    let len = 10 + number as usize * 37 % 3000;
    (0..len).map(|place| (place as u32 * 7 + number) as u8).collect()
}

/// A client of the loop, and the messages that it has received.
struct Viewer {
    stepper: Stepper,
    streams: bool,
    received: u32,
    has_ended: bool,
    has_left: bool,
}

/// A client of the server.
struct Served {
    stepper: Stepper,
    plays: Option<u32>,
    has_left: bool,
}

/// A server and its clients, all on one thread.
struct Studio {
    server: Server,
    served: Vec<Served>,
    viewers: Vec<Viewer>,
    publisher: Viewer,
    messages: u32,
    sent: u32,
    forwarded: u32,
}

impl Viewer {
    fn new(stepper: Stepper) -> Self {
        Self { stepper, streams: false, received: 0, has_ended: false, has_left: false }
    }

    fn step(&mut self, now: Instant) {
        while !self.has_left {
            match self.stepper.step(now).unwrap() {
                None => return,
                Some(StepperEvent::Streaming) => self.streams = true,
                Some(StepperEvent::Message(message)) => {
                    assert_eq!(message.timestamp, self.received * 20);
                    assert!(message.body == body(self.received), "message {}", self.received);
                    self.received += 1;
                }
                Some(StepperEvent::Ended) => self.has_ended = true,
                Some(StepperEvent::Left) => self.has_left = true,
                Some(event) => panic!("{event:?}"),
            }
        }
    }
}

impl Studio {
    fn open(server: Server, client: &Client, players: usize, messages: u32) -> Self {
        let viewers = (0..players).map(|_| Viewer::new(client.start_play().unwrap())).collect();
        let publisher = Viewer::new(client.start_publish().unwrap());
        Self { server, served: Vec::new(), viewers, publisher, messages, sent: 0, forwarded: 0 }
    }

    fn serve(&mut self, now: Instant) {
        while let Some(mut stepper) = self.server.poll_accept().unwrap() {
            assert!(stepper.peer_addr().is_some());
            stepper.set_chunk_size(4096).unwrap();
            self.served.push(Served { stepper, plays: None, has_left: false });
        }
        let (mut bodies, mut is_over) = (Vec::new(), false);
        for served in self.served.iter_mut().filter(|served| !served.has_left) {
            while let Some(event) = served.stepper.step(now).unwrap() {
                match event {
                    StepperEvent::Request(request) => {
                        if let Request::Play { stream_id, .. } = request {
                            served.plays = Some(stream_id);
                        }
                        served.stepper.accept().unwrap();
                    }
                    StepperEvent::Message(message) => bodies.push((message.timestamp, message.body)),
                    StepperEvent::StreamClosed { .. } => is_over |= served.plays.is_none(),
                    StepperEvent::Left => {
                        served.has_left = true;
                        break;
                    }
                    event => panic!("{event:?}"),
                }
            }
        }
        self.forwarded += bodies.len() as u32;
        for served in &mut self.served {
            let Some(stream_id) = served.plays.filter(|_| !served.has_left) else { continue };
            for (timestamp, body) in &bodies {
                let sent = served.stepper.send(stream_id, MessageType::VIDEO, *timestamp, body).unwrap();
                assert_eq!(sent, Sent::Taken);
            }
            if is_over {
                served.stepper.end_stream(stream_id).unwrap();
                served.plays = None;
            }
        }
    }

    /// Whether all players play and the publisher has more to send.
    fn is_on_air(&self) -> bool {
        let everybody_watches = self.viewers.iter().all(|viewer| viewer.streams);
        self.publisher.streams && everybody_watches && self.sent <= self.messages
    }

    fn publish(&mut self) {
        if !self.is_on_air() {
            return;
        }
        let stepper = &mut self.publisher.stepper;
        if self.sent == self.messages {
            stepper.close();
            self.sent += 1;
            return;
        }
        let stream_id = stepper.stream_id();
        let sent = stepper.send(stream_id, MessageType::VIDEO, self.sent * 20, &body(self.sent)).unwrap();
        if sent == Sent::Taken {
            self.sent += 1;
        }
    }

    fn run(mut self) -> Self {
        let end = Instant::now() + LIMIT;
        let mut interests = Vec::new();
        loop {
            let now = Instant::now();
            assert!(now < end, "{} messages were published, {} forwarded", self.sent, self.forwarded);
            self.publish();
            self.publisher.step(now);
            self.serve(now);
            self.viewers.iter_mut().for_each(|viewer| viewer.step(now));

            if self.publisher.has_left && self.viewers.iter().all(|viewer| viewer.has_left) {
                return self;
            }
            interests.clear();
            interests.push(self.server.interest());
            let clients = self.viewers.iter().chain([&self.publisher]).filter(|viewer| !viewer.has_left);
            let served = self.served.iter().filter(|served| !served.has_left);
            let steppers = || {
                clients
                    .clone()
                    .map(|client| &client.stepper)
                    .chain(served.clone().map(|served| &served.stepper))
            };
            steppers().for_each(|stepper| stepper.interests(&mut interests));
            let pace = self.is_on_air().then_some(now);
            let deadline = steppers().filter_map(Stepper::deadline).chain(pace).min();
            wait(&interests, Some(deadline.map_or(end, |deadline| deadline.min(end)))).unwrap();
        }
    }

    fn assert_complete(&self) {
        assert_eq!(self.forwarded, self.messages);
        for viewer in &self.viewers {
            assert_eq!((viewer.received, viewer.has_ended), (self.messages, true));
        }
    }
}

#[test]
fn a_hundred_players_and_a_publisher_share_a_thread_with_their_server() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&url(server.local_addr().unwrap().port())).unwrap().live(true);
    let studio = Studio::open(server, &client, 100, 200).run();
    studio.assert_complete();
    assert_eq!(studio.served.len(), 101);
}

#[test]
fn rtmpe_rtmps_and_rtmpt_carry_a_stream_without_waiting() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = url(server.local_addr().unwrap().port());
    let client = Client::new(&address.replace("rtmp:", "rtmpe:")).unwrap().live(true);
    Studio::open(server, &client, 3, 100).run().assert_complete();

    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = url(server.local_addr().unwrap().port());
    let client = Client::new(&address.replace("rtmp:", "rtmpt:")).unwrap().live(true);
    Studio::open(server, &client, 3, 100).run().assert_complete();

    let authority = need!(Authority::new());
    let certificate = authority.issue("stepper", "DNS:localhost", Valid::Now);
    let trusted = |url: &str| {
        let client = Client::new(url).unwrap().live(true);
        client.option("tlsCA", &authority.certificate().to_string_lossy()).unwrap()
    };
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let proxy = pumps::https_proxy(context, None);
    for protocol in ["rtmp", "rtmps", "rtmpt", "rtmpts"] {
        for through in [String::new(), format!(" socks=https://localhost:{proxy}")] {
            let mut server = Server::bind("127.0.0.1:0").unwrap();
            if protocol.ends_with('s') {
                server = server.tls(&certificate.chain, &certificate.key).unwrap();
            }
            let port = server.local_addr().unwrap().port();
            let client = trusted(&format!("{protocol}://localhost:{port}/app/name ipv=4{through}"));
            Studio::open(server, &client, 3, 100).run().assert_complete();
        }
    }
}

/// Steps until something happens.
fn next(stepper: &mut Stepper) -> Result<StepperEvent, Error> {
    let end = Instant::now() + LIMIT;
    let mut interests = Vec::new();
    loop {
        let now = Instant::now();
        assert!(now < end, "nothing happens");
        if let Some(event) = stepper.step(now)? {
            return Ok(event);
        }
        assert!(now.elapsed() < AT_ONCE, "a step has waited");
        interests.clear();
        stepper.interests(&mut interests);
        wait(&interests, Some(stepper.deadline().map_or(end, |deadline| deadline.min(end)))).unwrap();
    }
}

fn publisher(client: &Client) -> Stepper {
    let mut stepper = client.start_publish().unwrap();
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Streaming)));
    assert_eq!(stepper.stream_id(), 1);
    stepper
}

#[test]
fn a_name_is_looked_up_without_waiting() {
    let server = support::Server::once(|peer| {
        peer.accept_play();
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT)
    });
    let client = Client::new(&url(server.port).replace("127.0.0.1", "localhost")).unwrap();
    let start = Instant::now();
    let mut stepper = client.start_play().unwrap();
    assert!(stepper.step(start).unwrap().is_none() && start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    let mut interests = Vec::new();
    stepper.interests(&mut interests);
    assert!(!interests.is_empty() && stepper.deadline().is_some());
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Streaming)));
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Ended)));
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Left)));
    assert!(matches!(stepper.step(Instant::now()), Err(Error::NotConnected)));
    assert!(server.join());
}

#[test]
fn silent_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&url(listener.local_addr().unwrap().port())).unwrap();
    let start = Instant::now();
    let mut stepper = client.timeout(Duration::from_millis(300)).start_play().unwrap();
    let error = next(&mut stepper).unwrap_err();
    let spent = start.elapsed();
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(spent >= Duration::from_millis(300) && spent < Duration::from_secs(10), "{spent:?}");
    assert!(matches!(stepper.step(Instant::now()), Err(Error::NotConnected)));
    assert_eq!(stepper.deadline(), None);
}

#[test]
fn silent_client_times_out() {
    let server = Server::bind("127.0.0.1:0").unwrap().timeout(Duration::from_millis(300));
    assert!(server.poll_accept().unwrap().is_none(), "nobody has come yet");
    let _client = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
    wait(&[server.interest()], Some(Instant::now() + LIMIT)).unwrap();
    let mut session = server.poll_accept().unwrap().expect("a client has connected");
    let error = next(&mut session).unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
}

#[test]
fn lost_client_ends_its_session() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    drop(std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap());
    wait(&[server.interest()], Some(Instant::now() + LIMIT)).unwrap();
    let mut session = server.poll_accept().unwrap().expect("a client has connected");
    assert!(matches!(next(&mut session), Ok(StepperEvent::Left)));
    assert!(matches!(session.step(Instant::now()), Err(Error::NotConnected)));
}

#[test]
fn full_queue_refuses_messages_without_waiting() {
    const LEN: usize = 100_000;
    let (read_now, wait_for_it) = std::sync::mpsc::channel::<()>();
    let server = support::Server::once(move |peer| {
        peer.accept_publish();
        wait_for_it.recv().unwrap();
        let mut timestamps = Vec::new();
        while let Some(message) = peer.next(LIMIT).filter(|message| message.kind == 9) {
            assert!(message.body == vec![message.timestamp as u8; LEN], "a message came in part");
            timestamps.push(message.timestamp);
        }
        peer.drain(LIMIT);
        timestamps
    });
    let limit = 1 << 20;
    let client = Client::new(&url(server.port)).unwrap().option("sendQueue", &limit.to_string()).unwrap();
    let mut stepper = publisher(&client);
    let mut taken = 0;
    let mut send = |stepper: &mut Stepper| {
        let start = Instant::now();
        let body = vec![taken as u8; LEN];
        let sent = stepper.send(1, MessageType::VIDEO, taken, &body).unwrap();
        assert!(start.elapsed() < AT_ONCE, "sending has waited {:?}", start.elapsed());
        taken += u32::from(sent == Sent::Taken);
        sent
    };
    // The system extends its own queues in the meantime.
    let mut refusals = 0;
    while refusals < 10 {
        match send(&mut stepper) {
            Sent::Taken => refusals = 0,
            Sent::Full => refusals += 1,
        }
        // Chunk headers are not included.
        assert!(stepper.unsent() < limit + limit / 64, "{}", stepper.unsent());
        assert!(stepper.step(Instant::now()).unwrap().is_none());
    }
    assert!(stepper.unsent() > limit - LEN, "{}", stepper.unsent());
    read_now.send(()).unwrap();
    for _ in 0..20 {
        while send(&mut stepper) == Sent::Full {
            assert!(stepper.step(Instant::now()).unwrap().is_none());
            let mut interests = Vec::new();
            stepper.interests(&mut interests);
            assert!(stepper.unsent() == 0 || interests.iter().any(|interest| interest.write));
            if stepper.unsent() > 0 {
                wait(&interests, Some(Instant::now() + LIMIT)).unwrap();
            }
        }
    }
    stepper.close();
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Left)));
    assert_eq!(server.join(), (0..taken).collect::<Vec<_>>());
}

#[test]
fn empty_queue_accepts_a_message_longer_than_its_limit() {
    let server = support::Server::once(|peer| {
        peer.accept_publish();
        let message = peer.next(LIMIT).expect("the message is whole");
        peer.drain(LIMIT);
        message.body.len()
    });
    let mut stepper = publisher(&Client::new(&url(server.port)).unwrap());
    stepper.set_queue_limit(0);
    assert_eq!(stepper.send(1, MessageType::VIDEO, 0, &vec![7; 1 << 20]).unwrap(), Sent::Taken);
    stepper.close();
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Left)));
    assert_eq!(server.join(), 1 << 20);
}

#[test]
fn stalled_peer_times_out() {
    let (end, wait_for_it) = std::sync::mpsc::channel::<()>();
    let server = support::Server::once(move |peer| {
        peer.accept_publish();
        let _ = wait_for_it.recv();
    });
    let timeout = Duration::from_millis(500);
    let mut stepper = publisher(&Client::new(&url(server.port)).unwrap().timeout(timeout));
    assert_eq!(stepper.deadline(), None, "a stream may be silent");
    while stepper.send(1, MessageType::VIDEO, 0, &vec![7; 1 << 20]).unwrap() == Sent::Taken {}
    let start = Instant::now();
    let error = next(&mut stepper).unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(start.elapsed() >= timeout - AT_ONCE && start.elapsed() < Duration::from_secs(10));
    end.send(()).unwrap();
    server.join();
}

/// The number after a word of `ss`, as in `rtt:0.031/0.015`.
fn number_behind(text: &str, word: &str) -> Option<f64> {
    let found = text.split_whitespace().find_map(|part| part.strip_prefix(word)?.strip_prefix(':'))?;
    found.split('/').next()?.parse().ok()
}

#[test]
fn numbers_of_a_stalled_connection_are_those_of_the_system() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let ss = need!(support::require::program("ss"));
    let (end, wait_for_it) = std::sync::mpsc::channel::<()>();
    let server = support::Server::once(move |peer| {
        peer.accept_publish();
        let _ = wait_for_it.recv();
    });
    let mut stepper = publisher(&Client::new(&url(server.port)).unwrap().timeout(LIMIT));
    while stepper.send(1, MessageType::VIDEO, 0, &vec![7; 1 << 20]).unwrap() == Sent::Taken {}
    let filter = ["-tinH".to_owned(), format!("dport = :{}", server.port)];
    // The system's values change all the time: they count only if the numbers before and after them are the same.
    let (mut stats, mut system) = (stepper.stats(Instant::now()), String::new());
    let is_quiet = support::wait_until(LIMIT, || {
        let shown = std::process::Command::new(&ss).args(&filter).output().unwrap();
        system = String::from_utf8(shown.stdout).unwrap();
        let before = std::mem::replace(&mut stats, stepper.stats(Instant::now()));
        (before.unsent, before.round_trip, before.retransmissions, before.bytes_out)
            == (stats.unsent, stats.round_trip, stats.retransmissions, stats.bytes_out)
    });
    assert!(is_quiet && stats.unsent > 0 && stats.queued > 1 << 20, "{stats:?}");
    // The state, the bytes that wait for this program, and the bytes that the peer has not confirmed.
    assert_eq!(system.split_whitespace().nth(2), Some(&*stats.unsent.to_string()), "{system}");
    let microseconds = (number_behind(&system, "rtt").unwrap() * 1000.0).round() as u128;
    assert_eq!(stats.round_trip.as_micros(), microseconds, "{system}");
    let sent_again =
        system.split_whitespace().find_map(|part| part.strip_prefix("retrans:")?.split('/').nth(1));
    assert_eq!(stats.retransmissions, sent_again.map_or(0, |count| count.parse().unwrap()), "{system}");
    // The count of confirmed bytes begins with 1.
    let confirmed = number_behind(&system, "bytes_acked").unwrap() as u64 - 1;
    assert_eq!(stats.bytes_out - stats.queued, confirmed + stats.unsent, "{system}");
    end.send(()).unwrap();
    server.join();
}

#[test]
fn a_publisher_answers_in_steps() {
    let server = support::Server::once(|peer| {
        peer.accept_publish();
        peer.send(&Message::new(2, 0, 4, 0, b"\0\x06\0\0\0\x2A"));
        loop {
            let message = peer.next(LIMIT).expect("an answer");
            if message.kind == 4 {
                return message.body;
            }
        }
    });
    let mut stepper = publisher(&Client::new(&url(server.port)).unwrap());
    assert!(matches!(next(&mut stepper), Err(Error::Closed)));
    assert_eq!(server.join(), b"\0\x07\0\0\0\x2A");
}

/// The peer of this test reads nothing until everything that it sends has been read.
#[test]
fn close_message_is_sent_while_the_peer_waits_for_a_read() {
    let (full, wait_for_it) = std::sync::mpsc::channel::<()>();
    let server = support::Server::listen(move |listener| {
        SockRef::from(listener).set_recv_buffer_size(16 << 10).unwrap();
        let mut peer = support::Peer::accept(listener);
        peer.accept_publish();
        let ping = b"\x02\0\0\0\0\0\x06\x04\0\0\0\0\0\x06\0\0\0\x2A".repeat(1 << 10);
        for count in 0..1 << 9 {
            peer.send_raw(&ping);
            if count == 0 {
                full.send(()).unwrap();
            }
        }
        peer.drain(LIMIT)
    });
    let mut stepper = publisher(&Client::new(&url(server.port)).unwrap().timeout(LIMIT));
    SockRef::from(&*socket_of(&stepper)).set_send_buffer_size(16 << 10).unwrap();
    wait_for_it.recv().unwrap();
    let filled = support::wait_until(LIMIT, || {
        assert!(stepper.step(Instant::now()).unwrap().is_none());
        let mut interests = Vec::new();
        stepper.interests(&mut interests);
        interests.iter().all(|interest| !interest.read)
    });
    assert!(filled, "the peer's answers are to fill the queue");
    let start = Instant::now();
    stepper.close();
    assert!(matches!(next(&mut stepper), Ok(StepperEvent::Left)));
    assert!(start.elapsed() < LIMIT / 2, "the goodbye took {:?}", start.elapsed());
    assert!(server.join(), "the connection has to be closed");
}

fn socket_of(stepper: &Stepper) -> std::sync::Arc<socket2::Socket> {
    let mut interests = Vec::new();
    stepper.interests(&mut interests);
    interests.remove(0).socket
}

#[test]
fn an_abort_handle_ends_steppers_with_their_next_step() {
    let server = support::Server::once(|peer| {
        peer.accept_publish();
        peer.drain(LIMIT)
    });
    let client = Client::new(&url(server.port)).unwrap();
    let mut stepper = publisher(&client);
    client.abort_handle().abort();
    assert!(matches!(stepper.step(Instant::now()), Err(Error::Interrupted)));
    assert!(server.join(), "the connection has to be closed");
}
