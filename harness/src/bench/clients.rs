//! Clients, and the validators' answers to them.

use quorate_app::governance;
use quorate_replica::{Answer, Input, Replica, Ticket};
use quorate_types::{
    codec,
    epoch::EpochState,
    governance::ChainOperation,
    ids::ValidatorId,
    round::{Epoch, UnixMillis},
    rpc::Wait,
    transaction::{PAYLOAD_BYTES_MAX, Target},
};

use super::{Bench, Planned};
use crate::{
    Happened, Home, Machine, describe,
    governor::{Facts, Governor},
    invariants::Observation,
    workload::Action,
};

impl<H: Home, E> Bench<H, E> {
    /// Schedules the first turn of every client; each turn schedules the next.
    pub fn plan_clients(&mut self) {
        (0..self.workload.len()).for_each(|index| self.plan_client(index));
    }

    fn plan_client(&mut self, index: usize) {
        let pause = self.workload.pause();
        self.agenda.plan(self.now.after(pause), Planned::Client(index));
    }

    /// A client's turn. `unix` is the time it goes by, `live` the validators it may contact.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn client(&mut self, index: usize, unix: UnixMillis, live: &[ValidatorId]) -> Happened {
        let mut signed_in = Vec::new();
        if let Some(governor) = self.workload.governor() {
            let record = |machine: &Machine<H>| Epoch(machine.home.durable().record.map_or(0, |record| record.epoch));
            signed_in = self.machines.iter().map(record).collect();
            if let Some(facts) = self.facts(governor) {
                self.workload.learn(facts);
            }
        }
        for action in self.workload.turn(index, (self.now, unix), live, (&self.setting, &signed_in)) {
            self.act(action)?;
        }
        self.plan_client(index);
        Ok(())
    }

    /// The newest committed state of a validator that keeps the rules, as operators see it.
    fn facts(&self, governor: &Governor) -> Option<Facts> {
        let bound = self.machines.iter().filter(|machine| self.watch.binds(machine.id));
        let ledger = bound.filter_map(Machine::replica).map(Replica::ledger).max_by_key(|ledger| ledger.root().height)?;
        let view = ledger.view();
        let (known, now) = (governor.epoch(), view.epoch().epoch);
        let epochs = (known.0.saturating_add(1)..=now.0).filter_map(|epoch| ledger.reader().epoch(Epoch(epoch)).ok().flatten());
        let epochs: Vec<EpochState> = epochs.collect();
        let open = governance::proposals(view.state()).into_iter().map(|(id, proposal)| (id, proposal.change)).collect();
        let operators = governor.operators().chain(self.workload.addresses());
        let sequences = operators.map(|address| (address, view.account(&address).sequence())).collect();
        Some(Facts { height: view.header().height, epochs, open, sequences })
    }

    fn act(&mut self, action: Action) -> Happened {
        let now = self.now;
        match action {
            Action::Signed(transaction) => {
                if transaction.content().target == Target::Chain {
                    let operation = codec::decode::<ChainOperation>(&transaction.content().payload, PAYLOAD_BYTES_MAX);
                    self.audit.note(now, || format!("an operator signs {transaction:?}: {}", describe::operation(operation.as_ref().ok())));
                }
                self.audit.record(now, 7, &[&transaction.id().0.0]);
                self.watch.see(now, &Observation::Signed { transaction: &transaction })?;
            }
            Action::Submit { node, ticket, transaction, wait } => {
                self.audit.note(now, || format!("client -> {}  {transaction:?}, waits: {}", describe::validator(node), wait_word(wait)));
                // As in the node's API, an invalid transaction never reaches the replica.
                if let Some(Ok(transaction)) = self.setting.verifier.transactions(vec![transaction]).pop() {
                    self.give(node, Input::Submit { ticket, transaction, wait });
                }
            }
            Action::Forget { node, ticket } => {
                if self.machine(node).is_some_and(Machine::is_up) {
                    self.give(node, Input::Forget(ticket));
                }
            }
        }
        Ok(())
    }

    /// A validator answers a client.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn answered(&mut self, id: ValidatorId, ticket: Ticket, answer: &Answer) -> Happened {
        let now = self.now;
        let (height, word) = match answer {
            Answer::Accepted => (0, "accepted"),
            Answer::Committed { height, outcome, .. } => (height.0, if outcome.is_applied() { "applied" } else { "failed" }),
            Answer::Rejected { code, .. } => (0, &**code),
        };
        self.audit.record(now, 8, &[&id.0.to_le_bytes(), &ticket.0.to_le_bytes(), &height.to_le_bytes(), word.as_bytes()]);
        let transaction = self.workload.transaction_of(ticket);
        self.audit.note(now, || format!("{} -> client  {transaction:?}: {answer:?}", describe::validator(id)));
        if let (Some(transaction), Some(machine)) = (transaction, self.machines.get(id.index())) {
            self.watch.answered(now, machine, transaction, answer)?;
        }
        // A client trusts no liar without a proof, so it asks another validator.
        if self.watch.binds(id) {
            self.workload.on_answer(ticket, answer);
        }
        Ok(())
    }
}

const fn wait_word(wait: Wait) -> &'static str {
    match wait {
        Wait::None => "not at all",
        Wait::Accepted => "until accepted",
        Wait::Committed => "until committed",
    }
}
