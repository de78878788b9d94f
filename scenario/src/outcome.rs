//! The result of a run: ledgers, logs, and the course's checks on them.

use std::collections::BTreeMap;

use quorate_builtin::{KvSpace, keys::kv_key};
use quorate_harness::invariants::Violation;
use quorate_ledger::LedgerReader;
use quorate_types::{
    ids::TxId,
    receipt::{Outcome, Receipt},
    round::Height,
};
use serde::Serialize;

use super::{
    client::Client,
    dictionary::{Dictionary, answered, text},
    executor::{Cause, Executor},
    model::Expect,
    seat::{Log, Seat},
};

/// A check on a finished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the check.
    pub name: &'static str,
    /// Whether it passed.
    pub good: bool,
    /// What the check found.
    pub detail: String,
}

/// A validator's state at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValidatorEnd {
    /// Its number.
    pub id: u16,
    /// `honest`, `faulty` or `crashed` (for good).
    pub role: &'static str,
    /// The height of its ledger.
    pub height: u64,
    /// The highest round it entered.
    pub round: u64,
    /// Number of client requests in its ledger.
    pub requests: u64,
}

/// The report on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScenarioReport {
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's description.
    pub description: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// Whether every check passed.
    pub passed: bool,
    /// The result in one line.
    pub verdict: String,
    /// What the scenario expects: `committed` or `stalled`.
    pub expect: &'static str,
    /// Number of client requests.
    pub requests: u64,
    /// Requests whose results the clients accepted.
    pub accepted: u64,
    /// How often a request was resent.
    pub retransmissions: u64,
    /// Highest round that an honest validator entered.
    pub rounds: u64,
    /// Rounds that ended with a timeout certificate.
    pub rounds_given_up: u64,
    /// Blocks that every honest validator has; crashed ones are not counted.
    pub blocks: u64,
    /// Longest wait of a client for a result, in virtual milliseconds.
    pub wait_ms_max: u64,
    /// Duration of the run, in virtual milliseconds.
    pub virtual_ms: u64,
    /// Messages sent, counted once for each receiver; includes those from and to clients.
    pub messages: u64,
    /// Messages from faulty validators and requests from faulty clients that did not verify.
    pub refused: u64,
    /// Injected failures, by kind.
    pub injected: BTreeMap<String, u64>,
    /// Failures and triggers that never took effect, by number, line and content.
    pub never_struck: Vec<String>,
    /// Power losses of validators.
    pub crashes: u64,
    /// Unsynced writes lost with them.
    pub lost_writes: u64,
    /// Validators against which others hold evidence.
    pub accused: Vec<u16>,
    /// The validators.
    pub validators: Vec<ValidatorEnd>,
    /// The checks.
    pub checks: Vec<Check>,
    /// The violated invariant, if any.
    pub violation: Option<Violation>,
}

/// A finished run: its report, and its files as lines.
#[derive(Clone, Debug)]
pub struct Run {
    /// The report.
    pub report: ScenarioReport,
    /// Each validator's ledger, one line a block.
    pub ledgers: Vec<Vec<String>>,
    /// Each process's log, by the process's name.
    pub logs: BTreeMap<String, Vec<String>>,
    /// Every injected failure with its cause.
    pub failures: Vec<String>,
}

/// A transaction in a ledger.
struct Entry {
    id: TxId,
    receipt: Option<Outcome>,
}

/// A ledger as read from disk.
struct Ledger {
    lines: Vec<String>,
    /// The transactions of each block.
    entries: Vec<Vec<Entry>>,
}

