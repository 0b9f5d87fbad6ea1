//! One request over its own connection.

use std::time::Duration;

use super::{Outcome, Receiver, exchange::exchange, request, url::Url};
use crate::{
    error::{Error, Result},
    transport::{stream::LinkStream, tls::Trust, wait::Patience},
};

/// The limit for connecting.
const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Fetches `url` for `receiver`; with https, from servers that `trust` accepts. A `date` that is not empty requests the body
/// only if the resource has changed since.
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
    if url.host.is_empty() {
        return Err(Error::Unresolved("".into()));
    }
    let trust = url.secure.then_some(trust);
    let mut stream = LinkStream::connect(&url.host, url.port, trust, CONNECT_TIME, patience)?;
    exchange(&mut stream, &request, receiver)
}
