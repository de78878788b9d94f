//! The tree, certificates and commits.

use quorate_types::ids::ValidatorId;

use super::*;
use crate::members::{Members, state_of, wrong_state_of};

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

    /// Inserts and executes a block, and returns its certificate.
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
    // Round 2 is missing: the certificate of round 3 commits nothing, that of round 4 commits blocks 1 and 3, oldest first (S15).
    let (b3, q3) = f.grow(3, 0, &q1);
    assert_eq!(f.commit(&q3), []);
    assert_eq!(f.tree.high_commit_qc().round(), Round(1));
    let (_, q4) = f.grow(4, 0, &q3);
    assert_eq!(f.commit(&q4), [b1, b3]);
    assert_eq!(f.tree.root().id, b3);
    // E10: the same and older certificates commit nothing.
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
    assert!(!f.tree.insert(Arc::clone(&block)) && !f.tree.insert(Arc::clone(&orphan)));
    assert_eq!((f.tree.get(&block.id()), f.tree.get(&orphan.id())), (Some(&block), None));
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
    assert_eq!((f.tree.high_qc().signers, f.tree.high_commit_qc().signers), (first.signers, first.signers));
}

#[test]
fn s7_a_second_certified_block_of_a_round_halts() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (b1, q1) = f.grow(1, 0, &genesis);
    let other = Fixture::block(1, 9, &genesis);
    let halt = Err(Halt::TwoCertificates { round: Round(1), first: b1, second: other.id() });
    f.tree.process_qc(&q1).unwrap();
    assert_eq!(f.tree.process_qc(&f.members.qc(&other)), halt);
    // The certificate of a child that has not arrived commits the block, so nothing here carries the block's own certificate any more.
    let q2 = f.members.qc(&Fixture::block(2, 0, &q1));
    assert_eq!(f.commit(&q2), [b1]);
    assert_eq!(f.tree.process_qc(&f.members.qc(&other)), halt);
    f.tree.process_qc(&q1).unwrap();
}

#[test]
fn s8_a_result_that_a_quorum_contradicts_halts_whichever_was_known_first() {
    let diverged = |block: &Block, certified, ours| Err(divergence(block.id(), block.round(), certified, Some(ours)));
    let members = Members::equal(1);
    let genesis = members.genesis_qc();
    let b1 = Fixture::block(1, 0, &genesis);
    let (right, wrong) = (state_of(b1.id()), wrong_state_of(b1.id()));
    let qc = |state| members.qc_of(&b1, state, &members.ids());
    let with_block = || {
        let mut f = Fixture::new();
        assert!(f.tree.insert(Arc::clone(&b1)));
        f
    };

    let mut f = with_block();
    f.tree.executed(&b1.id(), wrong).unwrap();
    assert_eq!(f.tree.process_qc(&qc(right)), diverged(&b1, right, wrong));

    let mut f = with_block();
    f.tree.process_qc(&qc(right)).unwrap();
    assert_eq!(f.tree.executed(&b1.id(), wrong), diverged(&b1, right, wrong));

    // First the certificate is only in the next block; then the next block's certificate commits the result.
    let b2 = Fixture::block(2, 0, &qc(right));
    let mut f = with_block();
    assert!(f.tree.insert(Arc::clone(&b2)));
    assert_eq!(f.tree.executed(&b1.id(), wrong), diverged(&b1, right, wrong));
    let mut f = with_block();
    f.tree.process_qc(&members.qc(&b2)).unwrap();
    assert_eq!(f.tree.executed(&b1.id(), wrong), diverged(&b1, right, wrong));

    // A certificate says nothing about other blocks.
    let mut f = with_block();
    let fork = Fixture::block(2, 0, &genesis);
    assert!(f.tree.insert(Arc::clone(&fork)));
    f.tree.process_qc(&qc(right)).unwrap();
    f.tree.executed(&fork.id(), state_of(fork.id())).unwrap();
    f.tree.executed(&b1.id(), right).unwrap();
    assert_eq!((f.tree.certified_state(&b1.id()), f.tree.certified_state(&fork.id())), (Some(right), None));
}

#[test]
fn a_block_is_executing_until_its_result_is_known() {
    let mut f = Fixture::new();
    let block = Fixture::block(1, 0, &f.members.genesis_qc());
    assert!(!f.tree.is_executing());
    assert!(f.tree.insert(Arc::clone(&block)));
    assert!(f.tree.is_executing());
    f.tree.executed(&block.id(), state_of(block.id())).unwrap();
    assert!(!f.tree.is_executing());
}

