//! Messages of hostile validators: B11 to B16, S2, S3, S22, and responses that are not chains (B19).

use quorate_types::{
    block::{BLOCK_TRANSACTIONS_MAX, Block},
    codec::{self, Bounded},
    committee::{PerSigner, SignerSet, VALIDATORS_MAX},
    crypto::{Hash, Signature},
    genesis::Parameters,
    header::Header,
    ids::ValidatorId,
    message::{
        ANSWER_BYTES_MAX, CatchupRequest, CatchupResponse, FetchRequest, FetchResponse, MESSAGE_BYTES_MAX, Message, RecoveryAnswer,
        RecoveryRequest, SyncInfo,
    },
    proof::PROOF_HEADERS_MAX,
    round::{Height, Round},
    sighting::Sightings,
    transaction::{PAYLOAD_BYTES_MAX, Transaction},
    verify::{Verified, VerifiedMessage, VerifyError},
    vote::QuorumCert,
};

use crate::{
    fixture::{Fixture, block_id, changed, key, payload},
    proofs::header,
};

fn send(fixture: &Fixture, from: u16, message: Message) -> Option<VerifyError> {
    fixture.verifier().message(ValidatorId(from), message).err()
}

fn word(fixture: &Fixture, from: u16, message: Message) -> Option<&'static str> {
    send(fixture, from, message).map(|error| error.word())
}

fn proposal(proposal: quorate_types::block::Proposal) -> Message {
    Message::Proposal(Box::new(proposal))
}

fn timeout(timeout: quorate_types::timeout::TimeoutMessage) -> Message {
    Message::Timeout(Box::new(timeout))
}

fn all_kinds(fixture: &Fixture) -> Vec<(u16, Message)> {
    vec![
        (1, proposal(fixture.proposal())),
        (2, Message::Vote(Box::new(fixture.vote()))),
        (3, timeout(fixture.timeout())),
        (0, Message::SyncInfo(Box::new(fixture.sync_info()))),
        (0, Message::FetchRequest(FetchRequest { block_id: block_id(1), above: Round(3) })),
        (0, Message::FetchResponse(Box::new(fixture.fetch_response()))),
        (0, Message::CatchupRequest(CatchupRequest { from: Height(3) })),
        (0, Message::CatchupResponse(Box::new(fixture.catchup_response()))),
        (0, Message::SightingsRequest),
        (0, Message::Sightings(Box::new(fixture.sightings()))),
        (0, Message::RecoveryRequest(RecoveryRequest { nonce: Hash([7; 32]) })),
        (0, Message::RecoveryAnswer(Box::new(RecoveryAnswer { nonce: Hash([7; 32]), certificates: fixture.sync_info() }))),
    ]
}

#[test]
fn honest_messages_of_every_kind_are_accepted_and_come_out_as_they_went_in() {
    let fixture = Fixture::new();
    for (from, message) in all_kinds(&fixture) {
        let verified = fixture.verifier().message(ValidatorId(from), message.clone()).unwrap();
        assert_eq!(*verified, message);
        let again = match verified.split() {
            VerifiedMessage::Proposal(inner) => Message::from(inner),
            VerifiedMessage::Vote(inner) => Message::from(inner),
            VerifiedMessage::Timeout(inner) => Message::from(inner),
            VerifiedMessage::SyncInfo(inner) => Message::from(inner),
            VerifiedMessage::FetchRequest(inner) => Message::FetchRequest(inner),
            VerifiedMessage::FetchResponse(inner) => Message::FetchResponse(Box::new(inner.into_inner())),
            VerifiedMessage::CatchupRequest(inner) => Message::CatchupRequest(inner),
            VerifiedMessage::CatchupResponse(inner) => Message::CatchupResponse(Box::new(inner.into_inner())),
            VerifiedMessage::SightingsRequest => Message::SightingsRequest,
            VerifiedMessage::Sightings(inner) => Message::Sightings(Box::new(inner.into_inner())),
            VerifiedMessage::RecoveryRequest(inner) => Message::RecoveryRequest(inner),
            VerifiedMessage::RecoveryAnswer(nonce, certificates) => {
                Message::RecoveryAnswer(Box::new(RecoveryAnswer { nonce, certificates: certificates.into_inner() }))
            }
        };
        assert_eq!(again, message);
    }
}

