//! What was dropped in the last ten minutes and why. It survives a restart, after which the first question is often what went wrong before.
//!
//! ```text
//! counters of node and network, the pool --polled every 10 s--> here --GET /v1/drops, GET /v1/transactions/{id}--> humans
//!                                                                |  ^
//!                                 at shutdown, every minute      v  | at startup
//!                                                      <home>/data/drops.json
//! ```
//! Code that drops things pays nothing for this, which only polls existing counters. The file holds the answer to `GET /v1/drops` and may be
//! lost at any time: a damaged one is ignored with a warning.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quorate_keygen::whole_file::{SystemFiles, replace};
use quorate_replica::Dropped;
use quorate_types::{
    diagnosis::{DropView, DroppedTransaction, DropsView},
    ids::TxId,
    round::UnixMillis,
    rpc::TransactionStatus,
};
use tokio::sync::watch;

use crate::{
    api::{Api, QUESTION_TIMEOUT, limits::stopped},
    event_loop::unix_now,
    json_file,
};

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "drops.json";
/// How long a drop is remembered.
const REMEMBERED_MS: u64 = 10 * 60 * 1_000;
/// Dropped transactions that are remembered: the newest.
pub(crate) const TRANSACTIONS_MAX: usize = 1_000;
/// Interval at which the counters are polled.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Interval at which the file is written while there are drops.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Largest file that is read. The largest ever written is smaller: each reason for each of 128 validators, and the transactions.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Time limit for the last poll of the pool, for which shutdown waits.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What was dropped, why, and whose it was. The words come from our own code or from the previous process's file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) what: String,
    pub(crate) reason: String,
    pub(crate) validator: Option<String>,
}

/// The drops of the last ten minutes.
#[derive(Debug)]
pub(crate) struct Drops {
    /// `None`: kept in memory only.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The counters as of the last poll.
    counted: BTreeMap<Kind, u64>,
    /// Count, and time of the last drop. Bounded by the labels of our metrics and by the previous process's file.
    recent: BTreeMap<Kind, (u64, UnixMillis)>,
    /// Oldest first.
    transactions: VecDeque<DroppedTransaction>,
    /// The position in the pool's list of drops up to which we have read.
    pool_position: u64,
    is_changed: bool,
}

