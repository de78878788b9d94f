//! The ceremony without its files: a draft, fragments, and the genesis built from them.

use std::{collections::BTreeMap, path::Path};

use quorate_app::App;
use quorate_types::{
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, GenesisApplication, GenesisValidator, Parameters},
    governance::Authority,
    ids::{Address, ChainId, DraftHash},
    message::PROTOCOL_VERSION,
    permission::Permission,
    round::UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::{address, error::CeremonyError};

/// Version of drafts and fragments.
pub const CEREMONY_VERSION: u32 = 1;
/// Longest network name, in characters.
pub const NETWORK_NAME_MAX: usize = 64;

/// What the founders agree on before the validators are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// [`CEREMONY_VERSION`].
    pub draft_version: u32,
    /// Network name.
    pub name: String,
    /// Chain id.
    pub chain_id: ChainId,
    /// Time of the genesis block.
    pub timestamp: UnixMillis,
    /// Protocol parameters.
    pub parameters: Parameters,
    /// Who decides on changes of what governs the chain.
    #[serde(default)]
    pub authority: Authority,
    /// The accounts that have a permission from the start.
    #[serde(default)]
    pub permissions: BTreeMap<Address, Permission>,
    /// The replicated application and its settings.
    pub application: GenesisApplication,
}

/// One validator's entry, signed with both of its keys for one draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// [`CEREMONY_VERSION`].
    pub fragment_version: u32,
    /// Hash of the draft. The signatures cover it; it is repeated here so that an error can name a mismatch.
    pub draft: DraftHash,
    /// The signed entry.
    pub validator: GenesisValidator,
}

impl Draft {
    /// The draft of a network, which passes [`Self::check`].
    ///
    /// # Errors
    /// [`CeremonyError`], which names what is wrong.
    pub fn new(app: &App, network: Genesis) -> Result<Self, CeremonyError> {
        let draft = Self::of(network);
        draft.check(app)?;
        Ok(draft)
    }

    /// Checks everything that does not depend on the committee, by the rules of the protocol and of the application, so that nobody signs a
    /// draft that `build` will refuse. Returns the hash that the proofs of possession sign.
    ///
    /// # Errors
    /// [`CeremonyError`], which names what is wrong.
    pub fn check(&self, app: &App) -> Result<DraftHash, CeremonyError> {
        check_name(&self.name)?;
        let network = self.network(Vec::new());
        network.check_draft()?;
        check_application(app, &network)?;
        Ok(network.draft_hash())
    }

    /// The draft that a genesis was built from.
    pub(crate) fn of(genesis: Genesis) -> Self {
        let Genesis { name, chain_id, timestamp, parameters, authority, permissions, application, protocol_version: _, validators: _ } =
            genesis;
        Self { draft_version: CEREMONY_VERSION, name, chain_id, timestamp, parameters, authority, permissions, application }
    }

    fn network(&self, validators: Vec<GenesisValidator>) -> Genesis {
        Genesis {
            protocol_version: PROTOCOL_VERSION,
            chain_id: self.chain_id,
            name: self.name.clone(),
            timestamp: self.timestamp,
            parameters: self.parameters,
            authority: self.authority.clone(),
            permissions: self.permissions.clone(),
            validators,
            application: self.application.clone(),
        }
    }

    /// An entry for this draft, signed with the validator's keys.
    ///
    /// # Errors
    /// [`CeremonyError`], if `build` would refuse the draft or the entry.
    pub fn fragment(
        &self,
        app: &App,
        validator: Validator,
        consensus: &SigningKey,
        network: &SigningKey,
    ) -> Result<Fragment, CeremonyError> {
        let draft = self.check(app)?;
        check_address(&validator.name, &validator.address)?;
        let entry = GenesisValidator::sign(draft, validator.clone(), consensus, network);
        // A committee of one, to check name, power and keys by the protocol's own rules. An observer alone would be none.
        let voter = Validator { power: validator.power.max(VotingPower(1)), ..validator };
        quorate_types::committee::Committee::new(quorate_types::round::Epoch(0), vec![voter])
            .map_err(quorate_types::genesis::GenesisError::from)?;
        entry.check(draft)?;
        Ok(Fragment { fragment_version: CEREMONY_VERSION, draft, validator: entry })
    }
}

