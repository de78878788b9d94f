//! The rules that every application shares: which blocks are valid, what a failed transaction leaves behind, and that execution is a function.

use std::sync::Arc;

use super::common::{LATER, Map, NETWORK, NOW, World, address, code, context, genesis, key, kv, ok, transfer, tx};
use crate::{
    AppError, Application, BLOCK_EFFECT_BYTES_MAX, BlockContext, BuiltIn, InvalidBlock, Overlay, STATE_SIZE_MAX, StateRead, accounts,
    check_transaction, execute_block,
};
use proptest::prelude::*;
use quorate_types::{
    crypto::Hash,
    failure::{Code, Failure},
    genesis::Genesis,
    ids::GenesisHash,
    operation::{KV_VALUE_BYTES_MAX, KvAction, KvSpace, Operation},
    receipt::Outcome,
    round::{Sequence, UnixMillis},
    state_key::{Account, account_key},
    transaction::{Transaction, TransactionContent},
};

/// Writes, and then fails if the payload says so.
struct Half;

impl Application for Half {
    fn genesis(&self, _: &Genesis, _: &mut Overlay<'_>) -> Result<(), AppError> {
        Ok(())
    }

    fn check(&self, _: &dyn StateRead, _: &Transaction) -> Result<(), Failure> {
        Ok(())
    }

    fn execute(&self, state: &mut Overlay<'_>, _: &BlockContext, tx: &Transaction) -> Outcome {
        state.put(Box::from(*b"new"), *b"written");
        state.put(Box::from(*b"old"), *b"changed");
        state.delete(Box::from(*b"gone"));
        accounts::set_balance(state, &tx.sender(), 99);
        match Operation::decode(&tx.content().payload) {
            Ok(Operation::Opaque(_)) => Outcome::failed(Code::new("no"), &[]),
            _ => Outcome::Applied(vec![]),
        }
    }
}

fn signed(network: GenesisHash, sequence: u64, expires_at: UnixMillis) -> Transaction {
    Transaction::sign(network, &key(1), Sequence(sequence), expires_at, &transfer(2, 1))
}

#[test]
fn a_block_is_valid_only_if_each_transaction_is_the_senders_next_at_its_time() {
    let mut world = World::with(&[(1, 100), (2, 100)]);
    world.send(1, &transfer(2, 1));
    let after = UnixMillis(NOW.0 + 1);
    // sequences of sender 1, expiry -> valid?
    let table: [(&[u64], UnixMillis, bool); 9] = [
        (&[], LATER, true),
        (&[1], after, true),
        (&[1, 2, 3], LATER, true),
        (&[0], LATER, false),
        (&[2], LATER, false),
        (&[1, 1], LATER, false),
        (&[1, 3], LATER, false),
        (&[2, 1], LATER, false),
        (&[1], NOW, false),
    ];
    for (sequences, expires_at, valid) in table {
        let payload: Vec<_> = sequences.iter().map(|sequence| signed(NETWORK, *sequence, expires_at)).collect();
        assert_eq!(world.execute(&payload).is_ok(), valid, "{sequences:?} until {expires_at}");
    }
    let error = |tx: Transaction| world.execute(&[tx]).unwrap_err();
    assert!(matches!(error(signed(NETWORK, 5, LATER)), InvalidBlock::Sequence { sequence: Sequence(5), next: Sequence(1), .. }));
    assert!(matches!(error(signed(NETWORK, 1, NOW)), InvalidBlock::Expired { .. }));
    let elsewhere = GenesisHash(Hash([8; 32]));
    assert!(matches!(error(signed(elsewhere, 1, LATER)), InvalidBlock::OtherNetwork { genesis_hash, .. } if genesis_hash == elsewhere));
}

#[test]
fn the_largest_sequence_number_is_never_used() {
    let mut world = World::with(&[]);
    for (sequence, valid) in [(u64::MAX - 1, true), (u64::MAX, false)] {
        let record = Account { balance: 1, sequence: Sequence(sequence) };
        world.state.insert(account_key(&address(1)), record.encode().into());
        assert_eq!(world.execute(&[signed(NETWORK, sequence, LATER)]).is_ok(), valid);
    }
    assert!(matches!(world.execute(&[signed(NETWORK, u64::MAX, LATER)]), Err(InvalidBlock::SequenceExhausted { .. })));
}

