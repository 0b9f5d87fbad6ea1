//! The messages that a client sends: the table of commands and their arguments.
//!
//! Chunk streams follow Flash Player: 2 for control, 3 for commands of the connection, 8 for playing, 4 for
//! publishing.

use super::{Command, Profile, State};
use crate::{amf::Encoder, message::MessageType};

const CONTROL: u32 = 2;
const CONNECTION: u32 = 3;
const PUBLISHING: u32 = 4;
const PLAYING: u32 = 8;

/// Full header.
const FULL: u8 = 0;
/// Header without message stream id.
const SAME_STREAM: u8 = 1;

/// Capabilities of Flash Player that `connect` announces.
const CAPABILITIES: f64 = 15.0;
/// `videoFunction` of `connect`: the client can seek to any frame.
const CLIENT_SEEK: f64 = 1.0;
/// Milliseconds between the answers to bandwidth checks, for servers that look at their timestamps.
const BANDWIDTH_CHECK_STEP: u32 = 22;
/// Start argument of `play` for a live stream (RTMP 1.0, section 7.2.2.1, in milliseconds here).
const PLAY_LIVE: f64 = -1000.0;

/// Room for `connect` without the application's own values.
const CONNECT_LEN: usize = 256;

/// Sends a command and remembers it until its result arrives.
fn remembered(name: &'static str, transaction: i32, command: Command) -> Command {
    Command { remember: Some((name, transaction)), ..command }
}

fn new(chunk_stream: u32, format: u8, stream_id: u32, body: Encoder) -> Command {
    let (kind, body) = (MessageType::COMMAND, body.into_bytes());
    Command { chunk_stream, format, kind, timestamp: 0, stream_id, body, remember: None }
}

/// The start of every command body: name, transaction id, and the command object that only `connect` has.
fn arguments(name: &str, transaction: f64) -> Encoder {
    let mut body = Encoder::new();
    body.string(name.as_bytes()).number(transaction).null();
    body
}

/// A command of the connection with one string argument, sent without waiting for a result.
pub(super) fn connection_command(state: &mut State, name: &'static str, argument: &[u8]) -> Command {
    let mut body = arguments(name, f64::from(state.next_transaction()));
    body.string(argument);
    new(CONNECTION, SAME_STREAM, 0, body)
}

/// `connect`; `extras` are encoded AMF0 values that follow its command object.
pub fn connect(state: &mut State, profile: &Profile<'_>, extras: &[u8]) -> Command {
    let transaction = state.next_transaction();
    let strings = [profile.app, profile.flash_version, profile.swf_url, profile.tc_url, profile.page_url];
    let mut body =
        Encoder::with_capacity(CONNECT_LEN + extras.len() + strings.map(<[u8]>::len).iter().sum::<usize>());
    body.string(b"connect").number(f64::from(transaction)).begin_object();
    body.named_string(b"app", profile.app);
    if profile.publish {
        body.named_string(b"type", b"nonprivate");
    }
    for (name, value) in
        [("flashVer", profile.flash_version), ("swfUrl", profile.swf_url), ("tcUrl", profile.tc_url)]
    {
        if !value.is_empty() {
            body.named_string(name.as_bytes(), value);
        }
    }
    let video_function = profile.capabilities.and_then(|own| own.video_function).map(f64::from);
    if !profile.publish {
        body.named_boolean(b"fpad", false).named_number(b"capabilities", CAPABILITIES);
        body.named_number(b"audioCodecs", state.audio_codecs)
            .named_number(b"videoCodecs", state.video_codecs);
        body.named_number(b"videoFunction", video_function.unwrap_or(CLIENT_SEEK));
        if !profile.page_url.is_empty() {
            body.named_string(b"pageUrl", profile.page_url);
        }
    } else if let Some(bits) = video_function {
        body.named_number(b"videoFunction", bits);
    }
    if state.object_encoding != 0.0 || state.sends_encoding {
        body.named_number(b"objectEncoding", state.object_encoding);
    }
    if let Some(own) = profile.capabilities {
        own.write_members(&mut body);
    }
    body.end_object();
    if !profile.auth.is_empty() {
        body.boolean(profile.auth_flag).string(profile.auth);
    }
    body.raw(extras);
    remembered("connect", transaction, new(CONNECTION, FULL, 0, body))
}

