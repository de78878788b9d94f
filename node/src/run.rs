//! A node, from start to orderly shutdown.
//!
//! ```text
//!                      +--------------------- verify (threads) <--- network (thread) <--- validators
//!                      v                             ^
//! replica (thread) <- mailbox <- questions --- API (runtime) <--- clients
//!        |                                           ^
//!        +-- committed views (watch), answers -------+
//! ```
//! Shutdown follows the arrows: first nothing new is admitted, then work in progress is finished, and the store is closed last.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use quorate_app::App;
use quorate_keygen::{ConsensusKey, NodeKeys, ValidatorPublic};
use quorate_ledger::{Ledger, LedgerError, LedgerReader, Loading, Store, StoreError};
use quorate_network::{ApplicationId, Hello, Limits, Network, NetworkConfig, NetworkError, Peer, PeerIndex};
use quorate_replica::{Doubles, PoolLimits, RecoverError, Replica, ReplicaConfig, WitnessFile};
use quorate_signer::{Absence, RemoteSigner};
use quorate_types::{
    codec,
    committee::{Committee, CommitteeError, Validator},
    crypto::{PublicKey, SigningKey},
    genesis::Genesis,
    ids::{GenesisHash, ValidatorId},
    message::{MESSAGE_BYTES_MAX, PROTOCOL_VERSION, PROTOCOL_VERSION_MAX},
    round::{Epoch, Height},
    signing::Signer,
};
use tokio::{runtime::Runtime, sync::watch, task::JoinHandle};

use crate::{
    addresses,
    api::{self, Api, events::ToldBlocks, waiting::Waiting},
    chain::History,
    config::{ApiConfig, Config, PoolConfig},
    diagnosis,
    disk::{self, DiskSpace},
    drops::{self, Drops},
    epochs::Epochs,
    event_loop::{Clock, EventLoop, LoopInput, Outlets, unix_now},
    evidence::{self, Held},
    failure::{API_THREAD, Failure, Threads},
    feed::Feed,
    files,
    following::{self, Following},
    helpers::Helpers,
    ingest::{Admission, TransactionQueue},
    links::Links,
    machine::{self, MachineError, listen},
    mailbox::Mailbox,
    metrics::Metrics,
    peering::{Members, Peering},
    priority,
    relevance::Relevance,
    serve, stall,
    submission::Tickets,
    verify::{self, Checks},
    watchdog,
};

