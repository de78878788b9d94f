//! Creates a network by the same steps that organisations take: keys, a draft, a signed fragment each, the genesis; then a home for each
//! validator. The keys are stored in plain text, so such a network must never hold anything of value.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use quorate_app::App;
use quorate_genesis::{Draft, build};
use quorate_keygen::{AccountKey, Sealing, ValidatorKeys, save_account_key, save_validator_key};
use quorate_node::{Override, render_config};
use quorate_terminal::CommandError;
use quorate_types::{
    committee::{VALIDATORS_MAX, Validator, VotingPower},
    genesis::{Genesis, Parameters},
    ids::{Address, ChainId},
    permission::{Access, Permission},
    round::UnixMillis,
};
use zeroize::Zeroizing;

use super::{
    directory::{Account, FAUCET, Localnet, Member, file_error, genesis_file},
    ports,
};

/// Balance of the faucet: enough for every measurement, and far below the limit on sums.
const FAUCET_BALANCE: u64 = 1 << 50;
/// Name of every network here.
const NAME: &str = "localnet";
/// Names of the first accounts.
const NAMES: [&str; 10] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy"];
const ACCOUNTS_MAX: u32 = 10_000;

/// Options for a new network. They are `Option`s, so that a default is not mistaken for a request about an existing network.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Shape {
    /// Number of validators [default: 4].
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=VALIDATORS_MAX as i64))]
    pub(crate) validators: Option<u16>,
    /// First port: the validators' APIs, then their peer-to-peer links, then health and metrics [default: free ports].
    #[arg(long, value_name = "PORT")]
    pub(crate) base_port: Option<u16>,
    /// Number of accounts: alice, bob, carol and so on [default: 3].
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(0..=ACCOUNTS_MAX as i64))]
    pub(crate) accounts: Option<u32>,
    /// Balance of each of them, if the application has balances [default: 1000000].
    #[arg(long, value_name = "AMOUNT", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000))]
    pub(crate) balance: Option<u64>,
    /// Initial round timeout, in milliseconds; short, since all validators are on one machine [default: 500].
    #[arg(long, value_name = "MS")]
    pub(crate) timeout_ms: Option<u32>,
    /// How long an idle chain waits before making an empty block, in milliseconds [default: 10000].
    #[arg(long, value_name = "MS")]
    pub(crate) heartbeat_ms: Option<u32>,
    /// Maximum transactions per block.
    #[arg(long, value_name = "N")]
    pub(crate) block_transactions: Option<u32>,
    /// Let only accounts with the role send: those made here, of which the faucet's gives others the role.
    #[arg(long)]
    pub(crate) permissioned: bool,
    /// Setting for every validator's configuration, such as log.level=debug; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

impl Shape {
    /// Number of validators.
    pub(crate) fn validators(&self) -> u16 {
        self.validators.unwrap_or(4)
    }

    /// The first option that was given, if any: they only apply to a new network.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let options = [
            ("--validators", self.validators.is_some()),
            ("--base-port", self.base_port.is_some()),
            ("--accounts", self.accounts.is_some()),
            ("--balance", self.balance.is_some()),
            ("--timeout-ms", self.timeout_ms.is_some()),
            ("--heartbeat-ms", self.heartbeat_ms.is_some()),
            ("--block-transactions", self.block_transactions.is_some()),
            ("--permissioned", self.permissioned),
            ("--set", !self.settings.is_empty()),
        ];
        options.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }

    /// Refuses invalid options before anything is created or removed.
    pub(crate) fn check(&self, app: &App) -> Result<(), CommandError> {
        Draft::new(app, Genesis::draft(ChainId(1), NAME, now(), parameters(self), app.in_genesis(app.trial_settings(&[]))))?;
        render(&self.settings).map(drop)
    }
}

