//! `quorate wallet`: commands and options.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Subcommand};
use quorate_builtin::{BankOperation, KvAction, KvSpace, Operation};
use quorate_client::Pace;
use quorate_keygen::{
    PassphraseArgs,
    command::{SealingArgs, create_account},
    mnemonic::Words,
    passphrase, private_file,
};
use quorate_terminal::{CommandError, Output};
use quorate_types::{ids::TxId, round::Height};
use zeroize::Zeroizing;

use crate::{
    accounts::{Accounts, Party},
    ask, history,
    network::NetworkArgs,
    pending::{self, Cancellation},
    send::Sender,
    value,
    view::Shown,
    watch,
};

/// Longest mnemonic read, in bytes: 24 words and ample white space.
const MNEMONIC_BYTES_MAX: usize = 4_096;

/// Accounts, transfers and key-value operations.
#[derive(Clone, Debug, Args)]
pub struct Command {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(subcommand)]
    action: Action,
}

/// The command.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Create an account, and show the words that restore it.
    Create(CreateArgs),
    /// Restore an account from its words.
    Import(ImportArgs),
    /// Show the accounts of this wallet.
    List,
    /// Show an account's balance.
    Balance(BalanceArgs),
    /// Transfer an amount to another account.
    Transfer(TransferArgs),
    /// Set the value of a key.
    Put(WriteArgs),
    /// Show the proved value of a key.
    Get(GetArgs),
    /// Append to the value of a key.
    Append(WriteArgs),
    /// Cut a value down to a range of its bytes, and show it.
    Slice(SliceArgs),
    /// Delete a key.
    Delete(DeleteArgs),
    /// Show the outcome of a transaction, and verify its proof.
    Tx(TxArgs),
    /// Show transactions sent from here whose fate is not proved yet, and settle those for which it can be proved now.
    Pending(PendingArgs),
    /// Prevent a pending transaction from being committed.
    ///
    /// Signs an operation that changes nothing with the same sequence number, so only one of the two can be committed. Nodes that already hold
    /// the first one refuse the second; then the first one is either committed (and this command reports that it came too late) or expires,
    /// which the first block at or after its expiry proves.
    Cancel(CancelArgs),
    /// Show an account whenever it changes.
    Watch(WatchArgs),
    /// List an account's transactions, oldest first, each with its proof verified.
    History(HistoryArgs),
}

/// `create`.
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// Name of the account on this machine.
    name: String,
    /// Number of words in the mnemonic.
    #[arg(long, value_enum, default_value_t)]
    words: Words,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// `import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Name of the account on this machine.
    name: String,
    /// File with the words, or - for standard input [default: standard input if it is a pipe, else a prompt].
    #[arg(long, value_name = "FILE")]
    mnemonic_file: Option<PathBuf>,
    /// Index of the account among those of these words.
    #[arg(long, default_value_t = 0, value_name = "N")]
    index: u32,
    #[command(flatten)]
    sealing: SealingArgs,
}

/// `balance`.
#[derive(Clone, Debug, Args)]
pub struct BalanceArgs {
    /// Name or address of the account.
    #[arg(value_name = "ACCOUNT")]
    account: Party,
}

/// Options of every transaction.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// Account that signs the transaction [default: the wallet's only account].
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Seconds until the transaction expires, by the chain's time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) expires_in: u64,
    /// Seconds to wait for the commit.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// `transfer`.
#[derive(Clone, Debug, Args)]
pub struct TransferArgs {
    /// Name or address of the recipient.
    #[arg(long, value_name = "ACCOUNT")]
    to: Party,
    /// Amount in the smallest unit.
    #[arg(long)]
    amount: u64,
    #[command(flatten)]
    send: SendArgs,
}

/// A key and its namespace.
#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// The key.
    key: String,
    /// Use a key of the shared namespace, which every account may write, instead of the account's own.
    #[arg(long)]
    shared: bool,
    /// Parse key and value as hexadecimal.
    #[arg(long)]
    hex: bool,
}

impl KeyArgs {
    fn space(&self) -> KvSpace {
        if self.shared { KvSpace::Shared } else { KvSpace::Own }
    }

    fn key(&self) -> Result<Vec<u8>, CommandError> {
        value::key(&self.key, self.hex)
    }

    fn operation(&self, action: KvAction) -> Result<Operation, CommandError> {
        Ok(Operation::Kv(quorate_builtin::operation::KvOperation { space: self.space(), key: self.key()?, action }))
    }
}

/// `put`, `append`.
#[derive(Clone, Debug, Args)]
pub struct WriteArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// The value.
    value: String,
    #[command(flatten)]
    send: SendArgs,
}

/// `get`.
#[derive(Clone, Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Name or address of the account that owns the key [default: the sender].
    #[arg(long, value_name = "ACCOUNT", conflicts_with_all = ["shared", "ordered"])]
    owner: Option<Party>,
    /// Read by a transaction, in chain order.
    #[arg(long)]
    ordered: bool,
    #[command(flatten)]
    send: SendArgs,
}

