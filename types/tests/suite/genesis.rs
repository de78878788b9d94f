//! What a genesis guarantees, and which ones are refused.

use quorate_types::{
    genesis::{Genesis, GenesisError, GenesisValidator, Parameters},
    ids::ChainId,
    message::PROTOCOL_VERSION,
    round::UnixMillis,
    settings::Settings,
};

use crate::fixture::{Fixture, key};

fn refused(change: impl FnOnce(&mut Genesis)) -> GenesisError {
    let mut genesis = Fixture::new().genesis;
    assert_eq!(genesis.check(), Ok(()));
    change(&mut genesis);
    genesis.check().unwrap_err()
}

#[test]
fn what_breaks_a_promise_is_refused() {
    assert_eq!(refused(|genesis| genesis.protocol_version = 2), GenesisError::Protocol(2));
    assert_eq!(PROTOCOL_VERSION, 1);
    assert!(matches!(refused(|genesis| genesis.validators.clear()), GenesisError::Committee(_)));
    assert!(matches!(refused(|genesis| genesis.validators.swap(0, 1)), GenesisError::Committee(_)));
    assert!(matches!(refused(|genesis| genesis.chain_id = ChainId(8)), GenesisError::Possession(_)));
    assert!(matches!(refused(|genesis| genesis.validators[2].validator.address.push('1')), GenesisError::Possession(_)));
    for name in ["", "Bank", "a bank", "bank_2", "\u{1b}", &"x".repeat(33)] {
        let error = refused(|genesis| genesis.application.name = name.into());
        assert!(matches!(error, GenesisError::Parameter(_)), "{name:?}: {error}");
    }
    for name in ["", "\u{1b}]0;", &"x".repeat(129)] {
        assert!(matches!(refused(|genesis| genesis.name = name.into()), GenesisError::Parameter(_)), "{name:?}");
    }
}

/// What validators sign before there is a genesis covers all of it but the validators.
#[test]
fn the_draft_hash_covers_everything_but_the_validators() {
    let genesis = Fixture::new().genesis;
    let draft = genesis.draft_hash();
    let changes: [fn(&mut Genesis); 11] = [
        |g| g.protocol_version += 1,
        |g| g.chain_id.0 += 1,
        |g| g.name.push('x'),
        |g| g.timestamp = UnixMillis(1),
        |g| g.parameters.window_size += 1,
        |g| g.parameters.state.bytes_max += 1,
        |g| g.parameters.state.block_effect_bytes_max += 1,
        |g| g.parameters.exclude_size = Some(1),
        |g| g.application.name.push('x'),
        |g| g.application.version += 1,
        |g| g.application.settings = Settings::default(),
    ];
    for change in changes {
        let mut other = genesis.clone();
        change(&mut other);
        assert_ne!(other.draft_hash(), draft, "{other:?}");
    }
    let (consensus, network) = (key(9), key(109));
    let validator = quorate_types::committee::Validator {
        consensus_key: consensus.public(),
        network_key: network.public(),
        ..genesis.validators[0].validator.clone()
    };
    assert_eq!(genesis.with_validators([(validator, &consensus, &network)]).draft_hash(), draft);
}

/// Nobody can register a key that it does not hold, not even with somebody else's proof.
#[test]
fn both_keys_prove_possession() {
    let validator = Fixture::new().genesis.validators[0].validator.clone();
    let fixture = Fixture::new();
    let network = (100..104).map(key).find(|key| key.public() == validator.network_key).unwrap();
    let draft = fixture.genesis.draft_hash();
    assert_eq!(GenesisValidator::sign(draft, validator.clone(), &fixture.keys[0], &network).check(draft), Ok(()));
    for (consensus, network) in [(&key(77), &network), (&fixture.keys[0], &key(77)), (&network, &fixture.keys[0])] {
        let entry = GenesisValidator::sign(draft, validator.clone(), consensus, network);
        assert_eq!(entry.check(draft), Err(GenesisError::Possession(validator.name.clone())));
    }
}

