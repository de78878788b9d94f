//! Questions: what an account has, what a key holds, what became of a transaction. Every answer is proved, or said not to be.

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_client::{
    CommandError, Exit, Output, Session,
    light::Certificate,
    session::{CheckedAccount, Source},
};
use quorate_types::{
    codec::amount_text,
    ids::{Address, TxId},
    operation::KvSpace,
    round::{Height, Sequence},
    rpc::TransactionStatus,
};
use serde::Serialize;

use crate::{
    value,
    view::{self, Shown, Verified},
};

/// How many heartbeats a proved state may be old before the user is told.
const HEARTBEATS_UNTIL_STALE: u64 = 3;

/// An account as it is shown.
#[derive(Serialize)]
pub(crate) struct AccountShown<'a> {
    address: Address,
    #[serde(with = "amount_text")]
    balance: u64,
    sequence: Sequence,
    height: Height,
    /// `certificate`, or `genesis` while nothing is committed.
    source: &'static str,
    verified: Option<Verified<'a>>,
}

impl<'a> AccountShown<'a> {
    pub(crate) fn new(session: &Session, address: Address, checked: &'a CheckedAccount) -> Self {
        let (height, source, verified) = match &checked.source {
            Source::Certificate(certificate) => {
                (certificate.header.height, "certificate", Some(Verified::new(certificate, session.light().genesis().hash())))
            }
            Source::Genesis => (Height(0), "genesis", None),
        };
        Self { address, balance: checked.account.balance, sequence: checked.account.sequence, height, source, verified }
    }
}

pub(crate) async fn balance(session: &Session, address: Address, out: &Output) -> Result<(), CommandError> {
    let checked = session.account_verified(address).await?;
    let shown = AccountShown::new(session, address, &checked);
    out.print(&shown, || {
        let basis = match &checked.source {
            Source::Certificate(certificate) => format!("verified: {certificate}"),
            Source::Genesis => "from the genesis file: the node shows no committed block yet".into(),
        };
        format!("address   {address}\nbalance   {}\nsequence  {}\n{basis}", shown.balance, shown.sequence)
    })?;
    if let Source::Certificate(certificate) = &checked.source {
        tell_age(session, certificate, out);
    }
    Ok(())
}

pub(crate) async fn get(
    session: &Session,
    space: KvSpace,
    owner: Address,
    name: &str,
    key: &[u8],
    out: &Output,
) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Got<'a> {
        key: &'a str,
        /// Hexadecimal; none when the key is missing.
        value: Option<String>,
        /// The value, where it is text.
        text: Option<&'a str>,
        verified: Verified<'a>,
    }
    let proven = session.kv_verified(space, owner, key).await?;
    let certificate = proven.certificate();
    let bytes = proven.value().as_deref();
    let got = Got {
        key: name,
        value: bytes.map(hex::encode),
        text: bytes.and_then(value::text),
        verified: Verified::new(certificate, session.light().genesis().hash()),
    };
    if bytes.is_none() {
        out.note("the key is missing, which reads as empty");
    }
    out.print(&got, || value::shown(bytes.unwrap_or_default()))?;
    out.good(format_args!("verified: {certificate}"));
    tell_age(session, certificate, out);
    Ok(())
}

pub(crate) async fn transaction(session: &Session, id: TxId, with_proof: bool, out: &Output) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Status {
        tx_id: TxId,
        #[serde(flatten)]
        status: TransactionStatus,
    }
    let status = session.client().transaction(id).await?;
    let (word, error) = match &status {
        TransactionStatus::Committed { .. } => {
            let view = session.client().transaction_proof(id).await?;
            let proven = session.light().transaction(id, &view.proof).map_err(quorate_client::ClientError::from)?;
            let proof = with_proof.then_some(view.proof.as_str());
            return view::receipt(&proven, session.light().genesis().hash(), &Shown::default(), proof, out);
        }
        TransactionStatus::Dropped { code, reason } => (
            format!("dropped: {reason} ({code})"),
            CommandError::new(Exit::Rejected, code, format!("the transaction is not in the chain: {reason}")),
        ),
        TransactionStatus::Pending => (
            "pending".into(),
            CommandError::new(Exit::TimedOut, "pending", "the transaction is not in the chain yet").with_hint("ask again"),
        ),
        TransactionStatus::Unknown => (
            "unknown".into(),
            CommandError::new(Exit::TimedOut, "unknown", "the node does not know the transaction")
                .with_hint("ask another node: --node URL"),
        ),
    };
    out.print(&Status { tx_id: id, status }, || format!("transaction  {id}\nstatus       {word}"))?;
    Err(error)
}

/// A proof cannot say that nothing newer exists; its time can say that something should.
fn tell_age(session: &Session, certificate: &Certificate, out: &Output) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0);
    let age_ms = now.saturating_sub(certificate.header.timestamp.0);
    let heartbeat_ms = u64::from(session.light().genesis().parameters.heartbeat_ms);
    if age_ms > heartbeat_ms.saturating_mul(HEARTBEATS_UNTIL_STALE) {
        out.note(format_args!("this state is {} s old: the node may be behind, or the chain may stand still", age_ms / 1_000));
    }
}
