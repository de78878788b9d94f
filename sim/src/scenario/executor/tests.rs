use super::*;

const FIRST: ValidatorId = ValidatorId(0);

/// The wake-ups of the first validator that are still planned.
fn planned(executor: &mut Executor<'_>) -> Vec<Micros> {
    let agenda = std::iter::from_fn(|| executor.agenda.next());
    agenda.filter_map(|(at, happening)| matches!(happening, Happening::Wake(FIRST, _)).then_some(at)).collect()
}

fn life(executor: &Executor<'_>) -> u64 {
    executor.seats[0].life
}

#[test]
fn a_wake_up_whose_deadline_has_moved_leaves_the_planned_one_alone() {
    let scenario = Scenario::default();
    let mut executor = Executor::new(&scenario, 1).unwrap();
    executor.start(FIRST).unwrap();
    let wake = executor.seats[0].wake.unwrap();
    let stale = Happening::Wake(FIRST, life(&executor));
    executor.now = Micros(wake.0 - 1);
    executor.happen(stale).unwrap();
    assert_eq!(executor.seats[0].wake, Some(wake));
    assert_eq!(planned(&mut executor), [wake]);
}

#[test]
fn a_deadline_that_comes_while_a_validator_sleeps_wakes_it_afterwards() {
    let scenario = Scenario::default();
    let mut executor = Executor::new(&scenario, 1).unwrap();
    executor.start(FIRST).unwrap();
    let wake = executor.seats[0].wake.unwrap();
    let awake = wake.after(Micros::from_ms(10_000));
    executor.seats[0].asleep_until = awake;
    planned(&mut executor);
    executor.now = wake;
    executor.happen(Happening::Wake(FIRST, life(&executor))).unwrap();
    assert_eq!(planned(&mut executor), [awake]);
    executor.now = awake;
    executor.happen(Happening::Wake(FIRST, life(&executor))).unwrap();
    let next = planned(&mut executor);
    assert!(next.iter().any(|at| *at > awake), "{next:?}");
    assert_eq!(executor.seats[0].wake, next.first().copied());
}

#[test]
fn a_process_that_restarts_does_not_sleep_on() {
    let scenario = Scenario::default();
    let mut executor = Executor::new(&scenario, 1).unwrap();
    executor.start(FIRST).unwrap();
    executor.seats[0].asleep_until = Micros::from_ms(60_000);
    executor.power_off(FIRST, Some(Micros::from_ms(1)));
    executor.now = Micros::from_ms(1);
    executor.start(FIRST).unwrap();
    assert!(executor.seats[0].asleep_until <= executor.now);
}