/// `releaseStream`: asks the server to release an earlier publication of this name.
pub fn release_stream(state: &mut State, profile: &Profile<'_>) -> Command {
    connection_command(state, "releaseStream", profile.stream_name)
}

/// `FCPublish`: announces a publication.
pub fn fc_publish(state: &mut State, profile: &Profile<'_>) -> Command {
    connection_command(state, "FCPublish", profile.stream_name)
}

/// `FCUnpublish`: ends a publication.
pub fn fc_unpublish(state: &mut State, profile: &Profile<'_>) -> Command {
    connection_command(state, "FCUnpublish", profile.stream_name)
}

/// `FCSubscribe`: subscribes to a live stream.
pub fn fc_subscribe(state: &mut State, name: &[u8]) -> Command {
    let command = connection_command(state, "FCSubscribe", name);
    remembered("FCSubscribe", state.transactions, command)
}

/// `NetStream.Authenticate.UsherToken`.
pub fn usher_token(state: &mut State, profile: &Profile<'_>) -> Command {
    connection_command(state, "NetStream.Authenticate.UsherToken", profile.usher_token)
}

/// `secureTokenResponse`: the answer to a SecureToken challenge.
pub fn secure_token_response(answer: &[u8]) -> Command {
    let mut body = arguments("secureTokenResponse", 0.0);
    body.string(answer);
    new(CONNECTION, SAME_STREAM, 0, body)
}

/// `createStream`: asks for a message stream.
pub fn create_stream(state: &mut State) -> Command {
    let transaction = state.next_transaction();
    let body = arguments("createStream", f64::from(transaction));
    remembered("createStream", transaction, new(CONNECTION, SAME_STREAM, 0, body))
}

/// `deleteStream`: gives a message stream back.
pub fn delete_stream(state: &mut State, stream_id: i32) -> Command {
    let mut body = arguments("deleteStream", f64::from(state.next_transaction()));
    body.number(f64::from(stream_id));
    new(CONNECTION, SAME_STREAM, 0, body)
}

/// `_checkbw`: asks the server to measure the bandwidth.
pub fn check_bandwidth(state: &mut State) -> Command {
    let body = arguments("_checkbw", f64::from(state.next_transaction()));
    new(CONNECTION, FULL, 0, body)
}

/// The result of the server's bandwidth check `transaction`.
pub fn bandwidth_result(state: &mut State, transaction: f64) -> Command {
    let mut body = arguments("_result", transaction);
    body.number(f64::from(state.bandwidth_checks));
    let timestamp = bandwidth_timestamp(state);
    state.bandwidth_checks = state.bandwidth_checks.wrapping_add(1);
    Command { timestamp, ..new(CONNECTION, SAME_STREAM, 0, body) }
}

/// `pong`: the answer to the server's `ping` command.
pub fn pong(state: &State, transaction: f64) -> Command {
    let body = arguments("pong", transaction);
    Command { timestamp: bandwidth_timestamp(state), ..new(CONNECTION, SAME_STREAM, 0, body) }
}

fn bandwidth_timestamp(state: &State) -> u32 {
    (state.bandwidth_checks as u32).wrapping_mul(BANDWIDTH_CHECK_STEP)
}

/// `publish`.
pub fn publish(state: &mut State, profile: &Profile<'_>) -> Command {
    let command = publish_on(state, profile.stream_name, state.stream_id);
    remembered("publish", state.transactions, command)
}

/// `publish` on a message stream.
pub(super) fn publish_on(state: &mut State, name: &[u8], stream_id: i32) -> Command {
    let mut body = arguments("publish", f64::from(state.next_transaction()));
    body.string(name).string(b"live");
    new(PUBLISHING, FULL, stream_id as u32, body)
}

