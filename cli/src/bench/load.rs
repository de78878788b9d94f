//! `quorate bench load`: signed transfers from many accounts to all validators, at a given rate or with a given number under way.
//!
//! With a rate the load is open-loop: what is due is sent, whatever became of what was sent before, as many independent clients would.
//!
//! ```text
//!   sign all          warm up         measured                                  drain
//! |------------------|-------------|---------------------------------------|----------|
//!                    send -------------------------------------------------|
//!                                  heights, CPU, memory   ...   the same again, then the blocks in between are read and counted
//! ```
//! Each account belongs to one validator and has one transfer at a time on its way there, so that its transfers arrive in the order of their
//! sequence numbers. A transfer that a validator refuses because it is full is that account's next one again after a short rest (sooner than
//! `Retry-After` asks for), while other accounts send theirs. What counts is what the blocks hold, not what was sent.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use quorate_app::App;
use quorate_client::{Client, ClientError};
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    ids::Address,
    round::{Height, Sequence},
    rpc::{BatchAnswer, ListedOutcome, NodeStatus},
    transaction::Transaction,
};
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    Where,
    arena::{Arena, batch, statuses},
    latency::own_cpu,
    machine::Machine,
    metrics::{self, Counters},
    report,
    statistics::{Quantiles, microseconds, per_second, ratio},
};
use crate::localnet::session;

/// Most transactions of one request.
const BATCH_MAX: usize = 256;
/// How often a sender looks whether something is due.
const TICK: Duration = Duration::from_millis(10);
/// Requests to one validator under way at the same time, at most: one that answers none of them is not sent more.
const REQUESTS_MAX: usize = 64;
/// How long an account rests after a refusal because its validator is full; half as long again for some, so that they do not come together.
const REST: Duration = Duration::from_millis(100);
/// How often one transfer is sent by itself to take its latency.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How long a sampled transfer may take.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(500);
/// How often the transactions under way are counted with `--closed`.
const WINDOW_EVERY: Duration = Duration::from_millis(20);
/// Transfers per second that are signed in advance with `--closed`, where the rate is not known.
const CLOSED_RATE: u64 = 12_000;

/// So many seconds' transfers more than are due are signed: a sender at its end would look like a validator that is slow.
const SPARE_SECONDS: u64 = 4;

/// `quorate bench load`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Transfers to send per second, over all validators.
    #[arg(long, default_value_t = 6_000, value_name = "N", conflicts_with = "closed", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// Keep so many transfers under way instead of sending at a rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    closed: Option<u64>,
    /// How long to measure, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    duration: u64,
    /// How long to send before that, in seconds.
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    warm_up: u64,
    /// Accounts that send, each one transfer at a time.
    #[arg(long, default_value_t = 4_000, value_name = "N", value_parser = clap::value_parser!(u32).range(4..=100_000))]
    senders: u32,
}

#[derive(Serialize)]
struct Figures {
    seconds: f64,
    /// Transfers that took effect, in blocks committed meanwhile.
    committed: u64,
    failed: u64,
    committed_per_second: f64,
    offered_per_second: Option<u64>,
    /// What was really sent, refused or not. Less than what was to be offered where all accounts were waiting for answers or resting.
    attempts_per_second: f64,
    under_way: Option<u64>,
    sent: u64,
    /// By the refusal's code; each was sent again later.
    refused: BTreeMap<String, u64>,
    refused_and_sent_again: u64,
    cpu_us_per_transaction_all_validators: f64,
    cpu_us_per_transaction_by_validator: Vec<f64>,
    cpu_us_per_transaction_generator: f64,
    /// Of all cores, by validators and generator together.
    cpu_cores_used: f64,
    signing_us_per_transaction: f64,
    latency_ms: Quantiles,
    resident_bytes_by_validator: Memory,
    blocks: u64,
    blocks_per_second: f64,
    rounds_per_second: f64,
    transactions_per_block: f64,
    transactions_per_block_max: u64,
    pool_transactions_at_end: Vec<u64>,
    state_roots_equal_at: u64,
    seconds_to_drain: f64,
    counters_all_validators: Counters,
}

#[derive(Serialize)]
struct Memory {
    start: Vec<u64>,
    middle: Vec<u64>,
    end: Vec<u64>,
    max: Vec<u64>,
}

