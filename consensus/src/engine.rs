//! §3.1 Main: the paper's event loop as a total function. It never fails, never blocks and reads no clock.
//!
//! ```text
//! proposal --> certificates (absorb) --> right round, right leader, first of its kind --> execute --> safety --> persist --> vote
//! vote     --> certificates          --> quorum of equal votes --> certificate (absorb)
//! timeout  --> certificates          --> f+1: join in; quorum: certificate (absorb)
//! absorb   --> block tree, commit    --> pacemaker: a new round --> timer; leader: build on the high QC, persist, propose
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use quorate_types::{
    block::{Block, Payload, Proposal},
    committee::Committee,
    evidence::Evidence,
    genesis::Parameters,
    ids::{BlockId, GenesisHash, StateId, ValidatorId},
    message::{Message, Recipients, SyncInfo},
    round::{Epoch, Round, UnixMillis},
    sighting::StatementKind,
    signing::Signer,
    timeout::{TimeoutCert, TimeoutMessage},
    verify::{OwnBlock, Verified, VerifiedMessage},
    vote::{QuorumCert, Vote},
};

use crate::{
    block_tree::{BlockTree, Root, divergence},
    effect::{Effect, Ignored, Missing},
    event::{Event, Rejected},
    leader_election::{LeaderElection, Summary},
    pacemaker::{self, Pacemaker},
    safety::{Ballot, Safety, SafetyRecord, Saved, Signed, Unsafe, Unsaved},
    votes::{self, PendingVotes},
};

/// The network, the committee, and our place in it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Names the network; part of everything signed.
    pub genesis_hash: GenesisHash,
    /// The validators of the epoch, with their power.
    pub committee: Arc<Committee>,
    /// Protocol parameters from the genesis, the same on all validators.
    pub parameters: Parameters,
    /// Our seat. If it has no vote, we follow and sign nothing.
    pub me: ValidatorId,
    /// Leaders fixed in advance, the same on all validators. Empty on a real network; set by tools that explore the protocol.
    pub fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>,
}

/// What a validator starts from: the genesis, or its disk after a stop or crash. Everything has been verified again.
#[derive(Debug)]
pub struct Recovered {
    /// The newest committed block.
    pub root: Root,
    /// The certificate that commits the root; at the start of a network, the genesis certificate.
    pub root_qc: Verified<QuorumCert>,
    /// The newest committed blocks, oldest first, at most [`crate::HISTORY_BLOCKS`].
    pub committed: Vec<Summary>,
    /// The newest durable safety record.
    pub record: SafetyRecord,
    /// The record does not hold all that was signed: nothing is signed until [`Engine::resume`].
    pub abstains: bool,
    /// The timeout in that record: its round and its certificates.
    pub last_timeout: Option<(Round, Verified<QuorumCert>, Option<Verified<TimeoutCert>>)>,
    /// The highest stored certificates.
    pub certificates: Option<Verified<SyncInfo>>,
    /// The stored pending blocks, in any order.
    pub blocks: Vec<Verified<Block>>,
}

/// Most blocks of earlier rounds kept while their parents are missing.
const PARKED_BLOCKS_MAX: usize = 8;

/// The proposal we act on in the current round: the leader's first (S5).
#[derive(Debug)]
struct Accepted {
    proposal: Verified<Proposal>,
    /// The block is in the tree. Otherwise its parent is being fetched.
    inserted: bool,
}

