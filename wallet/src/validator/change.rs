//! Sends an operation on the chain, and tells what has become of it.

use std::{path::PathBuf, time::Duration};

use quorate_app::{App, change::after};
use quorate_client::{Session, light::Certificate};
use quorate_genesis::{CeremonyError, file::load_fragment};
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    codec::{self, amount_text},
    committee::VotingPower,
    failure::{Code, Failure},
    genesis::{Genesis, GenesisValidator, ParametersChange},
    governance::{Authority, ChainOperation, Change, OWN_CHANGE_BLOCKS, PROPOSALS_PER_ACCOUNT_MAX, Proposal, ProposalId},
    ids::{Address, EvidenceId, TxId},
    permission::{Permission, PermissionChange},
    receipt::Outcome,
    round::{Epoch, Height},
    rpc::OutcomeView,
};
use serde::Serialize;

use super::{
    committee::{self, Current},
    reachable, words,
};
use crate::{
    accounts::Accounts,
    command::SendArgs,
    evidence,
    network::Network,
    send::{Sender, asks_for},
    view::Verified,
};

/// Longest answer of the chain to an operation, in bytes: the number of a proposal.
const ANSWER_BYTES_MAX: usize = 8;

/// What the user wants.
pub(crate) enum Wish {
    Power { member: String, power: u64, force: bool },
    Add { file: PathBuf, force: bool },
    Remove { member: String, evidence: Option<EvidenceId>, force: bool },
    Replace { member: String, file: PathBuf },
    Parameters(ParametersChange),
    Authority(Authority),
    Version(u32),
    Permit { account: Address, change: PermissionChange, is_proposed: bool },
    Move { member: String, address: String },
    Speak(u32),
    Approve { proposal: ProposalId, force: bool },
    Reject(ProposalId),
    Withdraw(ProposalId),
}

impl Wish {
    /// The operation, and whether it is sent whoever is reachable: those that bring about no other division of power are.
    async fn operation(self, current: &Current, session: &Session) -> Result<(ChainOperation, bool), CommandError> {
        let genesis = session.light().genesis();
        let propose = |change| ChainOperation::Propose(Box::new(change));
        Ok(match self {
            Self::Power { member, power, force } => {
                (propose(Change::Power { seat: current.find(&member)?.id, power: VotingPower(power) }), force)
            }
            Self::Add { file, force } => (propose(Change::Add(entry(&file, genesis)?)), force),
            Self::Remove { member, evidence, force } => {
                let evidence = match evidence {
                    Some(id) => Some(Box::new(evidence::fetch(session, id).await?)),
                    None => None,
                };
                (propose(Change::Remove { seat: current.find(&member)?.id, evidence }), force)
            }
            Self::Replace { member, file } => {
                (propose(Change::Replace { seat: current.find(&member)?.id, entry: entry(&file, genesis)? }), true)
            }
            Self::Parameters(change) => (propose(Change::Parameters(Box::new(change))), true),
            Self::Authority(authority) => (propose(Change::Authority(authority)), true),
            Self::Version(version) => (propose(Change::Version(version)), true),
            Self::Permit { account, change, is_proposed: true } => (propose(Change::Permit { account, change }), true),
            Self::Permit { account, change, is_proposed: false } => (ChainOperation::Permit { account, change }, true),
            Self::Move { member, address } => (ChainOperation::Move { seat: current.find(&member)?.id, address }, true),
            Self::Speak(version) => (ChainOperation::Speak(version), true),
            Self::Approve { proposal, force } => (ChainOperation::Approve(proposal), force),
            Self::Reject(id) => (ChainOperation::Reject(id), true),
            Self::Withdraw(id) => (ChainOperation::Withdraw(id), true),
        })
    }
}

/// The proposal that an operation names.
const fn named_by(operation: &ChainOperation) -> Option<ProposalId> {
    match operation {
        ChainOperation::Approve(id) | ChainOperation::Reject(id) | ChainOperation::Withdraw(id) => Some(*id),
        ChainOperation::Propose(_) | ChainOperation::Permit { .. } | ChainOperation::Move { .. } | ChainOperation::Speak(_) => None,
    }
}

/// Reads a member's entry, and checks that both of its keys have signed it for this network.
fn entry(file: &std::path::Path, genesis: &Genesis) -> Result<GenesisValidator, CommandError> {
    let (fragment, draft) = (load_fragment(file)?, genesis.draft_hash());
    if fragment.draft != draft {
        let name = fragment.validator.validator.name;
        return Err(CeremonyError::OtherDraft { name, fragment: fragment.draft, draft }.into());
    }
    fragment.validator.check(draft).map_err(CeremonyError::from)?;
    Ok(fragment.validator)
}

