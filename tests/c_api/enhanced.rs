//! Enhanced RTMP as C programs use it.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use rtmp_core::{
    Request, ServerEvent, StepperEvent,
    media::{FourCc, Kind},
    session::{Capabilities, ability, feature},
};

use crate::support::amf::{Value, ecma, n, object, s};
use crate::support::wire::Message;
use crate::support::{Library, Peer, Program, Running, Server, TempDir, flv, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// A kind, a body, and what `tests/c/enhanced.c` prints of it; `None` if what it writes again is the body.
type Vector = (u8, &'static [u8], &'static str, Option<&'static [u8]>);

const MESSAGES: [Vector; 24] = [
    (9, b"\x90hvc1conf", " hvc1:0 packet 1 frame 1 offset 0 636f6e66", None),
    (9, b"\x91hvc1\0\0\x28nal", " hvc1:0 packet 2 key frame 1 offset 40 6e616c", None),
    (9, b"\xA1hvc1\xFF\xFF\xFFnal", " hvc1:0 packet 2 frame 2 offset -1 6e616c", None),
    (9, b"\xA3hvc1nal", " hvc1:0 packet 2 frame 2 offset 0 6e616c", None),
    // The same without an offset in fewer bytes.
    (9, b"\x91hvc1\0\0\0nal", " hvc1:0 packet 2 key frame 1 offset 0 6e616c", Some(b"\x93hvc1nal")),
    (9, b"\xD4hvc1hdr", " hvc1:0 packet 4 frame 0 offset 0 686472", Some(b"\x94hvc1hdr")),
    (9, b"\x95av01ts", " av01:0 packet 8 frame 1 offset 0 7473", None),
    (9, b"\x92avc1", " avc1:0 packet 3 frame 1 offset 0 ", None),
    (9, b"\xD0\0", " 0/0:0 packet 7 frame 0 offset 0 00", None),
    (9, b"\x57\x01", " 7/0:0 packet 7 frame 0 offset 0 01", None),
    (
        9,
        b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\x01n",
        " +999999 ns hvc1:0 packet 2 key frame 1 offset 1 6e",
        None,
    ),
    (9, b"\x96\x01hvc1\x01\0\0\x01n", " hvc1:1 packet 2 key frame 1 offset 1 6e", None),
    (
        9,
        b"\xA6\x13hvc1\0\0\0\x02ab\xFF\0\0\0",
        " hvc1:0 packet 2 frame 2 offset 0 6162 hvc1:255 packet 2 frame 2 offset 0 ",
        None,
    ),
    (
        9,
        b"\x96\x21av01\0\0\0\x03obuhvc1\x01\0\0\x04\0\0\0n",
        " av01:0 packet 2 key frame 1 offset 0 6f6275 hvc1:1 packet 2 key frame 1 offset 0 6e",
        None,
    ),
    (
        8,
        b"\x95\x11mp4a\0\0\0\x01a\x01\0\0\x05b",
        " mp4a:0 packet 2 frame 0 offset 0 61 then damaged",
        Some(b"\x91mp4aa"),
    ),
    (8, b"\x94Opus\x01\x02\0\0\0\x03", " Opus:0 packet 5 frame 0 offset 0 010200000003", None),
    (8, b"\x90Opus", " Opus:0 packet 1 frame 0 offset 0 ", None),
    (8, b"", " 0/0:0 packet 6 frame 0 offset 0 ", None),
    (8, b"\xAF\0\x12\x10", " 10/15:0 packet 1 frame 0 offset 0 1210", None),
    (8, b"\xAF\x01aac", " 10/15:0 packet 2 frame 0 offset 0 616163", None),
    (8, b"\x2Emp3", " 2/14:0 packet 2 frame 0 offset 0 6d7033", None),
    (9, b"\x17\0\0\0\0avcC", " 7/0:0 packet 1 frame 1 offset 0 61766343", None),
    (9, b"\x27\x01\xFF\xFF\xFEnal", " 7/0:0 packet 2 frame 2 offset -2 6e616c", None),
    (9, b"\x12frame", " 2/0:0 packet 2 key frame 1 offset 0 6672616d65", None),
];

const DAMAGED: [(u8, &[u8]); 6] =
    [(9, b""), (9, b"\x98hvc1"), (9, b"\x91hvc"), (9, b"\x96\x06hvc1\0"), (8, b"\x93Opus"), (1, b"\x93Opus")];

const REST: &str = "track 0: 1920x1080 1 68766331 0
track 1: 640x1080 1 68766331 0
track 200: 1920x1080 1 61763031 0
1 0
010400840003: 4 0 1 18 119 -1 1
02040a00feff: 4 10 0 254 119 -1 1
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn messages_and_metadata_are_read_and_written() {
    let program = need!(Program::test_of_ours("enhanced"));
    let (mut input, mut expected) = (String::new(), String::new());
    for (kind, body, tracks, again) in MESSAGES {
        input += &format!("{kind} {}\n", hex(body));
        expected += &format!("{tracks} = {}\n", hex(again.unwrap_or(body)));
    }
    for (kind, body) in DAMAGED {
        input += &format!("{kind} {}\n", hex(body));
        expected += "damaged\n";
    }
    let run = need!(program.run(Library::Ours, &[], &input, Duration::from_secs(60)));
    let printed = run.expect("enhanced");
    for (printed, expected) in printed.lines().zip(expected.lines().chain(REST.lines())) {
        assert_eq!(printed, expected);
    }
    assert_eq!(printed.lines().count(), expected.lines().count() + REST.lines().count());
}

/// The output of a client of our own server, and the bodies of messages that the server received, by
/// connection.
fn client_of(
    server: rtmp_core::Server,
    options: &[&str],
    reconnect: &'static [&'static str],
) -> Option<(String, Vec<Vec<Vec<u8>>>)> {
    let program = Program::test_of_ours("enhanced_session")?;
    let url = format!("rtmp://{}/app/name", server.local_addr().expect("it is bound"));
    let connections = 1 + usize::from(reconnect.iter().any(|url| url.starts_with('/')));
    let serving = thread::spawn(move || {
        (0..connections)
            .map(|number| {
                let mut session = server.accept().expect("the client connects");
                let mut received = Vec::new();
                while let Some(event) = session.next_event().expect("the client goes politely") {
                    match event {
                        ServerEvent::Request(Request::Publish { .. }) => {
                            session.accept().expect("it is a request");
                            if number == 0 {
                                for url in reconnect {
                                    session.request_reconnect(url, "maintenance").expect("it is announced");
                                }
                            }
                        }
                        ServerEvent::Request(_) => session.accept().expect("it is a request"),
                        ServerEvent::Message(message) => received.push(message.body),
                        _ => break,
                    }
                }
                received
            })
            .collect()
    });
    let arguments: Vec<&str> = ["client", &url].into_iter().chain(options.iter().copied()).collect();
    let run = program.run(Library::Ours, &arguments, "", LIMIT)?;
    let printed = run.expect("enhanced_session").replace(&url["rtmp://".len()..url.len() - 9], "HOST");
    Some((printed, serving.join().expect("the server did not panic")))
}

fn server(announced: Option<Capabilities>) -> rtmp_core::Server {
    let server = rtmp_core::Server::bind("127.0.0.1:0").expect("there is a port").timeout(LIMIT);
    match announced {
        Some(announced) => server.announce(announced),
        None => server,
    }
}

#[test]
fn client_sends_only_announced_features() {
    let mut announced = Capabilities::default();
    announced.set_codec(Kind::Video, FourCc::HEVC, ability::DECODE);
    announced.set_codec(Kind::Audio, FourCc::OPUS, ability::FORWARD);
    announced.features = Some(feature::MULTITRACK);
    // An invalid request ends the program's wait.
    let (printed, received) =
        need!(client_of(server(Some(announced)), &["reconnect=1"], &["http://127.0.0.1/app"]));
    let expected = "option 1
before: 0 0
caps 2 codecs 1/1 0/0 1/5 0/0 fmsVer FMS/3,5,7,7009 map of 1
video: 1 connected 1
two tracks: 1 connected 1
second track: 1 connected 1
nanoseconds: 0 23 sending nanoseconds to a peer that has not announced them is not supported connected 1
audio: 1 connected 1
no tracks: 0 2 sending: a message has 1 to 256 tracks connected 1
neither: 0 2 sending: the kind of media is neither audio nor video connected 1
refused: ";
    assert!(printed.starts_with(expected), "{printed}");
    let expected: [&[u8]; 4] = [
        b"\x93hvc1one",
        b"\x96\x13hvc1\0\0\0\x03one\x01\0\0\x03two",
        b"\x96\x03hvc1\x01two",
        b"\x91Opusopus",
    ];
    assert_eq!(received, [expected.map(<[u8]>::to_vec)]);
}

#[test]
fn a_client_sends_an_old_server_video_only_unless_it_is_forced() {
    let (printed, received) = need!(client_of(server(None), &["reconnect=1"], &["http://127.0.0.1/app"]));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[2], "caps 0 codecs 0/0 0/0 0/0 0/0 fmsVer FMS/3,5,7,7009");
    assert_eq!(lines[3], "video: 1 connected 1");
    assert_eq!(
        lines[4],
        "two tracks: 0 23 sending several tracks to a peer that has not announced them is not supported connected 1"
    );
    assert_eq!(
        lines[7],
        "audio: 0 23 sending a codec that the peer has not announced is not supported connected 1"
    );
    assert_eq!(received, [[b"\x93hvc1one"]]);
    let options = ["reconnect=1", "enhancedForce=1"];
    let (printed, received) = need!(client_of(server(None), &options, &["http://127.0.0.1/app"]));
    assert!(printed.contains("\nnanoseconds: 1 connected 1\naudio: 1 connected 1\n"), "{printed}");
    assert_eq!(received[0].len(), 5);
}

