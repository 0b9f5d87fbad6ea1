//! Servers on top of the tunnel's server: one that hands each stream to a closure, and one that passes it on.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use rtmp_core::net::Tunnels;

use crate::{pumps, support::process::wait_until};

/// The sessions of a test.
pub fn with_limits(idle: Duration, sessions: usize) -> Tunnels {
    Tunnels::new(sessions, idle)
}

/// Waits until no session is left.
pub fn sessions_end(tunnels: &Tunnels) {
    let ended = wait_until(Duration::from_secs(20), || tunnels.session_count() == 0);
    assert!(ended, "{} sessions do not end", tunnels.session_count());
}

/// Serves each session's stream with `handle`, in a thread of its own; returns the port.
pub fn serve(tunnels: &Tunnels, handle: impl Fn(&UnixStream) + Send + Sync + 'static) -> u16 {
    pumps::serve(tunnels, None, Duration::from_secs(30), handle)
}

/// Passes each session's stream on to the plain server at `upstream`; returns the port.
pub fn gateway(tunnels: &Tunnels, upstream: u16) -> u16 {
    serve(tunnels, move |stream| {
        let server = TcpStream::connect(("127.0.0.1", upstream)).expect("the server listens");
        server.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = io::copy(&mut &*stream, &mut &server);
                let _ = server.shutdown(Shutdown::Both);
            });
            let _ = io::copy(&mut &server, &mut &*stream);
            let _ = stream.shutdown(Shutdown::Both);
        });
    })
}
