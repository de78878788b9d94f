//! Whole validators in one process, connected by queues, with time moved by hand: no faults, so every step can be followed.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use quorate_app::BuiltIn;
use quorate_ledger::MemoryStore;
use quorate_replica::{Answer, Input, Now, Output, PoolLimits, Replica, ReplicaConfig, Ticket, verifier};
use quorate_types::{
    block::payload_bytes,
    codec::encode,
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, GenesisAccount, Parameters},
    ids::{Address, ChainId, ValidatorId},
    message::{MESSAGE_BYTES_MAX, Message, PROTOCOL_VERSION, Recipients},
    operation::{BankOperation, KV_VALUE_BYTES_MAX, KvAction, KvOperation, KvSpace, Operation},
    round::{Height, Round, Sequence, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
    verify::Verifier,
};

const START: UnixMillis = UnixMillis(1_700_000_000_000);

fn consensus_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn account_key() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

fn genesis(validators: u8) -> Genesis {
    let keys: Vec<_> = (1..=validators).map(|number| (number, consensus_key(number), SigningKey::from_seed(&[number + 100; 32]))).collect();
    let members = keys.iter().map(|(number, consensus, network)| {
        let validator = Validator {
            name: format!("v{number}"),
            consensus_key: consensus.public(),
            network_key: network.public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(1),
        };
        (validator, consensus, network)
    });
    Genesis {
        protocol_version: PROTOCOL_VERSION,
        chain_id: ChainId(7),
        name: "test".into(),
        timestamp: START,
        parameters: Parameters::default(),
        validators: Vec::new(),
        accounts: vec![GenesisAccount { address: Address::of(&account_key().public()), balance: 1_000_000 }],
    }
    .with_validators(members)
}

struct Cluster {
    genesis: Arc<Genesis>,
    verifier: Arc<Verifier>,
    stores: Vec<MemoryStore>,
    replicas: BTreeMap<u16, Replica<MemoryStore, BuiltIn>>,
    now: Duration,
    /// To whom, from whom, what.
    wire: VecDeque<(u16, u16, Vec<u8>)>,
    answers: BTreeMap<u64, Answer>,
    sent: BTreeMap<&'static str, usize>,
    /// How many batches of gossip the network still loses.
    gossip_lost: usize,
    gossip: Vec<(u16, Vec<Transaction>)>,
    fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>,
}

impl Cluster {
    fn new(validators: u8) -> Self {
        Self::led_by(validators, Arc::default())
    }

    fn led_by(validators: u8, fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        let genesis = Arc::new(genesis(validators));
        let verifier = verifier(&genesis, &BuiltIn).unwrap();
        let mut cluster = Self {
            genesis,
            verifier,
            stores: (0..validators).map(|_| MemoryStore::new()).collect(),
            replicas: BTreeMap::new(),
            now: Duration::ZERO,
            wire: VecDeque::new(),
            answers: BTreeMap::new(),
            sent: BTreeMap::new(),
            gossip_lost: 0,
            gossip: Vec::new(),
            fixed_leaders,
        };
        for id in 0..u16::from(validators) {
            cluster.start(id);
        }
        cluster.run();
        cluster
    }

    fn start(&mut self, id: u16) {
        let public = self.verifier.committee().get(ValidatorId(id)).unwrap().consensus_key;
        let key = (1..=200).map(consensus_key).find(|key| key.public() == public).unwrap();
        let config = ReplicaConfig {
            genesis: Arc::clone(&self.genesis),
            verifier: Arc::clone(&self.verifier),
            key,
            pool: PoolLimits::default(),
            fixed_leaders: Arc::clone(&self.fixed_leaders),
        };
        let replica = Replica::open(config, self.stores[usize::from(id)].clone(), BuiltIn).unwrap();
        self.replicas.insert(id, replica);
        self.push(id, Input::Tick);
    }

    fn time(&self) -> Now {
        let unix = UnixMillis(START.0 + 1_000 + u64::try_from(self.now.as_millis()).unwrap());
        Now { elapsed: self.now, unix }
    }

    fn push(&mut self, to: u16, input: Input) {
        let now = self.time();
        if let Some(replica) = self.replicas.get_mut(&to) {
            replica.push(now, input);
            self.drain(to);
        }
    }

