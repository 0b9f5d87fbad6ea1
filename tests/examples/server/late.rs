//! What a player gets that comes late: per track metadata, configuration, layout, and frames from a key frame on.

use super::client::{Client, server};
use crate::support::amf::{self, Value, n, object, s};
use crate::support::peer::PATIENCE;
use crate::support::{Library, hex};

/// Bodies as hexadecimal digits. The codec of those that have one is HEVC or Opus.
const CONFIG_0: &str = "90 68766331 c0";
const CONFIG_1: &str = "96 00 68766331 01 c1";
const KEY_0: &str = "93 68766331 a0";
const KEY_1: &str = "96 03 68766331 01 a1";
const FRAME_0: &str = "a3 68766331 b0";
const FRAME_1: &str = "a6 03 68766331 01 b1";
const AUDIO_CONFIG_0: &str = "90 4f707573 d0";
const AUDIO_CONFIG_1: &str = "95 00 4f707573 01 d1";
const AUDIO_CONFIG_2: &str = "97 02 0f423f 05 00 4f707573 02 d2";
const LAYOUT_0: &str = "94 4f707573 01 02 00000003";
const LAYOUT_1: &str = "95 04 4f707573 01 01 06 0000003f";
const SOUND: &str = "91 4f707573 e0";
const COLOR_0: &str = "94 68766331 020009 636f6c6f72496e666f 06";
const COLOR_1: &str = "96 04 68766331 01 020009 636f6c6f72496e666f 06";

fn body(text: &str) -> Vec<u8> {
    hex::decode(&text.replace(' ', ""))
}

/// Audio and video have the same packet types in part: these are audio.
const AUDIO: [&str; 6] = [AUDIO_CONFIG_0, AUDIO_CONFIG_1, AUDIO_CONFIG_2, LAYOUT_0, LAYOUT_1, SOUND];

fn kind_of(text: &str) -> u8 {
    if AUDIO.contains(&text) { 8 } else { 9 }
}

/// What a player gets that joins behind `sent`, of messages that are audio, video or data.
fn late_player(sent: &[(u8, Vec<u8>)]) -> Option<Vec<(u8, String)>> {
    let (server, _folder) = server(Library::Ours, &[])?;
    let mut publisher = Client::publisher(&server, "live", "a");
    for (time, (kind, body)) in (0..).step_by(20).zip(sent) {
        publisher.media(1, *kind, time, body);
    }
    publisher.assert_alive();
    let mut player = Client::player(&server, "live", "a");
    // Data of another kind comes through at any time, once a player waits for nothing.
    let last = amf::encode(&[s("onLast")]);
    publisher.media(1, 18, 10_000, &last);
    let mut got = Vec::new();
    loop {
        let message = player.next_media(PATIENCE).expect("the last message comes");
        if message.body == last {
            return Some(got);
        }
        got.push((message.kind, hex::encode(&message.body)));
    }
}

/// A player that comes behind `sent` gets `wanted`, in that order.
fn late_player_gets(sent: &[&str], wanted: &[&str]) {
    let sent: Vec<_> = sent.iter().map(|text| (kind_of(text), body(text))).collect();
    let wanted: Vec<_> = wanted.iter().map(|text| (kind_of(text), text.replace(' ', ""))).collect();
    assert_eq!(need!(late_player(&sent)), wanted);
}

#[test]
fn each_track_begins_with_its_own_key_frame() {
    // The key frame of track 1 takes nothing from track 0, and the other way round.
    late_player_gets(
        &[CONFIG_0, CONFIG_1, KEY_0, FRAME_0, KEY_1, FRAME_0, FRAME_1],
        &[CONFIG_0, CONFIG_1, KEY_0, FRAME_0, KEY_1, FRAME_0, FRAME_1],
    );
    // What track 1 sent before its key frame is of no use.
    late_player_gets(
        &[CONFIG_0, CONFIG_1, KEY_1, FRAME_1, KEY_0, FRAME_0, FRAME_1, KEY_1, FRAME_0, FRAME_1],
        &[CONFIG_0, CONFIG_1, KEY_0, FRAME_0, KEY_1, FRAME_0, FRAME_1],
    );
}

#[test]
fn a_track_that_has_ended_is_not_waited_for() {
    let end = "96 02 68766331 01";
    late_player_gets(
        &[CONFIG_0, CONFIG_1, KEY_0, KEY_1, FRAME_0, end, KEY_0, FRAME_0],
        &[CONFIG_0, CONFIG_1, KEY_0, FRAME_0],
    );
}

/// Without a word: what is kept since its key frame grows to its bound, and no longer.
#[test]
fn silent_track_is_given_up() {
    let sent = [&[CONFIG_0, CONFIG_1, KEY_1][..], &[KEY_0, FRAME_0].repeat(3000)].concat();
    let sent: Vec<_> = sent.iter().map(|text| (9, body(text))).collect();
    let got = need!(late_player(&sent));
    let wanted = [CONFIG_0, CONFIG_1, KEY_0, FRAME_0].map(|text| (9, text.replace(' ', "")));
    assert_eq!(got, wanted);
}

