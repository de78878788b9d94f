//! The clients: accounts with real keys that send an application's operations to random validators, wait, and resend.
//!
//! A client behaves like a wallet that lost its connection: it resends a transaction, possibly to another validator, until it learns the
//! outcome. Some clients sign two transactions with one sequence number and send both (only one may win), some ask for more than they have,
//! and some let their transactions expire.

use std::collections::{BTreeMap, BTreeSet};

use quorate_replica::{Answer, Ticket};
use quorate_types::{
    crypto::SigningKey,
    governance::ChainOperation,
    ids::{Address, GenesisHash, TxId, ValidatorId},
    permission::{PermissionChange, Role},
    round::{Epoch, Sequence, UnixMillis},
    rpc::Wait,
    settings::Settings,
    transaction::Transaction,
};

use crate::{
    committee::Setting,
    governor::{Facts, Governor},
    random::Random,
    subject::Shared,
    time::Micros,
};

/// How long a client waits for an answer before it retries.
const PATIENCE: Micros = Micros(400_000);
/// The same where clients change the committee: what they propose must come through in the storm.
const PATIENCE_OF_OPERATORS: Micros = Micros(120_000);
/// Longest pause between two turns of a client.
const PAUSE_MAX: Micros = Micros(60_000);
/// The same in a busy world.
const PAUSE_MAX_BUSY: Micros = Micros(12_000);
/// Validity of a transaction in chain time: the wallet's default.
const VALIDITY_MS: u64 = 60_000;
/// Codes with which the chain refuses an operation for good.
const GOVERNING_FINAL: [&str; 6] =
    ["no-such-proposal", "not-the-proposer", "no-change", "too-many-proposals", "not-an-operator", "bad-committee"];
/// Share of poison transactions, in thousandths, in worlds with a panicking application.
const POISON_PERMILLE: u64 = 150;

/// A client's action.
#[derive(Debug)]
pub(crate) enum Action {
    /// A transaction has been signed.
    Signed(Transaction),
    /// A transaction is sent to a validator.
    Submit { node: ValidatorId, ticket: Ticket, transaction: Transaction, wait: Wait },
    /// The client no longer waits for this answer.
    Forget { node: ValidatorId, ticket: Ticket },
}

#[derive(Debug)]
struct Pending {
    transaction: Transaction,
    sent: Option<(Micros, ValidatorId, Ticket)>,
}

#[derive(Debug)]
struct Client {
    key: SigningKey,
    address: Address,
    /// Number of sequence numbers it still wants to use.
    quota: u64,
    /// Most transactions it has pending at a time.
    window: usize,
    double_spends: bool,
    next: u64,
    /// Sequence numbers whose transactions will never be committed.
    holes: BTreeSet<u64>,
    pending: BTreeMap<TxId, Pending>,
    /// Nobody waits for its transactions: it operates faulty validators, or may not send all the time.
    lies: bool,
    /// The accounts whose permissions it changes.
    guests: Vec<Address>,
}

impl Client {
    fn new(random: &mut Random) -> Self {
        let key = SigningKey::from_seed(&seed(random));
        let (holes, pending) = (BTreeSet::new(), BTreeMap::new());
        Self {
            address: Address::of(&key.public()),
            key,
            quota: 0,
            window: 1,
            double_spends: false,
            next: 0,
            holes,
            pending,
            lies: false,
            guests: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.lies || self.quota == 0 && self.pending.is_empty() && self.holes.is_empty()
    }
}

/// Share of operations on the chain among the transactions of clients that govern it, in thousandths.
const GOVERNING_PERMILLE: u64 = 600;

/// The same of the lying operator.
const LYING_PERMILLE: u64 = 900;

/// How many operations on the chain a client may have pending, besides what it sends otherwise.
const GOVERNING_WINDOW: usize = 4;

/// All clients.
#[derive(Debug)]
pub struct Workload {
    subject: Shared,
    clients: Vec<Client>,
    tickets: BTreeMap<Ticket, (usize, TxId)>,
    ticket_next: u64,
    genesis_hash: GenesisHash,
    pause_max: Micros,
    /// Whether clients still send poison transactions.
    poisons: bool,
    /// The honest clients do not change the committee any more.
    is_calm: bool,
    /// Poison transactions signed so far.
    poison: BTreeSet<TxId>,
    /// How the clients, who operate the validators, change the committee.
    governor: Option<Governor>,
    random: Random,
}

impl Workload {
    /// Draws the clients.
    #[must_use]
    pub fn new(subject: Shared, mut random: Random) -> Self {
        // In most worlds the chain falls idle again and again. In a busy one it never pauses, and leaves absent validators behind.
        let busy = random.chance(200);
        let clients = (0..random.between(2, 5))
            .map(|_| {
                let client = Client::new(&mut random);
                Client {
                    quota: if busy { random.between(40, 120) } else { random.between(2, 12) },
                    window: random.index(4).saturating_add(1),
                    double_spends: random.chance(200),
                    ..client
                }
            })
            .collect();
        let pause_max = if busy { PAUSE_MAX_BUSY } else { PAUSE_MAX };
        Self {
            poisons: subject.0.poison().is_some(),
            is_calm: false,
            poison: BTreeSet::new(),
            governor: None,
            subject,
            clients,
            tickets: BTreeMap::new(),
            ticket_next: 0,
            genesis_hash: GenesisHash::default(),
            pause_max,
            random,
        }
    }

