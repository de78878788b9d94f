//! Any network's application from the command line: operations and queries in JSON.

use std::{io::BufRead, time::Duration};

use clap::{Args, Subcommand};
use quorate_app::{App, Words};
use quorate_client::{ClientError, Service, ServiceError, Session, light::Certificate, service::Invoked};
use quorate_keygen::PassphraseArgs;
use quorate_terminal::{CommandError, Exit, Output};
use quorate_types::{failure::Failure, ids::TxId, receipt::Outcome, round::Height};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    accounts::Accounts,
    network::{Network, NetworkArgs},
};

/// Use a network's application.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceCommand {
    /// Execute an operation, and show its proved answer.
    Invoke(InvokeArgs),
    /// Query the application, and show the answer that enough validators agree on.
    Query(QueryArgs),
    /// Invoke and query interactively, line by line.
    Session(SessionArgs),
    /// Show the outcome of a transaction, and verify its proof.
    Tx(ServiceTxArgs),
}

/// The sender of operations.
#[derive(Clone, Debug, Args)]
struct SenderArgs {
    /// Account that signs the transaction [default: the wallet's only account].
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Seconds to wait for the commit.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// `invoke`.
#[derive(Clone, Debug, Args)]
pub struct InvokeArgs {
    /// Operation, in the application's JSON.
    #[arg(value_name = "JSON")]
    operation: String,
    #[command(flatten)]
    sender: SenderArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// `query`.
#[derive(Clone, Debug, Args)]
pub struct QueryArgs {
    /// Query, in the application's JSON.
    #[arg(value_name = "JSON")]
    question: String,
    /// Seconds to wait until enough validators agree.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    #[command(flatten)]
    network: NetworkArgs,
}

/// `session`.
#[derive(Clone, Debug, Args)]
pub struct SessionArgs {
    #[command(flatten)]
    sender: SenderArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// `tx`.
#[derive(Clone, Debug, Args)]
pub struct ServiceTxArgs {
    /// Transaction id.
    id: TxId,
    #[command(flatten)]
    network: NetworkArgs,
}

impl ServiceCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`], with its exit code.
    pub async fn run(self, app: &App, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::Invoke(args) => {
                let caller = Caller::open(app, &args.network, &args.sender, out).await?;
                caller.invoke(&args.operation, out).await
            }
            Self::Query(args) => {
                let session = args.network.session(app, out).await?.0;
                // A query needs no key; this one signs nothing.
                let service = Service::new(session, quorate_types::crypto::SigningKey::from_seed(&[0; 32]));
                query(app, &service, &args.question, Duration::from_secs(args.timeout), out).await
            }
            Self::Tx(args) => {
                let session = args.network.session(app, out).await?.0;
                transaction(app, &session, args.id, out).await
            }
            Self::Session(args) => converse(Caller::open(app, &args.network, &args.sender, out).await?, out).await,
        }
    }
}

/// An account that sends, with the right to number its transactions.
struct Caller<'a> {
    app: &'a App,
    service: Service,
    timeout: Duration,
    _numbering: crate::memory::Numbering,
}

#[derive(Serialize)]
struct Shown<'a> {
    tx_id: TxId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a Failure>,
    height: Height,
    signers: &'a [String],
}

impl<'a> Caller<'a> {
    async fn open(app: &'a App, network: &NetworkArgs, sender: &SenderArgs, out: &Output) -> Result<Self, CommandError> {
        let accounts = Accounts::open(&network.home()?);
        let key = accounts.key(&accounts.sender(sender.from.clone())?, &sender.passphrase.source())?;
        let timeout = Duration::from_secs(sender.timeout);
        let (session, memory) = network.session(app, out).await?;
        let numbering = memory.number(key.public().address, Instant::now() + timeout).await?;
        Ok(Self { app, service: Service::new(session, key.signing), timeout, _numbering: numbering })
    }

    async fn invoke(&self, operation: &str, out: &Output) -> Result<(), CommandError> {
        let payload = read(self.app, Words::Operation, operation)?;
        let progress = out.progress("waiting for the commit");
        let Invoked { result, tx_id, certificate } = self.service.invoke_bytes(payload, self.timeout).await.map_err(told)?;
        drop(progress);
        show(self.app, &Invoked { result, tx_id, certificate }, out)
    }
}

/// Shows an operation's outcome; a failed one is an error.
fn show(app: &App, Invoked { result, tx_id, certificate }: &Invoked<Vec<u8>>, out: &Output) -> Result<(), CommandError> {
    let answer = result.as_ref().ok().and_then(|answer| app.show(Words::Answer, answer));
    let failure = result.as_ref().err();
    let status = if failure.is_some() { "failed" } else { "applied" };
    let Certificate { header, signers, .. } = certificate;
    let shown = Shown { tx_id: *tx_id, status, answer: answer.clone(), failure, height: header.height, signers };
    out.print(&shown, || answer.map_or_else(String::new, |answer| answer.to_string()))?;
    out.good(format_args!("verified: {certificate}"));
    match failure {
        None => Ok(()),
        Some(failure) => {
            let message = format!("the transaction is in the chain, but failed: {}", app.explain(failure));
            Err(CommandError::new(Exit::TransactionFailed, failure.code(), message).about(*tx_id))
        }
    }
}

async fn transaction(app: &App, session: &Session, id: TxId, out: &Output) -> Result<(), CommandError> {
    match session.transaction(id).await {
        Ok(proven) => {
            let (placed, certificate) = proven.into_parts();
            let result = match placed.receipt.outcome {
                Outcome::Applied(answer) => Ok(answer),
                Outcome::Failed(failure) => Err(failure),
            };
            show(app, &Invoked { result, tx_id: id, certificate }, out)
        }
        // An invalid proof, or no node answered.
        Err(error @ (ClientError::Unverified(_) | ClientError::Unreachable { .. })) => Err(error.into()),
        Err(error) => {
            let message = format!("no node proves whether transaction {id} is in the chain: {error}");
            Err(CommandError::new(Exit::TimedOut, "unknown", message).with_hint("try again, or try another node: --node URL").about(id))
        }
    }
}

async fn query(app: &App, service: &Service, question: &str, timeout: Duration, out: &Output) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Answered {
        answer: Option<serde_json::Value>,
        height: Height,
        nodes: usize,
    }
    let question = read(app, Words::Query, question)?;
    let agreed = service.query_bytes(&question, timeout).await.map_err(told)?;
    let answer = app.show(Words::Found, &agreed.value);
    let answered = Answered { answer: answer.clone(), height: agreed.height, nodes: agreed.nodes };
    out.print(&answered, || answer.map_or_else(|| hex::encode(&agreed.value), |answer| answer.to_string()))?;
    out.good(format_args!("{} nodes agree, at height {} or later", agreed.nodes, agreed.height));
    Ok(())
}

const HELP: &str = "enter an operation in JSON to execute it, ? and a query in JSON to query, quit to leave";

/// Reads and executes lines until the end of input. An error in one line does not end the session.
async fn converse(caller: Caller<'_>, out: &Output) -> Result<(), CommandError> {
    out.note(format_args!("{HELP}"));
    loop {
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line);
            read.map(|bytes| (bytes > 0).then_some(line))
        });
        let line = line.await.map_err(|error| CommandError::failure("terminal", error))?;
        let Some(line) = line.map_err(|error| CommandError::failure("terminal", format!("cannot read standard input: {error}")))? else {
            return Ok(());
        };
        let done = match line.trim() {
            "" => Ok(()),
            "quit" | "exit" => return Ok(()),
            "help" => {
                out.note(format_args!("{HELP}"));
                Ok(())
            }
            text => match text.strip_prefix('?') {
                Some(question) => query(caller.app, &caller.service, question.trim(), caller.timeout, out).await,
                None => caller.invoke(text, out).await,
            },
        };
        if let Err(error) = done {
            out.error(&error);
        }
    }
}

fn read(app: &App, words: Words, json: &str) -> Result<Vec<u8>, CommandError> {
    app.read(words, json).map_err(|reason| {
        CommandError::usage(format!("{json:?} is not valid for application {}: {reason}", app.name()))
            .with_hint("write JSON as in the application's documentation")
    })
}

fn told(error: ServiceError) -> CommandError {
    match error {
        ServiceError::Client(error) => error.into(),
        ServiceError::Type(_) => CommandError::failure("type", error),
        // The code for an answer that is not from the API, such as a proxy's.
        ServiceError::Refused { ref code, .. } if code.starts_with("http-") => {
            CommandError::failure("refused", error).with_hint("are these URLs the API of quorate nodes?")
        }
        ServiceError::Refused { .. } => CommandError::failure("refused", error)
            .with_hint("the nodes are healthy but refuse the query; see the application's documentation"),
        ServiceError::NoAgreement { asked, needed, .. } => {
            let hint = "name more nodes, each of a different validator: --node URL, repeatable";
            let hint = if asked < needed { hint.into() } else { format!("try again, or longer with --timeout; or {hint}") };
            CommandError::new(Exit::TimedOut, "no-agreement", error.to_string()).with_hint(hint)
        }
    }
}

impl NetworkArgs {
    /// Opens a session for a command, and what its home remembers.
    async fn session(&self, app: &App, out: &Output) -> Result<(Session, crate::memory::Memory), CommandError> {
        let Network { session, memory } = self.open_for(app, &Accounts::open(&self.home()?), out).await?;
        Ok((session, memory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_refused_is_no_reason_to_name_more_nodes() {
        let refused = |code: &str| told(ServiceError::Refused { code: code.into(), message: "no".into(), nodes: 2 });
        let error = refused("unsupported");
        assert_eq!((error.code.as_str(), error.exit), ("refused", Exit::Failure), "a node's code is not ours");
        assert!(error.message.contains("unsupported") && error.hint.unwrap().contains("the query"));
        assert!(refused("http-404").hint.unwrap().contains("URL"));
        let too_few = |asked| told(ServiceError::NoAgreement { most: 1, asked, needed: 2, reason: String::new() }).hint.unwrap();
        assert!(too_few(1).starts_with("name more nodes") && too_few(4).starts_with("try again"));
    }
}
