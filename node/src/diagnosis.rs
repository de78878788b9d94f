//! Explains in plain words why nothing is committed: which validators are missing, where they were last seen, the state of their links, and
//! what is needed.
//!
//! What a validator has signed but no certificate proves is reported as its claim. This is for humans; no code depends on it.

use std::{collections::BTreeMap, time::Duration};

use quorate_network::{PeerState, PeerStatus};
use quorate_replica::Standing;
use quorate_types::{
    committee::{Committee, SignerSet},
    diagnosis::{ConsensusView, LastVote, LinkState, LinkView, Stall, ValidatorStanding},
    genesis::Parameters,
    ids::ValidatorId,
};

use crate::api::Api;

/// Patience periods without a commit after which the chain counts as stalled.
pub(crate) const STALLED_PERIODS: u32 = 2;
/// Missing validators named in a sentence; the rest are counted.
const NAMED_MAX: usize = 10;
/// Longest quote of a link's error, in characters.
const REASON_CHARS_MAX: usize = 160;

/// The replica thread's part of a diagnosis.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) standing: Standing,
    /// Time since each validator's last valid message; validators never heard from have no entry.
    pub(crate) silent: BTreeMap<ValidatorId, Duration>,
}

/// The patience period: longest time between two commits of a healthy chain. An idle chain makes a block per heartbeat, a busy one per round.
pub(crate) fn patience(parameters: &Parameters) -> Duration {
    let ms = u64::from(parameters.heartbeat_ms).saturating_add(parameters.timeout_base_ms.into());
    // At most one log line per second, however short the rounds are.
    Duration::from_millis(ms).max(Duration::from_secs(1))
}

/// The longest that a working validator is silent while nothing is committed: it then times out of rounds, and broadcasts that.
fn silence_max(parameters: &Parameters) -> Duration {
    let ms = u64::from(parameters.heartbeat_ms).saturating_add(parameters.timeout_max_ms.into());
    Duration::from_millis(ms).max(patience(parameters))
}

/// The node's view of consensus.
pub(crate) fn of(api: &Api, snapshot: &Snapshot) -> ConsensusView {
    let now = api.epochs.now();
    let place = Place { committee: now.committee(), me: now.me, parameters: now.verifier.parameters() };
    place.view(snapshot, &api.network.status(), api.metrics.since_commit())
}

/// The network, and our place in it.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    committee: &'a Committee,
    me: ValidatorId,
    parameters: &'a Parameters,
}

