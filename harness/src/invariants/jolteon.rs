//! JOLT-1 to JOLT-11: the properties that the formal model of Jolteon asks an implementation to test (input-output-hk/formal-jolteon,
//! `Jolteon.TestProperties`; Jolteon is this protocol). They are checked on every message that an honest validator sends and on every state
//! that it goes through, together with the lemmas from which the proof derives consistency.
//!
//! | Id | The model's name | Statement |
//! |---|---|---|
//! | JOLT-1 | ts-unique | the voters of a quorum certificate are distinct members |
//! | JOLT-2 | ts-majority | the voters of a quorum certificate are a quorum |
//! | JOLT-3 | qc-round | the round of a quorum certificate is the round of the block whose id it names |
//! | JOLT-4 | tc-unique | the signers of a timeout certificate are distinct members |
//! | JOLT-5 | tc-majority | the signers of a timeout certificate are a quorum |
//! | JOLT-6 | tc-rounds | every timeout in a timeout certificate is for its round, and names a quorum certificate of an earlier round |
//! | JOLT-7 | block-round-advances | the round of a block is above the round of its certificate |
//! | JOLT-8 | blockchain-id | the certificate in a block has the id and the round of the block's parent |
//! | JOLT-9 | qc-high∈db | the highest quorum certificate can be derived from received messages |
//! | JOLT-10 | tc-last-r≡ | if the last round ended with a timeout certificate, the current round is the next one |
//! | JOLT-11 | r-vote-bound | the highest round voted in is at most one above the current round |
//!
//! Lemma 1: at most one block is certified per round. Lemma 2: a timeout certificate above a directly committed block names a certificate at
//! least as high as that block. Lemma 3: every block certified above a directly committed block descends from it.

use std::collections::{BTreeMap, BTreeSet};

use quorate_consensus::Engine;
use quorate_types::{
    block::Block,
    committee::SignerSet,
    ids::{BlockId, ValidatorId},
    message::Message,
    round::{Epoch, Round},
    timeout::TimeoutCert,
    vote::{QuorumCert, VoteInfo},
};

use super::{Invariant, Observation};
use crate::contents;

/// The part of a validator's state that the rules read. Fields name their counterparts in the model.
#[derive(Clone, Copy, Debug)]
pub struct LocalState<'a> {
    /// The epoch, which the model has not.
    pub epoch: Epoch,
    /// `r_cur`.
    pub round: Round,
    /// `qc_high`.
    pub high_qc: &'a QuorumCert,
    /// `tc_last`.
    pub last_tc: Option<&'a TimeoutCert>,
    /// `r_vote`: here the highest round in which a vote or a timeout was signed.
    pub highest_vote_round: Round,
}

/// What identifies a state: its epoch, and its rounds: current, highest certificate, last timeout certificate, highest vote.
pub(crate) type StateRounds = (Epoch, [Round; 4]);

impl<'a> LocalState<'a> {
    /// The validator's state if its rounds differ from `seen`, the last ones looked at. Most steps leave the state unchanged.
    pub(crate) fn if_new(engine: &'a Engine, seen: &mut Option<StateRounds>) -> Option<Self> {
        let (high_qc, last_tc) = (&**engine.tree().high_qc(), engine.last_round_tc().map(|tc| &**tc));
        let (round, highest_vote_round) = (engine.round(), engine.safety_record().highest_vote_round());
        let epoch = engine.epoch();
        let rounds = (epoch, [round, high_qc.round(), last_tc.map_or(Round(0), |tc| tc.round), highest_vote_round]);
        (seen.replace(rounds) != Some(rounds)).then_some(Self { epoch, round, high_qc, last_tc, highest_vote_round })
    }
}

/// A block's round, parent and parent's round, as its id binds them.
type Link = (Round, BlockId, Round);

/// What a validator has received (`db` in the model).
#[derive(Debug, Default)]
struct Received {
    certified: BTreeSet<(Round, BlockId)>,
    votes: BTreeMap<(Round, BlockId), SignerSet>,
}

