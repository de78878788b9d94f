//! Small clusters: engines connected by a queue whose delays and losses come from one seed. Execution is a hash; disks are in memory. Every
//! step checks what no validator may ever do; the simulator does the same with whole replicas.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use quorate_consensus::{Config, Effect, Engine, Event, Missing};
use quorate_types::{
    block::Block,
    ids::{BlockId, ValidatorId},
    message::{Message, Recipients},
    round::{Round, UnixMillis},
    verify::Verified,
    vote::QuorumCert,
};

use crate::{
    disk::Disk,
    members::{Members, NETWORK, state_of},
};

/// Blocks in one catch-up answer.
const STRETCH: usize = 16;
/// Beyond this many rounds, blocks are sent by height.
const GAP_ROUNDS_FETCHED: u64 = 24;

enum Input {
    Message { from: ValidatorId, message: Box<Message> },
    Timer { round: Round, started: u64 },
    Heartbeat { round: Round, parent: BlockId },
    Fetch { missing: Missing, attempt: usize },
}

/// Missing blocks, and perhaps the certificate that commits the last.
type Blocks = (Vec<Verified<Block>>, Option<Verified<QuorumCert>>);

struct Node {
    engine: Option<Engine>,
    disk: Disk,
    /// Number of the timer's last start; earlier ones no longer count.
    timer: u64,
    building: Option<(Round, BlockId)>,
    fetching: Option<BlockId>,
}

struct Cluster {
    members: Members,
    nodes: Vec<Node>,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), (ValidatorId, Input)>,
    sequence: u64,
    random: u64,
    loss_percent: u64,
    delay_ms: u64,
    /// Whether every requested payload is given at once, and not only when it flushes or the heartbeat is due.
    busy: bool,
    equivocators: BTreeSet<ValidatorId>,
    /// The one chain: what any validator has committed.
    chain: Vec<(BlockId, Round, ValidatorId)>,
    votes: BTreeMap<(ValidatorId, Round), BlockId>,
    timeouts: BTreeMap<(ValidatorId, Round), Round>,
    proposals: BTreeMap<(ValidatorId, Round), BlockId>,
    sent: u64,
}

impl Cluster {
    fn new(members: Members, seed: u64) -> Self {
        let nodes =
            members.ids().into_iter().map(|_| Node { engine: None, disk: Disk::default(), timer: 0, building: None, fetching: None });
        Self {
            nodes: nodes.collect(),
            now_ms: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            loss_percent: 0,
            delay_ms: 20,
            busy: true,
            equivocators: BTreeSet::new(),
            chain: Vec::new(),
            votes: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            proposals: BTreeMap::new(),
            sent: 0,
            members,
        }
    }