/// `play`.
pub fn play(state: &mut State, profile: &Profile<'_>) -> Command {
    let transaction = state.next_transaction();
    let mut body = arguments("play", f64::from(transaction));
    let start = if profile.live { PLAY_LIVE } else { f64::from(profile.start_ms.max(0)) };
    body.string(profile.stream_name).number(start);
    if profile.stop_ms != 0 {
        body.number(f64::from(profile.stop_ms) - f64::from(profile.start_ms));
    }
    remembered("play", transaction, new(PLAYING, FULL, state.stream_id as u32, body))
}

/// `set_playlist` with the one stream that will be played. The array announces three members, as players do that are known to
/// servers.
pub fn set_playlist(state: &State, profile: &Profile<'_>) -> Command {
    let mut body = arguments("set_playlist", 0.0);
    body.begin_ecma_array(3).named_string(b"0", profile.stream_name).end_object();
    remembered("set_playlist", 0, new(PLAYING, FULL, state.stream_id as u32, body))
}

/// `pause`, or with `paused` false the end of the pause, at `time_ms`.
pub fn pause(state: &mut State, paused: bool, time_ms: i32) -> Command {
    let transaction = state.next_transaction();
    let mut body = arguments("pause", f64::from(transaction));
    body.boolean(paused).number(f64::from(time_ms));
    remembered("pause", transaction, new(PLAYING, SAME_STREAM, state.stream_id as u32, body))
}

/// `seek` to `time_ms`.
pub fn seek(state: &mut State, time_ms: i32) -> Command {
    let transaction = state.next_transaction();
    let mut body = arguments("seek", f64::from(transaction));
    body.number(f64::from(time_ms));
    remembered("seek", transaction, new(PLAYING, SAME_STREAM, state.stream_id as u32, body))
}

/// Set Chunk Size: the following chunks have at most this many payload bytes.
pub fn set_chunk_size(size: u32) -> Command {
    control(FULL, MessageType::SET_CHUNK_SIZE, size.to_be_bytes()[..].into())
}

/// Window Acknowledgement Size.
pub fn window_acknowledgement_size(state: &State) -> Command {
    let body = state.window_size.to_be_bytes();
    control(FULL, MessageType::WINDOW_ACKNOWLEDGEMENT_SIZE, body[..].into())
}

/// Set Peer Bandwidth.
pub fn set_peer_bandwidth(state: &State) -> Command {
    let [b0, b1, b2, b3] = state.peer_bandwidth.to_be_bytes();
    let body = [b0, b1, b2, b3, state.peer_bandwidth_limit];
    control(FULL, MessageType::SET_PEER_BANDWIDTH, body[..].into())
}

/// Acknowledgement of `bytes_in` bytes.
pub fn acknowledgement(bytes_in: u32) -> Command<[u8; 4]> {
    control(SAME_STREAM, MessageType::ACKNOWLEDGEMENT, bytes_in.to_be_bytes())
}

/// A user control event and its data.
pub fn user_control(event: u16, data: &[u8]) -> Command {
    let mut body = Encoder::new();
    body.raw(&event.to_be_bytes()).raw(data);
    control(SAME_STREAM, MessageType::USER_CONTROL, body.into_bytes())
}

/// Set Buffer Length for the stream that plays (RTMP 1.0, section 7.1.7).
pub fn set_buffer_length(stream_id: i32, buffer_ms: i32) -> Command {
    let [s0, s1, s2, s3] = stream_id.to_be_bytes();
    let [b0, b1, b2, b3] = buffer_ms.to_be_bytes();
    user_control(3, &[s0, s1, s2, s3, b0, b1, b2, b3])
}

fn control<B>(format: u8, kind: MessageType, body: B) -> Command<B> {
    Command { chunk_stream: CONTROL, format, kind, timestamp: 0, stream_id: 0, body, remember: None }
}
