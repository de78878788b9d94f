//! Checks that an application's execution is a function (EXEC-1): the same transactions on the same state have the same results, to the byte,
//! when executed again, concurrently in other threads with other memory in use, later, and in another process.
//!
//! A hash map iterates in another order in each instance, a clock shows another time at each reading, an address differs in each process. If
//! any of these reaches an answer or the state, it shows here. The report names the first transaction and the first key that differ.

use std::{
    collections::BTreeMap,
    fmt,
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use quorate_app::{App, BlockContext, Machine, StateRead, Unexecuted, Words, execute_block};
use quorate_harness::{random::Random, subject::Shared};
use quorate_types::{
    codec,
    crypto::{Hash, SigningKey},
    genesis::{Genesis, Parameters},
    ids::{Address, BlockId, ChainId, GenesisHash, ValidatorId},
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
};

/// Set in a child process, which then prints its results and exits.
const CHILD: &str = "QUORATE_SIM_DETERMINISM";
/// Prefix of the line in which a child prints its results.
const LINE: &str = "quorate-determinism ";
const ACCOUNTS: u8 = 3;
const THREADS: usize = 4;

/// Two executions of a transaction with different results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Different {
    /// Position of the transaction in the sequence.
    pub number: usize,
    /// The operation in the application's JSON.
    pub operation: String,
    /// The difference: a key of the state, or the answer.
    pub what: String,
    /// Where the second execution took place.
    pub place: &'static str,
}

impl fmt::Display for Different {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EXEC-1 is broken: transaction {} ({}) has another result when it is executed {}: {}. An application must not depend on a clock, randomness, \
             addresses, or the order of a hash map",
            self.number, self.operation, self.place, self.what
        )
    }
}

type Entries = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

/// A transaction's outcome, and the new value of each key it writes.
type Step = (Outcome, BTreeMap<Vec<u8>, Option<Vec<u8>>>);

/// The transactions, and the results of their first execution.
pub(crate) struct Check {
    app: App,
    machine: Machine,
    transactions: Vec<Transaction>,
    first: Vec<Step>,
}

impl Check {
    pub(crate) fn new(subject: &Shared, count: u64) -> Result<Self, String> {
        let app = subject.0.app();
        let keys: Vec<SigningKey> = (1..=ACCOUNTS).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        let accounts: Vec<Address> = keys.iter().map(|key| Address::of(&key.public())).collect();
        let mut random = Random::new(1).fork("determinism");
        let genesis = Genesis::draft(
            ChainId(1),
            "determinism",
            UnixMillis(0),
            Parameters::default(),
            app.in_genesis(subject.0.settings(&mut random, &accounts)),
        );
        let machine = app.open(&genesis).map_err(|error| error.to_string())?;
        let mut next: BTreeMap<usize, u64> = BTreeMap::new();
        let transactions = (0..count).filter_map(|_| {
            let index = random.index(keys.len());
            let sequence = next.entry(index).or_default();
            let payload = subject.0.payload(&mut random, &accounts);
            let tx = Transaction::sign(GenesisHash::default(), keys.get(index)?, Sequence(*sequence), UnixMillis(u64::MAX), payload);
            *sequence = sequence.saturating_add(1);
            Some(tx)
        });
        let transactions = transactions.collect();
        let mut check = Self { app, machine, transactions, first: Vec::new() };
        check.first = check.execute()?;
        if std::env::var_os(CHILD).is_some() {
            // The child process exists only to print its results.
            println!("{LINE}{}", hex::encode(codec::encode(&check.first)));
            std::process::exit(0);
        }
        Ok(check)
    }

    /// Executes each transaction in a block of its own, so that a difference has one cause.
    fn execute(&self) -> Result<Vec<Step>, String> {
        let mut state: Entries = self
            .machine
            .genesis_state()
            .map_err(|error| error.to_string())?
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        let mut steps = Vec::with_capacity(self.transactions.len());
        for (height, tx) in (1u64..).zip(&self.transactions) {
            let block = BlockContext {
                genesis_hash: GenesisHash::default(),
                epoch: Epoch(0),
                height: Height(height),
                round: Round(height),
                id: BlockId(Hash([height.to_le_bytes()[0]; 32])),
                timestamp: UnixMillis(height.saturating_mul(1_000)),
                author: ValidatorId(0),
                limits: self.machine.first_epoch().parameters.state,
            };
            let base: &dyn StateRead = &state;
            let executed = match execute_block(&self.machine, base, &block, self.machine.first_epoch(), std::slice::from_ref(tx)) {
                Ok(executed) => executed,
                // No valid block contains it: its sender may not open an account.
                Err(Unexecuted::Invalid(_)) => continue,
                Err(Unexecuted::Panicked(panicked)) => return Err(panicked.to_string()),
            };
            let writes: BTreeMap<_, _> =
                executed.writes.iter().map(|(key, value)| (key.to_vec(), value.as_ref().map(|value| value.to_vec()))).collect();
            for (key, value) in executed.writes {
                match value {
                    Some(value) => state.insert(key, value),
                    None => state.remove(&key),
                };
            }
            let outcome = executed.receipts.into_iter().next().map(|receipt| receipt.outcome).ok_or("the block has no receipt")?;
            steps.push((outcome, writes));
        }
        Ok(steps)
    }

