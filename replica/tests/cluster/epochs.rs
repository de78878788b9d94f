//! Committees that change while the chain runs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use quorate_builtin::{KvAction, KvOperation, KvSpace, Operation};
use quorate_replica::{Answer, Input, RecoverError, Replica, Ticket};
use quorate_types::{
    committee::VotingPower,
    crypto::SigningKey,
    genesis::ParametersChange,
    governance::{ChainOperation, Change},
    ids::{Address, ValidatorId},
    message::{Message, SyncInfo},
    permission::PermissionChange,
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    rpc::Wait,
    transaction::Transaction,
    vote::QuorumCert,
};

use super::{Cluster, account_key, genesis};

/// Validators that all have the one account as their operator, so that its proposals take effect at once.
pub(super) fn governed(validators: u8) -> Cluster {
    let mut genesis = genesis(validators);
    let operator = Some(Address::of(&account_key().public()));
    let members: Vec<_> = (1..=validators)
        .map(|number| {
            let key = super::consensus_key(number);
            let entry = genesis.validators.iter().find(|entry| entry.validator.consensus_key == key.public()).unwrap();
            let validator = quorate_types::committee::Validator { operator, ..entry.validator.clone() };
            (validator, key, quorate_types::crypto::SigningKey::from_seed(&[number + 100; 32]))
        })
        .collect();
    genesis.validators.clear();
    let genesis = genesis.with_validators(members.iter().map(|(validator, consensus, network)| (validator.clone(), consensus, network)));
    Cluster::of(genesis, Arc::default())
}

/// Gives a seat a power, and waits until the chain has done so.
pub(super) fn set_power(cluster: &mut Cluster, sequence: u64, seat: u16, power: u64) {
    change(cluster, sequence, Change::Power { seat: ValidatorId(seat), power: VotingPower(power) });
}

/// Makes a change, and waits until the chain has done so.
fn change(cluster: &mut Cluster, sequence: u64, change: Change) {
    tell(cluster, sequence, &ChainOperation::Propose(Box::new(change)));
}

/// Sends an operation on the chain, and waits until it has taken effect.
fn tell(cluster: &mut Cluster, sequence: u64, operation: &ChainOperation) {
    let expires_at = UnixMillis(cluster.time().unix.0 + 60_000);
    let transaction = Transaction::sign_chain(cluster.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, operation);
    let transaction = cluster.verifier.transactions(vec![transaction]).remove(0).unwrap();
    let to = *cluster.replicas.keys().next().unwrap();
    cluster.push(to, Input::Submit { ticket: Ticket(sequence), transaction, wait: Wait::Committed });
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    let answer = cluster.answers.get(&sequence);
    assert!(matches!(answer, Some(Answer::Committed { outcome, .. }) if outcome.is_applied()), "{answer:?}");
}

pub(super) fn transfer(cluster: &mut Cluster, to: u16, sequence: u64) {
    cluster.submit(to, sequence, sequence);
    cluster.pass(Duration::from_secs(30));
    let answer = cluster.answers.get(&sequence);
    assert!(matches!(answer, Some(Answer::Committed { .. })), "{answer:?} {:?}", epochs(cluster));
}

pub(super) fn epochs(cluster: &Cluster) -> Vec<u64> {
    cluster.replicas.values().map(|replica| replica.engine().epoch().0).collect()
}

fn agree(cluster: &Cluster) -> bool {
    cluster.roots().iter().collect::<BTreeSet<_>>().len() == 1 && epochs(cluster).iter().collect::<BTreeSet<_>>().len() == 1
}

#[test]
fn a_change_takes_effect_at_once_and_no_round_is_lost() {
    for validators in [4, 7] {
        let mut cluster = governed(validators);
        transfer(&mut cluster, 0, 0);
        for epoch in 1..=6 {
            let before = cluster.sent.clone();
            set_power(&mut cluster, epoch, 1, 1 + epoch % 2);
            assert_eq!(epochs(&cluster), vec![epoch; validators.into()]);
            assert_eq!(cluster.sent.get("timeout"), before.get("timeout"), "nobody gives up a round");
            let shown = cluster.sent["sync-info"] - before.get("sync-info").copied().unwrap_or_default();
            assert!(shown <= 3 * usize::from(validators), "{shown} certificates sent around");
        }
        transfer(&mut cluster, 1, 7);
        assert!(agree(&cluster));
        assert_eq!(cluster.replicas[&0].ledger().epoch().seats[1].validator.power, VotingPower(1));
    }
}

