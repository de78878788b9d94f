//! The calculator on four real validators.

use std::{path::Path, time::Duration};

use quorate_client::Service;
use quorate_example_calculator::{Fixed, ONE, Step};
use quorate_tests::Cluster;
use quorate_types::ids::Address;

const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registers_are_exact_and_each_accounts_own() {
    let mut cluster = Cluster::of(Path::new(env!("CARGO_BIN_EXE_calculator")), 4, &["--accounts", "2"]).await;
    let service = |name: &str| Service::new(cluster.session_from(0), cluster.key(name).signing);
    let (alice, bob) = (service("alice"), service("bob"));
    let step = async |who: &Service, step: Step| who.invoke_ordered::<_, Fixed>(&step, TIMEOUT).await.unwrap().result;
    assert_eq!(step(&alice, Step::Add(10 * ONE)).await, Ok(10 * ONE));
    assert_eq!(step(&bob, Step::Set(1)).await, Ok(1));
    cluster.kill(2);
    assert_eq!(step(&alice, Step::Divide(4 * ONE)).await, Ok(2_500_000));
    assert_eq!(step(&alice, Step::Divide(0)).await.unwrap_err().code(), "division-by-zero");
    cluster.spawn(2);
    cluster.ready(2).await;
    let found = alice.invoke_unordered::<Address, Fixed>(&alice.address(), TIMEOUT).await.unwrap();
    assert_eq!(found.value, 2_500_000, "a failed step changes nothing");
}
