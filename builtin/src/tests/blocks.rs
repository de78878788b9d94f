//! Tests of the bank and the key-value store together: failures, the pool's checks, and that money and effects count once.

use super::common::{LATER, NETWORK, NOW, World, address, code, key, kv, ok, transfer, tx};
use crate::{Answer, KvAction, KvOperation, KvSpace, Operation, explain, operation::KV_VALUE_BYTES_MAX};
use proptest::prelude::*;
use quorate_app::check_transaction;
use quorate_types::{
    failure::Failure,
    genesis::StateLimits,
    receipt::Outcome,
    round::Sequence,
    transaction::{PAYLOAD_BYTES_MAX, Transaction},
};

#[test]
fn an_account_without_a_record_may_send() {
    let mut world = World::with(&[]);
    assert_eq!(world.send(5, &kv(KvSpace::Shared, b"k", KvAction::Put(b"v".to_vec()))), ok());
    assert_eq!((world.balance(5), world.sequence(5)), (0, 1));
}

#[test]
fn small_transactions_cannot_make_a_block_write_or_answer_more_than_its_limit() {
    let mut world = World::with(&[]);
    world.send(1, &kv(KvSpace::Shared, b"big", KvAction::Put(vec![7; KV_VALUE_BYTES_MAX])));
    let most = u64::from(StateLimits::default().block_effect_bytes_max);
    let fits = most / KV_VALUE_BYTES_MAX as u64;

    for action in [KvAction::Get, KvAction::Slice { start: 0, end: u32::try_from(KV_VALUE_BYTES_MAX).unwrap() }, KvAction::Append(vec![])] {
        let payload: Vec<_> = (0..2 * fits).map(|i| tx(1, i + 1, &kv(KvSpace::Shared, b"big", action.clone()))).collect();
        let receipts = world.execute(&payload).unwrap().receipts;
        let full = receipts.iter().position(|receipt| !receipt.outcome.is_applied()).unwrap();
        assert_eq!(code(&receipts[full].outcome), "block-full", "{action:?}");
        let answers: u64 = receipts.iter().map(|receipt| if let Outcome::Applied(a) = &receipt.outcome { a.len() as u64 } else { 0 }).sum();
        assert!(answers <= most, "{action:?}: {answers}");
        assert!(full as u64 >= fits / 2 - 1, "{action:?}: only {full}");
    }
    // A block of ordinary operations is far below the limit.
    let payload: Vec<_> = (0..2_000).map(|i| tx(1, i + 1, &transfer(2, 1))).collect();
    assert!(world.execute(&payload).unwrap().receipts.iter().all(|receipt| code(&receipt.outcome) == "insufficient-funds"));
}

#[test]
fn the_pool_is_told_what_cannot_succeed() {
    let mut world = World::with(&[(1, 10)]);
    world.send(1, &transfer(2, 1));
    let machine = world.machine();
    let check = |tx: &Transaction| {
        check_transaction(&machine, &world.state, machine.first_epoch(), NETWORK, NOW, tx).map_err(|error| error.code().into_owned())
    };
    assert_eq!(check(&tx(1, 1, &transfer(2, 9))), Ok(()));
    assert_eq!(check(&tx(3, 0, &kv(KvSpace::Own, b"k", KvAction::Get))), Ok(()));
    assert_eq!(check(&tx(1, 1, &transfer(2, 10))).unwrap_err(), "insufficient-funds");
    assert_eq!(check(&tx(1, 1, &transfer(2, 0))).unwrap_err(), "zero-amount");
    assert_eq!(check(&tx(1, 1, &kv(KvSpace::Own, &[0; 257], KvAction::Get))).unwrap_err(), "key-too-large");
    assert_eq!(check(&malformed(1)).unwrap_err(), "malformed-operation");
}

