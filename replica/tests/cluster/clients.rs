//! What clients are told of their transactions, whatever becomes of them.

use super::*;

fn signed(cluster: &Cluster, sequence: u64, valid_for_ms: u64) -> Verified<Transaction> {
    let transfer = Operation::Bank(BankOperation::Transfer { to: Address::default(), amount: 1 });
    let expires_at = UnixMillis(cluster.time().unix.0 + valid_for_ms);
    let transaction = Transaction::sign(cluster.verifier.genesis_hash(), &account_key(), Sequence(sequence), expires_at, transfer.encode());
    cluster.verifier.transactions(vec![transaction]).remove(0).unwrap()
}

/// Sends a transaction and waits for its commit, as far as that comes without time passing.
fn send(cluster: &mut Cluster, ticket: u64, transaction: &Verified<Transaction>) {
    let leader = leader_of(cluster);
    cluster.push(leader, Input::Submit { ticket: Ticket(ticket), transaction: transaction.clone(), wait: Wait::Committed });
    cluster.run();
}

fn code(cluster: &Cluster, ticket: u64) -> String {
    match cluster.answers.get(&ticket) {
        Some(Answer::Rejected { code, .. }) => code.clone().into_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_committed_transaction_sent_again_is_answered_as_committed_and_another_with_its_number_is_refused() {
    let mut cluster = Cluster::new(1);
    let transaction = signed(&cluster, 0, 60_000);
    send(&mut cluster, 1, &transaction);
    send(&mut cluster, 2, &transaction);
    assert!(matches!(cluster.answers[&1], Answer::Committed { .. }), "{:?}", cluster.answers);
    assert_eq!(cluster.answers[&2], cluster.answers[&1]);
    let other = signed(&cluster, 0, 59_000);
    send(&mut cluster, 3, &other);
    assert_eq!(code(&cluster, 3), "sequence-too-old");
}

#[test]
fn a_committed_transaction_whose_receipt_is_damaged_costs_its_sender_an_answer_and_nobody_else_anything() {
    let mut cluster = Cluster::new(1);
    let transaction = signed(&cluster, 0, 60_000);
    send(&mut cluster, 1, &transaction);
    let store = cluster.stores[0].clone();
    let mut batch = Batch::new();
    for entry in store.iter(Column::Receipts, &[]) {
        batch.put(Column::Receipts, entry.unwrap().0, [0xff; 9]);
    }
    store.write(batch).unwrap();
    send(&mut cluster, 2, &transaction);
    assert_eq!(code(&cluster, 2), "store-failed");
    let next = signed(&cluster, 1, 60_000);
    send(&mut cluster, 3, &next);
    assert!(matches!(cluster.answers[&3], Answer::Committed { .. }), "{:?}", cluster.answers);
}

#[test]
fn a_store_that_fails_stops_the_validator_and_is_not_taken_for_damage() {
    let mut cluster = Cluster::new(1);
    let transaction = signed(&cluster, 0, 60_000);
    send(&mut cluster, 1, &transaction);
    cluster.stores[0].fail_writes_after(0);
    cluster.stores[0].write(Batch::new()).unwrap_err();
    let replica = cluster.replicas.get_mut(&0).unwrap();
    replica.push(Now { elapsed: cluster.now, unix: START }, Input::Submit { ticket: Ticket(2), transaction, wait: Wait::Committed });
    let fatal = std::iter::from_fn(|| replica.poll().map(|output| output.map(drop)).transpose()).find_map(Result::err);
    assert!(fatal.is_some());
}

#[test]
fn the_pool_tells_what_waits_and_which_number_comes_next() {
    // One of two does not run, so nothing is ever committed.
    let mut cluster = Cluster::new(2);
    let leader = leader_of(&cluster);
    cluster.replicas.retain(|id, _| *id == leader);
    let me = Address::of(&account_key().public());
    let transactions: Vec<_> = (0..3).map(|sequence| signed(&cluster, sequence, 60_000)).collect();
    for (ticket, transaction) in (0..).zip(&transactions) {
        let replica = &cluster.replicas[&leader];
        assert_eq!((replica.next_sequence(&me), replica.is_pending(&transaction.id())), (Sequence(ticket), false));
        send(&mut cluster, ticket, transaction);
        let replica = &cluster.replicas[&leader];
        assert_eq!((replica.next_sequence(&me), replica.is_pending(&transaction.id())), (Sequence(ticket + 1), true));
    }
    assert_eq!(cluster.answers, BTreeMap::new(), "they wait for the commit");

    let too_far = signed(&cluster, 1 << 40, 60_000);
    send(&mut cluster, 9, &too_far);
    assert_eq!(code(&cluster, 9), "sequence-too-far");
    assert_eq!(cluster.replicas[&leader].next_sequence(&Address::default()), Sequence(0), "an account that never sent");
}

#[test]
fn the_number_that_comes_next_counts_what_is_committed() {
    let mut cluster = Cluster::new(1);
    for sequence in 0..3 {
        let transaction = signed(&cluster, sequence, 60_000);
        send(&mut cluster, sequence, &transaction);
        let replica = &cluster.replicas[&0];
        assert_eq!(replica.next_sequence(&Address::of(&account_key().public())), Sequence(sequence + 1));
        assert!(!replica.is_pending(&transaction.id()));
    }
}

#[test]
fn a_transaction_that_expires_in_the_pool_is_answered_and_remembered_as_dropped() {
    let mut cluster = Cluster::new(1);
    // Its predecessor never comes.
    let transaction = signed(&cluster, 1, 5_000);
    send(&mut cluster, 1, &transaction);
    let id = transaction.id();
    assert!(cluster.replicas[&0].is_pending(&id) && !cluster.answers.contains_key(&1));
    assert_eq!((cluster.replicas[&0].dropped(&id), cluster.replicas[&0].dropped_since(0, 9)), (None, (0, Vec::new())));
    cluster.pass(Duration::from_secs(60));
    assert_eq!(code(&cluster, 1), "expired");
    let replica = &cluster.replicas[&0];
    assert!(!replica.is_pending(&id));
    assert_eq!(replica.dropped(&id).map(quorate_replica::Rejected::code), Some("expired"));
    let (position, dropped) = replica.dropped_since(0, 9);
    assert_eq!(dropped.iter().map(|dropped| dropped.id).collect::<Vec<_>>(), [id]);
    assert_eq!((position, replica.dropped_since(position, 9)), (1, (1, Vec::new())));
}
