//! The capabilities of Enhanced RTMP that both ends announce, in `connect` and its result.

use crate::{
    amf::{self, Encoder, Properties, Value},
    error::{Error, Result},
    media::{Codec, FourCc, Kind, Message, Packet},
    text::Text,
};

/// The announcement of one end: codecs and features beyond those that every end has.
///
/// ```
/// use rtmp::{media::{FourCc, Kind}, session::{Capabilities, ability, feature}};
///
/// let mut own = Capabilities::default();
/// own.set_codec(Kind::Video, FourCc::HEVC, ability::DECODE | ability::ENCODE);
/// own.features = Some(feature::MULTITRACK);
/// assert_eq!(own.codec(Kind::Video, FourCc::HEVC), 3);
/// assert_eq!(own.codec(Kind::Video, FourCc::AV1), 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    list: Vec<Name>,
    video: Vec<(Name, u32)>,
    audio: Vec<(Name, u32)>,
    /// The property `capsEx`: bits of [`feature`]. `None` leaves it out.
    pub features: Option<u32>,
    /// The property `videoFunction`: bits of [`video_function`]. `None` keeps the default, which is 1 for a player and nothing
    /// for a publisher.
    pub video_function: Option<u32>,
}

/// Bits that say what an end can do with a codec.
pub mod ability {
    /// It can decode it.
    pub const DECODE: u32 = 1;
    /// It can encode it.
    pub const ENCODE: u32 = 2;
    /// It can pass it on.
    pub const FORWARD: u32 = 4;
}

/// Bits of `capsEx`.
pub mod feature {
    /// The end follows a reconnect request, or at least understands it.
    pub const RECONNECT: u32 = 1;
    /// It reads messages of several tracks.
    pub const MULTITRACK: u32 = 2;
    /// It reads ModEx elements.
    pub const MODEX: u32 = 4;
    /// It uses nanosecond offsets.
    pub const NANO: u32 = 8;
}

/// Bits of `videoFunction`.
pub mod video_function {
    /// The client can seek to any frame.
    pub const SEEK: u32 = 1;
    /// It can show HDR video.
    pub const HDR: u32 = 2;
    /// It reads video metadata.
    pub const METADATA: u32 = 4;
    /// It can decode AV1 with large scale tiles.
    pub const LARGE_SCALE_TILE: u32 = 8;
}

/// The name of a codec, or of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Any,
    Code(FourCc),
}

/// The announcement of the peer in `connect`, or in its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The capabilities.
    pub capabilities: Capabilities,
    /// The command, if it is not longer than [`MAX_KEPT`].
    body: Vec<u8>,
}

/// The limit of codecs that are read from a list or map.
pub const MAX_CODECS: usize = 64;

/// The longest command that is kept for [`Peer::property`], in bytes.
pub const MAX_KEPT: usize = 16 << 10;

const ANY: &[u8] = b"*";
const LIST: &[u8] = b"fourCcList";
const FEATURES: &[u8] = b"capsEx";
const VIDEO_FUNCTION: &[u8] = b"videoFunction";

impl Capabilities {
    /// The capabilities of a program that relays or records all bytes unchanged.
    pub fn forwarding() -> Self {
        Self {
            list: vec![Name::Any],
            video: vec![(Name::Any, ability::FORWARD)],
            audio: vec![(Name::Any, ability::FORWARD)],
            features: Some(feature::MULTITRACK | feature::MODEX | feature::NANO),
            video_function: None,
        }
    }

    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether any codecs are announced.
    pub fn names_codecs(&self) -> bool {
        !self.list.is_empty() || !self.video.is_empty() || !self.audio.is_empty()
    }

    /// Announces the abilities for a codec: bits of [`ability`]. A codec that can be decoded or forwarded is also in the list
    /// for older peers.
    pub fn set_codec(&mut self, kind: Kind, codec: FourCc, abilities: u32) {
        self.set(kind, Name::Code(codec), abilities);
    }