/// Judges a finished run.
pub(crate) fn judge(mut executor: Executor<'_>, seed: u64, violation: Option<Violation>) -> Run {
    let ledgers: Vec<Result<Ledger, String>> = executor.seats.iter().map(|seat| read_ledger(&executor, seat)).collect();
    let unreadable: Vec<String> = ledgers.iter().filter_map(|ledger| ledger.as_ref().err().cloned()).collect();
    let ledgers: Vec<Ledger> =
        ledgers.into_iter().map(|ledger| ledger.unwrap_or(Ledger { lines: Vec::new(), entries: Vec::new() })).collect();
    let judged: Vec<(&Seat, &Ledger)> = executor.seats.iter().zip(&ledgers).filter(|(seat, _)| seat.is_judged()).collect();
    let honest: Vec<(&Seat, &Ledger)> = executor.seats.iter().zip(&ledgers).filter(|(seat, _)| !seat.faulty).collect();
    let common = judged.iter().map(|(_, ledger)| ledger.lines.len()).min().unwrap_or_default();

    let requests: usize = executor.clients.iter().map(|client| client.operations.len()).sum();
    let accepted: usize = executor.clients.iter().map(|client| client.accepted.len()).sum();
    let rounds = executor.seats.iter().filter(|seat| !seat.faulty).map(|seat| seat.round.0).max().unwrap_or_default();
    let committed = executor.scenario.expect == Expect::Committed;

    let mut checks = vec![invariants(violation.as_ref(), &unreadable), equal(&honest)];
    if committed {
        checks.push(complete(&executor, &judged));
    } else {
        checks.push(stalled(&executor, accepted, requests));
    }
    checks.push(dictionary(&executor, &judged));
    if let Some(max) = executor.scenario.rounds_max {
        checks.push(Check { name: "rounds", good: rounds <= max, detail: format!("{rounds} rounds, expected at most {max}") });
    }

    let injected: u64 = executor.counted.injected.values().fold(0, |sum, count| sum.saturating_add(*count));
    let passed = checks.iter().all(|check| check.good);
    let first_bad = checks.iter().find(|check| !check.good);
    let verdict = match first_bad {
        Some(check) => format!("FAILED ({}): {}", check.name, check.detail),
        None if committed => format!(
            "passed: {accepted} of {requests} requests committed in {rounds} rounds, equal on {} honest validators, {injected} failures injected",
            judged.len()
        ),
        None => format!("passed: stalled as expected with {accepted} of {requests} requests committed, {injected} failures injected"),
    };
    let validators = executor.seats.iter().zip(&ledgers).map(|(seat, ledger)| end_of(&executor, seat, ledger)).collect();
    let report = ScenarioReport {
        scenario: executor.scenario.name.clone(),
        description: executor.scenario.description.clone(),
        seed,
        passed,
        verdict,
        expect: executor.scenario.expect.name(),
        requests: requests as u64,
        accepted: accepted as u64,
        retransmissions: executor.clients.iter().fold(0, |sum, client| sum.saturating_add(client.retransmissions)),
        rounds,
        rounds_given_up: executor.given_up.len() as u64,
        blocks: common as u64,
        wait_ms_max: executor.clients.iter().flat_map(|client| client.accepted.iter().map(|one| one.took.ms())).max().unwrap_or_default(),
        virtual_ms: executor.now.ms(),
        messages: executor.counted.messages,
        refused: executor.counted.refused,
        never_struck: never_struck(&executor),
        injected: std::mem::take(&mut executor.counted.injected),
        crashes: executor.counted.crashes,
        lost_writes: executor.counted.lost_writes,
        accused: executor.counted.accusations.iter().map(|id| id.0).collect(),
        validators,
        checks,
        violation,
    };
    // Some validators are one or two empty blocks ahead when the run ends, so the files are cut at the lowest common height.
    let lines = executor.seats.iter().zip(ledgers).map(|(seat, ledger)| {
        let kept = if seat.is_judged() { common } else { ledger.lines.len() };
        ledger.lines.into_iter().take(kept).collect()
    });
    let ledgers = lines.collect();
    let clients = std::mem::take(&mut executor.client_logs).into_iter().enumerate();
    let mut logs: BTreeMap<String, Vec<String>> = clients.map(|(number, log)| (format!("client_{number}"), log.into_lines())).collect();
    logs.extend(executor.seats.iter_mut().map(|seat| (format!("validator_{}", seat.id), std::mem::take(&mut seat.log).into_lines())));
    let failures = std::mem::take::<Log>(&mut executor.failures).into_lines();
    Run { report, ledgers, logs, failures }
}

/// Failures and triggers that never took effect: a passing run then shows less than its file promises.
fn never_struck(executor: &Executor<'_>) -> Vec<String> {
    let has_not = |cause: Cause, number: &usize| !executor.counted.struck.contains(&(cause, *number));
    let failures = executor.scenario.failures.iter().enumerate().filter(|(number, _)| has_not(Cause::Failure, number));
    let triggers = executor.scenario.triggers.iter().enumerate().filter(|(number, _)| has_not(Cause::Trigger, number));
    failures
        .map(|(number, rule)| format!("failure {} (line {}): {rule}", number.saturating_add(1), rule.line))
        .chain(triggers.map(|(number, trigger)| format!("trigger {} (line {}): {trigger}", number.saturating_add(1), trigger.line)))
        .collect()
}

