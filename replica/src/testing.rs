//! What the unit tests of several modules need.

use std::sync::Arc;

use quorate_types::{
    committee::{Committee, Validator, VotingPower},
    crypto::SigningKey,
    round::Epoch,
};

/// A committee of voters with these powers.
pub(crate) fn committee(epoch: Epoch, powers: &[u64]) -> Arc<Committee> {
    let mut validators: Vec<Validator> = (0u8..)
        .zip(powers)
        .map(|(number, power)| Validator {
            name: format!("v{number}"),
            consensus_key: SigningKey::from_seed(&[number; 32]).public(),
            network_key: SigningKey::from_seed(&[number + 100; 32]).public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(*power),
            operator: None,
        })
        .collect();
    validators.sort_by_key(|validator| validator.consensus_key);
    Committee::new(epoch, validators).unwrap()
}
