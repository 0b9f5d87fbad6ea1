//! Repeats the original library's results for FLV streams without a network: a small chunk reader cuts the recorded server
//! bytes into messages, and the session's reactions to commands are simulated.

use std::collections::VecDeque;

use librtmp_vectors::{Vectors, bytes};
use rtmp_core::amf;
use rtmp_core::flv::{
    self, Call, DATA_TYPE_AUDIO, DATA_TYPE_VIDEO, Ending, FILE_HEADER, Finished, Flags, ReadState, Resume,
    Step, Stream, TagReader, Writer,
};
use rtmp_core::message::MessageType;
use serde_json::Value;

/// The recorded vectors.
mod librtmp_vectors {
    use serde_json::Value;

    pub struct Vectors(Value);

    impl Vectors {
        pub fn load() -> Self {
            let text = include_str!("flv-vectors.json");
            Self(serde_json::from_str(text).expect("the vectors are JSON"))
        }

        pub fn scenarios(&self, kind: &str) -> &[Value] {
            self.0[kind]["scenarios"].as_array().expect("scenarios")
        }
    }

    /// The bytes of a hexadecimal string.
    pub fn bytes(hex: &str) -> Vec<u8> {
        let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
        hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is a number"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is text"))
}

// Writing.

#[test]
fn writes_behave_as_recorded() {
    let vectors = Vectors::load();
    let scenarios = vectors.scenarios("write");
    assert_eq!(scenarios.len(), 31);
    for scenario in scenarios {
        replay_writes(scenario);
    }
}

fn replay_writes(scenario: &Value) {
    let id = text(&scenario["id"]);
    let mut writer = Writer::<Vec<u8>>::default();
    let mut sent = Vec::new();
    let mut returned = Vec::new();
    for (index, entry) in scenario["writes"].as_array().unwrap().iter().enumerate().take(calls(id)) {
        let input = match entry.as_str() {
            Some(hex) => bytes(hex),
            None => vec![0; number(&entry["size_only"]) as usize],
        };
        let result = flv::write(&mut writer, &input, &mut |message| {
            sent.push(owned(&message));
            Ok(())
        });
        returned.push(result.unwrap_or_else(|error| panic!("{id}: {error}")));
        assert_eq!(returned[index], input.len(), "{id}: every byte counts");
        if !scenario["original_crashes"].as_bool().unwrap() && required(id).is_none() {
            check_call(&format!("{id} call {index}"), &scenario["calls"][index], &writer, returned[index]);
        }
    }
    match required(id) {
        Some((returns, messages)) => {
            assert_eq!(returned, returns, "{id}");
            let seen: Vec<_> = sent.iter().map(|message| (message.kind.0, message.body.len())).collect();
            assert_eq!(seen, messages, "{id}");
        }
        None => check_messages(id, &scenario["messages_on_channel_4"], &sent),
    }
}

/// The number of calls of a scenario that are compared: the original drops a few bytes that are not a tag.
fn calls(id: &str) -> usize {
    if ["write-09", "write-10"].contains(&id) { 1 } else { usize::MAX }
}

/// Return values, then types and lengths of the messages.
type Required = (Vec<usize>, Vec<(u8, usize)>);

/// The required results where the original crashes, loses data, counts too few bytes, or marks data that is not metadata.
fn required(id: &str) -> Option<Required> {
    let file = vec![(18, 72), (9, 15), (8, 7), (9, 15), (8, 7), (9, 15), (9, 15), (9, 15)];
    Some(match id {
        "write-03" | "write-04" => (vec![13, 71, 30, 22, 30, 22, 30, 30, 30], file),
        "write-05" => (vec![26, 4, 22], vec![(9, 15), (8, 7)]),
        "write-09" => (vec![5], vec![]),
        "write-10" => (vec![0], vec![]),
        "write-30" => (vec![20, 4, 3, 3], vec![(9, 15)]),
        "write-06" => (vec![11, 19, 22], vec![(9, 15), (8, 7)]),
        "write-11" | "write-12" => (vec![35, 17], vec![(9, 15), (8, 7)]),
        "write-20" => (vec![87], vec![(18, 72)]),
        "write-21" => (vec![39], vec![(9, 15)]),
        "write-22" => (vec![15], vec![]),
        "write-23" => (vec![15, 30], vec![(18, 0), (9, 15)]),
        "write-24" => (vec![16, 30], vec![(18, 1), (9, 15)]),
        "write-25" => (vec![17, 30], vec![(18, 2), (9, 15)]),
        "write-26" => (vec![29, 28, 27, 30], vec![(9, 15); 4]),
        "write-27" => (vec![56, 30], vec![(9, 15); 3]),
        _ => return None,
    })
}

