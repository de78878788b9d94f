//! The key-value store.
//!
//! | Action | Key present | Key missing |
//! |---|---|---|
//! | `put` | sets the value, done | sets the value, done |
//! | `get` | the value | empty (like an empty value; a proof of the state tells them apart) |
//! | `append` | adds to the value, done | fails, `missing-key` |
//! | `slice` | keeps and answers `start..end`; fails with `bad-range` unless start <= end <= length | fails, `missing-key` |
//! | `delete` | removes it, done | done |
//!
//! A key of more than [`KV_KEY_BYTES_MAX`] or a value of more than [`KV_VALUE_BYTES_MAX`] bytes fails with `key-too-large` or
//! `value-too-large`, and so does an `append` that would make one. The writer holds the entry from then on (storage.rs): the write fails with
//! `account-state-full` if the account may not hold that much, and with `deposit-not-covered` if its balance does not cover the deposit.

use std::ops::Range;

use quorate_app::State;
use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
};

use crate::{
    built_in::Answer,
    keys::kv_key,
    operation::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, KvAction, KvOperation},
    settings::Settings,
    storage,
};

const KEY_TOO_LARGE: Code = Code::new("key-too-large");
const VALUE_TOO_LARGE: Code = Code::new("value-too-large");

/// Checks of an operation that do not depend on the state.
pub(crate) fn check(operation: &KvOperation) -> Result<(), Failure> {
    bounded(KEY_TOO_LARGE, operation.key.len(), KV_KEY_BYTES_MAX)?;
    match &operation.action {
        KvAction::Put(value) | KvAction::Append(value) => bounded(VALUE_TOO_LARGE, value.len(), KV_VALUE_BYTES_MAX),
        KvAction::Get | KvAction::Slice { .. } | KvAction::Delete => Ok(()),
    }
}

/// Executes an operation.
pub(crate) fn execute(state: &mut State<'_>, settings: &Settings, sender: &Address, operation: &KvOperation) -> Result<Answer, Failure> {
    check(operation)?;
    let KvOperation { space, key: name, action } = operation;
    let key = kv_key(*space, sender, name);
    match action {
        KvAction::Get => Ok(Answer::Value(state.get(&key).map_or_else(Vec::new, |value| value.to_vec()))),
        KvAction::Delete => {
            storage::delete(state, sender, *space, name);
            Ok(Answer::Done)
        }
        KvAction::Put(value) => {
            storage::put(state, settings, sender, *space, name, value.as_slice().into())?;
            Ok(Answer::Done)
        }
        KvAction::Append(more) => {
            let value = state.get(&key).ok_or_else(missing)?;
            bounded(VALUE_TOO_LARGE, value.len().saturating_add(more.len()), KV_VALUE_BYTES_MAX)?;
            storage::put(state, settings, sender, *space, name, [&value, more.as_slice()].concat().into())?;
            Ok(Answer::Done)
        }
        KvAction::Slice { start, end } => {
            let value = state.get(&key).ok_or_else(missing)?;
            let kept = slice(&value, *start, *end)
                .ok_or_else(|| Failure::new(Code::new("bad-range"), &[u64::from(*start), u64::from(*end), value.len() as u64]))?;
            storage::put(state, settings, sender, *space, name, kept.into())?;
            Ok(Answer::Value(kept.to_vec()))
        }
    }
}

fn bounded(code: Code, len: usize, max: usize) -> Result<(), Failure> {
    if len > max { Err(Failure::new(code, &[len as u64, max as u64])) } else { Ok(()) }
}

fn missing() -> Failure {
    Failure::new(Code::new("missing-key"), &[])
}

/// `value[start..end]`, `None` where there is no such range.
fn slice(value: &[u8], start: u32, end: u32) -> Option<&[u8]> {
    let range: Range<usize> = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    value.get(range)
}
