//! Plays one scenario with production replicas.
//!
//! A message arrives at once, in sending order, if the sides of its round let it through, and otherwise never. When no message is in
//! flight, the clock jumps to the earliest deadline. Proposals, votes and timeouts name their round; any other message belongs to the round
//! its sender is in. After the scenario's last round everybody hears everybody.
//!
//! A round with no side large enough for a quorum would never end, since only votes or timeouts can end it. If no actor enters a new round
//! for longer than a timer runs, the sides of all rounds so far are joined, and resent messages get through.
//!
//! If the committee changes, rounds start again, and the same leaders and sides with them. Once somebody is through the last round of the new
//! epoch, everybody also hears whoever was left behind in the old one: otherwise a validator alone on its side could never ask.
//!
//! The two copies of a validator never hear each other: a message to a validator goes to all its copies, a broadcast to all copies of all
//! other validators. There is no gossip: everybody has the transactions from the beginning.

use std::{
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
};

use quorate_harness::{
    Content, Happened as Played, Machine, Opened, Packet, SimSigner, Watch, contents, describe,
    invariants::{Observation, Register, Violation, live_1},
    is_for,
    lab::{Lab, TIMEOUT_MS},
    time::Micros,
    violation,
};
use quorate_ledger::Committed;
use quorate_replica::{Doubles, Input, Output, Replica};
use quorate_types::{
    committee::SignerSet,
    evidence::Evidence,
    header::Header,
    ids::ValidatorId,
    message::{Message, Recipients},
    round::{Epoch, Height, Round},
    sighting::StatementKind,
};
use serde::Serialize;

use super::{counters::Counters, forensics::Forensics, scenario::Scenario, script::Script};

/// If no actor enters a new round for this long, the sides are joined. Longer than one timer, shorter than two.
const STILL: Micros = Micros::from_ms(TIMEOUT_MS as u64 * 3 / 2);
/// Most messages and ticks of a scenario, many times what any needs. Exceeding it means a livelock.
const STEPS_MAX: u64 = 100_000;
/// The same for each round and pair of actors, for longer or larger scripts.
const STEPS_OF_PAIR_MAX: u64 = 50;

/// The result of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// The first violated invariant.
    pub violation: Option<Violation>,
    /// What happened in it.
    pub counters: Counters,
    /// Validators that the observed signatures convict of two votes in one round.
    pub culprits: Vec<ValidatorId>,
    /// Validators that honest validators accused.
    pub accused: Vec<ValidatorId>,
    /// Whether two honest validators committed different blocks at one height.
    pub forked: bool,
    /// A hash of the run's history.
    pub history: u64,
    /// Every event, line by line, if a trace was requested.
    #[serde(skip)]
    pub trace: Vec<String>,
}

impl Outcome {
    /// The outcome of a scenario of which only the violation is known.
    pub(super) fn broken(violation: Violation) -> Self {
        Self { violation: Some(violation), counters: Counters { scenarios: 1, ..Counters::default() }, ..Self::default() }
    }
}

/// Plays a scenario.
#[must_use]
pub fn play(lab: &Lab, scenario: &Scenario, trace: bool) -> Outcome {
    play_script(lab, &Script::from(scenario), trace)
}

/// Plays a script.
#[must_use]
pub fn play_script(lab: &Lab, script: &Script, trace: bool) -> Outcome {
    let mut stage = Stage::new(lab, script, trace);
    let result = stage.begin().and_then(|()| stage.go_on());
    stage.end(result)
}

/// Plays a scenario in which a second copy starts from the first one's home as it was before it signed anything: a validator that was
/// restored from a backup and runs twice. Here the copies obey SAFE-6: a copy that sees its own signature on something it has not signed
/// must stop at once and refuse to start again.
#[must_use]
pub fn play_guarded(lab: &Lab, scenario: &Scenario, trace: bool) -> Outcome {
    let script = Script::from(scenario);
    let mut stage = Stage::new(lab, &script, trace);
    for actor in &mut stage.actors {
        actor.setup.doubles = Doubles::Stop;
        actor.has_forgotten = true;
    }
    stage.guarded = true;
    let result = stage.begin().and_then(|()| stage.go_on());
    stage.end(result)
}