/// A parameter's name, and a change that makes it invalid.
type Wrong = (&'static str, fn(&mut Parameters));

#[test]
fn parameters_lie_in_their_ranges() {
    for validators in 1..=128 {
        assert_eq!(Parameters::default().check(validators), Ok(()), "{validators}");
    }
    let wrong: [Wrong; 20] = [
        ("block_transactions_max", |p| p.block_transactions_max = 0),
        ("block_transactions_max", |p| p.block_transactions_max = 8_193),
        ("block_bytes_max", |p| p.block_bytes_max = 65_535),
        ("block_bytes_max", |p| p.block_bytes_max = 1_048_577),
        ("timeout_base_ms", |p| p.timeout_base_ms = 9),
        ("timeout_base_ms", |p| p.timeout_base_ms = 0),
        ("timeout_max_ms", |p| p.timeout_max_ms = p.timeout_base_ms - 1),
        ("timeout_growth_percent", |p| p.timeout_growth_percent = 99),
        ("timeout_growth_percent", |p| p.timeout_growth_percent = 301),
        ("heartbeat_ms", |p| p.heartbeat_ms = p.timeout_base_ms - 1),
        ("window_size", |p| p.window_size = 0),
        ("window_size", |p| p.window_size = 1_001),
        ("exclude_size", |p| p.exclude_size = Some(0)),
        ("exclude_size", |p| p.exclude_size = Some(3)),
        ("exclude_size", |p| p.exclude_size = Some(u32::MAX)),
        ("block_bytes_max", |p| p.block_bytes_max = u32::MAX),
        ("state.bytes_max", |p| p.state.bytes_max = 0),
        ("state.bytes_max", |p| p.state.bytes_max = (1 << 40) + 1),
        ("state.block_effect_bytes_max", |p| p.state.block_effect_bytes_max = (1 << 20) - 1),
        ("state.block_effect_bytes_max", |p| p.state.block_effect_bytes_max = (8 << 20) + 1),
    ];
    for (name, change) in wrong {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        match parameters.check(4) {
            Err(GenesisError::Parameter(rule)) => assert!(rule.contains(name), "{rule}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// The hash that identifies the network covers every part of its genesis.
#[test]
fn the_hash_covers_everything() {
    let changes: [fn(&mut Genesis); 21] = [
        |g| g.protocol_version += 1,
        |g| g.chain_id.0 += 1,
        |g| g.name.push('x'),
        |g| g.timestamp = UnixMillis(1),
        |g| g.parameters.block_transactions_max += 1,
        |g| g.parameters.block_bytes_max += 1,
        |g| g.parameters.timeout_base_ms += 1,
        |g| g.parameters.timeout_growth_percent += 1,
        |g| g.parameters.timeout_max_ms += 1,
        |g| g.parameters.heartbeat_ms += 1,
        |g| g.parameters.window_size += 1,
        |g| g.parameters.state.bytes_max += 1,
        |g| g.parameters.state.block_effect_bytes_max += 1,
        |g| g.parameters.exclude_size = Some(1),
        |g| g.validators[1].validator.power.0 += 1,
        |g| g.validators[1].network_proof.0[0] ^= 1,
        |g| g.validators.truncate(3),
        |g| g.application.name.push('x'),
        |g| g.application.version += 1,
        |g| g.application.settings = Settings::default(),
        |g| g.application.settings = Settings::from_json(r#"{"limit": 8, "names": ["b", "a"]}"#).unwrap(),
    ];
    let mut hashes = vec![Fixture::new().genesis.hash()];
    for change in changes {
        let mut genesis = Fixture::new().genesis;
        change(&mut genesis);
        hashes.push(genesis.hash());
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

#[test]
fn a_genesis_file_with_an_unknown_word_is_refused() {
    let genesis = Fixture::new().genesis;
    let json = serde_json::to_value(&genesis).unwrap();
    assert_eq!(serde_json::from_value::<Genesis>(json.clone()).unwrap(), genesis);
    for at in ["", "/parameters", "/validators/0", "/validators/0/validator", "/application"] {
        let mut other = json.clone();
        other.pointer_mut(at).unwrap().as_object_mut().unwrap().insert("unknown".into(), 1.into());
        let error = serde_json::from_value::<Genesis>(other).unwrap_err().to_string();
        assert!(error.contains("unknown field `unknown`"), "{at}: {error}");
    }
}
