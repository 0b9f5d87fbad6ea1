//! Whose certificates a client accepts.

use std::path::PathBuf;

/// Whom a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Whomever the platform trusts, or the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead.
    Platform,
    /// As `Platform`, without the environment. `Platform` is the same in a process whose environment comes from a user with
    /// fewer rights.
    PlatformOnly,
    /// The certificates in a PEM file and nobody else.
    File(PathBuf),
    /// Anybody: nothing is checked.
    Anyone,
    /// Peers of one of these kinds, under further terms.
    Under(Box<Terms>),
}

/// Terms of a TLS connection besides whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whom to trust.
    pub trust: Trust,
    /// PEM files with the certificate to show to the server, and with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Hashes of public keys (SHA-256 of SubjectPublicKeyInfo), one of which the server's has to have; none accepts any.
    pub pins: Vec<[u8; 32]>,
}

impl Trust {
    /// Whom to trust, without further terms.
    pub fn whom(&self) -> &Self {
        match self {
            Self::Under(terms) => terms.trust.whom(),
            trust => trust,
        }
    }

    /// The certificate to show to the server, and its key.
    #[cfg(feature = "tls")]
    pub(super) fn identity(&self) -> Option<&(PathBuf, PathBuf)> {
        if let Self::Under(terms) = self { terms.identity.as_ref() } else { None }
    }
}
