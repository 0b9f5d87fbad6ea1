//! TLS over a socket that somebody else owns.
//!
//! [`Session`] runs TLS 1.2 or 1.3 as client or server. [`Trust`] says whose certificates a client accepts,
//! [`ServerContext`] is what a server shows. Knows no RTMP. The certificates that were read for a client serve the next
//! ones, too; of a connection nothing is kept, and no session is resumed.
//!
//! ```no_run
//! use std::{net::TcpListener, os::fd::AsFd, time::Duration};
//! use rtmp::transport::{tls::{ServerContext, Session}, wait::Endless};
//!
//! let context = ServerContext::from_files("certificate.pem".as_ref(), "key.pem".as_ref())?;
//! let (socket, _) = TcpListener::bind("localhost:4433")?.accept()?;
//! let session = Session::server(&context)?;
//! session.handshake(socket.as_fd(), Some(Duration::from_secs(10)), &Endless)?;
//! let mut buffer = [0; 4096];
//! let received = session.receive(socket.as_fd(), &mut buffer, &Endless)?;
//! # Ok::<(), rtmp::Error>(())
//! ```

#[cfg(feature = "tls")]
mod config;
#[cfg_attr(not(feature = "tls"), path = "absent.rs")]
pub(crate) mod machine;
mod options;
#[cfg(feature = "tls")]
mod refusal;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod session;
#[cfg(feature = "tls")]
mod socket;
mod trust;
#[cfg(feature = "tls")]
mod verify;

#[cfg(not(feature = "tls"))]
pub use machine::ServerContext;
pub use options::TlsOptions;
#[cfg(feature = "tls")]
pub use server::ServerContext;
#[cfg(feature = "tls")]
pub use session::Session;
#[cfg(feature = "tls")]
pub use socket::TlsSocket;
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

/// Goes on with TLS 1.2 and 1.3.
#[cfg(feature = "tls")]
fn versions<S: ConfigSide>(
    builder: ConfigBuilder<S, WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>> {
    builder.with_safe_default_protocol_versions().map_err(|error| Error::Tls(error.to_string().into()))
}
