//! What leaves a machine and what reaches one.

use std::{rc::Rc, sync::Arc};

use quorate_ledger::Committed;
use quorate_replica::{Output, Replica};
use quorate_types::{
    ids::ValidatorId,
    message::{Message, Recipients},
    transaction::Transaction,
};

use super::{Bench, Planned};
use crate::{
    Content, Happened, Home, Machine, Opened, Packet, Refused, describe,
    invariants::{Observation, Violation},
};

impl<H: Home, E> Bench<H, E> {
    /// Handles an output in the default way, for honest validators whose outputs the search does not care about.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        let now = self.now;
        match output {
            Output::Send { to, message } => self.send(id, to, &message),
            Output::Gossip(transactions) => self.gossip(id, transactions),
            Output::Serve(job) => {
                self.plan_serve(id, job);
                Ok(())
            }
            Output::Answer { ticket, answer } => self.answered(id, ticket, &answer),
            Output::Committed(committed) => self.committed(id, &committed),
            Output::Accused(evidence) => self.watch.see(now, &Observation::Accused { node: id, evidence: &evidence }),
            Output::Ignored { from, reason } => {
                self.audit.record(now, 2, &[&id.0.to_le_bytes(), &from.0.to_le_bytes(), reason.as_bytes()]);
                self.audit.note(now, || format!("{} ignores {}: {reason}", describe::validator(id), describe::validator(from)));
                Ok(())
            }
            Output::Worked => {
                self.audit.record(now, 3, &[&id.0.to_le_bytes()]);
                Ok(())
            }
        }
    }

    /// A validator sends a message of its replica.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn send(&mut self, id: ValidatorId, to: Recipients, message: &Arc<Message>) -> Happened {
        let now = self.now;
        let packet = self.encode(id, Content::Message(Arc::clone(message)))?;
        self.audit.note(now, || {
            let to = match to {
                Recipients::Others => "all".into(),
                Recipients::One(to) => describe::validator(to),
            };
            format!("{} -> {to}  {}", describe::validator(id), describe::message(message))
        });
        if let Some(machine) = self.machines.get(id.index()) {
            self.watch.sent(now, machine, message)?;
        }
        self.carry(id, to, &packet);
        Ok(())
    }

    fn gossip(&mut self, id: ValidatorId, transactions: Vec<Transaction>) -> Happened {
        self.audit.note(self.now, || format!("{} gossips {} transactions", describe::validator(id), transactions.len()));
        let packet = self.encode(id, Content::Transactions(transactions))?;
        self.carry(id, Recipients::Others, &packet);
        Ok(())
    }

    fn encode(&self, id: ValidatorId, content: Content) -> Result<Rc<Packet>, Violation> {
        content.encode().map_err(|what| self.violation("WIRE", format!("validator {id} {what}")))
    }

    fn carry(&mut self, from: ValidatorId, to: Recipients, packet: &Rc<Packet>) {
        let targets = self.receivers(from, to);
        self.carry_to(from, &targets, packet);
    }

    /// The network takes a packet and delivers, delays, duplicates or loses it per target.
    pub fn carry_to(&mut self, from: ValidatorId, targets: &[ValidatorId], packet: &Rc<Packet>) {
        self.audit.record(self.now, 4, &[&from.0.to_le_bytes(), packet.as_bytes()]);
        if self.network.is_silent(from) {
            return;
        }
        for to in targets.iter().copied() {
            self.messages = self.messages.saturating_add(1);
            for delay in self.network.deliveries(from, to) {
                self.agenda.plan(self.now.after(delay), Planned::Deliver { from, to, packet: Rc::clone(packet) });
            }
        }
    }

    /// Whether a packet due now arrives.
    pub(super) fn reaches(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> bool {
        let are_linked = self.seat(to, from).is_some() && self.seat(from, to).is_some();
        if !are_linked || !self.network.passes(from, to) || !self.machine(to).is_some_and(Machine::is_up) {
            return false;
        }
        let length = packet.as_bytes().len() as u64;
        self.audit.record(self.now, 5, &[&from.0.to_le_bytes(), &to.0.to_le_bytes(), &length.to_le_bytes()]);
        true
    }

    /// Decodes and verifies a packet, as its receiver does before its replica sees it.
    ///
    /// # Errors
    /// As [`Packet::open`].
    pub fn open(&self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Result<Opened, Refused> {
        let of_epoch = self.machine(to).and_then(Machine::replica).map(Replica::verifier);
        packet.open(of_epoch.unwrap_or(&self.setting.verifier), self.seat(to, from).unwrap_or(from))
    }

    /// The violation when an honest validator's packet does not verify.
    #[must_use]
    pub fn refused(&self, from: ValidatorId, refused: &Refused) -> Violation {
        self.violation("WIRE", format!("a packet of validator {from} does not verify: {}", refused.what))
    }

    /// Gives a validator an arrived packet.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn hear(&mut self, from: ValidatorId, to: ValidatorId, opened: Opened) -> Happened {
        match &opened {
            Opened::Message(message) => self.watch.see(self.now, &Observation::Received { node: to, from, message, is_verified: true })?,
            Opened::OtherEpoch(message, _) => {
                self.watch.see(self.now, &Observation::Received { node: to, from, message, is_verified: false })?;
            }
            Opened::Gossip(_) => {}
        }
        let seat = self.seat(to, from).unwrap_or(from);
        self.give(to, opened.into_input(seat));
        Ok(())
    }

    /// A validator has committed blocks.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        let now = self.now;
        if let Some(last) = committed.blocks.last().map(|block| &block.header) {
            self.audit.record(now, 6, &[&id.0.to_le_bytes(), &last.height.0.to_le_bytes(), &last.state_id().0.0]);
            self.audit.note(now, || {
                let transactions: usize = committed.blocks.iter().map(|block| block.receipts.len()).sum();
                let (id, qc) = (describe::validator(id), committed.view.commit_qc());
                format!("{id} commits up to height {} round {} with {transactions} txs by {qc:?}", last.height, last.round)
            });
        }
        let Some(machine) = self.machines.get_mut(id.index()) else { return Ok(()) };
        if let (Some(links), Some(replica)) = (self.links.get_mut(id.index()), machine.replica()) {
            if committed.ends_epoch {
                links.enter(id, replica.verifier().committee(), &self.network_keys);
            } else {
                links.settle(id, &self.network_keys);
            }
        }
        self.watch.committed(now, machine, committed)
    }
}