#[test]
fn everything_that_decoders_need_is_kept_per_track() {
    let headers = [CONFIG_0, COLOR_0, CONFIG_1, COLOR_1, AUDIO_CONFIG_0, LAYOUT_0, AUDIO_CONFIG_1, LAYOUT_1];
    let frames = [KEY_0, SOUND, KEY_1, SOUND];
    let sent = [&headers[..], &[AUDIO_CONFIG_2], &frames].concat();
    late_player_gets(&sent, &sent);
    // Colours stand before the configuration in the streams of some publishers.
    let sent = [&[COLOR_0, CONFIG_0, COLOR_1][..], &[CONFIG_1], &frames].concat();
    late_player_gets(&sent, &sent);
}

#[test]
fn newer_configuration_replaces_the_old_one() {
    let newer = ["90 68766331 c2", "96 00 68766331 01 c3"];
    let color = "84 68766331 020009 636f6c6f72496e666f 05";
    late_player_gets(
        &[CONFIG_0, CONFIG_1, COLOR_0, KEY_0, newer[0], color, KEY_0, FRAME_0],
        &[CONFIG_1, newer[0], color, KEY_0, FRAME_0],
    );
    late_player_gets(&[CONFIG_0, CONFIG_1, KEY_0, newer[1], KEY_0], &[CONFIG_0, newer[1], KEY_0]);
}

/// A configuration that changes between two key frames comes where it was sent.
#[test]
fn a_configuration_stays_among_the_frames_that_it_is_for() {
    let newer = "90 68766331 c2";
    late_player_gets(
        &[CONFIG_0, KEY_0, FRAME_0, newer, FRAME_0],
        &[CONFIG_0, KEY_0, FRAME_0, newer, FRAME_0],
    );
}

#[test]
fn a_message_for_many_tracks_counts_for_each() {
    let configs = "96 10 68766331 00 000001 c0 05 000001 c5";
    let codecs = "96 20 61763031 00 000001 c0 68766331 ff 000001 cf";
    let key = "96 13 68766331 00 000001 a0 05 000001 a5";
    let frame = "a6 13 68766331 00 000001 b0 05 000001 b5";
    late_player_gets(&[configs, frame, key, frame], &[configs, key, frame]);
    late_player_gets(&[configs, codecs, key], &[configs, codecs, key]);
    // Track 0 has a newer one, track 5 still needs the old.
    late_player_gets(&[configs, CONFIG_0, key], &[configs, CONFIG_0, key]);
    late_player_gets(&[CONFIG_0, configs, key], &[configs, key]);
}

#[test]
fn modex_prefixes_are_skipped() {
    let config = "97 02 0f423f 00 68766331 c0";
    let twice = "97 00 77 07 00 77 00 68766331 c0";
    let long = format!("97 ff 00ff {} 00 68766331 c0", "77".repeat(256));
    let key = "97 02 0f423f 03 68766331 a0";
    let around = "97 02 0f423f 06 00 68766331 01 c1";
    for config in [config, twice, &long] {
        late_player_gets(&[config, around, key, FRAME_0], &[config, around, key, FRAME_0]);
    }
    let chain = |count: usize| {
        format!("90 {}00 68766331 c0", "")
            .replace("90 ", &format!("97 {}", "00 77 07 ".repeat(count - 1) + "00 77 "))
    };
    late_player_gets(&[&chain(8), KEY_0], &[&chain(8), KEY_0]);
    late_player_gets(&[&chain(9), KEY_0], &[KEY_0]);
}

#[test]
fn commands_and_damaged_messages_change_no_state() {
    // Seeking, as clients of old and new formats say it; with the codec of AVC it looks like a configuration.
    let commands = ["57 00", "57 01", "d0 00", "52 00", "d1 01"];
    let reserved = ["98 68766331 00", "9f", "96 30 68766331 01 c1", "96 07 68766331 01", "96 06 68766331 01"];
    let cut = [
        "90",
        "90 687663",
        "96",
        "96 00",
        "96 00 68766331",
        "96 10 68766331 00 000002 c0",
        "97",
        "97 ff ff",
        "97 05 00",
    ];
    for bad in commands.iter().chain(&reserved).chain(&cut) {
        late_player_gets(&[CONFIG_0, KEY_0, bad, FRAME_0], &[CONFIG_0, KEY_0, FRAME_0]);
        late_player_gets(&[CONFIG_0, bad, KEY_0], &[CONFIG_0, KEY_0]);
    }
}

#[test]
fn streams_of_old_formats_are_taken_up_at_a_key_frame() {
    let avc = ["17 00 000000 01", "17 01 000000 02", "27 01 000000 03"];
    late_player_gets(&[avc[2], avc[0], avc[1], avc[2]], &avc);
    late_player_gets(&[avc[0], avc[1], avc[2], "17 02 000000"], &[avc[0]]);
    late_player_gets(&["12 02", "22 03"], &["12 02", "22 03"]);
}

