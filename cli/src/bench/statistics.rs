//! Quantiles and ratios for reports. Not for the protocol, which uses no floats.

use std::time::Duration;

use serde::Serialize;

/// Summary of durations, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    pub(crate) mean: f64,
}

impl Quantiles {
    /// Summarises durations; all zero if there are none.
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let count = durations.len();
        let total: Duration = durations.iter().sum();
        // Nearest rank: the smallest value that at least `percent` of all values do not exceed.
        let at = |percent: usize| {
            let rank = count.saturating_mul(percent).div_ceil(100).max(1);
            durations.get(rank - 1).map_or(0.0, |duration| rounded(duration.as_secs_f64() * 1e3))
        };
        let mean =
            u32::try_from(count).ok().filter(|count| *count > 0).map_or(0.0, |count| rounded(total.as_secs_f64() * 1e3 / f64::from(count)));
        Self { count, min: at(0), median: at(50), p90: at(90), p99: at(99), max: at(100), mean }
    }
}

/// Rounds to three decimal places.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// `over / under`; zero if `under` is zero.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn ratio(over: u64, under: u64) -> f64 {
    if under == 0 { 0.0 } else { rounded(over as f64 / under as f64) }
}

/// `count` per second; zero for no time.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(crate) fn per_second(count: u64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { rounded(count as f64 / duration.as_secs_f64()) }
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Whole microseconds.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let quantiles = Quantiles::of((1..=200).rev().map(Duration::from_millis).collect());
        let expected = Quantiles { count: 200, min: 1.0, median: 100.0, p90: 180.0, p99: 198.0, max: 200.0, mean: 100.5 };
        assert_eq!(quantiles, expected);
        let one = Quantiles::of(vec![Duration::from_micros(1_234)]);
        assert_eq!((one.min, one.median, one.p99, one.max), (1.234, 1.234, 1.234, 1.234));
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!((ratio(1, 0), per_second(1, Duration::ZERO)), (0.0, 0.0));
        assert_eq!((ratio(1, 3), per_second(3, Duration::from_secs(2))), (0.333, 1.5));
    }
}