/// `slice`.
#[derive(Clone, Debug, Args)]
pub struct SliceArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Index of the first byte to keep.
    start: u32,
    /// Index of the first byte not to keep.
    end: u32,
    #[command(flatten)]
    send: SendArgs,
}

/// `delete`.
#[derive(Clone, Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    send: SendArgs,
}

/// `tx`.
#[derive(Clone, Debug, Args)]
pub struct TxArgs {
    /// Transaction id.
    id: TxId,
    /// Show the proof too, in hexadecimal.
    #[arg(long)]
    proof: bool,
}

/// `pending`.
#[derive(Clone, Debug, Args)]
pub struct PendingArgs {
    /// Name or address of the account [default: all accounts of this wallet].
    #[arg(value_name = "ACCOUNT")]
    account: Option<Party>,
    /// Resend the transactions unchanged first.
    #[arg(long)]
    again: bool,
}

/// `cancel`.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// Transaction id.
    id: TxId,
    /// Seconds to wait for the proof.
    #[arg(long, value_name = "SECONDS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// `watch`.
#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Name or address of the account.
    #[arg(value_name = "ACCOUNT")]
    account: Party,
    /// Stop after this many changes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Pause between two reads, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    interval_ms: u64,
}

/// `history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// Name or address of the account [default: the wallet's only account].
    #[arg(value_name = "ACCOUNT")]
    account: Option<Party>,
    /// Height of the first block to look at.
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    from_height: u64,
    /// Go on with the transactions that come, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

