//! Who may send, who may say so, and what one account may have of a block.

use std::collections::BTreeMap;

use proptest::prelude::*;
use quorate_types::{
    genesis::{Genesis, Parameters},
    governance::{ChainOperation, Change},
    ids::{Address, ValidatorId},
    permission::{Access, Permission, PermissionChange, Role},
    receipt::Outcome,
    round::Sequence,
    transaction::Transaction,
};

use super::{
    common::{LATER, NETWORK, NOW, ScriptSettings, Step, World, address, code, genesis, key, put, tx},
    governance::{approve, founded, propose},
};
use crate::{InvalidBlock, Unexecuted, check_transaction, permissions};

/// Accounts of the tests: one may send, one may grant, the others may nothing.
const SENDER: u8 = 1;
const ADMIN: u8 = 2;
const STRANGER: u8 = 3;

fn permissioned() -> Genesis {
    let (send, grant) = (Permission { send: true, ..Permission::default() }, Permission { grant: true, ..Permission::default() });
    Genesis {
        parameters: Parameters { access: Access::Permissioned, ..Parameters::default() },
        permissions: BTreeMap::from([(address(SENDER), send), (address(ADMIN), grant)]),
        ..founded(&genesis(&ScriptSettings::default()))
    }
}

pub(super) fn chain(world: &World, who: u8, operation: &ChainOperation) -> Transaction {
    Transaction::sign_chain(NETWORK, &key(who), Sequence(world.sequence(who)), LATER, operation)
}

fn permit(world: &World, by: u8, who: u8, change: PermissionChange) -> Transaction {
    chain(world, by, &ChainOperation::Permit { account: address(who), change })
}

fn some(world: &World, who: u8) -> Transaction {
    tx(who, world.sequence(who), &[Step::Answer(1)])
}

