//! Cells of the table: what a program receives from a server, with both libraries.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::{Place, Way};
use super::programs::{Order, Program, Work};
use crate::support::flv::{self, Tag};
use crate::support::process::wait_until;
use crate::support::program::Run;
use crate::support::{Library, foreign, library::ours_is_original};

/// The arguments of a program.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub program: Program,
    pub way: Way,
    /// rtmpdump's options; `SWF` stands for the URL of a SWF file.
    pub options: &'static str,
}

/// The result of a player. With both libraries it ends in the same way, and its file is the same unless
/// stated otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gets {
    /// Everything.
    All,
    /// The requested part.
    Part,
    /// An uninterrupted part of a live stream, from the time when the player comes, which differs slightly.
    Late,
    /// A part of the frames, in tags that the server makes again for each player.
    Frames,
    /// Nothing new: the server refuses it.
    Refused,
    /// Nothing new: the server accepts it and sends nothing.
    Silence,
}

/// A failure with librtmp 2.4 that ours must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It receives a beginning and has to be ended.
    NeverEnds,
    /// It may have to be ended, if its bytes are treated as a part of something longer.
    MayNotEnd,
    /// It receives everything and starts again.
    StartsAgain,
    /// It treats silence as the end of the stream.
    ClaimsSuccess,
    /// It may receive nothing, and has to be ended.
    MayNotBegin,
    /// It sends no request and relies on the program's own limit. Ours sends requests, and fails if no answer
    /// comes.
    NeverAsks,
}

impl Task {
    /// Whether it tells the server that it wants a live stream: curl takes no options behind a URL.
    pub fn can_ask_for_live(&self) -> bool {
        self.program != Program::Curl
    }

    /// The known failures of the original.
    fn failure(&self, gets: Gets, library: Library) -> Option<Failure> {
        if library == Library::Ours && !ours_is_original() {
            return None;
        }
        match (self.program, self.way, gets) {
            // Over HTTP it knows no timeout.
            (_, Way::Rtmpte, Gets::Refused) => Some(Failure::MayNotEnd),
            (_, _, Gets::Refused) => None,
            // It waits for its socket, on which nothing arrives unless the server is asked.
            (Program::Curl, Way::Rtmpt | Way::Rtmpte, Gets::All | Gets::Late | Gets::Frames) => {
                Some(Failure::MayNotBegin)
            }
            (Program::Curl, Way::Rtmpt, Gets::Silence) => Some(Failure::NeverAsks),
            // It does not know of bytes that the library has already read.
            (Program::Curl, _, Gets::All | Gets::Late | Gets::Frames) => Some(Failure::NeverEnds),
            // At the end of a stream the connection has ended, which makes the next read connect again.
            (Program::GStreamer, _, Gets::All | Gets::Late | Gets::Frames) => Some(Failure::StartsAgain),
            (Program::Rtmpdump, Way::Rtmps, Gets::Silence) => Some(Failure::ClaimsSuccess),
            (Program::Rtmpdump, Way::Rtmpt, Gets::Silence) => Some(Failure::NeverEnds),
            _ => None,
        }
    }
}

/// A running program.
pub struct Playing {
    task: Task,
    gets: Gets,
    library: Library,
    file: PathBuf,
    /// The contents of the file before it begins.
    before: Vec<Tag>,
    work: Work,
}

/// The result.
struct Outcome {
    run: Run,
    tags: Vec<Tag>,
}

impl Playing {
    /// Starts to play the stream with this application and name.
    pub fn start(task: Task, gets: Gets, library: Library, place: &Place, path: &str) -> Option<Self> {
        // rtmpdump's cache of SWF files is there as well.
        let home = place.new_home();
        let file = home.join("received.flv");
        let mut before = Vec::new();
        if task.options.contains("--resume") {
            fs::copy(&place.stage.clip, &file).expect("the build directory is writable");
            before = flv::cut_in_half(&file);
        }
        let own = task.options.split_whitespace().map(|word| place.player.replace(word));
        let order = Order {
            url: &place.url(task.way, path),
            live: path.starts_with("live/"),
            patience: match gets {
                Gets::Silence => 5,
                // A server that treats encrypted bytes as chunks may wait for the rest of one.
                Gets::Refused => 8,
                _ => 60,
            },
            file: &file,
            folder: &place.stage.folder,
            options: place.options(task.way).into_iter().chain(own).collect(),
            environment: place.environment(task.way).into_iter().chain([("HOME", home.clone())]).collect(),
        };
        let work = task.program.play(library, &order)?;
        Some(Self { task, gets, library, file, before, work })
    }

    fn failure(&self) -> Option<Failure> {
        self.task.failure(self.gets, self.library)
    }

    /// Whether bytes must arrive.
    pub fn must_begin(&self) -> bool {
        self.failure() != Some(Failure::MayNotBegin)
    }

