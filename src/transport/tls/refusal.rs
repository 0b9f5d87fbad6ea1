//! Why a TLS connection failed, in words that help.

use rustls::{CertificateError, pki_types::UnixTime};

use super::trust::is_authority;
use crate::error::Error;

/// What to do about a certificate whose issuer is unknown.
pub(super) const REMEDY: &str = "to trust a certificate name its PEM file with the option tlsCA or the environment \
    variable SSL_CERT_FILE, to check nothing set tlsVerify=0 or the environment variable RTMP_TLS_VERIFY=0";

/// What to do when another certificate would not help.
const LAST_RESORT: &str =
    "to connect without any check set the option tlsVerify=0 or the environment variable RTMP_TLS_VERIFY=0";

/// The error for the log.
pub(super) fn explain(peer: &str, error: &rustls::Error) -> Error {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Error::Tls(format!("TLS with {peer} failed: {error}").into());
    };
    let (why, remedy) = reason(error);
    Error::Tls(format!("the certificate of {peer} is refused: {why}; {remedy}").into())
}

fn reason(error: &CertificateError) -> (String, &'static str) {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            (format!("it expired {} ago", span(*not_after, *time)), LAST_RESORT)
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let span = span(*time, *not_before);
            (format!("it is not valid yet, for another {span} (is the clock right?)"), LAST_RESORT)
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            (format!("wrong name, it is not for {} but for {names}", expected.to_str()), LAST_RESORT)
        }
        CertificateError::UnknownIssuer => ("unknown issuer".to_owned(), REMEDY),
        CertificateError::Other(other) if is_authority(other) => {
            ("unknown issuer, it is self-signed or an authority's own".to_owned(), REMEDY)
        }
        CertificateError::BadSignature => {
            ("unknown issuer, the trusted one of that name did not sign it".to_owned(), REMEDY)
        }
        error => (error.to_string(), LAST_RESORT),
    }
}

/// A time span in the largest unit that fits.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = seconds / length;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
