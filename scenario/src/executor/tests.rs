use super::{
    super::{
        model::default_parameters,
        operations::Workload,
        rules::{Attribute, Fault, Party, Rounds, Rule},
        triggers::{Deed, Trigger},
    },
    *,
};

const FIRST: ValidatorId = ValidatorId(0);

/// The scheduled wake-ups of the first validator.
fn planned(executor: &mut Executor<'_>) -> Vec<Micros> {
    let agenda = std::iter::from_fn(|| executor.agenda.next());
    agenda.filter_map(|(at, happening)| matches!(happening, Happening::Wake(FIRST, _)).then_some(at)).collect()
}

fn life(executor: &Executor<'_>) -> u64 {
    executor.seats[0].machine.life
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

/// A lie that rewrites messages, made by a trigger or by a rule.
#[derive(Clone, Copy, Debug)]
enum Rewriting {
    Once(Deed),
    InRounds(Attribute, u64),
}

const REWRITINGS: [Rewriting; 9] = [
    Rewriting::Once(Deed::ChangeOperation),
    Rewriting::Once(Deed::IncrementSlot),
    Rewriting::Once(Deed::InvalidOrderSig),
    Rewriting::Once(Deed::ChangeResult),
    Rewriting::Once(Deed::InvalidResultSig),
    Rewriting::Once(Deed::TruncateHistory(1)),
    Rewriting::InRounds(Attribute::CurrentRound, 4),
    Rewriting::InRounds(Attribute::HighQcRound, 2),
    Rewriting::InRounds(Attribute::HighestVoteRound, 1),
];

/// Seven validators, two of them faulty, with these liars and lies. A message may be rewritten by a trigger and then by a rule.
fn liars(lies: [(u16, Rewriting); 2]) -> Scenario {
    let mut scenario = Scenario {
        validators: 7,
        faulty: BTreeSet::from([1, 2]),
        workloads: vec![Workload::Requests(4)],
        parameters: default_parameters(100),
        leaders: Leaders::RoundRobin,
        ..Scenario::default()
    };
    for (validator, lie) in lies {
        match lie {
            Rewriting::Once(deed) => scenario.triggers.extend([0, 1].map(|count| {
                let (event, client) = (Event::ClientRequest, Some(0));
                Trigger { line: 1, validator, event, client, count, deed }
            })),
            Rewriting::InRounds(attribute, value) => scenario.failures.push(Rule {
                line: 1,
                src: Party::Validator(validator),
                dest: Party::Any,
                kind: None,
                rounds: Rounds::Between(1, 9),
                per_million: 1_000_000,
                fault: Fault::SetAttr(attribute, value),
            }),
        }
    }
    scenario.check().unwrap();
    scenario
}

#[test]
fn no_pair_of_lies_makes_the_run_forget_what_was_sent() {
    for (index, one) in REWRITINGS.into_iter().enumerate() {
        for other in REWRITINGS.into_iter().skip(index) {
            for second in [1, 2] {
                let scenario = liars([(1, one), (second, other)]);
                let run = run(&scenario, 3).unwrap();
                assert!(run.report.passed, "1: {one:?}, {second}: {other:?}: {:#?}", run.report);
            }
        }
    }
}
