//! §3.7 `LeaderElection`: elects leaders among the validators that took part in the last committed blocks, and falls back to round-robin.
//!
//! Every committed block elects a leader, from the committed chain up to and including itself and from nothing else. So all validators that
//! have committed the block agree on that leader, however they learned of the commit (E1: every block is considered; E3: only certificates
//! embedded in committed blocks count, and the first election of a round stands). Deviation D6: the paper elects only when a certificate
//! arrives in time; here a late commit elects the same leader, so lagging validators agree with the rest.

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

/// Number of committed blocks kept for elections.
pub const HISTORY_BLOCKS: usize = ELECTION_BLOCKS_MAX + 16;
/// Most committed blocks considered in one election, for the window and for the last authors. Below [`HISTORY_BLOCKS`], so that a validator
/// restarted with that many elects the same leaders for the coming rounds as validators that kept running.
const ELECTION_BLOCKS_MAX: usize = 256;
/// How many rounds after its own a committed block elects for: its child's, the one in which its commit becomes known, the next (paper:
/// q + 2 for the certificate of round q, the child's).
const ELECTION_ROUNDS_AHEAD: u64 = 3;
// The leaders of the coming rounds are elected by at most four committed blocks (an odd round may have the leader of the even one before
// it). Each of these elections finds all the blocks it considers, and little more is handed over.
const _: () = assert!(HISTORY_BLOCKS >= ELECTION_BLOCKS_MAX + 4 && HISTORY_BLOCKS < 2 * ELECTION_BLOCKS_MAX);

/// What an election needs to know about a committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The block's round.
    pub round: Round,
    /// The block's author.
    pub author: ValidatorId,
    /// Signers of the certificate in the block: those who certified its parent.
    pub signers: SignerSet,
}

impl From<&Block> for Summary {
    fn from(block: &Block) -> Self {
        Self { round: block.round(), author: block.author(), signers: block.qc().signers }
    }
}

/// Leaders by round; see the module docs.
#[derive(Debug)]
pub struct LeaderElection {
    genesis_hash: GenesisHash,
    epoch: Epoch,
    voters: Vec<ValidatorId>,
    window_size: usize,
    exclude_size: usize,
    /// See [`crate::Config::fixed_leaders`].
    fixed: Arc<BTreeMap<Round, ValidatorId>>,
    /// The newest committed blocks, oldest first.
    committed: VecDeque<Summary>,
    /// Elected leaders, from the round before the current one on.
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
            voters: committee.voters().to_vec(),
            window_size: usize::try_from(parameters.window_size).unwrap_or(usize::MAX),
            exclude_size: usize::try_from(parameters.excluded(committee.voters().len())).unwrap_or(usize::MAX),
            fixed,
            committed: VecDeque::new(),
            reputation: BTreeMap::new(),
        }
    }

    /// §3.7 `get_leader`. The round-robin fallback gives each validator two rounds in a row, and begins with another one in each epoch: the first
    /// leader of an epoch may be a liar that ends it with its own block.
    #[must_use]
    pub fn leader(&self, round: Round) -> ValidatorId {
        if let Some(elected) = self.fixed.get(&round).or_else(|| self.reputation.get(&round)) {
            return *elected;
        }
        let turn =
            usize::try_from((round.0 / 2).saturating_add(self.epoch.0)).unwrap_or(usize::MAX).checked_rem(self.voters.len()).unwrap_or(0);
        self.voters.get(turn).copied().unwrap_or_default()
    }

    /// Records a committed block and elects a leader. Blocks come in chain order.
    pub(crate) fn on_committed(&mut self, block: Summary) {
        self.committed.push_back(block);
        if self.committed.len() > HISTORY_BLOCKS {
            self.committed.pop_front();
        }
        let Some(elected) = self.elect(block.round) else { return };
        // Two rounds per leader: the leader of an even round also gets the odd one after it. The first election of a round stands.
        let first = Round(block.round.0.saturating_add(ELECTION_ROUNDS_AHEAD));
        self.reputation.entry(first).or_insert(elected);
        if first.0.checked_rem(2) == Some(0) {
            self.reputation.entry(first.next()).or_insert(elected);
        }
    }

    /// Drops the elections of rounds before this one.
    pub(crate) fn enter_round(&mut self, round: Round) {
        self.reputation = self.reputation.split_off(&round);
    }

    /// §3.7 `elect_reputation_leader` over the committed chain: draws among the certifiers of the last `window_size` blocks, except the last
    /// `exclude_size` authors; `None` if nobody is left.
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

/// A number below `count` from a digest: its first eight bytes, little-endian, modulo `count`; `None` if `count` is zero. The bias is below
/// 2^-50 and the same on every machine.
fn pick(digest: &Hash, count: usize) -> Option<usize> {
    let number = u64::from_le_bytes(digest.0.first_chunk::<8>().copied()?);
    usize::try_from(number.checked_rem(u64::try_from(count).ok()?)?).ok()
}

#[cfg(test)]
mod tests;