/// Votes certify receipts, so each failure is written down here byte for byte. Rewording a sentence changes nothing here; putting one into a
/// receipt does.
#[test]
fn every_failure_is_a_word_and_numbers() {
    let own = |key: &[u8], action| kv(KvSpace::Own, key, action);
    let mut world = World::with(&[(1, 10), (2, 5)]);
    world.send(1, &own(b"k", KvAction::Put(b"value".to_vec())));
    let failures: [(Operation, &str, &[u64]); 7] = [
        (transfer(2, 0), "zero-amount", &[]),
        (transfer(2, 11), "insufficient-funds", &[10, 11]),
        (own(&[0; 257], KvAction::Get), "key-too-large", &[257, 256]),
        (own(b"k", KvAction::Put(vec![0; 16_385])), "value-too-large", &[16_385, 16_384]),
        (own(b"none", KvAction::Append(vec![1])), "missing-key", &[]),
        (own(b"none", KvAction::Slice { start: 0, end: 0 }), "missing-key", &[]),
        (own(b"k", KvAction::Slice { start: 2, end: 9 }), "bad-range", &[2, 9, 5]),
    ];
    let mut outcomes: Vec<(Outcome, &str, &[u64])> =
        failures.into_iter().map(|(operation, code, numbers)| (world.send(1, &operation), code, numbers)).collect();
    let sequence = world.sequence(1);
    outcomes.push((world.block(&[malformed(sequence)]).remove(0), "malformed-operation", &[]));
    for (outcome, code, numbers) in outcomes {
        // The outcome's variant, the code with its length, the numbers with their count.
        let mut expected = vec![1, u8::try_from(code.len()).unwrap()];
        expected.extend_from_slice(code.as_bytes());
        expected.push(u8::try_from(numbers.len()).unwrap());
        expected.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        assert_eq!(quorate_types::codec::encode(&outcome), expected, "{outcome:?}");
    }
}

/// Every failure of this application has a sentence; failures of other applications have none.
#[test]
fn every_failure_is_explained() {
    let failure = |code: &str, numbers: &[u64]| -> Failure {
        let encoded = quorate_types::codec::encode(&(code, numbers));
        quorate_types::codec::decode(&encoded, 100).unwrap()
    };
    let table: [(&str, &[u64]); 12] = [
        ("zero-amount", &[]),
        ("insufficient-funds", &[1, 2]),
        ("balance-overflow", &[]),
        ("account-state-full", &[1, 2]),
        ("deposit-not-covered", &[1, 2]),
        ("deposit-locked", &[1, 2]),
        ("below-deposit", &[1, 2]),
        ("no-account", &[1]),
        ("key-too-large", &[1, 2]),
        ("value-too-large", &[1, 2]),
        ("missing-key", &[]),
        ("bad-range", &[1, 2, 3]),
    ];
    for (code, numbers) in table {
        let text = explain(&failure(code, numbers)).unwrap();
        assert!(numbers.iter().all(|number| text.contains(&number.to_string())), "{code}: {text}");
    }
    assert_eq!(explain(&failure("somebody-elses", &[])), None);
}

/// A transaction whose payload is a valid operation with one byte too many.
fn malformed(sequence: u64) -> Transaction {
    let mut payload = transfer(2, 1).encode();
    payload.push(0);
    Transaction::sign(NETWORK, &key(1), Sequence(sequence), LATER, payload)
}

#[test]
fn operations_that_are_not_canonical_are_no_operations() {
    for bytes in [&[][..], &[2], &[0x80, 0], &[1], &[1, 2, 0, 0], &[1, 0, 0, 5], &[0, 1]] {
        assert!(Operation::decode(bytes).is_err(), "{bytes:?}");
    }
    assert!(Operation::decode(&vec![0; PAYLOAD_BYTES_MAX + 1]).is_err());
}

#[test]
fn operations_and_answers_have_golden_bytes() {
    let own = |action| Operation::Kv(KvOperation { space: KvSpace::Own, key: b"key".to_vec(), action });
    for (bytes, operation) in [
        ([&[0, 0][..], address(9).0.as_bytes(), &[8, 7, 6, 5, 4, 3, 2, 1]].concat(), transfer(9, 0x0102_0304_0506_0708)),
        (b"\x01\x00\x03key\x00\x05value".to_vec(), own(KvAction::Put(b"value".to_vec()))),
        (b"\x01\x01\x03key\x01".to_vec(), kv(KvSpace::Shared, b"key", KvAction::Get)),
        (b"\x01\x00\x03key\x02\x04more".to_vec(), own(KvAction::Append(b"more".to_vec()))),
        (b"\x01\x00\x03key\x03\x01\x00\x00\x00\x04\x03\x02\x01".to_vec(), own(KvAction::Slice { start: 1, end: 0x0102_0304 })),
        (b"\x01\x01\x03key\x04".to_vec(), kv(KvSpace::Shared, b"key", KvAction::Delete)),
    ] {
        assert_eq!(operation.encode(), bytes, "{operation:?}");
        assert_eq!(Operation::decode(&bytes), Ok(operation));
    }
    assert_eq!((Answer::Done.encode(), Answer::Value(b"v".to_vec()).encode()), (vec![0], b"\x01\x01v".to_vec()));
    assert_eq!(Answer::decode(b"\x01\x01v"), Ok(Answer::Value(b"v".to_vec())));
}

