//! Environment variables. A process with more rights than the user who started it, such as a set-uid program, must not trust
//! them: every variable that the library reads is read here.

use std::{
    env,
    ffi::OsString,
    sync::atomic::{AtomicBool, Ordering},
};

static IGNORED: AtomicBool = AtomicBool::new(false);

/// Makes the process ignore its environment from now on: its rights have a source that user and group ids do not show.
pub fn ignore() {
    IGNORED.store(true, Ordering::Relaxed);
}

/// Whether the environment comes from a user with fewer rights than the process.
pub fn is_ignored() -> bool {
    IGNORED.load(Ordering::Relaxed) || has_other_ids()
}

/// Whether a variable is set, even if it must not be trusted: other libraries may read it.
pub fn is_set(name: &str) -> bool {
    env::var_os(name).is_some()
}

/// A variable; `None` if it is not set or must not be trusted.
pub fn variable(name: &str) -> Option<OsString> {
    // Most programs set few variables, and getting the ids takes system calls, because they may change at any time.
    env::var_os(name).filter(|_| !is_ignored())
}

#[cfg(unix)]
fn has_other_ids() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

/// On this system, programs have the rights of the user who starts them.
#[cfg(not(unix))]
fn has_other_ids() -> bool {
    false
}
