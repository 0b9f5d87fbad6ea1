//! The clock, the version and the interrupt flag.

use libc::c_int;

use super::RTMP_LIB_VERSION;
use crate::globals;

/// Returns the time in milliseconds of a clock that never goes backwards. Its start is unspecified, and it wraps around
/// at 2^32.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_GetTime() -> u32 {
    milliseconds()
}

/// Returns the version of the interface, `RTMP_LIB_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_LibVersion() -> c_int {
    RTMP_LIB_VERSION
}

/// Interrupts all sessions: it sets `RTMP_ctrlC`, so that all calls that wait for the network, in all threads, fail within
/// a tenth of a second. Nothing resets it. It may be called from a signal handler. `RTMP_Abort` does the same for one session.
#[unsafe(no_mangle)]
pub extern "C" fn RTMP_UserInterrupt() {
    globals::interrupt();
}

#[cfg(unix)]
fn milliseconds() -> u32 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable; POSIX defines the clock, and on a failure `now` stays 0.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    // The function returns 32 bits, so the value wraps.
    (now.tv_sec as u32).wrapping_mul(1000).wrapping_add((now.tv_nsec / 1_000_000) as u32)
}

#[cfg(not(unix))]
fn milliseconds() -> u32 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_millis() as u32
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn time_counts_milliseconds() {
        let longest = Instant::now();
        let start = RTMP_GetTime();
        let shortest = Instant::now();
        while shortest.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let counted = u128::from(RTMP_GetTime().wrapping_sub(start));
        let most = longest.elapsed().as_millis() + 1;
        assert!((19..=most).contains(&counted), "{counted} of {most}");
    }
}
