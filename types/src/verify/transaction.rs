//! Checks of transactions: network, key and signature. Sequence numbers and expiry depend on the state and are checked at execution.

use super::{Verified, Verifier, VerifyError, lock};
use crate::{
    crypto::{BadSignature, BatchItem, KeyError, PublicKey, VerifyingKey, verify_each},
    transaction::Transaction,
};

/// How many signatures are checked together. A larger batch is hardly cheaper per signature, and a bad signature costs more in it.
pub const SIGNATURES_BATCHED: usize = 512;

/// What remains to be done for a transaction.
enum Step {
    Done(Result<(), VerifyError>),
    Check(VerifyingKey),
}

impl Verifier {
    /// Checks transactions together; returns a verdict for each. A signature that was checked before is not checked again.
    pub fn transactions(&self, transactions: Vec<Transaction>) -> Vec<Result<Verified<Transaction>, VerifyError>> {
        let verdicts: Vec<_> = transactions.chunks(SIGNATURES_BATCHED).flat_map(|batch| self.check_batch(batch)).collect();
        transactions.into_iter().zip(verdicts).map(|(tx, verdict)| verdict.map(|()| Verified(tx))).collect()
    }

    /// Checks that all transactions are valid. Stops at the first batch with an invalid one.
    pub(super) fn check_payload(&self, transactions: &[Transaction]) -> Result<(), VerifyError> {
        transactions.chunks(SIGNATURES_BATCHED).try_for_each(|batch| self.check_batch(batch).into_iter().collect())
    }

    /// Checks at most [`SIGNATURES_BATCHED`] transactions; returns a verdict for each.
    fn check_batch(&self, transactions: &[Transaction]) -> Vec<Result<(), VerifyError>> {
        let known: Vec<bool> = {
            let seen = lock(&self.transactions);
            transactions.iter().map(|tx| seen.get(&tx.id()) == Some(tx.signature())).collect()
        };
        // No lock is held while points are decoded and signatures checked, so threads do this in parallel.
        let steps: Vec<Step> = transactions.iter().zip(known).map(|(tx, known)| self.first_step(tx, known)).collect();
        let items: Vec<BatchItem<'_>> = transactions
            .iter()
            .zip(&steps)
            .filter_map(|(tx, step)| match step {
                Step::Check(key) => Some(BatchItem { key, digest: tx.id().0, signature: *tx.signature() }),
                Step::Done(_) => None,
            })
            .collect();
        let mut checked = verify_each(&items).into_iter();
        let mut seen = lock(&self.transactions);
        transactions
            .iter()
            .zip(&steps)
            .map(|(tx, step)| match step {
                Step::Done(verdict) => verdict.clone(),
                Step::Check(_) => {
                    checked.next().unwrap_or(Err(BadSignature))?;
                    seen.insert(tx.id(), *tx.signature());
                    Ok(())
                }
            })
            .collect()
    }

    fn first_step(&self, tx: &Transaction, known: bool) -> Step {
        let content = tx.content();
        match self.check_network(content.genesis_hash) {
            Err(error) => Step::Done(Err(error)),
            Ok(()) if known => Step::Done(Ok(())),
            Ok(()) => self.sender_key(&content.sender).map_or_else(|error| Step::Done(Err(error.into())), Step::Check),
        }
    }

    fn sender_key(&self, key: &PublicKey) -> Result<VerifyingKey, KeyError> {
        if let Some(decoded) = lock(&self.keys).get(key) {
            return Ok(decoded.clone());
        }
        let decoded = key.decode()?;
        lock(&self.keys).insert(*key, decoded.clone());
        Ok(decoded)
    }
}
