//! `quorate genesis`: the steps of the ceremony.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_keygen::{HomeArgs, PassphraseArgs, command::KEYS_DIRECTORY, load_validator_key, validator::VALIDATOR_KEY_FILE};
use quorate_terminal::{CommandError, Output, shell_word};
use quorate_types::{
    committee::{Validator, VotingPower},
    genesis::{Genesis, GenesisValidator, Parameters, ParametersChange},
    governance::{Authority, Board},
    ids::{Address, ChainId, GenesisHash},
    permission::{Access, Permission},
    round::UnixMillis,
    settings::Settings,
};
use serde::Serialize;

use crate::{
    address,
    ceremony::{Draft, build, check, check_address, check_application},
    error::CeremonyError,
    file,
};

/// Create a genesis together with other organisations, and verify one. `S` holds the options that become the application's settings.
#[derive(Clone, Debug, Subcommand)]
pub enum Command<S: SettingsArgs> {
    /// Write a draft: everything in a genesis except the validators.
    New(NewCommand<S>),
    /// Sign a validator's entry with its own keys; works offline.
    AddValidator(AddValidatorCommand),
    /// Build the genesis from a draft and the signed entries of all validators.
    Build(BuildCommand),
    /// Verify a genesis, proofs of possession included.
    Verify(VerifyCommand),
    /// Show a genesis without verifying it.
    Show(ShowCommand),
}

/// `quorate genesis new`.
#[derive(Clone, Debug, Args)]
pub struct NewCommand<S: SettingsArgs> {
    /// Network name.
    #[arg(long)]
    name: String,
    /// Chain id, different from every other network's [default: random].
    #[arg(long, value_name = "N")]
    chain_id: Option<u64>,
    /// Time of the genesis block, in milliseconds since 1970 [default: now].
    #[arg(long, value_name = "MS")]
    timestamp: Option<u64>,
    #[command(flatten)]
    settings: S,
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    permissions: PermissionArgs,
    /// File to write.
    #[arg(long, value_name = "FILE", default_value = "genesis-draft.json")]
    out: PathBuf,
}

/// Options for the parameters of a genesis.
#[derive(Clone, Debug, Default, Args)]
pub struct ParameterArgs {
    /// Maximum transactions per block, 1 to 8192.
    #[arg(long, value_name = "N")]
    block_transactions_max: Option<u32>,
    /// Maximum transaction bytes per block, 65536 to 1048576.
    #[arg(long, value_name = "N")]
    block_bytes_max: Option<u32>,
    /// Initial round timeout; at least five times the network delay.
    #[arg(long, value_name = "MS")]
    timeout_base_ms: Option<u32>,
    /// Timeout of each further round without a commit, in percent of the one before, 100 to 300.
    #[arg(long, value_name = "PERCENT")]
    timeout_growth_percent: Option<u32>,
    /// Maximum round timeout.
    #[arg(long, value_name = "MS")]
    timeout_max_ms: Option<u32>,
    /// How long an idle chain waits before making an empty block.
    #[arg(long, value_name = "MS")]
    heartbeat_ms: Option<u32>,
    /// Leader reputation: number of recent committed blocks considered.
    #[arg(long, value_name = "N")]
    window_size: Option<u32>,
    /// Leader reputation: number of recent authors that are not elected, f to 2f [default: f].
    #[arg(long, value_name = "N")]
    exclude_size: Option<u32>,
    /// Who may send transactions: on an `open` chain every key, on a `permissioned` one only accounts with the role.
    #[arg(long, value_name = "ACCESS", value_parser = access)]
    access: Option<Access>,
    /// Maximum share of one account in a block, in percent of its transactions and of its effects, 1 to 100.
    #[arg(long, value_name = "PERCENT")]
    account_block_percent: Option<u32>,
    /// Maximum size of the state, in bytes.
    #[arg(long, value_name = "BYTES")]
    state_bytes_max: Option<u64>,
    /// Maximum bytes that the transactions of one block may write and answer with, together.
    #[arg(long, value_name = "BYTES")]
    block_effect_bytes_max: Option<u32>,
}

