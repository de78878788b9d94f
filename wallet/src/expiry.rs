//! When a transaction expires: by the chain's time, which decides its validity, not by this machine's clock alone.

use std::time::Duration;

use quorate_types::round::UnixMillis;

/// How far the clock may be ahead of the newest proved block, beyond what a quiet chain explains, before the clock is ignored, in
/// milliseconds.
const APART_MS_MAX: u64 = 5 * 60 * 1_000;

/// Expiry of a transaction that is to be valid for `valid_for`.
///
/// `chain` is the time of the newest proved block, `clock` this machine's, and `quiet_ms` how old the newest block of a live chain may be.
///
/// | Clock and chain | Basis | Why |
/// |---|---|---|
/// | clock behind chain | chain | the next block is later than the last one, so by the clock the transaction might have expired already |
/// | clock ahead, as a quiet chain or ordinary clock error explains | clock | the next block will have about that time; the newest may be a heartbeat old |
/// | clock further ahead | chain | the clock is wrong, the node shows an old block, or the chain has stalled. With a wrong clock the transaction could stay valid for years. With an old block it has already expired, is refused, and a newer block proves that it never will be committed: safe, and the user is told how old the block is |
pub(crate) fn expires_at(chain: UnixMillis, clock: UnixMillis, quiet_ms: u64, valid_for: Duration) -> UnixMillis {
    let is_near = clock.since(chain) <= quiet_ms.saturating_add(APART_MS_MAX);
    let basis = if is_near { chain.max(clock) } else { chain };
    UnixMillis(basis.0.saturating_add(u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chains_time_decides_and_the_clock_helps_where_it_can_be_right() {
        let hour = 3_600_000;
        let cases = [
            ("equal", hour, hour, hour + 60_000),
            ("the clock is a minute behind", hour, hour - 60_000, hour + 60_000),
            ("the clock is years behind", hour * 50_000, 0, hour * 50_000 + 60_000),
            ("the newest block is a heartbeat old", hour, hour + 10_000, hour + 70_000),
            ("the clock is 290 s ahead", hour, hour + 290_000, hour + 350_000),
            ("the clock is an hour ahead, or the block is old", hour, hour * 2, hour + 60_000),
            ("the clock is at the end of time", hour, u64::MAX, hour + 60_000),
            ("the chain is at the end of time", u64::MAX, 0, u64::MAX),
        ];
        for (what, chain, clock, expected) in cases {
            let expires_at = expires_at(UnixMillis(chain), UnixMillis(clock), 30_000, Duration::from_secs(60));
            assert_eq!(expires_at, UnixMillis(expected), "{what}");
        }
    }
}