/// The protocol of one validator; see the module docs.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    safety: Safety,
    tree: BlockTree,
    votes: PendingVotes,
    pacemaker: Pacemaker,
    leaders: LeaderElection,
    accepted: Option<Accepted>,
    /// Round and parent of the payload we asked for.
    building: Option<(Round, BlockId)>,
    /// Accepted blocks of earlier rounds whose parents are missing, oldest first.
    parked: VecDeque<Verified<Block>>,
    /// Round of the newest committed block that has elected a leader.
    elected: Round,
    /// The block we asked for.
    fetching: Option<BlockId>,
    /// Our round when we last sent a lagging validator what it had missed.
    helped: BTreeMap<ValidatorId, Round>,
    /// Round of the newest evidence given out, by culprit and kind, so that a flood is reported once.
    accused: BTreeMap<(ValidatorId, StatementKind), Round>,
    /// Our newest vote.
    own_vote: Option<Verified<Vote>>,
    /// Round of the last approved timeout.
    giving_up: Option<Round>,
    /// Round of a timeout that was not signed; the next timer tries it again.
    not_signed: Option<Round>,
    /// The timeout approved before the restart, or not signed when it was approved: no other one of its round may be signed.
    resend_timeout: Option<(Round, Verified<QuorumCert>, Option<Verified<TimeoutCert>>)>,
    pool_ready: bool,
    /// The timer was started for an idle round, so it includes the heartbeat.
    idle_timer: bool,
    /// Messages to ourselves.
    inbox: VecDeque<VerifiedMessage>,
    effects: Vec<Effect>,
    halted: bool,
}

impl Engine {
    /// Starts in the round after the highest recovered certificate of either kind (S11).
    #[must_use]
    pub fn recover(config: Config, signer: Arc<dyn Signer>, disk: Recovered) -> (Self, Vec<Effect>) {
        let mut leaders =
            LeaderElection::new(config.genesis_hash, &config.committee, &config.parameters, Arc::clone(&config.fixed_leaders));
        for block in disk.committed {
            leaders.on_committed(block);
        }
        let safety = Safety::new(signer, config.me, &config.committee, disk.record);
        let safety = if disk.abstains { safety.abstaining() } else { safety };
        let mut engine = Self {
            safety,
            tree: BlockTree::new(disk.root, disk.root_qc.clone(), disk.root_qc.clone()),
            votes: PendingVotes::default(),
            pacemaker: Pacemaker::new(),
            leaders,
            accepted: None,
            building: None,
            parked: VecDeque::new(),
            elected: disk.root.round,
            fetching: None,
            helped: BTreeMap::new(),
            accused: BTreeMap::new(),
            own_vote: None,
            giving_up: None,
            not_signed: None,
            resend_timeout: disk.last_timeout,
            pool_ready: false,
            idle_timer: false,
            inbox: VecDeque::new(),
            effects: Vec::new(),
            halted: false,
            config,
        };
        let mut blocks = disk.blocks;
        blocks.sort_by_key(|block| block.round());
        let mut certificates = vec![disk.root_qc];
        certificates.extend(blocks.iter().map(Verified::<Block>::qc));
        let mut tc = None;
        if let Some(stored) = disk.certificates {
            certificates.extend([stored.high_qc(), stored.high_commit_qc()]);
            tc = stored.last_round_tc();
            certificates.extend(tc.as_ref().map(Verified::<TimeoutCert>::high_qc));
        }
        // Before the blocks, so that the tree knows which to keep. Contradictions halt us.
        for qc in &certificates {
            if let Err(halt) = engine.tree.process_qc(qc) {
                engine.effects.push(Effect::Halt(halt));
            }
        }
        for block in blocks {
            engine.insert(Arc::new(block));
        }
        let me = engine.config.me;
        engine.absorb(&certificates, tc.as_ref(), me);
        engine.finish();
        let effects = std::mem::take(&mut engine.effects);
        (engine, effects)
    }

