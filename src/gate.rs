//! The gate of an `RTMP`: a word in the struct that says whether the program wants its calls to end, and that keeps two
//! threads from taking hold of what hangs on the struct, or of its socket, at the same time.
//!
//! It is the field `m_channelsAllocatedOut`, which is 0 after `RTMP_Init`. A program may say that calls should end at any
//! time, also in a signal handler, so saying it takes no memory and waits for nobody.

use std::{
    hint,
    marker::PhantomData,
    mem::ManuallyDrop,
    net::Shutdown,
    ptr::NonNull,
    sync::atomic::{AtomicU8, Ordering, compiler_fence},
    thread,
};

use socket2::SockRef;

use super::{Errno, alone, rtmp::RTMP, shared, socket};

/// The gate of one `RTMP`: the bytes of the word, which have one writer at a time each. So letting go of the gate needs no more
/// than to say so, which is what most calls of a fast stream do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate<'a> {
    session: NonNull<RTMP>,
    lives: PhantomData<&'a AtomicU8>,
}

// SAFETY: it is an address, behind which only atomic fields are used.
unsafe impl Sync for Gate<'_> {}
// SAFETY: the address is as good in another thread, and behind it only atomic fields are used.
unsafe impl Send for Gate<'_> {}

/// Keeps others out of the gate while it exists.
pub(crate) struct Keeper<'a> {
    gate: Gate<'a>,
    found_sound: bool,
}

/// The lowest byte while the gate is held, for a few instructions, or to receive what is there; else it is 0.
const HELD: u8 = 0xA5;
/// The highest byte when the program wants calls to end, until it closes the session; else it is 0. It makes the field
/// negative: programs look into a channel's packet if its number is below `m_channelsAllocatedOut`. The other bytes are always
/// 0: any other value is garbage and is treated as 0.
const ABORTED: u8 = 0xDA;

/// Where the bytes are in memory.
const HELD_AT: usize = if cfg!(target_endian = "little") { 0 } else { 3 };
const ABORTED_AT: usize = 3 - HELD_AT;
/// Those that are always 0.
const ZEROS: std::ops::Range<usize> = 1..3;

impl<'a> Gate<'a> {
    /// The gate of `r`.
    ///
    /// # Safety
    /// `r` points to an initialised `RTMP`, which outlives the result.
    pub(crate) unsafe fn of(r: *mut RTMP) -> Self {
        // SAFETY: `r` points to an initialised `RTMP`, by the Safety section.
        Self { session: unsafe { NonNull::new_unchecked(r) }, lives: PhantomData }
    }

    /// The session.
    pub(crate) fn session(self) -> *mut RTMP {
        self.session.as_ptr()
    }

    #[inline(always)]
    fn word(self) -> &'a [AtomicU8; 4] {
        // SAFETY: by the contract of `of`; nobody uses the field but through this, and a byte is as large as an atomic
        // one.
        unsafe { &*(&raw mut (*self.session.as_ptr()).m_channelsAllocatedOut).cast::<[AtomicU8; 4]>() }
    }

    /// Whether the program wants calls to end.
    pub(crate) fn is_aborted(self) -> bool {
        self.aborted().load(Ordering::Relaxed) == ABORTED && self.ends_in_zeros()
    }

    /// Wants calls to end, and shuts the socket down: a call whose peer floods it never waits.
    pub(crate) fn abort(self) {
        if !self.ends_in_zeros() {
            drop(self.hold());
        }
        self.aborted().store(ABORTED, Ordering::Release);
        self.shut_down();
    }

    /// Shuts the socket down, unless the gate is held: then its holder does so next. That may be a thread that closes the
    /// socket, or the one that a signal handler has interrupted.
    #[cold]
    #[inline(never)]
    fn shut_down(self) {
        // Signal handlers abort, and a socket that has lost its peer is no failure of the call that lets the gate go.
        let _errno = Errno::keep();
        let Some(keeper) = self.try_hold() else { return };
        let keeper = ManuallyDrop::new(keeper);
        // SAFETY: by the contract of `of`.
        let socket = unsafe { shared::read(&raw const (*self.session.as_ptr()).m_sb.sb_socket) };
        if socket >= 0 {
            // SAFETY: while the gate is held, nobody closes the socket.
            let _ = SockRef::from(&unsafe { socket::borrow(socket) }).shutdown(Shutdown::Both);
        }
        keeper.gate.leave();
    }

    /// Wants calls to work again.
    pub(crate) fn pardon(self) {
        self.aborted().store(0, Ordering::Release);
    }

    /// Waits for whoever holds the gate, which does not take long.
    #[inline]
    pub(crate) fn hold(self) -> Keeper<'a> {
        match self.try_hold() {
            Some(keeper) => keeper,
            None => self.wait(),
        }
    }

    #[cold]
    fn wait(self) -> Keeper<'a> {
        let mut tries = 0_u32;
        loop {
            tries += 1;
            if tries % 64 == 0 {
                thread::yield_now();
            } else {
                hint::spin_loop();
            }
            let is_free = self.held().load(Ordering::Relaxed) != HELD;
            if let Some(keeper) = is_free.then(|| self.try_hold()).flatten() {
                return keeper;
            }
        }
    }

    /// Holds the gate unless somebody does.
    #[inline]
    pub(crate) fn try_hold(self) -> Option<Keeper<'a>> {
        let before = self.take();
        let zeros = self.ends_in_zeros();
        if before == HELD && zeros {
            return None;
        }
        let aborted = self.aborted().load(Ordering::Acquire);
        let makes_sense = zeros && matches!(aborted, 0 | ABORTED);
        if !makes_sense {
            self.tidy(aborted);
        }
        let found_sound = makes_sense && before == 0;
        Some(Keeper { gate: self, found_sound })
    }

    /// Says that the gate is held; tells what was said before.
    #[inline]
    fn take(self) -> u8 {
        if !alone::is_alone() {
            return self.held().swap(HELD, Ordering::Acquire);
        }
        // A signal handler in between lets go of what it takes.
        let before = self.held().load(Ordering::Acquire);
        self.held().store(HELD, Ordering::Relaxed);
        compiler_fence(Ordering::Acquire);
        before
    }

    /// Makes sense of a word that was not written here.
    #[cold]
    fn tidy(self, aborted: u8) {
        // Unless something is said just now.
        let _ = self.aborted().compare_exchange(aborted, 0, Ordering::Relaxed, Ordering::Relaxed);
        for byte in &self.word()[ZEROS] {
            byte.store(0, Ordering::Release);
        }
    }

    /// Lets others in again; tells whether the program wants calls to end. If it begins to want that at this moment, both
    /// sides may miss each other. Then the next call finds out, and waits end after their slice.
    #[inline]
    fn leave(self) -> bool {
        self.held().store(0, Ordering::Release);
        self.aborted().load(Ordering::Relaxed) == ABORTED
    }

    fn ends_in_zeros(self) -> bool {
        self.word()[ZEROS].iter().all(|byte| byte.load(Ordering::Acquire) == 0)
    }

    fn held(self) -> &'a AtomicU8 {
        &self.word()[HELD_AT]
    }

    fn aborted(self) -> &'a AtomicU8 {
        &self.word()[ABORTED_AT]
    }
}