/// Time limit for an orderly shutdown as a whole.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// The part of [`STOP_PATIENCE`] that servers and their requests may take.
const SERVERS_PATIENCE: Duration = Duration::from_millis(2_500);
/// API threads that may block on the disk.
const DISK_THREADS: usize = 4;
/// Progress of reading the state is logged at this interval.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis is not the one that was announced.
    #[error("the genesis has hash {found}, expected {expected}; get the genesis file from the network's organisers again")]
    GenesisHash {
        /// Hash of the file.
        found: GenesisHash,
        /// As configured.
        expected: GenesisHash,
    },
    /// The genesis has no valid committee.
    #[error("the genesis cannot be used: {0}")]
    Committee(#[from] CommitteeError),
    /// Our key is not in the committee.
    #[error(
        "the consensus key {key} is not in the genesis of {network:?}; use the key that was entered with `quorate genesis add-validator`, or the right genesis. If \
         the committee has added this validator since, or is about to, start it with --join"
    )]
    NotInCommittee {
        /// Our consensus key.
        key: String,
        /// The network's name.
        network: String,
    },
    /// Our network key is not the one in the genesis.
    #[error(
        "the key file's network key is {ours}, the genesis has {theirs} for validator {name:?}; use the key file that was entered with `quorate genesis add-validator`"
    )]
    NetworkKey {
        /// Our name in the genesis.
        name: String,
        /// The key file's network key.
        ours: String,
        /// The network key in the genesis.
        theirs: String,
    },
    /// The consensus key is at a signer, and it is not said where that is.
    #[error("a signer holds the consensus key (keys/validator.key has its public half alone); set node.signer to the signer's socket")]
    NoSigner,
    /// The consensus key is here, and a signer is configured.
    #[error(
        "node.signer is set, but keys/validator.key holds the consensus key; give it to the signer (`quorate signer init`), or remove the setting"
    )]
    UnusedSigner,
    /// The signer is not ours.
    #[error(transparent)]
    Signer(Absence),
    /// The replica cannot resume from what is on disk.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// The witness cannot be opened.
    #[error(transparent)]
    Witness(#[from] crate::witness_file::WitnessError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The network cannot start.
    #[error("{0}; see [network] listen in the configuration")]
    Network(#[from] NetworkError),
    /// An HTTP listener cannot be bound.
    #[error("cannot listen on {address} for {what}: {source}; is another node running there? see [{section}] listen in the configuration")]
    Listen {
        /// The service: the API, or health and metrics.
        what: &'static str,
        /// Configuration section of the address.
        section: &'static str,
        /// As configured.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The nodes in `network.join` cannot be asked.
    #[error("`network.join`: {0}")]
    Join(#[from] quorate_client::ClientError),
    /// A setting does not fit the machine or the genesis.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The limit of open files is too low.
    #[error(transparent)]
    Files(#[from] files::TooFewFiles),
    /// An address file cannot be written.
    #[error("cannot write {}, which tells other programs where this node listens: {source}; may this user write to that directory?", path.display())]
    AddressFile {
        /// One of [`Setup::address_files`].
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system refuses a thread, a socket or a signal handler.
    #[error("the system refuses a thread or a socket: {0}; if it has no more of them, raise its limits (ulimit -n, ulimit -u)")]
    System(io::Error),
    /// Free disk space cannot be measured.
    #[error("the free space on the disk that holds the data directory cannot be measured: {0}; does the directory exist?")]
    Disk(io::Error),
    /// The failures to inject cannot be read.
    #[cfg(feature = "faults")]
    #[error("the failures to inject cannot be read: {0}")]
    Faults(io::Error),
    /// The genesis cannot be written as JSON, which is a bug.
    #[error("the genesis cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Everything a node starts from.
#[derive(Debug)]
pub struct Setup {
    /// What the network replicates.
    pub app: App,
    /// The operator's settings.
    pub config: Config,
    /// The validator's secret keys. A signer may hold one of them.
    pub keys: NodeKeys,
    /// How far the consensus key has signed.
    pub witness: Box<dyn WitnessFile>,
    /// Already checked by [`quorate_genesis::load`].
    pub genesis: Genesis,
    /// Where to write the listen addresses of the API and of health and metrics, if anywhere.
    pub address_files: Option<(PathBuf, PathBuf)>,
    /// The key need not be in the genesis: the committee may add it later, and until then the node follows.
    pub join: bool,
    /// Where the store writes, if anywhere. Free space is watched on this disk.
    pub data_directory: Option<PathBuf>,
    /// The failures to inject; the file may be missing.
    #[cfg(feature = "faults")]
    pub faults_file: Option<PathBuf>,
    /// Called immediately, on the failing thread, when the node must not go on.
    pub on_failure: fn(&str),
}

/// Our place in a committee.
#[derive(Debug)]
pub struct Membership {
    /// The committee.
    pub committee: Arc<Committee>,
    /// Our seat and our entry; `None` if the committee does not have us.
    pub seat: Option<(ValidatorId, Validator)>,
}

impl Membership {
    /// Finds our keys in the genesis, where they must be unless the node is to `join`.
    ///
    /// # Errors
    /// [`NodeError`]: no valid committee, our key is not in it, or our network key differs.
    pub fn at_genesis(genesis: &Genesis, keys: &ValidatorPublic, join: bool) -> Result<Self, NodeError> {
        let found = Self::find(genesis.committee()?, keys)?;
        if found.seat.is_none() && !join {
            let key = keys.consensus_key.to_string();
            return Err(NodeError::NotInCommittee { key, network: genesis.name.clone() });
        }
        Ok(found)
    }

    /// Finds our keys in a committee.
    ///
    /// # Errors
    /// [`NodeError::NetworkKey`].
    pub fn find(committee: Arc<Committee>, public: &ValidatorPublic) -> Result<Self, NodeError> {
        let found = committee.find(&public.consensus_key);
        let seat = found.and_then(|id| Some((id, committee.get(id)?.clone())));
        if let Some((_, validator)) = seat.as_ref().filter(|(_, validator)| validator.network_key != public.network_key) {
            return Err(NodeError::NetworkKey {
                ours: public.network_key.to_string(),
                theirs: validator.network_key.to_string(),
                name: validator.name.clone(),
            });
        }
        Ok(Self { committee, seat })
    }

    /// Our seat.
    #[must_use]
    pub fn me(&self) -> Option<ValidatorId> {
        self.seat.as_ref().map(|(id, _)| *id)
    }

    /// Listen address for validators: as configured, otherwise our address in the committee, where peers dial us.
    #[must_use]
    pub fn listen(&self, config: &Config) -> String {
        let configured = config.network.listen.trim();
        let ours = || self.seat.as_ref().map(|(_, validator)| validator.address.clone()).unwrap_or_default();
        if configured.is_empty() { ours() } else { configured.to_owned() }
    }
}

/// Checks that the configuration says where the consensus key is.
///
/// # Errors
/// [`NodeError::NoSigner`], [`NodeError::UnusedSigner`].
pub(crate) fn check_signer(key: &ConsensusKey, socket: &Path) -> Result<(), NodeError> {
    match (key, socket.as_os_str().is_empty()) {
        (ConsensusKey::Here(_), true) | (ConsensusKey::AtSigner(_), false) => Ok(()),
        (ConsensusKey::Here(_), false) => Err(NodeError::UnusedSigner),
        (ConsensusKey::AtSigner(_), true) => Err(NodeError::NoSigner),
    }
}

/// The signer at a socket, which need not run yet.
fn remote_signer(key: PublicKey, socket: &Path, genesis_hash: GenesisHash) -> Result<Arc<RemoteSigner>, NodeError> {
    let remote = RemoteSigner::new(socket.into(), key, genesis_hash);
    match remote.connect() {
        Ok(()) => tracing::info!(socket = %socket.display(), "the signer answers"),
        Err(absence @ Absence::Silent { .. }) => tracing::warn!("nothing is signed until it does: {absence}"),
        Err(other) => return Err(NodeError::Signer(other)),
    }
    Ok(Arc::new(remote))
}

/// Checks the hash of a genesis against the configured one.
///
/// # Errors
/// [`NodeError::GenesisHash`].
pub fn check_genesis_hash(genesis: &Genesis, config: &Config) -> Result<GenesisHash, NodeError> {
    let found = genesis.hash();
    match config.genesis_hash()? {
        Some(expected) if expected != found => Err(NodeError::GenesisHash { found, expected }),
        Some(_) | None => Ok(found),
    }
}

/// A running node.
pub struct Node {
    runtime: Runtime,
    /// Health and metrics have a thread of their own, so that clients' requests cannot delay them.
    health: Runtime,
    /// So have pages of blocks: see [`Api::pages`].
    pages: Runtime,
    /// The tasks that a shutdown waits for first.
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    network: Network,
    transactions: Arc<TransactionQueue>,
    mailbox: Mailbox<LoopInput>,
    threads: Threads,
    failure: Failure,
    api_address: SocketAddr,
    metrics_address: SocketAddr,
    address_files: Option<(PathBuf, PathBuf)>,
}

/// Why a node stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process received this signal.
    Signal(&'static str),
    /// A failure after which the node must not go on.
    Failure(String),
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("api_address", &self.api_address).field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node on a store. Returns once it answers requests.
    ///
    /// Must not be called from within a tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn start<S: Store>(setup: Setup, store: S) -> Result<Self, NodeError> {
        #[cfg(feature = "faults")]
        let faults_file = setup.faults_file.clone();
        let Setup { app, config, keys, witness, genesis, address_files, data_directory, on_failure, join, .. } = setup;
        let genesis_hash = check_genesis_hash(&genesis, &config)?;
        tracing::info!(network = genesis.name, chain_id = %genesis.chain_id, genesis = %genesis_hash, application = ?app, "the network");

        // Sockets first, so that an address in use is reported before the state is read.
        let api_listener = listen("the API", "api", config.api.listen)?;
        let metrics_listener = listen("health and metrics", "metrics", config.metrics.listen)?;

        let drops = Arc::new(Drops::open(data_directory.as_deref()));
        let disk = Arc::new(DiskSpace::new(data_directory.clone(), config.store.free_bytes_min).map_err(NodeError::Disk)?);
        let genesis = Arc::new(genesis);
        let ledger = open_ledger(&store, &app, &genesis)?;
        let machine = ledger.machine().clone();
        // Who has followed the chain into a later epoch knows the network.
        let in_genesis = Membership::at_genesis(&genesis, &keys.public(), join || ledger.epoch().epoch > Epoch(0))?;
        let membership = Membership::find(ledger.epoch().committee()?, &keys.public())?;
        let name =
            membership.seat.as_ref().or(in_genesis.seat.as_ref()).map_or("not a member", |(_, validator)| &validator.name).to_owned();
        if let Some((id, validator)) = &membership.seat {
            tracing::info!(
                validator = validator.name,
                seat = %id,
                power = validator.power.0,
                epoch = %membership.committee.epoch(),
                voters = membership.committee.voters().len(),
                "this validator"
            );
        } else {
            tracing::warn!(
                epoch = %membership.committee.epoch(),
                "the committee does not have this validator's key: it follows the chain and signs nothing. Until the committee adds it, others may refuse its links"
            );
        }
        let verifier = quorate_replica::verifier(&genesis, &app)?;
        machine::peer_addresses(&config, &membership.committee, membership.me())?;
        let nodes = following::clients(&config.network.join)?;
        let peering = Peering::new(SigningKey::from_seed(&keys.network_seed).public(), config.network.peers.clone());
        let moved = addresses::of(&ledger.view());
        let peers = peering.peers(Members { committee: &membership.committee, moved: &moved }, None, None);
        let network_config =
            network_config(membership.listen(&config), config.network.resolver()?, peers, &genesis, genesis_hash, keys.network_seed);
        check_signer(&keys.consensus, &config.node.signer)?;
        let (signer, remote): (Arc<dyn Signer>, _) = match keys.consensus {
            ConsensusKey::Here(key) => (Arc::new(key), None),
            ConsensusKey::AtSigner(key) => {
                let remote = remote_signer(key, &config.node.signer, genesis_hash)?;
                (Arc::<RemoteSigner>::clone(&remote), Some(remote))
            }
        };
        let speaks = PROTOCOL_VERSION_MAX;
        #[cfg(feature = "faults")]
        let plan = faults_file.as_deref().map(crate::faults::Faults::read).transpose().map_err(NodeError::Faults)?.flatten();
        #[cfg(feature = "faults")]
        let speaks = plan.as_ref().and_then(|plan| plan.speaks).map_or(speaks, |older| speaks.min(older));
        let replica_config = ReplicaConfig {
            genesis: Arc::clone(&genesis),
            verifier: Arc::clone(&verifier),
            signer,
            pool: pool_limits(&config.pool),
            fixed_leaders: Arc::default(),
            witness,
            doubles: Doubles::Stop,
            speaks,
            halt_at: (config.node.halt_at_height > 0).then_some(Height(config.node.halt_at_height)),
        };
        let replica = Replica::resume(replica_config, store.clone(), ledger)?;
        let epochs = Epochs::new(Arc::clone(replica.verifier()), replica.me());
        let reader = LedgerReader::new(store);
        let history: Arc<dyn History> = Arc::new(reader.clone());
        let feed = Arc::new(Feed::new(unix_now()));
        let evidence = Arc::new(Held::open(data_directory.as_deref(), Arc::clone(&epochs), Arc::clone(&history), Arc::clone(&feed)));
        let view = replica.view();
        let height = view.header().height;

        let failure = Failure::new(on_failure);
        let network_failure = failure.clone();
        let (network, receivers) = quorate_network::start(network_config, move |what| network_failure.report(what))?;
        let metrics = Arc::new(Metrics::new(&epochs, |registry| network.register_metrics(registry)));
        let mailbox = Mailbox::new();
        let pool = pool_limits(&config.pool);
        let transactions = Arc::new(TransactionQueue::new(Admission::new(&genesis.parameters, &pool)));
        let relevance = Arc::new(Relevance::default());
        let helpers = Arc::new(Helpers::default());
        let links = Arc::new(Links::new(network.clone(), peering, Arc::clone(&helpers), Arc::clone(&membership.committee), moved));
        let mut threads = Threads::new(failure.clone());
        let checks = Checks {
            epochs: Arc::clone(&epochs),
            mailbox: mailbox.clone(),
            transactions: Arc::clone(&transactions),
            relevance: Arc::clone(&relevance),
            helpers: Arc::clone(&helpers),
            metrics: Arc::clone(&metrics),
        };
        verify::start(&checks, receivers, config.node.verify_threads, &mut threads).map_err(NodeError::System)?;
        let (views, newest) = watch::channel(view);
        let outlets = Outlets {
            network: network.clone(),
            epochs: Arc::clone(&epochs),
            others: membership.committee.ids().filter(|id| Some(*id) != membership.me()).map(|id| PeerIndex(id.0)).collect(),
            links: Arc::clone(&links),
            helpers,
            views,
            transactions: Arc::clone(&transactions),
            relevance,
            evidence: evidence::start(Arc::clone(&evidence), &mut threads).map_err(NodeError::System)?,
            server: serve::start(reader, mailbox.clone(), &mut threads).map_err(NodeError::System)?,
            feed: Arc::clone(&feed),
            metrics: Arc::clone(&metrics),
            #[cfg(feature = "faults")]
            faults: plan.map(|plan| crate::faults::Faults::start(plan, replica.me(), &network)).transpose().map_err(NodeError::Faults)?,
        };
        start_replica(replica, mailbox.clone(), outlets, &failure, &mut threads).map_err(NodeError::System)?;

        let pages = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .thread_name("pages")
            .on_thread_start(priority::lowest_priority)
            .build()
            .map_err(NodeError::System)?;
        let stop = watch::Sender::new(false);
        let api = Arc::new(Api {
            genesis_json: Bytes::from(serde_json::to_vec(&*genesis)?),
            genesis_bytes: Bytes::from(codec::encode(&*genesis)),
            genesis,
            genesis_hash,
            epochs: Arc::clone(&epochs),
            mailbox: mailbox.clone(),
            transactions: Arc::clone(&transactions),
            tickets: Tickets::default(),
            views: newest,
            machine,
            history,
            network: network.clone(),
            links: Arc::clone(&links),
            metrics: Arc::clone(&metrics),
            failure: failure.clone(),
            disk: Arc::clone(&disk),
            drops,
            evidence,
            feed,
            told_blocks: ToldBlocks::new(),
            stop: stop.subscribe(),
            signer: remote,
            waiting: Waiting::new(&config.api),
            reads: Api::reads(),
            pages: pages.handle().clone(),
            pages_waiting: Api::pages_waiting(),
            config: config.api.clone(),
        });
        let health = runtime(1, || {}).map_err(NodeError::System)?;
        let runtime = runtime(config.api.threads, priority::lower_priority).map_err(NodeError::System)?;
        let api_address = api_listener.local_addr().map_err(NodeError::System)?;
        let metrics_address = metrics_listener.local_addr().map_err(NodeError::System)?;
        let few = ApiConfig { connections_max: files::HEALTH, ..config.api.clone() };
        let mut servers = Vec::new();
        for (name, runtime, listener, router, config) in [
            ("api", &runtime, api_listener, api::router(Arc::clone(&api)), config.api),
            ("health", &health, metrics_listener, api::operator_router(Arc::clone(&api)), few),
        ] {
            let _context = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener).map_err(NodeError::System)?;
            let serving = api::limits::serve(listener, router, config, Arc::clone(&metrics), stop.subscribe());
            servers.push(failure.spawn(runtime.handle(), name, serving));
        }
        servers.push(failure.spawn(health.handle(), "drops", drops::run(Arc::clone(&api), stop.subscribe())));
        failure.spawn(health.handle(), "addresses", addresses::run(api.views.clone(), Arc::clone(&links), stop.subscribe()));
        let following = Following {
            nodes,
            epochs,
            links,
            network: network.clone(),
            mailbox: mailbox.clone(),
            metrics: Arc::clone(&metrics),
            speaks,
            stalled_after: diagnosis::patience(&api.genesis.parameters).saturating_mul(diagnosis::STALLED_PERIODS),
        };
        failure.spawn(runtime.handle(), "following", following.run(stop.subscribe()));
        failure.spawn(health.handle(), "stall", stall::run(Arc::clone(&api), stop.subscribe()));
        failure.spawn(health.handle(), "watchdog", watchdog::run(Arc::clone(&api), stop.subscribe()));
        failure.spawn(health.handle(), "disk", disk::run(disk, Arc::clone(&metrics), stop.subscribe()));
        if let Some((api_file, metrics_file)) = &address_files {
            for (path, address) in [(api_file, api_address), (metrics_file, metrics_address)] {
                write_whole(path, &format!("{address}\n")).map_err(|source| NodeError::AddressFile { path: path.clone(), source })?;
            }
        }
        failure.set_running(true);
        tracing::info!(
            validator = name,
            network = network.listen_addresses().join(" "),
            api = %api_address,
            metrics = %metrics_address,
            %height,
            genesis = %genesis_hash,
            version = env!("CARGO_PKG_VERSION"),
            "ready"
        );
        Ok(Self {
            runtime,
            health,
            pages,
            servers,
            stop,
            network,
            transactions,
            mailbox,
            threads,
            failure,
            api_address,
            metrics_address,
            address_files,
        })
    }

    /// Listen address of the API.
    #[must_use]
    pub const fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Listen address of health and metrics.
    #[must_use]
    pub const fn metrics_address(&self) -> SocketAddr {
        self.metrics_address
    }

    /// Listen addresses for validators.
    #[must_use]
    pub fn network_addresses(&self) -> Vec<String> {
        self.network.listen_addresses()
    }

    /// What went wrong, if the node must not go on.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.get()
    }

    /// Waits until `stop` resolves to the name of a signal, or the node fails.
    pub fn wait(&self, stop: impl Future<Output = &'static str>) -> Ending {
        self.runtime.block_on(async {
            tokio::select! {
                name = stop => Ending::Signal(name),
                what = self.failure.wait() => Ending::Failure(what),
            }
        })
    }

    /// Shuts down in order, within five seconds. Everything that clients were told is committed is already on disk.
    pub fn stop(self) {
        let started = Instant::now();
        let Self { runtime, health, pages, servers, stop, network, transactions, mailbox, threads, failure, address_files, .. } = self;
        failure.set_running(false);
        stop.send_replace(true);
        runtime.block_on(async {
            let all = async {
                for server in servers {
                    // A server that panicked has stopped as well.
                    drop(server.await);
                }
            };
            if tokio::time::timeout(SERVERS_PATIENCE, all).await.is_err() {
                tracing::warn!("the API did not stop in time; closing its connections");
            }
        });
        network.shutdown();
        transactions.close();
        mailbox.close();
        if let Err(running) = threads.join(STOP_PATIENCE.saturating_sub(started.elapsed())) {
            tracing::warn!("these threads did not stop in time and will end with the process: {}", running.join(", "));
        }
        for runtime in [runtime, health, pages] {
            runtime.shutdown_timeout(STOP_PATIENCE.saturating_sub(started.elapsed()));
        }
        for path in address_files.into_iter().flat_map(|(api, metrics)| [api, metrics]) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::debug!("{}: {error}", path.display());
            }
        }
        tracing::info!(milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX), "stopped");
    }
}

