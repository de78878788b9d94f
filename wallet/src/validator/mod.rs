//! `quorate validator`: the committee as the state proves it, and operations that change it.
//!
//! ```text
//! state, proved ──> committee, open proposals ──> what the change would do, in plain words, and whether the chain would take it
//! operator's key ──sign──> operation ──> committed, proved ──> state, proved ──> votes so far, or the epoch that begins
//! ```

mod change;
mod committee;
mod list;
mod reachable;
mod words;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_client::Pace;
use quorate_terminal::{CommandError, Output};
use quorate_types::{committee::POWER_MAX, governance::ProposalId};

use self::change::Wish;
use crate::{accounts::Accounts, command::SendArgs, network::NetworkArgs};

/// Show the committee, and change it together with the operators of other validators.
#[derive(Clone, Debug, Args)]
pub struct ValidatorCommand {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(subcommand)]
    action: ValidatorAction,
}

/// The command.
#[derive(Clone, Debug, Subcommand)]
pub enum ValidatorAction {
    /// Show the members of the committee, with their seats and their voting power.
    List,
    /// Show the open proposals to change the committee, and how many votes they have.
    Proposals,
    /// Propose another voting power for a member; 0 makes it an observer.
    ProposePower(ProposePowerArgs),
    /// Propose a new member.
    ProposeAdd(ProposeAddArgs),
    /// Propose to remove a member.
    ProposeRemove(ProposeRemoveArgs),
    /// Replace a member's entry, keys included; its power stays. Its own operator needs nobody's approval.
    Replace(ReplaceArgs),
    /// Approve a proposal.
    Approve(VoteArgs),
    /// Reject a proposal, and take back an approval.
    Reject(VoteArgs),
    /// Withdraw a proposal of your own.
    Withdraw(VoteArgs),
}

/// `propose-power`.
#[derive(Clone, Debug, Args)]
pub struct ProposePowerArgs {
    /// Seat or name of the member.
    #[arg(value_name = "SEAT_OR_NAME")]
    member: String,
    /// Its new voting power.
    #[arg(value_parser = clap::value_parser!(u64).range(0..=POWER_MAX))]
    power: u64,
    /// Propose it even if the validators that are reachable now would be less than a quorum.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-add`.
#[derive(Clone, Debug, Args)]
pub struct ProposeAddArgs {
    /// The new member's entry, from `genesis add-validator` on this network's draft.
    #[arg(value_name = "FRAGMENT_FILE")]
    file: PathBuf,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-remove`.
#[derive(Clone, Debug, Args)]
pub struct ProposeRemoveArgs {
    /// Seat or name of the member.
    #[arg(value_name = "SEAT_OR_NAME")]
    member: String,
    /// Propose it even if the validators that are reachable now would be less than a quorum.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `replace`.
#[derive(Clone, Debug, Args)]
pub struct ReplaceArgs {
    /// Seat or name of the member.
    #[arg(value_name = "SEAT_OR_NAME")]
    member: String,
    /// Its new entry, from `genesis add-validator` on this network's draft; the power in it does not count.
    #[arg(value_name = "FRAGMENT_FILE")]
    file: PathBuf,
    #[command(flatten)]
    send: SendArgs,
}

/// `approve`, `reject`, `withdraw`.
#[derive(Clone, Debug, Args)]
pub struct VoteArgs {
    /// Number of the proposal, from `validator proposals`.
    id: u64,
    #[command(flatten)]
    send: SendArgs,
}

impl ValidatorCommand {
    /// The same with this pace, for tests.
    #[must_use]
    pub const fn with_pace(mut self, pace: Pace) -> Self {
        self.network.pace = pace;
        self
    }

    /// Runs the command on a network of this application.
    ///
    /// # Errors
    /// [`CommandError`], with its exit code.
    pub async fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        let accounts = Accounts::open(&self.network.home()?);
        let vote = |args: VoteArgs, wish: fn(ProposalId) -> Wish| (wish(ProposalId(args.id)), args.send);
        let (wish, send) = match self.action {
            ValidatorAction::List | ValidatorAction::Proposals => {
                let network = self.network.open_for(app, &accounts, out).await?;
                let shown = match self.action {
                    ValidatorAction::List => list::members(&network, out).await,
                    _ => list::proposals(&network, out).await,
                };
                network.remember(out);
                return shown;
            }
            ValidatorAction::ProposePower(args) => (Wish::Power { member: args.member, power: args.power, force: args.force }, args.send),
            ValidatorAction::ProposeAdd(args) => (Wish::Add { file: args.file }, args.send),
            ValidatorAction::ProposeRemove(args) => (Wish::Remove { member: args.member, force: args.force }, args.send),
            ValidatorAction::Replace(args) => (Wish::Replace { member: args.member, file: args.file }, args.send),
            ValidatorAction::Approve(args) => vote(args, Wish::Approve),
            ValidatorAction::Reject(args) => vote(args, Wish::Reject),
            ValidatorAction::Withdraw(args) => vote(args, Wish::Withdraw),
        };
        // The genesis first: without it the result could not be verified, so nothing should be sent.
        let network = self.network.open_for(app, &accounts, out).await?;
        change::send(app, &network, &accounts, wish, &send, out).await
    }
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
        command: ValidatorCommand,
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        let good: [&[&str]; 10] = [
            &["list", "-o", "json", "--node", "http://a:1"],
            &["--genesis", "g.json", "proposals"],
            &["propose-power", "v2", "5", "--from", "alice", "--timeout", "9"],
            &["propose-power", "2", "0", "--force"],
            &["propose-add", "w.fragment.json", "--from", "alice"],
            &["propose-remove", "v2", "--force"],
            &["replace", "2", "w.fragment.json"],
            &["approve", "3", "--expires-in", "5"],
            &["reject", "3"],
            &["withdraw", "18446744073709551615"],
        ];
        for arguments in good {
            Program::try_parse_from([&["validator"], arguments].concat()).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        }
        let too_much = (POWER_MAX + 1).to_string();
        let bad: [&[&str]; 7] = [
            &["propose-power", "v2"],
            &["propose-power", "v2", &too_much],
            &["propose-power", "v2", "-1"],
            &["replace", "v2"],
            &["approve", "v2"],
            &["approve", "3", "--force"],
            &["propose-add", "w.json", "--force"],
        ];
        for arguments in bad {
            assert!(Program::try_parse_from([&["validator"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