pub(crate) async fn send(
    app: &App,
    network: &Network,
    accounts: &Accounts,
    wish: Wish,
    args: &SendArgs,
    out: &Output,
) -> Result<(), CommandError> {
    let session = &network.session;
    let from = accounts.sender(args.from.clone())?;
    let address = accounts.public(&from)?.address;
    let current = Current::read(session).await?;
    let (operation, is_forced) = wish.operation(&current, session).await?;
    let named = match named_by(&operation) {
        Some(id) => committee::proposal(session, id).await?,
        None => None,
    };
    let is_sent_already = network.memory.pending(address)?.iter().any(|tx| asks_for(tx, &operation));
    // The chain would refuse these too, but a node's refusal proves nothing. One that was sent already may have changed what is checked here.
    if !is_sent_already {
        check(app, session, &current, address, &operation, named.as_ref()).await?;
    }
    let change = match &operation {
        ChainOperation::Propose(change) => Some(&**change),
        _ => named.as_ref().map(|proposal| &proposal.change),
    };
    if let Some(change) = change {
        out.note(format_args!("the proposal {}", words::change(change, &current.epoch)));
        if !is_forced
            && matches!(change, Change::Power { .. } | Change::Add(_) | Change::Remove { .. })
            && let Ok(next) = after(&current.epoch, change)
            && let Ok(next) = next.committee()
        {
            reachable::check(&next, &session.client().consensus().await?)?;
        }
    }
    let key = accounts.key(&from, &args.passphrase.source())?;
    let (valid_for, timeout) = (Duration::from_secs(args.expires_in), Duration::from_secs(args.timeout));
    let proven = Sender { network, key: &key, valid_for, timeout, is_repeatable: true }.send_to_chain(&operation, out).await?;
    let (placed, certificate) = proven.into_parts();
    let effect = match &placed.receipt.outcome {
        Outcome::Applied(answer) if answer.is_empty() => Some(Effect::Done { proposal: None }),
        Outcome::Applied(answer) => {
            let id = codec::decode(answer, ANSWER_BYTES_MAX).map_err(|error| CommandError::failure("answer", error))?;
            let effect = effect(session, &certificate, id, &operation, change).await;
            Some(effect.unwrap_or_else(|error| {
                out.note(format_args!("what became of the proposal is not proved: {error}"));
                Effect::Unread { proposal: id }
            }))
        }
        Outcome::Failed(_) => None,
    };
    network.remember(out);
    show(app, network, placed.receipt.tx_id, &placed.receipt.outcome, effect.as_ref(), &certificate, out)
}

/// Refuses what the chain would refuse, by the proved state.
async fn check(
    app: &App,
    session: &Session,
    current: &Current,
    sender: Address,
    operation: &ChainOperation,
    named: Option<&Proposal>,
) -> Result<(), CommandError> {
    let refuse_with =
        |failure: &Failure| Err(CommandError::new(Exit::Rejected, failure.code(), format!("{}; nothing was sent", app.explain(failure))));
    let refuse = |code: &'static str, numbers: &[u64]| refuse_with(&Failure::new(Code::new(code), numbers));
    let epoch = &current.epoch;
    match operation {
        ChainOperation::Propose(change) => {
            if !epoch.decides(&sender) && !epoch.is_own(change, &sender) {
                return refuse("not-an-operator", &[]);
            }
            let open = committee::index(session).await?.open;
            if open.iter().filter(|open| open.by == sender).count() >= PROPOSALS_PER_ACCOUNT_MAX {
                return refuse("too-many-proposals", &[PROPOSALS_PER_ACCOUNT_MAX as u64]);
            }
            if let Change::Permit { account, change } = **change {
                let before = permission(session, account).await?;
                return if change.after(before) == before { refuse("no-change", &[]) } else { Ok(()) };
            }
            match after(epoch, change) {
                Ok(next) => next.committee().map(drop).map_err(|error| {
                    let message = format!("the committee would be invalid: {error}; nothing was sent");
                    CommandError::new(Exit::Rejected, "bad-committee", message)
                }),
                Err(failure) => refuse_with(&failure),
            }
        }
        ChainOperation::Permit { account, change } => {
            let before = permission(session, *account).await?;
            if !permission(session, sender).await?.grant {
                refuse("may-not-grant", &[])
            } else if change.needs_authority(before) {
                refuse("needs-authority", &[])
            } else if change.after(before) == before {
                refuse("no-change", &[])
            } else {
                Ok(())
            }
        }
        ChainOperation::Move { seat, .. } if epoch.operator(*seat) != Some(sender) => refuse("not-its-operator", &[seat.0.into()]),
        ChainOperation::Move { address, .. } => Ok(quorate_genesis::address::check(address).map_err(|error| {
            CommandError::new(Exit::Rejected, "bad-address", format!("{address:?} is not an address: {error}; nothing was sent"))
        })?),
        ChainOperation::Speak(_) if epoch.seats_of(&sender).is_empty() => refuse("not-an-operator", &[]),
        ChainOperation::Speak(_) => Ok(()),
        ChainOperation::Approve(id) | ChainOperation::Reject(id) | ChainOperation::Withdraw(id) => match named {
            None => refuse("no-such-proposal", &[id.0]),
            Some(proposal) if matches!(operation, ChainOperation::Withdraw(_)) => {
                if proposal.by == sender {
                    Ok(())
                } else {
                    refuse("not-the-proposer", &[id.0])
                }
            }
            Some(_) if !epoch.decides(&sender) => refuse("not-an-operator", &[]),
            Some(_) => Ok(()),
        },
    }
}