/// Plays a scenario in which the copies of each validator have their key at one signer: whatever they ask of it, the validator contradicts
/// itself nowhere, so the rules hold however many validators exist twice.
#[must_use]
pub fn play_at_signers(lab: &Lab, scenario: &Scenario, trace: bool) -> Outcome {
    let script = Script::from(scenario);
    let mut stage = Stage::new(lab, &script, trace);
    let mut signers: BTreeMap<ValidatorId, Arc<SimSigner>> = BTreeMap::new();
    for actor in &mut stage.actors {
        let Some(key) = lab.setting.key(actor.id) else { continue };
        let signer = signers.entry(actor.id).or_insert_with(|| Arc::new(SimSigner::new(key, lab.setting.genesis_hash())));
        signer.start();
        actor.setup.signer = Some(Arc::clone(signer));
    }
    let result = stage.begin().and_then(|()| stage.go_on()).and_then(|()| {
        let Some(culprit) = stage.accused.iter().chain(stage.forensics.culprits().iter()).next() else { return Ok(()) };
        Err(stage.violation("SIGN-1", format!("validator {culprit} has contradicted itself, although its copies have one signer")))
    });
    stage.end(result)
}

/// A message in flight.
struct Parcel {
    from: usize,
    /// The receivers: bit i is set for actor i.
    to: u32,
    packet: Rc<Packet>,
}

/// The progress of an actor.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    place: Place,
    height: Height,
    /// It has committed a block of a round after the scenario's last, when everybody hears everybody; in a lab whose committee changes, after
    /// the change.
    is_settled: bool,
}

/// A round of an epoch.
type Place = (Epoch, Round);

struct Stage<'a> {
    lab: &'a Lab,
    script: &'a Script,
    actors: Vec<Machine>,
    progress: Vec<Progress>,
    faulty: SignerSet,
    /// See [`play_guarded`].
    guarded: bool,
    /// There are more twins than the protocol tolerates.
    beyond: bool,
    /// Timeouts still to be lost.
    timeouts_lost: u64,
    /// The last round of the scenario.
    last: Round,
    /// Sides of rounds up to this one are joined.
    joined: Place,
    parcels: VecDeque<Parcel>,
    now: Micros,
    /// When an actor last entered a new round.
    moved: Micros,
    steps: u64,
    steps_max: u64,
    watch: Watch,
    forensics: Forensics,
    chain: BTreeMap<Height, Header>,
    accused: SignerSet,
    outcome: Outcome,
    names: Vec<String>,
    trace: bool,
}

impl<'a> Stage<'a> {
    fn new(lab: &'a Lab, script: &'a Script, trace: bool) -> Self {
        let (faulty, beyond) = (script.faulty(), script.is_beyond());
        let leaders = Arc::new((1..).map(Round).zip(script.acts.iter().map(|act| act.leader)).collect());
        let register = Register::new(&lab.setting.genesis, &lab.setting.verifier, lab.subject.0.model(&lab.setting.genesis), faulty);
        Self {
            lab,
            script,
            progress: vec![Progress::default(); script.cast.len()],
            actors: script.cast.iter().map(|id| Machine::by_hand(*id, &leaders)).collect(),
            faulty,
            guarded: false,
            beyond,
            timeouts_lost: script.timeouts_lost,
            last: Round(script.acts.len() as u64),
            joined: Place::default(),
            parcels: VecDeque::new(),
            now: Micros(0),
            moved: Micros(0),
            steps: 0,
            steps_max: (script.acts.len() as u64)
                .saturating_mul((script.cast.len() as u64).saturating_pow(2))
                .saturating_mul(STEPS_OF_PAIR_MAX)
                .max(STEPS_MAX),
            watch: if beyond { Watch::tolerant(register) } else { Watch::new(register) },
            forensics: Forensics::default(),
            chain: BTreeMap::new(),
            accused: SignerSet::default(),
            outcome: Outcome::default(),
            names: if trace { script.names() } else { Vec::new() },
            trace,
        }
    }

