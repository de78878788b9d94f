//! `quorate debug bundle`: what helps somebody else to find a fault, in one archive, without a secret.
//!
//! It holds what the node answers to everybody, the settings without the passwords of URLs, what `quorate doctor` finds, and the end of the log. Of
//! the keys it holds the public halves, which the doctor names.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use flate2::{Compression, write::GzEncoder};
use quorate_app::App;
use quorate_client::{Client, api};
use quorate_keygen::whole_file::{self, SystemFiles};
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use super::{examine, listening_at, running::answer};
use crate::{
    event_loop::unix_now,
    home::Home,
    machine,
    run::NodeError,
    settings::{LayerArgs, layers::Layers, passwords},
};

/// Bytes of the log that are taken, from its end.
const LOG_BYTES_MAX: u64 = 1 << 20;
/// The directory in the archive.
const DIRECTORY: &str = "quorate-debug";
/// What a node is asked.
const QUESTIONS: [(&str, &str); 5] = [
    ("status.json", api::STATUS),
    ("consensus.json", api::CONSENSUS),
    ("drops.json", api::DROPS),
    ("evidence.json", api::EVIDENCE),
    ("readyz.json", api::READYZ),
];

/// Collect what helps to find a fault.
#[derive(Clone, Debug, Subcommand)]
pub enum DebugCommand {
    /// Write status, metrics, settings, the end of the log and the findings of the doctor to an archive. It holds no key and no passphrase.
    Bundle(BundleCommand),
}

/// `quorate debug bundle`.
#[derive(Clone, Debug, Args)]
pub struct BundleCommand {
    /// The archive to write, such as acme.tar.gz; it must not exist.
    file: PathBuf,
    #[command(flatten)]
    layers: LayerArgs,
    /// URL of the running node's API [default: where the home's own node listens].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file to which the node's log goes; its last MiB is taken.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// A file of the archive.
type Entry = (&'static str, Vec<u8>);

impl DebugCommand {
    /// Runs the command for a node of this application. Must not be called from within a tokio runtime.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        machine::forbid_core_dumps();
        let Self::Bundle(command) = self;
        command.run(app, out)
    }
}

impl BundleCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Bundled {
            file: PathBuf,
            entries: Vec<&'static str>,
        }
        if self.file.exists() {
            return Err(exists(&self.file));
        }
        let progress = out.progress("collecting");
        let entries = self.entries(app)?;
        let archive = archive(&entries).map_err(|error| CommandError::failure("io", error))?;
        drop(progress);
        whole_file::create(&SystemFiles, &self.file, &archive, 0o600).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.file),
            _ => CommandError::failure("io", format!("{}: {error}", self.file.display())),
        })?;
        let bundled = Bundled { file: self.file, entries: entries.iter().map(|(name, _)| *name).collect() };
        out.print(&bundled, || bundled.file.display().to_string())?;
        out.note(format_args!("it holds {}; look at it before you send it (tar tzf)", bundled.entries.join(", ")));
        Ok(())
    }

    fn entries(&self, app: &App) -> Result<Vec<Entry>, CommandError> {
        let examination = examine(app, &self.layers, self.url.as_deref())?;
        let (home, layers) = self.layers.read()?;
        let settings = Layers::to_toml(&layers.settings(), |setting| Some(setting.origin.to_string()));
        let mut entries: Vec<Entry> = vec![
            ("version.txt", env!("CARGO_PKG_VERSION").into()),
            ("doctor.json", serde_json::to_vec_pretty(&examination).map_err(NodeError::from)?),
            ("config.toml", settings.into_bytes()),
        ];
        let mut missing = String::new();
        let url = self.url.clone().or(examination.url);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NodeError::System)?;
        runtime.block_on(ask(&home, url.as_deref(), &mut entries, &mut missing));
        runtime.shutdown_timeout(Duration::ZERO);
        if let Some(log) = &self.log {
            match end_of(log) {
                Ok(end) => entries.push(("log.txt", end)),
                Err(error) => missing.extend(["log.txt: ", &log.display().to_string(), ": ", &error.to_string(), "\n"]),
            }
        }
        if !missing.is_empty() {
            entries.push(("missing.txt", missing.into_bytes()));
        }
        for (_, content) in &mut entries {
            *content = passwords::in_text(&String::from_utf8_lossy(content)).into_bytes();
        }
        Ok(entries)
    }
}

