//! The end of an epoch: the block that changes the committee, those that follow it, and the first of the next epoch.

use quorate_types::{
    block::Block,
    committee::VotingPower,
    epoch::{EpochState, epoch_block_id},
    governance::{ChainOperation, Change, OWN_CHANGE_BLOCKS, ProposalId},
    ids::{StateId, ValidatorId},
    proof::ProofError,
    receipt::Outcome,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    transaction::Transaction,
    vote::QuorumCert,
};

use super::network::{Network, account_key_of, address, transfer};
use crate::{InvalidBlock, Ledger, LedgerError, LedgerReader, MemoryStore, StateTree};

fn chain(network: &Network, who: u8, sequence: u64, operation: &ChainOperation) -> Transaction {
    Transaction::sign_chain(network.genesis.hash(), &account_key_of(who), Sequence(sequence), UnixMillis(u64::MAX), operation)
}

fn power(seat: u16, power: u64) -> ChainOperation {
    ChainOperation::Propose(Box::new(Change::Power { seat: ValidatorId(seat), power: VotingPower(power) }))
}

/// The block that makes validator 3 an observer, proposed and approved in itself.
fn last_block(network: &Network, qc: &QuorumCert, round: u64) -> Block {
    let approve = ChainOperation::Approve(ProposalId(0));
    let payload =
        vec![chain(network, 1, 0, &power(3, 0)), chain(network, 2, 0, &approve), transfer(1, 1, 2, 10), chain(network, 3, 0, &approve)];
    network.block(qc, round, payload)
}

/// Speculates on a block and certifies its result.
fn certified(network: &Network, ledger: &mut Ledger<MemoryStore>, block: &Block) -> QuorumCert {
    let state = ledger.speculate(block).unwrap();
    network.certify(block, state)
}

/// A block that follows the last one of its epoch, in the round after its parent's.
fn follower(qc: &QuorumCert, timestamp: u64) -> Block {
    Network::block_at(qc, qc.round().0 + 1, timestamp, vec![])
}

struct Ended {
    network: Network,
    ledger: Ledger<MemoryStore>,
    last: Block,
    /// Certifies the last block.
    last_qc: QuorumCert,
    /// Commits it.
    commit_qc: QuorumCert,
}

/// A ledger whose epoch a block of round 1 has ended, committed by the certificate of the block after the one of round `by`.
fn ended(by: u64) -> Ended {
    let network = Network::new();
    let mut ledger = network.ledger();
    let last = last_block(&network, &network.genesis_qc, 1);
    let last_qc = certified(&network, &mut ledger, &last);
    let mut path = vec![last.clone()];
    let mut qc = last_qc.clone();
    while qc.round() <= Round(by) {
        let block = follower(&qc, 1_000);
        qc = certified(&network, &mut ledger, &block);
        path.push(block);
    }
    path.pop();
    let committed = ledger.commit(&path.iter().collect::<Vec<_>>(), &qc).unwrap();
    assert!(committed.ends_epoch);
    assert_eq!(committed.blocks.iter().map(|block| block.header.block_id).collect::<Vec<_>>(), [last.id()]);
    Ended { network, ledger, last, last_qc, commit_qc: qc }
}

#[test]
fn a_change_ends_the_epoch_with_the_block_in_which_it_gets_its_quorum() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let approve = ChainOperation::Approve(ProposalId(0));
    let mut qc = network.genesis_qc.clone();
    for (round, tx) in
        [(1, chain(&network, 1, 0, &power(3, 0))), (2, chain(&network, 2, 0, &approve)), (3, chain(&network, 3, 0, &approve))]
    {
        let block = network.block(&qc, round, vec![tx]);
        qc = certified(&network, &mut ledger, &block);
        let header = ledger.header(&block.id()).unwrap();
        assert!(ledger.receipts(&block.id()).unwrap()[0].outcome.is_applied());
        assert_eq!(ledger.ends_epoch(&block.id()), round == 3);
        assert_eq!(header.epoch_state == network.genesis.epoch_state().hash(), round < 3, "round {round}");
        assert_eq!(header.epoch, Epoch(0));
    }
}

