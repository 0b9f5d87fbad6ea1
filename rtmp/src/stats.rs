//! The statistics of a connection: its traffic, what is waiting, and how long connecting took.
//!
//! Counters only. The program decides how fast to send, and what to drop.

use std::time::{Duration, Instant};

/// The numbers of one connection since it began. Each new connection starts at zero, also a connection for a new login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Received bytes of RTMP: the handshake and all chunks that were decoded, without the overhead of TLS and HTTP.
    pub bytes_in: u64,
    /// Bytes of RTMP made for the peer, including those that are still queued.
    pub bytes_out: u64,
    /// Complete messages received.
    pub messages_in: u64,
    /// Messages made for the peer.
    pub messages_out: u64,
    /// Bytes that the peer has acknowledged (RTMP 1.0, section 5.4.3). Most peers acknowledge now and then, some never.
    pub acknowledged: u64,
    /// Bytes in the queues of this library, including the overhead of TLS and HTTP where it was already added.
    pub queued: u64,
    /// Bytes that the system has accepted and the peer's system has not confirmed; 0 where the system does not report this.
    pub unsent: u64,
    /// Round-trip time of a packet, as measured by the system; 0 where it does not report this.
    pub round_trip: Duration,
    /// Packets that the system had to send again; 0 where it does not report this.
    pub retransmissions: u64,
    /// Total time that bytes have waited for the peer to accept some.
    pub blocked: Duration,
    /// The time for which bytes have been waiting now; 0 if none wait.
    pub stalled: Duration,
    /// The durations of the connection phases.
    pub phases: Phases,
}

/// The time for which bytes wait for a peer, as seen by the code that moves them.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Backlog {
    /// The time for which bytes were waiting, up to `since`.
    before: Duration,
    now: Option<Waiting>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Instant,
    /// The number of bytes that the connection had accepted, and the time since when it has accepted no more.
    sent: u64,
    stalled: Instant,
    /// The number of its seconds that were reported.
    reported: u32,
}

impl Backlog {
    /// After an attempt to send: the total of bytes that the connection has accepted, and whether there are more.
    pub fn watch(&mut self, sent: u64, more: bool, now: Instant) {
        match &mut self.now {
            Some(waiting) if more && waiting.sent == sent => {}
            Some(waiting) if more => {
                (waiting.sent, waiting.stalled, waiting.reported) = (sent, now, 0);
            }
            Some(waiting) => {
                self.before += now.saturating_duration_since(waiting.since);
                self.now = None;
            }
            None if more => self.now = Some(Waiting { since: now, sent, stalled: now, reported: 0 }),
            None => {}
        }
    }

    /// Fills in how long bytes have waited in total, and how long they have been waiting now; without a time, only earlier
    /// waits.
    pub fn fill_in(&self, stats: &mut Stats, now: Option<Instant>) {
        stats.blocked = self.before;
        if let (Some(waiting), Some(now)) = (self.now, now) {
            stats.blocked += now.saturating_duration_since(waiting.since);
            stats.stalled = now.saturating_duration_since(waiting.stalled);
        }
    }

    /// The time since when bytes have been waiting and the peer has accepted none.
    pub fn stalled_since(&self) -> Option<Instant> {
        self.now.map(|waiting| waiting.stalled)
    }

    /// The time of the next report: each second of a stall is reported once.
    pub fn report_due(&self) -> Option<Instant> {
        let waiting = self.now?;
        waiting.stalled.checked_add(Duration::from_secs(u64::from(waiting.reported) + 1))
    }

    /// The time for which the peer has accepted nothing, if that has to be reported now.
    pub fn take_report(&mut self, now: Instant) -> Option<Duration> {
        self.report_due().filter(|due| *due <= now)?;
        let waiting = self.now.as_mut()?;
        let stalled = now.saturating_duration_since(waiting.stalled);
        waiting.reported = u32::try_from(stalled.as_secs()).unwrap_or(u32::MAX);
        Some(stalled)
    }
}

/// The duration of each phase of connecting; 0 for a phase that has not ended or did not happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Phases {
    /// Looking up the address of the host or the proxy.
    pub lookup: Duration,
    /// Connecting to the address that answered first.
    pub tcp: Duration,
    /// Asking the proxy for the connection.
    pub proxy: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The RTMP handshake, including the start of the HTTP tunnel if there is one.
    pub handshake: Duration,
    /// From the handshake to the answer to `connect`.
    pub connect: Duration,
    /// From that answer until the stream plays or can be published.
    pub stream: Duration,
}

/// The duration of a phase that has ended. It is never 0, however short it was.
pub(crate) fn spent(begun: Instant, ended: Instant) -> Duration {
    ended.saturating_duration_since(begun).max(Duration::from_nanos(1))
}

impl Phases {
    /// The phases below the session, and those of the session.
    pub(crate) fn with_session(self, session: Self) -> Self {
        let Self { handshake, connect, stream, .. } = session;
        Self { handshake, connect, stream, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_taken_ends_a_stall_and_the_last_one_ends_the_wait() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut backlog = Backlog::default();
        let seen = |backlog: &Backlog, milliseconds| {
            let mut stats = Stats::default();
            backlog.fill_in(&mut stats, Some(at(milliseconds)));
            (stats.blocked.as_millis(), stats.stalled.as_millis())
        };
        backlog.watch(10, false, at(0));
        assert_eq!(seen(&backlog, 5), (0, 0));
        backlog.watch(10, true, at(10));
        backlog.watch(10, true, at(30));
        assert_eq!(seen(&backlog, 40), (30, 30));
        backlog.watch(11, true, at(50));
        assert_eq!(seen(&backlog, 60), (50, 10));
        backlog.watch(20, false, at(70));
        assert_eq!(seen(&backlog, 100), (60, 0));
        backlog.watch(20, true, at(200));
        assert_eq!(seen(&backlog, 201), (61, 1));
    }

    #[test]
    fn each_second_of_a_stall_is_reported_once_and_in_time() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut backlog = Backlog::default();
        assert_eq!((backlog.report_due(), backlog.take_report(at(5000))), (None, None));
        backlog.watch(10, true, at(0));
        assert_eq!(backlog.report_due(), Some(at(1000)));
        assert_eq!(backlog.take_report(at(999)), None);
        assert_eq!(backlog.take_report(at(1000)), Some(Duration::from_secs(1)));
        assert_eq!(backlog.take_report(at(1999)), None);
        // Seconds during which it was not called are reported together.
        assert_eq!(backlog.take_report(at(4500)), Some(Duration::from_millis(4500)));
        assert_eq!(backlog.report_due(), Some(at(5000)));
        // An accepted byte begins another stall.
        backlog.watch(11, true, at(4600));
        assert_eq!((backlog.stalled_since(), backlog.report_due()), (Some(at(4600)), Some(at(5600))));
        backlog.watch(20, false, at(4700));
        assert_eq!((backlog.stalled_since(), backlog.take_report(at(9000))), (None, None));
    }
}