fn exists(file: &Path) -> CommandError {
    CommandError::failure("exists", format!("{} already exists and is not overwritten", file.display()))
        .with_hint("name another file, or move that one away")
}

/// Adds a node's answers, and notes those that did not come.
async fn ask(home: &Home, url: Option<&str>, entries: &mut Vec<Entry>, missing: &mut String) {
    let metrics = listening_at(&home.metrics_address_file()).map(|address| format!("http://{address}"));
    let of_api = url.map(|url| QUESTIONS.map(|(name, path)| (name, url.to_owned(), path)));
    let of_metrics = metrics.map(|url| ("metrics.txt", url, api::METRICS));
    for (name, url, path) in of_api.into_iter().flatten().chain(of_metrics) {
        let answered = match Client::new(&[&url]) {
            Ok(client) => answer(client.body(path)).await,
            Err(error) => Err(error.to_string()),
        };
        match answered {
            Ok(body) => entries.push((name, body)),
            Err(error) => missing.extend([name, ": ", &error, "\n"]),
        }
    }
}

/// The end of a log, from the beginning of a line.
fn end_of(log: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(log)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut file = fs::File::open(log)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LOG_BYTES_MAX);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut end)?;
    if start > 0 {
        let line = end.iter().position(|byte| *byte == b'\n').map_or(end.len(), |at| at.saturating_add(1));
        end.drain(..line);
    }
    Ok(end)
}

