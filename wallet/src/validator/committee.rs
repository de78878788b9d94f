//! The committee in force and the open proposals, as the state proves them.

use std::{collections::BTreeMap, sync::Arc};

use quorate_client::{Session, light::Certificate};
use quorate_terminal::{CommandError, Exit, escape_untrusted};
use quorate_types::{
    codec,
    committee::{Committee, Seat},
    epoch::{EPOCH_STATE_BYTES_MAX, EpochState},
    governance::{Proposal, ProposalId, Proposals, proposal_key},
    ids::ValidatorId,
    state_key::{ADDRESSES_KEY, EPOCH_KEY, PROPOSALS_KEY, VERSIONS_KEY},
};
use serde::de::DeserializeOwned;

/// The committee in force.
pub(super) struct Current {
    pub(super) epoch: EpochState,
    pub(super) committee: Arc<Committee>,
    pub(super) certificate: Certificate,
}

impl Current {
    pub(super) async fn read(session: &Session) -> Result<Self, CommandError> {
        let (epoch, certificate) = read::<EpochState>(session, EPOCH_KEY).await?;
        let epoch = epoch.ok_or_else(|| malformed("holds no committee"))?;
        let committee = epoch.committee().map_err(|error| malformed(&format!("holds an invalid committee: {error}")))?;
        Ok(Self { epoch, committee, certificate })
    }

    /// The member that the user means: a number is a seat, anything else a name.
    pub(super) fn find(&self, member: &str) -> Result<&Seat, CommandError> {
        let seats = &self.epoch.seats;
        if let Ok(number) = member.parse::<u16>()
            && let Some(seat) = seats.iter().find(|seat| seat.id.0 == number)
        {
            return Ok(seat);
        }
        let named: Vec<_> = seats.iter().filter(|seat| seat.validator.name == member).collect();
        match named.as_slice() {
            [only] => Ok(only),
            [] => Err(CommandError::new(
                Exit::Rejected,
                "no-such-member",
                format!("no member has the seat or the name {member:?}; nothing was sent"),
            )
            .with_hint("`quorate validator list` shows the members")),
            several => {
                let seats: Vec<_> = several.iter().map(|seat| seat.id.to_string()).collect();
                let message = format!("the members on the seats {} are all named {member:?}; nothing was sent", seats.join(", "));
                Err(CommandError::new(Exit::Rejected, "ambiguous", message).with_hint("give the seat instead of the name"))
            }
        }
    }
}

/// The proposals that are open.
pub(super) async fn index(session: &Session) -> Result<Proposals, CommandError> {
    Ok(read(session, PROPOSALS_KEY).await?.0.unwrap_or_default())
}

/// An open proposal; `None` if there is no such one.
pub(super) async fn proposal(session: &Session, id: ProposalId) -> Result<Option<Proposal>, CommandError> {
    Ok(read(session, &proposal_key(id)).await?.0)
}

/// The addresses of the members that have moved.
pub(super) async fn addresses(session: &Session) -> Result<BTreeMap<ValidatorId, String>, CommandError> {
    Ok(read::<Vec<_>>(session, ADDRESSES_KEY).await?.0.unwrap_or_default().into_iter().collect())
}

/// The protocol versions that members speak, as their operators say.
pub(super) async fn versions(session: &Session) -> Result<BTreeMap<ValidatorId, u32>, CommandError> {
    Ok(read::<Vec<_>>(session, VERSIONS_KEY).await?.0.unwrap_or_default().into_iter().collect())
}

async fn read<T: DeserializeOwned>(session: &Session, key: &[u8]) -> Result<(Option<T>, Certificate), CommandError> {
    let (value, certificate) = session.state_verified(key).await?.into_parts();
    // The chain bounds what it writes there by the largest transaction and the largest committee.
    let decoded = value.map(|value| codec::decode(&value, EPOCH_STATE_BYTES_MAX)).transpose();
    Ok((decoded.map_err(|error| malformed(&format!("does not decode: {}", escape_untrusted(&error.to_string()))))?, certificate))
}

fn malformed(what: &str) -> CommandError {
    CommandError::failure("state", format!("the proved state {what}")).with_hint("use a program of the network's version")
}
