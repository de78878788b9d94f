//! Rounds, timeouts and durations.

use super::*;
use crate::members::Members;

fn timeout(members: &Members, id: u16, round: u64) -> Verified<TimeoutMessage> {
    let genesis = members.genesis_qc();
    members.timeout(ValidatorId(id), Round(round), (&genesis, None, &genesis))
}

fn in_round_one() -> Pacemaker {
    let mut pacemaker = Pacemaker::new();
    assert!(pacemaker.advance(Round(0), None));
    pacemaker
}

#[test]
fn e8_amplifies_at_the_power_that_holds_an_honest_one_and_certifies_at_a_quorum() {
    for n in 1..=10u16 {
        let members = Members::equal(usize::from(n));
        let f = (n - 1) / 3;
        let mut pacemaker = in_round_one();
        for id in 0..n {
            let count = id + 1;
            // Each timeout twice: a duplicate never counts.
            for time in 0..2 {
                let added = pacemaker.add(&members.committee, timeout(&members, id, 1));
                match added {
                    TimeoutOutcome::Formed(tc) => {
                        assert!(count == n - f && time == 0 && tc.signers.len() == usize::from(n - f), "n = {n}, {count}");
                    }
                    TimeoutOutcome::Amplify => assert!(count > f, "n = {n}, {count}"),
                    TimeoutOutcome::Counted => assert!(count <= f, "n = {n}, {count}"),
                    other => panic!("{other:?}"),
                }
            }
        }
        // Not again after we have joined in.
        let mut pacemaker = in_round_one();
        pacemaker.set_own_timeout(timeout(&members, 0, 1));
        for id in 0..n {
            assert!(!matches!(pacemaker.add(&members.committee, timeout(&members, id, 1)), TimeoutOutcome::Amplify));
        }
    }
}

/// D10: a validator signs one timeout of a round, with one content. Another certificate is evidence, and the first timeout counts.
#[test]
fn b3_a_second_timeout_of_a_round_with_another_certificate_is_evidence() {
    let members = Members::equal(4);
    let genesis = members.genesis_qc();
    let block = Members::block(ValidatorId(0), Round(1), 0, &genesis);
    let qc = members.qc(&block);
    let timeout = |id, high_qc| members.timeout(ValidatorId(id), Round(2), (high_qc, None, &genesis));
    let mut pacemaker = Pacemaker::new();
    pacemaker.advance(Round(1), None);
    pacemaker.set_own_timeout(timeout(0, &qc));
    for (first, second) in [(&qc, &genesis), (&genesis, &qc)] {
        pacemaker.timeouts.clear();
        assert!(matches!(pacemaker.add(&members.committee, timeout(1, first)), TimeoutOutcome::Counted));
        assert!(matches!(pacemaker.add(&members.committee, timeout(1, first)), TimeoutOutcome::Counted));
        let added = pacemaker.add(&members.committee, timeout(1, second));
        assert!(matches!(added, TimeoutOutcome::Equivocation(both) if both[0].high_qc.round() == first.round()));
        assert!(matches!(pacemaker.add(&members.committee, timeout(2, &genesis)), TimeoutOutcome::Counted));
    }
    let TimeoutOutcome::Formed(tc) = pacemaker.add(&members.committee, timeout(3, &genesis)) else { panic!("a quorum") };
    assert_eq!(tc.high_qc_rounds.to_vec(), [Round(0); 3]);
}

#[test]
fn our_own_timeout_is_kept_while_its_round_lasts() {
    let members = Members::equal(4);
    let mut pacemaker = in_round_one();
    pacemaker.set_own_timeout(timeout(&members, 0, 2));
    assert!(pacemaker.own_timeout().is_none(), "of another round");
    pacemaker.set_own_timeout(timeout(&members, 0, 1));
    assert_eq!(pacemaker.own_timeout().map(|own| own.timeout.round), Some(Round(1)));
    assert!(pacemaker.advance(Round(1), None));
    assert!(pacemaker.own_timeout().is_none());
}

#[test]
fn only_timeouts_of_the_current_round_are_kept() {
    let members = Members::equal(4);
    let mut pacemaker = in_round_one();
    assert!(matches!(pacemaker.add(&members.committee, timeout(&members, 1, 2)), TimeoutOutcome::Ignored(Ignored::FarRound)));
    pacemaker.add(&members.committee, timeout(&members, 1, 1));
    assert!(pacemaker.advance(Round(1), None));
    assert!(pacemaker.timeouts.is_empty());
    assert!(matches!(pacemaker.add(&members.committee, timeout(&members, 1, 1)), TimeoutOutcome::Ignored(Ignored::OldRound)));
}

#[test]
fn a_quorum_certificate_wins_where_both_certify_the_same_round() {
    let members = Members::equal(1);
    let genesis = members.genesis_qc();
    let tc = |round| members.tc(Round(round), &[(ValidatorId(0), &genesis)]);
    // In round 5, (certified round, round of the timeout certificate): the round after it, and whether the timeout certificate is kept.
    for (qc, with, after, kept) in [
        (4, None, 5, false),
        (4, Some(4), 5, false),
        (5, None, 6, false),
        (5, Some(5), 6, false),
        (0, Some(5), 6, true),
        (5, Some(6), 7, true),
        (7, Some(6), 8, false),
        (3, Some(9), 10, true),
    ] {
        let mut pacemaker = Pacemaker::new();
        pacemaker.advance(Round(4), None);
        let tc = with.map(tc);
        let moved = pacemaker.advance(Round(qc), tc.as_ref());
        assert_eq!((pacemaker.round(), moved), (Round(after), after > 5), "{qc} {with:?}");
        assert_eq!(pacemaker.last_round_tc().map(|tc| tc.round.next()), kept.then_some(Round(after)), "{qc} {with:?}");
    }
}

#[test]
fn e11_a_round_lasts_the_base_while_commits_come_and_then_longer_and_longer_up_to_the_maximum() {
    let parameters = Parameters { timeout_base_ms: 1_000, timeout_growth_percent: 120, timeout_max_ms: 3_000, ..Parameters::default() };
    let at = |round: u64| {
        let mut pacemaker = Pacemaker::new();
        pacemaker.advance(Round(round - 1), None);
        pacemaker.duration_ms(&parameters, Round(10))
    };
    assert_eq!([at(11), at(13), at(14), at(15), at(16), at(19), at(1_000_000)], [1_000, 1_000, 1_200, 1_440, 1_728, 2_984, 3_000]);
    // S3: before the first commit nothing underflows.
    assert_eq!(in_round_one().duration_ms(&parameters, Round(0)), 1_000);
    // A base and a factor so small that rounding would stop the growth still grow.
    let small = Parameters { timeout_base_ms: 10, timeout_growth_percent: 101, timeout_max_ms: 50, ..parameters };
    let mut pacemaker = Pacemaker::new();
    pacemaker.advance(Round(100), None);
    assert_eq!(pacemaker.duration_ms(&small, Round(0)), 50);
    // A genesis may also rule out growth.
    let constant = Parameters { timeout_growth_percent: 100, ..small };
    assert_eq!(pacemaker.duration_ms(&constant, Round(0)), 10);
}
