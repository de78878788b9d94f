//! The rules that every run must obey, one file per id of the register (docs/invariants.md).
//!
//! A checker sees only what an outsider could see: the messages that validators send, the records that their disks keep, their commits and
//! their answers. It derives its rule anew from that and never calls the code under test, so that no mistake is made twice.

pub mod accu_1;
pub mod bank;
pub mod clnt_1;
pub mod epoch_1;
pub mod examples;
pub mod exec_1;
pub mod exec_2;
pub mod exec_3;
pub mod exec_4;
pub mod jolteon;
pub mod live_1;
pub mod perm_1;
pub mod safe_1;
pub mod safe_2;
pub mod safe_3;
pub mod safe_4;
pub mod safe_5;
pub mod time_1;
pub mod tree_1;
pub mod tree_2;

use std::collections::BTreeMap;

use quorate_types::{
    block::Block,
    committee::{SignerSet, Validator},
    crypto::PublicKey,
    evidence::Evidence,
    genesis::Genesis,
    header::Header,
    ids::{StateId, TxId, ValidatorId},
    message::Message,
    receipt::{Outcome, Receipt},
    round::{Epoch, Height, UnixMillis},
    state_key::AccountRecord,
    transaction::Transaction,
    verify::Verifier,
    vote::QuorumCert,
};
use serde::Serialize;

use self::bank::Model;
use crate::{contents, disk::DurableRecord, time::Micros};

/// An event visible from outside.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// A validator sends a message.
    Sent {
        /// The sender. Twins count as one validator.
        node: ValidatorId,
        /// The message as it leaves the sender.
        message: &'a Message,
        /// The safety record that the sender's disk would give back if power failed now; `None` before the first one.
        durable: Option<DurableRecord>,
    },
    /// A verified message reached a validator.
    Received {
        /// The receiver.
        node: ValidatorId,
        /// The sender.
        from: ValidatorId,
        /// The message as received.
        message: &'a Message,
        /// It has been verified. One of a later epoch than the receiver's waits for that.
        is_verified: bool,
    },
    /// A validator's state has changed.
    State {
        /// The validator.
        node: ValidatorId,
        /// Its new state.
        state: jolteon::LocalState<'a>,
    },
    /// A validator's disk has a newer durable safety record.
    Saved {
        /// The owner of the disk.
        node: ValidatorId,
        /// The new record.
        record: DurableRecord,
    },
    /// A validator has lost its memory, and begins the way back: its next record remembers less.
    Forgot {
        /// The validator.
        node: ValidatorId,
    },
    /// A validator starts from what its disk gives back.
    Started {
        /// The starting validator.
        node: ValidatorId,
        /// Height of its committed chain.
        height: Height,
    },
    /// A validator has read its clock. It uses this reading until the next one.
    Clock {
        /// The owner of the clock.
        node: ValidatorId,
        /// Reading of its wall clock.
        unix: UnixMillis,
    },
    /// A validator commits blocks.
    Committed {
        /// The committing validator.
        node: ValidatorId,
        /// Headers and receipts of the blocks, in commit order.
        blocks: &'a [(&'a Header, &'a [Receipt])],
        /// The certificate that commits them.
        qc: &'a QuorumCert,
    },
    /// A validator enters an epoch after the first.
    Entered {
        /// The validator.
        node: ValidatorId,
        /// Its verifier in that epoch.
        verifier: &'a Verifier,
    },
    /// A validator accuses another. Accusing an honest one breaks SAFE-1.
    Accused {
        /// The accuser.
        node: ValidatorId,
        /// Its proof.
        evidence: &'a Evidence,
    },
    /// A client has signed a transaction.
    Signed {
        /// The signed transaction.
        transaction: &'a Transaction,
    },
    /// A validator tells a client that its transaction is committed.
    Receipt {
        /// The answering validator.
        node: ValidatorId,
        /// The committed transaction.
        id: TxId,
        /// Height of the block.
        height: Height,
        /// Index in the block.
        index: u32,
        /// Outcome in the receipt.
        outcome: &'a Outcome,
    },
    /// A validator tells a client that its transaction has expired.
    Expired {
        /// The answering validator.
        node: ValidatorId,
        /// The expired transaction.
        id: TxId,
        /// Time of the last block this validator has committed.
        committed: UnixMillis,
    },
    /// A validator's process ends because the application panicked.
    Panicked {
        /// The validator.
        node: ValidatorId,
        /// The transaction it panicked on.
        id: TxId,
    },
    /// An account as a validator's state has it.
    Account {
        /// The validator.
        node: ValidatorId,
        /// Address of the account.
        address: quorate_types::ids::Address,
        /// Height of the state.
        height: Height,
        /// The account's record at that height.
        record: &'a AccountRecord,
    },
}