impl Keeper<'_> {
    /// Whether the word made sense: if not, then neither does what seems to hang on the struct.
    pub(crate) fn found_sound(&self) -> bool {
        self.found_sound
    }
}

impl Drop for Keeper<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.gate.leave() {
            // The call that asked for it found the gate held.
            self.gate.shut_down();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, UnsafeCell};

    use super::*;

    /// A struct without a socket.
    struct Session(UnsafeCell<RTMP>);
    // SAFETY: only used through gates.
    unsafe impl Sync for Session {}

    fn word(value: u32) -> Box<Session> {
        // SAFETY: all-zero bytes are a valid `RTMP`.
        let mut session: Box<RTMP> = Box::new(unsafe { std::mem::zeroed() });
        session.m_channelsAllocatedOut = value as i32;
        session.m_sb.sb_socket = -1;
        Box::new(Session(UnsafeCell::new(*session)))
    }

    fn gate(session: &Session) -> Gate<'_> {
        // SAFETY: it is borrowed for as long.
        unsafe { Gate::of(session.0.get()) }
    }

    fn value(session: Box<Session>) -> u32 {
        session.0.into_inner().m_channelsAllocatedOut as u32
    }

    #[test]
    fn an_abort_is_seen_until_it_is_pardoned_whoever_holds_the_gate() {
        let word = word(0);
        let gate = gate(&word);
        assert!(!gate.is_aborted());
        let keeper = gate.hold();
        gate.abort();
        assert!(gate.is_aborted() && gate.try_hold().is_none());
        drop(keeper);
        assert!(gate.is_aborted() && gate.try_hold().is_some());
        // SAFETY: the session lives.
        assert!(unsafe { (*word.0.get()).m_channelsAllocatedOut } < 0, "no channel is below that");
        gate.pardon();
        assert_eq!(value(word), 0);
    }

    #[test]
    fn an_abort_while_the_gate_is_held_shuts_the_socket_down_when_it_is_let_go() {
        use std::{io::Read, os::fd::AsRawFd, os::unix::net::UnixStream};
        let (mut word, (near, mut far)) = (word(0), UnixStream::pair().unwrap());
        word.0.get_mut().m_sb.sb_socket = near.as_raw_fd();
        let gate = gate(&word);
        let keeper = gate.hold();
        gate.abort();
        far.set_nonblocking(true).unwrap();
        assert!(far.read(&mut [0]).is_err(), "not while the gate is held");
        drop(keeper);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_word_that_nobody_wrote_counts_for_nothing() {
        let (held, aborted) = (u32::from(HELD), u32::from(ABORTED) << 24);
        for strange in
            [1, 2, 3, u32::MAX, 16, 0x5A00_0000, 1 << 16 | held, 1 << 8 | aborted, 1 << 16 | aborted | held]
        {
            let word = word(strange);
            let gate = gate(&word);
            assert!(!gate.is_aborted(), "{strange:x}");
            assert!(!gate.hold().found_sound());
            assert_eq!(value(word), 0, "{strange:x}");
        }
    }

    #[test]
    fn what_is_said_to_a_word_that_nobody_wrote_is_heard() {
        for strange in [2, u32::MAX, 1 << 16 | u32::from(HELD)] {
            let word = word(strange);
            let gate = gate(&word);
            gate.abort();
            assert!(gate.is_aborted());
            drop(gate.hold());
            assert!(gate.is_aborted());
            gate.pardon();
            assert_eq!(value(word), 0, "{strange:x}");
        }
    }

    #[test]
    fn one_thread_at_a_time_holds_the_gate() {
        struct Counter(Cell<u32>);
        // SAFETY: only used while the gate is held.
        unsafe impl Sync for Counter {}
        let (word, counter) = (word(0), Counter(Cell::new(0)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let (gate, counter) = (gate(&word), &counter);
                    for _ in 0..2000 {
                        let _keeper = gate.hold();
                        counter.0.set(counter.0.get() + 1);
                        gate.abort();
                    }
                });
            }
        });
        assert_eq!(counter.0.get(), 8000);
    }
}