fn end_of(executor: &Executor<'_>, seat: &Seat, ledger: &Ledger) -> ValidatorEnd {
    let held = ledger.entries.iter().flatten().filter(|entry| executor.requests.contains_key(&entry.id)).count();
    let role = match (seat.faulty, seat.gone) {
        (true, _) => "faulty",
        (false, true) => "crashed",
        (false, false) => "honest",
    };
    ValidatorEnd { id: seat.id.0, role, height: ledger.lines.len() as u64, round: seat.round.0, requests: held as u64 }
}

/// The committed chain on a validator's disk.
fn read_ledger(executor: &Executor<'_>, seat: &Seat) -> Result<Ledger, String> {
    let reader = LedgerReader::new(seat.machine.home.disk.clone());
    let failed = |error: &dyn std::fmt::Display| format!("cannot read the ledger of validator {}: {error}", seat.id);
    let height = reader.height().map_err(|error| failed(&error))?;
    let mut ledger = Ledger { lines: Vec::new(), entries: Vec::new() };
    for number in 1..=height.0 {
        let number = Height(number);
        let stored = reader.block_at(number).map_err(|error| failed(&error))?;
        let Some(block) = stored.and_then(|stored| stored.block) else { return Err(failed(&format!("height {number} is missing"))) };
        let receipts = reader.receipts_at(number).map_err(|error| failed(&error))?.unwrap_or_default();
        let of: BTreeMap<TxId, &Receipt> = receipts.iter().map(|receipt| (receipt.tx_id, receipt)).collect();
        let mut texts = Vec::new();
        let mut entries = Vec::new();
        for transaction in block.payload() {
            let receipt = of.get(&transaction.id()).map(|receipt| receipt.outcome.clone());
            texts.push(describe(executor, transaction.id(), receipt.as_ref()));
            entries.push(Entry { id: transaction.id(), receipt });
        }
        ledger.lines.push(format!("height={number} author={} round={} payload=[{}]", block.author(), block.round(), texts.join("; ")));
        ledger.entries.push(entries);
    }
    Ok(ledger)
}

fn describe(executor: &Executor<'_>, id: TxId, receipt: Option<&Outcome>) -> String {
    let answer = receipt.map_or_else(|| "no receipt".into(), |outcome| text(&answered(outcome)));
    match executor.requests.get(&id) {
        Some((client, request)) => {
            let operation = executor.clients.get(usize::from(*client)).and_then(|client| client.operations.get(*request));
            let operation = operation.map(ToString::to_string).unwrap_or_default();
            format!("client {client} request {request}: {operation} -> {answer}")
        }
        None => format!("{id} -> {answer}"),
    }
}

fn invariants(violation: Option<&Violation>, unreadable: &[String]) -> Check {
    let detail = match (violation, unreadable.first()) {
        (Some(violation), _) => format!("{} is violated after {} us: {}", violation.invariant, violation.at_us, violation.what),
        (None, Some(error)) => error.clone(),
        (None, None) => "every registered invariant holds".into(),
    };
    Check { name: "invariants", good: violation.is_none() && unreadable.is_empty(), detail }
}

/// Honest ledgers agree on every height they share.
fn equal(honest: &[(&Seat, &Ledger)]) -> Check {
    let longest = honest.iter().max_by_key(|(_, ledger)| ledger.lines.len());
    let other = longest.and_then(|(first, longest)| {
        honest.iter().find_map(|(seat, ledger)| {
            let differs = ledger.lines.iter().zip(&longest.lines).position(|(one, other)| one != other)?;
            Some(format!("validators {} and {} differ at height {}", first.id, seat.id, differs.saturating_add(1)))
        })
    });
    let heights: Vec<String> = honest.iter().map(|(_, ledger)| ledger.lines.len().to_string()).collect();
    let detail = other.clone().unwrap_or_else(|| format!("the honest ledgers are equal; heights {}", heights.join(", ")));
    Check { name: "equal ledgers", good: other.is_none(), detail }
}

