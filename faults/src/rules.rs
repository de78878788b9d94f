//! The rules of the 2021 format, as plain data: which messages a failure affects.
//!
//! A message is compared with the rules when it is sent, once for each receiver. The first rule whose round, sender, receiver and kind fit
//! decides: if its dice say no, the message goes out, and no later rule is considered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decimal;

/// A sender or a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Party {
    /// Any sender or receiver: `_`.
    Any,
    /// The leader. As a sender: of the sender's round. As a receiver: of the next round for votes, which go there, otherwise of the
    /// sender's round.
    Leader,
    /// The validator at this position in the committee.
    Validator(u16),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("_"),
            Self::Leader => f.write_str("leader"),
            Self::Validator(id) => id.fmt(f),
        }
    }
}

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A leader's block.
    Proposal,
    /// Standalone certificates (our sync info); those inside other messages travel with them.
    QC,
    /// A vote.
    Vote,
    /// A timeout.
    TimeOut,
    /// Requests blocks: a fetch or a catch-up.
    SyncRequest,
    /// Requested blocks.
    SyncResponse,
    /// Transactions on their way to other validators' pools.
    Gossip,
    /// A client's transaction.
    Request,
    /// A validator's answer to a client.
    Response,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Proposal,
        Self::QC,
        Self::Vote,
        Self::TimeOut,
        Self::SyncRequest,
        Self::SyncResponse,
        Self::Gossip,
        Self::Request,
        Self::Response,
    ];

    /// The kind's name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proposal => "Proposal",
            Self::QC => "QC",
            Self::Vote => "Vote",
            Self::TimeOut => "TimeOut",
            Self::SyncRequest => "SyncRequest",
            Self::SyncResponse => "SyncResponse",
            Self::Gossip => "Gossip",
            Self::Request => "Request",
            Self::Response => "Response",
        }
    }

    /// Whether the message travels between two validators.
    #[must_use]
    pub const fn between_validators(self) -> bool {
        match self {
            Self::Proposal | Self::QC | Self::Vote | Self::TimeOut | Self::SyncRequest | Self::SyncResponse | Self::Gossip => true,
            Self::Request | Self::Response => false,
        }
    }
}

/// Rounds that a rule covers: the sender's round when it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rounds {
    /// Any round: `_`.
    Any,
    /// First and last round, both included.
    Between(u64, u64),
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("_"),
            Self::Between(from, to) if from == to => from.fmt(f),
            Self::Between(from, to) => write!(f, "{from}..={to}"),
        }
    }
}

/// State that a faulty validator lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attribute {
    /// Highest round in which it has voted.
    HighestVoteRound,
    /// Its current round.
    CurrentRound,
    /// Round of its highest certificate.
    HighQcRound,
}

impl Attribute {
    /// The attribute's name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HighestVoteRound => "highest_vote_round",
            Self::CurrentRound => "current_round",
            Self::HighQcRound => "high_qc.round",
        }
    }
}

/// What happens to a message, or to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The message is lost.
    MsgLoss,
    /// It arrives this much later, in microseconds.
    Delay(u64),
    /// The sender lies about its state. Only faulty validators do.
    SetAttr(Attribute, u64),
    /// The sender's power fails before the message is out, and returns after this time in microseconds, or never.
    Crash(Option<u64>),
    /// A leader does not propose.
    NoPropose,
}

impl Fault {
    /// The fault's name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MsgLoss => "MsgLoss",
            Self::Delay(_) => "Delay",
            Self::SetAttr(..) => "SetAttr",
            Self::Crash(_) => "Crash",
            Self::NoPropose => "NoPropose",
        }
    }

    /// The numeric argument of the fault in scenario files.
    #[must_use]
    pub fn value(self) -> Option<String> {
        match self {
            Self::Delay(micros) | Self::Crash(Some(micros)) => Some(decimal(micros)),
            Self::SetAttr(_, value) => Some(value.to_string()),
            Self::MsgLoss | Self::Crash(None) | Self::NoPropose => None,
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Line of its file in which the rule begins.
    pub line: usize,
    /// Sender that it applies to.
    pub src: Party,
    /// Receiver that it applies to.
    pub dest: Party,
    /// The kind of message; `None` for every kind between validators (`Wildcard`).
    pub kind: Option<Kind>,
    /// The sender's rounds that it applies to.
    pub rounds: Rounds,
    /// Probability of the fault, in millionths.
    pub per_million: u64,
    /// Effect on a message that fits.
    pub fault: Fault,
}

/// A message being sent to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Sender; `None` for a client.
    pub src: Option<u16>,
    /// Receiver; `None` for a client.
    pub dest: Option<u16>,
    /// Kind of the message.
    pub kind: Kind,
    /// The sender's round.
    pub round: u64,
    /// Leader of that round, as far as the sender knows.
    pub leader: Option<u16>,
    /// Leader of the next round.
    pub next_leader: Option<u16>,
}