#[test]
fn a_failed_transaction_is_included_leaves_nothing_behind_and_consumes_its_number() {
    let mut world = World::of(Half, &[]);
    world.state.insert(Box::from(*b"old"), Arc::from(*b"value"));
    world.state.insert(Box::from(*b"gone"), Arc::from(*b"here"));
    let before = world.state.clone();

    assert_eq!(code(&world.send(1, &Operation::Opaque(vec![]))), "no");
    let mut expected = before;
    expected.insert(account_key(&address(1)), Account { balance: 0, sequence: Sequence(1) }.encode().into());
    assert_eq!(world.state, expected);

    // The same bytes again are no longer the sender's next: nothing takes effect twice, a failure included.
    assert!(world.execute(&[tx(1, 0, &Operation::Opaque(vec![]))]).is_err());

    // In the middle of a block, what others wrote before stays.
    let done = Operation::Admin(vec![]);
    let outcomes = world.block(&[tx(1, 1, &done), tx(2, 0, &Operation::Opaque(vec![])), tx(1, 2, &Operation::Opaque(vec![]))]);
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), ["applied", "no", "no"]);
    assert_eq!(StateRead::get(&world.state, b"old").as_deref(), Some(b"changed".as_slice()));
    assert_eq!(StateRead::get(&world.state, b"gone"), None);
    assert_eq!((world.balance(1), world.sequence(1)), (99, 3));
    assert_eq!((world.balance(2), world.sequence(2)), (0, 1));
}

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
    let fits = BLOCK_EFFECT_BYTES_MAX / KV_VALUE_BYTES_MAX as u64;

    for action in [KvAction::Get, KvAction::Slice { start: 0, end: u32::try_from(KV_VALUE_BYTES_MAX).unwrap() }, KvAction::Append(vec![])] {
        let payload: Vec<_> = (0..2 * fits).map(|i| tx(1, i + 1, &kv(KvSpace::Shared, b"big", action.clone()))).collect();
        let receipts = world.execute(&payload).unwrap().receipts;
        let full = receipts.iter().position(|receipt| !receipt.outcome.is_applied()).unwrap();
        assert_eq!(code(&receipts[full].outcome), "block-full", "{action:?}");
        let answers: u64 = receipts.iter().map(|receipt| if let Outcome::Applied(a) = &receipt.outcome { a.len() as u64 } else { 0 }).sum();
        assert!(answers <= BLOCK_EFFECT_BYTES_MAX, "{action:?}: {answers}");
        assert!(full as u64 >= fits / 2 - 1, "{action:?}: only {full}");
    }
    // A block of ordinary operations is far from it.
    let payload: Vec<_> = (0..2_000).map(|i| tx(1, i + 1, &transfer(2, 1))).collect();
    assert!(world.execute(&payload).unwrap().receipts.iter().all(|receipt| code(&receipt.outcome) == "insufficient-funds"));
}

/// A state that says it is full.
struct Full(Map);

impl StateRead for Full {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        StateRead::get(&self.0, key)
    }

    fn size(&self) -> u64 {
        STATE_SIZE_MAX
    }
}

#[test]
fn a_full_state_grows_no_more_but_can_be_read_used_and_emptied() {
    let mut world = World::with(&[(1, 10), (2, 10)]);
    world.send(1, &kv(KvSpace::Own, b"k", KvAction::Put(b"value".to_vec())));
    let full = Full(world.state);
    let own = |action| kv(KvSpace::Own, b"k", action);
    let table = [
        (own(KvAction::Put(b"v".to_vec())), "state-full"),
        (own(KvAction::Append(b"v".to_vec())), "state-full"),
        (own(KvAction::Get), "applied"),
        (own(KvAction::Slice { start: 0, end: 1 }), "applied"),
        (own(KvAction::Delete), "applied"),
        (transfer(2, 1), "applied"),
        (transfer(9, 1), "state-full"),
    ];
    for (operation, outcome) in table {
        let execution = execute_block(&BuiltIn, &full, &context(), &[tx(1, 1, &operation)]).unwrap();
        assert_eq!(code(&execution.receipts[0].outcome), outcome, "{operation:?}");
    }
    let check = |who, sequence| check_transaction(&BuiltIn, &full, NETWORK, NOW, &tx(who, sequence, &own(KvAction::Get)));
    assert_eq!(check(1, 1), Ok(()));
    assert_eq!(check(9, 0).unwrap_err().code(), "state-full");
}

