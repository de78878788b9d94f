//! Homes in order, and each broken in one way: the finding, its state, and the words that an operator needs.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use clap::Parser;
use quorate_keygen::{Sealing, save_validator_key};
use quorate_ledger::{Ledger, MemoryStore, RocksOptions, RocksStore};
use quorate_terminal::Format;
use quorate_types::{
    crypto::Hash,
    round::Round,
    rpc::NodeStatus,
    sighting::StatementKind,
    witness::{History, Mark, Stop, Witness},
};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::{
    settings::tests::WITH_SECRET,
    testing::{Running, genesis_of, keys, setup_of},
};

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    doctor: DoctorCommand,
}

/// The home of validator `one` of a genesis.
pub(crate) struct Patient {
    directory: TempDir,
    pub(crate) home: Home,
}

pub(crate) fn founders(addresses: &[&str]) -> Genesis {
    let members: Vec<_> = (1..)
        .zip(["one", "two", "three"])
        .zip(addresses)
        .map(|((number, name), address)| (name, keys(number), (*address).into()))
        .collect();
    genesis_of(&members)
}

const HERE: &str = "/ip4/127.0.0.1/tcp/6180";

impl Patient {
    fn new() -> Self {
        Self::of(&founders(&[HERE]))
    }

    pub(crate) fn of(genesis: &Genesis) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::new(directory.path().join("home"));
        home.create().unwrap();
        let settings =
            "[api]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n[network]\nlisten = \"/ip4/127.0.0.1/tcp/0\"\n";
        let node = format!("[node]\ngenesis_hash = \"{}\"\n[store]\nfree_bytes_min = 0\n", genesis.hash());
        fs::write(home.config_file(), settings.to_owned() + &node).unwrap();
        quorate_genesis::file::write(&home.genesis_file(), genesis).unwrap();
        let patient = Self { directory, home };
        patient.give_keys(&Sealing::InsecurePlaintext, 1);
        // Whatever the umask of who runs this test.
        for (path, mode) in [("", 0o755), ("config", 0o755), ("config/config.toml", 0o644), ("config/genesis.json", 0o644)] {
            patient.set_mode(path, mode);
        }
        patient
    }

    pub(crate) fn give_keys(&self, sealing: &Sealing, number: u8) {
        let directory = self.home.key_file().parent().unwrap().to_path_buf();
        drop(fs::remove_dir_all(&directory));
        save_validator_key(&directory, &keys(number), sealing).unwrap();
    }

    fn set_mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.home.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn set_history(&self, key: u8, history: History) {
        fs::write(self.home.witness_file(), Witness { key: keys(key).public().consensus_key, history }.whole()).unwrap();
    }

    fn examine(&self, arguments: &[&str]) -> Examination {
        let arguments = [&["doctor", "--home", self.home.path().to_str().unwrap()], arguments].concat();
        let command = Program::try_parse_from(arguments).unwrap().doctor;
        examine(&quorate_builtin::app(), &command.layers, command.url.as_deref()).unwrap()
    }

    /// Checks that there is a finding of this name and state with these words in what was seen, and in the fix.
    fn assert(&self, arguments: &[&str], name: &str, state: State, seen: &str, fix: &str) {
        let examination = self.examine(arguments);
        let fits = |finding: &&Finding| {
            finding.name == name
                && finding.state == state
                && finding.seen.contains(seen)
                && finding.fix.as_deref().unwrap_or("").contains(fix)
        };
        assert!(examination.findings.iter().any(|finding| fits(&finding)), "{name} {state} {seen:?} {fix:?}: {:#?}", examination.findings);
        assert!(examination.findings.iter().all(|finding| (finding.state == State::Ok) == finding.fix.is_none()), "{examination:#?}");
    }
}

fn mark(genesis: &Genesis) -> Mark {
    Mark { genesis: genesis.hash(), count: 5, round: Round(9), record: Hash::default() }
}

#[test]
fn a_home_in_order_has_no_fault_and_what_cannot_be_known_is_said() {
    let patient = Patient::new();
    let examination = patient.examine(&[]);
    assert_eq!(examination.faults, 0, "{examination:#?}");
    let of = |name: &str| examination.findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("{name}")).state;
    for name in [
        "settings",
        "permissions",
        "genesis",
        "keys",
        "database",
        "membership",
        "record",
        "api.listen",
        "metrics.listen",
        "network.listen",
        "directories",
        "threads",
        "quorum",
    ] {
        assert_eq!(of(name), State::Ok, "{name}: {examination:#?}");
    }
    for name in ["node", "clock"] {
        assert_eq!(of(name), State::NotChecked, "{name}: {examination:#?}");
    }
    let before = fs::read_dir(patient.home.data()).unwrap().count();
    patient.examine(&[]);
    assert_eq!(fs::read_dir(patient.home.data()).unwrap().count(), before, "nothing is left behind");
}

