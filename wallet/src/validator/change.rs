//! Sends an operation on the committee, and tells what has become of the proposal.

use std::{path::PathBuf, time::Duration};

use quorate_app::App;
use quorate_client::{Session, light::Certificate};
use quorate_genesis::{CeremonyError, file::load_fragment};
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    codec::{self, amount_text},
    committee::{Committee, SignerSet, VotingPower},
    failure::{Code, Failure},
    genesis::{Genesis, GenesisValidator},
    governance::{ChainOperation, Change, OWN_CHANGE_BLOCKS, PROPOSALS_PER_OPERATOR_MAX, Proposal, ProposalId},
    ids::{Address, TxId},
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
    network::Network,
    send::{Sender, asks_for},
    view::Verified,
};

/// Longest answer of the chain to an operation, in bytes: the number of a proposal.
const ANSWER_BYTES_MAX: usize = 8;

/// What the user wants.
pub(super) enum Wish {
    Power { member: String, power: u64, force: bool },
    Add { file: PathBuf },
    Remove { member: String, force: bool },
    Replace { member: String, file: PathBuf },
    Approve(ProposalId),
    Reject(ProposalId),
    Withdraw(ProposalId),
}

impl Wish {
    /// The operation, and whether it is sent whoever is reachable.
    fn operation(self, current: &Current, genesis: &Genesis) -> Result<(ChainOperation, bool), CommandError> {
        let propose = |change| ChainOperation::Propose(Box::new(change));
        Ok(match self {
            Self::Power { member, power, force } => {
                (propose(Change::Power { seat: current.find(&member)?.id, power: VotingPower(power) }), force || power > 0)
            }
            Self::Add { file } => (propose(Change::Add(entry(&file, genesis)?)), true),
            Self::Remove { member, force } => (propose(Change::Remove { seat: current.find(&member)?.id }), force),
            Self::Replace { member, file } => {
                (propose(Change::Replace { seat: current.find(&member)?.id, entry: entry(&file, genesis)? }), true)
            }
            Self::Approve(id) => (ChainOperation::Approve(id), true),
            Self::Reject(id) => (ChainOperation::Reject(id), true),
            Self::Withdraw(id) => (ChainOperation::Withdraw(id), true),
        })
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

pub(super) async fn send(
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
    let (operation, is_forced) = wish.operation(&current, session.light().genesis())?;
    let named = match &operation {
        ChainOperation::Propose(_) => None,
        ChainOperation::Approve(id) | ChainOperation::Reject(id) | ChainOperation::Withdraw(id) => {
            committee::proposal(session, *id).await?
        }
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
            && let Some(seats) = words::after(change, &current.epoch)
            && let Ok(after) = Committee::of_seats(current.epoch.epoch, &seats)
        {
            reachable::check(&after, &session.client().consensus().await?)?;
        }
    }
    let key = accounts.key(&from, &args.passphrase.source())?;
    let (valid_for, timeout) = (Duration::from_secs(args.expires_in), Duration::from_secs(args.timeout));
    let proven = Sender { network, key: &key, valid_for, timeout, is_repeatable: true }.send_to_chain(&operation, out).await?;
    let (placed, certificate) = proven.into_parts();
    let effect = match &placed.receipt.outcome {
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
    let refuse = |code: &'static str, numbers: &[u64]| {
        let failure = Failure::new(Code::new(code), numbers);
        Err(CommandError::new(Exit::Rejected, code, format!("{}; nothing was sent", app.explain(&failure))))
    };
    let Current { epoch, committee, .. } = current;
    let own: SignerSet = committee.members().filter(|(_, member)| member.operator == Some(sender)).map(|(seat, _)| seat).collect();
    // An observer's operator looks after that member's entry, and has no say in anything else.
    let is_own_entry =
        matches!(operation, ChainOperation::Propose(change) if matches!(**change, Change::Replace { seat, .. } if own.contains(seat)));
    if committee.power(own) == 0 && !is_own_entry {
        return refuse("not-an-operator", &[]);
    }
    match operation {
        ChainOperation::Propose(change) => {
            let open = committee::index(session).await?.open;
            if open.iter().filter(|open| !open.by.intersection(own).is_empty()).count() >= PROPOSALS_PER_OPERATOR_MAX {
                return refuse("too-many-proposals", &[PROPOSALS_PER_OPERATOR_MAX as u64]);
            }
            // Every seat was found, so only a new member can be without one.
            let Some(seats) = words::after(change, epoch) else {
                return refuse("committee-full", &[quorate_types::committee::VALIDATORS_MAX as u64]);
            };
            if seats == epoch.seats {
                return refuse("no-change", &[]);
            }
            if let Err(error) = Committee::of_seats(epoch.epoch, &seats) {
                let message = format!("the committee would be invalid: {error}; nothing was sent");
                return Err(CommandError::new(Exit::Rejected, "bad-committee", message));
            }
            Ok(())
        }
        ChainOperation::Approve(id) | ChainOperation::Reject(id) | ChainOperation::Withdraw(id) => match named {
            None => refuse("no-such-proposal", &[id.0]),
            Some(proposal) if matches!(operation, ChainOperation::Withdraw(_)) && proposal.by.intersection(own).is_empty() => {
                refuse("not-the-proposer", &[id.0])
            }
            Some(_) => Ok(()),
        },
    }
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
                    write!(f, ", or approve it again once {OWN_CHANGE_BLOCKS} blocks have passed since the last change of the committee")?;
                }
                Ok(())
            }
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
    let Current { epoch, committee, .. } = Current::read(session).await?;
    if let Some(proposal) = proposal {
        let own = matches!(proposal.change, Change::Replace { seat, .. } if proposal.approvals.contains(seat));
        return Ok(Effect::Open { proposal: id, votes: committee.power(proposal.approvals), votes_needed: committee.quorum_power(), own });
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
