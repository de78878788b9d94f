//! Compares this machine's clock with those of the other validators.
//!
//! Each validator reports its clock, and any may lie or be wrong. So the comparison only informs humans: a check in `/readyz`, a line from the
//! watchdog, a metric. The committee's time is an interval: more than half of the known power is at or after its start, and more than half at
//! or before its end. While the known clocks do not make a quorum, there is no verdict.

use std::{fmt, time::Duration};

use quorate_network::PeerStatus;
use quorate_types::{
    committee::{Committee, SignerSet},
    ids::ValidatorId,
    round::UnixMillis,
};

/// The known clocks, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// Each known clock's offset from the committee's time, including ours; in the order of the committee.
    pub(crate) ahead: Vec<(ValidatorId, Offset)>,
    me: ValidatorId,
    tolerance_ms: u64,
}

/// How far a clock is ahead, in milliseconds; negative if it is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset(pub(crate) i64);

impl Offset {
    pub(crate) fn seconds(self) -> f64 {
        let seconds = Duration::from_millis(self.0.unsigned_abs()).as_secs_f64();
        if self.0 < 0 { -seconds } else { seconds }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.unsigned_abs();
        write!(f, "{}.{:03} s {}", ms / 1_000, ms % 1_000, if self.0 < 0 { "behind" } else { "ahead" })
    }
}

impl Clocks {
    /// Compares the clocks of the linked validators with ours; `None` while they and we are no quorum.
    pub(crate) fn compare(
        committee: &Committee,
        (me, ours): (ValidatorId, UnixMillis),
        peers: &[PeerStatus],
        tolerance_ms: u64,
    ) -> Option<Self> {
        let of_peer = |peer: &PeerStatus| {
            let clock = peer.clock?;
            let ahead = i128::from(clock.unix_ms) - i128::from(ours.0);
            // As close to ours as the uncertainty allows.
            let uncertain = i128::try_from(clock.uncertainty.as_millis()).unwrap_or(i128::MAX);
            let ahead = ahead.signum() * ahead.abs().saturating_sub(uncertain).max(0);
            let clamped = i64::try_from(ahead).unwrap_or(if ahead < 0 { i64::MIN } else { i64::MAX });
            Some((ValidatorId(peer.index.0), clamped))
        };
        let mut clocks: Vec<(ValidatorId, i64)> = peers.iter().filter_map(of_peer).chain([(me, 0)]).collect();
        let known: SignerSet = clocks.iter().map(|(id, _)| *id).collect();
        if !committee.is_quorum(known) {
            return None;
        }
        let half = committee.power(known) / 2;
        let power_where = |stands: &dyn Fn(i64) -> bool| -> u64 {
            committee.power(clocks.iter().filter(|(_, ahead)| stands(*ahead)).map(|(id, _)| *id).collect())
        };
        // If the power is split evenly, no clock between the two middle ones counts as wrong.
        let values = || clocks.iter().map(|(_, ahead)| *ahead);
        let latest = values().filter(|value| power_where(&|ahead| ahead <= *value) > half).min()?;
        let earliest = values().filter(|value| power_where(&|ahead| ahead >= *value) > half).max()?;
        clocks.sort_by_key(|(id, _)| *id);
        let apart = |ahead: i64| if ahead > latest { ahead.saturating_sub(latest) } else { ahead.saturating_sub(earliest).min(0) };
        let ahead = clocks.into_iter().map(|(id, ahead)| (id, Offset(apart(ahead)))).collect();
        Some(Self { ahead, me, tolerance_ms })
    }

    /// Our clock's offset, if it is large enough that other validators hold our proposals, or we theirs.
    pub(crate) fn ours(&self) -> Option<Offset> {
        self.wrong().find(|(id, _)| *id == self.me).map(|(_, offset)| offset)
    }

    /// Other validators whose clocks are wrong, with their offsets.
    pub(crate) fn others(&self) -> Vec<(ValidatorId, Offset)> {
        self.wrong().filter(|(id, _)| *id != self.me).collect()
    }

    fn wrong(&self) -> impl Iterator<Item = (ValidatorId, Offset)> {
        self.ahead.iter().copied().filter(|(_, offset)| offset.0.unsigned_abs() > self.tolerance_ms)
    }

