//! `quorate permission`: who may do what on the chain.

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_client::light::Certificate;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    ids::Address,
    permission::{Permission, PermissionChange, Role},
    rpc::PERMITTED_MAX,
};
use serde::Serialize;

use crate::{
    accounts::{Accounts, Party},
    command::SendArgs,
    network::{Network, NetworkArgs},
    validator::change::{self, Wish},
    view::Verified,
};

/// Most accounts that are listed.
const LISTED_MAX: usize = 10_000;

/// Show what accounts may do, and change it.
#[derive(Clone, Debug, Args)]
pub struct PermissionCommand {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(subcommand)]
    action: PermissionAction,
}

/// The command.
#[derive(Clone, Debug, Subcommand)]
pub enum PermissionAction {
    /// List the accounts that somebody has given a permission or a limit.
    List,
    /// Show what an account may do.
    Show {
        /// Name or address of the account.
        #[arg(value_name = "ACCOUNT")]
        account: Party,
    },
    /// Give an account a role.
    Grant(RoleArgs),
    /// Take a role from an account.
    Revoke(RoleArgs),
    /// Keep an account from sending, whatever its roles.
    Freeze(ChangeArgs),
    /// Let a frozen account send again.
    Unfreeze(ChangeArgs),
    /// Limit an account: how many transactions it may have in a block, or how much of the state it may hold; 0 removes the limit.
    Limit(LimitArgs),
}

/// Whose permission changes, and how.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Name or address of the account.
    #[arg(value_name = "ACCOUNT")]
    account: Party,
    /// Propose it to those who decide on proposals, instead of doing it with the role to grant.
    #[arg(long)]
    propose: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `grant`, `revoke`.
#[derive(Clone, Debug, Args)]
pub struct RoleArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// The role: to `send` transactions, or to `grant` permissions to others, which only a proposal gives and takes.
    #[arg(long, value_name = "ROLE", default_value = "send", value_parser = role)]
    role: Role,
}

/// `limit`.
#[derive(Clone, Debug, Args)]
#[group(id = "limited", required = true, multiple = false, args = ["transactions", "state_bytes"])]
pub struct LimitArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Most transactions in a block.
    #[arg(long, value_name = "N")]
    transactions: Option<u16>,
    /// Most bytes of the state.
    #[arg(long, value_name = "BYTES")]
    state_bytes: Option<u64>,
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "send" => Ok(Role::Send),
        "grant" => Ok(Role::Grant),
        _ => Err("it is send or grant".into()),
    }
}

impl PermissionCommand {
    /// Runs the command on a network of this application.
    ///
    /// # Errors
    /// [`CommandError`], with its exit code.
    pub async fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let accounts = Accounts::open(&self.network.home()?);
        // The genesis first: without it nothing could be verified, so nothing should be sent.
        let network = self.network.open_for(app, &accounts, out).await?;
        let (args, change) = match self.action {
            PermissionAction::List => return list(&network, out).await,
            PermissionAction::Show { account } => return show(&network, accounts.resolve(&account)?, out).await,
            PermissionAction::Grant(RoleArgs { change, role }) => (change, PermissionChange::Grant(role)),
            PermissionAction::Revoke(RoleArgs { change, role }) => (change, PermissionChange::Revoke(role)),
            PermissionAction::Freeze(change) => (change, PermissionChange::Freeze),
            PermissionAction::Unfreeze(change) => (change, PermissionChange::Unfreeze),
            PermissionAction::Limit(LimitArgs { change, transactions, state_bytes }) => {
                let limit = transactions.map(PermissionChange::LimitTransactions);
                (change, limit.unwrap_or_else(|| PermissionChange::LimitState(state_bytes.unwrap_or_default())))
            }
        };
        let ChangeArgs { account, propose, send } = args;
        let wish = Wish::Permit { account: accounts.resolve(&account)?, change, is_proposed: propose };
        change::send(app, &network, &accounts, wish, &send, out).await
    }
}

/// What an account may do, as JSON and as the rows of a table.
#[derive(Serialize)]
struct AccountShown {
    account: Address,
    #[serde(flatten)]
    permission: Permission,
}

impl AccountShown {
    const HEADS: [&str; 6] = ["account", "to send", "to grant", "frozen", "transactions in a block", "bytes of state"];

    fn row(&self) -> Vec<String> {
        let Permission { send, grant, frozen, transactions_max, state_bytes_max } = self.permission;
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let limit = |max: u64| if max == 0 { "as all".into() } else { max.to_string() };
        vec![self.account.to_string(), yes(send), yes(grant), yes(frozen), limit(transactions_max.into()), limit(state_bytes_max)]
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    account: AccountShown,
    verified: Verified<'a>,
}

async fn show(network: &Network, account: Address, out: &Output) -> Result<(), CommandError> {
    let (permission, certificate) = read(network, account).await?;
    let verified = Verified::new(&certificate, network.genesis_hash());
    let shown = Shown { account: AccountShown { account, permission }, verified };
    out.print(&shown, || out.table(&AccountShown::HEADS, [shown.account.row()]))?;
    out.good(format_args!("verified: {certificate}"));
    network.remember(out);
    Ok(())
}

#[derive(Serialize)]
struct ListShown {
    accounts: Vec<AccountShown>,
}

async fn list(network: &Network, out: &Output) -> Result<(), CommandError> {
    let (mut accounts, mut after) = (Vec::new(), None);
    loop {
        let page = network.session.client().permitted(after).await?.accounts;
        let Some(last) = page.last().copied() else { break };
        for account in page.into_iter().take(PERMITTED_MAX as usize) {
            let (permission, _) = read(network, account).await?;
            accounts.push(AccountShown { account, permission });
        }
        // Ascending and bounded, so that no node can keep us here for ever.
        if after >= Some(last) || accounts.len() >= LISTED_MAX {
            break;
        }
        after = Some(last);
    }
    let shown = ListShown { accounts };
    out.print(&shown, || {
        if shown.accounts.is_empty() {
            return "no account has a permission or a limit of its own".into();
        }
        out.table(&AccountShown::HEADS, shown.accounts.iter().map(AccountShown::row))
    })?;
    out.note("each permission is proved; that the list is complete is what the node says");
    network.remember(out);
    Ok(())
}

async fn read(network: &Network, account: Address) -> Result<(Permission, Certificate), CommandError> {
    let (record, certificate) = network.session.account_verified(account).await?.into_parts();
    Ok((record.permission(), certificate))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        output: quorate_terminal::OutputArgs,
        #[command(flatten)]
        command: PermissionCommand,
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        let good: [&[&str]; 7] = [
            &["list", "-o", "json"],
            &["show", "alice"],
            &["grant", "alice", "--from", "faucet"],
            &["grant", "alice", "--role", "grant", "--propose"],
            &["revoke", "alice"],
            &["freeze", "alice", "--timeout", "9"],
            &["limit", "alice", "--transactions", "5"],
        ];
        for arguments in good {
            Program::try_parse_from([&["permission"], arguments].concat()).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        }
        let bad: [&[&str]; 5] = [
            &["grant"],
            &["grant", "alice", "--role", "read"],
            &["limit", "alice"],
            &["limit", "alice", "--transactions", "5", "--state-bytes", "5"],
            &["limit", "alice", "--transactions", "65536"],
        ];
        for arguments in bad {
            assert!(Program::try_parse_from([&["permission"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
