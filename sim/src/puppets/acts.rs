//! The puppets' acts, round by round.

use std::collections::BTreeMap;

use quorate_harness::{Happened, committee::BEGINNING, contents, invariants::Violation, pen::Pen, random::Random};
use quorate_ledger::{Ledger, MemoryStore};
use quorate_types::{
    block::{Block, Payload},
    committee::SignerSet,
    crypto::{Hash, SigningKey},
    ids::{BlockId, StateId, ValidatorId},
    message::{FetchRequest, FetchResponse, Message, SyncInfo},
    round::{Round, Sequence, UnixMillis},
    timeout::TimeoutCert,
    transaction::Transaction,
    vote::QuorumCert,
};

use super::stage::Stage;

/// How far ahead of its clock, in milliseconds, a block must be for the validator to hold it until the round is over (docs/protocol.md, D8).
const TOO_FAR_AHEAD_MS: u64 = 6 * 60 * 1_000;

/// See the module.
pub(super) struct Acts {
    pub(super) stage: Stage,
    pub(super) random: Random,
    /// Computes the results that puppets vote for when they behave.
    ledger: Option<Ledger<MemoryStore>>,
    blocks: BTreeMap<BlockId, Block>,
    /// The puppets' round.
    pub(super) round: Round,
    /// Rounds played.
    played: u64,
    /// Their high QC.
    pub(super) high: QuorumCert,
    /// The one before it.
    older: QuorumCert,
    /// The highest one that commits a block.
    pub(super) commit: QuorumCert,
    /// The timeout certificate of the previous round, if that was given up.
    tc: Option<TimeoutCert>,
    /// The acts so far, in words.
    script: Vec<String>,
}

impl Acts {
    pub(super) fn new(stage: Stage, random: Random) -> Self {
        let genesis = stage.setting.verifier.genesis_qc().into_inner();
        Self {
            ledger: Ledger::open(MemoryStore::default(), &stage.setting.app, &stage.setting.genesis).ok(),
            blocks: BTreeMap::new(),
            round: Round(1),
            played: 0,
            high: genesis.clone(),
            older: genesis.clone(),
            commit: genesis,
            tc: None,
            script: Vec::new(),
            stage,
            random,
        }
    }

    pub(super) const fn rounds(&self) -> u64 {
        self.played
    }

    /// Adds the acts that led to a violation to its text.
    pub(super) fn told(&self, violation: Violation) -> Violation {
        let what = format!("{}; validator {} in round {}; {}", violation.what, self.stage.me, self.round, self.script.join(", "));
        Violation { what, ..violation }
    }

