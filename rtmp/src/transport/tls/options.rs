//! The options whose names begin with `tls`, and the trust that they define.

use std::ffi::OsStr;

use base64::Engine as _;

use super::{Terms, Trust};
use crate::{
    error::{Error, Result},
    system,
};

/// A program's trust settings, in options of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// `tlsVerify`: whether certificates are checked; `None` leaves it to the environment.
    pub verify: Option<bool>,
    /// `tlsCA`: a PEM file with the only trusted certificates.
    pub ca_file: Option<Vec<u8>>,
    /// `tlsCert`: a PEM file with the certificate to show to the server.
    pub certificate: Option<Vec<u8>>,
    /// `tlsKey`: a PEM file with its key; the same file if there is none.
    pub key: Option<Vec<u8>>,
    /// `tlsPin`: hashes of the public keys to accept; none accepts any.
    pub pins: Vec<[u8; 32]>,
}

impl TlsOptions {
    /// Sets `tlsVerify`. A word that is neither yes nor no must not disable the verification.
    pub fn set_verify(&mut self, value: &[u8]) -> Result<()> {
        let is_one_of =
            |words: [&str; 4]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
        self.verify = Some(match () {
            () if is_one_of(["1", "on", "yes", "true"]) => true,
            () if is_one_of(["0", "off", "no", "false"]) => false,
            () => return Err(Error::Invalid("tlsVerify is neither 1 nor 0")),
        });
        Ok(())
    }

    /// Sets `tlsPin`: one or several of `sha256//BASE64`, with `;` between.
    pub fn set_pins(&mut self, text: &[u8]) -> Result<()> {
        let pin = |text: &[u8]| {
            let digits = text.strip_prefix(b"sha256//")?;
            base64::engine::general_purpose::STANDARD.decode(digits).ok()?.try_into().ok()
        };
        let pins = text.split(|&byte| byte == b';').map(pin).collect::<Option<Vec<_>>>();
        self.pins = pins.ok_or(Error::Invalid("tlsPin is not sha256// and the hash of a key in base64"))?;
        Ok(())
    }

    /// The trust settings. Options take precedence over the environment, whose variable `RTMP_TLS_VERIFY` is passed in.
    pub fn trust_in(&self, privileged: bool, environment: Option<&OsStr>) -> Trust {
        let trust = self.whom(privileged, environment);
        let path = |bytes: &Vec<u8>| system::path(bytes);
        let identity = self.certificate.as_ref().map(|certificate| {
            (path(certificate), self.key.as_ref().map_or_else(|| path(certificate), path))
        });
        if identity.is_none() && self.pins.is_empty() {
            return trust;
        }
        Trust::Under(Box::new(Terms { trust, identity, pins: self.pins.clone() }))
    }

    /// The trust settings for the certificate of an `https` proxy: the same as for the server, except `tlsPin`, `tlsCert` and
    /// `tlsKey`, which apply to the server only. The environment counts as in [`Self::trust_in`].
    pub fn proxy_trust_in(&self, privileged: bool, environment: Option<&OsStr>) -> Trust {
        self.whom(privileged, environment)
    }

    /// The trusted certificates. Options take precedence over the environment, whose variable `RTMP_TLS_VERIFY` is passed in.
    /// Naming certificates means that they are verified. A privileged process does not trust its environment.
    fn whom(&self, privileged: bool, environment: Option<&OsStr>) -> Trust {
        let environment_says_no = !privileged && environment == Some(OsStr::new("0"));
        match (self.verify, &self.ca_file) {
            (Some(false), _) => Trust::Anyone,
            (_, Some(file)) => Trust::File(system::path(file)),
            (None, None) if environment_says_no => Trust::Anyone,
            (_, None) if privileged => Trust::PlatformOnly,
            (_, None) => Trust::Platform,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Option<&str> = Some("0");

    fn trust(verify: Option<bool>, file: bool, privileged: bool, environment: Option<&str>) -> Trust {
        let options =
            TlsOptions { verify, ca_file: file.then(|| b"ca.pem".to_vec()), ..TlsOptions::default() };
        options.trust_in(privileged, environment.map(OsStr::new))
    }

    #[test]
    fn certificates_are_verified_unless_disabled() {
        assert_eq!(trust(None, false, false, None), Trust::Platform);
        assert_eq!(trust(None, false, false, Some("")), Trust::Platform);
        assert_eq!(trust(None, false, false, Some("1")), Trust::Platform);
        assert_eq!(trust(None, false, false, ZERO), Trust::Anyone);
        assert_eq!(trust(Some(false), false, false, None), Trust::Anyone);
        assert_eq!(trust(Some(false), true, false, None), Trust::Anyone);
    }

    #[test]
    fn options_go_before_the_environment() {
        assert_eq!(trust(Some(true), false, false, ZERO), Trust::Platform);
        assert_eq!(trust(None, true, false, ZERO), Trust::File("ca.pem".into()));
    }

    #[test]
    fn a_process_with_more_rights_ignores_the_environment() {
        assert_eq!(trust(None, false, true, ZERO), Trust::PlatformOnly);
        assert_eq!(trust(Some(true), false, true, ZERO), Trust::PlatformOnly);
        assert_eq!(trust(Some(false), false, true, None), Trust::Anyone);
    }

    #[test]
    fn only_a_clear_no_disables_verification() {
        let mut options = TlsOptions::default();
        for (word, verify) in [("0", false), ("NO", false), ("off", false), ("1", true), ("Yes", true)] {
            options.set_verify(word.as_bytes()).unwrap();
            assert_eq!(options.verify, Some(verify), "{word}");
        }
        for word in ["", "2", "maybe", "nope", " 0"] {
            assert!(options.set_verify(word.as_bytes()).is_err(), "{word}");
            assert_eq!(options.verify, Some(true), "{word}");
        }
    }
}
