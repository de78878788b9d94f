//! Validators that have forgotten what they signed, as real processes: data wiped; data or home restored from an older copy; a home that runs
//! twice; a database log that was truncated or has a flipped bit. Each must be refused at its start, or stop before it contradicts itself,
//! say what to do, and stay stopped. When its state is restored, the validator takes part again. So it does after `quorate node recover`, and
//! after `quorate node safety export` and `import` on another machine.
//! `make test` plays each kind once. To run many random cases:
//! ```sh
//! QUORATE_LOST_MEMORY_CASES=200 cargo nextest run --release --locked -p quorate-tests --test lost_memory
//! ```
//! `QUORATE_LOST_MEMORY_SEED` repeats a failed run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use quorate_keygen::AccountKey;
use quorate_tests::{Cluster, DEADLINE, Ran, Traffic, eventually, quorate};
use quorate_types::round::Height;

const VICTIM: usize = 3;
const OTHERS: [usize; 3] = [0, 1, 2];

/// Options that let a second process with the same home run.
const OTHER_PORTS: [&str; 6] =
    ["--api-listen", "127.0.0.1:0", "--network-listen", "/ip4/127.0.0.1/tcp/0", "--set", "metrics.listen=127.0.0.1:0"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    WipedData,
    OldData,
    OldHome,
    Doubled,
    CutLog,
    FlippedLog,
}

const KINDS: [Kind; 6] = [Kind::WipedData, Kind::OldData, Kind::OldHome, Kind::Doubled, Kind::CutLog, Kind::FlippedLog];

/// A stream of numbers that a seed determines.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

fn replace(with: &Path, home: &Path) {
    fs::remove_dir_all(home).unwrap();
    copy(with, home);
}

/// The newest non-empty log of the database.
fn log_file(home: &Path) -> PathBuf {
    let entries = fs::read_dir(home.join("data/db")).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log") && fs::metadata(path).unwrap().len() > 0;
    entries.filter(holds).max().expect("a log")
}

/// Flips the top bit of the length of a record in the last block of the log. `RocksDB` writes blocks of 32 KiB with records that begin with
/// checksum u32, length u16 and type u8.
fn flip_length(log: &Path, random: &mut Random) {
    const BLOCK: usize = 32 << 10;
    const HEADER: usize = 7;
    let mut bytes = fs::read(log).unwrap();
    let start = (bytes.len() - 1) / BLOCK * BLOCK;
    let mut records = Vec::new();
    let mut at = start;
    while at + HEADER <= bytes.len() {
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        if bytes[at + 6] == 0 {
            break;
        }
        records.push(at);
        at += HEADER + length;
    }
    // From the first half, so that much synced data follows it.
    let record = records[usize::try_from(random.below((records.len() as u64).div_ceil(2))).unwrap()];
    bytes[record + 5] ^= 0x80;
    fs::write(log, bytes).unwrap();
}

struct Case {
    cluster: Cluster,
    random: Random,
    alice: AccountKey,
    bob: AccountKey,
    sequence: u64,
}

impl Case {
    /// Commits this many transfers in sequence through the other validators, and returns the height of the last one.
    async fn traffic(&mut self, count: u64) -> Height {
        let session = self.cluster.session(&OTHERS);
        let mut height = Height(0);
        for _ in 0..count {
            let tx = self.cluster.transfer(&self.alice, self.sequence, self.bob.public().address, 1);
            height = session.submit_and_verify(&tx, DEADLINE).await.unwrap().certificate().header.height;
            self.sequence += 1;
        }
        height
    }

    /// Waits until the victim has signed something new that the others have seen: it takes part in every block.
    async fn takes_part(&mut self) {
        self.cluster.ready(VICTIM).await;
        let (client, more) = (self.cluster.client(&[VICTIM]), self.random.below(8) + 4);
        // Until the next heartbeat, only a leader may know what follows the last transfer.
        let height = self.traffic(more).await;
        eventually("the victim follows", || async { client.status().await.ok().filter(|status| status.height >= height) }).await;
    }

