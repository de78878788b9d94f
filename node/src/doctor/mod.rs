//! `quorate doctor`: examines a validator's home, its machine and its running node, and says what to do about what it finds.
//!
//! Each check is a function that returns findings and changes nothing. None waits for long: questions to nodes and peers are asked at once, each
//! with a time limit. What `quorate node check` refuses is a fault here too, but the first fault does not end the examination.

mod access;
mod bundle;
mod chain;
mod clock;
mod finding;
mod home;
mod machine;
mod peers;
mod running;

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use quorate_app::App;
use quorate_keygen::ValidatorPublic;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    committee::Committee,
    genesis::{Genesis, Parameters},
    ids::ValidatorId,
};
use serde::Serialize;

pub use self::bundle::{BundleCommand, DebugCommand};
use self::{
    access::{CHANGE, Owner, READ, RUN_AS, judge},
    chain::{Chain, Unread},
    finding::{Finding, State},
    peers::Target,
    running::Answers,
};
use crate::{
    config::{Config, check_url},
    event_loop::unix_now,
    home::Home,
    lock::{DataLock, Holder},
    machine as checks,
    run::{Membership, NodeError},
    settings::{LayerArgs, layers::Layers, passwords},
};

/// Longest file that holds an address.
const ADDRESS_BYTES_MAX: u64 = 64;
/// How long the end of the examination waits for look-ups of names that the system has not given up.
const LOOKUPS_PATIENCE: Duration = Duration::from_millis(100);

/// `quorate doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorCommand {
    #[command(flatten)]
    layers: LayerArgs,
    /// URL of the running node's API [default: where the home's own node listens].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(crate) struct Examination {
    home: PathBuf,
    /// The API that was asked, if one was.
    pub(crate) url: Option<String>,
    findings: Vec<Finding>,
    faults: usize,
    warnings: usize,
}

impl DoctorCommand {
    /// Runs the command for a node of this application. Must not be called from within a tokio runtime.
    ///
    /// # Errors
    /// [`CommandError`]: there are faults, or the command itself failed.
    pub fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        checks::forbid_core_dumps();
        let progress = out.progress("examining");
        let examination = examine(app, &self.layers, self.url.as_deref())?;
        drop(progress);
        out.print(&examination, || examination.text(out))?;
        match examination.faults {
            0 => {
                if examination.warnings == 0 {
                    out.good("nothing is wrong");
                }
                Ok(())
            }
            1 => Err(CommandError::failure("faults", "1 fault was found")),
            count => Err(CommandError::failure("faults", format!("{count} faults were found"))),
        }
    }
}

impl Examination {
    fn new(home: &Home, url: Option<String>, findings: Vec<Finding>) -> Self {
        let url = url.map(|url| passwords::of_url(&url));
        let count = |state| findings.iter().filter(|finding| finding.state == state).count();
        Self { home: home.path().into(), url, faults: count(State::Fault), warnings: count(State::Warning), findings }
    }

    /// The table of what was seen, and below it what to do.
    fn text(&self, out: &Output) -> String {
        let row = |finding: &Finding| vec![finding.name.clone(), finding.state.to_string(), finding.seen.clone()];
        let mut text = out.table(&["check", "state", "seen"], self.findings.iter().map(row));
        let mut fixes = self.findings.iter().filter_map(|finding| Some((finding, finding.fix.as_ref()?))).peekable();
        if fixes.peek().is_some() {
            text.push('\n');
        }
        for (finding, fix) in fixes {
            text.extend(["\n", &finding.name, ": ", fix]);
        }
        text
    }
}

/// What is known of the home before the machine and the network are examined.
struct Known {
    home: Home,
    config: Config,
    /// The process that has the data directory.
    process: Option<Holder>,
    /// Why it is not known whether there is such a process.
    unknown: Option<String>,
    /// The user that runs the validator, if that is not this one.
    owner: Option<Owner>,
    genesis: Option<Genesis>,
    public: Option<ValidatorPublic>,
    chain: Option<Result<Chain, Unread>>,
}

