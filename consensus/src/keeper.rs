//! Holds a consensus key for a node that does not: signs what the rules of §3.4 allow, by a memory of its own.
//!
//! ```text
//! statement --> Record::after: SAFE-1, SAFE-3, SAFE-5 --> next record --> written and synced --> one signature
//! ```
//! A statement shows less than the engine knows: no certificates. So the keeper cannot check SAFE-2, which stays with the node. What it
//! guarantees alone, whatever asks it, is that no two of its signatures contradict each other: two nodes that share a keeper cannot make it
//! vote twice, and neither can a node that was taken over.
//!
//! ```text
//! file   two slots (`quorate_types::slots`)
//! body   | length u16 | magic "QRTKEEP1" | counter u64 | key 32 | record | zeros up to 1,024 bytes |
//! record   genesis 32 | epoch u64 | highest_vote_round u64 | highest_qc_round u64 | last_proposed_round u64
//!          | last_vote (option: vote info, commit info) | last_timeout (option: round u64, round of its certificate u64)
//!          | last_proposal (option: block id 32)
//! ```

use quorate_types::{
    codec,
    crypto::{PublicKey, Signature, SigningKey, Tag},
    ids::{BlockId, GenesisHash},
    round::{Epoch, Round},
    signing::Unsigned,
    slots::{self, SlotWrite},
    vote::{LedgerCommitInfo, VoteInfo},
};
use serde::{Deserialize, Serialize};

use crate::safety::SafetyRecord;

/// Domain of slot checksums.
pub const KEEPER_SLOT: Tag = Tag::new("quorate/keeper-slot");

const MAGIC: [u8; 8] = *b"QRTKEEP1";
const BODY_BYTES: usize = 1_024;

/// What the key may no longer sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    genesis_hash: GenesisHash,
    epoch: Epoch,
    /// SAFE-1, as in [`SafetyRecord`].
    highest_vote_round: Round,
    /// SAFE-3.
    highest_qc_round: Round,
    /// SAFE-5.
    last_proposed_round: Round,
    last_vote: Option<(VoteInfo, LedgerCommitInfo)>,
    last_timeout: Option<(Round, Round)>,
    last_proposal: Option<BlockId>,
}

/// Why a statement is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It is of another network. The genesis is that of the record.
    #[error("it is of another network than {0}")]
    Network(GenesisHash),
    /// It is of an earlier epoch. The epoch is that of the record.
    #[error("the key has signed in epoch {0} already")]
    Epoch(Epoch),
    /// No honest node says this in any state.
    #[error("it contradicts itself")]
    Inconsistent,
    /// SAFE-1. The round is the counter's.
    #[error("SAFE-1: the key has voted in round {0} or later, or given it up")]
    Voted(Round),
    /// SAFE-3. The round is the lock's.
    #[error("SAFE-3: the key has voted for a block on a certificate of round {0}, which is newer")]
    HidesQc(Round),
    /// SAFE-5. The round is the counter's.
    #[error("SAFE-5: the key has proposed in round {0} or later")]
    Proposed(Round),
    /// An earlier write failed, so it is not known what the record on disk says.
    #[error("the record could not be written; the signer must be started again")]
    Broken,
}

/// The file of a keeper cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeeperDamaged {
    /// Neither of its slots is intact.
    #[error("neither of its two slots is intact")]
    Slots,
    /// It belongs to another key.
    #[error("it belongs to the key {0}")]
    OtherKey(PublicKey),
    /// It cannot be written.
    #[error("it cannot be written")]
    Unwritable,
}

impl Record {
    /// The record of a key that has signed nothing.
    #[must_use]
    pub const fn new(genesis_hash: GenesisHash, epoch: Epoch) -> Self {
        Self {
            genesis_hash,
            epoch,
            highest_vote_round: Round(0),
            highest_qc_round: Round(0),
            last_proposed_round: Round(0),
            last_vote: None,
            last_timeout: None,
            last_proposal: None,
        }
    }

    /// The network and the epoch it belongs to.
    #[must_use]
    pub const fn scope(&self) -> (GenesisHash, Epoch) {
        (self.genesis_hash, self.epoch)
    }

