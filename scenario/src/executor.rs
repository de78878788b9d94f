//! Runs a scenario: drives production replicas on virtual time.
//!
//! ```text
//!          agenda (by time, then scheduling order)
//!                     │ next
//!  clients ──> arrive, wake, restart ──> Replica: all the work it can do now ──> outputs
//!     ^                                                                            │
//!     └──────── answers <──── network: delays, failures (passing.rs) <─────────────┴──> invariants
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

use quorate_harness::{
    Happened, Packet, Watch,
    committee::Setting,
    contents, describe,
    invariants::{Observation, Register, Violation},
    random::Random,
    subject::{BuiltIn, Subject},
    time::{Agenda, Micros},
    violation, workload,
};
use quorate_ledger::{Committed, LedgerReader};
use quorate_replica::{Answer, Input, Output, Ticket};
use quorate_types::{
    block::Block,
    committee::SignerSet,
    ids::{Address, BlockId, TxId, ValidatorId},
    message::{Message, Recipients},
    round::{Height, Round},
    rpc::Wait,
    transaction::Transaction,
    verify::Verified,
    vote::QuorumCert,
};

use super::{
    client::Client,
    model::{LEADER_ROUNDS_MAX, Leaders, Scenario},
    outcome::{self, Run},
    seat::{Lies, Log, Seat},
    triggers::Event,
};

/// Most certificates remembered for lies about certificates.
const CERTIFICATES_MAX: usize = 10_000;

/// A scheduled event.
#[derive(Debug)]
pub(super) enum Happening {
    /// A message arrives. `None` is a client.
    Arrive { from: Option<ValidatorId>, to: Option<ValidatorId>, load: Load },
    /// A validator's deadline has come, in this life of its process.
    Wake(ValidatorId, u64),
    /// A validator's power is back.
    Restart(ValidatorId),
    /// A client begins its next request.
    Begin(usize),
    /// A client's timeout for an answer: client, number of the request, how many times it had been sent.
    Impatient(usize, usize, u64),
    /// The run may be complete.
    End,
    /// The time limit is reached.
    GiveUp,
}

/// The content of a message.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// Between validators.
    Parcel(Rc<Packet>),
    /// A client's request.
    Request { client: u16, ticket: Ticket, transaction: Verified<Transaction> },
    /// The answer to it.
    Answer { ticket: Ticket, answer: Answer },
}

/// The origin of an injected failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    Failure,
    Trigger,
}

/// Counters for the report.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) messages: u64,
    /// Messages from faulty validators and requests from faulty clients that did not verify.
    pub(super) refused: u64,
    pub(super) crashes: u64,
    pub(super) lost_writes: u64,
    pub(super) accusations: BTreeSet<ValidatorId>,
    pub(super) injected: BTreeMap<String, u64>,
    /// Failures and triggers that took effect, by index in the scenario.
    pub(super) struck: BTreeSet<(Cause, usize)>,
    /// Time of the last commit by an honest validator.
    pub(super) last_commit: Option<Micros>,
}

/// See the module.
pub(super) struct Executor<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) setting: Setting,
    pub(super) agenda: Agenda<Happening>,
    pub(super) now: Micros,
    pub(super) seats: Vec<Seat>,
    pub(super) clients: Vec<Client>,
    pub(super) client_logs: Vec<Log>,
    pub(super) owners: BTreeMap<Address, u16>,
    pub(super) requests: BTreeMap<TxId, (u16, usize)>,
    pub(super) watch: Watch,
    pub(super) network: Random,
    pub(super) dice: Random,
    disks: Random,
    /// Real certificates by round, for validators that lie about theirs.
    pub(super) certificates: BTreeMap<Round, QuorumCert>,
    /// The clients with transactions in each proposed block.
    pub(super) block_clients: BTreeMap<BlockId, BTreeSet<u16>>,
    /// Rounds that ended with a timeout certificate.
    pub(super) given_up: BTreeSet<Round>,
    pub(super) failures: Log,
    pub(super) counted: Counted,
    ended: bool,
    pub(super) settling: bool,
    pub(super) out_of_time: bool,
}

