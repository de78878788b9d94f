//! How long a restarted validator waits before it signs, and which validators it asks.

use quorate_types::round::Epoch;

use super::*;
use crate::testing::committee;

const ME: ValidatorId = ValidatorId(0);
const PATIENCE: Duration = Duration::from_secs(1);

fn asking(powers: &[u64]) -> Asking {
    Asking::new(ME, committee(Epoch(0), powers), PATIENCE)
}

fn at(ms: u64) -> Duration {
    // Clocks start anywhere.
    Duration::from_millis(7_000 + ms)
}

#[test]
fn it_waits_for_a_quorum_with_itself_in_it() {
    for (validators, enough) in [(1, 0), (2, 1), (3, 2), (4, 2), (7, 4), (10, 6)] {
        let mut asking = asking(&vec![1; validators]);
        asking.on_time(at(0));
        let answers = (1..).map(ValidatorId).take_while(|from| {
            let waits = asking.is_waiting();
            if waits {
                asking.on_answer(*from);
                // A repeated answer counts once.
                asking.on_answer(*from);
            }
            waits
        });
        assert_eq!(answers.count(), enough, "{validators} validators");
        assert_eq!(asking.deadline(), None, "nobody is asked any more");
    }
}

#[test]
fn it_goes_on_one_base_timeout_after_it_heard_anybody_whoever_answers() {
    let mut asking = asking(&[1; 4]);
    assert_eq!(asking.on_time(at(0)).len(), 3);
    asking.on_time(at(60_000));
    assert!(asking.is_waiting(), "nobody was heard");
    asking.on_heard(at(60_000));
    asking.on_answer(ValidatorId(2));
    for ms in [60_001, 60_199, 60_200, 60_999] {
        asking.on_heard(at(ms));
        asking.on_time(at(ms));
        assert!(asking.is_waiting());
    }
    assert!(asking.deadline() <= Some(at(61_000)), "the driver must look at the time by then");
    asking.on_time(at(61_000));
    assert!(!asking.is_waiting());
}

#[test]
fn who_has_not_answered_is_asked_again_and_not_for_ever() {
    let mut asking = asking(&[1; 4]);
    asking.on_time(at(0));
    asking.on_heard(at(0));
    asking.on_answer(ValidatorId(2));
    assert_eq!(asking.on_time(at(10)), []);
    assert_eq!(asking.on_time(at(200)), [ValidatorId(1), ValidatorId(3)]);
    let (mut asked, mut now) = (0, at(200));
    while let Some(deadline) = asking.deadline() {
        now = deadline.max(now);
        asked += asking.on_time(now).len();
        assert!(asked < 100);
    }
    assert!(asked > 2 * 8 && now > at(60_000), "{asked} until {now:?}");
}

#[test]
fn who_plays_double_asks_nobody() {
    let mut asking = asking(&[1; 4]).skipped();
    assert!(!asking.is_waiting());
    assert_eq!((asking.on_time(at(0)), asking.deadline()), (Vec::new(), None));
}

#[test]
fn nothing_is_signed_in_an_epoch_that_an_honest_validator_has_left() {
    for (claims, waits) in [(1, false), (2, true)] {
        let mut asking = asking(&[1; 4]);
        asking.on_time(at(0));
        asking.on_heard(at(0));
        (1..=claims).for_each(|from| asking.on_later_epoch(ValidatorId(from)));
        asking.on_time(at(60_000));
        assert_eq!(asking.is_waiting(), waits, "one of four may lie");
        assert!(asking.deadline().is_none_or(|next| next > at(60_000)), "no busy loop");
    }
}
