//! The evidence that this node holds against validators. It is checked before it is kept, and again when it is read back.
//!
//! ```text
//! replica's thread --queue--> thread `evidence` --check--> memory --GET /v1/evidence--> anyone
//!                                                 |           ^
//!                                                 v           | at startup, checked
//!                                      <home>/data/evidence/<id>.json
//! ```
//! One contradiction proves a validator faulty; a few show that it goes on. So only the first ones of each kind are kept, which bounds files,
//! memory and answers, whatever a liar signs.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, SyncSender},
    },
};

use quorate_keygen::whole_file::{Files, SystemFiles, replace};
use quorate_types::{
    committee::Committee,
    event::NodeEvent,
    evidence::Evidence,
    ids::{EvidenceId, ValidatorId},
    round::{Epoch, Round},
    rpc::{EvidenceList, EvidenceView},
    sighting::StatementKind,
    verify::Verified,
};

use crate::{chain::History, epochs::Epochs, failure::Threads, feed::Feed, json_file};

/// Name of the directory in the data directory.
pub(crate) const DIRECTORY: &str = "evidence";
/// Contradictions of one kind kept against one validator in one epoch: the first.
const KEPT_MAX: usize = 4;
/// Evidence that may wait to be checked and written. A liar that fills this has already been caught.
const WAITING_MAX: usize = 64;
/// Largest file that is read; those written have some 2,000 bytes.
const FILE_BYTES_MAX: u64 = 16 << 10;
/// Evidence that is held, and directory entries that are looked at when reading back: more than a committee of 128 can fill in an epoch.
const ENTRIES_MAX: usize = 4_096;

/// Evidence by epoch, culprit, kind and round.
type Records = BTreeMap<(Epoch, ValidatorId, StatementKind, Round), Record>;

#[derive(Clone, Debug)]
struct Record {
    id: EvidenceId,
    /// The culprit's name.
    name: String,
    evidence: Evidence,
    is_saved: bool,
}

impl Record {
    fn view(&self) -> EvidenceView {
        let Self { id, name, evidence, .. } = self;
        EvidenceView { id: *id, validator: name.clone(), kind: evidence.kind(), epoch: evidence.epoch, round: evidence.round() }
    }
}

/// The evidence held.
pub(crate) struct Held {
    /// `None`: kept in memory only.
    directory: Option<PathBuf>,
    epochs: Arc<Epochs>,
    history: Arc<dyn History>,
    feed: Arc<Feed>,
    records: Mutex<Records>,
}

impl Held {
    /// Reads back what earlier processes kept in a data directory. A file that is unreadable, or convicts nobody, is skipped with a warning.
    pub(crate) fn open(data_directory: Option<&Path>, epochs: Arc<Epochs>, history: Arc<dyn History>, feed: Arc<Feed>) -> Self {
        let directory = data_directory.map(|data| data.join(DIRECTORY));
        let held = Self { directory, epochs, history, feed, records: Mutex::default() };
        if let Some(directory) = &held.directory {
            match fs::read_dir(directory) {
                Ok(entries) => entries.take(ENTRIES_MAX).flatten().for_each(|entry| held.read_back(&entry.path())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(directory = %directory.display(), "cannot read the evidence of earlier processes, so starting without it: {error}");
                }
            }
        }
        held
    }

    fn read_back(&self, file: &Path) {
        // Drafts of a process that was killed have other names.
        if file.extension().is_none_or(|extension| extension != "json") {
            return;
        }
        let checked = json_file::read(file, FILE_BYTES_MAX)
            .and_then(|evidence| self.epochs.check(&evidence, &*self.history).map_err(io::Error::other));
        match checked {
            Ok((evidence, committee)) => drop(self.keep(&evidence, &committee, true)),
            Err(error) => tracing::warn!(file = %file.display(), "this file is not evidence on this network, so it is ignored: {error}"),
        }
    }

    /// Checks evidence and, unless enough of its kind is held, keeps it in memory and on disk. Blocks on the disk.
    fn add(&self, evidence: &Evidence) {
        let (evidence, committee) = match self.epochs.check(evidence, &*self.history) {
            Ok(checked) => checked,
            Err(error) => return tracing::error!(?evidence, "our own evidence does not verify, which is a bug in this program: {error}"),
        };
        if let Some(id) = self.keep(&evidence, &committee, false) {
            tracing::warn!(%id, validator = %evidence.culprit, "keeping evidence: GET /v1/evidence/{id} serves it, and anyone can check it");
            let view = self.lock().values().find(|record| record.id == id).map(Record::view);
            if let Some(view) = view {
                self.feed.tell(NodeEvent::Evidence(view));
            }
        }
        self.save();
    }

