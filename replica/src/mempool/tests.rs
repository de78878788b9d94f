//! The rules of the pool, one by one, and its invariants under random use.

use std::sync::Arc;

use proptest::prelude::*;
use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation};
use quorate_types::{
    committee::{Committee, Validator, VotingPower},
    crypto::{Hash, SigningKey},
    genesis::Parameters,
    ids::{GenesisHash, StateId},
    round::Epoch,
    verify::Verifier,
    vote::QuorumCert,
};

use super::*;

const NETWORK: GenesisHash = GenesisHash(Hash([7; 32]));
const NOW: UnixMillis = UnixMillis(1_000);
const LATER: UnixMillis = UnixMillis(1_000_000);

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number.saturating_add(100); 32])
}

fn address(sender: u8) -> Address {
    Address::of(&key(sender).public())
}

fn sign(sender: u8, sequence: u64, expires_at: UnixMillis, value: Vec<u8>) -> Transaction {
    let operation = Operation::Kv(KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Put(value) });
    Transaction::sign(NETWORK, &key(sender), Sequence(sequence), expires_at, operation.encode())
}

fn verify(transaction: Transaction) -> Verified<Transaction> {
    static VERIFIER: std::sync::OnceLock<Verifier> = std::sync::OnceLock::new();
    let verifier = VERIFIER.get_or_init(|| {
        let validator = Validator {
            name: "a".into(),
            consensus_key: key(1).public(),
            network_key: key(2).public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(1),
            operator: None,
        };
        let committee = Committee::new(Epoch(0), vec![validator]).unwrap();
        let qc = QuorumCert::genesis(Epoch(0), NETWORK, StateId::default());
        Verifier::new(Arc::clone(&committee), qc, Parameters::default())
    });
    verifier.transactions(vec![transaction]).remove(0).unwrap()
}

fn tx(sender: u8, sequence: u64) -> Verified<Transaction> {
    verify(sign(sender, sequence, LATER, Vec::new()))
}

fn limits() -> PoolLimits {
    PoolLimits { transactions_max: 8, bytes_max: 1 << 20, per_sender_max: 6, sequence_gap_max: 10, ..PoolLimits::default() }
}

fn pool_of(transactions: &[(u8, u64)]) -> Mempool {
    let mut pool = Mempool::new(PoolLimits::default());
    for (sender, sequence) in transactions {
        add(&mut pool, *sender, *sequence).unwrap();
    }
    pool
}

fn add(pool: &mut Mempool, sender: u8, sequence: u64) -> Result<Added, Rejected> {
    pool.add(tx(sender, sequence), Sequence(0), NOW)
}

fn code(result: Result<Added, Rejected>) -> &'static str {
    result.unwrap_err().code()
}

#[expect(clippy::unnecessary_wraps, reason = "some senders have no standing")]
const fn from(next: u64) -> Option<Standing> {
    Some(Standing { next: Sequence(next), transactions_max: u32::MAX })
}

const fn zero(_: &Address) -> Option<Standing> {
    from(0)
}

/// The selected transactions as (sender, sequence), senders by their test numbers.
fn names(selected: &[Transaction]) -> Vec<(u8, u64)> {
    let number = |of: Address| (0..10).find(|number| address(*number) == of).unwrap();
    selected.iter().map(|transaction| (number(transaction.sender()), transaction.content().sequence.0)).collect()
}

fn all(pool: &Mempool) -> Vec<(u8, u64)> {
    names(&pool.select(zero, NOW, usize::MAX, usize::MAX))
}

