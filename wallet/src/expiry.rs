//! Until when a transaction is valid: by the chain's time, which blocks are compared with, not by this machine's clock alone.

use std::time::Duration;

use quorate_types::round::UnixMillis;

/// How far the clock and the newest proved block may lie apart, beyond what a quiet chain explains, before the clock is left aside. In
/// milliseconds.
const APART_MS_MAX: u64 = 5 * 60 * 1_000;

/// When a transaction expires that is to be valid for so long.
///
/// `chain` is the time of the newest block that was proved, `clock` this machine's, `quiet_ms` how old the newest block of a chain that lives may
/// be.
///
/// | Clock and chain | Basis | Why |
/// |---|---|---|
/// | the clock is behind | chain | a block can only have a later time than the last one; by the clock it might have expired already |
/// | ahead by what a quiet chain, or clocks of people, explain | clock | the next block will have about that time, and the newest one may be a heartbeat old |
/// | ahead by more | chain | the clock is wrong, or the node shows an old block, or the chain stands still. By a wrong clock the transaction could be valid for years. By an old block it has expired, is refused, and is proved never to be committed as soon as a newer block is shown: safe, and the user is told how old the block is |
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