/// Options of `genesis new` that become the application's settings.
pub trait SettingsArgs: Args + Clone + std::fmt::Debug {
    /// The settings these options describe.
    ///
    /// # Errors
    /// [`CommandError`].
    fn settings(&self, app: &App, parameters: &Parameters) -> Result<Settings, CommandError>;
}

/// Settings from a file, for any application.
#[derive(Clone, Debug, Default, Args)]
pub struct SettingsFile {
    /// JSON file with the application's settings [default: the application's defaults].
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl SettingsArgs for SettingsFile {
    fn settings(&self, app: &App, _: &Parameters) -> Result<Settings, CommandError> {
        match &self.settings {
            Some(path) => Ok(file::load_settings(path)?),
            None => Ok(app.default_settings()),
        }
    }
}

impl ParameterArgs {
    /// The parameters that these options change.
    #[must_use]
    pub fn change(&self) -> ParametersChange {
        ParametersChange {
            block_transactions_max: self.block_transactions_max,
            block_bytes_max: self.block_bytes_max,
            timeout_base_ms: self.timeout_base_ms,
            timeout_growth_percent: self.timeout_growth_percent,
            timeout_max_ms: self.timeout_max_ms,
            heartbeat_ms: self.heartbeat_ms,
            window_size: self.window_size,
            exclude_size: self.exclude_size,
            access: self.access,
            account_block_percent: self.account_block_percent,
            state_bytes_max: self.state_bytes_max,
            block_effect_bytes_max: self.block_effect_bytes_max,
        }
    }
}

/// Who decides on changes, and who may do what from the start.
#[derive(Clone, Debug, Default, Args)]
pub struct PermissionArgs {
    /// Account that decides on changes of the chain, one of a board [default: the validators' operators decide]; repeat it.
    #[arg(long = "board", value_name = "ADDRESS", requires = "board_needs")]
    board: Vec<Address>,
    /// How many of the board must approve a change.
    #[arg(long, value_name = "N", requires = "board")]
    board_needs: Option<u16>,
    /// Account that may send transactions on a permissioned chain; repeat it.
    #[arg(long = "may-send", value_name = "ADDRESS")]
    may_send: Vec<Address>,
    /// Account that may give and take permissions; repeat it.
    #[arg(long = "may-grant", value_name = "ADDRESS")]
    may_grant: Vec<Address>,
}

impl PermissionArgs {
    fn authority(&self) -> Authority {
        match self.board_needs {
            Some(needed) => Authority::Board(Board { members: self.board.iter().copied().collect(), needed }),
            None => Authority::Operators,
        }
    }