/// Checks that the indexes agree with the transactions.
fn check(pool: &Mempool) {
    let count: usize = pool.senders.values().map(Sender::len).sum();
    assert_eq!(count, pool.ids.len());
    assert_eq!(count, pool.expiries.len());
    let bytes: usize = pool.ids.values().map(|(address, sequence)| pool.senders[address].get(*sequence).unwrap().raw().len()).sum();
    assert_eq!(bytes, pool.bytes());
    assert!(count <= pool.limits.transactions_max && bytes <= pool.limits.bytes_max);
    for (address, sender) in &pool.senders {
        assert!(sender.len() > 0 && sender.len() <= pool.limits.per_sender_max);
        assert_eq!(sender.ready_end(), sender.contiguous_from(sender.next()));
        assert_eq!(sender.is_ready(), sender.turn().is_some());
        assert_eq!(sender.turn().and_then(|turn| pool.turns.get(&turn)), sender.is_ready().then_some(address));
        assert_eq!(sender.is_parked(), pool.parked.contains(address));
    }
    let ready = pool.senders.values().flat_map(|sender| {
        let numbers = sender.next().0..sender.ready_end().0;
        numbers.map(|number| sender.get(Sequence(number)).unwrap().raw().len())
    });
    let ready = ready.fold(Load::default(), |sum, bytes| sum.plus(Load { transactions: 1, bytes }));
    assert_eq!(ready, pool.ready());
    let of_clients = pool.senders.values().filter(|sender| sender.is_client).map(|sender| sender.counted);
    assert_eq!(of_clients.fold(Load::default(), Load::plus), pool.ready_of_clients());
    assert_eq!(pool.turns.len(), pool.senders.values().filter(|sender| sender.is_ready()).count());
    assert_eq!(pool.parked.len(), pool.senders.values().filter(|sender| sender.is_parked()).count());
}

#[test]
fn senders_take_turns_in_the_order_of_their_arrival() {
    let pool = pool_of(&[(3, 0), (3, 1), (3, 2), (1, 0), (2, 0), (2, 1)]);
    assert_eq!(all(&pool), [(3, 0), (1, 0), (2, 0), (3, 1), (2, 1), (3, 2)]);
    check(&pool);
}

#[test]
fn one_busy_sender_may_fill_a_block_alone() {
    let mut pool = Mempool::new(PoolLimits::default());
    for sequence in 0..2_000 {
        add(&mut pool, 1, sequence).unwrap();
    }
    assert_eq!(pool.select(zero, NOW, 1_500, usize::MAX).len(), 1_500);
}