#[test]
fn metadata_comes_first_and_in_its_latest_form() {
    let metadata = |width: f64| amf::encode(&[s("onMetaData"), object(&[("width", n(width))])]);
    let set = |width: f64| [amf::encode(&[s("@setDataFrame")]), metadata(width)].concat();
    let video = |text: &str| (9, body(text));
    let sent = [(18, set(1.0)), video(CONFIG_0), video(KEY_0), (18, metadata(2.0)), video(KEY_0)];
    let got = need!(late_player(&sent));
    let wanted = [
        (18, hex::encode(&metadata(2.0))),
        (9, hex::encode(&body(CONFIG_0))),
        (9, hex::encode(&body(KEY_0))),
    ];
    assert_eq!(got, wanted);
    let data = amf::encode(&[s("onTextData"), Value::Null]);
    let got = need!(late_player(&[(18, set(1.0)), (18, data)]));
    assert_eq!(got, [(18, hex::encode(&metadata(1.0)))], "what is not metadata is for those who are there");
}

#[test]
fn each_track_may_have_metadata_of_its_own() {
    let metadata = |members: &[(&str, Value)]| (18, amf::encode(&[s("onMetaData"), object(members)]));
    let of = |id: f64, medium: &str, width: f64| {
        metadata(&[("trackId", n(id)), ("mediaType", s(medium)), ("width", n(width))])
    };
    let whole = metadata(&[("videoTrackIdInfoMap", object(&[("1", object(&[("width", n(640))]))]))]);
    let all =
        [whole, of(0.0, "video", 1.0), of(0.0, "audio", 2.0), of(1.0, "video", 3.0), of(1.0, "audio", 4.0)];
    let sent: Vec<_> = all.iter().cloned().chain([of(1.0, "video", 5.0), of(-1.0, "audio", 6.0)]).collect();
    let wanted: Vec<_> = [0, 1, 4, 5, 6].iter().map(|i| (18, hex::encode(&sent[*i].1))).collect();
    assert_eq!(need!(late_player(&sent)), wanted);
}

/// More tracks, and longer headers, than are kept: the stream continues.
#[test]
fn memory_for_late_players_is_limited() {
    let configs: Vec<_> = (0..=255).map(|id| (8, [&body("95 00 4f707573")[..], &[id; 2]].concat())).collect();
    let got = need!(late_player(&configs));
    let sent: Vec<_> = configs.iter().map(|(kind, body)| (*kind, hex::encode(body))).collect();
    assert_eq!(got, sent[..64]);
    let long = [&body(CONFIG_0)[..], &vec![0; 2 << 20]].concat();
    let got = need!(late_player(&[(9, long), (9, body(KEY_0))]));
    assert_eq!(got, [(9, hex::encode(&body(KEY_0)))]);
}

/// Frames beyond the bound are let go, and players wait for the next key frame, without sound meanwhile.
#[test]
fn player_waits_for_the_next_key_frame_if_the_last_is_too_old() {
    let (server, _folder) = need!(server(Library::Ours, &[]));
    let mut publisher = Client::publisher(&server, "live", "a");
    for message in [CONFIG_0, KEY_0] {
        publisher.media(1, 9, 0, &body(message));
    }
    for time in 1..5000 {
        publisher.media(1, 9, time, &body(FRAME_0));
    }
    publisher.assert_alive();
    let mut player = Client::player(&server, "live", "a");
    publisher.media(1, 9, 6000, &body(FRAME_0));
    publisher.media(1, 8, 6000, &body(SOUND));
    publisher.media(1, 9, 6000, &body(KEY_0));
    assert_eq!(player.media_until(&body(KEY_0)), [body(CONFIG_0), body(KEY_0)]);
}

/// A tag of an FLV file.
fn tag(kind: u8, time: u32, body: &[u8]) -> Vec<u8> {
    let size = body.len() as u32;
    let header = [&[kind][..], &size.to_be_bytes()[1..], &time.to_be_bytes()[1..], &[0; 4]].concat();
    [&header, body, &(11 + size).to_be_bytes()].concat()
}

/// Seeking in a file sends the headers of all tracks again.
#[test]
fn playing_a_file_from_the_middle_begins_with_the_headers_of_all_tracks() {
    let (server, folder) = need!(server(Library::Ours, &[]));
    let sent = [CONFIG_0, CONFIG_1, AUDIO_CONFIG_0, LAYOUT_0, AUDIO_CONFIG_1, KEY_0, FRAME_0];
    let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    for text in sent {
        file.extend(tag(kind_of(text), 0, &body(text)));
    }
    for (time, text) in [(1000, KEY_0), (1020, FRAME_0)] {
        file.extend(tag(9, time, &body(text)));
    }
    std::fs::write(folder.join("film.flv"), file).expect("the build directory is writable");
    let mut player = Client::connect(&server, "vod");
    let stream = player.create();
    player.command(stream, "play", &[s("film"), n(1000)]);
    let got = player.media_until(&body(FRAME_0));
    let wanted = [CONFIG_0, CONFIG_1, AUDIO_CONFIG_0, LAYOUT_0, AUDIO_CONFIG_1, KEY_0, FRAME_0].map(body);
    assert_eq!(got, wanted);
}