    fn started(members: Members, seed: u64) -> Self {
        let mut cluster = Self::new(members, seed);
        for id in cluster.members.ids() {
            cluster.start(id);
        }
        cluster
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn schedule(&mut self, after_ms: u64, to: ValidatorId, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.now_ms + after_ms, self.sequence), (to, input));
    }

    fn start(&mut self, id: ValidatorId) {
        let config = Config {
            genesis_hash: NETWORK,
            committee: Arc::clone(&self.members.committee),
            parameters: self.members.parameters,
            me: id,
            fixed_leaders: Arc::default(),
        };
        let recovered = self.nodes[id.index()].disk.recovered(id, &self.members.verifier);
        let (engine, effects) = Engine::recover(config, Arc::new(self.members.key(id)), recovered);
        let node = &mut self.nodes[id.index()];
        (node.engine, node.building, node.fetching) = (Some(engine), None, None);
        node.timer += 1;
        self.carry_out(id, effects);
        let ready = self.busy;
        self.tell(id, Event::Pool { ready });
    }

    fn crash(&mut self, id: ValidatorId) {
        self.nodes[id.index()].engine = None;
        self.nodes[id.index()].timer += 1;
    }

    fn engine(&self, id: ValidatorId) -> &Engine {
        self.nodes[id.index()].engine.as_ref().unwrap()
    }

    fn running(&self) -> Vec<ValidatorId> {
        self.members.ids().into_iter().filter(|id| self.nodes[id.index()].engine.is_some()).collect()
    }

    fn height(&self, id: ValidatorId) -> usize {
        self.nodes[id.index()].disk.committed.len()
    }

    fn tell(&mut self, id: ValidatorId, event: Event) {
        if let Some(engine) = self.nodes[id.index()].engine.as_mut() {
            let effects = engine.handle(event);
            self.carry_out(id, effects);
        }
    }

    /// Handles the next input in the queue. False when the queue is empty.
    fn step(&mut self) -> bool {
        let Some(((at, _), (to, input))) = self.queue.pop_first() else { return false };
        self.now_ms = at;
        match input {
            Input::Message { from, message } => {
                if self.nodes[to.index()].engine.is_some() {
                    let message = self.members.verifier.message(from, *message).expect("honest engines send what verifies").split();
                    self.tell(to, Event::Message { from, message });
                }
            }
            Input::Timer { round, started } => {
                if self.nodes[to.index()].timer == started {
                    self.tell(to, Event::TimerFired(round));
                }
            }
            Input::Heartbeat { round, parent } => self.payload(to, round, parent, 0),
            Input::Fetch { missing, attempt } => self.fetch(to, missing, attempt),
        }
        true
    }

    fn run_until(&mut self, limit_ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now_ms + limit_ms;
        while !done(self) {
            if self.now_ms > end || !self.step() {
                return false;
            }
        }
        true
    }

    fn run_for(&mut self, duration_ms: u64) {
        let end = self.now_ms + duration_ms;
        self.run_until(duration_ms, |cluster| cluster.queue.first_key_value().is_none_or(|((at, _), _)| *at > end));
        self.now_ms = end;
    }

    fn payload(&mut self, id: ValidatorId, round: Round, parent: BlockId, transactions: u64) {
        if self.nodes[id.index()].building == Some((round, parent)) {
            self.nodes[id.index()].building = None;
            let payload = Members::payload(transactions, round.0);
            self.tell(id, Event::PayloadReady { round, parent, timestamp: UnixMillis(round.0), payload });
        }
    }

    /// A transaction reaches every pool; a leader that is waiting for one takes it.
    fn submit(&mut self) {
        for id in self.running() {
            self.tell(id, Event::Pool { ready: true });
        }
        for id in self.running() {
            if let Some((round, parent)) = self.nodes[id.index()].building {
                self.payload(id, round, parent, 1);
            }
        }
        for id in self.running() {
            self.tell(id, Event::Pool { ready: false });
        }
    }

    fn fetch(&mut self, id: ValidatorId, missing: Missing, attempt: usize) {
        if self.nodes[id.index()].engine.is_none() || self.nodes[id.index()].fetching != Some(missing.block_id) {
            return;
        }
        let others: Vec<ValidatorId> = self.members.ids().into_iter().filter(|other| *other != id).collect();
        let holders = if attempt < missing.holders.len() { &missing.holders } else { &others };
        let holder = holders[attempt % holders.len()];
        let answer = match &self.nodes[holder.index()] {
            Node { engine: Some(_), disk, .. } if missing.rounds_behind > GAP_ROUNDS_FETCHED => self.stretch(id, disk),
            Node { engine: Some(_), disk, .. } => self.ancestors(id, disk, &missing),
            Node { .. } => None,
        };
        match answer {
            Some((blocks, commit_qc)) => {
                self.nodes[id.index()].fetching = None;
                self.tell(id, Event::Fetched { blocks, commit_qc });
            }
            None => self.schedule(50, id, Input::Fetch { missing, attempt: attempt + 1 }),
        }
    }

    fn ancestors(&self, id: ValidatorId, disk: &Disk, missing: &Missing) -> Option<Blocks> {
        let tree = self.engine(id).tree();
        let mut blocks = Vec::new();
        let mut next = missing.block_id;
        while !tree.contains(&next) {
            let block = disk.find(&next)?;
            next = block.parent_id();
            blocks.push(self.members.verifier.block(block.clone()).unwrap());
        }
        blocks.reverse();
        Some((blocks, None))
    }

    fn stretch(&self, id: ValidatorId, disk: &Disk) -> Option<Blocks> {
        let from = self.height(id);
        let committed = &disk.committed;
        // A block is committed by its child's certificate if their rounds are consecutive; that certificate is in the grandchild.
        let last = (from..from + STRETCH)
            .rev()
            .find(|height| committed.get(height + 2).is_some() && committed[height + 1].round() == committed[*height].round().next())?;
        let verifier = &self.members.verifier;
        let blocks = committed[from..=last].iter().map(|block| verifier.block(block.clone()).unwrap()).collect();
        Some((blocks, Some(verifier.quorum_cert(committed[last + 2].qc()).unwrap())))
    }

    fn carry_out(&mut self, id: ValidatorId, effects: Vec<Effect>) {
        let mut queue: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = queue.pop_front() {
            let event = match effect {
                Effect::Execute { block } => Some(Event::Executed { block: block.id(), outcome: Ok(state_of(block.id())) }),
                Effect::CheckTime(block) => Some(Event::Timely(block)),
                Effect::Persist { ballot, certificates } => {
                    Some(Event::Persisted(self.nodes[id.index()].disk.persist(*ballot, *certificates)))
                }
                Effect::Store(block) => {
                    self.nodes[id.index()].disk.store(&block);
                    None
                }
                Effect::Send { to, message } => {
                    self.send(id, to, &message);
                    None
                }
                Effect::StartTimer { round, after_ms } => {
                    self.nodes[id.index()].timer += 1;
                    let started = self.nodes[id.index()].timer;
                    self.schedule(after_ms, id, Input::Timer { round, started });
                    None
                }
                Effect::BuildPayload { round, parent, flush } => {
                    self.nodes[id.index()].building = Some((round, parent));
                    let wait = if self.busy || flush { 1 } else { u64::from(self.members.parameters.heartbeat_ms) };
                    self.schedule(wait, id, Input::Heartbeat { round, parent });
                    None
                }
                Effect::Commit { blocks, qc } => {
                    self.on_commit(id, &blocks, &qc);
                    None
                }
                Effect::Fetch(missing) => {
                    assert!(!self.engine(id).tree().contains(&missing.block_id));
                    self.nodes[id.index()].fetching = Some(missing.block_id);
                    let delay = self.delay_ms * 2;
                    self.schedule(delay, id, Input::Fetch { missing, attempt: 0 });
                    None
                }
                Effect::Accuse(evidence) => {
                    assert!(self.equivocators.contains(&evidence.culprit), "an honest validator is accused: {evidence:?}");
                    None
                }
                Effect::Ignored { .. } | Effect::Discard { .. } => None,
                Effect::Halt(halt) => panic!("validator {id} halts: {halt}"),
            };
            if let Some(event) = event
                && let Some(engine) = self.nodes[id.index()].engine.as_mut()
            {
                queue.extend(engine.handle(event));
            }
        }
    }

    fn send(&mut self, from: ValidatorId, to: Recipients, message: &Message) {
        self.sent += 1;
        match message {
            Message::Vote(v) => {
                let first = *self.votes.entry((from, v.vote_info.round)).or_insert(v.vote_info.id);
                assert_eq!(first, v.vote_info.id, "SAFE-1: {from} votes twice in round {}", v.vote_info.round);
            }
            Message::Timeout(t) => {
                let high = t.timeout.high_qc.round();
                assert_eq!(*self.timeouts.entry((from, t.timeout.round)).or_insert(high), high, "D10: two timeouts of {from}");
            }
            Message::Proposal(p) => {
                let first = *self.proposals.entry((from, p.block.round())).or_insert(p.block.id());
                assert_eq!(first, p.block.id(), "SAFE-5: {from} proposes twice in round {}", p.block.round());
            }
            Message::SyncInfo(_) => {}
            other => panic!("an engine does not send {}", other.kind()),
        }
        let recipients = match to {
            Recipients::One(id) => vec![id],
            Recipients::Others => self.members.ids().into_iter().filter(|id| *id != from).collect(),
        };
        for to in recipients {
            assert_ne!(to, from);
            let copies = if self.random(20) == 0 { 2 } else { 1 };
            for _ in 0..copies {
                let lost = self.random(100) < self.loss_percent;
                let delay = 1 + self.random(self.delay_ms);
                let message = match message {
                    Message::Proposal(p) if self.equivocators.contains(&from) && to.0 % 2 == 1 => {
                        let qc = self.members.verifier.quorum_cert(p.block.qc()).unwrap();
                        let tc = p.last_round_tc.as_ref().map(|tc| self.members.verifier.timeout_cert(tc).unwrap());
                        let high_commit_qc = self.members.verifier.quorum_cert(&p.high_commit_qc).unwrap();
                        let other = Members::block(from, p.block.round(), 3, &qc);
                        Message::from(self.members.proposal(&other, tc.as_ref(), &high_commit_qc))
                    }
                    other => other.clone(),
                };
                if !lost {
                    self.schedule(delay, to, Input::Message { from, message: Box::new(message) });
                }
            }
        }
    }

    fn on_commit(&mut self, id: ValidatorId, blocks: &[Arc<Verified<Block>>], qc: &QuorumCert) {
        let (committed, ..) = qc.commits().expect("a certificate that commits");
        assert_eq!(blocks.last().unwrap().id(), committed);
        for block in blocks {
            let height = self.height(id);
            match self.chain.get(height) {
                None => self.chain.push((block.id(), block.round(), block.author())),
                Some((known, ..)) => assert_eq!(*known, block.id(), "TREE-1: {id} commits another block at height {}", height + 1),
            }
            self.nodes[id.index()].disk.commit(std::slice::from_ref(block), qc);
        }
    }

    /// Validators with the same root name the same leaders for this round and the next ones.
    fn check_leaders(&self) {
        let mut seen: BTreeMap<(BlockId, Round), Vec<ValidatorId>> = BTreeMap::new();
        for id in self.running() {
            let engine = self.engine(id);
            let leaders = (0..4).map(|ahead| engine.leader(Round(engine.round().0 + ahead))).collect::<Vec<_>>();
            let first = seen.entry((engine.tree().root().id, engine.round())).or_insert_with(|| leaders.clone());
            assert_eq!(*first, leaders, "validator {id} in round {}", engine.round());
        }
    }

    fn all_at(&self, height: usize) -> bool {
        self.running().into_iter().all(|id| self.height(id) >= height)
    }
}

