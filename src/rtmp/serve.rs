//! Serving a client that has connected.

use std::{fmt, mem, net::TcpStream, sync::Arc};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    features,
    net::Job,
    random,
    transport::{
        deadline::Deadline,
        tcp,
        tunnel::{
            Link,
            server::{self, Accepted},
        },
        wait::Until,
    },
};
use rustix::fd::{AsFd, OwnedFd};
use socket2::SockRef;

use super::{RTMP, RTMP_FEATURE_HTTP2, sockbuf};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    carrier::Carrier,
    globals,
    pipe::Pipe,
    progress::{Admission, Opening, Stage, What},
    reason::{self, Code, During, Failure, Phase},
    shared, socket,
    state::Handle,
};

/// What becomes of a connection that joins a session.
const JOINED: &str = "the connection belongs to a session that is served already";

/// Does the RTMP handshake, as the server, with the client on `m_sb.sb_socket`. Then read what the client says with
/// `RTMP_ReadPacket`.
///
/// The function recognises plain, signed and RTMPE clients, and clients that tunnel through HTTP (RTMPT). For a
/// tunnelled client, `sb_socket` becomes another descriptor, through which bytes pass in both directions as if it were
/// the connection. If `m_outChunkSize` is not 128, the function announces that size to the client.
///
/// The first byte has to arrive within `Link.timeout` seconds, and so do the rest of the handshake and the requests of
/// a tunnel before it. The caller's own timeouts of the socket apply afterwards.
///
/// Returns TRUE or FALSE. In both cases the socket stays open, and the caller closes it with `RTMP_Close`.
///
/// Fails with `RTMP_ERR_HANDSHAKE` if the client's handshake is wrong, `RTMP_ERR_TIMEDOUT` if it takes too long, and
/// `RTMP_ERR_JOINED` if the HTTP connection belongs to a session that another call already serves. In the last case
/// nothing is wrong: that session has taken the connection over, and `sb_socket` is -1.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Serve(r: *mut RTMP) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        // SAFETY: `r` is null or points to an initialised `RTMP`, by the Safety section.
        let handle = unsafe {
            reason::start_afresh(r)?;
            Handle::connected(r)
        }?;
        features::SERVER.check()?;
        let unshaken = |error| handle.failure(error, Phase::Handshake);
        let begin = || {
            let socket = handle.socket().map_err(unshaken)?;
            let waits_for_ever = tcp::add_missing_timeouts(socket, handle.timeout());
            handle.carry_plainly().map_err(unshaken)?;
            handle.forget_session();
            let limit = Deadline::after(if handle.never_waits() { handle.timeout() } else { None });
            Ok(Opening { waits_for_ever, limit, ..Opening::at(What::Serve, Stage::Listening) })
        };
        let mut has_joined = false;
        handle.make_connection(What::Serve, begin, |opening| has_joined = opening.has_joined)?;
        Ok(if has_joined { FALSE } else { TRUE })
    })
}

impl Handle {
    /// Whether the client's first byte begins an HTTP request. No version of RTMP is a capital letter.
    pub(crate) fn speaks_http(&self) -> Result<bool> {
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only this thread reads.
        let first = || unsafe { sockbuf::unread(&raw const (*self.raw()).m_sb) }.first().copied();
        if first().is_none() {
            self.fill(true)?;
        }
        Ok(first().is_some_and(|byte| byte.is_ascii_uppercase()))
    }

    /// Hands the connection to the tunnels of this process, in a thread of its own: finding out whose it is takes requests.
    pub(crate) fn begin_tunnel(&self) -> Result<Admission> {
        features::RTMPT.check()?;
        let r = self.raw();
        let mut name = [0; 16];
        random::system(&mut name)?;
        // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor and TLS over
        // it change hands, and the fields forget them.
        let (pipe, received) = unsafe {
            let sb = &raw mut (*r).m_sb;
            let received = sockbuf::unread(sb).to_vec();
            sockbuf::consume(sb, received.len());
            (self.take_pipe(), received)
        };
        self.set_carrier(None);
        let Pipe { carrier, socket: Some(socket) } = pipe else { return Err(Error::NotConnected) };
        let limit = Deadline::after(self.timeout());
        if !self.never_waits() {
            return Ok(Admission::Over(accept(socket, carrier, &received, name, limit)));
        }
        // The thread waits, whatever the program made of its socket.
        SockRef::from(&socket).set_nonblocking(false)?;
        let job = Job::start("rtmpt connection", move || accept(socket, carrier, &received, name, limit))?;
        Ok(Admission::Running(job))
    }

    /// Takes the stream of the session that a connection has started in its place; false if it has joined a session that is
    /// being served already.
    pub(crate) fn finish_tunnel(&self, admission: &mut Admission) -> Result<bool, Failure> {
        let accepted = match admission {
            Admission::Running(job) => match job.result().during(Phase::Tunnel)? {
                Some(accepted) => accepted,
                None => return Err(Failure::new(Error::Again, Phase::Tunnel)),
            },
            Admission::Over(accepted) => mem::replace(accepted, Ok(Accepted::Joined)),
        };
        match accepted.during(Phase::Tunnel)? {
            Accepted::Joined => {
                log::debug!("RTMP_Serve, {JOINED}");
                reason::keep_as(Code::Joined, Phase::Tunnel, JOINED);
                Ok(false)
            }
            Accepted::Session(stream) => {
                tcp::add_missing_timeouts(stream.as_fd(), self.timeout());
                // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
                unsafe {
                    shared::write(&raw mut (*self.raw()).m_sb.sb_socket, socket::into_c(stream));
                    (*self.raw()).Link.protocol |= RTMP_FEATURE_HTTP2;
                }
                self.carry_plainly().during(Phase::Tunnel)?;
                Ok(true)
            }
        }
    }
}

fn accept(
    socket: OwnedFd,
    carrier: Option<Arc<Carrier>>,
    received: &[u8],
    name: [u8; 16],
    limit: Deadline,
) -> Result<Accepted> {
    let link: Arc<dyn Link> = match carrier {
        None => Arc::new(TcpStream::from(socket)),
        Some(carrier) => Arc::new(Secured(Pipe { carrier: Some(carrier), socket: Some(socket) })),
    };
    server::accept(link, received, name, limit).map_err(|error| match error {
        Error::Closed => Error::malformed("HTTP connection", "it ended before a session began"),
        error => error,
    })
}

/// An HTTP connection in TLS.
struct Secured(Pipe);

impl Link for Secured {
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        let carrier = self.0.carrier.as_ref().ok_or(Error::NotConnected)?;
        carrier.receive(buffer, &Until::new(&globals::USER, deadline))
    }

    fn send(&self, pieces: &[&[u8]]) -> Result<()> {
        let carrier = self.0.carrier.as_ref().ok_or(Error::NotConnected)?;
        carrier.send_all(pieces.iter().copied(), &globals::USER)
    }

    fn shut_down(&self) {
        self.0.shut_down();
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").finish_non_exhaustive()
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.0.say_goodbye();
    }
}
