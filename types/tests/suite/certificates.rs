//! Forged quorum and timeout certificates: B8, B9, B10, B12, E13, E14, S1, S3.

use quorate_types::{
    codec,
    committee::{PerSigner, SignerSet},
    crypto::{BadSignature, Hash, Signature},
    ids::{ChainId, GenesisHash, ValidatorId},
    round::{Epoch, Round},
    timeout::{TimeoutCert, timeout_digest},
    verify::{Verified, VerifyError},
    vote::{LedgerCommitInfo, QuorumCert, VoteInfo, genesis_block_id},
};

use crate::fixture::{CHAIN, EPOCH, Fixture, block_id, by_id, hash, key, network, set, state};

fn word(fixture: &Fixture, qc: &QuorumCert) -> Option<&'static str> {
    fixture.verifier().quorum_cert(qc).err().map(|error| error.word())
}

fn tc_word(fixture: &Fixture, tc: &TimeoutCert) -> Option<&'static str> {
    fixture.verifier().timeout_cert(tc).err().map(|error| error.word())
}

#[test]
fn any_quorum_certifies() {
    let fixture = Fixture::new();
    let valid = fixture.qc(4, 3);
    for signers in [&[0, 1, 2][..], &[0, 1, 3], &[0, 2, 3], &[1, 2, 3], &[0, 1, 2, 3]] {
        let qc = fixture.certify(valid.vote_info, valid.commit_info, signers);
        assert_eq!(*fixture.verifier().quorum_cert(&qc).unwrap(), qc);
    }
}

#[test]
fn fewer_than_a_quorum_do_not_certify() {
    let fixture = Fixture::new();
    let valid = fixture.qc(4, 3);
    for signers in [&[][..], &[0], &[3], &[0, 1], &[2, 3]] {
        let qc = fixture.certify(valid.vote_info, valid.commit_info, signers);
        assert_eq!(word(&fixture, &qc), Some("no-quorum"), "{signers:?}");
    }
}

#[test]
fn power_counts_and_not_heads() {
    // Total 10, quorum 7: the second validator alone is almost a quorum.
    let fixture = Fixture::with(CHAIN, &[1, 6, 2, 1]);
    let valid = fixture.qc(4, 3);
    for (signers, expected) in [
        (&[1][..], Some("no-quorum")),
        (&[0, 2, 3], Some("no-quorum")),
        (&[0, 1], None),
        (&[1, 3], None),
        (&[1, 2], None),
        (&[0, 1, 2, 3], None),
    ] {
        let qc = fixture.certify(valid.vote_info, valid.commit_info, signers);
        assert_eq!(word(&fixture, &qc), expected, "{signers:?}");
    }
}

#[test]
fn strangers_certify_nothing() {
    let fixture = Fixture::new();
    let valid = fixture.qc(4, 3);
    let signed = valid.commit_info.digest();
    for stranger in [4, 5, 64, 127] {
        // In addition to a quorum, and instead of part of it.
        let mut signatures = valid.signatures.to_vec();
        signatures.push(key(77).sign(&signed));
        let beside = QuorumCert { signers: set(&[0, 1, 2, stranger]), signatures: signatures.try_into().unwrap(), ..valid.clone() };
        assert_eq!(fixture.verifier().quorum_cert(&beside), Err(VerifyError::NotInCommittee(ValidatorId(stranger))));
        let instead = QuorumCert { signers: set(&[0, 1, stranger]), ..valid.clone() };
        assert_eq!(fixture.verifier().quorum_cert(&instead), Err(VerifyError::NotInCommittee(ValidatorId(stranger))));
    }
}

