//! Starting and stopping: orderly, twice at once, far behind, in the wrong network.

use std::{fs, time::Duration};

use quorate_tests::{Cluster, DEADLINE, eventually};
use quorate_types::round::Height;

/// Longest stop that `quorate node run` promises.
const STOP_PROMISE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_validator_with_0_in_five_seconds_and_it_comes_back_with_its_chain() {
    let mut cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, 0, bob.public().address, 5);
    let proven = cluster.session_from(0).submit_and_verify(&tx, DEADLINE).await.unwrap();
    let height = proven.certificate().header.height;
    cluster.equal_roots(&[0, 1, 2, 3], height).await;
    for index in 0..4 {
        let status = cluster.terminate(index, STOP_PROMISE).await;
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{} ended with {status:?}", cluster.name(index));
    }
    for index in 0..4 {
        cluster.spawn(index);
    }
    for index in 0..4 {
        cluster.ready(index).await;
        assert!(cluster.status(index).await.height >= height);
        let again = cluster.session(&[index]).transaction(tx.id()).await.unwrap();
        assert_eq!((again.certificate().header.height, again.value()), (height, proven.value()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_data_is_refused_by_name() {
    let mut cluster = Cluster::create(4, &[]);
    cluster.spawn(0);
    let client = cluster.client(&[0]);
    eventually("the first process answers", || async { client.status().await.ok() }).await;
    let (status, said) = cluster.run_to_end(0);
    assert_ne!(status.code(), Some(0));
    let data = cluster.validator_home(0).join("data").display().to_string();
    assert!(said.contains(&data) && said.contains("in use"), "{said}");
    client.status().await.expect("the first process is unaffected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_was_away_for_hundreds_of_blocks_catches_up() {
    const BLOCKS: u64 = 400;
    let mut cluster = Cluster::start(4, &["--accounts", "2"]).await;
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    cluster.kill(2);
    let session = cluster.session(&[0, 1, 3]);
    let start = cluster.height().await;
    let mut height = start;
    let mut sequence = 0;
    // One after another, so that each is in a block of its own.
    while height.since(start) < BLOCKS {
        let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
        height = session.submit_and_verify(&tx, DEADLINE).await.unwrap().certificate().header.height;
        sequence += 1;
    }
    cluster.spawn(2);
    cluster.ready(2).await;
    cluster.equal_roots(&[0, 1, 2, 3], height).await;
    // It has the whole chain, not only its end.
    for number in [start.next().0, start.0 + BLOCKS / 2] {
        cluster.equal_roots(&[0, 2], Height(number)).await;
    }
    let tx = cluster.transfer(&alice, sequence, bob.public().address, 1);
    cluster.session(&[2]).submit_and_verify(&tx, DEADLINE).await.expect("it takes part again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_with_another_genesis_is_refused_by_name_and_the_others_go_on() {
    let mut cluster = Cluster::create(4, &["--accounts", "2"]);
    // A genesis with one validator less. Every entry in it is signed for this draft, so only the hash is wrong.
    let mut other = cluster.genesis().clone();
    other.validators.retain(|entry| entry.validator.name != "validator-2");
    let home = cluster.validator_home(3).to_path_buf();
    let genesis = home.join("config/genesis.json");
    fs::remove_file(&genesis).unwrap();
    quorate_genesis::file::write(&genesis, &other).unwrap();

    // Its operator has configured the hash of the right genesis, so it does not start.
    let (status, said) = cluster.run_to_end(3);
    assert_ne!(status.code(), Some(0));
    assert!(
        said.contains(&cluster.genesis().hash().to_string()) && said.contains(&other.hash().to_string()),
        "both hashes must be shown: {said}"
    );

    let config = home.join("config/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace(&cluster.genesis().hash().to_string(), &other.hash().to_string())).unwrap();
    for index in 0..4 {
        cluster.spawn(index);
    }
    for index in 0..3 {
        cluster.ready(index).await;
    }
    let (alice, bob) = (cluster.key("alice"), cluster.key("bob"));
    let tx = cluster.transfer(&alice, 0, bob.public().address, 5);
    cluster.session(&[0, 1, 2]).submit_and_verify(&tx, DEADLINE).await.unwrap();
    let refusal = |index: usize, of: String| {
        let client = cluster.client(&[index]);
        async move {
            let status = client.status().await.ok()?;
            let peer = status.peers.into_iter().find(|peer| peer.name == of)?;
            assert!(!peer.connected, "{peer:?}");
            peer.reason.filter(|reason| reason.contains("genesis"))
        }
    };
    for (index, of) in [(0, 3), (3, 0)] {
        let what = format!("{} says why {} is refused", cluster.name(index), cluster.name(of));
        let reason = eventually(&what, || refusal(index, cluster.name(of).to_owned())).await;
        assert!(reason.contains("genesis"), "{reason}");
    }
    assert_eq!(cluster.status(3).await.height, Height(0));
}
