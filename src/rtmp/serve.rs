//! Serving a client that has connected.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use libc::c_int;
use rtmp_core::{
    error::{Error, Result},
    features,
    net::{Tunnels, bridge},
    transport::{deadline::Deadline, tcp},
};

use rustix::fd::{AsFd, OwnedFd};

use super::RTMP_FEATURE_HTTP2;
use crate::{
    FALSE, TRUE,
    boundary::{Kind, boundary},
    carrier::Carrier,
    progress::{Opening, Stage, What},
    reason::{self, Code, During, Failure, Phase},
    socket,
    state::{Fact, Handle},
    valid::{Rtmp, field},
};

/// The result for a connection that joins a session.
const JOINED: &str = "the connection belongs to a session that is served already";

/// Does the RTMP handshake, as the server, with the client on `m_sb.sb_socket`. Then read what the client says with
/// `RTMP_ReadPacket`.
///
/// The function recognises plain, signed and RTMPE clients, and clients that tunnel through HTTP (RTMPT). For a
/// tunnelled client, `sb_socket` becomes another descriptor, through which bytes pass in both directions as if it were
/// the connection; a thread of the library answers the client's requests. A session of `RTMP_SetNonBlocking` has no thread:
/// requests are answered by its calls, and its poll entries include all connections that carry its requests. Call
/// `RTMP_Serve` for every connection that is accepted. If `m_outChunkSize` is not 128, the function announces that size to the client.
///
/// The first byte has to arrive within `Link.timeout` seconds, and so do the rest of the handshake and the requests of
/// a tunnel before it. The caller's own timeouts of the socket apply afterwards.
///
/// Returns TRUE or FALSE. In both cases the socket stays open, and the caller closes it with `RTMP_Close`.
///
/// Fails with `RTMP_ERR_HANDSHAKE` if the client's handshake is wrong, `RTMP_ERR_TIMEDOUT` if it takes too long,
/// `RTMP_ERR_UNSUPPORTED` if this library was built without serving or without what the client uses, and
/// `RTMP_ERR_JOINED` if the HTTP connection belongs to a session that another call already serves. In the last case
/// nothing is wrong: that session has taken the connection over, and `sb_socket` is -1.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn RTMP_Serve(r: Option<Rtmp<'_>>) -> c_int {
    boundary(Kind::Waits, FALSE, |_| {
        let handle = Handle::connected_to(Some(reason::start_afresh(r)?))?;
        features::SERVER.check()?;
        let unshaken = |error| handle.failure(error, Phase::Handshake);
        let begin = || {
            let socket = handle.socket().map_err(unshaken)?;
            let waits_for_ever = tcp::add_missing_timeouts(socket, handle.timeout());
            if handle.never_waits() && !handle.has(Fact::Carried) {
                handle.carry_socket().map_err(unshaken)?;
            }
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
    /// Whether the client's first byte begins an HTTP request. No version of RTMP has the value of a capital letter.
    pub(crate) fn speaks_http(&self) -> Result<bool> {
        let first = || self.inbox().unread().first().copied();
        if first().is_none() {
            self.fill(true)?;
        }
        Ok(first().is_some_and(|byte| byte.is_ascii_uppercase()))
    }

    /// Reads requests until it knows which session the HTTP connection belongs to.
    pub(crate) fn begin_tunnel(&self) -> Result<Arc<Carrier>> {
        features::RTMPT.check()?;
        let mut inbox = self.inbox();
        let received = inbox.unread().to_vec();
        inbox.consume(received.len());
        let attached = self.sb().carrier();
        let carrier = match attached.or_else(|| self.carrier()) {
            Some(carrier) => carrier,
            None => self.carry_socket()?,
        };
        carrier.lock().accept_tunnel(&received, &tunnels(), self.timeout(), Instant::now())?;
        self.set_carrier(Some(carrier.clone()));
        Ok(carrier)
    }

    /// Continues with the session that a connection has started; false if the connection has joined a session that is already
    /// served.
    pub(crate) fn finish_tunnel(&self, carrier: &Carrier) -> Result<bool, Failure> {
        match carrier.open(&self.patience()) {
            Ok(()) => {
                field!(self.rtmp(), Link.protocol).change(|protocol| protocol | RTMP_FEATURE_HTTP2);
                if !self.never_waits() {
                    self.bridge_tunnel(carrier).during(Phase::Tunnel)?;
                }
                Ok(true)
            }
            Err(_) if carrier.lock().has_joined() => {
                self.set_carrier(None);
                // The session has its own descriptor.
                drop(self.take_pipe());
                log::debug!("RTMP_Serve, {JOINED}");
                reason::keep_as(Code::Joined, Phase::Tunnel, JOINED);
                Ok(false)
            }
            Err((_, error)) => Err(error).during(Phase::Tunnel),
        }
    }

    /// Gives the program a socket for the session: programs whose calls wait also wait for the socket themselves, and the
    /// session has several connections.
    fn bridge_tunnel(&self, carrier: &Carrier) -> Result<()> {
        let link = carrier.lock().take_served().ok_or(Error::NotConnected)?;
        self.set_carrier(None);
        // The session has its own descriptor.
        drop(self.take_pipe());
        let stream = OwnedFd::from(bridge(link)?);
        tcp::add_missing_timeouts(stream.as_fd(), self.timeout());
        field!(self.sb(), sb_socket).set(socket::into_c(stream));
        Ok(())
    }
}

/// The tunnelled sessions of this process's server.
fn tunnels() -> Tunnels {
    static TUNNELS: Mutex<Option<Tunnels>> = Mutex::new(None);
    TUNNELS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().clone()
}