    fn drain(&mut self, id: u16) {
        let all: Vec<u16> = (0..u16::try_from(self.stores.len()).unwrap()).collect();
        let replica = self.replicas.get_mut(&id).unwrap();
        while let Some(output) = replica.poll().unwrap() {
            match output {
                Output::Send { to, message } => {
                    *self.sent.entry(message.kind()).or_default() += 1;
                    let to: Vec<u16> = match to {
                        Recipients::Others => all.iter().copied().filter(|other| *other != id).collect(),
                        Recipients::One(one) => vec![one.0],
                    };
                    self.wire.extend(to.into_iter().map(|to| (to, id, encode(&*message))));
                }
                Output::Answer { ticket, answer } => assert!(self.answers.insert(ticket.0, answer).is_none(), "answered twice"),
                Output::Accused(evidence) => panic!("{evidence:?}"),
                Output::Gossip(_) if self.gossip_lost > 0 => self.gossip_lost -= 1,
                Output::Gossip(transactions) => self.gossip.push((id, transactions)),
                Output::Committed(_) | Output::Ignored { .. } | Output::Worked => {}
            }
        }
    }

    /// Delivers everything that is on the wire, and what comes of it.
    fn run(&mut self) {
        for _ in 0..100_000 {
            if let Some((from, transactions)) = self.gossip.pop() {
                for id in self.replicas.keys().copied().filter(|id| *id != from).collect::<Vec<_>>() {
                    let verified = self.verifier.transactions(transactions.clone()).into_iter().map(Result::unwrap).collect();
                    self.push(id, Input::Gossip(verified));
                }
                continue;
            }
            let Some((to, from, bytes)) = self.wire.pop_front() else { return };
            let message = self.verifier.message(ValidatorId(from), Message::decode(&bytes).unwrap()).unwrap();
            self.push(to, Input::Message { from: ValidatorId(from), message });
        }
        panic!("the network never goes quiet: {:?}", self.sent);
    }

    /// Moves time to the next deadline of anybody, at most by `most`.
    fn pass(&mut self, most: Duration) {
        let end = self.now + most;
        while let Some(next) = self.replicas.values().filter_map(Replica::next_deadline).min().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            for id in self.replicas.keys().copied().collect::<Vec<_>>() {
                self.push(id, Input::Tick);
            }
            self.run();
        }
        self.now = end;
    }

    fn submit(&mut self, to: u16, ticket: u64, sequence: u64) {
        let transfer = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
        let expires_at = UnixMillis(self.time().unix.0 + 60_000);
        let transaction = Transaction::sign(self.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, &transfer);
        let transaction = self.verifier.transactions(vec![transaction]).remove(0).unwrap();
        self.push(to, Input::Submit { ticket: Ticket(ticket), transaction, wait: Wait::Committed });
        self.run();
    }

    /// Values that fill blocks.
    fn submit_values(&mut self, to: u16, count: u64) {
        for sequence in 0..count {
            let key = format!("k{sequence}").into_bytes();
            let put = Operation::Kv(KvOperation { space: KvSpace::Shared, key, action: KvAction::Put(vec![7; KV_VALUE_BYTES_MAX]) });
            let expires_at = UnixMillis(self.time().unix.0 + 3_600_000);
            let transaction = Transaction::sign(self.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, &put);
            let transaction = self.verifier.transactions(vec![transaction]).remove(0).unwrap();
            self.push(to, Input::Submit { ticket: Ticket(sequence), transaction, wait: Wait::Accepted });
        }
        self.run();
    }

    fn heights(&self) -> Vec<u64> {
        self.replicas.values().map(|replica| replica.status().height.0).collect()
    }

    fn roots(&self) -> Vec<String> {
        self.replicas.values().map(|replica| replica.view().header().state_root.to_string()).collect()
    }
}

fn leader_of(cluster: &Cluster) -> u16 {
    cluster.replicas.values().map(Replica::status).max_by_key(|status| status.round).unwrap().leader.0
}