impl Known {
    /// The chain of a stopped validator.
    fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref().and_then(|chain| chain.as_ref().ok())
    }

    /// The newest committee that is known.
    fn committee(&self) -> Option<Arc<Committee>> {
        self.chain().map(|chain| Arc::clone(&chain.committee)).or_else(|| self.genesis.as_ref()?.committee().ok())
    }

    /// Our place in that committee.
    fn membership(&self) -> Option<Membership> {
        Membership::find(self.committee()?, self.public.as_ref()?).ok()
    }

    /// The parameters of the network.
    fn parameters(&self) -> Parameters {
        self.genesis.as_ref().map_or_else(Parameters::default, |genesis| genesis.parameters)
    }
}

/// Examines a home, its machine and its node.
pub(crate) fn examine(app: &App, layers: &LayerArgs, url: Option<&str>) -> Result<Examination, CommandError> {
    if let Some(url) = url {
        check_url(url).map_err(CommandError::usage)?;
    }
    let may_join = layers.may_join();
    let (home, layers) = layers.read()?;
    let mut found = Vec::new();
    let known = if let Some(missing) = home::missing(&home) {
        found.push(missing);
        if url.is_none() {
            return Ok(Examination::new(&home, None, found));
        }
        let config = layers.config;
        Known { home, config, process: None, unknown: None, owner: None, genesis: None, public: None, chain: None }
    } else {
        let known = files(app, home, layers, &mut found);
        found.extend(membership(&known, may_join));
        found.extend(machine(&known));
        known
    };

    let url = match (url, known.process) {
        (Some(url), _) => Some(url.to_owned()),
        (None, Some(_)) => listening_at(&known.home.api_address_file()).map(|address| format!("http://{address}")),
        (None, None) => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NodeError::System)?;
    runtime.block_on(network(&known, url.as_deref(), &mut found));
    // The system may go on looking for a name that nobody waits for any more.
    runtime.shutdown_timeout(LOOKUPS_PATIENCE);
    Ok(Examination::new(&known.home, url, found))
}

/// Examines the files of a home.
fn files(app: &App, home: Home, layers: Layers, found: &mut Vec<Finding>) -> Known {
    let owner = Owner::of(&home);
    found.push(judge(owner, home::settings(&home, &layers), &[(home.config_file(), READ)]));
    found.extend(home::permissions(&home));
    let config = layers.config;
    let (finding, genesis) = home::genesis(app, &home, &config);
    found.push(judge(owner, finding, &[(home.genesis_file(), READ)]));
    let (finding, public) = home::keys(&home, &config);
    let passphrase = Some(&config.node.passphrase_file).filter(|file| !file.as_os_str().is_empty()).map(|file| home.path().join(file));
    let uses: Vec<_> = std::iter::once(home.key_file()).chain(passphrase).map(|file| (file, READ)).collect();
    found.push(judge(owner, finding, &uses));
    let (process, unknown) = match DataLock::holder(&home.data()) {
        Ok(process) => (process, None),
        Err(error) => (None, Some(format!("whether a process has {} is not known: {error}", home.data().display()))),
    };
    // The database of a running validator is left alone.
    let chain = match (&process, &unknown, home.database().try_exists()) {
        (Some(_), ..) | (None, None, Ok(false)) => None,
        (None, None, Ok(true)) => Some(Chain::read(&home.database())),
        (None, Some(reason), _) => Some(Err(Unread::NotTried(reason.clone()))),
        (None, None, Err(error)) => Some(Err(Unread::NotTried(format!("{}: {error}", home.database().display())))),
    };
    if process.is_none() {
        found.push(chain::database(&home, chain.as_ref()));
    }
    Known { home, config, process, unknown, owner, genesis, public, chain }
}

/// Keys, committee, record and signer.
fn membership(known: &Known, may_join: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let (Some(genesis), Some(public), Some(committee)) = (&known.genesis, &known.public, known.committee()) else {
        return vec![Finding::not_checked("membership", "genesis or public keys are not known", "see the findings on genesis and keys")];
    };
    if let Err(error) = checks::peer_addresses(&known.config, &committee, committee.find(&public.consensus_key)) {
        let fix = "correct network.peers: it has the names of other validators, and where they are now";
        found.push(Finding::fault("network.peers", error, fix));
    }
    // A running validator, or one with a database that cannot be read, may know a later committee.
    let may_join = may_join || known.process.is_some() || known.chain.is_some();
    found.push(home::membership(genesis, public, committee, may_join));
    let hash = genesis.hash();
    let record = chain::record(&known.home, public, hash, known.process.is_some(), known.chain.as_ref());
    found.push(judge(known.owner, record, &[(known.home.witness_file(), CHANGE)]));
    found.extend(chain::signer(&known.home, &known.config, public, hash));
    found
}

