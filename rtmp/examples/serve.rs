//! A server that records what is published: `cargo run --example serve -- 127.0.0.1:1935 recordings`.
//!
//! It prints the address that it listens on, and serves each client in its own thread.

#![forbid(unsafe_code)]

use std::{env, error::Error, fs::File, io::Write, path::Path, thread};

use rtmp::{Request, Server, ServerEvent, ServerSession, message::MessageType};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, folder] = &arguments[..] else { return Err("usage: serve ADDRESS FOLDER".into()) };
    let server = Server::bind(address)?;
    println!("listening on rtmp://{}", server.local_addr()?);
    loop {
        let mut session = server.accept()?;
        let folder = folder.clone();
        thread::spawn(move || {
            if let Err(error) = serve(&mut session, Path::new(&folder)) {
                eprintln!("{}: {error}", session.peer_addr());
            }
        });
    }
}

fn serve(session: &mut ServerSession, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = None;
    while let Some(event) = session.next_event()? {
        match event {
            ServerEvent::Request(Request::Play { .. }) => session.refuse("there is nothing to play")?,
            ServerEvent::Request(Request::Publish { name, .. }) => {
                // A name from a client is never a path.
                let name: String =
                    name.iter().map(|b| if b.is_ascii_alphanumeric() { *b as char } else { '_' }).collect();
                file = Some(start_file(&folder.join(format!("{name}.flv")))?);
                session.accept()?;
            }
            ServerEvent::Request(_) => session.accept()?,
            ServerEvent::Message(message) => {
                if let (Some(file), MessageType::AUDIO | MessageType::VIDEO) = (&mut file, message.kind) {
                    write_tag(file, message.kind, message.timestamp, &message.body)?;
                }
            }
            ServerEvent::StreamClosed { .. } => file = None,
            _ => {}
        }
    }
    Ok(())
}

/// A new FLV file with its header.
fn start_file(path: &Path) -> std::io::Result<File> {
    let mut file = File::create(path)?;
    file.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")?;
    Ok(file)
}

/// A tag: type, length, time, stream 0, the body, and the size of all this.
fn write_tag(file: &mut File, kind: MessageType, timestamp: u32, body: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(body.len()).expect("messages have less than 16 MiB");
    let [_, length @ ..] = length.to_be_bytes();
    let [high, time @ ..] = timestamp.to_be_bytes();
    let mut tag = vec![kind.0];
    tag.extend(length.iter().chain(&time).chain(&[high, 0, 0, 0]).chain(body));
    let size = u32::try_from(tag.len()).expect("messages have less than 16 MiB");
    tag.extend(size.to_be_bytes());
    file.write_all(&tag)
}
