//! Whole validators in one process, connected by queues, with time moved by hand: no faults, so every step can be followed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod clients;
mod epochs;
mod halt;
mod lost;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use quorate_builtin::{
    BankOperation, GenesisAccount, KvAction, KvOperation, KvSpace, Operation, Settings, app, operation::KV_VALUE_BYTES_MAX,
};
use quorate_ledger::{Batch, Column, Ledger, MemoryStore, Store};
use quorate_replica::{
    Answer, Doubles, Fatal, Input, MemoryWitness, Now, Output, PoolLimits, RecoverError, Replica, ReplicaConfig, Ticket, verifier,
};
use quorate_types::{
    block::{Block, BlockContent, Proposal, payload_bytes},
    codec::encode,
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, Parameters},
    ids::{Address, BlockId, ChainId, ValidatorId},
    message::{CatchupRequest, FetchRequest, MESSAGE_BYTES_MAX, Message, PROTOCOL_VERSION_MAX, Recipients},
    round::{Height, Round, Sequence, UnixMillis},
    rpc::Wait,
    sighting::Sightings,
    transaction::Transaction,
    verify::{Verified, Verifier},
};

const START: UnixMillis = UnixMillis(1_700_000_000_000);

fn consensus_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn account_key() -> SigningKey {
    SigningKey::from_seed(&[200; 32])
}

fn genesis(validators: u8) -> Genesis {
    founded(validators, 1_000_000)
}

fn founded(validators: u8, balance: u64) -> Genesis {
    let keys: Vec<_> = (1..=validators).map(|number| (number, consensus_key(number), SigningKey::from_seed(&[number + 100; 32]))).collect();
    let members = keys.iter().map(|(number, consensus, network)| {
        let validator = Validator {
            name: format!("v{number}"),
            consensus_key: consensus.public(),
            network_key: network.public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(1),
            operator: None,
        };
        (validator, consensus, network)
    });
    Genesis::draft(
        ChainId(7),
        "test",
        START,
        Parameters::default(),
        Settings::default().with_accounts(vec![GenesisAccount { address: Address::of(&account_key().public()), balance }]).in_genesis(),
    )
    .with_validators(members)
}

struct Cluster {
    genesis: Arc<Genesis>,
    verifier: Arc<Verifier>,
    stores: Vec<MemoryStore>,
    witnesses: BTreeMap<u16, MemoryWitness>,
    replicas: BTreeMap<u16, Replica<MemoryStore>>,
    now: Duration,
    /// Messages in flight: to, from, bytes.
    wire: VecDeque<(u16, u16, Vec<u8>)>,
    answers: BTreeMap<u64, Answer>,
    sent: BTreeMap<&'static str, usize>,
    /// How many batches of gossip the network still loses.
    gossip_lost: usize,
    gossip: Vec<(u16, Vec<Transaction>)>,
    /// How far a validator's calendar is ahead, in milliseconds.
    ahead: BTreeMap<u16, i64>,
    fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>,
    /// Versions of the protocol that older programs speak.
    speaks: BTreeMap<u16, u32>,
    /// The height at which validators that start from now on halt.
    halt_at: Option<Height>,
    /// Validators that have stopped for ever, and their messages.
    stopped: BTreeMap<u16, String>,
    /// Whether sent messages are recorded, as (from, bytes).
    record: bool,
    recorded: Vec<(u16, Vec<u8>)>,
    /// Messages of this kind go to `withheld` instead of arriving.
    withholds: Option<&'static str>,
    withheld: VecDeque<(u16, u16, Vec<u8>)>,
}

impl Cluster {
    fn new(validators: u8) -> Self {
        Self::led_by(validators, Arc::default())
    }

    fn led_by(validators: u8, fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        Self::of(genesis(validators), fixed_leaders)
    }

    fn of(genesis: Genesis, fixed_leaders: Arc<BTreeMap<Round, ValidatorId>>) -> Self {
        let validators = u8::try_from(genesis.validators.len()).unwrap();
        let genesis = Arc::new(genesis);
        let verifier = verifier(&genesis, &app()).unwrap();
        let mut cluster = Self {
            genesis,
            verifier,
            stores: (0..validators).map(|_| MemoryStore::new()).collect(),
            witnesses: BTreeMap::new(),
            replicas: BTreeMap::new(),
            now: Duration::ZERO,
            wire: VecDeque::new(),
            answers: BTreeMap::new(),
            sent: BTreeMap::new(),
            gossip_lost: 0,
            gossip: Vec::new(),
            ahead: BTreeMap::new(),
            fixed_leaders,
            speaks: BTreeMap::new(),
            halt_at: None,
            stopped: BTreeMap::new(),
            record: false,
            recorded: Vec::new(),
            withholds: None,
            withheld: VecDeque::new(),
        };
        for id in 0..u16::from(validators) {
            cluster.start(id);
        }
        cluster.run();
        cluster
    }