#[test]
fn the_parameters_of_a_new_epoch_hold_from_its_first_block() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let parameters = ParametersChange { block_transactions_max: Some(2), account_block_percent: Some(100), ..ParametersChange::default() };
    change(&mut cluster, 1, Change::Parameters(Box::new(parameters)));
    let (first, timeouts) = (cluster.heights()[0] + 1, cluster.sent.get("timeout").copied());
    let expires_at = UnixMillis(cluster.time().unix.0 + 60_000);
    for sequence in 2..12 {
        cluster.offer(0, sequence, sequence, expires_at);
    }
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    assert!((2..12).all(|ticket| matches!(cluster.answers.get(&ticket), Some(Answer::Committed { .. }))), "{:?}", cluster.answers);
    assert_eq!(cluster.sent.get("timeout").copied(), timeouts, "no leader proposes more than the others take");
    let reader = cluster.replicas[&0].ledger().reader();
    let sizes: Vec<_> = (first..=cluster.heights()[0])
        .map(|height| reader.block_at(Height(height)).unwrap().unwrap().block.unwrap().payload().len())
        .collect();
    assert!(sizes.iter().max() == Some(&2), "{sizes:?}");
}

/// Programs of two versions run together until the chain goes over to the newer one; whoever does not speak it stops before it signs in it.
#[test]
fn a_new_version_stops_whoever_does_not_speak_it_and_nobody_else() {
    let mut cluster = governed(4);
    cluster.replicas.remove(&3);
    cluster.speaks.insert(3, 1);
    cluster.start(3);
    transfer(&mut cluster, 3, 0);
    change(&mut cluster, 1, Change::Version(2));
    assert_eq!(epochs(&cluster), [0; 4], "approved, but nobody has said that they speak it");
    tell(&mut cluster, 2, &ChainOperation::Speak(2));
    assert_eq!(cluster.replicas.len(), 3);
    let said = &cluster.stopped[&3];
    assert!(said.contains("protocol version 2") && said.contains("install a release"), "{said}");
    transfer(&mut cluster, 0, 3);
    assert!(cluster.replicas.values().all(|replica| replica.ledger().epoch().protocol_version == 2));
    // Its data is that of the end of the epoch. The same program refuses it, the newer one goes on.
    assert!(matches!(cluster.open(3), Err(RecoverError::LaterVersion(_))));
    cluster.speaks.clear();
    cluster.start(3);
    cluster.run();
    cluster.pass(Duration::from_secs(30));
    assert!(agree(&cluster), "{:?}", epochs(&cluster));
}

#[test]
fn what_an_account_sent_before_it_was_frozen_leaves_the_pools() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let key = SigningKey::from_seed(&[77; 32]);
    // It waits for the one before, which never comes.
    let put = KvOperation { space: KvSpace::Own, key: b"k".to_vec(), action: KvAction::Put(b"v".to_vec()) };
    let expires_at = UnixMillis(cluster.time().unix.0 + 600_000);
    let network = cluster.verifier.genesis_hash();
    let tx = Transaction::sign(network, &key, Sequence(1), expires_at, Operation::Kv(put).encode());
    let transaction = cluster.verifier.transactions(vec![tx]).remove(0).unwrap();
    cluster.push(1, Input::Submit { ticket: Ticket(99), transaction: transaction.clone(), wait: Wait::Committed });
    cluster.run();
    assert_eq!(cluster.answers.get(&99), None);
    let account = Address::of(&key.public());
    change(&mut cluster, 1, Change::Permit { account, change: PermissionChange::Freeze });
    let refused = |cluster: &Cluster, ticket| match cluster.answers.get(&ticket) {
        Some(Answer::Rejected { code, .. }) => code.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&cluster, 99), "account-frozen");
    assert_eq!(epochs(&cluster), [0; 4]);
    cluster.push(1, Input::Submit { ticket: Ticket(98), transaction, wait: Wait::Committed });
    cluster.run();
    assert_eq!(refused(&cluster, 98), "account-frozen");
}