/// The code with which a block of this transaction is invalid; `None` if it is valid.
fn invalid(world: &World, tx: Transaction) -> Option<String> {
    match world.execute(&[tx]) {
        Ok(_) => None,
        Err(Unexecuted::Invalid(InvalidBlock::NotPermitted { failure, .. })) => Some(failure.code().into()),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_block_with_a_transaction_of_an_account_that_may_not_send_is_invalid() {
    let mut world = World::of(&permissioned());
    let says = |world: &World, who| {
        let pool = check_transaction(&world.machine, &world.state, &world.epoch(), NETWORK, NOW, &some(world, who));
        let (block, pool) = (invalid(world, some(world, who)), pool.err().map(|rejected| rejected.code().into_owned()));
        assert_eq!(block, pool, "the pool refuses what no block may hold");
        block
    };
    assert_eq!([SENDER, ADMIN, STRANGER].map(|who| says(&world, who)), [None, None, Some("not-permitted".into())]);
    for who in [SENDER, STRANGER] {
        world.block(&[permit(&world, ADMIN, who, PermissionChange::Freeze)]);
        assert_eq!(says(&world, who).as_deref(), Some("account-frozen"));
        world.block(&[permit(&world, ADMIN, who, PermissionChange::Unfreeze)]);
    }
    world.block(&[permit(&world, ADMIN, STRANGER, PermissionChange::Grant(Role::Send))]);
    assert_eq!(says(&world, STRANGER), None);
    // What the chain refuses at the sender's expense, it would have to execute: it is not in a block either.
    world.block(&[permit(&world, ADMIN, STRANGER, PermissionChange::Revoke(Role::Send))]);
    assert_eq!(invalid(&world, permit(&world, STRANGER, STRANGER, PermissionChange::Grant(Role::Send))).as_deref(), Some("not-permitted"));
}

#[test]
fn on_an_open_chain_everybody_may_send_but_the_frozen() {
    let mut world = World::of(&Genesis { parameters: Parameters::default(), ..permissioned() });
    assert_eq!(invalid(&world, some(&world, STRANGER)), None);
    world.block(&[permit(&world, ADMIN, STRANGER, PermissionChange::Freeze)]);
    assert_eq!(invalid(&world, some(&world, STRANGER)).as_deref(), Some("account-frozen"));
}

/// A leader chooses transactions by the state before the block, so nothing in the block may decide whether it is valid.
#[test]
fn what_a_block_grants_or_takes_counts_from_the_next_block() {
    let mut world = World::of(&permissioned());
    let grant = permit(&world, ADMIN, STRANGER, PermissionChange::Grant(Role::Send));
    assert!(world.execute(&[grant.clone(), some(&world, STRANGER)]).is_err());
    world.block(&[grant]);
    assert!(world.execute(&[some(&world, STRANGER)]).is_ok());
    let revoke = permit(&world, ADMIN, STRANGER, PermissionChange::Revoke(Role::Send));
    let outcomes = world.block(&[revoke, some(&world, STRANGER)]);
    assert!(outcomes.iter().all(Outcome::is_applied), "{outcomes:?}");
    assert!(world.execute(&[some(&world, STRANGER)]).is_err());
}

#[test]
fn only_the_role_to_grant_grants_and_only_the_authority_gives_that_role() {
    let mut world = World::of(&permissioned());
    let mut says = |by: u8, who: u8, change| {
        let tx = permit(&world, by, who, change);
        code(&world.block(&[tx])[0]).to_owned()
    };
    assert_eq!(says(SENDER, STRANGER, PermissionChange::Grant(Role::Send)), "not-an-operator");
    assert_eq!(says(ADMIN, STRANGER, PermissionChange::Grant(Role::Grant)), "needs-authority");
    assert_eq!(says(ADMIN, ADMIN, PermissionChange::Revoke(Role::Grant)), "needs-authority");
    assert_eq!(says(ADMIN, ADMIN, PermissionChange::LimitState(9)), "needs-authority");
    assert_eq!(says(ADMIN, SENDER, PermissionChange::Grant(Role::Send)), "no-change");
    assert_eq!(says(ADMIN, STRANGER, PermissionChange::Grant(Role::Send)), "applied");
    // Operators decide together, not alone.
    assert_eq!(says(10, STRANGER, PermissionChange::Revoke(Role::Send)), "may-not-grant");
    let change = Change::Permit { account: address(STRANGER), change: PermissionChange::Grant(Role::Grant) };
    let epoch = world.epoch();
    let id = propose(&mut world, 10, change);
    approve(&mut world, 11, id);
    assert!(!permissions::of(&world.state, &address(STRANGER)).grant);
    approve(&mut world, 12, id);
    assert!(permissions::of(&world.state, &address(STRANGER)).grant, "three of four are a quorum");
    assert_eq!(world.epoch(), epoch, "a permission begins no epoch");
}

#[test]
fn whoever_governs_the_chain_can_always_send() {
    let mut world = World::of(&permissioned());
    assert_eq!(invalid(&world, some(&world, 10)), None, "without any role");
    world.block(&[permit(&world, ADMIN, 10, PermissionChange::Freeze)]);
    assert_eq!(invalid(&world, some(&world, 10)), None);
    let remove = Change::Remove { seat: ValidatorId(0), evidence: None };
    let id = propose(&mut world, 11, remove);
    approve(&mut world, 12, id);
    approve(&mut world, 13, id);
    assert_eq!(invalid(&world, some(&world, 10)).as_deref(), Some("account-frozen"), "it speaks for nobody now");
}

#[test]
fn an_account_that_the_application_does_not_let_come_into_being_gets_no_permission() {
    let closed = ScriptSettings { closed: true, ..ScriptSettings::default() };
    let settings = genesis(&closed).application;
    let genesis = Genesis { permissions: BTreeMap::new(), application: settings.clone(), ..permissioned() };
    World::of(&genesis);
    let with = Genesis { application: settings, ..permissioned() };
    let error = crate::App::new(super::common::Script).open(&with).unwrap().genesis_state().unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}

#[test]
fn an_account_has_no_more_of_a_block_than_its_share() {
    let parameters = Parameters { block_transactions_max: 4, account_block_percent: 50, ..Parameters::default() };
    let mut world = World::of(&Genesis { parameters, ..permissioned() });
    let many = |world: &World, who, count| (0..count).map(|n| tx(who, world.sequence(who) + n, &[Step::Answer(1)])).collect::<Vec<_>>();
    assert!(world.execute(&[many(&world, SENDER, 2), many(&world, STRANGER, 2)].concat()).is_ok());
    let error = world.execute(&many(&world, SENDER, 3)).unwrap_err();
    assert!(matches!(error, Unexecuted::Invalid(InvalidBlock::TooMany { max: 2, .. })), "{error}");
    world.block(&[permit(&world, ADMIN, SENDER, PermissionChange::LimitTransactions(3))]);
    assert!(world.execute(&many(&world, SENDER, 3)).is_ok() && world.execute(&many(&world, SENDER, 4)).is_err());
}

#[test]
fn what_an_account_writes_and_answers_beyond_its_share_fails_and_leaves_room_for_others() {
    let mut parameters = Parameters { account_block_percent: 25, ..Parameters::default() };
    parameters.state.block_effect_bytes_max = 1 << 20;
    let mut world = World::of(&Genesis { parameters, ..permissioned() });
    let big = |who: u8, n: u64| tx(who, n, &[put(&[who, u8::try_from(n).unwrap()], &vec![7; 30_000]), Step::Answer(4_000)]);
    // Forty would fill the block, if those that fail ran.
    let payload: Vec<_> = (0..40).map(|n| big(SENDER, n)).chain([big(STRANGER, 0)]).collect();
    let codes: Vec<_> = world.block(&payload).iter().map(|outcome| code(outcome).to_owned()).collect();
    assert_eq!(codes[..7], ["applied"; 7].map(str::to_owned), "seven times 34,000 bytes are below a quarter of 1 MiB");
    assert!(codes[7..40].iter().all(|code| code == "account-block-full"), "{codes:?}");
    assert_eq!(codes[40], "applied");
}

/// A granter could otherwise fill the state with accounts that nobody deletes.
#[test]
fn a_full_state_takes_no_new_accounts_from_who_may_grant() {
    let mut world = World::of(&permissioned());
    let mut epoch = world.epoch();
    epoch.parameters.state.bytes_max = 1;
    let tx = permit(&world, ADMIN, STRANGER, PermissionChange::Grant(Role::Send));
    let execute = |world: &World, tx| crate::execute_block(&world.machine, &world.state, &super::common::context(), &epoch, &[tx]).unwrap();
    assert_eq!(code(&execute(&world, tx.clone()).receipts[0].outcome), "state-full");
    world.block(&[tx]);
    let tx = permit(&world, ADMIN, STRANGER, PermissionChange::Freeze);
    assert!(execute(&world, tx).receipts[0].outcome.is_applied(), "of an account that exists");
}

#[test]
fn those_with_a_permission_of_their_own_are_listed_page_by_page() {
    let mut world = World::of(&permissioned());
    for who in 20..27 {
        world.block(&[permit(&world, ADMIN, who, PermissionChange::LimitState(5))]);
    }
    world.block(&[permit(&world, ADMIN, 23, PermissionChange::LimitState(0))]);
    let mut expected: Vec<Address> = [SENDER, ADMIN, 20, 21, 22, 24, 25, 26].map(address).to_vec();
    expected.sort_unstable();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = permissions::listed(&world.state, after.as_ref(), 3);
        let Some(last) = page.last() else { break };
        after = Some(*last);
        listed.extend(page);
    }
    assert_eq!(listed, expected);
}

fn change() -> impl Strategy<Value = PermissionChange> {
    let role = prop_oneof![Just(Role::Send), Just(Role::Grant)];
    prop_oneof![
        role.clone().prop_map(PermissionChange::Grant),
        role.prop_map(PermissionChange::Revoke),
        Just(PermissionChange::Freeze),
        Just(PermissionChange::Unfreeze),
        (0..3u16).prop_map(PermissionChange::LimitTransactions),
        (0..3u64).prop_map(PermissionChange::LimitState),
    ]
}

proptest! {
    /// A model with sets of names in the place of records.
    #[test]
    fn permissions_are_what_those_who_may_grant_have_made_them(steps in prop::collection::vec((1..6u8, 1..6u8, change()), 1..40)) {
        let mut world = World::of(&permissioned());
        let mut model: BTreeMap<u8, Permission> = BTreeMap::from([
            (SENDER, Permission { send: true, ..Permission::default() }),
            (ADMIN, Permission { grant: true, ..Permission::default() }),
        ]);
        for (by, who, change) in steps {
            let (of_sender, of_other) = (model.get(&by).copied().unwrap_or_default(), model.get(&who).copied().unwrap_or_default());
            let tx = permit(&world, by, who, change);
            let may_send = !of_sender.frozen && (of_sender.send || of_sender.grant);
            prop_assert_eq!(world.execute(std::slice::from_ref(&tx)).is_ok(), may_send);
            if !may_send {
                continue;
            }
            let concerns_granting = of_other.grant || change == PermissionChange::Grant(Role::Grant);
            let takes_effect = of_sender.grant && !concerns_granting && change.after(of_other) != of_other;
            prop_assert_eq!(world.block(&[tx])[0].is_applied(), takes_effect);
            if takes_effect {
                model.insert(who, change.after(of_other));
            }
            for who in 1..6 {
                prop_assert_eq!(permissions::of(&world.state, &address(who)), model.get(&who).copied().unwrap_or_default());
            }
        }
    }
}
