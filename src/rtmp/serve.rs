//! Serving a client that has connected.

use std::{net::TcpStream, sync::Arc};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    handshake::ServerOptions,
    random, session,
    transport::{
        deadline::Deadline,
        tcp,
        tls::{Session, TlsSocket},
        tunnel::{
            Link,
            server::{self, Accepted},
        },
    },
};
use rustix::fd::{AsFd, OwnedFd};

use super::{
    RTMP, RTMP_FEATURE_ENC, RTMP_FEATURE_HTTP2, connect::RequestedChunkSize, misc::RTMP_GetTime, sockbuf,
};
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    globals,
    pipe::Pipe,
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
        let unshaken = |error| handle.failure(error, Phase::Handshake);
        let waits_for_ever = tcp::add_missing_timeouts(handle.socket().map_err(unshaken)?, handle.timeout());
        handle.forget_session();
        if speaks_http(&handle).map_err(unshaken)? && !accept_tunnel(&handle)? {
            return Ok(FALSE);
        }
        let requested = RequestedChunkSize::of(&handle);
        shake_hands(&handle).map_err(unshaken)?;
        requested.announce(&handle).map_err(unshaken)?;
        if waits_for_ever {
            // Players have nothing to say while they play. How long to wait for them is for the caller to decide.
            tcp::wait_for_ever(handle.socket().map_err(unshaken)?);
        }
        Ok(TRUE)
    })
}

/// The server's handshake.
fn shake_hands(handle: &Handle) -> Result<()> {
    let options = ServerOptions { time: RTMP_GetTime(), swf: handle.swf() };
    let session = session::Session::bare_server(options, &mut random::system)?;
    let (encrypted, swf_response) = handle.shake_hands(session)?;
    handle.flush()?;
    if encrypted {
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe { (*handle.raw()).Link.protocol |= RTMP_FEATURE_ENC };
    }
    handle.show_handshake(encrypted, swf_response);
    Ok(())
}

/// Whether the client's first byte begins an HTTP request. No version of RTMP is a capital letter.
fn speaks_http(handle: &Handle) -> Result<bool> {
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); only this thread reads.
    let first = || unsafe { sockbuf::unread(&raw const (*handle.raw()).m_sb) }.first().copied();
    if first().is_none() {
        handle.fill(true)?;
    }
    Ok(first().is_some_and(|byte| byte.is_ascii_uppercase()))
}

/// Hands the connection to the tunnels of this process, and takes the stream of the session that it starts in its place;
/// false if it joins a session that is being served already.
fn accept_tunnel(handle: &Handle) -> Result<bool, Failure> {
    let r = handle.raw();
    let mut name = [0; 16];
    random::system(&mut name).during(Phase::Handshake)?;
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the descriptor and TLS over
    // it change hands, and the fields forget them.
    let (pipe, received) = unsafe {
        let sb = &raw mut (*r).m_sb;
        let received = sockbuf::unread(sb).to_vec();
        sockbuf::consume(sb, received.len());
        (handle.take_pipe(), received)
    };
    let Pipe { session, socket: Some(socket) } = pipe else {
        return Err(Failure::new(Error::NotConnected, Phase::Handshake));
    };
    let limit = Deadline::after(handle.timeout());
    let accepted = accept(socket, session, &received, name, limit).during(Phase::Tunnel)?;
    match accepted {
        Accepted::Joined => {
            log::debug!("RTMP_Serve, {JOINED}");
            reason::keep_as(Code::Joined, Phase::Tunnel, JOINED);
            Ok(false)
        }
        Accepted::Session(stream) => {
            tcp::add_missing_timeouts(stream.as_fd(), handle.timeout());
            // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
            unsafe {
                shared::write(&raw mut (*r).m_sb.sb_socket, socket::into_c(stream));
                (*r).Link.protocol |= RTMP_FEATURE_HTTP2;
            }
            Ok(true)
        }
    }
}

fn accept(
    socket: OwnedFd,
    session: Option<Arc<Session>>,
    received: &[u8],
    name: [u8; 16],
    limit: Deadline,
) -> Result<Accepted> {
    let socket = TcpStream::from(socket);
    let link: Arc<dyn Link> = match session {
        None => Arc::new(socket),
        Some(session) => Arc::new(TlsSocket::new(socket.into(), session, &globals::USER)),
    };
    server::accept(link, received, name, limit).map_err(|error| match error {
        Error::Closed => Error::malformed("HTTP connection", "it ended before a session began"),
        error => error,
    })
}
