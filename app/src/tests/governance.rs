//! Proposals: who decides, and what takes effect when.

use quorate_types::{
    codec,
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    epoch::EpochState,
    genesis::{Genesis, GenesisValidator, ParametersChange},
    governance::{Authority, Board, ChainOperation, Change, ProposalId},
    ids::ValidatorId,
    receipt::Outcome,
    round::Epoch,
};

use super::{
    common::{ScriptSettings, World, address, code, genesis},
    permissions::chain,
};
use crate::governance;

fn consensus(seat: u8) -> SigningKey {
    SigningKey::from_seed(&[seat + 50; 32])
}

fn network(seat: u8) -> SigningKey {
    SigningKey::from_seed(&[seat + 90; 32])
}

/// The member of this number, and the account that speaks for it: 10 for member 0, and so on.
fn member(seat: u8) -> Validator {
    Validator {
        name: format!("v{seat}"),
        consensus_key: consensus(seat).public(),
        network_key: network(seat).public(),
        address: format!("/ip4/10.0.0.{seat}/tcp/1"),
        power: VotingPower(1),
        operator: Some(address(10 + seat)),
    }
}

/// With four validators. The seats are in the order of their keys, so the operators are given afterwards: account 10 + seat speaks for a seat.
pub(super) fn founded(genesis: &Genesis) -> Genesis {
    let keys: Vec<_> = (0..4).map(|seat| (consensus(seat), network(seat))).collect();
    let mut order: Vec<u8> = (0..4).collect();
    order.sort_by_key(|seat| consensus(*seat).public());
    let members = (0..4u8).zip(order).map(|(seat, of)| {
        let (consensus, network) = &keys[usize::from(of)];
        (Validator { operator: Some(address(10 + seat)), ..member(of) }, consensus, network)
    });
    genesis.clone().with_validators(members)
}

fn world() -> World {
    World::of(&founded(&genesis(&ScriptSettings::default())))
}

fn send(world: &mut World, who: u8, operation: &ChainOperation) -> Outcome {
    let tx = chain(world, who, operation);
    let execution = world.execute(std::slice::from_ref(&tx)).unwrap();
    let next = execution.next_epoch.clone();
    let outcome = world.block(&[tx]).remove(0);
    if let Some(next) = next {
        assert_eq!(world.epoch(), next);
    }
    outcome
}

pub(super) fn propose(world: &mut World, who: u8, change: Change) -> ProposalId {
    match send(world, who, &ChainOperation::Propose(Box::new(change))) {
        Outcome::Applied(answer) => codec::decode(&answer, 8).unwrap(),
        Outcome::Failed(failure) => panic!("{failure}"),
    }
}

pub(super) fn approve(world: &mut World, who: u8, id: ProposalId) {
    let outcome = send(world, who, &ChainOperation::Approve(id));
    assert!(outcome.is_applied(), "{outcome:?}");
}

/// Proposed and approved by three of the four operators.
fn decided(world: &mut World, change: Change) -> EpochState {
    let id = propose(world, 10, change);
    approve(world, 11, id);
    approve(world, 12, id);
    world.epoch()
}

fn refused(world: &mut World, who: u8, change: Change) -> String {
    code(&send(world, who, &ChainOperation::Propose(Box::new(change)))).to_owned()
}

fn parameters(change: ParametersChange) -> Change {
    Change::Parameters(Box::new(change))
}

