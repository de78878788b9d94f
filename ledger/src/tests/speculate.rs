//! The tree of speculative states.

use proptest::prelude::*;
use quorate_types::{
    ids::StateId,
    round::Height,
    state_key::{AccountRecord, account_key},
};

use super::network::{Network, address, put, transfer};
use crate::{Batch, InvalidBlock, StateTree, Store, schema};

#[test]
fn a_new_ledger_knows_the_genesis_block_and_its_result() {
    let network = Network::new();
    let ledger = network.ledger();
    let id = network.genesis_qc.block_id();
    assert_eq!(ledger.pending_state(&id), Some(network.genesis_qc.vote_info.exec_state_id));
    assert_eq!(ledger.header(&id).unwrap().height, Height(0));
    assert_eq!(ledger.state(&id).unwrap().len(), 4);
    assert_eq!(ledger.commit_qc(), &network.genesis_qc);
    network.verifier().quorum_cert(ledger.commit_qc()).unwrap();
}

#[test]
fn forks_have_states_of_their_own() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (left, left_qc) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![transfer(1, 0, 2, 10)]);
    let (right, _) = network.extend(&mut ledger, &network.genesis_qc, 2, vec![transfer(1, 0, 2, 20)]);
    let (child, _) = network.extend(&mut ledger, &left_qc, 3, vec![transfer(1, 1, 2, 5)]);
    let balance = |id| {
        let record = ledger.state(&id).unwrap().get(&account_key(&address(2))).unwrap();
        quorate_builtin::Account::of(&AccountRecord::decode(record.clone()).unwrap()).balance
    };
    assert_eq!((balance(left.id()), balance(right.id()), balance(child.id())), (1_010, 1_020, 1_015));
    assert_eq!(ledger.header(&child.id()).unwrap().parent, ledger.pending_state(&left.id()).unwrap());
    assert_eq!(ledger.speculated(), 3);
    assert_eq!(ledger.view().header().height, Height(0), "nothing is committed");
}

#[test]
fn speculating_again_answers_the_same_and_keeps_one() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let block = network.block(&network.genesis_qc, 1, vec![transfer(1, 0, 2, 10)]);
    let first = ledger.speculate(&block).unwrap();
    assert_eq!(ledger.speculate(&block), Ok(first));
    assert_eq!(ledger.speculated(), 1);
    assert_eq!(network.ledger().speculate(&block), Ok(first), "another validator has the same result");
}

#[test]
fn a_result_that_is_forgotten_can_come_again_and_its_block_stays_until_it_can_no_longer_be_committed() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (left, left_qc) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![transfer(1, 0, 2, 10)]);
    let (right, _) = network.extend(&mut ledger, &network.genesis_qc, 2, vec![transfer(1, 0, 2, 20)]);
    let (child, qc) = network.extend(&mut ledger, &left_qc, 3, vec![]);
    let (_, commit_qc) = network.extend(&mut ledger, &qc, 4, vec![]);
    let mut batch = Batch::new();
    for block in [&left, &right, &child] {
        schema::put_pending(&mut batch, block);
    }
    ledger.store().write(batch).unwrap();
    ledger.forget(|id| *id != right.id());
    assert_eq!((ledger.speculated(), ledger.pending_state(&right.id())), (3, None));
    assert_eq!(ledger.forgotten(&right.id()), Some(right.round()));
    assert_eq!(ledger.reader().block(&right.id(), Some(right.round())).unwrap(), Some(right.clone()));
    assert_eq!(ledger.forgotten(&left.id()), None, "its result was kept");
    assert_eq!(ledger.load_pending().unwrap(), [left.clone(), right.clone(), child.clone()]);
    assert!(ledger.speculate(&right).is_ok());
    ledger.forget(|id| *id != right.id());
    ledger.commit(&[&left, &child], &commit_qc).unwrap();
    assert_eq!((ledger.forgotten(&right.id()), ledger.load_pending().unwrap()), (None, vec![]));
}

