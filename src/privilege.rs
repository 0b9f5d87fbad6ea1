//! Whether the process has more rights than the user who started it: then it must not believe its environment.

use std::sync::Once;

use rtmp_core::environment;

/// Finds out, the first time. Every export calls this, through `boundary`.
pub(super) fn ask() {
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        if is_privileged() {
            environment::ignore();
        }
    });
}

/// Also for rights that do not show in user and group ids, such as capabilities of a file.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_privileged() -> bool {
    // SAFETY: reads a number that the kernel left for the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Elsewhere the ids are all there is to know, which `environment` looks at.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_privileged() -> bool {
    false
}
