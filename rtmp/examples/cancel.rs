//! Ends a call from another thread: `cargo run --example cancel -- rtmp://localhost/live/stream`.

#![forbid(unsafe_code)]

use std::{env, error::Error, thread, time::Duration};

use rtmp::Client;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: cancel URL")?;
    // Long: the other thread ends the waits.
    let client = Client::new(&url)?.timeout(Duration::from_secs(60));
    let handle = client.abort_handle();
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(1));
        handle.abort(); // from any thread, at any time
    });
    let result = client.play().and_then(|mut player| {
        while player.next_message()?.is_some() {}
        Ok(())
    });
    match result {
        Err(rtmp::Error::Interrupted) => println!("cancelled"),
        other => other?,
    }
    Ok(())
}
