//! Byzantine validators: a production replica with a liar between it and the network.
//!
//! A `Behaviour` sees every message that its validator's replica sends or is sent. It holds the validator's key, so it can sign anything. It
//! decides what goes to whom, may send messages of its own at any time, and may withhold messages from the replica. The ids are those of the
//! catalogue of lies (B1 to B27, docs/invariants.md).
//!
//! A liar keeps lying in the calm phase: the others must commit in spite of it. It can never sign for another validator.

pub(crate) mod collusion;
mod epochs;
mod forgeries;
mod leaders;
mod mutator;
mod noise;
mod syncing;
mod timeouts;
mod voters;

use std::{collections::VecDeque, fmt, sync::Arc};

use quorate_harness::{contents, random::Random};
use quorate_types::{
    block::{Block, BlockContent, Proposal},
    committee::Committee,
    crypto::SigningKey,
    header::Header,
    ids::{BlockId, GenesisHash, ValidatorId},
    message::{Message, Recipients},
    round::UnixMillis,
    timeout::TimeoutCert,
    vote::{QuorumCert, Vote},
};

/// A kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// B1: proposes two blocks in one round, to two halves of the committee.
    Equivocate,
    /// B2: votes twice in one round.
    VoteTwice,
    /// B3: votes after its timeout in a round, and sends timeouts of one round with different certificates.
    GiveUpTwice,
    /// B5: never proposes.
    SilentLeader,
    /// B6: proposes only to as few validators as are certain to include an honest one.
    SelectiveLeader,
    /// B6: collects votes and withholds the certificate.
    WithholdQc,
    /// B7: proposes on an old certificate, with a valid timeout certificate.
    StaleQc,
    /// B8: forges certificates signed by a minority, by strangers, by no one, or with a signature repeated.
    ForgeQc,
    /// B9: changes a field of certificates, votes and timeouts that others have signed, and sends others' proposals as its own.
    AlterSigned,
    /// B10: forges timeout certificates that name other rounds than were signed.
    ForgeTc,
    /// B11, B12: signs with another key, domain, network or epoch, or not at all.
    BadSignatures,
    /// B13: sends messages of rounds far in the future.
    FarRounds,
    /// B14: proposes blocks larger than the genesis allows.
    Oversize,
    /// B15: sends bytes that are not a message, and truncated messages.
    Garbage,
    /// B16: sends another block under the signature of the first.
    AlterBlock,
    /// B17: votes for a made-up result.
    WrongResult,
    /// B18: proposes blocks not later than their parents, or from the future.
    WrongTime,
    /// B28: proposes transactions of an account that may not send. Only on permissioned chains.
    Forbidden,
    /// B19: responds with other blocks than requested, with gaps, or with nothing; and responds without a request.
    PoisonSync,
    /// B20: proposes blocks with unknown parents.
    Orphans,
    /// B21: sends requests without end.
    Requests,
    /// Changes one field of a message, and signs it again or not (like `ByzzFuzz` and LOKI).
    Mutate,
    /// B27: brings what belongs to an earlier epoch into the present one, and signs without a vote.
    OtherEpoch,
}