/// Measures and prints.
pub(crate) async fn run(arguments: Arguments, app: &App, out: &Output) -> Result<(), CommandError> {
    let machine = Machine::look();
    let arena = Arena::open(&arguments.place, app, out).await?;
    let clients = arena.clients()?;
    let progress = out.progress("giving money to the senders");
    let senders = arena.accounts(arguments.senders as usize).await?;
    let sampler = arena.accounts(1).await?;
    drop(progress);

    let rate = if arguments.closed.is_some() { CLOSED_RATE } else { arguments.rate };
    let count = rate.saturating_mul(arguments.duration.saturating_add(arguments.warm_up).saturating_add(SPARE_SECONDS));
    let progress = out.progress(format!("signing {count} transfers"));
    let start = Instant::now();
    let crowds = sign(&arena, &senders, clients.len(), count);
    let signing_us_per_transaction = ratio(microseconds(start.elapsed()), count);
    drop(progress);

    let _progress = out.progress(format!("sending for {} s", arguments.warm_up.saturating_add(arguments.duration)));
    let shared = Arc::new(Shared::new(&arguments, clients.len() as u64));
    let mut tasks: JoinSet<Result<Done, CommandError>> = JoinSet::new();
    for (client, crowd) in arena.clients()?.into_iter().zip(crowds) {
        tasks.spawn(send(Arc::new(client), crowd, Arc::clone(&shared)));
    }
    if arguments.closed.is_some() {
        tasks.spawn(watch_window(arena.clients()?, Arc::clone(&shared)));
    }
    let (latencies, window) = tokio::join!(sample(&arena, &sampler, &shared), measure(&arena, &clients, &arguments, &shared));
    shared.is_over.store(true, Ordering::Relaxed);
    let window = window?;
    while let Some(task) = tasks.join_next().await {
        let done = task.map_err(|error| CommandError::failure("task", error))??;
        if done.ran_out {
            out.note("a sender ran out of signed transfers: the figures are of less load than was asked for");
        }
    }
    let start = Instant::now();
    let at_end = arena.drain().await?;
    let seconds_to_drain = start.elapsed().as_secs_f64();
    let roots_equal = equal_roots(&clients, &at_end).await?;
    let blocks = count_blocks(&clients, &window).await?;

    let cpu: Vec<Duration> =
        window.usage_after.iter().zip(&window.usage).map(|(after, before)| after.cpu.saturating_sub(before.cpu)).collect();
    let (all, generator): (Duration, _) = (cpu.iter().sum(), window.own_after.saturating_sub(window.own));
    let figures = Figures {
        seconds: window.elapsed.as_secs_f64(),
        committed: blocks.applied,
        failed: blocks.failed,
        committed_per_second: per_second(blocks.applied, window.elapsed),
        offered_per_second: arguments.closed.is_none().then_some(arguments.rate),
        attempts_per_second: per_second(window.attempts, window.elapsed),
        under_way: arguments.closed,
        sent: shared.sent.load(Ordering::Relaxed),
        refused_and_sent_again: window.refused.values().sum(),
        refused: window.refused,
        cpu_us_per_transaction_all_validators: ratio(microseconds(all), blocks.applied),
        cpu_us_per_transaction_by_validator: cpu.iter().map(|cpu| ratio(microseconds(*cpu), blocks.applied)).collect(),
        cpu_us_per_transaction_generator: ratio(microseconds(generator), blocks.applied),
        cpu_cores_used: ratio(microseconds(all.saturating_add(generator)), microseconds(window.elapsed)),
        signing_us_per_transaction,
        latency_ms: Quantiles::of(latencies?),
        resident_bytes_by_validator: window.memory,
        blocks: blocks.count,
        blocks_per_second: per_second(blocks.count, window.elapsed),
        rounds_per_second: per_second(window.rounds, window.elapsed),
        transactions_per_block: ratio(blocks.applied, blocks.count),
        transactions_per_block_max: blocks.largest,
        pool_transactions_at_end: window.pools,
        state_roots_equal_at: roots_equal.0,
        seconds_to_drain,
        counters_all_validators: window.counters,
    };
    report::print("load", machine, &arena, figures, out)?;
    arena.close(out).await
}

