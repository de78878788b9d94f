//! Shows proved results.

use std::fmt;

use quorate_builtin::{Answer, BankOperation, KvAction, KvOperation, Operation, app};
use quorate_client::light::{Certificate, PlacedReceipt, Proven};
use quorate_terminal::{CommandError, Exit, Output, escape_untrusted};
use quorate_types::{
    codec,
    failure::Failure,
    governance::{ChainOperation, Change, ProposalId},
    ids::{Address, BlockId, GenesisHash, TxId},
    receipt::Outcome,
    round::{Height, Round, UnixMillis},
    rpc::OutcomeView,
    transaction::{PAYLOAD_BYTES_MAX, Target, Transaction},
};
use serde::Serialize;

use crate::value;

/// The certificate behind a result.
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

/// What the sender knows about a transaction, and a receipt does not show.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) proposal: Option<ProposalId>,
    /// Kind of operation.
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
        if tx.content().target == Target::Chain {
            let (action, proposal) =
                codec::decode(&tx.content().payload, PAYLOAD_BYTES_MAX).map_or((None, None), |operation| named(&operation));
            return Self { from, proposal, action, ..Self::default() };
        }
        match Operation::decode(&tx.content().payload) {
            Ok(Operation::Bank(BankOperation::Transfer { to, amount })) => {
                Self { from, to: Some(to), amount: Some(amount), action: Some("transfer"), ..Self::default() }
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
            write!(f, " {}", escape_untrusted(key))?;
        }
        if let Some(proposal) = self.proposal {
            write!(f, " proposal {proposal}")?;
        }
        Ok(())
    }
}

/// The command that sends an operation on the chain, and the proposal that it names.
const fn named(operation: &ChainOperation) -> (Option<&'static str>, Option<ProposalId>) {
    match operation {
        ChainOperation::Propose(change) => {
            let command = match **change {
                Change::Power { .. } => "propose-power",
                Change::Add(_) => "propose-add",
                Change::Remove { .. } => "propose-remove",
                Change::Replace { .. } => "replace",
                Change::Parameters(_) => "propose-parameters",
                Change::Permit { .. } => "permission --propose",
                Change::Authority(_) => "propose-authority",
                Change::Version(_) => "propose-version",
            };
            (Some(command), None)
        }
        ChainOperation::Approve(id) => (Some("approve"), Some(*id)),
        ChainOperation::Reject(id) => (Some("reject"), Some(*id)),
        ChainOperation::Withdraw(id) => (Some("withdraw"), Some(*id)),
        ChainOperation::Permit { .. } => (Some("permission"), None),
        ChainOperation::Move { .. } => (Some("move"), None),
        ChainOperation::Speak(_) => (Some("speak"), None),
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde requires")]
fn optional_amount<S: serde::Serializer>(amount: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.collect_str(amount),
        None => serializer.serialize_none(),
    }
}

/// A committed transaction, as JSON.
#[derive(Serialize)]
struct CommittedView<'a> {
    tx_id: TxId,
    status: &'static str,
    height: Height,
    index: u32,
    outcome: OutcomeView,
    /// The application's answer, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(flatten)]
    shown: &'a Shown,
    verified: Verified<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
}

/// Shows a proved receipt. A failed transaction is shown too, and returned as an error.
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

/// The value in the transaction's answer, if it took effect and has one.
fn answered(outcome: &Outcome) -> Option<Vec<u8>> {
    let Outcome::Applied(answer) = outcome else { return None };
    match Answer::decode(answer) {
        Ok(Answer::Value(value)) => Some(value),
        Ok(Answer::Done) | Err(_) => None,
    }
}

pub(crate) fn explained(failure: &Failure) -> String {
    app().explain(failure)
}