impl Lie {
    /// All lies.
    pub const ALL: [Self; 23] = [
        Self::Equivocate,
        Self::VoteTwice,
        Self::GiveUpTwice,
        Self::SilentLeader,
        Self::SelectiveLeader,
        Self::WithholdQc,
        Self::StaleQc,
        Self::ForgeQc,
        Self::AlterSigned,
        Self::ForgeTc,
        Self::BadSignatures,
        Self::FarRounds,
        Self::Oversize,
        Self::Garbage,
        Self::AlterBlock,
        Self::WrongResult,
        Self::WrongTime,
        Self::Forbidden,
        Self::PoisonSync,
        Self::Orphans,
        Self::Requests,
        Self::Mutate,
        Self::OtherEpoch,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocate => "B1 equivocating leader",
            Self::VoteTwice => "B2 two votes",
            Self::GiveUpTwice => "B3 two timeouts",
            Self::SilentLeader => "B5 silent leader",
            Self::SelectiveLeader => "B6 selective leader",
            Self::WithholdQc => "B6 withheld certificate",
            Self::StaleQc => "B7 stale certificate",
            Self::ForgeQc => "B8 forged certificate",
            Self::AlterSigned => "B9 altered field",
            Self::ForgeTc => "B10 forged timeout certificate",
            Self::BadSignatures => "B11 bad signature",
            Self::FarRounds => "B13 far round",
            Self::Oversize => "B14 large block",
            Self::Garbage => "B15 garbage",
            Self::AlterBlock => "B16 altered block",
            Self::WrongResult => "B17 wrong result",
            Self::WrongTime => "B18 wrong time",
            Self::Forbidden => "B28 forbidden transaction",
            Self::PoisonSync => "B19 poisoned answer",
            Self::Orphans => "B20 orphan",
            Self::Requests => "B21 request flood",
            Self::Mutate => "mutated message",
            Self::OtherEpoch => "B27 earlier epoch",
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn word(self) -> String {
        self.name().to_lowercase().replace(' ', "-")
    }

    fn behaviour(self) -> Box<dyn Behaviour> {
        match self {
            Self::Equivocate => Box::new(leaders::Equivocate),
            Self::VoteTwice => Box::<voters::VoteTwice>::default(),
            Self::GiveUpTwice => Box::new(timeouts::GiveUpTwice),
            Self::SilentLeader => Box::new(leaders::Silent),
            Self::SelectiveLeader => Box::new(leaders::Selective),
            Self::WithholdQc => Box::<voters::WithholdQc>::default(),
            Self::StaleQc => Box::new(leaders::StaleQc),
            Self::ForgeQc => Box::new(forgeries::ForgeQc),
            Self::AlterSigned => Box::new(forgeries::AlterSigned),
            Self::ForgeTc => Box::new(forgeries::ForgeTc),
            Self::BadSignatures => Box::new(forgeries::BadSignatures),
            Self::FarRounds => Box::new(timeouts::FarRounds),
            Self::Oversize => Box::new(leaders::Oversize),
            Self::Garbage => Box::new(noise::Garbage),
            Self::AlterBlock => Box::new(leaders::AlterBlock),
            Self::WrongResult => Box::new(voters::WrongResult),
            Self::WrongTime => Box::new(leaders::WrongTime),
            Self::Forbidden => Box::new(leaders::Forbidden),
            Self::PoisonSync => Box::new(syncing::Poison),
            Self::Orphans => Box::new(noise::Orphans),
            Self::Requests => Box::new(noise::Requests),
            Self::Mutate => Box::new(mutator::Mutate),
            Self::OtherEpoch => Box::new(epochs::OtherEpoch),
        }
    }
}

/// The content of a [`Parcel`].
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A message.
    Message(Arc<Message>),
    /// Raw bytes, valid or not, sent as a message or as gossip.
    Bytes { bytes: Vec<u8>, gossip: bool },
}

/// Something to send.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) to: Vec<ValidatorId>,
    pub(crate) content: Content,
    /// The lie that made it; `None` if it is what the replica sends.
    pub(crate) lie: Option<Lie>,
}

impl Parcel {
    /// The message in it, unless a lie has touched it.
    pub(crate) fn honest(&self) -> Option<&Message> {
        match &self.content {
            Content::Message(message) if self.lie.is_none() => Some(message),
            Content::Message(_) | Content::Bytes { .. } => None,
        }
    }
}

/// What a liar knows and can use.
pub(crate) struct Mind<'a> {
    pub(crate) me: ValidatorId,
    pub(crate) key: &'a SigningKey,
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) committee: &'a Committee,
    pub(crate) memory: &'a Memory,
    pub(crate) random: &'a mut Random,
    pub(crate) unix: UnixMillis,
    lie: Lie,
}

impl Mind<'_> {
    /// All other validators.
    pub(crate) fn others(&self) -> Vec<ValidatorId> {
        self.committee.ids().filter(|id| *id != self.me).collect()
    }

    /// The others, split at random into two halves.
    pub(crate) fn halves(&mut self) -> (Vec<ValidatorId>, Vec<ValidatorId>) {
        let mut others = self.others();
        self.random.shuffle(&mut others);
        let second = others.split_off(others.len() / 2);
        (others, second)
    }

    /// A random one of the others.
    pub(crate) fn somebody(&mut self) -> Vec<ValidatorId> {
        let others = self.others();
        self.random.pick(&others).copied().into_iter().collect()
    }

    /// A parcel with a message, made by this lie.
    pub(crate) fn parcel(&self, to: Vec<ValidatorId>, message: Message) -> Parcel {
        Parcel { to, content: Content::Message(Arc::new(message)), lie: Some(self.lie) }
    }

    /// The same parcel to other receivers.
    pub(crate) fn redirect(&self, parcel: &Parcel, to: Vec<ValidatorId>) -> Parcel {
        Parcel { to, content: parcel.content.clone(), lie: Some(self.lie) }
    }

    /// A parcel with raw bytes, made by this lie.
    pub(crate) fn bytes(&self, to: Vec<ValidatorId>, bytes: Vec<u8>, gossip: bool) -> Parcel {
        Parcel { to, content: Content::Bytes { bytes, gossip }, lie: Some(self.lie) }
    }

    /// The proposal with a changed block, properly signed.
    pub(crate) fn propose(&self, proposal: &Proposal, change: impl FnOnce(&mut BlockContent)) -> Proposal {
        let mut content = proposal.block.content().clone();
        change(&mut content);
        let block = Block::new(content);
        let signature = self.key.sign(&block.proposal_digest());
        Proposal { block, signature, ..proposal.clone() }
    }
}