    /// Whether bytes have arrived.
    pub fn has_begun(&self) -> bool {
        let came = load(&self.file);
        !came.is_empty() && came != self.before
    }

    /// Waits for the end, or ends the program if it does not end itself.
    fn finish(mut self, sent: &[Tag]) -> Outcome {
        match self.failure() {
            Some(Failure::StartsAgain) => {
                let least = if self.gets == Gets::All { frames(sent) } else { 1 };
                let complete = || frames(&load(&self.file)) >= least;
                wait_until(Duration::from_secs(30), complete);
                self.work.stop();
            }
            Some(Failure::MayNotEnd) => {
                wait_until(Duration::from_secs(10), || self.work.has_ended());
                self.work.stop();
            }
            Some(Failure::NeverEnds | Failure::MayNotBegin) => {
                wait_until(Duration::from_secs(30), || {
                    !self.must_begin() || self.gets == Gets::Silence || self.has_begun()
                });
                self.work.stop();
            }
            _ => {}
        }
        let run = self.work.finish();
        Outcome { run, tags: load(&self.file) }
    }
}

/// The results of two players must match the table.
pub fn check(original: Playing, ours: Playing, place: &Place, sent: &[Tag], live: bool) {
    let Playing { task, gets, ref before, .. } = ours;
    let name = format!("{task:?} from {:?}, which gives {gets:?}", place.site.make);
    let (before, failure, ours_fails) = (before.clone(), original.failure(), ours.failure().is_some());
    let (ours, original) = (ours.finish(sent), original.finish(sent));
    let what = format!("{name}\noriginal: {:?}\nours: {:?}\n", original.run, ours.run);

    let codes = [original.run.code, ours.run.code];
    match failure {
        // Whether a film has the announced length depends on where the server ends it this time.
        None if gets == Gets::Frames && task.program == Program::Rtmpdump => {
            assert!(codes.iter().all(|code| matches!(code, Some(0 | 2))), "{what}");
        }
        None => assert_eq!(codes[0], codes[1], "{what}"),
        Some(Failure::ClaimsSuccess) => assert_eq!(original.run.code, Some(0), "{what}"),
        // A signal leaves no code.
        Some(Failure::MayNotEnd) => assert!(codes[0].is_none_or(|code| code != 0), "{what}"),
        // These are curl's own codes, for its limit and for a library that fails.
        Some(Failure::NeverAsks) => assert_eq!(codes, [Some(28), Some(56)], "{what}"),
        Some(Failure::NeverEnds | Failure::MayNotBegin | Failure::StartsAgain) => {}
    }
    if gets == Gets::Refused {
        assert!(ours_fails || codes[1].is_some_and(|code| code != 0), "{what}");
    }
    if failure.is_some() && !matches!(gets, Gets::Refused | Gets::Silence) && !ours_fails {
        assert_eq!(ours.run.code, Some(0), "{what}");
    }
    assert!(!original.run.timed_out && !ours.run.timed_out, "{what}");
    let complete = failure.is_none_or(|failure| failure == Failure::StartsAgain);
    match gets {
        Gets::All | Gets::Part if complete => flv::assert_equal(&original.tags, &ours.tags, &what),
        Gets::All | Gets::Part => {
            let common = original.tags.len().min(ours.tags.len());
            flv::assert_equal(&original.tags[..common], &ours.tags[..common], &what);
        }
        Gets::Late | Gets::Frames => {}
        Gets::Refused | Gets::Silence => {
            flv::assert_equal(&original.tags, &before, &what);
            flv::assert_equal(&ours.tags, &before, &what);
        }
    }
    for (result, whole) in [(&original, complete), (&ours, !ours_fails)] {
        match gets {
            Gets::All if live && whole => {
                let received = flv::assert_contiguous(sent, &flv::readable(&result.tags), &what);
                assert_eq!(received, frames(sent), "{what}");
            }
            Gets::All if whole => flv::assert_equal(&flv::media(sent), &flv::media(&result.tags), &what),
            Gets::Part => assert!((20..frames(sent)).contains(&frames(&result.tags)), "{what}"),
            Gets::Late if whole => {
                flv::assert_contiguous(sent, &flv::readable(&result.tags), &what);
            }
            Gets::Frames if whole => {
                foreign::assert_frames(sent, &result.tags, if live { 1 } else { 20 }, &what)
            }
            _ => {}
        }
    }
}

/// The number of tags with sound or pictures, without decoder configurations.
fn frames(tags: &[Tag]) -> usize {
    tags.iter().filter(|tag| tag.kind != 0x12 && !tag.is_sequence_header()).count()
}

/// The contents of a file, which may be missing or have no header.
fn load(file: &Path) -> Vec<Tag> {
    let begun = fs::metadata(file).is_ok_and(|data| data.len() >= 13);
    if begun { flv::load_part(file) } else { Vec::new() }
}