    fn permissions(&self) -> BTreeMap<Address, Permission> {
        let mut permissions: BTreeMap<Address, Permission> = BTreeMap::new();
        for account in &self.may_send {
            permissions.entry(*account).or_default().send = true;
        }
        for account in &self.may_grant {
            permissions.entry(*account).or_default().grant = true;
        }
        permissions
    }
}

/// Reads an [`Access`].
fn access(text: &str) -> Result<Access, String> {
    match text {
        "open" => Ok(Access::Open),
        "permissioned" => Ok(Access::Permissioned),
        _ => Err("it is open or permissioned".into()),
    }
}

/// `quorate genesis add-validator`.
#[derive(Clone, Debug, Args)]
pub struct AddValidatorCommand {
    /// Draft file, the same for all organisations; to join a network that runs, its genesis.
    #[arg(long, value_name = "FILE", default_value = "genesis-draft.json")]
    draft: PathBuf,
    /// Validator name.
    #[arg(long)]
    name: String,
    /// Address where other validators reach it, such as /ip4/10.0.0.1/tcp/6180 or /dns4/node.example.org/tcp/6180.
    #[arg(long, value_name = "MULTIADDRESS")]
    address: String,
    /// Allow a loopback address, for a network whose validators all run on one machine.
    #[arg(long)]
    loopback: bool,
    /// Voting power; 0 for an observer, which follows and serves, but does not vote.
    #[arg(long, value_name = "N", default_value_t = 1)]
    power: u64,
    /// Account that speaks for the validator when the committee changes [default: none, so that it has no say].
    #[arg(long, value_name = "ADDRESS")]
    operator: Option<Address>,
    /// Validator key file [default: keys/validator.key in the home directory].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    home: HomeArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File to write [default: NAME.fragment.json].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `quorate genesis build`.
#[derive(Clone, Debug, Args)]
pub struct BuildCommand {
    /// Draft file.
    #[arg(long, value_name = "FILE", default_value = "genesis-draft.json")]
    draft: PathBuf,
    /// Fragment files: the signed entries of all validators.
    #[arg(required = true, value_name = "FRAGMENT")]
    fragments: Vec<PathBuf>,
    /// File to write.
    #[arg(long, value_name = "FILE", default_value = "genesis.json")]
    out: PathBuf,
}

/// `quorate genesis verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyCommand {
    /// Genesis file.
    #[arg(value_name = "FILE", default_value = "genesis.json")]
    file: PathBuf,
    /// Genesis hash that was agreed on; any other is an error.
    #[arg(long, value_name = "HASH")]
    hash: Option<GenesisHash>,
}

/// `quorate genesis show`.
#[derive(Clone, Debug, Args)]
pub struct ShowCommand {
    /// Genesis file.
    #[arg(value_name = "FILE", default_value = "genesis.json")]
    file: PathBuf,
}

impl<S: SettingsArgs> Command<S> {
    /// Runs the command for networks of this application.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::New(command) => command.run(app, out),
            Self::AddValidator(command) => command.run(app, out),
            Self::Build(command) => command.run(app, out),
            Self::Verify(command) => command.run(app, out),
            Self::Show(command) => show(&file::load_unchecked(&command.file)?, None, out),
        }
    }
}

impl<S: SettingsArgs> NewCommand<S> {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let chain_id = ChainId(self.chain_id.map_or_else(random_chain_id, Ok)?);
        let timestamp = UnixMillis(self.timestamp.map_or_else(now, Ok)?);
        let parameters = self.parameters.change().after(&Parameters::default());
        let application = app.in_genesis(self.settings.settings(app, &parameters)?);
        let network = Genesis {
            authority: self.permissions.authority(),
            permissions: self.permissions.permissions(),
            ..Genesis::draft(chain_id, &self.name, timestamp, parameters, application)
        };
        let draft = Draft::new(app, network)?;
        file::write(&self.out, &draft)?;
        out.note(format_args!(
            "wrote {}; give it to every organisation to run: quorate genesis add-validator --draft {} --name NAME --address MULTIADDRESS",
            self.out.display(),
            shell_word(&self.out)
        ));
        out.print(&draft, || format!("name      {}\nchain id  {}\nfile      {}", draft.name, draft.chain_id, self.out.display()))
    }
}

