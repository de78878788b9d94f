//! An application with its types erased: as a node carries it ([`App`]), and as a ledger runs it ([`Machine`]).

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use quorate_types::{
    codec,
    epoch::EpochState,
    failure::{Code, Failure},
    genesis::{Genesis, GenesisApplication, StateLimits},
    ids::Address,
    permission::Permission,
    receipt::Outcome,
    round::Height,
    settings::Settings,
    state_key::{ACCOUNT, EPOCH_KEY, RECORD_HEAD_BYTES},
    transaction::{PAYLOAD_BYTES_MAX, Target, Transaction},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    application::{AppError, Application, BlockContext, Call, Rules},
    governance::{self, Network},
    permissions,
    state::{ACCOUNT_BYTES_MAX, ANSWER_BYTES_MAX, State, StateRead, Writes},
};

/// An application with its types erased. Clones share it.
#[derive(Clone)]
pub struct App(Arc<dyn Erased>);

/// An application with the settings of a network: executes its blocks. Clones share it.
#[derive(Clone)]
pub struct Machine {
    running: Arc<dyn Running>,
    app: App,
    network: Network,
    first_epoch: Arc<EpochState>,
    first_permissions: Arc<BTreeMap<Address, Permission>>,
}

/// What is translated between the bytes of the chain and JSON for people and tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// The payload of a transaction.
    Operation,
    /// The answer to a transaction that took effect.
    Answer,
    /// A reader's question.
    Query,
    /// The answer to a question.
    Found,
}

/// Why a path of the API names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The application has no such path.
    #[error("application {0} has no such path")]
    Unknown(&'static str),
    /// A part of the path does not parse.
    #[error("{0}")]
    Malformed(String),
}

impl App {
    /// Erases an application's types.
    #[must_use]
    pub fn new<A: Application>(application: A) -> Self {
        Self(Arc::new(Typed(Arc::new(application))))
    }

    /// The application's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The version of the application's rules.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.0.version()
    }

    /// The application's part of a genesis with these settings.
    #[must_use]
    pub fn in_genesis(&self, settings: Settings) -> GenesisApplication {
        GenesisApplication { name: self.name().to_owned(), version: self.version(), settings }
    }

    /// The settings of a network whose founders choose none.
    #[must_use]
    pub fn default_settings(&self) -> Settings {
        self.0.default_settings()
    }

    /// The settings of a trial network; see [`Application::trial_settings`].
    #[must_use]
    pub fn trial_settings(&self, accounts: &[(Address, u64)]) -> Settings {
        self.0.trial_settings(accounts)
    }

    /// The payload of an operation that takes effect; see [`Application::sample`].
    #[must_use]
    pub fn sample(&self, number: u64, accounts: &[Address]) -> Vec<u8> {
        self.0.sample(number, accounts)
    }

    /// The payload that lets another account send samples, if one is needed; see [`Application::grant`].
    #[must_use]
    pub fn grant(&self, to: &Address) -> Option<Vec<u8>> {
        self.0.grant(to)
    }

    /// The application with the settings of a network.
    ///
    /// # Errors
    /// [`AppError`]: the network runs another application, or the settings do not fit.
    pub fn open(&self, genesis: &Genesis) -> Result<Machine, AppError> {
        let GenesisApplication { name, version, settings } = &genesis.application;
        if name != self.name() || *version != self.version() {
            let (found, found_version) = (name.clone(), *version);
            return Err(AppError::OtherApplication { found, found_version, ours: self.name().to_owned(), our_version: self.version() });
        }
        let limits = genesis.parameters.state;
        let running = self.0.open(settings, limits);
        let running = running.map_err(|reason| AppError::Settings { application: name.clone(), reason })?;
        let first_epoch = Arc::new(genesis.epoch_state());
        let first_permissions = Arc::new(genesis.permissions.clone());
        Ok(Machine { running, app: self.clone(), network: Network::of(genesis), first_epoch, first_permissions })
    }

    /// Bytes of the chain as JSON; `None` if they are not of this application.
    #[must_use]
    pub fn show(&self, words: Words, bytes: &[u8]) -> Option<serde_json::Value> {
        catch(|| self.0.show(words, bytes)).unwrap_or_default()
    }

    /// Encodes a JSON text.
    ///
    /// # Errors
    /// A sentence about what does not fit.
    pub fn read(&self, words: Words, json: &str) -> Result<Vec<u8>, String> {
        catch(|| self.0.read(words, json)).unwrap_or_else(|_| Err(PANICKED.into()))
    }

    /// The state key that a path of the API names.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn locate(&self, path: &[&str]) -> Result<Vec<u8>, PathError> {
        let located = catch(|| self.0.locate(path)).unwrap_or_else(|_| Err(PANICKED.into()));
        located.map_err(PathError::Malformed)?.ok_or(PathError::Unknown(self.name()))
    }

    /// An entry of the state as JSON, if the application shows it.
    #[must_use]
    pub fn show_entry(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value> {
        let value = if key.first() == Some(&ACCOUNT) { value.get(RECORD_HEAD_BYTES..)? } else { value };
        catch(|| self.0.show_entry(key, value)).unwrap_or_default()
    }

    /// A sentence for people on a failure.
    #[must_use]
    pub fn explain(&self, failure: &Failure) -> String {
        let application = || catch(|| self.0.explain(failure)).unwrap_or_default();
        application()
            .or_else(|| governance::explain(failure))
            .or_else(|| permissions::explain(failure))
            .unwrap_or_else(|| failure.to_string())
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "application {} version {}", self.name(), self.version())
    }
}