fn check_call(what: &str, call: &Value, writer: &Writer<Vec<u8>>, returned: usize) {
    assert_eq!(number(&call["ret"]), returned as i64, "{what}");
    let fields = [
        ("m_packetType", i64::from(writer.kind().0)),
        ("m_nBodySize", i64::from(writer.body_size())),
        ("m_nBytesRead", writer.bytes_read() as i64),
        ("m_nTimeStamp", i64::from(writer.timestamp())),
    ];
    for (name, value) in fields {
        // Calls without an effect were recorded without the fields.
        if let Some(recorded) = call.get(name) {
            assert_eq!(number(recorded), value, "{what}: {name}");
        }
    }
    if let Some(body) = call.get("m_body") {
        assert_eq!(text(body) == "set", writer.body().is_some(), "{what}: m_body");
    }
}

/// A message that was sent, copied to outlive the call.
fn owned(message: &Finished<&[u8]>) -> Finished<Vec<u8>> {
    let Finished { kind, timestamp, format_hint, body } = *message;
    Finished { kind, timestamp, format_hint, body: body.to_vec() }
}

fn check_messages(id: &str, recorded: &Value, sent: &[Finished<Vec<u8>>]) {
    let recorded = recorded.as_array().unwrap();
    assert_eq!(recorded.len(), sent.len(), "{id}");
    let mut timestamp = 0_u32;
    for (message, sent) in recorded.iter().zip(sent) {
        assert_eq!(number(&message["type"]), i64::from(sent.kind.0), "{id}");
        assert_eq!(number(&message["length"]), sent.body.len() as i64, "{id}");
        assert_eq!(bytes(text(&message["body"])), sent.body, "{id}");
        let format = number(&message["fmt"]);
        assert_eq!(format == 0, sent.format_hint == 0, "{id}");
        // Formats 1 and 2 contain the difference from the previous message; format 3 means that there is none.
        let field = wire_timestamp(&bytes(text(&message["header"])), format);
        timestamp = if format == 0 { field } else { timestamp.wrapping_add(field) };
        assert_eq!(timestamp, sent.timestamp, "{id}");
    }
}

/// The timestamp field of a recorded chunk header.
fn wire_timestamp(header: &[u8], format: i64) -> u32 {
    if format == 3 {
        return 0;
    }
    match u32::from_be_bytes([0, header[1], header[2], header[3]]) {
        0xFF_FFFF => u32::from_be_bytes(*header.last_chunk().expect("an extended timestamp")),
        field => field,
    }
}

// Reading.

#[test]
fn reads_behave_as_recorded() {
    let vectors = Vectors::load();
    let scenarios = vectors.scenarios("read");
    assert_eq!(scenarios.len(), 64);
    for scenario in scenarios {
        replay_reads(scenario);
    }
}

fn replay_reads(scenario: &Value) {
    let id = text(&scenario["id"]);
    let config = &scenario["config"];
    let initial_frame = config["initialFrame"].as_str().map(bytes).unwrap_or_default();
    let meta_header = config["metaHeader"].as_str().map(bytes).unwrap_or_default();
    // Messages before the position of a resumed download do not count here ("frames-before-the-place" in
    // `docs/src/differences.md`).
    let place = if id == "read-50" { 1 } else { config["nResumeTS"].as_u64().unwrap_or(0) as u32 };
    let mut state = ReadState {
        timestamp: config["m_read.timestamp_preset"].as_u64().unwrap_or(0) as u32,
        resume_timestamp: place,
        resume: Resume {
            initial_frame_type: config["initialFrameType"].as_u64().unwrap_or(0) as u8,
            initial_frame: &initial_frame,
            meta_header: &meta_header,
        },
        ..ReadState::default()
    };
    if config["RTMP_READ_RESUME"] == true {
        state.flags.set(Flags::RESUME);
    }
    if config["SEEKING_flag_preset"] == 1 {
        state.flags.set(Flags::SEEKING);
    }
    let mut session = Session::new(scenario);
    let mut stream = Stream::<Vec<u8>>::default();
    let mut output = Vec::new();
    let room = config["read_size"].as_u64().unwrap_or(65536) as usize;
    for (index, row) in scenario["reads"].as_array().unwrap().iter().enumerate() {
        let what = format!("{id} read {index}");
        if config["RTMP_SendSeek(5000)_before_read_index"] == index {
            state.flags.set(Flags::SEEKING);
            state.resume_timestamp = 0;
        }
        let mut out = vec![0; room];
        let returned = read(&mut stream, &mut state, &mut session, &mut out);
        if returned > 0 {
            output.extend_from_slice(&out[..returned as usize]);
        }
        // The original reads this timestamp from behind an aggregate of five bytes.
        let timestamp = if what == "read-41 read 0" { 10 } else { number(&row[3]) };
        let expected = (number(&row[0]), number(&row[1]), number(&row[2]), timestamp, number(&row[4]));
        let seen = (
            returned,
            i64::from(state.status),
            i64::from(state.flags.0),
            i64::from(state.timestamp),
            i64::from(state.data_type),
        );
        assert_eq!(seen, expected, "{what}: returned, status, flags, timestamp, data type");
        assert_eq!((session.is_open, session.timed_out), (row[6] == 1, row[7] == 1), "{what}");
    }
    assert_eq!(output, bytes(text(&scenario["flv"])), "{id}");
}