#[test]
fn the_pool_is_told_what_cannot_succeed() {
    let mut world = World::with(&[(1, 10)]);
    world.send(1, &transfer(2, 1));
    let check = |tx: &Transaction| check_transaction(&BuiltIn, &world.state, NETWORK, NOW, tx).map_err(|error| error.code().into_owned());
    assert_eq!(check(&tx(1, 1, &transfer(2, 9))), Ok(()));
    assert_eq!(check(&tx(1, 40, &transfer(2, 9))), Ok(()), "how far ahead is the pool's affair");
    assert_eq!(check(&tx(3, 0, &kv(KvSpace::Own, b"k", KvAction::Get))), Ok(()));
    assert_eq!(check(&tx(1, 0, &transfer(2, 1))).unwrap_err(), "sequence-too-old");
    assert_eq!(check(&signed(NETWORK, u64::MAX, LATER)).unwrap_err(), "sequence-exhausted");
    assert_eq!(check(&signed(NETWORK, 1, NOW)).unwrap_err(), "expired");
    assert_eq!(check(&signed(GenesisHash(Hash([1; 32])), 1, LATER)).unwrap_err(), "other-network");
    assert_eq!(check(&tx(1, 1, &transfer(2, 10))).unwrap_err(), "insufficient-funds");
    assert_eq!(check(&tx(1, 1, &transfer(2, 0))).unwrap_err(), "zero-amount");
    assert_eq!(check(&tx(1, 1, &kv(KvSpace::Own, &[0; 257], KvAction::Get))).unwrap_err(), "key-too-large");
    assert_eq!(check(&tx(1, 1, &Operation::Admin(vec![]))).unwrap_err(), "unsupported");
    assert_eq!(check(&tx(1, 1, &Operation::Opaque(vec![]))).unwrap_err(), "unsupported");
    assert_eq!(check(&malformed(1)).unwrap_err(), "malformed-operation");
}

/// Receipts stand under what votes certify, so each failure is written down here byte for byte. Whoever rewords a sentence changes nothing
/// here; whoever lets one into a receipt does.
#[test]
fn every_failure_is_a_word_and_numbers() {
    let own = |key: &[u8], action| kv(KvSpace::Own, key, action);
    let mut world = World::with(&[(1, 10), (2, 5)]);
    world.send(1, &own(b"k", KvAction::Put(b"value".to_vec())));
    let failures: [(Operation, &str, &[u64]); 9] = [
        (transfer(2, 0), "zero-amount", &[]),
        (transfer(2, 11), "insufficient-funds", &[10, 11]),
        (own(&[0; 257], KvAction::Get), "key-too-large", &[257, 256]),
        (own(b"k", KvAction::Put(vec![0; 16_385])), "value-too-large", &[16_385, 16_384]),
        (own(b"none", KvAction::Append(vec![1])), "missing-key", &[]),
        (own(b"none", KvAction::Slice { start: 0, end: 0 }), "missing-key", &[]),
        (own(b"k", KvAction::Slice { start: 2, end: 9 }), "bad-range", &[2, 9, 5]),
        (Operation::Admin(vec![1]), "unsupported", &[]),
        (Operation::Opaque(vec![1]), "unsupported", &[]),
    ];
    let mut outcomes: Vec<(Outcome, &str, &[u64])> =
        failures.into_iter().map(|(operation, code, numbers)| (world.send(1, &operation), code, numbers)).collect();
    let sequence = world.sequence(1);
    outcomes.push((world.block(&[malformed(sequence)]).remove(0), "malformed-operation", &[]));
    for (outcome, code, numbers) in outcomes {
        // An outcome's variant, the code with its length, the numbers with theirs.
        let mut expected = vec![1, u8::try_from(code.len()).unwrap()];
        expected.extend_from_slice(code.as_bytes());
        expected.push(u8::try_from(numbers.len()).unwrap());
        expected.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        assert_eq!(quorate_types::codec::encode(&outcome), expected, "{outcome:?}");
    }
}

/// A transaction whose payload is a valid operation with a byte too many. Its signature does not matter here.
fn malformed(sequence: u64) -> Transaction {
    let good = tx(1, sequence, &transfer(2, 1));
    let mut content: TransactionContent = good.content().clone();
    content.payload.push(0);
    let mut raw = quorate_types::codec::encode(&content);
    raw.extend_from_slice(&good.signature().0);
    Transaction::decode(raw.into()).unwrap()
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
    assert_eq!(world.state.len(), 2);
    assert_eq!((world.balance(1), world.balance(2)), (10, 0));
    assert_eq!(genesis(&[(1, 10)]).accounts.len(), 1);
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
    /// Sends again what was sent before.
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

    /// K3, EXEC-2: whatever is sent, the supply stays, every transfer counts once, and nothing that was sent before is valid again. The
    /// model is a plain list of balances that knows nothing of records, overlays and receipts' reasons.
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