impl Machine {
    /// The application.
    #[must_use]
    pub const fn app(&self) -> &App {
        &self.app
    }

    pub(crate) const fn network(&self) -> Network {
        self.network
    }

    /// What governs the first epoch.
    #[must_use]
    pub fn first_epoch(&self) -> &EpochState {
        &self.first_epoch
    }

    /// The genesis state of the network.
    ///
    /// # Errors
    /// [`AppError::Settings`]: the application writes more than the state may hold, or lets no account come into being that has a permission.
    pub fn genesis_state(&self) -> Result<Writes, AppError> {
        let nothing = BTreeMap::new();
        let mut state = State::new(&nothing);
        self.running.genesis(&mut state);
        let refused = |failure: &Failure| AppError::Settings { application: self.app.name().to_owned(), reason: self.app.explain(failure) };
        for (account, permission) in &*self.first_permissions {
            let record = permissions::record(&state, self, account, *permission).map_err(|failure| refused(&failure))?;
            permissions::put(&mut state, account, record);
        }
        state.write_chain(EPOCH_KEY, Some(codec::encode(&*self.first_epoch).into()));
        match state.refusal(u64::MAX) {
            None => Ok(state.into_writes()),
            Some(failure) => Err(refused(&failure)),
        }
    }

    /// Answers a question on a committed state.
    ///
    /// # Errors
    /// [`Failure`]: the application's, `malformed-query`, or `panicked`.
    pub fn query(&self, state: &dyn StateRead, query: &[u8]) -> Result<Vec<u8>, Failure> {
        caught(|| self.running.query(state, query))
    }

    /// See [`Application::check`].
    pub(crate) fn check(&self, state: &dyn StateRead, epoch: &EpochState, tx: &Transaction) -> Result<(), Failure> {
        match tx.content().target {
            Target::Application => caught(|| self.running.check(state, &tx.sender(), &tx.content().payload)),
            Target::Chain => governance::execute(&mut State::new(state), epoch, self, &tx.sender(), &tx.content().payload).map(drop),
        }
    }

    /// See [`Application::new_account`].
    pub(crate) fn new_account(&self) -> Result<Vec<u8>, Failure> {
        let application = caught(|| self.running.new_account())?;
        if application.len() > ACCOUNT_BYTES_MAX {
            let numbers = [application.len() as u64, ACCOUNT_BYTES_MAX as u64];
            return Err(Failure::new(Code::new("account-too-large"), &numbers));
        }
        Ok(application)
    }

