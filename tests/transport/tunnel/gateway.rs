//! Servers on top of the tunnel's server: one that hands each stream to a closure, and one that passes it on.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::Duration,
};

use rtmp_core::transport::{
    deadline::Deadline,
    tunnel::server::{Accepted, Registry},
};

use crate::support::process::wait_until;

/// A registry of a test's own.
pub fn with_limits(idle: Duration, sessions: usize) -> &'static Registry {
    Box::leak(Box::new(Registry::new(idle, sessions, 64)))
}

/// Waits until no session is left.
pub fn sessions_end(registry: &Registry) {
    let ended = wait_until(Duration::from_secs(20), || registry.session_count() == 0);
    assert!(ended, "{} sessions do not end", registry.session_count());
}

pub fn random() -> [u8; 16] {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system has random bytes");
    random
}

/// Serves each session's stream with `handle`, in a thread of its own; returns the port.
pub fn serve(registry: &'static Registry, handle: impl Fn(&UnixStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            stream.set_nodelay(true).expect("TCP sockets take TCP_NODELAY");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a positive time-out");
            let handle = handle.clone();
            thread::spawn(move || match registry.accept(Arc::new(stream), &[], random(), Deadline::NEVER) {
                Ok(Accepted::Session(fd)) => handle(&UnixStream::from(fd)),
                Ok(Accepted::Joined) => {}
                Err(error) => println!("not accepted: {error}"),
            });
        }
    });
    port
}

/// Passes each session's stream on to the plain server at `upstream`; returns the port.
pub fn gateway(registry: &'static Registry, upstream: u16) -> u16 {
    serve(registry, move |stream| {
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