    /// Sets the network to sign for. The genesis contains the clients' accounts, so it is made after them.
    pub const fn join(&mut self, genesis_hash: GenesisHash) {
        self.genesis_hash = genesis_hash;
    }

    /// The settings of the clients' network.
    pub fn settings(&mut self) -> Settings {
        let addresses = self.addresses();
        self.subject.0.settings(&mut self.random, &addresses)
    }

    /// The accounts of all clients.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.clients.iter().map(|client| client.address).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Adds a client that lies: an operator of faulty validators. Nobody waits for what it sends.
    pub fn add_liar(&mut self) -> Address {
        let mut liar = Client::new(&mut self.random);
        (liar.quota, liar.window, liar.lies) = (u64::MAX, 4, true);
        let address = liar.address;
        self.clients.push(liar);
        address
    }

    /// Adds clients that may send now and then, and one that gives and takes their permission all the time. Returns the latter.
    pub fn add_guests(&mut self) -> Address {
        let guests: Vec<Address> = (0..2).map(|_| self.add_liar()).collect();
        let admin = self.add_liar();
        if let Some(client) = self.clients.last_mut() {
            client.guests = guests;
        }
        admin
    }

    /// Lets the clients change the committee.
    pub fn govern(&mut self, governor: Governor) {
        self.governor = Some(governor);
    }

    /// Who changes the committee, if anybody does.
    pub(crate) const fn governor(&self) -> Option<&Governor> {
        self.governor.as_ref()
    }

    /// Tells those who change the committee what has been committed.
    pub(crate) fn learn(&mut self, facts: Facts) {
        if let Some(governor) = &mut self.governor {
            governor.learn(facts);
        }
    }

    /// For the calm: limits every client to a few more transactions, but at least one, so that there is something to commit and an end to it.
    pub fn last_quota(&mut self) {
        self.poisons = false;
        self.is_calm = true;
        self.more();
    }

    /// Lets every honest client send a few more transactions.
    pub fn more(&mut self) {
        for client in self.clients.iter_mut().filter(|client| !client.lies) {
            client.quota = client.quota.min(3).saturating_add(self.random.between(1, 2));
        }
    }

    /// Whether every client knows the outcome of every transaction.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.clients.iter().all(Client::is_done)
    }

    /// Describes what is still open.
    #[must_use]
    pub fn open(&self) -> String {
        let open = |client: &Client| {
            format!("{:?}: {} to send, holes {:?}, waits for {:?}", client.address, client.quota, client.holes, client.pending.values())
        };
        self.clients.iter().filter(|client| !client.is_done()).map(open).collect::<Vec<_>>().join("; ")
    }

    /// Time until a client's next turn.
    pub(crate) fn pause(&mut self) -> Micros {
        Micros(self.random.between(1_000, self.pause_max.0))
    }

    /// A client's turn at a time of the chain. `live` are the validators that can be reached; `signed_in` is the epoch of each machine's
    /// durable safety record, by number, in a network whose committee changes.
    pub(crate) fn turn(
        &mut self,
        index: usize,
        (now, unix): (Micros, UnixMillis),
        live: &[ValidatorId],
        (setting, signed_in): (&Setting, &[Epoch]),
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        // The liar is quiet once all others have got what they wanted.
        if self.clients.get(index).is_some_and(|client| client.lies) && self.is_done() {
            return actions;
        }
        self.sign_more(index, unix, (setting, signed_in), &mut actions);
        let patience = if self.governor.is_some() { PATIENCE_OF_OPERATORS } else { PATIENCE };
        let Some(client) = self.clients.get_mut(index) else { return actions };
        for (id, pending) in &mut client.pending {
            if let Some((at, node, ticket)) = pending.sent {
                if now.since(at) < patience {
                    continue;
                }
                if self.random.chance(500) {
                    actions.push(Action::Forget { node, ticket });
                }
            }
            let Some(node) = self.random.pick(live).copied() else { continue };
            let ticket = Ticket(self.ticket_next);
            self.ticket_next = self.ticket_next.saturating_add(1);
            self.tickets.insert(ticket, (index, *id));
            let wait = if self.random.chance(800) {
                Wait::Committed
            } else if self.random.chance(500) {
                Wait::Accepted
            } else {
                Wait::None
            };
            pending.sent = Some((now, node, ticket));
            actions.push(Action::Submit { node, ticket, transaction: pending.transaction.clone(), wait });
        }
        actions
    }