#[test]
fn each_signer_has_exactly_one_signature() {
    let fixture = Fixture::new();
    let valid = fixture.qc(4, 3);
    let signature = valid.signatures[0];
    for count in [0, 1, 2, 4, 5, 128] {
        let qc = QuorumCert { signatures: vec![signature; count].try_into().unwrap(), ..valid.clone() };
        assert_eq!(word(&fixture, &qc), Some("signer-count"), "{count}");
    }
    // One signature three times is not three signers.
    let repeated = QuorumCert { signatures: vec![signature; 3].try_into().unwrap(), ..valid };
    assert_eq!(word(&fixture, &repeated), Some("signature"));
}

#[test]
fn a_duplicate_signer_cannot_be_written_down() {
    let mut signers = SignerSet::default();
    assert!(signers.insert(ValidatorId(2)));
    assert!(!signers.insert(ValidatorId(2)));
    assert_eq!((signers.len(), codec::encode(&signers).len()), (1, 16));
    // Every bitmap is a different set, so a set has only one encoding.
    for outside in [128, 129, 1_000, u16::MAX] {
        assert!(!signers.insert(ValidatorId(outside)));
        assert!(!signers.contains(ValidatorId(outside)));
    }
    assert_eq!(signers.iter().collect::<Vec<_>>(), [ValidatorId(2)]);
}

#[test]
fn a_certificate_of_another_network_is_refused() {
    let (ours, theirs) = (Fixture::new(), Fixture::with(ChainId(8), &[1; 4]));
    assert_eq!(word(&ours, &theirs.qc(4, 3)), Some("other-network"));
    // With our genesis hash put in, the signatures no longer match.
    let mut relabelled = theirs.qc(4, 3);
    relabelled.commit_info.genesis_hash = network();
    assert_eq!(word(&ours, &relabelled), Some("signature"));
    // Timeouts do not carry the network; their signatures cover it.
    assert_eq!(tc_word(&ours, &theirs.tc_with(EPOCH, 5, &[(0, 4), (1, 4), (2, 4)], ours.qc(4, 3))), Some("signature"));
}

#[test]
fn a_certificate_of_another_epoch_is_refused() {
    let fixture = Fixture::new();
    for epoch in [1, 2, u64::MAX] {
        let valid = fixture.qc(4, 3);
        let commit_info = LedgerCommitInfo { epoch: Epoch(epoch), ..valid.commit_info };
        assert_eq!(word(&fixture, &fixture.certify(valid.vote_info, commit_info, &[0, 1, 2])), Some("other-epoch"));
        let claims = [(0, 4), (1, 4), (2, 4)];
        assert_eq!(tc_word(&fixture, &fixture.tc_with(Epoch(epoch), 5, &claims, valid)), Some("other-epoch"));
    }
    // Mixed: a timeout certificate of this epoch with a quorum certificate of another.
    let valid = fixture.qc(4, 3);
    let commit_info = LedgerCommitInfo { epoch: Epoch(1), ..valid.commit_info };
    let mixed = fixture.tc_with(EPOCH, 5, &[(0, 4), (1, 4), (2, 4)], fixture.certify(valid.vote_info, commit_info, &[0, 1, 2]));
    assert_eq!(tc_word(&fixture, &mixed), Some("other-epoch"));
}

/// E13: votes sign only the hash of the vote info.
#[test]
fn a_vote_info_that_was_not_signed_is_refused() {
    let fixture = Fixture::new();
    let mut qc = fixture.qc(4, 3);
    qc.vote_info.id = block_id(0xee);
    assert_eq!(word(&fixture, &qc), Some("vote-info-hash"));
}

/// Whether a certificate commits is a function of its rounds, so even a quorum of signatures cannot change it.
#[test]
fn the_commit_follows_the_rounds() {
    let fixture = Fixture::new();
    for (round, parent_round) in [(1, 0), (2, 1), (5, 4), (5, 3), (9, 0)] {
        let valid = fixture.qc(round, parent_round);
        assert_eq!(word(&fixture, &valid), None);
        assert_eq!(valid.commits().is_some(), round == parent_round + 1);
        let other = if valid.commits().is_some() { None } else { Some(state(1)) };
        let commit_info = LedgerCommitInfo { commit_state_id: other, ..valid.commit_info };
        let forged = fixture.certify(valid.vote_info, commit_info, &[0, 1, 2]);
        assert_eq!(word(&fixture, &forged), Some("commit-rule"), "{round} on {parent_round}");
    }
}

