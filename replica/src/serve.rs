//! Answers to lagging validators, and bounds on those that never stop asking (B21).
//!
//! The replica decides which requests are answered and keeps the accounts; its driver reads the blocks, off the protocol's thread:
//! ```text
//! request --Quota::take--> Output::Serve(job) --driver: job.answer(reader)--> message to the requester
//!                                                                        `--> Input::Served(bytes) --> Quota::served
//! ```

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use quorate_consensus::BlockTree;
use quorate_ledger::{Ledger, LedgerError, LedgerReader, Store};
use quorate_types::{
    block::{Block, payload_bytes},
    codec::Bounded,
    crypto::Signature,
    ids::ValidatorId,
    message::{
        ANSWER_BYTES_MAX, CATCHUP_BLOCKS_MAX, CatchupRequest, CatchupResponse, FETCH_BLOCKS_MAX, FetchRequest, FetchResponse, Message,
    },
    proof::CommitProof,
    round::{Height, Round},
    verify::Verified,
};

/// Bytes of answers per second, to all validators together. Each has an equal share, so none draws at another's cost.
const BYTES_PER_SECOND: u64 = 16 << 20;
/// How much a validator may draw at once after a long silence.
const BURST_BYTES: u64 = 4 << 20;
/// What an answer costs besides its bytes: reading and sending a small one is work too.
const ANSWER_COST_BYTES: u64 = 16 << 10;
/// Most requests of one validator being answered at a time. Further ones are dropped; the requester retries.
const UNDER_WAY_MAX: u32 = 4;
/// Most bytes a block adds to an answer besides its transactions and signatures: its fields and those of its certificate.
const BLOCK_OVERHEAD_BYTES: usize = 1_024;
/// Most bytes a transaction adds besides its own: their length.
const TRANSACTION_OVERHEAD_BYTES: usize = 5;

/// What each validator has drawn. Bounded by the size of the committee, since only members get here.
#[derive(Debug)]
pub(crate) struct Quota {
    bytes_per_second: u64,
    accounts: BTreeMap<ValidatorId, Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// Bytes served and not yet paid off, as of `at`.
    debt: u64,
    at: Duration,
    under_way: u32,
}

impl Quota {
    /// For the next committee. What a validator has drawn stays drawn.
    pub(crate) fn set_members(&mut self, validators: usize) {
        self.bytes_per_second = Self::new(validators).bytes_per_second;
    }

    /// For a committee of this size.
    pub(crate) fn new(validators: usize) -> Self {
        let others = u64::try_from(validators).unwrap_or(u64::MAX).saturating_sub(1).max(1);
        Self { bytes_per_second: BYTES_PER_SECOND.checked_div(others).unwrap_or(BYTES_PER_SECOND), accounts: BTreeMap::new() }
    }

    /// Whether to answer another request of this validator now. The cost of an answer is known only once it is made, so a validator can
    /// overdraw its share by [`UNDER_WAY_MAX`] answers; it then waits that much longer.
    pub(crate) fn take(&mut self, to: ValidatorId, elapsed: Duration) -> bool {
        let account = self.accounts.entry(to).or_default();
        let micros = u64::try_from(elapsed.saturating_sub(account.at).as_micros()).unwrap_or(u64::MAX);
        let paid = self.bytes_per_second.saturating_mul(micros) / 1_000_000;
        if paid > 0 {
            (account.debt, account.at) = (account.debt.saturating_sub(paid), elapsed);
        }
        let is_answered = account.under_way < UNDER_WAY_MAX && account.debt < BURST_BYTES;
        if is_answered {
            account.under_way = account.under_way.saturating_add(1);
        }
        is_answered
    }

    /// A request has been answered with this many bytes.
    pub(crate) fn served(&mut self, to: ValidatorId, bytes: usize) {
        let account = self.accounts.entry(to).or_default();
        account.under_way = account.under_way.saturating_sub(1);
        account.debt = account.debt.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX)).saturating_add(ANSWER_COST_BYTES);
    }
}

/// A request to answer. The driver calls [`Self::answer`], sends the answer to [`Self::to`], and tells the replica with
/// [`crate::Input::Served`].
#[derive(Debug)]
pub struct Serve {
    to: ValidatorId,
    request: Request,
}

