//! The trait that a replicated service implements, and the words it speaks.

use std::{borrow::Cow, fmt};

use quorate_types::{
    crypto::{Hash, Tag},
    failure::{Code, Failure},
    genesis::StateLimits,
    ids::{Address, BlockId, GenesisHash, TxId, ValidatorId},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::state::{State, StateRead};

/// Domain of the seeds of blocks.
pub(crate) const SEED: Tag = Tag::new("quorate/block-seed");

/// A replicated service: a pure function of (state, settings, block, operation). Validators whose functions differ never certify each
/// other's blocks, so an implementation reads no clock, no file, no randomness, nothing with an unspecified order such as a hash map, and
/// no floating-point number; it keeps nothing in `self` that changes.
///
/// # Who calls what, and when
///
/// | Call | When | How often |
/// |---|---|---|
/// | [`check_settings`](Self::check_settings) | a genesis is made, verified, or opened | any |
/// | [`genesis`](Self::genesis) | a network's first state is computed, by every node that founds it | any; the result must be the same |
/// | [`check`](Self::check) | a transaction is offered to a node's pool | any, in any order, on any committed state |
/// | [`execute`](Self::execute) | a block is executed, before it is voted for | once for each proposed block, abandoned ones too, and again after a restart |
/// | [`query`](Self::query), [`locate`](Self::locate), [`show`](Self::show), [`explain`](Self::explain) | somebody reads | any, from any thread, on any committed state |
///
/// Only what `execute` writes in blocks that are committed becomes part of the state. What it writes in a transaction that fails is taken
/// back. A panic in `execute` stops the node, which names the transaction; after a restart the node votes for no block that contains it. A
/// panic in any other call ends that call only.
///
/// The types are what a client sends and gets: [`BCS`](quorate_types::codec) on the wire and under every hash, JSON for people and tools. So
/// a change of them is a new [`VERSION`](Self::VERSION).
pub trait Application: Send + Sync + 'static {
    /// Its name: 1 to 32 lower-case letters, digits and hyphens.
    const NAME: &'static str;
    /// The version of its rules. Two programs with one version execute every transaction alike; nodes with other versions are of other networks.
    const VERSION: u32;

    /// What a network's founders decide, in its genesis. Deny unknown fields, so that a misspelt one is refused.
    type Settings: Serialize + DeserializeOwned + Default + Send + Sync + 'static;
    /// What a transaction asks for, at most 32 KiB in BCS.
    type Operation: Serialize + DeserializeOwned;
    /// What a transaction that took effect answers, at most [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX) bytes in BCS.
    type Answer: Serialize + DeserializeOwned;
    /// What a reader asks without a transaction. [`Nothing`] where there is nothing to ask.
    type Query: Serialize + DeserializeOwned;
    /// What a reader is told.
    type Found: Serialize + DeserializeOwned;

    /// Whether a network can have these settings; a sentence that names the fix where it cannot.
    ///
    /// # Errors
    /// The sentence.
    fn check_settings(&self, rules: &Rules<'_, Self::Settings>) -> Result<(), String> {
        let _ = rules;
        Ok(())
    }

    /// Writes the first state.
    fn genesis(&self, rules: &Rules<'_, Self::Settings>, state: &mut State<'_>) {
        let _ = (rules, state);
    }

    /// What the application keeps of an account that begins with a transaction of its own. Whoever has no account and may not begin one so
    /// gets a [`Failure`], and no block contains a transaction of theirs.
    ///
    /// # Errors
    /// [`Failure`].
    fn new_account(&self, rules: &Rules<'_, Self::Settings>) -> Result<Vec<u8>, Failure> {
        let _ = rules;
        Ok(Vec::new())
    }

    /// The failure that an operation would end with, if that can be told before it is in a block; a pool does not take it then. A courtesy
    /// to its sender and a saving of space: it looks at some committed state, not at the one that the transaction will meet, and never
    /// decides whether a block is valid.
    ///
    /// # Errors
    /// [`Failure`].
    fn check(
        &self,
        rules: &Rules<'_, Self::Settings>,
        state: &dyn StateRead,
        sender: &Address,
        operation: &Self::Operation,
    ) -> Result<(), Failure> {
        let _ = (rules, state, sender, operation);
        Ok(())
    }

    /// Executes an operation. Its work must be bounded by the operation's size, as nothing interrupts it.
    ///
    /// # Errors
    /// [`Failure`]: the writes are taken back, and the sender's sequence number stays used.
    fn execute(&self, call: &Call<'_, Self::Settings>, state: &mut State<'_>, operation: Self::Operation) -> Result<Self::Answer, Failure>;

    /// Answers a question on a committed state. Nothing proves the answer, so clients compare the answers of several validators; for a
    /// single value they read its key, which is proved.
    ///
    /// # Errors
    /// [`Failure`].
    fn query(&self, rules: &Rules<'_, Self::Settings>, state: &dyn StateRead, query: Self::Query) -> Result<Self::Found, Failure> {
        let _ = (rules, state, query);
        Err(Failure::new(Code::new("unsupported"), &[]))
    }

    /// The key of the state that a path of the HTTP API names: `GET /v1/state/PATH`, its parts decoded. `None` where the application knows
    /// no such path.
    ///
    /// # Errors
    /// A sentence on a part that does not parse.
    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String> {
        let _ = path;
        Ok(None)
    }

    /// An entry of the state as JSON for people: what the HTTP API shows beside the bytes. For a key of an account, the value is what the
    /// application keeps of it.
    fn show(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value> {
        let _ = (key, value);
        None
    }

    /// An operation that takes effect whenever one of these accounts sends it, on a network for trying out: what local networks, measurements
    /// and the simulator send. Different numbers may give different operations; 0 is what a local network commits first, to see that it works,
    /// and is best one that changes little. There is at least one account.
    fn sample(&self, number: u64, accounts: &[Address]) -> Self::Operation;

    /// The settings of a network for trying out, with accounts and the amount that each should have where the application knows amounts. The
    /// first account is the richest.
    fn trial_settings(&self, accounts: &[(Address, u64)]) -> Self::Settings {
        let _ = accounts;
        Self::Settings::default()
    }

    /// What the first account of a network for trying out does to let another one send [`samples`](Self::sample), if anything is needed.
    fn grant(&self, to: &Address) -> Option<Self::Operation> {
        let _ = to;
        None
    }

    /// A sentence for people on a failure of this application, with its fix.
    fn explain(&self, failure: &Failure) -> Option<String> {
        let _ = failure;
        None
    }
}

/// What has no value: the [`Application::Query`] of an application that answers none, for example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nothing {}

/// What holds for every call on a network.
#[derive(Debug)]
pub struct Rules<'a, S> {
    /// What the founders decided, in the application's own words.
    pub settings: &'a S,
    /// How far the state may grow.
    pub limits: StateLimits,
}

