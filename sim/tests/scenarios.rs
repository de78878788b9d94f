//! The scenarios of the course, each with the verdict that it expects.

use quorate_sim::scenario;

#[test]
fn the_template_runs_as_it_is() {
    let imported = scenario::read(scenario::TEMPLATE, None, None).unwrap();
    let run = scenario::run(&imported.scenario, 1).unwrap();
    println!("{:#?}", run.report);
    for line in &run.ledgers[0] {
        println!("{line}");
    }
    for line in &run.failures {
        println!("{line}");
    }
    assert!(run.report.passed, "{}", run.report.verdict);
}