fn faults(members: &Members) -> usize {
    (members.committee.voters().len() - 1) / 3
}

#[test]
fn every_size_of_committee_commits_and_agrees_without_a_single_timeout() {
    for n in [1, 2, 3, 4, 5, 6, 7, 10] {
        let mut cluster = Cluster::started(Members::equal(n), n as u64);
        assert!(cluster.run_until(60_000, |cluster| cluster.all_at(60)), "n = {n}: {} blocks", cluster.chain.len());
        assert!(cluster.timeouts.is_empty(), "n = {n}: {:?}", cluster.timeouts);
        assert!(cluster.chain.windows(2).all(|pair| pair[0].1.next() == pair[1].1), "n = {n}: a round without a block");
        cluster.check_leaders();
    }
}

#[test]
fn unequal_power_commits_and_survives_what_its_arithmetic_allows() {
    // A quorum is all of the power but a minority below a third.
    let table: [(&[u64], &[u16]); 6] = [
        (&[5, 5, 5, 4, 1], &[4]),
        (&[10, 1, 1, 1, 1], &[2, 3, 4]),
        (&[3, 3, 2, 2, 2, 1], &[4, 5]),
        (&[100, 1], &[1]),
        // S23: every running leader is between two that are down. It has two rounds, and nobody to hand its second certificate to.
        (&[10, 1, 10, 1, 10, 1], &[1, 3, 5]),
        (&[1, 100, 1], &[0, 2]),
    ];
    for (powers, down) in table {
        let mut cluster = Cluster::new(Members::new(powers), 3);
        for id in cluster.members.ids() {
            if !down.contains(&id.0) {
                cluster.start(id);
            }
        }
        assert!(cluster.run_until(400_000, |cluster| cluster.all_at(40)), "{powers:?}: {} blocks", cluster.chain.len());
    }
    // One more is down than may be: nothing is ever committed, and nobody breaks a rule.
    let mut cluster = Cluster::new(Members::new(&[10, 1, 1, 1, 1]), 3);
    for id in cluster.members.ids().into_iter().skip(1) {
        cluster.start(id);
    }
    cluster.run_for(60_000);
    assert_eq!(cluster.chain, []);
}

