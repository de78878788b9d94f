//! §3.7 `LeaderElection`: reputation of those who took part in the last committed blocks, and a round-robin where nothing is known.
//!
//! Every committed block elects, from the committed chain up to and including itself and from nothing else, so all validators that have
//! committed a block agree on whom it elects, however they came to know the commit (E1: every block is looked at; E3: only certificates
//! embedded in committed blocks count, the first election of a round stays). Deviation D6: the paper elects when a certificate arrives
//! just in time; here a late commit elects the same leaders, so late validators agree with the others.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use quorate_types::{
    block::Block,
    committee::{Committee, SignerSet},
    crypto::{Hash, Hasher, Tag},
    genesis::Parameters,
    ids::{GenesisHash, ValidatorId},
    round::{Epoch, Round},
};

const LEADER: Tag = Tag::new("quorate/leader");

/// How many committed blocks are remembered.
pub const HISTORY_BLOCKS: usize = ELECTION_BLOCKS_MAX + 16;
/// How many committed blocks an election looks at most, for the window and for the last authors. Less than what is remembered, so that a
/// validator that starts again with [`HISTORY_BLOCKS`] of them elects for the rounds to come as those do that did not stop.
const ELECTION_BLOCKS_MAX: usize = 256;
/// How far ahead of a committed block its election is: the block, its child, the round in which its commit is learnt, the next (paper: q+2
/// for the certificate of round q = the child's).
const ELECTION_ROUNDS_AHEAD: u64 = 3;
// The leaders of the rounds to come are those of at most four committed blocks (an odd round may have the leader of the even one before it):
// each of these finds all that it looks at, and little more is handed over.
const _: () = assert!(HISTORY_BLOCKS >= ELECTION_BLOCKS_MAX + 4 && HISTORY_BLOCKS < 2 * ELECTION_BLOCKS_MAX);

/// What an election needs to know of a committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its round.
    pub round: Round,
    /// Its author.
    pub author: ValidatorId,
    /// Who certified its parent.
    pub signers: SignerSet,
}

impl From<&Block> for Summary {
    fn from(block: &Block) -> Self {
        Self { round: block.round(), author: block.author(), signers: block.qc().signers }
    }
}

/// See the module.
#[derive(Debug)]
pub struct LeaderElection {
    genesis_hash: GenesisHash,
    epoch: Epoch,
    validators: u64,
    window_size: usize,
    exclude_size: usize,
    /// See [`crate::Config::fixed_leaders`].
    fixed: Arc<BTreeMap<Round, ValidatorId>>,
    /// The newest committed blocks, the oldest first.
    committed: VecDeque<Summary>,
    /// The elected leaders of rounds that are not over.
    reputation: BTreeMap<Round, ValidatorId>,
}

impl LeaderElection {
    pub(crate) fn new(
        genesis_hash: GenesisHash,
        committee: &Committee,
        parameters: &Parameters,
        fixed: Arc<BTreeMap<Round, ValidatorId>>,
    ) -> Self {
        Self {
            genesis_hash,
            epoch: committee.epoch(),
            validators: committee.len() as u64,
            window_size: usize::try_from(parameters.window_size).unwrap_or(usize::MAX),
            exclude_size: usize::try_from(parameters.excluded(committee.len())).unwrap_or(usize::MAX),
            fixed,
            committed: VecDeque::new(),
            reputation: BTreeMap::new(),
        }
    }

    /// §3.7 `get_leader`. The fallback gives each validator two rounds in a row.
    #[must_use]
    pub fn leader(&self, round: Round) -> ValidatorId {
        if let Some(elected) = self.fixed.get(&round).or_else(|| self.reputation.get(&round)) {
            return *elected;
        }
        let turn = (round.0 / 2).checked_rem(self.validators).unwrap_or(0);
        ValidatorId(u16::try_from(turn).unwrap_or(0))
    }

    /// A block has been committed; blocks come in the order of the chain.
    pub(crate) fn on_committed(&mut self, block: Summary) {
        self.committed.push_back(block);
        if self.committed.len() > HISTORY_BLOCKS {
            self.committed.pop_front();
        }
        let Some(elected) = self.elect(block.round) else { return };
        // Two rounds for each leader: an even round takes the odd one after it along. What is elected stays.
        let first = Round(block.round.0.saturating_add(ELECTION_ROUNDS_AHEAD));
        self.reputation.entry(first).or_insert(elected);
        if first.0.checked_rem(2) == Some(0) {
            self.reputation.entry(first.next()).or_insert(elected);
        }
    }

    /// Elections of rounds before this one have served.
    pub(crate) fn enter_round(&mut self, round: Round) {
        // The round before is kept: votes of a round go to the leader of the next.
        self.reputation = self.reputation.split_off(&round);
    }

    /// §3.7 `elect_reputation_leader` over the committed chain: the certifiers of the last `window_size` blocks without the last
    /// `exclude_size` authors; nobody when that leaves nobody.
    fn elect(&self, seed: Round) -> Option<ValidatorId> {
        let mut active = SignerSet::default();
        let mut last_authors = BTreeSet::new();
        for (looked_at, block) in self.committed.iter().rev().take(ELECTION_BLOCKS_MAX).enumerate() {
            if looked_at < self.window_size {
                active = active.union(block.signers);
            }
            if last_authors.len() < self.exclude_size {
                last_authors.insert(block.author);
            }
            if looked_at >= self.window_size && last_authors.len() >= self.exclude_size {
                break;
            }
        }
        let candidates: Vec<ValidatorId> = active.iter().filter(|id| !last_authors.contains(id)).collect();
        let mut hasher = Hasher::new(&LEADER);
        hasher.update(&self.genesis_hash.0.0).update(&self.epoch.0.to_le_bytes()).update(&seed.0.to_le_bytes());
        let digest = hasher.finish();
        candidates.get(pick(&digest, candidates.len())?).copied()
    }
}

/// A number below `count` from a digest; nothing when there is no such number. The first eight bytes, little-endian, modulo `count`: the
/// bias is below 2^-50 and the same on every machine.
fn pick(digest: &Hash, count: usize) -> Option<usize> {
    let number = u64::from_le_bytes(digest.0.first_chunk::<8>().copied()?);
    usize::try_from(number.checked_rem(u64::try_from(count).ok()?)?).ok()
}

#[cfg(test)]
mod tests;
