//! Shows a network: its validators, environment variables, and commands to use it.

use std::time::Duration;

use quorate_app::{App, Application, Words};
use quorate_builtin::BuiltIn;
use quorate_client::Client;
use quorate_terminal::{CommandError, Output, program_word, shell_word};
use quorate_types::{ids::Address, rpc::NodeStatus};
use serde::Serialize;

use super::directory::Localnet;

/// Timeout for a validator's status: a running validator that does not answer must not hold up the table.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct View<'a> {
    directory: &'a std::path::Path,
    network: &'a str,
    chain_id: quorate_types::ids::ChainId,
    genesis_hash: String,
    validators: Vec<Row<'a>>,
    accounts: Vec<AccountRow<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    number: usize,
    name: &'a str,
    state: &'static str,
    pid: Option<u32>,
    api: String,
    p2p: &'a str,
    metrics: String,
    home: std::path::PathBuf,
    log: std::path::PathBuf,
    height: Option<u64>,
    round: Option<u64>,
    state_root: Option<String>,
}

#[derive(Serialize)]
struct AccountRow<'a> {
    name: &'a str,
    address: String,
}

/// Prints the network: as a table, or as one object.
pub(super) async fn show(localnet: &Localnet, out: &Output) -> Result<(), CommandError> {
    let mut validators = Vec::with_capacity(localnet.validators.len());
    for (number, member) in (1..).zip(&localnet.validators) {
        let process = member.process.as_ref().filter(|process| process.is_running());
        let status = match process {
            Some(_) => status(&member.url()).await,
            None => None,
        };
        validators.push(Row {
            number,
            name: &member.name,
            state: state(process.is_some(), status.as_ref().map(|status| status.catching_up)),
            pid: process.map(|process| process.pid),
            api: member.url(),
            p2p: &member.p2p,
            metrics: member.metrics_url(),
            home: localnet.home(member),
            log: localnet.log(member),
            height: status.as_ref().map(|status| status.height.0),
            round: status.as_ref().map(|status| status.round.0),
            state_root: status.as_ref().map(|status| status.state_root.to_string()),
        });
    }
    let accounts =
        localnet.accounts.iter().map(|account| AccountRow { name: &account.name, address: account.address.to_string() }).collect();
    let view = View {
        directory: &localnet.directory,
        network: &localnet.network,
        chain_id: localnet.chain_id,
        genesis_hash: localnet.genesis_hash.to_string(),
        validators,
        accounts,
    };
    out.print(&view, || {
        let cell = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let rows = view.validators.iter().map(|row| {
            vec![
                row.number.to_string(),
                row.name.into(),
                row.state.into(),
                cell(row.pid.map(|pid| pid.to_string())),
                row.api.clone(),
                row.p2p.into(),
                row.home.display().to_string(),
                cell(row.height.map(|height| height.to_string())),
            ]
        });
        out.table(&["n", "validator", "state", "pid", "api", "p2p", "home", "height"], rows)
    })
}

/// A validator's state in a word. `catching_up` is its answer, if it gave one.
pub(super) fn state(is_running: bool, catching_up: Option<bool>) -> &'static str {
    match (is_running, catching_up) {
        (false, _) => "stopped",
        (true, None) => "no answer",
        (true, Some(true)) => "catching up",
        (true, Some(false)) => "running",
    }
}

async fn status(url: &str) -> Option<NodeStatus> {
    let client = Client::new(&[url]).ok()?;
    tokio::time::timeout(STATUS_TIMEOUT, client.status()).await.ok()?.ok()
}

/// Prints the environment variables for using the network in a shell.
pub(super) fn environment(localnet: &Localnet, out: &Output) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Environment {
        #[serde(rename = "QUORATE_HOME")]
        home: std::path::PathBuf,
        #[serde(rename = "QUORATE_NODE")]
        nodes: String,
    }
    let environment = Environment { home: localnet.directory.clone(), nodes: localnet.urls().join(",") };
    out.print(&environment, || format!("export QUORATE_HOME={} QUORATE_NODE={}", shell_word(&environment.home), environment.nodes))
}

/// How to use the network, as commands to paste.
pub(super) fn usage(app: &App, localnet: &Localnet) -> String {
    let (quorate, directory) = (program_word(), shell_word(&localnet.directory));
    let urls = localnet.urls();
    let (nodes, explorer) = (urls.join(","), urls.first().map_or("", AsRef::as_ref));
    // Suggest killing the last validator, so that the first, if there are several, keeps answering.
    let last = localnet.validators.len();
    let mut people = localnet.accounts.iter().map(|account| account.name.as_str()).filter(|name| *name != super::FAUCET);
    let from = people.next().unwrap_or(super::FAUCET);
    let to = people.next().unwrap_or(super::FAUCET);
    let calls = if app.name() == BuiltIn::NAME {
        format!("  {quorate} wallet balance {from}\n  {quorate} wallet transfer --from {from} --to {to} --amount 100")
    } else {
        let operation = app.show(Words::Operation, &app.sample(0, &[Address::default()])).unwrap_or_default().to_string();
        format!("  {quorate} invoke {} --from {from}", shell_word(std::path::Path::new(&operation)))
    };
    format!(
        "
genesis hash {hash}
explorer     {explorer}/#/trust/{hash}
The keys of this network are in plain text in {}: do not use it for anything of value.

  export QUORATE_HOME={directory} QUORATE_NODE={nodes}
{calls}
  {quorate} localnet kill {last} --dir {directory}
  {quorate} localnet destroy --dir {directory}",
        localnet.directory.display(),
        hash = localnet.genesis_hash,
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::localnet::{Shape, create};

    #[test]
    fn what_is_printed_can_be_pasted_whatever_the_path_and_the_number_of_validators() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("it's my $HOME; network");
        let localnet =
            create(&quorate_builtin::app(), &path, &Shape { validators: Some(1), accounts: Some(0), ..Shape::default() }).unwrap();
        let usage = usage(&quorate_builtin::app(), &localnet);
        let commands: Vec<_> = usage.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert_eq!(commands.len(), 5);
        // A shell must split each command into the intended words; the program is replaced by one that prints them.
        let script = format!("{}\n", commands.join("\n")).replace(&program_word(), "printf '%s\\n'") + "printf '%s\\n' \"$QUORATE_HOME\"\n";
        let output = Command::new("sh").args(["-euc", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<_> = words.lines().collect();
        let path = path.to_str().unwrap();
        assert_eq!(words.iter().filter(|word| **word == path).count(), 3, "{words:?} {usage}");
        let kill = words.iter().position(|word| *word == "kill").unwrap();
        assert_eq!(words[kill + 1], "1");
    }
}