#[test]
fn a_lone_transaction_commits_at_once_and_everybody_learns_it_and_then_the_chain_is_quiet() {
    for validators in [1, 2, 4, 5, 7, 10] {
        let mut cluster = Cluster::new(validators);
        for sequence in 0..5 {
            let leader = leader_of(&cluster);
            cluster.submit(leader, sequence, sequence);
            assert!(
                matches!(cluster.answers.get(&sequence), Some(Answer::Committed { outcome, .. }) if outcome.is_applied()),
                "{validators} validators, {sequence}: {:?} {:?}",
                cluster.answers,
                cluster.heights()
            );
            assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1);
        }
        let before = cluster.sent.clone();
        cluster.pass(Duration::from_secs(9));
        assert_eq!(cluster.sent, before, "an idle chain sends nothing before its heartbeat");
        assert_eq!(cluster.sent.get("timeout"), None);
        cluster.pass(Duration::from_secs(60));
        assert_eq!(cluster.sent.get("timeout"), None, "heartbeats keep everybody patient");
        let blocks = cluster.replicas[&0].status().counts.blocks;
        assert!((10..=40).contains(&blocks), "{blocks}");
    }
}

#[test]
fn a_transaction_at_a_validator_that_does_not_lead_commits_though_its_first_gossip_is_lost() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.gossip_lost = 1;
    let other = (leader_of(&cluster) + 1) % 4;
    cluster.submit(other, 1, 1);
    cluster.pass(Duration::from_secs(30));
    assert!(matches!(cluster.answers.get(&1), Some(Answer::Committed { .. })), "{:?}", cluster.answers);
}

#[test]
fn the_chain_goes_on_without_one_of_four_and_takes_it_back() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(5));
    cluster.replicas.remove(&3);
    for sequence in 1..40 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(30));
        assert!(matches!(cluster.answers.get(&sequence), Some(Answer::Committed { .. })), "{sequence} {:?}", cluster.heights());
    }
    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(2));
    assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{:?}", cluster.heights());
    assert!(!cluster.replicas[&3].status().catching_up);
}

/// Every other round is led by the validator that is away, so no certificate commits directly while full blocks follow each other: all of
/// them are committed together in the end, and are more than a message holds.
#[test]
fn a_stretch_of_blocks_longer_than_a_message_is_caught_up_with_in_parts() {
    let leader = |round: u64| (Round(round), ValidatorId(if round % 2 == 1 { 3 } else { u16::try_from(round / 2 % 3).unwrap() }));
    let mut cluster = Cluster::led_by(4, Arc::new((1..=100).map(leader).collect()));
    cluster.replicas.remove(&3);
    cluster.submit_values(0, 160);
    cluster.pass(Duration::from_secs(20));
    assert_eq!(cluster.heights(), [0, 0, 0], "nothing is committed yet");
    cluster.pass(Duration::from_secs(900));
    let reader = cluster.replicas[&0].ledger().reader();
    let (blocks, _) = reader.blocks_from(Height(1), usize::MAX, usize::MAX).unwrap().unwrap();
    let bytes = blocks.iter().map(|block| payload_bytes(block.payload())).sum::<usize>();
    assert!(bytes > MESSAGE_BYTES_MAX, "{bytes}");
    let proof = reader.commit_proof(Height(1)).unwrap().unwrap();
    assert!(proof.headers.len() > 5, "{}", proof.headers.len());

    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    assert!(cluster.sent["catchup-response"] > 5, "{:?}", cluster.sent);
    assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{:?}", cluster.heights());
    assert!(!cluster.replicas[&3].status().catching_up);
}

#[test]
fn all_validators_come_back_from_their_disks() {
    let mut cluster = Cluster::new(4);
    for sequence in 0..10 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(10));
    }
    let heights = cluster.heights();
    for store in &cluster.stores {
        store.crash(0);
    }
    for id in 0..4 {
        cluster.replicas.remove(&id);
        cluster.start(id);
    }
    cluster.run();
    cluster.submit(0, 10, 10);
    cluster.pass(Duration::from_secs(60));
    assert!(matches!(cluster.answers.get(&10), Some(Answer::Committed { .. })), "{:?} -> {:?}", heights, cluster.heights());
    assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1);
}