    fn sign_more(&mut self, index: usize, unix: UnixMillis, (setting, signed_in): (&Setting, &[Epoch]), actions: &mut Vec<Action>) {
        let addresses = self.addresses();
        let Some(client) = self.clients.get_mut(index) else { return };
        let random = &mut self.random;
        loop {
            // A hole is filled even if the window is full: pending transactions may wait for it.
            let is_full = client.pending.len() >= client.window;
            // What changes the committee comes on top of quota and window.
            let may_govern = client.holes.is_empty() && client.pending.len() < client.window.saturating_add(GOVERNING_WINDOW);
            let governor = self.governor.as_mut().filter(|_| may_govern && (!self.is_calm || client.lies));
            let permits = random.pick(&client.guests).filter(|_| may_govern).copied();
            let permit = permits
                .filter(|_| random.chance(LYING_PERMILLE))
                .map(|account| ChainOperation::Permit { account, change: permission(random) });
            let operation = permit.or_else(|| {
                governor.and_then(|governor| {
                    let by = (client.address, Sequence(client.next));
                    match client.lies {
                        true if governor.lies_for(&client.address) && random.chance(LYING_PERMILLE) => Some(governor.lie(setting, random)),
                        false if random.chance(GOVERNING_PERMILLE) => governor.operation(setting, by, signed_in, random),
                        true | false => None,
                    }
                })
            });
            if let Some(operation) = operation {
                let sequence = Sequence(client.next);
                client.next = client.next.saturating_add(1);
                let expires_at = UnixMillis(unix.0.saturating_add(VALIDITY_MS));
                let transaction = Transaction::sign_chain(self.genesis_hash, &client.key, sequence, expires_at, &operation);
                actions.push(Action::Signed(transaction.clone()));
                client.pending.insert(transaction.id(), Pending { transaction, sent: None });
                continue;
            }
            let (sequence, refill) = match client.holes.pop_first() {
                Some(hole) => (hole, true),
                None if client.quota > 0 && !is_full => {
                    client.quota = client.quota.saturating_sub(1);
                    let sequence = client.next;
                    client.next = client.next.saturating_add(1);
                    (sequence, false)
                }
                None => return,
            };
            let twins = if client.double_spends && !refill && random.chance(300) { 2 } else { 1 };
            for _ in 0..twins {
                // A transaction that fills a hole must not make another one.
                let subject = &self.subject.0;
                let poison = subject.poison().filter(|_| self.poisons && !refill && random.chance(POISON_PERMILLE));
                let is_poison = poison.is_some();
                let payload = match poison {
                    Some(poison) => poison,
                    None if refill => subject.filler(random, &addresses),
                    None => subject.payload(random, &addresses),
                };
                let is_short = is_poison || !refill && random.chance(100);
                let validity = if is_short { random.between(50, 1_500) } else { VALIDITY_MS };
                let expires_at = UnixMillis(unix.0.saturating_add(validity));
                let sequence = Sequence(sequence);
                let transaction = Transaction::sign(self.genesis_hash, &client.key, sequence, expires_at, payload);
                if is_poison {
                    self.poison.insert(transaction.id());
                }
                actions.push(Action::Signed(transaction.clone()));
                client.pending.insert(transaction.id(), Pending { transaction, sent: None });
            }
        }
    }

    /// Whether the application panics on this transaction.
    #[must_use]
    pub fn is_poison(&self, id: &TxId) -> bool {
        self.poison.contains(id)
    }

    /// The transaction of a ticket.
    pub(crate) fn transaction_of(&self, ticket: Ticket) -> Option<TxId> {
        self.tickets.get(&ticket).map(|(_, id)| *id)
    }

    /// Tells a client the answer to a submission.
    pub(crate) fn on_answer(&mut self, ticket: Ticket, answer: &Answer) {
        let Some((index, id)) = self.tickets.get(&ticket).copied() else { return };
        let Some(client) = self.clients.get_mut(index) else { return };
        match answer {
            // The client asks again later.
            Answer::Accepted => {}
            Answer::Committed { .. } => {
                client.pending.remove(&id);
            }
            Answer::Rejected { code, .. } => match &**code {
                // Another transaction has used the sequence number.
                "sequence-too-old" | "sequence-used" => {
                    client.pending.remove(&id);
                }
                // The sequence number needs another transaction.
                code if matches!(code, "expired" | "not-permitted" | "account-frozen")
                    || self.subject.0.is_final(code)
                    || GOVERNING_FINAL.contains(&code) =>
                {
                    if let Some(pending) = client.pending.remove(&id) {
                        let sequence = pending.transaction.content().sequence;
                        let same = |other: &Pending| other.transaction.content().sequence == sequence;
                        if !client.pending.values().any(same) {
                            client.holes.insert(sequence.0);
                        }
                    }
                }
                // The client retries later.
                _ => {}
            },
        }
    }
}

/// Draws a change of a guest's permission.
fn permission(random: &mut Random) -> PermissionChange {
    match random.below(10) {
        0..=3 => PermissionChange::Grant(Role::Send),
        4..=5 => PermissionChange::Revoke(Role::Send),
        6 => PermissionChange::Freeze,
        7..=8 => PermissionChange::Unfreeze,
        _ => PermissionChange::LimitTransactions(u16::try_from(random.below(3)).unwrap_or_default()),
    }
}

/// Draws the seed of a key.
pub fn seed(random: &mut Random) -> [u8; 32] {
    let mut seed = [0; 32];
    for chunk in seed.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes());
    }
    seed
}