    async fn stop_victim(&mut self) {
        if self.random.below(2) == 0 {
            self.cluster.kill(VICTIM);
        } else {
            self.cluster.terminate(VICTIM, DEADLINE).await.expect("it ends");
        }
    }

    /// Checks that a process on this home ends and says what to do, at its first start and after a restart.
    async fn refuses(&self, kind: Kind, home: &Path, options: &[&str]) {
        for start in ["the first start", "a restart"] {
            let (status, said) = self.cluster.ends(home, options).await;
            assert_ne!(status.code(), Some(0), "{kind:?}, {start}: {said}");
            for words in ["SAFE-6", "quorate keygen validator", "docs/operate.md"] {
                assert!(said.contains(words), "{kind:?}, {start}: {words} is missing in: {said}");
            }
        }
    }

    async fn play(&mut self, kind: Kind) {
        let home = self.cluster.validator_home(VICTIM).to_path_buf();
        let aside = self.cluster.home().join("aside");
        let (old, good) = (aside.join("old"), aside.join("good"));
        drop(fs::remove_dir_all(&aside));

        self.takes_part().await;
        self.stop_victim().await;
        copy(&home, &old);
        self.cluster.spawn(VICTIM);
        self.takes_part().await;
        if kind == Kind::Doubled {
            // The original keeps running.
            self.refuses(kind, &old, &OTHER_PORTS).await;
        } else {
            self.stop_victim().await;
            copy(&home, &good);
            match kind {
                Kind::WipedData => fs::remove_dir_all(home.join("data")).unwrap(),
                Kind::OldData => replace(&old.join("data"), &home.join("data")),
                Kind::OldHome => replace(&old, &home),
                Kind::CutLog => {
                    let log = log_file(&home);
                    let half = fs::metadata(&log).unwrap().len() / 2;
                    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(half).unwrap();
                }
                Kind::FlippedLog => flip_length(&log_file(&home), &mut self.random),
                Kind::Doubled => unreachable!(),
            }
            self.refuses(kind, &home, &[]).await;
            replace(&good, &home);
            self.cluster.spawn(VICTIM);
        }
        self.takes_part().await;
        for index in OTHERS {
            assert_eq!(
                self.cluster.counter(index, "quorate_consensus_accusations_total").await,
                0,
                "{kind:?}: a validator has contradicted itself"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_has_forgotten_signs_nothing_says_what_to_do_and_stays_stopped() {
    let (cases, seed) = (setting("QUORATE_LOST_MEMORY_CASES", KINDS.len() as u64), setting("QUORATE_LOST_MEMORY_SEED", 1));
    let cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let mut case = Case { cluster, random: Random(seed), alice, bob, sequence: 0 };
    for (number, kind) in (0..cases).zip(KINDS.into_iter().cycle()) {
        eprintln!("case {number} of seed {seed}: {kind:?}");
        case.play(kind).await;
    }
}

fn node(words: &[&str], home: &Path) -> Ran {
    quorate(&[&["node"], words, &["--home", home.to_str().unwrap(), "-o", "json"]].concat())
}

async fn votes(cluster: &Cluster, index: usize) -> u64 {
    cluster.counter(index, "quorate_consensus_votes_total").await
}

/// Waits until a validator that has just started votes, and checks that nobody has contradicted itself.
async fn signs_again(cluster: &mut Cluster, index: usize, traffic: &Traffic) {
    cluster.ready(index).await;
    let cluster = &*cluster;
    eventually("it votes", || async { (votes(cluster, index).await > 0).then_some(()) }).await;
    traffic.goes_on(1).await;
    for witness in (0..cluster.len()).filter(|witness| *witness != index) {
        assert_eq!(cluster.counter(witness, "quorate_consensus_accusations_total").await, 0, "a validator has contradicted itself");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_validator_comes_back_by_node_recover_and_one_that_moves_takes_its_record_along() {
    let mut cluster = Cluster::start(4, &["--accounts", "5"]).await;
    let (sink, clients) = (cluster.key("alice").public().address, ["bob", "carol", "dave"].map(|name| cluster.key(name)).into());
    let traffic = Traffic::start_at(&cluster, &OTHERS, clients, sink);
    traffic.goes_on(2).await;

    // Its data is gone.
    cluster.kill(VICTIM);
    let home = cluster.validator_home(VICTIM).to_path_buf();
    fs::remove_dir_all(home.join("data")).unwrap();
    let (_, said) = cluster.run_to_end(VICTIM);
    assert!(said.contains("SAFE-6") && said.contains("quorate node recover"), "{said}");
    let unconfirmed = node(&["recover"], &home);
    assert!(unconfirmed.code != Some(0) && unconfirmed.stderr.contains("--no-other-process"), "{unconfirmed:?}");
    node(&["recover", "--no-other-process"], &home).ok();
    cluster.spawn(VICTIM);
    cluster.ready(VICTIM).await;
    // A crash on the way is no way around it.
    let abstains = cluster.status(VICTIM).await.signs_nothing.is_some();
    cluster.kill(VICTIM);
    cluster.spawn(VICTIM);
    signs_again(&mut cluster, VICTIM, &traffic).await;
    assert_eq!(cluster.status(VICTIM).await.signs_nothing, None);
    let log = cluster.log(VICTIM);
    assert!(!abstains || log.contains("signs nothing until"), "{log}");
    assert!(log.contains("it signs again"), "{log}");

    // It moves: key, settings and genesis are copied, the record is carried over, the chain comes from the others.
    let record = cluster.home().join("acme.safety.json");
    let file = record.to_str().unwrap().to_owned();
    let busy = node(&["safety", "export", &file], &home);
    assert!(busy.code != Some(0) && busy.stderr.contains("in use"), "{busy:?}");
    cluster.terminate(VICTIM, DEADLINE).await.expect("it ends");
    node(&["safety", "export", &file], &home).ok();
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains("\"highest_vote_round\"") && !text.contains("seed"), "{text}");
    // The old home does not start any more, and the record brings it back.
    let (status, log) = cluster.run_to_end(VICTIM);
    assert!(!status.success() && log.contains("SAFE-6") && log.contains("safety import"), "{log}");
    node(&["safety", "import", &file], &home).ok();
    cluster.spawn(VICTIM);
    signs_again(&mut cluster, VICTIM, &traffic).await;
    cluster.terminate(VICTIM, DEADLINE).await.expect("it ends");
    fs::remove_file(&record).unwrap();
    node(&["safety", "export", &file], &home).ok();
    let text = fs::read_to_string(&record).unwrap();
    fs::remove_dir_all(home.join("data")).unwrap();
    fs::remove_file(home.join("keys/validator.signed")).unwrap();
    for broken in [&text[..text.len() / 2], &text.replacen("\"records\": ", "\"records\": 1", 1)] {
        fs::write(&record, broken).unwrap();
        let refused = node(&["safety", "import", &file], &home);
        assert!(refused.code != Some(0) && refused.stderr.contains("safety-file"), "{refused:?}");
    }
    fs::write(&record, text).unwrap();
    let other = node(&["safety", "import", &file], cluster.validator_home(0));
    assert!(other.code != Some(0), "{other:?}");
    node(&["safety", "import", &file], &home).ok();
    cluster.spawn(VICTIM);
    signs_again(&mut cluster, VICTIM, &traffic).await;
    // The record is older by now.
    cluster.terminate(VICTIM, DEADLINE).await.expect("it ends");
    let older = node(&["safety", "import", &file], &home);
    assert!(older.code != Some(0) && older.stderr.contains("older"), "{older:?}");
    cluster.spawn(VICTIM);
    signs_again(&mut cluster, VICTIM, &traffic).await;
    traffic.stop().await;
}