#[derive(Debug)]
enum Request {
    Fetch {
        request: FetchRequest,
        /// The uncommitted blocks at the start of the answer.
        pending: Vec<Arc<Verified<Block>>>,
        /// Round of the next block, if known.
        round: Option<Round>,
    },
    CatchUp(CatchupRequest),
}

impl Serve {
    /// A block, pending or committed, and its ancestors above a round.
    pub(crate) fn fetch<S: Store>(to: ValidatorId, request: FetchRequest, tree: &BlockTree, ledger: &Ledger<S>) -> Self {
        let mut pending: Vec<Arc<Verified<Block>>> = Vec::new();
        let mut bytes = 0usize;
        let mut next = request.block_id;
        while pending.len() < FETCH_BLOCKS_MAX
            && bytes < ANSWER_BYTES_MAX
            && let Some(block) = tree.get(&next).filter(|block| block.round() > request.above || pending.is_empty())
        {
            bytes = bytes.saturating_add(encoded_bytes_max(block));
            next = block.parent_id();
            pending.push(Arc::clone(block));
        }
        let round = pending.last().map_or_else(|| ledger.forgotten(&next), |block| Some(block.qc().round()));
        Self { to, request: Request::Fetch { request, pending, round } }
    }

    /// Committed blocks from a height on.
    pub(crate) const fn catch_up(to: ValidatorId, request: CatchupRequest) -> Self {
        Self { to, request: Request::CatchUp(request) }
    }

    /// The validator that asked.
    #[must_use]
    pub const fn to(&self) -> ValidatorId {
        self.to
    }

    /// Reads the requested blocks. Bounded in blocks and bytes.
    ///
    /// # Errors
    /// [`LedgerError`]: the store failed.
    pub fn answer<S: Store>(self, reader: &LedgerReader<S>) -> Result<Message, LedgerError> {
        match self.request {
            Request::Fetch { request, pending, round } => answer_fetch(request, &pending, round, reader),
            Request::CatchUp(request) => answer_catch_up(request, reader),
        }
    }
}

fn answer_fetch<S: Store>(
    request: FetchRequest,
    pending: &[Arc<Verified<Block>>],
    mut round: Option<Round>,
    reader: &LedgerReader<S>,
) -> Result<Message, LedgerError> {
    let mut blocks: Vec<Block> = pending.iter().map(|block| (***block).clone()).collect();
    let mut bytes = blocks.iter().map(encoded_bytes_max).fold(0, usize::saturating_add);
    let mut next = blocks.last().map_or(request.block_id, Block::parent_id);
    while blocks.len() < FETCH_BLOCKS_MAX && bytes < ANSWER_BYTES_MAX {
        let Some(block) = unless_damaged(reader.block(&next, round))? else { break };
        if block.round() <= request.above && !blocks.is_empty() {
            break;
        }
        bytes = bytes.saturating_add(encoded_bytes_max(&block));
        (next, round) = (block.parent_id(), Some(block.qc().round()));
        blocks.push(block);
    }
    let blocks = Bounded::truncated(blocks);
    Ok(Message::FetchResponse(Box::new(FetchResponse { block_id: request.block_id, blocks })))
}

/// Most bytes that a block takes in a message.
fn encoded_bytes_max(block: &Block) -> usize {
    let signatures = block.qc().signatures.len().saturating_mul(size_of::<Signature>());
    let lengths = block.payload().len().saturating_mul(TRANSACTION_OVERHEAD_BYTES);
    [payload_bytes(block.payload()), lengths, signatures].into_iter().fold(BLOCK_OVERHEAD_BYTES, usize::saturating_add)
}

/// Treats damaged data as missing: other validators have it.
fn unless_damaged<T>(read: Result<Option<T>, LedgerError>) -> Result<Option<T>, LedgerError> {
    match read {
        Err(error) if error.is_damage() => Ok(None),
        read => read,
    }
}

