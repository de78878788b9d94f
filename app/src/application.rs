//! The trait that a replicated service implements, and its vocabulary.

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

/// Domain of block seeds.
pub(crate) const SEED: Tag = Tag::new("quorate/block-seed");

/// A replicated service: a pure function of (state, settings, block, operation). Validators whose functions differ never certify each
/// other's blocks, so an implementation reads no clock, no file, no randomness, nothing with an unspecified order such as a hash map, and
/// no floating-point number; it keeps no mutable state in `self`.
///
/// # Who calls what, and when
///
/// | Call | When | How often |
/// |---|---|---|
/// | [`check_settings`](Self::check_settings) | a genesis is made, verified, or opened | any |
/// | [`genesis`](Self::genesis) | a network's first state is computed, by every node that founds it | any; the result must be the same |
/// | [`check`](Self::check) | a transaction is offered to a node's pool | any, in any order, on any committed state |
/// | [`execute`](Self::execute) | a block is executed, before it is voted for | once for each proposed block, abandoned ones included, and again after a restart |
/// | [`query`](Self::query), [`locate`](Self::locate), [`show`](Self::show), [`explain`](Self::explain) | a client reads | any, from any thread, on any committed state |
///
/// Only what `execute` writes in committed blocks becomes part of the state. The writes of a failed transaction are rolled back. A panic in
/// `execute` stops the node, which names the transaction; after a restart the node votes for no block that contains it. A panic in any other
/// call ends that call only.
///
/// Clients send and receive these types: as [`BCS`](quorate_types::codec) on the wire and under every hash, as JSON for people and tools. So
/// changing them takes a new [`VERSION`](Self::VERSION).
pub trait Application: Send + Sync + 'static {
    /// 1 to 32 lower-case letters, digits and hyphens.
    const NAME: &'static str;
    /// Version of the rules. Programs with the same version execute every transaction alike; a network runs one version.
    const VERSION: u32;

    /// Settings that a network's founders choose, part of its genesis. Deny unknown fields, so that a misspelt one is refused.
    type Settings: Serialize + DeserializeOwned + Default + Send + Sync + 'static;
    /// Request of a transaction, at most 32 KiB in BCS.
    type Operation: Serialize + DeserializeOwned;
    /// Answer to a transaction that took effect, at most [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX) bytes in BCS.
    type Answer: Serialize + DeserializeOwned;
    /// A reader's question, outside any transaction. [`Nothing`] if there is nothing to ask.
    type Query: Serialize + DeserializeOwned;
    /// Answer to a query.
    type Found: Serialize + DeserializeOwned;

    /// Whether a network can have these settings.
    ///
    /// # Errors
    /// A sentence that names the fix.
    fn check_settings(&self, rules: &Rules<'_, Self::Settings>) -> Result<(), String> {
        let _ = rules;
        Ok(())
    }

    /// Writes the genesis state.
    fn genesis(&self, rules: &Rules<'_, Self::Settings>, state: &mut State<'_>) {
        let _ = (rules, state);
    }

    /// Initial application data of an account that comes into being by sending a transaction. A [`Failure`] means that such accounts are
    /// not allowed: no block contains a transaction of a sender without an account.
    ///
    /// # Errors
    /// [`Failure`].
    fn new_account(&self, rules: &Rules<'_, Self::Settings>) -> Result<Vec<u8>, Failure> {
        let _ = rules;
        Ok(Vec::new())
    }

    /// The failure that an operation would end with, where it can be foreseen before the operation is in a block; a pool then rejects it.
    /// This is a courtesy to the sender and saves space: it looks at some committed state, not at the one that the transaction will meet,
    /// and never decides whether a block is valid.
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

    /// Executes an operation. Bound its work by the operation's size: nothing interrupts it.
    ///
    /// # Errors
    /// [`Failure`]: the writes are rolled back, and the sender's sequence number stays used.
    fn execute(&self, call: &Call<'_, Self::Settings>, state: &mut State<'_>, operation: Self::Operation) -> Result<Self::Answer, Failure>;

    /// Answers a question on a committed state. The answer is not proved, so clients compare the answers of several validators; a single
    /// value is better read by its key, with proof.
    ///
    /// # Errors
    /// [`Failure`].
    fn query(&self, rules: &Rules<'_, Self::Settings>, state: &dyn StateRead, query: Self::Query) -> Result<Self::Found, Failure> {
        let _ = (rules, state, query);
        Err(Failure::new(Code::new("unsupported"), &[]))
    }

    /// The state key that a path of the HTTP API names: the decoded parts of PATH in `GET /v1/state/PATH`. `None` if the application has no
    /// such path.
    ///
    /// # Errors
    /// A sentence about the part that does not parse.
    fn locate(&self, path: &[&str]) -> Result<Option<Vec<u8>>, String> {
        let _ = path;
        Ok(None)
    }

    /// An entry of the state as JSON for people: what the HTTP API shows beside the bytes. For an account's key, `value` is the application's
    /// part of the record.
    fn show(&self, key: &[u8], value: &[u8]) -> Option<serde_json::Value> {
        let _ = (key, value);
        None
    }

    /// An operation that takes effect whenever one of these accounts sends it, on a trial network: what local networks, measurements
    /// and the simulator send. Different numbers may give different operations. Operation 0 is what a local network commits first to see that
    /// it works, so let it change little. `accounts` is not empty.
    fn sample(&self, number: u64, accounts: &[Address]) -> Self::Operation;

    /// The settings of a trial network, with its accounts and the amount that each should have, if the application has amounts. The first
    /// account is the richest.
    fn trial_settings(&self, accounts: &[(Address, u64)]) -> Self::Settings {
        let _ = accounts;
        Self::Settings::default()
    }

    /// What the first account of a trial network sends to let another one send [`samples`](Self::sample), if that takes anything.
    fn grant(&self, to: &Address) -> Option<Self::Operation> {
        let _ = to;
        None
    }

    /// A sentence for people about a failure of this application, with the fix.
    fn explain(&self, failure: &Failure) -> Option<String> {
        let _ = failure;
        None
    }
}