    /// One sentence on all clocks, with the fix.
    pub(crate) fn say(&self, committee: &Committee) -> String {
        let name = |id: ValidatorId| committee.get(id).map_or_else(|| id.to_string(), |validator| validator.name.clone());
        let others: Vec<_> = self.others().into_iter().map(|(id, offset)| format!("{} is {offset}", name(id))).collect();
        let known = self.ahead.len();
        let ours = match self.ours() {
            Some(offset) => format!(
                "by the committee's time, this machine's clock is {offset} ({known} clocks compared); keep it set by NTP (`timedatectl set-ntp true`)"
            ),
            None => format!("this machine's clock agrees with the committee's ({known} clocks compared)"),
        };
        if others.is_empty() { ours } else { format!("{ours}; the clock of {}", others.join(", of ")) }
    }
}

#[cfg(test)]
mod tests {
    use quorate_network::{PeerClock, PeerIndex, PeerState};

    use super::*;
    use crate::testing::{genesis_of, keys};

    const NOW: u64 = 1_700_000_000_000;

    fn committee() -> std::sync::Arc<Committee> {
        let members: Vec<_> =
            (1..).zip(["one", "two", "three", "four"]).map(|(number, name)| (name, keys(number), "/ip4/127.0.0.1/tcp/1".into())).collect();
        genesis_of(&members).committee().unwrap()
    }

    /// Validator 0 compares the claimed clocks of 1, 2, ...: milliseconds ahead of its own, `None` where there is no link.
    fn compared(claims: &[Option<i64>]) -> Option<Clocks> {
        let peers: Vec<_> = (1u16..).zip(claims).map(|(index, ahead)| peer(index, *ahead)).collect();
        Clocks::compare(&committee(), (ValidatorId(0), UnixMillis(NOW)), &peers, 250)
    }

    fn peer(index: u16, ahead: Option<i64>) -> PeerStatus {
        PeerStatus {
            index: PeerIndex(index),
            peer_id: String::new(),
            address: String::new(),
            state: PeerState::Connected,
            since: Duration::ZERO,
            round_trip: None,
            clock: ahead.map(|ahead| PeerClock { unix_ms: NOW.saturating_add_signed(ahead), uncertainty: Duration::from_millis(5) }),
            queued_frames: 0,
            refused: None,
            last_error: None,
        }
    }

    #[test]
    fn one_clock_that_differs_from_the_others_is_named_whoever_s_it_is() {
        let hour = 3_600_000;
        for (claims, ours, others) in [
            ([Some(3), Some(-200), Some(40)], None, vec![]),
            ([Some(0), Some(0), Some(hour + 5)], None, vec![(ValidatorId(3), Offset(hour))]),
            ([Some(-290_005), Some(-290_005), Some(-290_005)], Some(Offset(290_000)), vec![]),
            ([Some(hour + 5), Some(hour + 5), Some(hour + 5)], Some(Offset(-hour)), vec![]),
            ([Some(hour + 5), Some(hour + 5), None], Some(Offset(-hour)), vec![]),
            // Two of four an hour ahead: no majority shows which clocks are wrong.
            ([Some(0), Some(hour), Some(hour)], None, vec![]),
        ] {
            let clocks = compared(&claims).unwrap();
            assert_eq!((clocks.ours(), clocks.others()), (ours, others), "{claims:?}");
        }
    }

    #[test]
    fn fewer_than_a_quorum_of_clocks_say_nothing() {
        assert_eq!(compared(&[Some(9_000_000), None, None]), None);
    }

    #[test]
    fn a_liar_among_four_moves_nobody_however_much_it_claims() {
        for claim in [i64::MIN, -1_000_000, 1_000_000, i64::MAX] {
            assert_eq!(compared(&[Some(0), Some(0), Some(claim)]).unwrap().ours(), None, "{claim}");
            assert_eq!(compared(&[Some(0), Some(claim), None]).unwrap().ours(), None, "{claim}, one is away");
        }
    }

    #[test]
    fn the_sentence_names_the_offset_the_validator_and_the_fix() {
        let committee = committee();
        let ours = compared(&[Some(-290_005); 3]).unwrap().say(&committee);
        assert!(ours.contains("this machine's clock is 290.000 s ahead") && ours.contains("NTP"), "{ours}");
        let name = &committee.get(ValidatorId(3)).unwrap().name;
        let other = compared(&[Some(0), Some(0), Some(-2_005)]).unwrap().say(&committee);
        assert!(other.contains("agrees") && other.contains(&format!("the clock of {name} is 2.000 s behind")), "{other}");
    }
}
