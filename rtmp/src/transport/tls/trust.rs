//! The certificates that a client accepts.

use std::path::PathBuf;

/// The certificates that a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Those that the platform trusts, or that the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead.
    Platform,
    /// As `Platform`, without the environment. `Platform` is the same in a process whose environment comes from a user with
    /// fewer rights.
    PlatformOnly,
    /// Only the certificates in a PEM file.
    File(PathBuf),
    /// Any certificate: nothing is verified.
    Anyone,
    /// One of the above, with further conditions.
    Under(Box<Terms>),
}

/// Conditions of a TLS connection besides the trusted certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The trusted certificates.
    pub trust: Trust,
    /// PEM files with the certificate to show to the server, and with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Hashes of public keys (SHA-256 of SubjectPublicKeyInfo), one of which the server's key must match; an empty list accepts
    /// any.
    pub pins: Vec<[u8; 32]>,
}

impl Trust {
    /// The trusted certificates, without further conditions.
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
