//! Verifies the certificates of servers.

use std::{path::Path, sync::Arc};

use base64::Engine as _;
use log::{debug, warn};
use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use sha2::{Digest, Sha256};

use super::{
    Trust, provider,
    refusal::{REMEDY, is_authority},
};
use crate::{
    environment,
    error::{Error, Result},
};

/// The environment variables that name a file with trusted certificates, and directories of such files.
pub(super) const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

impl Trust {
    pub(super) fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>> {
        let pins = if let Self::Under(terms) = self { terms.pins.clone() } else { Vec::new() };
        let algorithms = provider().signature_verification_algorithms;
        Ok(Arc::new(Verifier { issuers: self.issuers()?, pins, algorithms }))
    }

    /// The certificates that may issue those of servers; `None` if any server is trusted.
    fn issuers(&self) -> Result<Option<Issuers>> {
        let found = match self {
            Self::Under(terms) => return terms.trust.issuers(),
            Self::Anyone => return Ok(None),
            Self::Platform if !environment::is_ignored() => load_native_certs(),
            Self::Platform | Self::PlatformOnly => load_fixed_places(),
            Self::File(path) => load_certs_from_paths(Some(path), None),
        };
        let mut roots = RootCertStore::empty();
        let (added, unusable) = roots.add_parsable_certificates(found.certs.iter().cloned());
        debug!("TLS: {added} trusted certificates, {unusable} cannot be used");
        for error in &found.errors {
            warn!("TLS: trusted certificates: {error}");
        }
        if added == 0 {
            let words = match self {
                Self::File(path) => {
                    format!("there is no certificate in {}, which tlsCA names", path.display())
                }
                _ => format!("no trusted certificates were found on this system; {REMEDY}"),
            };
            return Err(Error::Tls(words.into()));
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| Error::Tls(error.to_string().into()))?;
        Ok(Some(Issuers { webpki, trusted: found.certs }))
    }
}

/// Reads certificates from their usual places, for a process that must not trust its environment.
fn load_fixed_places() -> CertificateResult {
    // The platform's function would trust them.
    if !VARIABLES.into_iter().any(environment::is_set) {
        return load_native_certs();
    }
    let directories = ["/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/certs/CA", "/etc/openssl/certs"];
    let files = ["/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/usr/local/etc/ssl/cert.pem"];
    let directory = directories.iter().map(Path::new).find(|path| path.is_dir());
    let file = files.iter().map(Path::new).find(|path| path.is_file());
    load_certs_from_paths(file, directory)
}

/// Trusted certificates.
#[derive(Debug)]
struct Issuers {
    webpki: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

/// Checks chain, dates, purpose and name if there are trusted certificates, and the key if there are pins. Without either, it
/// verifies nothing: a signature by an arbitrary key would prove nothing, and old certificates that rustls cannot read are
/// accepted in this way.
#[derive(Debug)]
struct Verifier {
    issuers: Option<Issuers>,
    pins: Vec<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    /// Whether anyone is accepted. A pinned key counts only if the server has its private key, so pins need signatures.
    fn accepts_anyone(&self) -> bool {
        self.issuers.is_none() && self.pins.is_empty()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(Issuers { webpki, trusted }) = &self.issuers {
            match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                // Most self-signed certificates are marked as certificates of an authority, which a server must not have. If
                // exactly this certificate is trusted, it is accepted. The dates were checked before that.
                Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                    if is_authority(&other) && trusted.iter().any(|trusted| trusted == end_entity) =>
                {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                result => {
                    result?;
                }
            }
        }
        if !self.pins.is_empty() {
            let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
            let pin: [u8; 32] = Sha256::digest(&key).into();
            if !self.pins.contains(&pin) {
                let pin = base64::engine::general_purpose::STANDARD.encode(pin);
                let words = format!("its key is sha256//{pin}, which tlsPin does not name");
                return Err(rustls::Error::General(words));
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.accepts_anyone() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.accepts_anyone() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