/// Builds the genesis of a draft and its fragments. The result does not depend on the order of the fragments.
///
/// # Errors
/// [`CeremonyError`], which names the offending validator, setting or parameter.
pub fn build(app: &App, draft: &Draft, fragments: Vec<Fragment>) -> Result<Genesis, CeremonyError> {
    let hash = draft.check(app)?;
    if let Some(fragment) = fragments.iter().find(|fragment| fragment.draft != hash) {
        let name = fragment.validator.validator.name.clone();
        return Err(CeremonyError::OtherDraft { name, fragment: fragment.draft, draft: hash });
    }
    let mut validators: Vec<_> = fragments.into_iter().map(|fragment| fragment.validator).collect();
    // By name as well, so that an error about two validators with one key does not depend on the order of the files.
    validators.sort_by(|a, b| (&a.validator.consensus_key, &a.validator.name).cmp(&(&b.validator.consensus_key, &b.validator.name)));
    refuse_duplicates(&validators)?;
    let genesis = draft.network(validators);
    check(&genesis)?;
    Ok(genesis)
}

/// Checks everything in a genesis except its application ([`check_application`]): the protocol's rules, proofs of possession included, and
/// that validators share no key, name or address.
///
/// # Errors
/// [`CeremonyError`], which names what is wrong.
pub fn check(genesis: &Genesis) -> Result<(), CeremonyError> {
    check_name(&genesis.name)?;
    genesis.check()?;
    refuse_duplicates(&genesis.validators)?;
    genesis.validators.iter().try_for_each(|entry| check_address(&entry.validator.name, &entry.validator.address))
}

pub(crate) fn check_version(path: &Path, version: u32) -> Result<(), CeremonyError> {
    if version == CEREMONY_VERSION { Ok(()) } else { Err(CeremonyError::Version { path: path.into(), version }) }
}

fn check_name(name: &str) -> Result<(), CeremonyError> {
    if (1..=NETWORK_NAME_MAX).contains(&name.chars().count()) { Ok(()) } else { Err(CeremonyError::Name) }
}

pub(crate) fn check_address(name: &str, address: &str) -> Result<(), CeremonyError> {
    address::check(address).map_err(|reason| CeremonyError::Address { name: name.into(), address: address.into(), reason })
}

/// Checks that this application can run the network: name and version match, the settings are valid, and the genesis state can be built.
///
/// # Errors
/// [`CeremonyError::Application`].
pub fn check_application(app: &App, genesis: &Genesis) -> Result<(), CeremonyError> {
    app.open(genesis)?.genesis_state()?;
    Ok(())
}

fn refuse_duplicates(validators: &[GenesisValidator]) -> Result<(), CeremonyError> {
    fn unique<K: Ord>(what: &'static str, validators: &[GenesisValidator], key: impl Fn(&Validator) -> K) -> Result<(), CeremonyError> {
        let mut seen: BTreeMap<K, &str> = BTreeMap::new();
        for GenesisValidator { validator, .. } in validators {
            if let Some(first) = seen.insert(key(validator), &validator.name) {
                return Err(CeremonyError::Duplicate { what, first: first.into(), second: validator.name.clone() });
            }
        }
        Ok(())
    }
    unique("consensus key", validators, |validator| validator.consensus_key)?;
    unique("network key", validators, |validator| validator.network_key)?;
    unique("name", validators, |validator| validator.name.clone())?;
    unique("address", validators, |validator| validator.address.clone())
}

#[cfg(test)]
mod tests {
    use quorate_builtin::{GenesisAccount, Settings, app};
    use quorate_types::{committee::POWER_MAX, crypto::Hash, genesis::GenesisError, ids::Address};

    use super::*;

    fn bank(balances: &[(u8, u64)]) -> GenesisApplication {
        let account = |(byte, balance): &(u8, u64)| GenesisAccount { address: Address(Hash([*byte; 32])), balance: *balance };
        Settings::default().with_accounts(balances.iter().map(account).collect()).in_genesis()
    }