#[test]
fn refuses_what_has_no_result_here_and_keeps_nothing() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (parent, qc) = network.extend(&mut ledger, &network.genesis_qc, 2, vec![]);

    // The same parent, but with another result of a quorum.
    let mut diverged = qc.clone();
    diverged.vote_info.exec_state_id = StateId::default();
    let ours = qc.vote_info.exec_state_id;
    let certified = StateId::default();
    let unknown = network.certify(&network.block(&network.genesis_qc, 7, vec![]), ours);

    let table = [
        (network.block(&unknown, 8, vec![]), InvalidBlock::UnknownParent { parent: unknown.block_id() }),
        (network.block(&diverged, 3, vec![]), InvalidBlock::ParentState { parent: parent.id(), ours, certified }),
        (
            Network::block_at(&qc, 3, 2_000, vec![]),
            InvalidBlock::Timestamp { timestamp: parent.content().timestamp, parent: parent.content().timestamp },
        ),
        (Network::block_at(&qc, 2, 9_000, vec![]), InvalidBlock::Round { round: parent.round(), parent: parent.round() }),
    ];
    for (block, error) in table {
        assert_eq!(ledger.speculate(&block), Err(error));
        assert_eq!(ledger.pending_state(&block.id()), None);
    }
    let replay = network.block(&qc, 3, vec![transfer(1, 1, 2, 1)]);
    assert!(matches!(ledger.speculate(&replay), Err(InvalidBlock::Payload(quorate_app::InvalidBlock::Sequence { .. }))));
    assert_eq!(ledger.speculated(), 1);
}

#[test]
fn the_header_says_everything_about_the_block() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (block, _) = network.extend(&mut ledger, &network.genesis_qc, 4, vec![transfer(1, 0, 2, 10)]);
    let (other, _) = network.extend(&mut ledger, &network.genesis_qc, 5, vec![transfer(1, 0, 2, 11)]);
    let header = ledger.header(&block.id()).unwrap();
    assert_eq!((header.genesis_hash, header.epoch, header.round), (block.content().genesis_hash, block.content().epoch, block.round()));
    assert_eq!((header.height, header.block_id, header.timestamp), (Height(1), block.id(), block.content().timestamp));
    assert_eq!(header.epoch_state, network.genesis.epoch_state().hash());
    assert_eq!(header.state_root, ledger.state(&block.id()).unwrap().root_hash());
    let other = ledger.header(&other.id()).unwrap();
    assert_ne!(header.transactions_root, other.transactions_root);
    assert_ne!(header.receipts_root, other.receipts_root);
    assert_ne!(header.state_root, other.state_root);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// EXEC-1: a state is the set of its pairs, however the transactions were cut into blocks and whichever of these were committed.
    #[test]
    fn the_state_does_not_depend_on_how_the_blocks_were_cut(cuts in prop::collection::vec(1..4usize, 1..6), commit in any::<bool>()) {
        let network = Network::new();
        let count: usize = cuts.iter().sum();
        let txs: Vec<_> = (0..count as u64).map(|i| match i % 3 {
            0 => transfer(1, i, 9, 1),
            1 => put(1, i, b"a", &[1, u8::try_from(i).unwrap()]),
            _ => put(1, i, b"b", if i % 2 == 0 { b"" } else { b"x" }),
        }).collect();

        let mut whole = network.ledger();
        let (block, _) = network.extend(&mut whole, &network.genesis_qc, 1, txs.clone());
        let expected = whole.state(&block.id()).unwrap().root_hash();

        let mut cut = network.ledger();
        let mut rest = txs.into_iter();
        let mut qc = network.genesis_qc.clone();
        let mut last: Option<quorate_types::block::Block> = None;
        for (round, size) in (1..).zip(cuts) {
            let (block, next) = network.extend(&mut cut, &qc, round, rest.by_ref().take(size).collect());
            if let Some(parent) = last.filter(|_| commit) {
                cut.commit(&[&parent], &next).unwrap();
            }
            qc = next;
            last = Some(block);
        }
        let state = cut.state(&qc.block_id()).unwrap();
        prop_assert_eq!(state.root_hash(), expected);
        let rebuilt = StateTree::from_entries(state.iter().map(|(key, value)| (key, value.clone())));
        prop_assert_eq!(rebuilt.root_hash(), expected);
    }
}
