//! Bindings of other languages read errno after every call. They see the same with both libraries: nothing
//! after a success, and the reason after a failure.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::amf::Value;
use crate::support::program;
use crate::support::wire::Message;
use crate::support::{Library, Peer, Server, library, process, require};

const LIMIT: Duration = Duration::from_secs(40);

fn film(peer: &mut Peer) {
    peer.accept_play();
    for time in (0..400).step_by(20) {
        peer.send(&Message::new(4, time, 8, 1, &[0xaf, 1, 2, 3]));
        peer.send(&Message::new(6, time, 9, 1, &[0x17, 1, 0, 0, 0, 5]));
    }
    peer.status(1, "status", "NetStream.Play.Stop", "");
    peer.invoke(0, &[crate::support::amf::s("onBWDone"), crate::support::amf::n(0), Value::Null]);
    peer.drain(LIMIT);
}

/// Runs `script DEAD-URL URL` on both libraries.
fn sees_errno_as_it_is(interpreter: &Path, script: &str) {
    let dead = format!("rtmp://127.0.0.1:{}/app/stream timeout=5", process::free_port());
    let shown: Vec<String> = [Library::Original, Library::Ours]
        .into_iter()
        .filter_map(|library| {
            let server = Server::once(film);
            let mut command = Command::new(interpreter);
            command.env("LD_LIBRARY_PATH", library.directory()?);
            command.arg(library::package().join("tests/bindings").join(script));
            command.args([&dead, &format!("rtmp://127.0.0.1:{}/app/stream timeout=5", server.port)]);
            let loader = program::LoaderLog::of(&mut command);
            let run = program::run(&mut command, "", LIMIT);
            loader.assert_loaded(library);
            server.join();
            Some(run.expect(script))
        })
        .collect();
    let expected = "RTMP_SetupURL 1 -\nRTMP_Connect 0 ECONNREFUSED\nRTMP_SetupURL 1 -\nRTMP_Connect 1 -\n\
                    RTMP_ConnectStream 1 -\nRTMP_Read 0 - 813\nRTMP_SendPause 0 EBADF\n";
    for shown in shown {
        assert_eq!(shown, expected, "{script}");
    }
}

/// Debian's Python, which has cffi where python3-librtmp is installed.
fn python_with_cffi() -> Option<PathBuf> {
    let python = require::file(Path::new("/usr/bin/python3"))?;
    let found =
        Command::new(&python).args(["-c", "import cffi"]).output().is_ok_and(|run| run.status.success());
    if !found {
        require::missing("python3-cffi");
    }
    found.then_some(python)
}

#[test]
fn python_sees_errno_with_ctypes() {
    sees_errno_as_it_is(&need!(require::program("python3")), "errno_ctypes.py");
}

#[test]
fn python_sees_errno_with_cffi() {
    sees_errno_as_it_is(&need!(python_with_cffi()), "errno_cffi.py");
}

#[test]
fn ruby_sees_errno_with_ffi() {
    let ruby = need!(require::program("ruby"));
    let found =
        Command::new(&ruby).args(["-e", "require 'ffi'"]).output().is_ok_and(|run| run.status.success());
    if !found {
        return require::missing("ruby-ffi");
    }
    sees_errno_as_it_is(&ruby, "errno.rb");
}
