//! `onMetaData`: the track that a property belongs to, and the numbers of codecs.

use super::{Codec, FourCc, Kind};
use crate::{
    amf::{Encoder, Properties, Value},
    text::Text,
};

/// The metadata of one track.
#[derive(Debug, Clone, Copy)]
pub struct TrackInfo<'m, 'a> {
    kind: Kind,
    id: u8,
    top: &'m Properties<'a>,
    own: Option<&'m Properties<'a>>,
}

/// The names under which metadata has the properties of a kind's tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackNames {
    /// The map of tracks other than 0.
    pub map: &'static [u8],
    /// The codec of a track.
    pub codec: &'static [u8],
}

impl Kind {
    /// The names that metadata uses for this kind.
    pub const fn names(self) -> TrackNames {
        match self {
            Self::Audio => TrackNames { map: b"audioTrackIdInfoMap", codec: b"audiocodecid" },
            Self::Video => TrackNames { map: b"videoTrackIdInfoMap", codec: b"videocodecid" },
        }
    }
}

impl Codec {
    /// The codec's number in metadata; `None` if it has none.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Legacy { id, .. } => Some(f64::from(id)),
            Self::FourCc(FourCc(code)) => Some(f64::from(code)),
            Self::None => None,
        }
    }

    /// The codec for a number or a text of metadata.
    pub fn from_metadata(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Number(number) if *number >= 0.0 && *number < 16.0 => {
                Some(Self::Legacy { id: *number as u8, format: 0 })
            }
            // A code never contains control characters.
            Value::Number(number) if *number >= f64::from(0x2000_0000) && *number <= f64::from(u32::MAX) => {
                Some(Self::FourCc(FourCc(*number as u32)))
            }
            Value::String(text) => Some(Self::FourCc(FourCc::new((*text).try_into().ok()?))),
            _ => None,
        }
    }
}

/// The tracks of a kind that metadata describes, by their numbers. `values` is the contents of the message, including its name.
///
/// Track 0 is included if the metadata has any members. A map's names that are not a number from 1 to 255 are skipped.
pub fn info_map<'m, 'a>(values: &'m Properties<'a>, kind: Kind) -> Vec<TrackInfo<'m, 'a>> {
    let Some(top) = values.iter().find_map(|property| members(&property.value)) else { return Vec::new() };
    let mut tracks = vec![TrackInfo { kind, id: 0, top, own: None }];
    let map = top.find(kind.names().map).and_then(members);
    for property in map.into_iter().flat_map(|map| map.iter()) {
        let (Some(id), Some(own)) = (track_id(property.name), members(&property.value)) else { continue };
        if !tracks.iter().any(|track| track.id == id) {
            tracks.push(TrackInfo { kind, id, top, own: Some(own) });
        }
    }
    tracks
}

/// Writes the map of a kind's tracks as a member of metadata. `write` is called for each number, and writes the
/// members of that track; track 0 does not belong here.
pub fn named_info_map(body: &mut Encoder, kind: Kind, ids: &[u8], mut write: impl FnMut(u8, &mut Encoder)) {
    body.name(kind.names().map).begin_object();
    for &id in ids {
        body.name(id.to_string().as_bytes()).begin_object();
        write(id, body);
        body.end_object();
    }
    body.end_object();
}

/// The track that script data belongs to. Data for one track has its number in its object; other data belongs to the first
/// track of both kinds, for which the kind is `None`.
pub fn subject(values: &Properties<'_>) -> (Option<Kind>, u8) {
    let top = values.iter().find_map(|property| members(&property.value));
    let kind = match top.and_then(|top| top.find(b"mediaType")).and_then(Value::as_string) {
        Some(text) if text.eq_ignore_ascii_case(b"audio") => Some(Kind::Audio),
        Some(text) if text.eq_ignore_ascii_case(b"video") => Some(Kind::Video),
        _ => None,
    };
    let id = match top.and_then(|top| top.find(b"trackId")) {
        Some(Value::Number(number)) if *number >= 0.0 && *number < 256.0 => *number as u8,
        _ => 0,
    };
    (kind, id)
}

impl<'m, 'a> TrackInfo<'m, 'a> {
    /// The number of the track.
    pub fn id(&self) -> u8 {
        self.id
    }

    /// The value of a property. A track without it uses that of track 0.
    pub fn find(&self, name: &[u8]) -> Option<&'m Value<'a>> {
        self.own.and_then(|own| own.find(name)).or_else(|| self.top.find(name))
    }

    /// The number of a property.
    pub fn number(&self, name: &[u8]) -> Option<f64> {
        self.find(name).and_then(Value::as_number)
    }

    /// The codec of the track.
    pub fn codec(&self) -> Option<Codec> {
        self.find(self.kind.names().codec).and_then(Codec::from_metadata)
    }
}