    fn start(&mut self, id: u16) {
        let replica = self.open(id).unwrap();
        self.replicas.insert(id, replica);
        self.push(id, Input::Tick);
    }

    fn open(&mut self, id: u16) -> Result<Replica<MemoryStore>, RecoverError> {
        let public = self.verifier.committee().get(ValidatorId(id)).unwrap().consensus_key;
        let key = (1..=200).map(consensus_key).find(|key| key.public() == public).unwrap();
        let witness = self.witnesses.entry(id).or_insert_with(|| MemoryWitness::of_new_key(public)).clone();
        let config = ReplicaConfig {
            genesis: Arc::clone(&self.genesis),
            verifier: Arc::clone(&self.verifier),
            signer: Arc::new(key),
            pool: PoolLimits::default(),
            fixed_leaders: Arc::clone(&self.fixed_leaders),
            witness: Box::new(witness),
            doubles: Doubles::Stop,
            speaks: self.speaks.get(&id).copied().unwrap_or(PROTOCOL_VERSION_MAX),
            halt_at: self.halt_at,
        };
        Replica::open(config, self.stores[usize::from(id)].clone(), &app())
    }

    fn time(&self) -> Now {
        let unix = UnixMillis(START.0 + 1_000 + u64::try_from(self.now.as_millis()).unwrap());
        Now { elapsed: self.now, unix }
    }

    fn push(&mut self, to: u16, input: Input) {
        let Now { elapsed, unix } = self.time();
        let unix = UnixMillis(unix.0.saturating_add_signed(self.ahead.get(&to).copied().unwrap_or_default()));
        let now = Now { elapsed, unix };
        if let Some(replica) = self.replicas.get_mut(&to) {
            replica.push(now, input);
            self.drain(to);
        }
    }

    fn drain(&mut self, id: u16) {
        let all: Vec<u16> = (0..u16::try_from(self.stores.len()).unwrap()).collect();
        loop {
            let output = match self.replicas.get_mut(&id).unwrap().poll() {
                Ok(Some(output)) => output,
                Ok(None) => return,
                Err(fatal) => {
                    assert!(matches!(fatal, Fatal::Doubled(_) | Fatal::LaterVersion(_)), "{fatal}");
                    self.stopped.insert(id, fatal.to_string());
                    self.replicas.remove(&id);
                    return;
                }
            };
            match output {
                Output::Send { to, message } => {
                    if self.record {
                        self.recorded.push((id, encode(&*message)));
                    }
                    *self.sent.entry(message.kind()).or_default() += 1;
                    let to: Vec<u16> = match to {
                        Recipients::Others => all.iter().copied().filter(|other| *other != id).collect(),
                        Recipients::One(one) => vec![one.0],
                    };
                    let way = if self.withholds == Some(message.kind()) { &mut self.withheld } else { &mut self.wire };
                    way.extend(to.into_iter().map(|to| (to, id, encode(&*message))));
                }
                Output::Serve(job) => {
                    let to = job.to().0;
                    let message = self.replicas.get_mut(&id).unwrap().serve(*job).unwrap();
                    *self.sent.entry(message.kind()).or_default() += 1;
                    self.wire.push_back((to, id, encode(&message)));
                }
                Output::Answer { ticket, answer } => assert!(self.answers.insert(ticket.0, answer).is_none(), "answered twice"),
                Output::Accused(evidence) => panic!("{evidence:?}"),
                Output::Gossip(_) if self.gossip_lost > 0 => self.gossip_lost -= 1,
                Output::Gossip(transactions) => self.gossip.push((id, transactions)),
                Output::Committed(_) | Output::Ignored { .. } | Output::Worked => {}
            }
        }
    }

