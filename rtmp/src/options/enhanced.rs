//! The options for the announcement of Enhanced RTMP.

use super::Setting;
use crate::{
    error::{Error, Result},
    media::Kind,
    session::{Capabilities, feature},
};

/// The values of the options for Enhanced RTMP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enhanced {
    /// The announcement in `connect`.
    pub capabilities: Capabilities,
    /// AMF version to announce, 0 or 3, if an option sets it.
    pub object_encoding: Option<u8>,
    /// Whether messages are sent that the peer has not announced support for.
    pub force: bool,
}

impl Enhanced {
    /// The announcement; `None` if it is empty.
    pub fn announced(&self) -> Option<&Capabilities> {
        (!self.capabilities.is_empty()).then_some(&self.capabilities)
    }

    /// Stores one of these options; `false` if it is another one.
    pub fn apply(&mut self, setting: &Setting<'_>) -> Result<bool> {
        let own = &mut self.capabilities;
        match setting {
            Setting::Enhanced(true) => {
                let (features, video_function) = (own.features.unwrap_or(0), own.video_function);
                *own = Capabilities::forwarding();
                own.features = Some(own.features.unwrap_or(0) | features);
                own.video_function = video_function;
            }
            Setting::Enhanced(false) => *own = Capabilities::default(),
            Setting::FourCcList(text) => own.read_list(text)?,
            Setting::VideoFourCc(text) => own.read_map(Kind::Video, text)?,
            Setting::AudioFourCc(text) => own.read_map(Kind::Audio, text)?,
            Setting::CapsEx(bits) => own.features = Some(unsigned(*bits)?),
            Setting::VideoFunction(bits) => own.video_function = Some(unsigned(*bits)?),
            Setting::EnhancedForce(yes) => self.force = *yes,
            Setting::ObjectEncoding(version @ (0 | 3)) => self.object_encoding = u8::try_from(*version).ok(),
            Setting::ObjectEncoding(_) => return Err(Error::Invalid("objectEncoding is 0 or 3")),
            Setting::Reconnect(yes) => {
                let features = own.features.unwrap_or(0) & !feature::RECONNECT;
                let features = if *yes { features | feature::RECONNECT } else { features };
                own.features = (features != 0).then_some(features);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn unsigned(bits: i32) -> Result<u32> {
    u32::try_from(bits).map_err(|_| Error::Invalid("a set of bits is not negative"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        media::FourCc,
        options,
        session::{ability, video_function},
    };

    fn set(options: &[(&str, &str)]) -> Result<Enhanced> {
        let mut enhanced = Enhanced::default();
        for (name, value) in options {
            let setting = options::read(name.as_bytes(), value.as_bytes())?.expect("it has a value");
            assert!(enhanced.apply(&setting)?);
        }
        Ok(enhanced)
    }

    #[test]
    fn options_set_the_announcement() {
        assert!(set(&[]).unwrap().announced().is_none());
        let whole = set(&[("reconnect", "1"), ("enhanced", "1")]).unwrap().capabilities;
        assert_eq!(whole.features, Some(0xF));
        assert_eq!(whole.codec(Kind::Audio, FourCc::OPUS), ability::FORWARD | ability::DECODE);
        let single = set(&[
            ("fourCcList", "hvc1,Opus"),
            ("videoFourCc", "hvc1:3,*:4"),
            ("audioFourCc", "Opus:1"),
            ("capsEx", "0xE"),
            ("videoFunction", "7"),
            ("enhancedForce", "1"),
            ("objectEncoding", "3"),
        ])
        .unwrap();
        assert!(single.force && single.object_encoding == Some(3));
        assert_eq!(single.capabilities.codec(Kind::Video, FourCc::AV1), ability::FORWARD);
        assert_eq!(single.capabilities.codec(Kind::Audio, FourCc::OPUS), ability::DECODE);
        assert_eq!(single.capabilities.features, Some(14));
        let all = video_function::SEEK | video_function::HDR | video_function::METADATA;
        assert_eq!(single.capabilities.video_function, Some(all));
        // Back to no announcement.
        assert!(set(&[("reconnect", "1"), ("reconnect", "0")]).unwrap().announced().is_none());
        assert!(set(&[("enhanced", "1"), ("enhanced", "0")]).unwrap().announced().is_none());
    }

    #[test]
    fn invalid_values_are_errors() {
        for (name, value) in [
            ("fourCcList", "hevc1"),
            ("videoFourCc", "hvc1"),
            ("audioFourCc", "Opus:x"),
            ("capsEx", "-1"),
            ("objectEncoding", "1"),
        ] {
            assert!(set(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
