//! Evidence convinces whoever knows the genesis, and only if one validator signed both statements of one round.

use quorate_types::{
    evidence::{Contradiction, Evidence},
    ids::{GenesisHash, ValidatorId},
    round::{Epoch, Round},
    sighting::StatementKind,
    timeout::{Timeout, timeout_digest},
    vote::Vote,
};

use crate::{
    fixture::{Fixture, block_id, hash},
    tampering::assert_covers_every_bit,
};

fn another_vote(fixture: &Fixture, sender: u16, round: u64) -> Vote {
    let mut vote_info = fixture.vote().vote_info;
    (vote_info.id, vote_info.round) = (block_id(0xb3), Round(round));
    let mut commit_info = fixture.commit_info(&vote_info);
    if round != 5 {
        commit_info.commit_state_id = None;
    }
    fixture.vote_of(sender, vote_info, commit_info)
}

/// One of each kind: validator 2's votes in round 5, validator 3's timeouts and validator 1's proposals of round 6.
pub(crate) fn all(fixture: &Fixture) -> [Evidence; 3] {
    let timeout = fixture.timeout_of(3, 6, fixture.qc(3, 2), Some(fixture.tc(5, &[(0, 3), (2, 3), (3, 2)])));
    let block = fixture.block(1, 6, fixture.qc(4, 3), vec![]);
    [
        Evidence::votes(&fixture.vote(), &another_vote(fixture, 2, 5)),
        Evidence::timeouts(fixture.genesis_hash, &fixture.timeout().timeout, &timeout.timeout),
        Evidence::proposals(&fixture.proposal(), &fixture.propose(block, None, fixture.qc(4, 3))),
    ]
}

#[expect(clippy::large_types_passed_by_value, reason = "most callers make it on the spot")]
fn word(evidence: Evidence) -> Option<&'static str> {
    Fixture::new().verifier().evidence(evidence).err().map(|error| error.word())
}

#[test]
fn it_says_which_validator_contradicted_itself_when_and_how() {
    let fixture = Fixture::new();
    let told = all(&fixture).map(|evidence| {
        assert_eq!(word(evidence), None, "{evidence:?}");
        (evidence.culprit.0, evidence.round().0, evidence.kind())
    });
    assert_eq!(told, [(2, 5, StatementKind::Vote), (3, 6, StatementKind::Timeout), (1, 6, StatementKind::Proposal)]);
}

#[test]
fn whichever_statement_was_seen_first_the_evidence_is_the_same() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.vote(), another_vote(&fixture, 2, 5));
    assert_eq!(Evidence::votes(&first, &second), Evidence::votes(&second, &first));
    assert_eq!(Evidence::votes(&first, &second).id(), Evidence::votes(&second, &first).id());
    for evidence in all(&fixture) {
        let mut reversed = evidence;
        match &mut reversed.contradiction {
            Contradiction::Votes(pair) => pair.reverse(),
            Contradiction::Timeouts(pair) => pair.reverse(),
            Contradiction::Proposals(pair) => pair.reverse(),
        }
        assert_eq!(word(reversed), Some("no-contradiction"), "there is one order only");
        assert_ne!(reversed.id(), evidence.id());
    }
}

#[test]
fn an_honest_validator_cannot_be_accused() {
    let fixture = Fixture::new();
    let vote = fixture.vote();
    assert_eq!(word(Evidence::votes(&vote, &vote)), Some("no-contradiction"), "the same vote, sent again");
    assert_eq!(word(Evidence::votes(&vote, &another_vote(&fixture, 2, 6))), Some("no-contradiction"), "votes in two rounds");
    // With its parts exchanged a statement is not the one that was signed.
    let mut exchanged = vote.clone();
    exchanged.vote_info.id = block_id(0xb3);
    exchanged.commit_info = fixture.commit_info(&exchanged.vote_info);
    assert_eq!(word(Evidence::votes(&vote, &exchanged)), Some("signature"));
    let [_, other] = [&vote, &another_vote(&fixture, 3, 5)];
    assert_eq!(word(Evidence::votes(&vote, other)), Some("signature"), "votes of two validators");

    // Timeouts of one round with two certificates of one round sign the same bytes: a retransmission may carry the other one.
    let timeout = fixture.timeout().timeout;
    let mut again = timeout.clone();
    again.high_qc = fixture.qc(4, 2);
    assert_eq!(word(Evidence::timeouts(fixture.genesis_hash, &timeout, &again)), Some("no-contradiction"));

    for evidence in all(&fixture) {
        let others = [
            Evidence { culprit: ValidatorId(0), ..evidence },
            Evidence { culprit: ValidatorId(4), ..evidence },
            Evidence { epoch: Epoch(1), ..evidence },
            Evidence { genesis_hash: GenesisHash(hash(9)), ..evidence },
        ];
        let words = others.map(|other| word(other).unwrap_or("accepted"));
        let of_another = if evidence.kind() == StatementKind::Proposal { "other-sender" } else { "signature" };
        assert_eq!(words, [of_another, "not-in-committee", "other-epoch", "other-network"], "{:?}", evidence.kind());
    }
}

/// The same keys found a second network, and sign one honest statement in each.
#[test]
fn statements_of_another_network_or_epoch_convict_nobody_whatever_the_record_says_around_them() {
    let fixture = Fixture::new();
    let of_another = |block| {
        let mut vote = another_vote(&fixture, 2, 5);
        vote.vote_info.id = block_id(block);
        vote.commit_info.genesis_hash = GenesisHash(hash(9));
        vote.commit_info.vote_info_hash = vote.vote_info.digest();
        fixture.vote_of(2, vote.vote_info, vote.commit_info)
    };
    let ours = |evidence| Evidence { genesis_hash: fixture.genesis_hash, ..evidence };
    for evidence in [Evidence::votes(&fixture.vote(), &of_another(0xc1)), Evidence::votes(&of_another(0xc1), &of_another(0xc2))] {
        assert_eq!(word(ours(evidence)), Some("other-network"));
    }
    let of_epoch_1 = |high: u64| {
        let signature = fixture.signature(3, &timeout_digest(fixture.genesis_hash, Epoch(1), Round(6), Round(high)));
        let timeout = fixture.timeout_of(3, 6, fixture.qc(high, high - 1), None).timeout;
        Timeout { epoch: Epoch(1), signature, ..timeout }
    };
    let evidence = Evidence::timeouts(fixture.genesis_hash, &of_epoch_1(3), &of_epoch_1(4));
    assert_eq!(word(Evidence { epoch: Epoch(0), ..evidence }), Some("other-epoch"));
}

#[test]
fn every_bit_of_evidence_is_covered() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    for evidence in all(&fixture) {
        assert_covers_every_bit(&evidence, |evidence: Evidence| verifier.evidence(evidence).is_ok());
    }
}
