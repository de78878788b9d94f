//! Validators that halt at a height.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use quorate_ledger::MemoryStore;
use quorate_replica::Answer;
use quorate_types::{
    ids::ValidatorId,
    message::Message,
    round::{Height, Round},
};

use super::Cluster;

const HALT: u64 = 5;

/// All validators of a cluster, started again to halt.
fn halting(mut cluster: Cluster) -> Cluster {
    cluster.halt_at = Some(Height(HALT));
    cluster.record = true;
    for id in 0..4 {
        cluster.replicas.remove(&id);
        cluster.start(id);
    }
    cluster.run();
    cluster
}

/// Submits transfers, of which the last ones can no longer be committed.
fn work(cluster: &mut Cluster, count: u64) {
    for sequence in 0..count {
        cluster.submit(u16::try_from(sequence % 4).unwrap(), sequence, sequence);
        cluster.pass(Duration::from_secs(20));
    }
}

#[test]
fn the_height_is_the_last_one_of_all_and_nothing_is_signed_after_it() {
    let mut cluster = halting(Cluster::new(4));
    work(&mut cluster, 12);
    assert_eq!(cluster.heights(), [HALT; 4]);
    assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1);
    let statuses: Vec<_> = cluster.replicas.values().map(super::Replica::status).collect();
    assert!(statuses.iter().all(|status| status.has_halted && !status.catching_up), "{statuses:?}");
    assert!(matches!(&cluster.answers[&11], Answer::Rejected { code, .. } if code == "halted"), "{:?}", cluster.answers);
    // What followed the last block was empty.
    for (_, bytes) in &cluster.recorded {
        if let Message::Proposal(proposal) = Message::decode(bytes).unwrap()
            && proposal.block.qc().round() >= cluster.replicas[&0].ledger().root().round
        {
            assert!(proposal.block.payload().is_empty());
        }
    }
    let signed = cluster.recorded.iter().filter(|(_, bytes)| Message::decode(bytes).unwrap().round().is_some()).count();
    cluster.pass(Duration::from_secs(300));
    let later = cluster.recorded.iter().filter(|(_, bytes)| Message::decode(bytes).unwrap().round().is_some()).count();
    assert_eq!(later, signed, "no round is given up either");

    // Nor after a restart. Without the setting, the chain goes on where it stood.
    cluster = halting(cluster);
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.heights(), [HALT; 4]);
    cluster.halt_at = None;
    for id in 0..4 {
        cluster.replicas.remove(&id);
        cluster.start(id);
    }
    cluster.run();
    cluster.submit(0, 100, 3);
    cluster.pass(Duration::from_secs(60));
    assert!(cluster.heights().iter().all(|height| *height > HALT), "{:?}", cluster.heights());
}

#[test]
fn one_that_was_away_gets_the_last_block_from_those_that_have_halted() {
    let mut cluster = halting(Cluster::new(4));
    cluster.replicas.remove(&3);
    for sequence in 0..12 {
        cluster.submit(u16::try_from(sequence % 3).unwrap(), sequence, sequence);
        cluster.pass(Duration::from_secs(60));
    }
    assert!(cluster.replicas.values().all(super::Replica::has_halted), "{:?}", cluster.heights());
    for fresh in [false, true] {
        cluster.replicas.remove(&3);
        if fresh {
            cluster.stores[3] = MemoryStore::new();
            cluster.witnesses.remove(&3);
        }
        cluster.start(3);
        cluster.run();
        cluster.pass(Duration::from_secs(60));
        assert!(cluster.replicas[&3].has_halted(), "{fresh} {:?}", cluster.heights());
        assert_eq!(cluster.heights().iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{:?}", cluster.heights());
    }
}

/// The others go on, and it is alone with its setting.
#[test]
fn one_that_halts_alone_commits_nothing_above_its_height_though_a_longer_chain_is_committed_at_once() {
    let leader = |round: u64| (Round(round), ValidatorId(u16::try_from(round % 3).unwrap()));
    let mut cluster = Cluster::led_by(4, Arc::new((1..=400).map(leader).collect::<BTreeMap<_, _>>()));
    cluster.replicas.remove(&3);
    for sequence in 0..20 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(10));
    }
    assert!(cluster.heights().iter().all(|height| *height > HALT + 5), "{:?}", cluster.heights());
    cluster.halt_at = Some(Height(HALT));
    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    assert_eq!(cluster.replicas[&3].status().height, Height(HALT));
    assert!(cluster.replicas[&3].has_halted());
}