    /// Executes a transaction. The error is the message of a panic; `state` must not be used then.
    pub(crate) fn execute(
        &self,
        state: &mut State<'_>,
        block: &BlockContext,
        epoch: &EpochState,
        tx: &Transaction,
    ) -> Result<Outcome, String> {
        if tx.content().target == Target::Chain {
            let done = governance::execute(state, epoch, self, &tx.sender(), &tx.content().payload);
            let answer = |id: Option<_>| Outcome::Applied(id.map_or_else(Vec::new, |id| codec::encode(&id)));
            return Ok(done.map_or_else(Outcome::Failed, answer));
        }
        catch(|| self.running.execute(state, block, tx)).map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
        })
    }
}

impl Machine {
    /// Applies the approved proposals, at the end of a block.
    pub(crate) fn conclude(&self, state: &mut State<'_>, epoch: &EpochState, height: Height) -> Option<EpochState> {
        governance::conclude(state, epoch, self, height)
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.app.fmt(f)
    }
}

/// Error of a call that panicked.
const PANICKED: &str = "the application panicked on it; report this to the application's authors";

/// Runs a call that decides nothing, so that its panic ends that call only.
fn caught<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch(call).unwrap_or_else(|_| Err(Failure::new(Code::new("panicked"), &[])))
}

thread_local! {
    static IN_APPLICATION: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a call of an application whose panics are caught. A panic hook that ends the process ignores such a panic.
#[must_use]
pub fn is_in_application() -> bool {
    IN_APPLICATION.get()
}

fn catch<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    let outer = IN_APPLICATION.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IN_APPLICATION.set(outer);
    result
}

trait Erased: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn default_settings(&self) -> Settings;
    fn trial_settings(&self, accounts: &[(Address, u64)]) -> Settings;
    fn sample(&self, number: u64, accounts: &[Address]) -> Vec<u8>;
    fn grant(&self, to: &Address) -> Option<Vec<u8>>;
    fn open(&self, settings: &Settings, limits: StateLimits) -> Result<Arc<dyn Running>, String>;
    fn show(&self, words: Words, bytes: &[u8]) -> Option<serde_json::Value>;
    fn read(&self, words: Words, json: &str) -> Result<Vec<u8>, String>;
    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String>;
    fn show_entry(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value>;
    fn explain(&self, failure: &Failure) -> Option<String>;
}

