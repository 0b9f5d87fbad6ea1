//! Playing, publishing and serving with tokio.
#![cfg(feature = "tokio")]
#![forbid(unsafe_code)]

extern crate rtmp as rtmp_core; // as the tests of the other package call it

#[path = "../../tests/pumps/mod.rs"]
mod pumps;
#[path = "../../tests/support/mod.rs"]
#[macro_use]
mod support;

use std::{
    future::{Future, poll_fn},
    net::TcpListener,
    sync::mpsc,
    task::Poll,
    time::{Duration, Instant},
};

use rtmp::{
    Client, Error, Request, ServerEvent,
    message::MessageType,
    tokio::{Player, Publisher, Server, ServerSession, play, publish},
    transport::tls::ServerContext,
};
use support::{
    certs::{Authority, Valid},
    flv::{self, Tag},
    servers::Nginx,
    wire::Message,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::broadcast,
    task,
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(60);

fn url(port: u16) -> String {
    format!("rtmp://127.0.0.1:{port}/app/name")
}

/// The body of the message with this number.
fn body(number: u32) -> Vec<u8> {
    let len = 10 + number as usize * 37 % 3000;
    (0..len).map(|place| (place as u32 * 7 + number) as u8).collect()
}

fn bind() -> (Server, u16) {
    let server = Server::new(rtmp::Server::bind("127.0.0.1:0").unwrap()).unwrap();
    let port = server.local_addr().unwrap().port();
    (server, port)
}

/// Passes on what one client publishes to all that play.
async fn relay(server: Server, players: usize) {
    let (media, _) = broadcast::channel(1000);
    let mut sessions = Vec::new();
    for _ in 0..=players {
        let session = server.accept().await.unwrap();
        assert!(session.peer_addr().is_some());
        sessions.push(task::spawn(serve(session, media.clone())));
    }
    drop(media);
    for session in sessions {
        session.await.unwrap();
    }
}

async fn serve(mut session: ServerSession, media: broadcast::Sender<(u32, Vec<u8>)>) {
    session.set_chunk_size(4096).unwrap();
    while let Some(event) = session.next_event().await.unwrap() {
        match event {
            ServerEvent::Request(Request::Play { stream_id, .. }) => {
                let mut source = media.subscribe();
                drop(media);
                session.accept().unwrap();
                while let Ok((timestamp, body)) = source.recv().await {
                    session.send(stream_id, MessageType::VIDEO, timestamp, &body).await.unwrap();
                }
                session.end_stream(stream_id).unwrap();
                assert!(
                    session
                        .next_event()
                        .await
                        .unwrap()
                        .is_none_or(|event| { matches!(event, ServerEvent::StreamClosed { .. }) })
                );
                return;
            }
            ServerEvent::Request(_) => session.accept().unwrap(),
            ServerEvent::Message(message) => drop(media.send((message.timestamp, message.body))),
            ServerEvent::StreamClosed { .. } => return,
            event => panic!("{event:?}"),
        }
    }
}

async fn watch(mut player: Player, messages: u32) {
    for number in 0..messages {
        let message = player.next_message().await.unwrap().expect("the stream goes on");
        assert_eq!(message.timestamp, number * 20);
        assert!(message.body == body(number), "message {number}");
    }
    assert!(player.next_message().await.unwrap().is_none());
    assert!(player.next_message().await.unwrap().is_none(), "the end stays the end");
}

/// One publisher, some players, and the server, in this runtime.
async fn stream(server: Server, client: Client, players: usize, messages: u32) {
    let relay = task::spawn(relay(server, players));
    let mut watching = Vec::new();
    for _ in 0..players {
        watching.push(task::spawn(watch(play(&client).await.unwrap(), messages)));
    }
    let mut publisher = publish(&client).await.unwrap();
    publisher.set_chunk_size(1000).unwrap();
    for number in 0..messages {
        publisher.send(MessageType::VIDEO, number * 20, &body(number)).await.unwrap();
    }
    publisher.finish().await.unwrap();
    for player in watching {
        player.await.unwrap();
    }
    relay.await.unwrap();
}

/// An FLV file of so many messages.
fn film(messages: u32) -> Vec<u8> {
    let mut file = b"FLV\x01\x01\0\0\0\x09\0\0\0\0".to_vec();
    for number in 0..messages {
        let body = body(number);
        file.push(9);
        file.extend(&(body.len() as u32).to_be_bytes()[1..]);
        file.extend(&(number * 20).to_be_bytes()[1..]);
        file.extend([0; 4]);
        file.extend(&body);
        file.extend((body.len() as u32 + 11).to_be_bytes());
    }
    file
}

/// Reads a stream as bytes, with futures every other of which is dropped unless it is ready at once.
async fn watch_bytes(mut player: Player, expected: &[u8]) {
    let (mut found, mut buffer, mut turn) = (Vec::<u8>::new(), [0; 1777], 0);
    loop {
        turn += 1;
        let read = match turn % 2 {
            0 => Ok(player.read(&mut buffer).await),
            _ => timeout(Duration::ZERO, player.read(&mut buffer)).await,
        };
        match read {
            Ok(Ok(0)) => break,
            Ok(count) => found.extend(&buffer[..count.unwrap()]),
            Err(_) => {}
        }
    }
    // The flags in the header depend on what has come when it is made.
    assert!(found.len() == expected.len() && found[13..] == expected[13..], "{} bytes", found.len());
    assert_eq!(player.read(&mut buffer).await.unwrap(), 0, "the end stays the end");
}

async fn within_limit<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.expect("nothing happens any more")
}

