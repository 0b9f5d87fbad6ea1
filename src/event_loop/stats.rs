//! `RTMP_GetStats` and `RTMP_GetLastSystemError`.

use std::{mem, ptr, time::Duration};

use libc::c_int;
use rtmp_core::{
    error::Error,
    stats::{Phases, Stats},
};

use super::RTMPStats;
use crate::{
    Errno, FALSE, TRUE,
    boundary::{Kind, boundary},
    ptr::{given, required},
    reason,
    state::Handle,
    valid::Rtmp,
};

/// Copies the statistics of the connection to `s`.
///
/// The caller sets `s->s_size`, and at most that many bytes are written. Fields that this version of the library does not know
/// are set to 0. All numbers are 0 before the first connection and after the connection has ended.
///
/// Any thread may call this at any time, also during other calls about the session and in callbacks of the library, but not in
/// signal handlers. It does not wait for the peer. A failure does not change what `RTMP_GetLastError` returns.
///
/// Returns TRUE, or FALSE if `r` or `s` is NULL or `s_size` is less than 8.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`; `s` is null or points to `s_size` bytes, the first four of which hold that
/// number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetStats(r: Option<Rtmp<'_>>, s: *mut RTMPStats) -> c_int {
    boundary(Kind::Session, FALSE, |_| {
        let r = given(r, "r")?;
        // SAFETY: `s` is null or holds its size, by the Safety section. No reference to the whole struct is made: the program's
        // may be shorter.
        let size = *unsafe { required(s.cast::<u32>(), "s") }?;
        let room = size as usize;
        if room < mem::offset_of!(RTMPStats, s_bytesIn) {
            return Err(Error::Invalid("s_size is not the size of an RTMPStats").into());
        }
        let stats = for_c(size, &Handle::of(r).map(|handle| handle.stats()).unwrap_or_default());
        let known = room.min(size_of::<RTMPStats>());
        // SAFETY: `s` points to `s_size` bytes, by the Safety section; all bytes of `stats` are initialised, because it has no
        // padding (see `types`).
        unsafe {
            ptr::copy_nonoverlapping((&raw const stats).cast::<u8>(), s.cast::<u8>(), known);
            ptr::write_bytes(s.cast::<u8>().add(known), 0, room - known);
        }
        Ok(TRUE)
    })
}

/// Returns the operating system's error for the failure that `RTMP_GetLastError` reports: an `errno`, or 0.
///
/// It is 0 if no system call failed, or if the process has had 256 newer failures. `RTMP_ERR_CONNECT`, `RTMP_ERR_PROXY`,
/// `RTMP_ERR_TLS`, `RTMP_ERR_IO` and `RTMP_ERR_RESOLVE` may have one.
///
/// Any thread may call this at any time.
///
/// # Safety
/// `r` is null or points to an initialised `RTMP`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn RTMP_GetLastSystemError(r: Option<Rtmp<'_>>) -> c_int {
    // This may wait for another thread.
    let _errno = Errno::keep();
    reason::last_system_code(r)
}

fn for_c(size: u32, stats: &Stats) -> RTMPStats {
    let Phases { lookup, tcp, proxy, tls, handshake, connect, stream, .. } = stats.phases;
    RTMPStats {
        s_size: size,
        s_retransmissions: u32::try_from(stats.retransmissions).unwrap_or(u32::MAX),
        s_bytesIn: stats.bytes_in,
        s_bytesOut: stats.bytes_out,
        s_messagesIn: stats.messages_in,
        s_messagesOut: stats.messages_out,
        s_acknowledged: stats.acknowledged,
        s_queued: stats.queued,
        s_unsent: stats.unsent,
        s_roundTrip: u32::try_from(stats.round_trip.as_micros()).unwrap_or(u32::MAX),
        s_blocked: milliseconds(stats.blocked),
        s_stalled: milliseconds(stats.stalled),
        s_lookup: phase(lookup),
        s_tcp: phase(tcp),
        s_proxy: phase(proxy),
        s_tls: phase(tls),
        s_handshake: phase(handshake),
        s_connect: phase(connect),
        s_stream: phase(stream),
    }
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A phase that has ended is never reported as 0, however short it was.
fn phase(time: Duration) -> u32 {
    if time.is_zero() { 0 } else { milliseconds(time).max(1) }
}
