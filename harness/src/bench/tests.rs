use std::sync::Arc;

use quorate_replica::Output;
use quorate_types::{
    committee::SignerSet,
    message::{CatchupRequest, Message, Recipients},
};

use super::*;
use crate::{Clock, Parts, Setup, SimHome, invariants::Register, lab::Lab, network::LinkRules};

const ME: ValidatorId = ValidatorId(1);

#[derive(Debug, PartialEq, Eq)]
struct Bell;

/// Four validators on a network without faults and without clients' work.
fn bench() -> Bench<SimHome, Bell> {
    let lab = Lab::new(4, 0).unwrap();
    let machine = |id| Machine::new(id, SimHome::default(), Setup::real(), Clock::default());
    let mut machines: Vec<Machine> = lab.setting.verifier.committee().ids().map(machine).collect();
    for machine in &mut machines {
        machine.open_at_genesis(&lab.setting, &lab.origin).unwrap();
    }
    let rules = LinkRules {
        loss_per_mille: 0,
        duplicate_per_mille: 0,
        delay_min: Micros(200),
        delay_max: Micros(2_000),
        late_per_mille: 0,
        late_max: Micros(0),
    };
    let network = Network::new(rules, Random::new(1));
    let watch = Watch::new(Register::one_chain(SignerSet::default()));
    let workload = Workload::new(lab.subject.clone(), Random::new(2));
    let (setting, random) = (lab.setting, Random::new(3));
    Bench::new(Parts { setting, machines, network, workload, watch, audit: Audit::new(false), random })
}

fn ask(bench: &mut Bench<SimHome, Bell>) {
    let message = Arc::new(Message::CatchupRequest(CatchupRequest { from: Height(1) }));
    bench.output(ME, Output::Send { to: Recipients::Others, message }).unwrap();
}

#[test]
fn what_is_sent_arrives_at_all_others_and_each_then_has_its_turn() {
    let mut bench = bench();
    ask(&mut bench);
    let (mut heard, mut steps) = (Vec::new(), Vec::new());
    while let Some(event) = bench.next() {
        match event {
            Event::Arrival { from, to, packet } => {
                heard.push(to);
                let opened = bench.open(from, to, &packet).unwrap();
                bench.hear(from, to, opened).unwrap();
            }
            Event::Step(id) => steps.push(id),
            other => panic!("{other:?}"),
        }
    }
    heard.sort();
    steps.sort();
    assert_eq!((heard.as_slice(), bench.messages), ([0, 2, 3].map(ValidatorId).as_slice(), 3));
    assert_eq!(heard, steps);
}

#[test]
fn nothing_planned_for_a_process_reaches_the_next_one_and_nothing_reaches_one_without_power() {
    let mut bench = bench();
    ask(&mut bench);
    bench.give(ME, Input::Tick);
    bench.plan(Micros(1_000_000), Bell);
    for machine in &mut bench.machines {
        machine.stop();
    }
    bench.give(ME, Input::Tick);
    let setting = &bench.setting;
    bench.machines.iter_mut().find(|machine| machine.id == ME).unwrap().start(setting, Micros(0)).unwrap();
    let event = bench.next();
    assert!(matches!(event, Some(Event::Own(Bell))), "{event:?}");
    assert!(bench.next().is_none());
}

#[test]
fn a_validator_that_rests_is_woken_at_its_deadline() {
    let mut bench = bench();
    bench.begin_work(ME).unwrap();
    let deadline = loop {
        let Some(Event::Step(id)) = bench.next() else { panic!("no step is planned") };
        let polled = bench.poll(id).unwrap();
        if polled.output.unwrap().is_some() {
            bench.go_on(id, polled.synced);
        } else {
            let deadline = bench.machine(id).and_then(Machine::deadline).unwrap();
            bench.idle(id).unwrap();
            break deadline;
        }
    };
    assert!(matches!(bench.next(), Some(Event::Step(ME))));
    assert!(deadline > Micros(0) && (1..=21).contains(&bench.now.since(deadline).0), "{deadline}, {}", bench.now);
}