fn members<'v, 'a>(value: &'v Value<'a>) -> Option<&'v Properties<'a>> {
    match value {
        Value::Object(members) | Value::EcmaArray(members) => Some(members),
        _ => None,
    }
}

fn track_id(name: &[u8]) -> Option<u8> {
    Text(name).to_string().parse().ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf;

    fn metadata() -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(b"onMetaData").begin_ecma_array(3);
        body.named_number(b"width", 1920.0).named_number(b"height", 1080.0);
        body.named_number(b"videocodecid", Codec::FourCc(FourCc::HEVC).number().unwrap());
        body.named_number(b"audiocodecid", 10.0);
        named_info_map(&mut body, Kind::Video, &[1, 7], |id, body| {
            body.named_number(b"width", f64::from(id) * 100.0);
            if id == 7 {
                body.named_number(b"videocodecid", 1_635_135_537.0);
            }
        });
        body.end_object();
        body.finish()
    }

    #[test]
    fn tracks_inherit_missing_properties_from_track_0() {
        let body = metadata();
        let values = amf::decode(&body).unwrap();
        let tracks = info_map(&values, Kind::Video);
        assert_eq!(tracks.iter().map(TrackInfo::id).collect::<Vec<_>>(), [0, 1, 7]);
        let widths = tracks.iter().map(|track| track.number(b"width")).collect::<Vec<_>>();
        assert_eq!(widths, [Some(1920.0), Some(100.0), Some(700.0)]);
        assert!(tracks.iter().all(|track| track.number(b"height") == Some(1080.0)));
        let codecs = tracks.iter().map(|track| track.codec().unwrap()).collect::<Vec<_>>();
        assert_eq!(codecs, [FourCc::HEVC, FourCc::HEVC, FourCc::AV1].map(Codec::FourCc));
        let audio = info_map(&values, Kind::Audio);
        assert_eq!(audio.len(), 1);
        assert_eq!(audio[0].codec(), Some(Codec::Legacy { id: 10, format: 0 }));
    }

    #[test]
    fn codecs_have_the_numbers_of_the_source() {
        for (code, number) in [
            (FourCc::VP8, 1_987_063_864.0),
            (FourCc::VP9, 1_987_063_865.0),
            (FourCc::AV1, 1_635_135_537.0),
            (FourCc::AVC, 1_635_148_593.0),
            (FourCc::HEVC, 1_752_589_105.0),
            (FourCc::VVC, 1_987_470_129.0),
            (FourCc::AC3, 1_633_889_587.0),
            (FourCc::EAC3, 1_700_998_451.0),
            (FourCc::OPUS, 1_332_770_163.0),
            (FourCc::MP3, 778_924_083.0),
            (FourCc::FLAC, 1_716_281_667.0),
            (FourCc::AAC, 1_836_069_985.0),
        ] {
            assert_eq!(Codec::FourCc(code).number(), Some(number));
            assert_eq!(Codec::from_metadata(&Value::Number(number)), Some(Codec::FourCc(code)));
            let text = code.characters();
            assert_eq!(Codec::from_metadata(&Value::String(&text)), Some(Codec::FourCc(code)));
            assert!(code.codec_name().is_some());
        }
        for senseless in [-1.0, 16.0, 1e6, 1e12, f64::NAN, f64::INFINITY] {
            assert_eq!(Codec::from_metadata(&Value::Number(senseless)), None, "{senseless}");
        }
    }

    #[test]
    fn names_of_tracks_are_numbers_from_1_to_255() {
        let mut body = Encoder::new();
        body.string(b"onMetaData").begin_object().name(b"audioTrackIdInfoMap").begin_object();
        for name in ["0", "1", "1", "255", "256", "-1", "x", ""] {
            body.name(name.as_bytes()).begin_object().named_number(b"channels", 2.0).end_object();
        }
        body.end_object().end_object();
        let body = body.finish();
        let values = amf::decode(&body).unwrap();
        let ids = info_map(&values, Kind::Audio).iter().map(TrackInfo::id).collect::<Vec<_>>();
        assert_eq!(ids, [0, 1, 255]);
        assert!(info_map(&amf::decode(b"\x02\0\x01x").unwrap(), Kind::Audio).is_empty());
    }

    #[test]
    fn script_data_identifies_its_track() {
        for (media_type, id, expected) in [
            (None, None, (None, 0)),
            (Some("video"), Some(3.0), (Some(Kind::Video), 3)),
            (Some("audio"), Some(256.0), (Some(Kind::Audio), 0)),
            (Some("other"), Some(-1.0), (None, 0)),
        ] {
            let mut body = Encoder::new();
            body.string(b"onMetaData").begin_object();
            if let Some(text) = media_type {
                body.named_string(b"mediaType", text.as_bytes());
            }
            if let Some(id) = id {
                body.named_number(b"trackId", id);
            }
            body.end_object();
            let body = body.finish();
            assert_eq!(subject(&amf::decode(&body).unwrap()), expected);
        }
    }
}
