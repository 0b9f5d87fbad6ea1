//! Colours and HDR: the data of [`Packet::Metadata`](super::Packet::Metadata).

use crate::{
    amf::{self, Encoder, Properties, Value},
    error::{Error, Result},
};

/// The meaning of a track's colours. Each member is optional; a missing one is unknown.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ColorInfo {
    /// Bits of a colour component: 8, 10 or 12.
    pub bit_depth: Option<f64>,
    /// The primaries, as ITU-T H.273 numbers them.
    pub primaries: Option<f64>,
    /// The transfer characteristics, as ITU-T H.273 numbers them.
    pub transfer: Option<f64>,
    /// The matrix coefficients, as ITU-T H.273 numbers them.
    pub matrix: Option<f64>,
    /// Light levels of the content.
    pub light: ContentLight,
    /// The display that the content was made on.
    pub display: MasteringDisplay,
}

/// Light levels of the content, in nits.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ContentLight {
    /// The highest average of a frame.
    pub max_frame_average: Option<f64>,
    /// The highest of a pixel.
    pub max_content: Option<f64>,
}

/// The colour volume of a display. Chromaticities are CIE 1931 x and y.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct MasteringDisplay {
    /// Red.
    pub red: (Option<f64>, Option<f64>),
    /// Green.
    pub green: (Option<f64>, Option<f64>),
    /// Blue.
    pub blue: (Option<f64>, Option<f64>),
    /// White.
    pub white: (Option<f64>, Option<f64>),
    /// The highest luminance in nits.
    pub max_luminance: Option<f64>,
    /// The lowest luminance in nits.
    pub min_luminance: Option<f64>,
}

const NAME: &[u8] = b"colorInfo";

/// Marker of an undefined value in AMF0.
const UNDEFINED: u8 = 6;

/// An object's name and its numbers.
type Group<'s> = (&'static [u8], Vec<(&'static [u8], &'s mut Option<f64>)>);

impl ColorInfo {
    /// Reads the data of a packet; `None` if it resets the values.
    ///
    /// Fails if it contains no colour information.
    pub fn parse(body: &[u8]) -> Result<Option<Self>> {
        let values = amf::decode(body)?;
        let is_name = |at: usize| values.get(at).and_then(|value| value.value.as_string()) == Some(NAME);
        if !is_name(0) {
            return Err(Error::malformed("video metadata", "it is not about colours"));
        }
        let members = match values.get(1).map(|value| &value.value) {
            Some(Value::Object(members) | Value::EcmaArray(members)) if !members.is_empty() => members,
            _ => return Ok(None),
        };
        let mut info = Self::default();
        for (name, numbers) in info.groups() {
            let Some(Value::Object(members) | Value::EcmaArray(members)) = members.find(name) else {
                continue;
            };
            for (name, number) in numbers {
                *number = number_of(members, name);
            }
        }
        Ok(Some(info))
    }

    /// The data of a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(NAME).begin_object();
        for (name, numbers) in self.clone().groups() {
            if numbers.iter().all(|(_, number)| number.is_none()) {
                continue;
            }
            body.name(name).begin_object();
            for (name, number) in numbers {
                if let Some(number) = number {
                    body.named_number(name, *number);
                }
            }
            body.end_object();
        }
        body.end_object();
        body.finish()
    }

    /// The data of a packet that resets the values.
    pub fn encode_reset() -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(NAME).raw(&[UNDEFINED]);
        body.finish()
    }

    /// All numbers with their names, in the order of the specification.
    fn groups(&mut self) -> [Group<'_>; 3] {
        let Self { bit_depth, primaries, transfer, matrix, light, display } = self;
        [
            (
                b"colorConfig",
                vec![
                    (b"bitDepth", bit_depth),
                    (b"colorPrimaries", primaries),
                    (b"transferCharacteristics", transfer),
                    (b"matrixCoefficients", matrix),
                ],
            ),
            (
                b"hdrCll",
                vec![(b"maxFall", &mut light.max_frame_average), (b"maxCLL", &mut light.max_content)],
            ),
            (
                b"hdrMdcv",
                vec![
                    (b"redX", &mut display.red.0),
                    (b"redY", &mut display.red.1),
                    (b"greenX", &mut display.green.0),
                    (b"greenY", &mut display.green.1),
                    (b"blueX", &mut display.blue.0),
                    (b"blueY", &mut display.blue.1),
                    (b"whitePointX", &mut display.white.0),
                    (b"whitePointY", &mut display.white.1),
                    (b"maxLuminance", &mut display.max_luminance),
                    (b"minLuminance", &mut display.min_luminance),
                ],
            ),
        ]
    }
}