#[test]
fn wrong_settings_are_all_told_and_do_not_end_the_examination() {
    let patient = Patient::new();
    patient.assert(&["--set", "api.threads=0", "--set", "log.level=inf"], "settings", State::Fault, "log.level", "config validate");
    patient.assert(&["--set", "api.threads=0"], "keys", State::Ok, "opens", "");
    fs::remove_file(patient.home.config_file()).unwrap();
    patient.assert(&[], "settings", State::Fault, "cannot read", "quorate node init");
}

#[test]
fn no_finding_tells_a_password() {
    let patient = Patient::new();
    for secret in WITH_SECRET {
        // A host that answers at once that nobody is there.
        let secret = secret.replace("@host", "@127.0.0.1:1");
        let join = format!("network.join=[{}]", toml::Value::String(secret.clone()));
        let told = format!("{:?}", patient.examine(&["--set", &join, "--set", &format!("network.resolver={secret}")]));
        assert!(!told.contains("SECRET"), "{secret}: {told}");
    }
    let told = patient.examine(&["--url", "http://user:SECRET@127.0.0.1:1"]);
    assert!(!format!("{told:?} {}", told.text(&Output::new(Format::Text, true))).contains("SECRET"), "{told:?}");
    let home = patient.home.path().to_str().unwrap();
    let command = Program::try_parse_from(["doctor", "--home", home, "--url", "http://user:pa/SECRET@host"]).unwrap().doctor;
    let refused = examine(&quorate_builtin::app(), &command.layers, command.url.as_deref()).unwrap_err();
    assert!(!format!("{refused:?}").contains("SECRET"), "{refused:?}");
}

#[test]
fn a_home_that_is_not_there_is_one_fault() {
    let patient = Patient::new();
    fs::remove_dir_all(patient.home.path()).unwrap();
    patient.assert(&[], "home", State::Fault, "there is no home at", "node init --home");
    assert_eq!(patient.examine(&[]).findings.len(), 1);
    patient.assert(&["--url", "http://127.0.0.1:1"], "node", State::Fault, "", "--url");
    fs::write(patient.home.path(), "").unwrap();
    patient.assert(&[], "home", State::Fault, "is not a directory", "--home");
}

#[test]
fn a_data_directory_that_cannot_be_entered_is_not_an_empty_one() {
    let patient = Patient::new();
    fs::remove_dir(patient.home.data()).unwrap();
    // Whoever runs this test cannot enter a file.
    fs::write(patient.home.data(), "").unwrap();
    patient.assert(&[], "database", State::NotChecked, "is not known", "as the user that runs the validator");
    patient.assert(&[], "api.listen", State::NotChecked, "is not known", "as the user that runs the validator");
    patient.assert(&[], "node", State::NotChecked, "is not known", "--url");
    patient.assert(&[], "record", State::NotChecked, "nothing yet, as far as", "database");
}

#[test]
fn what_this_user_may_not_read_is_not_checked() {
    let genesis = founders(&[HERE]);
    let patient = Patient::of(&genesis);
    let store = RocksStore::open(patient.home.database(), RocksOptions::default()).unwrap();
    drop(Ledger::open(store.clone(), &quorate_builtin::app(), &genesis).unwrap());
    drop(store);
    patient.set_mode("data/db/CURRENT", 0);
    patient.set_mode("keys/validator.signed", 0);
    if fs::File::open(patient.home.witness_file()).is_ok() {
        // Root may read everything.
        return;
    }
    patient.assert(&[], "database", State::NotChecked, "CURRENT", "as the user that runs the validator");
    patient.assert(&[], "record", State::NotChecked, "validator.signed", "as the user that runs the validator");
}

#[test]
fn loose_permissions_are_told_with_the_command_that_tightens_them() {
    let patient = Patient::new();
    for (path, mode, state) in [
        ("", 0o757, State::Fault),
        ("", 0o775, State::Warning),
        ("config/config.toml", 0o666, State::Fault),
        ("config/genesis.json", 0o664, State::Warning),
        ("keys", 0o770, State::Fault),
        ("keys", 0o755, State::Warning),
        ("data", 0o777, State::Fault),
        ("data", 0o755, State::Warning),
        ("keys/validator.signed", 0o622, State::Fault),
    ] {
        let before = fs::metadata(patient.home.path().join(path)).unwrap().permissions().mode();
        patient.set_mode(path, mode);
        patient.assert(&[], "permissions", state, &format!("has mode {mode:03o}"), "chmod go");
        patient.set_mode(path, before);
    }
    patient.set_mode("keys/validator.key", 0o644);
    patient.assert(&[], "keys", State::Fault, "accessible to other users", "chmod 600");
}

