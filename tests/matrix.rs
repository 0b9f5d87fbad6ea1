//! Unmodified programs and servers of several makes, each with each: what arrives is what was sent, and no less than with
//! the original.
#![forbid(unsafe_code)]

#[path = "matrix/programs.rs"]
#[allow(dead_code)] // other tests use the rest
mod programs;
mod support;

use std::path::PathBuf;

use programs::{PLAYERS, PUBLISHERS, Program, Work};
use support::examples::{Client, LIMIT};
use support::flv::{self, Tag};
use support::foreign;
use support::site::{Make, Site};
use support::stage::Stage;
use support::{Library, clip, library::ours_is_original, servers};

const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// A program that plays, and the file it writes.
struct Playing {
    program: Program,
    library: Library,
    file: PathBuf,
    work: Work,
}

impl Playing {
    fn start(program: Program, library: Library, url: &str, live: bool, stage: &Stage) -> Option<Self> {
        let file = stage.folder.join(format!("{program:?}-{library:?}.flv"));
        let work = program.play(library, url, live, &file, &stage.folder)?;
        Some(Self { program, library, file, work })
    }

    /// Whether this cell has to give the whole film and an end, which the original does not always.
    fn must_be_whole(&self) -> bool {
        (self.library == Library::Ours && !ours_is_original())
            || !matches!(self.program, Program::Curl | Program::GStreamer)
    }

    /// Waits for the end and returns whose result this is, and what it has to be.
    fn finish(self, site: &Site) -> Option<(String, PathBuf, bool)> {
        let what = format!("{:?} on {:?}, from {:?}", self.program, self.library, site.make);
        let whole = self.must_be_whole();
        let run = self.work.finish();
        assert!(!whole || !run.timed_out, "{what}: {run:?}");
        assert!(!whole || self.file.exists(), "{what}: {run:?}");
        self.file.exists().then_some((what, self.file, whole))
    }

    /// Compares a film that was received with the one that is there.
    fn check_film(self, site: &Site, sent: &[Tag]) {
        let Some((what, file, whole)) = self.finish(site) else { return };
        if !site.make.keeps_messages() {
            return foreign::assert_part(sent, &file, 20, &what);
        }
        let (sent, found) = (flv::media(sent), flv::media(&flv::load_part(&file)));
        let end = if whole { sent.len() } else { found.len().min(sent.len()) };
        flv::assert_equal(&sent[..end], &found, &what);
    }

    /// Compares what was received of a live stream with what was sent.
    fn check_live(self, site: &Site, sent: &[Tag], early: bool) {
        let Some((what, file, whole)) = self.finish(site) else { return };
        if !site.make.keeps_messages() {
            return foreign::assert_part(sent, &file, 1, &what);
        }
        let received = flv::assert_contiguous(sent, &flv::readable(&flv::load_part(&file)), &what);
        assert!(
            !whole || !early || received == frames(sent),
            "{what}: {received} of {} frames",
            frames(sent)
        );
    }
}

/// How many tags carry sound or pictures, decoders' parameters aside.
fn frames(tags: &[Tag]) -> usize {
    tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count()
}

/// Which cells are run on a library. With the original rtmpsrc never ends, so it has no cell.
fn cells(programs: &[Program]) -> Vec<(Program, Library)> {
    let all = programs.iter().flat_map(|program| BOTH.map(|library| (*program, library)));
    all.filter(|(program, library)| {
        let original = *library == Library::Original || ours_is_original();
        !(original && *program == Program::GStreamer)
    })
    .collect()
}

fn start_all(cells: Vec<(Program, Library)>, url: &str, live: bool, stage: &Stage) -> Option<Vec<Playing>> {
    cells.into_iter().map(|(program, library)| Playing::start(program, library, url, live, stage)).collect()
}

/// All players at once receive one live stream. Those that may wait for its beginning get all of it.
fn live(make: Make) {
    let stage = need!(Stage::set());
    let site = need!(make.start(stage.folder.path()));
    let (url, clip) = (site.live("show"), need!(clip::without_index()));
    let waits = |(program, _): &(Program, Library)| make.lets_wait(program.can_ask_for_live());
    let (early, late) = cells(&PLAYERS).into_iter().partition(waits);
    let early = need!(start_all(early, &url, true, &stage));
    site.wait_for_players("show", early.len());
    let mut publisher = need!(servers::publish_slowly_with_ffmpeg(&clip, &url));
    site.wait_for_publisher("show");
    let late = need!(start_all(late, &url, true, &stage));
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{make:?}: {}", publisher.stderr());
    for (players, early) in [(early, true), (late, false)] {
        players.into_iter().for_each(|player| player.check_live(&site, &stage.film, early));
    }
}

/// All players at once receive a film.
fn film(make: Make) {
    let stage = need!(Stage::set());
    let site = need!(make.start(stage.folder.path()));
    let url = need!(site.film());
    for player in need!(start_all(cells(&PLAYERS), &url, false, &stage)) {
        player.check_film(&site, &stage.film);
    }
}

