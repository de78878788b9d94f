//! Four whole nodes in one process, with real sockets between them. Every wait is bounded and ends as soon as its condition holds.

use std::net::TcpListener;

use quorate_ledger::MemoryStore;
use quorate_replica::MemoryWitness;
use quorate_types::{
    genesis::Genesis,
    ids::TxId,
    round::{Height, Sequence},
    rpc::{AccountView, BlockView, NodeStatus, Submitted, TransactionStatus},
    transaction::Transaction,
};

use crate::{
    Setup,
    testing::{Running, address_of, alice, genesis_of, in_a_minute, keys, setup_of, sign_for, transfer},
};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// A network on ports that are free now, with short rounds.
fn network() -> Genesis {
    // All bound at once, so that the ports differ.
    let listeners: Vec<_> = NAMES.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let members: Vec<_> = (1..)
        .zip(NAMES)
        .zip(&listeners)
        .map(|((number, name), listener)| (name, keys(number), format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port())))
        .collect();
    let mut genesis = genesis_of(&members);
    genesis.parameters.timeout_base_ms = 200;
    genesis
}

/// What outlives a process: its store and its witness.
type Disk = (MemoryStore, MemoryWitness);

fn disk(number: u8) -> Disk {
    (MemoryStore::new(), MemoryWitness::of_new_key(keys(number).public().consensus_key))
}

fn start(genesis: &Genesis, number: u8, (store, witness): &Disk) -> Running {
    let setup = Setup { witness: Box::new(witness.clone()), ..setup_of(keys(number), genesis.clone(), &[]) };
    Running::of(setup, store.clone())
}

/// A transfer by Alice in this network, which is not that of [`transfer`].
fn transfer_of(genesis: &Genesis, sequence: u64) -> Transaction {
    sign_for(genesis.hash(), sequence, in_a_minute(), transfer(sequence).content().payload.clone())
}

fn sequence(running: &Running) -> Sequence {
    running.get::<AccountView>(&format!("/v1/accounts/{}", address_of(&alice()))).sequence
}

fn height(running: &Running) -> Height {
    running.get::<NodeStatus>("/v1/status").height
}

#[test]
fn four_validators_commit_go_on_without_one_and_it_catches_up() {
    let genesis = network();
    let stores: Vec<_> = (1..).zip(NAMES).map(|(number, _)| disk(number)).collect();
    let mut nodes: Vec<_> = (1..).zip(&stores).map(|(number, store)| start(&genesis, number, store)).collect();
    for node in &nodes {
        node.eventually("linked to a quorum", |node| node.request("GET", "/readyz?min_peers=3", &[]).status == 200);
    }
    for number in 0..8u8 {
        // Through each of them in turn: what one accepts, all commit.
        nodes[usize::from(number) % 4].commit(&transfer_of(&genesis, number.into()));
    }

    nodes.pop().unwrap().node.stop();
    for number in 8..16u8 {
        nodes[usize::from(number) % 3].commit(&transfer_of(&genesis, number.into()));
    }
    for node in &nodes {
        node.eventually("all sixteen", |node| sequence(node) == Sequence(16));
    }

    nodes.push(start(&genesis, 4, &stores[3]));
    let back = &nodes[3];
    back.eventually("caught up", |back| sequence(back) == Sequence(16));
    let known: Submitted = back.get(&format!("/v1/transactions/{}", first_transaction(&nodes[0])));
    assert!(matches!(known.status, TransactionStatus::Committed { .. }));
    back.commit(&transfer_of(&genesis, 16));

    // The same blocks with the same results, up to the lowest height of all.
    let common = nodes.iter().map(height).min().unwrap();
    for at in 0..=common.0 {
        let blocks: Vec<BlockView> = nodes.iter().map(|node| node.get(&format!("/v1/blocks/{at}"))).collect();
        assert!(blocks.windows(2).all(|pair| pair[0] == pair[1]), "block {at}: {blocks:?}");
    }
    for node in nodes {
        assert_eq!(node.node.failure(), None);
        node.node.stop();
    }
}

/// The id of the first committed transaction.
fn first_transaction(running: &Running) -> TxId {
    let mut blocks = (1..=height(running).0).map(|at| running.get::<BlockView>(&format!("/v1/blocks/{at}")));
    blocks.find_map(|block| block.transactions.first().map(|view| view.tx_id)).unwrap()
}
