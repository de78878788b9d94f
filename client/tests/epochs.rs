//! The light client follows the committee from the genesis on, and believes each proof by the committee of its own epoch.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod fake;

use fake::{Fake, hexadecimal};
use quorate_client::{LightClient, LightError};
use quorate_types::{
    codec::Bounded,
    crypto::{Hash, Signature},
    epoch::EpochChange,
    evidence::{Contradiction, Evidence},
    header::Header,
    ids::{StateId, TxId, ValidatorId},
    proof::{CommitProof, ProofError, TransactionProof},
    receipt::{Outcome, Receipt},
    round::{Epoch, Round},
    rpc::EpochsView,
    sighting::SeenTimeout,
    verify::VerifyError,
    vote::{QuorumCert, VoteInfo},
};

const TX: TxId = TxId(Hash([5; 32]));

/// A chain of three epochs: each of the last two has a new validator on a seat, w2 on seat 2 and w3 on seat 3.
struct Chain {
    epochs: [Fake; 3],
    changes: [EpochChange; 2],
    light: LightClient,
}

fn chain() -> Chain {
    let first = Fake::new(Vec::new());
    let (second, change) = first.next(20, 2, "w2", 11);
    let (third, next_change) = second.next(40, 3, "w3", 12);
    let light = LightClient::new(first.genesis.clone()).unwrap();
    Chain { epochs: [first, second, third], changes: [change, next_change], light }
}

fn proof(fake: &Fake, height: u64) -> TransactionProof {
    fake.transaction_proof(height, &[Receipt { tx_id: TX, outcome: Outcome::Applied(Vec::new()) }], 0)
}

fn signers(light: &LightClient, proof: &TransactionProof) -> Result<Vec<String>, LightError> {
    Ok(light.transaction(TX, &hexadecimal(proof))?.certificate().signers.clone())
}

#[test]
fn a_proof_is_verified_by_the_committee_of_its_own_epoch_once_that_was_followed() {
    let Chain { epochs: [first, second, third], changes, light } = chain();
    assert_eq!(signers(&light, &proof(&third, 50)), Err(LightError::LaterEpoch(Epoch(2))));
    assert_eq!(light.follow(&changes), Ok(Epoch(2)));
    for (fake, height, names) in [(&first, 6, ["v0", "v1", "v3"]), (&second, 30, ["v0", "v1", "v3"]), (&third, 50, ["v0", "v1", "w3"])] {
        assert_eq!(signers(&light, &proof(fake, height)).unwrap(), names, "height {height}");
    }
    assert_eq!(light.committee().get(ValidatorId(3)).unwrap().name, "w3");
    assert_eq!(signers(&light, &proof(&third.next(60, 0, "w0", 13).0, 70)), Err(LightError::LaterEpoch(Epoch(3))));
}

#[test]
fn known_changes_are_skipped_and_what_was_verified_before_an_error_is_kept() {
    let Chain { epochs: [_, _, third], changes: [first, second], light } = chain();
    let (_, third_change) = third.next(60, 0, "w0", 13);
    let mut forged = third_change.clone();
    forged.next.seats.pop();
    assert_eq!(light.follow(std::slice::from_ref(&first)), Ok(Epoch(1)));
    let error = ProofError::OtherEpochState;
    assert_eq!(light.follow(&[first.clone(), second, forged, third_change.clone()]), Err(LightError::Change { epoch: Epoch(2), error }));
    assert_eq!(light.epoch(), Epoch(2));
    assert_eq!(light.follow(&[first, third_change]), Ok(Epoch(3)));
}

/// A certificate that certifies the header's block, and commits nothing.
fn certify_only(fake: &Fake, header: &Header) -> QuorumCert {
    let mut qc = fake.certify(header, &[]);
    qc.vote_info = VoteInfo { round: header.round.next().next(), ..qc.vote_info };
    qc.commit_info.commit_state_id = None;
    qc.commit_info.vote_info_hash = qc.vote_info.digest();
    let digest = qc.commit_info.digest();
    qc.signers = [0, 1, 2].map(ValidatorId).into_iter().collect();
    qc.signatures = (0..3).map(|seat| fake.keys[&seat].sign(&digest)).collect::<Vec<_>>().try_into().unwrap();
    qc
}

