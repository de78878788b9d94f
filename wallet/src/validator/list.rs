//! Shows the committee and the open proposals.

use quorate_client::light::Certificate;
use quorate_terminal::{CommandError, Output};
use quorate_types::{
    codec::amount_text,
    committee::Committee,
    crypto::PublicKey,
    governance::{Change, Proposal, ProposalId},
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
    address: &'a str,
}

pub(super) async fn members(network: &Network, out: &Output) -> Result<(), CommandError> {
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
            address: &member.address,
        }
    });
    let shown = CommitteeShown {
        epoch: epoch.epoch,
        protocol_version: epoch.protocol_version,
        quorum_power: committee.quorum_power(),
        total_power: committee.total_power(),
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
        format!("epoch   {}\nquorum  {} of {} votes\n\n{table}", shown.epoch, shown.quorum_power, shown.total_power)
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
    by: Vec<String>,
    approved_by: Vec<String>,
    rejected_by: Vec<String>,
    #[serde(with = "amount_text")]
    votes: u64,
}

impl ProposalShown {
    fn new(id: ProposalId, proposal: Proposal, current: &Current) -> Self {
        let names = |seats| words::names(seats, &current.committee);
        Self {
            id,
            what: words::change(&proposal.change, &current.epoch),
            by: names(proposal.by),
            approved_by: names(proposal.approvals),
            rejected_by: names(proposal.rejections),
            votes: current.committee.power(proposal.approvals),
            change: proposal.change,
        }
    }

    fn row(&self, committee: &Committee) -> Vec<String> {
        let list = |names: &[String]| if names.is_empty() { "nobody".into() } else { names.join(", ") };
        let votes = format!("{} of {}", self.votes, committee.quorum_power());
        vec![self.id.to_string(), self.what.clone(), votes, list(&self.by), list(&self.approved_by), list(&self.rejected_by)]
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
        votes_needed: current.committee.quorum_power(),
        proposals: open.into_iter().map(|(id, proposal)| ProposalShown::new(id, proposal, &current)).collect(),
        verified: Verified::new(&current.certificate, network.genesis_hash()),
    };
    out.print(&shown, || {
        if shown.proposals.is_empty() {
            return "no proposal is open".into();
        }
        let rows = shown.proposals.iter().map(|proposal| proposal.row(&current.committee));
        out.table(&["proposal", "what it does", "votes", "made by", "approved by", "rejected by"], rows)
    })?;
    verified(&current.certificate, out);
    Ok(())
}

fn verified(certificate: &Certificate, out: &Output) {
    out.good(format_args!("verified: {certificate}"));
}
