//! What all scenarios run by a thread share: the network, its genesis state, and the transactions that keep it busy.

use quorate_types::{
    crypto::SigningKey,
    genesis::Parameters,
    ids::Address,
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
}

impl Lab {
    /// A network of this many validators, with work for this many blocks of each client.
    ///
    /// # Errors
    /// There are no validators, or more than 128.
    pub fn new(validators: u16, blocks: u64) -> Result<Self, String> {
        Self::of(&Shared::default(), validators, blocks)
    }

    /// Like [`Self::new`], for any application.
    pub(crate) fn of(subject: &Shared, validators: u16, blocks: u64) -> Result<Self, String> {
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
        let origin = Origin::new(&setting.app, &setting.genesis)?;
        let expires_at = UnixMillis(BEGINNING.0.saturating_add(VALIDITY_MS));
        let [first, second] = keys.map(|key| {
            let sign = |sequence: u64| {
                Transaction::sign(setting.genesis_hash(), &key, Sequence(sequence), expires_at, app.sample(sequence, &accounts))
            };
            let transactions = (0..blocks).map(sign).collect();
            setting.verifier.transactions(transactions).into_iter().collect::<Result<Vec<_>, _>>()
        });
        let work = [first.map_err(|error| error.to_string())?, second.map_err(|error| error.to_string())?];
        Ok(Self { setting, origin, subject: subject.clone(), work })
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
        Self::of(subject, validators, u64::from(rounds).saturating_add(4))
    }
}
