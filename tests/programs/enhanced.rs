//! Enhanced RTMP with FFmpeg: the stream that it publishes to our server arrives, tag for tag, at early and
//! late players, each of which can decode it from its first frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rtmp_core::media::{self, Codec, FourCc, Kind, Packet};
use rtmp_core::message::MessageType;

use crate::more_clients::gstreamer;
use crate::support::flv::{self, Tag};
use crate::support::program::on_library;
use crate::support::relay::Relay;
use crate::support::{Library, Program, Running, TempDir, foreign, library, process, require, wait_until};

const LIMIT: Duration = Duration::from_secs(120);

/// A stream that FFmpeg publishes: the encoder options, and the expected codecs with their track numbers.
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

/// FFmpeg decodes all tracks of the whole file without an error.
fn assert_decodable(ffmpeg: &Path, file: &Path, what: &str) {
    let mut command = Command::new(ffmpeg);
    command.args(["-hide_banner", "-loglevel", "error", "-xerror", "-i"]).arg(file);
    let mut running = Running::start(command.args(["-map", "0:v", "-map", "0:a", "-f", "null", "-"]));
    let status = running.wait(LIMIT).unwrap_or_else(|| panic!("{what}: ffmpeg still decodes"));
    assert!(status.success() && running.stderr().is_empty(), "{what}: {}", running.stderr());
}

/// Each track of a complete tag.
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

/// The stream of a late player: the state of each track, then the stream from a key frame of the track on.
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
    // From there on nothing is missing, except frames of tracks that have not begun.
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

/// Runs FFmpeg with options for a file that it makes.
fn make(ffmpeg: &Path, options: &str, file: &Path) {
    let mut command = Command::new(ffmpeg);
    command.args(["-hide_banner", "-loglevel", "error", "-y"]).args(options.split_whitespace()).arg(file);
    let mut running = Running::start(&mut command);
    assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
}

/// Runs an example, and returns the server's recording of its stream.
fn published(relay: &Relay, folder: &Path, example: &str, arguments: &[&str]) -> Option<PathBuf> {
    let url = relay.url(example);
    let arguments: Vec<&str> = arguments.iter().copied().chain([&*url]).collect();
    let run = Program::enhanced_example(example)?.run(Library::Ours, &arguments, "", LIMIT)?;
    assert_eq!(run.code, Some(0), "{example}: {}", run.stderr);
    let recording = folder.join(format!("{example}.flv"));
    let complete = || flv::parse(&fs::read(&recording).unwrap_or_default()).is_ok();
    assert!(wait_until(LIMIT, complete), "{example}: no recording");
    Some(recording)
}