    fn begin(&mut self) -> Played {
        for transaction in self.lab.work.iter().flatten() {
            self.watch.see(self.now, &Observation::Signed { transaction })?;
        }
        let mut last = None;
        for position in 0..self.actors.len() {
            let Some(actor) = self.actors.get_mut(position) else { break };
            if let Err(error) = actor.start_at_genesis(&self.lab.setting, &self.lab.origin, self.now) {
                return Err(self.violation("OPEN", format!("actor {position} does not start: {error}")));
            }
            let [first, second] = &self.lab.work;
            let is_second = last.replace(actor.id) == Some(actor.id);
            let work = if is_second { second } else { first };
            actor.push(Input::Gossip(work.clone()), self.now);
        }
        (0..self.actors.len()).try_for_each(|position| self.work(position))
    }

    fn go_on(&mut self) -> Played {
        loop {
            while let Some(parcel) = self.parcels.pop_front() {
                self.deliver(&parcel)?;
                if self.is_over()? {
                    return Ok(());
                }
            }
            if !self.jump()? || self.is_over()? {
                return Ok(());
            }
        }
    }

    /// Jumps to the next deadline. Returns whether there was one.
    fn jump(&mut self) -> Result<bool, Violation> {
        let Some(next) = self.actors.iter().filter_map(Machine::deadline).min() else {
            return if self.beyond {
                Ok(false)
            } else {
                Err(self.violation("LIVE-1", "no actor has a deadline: all wait for ever".into()))
            };
        };
        self.now = next.max(self.now);
        if self.now.since(self.moved) >= STILL {
            self.moved = self.now;
            let highest = self.highest();
            if self.joined < highest && self.joined < (highest.0, self.last) {
                self.joined = highest;
                self.outcome.counters.sides_joined = 1;
                self.note(|| format!("no progress: the sides of all rounds up to {} are joined", highest.1));
            }
        }
        for position in 0..self.actors.len() {
            let Some(actor) = self.actors.get_mut(position) else { break };
            if actor.deadline().is_some_and(|deadline| deadline <= self.now) {
                actor.push(Input::Tick, self.now);
                self.work(position)?;
            }
        }
        self.count_step()?;
        Ok(true)
    }

    fn count_step(&mut self) -> Played {
        self.steps = self.steps.saturating_add(1);
        // Beyond f, two chains that depend on the same twins need not make progress; `is_over` then ends the run.
        if self.steps > self.steps_max && !self.beyond {
            let what = format!("no end after {} steps: {}", self.steps_max, self.where_all_are());
            return Err(self.violation("LIVE-1", what));
        }
        Ok(())
    }

    fn deliver(&mut self, parcel: &Parcel) -> Played {
        let Some(from) = self.actors.get(parcel.from).map(|actor| actor.id) else { return Ok(()) };
        for position in (0..self.actors.len()).filter(|position| (parcel.to >> position) & 1 == 1) {
            let verifier = self.actors.get(position).and_then(Machine::replica).map_or(&self.lab.setting.verifier, Replica::verifier);
            let opened = match parcel.packet.open(verifier, from) {
                Ok(opened) => opened,
                Err(refused) => return Err(self.violation("WIRE", format!("a message from {from} does not verify: {}", refused.what))),
            };
            self.count_step()?;
            self.outcome.counters.messages = self.outcome.counters.messages.saturating_add(1);
            self.record(1, position as u64, parcel.from as u64);
            let Some(actor) = self.actors.get_mut(position) else { break };
            let node = actor.id;
            match &opened {
                Opened::Message(message) => self.watch.see(self.now, &Observation::Received { node, from, message, is_verified: true })?,
                Opened::OtherEpoch(message, _) => {
                    self.watch.see(self.now, &Observation::Received { node, from, message, is_verified: false })?;
                }
                Opened::Gossip(_) => {}
            }
            actor.push(opened.into_input(from), self.now);
            self.work(position)?;
        }
        Ok(())
    }