    /// Delivers everything on the wire, and whatever follows from it.
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
            self.deliver(to, from, Message::decode(&bytes).unwrap());
        }
        panic!("the network never goes quiet: {:?}", self.sent);
    }

    /// Gives a validator a message, which must verify if it is of the validator's epoch.
    fn deliver(&mut self, to: u16, from: u16, message: Message) {
        let verifier = self.replicas.get(&to).map_or(&self.verifier, Replica::verifier);
        let from = ValidatorId(from);
        let input = if message.epoch().is_some_and(|epoch| epoch != verifier.committee().epoch()) {
            let bytes = encode(&message).len();
            Input::OtherEpoch { from, message: Box::new(message), bytes }
        } else {
            Input::Message { from, message: verifier.message(from, message).unwrap() }
        };
        self.push(to, input);
    }

    /// Moves time to the next deadline of any validator, by at most `most`.
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

    /// The time of the newest committed block of any validator.
    fn chain_time(&self) -> UnixMillis {
        self.replicas.values().map(|replica| replica.view().header().timestamp).max().unwrap()
    }

    /// Transfers of one account.
    fn transfers(&self, sequences: std::ops::Range<u64>) -> Vec<Verified<Transaction>> {
        let transfer = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
        let expires_at = UnixMillis(self.time().unix.0 + 60_000);
        let sign =
            |sequence| Transaction::sign(self.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, transfer.encode());
        self.verifier.transactions(sequences.map(sign).collect()).into_iter().map(Result::unwrap).collect()
    }

    fn ask_for_blocks(&mut self, from: u16, to: u16) {
        let request = Message::CatchupRequest(CatchupRequest { from: Height(1) });
        let message = self.verifier.message(ValidatorId(from), request).unwrap();
        self.push(to, Input::Message { from: ValidatorId(from), message });
    }

    fn submit(&mut self, to: u16, ticket: u64, sequence: u64) {
        self.submit_until(to, ticket, sequence, UnixMillis(self.time().unix.0 + 60_000));
    }

    fn submit_until(&mut self, to: u16, ticket: u64, sequence: u64, expires_at: UnixMillis) {
        self.offer(to, ticket, sequence, expires_at);
        self.run();
    }

    /// Submits a transfer, and lets nothing happen yet.
    fn offer(&mut self, to: u16, ticket: u64, sequence: u64, expires_at: UnixMillis) {
        let transfer = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
        let transaction =
            Transaction::sign(self.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, transfer.encode());
        let transaction = self.verifier.transactions(vec![transaction]).remove(0).unwrap();
        self.push(to, Input::Submit { ticket: Ticket(ticket), transaction, wait: Wait::Committed });
    }

    /// Values that fill blocks.
    fn submit_values(&mut self, to: u16, count: u64) {
        for sequence in 0..count {
            let key = format!("k{sequence}").into_bytes();
            let put = Operation::Kv(KvOperation { space: KvSpace::Shared, key, action: KvAction::Put(vec![7; KV_VALUE_BYTES_MAX]) });
            let expires_at = UnixMillis(self.time().unix.0 + 3_600_000);
            let transaction = Transaction::sign(self.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, put.encode());
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
        assert_eq!(cluster.sent.get("timeout"), None, "heartbeats keep everyone patient");
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

/// The absent validator leads every other round, so no certificate commits directly while full blocks follow each other. All of them are
/// committed together in the end, and are more than a message holds.
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

#[test]
fn transactions_wait_for_company_in_a_block_for_a_bounded_time() {
    let mut cluster = Cluster::new(4);
    let leader = leader_of(&cluster);
    let pause = PoolLimits::default().pause_max;
    let transfers = cluster.transfers(0..8);
    let (two, more) = transfers.split_at(2);
    cluster.push(leader, Input::Gossip(two.to_vec()));
    assert_eq!(cluster.replicas[&leader].next_deadline(), Some(cluster.now + pause), "the leader waits for company");
    for transfer in more {
        cluster.now += pause / 10;
        cluster.push(leader, Input::Gossip(vec![transfer.clone()]));
        assert_eq!(cluster.sent.get("proposal"), None);
    }
    // Later arrivals do not prolong the pause.
    assert_eq!(cluster.replicas[&leader].next_deadline(), Some(pause));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(cluster.replicas[&leader].view().account(&Address::of(&account_key().public())).sequence(), Sequence(8));
    let mut blocks = cluster.replicas[&leader].ledger().reader().blocks_from(Height(1), 10, usize::MAX).unwrap().unwrap().0.into_iter();
    assert_eq!(blocks.find(|block| !block.payload().is_empty()).unwrap().payload().len(), 8, "one block holds them all");
    assert_eq!(cluster.sent.get("timeout"), None);
}

#[test]
fn a_full_block_waits_for_nobody() {
    let mut genesis = genesis(4);
    genesis.parameters.block_transactions_max = 2;
    let mut cluster = Cluster::of(genesis, Arc::default());
    let leader = leader_of(&cluster);
    let two = cluster.transfers(0..2);
    cluster.push(leader, Input::Gossip(two));
    assert_eq!(cluster.sent.get("proposal"), Some(&1));
}

#[test]
fn a_validator_that_asks_for_blocks_without_end_is_answered_in_measure_and_the_others_as_before() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    let answers = |cluster: &Cluster| cluster.sent.get("catchup-response").copied().unwrap_or_default();
    let ask = |cluster: &mut Cluster, from: u16, times: usize| {
        let before = answers(cluster);
        for _ in 0..times {
            cluster.ask_for_blocks(from, 0);
        }
        answers(cluster) - before
    };
    let flood = ask(&mut cluster, 3, 5_000);
    assert!((100..300).contains(&flood), "a burst of small answers: {flood}");
    assert_eq!(ask(&mut cluster, 2, 1), 1, "another validator has a share of its own");
    cluster.wire.clear();
    cluster.now += Duration::from_secs(1);
    let second = ask(&mut cluster, 3, 5_000);
    assert!((100..400).contains(&second), "and a second later a second's share: {second}");
}

/// Each validator's position on the proposals made while a transaction is committed.
#[test]
fn a_proposal_matters_to_a_validator_until_its_round_is_over_and_only_if_its_leader_made_it() {
    let mut cluster = Cluster::new(4);
    let leader = leader_of(&cluster);
    let lone = cluster.transfers(0..1);
    cluster.push(leader, Input::Gossip(lone));
    let mut seen = 0;
    while let Some((to, from, bytes)) = cluster.wire.pop_front() {
        let message = Message::decode(&bytes).unwrap();
        let proposal = if let Message::Proposal(proposal) = &message { Some((**proposal).clone()) } else { None };
        let message = cluster.verifier.message(ValidatorId(from), message).unwrap();
        let judge = |cluster: &Cluster, proposal: &Proposal| cluster.replicas[&to].position().may_vote_for(proposal);
        if let Some(proposal) = &proposal {
            seen += 1;
            assert!(judge(&cluster, proposal), "round {}", proposal.block.round());
        }
        cluster.push(to, Input::Message { from: ValidatorId(from), message });
        if let Some(proposal) = proposal {
            let round = cluster.replicas[&to].status().round;
            assert_eq!(round, proposal.block.round(), "its certificates have led to this round");
            let author = ValidatorId((from + 1) % 4);
            let block = Block::new(BlockContent { author, ..proposal.block.content().clone() });
            assert!(!judge(&cluster, &Proposal { block, ..proposal.clone() }), "another validator leads round {round}");
            let earlier = Block::new(BlockContent { round: round.previous().unwrap(), ..proposal.block.content().clone() });
            assert!(!judge(&cluster, &Proposal { block: earlier, ..proposal }), "round {round} has begun");
        }
    }
    assert!(seen >= 9, "{seen}");
    assert!(cluster.heights().iter().all(|height| *height > 0), "{:?}", cluster.heights());
}

/// What a validator's key has signed: the rounds of its votes, timeouts and proposals on the wire.
fn signed_rounds(sent: &[(u16, Vec<u8>)], of: u16) -> Vec<u64> {
    let round = |message: Message| match message {
        Message::Proposal(proposal) => Some(proposal.block.round().0),
        Message::Vote(vote) => Some(vote.vote_info.round.0),
        Message::Timeout(timeout) => Some(timeout.timeout.round.0),
        _ => None,
    };
    sent.iter().filter(|(from, _)| *from == of).filter_map(|(_, bytes)| round(Message::decode(bytes).unwrap())).collect()
}

/// A cluster in which validator 3's home was rolled back by some blocks.
fn rolled_back() -> Cluster {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(10));
    let (store, witness) = (cluster.stores[3].snapshot(), cluster.witnesses[&3].snapshot());
    for sequence in 1..6 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(10));
    }
    cluster.replicas.remove(&3);
    cluster.stores[3] = store;
    cluster.witnesses.insert(3, witness);
    cluster
}