/// Creates a network in a directory without one. Starts nothing.
pub(crate) fn create(app: &App, directory: &Path, shape: &Shape) -> Result<Localnet, CommandError> {
    shape.check(app)?;
    let directory = std::path::absolute(directory).map_err(|error| file_error("find", directory, &error))?;
    fs::create_dir_all(&directory).map_err(|error| file_error("create", &directory, &error))?;
    let count = usize::from(shape.validators());
    let ports = match shape.base_port {
        Some(base) => ports::from_base(base, count * 3)?,
        None => ports::find(count * 3)?,
    };
    let (api_ports, rest) = ports.split_at(count);
    let (p2p_ports, metrics_ports) = rest.split_at(count);
    let (accounts, balances) = make_accounts(&directory, shape)?;
    let application = app.in_genesis(app.trial_settings(&balances));
    let network = Genesis {
        permissions: permissions(shape, &balances),
        ..Genesis::draft(ChainId(u64::from(random()?)), NAME, now(), parameters(shape), application)
    };
    let draft = Draft::new(app, network)?;

    let mut members = Vec::with_capacity(count);
    let mut fragments = Vec::with_capacity(count);
    // Each account operates a validator, in turn, so that several must agree on a change of the committee.
    let operators = balances.iter().map(|(address, _)| *address).cycle();
    for (number, (((api, p2p), metrics), operator)) in (1..).zip(api_ports.iter().zip(p2p_ports).zip(metrics_ports).zip(operators)) {
        let member = Member {
            name: format!("validator-{number}"),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, *api)),
            p2p: format!("/ip4/127.0.0.1/tcp/{p2p}"),
            metrics: SocketAddr::from((Ipv4Addr::LOCALHOST, *metrics)),
            process: None,
        };
        let keys = ValidatorKeys::generate()?;
        save_validator_key(
            &directory.join(&member.name).join(quorate_keygen::command::KEYS_DIRECTORY),
            &keys,
            &Sealing::InsecurePlaintext,
        )?;
        let public = keys.public();
        let validator = Validator {
            name: member.name.clone(),
            consensus_key: public.consensus_key,
            network_key: public.network_key,
            address: member.p2p.clone(),
            power: VotingPower(1),
            operator: Some(operator),
        };
        fragments.push(draft.fragment(app, validator, &keys.consensus, &keys.network())?);
        members.push(member);
    }
    let genesis = build(app, &draft, fragments)?;

    write_genesis(&directory, &genesis)?;
    for member in &members {
        let home = directory.join(&member.name);
        write_genesis(&home, &genesis)?;
        write_config(&home, member, &genesis, shape)?;
    }
    let localnet = Localnet::new(&directory, &genesis, members, accounts);
    localnet.save()?;
    Ok(localnet)
}

fn parameters(shape: &Shape) -> Parameters {
    let usual = Parameters::default();
    let access = if shape.permissioned { Access::Permissioned } else { Access::Open };
    let timeout_base_ms = shape.timeout_ms.unwrap_or(500);
    Parameters {
        timeout_base_ms,
        timeout_max_ms: usual.timeout_max_ms.max(timeout_base_ms),
        heartbeat_ms: shape.heartbeat_ms.unwrap_or(10_000),
        block_transactions_max: shape.block_transactions.unwrap_or(usual.block_transactions_max),
        access,
        ..usual
    }
}

type Balances = Vec<(Address, u64)>;

/// On a permissioned network all accounts may send, and the first, the faucet's, may grant.
fn permissions(shape: &Shape, balances: &Balances) -> BTreeMap<Address, Permission> {
    let accounts = balances.iter().filter(|_| shape.permissioned).enumerate();
    accounts.map(|(number, (address, _))| (*address, Permission { send: true, grant: number == 0, ..Permission::default() })).collect()
}

