//! A courtesy before a change of powers: would the validators that are reachable now still be a quorum?
//!
//! Nothing proves who is reachable, and the chain has no such rule.

use quorate_terminal::{CommandError, Exit};
use quorate_types::{
    committee::{Committee, SignerSet},
    diagnosis::{ConsensusView, LinkState, ValidatorStanding},
};

use super::words;

/// Refuses a change after which the reachable validators would be less than a quorum.
pub(super) fn check(after: &Committee, view: &ConsensusView) -> Result<(), CommandError> {
    let names: Vec<_> = view.validators.iter().filter(|standing| is_reachable(standing)).map(|standing| standing.name.as_str()).collect();
    let reachable: SignerSet = after.members().filter(|(_, member)| names.contains(&member.name.as_str())).map(|(seat, _)| seat).collect();
    if after.is_quorum(reachable) {
        return Ok(());
    }
    let missing = after.voters().iter().copied().collect::<SignerSet>().without(reachable);
    let message = format!(
        "afterwards, {} of {} votes would be needed for a quorum, and {} reaches validators with {} of them now (not {}): the network could stand still; nothing was sent",
        after.quorum_power(),
        after.total_power(),
        quorate_terminal::escape_untrusted(&view.name),
        after.power(reachable),
        words::names(missing, after).join(", ")
    );
    Err(CommandError::new(Exit::Rejected, "no-quorum", message).with_hint("bring these validators back first, or pass --force"))
}

/// The queried validator has no link to itself.
fn is_reachable(standing: &ValidatorStanding) -> bool {
    standing.link.as_ref().is_none_or(|link| link.state == LinkState::Up)
}

#[cfg(test)]
mod tests {
    use quorate_types::{
        diagnosis::LinkView,
        round::{Height, Round},
    };

    use super::{super::words::tests::epoch, *};

    fn view(up: &[&str]) -> ConsensusView {
        let link = |name: &str| LinkView {
            state: if up.contains(&name) { LinkState::Up } else { LinkState::Greeting },
            since_ms: 1,
            reason: None,
        };
        let standing = |name: &str| ValidatorStanding {
            name: name.into(),
            power: 1,
            last_round: None,
            claimed_round: None,
            last_vote: None,
            link: (name != "v1").then(|| link(name)),
            heard_ms_ago: None,
        };
        ConsensusView {
            name: "v1".into(),
            round: Round(1),
            leader: "v1".into(),
            high_qc_round: Round(1),
            height: Height(1),
            committed_round: Round(1),
            highest_vote_round: Round(1),
            locked_round: Round(1),
            catching_up: false,
            since_commit_ms: 1,
            patience_ms: 1,
            quorum_power: 3,
            total_power: 3,
            validators: ["v1", "v2", "v3"].map(standing).to_vec(),
            stall: None,
        }
    }

    #[test]
    fn a_change_that_leaves_less_than_a_quorum_within_reach_is_refused_with_the_numbers() {
        let after = epoch().committee().unwrap();
        check(&after, &view(&["v2"])).unwrap();
        let error = check(&after, &view(&["v3"])).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit), ("no-quorum", Exit::Rejected));
        assert!(
            error.message.contains("3 of 3 votes") && error.message.contains("with 1 of them") && error.message.contains("not v2"),
            "{error}"
        );
        assert!(error.hint.unwrap().contains("--force"));
    }
}