#[test]
fn a_home_that_was_put_back_asks_is_shown_its_own_signature_and_stops_before_it_signs() {
    let mut cluster = rolled_back();
    cluster.record = true;
    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    assert!(!cluster.replicas.contains_key(&3));
    let stopped = cluster.stopped[&3].clone();
    assert!(stopped.contains("SAFE-6") && stopped.contains("quorate keygen validator"), "{stopped}");
    assert_eq!(signed_rounds(&cluster.recorded, 3), [0_u64; 0]);
    assert!(cluster.sent["sightings-request"] > 0);

    // Nor after a restart.
    let refused = cluster.open(3).err().unwrap().to_string();
    assert!(refused.contains("stopped for ever") && refused.contains("quorate keygen validator"), "{refused}");
    // The others go on.
    cluster.submit(0, 6, 6);
    cluster.pass(Duration::from_secs(10));
    assert!(matches!(cluster.answers[&6], Answer::Committed { .. }));
}

/// Its forgotten votes are in no certificate: only their collectors have seen them, and answer late.
#[test]
fn what_it_has_approved_while_it_asks_hides_nothing_that_it_has_forgotten() {
    let mut cluster = rolled_back();
    let forgotten = cluster.replicas[&0].status().round;
    cluster.record = true;
    cluster.withholds = Some("sightings");
    cluster.start(3);
    cluster.run();
    for sequence in 6..9 {
        cluster.submit(0, sequence, sequence);
    }
    assert!(cluster.replicas[&3].safety_record().highest_vote_round() > forgotten, "{:?}", cluster.stopped);
    let answers = std::mem::take(&mut cluster.withheld);
    assert!(!answers.is_empty());
    cluster.wire.extend(answers);
    cluster.run();
    assert!(cluster.stopped.contains_key(&3));
    assert_eq!(signed_rounds(&cluster.recorded, 3), [0_u64; 0]);
}

