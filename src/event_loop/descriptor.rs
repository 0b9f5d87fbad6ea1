//! One descriptor that replaces all descriptors of a session, on systems that have such descriptors.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use libc::c_int;
use rtmp_core::{error::Result, net::Interest};
use rustix::{
    event::epoll,
    io::Errno,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

/// A descriptor that is readable while a socket is ready or a deadline has passed.
pub(crate) struct Descriptor {
    epoll: OwnedFd,
    timer: OwnedFd,
    sockets: Vec<Registered>,
    left: Option<Duration>,
}

/// A socket that the descriptor watches, which may have been closed since.
#[derive(PartialEq, Eq)]
struct Registered {
    number: c_int,
    /// Distinguishes it from another socket with the same number.
    identity: usize,
    flags: u32,
}

impl Descriptor {
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(std::io::Error::from)?;
        let (data, events) = (epoll::EventData::new_u64(0), epoll::EventFlags::IN);
        epoll::add(&epoll, &timer, data, events).map_err(std::io::Error::from)?;
        Ok(Self { epoll, timer, sockets: Vec::new(), left: None })
    }

    /// The descriptor's number.
    pub(crate) fn number(&self) -> c_int {
        self.epoll.as_raw_fd()
    }

    /// Watches these sockets, and a deadline.
    pub(crate) fn watch(&mut self, interests: &[Interest], left: Option<Duration>) {
        let wanted: Vec<_> = interests
            .iter()
            .map(|interest| {
                let mut flags = epoll::EventFlags::empty();
                flags.set(epoll::EventFlags::IN, interest.read);
                flags.set(epoll::EventFlags::OUT, interest.write);
                Registered {
                    number: interest.socket.as_raw_fd(),
                    identity: Arc::as_ptr(&interest.socket) as usize,
                    flags: flags.bits(),
                }
            })
            .collect();
        for old in self.sockets.iter().filter(|old| !wanted.contains(old)) {
            // A closed socket has left the set already, and its number may belong to another, which is added below.
            // SAFETY: the number is used only for this call; if it is not open, the system returns an error.
            let _ = epoll::delete(&self.epoll, unsafe { BorrowedFd::borrow_raw(old.number) });
        }
        for (new, interest) in wanted.iter().zip(interests) {
            let flags = epoll::EventFlags::from_bits_retain(new.flags);
            let data = epoll::EventData::new_u64(1);
            // The next step finds a socket that cannot be watched.
            if let Err(Errno::EXIST) = epoll::add(&self.epoll, interest.socket.as_fd(), data, flags) {
                let _ = epoll::modify(&self.epoll, interest.socket.as_fd(), data, flags);
            }
        }
        self.sockets = wanted;
        self.set_timer(left);
    }

    fn set_timer(&mut self, left: Option<Duration>) {
        if self.left.is_none() && left.is_none() {
            return;
        }
        self.left = left;
        // A duration of zero would stop the timer.
        let value = left.map_or(Duration::ZERO, |left| left.max(Duration::from_nanos(1)));
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let it_value = Timespec::try_from(value).unwrap_or(zero);
        let timer = Itimerspec { it_interval: zero, it_value };
        // It fails only for invalid times.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer);
    }
}