    /// Lets an actor do all the work it can do now.
    fn work(&mut self, position: usize) -> Played {
        loop {
            let Some(actor) = self.actors.get_mut(position) else { return Ok(()) };
            let (id, worked) = (actor.id, actor.work());
            self.watch.polled(self.now, actor, &worked)?;
            match worked.output {
                Ok(Some(output)) => self.output(position, id, output)?,
                Ok(None) => break,
                // Of two copies with one key, one may well stop.
                Err(fatal) if self.faulty.contains(id) || self.beyond => {
                    self.outcome.counters.twins_stopped = 1;
                    actor.stop();
                    if self.guarded && actor.start(&self.lab.setting, self.now).is_ok() {
                        return Err(self.violation("SAFE-6", format!("actor {position} starts again after {fatal}")));
                    }
                    self.note_of(position, |name| format!("{name} stops: {fatal}"));
                    return Ok(());
                }
                Err(fatal) => return Err(self.violation("FATAL", format!("validator {id} stops: {fatal}"))),
            }
        }
        let place = self.place(position);
        if let Some(progress) = self.progress.get_mut(position)
            && place > progress.place
        {
            progress.place = place;
            self.moved = self.now;
            // Its record is all that it keeps from one round to the next.
            if let Some(signer) = self.actors.get(position).and_then(|actor| actor.setup.signer.as_ref()) {
                signer.stop();
                signer.start();
            }
            self.note_of(position, |name| format!("{name} enters round {} of epoch {}", place.1, place.0));
        }
        Ok(())
    }

    fn output(&mut self, position: usize, id: ValidatorId, output: Output) -> Played {
        match output {
            Output::Send { to, message } => self.send(position, id, to, message),
            Output::Committed(committed) => self.committed(position, id, &committed),
            Output::Accused(evidence) => self.accused(position, id, &evidence),
            Output::Ignored { from, reason } => {
                self.note_of(position, |name| format!("{name} ignores {}: {reason}", describe::validator(from)));
                Ok(())
            }
            // There are no clients to answer, every actor has every transaction, and the harness's machine serves blocks.
            Output::Gossip(_) | Output::Serve(_) | Output::Answer { .. } | Output::Worked => Ok(()),
        }
    }

    fn send(&mut self, position: usize, id: ValidatorId, to: Recipients, message: Arc<Message>) -> Played {
        let Some(actor) = self.actors.get(position) else { return Ok(()) };
        self.watch.sent(self.now, actor, &message)?;
        self.forensics.observe(&message);
        if contents::answered_blocks(&message).is_some_and(|blocks| !blocks.is_empty()) {
            let counters = &mut self.outcome.counters;
            let counter = if matches!(*message, Message::FetchResponse(_)) { &mut counters.fetched } else { &mut counters.caught_up };
            *counter = 1;
        }
        let hearing = self.hearing(position, &message);
        let reached = self
            .actors
            .iter()
            .enumerate()
            .filter(|(_, actor)| actor.id != id && is_for(to, id, actor.id))
            .fold(0u32, |set, (other, _)| set | 1 << other)
            & hearing;
        self.record(2, position as u64, u64::from(reached));
        let names =
            |set: u32| self.names.iter().enumerate().filter(move |(other, _)| (set >> other) & 1 == 1).map(|(_, name)| name.as_str());
        if self.trace {
            let line = format!(
                "{} -> {}  {}",
                names(1 << position).collect::<String>(),
                if reached == 0 { "nobody".into() } else { names(reached).collect::<Vec<_>>().join(" ") },
                describe::message(&message)
            );
            self.note(|| line);
        }
        if reached != 0 {
            self.parcels.push_back(Parcel { from: position, to: reached, packet: Packet::plain(Content::Message(message)) });
        }
        Ok(())
    }

