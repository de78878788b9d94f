//! What accounts may do.
//!
//! A chain is open to every key, or permissioned: then an account needs the role to send. On both, accounts can be frozen and given limits of
//! their own. A permission is a part of the account's record, so it is proved together with the sequence number.

use serde::{Deserialize, Serialize};

/// Who may send transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Every key.
    #[default]
    Open,
    /// Accounts with [`Role::Send`] or [`Role::Grant`].
    Permissioned,
}

/// Something that an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Send transactions on a permissioned chain.
    Send,
    /// Change the permissions of accounts that do not have this role. Only the authority that decides on proposals gives or takes it.
    Grant,
}

/// What an account may do. The default is that of an account that nobody has given anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Permission {
    /// Whether it has [`Role::Send`].
    pub send: bool,
    /// Whether it has [`Role::Grant`].
    pub grant: bool,
    /// Whether it may send nothing, whatever else it may do.
    pub frozen: bool,
    /// Most transactions of it in a block; 0: its share by the chain's parameters.
    pub transactions_max: u16,
    /// Most bytes of the state that it may hold; 0: the application's limit.
    pub state_bytes_max: u64,
}

/// Length of an encoded [`Permission`], in bytes.
pub const PERMISSION_BYTES: usize = 13;

impl Permission {
    /// Whether the account may send transactions, unless it governs the chain: those who do may always.
    #[must_use]
    pub const fn may_send(&self, access: Access) -> bool {
        let allowed = match access {
            Access::Open => true,
            Access::Permissioned => self.send || self.grant,
        };
        allowed && !self.frozen
    }

    /// Its encoding: three bytes that are 0 or 1, and two numbers, little-endian.
    pub(crate) fn encode(self) -> [u8; PERMISSION_BYTES] {
        let mut bytes = [0; PERMISSION_BYTES];
        let roles = [self.send, self.grant, self.frozen].map(u8::from);
        let fields = roles.into_iter().chain(self.transactions_max.to_le_bytes()).chain(self.state_bytes_max.to_le_bytes());
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        bytes
    }

    /// Reads an encoding. Any byte but 0 stands for yes.
    pub(crate) fn decode(bytes: &[u8; PERMISSION_BYTES]) -> Self {
        let [send, grant, frozen, low, high, size @ ..] = *bytes;
        Self {
            send: send != 0,
            grant: grant != 0,
            frozen: frozen != 0,
            transactions_max: u16::from_le_bytes([low, high]),
            state_bytes_max: u64::from_le_bytes(size),
        }
    }
}

/// A change of one account's permission. It names what changes, not the result, so that two changes under way at once do not undo each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionChange {
    /// Gives it a role.
    Grant(Role),
    /// Takes a role from it.
    Revoke(Role),
    /// Keeps it from sending.
    Freeze,
    /// Ends [`Self::Freeze`].
    Unfreeze,
    /// Sets [`Permission::transactions_max`].
    LimitTransactions(u16),
    /// Sets [`Permission::state_bytes_max`].
    LimitState(u64),
}

impl PermissionChange {
    /// The permission afterwards.
    #[must_use]
    pub const fn after(self, mut permission: Permission) -> Permission {
        match self {
            Self::Grant(Role::Send) => permission.send = true,
            Self::Grant(Role::Grant) => permission.grant = true,
            Self::Revoke(Role::Send) => permission.send = false,
            Self::Revoke(Role::Grant) => permission.grant = false,
            Self::Freeze => permission.frozen = true,
            Self::Unfreeze => permission.frozen = false,
            Self::LimitTransactions(max) => permission.transactions_max = max,
            Self::LimitState(max) => permission.state_bytes_max = max,
        }
        permission
    }

    /// Whether only the authority may make this change of an account with this permission: it concerns who may grant.
    #[must_use]
    pub const fn needs_authority(self, before: Permission) -> bool {
        before.grant || matches!(self, Self::Grant(Role::Grant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_permission_has_golden_bytes() {
        let permission = Permission { send: true, grant: false, frozen: true, transactions_max: 0x0102, state_bytes_max: 7 };
        assert_eq!(hex::encode(permission.encode()), "01000102010700000000000000");
        assert_eq!(permission.encode().to_vec(), codec::encode(&permission));
        assert_eq!(Permission::decode(&permission.encode()), permission);
    }

    #[test]
    fn who_may_send() {
        let (none, send, grant) = (
            Permission::default(),
            Permission { send: true, ..Permission::default() },
            Permission { grant: true, ..Permission::default() },
        );
        for (permission, open, permissioned) in [(none, true, false), (send, true, true), (grant, true, true)] {
            assert_eq!((permission.may_send(Access::Open), permission.may_send(Access::Permissioned)), (open, permissioned));
            let frozen = PermissionChange::Freeze.after(permission);
            assert!(!frozen.may_send(Access::Open) && !frozen.may_send(Access::Permissioned));
            assert_eq!(PermissionChange::Unfreeze.after(frozen), permission);
        }
    }

    #[test]
    fn whoever_may_grant_is_out_of_the_reach_of_others_who_may() {
        let grant = Permission { grant: true, ..Permission::default() };
        let changes = [
            PermissionChange::Grant(Role::Send),
            PermissionChange::Revoke(Role::Send),
            PermissionChange::Revoke(Role::Grant),
            PermissionChange::Freeze,
            PermissionChange::Unfreeze,
            PermissionChange::LimitTransactions(1),
            PermissionChange::LimitState(1),
        ];
        for change in changes {
            assert!(change.needs_authority(grant) && !change.needs_authority(Permission::default()), "{change:?}");
        }
        assert!(PermissionChange::Grant(Role::Grant).needs_authority(Permission::default()));
    }
}
