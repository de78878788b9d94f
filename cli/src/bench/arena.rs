//! The network that is measured: one that runs already, or one of its own that is gone afterwards, however the measurement ends.

use std::time::{Duration, Instant};

use quorate_app::App;
use quorate_client::Client;
use quorate_keygen::AccountKey;
use quorate_terminal::{CommandError, Output, program_word, shell_word};
use quorate_types::{
    codec::Bounded,
    ids::Address,
    message::{BATCH_TRANSACTIONS_MAX, TransactionBatch},
    round::{Sequence, UnixMillis},
    rpc::NodeStatus,
    transaction::Transaction,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{Where, statistics::milliseconds};
use crate::localnet::{self, Localnet, process::Usage};

/// How long a new network may take to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the pools may take to be empty.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often the pools are looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long transactions of a measurement are valid.
const VALID_FOR: Duration = Duration::from_secs(3_600);

/// A network to measure.
pub(crate) struct Arena {
    app: App,
    /// With those validators alone that run.
    pub(crate) localnet: Localnet,
    /// The names of the others.
    pub(crate) stopped: Vec<String>,
    temporary: Option<TempDir>,
}

impl Arena {
    /// Finds or makes the network.
    pub(crate) async fn open(place: &Where, app: &App, out: &Output) -> Result<Self, CommandError> {
        if let Some(directory) = &place.dir {
            if let Some(option) = place.shape.given() {
                return Err(CommandError::usage(format!(
                    "{option} is for a new network, and --dir or QUORATE_LOCALNET names one that exists"
                ))
                .with_hint("leave out one of the two"));
            }
            return Self::running(Localnet::load(directory)?, app, out);
        }
        let work_dir = place.work_dir.clone().unwrap_or_else(std::env::temp_dir);
        let temporary = tempfile::Builder::new().prefix("quorate-bench-").tempdir_in(&work_dir);
        let temporary = temporary.map_err(|error| localnet::file_error("make a directory in", &work_dir, &error))?;
        let localnet = localnet::create(app, &temporary.path().join("localnet"), &place.shape)?;
        let mut arena = Self { app: app.clone(), localnet, stopped: Vec::new(), temporary: Some(temporary) };
        localnet::start_all(app, &mut arena.localnet, START_TIMEOUT, out).await?;
        Ok(arena)
    }

    /// Those validators of a network that run, if they are a quorum: a network of which some have failed is measured like any other.
    fn running(mut localnet: Localnet, app: &App, out: &Output) -> Result<Self, CommandError> {
        let count = localnet.validators.len();
        let (running, stopped): (Vec<_>, Vec<_>) = localnet.validators.into_iter().partition(localnet::Member::is_running);
        localnet.validators = running;
        let stopped: Vec<_> = stopped.into_iter().map(|member| member.name).collect();
        // All of a local network have the same power.
        if localnet.validators.len() * 3 <= count * 2 {
            let what = format!(
                "{} of {count} validators run, too few to commit anything; stopped: {}",
                localnet.validators.len(),
                stopped.join(", ")
            );
            let start = format!("{} localnet start --dir {}", program_word(), shell_word(&localnet.directory));
            return Err(CommandError::failure("not-running", what).with_hint(start));
        }
        if !stopped.is_empty() {
            out.note(format_args!(
                "without {}, which does not run: the figures are of the {} others",
                stopped.join(", "),
                localnet.validators.len()
            ));
        }
        Ok(Self { app: app.clone(), localnet, stopped, temporary: None })
    }

    /// Stops a network of its own in an orderly way.
    pub(crate) async fn close(mut self, out: &Output) -> Result<(), CommandError> {
        if self.temporary.is_some() { localnet::stop_all(&mut self.localnet, out).await } else { Ok(()) }
    }

    /// Whether the network was made for this measurement.
    pub(crate) const fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// The name of this program.
    pub(crate) fn program(&self) -> &'static str {
        self.app.name()
    }

    /// A client of each validator.
    pub(crate) fn clients(&self) -> Result<Vec<Client>, CommandError> {
        self.localnet.urls().iter().map(|url| Ok(Client::new(&[url])?)).collect()
    }

    /// What the system says of each validator's process.
    pub(crate) fn usage(&self) -> Result<Vec<Usage>, CommandError> {
        let of = |member: &localnet::Member| {
            member.process.as_ref().and_then(localnet::process::Process::usage).ok_or_else(|| {
                CommandError::failure("validator-ended", format!("{} has ended during the measurement", member.name))
                    .with_hint(format!("its log is {}", self.localnet.log(member).display()))
            })
        };
        self.localnet.validators.iter().map(of).collect()
    }

    /// Bytes of the validators' data directories on disk.
    pub(crate) fn disk_bytes(&self) -> Vec<u64> {
        self.localnet.validators.iter().map(|member| bytes_below(&self.localnet.home(member).join("data"))).collect()
    }

    /// New accounts, which the faucet lets send if they need that.
    pub(crate) async fn accounts(&self, count: usize) -> Result<Vec<AccountKey>, CommandError> {
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice())
                .map_err(|error| CommandError::failure("randomness", format!("the system gives no randomness: {error}")))?;
            keys.push(AccountKey::from_seed(seed));
        }
        let granted = |key: &AccountKey| self.app.grant(&key.public().address);
        if !keys.iter().any(|key| granted(key).is_some()) {
            return Ok(keys);
        }
        let faucet = localnet::faucet(&self.localnet)?;
        let client = Client::new(&self.localnet.urls())?;
        let mut sequence = client.account(faucet.public().address).await?.next_sequence;
        for part in keys.chunks(BATCH_TRANSACTIONS_MAX) {
            let mut grants = Vec::with_capacity(part.len());
            for key in part {
                if let Some(payload) = granted(key) {
                    grants.push(self.sign(&faucet, sequence, payload));
                    sequence = sequence.next();
                }
            }
            let answer = client.submit_batch(&batch(grants)?).await?;
            if let Some(rejected) = answer.rejected.first() {
                return Err(CommandError::failure("faucet", format!("the faucet's grants are refused: {}", rejected.reason)));
            }
            self.drain().await?;
        }
        // In the pool of no validator: committed, or dropped, which the last account shows.
        match keys.last() {
            Some(last) if client.account(last.public().address).await?.value.is_none() => {
                Err(CommandError::failure("faucet", "the faucet's grants were not committed"))
            }
            _ => Ok(keys),
        }
    }

    /// A signed transaction that takes effect.
    pub(crate) fn sample(&self, from: &AccountKey, sequence: Sequence, to: Address) -> Transaction {
        self.sign(from, sequence, self.app.sample(sequence.0, &[to]))
    }

    fn sign(&self, from: &AccountKey, sequence: Sequence, payload: Vec<u8>) -> Transaction {
        let expires_at = UnixMillis(localnet::now().0.saturating_add(milliseconds(VALID_FOR)));
        Transaction::sign(self.localnet.genesis_hash, &from.signing, sequence, expires_at, payload)
    }

    /// Waits until no validator has a transaction that waits for a block.
    pub(crate) async fn drain(&self) -> Result<Vec<NodeStatus>, CommandError> {
        let clients = self.clients()?;
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        loop {
            let statuses = statuses(&clients).await?;
            let waiting: u64 = statuses.iter().map(|status| status.pool_transactions).sum();
            if waiting == 0 {
                return Ok(statuses);
            }
            if Instant::now() >= deadline {
                return Err(CommandError::failure(
                    "not-drained",
                    format!("{waiting} transactions still wait for a block after {DRAIN_TIMEOUT:?}"),
                ));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if self.temporary.is_some() {
            localnet::kill_all(&self.localnet);
        }
    }
}

/// How each validator is.
pub(crate) async fn statuses(clients: &[Client]) -> Result<Vec<NodeStatus>, CommandError> {
    let mut statuses = Vec::with_capacity(clients.len());
    for client in clients {
        statuses.push(client.status().await?);
    }
    Ok(statuses)
}

/// Transactions as they are posted.
pub(crate) fn batch(transactions: Vec<Transaction>) -> Result<TransactionBatch, CommandError> {
    Ok(TransactionBatch(Bounded::try_from(transactions).map_err(|error| CommandError::failure("batch", error))?))
}

/// What the files below a directory take on disk. A file that vanishes meanwhile counts nothing.
fn bytes_below(directory: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    const BLOCK_BYTES: u64 = 512;
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.blocks().saturating_mul(BLOCK_BYTES),
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}
