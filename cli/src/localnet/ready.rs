//! When a network is ready: every validator that should run says so itself, and then a transaction goes all the way through.

use std::time::{Duration, Instant};

use quorate_app::App;
use quorate_client::{Client, LightClient, Session};
use quorate_keygen::{AccountKey, PassphraseSource, load_account_key};
use quorate_terminal::{CommandError, program_word, shell_word};
use quorate_types::{round::UnixMillis, transaction::Transaction};

use super::{
    create::now,
    directory::{FAUCET, Localnet, Member},
    scenario::has_plan,
};

/// How often a validator is asked while it is waited for.
const GLANCE: Duration = Duration::from_millis(50);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Lines of a log that are shown with a failure.
const LOG_LINES: usize = 20;
/// Longest answer of `/readyz` that is shown.
const REASON_CHARS_MAX: usize = 500;

/// Waits until these validators say that they are ready, with at least `min_peers` links each. One that is told to lose messages need not
/// have caught up with the others: it may never be able to ask.
///
/// # Errors
/// One has ended, or the time is over; with what it says itself, and the end of its log.
pub(crate) async fn wait_until_ready(
    localnet: &Localnet,
    members: &[&Member],
    min_peers: usize,
    timeout: Duration,
) -> Result<(), CommandError> {
    let http = quorate_client::http::without_tls().timeout(ANSWER_TIMEOUT).build().map_err(|error| CommandError::failure("http", error))?;
    let deadline = Instant::now() + timeout;
    for member in members {
        loop {
            let answer = http.get(format!("{}/readyz?min_peers={min_peers}", member.metrics_url())).send().await;
            let reason = match answer {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => "it does not answer".to_owned(),
            };
            if has_plan(localnet, member) && is_only_behind(&reason) {
                break;
            }
            // Whichever ended is the reason, not the one that waits for it.
            if let Some(ended) = members.iter().find(|member| !member.is_running()) {
                return Err(failed(localnet, ended, "validator-ended", "has ended"));
            }
            if Instant::now() >= deadline {
                return Err(failed(localnet, member, "not-ready", &format!("is not ready after {timeout:?}: {}", excerpt(&reason))));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
    Ok(())
}

/// Whether an answer of `/readyz` has nothing to complain about but blocks that are still to be fetched.
fn is_only_behind(answer: &str) -> bool {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let fine = |check: &serde_json::Value| check["ok"] == true || check["name"] == "caught-up";
    answer["checks"].as_array().is_some_and(|checks| checks.iter().all(fine))
}

fn excerpt(answer: &str) -> String {
    answer.trim().chars().take(REASON_CHARS_MAX).collect()
}

/// Sends an operation of the faucet's about itself, and checks the proof that it is committed.
pub(crate) async fn commit_a_transaction(app: &App, localnet: &Localnet, timeout: Duration) -> Result<(), CommandError> {
    let session = session(localnet, &localnet.urls())?;
    let key = faucet(localnet)?;
    let address = key.public().address;
    // Our own validators are believed; before the first commit nothing is proved.
    let sequence = session.client().account(address).await?.next_sequence;
    let expires_at = UnixMillis(now().0.saturating_add(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)));
    let tx = Transaction::sign(localnet.genesis_hash, &key.signing, sequence, expires_at, app.sample(0, &[address]));
    session.submit_and_verify(&tx, timeout).await.map(drop).map_err(|error| {
        let mut error = CommandError::from(error);
        error.message = format!("the validators are ready, but the chain commits nothing: {}", error.message);
        error.hint = Some(format!("look at the logs: {} localnet logs --dir {}", program_word(), shell_word(&localnet.directory)));
        error
    })
}

/// A session with these validators of the network.
pub(crate) fn session(localnet: &Localnet, urls: &[String]) -> Result<Session, CommandError> {
    let genesis = quorate_genesis::load(&localnet.genesis_file())?;
    Ok(Session::new(Client::new(urls)?, LightClient::new(genesis)?))
}

/// The key of the account that has the most.
pub(crate) fn faucet(localnet: &Localnet) -> Result<AccountKey, CommandError> {
    Ok(load_account_key(&localnet.wallet(), FAUCET, &PassphraseSource::Usual { file: None })?)
}

fn failed(localnet: &Localnet, member: &Member, code: &str, what: &str) -> CommandError {
    let log = localnet.log(member);
    let text = std::fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n");
    CommandError::failure(code, format!("{} {what}\nthe end of {}:\n{tail}", member.name, log.display()))
}