/// Certificates and blocks taken out of a checked message are exactly those that were sent.
#[test]
fn what_a_checked_message_carries_comes_out_of_it_as_it_was() {
    let fixture = Fixture::new();
    let verifier = fixture.verifier();
    assert_eq!((verifier.genesis_hash(), verifier.committee().quorum_power()), (fixture.genesis_hash, fixture.committee.quorum_power()));
    assert_eq!(*verifier.parameters(), fixture.genesis.parameters);

    let (sent, taken) = (fixture.proposal(), verifier.proposal(fixture.proposal()).unwrap());
    assert_eq!((taken.block().into_inner(), taken.high_commit_qc().into_inner()), (sent.block, sent.high_commit_qc));
    assert_eq!(taken.last_round_tc().map(Verified::into_inner), sent.last_round_tc);
    assert!(taken.last_round_tc().is_some());

    let (sent, taken) = (fixture.vote(), verifier.vote(fixture.vote()).unwrap());
    assert_eq!(taken.high_commit_qc().into_inner(), sent.high_commit_qc);

    let (sent, taken) = (fixture.timeout(), verifier.timeout(fixture.timeout()).unwrap());
    assert_eq!((taken.high_qc().into_inner(), taken.high_commit_qc().into_inner()), (sent.timeout.high_qc, sent.high_commit_qc));
    assert_eq!(taken.last_round_tc().map(Verified::into_inner), sent.last_round_tc);
    assert!(taken.last_round_tc().is_some());

    let split = |message| verifier.message(ValidatorId(0), message).unwrap().split();
    let sent = fixture.sync_info();
    let VerifiedMessage::SyncInfo(taken) = split(Message::SyncInfo(Box::new(sent.clone()))) else { panic!("a sync info") };
    assert_eq!((taken.high_qc().into_inner(), taken.high_commit_qc().into_inner()), (sent.high_qc, sent.high_commit_qc));
    assert_eq!(taken.last_round_tc().map(Verified::into_inner), sent.last_round_tc);
    assert!(taken.last_round_tc().is_some());

    let inner = |blocks: Vec<Verified<Block>>| blocks.into_iter().map(Verified::into_inner).collect::<Vec<_>>();
    let sent = fixture.fetch_response();
    let VerifiedMessage::FetchResponse(taken) = split(Message::FetchResponse(Box::new(sent.clone()))) else { panic!("fetched blocks") };
    assert_eq!(inner(taken.into_blocks()), sent.blocks.to_vec());
    let sent = fixture.catchup_response();
    let VerifiedMessage::CatchupResponse(taken) = split(Message::CatchupResponse(Box::new(sent.clone()))) else {
        panic!("caught-up blocks")
    };
    let (blocks, commit_qc) = taken.into_parts();
    assert_eq!((inner(blocks), commit_qc.map(Verified::into_inner)), (sent.blocks.to_vec(), sent.commit_qc));
    let sent = fixture.part_of_a_stretch();
    let VerifiedMessage::CatchupResponse(taken) = split(Message::CatchupResponse(Box::new(sent.clone()))) else {
        panic!("caught-up blocks")
    };
    let (blocks, commit_qc) = taken.into_parts();
    assert_eq!((inner(blocks), commit_qc.map(Verified::into_inner)), (sent.blocks.to_vec(), sent.commit_qc));
}

#[test]
fn nobody_outside_the_committee_is_heard() {
    let fixture = Fixture::new();
    for stranger in [4, 127, 128, u16::MAX] {
        for (_, message) in all_kinds(&fixture) {
            assert_eq!(send(&fixture, stranger, message), Some(VerifyError::NotInCommittee(ValidatorId(stranger))));
        }
    }
}