    /// The highest round in which anything was signed.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        self.highest_vote_round.max(self.last_proposed_round)
    }

    /// The record once this statement is signed.
    ///
    /// # Errors
    /// [`Refusal`]: the rule that forbids the signature.
    pub fn after(&self, unsigned: &Unsigned) -> Result<Self, Refusal> {
        let (genesis_hash, epoch) = unsigned.scope();
        if genesis_hash != self.genesis_hash {
            return Err(Refusal::Network(self.genesis_hash));
        }
        if epoch < self.epoch {
            return Err(Refusal::Epoch(self.epoch));
        }
        // Statements of two epochs cannot contradict each other.
        let held = if epoch == self.epoch { *self } else { Self::new(genesis_hash, epoch) };
        match unsigned {
            Unsigned::Vote(vote_info, commit_info) => held.after_vote(*vote_info, *commit_info),
            Unsigned::Timeout { round, high_qc_round, .. } => held.after_timeout(*round, *high_qc_round),
            Unsigned::Proposal { head, .. } => held.after_proposal(head.round, head.id(genesis_hash, epoch)),
        }
    }

    fn after_vote(self, vote_info: VoteInfo, commit_info: LedgerCommitInfo) -> Result<Self, Refusal> {
        let VoteInfo { round, parent_round, .. } = vote_info;
        let names_commit = commit_info.commit_state_id.is_some() == vote_info.commits_parent();
        if !is_possible(round, parent_round) || !names_commit || commit_info.vote_info_hash != vote_info.digest() {
            return Err(Refusal::Inconsistent);
        }
        // S9: the same vote again, unless its round was given up.
        let given_up = self.last_timeout.is_some_and(|(last, _)| last >= round);
        if self.last_vote == Some((vote_info, commit_info)) && !given_up {
            return Ok(self);
        }
        if round <= self.highest_vote_round {
            return Err(Refusal::Voted(self.highest_vote_round));
        }
        Ok(Self {
            highest_vote_round: round,
            highest_qc_round: self.highest_qc_round.max(parent_round),
            last_vote: Some((vote_info, commit_info)),
            ..self
        })
    }

    fn after_timeout(self, round: Round, high_qc_round: Round) -> Result<Self, Refusal> {
        if !is_possible(round, high_qc_round) {
            return Err(Refusal::Inconsistent);
        }
        if self.last_timeout == Some((round, high_qc_round)) {
            return Ok(self);
        }
        // A timeout may follow a vote of the same round, but not another timeout (D10).
        let is_another = self.last_timeout.is_some_and(|(last, _)| last == round);
        if round < self.highest_vote_round || is_another {
            return Err(Refusal::Voted(self.highest_vote_round));
        }
        if high_qc_round < self.highest_qc_round {
            return Err(Refusal::HidesQc(self.highest_qc_round));
        }
        Ok(Self { highest_vote_round: round, last_timeout: Some((round, high_qc_round)), ..self })
    }

    fn after_proposal(self, round: Round, id: BlockId) -> Result<Self, Refusal> {
        if !is_possible(round, Round(0)) {
            return Err(Refusal::Inconsistent);
        }
        if self.last_proposal == Some(id) {
            return Ok(self);
        }
        if round <= self.last_proposed_round {
            return Err(Refusal::Proposed(self.last_proposed_round));
        }
        Ok(Self { last_proposed_round: round, last_proposal: Some(id), ..self })
    }
}

/// Whether a round can be, and be above another one.
fn is_possible(round: Round, below: Round) -> bool {
    round > below && round < Round::LIMIT
}

impl From<&SafetyRecord> for Record {
    /// What the node that held the key until now remembers.
    fn from(record: &SafetyRecord) -> Self {
        let (genesis_hash, epoch) = record.scope();
        Self {
            genesis_hash,
            epoch,
            highest_vote_round: record.highest_vote_round(),
            highest_qc_round: record.highest_qc_round(),
            last_proposed_round: record.last_proposed_round(),
            last_vote: record.last_vote(),
            last_timeout: record.last_timeout().map(|(round, high_qc, _)| (round, high_qc.round())),
            last_proposal: record.last_proposal(),
        }
    }
}

