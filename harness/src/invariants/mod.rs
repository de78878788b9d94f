//! The rules that every run must obey, one file per id of the register (docs/invariants.md).
//!
//! A checker sees what an outsider could see: the messages that validators send, the records that their disks keep, what they commit and
//! what they answer. From that it derives its rule anew. It never calls the code that it checks, so that one mistake is not made twice.

pub mod bank;
pub mod clnt_1;
pub mod examples;
pub mod exec_1;
pub mod exec_2;
pub mod exec_3;
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
    genesis::Parameters,
    header::Header,
    ids::{TxId, ValidatorId},
    message::{Evidence, Message},
    receipt::{Outcome, Receipt},
    round::{Height, UnixMillis},
    state_key::AccountRecord,
    transaction::Transaction,
    vote::QuorumCert,
};
use serde::Serialize;

use self::bank::Model;
use crate::{contents, disk::DurableRecord, time::Micros};

/// Something that an outsider sees.
#[derive(Clone, Copy, Debug)]
pub enum Observation<'a> {
    /// A validator sends a message.
    Sent {
        /// Who.
        node: ValidatorId,
        /// What.
        message: &'a Message,
        /// The safety record that its disk would give back if the power failed now; `None` where there is none yet.
        durable: Option<DurableRecord>,
    },
    /// A message that verifies has come to a validator.
    Received {
        /// To whom.
        node: ValidatorId,
        /// From whom.
        from: ValidatorId,
        /// What.
        message: &'a Message,
    },
    /// A validator has come into another state.
    State {
        /// Who.
        node: ValidatorId,
        /// The state.
        state: jolteon::LocalState<'a>,
    },
    /// A validator's disk has a newer durable safety record.
    Saved {
        /// Whose.
        node: ValidatorId,
        /// The record.
        record: DurableRecord,
    },
    /// A validator starts from what its disk gives back.
    Started {
        /// Who.
        node: ValidatorId,
        /// The height of its committed chain.
        height: Height,
    },
    /// A validator has looked at its clock. Until it looks again it goes by what it saw.
    Clock {
        /// Who.
        node: ValidatorId,
        /// What its calendar showed.
        unix: UnixMillis,
    },
    /// A validator commits blocks.
    Committed {
        /// Who.
        node: ValidatorId,
        /// The blocks' results and receipts, in the order of commitment.
        blocks: &'a [(&'a Header, &'a [Receipt])],
        /// The certificate that it commits them by.
        qc: &'a QuorumCert,
    },
    /// A validator accuses another: of an honest one that means that a rule is broken.
    Accused {
        /// Who accuses.
        node: ValidatorId,
        /// Of what.
        evidence: &'a Evidence,
    },
    /// A client has signed a transaction.
    Signed {
        /// The transaction.
        transaction: &'a Transaction,
    },
    /// A validator tells a client that its transaction is committed.
    Receipt {
        /// Who.
        node: ValidatorId,
        /// Which transaction.
        id: TxId,
        /// At which height.
        height: Height,
        /// At which position of the block.
        index: u32,
        /// With what result.
        outcome: &'a Outcome,
    },
    /// A validator tells a client that its transaction has expired.
    Expired {
        /// Who.
        node: ValidatorId,
        /// Which transaction.
        id: TxId,
        /// The time of the last block that this validator has committed.
        committed: UnixMillis,
    },
    /// The state of an account as a validator has it.
    Account {
        /// Who.
        node: ValidatorId,
        /// The account.
        address: quorate_types::ids::Address,
        /// The height of the state.
        height: Height,
        /// Its record.
        record: &'a AccountRecord,
    },
}

impl Observation<'_> {
    /// Whose doing it is; nobody's where a client acts.
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
            | Observation::Account { node, .. } => Some(*node),
            Observation::Signed { .. } => None,
        }
    }

    const fn sent(&self) -> Option<&Message> {
        if let Observation::Sent { message, .. } = self { Some(message) } else { None }
    }

    /// The certificates of a message that is sent.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &QuorumCert> {
        self.sent().into_iter().flat_map(contents::quorum_certs)
    }

    /// The blocks of a message that is sent.
    pub(crate) fn blocks(&self) -> &[Block] {
        self.sent().map_or(&[], contents::blocks)
    }
}

/// One rule.
pub trait Invariant {
    /// Its id in the register.
    fn id(&self) -> &'static str;

    /// Looks at what happened.
    ///
    /// # Errors
    /// How the rule is broken.
    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String>;

    /// Whether it judges honest votes by proposals of faulty validators.
    fn hears_faulty_proposals(&self) -> bool {
        false
    }

    /// Whether it has seen two blocks committed at one height.
    fn has_seen_fork(&self) -> bool {
        false
    }

    /// Looks back at the end of a run at what could not be judged before.
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
    /// The id of the rule in the register.
    pub invariant: String,
    /// How it is broken.
    pub what: String,
    /// When, in virtual microseconds.
    pub at_us: u64,
}

/// All rules together.
pub struct Register {
    invariants: Vec<Box<dyn Invariant>>,
    faulty: SignerSet,
}

impl Register {
    /// Every rule that is checked while a world runs (LIVE-1 and DET-1 are about whole runs), for a committee of these powers. `faulty` are
    /// the validators that may lie: no rule binds them, and nothing that they say is believed.
    #[must_use]
    pub fn new(powers: Vec<u64>, model: Option<Box<dyn Model>>, timestamp: UnixMillis, faulty: SignerSet) -> Self {
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
                Box::<clnt_1::ReceiptsHold>::default(),
                Box::new(jolteon::Jolteon::new(powers, faulty)),
            ],
            faulty,
        }
    }

    /// The rules about time as well, where the validators' clocks are shown ([`Observation::Clock`]).
    #[must_use]
    pub fn with_clocks(mut self, parameters: &Parameters, genesis: UnixMillis) -> Self {
        self.invariants.push(Box::new(time_1::TimesFollowClocks::new(parameters, genesis)));
        self
    }

    /// Only that committed blocks form one chain: for worlds in which more validators lie than any other rule can bear.
    #[must_use]
    pub fn one_chain(faulty: SignerSet) -> Self {
        Self { invariants: vec![Box::<tree_1::OneChain>::default()], faulty }
    }

    /// Shows all rules what happened.
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

    /// Whether the rules bind a validator: it does not lie.
    #[must_use]
    pub fn binds(&self, id: ValidatorId) -> bool {
        !self.faulty.contains(id)
    }

    /// Whether two blocks were committed at one height. TREE-1 may be broken in other ways too.
    #[must_use]
    pub fn has_seen_fork(&self) -> bool {
        self.invariants.iter().any(|invariant| invariant.has_seen_fork())
    }

    /// Lets all rules look back.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn finish(&mut self, at: Micros) -> Result<(), Violation> {
        for invariant in &mut self.invariants {
            invariant.finish().map_err(|what| Violation { invariant: invariant.id().into(), what, at_us: at.0 })?;
        }
        Ok(())
    }
}
