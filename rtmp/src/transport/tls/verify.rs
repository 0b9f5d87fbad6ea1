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
    crypto::{verify_tls12_signature, verify_tls13_signature},
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
        let found = match self {
            Self::Under(terms) if terms.pins.is_empty() => return terms.trust.verifier(),
            Self::Under(terms) => {
                let (inner, pins) = (terms.trust.verifier()?, terms.pins.clone());
                return Ok(Arc::new(Pinned { inner, pins }));
            }
            Self::Anyone => return Ok(Arc::new(AcceptAnyone)),
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
        Ok(Arc::new(Verifier { webpki, trusted: found.certs }))
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

/// Checks chain, dates, purpose and name.
#[derive(Debug)]
struct Verifier {
    webpki: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
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
        let result =
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            // Most self-signed certificates are marked as certificates of an authority, which a server must not have. If
            // exactly this certificate is trusted, it is accepted. The dates were checked before that.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(other)))
                if is_authority(&other) && self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Accepts only servers with certain keys, whatever else is checked.
#[derive(Debug)]
struct Pinned {
    inner: Arc<dyn ServerCertVerifier>,
    pins: Vec<[u8; 32]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let accepted =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let pin: [u8; 32] = Sha256::digest(&key).into();
        if self.pins.contains(&pin) {
            return Ok(accepted);
        }
        let pin = base64::engine::general_purpose::STANDARD.encode(pin);
        Err(rustls::Error::General(format!("its key is sha256//{pin}, which tlsPin does not name")))
    }

    // A key counts only if the server has its private key: signatures are verified even if nothing else is.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Verifies nothing. A signature by an arbitrary key would prove nothing either, and old certificates that rustls cannot read
/// are accepted in this way.
#[derive(Debug)]
struct AcceptAnyone;

impl ServerCertVerifier for AcceptAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
