//! Tests of the key-value store.

use super::common::{World, address, code, kv, ok};
use crate::{
    Answer, KvAction,
    KvSpace::{Own, Shared},
    keys::kv_key,
    operation::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX},
};
use quorate_types::receipt::Outcome;

fn put(value: &[u8]) -> KvAction {
    KvAction::Put(value.into())
}

fn append(value: &[u8]) -> KvAction {
    KvAction::Append(value.into())
}

fn slice(start: u32, end: u32) -> KvAction {
    KvAction::Slice { start, end }
}

/// Value before, action, outcome or failure code, value after.
type Row = (Option<&'static [u8]>, KvAction, Result<Outcome, &'static str>, Option<&'static [u8]>);

#[test]
fn actions_follow_the_table() {
    let (get, delete) = (KvAction::Get, KvAction::Delete);
    let answers = |bytes: &[u8]| Outcome::Applied(Answer::Value(bytes.into()).encode());
    let table: Vec<Row> = vec![
        (None, put(b"v"), Ok(ok()), Some(b"v")),
        (None, put(b""), Ok(ok()), Some(b"")),
        (Some(b"old"), put(b"v"), Ok(ok()), Some(b"v")),
        (None, get.clone(), Ok(answers(b"")), None),
        (Some(b""), get.clone(), Ok(answers(b"")), Some(b"")),
        (Some(b"hello"), get, Ok(answers(b"hello")), Some(b"hello")),
        (None, append(b"x"), Err("missing-key"), None),
        (Some(b""), append(b"x"), Ok(ok()), Some(b"x")),
        (Some(b"hello"), append(b" you"), Ok(ok()), Some(b"hello you")),
        (None, slice(0, 0), Err("missing-key"), None),
        (Some(b"hello"), slice(1, 3), Ok(answers(b"el")), Some(b"el")),
        (Some(b"hello"), slice(0, 5), Ok(answers(b"hello")), Some(b"hello")),
        (Some(b"hello"), slice(5, 5), Ok(answers(b"")), Some(b"")),
        (Some(b"hello"), slice(3, 1), Err("bad-range"), Some(b"hello")),
        (Some(b"hello"), slice(0, 6), Err("bad-range"), Some(b"hello")),
        (Some(b"hello"), slice(6, 6), Err("bad-range"), Some(b"hello")),
        (Some(b"hello"), slice(0, u32::MAX), Err("bad-range"), Some(b"hello")),
        (Some(b"hello"), slice(u32::MAX, u32::MAX), Err("bad-range"), Some(b"hello")),
        (None, delete.clone(), Ok(ok()), None),
        (Some(b"hello"), delete, Ok(ok()), None),
    ];
    for space in [Own, Shared] {
        for (before, action, outcome, after) in &table {
            let mut world = World::with(&[]);
            if let Some(value) = before {
                assert_eq!(world.send(1, &kv(space, b"k", put(value))), ok());
            }
            let got = world.send(1, &kv(space, b"k", action.clone()));
            match outcome {
                Ok(outcome) => assert_eq!(&got, outcome, "{before:?} {action:?}"),
                Err(failure) => assert_eq!(code(&got), *failure, "{before:?} {action:?}"),
            }
            let value = world.state.get(&*kv_key(space, &address(1), b"k")).map(|value| value.to_vec());
            assert_eq!(value.as_deref(), *after, "{before:?} {action:?}");
        }
    }
}

#[test]
fn keys_and_values_up_to_the_limits_are_taken_and_none_above() {
    let mut world = World::with(&[]);
    let (longest_key, longest_value) = (vec![1; KV_KEY_BYTES_MAX], vec![2; KV_VALUE_BYTES_MAX]);
    assert_eq!(world.send(1, &kv(Own, &longest_key, put(&longest_value))), ok());
    assert_eq!(world.send(1, &kv(Own, &longest_key, KvAction::Get)), Outcome::Applied(Answer::Value(longest_value.clone()).encode()));
    assert_eq!(world.send(1, &kv(Own, &longest_key, append(b""))), ok());

    let too_long_key = vec![1; KV_KEY_BYTES_MAX + 1];
    let too_long_value = vec![2; KV_VALUE_BYTES_MAX + 1];
    for (refused, failure) in [
        (kv(Own, &too_long_key, put(b"v")), "key-too-large"),
        (kv(Own, &too_long_key, KvAction::Get), "key-too-large"),
        (kv(Own, b"k", put(&too_long_value)), "value-too-large"),
        (kv(Own, &longest_key, append(b"x")), "value-too-large"),
        (kv(Own, b"k", append(&too_long_value)), "value-too-large"),
    ] {
        assert_eq!(code(&world.send(1, &refused)), failure);
    }
    assert_eq!(world.send(1, &kv(Own, &longest_key, KvAction::Get)), Outcome::Applied(Answer::Value(longest_value).encode()));
}

#[test]
fn own_keys_are_the_senders_and_shared_keys_are_everybodys() {
    let mut world = World::with(&[]);
    for space in [Own, Shared] {
        world.send(1, &kv(space, b"k", put(b"of 1")));
        world.send(2, &kv(space, b"k", put(b"of 2")));
    }
    let read = |world: &mut World, who, space| match world.send(who, &kv(space, b"k", KvAction::Get)) {
        Outcome::Applied(answer) => match Answer::decode(&answer).unwrap() {
            Answer::Value(value) => String::from_utf8(value).unwrap(),
            Answer::Done => "done".into(),
        },
        Outcome::Failed(failure) => failure.code().into(),
    };
    assert_eq!(read(&mut world, 1, Own), "of 1");
    assert_eq!(read(&mut world, 2, Own), "of 2");
    assert_eq!(read(&mut world, 1, Shared), "of 2");
    assert_eq!(read(&mut world, 3, Own), "");
}

#[test]
fn no_key_reaches_an_account_or_the_key_of_another() {
    // A shared key that looks like the tail of an own key, and one that looks like an account's.
    let mut world = World::with(&[(1, 10)]);
    let looks_like_own = [address(1).0.as_bytes().as_slice(), b"k"].concat();
    world.send(2, &kv(Shared, &looks_like_own, put(b"x")));
    world.send(2, &kv(Shared, address(1).0.as_bytes(), put(b"x")));
    assert_eq!(world.send(1, &kv(Own, b"k", KvAction::Get)), Outcome::Applied(Answer::Value(vec![]).encode()));
    assert_eq!(world.balance(1), 10);
}
