//! PERM-1: no committed block holds a transaction of an account that the state before the block does not let send, nor more of one account than
//! that state allows.
//!
//! Follows the permissions through the committed chain: the genesis, and every change of one that took effect. Changes by proposal are not followed,
//! because no world has them.

use std::collections::{BTreeMap, BTreeSet};

use quorate_types::{
    codec,
    genesis::{Genesis, Parameters},
    governance::ChainOperation,
    header::Header,
    ids::{Address, TxId},
    permission::{Access, PermissionChange, Role},
    receipt::Receipt,
    round::{Epoch, Height},
    transaction::{PAYLOAD_BYTES_MAX, Target, Transaction},
    verify::Verifier,
};

use super::{Invariant, Observation};

/// What an account may do.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    sends: bool,
    grants: bool,
    is_frozen: bool,
    most: u32,
}

/// Checker of PERM-1.
#[derive(Debug)]
pub struct OnlyPermitted {
    accounts: BTreeMap<Address, Account>,
    signed: BTreeMap<TxId, Transaction>,
    height: Height,
    /// Of each epoch: who speaks for a member, and the parameters.
    epochs: BTreeMap<Epoch, (BTreeSet<Address>, Parameters)>,
}

impl OnlyPermitted {
    /// For the network of this genesis.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let account = |permission: &quorate_types::permission::Permission| Account {
            sends: permission.send,
            grants: permission.grant,
            is_frozen: permission.frozen,
            most: permission.transactions_max.into(),
        };
        let operators = genesis.validators.iter().filter_map(|entry| entry.validator.operator).collect();
        Self {
            accounts: genesis.permissions.iter().map(|(address, permission)| (*address, account(permission))).collect(),
            signed: BTreeMap::new(),
            height: Height(0),
            epochs: BTreeMap::from([(Epoch(0), (operators, genesis.parameters))]),
        }
    }

    fn enter(&mut self, verifier: &Verifier) {
        let operators = verifier.committee().members().filter_map(|(_, member)| member.operator).collect();
        self.epochs.insert(verifier.committee().epoch(), (operators, *verifier.parameters()));
    }

    fn block(&mut self, header: &Header, receipts: &[Receipt]) -> Result<(), String> {
        self.height = header.height;
        let Some((operators, parameters)) = self.epochs.get(&header.epoch) else {
            return Err(format!("block {} is of epoch {}, which nobody has entered", header.height, header.epoch));
        };
        let share = u64::from(parameters.block_transactions_max).saturating_mul(parameters.account_block_percent.into()) / 100;
        let mut counts: BTreeMap<Address, u64> = BTreeMap::new();
        let mut changes = Vec::new();
        for receipt in receipts {
            // Whether anybody signed it is EXEC-2's concern.
            let Some(transaction) = self.signed.get(&receipt.tx_id) else { continue };
            let sender = transaction.sender();
            let account = self.accounts.get(&sender).copied().unwrap_or_default();
            let has_role = parameters.access == Access::Open || account.sends || account.grants;
            if !operators.contains(&sender) && (account.is_frozen || !has_role) {
                return Err(format!("block {} holds transaction {} of {sender}, which may not send", header.height, receipt.tx_id));
            }
            let count = counts.entry(sender).or_default();
            *count = count.saturating_add(1);
            let most = if account.most == 0 { share.max(1) } else { account.most.into() };
            if *count > most {
                return Err(format!("block {} holds more than {most} transactions of {sender}", header.height));
            }
            if transaction.content().target == Target::Chain && receipt.outcome.is_applied() {
                let operation = codec::decode(&transaction.content().payload, PAYLOAD_BYTES_MAX);
                if let Ok(ChainOperation::Permit { account, change }) = operation {
                    changes.push((account, change));
                }
            }
        }
        for (account, change) in changes {
            let account = self.accounts.entry(account).or_default();
            match change {
                PermissionChange::Grant(Role::Send) => account.sends = true,
                PermissionChange::Revoke(Role::Send) => account.sends = false,
                PermissionChange::Grant(Role::Grant) => account.grants = true,
                PermissionChange::Revoke(Role::Grant) => account.grants = false,
                PermissionChange::Freeze => account.is_frozen = true,
                PermissionChange::Unfreeze => account.is_frozen = false,
                PermissionChange::LimitTransactions(most) => account.most = most.into(),
                PermissionChange::LimitState(_) => {}
            }
        }
        Ok(())
    }
}

impl Invariant for OnlyPermitted {
    fn id(&self) -> &'static str {
        "PERM-1"
    }

    fn observe(&mut self, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Signed { transaction } => {
                self.signed.insert(transaction.id(), (*transaction).clone());
            }
            Observation::Entered { verifier, .. } => self.enter(verifier),
            // TREE-1 makes every validator commit the same blocks, so each is looked at once.
            Observation::Committed { blocks, .. } => {
                for (header, receipts) in *blocks {
                    if header.height.0 == self.height.0.saturating_add(1) {
                        self.block(header, receipts)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
