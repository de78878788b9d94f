//! The validators' names, and the network they found. There is no seed: equal names give the same network.

use std::{collections::BTreeMap, sync::Arc};

use quorate_builtin::{GenesisAccount, Settings};
use quorate_harness::committee::{BEGINNING, CHAIN, Setting};
use quorate_types::{
    committee::{Validator, VotingPower},
    crypto::{Hash, SigningKey, Tag},
    genesis::{Genesis, Parameters},
    ids::{Address, ValidatorId},
    round::Round,
};

/// Most validators in a playground.
pub const VALIDATORS_MAX: usize = 16;
/// Initial balance of [`TREASURY`].
pub(super) const TREASURY_BALANCE: u64 = 1_000_000;
/// The account that deposits come from and withdrawals go to.
pub(super) const TREASURY: &str = "treasury";
/// Longest name of a validator or an account, in characters.
pub(super) const NAME_CHARS_MAX: usize = 24;
/// Rounds in which the validators lead in turn. No playground gets further: `INPUTS_MAX` bounds it.
const FIXED_ROUNDS: u64 = 10_000;

const KEY: Tag = Tag::new("quorate/playground-key");

/// How a playground is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The names of the validators, 1..=[`VALIDATORS_MAX`] of them.
    pub names: Vec<String>,
    /// Elect leaders by reputation, as on a real network (§3.7), instead of in turn.
    pub reputation: bool,
    /// Print ASCII only.
    pub ascii: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::numbered(4)
    }
}

impl Options {
    /// `P0`, `P1` and so on.
    #[must_use]
    pub fn numbered(validators: usize) -> Self {
        Self { names: (0..validators).map(|number| format!("P{number}")).collect(), reputation: false, ascii: false }
    }

    /// Checks the number of validators and their names.
    ///
    /// # Errors
    /// The problem, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=VALIDATORS_MAX).contains(&self.names.len()) {
            return Err(format!("a playground has 1 to {VALIDATORS_MAX} validators, not {}", self.names.len()));
        }
        for (number, name) in self.names.iter().enumerate() {
            check_name(name)?;
            if !name.starts_with(char::is_alphabetic) || WORDS.iter().any(|word| name.eq_ignore_ascii_case(word)) {
                return Err(format!(
                    "{name:?} cannot be a validator's name: it must begin with a letter and not be one of {}",
                    WORDS.join(", ")
                ));
            }
            if self.names.iter().take(number).any(|other| other.eq_ignore_ascii_case(name)) {
                return Err(format!("two validators are called {name}; give each a name of its own"));
            }
        }
        Ok(())
    }
}

/// Keywords of commands that take names; no validator may be called one.
const WORDS: &[&str] = &["all", "from", "to", "yes", "no", "at", "as", "auto", "manual", "events", "rounds", "event", "round"];

/// Letters, digits, `-` and `_`.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(sound) {
        return Err(format!("{name:?} is not a valid name; use 1 to {NAME_CHARS_MAX} letters, digits, '-' or '_'"));
    }
    Ok(())
}

/// The key derived from a name, separate for each kind.
pub(super) fn key(kind: &str, name: &str) -> SigningKey {
    SigningKey::from_seed(&Hash::of(&KEY, format!("{kind} {name}").as_bytes()).0)
}

/// Founds the network. The committee is sorted by key, so sorted keys are handed out in the order of `options.names`.
pub(super) fn found(options: &Options) -> Result<Setting, String> {
    options.check()?;
    let mut keys: Vec<SigningKey> = (0..options.names.len()).map(|number| key("validator", &number.to_string())).collect();
    keys.sort_by_key(SigningKey::public);
    let networks: Vec<SigningKey> = options.names.iter().map(|name| key("network", name)).collect();
    let members = keys.iter().zip(&networks).zip(&options.names).map(|((consensus, network), name)| {
        let validator = Validator {
            name: name.clone(),
            consensus_key: consensus.public(),
            network_key: network.public(),
            address: format!("/memory/{name}"),
            power: VotingPower(1),
            operator: None,
        };
        (validator, consensus, network)
    });
    // Time moves only to a deadline, so only the order of the durations matters: an idle leader's heartbeat comes before any timer.
    let parameters = Parameters { timeout_base_ms: 1_000, heartbeat_ms: 1_000, ..Parameters::default() };
    let accounts = vec![GenesisAccount { address: Address::of(&key("account", TREASURY).public()), balance: TREASURY_BALANCE }];
    let application = Settings::default().with_accounts(accounts).in_genesis();
    let genesis = Genesis::draft(CHAIN, "playground", BEGINNING, parameters, application);
    let genesis = genesis.with_validators(members);
    Setting::of(&quorate_builtin::app(), genesis, &keys)
}

/// The validators in turn, starting with the first in round 1; empty if reputation elects.
pub(super) fn leaders(options: &Options) -> Arc<BTreeMap<Round, ValidatorId>> {
    let validators = options.names.len() as u64;
    let turn = |round: u64| round.saturating_sub(1).checked_rem(validators).and_then(|turn| u16::try_from(turn).ok()).unwrap_or(0);
    let rounds = if options.reputation { 0 } else { FIXED_ROUNDS };
    Arc::new((1..=rounds).map(|round| (Round(round), ValidatorId(turn(round)))).collect())
}

/// How many faults so many validators of equal power tolerate.
pub(super) const fn faults(validators: usize) -> usize {
    validators.saturating_sub(1) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_with_a_word_on_what_is_right() {
        let named = |names: &[&str]| Options { names: names.iter().map(ToString::to_string).collect(), ..Options::default() };
        assert!(named(&["north", "south"]).check().is_ok());
        for (wrong, says) in [
            (named(&[]), "1 to 16"),
            (Options::numbered(17), "1 to 16"),
            (named(&["a b"]), "letters, digits"),
            (named(&["7"]), "begin with a letter"),
            (named(&["yes"]), "not be one of"),
            (named(&["a", "A"]), "name of its own"),
        ] {
            let error = wrong.check().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn validators_are_in_the_order_of_their_names_and_lead_in_turn() {
        let options = Options::numbered(4);
        let setting = found(&options).unwrap();
        let names: Vec<&str> = setting.genesis.validators.iter().map(|member| member.validator.name.as_str()).collect();
        assert_eq!(names, ["P0", "P1", "P2", "P3"]);
        let leaders = leaders(&options);
        let first: Vec<u16> = (1..=5).filter_map(|round| leaders.get(&Round(round))).map(|id| id.0).collect();
        assert_eq!(first, [0, 1, 2, 3, 0]);
    }
}
