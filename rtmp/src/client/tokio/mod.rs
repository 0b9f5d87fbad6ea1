//! Playing, publishing and serving with the runtime tokio: [`play`], [`publish`] and [`Server`]. It needs the Cargo
//! feature `tokio`.
//!
//! ```no_run
//! # async fn copy() -> rtmp::Result<()> {
//! use rtmp::{Client, tokio};
//!
//! let mut player = tokio::play(&Client::new("rtmp://localhost/live/stream")?.live(true)).await?;
//! let mut publisher = tokio::publish(&Client::new("rtmp://localhost/live/copy")?).await?;
//! while let Some(message) = player.next_message().await? {
//!     publisher.send(message.kind, message.timestamp, &message.body).await?;
//! }
//! publisher.finish().await
//! # }
//! ```
//!
//! Each connection has its own task, which moves its bytes, answers the peer and watches deadlines while the program
//! does something else. The task ends with the connection. It needs a runtime with the drivers for I/O and time.
//!
//! Futures can be dropped at any time: the next future returns the message that a dropped one waited for, and a
//! dropped `send` that waited for room has sent nothing. Dropping a connection ends the stream, sends the queue, and
//! closes the connection in the background, as long as the runtime exists and for at most one timeout.
//!
//! [`Player`] implements `AsyncRead` and [`Publisher`] `AsyncWrite`: the stream as the bytes of an FLV file.

mod front;
mod player;
mod publisher;
mod server;
mod task;

use std::time::Instant;

use ::tokio::task::spawn_blocking;

use self::front::Front;
pub use self::{
    player::Player,
    publisher::Publisher,
    server::{Server, ServerSession},
};
use super::{
    Client,
    stepper::{Stepper, StepperEvent},
};
use crate::error::{Error, Result};

/// Connects and waits until the stream plays.
///
/// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
pub async fn play(client: &Client) -> Result<Player> {
    Ok(Player::new(connect(client, false).await?, &client.settings))
}

/// Connects and waits until the stream can be published.
///
/// If the server refuses, it fails with [`Error::Refused`], which contains the server's code and description.
pub async fn publish(client: &Client) -> Result<Publisher> {
    Ok(Publisher::new(connect(client, true).await?))
}

async fn connect(client: &Client, publish: bool) -> Result<Front> {
    let (settings, abort) = (client.settings.clone(), client.abort.clone());
    let swf = if settings.wants_swf() {
        let settings = settings.clone();
        // This may download a file, and so wait.
        spawn_blocking(move || settings.swf()).await.unwrap_or_default()
    } else {
        None
    };
    let mut stepper = Stepper::connect(&settings, &abort, publish, swf, Instant::now())?;
    if !publish {
        stepper.want_notices();
    }
    let front = task::drive(stepper, abort);
    loop {
        // Each phase has its own deadline.
        match front.next(None).await? {
            StepperEvent::Streaming => return Ok(front),
            StepperEvent::Ended | StepperEvent::Left => return Err(Error::Closed),
            _ => {}
        }
    }
}