    /// Handles an event and returns the effects to carry out, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        if self.halted {
            return Vec::new();
        }
        match event {
            Event::Message { from, message } => self.on_message(from, message),
            Event::TimerFired(round) => self.on_timer(round),
            Event::Executed { block, outcome } => self.on_executed(block, outcome),
            Event::Timely(block) => self.on_timely(block),
            Event::PayloadReady { round, parent, timestamp, payload } => self.on_payload(round, parent, timestamp, payload),
            Event::Persisted(saved) => self.on_persisted(saved),
            Event::Pool { ready } => self.pool_ready = ready,
            Event::Fetched { blocks, commit_qc } => self.on_fetched(blocks, commit_qc),
        }
        self.finish();
        std::mem::take(&mut self.effects)
    }

    /// Ends an abstention: see [`Safety::resume`].
    pub fn resume(&mut self, round: Round) {
        self.safety.resume(round);
    }

    /// Our highest certificates, which lead into our round.
    #[must_use]
    pub fn certificates(&self) -> SyncInfo {
        self.sync_info().into_inner()
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.config.committee.epoch()
    }

    /// The current round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.pacemaker.round()
    }

    /// The block tree.
    #[must_use]
    pub const fn tree(&self) -> &BlockTree {
        &self.tree
    }

    /// The timeout certificate that led into the current round, if one did.
    #[must_use]
    pub const fn last_round_tc(&self) -> Option<&Verified<TimeoutCert>> {
        self.pacemaker.last_round_tc()
    }

    /// The leader of a round, as far as we know.
    #[must_use]
    pub fn leader(&self, round: Round) -> ValidatorId {
        self.leaders.leader(round)
    }

    /// The newest safety record.
    #[must_use]
    pub const fn safety_record(&self) -> &SafetyRecord {
        self.safety.record()
    }

    /// How many different results the votes of one round name, the maximum of our round and the one before: more than one is an alarm (S8).
    #[must_use]
    pub fn results_in_votes(&self) -> usize {
        let round = self.round();
        round.previous().map_or(0, |before| self.votes.results(before)).max(self.votes.results(round))
    }

    /// Whether a certified block is missing.
    #[must_use]
    pub fn is_block_missing(&self) -> bool {
        self.missing().is_some()
    }

    /// The certified block that is missing, if any.
    #[must_use]
    pub fn missing_block(&self) -> Option<BlockId> {
        self.missing().map(QuorumCert::block_id)
    }

    fn on_message(&mut self, from: ValidatorId, message: VerifiedMessage) {
        match message {
            VerifiedMessage::Proposal(proposal) => self.on_proposal(from, proposal),
            VerifiedMessage::Vote(vote) => self.on_vote(from, vote),
            VerifiedMessage::Timeout(timeout) => self.on_timeout(from, timeout),
            VerifiedMessage::SyncInfo(info) => self.absorb(&[info.high_commit_qc(), info.high_qc()], info.last_round_tc().as_ref(), from),
            // The sender has just started, or lags far behind.
            VerifiedMessage::CatchupRequest(_) => self.send_sync_info_if_behind(from),
            VerifiedMessage::FetchRequest(_)
            | VerifiedMessage::FetchResponse(_)
            | VerifiedMessage::CatchupResponse(_)
            | VerifiedMessage::SightingsRequest
            | VerifiedMessage::Sightings(_)
            | VerifiedMessage::RecoveryRequest(_) => {}
            VerifiedMessage::RecoveryAnswer(_, info) => self.on_message(from, VerifiedMessage::SyncInfo(info)),
        }
    }

    /// Ends every event: messages to ourselves, the leader's duty, the timer.
    fn finish(&mut self) {
        let me = self.config.me;
        while let Some(message) = self.inbox.pop_front() {
            self.on_message(me, message);
        }
        self.fetch_if_missing(me);
        self.propose_if_leader();
        if self.idle_timer && self.has_work() {
            self.start_timer();
        }
        if let Some(halt) = self.effects.iter().position(|effect| matches!(effect, Effect::Halt(_))) {
            self.effects.truncate(halt.saturating_add(1));
            self.halted = true;
        }
    }

    // ---- certificates -------------------------------------------------------------------------------------------------------------

    /// §3.1 `process_certificate_qc` and `advance_round_tc`, for all certificates of a message at once.
    fn absorb(&mut self, certificates: &[Verified<QuorumCert>], tc: Option<&Verified<TimeoutCert>>, from: ValidatorId) {
        let mut highest = Round(0);
        // A timeout certificate carries the highest quorum certificate of its signers.
        let of_tc = tc.map(Verified::<TimeoutCert>::high_qc);
        for qc in certificates.iter().chain(&of_tc) {
            highest = highest.max(qc.round());
            if let Err(halt) = self.tree.process_qc(qc) {
                return self.effects.push(Effect::Halt(halt));
            }
        }
        self.commit();
        if self.pacemaker.advance(highest, tc) {
            self.on_new_round();
        }
        self.fetch_if_missing(from);
    }

    fn commit(&mut self) {
        // A commit elects leaders as soon as its certificate is known, without waiting for execution.
        for block in self.tree.certified_commits() {
            if block.round() > self.elected {
                self.elected = block.round();
                self.leaders.on_committed(Summary::from(&**block));
            }
        }
        match self.tree.take_commit() {
            Ok(None) => {}
            Ok(Some((blocks, qc))) => self.effects.push(Effect::Commit { blocks, qc }),
            Err(halt) => self.effects.push(Effect::Halt(halt)),
        }
    }

    fn on_new_round(&mut self) {
        let round = self.round();
        self.votes.enter_round(round);
        // Keep the leader of the round before: it may still have to be sent a vote of ours that becomes durable late.
        if let Some(before) = round.previous() {
            self.leaders.enter_round(before);
        }
        if let Some(Accepted { proposal, inserted: false }) = self.accepted.take() {
            self.parked.push_back(proposal.block());
            if self.parked.len() > PARKED_BLOCKS_MAX {
                self.parked.pop_front();
            }
        }
        self.building = None;
        self.start_timer();
    }

    /// Deviation D5: the certificate of a missing block; what lies between that block and our chain is missing too.
    fn missing(&self) -> Option<&QuorumCert> {
        let accepted = self.accepted.as_ref().filter(|accepted| !accepted.inserted).map(|accepted| &accepted.proposal.block);
        let parked = |id: BlockId| self.parked.iter().map(|block| &**block).chain(accepted).find(|block| block.id() == id);
        [Some(&**self.tree.high_qc()), accepted.map(Block::qc)].into_iter().flatten().find_map(|mut qc| {
            // A parent's round is below its child's, so this ends.
            while let Some(block) = parked(qc.block_id()) {
                qc = block.qc();
            }
            // A block not above our root is committed already, or never will be.
            (qc.round() > self.tree.root().round && !self.tree.contains(&qc.block_id())).then_some(qc)
        })
    }

    fn fetch_if_missing(&mut self, from: ValidatorId) {
        let Some(qc) = self.missing() else {
            self.fetching = None;
            return;
        };
        // An execution in progress may move the root; a request before that would ask for the same blocks again.
        if self.tree.is_executing() {
            return;
        }
        let (block_id, signers) = (qc.block_id(), qc.signers);
        if self.fetching == Some(block_id) {
            return;
        }
        let me = self.config.me;
        let mut holders: Vec<ValidatorId> = if from == me { Vec::new() } else { vec![from] };
        holders.extend(signers.iter().filter(|id| *id != me && *id != from));
        let root = self.tree.root().round;
        self.fetching = Some(block_id);
        self.effects.push(Effect::Fetch(Missing { block_id, rounds_behind: self.known_commit().since(root), holders }));
    }

    /// Round of the newest commit we know of, carried out here or not.
    fn known_commit(&self) -> Round {
        let certified = self.tree.high_commit_qc().commits().map_or(Round(0), |(_, round, _)| round);
        certified.max(self.tree.root().round)
    }

    fn on_fetched(&mut self, blocks: Vec<Verified<Block>>, commit_qc: Option<Verified<QuorumCert>>) {
        self.fetching = None;
        let mut certificates: Vec<Verified<QuorumCert>> = blocks.iter().map(Verified::<Block>::qc).collect();
        for block in blocks {
            self.tree.keep_fetched(block.id());
            self.insert(Arc::new(block));
        }
        if let Some(qc) = commit_qc {
            self.tree.offer_commit(qc.clone());
            certificates.push(qc);
        }
        self.resume_parked();
        self.absorb(&certificates, None, self.config.me);
    }

    // ---- proposals ----------------------------------------------------------------------------------------------------------------

    fn on_proposal(&mut self, from: ValidatorId, proposal: Verified<Proposal>) {
        let qc = proposal.block().qc();
        self.absorb(&[qc, proposal.high_commit_qc()], proposal.last_round_tc().as_ref(), from);

        let (round, author) = (proposal.block.round(), proposal.block.author());
        if round < self.round() {
            // Its votes overtook the block, or it is the other block of an equivocating leader (S5): as good as fetched.
            let block = proposal.block();
            if self.missing().is_some_and(|qc| qc.block_id() == block.id()) && self.tree.contains(&block.parent_id()) {
                self.insert(Arc::new(block));
                return self.resume_parked();
            }
            self.send_sync_info_if_behind(from);
            return self.ignore(from, Ignored::OldRound);
        }
        if round > self.round() {
            return self.ignore(from, Ignored::FarRound);
        }
        if author != self.leaders.leader(round) {
            return self.ignore(from, Ignored::NotLeader);
        }
        match &self.accepted {
            Some(first) if first.proposal.block.id() == proposal.block.id() => return self.ignore(from, Ignored::Duplicate),
            Some(first) if first.proposal.block.author() == author => {
                let evidence = Evidence::proposals(&first.proposal, &proposal);
                self.accuse(Box::new(evidence));
                return self.ignore(from, Ignored::Equivocation);
            }
            // A commit that we learned late changed the leader of this round.
            Some(_) | None => {}
        }
        let extends = proposal.block.qc().round();
        self.accepted = Some(Accepted { proposal, inserted: false });
        // The leader of an idle round is alive; the next one may wait for a heartbeat of its own.
        if self.idle_timer {
            self.start_timer();
        }
        self.resume_parked();
        if self.accepted.as_ref().is_some_and(|accepted| !accepted.inserted) {
            // A missing parent that is not above our root is on a dead branch.
            let dead = extends <= self.tree.root().round;
            self.ignore(from, if dead { Ignored::UnsafeVote } else { Ignored::ParentMissing });
            self.fetch_if_missing(from);
        }
    }

    /// Resumes parked blocks whose parents have arrived, and the proposal of the current round.
    fn resume_parked(&mut self) {
        // In order of rounds, so one pass meets parents first.
        for block in std::mem::take(&mut self.parked) {
            if self.tree.contains(&block.parent_id()) {
                self.insert(Arc::new(block));
            } else if block.qc().round() > self.tree.root().round {
                self.parked.push_back(block);
            }
        }
        let Some(accepted) = self.accepted.as_mut().filter(|accepted| !accepted.inserted) else { return };
        let block = accepted.proposal.block();
        if !self.tree.contains(&block.parent_id()) {
            return;
        }
        accepted.inserted = true;
        if self.tree.state(&block.id()).is_some() {
            self.check_time(block.id());
        } else {
            self.insert(Arc::new(block));
        }
    }

    /// §3.3 `execute_and_insert`.
    fn insert(&mut self, block: Arc<Verified<Block>>) {
        if self.tree.insert(Arc::clone(&block)) {
            self.effects.push(Effect::Execute { block });
        }
    }

    fn on_executed(&mut self, id: BlockId, outcome: Result<StateId, Rejected>) {
        // None if pruned in the meantime.
        let Some(block) = self.tree.get(&id).cloned() else { return };
        match outcome {
            Err(Rejected(reason)) => {
                if let Some(state) = self.tree.certified_state(&id) {
                    self.effects.push(Effect::Halt(divergence(id, block.round(), state, None)));
                } else {
                    self.tree.remove(&id);
                    self.ignore(block.author(), Ignored::InvalidBlock(reason));
                }
            }
            Ok(state) => {
                if let Err(halt) = self.tree.executed(&id, state) {
                    return self.effects.push(Effect::Halt(halt));
                }
                // Our own blocks were stored before we proposed them.
                if block.author() != self.config.me {
                    self.effects.push(Effect::Store(Arc::clone(&block)));
                }
                self.commit();
                self.check_time(id);
            }
        }
    }

    /// The proposal of the current round, if this is its block.
    fn accepted(&self, id: BlockId) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|accepted| accepted.proposal.block.id() == id)
    }

    /// Deviation D8: once the block of the current round is executed, our vote waits for the block's time.
    fn check_time(&mut self, id: BlockId) {
        if self.accepted(id).is_some() {
            self.effects.push(Effect::CheckTime(id));
        }
    }

    /// §3.1, end of the proposal handler: votes, if this is the block of the current round.
    fn on_timely(&mut self, id: BlockId) {
        let (Some(accepted), Some(state)) = (self.accepted(id), self.tree.state(&id)) else { return };
        let block = accepted.proposal.block();
        // A commit learned since may have elected another leader, which other validators already use.
        if self.leaders.leader(block.round()) != block.author() {
            return self.ignore(block.author(), Ignored::NotLeader);
        }
        let tc = accepted.proposal.last_round_tc();
        match self.safety.approve_vote(&block, tc.as_ref(), state) {
            Ok(ballot) => self.persist(ballot),
            Err(Unsafe::Observer | Unsafe::Abstains) => {}
            Err(_) => self.ignore(block.author(), Ignored::UnsafeVote),
        }
    }

    /// §3.1 `process_new_round_event`: proposes as leader, however we entered the round (E5), once (E4), and only on an executed parent.
    fn propose_if_leader(&mut self) {
        let round = self.round();
        let parent = self.tree.high_qc().block_id();
        if self.leaders.leader(round) != self.config.me
            || self.safety.record().last_proposed_round() >= round
            || self.building == Some((round, parent))
            || self.tree.state(&parent).is_none()
        {
            return;
        }
        self.building = Some((round, parent));
        self.effects.push(Effect::BuildPayload { round, parent, flush: self.tree.must_flush() });
    }

    fn on_payload(&mut self, round: Round, parent: BlockId, timestamp: UnixMillis, payload: Payload) {
        // The round or the high QC has changed in the meantime: `propose_if_leader` asks again.
        if self.building != Some((round, parent)) || round != self.round() || parent != self.tree.high_qc().block_id() {
            return;
        }
        let high_qc = self.tree.high_qc().clone();
        // E6: the proposal carries the timeout certificate exactly when the high QC is not of the round before.
        let last_round_tc = if high_qc.round().next() == round { None } else { self.pacemaker.last_round_tc().cloned() };
        let content = OwnBlock {
            genesis_hash: self.config.genesis_hash,
            epoch: self.config.committee.epoch(),
            author: self.config.me,
            round,
            timestamp,
            payload,
        };
        let block = Verified::<Block>::own(content, &high_qc);
        if let Ok(ballot) = self.safety.approve_proposal(block, last_round_tc) {
            self.persist(ballot);
        }
    }

    // ---- votes --------------------------------------------------------------------------------------------------------------------

    fn on_vote(&mut self, from: ValidatorId, vote: Verified<Vote>) {
        self.absorb(&[vote.high_commit_qc()], None, from);
        let round = vote.vote_info.round;
        match self.votes.add(&self.config.committee, self.round(), vote) {
            votes::VoteOutcome::Counted => {}
            votes::VoteOutcome::Certified(qc) => self.absorb(&[*qc], None, from),
            votes::VoteOutcome::Equivocation(evidence) => {
                self.accuse(evidence);
                self.ignore(from, Ignored::Equivocation);
            }
            votes::VoteOutcome::Ignored(reason) => {
                // A vote that arrives after its quorum is normal; one of a round long over comes from a lagging validator.
                if round.next().next() < self.round() {
                    self.send_sync_info_if_behind(from);
                }
                self.ignore(from, reason);
            }
        }
    }

    // ---- timeouts -----------------------------------------------------------------------------------------------------------------

    fn on_timeout(&mut self, from: ValidatorId, timeout: Verified<TimeoutMessage>) {
        self.absorb(&[timeout.high_qc(), timeout.high_commit_qc()], timeout.last_round_tc().as_ref(), from);
        // The sender may be giving up because a commit has not reached it.
        if timeout.high_commit_qc.round() < self.tree.high_commit_qc().round() {
            self.send_sync_info_if_behind(from);
        }
        let round = timeout.timeout.round;
        match self.pacemaker.add(&self.config.committee, timeout) {
            pacemaker::TimeoutOutcome::Counted => {}
            pacemaker::TimeoutOutcome::Amplify => self.local_timeout(),
            pacemaker::TimeoutOutcome::Formed(tc) => {
                let next = tc.round.next();
                self.absorb(&[], Some(&tc), self.config.me);
                // Cheap, and it reaches a leader that missed the timeouts.
                self.send_sync_info(self.leaders.leader(next));
            }
            pacemaker::TimeoutOutcome::Equivocation(both) => {
                let [first, second] = &*both;
                self.accuse(Box::new(Evidence::timeouts(self.config.genesis_hash, first, second)));
                self.ignore(from, Ignored::Equivocation);
            }
            pacemaker::TimeoutOutcome::Ignored(reason) => {
                if round < self.round() {
                    self.send_sync_info_if_behind(from);
                }
                self.ignore(from, reason);
            }
        }
    }

    fn on_timer(&mut self, round: Round) {
        if round != self.round() {
            return;
        }
        // Only the timer tries again: each attempt syncs a record, and others could make us attempt as often as they like.
        if self.not_signed.take() == Some(round) {
            self.giving_up = None;
        }
        // If the work has gone away (a transaction expired, say), an idle round is nobody's fault.
        if self.idle_timer || self.has_work() || self.pacemaker.own_timeout().is_some() {
            self.local_timeout();
        }
        // E12: repeat until the round ends.
        self.start_timer();
    }

    /// §3.5 `local_timeout_round`. If we have given the round up already, resends the same timeout.
    fn local_timeout(&mut self) {
        if let Some(own) = self.pacemaker.own_timeout() {
            let message = Message::from(own.clone());
            self.resend_vote();
            self.effects.push(Effect::Send { to: Recipients::Others, message });
            return;
        }
        let round = self.round();
        // Approved, but not durable yet.
        if self.giving_up == Some(round) {
            return;
        }
        let approved = match &self.resend_timeout {
            Some((of, high_qc, tc)) if *of == round => self.safety.approve_timeout(round, high_qc, tc.as_ref()),
            Some(_) | None => self.safety.approve_timeout(round, self.tree.high_qc(), self.pacemaker.last_round_tc()),
        };
        match approved {
            Ok(ballot) => {
                self.giving_up = Some(round);
                self.persist(ballot);
            }
            Err(Unsafe::Observer | Unsafe::Abstains) => {}
            // E9: an empty timeout is never sent.
            Err(_) => self.ignore(self.config.me, Ignored::UnsafeTimeout),
        }
    }

    /// Deviation D7: a round may last the pacemaker's duration, and on an idle chain the heartbeat on top.
    fn start_timer(&mut self) {
        let round = self.round();
        let patience = self.pacemaker.duration_ms(&self.config.parameters, self.known_commit());
        self.idle_timer = !self.has_work() && self.pacemaker.own_timeout().is_none();
        let heartbeat = if self.idle_timer { u64::from(self.config.parameters.heartbeat_ms) } else { 0 };
        self.effects.push(Effect::StartTimer { round, after_ms: patience.saturating_add(heartbeat) });
    }

    fn has_work(&self) -> bool {
        let proposal = self.accepted.as_ref().map(|accepted| accepted.proposal.block.id());
        self.pool_ready || self.tree.has_uncommitted_payload(proposal.as_ref())
    }

    // ---- ballots and messages -----------------------------------------------------------------------------------------------------

    fn persist(&mut self, ballot: Unsaved<Ballot>) {
        let certificates = Box::new(self.sync_info().into_inner());
        self.effects.push(Effect::Persist { ballot: Box::new(ballot), certificates });
    }

    fn on_persisted(&mut self, saved: Saved<Ballot>) {
        let (timeout, block) = match saved.ballot() {
            Ballot::Timeout { round, high_qc, last_round_tc } => (Some((*round, high_qc.clone(), last_round_tc.clone())), None),
            Ballot::Proposal { block, .. } => (None, Some((block.round(), block.id()))),
            Ballot::Vote(..) => (None, None),
        };
        let Some(signed) = self.safety.sign(saved, self.tree.high_commit_qc()) else {
            // A vote or a proposal counts as lost on its way. A timeout is tried again by the next timer.
            if timeout.as_ref().is_some_and(|(round, ..)| self.giving_up == Some(*round)) {
                (self.not_signed, self.resend_timeout) = (self.giving_up, timeout);
            }
            if let Some((round, block)) = block {
                self.effects.push(Effect::Discard { round, block });
            }
            return self.ignore(self.config.me, Ignored::NotSigned);
        };
        match signed {
            Signed::Vote(vote) => {
                self.own_vote = Some(vote.clone());
                let collector = self.leaders.leader(vote.vote_info.round.next());
                if collector == self.config.me {
                    self.inbox.push_back(VerifiedMessage::Vote(vote));
                } else {
                    self.effects.push(Effect::Send { to: Recipients::One(collector), message: vote.into() });
                }
            }
            Signed::Timeout(timeout) => {
                self.pacemaker.set_own_timeout(timeout.clone());
                self.resend_vote();
                self.effects.push(Effect::Send { to: Recipients::Others, message: timeout.clone().into() });
                self.inbox.push_back(VerifiedMessage::Timeout(timeout));
            }
            Signed::Proposal(proposal) => {
                self.effects.push(Effect::Send { to: Recipients::Others, message: proposal.clone().into() });
                self.inbox.push_back(VerifiedMessage::Proposal(proposal));
            }
        }
    }

    /// Deviation D9: a validator that gives a round up sends its vote of that round to everyone. Otherwise only the next leader has the
    /// votes, and if it is silent the certificate is lost: a leader between two silent ones could never commit (S23).
    fn resend_vote(&mut self) {
        let round = self.round();
        if let Some(vote) = self.own_vote.clone().filter(|vote| vote.vote_info.round == round) {
            self.effects.push(Effect::Send { to: Recipients::Others, message: vote.clone().into() });
            self.inbox.push_back(VerifiedMessage::Vote(vote));
        }
    }

    fn sync_info(&self) -> Verified<SyncInfo> {
        Verified::<SyncInfo>::own(self.tree.high_qc(), self.tree.high_commit_qc(), self.pacemaker.last_round_tc())
    }

    fn send_sync_info(&mut self, to: ValidatorId) {
        if to != self.config.me {
            let message = self.sync_info().into();
            self.effects.push(Effect::Send { to: Recipients::One(to), message });
        }
    }

    /// Sends a lagging validator what it has missed, once in each of our rounds. If we have given the round up, sends our timeout too: the
    /// validator's own may be the one missing for a quorum, and our next resend is a whole timer away.
    fn send_sync_info_if_behind(&mut self, to: ValidatorId) {
        let round = self.round();
        if to == self.config.me || self.helped.insert(to, round) == Some(round) {
            return;
        }
        self.send_sync_info(to);
        if let Some(own) = self.pacemaker.own_timeout() {
            let message = Message::from(own.clone());
            self.effects.push(Effect::Send { to: Recipients::One(to), message });
        }
    }

    /// Gives out evidence, once per culprit, kind and round.
    fn accuse(&mut self, evidence: Box<Evidence>) {
        let last = self.accused.entry((evidence.culprit, evidence.kind())).or_default();
        if *last < evidence.round() {
            *last = evidence.round();
            self.effects.push(Effect::Accuse(evidence));
        }
    }

    fn ignore(&mut self, from: ValidatorId, reason: Ignored) {
        self.effects.push(Effect::Ignored { from, reason });
    }
}

#[cfg(test)]
mod tests;
