//! What leaves the machines of a run, and what the invariants see of it: messages, gossip, commits, and answers to clients.

use std::{cell::OnceCell, rc::Rc};

use quorate_ledger::{Committed, LedgerReader};
use quorate_replica::{Answer, Input, Output, Serve, Ticket};
use quorate_types::{
    codec,
    header::Header,
    ids::ValidatorId,
    message::{BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Recipients, TransactionBatch},
    receipt::Receipt,
    transaction::Transaction,
    verify::Verified,
};

use super::world::{Happened, World};
use crate::{contents, describe, invariants::Observation, workload::Action};

/// Bytes on their way, and what any receiver makes of them.
#[derive(Debug)]
pub(super) struct Packet {
    bytes: Vec<u8>,
    gossip: bool,
    opened: OnceCell<Result<Opened, String>>,
}

#[derive(Clone, Debug)]
enum Opened {
    Message(Verified<Message>),
    Gossip(Vec<Verified<Transaction>>),
}

impl World {
    pub(super) fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        match output {
            Output::Send { to, message } => self.send(id, to, &message),
            Output::Gossip(transactions) => {
                let batch = transactions.try_into().map(TransactionBatch);
                let bytes = batch.as_ref().map(codec::encode).unwrap_or_default();
                if bytes.is_empty() || bytes.len() > BATCH_BYTES_MAX {
                    return Err(self.violation("WIRE", format!("validator {id} gossips a batch of {} bytes", bytes.len())));
                }
                self.carry(id, Recipients::Others, bytes, true);
                Ok(())
            }
            Output::Serve(job) => {
                self.plan_serving(id, job);
                Ok(())
            }
            Output::Answer { ticket, answer } => self.answer(id, ticket, &answer),
            Output::Committed(committed) => self.committed(id, &committed),
            Output::Accused(evidence) => self.register.observe(self.now, &Observation::Accused { node: id, evidence: &evidence }),
            Output::Ignored { from, reason } => {
                self.audit.record(self.now, 2, &[&id.0.to_le_bytes(), &from.0.to_le_bytes(), reason.as_bytes()]);
                Ok(())
            }
            Output::Worked => {
                self.audit.record(self.now, 3, &[&id.0.to_le_bytes()]);
                Ok(())
            }
        }
    }

    /// Answers a request for blocks from what the disk holds by now, beside what the replica is doing.
    pub(super) fn serve(&mut self, id: ValidatorId, job: Serve) -> Happened {
        let Some(machine) = self.machine(id).filter(|machine| machine.replica.is_some()) else { return Ok(()) };
        let to = job.to();
        let answer = job.answer(&LedgerReader::new(machine.store.clone()));
        let message = answer.map_err(|error| self.violation("FATAL", format!("validator {id} cannot read blocks: {error}")))?;
        self.give(id, Input::Served { to, bytes: codec::encode(&message).len() });
        self.send(id, Recipients::One(to), &message)
    }

    fn send(&mut self, id: ValidatorId, to: Recipients, message: &Message) -> Happened {
        let bytes = codec::encode(message);
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(self.violation("WIRE", format!("validator {id} sends a message of {} bytes", bytes.len())));
        }
        self.audit.note(self.now, || {
            let to = match to {
                Recipients::Others => "all".into(),
                Recipients::One(to) => describe::validator(to),
            };
            format!("{} -> {to}  {}", describe::validator(id), describe::message(message))
        });
        let durable = self.machine(id).and_then(|machine| machine.store.durable_record());
        self.register.observe(self.now, &Observation::Sent { node: id, message, durable })?;
        self.carry(id, to, bytes, false);
        Ok(())
    }

    fn carry(&mut self, from: ValidatorId, to: Recipients, bytes: Vec<u8>, gossip: bool) {
        self.audit.record(self.now, 4, &[&from.0.to_le_bytes(), &bytes]);
        let packet = Rc::new(Packet { bytes, gossip, opened: OnceCell::new() });
        let targets: Vec<ValidatorId> = match to {
            Recipients::Others => self.machines.iter().map(|machine| machine.id).filter(|id| *id != from).collect(),
            Recipients::One(to) => vec![to],
        };
        for to in targets {
            for delay in self.network.deliveries(from, to) {
                self.plan_delivery(delay, from, to, &packet);
            }
        }
    }

    pub(super) fn deliver(&mut self, from: ValidatorId, to: ValidatorId, packet: &Packet) -> Happened {
        let Some(machine) = self.machine(to).filter(|machine| machine.replica.is_some()) else { return Ok(()) };
        if !self.network.passes(from, to) {
            return Ok(());
        }
        let opened = packet.opened.get_or_init(|| self.open(from, packet)).clone();
        let input = match opened {
            Ok(Opened::Message(message)) => {
                if matches!(&*message, Message::FetchResponse(_) | Message::CatchupResponse(_)) {
                    for block in contents::blocks(&message) {
                        machine.store.fetched(block.id().0.0.to_vec());
                    }
                }
                self.register.observe(self.now, &Observation::Received { node: to, from, message: &message })?;
                Input::Message { from, message }
            }
            Ok(Opened::Gossip(transactions)) => Input::Gossip(transactions),
            Err(error) => return Err(self.violation("WIRE", format!("what validator {from} sent does not verify: {error}"))),
        };
        self.audit.record(self.now, 5, &[&from.0.to_le_bytes(), &to.0.to_le_bytes(), &(packet.bytes.len() as u64).to_le_bytes()]);
        self.give(to, input);
        Ok(())
    }

    /// What a receiver does with bytes before its replica sees them.
    fn open(&self, from: ValidatorId, packet: &Packet) -> Result<Opened, String> {
        let verifier = &self.setting.verifier;
        if packet.gossip {
            let TransactionBatch(batch) = codec::decode(&packet.bytes, BATCH_BYTES_MAX).map_err(|error| error.to_string())?;
            let verdicts = verifier.transactions(batch.into_inner());
            verdicts.into_iter().collect::<Result<_, _>>().map(Opened::Gossip).map_err(|error| error.to_string())
        } else {
            let message = Message::decode(&packet.bytes).map_err(|error| error.to_string())?;
            verifier.message(from, message).map(Opened::Message).map_err(|error| error.to_string())
        }
    }

    fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        let now = self.now;
        let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
        let qc = committed.view.commit_qc();
        let Some((last, _)) = blocks.last() else {
            return Err(self.violation("TREE-2", format!("validator {id} committed nothing")));
        };
        let height = last.height;
        self.audit.record(now, 6, &[&id.0.to_le_bytes(), &height.0.to_le_bytes(), &last.state_id().0.0]);
        self.audit.note(now, || format!("{} commits up to height {height} by {qc:?}", describe::validator(id)));
        self.register.observe(now, &Observation::Committed { node: id, blocks: &blocks, qc })?;
        self.set_reported(id, height);
        self.on_commit(qc.round())
    }

    pub(super) fn act(&mut self, action: Action) -> Happened {
        match action {
            Action::Signed(transaction) => {
                self.audit.record(self.now, 7, &[&transaction.id().0.0]);
                self.register.observe(self.now, &Observation::Signed { transaction: &transaction })?;
            }
            Action::Submit { node, ticket, transaction, wait } => {
                // As the node's API does: what does not verify never gets to the replica.
                if let Some(Ok(transaction)) = self.setting.verifier.transactions(vec![transaction]).pop() {
                    self.give(node, Input::Submit { ticket, transaction, wait });
                }
            }
            Action::Forget { node, ticket } => self.give(node, Input::Forget(ticket)),
        }
        Ok(())
    }

    fn answer(&mut self, id: ValidatorId, ticket: Ticket, answer: &Answer) -> Happened {
        let now = self.now;
        let (height, word) = match answer {
            Answer::Accepted => (0, "accepted"),
            Answer::Committed { height, outcome, .. } => (height.0, if outcome.is_applied() { "applied" } else { "failed" }),
            Answer::Rejected { code, .. } => (0, &**code),
        };
        self.audit.record(now, 8, &[&id.0.to_le_bytes(), &ticket.0.to_le_bytes(), &height.to_le_bytes(), word.as_bytes()]);
        let transaction = self.workload.transaction_of(ticket);
        self.audit.note(now, || format!("{} -> client  {transaction:?}: {answer:?}", describe::validator(id)));
        if let Some(tx) = transaction {
            match answer {
                Answer::Committed { height, index, outcome } => {
                    let receipt = Observation::Receipt { node: id, id: tx, height: *height, index: *index, outcome };
                    self.register.observe(now, &receipt)?;
                }
                Answer::Rejected { code, .. } if code == "expired" => {
                    let root = self.machine(id).and_then(|machine| machine.replica.as_ref());
                    if let Some(committed) = root.map(|replica| replica.ledger().root().timestamp) {
                        self.register.observe(now, &Observation::Expired { node: id, id: tx, committed })?;
                    }
                }
                Answer::Rejected { .. } | Answer::Accepted => {}
            }
        }
        self.workload.on_answer(ticket, answer);
        self.settle();
        Ok(())
    }
}
