//! A validator that the test plays itself: its keys and its links, without its process.

use quorate_keygen::{PassphraseSource, ValidatorKeys, load_validator_key};
use quorate_network::{ApplicationId, Hello, IncomingReceivers, Limits, Network, NetworkConfig, Peer, PeerIndex};
use quorate_types::message::{MESSAGE_BYTES_MAX, PROTOCOL_VERSION};

use crate::Cluster;

impl Cluster {
    /// A validator's secret keys.
    pub fn validator_keys(&self, index: usize) -> ValidatorKeys {
        let key = self.validator_home(index).join("keys/validator.key");
        load_validator_key(&key, &PassphraseSource::Usual { file: None }).expect("the key is there")
    }

    /// Opens the links of a validator, whose own process must not run.
    pub fn impersonate(&self, index: usize) -> (Network, IncomingReceivers) {
        let keys = self.validator_keys(index);
        let genesis = self.genesis();
        let committee = genesis.committee().expect("the genesis is good");
        let me = committee.find(&keys.public().consensus_key).expect("it is a validator");
        let peers = committee.members().filter(|(id, _)| *id != me).map(|(id, validator)| Peer {
            index: PeerIndex(id.0),
            network_key: validator.network_key.0,
            address: validator.address.clone(),
        });
        let mut limits = Limits::default();
        limits.consensus.frame_bytes_max = MESSAGE_BYTES_MAX;
        limits.sync.frame_bytes_max = MESSAGE_BYTES_MAX;
        let config = NetworkConfig {
            secret: keys.network_seed,
            listen: committee.get(me).expect("it is a validator").address.clone(),
            resolver: None,
            peers: peers.collect(),
            hello: Hello {
                application: ApplicationId::new(&genesis.application.name, genesis.application.version),
                chain_id: genesis.chain_id.0,
                genesis_hash: genesis.hash().0.0,
                protocol_version: PROTOCOL_VERSION,
            },
            limits,
        };
        quorate_network::start(config, |what| eprintln!("the test's network has stopped: {what}")).expect("the links can be opened")
    }
}