trait Running: Send + Sync {
    fn genesis(&self, state: &mut State<'_>);
    fn new_account(&self) -> Result<Vec<u8>, Failure>;
    fn check(&self, state: &dyn StateRead, sender: &Address, payload: &[u8]) -> Result<(), Failure>;
    fn execute(&self, state: &mut State<'_>, block: &BlockContext, tx: &Transaction) -> Outcome;
    fn query(&self, state: &dyn StateRead, query: &[u8]) -> Result<Vec<u8>, Failure>;
}

struct Typed<A>(Arc<A>);

struct Opened<A: Application> {
    application: Arc<A>,
    settings: A::Settings,
    limits: StateLimits,
}

impl<A: Application> Erased for Typed<A> {
    fn name(&self) -> &'static str {
        A::NAME
    }

    fn version(&self) -> u32 {
        A::VERSION
    }

    fn default_settings(&self) -> Settings {
        Settings::of(&A::Settings::default()).unwrap_or_default()
    }

    fn trial_settings(&self, accounts: &[(Address, u64)]) -> Settings {
        Settings::of(&self.0.trial_settings(accounts)).unwrap_or_default()
    }

    fn sample(&self, number: u64, accounts: &[Address]) -> Vec<u8> {
        codec::try_encode(&self.0.sample(number, accounts)).unwrap_or_default()
    }

    fn grant(&self, to: &Address) -> Option<Vec<u8>> {
        codec::try_encode(&self.0.grant(to)?).ok()
    }

    fn open(&self, settings: &Settings, limits: StateLimits) -> Result<Arc<dyn Running>, String> {
        let settings = settings.parse().map_err(|error| error.to_string())?;
        self.0.check_settings(&Rules { settings: &settings, limits })?;
        Ok(Arc::new(Opened { application: Arc::clone(&self.0), settings, limits }))
    }

    fn show(&self, words: Words, bytes: &[u8]) -> Option<serde_json::Value> {
        fn shown<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<serde_json::Value> {
            serde_json::to_value(codec::decode::<T>(bytes, ANSWER_BYTES_MAX).ok()?).ok()
        }
        match words {
            Words::Operation => shown::<A::Operation>(bytes),
            Words::Answer => shown::<A::Answer>(bytes),
            Words::Query => shown::<A::Query>(bytes),
            Words::Found => shown::<A::Found>(bytes),
        }
    }

    fn read(&self, words: Words, json: &str) -> Result<Vec<u8>, String> {
        fn bytes<T: Serialize + DeserializeOwned>(json: &str) -> Result<Vec<u8>, String> {
            let value: T = serde_json::from_str(json).map_err(|error| error.to_string())?;
            codec::try_encode(&value).map_err(|error| error.to_string())
        }
        match words {
            Words::Operation => bytes::<A::Operation>(json),
            Words::Answer => bytes::<A::Answer>(json),
            Words::Query => bytes::<A::Query>(json),
            Words::Found => bytes::<A::Found>(json),
        }
    }

    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String> {
        self.0.locate(path)
    }

    fn show_entry(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value> {
        self.0.show(key, value)
    }

    fn explain(&self, failure: &Failure) -> Option<String> {
        self.0.explain(failure)
    }
}

impl<A: Application> Opened<A> {
    fn rules(&self) -> Rules<'_, A::Settings> {
        Rules { settings: &self.settings, limits: self.limits }
    }
}

impl<A: Application> Running for Opened<A> {
    fn genesis(&self, state: &mut State<'_>) {
        self.application.genesis(&self.rules(), state);
    }

    fn new_account(&self) -> Result<Vec<u8>, Failure> {
        self.application.new_account(&self.rules())
    }

    fn check(&self, state: &dyn StateRead, sender: &Address, payload: &[u8]) -> Result<(), Failure> {
        self.application.check(&self.rules(), state, sender, &operation::<A>(payload)?)
    }

    fn execute(&self, state: &mut State<'_>, block: &BlockContext, tx: &Transaction) -> Outcome {
        let operation = match operation::<A>(&tx.content().payload) {
            Ok(operation) => operation,
            Err(failure) => return Outcome::Failed(failure),
        };
        let call = Call { rules: self.rules(), block, sender: tx.sender(), id: tx.id() };
        match self.application.execute(&call, state, operation).and_then(|answer| encoded(&answer)) {
            Ok(answer) => Outcome::Applied(answer),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn query(&self, state: &dyn StateRead, query: &[u8]) -> Result<Vec<u8>, Failure> {
        let query = codec::decode(query, PAYLOAD_BYTES_MAX).map_err(|_| Failure::new(Code::new("malformed-query"), &[]))?;
        self.application.query(&self.rules(), state, query).and_then(|found| encoded(&found))
    }
}

/// Fails on a floating-point number, which has no encoding.
fn encoded<T: Serialize>(answer: &T) -> Result<Vec<u8>, Failure> {
    let answer = codec::try_encode(answer).map_err(|_| Failure::new(Code::new("answer-has-no-encoding"), &[]))?;
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(Failure::new(Code::new("answer-too-large"), &[answer.len() as u64, ANSWER_BYTES_MAX as u64]));
    }
    Ok(answer)
}

fn operation<A: Application>(payload: &[u8]) -> Result<A::Operation, Failure> {
    // The decoder's message depends on its version, so it must not get into a receipt.
    codec::decode(payload, PAYLOAD_BYTES_MAX).map_err(|_| Failure::new(Code::new("malformed-operation"), &[]))
}