/// What no net can prove: the home was restored, and those who saw the signatures are away.
#[test]
fn nothing_is_signed_before_enough_have_answered_or_one_base_timeout_is_over_since_anybody_was_heard() {
    let mut cluster = rolled_back();
    cluster.record = true;
    for other in 0..3 {
        cluster.replicas.remove(&other);
    }
    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(60));
    assert_eq!(signed_rounds(&cluster.recorded, 3), [0_u64; 0], "nobody was heard");

    // It hears from one that knows nothing.
    let nothing = Message::Sightings(Box::new(Sightings::none(quorate_types::round::Epoch(0), ValidatorId(3))));
    let message = cluster.verifier.message(ValidatorId(0), nothing).unwrap();
    cluster.push(3, Input::Message { from: ValidatorId(0), message });
    let base = u64::from(cluster.genesis.parameters.timeout_base_ms);
    cluster.pass(Duration::from_millis(base - 1));
    assert_eq!(signed_rounds(&cluster.recorded, 3), [0_u64; 0]);
    cluster.pass(Duration::from_secs(60));
    assert!(!signed_rounds(&cluster.recorded, 3).is_empty(), "a network could not be restarted otherwise");
}

/// Its peers answer only when more rounds are over.
#[test]
fn what_waited_for_the_answers_and_is_of_a_round_that_is_over_is_not_signed_any_more() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(10));
    cluster.replicas.remove(&3);
    (cluster.record, cluster.withholds) = (true, Some("sightings"));
    cluster.start(3);
    cluster.run();
    let first = cluster.replicas[&3].safety_record().highest_round();
    for sequence in 1..6 {
        cluster.submit(0, sequence, sequence);
    }
    let round = cluster.replicas[&3].engine().round();
    assert!(round > first.next(), "several rounds were approved and are over");
    let answers = std::mem::take(&mut cluster.withheld);
    cluster.wire.extend(answers);
    cluster.run();
    cluster.submit(0, 6, 6);
    let signed = signed_rounds(&cluster.recorded, 3);
    assert!(!signed.is_empty() && signed.iter().all(|signed| *signed >= round.0), "{signed:?}, was in round {round}");
}

/// All clocks are an hour ahead when the vote is approved, and are corrected, or not, before it is signed.
#[test]
fn a_vote_that_waited_is_judged_again_by_the_clock_of_the_moment_of_its_signature() {
    for is_put_right in [false, true] {
        let mut cluster = Cluster::led_by(4, Arc::new((1..100).map(|round| (Round(round), ValidatorId(0))).collect()));
        cluster.submit(0, 0, 0);
        cluster.pass(Duration::from_secs(10));
        cluster.replicas.retain(|id, _| *id < 2);
        cluster.ahead = (0..4).map(|id| (id, HOUR_MS)).collect();
        (cluster.record, cluster.withholds) = (true, Some("sightings"));
        cluster.start(3);
        cluster.run();
        cluster.submit_until(0, 1, 1, UnixMillis(cluster.time().unix.0.saturating_add_signed(2 * HOUR_MS)));
        let round = cluster.replicas[&3].safety_record().highest_vote_round();
        if is_put_right {
            cluster.ahead.clear();
        }
        let answers = std::mem::take(&mut cluster.withheld);
        assert!(!answers.is_empty());
        cluster.wire.extend(answers);
        cluster.run();
        assert_eq!(signed_rounds(&cluster.recorded, 3).contains(&round.0), !is_put_right, "{:?}", cluster.stopped);
    }
}

/// Restarts a validator as if the application had panicked there on the transaction with this number, in a block off the chain.
fn panicked_elsewhere(cluster: &mut Cluster, id: u16, sequence: u64) {
    cluster.replicas.remove(&id);
    let transaction = cluster.transfers(sequence..sequence + 1).remove(0);
    let mut ledger = Ledger::open(cluster.stores[usize::from(id)].clone(), &app(), &cluster.genesis).unwrap();
    ledger.remember_poison(transaction.id(), BlockId::default()).unwrap();
    cluster.start(id);
    cluster.run();
}

/// The same transaction may run without a panic on another state, as it did for the quorum that certified its block.
#[test]
fn a_certified_block_is_executed_though_the_application_panicked_on_its_transaction_in_another_block() {
    let mut cluster = Cluster::new(4);
    panicked_elsewhere(&mut cluster, 3, 0);
    cluster.submit(0, 0, 0);
    for sequence in 1..4 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(10));
    }
    assert!(cluster.stopped.is_empty(), "{:?}", cluster.stopped);
    assert!(matches!(cluster.answers[&0], Answer::Committed { .. }));
    assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1);
}

