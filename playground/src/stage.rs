//! The stage: production replicas, each on its own stopped clock, and the messages in flight between them.
//!
//! ```text
//! a command ──> give one replica one input ──> it works until it waits again ──> messages, in flight
//!                                                        └─ notes on what changed, by `narrate`
//! ```
//! No protocol rules belong here: the stage only decides what reaches the replicas, and when.

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

/// Most pieces of work a replica may do before it waits again. Guards against endless loops; far above real use.
const WORK_MAX: usize = 100_000;
/// Most deadlines a clock may pass until the awaited timer expires.
const TICKS_MAX: usize = 16;
/// Most inputs of one stage; keeps `undo`, which replays them, cheap.
pub(super) const INPUTS_MAX: u64 = 20_000;
/// Most proposals at one validator that wait for the user's vote; beyond, the oldest is dropped.
const UNDECIDED_MAX: usize = 8;

/// The last observed state of a replica, to detect changes.
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
    /// Moves only when one of its deadlines is made to pass.
    pub(super) clock: Micros,
    /// The user votes for it.
    pub(super) manual: bool,
    /// Proposals that wait for the user's vote, with their senders.
    pub(super) undecided: Vec<(ValidatorId, Arc<Message>)>,
    /// Why it has stopped for good.
    pub(super) halted: Option<String>,
    pub(super) seen: Seen,
    /// For each recent round, the first proposal that reached it.
    pub(super) proposals: BTreeMap<Round, BlockId>,
    /// Timeouts sent.
    pub(super) gave_up: u64,
    /// Proposals sent.
    pub(super) proposed: u64,
    /// Timeouts that its safety rules refused.
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

    /// It leads its round, has not proposed, and waits for a transaction or its heartbeat.
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
    /// The validators in committee order, then twins.
    pub(super) players: Vec<Player>,
    pub(super) flight: Flight,
    pub(super) blocks: Blocks,
    pub(super) tally: Tally,
    pub(super) client: Client,
    /// Wall clock shared by all, so that no block comes from another validator's future.
    pub(super) calendar: Micros,
    pub(super) notes: Vec<Note>,
    pub(super) inputs: u64,
    /// The message being delivered, to explain a refusal.
    pub(super) delivering: Option<Arc<Message>>,
}

impl Stage {
    /// Starts the validators and delivers their first catch-up requests, which find nothing missing.
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
        // Only after all have begun, so that every peer is up for the first requests.
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

    /// Starts a process on its disk and lets it recover.
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

    /// The name of a validator; its twin has the same.
    pub(super) fn validator(&self, id: ValidatorId) -> String {
        self.name(id.index())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.players.iter().map(|player| player.name.clone()).collect()
    }

    /// The process, which must be running.
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

    /// How many faulty validators the committee tolerates.
    pub(super) fn faults(&self) -> usize {
        faults(self.setting.verifier.committee().voters().len())
    }

    fn spend(&mut self) -> Result<(), String> {
        if self.inputs >= INPUTS_MAX {
            return Err(format!("this playground has reached its limit of {INPUTS_MAX} events; `reset` starts a new one"));
        }
        self.inputs = self.inputs.saturating_add(1);
        Ok(())
    }

    /// Gives a process an input and lets it work until it waits again.
    pub(super) fn give(&mut self, seat: Seat, input: Input) -> Result<(), String> {
        self.push(seat, input)?;
        self.work(seat);
        Ok(())
    }

    /// Gives a process an input without letting it work.
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
                        self.note(Note::detail("lost", format!("{} in flight to it", count(lost, "message"))));
                    }
                    return;
                }
            }
        }
    }

    /// Puts a message in flight. Returns its number, or `None` if the receiver is down and the message lost.
    pub(super) fn post(&mut self, from: Seat, to: Seat, content: Content) -> Option<u64> {
        if !self.player(to).is_some_and(Player::is_up) {
            return None;
        }
        let (number, lost) = self.flight.send(Letter { from, to, content });
        if let Some(lost) = lost {
            self.note(Note::bad("lost", format!("message #{lost}: too many in flight")));
        }
        Some(number)
    }

    /// Delivers a message.
    pub(super) fn deliver(&mut self, number: u64) -> Result<(), String> {
        let letter = self.flight.get(number).ok_or_else(|| format!("no message #{number} is in flight; `messages` lists them"))?;
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

    /// The user votes for this validator: it gets the proposal's certificates now, and the block once the user says yes.
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

    /// Hands a message to a replica, as the network layer does: only if every signature in it verifies.
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

    /// Delivers the selected messages. Returns how many arrived, and how many the partition holds back.
    pub(super) fn deliver_picked(&mut self, pick: &Pick) -> Result<(usize, usize), String> {
        let (mut arrived, mut held) = (0usize, 0usize);
        for number in self.flight.pick(pick) {
            match self.flight.get(number) {
                // Its receiver has stopped meanwhile.
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

    /// Moves a process's clock from deadline to deadline until `done`. Returns whether it came to that; a stopped process counts.
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

    /// Lets the round timer of a process expire.
    pub(super) fn time_out(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, round) = (player.name.clone(), player.seen.round);
        if player.is_idle_leader() {
            return Err(format!(
                "{name} leads round {round} and has nothing to propose: its heartbeat comes before its timer and makes it propose an empty block; `heartbeat {name}`, or `timeout` the others"
            ));
        }
        let before = (player.gave_up, player.proposed, player.refused);
        let done = self.tick_until(seat, |player| (player.gave_up, player.proposed, player.refused) != before)?;
        if done { Ok(()) } else { Err(format!("{name} has no running timer")) }
    }

    /// An idle leader proposes an empty block.
    pub(super) fn heartbeat(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, round, before) = (player.name.clone(), player.seen.round, player.proposed);
        if !player.is_idle_leader() {
            let leads = player.engine().is_some_and(|engine| engine.leader(round) == player.machine.id);
            let why = if leads {
                format!("{name} has already proposed in round {round} (SAFE-5: once a round)")
            } else {
                format!("{name} does not lead round {round} (§3.7)")
            };
            let idle = self.players.iter().find(|player| player.is_idle_leader());
            let who = idle.map_or_else(
                || "no validator waits for a heartbeat; `explain` shows what each one waits for".into(),
                |idle| format!("{}, leader of round {}, waits for its heartbeat: `heartbeat {}`", idle.name, idle.seen.round, idle.name),
            );
            return Err(format!("{why}; {who}"));
        }
        let done = self.tick_until(seat, |player| player.proposed != before)?;
        if done { Ok(()) } else { Err(format!("{name} waits for a missing block; `messages` shows its request")) }
    }
}

/// The state that [`Stage::observe`] watches.
pub(super) fn seen(engine: &Engine) -> Seen {
    Seen { round: engine.round(), high_qc: engine.tree().high_qc().round(), voted: engine.safety_record().highest_vote_round() }
}