/// Transfers between the accounts, for each validator those of its accounts.
fn sign(arena: &Arena, senders: &[AccountKey], validators: usize, count: u64) -> Vec<Crowd> {
    let addresses: Vec<Address> = senders.iter().map(|key| key.public().address).collect();
    let mut accounts = vec![VecDeque::new(); senders.len()];
    for number in 0..usize::try_from(count).unwrap_or(usize::MAX) {
        let (sequence, index) = (number / senders.len(), number % senders.len());
        // Each time to another account, so that a block touches as many as it can.
        let to = sequence.wrapping_mul(7).wrapping_add(index).wrapping_add(1) % addresses.len();
        if let (Some(key), Some(to), Some(transfers)) = (senders.get(index), addresses.get(to), accounts.get_mut(index)) {
            transfers.push_back(arena.sample(key, Sequence(sequence as u64), *to));
        }
    }
    let mut crowds: Vec<Crowd> = (0..validators).map(|_| Crowd::default()).collect();
    for (index, account) in accounts.into_iter().enumerate() {
        if let Some(crowd) = crowds.get_mut(index % validators) {
            crowd.ready.push_back(account);
        }
    }
    crowds
}

/// An account's transfers, the next one first.
type Account = VecDeque<Transaction>;

/// The accounts of one validator. Those with a transfer on its way are with it.
#[derive(Debug, Default)]
struct Crowd {
    ready: VecDeque<Account>,
    /// Until when accounts rest that were refused, the earliest first as far as that matters.
    resting: VecDeque<(Instant, Account)>,
    under_way: usize,
}

impl Crowd {
    /// The next transfers of at most `count` accounts.
    fn take(&mut self, count: usize) -> Vec<Account> {
        while self.resting.front().is_some_and(|(until, _)| *until <= Instant::now()) {
            self.ready.extend(self.resting.pop_front().map(|(_, account)| account));
        }
        let count = count.min(self.ready.len());
        self.under_way += count;
        self.ready.drain(..count).collect()
    }

    /// Takes accounts back: the transfer of each was taken, or refused.
    fn give_back(&mut self, accounts: Vec<Account>, refused: &BTreeMap<usize, String>) {
        self.under_way -= accounts.len();
        for (index, mut account) in accounts.into_iter().enumerate() {
            if refused.contains_key(&index) {
                let more = REST.mul_f64(f64::from(u32::try_from(index % 16).unwrap_or_default()) / 32.0);
                self.resting.push_back((Instant::now() + REST + more, account));
            } else {
                account.pop_front();
                // An account whose transfers are used up is gone.
                self.ready.extend((!account.is_empty()).then_some(account));
            }
        }
    }

    fn has_run_out(&self) -> bool {
        self.ready.is_empty() && self.resting.is_empty() && self.under_way == 0
    }
}

/// What the tasks have in common.
struct Shared {
    start: Instant,
    /// Of each validator's sender, per second; none with `--closed`.
    rate: Option<u64>,
    window: u64,
    senders: u64,
    /// Transfers that were sent, each time counted.
    attempts: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
    /// Transfers that some validator has taken.
    sent: AtomicU64,
    /// With `--closed`: those of them that are not committed yet, as of the last look.
    under_way: AtomicU64,
    is_over: AtomicBool,
}

/// How a sender ended.
#[derive(Default)]
struct Done {
    ran_out: bool,
}

