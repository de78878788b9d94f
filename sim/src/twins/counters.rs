//! What happened in scenarios. A search in which nothing happens finds nothing.

use serde::{Deserialize, Serialize};

/// Sums over scenarios. Most count the scenarios in which something happened at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Scenarios run.
    pub scenarios: u64,
    /// Scenarios in which a leader's two copies proposed different blocks in one round.
    pub two_proposals: u64,
    /// Scenarios in which a validator's two copies voted for different blocks in one round.
    pub two_votes: u64,
    /// Scenarios in which a proposal carried a timeout certificate.
    pub timeout_certificates: u64,
    /// Scenarios in which a commit made an honest validator abandon an executed block.
    pub forks_pruned: u64,
    /// Scenarios in which such a block had been certified.
    pub certified_forks_pruned: u64,
    /// Scenarios in which an honest validator accused another of two votes.
    pub accused_of_votes: u64,
    /// The same for two timeouts.
    pub accused_of_timeouts: u64,
    /// The same for two proposals.
    pub accused_of_proposals: u64,
    /// Scenarios in which a block of the scenario's own rounds was committed.
    pub early_blocks_committed: u64,
    /// Scenarios in which a fetch was answered with blocks.
    pub fetched: u64,
    /// Scenarios in which a catch-up request was answered with blocks.
    pub caught_up: u64,
    /// Scenarios in which sides had to be joined, since no side of some round had a quorum.
    pub sides_joined: u64,
    /// Scenarios in which a copy of a validator with a twin stopped by itself.
    pub twins_stopped: u64,
    /// Scenarios in which the committee changed.
    pub committee_changed: u64,
    /// Scenarios in which a block of the scenario's own rounds changed it.
    pub changed_early: u64,
    /// Rounds in total.
    pub rounds: u64,
    /// Messages delivered in total.
    pub messages: u64,
    /// The most rounds that any honest validator needed to commit once everybody heard everybody.
    pub rounds_to_commit_max: u64,
}

impl Counters {
    /// Adds the counters of other scenarios.
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
            (&mut self.committee_changed, more.committee_changed),
            (&mut self.changed_early, more.changed_early),
            (&mut self.rounds, more.rounds),
            (&mut self.messages, more.messages),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
        self.rounds_to_commit_max = self.rounds_to_commit_max.max(more.rounds_to_commit_max);
    }
}