#[tokio::test]
async fn hundreds_of_players_read_the_bytes_that_a_publisher_writes() {
    const PLAYERS: usize = 200;
    let (server, port) = bind();
    let client = Client::new(&url(port)).unwrap();
    let film = std::sync::Arc::new(film(60));
    within_limit(async {
        let relay = task::spawn(relay(server, PLAYERS));
        let mut watching = Vec::new();
        for _ in 0..PLAYERS {
            let (player, film) = (play(&client).await.unwrap(), film.clone());
            watching.push(task::spawn(async move { watch_bytes(player, &film).await }));
        }
        let mut publisher = publish(&client).await.unwrap();
        // Writes wait for room.
        publisher.set_queue_limit(5000);
        let mut rest = &film[..];
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(1 + rest.len() % 997)];
            // A write that is dropped before it is ready has taken nothing.
            if let Ok(count) = timeout(Duration::ZERO, publisher.write(piece)).await {
                rest = &rest[count.unwrap()..];
            }
        }
        publisher.flush().await.unwrap();
        assert_eq!(publisher.stats().queued, 0);
        publisher.shutdown().await.unwrap();
        for player in watching {
            player.await.unwrap();
        }
        relay.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn further_streams_are_published_on_the_connection_of_the_first() {
    let (server, port) = bind();
    let served = task::spawn(async move {
        let mut session = server.accept().await.unwrap();
        let mut seen = Vec::new();
        while let Some(event) = session.next_event().await.unwrap() {
            match event {
                ServerEvent::Request(Request::Publish { ref name, .. }) if name == b"unwanted" => {
                    session.refuse("nobody wants it").unwrap();
                }
                ServerEvent::Request(_) => session.accept().unwrap(),
                ServerEvent::Message(message) => seen.push((message.stream_id, message.timestamp)),
                _ => {}
            }
        }
        seen
    });
    within_limit(async {
        let mut publisher = publish(&Client::new(&url(port)).unwrap()).await.unwrap();
        // A future that is dropped has asked for the stream; the next call waits for the same answer.
        let mut dropped = Box::pin(publisher.open_stream("second"));
        let is_pending = poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context).is_pending())).await;
        drop(dropped);
        assert!(is_pending);
        let second = publisher.open_stream("second").await.unwrap();
        let refused = publisher.open_stream("unwanted").await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        let third = publisher.open_stream("third").await.unwrap();
        assert_ne!(second, third);
        for time in 0..3 {
            publisher.send(MessageType::VIDEO, time, b"first").await.unwrap();
            publisher.send_on(second, MessageType::VIDEO, time, b"second").await.unwrap();
            publisher.send_on(third, MessageType::AUDIO, time, b"third").await.unwrap();
        }
        publisher.close_stream(second).unwrap();
        publisher.send_on(third, MessageType::AUDIO, 3, b"third").await.unwrap();
        publisher.finish().await.unwrap();
        let seen = served.await.unwrap();
        let times = |stream_id| {
            seen.iter().filter(|(id, _)| *id == stream_id).map(|(_, time)| *time).collect::<Vec<_>>()
        };
        assert_eq!((times(second), times(third)), (vec![0, 1, 2], vec![0, 1, 2, 3]));
        assert_eq!(seen.len(), 10, "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn a_stream_goes_from_a_publisher_through_a_server_to_players() {
    let (server, port) = bind();
    let client = Client::new(&url(port)).unwrap().live(true);
    within_limit(stream(server, client, 20, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn threads_share_the_work_over_rtmpe() {
    let (server, port) = bind();
    let client = Client::new(&url(port).replace("rtmp:", "rtmpe:")).unwrap().live(true);
    within_limit(stream(server, client, 4, 300)).await;
}

#[tokio::test]
async fn rtmpt_carries_a_stream() {
    let (server, port) = bind();
    let client = Client::new(&url(port).replace("rtmp:", "rtmpt:")).unwrap().live(true);
    within_limit(stream(server, client, 3, 200)).await;
}

#[tokio::test]
async fn rtmps_and_rtmpts_carry_a_stream_also_through_a_proxy_in_tls() {
    let authority = need!(Authority::new());
    let certificate = authority.issue("tokio", "DNS:localhost", Valid::Now);
    let context = ServerContext::from_files(&certificate.chain, &certificate.key).unwrap();
    let proxy = pumps::https_proxy(context, None);
    for protocol in ["rtmps", "rtmpts"] {
        for through in [String::new(), format!(" socks=https://localhost:{proxy}")] {
            let server = rtmp::Server::bind("127.0.0.1:0").unwrap();
            let server = Server::new(server.tls(&certificate.chain, &certificate.key).unwrap()).unwrap();
            let port = server.local_addr().unwrap().port();
            let url = format!("{protocol}://localhost:{port}/app/name ipv=4{through}");
            let client = Client::new(&url).unwrap().live(true);
            let client = client.option("tlsCA", &authority.certificate().to_string_lossy()).unwrap();
            within_limit(stream(server, client, 3, 200)).await;
        }
    }
}

#[tokio::test]
async fn a_film_is_played_from_and_published_to_nginx() {
    let clip = need!(support::clip::flv());
    let film = flv::readable(&flv::load(&clip));
    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let mut player = play(&Client::new(&nginx.url("vod", "film")).unwrap()).await.unwrap();
    let mut publisher = publish(&Client::new(&nginx.url("record", "copy")).unwrap()).await.unwrap();
    let mut played = Vec::new();
    while let Some(message) = within_limit(player.next_message()).await.unwrap() {
        if message.kind != MessageType::DATA {
            within_limit(publisher.send(message.kind, message.timestamp, &message.body)).await.unwrap();
        }
        played.push(Tag { kind: message.kind.0, timestamp: message.timestamp, body: message.body });
    }
    within_limit(publisher.finish()).await.unwrap();
    flv::assert_equal(&flv::media(&film), &flv::media(&flv::readable(&played)), "film from nginx");
    drop(player);
    nginx.wait_for_disconnects(2);
    let found = flv::readable(&flv::load(&nginx.recording("copy")));
    let frames = film.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count();
    assert_eq!(flv::assert_contiguous(&film, &found, "film published to nginx"), frames);
}

#[tokio::test]
async fn futures_that_are_dropped_lose_no_message() {
    let server = support::Server::once(|peer| {
        peer.accept_play();
        for number in 0..200 {
            let bytes = body(number);
            peer.send(&Message::new(6, number * 20, 9, 1, &bytes));
            if number % 20 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT)
    });
    let mut player = within_limit(play(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    let (mut received, mut dropped, end) = (0, 0, Instant::now() + LIMIT);
    loop {
        assert!(Instant::now() < end);
        match timeout(Duration::from_micros(300), player.next_message()).await {
            Ok(Ok(Some(message))) => {
                assert_eq!(message.timestamp, received * 20);
                assert!(message.body == body(received), "message {received}");
                received += 1;
            }
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => dropped += 1,
        }
    }
    assert!(received == 200 && dropped > 0, "{received} messages, {dropped} futures dropped");
    drop(player);
    assert!(server.join(), "the connection has to be closed");
}

#[tokio::test]
async fn server_waits_for_a_slow_player() {
    const MESSAGES: u32 = 20_000;
    let (sent, all_sent) = mpsc::channel();
    let server = support::Server::once(move |peer| {
        peer.accept_play();
        for number in 0..MESSAGES {
            peer.send(&Message::new(6, number * 20, 9, 1, &body(number)));
        }
        sent.send(()).unwrap();
        peer.status(1, "status", "NetStream.Play.Complete", "");
        peer.drain(LIMIT)
    });
    let player = within_limit(play(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(all_sent.try_recv().is_err(), "what nobody takes is not to be received");
    within_limit(watch(player, MESSAGES)).await;
    assert!(within_limit(task::spawn_blocking(|| server.join())).await.unwrap());
}

#[tokio::test]
async fn a_seek_drops_what_came_before_it() {
    let server = support::Server::once(|peer| {
        peer.accept_play();
        for number in 0..10 {
            peer.send(&Message::new(6, number, 9, 1, &[0x17, 1, 2]));
        }
        peer.wait_for("seek");
        peer.send(&Message::new(6, 10, 9, 1, &[0x17, 1, 2]));
        peer.status(1, "status", "NetStream.Seek.Notify", "");
        peer.send(&Message::new(6, 60_000, 9, 1, &[0x17, 1, 2]));
        peer.drain(LIMIT)
    });
    let mut player = within_limit(play(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    let first = within_limit(player.next_message()).await.unwrap().expect("the film begins");
    assert_eq!(first.timestamp, 0);
    player.seek(Duration::from_secs(60)).unwrap();
    let next = within_limit(player.next_message()).await.unwrap().expect("the film goes on");
    assert_eq!(next.timestamp, 60_000);
    drop(player);
    assert!(within_limit(task::spawn_blocking(|| server.join())).await.unwrap());
}

#[tokio::test]
async fn sending_that_is_dropped_sends_nothing_of_its_message() {
    const LEN: usize = 100_000;
    let (read_now, wait_for_it) = mpsc::channel::<()>();
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
    let mut publisher = within_limit(publish(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    publisher.set_queue_limit(1 << 20);
    let (mut sent, mut dropped) = (Vec::new(), 0);
    for timestamp in 0.. {
        let body = vec![timestamp as u8; LEN];
        match timeout(Duration::from_millis(50), publisher.send(MessageType::VIDEO, timestamp, &body)).await {
            Ok(result) => {
                result.unwrap();
                sent.push(timestamp);
            }
            Err(_) => dropped += 1,
        }
        if dropped == 5 {
            break;
        }
    }
    read_now.send(()).unwrap();
    let body = vec![0; LEN];
    for timestamp in (0..20).map(|number| number * 256 + (1 << 20)) {
        within_limit(publisher.send(MessageType::VIDEO, timestamp, &body)).await.unwrap();
        sent.push(timestamp);
    }
    within_limit(publisher.finish()).await.unwrap();
    assert_eq!(server.join(), sent);
}

#[tokio::test]
async fn a_publisher_answers_while_it_has_nothing_to_send() {
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
    let publisher = within_limit(publish(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    let answer = within_limit(task::spawn_blocking(|| server.join())).await.unwrap();
    assert_eq!(answer, b"\0\x07\0\0\0\x2A");
    drop(publisher);
}

#[tokio::test]
async fn dropped_publisher_loses_no_sent_message() {
    let server = support::Server::once(|peer| {
        peer.accept_publish();
        let message = peer.next(LIMIT).expect("the message");
        peer.drain(LIMIT);
        message.body.len()
    });
    let mut publisher = within_limit(publish(&Client::new(&url(server.port)).unwrap())).await.unwrap();
    publisher.send(MessageType::VIDEO, 0, &vec![7; 3 << 20]).await.unwrap();
    drop(publisher);
    assert_eq!(within_limit(task::spawn_blocking(|| server.join())).await.unwrap(), 3 << 20);
}

#[tokio::test]
async fn deadlines_hold_and_playing_continues_after_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new(&url(listener.local_addr().unwrap().port())).unwrap();
    let start = Instant::now();
    let error = play(&client.timeout(Duration::from_millis(300))).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(10));

    let (go_on, wait_for_it) = mpsc::channel::<()>();
    let server = support::Server::once(move |peer| {
        peer.accept_play();
        wait_for_it.recv().unwrap();
        peer.send(&Message::new(4, 20, 8, 1, &[0xAF, 1, 3]));
        peer.drain(LIMIT)
    });
    let client = Client::new(&url(server.port)).unwrap().timeout(Duration::from_millis(300));
    let mut player = within_limit(play(&client)).await.unwrap();
    let start = Instant::now();
    let error = within_limit(player.next_message()).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(10));
    go_on.send(()).unwrap();
    let message = within_limit(player.next_message()).await.unwrap().expect("the stream goes on");
    assert_eq!(message.timestamp, 20);
    drop(player);
    assert!(within_limit(task::spawn_blocking(|| server.join())).await.unwrap());
}

#[tokio::test]
async fn a_server_that_takes_nothing_has_its_time_and_no_more() {
    let (end, wait_for_it) = mpsc::channel::<()>();
    let server = support::Server::once(move |peer| {
        peer.accept_publish();
        let _ = wait_for_it.recv();
    });
    let client = Client::new(&url(server.port)).unwrap().timeout(Duration::from_millis(500));
    let mut publisher = within_limit(publish(&client)).await.unwrap();
    let picture = vec![7; 1 << 20];
    let error = loop {
        if let Err(error) = within_limit(publisher.send(MessageType::VIDEO, 0, &picture)).await {
            break error;
        }
    };
    assert!(matches!(error, Error::TimedOut), "{error}");
    assert!(within_limit(publisher.finish()).await.is_err());
    end.send(()).unwrap();
    server.join();
}

#[tokio::test]
async fn refusal_is_an_error_with_the_text_of_the_server() {
    let (server, port) = bind();
    let serving = task::spawn(async move {
        let mut session = server.accept().await.unwrap();
        while let Some(event) = session.next_event().await.unwrap() {
            match event {
                ServerEvent::Request(Request::Play { .. }) => session.refuse("nothing plays").unwrap(),
                _ => session.accept().unwrap(),
            }
        }
    });
    match within_limit(play(&Client::new(&url(port)).unwrap())).await.unwrap_err() {
        Error::Refused(refusal) => assert_eq!(refusal.description, "nothing plays"),
        error => panic!("{error}"),
    }
    within_limit(serving).await.unwrap();
}

#[tokio::test]
async fn abort_handle_ends_waits() {
    let server = support::Server::once(|peer| {
        peer.accept_play();
        peer.drain(LIMIT)
    });
    let client = Client::new(&url(server.port)).unwrap();
    let handle = client.abort_handle();
    let mut player = within_limit(play(&client)).await.unwrap();
    task::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        handle.abort();
    });
    let start = Instant::now();
    let error = within_limit(player.next_message()).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(within_limit(task::spawn_blocking(|| server.join())).await.unwrap());
}

#[test]
fn futures_and_connections_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    fn check(client: &Client, player: &mut Player, publisher: Publisher, session: &mut ServerSession) {
        is_send(&play(client));
        is_send(&publish(client));
        is_send(&player.next_message());
        is_send(&session.next_event());
        is_send(&session.send(1, MessageType::AUDIO, 0, &[]));
        is_send(player);
        is_send(&publisher.finish());
    }
    let _ = check;
}
