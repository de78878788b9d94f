//! Which blocks are valid, what a failed transaction leaves behind, and what no application can do.

use std::{ops::Bound, sync::Arc};

use super::common::{
    Entries, LATER, NETWORK, NOW, Said, Script, ScriptSettings, Step, World, address, code, context, genesis, key, put, tx,
};
use crate::{
    ANSWER_BYTES_MAX, App, AppError, Entry, InvalidBlock, KEY_BYTES_MAX, StateRead, Unexecuted, VALUE_BYTES_MAX, Words, accounts,
    check_transaction, execute_block,
};
use proptest::prelude::*;
use quorate_types::{
    codec,
    crypto::Hash,
    failure::{Code, Failure},
    genesis::{Genesis, Parameters, StateLimits},
    ids::GenesisHash,
    permission::Permission,
    receipt::Outcome,
    round::{Sequence, UnixMillis},
    settings::Settings,
    state_key::{AccountRecord, account_key},
    transaction::Transaction,
};

fn signed(network: GenesisHash, sequence: u64, expires_at: UnixMillis) -> Transaction {
    Transaction::sign(network, &key(1), Sequence(sequence), expires_at, codec::encode(&vec![Step::Answer(1)]))
}

fn invalid(world: &World, tx: Transaction) -> InvalidBlock {
    match world.execute(&[tx]).unwrap_err() {
        Unexecuted::Invalid(invalid) => invalid,
        Unexecuted::Panicked(panicked) => panic!("{panicked}"),
    }
}

#[test]
fn a_block_is_valid_only_if_each_transaction_is_the_senders_next_at_its_time() {
    let mut world = World::new();
    world.send(1, &[]);
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
    let error = |tx| invalid(&world, tx);
    assert!(matches!(error(signed(NETWORK, 5, LATER)), InvalidBlock::Sequence { sequence: Sequence(5), next: Sequence(1), .. }));
    assert!(matches!(error(signed(NETWORK, 1, NOW)), InvalidBlock::Expired { .. }));
    let elsewhere = GenesisHash(Hash([8; 32]));
    assert!(matches!(error(signed(elsewhere, 1, LATER)), InvalidBlock::OtherNetwork { genesis_hash, .. } if genesis_hash == elsewhere));
}

#[test]
fn the_largest_sequence_number_is_never_used() {
    let mut world = World::new();
    for (sequence, valid) in [(u64::MAX - 1, true), (u64::MAX, false)] {
        let record = AccountRecord::new(Sequence(sequence), Permission::default(), b"kept");
        world.state.insert(account_key(&address(1)).into(), record.into_value());
        assert_eq!(world.execute(&[signed(NETWORK, sequence, LATER)]).is_ok(), valid);
    }
    assert!(matches!(invalid(&world, signed(NETWORK, u64::MAX, LATER)), InvalidBlock::SequenceExhausted { .. }));
}

#[test]
fn a_failed_transaction_is_included_leaves_nothing_behind_and_consumes_its_number() {
    let mut world = World::with(&ScriptSettings { first: vec![put(b"old", b"value"), put(b"gone", b"here")], ..Default::default() });
    let before = world.state.clone();
    let done = [put(b"new", b"written"), put(b"old", b"changed"), Step::Delete(b"gone".to_vec()), Step::Keep(5)];
    let failing = [&done[..], &[Step::Fail]].concat();

    assert_eq!(code(&world.send(1, &failing)), "no");
    let mut expected = before;
    expected.insert(account_key(&address(1)).into(), AccountRecord::new(Sequence(1), Permission::default(), b"").into_value());
    assert_eq!(world.state, expected);

    // The same bytes are no longer the sender's next transaction: nothing takes effect twice, a failure included.
    assert!(world.execute(&[tx(1, 0, &failing)]).is_err());

    // In the middle of a block, earlier writes of other transactions stay.
    let outcomes = world.block(&[tx(1, 1, &done), tx(2, 0, &failing), tx(1, 2, &failing)]);
    assert_eq!(outcomes.iter().map(code).collect::<Vec<_>>(), ["applied", "no", "no"]);
    assert_eq!(StateRead::get(&world.state, b"old").as_deref(), Some(b"changed".as_slice()));
    assert_eq!(StateRead::get(&world.state, b"gone"), None);
    let record = |who| accounts::find(&world.state, &address(who)).unwrap();
    assert_eq!(record(1), AccountRecord::new(Sequence(3), Permission::default(), &[9; 5]));
    assert_eq!(record(2), AccountRecord::new(Sequence(1), Permission::default(), b""));
}

