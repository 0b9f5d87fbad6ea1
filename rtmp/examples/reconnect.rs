//! Records a live stream and connects again when the connection is lost:
//! `cargo run --example reconnect -- rtmp://localhost/live/stream recording 10`.
//!
//! Each connection gets a file of its own, `recording.1.flv`, `recording.2.flv` and so on: FLV files cannot simply be joined.

#![forbid(unsafe_code)]

use std::{env, fs, io, process::ExitCode, thread, time::Duration};

use rtmp::{Client, Error};

/// Whether another attempt can help.
fn is_temporary(error: &Error) -> bool {
    matches!(
        error,
        Error::Closed
            | Error::TimedOut
            | Error::Io(_)
            | Error::Unresolved(_)
            | Error::Unreachable(_)
            | Error::Refused(_)
    )
}

/// The result of `io::copy` as the library's error.
fn from_io(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Io(error),
    }
}

/// Records until the stream ends. `bytes` counts the written bytes, also after a failure.
fn record(client: &Client, name: &str, bytes: &mut u64) -> Result<(), Error> {
    let mut player = client.play()?;
    let result = io::copy(&mut player, &mut fs::File::create(name).map_err(Error::Io)?).map_err(from_io);
    *bytes = fs::metadata(name).map_or(0, |data| data.len());
    result.map(|_| ())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, file, attempts] = &arguments[..] else {
        eprintln!("usage: reconnect URL FILE ATTEMPTS");
        return ExitCode::from(2);
    };
    let client = match Client::new(url) {
        Ok(client) => client.live(true).timeout(Duration::from_secs(10)),
        Err(error) => {
            eprintln!("reconnect: {error}");
            return ExitCode::from(2);
        }
    };
    let mut wait = Duration::from_secs(1);
    let attempts = attempts.parse().unwrap_or(1);
    for attempt in 1..=attempts {
        let mut bytes = 0;
        match record(&client, &format!("{file}.{attempt}.flv"), &mut bytes) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("reconnect: {error}");
                if !is_temporary(&error) {
                    break;
                }
            }
        }
        if bytes > 0 {
            wait = Duration::from_secs(1); // it worked for a while: start with short waits again
        }
        if attempt < attempts {
            eprintln!("reconnect: next attempt in {} s", wait.as_secs());
            thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_secs(30));
        }
    }
    ExitCode::FAILURE
}