impl AddValidatorCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let draft = file::load_draft(&self.draft)?;
        let path = match self.key {
            Some(path) => path,
            None => self.home.path()?.join(KEYS_DIRECTORY).join(VALIDATOR_KEY_FILE),
        };
        let file = self.out.unwrap_or_else(|| PathBuf::from(format!("{}.fragment.json", self.name.replace(['/', '\\'], "_"))));
        // Fail before prompting for a passphrase.
        draft.check(app)?;
        check_address(&self.name, &self.address)?;
        if address::is_loopback(&self.address) && !self.loopback {
            return Err(CeremonyError::Loopback { name: self.name, address: self.address }.into());
        }
        file::refuse_existing(&file)?;
        let keys = load_validator_key(&path, &self.passphrase.source())?;
        let public = keys.public();
        let validator = Validator {
            name: self.name,
            consensus_key: public.consensus_key,
            network_key: public.network_key,
            address: self.address,
            power: VotingPower(self.power),
            operator: self.operator,
        };
        let fragment = draft.fragment(app, validator, &keys.consensus, &keys.network())?;
        file::write(&file, &fragment)?;
        out.note(format_args!("wrote {}; give it to the organisation that builds the genesis", file.display()));
        if self.operator.is_none() {
            out.note("this validator has no operator, so it will have no say in changes of the committee; --operator ADDRESS names one");
        }
        out.print(&fragment, || {
            let validator = &fragment.validator.validator;
            format!(
                "network    {} (chain id {})\nvalidator  {}\naddress    {}\npower      {}\noperator   {}\nkey        {}\nfile       {}",
                draft.name,
                draft.chain_id,
                validator.name,
                validator.address,
                validator.power.0,
                operator(validator),
                validator.consensus_key,
                file.display()
            )
        })
    }
}

impl BuildCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let draft = file::load_draft(&self.draft)?;
        let fragments = self.fragments.iter().map(|path| file::load_fragment(path)).collect::<Result<_, _>>()?;
        let genesis = build(app, &draft, fragments)?;
        file::write(&self.out, &genesis)?;
        out.note(format_args!(
            "wrote {}; every organisation should verify it: quorate genesis verify {} --hash {}",
            self.out.display(),
            shell_word(&self.out),
            genesis.hash()
        ));
        show(&genesis, None, out)?;
        note_powers(&genesis, out);
        Ok(())
    }
}

impl VerifyCommand {
    fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let genesis = file::load_unchecked(&self.file)?;
        check(&genesis)?;
        check_application(app, &genesis)?;
        let actual = genesis.hash();
        if let Some(wanted) = self.hash.filter(|wanted| *wanted != actual) {
            return Err(CeremonyError::OtherHash { actual, wanted }.into());
        }
        show(&genesis, Some(true), out)?;
        note_powers(&genesis, out);
        out.good(format_args!("verified: {} validators hold their keys, {actual}", genesis.validators.len()));
        if self.hash.is_none() {
            out.note("compare this hash with the other organisations over another channel than the one the file came by");
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    genesis_hash: GenesisHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    genesis: &'a Genesis,
}

fn show(genesis: &Genesis, verified: Option<bool>, out: &Output) -> Result<(), CommandError> {
    let genesis_hash = genesis.hash();
    let total_power = total_power(genesis);
    // Through JSON, with the file's names: parameters that are added later are shown too.
    let shown = |error| CommandError::failure("output", error);
    let parameters = serde_json::to_value(genesis.parameters).map_err(shown)?;
    let settings = serde_json::to_value(&genesis.application.settings).map_err(shown)?;
    out.print(&Shown { genesis_hash, verified, genesis }, || {
        let validators = out.table(
            &["validator", "power", "share", "operator", "address", "consensus key"],
            genesis.validators.iter().map(|entry| {
                let validator = &entry.validator;
                let share = format!("{} %", u128::from(validator.power.0).saturating_mul(100) / total_power.max(1));
                let power = validator.power.0.to_string();
                let key = validator.consensus_key.to_string();
                vec![validator.name.clone(), power, share, operator(validator), validator.address.clone(), key]
            }),
        );
        let parameters = out.table(
            &["parameter", "value"],
            rows(None, &parameters),
        );
        let settings = out.table(&["setting", "value"], rows(None, &settings));
        let permissions = if genesis.permissions.is_empty() { String::new() } else { format!("\n\n{}", permission_table(genesis, out)) };
        let governed = match &genesis.authority {
            Authority::Operators => "the validators' operators, with a quorum of the power".into(),
            Authority::Board(Board { members, needed }) => {
                format!("{needed} of {}: {}", members.len(), members.iter().map(Address::to_string).collect::<Vec<_>>().join(", "))
            }
        };
        format!(
            "network       {}\nchain id      {}\ntimestamp     {} ms\napplication   {} version {}\nauthority     {governed}\ngenesis hash  {genesis_hash}\n\n{validators}\n\n{parameters}\n\n{settings}{permissions}",
            genesis.name, genesis.chain_id, genesis.timestamp, genesis.application.name, genesis.application.version
        )
    })
}

fn permission_table(genesis: &Genesis, out: &Output) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let row = |(account, permission): (&Address, &Permission)| {
        vec![account.to_string(), yes(permission.send), yes(permission.grant), yes(permission.frozen)]
    };
    out.table(&["account", "may send", "may grant", "frozen"], genesis.permissions.iter().map(row))
}