/// The file of a keeper's record. It exists before the first start ([`new_file`]), and only one keeper writes it.
pub trait KeeperFile: std::fmt::Debug + Send {
    /// Why a write failed.
    type Error: std::fmt::Debug;

    /// Overwrites bytes at an offset; returns once they are on stable storage. A failed write is never retried.
    ///
    /// # Errors
    /// The write or its sync failed.
    fn write_sync(&mut self, at: usize, bytes: &[u8]) -> Result<(), Self::Error>;
}

#[derive(Serialize, Deserialize)]
struct Body<R> {
    magic: [u8; 8],
    counter: u64,
    key: PublicKey,
    record: R,
}

/// The content of a new file.
#[must_use]
pub fn new_file(key: PublicKey, record: &Record) -> Vec<u8> {
    slots::whole([0, 1].map(|counter| slot(key, counter, record)))
}

/// The key and the record in a file, and its counter.
///
/// # Errors
/// [`KeeperDamaged::Slots`].
pub fn read_file(file: &[u8]) -> Result<(PublicKey, Record, u64), KeeperDamaged> {
    let decode = |bytes: &[u8]| {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (body, zeros) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let body: Body<Record> = codec::decode(body, BODY_BYTES).ok()?;
        (body.magic == MAGIC && zeros.iter().all(|byte| *byte == 0)).then_some((body.counter, (body.key, body.record)))
    };
    let (counter, (key, record)) = slots::newest(&KEEPER_SLOT, file, BODY_BYTES, decode).ok_or(KeeperDamaged::Slots)?;
    Ok((key, record, counter))
}

fn slot(key: PublicKey, counter: u64, record: &Record) -> SlotWrite {
    let body = codec::encode(&Body { magic: MAGIC, counter, key, record });
    let mut bytes = Vec::with_capacity(BODY_BYTES);
    bytes.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    bytes.extend(body);
    bytes.resize(BODY_BYTES, 0);
    slots::slot(&KEEPER_SLOT, counter, bytes)
}

/// The key with its record.
#[derive(Debug)]
pub struct Keeper<F> {
    key: SigningKey,
    file: F,
    counter: u64,
    record: Record,
    is_broken: bool,
}

impl<F: KeeperFile> Keeper<F> {
    /// Continues from the content of its file.
    ///
    /// # Errors
    /// [`KeeperDamaged`].
    pub fn open(key: SigningKey, mut file: F, content: &[u8]) -> Result<Self, KeeperDamaged> {
        let (owner, record, counter) = read_file(content)?;
        if owner != key.public() {
            return Err(KeeperDamaged::OtherKey(owner));
        }
        // After a sync that failed, the system may show what is not on the disk. So what is relied on is written again, in its place.
        let SlotWrite { at, bytes } = slot(owner, counter, &record);
        file.write_sync(at, &bytes).map_err(|_| KeeperDamaged::Unwritable)?;
        Ok(Self { key, file, counter, record, is_broken: false })
    }

    /// The public half of the key.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// What the key may no longer sign.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The key and the file, as they were before [`Self::open`].
    #[must_use]
    pub fn close(self) -> (SigningKey, F) {
        (self.key, self.file)
    }

    /// Signs a statement if the rules allow it, once the record that forbids what contradicts it is durable.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn sign(&mut self, unsigned: &Unsigned) -> Result<Signature, Refusal> {
        if self.is_broken {
            return Err(Refusal::Broken);
        }
        let next = self.record.after(unsigned)?;
        if next != self.record {
            let counter = self.counter.saturating_add(1);
            let SlotWrite { at, bytes } = slot(self.key.public(), counter, &next);
            if self.file.write_sync(at, &bytes).is_err() {
                self.is_broken = true;
                return Err(Refusal::Broken);
            }
            (self.counter, self.record) = (counter, next);
        }
        Ok(self.key.sign(&unsigned.digest()))
    }
}

#[cfg(test)]
mod tests;