#[test]
fn a_change_is_believed_only_if_the_committee_before_it_has_committed_it_as_the_last_block_of_its_epoch() {
    let Chain { epochs: [first, second, third], changes: [honest, later], light } = chain();
    let last = honest.commit.headers[0].clone();
    let with = |commit: CommitProof| EpochChange { commit, next: second.epoch.clone() };
    let of = |header: Header| with(first.commit(header, &[0, 1, 2]));
    let skipping = first.at(second.epoch.seats.clone());
    let two_ahead = Fake { epoch: quorate_types::epoch::EpochState { epoch: Epoch(2), ..second.epoch.clone() }, ..skipping };
    let not_last = first.header(19, &[], Hash::default());
    let child = Header { parent: not_last.state_id(), ..last.clone() };
    let through_child =
        CommitProof { headers: Bounded::try_from(vec![not_last.clone(), child.clone()]).unwrap(), ..first.commit(child, &[0, 1, 2]) };
    let mut fewer_signatures = honest.clone();
    fewer_signatures.commit.qc.signatures = Bounded::truncated(vec![Signature([0; 64]); 2]);
    let mut begin = honest.clone();
    begin.commit.qc = QuorumCert::genesis(Epoch(0), first.genesis.hash(), last.state_id());
    let other_network = Fake::new(vec![quorate_builtin::GenesisAccount { address: fake::address(1), balance: 1 }]);
    let lies = [
        ("a skipped epoch", later),
        ("a committee of an epoch that is not the next", first.change(20, &two_ahead)),
        ("a committee that the header does not name", EpochChange { next: third.epoch.clone(), ..honest.clone() }),
        ("another committee of the next epoch", EpochChange { next: first.next(20, 1, "liar", 14).0.epoch, ..honest.clone() }),
        ("a header that names the committee in force", of(Header { epoch_state: first.epoch.hash(), ..last.clone() })),
        ("a header that is not the last", of(not_last)),
        ("a header that is not the last, with the last after it", with(through_child)),
        ("a header of another epoch", of(Header { epoch: Epoch(1), ..last.clone() })),
        ("a certificate that commits nothing", with(CommitProof { qc: certify_only(&first, &last), ..honest.commit.clone() })),
        (
            "a certificate that commits another block",
            with(CommitProof { qc: first.certify(&first.header(20, &[], Hash([1; 32])), &[0, 1, 2]), ..honest.commit.clone() }),
        ),
        ("no quorum", with(first.commit(last.clone(), &[0, 1]))),
        ("signatures that are not those of the signers", fewer_signatures),
        (
            "the next committee's signatures",
            with(Fake { epoch: first.epoch.clone(), ..second.at(second.epoch.seats.clone()) }.commit(last.clone(), &[0, 1, 2])),
        ),
        ("the certificate that nobody signs", begin),
        ("no headers", with(CommitProof { headers: Bounded::default(), ..honest.commit.clone() })),
        ("another network's change", other_network.next(20, 2, "w2", 11).1),
    ];
    for (what, lie) in lies {
        let Err(LightError::Change { epoch: Epoch(0), error }) = light.follow(&[lie]) else { panic!("{what}") };
        let is_about_the_header = what.starts_with("a header") || what.contains("committee that") || what.contains("committee of");
        assert_eq!(error == ProofError::OtherEpochState, is_about_the_header, "{what}: {error}");
        assert_eq!(error == ProofError::NotCommitted, what.starts_with("a certificate"), "{what}: {error}");
        assert_eq!(light.epoch(), Epoch(0), "{what}");
    }
    assert_eq!(light.follow(&[honest]), Ok(Epoch(1)));
}

#[test]
fn no_committee_proves_a_block_of_another_epoch() {
    let Chain { epochs: [first, second, third], changes, light } = chain();
    light.follow(&changes).unwrap();
    // The headers of one epoch under the certificates of the committee of another, which says that it certifies its own epoch, or the other.
    for (signing, named) in [(&first, &second), (&second, &first), (&second, &third), (&third, &second), (&first, &third)] {
        let honest = proof(named, 10);
        let header = &honest.commit.headers[0];
        let pretending = Fake { epoch: named.epoch.clone(), genesis: signing.genesis.clone(), keys: signing.keys.clone() };
        for qc in [signing.certify(header, &[1, 2, 3]), pretending.certify(header, &[1, 2, 3])] {
            let mut lie = honest.clone();
            lie.commit.qc = qc;
            let refused = signers(&light, &lie);
            assert!(matches!(refused, Err(LightError::Proof(ProofError::Certificate(_)))), "{refused:?}");
        }
    }
}

