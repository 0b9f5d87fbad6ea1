//! Enhanced RTMP in the example programs: what they announce, what the server answers, and what `publish --info` shows.

use std::time::{Duration, Instant};

use rtmp_core::{
    Capabilities, Client, Request, ServerEvent, StepperEvent,
    media::{self, FourCc, Frame, Kind, Packet, Track},
    session::{ability, feature},
};

use crate::support::{Library, Program, Running, TempDir, flv, relay::Relay, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn server_announces_its_capabilities_to_clients_that_announce_theirs() {
    let relay = need!(Relay::start(Library::Ours, &[]));
    let client = Client::new(&relay.url("a")).unwrap();
    let publisher = client.publish().unwrap();
    assert!(publisher.peer().is_empty(), "{:?}", publisher.peer());
    drop(publisher);
    let publisher = client.announce(Capabilities::forwarding()).publish().unwrap();
    let peer = publisher.peer();
    for (kind, codec) in [(Kind::Video, FourCc::HEVC), (Kind::Audio, FourCc::OPUS)] {
        assert_eq!(peer.codec(kind, codec), ability::FORWARD | ability::DECODE);
    }
    let features = feature::RECONNECT | feature::MULTITRACK | feature::MODEX | feature::NANO;
    assert_eq!(peer.features, Some(features));
}

#[test]
fn server_sends_reconnect_requests_on_its_signal() {
    let relay = need!(Relay::start(Library::Ours, &["--move-to", "//127.0.0.1:1/other"]));
    let streaming = |option: &str| {
        let client = Client::new(&relay.url("a")).unwrap().live(true).option("reconnect", option).unwrap();
        let mut stepper = client.start_play().unwrap();
        let found =
            wait_until(LIMIT, || matches!(stepper.step(Instant::now()), Ok(Some(StepperEvent::Streaming))));
        assert!(found, "the stream plays");
        stepper
    };
    // The second client has not announced support for such requests.
    let [mut first, mut second] = [streaming("1"), streaming("0")];
    relay.process.signal("USR1");
    let mut request = None;
    let found = wait_until(LIMIT, || {
        while let Ok(Some(event)) = first.step(Instant::now()) {
            if let StepperEvent::Reconnect(found) = event {
                request = Some(found);
            }
        }
        request.is_some()
    });
    assert!(found, "the request comes");
    assert_eq!(request.unwrap().reference, b"//127.0.0.1:1/other");
    // The server continues with both.
    let publisher = Client::new(&relay.url("a")).unwrap().publish().unwrap();
    drop(publisher);
    for stepper in [&mut first, &mut second] {
        let mut ended = false;
        let found = wait_until(LIMIT, || {
            while let Ok(Some(event)) = stepper.step(Instant::now()) {
                assert!(!matches!(event, StepperEvent::Reconnect(_)), "nobody is asked twice");
                ended |= matches!(event, StepperEvent::Ended);
            }
            ended
        });
        assert!(found, "the stream ends");
    }
}

#[test]
fn tools_announce_the_requested_codecs() {
    let directory = TempDir::new("announce");
    let file = directory.join("film.flv");
    std::fs::write(&file, film()).unwrap();
    for (tool, option, expected) in [
        ("receive", &["--enhanced"][..], (Capabilities::forwarding(), 5)),
        ("publish", &["--enhanced"], (Capabilities::forwarding(), 5)),
        ("publish_packets", &["--codecs", "hvc1,Opus"], (Capabilities::default(), 1)),
        ("receive", &[], (Capabilities::default(), 0)),
    ] {
        let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap().timeout(LIMIT);
        let url = format!("rtmp://{}/live/a", server.local_addr().unwrap());
        let mut command = need!(need!(Program::example(tool)).command(Library::Ours));
        command.args(option);
        if tool == "receive" {
            command.args(["-o", "/dev/null", &url]);
        } else {
            command.args([&*file.to_string_lossy(), &url]);
        }
        let mut running = Running::start(&mut command);
        let mut session = server.accept().unwrap();
        let mut peer = None;
        while let Some(event) = session.next_event().unwrap() {
            match event {
                ServerEvent::Request(Request::Play { stream_id, .. }) => {
                    session.accept().unwrap();
                    session.end_stream(stream_id).unwrap();
                }
                ServerEvent::Request(Request::Connect(connect)) => {
                    peer = Some(connect.capabilities);
                    session.accept().unwrap();
                }
                ServerEvent::Request(_) => session.accept().unwrap(),
                _ => {}
            }
        }
        assert!(running.wait(LIMIT).is_some(), "{tool} still runs");
        let peer = peer.expect("it has connected");
        let what = format!("{tool} {option:?}: {peer:?}");
        assert_eq!(peer.features, expected.0.features, "{what}");
        assert_eq!(peer.codec(Kind::Video, FourCc::HEVC), expected.1, "{what}");
    }
}

/// An FLV file with two tracks of video and one of audio.
fn film() -> Vec<u8> {
    let tag = |kind: u8, timestamp: u32, body: &[u8]| {
        let header = rtmp_core::flv::TagHeader { kind, length: body.len() as u32, timestamp };
        [&header.write()[..], body, &header.previous_tag_size()].concat()
    };
    let video = |packet, id, frame, body| {
        let track = Track { id, frame: Some(frame), ..Track::new(FourCc::HEVC, packet, body) };
        media::Message::new(Kind::Video, &[track]).encode().unwrap()
    };
    let mut file = rtmp_core::flv::FILE_HEADER.to_vec();
    for id in 0..2 {
        file.extend(tag(9, 0, &video(Packet::Config, id, Frame::Key, b"configuration")));
    }
    for frame in 0..10 {
        let kind = if frame == 0 { Frame::Key } else { Frame::Inter };
        for id in 0..2 {
            file.extend(tag(9, frame * 40, &video(Packet::Frames, id, kind, b"picture")));
        }
        file.extend(tag(8, frame * 40, b"\xAF\x01sound"));
    }
    file
}

#[test]
fn publish_shows_the_contents_of_a_file() {
    let directory = TempDir::new("info");
    let file = directory.join("film.flv");
    std::fs::write(&file, film()).unwrap();
    assert_eq!(flv::load(&file).len(), 32);
    let program = need!(Program::example("publish"));
    let info = |arguments: &[&str]| program.run(Library::Ours, arguments, "", LIMIT);
    let run = need!(info(&["--info", &file.to_string_lossy()]));
    let expected = "video track 0: hvc1, 10 frames, 1 key frames, 0.36 s, 70 bytes\n\
                    video track 1: hvc1, 10 frames, 1 key frames, 0.36 s, 70 bytes\n\
                    audio track 0: AAC, 10 frames, 0.36 s, 50 bytes, no configuration\n";
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), expected), "{}", run.stderr);
    // The tool shows the tags of a cut file up to the cut.
    let data = std::fs::read(&file).unwrap();
    std::fs::write(&file, &data[..data.len() - 20]).unwrap();
    let run = need!(info(&["--info", &file.to_string_lossy()]));
    assert_ne!(run.code, Some(0));
    assert!(run.stdout.contains("audio track 0: AAC, 9 frames"), "{}", run.stdout);
    let run = need!(info(&["--info", "/dev/null"]));
    assert!(run.code != Some(0) && !run.stderr.is_empty());
}