fn operator(validator: &Validator) -> String {
    validator.operator.map_or_else(|| "none".into(), |operator| operator.to_string())
}

/// A row for each value; values in a group are prefixed with its name.
fn rows(group: Option<&str>, values: &serde_json::Value) -> Vec<Vec<String>> {
    let row = |(name, value): (&String, &serde_json::Value)| {
        let name = group.map_or_else(|| name.clone(), |group| format!("{group}.{name}"));
        match value {
            serde_json::Value::Object(_) => rows(Some(&name), value),
            // A list of objects has a row for each.
            serde_json::Value::Array(values) if values.iter().any(serde_json::Value::is_object) => {
                values.iter().map(|value| vec![name.clone(), compact(value)]).collect()
            }
            value => vec![vec![name, compact(value)]],
        }
    };
    values.as_object().into_iter().flatten().flat_map(row).collect()
}

/// The values of an object without names; strings without quotes.
fn compact(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(values) => values.values().map(compact).collect::<Vec<_>>().join("  "),
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn total_power(genesis: &Genesis) -> u128 {
    genesis.validators.iter().fold(0, |sum, entry| sum.saturating_add(u128::from(entry.validator.power.0)))
}

/// Names the validators that can halt the network alone: a high power in another organisation's fragment is easily overlooked.
fn note_powers(genesis: &Genesis, out: &Output) {
    let total = total_power(genesis);
    // With three or fewer, every validator can.
    if genesis.validators.len() <= 3 {
        return;
    }
    // A quorum is more than two thirds of the power, so a missing third halts the network.
    for GenesisValidator { validator, .. } in &genesis.validators {
        if u128::from(validator.power.0).saturating_mul(3) >= total {
            out.note(format_args!(
                "validator {:?} has {} of {total} power: without it nothing is committed, and the network does not tolerate its failure",
                validator.name, validator.power.0
            ));
        }
    }
}

/// Nonzero and below 2^53, so that JSON readers with floating-point numbers keep it exactly.
fn random_chain_id() -> Result<u64, CeremonyError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(CeremonyError::Randomness)?;
    Ok((u64::from_le_bytes(bytes) >> 11).max(1))
}