#[test]
fn ffmpeg_decodes_the_streams_of_the_examples() {
    let ffmpeg = need!(foreign::ffmpeg());
    let directory = TempDir::new("enhanced-examples");
    let folder = directory.join("recorded");
    let relay = need!(Relay::start(Library::Ours, &["-r", &folder.to_string_lossy()]));

    // H.265 with pictures that are shown in another order than they are decoded, and Opus.
    let [raw, sound] = ["film.h265", "film.opus"].map(|name| directory.join(name));
    let picture = "-f lavfi -i testsrc=size=128x96:rate=25 -t 1 -c:v libx265 -g 12 -x265-params log-level=error:bframes=3";
    make(&ffmpeg, picture, &raw);
    make(&ffmpeg, "-f lavfi -i sine=r=48000 -t 1 -c:a libopus", &sound);
    let arguments = [&*raw.to_string_lossy(), "25", &*sound.to_string_lossy()];
    let recording = need!(published(&relay, &folder, "publish_raw", &arguments));
    let tags = flv::load(&recording);
    let frames: Vec<(u32, media::Track<'_>)> = tags
        .iter()
        .filter(|tag| tag.kind == 9)
        .flat_map(|tag| tracks(tag).into_iter().map(|track| (tag.timestamp, track)))
        .filter(|(_, track)| track.packet == Packet::Frames)
        .collect();
    assert_eq!(frames.len(), 25);
    let mut shown: Vec<i64> =
        frames.iter().map(|(time, track)| i64::from(*time) + i64::from(track.offset)).collect();
    assert!(!shown.is_sorted(), "some are shown before others that come first");
    shown.sort_unstable();
    assert!(shown.windows(2).all(|pair| pair[1] - pair[0] == 40), "{shown:?}");
    assert_eq!(frames.iter().filter(|(_, track)| track.is_key_frame()).count(), 3);
    assert_decodable(&ffmpeg, &recording, "publish_raw");

    // Two sizes of a film as two tracks.
    let files = [("large.flv", "128x96"), ("small.flv", "64x48")].map(|(name, size)| {
        let file = directory.join(name);
        let options = format!(
            "-f lavfi -i testsrc=size={size}:rate=20 -f lavfi -i sine -t 1 -c:v libx264 -preset ultrafast \
             -pix_fmt yuv420p -g 10 -c:a aac"
        );
        make(&ffmpeg, &options, &file);
        file.to_string_lossy().into_owned()
    });
    let recording = need!(published(&relay, &folder, "two_tracks", &[&files[0], &files[1]]));
    let tags = flv::load(&recording);
    for id in 0..2 {
        let frames = tags.iter().flat_map(tracks).filter(|track| {
            (track.codec, track.id, track.packet) == (Codec::FourCc(FourCc::AVC), id, Packet::Frames)
        });
        assert_eq!(frames.count(), 20, "track {id}");
    }
    assert_decodable(&ffmpeg, &recording, "two_tracks");

    let program = need!(Program::enhanced_example("capabilities"));
    let printed = need!(program.run(Library::Ours, &[&relay.url("a")], "", LIMIT)).expect("capabilities");
    let expected = "features: reconnect multitrack modex nanoseconds\nvideo avc1: decodes forwards\n";
    assert!(printed.contains(expected), "{printed}");
    // A server without an announcement, and one that does not run.
    let server = rtmp_core::Server::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://{}/live/a", server.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let mut session = server.accept().unwrap();
        while let Ok(Some(event)) = session.next_event() {
            if matches!(event, rtmp_core::ServerEvent::Request(_)) {
                session.accept().unwrap();
            }
        }
    });
    let printed = need!(program.run(Library::Ours, &[&url], "", LIMIT)).expect("capabilities");
    assert!(printed.ends_with("features: none\n"), "{printed}");
    serving.join().unwrap();
    let run = need!(program.run(Library::Ours, &["rtmp://127.0.0.1:1/live/a"], "", LIMIT));
    assert!(run.code == Some(1) && !run.stderr.is_empty());
}