#[test]
fn what_follows_the_last_block_has_its_result_and_nothing_else() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let last = last_block(&network, &network.genesis_qc, 1);
    let last_qc = certified(&network, &mut ledger, &last);
    let state = last_qc.vote_info.exec_state_id;
    let with = |timestamp, payload| Network::block_at(&last_qc, 2, timestamp, payload);
    for wrong in [with(1_000, vec![transfer(2, 1, 1, 1)]), with(1_001, vec![]), with(999, vec![])] {
        assert_eq!(ledger.speculate(&wrong), Err(InvalidBlock::AfterEpoch(Epoch(0))));
    }
    let mut qc = last_qc;
    for _ in 0..3 {
        let block = follower(&qc, 1_000);
        assert_eq!(ledger.speculate(&block), Ok(state));
        assert_eq!(ledger.header(&block.id()).unwrap().block_id, last.id());
        assert!(ledger.ends_epoch(&block.id()) && ledger.receipts(&block.id()).unwrap().is_empty());
        qc = network.certify(&block, state);
    }
}

#[test]
fn whichever_block_is_committed_the_same_one_ends_the_epoch() {
    for by in 1..=4 {
        let Ended { network, ledger, last, commit_qc, .. } = ended(by);
        let state = ledger.root().state_id();
        assert_eq!((ledger.root().block_id, ledger.root().height), (last.id(), Height(1)));
        assert_eq!(ledger.tip(), (epoch_block_id(Epoch(1), state), Round(0)));
        assert_eq!((ledger.epoch().epoch, ledger.epoch().seats[3].validator.power), (Epoch(1), VotingPower(0)));
        assert_eq!(ledger.root().epoch_state, ledger.epoch().hash());
        assert_eq!((ledger.speculated(), ledger.load_pending().unwrap()), (0, vec![]));

        // The same from the disk.
        let reader = LedgerReader::new(ledger.store().clone());
        assert_eq!(reader.block_at(Height(2)).unwrap(), None);
        assert_eq!(reader.epoch(Epoch(1)).unwrap().as_ref(), Some(&**ledger.epoch()));
        assert_eq!(reader.last_before(Epoch(1)).unwrap(), *ledger.root());
        let again = network.open(ledger.store().clone());
        assert_eq!((again.tip(), again.epoch(), again.commit_qc()), (ledger.tip(), ledger.epoch(), &commit_qc));

        // The light client's way from the genesis to the next committee.
        let change = reader.epoch_change(Epoch(0)).unwrap().unwrap();
        let first = network.verifier();
        let (header, committee) = change.verify(&first).unwrap();
        assert_eq!((header, committee.voters().len(), committee.epoch()), (ledger.root(), 3, Epoch(1)));
        assert_eq!(reader.epoch_change(Epoch(1)).unwrap(), None);
        let mut forged = change.clone();
        forged.next.seats[0].validator.power = VotingPower(7);
        assert_eq!(forged.verify(&first).unwrap_err(), ProofError::OtherEpochState);
        let second = first.next(state, committee, network.genesis.parameters);
        assert!(change.verify(&second).is_err(), "the proof is of the first epoch");
    }
}

#[test]
fn the_next_epoch_builds_on_the_last_result_and_on_nothing_of_the_old_one() {
    let Ended { network, mut ledger, last_qc, .. } = ended(2);
    let state = ledger.root().state_id();
    let begin = QuorumCert::of_epoch(Epoch(1), network.genesis.hash(), state);
    assert_eq!(
        ledger.speculate(&network.block(&last_qc, 9, vec![])).unwrap_err(),
        InvalidBlock::UnknownParent { parent: last_qc.block_id() }
    );
    // A block that says it is of the old epoch, on the block that begins the new one.
    let old = QuorumCert { commit_info: quorate_types::vote::LedgerCommitInfo { epoch: Epoch(0), ..begin.commit_info }, ..begin.clone() };
    let found = ledger.speculate(&network.block(&old, 2, vec![])).unwrap_err();
    assert_eq!(found, InvalidBlock::Epoch { found: Epoch(0), expected: Epoch(1) });

    let first = network.block(&begin, 2, vec![transfer(2, 1, 1, 5)]);
    let qc = certified(&network, &mut ledger, &first);
    let header = ledger.header(&first.id()).unwrap().clone();
    assert_eq!((header.height, header.epoch, header.parent, header.epoch_state), (Height(2), Epoch(1), state, ledger.epoch().hash()));
    let child = network.block(&qc, 3, vec![]);
    let child_qc = certified(&network, &mut ledger, &child);
    let committed = ledger.commit(&[&first], &child_qc).unwrap();
    assert!(!committed.ends_epoch);
    assert_eq!(committed.view.epoch().epoch, Epoch(1));
    let again = network.open(ledger.store().clone());
    assert_eq!((again.tip(), again.epoch().epoch), ((first.id(), Round(2)), Epoch(1)));

    // An answer to a lagging validator ends with the epoch.
    let reader = LedgerReader::new(ledger.store().clone());
    for (from, heights) in [(1, 1), (2, 1)] {
        let (blocks, proof) = reader.blocks_from(Height(from), 256, usize::MAX).unwrap().unwrap();
        assert_eq!((blocks.len(), proof.headers[0].height), (heights, Height(from)));
    }
}