#[test]
fn a_round_is_above_its_parents_and_below_the_limit() {
    let fixture = Fixture::new();
    for (round, parent_round) in [(4, 4), (4, 5), (1, u64::MAX), (u64::MAX, u64::MAX), (u64::MAX, u64::MAX - 1), (Round::LIMIT.0, 1)] {
        let vote_info = VoteInfo { round: Round(round), parent_round: Round(parent_round), ..fixture.qc(4, 3).vote_info };
        for commit in [None, Some(state(1))] {
            let commit_info = LedgerCommitInfo { commit_state_id: commit, ..fixture.commit_info(&vote_info) };
            assert_eq!(word(&fixture, &fixture.certify(vote_info, commit_info, &[0, 1, 2])), Some("round"), "{round} on {parent_round}");
        }
    }
    let last = Round::LIMIT.0 - 1;
    assert_eq!(word(&fixture, &fixture.qc(last, last - 1)), None);
}

/// S3: there is one certificate of round 0, known in advance.
#[test]
fn only_the_genesis_certificate_itself_is_taken_for_round_zero() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let genesis = fixture.genesis_qc.clone();
    assert!(verifier.quorum_cert(&genesis).is_ok());
    let id = genesis_block_id(fixture.genesis.hash());
    assert_eq!((genesis.block_id(), genesis.commits()), (id, Some((id, Round(0), state(0x60)))));
    let others = [
        QuorumCert::genesis(Epoch(1), fixture.genesis.hash(), state(0x60)),
        QuorumCert::genesis(EPOCH, GenesisHash(hash(1)), state(0x60)),
        QuorumCert::genesis(EPOCH, fixture.genesis.hash(), state(0x61)),
        // The genuine infos, signed by all; other signed infos of round 0; signers without signatures.
        fixture.certify(genesis.vote_info, genesis.commit_info, &[0, 1, 2, 3]),
        fixture.certify(VoteInfo { id: block_id(1), ..genesis.vote_info }, genesis.commit_info, &[0, 1, 2, 3]),
        QuorumCert { signers: set(&[0, 1, 2]), ..genesis.clone() },
        QuorumCert { commit_info: LedgerCommitInfo { commit_state_id: None, ..genesis.commit_info }, ..genesis.clone() },
    ];
    for (n, other) in others.iter().enumerate() {
        assert_eq!(verifier.quorum_cert(other), Err(VerifyError::Round(Round(0))), "{n}");
    }
    // No other round passes without signatures.
    let mut later = genesis;
    later.vote_info.round = Round(1);
    later.commit_info.vote_info_hash = later.vote_info.digest();
    assert_eq!(verifier.quorum_cert(&later), Err(VerifyError::NoQuorum));
}

#[test]
fn signatures_of_other_kinds_of_messages_are_no_votes() {
    let fixture = Fixture::new();
    let valid = fixture.qc(4, 3);
    let digests = [
        valid.vote_info.digest(),
        valid.digest(),
        timeout_digest(network(), EPOCH, Round(4), Round(3)),
        fixture.proposal().block.proposal_digest(),
        Hash::default(),
    ];
    for digest in digests {
        let forged = QuorumCert { signatures: fixture.signatures(&[0, 1, 2], &digest), ..valid.clone() };
        assert_eq!(fixture.verifier().quorum_cert(&forged), Err(VerifyError::Signature(BadSignature)));
    }
}