#[test]
fn a_genesis_that_is_not_the_announced_one_or_not_there_is_a_fault() {
    let patient = Patient::new();
    patient.assert(&["--genesis-hash", &"11".repeat(32)], "genesis", State::Fault, "expected 0x11", "genesis verify");
    fs::write(patient.home.config_file(), "").unwrap();
    patient.assert(&[], "genesis", State::Warning, "not configured", "config set node.genesis_hash 0x");
    fs::remove_file(patient.home.genesis_file()).unwrap();
    patient.assert(&[], "genesis", State::Fault, "genesis.json", "organisers");
    patient.assert(&[], "membership", State::NotChecked, "not known", "genesis");
}

#[test]
fn keys_that_are_missing_sealed_or_somebody_else_s_are_told_apart() {
    let patient = Patient::new();
    patient.give_keys(&Sealing::InsecurePlaintext, 9);
    patient.assert(&[], "membership", State::Fault, "not in the genesis", "--join");
    patient.assert(&["--join"], "membership", State::Warning, "not in the committee", "propose-add");
    patient.assert(&["--set", "node.signer=signer.sock"], "keys", State::Fault, "node.signer is set", "signer init");
    patient.assert(&["--set", "node.signer=signer.sock"], "signer", State::Fault, "does not answer", "signer run");

    patient.give_keys(&Sealing::Encrypted(quorate_keygen::PassphraseSource::Given(Zeroizing::new("secret".into()))), 1);
    patient.assert(&[], "keys", State::NotChecked, "encrypted", "QUORATE_PASSPHRASE");
    patient.assert(&[], "membership", State::Ok, "one has seat 0", "");
    let passphrase = patient.directory.path().join("passphrase");
    for (content, state, word) in [("secret", State::Ok, "opens"), ("wrong", State::Fault, "does not decrypt")] {
        fs::write(&passphrase, content).unwrap();
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
        patient.assert(&["--passphrase-file", passphrase.to_str().unwrap()], "keys", state, word, "");
    }
    patient.assert(&["--passphrase-file", "/nowhere"], "keys", State::Fault, "/nowhere", "node.passphrase_file");

    fs::remove_file(patient.home.key_file()).unwrap();
    patient.assert(&[], "keys", State::Fault, "validator.key", "keygen validator");
}

#[test]
fn a_record_that_is_lost_damaged_stopped_moved_or_of_another_key_names_the_way_out() {
    let patient = Patient::new();
    let (ours, other) = (mark(&founders(&[HERE])), mark(&founders(&["/ip4/127.0.0.1/tcp/1"])));
    let stop = Stop { kind: StatementKind::Vote, round: Round(12) };
    patient.set_history(1, History::Signed(ours));
    patient.assert(&[], "record", State::Fault, "signed up to round 9, but the data directory", "Lost or old data");
    let lock = DataLock::take(&patient.home.data()).unwrap();
    patient.assert(&[], "record", State::Ok, "signed up to round 9", "");
    drop(lock);
    patient.set_history(1, History::Signed(other));
    patient.assert(&[], "record", State::Fault, "signed on the network", "that network's genesis");
    patient.set_history(1, History::Stopped(ours, stop));
    patient.assert(&[], "record", State::Fault, "stopped for ever: it has signed a vote of round 12", "replace the key");
    patient.set_history(1, History::Moved(ours));
    patient.assert(&[], "record", State::Fault, "exported at round 9", "safety import");
    patient.set_history(2, History::Unused);
    patient.assert(&[], "record", State::Fault, "is of the key", "made together");
    fs::write(patient.home.witness_file(), "nonsense").unwrap();
    patient.assert(&[], "record", State::Fault, "is damaged", "Lost or old data");
    fs::remove_file(patient.home.witness_file()).unwrap();
    patient.assert(&[], "record", State::Fault, "validator.signed", "node recover");
}

#[test]
fn a_stopped_validator_s_database_is_read_and_not_changed() {
    let genesis = founders(&[HERE]);
    let patient = Patient::of(&genesis);
    let store = RocksStore::open(patient.home.database(), RocksOptions::default()).unwrap();
    drop(Ledger::open(store.clone(), &quorate_builtin::app(), &genesis).unwrap());
    drop(store);
    let listed = || {
        let entries = fs::read_dir(patient.home.database()).unwrap().map(|entry| entry.unwrap());
        let mut listed: Vec<_> = entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().len())).collect();
        listed.sort();
        listed
    };
    let before = listed();
    patient.assert(&[], "database", State::Ok, "height 0, epoch 0", "");
    patient.assert(&[], "record", State::Ok, "signed nothing yet", "");
    patient.set_history(1, History::Signed(mark(&genesis)));
    patient.assert(&[], "record", State::Fault, "SAFE-6", "Lost or old data");
    assert_eq!(listed(), before);
    fs::remove_file(patient.home.database().join("CURRENT")).unwrap();
    patient.assert(&[], "database", State::Fault, "db", "Lost or old data");
    patient.assert(&[], "record", State::NotChecked, "signed up to round 9", "database");
}

