use super::*;
use crate::amf::{self, Encoder, Value};

/// A session without a connection.
struct Session<'p> {
    state: State,
    profile: Profile<'p>,
    calls: Vec<(Vec<u8>, i32)>,
    /// The notice of the last message.
    notice: Option<Notice>,
}

impl<'p> Session<'p> {
    fn new(profile: Profile<'p>) -> Self {
        Self { state: State::default(), profile, calls: Vec::new(), notice: None }
    }

    fn receive(&mut self, kind: MessageType, timestamp: u32, body: &[u8]) -> Reaction {
        let mut context = Context {
            state: &mut self.state,
            profile: &self.profile,
            calls: &mut self.calls,
            media_clock: 4711,
            random: four,
            wants_notices: true,
        };
        let mut reaction = react(&mut context, kind, timestamp, body);
        for action in reaction.actions.iter() {
            if let Action::Send(Command { remember: Some((name, transaction)), .. }) = action {
                self.calls.remember(name.as_bytes(), *transaction);
            }
        }
        self.notice = reaction.notice.take();
        reaction
    }

    fn command(&mut self, name: &str, transaction: f64, rest: impl FnOnce(&mut Encoder)) -> Reaction {
        let mut body = Encoder::new();
        body.string(name.as_bytes()).number(transaction);
        rest(&mut body);
        self.receive(MessageType::COMMAND, 0, &body.finish())
    }

    fn status(&mut self, code: &str, level: &str) -> Reaction {
        self.command("onStatus", 0.0, |body| info(body, code, level))
    }

    /// Answers `connect` and `createStream`, with stream id 1.
    fn start(&mut self) {
        let connect = command::connect(&mut self.state, &self.profile, b"");
        let (name, transaction) = connect.remember.unwrap();
        self.calls.remember(name.as_bytes(), transaction);
        self.command("_result", 1.0, |body| info(body, "NetConnection.Connect.Success", "status"));
        let create = self.calls.iter().find(|call| call.0 == b"createStream").unwrap().1;
        self.command("_result", f64::from(create), |body| {
            body.null().number(1.0);
        });
    }
}

/// Random bytes that are the same in each run.
fn four(bytes: &mut [u8]) -> Result<()> {
    bytes.fill(4);
    Ok(())
}

fn info(body: &mut Encoder, code: &str, level: &str) {
    body.null().begin_object();
    body.named_string(b"level", level.as_bytes()).named_string(b"code", code.as_bytes());
    body.named_string(b"description", b"because").end_object();
}

fn play() -> Profile<'static> {
    Profile {
        app: b"app/inst",
        tc_url: b"rtmp://127.0.0.1:19350/app/inst",
        stream_name: b"name",
        ..Profile::default()
    }
}

fn publish() -> Profile<'static> {
    Profile { publish: true, ..play() }
}

/// Names of the commands, and types of the other messages, that will be sent.
fn sent(reaction: &Reaction) -> Vec<String> {
    reaction
        .actions
        .iter()
        .filter(|action| !matches!(action, Action::Introduced(_)))
        .map(|action| match action {
            Action::Send(command) if command.kind == MessageType::COMMAND => {
                let values = amf::decode(&command.body).unwrap();
                String::from_utf8_lossy(values.get(0).unwrap().value.as_string().unwrap()).into_owned()
            }
            Action::Send(command) => format!("type {}", command.kind.0),
            other => format!("{other:?}"),
        })
        .collect()
}