/// The validator's vote may be in a certificate that nobody has seen yet, so the block must still be there after the restart.
#[test]
fn a_block_that_was_executed_before_the_panic_is_not_forgotten_and_the_block_that_panicked_is() {
    let mut cluster = Cluster::led_by(4, Arc::new((1..100).map(|round| (Round(round), ValidatorId(0))).collect()));
    cluster.replicas.retain(|id, _| [0, 3].contains(id));
    cluster.submit(0, 0, 0);
    let stored = |cluster: &Cluster| {
        let ledger = Ledger::open(cluster.stores[3].clone(), &app(), &cluster.genesis).unwrap();
        ledger.load_pending().unwrap().into_iter().filter(|block| !block.payload().is_empty()).map(|block| block.id()).collect::<Vec<_>>()
    };
    let blocks = stored(&cluster);
    let [block] = blocks.as_slice() else { panic!("one block with the transaction: {blocks:?}") };
    panicked_elsewhere(&mut cluster, 3, 0);
    assert_eq!(cluster.replicas[&3].status().pending_blocks, 1);

    cluster.replicas.remove(&3);
    let transaction = cluster.transfers(0..1).remove(0);
    let mut ledger = Ledger::open(cluster.stores[3].clone(), &app(), &cluster.genesis).unwrap();
    ledger.remember_poison(transaction.id(), *block).unwrap();
    cluster.start(3);
    cluster.run();
    assert_eq!(cluster.replicas[&3].status().pending_blocks, 0);
}

#[test]
fn a_validator_whose_data_is_gone_or_old_does_not_open() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(10));
    let old = cluster.stores[3].snapshot();
    cluster.submit(0, 1, 1);
    cluster.pass(Duration::from_secs(10));
    cluster.replicas.remove(&3);
    let current = std::mem::replace(&mut cluster.stores[3], MemoryStore::new());
    for (store, what) in [(MemoryStore::new(), "is empty"), (old, "is an old copy or was cut short: it ends at round")] {
        cluster.stores[3] = store;
        for _again in 0..2 {
            let refused = cluster.open(3).err().unwrap();
            assert!(matches!(refused, RecoverError::DataBehind { .. }) && refused.to_string().contains(what), "{refused}");
        }
    }
    cluster.stores[3] = current;
    cluster.open(3).unwrap();
}

#[test]
fn a_store_with_blocks_and_without_a_safety_record_does_not_open() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(60));
    cluster.replicas.remove(&3);
    let mut batch = Batch::new();
    for (key, _) in cluster.stores[3].scan(Column::Safety, &[], 9).unwrap() {
        batch.delete(Column::Safety, key);
    }
    cluster.stores[3].write_sync(batch).unwrap();
    // The witness beside the key is gone too, or it would refuse first.
    cluster.witnesses.remove(&3);
    let refused = cluster.open(3).err().unwrap();
    assert!(matches!(refused, RecoverError::SafetyRecordMissing(_)), "{refused}");
}

#[test]
fn a_restart_knows_which_committed_block_was_the_last_with_a_payload() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(120));
    for id in 0..4 {
        let before = *cluster.replicas.remove(&id).unwrap().engine().tree().root();
        assert!(Round(0) < before.payload_round && before.payload_round < before.round, "{before:?}");
        assert_eq!(cluster.open(id).unwrap().engine().tree().root(), &before);
    }
}

/// Validator 3 leads every second round and is down. So nothing is ever committed, and timeout certificates are all that leads on.
fn never_commits() -> Cluster {
    let leader = |round: u64| ValidatorId(if round.is_multiple_of(2) { 3 } else { u16::try_from(round / 2 % 3).unwrap() });
    let mut cluster = Cluster::led_by(4, Arc::new((1..200).map(|round| (Round(round), leader(round))).collect()));
    cluster.replicas.remove(&3);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.heights(), [0; 3]);
    cluster
}

#[test]
fn a_restart_leads_back_into_the_round_that_a_timeout_certificate_led_into_before_our_vote() {
    let mut cluster = never_commits();
    let voted_after_tc = |cluster: &Cluster| {
        let engine = cluster.replicas[&0].engine();
        engine.last_round_tc().is_some() && engine.safety_record().highest_vote_round() == engine.round()
    };
    let waited = (0..1_000).find(|_| {
        cluster.pass(Duration::from_millis(100));
        voted_after_tc(&cluster)
    });
    assert!(waited.is_some(), "{:?}", cluster.replicas[&0].status());
    let before = cluster.replicas.remove(&0).unwrap();
    let again = cluster.open(0).unwrap();
    assert_eq!(again.engine().round(), before.engine().round());
    assert_eq!(again.engine().last_round_tc(), before.engine().last_round_tc());
}

#[test]
fn fetched_is_the_block_that_was_asked_for_and_its_ancestors_above_a_round() {
    let mut cluster = never_commits();
    let mut chain: Vec<(BlockId, Round)> = Vec::new();
    let tree = cluster.replicas[&0].engine().tree();
    let mut next = tree.high_qc().block_id();
    while let Some(block) = tree.get(&next) {
        chain.push((next, block.round()));
        next = block.parent_id();
    }
    assert!(chain.len() > 3, "{chain:?}");
    let newest = chain[0];
    for (above, expected) in [(chain[2].1, &chain[..2]), (Round(0), &chain[..]), (newest.1, &chain[..1]), (newest.1.next(), &chain[..1])] {
        let request = Message::FetchRequest(FetchRequest { block_id: newest.0, above });
        let message = cluster.verifier.message(ValidatorId(1), request).unwrap();
        cluster.push(0, Input::Message { from: ValidatorId(1), message });
        let (to, _, bytes) = cluster.wire.pop_back().unwrap();
        let Message::FetchResponse(response) = Message::decode(&bytes).unwrap() else { panic!("not a fetch response") };
        let blocks: Vec<(BlockId, Round)> = response.blocks.iter().map(|block| (block.id(), block.round())).collect();
        assert_eq!((to, blocks.as_slice()), (1, expected), "above {above}");
    }
}

