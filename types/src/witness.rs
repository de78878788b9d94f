//! How far a consensus key has signed: a small file beside the key. It lies outside the data directory so that it can reveal a lost or
//! outdated one.
//!
//! Generating a key writes the first version, which marks the key as unused. From then on the file is written and synced before every
//! signature, after the safety record, so it is never ahead of the record and at most one write behind it.
//!
//! ```text
//! file     two slots ([`crate::slots`])
//! slot   | magic "QRTWITN1" | counter u64 | state u8 | key 32 | genesis 32 | count u64 | round u64 | record 32 | kind u8 | stopped u64
//!        | checksum 32 |                                                      170 bytes, integers little-endian
//! state    0 unused (all fields after the key are zero), 1 signed, 2 stopped: a statement of round `stopped` and of `kind` (0 vote,
//!          1 timeout, 2 proposal) was seen that carries the key's signature but is missing from the record; 3 moved: the record was exported
//! count    number of safety records made durable; round: the highest round signed in; record: hash of the newest record
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    codec,
    crypto::{Hash, PublicKey, Tag},
    ids::GenesisHash,
    round::Round,
    sighting::StatementKind,
    slots::{self, SlotWrite},
};

/// Domain of slot checksums.
pub const WITNESS_SLOT: Tag = Tag::new("quorate/witness-slot");
/// Domain of safety record hashes.
pub const SAFETY_RECORD: Tag = Tag::new("quorate/safety-record");
/// Length of the file, in bytes.
pub const WITNESS_BYTES: usize = slots::FILE_BYTES;

const MAGIC: [u8; 8] = *b"QRTWITN1";
/// Length of a slot without its checksum.
const BODY_BYTES: usize = 138;

/// The content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The consensus key.
    pub key: PublicKey,
    /// How far it has signed.
    pub history: History,
}

/// The signing history of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// It has signed nothing, on any network.
    Unused,
    /// It has signed on one network.
    Signed(Mark),
    /// A statement with its signature was seen that is missing from its record: it must never sign again.
    Stopped(Mark, Stop),
    /// Its record was taken along to another home: it must not sign here, unless the record is brought back.
    Moved(Mark),
}

/// How far a key has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The network that it has signed on.
    pub genesis: GenesisHash,
    /// The number of safety records made durable for it.
    pub count: u64,
    /// The highest round that it has signed in.
    pub round: Round,
    /// The hash of the newest safety record.
    pub record: Hash,
}

/// Why a key must never sign again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The kind of statement that was seen.
    pub kind: StatementKind,
    /// The statement's round.
    pub round: Round,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a {} of round {}", self.kind, self.round)
    }
}

/// Neither slot of the file is intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither of its two slots is intact")]
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

impl Witness {
    /// The file for a newly generated key.
    #[must_use]
    pub fn of_new_key(key: PublicKey) -> Vec<u8> {
        Self { key, history: History::Unused }.whole()
    }

    /// A whole file with this content, in place of one that is missing or out of date.
    #[must_use]
    pub fn whole(&self) -> Vec<u8> {
        slots::whole([0, 1].map(|counter| self.slot(counter)))
    }

    /// How far the key has signed; `None` if it is unused.
    #[must_use]
    pub const fn mark(&self) -> Option<Mark> {
        match self.history {
            History::Signed(mark) | History::Stopped(mark, _) | History::Moved(mark) => Some(mark),
            History::Unused => None,
        }
    }

    /// The content of a file and its counter, from the newest intact slot.
    ///
    /// # Errors
    /// [`WitnessDamaged`] if there is none.
    pub fn read(file: &[u8]) -> Result<(u64, Self), WitnessDamaged> {
        slots::newest(&WITNESS_SLOT, file, BODY_BYTES, Self::decode).ok_or(WitnessDamaged)
    }

    /// Encodes this as a slot. `counter` is one above that of the last write; its parity selects the place.
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
        if let History::Signed(mark) | History::Stopped(mark, _) | History::Moved(mark) = self.history {
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
        if matches!(self.history, History::Moved(_)) {
            body.state = 3;
        }
        slots::slot(&WITNESS_SLOT, counter, codec::encode(&body))
    }

    fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let body: Body = codec::decode(bytes, BODY_BYTES).ok().filter(|body: &Body| body.magic == MAGIC)?;
        let mark = Mark { genesis: body.genesis, count: body.count, round: body.round, record: body.record };
        let history = match (body.state, body.kind) {
            (0, 0) => History::Unused,
            (1, 0) => History::Signed(mark),
            (3, 0) => History::Moved(mark),
            (2, 0) => History::Stopped(mark, Stop { kind: StatementKind::Vote, round: body.stopped }),
            (2, 1) => History::Stopped(mark, Stop { kind: StatementKind::Timeout, round: body.stopped }),
            (2, 2) => History::Stopped(mark, Stop { kind: StatementKind::Proposal, round: body.stopped }),
            _ => return None,
        };
        Some((body.counter, Self { key: body.key, history }))
    }
}
