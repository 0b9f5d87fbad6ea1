//! SWF verification between our library and librtmp 2.4, each as client and as server.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::support::{Library, Program, Running, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn clients_verify_their_swf_file() {
    let program = need!(Program::test("swf_verify"));
    for (server, client) in [
        (Library::Ours, Library::Ours),
        (Library::Original, Library::Ours),
        (Library::Ours, Library::Original),
    ] {
        let (Some(mut serve), Some(mut play)) = (program.command(server), program.command(client)) else {
            continue;
        };
        let server_process = Running::start(serve.arg("server"));
        assert!(wait_until(LIMIT, || server_process.stdout().contains('\n')), "{}", server_process.stderr());
        let port = server_process.stdout().trim().to_owned();
        let client_process = Running::start(play.args(["client", &port]));
        assert!(
            wait_until(LIMIT, || server_process.stdout().lines().count() >= 4),
            "{server:?} serves {client:?}: {} {}",
            server_process.stdout(),
            client_process.stderr()
        );
        let expected = format!("{port}\nserve 1\nanswer right\nversion 1 1, size 1\n");
        assert_eq!(server_process.stdout(), expected, "{server:?} serves {client:?}");
    }
}