fn archive(entries: &[Entry]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).map_err(io::Error::other)?);
        header.set_mode(0o644);
        header.set_mtime(unix_now().0 / 1_000);
        archive.append_data(&mut header, format!("{DIRECTORY}/{name}"), content.as_slice())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use flate2::read::GzDecoder;
    use quorate_keygen::{PassphraseSource, Sealing};
    use quorate_ledger::MemoryStore;
    use quorate_terminal::Format;
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        doctor::tests::{Patient, founders},
        lock::DataLock,
        testing::{Running, keys, setup_of},
    };

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: DebugCommand,
    }

    fn bundle(patient: &Patient, file: &Path, more: &[&str]) -> Result<(), CommandError> {
        let (file, home) = (file.to_str().unwrap(), patient.home.path().to_str().unwrap());
        let arguments = [&["debug", "bundle", file, "--home", home], more].concat();
        Program::try_parse_from(arguments).unwrap().command.run(&quorate_builtin::app(), &Output::kept(Format::Text))
    }

    fn content(file: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(file).unwrap()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().strip_prefix(DIRECTORY).unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (name, content)
        });
        entries.collect()
    }

    /// What `keys` are made of, in every form in which they might be written.
    fn secrets(patient: &Patient) -> Vec<Vec<u8>> {
        let mut secrets = vec![b"correct horse".to_vec(), b"AGE ENCRYPTED".to_vec(), b"url-password".to_vec()];
        for seed in [[1u8; 32], [101u8; 32]] {
            secrets.extend([seed.to_vec(), hex::encode(seed).into_bytes(), hex::encode_upper(seed).into_bytes()]);
            // As a list of numbers.
            secrets.push(format!("[{0}, {0}, {0}", seed[0]).into_bytes());
            secrets.push(format!("[{0},{0},{0}", seed[0]).into_bytes());
        }
        let sealed = fs::read_to_string(patient.home.key_file()).unwrap();
        secrets.extend(sealed.lines().filter(|line| line.len() > 16).map(|line| line.as_bytes().to_vec()));
        secrets
    }

    #[test]
    fn the_bundle_of_a_running_node_is_complete_and_holds_no_secret() {
        let genesis = founders(&["/ip4/127.0.0.1/tcp/6180"]);
        let patient = Patient::of(&genesis);
        let node = Running::of(setup_of(keys(1), genesis, &["network.listen=/ip4/127.0.0.1/tcp/0"]), MemoryStore::new());
        fs::write(patient.home.api_address_file(), node.node.api_address().to_string()).unwrap();
        fs::write(patient.home.metrics_address_file(), node.node.metrics_address().to_string()).unwrap();
        let lock = DataLock::take(&patient.home.data()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let passphrase = directory.path().join("passphrase");
        quorate_keygen::private_file::create(&passphrase, b"correct horse\n", quorate_keygen::private_file::Secrecy::Private).unwrap();
        let log = directory.path().join("node.log");
        fs::write(&log, "a line\n".repeat(200_000)).unwrap();
        let join = "network.join=[\"http://user:url-password@127.0.0.1:1\"]";
        let malformed = format!("network.peers={{ two = {:?} }}", "user:SECRET@host");
        let more = ["--passphrase-file", passphrase.to_str().unwrap(), "--log", log.to_str().unwrap(), "--set", join, "--set", &malformed];
        for (name, sealing) in [
            ("plain", Sealing::InsecurePlaintext),
            ("sealed", Sealing::Encrypted(PassphraseSource::Given(Zeroizing::new("correct horse".into())))),
        ] {
            patient.give_keys(&sealing, 1);
            let file = directory.path().join(format!("{name}.tar.gz"));
            bundle(&patient, &file, &more).unwrap();
            let content = content(&file);
            let names: Vec<_> = content.keys().map(String::as_str).collect();
            let expected = [
                "config.toml",
                "consensus.json",
                "doctor.json",
                "drops.json",
                "evidence.json",
                "log.txt",
                "metrics.txt",
                "readyz.json",
                "status.json",
                "version.txt",
            ];
            assert_eq!(names, expected, "{:?}", content.get("missing.txt"));
            let text = |name: &str| String::from_utf8(content[name].clone()).unwrap();
            assert!(text("status.json").contains("genesis_hash") && text("metrics.txt").contains("quorate_"));
            assert!(text("doctor.json").contains("opens; consensus key"), "the keys were opened: {}", text("doctor.json"));
            assert!(text("config.toml").contains("join = [\"http://***@127.0.0.1:1\"]  # command line"), "{}", text("config.toml"));
            let log = &content["log.txt"];
            assert!(log.len() as u64 <= LOG_BYTES_MAX && log.starts_with(b"a line\n") && log.len() > 1_000_000);
            assert!(content.values().all(|content| !String::from_utf8_lossy(content).contains("SECRET")));
            for secret in secrets(&patient) {
                for (name, content) in &content {
                    let found = content.windows(secret.len()).any(|window| window == secret);
                    assert!(!found, "{name} holds {:?}", String::from_utf8_lossy(&secret));
                }
            }
        }
        drop(lock);
        node.node.stop();
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_is_overwritten() {
        let patient = Patient::of(&founders(&["/ip4/127.0.0.1/tcp/6180"]));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("bundle.tar.gz");
        bundle(&patient, &file, &["--url", "http://127.0.0.1:1", "--log", "/nowhere"]).unwrap();
        let content = content(&file);
        let missing = String::from_utf8(content["missing.txt"].clone()).unwrap();
        assert!(missing.contains("status.json: ") && missing.contains("log.txt: /nowhere"), "{missing}");
        assert!(content.contains_key("doctor.json") && content.contains_key("config.toml"));
        assert_eq!(bundle(&patient, &file, &[]).unwrap_err().code, "exists");
    }
}
