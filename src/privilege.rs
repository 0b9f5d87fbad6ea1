//! Whether the process has more rights than the user who started it. In that case it must not trust its environment.

use std::sync::Once;

use rtmp_core::environment;

/// Determines it at the first call. Every export calls this, through `boundary`.
pub(super) fn ask() {
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        if is_privileged() {
            environment::ignore();
        }
    });
}

/// This includes rights that user and group ids do not show, such as capabilities of a file.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_privileged() -> bool {
    // SAFETY: reads a number that the kernel stored for the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// On other systems only the ids are known, which `environment` checks.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_privileged() -> bool {
    false
}
