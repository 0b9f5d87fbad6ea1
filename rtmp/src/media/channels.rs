//! The speakers of the channels of multichannel audio: the data of [`Packet::Channels`](super::Packet::Channels).

use super::parse::{Bytes, CUT_OFF};
use crate::error::{Error, Result};

/// The channels of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channels<'a> {
    /// Only their number is known.
    Unspecified {
        /// The number of channels.
        count: u8,
    },
    /// They are in the order of the speakers' numbers.
    Native {
        /// The number of channels.
        count: u8,
        /// The speakers that have a channel: [`Speaker::bit`] of each.
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
    /// The speaker of the channel is not known.
    pub const UNKNOWN: Self = Self(0xFF);

    /// The bit in the mask of [`Channels::Native`]; 0 for a number that has none.
    pub const fn bit(self) -> u32 {
        if (self.0 as usize) < NAMES.len() { 1 << self.0 } else { 0 }
    }

    /// Its name; `None` for a number without a name.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::UNUSED => Some("unused"),
            Self::UNKNOWN => Some("unknown"),
            Self(number) => NAMES.get(usize::from(number)).copied(),
        }
    }
}

impl<'a> Channels<'a> {
    /// Reads the data of a packet. Bytes after it are ignored.
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

    /// The number of channels.
    pub fn count(&self) -> usize {
        match self {
            Self::Unspecified { count } | Self::Native { count, .. } => usize::from(*count),
            Self::Custom(speakers) => speakers.len(),
        }
    }

    /// The speakers of the channels, in the order of the channels.
    pub fn speakers(&self) -> impl Iterator<Item = Speaker> + use<'a> {
        let this = *self;
        let mut next = 0;
        (0..this.count()).map(move |channel| match this {
            Self::Unspecified { .. } => Speaker::UNKNOWN,
            Self::Custom(speakers) => {
                speakers.get(channel).map_or(Speaker::UNKNOWN, |speaker| Speaker(*speaker))
            }
            Self::Native { mask, .. } => {
                let found = (next..NAMES.len() as u8).find(|number| mask & Speaker(*number).bit() != 0);
                next = found.map_or(u8::MAX, |number| number + 1);
                found.map_or(Speaker::UNKNOWN, Speaker)
            }
        })
    }

    /// The channels for these speakers, by their numbers: native if these ascend.
    pub fn of(speakers: &'a [u8]) -> Result<Self> {
        let count = u8::try_from(speakers.len()).map_err(|_| Error::TooLarge("channels"))?;
        let ascend = speakers.windows(2).all(|pair| pair[0] < pair[1]);
        let mask = speakers.iter().map(|speaker| Speaker(*speaker).bit()).fold(0, |mask, bit| mask | bit);
        Ok(if ascend && mask.count_ones() == u32::from(count) && count > 0 {
            Self::Native { count, mask }
        } else {
            Self::Custom(speakers)
        })
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
    fn channels_have_the_speakers_of_the_mask_in_their_order() {
        let speakers =
            |channels: Channels<'_>| channels.speakers().map(|speaker| speaker.0).collect::<Vec<_>>();
        assert_eq!(speakers(Channels::Native { count: 3, mask: 0b1101 }), [0, 2, 3]);
        // More channels than speakers, and fewer.
        assert_eq!(speakers(Channels::Native { count: 2, mask: 1 << 23 }), [23, 0xFF]);
        assert_eq!(speakers(Channels::Native { count: 1, mask: 0xFFFF_FFFF }), [0]);
        assert_eq!(speakers(Channels::Unspecified { count: 2 }), [0xFF, 0xFF]);
        assert_eq!(speakers(Channels::Custom(&[9, 1])), [9, 1]);
        for given in [&[0, 1][..], &[1, 0], &[0, 0], &[22, 23], &[23, 24], &[0xFE], &[]] {
            let channels = Channels::of(given).unwrap();
            let native = matches!(channels, Channels::Native { .. });
            assert_eq!(native, matches!(given, [0, 1] | [22, 23]), "{given:?}");
            assert_eq!(speakers(channels), given);
        }
        assert!(Channels::of(&[0; 256]).is_err());
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
