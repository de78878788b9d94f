//! `quorate validator`: what governs the chain as the state proves it, and operations that change it.
//!
//! ```text
//! state, proved ──> committee, open proposals ──> what the change would do, in plain words, and whether the chain would take it
//! operator's key ──sign──> operation ──> committed, proved ──> state, proved ──> votes so far, or the epoch that begins
//! ```

pub(crate) mod change;
pub(crate) mod committee;
mod list;
mod reachable;
pub(crate) mod words;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_app::App;
use quorate_client::Pace;
use quorate_genesis::ParameterArgs;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    committee::POWER_MAX,
    genesis::ParametersChange,
    governance::{Authority, Board, ProposalId},
    ids::{Address, EvidenceId},
};

use self::change::Wish;
use crate::{accounts::Accounts, command::SendArgs, network::NetworkArgs};

/// Show the committee and what else governs the chain, and change it together with the others who decide.
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
    /// Show the open proposals, and how many votes they have.
    Proposals,
    /// Propose another voting power for a member; 0 makes it an observer.
    ProposePower(ProposePowerArgs),
    /// Propose a new member.
    ProposeAdd(ProposeAddArgs),
    /// Propose to remove a member.
    ProposeRemove(ProposeRemoveArgs),
    /// Replace a member's entry, keys included; its power stays. Its own operator needs nobody's approval.
    Replace(ReplaceArgs),
    /// Move a member of yours to another address, at once and without a new epoch.
    Move(MoveArgs),
    /// Propose other parameters of the chain.
    ProposeParameters(ProposeParametersArgs),
    /// Propose who decides on proposals: a board, or the operators of voters.
    ProposeAuthority(ProposeAuthorityArgs),
    /// Propose to go over to the next version of the protocol.
    ProposeVersion(VersionArgs),
    /// Say up to which version of the protocol the programs of your members speak it.
    Speak(VersionArgs),
    /// Approve a proposal.
    Approve(ApproveArgs),
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
    /// Propose it even if the validators that are reachable now would be less than a quorum.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-remove`.
#[derive(Clone, Debug, Args)]
pub struct ProposeRemoveArgs {
    /// Seat or name of the member.
    #[arg(value_name = "SEAT_OR_NAME")]
    member: String,
    /// Evidence against it, from `evidence list`: the proposal carries it, so that everybody can check it.
    #[arg(long, value_name = "ID")]
    evidence: Option<EvidenceId>,
    /// Propose it even if the validators that are reachable now would be less than a quorum.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `move`.
#[derive(Clone, Debug, Args)]
pub struct MoveArgs {
    /// Seat or name of the member.
    #[arg(value_name = "SEAT_OR_NAME")]
    member: String,
    /// Address where other validators reach it from now on, such as /ip4/10.0.0.1/tcp/6180 or /dns4/node.example.org/tcp/6180.
    #[arg(value_name = "MULTIADDRESS")]
    address: String,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-parameters`.
#[derive(Clone, Debug, Args)]
pub struct ProposeParametersArgs {
    #[command(flatten)]
    parameters: ParameterArgs,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-authority`.
#[derive(Clone, Debug, Args)]
pub struct ProposeAuthorityArgs {
    /// Let the operators of voters decide, with a quorum of the power.
    #[arg(long, conflicts_with_all = ["board", "board_needs"], required_unless_present = "board")]
    operators: bool,
    /// Account of a board that is to decide; repeat it.
    #[arg(long = "board", value_name = "ADDRESS", requires = "board_needs")]
    board: Vec<Address>,
    /// How many of the board must approve a proposal.
    #[arg(long, value_name = "N", requires = "board")]
    board_needs: Option<u16>,
    #[command(flatten)]
    send: SendArgs,
}

/// `propose-version`, `speak`.
#[derive(Clone, Debug, Args)]
pub struct VersionArgs {
    /// The version.
    version: u32,
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

/// `approve`.
#[derive(Clone, Debug, Args)]
pub struct ApproveArgs {
    #[command(flatten)]
    vote: VoteArgs,
    /// Approve it even if the validators that are reachable now would be less than a quorum.
    #[arg(long)]
    force: bool,
}

/// `reject`, `withdraw`.
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
            ValidatorAction::ProposeAdd(args) => (Wish::Add { file: args.file, force: args.force }, args.send),
            ValidatorAction::ProposeRemove(args) => {
                (Wish::Remove { member: args.member, evidence: args.evidence, force: args.force }, args.send)
            }
            ValidatorAction::Replace(args) => (Wish::Replace { member: args.member, file: args.file }, args.send),
            ValidatorAction::Move(args) => (Wish::Move { member: args.member, address: args.address }, args.send),
            ValidatorAction::ProposeParameters(args) => {
                let change = args.parameters.change();
                if change == ParametersChange::default() {
                    let usage = CommandError::usage("no parameter is named");
                    return Err(usage.with_hint(
                        "name one or more, such as --timeout-base-ms 500; `quorate validator propose-parameters --help` lists them",
                    ));
                }
                (Wish::Parameters(change), args.send)
            }
            ValidatorAction::ProposeAuthority(args) => {
                let board = args.board_needs.map(|needed| Board { members: args.board.into_iter().collect(), needed });
                (Wish::Authority(board.map_or(Authority::Operators, Authority::Board)), args.send)
            }
            ValidatorAction::ProposeVersion(args) => (Wish::Version(args.version), args.send),
            ValidatorAction::Speak(args) => (Wish::Speak(args.version), args.send),
            ValidatorAction::Approve(ApproveArgs { vote: args, force }) => {
                (Wish::Approve { proposal: ProposalId(args.id), force }, args.send)
            }
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
        let board = format!("0x{}", "ab".repeat(32));
        let good: [&[&str]; 18] = [
            &["list", "-o", "json", "--node", "http://a:1"],
            &["--genesis", "g.json", "proposals"],
            &["propose-power", "v2", "5", "--from", "alice", "--timeout", "9"],
            &["propose-power", "2", "0", "--force"],
            &["propose-add", "w.fragment.json", "--from", "alice", "--force"],
            &["propose-remove", "v2", "--force"],
            &["propose-remove", "v2", "--evidence", &"ab".repeat(32)],
            &["move", "v2", "/dns4/v2.example.org/tcp/6180"],
            &["propose-parameters", "--timeout-base-ms", "500", "--access", "permissioned", "--from", "alice"],
            &["propose-parameters", "--state-bytes-max", "1048576"],
            &["propose-authority", "--operators"],
            &["propose-authority", "--board", &board, "--board-needs", "1"],
            &["propose-version", "2"],
            &["speak", "2"],
            &["replace", "2", "w.fragment.json"],
            &["approve", "3", "--expires-in", "5", "--force"],
            &["reject", "3"],
            &["withdraw", "18446744073709551615"],
        ];
        for arguments in good {
            Program::try_parse_from([&["validator"], arguments].concat()).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        }
        let too_much = (POWER_MAX + 1).to_string();
        let bad: [&[&str]; 12] = [
            &["propose-parameters", "--access", "closed"],
            &["propose-authority"],
            &["propose-authority", "--board", &board],
            &["propose-authority", "--operators", "--board", &board, "--board-needs", "1"],
            &["move", "v2"],
            &["propose-power", "v2"],
            &["propose-power", "v2", &too_much],
            &["propose-power", "v2", "-1"],
            &["replace", "v2"],
            &["approve", "v2"],
            &["reject", "3", "--force"],
            &["move", "v2", "/ip4/10.0.0.1/tcp/1", "--force"],
        ];
        for arguments in bad {
            assert!(Program::try_parse_from([&["validator"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