/// Two tracks of each kind go through node-media-server 4, which announces nothing.
#[test]
fn node_media_server_relays_published_streams() {
    let ffmpeg = need!(foreign::ffmpeg());
    let node = need!(require::program("node"));
    let modules = need!(foreign::tool("node4/node_modules"));
    let directory = TempDir::new("enhanced-node");
    let film = directory.join("film.flv");
    let source = "-f lavfi -i testsrc=size=128x96:rate=20 -f lavfi -i sine=r=48000 -t 2 -g 10";
    let multitrack = STREAMS.iter().find(|stream| stream.name == "multitrack").expect("there is one");
    make(&ffmpeg, &format!("{source} {}", multitrack.options), &film);
    let sent = flv::media(&flv::readable(&flv::load(&film)));

    let port = process::free_port();
    let mut command = Command::new(node);
    command.arg(library::package().join("tests/node4/media_server.js")).arg(modules).arg(port.to_string());
    let mut server = Running::start(command.current_dir(directory.path()));
    let ready = wait_until(LIMIT, || process::listens(port) || server.ended().is_some());
    assert!(ready && server.ended().is_none(), "node-media-server did not start: {}", server.stderr());
    let url = format!("rtmp://127.0.0.1:{port}/live/film");
    let received = directory.join("received.flv");
    let mut command = need!(need!(Program::example("receive")).command(Library::Ours));
    command.args(["--live", "--enhanced", "-t", "10", "-o", &received.to_string_lossy(), &url]);
    let mut receiver = Running::start(&mut command);
    let log = |server: &Running| server.stdout() + &server.stderr();
    assert!(wait_until(LIMIT, || log(&server).contains("start play")), "{}", log(&server));
    let mut command = need!(need!(Program::example("publish")).command(Library::Ours));
    let mut publisher = Running::start(command.args(["--enhanced", &film.to_string_lossy(), &url]));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    // It does not say that the stream has ended, so the player waits until its timeout.
    assert!(receiver.wait(LIMIT).is_some(), "receive still waits");
    let found = flv::media(&flv::load(&received));
    assert_contents(multitrack, &found, "node-media-server");
    flv::assert_equal(&sent, &found, "node-media-server");
    assert_decodable(&ffmpeg, &received, "node-media-server");
}

/// The arguments of `make` for two seconds of two tracks of H.265 and one of Opus.
const TWO_TRACKS: &str = "-f lavfi -i testsrc=size=128x96:rate=20 -f lavfi -i sine=r=48000 -t 2 -g 10 -map 0:v -map 0:v -map 1:a \
    -c:v libx265 -preset ultrafast -x265-params log-level=error -s:v:1 64x48 -c:a libopus";

/// GStreamer has elements that use librtmp, rtmpsrc and rtmpsink, and some of its own. They pass on unknown
/// data, but flvmux, which makes the tags for rtmp2sink, does not write it.
#[test]
fn gstreamer_carries_several_tracks_both_ways() {
    let ffmpeg = need!(foreign::ffmpeg());
    let directory = TempDir::new("enhanced-gstreamer");
    let folder = directory.join("recorded");
    let film = directory.join("film.flv");
    make(&ffmpeg, TWO_TRACKS, &film);
    let sent = flv::media(&flv::load(&film));
    let relay = need!(Relay::start(
        Library::Ours,
        &["-r", &folder.to_string_lossy(), "-d", &directory.path().to_string_lossy()]
    ));
    for source in ["rtmpsrc", "rtmp2src"] {
        let file = directory.join(format!("{source}.flv"));
        let pipeline =
            format!("{source} location={} ! filesink location={}", relay.url("film"), file.display());
        if source == "rtmpsrc" {
            need!(gstreamer(Library::Ours, &directory, &pipeline));
        } else {
            let mut command = Command::new(need!(require::program("gst-launch-1.0")));
            let mut running = Running::start(command.arg("-q").args(pipeline.split(' ')));
            assert!(running.wait(LIMIT).is_some_and(|status| status.success()), "{}", running.stderr());
        }
        flv::assert_equal(&sent, &flv::media(&flv::load(&file)), source);
    }
    let location = relay.url("published");
    let pipeline =
        format!("filesrc location={} blocksize=4000 ! rtmpsink location={location}", film.display());
    need!(gstreamer(Library::Ours, &directory, &pipeline));
    let recording = folder.join("published.flv");
    let complete = || flv::parse(&fs::read(&recording).unwrap_or_default()).is_ok();
    assert!(wait_until(LIMIT, complete), "no recording");
    flv::assert_equal(&sent, &flv::media(&flv::load(&recording)), "rtmpsink");
}

