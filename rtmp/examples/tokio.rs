//! Plays several streams at a time with tokio:
//! `cargo run --features tokio --example tokio -- rtmp://localhost/live/one rtmp://localhost/live/two`.

#![forbid(unsafe_code)]

use std::env;

use rtmp::Client;

async fn play(url: String) -> rtmp::Result<usize> {
    let mut player = rtmp::tokio::play(&Client::new(&url)?).await?;
    let mut bytes = 0;
    while let Some(message) = player.next_message().await? {
        bytes += message.body.len();
    }
    Ok(bytes)
}

#[tokio::main]
async fn main() -> rtmp::Result<()> {
    let tasks: Vec<_> = env::args().skip(1).map(|url| (url.clone(), tokio::spawn(play(url)))).collect();
    for (url, task) in tasks {
        println!("{url}: {} bytes", task.await.expect("the task does not panic")?);
    }
    Ok(())
}