impl Drops {
    /// Loads what the previous process left in a data directory. An unusable file is ignored with a warning.
    pub(crate) fn open(data_directory: Option<&Path>) -> Self {
        let file = data_directory.map(|directory| directory.join(FILE));
        let mut state = State::default();
        match file.as_deref().map(load) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(view))) => state.restore(view, unix_now()),
            Some(Err(error)) => tracing::warn!(
                file = %file.as_deref().unwrap_or(Path::new("")).display(),
                "cannot load what was dropped before the restart, so starting afresh: {error}"
            ),
        }
        if !state.recent.is_empty() || !state.transactions.is_empty() {
            tracing::info!(
                reasons = state.recent.len(),
                transactions = state.transactions.len(),
                "loaded what was dropped in the ten minutes before this start: GET /v1/drops"
            );
        }
        Self { file, state: Mutex::new(state) }
    }

    /// The position in the pool's list of drops from which to read on.
    fn pool_position(&self) -> u64 {
        self.lock().pool_position
    }

    /// Records the increase of each counter since the last call.
    fn note_counts(&self, counts: impl IntoIterator<Item = (Kind, u64)>, now: UnixMillis) {
        let mut state = self.lock();
        for (kind, count) in counts {
            let before = state.counted.get(&kind).copied().unwrap_or(0);
            let more = count.saturating_sub(before);
            if more > 0 {
                state.counted.insert(kind.clone(), count);
                let recent = state.recent.entry(kind).or_insert((0, now));
                *recent = (recent.0.saturating_add(more), now);
                state.is_changed = true;
            }
        }
        state.forget(now);
    }

    /// Records the transactions that have left the pool since the last call, up to `position`.
    fn note_transactions(&self, position: u64, dropped: Vec<Dropped>, now: UnixMillis) {
        let mut state = self.lock();
        state.pool_position = position;
        for Dropped { id, reason } in dropped {
            state.transactions.push_back(DroppedTransaction { tx_id: id, code: reason.code().into(), reason: reason.to_string(), at: now });
            state.is_changed = true;
        }
        state.forget(now);
    }

    /// Everything that is remembered.
    pub(crate) fn view(&self) -> DropsView {
        let mut state = self.lock();
        state.forget(unix_now());
        state.view()
    }

    /// The status of a transaction that the pool does not know (any more); a previous process may have dropped it.
    pub(crate) fn transaction(&self, id: &TxId) -> TransactionStatus {
        let (state, now) = (self.lock(), unix_now());
        let found = state.transactions.iter().rev().find(|dropped| dropped.tx_id == *id && is_remembered(dropped.at, now));
        found.map_or(TransactionStatus::Unknown, |dropped| TransactionStatus::Dropped {
            code: dropped.code.clone(),
            reason: dropped.reason.clone(),
        })
    }

    /// Writes the file if anything has changed. Blocks on the disk.
    fn save(&self) {
        let Some(file) = &self.file else { return };
        let view = {
            let mut state = self.lock();
            if !std::mem::take(&mut state.is_changed) {
                return;
            }
            state.view()
        };
        let written = serde_json::to_vec(&view).map_err(io::Error::other).and_then(|text| replace(&SystemFiles, file, &text, 0o600));
        if let Err(error) = written {
            self.lock().is_changed = true;
            tracing::warn!(file = %file.display(), "cannot save what was dropped, so it will be unknown after a restart: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn view(&self) -> DropsView {
        let drops = self.recent.iter().map(|(Kind { what, reason, validator }, (count, last))| DropView {
            what: what.clone(),
            reason: reason.clone(),
            validator: validator.clone(),
            count: *count,
            last: *last,
        });
        DropsView { drops: drops.collect(), transactions: self.transactions.iter().cloned().collect() }
    }

    fn restore(&mut self, view: DropsView, now: UnixMillis) {
        let kind = |drop: DropView| (Kind { what: drop.what, reason: drop.reason, validator: drop.validator }, (drop.count, drop.last));
        self.recent = view.drops.into_iter().map(kind).collect();
        self.transactions = view.transactions.into();
        self.forget(now);
    }

    fn forget(&mut self, now: UnixMillis) {
        self.recent.retain(|_, (_, last)| is_remembered(*last, now));
        self.transactions.retain(|dropped| is_remembered(dropped.at, now));
        let too_many = self.transactions.len().saturating_sub(TRANSACTIONS_MAX);
        self.transactions.drain(..too_many);
    }
}

/// Drops are remembered for ten minutes. Drops further in the future than that are forgotten as well: the clock was set back.
const fn is_remembered(at: UnixMillis, now: UnixMillis) -> bool {
    now.0.abs_diff(at.0) <= REMEMBERED_MS
}

/// Reads the file; `None` if it does not exist.
fn load(file: &Path) -> io::Result<Option<DropsView>> {
    match json_file::read(file, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Polls the counters and writes the file until the node stops, and once more then.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let mut saved = Instant::now();
    loop {
        let is_stopping = tokio::select! {
            () = stopped(&mut stop) => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        api.drops.note_counts(counts(&api), unix_now());
        let pool = api.dropped_since(api.drops.pool_position());
        // The watchdog reports a replica that does not answer.
        if let Ok(Ok((position, dropped))) = tokio::time::timeout(if is_stopping { LAST_LOOK } else { QUESTION_TIMEOUT }, pool).await {
            api.drops.note_transactions(position, dropped, unix_now());
        }
        if is_stopping || saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            let drops = Arc::clone(&api.drops);
            // If no thread can be started for it, the file stays as it is.
            drop(tokio::task::spawn_blocking(move || drops.save()).await);
        }
        if is_stopping {
            return;
        }
    }
}

/// All drop counters, including the network's.
fn counts(api: &Api) -> impl Iterator<Item = (Kind, u64)> {
    let of_network = api.network.drops().into_iter();
    let of_network = of_network.map(|drop| (Kind { what: drop.what, reason: drop.reason.into(), validator: None }, drop.count));
    api.metrics.drops().into_iter().chain(of_network)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use quorate_replica::Rejected;
    use quorate_types::{crypto::Hash, round::Sequence};

    use super::*;

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    fn refused(count: u64) -> [(Kind, u64); 2] {
        let of = |validator: &str| Kind { what: "message-refused".into(), reason: "signature".into(), validator: Some(validator.into()) };
        [(of("bob"), count), (of("carol"), 0)]
    }

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(START.0 + ms)
    }

    fn id(number: u64) -> TxId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TxId(Hash(bytes))
    }

    fn used(numbers: std::ops::Range<u64>) -> Vec<Dropped> {
        numbers.map(|number| Dropped { id: id(number), reason: Rejected::SequenceUsed { sequence: Sequence(number) } }).collect()
    }

    #[test]
    fn a_drop_is_remembered_for_ten_minutes_after_the_last_of_its_kind() {
        let drops = Drops::open(None);
        let told = |drops: &Drops| drops.lock().view().drops.into_iter().map(|drop| (drop.count, drop.last)).collect::<Vec<_>>();
        drops.note_counts(refused(0), START);
        assert!(told(&drops).is_empty(), "zero counts are not reported");
        drops.note_counts(refused(3), START);
        drops.note_counts(refused(3), later(REMEMBERED_MS - 1));
        assert_eq!(told(&drops), [(3, START)]);
        drops.note_counts(refused(5), later(REMEMBERED_MS));
        assert_eq!(told(&drops), [(5, later(REMEMBERED_MS))]);
        drops.note_counts(refused(5), later(REMEMBERED_MS * 2 + 1));
        assert!(told(&drops).is_empty());
        drops.note_counts(refused(6), later(REMEMBERED_MS * 2 + 2));
        assert_eq!(told(&drops), [(1, later(REMEMBERED_MS * 2 + 2))], "the count starts again");
    }

    #[test]
    fn what_a_process_has_noted_the_next_one_knows_and_counts_on() {
        let home = tempfile::tempdir().unwrap();
        let now = unix_now();
        let first = Drops::open(Some(home.path()));
        first.note_counts(refused(3), now);
        first.note_transactions(1, used(7..8), now);
        first.save();
        let second = Drops::open(Some(home.path()));
        assert_eq!(second.view(), first.view());
        assert!(matches!(second.transaction(&id(7)), TransactionStatus::Dropped { code, .. } if code == "sequence-used"));
        assert_eq!(second.transaction(&id(8)), TransactionStatus::Unknown);
        // Its own counters start at zero.
        second.note_counts(refused(2), now);
        assert_eq!(second.view().drops[0].count, 5);
        second.note_transactions(1, used(8..9), now);
        assert_eq!(second.view().transactions.len(), 2);
    }

    #[test]
    fn a_file_of_long_ago_of_the_future_or_damaged_is_as_good_as_none_and_is_written_anew() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(FILE);
        let of = |at: UnixMillis| {
            let drops = Drops::open(Some(home.path()));
            drops.note_counts(refused(3), at);
            drops.save();
            Drops::open(Some(home.path())).view()
        };
        assert_eq!(of(unix_now()).drops.len(), 1);
        let whole = fs::read(&file).unwrap();
        for old in [START, UnixMillis(unix_now().0 + REMEMBERED_MS * 2)] {
            fs::remove_file(&file).unwrap();
            assert_eq!(of(old), DropsView::default());
        }
        let too_long = vec![b' '; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
        for damaged in [&whole[..whole.len() / 2], b"", b"{}", &[0xff; 100], &too_long] {
            fs::write(&file, damaged).unwrap();
            load(&file).unwrap_err();
            assert_eq!(of(unix_now()).drops.len(), 1, "it starts, and writes a new file");
        }
        // Nobody will ever write into this pipe.
        fs::remove_file(&file).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        load(&file).unwrap_err();
    }

    #[test]
    fn transactions_are_bounded_and_the_newest_are_kept() {
        let drops = Drops::open(None);
        let now = unix_now();
        let max = u64::try_from(TRANSACTIONS_MAX).unwrap();
        drops.note_transactions(1, used(0..max), now);
        drops.note_transactions(2, used(max..max + 5), now);
        assert_eq!(drops.view().transactions.len(), TRANSACTIONS_MAX);
        assert_eq!(drops.transaction(&id(4)), TransactionStatus::Unknown);
        assert!(matches!(drops.transaction(&id(max + 4)), TransactionStatus::Dropped { .. }));
    }

    #[test]
    fn the_longest_file_that_is_written_can_be_read() {
        // 128 validators, each with more reasons than exist.
        let reasons = 36 * 128;
        let drop = DropView {
            what: "consensus-frame-dropped".into(),
            reason: "duplicate-transaction".into(),
            validator: Some("\"".repeat(128)),
            count: u64::MAX,
            last: START,
        };
        let transaction = DroppedTransaction { tx_id: id(0), code: "sequence-too-old".into(), reason: "r".repeat(300), at: START };
        let view = DropsView { drops: vec![drop; reasons], transactions: vec![transaction; TRANSACTIONS_MAX] };
        assert!(serde_json::to_vec(&view).unwrap().len() < usize::try_from(FILE_BYTES_MAX).unwrap());
    }
}
