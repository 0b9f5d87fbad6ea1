//! `errno`: a call that succeeds leaves it unchanged, and one that fails sets it as librtmp did.
//!
//! Bindings of other languages read `errno` after every call and treat a change as a failure. So system calls that fail
//! although the call succeeds, and the library's own sockets, locks and files, must not change it.

use std::marker::PhantomData;

use libc::c_int;

use rtmp_core::error::Error;

/// The value that `errno` gets when this is dropped, at the end of a call: the old one, unless another is set.
pub(crate) struct Errno {
    value: c_int,
    unchanged: bool,
    /// Each thread has its own `errno`.
    _not_send: PhantomData<*const ()>,
}

impl Errno {
    /// Keeps the current value.
    #[inline(always)]
    pub(crate) fn keep() -> Self {
        Self { value: get(), unchanged: false, _not_send: PhantomData }
    }

    /// Sets the value for `error`. An error that is not the operating system's has none.
    pub(crate) fn set_from(&mut self, error: &Error) {
        if let (false, Some(code)) = (self.unchanged, error.errno()) {
            self.value = in_c(code);
        }
    }

    /// Keeps the old value whatever error follows: librtmp made no system call there.
    pub(crate) fn leave_unchanged(&mut self) {
        self.unchanged = true;
    }

    /// Sets the current value, which a function of C has left.
    pub(crate) fn take_current(&mut self) {
        self.value = get();
    }
}

impl Drop for Errno {
    #[inline(always)]
    fn drop(&mut self) {
        set(self.value);
    }
}

/// Sets `errno`.
#[inline(always)]
pub(super) fn set(value: c_int) {
    // SAFETY: this is the address of this thread's `errno`, which every thread has, and which nothing refers to.
    unsafe { *errno_location() = value };
}

/// The value of `errno`.
#[inline(always)]
fn get() -> c_int {
    // SAFETY: this is the address of this thread's `errno`, which every thread has, and which nothing refers to.
    unsafe { *errno_location() }
}

#[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "hurd"))]
use libc::__errno_location as errno_location;

#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
use libc::__error as errno_location;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_location;

#[cfg(windows)]
unsafe extern "C" {
    #[link_name = "_errno"]
    fn errno_location() -> *mut c_int;
}

/// The number of an error in C programs.
#[cfg(unix)]
fn in_c(code: c_int) -> c_int {
    code
}

/// The number of an error in C programs: Winsock has its own (`winerror.h`), and C has others (`errno.h`).
#[cfg(windows)]
fn in_c(code: c_int) -> c_int {
    const WSAEWOULDBLOCK: c_int = 10035;
    match code {
        WSAEWOULDBLOCK => libc::EAGAIN,
        10004 => libc::EINTR,
        10009 | 10038 => libc::EBADF,
        10013 => libc::EACCES,
        10014 => libc::EFAULT,
        10022 => libc::EINVAL,
        10024 => libc::EMFILE,
        10036 => libc::EINPROGRESS,
        10037 => libc::EALREADY,
        10048 => libc::EADDRINUSE,
        10049 => libc::EADDRNOTAVAIL,
        10050 => libc::ENETDOWN,
        10051 => libc::ENETUNREACH,
        10052 => libc::ENETRESET,
        10053 => libc::ECONNABORTED,
        10054 => libc::ECONNRESET,
        10055 => libc::ENOBUFS,
        10056 => libc::EISCONN,
        10057 | 10058 => libc::ENOTCONN,
        10060 => libc::ETIMEDOUT,
        10061 => libc::ECONNREFUSED,
        10065 => libc::EHOSTUNREACH,
        code => code,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn errno_is_unchanged_without_a_system_error() {
        let cases: [(Option<Error>, c_int); 7] = [
            (None, 7),
            (Some(Error::Closed), 7),
            (Some(Error::Invalid("x")), 7),
            (Some(Error::TimedOut.reported()), libc::EAGAIN),
            (Some(Error::NotConnected), libc::EBADF),
            (Some(Error::OutOfMemory), libc::ENOMEM),
            (Some(Error::Io(io::Error::from_raw_os_error(libc::EPIPE))), libc::EPIPE),
        ];
        for (error, expected) in cases {
            set(7);
            let mut kept = Errno::keep();
            set(8);
            if let Some(error) = &error {
                kept.set_from(error);
            }
            drop(kept);
            assert_eq!(get(), expected, "{error:?}");
        }
    }

    #[test]
    fn errno_can_be_left_alone_and_taken_over() {
        set(7);
        let mut kept = Errno::keep();
        kept.leave_unchanged();
        kept.set_from(&Error::NotConnected);
        drop(kept);
        assert_eq!(get(), 7);
        let mut kept = Errno::keep();
        set(9);
        kept.take_current();
        set(8);
        drop(kept);
        assert_eq!(get(), 9);
    }
}