#[test]
fn messages_in_the_name_of_another_are_refused() {
    let fixture = Fixture::new();
    for (author, message) in all_kinds(&fixture).into_iter().take(3) {
        for sender in (0..4).filter(|sender| *sender != author) {
            let expected = VerifyError::OtherSender { sender: ValidatorId(sender), author: ValidatorId(author) };
            assert_eq!(send(&fixture, sender, message.clone()), Some(expected));
        }
    }
    // The sender puts its own id on a vote that another validator signed.
    let mut vote = fixture.vote();
    vote.sender = ValidatorId(0);
    assert_eq!(word(&fixture, 0, Message::Vote(Box::new(vote))), Some("signature"));
}

#[test]
fn largest_numbers_are_refused_or_harmless() {
    let fixture = Fixture::new();
    for round in [Round::LIMIT.0, u64::MAX - 1, u64::MAX] {
        let block = fixture.block(1, round, fixture.qc(4, 3), vec![]);
        assert_eq!(word(&fixture, 1, proposal(fixture.propose(block, None, fixture.genesis_qc.clone()))), Some("round"));
        let mut vote = fixture.vote();
        vote.vote_info.round = Round(round);
        vote.vote_info.parent_round = Round(round - 1);
        let vote = fixture.vote_of(2, vote.vote_info, fixture.commit_info(&vote.vote_info));
        assert_eq!(word(&fixture, 2, Message::Vote(Box::new(vote))), Some("round"));
        assert_eq!(word(&fixture, 3, timeout(fixture.timeout_of(3, round, fixture.qc(4, 3), None))), Some("round"));
        // Requests claim nothing; code that answers them compares these numbers and never adds to them.
        assert_eq!(word(&fixture, 0, Message::FetchRequest(FetchRequest { block_id: block_id(1), above: Round(round) })), None);
        assert_eq!(word(&fixture, 0, Message::CatchupRequest(CatchupRequest { from: Height(round) })), None);
    }
    assert_eq!((Round(u64::MAX).next(), Round(0).previous(), Round(3).since(Round(u64::MAX))), (Round(u64::MAX), None, 0));
}

/// Whoever sends it, each statement must be signed by the validator that the answer is about, for a possible round.
#[test]
fn sightings_prove_themselves() {
    let fixture = Fixture::new();
    let sent = fixture.sightings();
    let refused = |from: u16, change: fn(&mut Sightings)| {
        let mut forged = sent;
        change(&mut forged);
        word(&fixture, from, Message::Sightings(Box::new(forged)))
    };
    for from in 0..4 {
        assert_eq!(refused(from, |_| {}), None);
        assert_eq!(
            refused(from, |seen| *seen = Sightings::none(quorate_types::round::Epoch(0), ValidatorId(3))),
            None,
            "no sightings is a valid answer"
        );
        assert_eq!(refused(from, |seen| *seen = Sightings::none(quorate_types::round::Epoch(0), ValidatorId(4))), Some("not-in-committee"));
        assert_eq!(refused(from, |seen| (seen.of, seen.proposal) = (ValidatorId(3), None)), Some("signature"));
        assert_eq!(refused(from, |seen| seen.of = ValidatorId(3)), Some("signature"));
    }
    assert_eq!(refused(0, |seen| seen.proposal.as_mut().unwrap().head.author = ValidatorId(3)), Some("other-sender"));
    for round in [Round(0), Round::LIMIT, Round(u64::MAX)] {
        let with = |change: fn(&mut Sightings, Round)| {
            let mut forged = sent;
            change(&mut forged, round);
            word(&fixture, 0, Message::Sightings(Box::new(forged)))
        };
        assert_eq!(with(|seen, round| seen.timeout.as_mut().unwrap().round = round), Some("round"));
        assert_eq!(with(|seen, round| seen.proposal.as_mut().unwrap().head.round = round), Some("round"));
    }
    assert_eq!(refused(0, |seen| seen.timeout.as_mut().unwrap().high_qc_round = Round(6)), Some("round"), "as high as its round");
}

