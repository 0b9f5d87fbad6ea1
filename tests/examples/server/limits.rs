//! Limits: descriptors, memory, slow players, floods, clients that do nothing.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, server};
use crate::support::amf::{Value, n, s};
use crate::support::examples::ExampleServer;
use crate::support::peer::PATIENCE;
use crate::support::wire::Message;
use crate::support::{Library, require, wait_until};

/// Processor time that a process has used.
fn processor_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10) // Linux counts in hundredths of a second on every machine.
}

/// The most memory a process has had, in bytes.
fn peak_memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux counts");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

/// Descriptors that a process has open.
fn descriptors(server: &ExampleServer) -> usize {
    fs::read_dir(format!("/proc/{}/fd", server.id())).expect("the process runs").count()
}

fn limit_descriptors(server: &ExampleServer, most: usize) -> Option<()> {
    let status = Command::new(require::program("prlimit")?)
        .args(["--pid", &server.id().to_string(), &format!("--nofile={most}:")])
        .status()
        .expect("prlimit starts");
    assert!(status.success());
    Some(())
}

fn waits_for_descriptors(library: Library) {
    let (server, _folder) = need!(server(library, &[]));
    let mut first = Client::publisher(&server, "live", "a");
    let before = descriptors(&server);
    // A client takes one, or four where it needs a thread. There are eight.
    need!(limit_descriptors(&server, before + 4));
    let waiting: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(("127.0.0.1", server.port())).expect("the system accepts it"))
        .collect();
    server.wait_for_log("no room for more clients");
    let used = processor_time(server.id());
    let begin = Instant::now();
    // Connected clients are served meanwhile.
    for time in 0..100 {
        first.media(1, 8, time, &[0xaf; 100]);
        first.assert_alive();
        thread::sleep(Duration::from_millis(20));
    }
    let (spent, passed) = (processor_time(server.id()) - used, begin.elapsed());
    assert!(spent * 4 < passed, "{spent:?} of processor time in {passed:?}");
    assert_eq!(server.log().matches("no room").count(), 1, "{}", server.log());
    // Those who wait are served when others leave.
    let mut last = waiting.into_iter().last().expect("there are eight");
    last.write_all(&[&[3][..], &[0; 1536]].concat()).expect("the system takes it");
    last.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
    last.read_exact(&mut [0; 3073]).expect("the server answers");
}

#[test]
fn without_descriptors_the_server_waits() {
    waits_for_descriptors(Library::Ours);
}

#[test]
fn without_descriptors_the_server_waits_on_librtmp() {
    waits_for_descriptors(Library::Original);
}

#[test]
fn server_survives_every_limit_of_descriptors() {
    for more in 1..14 {
        let (server, _folder) = need!(server(Library::Ours, &["-r", "FOLDER"]));
        need!(limit_descriptors(&server, descriptors(&server) + more));
        let crowd: Vec<TcpStream> = (0..8)
            .map(|_| TcpStream::connect(("127.0.0.1", server.port())).expect("the system accepts it"))
            .collect();
        thread::sleep(Duration::from_millis(100));
        drop(crowd);
        need!(limit_descriptors(&server, 200));
        Client::publisher(&server, "live", "a").assert_alive();
    }
}

#[test]
fn clients_beyond_the_limit_are_turned_away_and_the_rest_is_served() {
    let (server, _folder) = need!(server(Library::Ours, &["-m", "3"]));
    let mut inside: Vec<Client> = (0..3).map(|_| Client::connect(&server, "live")).collect();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the system accepts it");
        stream.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    inside.iter_mut().for_each(Client::assert_alive);
    inside.clear();
    let admitted = wait_until(PATIENCE, || {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the system accepts it");
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("sockets have timeouts");
        let outcome = (&stream).read(&mut [0; 1]);
        outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    });
    assert!(admitted, "{}", server.log());
}

fn players_that_do_not_read_share(library: Library) {
    let (server, _folder) = need!(server(library, &[]));
    let players: Vec<Client> = (0..60).map(|_| Client::player(&server, "live", "a")).collect();
    let mut reader = Client::player(&server, "live", "a");
    let mut publisher = Client::publisher(&server, "live", "a");
    let before = peak_memory(server.id());
    publisher.set_chunk_size(0xff_ffff);
    publisher.media(1, 9, 0, &[&[0x12][..], &vec![7; (8 << 20) - 1]].concat());
    publisher.media(1, 8, 1, &[0x2f, 1]);
    // A player that reads loses nothing by those that do not.
    let got = reader.media_until(&[0x2f, 1]);
    assert_eq!(got.iter().map(Vec::len).collect::<Vec<_>>(), [8 << 20, 2]);
    let grown = peak_memory(server.id()) - before;
    assert!(grown < 64 << 20, "{} MiB for {} players, {library:?}", grown >> 20, players.len());
}

