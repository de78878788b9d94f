//! The network of a world: its validators' keys and powers, its parameters and its genesis, all drawn from the seed.

use std::sync::Arc;

use quorate_app::App;
use quorate_replica::verifier;
use quorate_types::{
    committee::{Validator, VotingPower},
    crypto::{SignatureMemory, SigningKey},
    genesis::{Genesis, Parameters, StateLimits},
    ids::{Address, ChainId, GenesisHash, ValidatorId},
    permission::Access,
    round::UnixMillis,
    settings::Settings,
    verify::Verifier,
};

use crate::{random::Random, workload};

/// Chain id of every simulated network.
pub const CHAIN: ChainId = ChainId(777);
/// Time on a correct wall clock at the beginning of every world.
pub const BEGINNING: UnixMillis = UnixMillis(1_700_000_000_000);

/// A network's configuration and keys.
#[derive(Debug)]
pub struct Setting {
    /// The application that the network replicates.
    pub app: App,
    /// The genesis.
    pub genesis: Arc<Genesis>,
    /// Shared by all validators of a world. It remembers which signatures are valid, which is the same for every validator, so each signature
    /// is checked once instead of once per validator.
    pub verifier: Arc<Verifier>,
    /// Consensus keys in committee order. They share the verifier's memory: a signature made in this process is a real one, but it is made
    /// only once per digest and never checked.
    keys: Vec<SigningKey>,
    memory: Arc<SignatureMemory>,
}

/// Number of signatures a setting remembers: more than a world makes, and most of those that thousands of small scenarios share.
const SIGNATURES_REMEMBERED: usize = 1 << 16;

impl Setting {
    /// Draws a network. These accounts operate its validators, in turn.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn draw(random: &mut Random, validators: u16, app: &App, settings: Settings, operators: &[Address]) -> Result<Self, String> {
        let weighted = random.chance(250);
        let members: Vec<Member> = (0..validators)
            .map(|number| {
                let (consensus, network) = (workload::seed(random), workload::seed(random));
                let mut drawn = member(number, &consensus, &network, if weighted { random.between(1, 3) } else { 1 });
                drawn.validator.operator = operators.iter().cycle().nth(usize::from(number)).copied();
                drawn
            })
            .collect();
        let parameters = parameters(random, members.len());
        Self::new(members, app, settings, parameters)
    }

    /// A network of equal validators, always with the same keys.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn fixed(validators: u16, app: &App, settings: Settings, parameters: Parameters) -> Result<Self, String> {
        let seed = |kind: u8, number: u16| {
            let mut seed = [kind; 32];
            let [low, high] = number.to_le_bytes();
            (seed[0], seed[1]) = (low, high);
            seed
        };
        let members: Vec<Member> = (0..validators).map(|number| member(number, &seed(1, number), &seed(2, number), 1)).collect();
        Self::new(members, app, settings, parameters)
    }

    /// A network of equal validators with these parameters; its keys are drawn. `v0` is first in the committee, and so on.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn with_parameters(
        random: &mut Random,
        validators: u16,
        parameters: Parameters,
        app: &App,
        settings: Settings,
    ) -> Result<Self, String> {
        let mut seeds: Vec<[u8; 32]> = (0..validators).map(|_| workload::seed(random)).collect();
        seeds.sort_by_key(|seed| SigningKey::from_seed(seed).public());
        let members = (0..).zip(&seeds).map(|(number, seed)| member(number, seed, &workload::seed(random), 1)).collect();
        Self::new(members, app, settings, parameters)
    }

    fn new(mut members: Vec<Member>, app: &App, settings: Settings, parameters: Parameters) -> Result<Self, String> {
        members.sort_by_key(|member| member.validator.consensus_key);
        let genesis = Genesis::draft(CHAIN, "simulation", BEGINNING, parameters, app.in_genesis(settings));
        let entries = members.iter().map(|Member { validator, consensus, network }| (validator.clone(), consensus, network));
        let genesis = genesis.with_validators(entries);
        let keys: Vec<SigningKey> = members.into_iter().map(|member| member.consensus).collect();
        Self::of(app, genesis, &keys)
    }

    /// A network with a given genesis, and its consensus keys in committee order.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn of(app: &App, genesis: Genesis, keys: &[SigningKey]) -> Result<Self, String> {
        genesis.check().map_err(|error| error.to_string())?;
        let memory = Arc::new(SignatureMemory::new(SIGNATURES_REMEMBERED));
        let verifier = verifier(&genesis, app).map_err(|error| error.to_string())?;
        let verifier = Arc::into_inner(verifier).ok_or("the verifier is shared")?.with_signatures(Arc::clone(&memory));
        let keys = keys.iter().map(|key| key.remembering(&memory)).collect();
        Ok(Self { app: app.clone(), genesis: Arc::new(genesis), verifier: Arc::new(verifier), memory, keys })
    }

    /// Names the network.
    #[must_use]
    pub fn genesis_hash(&self) -> GenesisHash {
        self.verifier.genesis_hash()
    }

    /// Consensus key of a validator.
    #[must_use]
    pub fn key(&self, id: ValidatorId) -> Option<SigningKey> {
        self.keys.get(id.index()).map(|key| key.remembering(&self.memory))
    }
}

/// A future validator with its keys.
struct Member {
    validator: Validator,
    consensus: SigningKey,
    network: SigningKey,
}

fn member(number: u16, consensus: &[u8; 32], network: &[u8; 32], power: u64) -> Member {
    let (consensus, network) = (SigningKey::from_seed(consensus), SigningKey::from_seed(network));
    let validator = Validator {
        name: format!("v{number}"),
        consensus_key: consensus.public(),
        network_key: network.public(),
        address: format!("/memory/{number}"),
        power: VotingPower(power),
        operator: None,
    };
    Member { validator, consensus, network }
}

/// Parameters for a network whose messages take at most 15 ms in the calm. The timer's base is more than five times a message and a sync
/// together.
fn parameters(random: &mut Random, validators: usize) -> Parameters {
    let timeout_base_ms = random.between(150, 250);
    let number = |drawn: u64| u32::try_from(drawn).unwrap_or(u32::MAX);
    let faults = u64::from(Parameters::default().excluded(validators));
    Parameters {
        block_transactions_max: *random.pick(&[1, 3, 100]).unwrap_or(&100),
        block_bytes_max: 65_536,
        timeout_base_ms: number(timeout_base_ms),
        timeout_growth_percent: number(random.between(100, 200)),
        timeout_max_ms: number(random.between(500, 1_200)),
        heartbeat_ms: number(random.between(timeout_base_ms, 800)),
        window_size: number(random.between(1, 12)),
        exclude_size: Some(number(random.between(faults, faults.saturating_mul(2)))),
        access: Access::Open,
        account_block_percent: *random.pick(&[100, 50, 25]).unwrap_or(&100),
        state: StateLimits::default(),
    }
}
