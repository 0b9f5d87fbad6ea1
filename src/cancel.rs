//! `pthread_cancel`: a thread that is cancelled during a call ends when the call returns.
//!
//! Most system calls are cancellation points, and cancelling unwinds the stack. Rust code must not be unwound in that way, and
//! locks would stay held. So calls defer cancellation. Functions that may wait are cancellation points at their end, when only
//! the frames of the called functions remain, which have nothing to drop.

#[cfg(not(any(target_os = "android", windows)))]
pub(super) use cancellable::{Shield, act};
#[cfg(any(target_os = "android", windows))]
pub(super) use uncancellable::{Shield, act};

#[cfg(not(any(target_os = "android", windows)))]
mod cancellable {
    use std::ptr;

    use libc::c_int;

    use crate::single_thread;

    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }

    unsafe extern "C-unwind" {
        fn pthread_testcancel();
    }

    /// Defers cancellation of this thread while it exists.
    #[must_use = "cancelling is put off only while this lives"]
    pub(crate) struct Shield {
        /// The state to restore; `None` if no other thread could cancel this one.
        before: Option<c_int>,
    }

    impl Shield {
        #[inline]
        pub(crate) fn begin() -> Self {
            if single_thread::is_single_threaded() {
                return Self { before: None };
            }
            let mut before = 0;
            // SAFETY: the state is a valid one, and `before` is writable.
            unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
            Self { before: Some(before) }
        }
    }

    impl Drop for Shield {
        #[inline]
        fn drop(&mut self) {
            if let Some(before) = self.before {
                // SAFETY: the state was returned by the same function. Restoring it does not cancel the thread.
                unsafe { pthread_setcancelstate(before, ptr::null_mut()) };
            }
        }
    }

    /// Ends the thread if it was cancelled meanwhile. Inside another call, for example in its log callback, this does nothing,
    /// because that call has a shield.
    ///
    /// The caller, and every function up to the program, has nothing left to drop and can unwind (`extern "C-unwind"`).
    #[inline]
    pub(crate) fn act() {
        if !single_thread::is_single_threaded() {
            // SAFETY: the frames above have nothing to drop, so they may be unwound by C.
            unsafe { pthread_testcancel() };
        }
    }

    /// `PTHREAD_CANCEL_DISABLE`.
    const DISABLE: c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };
}

/// There is no `pthread_cancel`.
#[cfg(any(target_os = "android", windows))]
mod uncancellable {
    pub(crate) struct Shield;

    impl Shield {
        pub(crate) fn begin() -> Self {
            Self
        }
    }

    pub(crate) fn act() {}
}