#[test]
fn a_client_follows_a_reconnect_request_with_its_settings() {
    let options = ["reconnect=1", "pageUrl=http://host/page", "conn=O:1", "conn=NS:name:value", "conn=O:0"];
    let (printed, received) = need!(client_of(server(None), &options, &["/moved"]));
    let (_, rest) = printed.split_once("reconnect to ").unwrap_or_else(|| panic!("{printed}"));
    let expected = "rtmp://HOST/moved: maintenance\nset up 1\nthere: 1 connected 1\nnot asked 0\n";
    assert_eq!(rest, expected);
    assert_eq!(received[1], [b"\xA3hvc1moved"]);
}

#[test]
fn a_server_knows_its_client_and_asks_it_to_go_elsewhere() {
    let program = need!(Program::test_of_ours("enhanced_session"));
    let mut command = need!(program.command(Library::Ours));
    let options = ["enhanced=1", "audioFourCc=Opus:4", "capsEx=6"];
    let mut running = Running::start(command.arg("server").args(options));
    assert!(wait_until(LIMIT, || running.stdout().contains('\n')));
    let port = running.stdout().trim().to_owned();
    let url = format!("rtmp://127.0.0.1:{port}/app/name");
    let mut own = Capabilities::forwarding();
    own.set_codec(Kind::Video, FourCc::HEVC, ability::DECODE);
    let client = rtmp_core::Client::new(&url).expect("it is a URL").announce(own);
    let client = client.option("reconnect", "1").expect("there is the option");
    // The server answers no publish, so this ends when the program is stopped; what matters happens before.
    let mut stepper = client.start_publish().expect("there is nothing to wait for");
    let mut request = None;
    let found = wait_until(LIMIT, || {
        while let Ok(Some(event)) = stepper.step(Instant::now()) {
            if let StepperEvent::Reconnect(found) = event {
                request.get_or_insert(found);
            }
        }
        request.is_some() && running.stdout().contains("ask 1 1")
    });
    assert!(found, "{request:?} {}", running.stdout());
    let request = request.expect("it was found");
    assert_eq!(
        (&request.reference[..], &request.description[..]),
        (&b"//127.0.0.1:1/moved"[..], &b"maintenance"[..])
    );
    let peer = stepper.peer();
    assert_eq!(peer.features, Some(6));
    assert_eq!(peer.codec(Kind::Audio, FourCc::OPUS), ability::FORWARD | ability::DECODE);
    assert_eq!(peer.codec(Kind::Video, FourCc::AV1), ability::FORWARD | ability::DECODE);
    drop(stepper);
    assert!(running.wait(LIMIT).is_some_and(|status| status.success()));
    let printed = running.stdout();
    let expected =
        "early 0 0\ntake 1\ncaps 15 codecs 5/5 5/5 5/5 5/5 app app map of 2\nno room 1\nask 1 1\ntake 0\n";
    assert!(printed.contains(expected), "{printed}");
}

