//! Unmodified programs with servers from several projects, each with each and with both libraries: a table of
//! the tasks of a program, and the result from each server.
//!
//! rtmpsuck and rtmpsrv, which are servers themselves, are in `more_clients.rs`.

mod cell;
mod place;
pub mod programs;
mod publishing;

use crate::support::examples::LIMIT;
use crate::support::flv::{self, Tag};
use crate::support::site::Make;
use crate::support::stage::Stage;
use crate::support::{Library, clip, library::ours_is_original, servers, wait_until};
use cell::Gets::{self, All, Frames, Late, Part, Refused, Silence};
use cell::{Playing, Task};
use place::{Place, Way};
use programs::Program;

const BOTH: [Library; 2] = [Library::Original, Library::Ours];

/// The columns.
const MAKES: [Make; 4] = [Make::Nginx, Make::Ours, Make::NodeMediaServer, Make::NodeRtspRtmpServer];

type Row = (Task, [Gets; 4]);

/// Films. node-media-server plays none: it waits until they are published. nginx heeds `start` alone, and resumes with
/// times that librtmp does not expect; node-rtsp-rtmp-server heeds neither. nginx and node-media-server do not speak RTMPE.
#[rustfmt::skip]
const FILMS: &[Row] = &[
    //                                        nginx    ours     node-media-server  node-rtsp-rtmp-server
    (rtmpdump(Way::Rtmp, ""),                [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmp, "--resume"),        [Refused, All,     Silence,           Refused]),
    (rtmpdump(Way::Rtmp, "--start 1"),       [Part,    Part,    Silence,           Frames]),
    (rtmpdump(Way::Rtmp, "--stop 2"),        [All,     Part,    Silence,           Frames]),
    (rtmpdump(Way::Rtmp, PART),              [Part,    Part,    Silence,           Frames]),
    (rtmpdump(Way::Rtmp, CONNECT_DATA),      [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmp, IDENTITY),          [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmp, HASH),              [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmp, "-W SWF"),          [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Socks, ""),               [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmpe, ""),               [Refused, All,     Refused,           Frames]),
    (rtmpdump(Way::Rtmpe, HASH),             [Refused, All,     Refused,           Frames]),
    (rtmpdump(Way::Rtmps, ""),               [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmpt, ""),               [All,     All,     Silence,           Frames]),
    (rtmpdump(Way::Rtmpte, ""),              [Refused, All,     Refused,           Frames]),
    (plain(Program::Rtmpgw),                 [All,     All,     Silence,           Frames]),
    (plain(Program::Curl),                   [All,     All,     Silence,           Frames]),
    (curl(Way::Rtmpt),                       [All,     All,     Silence,           Frames]),
    (curl(Way::Rtmpte),                      [Refused, All,     Refused,           Frames]),
    (plain(Program::GStreamer),              [All,     All,     Silence,           Frames]),
    (plain(Program::DebiansPython),          [All,     All,     Silence,           Frames]),
    (plain(Program::PypisPython),            [All,     All,     Silence,           Frames]),
];

/// Live streams, for which rtmpdump heeds neither resume nor start nor stop. curl cannot say that it wants to wait for one
/// at our server; at node-rtsp-rtmp-server, no client can.
#[rustfmt::skip]
const LIVE: &[Row] = &[
    //                                        nginx    ours     node-media-server  node-rtsp-rtmp-server
    (rtmpdump(Way::Rtmp, ""),                [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, "--resume"),        [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, "--start 1"),       [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, "--stop 2"),        [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, PART),              [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, CONNECT_DATA),      [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, IDENTITY),          [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, HASH),              [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmp, "-W SWF"),          [All,     All,     All,               Frames]),
    (rtmpdump(Way::Socks, ""),               [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmpe, ""),               [Refused, All,     Refused,           Frames]),
    (rtmpdump(Way::Rtmpe, HASH),             [Refused, All,     Refused,           Frames]),
    (rtmpdump(Way::Rtmps, ""),               [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmpt, ""),               [All,     All,     All,               Frames]),
    (rtmpdump(Way::Rtmpte, ""),              [Refused, All,     Refused,           Frames]),
    (plain(Program::Rtmpgw),                 [All,     All,     All,               Frames]),
    (plain(Program::Curl),                   [All,     Late,    All,               Frames]),
    (curl(Way::Rtmpt),                       [All,     Late,    All,               Frames]),
    (curl(Way::Rtmpte),                      [Refused, Late,    Refused,           Frames]),
    (plain(Program::GStreamer),              [All,     All,     All,               Frames]),
    (plain(Program::DebiansPython),          [All,     All,     All,               Frames]),
    (plain(Program::PypisPython),            [All,     All,     All,               Frames]),
];

const PART: &str = "--start 1 --stop 2";
const CONNECT_DATA: &str = "-C B:1 -C N:1.5 -C S:text -C O:1 -C NS:name:text -C O:0 -C Z:";
const IDENTITY: &str = "--flashVer WIN_10,0 --pageUrl http://a/b --auth token";
const HASH: &str =
    "-w 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef -x 4711 -s http://127.0.0.1/a.swf";

