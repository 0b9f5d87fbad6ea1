//! A distribution's package of this library in the place of the original's: curl and GStreamer, as they are installed, find
//! it under the same path, since a private mount puts the staged file over the installed one.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::support::{
    Library, Server, TempDir, clip, flv, foreign,
    peer::bytes_of_sounds,
    program::{self, LoaderLog},
    require,
    servers::Nginx,
};
use crate::toolchain::{run, staging::Staged};

const LIMIT: Duration = Duration::from_secs(60);

/// Mounts the first file over the second, for what it starts and nothing else; then runs the rest in that place.
const SWAP: &str = r#"mount --bind "$1" "$2" && cmp -s "$1" "$2" && shift 2 && exec "$@""#;

#[test]
fn installed_programs_run_on_the_packages_of_this_library() {
    let system = need!(System::prepare());
    let (clip, directory) = (need!(clip::flv()), TempDir::new("swapped"));
    let film = flv::readable(&flv::load(&clip));
    let curl = need!(require::program("curl"));
    let gstreamer = need!(require::program("gst-launch-1.0"));

    let (server, file) = (Server::of_sounds(20), directory.join("curl.flv"));
    system.run(&curl, &["-sS", "-m", "30", "-o", &file.to_string_lossy(), &server.url()], &directory);
    server.join();
    assert_eq!(fs::metadata(&file).unwrap().len(), u64::from(bytes_of_sounds(20)));

    let nginx = need!(Nginx::start());
    nginx.offer(&clip, "film.flv");
    let [path, url] = [clip.display().to_string(), nginx.url("record", "by-curl")];
    system.run(&curl, &["-sS", "-m", "30", "-T", &path, &url], &directory);
    let published = nginx.url("record", "by-gstreamer");
    let pipeline = format!(
        "-q filesrc location={path} ! flvdemux name=d flvmux name=m ! rtmpsink location={published} \
         d.video ! queue ! m.video d.audio ! queue ! m.audio"
    );
    system.run(&gstreamer, &pipeline.split_whitespace().collect::<Vec<_>>(), &directory);
    nginx.wait_for_disconnects(2);
    for name in ["by-curl", "by-gstreamer"] {
        foreign::assert_part(&film, &nginx.recording(name), 60, name);
    }

    let (file, played) = (directory.join("gstreamer.flv"), nginx.url("vod", "film"));
    // It would continue when it has all; so it is told when to stop.
    let blocks = fs::metadata(&clip).unwrap().len() / 4096 - 1;
    let pipeline =
        format!("-q rtmpsrc location={played} num-buffers={blocks} ! filesink location={}", file.display());
    system.run(&gstreamer, &pipeline.split_whitespace().collect::<Vec<_>>(), &directory);
    let found = flv::media(&flv::load_part(&file));
    assert!(found.len() > 100, "rtmpsrc: only {} frames", found.len());
    flv::assert_equal(&flv::media(&film)[..found.len()], &found, "rtmpsrc");
}

/// What the distribution's packages have for programs and for compilers, ours has in the same places.
#[test]
fn nothing_that_the_distribution_installs_is_missing() {
    let original = need!(Library::Original.file());
    let dpkg = need!(require::program("dpkg-query"));
    let listed = run(Command::new(dpkg).args(["-L", "librtmp1", "librtmp-dev"]));
    let theirs: BTreeSet<_> = listed
        .lines()
        .map(|path| path.strip_suffix(".gz").unwrap_or(path).trim_start_matches('/'))
        .filter(|path| !path.starts_with("usr/share/doc") && !Path::new("/").join(path).is_dir())
        .map(PathBuf::from)
        .collect();
    assert!(theirs.len() >= 8, "{theirs:?}");
    let ours: BTreeSet<_> = stage(&original).files().into_iter().collect();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The library as a package of the distribution would have it.
fn stage(original: &Path) -> Staged {
    let directory = original.parent().unwrap().file_name().unwrap().to_str().unwrap();
    Staged::install("/usr", &format!("lib/{directory}"), &[])
}

/// The system with our library in the place of the original.
struct System {
    staged: PathBuf,
    installed: PathBuf,
    unshare: PathBuf,
    _tree: Staged,
}

impl System {
    /// `None` when the file system cannot be changed for one process alone.
    fn prepare() -> Option<Self> {
        let original = Library::Original.file()?;
        let unshare = require::program("unshare")?;
        require::program("make")?;
        let tree = stage(&original);
        let staged = fs::canonicalize(tree.lib().join("librtmp.so.1")).expect("it was installed");
        let system = Self { staged, installed: original, unshare, _tree: tree };
        let tried = program::run(&mut system.command(Path::new("true")), "", LIMIT);
        if tried.code != Some(0) {
            require::missing(&format!("a mount namespace (unshare -m): {}", tried.stderr.trim()));
            return None;
        }
        Some(system)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.unshare);
        // A user other than root becomes root in a new namespace.
        command.args(["-r", "-m", "sh", "-c", SWAP, "sh"]);
        command.arg(&self.staged).arg(&self.installed).arg(program);
        command.env_remove("LD_LIBRARY_PATH");
        command
    }

    /// Runs a program, which must succeed and load the library from where it is installed, and no other.
    fn run(&self, program: &Path, arguments: &[&str], directory: &TempDir) {
        let mut command = self.command(program);
        command.args(arguments);
        // Plugins are looked at in the process itself, into a registry of this test.
        command.env("GST_REGISTRY", directory.join("registry")).env("GST_REGISTRY_FORK", "no");
        let loader = LoaderLog::of(&mut command);
        let what = format!("{} {arguments:?}", program.display());
        program::run(&mut command, "", LIMIT).expect(&what);
        let loaded: Vec<_> = loader.loaded().iter().map(|file| file.canonicalize().unwrap()).collect();
        assert_eq!(loaded, [self.installed.canonicalize().unwrap()], "{what}");
    }
}