/// A way to lie. The default methods are honest.
pub(crate) trait Behaviour: fmt::Debug {
    /// What to send instead of a parcel from the replica.
    fn says(&mut self, mind: &mut Mind<'_>, parcel: Parcel) -> Vec<Parcel> {
        let _ = mind;
        vec![parcel]
    }

    /// Handles a received message; `out` takes immediate answers. Returns whether the replica gets the message.
    fn hears(&mut self, mind: &mut Mind<'_>, from: ValidatorId, message: &Message, out: &mut Vec<Parcel>) -> bool {
        let _ = (mind, from, message, out);
        true
    }

    /// Unsolicited messages; called now and then.
    fn pulse(&mut self, mind: &mut Mind<'_>) -> Vec<Parcel> {
        let _ = mind;
        Vec::new()
    }
}

/// How many certificates, blocks, votes and messages are remembered, each.
const REMEMBERED: usize = 12;
/// How many headers are remembered: as many as a response may need.
const HEADERS_REMEMBERED: usize = 256;

/// What the liar has seen: material for lies.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Quorum certificates, the newest last.
    pub(crate) qcs: VecDeque<QuorumCert>,
    pub(crate) tcs: VecDeque<TimeoutCert>,
    pub(crate) blocks: VecDeque<Block>,
    /// Votes, the newest last.
    pub(crate) votes: VecDeque<Vote>,
    /// Messages that its replica has sent, the newest last.
    pub(crate) messages: VecDeque<Arc<Message>>,
    /// Headers of the blocks that its replica has committed, by height.
    pub(crate) headers: VecDeque<Header>,
    /// Of the epoch before, the newest last: certificates, and messages of its replica.
    pub(crate) before: (VecDeque<QuorumCert>, VecDeque<Arc<Message>>),
}

fn remember<T>(memory: &mut VecDeque<T>, what: T) {
    memory.push_back(what);
    if memory.len() > REMEMBERED {
        memory.pop_front();
    }
}

impl Memory {
    fn note(&mut self, message: &Message) {
        if let Message::Proposal(proposal) = message
            && self.blocks.iter().all(|block| block.id() != proposal.block.id())
        {
            remember(&mut self.blocks, proposal.block.clone());
        }
        if let Message::Vote(vote) = message {
            remember(&mut self.votes, (**vote).clone());
        }
        for qc in contents::quorum_certs(message) {
            if self.qcs.iter().all(|known| known.vote_info != qc.vote_info) {
                remember(&mut self.qcs, qc.clone());
                self.qcs.make_contiguous().sort_by_key(QuorumCert::round);
            }
        }
        if let Some(tc) = contents::timeout_cert(message)
            && self.tcs.iter().all(|known| known.round != tc.round)
        {
            remember(&mut self.tcs, tc.clone());
        }
    }

    /// Rounds start again, so what is newest starts again too.
    fn enter(&mut self) {
        self.before = (std::mem::take(&mut self.qcs), std::mem::take(&mut self.messages));
        self.tcs.clear();
        self.blocks.clear();
        self.votes.clear();
    }

    fn note_commit(&mut self, header: &Header) {
        // After a power cut, blocks may be committed again.
        while self.headers.back().is_some_and(|last| last.height >= header.height) {
            self.headers.pop_back();
        }
        self.headers.push_back(header.clone());
        if self.headers.len() > HEADERS_REMEMBERED {
            self.headers.pop_front();
        }
    }

    /// The headers from one committed block to another, both included.
    pub(crate) fn headers_between(&self, from: BlockId, to: BlockId) -> Option<Vec<Header>> {
        let position = |id| self.headers.iter().position(|header| header.block_id == id);
        Some(self.headers.range(position(from)?..=position(to)?).cloned().collect())
    }

    /// The certificate of the highest round seen.
    pub(crate) fn high_qc(&self) -> Option<&QuorumCert> {
        self.qcs.back()
    }

