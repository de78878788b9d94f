//! No statement in a message is missed, wherever it is, and the newest of each validator is kept.

use quorate_types::{
    block::{BlockContent, Proposal},
    codec::Bounded,
    crypto::{Hash, Signature},
    ids::{BlockId, GenesisHash, StateId},
    message::{CatchupResponse, FetchRequest, FetchResponse, RecoveryAnswer, SyncInfo},
    round::{Height, UnixMillis},
    sighting::StatementKind,
    timeout::{Timeout, TimeoutMessage},
    vote::{LedgerCommitInfo, Vote, VoteInfo},
};

use super::*;

const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
const EPOCH: Epoch = Epoch(0);
const ME: ValidatorId = ValidatorId(1);
const OTHER: ValidatorId = ValidatorId(2);

fn signature(of: ValidatorId) -> Signature {
    Signature([u8::try_from(of.0).unwrap(); 64])
}

fn qc_of(block_id: BlockId, round: u64, signers: &[ValidatorId]) -> QuorumCert {
    let (id, parent_id) = (block_id, BlockId(Hash([9; 32])));
    let vote_info = VoteInfo { id, round: Round(round), parent_id, parent_round: Round(round - 1), exec_state_id: StateId::default() };
    let commit_info = LedgerCommitInfo {
        genesis_hash: NETWORK,
        epoch: EPOCH,
        commit_state_id: Some(StateId::default()),
        vote_info_hash: vote_info.digest(),
    };
    let signatures = signers.iter().map(|signer| signature(*signer)).collect::<Vec<_>>().try_into().unwrap();
    QuorumCert { vote_info, commit_info, signers: signers.iter().copied().collect(), signatures }
}

fn qc(round: u64, signers: &[ValidatorId]) -> QuorumCert {
    qc_of(BlockId(Hash([3; 32])), round, signers)
}

fn genesis() -> QuorumCert {
    QuorumCert::genesis(EPOCH, NETWORK, StateId::default())
}

fn tc(round: u64, signers: &[ValidatorId], high_qc: QuorumCert) -> TimeoutCert {
    TimeoutCert {
        epoch: EPOCH,
        round: Round(round),
        signers: signers.iter().copied().collect(),
        high_qc_rounds: vec![high_qc.round(); signers.len()].try_into().unwrap(),
        signatures: signers.iter().map(|signer| signature(*signer)).collect::<Vec<_>>().try_into().unwrap(),
        high_qc,
    }
}

fn block(author: ValidatorId, round: u64, qc: QuorumCert) -> Block {
    let (round, timestamp) = (Round(round), UnixMillis(1));
    Block::new(BlockContent { genesis_hash: NETWORK, epoch: EPOCH, author, round, timestamp, payload: Bounded::default(), qc })
}

fn proposal(block: Block, last_round_tc: Option<TimeoutCert>, high_commit_qc: QuorumCert) -> Message {
    let signature = signature(block.author());
    Message::Proposal(Box::new(Proposal { block, last_round_tc, high_commit_qc, signature }))
}

fn vote(sender: ValidatorId, round: u64, high_commit_qc: QuorumCert) -> Message {
    let QuorumCert { vote_info, commit_info, .. } = qc(round, &[]);
    Message::Vote(Box::new(Vote { vote_info, commit_info, high_commit_qc, sender, signature: signature(sender) }))
}

fn timeout(sender: ValidatorId, round: u64, high_qc: QuorumCert, last_round_tc: Option<TimeoutCert>, commit: QuorumCert) -> Message {
    let timeout = Timeout { epoch: EPOCH, round: Round(round), high_qc, sender, signature: signature(sender) };
    Message::Timeout(Box::new(TimeoutMessage { timeout, last_round_tc, high_commit_qc: commit }))
}