    fn draft() -> Draft {
        let (parameters, application) = (Parameters::default(), bank(&[(1, 10), (9, 5)]));
        Draft::new(&app(), Genesis::draft(ChainId(7), "test", UnixMillis(1_700_000_000_000), parameters, application)).unwrap()
    }

    fn keys(number: u8) -> (SigningKey, SigningKey) {
        (SigningKey::from_seed(&[number; 32]), SigningKey::from_seed(&[number + 100; 32]))
    }

    fn fragment(draft: &Draft, number: u8) -> Fragment {
        let (consensus, network) = keys(number);
        let validator = Validator {
            name: format!("v{number}"),
            consensus_key: consensus.public(),
            network_key: network.public(),
            address: format!("/ip4/10.0.0.{number}/tcp/6180"),
            power: VotingPower(1),
            operator: None,
        };
        draft.fragment(&app(), validator, &consensus, &network).unwrap()
    }

    #[test]
    fn the_genesis_does_not_depend_on_the_order_of_fragments() {
        let draft = draft();
        let fragments: Vec<_> = (1..=4).map(|number| fragment(&draft, number)).collect();
        let first = build(&app(), &draft, fragments.clone()).unwrap();
        let second = build(&app(), &draft, fragments.into_iter().rev().collect()).unwrap();
        assert_eq!(serde_json::to_vec(&first).unwrap(), serde_json::to_vec(&second).unwrap());
        assert_eq!(first.hash(), second.hash());
        check(&first).unwrap();
    }

    #[test]
    fn the_number_of_excluded_leaders_follows_the_committee_unless_it_is_given() {
        let draft = draft();
        let fragments: Vec<_> = (1..=7).map(|number| fragment(&draft, number)).collect();
        assert_eq!(build(&app(), &draft, fragments).unwrap().parameters.excluded(7), 2);
        let of = |size| {
            let draft = Draft { parameters: Parameters { exclude_size: Some(size), ..draft.parameters }, ..draft.clone() };
            build(&app(), &draft, (1..=7).map(|number| fragment(&draft, number)).collect())
        };
        assert_eq!(of(4).unwrap().parameters.excluded(7), 4);
        assert!(matches!(of(5), Err(CeremonyError::Genesis(GenesisError::Parameter(_)))));
    }

    #[test]
    fn a_changed_fragment_is_refused_by_the_name_of_its_validator() {
        let draft = draft();
        let honest = fragment(&draft, 1);
        let stranger = keys(50);
        let edits: [fn(&mut Validator); 4] = [
            |validator| validator.operator = Some(Address::default()),
            |validator| validator.power = VotingPower(2),
            |validator| validator.address = "/ip4/6.6.6.6/tcp/6180".into(),
            |validator| validator.name = "w1".into(),
        ];
        for change in edits {
            let mut changed = honest.clone();
            change(&mut changed.validator.validator);
            let name = changed.validator.validator.name.clone();
            let error = build(&app(), &draft, vec![changed]).unwrap_err();
            assert!(matches!(&error, CeremonyError::Genesis(GenesisError::Possession(named)) if *named == name), "{error}");
        }
        for (consensus, network) in [(true, false), (false, true)] {
            let mut changed = honest.clone();
            if consensus {
                changed.validator.validator.consensus_key = stranger.0.public();
            }
            if network {
                changed.validator.validator.network_key = stranger.1.public();
            }
            assert!(matches!(build(&app(), &draft, vec![changed]), Err(CeremonyError::Genesis(GenesisError::Possession(_)))));
        }
    }