#[test]
fn a_sender_has_no_more_in_a_block_than_its_standing_allows() {
    let pool = pool_of(&[(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]);
    let standing = |sender: &Address| {
        let most = |transactions_max| Some(Standing { next: Sequence(0), transactions_max });
        if *sender == address(1) {
            most(2)
        } else if *sender == address(2) {
            most(1)
        } else {
            None
        }
    };
    assert_eq!(names(&pool.select(standing, NOW, 9, usize::MAX)), [(1, 0), (2, 0), (1, 1)]);
    assert!(pool.has_ready(standing) && !pool.has_ready(|_| None));
}

#[test]
fn what_a_sender_may_no_longer_send_leaves_and_says_why() {
    let mut pool = pool_of(&[(1, 0), (1, 1), (1, 5), (2, 0)]);
    let reason = Rejected::Forbidden { reason: "ask alice".into(), is_frozen: false };
    let dropped = pool.drop_forbidden(|sender| (*sender == address(1)).then(|| reason.clone()));
    assert_eq!(dropped.len(), 3);
    assert!(dropped.iter().all(|dropped| dropped.reason == reason && pool.dropped(&dropped.id) == Some(&reason)));
    assert_eq!((all(&pool), pool.ready().transactions, pool.len()), (vec![(2, 0)], 1, 1));
    check(&pool);
    // It may come back once the sender may send again.
    add(&mut pool, 1, 0).unwrap();
    assert_eq!(all(&pool), [(2, 0), (1, 0)]);
}

#[test]
fn a_transaction_behind_a_missing_one_waits_for_it() {
    let mut pool = pool_of(&[(1, 1), (1, 2)]);
    assert_eq!(all(&pool), []);
    assert!(!pool.has_ready(zero));
    assert_eq!(pool.next_sequence(&address(1), Sequence(0)), Sequence(0));
    add(&mut pool, 1, 0).unwrap();
    assert_eq!(all(&pool), [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(pool.next_sequence(&address(1), Sequence(0)), Sequence(3));
    check(&pool);
}

#[test]
fn what_clients_have_sent_is_counted_apart_from_gossip() {
    let mut pool = pool_of(&[(1, 0), (1, 1), (2, 0), (2, 1)]);
    assert_eq!(pool.ready_of_clients(), Load::default());
    pool.note_client(&address(1));
    pool.note_client(&address(1));
    assert_eq!((pool.ready().transactions, pool.ready_of_clients().transactions), (4, 2));
    add(&mut pool, 1, 2).unwrap();
    assert_eq!(pool.ready_of_clients().transactions, 3);
    check(&pool);
}

#[test]
fn what_waits_for_a_missing_transaction_is_not_counted_as_ready() {
    let mut pool = pool_of(&[(1, 0), (1, 1), (1, 3), (2, 5)]);
    assert_eq!(pool.ready().transactions, 2);
    add(&mut pool, 1, 2).unwrap();
    assert_eq!(pool.ready().transactions, 4);
    pool.committed(&[tx(1, 0).into_inner()]);
    assert_eq!(pool.ready().transactions, 3);
    pool.committed(&[tx(1, 3).into_inner()]);
    assert_eq!(pool.ready(), Load::default());
    assert_eq!(pool.len(), 1);
    check(&pool);
}

/// S17: the parent's state makes selection skip the transactions of pending ancestors.
#[test]
fn s17_what_pending_ancestors_hold_is_not_selected_twice_and_comes_back_with_an_abandoned_fork() {
    let pool = pool_of(&[(1, 0), (1, 1), (2, 0)]);
    let first = pool.select(zero, NOW, 2, usize::MAX);
    assert_eq!(names(&first), [(1, 0), (2, 0)]);
    let on_parent = |_: &Address| from(1);
    assert_eq!(names(&pool.select(on_parent, NOW, 9, usize::MAX)), [(1, 1)]);
    assert!(pool.has_ready(on_parent));
    assert!(!pool.has_ready(|_| from(2)));
    // The fork is abandoned: nothing has to be given back, because nothing left the pool.
    assert_eq!(all(&pool), [(1, 0), (2, 0), (1, 1)]);
}

#[test]
fn what_is_committed_leaves_and_its_sender_goes_behind_the_others() {
    let mut pool = pool_of(&[(1, 0), (1, 1), (2, 0), (3, 0)]);
    let block = pool.select(zero, NOW, 1, usize::MAX);
    assert_eq!(pool.committed(&block), []);
    assert!(!pool.contains(&block[0].id()));
    assert_eq!(pool.dropped(&block[0].id()), None);
    assert_eq!(all(&pool), [(2, 0), (3, 0), (1, 1)]);
    check(&pool);
}

#[test]
fn a_committed_transaction_that_was_never_here_moves_its_sender_on() {
    let mut pool = pool_of(&[(1, 1)]);
    assert_eq!(pool.committed(&[tx(1, 0).into_inner()]), []);
    assert_eq!(all(&pool), [(1, 1)]);
    assert_eq!(code(add(&mut pool, 1, 0)), "sequence-too-old");
    check(&pool);
}

#[test]
fn the_loser_of_a_sequence_number_is_dropped_with_a_reason() {
    let mut pool = pool_of(&[(1, 0), (1, 1)]);
    let other = sign(1, 0, LATER, b"other".to_vec());
    let dropped = pool.committed(&[other]);
    assert_eq!(dropped, [Dropped { id: tx(1, 0).id(), reason: Rejected::SequenceUsed { sequence: Sequence(0) } }]);
    assert_eq!(pool.dropped(&tx(1, 0).id()).unwrap().code(), "sequence-used");
    assert_eq!(all(&pool), [(1, 1)]);
}

#[test]
fn nothing_is_selected_at_or_after_its_expiry_and_expiry_drops_it_with_a_reason() {
    let mut pool = pool_of(&[(1, 0)]);
    let short = verify(sign(2, 0, UnixMillis(2_000), Vec::new()));
    let id = short.id();
    pool.add(short, Sequence(0), NOW).unwrap();
    let at = |pool: &Mempool, time| names(&pool.select(zero, UnixMillis(time), 9, usize::MAX));
    assert_eq!(at(&pool, 1_999), [(1, 0), (2, 0)]);
    assert_eq!(at(&pool, 2_000), [(1, 0)]);
    assert_eq!(pool.expire(UnixMillis(1_999)), []);
    assert_eq!(pool.expire(UnixMillis(2_000)).len(), 1);
    assert_eq!(pool.dropped(&id).unwrap().code(), "expired");
    assert!(!pool.contains(&id));
    check(&pool);
}

#[test]
fn a_pool_knows_that_it_holds_what_no_block_can_hold() {
    let mut pool = Mempool::new(limits());
    assert!(!pool.has_expired(UnixMillis(u64::MAX)));
    pool.add(verify(sign(1, 0, UnixMillis(2_000), Vec::new())), Sequence(0), NOW).unwrap();
    assert!(!pool.has_expired(UnixMillis(1_999)));
    assert!(pool.has_expired(UnixMillis(2_000)));
    pool.expire(UnixMillis(2_000));
    assert!(!pool.has_expired(UnixMillis(2_000)));
}

#[test]
fn what_is_behind_an_expired_transaction_waits_again() {
    let mut pool = Mempool::new(PoolLimits::default());
    pool.add(verify(sign(1, 0, UnixMillis(2_000), Vec::new())), Sequence(0), NOW).unwrap();
    add(&mut pool, 1, 1).unwrap();
    pool.expire(UnixMillis(2_000));
    assert_eq!(all(&pool), []);
    assert_eq!(pool.next_sequence(&address(1), Sequence(0)), Sequence(0));
    add(&mut pool, 1, 0).unwrap();
    assert_eq!(all(&pool), [(1, 0), (1, 1)]);
    check(&pool);
}

#[test]
fn a_dropped_transaction_that_is_sent_again_is_no_longer_reported_as_dropped() {
    let mut pool = Mempool::new(PoolLimits::default());
    let short = verify(sign(1, 0, UnixMillis(2_000), Vec::new()));
    let id = short.id();
    pool.add(short.clone(), Sequence(0), NOW).unwrap();
    pool.expire(UnixMillis(2_000));
    assert!(pool.dropped(&id).is_some());
    // A clock behind the chain's time.
    pool.add(short, Sequence(0), NOW).unwrap();
    assert!(pool.dropped(&id).is_none());
}

#[test]
fn every_refusal_has_its_code_and_leaves_the_pool_as_it_was() {
    let mut pool = Mempool::new(limits());
    add(&mut pool, 1, 0).unwrap();
    assert_eq!(add(&mut pool, 1, 0), Ok(Added::AlreadyHere));
    assert_eq!(code(pool.add(verify(sign(1, 0, LATER, b"other".to_vec())), Sequence(0), NOW)), "sequence-taken");
    assert_eq!(code(pool.add(tx(2, 4), Sequence(5), NOW)), "sequence-too-old");
    assert_eq!(code(add(&mut pool, 2, 11)), "sequence-too-far");
    assert_eq!(code(pool.add(tx(2, u64::MAX), Sequence(u64::MAX), NOW)), "sequence-too-far");
    assert_eq!(code(pool.add(verify(sign(2, 0, NOW, Vec::new())), Sequence(0), NOW)), "expired");
    for sequence in 1..6 {
        add(&mut pool, 1, sequence).unwrap();
    }
    assert_eq!(code(add(&mut pool, 1, 6)), "sender-full");
    add(&mut pool, 2, 0).unwrap();
    add(&mut pool, 3, 0).unwrap();
    assert_eq!(code(add(&mut pool, 4, 0)), "pool-full");
    assert_eq!(pool.len(), 8);
    check(&pool);
}

#[test]
fn a_number_may_be_as_far_ahead_as_the_limit_says() {
    let mut pool = Mempool::new(limits());
    assert_eq!(code(add(&mut pool, 1, 11)), "sequence-too-far");
    add(&mut pool, 1, 10).unwrap();
    check(&pool);
}

/// The caller reads the state; the pool hears of a commit later.
#[test]
fn numbers_that_the_state_has_used_up_leave_the_pool_when_their_sender_sends_again() {
    let mut pool = pool_of(&[(1, 0), (1, 1), (1, 3), (2, 0)]);
    pool.add(tx(1, 2), Sequence(2), NOW).unwrap();
    assert_eq!([0, 1, 2, 3].map(|sequence| pool.contains(&tx(1, sequence).id())), [false, false, true, true]);
    assert_eq!(all(&pool), [(2, 0), (1, 2), (1, 3)]);
    check(&pool);
}

#[test]
fn transactions_with_gaps_cannot_keep_ready_ones_out_of_a_full_pool() {
    let mut pool = Mempool::new(limits());
    for sequence in 1..6 {
        add(&mut pool, 1, sequence).unwrap();
    }
    for sequence in 1..4 {
        add(&mut pool, 2, sequence).unwrap();
    }
    assert_eq!(code(add(&mut pool, 3, 1)), "pool-full");
    let Ok(Added::New { evicted: Some(evicted) }) = add(&mut pool, 3, 0) else { panic!("a parked transaction must give way") };
    assert_eq!(evicted.reason.code(), "crowded-out");
    assert_eq!(pool.dropped(&evicted.id), Some(&evicted.reason));
    assert_eq!((pool.len(), all(&pool)), (8, vec![(3, 0)]));
    check(&pool);
}

/// Full to the byte, a pool exchanges transactions of one length.
#[test]
fn a_pool_full_to_the_byte_takes_one_for_one() {
    let value = |length: usize| vec![7; length];
    let (first, parked) = (verify(sign(1, 0, LATER, value(10))), verify(sign(2, 5, LATER, value(30))));
    let bytes_max = first.raw().len() + parked.raw().len();
    let full = || {
        let mut pool = Mempool::new(PoolLimits { bytes_max, ..PoolLimits::default() });
        pool.add(first.clone(), Sequence(0), NOW).unwrap();
        pool.add(parked.clone(), Sequence(0), NOW).unwrap();
        pool
    };
    let mut pool = full();
    assert_eq!(code(pool.add(verify(sign(3, 0, LATER, value(31))), Sequence(0), NOW)), "pool-full");
    assert!(pool.contains(&parked.id()), "nobody is crowded out in vain");
    let added = pool.add(verify(sign(3, 0, LATER, value(30))), Sequence(0), NOW).unwrap();
    assert!(matches!(added, Added::New { evicted: Some(dropped) } if dropped.id == parked.id()));
    assert_eq!(pool.bytes(), bytes_max);
    check(&pool);
}

#[test]
fn selecting_gives_up_after_a_bounded_number_of_misfits() {
    let selected = |misfits: usize| {
        let mut pool = Mempool::new(PoolLimits::default());
        for sender in 0..misfits {
            let sender = u8::try_from(sender).unwrap() + 1;
            pool.add(verify(sign(sender, 0, UnixMillis(2_000), Vec::new())), Sequence(0), NOW).unwrap();
        }
        add(&mut pool, 0, 0).unwrap();
        pool.select(zero, UnixMillis(2_000), usize::MAX, usize::MAX).len()
    };
    assert_eq!((selected(MISFITS_MAX - 1), selected(MISFITS_MAX)), (1, 0));
}

#[test]
fn the_bound_in_bytes_holds() {
    let mut pool = Mempool::new(PoolLimits { bytes_max: 1_000, ..limits() });
    pool.add(verify(sign(1, 0, LATER, vec![0; 700])), Sequence(0), NOW).unwrap();
    assert_eq!(code(pool.add(verify(sign(2, 0, LATER, vec![0; 700])), Sequence(0), NOW)), "pool-full");
    assert!(pool.bytes() <= 1_000);
    check(&pool);
}

#[test]
fn a_block_takes_what_still_fits_after_something_too_large() {
    let mut pool = Mempool::new(PoolLimits::default());
    pool.add(verify(sign(1, 0, LATER, vec![0; 5_000])), Sequence(0), NOW).unwrap();
    add(&mut pool, 2, 0).unwrap();
    assert_eq!(names(&pool.select(zero, NOW, 9, 1_000)), [(2, 0)]);
}

#[test]
fn selecting_looks_only_at_senders_that_are_ready() {
    // One ready sender among ten with 199 parked transactions each: only the ready one is visited.
    let mut pool = Mempool::new(PoolLimits::default());
    for sender in 0..10 {
        for sequence in 1..200 {
            add(&mut pool, sender, sequence).unwrap();
        }
    }
    add(&mut pool, 7, 0).unwrap();
    let asked = std::cell::Cell::new(0);
    let next_of = |_: &Address| {
        asked.set(asked.get() + 1);
        from(0)
    };
    assert_eq!(pool.select(next_of, NOW, 5, usize::MAX).len(), 5);
    assert_eq!(asked.get(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Add { sender: u8, sequence: u64, expires_at: u64, other: bool },
    CommitSelected { count: usize },
    CommitForeign { sender: u8 },
    Expire { now: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..4, 0u64..12, 1_001u64..1_040, any::<bool>())
            .prop_map(|(sender, sequence, expires_at, other)| Step::Add { sender, sequence, expires_at, other }),
        2 => (0usize..5).prop_map(|count| Step::CommitSelected { count }),
        1 => (0u8..4).prop_map(|sender| Step::CommitForeign { sender }),
        1 => (1_000u64..1_040).prop_map(|now| Step::Expire { now }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn indexes_bounds_and_order_hold_under_random_use(steps in prop::collection::vec(step(), 1..60)) {
        let mut pool = Mempool::new(limits());
        let mut state: BTreeMap<Address, Sequence> = BTreeMap::new();
        let mut committed: BTreeSet<(Address, Sequence)> = BTreeSet::new();
        let mut now = NOW;
        for step in steps {
            let next_of = |address: &Address| from(state.get(address).copied().unwrap_or_default().0);
            match step {
                Step::Add { sender, sequence, expires_at, other } => {
                    let transaction = sign(sender, sequence, UnixMillis(expires_at), if other { b"o".to_vec() } else { Vec::new() });
                    let next = next_of(&address(sender)).unwrap().next;
                    let before = pool.len();
                    match pool.add(verify(transaction.clone()), next, now) {
                        Ok(Added::New { evicted }) => {
                            prop_assert!(pool.contains(&transaction.id()));
                            prop_assert_eq!(pool.len(), before + usize::from(evicted.is_none()));
                        }
                        Ok(Added::AlreadyHere) => prop_assert_eq!(pool.len(), before),
                        Err(_) => prop_assert!(!pool.contains(&transaction.id()) && pool.len() == before),
                    }
                }
                Step::CommitSelected { count } => {
                    let block = pool.select(next_of, now, count, usize::MAX);
                    prop_assert_eq!(&block, &pool.select(next_of, now, count, usize::MAX));
                    prop_assert!(block.len() <= count);
                    for transaction in &block {
                        let next = state.entry(transaction.sender()).or_default();
                        prop_assert_eq!(transaction.content().sequence, *next);
                        prop_assert!(transaction.content().expires_at > now);
                        prop_assert!(committed.insert((transaction.sender(), *next)));
                        *next = next.next();
                    }
                    prop_assert_eq!(pool.committed(&block), vec![]);
                    prop_assert!(block.iter().all(|transaction| !pool.contains(&transaction.id())));
                }
                Step::CommitForeign { sender } => {
                    let next = state.entry(address(sender)).or_default();
                    let foreign = sign(sender, next.0, LATER, b"foreign".to_vec());
                    committed.insert((address(sender), *next));
                    *next = next.next();
                    let dropped = pool.committed(&[foreign]);
                    prop_assert!(dropped.len() <= 1);
                }
                Step::Expire { now: time } => {
                    now = now.max(UnixMillis(time));
                    let dropped = pool.expire(now);
                    prop_assert!(dropped.iter().all(|dropped| dropped.reason.code() == "expired" && !pool.contains(&dropped.id)));
                }
            }
            check(&pool);
            let next_of = |address: &Address| from(state.get(address).copied().unwrap_or_default().0);
            prop_assert_eq!(pool.has_ready(next_of), !pool.select(next_of, NOW, 1, usize::MAX).is_empty());
        }
    }
}
