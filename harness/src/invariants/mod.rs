//! The rules that every run must obey, one file per id of the register (docs/invariants.md).
//!
//! A checker sees only what an outsider could see: the messages that validators send, the records that their disks keep, their commits and
//! their answers. It derives its rule anew from that and never calls the code under test, so that no mistake is made twice.

pub mod accu_1;
pub mod bank;
pub mod clnt_1;
pub mod examples;
pub mod exec_1;
pub mod exec_2;
pub mod exec_3;
pub mod exec_4;
pub mod jolteon;
pub mod live_1;
pub mod safe_1;
pub mod safe_2;
pub mod safe_3;
pub mod safe_4;
pub mod safe_5;
pub mod time_1;
pub mod tree_1;
pub mod tree_2;

use quorate_types::{
    block::Block,
    committee::SignerSet,
    evidence::Evidence,
    genesis::Parameters,
    header::Header,
    ids::{TxId, ValidatorId},
    message::Message,
    receipt::{Outcome, Receipt},
    round::{Height, UnixMillis},
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
            | Observation::Accused { node, .. }
            | Observation::Receipt { node, .. }
            | Observation::Expired { node, .. }
            | Observation::Panicked { node, .. }
            | Observation::Account { node, .. } => Some(*node),
            Observation::Signed { .. } => None,
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

/// All rules of a run.
pub struct Register {
    invariants: Vec<Box<dyn Invariant>>,
    faulty: SignerSet,
}

impl Register {
    /// Every rule that is checked while a world runs (LIVE-1 and DET-1 concern whole runs), for the network of this verifier. No rule binds
    /// the `faulty` validators, and their statements are not trusted.
    #[must_use]
    pub fn new(verifier: &Verifier, model: Option<Box<dyn Model>>, timestamp: UnixMillis, faulty: SignerSet) -> Self {
        let powers = verifier.committee().members().map(|(_, validator)| validator.power.0).collect();
        Self {
            invariants: vec![
                Box::new(safe_1::OneVotePerRound::new(faulty)),
                Box::<safe_2::VotesExtend>::default(),
                Box::<safe_3::TimeoutsHideNothing>::default(),
                Box::<safe_4::DurableBeforeSigned>::default(),
                Box::new(safe_5::OneProposalPerRound::new(faulty)),
                Box::<tree_1::OneChain>::default(),
                Box::<tree_2::TwoChain>::default(),
                Box::<exec_1::OneResult>::default(),
                Box::new(exec_2::OnceAndInOrder::new(model, timestamp)),
                Box::<exec_3::OnlyCodesAndNumbers>::default(),
                Box::<exec_4::OnePanicEach>::default(),
                Box::<clnt_1::ReceiptsHold>::default(),
                Box::new(accu_1::EvidenceConvinces::new(verifier)),
                Box::new(jolteon::Jolteon::new(powers, faulty)),
            ],
            faulty,
        }
    }

    /// Adds TIME-1, for searches that show the validators' clocks ([`Observation::Clock`]).
    #[must_use]
    pub fn with_clocks(mut self, parameters: &Parameters, genesis: UnixMillis) -> Self {
        self.invariants.push(Box::new(time_1::TimesFollowClocks::new(parameters, genesis)));
        self
    }

    /// Checks only TREE-1: for worlds with more faulty validators than any other rule tolerates.
    #[must_use]
    pub fn one_chain(faulty: SignerSet) -> Self {
        Self { invariants: vec![Box::<tree_1::OneChain>::default()], faulty }
    }

    /// Shows an observation to all rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn observe(&mut self, at: Micros, observation: &Observation<'_>) -> Result<(), Violation> {
        let faulty = observation.node().is_some_and(|node| !self.binds(node));
        let proposed = matches!(observation, Observation::Sent { message: Message::Proposal(_), .. });
        for invariant in self.invariants.iter_mut().filter(|invariant| !faulty || (proposed && invariant.hears_faulty_proposals())) {
            invariant.observe(observation).map_err(|what| Violation { invariant: invariant.id().into(), what, at_us: at.0 })?;
        }
        Ok(())
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
        for invariant in &mut self.invariants {
            invariant.finish().map_err(|what| Violation { invariant: invariant.id().into(), what, at_us: at.0 })?;
        }
        Ok(())
    }
}
