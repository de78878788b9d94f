//! The counter on four real validators, killed and restarted under load: every answered increment counts once.

use std::{path::Path, sync::Arc, time::Duration};

use quorate_client::{Service, ServiceError, service::Invoked};
use quorate_example_counter::VALUE;
use quorate_tests::{Cluster, program};

const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a validator is killed.
const KILLS: usize = 20;

fn counter() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_counter"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_count_once_through_twenty_kills() {
    let mut cluster = Cluster::of(counter(), 4, &["--accounts", "2"]).await;
    let service = |name: &str| Arc::new(Service::new(cluster.session_from(0), cluster.key(name).signing));
    let (alice, bob) = (service("alice"), service("bob"));

    // Twenty concurrent increments from one account, which the service numbers.
    let many = (0..20).map(|_| {
        let alice = Arc::clone(&alice);
        tokio::spawn(async move { alice.invoke_ordered::<u64, u64>(&1, TIMEOUT).await.unwrap().result.unwrap() })
    });
    let mut answers = Vec::new();
    for increment in many.collect::<Vec<_>>() {
        answers.push(increment.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=20).collect::<Vec<u64>>(), "each increment has a value of its own");

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = tokio::spawn({
        let bob = Arc::clone(&bob);
        async move {
            let (mut applied, mut unknown) = (0u64, 0u64);
            while !*stopped.borrow() {
                match bob.invoke_ordered::<u64, u64>(&1, TIMEOUT).await {
                    Ok(Invoked { result, .. }) => applied += u64::from(result.is_ok()),
                    Err(ServiceError::Client(error)) => {
                        unknown += 1;
                        eprintln!("not known: {error}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            (applied, unknown)
        }
    });
    for kill in 0..KILLS {
        let victim = (kill * 3) % 4;
        cluster.kill(victim);
        // A commit without the victim.
        alice.invoke_ordered::<u64, u64>(&0, TIMEOUT).await.unwrap();
        cluster.spawn(victim);
        cluster.ready(victim).await;
    }
    stop.send(true).unwrap();
    let (applied, unknown) = load.await.unwrap();
    let value = alice.invoke_ordered::<u64, u64>(&0, TIMEOUT).await.unwrap().result.unwrap();
    assert!((20 + applied..=20 + applied + unknown).contains(&value), "{value}, answered {applied}, unknown {unknown}");
    assert!(applied > 0);

    // Without a transaction: proved by one node, and agreed upon by two.
    let (read, _) = alice.read::<u64>(&VALUE.key()).await.unwrap();
    let agreed = alice.invoke_unordered::<(), u64>(&(), TIMEOUT).await.unwrap();
    assert_eq!((read, agreed.value, agreed.nodes >= 2), (Some(value), value, true));
}

#[test]
fn the_program_is_a_client_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::of(counter(), 1, &["--accounts", "1"]));
    let home = cluster.home();
    let run = |arguments: &[&str]| {
        let usual = ["--home", home.to_str().unwrap(), "--node", cluster.url(0), "-o", "json"];
        program::run(counter(), &[arguments, &usual].concat())
    };
    let first = run(&["invoke", "5", "--from", "alice"]).ok().json();
    assert_eq!((first["status"].as_str(), first["answer"].as_u64()), (Some("applied"), Some(5)), "{first}");
    assert_eq!(run(&["tx", first["tx_id"].as_str().unwrap()]).ok().json(), first, "the same receipt later");
    assert_eq!(run(&["query", "null"]).ok().json()["answer"], 5);
    let overflow = run(&["invoke", "18446744073709551615", "--from", "alice"]);
    assert_eq!(overflow.code, Some(5), "{overflow:?}");
    let wrong = run(&["invoke", "\"five\"", "--from", "alice"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("counter"), "{wrong:?}");
}

/// A program with another application or version refuses the genesis and names the one it needs.
#[test]
fn another_program_does_not_run_this_network() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cluster = runtime.block_on(Cluster::of(counter(), 1, &[]));
    let home = cluster.validator_home(0).to_path_buf();
    cluster.kill(0);
    let refused = program::run(&program::program(), &["node", "run", "--home", home.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("application counter version 1, but this program runs quorate version 1"), "{refused:?}");
}
