//! `pthread_cancel`: a thread that is in a call is cancelled when the call returns.
//!
//! Most system calls are cancellation points, and cancelling unwinds the stack: Rust code must not be unwound like that, and
//! locks would stay held. So calls put it off, and functions that may wait are cancellation points at their end, when
//! nothing of them is left but the frames of the functions that the program has called.

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

    /// Puts cancelling this thread off while it exists.
    #[must_use = "cancelling is put off only while this lives"]
    pub(crate) struct Shield {
        /// What to go back to; `None` where there is no other thread that could cancel this one.
        before: Option<c_int>,
    }

    impl Shield {
        #[inline]
        pub(crate) fn begin() -> Self {
            if single_thread::is_alone() {
                return Self { before: None };
            }
            let mut before = 0;
            // SAFETY: the state is one that there is, and `before` is writable.
            unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
            Self { before: Some(before) }
        }
    }

    impl Drop for Shield {
        #[inline]
        fn drop(&mut self) {
            if let Some(before) = self.before {
                // SAFETY: the state is one that there was. Going back to it does not act.
                unsafe { pthread_setcancelstate(before, ptr::null_mut()) };
            }
        }
    }

    /// Ends the thread if it was cancelled meanwhile. Inside another call, as in its log callback, this does nothing: that
    /// call has a shield.
    ///
    /// The caller, and every function up to the program, has nothing left to drop, and unwinds: `extern "C-unwind"`.
    #[inline]
    pub(crate) fn act() {
        if !single_thread::is_alone() {
            // SAFETY: the frames above have nothing to drop, so they may be unwound without Rust's doing.
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