/// D5: after a long absence the block of the highest certificate is far away, and each stretch on the way brings a certificate of its own.
#[test]
fn a_stretch_of_an_absence_is_committed_by_the_certificate_that_came_with_it() {
    let mut f = Fixture::new();
    let mut qcs = vec![f.members.genesis_qc()];
    let mut blocks = Vec::new();
    for round in 1..=6 {
        blocks.push(Fixture::block(round, 0, &qcs[blocks.len()]));
        qcs.push(f.members.qc(&blocks[blocks.len() - 1]));
    }
    let ids: Vec<BlockId> = blocks.iter().map(|block| block.id()).collect();
    let execute = |f: &mut Fixture, at: usize| f.tree.executed(&ids[at], state_of(ids[at])).unwrap();
    let committed = |f: &mut Fixture| -> Vec<BlockId> {
        f.tree.take_commit().unwrap().map_or(Vec::new(), |(path, _)| path.iter().map(|block| block.id()).collect())
    };
    let certified = |f: &Fixture| -> Vec<BlockId> { f.tree.certified_commits().iter().map(|block| block.id()).collect() };

    // A message carries the certificate of block 6, which commits block 5; the first four blocks have arrived.
    f.tree.process_qc(&qcs[6]).unwrap();
    for block in &blocks[..4] {
        assert!(f.tree.insert(Arc::clone(block)));
    }
    assert_eq!((certified(&f), committed(&mut f)), (vec![], vec![]));
    f.tree.offer_commit(qcs[4].clone());
    assert_eq!(certified(&f), ids[..3], "a commit is known before it can be carried out");
    for at in 0..3 {
        assert_eq!(committed(&mut f), [], "block 3 is not executed");
        execute(&mut f, at);
    }
    assert_eq!(committed(&mut f), ids[..3]);
    assert_eq!((f.tree.root().id, certified(&f), committed(&mut f)), (ids[2], vec![], vec![]));
    // The rest arrives, and the highest certificate commits it.
    execute(&mut f, 3);
    assert!(f.tree.insert(Arc::clone(&blocks[4])));
    execute(&mut f, 4);
    assert_eq!(committed(&mut f), ids[3..5]);
}

#[test]
fn a_commit_on_the_way_leaves_the_certificate_of_the_stretch() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (b1, q1) = f.grow(1, 0, &genesis);
    let b2 = Fixture::block(2, 0, &q1);
    let b3 = Fixture::block(3, 0, &f.members.qc(&b2));
    assert!(f.tree.insert(Arc::clone(&b2)));
    f.tree.offer_commit(f.members.qc(&b3));
    assert_eq!(f.commit(&f.members.qc(&b2)), [b1], "block 2 is not executed yet");
    f.tree.executed(&b2.id(), state_of(b2.id())).unwrap();
    assert_eq!(f.tree.take_commit().unwrap().unwrap().0.len(), 1);
    assert_eq!(f.tree.root().id, b2.id());
}

/// A peer may send a far-away certificate with every stretch of blocks.
#[test]
fn of_the_certificates_that_come_with_blocks_the_first_to_be_reached_is_kept() {
    let mut f = Fixture::new();
    let mut qcs = vec![f.members.genesis_qc()];
    let mut blocks = Vec::new();
    for round in 1..=6 {
        let block = Fixture::block(round, 0, qcs.last().unwrap());
        qcs.push(f.members.qc(&block));
        blocks.push(block);
    }
    let enters = |f: &mut Fixture, at: usize| {
        assert!(f.tree.insert(Arc::clone(&blocks[at])));
        f.tree.executed(&blocks[at].id(), state_of(blocks[at].id())).unwrap();
        f.tree.take_commit().unwrap().map(|(path, _)| path.len())
    };
    // The certificate of block 5 commits block 4, and so on.
    for offered in [5, 4, 6] {
        f.tree.offer_commit(qcs[offered].clone());
    }
    assert_eq!([0, 1, 2].map(|at| enters(&mut f, at)), [None, None, Some(3)], "the certificate of block 4");
    f.tree.offer_commit(qcs[3].clone());
    f.tree.offer_commit(qcs[4].clone());
    assert_eq!(enters(&mut f, 3), None, "these commit nothing above the root");
    f.tree.offer_commit(qcs[6].clone());
    assert_eq!(enters(&mut f, 4), Some(2));
}