fn sync(high_qc: QuorumCert, high_commit_qc: QuorumCert, last_round_tc: Option<TimeoutCert>) -> Message {
    Message::SyncInfo(Box::new(SyncInfo { high_qc, high_commit_qc, last_round_tc }))
}

fn answer(info: Message) -> Message {
    let Message::SyncInfo(certificates) = info else { panic!("a sync info") };
    Message::RecoveryAnswer(Box::new(RecoveryAnswer { nonce: Hash([1; 32]), certificates: *certificates }))
}

fn fetched(blocks: Vec<Block>) -> Message {
    Message::FetchResponse(Box::new(FetchResponse { block_id: blocks[0].id(), blocks: blocks.try_into().unwrap() }))
}

fn caught_up(blocks: Vec<Block>, commit_qc: QuorumCert) -> Message {
    let (from, headers) = (Height(1), Bounded::default());
    Message::CatchupResponse(Box::new(CatchupResponse { from, blocks: blocks.try_into().unwrap(), headers, commit_qc: Some(commit_qc) }))
}

/// A round of which we do not remember what we have signed.
const FORGOTTEN: Round = Round(99);

/// With a record that has signed nothing, every statement with our signature is foreign, unless it may be a forgotten one.
fn stranger(message: &Message) -> Option<(StatementKind, u64)> {
    let record = SafetyRecord::new(NETWORK, EPOCH);
    foreign(message, ME, &record, |round| round == FORGOTTEN).map(|statement| (statement.kind(), statement.round().0))
}

#[test]
fn our_signature_is_found_wherever_it_stands() {
    let (ours, theirs) = (|round| qc(round, &[ME, OTHER]), || qc(4, &[OTHER]));
    let (vote_of, timeout_of, proposal_of) = (StatementKind::Vote, StatementKind::Timeout, StatementKind::Proposal);
    let ours_tc = || tc(5, &[OTHER, ME], theirs());
    let none_tc = |high_qc| tc(5, &[OTHER], high_qc);
    let mine = block(ME, 6, theirs());
    let on_mine = block(OTHER, 7, qc_of(mine.id(), 6, &[OTHER]));
    for (what, message, expected) in [
        ("our proposal", proposal(mine.clone(), None, genesis()), Some((proposal_of, 6))),
        ("a certificate in a block", proposal(block(OTHER, 6, ours(5)), None, genesis()), Some((vote_of, 5))),
        ("a commit certificate in a proposal", proposal(block(OTHER, 6, theirs()), None, ours(3)), Some((vote_of, 3))),
        ("a timeout certificate in a proposal", proposal(block(OTHER, 6, theirs()), Some(ours_tc()), genesis()), Some((timeout_of, 5))),
        ("the certificate in it", proposal(block(OTHER, 6, theirs()), Some(none_tc(ours(4))), genesis()), Some((vote_of, 4))),
        ("our vote", vote(ME, 5, genesis()), Some((vote_of, 5))),
        ("a commit certificate in a vote", vote(OTHER, 5, ours(4)), Some((vote_of, 4))),
        ("our timeout", timeout(ME, 5, theirs(), None, genesis()), Some((timeout_of, 5))),
        ("a certificate in a timeout", timeout(OTHER, 6, ours(5), None, genesis()), Some((vote_of, 5))),
        ("a commit certificate in a timeout", timeout(OTHER, 6, theirs(), None, ours(3)), Some((vote_of, 3))),
        ("a timeout certificate in a timeout", timeout(OTHER, 6, theirs(), Some(ours_tc()), genesis()), Some((timeout_of, 5))),
        ("the highest of a sync info", sync(ours(8), theirs(), None), Some((vote_of, 8))),
        ("the committing of a sync info", sync(theirs(), ours(8), None), Some((vote_of, 8))),
        ("the timeout certificate of a sync info", sync(theirs(), theirs(), Some(ours_tc())), Some((timeout_of, 5))),
        ("what a recovery answer holds", answer(sync(theirs(), ours(8), None)), Some((vote_of, 8))),
        ("the timeout certificate in it", answer(sync(theirs(), theirs(), Some(ours_tc()))), Some((timeout_of, 5))),
        ("what we may have forgotten", vote(ME, FORGOTTEN.0, genesis()), None),
        ("a certificate in a fetched block", fetched(vec![block(OTHER, 6, ours(5))]), Some((vote_of, 5))),
        ("a certified block of ours", fetched(vec![on_mine.clone(), mine.clone()]), Some((proposal_of, 6))),
        ("a committed block of ours", caught_up(vec![mine.clone()], qc_of(mine.id(), 6, &[OTHER])), Some((proposal_of, 6))),
        ("the certificate of an answer", caught_up(vec![block(OTHER, 6, theirs())], ours(7)), Some((vote_of, 7))),
        // Anyone can send an uncertified block in our name.
        ("a block that claims to be ours", fetched(vec![mine]), None),
        ("nothing of ours", sync(theirs(), theirs(), Some(none_tc(theirs()))), None),
        ("a question", Message::FetchRequest(FetchRequest { block_id: on_mine.id(), above: Round(0) }), None),
    ] {
        assert_eq!(stranger(&message), expected, "{what}");
    }
}