#[test]
fn f_silent_validators_cost_some_rounds_and_then_reputation_leaves_them_out() {
    for n in [4, 5, 7, 10] {
        let members = Members::equal(n);
        let f = faults(&members);
        let mut cluster = Cluster::new(members, 7);
        let down: Vec<ValidatorId> = cluster.members.ids().into_iter().skip(1).take(f).collect();
        for id in cluster.members.ids() {
            if !down.contains(&id) {
                cluster.start(id);
            }
        }
        assert!(cluster.run_until(300_000, |cluster| cluster.all_at(100)), "n = {n}: {} blocks", cluster.chain.len());
        let settled = &cluster.chain[50..];
        assert!(settled.windows(2).all(|pair| pair[0].1.next() == pair[1].1), "n = {n}: rounds are still lost to silent leaders");
        assert!(cluster.chain.iter().all(|(.., author)| !down.contains(author)));
        cluster.check_leaders();
    }
}

#[test]
fn s11_the_whole_committee_restarts_again_and_again_and_goes_on() {
    for seed in 0..12 {
        let mut cluster = Cluster::started(Members::equal(4), seed);
        for _ in 0..6 {
            let height = cluster.chain.len();
            // One is down for a while first, so that some restarts are in a round that timeouts led into.
            let down = ValidatorId(u16::try_from(cluster.random(4)).unwrap());
            cluster.crash(down);
            let pause = cluster.random(4_000);
            cluster.run_for(pause);
            for id in cluster.members.ids() {
                cluster.crash(id);
            }
            // Messages in flight are lost with the machines.
            cluster.queue.clear();
            for id in cluster.members.ids() {
                cluster.start(id);
            }
            assert!(cluster.run_until(120_000, |cluster| cluster.all_at(height + 10)), "seed {seed}: stuck at {height}");
        }
        cluster.check_leaders();
    }
}

