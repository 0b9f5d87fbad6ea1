//! Unmodified programs whose peer closes in mid-stream, or does not exist: each reports that and ends.
#![forbid(unsafe_code)]

use crate::matrix::programs::PUBLISHERS;
use crate::support::examples::{Client, ExampleServer};
use crate::support::fault::{BadNetwork, Cut, Dice, Faults};
use crate::support::network::{BLACK_HOLE, Nowhere};
use crate::support::program::{self, Run};
use crate::support::stage::Stage;
use crate::support::{Library, clip, library::ours_is_original, require};

/// It has ended with a code for a failure; a signal leaves no code.
fn assert_failed(run: &Run, what: &str) {
    assert!(!run.timed_out && matches!(run.code, Some(1..)), "{what}: {run:?}");
}

/// librtmp 2.4 lets SIGPIPE end GStreamer and C programs that do not ignore it.
#[test]
fn publishers_survive_a_lost_peer() {
    if ours_is_original() {
        return;
    }
    let stage = need!(Stage::set());
    let server = need!(ExampleServer::start(Library::Ours, stage.folder.path()));
    // More than the buffers of all sockets on the way can hold.
    let long = need!(clip::repeated(&stage.folder.join("long.flv"), 200));
    for protocol in ["rtmp", "rtmpt"] {
        let network = BadNetwork::in_front_of(server.port());
        let url = |name: &str| format!("{protocol}://127.0.0.1:{}/live/{name}", network.port);
        for reset in [false, true] {
            let lose = || {
                let cut = Some(Cut { after: 40_000, reset });
                network.change(server.port(), Faults { cut, ..Faults::default() }, Dice::new(0));
            };
            let how = format!("{protocol}-{}", if reset { "reset" } else { "closed" });
            for program in PUBLISHERS {
                let what = format!("{program:?}-{how}");
                lose();
                let run = need!(program.publish(Library::Ours, &long, &url(&what))).finish();
                assert_failed(&run, &what);
                assert!(network.has_cut(), "{what}: ended too early: {run:?}");
            }
            let what = format!("publish-{how}");
            lose();
            let arguments = ["-q", "-t", "10", &long.to_string_lossy(), &url(&what)];
            let run = need!(Client::example("publish", Library::Ours, &arguments)).finish();
            assert_failed(&run, &what);
            assert!(network.has_cut(), "{what}: ended too early: {run:?}");
        }
    }
}

/// librtmp 2.4 leaves it to the kernel, which tries for minutes.
#[test]
fn programs_give_up_an_address_that_does_not_answer() {
    if ours_is_original() {
        return;
    }
    let nowhere = need!(Nowhere::new(BLACK_HOLE));
    for protocol in ["rtmp", "rtmpt", "rtmpe"] {
        let url = format!("{protocol}://192.0.2.9/live/x");
        let mut command = need!(program::on_library(&need!(require::program("rtmpdump")), Library::Ours));
        command.args(["-r", &url, "-o", "/dev/null", "-m", "2"]);
        let run = Client::start(nowhere.enter(&command), Library::Ours).finish();
        assert_failed(&run, &url);
        assert!(run.stderr.contains("timed out"), "{url}: {run:?}");
    }
}
