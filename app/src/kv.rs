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
//! A key of more than [`KV_KEY_BYTES_MAX`] or a value of more than [`KV_VALUE_BYTES_MAX`] bytes fails with `too-large`, and so does an
//! `append` that would make one. When the state is full, `put` and `append` fail with `state-full`. Whoever writes holds the entry from then
//! on ([`crate::storage`]): what would let the account hold more than it may fails with `account-state-full`, and what its balance does not
//! cover with `deposit-not-covered`.

use std::ops::Range;

use quorate_types::{
    genesis::StateLimits,
    ids::Address,
    operation::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, KvAction, KvOperation},
    receipt::Outcome,
    state_key::kv_key,
};

use crate::{
    application::TxRejected,
    built_in::OK,
    state::{Overlay, StateRead},
    storage,
};

/// What can be said of an operation before it meets its state.
pub(crate) fn check(operation: &KvOperation) -> Result<(), TxRejected> {
    bounded("key", operation.key.len(), KV_KEY_BYTES_MAX)?;
    match &operation.action {
        KvAction::Put(value) | KvAction::Append(value) => bounded("value", value.len(), KV_VALUE_BYTES_MAX),
        KvAction::Get | KvAction::Slice { .. } | KvAction::Delete => Ok(()),
    }
}

/// Executes an operation.
pub(crate) fn execute(state: &mut Overlay<'_>, limits: &StateLimits, sender: &Address, operation: &KvOperation) -> Outcome {
    match run(state, limits, sender, operation) {
        Ok(answer) => Outcome::Applied(answer),
        Err(Failure { code, reason }) => Outcome::failed(code, reason),
    }
}

struct Failure {
    code: &'static str,
    reason: String,
}

impl From<TxRejected> for Failure {
    fn from(error: TxRejected) -> Self {
        Self { code: error.code(), reason: error.to_string() }
    }
}

fn run(state: &mut Overlay<'_>, limits: &StateLimits, sender: &Address, operation: &KvOperation) -> Result<Vec<u8>, Failure> {
    check(operation)?;
    let KvOperation { space, key: name, action } = operation;
    let key = kv_key(*space, sender, name);
    match action {
        KvAction::Get => Ok(state.get(&key).map_or_else(Vec::new, |value| value.to_vec())),
        KvAction::Delete => {
            storage::delete(state, sender, *space, name);
            Ok(OK.into())
        }
        KvAction::Put(value) => {
            room(state, limits)?;
            storage::put(state, limits, sender, *space, name, value.as_slice().into())?;
            Ok(OK.into())
        }
        KvAction::Append(more) => {
            let value = state.get(&key).ok_or_else(missing)?;
            bounded("value", value.len().saturating_add(more.len()), KV_VALUE_BYTES_MAX)?;
            room(state, limits)?;
            storage::put(state, limits, sender, *space, name, [&value, more.as_slice()].concat().into())?;
            Ok(OK.into())
        }
        KvAction::Slice { start, end } => {
            let value = state.get(&key).ok_or_else(missing)?;
            let kept = slice(&value, *start, *end).ok_or_else(|| Failure {
                code: "bad-range",
                reason: format!("{start}..{end} is no range of a value of {} bytes", value.len()),
            })?;
            storage::put(state, limits, sender, *space, name, kept.into())?;
            Ok(kept.to_vec())
        }
    }
}

fn bounded(what: &'static str, len: usize, max: usize) -> Result<(), TxRejected> {
    if len > max { Err(TxRejected::TooLarge { what, len, max }) } else { Ok(()) }
}

fn room(state: &Overlay<'_>, limits: &StateLimits) -> Result<(), TxRejected> {
    if state.size() >= limits.bytes_max { Err(TxRejected::StateFull) } else { Ok(()) }
}

fn missing() -> Failure {
    Failure { code: "missing-key", reason: "there is no such key; `put` it first".into() }
}

/// `value[start..end]`, `None` where there is no such range.
fn slice(value: &[u8], start: u32, end: u32) -> Option<&[u8]> {
    let range: Range<usize> = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    value.get(range)
}
