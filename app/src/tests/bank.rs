//! The rules of the bank.

use super::common::{World, address, code, genesis, ok, transfer, tx};
use crate::{AppError, BuiltIn, accounts, genesis_state};
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
    let record = quorate_types::state_key::Account { balance: u64::MAX, ..Default::default() };
    world.state.insert(account_key(&address(2)), record.encode().into());
    assert_eq!(code(&world.send(1, &transfer(2, 1))), "balance-overflow");
    assert_eq!((world.balance(1), world.balance(2)), (10, u64::MAX));
}

#[test]
fn a_receiver_comes_into_being_with_its_first_transfer() {
    let mut world = World::with(&[(1, 10)]);
    assert!(accounts::find(&world.state, &address(9)).is_none());
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
fn genesis_refuses_an_account_twice_and_too_much_money() {
    let refused = |balances: &[(u8, u64)]| genesis_state(&BuiltIn, &genesis(balances)).unwrap_err();
    assert_eq!(refused(&[(1, 1), (1, 1)]), AppError::DuplicateAccount(address(1)));
    assert_eq!(refused(&[(1, u64::MAX), (2, 1)]), AppError::SupplyOverflow);
}
