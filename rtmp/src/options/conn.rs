//! The text form of AMF data: `B:1`, `S:text`, `N:1.5`, `Z:`, `O:1`, `O:0`, and with a name `NS:name:text`.
//!
//! Knows one piece at a time; the caller assembles the pieces of an object.

use super::number;
use crate::error::{Error, Result};

/// One piece of AMF data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// A value.
    Scalar {
        /// The name of the value inside its object; values outside objects have no name.
        name: Option<&'a [u8]>,
        /// The value itself.
        value: Scalar<'a>,
    },
    /// The beginning of an object.
    Open {
        /// The name of the object inside the object around it.
        name: Option<&'a [u8]>,
    },
    /// The end of the current object.
    Close,
}

/// A value that is not an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// `N`.
    Number(f64),
    /// `B`: true unless 0.
    Boolean(i32),
    /// `S`.
    String(&'a [u8]),
    /// `Z`.
    Null,
}

impl<'a> Item<'a> {
    /// Reads one piece. The letters are case-sensitive.
    pub fn parse(text: &'a [u8]) -> Result<Self> {
        match text {
            [kind, b':', value @ ..] => Self::unnamed(*kind, value),
            [b'N', kind, b':', rest @ ..] => {
                let Some(colon) = rest.iter().position(|&byte| byte == b':') else {
                    return Err(Error::malformed("conn option", "a named value without a second colon"));
                };
                Self::named(*kind, &rest[..colon], &rest[colon + 1..])
            }
            _ => Err(UNKNOWN_KIND),
        }
    }

    /// The name of any kind of piece.
    pub fn name(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Scalar { name, .. } | Self::Open { name } => name,
            Self::Close => None,
        }
    }

    fn unnamed(kind: u8, text: &'a [u8]) -> Result<Self> {
        match kind {
            b'O' if number::decimal(text) == 0 => Ok(Self::Close),
            b'O' => Ok(Self::Open { name: None }),
            b'Z' => Ok(Self::Scalar { name: None, value: Scalar::Null }),
            _ => Ok(Self::Scalar { name: None, value: Scalar::parse(kind, text)? }),
        }
    }

    fn named(kind: u8, name: &'a [u8], text: &'a [u8]) -> Result<Self> {
        match kind {
            b'O' => Ok(Self::Open { name: Some(name) }),
            _ => Ok(Self::Scalar { name: Some(name), value: Scalar::parse(kind, text)? }),
        }
    }
}

impl<'a> Scalar<'a> {
    fn parse(kind: u8, text: &'a [u8]) -> Result<Self> {
        match kind {
            b'B' => Ok(Self::Boolean(number::decimal(text))),
            b'N' => Ok(Self::Number(number::float(text))),
            b'S' => Ok(Self::String(text)),
            _ => Err(UNKNOWN_KIND),
        }
    }
}

/// Whether a piece should hold a number and does not, or has more text. It is read nevertheless, as C reads numbers.
pub fn is_flawed(text: &[u8]) -> bool {
    let (kind, value) = match text {
        [kind, b':', value @ ..] => (kind, value),
        [b'N', kind, b':', rest @ ..] => {
            let name = rest.iter().position(|&byte| byte == b':').unwrap_or(rest.len());
            (kind, rest.get(name + 1..).unwrap_or_default())
        }
        _ => return false,
    };
    match kind {
        b'B' => number::checked_decimal(value).1.is_some(),
        b'N' => !number::is_float(value),
        _ => false,
    }
}

const UNKNOWN_KIND: Error =
    Error::malformed("conn option", "not one of B, S, N, Z, O, NB, NS, NN, NO and a colon");

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar<'a>(name: Option<&'a str>, value: Scalar<'a>) -> Item<'a> {
        Item::Scalar { name: name.map(str::as_bytes), value }
    }

    #[test]
    fn every_form_is_read() {
        let cases = [
            ("B:5", scalar(None, Scalar::Boolean(5))),
            ("B:", scalar(None, Scalar::Boolean(0))),
            ("S:a:b", scalar(None, Scalar::String(b"a:b"))),
            ("S:", scalar(None, Scalar::String(b""))),
            ("N:1.5x", scalar(None, Scalar::Number(1.5))),
            ("N::1", scalar(None, Scalar::Number(0.0))),
            ("Z:", scalar(None, Scalar::Null)),
            ("O:1", Item::Open { name: None }),
            ("O:-1", Item::Open { name: None }),
            ("O:0", Item::Close),
            ("O:", Item::Close),
            ("NB:a:1", scalar(Some("a"), Scalar::Boolean(1))),
            ("NS:a:b:c", scalar(Some("a"), Scalar::String(b"b:c"))),
            ("NS::x", scalar(Some(""), Scalar::String(b"x"))),
            ("NN:n:2.5", scalar(Some("n"), Scalar::Number(2.5))),
            ("NO:o:0", Item::Open { name: Some(b"o") }),
        ];
        for (text, item) in cases {
            assert_eq!(Item::parse(text.as_bytes()).expect(text), item, "{text}");
        }
    }

    #[test]
    fn values_that_should_be_numbers_are_checked() {
        for text in ["N:abc", "N:1x", "N:", "NN:n:1,5", "B:yes", "NB:b:true", "N:--1"] {
            assert!(is_flawed(text.as_bytes()), "{text}");
        }
        for text in [
            "N:1", "N:-1.5e3", "N:inf", "N:0x1F", "NN:n:2", "B:1", "NB:b:0", "S:x", "NS:s:x", "Z:", "O:1",
            "NO:o:x",
        ] {
            assert!(!is_flawed(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "", "S", "N", "Z", "O", "NB", "NB:", "NB:a", "NZ:a:1", "NX:a:b", "b:1", "BX:1", "N1:5", "NSx:y:z",
        ] {
            assert!(Item::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
