//! The parts of the library that a build can leave out, each a Cargo feature. All are on by default.
//!
//! The types and functions of a part that was left out are still there, but they fail with [`Error::Unsupported`].
//!
//! ```
//! use rtmp::{Client, Error, features};
//!
//! let client = Client::new("rtmps://localhost/live/stream");
//! assert_eq!(client.is_ok(), features::TLS.is_built());
//! ```

use crate::{
    error::{Error, Result},
    url::Protocol,
};

/// A part that a build can leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    built: bool,
    missing: &'static str,
}

impl Feature {
    /// Whether the part is in this build.
    pub const fn is_built(self) -> bool {
        self.built
    }

    /// Fails with [`Error::Unsupported`] if the part is not in this build.
    #[inline(always)]
    pub const fn check(self) -> Result<()> {
        if self.built { Ok(()) } else { Err(self.error()) }
    }

    /// The error of calls that need the part.
    pub(crate) const fn error(self) -> Error {
        Error::Unsupported(self.missing)
    }
}

macro_rules! features {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $what:literal;)*) => {
        $($(#[$doc])*
        pub const $constant: Feature = Feature {
            built: cfg!(feature = $name),
            missing: concat!($what, " (this library was built without the feature ", $name, ")"),
        };)*
    };
}

features! {
    /// `tls`: RTMPS, RTMPTS and HTTPS.
    TLS = "tls", "TLS";
    /// `rtmpe`: RTMPE and RTMPTE, as client and server.
    RTMPE = "rtmpe", "RTMPE";
    /// `rtmpt`: RTMPT, RTMPTE and RTMPTS, as client and server.
    RTMPT = "rtmpt", "RTMPT";
    /// `swf`: hashes of SWF files, which the option `swfVfy` needs.
    SWF = "swf", "SWF verification";
    /// `server`: serving clients.
    SERVER = "server", "serving";
}

/// Fails with [`Error::Unsupported`] if a variant of RTMP needs a part that is not in this build.
pub fn check_protocol(protocol: Protocol) -> Result<()> {
    let needed =
        [(protocol.is_tls(), TLS), (protocol.is_encrypted(), RTMPE), (protocol.is_tunnelled(), RTMPT)];
    needed.into_iter().filter(|&(is_needed, _)| is_needed).try_for_each(|(_, feature)| feature.check())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_rtmp_is_in_every_build() {
        assert!(check_protocol(Protocol::RTMP).is_ok());
    }

    #[test]
    fn a_protocol_needs_all_of_its_parts() {
        for (protocol, features) in [
            (Protocol::RTMPS, &[TLS][..]),
            (Protocol::RTMPE, &[RTMPE]),
            (Protocol::RTMPT, &[RTMPT]),
            (Protocol::RTMPTE, &[RTMPE, RTMPT]),
            (Protocol::RTMPTS, &[TLS, RTMPT]),
        ] {
            let all_are_built = features.iter().all(|feature| feature.is_built());
            assert_eq!(check_protocol(protocol).is_ok(), all_are_built, "{protocol:?}");
        }
    }

    #[test]
    fn the_error_names_the_feature() {
        let missing = Feature { built: false, ..TLS };
        let error = missing.check().unwrap_err().to_string();
        assert_eq!(error, "TLS (this library was built without the feature tls) is not supported");
    }
}
