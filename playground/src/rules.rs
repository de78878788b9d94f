//! The rule of the paper behind each refusal, in plain words. The engine's one-word reason is meant for counters; a student wants to know
//! *why*. For a safety rule, the production rule itself is asked again, on a copy of the safety record.

use std::sync::Arc;

use quorate_consensus::safety::{Safety, SafetyRecord};
use quorate_types::{
    block::Proposal,
    committee::Committee,
    crypto::SigningKey,
    evidence::Evidence,
    ids::{StateId, ValidatorId},
    sighting::StatementKind,
    verify::Verified,
};

/// Explains a reason of `quorate_consensus::Ignored`, with the section of the paper.
pub(super) fn why(word: &str) -> &'static str {
    match word {
        "old-round" => "§3.5 advance_round: the round of this message is over, and rounds only go forward",
        "far-round" => "§3.1 process_proposal_msg: the message is of a later round, and no certificate in it leads there",
        "not-leader" => "§3.7 get_leader: only the leader of a round may propose in it",
        "duplicate" => "§3.3 pending_votes is a set: a repeated message changes nothing",
        "equivocation" => "§3.3: only a validator's first message of a kind counts in a round; a second, different one is evidence",
        "invalid-block" => "§3.3 execute_and_insert: the block cannot be executed on its parent",
        "unsafe-vote" => "§3.4 safe_to_vote",
        "unsafe-timeout" => {
            "§3.4 safe_to_timeout: giving up a round takes a certificate that leads into it, and no certificate below the lock"
        }
        "parent-missing" => "§3.3: a block enters the tree only after its parent; the proposal waits while the parent is fetched",
        "not-signed" => "§3.4: whoever holds this validator's key did not sign; the message counts as lost",
        "too-many-requests" => "not in the paper: a validator answers a bounded number of requests for blocks",
        _ => "a rule with no explanation here",
    }
}

/// Asks the production rule, on a copy of the safety record, why a validator does not vote for a proposal.
pub(super) fn why_no_vote(
    (record, committee): (&SafetyRecord, &Committee),
    key: SigningKey,
    me: ValidatorId,
    proposal: &Verified<Proposal>,
) -> Option<String> {
    let mut rules = Safety::new(Arc::new(key), me, committee, record.clone());
    rules.approve_vote(&proposal.block(), proposal.last_round_tc().as_ref(), StateId::default()).err().map(|rule| rule.to_string())
}

/// What the evidence consists of, and the rule it breaks.
pub(super) fn evidence(evidence: &Evidence) -> (&'static str, &'static str) {
    match evidence.kind() {
        StatementKind::Vote => ("two different votes", "§3.4 SAFE-1: an honest validator votes at most once a round"),
        StatementKind::Timeout => {
            ("two different timeouts", "§3.4 make_timeout: an honest validator gives up a round with one certificate only")
        }
        StatementKind::Proposal => ("two different proposals", "SAFE-5: an honest leader proposes at most once a round"),
    }
}

#[cfg(test)]
mod tests {
    use quorate_consensus::Ignored;

    use super::*;

    #[test]
    fn every_reason_of_the_core_has_an_explanation() {
        use Ignored::{
            Duplicate, Equivocation, FarRound, InvalidBlock, NotLeader, NotSigned, OldRound, ParentMissing, UnsafeTimeout, UnsafeVote,
        };
        let all = [
            OldRound,
            FarRound,
            NotLeader,
            Duplicate,
            Equivocation,
            InvalidBlock("payload"),
            UnsafeVote,
            UnsafeTimeout,
            ParentMissing,
            NotSigned,
        ];
        for reason in all {
            // A new reason makes this match incomplete: add it here, to `all` and to `why`.
            match reason {
                OldRound | FarRound | NotLeader | Duplicate | Equivocation | InvalidBlock(_) | UnsafeVote | UnsafeTimeout
                | ParentMissing | NotSigned => {}
            }
            assert!(why(reason.word()).starts_with('§'), "{reason:?}");
        }
        assert!(why("too-many-requests").starts_with("not in the paper"));
    }
}