fn start_replica<S: Store>(
    replica: Replica<S>,
    mailbox: Mailbox<LoopInput>,
    outlets: Outlets,
    failure: &Failure,
    threads: &mut Threads,
) -> io::Result<()> {
    let mut event_loop = EventLoop::new(replica, Clock::start(), mailbox.clone(), outlets);
    let failure = failure.clone();
    threads.start("replica", move || {
        if let Err(fatal) = event_loop.run() {
            // Before any cleanup: the process may end right here.
            failure.report(&fatal.to_string());
            // Where the process lives on (in tests), nobody may wait for answers that will never come.
            mailbox.abandon();
        }
    })
}

fn open_ledger<S: Store>(store: &S, app: &App, genesis: &Genesis) -> Result<Ledger<S>, LedgerError> {
    let started = Instant::now();
    let mut told = Duration::ZERO;
    let tell = |Loading { keys }| {
        let elapsed = started.elapsed();
        if elapsed.saturating_sub(told) >= TELL_AFTER {
            told = elapsed;
            tracing::info!(keys, seconds = elapsed.as_secs(), "reading the state");
        }
    };
    Ledger::open_with(store.clone(), app, genesis, tell)
}

fn pool_limits(config: &PoolConfig) -> PoolLimits {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    PoolLimits {
        transactions_max: size(config.transactions_max.into()),
        bytes_max: size(config.bytes_max),
        per_sender_max: size(config.sender_transactions_max.into()),
        sequence_gap_max: config.sender_transactions_max.into(),
        ..PoolLimits::default()
    }
}