impl Observation<'_> {
    /// The acting validator; `None` for a client.
    pub(crate) const fn node(&self) -> Option<ValidatorId> {
        match self {
            Observation::Sent { node, .. }
            | Observation::Received { node, .. }
            | Observation::State { node, .. }
            | Observation::Saved { node, .. }
            | Observation::Started { node, .. }
            | Observation::Clock { node, .. }
            | Observation::Committed { node, .. }
            | Observation::Entered { node, .. }
            | Observation::Accused { node, .. }
            | Observation::Receipt { node, .. }
            | Observation::Expired { node, .. }
            | Observation::Panicked { node, .. }
            | Observation::Forgot { node }
            | Observation::Account { node, .. } => Some(*node),
            Observation::Signed { .. } => None,
        }
    }

    /// The same, with the machines that it names by other numbers.
    fn renamed(self, rename: impl Fn(ValidatorId) -> ValidatorId) -> Self {
        match self {
            Observation::Sent { node, message, durable } => Observation::Sent { node: rename(node), message, durable },
            Observation::Received { node, from, message, is_verified } => {
                Observation::Received { node: rename(node), from: rename(from), message, is_verified }
            }
            Observation::State { node, state } => Observation::State { node: rename(node), state },
            Observation::Saved { node, record } => Observation::Saved { node: rename(node), record },
            Observation::Started { node, height } => Observation::Started { node: rename(node), height },
            Observation::Forgot { node } => Observation::Forgot { node: rename(node) },
            Observation::Clock { node, unix } => Observation::Clock { node: rename(node), unix },
            Observation::Committed { node, blocks, qc } => Observation::Committed { node: rename(node), blocks, qc },
            Observation::Entered { node, verifier } => Observation::Entered { node: rename(node), verifier },
            Observation::Accused { node, evidence } => Observation::Accused { node: rename(node), evidence },
            Observation::Signed { transaction } => Observation::Signed { transaction },
            Observation::Receipt { node, id, height, index, outcome } => {
                Observation::Receipt { node: rename(node), id, height, index, outcome }
            }
            Observation::Expired { node, id, committed } => Observation::Expired { node: rename(node), id, committed },
            Observation::Panicked { node, id } => Observation::Panicked { node: rename(node), id },
            Observation::Account { node, address, height, record } => Observation::Account { node: rename(node), address, height, record },
        }
    }

    /// The epoch that it belongs to, if it belongs to one.
    fn epoch(&self) -> Option<Epoch> {
        match self {
            Observation::Sent { message, .. } | Observation::Received { message, .. } => message.epoch(),
            Observation::State { state, .. } => Some(state.epoch),
            Observation::Saved { record, .. } => Some(Epoch(record.epoch)),
            Observation::Committed { blocks, .. } => blocks.first().map(|(header, _)| header.epoch),
            Observation::Accused { evidence, .. } => Some(evidence.epoch),
            Observation::Entered { .. }
            | Observation::Started { .. }
            | Observation::Clock { .. }
            | Observation::Signed { .. }
            | Observation::Receipt { .. }
            | Observation::Expired { .. }
            | Observation::Panicked { .. }
            | Observation::Forgot { .. }
            | Observation::Account { .. } => None,
        }
    }

    const fn sent(&self) -> Option<&Message> {
        if let Observation::Sent { message, .. } = self { Some(message) } else { None }
    }

    /// Certificates in a sent message; none for other observations.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &QuorumCert> {
        self.sent().into_iter().flat_map(contents::quorum_certs)
    }

    /// Blocks in a sent message; none for other observations.
    pub(crate) fn blocks(&self) -> &[Block] {
        self.sent().map_or(&[], contents::blocks)
    }
}

/// One rule.
pub trait Invariant {
    /// Its id in the register.
    fn id(&self) -> &'static str;

    /// Judges one observation.
    ///
    /// # Errors
    /// How the rule is broken.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String>;

    /// Whether the rule needs faulty validators' proposals to judge honest votes.
    fn hears_faulty_proposals(&self) -> bool {
        false
    }

    /// Whether two blocks were committed at one height.
    fn has_seen_fork(&self) -> bool {
        false
    }

    /// Tells the consensus keys of all machines, by number, if others than the first committee may join.
    fn joiners(&mut self, keys: &[PublicKey]) {
        let _ = keys;
    }

    /// Judges, at the end of a run, what could not be judged earlier.
    ///
    /// # Errors
    /// How the rule is broken.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Id of the rule in the register.
    pub invariant: String,
    /// How the rule is broken.
    pub what: String,
    /// Time of detection, in virtual microseconds.
    pub at_us: u64,
}

