//! The connection below an HTTP tunnel: the socket of an `RTMP`, with TLS over it if there is any.

use std::{iter, sync::atomic::Ordering, time::Duration};

use rtmp_core::{
    error::{Error, Result},
    transport::{
        deadline::Deadline,
        tcp,
        tunnel::{Carrier, Ending, Status},
        wait::{Patience, Until},
    },
};
#[cfg(any(target_os = "linux", target_os = "android"))]
use rustix::fd::AsRawFd;
use rustix::fd::{AsFd, BorrowedFd};

use super::{
    memory,
    rtmp::{dial, sockbuf},
    shared, socket,
    state::Handle,
};
use crate::amf::AVal;

/// What carries a tunnel's requests and replies.
pub(crate) struct Line<'a>(pub(crate) &'a Handle);

impl Carrier for Line<'_> {
    fn receive(&self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        let patience = self.0.patience();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe {
            let sb = &raw const (*self.0.raw()).m_sb;
            let patience = Until::new(&patience, deadline);
            if self.0.is_watched() {
                return sockbuf::receive_leaving_one(sb, buffer, self.0.left_byte(), &patience);
            }
            sockbuf::receive_into(sb, buffer, &patience)
        }
    }

    fn send(&self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let patience = self.0.patience();
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`).
        unsafe {
            let sb = &raw const (*self.0.raw()).m_sb;
            sockbuf::send_all(sb, iter::once(bytes), &mut Vec::new(), &Until::new(&patience, deadline))
        }
    }

    fn reconnect(&self, ending: Ending, deadline: Deadline) -> Result<()> {
        // Programs end a wait by shutting the socket down.
        if ending == Ending::Silent && is_shut_down_here(self.0.socket()?) {
            return Err(Error::Interrupted);
        }
        let limit = self.0.limit();
        self.0.set_limit(limit.or_sooner(deadline));
        let result = self.replace();
        self.0.set_limit(limit);
        result
    }

    fn timeout(&self) -> Option<Duration> {
        self.0.timeout()
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.timeout()).or_sooner(self.0.limit())
    }

    fn interrupted(&self) -> bool {
        self.0.patience().is_over()
    }
}

impl Line<'_> {
    /// Puts another connection in the place of the one that is there.
    fn replace(&self) -> Result<()> {
        let fresh = dial::connect_once_more(self.0)?;
        tcp::configure(fresh.as_fd(), self.0.timeout());
        // SAFETY: the handle stands for an `RTMP` that stays valid while it exists (`Handle::from_raw`). Its socket is open.
        unsafe {
            let known = shared::read(&raw const (*self.0.raw()).m_sb.sb_socket);
            let replaced = socket::replace(known, fresh.into())?;
            shared::write(&raw mut (*self.0.raw()).m_sb.sb_socket, replaced);
        }
        self.0.left_byte().store(false, Ordering::Relaxed);
        dial::secure(self.0)
    }
}

/// Whether it was this side that ended a connection.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_shut_down_here(socket: BorrowedFd<'_>) -> bool {
    /// The states of a connection that the peer has closed, without or with an error.
    const CLOSED_BY_PEER: [u8; 2] = [8, 7]; // TCP_CLOSE_WAIT, TCP_CLOSE
    let mut state = 0_u8; // the first field of `tcp_info`, of which the system fills in what there is room for
    let mut len: libc::socklen_t = 1;
    // SAFETY: the descriptor is open, and both pointers are good for what is written.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut len,
        )
    };
    result == 0 && !CLOSED_BY_PEER.contains(&state)
}

/// Whether it was this side that ended a connection: then sending fails even when there is nothing to send. A peer that
/// broke the connection looks alike.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_shut_down_here(socket: BorrowedFd<'_>) -> bool {
    tcp::send_now(socket, &[]).is_err()
}

/// Shows callers where the tunnel stands.
pub(crate) fn show(handle: &Handle, status: &Status) {
    let r = handle.raw();
    // The thread that reads and the one that sends come here.
    let _core = handle.core();
    if !handle.is_current() {
        return;
    }
    // SAFETY: the handle's `RTMP` stays valid while the handle exists (`Handle::from_raw`); the name comes from
    // `malloc`, like every other that `RTMP_Close` finds there.
    unsafe {
        (*r).m_msgCounter = status.sequence as i32;
        (*r).m_unackd = status.unanswered as i32;
        (*r).m_polling = status.polling.into();
        (*r).m_resplen = status.missing as i32;
        if let (Some(session), true) = (&status.session, (*r).m_clientID.av_val.is_null()) {
            let path = format!("/{}", session.as_str());
            if let Ok(copy) = memory::duplicate(path.as_bytes()) {
                (*r).m_clientID = AVal { av_val: copy, av_len: path.len() as libc::c_int };
            }
        }
    }
}