/// FFmpeg as the server of a publisher.
#[test]
fn ffmpeg_as_a_server_takes_several_tracks() {
    let ffmpeg = need!(foreign::ffmpeg());
    let directory = TempDir::new("enhanced-listen");
    let [film, received] = ["film.flv", "received.flv"].map(|name| directory.join(name));
    make(&ffmpeg, TWO_TRACKS, &film);
    let port = process::free_port();
    let url = format!("rtmp://127.0.0.1:{port}/live/film");
    let mut command = Command::new(&ffmpeg);
    command.args([
        "-hide_banner",
        "-loglevel",
        "error",
        "-listen",
        "1",
        "-i",
        &url,
        "-map",
        "0",
        "-c",
        "copy",
    ]);
    let mut server = Running::start(command.args(["-copyts", "-f", "flv"]).arg(&received));
    let ready = wait_until(LIMIT, || process::listens_unseen(port) || server.ended().is_some());
    assert!(ready && server.ended().is_none(), "{}", server.stderr());
    let mut command = need!(need!(Program::example("publish")).command(Library::Ours));
    let mut publisher = Running::start(command.args(["--enhanced", &film.to_string_lossy(), &url]));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    assert!(server.wait(LIMIT).is_some(), "ffmpeg still listens");
    let frames = |file: &Path, id| {
        let tags = flv::load(file);
        let all = tags.iter().filter(|tag| tag.kind == 9).flat_map(tracks);
        all.filter(|track| track.id == id && track.packet == Packet::Frames)
            .map(|track| track.body.to_vec())
            .collect::<Vec<_>>()
    };
    for id in 0..2 {
        let sent = frames(&film, id);
        assert!(sent.len() == 40 && frames(&received, id) == sent, "track {id}");
    }
}

/// A file that ends after this share of its tags.
fn cut(file: &Path, part: &Path, percent: usize) -> usize {
    let data = fs::read(file).expect("it was received");
    let tags = flv::load(file);
    let kept = (tags.len() * percent / 100).max(4);
    let end = 13 + tags[..kept].iter().map(|tag| 15 + tag.body.len()).sum::<usize>();
    fs::write(part, &data[..end]).expect("the directory is ours");
    end
}

/// Files of FFmpeg, cut anywhere, are continued after their last key frame, and are then the same as without
/// the interruption. rtmpdump looks for that frame itself, and does not recognise it if it has a FourCC.
#[test]
fn recordings_of_any_codec_and_of_several_tracks_are_resumed() {
    let ffmpeg = need!(foreign::ffmpeg());
    let directory = TempDir::new("enhanced-resume");
    let folder = directory.join("films");
    fs::create_dir(&folder).expect("the directory is ours");
    let source = "-f lavfi -i testsrc=size=128x96:rate=20 -f lavfi -i sine=r=48000 -t 2 -g 10";
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a libopus";
    let films = [
        ("hevc", format!("{source} {x265}")),
        ("av1", format!("{source} -c:v libaom-av1 -cpu-used 8 -usage realtime -c:a flac")),
        ("vp9", format!("{source} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a aac")),
        ("tracks", TWO_TRACKS.to_owned()),
        (
            "mixed",
            format!(
                "{source} -map 0:v -map 0:v -map 1:a {x265} -c:v:0 libx264 -pix_fmt:v:0 yuv420p -s:v:1 64x48"
            ),
        ),
        ("sound", format!("{source} -map 1:a -c:a libopus")),
    ];
    for (name, options) in &films {
        make(&ffmpeg, options, &folder.join(format!("{name}.flv")));
    }
    let relay = need!(Relay::start(Library::Ours, &["-d", &folder.to_string_lossy()]));
    for (name, _) in &films {
        let url = relay.url(name);
        let receive = |file: &Path, options: &[&str]| {
            let file = file.to_string_lossy();
            let arguments = [&["-q", "-t", "60", "-o", &file], options, &[&url]].concat();
            Program::example("receive")?.run(Library::Ours, &arguments, "", LIMIT)
        };
        let [whole, part] = ["whole.flv", "part.flv"].map(|file| directory.join(file));
        need!(receive(&whole, &[])).expect(name);
        let expected = fs::read(&whole).expect("it was received");
        for percent in [1, 10, 35, 60, 99] {
            cut(&whole, &part, percent);
            need!(receive(&part, &["--resume"])).expect(name);
            let found = fs::read(&part).expect("it was received");
            assert!(
                found == expected,
                "{name}, from {percent} %: {} of {} bytes",
                found.len(),
                expected.len()
            );
        }
        // In the middle of a tag, and without a file.
        fs::write(&part, &expected[..expected.len() / 2]).expect("the directory is ours");
        need!(receive(&part, &["--resume"])).expect(name);
        assert!(fs::read(&part).is_ok_and(|found| found == expected), "{name}, from the middle of a tag");
        fs::remove_file(&part).expect("it is there");
        need!(receive(&part, &["--resume"])).expect(name);
        assert!(fs::read(&part).is_ok_and(|found| found == expected), "{name}, from the beginning");

        // rtmpdump decides itself.
        let size = cut(&whole, &part, 60);
        let mut command = need!(on_library(&need!(require::program("rtmpdump")), Library::Ours));
        command.args(["-m", "20", "-r", &url, "--resume", "-o"]).arg(&part);
        let mut running = Running::start(&mut command);
        let status = running.wait(LIMIT).expect("rtmpdump ends");
        let is_known = matches!(*name, "mixed" | "sound");
        assert_eq!(
            running.stderr().contains("ERROR: Couldn't find keyframe to resume from!"),
            !is_known,
            "{name}"
        );
        let found = fs::read(&part).expect("it is there");
        if is_known {
            flv::assert_equal(&flv::media(&flv::load(&whole)), &flv::media(&flv::load(&part)), name);
        } else {
            assert!(!status.success() && found.len() == size, "{name}");
        }
    }
}

