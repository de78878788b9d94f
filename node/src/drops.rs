//! What was dropped in the last ten minutes and why, over a restart too: the first question after one is often what went wrong before it.
//!
//! ```text
//! counters of node and network, the pool --looked at every 10 s--> here --GET /v1/drops, GET /v1/transactions/{id}--> people
//!                                                                   |  ^
//!                                       at the stop, every minute   v  | at the start
//!                                                         <home>/data/drops.json
//! ```
//! Nothing is added to what drops: this looks at counters that are there anyway. The file holds what `GET /v1/drops` answers, and may be lost
//! at any time: one that is damaged is left out with a warning.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    io::Read,
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
};

/// The file in the data directory.
pub(crate) const FILE: &str = "drops.json";
/// How long a drop is remembered.
const REMEMBERED_MS: u64 = 10 * 60 * 1_000;
/// How many dropped transactions are: the newest.
pub(crate) const TRANSACTIONS_MAX: usize = 1_000;
/// How often the counters are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often the file is written while something is dropped.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Longest file that is read. The longest that is written is shorter: each reason for each of 128 validators, and the transactions.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How long the last look at the pool may take: a stop waits for it.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What was dropped, why, and whose it was: words that stand in our own code, or in the file of the last process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) what: String,
    pub(crate) reason: String,
    pub(crate) validator: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Drops {
    /// `None`: nothing is written anywhere.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The counters as they were at the last look.
    counted: BTreeMap<Kind, u64>,
    /// How often, and when last. Bounded by the labels of our metrics, and by the file of the last process.
    recent: BTreeMap<Kind, (u64, UnixMillis)>,
    /// The oldest first.
    transactions: VecDeque<DroppedTransaction>,
    /// How far the pool has told us of its drops.
    pool_position: u64,
    is_changed: bool,
}

impl Drops {
    /// What the process before has left in a data directory. A file that cannot be used is left out.
    pub(crate) fn open(data_directory: Option<&Path>) -> Self {
        let file = data_directory.map(|directory| directory.join(FILE));
        let mut state = State::default();
        match file.as_deref().map(load) {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(view))) => state.restore(view, unix_now()),
            Some(Err(error)) => tracing::warn!(
                file = %file.as_deref().unwrap_or(Path::new("")).display(),
                "what was dropped before the restart is not known, as its file cannot be used; it will be written anew: {error}"
            ),
        }
        if !state.recent.is_empty() || !state.transactions.is_empty() {
            tracing::info!(
                reasons = state.recent.len(),
                transactions = state.transactions.len(),
                "what was dropped in the ten minutes before this start is known: GET /v1/drops"
            );
        }
        Self { file, state: Mutex::new(state) }
    }

    /// How far the pool has told of its drops.
    fn pool_position(&self) -> u64 {
        self.lock().pool_position
    }

    /// Takes note of all counters.
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

    /// Takes note of what has left the pool up to a position, since the last time.
    fn note_transactions(&self, position: u64, dropped: Vec<Dropped>, now: UnixMillis) {
        let mut state = self.lock();
        state.pool_position = position;
        for Dropped { id, reason } in dropped {
            state.transactions.push_back(DroppedTransaction { tx_id: id, code: reason.code().into(), reason: reason.to_string(), at: now });
            state.is_changed = true;
        }
        state.forget(now);
    }

    /// Everything, for whoever asks.
    pub(crate) fn view(&self) -> DropsView {
        let mut state = self.lock();
        state.forget(unix_now());
        state.view()
    }

    /// What is known of a transaction that the pool does not know (any more): a process before may have dropped it.
    pub(crate) fn transaction(&self, id: &TxId) -> TransactionStatus {
        let (state, now) = (self.lock(), unix_now());
        let found = state.transactions.iter().rev().find(|dropped| dropped.tx_id == *id && is_remembered(dropped.at, now));
        found.map_or(TransactionStatus::Unknown, |dropped| TransactionStatus::Dropped {
            code: dropped.code.clone(),
            reason: dropped.reason.clone(),
        })
    }

    /// Writes the file, if there is something new to write. Waits for the disk.
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
            tracing::warn!(file = %file.display(), "what was dropped cannot be written, and will not be known after a restart: {error}");
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

/// For ten minutes. What the clock says has not happened yet is not remembered longer: the clock was set back.
const fn is_remembered(at: UnixMillis, now: UnixMillis) -> bool {
    now.0.abs_diff(at.0) <= REMEMBERED_MS
}

/// Reads a file; `None` when there is none.
fn load(file: &Path) -> io::Result<Option<DropsView>> {
    let file = match fs::File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX.saturating_add(1)).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes")));
    }
    Ok(Some(serde_json::from_slice(&text)?))
}

/// Looks at the counters and writes the file until the node stops, and once more then.
pub(crate) async fn run(api: Arc<Api>, mut stop: watch::Receiver<bool>) {
    let mut saved = Instant::now();
    loop {
        let is_stopping = tokio::select! {
            () = stopped(&mut stop) => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        api.drops.note_counts(counts(&api), unix_now());
        let pool = api.dropped_since(api.drops.pool_position());
        // A replica that does not answer is the watchdog's matter.
        if let Ok(Ok((position, dropped))) = tokio::time::timeout(if is_stopping { LAST_LOOK } else { QUESTION_TIMEOUT }, pool).await {
            api.drops.note_transactions(position, dropped, unix_now());
        }
        if is_stopping || saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            let drops = Arc::clone(&api.drops);
            // Without a thread for it the file stays as it is.
            drop(tokio::task::spawn_blocking(move || drops.save()).await);
        }
        if is_stopping {
            return;
        }
    }
}

/// All counters of drops, of the network's too.
fn counts(api: &Api) -> impl Iterator<Item = (Kind, u64)> {
    let of_network = api.network.drops().into_iter();
    let of_network = of_network.map(|drop| (Kind { what: drop.what, reason: drop.reason.into(), validator: None }, drop.count));
    api.metrics.drops().into_iter().chain(of_network)
}

#[cfg(test)]
mod tests {
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
        assert!(told(&drops).is_empty(), "what has not happened is not told");
        drops.note_counts(refused(3), START);
        drops.note_counts(refused(3), later(REMEMBERED_MS - 1));
        assert_eq!(told(&drops), [(3, START)]);
        drops.note_counts(refused(5), later(REMEMBERED_MS));
        assert_eq!(told(&drops), [(5, later(REMEMBERED_MS))]);
        drops.note_counts(refused(5), later(REMEMBERED_MS * 2 + 1));
        assert!(told(&drops).is_empty());
        drops.note_counts(refused(6), later(REMEMBERED_MS * 2 + 2));
        assert_eq!(told(&drops), [(1, later(REMEMBERED_MS * 2 + 2))], "it is counted anew");
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
        // Its own counters begin at zero.
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
            assert_eq!(of(unix_now()).drops.len(), 1, "it starts, and writes it anew");
        }
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
        // 128 validators, each with more reasons than there are.
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