#[test]
fn a_former_committee_proves_its_own_blocks_and_none_after_its_last() {
    let Chain { epochs: [first, ..], changes, light } = chain();
    let (before, last, after) = (proof(&first, 19), proof(&first, 20), proof(&first, 21));
    for proof in [&before, &last, &after] {
        assert!(signers(&light, proof).is_ok(), "nothing shows yet that the epoch has ended");
    }
    light.follow(&changes).unwrap();
    assert!(signers(&light, &before).is_ok());
    for (proof, height) in [(&last, 20), (&after, 21)] {
        let refused = signers(&light, proof).unwrap_err();
        assert!(matches!(refused, LightError::AfterEpoch { epoch: Epoch(0), last, height: shown } if last.0 == 20 && shown.0 == height));
    }
    assert!(light.begins_after().is_some_and(|header| header.height.0 == 40));
}

#[test]
fn a_header_tells_whether_its_block_ends_its_epoch() {
    let Chain { epochs: [first, second, third], changes, light } = chain();
    let last = changes[1].commit.headers[0].clone();
    assert_eq!(light.ends_epoch(&last), None, "not followed");
    light.follow(&changes).unwrap();
    assert_eq!(light.ends_epoch(&last), Some(true));
    for fake in [first, second, third] {
        assert_eq!(light.ends_epoch(&fake.header(10, &[], Hash::default())), Some(false));
    }
}

#[test]
fn the_certificate_that_an_epoch_begins_with_proves_nothing() {
    let Chain { epochs: [_, second, _], changes, light } = chain();
    light.follow(&changes).unwrap();
    for epoch in [Epoch(0), Epoch(1)] {
        let mut lie = proof(&second, 21);
        lie.commit.headers = Bounded::try_from(vec![Header { epoch, ..lie.commit.headers[0].clone() }]).unwrap();
        let state: StateId = lie.commit.headers[0].state_id();
        lie.commit.qc = QuorumCert::of_epoch(epoch, second.genesis.hash(), state);
        let error = if epoch == Epoch(0) { LightError::NothingCommitted } else { ProofError::NotCommitted.into() };
        assert_eq!(signers(&light, &lie), Err(error));
    }
}

/// Two timeouts of one round that seat 2 signed with its key of this epoch.
fn evidence(fake: &Fake) -> Evidence {
    let (genesis_hash, epoch) = (fake.genesis.hash(), fake.epoch.epoch);
    let timeout = |high_qc_round| {
        let unsigned = SeenTimeout { epoch, round: Round(9), high_qc_round, signature: Signature([0; 64]) };
        SeenTimeout { signature: fake.keys[&2].sign(&unsigned.digest(genesis_hash)), ..unsigned }
    };
    let mut timeouts = [timeout(Round(3)), timeout(Round(4))];
    timeouts.sort_by_key(|timeout| timeout.digest(genesis_hash));
    Evidence { genesis_hash, epoch, culprit: ValidatorId(2), contradiction: Contradiction::Timeouts(timeouts) }
}

#[test]
fn evidence_convicts_whoever_had_the_seat_in_its_epoch() {
    let Chain { epochs: [first, second, _], changes, light } = chain();
    assert_eq!(light.evidence(&evidence(&second)), Err(LightError::LaterEpoch(Epoch(1))));
    light.follow(&changes).unwrap();
    assert_eq!(light.evidence(&evidence(&first)).as_deref(), Ok("v2"));
    assert_eq!(light.evidence(&evidence(&second)).as_deref(), Ok("w2"));
    let framed = Evidence { epoch: Epoch(1), ..evidence(&first) };
    assert!(matches!(light.evidence(&framed), Err(LightError::Evidence(VerifyError::OtherEpoch(_) | VerifyError::Signature(_)))));
}

#[test]
fn of_a_nodes_answer_only_so_much_is_read_as_one_may_hold() {
    let Chain { changes: [first, second], light, .. } = chain();
    let answer = |changes: Vec<String>| EpochsView { epoch: Epoch(2), changes };
    assert!(matches!(light.follow_answer(&answer(vec!["00".repeat(2 << 20)])), Err(LightError::Form(_))));
    let mut many = vec![hexadecimal(&first); 16];
    many.push(hexadecimal(&second));
    assert_eq!(light.follow_answer(&answer(many)), Ok(Epoch(1)), "the seventeenth is not read");
    let cut = answer(vec![hexadecimal(&second), "zz".into()]);
    assert!(matches!(light.follow_answer(&cut), Err(LightError::Form(_))));
    assert_eq!(light.epoch(), Epoch(2), "what was verified is kept");
}