#[test]
fn a_long_message_is_in_memory_once_for_all_players() {
    players_that_do_not_read_share(Library::Ours);
}

#[test]
fn a_long_message_is_in_memory_once_for_all_players_on_librtmp() {
    players_that_do_not_read_share(Library::Original);
}

/// Nor does a long tag of a file become a message in memory for each player.
#[test]
fn players_of_a_file_that_do_not_read_need_little_memory() {
    let (server, folder) = need!(server(Library::Ours, &[]));
    let body = [&[0x12][..], &vec![7; (8 << 20) - 1]].concat();
    let size = (body.len() as u32).to_be_bytes();
    let mut file = [&b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09"[..], &size[1..], &[0; 7], &body].concat();
    file.extend((body.len() as u32 + 11).to_be_bytes());
    fs::write(folder.join("long.flv"), file).expect("the build directory is writable");
    let play = || {
        let mut player = Client::connect(&server, "vod");
        let stream = player.create();
        player.command(stream, "play", &[s("long"), n(0)]);
        player.wait_for_status(stream, "NetStream.Play.Start");
        player
    };
    let mut reader = play();
    let before = peak_memory(server.id());
    let players: Vec<Client> = (0..60).map(|_| play()).collect();
    assert_eq!(reader.next_media(PATIENCE).map(|message| message.body), Some(body));
    let grown = peak_memory(server.id()) - before;
    assert!(grown < 64 << 20, "{} MiB for {} players", grown >> 20, players.len());
}

/// Publishes at full speed: what the system takes of so many messages.
fn flood(publisher: &mut Client, messages: u32, body: &[u8]) {
    for time in 0..messages {
        publisher.media(1, 9, time, body);
    }
}

#[test]
fn flood_drops_frames_only_for_slow_players() {
    let (server, _folder) = need!(server(Library::Ours, &["--stats", "1"]));
    let _slow: Vec<Client> = (0..20).map(|_| Client::player(&server, "live", "a")).collect();
    let mut reader = Client::player(&server, "live", "b");
    let mut honest = Client::publisher(&server, "live", "b");
    let mut publisher = Client::publisher(&server, "live", "a");
    let before = peak_memory(server.id());
    publisher.set_chunk_size(0xff_ffff);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..4 {
                flood(&mut publisher, 1, &[&[0x12][..], &vec![7; 400_000]].concat());
                flood(&mut publisher, 150, &[&[0x22][..], &vec![7; 400_000]].concat());
            }
            publisher.assert_alive();
        });
        for time in 0..100 {
            let sound = [0x2f, time as u8];
            honest.media(1, 8, time, &sound);
            assert_eq!(reader.media_until(&sound), [sound.to_vec()], "in the flood");
        }
    });
    // The bytes that a queue holds at most, twice: one for slow players, one for those that come late.
    let grown = peak_memory(server.id()) - before;
    assert!(grown < 150 << 20, "{} MiB", grown >> 20);
    let dropped = |stream: &str| {
        let (printed, name) = (server.printed(), format!("stream live/{stream}: "));
        let line = printed.lines().rfind(|line| line.contains(&name))?;
        line.strip_suffix(" dropped")?.rsplit(' ').next()?.parse::<u64>().ok()
    };
    assert!(wait_until(PATIENCE, || dropped("a").is_some_and(|count| count > 0)), "{}", server.printed());
    assert_eq!(dropped("b"), Some(0));
}

#[test]
fn thousands_of_tiny_messages_are_limited() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let _slow: Vec<Client> = (0..20).map(|_| Client::player(&server, "live", "a")).collect();
    let mut publisher = Client::publisher(&server, "live", "a");
    let before = peak_memory(server.id());
    flood(&mut publisher, 1, &[0x12, 1]);
    flood(&mut publisher, 100_000, &[0x22, 1]);
    flood(&mut publisher, 1, &[0x12, 2]);
    publisher.assert_alive();
    let grown = peak_memory(server.id()) - before;
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    let mut late = Client::player(&server, "live", "a");
    assert_eq!(late.media_until(&[0x12, 2]).len(), 1);
}