/// One above the highest seat.
const SEATS_END: u16 = 128;

/// The rules that hold in one epoch, since rounds start again in each. They know its members by their seats.
struct OfEpoch {
    rules: Vec<Box<dyn Invariant>>,
    /// The seat of each machine, by number; one that nobody can have for a machine that is no member.
    seats: Vec<ValidatorId>,
    /// Every machine has its number as its seat, as in a committee that never changes.
    by_number: bool,
}

impl OfEpoch {
    fn observe(&mut self, observation: &Observation<'_>, shows: impl Fn(&dyn Invariant) -> bool) -> Result<(), (&'static str, String)> {
        let renamed;
        let observation = if self.by_number {
            observation
        } else {
            renamed = observation.renamed(|number| self.seats.get(number.index()).copied().unwrap_or(number));
            &renamed
        };
        for rule in self.rules.iter_mut().filter(|rule| shows(&***rule)) {
            rule.observe(observation).map_err(|what| (rule.id(), what))?;
        }
        Ok(())
    }
}

/// All rules of a run.
pub struct Register {
    /// Those that hold for the whole chain. They know machines by their numbers.
    invariants: Vec<Box<dyn Invariant>>,
    of_epochs: BTreeMap<Epoch, OfEpoch>,
    /// The consensus keys of all machines, by number.
    keys: Vec<PublicKey>,
    /// TIME-1 is checked, from this time of the genesis on.
    clocks: Option<UnixMillis>,
    /// What each machine's clock has shown last: it goes on in the next epoch.
    readings: BTreeMap<ValidatorId, UnixMillis>,
    /// Time of each result that was committed last in its commit.
    times: BTreeMap<StateId, UnixMillis>,
    is_whole: bool,
    faulty: SignerSet,
}

impl Register {
    /// Every rule that is checked while a world runs (LIVE-1 and DET-1 concern whole runs), for the network of this verifier. No rule binds
    /// the `faulty` validators, and their statements are not trusted.
    #[must_use]
    pub fn new(genesis: &Genesis, verifier: &Verifier, model: Option<Box<dyn Model>>, faulty: SignerSet) -> Self {
        let (state_id, epoch_state) = (verifier.genesis_qc().vote_info.exec_state_id, genesis.epoch_state().hash());
        let timestamp = genesis.timestamp;
        let keys: Vec<PublicKey> = verifier.committee().members().map(|(_, validator)| validator.consensus_key).collect();
        let mut register = Self::of_rules(
            vec![
                Box::<safe_4::DurableBeforeSigned>::default(),
                Box::<tree_1::OneChain>::default(),
                Box::new(tree_2::TwoChain::new(state_id, epoch_state)),
                Box::new(epoch_1::OneCommitteePerEpoch::new(verifier, epoch_state, keys.clone())),
                Box::<exec_1::OneResult>::default(),
                Box::new(exec_2::OnceAndInOrder::new(model, timestamp)),
                Box::<exec_3::OnlyCodesAndNumbers>::default(),
                Box::new(perm_1::OnlyPermitted::new(genesis)),
                Box::<exec_4::OnePanicEach>::default(),
                Box::<clnt_1::ReceiptsHold>::default(),
            ],
            faulty,
        );
        register.is_whole = true;
        register.keys = keys;
        register.begin_epoch(verifier);
        register
    }

    fn of_rules(invariants: Vec<Box<dyn Invariant>>, faulty: SignerSet) -> Self {
        let (of_epochs, times, readings) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { invariants, of_epochs, keys: Vec::new(), clocks: None, readings, times, is_whole: false, faulty }
    }

    /// For networks that others may join: the consensus keys of all machines, by number, those of the first committee first.
    #[must_use]
    pub fn with_joiners(mut self, keys: Vec<PublicKey>) -> Self {
        self.keys = keys;
        let keys = &self.keys;
        self.invariants.iter_mut().for_each(|rule| rule.joiners(keys));
        self
    }

    /// Adds TIME-1, for searches that show the validators' clocks ([`Observation::Clock`]).
    #[must_use]
    pub fn with_clocks(mut self, verifier: &Verifier, genesis: UnixMillis) -> Self {
        self.clocks = Some(genesis);
        self.of_epochs.clear();
        self.begin_epoch(verifier);
        self
    }