/// Runs a scenario with a seed until it ends or violates an invariant.
///
/// # Errors
/// The scenario cannot start: its parameters do not make a valid network.
pub fn run(scenario: &Scenario, seed: u64) -> Result<Run, String> {
    let mut executor = Executor::new(scenario, seed)?;
    let violation = executor.go().err();
    Ok(outcome::judge(executor, seed, violation))
}

impl<'a> Executor<'a> {
    fn new(scenario: &'a Scenario, seed: u64) -> Result<Self, String> {
        let random = Random::new(seed).fork("scenario");
        let mut keys = random.fork("clients");
        let clients: Vec<Client> = (0u16..)
            .zip(&scenario.workloads)
            .map(|(number, given)| {
                let mut client = Client::new(number, &workload::seed(&mut keys), given.operations(number), scenario.space);
                client.faulty = scenario.faulty_clients.contains(&number);
                client
            })
            .collect();
        let accounts = clients.iter().map(Client::account).collect();
        let settings = quorate_builtin::Settings::default().with_accounts(accounts).in_genesis().settings;
        let faulty: SignerSet = scenario.faulty.iter().map(|id| ValidatorId(*id)).collect();
        let setting = Setting::with_parameters(
            &mut random.fork("setting"),
            scenario.validators,
            scenario.parameters,
            &quorate_builtin::app(),
            settings,
        )?;
        let leaders = Arc::new(leaders(scenario));
        let register = Register::new(&setting.genesis, &setting.verifier, BuiltIn.model(&setting.genesis), faulty);
        Ok(Self {
            scenario,
            setting,
            agenda: Agenda::new(),
            now: Micros(0),
            seats: (0..scenario.validators).map(|id| Seat::new(ValidatorId(id), scenario.faulty.contains(&id), &leaders)).collect(),
            client_logs: clients.iter().map(|_| Log::default()).collect(),
            owners: clients.iter().map(|client| (client.address, client.number)).collect(),
            clients,
            requests: BTreeMap::new(),
            watch: Watch::new(register),
            network: random.fork("network"),
            dice: random.fork("dice"),
            disks: random.fork("disks"),
            certificates: BTreeMap::new(),
            block_clients: BTreeMap::new(),
            given_up: BTreeSet::new(),
            failures: Log::default(),
            counted: Counted::default(),
            ended: false,
            settling: false,
            out_of_time: false,
        })
    }

    fn go(&mut self) -> Happened {
        for id in 0..self.scenario.validators {
            self.start(ValidatorId(id))?;
        }
        for client in 0..self.clients.len() {
            self.agenda.plan(self.now, Happening::Begin(client));
        }
        self.agenda.plan(Micros::from_ms(self.scenario.time_limit_s.saturating_mul(1_000)), Happening::GiveUp);
        while !self.ended
            && let Some((at, happening)) = self.agenda.next()
        {
            self.now = at;
            self.happen(happening)?;
        }
        // Answers that ran ahead of the reports of their commits can be checked now.
        self.watch.finish(self.now)
    }

