//! The variants of RTMP and their names. Knows which layers a variant has, not how they work.

/// A variant of RTMP: a set of bits for the layers below RTMP. The numbers are those of librtmp's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocol(u8);

impl Protocol {
    /// Plain RTMP over TCP.
    pub const RTMP: Self = Self(0);
    /// Tunnelled over HTTP.
    pub const RTMPT: Self = Self(HTTP);
    /// Encrypted by RTMPE.
    pub const RTMPE: Self = Self(ENCRYPTED);
    /// Encrypted by RTMPE and tunnelled over HTTP.
    pub const RTMPTE: Self = Self(HTTP | ENCRYPTED);
    /// Inside TLS.
    pub const RTMPS: Self = Self(TLS);
    /// Tunnelled over HTTPS.
    pub const RTMPTS: Self = Self(HTTP | TLS);
    /// The UDP protocol of Flash, of which only the name is known.
    pub const RTMFP: Self = Self(MFP);

    /// The variant of a URL scheme, which is case-insensitive.
    pub fn from_scheme(scheme: &[u8]) -> Option<Self> {
        NAMES
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(scheme))
            .map(|&(_, protocol)| protocol)
    }

    /// The variant for librtmp's number; bits without a layer are dropped.
    pub const fn from_bits(bits: i32) -> Self {
        Self(bits as u8 & (HTTP | ENCRYPTED | TLS | MFP))
    }

    /// librtmp's number.
    pub const fn bits(self) -> i32 {
        self.0 as i32
    }

    /// Whether bytes are carried in HTTP requests and responses.
    pub const fn is_tunnelled(self) -> bool {
        self.0 & HTTP != 0
    }

    /// Whether RTMPE encrypts the connection.
    pub const fn is_encrypted(self) -> bool {
        self.0 & ENCRYPTED != 0
    }

    /// Whether the connection is inside TLS.
    pub const fn is_tls(self) -> bool {
        self.0 & TLS != 0
    }

    /// The URL scheme; empty for combinations that have none.
    pub fn scheme(self) -> &'static str {
        NAMES.iter().find(|&&(_, protocol)| protocol == self).map_or("", |&(name, _)| name)
    }

    /// The port for a URL without one.
    pub const fn default_port(self) -> u16 {
        if self.is_tls() {
            443
        } else if self.is_tunnelled() {
            80
        } else {
            1935
        }
    }
}

const HTTP: u8 = 0x01;
const ENCRYPTED: u8 = 0x02;
const TLS: u8 = 0x04;
const MFP: u8 = 0x08;

const NAMES: &[(&str, Protocol)] = &[
    ("rtmp", Protocol::RTMP),
    ("rtmpt", Protocol::RTMPT),
    ("rtmpe", Protocol::RTMPE),
    ("rtmpte", Protocol::RTMPTE),
    ("rtmps", Protocol::RTMPS),
    ("rtmpts", Protocol::RTMPTS),
    ("rtmfp", Protocol::RTMFP),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_names_the_variant_that_names_it() {
        for (name, protocol) in NAMES {
            assert_eq!(Protocol::from_scheme(name.to_uppercase().as_bytes()), Some(*protocol));
            assert_eq!(protocol.scheme(), *name);
            assert_eq!(Protocol::from_bits(protocol.bits()), *protocol);
        }
        assert_eq!(Protocol::from_scheme(b"rtm"), None);
        assert_eq!(Protocol::from_scheme(b"rtmpx"), None);
        assert_eq!(Protocol::from_bits(0x06).scheme(), "");
    }

    #[test]
    fn tls_decides_the_port_before_http_does() {
        let ports = [Protocol::RTMP, Protocol::RTMPT, Protocol::RTMPTS, Protocol::RTMPS, Protocol::RTMFP];
        assert_eq!(ports.map(Protocol::default_port), [1935, 80, 443, 443, 1935]);
    }

    #[test]
    fn the_bit_for_publishing_is_not_part_of_the_protocol() {
        assert_eq!(Protocol::from_bits(0x12), Protocol::RTMPE);
    }
}