/// One read call as a driver makes it.
fn read(
    stream: &mut Stream<Vec<u8>>,
    state: &mut ReadState<'_>,
    session: &mut Session,
    out: &mut [u8],
) -> i64 {
    let mut call = Call::new(out);
    let mut step = stream.begin(&mut call, state);
    loop {
        step = match step {
            Step::NeedMessage => match session.next(state) {
                Ok(Message { kind, timestamp, mut body }) => {
                    stream.message(&mut call, state, kind, timestamp, &mut body, session.live)
                }
                Err(ending) => stream.end(&mut call, state, ending),
            },
            Step::Done(count) => return count as i64,
            Step::Failed => return -1,
        };
    }
}

struct Message {
    kind: MessageType,
    timestamp: u32,
    body: Vec<u8>,
}

/// The part of a playing session that the FLV layer sees.
struct Session {
    messages: VecDeque<Message>,
    live: bool,
    /// The server stops sending instead of closing.
    falls_silent: bool,
    is_open: bool,
    timed_out: bool,
}

impl Session {
    /// A session whose play command was just answered.
    fn new(scenario: &Value) -> Self {
        let sends = scenario["server_sends"].as_array().unwrap();
        let wire: Vec<u8> = sends.iter().filter_map(Value::as_str).flat_map(bytes).collect();
        let mut messages = VecDeque::from(read_chunks(&wire));
        while let Some(message) = messages.pop_front() {
            if status_code(&message).is_some_and(|code| code == b"NetStream.Play.Start") {
                break;
            }
        }
        let timeout = scenario["config"]["timeout_seconds"].as_f64().unwrap_or(2.0);
        let pause = sends.iter().filter_map(|event| event["pause_seconds"].as_f64()).fold(0.0, f64::max);
        Self {
            messages,
            live: scenario["config"]["live"] == true,
            falls_silent: pause > timeout,
            is_open: true,
            timed_out: false,
        }
    }

    /// The next media message.
    fn next(&mut self, state: &mut ReadState<'_>) -> Result<Message, Ending> {
        while let Some(message) = self.messages.pop_front() {
            match message.kind {
                MessageType::COMMAND => match status_code(&message).as_deref() {
                    Some(b"NetStream.Seek.Notify") => state.flags.clear(Flags::SEEKING),
                    Some(code) => return Err(self.close(state, ending_of(code))),
                    None => {}
                },
                _ if message.body.is_empty() => {}
                MessageType::AUDIO | MessageType::VIDEO | MessageType::AGGREGATE => return Ok(message),
                MessageType::DATA => {
                    if let Some(data_type) = metadata_data_type(&message.body) {
                        state.data_type |= data_type;
                        return Ok(message);
                    }
                }
                _ => {}
            }
        }
        if self.falls_silent {
            self.timed_out = true;
            return Err(Ending::Eof);
        }
        Err(self.close(state, Ending::Eof))
    }

    /// What closing resets.
    fn close(&mut self, state: &mut ReadState<'_>, ending: Ending) -> Ending {
        self.is_open = false;
        state.status = 0;
        state.flags = Flags::default();
        state.data_type = 0;
        state.resume_timestamp = 0;
        state.ignored_frames = 0;
        state.ignored_flv_frames = 0;
        ending
    }
}

