use super::*;
use crate::error::Result;

/// A key or inter frame of the codec.
fn frames(codec: FourCc, frame: Option<Frame>, offset: i32, body: &[u8]) -> Track<'_> {
    Track { frame, offset, ..Track::new(codec, Packet::Frames, body) }
}

fn legacy(id: u8, format: u8, packet: Packet, body: &[u8]) -> Track<'_> {
    Track { codec: Codec::Legacy { id, format }, id: 0, packet, frame: None, offset: 0, body }
}

fn tracks_of(kind: Kind, body: &[u8]) -> Result<Vec<Track<'_>>> {
    parse(kind, body)?.tracks().collect()
}

const KEY: Option<Frame> = Some(Frame::Key);
const INTER: Option<Frame> = Some(Frame::Inter);

/// The parts of a message, and its body.
type Vector = (Kind, Option<u32>, Vec<Track<'static>>, Vec<u8>);

/// Messages in the form in which this library writes them.
fn vectors() -> Vec<Vector> {
    use Kind::{Audio, Video};
    let config = |codec| Track { frame: KEY, ..Track::new(codec, Packet::Config, b"conf") };
    let on = |id, track| Track { id, ..track };
    let mut vectors = vec![
        // Every packet type of video.
        (Video, None, vec![config(FourCc::HEVC)], b"\x90hvc1conf".to_vec()),
        (Video, None, vec![frames(FourCc::HEVC, KEY, 40, b"nal")], b"\x91hvc1\0\0\x28nal".to_vec()),
        (Video, None, vec![frames(FourCc::HEVC, INTER, -1, b"nal")], b"\xA1hvc1\xFF\xFF\xFFnal".to_vec()),
        (Video, None, vec![frames(FourCc::AVC, INTER, -0x80_0000, b"")], b"\xA1avc1\x80\0\0".to_vec()),
        (Video, None, vec![frames(FourCc::VVC, KEY, 0x7F_FFFF, b"n")], b"\x91vvc1\x7F\xFF\xFFn".to_vec()),
        (Video, None, vec![frames(FourCc::HEVC, INTER, 0, b"nal")], b"\xA3hvc1nal".to_vec()),
        (Video, None, vec![frames(FourCc::AV1, INTER, 0, b"obu")], b"\xA1av01obu".to_vec()),
        (Video, None, vec![frames(FourCc::VP8, KEY, 0, b"f")], b"\x91vp08f".to_vec()),
        (Video, None, vec![frames(FourCc::VP9, Some(Frame::Disposable), 0, b"f")], b"\xB1vp09f".to_vec()),
        (Video, None, vec![frames(FourCc::AV1, Some(Frame::GeneratedKey), 0, b"f")], b"\xC1av01f".to_vec()),
        (
            Video,
            None,
            vec![Track { frame: KEY, ..Track::new(FourCc::AVC, Packet::End, b"") }],
            b"\x92avc1".to_vec(),
        ),
        (
            Video,
            None,
            vec![Track::new(FourCc::HEVC, Packet::Metadata, b"\x02\0\x09colorInfo\x06")],
            b"\x94hvc1\x02\0\x09colorInfo\x06".to_vec(),
        ),
        (
            Video,
            None,
            vec![Track { frame: KEY, ..Track::new(FourCc::AV1, Packet::TsConfig, b"ts") }],
            b"\x95av01ts".to_vec(),
        ),
        // Several tracks, in the three forms.
        (
            Video,
            None,
            vec![on(1, frames(FourCc::HEVC, KEY, 1, b"nal"))],
            b"\x96\x01hvc1\x01\0\0\x01nal".to_vec(),
        ),
        (
            Video,
            None,
            vec![on(0, frames(FourCc::HEVC, INTER, 0, b"ab")), on(1, frames(FourCc::HEVC, INTER, 0, b""))],
            b"\xA6\x13hvc1\0\0\0\x02ab\x01\0\0\0".to_vec(),
        ),
        (
            Video,
            None,
            vec![on(0, frames(FourCc::HEVC, KEY, 2, b"ab")), on(255, frames(FourCc::HEVC, KEY, 0, b"c"))],
            b"\x96\x11hvc1\0\0\0\x05\0\0\x02ab\xFF\0\0\x04\0\0\0c".to_vec(),
        ),
        (
            Video,
            None,
            vec![on(0, frames(FourCc::AV1, KEY, 0, b"obu")), on(1, frames(FourCc::HEVC, KEY, 0, b"n"))],
            b"\x96\x21av01\0\0\0\x03obuhvc1\x01\0\0\x04\0\0\0n".to_vec(),
        ),
        (
            Video,
            None,
            vec![on(3, Track::new(FourCc::HEVC, Packet::Metadata, b"hdr"))],
            b"\x96\x04hvc1\x03hdr".to_vec(),
        ),
        (Video, None, vec![on(9, config(FourCc::VP9))], b"\x96\0vp09\x09conf".to_vec()),
        // Nanoseconds.
        (
            Video,
            Some(999_999),
            vec![frames(FourCc::HEVC, KEY, 1, b"nal")],
            b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\x01nal".to_vec(),
        ),
        (
            Video,
            Some(0),
            vec![on(1, frames(FourCc::AV1, INTER, 0, b"o"))],
            b"\xA7\x02\0\0\0\x06\x01av01\x01o".to_vec(),
        ),
        (
            Audio,
            Some(1),
            vec![Track::new(FourCc::OPUS, Packet::Frames, b"x")],
            b"\x97\x02\0\0\x01\x01Opusx".to_vec(),
        ),
        // Commands.
        (
            Video,
            None,
            vec![Track { codec: Codec::None, ..Track::new(FourCc(0), Packet::Command, &[0]) }],
            b"\xD0\0".to_vec(),
        ),
        (
            Video,
            Some(5),
            vec![Track { codec: Codec::None, ..Track::new(FourCc(0), Packet::Command, &[1]) }],
            b"\xD7\x02\0\0\x05\0\x01".to_vec(),
        ),
        (Video, None, vec![legacy(7, 0, Packet::Command, &[1])], b"\x57\x01".to_vec()),
        // Every packet type of audio.
        (Audio, None, vec![Track::new(FourCc::OPUS, Packet::Config, b"")], b"\x90Opus".to_vec()),
        (Audio, None, vec![Track::new(FourCc::FLAC, Packet::Config, b"i")], b"\x90fLaCi".to_vec()),
        (Audio, None, vec![Track::new(FourCc::AAC, Packet::Frames, b"aac")], b"\x91mp4aaac".to_vec()),
        (Audio, None, vec![Track::new(FourCc::AC3, Packet::Frames, b"a")], b"\x91ac-3a".to_vec()),
        (Audio, None, vec![Track::new(FourCc::EAC3, Packet::Frames, b"a")], b"\x91ec-3a".to_vec()),
        (Audio, None, vec![Track::new(FourCc::MP3, Packet::Frames, b"a")], b"\x91.mp3a".to_vec()),
        (Audio, None, vec![Track::new(FourCc::OPUS, Packet::End, b"")], b"\x92Opus".to_vec()),
        (
            Audio,
            None,
            vec![Track::new(FourCc::OPUS, Packet::Channels, &[1, 6, 0, 0, 0, 0x3F])],
            b"\x94Opus\x01\x06\0\0\0\x3F".to_vec(),
        ),
        (
            Audio,
            None,
            vec![
                Track::new(FourCc::AAC, Packet::Frames, b"a"),
                on(1, Track::new(FourCc::AAC, Packet::Frames, b"")),
            ],
            b"\x95\x11mp4a\0\0\0\x01a\x01\0\0\0".to_vec(),
        ),
        (
            Audio,
            None,
            vec![on(2, Track::new(FourCc::EAC3, Packet::Channels, &[0, 2]))],
            b"\x95\x04ec-3\x02\0\x02".to_vec(),
        ),
        (
            Audio,
            None,
            vec![Track { codec: Codec::None, ..Track::new(FourCc(0), Packet::Silence, b"") }],
            Vec::new(),
        ),
        // Legacy video.
        (
            Video,
            None,
            vec![Track { frame: KEY, ..legacy(7, 0, Packet::Config, b"avcC") }],
            b"\x17\0\0\0\0avcC".to_vec(),
        ),
        (
            Video,
            None,
            vec![Track { frame: INTER, offset: -2, ..legacy(7, 0, Packet::Frames, b"nal") }],
            b"\x27\x01\xFF\xFF\xFEnal".to_vec(),
        ),
        (
            Video,
            None,
            vec![Track { frame: KEY, ..legacy(7, 0, Packet::End, b"") }],
            b"\x17\x02\0\0\0".to_vec(),
        ),
        (
            Video,
            None,
            vec![Track { frame: KEY, ..legacy(12, 0, Packet::Frames, b"n") }],
            b"\x1C\x01\0\0\0n".to_vec(),
        ),
        // Legacy audio.
        (Audio, None, vec![legacy(10, 0xF, Packet::Config, &[0x12, 0x10])], b"\xAF\0\x12\x10".to_vec()),
        (Audio, None, vec![legacy(10, 0xF, Packet::Frames, b"aac")], b"\xAF\x01aac".to_vec()),
    ];
    for (id, first) in [(2, 0x12), (3, 0x13), (4, 0x14), (5, 0x15), (6, 0x16)] {
        let track = Track { frame: KEY, ..legacy(id, 0, Packet::Frames, b"frame") };
        vectors.push((Video, None, vec![track], [&[first][..], b"frame"].concat()));
    }
    for id in [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 15] {
        vectors.push((
            Audio,
            None,
            vec![legacy(id, 2, Packet::Frames, b"pcm")],
            [&[id << 4 | 2][..], b"pcm"].concat(),
        ));
    }
    vectors
}

#[test]
fn every_row_of_the_tables_is_written_and_read() {
    for (kind, nano, tracks, body) in vectors() {
        let message = Message { kind, nano, tracks: &tracks };
        assert_eq!(message.encode().unwrap(), body, "{tracks:?}");
        assert_eq!(message.encoded_len().unwrap(), body.len());
        let media = parse(kind, &body).unwrap();
        assert_eq!((media.kind, media.nano), (kind, nano), "{tracks:?}");
        assert_eq!(tracks_of(kind, &body).unwrap(), tracks, "{body:02x?}");
        let mut room = vec![0; body.len() + 1];
        assert_eq!(message.encode_into(&mut room).unwrap(), Some(body.len()));
        assert_eq!(room[..body.len()], body);
        for len in 0..body.len() {
            assert_eq!(message.encode_into(&mut room[..len]).unwrap(), None);
        }
    }
}

/// As `Vector`, with a literal body.
type Row = (Kind, Option<u32>, Vec<Track<'static>>, &'static [u8]);

/// The examples of the specification, some of which could be written in fewer bytes.
fn examples() -> Vec<Vector> {
    use Kind::{Audio, Video};
    let on = |id, track| Track { id, ..track };
    let hevc = |frame, offset| frames(FourCc::HEVC, frame, offset, b"nal");
    let colours = |body| Track::new(FourCc::HEVC, Packet::Metadata, body);
    let command = Track { codec: Codec::None, ..Track::new(FourCc(0), Packet::Command, &[0]) };
    let aac = |id, body| on(id, Track::new(FourCc::AAC, Packet::Frames, body));
    let config = Track { frame: KEY, ..Track::new(FourCc::HEVC, Packet::Config, b"hvcC") };
    let layout = Track::new(FourCc::OPUS, Packet::Channels, b"\x01\x06\0\0\0\x3F");
    let obu = |frame| frames(FourCc::AV1, frame, 0, b"obu");
    let rows: [Row; 16] = [
        (Video, None, vec![config], b"\x90hvc1hvcC"),
        (Video, None, vec![hevc(KEY, 40)], b"\x91hvc1\0\0\x28nal"),
        (Video, None, vec![hevc(INTER, 0)], b"\xA3hvc1nal"),
        (Video, None, vec![obu(INTER)], b"\xA1av01obu"),
        (Video, None, vec![command], b"\xD0\0"),
        (
            Video,
            None,
            vec![colours(b"\x02\0\x09colorInfo\x03\0\0\x09")],
            b"\x94hvc1\x02\0\x09colorInfo\x03\0\0\x09",
        ),
        (Video, None, vec![colours(b"\x02\0\x09colorInfo\x06")], b"\x94hvc1\x02\0\x09colorInfo\x06"),
        (Video, None, vec![on(1, hevc(KEY, 0))], b"\x96\x01hvc1\x01\0\0\0nal"),
        (
            Video,
            None,
            vec![hevc(KEY, 0), on(1, hevc(KEY, 0))],
            b"\x96\x11hvc1\0\0\0\x06\0\0\0nal\x01\0\0\x06\0\0\0nal",
        ),
        (
            Video,
            None,
            vec![obu(KEY), on(1, hevc(KEY, 0))],
            b"\x96\x21av01\0\0\0\x03obuhvc1\x01\0\0\x06\0\0\0nal",
        ),
        (Video, Some(999_999), vec![hevc(KEY, 0)], b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\0nal"),
        (Audio, None, vec![Track::new(FourCc::OPUS, Packet::Config, b"")], b"\x90Opus"),
        (Audio, None, vec![aac(0, b"aac")], b"\x91mp4aaac"),
        (Audio, None, vec![layout], b"\x94Opus\x01\x06\0\0\0\x3F"),
        (Audio, None, vec![aac(0, b"a"), aac(1, b"bc")], b"\x95\x11mp4a\0\0\0\x01a\x01\0\0\x02bc"),
        (Audio, None, vec![Track { codec: Codec::None, ..Track::new(FourCc(0), Packet::Silence, b"") }], b""),
    ];
    rows.into_iter().map(|(kind, nano, tracks, body)| (kind, nano, tracks, body.to_vec())).collect()
}

#[test]
fn every_example_of_the_source_is_read_and_written_with_the_same_meaning() {
    for (kind, nano, tracks, body) in examples() {
        let written = Message { kind, nano, tracks: &tracks }.encode().unwrap();
        for body in [&body, &written] {
            assert_eq!(parse(kind, body).unwrap().nano, nano, "{body:02x?}");
            assert_eq!(tracks_of(kind, body).unwrap(), tracks, "{body:02x?}");
        }
        assert!(written.len() <= body.len());
    }
}

#[test]
fn no_cut_or_changed_byte_makes_the_parser_fail_badly() {
    for (kind, _, _, body) in vectors().into_iter().chain(examples()) {
        for len in 0..body.len() {
            let _ = tracks_of(kind, &body[..len]);
        }
        let mut body = body;
        for at in 0..body.len() {
            for value in 0..=255 {
                let before = std::mem::replace(&mut body[at], value);
                if let Ok(media) = parse(kind, &body) {
                    assert!(media.tracks().count() <= body.len());
                }
                body[at] = before;
            }
        }
    }
}

#[test]
fn only_headers_that_are_cut_are_errors() {
    // Up to this length the body has no track.
    for (body, header) in [
        (&b"\x91hvc1\0\0\x28nal"[..], 8),
        (b"\xA3hvc1nal", 5),
        (b"\x96\x01hvc1\x01\0\0\x01nal", 10),
        (b"\x97\x02\x0F\x42\x3F\x01hvc1\0\0\x01nal", 13),
        (b"\x27\x01\xFF\xFF\xFEnal", 5),
        (b"\xD0\0", 2),
    ] {
        for len in 0..=body.len() {
            assert_eq!(tracks_of(Kind::Video, &body[..len]).is_ok(), len >= header, "{body:02x?} {len}");
        }
    }
}

#[test]
fn reserved_values_are_errors_of_this_message_only() {
    let mut bodies: Vec<(Kind, Vec<u8>)> = Vec::new();
    for packet_type in 8..16 {
        bodies.push((Kind::Video, [&[0x90 | packet_type][..], b"hvc1\0\0\0\0"].concat()));
        bodies.push((Kind::Audio, [&[0x90 | packet_type][..], b"Opus\0\0\0\0"].concat()));
    }
    bodies.push((Kind::Audio, b"\x93Opus".to_vec()));
    bodies.push((Kind::Audio, b"\x96Opus".to_vec()));
    for frame_type in [0, 6, 7] {
        bodies.push((Kind::Video, [&[0x81 | frame_type << 4][..], b"hvc1\0\0\0"].concat()));
        bodies.push((Kind::Video, vec![frame_type << 4 | 2, 0]));
    }
    for multitrack in 3..16_u8 {
        bodies.push((Kind::Video, [&[0x96, multitrack << 4][..], b"hvc1\0\0\0\0"].concat()));
    }
    // Multitrack in multitrack, ModEx in multitrack.
    for inner in [6, 7, 8, 15] {
        bodies.push((Kind::Video, [&[0x96, inner][..], b"hvc1\0\0\0\0"].concat()));
    }
    bodies.push((Kind::Audio, b"\x95\x05Opus\0".to_vec()));
    bodies.push((Kind::Video, b"\x17\x03\0\0\0".to_vec()));
    bodies.push((Kind::Audio, b"\xAF\x02".to_vec()));
    bodies.push((Kind::Video, Vec::new()));
    for (kind, body) in bodies {
        assert!(tracks_of(kind, &body).is_err(), "{kind:?} {body:02x?}");
    }
}

#[test]
fn metadata_is_known_by_its_packet_type_whatever_the_frame_type() {
    // OBS, FFmpeg, and the frame type of commands.
    for first in [0x84, 0x94, 0xA4, 0xD4, 0xF4] {
        let body = [&[first][..], b"hvc1hdr"].concat();
        let expected = Track::new(FourCc::HEVC, Packet::Metadata, b"hdr");
        assert_eq!(tracks_of(Kind::Video, &body).unwrap(), [expected], "{first:02x}");
        let wrapped = [&[first & 0xF0 | 6, 0x04][..], b"hvc1\x02hdr"].concat();
        let result = tracks_of(Kind::Video, &wrapped);
        match first >> 4 & 7 {
            1 | 2 => assert_eq!(result.unwrap(), [Track { id: 2, ..expected }]),
            // The packet type before it is that of a multitrack message, so the frame type counts.
            5 => assert_eq!(result.unwrap()[0].packet, Packet::Command),
            _ => assert!(result.is_err()),
        }
    }
}

#[test]
fn key_frames_are_frames_whose_frame_type_says_so() {
    for (body, is_key) in [
        (&b"\x91hvc1\0\0\0n"[..], true),
        (b"\x93hvc1n", true),
        (b"\x97\x02\0\0\0\x03hvc1n", true),
        (b"\x96\x03hvc1\x05n", true),
        (b"\x17\x01\0\0\0n", true),
        (b"\x12n", true),
        (b"\x90hvc1c", false),
        (b"\x92hvc1", false),
        (b"\x94hvc1m", false),
        (b"\xA1hvc1\0\0\0n", false),
        (b"\xC1hvc1\0\0\0n", false),
        (b"\x17\0\0\0\0c", false),
        (b"\x27\x01\0\0\0n", false),
        (b"\x57\0", false),
    ] {
        assert_eq!(tracks_of(Kind::Video, body).unwrap()[0].is_key_frame(), is_key, "{body:02x?}");
    }
    assert!(!tracks_of(Kind::Audio, b"\x91Opusx").unwrap()[0].is_key_frame());
}

/// `count` elements with unknown data, before a coded frame of AV1.
fn modex_chain(count: usize) -> Vec<u8> {
    let mut body = vec![0x97];
    for element in 1..=count {
        body.extend([0, 0xEE, 0xF0 | if element == count { 1 } else { 7 }]);
    }
    [&body[..], b"av01x"].concat()
}

#[test]
fn chains_of_modex_elements_have_a_bound() {
    for (count, is_read) in [(1, true), (7, true), (8, true), (9, false), (10, false), (10_000, false)] {
        let body = modex_chain(count);
        let tracks = tracks_of(Kind::Video, &body);
        assert_eq!(tracks.is_ok(), is_read, "{count}");
        if let Ok(tracks) = tracks {
            assert_eq!(tracks, [frames(FourCc::AV1, KEY, 0, b"x")]);
        }
    }
}

#[test]
fn modex_elements_have_1_to_65536_bytes() {
    for size in [1, 2, 3, 4, 255, 256, 257, 65_535, 65_536] {
        let header = match size {
            1..=255 => vec![(size - 1) as u8],
            size => [&[0xFF][..], &((size - 1) as u16).to_be_bytes()].concat(),
        };
        let data = [&[0, 0, 7][..], &vec![9; size]].concat();
        for (kind, modex_type, expected) in [
            (Kind::Video, 0, (size >= 3).then_some(7)),
            (Kind::Audio, 0, (size >= 3).then_some(7)),
            (Kind::Video, 1, None),
        ] {
            let tail: &[u8] = if kind == Kind::Video { b"av01x" } else { b"Opusx" };
            let body = [&[0x97][..], &header, &data[..size], &[modex_type << 4 | 1], tail].concat();
            let media = parse(kind, &body).unwrap();
            assert_eq!(media.nano, expected, "{kind:?} {size}");
            assert_eq!(media.tracks().next().unwrap().unwrap().body, b"x");
            // One byte less than its size.
            assert!(parse(kind, &body[..header.len() + size]).is_err());
        }
    }
}

#[test]
fn nanoseconds_of_a_millisecond_or_more_are_ignored() {
    let body = b"\x97\x02\x0F\x42\x40\x01av01x";
    let media = parse(Kind::Video, body).unwrap();
    assert_eq!((media.nano, media.tracks().count()), (None, 1));
    // The last of several elements counts.
    let body = b"\x97\x02\0\0\x01\x07\x02\0\0\x02\x01av01x";
    assert_eq!(parse(Kind::Video, body).unwrap().nano, Some(2));
}

#[test]
fn nanoseconds_and_tracks_may_surround_any_packet() {
    let body = b"\xA7\x02\0\0\x09\x06\x10hvc1\x01\0\0\x04conf\x02\0\0\0";
    let media = parse(Kind::Video, body).unwrap();
    assert_eq!(media.nano, Some(9));
    let config = Track { frame: INTER, id: 1, ..Track::new(FourCc::HEVC, Packet::Config, b"conf") };
    let tracks = media.tracks().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(tracks, [config, Track { id: 2, body: b"", ..config }]);
}

#[test]
fn tracks_that_lie_about_their_size_end_a_message_and_leave_the_others() {
    for (sizes, good, fails) in [
        ([0, 0], 2, false),
        ([2, 3], 2, false),
        ([2, 4], 1, true),
        ([2, 0xFF_FFFF], 1, true),
        ([0xFF_FFFF, 0], 0, true),
        ([6, 0], 0, true),
    ] {
        let mut body = b"\x95\x11Opus".to_vec();
        for (id, size) in sizes.into_iter().enumerate() {
            body.push(id as u8);
            body.extend(&u32::to_be_bytes(size)[1..]);
            // The number of bytes that there would be if the sizes were 2 and 3.
            let there = if sizes == [0, 0] { 0 } else { 2 + id };
            body.extend(vec![0xAA; there]);
        }
        let results = parse(Kind::Audio, &body).unwrap().tracks().collect::<Vec<_>>();
        let read = results.iter().filter(|track| track.is_ok()).count();
        // A size that is slightly too large takes bytes of the next track.
        if sizes == [6, 0] {
            assert!(results.iter().any(Result::is_err), "{results:?}");
            continue;
        }
        assert_eq!((read, results.len() > read), (good, fails), "{sizes:?}");
    }
    // The composition time offset is part of the size.
    for size in 0..3 {
        let body = [b"\x96\x11hvc1\x00\0\0", &[size][..], &vec![0; usize::from(size)]].concat();
        assert!(tracks_of(Kind::Video, &body).is_err());
    }
    assert!(parse(Kind::Video, b"\x96\x11hvc1").is_err());
    assert!(parse(Kind::Video, b"\x96\x21").is_err());
}

#[test]
fn invalid_messages_are_not_written() {
    use Kind::{Audio, Video};
    let opus = Track::new(FourCc::OPUS, Packet::Frames, b"x");
    let hevc = Track::new(FourCc::HEVC, Packet::Frames, b"x");
    let one = |id| Track { id, ..opus };
    let silence = Track { codec: Codec::None, packet: Packet::Silence, body: b"", ..opus };
    let long = vec![0; 0x100_0000];
    let cases: Vec<(Kind, Option<u32>, Vec<Track<'_>>)> = vec![
        (Audio, None, vec![]),
        (Audio, None, vec![one(1), one(1)]),
        (Audio, None, vec![one(0), Track { packet: Packet::Config, ..one(1) }]),
        (Video, None, vec![hevc, Track { id: 1, frame: KEY, ..hevc }]),
        (Video, None, vec![hevc, Track { id: 1, ..legacy(7, 0, Packet::Frames, b"x") }]),
        (Audio, None, vec![Track { packet: Packet::Metadata, ..opus }]),
        (Audio, None, vec![Track { packet: Packet::TsConfig, ..opus }]),
        (Audio, None, vec![Track { packet: Packet::Command, body: &[0], ..opus }]),
        (Video, None, vec![Track { packet: Packet::Channels, ..hevc }]),
        (Video, None, vec![Track { packet: Packet::Silence, ..hevc }]),
        (Video, None, vec![Track { packet: Packet::Command, body: &[0], ..hevc }]),
        (Video, None, vec![Track { codec: Codec::None, packet: Packet::Command, body: &[0, 0], ..hevc }]),
        (Video, None, vec![Track { offset: 0x80_0000, ..hevc }]),
        (Video, None, vec![hevc, Track { id: 1, offset: -0x80_0001, ..hevc }]),
        (Audio, Some(1_000_000), vec![opus]),
        (Audio, Some(0), vec![legacy(10, 15, Packet::Frames, b"")]),
        (Audio, Some(0), vec![silence]),
        (Audio, None, vec![Track { body: b"x", ..silence }]),
        (Audio, None, vec![silence, Track { id: 1, ..silence }]),
        (Audio, None, vec![Track { codec: Codec::None, ..opus }]),
        (Audio, None, vec![Track { packet: Packet::Silence, ..opus }]),
        (Audio, None, vec![legacy(9, 0, Packet::Frames, b"")]),
        (Audio, None, vec![legacy(16, 0, Packet::Frames, b"")]),
        (Audio, None, vec![legacy(2, 16, Packet::Frames, b"")]),
        (Audio, None, vec![legacy(2, 0, Packet::Config, b"")]),
        (Video, None, vec![legacy(2, 0, Packet::Config, b"")]),
        (Video, None, vec![legacy(7, 0, Packet::TsConfig, b"")]),
        (Video, None, vec![Track { id: 1, ..legacy(7, 0, Packet::Frames, b"") }]),
        (Audio, None, vec![one(0), Track { body: &long, ..one(1) }]),
    ];
    for (kind, nano, tracks) in cases {
        let result = Message { kind, nano, tracks: &tracks }.encode();
        assert!(
            result.is_err(),
            "{kind:?} {:?}",
            tracks.iter().map(|track| track.packet).collect::<Vec<_>>()
        );
    }
}

/// Numbers from a linear congruential generator.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

#[test]
fn messages_that_were_written_can_be_read() {
    const DATA: &[u8] = b"any bytes will do as the data of a track";
    let mut numbers = Numbers(1);
    for _ in 0..20_000 {
        let kind = numbers.one_of(&[Kind::Audio, Kind::Video]);
        let packet = match kind {
            Kind::Audio => numbers.one_of(&[Packet::Config, Packet::Frames, Packet::End, Packet::Channels]),
            Kind::Video => numbers.one_of(&[
                Packet::Config,
                Packet::TsConfig,
                Packet::Frames,
                Packet::End,
                Packet::Metadata,
            ]),
        };
        let frame = (kind == Kind::Video && packet != Packet::Metadata)
            .then(|| numbers.one_of(&[Frame::Key, Frame::Inter, Frame::Disposable, Frame::GeneratedKey]));
        let first = numbers.below(256);
        let codecs = [FourCc::AVC, FourCc::HEVC, FourCc::AV1, FourCc::OPUS, FourCc(0), FourCc(u32::MAX)];
        let codec = numbers.one_of(&codecs);
        let one_codec = numbers.below(2) == 0;
        let tracks: Vec<_> = (0..numbers.one_of(&[1, 1, 2, 3, 7]))
            .map(|number| {
                let codec = if one_codec { codec } else { numbers.one_of(&codecs) };
                let has_offset =
                    kind == Kind::Video && packet == Packet::Frames && codec.has_composition_time();
                Track {
                    codec: Codec::FourCc(codec),
                    id: ((first + number) % 256) as u8,
                    packet,
                    frame,
                    offset: if has_offset {
                        numbers.one_of(&[0, 0, 1, -1, 0x7F_FFFF, -0x80_0000])
                    } else {
                        0
                    },
                    body: &DATA[..numbers.below(DATA.len() + 1)],
                }
            })
            .collect();
        let nano = numbers.one_of(&[None, None, Some(0), Some(1), Some(999_999)]);
        let body = Message { kind, nano, tracks: &tracks }.encode().unwrap();
        let media = parse(kind, &body).unwrap();
        assert_eq!((media.kind, media.nano), (kind, nano));
        assert_eq!(media.tracks().collect::<Result<Vec<_>>>().unwrap(), tracks, "{body:02x?}");
    }
}
