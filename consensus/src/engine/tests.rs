//! Sizes, which the scripts of `tests/protocol` cannot show.

use super::*;
use crate::members::{EPOCH, Members, NETWORK};

/// More blocks are on disk than the tree holds, as after hundreds of abandoned rounds: the certified one stays.
#[test]
fn a_start_with_more_blocks_than_the_tree_holds_keeps_the_certified_chain() {
    let members = Members::equal(4);
    let (me, genesis) = (ValidatorId(0), members.genesis_qc());
    let block = |round: u64, qc: &Verified<QuorumCert>| Members::block(ValidatorId(1), Round(round), 0, qc);
    let certified = block(1, &genesis);
    let qc = members.qc(&certified);
    let mut blocks = vec![certified.clone()];
    blocks.extend((2..400).map(|round| block(round, &qc)));
    // The last block extends the root.
    blocks.push(block(400, &genesis));
    let disk = Recovered {
        root: Root { id: genesis.block_id(), round: Round(0), state_id: genesis.vote_info.exec_state_id, payload_round: Round(0) },
        root_qc: genesis.clone(),
        committed: Vec::new(),
        record: SafetyRecord::new(NETWORK, EPOCH),
        last_timeout: None,
        certificates: Some(Verified::<SyncInfo>::own(&qc, &genesis, None)),
        blocks,
    };
    let config = Config {
        genesis_hash: NETWORK,
        committee: Arc::clone(&members.committee),
        parameters: members.parameters,
        me,
        fixed_leaders: Arc::default(),
    };
    let (engine, _) = Engine::recover(config, members.key(me), disk);
    assert!(engine.tree().contains(&certified.id()));
    assert_eq!(engine.tree().blocks().count(), 256);
}