    /// The set of actors that hear this message from this actor.
    fn hearing(&mut self, position: usize, message: &Message) -> u32 {
        if let (Message::Timeout(_), Some(left)) = (message, self.timeouts_lost.checked_sub(1)) {
            self.timeouts_lost = left;
            return 0;
        }
        let of_message = message.epoch().zip(contents::round_of(message));
        let (epoch, round) = of_message.unwrap_or_else(|| self.place(position));
        let highest = self.highest();
        let is_left_behind = epoch < highest.0 && highest.1 > self.last;
        if (epoch, round) <= self.joined || round > self.last || is_left_behind {
            return u32::MAX;
        }
        let act = round.previous().and_then(|before| usize::try_from(before.0).ok()).and_then(|index| self.script.acts.get(index));
        act.map_or(u32::MAX, |act| act.hearing(message).of(position))
    }

    fn committed(&mut self, position: usize, id: ValidatorId, committed: &Committed) -> Played {
        let Some(actor) = self.actors.get_mut(position) else { return Ok(()) };
        self.watch.committed(self.now, actor, committed)?;
        let headers = || committed.blocks.iter().map(|block| &block.header);
        let (qc, Some(newest)) = (committed.view.commit_qc(), headers().next_back()) else { return Ok(()) };
        self.note_of(position, |name| format!("{name} commits up to height {} round {} by {qc:?}", newest.height, newest.round));
        self.record(3, position as u64, newest.height.0);
        let is_late = self.lab.changes && self.progress.iter().any(|progress| progress.is_settled);
        let Some(progress) = self.progress.get_mut(position) else { return Ok(()) };
        progress.height = newest.height;
        if self.faulty.contains(id) {
            return Ok(());
        }
        let counters = &mut self.outcome.counters;
        if committed.ends_epoch {
            counters.committee_changed = 1;
            if newest.round <= self.last {
                counters.changed_early = 1;
            }
        }
        let is_changed = !self.lab.changes || newest.epoch > Epoch(0);
        if is_changed && newest.round > self.last && !progress.is_settled {
            progress.is_settled = true;
            let rounds = live_1::first_commit(u64::from(self.script.validators), self.last, qc.round());
            match rounds {
                // Whoever is still in the epoch before must ask, which takes time, and here rounds take none as long as there is work.
                _ if is_late => {}
                Ok(rounds) => counters.rounds_to_commit_max = counters.rounds_to_commit_max.max(rounds),
                Err(what) => return Err(self.violation("LIVE-1", format!("validator {id}: {what}"))),
            }
        }
        if headers().any(|header| header.round <= self.last) {
            counters.early_blocks_committed = 1;
        }
        if !committed.abandoned.is_empty() {
            counters.forks_pruned = 1;
        }
        if committed.abandoned.iter().any(|block| self.forensics.is_certified(block)) {
            counters.certified_forks_pruned = 1;
        }
        if self.beyond {
            for header in headers() {
                let first = self.chain.entry(header.height).or_insert_with(|| header.clone());
                self.outcome.forked |= first != header;
            }
        }
        Ok(())
    }

    fn accused(&mut self, position: usize, id: ValidatorId, evidence: &Evidence) -> Played {
        if self.faulty.contains(id) {
            return Ok(());
        }
        self.note_of(position, |name| format!("{name} accuses {}: {evidence:?}", describe::validator(evidence.culprit)));
        self.accused.insert(evidence.culprit);
        let counters = &mut self.outcome.counters;
        match evidence.kind() {
            StatementKind::Vote => counters.accused_of_votes = 1,
            StatementKind::Timeout => counters.accused_of_timeouts = 1,
            StatementKind::Proposal => counters.accused_of_proposals = 1,
        }
        self.watch.see(self.now, &Observation::Accused { node: id, evidence })
    }

