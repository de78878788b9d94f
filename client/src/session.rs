//! A client together with a light client: ask any node, believe none.

use std::time::Duration;

use quorate_types::{
    ids::{Address, TxId},
    operation::KvSpace,
    round::Sequence,
    rpc::{Submitted, TransactionStatus, Wait},
    state_key::Account,
    transaction::Transaction,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    error::ClientError,
    http::Client,
    light::{Certificate, LightClient, LightError, PlacedReceipt, Proven},
};

/// How long the client pauses between two questions about a transaction.
const POLL_PAUSE: Duration = Duration::from_millis(250);
/// How long a node may take over a transaction before another one is given it as well: a node that is cut off from the others, or that lies,
/// says that it is pending for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the numbers of an account rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A quorum signed them.
    Certificate(Box<Certificate>),
    /// The genesis file: the node shows no committed block yet.
    Genesis,
}

/// An account, checked, and the one number that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedAccount {
    /// The account.
    pub account: Account,
    /// The number of its next transaction when those in the node's pool are counted: the node's word, and no more is needed, because a
    /// wrong number only makes the transaction wait or be refused.
    pub next_sequence: Sequence,
    /// What `account` rests on.
    pub source: Source,
}

/// Asks nodes and checks their answers.
#[derive(Debug)]
pub struct Session {
    client: Client,
    light: LightClient,
}

impl Session {
    /// A session with these nodes of the light client's network.
    #[must_use]
    pub const fn new(client: Client, light: LightClient) -> Self {
        Self { client, light }
    }

    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The light client.
    #[must_use]
    pub const fn light(&self) -> &LightClient {
        &self.light
    }

    /// Submits a transaction, waits until it is committed, and checks the proof of its receipt. A failed transaction is a receipt too.
    ///
    /// # Errors
    /// [`ClientError`]: `Rejected` when it is not and will not be in the chain, `Unknown` when `timeout` passed first, `Unverified` when a
    /// node says that it is committed and cannot prove it.
    pub async fn submit_and_verify(&self, tx: &Transaction, timeout: Duration) -> Result<Proven<PlacedReceipt>, ClientError> {
        let deadline = Instant::now() + timeout;
        let first = match self.client.submit(tx, Wait::Committed, timeout.min(PATIENCE)).await {
            // It may be on its way, and there is time left to find out.
            Err(ClientError::Unknown { .. }) => Submitted { tx_id: tx.id(), status: TransactionStatus::Unknown, proof: None },
            first => first?,
        };
        let unknown = || ClientError::Unknown { tx_id: tx.id(), reason: format!("{timeout:?} have passed") };
        // A node has it now, or may have it: from here on nothing but a proof, a drop or the deadline ends the wait.
        timeout_at(deadline, self.follow(tx, first)).await.unwrap_or_else(|_| Err(unknown()))
    }

    async fn follow(&self, tx: &Transaction, first: Submitted) -> Result<Proven<PlacedReceipt>, ClientError> {
        let Submitted { mut status, mut proof, .. } = first;
        let mut turned = None::<Instant>;
        loop {
            match status {
                TransactionStatus::Committed { .. } => {
                    if let Some(proof) = proof.take() {
                        return Ok(self.light.transaction(tx.id(), &proof)?);
                    }
                    match self.transaction(tx.id()).await {
                        Err(ClientError::Unreachable { .. } | ClientError::Refused { .. }) => {}
                        done => return done,
                    }
                }
                TransactionStatus::Dropped { code, reason } => {
                    return Err(ClientError::Rejected { code, message: reason, hint: None });
                }
                // A node that took it and then crashed may not have passed it on, so it is sent again; its refusal tells nothing.
                TransactionStatus::Unknown => drop(self.client.submit(tx, Wait::Accepted, POLL_PAUSE).await),
                // The next node that does not know it is given it in the next round.
                TransactionStatus::Pending if turned.is_none_or(|since| since.elapsed() >= PATIENCE) => {
                    self.client.turn_to_the_next();
                    turned = Some(Instant::now());
                }
                TransactionStatus::Pending => {}
            }
            sleep(POLL_PAUSE).await;
            status = match self.client.transaction(tx.id()).await {
                Ok(status) => status,
                Err(_) => TransactionStatus::Pending,
            };
        }
    }

    /// Fetches and checks the proof of a committed transaction.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction(&self, id: TxId) -> Result<Proven<PlacedReceipt>, ClientError> {
        let view = self.client.transaction_proof(id).await?;
        Ok(self.light.transaction(id, &view.proof)?)
    }

    /// An account, checked.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account_verified(&self, address: Address) -> Result<CheckedAccount, ClientError> {
        let view = self.client.account(address).await?;
        match self.light.account(address, &view) {
            Ok(proven) => {
                let (account, certificate) = proven.into_parts();
                Ok(CheckedAccount { account, next_sequence: view.next_sequence, source: Source::Certificate(Box::new(certificate)) })
            }
            Err(LightError::NothingCommitted) => Ok(CheckedAccount {
                account: self.light.genesis_account(address),
                next_sequence: view.next_sequence,
                source: Source::Genesis,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// A value of the key-value store, checked; `None` when the key is proved to be missing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn kv_verified(&self, space: KvSpace, owner: Address, key: &[u8]) -> Result<Proven<Option<Vec<u8>>>, ClientError> {
        let view = self.client.kv(space, owner, key).await?;
        Ok(self.light.kv(space, owner, key, &view)?)
    }
}
