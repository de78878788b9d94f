//! Sizes, and events that nobody asked for, which the scripts of `tests/protocol` cannot show.

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
    let certificates = Some(Verified::<SyncInfo>::own(&qc, &genesis, None));
    let engine = recovered(&members, me, |disk| Recovered { certificates, blocks, ..disk });
    assert!(engine.tree().contains(&certified.id()));
    assert_eq!(engine.tree().blocks().count(), 256);
}

/// Starts on the genesis, and what else is on disk.
fn recovered(members: &Members, me: ValidatorId, change: impl FnOnce(Recovered) -> Recovered) -> Engine {
    let genesis = members.genesis_qc();
    let disk = Recovered {
        root: Root { id: genesis.block_id(), round: Round(0), state_id: genesis.vote_info.exec_state_id, payload_round: Round(0) },
        root_qc: genesis,
        committed: Vec::new(),
        record: SafetyRecord::new(NETWORK, EPOCH),
        abstains: false,
        last_timeout: None,
        certificates: None,
        blocks: Vec::new(),
    };
    let config = Config {
        genesis_hash: NETWORK,
        committee: Arc::clone(&members.committee),
        parameters: members.parameters,
        me,
        fixed_leaders: Arc::default(),
    };
    Engine::recover(config, members.key(me), change(disk)).0
}

fn at_genesis(members: &Members, me: ValidatorId) -> Engine {
    recovered(members, me, |disk| disk)
}

#[test]
fn a_payload_that_was_not_asked_for_is_not_proposed() {
    let members = Members::equal(4);
    let leader = at_genesis(&members, ValidatorId(0)).leader(Round(1));
    let other = members.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut engine = at_genesis(&members, other);
    let (parent, payload) = (engine.tree().root().id, Members::payload(1, 1));
    assert!(engine.handle(Event::PayloadReady { round: Round(1), parent, timestamp: UnixMillis(1), payload }).is_empty());
}

/// Every round brings a proposal whose parent is missing, and is given up.
#[test]
fn only_the_newest_parked_blocks_are_kept() {
    let members = Members::equal(4);
    let mut engine = at_genesis(&members, ValidatorId(3));
    let genesis = members.genesis_qc();
    let missing = members.qc(&Members::block(ValidatorId(0), Round(1), 7, &genesis));
    let signers: Vec<_> = members.quorum().into_iter().map(|id| (id, &missing)).collect();
    for round in 3..30 {
        let tc = members.tc(Round(round - 1), &signers);
        let from = engine.leader(Round(round));
        let block = Members::block(from, Round(round), 0, &missing);
        let message = VerifiedMessage::Proposal(members.proposal(&block, Some(&tc), &genesis));
        drop(engine.handle(Event::Message { from, message }));
    }
    let parked: Vec<u64> = engine.parked.iter().map(|block| block.round().0).collect();
    assert_eq!(parked, (21..29).collect::<Vec<_>>(), "the last one is that of the current round");
}
