//! Publishes an FLV file: `cargo run --example publish -- film.flv rtmp://localhost/live/stream`.
//!
//! Messages are sent at the times of their timestamps, as a camera would.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use rtmp::{Client, flv::TagReader, message::MessageType};

/// This string tells a server to keep the metadata that follows it for later players.
const SET_DATA_FRAME: &[u8] = b"@setDataFrame";

/// The beginning of metadata, as AMF0.
const METADATA: &[u8] = b"\x02\0\x0AonMetaData";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [file, url] = &arguments[..] else {
        eprintln!("usage: publish FILE URL");
        return ExitCode::from(2);
    };
    match publish(file, url) {
        Ok(messages) => {
            eprintln!("publish: {messages} messages");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("publish: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(file: &str, url: &str) -> Result<u32, Box<dyn Error>> {
    let file = fs::read(file)?;
    let mut publisher = Client::new(url)?.publish()?;
    publisher.set_chunk_size(4096)?;
    let mut begin = None;
    let (mut reader, mut rest, mut messages) = (TagReader::new(), &file[..], 0);
    loop {
        let decoded = reader.next(rest)?;
        rest = &rest[decoded.consumed..];
        let Some(tag) = decoded.tag else { break };
        let due = Duration::from_millis(tag.header.timestamp.into());
        if !due.is_zero() {
            // Recordings of live streams may begin late.
            let (start, first) = *begin.get_or_insert_with(|| (Instant::now(), due));
            thread::sleep(due.saturating_sub(first).saturating_sub(start.elapsed()));
        }
        match MessageType(tag.header.kind) {
            MessageType::DATA if tag.body.starts_with(METADATA) => {
                let mut body = rtmp::amf::Encoder::new();
                body.string(SET_DATA_FRAME).raw(tag.body);
                publisher.send(MessageType::DATA, tag.header.timestamp, &body.finish())?;
            }
            kind => publisher.send(kind, tag.header.timestamp, tag.body)?,
        }
        messages += 1;
    }
    publisher.finish()?;
    Ok(messages)
}