/// Each publisher's stream reaches a player, the same on both libraries.
fn published(make: Make) {
    let stage = need!(Stage::set());
    let site = need!(make.start(stage.folder.path()));
    let clip = need!(clip::without_index());
    for program in PUBLISHERS {
        let mut results = Vec::new();
        for library in BOTH {
            let what = format!("{program:?} on {library:?}, to {make:?}");
            let name = format!("{program:?}-{library:?}");
            let (url, file) = (site.live(&name), stage.folder.join(&name));
            let arguments = ["-q", "--live", "-t", "50", "-o", &file.to_string_lossy(), &url];
            let player = need!(Client::example("receive", Library::Ours, &arguments));
            site.wait_for_players(&name, 1);
            let run = need!(program.publish(library, &clip, &url)).finish();
            let received = player.finish();
            // curl ends its blocks anywhere, which crashes the original.
            if program == Program::Curl && (library == Library::Original || ours_is_original()) {
                continue;
            }
            assert_eq!(run.code, Some(0), "{what}: {run:?}");
            assert!(file.exists(), "{what}: {received:?}");
            // What GStreamer publishes are the film's frames in tags of its own.
            if program != Program::GStreamer {
                stage.assert_complete(&file, &what);
            }
            results.push(flv::media(&flv::load(&file)));
        }
        if let [original, ours] = &results[..] {
            assert!(ours.len() > 100, "{program:?} to {make:?}: only {} frames", ours.len());
            flv::assert_equal(original, ours, &format!("{program:?}, to {make:?}"));
        }
    }
}

macro_rules! matrix {
    ($($name:ident: $task:ident($make:ident);)*) => {
        $(#[test] fn $name() { $task(Make::$make); })*
    };
}

matrix! {
    players_receive_live_streams_from_nginx: live(Nginx);
    players_receive_live_streams_from_our_server: live(Ours);
    players_receive_live_streams_from_node_media_server: live(NodeMediaServer);
    players_receive_live_streams_from_node_rtsp_rtmp_server: live(NodeRtspRtmpServer);
    players_receive_films_from_nginx: film(Nginx);
    players_receive_films_from_our_server: film(Ours);
    players_receive_films_from_node_rtsp_rtmp_server: film(NodeRtspRtmpServer);
    publishers_reach_nginx: published(Nginx);
    publishers_reach_our_server: published(Ours);
    publishers_reach_node_media_server: published(NodeMediaServer);
}

#[test]
fn python_calls_remote_methods() {
    for make in [Make::Nginx, Make::Ours, Make::NodeMediaServer] {
        let stage = need!(Stage::set());
        let site = need!(make.start(stage.folder.path()));
        for program in [Program::DebiansPython, Program::PypisPython] {
            let results = BOTH.map(|library| program.call(library, &site.live("show")));
            let [Some(original), Some(ours)] = results else { return };
            assert_eq!(original.code, Some(0), "{program:?} with {make:?}: {original:?}");
            assert_eq!(
                (original.code, original.stdout),
                (ours.code, ours.stdout),
                "{program:?} with {make:?}"
            );
        }
    }
}

/// The server refuses players that come before the publisher, and they miss one that is faster than they. Only GStreamer
/// takes as long as the film.
#[test]
fn publishers_reach_node_rtsp_rtmp_server() {
    let stage = need!(Stage::set());
    let site = need!(Make::NodeRtspRtmpServer.start(stage.folder.path()));
    // Long enough for a player that comes late.
    let clip = need!(clip::repeated(&stage.folder.join("twice.flv"), 2));
    for program in PUBLISHERS {
        for library in BOTH {
            // curl ends its blocks anywhere, which crashes the original.
            if program == Program::Curl && (library == Library::Original || ours_is_original()) {
                continue;
            }
            let what = format!("{program:?} on {library:?}, to {:?}", site.make);
            let name = format!("{program:?}-{library:?}");
            let (url, file) = (site.live(&name), stage.folder.join(&name));
            let publisher = need!(program.publish(library, &clip, &url));
            site.wait_for_publisher(&name);
            let arguments = ["-q", "--live", "-t", "50", "-o", &file.to_string_lossy(), &url];
            let player = (program == Program::GStreamer)
                .then(|| Client::example("receive", Library::Ours, &arguments));
            let run = publisher.finish();
            assert_eq!(run.code, Some(0), "{what}: {run:?}");
            let goodbye = format!("FCUnpublish: {name}\n");
            let all_read = support::wait_until(LIMIT, || site.log().contains(&goodbye));
            assert!(all_read, "{what}: {}", site.log());
            if let Some(player) = player {
                need!(player).finish().expect(&what);
                foreign::assert_part(&flv::load(&clip), &file, 20, &what);
            }
        }
    }
}
