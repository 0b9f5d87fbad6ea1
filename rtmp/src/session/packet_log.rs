//! Log lines about messages: at DEBUG the commands that are sent, at TRACE the bytes of every chunk.
//!
//! Programs search the log for librtmp's words, so the words and their order are librtmp's. The log does not show accounts and
//! tokens. Nothing is formatted unless its level is logged.

use std::borrow::Cow;

use log::{Level, debug, error, log_enabled, trace};

use super::{Command, Profile, event};
use crate::{
    amf::{self, Value},
    chunk::{Chunk, Chunks, Decoder, Outgoing},
    error::{Error, system_words},
    message::{Body, MessageType},
    text::{self, NOT_SHOWN, OrNull, Text},
};

/// Logs the subject of one of the session's messages.
pub fn announce<B: AsRef<[u8]>>(command: &Command<B>, profile: &Profile<'_>) {
    if !log_enabled!(Level::Debug) {
        return;
    }
    let body = command.body.as_ref();
    match command.kind {
        MessageType::USER_CONTROL => announce_event(body),
        MessageType::COMMAND => announce_command(body, profile),
        _ => {}
    }
}

fn announce_event(body: &[u8]) {
    let Some(kind) = body.first_chunk().copied().map(u16::from_be_bytes) else { return };
    debug!("sending ctrl. type: 0x{kind:04x}");
    if kind == event::SWF_VERIFICATION_RESPONSE {
        debug!("Sending SWFVerification response: ");
        text::hex_rows(body).for_each(|row| debug!("{row}"));
    }
}

fn announce_command(body: &[u8], profile: &Profile<'_>) {
    let Ok(values) = amf::decode(body) else { return };
    let value = |index| values.get(index).map(|property| &property.value);
    let string = |index| Text(value(index).and_then(Value::as_string).unwrap_or_default());
    match value(0).and_then(Value::as_string) {
        Some(b"play") => {
            let (start, stop) = (profile.start_ms, profile.stop_ms);
            let name = OrNull(value(3).and_then(Value::as_string));
            debug!("SendPlay, seekTime={start}, stopTime={stop}, sending play: {name}");
        }
        Some(b"pause") => {
            let paused = value(3).and_then(Value::as_boolean).unwrap_or_default();
            let time = value(4).and_then(Value::as_number).unwrap_or_default();
            debug!("RTMP_SendPause, {}, pauseTime={time}", u8::from(paused));
        }
        Some(b"FCSubscribe") => debug!("FCSubscribe: {}", string(3)),
        Some(b"NetStream.Authenticate.UsherToken") => debug!("UsherToken: {NOT_SHOWN}"),
        _ => {}
    }
}

/// Logs an encoded message: its chunks, and its command.
pub fn log_sent(descriptor: Option<i32>, message: &Outgoing<'_>, chunks: &Chunks<'_>, profile: &Profile<'_>) {
    log_chunks(descriptor, message, chunks, profile);
    if message.kind == MessageType::COMMAND && log_enabled!(Level::Debug) {
        debug!("Invoking {}", Text(method(message.body)));
    }
}

/// Logs a message that cannot be sent, because there is no connection. Returns the length that its first chunk would have.
pub fn log_unsent(message: &Outgoing<'_>, profile: &Profile<'_>, chunk_size: u32) -> usize {
    let chunks = message.as_asked(chunk_size);
    log_chunks(None, message, &chunks, profile);
    chunks.first_len()
}

/// Logs one of the session's messages that cannot be sent. Returns the length that its first chunk would have.
pub fn log_unsent_command(command: &Command, profile: &Profile<'_>, chunk_size: u32) -> usize {
    announce(command, profile);
    log_unsent(&command.message(), profile, chunk_size)
}

fn log_chunks(descriptor: Option<i32>, message: &Outgoing<'_>, chunks: &Chunks<'_>, profile: &Profile<'_>) {
    if !log_enabled!(Level::Trace) {
        return;
    }
    let body = message.body;
    trace!("RTMP_SendPacket: fd={}, size={}", descriptor.unwrap_or(-1), body.len());
    let is_command = message.kind == MessageType::COMMAND;
    let shown = if is_command { without_secrets(body, profile) } else { Cow::Borrowed(body) };
    chunks.with_body(&shown).pieces().for_each(dump);
    if body.is_empty() {
        dump(body);
    }
}