/// S3: genesis is never accepted from a peer.
#[test]
fn blocks_votes_and_timeouts_of_round_zero_are_refused() {
    let fixture = Fixture::new();
    let genesis_qc = fixture.genesis_qc.clone();
    let block = fixture.block(1, 0, genesis_qc.clone(), vec![]);
    assert_eq!(word(&fixture, 1, proposal(fixture.propose(block.clone(), None, genesis_qc.clone()))), Some("round"));
    assert!(fixture.verifier().block(block).is_err());
    assert_eq!(word(&fixture, 3, timeout(fixture.timeout_of(3, 0, genesis_qc.clone(), None))), Some("round"));
    let vote = fixture.vote_of(2, genesis_qc.vote_info, genesis_qc.commit_info);
    assert_eq!(word(&fixture, 2, Message::Vote(Box::new(vote))), Some("round"));
}

/// Paper p. 12: a message of round r carries either the certificate or the timeout certificate of r - 1, never both, never neither.
#[test]
fn certificates_lead_into_the_round_in_exactly_one_way() {
    let fixture = Fixture::new();
    let qc = fixture.qc(4, 3);
    let tc = |round| fixture.tc(round, &[(0, 3), (2, 4), (3, 2)]);
    let cases = [
        (5, None, None),
        (6, Some(tc(5)), None),
        (5, Some(tc(5)), Some("ill-formed")),
        (6, None, Some("ill-formed")),
        (7, None, Some("ill-formed")),
        (7, Some(tc(5)), Some("ill-formed")),
        (7, Some(tc(7)), Some("ill-formed")),
        (7, Some(tc(6)), None),
        (5, Some(fixture.tc(4, &[(0, 3), (2, 3), (3, 2)])), Some("ill-formed")),
        (4, None, Some("round")),
        (3, None, Some("round")),
        (1, None, Some("round")),
    ];
    for (round, tc, expected) in cases {
        let block = fixture.block(1, round, qc.clone(), vec![]);
        let message = proposal(fixture.propose(block, tc.clone(), qc.clone()));
        assert_eq!(word(&fixture, 1, message), expected, "proposal of round {round} with {tc:?}");
        let message = timeout(fixture.timeout_of(3, round, qc.clone(), tc.clone()));
        assert_eq!(word(&fixture, 3, message), expected, "timeout of round {round} with {tc:?}");
    }
    // Genesis leads into the first round.
    let genesis_qc = fixture.genesis_qc.clone();
    let first = fixture.block(0, 1, genesis_qc.clone(), vec![]);
    assert_eq!(word(&fixture, 0, proposal(fixture.propose(first, None, genesis_qc.clone()))), None);
    let second = fixture.block(0, 2, genesis_qc.clone(), vec![]);
    let tc = fixture.tc(1, &[(0, 0), (1, 0), (2, 0)]);
    assert_eq!(word(&fixture, 0, proposal(fixture.propose(second, Some(tc), genesis_qc))), None);
}

/// S2: the signed round is that of the carried certificate.
#[test]
fn a_timeout_signs_the_round_of_the_certificate_it_carries() {
    let fixture = Fixture::new();
    let tc = fixture.tc(5, &[(0, 3), (2, 4), (3, 2)]);
    let mut message = fixture.timeout_of(3, 6, fixture.qc(4, 3), Some(tc.clone()));
    message.timeout.high_qc = fixture.qc(3, 2);
    assert_eq!(word(&fixture, 3, timeout(message)), Some("signature"), "a lower one");
    let mut message = fixture.timeout_of(3, 6, fixture.qc(3, 2), Some(tc));
    message.timeout.high_qc = fixture.qc(4, 3);
    assert_eq!(word(&fixture, 3, timeout(message)), Some("signature"), "a higher one");
}