/// The machine, without the disk, whose growth the node may tell.
fn machine(known: &Known) -> Vec<Finding> {
    let Known { home, config, process, unknown, owner, .. } = known;
    let listen = config.network.listen.trim();
    let listen = known.membership().map(|membership| membership.listen(config)).or_else(|| (!listen.is_empty()).then(|| listen.to_owned()));
    let others = known.committee().map_or(0, |committee| committee.ids().count().saturating_sub(1));
    let mut found = match unknown {
        // Who listens there may be the validator.
        Some(reason) => {
            ["api", "metrics", "network"].map(|section| Finding::not_checked(format!("{section}.listen"), reason, RUN_AS)).into()
        }
        None => machine::addresses(home, config, listen.as_deref().filter(|listen| !listen.is_empty()), *process),
    };
    found.extend([
        machine::directories(home, *owner),
        machine::syncs(home),
        machine::open_files(config, others, *process),
        machine::threads(config),
        machine::memory(config, *process),
    ]);
    found
}

/// The node, its peers and the clock; and the disk.
async fn network(known: &Known, url: Option<&str>, found: &mut Vec<Finding>) {
    let Known { home, config, process, .. } = known;
    let answers = match url {
        Some(url) => Some(Answers::of(url).await),
        None => None,
    };
    let me = known.membership().and_then(|membership| membership.seat);
    let node = match (&known.unknown, &answers) {
        (Some(reason), None) => Finding::not_checked("node", reason, format!("{RUN_AS}, or name its API with --url")),
        _ => running::node(home, me.as_ref().map(|(_, validator)| validator.name.as_str()), *process, answers.as_ref()),
    };
    let answers = answers.and_then(Result::ok);
    let first_block = answers.as_ref().and_then(|answers| answers.first_block).or_else(|| known.chain()?.first);
    found.push(machine::disk(home, &config.store, first_block, unix_now()));
    found.push(node);
    found.extend(answers.iter().flat_map(|answers| running::examine(answers, known.genesis.as_ref().map(Genesis::hash))));

    let resolver = config.network.resolver().unwrap_or_default();
    let others = match &answers {
        Some(answers) => answers.status.peers.iter().map(Target::of).collect(),
        None => targets(known),
    };
    let own = me.as_ref().filter(|_| process.is_some()).map(|(id, validator)| Target::new(&validator.name, &validator.address, *id));
    let by_node = answers.as_ref().and_then(|answers| clock::by_node(answers.readiness.as_ref().ok()?));
    let urls = if by_node.is_some() { Vec::new() } else { config.network.join.clone() };
    let (own, others, blocks) =
        tokio::join!(peers::try_all(own.into_iter().collect(), resolver), peers::try_all(others, resolver), clock::newest_blocks(urls));
    found.extend(own.iter().map(peers::judge_own));
    found.extend(others.iter().map(peers::judge));
    if answers.is_none()
        && let Some(committee) = known.committee()
    {
        found.push(peers::quorum(&committee, me.map(|(id, _)| id), &others));
    }
    found.push(by_node.unwrap_or_else(|| clock::by_blocks(unix_now(), &blocks, &known.parameters())));
}

/// The others' addresses, as a start of this validator would dial them.
fn targets(known: &Known) -> Vec<Target> {
    let Some(committee) = known.committee() else { return Vec::new() };
    let me: Option<ValidatorId> = known.public.as_ref().and_then(|public| committee.find(&public.consensus_key));
    let configured = checks::peer_addresses(&known.config, &committee, me).unwrap_or_default();
    let moved = known.chain().map(|chain| chain.moved.clone()).unwrap_or_default();
    let others = committee.members().filter(|(id, _)| Some(*id) != me);
    let target = |(id, validator): (ValidatorId, &quorate_types::committee::Validator)| {
        let address = configured.get(&id).or_else(|| moved.get(&id)).unwrap_or(&validator.address);
        Target::new(&validator.name, address, id)
    };
    others.map(target).collect()
}

/// The address in a file that a running node has written, as this machine reaches it.
fn listening_at(file: &Path) -> Option<SocketAddr> {
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(ADDRESS_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().map(from_here)
}

/// An address to connect to, in place of one that means every address of this machine.
fn from_here(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
pub(crate) mod tests;
