//! Clients that send continuously and remember every acknowledgement.
//!
//! Each owns an account and sends transfers of 1 to a common account, one after another. It sends the next one only when a node has proved
//! that the last one is committed; whatever happens to nodes meanwhile, it resends the *same* transaction. So for every account, in the end:
//! acknowledged <= sequence number in the chain <= acknowledged + 1, since one may be in doubt when the client is stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use quorate_builtin::{BankOperation, Operation};
use quorate_client::ClientError;
use quorate_keygen::AccountKey;
use quorate_types::{
    ids::{Address, TxId},
    round::Height,
};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, eventually};

/// Longest time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(20);
/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// A transaction that a node has proved to be committed.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub tx_id: TxId,
    pub height: Height,
    pub index: u32,
}

/// Running clients.
pub struct Traffic {
    is_over: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Acknowledged>>>,
}

impl Traffic {
    /// Starts one client per key. Each uses all validators, beginning with a different one.
    pub fn start(cluster: &Cluster, keys: Vec<AccountKey>, to: Address) -> Self {
        Self::start_at(cluster, &(0..cluster.len()).collect::<Vec<_>>(), keys, to)
    }

    /// Like [`Self::start`], with these validators only.
    pub fn start_at(cluster: &Cluster, validators: &[usize], keys: Vec<AccountKey>, to: Address) -> Self {
        let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let genesis_hash = cluster.genesis().hash();
        let clients = keys.into_iter().enumerate().map(|(index, key)| {
            let mut validators = validators.to_vec();
            let first = index % validators.len();
            validators.rotate_left(first);
            let session = cluster.session(&validators);
            let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for sequence in 0.. {
                    use quorate_types::{round::Sequence, transaction::Transaction};
                    let operation = Operation::Bank(BankOperation::Transfer { to, amount: 1 });
                    let tx =
                        Transaction::sign(genesis_hash, &key.signing, Sequence(sequence), crate::cluster::in_an_hour(), operation.encode());
                    loop {
                        if is_over.load(Ordering::Relaxed) {
                            return acknowledged;
                        }
                        match session.submit_and_verify(&tx, ATTEMPT).await {
                            Ok(proven) => {
                                assert!(proven.value().receipt.outcome.is_applied(), "{:?}", proven.value());
                                let (tx_id, height, index) = (tx.id(), proven.certificate().header.height, proven.value().index);
                                acknowledged.push(Acknowledged { tx_id, height, index });
                                count.fetch_add(1, Ordering::Relaxed);
                                break;
                            }
                            Err(ClientError::NotCommitted { why, .. }) => panic!("not committed, although it is valid for an hour: {why}"),
                            Err(_) => tokio::time::sleep(PAUSE).await,
                        }
                    }
                }
                acknowledged
            })
        });
        let clients = clients.collect();
        Self { is_over, count, clients }
    }

    /// Number of transactions acknowledged so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until this many more are acknowledged.
    pub async fn goes_on(&self, more: u64) {
        let target = self.count() + more;
        eventually(&format!("{more} more transactions are acknowledged"), || async { (self.count() >= target).then_some(()) }).await;
    }

    /// Stops the clients, and returns what was acknowledged to each.
    pub async fn stop(self) -> Vec<Vec<Acknowledged>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for client in self.clients {
            all.push(client.await.expect("the client has not panicked"));
        }
        all
    }
}