#[test]
fn the_newest_of_each_kind_is_kept_and_told_to_whom_it_concerns() {
    let mut seen = Seen::new(Epoch(0));
    assert_eq!(seen.of(ME), Sightings::none(Epoch(0), ME));
    seen.note(&proposal(block(ME, 6, qc(5, &[ME, OTHER])), Some(tc(4, &[ME], genesis())), genesis()));
    // Older or repeated statements change nothing.
    seen.note(&vote(ME, 3, genesis()));
    seen.note(&timeout(ME, 3, genesis(), None, genesis()));
    seen.note(&proposal(block(ME, 5, genesis()), None, genesis()));
    let told = seen.of(ME);
    assert_eq!(told.vote.map(|vote| (vote.vote_info.round, vote.signature)), Some((Round(5), signature(ME))));
    assert_eq!(told.timeout.map(|timeout| (timeout.round, timeout.signature)), Some((Round(4), signature(ME))));
    assert_eq!(told.proposal.map(|proposal| (proposal.head.round, proposal.signature)), Some((Round(6), signature(ME))));
    assert_eq!(seen.of(OTHER).vote.map(|vote| (vote.vote_info.round, vote.signature)), Some((Round(5), signature(OTHER))));

    seen.note(&vote(ME, 7, genesis()));
    seen.note(&timeout(ME, 8, genesis(), None, genesis()));
    let told = seen.of(ME);
    assert_eq!((told.vote.unwrap().vote_info.round, told.timeout.unwrap().round), (Round(7), Round(8)));
    // The answer carries all three statements, and each of them is found.
    let answer = |seen: Sightings| Message::Sightings(Box::new(seen));
    assert_eq!(stranger(&answer(told)), Some((StatementKind::Vote, 7)));
    assert_eq!(stranger(&answer(Sightings { vote: None, ..told })), Some((StatementKind::Timeout, 8)));
    assert_eq!(stranger(&answer(Sightings { vote: None, timeout: None, ..told })), Some((StatementKind::Proposal, 6)));
    assert_eq!(stranger(&answer(Sightings { of: OTHER, ..told })), None, "about another validator");
}

#[test]
fn what_is_kept_is_bounded_by_the_committee() {
    let mut seen = Seen::new(Epoch(0));
    for round in 2..2_000 {
        seen.note(&sync(qc(round, &[ME, OTHER]), genesis(), Some(tc(round, &[ME, OTHER], genesis()))));
    }
    assert_eq!((seen.newest.len(), seen.recent.len()), (2, RECENT_MAX));
    assert_eq!(seen.of(OTHER).vote.unwrap().vote_info.round, Round(1_999));
}