impl Place<'_> {
    fn view(self, snapshot: &Snapshot, peers: &[PeerStatus], since_commit: Duration) -> ConsensusView {
        let Snapshot { standing, .. } = snapshot;
        let patience = patience(self.parameters);
        let validators: Vec<_> = self.committee.ids().map(|id| self.validator(id, snapshot, peers)).collect();
        let is_stalled = since_commit >= patience.saturating_mul(STALLED_PERIODS);
        let stall = is_stalled.then(|| self.stall(standing, &validators, since_commit));
        ConsensusView {
            name: self.name(self.me),
            round: standing.round,
            leader: self.name(standing.leader),
            high_qc_round: standing.high_qc_round,
            height: standing.height,
            committed_round: standing.committed_round,
            highest_vote_round: standing.highest_vote_round,
            locked_round: standing.locked_round,
            catching_up: standing.catching_up,
            since_commit_ms: millis(since_commit),
            patience_ms: millis(patience),
            quorum_power: self.committee.quorum_power(),
            total_power: self.committee.total_power(),
            validators,
            stall,
        }
    }

    fn validator(self, id: ValidatorId, snapshot: &Snapshot, peers: &[PeerStatus]) -> ValidatorStanding {
        let seen = snapshot.standing.seen.get(&id).copied().unwrap_or_default();
        let link = peers.iter().find(|peer| peer.index.0 == id.0).map(|peer| LinkView {
            state: match peer.state {
                PeerState::Disconnected => LinkState::Down,
                PeerState::Greeting => LinkState::Greeting,
                PeerState::Connected => LinkState::Up,
            },
            since_ms: millis(peer.since),
            reason: peer.down_because(),
        });
        ValidatorStanding {
            name: self.name(id),
            power: self.committee.get(id).map_or(0, |validator| validator.power.0),
            last_round: if id == self.me { Some(snapshot.standing.round) } else { seen.round },
            claimed_round: seen.claimed_round,
            last_vote: seen.vote.map(|(round, block_id)| LastVote { round, block_id }),
            link,
            heard_ms_ago: snapshot.silent.get(&id).copied().map(millis),
        }
    }

    fn stall(self, standing: &Standing, validators: &[ValidatorStanding], since_commit: Duration) -> Stall {
        let silence_max = millis(silence_max(self.parameters));
        let answers = |validator: &ValidatorStanding| match &validator.link {
            Some(link) => link.state == LinkState::Up && validator.heard_ms_ago.is_some_and(|ms| ms <= silence_max),
            // Only we have no link.
            None => true,
        };
        let answering: SignerSet =
            self.committee.ids().zip(validators).filter(|(_, validator)| answers(validator)).map(|(id, _)| id).collect();
        let missing: Vec<_> = validators.iter().filter(|validator| !answers(validator)).collect();
        let has_quorum = self.committee.is_quorum(answering);
        let quorum = if has_quorum { " although a quorum answers" } else { "" };
        let mut parts = vec![format!("nothing has been committed for {} s{quorum}: {}", since_commit.as_secs(), self.count(answering))];
        if !missing.is_empty() {
            let mut named: Vec<_> = missing.iter().take(NAMED_MAX).map(|validator| describe(validator)).collect();
            let more = missing.len().saturating_sub(NAMED_MAX);
            if more > 0 {
                named.push(format!("and {more} more (GET /v1/consensus)"));
            }
            parts.push(format!("missing: {}", named.join(", ")));
        }
        if standing.results_in_votes > 1 {
            parts.push("votes name different results for one round: validators compute different states, so compare their versions".into());
        }
        if standing.catching_up {
            parts.push("this validator lacks blocks and is fetching them".into());
        } else if has_quorum && missing.is_empty() {
            parts.push(
                "compare GET /v1/consensus of the other validators: a link between two of them may be down, or a clock wrong (/readyz)"
                    .into(),
            );
        }
        let missing = missing.into_iter().map(|validator| validator.name.clone()).collect();
        Stall { summary: parts.join("; "), answering_power: self.committee.power(answering), missing }
    }

    /// How many answer and how many are needed; in voting power if that is unequal.
    fn count(self, answering: SignerSet) -> String {
        let needed = self.committee.quorum_power();
        let powers = || self.committee.members().map(|(_, validator)| validator.power.0).filter(|power| *power > 0);
        let first = powers().next().unwrap_or(1).max(1);
        if powers().all(|power| power == first) {
            format!(
                "{} of {} validators answer, {} are needed",
                answering.iter().filter(|id| self.committee.is_voter(*id)).count(),
                self.committee.voters().len(),
                needed.div_ceil(first)
            )
        } else {
            let total = self.committee.total_power();
            format!("validators with {} of {total} of the voting power answer, {needed} are needed", self.committee.power(answering))
        }
    }

    fn name(self, id: ValidatorId) -> String {
        self.committee.get(id).map_or_else(|| id.to_string(), |validator| validator.name.clone())
    }
}

/// `carol (last seen in round 118, link down for 20 s: connection refused)`.
fn describe(validator: &ValidatorStanding) -> String {
    let mut facts = vec![match validator.last_round {
        Some(round) => format!("last seen in round {round}"),
        None => "never seen in a round".to_owned(),
    }];
    if let Some(round) = validator.claimed_round {
        facts.push(format!("claims round {round}, which no certificate proves"));
    }
    facts.extend(validator.link.as_ref().map(|link| {
        let seconds = link.since_ms / 1_000;
        match link.state {
            LinkState::Up => match validator.heard_ms_ago {
                Some(ms) => format!("link up, silent for {} s", ms / 1_000),
                None => format!("link up for {seconds} s, never heard"),
            },
            LinkState::Down | LinkState::Greeting => {
                let state = if link.state == LinkState::Down { "down" } else { "not accepted" };
                format!("link {state} for {seconds} s: {}", quote(link.reason.as_deref().unwrap_or("reason unknown")))
            }
        }
    }));
    format!("{} ({})", validator.name, facts.join(", "))
}

