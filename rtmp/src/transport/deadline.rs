//! The moment at which a wait ends, however many steps it has.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The moment at which waiting ends; it may never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The moment that never comes.
    pub const NEVER: Self = Self(None);

    /// The moment that far from now; `None` never comes, and neither does what the clock cannot count.
    pub fn after(time: Option<Duration>) -> Self {
        Self(time.and_then(|time| Instant::now().checked_add(time)))
    }

    /// The moment itself, if it ever comes.
    pub fn moment(self) -> Option<Instant> {
        self.0
    }

    /// How long there is to wait: `None` for ever, an error if the moment has passed.
    pub fn left(self) -> Result<Option<Duration>> {
        let Some(moment) = self.0 else { return Ok(None) };
        match moment.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::TimedOut),
            left => Ok(Some(left)),
        }
    }

    /// This moment or another, whichever comes first.
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
    fn a_deadline_that_has_passed_is_an_error_and_one_that_never_comes_is_none() {
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