/// A verdict is remembered only for exactly the same bytes.
#[test]
fn a_remembered_certificate_does_not_vouch_for_another() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let valid = fixture.qc(4, 3);
    assert!(verifier.quorum_cert(&valid).is_ok());
    assert!(verifier.quorum_cert(&valid).is_ok());
    let mut signatures = valid.signatures.to_vec();
    signatures[2] = Signature([0; 64]);
    assert!(verifier.quorum_cert(&QuorumCert { signatures: signatures.try_into().unwrap(), ..valid.clone() }).is_err());
    // Nor does a bad one invalidate the good one.
    assert!(verifier.quorum_cert(&valid).is_ok());
}

/// Quorum and timeout certificates share a memory, so they must not share digests.
#[test]
fn digests_of_the_two_kinds_of_certificates_lie_in_different_domains() {
    let fixture = Fixture::new();
    let tc = fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]);
    assert_ne!(tc.digest(), Hash::of(&quorate_types::vote::CERTIFICATE, &codec::encode(&tc)));
    assert_eq!(fixture.qc(4, 3).digest(), Hash::of(&quorate_types::vote::CERTIFICATE, &codec::encode(&fixture.qc(4, 3))));
}

#[test]
fn a_timeout_certificate_needs_a_quorum() {
    let fixture = Fixture::new();
    let claims = [(0, 3), (1, 4), (2, 2), (3, 0)];
    assert_eq!(tc_word(&fixture, &fixture.tc(5, &claims)), None);
    assert_eq!(tc_word(&fixture, &fixture.tc(5, &claims[..3])), None);
    assert_eq!(tc_word(&fixture, &fixture.tc(5, &claims[..2])), Some("no-quorum"));
    assert_eq!(tc_word(&fixture, &fixture.tc(5, &[])), Some("no-quorum"));
    let weighted = Fixture::with(CHAIN, &[1, 6, 2, 1]);
    assert_eq!(tc_word(&weighted, &weighted.tc(5, &[(0, 3), (2, 4), (3, 2)])), Some("no-quorum"));
    assert_eq!(tc_word(&weighted, &weighted.tc(5, &[(0, 3), (1, 4)])), None);
}

/// S1: a signer that claims a round for which no certificate exists would make the next proposal unvotable.
#[test]
fn an_inflated_claim_is_refused() {
    let fixture = Fixture::new();
    // Signer 3 claims a certificate of round 9, which does not exist.
    let claims = [(0, 3), (1, 4), (3, 9)];
    for carried in [fixture.qc(4, 3), fixture.qc(3, 2), fixture.genesis_qc.clone()] {
        assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, 10, &claims, carried)), Some("high-qc-mismatch"));
    }
    // It forges that certificate, too.
    let forged = fixture.certify(fixture.qc(9, 8).vote_info, fixture.qc(9, 8).commit_info, &[3]);
    assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, 10, &claims, forged)), Some("no-quorum"));
    // A carried certificate above all claims is wrong as well: the proposal is checked against the claims.
    assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, 10, &[(0, 3), (1, 4), (3, 2)], fixture.qc(9, 8))), Some("high-qc-mismatch"));
    // With a genuine certificate, the claim is right.
    assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, 10, &claims, fixture.qc(9, 8))), None);
}

#[test]
fn a_claim_lies_below_the_round_given_up() {
    let fixture = Fixture::new();
    for claim in [5, 6, u64::MAX] {
        let carried = if claim == u64::MAX { fixture.qc(4, 3) } else { fixture.qc(claim, claim - 1) };
        assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, 5, &[(0, 3), (1, 4), (2, claim)], carried)), Some("round"), "{claim}");
    }
    for round in [0, Round::LIMIT.0, u64::MAX] {
        assert_eq!(tc_word(&fixture, &fixture.tc_with(EPOCH, round, &[(0, 0), (1, 0), (2, 0)], fixture.genesis_qc.clone())), Some("round"));
    }
}

