//! The key-value store.
//!
//! | Action | Key present | Key missing |
//! |---|---|---|
//! | `put` | sets the value, `OK` | sets the value, `OK` |
//! | `get` | the value | empty (no different from an empty value; a proof of the state tells them apart) |
//! | `append` | adds to the value, `OK` | fails, `missing-key` |
//! | `slice` | keeps and answers `start..end`; fails with `bad-range` unless start <= end <= length | fails, `missing-key` |
//! | `delete` | removes it, `OK` | `OK` |
//!
//! A key of more than [`KV_KEY_BYTES_MAX`] or a value of more than [`KV_VALUE_BYTES_MAX`] bytes fails with `key-too-large` or
//! `value-too-large`, and so does an `append` that would make one. When the state is full, `put` and `append` fail with `state-full`.

use std::ops::Range;

use quorate_types::{
    failure::{Code, Failure},
    ids::Address,
    operation::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, KvAction, KvOperation},
    receipt::Outcome,
    state_key::kv_key,
};

use crate::{
    built_in::OK,
    state::{Overlay, state_full},
};

const KEY_TOO_LARGE: Code = Code::new("key-too-large");
const VALUE_TOO_LARGE: Code = Code::new("value-too-large");

/// What can be said of an operation before it meets its state.
pub(crate) fn check(operation: &KvOperation) -> Result<(), Failure> {
    bounded(KEY_TOO_LARGE, operation.key.len(), KV_KEY_BYTES_MAX)?;
    match &operation.action {
        KvAction::Put(value) | KvAction::Append(value) => bounded(VALUE_TOO_LARGE, value.len(), KV_VALUE_BYTES_MAX),
        KvAction::Get | KvAction::Slice { .. } | KvAction::Delete => Ok(()),
    }
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, sender: &Address, operation: &KvOperation) -> Outcome {
    run(state, sender, operation).map_or_else(Outcome::Failed, Outcome::Applied)
}

fn run(state: &mut Overlay<'_>, sender: &Address, operation: &KvOperation) -> Result<Vec<u8>, Failure> {
    check(operation)?;
    let key = kv_key(operation.space, sender, &operation.key);
    match &operation.action {
        KvAction::Get => Ok(state.get(&key).map_or_else(Vec::new, |value| value.to_vec())),
        KvAction::Delete => {
            state.delete(key);
            Ok(OK.into())
        }
        KvAction::Put(value) => {
            room(state)?;
            state.put(key, value.as_slice());
            Ok(OK.into())
        }
        KvAction::Append(more) => {
            let value = state.get(&key).ok_or_else(missing)?;
            bounded(VALUE_TOO_LARGE, value.len().saturating_add(more.len()), KV_VALUE_BYTES_MAX)?;
            room(state)?;
            state.put(key, [&value, more.as_slice()].concat());
            Ok(OK.into())
        }
        KvAction::Slice { start, end } => {
            let value = state.get(&key).ok_or_else(missing)?;
            let kept = slice(&value, *start, *end)
                .ok_or_else(|| Failure::new(Code::new("bad-range"), &[u64::from(*start), u64::from(*end), value.len() as u64]))?;
            state.put(key, kept);
            Ok(kept.to_vec())
        }
    }
}

fn bounded(code: Code, len: usize, max: usize) -> Result<(), Failure> {
    if len > max { Err(Failure::new(code, &[len as u64, max as u64])) } else { Ok(()) }
}

fn room(state: &Overlay<'_>) -> Result<(), Failure> {
    if state.is_full() { Err(state_full()) } else { Ok(()) }
}

fn missing() -> Failure {
    Failure::new(Code::new("missing-key"), &[])
}

/// `value[start..end]`, `None` where there is no such range.
fn slice(value: &[u8], start: u32, end: u32) -> Option<&[u8]> {
    let range: Range<usize> = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    value.get(range)
}
