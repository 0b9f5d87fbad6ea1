//! Which channel of multichannel audio is for which speaker: the data of [`Packet::Channels`](super::Packet::Channels).

use super::parse::{Bytes, CUT_OFF};
use crate::error::{Error, Result};

/// The channels of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channels<'a> {
    /// Only their number is known.
    Unspecified {
        /// How many there are.
        count: u8,
    },
    /// They are in the order of the speakers' numbers.
    Native {
        /// How many there are.
        count: u8,
        /// The speakers that have one: [`Speaker::bit`] of each.
        mask: u32,
    },
    /// For each channel the number of its speaker.
    Custom(&'a [u8]),
}

/// A speaker by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker(pub u8);

const UNSPECIFIED: u8 = 0;
const NATIVE: u8 = 1;
const CUSTOM: u8 = 2;

/// The speakers in the order of their numbers.
const NAMES: [&str; 24] = [
    "front left",
    "front right",
    "front center",
    "low frequency",
    "back left",
    "back right",
    "front left center",
    "front right center",
    "back center",
    "side left",
    "side right",
    "top center",
    "top front left",
    "top front center",
    "top front right",
    "top back left",
    "top back center",
    "top back right",
    "low frequency 2",
    "top side left",
    "top side right",
    "bottom front center",
    "bottom front left",
    "bottom front right",
];

impl Speaker {
    /// The channel has no speaker.
    pub const UNUSED: Self = Self(0xFE);
    /// The channel has one that is not known.
    pub const UNKNOWN: Self = Self(0xFF);

    /// The bit in the mask of [`Channels::Native`]; 0 for a number that has none.
    pub const fn bit(self) -> u32 {
        if (self.0 as usize) < NAMES.len() { 1 << self.0 } else { 0 }
    }

    /// What people call it; `None` for a number without a name.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::UNUSED => Some("unused"),
            Self::UNKNOWN => Some("unknown"),
            Self(number) => NAMES.get(usize::from(number)).copied(),
        }
    }
}

impl<'a> Channels<'a> {
    /// Reads the data of a packet. Bytes behind it are ignored.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let mut rest = Bytes(body);
        let (order, count) = (rest.u8()?, rest.u8()?);
        Ok(match order {
            UNSPECIFIED => Self::Unspecified { count },
            NATIVE => Self::Native { count, mask: rest.u32()? },
            CUSTOM => Self::Custom(rest.0.get(..usize::from(count)).ok_or(CUT_OFF)?),
            _ => return Err(Error::malformed("channel configuration", "a reserved order of channels")),
        })
    }

    /// How many channels there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Unspecified { count } | Self::Native { count, .. } => usize::from(*count),
            Self::Custom(speakers) => speakers.len(),
        }
    }

    /// The data of a packet. Fails for more than 255 channels.
    pub fn encode(&self) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Unspecified { count } => vec![UNSPECIFIED, *count],
            Self::Native { count, mask } => [&[NATIVE, *count][..], &mask.to_be_bytes()].concat(),
            Self::Custom(speakers) => {
                let count = u8::try_from(speakers.len()).map_err(|_| Error::TooLarge("channels"))?;
                [&[CUSTOM, count][..], speakers].concat()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_read_and_written() {
        let cases: [(Channels<'_>, &[u8]); 3] = [
            (Channels::Unspecified { count: 2 }, &[0, 2]),
            (Channels::Native { count: 6, mask: 0x3F }, &[1, 6, 0, 0, 0, 0x3F]),
            (Channels::Custom(&[0, 1, 0xFE, 0xFF]), &[2, 4, 0, 1, 0xFE, 0xFF]),
        ];
        for (channels, bytes) in cases {
            assert_eq!(channels.encode().unwrap(), bytes);
            assert_eq!(Channels::parse(bytes).unwrap(), channels);
            assert_eq!(channels.count(), usize::from(bytes[1]));
            for len in 0..bytes.len() {
                assert!(Channels::parse(&bytes[..len]).is_err(), "{channels:?} {len}");
            }
        }
        assert!(Channels::parse(&[3, 0]).is_err());
        assert!(Channels::Custom(&[0; 256]).encode().is_err());
    }

    #[test]
    fn speakers_have_the_numbers_of_the_source() {
        for (number, name) in [
            (0, "front left"),
            (3, "low frequency"),
            (10, "side right"),
            (11, "top center"),
            (18, "low frequency 2"),
            (23, "bottom front right"),
            (0xFE, "unused"),
            (0xFF, "unknown"),
        ] {
            assert_eq!(Speaker(number).name(), Some(name));
        }
        assert_eq!((Speaker(24).name(), Speaker(24).bit(), Speaker::UNKNOWN.bit()), (None, 0, 0));
        assert_eq!((0..6).map(|number| Speaker(number).bit()).sum::<u32>(), 0x3F);
        assert_eq!(Speaker(23).bit(), 0x0080_0000);
    }
}
