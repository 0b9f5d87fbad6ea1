//! A server's request to connect again, as stored in a session.

use rtmp_core::{error::Result, session::Reconnect, text::Text};

/// A request, with the values that its target depends on.
#[derive(Debug)]
pub(crate) struct Requested {
    request: Reconnect,
    /// The URL of the application at that time.
    current: Vec<u8>,
    is_tls: bool,
    /// The target; empty if it is refused.
    url: Vec<u8>,
}

impl Requested {
    pub(crate) fn new(request: Reconnect, current: &[u8], is_tls: bool) -> Self {
        let url = request.resolve(current, is_tls).unwrap_or_else(|error| {
            log::error!("a reconnect request to {} is refused: {error}", Text(&request.reference));
            Vec::new()
        });
        Self { request, current: current.to_vec(), is_tls, url }
    }

    /// The server's explanation.
    pub(crate) fn description(&self) -> &[u8] {
        &self.request.description
    }

    /// The target, or the reason why it is refused.
    pub(crate) fn url(&self) -> Result<&[u8]> {
        if self.url.is_empty() {
            self.request.resolve(&self.current, self.is_tls)?;
        }
        Ok(&self.url)
    }
}
