//! What validators of a world send and receive; liars change it on the way.

use std::sync::Arc;

use quorate_consensus::Engine;
use quorate_harness::{
    Bench, Happened, Machine, Opened, Packet, describe,
    invariants::{Observation, live_1},
    time::Micros,
};
use quorate_ledger::Committed;
use quorate_replica::{Answer, Output};
use quorate_types::{
    codec,
    ids::ValidatorId,
    message::{Message, Recipients},
    round::{Epoch, Round},
};

use super::{Happening, World, calm::Calm};
use crate::byzantine::{Content, Parcel};

/// Longest pause between two unsolicited messages of a liar.
pub(super) const PULSE_MAX: Micros = Micros(250_000);

impl World {
    pub(super) fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        match output {
            Output::Send { to, message } => self.send(id, to, message),
            Output::Committed(committed) => self.committed(id, &committed),
            Output::Answer { ticket, answer } => {
                self.count_answer(&answer);
                self.bench.answered(id, ticket, &answer)?;
                self.settle();
                Ok(())
            }
            Output::Ignored { reason, .. } => {
                self.seen(&format!("ignored: {reason}"));
                self.bench.output(id, output)
            }
            Output::Gossip(_) | Output::Serve(_) | Output::Accused(_) | Output::Worked => self.bench.output(id, output),
        }
    }

    pub(super) fn send(&mut self, id: ValidatorId, to: Recipients, message: Arc<Message>) -> Happened {
        let now = self.bench.now;
        if let (Some(machine), Some(liar)) = (self.bench.machine(id), self.roles.get_mut(id.index()).and_then(|role| role.liar.as_mut())) {
            let parcels = liar.says(to, message, machine.clock.unix(now));
            return self.utter(id, parcels);
        }
        self.seen(describe::kind(&message));
        if self.loses_ends && self.ends_epoch(id, &message) {
            self.seen("fault: end of an epoch lost");
            return Ok(());
        }
        self.bench.send(id, to, &message)
    }

    /// Whether a validator sends this because its epoch has ended.
    fn ends_epoch(&self, id: ValidatorId, message: &Message) -> bool {
        let ours = self.bench.machine(id).and_then(Machine::engine).map(Engine::epoch);
        matches!(message, Message::SyncInfo(_)) && message.epoch() < ours && self.calm.is_none()
    }

    /// Sends a liar's parcels.
    fn utter(&mut self, id: ValidatorId, parcels: Vec<Parcel>) -> Happened {
        let now = self.bench.now;
        for Parcel { to, content, lie } in parcels {
            if let Some(lie) = lie {
                self.seen(lie.name());
            }
            let packet = match content {
                Content::Bytes { bytes, gossip } => Packet::bytes(bytes, gossip),
                Content::Message(message) => {
                    if lie.is_some() {
                        self.seen(&format!("lie: {}", describe::kind(&message)));
                    }
                    self.bench.audit.note(now, || {
                        let to: Vec<String> = to.iter().map(|id| describe::validator(*id)).collect();
                        let lie = lie.map_or_else(String::new, |lie| format!(" ({})", lie.name()));
                        format!("{} -> {}{lie}  {}", describe::validator(id), to.join(" "), describe::message(&message))
                    });
                    self.bench.watch.see(now, &Observation::Sent { node: id, message: &message, durable: None })?;
                    Packet::bytes(codec::encode(&*message), false)
                }
            };
            let to: Vec<ValidatorId> = to.iter().flat_map(|seat| self.bench.receivers(id, Recipients::One(*seat))).collect();
            self.bench.carry_to(id, &to, &packet);
        }
        Ok(())
    }

    /// Lets a liar send unsolicited messages, and plans its next turn.
    pub(super) fn pulse(&mut self, id: ValidatorId) -> Happened {
        let pause = Micros(self.bench.random.between(20_000, PULSE_MAX.0));
        self.bench.plan_after(pause, Happening::Pulse(id));
        let Some(machine) = self.bench.machine(id).filter(|machine| machine.is_up()) else { return Ok(()) };
        let unix = machine.clock.unix(self.bench.now);
        let liar = self.roles.get_mut(id.index()).and_then(|role| role.liar.as_mut());
        let parcels = liar.map(|liar| liar.pulse(unix)).unwrap_or_default();
        self.utter(id, parcels)
    }

    pub(super) fn arrive(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Happened {
        let opened = match self.bench.open(from, to, packet) {
            Ok(opened) => opened,
            // Messages of a liar need not verify.
            Err(refused) if self.role(from).is_some_and(|role| role.liar.is_some()) => {
                self.seen(&format!("refused: {}", refused.word));
                return Ok(());
            }
            // It did not know yet that it has lost its vote, or the receiver does not know yet that it has one.
            Err(refused) if refused.word == "not-in-committee" && self.epochs.epoch() > Epoch(0) => {
                self.seen("refused: has no vote there");
                return Ok(());
            }
            Err(refused) => return Err(self.bench.refused(from, &refused)),
        };
        let Opened::Message(message) = &opened else { return self.bench.hear(from, to, opened) };
        let Bench { machines, now, .. } = &self.bench;
        if let (Some(machine), Some(liar)) = (machines.get(to.index()), self.roles.get_mut(to.index()).and_then(|role| role.liar.as_mut()))
        {
            let seat = self.bench.seat(to, from).unwrap_or(from);
            let (passes, parcels) = liar.hears(seat, message, machine.clock.unix(*now));
            if passes {
                self.bench.hear(from, to, opened)?;
            }
            return self.utter(to, parcels);
        }
        if self.bench.watch.binds(to)
            && let Some(forensics) = &mut self.forensics
        {
            forensics.saw(message);
        }
        self.bench.hear(from, to, opened)
    }

    fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        if let Some(liar) = self.roles.get_mut(id.index()).and_then(|role| role.liar.as_mut()) {
            committed.blocks.iter().for_each(|block| liar.commits(&block.header));
        }
        let (now, qc, highest) = (self.bench.now, committed.view.commit_qc(), self.bench.highest());
        if let Some(forensics) = self.forensics.as_mut().filter(|_| self.bench.watch.binds(id)) {
            forensics.quorum_cert(qc);
        }
        self.bench.committed(id, committed)?;
        self.chain_time = self.chain_time.max(committed.view.header().timestamp);
        let fresh = committed.blocks.iter().filter(|block| block.header.height > highest);
        let transactions: usize = fresh.map(|block| block.receipts.len()).sum();
        self.report.transactions = self.report.transactions.saturating_add(transactions as u64);
        let connected = !self.is_excused(id);
        let (of, round) = self.bench.highest_round(|id| self.must_follow(id));
        let at = (committed.view.header().epoch, qc.round());
        // Rounds start again after the end of an epoch, which is progress whenever it was certified.
        let is_news = |calm: &Calm| at > calm.round || (committed.ends_epoch && at.0 >= calm.round.0);
        let voters = self.epochs.voters().max(u64::from(self.options.validators));
        if let Some(calm) = self.calm.as_mut().filter(|calm| connected && calm.first_commit.is_none() && is_news(calm)) {
            let parameters = &self.bench.setting.genesis.parameters;
            let from = if calm.round.0 == at.0 { calm.round.1 } else { Round(0) };
            let judged = live_1::first_commit(voters, from, at.1).and_then(|rounds| {
                // A certificate may be completed by late votes, when its round is long over.
                let passed = if of == at.0 { round.since(from).max(rounds) } else { rounds };
                live_1::first_commit_in_time(parameters, (calm.gap, passed), now.since(calm.at)).map(|()| rounds)
            });
            let rounds = judged.map_err(|what| self.bench.violation("LIVE-1", what))?;
            calm.first_commit = Some((rounds, now));
        }
        if self.options.directed.is_some_and(|directed| self.bench.highest_round(|_| true).1 >= directed.last_round) {
            self.ended = true;
        }
        if committed.ends_epoch {
            self.entered(id)?;
        }
        self.settle();
        Ok(())
    }

    fn count_answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Accepted => self.seen("answer: accepted"),
            Answer::Committed { outcome, .. } if outcome.is_applied() => self.seen("answer: applied"),
            Answer::Committed { .. } => self.seen("answer: failed"),
            Answer::Rejected { code, .. } => self.seen(&format!("answer: {code}")),
        }
    }
}
