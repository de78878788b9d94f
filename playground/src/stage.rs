//! The stage: production replicas, each on its own clock that stands still, and the messages between them, which wait.
//!
//! ```text
//! a command ──> give one replica one input ──> it works until it waits again ──> messages, into the flight
//!                                                        └─ notes: what changed, told by `narrate`
//! ```
//! Never here: a rule of the protocol. What happens is what the replicas do; the stage only decides what reaches them, and when.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use quorate_consensus::Engine;
use quorate_harness::{Content, Machine, Packet, committee::Setting, disk::SimStore, time::Micros};
use quorate_ledger::CommittedView;
use quorate_replica::{Input, Now, Replica};
use quorate_types::{
    ids::{BlockId, ValidatorId},
    message::{Message, SyncInfo},
    round::Round,
};

use super::{
    blocks::Blocks,
    cast::{Options, faults, found, leaders},
    client::Client,
    flight::{Flight, Letter, Pick, Seat},
    narrate::Note,
    paint::count,
    tally::Tally,
};

/// Most pieces of work that a replica does before it waits again; a bound on loops, far beyond what happens.
const WORK_MAX: usize = 100_000;
/// Most deadlines that a clock passes until a timer runs out.
const TICKS_MAX: usize = 16;
/// Most inputs of one stage, so that going back stays cheap.
pub(super) const INPUTS_MAX: u64 = 20_000;
/// Most proposals that wait for a person's vote at one validator.
const UNDECIDED_MAX: usize = 8;

/// What was last seen of a replica, to tell what changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) round: Round,
    pub(super) high_qc: Round,
    pub(super) voted: Round,
}

/// A validator's process.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) name: String,
    pub(super) machine: Machine,
    /// Its clock: moves only where its timer is made to run out.
    pub(super) clock: Micros,
    /// A person votes for it.
    pub(super) manual: bool,
    /// Proposals that wait for the person's word, with their senders.
    pub(super) undecided: Vec<(ValidatorId, Arc<Message>)>,
    /// Why it has stopped for good.
    pub(super) halted: Option<String>,
    pub(super) seen: Seen,
    /// The first proposal of each of the last rounds that reached it.
    pub(super) proposals: BTreeMap<Round, BlockId>,
    /// How many timeouts and proposals it has sent, and how many timeouts its safety rules refused.
    pub(super) gave_up: u64,
    pub(super) proposed: u64,
    pub(super) refused: u64,
}

impl Player {
    pub(super) fn engine(&self) -> Option<&Engine> {
        self.machine.engine()
    }

    pub(super) fn replica(&self) -> Option<&Replica<SimStore>> {
        self.machine.replica()
    }

    pub(super) fn view(&self) -> Option<CommittedView> {
        self.replica().map(Replica::view)
    }

    pub(super) const fn is_up(&self) -> bool {
        self.machine.is_up()
    }