    fn happen(&mut self, happening: Happening) -> Happened {
        match happening {
            Happening::Arrive { from, to: Some(to), load } => self.arrive(from, to, load),
            Happening::Arrive { from, to: None, load } => {
                self.answered(from, &load);
                Ok(())
            }
            Happening::Wake(id, life) => {
                let Some(seat) = self.seats.get_mut(id.index()).filter(|seat| seat.machine.life == life) else { return Ok(()) };
                // Stale: the deadline has moved, and another wake-up is scheduled. If stale ones scheduled successors too, wake-ups would
                // multiply with every move.
                if seat.wake != Some(self.now) {
                    return Ok(());
                }
                if seat.asleep_until > self.now {
                    seat.wake = Some(seat.asleep_until);
                    self.agenda.plan(seat.asleep_until, Happening::Wake(id, life));
                    return Ok(());
                }
                seat.wake = None;
                seat.machine.push(Input::Tick, self.now);
                self.work(id)
            }
            Happening::Restart(id) => self.start(id),
            Happening::Begin(client) => self.begin(client),
            Happening::Impatient(client, request, sent) => {
                let waits = self
                    .clients
                    .get(client)
                    .is_some_and(|known| known.next() == request && known.request.as_ref().is_some_and(|under_way| under_way.sent == sent));
                if waits { self.send_request(client) } else { Ok(()) }
            }
            Happening::End => {
                // A validator may have lost power meanwhile, and commits with it.
                self.ended = self.is_complete();
                self.settling = self.ended;
                Ok(())
            }
            Happening::GiveUp => {
                self.ended = true;
                self.out_of_time = true;
                Ok(())
            }
        }
    }

    pub(super) fn violation(&self, invariant: &str, what: String) -> Violation {
        violation(self.now, invariant, what)
    }

    pub(super) fn log(&mut self, id: ValidatorId, text: &str) {
        if let Some(seat) = self.seats.get_mut(id.index()) {
            seat.log.add(self.now, text);
        }
    }

    // ---- validators ---------------------------------------------------------------------------------------------------------------

    fn start(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(id.index()) else { return Ok(()) };
        if seat.gone || seat.machine.is_up() {
            return Ok(());
        }
        if let Err(error) = seat.machine.start(&self.setting, now) {
            return Err(self.violation("OPEN", format!("validator {id} does not start: {error}")));
        }
        let height = seat.machine.height();
        (seat.wake, seat.asleep_until, seat.lies) = (None, Micros(0), Lies::default());
        seat.counts.clear();
        seat.log.add(now, &format!("starts at height {height}"));
        self.watch.started(now, &mut seat.machine)?;
        self.count_requests(id, height)?;
        self.work(id)?;
        self.settle();
        Ok(())
    }

    /// Recounts the clients' requests in a validator's ledger after a start: commits that were not synced are lost with the power.
    fn count_requests(&mut self, id: ValidatorId, height: Height) -> Happened {
        let Some(seat) = self.seats.get_mut(id.index()) else { return Ok(()) };
        let reader = LedgerReader::new(seat.machine.home.disk.clone());
        seat.committed.clear();
        for number in (1..=height.0).map(Height) {
            let receipts = reader.receipts_at(number).map_err(|error| {
                let what = format!("validator {id} cannot read the receipts of height {number} after a restart: {error}");
                violation(self.now, "TREE-1", what)
            })?;
            let ids = receipts.iter().flatten().map(|receipt| receipt.tx_id);
            seat.committed.extend(ids.filter(|id| self.requests.contains_key(id)));
        }
        Ok(())
    }

    /// Cuts a validator's power: unsynced writes are lost. It restarts after `down`, or never.
    pub(super) fn power_off(&mut self, id: ValidatorId, down: Option<Micros>) {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(id.index()) else { return };
        if !seat.machine.is_up() {
            return;
        }
        seat.machine.stop();
        let lost = seat.machine.home.crash(&mut self.disks);
        seat.gone = down.is_none();
        seat.log.add(now, &format!("loses power and {lost} unsynced writes"));
        self.counted.crashes = self.counted.crashes.saturating_add(1);
        self.counted.lost_writes = self.counted.lost_writes.saturating_add(lost as u64);
        if let Some(down) = down {
            self.agenda.plan(now.after(down), Happening::Restart(id));
        }
    }