/// A server from another project, by its name in `tests/rust-servers`.
struct RustServer {
    process: Running,
    port: u16,
}

impl RustServer {
    fn start(name: &str) -> Option<Self> {
        let port = process::free_port();
        let mut command = Command::new(foreign::tool("rust-servers/bin/rust-servers")?);
        let mut process = Running::start(command.args([name, &port.to_string()]));
        let ready = wait_until(LIMIT, || {
            process.stdout().contains("ready\n") && process::listens(port) || process.ended().is_some()
        });
        assert!(ready && process.ended().is_none(), "{name} did not start: {}", process.stderr());
        Some(Self { process, port })
    }

    fn url(&self, stream: &str) -> String {
        format!("rtmp://127.0.0.1:{}/live/{stream}", self.port)
    }

    /// The printed lines that begin with one of these words.
    fn lines(&self, words: &[&str]) -> Vec<String> {
        let printed = self.process.stdout();
        // An incomplete line may become longer.
        let complete = printed.rfind('\n').map_or("", |end| &printed[..end]);
        let lines = complete.lines().filter(|line| words.iter().any(|word| line.starts_with(word)));
        lines.map(str::to_owned).collect()
    }

    fn wait_for(&self, words: &[&str], count: usize) -> Vec<String> {
        let there = wait_until(LIMIT, || self.lines(words).len() >= count);
        assert!(there, "{words:?}: {} of {count} lines", self.lines(words).len());
        self.lines(words)
    }
}

/// The announcement of such a server, as our client must see it.
struct Answer {
    video: &'static [(FourCc, u32)],
    audio: &'static [(FourCc, u32)],
    features: u32,
}