    #[test]
    fn a_fragment_of_another_draft_is_refused_even_when_it_claims_to_be_of_this_one() {
        let draft = draft();
        let mut parameters = draft.parameters;
        parameters.heartbeat_ms += 1;
        // The last four are refounded networks with the same chain id.
        let others = [
            Draft { chain_id: ChainId(8), ..draft.clone() },
            Draft { name: "tests".into(), ..draft.clone() },
            Draft { timestamp: UnixMillis(1), ..draft.clone() },
            Draft { parameters, ..draft.clone() },
            Draft { application: bank(&[(1, 6)]), ..draft.clone() },
        ];
        for other in others {
            let entry = fragment(&other, 1);
            assert!(matches!(build(&app(), &draft, vec![entry.clone()]), Err(CeremonyError::OtherDraft { .. })));
            let disguised = Fragment { draft: draft.check(&app()).unwrap(), ..entry };
            assert!(matches!(build(&app(), &draft, vec![disguised]), Err(CeremonyError::Genesis(GenesisError::Possession(_)))));
        }
    }

    #[test]
    fn a_genesis_gives_back_the_draft_that_it_was_built_from() {
        let draft = draft();
        let genesis = build(&app(), &draft, (1..=4).map(|number| fragment(&draft, number)).collect()).unwrap();
        assert_eq!(Draft::of(genesis), draft);
    }

    #[test]
    fn nobody_signs_a_draft_that_no_genesis_can_be_made_of() {
        let good = draft();
        let (consensus, network) = keys(1);
        let validator = fragment(&good, 1).validator.validator;
        let mut parameters = good.parameters;
        parameters.window_size = 0;
        let useless = [
            Draft { name: "\u{1b}[2J".into(), ..good.clone() },
            Draft { name: String::new(), ..good.clone() },
            Draft { parameters, ..good.clone() },
            Draft { application: bank(&[(1, u64::MAX), (2, 1)]), ..good.clone() },
            Draft { application: bank(&[(1, 1), (1, 1)]), ..good.clone() },
            Draft { application: GenesisApplication { version: 2, ..bank(&[]) }, ..good.clone() },
            Draft { application: GenesisApplication { name: "other".into(), ..bank(&[]) }, ..good },
        ];
        for draft in useless {
            assert!(draft.fragment(&app(), validator.clone(), &consensus, &network).is_err(), "{draft:?}");
            assert!(Draft::new(&app(), draft.network(Vec::new())).is_err());
        }
    }

    #[test]
    fn two_validators_share_no_key_name_or_address() {
        let draft = draft();
        let one = fragment(&draft, 1);
        let twice = build(&app(), &draft, vec![one.clone(), one.clone()]).unwrap_err();
        assert!(matches!(twice, CeremonyError::Duplicate { what: "consensus key", .. }), "{twice}");
        let again = |change: fn(&mut Validator), network: u8| {
            let (consensus, network) = (keys(2).0, SigningKey::from_seed(&[network; 32]));
            let mut validator =
                Validator { consensus_key: consensus.public(), network_key: network.public(), ..fragment(&draft, 2).validator.validator };
            change(&mut validator);
            let second = draft.fragment(&app(), validator, &consensus, &network).unwrap();
            match build(&app(), &draft, vec![one.clone(), second]).unwrap_err() {
                CeremonyError::Duplicate { what, .. } => what,
                other => panic!("{other}"),
            }
        };
        assert_eq!(again(|_| {}, 101), "network key");
        assert_eq!(again(|validator| validator.name = "v1".into(), 102), "name");
        assert_eq!(again(|validator| validator.address = "/ip4/10.0.0.1/tcp/6180".into(), 102), "address");
    }

    #[test]
    fn nobody_is_no_network_and_a_useless_entry_is_refused_where_it_is_made() {
        let draft = draft();
        assert!(matches!(build(&app(), &draft, Vec::new()), Err(CeremonyError::Genesis(_))));
        let (consensus, network) = keys(1);
        let good = fragment(&draft, 1).validator.validator;
        let refused = |validator: Validator| draft.fragment(&app(), validator, &consensus, &network).is_err();
        assert!(refused(Validator { address: "10.0.0.1:6180".into(), ..good.clone() }));
        assert!(refused(Validator { power: VotingPower(POWER_MAX + 1), ..good.clone() }));
        assert!(!refused(Validator { power: VotingPower(0), ..good.clone() }), "an observer");
        assert!(refused(Validator { name: String::new(), ..good.clone() }));
        assert!(refused(Validator { network_key: keys(9).1.public(), ..good }));
    }
}