    fn arrive(&mut self, from: Option<ValidatorId>, to: ValidatorId, load: Load) -> Happened {
        let Some(seat) = self.seats.get(to.index()).filter(|seat| seat.machine.is_up()) else { return Ok(()) };
        if seat.asleep_until > self.now {
            let awake = seat.asleep_until;
            self.agenda.plan(awake, Happening::Arrive { from, to: Some(to), load });
            return Ok(());
        }
        let input = match &load {
            Load::Parcel(parcel) => {
                let Some(from) = from else { return Ok(()) };
                match parcel.open(&self.setting.verifier, from) {
                    Ok(opened) => opened.into_input(from),
                    Err(refused) => return self.refused(from, to, &refused.what),
                }
            }
            Load::Request { ticket, transaction, .. } => {
                Input::Submit { ticket: *ticket, transaction: transaction.clone(), wait: Wait::Committed }
            }
            Load::Answer { .. } => return Ok(()),
        };
        for (event, client) in self.events_of(&load) {
            if self.fire(to, event, client) {
                return Ok(());
            }
        }
        if let Input::Message { from, message } = &input {
            self.watch.see(self.now, &Observation::Received { node: to, from: *from, message, is_verified: true })?;
        }
        if let Some(seat) = self.seats.get_mut(to.index()) {
            seat.machine.push(input, self.now);
        }
        self.work(to)
    }

    fn refused(&mut self, from: ValidatorId, to: ValidatorId, error: &str) -> Happened {
        if !self.seats.get(from.index()).is_some_and(|seat| seat.faulty) {
            return Err(self.violation("WIRE", format!("a message from the honest validator {from} does not verify: {error}")));
        }
        self.counted.refused = self.counted.refused.saturating_add(1);
        self.log(to, &format!("refuses a message from v{from}: {error}"));
        Ok(())
    }

    /// Lets a validator do all the work it can do now.
    pub(super) fn work(&mut self, id: ValidatorId) -> Happened {
        let now = self.now;
        loop {
            let Some(seat) = self.seats.get_mut(id.index()) else { return Ok(()) };
            let worked = seat.machine.work();
            self.watch.polled(now, &mut seat.machine, &worked)?;
            let output = match worked.output {
                Ok(Some(output)) => output,
                Ok(None) => break,
                Err(fatal) if seat.faulty => {
                    seat.log.add(now, &format!("stops: {fatal}"));
                    self.power_off(id, None);
                    return Ok(());
                }
                Err(fatal) => return Err(self.violation("FATAL", format!("validator {id} stops: {fatal}"))),
            };
            self.output(id, output)?;
        }
        self.look_at_round(id);
        let Some(seat) = self.seats.get_mut(id.index()) else { return Ok(()) };
        if let Some(deadline) = seat.machine.deadline() {
            // The next full microsecond, so that the deadline has passed by then.
            let at = deadline.max(now).after(Micros(1));
            if seat.wake.is_none_or(|planned| planned > at) {
                seat.wake = Some(at);
                self.agenda.plan(at, Happening::Wake(id, seat.machine.life));
            }
        }
        Ok(())
    }

    /// Logs a new round, and counts it for triggers if the round before was given up.
    fn look_at_round(&mut self, id: ValidatorId) {
        let Some(seat) = self.seats.get_mut(id.index()) else { return };
        let round = seat.machine.round();
        if round > seat.round {
            seat.round = round;
            seat.log.add(self.now, &format!("enters round {round}"));
            if round.previous().is_some_and(|last| self.given_up.contains(&last)) {
                self.fire(id, Event::NewConfiguration, None);
            }
        }
    }

