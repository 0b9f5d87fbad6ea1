//! Explains why a TLS connection failed.

use rustls::{CertificateError, InvalidMessage, OtherError, PeerIncompatible, pki_types::UnixTime};

use crate::error::Error;

/// How to proceed with a certificate whose issuer is unknown.
pub(super) const REMEDY: &str = "to trust a certificate name its PEM file with the option tlsCA or the environment \
    variable SSL_CERT_FILE, to check nothing set tlsVerify=0 or the environment variable RTMP_TLS_VERIFY=0";

/// How to proceed if another certificate would not help.
const LAST_RESORT: &str =
    "to connect without any check set the option tlsVerify=0 or the environment variable RTMP_TLS_VERIFY=0";

/// The error for the log.
pub(super) fn explain(peer: &str, error: &rustls::Error) -> Error {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Error::Tls(format!("TLS with {peer} failed: {}", failure(error)).into());
    };
    let (why, remedy) = reason(error);
    Error::Tls(format!("the certificate of {peer} is refused: {why}; {remedy}").into())
}

fn failure(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what it sends is not TLS".to_owned()
        }
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "it has neither TLS 1.2 nor TLS 1.3".to_owned(),
        // Our own text, in which keys could look like Rust names.
        rustls::Error::General(text) => text.clone(),
        rustls::Error::AlertReceived(alert) => format!("it refuses, {}", plain(&format!("{alert:?}"))),
        error => plain(error),
    }
}

/// An error without the Rust names of its parts: `UnknownIssuer` becomes "unknown issuer".
pub(super) fn plain(error: &impl ToString) -> String {
    let text = error.to_string();
    let is_name = |word: &str| {
        let inner = word.trim_start_matches(|letter: char| letter.is_uppercase());
        word.starts_with(char::is_uppercase)
            && inner.contains(char::is_uppercase)
            && inner.contains(char::is_lowercase)
    };
    let mut plain = String::with_capacity(text.len() + 8);
    for word in text.split_inclusive(|letter: char| !letter.is_alphanumeric()) {
        if !is_name(word) {
            plain.push_str(word);
            continue;
        }
        for (at, letter) in word.chars().enumerate() {
            if letter.is_uppercase() && at > 0 {
                plain.push(' ');
            }
            plain.extend(letter.to_lowercase());
        }
    }
    plain
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
            let names: Vec<_> = presented.iter().map(|name| presented_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            (format!("wrong name, it is not for {} but for {names}", expected.to_str()), LAST_RESORT)
        }
        CertificateError::UnknownIssuer => ("unknown issuer".to_owned(), REMEDY),
        CertificateError::Other(other) if is_authority(other) => {
            ("unknown issuer, it is self-signed or an authority's own".to_owned(), REMEDY)
        }
        CertificateError::BadSignature => {
            ("unknown issuer, the trusted one of that name did not sign it".to_owned(), REMEDY)
        }
        error => (plain(error), LAST_RESORT),
    }
}

/// Whether a certificate was refused because it is that of an authority.
pub(super) fn is_authority(error: &OtherError) -> bool {
    matches!(error.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// A name in a certificate. rustls shows it as `DnsName("host")` and `IpAddress(127.0.0.1)`.
fn presented_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(inner)
}

/// A time span in the largest unit that fits.
fn span(from: UnixTime, to: UnixTime) -> String {
    let seconds = to.as_secs().saturating_sub(from.as_secs());
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "second"));
    let count = seconds / length;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, pki_types::ServerName};

    use super::*;

    fn explained(error: impl Into<rustls::Error>) -> String {
        explain("host", &error.into()).to_string()
    }

    #[test]
    fn errors_have_no_names_of_rust_in_them() {
        for (error, expected) in [
            (InvalidMessage::InvalidContentType.into(), "what it sends is not TLS"),
            (InvalidMessage::MessageTooShort.into(), "received corrupt message of type message too short"),
            (PeerIncompatible::Tls12NotOffered.into(), "it has neither TLS 1.2 nor TLS 1.3"),
            (
                PeerIncompatible::NoCipherSuitesInCommon.into(),
                "peer is incompatible: no cipher suites in common",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "it refuses, handshake failure",
            ),
            (rustls::Error::PeerSentOversizedRecord, "peer sent excess record size"),
        ] {
            assert_eq!(explained(error), format!("TLS with host failed: {expected}"));
        }
        assert!(
            explained(CertificateError::UnhandledCriticalExtension)
                .contains(": unhandled critical extension;")
        );
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_certificate_s_own() {
        let wrong = |presented: &[&str]| {
            let error = CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("host").expect("it is one"),
                presented: presented.iter().map(|name| (*name).to_owned()).collect(),
            };
            let text = explained(error);
            let (_, rest) = text.split_once("wrong name, ").expect("the reason");
            rest.split(';').next().expect("split gives something").to_owned()
        };
        let names = ["DnsName(\"localhost\")", "IpAddress(127.0.0.1)", "DirectoryName"];
        assert_eq!(wrong(&names), "it is not for host but for localhost, 127.0.0.1, DirectoryName");
        assert_eq!(wrong(&[]), "it is not for host but for no name");
    }
}