/// Checker of JOLT-1 to JOLT-11 and of the lemmas.
#[derive(Debug)]
pub struct Jolteon {
    broken: &'static str,
    /// Power of each seat, by id; 0 for those without a vote.
    powers: Vec<u64>,
    quorum: u64,
    faulty: SignerSet,
    /// Certificates already judged. The same one comes in many messages.
    judged: BTreeSet<(VoteInfo, SignerSet)>,
    blocks: BTreeMap<BlockId, Link>,
    /// What each certificate claims about its block.
    claims: BTreeMap<BlockId, Link>,
    timeouts: BTreeMap<(ValidatorId, Round), Round>,
    received: BTreeMap<ValidatorId, Received>,
    /// Senders, and (below) validators whose state was shown. A search that shows no states would never find these rules broken.
    senders: SignerSet,
    shown: SignerSet,
    certified: BTreeMap<Round, BlockId>,
    /// Directly committed blocks.
    commits: BTreeMap<Round, BlockId>,
    /// For each round, the lowest `high_qc` round of any timeout certificate of that round.
    given_up: BTreeMap<Round, Round>,
}

type Judged = Result<(), (&'static str, String)>;

fn require(holds: bool, id: &'static str, what: impl FnOnce() -> String) -> Judged {
    if holds { Ok(()) } else { Err((id, what())) }
}

impl Jolteon {
    /// The rules for a committee with these powers. The statements of `faulty` validators are not trusted.
    #[must_use]
    pub fn new(powers: Vec<u64>, faulty: SignerSet) -> Self {
        // More than two thirds of the total: two such sets share more than a third, so at least one honest member.
        let total: u64 = powers.iter().fold(0, |sum, power| sum.saturating_add(*power));
        let quorum = total.saturating_mul(2).checked_div(3).unwrap_or_default().saturating_add(1);
        Self {
            broken: "JOLT",
            powers,
            quorum,
            faulty,
            judged: BTreeSet::new(),
            blocks: BTreeMap::new(),
            claims: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            received: BTreeMap::new(),
            senders: SignerSet::default(),
            shown: SignerSet::default(),
            certified: BTreeMap::new(),
            commits: BTreeMap::new(),
            given_up: BTreeMap::new(),
        }
    }

    /// Whether all signers are members, and whether they form a quorum.
    fn weigh(&self, signers: SignerSet) -> (bool, bool) {
        let mut power = 0u64;
        let mut members = true;
        for signer in signers.iter() {
            match self.powers.get(usize::from(signer.0)) {
                Some(more) if *more > 0 => power = power.saturating_add(*more),
                Some(_) | None => members = false,
            }
        }
        (members, power >= self.quorum)
    }

    fn block(&mut self, block: &Block) -> Judged {
        let (id, qc) = (block.id(), block.qc());
        require(block.round() > qc.vote_info.round, "JOLT-7", || format!("{block:?}"))?;
        let link = (block.round(), qc.vote_info.id, qc.vote_info.round);
        if self.blocks.insert(id, link).is_some() {
            return Ok(());
        }
        if let Some((round, ..)) = self.blocks.get(&qc.vote_info.id) {
            require(*round == qc.vote_info.round, "JOLT-8", || format!("{block:?}, but its parent has round {round}"))?;
        }
        self.matches_claim(id)
    }

    /// A block and the certificate that names it must agree.
    fn matches_claim(&self, id: BlockId) -> Judged {
        let (Some(link), Some(claim)) = (self.blocks.get(&id), self.claims.get(&id)) else { return Ok(()) };
        require(link.0 == claim.0, "JOLT-3", || format!("the certificate of block {id:?} claims {claim:?}, but the block has {link:?}"))?;
        require(link == claim, "JOLT-8", || format!("the certificate of block {id:?} claims {claim:?}, but the block has {link:?}"))
    }

    fn quorum_cert(&mut self, qc: &QuorumCert) -> Judged {
        let vote = &qc.vote_info;
        if vote.round == Round(0) || !self.judged.insert((*vote, qc.signers)) {
            return Ok(());
        }
        let (members, quorum) = self.weigh(qc.signers);
        require(members && qc.signatures.len() == qc.signers.len(), "JOLT-1", || format!("{qc:?} by {:?}", qc.signers))?;
        require(quorum, "JOLT-2", || format!("{qc:?} by {:?}", qc.signers))?;
        let claim = (vote.round, vote.parent_id, vote.parent_round);
        if let Some(first) = self.claims.insert(vote.id, claim) {
            require(first == claim, "JOLT-3", || format!("two certificates of block {:?}: {first:?} and {claim:?}", vote.id))?;
        }
        self.matches_claim(vote.id)?;

        if let Some(first) = self.certified.insert(vote.round, vote.id) {
            require(first == vote.id, "JOLT-L1", || format!("round {} has two certified blocks, {first:?} and {:?}", vote.round, vote.id))?;
        }
        self.descends(vote.round, vote.id)?;
        if vote.parent_round.0.checked_add(1) == Some(vote.round.0) && self.commits.insert(vote.parent_round, vote.parent_id).is_none() {
            let above: Vec<(Round, BlockId)> = self.certified.range(vote.parent_round..).map(|(round, id)| (*round, *id)).collect();
            above.into_iter().try_for_each(|(round, id)| self.descends(round, id))?;
            let hidden = self.given_up.range(vote.round..).find(|(_, highest)| **highest < vote.parent_round);
            require(hidden.is_none(), "JOLT-L2", || {
                format!("{qc:?}, but a timeout certificate has {hidden:?} (its round, its highest certificate's round)")
            })?;
        }
        Ok(())
    }

    /// Lemma 3, as far back as ancestors are known.
    fn descends(&self, round: Round, id: BlockId) -> Judged {
        let Some((floor, committed)) = self.commits.range(..=round).next_back() else { return Ok(()) };
        let (mut at, mut block) = (round, id);
        while at > *floor {
            // A judged certificate binds the parent as firmly as the block itself.
            let Some((_, parent, parent_round)) = self.blocks.get(&block).or_else(|| self.claims.get(&block)) else { return Ok(()) };
            (at, block) = (*parent_round, *parent);
        }
        require(at == *floor && block == *committed, "JOLT-L3", || {
            format!(
                "block {id:?} of round {round} is certified but does not descend from {committed:?} of round {floor}, which is committed"
            )
        })
    }

    fn timeout_cert(&mut self, tc: &TimeoutCert) -> Judged {
        let (members, quorum) = self.weigh(tc.signers);
        let whole = tc.signatures.len() == tc.signers.len() && tc.high_qc_rounds.len() == tc.signers.len();
        require(members && whole, "JOLT-4", || format!("{tc:?} by {:?}", tc.signers))?;
        require(quorum, "JOLT-5", || format!("{tc:?} by {:?}", tc.signers))?;
        let highest = tc.high_qc_rounds.iter().copied().max().unwrap_or_default();
        let earlier = highest < tc.round && tc.high_qc.vote_info.round == highest;
        require(earlier, "JOLT-6", || format!("{tc:?} names certificates of rounds {:?}", tc.high_qc_rounds))?;
        let lowest = self.given_up.entry(tc.round).or_insert(highest);
        *lowest = highest.min(*lowest);
        if let Some((committed, _)) = tc.round.previous().and_then(|before| self.commits.range(..=before).next_back()) {
            require(highest >= *committed, "JOLT-L2", || format!("{tc:?}, but a block of round {committed} is directly committed"))?;
        }
        self.quorum_cert(&tc.high_qc)
    }

    /// Honest signers must have sent their timeouts before a message carries the certificate.
    fn timeouts_of(&self, tc: &TimeoutCert) -> Judged {
        for (signer, claimed) in tc.signers.iter().zip(&tc.high_qc_rounds) {
            let sent = self.timeouts.get(&(signer, tc.round));
            let fits = self.faulty.contains(signer) || sent == Some(claimed);
            require(fits, "JOLT-6", || {
                format!("{tc:?} claims that validator {signer} named round {claimed}, but its timeout named {sent:?}")
            })?;
        }
        Ok(())
    }

    fn sent(&mut self, message: &Message) -> Judged {
        if let Message::Timeout(message) = message {
            let timeout = &message.timeout;
            self.timeouts.insert((timeout.sender, timeout.round), timeout.high_qc.vote_info.round);
        }
        self.carried(message)
    }

    /// Judges what a message carries, whoever sent it: a quorum signed its certificates, and a block's id binds its content.
    fn carried(&mut self, message: &Message) -> Judged {
        contents::blocks(message).iter().try_for_each(|block| self.block(block))?;
        contents::quorum_certs(message).try_for_each(|qc| self.quorum_cert(qc))?;
        if let Some(tc) = contents::timeout_cert(message) {
            self.timeout_cert(tc)?;
            self.timeouts_of(tc)?;
        }
        Ok(())
    }

    fn state(&mut self, node: ValidatorId, state: &LocalState<'_>) -> Judged {
        let LocalState { epoch: _, round, high_qc, last_tc, highest_vote_round } = *state;
        self.quorum_cert(high_qc)?;
        if let Some(tc) = last_tc {
            self.timeout_cert(tc)?;
            let next = tc.round.0.checked_add(1) == Some(round.0);
            require(next, "JOLT-10", || format!("validator {node} is in round {round} with {tc:?}"))?;
        }
        let bound = round.0.saturating_add(1);
        require(highest_vote_round.0 <= bound, "JOLT-11", || {
            format!("validator {node} is in round {round} and has voted in round {highest_vote_round}")
        })?;
        let at = (high_qc.vote_info.round, high_qc.vote_info.id);
        if at.0 == Round(0) {
            return Ok(());
        }
        let db = self.received.entry(node).or_default();
        // A validator's own vote does not cross the network.
        let mut voters = db.votes.get(&at).copied().unwrap_or_default();
        voters.insert(node);
        let can_be_made = db.certified.contains(&at) || high_qc.signers.iter().all(|signer| voters.contains(signer));
        require(can_be_made, "JOLT-9", || {
            format!("validator {node} has {high_qc:?} by {:?}, but received only the votes of {voters:?}", high_qc.signers)
        })
    }

    fn receives(&mut self, node: ValidatorId, from: ValidatorId, message: &Message, is_verified: bool) -> Judged {
        let db = self.received.entry(node).or_default();
        if let Message::Vote(vote) = message {
            db.votes.entry((vote.vote_info.round, vote.vote_info.id)).or_default().insert(vote.sender);
        }
        for qc in contents::quorum_certs(message) {
            db.certified.insert((qc.vote_info.round, qc.vote_info.id));
        }
        // Honest messages were judged when they were sent.
        if self.faulty.contains(from) && is_verified { self.carried(message) } else { Ok(()) }
    }
}

impl Invariant for Jolteon {
    fn id(&self) -> &'static str {
        self.broken
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        let judged = match observation {
            Observation::Sent { node, message, .. } => {
                // Who leaves an epoch sends the certificate that ended it, when its state is already of the next.
                if contents::statement(message).is_some() {
                    self.senders.insert(*node);
                }
                self.sent(message)
            }
            Observation::Received { node, from, message, is_verified } => self.receives(*node, *from, message, *is_verified),
            Observation::State { node, state } => {
                self.shown.insert(*node);
                self.state(*node, state)
            }
            _ => Ok(()),
        };
        judged.map_err(|(id, what)| {
            self.broken = id;
            what
        })
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.senders.iter().find(|sender| !self.shown.contains(*sender)) {
            Some(hidden) => Err(format!("validator {hidden} sent messages, but none of its states was shown to the rules")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::Hash, round::Epoch};

    use super::*;
    use crate::invariants::examples;

    const ME: ValidatorId = ValidatorId(1);

    fn rule() -> Jolteon {
        Jolteon::new(vec![1; 4], SignerSet::default())
    }

    fn id(number: u8) -> BlockId {
        BlockId(Hash([number; 32]))
    }

    fn see(rule: &mut Jolteon, message: &Message) -> Result<(), String> {
        rule.observe(&Observation::Sent { node: ME, message, durable: None })
    }

    fn broken(rule: &mut Jolteon, message: &Message) -> &'static str {
        see(rule, message).unwrap_err();
        rule.id()
    }

    fn qc(round: u64, parent_round: u64, block: u8, parent: u8) -> QuorumCert {
        let mut qc = examples::qc(round, parent_round, id(block), &[1, 2, 3]);
        qc.vote_info.parent_id = id(parent);
        qc
    }

    fn sync(qc: QuorumCert) -> Message {
        examples::sync_info(qc)
    }

    fn tc(round: u64, rounds: &[u64], signers: &[u16]) -> TimeoutCert {
        let highest = rounds.iter().copied().max().unwrap();
        let high_qc = if highest == 0 { examples::qc(0, 0, BlockId::default(), &[]) } else { qc(highest, highest - 1, 50, 49) };
        TimeoutCert {
            epoch: Epoch(0),
            round: Round(round),
            signers: signers.iter().map(|id| ValidatorId(*id)).collect(),
            high_qc_rounds: rounds.iter().map(|round| Round(*round)).collect::<Vec<_>>().try_into().unwrap(),
            signatures: vec![quorate_types::crypto::Signature([0; 64]); signers.len()].try_into().unwrap(),
            high_qc,
        }
    }

    fn with(tc: TimeoutCert) -> Message {
        let Message::SyncInfo(mut info) = sync(tc.high_qc.clone()) else { unreachable!() };
        info.last_round_tc = Some(tc);
        Message::SyncInfo(info)
    }

    /// Sends the timeouts of honest validators that a certificate will carry.
    fn timed_out(rule: &mut Jolteon, round: u64, high_qcs: &[(u16, u64)]) {
        for (node, high_qc) in high_qcs {
            rule.timeouts.insert((ValidatorId(*node), Round(round)), Round(*high_qc));
        }
    }

    #[test]
    fn jolt_1_and_2_catch_strangers_missing_signatures_and_minorities() {
        see(&mut rule(), &sync(qc(5, 4, 5, 4))).unwrap();
        let mut stranger = qc(5, 4, 5, 4);
        stranger.signers = [0, 1, 9].map(ValidatorId).into_iter().collect();
        assert_eq!(broken(&mut rule(), &sync(stranger)), "JOLT-1");
        // A repeated signer can only show as one signature too many, because signers are a set.
        let mut twice = qc(5, 4, 5, 4);
        twice.signers = [1, 2].map(ValidatorId).into_iter().collect();
        assert_eq!(broken(&mut rule(), &sync(twice)), "JOLT-1");
        assert_eq!(broken(&mut rule(), &sync(examples::qc(5, 4, id(5), &[1, 2]))), "JOLT-2");
    }

    #[test]
    fn quorums_are_counted_by_power() {
        let weighted = || Jolteon::new(vec![1, 1, 1, 4], SignerSet::default());
        see(&mut weighted(), &sync(examples::qc(5, 4, id(5), &[2, 3]))).unwrap();
        assert_eq!(broken(&mut weighted(), &sync(examples::qc(5, 4, id(5), &[0, 1, 2]))), "JOLT-2");
        let five = || Jolteon::new(vec![1; 5], SignerSet::default());
        assert_eq!(broken(&mut five(), &sync(qc(5, 4, 5, 4))), "JOLT-2");
    }

    #[test]
    fn jolt_3_and_8_catch_certificates_that_do_not_fit_the_block() {
        let (proposal, block) = examples::proposal(1, 5, 4, None);
        let fitting = || examples::qc(5, 4, block, &[1, 2, 3]);
        let other_round = {
            let mut qc = fitting();
            qc.vote_info.round = Round(6);
            qc
        };
        let other_parent = {
            let mut qc = fitting();
            qc.vote_info.parent_round = Round(3);
            qc
        };
        for (certificate, expected) in [(fitting(), None), (other_round, Some("JOLT-3")), (other_parent, Some("JOLT-8"))] {
            let mut block_first = Jolteon::new(vec![1; 4], SignerSet::default());
            block_first.block(proposal_block(&proposal)).unwrap();
            let judged = block_first.quorum_cert(&certificate);
            assert_eq!(judged.err().map(|(id, _)| id), expected);
            let mut certificate_first = rule();
            certificate_first.claims.insert(block, (certificate.vote_info.round, BlockId::default(), certificate.vote_info.parent_round));
            let judged = certificate_first.block(proposal_block(&proposal));
            assert_eq!(judged.err().map(|(id, _)| id), expected);
        }
        let mut rule = rule();
        rule.blocks.insert(BlockId::default(), (Round(3), BlockId::default(), Round(2)));
        assert_eq!(rule.block(proposal_block(&proposal)).unwrap_err().0, "JOLT-8");
    }

    fn proposal_block(message: &Message) -> &Block {
        let Message::Proposal(proposal) = message else { unreachable!() };
        &proposal.block
    }

    #[test]
    fn jolt_4_to_6_catch_timeout_certificates_that_are_none() {
        let judge = |tc: TimeoutCert| {
            let mut rule = rule();
            timed_out(&mut rule, 7, &[(1, 0), (2, 0), (3, 0)]);
            see(&mut rule, &with(tc)).err().map(|_| rule.id())
        };
        assert_eq!(judge(tc(7, &[0, 0, 0], &[1, 2, 3])), None);
        assert_eq!(judge(tc(7, &[0, 0, 0], &[1, 2, 9])), Some("JOLT-4"));
        assert_eq!(
            judge(TimeoutCert { high_qc_rounds: vec![Round(0); 2].try_into().unwrap(), ..tc(7, &[0, 0, 0], &[1, 2, 3]) }),
            Some("JOLT-4")
        );
        assert_eq!(judge(tc(7, &[0, 0], &[1, 2])), Some("JOLT-5"));
        assert_eq!(judge(tc(7, &[0, 0, 7], &[1, 2, 3])), Some("JOLT-6"));
        // A certificate of round 0, although a signer names round 5.
        let hidden = TimeoutCert { high_qc: examples::qc(0, 0, BlockId::default(), &[]), ..tc(7, &[0, 5, 0], &[1, 2, 3]) };
        assert_eq!(judge(hidden), Some("JOLT-6"));
        // Validator 3 sent a different timeout, or none in this round.
        assert_eq!(judge(tc(7, &[0, 0, 5], &[1, 2, 3])), Some("JOLT-6"));
        assert_eq!(judge(tc(8, &[0, 0, 0], &[1, 2, 3])), Some("JOLT-6"));
    }

    #[test]
    fn jolt_7_catches_a_block_that_is_not_later_than_its_parent() {
        let judge = |parent_round| rule().block(proposal_block(&examples::proposal(1, 5, parent_round, None).0)).err().map(|(id, _)| id);
        assert_eq!(judge(4), None);
        assert_eq!(judge(5), Some("JOLT-7"));
        assert_eq!(judge(6), Some("JOLT-7"));
    }

    #[test]
    fn a_block_of_a_liar_is_judged_by_what_was_claimed_of_it_and_by_its_parent() {
        let liars: SignerSet = [ValidatorId(2)].into_iter().collect();
        let hears = |rule: &mut Jolteon, from: u16, message: &Message| {
            rule.observe(&Observation::Received { node: ME, from: ValidatorId(from), message, is_verified: true }).map_err(|_| rule.id())
        };
        let (proposal, block) = examples::proposal(2, 5, 0, None);
        let mut late = Jolteon::new(vec![1; 4], liars);
        see(&mut late, &sync(examples::qc(6, 0, block, &[1, 2, 3]))).unwrap();
        assert_eq!(hears(&mut late, 2, &proposal), Err("JOLT-3"), "a certificate has claimed round 6 for this block");

        let mut orphan = Jolteon::new(vec![1; 4], liars);
        orphan.blocks.insert(BlockId::default(), (Round(3), BlockId::default(), Round(2)));
        assert_eq!(hears(&mut orphan, 2, &proposal), Err("JOLT-8"), "its certificate claims round 0 for the parent");

        let forged = sync(examples::qc(5, 4, id(5), &[1, 2]));
        assert_eq!(hears(&mut Jolteon::new(vec![1; 4], liars), 2, &forged), Err("JOLT-2"), "even if the verifier accepted it");
    }

    fn state<'a>(round: u64, high_qc: &'a QuorumCert, last_tc: Option<&'a TimeoutCert>, vote: u64) -> Observation<'a> {
        let state = LocalState { epoch: Epoch(0), round: Round(round), high_qc, last_tc, highest_vote_round: Round(vote) };
        Observation::State { node: ME, state }
    }

    #[test]
    fn jolt_9_catches_a_certificate_that_nobody_sent() {
        let high_qc = qc(5, 4, 5, 4);
        let mut out_of_the_air = rule();
        out_of_the_air.observe(&state(6, &high_qc, None, 5)).unwrap_err();
        assert_eq!(out_of_the_air.id(), "JOLT-9");

        let mut by_message = rule();
        let message = sync(high_qc.clone());
        by_message.observe(&Observation::Received { node: ME, from: ValidatorId(2), message: &message, is_verified: true }).unwrap();
        by_message.observe(&state(6, &high_qc, None, 5)).unwrap();

        let mut by_votes = rule();
        for sender in [2, 3] {
            let vote = examples::vote(sender, 5, 4, id(5));
            assert!(by_votes.observe(&state(6, &high_qc, None, 5)).is_err(), "two votes are missing");
            by_votes.observe(&Observation::Received { node: ME, from: ValidatorId(sender), message: &vote, is_verified: true }).unwrap();
        }
        by_votes.observe(&state(6, &high_qc, None, 5)).unwrap();
    }

    #[test]
    fn jolt_10_and_11_catch_rounds_that_do_not_fit() {
        let genesis = examples::qc(0, 0, BlockId::default(), &[]);
        let last_tc = tc(7, &[0, 0, 0], &[1, 2, 3]);
        rule().observe(&state(8, &genesis, Some(&last_tc), 9)).unwrap();
        for (round, vote, expected) in [(7, 7, "JOLT-10"), (9, 9, "JOLT-10"), (8, 10, "JOLT-11")] {
            let mut rule = rule();
            rule.observe(&state(round, &genesis, Some(&last_tc), vote)).unwrap_err();
            assert_eq!(rule.id(), expected);
        }
    }

    #[test]
    fn a_search_that_shows_no_states_is_noticed() {
        let genesis = examples::qc(0, 0, BlockId::default(), &[]);
        let mut rule = rule();
        see(&mut rule, &examples::timeout(1, 5, 0)).unwrap();
        assert!(rule.finish().is_err());
        rule.observe(&state(1, &genesis, None, 0)).unwrap();
        rule.finish().unwrap();
    }

    #[test]
    fn the_lemmas_catch_what_leads_to_a_fork() {
        let mut one_round = rule();
        see(&mut one_round, &sync(qc(5, 3, 5, 3))).unwrap();
        assert_eq!(broken(&mut one_round, &sync(qc(5, 3, 6, 3))), "JOLT-L1");

        // Block 4 of round 4 is committed by the certificate of round 5.
        let committed = || sync(qc(5, 4, 5, 4));
        let hiding = || with(tc(6, &[0, 0, 0], &[1, 2, 3]));
        for order in [[committed(), hiding()], [hiding(), committed()]] {
            let mut rule = rule();
            timed_out(&mut rule, 6, &[(1, 0), (2, 0), (3, 0)]);
            see(&mut rule, &order[0]).unwrap();
            assert_eq!(broken(&mut rule, &order[1]), "JOLT-L2");
        }
        let beside = || sync(qc(7, 2, 7, 2));
        for order in [[committed(), beside()], [beside(), committed()]] {
            let mut rule = rule();
            see(&mut rule, &order[0]).unwrap();
            assert_eq!(broken(&mut rule, &order[1]), "JOLT-L3");
        }
        let mut above = rule();
        see(&mut above, &committed()).unwrap();
        see(&mut above, &sync(qc(7, 5, 7, 5))).unwrap();
        see(&mut above, &sync(qc(9, 7, 9, 7))).unwrap();
    }
}
