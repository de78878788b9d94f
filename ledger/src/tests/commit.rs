//! Commits: one batch, atomic, and done again when a crash has lost it.

use quorate_builtin::keys::kv_key;
use quorate_types::{block::Block, ids::StateId, round::Height, vote::QuorumCert};

use super::network::{Network, address, put, transfer};
use crate::{Batch, Column, Ledger, LedgerError, MemoryStore, Store, StoreError, schema};

#[test]
fn a_commit_moves_the_root_and_leaves_what_descends_from_it() {
    // genesis - 1 - 2 - 3 - 4      2' on 1, 5 on 2', 6 on 3
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![transfer(1, 0, 2, 1)]);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![transfer(1, 1, 2, 1)]);
    let (three, qc3) = network.extend(&mut ledger, &qc2, 3, vec![]);
    let (four, _) = network.extend(&mut ledger, &qc3, 4, vec![]);
    let (two_b, qc2b) = network.extend(&mut ledger, &qc1, 5, vec![put(2, 0, b"k", b"lost")]);
    let (five, _) = network.extend(&mut ledger, &qc2b, 6, vec![]);
    let (six, _) = network.extend(&mut ledger, &qc3, 7, vec![]);
    let receipts = ledger.receipts(&two.id()).unwrap().clone();

    let committed = ledger.commit(&[&one, &two], &qc3).unwrap();
    assert_eq!(committed.blocks.iter().map(|block| block.header.block_id).collect::<Vec<_>>(), [one.id(), two.id()]);
    assert_eq!(committed.blocks[1].receipts, receipts);
    assert_eq!(committed.abandoned, [two_b.id(), five.id()]);
    assert_eq!(committed.view.header().block_id, two.id());
    assert_eq!(ledger.root().height, Height(2));
    assert_eq!(ledger.commit_qc(), &qc3);
    assert_eq!(ledger.speculated(), 3);
    for known in [&two, &three, &four, &six] {
        assert!(ledger.pending_state(&known.id()).is_some());
    }
    for gone in [&one, &two_b, &five] {
        assert_eq!(ledger.pending_state(&gone.id()), None);
    }

    let reader = ledger.reader();
    assert_eq!(reader.height().unwrap(), Height(2));
    assert_eq!(reader.block_at(Height(1)).unwrap().unwrap().block, Some(one.clone()));
    assert_eq!(reader.block_at(Height(1)).unwrap().unwrap().commit_qc, None);
    assert_eq!(reader.block_at(Height(2)).unwrap().unwrap().commit_qc, Some(qc3));
    assert_eq!(reader.block_at(Height(3)).unwrap(), None);
    assert_eq!(reader.block_at(Height(0)).unwrap().unwrap().block, None);
    assert_eq!(reader.height_of(&one.id()).unwrap(), Some(Height(1)));
    assert_eq!(reader.height_of(&three.id()).unwrap(), None);
    assert_eq!(reader.height_of(&network.genesis_qc.block_id()).unwrap(), Some(Height(0)));
    assert_eq!(reader.find_transaction(&one.payload()[0].id()).unwrap(), Some((Height(1), 0)));
    assert_eq!(reader.find_transaction(&two_b.payload()[0].id()).unwrap(), None);
    assert_eq!(reader.receipts_at(Height(2)).unwrap().unwrap(), *receipts);
}