#[test]
fn a_last_block_on_a_losing_branch_ends_nothing() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let lost = last_block(&network, &network.genesis_qc, 1);
    let lost_qc = certified(&network, &mut ledger, &lost);
    ledger.speculate(&follower(&lost_qc, 1_000)).unwrap();
    let won = network.block(&network.genesis_qc, 2, vec![transfer(1, 0, 2, 1)]);
    let won_qc = certified(&network, &mut ledger, &won);
    let child = network.block(&won_qc, 3, vec![]);
    let child_qc = certified(&network, &mut ledger, &child);
    let committed = ledger.commit(&[&won], &child_qc).unwrap();
    assert!(!committed.ends_epoch);
    assert_eq!((ledger.epoch().epoch, ledger.tip().0), (Epoch(0), won.id()));
    assert_eq!(ledger.epoch().hash(), network.genesis.epoch_state().hash());
}

#[test]
fn a_certificate_of_another_result_commits_nothing_of_an_ended_epoch() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let last = last_block(&network, &network.genesis_qc, 1);
    certified(&network, &mut ledger, &last);
    let other = network.certify(&last, StateId::default());
    let child = follower(&other, 1_000);
    let qc = network.certify(&child, StateId::default());
    assert!(matches!(ledger.commit(&[&last], &qc), Err(LedgerError::Diverged { .. })));
}

#[test]
fn operations_on_the_chain_are_for_operators_of_voters() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let approve = |id| ChainOperation::Approve(ProposalId(id));
    let payload = vec![
        chain(&network, 9, 0, &power(3, 0)),
        chain(&network, 1, 0, &power(9, 1)),
        chain(&network, 1, 1, &power(3, 1)),
        chain(&network, 1, 2, &power(3, 5)),
        chain(&network, 2, 0, &ChainOperation::Withdraw(ProposalId(0))),
        chain(&network, 2, 1, &approve(1)),
        chain(&network, 1, 3, &ChainOperation::Withdraw(ProposalId(0))),
        chain(&network, 2, 2, &approve(0)),
        chain(&network, 1, 4, &power(3, 0)),
        chain(&network, 2, 3, &ChainOperation::Reject(ProposalId(1))),
        chain(&network, 3, 0, &ChainOperation::Reject(ProposalId(1))),
        chain(&network, 3, 1, &approve(1)),
    ];
    let block = network.block(&network.genesis_qc, 1, payload);
    ledger.speculate(&block).unwrap();
    let codes: Vec<String> = ledger
        .receipts(&block.id())
        .unwrap()
        .iter()
        .map(|receipt| match &receipt.outcome {
            Outcome::Applied(answer) => format!("{:?}", answer.first()),
            Outcome::Failed(failure) => failure.code().to_owned(),
        })
        .collect();
    let expected = [
        "not-an-operator",
        "no-such-seat",
        "no-change",
        "Some(0)",
        "not-the-proposer",
        "no-such-proposal",
        "Some(0)",
        "no-such-proposal",
        "Some(1)",
        "Some(1)",
        "Some(1)",
        "no-such-proposal",
    ];
    assert_eq!(codes, expected);
    assert!(!ledger.ends_epoch(&block.id()));
    let state: &StateTree = ledger.state(&block.id()).unwrap();
    assert_eq!(quorate_app::governance::proposals(state), []);
}