#[test]
fn what_a_state_does_not_hold_fails_the_transaction_that_writes_it() {
    let mut world = World::new();
    let mut record = account_key(&address(2)).to_vec();
    let table = [
        (put(&[b'k'; KEY_BYTES_MAX], &vec![0; VALUE_BYTES_MAX]), "applied"),
        (put(&[b'k'; KEY_BYTES_MAX + 1], b""), "state-key-too-large"),
        (put(b"k", &vec![0; VALUE_BYTES_MAX + 1]), "payload"),
        (put(&record, b"mine"), "state-key-reserved"),
        (put(b"a", b"mine"), "state-key-reserved"),
        (Step::Delete(std::mem::take(&mut record)), "state-key-reserved"),
        (Step::Keep(1_024), "applied"),
        (Step::Keep(1_025), "account-too-large"),
        (Step::Answer(ANSWER_BYTES_MAX - 4), "applied"),
        (Step::Answer(ANSWER_BYTES_MAX), "answer-too-large"),
        (Step::Float, "answer-has-no-encoding"),
    ];
    for (step, expected) in table {
        let name = format!("{step:?}");
        // A payload cannot hold the longest value, but the genesis can.
        if expected == "payload" {
            let settings = ScriptSettings { first: vec![step], ..Default::default() };
            let error = App::new(Script).open(&genesis(&settings)).unwrap().genesis_state().unwrap_err().to_string();
            assert!(error.contains("65537 bytes"), "{error}");
            continue;
        }
        let large = matches!(&step, Step::Put(_, value) if value.len() == VALUE_BYTES_MAX);
        if large {
            World::with(&ScriptSettings { first: vec![step], ..Default::default() });
            continue;
        }
        assert_eq!(code(&world.send(1, &[step, put(b"x", b"beside")])), expected, "{}", &name[..name.len().min(60)]);
        assert_eq!(world.state.remove(b"x".as_slice()).is_some(), expected == "applied");
    }
}

#[test]
fn small_transactions_cannot_make_a_block_write_or_answer_more_than_its_limit() {
    let parameters = Parameters { account_block_percent: 100, ..Parameters::default() };
    let world = World::of(&Genesis { parameters, ..genesis(&ScriptSettings::default()) });
    let most = u64::from(StateLimits::default().block_effect_bytes_max);
    let payload: Vec<_> = (0..200).map(|i| tx(1, i, &[Step::Answer(ANSWER_BYTES_MAX - 100)])).collect();
    let receipts = world.execute(&payload).unwrap().receipts;
    let full = receipts.iter().position(|receipt| !receipt.outcome.is_applied()).unwrap();
    assert_eq!(code(&receipts[full].outcome), "block-full");
    assert!(full as u64 >= most / ANSWER_BYTES_MAX as u64 - 1, "only {full}");
}

/// A state that reports itself full.
struct Full(Entries);

impl StateRead for Full {
    fn get(&self, key: &[u8]) -> Option<Arc<[u8]>> {
        StateRead::get(&self.0, key)
    }

    fn next(&self, from: Bound<&[u8]>) -> Option<Entry> {
        StateRead::next(&self.0, from)
    }

    fn size(&self) -> u64 {
        StateLimits::default().bytes_max
    }
}