    /// As [`Self::set_codec`], for all codecs of a kind.
    pub fn set_all_codecs(&mut self, kind: Kind, abilities: u32) {
        self.set(kind, Name::Any, abilities);
    }

    /// The peer's abilities for a codec: bits of [`ability`], from its own entry and from that for all codecs. A codec in the
    /// list of an older peer counts as one that it can decode.
    pub fn codec(&self, kind: Kind, codec: FourCc) -> u32 {
        let is_meant = |name: Name| name == Name::Any || name == Name::Code(codec);
        let mapped =
            self.map(kind).iter().filter(|entry| is_meant(entry.0)).fold(0, |all, entry| all | entry.1);
        let listed = if self.list.iter().copied().any(is_meant) { ability::DECODE } else { 0 };
        mapped | listed
    }

    /// Whether all of the features are announced.
    pub fn has(&self, features: u32) -> bool {
        self.features.unwrap_or(0) & features == features
    }

    /// Fails if the peer that announced this probably does not understand a message: one with several tracks, with ModEx, or
    /// with a codec that it has not announced. A peer that has announced no codec at all is older, and may receive video with a
    /// FourCC.
    pub fn check(&self, message: &Message<'_>) -> Result<()> {
        if message.nano.is_some() && !self.has(feature::MODEX | feature::NANO) {
            return Err(Error::Unsupported("sending nanoseconds to a peer that has not announced them"));
        }
        if (message.tracks.len() > 1 || message.tracks.iter().any(|track| track.id != 0))
            && !self.has(feature::MULTITRACK)
        {
            return Err(Error::Unsupported("sending several tracks to a peer that has not announced them"));
        }
        for track in message.tracks {
            let Codec::FourCc(codec) = track.codec else { continue };
            let is_known = self.codec(message.kind, codec) & (ability::DECODE | ability::FORWARD) != 0;
            let is_old =
                message.kind == Kind::Video && !self.names_codecs() && track.packet != Packet::TsConfig;
            if !is_known && !is_old {
                return Err(Error::Unsupported("sending a codec that the peer has not announced"));
            }
        }
        Ok(())
    }

    /// Reads the value of the option `fourCcList`: codecs with commas between them.
    pub fn read_list(&mut self, text: &[u8]) -> Result<()> {
        self.list = entries(text).map(Name::read).collect::<Result<_>>()?;
        Ok(())
    }

    /// Reads the value of an option for a map: codecs, each followed by a colon and a number, separated by commas.
    pub fn read_map(&mut self, kind: Kind, text: &[u8]) -> Result<()> {
        let entry = |text: &[u8]| {
            let colon = text.iter().rposition(|&byte| byte == b':');
            let (name, number) = text.split_at(colon.ok_or(SENSELESS)?);
            let number = Text(&number[1..]).to_string().parse().map_err(|_| SENSELESS)?;
            Ok((Name::read(name)?, number))
        };
        *self.map_mut(kind) = entries(text).map(entry).collect::<Result<_>>()?;
        Ok(())
    }