/// What the state says that an account may do.
async fn permission(session: &Session, account: Address) -> Result<Permission, CommandError> {
    Ok(session.account_verified(account).await?.value().permission())
}

/// What has become of a proposal.
#[derive(Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum Effect {
    /// It is open.
    Open {
        proposal: ProposalId,
        #[serde(with = "amount_text")]
        votes: u64,
        #[serde(with = "amount_text")]
        votes_needed: u64,
        /// The approval of the member's own operator is enough, but not so soon after the last change.
        own: bool,
    },
    /// It has taken effect within its epoch.
    Done { proposal: Option<ProposalId> },
    /// It has ended an epoch.
    InForce {
        proposal: ProposalId,
        epoch: Epoch,
        /// The last block of the epoch before, if this operation's block is that.
        after: Option<Height>,
    },
    /// It is closed, and the committee is not as it would have made it.
    Closed { proposal: ProposalId },
    /// Its operator has withdrawn it.
    Withdrawn { proposal: ProposalId },
    /// No node proves it now.
    Unread { proposal: ProposalId },
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open { proposal, votes, votes_needed, own } => {
                write!(f, "proposal {proposal}: {votes} of {votes_needed} votes needed; {} more", votes_needed.saturating_sub(*votes))?;
                if *own {
                    write!(f, ", or approve it again once {OWN_CHANGE_BLOCKS} blocks have passed since the last new epoch")?;
                }
                Ok(())
            }
            Self::Done { .. } => f.write_str("took effect"),
            Self::InForce { epoch, after: Some(last), .. } => {
                write!(f, "took effect: epoch {epoch} begins after block {}", words::grouped(last.0))
            }
            Self::InForce { epoch, after: None, .. } => write!(f, "took effect: epoch {epoch} is in force"),
            Self::Closed { proposal } => write!(f, "proposal {proposal} is closed, without effect"),
            Self::Withdrawn { proposal } => write!(f, "proposal {proposal} is withdrawn"),
            Self::Unread { proposal } => write!(f, "proposal {proposal}: see quorate validator proposals"),
        }
    }
}

/// What the state says about a proposal after an operation on it.
async fn effect(
    session: &Session,
    certificate: &Certificate,
    id: ProposalId,
    operation: &ChainOperation,
    change: Option<&Change>,
) -> Result<Effect, CommandError> {
    if matches!(operation, ChainOperation::Withdraw(_)) {
        return Ok(Effect::Withdrawn { proposal: id });
    }
    let proposal = committee::proposal(session, id).await?;
    let epoch = Current::read(session).await?.epoch;
    if let Some(Proposal { change, approvals, .. }) = proposal {
        let own = approvals.iter().any(|account| epoch.is_own(&change, account));
        return Ok(Effect::Open { proposal: id, votes: epoch.votes(&approvals), votes_needed: epoch.votes_needed(), own });
    }
    if let Some(Change::Permit { account, change }) = change {
        let now = permission(session, *account).await?;
        let proposal = Some(id);
        return Ok(if change.after(now) == now { Effect::Done { proposal } } else { Effect::Closed { proposal: id } });
    }
    let header = &certificate.header;
    if epoch.epoch == header.epoch || !change.is_some_and(|change| words::is_done(change, &epoch)) {
        return Ok(Effect::Closed { proposal: id });
    }
    Ok(match session.light().ends_epoch(header) {
        Some(true) => Effect::InForce { proposal: id, epoch: header.epoch.next(), after: Some(header.height) },
        _ => Effect::InForce { proposal: id, epoch: epoch.epoch, after: None },
    })
}

/// A committed operation, as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    tx_id: TxId,
    status: &'static str,
    height: Height,
    outcome: OutcomeView,
    #[serde(flatten)]
    effect: Option<&'a Effect>,
    verified: Verified<'a>,
}

fn show(
    app: &App,
    network: &Network,
    tx_id: TxId,
    outcome: &Outcome,
    effect: Option<&Effect>,
    certificate: &Certificate,
    out: &Output,
) -> Result<(), CommandError> {
    let shown = Shown {
        tx_id,
        status: "committed",
        height: certificate.header.height,
        outcome: OutcomeView::new(outcome, |failure| app.explain(failure)),
        effect,
        verified: Verified::new(certificate, network.genesis_hash()),
    };
    out.print(&shown, || effect.map_or_else(String::new, Effect::to_string))?;
    out.good(format_args!("verified: {certificate}"));
    match outcome {
        Outcome::Applied(_) => Ok(()),
        Outcome::Failed(failure) => {
            let message = format!("the transaction is in the chain, but failed: {} ({})", app.explain(failure), failure.code());
            Err(CommandError::new(Exit::TransactionFailed, failure.code(), message).about(tx_id))
        }
    }
}