#[test]
fn an_epoch_state_survives_its_encoding() {
    let state = Network::new().genesis.epoch_state();
    let bytes = quorate_types::codec::encode(&state);
    assert_eq!(quorate_types::codec::decode::<EpochState>(&bytes, usize::MAX).unwrap(), state);
    assert_eq!(state.seats[0].validator.operator, Some(address(1)));
}

#[test]
fn a_member_replaces_its_own_entry_alone_and_nobody_elses() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let draft = network.genesis.draft_hash();
    let key = |number: u8| quorate_types::crypto::SigningKey::from_seed(&[number; 32]);
    let entry = |seat: usize, number: u8, who: u8| {
        let validator = quorate_types::committee::Validator {
            consensus_key: key(number).public(),
            network_key: key(number + 1).public(),
            operator: Some(address(who)),
            power: VotingPower(9),
            ..network.genesis.validators[seat].validator.clone()
        };
        quorate_types::genesis::GenesisValidator::sign(draft, validator, &key(number), &key(number + 1))
    };
    let replace = |seat: u16, entry| ChainOperation::Propose(Box::new(Change::Replace { seat: ValidatorId(seat), entry }));
    // Two may be replaced in one block; whoever proposes another's entry waits for a quorum.
    let mut stolen = entry(1, 150, 1);
    stolen.validator.name = "changed after signing".into();
    let payload = vec![
        chain(&network, 1, 0, &replace(0, entry(0, 160, 2))),
        chain(&network, 1, 1, &replace(1, entry(1, 170, 1))),
        chain(&network, 1, 2, &replace(0, stolen)),
    ];
    let block = network.block(&network.genesis_qc, 1, payload);
    let qc = certified(&network, &mut ledger, &block);
    let outcomes: Vec<bool> = ledger.receipts(&block.id()).unwrap().iter().map(|receipt| receipt.outcome.is_applied()).collect();
    assert_eq!(outcomes, [true, true, false]);
    assert!(ledger.ends_epoch(&block.id()));
    let child = follower(&qc, 1_000);
    let child_qc = certified(&network, &mut ledger, &child);
    ledger.commit(&[&block], &child_qc).unwrap();
    let seats = &ledger.epoch().seats;
    assert_eq!((seats[0].validator.consensus_key, seats[0].validator.power), (key(160).public(), VotingPower(1)), "the power stays");
    assert_eq!(seats[1].validator, network.genesis.validators[1].validator);
    // Seat 0 has another operator now, so what its last one said of the open proposal is gone, and with it the proposal.
    let view = ledger.view();
    assert_eq!(quorate_app::governance::proposals(view.state()), []);
}

fn entry_of(network: &Network, seat: usize, number: u8, name: &str, operator: u8) -> quorate_types::genesis::GenesisValidator {
    let key = |number: u8| quorate_types::crypto::SigningKey::from_seed(&[number; 32]);
    let validator = quorate_types::committee::Validator {
        name: name.into(),
        consensus_key: key(number).public(),
        network_key: key(number + 1).public(),
        operator: Some(address(operator)),
        power: VotingPower(1),
        ..network.genesis.validators[seat].validator.clone()
    };
    quorate_types::genesis::GenesisValidator::sign(network.genesis.draft_hash(), validator, &key(number), &key(number + 1))
}

fn propose(change: Change) -> ChainOperation {
    ChainOperation::Propose(Box::new(change))
}

/// Certifies a block with these operations, all of which are carried out; the certificate, and whether the block ends the epoch.
fn carried_out(
    network: &Network,
    ledger: &mut Ledger<MemoryStore>,
    (qc, round): (&QuorumCert, u64),
    operations: &[(u8, u64, ChainOperation)],
) -> (QuorumCert, bool) {
    let payload = operations.iter().map(|(who, sequence, operation)| chain(network, *who, *sequence, operation)).collect();
    let block = network.block(qc, round, payload);
    let qc = certified(network, ledger, &block);
    for receipt in ledger.receipts(&block.id()).unwrap().iter() {
        assert!(receipt.outcome.is_applied(), "{:?}", receipt.outcome);
    }
    (qc, ledger.ends_epoch(&block.id()))
}

