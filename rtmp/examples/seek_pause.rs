//! Seeks and pauses in a recorded stream: `cargo run --example seek_pause -- rtmp://localhost/vod/film`.

#![forbid(unsafe_code)]

use std::{env, error::Error, time::Duration};

use rtmp::{Client, Player};

/// Plays until the stream's time has reached `until` milliseconds. Returns where it is.
fn play_until(player: &mut Player, until: u32) -> Result<u32, Box<dyn Error>> {
    while let Some(message) = player.next_message()? {
        if message.timestamp >= until {
            return Ok(message.timestamp);
        }
    }
    Err("the stream has ended".into())
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: seek_pause URL")?;
    // The server sends only a second ahead, so a seek takes effect soon.
    let mut player = Client::new(&url)?.option("buffer", "1000")?.play()?;
    println!("playing at {} ms", play_until(&mut player, 500)?);
    player.seek(Duration::from_secs(6))?; // the server starts at a key frame at or before that time
    let after_seek = play_until(&mut player, 1)?;
    println!("after the seek at {after_seek} ms");
    player.pause()?;
    player.resume()?;
    println!("after the pause at {} ms", play_until(&mut player, after_seek + 500)?);
    Ok(())
}