#[test]
fn refuses_to_commit_what_is_not_the_certified_chain_over_the_root() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![]);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![]);
    let (three, qc3) = network.extend(&mut ledger, &qc2, 3, vec![]);
    let (_, qc5) = network.extend(&mut ledger, &qc3, 5, vec![]);
    let stranger = network.block(&network.genesis_qc, 1, vec![transfer(1, 0, 2, 1)]);
    let mut diverged = qc3.clone();
    diverged.commit_info.commit_state_id = Some(StateId::default());

    let before = ledger.store().snapshot();
    let mut refused = |blocks: &[&Block], qc: &QuorumCert| ledger.commit(blocks, qc).unwrap_err();
    assert_eq!(refused(&[], &qc3), LedgerError::NothingToCommit);
    assert_eq!(refused(&[&two], &qc3), LedgerError::NotNext(two.id()));
    assert_eq!(refused(&[&two, &one], &qc3), LedgerError::NotNext(one.id()));
    assert_eq!(refused(&[&one, &one, &two], &qc3), LedgerError::NotNext(two.id()));
    assert_eq!(refused(&[&stranger], &qc3), LedgerError::NotNext(stranger.id()));
    assert_eq!(refused(&[&one], &qc3), LedgerError::NotCommitted(one.id()));
    // Round 4 is missing between: the certificate of 5 commits nothing.
    assert_eq!(refused(&[&one, &two, &three], &qc5), LedgerError::NotCommitted(three.id()));
    let ours = qc2.vote_info.exec_state_id;
    let certified = StateId::default();
    assert_eq!(refused(&[&one, &two], &diverged), LedgerError::Diverged { block: two.id(), ours, certified });
    assert_eq!(dump(ledger.store()), dump(&before), "nothing was written");

    ledger.commit(&[&one, &two], &qc3).unwrap();
    assert_eq!(ledger.commit(&[&two], &qc3).unwrap_err(), LedgerError::NotNext(two.id()), "E10: never twice");
}

pub(super) fn dump<S: Store>(store: &S) -> Vec<(Column, crate::Entry)> {
    Column::ALL.into_iter().flat_map(|column| store.iter(column, &[]).map(move |entry| (column, entry.unwrap()))).collect()
}

/// What a replica does before its vote: the block is durable, whatever else is not.
fn vote_for<S: Store>(ledger: &Ledger<S>, block: &Block) {
    let mut batch = Batch::new();
    schema::put_pending(&mut batch, block);
    ledger.store().write_sync(batch).unwrap();
}

#[test]
fn a_commit_is_in_the_store_as_a_whole_or_not_at_all_and_a_lost_one_is_done_again_from_the_pending_blocks() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![transfer(1, 0, 2, 10), put(2, 0, b"k", b"v")]);
    vote_for(&ledger, &one);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![put(2, 1, b"k", b"w")]);
    vote_for(&ledger, &two);
    let (three, qc3) = network.extend(&mut ledger, &qc2, 3, vec![]);
    vote_for(&ledger, &three);
    let before = dump(ledger.store());
    ledger.commit(&[&one], &qc2).unwrap();
    let after_first = dump(ledger.store());
    ledger.commit(&[&two], &qc3).unwrap();
    let after_second = dump(ledger.store());
    assert_eq!(ledger.store().unsynced(), 2, "a commit costs no sync");
    let expected = ledger.view().header().clone();

    for (keep, state) in [(0, before), (1, after_first), (2, after_second.clone())] {
        let store = ledger.store().snapshot();
        store.crash(keep);
        assert_eq!(dump(&store), state);

        let mut recovered = network.open(store);
        assert_eq!(recovered.root().height, Height(keep as u64));
        let pending = recovered.load_pending().unwrap();
        assert_eq!(pending.iter().map(Block::id).collect::<Vec<_>>(), [one.id(), two.id(), three.id()][keep..]);
        for block in &pending {
            recovered.speculate(block).unwrap();
        }
        // The certificate of block 1 comes back inside block 2, and so on; the last one from a peer.
        let rest = [(&one, &qc2), (&two, &qc3)];
        for (block, qc) in &rest[keep..] {
            recovered.commit(&[block], qc).unwrap();
        }
        assert_eq!(recovered.view().header(), &expected);
        assert_eq!(dump(recovered.store()), after_second);
    }
}

#[test]
fn the_next_synced_write_makes_earlier_commits_durable() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (qc, _) = network.grow(&mut ledger, (&network.genesis_qc, None), 1..=3, |_| vec![]);
    let (four, _) = network.extend(&mut ledger, &qc, 4, vec![]);
    vote_for(&ledger, &four);
    ledger.store().crash(0);
    assert_eq!(network.open(ledger.store().clone()).root().height, Height(2));
}