#[test]
fn a_taken_address_is_a_fault_that_names_how_to_find_who_has_it() {
    let patient = Patient::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let sport = format!("sport = :{port}");
    patient.assert(&["--api-listen", &format!("127.0.0.1:{port}")], "api.listen", State::Fault, "cannot listen", &sport);
    patient.assert(&["--set", &format!("metrics.listen=127.0.0.1:{port}")], "metrics.listen", State::Fault, "cannot listen", &sport);
    patient.assert(&["--network-listen", &format!("/ip4/127.0.0.1/tcp/{port}")], "network.listen", State::Fault, "in use", &sport);
}

#[test]
fn a_disk_below_its_limit_is_a_fault() {
    let patient = Patient::new();
    patient.assert(
        &["--set", "store.free_bytes_min=1125899906842624"],
        "disk",
        State::Fault,
        "transactions are refused",
        "store.free_bytes_min",
    );
}

#[test]
fn a_peer_that_is_away_is_a_line_and_too_few_of_them_are_a_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let patient = Patient::of(&founders(&[HERE, &there, "/dns4/nobody.invalid/tcp/1"]));
    patient.assert(&[], "peer two", State::Ok, "connects in", "");
    patient.assert(&[], "peer three", State::Warning, "cannot be resolved", "network.resolver");
    patient.assert(&[], "quorum", State::Fault, "2 of 3 voting power answer", "peers");
    let elsewhere = format!("network.peers={{ three = {there:?} }}");
    patient.assert(&["--set", &elsewhere], "peer three", State::Ok, "connects in", "");
    patient.assert(&["--set", &elsewhere], "quorum", State::Ok, "3 of 3", "");
    patient.assert(
        &["--set", "network.peers={ twoo = \"/ip4/127.0.0.1/tcp/1\" }"],
        "network.peers",
        State::Fault,
        "did you mean",
        "network.peers",
    );
    // Nobody listens on this port.
    let nowhere = "network.peers={ two = \"/ip4/127.0.0.1/tcp/1\" }";
    patient.assert(&["--set", nowhere], "peer two", State::Warning, "no connection", "firewalls");
}

#[test]
fn a_running_node_is_asked_and_one_that_does_not_answer_is_a_fault() {
    let genesis = founders(&[HERE]);
    let patient = Patient::of(&genesis);
    let node = Running::of(setup_of(keys(1), genesis, &["network.listen=/ip4/127.0.0.1/tcp/0"]), MemoryStore::new());
    node.eventually("ready", |node| {
        node.request("GET", "/readyz", &[]).status == 200 && node.get::<NodeStatus>("/v1/status").signs_nothing.is_none()
    });
    let url = format!("http://{}", node.node.api_address());
    for name in ["node", "version", "signs", "progress", "ready"] {
        patient.assert(&["--url", &url], name, State::Ok, "", "");
    }
    let stranger = Patient::of(&founders(&["/ip4/127.0.0.1/tcp/1"]));
    stranger.assert(&["--url", &url], "network", State::Fault, "of the network with genesis", "--url");
    node.node.stop();
    patient.assert(&["--url", &url], "node", State::Fault, "", "node run");

    let lock = DataLock::take(&patient.home.data()).unwrap();
    patient.assert(&[], "node", State::Fault, "has not said where its API listens", "--url");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(patient.home.api_address_file(), free.to_string()).unwrap();
    patient.assert(&[], "node", State::Fault, "its API does not answer", "its log");
    patient.assert(&[], "api.listen", State::Fault, "does not answer", "its log");
    drop(lock);
}

#[test]
fn the_table_has_a_line_for_each_finding_and_the_fixes_below() {
    let patient = Patient::new();
    let examination = patient.examine(&["--genesis-hash", &"11".repeat(32)]);
    let out = Output::new(Format::Text, true);
    let text = examination.text(&out);
    let fixes = examination.findings.iter().filter(|finding| finding.fix.is_some()).count();
    // The heading, the findings, an empty line and the fixes.
    assert_eq!(text.lines().count(), 1 + examination.findings.len() + 1 + fixes, "{text}");
    assert!(text.contains("FAULT") && text.contains("\ngenesis: "), "{text}");
    let json = serde_json::to_value(&examination).unwrap();
    assert_eq!(json["findings"][0], serde_json::json!({ "name": "settings", "state": "ok", "seen": examination.findings[0].seen }));
    assert_eq!((json["faults"].as_u64(), json["url"].is_null()), (Some(1), true));
}