fn make_accounts(directory: &Path, shape: &Shape) -> Result<(Vec<Account>, Balances), CommandError> {
    let wallet = directory.join(quorate_keygen::command::WALLET_DIRECTORY);
    let mut accounts = Vec::new();
    let mut balances = Vec::new();
    let balance = shape.balance.unwrap_or(1_000_000);
    let people = (0..shape.accounts.unwrap_or(3) as usize)
        .map(|index| NAMES.get(index).map_or_else(|| format!("account-{}", index + 1), |name| (*name).into()));
    for (name, balance) in std::iter::once((FAUCET.to_owned(), FAUCET_BALANCE)).chain(people.map(|name| (name, balance))) {
        let mut seed = Zeroizing::new([0; 32]);
        fill(seed.as_mut_slice())?;
        let key = AccountKey::from_seed(seed);
        save_account_key(&wallet, &name, &key, &Sealing::InsecurePlaintext)?;
        let address = key.public().address;
        accounts.push(Account { name, address });
        balances.push((address, balance));
    }
    Ok((accounts, balances))
}

fn write_genesis(home: &Path, genesis: &Genesis) -> Result<(), CommandError> {
    let path = genesis_file(home);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| file_error("create", parent, &error))?;
    }
    Ok(quorate_genesis::file::write(&path, genesis)?)
}

fn write_config(home: &Path, member: &Member, genesis: &Genesis, shape: &Shape) -> Result<(), CommandError> {
    let path = home.join("config").join("config.toml");
    let ours = [
        format!("node.genesis_hash={}", genesis.hash()),
        format!("api.listen={}", member.api),
        format!("metrics.listen={}", member.metrics),
    ];
    let text = render(ours.iter().chain(&shape.settings))?;
    fs::write(&path, text).map_err(|error| file_error("write", &path, &error))
}

fn render<'a>(settings: impl IntoIterator<Item = &'a String>) -> Result<String, CommandError> {
    let settings: Result<Vec<_>, _> = settings.into_iter().map(|text| Override::from_set(text)).collect();
    render_config(&settings.map_err(CommandError::usage)?).map_err(CommandError::usage)
}

fn random() -> Result<u32, CommandError> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn fill(bytes: &mut [u8]) -> Result<(), CommandError> {
    getrandom::fill(bytes)
        .map_err(|error| CommandError::failure("randomness", format!("the operating system provides no random bytes: {error}")))
}

/// This machine's clock.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_seven_has_a_genesis_that_verifies_and_a_home_for_each() {
        let directory = tempfile::tempdir().unwrap();
        let shape = Shape { validators: Some(7), accounts: Some(12), ..Shape::default() };
        let localnet = create(&quorate_builtin::app(), &directory.path().join("net"), &shape).unwrap();
        let genesis = quorate_genesis::load(&localnet.genesis_file()).unwrap();
        let settings: quorate_builtin::Settings = genesis.application.settings.parse().unwrap();
        assert_eq!((genesis.validators.len(), settings.accounts.len(), genesis.hash()), (7, 13, localnet.genesis_hash));
        let names: Vec<_> = localnet.accounts.iter().map(|account| account.name.as_str()).collect();
        assert_eq!((names[0], names[1], names[12]), ("faucet", "alice", "account-12"));
        for member in &localnet.validators {
            let home = localnet.home(member);
            assert_eq!(quorate_genesis::load(&genesis_file(&home)).unwrap(), genesis);
            assert!(fs::read_to_string(home.join("config/config.toml")).unwrap().contains(&member.api.to_string()));
        }
        assert_eq!(Localnet::load(&localnet.directory).unwrap(), localnet);
    }

    #[test]
    fn nothing_is_made_of_a_shape_that_cannot_be() {
        let directory = tempfile::tempdir().unwrap();
        let network = directory.path().join("net");
        let unknown = Shape { settings: vec!["api.lisen=1".into()], ..Shape::default() };
        let impatient = Shape { timeout_ms: Some(1), ..Shape::default() };
        for shape in [unknown, impatient] {
            create(&quorate_builtin::app(), &network, &shape).unwrap_err();
            assert!(!network.exists(), "{shape:?}");
        }
    }
}
