//! Shows the rules what machines do: states, records, messages, commits and answers, in the same form for all searches.

use quorate_ledger::{Committed, LedgerError, LedgerReader};
use quorate_replica::{Answer, Replica};
use quorate_types::{
    header::Header,
    ids::{Address, TxId, ValidatorId},
    message::Message,
    receipt::Receipt,
    round::{Epoch, Height},
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

/// `Err` when a rule is broken.
pub type Happened = Result<(), Violation>;

/// The rules, and what to do when one is broken.
pub struct Watch {
    register: Register,
    /// A broken rule does not stop the run: more validators lie than any rule tolerates.
    tolerates: bool,
    broken: Option<Violation>,
}

impl Watch {
    /// Shows everything to these invariants; the first violation is an error.
    #[must_use]
    pub const fn new(register: Register) -> Self {
        Self { register, tolerates: false, broken: None }
    }

    /// Remembers the first broken rule instead of reporting it, and shows the rules nothing after it.
    #[must_use]
    pub const fn tolerant(register: Register) -> Self {
        Self { register, tolerates: true, broken: None }
    }

    /// The first rule broken in a tolerant watch.
    #[must_use]
    pub const fn broken(&self) -> Option<&Violation> {
        self.broken.as_ref()
    }

    /// Whether the rules bind a validator, that is, it is not faulty.
    #[must_use]
    pub fn binds(&self, id: ValidatorId) -> bool {
        self.register.binds(id)
    }

    /// Whether two blocks were committed at one height.
    #[must_use]
    pub fn has_seen_fork(&self) -> bool {
        self.register.has_seen_fork()
    }

    /// Shows an observation that belongs to no machine, or that only one search makes.
    ///
    /// # Errors
    /// An invariant is violated.
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

    /// Shows that a machine has started, with the record its disk gave back and the commits that were written but not shown before power
    /// failed.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn started<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>) -> Happened {
        let (id, height) = (machine.id, machine.height());
        if let Some(record) = machine.home.durable().record {
            self.see(at, &Observation::Saved { node: id, record })?;
        }
        let broken = |what: String| violation(at, "TREE-1", what);
        let reader = LedgerReader::new(machine.home.disk().clone());
        let mut batch: Vec<(Header, Vec<Receipt>)> = Vec::new();
        // Commits lost with the power do not count.
        let mut reported = machine.reported.min(height);
        let mut next = reported.next();
        while next <= height {
            let read = |error: LedgerError| broken(format!("validator {id} cannot read the block at height {next}: {error}"));
            let block =
                reader.block_at(next).map_err(read)?.ok_or_else(|| broken(format!("validator {id} has no block at height {next}")))?;
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
        if let Some(verifier) = machine.replica().map(Replica::verifier).filter(|verifier| verifier.committee().epoch() > Epoch(0)) {
            self.see(at, &Observation::Entered { node: id, verifier })?;
        }
        self.see(at, &Observation::Started { node: id, height: reported })
    }

    /// Shows the new durable record and the state after a poll.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn polled<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>, polled: &Polled) -> Happened {
        if let Some(record) = polled.saved {
            self.see(at, &Observation::Saved { node: machine.id, record })?;
        }
        if polled.output.is_ok() { self.state(at, machine) } else { Ok(()) }
    }

    /// Shows a machine's state if it has changed.
    pub(crate) fn state<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>) -> Happened {
        let id = machine.id;
        machine.new_state().map_or(Ok(()), |state| self.see(at, &Observation::State { node: id, state }))
    }

    /// Shows that a machine has read its clock.
    pub(crate) fn clock<H: Home>(&mut self, at: Micros, machine: &Machine<H>) -> Happened {
        self.see(at, &Observation::Clock { node: machine.id, unix: machine.clock.unix(at) })
    }

    /// Shows a sent message. SAFE-6: a machine that was shown a signature of its own that it does not remember signs nothing more.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn sent<H: Home>(&mut self, at: Micros, machine: &Machine<H>, message: &Message) -> Happened {
        let id = machine.id;
        if machine.was_shown() && contents::round_of(message).is_some() {
            let what = format!("validator {id} was shown a signature of its own that it does not remember, and then sent {message:?}");
            return Err(violation(at, "SAFE-6", what));
        }
        self.see(at, &Observation::Sent { node: id, message, durable: machine.home.durable().record })
    }

    /// Shows that a machine commits blocks.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn committed<H: Home>(&mut self, at: Micros, machine: &mut Machine<H>, committed: &Committed) -> Happened {
        let id = machine.id;
        let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
        let Some((last, _)) = blocks.last() else {
            return Err(violation(at, "TREE-2", format!("validator {id} committed nothing")));
        };
        machine.reported = last.height;
        self.see(at, &Observation::Committed { node: id, blocks: &blocks, qc: committed.view.commit_qc() })?;
        let entered = machine.replica().filter(|_| committed.ends_epoch).map(Replica::verifier);
        entered.map_or(Ok(()), |verifier| self.see(at, &Observation::Entered { node: id, verifier }))
    }

    /// Shows that a machine answers a client about a transaction.
    ///
    /// # Errors
    /// An invariant is violated.
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

    /// Shows the accounts at these addresses as a machine has them.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn accounts<H: Home>(&mut self, at: Micros, machine: &Machine<H>, addresses: &[Address]) -> Happened {
        let Some(view) = machine.replica().map(Replica::view) else { return Ok(()) };
        let height: Height = view.header().height;
        for address in addresses {
            let record = view.account(address);
            self.see(at, &Observation::Account { node: machine.id, address: *address, height, record: &record })?;
        }
        Ok(())
    }

    /// Lets the rules judge what they left open.
    ///
    /// # Errors
    /// An invariant is violated.
    pub fn finish(&mut self, at: Micros) -> Happened {
        self.register.finish(at)
    }
}

/// A violation that a search itself detects.
#[must_use]
pub fn violation(at: Micros, invariant: &str, what: String) -> Violation {
    Violation { invariant: invariant.into(), what, at_us: at.0 }
}
