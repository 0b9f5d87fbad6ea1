//! Enhanced RTMP with FFmpeg: what it publishes to our server arrives tag for tag at players that come early and late, each
//! of which can be decoded from its first frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rtmp_core::media::{self, Codec, FourCc, Kind, Packet};
use rtmp_core::message::MessageType;

use crate::support::flv::{self, Tag};
use crate::support::relay::Relay;
use crate::support::{Library, Program, Running, TempDir, foreign, wait_until};

const LIMIT: Duration = Duration::from_secs(120);

/// What FFmpeg publishes: how it encodes, and the codecs that have to arrive, with the number of the track.
struct Stream {
    name: &'static str,
    options: &'static str,
    tracks: &'static [(Kind, u8, FourCc)],
    /// Packets besides configurations and frames.
    packets: &'static [Packet],
}

const STREAMS: [Stream; 7] = [
    Stream {
        name: "hevc-opus",
        options: "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a libopus",
        tracks: &[(Kind::Video, 0, FourCc::HEVC), (Kind::Audio, 0, FourCc::OPUS)],
        packets: &[Packet::Channels],
    },
    Stream {
        name: "hdr10",
        options: "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 \
                  -colorspace bt2020nc -x265-params log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:\
                  master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1):max-cll=1000,400 \
                  -c:a aac",
        tracks: &[(Kind::Video, 0, FourCc::HEVC)],
        packets: &[Packet::Metadata],
    },
    Stream {
        name: "av1-flac",
        options: "-c:v libaom-av1 -cpu-used 8 -usage realtime -c:a flac",
        tracks: &[(Kind::Video, 0, FourCc::AV1), (Kind::Audio, 0, FourCc::FLAC)],
        packets: &[],
    },
    Stream {
        name: "vp9-ac3",
        options: "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a ac3",
        tracks: &[(Kind::Video, 0, FourCc::VP9), (Kind::Audio, 0, FourCc::AC3)],
        packets: &[],
    },
    Stream {
        name: "avc-eac3-surround",
        options: "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a eac3 -ac 6",
        tracks: &[(Kind::Audio, 0, FourCc::EAC3)],
        packets: &[Packet::Channels],
    },
    Stream {
        name: "vvc-opus-surround",
        options: "-c:v libvvenc -preset faster -c:a libopus -ac 6",
        tracks: &[(Kind::Video, 0, FourCc::VVC), (Kind::Audio, 0, FourCc::OPUS)],
        packets: &[Packet::Channels],
    },
    Stream {
        name: "multitrack",
        options: "-map 0:v -map 0:v -map 1:a -map 1:a -c:v libx265 -preset ultrafast -x265-params log-level=error \
                  -s:v:1 64x48 -c:a:0 aac -c:a:1 libopus",
        tracks: &[
            (Kind::Video, 0, FourCc::HEVC),
            (Kind::Video, 1, FourCc::HEVC),
            (Kind::Audio, 1, FourCc::OPUS),
        ],
        packets: &[],
    },
];

/// Publishes a picture and a tone with a key frame each half second, at the pace of the clock, until it is told to stop.
fn publish(ffmpeg: &Path, stream: &Stream, url: &str) -> Running {
    let mut command = Command::new(ffmpeg);
    command.args(
        "-hide_banner -loglevel error -re -f lavfi -i mandelbrot=size=320x240:rate=20 -re -f lavfi"
            .split(' '),
    );
    command.args(["-i", "sine=r=48000", "-t", "100", "-g", "10"]).args(stream.options.split_whitespace());
    Running::start(command.args(["-f", "flv", url]))
}

/// Starts `receive` for a live stream.
fn receive(file: &Path, url: &str) -> Option<Running> {
    let mut command = Program::example("receive")?.command(Library::Ours)?;
    command.args(["--live", "-t", "60", "-o", &file.to_string_lossy(), url]);
    Some(Running::start(&mut command))
}