fn now() -> Result<u64, CommandError> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or_else(|| {
        CommandError::failure("clock", "the clock of this machine is before 1970").with_hint("set the clock, or pass --timestamp MS")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use clap::{CommandFactory, Parser};
    use quorate_keygen::{Sealing, ValidatorKeys, save_validator_key};
    use quorate_terminal::Format;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Command<SettingsFile>,
    }

    fn run(directory: &Path, arguments: &[&str]) -> Result<(), CommandError> {
        let home = directory.to_str().unwrap();
        let arguments = arguments.iter().map(|argument| argument.replace("HOME", home));
        let program = Program::try_parse_from(std::iter::once("genesis".to_owned()).chain(arguments)).unwrap();
        program.command.run(&quorate_builtin::app(), &Output::new(Format::Json, true))
    }

    fn ceremony(directory: &Path) {
        let settings = format!(r#"{{"accounts": [{{"address": "{}", "balance": "1000"}}]}}"#, Address::default());
        fs::write(directory.join("settings.json"), settings).unwrap();
        let settings = ["--settings", "HOME/settings.json", "--out", "HOME/draft.json"];
        run(directory, &[&["new", "--name", "t", "--chain-id", "7", "--timestamp", "1"][..], &settings].concat()).unwrap();
        for number in 1..=4 {
            let keys = directory.join(format!("keys{number}"));
            save_validator_key(&keys, &ValidatorKeys::generate().unwrap(), &Sealing::InsecurePlaintext).unwrap();
            let (name, address) = (format!("v{number}"), format!("/ip4/127.0.0.1/tcp/{}", 6180 + number));
            let (key, out) = (format!("HOME/keys{number}/validator.key"), format!("HOME/{number}.json"));
            run(
                directory,
                &[
                    "add-validator",
                    "--draft",
                    "HOME/draft.json",
                    "--name",
                    &name,
                    "--address",
                    &address,
                    "--loopback",
                    "--key",
                    &key,
                    "--out",
                    &out,
                ],
            )
            .unwrap();
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        assert!(Program::try_parse_from(["genesis", "build"]).is_err(), "no fragments");
    }

    #[test]
    fn a_ceremony_of_four_gives_the_same_bytes_twice_and_verifies() {
        let home = tempfile::tempdir().unwrap();
        ceremony(home.path());
        let build = |order: [&str; 4], out: &str| {
            let mut arguments = vec!["build", "--draft", "HOME/draft.json", "--out", out];
            arguments.extend(order);
            run(home.path(), &arguments)
        };
        build(["HOME/1.json", "HOME/2.json", "HOME/3.json", "HOME/4.json"], "HOME/a.json").unwrap();
        build(["HOME/3.json", "HOME/1.json", "HOME/4.json", "HOME/2.json"], "HOME/b.json").unwrap();
        let (a, b) = (fs::read(home.path().join("a.json")).unwrap(), fs::read(home.path().join("b.json")).unwrap());
        assert_eq!(a, b);
        let genesis = file::load(&home.path().join("a.json")).unwrap();
        let hash = genesis.hash().to_string();
        run(home.path(), &["verify", "HOME/a.json", "--hash", &hash]).unwrap();
        let other = run(home.path(), &["verify", "HOME/a.json", "--hash", &Address::default().to_string()]).unwrap_err();
        assert_eq!((other.code.as_str(), other.exit.code()), ("other-hash", 7));
        let again = build(["HOME/1.json", "HOME/2.json", "HOME/3.json", "HOME/4.json"], "HOME/a.json").unwrap_err();
        assert_eq!(again.code, "exists");
    }

    #[test]
    fn an_entry_names_its_operator_and_one_without_is_told_what_it_lacks() {
        let home = tempfile::tempdir().unwrap();
        ceremony(home.path());
        let operator = Address::of(&quorate_types::crypto::SigningKey::from_seed(&[7; 32]).public());
        let add = |file: &str, more: &[&str]| {
            let (file, home) = (format!("{}/{file}", home.path().display()), home.path().display().to_string());
            let (draft, key) = (format!("{home}/draft.json"), format!("{home}/keys1/validator.key"));
            let usual = [
                "genesis",
                "add-validator",
                "--draft",
                &draft,
                "--key",
                &key,
                "--out",
                &file,
                "--name",
                "o",
                "--address",
                "/ip4/10.0.0.1/tcp/1",
            ];
            let out = Output::kept(Format::Text);
            let program = Program::try_parse_from([&usual, more].concat()).unwrap();
            program.command.run(&quorate_builtin::app(), &out).unwrap();
            (file::load_fragment(Path::new(&file)).unwrap().validator.validator, out.written())
        };
        let (validator, written) = add("with.json", &["--operator", &operator.to_string(), "--power", "0"]);
        assert_eq!((validator.operator, validator.power), (Some(operator), VotingPower(0)));
        assert!(written.stdout.contains(&operator.to_string()) && !written.stderr.contains("operator"), "{written:?}");
        let (validator, written) = add("without.json", &[]);
        assert_eq!(validator.operator, None);
        assert!(written.stderr.contains("no say"), "{written:?}");
    }

    #[test]
    fn a_tampered_genesis_and_an_unknown_key_are_named() {
        let home = tempfile::tempdir().unwrap();
        ceremony(home.path());
        run(home.path(), &["build", "--draft", "HOME/draft.json", "--out", "HOME/g.json", "HOME/1.json"]).unwrap();
        let text = fs::read_to_string(home.path().join("g.json")).unwrap();
        let verify = |text: String| {
            let path = home.path().join("changed.json");
            fs::write(&path, text).unwrap();
            run(home.path(), &["verify", "HOME/changed.json"]).unwrap_err().message
        };
        let error = verify(text.replace("\"power\": 1", "\"power\": 2"));
        assert!(error.contains("v1") && error.contains("proof of possession"), "{error}");
        // In each object of the file.
        for place in ["\"name\": \"t\"", "\"window_size\"", "\"address\": \"/ip4", "\"consensus_proof\""] {
            let at = text.find(place).unwrap();
            let error = verify(format!("{}\"colour\": 1, {}", &text[..at], &text[at..]));
            assert!(error.contains("`colour`"), "{place}: {error}");
        }
    }

    #[test]
    fn an_address_that_nobody_reaches_is_refused_before_a_passphrase_is_asked_for() {
        let home = tempfile::tempdir().unwrap();
        ceremony(home.path());
        let enter = |address: &str, more: &[&str]| {
            // The key file does not exist, so a run that gets as far as reading it fails with another code.
            let usual = ["add-validator", "--draft", "HOME/draft.json", "--name", "x", "--key", "HOME/none", "--address", address];
            run(home.path(), &[&usual, more].concat()).unwrap_err()
        };
        for address in
            ["/ip4/0.0.0.0/tcp/6180", "/ip4/127.0.0.1/tcp/6180", "/ip6/::1/tcp/6180", "/dns4/localhost/tcp/6180", "/ip4/10.0.0.1/udp/6180"]
        {
            assert_eq!(enter(address, &[]).code, "address", "{address}");
        }
        assert!(enter("/ip4/127.0.0.1/tcp/1", &[]).message.contains("--loopback"));
        for (address, more) in
            [("/ip4/127.0.0.1/tcp/1", &["--loopback"] as &[_]), ("/ip4/10.0.0.1/tcp/1", &[]), ("/dns4/node.example.org/tcp/1", &[])]
        {
            assert_eq!(enter(address, more).code, "io", "{address}");
        }
        assert_eq!(enter("/ip4/10.0.0.1/tcp/1", &["--out", "HOME/1.json"]).code, "exists");
    }

    #[test]
    fn a_draft_that_could_not_be_read_again_is_not_written() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("long.json");
        let error = file::write(&path, &"x".repeat(quorate_types::genesis::GENESIS_BYTES_MAX)).unwrap_err();
        assert!(matches!(error, CeremonyError::TooLarge(_)) && !path.exists(), "{error}");
    }

    #[test]
    fn a_tampered_fragment_is_refused() {
        let home = tempfile::tempdir().unwrap();
        ceremony(home.path());
        let path = home.path().join("2.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("/ip4/127.0.0.1", "/ip4/6.6.6.6")).unwrap();
        let error =
            run(home.path(), &["build", "--draft", "HOME/draft.json", "--out", "HOME/g.json", "HOME/1.json", "HOME/2.json"]).unwrap_err();
        assert!(error.message.contains("v2"), "{}", error.message);
        assert!(!home.path().join("g.json").exists());
    }
}
