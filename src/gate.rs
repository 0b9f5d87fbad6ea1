//! The gate of an `RTMP`: a mutex that keeps two threads from accessing the private state of the struct, or its socket, at the
//! same time; and a word in the struct that says whether the program has aborted its calls.
//!
//! The word is the field `m_channelsAllocatedOut`, which is 0 after `RTMP_Init`. `RTMP_Abort` may come at any time, also from a
//! signal handler, so it allocates nothing and waits for no lock longer than a moment.

use std::{
    mem::ManuallyDrop,
    net::Shutdown,
    ptr,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;

use super::{
    Errno,
    rtmp::RTMP,
    valid::{Rtmp, field},
};

/// The gate of one `RTMP`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a>(Rtmp<'a>);

// SAFETY: it is an address; through it only atomic fields are used, and the slot while the lock is held.
unsafe impl Sync for Gate<'_> {}
// SAFETY: as above; the address does not depend on the thread.
unsafe impl Send for Gate<'_> {}

/// Keeps other threads out of the gate while it exists.
pub(crate) struct Keeper<'a> {
    gate: Gate<'a>,
    lock: ManuallyDrop<MutexGuard<'static, ()>>,
}

/// The value of the word after an abort, until the program closes the session; otherwise it is 0. Any other value is garbage
/// and is treated as 0. It is negative: programs access a channel's packet if its number is below `m_channelsAllocatedOut`.
const ABORTED: u32 = 0xDA00_0000;

/// A session finds its lock by its address: callers clear, copy and move the struct, so it cannot contain one. Sessions that
/// share a lock hardly wait for each other, because it is held for a few instructions, or to receive available bytes.
static LOCKS: [Lock; 1 << LOCK_BITS] = [const { Lock::new() }; 1 << LOCK_BITS];

/// A lock with a cache line of its own.
///
/// A thread that reads from a fast peer releases it only for an instant between two calls, so another thread, which has to wake up
/// first, would hardly ever get it. Threads that have to wait therefore queue at a turnstile, and no thread passes the queue.
#[repr(align(64))]
struct Lock {
    mutex: Mutex<()>,
    /// The number of threads in the queue.
    queued: AtomicU32,
    /// Held by the thread at the head of the queue, which waits for `mutex`.
    turnstile: Mutex<()>,
}

const LOCK_BITS: u32 = 6;

/// The time for which an abort tries to get the lock.
const RETRIES: Duration = Duration::from_millis(5);

impl<'a> Gate<'a> {
    /// The gate of `r`.
    pub(crate) fn of(r: Rtmp<'a>) -> Self {
        Self(r)
    }