#[test]
fn crashes_losses_and_delays_break_nothing_and_when_they_end_all_commit() {
    for seed in 0..40 {
        let n = [4, 4, 5, 7][usize::try_from(seed % 4).unwrap()];
        let mut cluster = Cluster::started(Members::equal(n), 100 + seed);
        cluster.loss_percent = 5 + seed % 30;
        cluster.delay_ms = [5, 50, 400, 1_500][usize::try_from(seed / 4 % 4).unwrap()];
        for _ in 0..12 {
            let pause = cluster.random(3_000);
            cluster.run_for(pause);
            let victim = ValidatorId(u16::try_from(cluster.random(n as u64)).unwrap());
            if cluster.nodes[victim.index()].engine.is_some() { cluster.crash(victim) } else { cluster.start(victim) }
        }
        (cluster.loss_percent, cluster.delay_ms) = (0, 20);
        for id in cluster.members.ids() {
            if cluster.nodes[id.index()].engine.is_none() {
                cluster.start(id);
            }
        }
        let height = cluster.chain.len();
        assert!(cluster.run_until(120_000, |cluster| cluster.all_at(height + 20)), "seed {seed}: {height} and no further");
        cluster.check_leaders();
    }
}

#[test]
fn leaders_that_send_two_blocks_waste_their_rounds_and_nothing_else() {
    for n in [4, 7] {
        let members = Members::equal(n);
        let equivocators: BTreeSet<ValidatorId> = members.ids().into_iter().take(faults(&members)).collect();
        let mut cluster = Cluster::new(members, 11);
        cluster.equivocators = equivocators;
        for id in cluster.members.ids() {
            cluster.start(id);
        }
        assert!(cluster.run_until(300_000, |cluster| cluster.all_at(60)), "n = {n}: {} blocks", cluster.chain.len());
    }
}