#[test]
fn a_full_state_grows_no_more_but_can_be_read_changed_and_emptied() {
    let mut world = World::new();
    world.send(1, &[put(b"k", b"value"), put(b"l", b"value")]);
    let full = Full(world.state);
    let delete = |key: &[u8]| Step::Delete(key.to_vec());
    let table: [(&[Step], &str); 8] = [
        (&[put(b"k", b"longer")], "state-full"),
        (&[put(b"m", b"")], "state-full"),
        (&[put(b"k", b"other")], "applied"),
        (&[put(b"k", b"")], "applied"),
        (&[delete(b"k")], "applied"),
        (&[put(b"m", b"value"), delete(b"l")], "applied"),
        (&[put(b"k", b""), put(b"k", b"longer")], "state-full"),
        (&[Step::Answer(3)], "applied"),
    ];
    for (steps, outcome) in table {
        let execution = execute_block(&world.machine, &full, &context(), world.machine.first_epoch(), &[tx(1, 1, steps)]).unwrap();
        assert_eq!(code(&execution.receipts[0].outcome), outcome, "{steps:?}");
    }
    let check = |who, sequence| {
        check_transaction(&world.machine, &full, world.machine.first_epoch(), NETWORK, NOW, &tx(who, sequence, &[]))
            .map_err(|error| error.code().into_owned())
    };
    assert_eq!(check(1, 1), Ok(()));
    assert_eq!(check(9, 0), Err("state-full".into()));
}

#[test]
fn the_pool_is_told_what_cannot_succeed() {
    let mut world = World::new();
    world.send(1, &[]);
    let check = |tx: &Transaction| {
        check_transaction(&world.machine, &world.state, world.machine.first_epoch(), NETWORK, NOW, tx)
            .map_err(|error| error.code().into_owned())
    };
    assert_eq!(check(&tx(1, 1, &[])), Ok(()));
    assert_eq!(check(&tx(1, 40, &[])), Ok(()), "how far ahead is the pool's affair");
    assert_eq!(check(&tx(1, 0, &[])).unwrap_err(), "sequence-too-old");
    assert_eq!(check(&signed(NETWORK, u64::MAX, LATER)).unwrap_err(), "sequence-exhausted");
    assert_eq!(check(&signed(NETWORK, 1, NOW)).unwrap_err(), "expired");
    assert_eq!(check(&signed(GenesisHash(Hash([1; 32])), 1, LATER)).unwrap_err(), "other-network");
    assert_eq!(check(&tx(1, 1, &[Step::Fail])).unwrap_err(), "no");
    assert_eq!(check(&tx(1, 1, &[Step::Panic])).unwrap_err(), "panicked");
    let malformed = Transaction::sign(NETWORK, &key(1), Sequence(1), LATER, vec![9]);
    assert_eq!(check(&malformed).unwrap_err(), "malformed-operation");
    assert_eq!(code(&world.block(&[malformed])[0]), "malformed-operation");
    assert_eq!(world.sequence(1), 2);
}

#[test]
fn whoever_may_not_begin_an_account_is_in_no_block() {
    for settings in [ScriptSettings { closed: true, ..Default::default() }, ScriptSettings { account_bytes: 1_025, ..Default::default() }] {
        let world = World::with(&settings);
        let why = if settings.closed { "closed" } else { "account-too-large" };
        assert!(matches!(invalid(&world, tx(1, 0, &[])), InvalidBlock::NoAccount { failure, .. } if failure.code() == why));
        assert_eq!(
            check_transaction(&world.machine, &world.state, world.machine.first_epoch(), NETWORK, NOW, &tx(1, 0, &[])).unwrap_err().code(),
            why
        );
    }
    let mut world = World::with(&ScriptSettings { account_bytes: 3, ..Default::default() });
    world.send(1, &[]);
    assert_eq!(accounts::find(&world.state, &address(1)), Some(AccountRecord::new(Sequence(1), Permission::default(), &[1; 3])));
}

#[test]
fn a_panic_in_a_call_for_people_ends_that_call_only() {
    let app = App::new(Script);
    let failure = Failure::new(Code::new("anything"), &[]);
    assert_eq!(app.explain(&failure), failure.to_string());
    assert_eq!(app.show_entry(b"k", b"v"), None);
    assert!(app.locate(&["k"]).unwrap_err().to_string().contains("panicked"));
}

#[test]
fn a_panic_names_the_transaction_and_leaves_no_result() {
    let world = World::new();
    let poison = tx(2, 0, &[put(b"k", b"v"), Step::Panic]);
    match world.execute(&[tx(1, 0, &[]), poison.clone()]).unwrap_err() {
        Unexecuted::Panicked(panicked) => {
            assert_eq!((panicked.tx_id, panicked.message.as_str()), (poison.id(), "no such luck"));
        }
        Unexecuted::Invalid(invalid) => panic!("{invalid}"),
    }
}

