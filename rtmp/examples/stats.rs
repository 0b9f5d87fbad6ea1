//! Publishes a second of sound and prints the numbers of the connection:
//! `cargo run --example stats -- rtmp://localhost/live/stream`.

#![forbid(unsafe_code)]

use std::{env, error::Error, thread, time::Duration};

use rtmp::{Client, message::MessageType};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: stats URL")?;
    let mut publisher = Client::new(&url)?.publish()?;
    let phases = publisher.stats().phases;
    println!("connected: TCP {:?}, handshake {:?}, stream {:?}", phases.tcp, phases.handshake, phases.stream);
    let mut last = publisher.stats().bytes_out;
    for time in (0..1000).step_by(20) {
        publisher.send(MessageType::AUDIO, time, &[0xAF; 400])?;
        thread::sleep(Duration::from_millis(20));
        if time % 240 == 0 {
            let stats = publisher.stats();
            // If queued and unsent bytes grow, the network is slower than the encoder.
            println!(
                "{} bytes out, {} queued, {} unsent, blocked for {:?}, round trip {:?}",
                stats.bytes_out - last,
                stats.queued,
                stats.unsent,
                stats.blocked,
                stats.round_trip
            );
            last = stats.bytes_out;
        }
    }
    publisher.finish()?;
    Ok(())
}