#[test]
fn sync_info_orders_its_certificates_and_names_a_commit() {
    let fixture = Fixture::new();
    let send = |info: SyncInfo| word(&fixture, 0, Message::SyncInfo(Box::new(info)));
    let valid = fixture.sync_info();
    assert_eq!(send(valid.clone()), None);
    assert_eq!(send(SyncInfo { last_round_tc: None, ..valid.clone() }), None);
    assert_eq!(send(SyncInfo { high_qc: fixture.qc(3, 2), ..valid.clone() }), Some("ill-formed"));
    assert_eq!(send(SyncInfo { high_commit_qc: fixture.qc(4, 2), ..valid.clone() }), Some("commit-rule"));
    let genesis = fixture.genesis_qc.clone();
    assert_eq!(send(SyncInfo { high_qc: genesis.clone(), high_commit_qc: genesis, last_round_tc: None }), None);
    let forged = fixture.certify(fixture.qc(9, 8).vote_info, fixture.qc(9, 8).commit_info, &[0, 1]);
    assert_eq!(send(SyncInfo { high_qc: forged, ..valid }), Some("no-quorum"));
}

#[test]
fn payloads_are_bounded_by_the_genesis() {
    let mut fixture = Fixture::new();
    fixture.genesis.parameters.block_transactions_max = 3;
    fixture.genesis.parameters.block_bytes_max = 1_000;
    let propose = |transactions| {
        let block = fixture.block(1, 5, fixture.qc(4, 3), transactions);
        word(&fixture, 1, proposal(fixture.propose(block, None, fixture.qc(4, 3))))
    };
    let opaque = |sequence, length| fixture.transaction(sequence, vec![0; length]);
    assert_eq!(propose((0..3).map(|n| fixture.transfer(n)).collect()), None);
    assert_eq!(propose((0..4).map(|n| fixture.transfer(n)).collect()), Some("payload-size"));
    assert_eq!(propose(vec![opaque(0, 800)]), None);
    assert_eq!(propose(vec![opaque(0, 900)]), Some("payload-size"));
    assert_eq!(propose(vec![opaque(0, 400), opaque(1, 400)]), Some("payload-size"));
}

#[test]
fn a_transaction_stands_in_a_block_once() {
    let fixture = Fixture::new();
    let twice = fixture.transfer(0);
    let block = fixture.block(1, 5, fixture.qc(4, 3), vec![twice.clone(), fixture.put(1), twice.clone()]);
    let message = proposal(fixture.propose(block, None, fixture.qc(4, 3)));
    assert_eq!(send(&fixture, 1, message), Some(VerifyError::DuplicateTransaction(twice.id())));
}

#[test]
fn one_bad_transaction_spoils_a_block_wherever_it_stands() {
    let fixture = Fixture::new();
    let mut forged = fixture.transfer(999).raw().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let forged = Transaction::decode(forged.into()).unwrap();
    let foreign = Fixture::with(quorate_types::ids::ChainId(8), &[1; 4]).transfer(5);
    for count in [1, 2, 130, 300] {
        for at in [0, count / 2, count - 1] {
            for (bad, expected) in [(&forged, "signature"), (&foreign, "other-network")] {
                let mut transactions: Vec<_> = (0..count as u64).map(|n| fixture.transfer(n)).collect();
                transactions[at] = bad.clone();
                let block = fixture.block(1, 5, fixture.qc(4, 3), transactions);
                let message = proposal(fixture.propose(block, None, fixture.qc(4, 3)));
                assert_eq!(word(&fixture, 1, message), Some(expected), "{at} of {count}");
            }
        }
    }
}