/// The frames of video in a file, as far as it is written. Until it is complete, `receive` gives it another name.
fn pictures(file: &Path) -> usize {
    let part = file.with_extension("flv.part");
    let has_header = |file: &Path| fs::metadata(file).is_ok_and(|found| found.len() >= 13);
    let Some(file) = [&part, file].into_iter().find(|file| has_header(file)) else { return 0 };
    flv::load_part(file).iter().filter(|tag| tag.kind == 9).count()
}

/// FFmpeg decodes the whole file without a complaint, all of its tracks.
fn assert_decodable(ffmpeg: &Path, file: &Path, what: &str) {
    let mut command = Command::new(ffmpeg);
    command.args(["-hide_banner", "-loglevel", "error", "-xerror", "-i"]).arg(file);
    let mut running = Running::start(command.args(["-map", "0:v", "-map", "0:a", "-f", "null", "-"]));
    let status = running.wait(LIMIT).unwrap_or_else(|| panic!("{what}: ffmpeg still decodes"));
    assert!(status.success() && running.stderr().is_empty(), "{what}: {}", running.stderr());
}

/// Each track of a tag that is there as a whole.
fn tracks(tag: &Tag) -> Vec<media::Track<'_>> {
    let Some(kind) = Kind::of(MessageType(tag.kind)) else { return Vec::new() };
    let media = media::parse(kind, &tag.body).expect("FFmpeg writes what can be read");
    media.tracks().collect::<Result<_, _>>().expect("FFmpeg writes what can be read")
}

/// Tracks, codecs and packets of a stream are there.
fn assert_contents(stream: &Stream, tags: &[Tag], what: &str) {
    let all: Vec<_> = tags
        .iter()
        .flat_map(|tag| {
            tracks(tag).into_iter().map(|track| (Kind::of(MessageType(tag.kind)).unwrap(), track))
        })
        .collect();
    for &(kind, id, codec) in stream.tracks {
        let is_there = all.iter().any(|(of, track)| {
            *of == kind
                && track.id == id
                && track.codec == Codec::FourCc(codec)
                && track.packet == Packet::Frames
        });
        assert!(is_there, "{what}: {kind:?} track {id} of {codec}");
    }
    for packet in stream.packets {
        assert!(all.iter().any(|(_, track)| track.packet == *packet), "{what}: {packet:?}");
    }
}

/// What a late player gets: the state of each track, then the stream from a key frame of the track on.
fn assert_late(all: &[Tag], late: &[Tag], what: &str) {
    let is_state = |tag: &Tag| tag.kind == 18 || tracks(tag).iter().all(|track| track.packet.is_state());
    let first = late.iter().position(|tag| !is_state(tag)).unwrap_or_else(|| panic!("{what}: no frames"));
    // `receive` writes the duration into the metadata.
    for tag in late[..first].iter().filter(|tag| tag.kind != 18) {
        assert!(all.iter().any(|sent| sent.kind == tag.kind && sent.body == tag.body), "{what}: made up");
    }
    // Each track of video begins with a key frame.
    let mut begun = Vec::new();
    for tag in late.iter().filter(|tag| tag.kind == 9) {
        for track in tracks(tag).into_iter().filter(|track| track.packet == Packet::Frames) {
            if !begun.contains(&track.id) {
                assert!(track.is_key_frame(), "{what}: track {} does not begin with a key frame", track.id);
                begun.push(track.id);
            }
        }
    }
    let rest: Vec<&Tag> = late[first..].iter().collect();
    // Nothing is missing from there on, apart from frames of tracks that have not begun.
    let mut expected = all.iter().skip_while(|tag| tag.body != rest[0].body || tag.kind != rest[0].kind);
    for tag in &rest {
        assert!(expected.any(|sent| sent.kind == tag.kind && sent.body == tag.body), "{what}: out of order");
    }
    assert!(expected.next().is_none(), "{what}: the end is missing");
}

