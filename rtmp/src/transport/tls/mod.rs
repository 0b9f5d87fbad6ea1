//! TLS without a socket: trust, and the server's certificates.
//!
//! [`Trust`] says which certificates a client accepts, [`ServerContext`] is the certificate of a server. TLS 1.2 and 1.3 run in
//! [`net::Link`](crate::net::Link). The module knows no RTMP. Certificates that were read for a client are reused for the next
//! ones, and a client resumes its session with a server that it was connected to before, if the server allows that.

#[cfg(feature = "tls")]
mod config;
#[cfg_attr(not(feature = "tls"), path = "absent.rs")]
pub(crate) mod machine;
mod options;
#[cfg(feature = "tls")]
mod refusal;
#[cfg(feature = "tls")]
mod server;
mod trust;
#[cfg(feature = "tls")]
mod verify;

#[cfg(not(feature = "tls"))]
pub use machine::ServerContext;
pub use options::TlsOptions;
#[cfg(feature = "tls")]
pub use server::ServerContext;
pub use trust::{Terms, Trust};

#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::{
    ConfigBuilder, ConfigSide, WantsVerifier, WantsVersions,
    crypto::{CryptoProvider, ring},
};

#[cfg(feature = "tls")]
use crate::error::{Error, Result};

/// The cryptography that TLS uses.
#[cfg(feature = "tls")]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Continues the builder with TLS 1.2 and 1.3.
#[cfg(feature = "tls")]
fn versions<S: ConfigSide>(
    builder: ConfigBuilder<S, WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>> {
    builder.with_safe_default_protocol_versions().map_err(|error| Error::Tls(error.to_string().into()))
}
