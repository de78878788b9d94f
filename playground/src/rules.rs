//! The rule of the paper behind every refusal, in plain words. The consensus core says *that* it refuses with one word for counting; a
//! student wants to know *why*. Where a safety rule speaks, the production rule itself is asked again, on a copy.

use quorate_consensus::safety::{Safety, SafetyRecord};
use quorate_types::{
    block::Proposal,
    crypto::SigningKey,
    ids::{StateId, ValidatorId},
    message::Evidence,
    verify::Verified,
};

/// What a word of `quorate_consensus::Ignored` means, with the section of the paper.
pub(super) fn why(word: &str) -> &'static str {
    match word {
        "old-round" => "§3.5 advance_round: the round of this message is over, and rounds only go forward",
        "far-round" => "§3.1 process_proposal_msg: the message is of a later round, and no certificate in it leads there",
        "not-leader" => "§3.7 get_leader: only the leader of a round may propose in it",
        "duplicate" => "§3.3 pending_votes is a set: the same message again changes nothing",
        "equivocation" => "§3.3: one message of a kind counts for each validator and round, the first; a second, different one is evidence",
        "invalid-block" => "§3.3 execute_and_insert: the block cannot be executed on its parent",
        "unsafe-vote" => "§3.4 safe_to_vote",
        "unsafe-timeout" => {
            "§3.4 safe_to_timeout: a round is given up only with a certificate that leads into it, and never below the lock"
        }
        "parent-missing" => "§3.3: a block enters the tree after its parent; the parent is fetched, and the proposal waits for it",
        "too-many-requests" => "not in the paper: each validator answers a bounded number of requests for blocks",
        _ => "a rule that has no explanation here",
    }
}

/// Asks the production rule, on a copy of the validator's safety record, why it does not vote for a proposal.
pub(super) fn why_no_vote(record: &SafetyRecord, key: SigningKey, me: ValidatorId, proposal: &Verified<Proposal>) -> Option<String> {
    let mut rules = Safety::new(key, me, record.clone());
    rules.approve_vote(&proposal.block(), proposal.last_round_tc().as_ref(), StateId::default()).err().map(|rule| rule.to_string())
}

/// What an accusation proves.
pub(super) fn evidence(evidence: &Evidence) -> (&'static str, &'static str) {
    match evidence {
        Evidence::Votes(..) => ("two different votes", "§3.4 SAFE-1: an honest validator votes once in a round"),
        Evidence::Timeouts(..) => {
            ("two different timeouts", "§3.4 make_timeout: an honest validator gives a round up with one certificate")
        }
        Evidence::Proposals(..) => ("two different proposals", "SAFE-5: an honest leader proposes once in a round"),
    }
}

#[cfg(test)]
mod tests {
    use quorate_consensus::Ignored;

    use super::*;

    #[test]
    fn every_reason_of_the_core_has_an_explanation() {
        use Ignored::{Duplicate, Equivocation, FarRound, InvalidBlock, NotLeader, OldRound, ParentMissing, UnsafeTimeout, UnsafeVote};
        let all =
            [OldRound, FarRound, NotLeader, Duplicate, Equivocation, InvalidBlock("payload"), UnsafeVote, UnsafeTimeout, ParentMissing];
        for reason in all {
            // A new reason makes this match incomplete: it wants a line in `why`, and one above.
            match reason {
                OldRound | FarRound | NotLeader | Duplicate | Equivocation | InvalidBlock(_) | UnsafeVote | UnsafeTimeout
                | ParentMissing => {}
            }
            assert!(why(reason.word()).starts_with('§'), "{reason:?}");
        }
        assert!(why("too-many-requests").starts_with("not in the paper"));
    }
}
