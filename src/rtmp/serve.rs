//! Serving a client that has connected.

use std::{
    net::TcpStream,
    os::fd::{AsFd, IntoRawFd, OwnedFd},
    sync::Arc,
};

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

use super::{
    RTMP, RTMP_FEATURE_ENC, RTMP_FEATURE_HTTP2, connect::RequestedChunkSize, misc::RTMP_GetTime, sockbuf,
};
use crate::{
    FALSE, TRUE, globals,
    pipe::Pipe,
    reason::{self, Code, Phase},
    shared,
    state::Handle,
    waiting,
};

/// What becomes of a connection that joins a session.
const JOINED: &str = "the connection belongs to a session that is served already";

/// Shakes hands as the server with the client on `m_sb.sb_socket`; returns TRUE or FALSE. Either way the socket stays
/// open and is the caller's to close with `RTMP_Close`. What the client says then is read with `RTMP_ReadPacket`.
///
/// The first byte has to come within `Link.timeout` seconds, the handshake has to be over within as many, and so has what a
/// tunnel needs before it. After it the socket waits as long as the caller had set it to, and sends within that time.
///
/// If `m_outChunkSize` is not 128, the client is told so behind the handshake.
///
/// Plain, signed and RTMPE clients are told apart by what they say, and so are those that tunnel through HTTP (RTMPT).
/// For these `sb_socket` is another descriptor afterwards, and bytes in both directions pass through it as if it were the
/// connection. An HTTP connection may also belong to a session that another call serves already: then this one returns
/// FALSE, `sb_socket` is -1, and `RTMP_GetLastError` says `RTMP_ERR_JOINED`.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Serve(r: *mut RTMP) -> c_int {
    waiting(FALSE, || {
        // SAFETY: the caller's contract.
        let handle = unsafe {
            reason::start_afresh(r)?;
            Handle::connected(r)
        }?;
        reason::enter(Phase::Handshake);
        let waits_for_ever = tcp::add_missing_timeouts(handle.socket()?, handle.timeout());
        handle.forget_session();
        if speaks_http(&handle)? && !accept_tunnel(&handle)? {
            return Ok(FALSE);
        }
        let options = ServerOptions { time: RTMP_GetTime(), swf: handle.swf() };
        let session = session::Session::bare_server(options, &mut random::system)?;
        let requested = RequestedChunkSize::of(&handle);
        let (encrypted, swf_response) = handle.shake_hands(session)?;
        handle.flush()?;
        if encrypted {
            // SAFETY: the caller's contract.
            unsafe { (*r).Link.protocol |= RTMP_FEATURE_ENC };
        }
        handle.show_handshake(encrypted, swf_response);
        requested.announce(&handle)?;
        if waits_for_ever {
            // Players have nothing to say while they play. How long to wait for them is for the caller to decide.
            tcp::wait_for_ever(handle.socket()?);
        }
        Ok(TRUE)
    })
}

/// Whether the client's first byte begins an HTTP request. No version of RTMP is a capital letter.
fn speaks_http(handle: &Handle) -> Result<bool> {
    // SAFETY: the handle's contract; only this thread reads.
    let first = || unsafe { sockbuf::unread(&raw const (*handle.raw()).m_sb) }.first().copied();
    if first().is_none() {
        handle.fill(true)?;
    }
    Ok(first().is_some_and(|byte| byte.is_ascii_uppercase()))
}

/// Hands the connection to the tunnels of this process, and takes the stream of the session that it starts in its place;
/// false if it joins a session that is being served already.
fn accept_tunnel(handle: &Handle) -> Result<bool> {
    let r = handle.raw();
    let mut name = [0; 16];
    random::system(&mut name)?;
    // SAFETY: the handle's contract; the descriptor and TLS over it change hands, and the fields forget them.
    let (pipe, received) = unsafe {
        let sb = &raw mut (*r).m_sb;
        let received = sockbuf::unread(sb).to_vec();
        sockbuf::consume(sb, received.len());
        (handle.take_pipe(), received)
    };
    let Pipe { session, socket: Some(socket) } = pipe else { return Err(Error::NotConnected) };
    reason::enter(Phase::Tunnel);
    let limit = Deadline::after(handle.timeout());
    let accepted = accept(socket, session, &received, name, limit)?;
    match accepted {
        Accepted::Joined => {
            log::debug!("RTMP_Serve, {JOINED}");
            reason::keep_as(Code::Joined, JOINED);
            Ok(false)
        }
        Accepted::Session(stream) => {
            tcp::add_missing_timeouts(stream.as_fd(), handle.timeout());
            // SAFETY: the handle's contract.
            unsafe {
                shared::write(&raw mut (*r).m_sb.sb_socket, stream.into_raw_fd());
                (*r).Link.protocol |= RTMP_FEATURE_HTTP2;
            }
            reason::enter(Phase::Handshake);
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
