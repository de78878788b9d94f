//! Divides the limit of open files among their users.
//!
//! Sockets are files. If strangers could use them up, the store would fail the next time it opens a table, and with it the validator. So the
//! limit is divided at startup, and each share is enforced by a limit of its own:
//!
//! | Share | Limit |
//! |---|---|
//! | the process itself: log, locks, listeners, timers, the store's own logs | [`OWN`] |
//! | validators: two connections and one dial each ([`PER_PEER`]), and unfinished handshakes ([`HANDSHAKES`]) | by the committee; with `network.join`, by the largest later one as well |
//! | health and metrics | [`HEALTH`] |
//! | clients being told that there is no room | [`REFUSED`] |
//! | the store's tables | half of the rest, at most as many as it wants |
//! | client connections | the remainder, at most `api.connections_max` |

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the process itself.
const OWN: u64 = 96;
/// For each other validator.
const PER_PEER: u64 = 3;
/// For unfinished handshakes with validators and strangers (`network/src/swarm.rs` and `gate.rs`).
const HANDSHAKES: u64 = 64;
/// Connections for health and metrics.
pub(crate) const HEALTH: u32 = 32;
/// For clients over the connection limit, while they are refused.
const REFUSED: u64 = 64;
/// Fewest open tables with which the store works well.
const STORE_MIN: u64 = 64;
/// Fewest client connections for a useful API.
const CLIENTS_MIN: u64 = 16;
/// More than is ever needed. Some systems have no limit, or one in the billions.
const WANTED_MAX: u64 = 1 << 20;

/// The shares that depend on the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The limit itself.
    pub(crate) total: u64,
    /// The store's open tables.
    pub(crate) store: u32,
    /// Client connections.
    pub(crate) clients: u32,
}

/// The limit of open files is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system lets this process open {total} files, but it needs {needed}; raise the limit (ulimit -n {wanted}, or LimitNOFILE={wanted} in the systemd unit)"
)]
pub struct TooFewFiles {
    /// The limit.
    pub total: u64,
    /// The smallest sufficient limit.
    pub needed: u64,
    /// The limit at which every share is at its maximum.
    pub wanted: u64,
}

/// Raises the soft limit as far as possible without privileges, and returns it.
pub(crate) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(WANTED_MAX).min(WANTED_MAX);
    let now = current.unwrap_or(WANTED_MAX);
    if now < wanted && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok() { wanted } else { now }
}

/// The current soft limit; `None` if there is none.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

impl Files {
    /// Divides `total` files among a store that wants `store` tables, `peers` other validators and at most `clients` connections.
    pub(crate) fn divide(total: u64, store: u32, peers: usize, clients: u32) -> Result<Self, TooFewFiles> {
        let peers = PER_PEER.saturating_mul(u64::try_from(peers).unwrap_or(u64::MAX));
        let fixed = peers.saturating_add(OWN + HANDSHAKES + REFUSED + u64::from(HEALTH));
        let (store_max, clients_max) = (u64::from(store), u64::from(clients));
        let needed = fixed.saturating_add(STORE_MIN.min(store_max)).saturating_add(CLIENTS_MIN.min(clients_max));
        let wanted = fixed.saturating_add(store_max).saturating_add(clients_max);
        if total < needed {
            return Err(TooFewFiles { total, needed, wanted });
        }
        let rest = total.saturating_sub(fixed);
        // The store also gets what the clients do not need.
        let store = (rest / 2).max(rest.saturating_sub(clients_max)).max(STORE_MIN).min(store_max);
        let clients = rest.saturating_sub(store).min(clients_max);
        let share = |files: u64| u32::try_from(files).unwrap_or(u32::MAX);
        Ok(Self { total, store: share(store), clients: share(clients) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_what_they_ask_for_where_there_is_enough() {
        assert_eq!(Files::divide(65_536, 512, 3, 1_024).unwrap(), Files { total: 65_536, store: 512, clients: 1_024 });
    }

    #[test]
    fn the_shares_together_never_exceed_what_there_is_and_are_never_nothing() {
        for peers in [0, 3, 99] {
            let least = Files::divide(0, 512, peers, 1_024).unwrap_err();
            assert_eq!(Files::divide(least.needed - 1, 512, peers, 1_024), Err(TooFewFiles { total: least.needed - 1, ..least }));
            for total in least.needed..least.wanted + 100 {
                let files = Files::divide(total, 512, peers, 1_024).unwrap();
                let fixed = least.wanted - 512 - 1_024;
                assert!(fixed + u64::from(files.store) + u64::from(files.clients) <= total, "{files:?}");
                assert!(files.store >= 64 && files.clients >= 16, "{files:?}");
            }
            assert_eq!(Files::divide(least.wanted, 512, peers, 1_024).unwrap().clients, 1_024);
        }
        let usual = Files::divide(1_024, 512, 3, 1_024).unwrap();
        assert!(usual.store > 300 && usual.clients > 300, "the usual limit is enough: {usual:?}");
        assert_eq!(Files::divide(1_024, 512, 3, 10).unwrap().store, 512, "few clients leave the rest to the store");
    }

    #[test]
    fn who_has_too_few_is_told_how_many_to_ask_for() {
        let message = Files::divide(200, 512, 3, 1_024).unwrap_err().to_string();
        assert!(message.contains("200") && message.contains("ulimit -n ") && message.contains("LimitNOFILE="), "{message}");
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let total = raise();
        assert_eq!(limit(), Some(total));
        assert!(getrlimit(Resource::Nofile).maximum.is_none_or(|maximum| total == maximum || total >= WANTED_MAX));
    }
}