/// Publishes two tracks of H.265 and one of Opus, and announces them: both ends have the other's
/// announcement, and all messages arrive unchanged.
fn publishes_to(name: &str, connect: [&str; 2], answer: &Answer) {
    use rtmp_core::session::{Capabilities, ability, feature};

    let ffmpeg = need!(foreign::ffmpeg());
    let server = need!(RustServer::start(name));
    let directory = TempDir::new("enhanced-rust");
    let film = directory.join("film.flv");
    make(&ffmpeg, TWO_TRACKS, &film);

    // The tool, which announces everything.
    let mut command = need!(need!(Program::example("publish")).command(Library::Ours));
    let mut publisher =
        Running::start(command.args(["--enhanced", &film.to_string_lossy(), &server.url("film")]));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    let sent: Vec<String> = flv::load(&film)
        .iter()
        .filter(|tag| tag.kind != 18)
        .map(|tag| {
            let kind = if tag.kind == 8 { "audio" } else { "video" };
            let hex: String = tag.body.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{kind} {} {hex}", tag.timestamp)
        })
        .collect();
    let received = server.wait_for(&["audio ", "video ", "error "], sent.len());
    assert!(received == sent, "{name}: {} messages of {} arrived", received.len(), sent.len());
    assert_eq!(server.wait_for(&["connect "], 1), [connect[0]], "{name}");

    // A program, which announces two codecs.
    let mut own = Capabilities::default();
    own.set_codec(Kind::Video, FourCc::HEVC, ability::ENCODE | ability::DECODE | ability::FORWARD);
    own.set_codec(Kind::Audio, FourCc::OPUS, ability::ENCODE | ability::FORWARD);
    own.features = Some(feature::RECONNECT | feature::MULTITRACK);
    let client = rtmp_core::Client::new(&server.url("other")).unwrap().announce(own);
    let publisher = client.publish().unwrap();
    assert_eq!(server.wait_for(&["connect "], 2)[1], connect[1], "{name}");
    let peer = publisher.peer();
    for (kind, codecs) in [(Kind::Video, answer.video), (Kind::Audio, answer.audio)] {
        for (codec, abilities) in codecs {
            assert_eq!(peer.codec(kind, *codec), *abilities, "{name}: {codec} in {peer:?}");
        }
    }
    assert_eq!(peer.features, Some(answer.features), "{name}");
    // It accepts the codecs that it has announced.
    let track = media::Track::new(FourCc::HEVC, Packet::Config, b"configuration");
    let mut publisher = publisher;
    publisher.send_media(0, &media::Message::new(Kind::Video, &[track])).unwrap();
    publisher.finish().unwrap();
    let received = server.wait_for(&["video 0 9068766331636f6e66"], 1);
    assert_eq!(received.len(), 1, "{name}");
}

/// This server shows the capabilities of both ends, of the maps only that for video.
#[test]
fn librtmp2_receives_announcements_and_streams() {
    let connect =
        ["connect list=* video=*:4 audio= caps=14", "connect list=Opus,hvc1 video=hvc1:4 audio= caps=2"];
    let video = &[(FourCc::HEVC, 5), (FourCc::AV1, 0)];
    publishes_to("librtmp2", connect, &Answer { video, audio: &[(FourCc::OPUS, 1)], features: 2 });
}

#[test]
fn oxideav_receives_announcements_and_streams() {
    let connect = [
        "connect list=* video=*:4 audio=*:4 caps=14",
        "connect list=Opus,hvc1 video=hvc1:7 audio=Opus:6 caps=3",
    ];
    let video = &[(FourCc::HEVC, 5), (FourCc::AV1, 0)];
    publishes_to(
        "oxideav",
        connect,
        &Answer { video, audio: &[(FourCc::OPUS, 5), (FourCc::AC3, 4)], features: 3 },
    );
}

#[test]
fn rtmp_rs_receives_announcements_and_streams() {
    let connect = [
        "connect list=* video=*:4 audio=*:4 caps=14",
        "connect list=Opus,hvc1 video=hvc1:7 audio=Opus:6 caps=3",
    ];
    let video = &[(FourCc::HEVC, 5), (FourCc::AV1, 0)];
    publishes_to(
        "rtmp-rs",
        connect,
        &Answer { video, audio: &[(FourCc::OPUS, 4), (FourCc::AC3, 0)], features: 2 },
    );
}
