//! How far a consensus key has signed: a small file beside the key, outside the data directory, whose loss or age it is to notice.
//!
//! Whoever makes a key writes the first one, which says that the key is unused. From then on it is written and synced before every
//! signature, after the safety record is: so what it says is never ahead of the record, and at most one write behind it.
//!
//! ```text
//! file   | slot 0, padded to 4,096 bytes | slot 1, padded to 4,096 bytes |    written in turns, so a torn write spares the older slot
//! slot   | magic "QRTWITN1" | counter u64 | state u8 | key 32 | genesis 32 | count u64 | round u64 | record 32 | kind u8 | stopped u64
//!        | checksum 32 |                                                      170 bytes, integers little-endian
//! state    0 unused (the rest is zero), 1 signed, 2 stopped: in round `stopped` a statement of `kind` (0 vote, 1 timeout, 2 proposal) was
//!          seen that carries the key's signature and that the record does not know
//! count    how many safety records were made durable; round: the highest round signed in; record: hash of the newest record
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    crypto::{Hash, PublicKey, Tag},
    ids::GenesisHash,
    round::Round,
    sighting::StatementKind,
};

/// Domain of the checksum of a slot.
pub const WITNESS_SLOT: Tag = Tag::new("quorate/witness-slot");
/// Domain of the hash of a safety record.
pub const SAFETY_RECORD: Tag = Tag::new("quorate/safety-record");
/// Length of the file, in bytes.
pub const WITNESS_BYTES: usize = 2 * STRIDE;

/// Slots lie in different pages and sectors.
const STRIDE: usize = 4_096;
const MAGIC: [u8; 8] = *b"QRTWITN1";
/// Of a slot without its checksum.
const BODY_BYTES: usize = 138;
const CHECKSUM_BYTES: usize = 32;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The key that it is about.
    pub key: PublicKey,
    /// What that key has done.
    pub history: History,
}

/// What a key has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// It has signed nothing, on any network.
    Unused,
    /// It has signed on one network.
    Signed(Mark),
    /// Its signature was seen under a statement that its record does not know: it must never sign again.
    Stopped(Mark, Stop),
}

/// How far a key has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// On which network.
    pub genesis: GenesisHash,
    /// How many safety records were made durable for it.
    pub count: u64,
    /// The highest round in which something was signed.
    pub round: Round,
    /// The hash of the newest safety record.
    pub record: Hash,
}

/// Why a key must never sign again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// What was seen.
    pub kind: StatementKind,
    /// Of which round.
    pub round: Round,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} of round {}", self.kind, self.round)
    }
}

/// The file holds no slot that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither of its two slots is whole")]
pub struct WitnessDamaged;

#[derive(Serialize, Deserialize)]
struct Body {
    magic: [u8; 8],
    counter: u64,
    state: u8,
    key: PublicKey,
    genesis: GenesisHash,
    count: u64,
    round: Round,
    record: Hash,
    kind: u8,
    stopped: Round,
}

/// What to write where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotWrite {
    /// The offset in the file.
    pub at: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Witness {
    /// The file of a key that was just made.
    #[must_use]
    pub fn of_new_key(key: PublicKey) -> Vec<u8> {
        let unused = Self { key, history: History::Unused };
        let mut file = Vec::with_capacity(WITNESS_BYTES);
        for counter in [0, 1] {
            file.extend(unused.slot(counter).bytes);
            file.resize(file.len().next_multiple_of(STRIDE), 0);
        }
        file
    }

    /// The newest whole slot of a file, with its counter.
    ///
    /// # Errors
    /// [`WitnessDamaged`]: there is none.
    pub fn read(file: &[u8]) -> Result<(u64, Self), WitnessDamaged> {
        let slots = [0, STRIDE].map(|at| file.get(at..)?.get(..BODY_BYTES.checked_add(CHECKSUM_BYTES)?).and_then(Self::decode));
        slots.into_iter().flatten().max_by_key(|(counter, _)| *counter).ok_or(WitnessDamaged)
    }

    /// The slot that this goes to under a counter one above the last one.
    #[must_use]
    pub fn slot(&self, counter: u64) -> SlotWrite {
        let mut body = Body {
            magic: MAGIC,
            counter,
            state: 0,
            key: self.key,
            genesis: GenesisHash::default(),
            count: 0,
            round: Round(0),
            record: Hash::default(),
            kind: 0,
            stopped: Round(0),
        };
        if let History::Signed(mark) | History::Stopped(mark, _) = self.history {
            (body.state, body.genesis, body.count, body.round, body.record) = (1, mark.genesis, mark.count, mark.round, mark.record);
        }
        if let History::Stopped(_, Stop { kind, round }) = self.history {
            let kind = match kind {
                StatementKind::Vote => 0,
                StatementKind::Timeout => 1,
                StatementKind::Proposal => 2,
            };
            (body.state, body.kind, body.stopped) = (2, kind, round);
        }
        let mut bytes = codec::encode(&body);
        let checksum = Hash::of(&WITNESS_SLOT, &bytes);
        bytes.extend(checksum.0);
        SlotWrite { at: if counter.is_multiple_of(2) { 0 } else { STRIDE }, bytes }
    }

    fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (bytes, checksum) = slot.split_at_checked(BODY_BYTES)?;
        if Hash::of(&WITNESS_SLOT, bytes).0 != checksum {
            return None;
        }
        let body: Body = codec::decode(bytes, BODY_BYTES).ok().filter(|body: &Body| body.magic == MAGIC)?;
        let mark = Mark { genesis: body.genesis, count: body.count, round: body.round, record: body.record };
        let history = match (body.state, body.kind) {
            (0, 0) => History::Unused,
            (1, 0) => History::Signed(mark),
            (2, 0) => History::Stopped(mark, Stop { kind: StatementKind::Vote, round: body.stopped }),
            (2, 1) => History::Stopped(mark, Stop { kind: StatementKind::Timeout, round: body.stopped }),
            (2, 2) => History::Stopped(mark, Stop { kind: StatementKind::Proposal, round: body.stopped }),
            _ => return None,
        };
        Some((body.counter, Self { key: body.key, history }))
    }
}