#[test]
fn each_signer_of_a_timeout_certificate_has_one_claim_and_one_signature() {
    let fixture = Fixture::new();
    let valid = fixture.tc(5, &[(0, 3), (1, 4), (2, 2)]);
    for count in [0, 1, 2, 4, 128] {
        let rounds = TimeoutCert { high_qc_rounds: vec![Round(4); count].try_into().unwrap(), ..valid.clone() };
        assert_eq!(tc_word(&fixture, &rounds), Some("signer-count"), "{count} rounds");
        let signatures = TimeoutCert { signatures: vec![valid.signatures[0]; count].try_into().unwrap(), ..valid.clone() };
        assert_eq!(tc_word(&fixture, &signatures), Some("signer-count"), "{count} signatures");
    }
    let strangers = TimeoutCert { signers: set(&[0, 1, 9]), ..valid.clone() };
    assert_eq!(tc_word(&fixture, &strangers), Some("not-in-committee"));
    // A claim under another signer's name.
    let swapped = TimeoutCert { signers: set(&[0, 1, 3]), ..valid };
    assert_eq!(tc_word(&fixture, &swapped), Some("signature"));
}

#[test]
fn more_entries_than_a_committee_can_have_do_not_decode() {
    let fixture = Fixture::new();
    assert!(PerSigner::try_from(vec![Round(0); 129]).is_err());
    let valid = fixture.tc(5, &[(0, 3), (1, 4), (2, 2)]);
    let mut bytes = codec::encode(&valid);
    assert_eq!(bytes[32], 3, "the count of claims");
    bytes.splice(32..33, [0x81, 0x01]);
    bytes.extend(vec![0; 10_000]);
    let error = codec::decode::<TimeoutCert>(&bytes, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("129 elements, at most 128"), "{error}");
}

#[test]
fn votes_aggregate_when_they_are_equal_and_a_quorums() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let valid = fixture.vote();
    let vote = |id| verifier.vote(fixture.vote_of(id, valid.vote_info, valid.commit_info)).unwrap();
    let aggregate = |votes| Verified::<QuorumCert>::aggregate(&fixture.committee, &votes);

    let qc = aggregate(by_id([(0, vote(0)), (1, vote(1)), (3, vote(3))])).unwrap();
    assert_eq!((qc.vote_info, qc.commit_info, qc.signers), (valid.vote_info, valid.commit_info, set(&[0, 1, 3])));
    assert!(fixture.verifier().quorum_cert(&qc).is_ok(), "others accept what we aggregate");
    assert!(aggregate(by_id([(0, vote(0)), (1, vote(1)), (2, vote(2)), (3, vote(3))])).is_some());

    assert!(aggregate(by_id([])).is_none());
    assert!(aggregate(by_id([(0, vote(0)), (1, vote(1))])).is_none());
    // A vote filed under another validator's id does not count twice.
    assert!(aggregate(by_id([(0, vote(0)), (1, vote(1)), (2, vote(1))])).is_none());
    // S8: another result of the same block is another vote.
    let vote_info = VoteInfo { exec_state_id: state(9), ..valid.vote_info };
    let diverging = verifier.vote(fixture.vote_of(2, vote_info, fixture.commit_info(&vote_info))).unwrap();
    assert!(aggregate(by_id([(0, vote(0)), (1, vote(1)), (2, diverging.clone())])).is_none());
    let commit_info = LedgerCommitInfo { commit_state_id: Some(state(9)), ..valid.commit_info };
    let diverging = verifier.vote(fixture.vote_of(2, valid.vote_info, commit_info)).unwrap();
    assert!(aggregate(by_id([(0, vote(0)), (1, vote(1)), (2, diverging)])).is_none());
}

#[test]
fn votes_aggregate_by_power() {
    let fixture = Fixture::with(CHAIN, &[1, 6, 2, 1]);
    let verifier = fixture.verifier();
    let valid = fixture.vote();
    let votes =
        |ids: &[u16]| by_id(ids.iter().map(|id| (*id, verifier.vote(fixture.vote_of(*id, valid.vote_info, valid.commit_info)).unwrap())));
    assert!(Verified::<QuorumCert>::aggregate(&fixture.committee, &votes(&[0, 2, 3])).is_none());
    let qc = Verified::<QuorumCert>::aggregate(&fixture.committee, &votes(&[0, 1])).unwrap();
    assert!(fixture.verifier().quorum_cert(&qc).is_ok());
}

