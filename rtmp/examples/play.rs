//! Saves a stream as an FLV file: `cargo run --example play -- rtmp://localhost/live/stream stream.flv`.
//!
//! Options may follow the URL inside the quotes, `"rtmp://… live=1"`. A file name of `-` is standard output.

#![forbid(unsafe_code)]

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Write},
    process::ExitCode,
};

use rtmp::Client;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, file] = &arguments[..] else {
        eprintln!("usage: play URL FILE");
        return ExitCode::from(2);
    };
    match play(url, file) {
        Ok(bytes) => {
            eprintln!("play: {bytes} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("play: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(url: &str, file: &str) -> Result<u64, Box<dyn Error>> {
    let mut player = Client::new(url)?.play()?;
    let mut output: Box<dyn Write> =
        if file == "-" { Box::new(io::stdout()) } else { Box::new(File::create(file)?) };
    // Bytes are written as they arrive, so the file exists even if the stream ends with an error.
    let bytes = io::copy(&mut player, &mut output)?;
    output.flush()?;
    Ok(bytes)
}
