//! Answers to validators that are behind. Bounded in blocks and bytes for each answer, and in answers for each validator and second (B21).

use std::{collections::BTreeMap, time::Duration};

use quorate_app::Application;
use quorate_consensus::BlockTree;
use quorate_ledger::{Ledger, LedgerError, LedgerReader, Store};
use quorate_types::{
    block::{Block, payload_bytes},
    codec::Bounded,
    crypto::Signature,
    ids::{BlockId, ValidatorId},
    message::{
        ANSWER_BYTES_MAX, CATCHUP_BLOCKS_MAX, CatchupRequest, CatchupResponse, FETCH_BLOCKS_MAX, FetchRequest, FetchResponse, Message,
    },
    proof::CommitProof,
    round::{Height, Round},
};

/// Answers for one validator in one second.
const ANSWERS_PER_SECOND_MAX: u32 = 100;
/// What a block costs an answer besides its transactions and signatures, at most: its fields and those of its certificate.
const BLOCK_OVERHEAD_BYTES: usize = 1_024;
/// What a transaction costs besides its bytes, at most: their length.
const TRANSACTION_OVERHEAD_BYTES: usize = 5;

/// How often each validator has been answered.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    answered: BTreeMap<ValidatorId, (u64, u32)>,
}

impl Quota {
    /// Whether another answer may go to this validator now. Bounded by the size of the committee, as only members get here.
    pub(crate) fn take(&mut self, to: ValidatorId, elapsed: Duration) -> bool {
        let (second, count) = self.answered.entry(to).or_default();
        if *second != elapsed.as_secs() {
            (*second, *count) = (elapsed.as_secs(), 0);
        }
        *count = count.saturating_add(1);
        *count <= ANSWERS_PER_SECOND_MAX
    }
}

/// A block above the root or committed, and its ancestors above a round.
pub(crate) fn fetch<S: Store, A: Application>(
    request: FetchRequest,
    tree: &BlockTree,
    ledger: &Ledger<S, A>,
) -> Result<Message, LedgerError> {
    let reader = ledger.reader();
    let mut blocks: Vec<Block> = Vec::new();
    let mut bytes = 0usize;
    let mut next = request.block_id;
    while blocks.len() < FETCH_BLOCKS_MAX && bytes < ANSWER_BYTES_MAX {
        let Some(block) = find(next, tree, ledger, &reader)? else { break };
        if block.round() <= request.above && !blocks.is_empty() {
            break;
        }
        bytes = bytes.saturating_add(encoded_bytes_max(&block));
        next = block.parent_id();
        blocks.push(block);
    }
    let blocks = Bounded::truncated(blocks);
    Ok(Message::FetchResponse(Box::new(FetchResponse { block_id: request.block_id, blocks })))
}

/// How many bytes a block takes in a message, at most.
fn encoded_bytes_max(block: &Block) -> usize {
    let signatures = block.qc().signatures.len().saturating_mul(size_of::<Signature>());
    let lengths = block.payload().len().saturating_mul(TRANSACTION_OVERHEAD_BYTES);
    [payload_bytes(block.payload()), lengths, signatures].into_iter().fold(BLOCK_OVERHEAD_BYTES, usize::saturating_add)
}

fn find<S: Store, A: Application>(
    id: BlockId,
    tree: &BlockTree,
    ledger: &Ledger<S, A>,
    reader: &LedgerReader<S>,
) -> Result<Option<Block>, LedgerError> {
    if let Some(block) = tree.get(&id) {
        return Ok(Some((***block).clone()));
    }
    if let Some(block) = ledger.forgotten(&id)? {
        return Ok(Some(block));
    }
    let committed = reader.height_of(&id).and_then(|height| height.map_or(Ok(None), |height| reader.block_at(height)));
    Ok(unless_damaged(committed)?.and_then(|stored| stored.block).filter(|block| block.round() > Round(0)))
}

/// What is damaged here is as good as not here: others have it.
fn unless_damaged<T>(read: Result<Option<T>, LedgerError>) -> Result<Option<T>, LedgerError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read,
    }
}

/// Committed blocks from a height on, with the certificate that commits the last of them, or the headers that lead there.
pub(crate) fn catch_up<S: Store, A: Application>(request: CatchupRequest, ledger: &Ledger<S, A>) -> Result<Message, LedgerError> {
    let from = request.from.max(Height(1));
    let found = unless_damaged(ledger.reader().blocks_from(from, CATCHUP_BLOCKS_MAX, ANSWER_BYTES_MAX))?;
    let response = match found {
        None => CatchupResponse::nothing_from(from),
        Some((blocks, CommitProof { headers, qc })) => {
            let directly = headers.len() == 1;
            let headers = if directly { Bounded::default() } else { headers };
            CatchupResponse { from, blocks: Bounded::truncated(blocks), headers, commit_qc: Some(qc) }
        }
    };
    Ok(Message::CatchupResponse(Box::new(response)))
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        block::BlockContent,
        codec,
        committee::{SignerSet, VALIDATORS_MAX},
        crypto::{Hash, SigningKey},
        ids::{GenesisHash, StateId},
        operation::Operation,
        round::{Epoch, Sequence, UnixMillis},
        transaction::Transaction,
        vote::QuorumCert,
    };

    use super::*;

    #[test]
    fn a_block_is_counted_with_every_signature_and_every_length() {
        let (genesis_hash, epoch, hash) = (GenesisHash(Hash([7; 32])), Epoch(u64::MAX), Hash([7; 32]));
        let key = SigningKey::from_seed(&[1; 32]);
        let smallest = Transaction::sign(genesis_hash, &key, Sequence(0), UnixMillis(u64::MAX), &Operation::Opaque(Vec::new()));
        let all: SignerSet = (0u16..).take(VALIDATORS_MAX).map(ValidatorId).collect();
        for (signers, transactions) in [(0, 0), (VALIDATORS_MAX, 0), (VALIDATORS_MAX, 1), (VALIDATORS_MAX, 8_192)] {
            let signatures = vec![Signature([1; 64]); signers].try_into().unwrap();
            let genesis = QuorumCert::genesis(epoch, genesis_hash, StateId(hash));
            let block = Block::new(BlockContent {
                genesis_hash,
                epoch,
                author: ValidatorId(u16::MAX),
                round: Round(u64::MAX),
                timestamp: UnixMillis(u64::MAX),
                payload: Bounded::truncated(vec![smallest.clone(); transactions]),
                qc: QuorumCert { signers: all, signatures, ..genesis },
            });
            let bytes = codec::encode(&block).len();
            assert!(bytes <= encoded_bytes_max(&block), "{signers} signers, {transactions} transactions: {bytes}");
        }
    }
}
