//! The limits of waits, and statistics of waits for the peer.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rtmp_core::{
    stats::Stats,
    transport::{
        deadline::Deadline,
        wait::{Limits, Patience},
    },
};

use super::{Fact, Handle, Private};
use crate::{
    event_loop::RTMPEvent,
    gate::Gate,
    globals, single_thread,
    tcp_info::TcpInfo,
    valid::{Rtmp, field},
};

/// The time for which sending has waited for the peer to accept bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Blocked {
    /// The total of the waits that have ended.
    pub(super) before: Duration,
    /// The beginning of the current wait.
    pub(super) since: Option<Instant>,
    /// The number of its seconds that were reported to the program.
    told: u64,
}

/// The limit of a call's waits: its timeout, unless the user or the program ends them earlier.
pub(crate) struct Patient<'a> {
    gate: Gate<'a>,
    deadline: Deadline,
    private: &'a Private,
}

impl Patience for Patient<'_> {
    fn is_over(&self) -> bool {
        self.gate.is_aborted() || globals::interrupted()
    }

    fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn expects_wait(&self) -> bool {
        self.private.facts.has(Fact::ExpectsWait)
    }

    fn begin_wait(&self) {
        self.private.facts.note(Fact::ExpectsWait, true);
    }

    fn remembered(&self) -> Option<Limits> {
        self.private.core().limits
    }

    fn remember(&self, limits: Limits) {
        self.private.core().limits = Some(limits);
    }

    fn blocked(&self, begun: Instant) {
        let waited = begun.elapsed();
        {
            let blocked = &mut self.private.core().blocked;
            if blocked.since != Some(begun) {
                (blocked.since, blocked.told) = (Some(begun), 0);
            }
            if waited.as_secs() <= blocked.told {
                return;
            }
            blocked.told = waited.as_secs();
        }
        // A program that gives up ends the wait.
        let _ = self.private.raise(self.gate.rtmp(), &RTMPEvent::stall(waited));
    }

    fn unblocked(&self, begun: Instant) {
        let blocked = &mut self.private.core().blocked;
        blocked.before += begun.elapsed();
        blocked.since = None;
    }

    fn never_waits(&self) -> bool {
        self.private.facts.has(Fact::NeverWaits)
    }

    fn leaves_wait_to_system(&self) -> bool {
        single_thread::is_single_threaded()
    }
}

impl Private {
    /// As [`Handle::timeout`], for the `RTMP` of this state.
    pub(super) fn timeout(&self, rtmp: Rtmp<'_>) -> Option<Duration> {
        let milliseconds = self.timeout_ms.load(Ordering::Relaxed);
        if milliseconds > 0 {
            return Some(Duration::from_millis(milliseconds.into()));
        }
        u64::try_from(field!(rtmp, Link.timeout).get())
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs)
    }
}

impl Handle {
    /// The conditions that end this call's waits.
    pub(crate) fn patience(&self) -> Patient<'_> {
        Patient { gate: self.gate(), deadline: self.limit.get(), private: &self.private }
    }

    /// Sets when all waits of this call end, in addition to the timeout of each wait.
    pub(crate) fn set_limit(&self, limit: Deadline) {
        self.limit.set(limit);
    }

    /// See [`Self::set_limit`].
    pub(crate) fn limit(&self) -> Deadline {
        self.limit.get()
    }

    /// Whether the last wait for bytes ended with a timeout.
    pub(crate) fn timed_out(&self) -> bool {
        field!(self.sb(), sb_timedout).get() != 0
    }

    /// The limit of a wait; `None` for no limit.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.private.timeout(self.rtmp())
    }

    /// The statistics of the connection; zeros if there is none.
    pub(crate) fn stats(&self) -> Stats {
        let Ok(socket) = self.socket() else { return Stats::default() };
        let TcpInfo { unsent, round_trip, retransmissions } = TcpInfo::of(socket);
        let (mut stats, below) = {
            let core = self.core();
            (core.session.stats(), core.phases)
        };
        if self.never_waits() {
            stats.queued += self.carrier().map_or(0, |carrier| carrier.unsent_if_idle()) as u64;
            self.progress(|progress| progress.backlog.fill_in(&mut stats, Some(Instant::now())));
        } else {
            let Blocked { before, since, .. } = self.core().blocked;
            let stalled = since.map_or(Duration::ZERO, |since| since.elapsed());
            (stats.stalled, stats.blocked) = (stalled, before + stalled);
        }
        (stats.unsent, stats.round_trip, stats.retransmissions) = (unsent, round_trip, retransmissions);
        let phases = &mut stats.phases;
        (phases.lookup, phases.tcp, phases.proxy, phases.tls) =
            (below.lookup, below.tcp, below.proxy, below.tls);
        stats
    }
}
