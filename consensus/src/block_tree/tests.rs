//! The tree, certificates and commits.

use quorate_types::ids::ValidatorId;

use super::*;
use crate::members::{Members, state_of};

const AUTHOR: ValidatorId = ValidatorId(0);

struct Fixture {
    members: Members,
    tree: BlockTree,
}

impl Fixture {
    fn new() -> Self {
        let members = Members::equal(1);
        let genesis = members.genesis_qc();
        let (id, state_id) = (genesis.block_id(), genesis.vote_info.exec_state_id);
        let root = Root { id, round: Round(0), state_id, payload_round: Round(0) };
        Self { tree: BlockTree::new(root, genesis.clone(), genesis), members }
    }

    fn block(round: u64, transactions: u64, qc: &Verified<QuorumCert>) -> Arc<Verified<Block>> {
        Arc::new(Members::block(AUTHOR, Round(round), transactions, qc))
    }

    /// Inserted and executed.
    fn grow(&mut self, round: u64, transactions: u64, qc: &Verified<QuorumCert>) -> (BlockId, Verified<QuorumCert>) {
        let block = Self::block(round, transactions, qc);
        assert!(self.tree.insert(Arc::clone(&block)));
        self.tree.executed(&block.id(), state_of(block.id())).unwrap();
        (block.id(), self.members.qc(&block))
    }

    fn commit(&mut self, qc: &Verified<QuorumCert>) -> Vec<BlockId> {
        self.tree.process_qc(qc).unwrap();
        self.tree.take_commit().unwrap().map_or(Vec::new(), |(path, _)| path.iter().map(|block| block.id()).collect())
    }
}

#[test]
fn tree_2_commits_the_parent_of_a_certified_block_in_the_round_after_it_and_nothing_else() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (b1, q1) = f.grow(1, 0, &genesis);
    assert_eq!(f.commit(&q1), []);
    // Round 2 is missing: the certificate of round 3 commits nothing, that of round 4 commits 1 and 3, the oldest first (S15).
    let (b3, q3) = f.grow(3, 0, &q1);
    assert_eq!(f.commit(&q3), []);
    assert_eq!(f.tree.high_commit_qc().round(), Round(1));
    let (_, q4) = f.grow(4, 0, &q3);
    assert_eq!(f.commit(&q4), [b1, b3]);
    assert_eq!(f.tree.root().id, b3);
    // E10: again, and older ones: nothing.
    for qc in [&q4, &q3, &q1, &genesis] {
        assert_eq!(f.commit(qc), []);
    }
    assert_eq!((f.tree.high_qc().round(), f.tree.high_commit_qc().round()), (Round(4), Round(4)));
}

#[test]
fn a_commit_prunes_every_branch_that_does_not_descend_from_it() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (_, q1) = f.grow(1, 0, &genesis);
    let (b2, q2) = f.grow(2, 0, &q1);
    let (fork, _) = f.grow(4, 9, &q1);
    let (b3, q3) = f.grow(3, 0, &q2);
    let (above, _) = f.grow(5, 9, &q2);
    assert_eq!(f.commit(&q3).len(), 2);
    assert_eq!(f.tree.root().id, b2);
    assert!(f.tree.contains(&b3) && f.tree.contains(&above) && !f.tree.contains(&fork));
}

#[test]
fn s6_a_second_insertion_and_an_orphan_change_nothing() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let block = Fixture::block(1, 0, &genesis);
    let orphan = Fixture::block(3, 0, &f.members.qc(&Fixture::block(2, 0, &genesis)));
    assert!(f.tree.insert(Arc::clone(&block)));
    f.tree.executed(&block.id(), state_of(block.id())).unwrap();
    assert!(!f.tree.insert(Arc::clone(&block)) && !f.tree.insert(orphan));
    assert_eq!(f.tree.state(&block.id()), Some(state_of(block.id())));
    assert_eq!(f.tree.blocks().count(), 1);
}

#[test]
fn s3_genesis_is_committed_from_the_start_and_the_first_block_commits_it_again_without_effect() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    assert_eq!(f.tree.state(&genesis.block_id()), Some(genesis.vote_info.exec_state_id));
    let (_, q1) = f.grow(1, 0, &genesis);
    assert_eq!(q1.commits().map(|(id, ..)| id), Some(genesis.block_id()));
    assert_eq!(f.commit(&q1), []);
}

#[test]
fn a_commit_waits_for_missing_blocks_and_for_execution() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let b1 = Fixture::block(1, 0, &genesis);
    let b2 = Fixture::block(2, 0, &f.members.qc(&b1));
    assert_eq!(f.commit(&f.members.qc(&b2)), []);
    assert!(f.tree.insert(Arc::clone(&b1)) && f.tree.insert(b2));
    assert!(f.tree.take_commit().unwrap().is_none());
    f.tree.executed(&b1.id(), state_of(b1.id())).unwrap();
    assert_eq!(f.tree.take_commit().unwrap().unwrap().0.len(), 1);
}

#[test]
fn ties_keep_the_first_certificate() {
    let mut f = Fixture::new();
    f.members = Members::equal(4);
    let genesis = f.members.genesis_qc();
    let block = Fixture::block(1, 0, &genesis);
    let ids = f.members.ids();
    let (first, second) =
        (f.members.qc_of(&block, state_of(block.id()), &ids[..3]), f.members.qc_of(&block, state_of(block.id()), &ids[1..]));
    f.tree.process_qc(&first).unwrap();
    f.tree.process_qc(&second).unwrap();
    assert_eq!(f.tree.high_qc().signers, first.signers);
}

#[test]
fn b20_blocks_above_the_root_are_bounded_and_the_certified_chain_stays() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (b1, q1) = f.grow(1, 0, &genesis);
    f.tree.process_qc(&q1).unwrap();
    // Every leader that is faulty adds a block, in rounds that never certify anything.
    for round in 2..1_000 {
        let (newest, _) = f.grow(round, 0, if round % 2 == 0 { &q1 } else { &genesis });
        assert!(f.tree.blocks().count() <= PENDING_BLOCKS_MAX);
        assert!(f.tree.contains(&b1) && f.tree.contains(&newest));
    }
}

#[test]
fn s18_flushes_until_the_commit_of_every_transaction_has_been_published() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    assert!(!f.tree.must_flush());
    let (_, mut qc) = f.grow(1, 3, &genesis);
    f.commit(&qc);
    // (round, must the next leader flush): blocks 2 and 3 carry the commit of block 1 to everybody.
    for (round, flush) in [(2, true), (3, true), (4, false), (5, false)] {
        assert_eq!(f.tree.must_flush(), flush, "before round {round}");
        qc = f.grow(round, 0, &qc).1;
        f.commit(&qc);
    }
    // A round that is given up right after it costs one more.
    let mut f = Fixture::new();
    let (_, mut qc) = f.grow(1, 3, &genesis);
    f.commit(&qc);
    for (round, flush) in [(3, true), (4, true), (5, true), (6, false)] {
        assert_eq!(f.tree.must_flush(), flush, "before round {round}");
        qc = f.grow(round, 0, &qc).1;
        f.commit(&qc);
    }
}
