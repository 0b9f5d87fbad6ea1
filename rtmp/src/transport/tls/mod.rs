//! TLS without a socket: whom to trust, and what a server shows.
//!
//! [`Trust`] says whose certificates a client accepts, [`ServerContext`] is what a server shows. TLS 1.2 and 1.3 run in
//! [`net::Link`](crate::net::Link). Knows no RTMP. The certificates that were read for a client serve the next ones, too; of a
//! connection nothing is kept, and no session is resumed.

mod config;
pub(crate) mod machine;
mod options;
mod refusal;
mod server;
mod trust;

pub use options::TlsOptions;
pub use server::ServerContext;
pub use trust::{Terms, Trust};

use std::sync::Arc;

use rustls::{
    ConfigBuilder, ConfigSide, WantsVerifier, WantsVersions,
    crypto::{CryptoProvider, ring},
};

use crate::error::{Error, Result};

/// The cryptography that TLS uses.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Goes on with TLS 1.2 and 1.3.
fn versions<S: ConfigSide>(
    builder: ConfigBuilder<S, WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>> {
    builder.with_safe_default_protocol_versions().map_err(|error| Error::Tls(error.to_string().into()))
}