#[test]
fn a_validator_without_a_vote_follows_and_signs_nothing_until_it_has_one_again() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    set_power(&mut cluster, 1, 3, 0);
    let counts = |cluster: &Cluster| {
        let counts = cluster.replicas[&3].status().counts;
        (counts.votes, counts.timeouts, counts.proposals)
    };
    let before = counts(&cluster);
    for sequence in 2..20 {
        transfer(&mut cluster, u16::try_from(sequence % 4).unwrap(), sequence);
    }
    assert_eq!(counts(&cluster), before);
    assert!(agree(&cluster), "{:?}", cluster.heights());
    // Two of three voters are no quorum, whatever the observer does.
    let away = cluster.replicas.remove(&0).unwrap();
    cluster.submit(1, 20, 20);
    cluster.pass(Duration::from_secs(60));
    assert_eq!(cluster.answers.get(&20), None);
    assert_eq!(counts(&cluster), before);
    cluster.replicas.insert(0, away);
    cluster.pass(Duration::from_secs(60));
    assert!(cluster.answers.contains_key(&20));

    set_power(&mut cluster, 21, 3, 1);
    for sequence in 22..40 {
        transfer(&mut cluster, u16::try_from(sequence % 4).unwrap(), sequence);
    }
    assert!(counts(&cluster).0 > before.0, "it votes again");
    assert!(agree(&cluster));
}

#[test]
fn a_committee_shrinks_to_one_and_grows_again() {
    let mut cluster = governed(4);
    let mut sequence = 0;
    for (seat, power) in [(3, 0), (2, 0), (1, 0), (1, 1), (2, 1), (3, 1)] {
        set_power(&mut cluster, sequence, seat, power);
        transfer(&mut cluster, seat, sequence + 1);
        sequence += 2;
        assert!(agree(&cluster), "{:?}", epochs(&cluster));
    }
    assert_eq!(epochs(&cluster), [6; 4]);
}

#[test]
fn a_validator_that_slept_through_five_epochs_comes_back() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    cluster.replicas.remove(&2);
    for epoch in 1..=5 {
        set_power(&mut cluster, 2 * epoch - 1, 1, 1 + epoch % 2);
        transfer(&mut cluster, 0, 2 * epoch);
    }
    cluster.start(2);
    cluster.run();
    cluster.pass(Duration::from_secs(5));
    assert!(agree(&cluster), "{:?} {:?}", epochs(&cluster), cluster.heights());
    cluster.replicas.remove(&3);
    transfer(&mut cluster, 0, 11);
    assert!(agree(&cluster), "it is needed for the quorum");
}

#[test]
fn a_restart_continues_in_the_epoch_whether_or_not_anything_was_signed_in_it() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    set_power(&mut cluster, 1, 3, 0);
    // The observer has signed nothing in this epoch, the voters have by now.
    transfer(&mut cluster, 0, 2);
    for id in [3, 1] {
        cluster.replicas.remove(&id);
        cluster.start(id);
        cluster.run();
    }
    assert_eq!(epochs(&cluster), [1; 4]);
    transfer(&mut cluster, 0, 3);
    set_power(&mut cluster, 4, 3, 1);
    cluster.replicas.remove(&3);
    cluster.start(3);
    transfer(&mut cluster, 3, 5);
    assert!(agree(&cluster));
}

