//! Whose answers count, and what they prove.

use super::*;
use crate::testing::committee;

const ME: ValidatorId = ValidatorId(0);
const NONCE: Hash = Hash([3; 32]);
const PAUSE: Duration = Duration::from_secs(1);

fn abstention(powers: &[u64]) -> Abstention {
    Abstention::new(NONCE, ME, committee(Epoch(4), powers), PAUSE)
}

#[test]
fn the_others_alone_must_be_a_quorum() {
    for (validators, enough) in [(1, None), (2, None), (3, None), (4, Some(3)), (5, Some(4)), (6, Some(5)), (7, Some(5)), (10, Some(7))] {
        let mut abstention = abstention(&vec![1; validators]);
        assert_eq!(abstention.status().can_end, enough.is_some(), "{validators} validators");
        let mut answers = 0;
        for from in 0..u16::try_from(validators).unwrap() {
            // A repeated answer counts once, our own and one with another nonce never.
            abstention.on_answer(ValidatorId(from), Hash::default(), Round(9));
            abstention.on_answer(ValidatorId(from), NONCE, Round(9));
            abstention.on_answer(ValidatorId(from), NONCE, Round(9));
            answers += usize::from(from > 0);
            let expected = enough.filter(|enough| answers >= *enough).map(|_| Round(10));
            assert_eq!(abstention.status().floor, expected, "{answers} of {validators}");
        }
    }
}

#[test]
fn it_is_over_with_a_commit_above_the_floor_and_the_floor_does_not_move() {
    let mut abstention = abstention(&[1; 4]);
    assert!(abstention.may_have_signed(Round(u64::MAX)) && abstention.over(Round(u64::MAX)).is_none());
    assert!(abstention.status().to_string().contains("0 have"));
    for from in 1..4 {
        abstention.on_answer(ValidatorId(from), NONCE, Round(6));
    }
    abstention.on_answer(ValidatorId(1), NONCE, Round(60));
    assert_eq!(abstention.status(), Abstaining { epoch: Epoch(4), answered: 3, can_end: true, floor: Some(Round(7)) });
    assert!(abstention.status().to_string().contains("above round 7 of epoch 4"), "{}", abstention.status());
    assert_eq!((abstention.over(Round(7)), abstention.over(Round(8))), (None, Some(Round(7))));
    assert_eq!([7, 8].map(|round| abstention.may_have_signed(Round(round))), [true, false]);

    let committee = Arc::clone(&abstention.committee);
    let next = abstention.next(ME, committee);
    assert_eq!((next.status().answered, next.status().floor), (0, None), "the next epoch knows nothing of this one's answers");
}

#[test]
fn it_asks_who_has_not_answered_until_it_knows_enough() {
    let mut abstention = abstention(&[1; 4]);
    let at = |pauses: u32| PAUSE * pauses;
    assert_eq!(abstention.deadline(), Some(Duration::ZERO));
    assert_eq!(abstention.on_time(at(0)), [1, 2, 3].map(ValidatorId));
    assert_eq!(abstention.deadline(), Some(at(1)));
    assert_eq!(abstention.on_time(Duration::from_millis(999)), []);
    abstention.on_answer(ValidatorId(2), NONCE, Round(1));
    assert_eq!(abstention.on_time(at(1)), [1, 3].map(ValidatorId));
    for from in [1, 3] {
        abstention.on_answer(ValidatorId(from), NONCE, Round(1));
    }
    assert_eq!((abstention.on_time(at(9)), abstention.deadline()), (vec![], None));
}

#[test]
fn a_committee_without_a_quorum_of_others_says_so() {
    assert!(abstention(&[1; 3]).status().to_string().contains("replace its key"));
    assert!(abstention(&[9, 1, 1, 1]).status().to_string().contains("replace its key"));
}