    /// Reads the properties, which `find` looks up.
    fn read<'v, 'a: 'v>(find: impl Fn(&[u8]) -> Option<&'v Value<'a>>) -> Self {
        let number = |name: &[u8]| find(name).and_then(bits);
        let map = |kind| {
            let members = find(map_name(kind)).and_then(members);
            let entry = |property: &amf::Property<'_>| {
                Some((Name::read(property.name).ok()?, bits(&property.value)?))
            };
            members.into_iter().flat_map(Properties::iter).filter_map(entry).take(MAX_CODECS).collect()
        };
        Self {
            list: find(LIST).map(names).unwrap_or_default(),
            video: map(Kind::Video),
            audio: map(Kind::Audio),
            features: number(FEATURES),
            video_function: number(VIDEO_FUNCTION),
        }
    }

    /// Writes the properties as members of an object, except `videoFunction`.
    pub fn write_members(&self, body: &mut Encoder) {
        if !self.list.is_empty() {
            let count = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            body.name(LIST).begin_strict_array(count);
            for name in &self.list {
                name.write(|text| {
                    body.string(text);
                });
            }
        }
        for kind in [Kind::Video, Kind::Audio] {
            let map = self.map(kind);
            if map.is_empty() {
                continue;
            }
            body.name(map_name(kind)).begin_object();
            for (name, abilities) in map {
                name.write(|text| {
                    body.named_number(text, f64::from(*abilities));
                });
            }
            body.end_object();
        }
        if let Some(features) = self.features {
            body.named_number(FEATURES, f64::from(features));
        }
    }

    fn set(&mut self, kind: Kind, name: Name, abilities: u32) {
        let map = self.map_mut(kind);
        map.retain(|entry| entry.0 != name);
        map.push((name, abilities));
        if abilities & (ability::DECODE | ability::FORWARD) != 0 && !self.list.contains(&name) {
            self.list.push(name);
        }
    }

    fn map(&self, kind: Kind) -> &[(Name, u32)] {
        match kind {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
        }
    }

    fn map_mut(&mut self, kind: Kind) -> &mut Vec<(Name, u32)> {
        match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        }
    }
}

impl Name {
    fn read(text: &[u8]) -> Result<Self> {
        match text {
            ANY => Ok(Self::Any),
            &[a, b, c, d] => Ok(Self::Code(FourCc::new([a, b, c, d]))),
            _ => Err(SENSELESS),
        }
    }

    fn write(self, write: impl FnOnce(&[u8])) {
        match self {
            Self::Any => write(ANY),
            Self::Code(code) => write(&code.characters()),
        }
    }
}

impl Peer {
    /// The announcement in a command: `connect`, or its result. Servers differ in which of the result's two objects contains
    /// it; if both do, the second one counts.
    pub fn from_command(body: &[u8]) -> Self {
        Self::new(&amf::decode(body).unwrap_or_default(), body)
    }

    /// The announcement in a command that was decoded already.
    pub(super) fn new(values: &Properties<'_>, body: &[u8]) -> Self {
        let kept = if body.len() > MAX_KEPT { Vec::new() } else { body.to_vec() };
        Self { capabilities: Capabilities::read(|name| look_up(values, name)), body: kept }
    }

    /// Looks up a property in both objects of the command, and passes it to `found`.
    pub fn property<R>(&self, name: &[u8], found: impl FnOnce(&Value<'_>) -> R) -> Option<R> {
        let values = amf::decode(&self.body).ok()?;
        look_up(&values, name).map(found)
    }

    /// The command as AMF0 values: its name, a number, and objects. Empty if it was too long.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// A member of the objects of a command, the last one first.
fn look_up<'v, 'a>(values: &'v Properties<'a>, name: &[u8]) -> Option<&'v Value<'a>> {
    let objects = [3, 2].into_iter().filter_map(|index| members(&values.get(index)?.value));
    objects.into_iter().find_map(|object| object.find(name))
}

fn members<'v, 'a>(value: &'v Value<'a>) -> Option<&'v Properties<'a>> {
    match value {
        Value::Object(members) | Value::EcmaArray(members) => Some(members),
        _ => None,
    }
}

/// The codecs of a list, which are strings or, from some peers, members of an object. Anything else is skipped.
fn names(value: &Value<'_>) -> Vec<Name> {
    let members = match value {
        Value::StrictArray(members) | Value::EcmaArray(members) | Value::Object(members) => members,
        _ => return Vec::new(),
    };
    let name = |property: &amf::Property<'_>| Name::read(property.value.as_string()?).ok();
    members.iter().filter_map(name).take(MAX_CODECS).collect()
}

/// A number that is a set of bits.
fn bits(value: &Value<'_>) -> Option<u32> {
    let number = value.as_number()?;
    (number >= 0.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}

/// The items of an option's value.
fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b',').filter(|item| !item.is_empty())
}

fn map_name(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Audio => b"audioFourCcInfoMap",
        Kind::Video => b"videoFourCcInfoMap",
    }
}