    /// It leads its round, has not proposed, and waits: for a transaction, or for its heartbeat.
    pub(super) fn is_idle_leader(&self) -> bool {
        self.engine().is_some_and(|engine| {
            engine.leader(engine.round()) == self.machine.id
                && engine.safety_record().last_proposed_round() < engine.round()
                && engine.tree().state(&engine.tree().high_qc().block_id()).is_some()
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) setting: Setting,
    /// The validators in the order of the committee, then twins.
    pub(super) players: Vec<Player>,
    pub(super) flight: Flight,
    pub(super) blocks: Blocks,
    pub(super) tally: Tally,
    pub(super) client: Client,
    /// One calendar for all, so that nobody's blocks come from the future.
    pub(super) calendar: Micros,
    pub(super) notes: Vec<Note>,
    pub(super) inputs: u64,
    /// What is being delivered, for the words on a refusal.
    pub(super) delivering: Option<Arc<Message>>,
}

impl Stage {
    /// The validators start, and ask around whether they have missed something; nobody has.
    pub(super) fn open(options: &Options) -> Result<Self, String> {
        let setting = found(options)?;
        let leaders = leaders(options);
        let client = Client::new(setting.genesis_hash());
        let mut stage = Self {
            setting,
            players: Vec::new(),
            flight: Flight::default(),
            blocks: Blocks::default(),
            tally: Tally::default(),
            client,
            calendar: Micros(0),
            notes: Vec::new(),
            inputs: 0,
            delivering: None,
        };
        for (id, name) in (0u16..).map(ValidatorId).zip(&options.names) {
            let seat = stage.seat(name.clone(), Machine::by_hand(id, &leaders));
            stage.begin(seat)?;
        }
        // After all have begun, so that nobody asks somebody who is not there yet.
        for seat in 0..stage.players.len() {
            stage.work(seat);
        }
        while let Some(number) = stage.flight.next() {
            stage.deliver(number)?;
        }
        stage.notes.clear();
        stage.flight = Flight::default();
        stage.inputs = 0;
        Ok(stage)
    }

    pub(super) fn seat(&mut self, name: String, machine: Machine) -> Seat {
        self.players.push(Player {
            name,
            machine,
            clock: Micros(0),
            manual: false,
            undecided: Vec::new(),
            halted: None,
            seen: Seen::default(),
            proposals: BTreeMap::new(),
            gave_up: 0,
            proposed: 0,
            refused: 0,
        });
        self.players.len().saturating_sub(1)
    }

    /// Starts a process on what its disk holds, and lets it do what recovery asks for.
    pub(super) fn start(&mut self, seat: Seat) -> Result<(), String> {
        self.begin(seat)?;
        self.work(seat);
        Ok(())
    }

    fn begin(&mut self, seat: Seat) -> Result<(), String> {
        self.spend()?;
        let Some(player) = self.players.get_mut(seat) else { return Ok(()) };
        player.machine.start(&self.setting, player.clock).map_err(|error| error.to_string())?;
        player.halted = None;
        player.seen = player.engine().map(seen).unwrap_or_default();
        Ok(())
    }

    pub(super) fn player(&self, seat: Seat) -> Option<&Player> {
        self.players.get(seat)
    }

    pub(super) fn name(&self, seat: Seat) -> String {
        self.player(seat).map_or_else(|| "nobody".into(), |player| player.name.clone())
    }

    /// The name of a validator, whoever holds its key.
    pub(super) fn validator(&self, id: ValidatorId) -> String {
        self.name(id.index())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.players.iter().map(|player| player.name.clone()).collect()
    }

    /// The process must be running.
    pub(super) fn up(&self, seat: Seat) -> Result<&Player, String> {
        let player = self.player(seat).ok_or("there is no such validator")?;
        if player.is_up() {
            return Ok(player);
        }
        let name = &player.name;
        Err(match &player.halted {
            Some(why) => format!("{name} has stopped for good ({why}); `reset` or `undo`"),
            None => format!("{name} is down; `recover {name}` first"),
        })
    }

    /// How many faulty validators the committee bears.
    pub(super) fn faults(&self) -> usize {
        faults(self.setting.verifier.committee().len())
    }

    fn spend(&mut self) -> Result<(), String> {
        if self.inputs >= INPUTS_MAX {
            return Err(format!("this playground has seen {INPUTS_MAX} events, and going back re-runs them all; `reset` begins a new one"));
        }
        self.inputs = self.inputs.saturating_add(1);
        Ok(())
    }

    /// Tells a process something, and lets it work until it waits again.
    pub(super) fn give(&mut self, seat: Seat, input: Input) -> Result<(), String> {
        self.push(seat, input)?;
        self.work(seat);
        Ok(())
    }

    /// Tells a process something.
    pub(super) fn push(&mut self, seat: Seat, input: Input) -> Result<(), String> {
        self.spend()?;
        let Some(player) = self.players.get_mut(seat) else { return Ok(()) };
        self.calendar = self.calendar.max(player.clock);
        let now = Now { elapsed: Duration::from_micros(player.clock.0), unix: player.machine.clock.unix(self.calendar) };
        player.machine.push_now(input, now);
        Ok(())
    }

    pub(super) fn work(&mut self, seat: Seat) {
        for _ in 0..WORK_MAX {
            self.observe(seat);
            let Some(player) = self.players.get_mut(seat) else { return };
            match player.machine.work().output {
                Ok(None) => return,
                Ok(Some(output)) => {
                    self.observe(seat);
                    self.on_output(seat, output);
                }
                Err(fatal) => {
                    let why = fatal.to_string();
                    player.machine.stop();
                    player.undecided.clear();
                    player.halted = Some(why.clone());
                    let lost = self.flight.lose_to(seat);
                    self.note(Note::bad("halt", format!("{} stops for good: {why}", self.name(seat))));
                    if lost > 0 {
                        self.note(Note::detail("lost", format!("{} on the way to it", count(lost, "message"))));
                    }
                    return;
                }
            }
        }
    }

    /// Puts a message on its way. Its number; `None` when it is lost at once because the receiver is down.
    pub(super) fn post(&mut self, from: Seat, to: Seat, content: Content) -> Option<u64> {
        if !self.player(to).is_some_and(Player::is_up) {
            return None;
        }
        let (number, lost) = self.flight.send(Letter { from, to, content });
        if let Some(lost) = lost {
            self.note(Note::bad("lost", format!("message #{lost}: too many are on their way")));
        }
        Some(number)
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, number: u64) -> Result<(), String> {
        let letter = self.flight.get(number).ok_or_else(|| format!("there is no message #{number} on its way; `messages` lists them"))?;
        if self.flight.is_cut(letter) {
            return Err(format!("message #{number} cannot cross the partition; `heal` first, or `drop {number}`"));
        }
        let Some(letter) = self.flight.take(number) else { return Ok(()) };
        self.note(Note::head(number, self.describe(&letter)));
        let from = self.player(letter.from).map_or(ValidatorId(0), |player| player.machine.id);
        match letter.content {
            transactions @ Content::Transactions(_) => self.hand(letter.to, from, transactions),
            Content::Message(message) => self.receive(letter.to, from, message),
        }
    }

    fn receive(&mut self, to: Seat, from: ValidatorId, message: Arc<Message>) -> Result<(), String> {
        self.count(to, from, &message);
        let asked = match (&*message, self.player(to)) {
            (Message::Proposal(proposal), Some(player)) => {
                player.manual && player.engine().is_some_and(|engine| proposal.block.round() >= engine.round())
            }
            _ => false,
        };
        if asked { self.ask(to, from, message) } else { self.hand(to, from, Content::Message(message)) }
    }

    /// The person votes for this validator: it takes the certificates of the proposal now, and the block when the person says yes.
    fn ask(&mut self, to: Seat, from: ValidatorId, message: Arc<Message>) -> Result<(), String> {
        let Message::Proposal(proposal) = &*message else { return Ok(()) };
        let certificates = SyncInfo {
            high_qc: proposal.block.qc().clone(),
            high_commit_qc: proposal.high_commit_qc.clone(),
            last_round_tc: proposal.last_round_tc.clone(),
        };
        let label = self.blocks.label(&proposal.block.id());
        self.hand(to, from, Content::Message(Arc::new(Message::SyncInfo(Box::new(certificates)))))?;
        let name = self.name(to);
        if let Some(player) = self.players.get_mut(to)
            && player.is_up()
        {
            player.undecided.push((from, message));
            if player.undecided.len() > UNDECIDED_MAX {
                player.undecided.remove(0);
            }
            self.note(Note::mark(
                "vote",
                format!("{name} has the proposal of {label} and asks you: `vote {name} yes` or `vote {name} no`"),
            ));
        }
        Ok(())
    }

    /// Hands something to a replica, as the network layer does: only if everything signed in it is sound.
    pub(super) fn hand(&mut self, to: Seat, from: ValidatorId, content: Content) -> Result<(), String> {
        let packet = Packet::plain(content);
        match packet.open(&self.setting.verifier, from) {
            Ok(opened) => {
                self.delivering = packet.message().cloned();
                let result = self.give(to, opened.into_input(from));
                self.delivering = None;
                result
            }
            Err(refused) => {
                self.note(Note::bad("refused", format!("by {}, §3.4 valid_signatures: {}", self.name(to), refused.what)));
                Ok(())
            }
        }
    }

    /// Delivers what is meant. How many arrived, and how many a cut holds back.
    pub(super) fn deliver_picked(&mut self, pick: &Pick) -> Result<(usize, usize), String> {
        let (mut arrived, mut held) = (0usize, 0usize);
        for number in self.flight.pick(pick) {
            match self.flight.get(number) {
                // Its receiver has stopped in the meantime.
                None => {}
                Some(letter) if self.flight.is_cut(letter) => held = held.saturating_add(1),
                Some(_) => {
                    self.deliver(number)?;
                    arrived = arrived.saturating_add(1);
                }
            }
        }
        Ok((arrived, held))
    }

    /// The clock of a process moves to its next deadline, and on, until `done` says that what it waited for has happened.
    fn tick_until(&mut self, seat: Seat, done: impl Fn(&Player) -> bool) -> Result<bool, String> {
        for _ in 0..TICKS_MAX {
            let Some(player) = self.players.get_mut(seat) else { return Ok(false) };
            let Some(deadline) = player.machine.deadline() else { return Ok(false) };
            player.clock = player.clock.max(deadline);
            self.give(seat, Input::Tick)?;
            if self.player(seat).is_none_or(|player| !player.is_up() || done(player)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The timer of a process runs out.
    pub(super) fn time_out(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, round) = (player.name.clone(), player.seen.round);
        if player.is_idle_leader() {
            return Err(format!(
                "{name} leads round {round} and has nothing to propose: before its timer its heartbeat comes, and then it proposes an empty block; `heartbeat {name}`, or `timeout` the others"
            ));
        }
        let before = (player.gave_up, player.proposed, player.refused);
        let done = self.tick_until(seat, |player| (player.gave_up, player.proposed, player.refused) != before)?;
        if done { Ok(()) } else { Err(format!("{name} has no timer that runs")) }
    }

    /// An idle leader proposes an empty block.
    pub(super) fn heartbeat(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, round, before) = (player.name.clone(), player.seen.round, player.proposed);
        if !player.is_idle_leader() {
            let leads = player.engine().is_some_and(|engine| engine.leader(round) == player.machine.id);
            let why = if leads {
                format!("{name} has proposed in round {round} already (SAFE-5: once in a round)")
            } else {
                format!("{name} does not lead round {round} (§3.7)")
            };
            let idle = self.players.iter().find(|player| player.is_idle_leader());
            let who = idle.map_or_else(
                || "nobody waits for a heartbeat; `explain` tells what everybody waits for".into(),
                |idle| format!("{} waits for its heartbeat, as leader of round {}: `heartbeat {}`", idle.name, idle.seen.round, idle.name),
            );
            return Err(format!("{why}; {who}"));
        }
        let done = self.tick_until(seat, |player| player.proposed != before)?;
        if done { Ok(()) } else { Err(format!("{name} waits for a block that it lacks; `messages` shows what it asked for")) }
    }
}

/// What a replica shows.
pub(super) fn seen(engine: &Engine) -> Seen {
    Seen { round: engine.round(), high_qc: engine.tree().high_qc().round(), voted: engine.safety_record().highest_vote_round() }
}