/// How a status code ends the stream.
fn ending_of(code: &[u8]) -> Ending {
    match code {
        b"NetStream.Play.Complete" | b"NetStream.Play.Stop" | b"NetStream.Play.UnpublishNotify" => {
            Ending::Complete
        }
        b"NetStream.Play.StreamNotFound" => Ending::Eof,
        _ => panic!("unexpected status {}", String::from_utf8_lossy(code)),
    }
}

/// The code of an `onStatus` command.
fn status_code(message: &Message) -> Option<Vec<u8>> {
    if message.kind != MessageType::COMMAND {
        return None;
    }
    let values = amf::decode(&message.body).expect("commands decode");
    if values.get(0)?.value.as_string()? != b"onStatus" {
        return None;
    }
    Some(values.get(3)?.value.as_object()?.find(b"code")?.as_string()?.to_vec())
}

/// The kinds of media that metadata announces; `None` if the body is not metadata.
fn metadata_data_type(body: &[u8]) -> Option<u8> {
    let values = amf::decode(body).ok()?;
    if values.get(0)?.value.as_string()? != b"onMetaData" {
        return None;
    }
    let video = if values.has_prefix_property(b"video") { DATA_TYPE_VIDEO } else { 0 };
    let audio = if values.has_prefix_property(b"audio") { DATA_TYPE_AUDIO } else { 0 };
    Some(video | audio)
}

/// Cuts the recorded bytes into messages. Every message begins with format 0, and none are interleaved.
fn read_chunks(mut wire: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut chunk_size = 128;
    while let Some((&[basic, t0, t1, t2, l0, l1, l2, kind, _, _, _, _], rest)) = wire.split_first_chunk() {
        assert_eq!(basic & 0xC0, 0, "a message begins with format 0");
        wire = rest;
        let field = u32::from_be_bytes([0, t0, t1, t2]);
        let is_extended = field == 0xFF_FFFF;
        let timestamp =
            if is_extended { u32::from_be_bytes(take(&mut wire, 4).try_into().unwrap()) } else { field };
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let mut body = Vec::new();
        loop {
            let count = chunk_size.min(length - body.len());
            body.extend_from_slice(take(&mut wire, count));
            if body.len() == length {
                break;
            }
            assert_eq!(take(&mut wire, 1), [basic | 0xC0]);
            take(&mut wire, if is_extended { 4 } else { 0 });
        }
        let kind = MessageType(kind);
        if kind == MessageType::SET_CHUNK_SIZE {
            chunk_size = u32::from_be_bytes(body[..].try_into().unwrap()) as usize;
        }
        messages.push(Message { kind, timestamp, body });
    }
    assert!(wire.is_empty(), "{} bytes are not chunks", wire.len());
    messages
}

fn take<'a>(wire: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = wire.split_at(count);
    *wire = rest;
    taken
}

// Both.

#[test]
fn parsed_channels_can_be_written_again() {
    let vectors = Vectors::load();
    let mut tags_seen = 0;
    for scenario in vectors.scenarios("read") {
        let file = bytes(text(&scenario["flv"]));
        // Broken aggregates, and a read that ended in the middle of a tag.
        if ["read-38", "read-40", "read-41", "read-43", "read-64"].contains(&text(&scenario["id"])) {
            continue;
        }
        let mut messages = Vec::new();
        let used = flv::write(&mut Writer::<Vec<u8>>::default(), &file, &mut |message| {
            messages.push(owned(&message));
            Ok(())
        });
        assert_eq!(used.unwrap(), file.len(), "{}", scenario["id"]);

        let mut reader = TagReader::new();
        let mut rest = &file[..];
        let mut tags = Vec::new();
        loop {
            let decoded = reader.next(rest).unwrap();
            rest = &rest[decoded.consumed..];
            let Some(tag) = decoded.tag else { break };
            tags.push(tag);
        }
        assert!(rest.is_empty(), "{}", scenario["id"]);
        assert_eq!(tags.len(), messages.len());
        for (tag, message) in tags.iter().zip(&messages) {
            assert_eq!((tag.header.kind, tag.header.timestamp), (message.kind.0, message.timestamp));
            assert!(message.body.ends_with(tag.body));
        }
        tags_seen += tags.len();
    }
    assert!(tags_seen > 64);
    assert_eq!(FILE_HEADER.len(), 13);
}
