//! Tests of what accounts hold of the state, and of the deposit for it.

use super::common::{NETWORK, NOW, World, address, code, kv, ok, transfer, tx};
use crate::{
    KvAction,
    KvSpace::{self, Own, Shared},
    Operation, Settings,
    account::{self, ACCOUNT_ENTRY_SIZE},
    keys::{KV_HOLDER, KV_OWN, KV_SHARED, holder_key},
};
use proptest::prelude::*;
use quorate_app::{InvalidBlock, Unexecuted, check_transaction};
use quorate_types::{
    ids::Address,
    state_key::{account_key, entry_size},
};

fn put(space: KvSpace, name: &[u8], len: usize) -> Operation {
    kv(space, name, KvAction::Put(vec![7; len]))
}

fn stored(world: &World, who: u8) -> u64 {
    account::account(&world.state, &address(who)).stored
}

/// Bytes that an account holds, recounted from the state.
fn recount(world: &World, who: u8) -> u64 {
    let address: Address = address(who);
    let holds = |key: &[u8]| match key.split_first() {
        Some((&KV_OWN, rest)) => rest.starts_with(address.0.as_bytes()),
        Some((&KV_SHARED, name)) => world.state.get(&*holder_key(name)).is_some_and(|holder| **holder == *address.0.as_bytes()),
        Some((&KV_HOLDER, _)) => world.state.get(key).is_some_and(|holder| **holder == *address.0.as_bytes()),
        _ => *key == account_key(&address),
    };
    world.state.iter().filter(|(key, _)| holds(key)).map(|(key, value)| entry_size(key, value)).sum()
}

/// The size of the state without what the chain itself keeps there.
fn of_accounts(world: &World) -> u64 {
    let of_chain = |key: &[u8]| key.first() == Some(&quorate_types::state_key::CHAIN);
    world.state.iter().filter(|(key, _)| !of_chain(key)).map(|(key, value)| entry_size(key, value)).sum()
}

#[test]
fn an_account_holds_its_record_its_keys_and_the_shared_keys_that_it_wrote_last() {
    let mut world = World::with(&[(1, 100), (2, 100)]);
    let record = ACCOUNT_ENTRY_SIZE;
    assert_eq!((stored(&world, 1), stored(&world, 3)), (record, 0));
    // 256 for each entry; its key has 33 bytes before the name (own), or 1 (shared).
    let own = |len: u64| 256 + 33 + 1 + len;
    let shared = |len: u64| (256 + 2 + len) + (256 + 2 + 32);
    for (who, operation, first, second) in [
        (1, put(Own, b"k", 10), record + own(10), record),
        (1, put(Own, b"k", 4), record + own(4), record),
        (1, kv(Own, b"k", KvAction::Append(vec![1; 6])), record + own(10), record),
        (1, kv(Own, b"k", KvAction::Slice { start: 1, end: 3 }), record + own(2), record),
        (1, put(Shared, b"k", 5), record + own(2) + shared(5), record),
        (1, kv(Own, b"k", KvAction::Delete), record + shared(5), record),
        (2, kv(Shared, b"k", KvAction::Append(vec![1; 2])), record, record + shared(7)),
        (1, kv(Shared, b"k", KvAction::Get), record, record + shared(7)),
        (1, kv(Shared, b"k", KvAction::Slice { start: 0, end: 0 }), record + shared(0), record),
        (2, kv(Shared, b"k", KvAction::Delete), record, record),
        (2, kv(Shared, b"k", KvAction::Delete), record, record),
    ] {
        assert!(world.send(who, &operation).is_applied(), "{operation:?}");
        assert_eq!((stored(&world, 1), stored(&world, 2)), (first, second), "{operation:?}");
        assert_eq!(stored(&world, 1) + stored(&world, 2), of_accounts(&world), "{operation:?}");
    }
}

#[test]
fn a_write_that_would_hold_more_than_the_quota_fails_and_what_shrinks_does_not() {
    let mut world = World::with(&[(1, 100), (2, 100)]);
    world.settings.account_bytes_max = ACCOUNT_ENTRY_SIZE + 256 + 33 + 1 + 10;
    assert_eq!(code(&world.send(1, &put(Own, b"k", 11))), "account-state-full");
    assert_eq!(world.send(1, &put(Own, b"k", 10)), ok());
    for operation in [put(Own, b"k", 11), put(Own, b"l", 0), put(Shared, b"s", 0), kv(Own, b"k", KvAction::Append(vec![1]))] {
        assert_eq!(code(&world.send(1, &operation)), "account-state-full", "{operation:?}");
    }
    assert_eq!(world.send(1, &put(Own, b"k", 9)), ok());
    assert_eq!(world.send(1, &kv(Own, b"k", KvAction::Delete)), ok());
    // Only an account that may hold a shared entry can take it over.
    world.settings = Settings::default();
    assert_eq!(world.send(2, &put(Shared, b"s", 500)), ok());
    world.settings.account_bytes_max = ACCOUNT_ENTRY_SIZE + 400;
    assert_eq!(code(&world.send(1, &kv(Shared, b"s", KvAction::Append(vec![])))), "account-state-full");
    assert_eq!((stored(&world, 1), recount(&world, 2)), (ACCOUNT_ENTRY_SIZE, stored(&world, 2)));
}