    /// Whether all honest validators have committed the same block of a round after the scenario's last.
    fn is_over(&self) -> Result<bool, Violation> {
        let (_, highest) = self.highest();
        let rounds = live_1::rounds_max(u64::from(self.script.validators));
        // In a lab whose committee changes, all must be in the same epoch some rounds after the work is done.
        let work: usize = if self.lab.changes { self.lab.work.iter().map(Vec::len).sum() } else { 0 };
        let bound = Round(self.last.0.saturating_add(rounds).saturating_add(work as u64).saturating_add(1));
        if self.beyond {
            return Ok(highest > bound || self.steps > self.steps_max);
        }
        let honest = || self.actors.iter().zip(&self.progress).filter(|(actor, _)| !self.faulty.contains(actor.id)).map(|(_, done)| done);
        let height = honest().map(|done| done.height).max();
        if honest().all(|done| done.is_settled && Some(done.height) == height) {
            return Ok(true);
        }
        if highest > bound {
            let what = format!("not all have committed the same block of a round after {}: {}", self.last, self.where_all_are());
            return Err(self.violation("LIVE-1", what));
        }
        Ok(false)
    }

    fn end(mut self, result: Played) -> Outcome {
        let result = result.and_then(|()| if self.beyond { Ok(()) } else { self.watch.finish(self.now) });
        if let Err(violation) = result {
            self.note(|| format!("VIOLATION of {}: {}", violation.invariant, violation.what));
            self.outcome.violation = Some(violation);
        } else if let Some(violation) = self.watch.broken().cloned() {
            self.note(|| format!("violated, as expected with so many twins: {}: {}", violation.invariant, violation.what));
            self.outcome.violation = Some(violation);
        }
        let culprits = self.forensics.culprits();
        let counters = &mut self.outcome.counters;
        counters.scenarios = 1;
        counters.rounds = self.progress.iter().map(|progress| progress.place.1.0).max().unwrap_or_default();
        counters.two_proposals = u64::from(self.forensics.two_proposals());
        counters.two_votes = u64::from(!culprits.is_empty());
        counters.timeout_certificates = u64::from(self.forensics.after_timeout());
        self.outcome.culprits = culprits.iter().collect();
        self.outcome.accused = self.accused.iter().collect();
        self.outcome
    }

    fn highest(&self) -> Place {
        self.progress.iter().map(|progress| progress.place).max().unwrap_or_default()
    }

    /// Where an actor is.
    fn place(&self, position: usize) -> Place {
        self.actors.get(position).and_then(Machine::engine).map(|engine| (engine.epoch(), engine.round())).unwrap_or_default()
    }

    fn where_all_are(&self) -> String {
        let names = self.script.names();
        let place = |(name, progress): (&String, &Progress)| {
            format!("{name} at height {} in round {} of epoch {}", progress.height, progress.place.1, progress.place.0)
        };
        names.iter().zip(&self.progress).map(place).collect::<Vec<_>>().join(", ")
    }

    fn violation(&self, invariant: &str, what: String) -> Violation {
        violation(self.now, invariant, what)
    }

    /// Mixes an event into the history hash.
    const fn record(&mut self, kind: u64, one: u64, other: u64) {
        let event = kind.wrapping_shl(60) ^ one.wrapping_shl(40) ^ other ^ self.now.0.wrapping_shl(20);
        self.outcome.history = (self.outcome.history ^ event).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn note_of(&mut self, position: usize, text: impl FnOnce(&str) -> String) {
        if self.trace {
            let name = self.names.get(position).cloned().unwrap_or_default();
            self.note(|| text(&name));
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.trace {
            self.outcome.trace.push(format!("{:>8}.{:03} ms  {}", self.now.ms(), self.now.0 % 1_000, text()));
        }
    }
}
