//! The built-in writer: the output stream, the callback that replaces it, and the format of a line.
//!
//! Programs print from signal handlers, so nothing here allocates, and a thread that already holds the lock passes it.

use std::{
    cell::Cell,
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicPtr, Ordering},
    },
};

use libc::{FILE, c_int};

use super::types::{RTMP_LOGALL, RTMP_LOGCRIT, RTMP_LogCallback};
use crate::{Errno, cancel::Shield, globals, ptr::NulText};

unsafe extern "C" {
    /// C's `stderr`, by `variadic.c`.
    safe fn rtmp_variadic_stderr() -> *mut FILE;
}

/// The application's callback; null while the built-in writer is in use.
static CALLBACK: AtomicPtr<RTMP_LogCallback> = AtomicPtr::new(ptr::null_mut());
/// The output stream; null means `stderr`.
static OUTPUT: AtomicPtr<FILE> = AtomicPtr::new(ptr::null_mut());
/// Whether the cursor is at the end of a status line.
static AFTER_STATUS: AtomicBool = AtomicBool::new(false);

/// The prefix of the lines of each level.
const NAMES: [&str; 6] = ["CRIT", "ERROR", "WARNING", "INFO", "DEBUG", "DEBUG2"];

/// The AMF dump's name for properties without a name; they are shown only at `RTMP_LOGALL`.
const UNNAMED: &[u8] = b"no-name";

/// Replaces the callback.
pub(super) fn set_callback(callback: *mut RTMP_LogCallback) {
    CALLBACK.store(callback, Ordering::Release);
}

/// Replaces the stream. Nothing is written to the old one after this returns.
pub(super) fn set_output(file: *mut FILE) {
    let _writing = Writing::begin();
    OUTPUT.store(file, Ordering::Release);
}

/// Whether messages of this level are shown.
pub(super) extern "C" fn wanted(level: c_int) -> c_int {
    globals::logs(level).into()
}

/// The callback, or null.
pub(super) extern "C" fn callback() -> *const RTMP_LogCallback {
    CALLBACK.load(Ordering::Acquire)
}

/// Writes one line with the name of its level.
pub(super) extern "C" fn log(level: c_int, text: NulText<'_>) {
    let text = text.bytes();
    let unnamed = text.windows(UNNAMED.len()).any(|part| part == UNNAMED);
    if unnamed && globals::debug_level() < RTMP_LOGALL {
        return;
    }
    let name = usize::try_from(level).ok().and_then(|level| NAMES.get(level)).unwrap_or(&"DEBUG2");
    Writing::begin().put_on_new_line(&[name.as_bytes(), b": ", text, b"\n"]);
}

/// Writes text unchanged, on a new line if a status was there.
pub(super) extern "C" fn print(text: NulText<'_>) {
    if globals::debug_level() == RTMP_LOGCRIT {
        return;
    }
    let text = text.bytes();
    let writing = Writing::begin();
    writing.put_on_new_line(&[text]);
    if text.ends_with(b"\n") {
        writing.flush();
    }
}

/// Writes text that the next status overwrites; any other output leaves it in place.
pub(super) extern "C" fn status(text: NulText<'_>) {
    if globals::debug_level() == RTMP_LOGCRIT {
        return;
    }
    let text = text.bytes();
    let writing = Writing::begin();
    writing.put(text);
    writing.flush();
    AFTER_STATUS.store(true, Ordering::Release);
}

/// The right to use the output stream.
struct Writing {
    /// Writing is a cancellation point.
    _shield: Shield,
    /// `None` in a signal handler that interrupted a write of its own thread; stdio's own lock then has to suffice.
    _lock: Option<MutexGuard<'static, ()>>,
    outermost: bool,
    /// Programs log a failure before they check `errno`, and signal handlers must not change it.
    _errno: Errno,
}

impl Writing {
    fn begin() -> Self {
        static LOCK: Mutex<()> = Mutex::new(());
        let shield = Shield::begin();
        // Set before the lock is taken, so that a signal handler never waits for its own thread.
        let errno = Errno::keep();
        let outermost = !BUSY.replace(true);
        let lock = outermost.then(|| LOCK.lock().unwrap_or_else(PoisonError::into_inner));
        Self { _lock: lock, outermost, _errno: errno, _shield: shield }
    }

    fn stream(&self) -> *mut FILE {
        let file = OUTPUT.load(Ordering::Acquire);
        if file.is_null() { rtmp_variadic_stderr() } else { file }
    }

    /// Writes text, after a newline if a status was there. It is assembled first, so that output of other threads cannot get into
    /// it.
    fn put_on_new_line(&self, parts: &[&[u8]]) {
        // Texts are already cut to 2046 characters, so all of it fits.
        let (mut line, mut len) = ([0; 2100], 0);
        let newline: &[u8] = if AFTER_STATUS.swap(false, Ordering::AcqRel) { b"\n" } else { b"" };
        for part in [newline].iter().chain(parts) {
            let room = &mut line[len..];
            let fitting = part.len().min(room.len());
            room[..fitting].copy_from_slice(&part[..fitting]);
            len += fitting;
        }
        self.put(&line[..len]);
    }

    fn put(&self, bytes: &[u8]) {
        // The test runner shows the output of tests only if they fail, and does not capture C's `stderr`.
        #[cfg(test)]
        if OUTPUT.load(Ordering::Acquire).is_null() {
            eprint!("{}", String::from_utf8_lossy(bytes));
            return;
        }
        // SAFETY: `RTMP_LogSetOutput` requires a stream that stays open until another one is set, which waits for this write. A
        // short write cannot be reported to anyone.
        unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), self.stream()) };
    }

    fn flush(&self) {
        // SAFETY: `RTMP_LogSetOutput` requires a stream that stays open until another one is set.
        unsafe { libc::fflush(self.stream()) };
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self._lock = None;
        if self.outermost {
            BUSY.set(false);
        }
    }
}

thread_local! {
    /// Whether this thread is in the writer.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}
