//! The time at which a wait ends, however many steps it has.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The time at which waiting ends; it may be never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Never.
    pub const NEVER: Self = Self(None);

    /// This time after now; `None` means never, and so does a time that the clock cannot represent.
    pub fn after(time: Option<Duration>) -> Self {
        Self(time.and_then(|time| Instant::now().checked_add(time)))
    }

    /// This time; `None` means never.
    pub(super) const fn at(moment: Option<Instant>) -> Self {
        Self(moment)
    }

    /// The time itself, unless it is never.
    pub fn moment(self) -> Option<Instant> {
        self.0
    }

    /// The remaining time: `None` means no limit; an error if the time has passed.
    pub fn left(self) -> Result<Option<Duration>> {
        let Some(moment) = self.0 else { return Ok(None) };
        match moment.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::TimedOut),
            left => Ok(Some(left)),
        }
    }

    /// The earlier of two deadlines.
    pub fn or_sooner(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(one), Some(other)) => Self(Some(one.min(other))),
            (one, other) => Self(one.or(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_deadline_is_an_error_and_never_means_no_limit() {
        assert!(matches!(Deadline::after(Some(Duration::ZERO)).left(), Err(Error::TimedOut)));
        assert!(matches!(Deadline::NEVER.left(), Ok(None)));
        assert!(matches!(Deadline::after(Some(Duration::MAX)).left(), Ok(None)));
        let left = Deadline::after(Some(Duration::from_secs(60))).left().unwrap().unwrap();
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(40));
    }

    #[test]
    fn the_sooner_of_two_deadlines_counts_and_one_that_never_comes_does_not() {
        let [soon, late] = [1, 60].map(|seconds| Deadline::after(Some(Duration::from_secs(seconds))));
        for (one, other) in [(soon, late), (late, soon), (soon, Deadline::NEVER), (Deadline::NEVER, soon)] {
            assert_eq!(one.or_sooner(other), soon);
        }
        assert_eq!(Deadline::NEVER.or_sooner(Deadline::NEVER), Deadline::NEVER);
    }
}
