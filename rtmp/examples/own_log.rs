//! Passes the library's log on to the program's own log: `cargo run --example own_log -- rtmp://localhost/live/stream`.
//!
//! The library logs through the crate `log`, so any logger for that crate works.

#![forbid(unsafe_code)]

use std::{env, error::Error};

use log::{LevelFilter, Log, Metadata, Record};
use rtmp::Client;

struct OwnLog;

impl Log for OwnLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("rtmp")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            println!("librtmp {}: {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: own_log URL")?;
    log::set_logger(&OwnLog)?;
    log::set_max_level(LevelFilter::Debug);
    Client::new(&url)?.play()?;
    Ok(())
}