    /// The highest certificate seen that commits a block.
    pub(crate) fn high_commit_qc(&self) -> Option<&QuorumCert> {
        self.qcs.iter().rev().find(|qc| qc.commits().is_some())
    }
}

/// A lying validator, around its honest replica.
#[derive(Debug)]
pub(crate) struct Liar {
    me: ValidatorId,
    key: SigningKey,
    genesis_hash: GenesisHash,
    committee: Arc<Committee>,
    memory: Memory,
    random: Random,
    behaviours: Vec<(Lie, Box<dyn Behaviour>)>,
    /// It lies in this many of a thousand cases. In the others it is honest, so that it is trusted and elected.
    per_mille: u64,
}

impl Liar {
    pub(crate) fn new(
        (me, key): (ValidatorId, SigningKey),
        genesis_hash: GenesisHash,
        committee: Arc<Committee>,
        mut random: Random,
        lies: &[Lie],
    ) -> Self {
        let behaviours = lies.iter().map(|lie| (*lie, lie.behaviour())).collect();
        let per_mille = *random.pick(&[1_000, 1_000, 500, 150]).unwrap_or(&1_000);
        Self { me, key, genesis_hash, committee, memory: Memory::default(), random, behaviours, per_mille }
    }

    /// A liar with a single behaviour, always active.
    pub(crate) fn with(
        (me, key): (ValidatorId, SigningKey),
        genesis_hash: GenesisHash,
        committee: Arc<Committee>,
        random: Random,
        (lie, behaviour): (Lie, Box<dyn Behaviour>),
    ) -> Self {
        Self { me, key, genesis_hash, committee, memory: Memory::default(), random, behaviours: vec![(lie, behaviour)], per_mille: 1_000 }
    }

    fn turn<R>(&mut self, index: usize, unix: UnixMillis, act: impl FnOnce(&mut dyn Behaviour, &mut Mind<'_>) -> R) -> Option<R> {
        if !self.random.chance(self.per_mille) {
            return None;
        }
        let (lie, behaviour) = self.behaviours.get_mut(index)?;
        let mut mind = Mind {
            me: self.me,
            key: &self.key,
            genesis_hash: self.genesis_hash,
            committee: &self.committee,
            memory: &self.memory,
            random: &mut self.random,
            unix,
            lie: *lie,
        };
        Some(act(behaviour.as_mut(), &mut mind))
    }

    /// Its replica sends a message. Returns what goes out instead.
    pub(crate) fn says(&mut self, to: Recipients, message: Arc<Message>, unix: UnixMillis) -> Vec<Parcel> {
        self.memory.note(&message);
        remember(&mut self.memory.messages, Arc::clone(&message));
        let to = match to {
            Recipients::Others => self.committee.ids().filter(|id| *id != self.me).collect(),
            Recipients::One(one) => vec![one],
        };
        let mut parcels = vec![Parcel { to, content: Content::Message(message), lie: None }];
        for index in 0..self.behaviours.len() {
            let mut next = Vec::new();
            for parcel in parcels {
                let kept = parcel.clone();
                match self.turn(index, unix, |behaviour, mind| behaviour.says(mind, parcel)) {
                    Some(said) => next.extend(said),
                    None => next.push(kept),
                }
            }
            parcels = next;
        }
        parcels
    }

    /// Its replica is in another epoch, and sits in another seat there, or in none.
    pub(crate) fn enters(&mut self, me: ValidatorId, committee: &Arc<Committee>) {
        if committee.epoch() != self.committee.epoch() {
            self.memory.enter();
            (self.me, self.committee) = (me, Arc::clone(committee));
        }
    }

    /// Its replica has committed a block.
    pub(crate) fn commits(&mut self, header: &Header) {
        self.memory.note_commit(header);
    }

    /// A message arrives for its replica. Returns whether the replica gets it, and what to send at once.
    pub(crate) fn hears(&mut self, from: ValidatorId, message: &Message, unix: UnixMillis) -> (bool, Vec<Parcel>) {
        self.memory.note(message);
        let mut out = Vec::new();
        let mut passes = true;
        for index in 0..self.behaviours.len() {
            passes &= self.turn(index, unix, |behaviour, mind| behaviour.hears(mind, from, message, &mut out)).unwrap_or(true);
        }
        (passes, out)
    }

    /// Returns unsolicited messages; called now and then.
    pub(crate) fn pulse(&mut self, unix: UnixMillis) -> Vec<Parcel> {
        (0..self.behaviours.len())
            .flat_map(|index| self.turn(index, unix, |behaviour, mind| behaviour.pulse(mind)).unwrap_or_default())
            .collect()
    }
}
