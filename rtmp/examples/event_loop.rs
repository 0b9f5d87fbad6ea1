//! Plays several streams on one thread, without waiting in any call:
//! `cargo run --example event_loop -- rtmp://localhost/live/one rtmp://localhost/live/two`.

#![forbid(unsafe_code)]

use std::{env, process::ExitCode, time::Instant};

use rtmp::{Client, Stepper, StepperEvent, net::wait};

/// A stream, and its progress.
struct Viewer {
    url: String,
    stepper: Stepper,
    bytes: usize,
    failed: bool,
}

impl Viewer {
    /// Handles all events. Returns whether the stream continues.
    fn step(&mut self, now: Instant) -> bool {
        loop {
            match self.stepper.step(now) {
                Ok(Some(StepperEvent::Message(message))) => self.bytes += message.body.len(),
                Ok(Some(StepperEvent::Left)) => return false,
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(error) => {
                    eprintln!("{}: {error}", self.url);
                    self.failed = true;
                    return false;
                }
            }
        }
    }
}

fn main() -> rtmp::Result<ExitCode> {
    let (mut viewers, mut interests, mut failed) = (Vec::new(), Vec::new(), false);
    for url in env::args().skip(1) {
        let stepper = Client::new(&url)?.start_play()?;
        viewers.push(Viewer { url, stepper, bytes: 0, failed: false });
    }
    loop {
        let now = Instant::now();
        viewers.retain_mut(|viewer| {
            let goes_on = viewer.step(now);
            if !goes_on {
                println!("{}: {} bytes", viewer.url, viewer.bytes);
                failed |= viewer.failed;
            }
            goes_on
        });
        if viewers.is_empty() {
            break; // nothing would end the wait
        }
        interests.clear();
        viewers.iter().for_each(|viewer| viewer.stepper.interests(&mut interests));
        wait(&interests, viewers.iter().filter_map(|viewer| viewer.stepper.deadline()).min())?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
