//! The network of a world: its validators' keys and powers, its parameters and its genesis, all drawn from the seed.

use std::sync::Arc;

use quorate_app::App;
use quorate_replica::verifier;
use quorate_types::{
    committee::{Validator, VotingPower},
    crypto::{PublicKey, SignatureMemory, SigningKey},
    genesis::{Genesis, GenesisValidator, Parameters, StateLimits},
    ids::{Address, ChainId, GenesisHash, ValidatorId},
    permission::{Access, Permission},
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
    /// The members of the first committee in its order, and behind them those that may join. A member's position here is its *number*: the
    /// seat in which it begins, and for one that joins later, no seat at all. The keys share the verifier's memory: a signature made in
    /// this process is a real one, but it is made only once per digest and never checked.
    members: Vec<Member>,
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
        let genesis = genesis.with_validators(entries(&members));
        let memory = memory();
        for member in &mut members {
            member.consensus = member.consensus.remembering(&memory);
        }
        Self::with(app, genesis, members, memory)
    }

    /// A network with a given genesis, and its consensus keys in committee order. Its members cannot be entered anew.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn of(app: &App, genesis: Genesis, keys: &[SigningKey]) -> Result<Self, String> {
        let memory = memory();
        let member = |(entry, key): (&GenesisValidator, &SigningKey)| Member {
            validator: entry.validator.clone(),
            consensus: key.remembering(&memory),
            network: None,
        };
        let members = genesis.validators.iter().zip(keys).map(member).collect();
        Self::with(app, genesis, members, memory)
    }

    fn with(app: &App, genesis: Genesis, members: Vec<Member>, memory: Arc<SignatureMemory>) -> Result<Self, String> {
        genesis.check().map_err(|error| error.to_string())?;
        let verifier = verifier(&genesis, app).map_err(|error| error.to_string())?;
        let verifier = Arc::into_inner(verifier).ok_or("the verifier is shared")?.with_signatures(Arc::clone(&memory));
        Ok(Self { app: app.clone(), genesis: Arc::new(genesis), verifier: Arc::new(verifier), memory, members })
    }

    /// The same network, in which these accounts operate these members.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn operated(self, operator: impl Fn(ValidatorId) -> Option<Address>) -> Result<Self, String> {
        let Self { app, genesis, mut members, .. } = self;
        for (id, member) in (0..).map(ValidatorId).zip(&mut members) {
            member.validator.operator = operator(id).or(member.validator.operator);
        }
        Self::new(members, &app, genesis.application.settings.clone(), genesis.parameters)
    }

    /// The same network, in which only these accounts may send, and one more may say who else may.
    ///
    /// # Errors
    /// The resulting genesis is refused.
    pub fn permissioned(self, senders: &[Address], admin: Address) -> Result<Self, String> {
        let Self { app, genesis, members, memory, .. } = self;
        let send = |account: &Address| (*account, Permission { send: true, ..Permission::default() });
        let grant = (admin, Permission { grant: true, ..Permission::default() });
        let genesis = Genesis {
            parameters: Parameters { access: Access::Permissioned, ..genesis.parameters },
            permissions: senders.iter().map(send).chain([grant]).collect(),
            ..(*genesis).clone()
        };
        Self::with(&app, genesis.with_validators(entries(&members)), members, memory)
    }

    /// Draws members that may join later, each with one of these operators.
    pub fn add_joiners(&mut self, random: &mut Random, count: u16, operators: &[Address]) {
        for _ in 0..count {
            let number = u16::try_from(self.members.len()).unwrap_or(u16::MAX);
            let mut joiner = member(number, &workload::seed(random), &workload::seed(random), 1);
            joiner.consensus = joiner.consensus.remembering(&self.memory);
            joiner.validator.operator = random.pick(operators).copied();
            self.members.push(joiner);
        }
    }

    /// The numbers of all members, present and future.
    pub fn numbers(&self) -> impl Iterator<Item = ValidatorId> + use<> {
        (0..u16::MAX).map(ValidatorId).take(self.members.len())
    }

    /// The consensus keys of all members, present and future, by number.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.members.iter().map(|member| member.validator.consensus_key).collect()
    }

    /// The number of the member with this consensus key.
    #[must_use]
    pub fn number(&self, key: &PublicKey) -> Option<ValidatorId> {
        self.numbers().zip(&self.members).find(|(_, member)| member.validator.consensus_key == *key).map(|(number, _)| number)
    }

    /// Their network keys.
    #[must_use]
    pub fn network_keys(&self) -> Vec<PublicKey> {
        self.members.iter().map(|member| member.validator.network_key).collect()
    }

    /// A member's entry for the committee, changed and signed with its keys.
    #[must_use]
    pub fn entry(&self, number: ValidatorId, change: impl FnOnce(&mut Validator)) -> Option<GenesisValidator> {
        let Member { validator, consensus, network } = self.members.get(number.index())?;
        let mut validator = validator.clone();
        change(&mut validator);
        Some(GenesisValidator::sign(self.genesis.draft_hash(), validator, consensus, network.as_ref()?))
    }

    /// Names the network.
    #[must_use]
    pub fn genesis_hash(&self) -> GenesisHash {
        self.verifier.genesis_hash()
    }

    /// Consensus key of a member.
    #[must_use]
    pub fn key(&self, number: ValidatorId) -> Option<SigningKey> {
        self.members.get(number.index()).map(|member| member.consensus.remembering(&self.memory))
    }
}

/// A validator with its keys.
#[derive(Debug)]
struct Member {
    validator: Validator,
    consensus: SigningKey,
    /// `None` if only its public half is known.
    network: Option<SigningKey>,
}

/// The members with the keys that sign their entries.
fn entries(members: &[Member]) -> impl Iterator<Item = (Validator, &SigningKey, &SigningKey)> {
    members.iter().filter_map(|Member { validator, consensus, network }| Some((validator.clone(), consensus, network.as_ref()?)))
}

fn memory() -> Arc<SignatureMemory> {
    Arc::new(SignatureMemory::new(SIGNATURES_REMEMBERED))
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
    Member { validator, consensus, network: Some(network) }
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