#[test]
fn committed_overtaken_and_abandoned_blocks_leave_the_pending_column() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![]);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![]);
    let (three, _) = network.extend(&mut ledger, &qc2, 3, vec![]);
    let (fork, _) = network.extend(&mut ledger, &qc1, 9, vec![]);
    // Stored, but never executed here: overtaken by its round.
    let unknown = network.block(&network.certify(&network.block(&network.genesis_qc, 5, vec![]), StateId::default()), 1, vec![]);
    for block in [&one, &two, &three, &fork, &unknown] {
        vote_for(&ledger, block);
    }
    assert_eq!(ledger.load_pending().unwrap().len(), 5);
    ledger.commit(&[&one], &qc2).unwrap();
    let ids = |ledger: &Ledger<MemoryStore>| ledger.load_pending().unwrap().iter().map(Block::id).collect::<Vec<_>>();
    assert_eq!(ids(&ledger), [two.id(), three.id(), fork.id()], "by rising round");
    assert_eq!(ledger.store().scan(Column::Pending, &[], 9).unwrap().len(), 3);
    let qc3 = network.certify(&three, ledger.pending_state(&three.id()).unwrap());
    let (four, qc4) = network.extend(&mut ledger, &qc3, 4, vec![]);
    vote_for(&ledger, &four);
    ledger.commit(&[&two, &three], &qc4).unwrap();
    assert_eq!(ids(&ledger), [four.id()]);

    // Left behind by a crash between two writes: gone after the next start.
    vote_for(&ledger, &one);
    assert_eq!(ids(&ledger), [four.id()]);
    assert_eq!(ledger.store().scan(Column::Pending, &[], 9).unwrap().len(), 1);
}

#[test]
fn a_forgotten_block_is_known_until_the_root_reaches_its_round() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![]);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![]);
    let (_, qc3) = network.extend(&mut ledger, &qc2, 3, vec![]);
    let (twin, _) = network.extend(&mut ledger, &qc1, 2, vec![put(1, 0, b"k", b"v")]);
    let (later, _) = network.extend(&mut ledger, &qc1, 9, vec![]);
    ledger.forget(|id| ![twin.id(), later.id()].contains(id));
    let known = |ledger: &Ledger<MemoryStore>| [&twin, &later].map(|block| ledger.forgotten(&block.id()).map(|round| round.0));
    assert_eq!(known(&ledger), [Some(2), Some(9)]);
    ledger.commit(&[&one], &qc2).unwrap();
    assert_eq!(known(&ledger), [Some(2), Some(9)]);
    ledger.commit(&[&two], &qc3).unwrap();
    assert_eq!(known(&ledger), [None, Some(9)]);
}

#[test]
fn deleted_and_overwritten_keys_are_so_on_disk() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![put(1, 0, b"a", b"1"), put(1, 1, b"b", b"1")]);
    let (two, qc2) = network.extend(&mut ledger, &qc1, 2, vec![put(1, 2, b"a", b""), put(1, 3, b"b", b"2")]);
    let (_, qc3) = network.extend(&mut ledger, &qc2, 3, vec![]);
    ledger.commit(&[&one, &two], &qc3).unwrap();
    let value = |key: &[u8]| {
        let key = kv_key(quorate_builtin::operation::KvSpace::Shared, &address(1), key);
        ledger.store().get(Column::State, &key).unwrap()
    };
    assert_eq!((value(b"a"), value(b"b")), (None, Some(b"2".to_vec())));
    assert_eq!(network.open(ledger.store().clone()).root(), ledger.root());
}

#[test]
fn a_failed_write_stops_the_ledger_where_it_was() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let (one, qc1) = network.extend(&mut ledger, &network.genesis_qc, 1, vec![]);
    let (_, qc2) = network.extend(&mut ledger, &qc1, 2, vec![]);
    ledger.store().fail_writes_after(0);
    assert!(matches!(ledger.commit(&[&one], &qc2), Err(LedgerError::Store(StoreError::Disk(_)))));
    assert_eq!(ledger.root().height, Height(0));
    assert!(matches!(ledger.commit(&[&one], &qc2), Err(LedgerError::Store(StoreError::Stopped { .. }))));
    ledger.store().crash(0);
    assert_eq!(network.open(ledger.store().clone()).root().height, Height(0));
}