fn network_config(
    listen: String,
    resolver: Option<SocketAddr>,
    peers: Vec<Peer>,
    genesis: &Genesis,
    genesis_hash: GenesisHash,
    secret: Box<zeroize::Zeroizing<[u8; 32]>>,
) -> NetworkConfig {
    let mut limits = Limits::default();
    // The longest message must fit: a full block with its certificates.
    limits.consensus.frame_bytes_max = MESSAGE_BYTES_MAX;
    limits.sync.frame_bytes_max = MESSAGE_BYTES_MAX;
    NetworkConfig {
        secret,
        listen,
        resolver,
        peers,
        hello: Hello {
            application: ApplicationId::new(&genesis.application.name, genesis.application.version),
            chain_id: genesis.chain_id.0,
            genesis_hash: genesis_hash.0.0,
            protocol_version: PROTOCOL_VERSION,
        },
        limits,
    }
}

/// A runtime whose threads answer requests: a panic on one of them costs one answer, not the process.
fn runtime(threads: u16, begin: impl Fn() + Send + Sync + 'static) -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(threads.max(1)))
        .max_blocking_threads(DISK_THREADS)
        .thread_name(API_THREAD)
        .on_thread_start(begin)
        .enable_all()
        .build()
}

/// A reader sees the old file or the new one, never a part, even after a power cut.
fn write_whole(path: &std::path::Path, text: &str) -> io::Result<()> {
    quorate_keygen::whole_file::replace(&quorate_keygen::whole_file::SystemFiles, path, text.as_bytes(), 0o666)
}