/// Fits a reason into a line: no control characters, and truncated.
fn quote(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_network::PeerIndex;
    use quorate_replica::LastSeen;
    use quorate_types::{
        committee::{Validator, VotingPower},
        round::{Epoch, Height, Round},
    };

    use super::*;
    use crate::testing::{genesis_of, keys};

    const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
    const SECOND: Duration = Duration::from_secs(1);

    /// alice, bob, carol and dave, in this order, with these powers.
    fn committee(powers: [u64; 4]) -> Arc<Committee> {
        let members: Vec<_> = (1..).zip(NAMES).map(|(number, name)| (name, keys(number), "/ip4/127.0.0.1/tcp/1".into())).collect();
        let genesis = genesis_of(&members);
        // A committee is ordered by its keys.
        let validators = genesis.validators.iter().zip(NAMES.iter().zip(powers));
        let validators = validators.map(|(entry, (name, power))| Validator {
            name: (*name).into(),
            power: VotingPower(power),
            operator: None,
            ..entry.validator.clone()
        });
        Committee::new(Epoch(0), validators.collect()).unwrap()
    }

    fn standing() -> Standing {
        let seen = |round| LastSeen { round: Some(Round(round)), ..LastSeen::default() };
        Standing {
            round: Round(120),
            leader: ValidatorId(2),
            high_qc_round: Round(119),
            height: Height(100),
            committed_round: Round(117),
            highest_vote_round: Round(120),
            locked_round: Round(118),
            catching_up: false,
            results_in_votes: 1,
            seen: (0..).map(ValidatorId).zip([seen(119), seen(120), seen(118), seen(119)]).collect(),
        }
    }

    fn peer(index: u16, state: PeerState, last_error: Option<&str>) -> PeerStatus {
        PeerStatus {
            index: PeerIndex(index),
            peer_id: String::new(),
            address: String::new(),
            state,
            since: 20 * SECOND,
            round_trip: None,
            clock: None,
            queued_frames: 0,
            refused: None,
            last_error: last_error.map(str::to_owned),
        }
    }

    fn up() -> Vec<PeerStatus> {
        (1..4).map(|index| peer(index, PeerState::Connected, None)).collect()
    }

    fn snapshot(silent: [Option<u64>; 3]) -> Snapshot {
        let silent = (1u16..).zip(silent).filter_map(|(id, seconds)| Some((ValidatorId(id), Duration::from_secs(seconds?))));
        Snapshot { standing: standing(), silent: silent.collect() }
    }

    fn view_of(powers: [u64; 4], snapshot: &Snapshot, peers: &[PeerStatus], since_commit: Duration) -> ConsensusView {
        let (committee, parameters) = (committee(powers), Parameters::default());
        Place { committee: &committee, me: ValidatorId(0), parameters: &parameters }.view(snapshot, peers, since_commit)
    }

    fn stall(snapshot: &Snapshot, peers: &[PeerStatus]) -> Stall {
        view_of([1; 4], snapshot, peers, 24 * SECOND).stall.unwrap()
    }

    #[test]
    fn the_chain_counts_as_stalled_after_two_periods_without_a_commit_and_not_before() {
        let patience = patience(&Parameters::default());
        assert_eq!(patience, 11 * SECOND);
        let stalled = |since| view_of([1; 4], &snapshot([Some(1); 3]), &up(), since).stall.is_some();
        assert!(!stalled(Duration::from_millis(21_999)) && stalled(Duration::from_secs(22)));
        let quick = Parameters { heartbeat_ms: 10, timeout_base_ms: 10, ..Parameters::default() };
        assert_eq!(super::patience(&quick), SECOND, "the log is not flooded");
    }

    #[test]
    fn who_is_missing_is_named_with_its_last_round_its_link_and_what_is_needed() {
        let peers = [
            peer(1, PeerState::Connected, None),
            peer(2, PeerState::Disconnected, Some("Connection refused")),
            peer(3, PeerState::Disconnected, Some("its name\ncannot be resolved")),
        ];
        let stall = stall(&snapshot([Some(1), Some(20), None]), &peers);
        assert_eq!(
            stall.summary,
            "nothing has been committed for 24 s: 2 of 4 validators answer, 3 are needed; missing: carol (last seen in round 118, link down for 20 s: \
             Connection refused), dave (last seen in round 119, link down for 20 s: its name cannot be resolved)"
        );
        assert_eq!((stall.answering_power, stall.missing), (2, vec!["carol".to_owned(), "dave".to_owned()]));
    }

    #[test]
    fn a_validator_that_is_linked_and_says_nothing_is_missing_too() {
        let silence = silence_max(&Parameters::default()).as_secs();
        let stall = |seconds| stall(&snapshot([Some(1), Some(1), seconds]), &up());
        assert!(stall(Some(silence)).missing.is_empty());
        let silent = stall(Some(silence + 1)).summary;
        assert!(silent.contains("although a quorum answers: 3 of 4 validators answer, 3 are needed; missing: dave"), "{silent}");
        assert!(silent.contains(&format!("link up, silent for {} s", silence + 1)), "{silent}");
        assert!(stall(None).summary.contains("link up for 20 s, never heard"));
    }

    #[test]
    fn a_round_that_is_only_claimed_is_told_as_a_claim_and_beside_the_proved_one() {
        let mut snapshot = snapshot([Some(1), Some(1), None]);
        snapshot.standing.seen.get_mut(&ValidatorId(3)).unwrap().claimed_round = Some(Round(u64::MAX));
        let summary = stall(&snapshot, &up()).summary;
        assert!(
            summary.contains(&format!("dave (last seen in round 119, claims round {}, which no certificate proves", u64::MAX)),
            "{summary}"
        );
        let view = view_of([1; 4], &snapshot, &up(), SECOND);
        assert_eq!((view.validators[3].last_round, view.validators[3].claimed_round), (Some(Round(119)), Some(Round(u64::MAX))));
        assert_eq!((view.stall, view.name.as_str(), view.leader.as_str()), (None, "alice", "carol"));
    }

    #[test]
    fn unequal_powers_are_counted_as_powers() {
        let stall = view_of([1, 1, 1, 4], &snapshot([Some(1), Some(1), None]), &up(), 24 * SECOND).stall.unwrap();
        assert!(stall.summary.contains("validators with 3 of 7 of the voting power answer, 5 are needed"), "{}", stall.summary);
        let equal = view_of([5; 4], &snapshot([Some(1), None, None]), &up(), 24 * SECOND).stall.unwrap();
        assert!(equal.summary.contains("2 of 4 validators answer, 3 are needed"), "{}", equal.summary);
    }

    #[test]
    fn where_all_answer_the_reason_is_elsewhere_and_the_sentence_says_where_to_look() {
        let summary = |change: fn(&mut Standing)| {
            let mut snapshot = snapshot([Some(1); 3]);
            change(&mut snapshot.standing);
            stall(&snapshot, &up()).summary
        };
        assert!(summary(|_| {}).contains("/readyz"));
        assert!(summary(|standing| standing.results_in_votes = 2).contains("compare their versions"));
        assert!(summary(|standing| standing.catching_up = true).contains("is fetching them"));
    }

    #[test]
    fn a_line_stays_readable_however_many_are_missing_and_whatever_a_link_says() {
        let long = peer(3, PeerState::Disconnected, Some(&"x".repeat(10_000)));
        let summary = stall(&snapshot([Some(1), Some(1), None]), &[up().remove(0), up().remove(1), long]).summary;
        assert!(summary.len() < 500, "{}", summary.len());
        let names: Vec<_> = (0..40).map(|number| format!("validator-{number}")).collect();
        let members: Vec<_> =
            names.iter().zip(1u8..).map(|(name, number)| (name.as_str(), keys(number), "/ip4/127.0.0.1/tcp/1".into())).collect();
        let committee = genesis_of(&members).committee().unwrap();
        let place = Place { committee: &committee, me: ValidatorId(0), parameters: &Parameters::default() };
        let peers: Vec<_> = (1..40).map(|index| peer(index, PeerState::Disconnected, None)).collect();
        let stall = place.view(&snapshot([None; 3]), &peers, 24 * SECOND).stall.unwrap();
        assert!(
            stall.summary.contains("1 of 40 validators answer, 27 are needed") && stall.summary.contains("and 29 more"),
            "{}",
            stall.summary
        );
        assert_eq!(stall.missing.len(), 39);
    }
}
