//! Prints the tracks of a stream and their codecs: `cargo run --example tracks -- rtmp://localhost/live/stream`.

#![forbid(unsafe_code)]

use std::{env, error::Error};

use rtmp::{
    Client,
    media::{self, Kind},
};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: tracks URL")?;
    let mut player = Client::new(&url)?.play()?;
    while let Some(message) = player.next_message()? {
        let Some(kind) = Kind::of(message.kind) else { continue };
        for track in media::parse(kind, &message.body)?.tracks() {
            let track = track?;
            if track.packet.is_config() {
                println!(
                    "{kind:?} track {}: {:?}, {} bytes of configuration",
                    track.id,
                    track.codec,
                    track.body.len()
                );
            }
        }
    }
    Ok(())
}