fn relays(stream: &Stream) {
    let ffmpeg = need!(foreign::ffmpeg());
    let directory = TempDir::new("enhanced");
    let folder = directory.join("recorded");
    let relay = need!(Relay::start(Library::Ours, &["-r", &folder.to_string_lossy()]));
    let url = relay.url(stream.name);
    let [early, late, played] = ["early.flv", "late.flv", "played.flv"].map(|name| directory.join(name));
    let mut players = vec![need!(receive(&early, &url))];
    relay.wait_for_log("plays");
    let mut publisher = publish(&ffmpeg, stream, &url);
    let mut wait_for = |file: &Path| {
        let ready = wait_until(LIMIT, || pictures(file) > 30 || publisher.ended().is_some());
        assert!(ready && publisher.ended().is_none(), "{}: {}", stream.name, publisher.stderr());
    };
    wait_for(&early);
    players.push(need!(receive(&late, &url)));
    let mut command = Command::new(&ffmpeg);
    command.args([
        "-hide_banner",
        "-loglevel",
        "error",
        "-y",
        "-rtmp_live",
        "live",
        "-i",
        &url,
        "-map",
        "0:v",
    ]);
    let mut player =
        Running::start(command.args(["-map", "0:a", "-c", "copy", "-copyts", "-f", "flv"]).arg(&played));
    wait_for(&late);
    wait_for(&played);
    publisher.signal("INT");
    assert!(publisher.wait(LIMIT).is_some(), "{}: ffmpeg still publishes", stream.name);
    for player in &mut players {
        assert!(player.wait(LIMIT).is_some_and(|status| status.success()), "{}", player.stderr());
    }
    assert!(player.wait(LIMIT).is_some(), "{}: ffmpeg still plays: {}", stream.name, player.stderr());

    let recording = folder.join(format!("{}.flv", stream.name));
    let complete = || flv::parse(&fs::read(&recording).unwrap_or_default()).is_ok();
    assert!(wait_until(LIMIT, complete), "{}: no recording at {}", stream.name, recording.display());
    let recorded = flv::load(&recording);
    assert_contents(stream, &recorded, stream.name);
    let readable = flv::media(&flv::readable(&recorded));
    flv::assert_equal(&readable, &flv::media(&flv::load(&early)), &format!("{}, early player", stream.name));
    assert_late(&flv::readable(&recorded), &flv::load(&late), &format!("{}, late player", stream.name));
    for file in [&recording, &early, &late, &played] {
        assert_decodable(&ffmpeg, file, &format!("{} {}", stream.name, file.display()));
    }
    vod(&ffmpeg, stream, &recording, &directory);
}

/// The recording is played as a file, from the beginning and from the middle.
fn vod(ffmpeg: &Path, stream: &Stream, recording: &Path, directory: &TempDir) {
    let folder: PathBuf = directory.join("files");
    fs::create_dir(&folder).expect("the directory is ours");
    fs::copy(recording, folder.join("film.flv")).expect("the directory is ours");
    let relay = need!(Relay::start(Library::Ours, &["-d", &folder.to_string_lossy()]));
    let recorded = flv::media(&flv::readable(&flv::load(recording)));
    for (start, name) in [("0", "whole.flv"), ("2.2", "part.flv")] {
        let file = directory.join(name);
        let mut command = need!(need!(Program::example("receive")).command(Library::Ours));
        command.args(["-t", "60", "-o", &file.to_string_lossy(), &relay.url("film")]);
        if start != "0" {
            command.args(["--start", start]);
        }
        let mut running = Running::start(&mut command);
        assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
        let tags = flv::media(&flv::load(&file));
        if start == "0" {
            flv::assert_equal(&recorded, &tags, &format!("{}, file", stream.name));
        } else {
            assert!(tags.len() < recorded.len(), "{}: nothing was left out", stream.name);
        }
        assert_decodable(ffmpeg, &file, &format!("{} {name}", stream.name));
    }
}

macro_rules! streams {
    ($($test:ident $index:literal,)*) => {
        $(#[test]
        fn $test() {
            relays(&STREAMS[$index]);
        })*
    };
}

streams! {
    hevc_and_opus_arrive 0,
    hdr10_arrives 1,
    av1_and_flac_arrive 2,
    vp9_and_ac3_arrive 3,
    eac3_with_six_channels_arrives 4,
    vvc_and_opus_with_six_channels_arrive 5,
    two_tracks_of_each_kind_arrive 6,
}