#[test]
fn a_deposit_stays_in_the_account_and_covers_all_that_it_holds() {
    let entry = 256 + 33 + 1 + 10;
    let (record, needed) = (3 * ACCOUNT_ENTRY_SIZE, 3 * (ACCOUNT_ENTRY_SIZE + entry));
    let mut world = World::with(&[(1, needed), (2, needed - 1)]);
    world.settings.deposit_per_byte = 3;
    assert_eq!(code(&world.send(2, &put(Own, b"k", 10))), "deposit-not-covered");
    assert_eq!(world.send(1, &put(Own, b"k", 10)), ok());
    assert_eq!(code(&world.send(1, &transfer(2, 1))), "deposit-locked");
    // Deleting frees the deposit, down to that of the record.
    assert_eq!(world.send(1, &kv(Own, b"k", KvAction::Delete)), ok());
    assert_eq!(code(&world.send(1, &transfer(2, needed - record + 1))), "deposit-locked");
    assert_eq!(world.send(1, &transfer(2, needed - record)), ok());
    assert_eq!(world.balance(1), record);
    assert_eq!(world.send(1, &transfer(1, record)), ok(), "to oneself nothing moves");
    // Too small an amount opens no account; an existing account takes any amount.
    assert_eq!(code(&world.send(2, &transfer(3, record - 1))), "below-deposit");
    assert_eq!(world.send(2, &transfer(3, record)), ok());
    assert_eq!(world.send(2, &transfer(3, 1)), ok());
}

#[test]
fn where_accounts_cost_a_deposit_none_begins_by_sending() {
    let mut world = World::with(&[(1, 1_000)]);
    world.settings.deposit_per_byte = 1;
    let first = tx(5, 0, &kv(Shared, b"k", KvAction::Get));
    assert!(matches!(world.execute(std::slice::from_ref(&first)), Err(Unexecuted::Invalid(InvalidBlock::NoAccount { .. }))));
    let check = |world: &World| {
        check_transaction(&world.machine(), &world.state, world.machine().first_epoch(), NETWORK, NOW, &first)
            .map_err(|error| error.code().into_owned())
    };
    assert_eq!(check(&world), Err("no-account".into()));
    // An account may send in the block that opens it.
    assert!(world.execute(&[tx(1, 0, &transfer(5, 400)), first.clone()]).is_ok());
    assert_eq!(world.send(1, &transfer(5, 400)), ok());
    assert_eq!(check(&world), Ok(()));
    assert!(world.execute(std::slice::from_ref(&first)).is_ok());
    let locked = tx(5, 0, &transfer(1, 400));
    assert_eq!(
        check_transaction(&world.machine(), &world.state, world.machine().first_epoch(), NETWORK, NOW, &locked)
            .map_err(|error| error.code().into_owned()),
        Err("deposit-locked".into())
    );
}

#[test]
fn deposits_beyond_all_money_are_no_overflow() {
    let settings = Settings { deposit_per_byte: u32::MAX, ..Settings::default() };
    assert_eq!(settings.deposit(u64::MAX), u64::MAX);
    let mut world = World::with(&[(1, u64::MAX)]);
    world.settings = settings;
    assert_eq!(world.send(1, &put(Own, b"k", 10)), ok());
    assert_eq!(world.send(1, &transfer(2, u64::MAX / 2)), ok());
}

#[derive(Clone, Debug)]
struct Act {
    who: u8,
    operation: Operation,
}

fn act() -> impl Strategy<Value = Act> {
    let value = || prop::collection::vec(any::<u8>(), 0..40);
    let action = prop_oneof![
        3 => value().prop_map(KvAction::Put),
        2 => value().prop_map(KvAction::Append),
        2 => (0..12u32, 0..12u32).prop_map(|(start, end)| KvAction::Slice { start, end }),
        2 => Just(KvAction::Delete),
        1 => Just(KvAction::Get),
    ];
    let entry = (prop_oneof![Just(Own), Just(Shared)], 0..3u8, action).prop_map(|(space, name, action)| kv(space, &[name], action));
    let money = (1..5u8, 0..3_000u64).prop_map(|(to, amount)| transfer(to, amount));
    (1..5u8, prop_oneof![5 => entry, 1 => money]).prop_map(|(who, operation)| Act { who, operation })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// STATE-1: after any writes, failures, takeovers and deletions, each account's count is what a recount of the state gives, the counts
    /// add up to the size of the state, no count exceeds the quota, and every balance covers its deposit.
    #[test]
    fn counts_are_what_a_recount_gives(
        deposit_per_byte in 0..3u32,
        account_bytes_max in prop_oneof![Just(1u64 << 20), 900..2_000u64],
        blocks in prop::collection::vec(prop::collection::vec(act(), 0..10), 1..8),
    ) {
        let mut world = World::with(&[(1, 2_000), (2, 4_000), (3, 700)]);
        world.settings = Settings { account_bytes_max, deposit_per_byte, ..Settings::default() };
        for acts in blocks {
            let mut payload = Vec::new();
            let mut counts = [0u64; 5];
            for Act { who, operation } in acts {
                // Account 4 exists only once a transfer to it has come.
                if deposit_per_byte > 0 && account::find(&world.state, &address(who)).is_none() {
                    continue;
                }
                payload.push(tx(who, world.sequence(who) + counts[usize::from(who)], &operation));
                counts[usize::from(who)] += 1;
            }
            world.block(&payload);
            for who in 1..5u8 {
                prop_assert_eq!(stored(&world, who), recount(&world, who), "account {}", who);
                prop_assert!(stored(&world, who) <= account_bytes_max);
                prop_assert!(world.balance(who) >= world.settings.deposit(stored(&world, who)));
            }
            prop_assert_eq!((1..5u8).map(|who| stored(&world, who)).sum::<u64>(), of_accounts(&world));
        }
    }
}
