//! Exponential backoff with deterministic jitter.

use std::time::Duration;

/// Pause before attempt number `attempt` (from 0): doubles from `first` up to `max`, plus or minus up to a quarter of jitter.
///
/// The jitter depends only on the arguments, so runs are reproducible, yet pairs of peers (each with its own `seed`) do not dial at the same
/// moment after a restart of the whole committee.
pub(crate) fn pause(first: Duration, max: Duration, attempt: u32, seed: u64) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(attempt.min(16)).unwrap_or(u32::MAX)).min(max);
    let share = mix(seed ^ (u64::from(attempt) << 32)) % 501; // 0..=500 thousandths
    let thousandths = 750_u32.saturating_add(u32::try_from(share).unwrap_or(250));
    doubled.saturating_mul(thousandths) / 1000
}

/// The finalizer of `SplitMix64`: spreads a counter over all 64 bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn a_pause_doubles_stays_within_a_quarter_and_never_exceeds_the_cap_by_more() {
        for seed in 0..50 {
            for attempt in 0..40 {
                let plain = FIRST.saturating_mul(1 << attempt.min(10)).min(MAX);
                let pause = pause(FIRST, MAX, attempt, seed);
                assert!(pause >= plain * 3 / 4 && pause <= plain * 5 / 4, "attempt {attempt} seed {seed}: {pause:?}");
            }
        }
    }

    #[test]
    fn different_pairs_pause_differently_and_the_same_pair_alike() {
        assert_eq!(pause(FIRST, MAX, 3, 1), pause(FIRST, MAX, 3, 1));
        assert_ne!(pause(FIRST, MAX, 3, 1), pause(FIRST, MAX, 3, 2));
    }
}