/// D7: a transaction counts as work on the certified chain or in the block of the current round, but not on a fork, nor once committed.
#[test]
fn an_uncommitted_transaction_is_work_on_the_certified_chain_and_in_the_proposal() {
    // Transactions in block 1, in block 2 on it, in a fork of round 3: is there work if the proposal is none, block 2, or the fork?
    for (in_one, in_two, in_fork, expected) in [
        (0, 0, 0, [false, false, false]),
        (1, 0, 0, [true, true, true]),
        (0, 1, 0, [false, true, false]),
        (0, 0, 1, [false, false, true]),
        (1, 1, 1, [true, true, true]),
    ] {
        let mut f = Fixture::new();
        let genesis = f.members.genesis_qc();
        let (_, q1) = f.grow(1, in_one, &genesis);
        f.tree.process_qc(&q1).unwrap();
        let (b2, _) = f.grow(2, in_two, &q1);
        let (fork, _) = f.grow(3, in_fork, &genesis);
        let work = [None, Some(&b2), Some(&fork)].map(|proposal| f.tree.has_uncommitted_payload(proposal));
        assert_eq!(work, expected, "{in_one}, {in_two}, {in_fork}");
    }
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (_, q1) = f.grow(1, 1, &genesis);
    let (_, q2) = f.grow(2, 0, &q1);
    f.tree.process_qc(&q2).unwrap();
    assert!(f.tree.has_uncommitted_payload(None));
    assert_eq!(f.commit(&q2).len(), 1);
    assert!(!f.tree.has_uncommitted_payload(None));
}

#[test]
fn b20_blocks_above_the_root_are_bounded_and_the_certified_chain_stays() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let (b1, q1) = f.grow(1, 0, &genesis);
    f.tree.process_qc(&q1).unwrap();
    // Faulty leaders add a block in every round, and nothing more is ever certified. The bound is used to the full (D19).
    for round in 2..1_000 {
        let (newest, _) = f.grow(round, 0, if round % 2 == 0 { &q1 } else { &genesis });
        assert_eq!(f.tree.blocks().count(), usize::try_from(round).unwrap().min(256));
        assert!(f.tree.contains(&b1) && f.tree.contains(&newest));
    }
}

/// A chain being fetched may be longer than the bound, and a block on the root must not evict it, even while the block of the highest
/// certificate is far away.
#[test]
fn b20_a_block_beside_a_long_chain_without_a_commit_does_not_drop_it() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    let mut qc = genesis.clone();
    let mut chain = Vec::new();
    // Every other round is given up, so nothing is committed.
    for round in (1..=600).step_by(2) {
        let (id, next) = f.grow(round, 0, &qc);
        f.tree.keep_fetched(id);
        chain.push(id);
        qc = next;
    }
    let far = f.members.qc(&Fixture::block(900, 0, &qc));
    f.tree.process_qc(&far).unwrap();
    for round in 901..905 {
        let (beside, _) = f.grow(round, 0, &genesis);
        assert!(f.tree.contains(&beside));
    }
    assert!(chain.iter().all(|id| f.tree.contains(id)));
}

#[test]
fn s18_flushes_until_the_commit_of_every_transaction_has_been_published() {
    let mut f = Fixture::new();
    let genesis = f.members.genesis_qc();
    assert!(!f.tree.must_flush());
    let (_, mut qc) = f.grow(1, 3, &genesis);
    f.commit(&qc);
    // (round, must the next leader flush): blocks 2 and 3 publish the commit of block 1.
    for (round, flush) in [(2, true), (3, true), (4, false), (5, false)] {
        assert_eq!(f.tree.must_flush(), flush, "before round {round}");
        qc = f.grow(round, 0, &qc).1;
        f.commit(&qc);
    }
    // Giving up the round right after it costs one more.
    let mut f = Fixture::new();
    let (_, mut qc) = f.grow(1, 3, &genesis);
    f.commit(&qc);
    for (round, flush) in [(3, true), (4, true), (5, true), (6, false)] {
        assert_eq!(f.tree.must_flush(), flush, "before round {round}");
        qc = f.grow(round, 0, &qc).1;
        f.commit(&qc);
    }
}

/// A commit is published once its certificate is in a block of the certified chain, whether or not we have carried it out.
#[test]
fn s18_a_published_commit_that_is_still_being_executed_needs_no_flush() {
    let mut f = Fixture::new();
    let mut qc = f.members.genesis_qc();
    for (round, flush) in [(1, true), (2, true), (3, false), (4, false)] {
        let block = Fixture::block(round, u64::from(round == 1), &qc);
        assert!(f.tree.insert(Arc::clone(&block)));
        qc = f.members.qc(&block);
        assert_eq!(f.commit(&qc), [], "nothing is executed");
        assert_eq!(f.tree.must_flush(), flush, "with the certificate of round {round}");
    }
}