    /// The struct.
    pub(crate) fn rtmp(self) -> Rtmp<'a> {
        self.0
    }

    /// The session.
    pub(crate) fn session(self) -> *mut RTMP {
        self.0.as_ptr()
    }

    #[inline(always)]
    fn word(self) -> &'a AtomicU32 {
        // SAFETY: the struct outlives the gate; only this file uses the field, and an `int` is as large and as aligned as an
        // atomic one.
        unsafe { AtomicU32::from_ptr(field!(self.0, m_channelsAllocatedOut).as_ptr().cast()) }
    }

    fn lock(self) -> &'static Lock {
        const SPREAD: usize = 0x9E37_79B9_7F4A_7C15_u64 as usize;
        let hash = self.session().addr().wrapping_mul(SPREAD);
        &LOCKS[hash >> (usize::BITS - LOCK_BITS)]
    }

    /// Whether the program has aborted its calls.
    pub(crate) fn is_aborted(self) -> bool {
        self.word().load(Ordering::Relaxed) == ABORTED
    }

    /// Aborts the calls, and shuts the socket down, because a call whose peer floods it never waits.
    pub(crate) fn abort(self) {
        // The slot of a struct that was never initialised is cleared.
        drop(self.try_hold());
        self.word().store(ABORTED, Ordering::Release);
        self.shut_down();
    }

    /// Shuts the socket down, unless the gate stays held: then its holder does so next. That may be a thread that closes the
    /// socket, or the one that a signal handler has interrupted. A session with the same lock releases it soon, and does not know
    /// of this abort: this thread tries again for a moment.
    #[cold]
    #[inline(never)]
    fn shut_down(self) {
        // Signal handlers abort, and a socket that has lost its peer is not a failure of the call that releases the gate.
        let _errno = Errno::keep();
        let end = Instant::now() + RETRIES;
        let _lock = loop {
            match self.lock().try_take() {
                Some(lock) => break lock,
                None if Instant::now() < end => thread::yield_now(),
                None => return,
            }
        };
        // The lock is held, and no call closes the socket without it.
        if let Ok(socket) = field!(self.0, m_sb).socket() {
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
    }

    /// Clears an abort, so that calls work again.
    pub(crate) fn clear_abort(self) {
        self.word().store(0, Ordering::Release);
    }

    /// Waits for the thread that holds the gate, which is never long.
    #[inline]
    pub(crate) fn hold(self) -> Keeper<'a> {
        self.enter(self.lock().take())
    }

    /// Holds the gate unless another thread does.
    #[inline]
    pub(crate) fn try_hold(self) -> Option<Keeper<'a>> {
        self.lock().try_take().map(|lock| self.enter(lock))
    }

    #[inline]
    fn enter(self, lock: MutexGuard<'static, ()>) -> Keeper<'a> {
        let word = self.word().load(Ordering::Acquire);
        if !matches!(word, 0 | ABORTED) {
            self.tidy(word);
        }
        Keeper { gate: self, lock: ManuallyDrop::new(lock) }
    }

    /// Clears a word that this library did not write, and the slot beside it. The lock is held.
    #[cold]
    fn tidy(self, word: u32) {
        field!(self.0, m_vecChannelsOut).set(ptr::null_mut());
        // Unless another thread aborts the session at this moment.
        let _ = self.word().compare_exchange(word, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Lock {
    const fn new() -> Self {
        Self { mutex: Mutex::new(()), queued: AtomicU32::new(0), turnstile: Mutex::new(()) }
    }

    /// Waits for the lock.
    #[inline]
    fn take(&'static self) -> MutexGuard<'static, ()> {
        let is_free = self.queued.load(Ordering::Relaxed) == 0;
        is_free.then(|| self.try_take()).flatten().unwrap_or_else(|| self.queue())
    }

    #[cold]
    #[inline(never)]
    fn queue(&'static self) -> MutexGuard<'static, ()> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        let turn = self.turnstile.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        self.queued.fetch_sub(1, Ordering::Relaxed);
        lock
    }

    /// Takes the lock unless another thread, or the code that a signal handler has interrupted, has it.
    #[inline]
    fn try_take(&'static self) -> Option<MutexGuard<'static, ()>> {
        match self.mutex.try_lock() {
            Ok(lock) => Some(lock),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Drop for Keeper<'_> {
    /// Lets other threads in. If the program aborts the session at this moment, both sides may miss each other. Then the next
    /// call detects it, and waits end after their slice.
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the keeper ends here, and the lock is not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.lock) };
        if self.gate.is_aborted() {
            // The call that aborted may have found the gate held.
            self.gate.shut_down();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, UnsafeCell},
        thread,
    };

    use super::*;

    /// A struct without a socket.
    struct Session(UnsafeCell<RTMP>);
    // SAFETY: only gates use it.
    unsafe impl Sync for Session {}

    fn word(value: u32) -> Box<Session> {
        // SAFETY: all-zero bytes are a valid `RTMP`.
        let mut session: Box<RTMP> = Box::new(unsafe { std::mem::zeroed() });
        session.m_channelsAllocatedOut = value as i32;
        session.m_sb.sb_socket = -1;
        session.m_vecChannelsOut = ptr::without_provenance_mut(if value == 0 { 0 } else { 8 });
        Box::new(Session(UnsafeCell::new(*session)))
    }

    fn gate(session: &Session) -> Gate<'_> {
        // SAFETY: it is borrowed for that lifetime.
        Gate::of(unsafe { Rtmp::new(session.0.get()) }.unwrap())
    }

    fn value(session: Box<Session>) -> u32 {
        session.0.into_inner().m_channelsAllocatedOut as u32
    }

    #[test]
    fn an_abort_lasts_until_it_is_cleared_and_does_not_need_the_gate() {
        let word = word(0);
        let gate = gate(&word);
        assert!(!gate.is_aborted());
        let keeper = gate.hold();
        gate.abort();
        assert!(gate.is_aborted() && gate.try_hold().is_none());
        drop(keeper);
        assert!(gate.is_aborted() && gate.try_hold().is_some());
        // SAFETY: the session exists until the end of the test.
        assert!(unsafe { (*word.0.get()).m_channelsAllocatedOut } < 0, "no channel is below that");
        gate.clear_abort();
        assert_eq!(value(word), 0);
    }

    #[test]
    fn an_abort_while_the_gate_is_held_shuts_the_socket_down_when_it_is_let_go() {
        use crate::socket::{number_of, pair};
        use rustix::fd::AsFd;
        use std::io::Read;
        let (mut word, (near, mut far)) = (word(0), pair());
        word.0.get_mut().m_sb.sb_socket = number_of(near.as_fd());
        let gate = gate(&word);
        let keeper = gate.hold();
        gate.abort();
        far.set_nonblocking(true).unwrap();
        assert!(far.read(&mut [0]).is_err(), "not while the gate is held");
        drop(keeper);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn an_abort_is_immediate_although_another_session_holds_the_lock_for_a_moment() {
        use crate::socket::{number_of, pair};
        use rustix::fd::AsFd;
        use std::{io::Read, sync::mpsc};
        let mut word = word(0);
        // There are 64 locks.
        let others: Vec<_> = (0..2000).map(|_| self::word(0)).collect();
        let shared = others.iter().find(|other| ptr::eq(gate(other).lock(), gate(&word).lock()));
        let shared = shared.expect("some session has the same lock");
        // A thread that gets no time to release the lock proves nothing.
        let is_immediate = (0..200).any(|_| {
            let (near, mut far) = pair();
            word.0.get_mut().m_sb.sb_socket = number_of(near.as_fd());
            let (word, (tell, held)) = (&*word, mpsc::channel());
            thread::scope(|scope| {
                scope.spawn(move || {
                    let keeper = gate(shared).hold();
                    tell.send(()).unwrap();
                    while !gate(word).is_aborted() {
                        thread::yield_now();
                    }
                    drop(keeper);
                });
                held.recv().unwrap();
                gate(word).abort();
            });
            gate(word).clear_abort();
            far.set_nonblocking(true).unwrap();
            far.read(&mut [0]).is_ok_and(|count| count == 0)
        });
        assert!(is_immediate);
    }

    #[test]
    fn a_thread_that_always_returns_lets_others_pass() {
        use std::sync::atomic::AtomicBool;
        const PASSES: u32 = 200;
        let (word, turns, done) = (word(0), AtomicU32::new(0), AtomicBool::new(false));
        let others = |before: u32| turns.load(Ordering::SeqCst) - before;
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let keeper = gate(&word).hold();
                    turns.fetch_add(1, Ordering::SeqCst);
                    // Long enough for the other thread to come.
                    thread::sleep(Duration::from_micros(50));
                    drop(keeper);
                }
            });
            while turns.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            let mut passed_by = 0;
            for _ in 0..PASSES {
                let before = turns.load(Ordering::SeqCst);
                drop(gate(&word).hold());
                passed_by += others(before);
            }
            done.store(true, Ordering::Relaxed);
            // One that had the lock, and one before this thread was in the queue.
            assert!(passed_by <= 3 * PASSES, "{passed_by}");
        });
    }

    #[test]
    fn garbage_in_the_word_counts_as_0() {
        for strange in [1, 2, 3, u32::MAX, 16, 0x5A00_0000, 1 << 8 | ABORTED, 1 << 16 | ABORTED | 0xA5] {
            let word = word(strange);
            let gate = gate(&word);
            assert!(!gate.is_aborted(), "{strange:x}");
            drop(gate.hold());
            // SAFETY: the session exists until the end of the test.
            assert!(unsafe { (*word.0.get()).m_vecChannelsOut }.is_null());
            assert_eq!(value(word), 0, "{strange:x}");
        }
    }

    #[test]
    fn abort_works_on_a_struct_with_garbage() {
        for strange in [2, u32::MAX, 1 << 16] {
            let word = word(strange);
            let gate = gate(&word);
            gate.abort();
            assert!(gate.is_aborted());
            drop(gate.hold());
            assert!(gate.is_aborted());
            gate.clear_abort();
            assert_eq!(value(word), 0, "{strange:x}");
        }
    }

    #[test]
    fn one_thread_at_a_time_holds_the_gate() {
        struct Counter(Cell<u32>);
        // SAFETY: it is only used while the gate is held.
        unsafe impl Sync for Counter {}
        let (word, counter) = (word(0), Counter(Cell::new(0)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (gate, counter) = (gate(&word), &counter);
                    for _ in 0..2000 {
                        let keeper = gate.hold();
                        counter.0.set(counter.0.get() + 1);
                        drop(keeper);
                        gate.abort();
                    }
                });
            }
        });
        assert_eq!(counter.0.get(), 8000);
    }
}