    /// Keeps it in memory. Returns its id if it is news and there is room for it.
    fn keep(&self, evidence: &Verified<Evidence>, committee: &Committee, is_saved: bool) -> Option<EvidenceId> {
        let (epoch, culprit, kind, round) = (evidence.epoch, evidence.culprit, evidence.kind(), evidence.round());
        let mut records = self.lock();
        let held = records.range((epoch, culprit, kind, Round(0))..=(epoch, culprit, kind, Round(u64::MAX))).count();
        if held >= KEPT_MAX || records.len() >= ENTRIES_MAX || records.contains_key(&(epoch, culprit, kind, round)) {
            return None;
        }
        let id = evidence.id();
        let name = committee.get(culprit).map(|validator| validator.name.clone()).unwrap_or_default();
        records.insert((epoch, culprit, kind, round), Record { id, name, evidence: **evidence, is_saved });
        Some(id)
    }

    /// Writes what is not on the disk yet, the failures of earlier attempts included.
    fn save(&self) {
        let Some(directory) = &self.directory else { return };
        let unsaved: Vec<_> =
            self.lock().iter().filter(|(_, record)| !record.is_saved).map(|(key, record)| (*key, record.clone())).collect();
        for (key, record) in unsaved {
            match write(directory, &record) {
                Ok(()) => drop(self.lock().entry(key).and_modify(|record| record.is_saved = true)),
                Err(error) => {
                    let id = record.id;
                    tracing::warn!(%id, directory = %directory.display(), "cannot write evidence; if it stays so, a restart loses it: {error}");
                }
            }
        }
    }

    /// What is held, for a list.
    pub(crate) fn list(&self) -> EvidenceList {
        EvidenceList { evidence: self.lock().values().map(Record::view).collect() }
    }