impl Command {
    /// The same with this pace, for tests.
    #[must_use]
    pub const fn with_pace(mut self, pace: Pace) -> Self {
        self.network.pace = pace;
        self
    }

    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`], with its exit code.
    pub async fn run(self, out: &Output) -> Result<(), CommandError> {
        let accounts = Accounts::open(&self.network.home()?);
        let network = &self.network;
        match self.action {
            Action::Create(args) => create_account(accounts.directory(), &args.name, args.words, &args.sealing.sealing(), out),
            Action::Import(args) => {
                let words = words(args.mnemonic_file)?;
                accounts.import(&args.name, &words, args.index, &args.sealing.sealing(), out)
            }
            Action::List => accounts.list(out),
            Action::Balance(args) => {
                let network = network.open(&accounts, out).await?;
                let result = ask::balance(&network, accounts.resolve(&args.account)?, out).await;
                network.remember(out);
                result
            }
            Action::Transfer(TransferArgs { to, amount, send }) => {
                let to = accounts.resolve(&to)?;
                let shown = Shown { to: Some(to), amount: Some(amount), ..Shown::default() };
                let operation = Operation::Bank(BankOperation::Transfer { to, amount });
                submit(network, &accounts, send, &operation, shown, out).await
            }
            Action::Put(WriteArgs { key, value, send }) => {
                let action = KvAction::Put(value::value(&value, key.hex)?);
                submit(network, &accounts, send, &key.operation(action)?, Shown::key(&key.key), out).await
            }
            Action::Append(WriteArgs { key, value, send }) => {
                let action = KvAction::Append(value::value(&value, key.hex)?);
                submit(network, &accounts, send, &key.operation(action)?, Shown::key(&key.key), out).await
            }
            Action::Slice(SliceArgs { key, start, end, send }) => {
                submit(network, &accounts, send, &key.operation(KvAction::Slice { start, end })?, Shown::key(&key.key), out).await
            }
            Action::Delete(DeleteArgs { key, send }) => {
                submit(network, &accounts, send, &key.operation(KvAction::Delete)?, Shown::key(&key.key), out).await
            }
            Action::Get(GetArgs { key, owner: _, ordered: true, send }) => {
                submit(network, &accounts, send, &key.operation(KvAction::Get)?, Shown::key(&key.key), out).await
            }
            Action::Get(GetArgs { key, owner, ordered: false, send }) => {
                let owner = match (key.space(), owner) {
                    (KvSpace::Shared, _) => quorate_types::ids::Address::default(),
                    (KvSpace::Own, Some(owner)) => accounts.resolve(&owner)?,
                    (KvSpace::Own, None) => accounts.public(&accounts.sender(send.from)?)?.address,
                };
                let bytes = key.key()?;
                let network = network.open(&accounts, out).await?;
                let result = ask::get(&network, key.space(), owner, &key.key, &bytes, out).await;
                network.remember(out);
                result
            }
            Action::Tx(args) => {
                let network = network.open(&accounts, out).await?;
                let result = ask::transaction(&network, args.id, args.proof, out).await;
                network.remember(out);
                result
            }
            Action::Pending(PendingArgs { account, again }) => {
                let network = network.open(&accounts, out).await?;
                let addresses = match account {
                    Some(account) => vec![accounts.resolve(&account)?],
                    None => accounts.addresses()?,
                };
                pending::run(&network, &addresses, again, out).await
            }
            Action::Cancel(CancelArgs { id, timeout, passphrase }) => {
                let network = network.open(&accounts, out).await?;
                let tx = network.memory.find(id)?.ok_or_else(|| {
                    CommandError::failure("not-pending", format!("transaction {id} is not pending in this wallet")).with_hint(
                        "`quorate wallet pending` lists those that are; `quorate wallet tx ID` shows the outcome of any transaction",
                    )
                })?;
                let key = accounts.key(&accounts.name_of(tx.sender())?, &passphrase.source())?;
                let timeout = Duration::from_secs(timeout);
                Cancellation { network: &network, tx: &tx, key: &key, timeout }.run(out).await
            }
            Action::History(HistoryArgs { account, from_height, follow }) => {
                let address = match account {
                    Some(account) => accounts.resolve(&account)?,
                    None => accounts.public(&accounts.sender(None)?)?.address,
                };
                let network = network.open(&accounts, out).await?;
                let result = history::run(&network, address, Height(from_height), follow, out).await;
                network.remember(out);
                result
            }
            Action::Watch(args) => {
                let address = accounts.resolve(&args.account)?;
                let network = network.open(&accounts, out).await?;
                let result = watch::run(&network, address, args.count, args.interval_ms, out).await;
                network.remember(out);
                result
            }
        }
    }
}

async fn submit(
    network: &NetworkArgs,
    accounts: &Accounts,
    args: SendArgs,
    operation: &Operation,
    shown: Shown,
    out: &Output,
) -> Result<(), CommandError> {
    let from = accounts.sender(args.from)?;
    // The genesis first: without it the result could not be verified, so nothing should be sent.
    let network = network.open(accounts, out).await?;
    let key = accounts.key(&from, &args.passphrase.source())?;
    let (valid_for, timeout) = (Duration::from_secs(args.expires_in), Duration::from_secs(args.timeout));
    Sender { network: &network, key: &key, valid_for, timeout, is_repeatable: false }.send(operation, shown, out).await
}

/// Reads a mnemonic from a private file, a pipe or the terminal, never from the command line.
fn words(file: Option<PathBuf>) -> Result<Zeroizing<String>, CommandError> {
    let bytes = match file {
        Some(path) if path.as_os_str() == "-" => piped(io::stdin().lock())?,
        // The mode of a pipe, such as a shell's <(command), means nothing.
        Some(path) if path.metadata().is_ok_and(|metadata| !metadata.is_file()) => piped(File::open(&path).map_err(unread)?)?,
        Some(path) => private_file::read(&path)?,
        None if io::stdin().is_terminal() => return Ok(passphrase::ask("Words of the mnemonic: ")?),
        None => piped(io::stdin().lock())?,
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| CommandError::usage("the mnemonic is not text"))?;
    if text.trim().is_empty() {
        return Err(CommandError::usage("standard input holds no words, and there is no terminal to prompt at")
            .with_hint("pipe them in, or pass --mnemonic-file FILE"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

fn piped(source: impl Read) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    // Full capacity up front: a growing buffer leaves copies of the words behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MNEMONIC_BYTES_MAX + 1));
    source.take(MNEMONIC_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > MNEMONIC_BYTES_MAX {
        return Err(CommandError::usage(format!("the mnemonic is longer than {MNEMONIC_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
fn unread(error: io::Error) -> CommandError {
    CommandError::failure("mnemonic", format!("cannot read the mnemonic: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        output: quorate_terminal::OutputArgs,
        #[command(flatten)]
        command: Command,
    }

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
        let good: [&[&str]; 12] = [
            &["create", "alice", "--words", "12", "--home", "/x"],
            &["--home", "/x", "list", "-o", "json"],
            &["transfer", "--from", "alice", "--to", "bob", "--amount", "5", "--node", "http://a:1", "--node", "http://b:2"],
            &["get", "k", "--shared", "--ordered"],
            &["get", "k", "--owner", "alice"],
            &["slice", "k", "0", "3", "--expires-in", "5"],
            &["put", "6b", "00ff", "--hex", "--genesis", "g.json"],
            &["tx", &format!("0x{}", "0".repeat(64)), "--proof"],
            &["watch", "alice", "--count", "1", "--interval-ms", "50"],
            &["pending", "--again"],
            &["pending", "alice", "--ca-file", "ca.pem"],
            &["cancel", &format!("0x{}", "0".repeat(64)), "--timeout", "5"],
        ];
        for arguments in good {
            Program::try_parse_from([&["wallet"], arguments].concat()).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        }
        let bad: [&[&str]; 7] = [
            &["transfer", "--to", "bob"],
            &["transfer", "--to", "bob", "--amount", "-1"],
            &["transfer", "--to", "0x12", "--amount", "1"],
            &["tx", "0x12"],
            &["get", "k", "--shared", "--owner", "alice"],
            &["put", "k"],
            &["watch", "alice", "--count", "0"],
        ];
        for arguments in bad {
            assert!(Program::try_parse_from([&["wallet"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