/// Streams that are never played, each with as much as is kept for late players.
#[test]
fn many_streams_do_not_add_up_beyond_the_bound_of_the_process() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let before = peak_memory(server.id());
    let mut publishers = Vec::new();
    for number in 0..40 {
        let mut publisher = Client::publisher(&server, "live", &number.to_string());
        publisher.set_chunk_size(0xff_ffff);
        flood(&mut publisher, 1, &[&[0x12][..], &vec![7; 5 << 20]].concat());
        flood(&mut publisher, 2, &[&[0x22][..], &vec![7; 5 << 20]].concat());
        publisher.assert_alive();
        publishers.push(publisher);
    }
    let grown = peak_memory(server.id()) - before;
    // Half of what messages may have, and what the library keeps for the next message of each client. It would be 800 MiB.
    assert!(grown < 600 << 20, "{} MiB", grown >> 20);
    let mut player = Client::player(&server, "live", "39");
    flood(&mut publishers[39], 1, &[0x12, 3]);
    assert_eq!(player.media_until(&[0x12, 3]).len(), 1);
}

/// Messages that begin and never end.
#[test]
fn unfinished_messages_have_a_bound() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let begin = |client: &mut Client, chunk_stream: u32, size: usize| {
        let message = Message::new(chunk_stream, 0, 9, 1, &vec![0x22; size]);
        client.send_raw(&message.chunks(128)[..12 + 128]);
    };
    let mut client = Client::publisher(&server, "live", "a");
    (8..10).for_each(|chunk_stream| begin(&mut client, chunk_stream, 4 << 20));
    client.assert_alive();
    (10..12).for_each(|chunk_stream| begin(&mut client, chunk_stream, 4 << 20));
    client.assert_ended(PATIENCE);
    let mut client = Client::publisher(&server, "live", "a");
    (8..40).for_each(|chunk_stream| begin(&mut client, chunk_stream, 200));
    client.assert_ended(PATIENCE);
    let mut client = Client::publisher(&server, "live", "a");
    begin(&mut client, 8, (8 << 20) + 1);
    client.assert_ended(PATIENCE);
}

#[test]
fn silent_connection_ends() {
    let (server, _folder) = need!(server(Library::Ours, &["-t", "2"]));
    let mut streams = Vec::new();
    for beginning in [&[][..], &[3], &[3; 1000], b"POST /open/1 HTTP/1.1\r\n", &[0x16, 3, 1]] {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
        stream.write_all(beginning).expect("the server takes it");
        streams.push(stream);
    }
    for mut stream in streams {
        stream.set_read_timeout(Some(PATIENCE)).expect("sockets have timeouts");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
    let mut silent = [Client::shake_hands(&server), Client::connect(&server, "live")];
    silent.iter_mut().for_each(|client| client.assert_ended(PATIENCE));
}

/// Signs of life are not enough.
#[test]
fn a_client_that_neither_publishes_nor_plays_ends() {
    let (server, _folder) = need!(server(Library::Ours, &["-t", "1"]));
    let mut client = Client::connect(&server, "live");
    let mut publisher = Client::publisher(&server, "live", "a");
    let begin = Instant::now();
    let ended = wait_until(PATIENCE, || {
        client.send_control(3, &[0; 4]);
        publisher.media(1, 8, 0, &[0x2f]);
        thread::sleep(Duration::from_millis(100));
        server.log().contains("idle for")
    });
    assert!(ended && begin.elapsed() > Duration::from_secs(3), "{:?}", begin.elapsed());
    client.assert_ended(PATIENCE);
    publisher.assert_alive();
}

#[test]
fn a_client_that_floods_with_commands_ends() {
    let (server, _folder) = need!(server(Library::Ours, &["-r", "FOLDER"]));
    let mut client = Client::connect(&server, "live");
    let stream = client.create();
    for number in 0..1000 {
        client.command(stream, "publish", &[s(&number.to_string()), s("live")]);
        client.command(stream, "closeStream", &[]);
    }
    client.assert_ended(PATIENCE);
    assert!(server.log().contains("too many commands"), "{}", server.log());
    let mut client = Client::connect(&server, "live");
    for name in ["getStreamLength", "_checkbw", "nothing", "FCPublish", "seek"] {
        (0..30).for_each(|_| client.invoke(0, &[s(name), n(5), Value::Null, s("a")]));
    }
    client.assert_alive();
}

/// Answers that are not read do not hold up a thread forever.
#[test]
fn a_client_that_does_not_read_its_answers_ends() {
    let (server, _folder) = need!(server(Library::Ours, &["-t", "1"]));
    let stream = TcpStream::connect(("127.0.0.1", server.port())).expect("the server listens");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("sockets have timeouts");
    let mut ping = Vec::new();
    (0..5000).for_each(|_| ping.extend(Message::new(2, 0, 4, 0, &[0, 6, 1, 2, 3, 4]).chunks(128)));
    let _ = (&stream).write_all(&[&[3][..], &[0; 1536], &[0; 1536]].concat());
    let ended = wait_until(Duration::from_secs(40), || {
        let failed = (&stream).write_all(&ping).err();
        failed.is_some_and(|error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    });
    assert!(ended, "{}", server.log());
}
