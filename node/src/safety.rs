//! What a stopped validator has signed: `quorate node safety export | import` takes the record to another machine, and `quorate node recover`
//! begins the way back of a validator that has lost it.
//!
//! The file is JSON that people can read, and holds no secret. Its checksum finds a truncated or edited file; it does not authenticate: whoever
//! moves the file must be trusted to move the right one, as with the key.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_keygen::{
    HomeArgs,
    whole_file::{self, SystemFiles},
};
use quorate_ledger::{Ledger, RocksOptions, RocksStore};
use quorate_replica::{SafetyState, TransferError, WitnessFile, forget, moved};
use quorate_terminal::{CommandError, Output, shell_word};
use quorate_types::{
    codec,
    crypto::{Hash, PublicKey, Tag},
    ids::GenesisHash,
    round::{Epoch, Round},
};
use serde::{Deserialize, Serialize};

use crate::{
    command::{Loaded, SettingArgs, load, load_config},
    home::Home,
    json_file,
    lock::DataLock,
    run::{NodeError, check_genesis_hash},
    witness_file::{WitnessError, WitnessOnDisk},
};

const FORMAT: &str = "quorate-safety-1";
/// Domain of the file's checksum.
const SAFETY_FILE: Tag = Tag::new("quorate/safety-file");
/// Longest file that is read: the largest record and certificates of the largest committee, twice over.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// Move the record of what this validator has signed to another machine. The validator must be stopped.
#[derive(Clone, Debug, Subcommand)]
pub enum SafetyCommand {
    /// Write the record to a new file. From then on this home does not start, unless the record is imported again.
    Export(TransferCommand),
    /// Raise this home to the record in a file. What the home remembers is never lowered.
    Import(TransferCommand),
}

/// `quorate node safety export | import`.
#[derive(Clone, Debug, Args)]
pub struct TransferCommand {
    /// The file with the record.
    file: PathBuf,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

/// `quorate node recover`.
#[derive(Clone, Debug, Args)]
pub struct RecoverCommand {
    /// Confirm that no other process has this validator's key, and that none will.
    #[arg(long)]
    no_other_process: bool,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    settings: SettingArgs,
}

impl RecoverCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        #[derive(Serialize)]
        struct Begun {
            home: PathBuf,
        }
        if !self.no_other_process {
            return Err(CommandError::failure(
                "unconfirmed",
                "whether the key runs anywhere else cannot be seen from here; two processes with one key sign contradictions",
            )
            .with_hint("stop every other process that has this key, then repeat the command with --no-other-process; if you cannot be sure, have the committee replace the key"));
        }
        let stopped = Stopped::open(app, &self.home, &self.settings)?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|error| CommandError::failure("system", error))?;
        let (store, key, genesis) = (&stopped.store, stopped.key, stopped.genesis_hash);
        stopped.replace_witness(|held| forget(store, held, key, genesis, Hash(nonce)))?;
        let begun = Begun { home: stopped.home.path().into() };
        out.print(&begun, || "the way back has begun".into())?;
        out.note(format_args!(
            "start the validator: `quorate node run --home {}`. It follows and signs nothing until it knows that nothing it may have signed can matter; its log and \
             /v1/status say how far it is",
            shell_word(stopped.home.path())
        ));
        Ok(())
    }
}

/// The content of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SafetyFile {
    format: String,
    consensus_key: PublicKey,
    genesis_hash: GenesisHash,
    /// How many records the key has had, this one included.
    records: u64,
    epoch: Epoch,
    highest_vote_round: Round,
    locked_round: Round,
    last_proposed_round: Round,
    /// The record itself, from which the numbers above are taken; hexadecimal.
    record: String,
    /// The certificates that led into its round, if there are any; hexadecimal.
    certificates: Option<String>,
    /// After a loss of memory: the epoch, and the last round of it, of which it is not known what was signed.
    unknown: Option<(Epoch, Round)>,
    /// Over the lines above.
    checksum: Hash,
}

impl SafetyFile {
    fn new(consensus_key: PublicKey, state: &SafetyState) -> Result<Self, CommandError> {
        let record = &state.record;
        let (genesis_hash, epoch) = record.scope();
        let mut file = Self {
            format: FORMAT.into(),
            consensus_key,
            genesis_hash,
            records: state.count,
            epoch,
            highest_vote_round: record.highest_vote_round(),
            locked_round: record.highest_qc_round(),
            last_proposed_round: record.last_proposed_round(),
            record: hex::encode(codec::encode(record)),
            certificates: state.certificates.as_ref().map(hex::encode),
            unknown: state.unknown,
            checksum: Hash::default(),
        };
        file.checksum = file.expected_checksum()?;
        Ok(file)
    }

    fn expected_checksum(&self) -> Result<Hash, CommandError> {
        let mut value = serde_json::to_value(self).map_err(NodeError::Json)?;
        value.as_object_mut().map(|fields| fields.remove("checksum"));
        Ok(Hash::of(&SAFETY_FILE, value.to_string().as_bytes()))
    }

    fn read(path: &Path) -> Result<Self, CommandError> {
        let broken = |reason: String| {
            CommandError::failure("safety-file", format!("{}: {reason}", path.display()))
                .with_hint("copy the file again, or export it again on the machine that signed last")
        };
        let file: Self = json_file::read(path, FILE_BYTES_MAX).map_err(|error| broken(error.to_string()))?;
        if file.format != FORMAT {
            return Err(broken(format!("its format is {:?}, this program reads {FORMAT:?}", file.format)));
        }
        if file.checksum != file.expected_checksum()? {
            return Err(broken("its checksum does not match: it was cut short or changed".into()));
        }
        Ok(file)
    }

