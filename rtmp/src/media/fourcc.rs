//! Four-character codes: how Enhanced RTMP names codecs.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

/// A four-character code, for example `hvc1`. Case matters.
///
/// ```
/// use rtmp::media::FourCc;
///
/// assert_eq!("hvc1".parse::<FourCc>()?, FourCc::HEVC);
/// assert_eq!(FourCc::HEVC.0, 0x6876_6331);
/// # Ok::<(), rtmp::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FourCc(pub u32);

impl FourCc {
    /// VP8 video.
    pub const VP8: Self = Self::new(*b"vp08");
    /// VP9 video.
    pub const VP9: Self = Self::new(*b"vp09");
    /// AV1 video.
    pub const AV1: Self = Self::new(*b"av01");
    /// H.264 video.
    pub const AVC: Self = Self::new(*b"avc1");
    /// H.265 video.
    pub const HEVC: Self = Self::new(*b"hvc1");
    /// H.266 video.
    pub const VVC: Self = Self::new(*b"vvc1");
    /// AC-3 audio.
    pub const AC3: Self = Self::new(*b"ac-3");
    /// Enhanced AC-3 audio.
    pub const EAC3: Self = Self::new(*b"ec-3");
    /// Opus audio.
    pub const OPUS: Self = Self::new(*b"Opus");
    /// MP3 audio.
    pub const MP3: Self = Self::new(*b".mp3");
    /// FLAC audio.
    pub const FLAC: Self = Self::new(*b"fLaC");
    /// AAC audio.
    pub const AAC: Self = Self::new(*b"mp4a");

    /// The code with these characters.
    pub const fn new(characters: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(characters))
    }

    /// Its characters.
    pub const fn characters(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }

    /// Whether coded frames have a composition time offset: those of H.264, H.265 and H.266.
    pub const fn has_composition_time(self) -> bool {
        matches!(self, Self::AVC | Self::HEVC | Self::VVC)
    }

    /// The codec's usual name; `None` if this library knows none.
    pub const fn codec_name(self) -> Option<&'static str> {
        Some(match self {
            Self::VP8 => "VP8",
            Self::VP9 => "VP9",
            Self::AV1 => "AV1",
            Self::AVC => "H.264",
            Self::HEVC => "H.265",
            Self::VVC => "H.266",
            Self::AC3 => "AC-3",
            Self::EAC3 => "E-AC-3",
            Self::OPUS => "Opus",
            Self::MP3 => "MP3",
            Self::FLAC => "FLAC",
            Self::AAC => "AAC",
            _ => return None,
        })
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.characters().escape_ascii().fmt(f)
    }
}

impl FromStr for FourCc {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let characters = text.as_bytes().try_into();
        characters.map(Self::new).map_err(|_| Error::Invalid("a FourCC has four characters"))
    }
}
