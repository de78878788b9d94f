//! What the rules are shown of machines: states, records, messages, commits and answers, each in one form for all searches.

use quorate_ledger::{Committed, LedgerError, LedgerReader};
use quorate_replica::{Answer, Replica};
use quorate_types::{
    header::Header,
    ids::{Address, TxId, ValidatorId},
    message::Message,
    receipt::Receipt,
    round::Height,
};

use super::{
    home::Home,
    machine::{Machine, Polled},
};
use crate::{
    contents,
    invariants::{Observation, Register, Violation},
    time::Micros,
};

/// Whether everything is still in order.
pub type Happened = Result<(), Violation>;

/// See the module.
pub struct Watch {
    register: Register,
    /// A broken rule is no reason to stop: more lie than any rule bears.
    tolerates: bool,
    broken: Option<Violation>,
}

impl Watch {
    /// Shows everything to these rules; the first that is broken is an error.
    #[must_use]
    pub const fn new(register: Register) -> Self {
        Self { register, tolerates: false, broken: None }
    }

    /// Keeps the first broken rule to itself, and shows the rules nothing after it.
    #[must_use]
    pub const fn tolerant(register: Register) -> Self {
        Self { register, tolerates: true, broken: None }
    }

    /// The rule that was broken, where that is no reason to stop.
    #[must_use]
    pub const fn broken(&self) -> Option<&Violation> {
        self.broken.as_ref()
    }

    /// Whether the rules bind a validator: it does not lie.
    #[must_use]
    pub fn binds(&self, id: ValidatorId) -> bool {
        self.register.binds(id)
    }

    /// Whether two blocks were committed at one height.
    #[must_use]
    pub fn has_seen_fork(&self) -> bool {
        self.register.has_seen_fork()
    }

    /// Something that is seen of no machine, or that only one search looks at.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn see(&mut self, at: Micros, observation: &Observation<'_>) -> Happened {
        if self.broken.is_some() {
            return Ok(());
        }
        match self.register.observe(at, observation) {
            Err(violation) if self.tolerates => {
                self.broken = Some(violation);
                Ok(())
            }
            seen => seen,
        }
    }

    /// A machine has started: what its disk gave back, and commits that were written, but not shown before its power failed.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn started<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>) -> Happened {
        let (id, height) = (machine.id, machine.height());
        if let Some(record) = machine.home.durable().record {
            self.see(at, &Observation::Saved { node: id, record })?;
        }
        let broken = |what: String| violation(at, "TREE-1", what);
        let reader = LedgerReader::new(machine.home.disk().clone());
        let mut batch: Vec<(Header, Vec<Receipt>)> = Vec::new();
        // What was lost with the power is no more.
        let mut reported = machine.reported.min(height);
        let mut next = reported.next();
        while next <= height {
            let read = |error: LedgerError| broken(format!("validator {id} cannot read height {next}: {error}"));
            let block = reader.block_at(next).map_err(read)?.ok_or_else(|| broken(format!("validator {id} lacks height {next}")))?;
            batch.push((block.header, reader.receipts_at(next).map_err(read)?.unwrap_or_default()));
            if let Some(qc) = block.commit_qc {
                let blocks: Vec<(&Header, &[Receipt])> = batch.iter().map(|(header, receipts)| (header, receipts.as_slice())).collect();
                self.see(at, &Observation::Committed { node: id, blocks: &blocks, qc: &qc })?;
                batch.clear();
                reported = next;
            }
            next = next.next();
        }
        machine.reported = reported;
        self.see(at, &Observation::Started { node: id, height: reported })
    }

    /// A machine was polled: what its disk has kept since, and its state.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn polled<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>, polled: &Polled) -> Happened {
        if let Some(record) = polled.saved {
            self.see(at, &Observation::Saved { node: machine.id, record })?;
        }
        if polled.output.is_ok() { self.state(at, machine) } else { Ok(()) }
    }

    /// The state of a machine, where it is another one than before.
    pub(crate) fn state<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>) -> Happened {
        let id = machine.id;
        machine.new_state().map_or(Ok(()), |state| self.see(at, &Observation::State { node: id, state }))
    }

    /// A machine has looked at its clock.
    pub(crate) fn clock<H: Home>(&mut self, at: Micros, machine: &Machine<H>) -> Happened {
        self.see(at, &Observation::Clock { node: machine.id, unix: machine.clock.unix(at) })
    }

    /// A machine sends a message. SAFE-6: whoever was shown that it has forgotten what it signed signs nothing any more.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn sent<H: Home>(&mut self, at: Micros, machine: &Machine<H>, message: &Message) -> Happened {
        let id = machine.id;
        if machine.was_shown() && contents::round_of(message).is_some() {
            let what = format!("validator {id} was shown its own signature that it does not remember, and then sent {message:?}");
            return Err(violation(at, "SAFE-6", what));
        }
        self.see(at, &Observation::Sent { node: id, message, durable: machine.home.durable().record })
    }

    /// A machine commits blocks.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn committed<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>, committed: &Committed) -> Happened {
        let id = machine.id;
        let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
        let Some((last, _)) = blocks.last() else {
            return Err(violation(at, "TREE-2", format!("validator {id} committed nothing")));
        };
        machine.reported = last.height;
        self.see(at, &Observation::Committed { node: id, blocks: &blocks, qc: committed.view.commit_qc() })
    }

    /// A machine answers a client about a transaction.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn answered<H: Home>(&mut self, at: Micros, machine: &Machine<H>, id: TxId, answer: &Answer) -> Happened {
        let node = machine.id;
        match answer {
            Answer::Committed { height, index, outcome } => {
                self.see(at, &Observation::Receipt { node, id, height: *height, index: *index, outcome })
            }
            Answer::Rejected { code, .. } if code == "expired" => {
                let root = machine.replica().map(|replica| replica.ledger().root().timestamp);
                root.map_or(Ok(()), |committed| self.see(at, &Observation::Expired { node, id, committed }))
            }
            Answer::Rejected { .. } | Answer::Accepted => Ok(()),
        }
    }

    /// The accounts of clients as a machine has them.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn accounts<H: Home>(&mut self, at: Micros, machine: &Machine<H>, addresses: &[Address]) -> Happened {
        let Some(view) = machine.replica().map(Replica::view) else { return Ok(()) };
        let height: Height = view.header().height;
        for address in addresses {
            let record = view.account(address);
            self.see(at, &Observation::Account { node: machine.id, address: *address, height, record: &record })?;
        }
        Ok(())
    }

    /// Lets the rules look back at the end.
    ///
    /// # Errors
    /// A rule is broken.
    pub fn finish(&mut self, at: Micros) -> Happened {
        self.register.finish(at)
    }
}

/// A broken rule that only a search knows.
#[must_use]
pub fn violation(at: Micros, invariant: &str, what: String) -> Violation {
    Violation { invariant: invariant.into(), what, at_us: at.0 }
}