fn body(reaction: &Reaction, index: usize) -> &[u8] {
    match &reaction.actions[index] {
        Action::Send(command) => &command.body,
        other => panic!("{other:?}"),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn connect_matches_librtmp() {
    // Bodies recorded from the original library.
    let recorded_play = unhex(concat!(
        "020007636f6e6e656374003ff00000000000000300036170700200086170702f696e73740005746355726c02001f72746d703a2f2f",
        "3132372e302e302e313a31393335302f6170702f696e73740004667061640100000c6361706162696c697469657300402e00000000",
        "0000000b617564696f436f646563730040a8ee0000000000000b766964656f436f6465637300406f800000000000000d766964656f",
        "46756e6374696f6e003ff0000000000000000009"
    ));
    let recorded_publish = unhex(concat!(
        "020007636f6e6e656374003ff00000000000000300036170700200086170702f696e737400047479706502000a6e6f6e7072697661",
        "74650005746355726c02001f72746d703a2f2f3132372e302e302e313a31393335302f6170702f696e7374000009"
    ));
    for (profile, recorded) in [(play(), recorded_play), (publish(), recorded_publish)] {
        let command = command::connect(&mut State::default(), &profile, b"");
        assert_eq!(*command.body, *recorded);
        assert_eq!((command.chunk_stream, command.format, command.remember), (3, 0, Some(("connect", 1))));
    }
}

#[test]
fn connect_carries_what_the_application_adds() {
    let profile = Profile { auth: b"token", auth_flag: true, page_url: b"page", swf_url: b"swf", ..play() };
    let mut state = State { sends_encoding: true, object_encoding: 3.0, ..State::default() };
    let command = command::connect(&mut state, &profile, b"\x05");
    let values = amf::decode(&command.body).unwrap();
    let members = values.get(2).unwrap().value.as_object().unwrap();
    let names: Vec<_> = members.iter().map(|member| String::from_utf8_lossy(member.name)).collect();
    assert_eq!(
        names.join(" "),
        "app swfUrl tcUrl fpad capabilities audioCodecs videoCodecs videoFunction pageUrl objectEncoding"
    );
    assert_eq!(values.get(3).unwrap().value, Value::Boolean(true));
    assert_eq!(values.get(4).unwrap().value, Value::String(b"token"));
    assert_eq!(values.get(5).unwrap().value, Value::Null);
}

/// `connect` with what is announced.
fn announce(profile: Profile<'_>, own: &Capabilities) -> Vec<u8> {
    command::connect(&mut State::default(), &Profile { capabilities: Some(own), ..profile }, b"").body.into()
}

#[test]
fn connect_announces_the_capabilities() {
    for (profile, expected) in [(play(), Some(1)), (publish(), None)] {
        let mut own = Capabilities::forwarding();
        let body = announce(profile, &own);
        // librtmp's command, and then what is new.
        let old = command::connect(&mut State::default(), &profile, b"").body;
        assert!(body.starts_with(&old[..old.len() - 3]));
        own.video_function = expected;
        assert_eq!(Peer::from_command(&body).capabilities, own);
        own.video_function = Some(7);
        assert_eq!(Peer::from_command(&announce(profile, &own)).capabilities, own);
    }
}

#[test]
fn a_reconnect_request_is_for_the_application() {
    for (level, members) in [("status", 2), ("warning", 1), ("status", 0)] {
        let mut session = Session::new(play());
        session.start();
        let reaction = session.command("onStatus", 0.0, |body| {
            body.null().begin_ecma_array(4).named_string(b"level", level.as_bytes());
            body.named_string(b"code", b"NetConnection.Connect.ReconnectRequest");
            if members > 0 {
                body.named_string(b"tcUrl", b"//other/app");
            }
            if members > 1 {
                body.named_string(b"description", b"maintenance");
            }
            body.end_object();
        });
        let text = |text: &str, needed| if members >= needed { text.into() } else { Vec::new() };
        let (reference, description) = (text("//other/app", 1), text("maintenance", 2));
        assert_eq!(*reaction.actions, [Action::Reconnect(Reconnect { reference, description })]);
        assert_eq!(reaction.outcome, Outcome::Handled);
    }
}

#[test]
fn metadata_in_amf3_counts_in_sessions_that_announced_it() {
    // A format byte, the name as AMF0, and an AMF3 object {duration: 7.5, videocodecid: 7}.
    let duration =
        [&b"\x0a\x23\x01\x11duration\x19videocodecid\x05"[..], &7.5_f64.to_be_bytes(), &[4, 7]].concat();
    let body = [&b"\0\x02\0\x0AonMetaData\x11"[..], &duration].concat();
    for (encoding, counts) in [(0.0, false), (3.0, true)] {
        let mut session = Session::new(play());
        session.state.object_encoding = encoding;
        let reaction = session.receive(MessageType::DATA_AMF3, 0, &body);
        assert_eq!(reaction.outcome == Outcome::Media, counts);
        assert_eq!(session.state.duration, if counts { 7.5 } else { 0.0 });
        assert_eq!(session.state.media_types, u8::from(counts));
        let other = session.receive(MessageType::DATA_AMF3, 0, b"\0\x02\0\x0aonCuePoint\x05");
        assert_eq!(other.outcome, Outcome::Handled);
    }
}

#[test]
fn commands_in_amf3_are_those_of_amf0() {
    let mut session = Session::new(play());
    session.calls.remember(b"createStream", 2);
    // The name, the transaction, null and the stream id, all of AMF3, behind a format byte.
    let mut body = b"\0\x11\x06\x0f_result\x11\x04\x02\x11\x01\x11\x04\x05".to_vec();
    let reaction = session.receive(MessageType::COMMAND_AMF3, 0, &body);
    assert_eq!(
        (session.state.stream_id, &sent(&reaction)[..]),
        (5, &["play".to_owned(), "type 4".to_owned()][..])
    );
    // An array of AMF3 as the information object.
    body = b"\0\x02\0\x08onStatus\0\0\0\0\0\0\0\0\0\x05\x11\x09\x01\x09code\x06\x29NetStream.Play.Start\x01"
        .to_vec();
    session.receive(MessageType::COMMAND_AMF3, 0, &body);
    assert!(session.state.playing);
    for len in 0..body.len() {
        session.receive(MessageType::COMMAND_AMF3, 0, &body[..len]);
    }
}

#[test]
fn shared_objects_of_either_kind_are_ignored() {
    for encoding in [0.0, 3.0] {
        let mut session = Session::new(play());
        session.state.object_encoding = encoding;
        for (kind, body) in [
            (MessageType::SHARED_OBJECT, &b"\0\x01o\0\0\0\0"[..]),
            (MessageType::SHARED_OBJECT_AMF3, b"\0\0\x01o\0\0\0\0"),
            (MessageType::SHARED_OBJECT_AMF3, b""),
        ] {
            let reaction = session.receive(kind, 0, body);
            assert_eq!((reaction.outcome, &reaction.actions[..]), (Outcome::Handled, &[][..]));
        }
    }
}

#[test]
fn the_result_of_connect_asks_for_a_stream() {
    let mut session = Session::new(play());
    session.calls.remember(b"connect", 1);
    let reaction = session.command("_result", 1.0, |_| {});
    assert!(matches!(reaction.actions[0], Action::Introduced(_)));
    assert_eq!(sent(&reaction), ["type 5", "type 4", "createStream"]);
    assert_eq!(body(&reaction, 2), unhex("0003000000000000012c"));

    let mut session = Session::new(Profile { live: true, usher_token: b"t", ..play() });
    session.calls.remember(b"connect", 1);
    let reaction = session.command("_result", 1.9, |_| {});
    let usher = "NetStream.Authenticate.UsherToken";
    assert_eq!(sent(&reaction), ["type 5", "type 4", "createStream", usher, "FCSubscribe"]);

    let mut session = Session::new(publish());
    session.calls.remember(b"connect", 1);
    let reaction = session.command("_result", 1.0, |_| {});
    assert_eq!(sent(&reaction), ["releaseStream", "FCPublish", "createStream"]);
}

#[test]
fn the_result_of_create_stream_starts_playing_or_publishing() {
    for (profile, expected, chunk_stream) in [
        (play(), vec!["play", "type 4"], 8),
        (Profile { playlist: true, ..play() }, vec!["set_playlist", "play", "type 4"], 8),
        (publish(), vec!["publish"], 4),
    ] {
        let mut session = Session::new(profile);
        session.calls.remember(b"createStream", 2);
        let reaction = session.command("_result", 2.0, |body| {
            body.null().number(7.0);
        });
        assert_eq!(sent(&reaction), expected);
        let Action::Send(command) = &reaction.actions[0] else { panic!() };
        assert_eq!((session.state.stream_id, command.stream_id, command.chunk_stream), (7, 7, chunk_stream));
    }
}

#[test]
fn play_names_start_and_length() {
    for (profile, start, length) in [
        (play(), 0.0, None),
        (Profile { live: true, start_ms: 5, ..play() }, -1000.0, None),
        (Profile { start_ms: 5000, stop_ms: 9000, ..play() }, 5000.0, Some(4000.0)),
        (Profile { start_ms: -5, ..play() }, 0.0, None),
    ] {
        let command = command::play(&mut State::default(), &profile);
        let values = amf::decode(&command.body).unwrap();
        let number = |index| values.get(index).and_then(|value| value.value.as_number());
        assert_eq!((number(4), number(5)), (Some(start), length));
    }
}

#[test]
fn unexpected_result_is_ignored() {
    let mut session = Session::new(play());
    assert_eq!(session.command("_result", 9.0, |_| {}), Reaction::new(Outcome::Handled));
}

/// The refusal that is all that came of a message.
fn refusal(actions: &[Action]) -> &Refusal {
    let [Action::Refuse(refusal)] = actions else { panic!("{actions:?}") };
    refusal
}

#[test]
fn refusals_of_essential_commands_close_the_connection_at_once() {
    for name in ["connect", "createStream", "publish", "play"] {
        let mut session = Session::new(publish());
        session.calls.remember(name.as_bytes(), 5);
        let reaction =
            session.command("_error", 5.0, |body| info(body, "NetConnection.Connect.Rejected", "error"));
        assert_eq!(refusal(&reaction.actions).method, name);
        assert_eq!(refusal(&reaction.actions).code, "NetConnection.Connect.Rejected");
        assert_eq!(session.state.stream_id, -1);
    }
    for code in [
        "NetConnection.Connect.Rejected",
        "NetStream.Publish.BadName",
        "NetStream.publish.Unauthorized",
        "NetStream.Play.StreamNotFound",
        "NetConnection.Connect.InvalidApp",
    ] {
        let mut session = Session::new(publish());
        session.start();
        assert_eq!(refusal(&session.status(code, "error").actions).code, code);
    }
}

#[test]
fn refusals_of_side_matters_change_nothing() {
    let mut session = Session::new(Profile { live: true, ..play() });
    session.start();
    let subscribe = session.calls.iter().find(|call| call.0 == b"FCSubscribe").unwrap().1;
    let reaction = session
        .command("_error", f64::from(subscribe), |body| info(body, "NetConnection.Call.Failed", "error"));
    assert_eq!(reaction, Reaction::new(Outcome::Handled));
    assert_eq!(session.command("_error", 4.5, |_| {}), Reaction::new(Outcome::Handled));
}

#[test]
fn a_stream_id_that_is_missing_is_a_refusal() {
    let mut session = Session::new(play());
    session.calls.remember(b"createStream", 2);
    let reaction = session.command("_result", 2.0, |_| {});
    assert_eq!(refusal(&reaction.actions).method, "createStream");
}

#[test]
fn a_seek_ends_with_its_answer_whatever_it_is() {
    for (code, level) in [
        ("NetStream.Seek.Notify", "status"),
        ("NetStream.Seek.Failed", "error"),
        ("NetStream.Seek.InvalidTime", "error"),
    ] {
        let mut session = Session::new(play());
        session.start();
        session.state.seeking = true;
        assert_eq!(session.status(code, level), Reaction::new(Outcome::Handled), "{code}");
        assert!(!session.state.seeking, "{code}");
    }
}

/// A server that sends far ahead has often sent the end of the file before it receives a seek.
#[test]
fn an_end_that_was_sent_before_the_answer_to_a_seek_does_not_end_the_stream() {
    for code in ["NetStream.Play.Complete", "NetStream.Play.Stop"] {
        let mut session = Session::new(play());
        session.start();
        session.state.seeking = true;
        assert_eq!(session.status(code, "status"), Reaction::new(Outcome::Handled), "{code}");
        session.status("NetStream.Seek.Notify", "status");
        assert_eq!(session.status(code, "status").outcome, Outcome::Ended, "{code}");
    }
    let mut session = Session::new(play());
    session.state.seeking = true;
    assert_eq!(session.status("NetStream.Play.UnpublishNotify", "status").outcome, Outcome::Ended);
}

#[test]
fn status_codes_start_and_end_the_stream() {
    for code in ["NetStream.Play.Start", "NetStream.Play.PublishNotify", "NetStream.Publish.Start"] {
        let mut session = Session::new(play());
        session.start();
        assert!(!session.state.playing);
        session.status(code, "status");
        assert!(session.state.playing, "{code}");
    }
    for code in ["NetStream.Play.Complete", "NetStream.Play.Stop", "NetStream.Play.UnpublishNotify"] {
        let mut session = Session::new(play());
        let reaction = session.status(code, "status");
        assert_eq!(
            (reaction.outcome, &reaction.actions[..]),
            (Outcome::Ended, &[Action::Close][..]),
            "{code}"
        );
    }
    let mut session = Session::new(play());
    assert_eq!(session.status("NetStream.Play.Reset", "status"), Reaction::new(Outcome::Handled));
}

#[test]
fn an_error_while_the_stream_runs_is_only_logged() {
    let mut session = Session::new(play());
    session.state.playing = true;
    assert_eq!(session.status("NetStream.Record.Failed", "error"), Reaction::new(Outcome::Handled));
}

#[test]
fn the_server_ends_the_stream_or_the_connection() {
    let mut session = Session::new(play());
    let reaction = session.command("onFCUnsubscribe", 0.0, |_| {});
    assert_eq!((reaction.outcome, &reaction.actions[..]), (Outcome::Ended, &[Action::Close][..]));
    let reaction = session.command("close", 0.0, |_| {});
    assert_eq!((reaction.outcome, &reaction.actions[..]), (Outcome::Handled, &[Action::Close][..]));
}

#[test]
fn bandwidth_checks_and_pings_are_answered() {
    let mut session = Session::new(play());
    assert_eq!(sent(&session.command("onBWDone", 0.0, |_| {})), ["_checkbw"]);
    for count in 0..3_u32 {
        let reaction = session.command("_onbwcheck", 8.0, |_| {});
        let Action::Send(command) = &reaction.actions[0] else { panic!() };
        assert_eq!(command.timestamp, 22 * count);
        assert_eq!(sent(&reaction), ["_result"]);
    }
    assert_eq!(sent(&session.command("onBWDone", 0.0, |_| {})), [""; 0]);
    assert_eq!(sent(&session.command("ping", 3.0, |_| {})), ["pong"]);
    let reaction = session.receive(MessageType::USER_CONTROL, 0, &unhex("000601020304"));
    assert_eq!(body(&reaction, 0), unhex("000701020304"));
}

#[test]
fn a_pause_is_followed_to_its_end() {
    let mut session = Session::new(play());
    session.state.pausing = pausing::ASKED;
    session.state.pause_timestamp = 900;
    assert_eq!(sent(&session.status("NetStream.Pause.Notify", "status")), ["pause"]);
    assert_eq!(session.state.pausing, pausing::RESUMING);
    assert_eq!(sent(&session.status("NetStream.Pause.Notify", "status")), [""; 0]);
}

#[test]
fn an_empty_server_buffer_pauses_and_resumes_if_that_is_wanted() {
    let event = unhex("001f00000001");
    let mut session = Session::new(play());
    assert!(session.receive(MessageType::USER_CONTROL, 0, &event).actions.is_empty());
    let mut session = Session::new(Profile { buffer_events: true, ..play() });
    assert_eq!(sent(&session.receive(MessageType::USER_CONTROL, 0, &event)), ["pause"]);
    assert_eq!((session.state.pausing, session.state.pause_timestamp), (pausing::ASKED, 4711));
    assert!(session.receive(MessageType::USER_CONTROL, 0, &event).actions.is_empty());
    let end = session.receive(MessageType::USER_CONTROL, 0, &unhex("000100000001"));
    assert_eq!(end.outcome, Outcome::Ended);
    session.state.pausing = pausing::PAUSED;
    assert_eq!(sent(&session.receive(MessageType::USER_CONTROL, 0, &event)), ["pause"]);
    assert_eq!(session.state.pausing, pausing::RESUMING);
}

#[test]
fn media_moves_the_clock_unless_paused() {
    let mut state = State::default();
    state.media_arrived(6, 50);
    assert_eq!((state.media_timestamp, state.media_chunk_stream), (50, 6));
    state.pausing = pausing::RESUMING;
    state.media_arrived(6, 60);
    assert_eq!(state.media_timestamp, 50);
}

#[test]
fn metadata_contains_duration_and_kinds() {
    let mut session = Session::new(play());
    let mut body = Encoder::new();
    body.string(b"onMetaData").begin_object();
    body.named_number(b"duration", 12.5).named_number(b"videocodecid", 7.0).named_number(b"audio", 1.0);
    body.end_object();
    let metadata = body.finish();
    assert_eq!(session.receive(MessageType::DATA, 0, &metadata).outcome, Outcome::Media);
    assert_eq!((session.state.duration, session.state.media_types), (12.5, 1), "`audio` itself is no prefix");
    assert_eq!(session.receive(MessageType::DATA, 0, b"\x02\0\x0aonCuePoint").outcome, Outcome::Handled);
    assert_eq!(session.receive(MessageType::DATA, 0, b"\x07").outcome, Outcome::Handled);

    let mut body = Encoder::new();
    body.string(b"onMetaData").begin_ecma_array(1).named_string(b"duration", b"text").end_object();
    session.receive(MessageType::DATA, 0, &body.finish());
    assert_eq!(session.state.duration, 12.5, "a duration that is no number is ignored");
}

#[test]
fn aggregates_are_searched_for_metadata_and_time() {
    let mut session = Session::new(play());
    let mut metadata = Encoder::new();
    metadata.string(b"onMetaData").begin_ecma_array(1).named_number(b"duration", 3.0).end_object();
    let metadata = metadata.finish();
    let mut aggregate = unhex("12");
    aggregate.extend(&(metadata.len() as u32).to_be_bytes()[1..]);
    aggregate.extend(unhex("00000000000000"));
    aggregate.extend(&metadata);
    aggregate.extend(unhex("00000000"));
    aggregate.extend(unhex("0800000100100002000000aa0000000c"));
    assert_eq!(session.receive(MessageType::AGGREGATE, 9, &aggregate).outcome, Outcome::Media);
    assert_eq!((session.state.duration, session.state.media_timestamp), (3.0, 0x0200_1000));
    session.receive(MessageType::AGGREGATE, 77, &aggregate[..20]);
    assert_eq!(session.state.media_timestamp, 77);
}

#[test]
fn sizes_and_limits_are_taken_over() {
    let mut session = Session::new(play());
    session.receive(MessageType::SET_CHUNK_SIZE, 0, &4096_u32.to_be_bytes());
    session.receive(MessageType::SET_CHUNK_SIZE, 0, &0_u32.to_be_bytes());
    session.receive(MessageType::SET_CHUNK_SIZE, 0, &u32::MAX.to_be_bytes());
    session.receive(MessageType::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, &5000_u32.to_be_bytes());
    session.receive(MessageType::SET_PEER_BANDWIDTH, 0, &unhex("0000177001"));
    let state = session.state;
    assert_eq!((state.in_chunk_size, state.window_size), (4096, 5000));
    assert_eq!((state.peer_bandwidth, state.peer_bandwidth_limit), (6000, 1));
    assert_eq!(*session.receive(MessageType::ABORT, 0, &unhex("00000004")).actions, [Action::Abort(4)]);
}

#[test]
fn short_messages_are_ignored() {
    let mut session = Session::new(Profile { buffer_events: true, ..play() });
    let before = session.state;
    for kind in [1, 2, 3, 4, 5, 6, 0x0F, 0x10, 0x11, 0x12, 0x13, 0x14, 0x77] {
        for body in [&b""[..], b"\0", b"\0\x06", b"\0\x1f\0"] {
            let reaction = session.receive(MessageType(kind), 0, body);
            assert_eq!(reaction, Reaction::new(Outcome::Handled), "type {kind}, {body:?}");
        }
    }
    assert_eq!(session.state, before);
}

#[test]
fn no_prefix_of_a_command_panics() {
    let mut body = Encoder::new();
    body.string(b"onStatus").number(0.0);
    info(&mut body, "NetStream.Play.Start", "status");
    let body = body.finish();
    for kind in [MessageType::COMMAND, MessageType::COMMAND_AMF3, MessageType::DATA] {
        for len in 0..body.len() {
            Session::new(play()).receive(kind, 0, &body[..len]);
        }
    }
}

#[test]
fn acknowledgements_come_in_time_for_both_limits() {
    let due = |state: &mut State, bytes_in| {
        state.bytes_in = bytes_in;
        state.acknowledgement_due().map(|command| command.body)
    };
    let mut state = State { acknowledges: true, ..State::default() };
    assert_eq!(due(&mut state, 250_000), None);
    assert_eq!(due(&mut state, 250_001), Some(250_001_u32.to_be_bytes()));
    assert_eq!(due(&mut state, 500_001), None);
    state.window_size = 1000;
    assert!(due(&mut state, 250_502).is_some(), "within the window acknowledgement size");
    state.peer_bandwidth = 1000;
    assert!(due(&mut state, 250_603).is_some());
    state.acknowledged = u32::MAX - 10;
    assert!(due(&mut state, 500).is_some(), "the count wraps");
    state.postpone_acknowledgement();
    assert!(due(&mut state, 501).is_some(), "one that could not be sent is due again");
    assert!(due(&mut state, 502).is_none());
    state.acknowledges = false;
    assert_eq!(due(&mut state, 900_000), None);
}

#[test]
fn swf_verification_is_answered_if_a_file_is_known() {
    let response = std::array::from_fn(|index| index as u8);
    let known = Profile { swf_verification: Some(&response), ..play() };
    for (request, answers) in [
        ("001a", true),
        ("001a00", true),
        ("001a01", true),
        ("001a80", true),
        ("001aff00000000", true),
        ("001a02", false),
        ("001a7f", false),
        ("1a", false),
    ] {
        let request = unhex(request);
        let reaction = Session::new(known).receive(MessageType::USER_CONTROL, 0, &request);
        let expected = answers.then(|| Command {
            chunk_stream: 2,
            format: 1,
            kind: MessageType::USER_CONTROL,
            timestamp: 0,
            stream_id: 0,
            body: [&[0, 0x1B], &response[..]].concat()[..].into(),
            remember: None,
        });
        let expected: Vec<_> = expected.into_iter().map(Action::Send).collect();
        assert_eq!((reaction.outcome, &reaction.actions[..]), (Outcome::Handled, &expected[..]));
        let reaction = Session::new(play()).receive(MessageType::USER_CONTROL, 0, &request);
        assert_eq!(reaction, Reaction::new(Outcome::Handled));
    }
}

/// The reaction of a session when `connect` is refused with this description.
fn reject(profile: Profile<'_>, description: &str) -> Vec<Action> {
    let mut session = Session::new(profile);
    session.calls.push((b"connect".to_vec(), 1));
    let reaction = session.command("_error", 1.0, |body| {
        body.null().begin_object();
        body.named_string(b"level", b"error").named_string(b"code", b"NetConnection.Connect.Rejected");
        body.named_string(b"description", description.as_bytes()).end_object();
    });
    assert!(session.calls.is_empty());
    reaction.actions.to_vec()
}

#[test]
fn publishers_authenticate_when_a_server_asks() {
    let profile = Profile { user: b"foo", password: b"bar", ..publish() };
    let need_user = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
    let token = b"?authmod=adobe&user=foo".to_vec();
    assert_eq!(reject(profile, need_user), [Action::Authenticate(token)]);

    let named = Profile { app: b"app/inst?authmod=adobe&user=foo", ..profile };
    let challenge = "[ authmod=adobe ] : ?reason=needauth&user=foo&salt=SALT&challenge=CHAL&opaque=OPAQ";
    let actions = reject(named, challenge);
    let [Action::Authenticate(token)] = &actions[..] else { panic!("{actions:?}") };
    assert!(token.starts_with(b"&challenge=BAQEBA==&response="));
    assert!(token.ends_with(b"&opaque=OPAQ"));
}

#[test]
fn refusals_without_a_login_request_close_the_connection() {
    let profile = Profile { user: b"foo", password: b"bar", ..publish() };
    let need_user = "code=403 need auth; authmod=adobe";
    for (profile, description) in [
        (profile, "authmod=adobe : ?reason=authfailed&opaque=x"),
        (profile, "no such application"),
        (Profile { password: b"", ..profile }, need_user),
        (Profile { publish: false, ..profile }, need_user),
        (Profile { app: b"app?authmod=adobe&user=foo", ..profile }, need_user),
    ] {
        assert_eq!(refusal(&reject(profile, description)).description, description);
    }
}

/// A type 17 message: a format byte, then AMF0 in which AMF3 may stand.
fn flex(session: &mut Session<'_>, parts: &[&[u8]]) -> Reaction {
    session.receive(MessageType::COMMAND_AMF3, 0, &[&[0], &parts.concat()[..]].concat())
}

/// AMF0: `_result`, transaction 2.
const RESULT_2: &[u8] = &[2, 0, 7, b'_', b'r', b'e', b's', b'u', b'l', b't', 0, 0x40, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn a_stream_id_may_be_any_number_and_the_command_object_anything() {
    let objects: [&[u8]; 8] = [
        &[0x05],
        &[0x06],
        &[0x11, 0x00],                   // undefined
        &[0x11, 0x01],                   // null
        &[0x11, 0x06, 0x03, b'x'],       // a string
        &[0x11, 0x0A, 0x0B, 0x01, 0x01], // an object
        &[0x11, 0x09, 0x01, 0x01],       // an array
        &[0x10, 0, 1, b'C', 0, 0, 9],    // an object of a class
    ];
    let numbers: [&[u8]; 3] = [
        &[0x11, 0x04, 0x07],
        &[0x11, 0x05, 0x40, 0x1C, 0, 0, 0, 0, 0, 0],
        &[0x00, 0x40, 0x1C, 0, 0, 0, 0, 0, 0],
    ];
    for object in objects {
        for number in numbers {
            let mut session = Session::new(play());
            session.calls.remember(b"createStream", 2);
            let reaction = flex(&mut session, &[RESULT_2, object, number]);
            assert_eq!(sent(&reaction), ["play", "type 4"], "{object:02x?} {number:02x?}");
            assert_eq!(session.state.stream_id, 7);
        }
    }
}

#[test]
fn names_and_transactions_may_be_amf3() {
    let mut session = Session::new(play());
    session.calls.remember(b"createStream", 2);
    let name = [&[0x11, 0x06, 0x0F][..], b"_result"].concat();
    let reaction = flex(&mut session, &[&name, &[0x11, 0x04, 0x02, 0x11, 0x01, 0x11, 0x04, 0x07]]);
    assert_eq!((sent(&reaction).len(), session.state.stream_id), (2, 7));
}

#[test]
fn an_information_object_may_have_any_form() {
    let code = b"NetStream.Publish.Start";
    let start = [2, 0, 8, b'o', b'n', b'S', b't', b'a', b't', b'u', b's', 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    let amf0 = [&[0, 4][..], b"code", &[2, 0, code.len() as u8], code, &[0, 0, 9]].concat();
    let amf3 = [&[0x0B, 0x01, 0x09][..], b"code", &[0x06, 0x2F], code, &[0x01]].concat();
    let keyed = [&[0x01, 0x09][..], b"code", &[0x06, 0x2F], code, &[0x01]].concat();
    let forms: [Vec<u8>; 5] = [
        [&[0x03][..], &amf0].concat(),
        [&[0x08, 0, 0, 0, 1][..], &amf0].concat(),
        [&[0x10, 0, 1, b'C'][..], &amf0].concat(),
        [&[0x11, 0x0A][..], &amf3].concat(),
        [&[0x11, 0x09][..], &keyed].concat(),
    ];
    for form in forms {
        for kind in [MessageType::COMMAND, MessageType::COMMAND_AMF3] {
            let mut session = Session::new(publish());
            let prefix: &[u8] = if kind == MessageType::COMMAND { &[] } else { &[0] };
            session.receive(kind, 0, &[prefix, &start, &form].concat());
            assert!(session.state.playing, "{kind:?} {form:02x?}");
        }
    }
}

/// A status with level "error" and the transaction id of a command.
fn error_status(session: &mut Session<'_>, transaction: f64, code: &str) -> Reaction {
    session.command("onStatus", transaction, |body| info(body, code, "error"))
}

#[test]
fn only_errors_about_the_stream_refuse_it() {
    // Codes that refuse publishers and players, and others: without a command, and with the one that starts the stream.
    let cases = [
        ("NetConnection.Connect.Rejected", true, true),
        ("NetConnection.Connect.AppShutdown", true, true),
        ("NetStream.Publish.BadName", true, false),
        ("NetStream.publish.Unauthorized", true, false),
        ("NetStream.Play.NoSupportedTrackFound", false, true),
        ("NetStream.Play.StreamNotFound", true, true), // as in librtmp
        ("NetStream.Failed", true, true),              // as in librtmp
        ("NetStream.Record.NoAccess", false, false),
        ("NetStream.Record.Failed", false, false),
        ("NetConnection.Call.Failed", false, false),
        ("NetConnection.Call.BadVersion", false, false),
        ("NetStream.Seek.Failed", false, false),
        ("NetStream.Unpublish.Failed", false, false),
        ("NetStream.Access.Denied", false, false),
        ("", false, false),
    ];
    for (code, refuses_publisher, refuses_player) in cases {
        for (profile, refuses) in [(publish(), refuses_publisher), (play(), refuses_player)] {
            let mut session = Session::new(profile);
            session.start();
            let reaction = error_status(&mut session, 0.0, code);
            assert_eq!(!reaction.actions.is_empty(), refuses, "{code}, publishing: {}", profile.publish);
        }
    }
    // A code of the server's own counts if it answers the command that starts the stream, others do not.
    for (code, refuses) in [("NetStream.Access.Denied", true), ("NetStream.Record.NoAccess", false)] {
        let mut session = Session::new(publish());
        session.start();
        let publish = session.calls.iter().find(|call| call.0 == b"publish").unwrap().1;
        assert_eq!(!error_status(&mut session, f64::from(publish), code).actions.is_empty(), refuses);
    }
}

#[test]
fn a_stream_that_runs_is_not_refused() {
    for profile in [publish(), play()] {
        let mut session = Session::new(profile);
        session.start();
        session.state.playing = true;
        session.calls.remember(b"createStream", 40);
        for code in ["NetConnection.Connect.Rejected", "NetStream.Publish.BadName", "NetStream.Play.Denied"] {
            assert_eq!(session.status(code, "error"), Reaction::new(Outcome::Handled), "{code}");
        }
        let reaction =
            session.command("_error", 40.0, |body| info(body, "NetConnection.Call.Failed", "error"));
        assert_eq!(reaction, Reaction::new(Outcome::Handled));
    }
}

#[test]
fn a_refusal_names_where_to_go_instead() {
    let mut session = Session::new(publish());
    session.calls.remember(b"connect", 1);
    let reaction = session.command("_error", 1.0, |body| {
        body.null().begin_object();
        body.named_string(b"level", b"error").named_string(b"code", b"NetConnection.Connect.Rejected");
        body.named_string(b"description", b"moved").raw(b"\0\x02ex\x03");
        body.named_number(b"code", 302.0)
            .named_string(b"redirect", b"rtmp://other/\x1bapp")
            .end_object()
            .end_object();
    });
    let refusal = refusal(&reaction.actions);
    assert_eq!(refusal.redirect, "rtmp://other/\\x1bapp");
    assert_eq!(
        refusal.to_string(),
        "NetConnection.Connect.Rejected: moved; redirected to rtmp://other/\\x1bapp (in answer to connect)"
    );
}

#[test]
fn application_receives_other_messages_of_the_peer() {
    let mut session = Session::new(play());
    session.status("NetStream.Play.Reset", "status");
    let Some(Notice::Status(status)) = session.notice.take() else { panic!("a status is told") };
    assert_eq!((&status.method[..], &status.code[..]), (&b"onStatus"[..], &b"NetStream.Play.Reset"[..]));
    assert_eq!(&status.level[..], b"status");

    session.command("onSomething", 0.0, |_| {});
    let Some(Notice::Command { name, message }) = session.notice.take() else { panic!("a command is told") };
    assert_eq!((&name[..], message.kind), (&b"onSomething"[..], MessageType::COMMAND));
    for known in ["onBWDone", "_onbwcheck", "ping", "close"] {
        session.command(known, 0.0, |_| {});
        assert_eq!(session.notice, None, "{known}");
    }

    let mut cue = Encoder::new();
    cue.string(b"onCuePoint").number(1.0);
    let cue = cue.finish();
    for (kind, body) in [(MessageType::DATA, cue.clone()), (MessageType::DATA_AMF3, [vec![0], cue].concat())]
    {
        session.receive(kind, 0, &body);
        let Some(Notice::Data { name, message }) = session.notice.take() else { panic!("data are told") };
        assert_eq!((&name[..], message.body), (&b"onCuePoint"[..], body));
    }
    for odd in [&b"\x02"[..], b"\x02\0\x09short", b"\0\0\0\0\0\0\0\0\0"] {
        session.receive(MessageType::DATA, 0, odd);
        assert!(matches!(&session.notice, Some(Notice::Data { name, .. }) if name.is_empty()), "{odd:?}");
    }
}