    /// The evidence with this id.
    pub(crate) fn get(&self, id: &EvidenceId) -> Option<Evidence> {
        self.lock().values().find(|record| record.id == *id).map(|record| record.evidence)
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(directory: &Path, Record { id, evidence, .. }: &Record) -> io::Result<()> {
    if !directory.is_dir() {
        fs::create_dir_all(directory)?;
        SystemFiles.sync_directory(directory.parent().unwrap_or(Path::new(".")))?;
    }
    let text = serde_json::to_string_pretty(evidence)? + "\n";
    replace(&SystemFiles, &directory.join(format!("{id}.json")), text.as_bytes(), 0o644)
}

/// The sending end of the queue of evidence to keep.
pub(crate) struct Keeper(SyncSender<Box<Evidence>>);

impl Keeper {
    /// Queues evidence.
    pub(crate) fn keep(&self, evidence: Box<Evidence>) {
        let culprit = evidence.culprit;
        if self.0.try_send(evidence).is_err() {
            tracing::warn!(validator = %culprit, "too much evidence is waiting to be written, so this record is dropped");
        }
    }
}

/// Starts the thread that keeps evidence. It ends with the [`Keeper`].
pub(crate) fn start(held: Arc<Held>, threads: &mut Threads) -> io::Result<Keeper> {
    let (keeper, queue) = mpsc::sync_channel::<Box<Evidence>>(WAITING_MAX);
    threads.start("evidence", move || {
        for evidence in &queue {
            held.add(&evidence);
        }
        held.save();
    })?;
    Ok(Keeper(keeper))
}

#[cfg(test)]
mod tests {
    use quorate_ledger::{Ledger, LedgerReader, MemoryStore};
    use quorate_types::{
        crypto::Hash,
        ids::{BlockId, GenesisHash, StateId},
        verify::Verifier,
        vote::{LedgerCommitInfo, Vote, VoteInfo},
    };

    use super::*;
    use crate::{
        event_loop::unix_now,
        testing::{genesis_of, keys},
    };

    /// The first epoch, and its history.
    struct Net {
        epochs: Arc<Epochs>,
        history: Arc<dyn History>,
    }

    impl Net {
        fn new() -> Self {
            let members = [("one", keys(1), "/ip4/127.0.0.1/tcp/0".into()), ("two", keys(2), "/ip4/127.0.0.1/tcp/1".into())];
            let (genesis, store) = (genesis_of(&members), MemoryStore::new());
            Ledger::open(store.clone(), &quorate_builtin::app(), &genesis).unwrap();
            let verifier = quorate_replica::verifier(&genesis, &quorate_builtin::app()).unwrap();
            Self { epochs: Epochs::new(verifier, ValidatorId(0)), history: Arc::new(LedgerReader::new(store)) }
        }

        fn verifier(&self) -> Arc<Verifier> {
            Arc::clone(&self.epochs.now().verifier)
        }

        fn open(&self, data: Option<&Path>) -> Held {
            Held::open(data, Arc::clone(&self.epochs), Arc::clone(&self.history), Arc::new(Feed::new(unix_now())))
        }
    }

    fn vote(verifier: &Verifier, genesis_hash: GenesisHash, by: u8, round: u64, block: u8) -> Vote {
        let key = keys(by).consensus;
        let vote_info = VoteInfo {
            id: BlockId(Hash([block; 32])),
            round: Round(round),
            parent_id: BlockId::default(),
            parent_round: Round(0),
            exec_state_id: StateId::default(),
        };
        let commit_info = LedgerCommitInfo { genesis_hash, epoch: Epoch(0), commit_state_id: None, vote_info_hash: vote_info.digest() };
        let sender = verifier.committee().find(&key.public()).unwrap();
        let signature = key.sign(&commit_info.digest());
        Vote { vote_info, commit_info, high_commit_qc: verifier.genesis_qc().into_inner(), sender, signature }
    }

    fn two_votes(verifier: &Verifier, by: u8, round: u64) -> Evidence {
        let vote = |block| vote(verifier, verifier.genesis_hash(), by, round, block);
        Evidence::votes(&vote(1), &vote(2))
    }

    fn rounds(held: &Held) -> Vec<(String, u64)> {
        held.list().evidence.into_iter().map(|view| (view.validator, view.round.0)).collect()
    }

    #[test]
    fn what_a_process_has_kept_the_next_one_serves() {
        let home = tempfile::tempdir().unwrap();
        let net = Net::new();
        let verifier = net.verifier();
        let first = net.open(Some(home.path()));
        assert!(rounds(&first).is_empty(), "a new home holds none");
        let evidence = two_votes(&verifier, 2, 5);
        first.add(&evidence);
        first.add(&evidence);
        for held in [first, net.open(Some(home.path()))] {
            assert_eq!(rounds(&held), [("two".to_owned(), 5)]);
            assert_eq!(held.get(&evidence.id()), Some(evidence));
            assert_eq!(held.get(&EvidenceId::default()), None);
        }
    }

    #[test]
    fn however_much_a_liar_signs_the_first_few_contradictions_are_kept_and_others_are_not_pushed_out() {
        let home = tempfile::tempdir().unwrap();
        let net = Net::new();
        let verifier = net.verifier();
        let held = net.open(Some(home.path()));
        (2..100).for_each(|round| held.add(&two_votes(&verifier, 2, round)));
        held.add(&two_votes(&verifier, 1, 200));
        let kept = rounds(&held);
        let of = |name: &str| kept.iter().filter(|(of, _)| of == name).map(|(_, round)| *round).collect::<Vec<_>>();
        assert_eq!((of("two"), of("one")), (vec![2, 3, 4, 5], vec![200]));
        assert_eq!(fs::read_dir(home.path().join(DIRECTORY)).unwrap().count(), kept.len());
        assert_eq!(rounds(&net.open(Some(home.path()))), kept);
    }

    #[test]
    fn a_file_that_convinces_nobody_is_ignored_and_the_others_are_read() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(DIRECTORY);
        let net = Net::new();
        let verifier = net.verifier();
        let good = two_votes(&verifier, 1, 7);
        net.open(Some(home.path())).add(&good);
        let text = fs::read(directory.join(format!("{}.json", good.id()))).unwrap();

        let of_another_network = |block| vote(&verifier, GenesisHash(Hash([9; 32])), 2, 8, block);
        let foreign = Evidence::votes(&of_another_network(1), &of_another_network(2));
        let innocent = Evidence { culprit: two_votes(&verifier, 2, 8).culprit, ..good };
        let files: [(&str, Vec<u8>); 6] = [
            ("foreign", serde_json::to_vec(&foreign).unwrap()),
            ("innocent", serde_json::to_vec(&innocent).unwrap()),
            ("cut", text[..text.len() / 2].to_vec()),
            ("empty", Vec::new()),
            ("long", [vec![b' '; 1 << 20], serde_json::to_vec(&two_votes(&verifier, 2, 9)).unwrap()].concat()),
            ("noise", vec![0xff; 100]),
        ];
        for (name, bytes) in files {
            fs::write(directory.join(format!("{name}.json")), bytes).unwrap();
        }
        fs::write(directory.join(".draft.new"), &text[..9]).unwrap();
        fs::create_dir(directory.join("folder.json")).unwrap();
        // Nobody will ever write into this pipe.
        let made = std::process::Command::new("mkfifo").arg(directory.join("pipe.json")).status().unwrap();
        assert!(made.success());
        assert_eq!(rounds(&net.open(Some(home.path()))), [("one".to_owned(), 7)]);
    }

    #[test]
    fn evidence_that_does_not_verify_is_not_kept() {
        let net = Net::new();
        let verifier = net.verifier();
        let held = net.open(None);
        held.add(&Evidence { epoch: Epoch(1), ..two_votes(&verifier, 2, 5) });
        assert!(rounds(&held).is_empty());
    }

    #[test]
    fn while_the_disk_cannot_be_written_it_is_held_in_memory_and_written_when_it_can() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(DIRECTORY), b"a file where the directory should be").unwrap();
        let net = Net::new();
        let verifier = net.verifier();
        let open = || net.open(Some(home.path()));
        let held = open();
        held.add(&two_votes(&verifier, 2, 5));
        assert_eq!(rounds(&held), [("two".to_owned(), 5)]);
        assert!(rounds(&open()).is_empty());
        fs::remove_file(home.path().join(DIRECTORY)).unwrap();
        held.add(&two_votes(&verifier, 2, 6));
        assert_eq!(rounds(&open()), [("two".to_owned(), 5), ("two".to_owned(), 6)]);
    }
}
