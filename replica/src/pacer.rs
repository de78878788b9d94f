//! How long a leader waits for more transactions before it proposes a block of few (deviation D21).
//!
//! A round costs the committee the same for two transactions as for a thousand. Without a pause, rounds follow each other as fast as they
//! can, and each carries the few transactions that arrived in it. With the pause, a block waits for company; a lone transaction and a full
//! block never wait.

use std::time::Duration;

use quorate_types::genesis::Parameters;

use crate::mempool::Load;

/// A pause is at most a base timeout divided by this, so that waiting never costs the leader its round.
const PAUSE_DIVISOR: u32 = 50;
/// This many new transactions make a block worth waiting for.
const FRESH_MIN: usize = 2;
/// This many transactions, including those in uncommitted blocks, are traffic: then every block waits, even one that only commits others.
const TRAFFIC_MIN: usize = 8;

/// The longest pause of a leader with this `pause_max`, counted from when it could first have built.
pub(crate) fn pause(pause_max: Duration, parameters: &Parameters) -> Duration {
    let timeout = Duration::from_millis(parameters.timeout_base_ms.into());
    timeout.checked_div(PAUSE_DIVISOR).unwrap_or_default().min(pause_max)
}

/// Whether a block is likely to get better soon: `ready` is what the pool could give to blocks, `pending` the part of it that the block's
/// uncommitted ancestors already hold.
pub(crate) fn is_worth_waiting(ready: Load, pending: Load, parameters: &Parameters) -> bool {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let full = Load { transactions: size(parameters.block_transactions_max), bytes: size(parameters.block_bytes_max) };
    let fresh = ready.minus(pending);
    let has_company = fresh.transactions >= FRESH_MIN || ready.transactions >= TRAFFIC_MIN;
    has_company && !fresh.fills(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(transactions: usize) -> Load {
        Load { transactions, bytes: transactions * 200 }
    }

    #[test]
    fn a_block_waits_for_company_unless_its_transaction_is_alone_or_it_is_full() {
        let parameters = Parameters { block_transactions_max: 1_000, block_bytes_max: 1 << 20, ..Parameters::default() };
        for (ready, pending, waits) in [
            (0, 0, false),
            (1, 0, false),
            (2, 0, true),
            (999, 0, true),
            (1_000, 0, false),
            // All of it is in blocks that the next ones will commit.
            (1, 1, false),
            (2, 2, false),
            // The new one has only its predecessors for company.
            (3, 2, false),
            (4, 2, true),
            // Traffic: even blocks that only commit others wait.
            (8, 8, true),
            (1_500, 1_000, true),
            (2_000, 1_000, false),
        ] {
            assert_eq!(is_worth_waiting(load(ready), load(pending), &parameters), waits, "{ready} ready, {pending} of them pending");
        }
        let large = Load { transactions: 2, bytes: 1 << 20 };
        assert!(!is_worth_waiting(large, Load::default(), &parameters), "full in bytes");
    }

    #[test]
    fn the_pause_is_a_small_part_of_the_shortest_round() {
        for timeout_base_ms in [10, 100, 500, 1_000, 100_000] {
            let parameters = Parameters { timeout_base_ms, ..Parameters::default() };
            let pause = pause(Duration::from_millis(5), &parameters);
            assert!(pause <= Duration::from_millis(timeout_base_ms.into()) / 50 && pause <= Duration::from_millis(5));
        }
    }
}