const fn rtmpdump(way: Way, options: &'static str) -> Task {
    Task { program: Program::Rtmpdump, way, options }
}

const fn plain(program: Program) -> Task {
    Task { program, way: Way::Rtmp, options: "" }
}

const fn curl(way: Way) -> Task {
    Task { program: Program::Curl, way, options: "" }
}

/// The column of a server.
fn column(rows: &[Row], make: Make) -> Vec<(Task, Gets)> {
    let index = MAKES.iter().position(|other| *other == make).expect("each make has a column");
    rows.iter().map(|(task, cells)| (*task, cells[index])).collect()
}

/// Starts players on both libraries.
fn start(cells: &[(Task, Gets)], place: &Place, path: &str) -> Option<Vec<[Playing; 2]>> {
    let both = |&(task, gets): &(Task, Gets)| {
        let [original, ours] = BOTH.map(|library| Playing::start(task, gets, library, place, path));
        Some([original?, ours?])
    };
    cells.iter().map(both).collect()
}

fn check(players: Vec<[Playing; 2]>, place: &Place, sent: &[Tag], live: bool) {
    for [original, ours] in players {
        cell::check(original, ours, place, sent, live);
    }
}

/// Players receive a film, as many of them at once as the server supports.
fn film(make: Make) {
    let place = need!(Place::open(make));
    for cells in column(FILMS, make).chunks(make.most_players() / BOTH.len()) {
        let players = need!(start(cells, &place, place.site.film()));
        check(players, &place, &place.stage.film, false);
    }
    assert!(place.player.requests() >= BOTH.len(), "the SWF file was not asked for");
}

/// Players receive a live stream. Players that can wait for its beginning do so, and receive all of it.
fn live(make: Make) {
    if make == Make::Ours && ours_is_original() {
        return; // it refuses ffmpeg, which publishes
    }
    let place = need!(Place::open(make));
    let (early, late): (Vec<_>, Vec<_>) =
        column(LIVE, make).into_iter().partition(|(task, _)| make.lets_wait(task.can_ask_for_live()));
    if !early.is_empty() {
        need!(from_the_beginning(&early, &place));
    }
    for (number, cells) in late.chunks(make.most_players() / BOTH.len()).enumerate() {
        need!(in_the_middle(cells, &place, &format!("late{number}")));
    }
}

fn from_the_beginning(cells: &[(Task, Gets)], place: &Place) -> Option<()> {
    let (url, clip) = (place.site.live("show"), clip::without_index()?);
    let players = start(cells, place, "live/show")?;
    let admitted = cells.iter().filter(|(_, gets)| *gets != Refused).count();
    place.site.wait_for_players("show", admitted * BOTH.len());
    let mut publisher = servers::publish_with_ffmpeg(&clip, &url)?;
    assert!(publisher.wait(LIMIT).is_some_and(|status| status.success()), "{}", publisher.stderr());
    check(players, place, &place.stage.film, true);
    Some(())
}

/// The stream continues until all players have received some of it.
fn in_the_middle(cells: &[(Task, Gets)], place: &Place, name: &str) -> Option<()> {
    let clip = clip::long()?;
    let mut publisher = servers::publish_with_ffmpeg(&clip, &place.site.live(name))?;
    place.site.wait_for_publisher(name);
    let players = start(cells, place, &format!("live/{name}"))?;
    let begun = wait_until(LIMIT, || {
        players.iter().flatten().all(|player| player.has_begun() || !player.must_begin())
    });
    assert!(begun && publisher.ended().is_none(), "{}\n{}", publisher.stderr(), place.site.log());
    publisher.signal("INT");
    assert!(publisher.wait(LIMIT).is_some(), "ffmpeg does not end");
    check(players, place, &flv::readable(&flv::load(&clip)), true);
    Some(())
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
    players_are_treated_alike_by_node_media_server: film(NodeMediaServer);
    players_receive_films_from_node_rtsp_rtmp_server: film(NodeRtspRtmpServer);
}

/// node-rtsp-rtmp-server dies of the first header that the original sends on a chunk stream, which refers to one before it,
/// unless it has closed the connection by then. From ours it learns what is wanted, and refuses that.
#[test]
fn python_calls_remote_methods() {
    let stage = need!(Stage::set());
    for make in MAKES {
        let mut site = need!(make.start(stage.folder.path()));
        for program in [Program::DebiansPython, Program::PypisPython] {
            let [original, ours] = BOTH.map(|library| {
                if make == Make::NodeRtspRtmpServer {
                    site = make.start(stage.folder.path())?;
                }
                program.call(library, &site.live("show"))
            });
            let (original, ours) = (need!(original), need!(ours));
            let what = format!("{program:?} with {make:?}\noriginal: {original:?}\nours: {ours:?}");
            let right = ours.code == Some(0) && ours.stdout.starts_with("1.0\n");
            assert!(right || ours_is_original(), "{what}");
            if make == Make::NodeRtspRtmpServer && original.code == Some(1) {
                assert_eq!(original.stdout, "1.0\n", "{what}");
            } else {
                assert_eq!((original.code, original.stdout), (ours.code, ours.stdout), "{what}");
            }
        }
    }
}
