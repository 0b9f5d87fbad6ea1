//! The certificate of a server.

use std::{fs, io::BufReader, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

use super::{provider, refusal::plain, versions};
use crate::error::{Cause, Error, Result};

/// A server's certificates and key, for any number of sessions at the same time.
#[derive(Debug, Clone)]
pub struct ServerContext {
    config: Arc<ServerConfig>,
}

impl ServerContext {
    /// Reads a certificate, followed by those that lead to its issuer, and its key (PKCS#8, PKCS#1 or SEC1, not encrypted) from
    /// PEM files, which may be the same file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self> {
        let (certificates, private) = read_identity(certificate, key)?;
        let mut config = versions(ServerConfig::builder_with_provider(provider()))?
            .with_no_client_auth()
            .with_single_cert(certificates, private)
            .map_err(|error| unusable(key, error))?;
        // Clients that use librtmp 2.4 with TLS 1.3 treat a ticket as an error, and no other clients reconnect often enough to
        // benefit from one.
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

/// Reads a certificate, followed by those that lead to its issuer, and its key from PEM files, which may be the same file.
pub(super) fn read_identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let certificates = open(certificate)
        .and_then(|file| CertificateDer::pem_reader_iter(file).collect::<Result<Vec<_>, _>>())
        .map_err(|error| unreadable(certificate, &error))?;
    if certificates.is_empty() {
        return Err(unusable(certificate, "there is no certificate in it"));
    }
    let private = open(key).and_then(PrivateKeyDer::from_pem_reader).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable(key, "there is no unencrypted key in it"),
        error => unreadable(key, &error),
    })?;
    Ok((certificates, private))
}

fn open(path: &Path) -> Result<BufReader<fs::File>, pem::Error> {
    fs::File::open(path).map(BufReader::new).map_err(pem::Error::Io)
}

pub(super) fn unusable(path: &Path, why: impl ToString) -> Error {
    Error::Tls(words(path, why).into())
}

fn unreadable(path: &Path, error: &pem::Error) -> Error {
    let code = match error {
        pem::Error::Io(error) => error.raw_os_error(),
        _ => None,
    };
    Error::Tls(Cause::new(words(path, error), code))
}

fn words(path: &Path, why: impl ToString) -> String {
    format!("cannot use {}: {}", path.display(), plain(&why))
}
