//! A sample film of a few seconds, made once by ffmpeg and kept in the build directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::{library, process, require};

/// How long the sample clip lasts.
pub const SECONDS: u32 = 3;

/// `clip.flv`: H.264 with a key frame every half second, and AAC. `None` when ffmpeg is not installed.
pub fn flv() -> Option<PathBuf> {
    make("clip", SECONDS, "add_keyframe_index")
}

/// A film of the same kind for tests that end it early. It is longer than the time that players need to join it.
pub fn long() -> Option<PathBuf> {
    make("long", 45, "no_metadata")
}

/// Makes a film in a file of that name.
fn make(name: &str, seconds: u32, flags: &str) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let ffmpeg = require::program("ffmpeg")?;
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let file = library::scratch().join(format!("{name}.flv"));
    if !file.exists() {
        let unfinished = library::scratch().join(format!("{name}-{}.flv", std::process::id()));
        let duration = seconds.to_string();
        let target = unfinished.to_string_lossy().into_owned();
        let picture = "testsrc=size=160x120:rate=25";
        let sound = "sine=frequency=440:sample_rate=44100";
        let mut arguments = vec!["-hide_banner", "-loglevel", "error", "-y"];
        arguments.extend(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", &duration]);
        arguments.extend(["-c:v", "libx264", "-preset", "veryfast", "-g", "12", "-pix_fmt", "yuv420p"]);
        arguments.extend(["-c:a", "aac", "-b:a", "64k", "-flvflags", flags, &target]);
        process::output(ffmpeg, &arguments, Duration::from_secs(60));
        fs::rename(&unfinished, &file).expect("the build directory is writable");
    }
    Some(file)
}

/// The same film with plain metadata, without an index of key frames, which some servers do not support.
pub fn without_index() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let (ffmpeg, clip) = (require::program("ffmpeg")?, flv()?);
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let file = library::scratch().join("plain.flv");
    if !file.exists() {
        let unfinished = library::scratch().join(format!("plain-{}.flv", std::process::id()));
        let [from, to] = [&clip, &unfinished].map(|path| path.to_string_lossy());
        let arguments = ["-loglevel", "error", "-y", "-i", &from, "-c", "copy", &to];
        process::output(ffmpeg, &arguments, Duration::from_secs(60));
        fs::rename(&unfinished, &file).expect("the build directory is writable");
    }
    Some(file)
}

/// A film that is repeated `times` times, in a file.
pub fn repeated(file: &Path, times: u32) -> Option<PathBuf> {
    let (ffmpeg, clip) = (require::program("ffmpeg")?, without_index()?);
    let (times, [from, to]) = ((times - 1).to_string(), [&clip, file].map(|path| path.to_string_lossy()));
    let arguments = ["-loglevel", "error", "-stream_loop", &times, "-i", &from, "-c", "copy", &to];
    process::output(ffmpeg, &arguments, Duration::from_secs(60));
    Some(file.to_owned())
}