#[test]
fn timeouts_aggregate_when_they_are_of_one_round_and_a_quorums() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    let tc5 = fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]);
    let timeout = |id, high: u64| verifier.timeout(fixture.timeout_of(id, 6, fixture.qc(high, high - 1), Some(tc5.clone()))).unwrap();
    let aggregate = |timeouts| Verified::<TimeoutCert>::aggregate(&fixture.committee, &timeouts);

    let tc = aggregate(by_id([(0, timeout(0, 3)), (1, timeout(1, 4)), (2, timeout(2, 2))])).unwrap();
    assert_eq!((tc.round, tc.highest_qc_round(), tc.high_qc.round()), (Round(6), Round(4), Round(4)));
    assert_eq!(tc.high_qc_rounds.to_vec(), [Round(3), Round(4), Round(2)]);
    assert!(fixture.verifier().timeout_cert(&tc).is_ok(), "others accept what we aggregate");

    assert!(aggregate(by_id([])).is_none());
    assert!(aggregate(by_id([(0, timeout(0, 3)), (1, timeout(1, 4))])).is_none());
    assert!(aggregate(by_id([(0, timeout(0, 3)), (1, timeout(1, 4)), (2, timeout(1, 4))])).is_none());
    let of_another_round = verifier.timeout(fixture.timeout_of(2, 5, fixture.qc(4, 3), None)).unwrap();
    assert!(aggregate(by_id([(0, timeout(0, 3)), (1, timeout(1, 4)), (2, of_another_round)])).is_none());
}

/// Nobody can check a stranger's signature, so a certificate that contains one is worthless.
#[test]
fn a_stranger_beside_a_quorum_makes_no_certificate() {
    // The first four are a quorum in both committees; the smaller one does not have the fifth.
    let (larger, smaller) = (Fixture::with(CHAIN, &[10, 10, 10, 10, 1]), Fixture::new());
    let verifier = larger.verifier();
    let valid = larger.vote();
    let vote = |id| (id, verifier.vote(larger.vote_of(id, valid.vote_info, valid.commit_info)).unwrap());
    let timeout = |id| (id, verifier.timeout(larger.timeout_of(id, 5, larger.qc(4, 3), None)).unwrap());
    for (signers, known) in [(&[0, 1, 2, 3][..], true), (&[0, 1, 2, 4], false), (&[0, 1, 2, 3, 4], false)] {
        let votes = by_id(signers.iter().map(|id| vote(*id)));
        let timeouts = by_id(signers.iter().map(|id| timeout(*id)));
        for (committee, certifies) in [(&larger.committee, true), (&smaller.committee, known)] {
            assert_eq!(Verified::<QuorumCert>::aggregate(committee, &votes).is_some(), certifies, "votes of {signers:?}");
            assert_eq!(Verified::<TimeoutCert>::aggregate(committee, &timeouts).is_some(), certifies, "timeouts of {signers:?}");
        }
    }
}

/// The form in which certificates appear in logs.
#[test]
fn certificates_show_their_rounds_and_what_they_commit() {
    let fixture = Fixture::new();
    let (commits, does_not) = (format!("{:?}", fixture.qc(5, 4)), format!("{:?}", fixture.qc(5, 3)));
    assert!(commits.starts_with("QC(5 ") && commits.contains(" commits 4 "), "{commits}");
    assert!(does_not.starts_with("QC(5 ") && !does_not.contains("commits"), "{does_not}");
    let tc = format!("{:?}", fixture.tc(7, &[(0, 3), (2, 5), (3, 2)]));
    assert!(tc.starts_with("TC(7 with QC(5 "), "{tc}");
}
