//! What accounts may do: reads and changes the permissions in their records, and says who may send what in a block.
//!
//! Whether a transaction may be in a block depends on the state before the block alone. So a leader knows it when it chooses transactions, and
//! a permission given or taken in a block counts from the next one.

use std::ops::Bound;

use quorate_types::{
    crypto::Hash,
    epoch::EpochState,
    failure::{Code, Failure},
    ids::Address,
    permission::{Permission, PermissionChange},
    round::Sequence,
    state_key::{AccountRecord, PERMITTED, permitted_key},
};

use crate::{
    accounts,
    machine::Machine,
    state::{State, StateRead},
};

/// What the state before a block lets an account send in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The number of the account's next transaction.
    pub next: Sequence,
    /// Most transactions of it in the block.
    pub transactions_max: u32,
}

/// The permission of an account.
#[must_use]
pub fn of(state: &dyn StateRead, account: &Address) -> Permission {
    accounts::find(state, account).map_or_else(Permission::default, |record| record.permission())
}

/// Whether an account with this permission may send in an epoch.
///
/// # Errors
/// [`Failure`]: it is frozen, or the chain is permissioned and it has no role.
pub fn may_send(permission: Permission, epoch: &EpochState, account: &Address) -> Result<(), Failure> {
    // Whoever governs the chain can always send: nobody could undo a mistake otherwise.
    if permission.may_send(epoch.parameters.access) || epoch.governs(account) {
        return Ok(());
    }
    Err(Failure::new(Code::new(if permission.frozen { "account-frozen" } else { "not-permitted" }), &[]))
}

/// What an account may send in a block on this state, in this epoch.
///
/// # Errors
/// [`Failure`]: nothing, as [`may_send`] says.
pub fn standing(state: &dyn StateRead, epoch: &EpochState, account: &Address) -> Result<Standing, Failure> {
    let record = accounts::find(state, account).unwrap_or_default();
    let permission = record.permission();
    may_send(permission, epoch, account)?;
    let share = epoch.parameters.account_transactions_max();
    let transactions_max = if permission.transactions_max == 0 { share } else { permission.transactions_max.into() };
    Ok(Standing { next: record.sequence(), transactions_max })
}

/// Changes the permission of an account on behalf of one that has the role to grant, in a state that may hold so many bytes.
pub(crate) fn permit(
    state: &mut State<'_>,
    machine: &Machine,
    bytes_max: u64,
    sender: &Address,
    account: &Address,
    change: PermissionChange,
) -> Result<(), Failure> {
    if !of(state, sender).grant {
        return Err(Failure::new(Code::new("may-not-grant"), &[]));
    }
    if change.needs_authority(of(state, account)) {
        return Err(Failure::new(Code::new("needs-authority"), &[]));
    }
    // One account must not fill the state with others that nobody deletes.
    if state.size() >= bytes_max && accounts::find(state, account).is_none() {
        return Err(Failure::new(Code::new("state-full"), &[]));
    }
    set(state, machine, account, change)
}

/// Changes the permission of an account, and creates the account if there is none.
pub(crate) fn set(state: &mut State<'_>, machine: &Machine, account: &Address, change: PermissionChange) -> Result<(), Failure> {
    let record = changed(state, machine, account, change)?;
    put(state, account, record);
    Ok(())
}

/// Writes the record of an account, and whether it has a permission of its own.
pub(crate) fn put(state: &mut State<'_>, account: &Address, record: AccountRecord) {
    let listed = (record.permission() != Permission::default()).then(|| [].into());
    state.write_chain(&permitted_key(account), listed);
    accounts::put(state, account, record);
}

/// The accounts with a permission of their own that come after one, in ascending order, at most `max`.
#[must_use]
pub fn listed(state: &dyn StateRead, after: Option<&Address>, max: usize) -> Vec<Address> {
    let mut found = Vec::new();
    let mut from: Bound<Vec<u8>> = after.map_or_else(|| Bound::Included(PERMITTED.to_vec()), |after| Bound::Excluded(permitted_key(after)));
    while found.len() < max {
        let Some((key, _)) = state.next(from.as_ref().map(Vec::as_slice)) else { break };
        let Some(account) = key.strip_prefix(PERMITTED).and_then(|rest| <[u8; 32]>::try_from(rest).ok()) else { break };
        found.push(Address(Hash(account)));
        from = Bound::Excluded(key.to_vec());
    }
    found
}

/// The record of an account after a change of its permission.
pub(crate) fn changed(
    state: &dyn StateRead,
    machine: &Machine,
    account: &Address,
    change: PermissionChange,
) -> Result<AccountRecord, Failure> {
    let before = of(state, account);
    let after = change.after(before);
    if after == before { Err(Failure::new(Code::new("no-change"), &[])) } else { record(state, machine, account, after) }
}

/// The record of an account with this permission. An account that the application does not let come into being gets none.
pub(crate) fn record(
    state: &dyn StateRead,
    machine: &Machine,
    account: &Address,
    permission: Permission,
) -> Result<AccountRecord, Failure> {
    Ok(match accounts::find(state, account) {
        Some(record) => AccountRecord::new(record.sequence(), permission, record.application()),
        None => AccountRecord::new(Sequence(0), permission, &machine.new_account()?),
    })
}

/// A sentence for people on a failure of this module, with the fix.
pub(crate) fn explain(failure: &Failure) -> Option<String> {
    Some(match failure.code() {
        "not-permitted" => {
            "the chain is permissioned and the sender may not send; ask whoever grants permissions (`quorate permission list`) for the role".into()
        }
        "account-frozen" => "the sender is frozen; ask whoever grants permissions (`quorate permission list`) to unfreeze it".into(),
        "may-not-grant" => {
            "the sender does not have the role to grant; sign with an account that has it, or propose the change (`quorate permission --propose`)".into()
        }
        "needs-authority" => {
            "only a proposal changes the permission of an account that may grant, or gives this role; propose it (`quorate permission --propose`)".into()
        }
        _ => return None,
    })
}