impl Rule {
    /// Whether the rule applies to a message.
    #[must_use]
    pub fn fits(&self, passing: &Passing) -> bool {
        let dest_leader = if passing.kind == Kind::Vote { passing.next_leader } else { passing.leader };
        let party = |party: Party, id: Option<u16>, leader: Option<u16>| match party {
            Party::Any => true,
            Party::Leader => id.is_some() && id == leader,
            Party::Validator(wanted) => id == Some(wanted),
        };
        let round = match self.rounds {
            Rounds::Any => true,
            Rounds::Between(from, to) => (from..=to).contains(&passing.round),
        };
        let kind = self.kind.map_or(passing.kind.between_validators(), |kind| kind == passing.kind);
        round && kind && party(self.src, passing.src, passing.leader) && party(self.dest, passing.dest, dest_leader)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("Wildcard", Kind::name);
        write!(
            f,
            "src={} dest={} msg_type={kind} round={} prob={} {}",
            self.src,
            self.dest,
            self.rounds,
            decimal(self.per_million),
            self.fault.name()
        )?;
        if let Fault::SetAttr(attribute, _) = self.fault {
            write!(f, " attr={}", attribute.name())?;
        }
        self.fault.value().map_or(Ok(()), |value| write!(f, " val={value}"))
    }
}

/// Index of the first rule that applies to a message.
#[must_use]
pub fn first_match(rules: &[Rule], passing: &Passing) -> Option<usize> {
    rules.iter().position(|rule| rule.fits(passing))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule =
        Rule { line: 1, src: Party::Any, dest: Party::Any, kind: None, rounds: Rounds::Any, per_million: 1_000_000, fault: Fault::MsgLoss };
    const PASSING: Passing = Passing { src: Some(1), dest: Some(2), kind: Kind::Proposal, round: 5, leader: Some(1), next_leader: Some(2) };

    #[test]
    fn each_part_of_a_rule_decides() {
        let cases: [(Rule, bool); 10] = [
            (RULE, true),
            (Rule { src: Party::Validator(1), ..RULE }, true),
            (Rule { src: Party::Validator(2), ..RULE }, false),
            (Rule { dest: Party::Validator(2), ..RULE }, true),
            (Rule { dest: Party::Validator(1), ..RULE }, false),
            (Rule { kind: Some(Kind::Proposal), ..RULE }, true),
            (Rule { kind: Some(Kind::Vote), ..RULE }, false),
            (Rule { rounds: Rounds::Between(5, 5), ..RULE }, true),
            (Rule { rounds: Rounds::Between(6, 9), ..RULE }, false),
            (Rule { rounds: Rounds::Between(1, 4), ..RULE }, false),
        ];
        for (rule, fits) in cases {
            assert_eq!(rule.fits(&PASSING), fits, "{rule}");
        }
    }

    #[test]
    fn the_leader_that_gets_votes_is_the_next_one() {
        let to_leader = Rule { dest: Party::Leader, ..RULE };
        assert!(!to_leader.fits(&PASSING));
        assert!(to_leader.fits(&Passing { kind: Kind::Vote, ..PASSING }));
        assert!(to_leader.fits(&Passing { dest: Some(1), ..PASSING }));
        assert!(!to_leader.fits(&Passing { dest: Some(1), kind: Kind::Vote, ..PASSING }));
        let from_leader = Rule { src: Party::Leader, ..RULE };
        assert!(from_leader.fits(&PASSING));
        assert!(!from_leader.fits(&Passing { src: Some(3), ..PASSING }));
    }

    #[test]
    fn a_wildcard_leaves_clients_alone() {
        for kind in Kind::ALL {
            assert_eq!(RULE.fits(&Passing { kind, ..PASSING }), kind.between_validators(), "{kind:?}");
            assert!(Rule { kind: Some(kind), ..RULE }.fits(&Passing { kind, src: None, ..PASSING }), "{kind:?}");
        }
        assert!(!Rule { src: Party::Leader, kind: Some(Kind::Request), ..RULE }.fits(&Passing {
            src: None,
            kind: Kind::Request,
            leader: None,
            ..PASSING
        }));
    }

    #[test]
    fn the_first_rule_that_fits_wins() {
        let rules = [Rule { rounds: Rounds::Between(9, 9), ..RULE }, Rule { line: 2, ..RULE }, Rule { line: 3, ..RULE }];
        assert_eq!(first_match(&rules, &PASSING), Some(1));
        assert_eq!(first_match(&rules[..1], &PASSING), None);
    }
}