#[test]
fn all_restarted_at_once_go_on_after_one_exchange_of_questions() {
    let mut cluster = Cluster::new(4);
    cluster.submit(0, 0, 0);
    cluster.pass(Duration::from_secs(10));
    cluster.replicas.clear();
    for id in 0..4 {
        cluster.start(id);
    }
    cluster.run();
    cluster.submit(0, 1, 1);
    cluster.pass(Duration::from_secs(3));
    assert!(matches!(cluster.answers[&1], Answer::Committed { .. }), "{:?}", cluster.heights());

    // And with one validator gone for good.
    cluster.replicas.clear();
    for id in 0..3 {
        cluster.start(id);
    }
    cluster.run();
    cluster.submit(0, 2, 2);
    cluster.pass(Duration::from_secs(6));
    assert!(matches!(cluster.answers[&2], Answer::Committed { .. }), "{:?}", cluster.heights());
}

/// A quarter of the base timeout (docs/protocol.md, D8).
const TOLERANCE_MS: i64 = 250;
const HOUR_MS: i64 = 3_600_000;

/// Submits transfers valid for one minute to each validator in turn, and expects each to be committed.
fn commits_what_is_valid_for_a_minute(cluster: &mut Cluster, sequences: std::ops::Range<u64>) {
    for sequence in sequences {
        let expires_at = UnixMillis(cluster.chain_time().0 + 60_000);
        cluster.submit_until(u16::try_from(sequence % 4).unwrap(), sequence, sequence, expires_at);
        cluster.pass(Duration::from_secs(10));
        let answer = cluster.answers.get(&sequence);
        assert!(matches!(answer, Some(Answer::Committed { outcome, .. }) if outcome.is_applied()), "{sequence}: {answer:?}");
    }
}

