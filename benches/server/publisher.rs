//! The publisher: video and audio of 2.5 Mbit/s at the pace of a camera. Each message contains its number and the time of its
//! sending.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::wire;

/// Frames in a second, and from one key frame to the next.
const RATE: u64 = 30;
const KEY_INTERVAL: u64 = 60;
/// Bytes of a frame and of a key frame: together with the audio, 2.5 Mbit/s.
const FRAME: usize = 9_200;
const KEY_FRAME: usize = 48_000;
/// Audio frames: 1024 samples of 44,100 a second, 128 kbit/s.
const AUDIO_INTERVAL: Duration = Duration::from_nanos(23_219_955);
const AUDIO: usize = 370;

/// The positions of number and time in a body.
const NUMBER: usize = 8;

/// A thread that publishes until it is dropped.
pub struct Publisher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub fn start(port: u16, origin: Instant) -> io::Result<Self> {
        let mut stream = wire::connect(port)?;
        stream.write_all(&wire::requests(port, "publish"))?;
        wait_for(&mut stream, b"NetStream.Publish.Start")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut reading = stream.try_clone()?;
        // Servers acknowledge. The thread ends with the connection.
        thread::spawn(move || io::copy(&mut reading, &mut io::sink()));
        let thread = thread::spawn(move || {
            // If a server is stopped first, this ends, too.
            let _ = publish(&mut stream, origin, &stopped);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it does not panic");
        }
    }
}

fn wait_for(stream: &mut impl Read, text: &[u8]) -> io::Result<()> {
    let (mut all, mut block) = (Vec::<u8>::new(), [0; 4096]);
    while !all.windows(text.len()).any(|part| part == text) {
        let count = stream.read(&mut block)?;
        if count == 0 {
            return Err(io::Error::other("the server does not take the publisher"));
        }
        all.extend(&block[..count]);
    }
    Ok(())
}

fn publish(stream: &mut impl Write, origin: Instant, stop: &AtomicBool) -> io::Result<()> {
    // Configurations, without a number.
    stream.write_all(&wire::message(6, 0, 9, 1, &[0x17, 0, 0, 0, 0, 1, 100, 0, 31]))?;
    stream.write_all(&wire::message(4, 0, 8, 1, &[0xaf, 0, 0x12, 0x10]))?;
    let begin = Instant::now();
    let (mut frame, mut sound) = (0_u64, 0_u32);
    while !stop.load(Ordering::Relaxed) {
        let video_due = Duration::from_nanos(frame * 1_000_000_000 / RATE);
        let audio_due = AUDIO_INTERVAL * sound;
        let due = video_due.min(audio_due);
        thread::sleep((begin + due).saturating_duration_since(Instant::now()));
        let time = due.as_millis() as u32;
        let now = origin.elapsed().as_nanos() as u64;
        if video_due <= audio_due {
            let is_key = frame % KEY_INTERVAL == 0;
            let mut body = vec![7; if is_key { KEY_FRAME } else { FRAME }];
            body[..5].copy_from_slice(&[if is_key { 0x17 } else { 0x27 }, 1, 0, 0, 0]);
            stamp(&mut body, frame, now);
            stream.write_all(&wire::message(6, time, 9, 1, &body))?;
            frame += 1;
        } else {
            let mut body = vec![7; AUDIO];
            body[..2].copy_from_slice(&[0xaf, 1]);
            stamp(&mut body, u64::from(sound), now);
            stream.write_all(&wire::message(4, time, 8, 1, &body))?;
            sound += 1;
        }
    }
    Ok(())
}

fn stamp(body: &mut [u8], number: u64, now: u64) {
    body[NUMBER..NUMBER + 8].copy_from_slice(&number.to_be_bytes());
    body[NUMBER + 8..NUMBER + 16].copy_from_slice(&now.to_be_bytes());
}

/// Number and time of a message, if it has them.
pub fn stamp_of(body: &[u8]) -> Option<(u64, u64)> {
    let number = u64::from_be_bytes(body.get(NUMBER..NUMBER + 8)?.try_into().ok()?);
    Some((number, u64::from_be_bytes(body.get(NUMBER + 8..NUMBER + 16)?.try_into().ok()?)))
}
