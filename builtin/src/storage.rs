//! Accounting of the state that each account holds, and of the deposit for it (STATE-1).
//!
//! Every entry that the [bank](crate::bank) and the [key-value store](crate::kv) write is held by one account, whose record counts it. An
//! account holds its own record, its own keys, and the shared keys that it wrote last. Writing a shared key takes it over, with its cost, from
//! the previous holder; a deleted key costs nothing. So the counts of all accounts add up to the size of the state.
//!
//! An account's count grows only up to `account_bytes_max`, and only while its balance covers the deposit for everything it holds. It may
//! always shrink.

use std::sync::Arc;

use quorate_app::{State, permissions};
use quorate_types::{
    crypto::Hash,
    failure::{Code, Failure},
    ids::Address,
    state_key::entry_size,
};

use crate::{
    account::{self, Account},
    keys::{holder_key, kv_key},
    operation::KvSpace,
    settings::Settings,
};

/// Sets the value of a key-value entry; the writer holds the entry from now on.
///
/// # Errors
/// [`Failure`]: the account may not hold that much. The caller must roll back what was written meanwhile.
pub(crate) fn put(
    state: &mut State<'_>,
    settings: &Settings,
    writer: &Address,
    space: KvSpace,
    name: &[u8],
    value: Arc<[u8]>,
) -> Result<(), Failure> {
    let key = kv_key(space, writer, name);
    let before = size(state, &key);
    let after = entry_size(&key, &value);
    match space {
        KvSpace::Own => hold(state, settings, writer, before, after)?,
        KvSpace::Shared => {
            let holder = Holder::of(state, name);
            if holder.address == Some(*writer) {
                hold(state, settings, writer, before, after)?;
            } else {
                holder.release(state, before);
                let entry = writer.0.as_bytes();
                hold(state, settings, writer, 0, after.saturating_add(entry_size(&holder.key, entry)))?;
                state.put(holder.key, *entry);
            }
        }
    }
    state.put(key, value);
    Ok(())
}

/// Removes a key-value entry; does nothing if there is none.
pub(crate) fn delete(state: &mut State<'_>, sender: &Address, space: KvSpace, name: &[u8]) {
    let key = kv_key(space, sender, name);
    let before = size(state, &key);
    match space {
        KvSpace::Own => release(state, sender, before),
        KvSpace::Shared => {
            let holder = Holder::of(state, name);
            holder.release(state, before);
            if holder.address.is_some() {
                state.delete(holder.key);
            }
        }
    }
    state.delete(key);
}

/// The holder of a shared entry.
struct Holder {
    /// Key of the entry that names the holder.
    key: Box<[u8]>,
    address: Option<Address>,
    /// Size of the entry that names the holder.
    size: u64,
}

impl Holder {
    fn of(state: &State<'_>, name: &[u8]) -> Self {
        let key = holder_key(name);
        let entry = state.get(&key);
        let size = entry.as_ref().map_or(0, |entry| entry_size(&key, entry));
        let address = entry.and_then(|entry| <[u8; 32]>::try_from(&*entry).ok()).map(|bytes| Address(Hash(bytes)));
        Self { key, address, size }
    }

    /// Takes the entry, whose value has this size, off the holder's count.
    fn release(&self, state: &mut State<'_>, value: u64) {
        if let Some(address) = &self.address {
            release(state, address, value.saturating_add(self.size));
        }
    }
}

/// Size of an entry; 0 if there is none.
fn size(state: &State<'_>, key: &[u8]) -> u64 {
    state.get(key).map_or(0, |value| entry_size(key, &value))
}

/// Counts an entry of size `after` for the account in place of one of size `before`.
fn hold(state: &mut State<'_>, settings: &Settings, holder: &Address, before: u64, after: u64) -> Result<(), Failure> {
    let account = account::account(state, holder);
    let stored = account.stored.saturating_sub(before).saturating_add(after);
    if stored > account.stored {
        let own_max = permissions::of(state, holder).state_bytes_max;
        let max = if own_max == 0 { settings.account_bytes_max } else { own_max };
        if stored > max {
            return Err(Failure::new(Code::new("account-state-full"), &[stored, max]));
        }
        let deposit = settings.deposit(stored);
        if account.balance < deposit {
            return Err(Failure::new(Code::new("deposit-not-covered"), &[account.balance, deposit]));
        }
    }
    if stored != account.stored {
        account::put(state, holder, Account { stored, ..account });
    }
    Ok(())
}

/// Takes an entry of this size off the account's count.
fn release(state: &mut State<'_>, holder: &Address, size: u64) {
    let account = account::account(state, holder);
    if size > 0 {
        account::put(state, holder, Account { stored: account.stored.saturating_sub(size), ..account });
    }
}
