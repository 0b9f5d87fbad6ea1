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

mod config;
pub(crate) mod machine;
mod options;
mod refusal;
mod server;
mod session;
mod socket;
mod trust;

pub use options::TlsOptions;
pub use server::ServerContext;
pub use session::Session;
pub use socket::TlsSocket;
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