    pub(super) fn play(&mut self) -> Happened {
        for _ in 0..self.random.between(4, 24) {
            self.played = self.played.saturating_add(1);
            match self.random.below(100) {
                0..=44 => self.good_round()?,
                45..=69 => self.given_up()?,
                70..=77 => self.invalid_block()?,
                78..=85 => self.stale_parent()?,
                86..=88 => self.two_proposals()?,
                89..=95 => self.power_cut()?,
                96..=98 => self.its_timer()?,
                _ => return self.wrong_result(),
            }
            if let Some(why) = self.stage.stopped.clone() {
                return Err(self.stage.violation("FATAL", format!("it stops: {why}")));
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, what: &str) {
        self.script.push(format!("{}: {what}", self.round));
    }

    // ---- rounds -------------------------------------------------------------------------------------------------------------------

    /// A block is proposed and certified, and the validator learns of the certificate in some way.
    fn good_round(&mut self) -> Happened {
        self.note("good");
        let Some(block) = self.proposed()? else { return self.given_up() };
        self.certify(&block)
    }

    /// The block of the round: a puppet's, or the validator's own if it leads and proposes one.
    pub(super) fn proposed(&mut self) -> Result<Option<Block>, Violation> {
        let leader = self.stage.leader(self.round);
        if leader != self.stage.me {
            let block = self.block(leader, &self.high.clone(), None, Payload::default());
            self.propose(&block)?;
            return Ok(Some(block));
        }
        self.sync()?;
        for _ in 0..3 {
            let own = self.stage.sent.iter().rev().find_map(|message| match message {
                Message::Proposal(proposal) if proposal.block.round() == self.round => Some(proposal.block.clone()),
                _ => None,
            });
            if let Some(block) = own {
                self.blocks.insert(block.id(), block.clone());
                return Ok(Some(block));
            }
            self.stage.wait()?;
            self.answer()?;
        }
        Ok(None)
    }

    pub(super) fn block(&self, author: ValidatorId, qc: &QuorumCert, timestamp: Option<UnixMillis>, payload: Payload) -> Block {
        let parent = self.time_of(&qc.vote_info.id);
        let now = BEGINNING.0.saturating_add(self.stage.at().ms());
        let timestamp = timestamp.unwrap_or(UnixMillis(now.max(parent.0.saturating_add(1))));
        Pen::block(author, self.round, timestamp, payload, qc)
    }

    fn time_of(&self, id: &BlockId) -> UnixMillis {
        self.blocks.get(id).map_or(BEGINNING, |block| block.content().timestamp)
    }

    pub(super) fn propose(&mut self, block: &Block) -> Happened {
        self.blocks.insert(block.id(), block.clone());
        let tc = if block.qc().round().next() == self.round { None } else { self.tc.as_ref() };
        let proposal = Pen::new(&self.stage.setting).proposal(block.clone(), tc, &self.commit);
        self.stage.tell(block.author(), &Message::Proposal(Box::new(proposal)))?;
        self.answer()
    }

    /// The true result of a block, computed after its ancestors'.
    fn state(&mut self, block: &Block) -> StateId {
        let mut path = vec![block.clone()];
        while let Some(parent) = path.last().and_then(|block| self.blocks.get(&block.parent_id())) {
            path.push(parent.clone());
        }
        let Some(ledger) = &mut self.ledger else { return StateId::default() };
        path.iter().rev().map(|block| ledger.speculate(block).unwrap_or_default()).last().unwrap_or_default()
    }

    fn certify(&mut self, block: &Block) -> Happened {
        let state = self.state(block);
        let puppets: SignerSet = self.stage.puppets().into_iter().collect();
        let qc = Pen::new(&self.stage.setting).qc(block, state, puppets);
        if self.stage.leader(self.round.next()) == self.stage.me && self.random.chance(800) {
            self.collect(block, state)?;
        }
        self.older = std::mem::replace(&mut self.high, qc);
        if self.high.commit_info.commit_state_id.is_some() {
            self.commit = self.high.clone();
        }
        self.tc = None;
        self.round = self.round.next();
        // Otherwise it learns of the certificate from the next proposal, or from timeouts.
        if self.random.chance(400) { self.sync() } else { Ok(()) }
    }

    /// The validator leads the next round, so it gets the votes. One puppet may vote twice.
    fn collect(&mut self, block: &Block, state: StateId) -> Happened {
        let puppets = self.stage.puppets();
        let liar = if self.random.chance(400) { self.random.pick(&puppets).copied() } else { None };
        let here = self.stage.round() <= self.round.next();
        for id in puppets {
            let vote = Pen::new(&self.stage.setting).vote(id, block, state, &self.commit);
            self.stage.tell(id, &Message::Vote(Box::new(vote)))?;
            if liar == Some(id) && here {
                self.note(&format!("{id} votes twice"));
                let other = self.block(block.author(), &block.qc().clone(), Some(block.content().timestamp.next()), Payload::default());
                let vote = Pen::new(&self.stage.setting).vote(id, &other, StateId(Hash([7; 32])), &self.commit);
                self.stage.tell(id, &Message::Vote(Box::new(vote)))?;
                self.must_accuse(id, self.round)?;
            }
        }
        self.answer()?;
        if self.stage.stopped.is_none() && here && self.stage.round() <= self.round {
            let what = format!("it has the votes of a quorum for round {}, but is in round {}", self.round, self.stage.round());
            return Err(self.stage.violation("CERT-2", what));
        }
        Ok(())
    }

    /// The puppets give up the round: the validator gets their timeouts, or the certificate.
    pub(super) fn given_up(&mut self) -> Happened {
        self.note("given up");
        let follows = |qc: &QuorumCert, round: Round| qc.round().next() == round;
        // A timeout with an older certificate needs the timeout certificate of the previous round.
        let may_be_older = self.tc.is_some() && !follows(&self.older, self.round) && !follows(&self.high, self.round);
        let puppets = self.stage.puppets();
        let reports: Vec<(ValidatorId, QuorumCert)> = puppets
            .iter()
            .enumerate()
            .map(|(position, id)| {
                let older = position > 0 && may_be_older && self.random.chance(400);
                (*id, if older { self.older.clone() } else { self.high.clone() })
            })
            .collect();
        let borrowed: Vec<(ValidatorId, &QuorumCert)> = reports.iter().map(|(id, qc)| (*id, qc)).collect();
        let tc = Pen::new(&self.stage.setting).tc(self.round, &borrowed);
        if self.random.chance(500) {
            if may_be_older && self.random.chance(300) {
                self.two_timeouts()?;
            }
            for (id, qc) in &reports {
                let timeout = Pen::new(&self.stage.setting).timeout(*id, self.round, qc, self.tc.as_ref(), &self.commit);
                self.stage.tell(*id, &Message::Timeout(Box::new(timeout)))?;
            }
            self.tc = tc;
            self.round = self.round.next();
        } else {
            self.tc = tc;
            self.round = self.round.next();
            self.sync()?;
        }
        self.answer()
    }

    /// A puppet sends its certificates.
    fn sync(&mut self) -> Happened {
        let high_qc = if self.high.round() < self.commit.round() { &self.commit } else { &self.high };
        let info = SyncInfo { high_qc: high_qc.clone(), high_commit_qc: self.commit.clone(), last_round_tc: self.tc.clone() };
        let puppets = self.stage.puppets();
        let from = self.random.pick(&puppets).copied().unwrap_or_default();
        self.stage.tell(from, &Message::SyncInfo(Box::new(info)))?;
        self.answer()
    }

    /// Answers the validator's requests, most of the time.
    pub(super) fn answer(&mut self) -> Happened {
        // Each answer may lead to another request.
        for _ in 0..8 {
            let sent = std::mem::take(&mut self.stage.sent);
            let mut asked = false;
            for message in &sent {
                let answer = match message {
                    Message::FetchRequest(request) => self.fetched(request),
                    Message::CatchupRequest(request) => contents::nothing_from(request.from),
                    Message::Proposal(_) => {
                        self.stage.sent.push(message.clone());
                        continue;
                    }
                    _ => continue,
                };
                asked = true;
                if self.random.chance(900) {
                    let puppets = self.stage.puppets();
                    let from = self.random.pick(&puppets).copied().unwrap_or_default();
                    self.stage.tell(from, &answer)?;
                }
            }
            if !asked {
                break;
            }
        }
        Ok(())
    }

    fn fetched(&self, request: &FetchRequest) -> Message {
        let mut blocks = Vec::new();
        let mut next = request.block_id;
        while let Some(block) = self.blocks.get(&next).filter(|block| block.round() > request.above) {
            next = block.parent_id();
            blocks.push(block.clone());
        }
        let blocks = blocks.try_into().unwrap_or_default();
        Message::FetchResponse(Box::new(FetchResponse { block_id: request.block_id, blocks }))
    }

    // ---- lies ---------------------------------------------------------------------------------------------------------------------

    /// A leader proposes an invalid block.
    fn invalid_block(&mut self) -> Happened {
        let leader = self.stage.leader(self.round);
        if leader == self.stage.me {
            return self.given_up();
        }
        let parent = self.time_of(&self.high.vote_info.id);
        let now = BEGINNING.0.saturating_add(self.stage.at().ms());
        let genesis_hash = self.stage.setting.genesis_hash();
        let sign = |sequence, expires_at| {
            let key = SigningKey::from_seed(&[9; 32]);
            let signed = Transaction::sign(genesis_hash, &key, Sequence(sequence), UnixMillis(expires_at), vec![7]);
            Payload::truncated(vec![signed])
        };
        let none = Payload::default();
        let (what, time, payload) = match self.random.below(4) {
            0 => ("as old as its parent", Some(parent), none),
            1 => ("far ahead of the clock", Some(UnixMillis(now.saturating_add(TOO_FAR_AHEAD_MS))), none),
            2 => ("with a transaction that is not the sender's next", None, sign(5, u64::MAX)),
            _ => ("with a transaction that has expired", None, sign(0, 1)),
        };
        self.note(&format!("a block {what}"));
        let block = self.block(leader, &self.high.clone(), time, payload);
        self.propose_in_vain(&block, "BLOCK-1", what)
    }

    /// A leader proposes on a certificate older than the highest that the timeout certificate reports.
    fn stale_parent(&mut self) -> Happened {
        let leader = self.stage.leader(self.round);
        let highest = self.tc.as_ref().and_then(|tc| tc.high_qc_rounds.iter().copied().max());
        if leader == self.stage.me || highest.is_none_or(|highest| highest <= self.older.round()) {
            return self.good_round();
        }
        self.note("a stale parent");
        let block = self.block(leader, &self.older.clone(), None, Payload::default());
        self.propose_in_vain(&block, "SAFE-2", "on a stale parent")
    }

    /// Proposes a block that must not get a vote, and gives up the round.
    fn propose_in_vain(&mut self, block: &Block, invariant: &str, what: &str) -> Happened {
        self.propose(block)?;
        self.blocks.remove(&block.id());
        // A vote that the validator collects itself is not sent, so look at its record.
        let voted = self.stage.replica().map(|replica| replica.safety_record().highest_vote_round());
        let gave_up = self.stage.replica().and_then(|replica| replica.safety_record().last_timeout()).map(|(round, ..)| round);
        if voted == Some(self.round) && gave_up != Some(self.round) {
            return Err(self.stage.violation(invariant, format!("it voted for a block {what}: {block:?}")));
        }
        self.given_up()
    }

    /// The leader proposes a second block in the round.
    fn two_proposals(&mut self) -> Happened {
        let leader = self.stage.leader(self.round);
        if leader == self.stage.me {
            return self.good_round();
        }
        self.note("two proposals");
        let first = self.block(leader, &self.high.clone(), None, Payload::default());
        self.propose(&first)?;
        if self.stage.round() == self.round {
            let second = self.block(leader, &self.high.clone(), Some(first.content().timestamp.next()), Payload::default());
            self.propose(&second)?;
            self.must_accuse(leader, self.round)?;
        }
        self.certify(&first)
    }

    /// A puppet gives up the round twice, with different certificates.
    fn two_timeouts(&mut self) -> Happened {
        let puppets = self.stage.puppets();
        let Some(liar) = puppets.first().copied().filter(|_| self.older.round() < self.high.round()) else { return Ok(()) };
        self.note(&format!("{liar} gives up twice"));
        for qc in [self.high.clone(), self.older.clone()] {
            let timeout = Pen::new(&self.stage.setting).timeout(liar, self.round, &qc, self.tc.as_ref(), &self.commit);
            self.stage.tell(liar, &Message::Timeout(Box::new(timeout)))?;
        }
        if self.stage.round() == self.round { self.must_accuse(liar, self.round) } else { Ok(()) }
    }

    /// A quorum certifies a wrong result: the validator must stop rather than go on in a state that others do not have.
    fn wrong_result(&mut self) -> Happened {
        self.note("a wrong result");
        let Some(block) = self.proposed()? else { return Ok(()) };
        let known = self.stage.replica().is_some_and(|replica| replica.engine().tree().state(&block.id()).is_some());
        let puppets: SignerSet = self.stage.puppets().into_iter().collect();
        self.high = Pen::new(&self.stage.setting).qc(&block, StateId(Hash([66; 32])), puppets);
        self.round = self.round.next();
        self.tc = None;
        self.sync()?;
        if known && self.stage.stopped.is_none() {
            return Err(self.stage.violation("EXEC-1", "a quorum certified another result than it computed, and it goes on".into()));
        }
        Ok(())
    }

    fn must_accuse(&mut self, liar: ValidatorId, round: Round) -> Happened {
        if self.stage.stopped.is_some() || self.stage.accused.contains(&(liar, round)) {
            return Ok(());
        }
        Err(self.stage.violation("ACCU-1", format!("validator {liar} contradicted itself in round {round}, but is not accused")))
    }

    fn power_cut(&mut self) -> Happened {
        self.note("power cut");
        self.stage.restart()?;
        self.answer()
    }

    fn its_timer(&mut self) -> Happened {
        self.note("its timer");
        self.stage.wait()?;
        self.answer()
    }
}