#[test]
fn one_clock_of_four_may_show_anything() {
    for ahead in [290_000, -290_000, 10 * 365 * 24 * HOUR_MS, -1_700_000_000_000, TOLERANCE_MS + 100] {
        let mut cluster = Cluster::new(4);
        commits_what_is_valid_for_a_minute(&mut cluster, 0..4);
        cluster.ahead.insert(2, ahead);
        commits_what_is_valid_for_a_minute(&mut cluster, 4..28);
        assert!(cluster.chain_time().0 <= cluster.time().unix.0.saturating_add_signed(TOLERANCE_MS), "{ahead} ms ahead");
        assert_eq!(cluster.roots().iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{:?}", cluster.heights());
        // The clock is corrected.
        cluster.ahead.clear();
        commits_what_is_valid_for_a_minute(&mut cluster, 28..36);
    }
}

#[test]
fn a_leader_whose_clock_is_ahead_loses_one_round_and_then_takes_the_smallest_step() {
    // Validator 2 leads every other pair of rounds.
    let leader = |round: u64| (Round(round), ValidatorId(if round / 2 % 2 == 1 { 2 } else { 0 }));
    let mut cluster = Cluster::led_by(4, Arc::new((1..=400).map(leader).collect()));
    cluster.ahead.insert(2, 290_000);
    let given_up = |cluster: &Cluster| cluster.replicas[&0].status().counts.timeouts;
    commits_what_is_valid_for_a_minute(&mut cluster, 0..4);
    let lost = given_up(&cluster);
    assert!((1..=2).contains(&lost), "{lost}");
    let before = cluster.now;
    commits_what_is_valid_for_a_minute(&mut cluster, 4..24);
    // Each time its doubt ends, it loses one more round.
    let doubts = cluster.now.saturating_sub(before).as_secs() / 30 + 1;
    assert!(given_up(&cluster) <= lost + doubts, "{} rounds, {doubts} doubts", given_up(&cluster));
    assert!(cluster.replicas[&2].status().counts.proposals > 20);
}

#[test]
fn a_chain_whose_clocks_were_all_an_hour_ahead_goes_on_at_once_in_the_smallest_steps() {
    let mut cluster = Cluster::new(4);
    cluster.ahead = (0..4).map(|id| (id, HOUR_MS)).collect();
    // The first heartbeats bring the chain's time up to the clocks.
    cluster.pass(Duration::from_secs(25));
    commits_what_is_valid_for_a_minute(&mut cluster, 0..4);
    cluster.ahead.clear();
    let before = cluster.chain_time();
    assert!(before.0 > cluster.time().unix.0 + 3_000_000);
    cluster.submit_until(1, 4, 4, UnixMillis(before.0 + 60_000));
    // Committed without any time passing.
    assert!(matches!(cluster.answers.get(&4), Some(Answer::Committed { .. })), "{:?}", cluster.answers);
    // By now the uncommitted blocks from that hour are committed as well.
    let (before, height) = (cluster.chain_time(), cluster.heights().into_iter().max().unwrap());
    cluster.submit_until(1, 5, 5, UnixMillis(before.0 + 60_000));
    assert!(matches!(cluster.answers.get(&5), Some(Answer::Committed { .. })), "{:?}", cluster.answers);
    let blocks = cluster.heights().into_iter().max().unwrap() - height;
    assert!(blocks > 0 && cluster.chain_time().0 - before.0 == blocks, "{blocks} blocks, {before} -> {}", cluster.chain_time());
    // Until the clocks catch up with the chain.
    commits_what_is_valid_for_a_minute(&mut cluster, 6..12);
    assert_eq!(cluster.replicas[&0].status().counts.timeouts, 0);
}

#[test]
fn a_chain_all_of_whose_leaders_have_lost_rounds_follows_the_clocks_again() {
    let mut cluster = Cluster::new(4);
    commits_what_is_valid_for_a_minute(&mut cluster, 0..4);
    cluster.withholds = Some("proposal");
    cluster.pass(Duration::from_secs(60));
    cluster.withholds = None;
    cluster.withheld.clear();
    for sequence in 4..12 {
        cluster.submit(0, sequence, sequence);
        cluster.pass(Duration::from_secs(10));
    }
    assert!(matches!(cluster.answers[&11], Answer::Committed { .. }), "{:?}", cluster.heights());
    let behind = cluster.time().unix.0 - cluster.chain_time().0;
    assert!(behind <= 11_000, "{behind} ms");
}

#[test]
fn a_proposal_that_is_a_little_ahead_is_held_and_voted_for_when_the_clock_has_come_so_far() {
    let everything_by_2 = (1..=400).map(|round| (Round(round), ValidatorId(2))).collect();
    let mut cluster = Cluster::led_by(4, Arc::new(everything_by_2));
    cluster.ahead.insert(2, TOLERANCE_MS + 300);
    commits_what_is_valid_for_a_minute(&mut cluster, 0..4);
    let status = cluster.replicas[&0].status();
    assert!(status.counts.held > 0 && status.counts.timeouts == 0, "{status:?}");
}

/// The same keys and chain id with another balance, as when a draft is edited after a first try.
#[test]
fn a_network_founded_again_takes_nothing_from_the_one_before() {
    // Validator 3 is away and leads two rounds, so there are timeouts and timeout certificates as well.
    let mut first = Cluster::led_by(4, Arc::new([3, 4].map(|round| (Round(round), ValidatorId(3))).into()));
    first.record = true;
    first.replicas.remove(&3);
    for sequence in 0..4 {
        first.submit(0, sequence, sequence);
        first.pass(Duration::from_secs(10));
    }
    assert!(matches!(first.answers[&3], Answer::Committed { .. }), "{:?}", first.heights());

    let mut again = Cluster::of(founded(4, 999_999), Arc::default());
    assert_eq!(again.genesis.chain_id, first.genesis.chain_id);
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (from, bytes) in &first.recorded {
        let message = Message::decode(bytes).unwrap();
        let kind = message.kind();
        let says_nothing = match &message {
            Message::FetchRequest(_) | Message::CatchupRequest(_) | Message::SightingsRequest | Message::RecoveryRequest(_) => true,
            Message::Sightings(sightings) => **sightings == Sightings::none(sightings.epoch, sightings.of),
            _ => false,
        };
        match again.verifier.message(ValidatorId(*from), message) {
            Err(_) => *refused.entry(kind).or_default() += 1,
            Ok(_) => assert!(says_nothing, "the second network accepts a {kind} of the first"),
        }
    }
    for kind in ["proposal", "vote", "timeout"] {
        assert!(refused.get(kind).is_some_and(|count| *count > 0), "{kind}: {refused:?}");
    }
    let content = |genesis: &Genesis| Transaction::sign(genesis.hash(), &account_key(), Sequence(9), UnixMillis(u64::MAX), vec![]);
    assert!(again.verifier.transactions(vec![content(&first.genesis)]).remove(0).is_err());
    assert!(again.verifier.transactions(vec![content(&again.genesis)]).remove(0).is_ok());
    let entries = Genesis { validators: first.genesis.validators.clone(), ..(*again.genesis).clone() };
    assert!(entries.check().is_err(), "possession is proved for one draft only");

    again.submit(0, 0, 0);
    again.pass(Duration::from_secs(10));
    assert!(matches!(again.answers[&0], Answer::Committed { .. }), "{:?}", again.heights());
}