#[test]
fn operations_and_answers_are_readable_json() {
    for (json, operation) in [
        (format!(r#"{{"Bank":{{"Transfer":{{"to":"{}","amount":"5"}}}}}}"#, address(9)), transfer(9, 5)),
        (r#"{"Kv":{"space":"Own","key":"6b","action":{"Put":"76"}}}"#.into(), kv(KvSpace::Own, b"k", KvAction::Put(b"v".to_vec()))),
    ] {
        assert_eq!(serde_json::to_string(&operation).unwrap(), json);
        assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), operation);
    }
    assert_eq!(serde_json::to_string(&Answer::Value(b"v".to_vec())).unwrap(), r#"{"Value":"76"}"#);
}

#[test]
fn a_payload_that_is_no_operation_fails_and_consumes_its_number() {
    let mut world = World::with(&[(1, 10)]);
    assert_eq!(code(&world.block(&[malformed(0)])[0]), "malformed-operation");
    assert_eq!((world.balance(1), world.sequence(1)), (10, 1));
}

#[test]
fn the_genesis_state_is_the_accounts() {
    let world = World::with(&[(1, 10), (2, 0)]);
    assert_eq!(world.state.len(), 3, "and the epoch state");
    assert_eq!((world.balance(1), world.balance(2)), (10, 0));
}

#[derive(Clone, Debug)]
enum Act {
    Transfer {
        from: u8,
        to: u8,
        amount: u64,
    },
    Kv {
        from: u8,
        action: KvAction,
    },
    /// Repeats an earlier transaction.
    Replay(prop::sample::Index),
}

fn act() -> impl Strategy<Value = Act> {
    let amount = prop_oneof![0..20u64, Just(u64::MAX), any::<u64>()];
    let action = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4).prop_map(KvAction::Put),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(KvAction::Append),
        (0..6u32, 0..6u32).prop_map(|(start, end)| KvAction::Slice { start, end }),
        Just(KvAction::Get),
        Just(KvAction::Delete),
    ];
    prop_oneof![
        6 => (1..6u8, 1..6u8, amount).prop_map(|(from, to, amount)| Act::Transfer { from, to, amount }),
        3 => (1..6u8, action).prop_map(|(from, action)| Act::Kv { from, action }),
        2 => any::<prop::sample::Index>().prop_map(Act::Replay),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// EXEC-2: whatever is sent, the supply stays, every transfer counts once, and no earlier transaction is valid again. The model is a
    /// plain list of balances that knows nothing of records, overlays and failure codes.
    #[test]
    fn random_blocks_keep_the_supply_and_execute_everything_exactly_once(blocks in prop::collection::vec(prop::collection::vec(act(), 0..8), 1..8)) {
        let mut world = World::with(&[(1, 30), (2, 5), (3, u64::MAX - 35)]);
        let mut model = [0u64, 30, 5, u64::MAX - 35, 0, 0];
        let mut counts = [0u64; 6];
        let mut sent: Vec<Transaction> = Vec::new();
        for acts in blocks {
            let mut payload = Vec::new();
            let mut expected = Vec::new();
            for act in acts {
                match act {
                    Act::Transfer { from, to, amount } => {
                        payload.push(tx(from, counts[usize::from(from)], &transfer(to, amount)));
                        counts[usize::from(from)] += 1;
                        let applies = amount > 0 && model[usize::from(from)] >= amount;
                        if applies {
                            model[usize::from(from)] -= amount;
                            model[usize::from(to)] += amount;
                        }
                        expected.push(Some(applies));
                    }
                    Act::Kv { from, action } => {
                        payload.push(tx(from, counts[usize::from(from)], &kv(KvSpace::Shared, b"k", action)));
                        counts[usize::from(from)] += 1;
                        expected.push(None);
                    }
                    Act::Replay(which) => {
                        if !sent.is_empty() {
                            let again = [payload.clone(), vec![which.get(&sent).clone()]].concat();
                            prop_assert!(world.execute(&again).is_err());
                        }
                    }
                }
            }
            // EXEC-1: the same block on the same state has the same result.
            prop_assert_eq!(world.execute(&payload), world.execute(&payload));
            let outcomes = world.block(&payload);
            for (outcome, expected) in outcomes.iter().zip(expected) {
                if let Some(applies) = expected {
                    prop_assert_eq!(outcome.is_applied(), applies);
                }
            }
            sent.extend(payload);
            for who in 1..6u8 {
                prop_assert_eq!(world.balance(who), model[usize::from(who)]);
                prop_assert_eq!(world.sequence(who), counts[usize::from(who)]);
            }
            let supply = (1..6u8).fold(0u64, |sum, who| sum.checked_add(world.balance(who)).unwrap());
            prop_assert_eq!(supply, u64::MAX);
        }
    }
}
