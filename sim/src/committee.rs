//! The network of a world: its validators' keys and powers, its parameters and its genesis, all drawn from the seed.

use std::sync::Arc;

use quorate_app::BuiltIn;
use quorate_replica::verifier;
use quorate_types::{
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, GenesisAccount, GenesisValidator, Parameters},
    ids::{ChainId, ValidatorId},
    message::PROTOCOL_VERSION,
    round::UnixMillis,
    verify::Verifier,
};

use crate::{random::Random, workload};

/// The network's number.
pub(crate) const CHAIN: ChainId = ChainId(777);
/// The calendar at the beginning of every world.
pub(crate) const BEGINNING: UnixMillis = UnixMillis(1_700_000_000_000);

/// A network before anything has happened.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) genesis: Arc<Genesis>,
    /// Shared by all validators of a world. What it remembers is which signatures are valid, which is a fact about bytes and the same for
    /// everybody; sharing it checks each signature once instead of once for each validator.
    pub(crate) verifier: Arc<Verifier>,
    /// The seeds of the consensus keys, in the order of the committee.
    seeds: Vec<[u8; 32]>,
}

impl Setting {
    /// Draws a network.
    pub(crate) fn draw(random: &mut Random, validators: u16, accounts: Vec<GenesisAccount>) -> Result<Self, String> {
        let weighted = random.chance(250);
        let mut members: Vec<([u8; 32], GenesisValidator)> = (0..validators)
            .map(|number| {
                let seed = workload::seed(random);
                let (consensus, network) = (SigningKey::from_seed(&seed), SigningKey::from_seed(&workload::seed(random)));
                let validator = Validator {
                    name: format!("v{number}"),
                    consensus_key: consensus.public(),
                    network_key: network.public(),
                    address: format!("/memory/{number}"),
                    power: VotingPower(if weighted { random.between(1, 3) } else { 1 }),
                };
                (seed, GenesisValidator::sign(CHAIN, validator, &consensus, &network))
            })
            .collect();
        members.sort_by_key(|(_, member)| member.validator.consensus_key);
        let (seeds, validators): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let genesis = Genesis {
            protocol_version: PROTOCOL_VERSION,
            chain_id: CHAIN,
            name: "simulation".into(),
            timestamp: BEGINNING,
            parameters: parameters(random, validators.len()),
            validators,
            accounts,
        };
        Self::new(genesis, seeds)
    }

    /// A network that somebody has thought out. The seeds are those of the consensus keys, in the order of the committee.
    pub(crate) fn new(genesis: Genesis, seeds: Vec<[u8; 32]>) -> Result<Self, String> {
        genesis.check().map_err(|error| error.to_string())?;
        let verifier = verifier(&genesis, &BuiltIn).map_err(|error| error.to_string())?;
        Ok(Self { genesis: Arc::new(genesis), verifier, seeds })
    }

    /// A validator's consensus key.
    pub(crate) fn key(&self, id: ValidatorId) -> Option<SigningKey> {
        self.seeds.get(id.index()).map(SigningKey::from_seed)
    }
}

/// Parameters for a network whose messages take at most 15 ms in the calm: the timer's base is more than five times that and the disk's.
fn parameters(random: &mut Random, validators: usize) -> Parameters {
    let base = Parameters::for_committee(validators);
    let timeout_base_ms = random.between(150, 250);
    let number = |drawn: u64| u32::try_from(drawn).unwrap_or(u32::MAX);
    let faults = u64::from(base.exclude_size);
    Parameters {
        block_transactions_max: *random.pick(&[1, 3, 100]).unwrap_or(&100),
        block_bytes_max: 65_536,
        timeout_base_ms: number(timeout_base_ms),
        timeout_growth_percent: number(random.between(100, 200)),
        timeout_max_ms: number(random.between(500, 1_200)),
        heartbeat_ms: number(random.between(timeout_base_ms, 800)),
        window_size: number(random.between(1, 12)),
        exclude_size: number(random.between(faults, faults.saturating_mul(2))),
    }
}