#[test]
fn with_a_record_of_a_later_epoch_than_the_ledger_nothing_is_signed_before_that_epoch() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let old = cluster.stores[1].snapshot();
    set_power(&mut cluster, 1, 3, 2);
    transfer(&mut cluster, 0, 2);
    cluster.replicas.remove(&1);
    // The ledger of before, the record of now.
    let now = cluster.stores[1].clone();
    let mut batch = quorate_ledger::Batch::new();
    for key in [b"record".as_slice(), b"count", b"certificates"] {
        use quorate_ledger::{Column, Store};
        batch.put(Column::Safety, key, now.get(Column::Safety, key).unwrap().unwrap());
    }
    quorate_ledger::Store::write_sync(&old, batch).unwrap();
    cluster.stores[1] = old;
    cluster.record = true;
    cluster.start(1);
    cluster.run();
    assert_eq!(epochs(&cluster), [1; 4]);
    cluster.replicas.remove(&0);
    transfer(&mut cluster, 2, 3);
    let signed = cluster.recorded.iter().filter(|(from, _)| *from == 1).map(|(_, bytes)| Message::decode(bytes).unwrap());
    let epochs: BTreeSet<_> = signed.filter(|message| message.round().is_some()).filter_map(|message| message.epoch()).collect();
    assert_eq!(epochs, [Epoch(1)].into());
}

/// A certificate that the epoch begins with, as anyone can make it.
fn begin_of(cluster: &Cluster, epoch: u64) -> QuorumCert {
    QuorumCert::of_epoch(Epoch(epoch), cluster.verifier.genesis_hash(), cluster.replicas[&0].ledger().root().state_id())
}

#[test]
fn a_claim_of_a_later_epoch_decides_nothing_and_costs_a_question() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let before = (cluster.replicas[&0].status(), cluster.sent.clone());
    for epoch in [1, 2, u64::MAX] {
        let qc = begin_of(&cluster, epoch);
        for _ in 0..100 {
            let claim = Message::SyncInfo(Box::new(SyncInfo { high_qc: qc.clone(), high_commit_qc: qc.clone(), last_round_tc: None }));
            cluster.deliver(0, 1, claim);
        }
    }
    cluster.run();
    cluster.pass(Duration::from_secs(1));
    let asked = cluster.sent["catchup-request"] - before.1.get("catchup-request").copied().unwrap_or_default();
    assert!((1..=30).contains(&asked), "{asked} questions");
    let status = cluster.replicas[&0].status();
    assert!(!status.catching_up, "a claim alone does not count");
    assert_eq!((status.height, status.round, epochs(&cluster)), (before.0.height, before.0.round, vec![0; 4]));
    transfer(&mut cluster, 0, 1);
    assert!(agree(&cluster) && !cluster.replicas[&0].status().catching_up);
}

#[test]
fn a_message_of_an_earlier_epoch_is_answered_with_the_certificate_that_ended_it_up_to_a_bound() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let old = cluster.replicas[&0].engine().tree().high_commit_qc().clone().into_inner();
    cluster.record = true;
    set_power(&mut cluster, 1, 3, 2);
    let recorded = std::mem::take(&mut cluster.recorded);
    let is_vote = |bytes: &[u8]| matches!(Message::decode(bytes), Ok(Message::Vote(vote)) if vote.commit_info.epoch == Epoch(0));
    let (_, late) = recorded.into_iter().find(|(_, bytes)| is_vote(bytes)).unwrap();
    cluster.record = false;
    let last = cluster.replicas[&0].ledger().reader().last_before(Epoch(1)).unwrap().state_id();
    set_power(&mut cluster, 2, 3, 1);
    // A certificate of that epoch is no sign that its sender lags, and answering one certificate with another would never end.
    let before = cluster.sent["sync-info"];
    let shown = Message::SyncInfo(Box::new(SyncInfo { high_qc: old.clone(), high_commit_qc: old, last_round_tc: None }));
    cluster.deliver(0, 1, shown);
    assert_eq!(cluster.sent["sync-info"], before);
    cluster.record = true;
    for _ in 0..10_000 {
        cluster.deliver(0, 1, Message::decode(&late).unwrap());
        cluster.wire.clear();
    }
    assert!((1..=300).contains(&(cluster.sent["sync-info"] - before)));
    let shown = Message::decode(&cluster.recorded[0].1).unwrap();
    let Message::SyncInfo(shown) = shown else { panic!("{shown:?}") };
    assert_eq!(shown.high_qc.vote_info.exec_state_id, last);
    assert!(cluster.verifier.quorum_cert(&shown.high_qc).is_ok());
    assert_eq!(epochs(&cluster), [2; 4]);
}