#[test]
fn a_validator_that_was_away_catches_up_stretch_by_stretch_while_the_chain_runs_on() {
    let mut cluster = Cluster::started(Members::equal(4), 5);
    cluster.run_until(60_000, |cluster| cluster.all_at(5));
    let away = ValidatorId(2);
    cluster.crash(away);
    assert!(cluster.run_until(300_000, |cluster| cluster.all_at(400)));
    let before = cluster.height(away);
    cluster.start(away);
    assert!(cluster.run_until(60_000, |cluster| cluster.height(away) + 3 >= cluster.chain.len()), "{before} of {}", cluster.chain.len());
    // And it takes part again: blocks of its own are committed.
    let height = cluster.chain.len();
    assert!(cluster.run_until(60_000, |cluster| cluster.chain[height..].iter().any(|(.., author)| *author == away)));
    cluster.check_leaders();
}

#[test]
fn blocks_above_the_root_stay_bounded_while_nothing_commits() {
    // Losses are so heavy that most rounds are given up, and two certified ones in a row are rare.
    let mut cluster = Cluster::started(Members::equal(4), 9);
    cluster.run_until(60_000, |cluster| cluster.all_at(3));
    cluster.loss_percent = 60;
    cluster.run_for(200_000);
    for id in cluster.running() {
        assert!(cluster.engine(id).tree().blocks().count() <= 256);
    }
    cluster.loss_percent = 0;
    let height = cluster.chain.len();
    assert!(cluster.run_until(120_000, |cluster| cluster.all_at(height + 10)));
}

#[test]
fn s18_an_idle_chain_is_quiet_and_a_lone_transaction_commits_everywhere_at_once() {
    for n in [1, 4, 7] {
        let mut cluster = Cluster::new(Members::equal(n), 13);
        cluster.busy = false;
        for id in cluster.members.ids() {
            cluster.start(id);
        }
        cluster.run_for(300_000);
        assert!(cluster.timeouts.is_empty(), "n = {n}: nobody is suspected on an idle chain: {:?}", cluster.timeouts);
        // 30 heartbeats, each a proposal and n votes.
        assert!(cluster.sent <= 31 * (n as u64 + 2), "n = {n}: {} messages in 300 idle seconds", cluster.sent);
        cluster.submit();
        let submitted = cluster.now_ms;
        let has_it = |cluster: &Cluster| {
            cluster.running().into_iter().all(|id| cluster.nodes[id.index()].disk.committed.iter().any(|block| !block.payload().is_empty()))
        };
        assert!(cluster.run_until(60_000, has_it));
        // Four proposals and three rounds of votes, each at most one delay.
        assert!(cluster.now_ms - submitted <= 8 * 21, "n = {n}: {} ms", cluster.now_ms - submitted);
        // Then silence again: at most the last votes and one heartbeat.
        let sent = cluster.sent;
        cluster.run_for(9_000);
        assert!(cluster.sent - sent <= 2 * n as u64, "n = {n}: {} messages after the commit", cluster.sent - sent);
    }
}

#[test]
fn an_idle_chain_with_a_silent_leader_makes_no_storm() {
    let mut cluster = Cluster::new(Members::equal(4), 17);
    cluster.busy = false;
    for id in [0, 2, 3].map(ValidatorId) {
        cluster.start(id);
    }
    cluster.run_for(600_000);
    // At most one lost round each time the leader is silent, and one heartbeat otherwise.
    assert!(cluster.sent <= 2_000, "{} messages in 600 idle seconds", cluster.sent);
    assert!(cluster.all_at(20), "{} heartbeats", cluster.chain.len());
    cluster.submit();
    let has_it = |cluster: &Cluster| {
        cluster.running().into_iter().all(|id| cluster.nodes[id.index()].disk.committed.iter().any(|block| !block.payload().is_empty()))
    };
    assert!(cluster.run_until(30_000, has_it));
}

#[test]
fn the_same_seed_gives_the_same_chain() {
    let run = |seed| {
        let mut cluster = Cluster::started(Members::equal(4), seed);
        cluster.loss_percent = 10;
        cluster.run_for(20_000);
        (cluster.chain, cluster.sent)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
