//! One request over a connection of its own.

#![forbid(unsafe_code)]

use std::time::Duration;

use log::error;

use super::{Outcome, Receiver, exchange::exchange, request, url::Url};
use crate::{
    error::{Error, Result},
    transport::{
        stream::{Stream, TcpStream},
        tcp::Interrupted,
    },
};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Fetches `url` for `receiver`. A `date` that is not empty asks for a body only if the resource changed since.
///
/// Errors are those of [`Outcome::of_result`], and whatever the receiver returns.
pub fn get(
    url: &[u8],
    date: &[u8],
    interrupted: Interrupted,
    receiver: &mut dyn Receiver,
) -> Result<Outcome> {
    let url = Url::parse(url)?;
    let request = request::encode(&url, date)?;
    exchange(&mut *connect(&url, interrupted)?, &request, receiver)
}

fn connect(url: &Url, interrupted: Interrupted) -> Result<Box<dyn Stream>> {
    if url.secure {
        error!("https is not available yet");
        return Err(Error::Unsupported("https"));
    }
    if url.host.is_empty() {
        return Err(Error::Unresolved(String::new()));
    }
    Ok(Box::new(TcpStream::connect(&url.host, url.port, CONNECT_TIME, interrupted)?))
}