/// A transaction that is being executed.
#[derive(Debug)]
pub struct Call<'a, S> {
    /// What holds for every call.
    pub rules: Rules<'a, S>,
    /// The block that the transaction is in.
    pub block: &'a BlockContext,
    /// The account that signed it.
    pub sender: Address,
    /// The transaction.
    pub id: TxId,
}

/// The block that transactions are executed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// The network.
    pub genesis_hash: GenesisHash,
    /// The epoch of the block.
    pub epoch: Epoch,
    /// Its position in the chain.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// The block itself.
    pub id: BlockId,
    /// Its time: the only clock of an application. Later than the parent's, and close to the clocks of honest validators.
    pub timestamp: UnixMillis,
    /// Who proposed it.
    pub author: ValidatorId,
    /// How far the state may grow.
    pub limits: StateLimits,
}

impl BlockContext {
    /// Thirty-two bytes that nobody but the block's author knows before it proposes the block, equal on every validator.
    ///
    /// As randomness they are weak: the author can try many payloads and propose the one whose seed it likes, or none at all. Use them to
    /// spread work or to break ties, never where a validator could gain by the result.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        Hash::of(&SEED, self.id.0.as_bytes()).0
    }
}

/// Why an application cannot run a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppError {
    /// The genesis is for another application.
    #[error(
        "the genesis is for application {found} version {found_version}, this program runs {ours} version {our_version}; use the program that the network runs"
    )]
    OtherApplication {
        /// The genesis' application.
        found: String,
        /// And its version.
        found_version: u32,
        /// The program's.
        ours: String,
        /// And its version.
        our_version: u32,
    },
    /// The settings are not of the application's type.
    #[error("the settings of application {application} in the genesis do not fit: {reason}")]
    Settings {
        /// The application.
        application: String,
        /// What does not fit.
        reason: String,
    },
}

/// Why a transaction does not enter a pool. Nothing has happened to it: the sender may mend and send it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxRejected {
    /// Its sequence number is used up.
    #[error("its sequence number is used up; the account's next one is {next}")]
    SequenceTooOld {
        /// The account's next.
        next: Sequence,
    },
    /// The largest sequence number, after which there would be none.
    #[error("the account has used all its sequence numbers")]
    SequenceExhausted,
    /// It is too late for it.
    #[error("it expired at {expires_at} ms, it is {now} ms; sign it again with a later expiry")]
    Expired {
        /// Its expiry.
        expires_at: UnixMillis,
        /// The time it was compared with.
        now: UnixMillis,
    },
    /// It is for another network.
    #[error("it is for the network of genesis {0}, not for this one")]
    OtherNetwork(GenesisHash),
    /// It would be executed in vain, as far as is known now.
    #[error("{0}")]
    Fails(Explained),
}

impl TxRejected {
    /// A stable word for programs.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::SequenceTooOld { .. } => "sequence-too-old",
            Self::SequenceExhausted => "sequence-exhausted",
            Self::Expired { .. } => "expired",
            Self::OtherNetwork(_) => "other-network",
            Self::Fails(explained) => return explained.failure.code().to_owned().into(),
        })
    }
}

/// A failure with the sentence that the application has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The failure.
    pub failure: Failure,
    /// The sentence.
    pub text: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