/// Committed blocks from a height on, with the certificate that commits the last of them, or the headers that lead there.
fn answer_catch_up<S: Store>(request: CatchupRequest, reader: &LedgerReader<S>) -> Result<Message, LedgerError> {
    let from = request.from.max(Height(1));
    let found = unless_damaged(reader.blocks_from(from, CATCHUP_BLOCKS_MAX, ANSWER_BYTES_MAX))?;
    let response = match found {
        None => CatchupResponse::nothing_from(from),
        Some((blocks, CommitProof { headers, qc })) => {
            let directly = headers.len() == 1 && qc.commits().map(|(id, ..)| id) == blocks.last().map(Block::id);
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
        round::{Epoch, Sequence, UnixMillis},
        transaction::Transaction,
        vote::QuorumCert,
    };

    use super::*;

    const PEER: ValidatorId = ValidatorId(1);
    const OTHER: ValidatorId = ValidatorId(2);

    /// How many answers of `bytes` bytes a validator gets in `seconds` seconds if it asks as fast as it can.
    fn answers(quota: &mut Quota, to: ValidatorId, bytes: usize, from: u64, seconds: u64) -> u64 {
        let mut answers = 0;
        for millis in from * 1_000..(from + seconds) * 1_000 {
            while quota.take(to, Duration::from_millis(millis)) {
                quota.served(to, bytes);
                answers += 1;
            }
        }
        answers
    }

    #[test]
    fn a_validator_that_asks_without_end_draws_its_share_and_no_more_whatever_the_size_of_answers() {
        for validators in [2usize, 4, 128] {
            let share = BYTES_PER_SECOND / (validators as u64 - 1);
            for bytes in [0usize, 1_000, ANSWER_BYTES_MAX] {
                let mut quota = Quota::new(validators);
                let seconds = 60;
                let drawn = answers(&mut quota, PEER, bytes, 0, seconds) * (bytes as u64 + ANSWER_COST_BYTES);
                let allowed = share * seconds + BURST_BYTES;
                assert!(drawn <= allowed + bytes as u64 + ANSWER_COST_BYTES, "{validators} validators, {bytes}: {drawn} of {allowed}");
                assert!(drawn * 10 >= allowed * 9, "{validators} validators, {bytes}: {drawn} of {allowed}");
            }
        }
    }

    #[test]
    fn what_one_validator_draws_is_not_missing_from_another() {
        let mut quota = Quota::new(4);
        answers(&mut quota, PEER, ANSWER_BYTES_MAX, 0, 10);
        let alone = answers(&mut Quota::new(4), OTHER, ANSWER_BYTES_MAX, 10, 1);
        assert_eq!(answers(&mut quota, OTHER, ANSWER_BYTES_MAX, 10, 1), alone);
    }

    #[test]
    fn requests_that_are_not_answered_yet_are_few_and_an_answer_makes_room() {
        let mut quota = Quota::new(4);
        let taken = (0..1_000).filter(|_| quota.take(PEER, Duration::ZERO)).count();
        assert_eq!(taken, UNDER_WAY_MAX as usize);
        quota.served(PEER, 0);
        assert!(quota.take(PEER, Duration::ZERO));
        assert!(!quota.take(PEER, Duration::from_secs(1_000)));
    }

    #[test]
    fn a_debt_is_paid_however_often_a_validator_asks_and_a_burst_is_its_bound() {
        let mut quota = Quota::new(128);
        let burst = usize::try_from(BURST_BYTES - ANSWER_COST_BYTES).unwrap();
        assert!(quota.take(PEER, Duration::ZERO));
        quota.served(PEER, burst);
        assert!(!quota.take(PEER, Duration::ZERO), "the whole burst is used");
        // So often that nothing is paid between two questions.
        assert!((1..1_000_000).any(|micros| quota.take(PEER, Duration::from_micros(micros))));
    }

    #[test]
    fn a_block_is_counted_with_every_signature_and_every_length() {
        let (genesis_hash, epoch, hash) = (GenesisHash(Hash([7; 32])), Epoch(u64::MAX), Hash([7; 32]));
        let key = SigningKey::from_seed(&[1; 32]);
        let smallest = Transaction::sign(genesis_hash, &key, Sequence(0), UnixMillis(u64::MAX), Vec::new());
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
