//! Prints the metadata of a stream: `cargo run --example metadata -- rtmp://localhost/vod/film`.

#![forbid(unsafe_code)]

use std::{env, error::Error};

use rtmp::{Client, amf::Value};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).ok_or("usage: metadata URL")?;
    let mut player = Client::new(&url)?.play()?;
    while player.metadata().is_none() && player.next_message()?.is_some() {}
    for property in &player.metadata().ok_or("the stream has no metadata")? {
        let name = String::from_utf8_lossy(property.name);
        match &property.value {
            Value::Number(number) => println!("{name} = {number}"),
            Value::Boolean(flag) => println!("{name} = {flag}"),
            Value::String(text) => println!("{name} = {}", String::from_utf8_lossy(text)),
            _ => {}
        }
    }
    Ok(())
}
