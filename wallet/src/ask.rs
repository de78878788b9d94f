//! Questions: what an account has, what a key holds, what became of a transaction. Every answer is proved, or said not to be.

use quorate_builtin::{Account, KvSpace, keys::kv_key};
use quorate_client::{ClientError, Fate, LightError, Proven, Session, light::Certificate, session};
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{
    codec::amount_text,
    ids::{Address, TxId},
    round::{Height, Sequence},
};
use serde::Serialize;

use crate::{
    network::Network,
    value,
    view::{self, Shown, Verified},
};

/// An account as it is shown.
#[derive(Serialize)]
pub(crate) struct AccountShown<'a> {
    address: Address,
    #[serde(with = "amount_text")]
    balance: u64,
    sequence: Sequence,
    /// Bytes of the state that it holds, and what must stay in it for them.
    stored: u64,
    #[serde(with = "amount_text")]
    deposit: u64,
    height: Height,
    verified: Verified<'a>,
}

impl<'a> AccountShown<'a> {
    pub(crate) fn new(network: &Network, address: Address, proven: &'a Proven<Account>) -> Self {
        let (Account { balance, sequence, stored }, certificate) = (*proven.value(), proven.certificate());
        let verified = Verified::new(certificate, network.genesis_hash());
        let deposit = network.settings.deposit(stored);
        Self { address, balance, sequence, stored, deposit, height: certificate.header.height, verified }
    }
}

pub(crate) async fn balance(network: &Network, address: Address, out: &Output) -> Result<(), CommandError> {
    let session = &network.session;
    let proven = network.account(address).await.map_err(|error| {
        let nothing = matches!(error, ClientError::Unverified(LightError::NothingCommitted));
        let mut error = CommandError::from(error);
        if nothing {
            let known = network.settings.accounts.iter().find(|account| account.address == address);
            error.message = format!("{}: {}", error.message, known.map_or(0, |account| account.balance));
        }
        error
    })?;
    let shown = AccountShown::new(network, address, &proven);
    let certificate = proven.certificate();
    out.print(&shown, || {
        let AccountShown { balance, sequence, stored, deposit, .. } = &shown;
        let held = if *deposit > 0 { format!(", {deposit} of the balance must stay") } else { String::new() };
        format!("address   {address}\nbalance   {balance}\nsequence  {sequence}\nholds     {stored} bytes of state{held}\nverified: {certificate}")
    })?;
    tell_age(session, certificate, out);
    Ok(())
}

pub(crate) async fn get(
    network: &Network,
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
    let session = &network.session;
    let proven = session.state_verified(&kv_key(space, &owner, key)).await?;
    let certificate = proven.certificate();
    let bytes = proven.value().as_deref();
    let got = Got {
        key: name,
        value: bytes.map(hex::encode),
        text: bytes.and_then(value::text),
        verified: Verified::new(certificate, session.light().genesis_hash()),
    };
    // A value that is empty is an empty line, a key that is missing no line at all, and is said in so many words.
    out.print(&got, || bytes.map_or_else(String::new, |bytes| format!("{}\n", value::shown(bytes))))?;
    if bytes.is_none() {
        out.always("the key is missing (operations read it as empty)");
    }
    out.good(format_args!("verified: {certificate}"));
    tell_age(session, certificate, out);
    Ok(())
}

pub(crate) async fn transaction(network: &Network, id: TxId, with_proof: bool, out: &Output) -> Result<(), CommandError> {
    let Network { session, memory, .. } = network;
    let error = match session.transaction_with_proof(id).await {
        Ok((proven, proof)) => {
            let own = memory.find(id)?;
            let shown = own.as_ref().map(Shown::of).unwrap_or_default();
            network.remember(out);
            if let Some(tx) = own {
                memory.forget_number_of(&tx)?;
            }
            return view::receipt(&proven, network.genesis_hash(), &shown, with_proof.then_some(proof.as_str()), out);
        }
        Err(error) => error,
    };
    // Its own transaction the wallet knows, so that an account can prove what became of it.
    let reason = match memory.find(id)? {
        Some(tx) => match session.fate(&tx).await {
            Ok(Fate::Committed(proven)) => {
                network.remember(out);
                memory.forget_number_of(&tx)?;
                return view::receipt(&proven, network.genesis_hash(), &Shown::of(&tx), None, out);
            }
            Ok(Fate::Never(why)) => {
                memory.forget(&tx)?;
                return Err(ClientError::NotCommitted { tx_id: id, why }.into());
            }
            Ok(Fate::Used { next }) => {
                format!("its number is used (the account's next one is {next}), and no node proves by which transaction")
            }
            Ok(Fate::Open { next }) => format!("its number is {}, the account's next one {next}", tx.content().sequence),
            Err(error) => return Err(error.into()),
        },
        // Somebody shows a proof that is none, or nobody is there.
        None if matches!(error, ClientError::Unverified(_) | ClientError::Unreachable { .. }) => return Err(error.into()),
        None => error.to_string(),
    };
    let message = format!("no node proves that transaction {id} is in the chain, nor that it is not: {reason}");
    Err(CommandError::new(Exit::TimedOut, "unknown", message).with_hint("ask again, or ask another node: --node URL").about(id))
}

/// A proof cannot say that nothing newer exists; its time can say that something should.
fn tell_age(session: &Session, certificate: &Certificate, out: &Output) {
    let age_ms = session::clock().since(certificate.header.timestamp);
    if age_ms > session.recent_ms() {
        out.note(format_args!(
            "warning: this state is {} s old by this machine's clock: the nodes are behind or hide what is new, the chain stands still, or the clock is wrong",
            age_ms / 1_000
        ));
    }
}