/// Logs that the session waits for the next chunk.
pub fn log_reading(descriptor: Option<i32>) {
    trace!("RTMP_ReadPacket: fd={}", descriptor.unwrap_or(-1));
}

/// Logs a received chunk.
pub fn log_chunk<B: Body>(chunk: &Chunk<B>, decoder: &Decoder<B>) {
    dump(chunk.header.as_bytes());
    let body = match &chunk.message {
        Some(message) => Some(&message.body),
        None => decoder.unfinished_body(chunk.chunk_stream),
    };
    let body = body.map(AsRef::as_ref).unwrap_or_default();
    let start = body.len().saturating_sub(chunk.payload as usize);
    if chunk.length > 0 {
        dump(&body[start..]);
    }
}

/// Logs why receiving ended.
pub fn log_failed_receive(error: &Error) {
    match error {
        Error::Refused(_) => debug!("ReadN, No valid HTTP response found"),
        Error::Closed | Error::Interrupted => {}
        error => log_receive_error(error),
    }
}

/// Logs the operating system's error from receiving.
pub fn log_receive_error(error: &Error) {
    if let Some(code) = error.system_code() {
        let words = system_words(code);
        debug!("RTMPSockBuf_Fill, recv returned -1. GetSockError(): {code} ({words})");
    }
}

/// Logs why a message was not sent. `first_chunk` is the length of its first chunk, or 0 if it was not encoded.
pub fn log_failed_send(error: &Error, first_chunk: usize) {
    let code = error.system_code().map_or(String::new(), |code| format!(" {code}"));
    let bytes = if first_chunk == 0 { String::new() } else { format!(" ({first_chunk} bytes)") };
    error!("WriteN, RTMP send error{code}{bytes}: {error}");
}

/// Logs a chunk that a program made itself.
pub fn log_sent_chunk(descriptor: Option<i32>, header: &[u8], payload: &[u8]) {
    trace!("RTMP_SendChunk: fd={}, size={}", descriptor.unwrap_or(-1), payload.len());
    dump(header);
    dump(payload);
}

fn dump(bytes: &[u8]) {
    if bytes.is_empty() {
        trace!("");
    }
    text::dump_rows(bytes).for_each(|row| trace!("{row}"));
}

/// The name of a command; empty if it has none.
fn method(body: &[u8]) -> &[u8] {
    let name = || {
        let (len, rest) = body.get(1..)?.split_first_chunk()?;
        rest.get(..usize::from(u16::from_be_bytes(*len)))
    };
    name().unwrap_or_default()
}

/// A command with asterisks in place of tokens, passwords, and answers derived from them.
fn without_secrets<'b>(body: &'b [u8], profile: &Profile<'_>) -> Cow<'b, [u8]> {
    let mut shown = Cow::Borrowed(body);
    for secret in [profile.auth, profile.usher_token, profile.secure_token, profile.password] {
        // The secret as AMF writes a string, so that a short secret does not match other text.
        let Ok(len) = u16::try_from(secret.len()) else { continue };
        if len == 0 {
            continue;
        }
        let string = [&len.to_be_bytes(), secret].concat();
        let mut from = 0;
        while let Some(at) = text::position(&shown[from..], &string) {
            shown.to_mut()[from + at + 2..from + at + string.len()].fill(b'*');
            from += at + string.len();
        }
    }
    if method(body) == b"secureTokenResponse" {
        if let Some((_, answer)) = shown.to_mut().split_at_mut_checked(SECURE_TOKEN_ANSWER) {
            answer.fill(b'*');
        }
    }
    let mut from = 0;
    while let Some(at) = text::position(&shown[from..], text::ANSWER) {
        from += at + text::ANSWER.len();
        let len = shown[from..].iter().take_while(|byte| **byte != b'&' && byte.is_ascii_graphic()).count();
        shown.to_mut()[from..from + len].fill(b'*');
    }
    shown
}

/// The position of the answer in `secureTokenResponse`: after the name, the number, null, and the marker and length of a
/// string.
const SECURE_TOKEN_ANSWER: usize = 3 + "secureTokenResponse".len() + 9 + 1 + 3;
