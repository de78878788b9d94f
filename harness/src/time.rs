//! Virtual time, and the queue of planned events.

use std::{collections::BTreeMap, fmt};

/// Microseconds since the beginning of a simulated world, which has no other clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// From milliseconds, saturating.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }

    /// In whole milliseconds, rounded down.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0 / 1_000
    }

    /// This time plus a duration, saturating.
    #[must_use]
    pub const fn after(self, delay: Self) -> Self {
        Self(self.0.saturating_add(delay.0))
    }

    /// The duration from `earlier` to this time; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03} ms", self.ms(), self.0 % 1_000)
    }
}

/// Planned events in order of time, then of planning.
#[derive(Debug)]
pub struct Agenda<T> {
    planned: BTreeMap<(Micros, u64), T>,
    count: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Agenda<T> {
    /// Nothing is planned.
    #[must_use]
    pub const fn new() -> Self {
        Self { planned: BTreeMap::new(), count: 0 }
    }

    /// Schedules an event.
    pub fn plan(&mut self, at: Micros, what: T) {
        self.planned.insert((at, self.count), what);
        self.count = self.count.saturating_add(1);
    }

    /// Takes the next event, and its time.
    #[expect(clippy::should_implement_trait, reason = "the next one may be planned in between")]
    pub fn next(&mut self) -> Option<(Micros, T)> {
        self.planned.pop_first().map(|((at, _), what)| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_happen_in_the_order_of_time_and_then_of_planning() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
            agenda.plan(Micros(at), what);
        }
        let order: Vec<char> = std::iter::from_fn(|| agenda.next()).map(|(_, what)| what).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }
}
