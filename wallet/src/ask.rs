//! Reads: an account, a key, the outcome of a transaction. Every result is proved, or reported as unproved.

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

/// An account as shown.
#[derive(Serialize)]
pub(crate) struct AccountShown<'a> {
    address: Address,
    #[serde(with = "amount_text")]
    balance: u64,
    sequence: Sequence,
    /// Bytes of state that the account holds.
    stored: u64,
    /// Amount that must stay in the account for them.
    #[serde(with = "amount_text")]
    deposit: u64,
    height: Height,
    verified: Verified<'a>,
}

impl<'a> AccountShown<'a> {
    pub(crate) fn new(network: &Network, address: Address, proven: &'a Proven<Account>) -> Result<Self, CommandError> {
        let (Account { balance, sequence, stored, .. }, certificate) = (*proven.value(), proven.certificate());
        let verified = Verified::new(certificate, network.genesis_hash());
        let deposit = network.settings()?.deposit(stored);
        Ok(Self { address, balance, sequence, stored, deposit, height: certificate.header.height, verified })
    }
}

pub(crate) async fn balance(network: &Network, address: Address, out: &Output) -> Result<(), CommandError> {
    let session = &network.session;
    let settings = network.settings()?;
    let proven = network.account(address).await.map_err(|error| {
        let nothing = matches!(error, ClientError::Unverified(LightError::NothingCommitted));
        let mut error = CommandError::from(error);
        if nothing {
            let known = settings.accounts.iter().find(|account| account.address == address);
            error.message = format!("{}; its balance there is {}", error.message, known.map_or(0, |account| account.balance));
        }
        error
    })?;
    let shown = AccountShown::new(network, address, &proven)?;
    let certificate = proven.certificate();
    out.print(&shown, || {
        let AccountShown { balance, sequence, stored, deposit, .. } = &shown;
        let held = if *deposit > 0 { format!(", for which {deposit} of the balance must stay") } else { String::new() };
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
        /// Hexadecimal; `None` if the key is missing.
        value: Option<String>,
        /// The value, if it is text.
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
    // An empty value prints an empty line. A missing key prints nothing on standard output, and a note says so.
    out.print(&got, || bytes.map_or_else(String::new, |bytes| format!("{}\n", value::shown(bytes))))?;
    if bytes.is_none() {
        out.always("the key is missing (operations read it as empty)");
    }
    out.good(format_args!("verified: {certificate}"));
    tell_age(session, certificate, out);
    Ok(())
}

pub(crate) async fn transaction(network: &Network, id: TxId, with_proof: bool, out: &Output) -> Result<(), CommandError> {
    let Network { session, memory } = network;
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
    // The wallet has its own transactions, so the sender's account can prove their fate.
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
                format!("its sequence number is used (the account's next one is {next}), and no node proves by which transaction")
            }
            Ok(Fate::Open { next }) => format!("its sequence number is {}, and the account's next one is {next}", tx.content().sequence),
            Err(error) => return Err(error.into()),
        },
        // An invalid proof, or no node answered.
        None if matches!(error, ClientError::Unverified(_) | ClientError::Unreachable { .. }) => return Err(error.into()),
        None => error.to_string(),
    };
    let message = format!("no node proves whether transaction {id} is in the chain: {reason}");
    Err(CommandError::new(Exit::TimedOut, "unknown", message).with_hint("try again, or try another node: --node URL").about(id))
}

/// Warns about an old state. A proof cannot show that nothing newer exists, but its time can show that something newer should.
fn tell_age(session: &Session, certificate: &Certificate, out: &Output) {
    let age_ms = session::clock().since(certificate.header.timestamp);
    if age_ms > session.recent_ms() {
        out.note(format_args!(
            "warning: this state is {} s old by this machine's clock: the nodes are behind or hide newer blocks, the chain has stalled, or the clock is wrong",
            age_ms / 1_000
        ));
    }
}
