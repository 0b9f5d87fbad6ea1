//! Messages that have nothing to do with the stream, and that the other end answers or ignores.

use rtmp::{
    amf::Encoder,
    message::MessageType,
    session::{Command, command},
};

use super::{dice::Dice, plan::SERVER};

/// What a server may say to a client at any time without a change to its stream.
const STATUS_CODES: [(&str, &str); 6] = [
    ("NetStream.Play.Reset", "status"),
    ("NetStream.Data.Start", "status"),
    ("NetStream.Record.Failed", "error"),
    ("NetConnection.Call.Failed", "error"),
    ("NetStream.Seek.Notify", "status"),
    ("NetStream.Seek.Failed", "error"),
];

/// Commands that a server sends, and those that a client sends.
const CALLS: [&[&str]; 2] = [
    &["ping", "_checkbw", "getStreamLength", "FCSubscribe", "unheard", ""],
    &["ping", "_onbwcheck", "onBWDone", "_onbwdone", "playlist_ready", "_result", "_error", "unheard", ""],
];

/// Transaction ids that no command of the other end has.
const TRANSACTIONS: [f64; 6] = [1e6, 0.0, -1.0, 1e300, f64::NAN, 1234.5];

/// A message that end `from` sends. If it is `impatient` its limits may be such that everything is acknowledged at once.
pub fn message(dice: &mut Dice, from: usize, impatient: bool) -> Command {
    let word = (dice.roll() as u32).to_be_bytes();
    match dice.below(12) {
        0 | 1 => command::user_control(6, &word),
        2 => command::user_control(dice.pick(&[0, 2, 4, 7, 26, 27, 32, 99]), &word[..dice.up_to(4)]),
        3 => control(MessageType::ACKNOWLEDGEMENT, word.to_vec()),
        4 => limit(dice, MessageType::WINDOW_ACKNOWLEDGEMENT_SIZE, impatient),
        5 => limit(dice, MessageType::SET_PEER_BANDWIDTH, impatient),
        6 => {
            let chunk_stream: u32 = dice.pick(&[2, 3, 4, 5, 6, 8, 64, 320, 70_000]);
            control(MessageType::ABORT, chunk_stream.to_be_bytes().to_vec())
        }
        7 => {
            // Without a body, or with one that is too short to mean anything.
            let kind = MessageType(dice.pick(&[0, 1, 3, 4, 5, 6, 8, 9, 15, 16, 17, 18, 19, 20, 22, 255]));
            let is_media = matches!(kind, MessageType::AUDIO | MessageType::VIDEO | MessageType::AGGREGATE);
            let len = if is_media { 0 } else { dice.below(4) as usize };
            Command { chunk_stream: dice.pick(&[2, 3, 7]), ..control(kind, word[..len].to_vec()) }
        }
        8 => Command { chunk_stream: 3, ..control(MessageType::COMMAND, [&[2][..], &word].concat()) },
        9 if from == SERVER => {
            let (code, level) = dice.pick(&STATUS_CODES);
            status(code, level)
        }
        _ => {
            let mut body = Encoder::new();
            body.string(dice.pick(CALLS[from]).as_bytes()).number(dice.pick(&TRANSACTIONS)).null();
            let kind = dice.pick(&[MessageType::COMMAND, MessageType::COMMAND, MessageType::COMMAND_AMF3]);
            let body = body.finish();
            let body = if kind == MessageType::COMMAND { body } else { [&[0], &body[..]].concat() };
            Command { chunk_stream: 3, ..control(kind, body) }
        }
    }
}

/// A status message about the stream of a client.
pub fn status(code: &str, level: &str) -> Command {
    let mut body = Encoder::new();
    body.string(b"onStatus").number(0.0).null().begin_object();
    body.named_string(b"level", level.as_bytes()).named_string(b"code", code.as_bytes()).end_object();
    Command { chunk_stream: 5, ..control(MessageType::COMMAND, body.finish()) }
}

/// A command without arguments.
pub fn call(name: &str) -> Command {
    let mut body = Encoder::new();
    body.string(name.as_bytes()).number(0.0).null();
    Command { chunk_stream: 3, ..control(MessageType::COMMAND, body.finish()) }
}

fn limit(dice: &mut Dice, kind: MessageType, impatient: bool) -> Command {
    let bytes: u32 = match impatient {
        true => dice.pick(&[0, 1, 10, 100, 1000, 100_000, u32::MAX]),
        false => dice.pick(&[1000, 100_000, 2_500_000, 0x7FFF_FFFF]),
    };
    control(kind, [&bytes.to_be_bytes()[..], &[2]].concat())
}

fn control(kind: MessageType, body: Vec<u8>) -> Command {
    let body = body[..].into();
    Command { chunk_stream: 2, format: 1, kind, timestamp: 0, stream_id: 0, body, remember: None }
}
