//! Whether the process has one thread, as most programs that use the library do. Then no other thread can cancel this one or
//! end its wait, and the system may wait for bytes: one call in place of three, for the row `Live pace` of `make bench`. glibc
//! has a flag for it (`sys/single_threaded.h`, since 2.32); with other C libraries the answer is no.

use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

static UNKNOWN: AtomicU8 = AtomicU8::new(0);

/// The address of glibc's flag.
static FLAG: AtomicPtr<AtomicU8> = AtomicPtr::new((&raw const UNKNOWN).cast_mut());

/// Looks up glibc's flag at the first call.
#[cfg(not(all(target_env = "gnu", unix)))]
pub(super) fn ask() {}

/// Looks up glibc's flag at the first call.
#[cfg(all(target_env = "gnu", unix))]
pub(super) fn ask() {
    static ASKED: std::sync::Once = std::sync::Once::new();
    ASKED.call_once(|| {
        // SAFETY: the name is a C string.
        let flag = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
        if !flag.is_null() {
            FLAG.store(flag.cast(), Ordering::Relaxed);
        }
    });
}

/// Whether this is the only thread: the answer holds until this thread creates another.
#[inline]
pub(super) fn is_single_threaded() -> bool {
    // SAFETY: the flag is a byte that exists as long as the process, and that only glibc writes, while there is one thread.
    unsafe { &*FLAG.load(Ordering::Relaxed) }.load(Ordering::Relaxed) != 0
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn glibc_has_the_flag_since_2_32() {
        // SAFETY: the text is never freed.
        let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) }.to_str().unwrap();
        let minor: u32 = version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap();
        ask();
        assert_eq!(FLAG.load(Ordering::Relaxed).cast_const() != &raw const UNKNOWN, minor >= 32, "{version}");
    }

    #[test]
    fn another_thread_is_detected() {
        ask();
        // Tests have their own threads, and here is certainly one more.
        thread::scope(|scope| {
            let other = scope.spawn(thread::park);
            assert!(!is_single_threaded());
            other.thread().unpark();
        });
    }
}