    /// Executes again, here and in other threads at the same time, each with other memory in use.
    pub(crate) fn in_threads(&self) -> Result<(), Different> {
        self.compare(&self.execute(), "again")?;
        thread::scope(|scope| {
            let others: Vec<_> = (0..THREADS)
                .map(|number| {
                    scope.spawn(move || {
                        let memory: Vec<Vec<u8>> = (0..number.saturating_mul(100)).map(|size| vec![0; size]).collect();
                        let steps = self.execute();
                        drop(memory);
                        steps
                    })
                })
                .collect();
            others.into_iter().try_for_each(|other| {
                self.compare(&other.join().unwrap_or_else(|_| Err("the thread panicked".into())), "in another thread")
            })
        })
    }

    /// Executes again in another process: this program, told to run the current test.
    pub(crate) fn in_another_process(&self) -> Result<(), Different> {
        const PLACE: &str = "in another process";
        let failed = |what: String| self.different(0, what, PLACE);
        let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(program);
        // A test's thread has the test's name. A program's main thread is called "main"; the child then gets this process's own arguments.
        match thread::current().name() {
            Some(name) if name != "main" => command.args([name, "--exact", "--nocapture", "--test-threads=1"]),
            _ => command.args(std::env::args_os().skip(1)),
        };
        let output = command.env(CHILD, "1").stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find_map(|line| line.split_once(LINE).map(|(_, line)| line.trim().to_owned()));
        let steps = line.and_then(|line| hex::decode(&line).ok()).and_then(|bytes| codec::decode::<Vec<Step>>(&bytes, usize::MAX).ok());
        let Some(steps) = steps else {
            // Not a difference: a caller that is not a test cannot be run again this way, and skips this check.
            return Ok(());
        };
        self.compare(&Ok(steps), PLACE)
    }

    fn compare(&self, other: &Result<Vec<Step>, String>, place: &'static str) -> Result<(), Different> {
        let other = other.as_ref().map_err(|what| self.different(0, what.clone(), place))?;
        for (number, (first, second)) in self.first.iter().zip(other).enumerate() {
            if first == second {
                continue;
            }
            let ((one, wrote), (two, written)) = (first, second);
            let keys: std::collections::BTreeSet<&Vec<u8>> = wrote.keys().chain(written.keys()).collect();
            let key = keys.into_iter().find(|key| wrote.get(*key) != written.get(*key));
            let what = match key {
                Some(key) => {
                    let value = |of: &BTreeMap<Vec<u8>, Option<Vec<u8>>>| match of.get(key) {
                        Some(Some(value)) => format!("0x{}", hex::encode(value)),
                        Some(None) => "deleted".into(),
                        None => "not written".into(),
                    };
                    format!("key 0x{} ({}) is first {}, then {}", hex::encode(key), printable(key), value(wrote), value(written))
                }
                None => format!("the answer is first {}, then {}", self.answer(one), self.answer(two)),
            };
            return Err(self.different(number, what, place));
        }
        if self.first.len() == other.len() {
            Ok(())
        } else {
            Err(self.different(self.first.len().min(other.len()), "the number of valid transactions differs".into(), place))
        }
    }

    fn answer(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Applied(answer) => self.app.show(Words::Answer, answer).map_or_else(|| hex::encode(answer), |json| json.to_string()),
            Outcome::Failed(failure) => self.app.explain(failure),
        }
    }

    fn different(&self, number: usize, what: String, place: &'static str) -> Different {
        let payload = self.transactions.get(number).map(|tx| tx.content().payload.as_slice()).unwrap_or_default();
        let operation = self.app.show(Words::Operation, payload).map_or_else(|| hex::encode(payload), |json| json.to_string());
        Different { number, operation, what, place }
    }
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