impl Shared {
    fn new(arguments: &Arguments, senders: u64) -> Self {
        Self {
            start: Instant::now(),
            rate: arguments.closed.is_none().then_some(arguments.rate),
            window: arguments.closed.unwrap_or_default(),
            senders,
            attempts: AtomicU64::new(0),
            refused: Mutex::default(),
            sent: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn refused(&self) -> BTreeMap<String, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts the transfers of a request that has been answered.
    fn count(&self, count: u64, refused: &BTreeMap<usize, String>) {
        let taken = count.saturating_sub(refused.len() as u64);
        self.sent.fetch_add(taken, Ordering::Relaxed);
        self.under_way.fetch_add(taken, Ordering::Relaxed);
        let mut all = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for code in refused.values() {
            *all.entry(code.clone()).or_default() += 1;
        }
    }

    /// How many one sender may send now that has tried `attempts` times.
    fn due(&self, attempts: u64) -> usize {
        let due = match self.rate {
            Some(rate) => (rate.saturating_mul(microseconds(self.start.elapsed())) / 1_000_000 / self.senders).saturating_sub(attempts),
            None => self.window.saturating_sub(self.under_way.load(Ordering::Relaxed)) / self.senders,
        };
        usize::try_from(due).unwrap_or(usize::MAX).min(BATCH_MAX)
    }
}

/// A request that has been answered.
struct Answered {
    accounts: Vec<Account>,
    /// By position.
    refused: BTreeMap<usize, String>,
}

/// Sends one validator's transfers.
async fn send(client: Arc<Client>, mut crowd: Crowd, shared: Arc<Shared>) -> Result<Done, CommandError> {
    let mut requests: JoinSet<Result<Answered, CommandError>> = JoinSet::new();
    let mut attempts = 0u64;
    while !shared.is_over.load(Ordering::Relaxed) {
        if crowd.has_run_out() {
            return Ok(Done { ran_out: true });
        }
        let has_room = requests.len() < REQUESTS_MAX && (shared.rate.is_some() || requests.is_empty());
        let accounts = if has_room { crowd.take(shared.due(attempts)) } else { Vec::new() };
        if !accounts.is_empty() {
            attempts = attempts.saturating_add(accounts.len() as u64);
            shared.attempts.fetch_add(accounts.len() as u64, Ordering::Relaxed);
            requests.spawn(request(Arc::clone(&client), accounts));
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            Some(answered) = requests.join_next() => {
                let Answered { accounts, refused } = answered.map_err(|error| CommandError::failure("task", error))??;
                shared.count(accounts.len() as u64, &refused);
                crowd.give_back(accounts, &refused);
            }
        }
    }
    Ok(Done::default())
}

async fn request(client: Arc<Client>, accounts: Vec<Account>) -> Result<Answered, CommandError> {
    let transactions = accounts.iter().filter_map(VecDeque::front).cloned().collect();
    let refused = match client.submit_batch(&batch(transactions)?).await {
        Ok(answer) => refused(&answer)?,
        // Too full even to look at it: all of it again.
        Err(ClientError::Refused { status: 429 | 503, code, .. }) => (0..accounts.len()).map(|index| (index, code.clone())).collect(),
        Err(error) => return Err(error.into()),
    };
    Ok(Answered { accounts, refused })
}

/// The transactions of a batch, by position, that were refused only because something is full, and by which code.
fn refused(answer: &BatchAnswer) -> Result<BTreeMap<usize, String>, CommandError> {
    // What got no answer in time may have been taken: sent again, it is answered as what it was taken for.
    const FULL: [&str; 7] = ["pool-full", "sender-full", "sequence-too-far", "crowded-out", "busy", "overloaded", "no-answer"];
    let mut refused = BTreeMap::new();
    for rejected in &answer.rejected {
        if !FULL.contains(&rejected.code.as_str()) {
            return Err(CommandError::failure("refused", format!("a transfer is refused: {} ({})", rejected.reason, rejected.code)));
        }
        refused.insert(usize::try_from(rejected.index).unwrap_or(usize::MAX), rejected.code.clone());
    }
    Ok(refused)
}

/// Keeps count of the transfers under way: what was taken, less what is committed.
async fn watch_window(clients: Vec<Client>, shared: Arc<Shared>) -> Result<Done, CommandError> {
    while !shared.is_over.load(Ordering::Relaxed) {
        // The fullest pool knows nearly all that wait, since each transaction is passed on to everybody.
        let waiting = statuses(&clients).await?.iter().map(|status| status.pool_transactions).max().unwrap_or(0);
        shared.under_way.store(waiting, Ordering::Relaxed);
        tokio::time::sleep(WINDOW_EVERY).await;
    }
    Ok(Done::default())
}

/// Sends single transfers in between, to each validator in turn, and takes the time until their proofs are checked.
async fn sample(arena: &Arena, key: &[AccountKey], shared: &Shared) -> Result<Vec<Duration>, CommandError> {
    let sessions = arena.localnet.urls().into_iter().map(|url| session(&arena.localnet, &[url])).collect::<Result<Vec<_>, _>>()?;
    let Some(key) = key.first() else { return Ok(Vec::new()) };
    let mut latencies = Vec::new();
    for (sequence, session) in (0..).zip(sessions.iter().cycle()) {
        if shared.is_over.load(Ordering::Relaxed) {
            break;
        }
        let tx = arena.sample(key, Sequence(sequence), key.public().address);
        let start = Instant::now();
        session.submit_and_verify(&tx, SAMPLE_TIMEOUT).await?;
        latencies.push(start.elapsed());
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
    Ok(latencies)
}

/// What was seen at the beginning and the end of the measured time.
struct Window {
    elapsed: Duration,
    attempts: u64,
    refused: BTreeMap<String, u64>,
    from: Height,
    to: Height,
    rounds: u64,
    pools: Vec<u64>,
    usage: Vec<crate::localnet::process::Usage>,
    usage_after: Vec<crate::localnet::process::Usage>,
    own: Duration,
    own_after: Duration,
    memory: Memory,
    counters: Counters,
}

async fn measure(arena: &Arena, clients: &[Client], arguments: &Arguments, shared: &Shared) -> Result<Window, CommandError> {
    // Whatever happens here, the senders must come to their end.
    let window = measure_window(arena, clients, arguments, shared).await;
    shared.is_over.store(true, Ordering::Relaxed);
    window
}

async fn measure_window(arena: &Arena, clients: &[Client], arguments: &Arguments, shared: &Shared) -> Result<Window, CommandError> {
    tokio::time::sleep(Duration::from_secs(arguments.warm_up)).await;
    let counters = metrics::read(&arena.localnet).await?;
    let first = clients.first().ok_or_else(|| CommandError::failure("validator", "there is no validator"))?;
    let before = first.status().await?;
    let (attempts, refused) = (shared.attempts.load(Ordering::Relaxed), shared.refused());
    let (start, usage, own) = (Instant::now(), arena.usage()?, own_cpu());
    let resident = |usage: &[crate::localnet::process::Usage]| usage.iter().map(|usage| usage.resident_bytes).collect::<Vec<_>>();
    let mut memory = Memory { start: resident(&usage), middle: resident(&usage), end: Vec::new(), max: resident(&usage) };
    let duration = Duration::from_secs(arguments.duration);
    let mut is_first_half = true;
    while start.elapsed() < duration {
        tokio::time::sleep(MEMORY_EVERY.min(duration.saturating_sub(start.elapsed()))).await;
        let now = resident(&arena.usage()?);
        if is_first_half && start.elapsed() >= duration / 2 {
            is_first_half = false;
            memory.middle.clone_from(&now);
        }
        memory.max = memory.max.iter().zip(&now).map(|(max, now)| *max.max(now)).collect();
        memory.end = now;
    }
    let after = first.status().await?;
    let attempts = shared.attempts.load(Ordering::Relaxed).saturating_sub(attempts);
    let mut refused_after = shared.refused();
    refused_after.retain(|code, count| {
        *count = count.saturating_sub(refused.get(code).copied().unwrap_or_default());
        *count > 0
    });
    let (elapsed, usage_after, own_after) = (start.elapsed(), arena.usage()?, own_cpu());
    let counters = metrics::difference(&counters, &metrics::read(&arena.localnet).await?);
    let pools = statuses(clients).await?.iter().map(|status| status.pool_transactions).collect();
    let (from, to, rounds) = (before.height, after.height, after.round.since(before.round));
    let refused = refused_after;
    Ok(Window { elapsed, attempts, refused, from, to, rounds, pools, usage, usage_after, own, own_after, memory, counters })
}

#[derive(Default)]
struct Blocks {
    count: u64,
    applied: u64,
    failed: u64,
    largest: u64,
}

/// Reads the blocks that were committed meanwhile, and counts what they hold.
async fn count_blocks(clients: &[Client], window: &Window) -> Result<Blocks, CommandError> {
    let client = clients.first().ok_or_else(|| CommandError::failure("validator", "there is no validator"))?;
    let mut blocks = Blocks::default();
    for height in window.from.0.saturating_add(1)..=window.to.0 {
        let block = client.block(Some(Height(height))).await?;
        let applied = block.transactions.iter().filter(|tx| matches!(tx.outcome, ListedOutcome::Applied { .. })).count() as u64;
        let all = block.transactions.len() as u64;
        blocks.count = blocks.count.saturating_add(1);
        blocks.applied = blocks.applied.saturating_add(applied);
        blocks.failed = blocks.failed.saturating_add(all.saturating_sub(applied));
        blocks.largest = blocks.largest.max(all);
    }
    Ok(blocks)
}

/// The highest height that all validators have committed, where their states are compared.
async fn equal_roots(clients: &[Client], statuses: &[NodeStatus]) -> Result<Height, CommandError> {
    let height = statuses.iter().map(|status| status.height).min().unwrap_or_default();
    let mut seen = None;
    for (client, status) in clients.iter().zip(statuses) {
        let block = client.block(Some(height)).await?;
        let root = (block.block_id, block.state_root);
        if seen.is_some_and(|seen| seen != root) {
            return Err(CommandError::failure(
                "diverged",
                format!("{} has another block or state at height {height} than the others", status.name),
            ));
        }
        seen = Some(root);
    }
    Ok(height)
}

#[cfg(test)]
mod tests {
    use quorate_types::{crypto::SigningKey, ids::GenesisHash, round::UnixMillis};

    use super::*;

    fn shared(rate: Option<u64>, window: u64) -> Shared {
        Shared {
            start: Instant::now().checked_sub(Duration::from_secs(1)).unwrap(),
            rate,
            window,
            senders: 4,
            attempts: AtomicU64::new(0),
            refused: Mutex::default(),
            sent: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    #[test]
    fn a_sender_keeps_to_its_share_of_the_rate_or_the_window() {
        let open = shared(Some(400), 0);
        assert!((100..BATCH_MAX).contains(&open.due(0)), "a second has passed: a quarter of 400");
        assert_eq!(shared(Some(1_000_000), 0).due(0), BATCH_MAX);
        let closed = shared(None, 100);
        assert_eq!(closed.due(7), 25);
        closed.under_way.store(100, Ordering::Relaxed);
        assert_eq!(closed.due(7), 0);
    }

    fn transfer(account: u8, sequence: u64) -> Transaction {
        let key = SigningKey::from_seed(&[account; 32]);
        Transaction::sign(GenesisHash::default(), &key, Sequence(sequence), UnixMillis(u64::MAX), Vec::new())
    }

    fn next_of(accounts: &[Account]) -> Vec<u64> {
        accounts.iter().map(|account| account.front().unwrap().content().sequence.0).collect()
    }

    #[test]
    fn an_account_has_one_transfer_on_its_way_and_a_refused_one_is_sent_before_its_successors() {
        let account = |number: u8| (0..2).map(|sequence| transfer(number, sequence)).collect::<Account>();
        let mut crowd = Crowd { ready: (1..=3).map(account).collect(), ..Crowd::default() };
        let sent = crowd.take(2);
        assert_eq!(next_of(&sent), [0, 0]);
        let third = crowd.take(10);
        assert_eq!(next_of(&third), [0], "the others are on their way");
        crowd.give_back(sent, &BTreeMap::from([(0, "overloaded".into())]));
        // The first rests, and it does not hold up the second.
        assert_eq!(next_of(&crowd.take(10)), [1]);
        crowd.resting.iter_mut().for_each(|(until, _)| *until = Instant::now());
        let again = crowd.take(10);
        assert_eq!((next_of(&again), again[0].len()), (vec![0], 2));
        assert!(!crowd.has_run_out());
    }

    #[test]
    fn only_what_is_full_is_tried_again() {
        use quorate_types::rpc::BatchRejected;
        let rejected =
            |code: &str| BatchAnswer { accepted: 0, rejected: vec![BatchRejected { index: 3, code: code.into(), reason: String::new() }] };
        for code in ["pool-full", "overloaded"] {
            assert_eq!(refused(&rejected(code)).unwrap(), BTreeMap::from([(3, code.into())]));
        }
        assert!(refused(&rejected("bad-signature")).is_err());
    }
}