#[test]
fn parameters_change_with_a_new_epoch_and_only_within_their_ranges() {
    let mut world = world();
    let before = world.epoch();
    let change = ParametersChange { timeout_base_ms: Some(500), state_bytes_max: Some(1 << 20), ..ParametersChange::default() };
    let after = decided(&mut world, parameters(change));
    assert_eq!((after.epoch, after.parameters.timeout_base_ms, after.parameters.state.bytes_max), (Epoch(1), 500, 1 << 20));
    assert_eq!(after.parameters, change.after(&before.parameters));
    assert_eq!((&after.seats, &after.authority), (&before.seats, &before.authority));
    for bad in [
        ParametersChange { timeout_base_ms: Some(9), ..ParametersChange::default() },
        ParametersChange { timeout_base_ms: Some(99), ..ParametersChange::default() },
        ParametersChange { timeout_max_ms: Some(600_001), ..ParametersChange::default() },
        ParametersChange { heartbeat_ms: Some(3_600_001), ..ParametersChange::default() },
        ParametersChange { timeout_max_ms: Some(499), ..ParametersChange::default() },
        ParametersChange { block_transactions_max: Some(0), ..ParametersChange::default() },
        ParametersChange { account_block_percent: Some(101), ..ParametersChange::default() },
        ParametersChange { exclude_size: Some(3), ..ParametersChange::default() },
    ] {
        assert_eq!(refused(&mut world, 10, parameters(bad)), "bad-parameters", "{bad:?}");
    }
    assert_eq!(refused(&mut world, 10, parameters(change)), "no-change");
}

#[test]
fn two_proposals_about_parameters_do_not_undo_each_other() {
    let mut world = world();
    let one = propose(&mut world, 10, parameters(ParametersChange { heartbeat_ms: Some(5_000), ..ParametersChange::default() }));
    decided(&mut world, parameters(ParametersChange { window_size: Some(7), ..ParametersChange::default() }));
    approve(&mut world, 11, one);
    approve(&mut world, 12, one);
    let now = world.epoch().parameters;
    assert_eq!((now.heartbeat_ms, now.window_size), (5_000, 7));
}

#[test]
fn a_board_decides_in_the_place_of_the_operators() {
    let mut world = world();
    for bad in [
        Board { members: [].into(), needed: 0 },
        Board { members: [address(20)].into(), needed: 0 },
        Board { members: [address(20)].into(), needed: 2 },
    ] {
        assert_eq!(refused(&mut world, 10, Change::Authority(Authority::Board(bad.clone()))), "bad-authority", "{bad:?}");
    }
    let waiting = propose(&mut world, 10, parameters(ParametersChange { window_size: Some(7), ..ParametersChange::default() }));
    let board = Board { members: [20, 21, 12].map(address).into(), needed: 2 };
    let after = decided(&mut world, Change::Authority(Authority::Board(board)));
    assert_eq!((after.votes_total(), after.votes_needed()), (3, 2));
    // Account 12 has not voted on what waits, and operators have no vote now.
    assert_eq!(code(&send(&mut world, 11, &ChainOperation::Approve(waiting))), "not-an-operator");
    assert_eq!(refused(&mut world, 10, Change::Remove { seat: ValidatorId(3), evidence: None }), "not-an-operator");
    approve(&mut world, 12, waiting);
    assert_eq!(world.epoch().parameters.window_size, 10, "the operator that proposed it does not count");
    approve(&mut world, 21, waiting);
    assert_eq!(world.epoch().parameters.window_size, 7);
    // Two of the board give it back.
    let id = propose(&mut world, 20, Change::Authority(Authority::Operators));
    approve(&mut world, 21, id);
    assert_eq!(world.epoch().authority, Authority::Operators);
}

/// One chain that can decide must not decide that it never can again, nor may a member alone.
#[test]
fn a_change_after_which_nobody_could_decide_is_refused() {
    let mut world = world();
    let silent = |world: &World, seat: usize| {
        let member = world.epoch().seats[seat].validator.clone();
        let number = (0..4u8).find(|number| consensus(*number).public() == member.consensus_key).unwrap();
        let draft = founded(&genesis(&ScriptSettings::default())).draft_hash();
        let entry = GenesisValidator::sign(draft, Validator { operator: None, ..member }, &consensus(number), &network(number));
        Change::Replace { seat: ValidatorId(u16::try_from(seat).unwrap()), entry }
    };
    let change = silent(&world, 0);
    propose(&mut world, 10, change);
    assert_eq!(world.epoch().votes_attainable(), 3);
    let change = silent(&world, 1);
    assert_eq!(refused(&mut world, 11, change), "bad-authority");
    assert_eq!(refused(&mut world, 11, Change::Power { seat: ValidatorId(0), power: VotingPower(9) }), "bad-authority");
}

