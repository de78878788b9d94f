//! Tests of the bank.

use super::common::{World, address, code, genesis, ok, settings, transfer, tx};
use crate::{Account, Settings, account, app};
use quorate_types::state_key::account_key;

#[test]
fn transfers_follow_the_table() {
    // (balance of 1, balance of 2), transfer to, amount -> outcome, (balance of 1, balance of 2)
    let table = [
        ((10, 5), 2, 4, "applied", (6, 9)),
        ((10, 5), 2, 10, "applied", (0, 15)),
        ((10, 5), 2, 11, "insufficient-funds", (10, 5)),
        ((10, 5), 2, 0, "zero-amount", (10, 5)),
        ((10, 5), 2, u64::MAX, "insufficient-funds", (10, 5)),
        ((10, 5), 1, 10, "applied", (10, 5)),
        ((10, 5), 1, 11, "insufficient-funds", (10, 5)),
        ((10, 5), 1, 0, "zero-amount", (10, 5)),
        ((0, 5), 2, 1, "insufficient-funds", (0, 5)),
        ((u64::MAX, 0), 2, u64::MAX, "applied", (0, u64::MAX)),
    ];
    for (before, to, amount, outcome, after) in table {
        let mut world = World::with(&[(1, before.0), (2, before.1)]);
        let got = world.send(1, &transfer(to, amount));
        assert_eq!(code(&got), outcome, "{amount} to {to}");
        assert_eq!((world.balance(1), world.balance(2)), after, "{amount} to {to}");
        assert_eq!(world.sequence(1), 1, "the number is consumed either way");
    }
}

#[test]
fn a_balance_never_overflows_even_if_the_state_holds_more_than_the_supply() {
    let mut world = World::with(&[(1, 10), (2, 0)]);
    let account = Account { balance: u64::MAX, ..Account::default() };
    world.state.insert(account_key(&address(2)).into(), account.record().into_value());
    assert_eq!(code(&world.send(1, &transfer(2, 1))), "balance-overflow");
    assert_eq!((world.balance(1), world.balance(2)), (10, u64::MAX));
}

#[test]
fn a_receiver_comes_into_being_with_its_first_transfer() {
    let mut world = World::with(&[(1, 10)]);
    assert!(account::find(&world.state, &address(9)).is_none());
    assert_eq!(world.send(1, &transfer(9, 3)), ok());
    assert_eq!(world.balance(9), 3);
    assert_eq!(world.send(9, &transfer(1, 3)), ok());
    assert_eq!((world.balance(1), world.balance(9)), (10, 0));
}

#[test]
fn a_transfer_can_spend_what_an_earlier_one_of_the_block_brought() {
    let mut world = World::with(&[(1, 10)]);
    let outcomes = world.block(&[tx(1, 0, &transfer(2, 10)), tx(2, 0, &transfer(3, 10)), tx(3, 0, &transfer(1, 10))]);
    assert_eq!(outcomes, [ok(), ok(), ok()]);
    assert_eq!(world.balance(1), 10);
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_fix() {
    let refused = |settings: &Settings| app().open(&genesis(settings)).unwrap_err().to_string();
    let unsorted = {
        let mut settings = settings(&[(1, 1), (2, 1)]);
        settings.accounts.reverse();
        settings
    };
    let table = [
        (settings(&[(1, 1), (1, 1)]), "appears twice; keep one"),
        (unsorted, "must be sorted"),
        (settings(&[(1, u64::MAX), (2, 1)]), "2^64 or more; lower them"),
        (
            Settings { deposit_per_byte: 3, ..settings(&[(1, 3 * 326 - 1)]) },
            "the deposit for its record is 939; give it at least that much",
        ),
        (Settings { account_bytes_max: 325, ..Settings::default() }, "account_bytes_max must lie in 326..="),
        (Settings { account_bytes_max: (4 << 30) + 1, ..Settings::default() }, "account_bytes_max must lie in 326..="),
    ];
    for (settings, reason) in table {
        let error = refused(&settings);
        assert!(error.contains(reason), "{error}");
    }
    for good in [settings(&[(1, u64::MAX), (2, 0)]), Settings { deposit_per_byte: 3, ..settings(&[(1, 3 * 326)]) }] {
        assert!(app().open(&genesis(&good)).is_ok());
    }
}

#[test]
fn paths_of_the_api_name_keys_of_the_state() {
    let app = app();
    let owner = address(1).to_string();
    let key = |path: &[&str]| app.locate(path).map_err(|error| error.to_string());
    assert_eq!(key(&["accounts", &owner]), Ok(account_key(&address(1)).to_vec()));
    assert_eq!(key(&["kv", "shared", "6b"]), Ok(b"sk".to_vec()));
    assert_eq!(key(&["kv", "shared", ""]), Ok(b"s".to_vec()));
    assert_eq!(key(&["kv", "own", &owner, "0x6bff"]), Ok([b"k", address(1).0.as_bytes().as_slice(), b"k\xff"].concat()));
    for path in [&["kv", "shared", "6"][..], &["kv", "shared", "xy"], &["kv", "shared", "+6"], &["kv", "own", "0x12", "6b"], &["colours"]] {
        assert!(key(path).is_err(), "{path:?}");
    }
    let long = "00".repeat(257);
    assert!(key(&["kv", "shared", &long]).unwrap_err().contains("256"));
}