/// Publishes to a scripted server, which answers `connect` with these two values, and returns the line about
/// its announcement and the one about a first message.
fn announced_by(properties: Value, info: Value) -> Option<[String; 2]> {
    let program = Program::test_of_ours("enhanced_session")?;
    let server = Server::once(move |peer: &mut Peer| {
        peer.handshake();
        peer.wait_for("connect");
        peer.result(1.0, &[properties, info]);
        peer.accept_create();
        peer.wait_for("publish");
        peer.status(1, "status", "NetStream.Publish.Start", "");
        let is_video = |message: &Message| message.kind == 9 && message.body == b"\x93hvc1one";
        while !is_video(&peer.next(LIMIT).expect("the client carries on")) {}
        peer.finish();
        peer.drain(LIMIT);
    });
    let url = format!("{} timeout=60", server.url());
    let printed =
        program.run(Library::Ours, &["client", &url, "enhanced=1"], "", LIMIT)?.expect("enhanced_session");
    server.join();
    let mut lines = printed.lines().skip(2).map(str::to_owned);
    Some([(); 2].map(|()| lines.next().expect("there are more lines")))
}

/// Codecs of the program's line: HEVC, AV1, Opus and FLAC, as video and as audio.
#[test]
fn servers_announce_in_either_object_and_in_several_forms() {
    let success = ("code", s("NetConnection.Connect.Success"));
    let list = |codecs: &[&str]| Value::Strict(codecs.iter().map(|codec| s(codec)).collect());
    let maps = |map: fn(&[(&str, Value)]) -> Value| {
        [
            ("videoFourCcInfoMap", map(&[("hvc1", n(1)), ("av01", n(4))])),
            ("audioFourCcInfoMap", map(&[("*", n(2))])),
            ("capsEx", n(6)),
        ]
    };
    let plain = object(std::slice::from_ref(&success));
    let all = "caps 6 codecs 1/2 4/2 0/2 0/2 map of 2";
    // `AMFProp_GetObject` has no members for an array, as librtmp's.
    let arrays = "caps 6 codecs 1/2 4/2 0/2 0/2 map of 0";
    let with = |members: &[(&'static str, Value)]| [std::slice::from_ref(&success), members].concat();
    let cases = [
        // In one of the two objects, and in both: the information object counts.
        (object(&maps(object)), plain.clone(), all),
        (Value::Null, object(&with(&maps(object))), all),
        (object(&[("capsEx", n(1))]), object(&with(&maps(object))), all),
        (object(&maps(object)), object(&with(&[("capsEx", n(1))])), "caps 1 codecs 1/2 4/2 0/2 0/2 map of 2"),
        // ECMA arrays in place of objects and inside of them.
        (ecma(&maps(ecma)), ecma(std::slice::from_ref(&success)), arrays),
        (Value::Null, ecma(&with(&maps(ecma))), arrays),
        // The list alone, the only announcement of older servers, as both kinds of array.
        (
            Value::Null,
            object(&with(&[("fourCcList", list(&["hvc1", "Opus"]))])),
            "caps 0 codecs 1/1 0/0 1/1 0/0",
        ),
        (
            Value::Null,
            object(&with(&[("fourCcList", ecma(&[("0", s("hvc1")), ("1", s("fLaC"))]))])),
            "caps 0 codecs 1/1 0/0 0/0 1/1",
        ),
        // Nothing, and what is invalid.
        (Value::Null, plain.clone(), "caps 0 codecs 0/0 0/0 0/0 0/0"),
        (
            object(&[("capsEx", s("6")), ("fourCcList", n(1)), ("videoFourCcInfoMap", list(&["hvc1"]))]),
            plain.clone(),
            "caps 0 codecs 0/0 0/0 0/0 0/0 map of 0",
        ),
        (
            object(&[("capsEx", n(-1.0)), ("audioFourCcInfoMap", s("*"))]),
            plain,
            "caps 0 codecs 0/0 0/0 0/0 0/0",
        ),
    ];
    for (properties, info, expected) in cases {
        let what = format!("{properties} {info}");
        let [caps, video] = need!(announced_by(properties, info));
        assert_eq!((&*caps, &*video), (expected, "video: 1 connected 1"), "{what}");
    }
}

/// Damaged and odd messages: the library hands them out as they are, and the session continues.
fn odd_messages() -> Vec<(u8, Vec<u8>)> {
    let chain = |count: usize| {
        let element = |number| [0, 0xEE, if number + 1 == count { 1 } else { 7 }];
        [&b"\x97"[..], &(0..count).flat_map(element).collect::<Vec<_>>(), b"av01x"].concat()
    };
    let bodies: [(u8, &[u8]); 20] = [
        // Reserved packet types, frame types and layouts, and unknown codecs.
        (9, b"\x98hvc1nal"),
        (9, b"\xF1hvc1\0\0\0nal"),
        (9, b"\x96\x31hvc1\0nal"),
        (9, b"\x91????nal"),
        (8, b"\x9FOpusx"),
        (8, b"\x93Opusx"),
        // Headers that are cut.
        (9, b"\x91hvc"),
        (9, b"\x97"),
        (9, b"\xD0"),
        (8, b"\x97\xFF\xFF\xFF"),
        // Tracks in tracks, and tracks with a wrong length: too long by one, and by far.
        (9, b"\x96\x06hvc1\0\0\0\0"),
        (9, b"\x96\x11hvc1\0\0\0\x03ab"),
        (9, b"\x96\x11hvc1\0\xFF\xFF\xFFab"),
        (8, b"\x95\x11Opus\0\0\0\0\x01\0\0\x09x"),
        (9, b"\x96\x21av01\0\0\0\x01xhvc1\x01\0\0\x02"),
        // Metadata with the frame types of OBS and FFmpeg, and a command with the packet type of metadata.
        (9, b"\x84hvc1\x02\0\x09colorInfo\x06"),
        (9, b"\xD4hvc1\x02\0\x09colorInfo\x06"),
        // ModEx around several tracks around a configuration.
        (9, b"\x97\x02\0\0\x01\x06\x10hvc1\x01\0\0\x04conf"),
        (8, b""),
        (8, b"\x92Opus"),
    ];
    let mut messages: Vec<_> = bodies.into_iter().map(|(kind, body)| (kind, body.to_vec())).collect();
    messages.extend([1, 8, 9, 10_000].map(|count| (9, chain(count))));
    messages
}

#[test]
fn odd_messages_are_delivered_unchanged_and_the_session_continues() {
    let directory = TempDir::new("odd-media");
    let file = directory.join("odd.flv");
    let messages = odd_messages();
    let count = messages.len() as u32;
    let server = Server::listen(move |listener| {
        for _ in 0..2 {
            let mut peer = Peer::accept(listener);
            peer.accept_play();
            for (time, (kind, body)) in odd_messages().into_iter().enumerate() {
                peer.send(&Message::new(6, time as u32, kind, 1, &body));
            }
            peer.send(&Message::new(6, count, 8, 1, b"\xAF\x01last"));
            peer.status(1, "status", "NetStream.Play.Complete", "");
            peer.drain(LIMIT);
        }
    });
    let mut expected: Vec<_> =
        messages.into_iter().enumerate().map(|(time, (kind, body))| (kind, time as u32, body)).collect();
    expected.push((8, count, b"\xAF\x01last".to_vec()));

    let url = format!("{} timeout=60 data=all", server.url());
    let receive = need!(Program::example("receive"));
    let run = need!(receive.run(Library::Ours, &["-q", "-o", &file.to_string_lossy(), &url], "", LIMIT));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let tags: Vec<_> = flv::load(&file).into_iter().map(|tag| (tag.kind, tag.timestamp, tag.body)).collect();
    assert!(tags == expected, "receive has {} of {} messages", tags.len(), expected.len());

    let mut player = rtmp_core::Client::new(&url).unwrap().play().unwrap();
    let played: Vec<_> = player
        .messages()
        .map(|message| message.map(|message| (message.kind.0, message.timestamp, message.body)).unwrap())
        .collect();
    assert!(played == expected, "the player has {} of {} messages", played.len(), expected.len());
    server.join();
}

/// A server that fails when there is a list of codecs: its error is reported, and nothing is tried again.
#[test]
fn servers_that_refuse_a_list_of_codecs_are_reported_and_not_asked_again() {
    let program = need!(Program::test_of_ours("enhanced_session"));
    for says_why in [true, false] {
        let server = Server::listen(move |listener| {
            let mut refused = Peer::accept(listener);
            refused.handshake();
            let connect = refused.wait_for("connect");
            let codecs = connect[2].member("fourCcList");
            assert_eq!(codecs, Some(&Value::Strict(vec![s("hvc1"), s("Opus")])));
            if says_why {
                let info =
                    crate::support::amf::status("error", "NetConnection.Connect.Rejected", "bad property");
                refused.invoke(0, &[s("_error"), n(1), Value::Null, info]);
                refused.finish();
            } else {
                refused.leave();
            }
            assert!(refused.drain(LIMIT));
            // The next connection is that of a client that announces nothing.
            let mut peer = Peer::accept(listener);
            peer.handshake();
            let connect = peer.wait_for("connect");
            assert!(connect[2].member("fourCcList").is_none(), "{connect:?}");
            peer.connect_result(&[]);
            peer.accept_create();
            peer.wait_for("publish");
            peer.status(1, "status", "NetStream.Publish.Start", "");
            while peer.next(LIMIT).is_some_and(|message| message.kind != 9) {}
            peer.finish();
            peer.drain(LIMIT);
        });
        let url = format!("{} timeout=60", server.url());
        let run = need!(program.run(Library::Ours, &["client", &url, "fourCcList=hvc1,Opus"], "", LIMIT));
        let words = if says_why { "NetConnection.Connect.Rejected: bad property\n" } else { "closed" };
        assert_eq!(run.code, Some(1), "{run:?}");
        let line =
            run.stdout.lines().find(|line| line.starts_with("failed: ")).unwrap_or_default().to_owned()
                + "\n";
        assert!(line.contains(words), "{run:?}");
        let printed =
            need!(program.run(Library::Ours, &["client", &url], "", LIMIT)).expect("enhanced_session");
        assert!(printed.contains("video: 1 connected 1\n"), "{printed}");
        server.join();
    }
}
