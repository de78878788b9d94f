//! Shows the committee and the open proposals.

use std::collections::BTreeSet;

use quorate_client::light::Certificate;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    codec::amount_text,
    crypto::PublicKey,
    epoch::EpochState,
    governance::{Authority, Change, Proposal, ProposalId},
    ids::{Address, ValidatorId},
    round::Epoch,
};
use serde::Serialize;

use super::{
    committee::{self, Current},
    words,
};
use crate::{network::Network, view::Verified};

#[derive(Serialize)]
struct CommitteeShown<'a> {
    epoch: Epoch,
    protocol_version: u32,
    #[serde(with = "amount_text")]
    quorum_power: u64,
    #[serde(with = "amount_text")]
    total_power: u64,
    authority: &'a Authority,
    members: Vec<MemberShown<'a>>,
    verified: Verified<'a>,
}

#[derive(Serialize)]
struct MemberShown<'a> {
    seat: ValidatorId,
    name: &'a str,
    #[serde(with = "amount_text")]
    power: u64,
    role: &'static str,
    operator: Option<Address>,
    consensus_key: PublicKey,
    network_key: PublicKey,
    /// Where its operator has moved it, or what its entry says.
    address: &'a str,
    /// The protocol version up to which its operator says that it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    speaks: Option<u32>,
}

pub(super) async fn members(network: &Network, out: &Output) -> Result<(), CommandError> {
    let (moved, spoken) = (committee::addresses(&network.session).await?, committee::versions(&network.session).await?);
    let Current { epoch, committee, certificate } = Current::read(&network.session).await?;
    let members = epoch.seats.iter().map(|seat| {
        let member = &seat.validator;
        MemberShown {
            seat: seat.id,
            name: &member.name,
            power: member.power.0,
            role: if member.power.0 == 0 { "observer" } else { "voter" },
            operator: member.operator,
            consensus_key: member.consensus_key,
            network_key: member.network_key,
            address: moved.get(&seat.id).unwrap_or(&member.address),
            speaks: spoken.get(&seat.id).copied(),
        }
    });
    let shown = CommitteeShown {
        epoch: epoch.epoch,
        protocol_version: epoch.protocol_version,
        quorum_power: committee.quorum_power(),
        total_power: committee.total_power(),
        authority: &epoch.authority,
        members: members.collect(),
        verified: Verified::new(&certificate, network.genesis_hash()),
    };
    out.print(&shown, || {
        let rows = epoch.seats.iter().zip(&shown.members).map(|(seat, member)| {
            let share = format!("{} %", u128::from(member.power).saturating_mul(100) / u128::from(shown.total_power.max(1)));
            vec![
                member.seat.to_string(),
                words::name(&seat.validator),
                member.power.to_string(),
                share,
                member.role.into(),
                words::short(&member.consensus_key),
                quorate_terminal::escape_untrusted(member.address),
                member.operator.map_or_else(|| "none".into(), |operator| operator.to_string()),
            ]
        });
        let table = out.table(&["seat", "name", "power", "share", "role", "consensus key", "address", "operator"], rows);
        let decided = match &epoch.authority {
            Authority::Operators => "by operators of voters with a quorum".into(),
            Authority::Board(board) => {
                format!("by {} of {}", board.needed, words::accounts(&board.members, &epoch).join(", "))
            }
        };
        let (epoch, quorum, total) = (shown.epoch, shown.quorum_power, shown.total_power);
        format!("epoch    {epoch}\nquorum   {quorum} of {total} votes\ndecided  {decided}\n\n{table}")
    })?;
    verified(&certificate, out);
    Ok(())
}

#[derive(Serialize)]
struct ProposalsShown<'a> {
    epoch: Epoch,
    #[serde(with = "amount_text")]
    votes_needed: u64,
    proposals: Vec<ProposalShown>,
    verified: Verified<'a>,
}

#[derive(Serialize)]
struct ProposalShown {
    id: ProposalId,
    what: String,
    change: Change,
    by: Address,
    approved_by: BTreeSet<Address>,
    rejected_by: BTreeSet<Address>,
    #[serde(with = "amount_text")]
    votes: u64,
}

impl ProposalShown {
    fn new(id: ProposalId, proposal: Proposal, epoch: &EpochState) -> Self {
        let Proposal { by, change, approvals, rejections } = proposal;
        let (what, votes) = (words::change(&change, epoch), epoch.votes(&approvals));
        Self { id, what, by, approved_by: approvals, rejected_by: rejections, votes, change }
    }

    fn row(&self, epoch: &EpochState) -> Vec<String> {
        let list = |accounts: &BTreeSet<Address>| {
            if accounts.is_empty() { "nobody".into() } else { words::accounts(accounts, epoch).join(", ") }
        };
        let (votes, by) = (format!("{} of {}", self.votes, epoch.votes_needed()), words::accounts([&self.by], epoch).join(""));
        vec![self.id.to_string(), self.what.clone(), votes, by, list(&self.approved_by), list(&self.rejected_by)]
    }
}

pub(super) async fn proposals(network: &Network, out: &Output) -> Result<(), CommandError> {
    let session = &network.session;
    let mut open = Vec::new();
    for entry in committee::index(session).await?.open {
        // One that is absent was closed after the list was read.
        open.extend(committee::proposal(session, entry.id).await?.map(|proposal| (entry.id, proposal)));
    }
    // Read last, so that it is no older than the proposals.
    let current = Current::read(session).await?;
    let shown = ProposalsShown {
        epoch: current.epoch.epoch,
        votes_needed: current.epoch.votes_needed(),
        proposals: open.into_iter().map(|(id, proposal)| ProposalShown::new(id, proposal, &current.epoch)).collect(),
        verified: Verified::new(&current.certificate, network.genesis_hash()),
    };
    out.print(&shown, || {
        if shown.proposals.is_empty() {
            return "no proposal is open".into();
        }
        let rows = shown.proposals.iter().map(|proposal| proposal.row(&current.epoch));
        out.table(&["proposal", "what it does", "votes", "made by", "approved by", "rejected by"], rows)
    })?;
    verified(&current.certificate, out);
    Ok(())
}

fn verified(certificate: &Certificate, out: &Output) {
    out.good(format_args!("verified: {certificate}"));
}
