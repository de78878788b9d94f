//! The clocks of a simulated machine: a monotonic one for timers, and a wall clock, which may be wrong.

use std::time::Duration;

use quorate_replica::Now;
use quorate_types::round::UnixMillis;

use crate::{committee::BEGINNING, time::Micros};

/// A fault of the wall clock. Timers use the monotonic clock, which is always right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// Behind by so many milliseconds.
    Behind(u64),
    /// Ahead by so many milliseconds.
    Ahead(u64),
    /// Stands still.
    Frozen,
    /// Alternates between ahead by so many milliseconds and right, changing at this interval.
    Jumping(u64, Micros),
}

impl ClockFault {
    /// Key under which reports count the fault.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Behind(_) => "fault: clock behind",
            Self::Ahead(_) => "fault: clock ahead",
            Self::Frozen => "fault: clock frozen",
            Self::Jumping(..) => "fault: clock jumping",
        }
    }
}

/// Both clocks of a machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Reading of the monotonic clock at virtual time 0, in this life of the process.
    pub start: Micros,
    /// How far the wall clock is ahead when it has no fault.
    pub(crate) ahead_ms: u64,
    /// The wall clock's fault and the virtual time it began.
    pub fault: Option<(ClockFault, Micros)>,
}

impl Clock {
    /// Clocks without a fault. The wall clock is `ahead_ms` ahead.
    #[must_use]
    pub const fn ahead(ahead_ms: u64) -> Self {
        Self { start: Micros(0), ahead_ms, fault: None }
    }

    /// Readings of both clocks at virtual time `at`.
    pub(crate) fn now(&self, at: Micros) -> Now {
        Now { elapsed: Duration::from_micros(self.start.after(at).0), unix: self.unix(at) }
    }

    /// Reading of the wall clock at virtual time `at`.
    #[must_use]
    pub fn unix(&self, at: Micros) -> UnixMillis {
        let right = |at: Micros| BEGINNING.0.saturating_add(at.ms()).saturating_add(self.ahead_ms);
        UnixMillis(match self.fault {
            None => right(at),
            Some((ClockFault::Behind(by), _)) => right(at).saturating_sub(by),
            Some((ClockFault::Ahead(by), _)) => right(at).saturating_add(by),
            Some((ClockFault::Frozen, since)) => right(since),
            Some((ClockFault::Jumping(by, every), since)) => {
                let jumps = at.since(since).0.checked_div(every.0).unwrap_or_default();
                if jumps.is_multiple_of(2) { right(at).saturating_add(by) } else { right(at) }
            }
        })
    }

    /// Virtual time at which the monotonic clock shows `elapsed`.
    pub(crate) fn virtual_time(&self, elapsed: Duration) -> Micros {
        Micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)).since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_calendar_does_not_move_the_clock_for_timers() {
        let at = Micros::from_ms(90);
        let right = Clock { start: Micros(7_000), ahead_ms: 5, fault: None };
        assert_eq!((right.now(at).elapsed, right.unix(at).0), (Duration::from_millis(97), BEGINNING.0 + 95));
        assert_eq!(right.virtual_time(right.now(at).elapsed), at);
        for (fault, shows) in [
            (ClockFault::Behind(1_000), 95 - 1_000),
            (ClockFault::Ahead(1_000), 95 + 1_000),
            (ClockFault::Frozen, 15),
            (ClockFault::Jumping(1_000, Micros::from_ms(20)), 95 + 1_000),
            (ClockFault::Jumping(1_000, Micros::from_ms(50)), 95),
        ] {
            let wrong = Clock { fault: Some((fault, Micros::from_ms(10))), ..right };
            assert_eq!(wrong.now(at).elapsed, right.now(at).elapsed);
            assert_eq!(wrong.unix(at).0.wrapping_sub(BEGINNING.0).cast_signed(), shows, "{fault:?}");
        }
    }
}