/// A type without values, such as the [`Application::Query`] of an application that answers no queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nothing {}

/// The same for every call on a network.
#[derive(Debug)]
pub struct Rules<'a, S> {
    /// The application's settings in the genesis.
    pub settings: &'a S,
    /// Limits on the growth of the state that the founders chose. Those in force are in [`BlockContext::limits`].
    pub limits: StateLimits,
}

/// A transaction being executed.
#[derive(Debug)]
pub struct Call<'a, S> {
    /// Settings and limits of the network.
    pub rules: Rules<'a, S>,
    /// The block that contains the transaction.
    pub block: &'a BlockContext,
    /// The account that signed the transaction.
    pub sender: Address,
    /// Id of the transaction.
    pub id: TxId,
}

/// The block whose transactions are being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// Identifies the network.
    pub genesis_hash: GenesisHash,
    /// Epoch of the block.
    pub epoch: Epoch,
    /// Position in the chain.
    pub height: Height,
    /// Round in which the block was proposed.
    pub round: Round,
    /// Id of the block.
    pub id: BlockId,
    /// An application's only clock. Later than the parent's timestamp, and close to the clocks of honest validators.
    pub timestamp: UnixMillis,
    /// The validator that proposed the block.
    pub author: ValidatorId,
    /// Limits on the growth of the state.
    pub limits: StateLimits,
}

impl BlockContext {
    /// 32 bytes, equal on every validator, that only the block's author knows before it proposes the block.
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
        "the genesis is for application {found} version {found_version}, but this program runs {ours} version {our_version}; use the program that the network runs"
    )]
    OtherApplication {
        /// Application in the genesis.
        found: String,
        /// Version in the genesis.
        found_version: u32,
        /// Application of this program.
        ours: String,
        /// Version of this program.
        our_version: u32,
    },
    /// The settings do not fit the application.
    #[error("the genesis has bad settings for application {application}: {reason}")]
    Settings {
        /// Name of the application.
        application: String,
        /// What is wrong with them.
        reason: String,
    },
}

/// Why a transaction does not enter a pool. It has had no effect: the sender may correct it and send it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxRejected {
    /// The sequence number is used up.
    #[error("its sequence number is used up; the account's next one is {next}")]
    SequenceTooOld {
        /// The account's next sequence number.
        next: Sequence,
    },
    /// The largest sequence number, which has no successor.
    #[error("the account has used all its sequence numbers")]
    SequenceExhausted,
    /// The transaction has expired.
    #[error("it expired at {expires_at} ms, and it is now {now} ms; sign it again with a later expiry")]
    Expired {
        /// Expiry of the transaction.
        expires_at: UnixMillis,
        /// The time that it was compared with.
        now: UnixMillis,
    },
    /// The transaction is for another network.
    #[error("it is for the network of genesis {0}, not for this one")]
    OtherNetwork(GenesisHash),
    /// It would fail, as far as is known now.
    #[error("{0}")]
    Fails(Explained),
}

impl TxRejected {
    /// A stable code for programs.
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

/// A failure with the application's sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The failure itself.
    pub failure: Failure,
    /// The sentence for people.
    pub text: String,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