#[test]
fn the_only_validator_that_committed_the_end_of_an_epoch_hands_it_on_though_its_first_message_is_lost() {
    for restarts in [false, true] {
        let mut cluster = governed(5);
        transfer(&mut cluster, 0, 0);
        let operation = ChainOperation::Propose(Box::new(Change::Power { seat: ValidatorId(1), power: VotingPower(2) }));
        let expires_at = UnixMillis(cluster.time().unix.0 + 60_000);
        let transaction = Transaction::sign_chain(cluster.verifier.genesis_hash(), &account_key(), Sequence(1), expires_at, &operation);
        let transaction = cluster.verifier.transactions(vec![transaction]).remove(0).unwrap();
        for id in 0..5 {
            cluster.push(id, Input::Submit { ticket: Ticket(100 + u64::from(id)), transaction: transaction.clone(), wait: Wait::Accepted });
        }
        cluster.gossip.clear();
        let first = loop {
            let Some((to, from, bytes)) = cluster.wire.pop_front() else {
                // The round of an idle leader ends with a heartbeat.
                cluster.now = cluster.replicas.values().filter_map(Replica::next_deadline).min().unwrap().max(cluster.now);
                (0..5).for_each(|id| cluster.push(id, Input::Tick));
                continue;
            };
            cluster.deliver(to, from, Message::decode(&bytes).unwrap());
            if let Some((id, _)) = cluster.replicas.iter().find(|(_, replica)| replica.engine().epoch() == Epoch(1)) {
                break *id;
            }
        };
        // Nothing that it has sent arrives, and another validator is down.
        cluster.wire.retain(|(_, from, _)| *from != first);
        cluster.replicas.remove(&(u16::from(first == 0)));
        if restarts {
            cluster.replicas.remove(&first);
            cluster.start(first);
            cluster.wire.retain(|(_, from, _)| *from != first);
        }
        assert_eq!(epochs(&cluster).iter().sum::<u64>(), 1, "{first}");
        cluster.run();
        cluster.pass(Duration::from_secs(30));
        assert_eq!(epochs(&cluster), [1; 4]);
        transfer(&mut cluster, first, 2);
        assert!(agree(&cluster));
    }
}

#[test]
fn certificates_of_one_epoch_prove_nothing_in_another() {
    let mut cluster = governed(4);
    transfer(&mut cluster, 0, 0);
    let old = cluster.replicas[&0].engine().tree().high_commit_qc().clone().into_inner();
    set_power(&mut cluster, 1, 3, 2);
    let verifier = Arc::clone(cluster.replicas[&0].verifier());
    assert_eq!(verifier.committee().epoch(), Epoch(1));
    assert!(verifier.quorum_cert(&old).is_err());
    assert!(old.round() > Round(0) && cluster.verifier.quorum_cert(&old).is_ok());
    let new = cluster.replicas[&0].engine().tree().high_qc().clone().into_inner();
    assert!(cluster.verifier.quorum_cert(&new).is_err());
}

#[test]
fn the_ledger_of_every_validator_proves_the_chain_of_committees() {
    let mut cluster = governed(4);
    for epoch in 1..=4 {
        set_power(&mut cluster, epoch - 1, 2, 1 + epoch % 2);
    }
    for replica in cluster.replicas.values() {
        let mut verifier = Arc::clone(&cluster.verifier);
        for epoch in 0..4 {
            let change = Replica::ledger(replica).reader().epoch_change(Epoch(epoch)).unwrap().unwrap();
            let (last, committee) = change.verify(&verifier).unwrap();
            let state = last.state_id();
            verifier = Arc::new(verifier.next(state, committee, change.next.parameters));
        }
        assert_eq!(verifier.genesis_qc(), replica.verifier().genesis_qc());
    }
}
