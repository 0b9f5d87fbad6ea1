//! The Rust column, and the limits with a cipher or TLS: this program, started again.

use std::{
    env, fs,
    io::{self, Read, Write},
    time::Instant,
};

use crate::bare;
use rtmp_core::{Client, message::MessageType};
use rustix::time::{ClockId, clock_gettime};

/// The first argument that makes this program the measured one. The others are those of `driver.c`.
pub const MEASURED: &str = "rust";

/// Does the work if this is the measured program: `rust read|next|write|send URL chunk-size message-size total`, or
/// `rust recv|store|store-live|store-stream rc4|tls PORT message-size total`.
pub fn run_if_asked() -> io::Result<bool> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [MEASURED, work, url, chunk, size, total] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Ok(false);
    };
    if let ("recv" | "store" | "store-live" | "store-stream", cover, port) = (work, url, chunk) {
        let number = |text: &str| text.parse::<u64>().map_err(io::Error::other);
        bare::run(work, cover, port, number(size)? as usize, number(total)?)?;
        return Ok(true);
    }
    let [chunk, size, total] =
        [chunk, size, total].map(|number| number.parse::<u32>().map_err(io::Error::other));
    let (chunk, size, total) = (chunk?, size? as usize, u64::from(total?));
    let client = Client::new(url).map_err(io::Error::other)?;
    match work {
        "read" => read_stream(&client, total),
        "next" => next_messages(&client, total),
        "write" | "send" => publish(&client, chunk, size, total, work == "send"),
        _ => Err(io::Error::other(format!("no work is called {work}"))),
    }?;
    Ok(true)
}

/// As an FLV file.
fn read_stream(client: &Client, total: u64) -> io::Result<()> {
    let mut player = client.play().map_err(io::Error::other)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut read = || match player.read(&mut buffer)? {
        0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        count => Ok(count as u64),
    };
    read()?;
    let measurement = Measurement::start();
    let (mut count, mut messages) = (0, 0);
    while count < total {
        count += read()?;
        messages += 1;
    }
    measurement.report(count, messages)
}

/// As messages.
fn next_messages(client: &Client, total: u64) -> io::Result<()> {
    let mut player = client.play().map_err(io::Error::other)?;
    let measurement = Measurement::start();
    let (mut count, mut messages) = (0, 0);
    while count < total {
        let message = player.next_message().map_err(io::Error::other)?;
        count += message.ok_or(io::ErrorKind::UnexpectedEof)?.body.len() as u64;
        messages += 1;
    }
    measurement.report(count, messages)
}

/// As FLV tags, or as messages.
fn publish(client: &Client, chunk: u32, size: usize, total: u64, as_messages: bool) -> io::Result<()> {
    let mut publisher = client.publish().map_err(io::Error::other)?;
    if chunk != 128 {
        publisher.set_chunk_size(chunk).map_err(io::Error::other)?;
    }
    let mut tag = tag(size);
    let (mut count, mut messages, mut timestamp) = (0, 0, 0_u32);
    let measurement = Measurement::start();
    while count < total {
        timestamp += 40;
        if as_messages {
            publisher.send(MessageType::VIDEO, timestamp, &tag[11..11 + size]).map_err(io::Error::other)?;
        } else {
            let [top, low @ ..] = timestamp.to_be_bytes();
            tag[4..7].copy_from_slice(&low);
            tag[7] = top;
            publisher.write_all(&tag)?;
        }
        count += size as u64;
        messages += 1;
    }
    measurement.report(count, messages)
}

/// An FLV tag of video, with its length behind it.
fn tag(size: usize) -> Vec<u8> {
    let [_, length @ ..] = (size as u32).to_be_bytes();
    let mut tag = vec![9];
    tag.extend(length);
    tag.extend([0; 7]);
    tag.resize(11 + size, 0x55);
    tag[11..13].copy_from_slice(&[0x27, 1]);
    tag.extend((size as u32 + 11).to_be_bytes());
    tag
}

/// The resources used up to a point in time.
pub struct Measurement {
    cpu: f64,
    wall: Instant,
}

impl Measurement {
    /// Starts now.
    pub fn start() -> Self {
        Self { cpu: cpu_seconds(), wall: Instant::now() }
    }

    /// Prints a line in the form of `driver.c`.
    pub fn report(self, count: u64, messages: u64) -> io::Result<()> {
        let (cpu, wall) = (cpu_seconds() - self.cpu, self.wall.elapsed().as_secs_f64());
        let status = fs::read_to_string("/proc/self/status")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<f64>().ok());
        let peak = peak.ok_or(io::ErrorKind::InvalidData)? * 1024.0;
        println!(
            "{{\"cpu\":{cpu},\"wall\":{wall},\"count\":{count},\"messages\":{messages},\"peak\":{peak}}}"
        );
        Ok(())
    }
}

/// User and system time of all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