    fn begin_epoch(&mut self, verifier: &Verifier) {
        let committee = verifier.committee();
        let seats = committee.ids().last().map_or(0, |last| last.0.saturating_add(1));
        let power = |seat| committee.get(ValidatorId(seat)).map_or(0, |validator| validator.power.0);
        let number = |key: &PublicKey| (0..).map(ValidatorId).zip(&self.keys).find(|(_, known)| *known == key).map(|(number, _)| number);
        // Nobody here runs a key that we do not know, so it may have signed anything.
        let is_faulty = |validator: &Validator| number(&validator.consensus_key).is_none_or(|number| self.faulty.contains(number));
        let faulty = committee.members().filter(|(_, validator)| is_faulty(validator)).map(|(seat, _)| seat).collect();
        let nobody = |number: u16| ValidatorId(number.saturating_add(SEATS_END));
        let seat = |(number, key): (u16, &PublicKey)| committee.find(key).unwrap_or_else(|| nobody(number));
        let by_number: Vec<ValidatorId> = (0..).zip(&self.keys).map(seat).collect();
        let mut rules: Vec<Box<dyn Invariant>> = vec![
            Box::new(safe_1::OneVotePerRound::new(faulty)),
            Box::<safe_2::VotesExtend>::default(),
            Box::<safe_3::TimeoutsHideNothing>::default(),
            Box::new(safe_5::OneProposalPerRound::new(faulty)),
            Box::new(accu_1::EvidenceConvinces::new(verifier)),
            Box::new(jolteon::Jolteon::new((0..seats).map(power).collect(), faulty)),
        ];
        if let Some(genesis) = self.clocks {
            let before = self.times.get(&verifier.genesis_qc().vote_info.exec_state_id).copied().unwrap_or(genesis);
            let seat = |number: &ValidatorId| by_number.get(number.index()).copied().unwrap_or(*number);
            let readings = self.readings.iter().map(|(number, unix)| (seat(number), *unix));
            rules.push(Box::new(time_1::TimesFollowClocks::new(verifier.parameters(), before, readings)));
        }
        let same = (0..).map(ValidatorId).zip(&by_number).all(|(number, seat)| number == *seat);
        self.of_epochs.insert(committee.epoch(), OfEpoch { rules, seats: by_number, by_number: same });
    }

    /// Checks only TREE-1: for worlds with more faulty validators than any other rule tolerates.
    #[must_use]
    pub fn one_chain(faulty: SignerSet) -> Self {
        Self::of_rules(vec![Box::<tree_1::OneChain>::default()], faulty)
    }

    /// Shows an observation to all rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn observe(&mut self, at: Micros, observation: &Observation<'_>) -> Result<(), Violation> {
        let faulty = observation.node().is_some_and(|node| !self.binds(node));
        let proposed = matches!(observation, Observation::Sent { message: Message::Proposal(_), .. });
        if let Observation::Entered { verifier, .. } = observation
            && self.is_whole
            && !self.of_epochs.contains_key(&verifier.committee().epoch())
        {
            self.begin_epoch(verifier);
        }
        if let Observation::Committed { blocks, .. } = observation
            && let Some((last, _)) = blocks.last()
        {
            self.times.insert(last.state_id(), last.timestamp);
        }
        if let Observation::Clock { node, unix } = observation {
            self.readings.insert(*node, *unix);
        }
        let of_epoch = observation.epoch();
        let shows = |rule: &dyn Invariant| !faulty || (proposed && rule.hears_faulty_proposals());
        let broken = |(id, what): (&str, String)| Violation { invariant: id.into(), what, at_us: at.0 };
        for rule in self.invariants.iter_mut().filter(|rule| shows(&***rule)) {
            rule.observe(observation).map_err(|what| broken((rule.id(), what)))?;
        }
        match of_epoch {
            Some(epoch) => self.of_epochs.get_mut(&epoch).map_or(Ok(()), |rules| rules.observe(observation, shows).map_err(broken)),
            None => self.of_epochs.values_mut().try_for_each(|rules| rules.observe(observation, shows)).map_err(broken),
        }
    }

    /// Whether the rules bind a validator, that is, it is not faulty.
    #[must_use]
    pub fn binds(&self, id: ValidatorId) -> bool {
        !self.faulty.contains(id)
    }

    /// Whether two blocks were committed at one height. TREE-1 may be broken in other ways too.
    #[must_use]
    pub fn has_seen_fork(&self) -> bool {
        self.invariants.iter().any(|invariant| invariant.has_seen_fork())
    }

    /// Lets all rules judge what they left open.
    ///
    /// # Errors
    /// The first broken rule.
    pub fn finish(&mut self, at: Micros) -> Result<(), Violation> {
        for invariant in self.invariants.iter_mut().chain(self.of_epochs.values_mut().flat_map(|of| &mut of.rules)) {
            invariant.finish().map_err(|what| Violation { invariant: invariant.id().into(), what, at_us: at.0 })?;
        }
        Ok(())
    }
}
