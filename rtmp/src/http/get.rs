//! One request over a connection of its own.

use std::time::Duration;

use log::error;

use super::{Outcome, Receiver, exchange::exchange, request, url::Url};
use crate::{
    error::{Error, Result},
    transport::{
        stream::{Stream, TcpStream, TlsStream},
        tls::Trust,
        wait::Patience,
    },
};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Fetches `url` for `receiver`, over https from servers that `trust` admits. A `date` that is not empty asks for a body only if the resource changed since.
///
/// Errors are those of [`Outcome::of_result`], and whatever the receiver returns.
pub fn get(
    url: &[u8],
    date: &[u8],
    trust: &Trust,
    patience: &dyn Patience,
    receiver: &mut dyn Receiver,
) -> Result<Outcome> {
    let url = Url::parse(url)?;
    let request = request::encode(&url, date)?;
    exchange(&mut *connect(&url, trust, patience)?, &request, receiver)
}

fn connect<'a>(url: &Url, trust: &Trust, patience: &'a dyn Patience) -> Result<Box<dyn Stream + 'a>> {
    if url.host.is_empty() {
        return Err(Error::Unresolved("".into()));
    }
    let tcp = TcpStream::connect(&url.host, url.port, CONNECT_TIME, patience)?;
    if !url.secure {
        return Ok(Box::new(tcp));
    }
    let tls =
        TlsStream::connect(tcp, &url.host, trust, CONNECT_TIME).inspect_err(|error| error!("{error}"))?;
    Ok(Box::new(tls))
}