#[test]
fn a_member_cannot_end_every_epoch_alone() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let replace = |number| propose(Change::Replace { seat: ValidatorId(0), entry: entry_of(&network, 0, number, "again", 1) });
    let block = network.block(&network.genesis_qc, 1, vec![chain(&network, 1, 0, &replace(150))]);
    let qc = certified(&network, &mut ledger, &block);
    assert!(ledger.ends_epoch(&block.id()), "the first one is due at once");
    let child_qc = certified(&network, &mut ledger, &follower(&qc, 1_000));
    ledger.commit(&[&block], &child_qc).unwrap();

    let begin = QuorumCert::of_epoch(Epoch(1), network.genesis.hash(), ledger.root().state_id());
    let (mut qc, ends) = carried_out(&network, &mut ledger, (&begin, 2), &[(1, 1, replace(160))]);
    assert!(!ends);
    let approve = |sequence| (1, sequence, ChainOperation::Approve(ProposalId(1)));
    for height in 3..OWN_CHANGE_BLOCKS {
        (qc, _) = carried_out(&network, &mut ledger, (&qc, height), &[]);
    }
    let (qc, ends) = carried_out(&network, &mut ledger, (&qc, OWN_CHANGE_BLOCKS), &[approve(2)]);
    assert!(!ends, "99 blocks have passed");
    // With a quorum, it need not wait.
    let others = [(2, 0, ChainOperation::Approve(ProposalId(1))), (3, 0, ChainOperation::Approve(ProposalId(1)))];
    let (_, ends) = carried_out(&network, &mut ledger, (&qc, OWN_CHANGE_BLOCKS + 1), &others);
    assert!(ends);
    let (_, ends) = carried_out(&network, &mut ledger, (&qc, OWN_CHANGE_BLOCKS + 1), &[approve(3)]);
    assert!(ends, "100 blocks have passed");
}

#[test]
fn a_removed_member_leaves_nothing_to_whoever_gets_its_seat() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let approve = |who, sequence, id| (who, sequence, ChainOperation::Approve(ProposalId(id)));
    let operations = [
        (1, 0, propose(Change::Remove { seat: ValidatorId(3), evidence: None })),
        (1, 1, propose(Change::Add(entry_of(&network, 3, 150, "bob", 9)))),
        // The member that leaves holds on to its seat.
        (4, 0, propose(Change::Replace { seat: ValidatorId(3), entry: entry_of(&network, 3, 160, "mallory", 4) })),
        // About the member that leaves.
        (2, 0, power(3, 2)),
        approve(2, 1, 0),
        approve(3, 0, 0),
        approve(2, 2, 1),
        approve(3, 1, 1),
    ];
    let payload = operations.iter().map(|(who, sequence, operation)| chain(&network, *who, *sequence, operation)).collect();
    let block = network.block(&network.genesis_qc, 1, payload);
    let qc = certified(&network, &mut ledger, &block);
    let child_qc = certified(&network, &mut ledger, &follower(&qc, 1_000));
    assert!(ledger.commit(&[&block], &child_qc).unwrap().ends_epoch);
    let validator = &ledger.epoch().seats[3].validator;
    assert_eq!((validator.name.as_str(), validator.operator, validator.power), ("bob", Some(address(9)), VotingPower(1)));
    assert_eq!(quorate_app::governance::proposals(ledger.view().state()), []);
}

#[test]
fn a_member_does_not_escape_its_removal_with_other_keys() {
    let network = Network::new();
    let mut ledger = network.ledger();
    let operations = [
        (4, 0, propose(Change::Replace { seat: ValidatorId(3), entry: entry_of(&network, 3, 160, "mallory", 9) })),
        (1, 0, propose(Change::Remove { seat: ValidatorId(3), evidence: None })),
        (2, 0, ChainOperation::Approve(ProposalId(1))),
        (3, 0, ChainOperation::Approve(ProposalId(1))),
    ];
    let payload = operations.iter().map(|(who, sequence, operation)| chain(&network, *who, *sequence, operation)).collect();
    let block = network.block(&network.genesis_qc, 1, payload);
    let qc = certified(&network, &mut ledger, &block);
    let child_qc = certified(&network, &mut ledger, &follower(&qc, 1_000));
    assert!(ledger.commit(&[&block], &child_qc).unwrap().ends_epoch);
    assert_eq!(ledger.epoch().seats.iter().map(|member| member.id.0).collect::<Vec<_>>(), [0, 1, 2]);
}
