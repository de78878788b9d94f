//! Keeps the network's links up to date with what they depend on: the committee, who is leaving it, and the later one that is proved.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_network::{Network, PeerIndex};
use quorate_types::{committee::Committee, round::Epoch};

use crate::{
    helpers::{self, Helpers},
    peering::Peering,
};

/// The links to other nodes.
#[derive(Debug)]
pub(crate) struct Links {
    network: Network,
    peering: Peering,
    helpers: Arc<Helpers>,
    wanted: Mutex<Wanted>,
}

/// Whom to link to.
#[derive(Debug)]
struct Wanted {
    committee: Arc<Committee>,
    /// The committee before, as long as those who have left it may not know yet.
    leaving: Option<Arc<Committee>>,
    /// The newest committee that is proved, if it is of a later epoch.
    later: Option<Arc<Committee>>,
}

impl Links {
    /// For a network that was started with the links for this committee.
    pub(crate) fn new(network: Network, peering: Peering, helpers: Arc<Helpers>, committee: Arc<Committee>) -> Self {
        Self { network, peering, helpers, wanted: Mutex::new(Wanted { committee, leaving: None, later: None }) }
    }

    /// Links to the members of this committee, and for now to those of the one before.
    pub(crate) fn set(&self, committee: &Arc<Committee>, leaving: Option<&Arc<Committee>>) {
        let mut wanted = self.lock();
        (wanted.committee, wanted.leaving) = (Arc::clone(committee), leaving.cloned());
        wanted.later.take_if(|later| later.epoch() <= committee.epoch());
        self.link(&wanted);
    }

    /// Links to the members of a committee that is proved to be of a later epoch as well, until the replica has come that far.
    pub(crate) fn set_later(&self, later: Arc<Committee>) {
        let mut wanted = self.lock();
        if later.epoch() > wanted.later.as_ref().unwrap_or(&wanted.committee).epoch() {
            wanted.later = Some(later);
            self.link(&wanted);
        }
    }

    /// The latest epoch that is proved to have begun, if the replica is not there yet.
    pub(crate) fn later(&self) -> Option<Epoch> {
        self.lock().later.as_ref().map(|later| later.epoch())
    }

    /// The name of a helper.
    pub(crate) fn helper(&self, place: PeerIndex) -> Option<String> {
        if !helpers::is_helper(place) {
            return None;
        }
        Some(self.lock().later.as_ref()?.get(helpers::seat_of(place))?.name.clone())
    }

    fn link(&self, wanted: &Wanted) {
        let Wanted { committee, leaving, later } = wanted;
        let peers = self.peering.peers(committee, leaving.as_deref(), later.as_deref());
        self.helpers.set(peers.iter().map(|peer| peer.index).filter(|place| helpers::is_helper(*place)).collect());
        if let Err(error) = self.network.set_peers(peers) {
            tracing::error!("the links to the new committee cannot be set up, so the old ones stay: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
