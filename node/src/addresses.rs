//! Follows the addresses to which members have moved within their epoch.
//!
//! A member's operator changes its address by a transaction, without a new epoch: the state lists it, and the committee does not. The list is read
//! after commits, off the replica's thread. Keys decide who a peer is, so the links may follow a moment later.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use quorate_ledger::CommittedView;
use quorate_types::{codec, epoch::EPOCH_STATE_BYTES_MAX, ids::ValidatorId, state_key::ADDRESSES_KEY};
use tokio::sync::watch;

use crate::{api::limits::stopped, links::Links};

/// Shortest time between two readings.
const EVERY: Duration = Duration::from_secs(1);

/// The addresses of members that have moved, by their seats.
pub(crate) type Moved = BTreeMap<ValidatorId, String>;

/// The addresses in an encoded list, which is missing until a member moves.
pub(crate) fn decode(list: Option<&[u8]>) -> Moved {
    let Some(list) = list else { return Moved::new() };
    // The chain bounds the list by the committee, and all addresses of a committee fit an epoch state.
    match codec::decode::<Vec<(ValidatorId, String)>>(list, EPOCH_STATE_BYTES_MAX) {
        Ok(moved) => moved.into_iter().collect(),
        Err(error) => {
            tracing::error!("the state's list of addresses does not decode, so those in the committee are used: {error}");
            Moved::new()
        }
    }
}

/// The addresses in a state.
pub(crate) fn of(view: &CommittedView) -> Moved {
    decode(view.state().get(ADDRESSES_KEY).map(|list| &**list))
}

/// Keeps the links at the addresses in the newest state, until the node stops.
pub(crate) async fn run(mut views: watch::Receiver<CommittedView>, links: Arc<Links>, mut stop: watch::Receiver<bool>) {
    let mut known = None;
    loop {
        let list = views.borrow_and_update().state().get(ADDRESSES_KEY).cloned();
        if list != known {
            links.set_moved(decode(list.as_deref()));
            known = list;
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        tokio::select! {
            () = stopped(&mut stop) => return,
            // The replica's thread has ended: so will the node.
            changed = views.changed() => if changed.is_err() { return stopped(&mut stop).await },
        }
    }
}