    fn state(&self) -> Result<SafetyState, CommandError> {
        let failed = |error: String| CommandError::failure("safety-file", error).with_hint("export it again with this program's version");
        let bytes = |text: &String| hex::decode(text).map_err(|error| failed(error.to_string()));
        let certificates = self.certificates.as_ref().map(bytes).transpose()?;
        SafetyState::new((self.records, &bytes(&self.record)?), certificates, self.unknown).map_err(|error| failed(error.to_string()))
    }
}

/// What a command tells.
#[derive(Serialize)]
struct Told {
    file: PathBuf,
    epoch: Epoch,
    highest_vote_round: Round,
    last_proposed_round: Round,
    records: u64,
}

impl Told {
    fn new(path: &Path, file: &SafetyFile) -> Self {
        Self {
            file: path.into(),
            epoch: file.epoch,
            highest_vote_round: file.highest_vote_round,
            last_proposed_round: file.last_proposed_round,
            records: file.records,
        }
    }

    fn text(&self) -> String {
        format!(
            "epoch {}, voted up to round {}, proposed up to round {}, record {}",
            self.epoch, self.highest_vote_round, self.last_proposed_round, self.records
        )
    }
}

impl SafetyCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Export(command) => command.export(app, out),
            Self::Import(command) => command.import(app, out),
        }
    }
}

impl TransferCommand {
    fn export(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let stopped = Stopped::open(app, &self.home, &self.settings)?;
        let witness = WitnessOnDisk::open(&stopped.home.witness_file()).map_err(NodeError::from)?;
        let state = SafetyState::export(&stopped.store, Box::new(witness), stopped.key, stopped.genesis_hash).map_err(refused)?;
        let file = SafetyFile::new(stopped.key, &state)?;
        let text = serde_json::to_string_pretty(&file).map_err(NodeError::Json)? + "\n";
        whole_file::create(&SystemFiles, &self.file, text.as_bytes(), 0o644).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                CommandError::failure("exists", format!("{} already exists and is not overwritten", self.file.display()))
                    .with_hint("name another file, or move that one away")
            }
            _ => CommandError::failure("io", format!("{}: {error}", self.file.display())),
        })?;
        // The file is durable. From here on this home does not start.
        let (key, genesis) = (stopped.key, stopped.genesis_hash);
        stopped.replace_witness(|held| moved(held.unwrap_or_default(), key, genesis))?;
        let told = Told::new(&self.file, &file);
        out.print(&told, || told.text())?;
        out.note(format_args!(
            "import it on the other machine. The home {} does not start any more; importing the file there would bring it back",
            shell_word(stopped.home.path())
        ));
        Ok(())
    }

    fn import(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let file = SafetyFile::read(&self.file)?;
        let state = file.state()?;
        let stopped = Stopped::open(app, &self.home, &self.settings)?;
        if file.consensus_key != stopped.key {
            let message = format!("{} is of the key {}, this home has {}", self.file.display(), file.consensus_key, stopped.key);
            return Err(CommandError::failure("other-key", message).with_hint("export on the machine that ran with this home's key"));
        }
        let (store, key, genesis) = (&stopped.store, stopped.key, stopped.genesis_hash);
        stopped.replace_witness(|held| state.import(store, held, key, genesis))?;
        let told = Told::new(&self.file, &file);
        out.print(&told, || told.text())?;
        out.good("this home may be started, if the other one never is again");
        Ok(())
    }
}

/// The home of a stopped validator, locked against being started.
pub(crate) struct Stopped {
    pub(crate) home: Home,
    pub(crate) key: PublicKey,
    pub(crate) genesis_hash: GenesisHash,
    pub(crate) store: RocksStore,
    _lock: DataLock,
}

impl Stopped {
    pub(crate) fn open(app: &App, home: &HomeArgs, settings: &SettingArgs) -> Result<Self, CommandError> {
        let home = Home::new(home.path()?);
        let config = load_config(&home, settings)?;
        let Loaded { home, config, keys, genesis, .. } = load(app, home, config, true)?;
        let genesis_hash = check_genesis_hash(&genesis, &config)?;
        home.create().map_err(|(path, error)| CommandError::failure("io", format!("{}: {error}", path.display())))?;
        let lock = DataLock::take(&home.data())?;
        let store = RocksStore::open(home.database(), RocksOptions::default()).map_err(NodeError::from)?;
        // A new home gets its genesis state, and one of another network is refused.
        drop(Ledger::open(store.clone(), app, &genesis).map_err(NodeError::from)?);
        Ok(Self { home, key: keys.public().consensus_key, genesis_hash, store, _lock: lock })
    }

    /// Replaces the witness by what `change` makes of its present content, if there is any. It stays locked until then.
    fn replace_witness(&self, change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, TransferError>) -> Result<(), CommandError> {
        let path = self.home.witness_file();
        let held = match WitnessOnDisk::open(&path) {
            Ok(witness) => Some(witness),
            Err(WitnessError::Missing(_)) => None,
            Err(error) => return Err(NodeError::from(error).into()),
        };
        let content = held.as_ref().map(WitnessFile::read).transpose().map_err(NodeError::from)?;
        let content = change(content.as_deref()).map_err(refused)?;
        whole_file::replace(&SystemFiles, &path, &content, 0o600).map_err(|error| {
            CommandError::failure("io", format!("{}: {error}", path.display()))
                .with_hint("this home cannot be started like this; make the directory writable and repeat the command")
        })
    }
}

pub(crate) fn refused(error: TransferError) -> CommandError {
    let code = match &error {
        TransferError::Home(_) => "recover",
        TransferError::Abstains => "abstains",
        TransferError::Unused => "unused",
        TransferError::Behind { .. } => "older",
        TransferError::Differs(_) | TransferError::Lowers(_) => "contradicts",
    };
    CommandError::failure(code, error)
}