#[test]
fn a_query_sees_the_state_and_cannot_change_or_break_anything() {
    let mut world = World::new();
    world.send(1, &[put(b"k", b"v")]);
    let query = |steps: &[Step]| world.machine.query(&world.state, &codec::encode(steps)).map_err(|failure| failure.code().to_owned());
    assert_eq!(query(&[put(b"k", b"")]), Ok(codec::encode(&Said::Bytes(b"v".to_vec()))));
    assert_eq!(query(&[Step::Panic]), Err("panicked".into()));
    assert_eq!(query(&[Step::Answer(ANSWER_BYTES_MAX)]), Err("answer-too-large".into()));
    assert_eq!(world.machine.query(&world.state, &[9]).unwrap_err().code(), "malformed-query");
}

#[test]
fn a_program_runs_only_the_networks_of_its_application_and_version() {
    let app = App::new(Script);
    let good = genesis(&ScriptSettings::default());
    assert!(app.open(&good).is_ok());
    for (name, version) in [("script", 1), ("script", 3), ("other", 2)] {
        let mut genesis = good.clone();
        (genesis.application.name, genesis.application.version) = (name.into(), version);
        let error = app.open(&genesis).unwrap_err();
        assert!(matches!(error, AppError::OtherApplication { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name} version {version}")), "{error}");
    }
    for (settings, reason) in [(r#"{"colour": 1}"#, "unknown field `colour`"), (r#"{"account_bytes": 10000}"#, "below 10000")] {
        let mut genesis = good.clone();
        genesis.application.settings = Settings::from_json(settings).unwrap();
        let error = app.open(&genesis).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("script"), "{error}");
    }
}

#[test]
fn the_bytes_of_the_chain_are_json_for_people() {
    let app = App::new(Script);
    let bytes = app.read(Words::Operation, r#"[{"Put": [[107], [118]]}, "Fail"]"#).unwrap();
    assert_eq!(bytes, codec::encode(&vec![put(b"k", b"v"), Step::Fail]));
    assert_eq!(app.show(Words::Operation, &bytes).unwrap().to_string(), r#"[{"Put":[[107],[118]]},"Fail"]"#);
    assert_eq!(app.show(Words::Operation, b"\xff"), None);
    assert!(app.read(Words::Operation, r#"["Colour"]"#).unwrap_err().contains("Colour"));
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(b'b'..b'f', 0..2);
    prop_oneof![
        4 => (bytes(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(key, value)| Step::Put(key, value)),
        2 => bytes().prop_map(Step::Delete),
        1 => (0..9usize).prop_map(Step::Keep),
        1 => Just(Step::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// EXEC-1 and EXEC-2: a block has one result, each transaction counts once, and failures change nothing.
    #[test]
    fn random_blocks_execute_everything_exactly_once(
        blocks in prop::collection::vec(prop::collection::vec((1..5u8, prop::collection::vec(step(), 0..4)), 0..8), 1..8)
    ) {
        let mut world = World::new();
        let mut counts = [0u64; 5];
        for acts in blocks {
            let payload: Vec<_> = acts.iter().map(|(who, steps)| {
                counts[usize::from(*who)] += 1;
                tx(*who, counts[usize::from(*who)] - 1, steps)
            }).collect();
            prop_assert_eq!(world.execute(&payload), world.execute(&payload));
            let mut model = world.state.clone();
            let outcomes = world.block(&payload);
            for ((_, steps), outcome) in acts.iter().zip(&outcomes) {
                prop_assert_eq!(outcome.is_applied(), !steps.contains(&Step::Fail));
                if let Outcome::Applied(_) = outcome {
                    for step in steps {
                        match step {
                            Step::Put(key, value) => drop(model.insert(key.as_slice().into(), value.as_slice().into())),
                            Step::Delete(key) => drop(model.remove(key.as_slice())),
                            _ => {}
                        }
                    }
                }
            }
            let without_accounts = |state: &Entries| -> Entries {
                state.iter().filter(|(key, _)| key.first() != Some(&b'a')).map(|(key, value)| (key.clone(), value.clone())).collect()
            };
            prop_assert_eq!(without_accounts(&world.state), without_accounts(&model));
            for who in 1..5u8 {
                prop_assert_eq!(world.sequence(who), counts[usize::from(who)]);
            }
        }
    }
}