#[test]
fn a_board_that_could_no_longer_approve_a_proposal_closes_it() {
    let mut world = world();
    let board = Board { members: [20, 21, 22].map(address).into(), needed: 2 };
    decided(&mut world, Change::Authority(Authority::Board(board)));
    let id = propose(&mut world, 20, parameters(ParametersChange { window_size: Some(7), ..ParametersChange::default() }));
    assert!(send(&mut world, 21, &ChainOperation::Reject(id)).is_applied());
    assert_eq!(governance::proposals(&world.state).len(), 1);
    assert!(send(&mut world, 22, &ChainOperation::Reject(id)).is_applied());
    assert!(governance::proposals(&world.state).is_empty());
}

#[test]
fn what_somebody_proposed_who_has_no_say_any_more_is_closed() {
    let mut world = world();
    propose(&mut world, 13, parameters(ParametersChange { window_size: Some(7), ..ParametersChange::default() }));
    let other = propose(&mut world, 12, parameters(ParametersChange { window_size: Some(8), ..ParametersChange::default() }));
    approve(&mut world, 13, other);
    decided(&mut world, Change::Remove { seat: ValidatorId(3), evidence: None });
    let open = governance::proposals(&world.state);
    assert_eq!(open.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [other]);
    assert_eq!(open[0].1.approvals, [address(12)].into(), "the vote of the removed member's operator is gone");
}

#[test]
fn a_new_version_waits_for_a_quorum_that_speaks_it() {
    let mut world = world();
    assert_eq!(refused(&mut world, 10, Change::Version(3)), "not-the-next-version");
    assert_eq!(decided(&mut world, Change::Version(2)).protocol_version, 1);
    assert_eq!(code(&send(&mut world, 20, &ChainOperation::Speak(2))), "not-an-operator");
    for (speaker, version) in [(10, 1), (11, 2), (13, 2), (12, 1)] {
        assert!(send(&mut world, speaker, &ChainOperation::Speak(2)).is_applied());
        assert_eq!(world.epoch().protocol_version, if speaker == 13 || version == 1 && speaker == 12 { 2 } else { 1 }, "after {speaker}");
    }
    assert_eq!(world.epoch().epoch, Epoch(1));
}

#[test]
fn a_member_moves_by_its_operators_word_and_a_new_entry_is_newer() {
    let mut world = world();
    let epoch = world.epoch();
    let to = |seat, address: &str| ChainOperation::Move { seat: ValidatorId(seat), address: address.into() };
    assert_eq!(code(&send(&mut world, 11, &to(0, "/ip4/10.9.9.9/tcp/1"))), "not-its-operator");
    assert_eq!(code(&send(&mut world, 10, &to(0, "a\nb"))), "bad-address");
    assert!(send(&mut world, 12, &to(2, "/ip4/10.9.9.2/tcp/1")).is_applied());
    assert!(send(&mut world, 10, &to(0, "/ip4/10.9.9.9/tcp/1")).is_applied());
    assert!(send(&mut world, 10, &to(0, "/ip4/10.9.9.1/tcp/1")).is_applied());
    assert_eq!(
        governance::addresses(&world.state),
        [(ValidatorId(0), "/ip4/10.9.9.1/tcp/1".to_owned()), (ValidatorId(2), "/ip4/10.9.9.2/tcp/1".into())]
    );
    assert_eq!(world.epoch(), epoch, "no new epoch");
    assert!(send(&mut world, 12, &ChainOperation::Speak(2)).is_applied());
    decided(&mut world, Change::Power { seat: ValidatorId(2), power: VotingPower(2) });
    assert_eq!(governance::addresses(&world.state).len(), 2, "its entry is the same but for its power");
    decided(&mut world, Change::Remove { seat: ValidatorId(2), evidence: None });
    assert_eq!(governance::addresses(&world.state).len(), 1);
    assert!(governance::versions(&world.state).is_empty());
}