/// Every request is accepted by its client, and in every honest ledger exactly once.
fn complete(executor: &Executor<'_>, judged: &[(&Seat, &Ledger)]) -> Check {
    let name = "complete ledgers";
    let bad = |detail: String| Check { name, good: false, detail };
    let wanted: usize = executor.clients.iter().map(|client| client.operations.len()).sum();
    if let Some(client) = executor.clients.iter().find(|client| !client.is_done()) {
        let (done, all) = (client.accepted.len(), client.operations.len());
        return bad(format!("client {} has {done} of {all} requests accepted after {} ms", client.number, executor.now.ms()));
    }
    if judged.is_empty() {
        return bad("no honest validator is left".into());
    }
    for (seat, ledger) in judged {
        let mut times: BTreeMap<TxId, usize> = BTreeMap::new();
        for entry in ledger.entries.iter().flatten() {
            let count = times.entry(entry.id).or_default();
            *count = count.saturating_add(1);
        }
        let held = executor.requests.keys().filter(|id| times.get(*id) == Some(&1)).count();
        if let Some((id, count)) = times.iter().find(|(_, count)| **count > 1) {
            return bad(format!("validator {} has {} {count} times", seat.id, describe(executor, *id, None)));
        }
        if held != wanted {
            return bad(format!("validator {} has {held} of {wanted} requests", seat.id));
        }
    }
    Check { name, good: true, detail: format!("each of {wanted} requests is in each of {} honest ledgers exactly once", judged.len()) }
}

/// Requests are left, and nothing was committed in the second half of the time.
fn stalled(executor: &Executor<'_>, accepted: usize, requests: usize) -> Check {
    let last = executor.counted.last_commit;
    let quiet = last.is_none_or(|at| at.0 <= executor.now.0 / 2);
    let good = executor.out_of_time && quiet && accepted < requests;
    let when = last.map_or_else(|| "nothing was ever committed".into(), |at| format!("the last commit came after {} ms", at.ms()));
    let retransmissions: u64 = executor.clients.iter().fold(0, |sum, client| sum.saturating_add(client.retransmissions));
    Check {
        name: "stalled",
        good,
        detail: format!(
            "{accepted} of {requests} requests accepted within {} ms, {when}, clients resent {retransmissions} times",
            executor.now.ms()
        ),
    }
}

/// The chain's answers, the clients' accepted results and the final values match a dictionary that executes the chain's operations in order.
fn dictionary(executor: &Executor<'_>, judged: &[(&Seat, &Ledger)]) -> Check {
    let name = "client dictionary";
    let bad = |detail: String| Check { name, good: false, detail };
    let Some((_, ledger)) = judged.iter().max_by_key(|(_, ledger)| ledger.lines.len()) else { return bad("no honest ledger".into()) };
    let mut model = Dictionary::default();
    let mut compared = 0usize;
    for entry in ledger.entries.iter().flatten() {
        let Some((number, request)) = executor.requests.get(&entry.id) else { continue };
        let Some(client) = executor.clients.get(usize::from(*number)) else { continue };
        let Some(operation) = client.operations.get(*request) else { continue };
        let expected = model.apply(*number, executor.scenario.space, operation);
        let chain = entry.receipt.as_ref().map(answered);
        if chain.as_ref() != Some(&expected) {
            let chain = chain.as_ref().map_or_else(|| "nothing".into(), text);
            return bad(format!(
                "client {number} request {request}: {operation} should answer {}, but the chain says {chain}",
                text(&expected)
            ));
        }
        if let Some(accepted) = client.accepted.get(*request) {
            compared = compared.saturating_add(1);
            let heard = answered(&accepted.outcome);
            if heard != expected || accepted.id != entry.id {
                return bad(format!(
                    "client {number} accepted {} for request {request}, but {operation} should answer {}",
                    text(&heard),
                    text(&expected)
                ));
            }
        }
    }
    let accepted: usize = executor.clients.iter().map(|client| client.accepted.len()).sum();
    if compared != accepted {
        return bad(format!("clients accepted {accepted} results, but only {compared} of their requests are in the ledger"));
    }
    for (seat, other) in judged.iter().filter(|(_, other)| other.lines.len() == ledger.lines.len()) {
        let Some(replica) = seat.machine.replica() else { continue };
        let view = replica.view();
        for (owner, key, value) in model.entries() {
            let address = owner.and_then(|owner| executor.clients.get(usize::from(owner))).map(|client: &Client| client.address);
            let space = if owner.is_some() { KvSpace::Own } else { KvSpace::Shared };
            let (found, _) = view.prove(&kv_key(space, &address.unwrap_or_default(), key.as_bytes()));
            if found.as_deref() != Some(value) {
                return bad(format!(
                    "validator {} has another value of {key:?} than the clients' dictionary at height {}",
                    seat.id,
                    other.lines.len()
                ));
            }
        }
    }
    Check {
        name,
        good: true,
        detail: format!("{compared} answers and {} final values match the clients' dictionary", model.entries().count()),
    }
}