/// B16: the id is computed, never read.
#[test]
fn the_id_of_a_block_is_recomputed_and_covers_every_field() {
    let fixture = Fixture::new();
    let block = fixture.proposal().block;
    let again: Block = codec::decode(&codec::encode(&block), MESSAGE_BYTES_MAX).unwrap();
    assert_eq!((again.id(), &again), (block.id(), &block));
    let mut ids = vec![block.id()];
    let changes: [fn(&mut quorate_types::block::BlockContent); 9] = [
        |content| content.genesis_hash.0.0[0] ^= 1,
        |content| content.epoch.0 += 1,
        |content| content.author.0 += 1,
        |content| content.round.0 += 1,
        |content| content.timestamp.0 += 1,
        |content| content.payload = payload(vec![]),
        |content| content.payload = payload(content.payload.iter().rev().cloned().collect()),
        |content| content.qc.vote_info.id = block_id(0xff),
        |content| {
            let mut signatures = content.qc.signatures.to_vec();
            signatures[0].0[0] ^= 1;
            content.qc.signatures = signatures.try_into().unwrap();
        },
    ];
    for change in changes {
        ids.push(changed(&block, change).id());
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn fetched_blocks_are_linked_from_the_one_asked_for() {
    let fixture = Fixture::new();
    let valid = fixture.fetch_response();
    let send = |block_id, blocks: Vec<Block>| {
        word(&fixture, 0, Message::FetchResponse(Box::new(FetchResponse { block_id, blocks: blocks.try_into().unwrap() })))
    };
    let blocks = valid.blocks.to_vec();
    let [five, four, three, two, one] = &blocks[..] else { panic!("five blocks") };
    assert_eq!(send(valid.block_id, blocks.clone()), None);
    assert_eq!(send(valid.block_id, vec![]), None, "the sender does not have it");
    assert_eq!(send(valid.block_id, vec![five.clone()]), None);
    let not_a_chain = [
        ("another", vec![four.clone()]),
        ("a gap", vec![five.clone(), three.clone()]),
        ("oldest first", vec![one.clone(), two.clone(), three.clone()]),
        ("one twice", vec![five.clone(), five.clone()]),
        ("reordered", vec![five.clone(), three.clone(), four.clone()]),
        ("a stranger's", vec![five.clone(), changed(four, |content| content.timestamp = quorate_types::round::UnixMillis(1))]),
    ];
    for (name, blocks) in not_a_chain {
        assert_eq!(send(valid.block_id, blocks), Some("not-a-chain"), "{name}");
    }
    // A block of the sender's own making, with a forged certificate.
    let forged = changed(five, |content| content.qc.signers = SignerSet::default());
    assert_eq!(send(forged.id(), vec![forged.clone()]), Some("signer-count"));
    let of_round_zero = fixture.block(0, 0, fixture.genesis_qc.clone(), vec![]);
    assert_eq!(send(of_round_zero.id(), vec![of_round_zero.clone()]), Some("round"));
}

#[test]
fn caught_up_blocks_are_a_chain_that_the_certificate_commits() {
    let fixture = Fixture::new();
    let (chain, qc5) = fixture.chain(5);
    let qc4 = chain[4].qc().clone();
    let send = |blocks: &[Block], commit_qc: Option<QuorumCert>| {
        let (blocks, headers) = (blocks.to_vec().try_into().unwrap(), Bounded::default());
        let response = CatchupResponse { from: Height(1), blocks, headers, commit_qc };
        word(&fixture, 0, Message::CatchupResponse(Box::new(response)))
    };
    assert_eq!(send(&chain[..4], Some(qc5.clone())), None);
    assert_eq!(send(&chain[2..4], Some(qc5.clone())), None);
    assert_eq!(send(&chain[..3], Some(qc4.clone())), None);
    assert_eq!(send(&[], None), None, "the sender has nothing newer");
    assert_eq!(word(&fixture, 0, Message::CatchupResponse(Box::new(CatchupResponse::nothing_from(Height(1))))), None);

    assert_eq!(send(&chain[..5], Some(qc5.clone())), Some("not-a-chain"), "the certificate of the last block commits its parent only");
    assert_eq!(send(&chain[..4], Some(qc4.clone())), Some("not-a-chain"), "an older certificate");
    assert_eq!(send(&chain[..3], Some(qc5.clone())), Some("not-a-chain"), "a newer certificate");
    let without = |at: usize| [&chain[..at], &chain[at + 1..4]].concat();
    for gap in 1..3 {
        assert_eq!(send(&without(gap), Some(qc5.clone())), Some("not-a-chain"), "a gap at {gap}");
    }
    let mut reordered = chain[..4].to_vec();
    reordered.swap(0, 1);
    assert_eq!(send(&reordered, Some(qc5.clone())), Some("not-a-chain"));
    reordered.swap(0, 1);
    reordered.reverse();
    assert_eq!(send(&reordered, Some(qc5.clone())), Some("not-a-chain"));
    let doubled = [&chain[..1], &chain[..4]].concat();
    assert_eq!(send(&doubled, Some(qc5.clone())), Some("not-a-chain"));
    assert_eq!(send(&chain[..4], None), Some("not-a-chain"), "no certificate");
    assert_eq!(send(&[], Some(qc5.clone())), Some("not-a-chain"), "nothing but a certificate");
    assert_eq!(send(&[], Some(fixture.genesis_qc.clone())), Some("not-a-chain"));
    let minority = fixture.certify(qc5.vote_info, qc5.commit_info, &[0, 1]);
    assert_eq!(send(&chain[..4], Some(minority)), Some("no-quorum"));
    let mut poisoned = chain[..4].to_vec();
    poisoned[1] = changed(&poisoned[1], |content| content.payload = payload(vec![fixture.transfer(77)]));
    assert_eq!(send(&poisoned, Some(qc5)), Some("not-a-chain"));
    // A certificate that commits nothing.
    let gap_qc = fixture.qc(9, 3);
    assert_eq!(send(&chain[..4], Some(gap_qc)), Some("commit-rule"));
}

#[test]
fn caught_up_blocks_may_lead_by_headers_to_what_the_certificate_commits() {
    let fixture = Fixture::new();
    let valid = fixture.part_of_a_stretch();
    let send = |change: &dyn Fn(&mut CatchupResponse)| {
        let mut response = valid.clone();
        change(&mut response);
        word(&fixture, 0, Message::CatchupResponse(Box::new(response)))
    };
    let with_headers = |headers: &[&Header]| {
        let headers: Vec<Header> = headers.iter().map(|header| (*header).clone()).collect();
        send(&|response| response.headers = headers.clone().try_into().unwrap())
    };
    let [first, second, third] = &valid.headers[..] else { panic!("three headers") };
    assert_eq!(with_headers(&[first, second, third]), None);
    assert_eq!(send(&|response| response.blocks = response.blocks[1..].to_vec().try_into().unwrap()), None);

    let no_way: [&[&Header]; 7] =
        [&[], &[third], &[second, third], &[first, third], &[first, second], &[second, first, third], &[first, second, third, third]];
    for headers in no_way {
        assert_eq!(with_headers(headers), Some("not-a-chain"), "{headers:?}");
    }
    // A forged header: for another block, or on another result.
    let other = Header { block_id: block_id(1), ..first.clone() };
    assert_eq!(with_headers(&[&other, second, third]), Some("not-a-chain"));
    assert_eq!(with_headers(&[&other, &Header { parent: other.state_id(), ..second.clone() }, third]), Some("not-a-chain"));
    assert_eq!(send(&|response| response.blocks = Bounded::default()), Some("not-a-chain"));
    assert_eq!(send(&|response| response.commit_qc = None), Some("not-a-chain"));
    let only_headers = |response: &mut CatchupResponse| {
        response.blocks = Bounded::default();
        response.commit_qc = None;
    };
    assert_eq!(send(&only_headers), Some("not-a-chain"));
    assert_eq!(send(&|response| response.commit_qc = Some(fixture.qc(7, 5))), Some("commit-rule"));
}

/// The largest response that the limits allow fits into a message: a committee of 128, blocks with all 128 signatures, blocks up to the line,
/// and then the largest block that a genesis can allow.
#[test]
fn the_largest_answer_fits_into_a_message() {
    let fixture = Fixture::new();
    let all: SignerSet = (0u16..).take(VALIDATORS_MAX).map(ValidatorId).collect();
    let signatures: PerSigner<Signature> = vec![Signature([1; 64]); VALIDATORS_MAX].try_into().unwrap();
    let qc = QuorumCert { signers: all, signatures, ..fixture.qc(4, 3) };
    let smallest = fixture.transaction(0, vec![]);
    let mut allowed = fixture.genesis.parameters;
    (allowed.block_bytes_max, allowed.block_transactions_max) = (1_048_576, u32::try_from(BLOCK_TRANSACTIONS_MAX).unwrap());
    assert!(allowed.check(4).is_ok());
    let beyond: [fn(&mut Parameters); 2] = [|p| p.block_bytes_max += 1, |p| p.block_transactions_max += 1];
    for above in beyond {
        let mut parameters = allowed;
        above(&mut parameters);
        assert!(parameters.check(4).is_err());
    }
    let of_smallest = fixture.block(1, 6, qc.clone(), vec![smallest.clone(); BLOCK_TRANSACTIONS_MAX]);
    let largest = fixture.transaction(0, vec![0; PAYLOAD_BYTES_MAX]);
    let of_largest = fixture.block(1, 6, qc.clone(), vec![largest.clone(); 1_048_576 / largest.raw().len()]);
    for last in [of_smallest.clone(), of_largest.clone()] {
        let line = vec![smallest.clone(); ANSWER_BYTES_MAX / smallest.raw().len()];
        let blocks = vec![fixture.block(1, 6, qc.clone(), line), last];
        let answer = Message::FetchResponse(Box::new(FetchResponse { block_id: block_id(1), blocks: Bounded::truncated(blocks) }));
        let bytes = codec::encode(&answer);
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{}", bytes.len());
        assert_eq!(Message::decode(&bytes).unwrap(), answer);
    }
    // In a catch-up response only the first block can cross the line, and headers may follow it.
    for only in [of_smallest, of_largest] {
        let (blocks, headers) = (Bounded::truncated(vec![only]), Bounded::truncated(vec![header(1); PROOF_HEADERS_MAX]));
        let answer = Message::CatchupResponse(Box::new(CatchupResponse { from: Height(1), blocks, headers, commit_qc: Some(qc.clone()) }));
        let bytes = codec::encode(&answer);
        assert!(bytes.len() <= MESSAGE_BYTES_MAX, "{}", bytes.len());
        assert_eq!(Message::decode(&bytes).unwrap(), answer);
    }
}

#[test]
fn every_key_signs_for_itself_only() {
    let fixture = Fixture::new();
    let outsider = key(77);
    let mut vote = fixture.vote();
    vote.signature = outsider.sign(&vote.commit_info.digest());
    assert_eq!(word(&fixture, 2, Message::Vote(Box::new(vote))), Some("signature"));
    let mut message = fixture.proposal();
    message.signature = outsider.sign(&message.block.proposal_digest());
    assert_eq!(word(&fixture, 1, proposal(message)), Some("signature"));
    // A signature over the bare id, outside the domain of proposals.
    let mut message = fixture.proposal();
    message.signature = fixture.signature(1, &message.block.id().0);
    assert_eq!(word(&fixture, 1, proposal(message)), Some("signature"));
}

#[test]
fn of_a_proposal_that_does_not_matter_the_certificates_are_left_and_its_transactions_cost_nothing() {
    let fixture = Fixture::new();
    let mut raw = fixture.transfer(0).raw().to_vec();
    *raw.last_mut().unwrap() ^= 1;
    let forged = Transaction::decode(raw.into()).unwrap();
    let block = fixture.block(1, 5, fixture.qc(4, 3), vec![forged]);
    let sent = fixture.propose(block, None, fixture.qc(4, 3));
    let verifier = fixture.verifier();
    let judge = |sent: &quorate_types::block::Proposal, matters| verifier.message_if(ValidatorId(1), proposal(sent.clone()), |_| matters);
    assert_eq!(judge(&sent, true).map(drop).unwrap_err().word(), "signature");
    let Message::SyncInfo(info) = judge(&sent, false).unwrap().into_inner() else { panic!("its certificates") };
    assert_eq!(*info, SyncInfo { high_qc: fixture.qc(4, 3), high_commit_qc: fixture.qc(4, 3), last_round_tc: None });
    // Everything else is checked before `matters` is called.
    let unsigned = quorate_types::block::Proposal { signature: quorate_types::crypto::Signature([0; 64]), ..sent };
    let asked = verifier.message_if(ValidatorId(1), proposal(unsigned), |_| panic!("`matters` was called"));
    assert_eq!(asked.map(drop).unwrap_err().word(), "signature");
}
