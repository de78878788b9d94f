//! How proved results are shown.

use std::fmt;

use quorate_builtin::{Answer, BankOperation, KvAction, KvOperation, Operation, explain};
use quorate_client::light::{Certificate, PlacedReceipt, Proven};
use quorate_terminal::{CommandError, Exit, Output, foreign};
use quorate_types::{
    failure::Failure,
    ids::{Address, BlockId, GenesisHash, TxId},
    receipt::Outcome,
    round::{Height, Round, UnixMillis},
    rpc::OutcomeView,
    transaction::Transaction,
};
use serde::Serialize;

use crate::value;

/// By whom a result is proved.
#[derive(Serialize)]
pub(crate) struct Verified<'a> {
    height: Height,
    round: Round,
    certificate_round: Round,
    block_id: BlockId,
    timestamp: UnixMillis,
    signers: &'a [String],
    #[serde(with = "quorate_types::codec::amount_text")]
    power: u64,
    #[serde(with = "quorate_types::codec::amount_text")]
    power_total: u64,
    genesis_hash: GenesisHash,
}

impl<'a> Verified<'a> {
    pub(crate) fn new(certificate: &'a Certificate, genesis_hash: GenesisHash) -> Self {
        let Certificate { header, round, signers, power, power_total } = certificate;
        Self {
            height: header.height,
            round: header.round,
            certificate_round: *round,
            block_id: header.block_id,
            timestamp: header.timestamp,
            signers,
            power: *power,
            power_total: *power_total,
            genesis_hash,
        }
    }
}

/// What the sender of a transaction knows about it and others do not show.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_amount")]
    pub(crate) amount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// What is done, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<&'static str>,
}

impl Shown {
    pub(crate) fn key(key: &str) -> Self {
        Self { key: Some(key.into()), ..Self::default() }
    }

    /// What a signed transaction does.
    pub(crate) fn of(tx: &Transaction) -> Self {
        let from = Some(tx.sender());
        match Operation::decode(&tx.content().payload) {
            Ok(Operation::Bank(BankOperation::Transfer { to, amount })) => {
                Self { from, to: Some(to), amount: Some(amount), action: Some("transfer"), key: None }
            }
            Ok(Operation::Kv(KvOperation { key, action, .. })) => {
                let action = match action {
                    KvAction::Put(_) => "put",
                    KvAction::Get => "get",
                    KvAction::Append(_) => "append",
                    KvAction::Slice { .. } => "slice",
                    KvAction::Delete => "delete",
                };
                Self { from, key: Some(value::shown(&key)), action: Some(action), ..Self::default() }
            }
            Err(_) => Self { from, ..Self::default() },
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.unwrap_or("operation"))?;
        if let Some(amount) = self.amount {
            write!(f, " {amount}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {}", foreign(key))?;
        }
        Ok(())
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn optional_amount<S: serde::Serializer>(amount: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.collect_str(amount),
        None => serializer.serialize_none(),
    }
}

/// A committed transaction.
#[derive(Serialize)]
struct CommittedView<'a> {
    tx_id: TxId,
    status: &'static str,
    height: Height,
    index: u32,
    outcome: OutcomeView,
    /// The application's answer as text, where it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(flatten)]
    shown: &'a Shown,
    verified: Verified<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
}

/// Shows a proved receipt. A failed transaction is shown like any other, and is the command's failure.
pub(crate) fn receipt(
    proven: &Proven<PlacedReceipt>,
    genesis_hash: GenesisHash,
    shown: &Shown,
    proof: Option<&str>,
    out: &Output,
) -> Result<(), CommandError> {
    let PlacedReceipt { receipt, index } = proven.value();
    let certificate = proven.certificate();
    let output = answered(&receipt.outcome);
    let word = match &receipt.outcome {
        Outcome::Applied(_) => "applied".to_owned(),
        Outcome::Failed(failure) => format!("failed: {} ({})", explained(failure), failure.code()),
    };
    let view = CommittedView {
        tx_id: receipt.tx_id,
        status: "committed",
        height: certificate.header.height,
        index: *index,
        outcome: OutcomeView::new(&receipt.outcome, explained),
        text: output.as_deref().and_then(value::text).filter(|text| !text.is_empty()),
        shown,
        verified: Verified::new(certificate, genesis_hash),
        proof,
    };
    out.print(&view, || {
        let mut lines = vec![format!("transaction  {}", receipt.tx_id), format!("result       {word}")];
        let mut line = |name: &str, value: String| lines.push(format!("{name:<13}{value}"));
        if let Some(from) = shown.from {
            line("from", from.to_string());
        }
        if let Some(to) = shown.to {
            line("to", to.to_string());
        }
        if let Some(amount) = shown.amount {
            line("amount", amount.to_string());
        }
        if let Some(key) = &shown.key {
            line("key", key.clone());
        }
        if let Some(output) = output.as_deref().filter(|output| !output.is_empty()) {
            line("output", value::shown(output));
        }
        line("block", format!("height {}, position {index}", certificate.header.height));
        if let Some(proof) = proof {
            line("proof", proof.into());
        }
        lines.push(format!("verified: {certificate}"));
        lines.join("\n")
    })?;
    match &receipt.outcome {
        Outcome::Applied(_) => Ok(()),
        Outcome::Failed(failure) => {
            let message = format!("the transaction is in the chain, but failed: {}", explained(failure));
            Err(CommandError::new(Exit::TransactionFailed, failure.code(), message).about(receipt.tx_id))
        }
    }
}

/// The value that a transaction answered, if it took effect and answers one.
fn answered(outcome: &Outcome) -> Option<Vec<u8>> {
    let Outcome::Applied(answer) = outcome else { return None };
    match Answer::decode(answer) {
        Ok(Answer::Value(value)) => Some(value),
        Ok(Answer::Done) | Err(_) => None,
    }
}

fn explained(failure: &Failure) -> String {
    explain(failure).unwrap_or_else(|| failure.to_string())
}
