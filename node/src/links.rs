//! Keeps the network's links up to date with what they depend on: the committee, who of it has moved, who is leaving it, and the later one that is
//! proved.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_network::{Network, PeerIndex};
use quorate_types::{committee::Committee, round::Epoch};

use crate::{
    addresses::Moved,
    helpers::{self, Helpers},
    peering::{Members, Peering},
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
    /// Those of its members who have moved.
    moved: Moved,
    /// The committee before, as long as those who have left it may not know yet.
    leaving: Option<Arc<Committee>>,
    /// The newest committee that is proved, if it is of a later epoch, and those of its members who have moved.
    later: Option<(Arc<Committee>, Moved)>,
}

impl Links {
    /// For a network that was started with the links for this committee.
    pub(crate) fn new(network: Network, peering: Peering, helpers: Arc<Helpers>, committee: Arc<Committee>, moved: Moved) -> Self {
        Self { network, peering, helpers, wanted: Mutex::new(Wanted { committee, moved, leaving: None, later: None }) }
    }

    /// Links to the members of this committee, and for now to those of the one before.
    pub(crate) fn set(&self, committee: &Arc<Committee>, leaving: Option<&Arc<Committee>>) {
        let mut wanted = self.lock();
        (wanted.committee, wanted.leaving) = (Arc::clone(committee), leaving.cloned());
        wanted.later.take_if(|(later, _)| later.epoch() <= committee.epoch());
        self.link(&wanted);
    }

    /// Members have moved, or are back where the committee says.
    pub(crate) fn set_moved(&self, moved: Moved) {
        let mut wanted = self.lock();
        if wanted.moved != moved {
            wanted.moved = moved;
            self.link(&wanted);
        }
    }

    /// Links to the members of a committee that is proved to be of a later epoch as well, until the replica has come that far.
    pub(crate) fn set_later(&self, later: Arc<Committee>, moved: Moved) {
        let mut wanted = self.lock();
        let is_news = wanted
            .later
            .as_ref()
            .is_none_or(|(known, at)| later.epoch() > known.epoch() || (later.epoch() == known.epoch() && *at != moved));
        if later.epoch() > wanted.committee.epoch() && is_news {
            wanted.later = Some((later, moved));
            self.link(&wanted);
        }
    }

    /// The latest epoch that is proved to have begun, if the replica is not there yet.
    pub(crate) fn later(&self) -> Option<Epoch> {
        self.lock().later.as_ref().map(|(later, _)| later.epoch())
    }

    /// The name of a helper.
    pub(crate) fn helper(&self, place: PeerIndex) -> Option<String> {
        if !helpers::is_helper(place) {
            return None;
        }
        let wanted = self.lock();
        let (later, _) = wanted.later.as_ref()?;
        Some(later.get(helpers::seat_of(place))?.name.clone())
    }

    fn link(&self, wanted: &Wanted) {
        let Wanted { committee, moved, leaving, later } = wanted;
        let later = later.as_ref().map(|(committee, moved)| Members { committee, moved });
        let peers = self.peering.peers(Members { committee, moved }, leaving.as_deref(), later);
        self.helpers.set(peers.iter().map(|peer| peer.index).filter(|place| helpers::is_helper(*place)).collect());
        if let Err(error) = self.network.set_peers(peers) {
            tracing::error!("the links to the new committee cannot be set up, so the old ones stay: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
