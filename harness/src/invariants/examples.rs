//! Messages and headers for the checkers' tests. Signatures are empty, because the checkers only read contents.

#![allow(clippy::unwrap_used, reason = "for tests")]

use quorate_types::{
    block::{Block, BlockContent, Proposal},
    committee::SignerSet,
    crypto::{Hash, Signature},
    header::Header,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    message::{Message, SyncInfo},
    round::{Epoch, Height, Round, UnixMillis},
    timeout::{Timeout, TimeoutCert, TimeoutMessage},
    vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
};

const SIGNATURE: Signature = Signature([0; 64]);

fn infos(round: u64, parent_round: u64, id: BlockId) -> (VoteInfo, LedgerCommitInfo) {
    let vote_info = VoteInfo {
        id,
        round: Round(round),
        parent_id: BlockId::default(),
        parent_round: Round(parent_round),
        exec_state_id: StateId::default(),
    };
    let commit_info = LedgerCommitInfo {
        genesis_hash: GenesisHash(Hash([1; 32])),
        epoch: Epoch(0),
        commit_state_id: None,
        vote_info_hash: vote_info.digest(),
    };
    (vote_info, commit_info)
}

/// A certificate by these signers for a block whose parent is of `parent_round`.
#[must_use]
pub fn qc(round: u64, parent_round: u64, id: BlockId, signers: &[u16]) -> QuorumCert {
    let (vote_info, commit_info) = infos(round, parent_round, id);
    let signers: SignerSet = signers.iter().map(|id| ValidatorId(*id)).collect();
    QuorumCert { vote_info, commit_info, signers, signatures: vec![SIGNATURE; signers.len()].try_into().unwrap() }
}

/// The certificate of a block in `round` whose parent is the block of `header`.
#[must_use]
pub fn qc_on(round: u64, header: &Header) -> QuorumCert {
    let mut qc = qc(round, header.round.0, BlockId(Hash([7; 32])), &[1, 2, 3]);
    qc.vote_info.parent_id = header.block_id;
    qc.commit_info.commit_state_id = Some(header.state_id());
    qc
}

/// A vote for a block whose parent is of `parent_round`.
#[must_use]
pub fn vote(sender: u16, round: u64, parent_round: u64, id: BlockId) -> Message {
    let (vote_info, commit_info) = infos(round, parent_round, id);
    let high_commit_qc = qc(0, 0, BlockId::default(), &[]);
    Message::Vote(Box::new(Vote { vote_info, commit_info, high_commit_qc, sender: ValidatorId(sender), signature: SIGNATURE }))
}

/// A timeout with a certificate of `high_qc_round`.
#[must_use]
pub fn timeout(sender: u16, round: u64, high_qc_round: u64) -> Message {
    let high_qc = qc(high_qc_round, high_qc_round.saturating_sub(1), BlockId::default(), &[]);
    Message::Timeout(Box::new(TimeoutMessage {
        timeout: Timeout { epoch: Epoch(0), round: Round(round), high_qc, sender: ValidatorId(sender), signature: SIGNATURE },
        last_round_tc: None,
        high_commit_qc: qc(0, 0, BlockId::default(), &[]),
    }))
}

/// A proposal in `round` with this time, extending the block of the round before.
#[must_use]
pub fn proposal_at(author: u16, round: u64, timestamp: UnixMillis) -> (Message, BlockId) {
    proposed(block(author, round, round.saturating_sub(1), timestamp), None)
}

/// A proposal on a certificate of `parent_round`, and the block's id. `tc` is the timeout certificate's round and the highest round in it.
#[must_use]
pub fn proposal(author: u16, round: u64, parent_round: u64, tc: Option<(u64, u64)>) -> (Message, BlockId) {
    proposed(block(author, round, parent_round, UnixMillis(1)), tc)
}

fn block(author: u16, round: u64, parent_round: u64, timestamp: UnixMillis) -> Block {
    Block::new(BlockContent {
        genesis_hash: GenesisHash(Hash([1; 32])),
        epoch: Epoch(0),
        author: ValidatorId(author),
        round: Round(round),
        timestamp,
        payload: vec![].try_into().unwrap(),
        qc: qc(parent_round, parent_round.saturating_sub(1), BlockId::default(), &[]),
    })
}

fn proposed(block: Block, tc: Option<(u64, u64)>) -> (Message, BlockId) {
    let id = block.id();
    let last_round_tc = tc.map(|(round, highest)| TimeoutCert {
        epoch: Epoch(0),
        round: Round(round),
        signers: [ValidatorId(2), ValidatorId(3)].into_iter().collect(),
        high_qc_rounds: vec![Round(highest), Round(highest.saturating_sub(1))].try_into().unwrap(),
        signatures: vec![SIGNATURE; 2].try_into().unwrap(),
        high_qc: qc(highest, highest.saturating_sub(1), BlockId::default(), &[]),
    });
    let high_commit_qc = qc(0, 0, BlockId::default(), &[]);
    (Message::Proposal(Box::new(Proposal { block, last_round_tc, high_commit_qc, signature: SIGNATURE })), id)
}

/// A sync info with this certificate.
#[must_use]
pub fn sync_info(high_qc: QuorumCert) -> Message {
    Message::SyncInfo(Box::new(SyncInfo { high_qc, high_commit_qc: qc(0, 0, BlockId::default(), &[]), last_round_tc: None }))
}

/// A timeout certificate of `round` that carries `high_qc`.
pub fn given_up(round: u64, high_qc: QuorumCert) -> Message {
    let Message::SyncInfo(mut info) = sync_info(qc(0, 0, BlockId::default(), &[])) else { unreachable!() };
    let signers: SignerSet = [1, 2, 3].map(ValidatorId).into_iter().collect();
    info.last_round_tc = Some(TimeoutCert {
        epoch: Epoch(0),
        round: Round(round),
        signers,
        high_qc_rounds: vec![high_qc.vote_info.round; signers.len()].try_into().unwrap(),
        signatures: vec![SIGNATURE; signers.len()].try_into().unwrap(),
        high_qc,
    });
    Message::SyncInfo(info)
}

/// The header of an empty block.
#[must_use]
pub fn header(height: u64, round: u64, parent: StateId) -> Header {
    Header {
        genesis_hash: GenesisHash(Hash([1; 32])),
        epoch: Epoch(0),
        height: Height(height),
        round: Round(round),
        block_id: BlockId(Hash::of(&quorate_types::block::BLOCK, &round.to_le_bytes())),
        parent,
        timestamp: UnixMillis(height),
        transactions_root: Hash::default(),
        receipts_root: Hash::default(),
        state_root: Hash::default(),
        epoch_state: Hash::default(),
    }
}
