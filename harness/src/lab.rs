//! What all scenarios run by a thread share: the network, its genesis state, and the transactions that keep it busy.

use quorate_types::{
    committee::VotingPower,
    crypto::SigningKey,
    genesis::Parameters,
    governance::{ChainOperation, Change},
    ids::{Address, ValidatorId},
    round::{Sequence, UnixMillis},
    transaction::Transaction,
    verify::Verified,
};

use crate::{
    committee::{BEGINNING, Setting},
    origin::Origin,
    subject::Shared,
};

/// Validity of transactions: longer than any scenario.
const VALIDITY_MS: u64 = 24 * 3_600 * 1_000;
/// Round timer, in virtual milliseconds.
pub const TIMEOUT_MS: u32 = 100;

/// See the module.
#[derive(Debug)]
pub struct Lab {
    /// The network.
    pub setting: Setting,
    /// Its initial state.
    pub origin: Origin,
    /// What it replicates.
    pub subject: Shared,
    /// Transactions of two clients. The second copies get the second client's, all other actors the first client's, so the two copies of a
    /// leader propose different blocks as long as there is work.
    pub work: [Vec<Verified<Transaction>>; 2],
    /// The committee changes.
    pub changes: bool,
}

/// A change of the committee in a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabChange {
    /// Which transaction of each client changes the committee, from 1. A block holds one transaction.
    pub transaction: u32,
    /// Number of validators, from the first on, that the second client operates. The first client operates the others, who are a quorum.
    pub of_second: u16,
}

impl Lab {
    /// A network of this many validators, with work for this many blocks of each client.
    ///
    /// # Errors
    /// There are no validators, or more than 128.
    pub fn new(validators: u16, blocks: u64) -> Result<Self, String> {
        Self::of(&Shared::default(), validators, blocks, None)
    }

    /// Like [`Self::new`], for any application, and with a change of the committee. The first client's makes the last validator's power 2; the
    /// second client's moves the first validator. Each takes effect in its block, so two blocks of one round may name two committees.
    fn of(subject: &Shared, validators: u16, blocks: u64, change: Option<LabChange>) -> Result<Self, String> {
        let keys = [SigningKey::from_seed(&[101; 32]), SigningKey::from_seed(&[102; 32])];
        let app = subject.0.app();
        let accounts = [0, 1].map(|index: usize| keys.get(index).map_or_else(Address::default, |key| Address::of(&key.public())));
        let settings = app.trial_settings(&accounts.map(|address| (address, 1_000)));
        let parameters = Parameters {
            // One transaction a block, so that the work lasts.
            block_transactions_max: 1,
            block_bytes_max: 65_536,
            timeout_base_ms: TIMEOUT_MS,
            timeout_growth_percent: 100,
            timeout_max_ms: TIMEOUT_MS,
            heartbeat_ms: TIMEOUT_MS,
            ..Parameters::default()
        };
        let setting = Setting::fixed(validators, &app, settings, parameters)?;
        let [operator, of_others] = accounts;
        let setting = match change {
            Some(change) => setting.operated(|id| Some(if id.0 < change.of_second { of_others } else { operator }))?,
            None => setting,
        };
        let power = Change::Power { seat: ValidatorId(validators.saturating_sub(1)), power: VotingPower(2) };
        let moved = setting.entry(ValidatorId(0), |validator| validator.address = "/memory/moved".into());
        let moved = moved.map(|entry| Change::Replace { seat: ValidatorId(0), entry });
        let mut changes = [Some(power), moved].into_iter();
        let origin = Origin::new(&setting.app, &setting.genesis)?;
        let expires_at = UnixMillis(BEGINNING.0.saturating_add(VALIDITY_MS));
        let [first, second] = keys.map(|key| {
            let operation = changes.next().flatten().map(|change| ChainOperation::Propose(Box::new(change)));
            let sign = |sequence: u64| {
                let is_change = change.is_some_and(|change| u64::from(change.transaction) == sequence.saturating_add(1));
                if let Some(operation) = operation.as_ref().filter(|_| is_change) {
                    return Transaction::sign_chain(setting.genesis_hash(), &key, Sequence(sequence), expires_at, operation);
                }
                Transaction::sign(setting.genesis_hash(), &key, Sequence(sequence), expires_at, app.sample(sequence, &accounts))
            };
            let transactions = (0..blocks).map(sign).collect();
            setting.verifier.transactions(transactions).into_iter().collect::<Result<Vec<_>, _>>()
        });
        let work = [first.map_err(|error| error.to_string())?, second.map_err(|error| error.to_string())?];
        Ok(Self { setting, origin, subject: subject.clone(), work, changes: change.is_some() })
    }

    /// A network for scenarios of this many rounds.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_rounds(validators: u16, rounds: u32) -> Result<Self, String> {
        Self::of_rounds(&Shared::default(), validators, rounds)
    }

    /// Like [`Self::for_rounds`], for any application.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_rounds(subject: &Shared, validators: u16, rounds: u32) -> Result<Self, String> {
        // After the last round it seldom takes more than four rounds until everybody has committed.
        Self::of_rounds_with(subject, validators, rounds, None)
    }

    /// Like [`Self::of_rounds`], with a change of the committee.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_rounds_with(subject: &Shared, validators: u16, rounds: u32, change: Option<LabChange>) -> Result<Self, String> {
        let blocks = u64::from(rounds).saturating_add(4);
        // The next epoch has rounds of its own.
        Self::of(subject, validators, if change.is_some() { blocks.saturating_mul(2) } else { blocks }, change)
    }
}
