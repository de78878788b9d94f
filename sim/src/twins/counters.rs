//! What scenarios went through. A search in which nothing happens finds nothing.

use serde::{Deserialize, Serialize};

/// Sums over scenarios; most count the scenarios in which something happened at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Scenarios.
    pub scenarios: u64,
    /// Scenarios in which a leader's two copies proposed different blocks in one round.
    pub two_proposals: u64,
    /// Scenarios in which a twin's two copies voted for different blocks in one round.
    pub two_votes: u64,
    /// Scenarios in which a proposal was built on a timeout certificate.
    pub timeout_certificates: u64,
    /// Scenarios in which an honest validator gave up a block that it had executed, because a commit went another way.
    pub forks_pruned: u64,
    /// Scenarios in which such a block had even been certified.
    pub certified_forks_pruned: u64,
    /// Scenarios in which an honest validator accused somebody: of two votes, ...
    pub accused_of_votes: u64,
    /// ... of two timeouts, ...
    pub accused_of_timeouts: u64,
    /// ... of two proposals.
    pub accused_of_proposals: u64,
    /// Scenarios in which a block of the first rounds was committed in the end.
    pub early_blocks_committed: u64,
    /// Scenarios in which somebody had to fetch a block.
    pub fetched: u64,
    /// Scenarios in which somebody had to catch up with commits.
    pub caught_up: u64,
    /// Scenarios in which no side of some round had a quorum, so that its sides had to be joined for the world to go on.
    pub sides_joined: u64,
    /// Scenarios in which a copy of a twin stopped by itself: it has no one to blame but its other self.
    pub twins_stopped: u64,
    /// All rounds that were gone through.
    pub rounds: u64,
    /// All messages that arrived.
    pub messages: u64,
    /// The most rounds that anybody needed to commit a block of a round in which everybody heard everybody.
    pub rounds_to_commit_max: u64,
}

impl Counters {
    /// Adds those of other scenarios.
    pub fn add(&mut self, more: &Self) {
        let sums = [
            (&mut self.scenarios, more.scenarios),
            (&mut self.two_proposals, more.two_proposals),
            (&mut self.two_votes, more.two_votes),
            (&mut self.timeout_certificates, more.timeout_certificates),
            (&mut self.forks_pruned, more.forks_pruned),
            (&mut self.certified_forks_pruned, more.certified_forks_pruned),
            (&mut self.accused_of_votes, more.accused_of_votes),
            (&mut self.accused_of_timeouts, more.accused_of_timeouts),
            (&mut self.accused_of_proposals, more.accused_of_proposals),
            (&mut self.early_blocks_committed, more.early_blocks_committed),
            (&mut self.fetched, more.fetched),
            (&mut self.caught_up, more.caught_up),
            (&mut self.sides_joined, more.sides_joined),
            (&mut self.twins_stopped, more.twins_stopped),
            (&mut self.rounds, more.rounds),
            (&mut self.messages, more.messages),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        self.rounds_to_commit_max = self.rounds_to_commit_max.max(more.rounds_to_commit_max);
    }
}