fn number_of(members: &Properties<'_>, name: &[u8]) -> Option<f64> {
    members.find(name).and_then(Value::as_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hdr10() -> ColorInfo {
        ColorInfo {
            bit_depth: Some(10.0),
            primaries: Some(9.0),
            transfer: Some(16.0),
            matrix: Some(9.0),
            light: ContentLight { max_frame_average: Some(400.0), max_content: Some(1000.0) },
            display: MasteringDisplay {
                red: (Some(0.708), Some(0.292)),
                green: (Some(0.17), Some(0.797)),
                blue: (Some(0.131), Some(0.046)),
                white: (Some(0.3127), Some(0.329)),
                max_luminance: Some(1000.0),
                min_luminance: Some(0.0001),
            },
        }
    }

    #[test]
    fn colours_are_written_as_named_numbers_in_objects() {
        let body = hdr10().encode();
        assert!(body.starts_with(b"\x02\0\x09colorInfo\x03\0\x0bcolorConfig\x03\0\x08bitDepth\0\x40\x24"));
        let values = amf::decode(&body).unwrap();
        for (name, number) in [("colorPrimaries", 9.0), ("maxCLL", 1000.0), ("whitePointY", 0.329)] {
            assert_eq!(values.find_deep(name.as_bytes()).and_then(Value::as_number), Some(number), "{name}");
        }
    }

    #[test]
    fn colours_that_were_written_can_be_read() {
        let partial = ColorInfo { primaries: Some(1.0), ..ColorInfo::default() };
        for info in [hdr10(), partial] {
            assert_eq!(ColorInfo::parse(&info.encode()).unwrap(), Some(info));
        }
    }

    #[test]
    fn colours_can_come_as_arrays_and_in_amf3() {
        let mut body = Encoder::new();
        body.string(b"colorInfo").begin_ecma_array(1).name(b"colorConfig").begin_ecma_array(1);
        body.named_number(b"bitDepth", 10.0).end_object().end_object();
        let ten_bits = ColorInfo { bit_depth: Some(10.0), ..ColorInfo::default() };
        assert_eq!(ColorInfo::parse(&body.finish()).unwrap(), Some(ten_bits.clone()));
        // An AMF3 object without traits in the same place.
        let amf3 = b"\x02\0\x09colorInfo\x11\x0a\x0b\x01\x17colorConfig\x0a\x01\x11bitDepth\x04\x0a\x01\x01";
        assert_eq!(ColorInfo::parse(amf3).unwrap(), Some(ten_bits));
    }

    #[test]
    fn undefined_value_resets_colours() {
        assert_eq!(ColorInfo::encode_reset(), b"\x02\0\x09colorInfo\x06");
        for body in
            [&b"\x02\0\x09colorInfo\x06"[..], b"\x02\0\x09colorInfo\x03\0\0\x09", b"\x02\0\x09colorInfo"]
        {
            assert_eq!(ColorInfo::parse(body).unwrap(), None, "{body:?}");
        }
        assert!(ColorInfo::parse(b"\x02\0\x05other\x06").is_err());
        assert!(ColorInfo::parse(b"").is_err());
    }
}
