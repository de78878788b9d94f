//! Every crash point: 16 sites, and 4 instants around each write.

use std::{collections::BTreeSet, thread::available_parallelism};

use quorate_sim::crash_points::{Course, Instant, Matrix, POINTS, Point, Site, run, singles};

fn matrix(courses: &[Course]) -> Matrix {
    let matrix = Matrix::of(courses, available_parallelism().map_or(2, usize::from), &|_, _| {});
    for failure in &matrix.failures {
        eprintln!("{:?} {:?}\n    {}", failure.outcome.missed, failure.outcome.violation, failure.replay);
    }
    matrix
}

#[test]
fn the_power_fails_at_each_of_the_64_points_and_every_rule_holds() {
    let matrix = matrix(&singles(0, 2));
    assert_eq!(matrix.never_hit, Vec::<String>::new());
    assert!(matrix.is_good(), "runs failed, see above");
    assert_eq!((matrix.points_hit(), matrix.hit), (POINTS, 128));
    // Some runs cut all validators' power with the victim's; and if the disks lost no batch, nothing would be tested.
    assert!(matrix.crashes > 120 && matrix.lost_writes > 20, "{matrix:?}");
}

#[test]
fn the_power_fails_again_in_the_recovery() {
    // At the writes of a restart, and at the first ballots after it.
    let again =
        ["peer-file/after-write", "key-file/after-sync", "state-snapshot/after-write", "epoch-start/before-write", "vote/after-write"];
    let firsts = ["ledger-commit/after-write", "own-proposal/after-sync", "timeout/after-effect", "state-snapshot/after-sync"];
    let point = |name: &str| name.parse::<Point>().unwrap();
    let courses: Vec<Course> =
        firsts.iter().flat_map(|first| again.iter().map(|second| Course::pair(1, point(first), point(second)))).collect();
    let matrix = matrix(&courses);
    assert_eq!((matrix.failed, matrix.hit), (0, 20), "runs failed, see above");
}

#[test]
fn the_points_hold_in_committees_of_one_and_of_seven() {
    // A lone validator never times out, fetches or abandons a block, and every proposal is its own.
    let alone = [
        Site::Vote,
        Site::OwnProposal,
        Site::Witness,
        Site::EpochStart,
        Site::LedgerCommit,
        Site::StateSnapshot,
        Site::PeerFile,
        Site::KeyFile,
    ];
    let of = |sites: &[Site], validators: u16| -> Vec<Course> {
        let points = sites.iter().flat_map(|site| Instant::ALL.map(|instant| Point { site: *site, instant }));
        points.map(|point| Course::single(5, validators, point)).collect()
    };
    let alone = of(&alone, 1);
    let seven = of(&[Site::Vote, Site::HighestCertificates, Site::LedgerCommit, Site::SyncChunk, Site::Prune], 7);
    let matrix = matrix(&[alone, seven].concat());
    assert_eq!((matrix.failed, matrix.hit), (0, 52), "runs failed, see above");
}

#[test]
fn a_point_that_is_never_hit_is_a_failure_with_its_name() {
    // A lone validator gives up no round, because it is always on time for itself.
    let course = Course::single(0, 1, Point { site: Site::Timeout, instant: Instant::AfterSync });
    let matrix = Matrix::of(&[course], 1, &|_, _| {});
    assert_eq!((matrix.failed, matrix.hit, matrix.is_good()), (1, 0, false));
    assert_eq!(matrix.failures[0].outcome.missed.as_deref(), Some("timeout/after-sync"));
    assert!(matrix.failures[0].replay.contains("--point timeout/after-sync"));
    assert!(matrix.never_hit.contains(&"timeout/after-sync".to_owned()));
}

#[test]
fn a_point_that_nobody_runs_is_reported_as_never_hit() {
    let all = singles(3, 1);
    let without: Vec<Course> = all.into_iter().filter(|course| course.point.site == Site::Vote).collect();
    let matrix = Matrix::of(&without, 2, &|_, _| {});
    assert_eq!(matrix.failed, 0);
    let missing: BTreeSet<String> =
        Point::all().into_iter().filter(|point| point.site != Site::Vote).map(|point| point.to_string()).collect();
    assert_eq!(matrix.never_hit.iter().cloned().collect::<BTreeSet<_>>(), missing);
    assert!(!matrix.is_good(), "60 points were never hit");
}

#[test]
fn a_course_is_a_function_of_its_seed() {
    let course = Course::single(9, 4, Point { site: Site::SyncChunk, instant: Instant::AfterWrite });
    let (first, second) = (run(&course), run(&Course { trace: true, ..course.clone() }));
    assert!(first.is_good() && !second.trace.is_empty());
    assert_eq!((&first.event_hash, first.virtual_ms, first.height), (&second.event_hash, second.virtual_ms, second.height));
    assert_ne!(first.event_hash, run(&Course { seed: 10, ..course }).event_hash);
}