const SENSELESS: Error =
    Error::Invalid("codecs are four characters or *, for a map with :number behind them");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Track;

    fn result(properties: impl FnOnce(&mut Encoder), info: impl FnOnce(&mut Encoder)) -> Vec<u8> {
        let mut body = Encoder::new();
        body.string(b"_result").number(1.0).begin_object();
        properties(&mut body);
        body.end_object().begin_object();
        info(&mut body);
        body.end_object();
        body.finish()
    }

    fn all() -> Capabilities {
        let mut all = Capabilities::default();
        all.read_list(b"hvc1,Opus,*").unwrap();
        all.read_map(Kind::Video, b"hvc1:3,*:4").unwrap();
        all.read_map(Kind::Audio, b"Opus:7").unwrap();
        all.features = Some(0xF);
        all
    }

    #[test]
    fn announcements_are_read_from_either_object() {
        let write = |body: &mut Encoder| all().write_members(body);
        let nothing = |_: &mut Encoder| {};
        for body in [result(write, nothing), result(nothing, write), result(write, write)] {
            assert_eq!(Peer::from_command(&body).capabilities, all());
        }
        let other = |body: &mut Encoder| {
            body.named_number(b"capsEx", 1.0);
        };
        assert_eq!(Peer::from_command(&result(other, write)).capabilities.features, Some(0xF));
        assert_eq!(Peer::from_command(&result(write, other)).capabilities.features, Some(1));
        assert!(Peer::from_command(&result(nothing, nothing)).capabilities.is_empty());
    }

    #[test]
    fn lists_and_maps_come_in_several_forms() {
        // ECMA arrays in place of objects, and of the strict array.
        let mut body = Encoder::new();
        body.string(b"_result").number(1.0).null().begin_ecma_array(2);
        body.name(b"videoFourCcInfoMap").begin_ecma_array(1).named_number(b"av01", 1.0).end_object();
        body.name(b"fourCcList").begin_ecma_array(1).named_string(b"0", b"vp09").end_object();
        body.end_object();
        let peer = Peer::from_command(&body.finish()).capabilities;
        assert_eq!(peer.codec(Kind::Video, FourCc::AV1), ability::DECODE);
        assert_eq!(peer.codec(Kind::Video, FourCc::VP9), ability::DECODE);
        // A number of AMF3.
        let mut body = Encoder::new();
        body.string(b"_result").number(1.0).null().begin_object();
        body.name(b"capsEx").raw(&[0x11, 0x04, 0x02]).end_object();
        assert_eq!(Peer::from_command(&body.finish()).capabilities.features, Some(2));
    }

    #[test]
    fn numbers_that_are_not_bits_are_ignored() {
        for (number, expected) in [
            (f64::NAN, None),
            (f64::INFINITY, None),
            (-1.0, None),
            (9_007_199_254_740_992.0, None),
            (4_294_967_295.0, Some(u32::MAX)),
            (2.5, Some(2)),
            (0.0, Some(0)),
        ] {
            let body = result(
                |_| {},
                |body| {
                    body.named_number(b"capsEx", number);
                },
            );
            assert_eq!(Peer::from_command(&body).capabilities.features, expected, "{number}");
        }
        let text = result(
            |_| {},
            |body| {
                body.named_string(b"capsEx", b"2")
                    .named_number(b"fourCcList", 1.0)
                    .named_boolean(b"videoFourCcInfoMap", true);
            },
        );
        assert!(Peer::from_command(&text).capabilities.is_empty());
    }

    #[test]
    fn long_lists_and_maps_are_cut() {
        for count in [0, 1, 10_000] {
            let body = result(
                |body| {
                    body.name(b"audioFourCcInfoMap").begin_object();
                    (0..count).for_each(|_| {
                        body.named_number(b"Opus", 1.0);
                    });
                    body.end_object().name(b"fourCcList").begin_strict_array(count);
                    (0..count).for_each(|_| {
                        body.string(b"Opus");
                    });
                },
                |_| {},
            );
            let peer = Peer::from_command(&body);
            assert_eq!(peer.capabilities.audio.len(), (count as usize).min(MAX_CODECS));
            assert_eq!(peer.capabilities.list.len(), (count as usize).min(MAX_CODECS));
            assert_eq!(peer.body().is_empty(), body.len() > MAX_KEPT);
        }
    }

    #[test]
    fn text_of_options_is_read_or_refused() {
        let mut own = Capabilities::default();
        for text in ["hvc", "hvc12", "**", "hvc1;vp09"] {
            assert!(own.read_list(text.as_bytes()).is_err(), "{text}");
        }
        for text in ["hvc1", "hvc1:", "hvc1:x", "hvc1:-1", ":1", "hvc1:1 ,*:1"] {
            assert!(own.read_map(Kind::Video, text.as_bytes()).is_err(), "{text}");
        }
        assert!(own.is_empty());
        own.read_list(b"").unwrap();
        assert!(own.is_empty());
    }

    #[test]
    fn anything_in_either_object_can_be_looked_up() {
        let body = result(
            |body| {
                body.named_string(b"fmsVer", b"FMS").named_number(b"mode", 1.0);
            },
            |body| {
                body.named_string(b"code", b"ok").named_number(b"mode", 2.0);
            },
        );
        let peer = Peer::from_command(&body);
        let text = |name: &[u8]| peer.property(name, |value| value.as_string().map(<[u8]>::to_vec)).flatten();
        assert_eq!(text(b"fmsVer").as_deref(), Some(&b"FMS"[..]));
        assert_eq!(text(b"code").as_deref(), Some(&b"ok"[..]));
        assert_eq!(peer.property(b"mode", |value| value.as_number()), Some(Some(2.0)));
        assert_eq!(peer.property(b"missing", |value| value.as_number()), None);
    }

    #[test]
    fn messages_are_checked_against_the_announcement() {
        let track = |codec, id| Track { id, ..Track::new(codec, Packet::Frames, b"x") };
        let opus = [track(FourCc::OPUS, 0)];
        let hevc = [track(FourCc::HEVC, 0)];
        let second = [track(FourCc::HEVC, 1)];
        let legacy = [Track { codec: Codec::Legacy { id: 7, format: 0 }, ..hevc[0] }];
        let message = |kind, nano, tracks| Message { kind, nano, tracks };
        let old = Capabilities::default();
        let mut listing = Capabilities::default();
        listing.read_list(b"av01").unwrap();
        for (peer, video, audio, several, nano) in [
            (&old, true, false, false, false),
            (&listing, false, false, false, false),
            (&Capabilities::forwarding(), true, true, true, true),
        ] {
            assert_eq!(peer.check(&message(Kind::Video, None, &hevc)).is_ok(), video);
            assert_eq!(peer.check(&message(Kind::Audio, None, &opus)).is_ok(), audio);
            assert_eq!(peer.check(&message(Kind::Video, None, &second)).is_ok(), several);
            assert_eq!(peer.check(&message(Kind::Video, Some(1), &hevc)).is_ok(), nano);
            assert!(peer.check(&message(Kind::Video, None, &legacy)).is_ok());
        }
        // A peer that can only encode does not want to receive it.
        let mut encoder = Capabilities::default();
        encoder.set_codec(Kind::Video, FourCc::HEVC, ability::ENCODE);
        assert!(encoder.check(&message(Kind::Video, None, &hevc)).is_err());
        encoder.set_all_codecs(Kind::Video, ability::FORWARD);
        assert!(encoder.check(&message(Kind::Video, None, &hevc)).is_ok());
        assert_eq!(encoder.codec(Kind::Audio, FourCc::OPUS), ability::DECODE);
    }
}