    fn output(&mut self, id: ValidatorId, output: Output) -> Happened {
        match output {
            Output::Send { to, message } => {
                // What a faulty validator really sends is known only after rewriting; passing.rs reports it.
                if let Some(seat) = self.seats.get(id.index()).filter(|seat| !seat.faulty) {
                    self.watch.sent(self.now, &seat.machine, &message)?;
                }
                let name = match to {
                    Recipients::Others => "all".into(),
                    Recipients::One(to) => describe::validator(to),
                };
                self.log(id, &format!("-> {name}  {}", describe::message(&message)));
                self.note(&message);
                self.send(id, to, &message)
            }
            Output::Gossip(transactions) => {
                self.log(id, &format!("-> all  {} transactions", transactions.len()));
                self.gossip(id, transactions)
            }
            Output::Answer { ticket, answer } => self.answer(id, ticket, answer),
            Output::Committed(committed) => self.committed(id, &committed),
            Output::Accused(evidence) => {
                self.watch.see(self.now, &Observation::Accused { node: id, evidence: &evidence })?;
                self.counted.accusations.insert(evidence.culprit);
                self.log(id, &format!("accuses v{} of two different messages in round {}", evidence.culprit, evidence.round()));
                Ok(())
            }
            Output::Ignored { from, reason } => {
                self.log(id, &format!("ignores v{from}: {reason}"));
                Ok(())
            }
            // The harness's machine has already answered.
            Output::Serve(_) | Output::Worked => Ok(()),
        }
    }

    /// Remembers what lies and triggers may need: certificates, rounds given up, blocks.
    fn note(&mut self, message: &Message) {
        let mut certificate = |qc: &QuorumCert| {
            if self.certificates.len() < CERTIFICATES_MAX {
                self.certificates.entry(qc.round()).or_insert_with(|| qc.clone());
            }
        };
        if let Message::Proposal(proposal) = message {
            certificate(proposal.block.qc());
        } else if let Message::Timeout(timeout) = message {
            certificate(&timeout.timeout.high_qc);
        } else if let Message::SyncInfo(info) = message {
            certificate(&info.high_qc);
        }
        self.given_up.extend(contents::timeout_cert(message).map(|tc| tc.round));
        self.note_block(message);
    }

    /// Remembers which clients have transactions in a proposed block.
    pub(super) fn note_block(&mut self, message: &Message) {
        if let Message::Proposal(proposal) = message {
            self.block_clients.insert(proposal.block.id(), self.clients_in(&proposal.block));
        }
    }

    fn clients_in(&self, block: &Block) -> BTreeSet<u16> {
        block.payload().iter().filter_map(|transaction| self.owners.get(&transaction.sender()).copied()).collect()
    }

    fn committed(&mut self, id: ValidatorId, committed: &Committed) -> Happened {
        let now = self.now;
        let ids: Vec<TxId> = committed.blocks.iter().flat_map(|block| block.receipts.iter().map(|receipt| receipt.tx_id)).collect();
        if let (Some(seat), Some(last)) = (self.seats.get_mut(id.index()), committed.blocks.last()) {
            self.watch.committed(now, &mut seat.machine, committed)?;
            let (height, round) = (last.header.height, last.header.round);
            seat.committed.extend(ids.iter().filter(|id| self.requests.contains_key(*id)));
            if !seat.faulty {
                self.counted.last_commit = Some(now);
            }
            seat.log.add(now, &format!("commits up to height {height} (round {round}) with {} transactions", ids.len()));
        }
        self.fire(id, Event::Checkpoint, None);
        self.settle();
        Ok(())
    }
}

/// Leaders fixed by the scenario; for rounds not in the map, reputation elects.
fn leaders(scenario: &Scenario) -> BTreeMap<Round, ValidatorId> {
    match &scenario.leaders {
        Leaders::Reputation => BTreeMap::new(),
        Leaders::RoundRobin => (0..LEADER_ROUNDS_MAX)
            .map(|round| {
                let id = round.checked_rem(u64::from(scenario.validators)).unwrap_or_default();
                (Round(round), ValidatorId(u16::try_from(id).unwrap_or_default()))
            })
            .collect(),
        Leaders::Fixed(ids) => (1..).map(Round).zip(ids.iter().map(|id| ValidatorId(*id))).collect(),
    }
}

#[cfg(test)]
mod tests;
