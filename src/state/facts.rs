//! Facts about a session, which calls read without a lock.

use std::sync::atomic::{AtomicU16, Ordering};

/// A fact about a session. A new session has none.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact {
    /// Calls never wait. This is a choice of the program.
    NeverWaits,
    /// Something else than the socket and TLS over it carries bytes.
    Carried,
    /// The carrier only passes bytes to the socket: it has neither deadlines nor bytes of its own. Fast paths do without it.
    Bare,
    /// Calls that never wait have begun something that every call has to continue, or an error of sending is stored, or one
    /// descriptor stands for the session. Most calls only read this, so that a server with many sessions touches less memory.
    Noted,
    /// A connection of a session that never waits is being made.
    Opening,
    /// The socket belongs to the caller, who waits for it to become readable and then reads once.
    Watched,
    /// A panic left the protocol state unfinished while no lock was held that would be poisoned.
    Broken,
    /// The last call had to wait for bytes. Not if the peer sends faster than this side reads.
    ExpectsWait,
    /// Bytes were added to the buffer after the last step that read it: a call need not wait for more.
    Refilled,
    /// This library made the connection, and may replace it by another.
    Dialled,
    /// This library made the socket.
    Opened,
    /// The end of the connection keeps the descriptor, because a reader has not seen the end yet.
    KeepsDescriptor,
    /// The connection has ended and only its descriptor remains.
    HungUp,
    /// There are connections that were given up.
    HasRetired,
}

/// All facts of a session.
#[derive(Default)]
pub(super) struct Facts(AtomicU16);

impl Facts {
    /// Whether a fact is noted. What happened in another thread before it was noted has happened now.
    #[inline(always)]
    pub(super) fn has(&self, fact: Fact) -> bool {
        self.has_any(&[fact])
    }

    /// Whether one of these facts is noted.
    #[inline(always)]
    pub(super) fn has_any(&self, facts: &[Fact]) -> bool {
        self.0.load(Ordering::Acquire) & bits(facts) != 0
    }

    /// Notes whether something is a fact; returns whether it was one before.
    #[inline]
    pub(super) fn note(&self, fact: Fact, is_so: bool) -> bool {
        let before = self.has(fact);
        // A change takes longer than a look.
        if before != is_so {
            if is_so {
                self.0.fetch_or(bits(&[fact]), Ordering::AcqRel);
            } else {
                self.forget(&[fact]);
            }
        }
        before
    }

    /// Forgets these facts.
    pub(super) fn forget(&self, facts: &[Fact]) {
        self.0.fetch_and(!bits(facts), Ordering::AcqRel);
    }
}

#[inline(always)]
fn bits(facts: &[Fact]) -> u16 {
    facts.iter().fold(0, |bits, fact| bits | 1 << *fact as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_independent_of_each_other() {
        let facts = Facts::default();
        assert!(!facts.note(Fact::NeverWaits, true) && !facts.note(Fact::HasRetired, true));
        assert!(
            facts.note(Fact::NeverWaits, true) && facts.has(Fact::HasRetired) && !facts.has(Fact::Carried)
        );
        assert!(facts.has_any(&[Fact::Carried, Fact::HasRetired]) && !facts.has_any(&[Fact::Carried]));
        assert!(facts.note(Fact::HasRetired, false) && !facts.note(Fact::HasRetired, false));
        facts.forget(&[Fact::Carried, Fact::NeverWaits]);
        assert!(!facts.has(Fact::NeverWaits));
    }
}
