//! Audio and video messages: what was read can be written, and means the same then.

#![forbid(unsafe_code)]

use rtmp_core::{
    Result, amf,
    media::{self, Channels, Codec, ColorInfo, Kind, Message, Packet, Track},
};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([mode], _, body)) = input::choices(data) else { return };
    let kind = if mode & 1 == 0 { Kind::Audio } else { Kind::Video };
    if mode & 2 != 0 {
        return read_metadata(body, kind);
    }
    let Ok(media) = media::parse(kind, body) else { return };
    let mut results: Vec<Result<Track<'_>>> = media.tracks().collect();
    assert!(!results.is_empty());
    assert!(results.iter().map(|track| track.as_ref().map_or(0, |track| track.body.len())).sum::<usize>() <= body.len());
    if results.last().is_some_and(Result::is_err) {
        // The tracks in front of the damage are of use.
        results.pop();
    }
    let tracks: Vec<Track<'_>> = results.into_iter().map(|track| track.expect("an error is the last")).collect();
    for track in &tracks {
        match track.packet {
            Packet::Channels => {
                if let Ok(channels) = Channels::parse(track.body) {
                    let written = channels.encode().expect("what was read can be written");
                    assert_eq!(Channels::parse(&written).expect("as above"), channels);
                }
            }
            Packet::Metadata => {
                if let Ok(Some(info)) = ColorInfo::parse(track.body) {
                    let again = ColorInfo::parse(&info.encode()).expect("as above");
                    // A number that is none differs from itself.
                    assert_eq!(format!("{:?}", again.unwrap_or_default()), format!("{info:?}"));
                }
            }
            _ => {}
        }
    }
    let mut ids: Vec<u8> = tracks.iter().map(|track| track.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let nano = media.nano.filter(|_| tracks.iter().all(|track| matches!(track.codec, Codec::FourCc(_))));
    let message = Message { kind, nano, tracks: &tracks };
    match message.encode() {
        Ok(written) => {
            assert_eq!(written.len(), message.encoded_len().expect("it was written"));
            let again = media::parse(kind, &written).expect("what was written can be read");
            assert_eq!(again.nano, nano);
            assert!(again.tracks().map(|track| track.expect("as above")).eq(tracks));
        }
        Err(error) => assert!(tracks.is_empty() || ids.len() < tracks.len(), "{error}: {tracks:?}"),
    }
}

fn read_metadata(body: &[u8], kind: Kind) {
    let Ok(values) = amf::decode(body) else { return };
    let _ = media::subject(&values);
    for track in media::info_map(&values, kind) {
        if let Some(number) = track.codec().and_then(Codec::number) {
            assert!(number >= 0.0);
        }
    }
}
