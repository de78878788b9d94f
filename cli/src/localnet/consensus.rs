//! `quorate localnet status --consensus`: where each validator stands, and what each says is missing while nothing is committed.

use std::time::Duration;

use quorate_client::Client;
use quorate_terminal::{CommandError, Output, foreign};
use quorate_types::diagnosis::{ConsensusView, LinkState};
use serde::Serialize;

use super::{
    directory::Localnet,
    show::{STATUS_TIMEOUT, state},
};

#[derive(Serialize)]
struct View<'a> {
    network: &'a str,
    validators: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    number: usize,
    name: &'a str,
    state: &'static str,
    /// What it answers to `GET /v1/consensus`.
    consensus: Option<ConsensusView>,
}

/// Asks every validator that runs, and prints what they say: as a table, or as one object.
pub(super) async fn show(localnet: &Localnet, out: &Output) -> Result<(), CommandError> {
    let mut validators = Vec::with_capacity(localnet.validators.len());
    for (number, member) in (1..).zip(&localnet.validators) {
        let is_running = member.is_running();
        let consensus = if is_running { ask(&member.url()).await } else { None };
        let state = state(is_running, consensus.as_ref().map(|view| view.catching_up));
        validators.push(Row { number, name: &member.name, state, consensus });
    }
    let view = View { network: &localnet.network, validators };
    out.print(&view, || text(&view, out))
}

async fn ask(url: &str) -> Option<ConsensusView> {
    let client = Client::new(&[url]).ok()?;
    tokio::time::timeout(STATUS_TIMEOUT, client.consensus()).await.ok()?.ok()
}

/// The table, and below it what validators say is wrong.
fn text(view: &View<'_>, out: &Output) -> String {
    let headings = ["n", "validator", "state", "round", "leader", "certified", "committed", "height", "voted", "last commit", "no link to"];
    let rows = view.validators.iter().map(|row| {
        let mut cells = vec![row.number.to_string(), row.name.into(), row.state.into()];
        match &row.consensus {
            Some(consensus) => cells.extend([
                consensus.round.to_string(),
                foreign(&consensus.leader),
                consensus.high_qc_round.to_string(),
                consensus.committed_round.to_string(),
                consensus.height.to_string(),
                consensus.highest_vote_round.to_string(),
                format!("{} s ago", Duration::from_millis(consensus.since_commit_ms).as_secs()),
                unlinked(consensus),
            ]),
            None => cells.resize(headings.len(), "-".into()),
        }
        cells
    });
    let stalls = view.validators.iter().filter_map(|row| {
        let stall = row.consensus.as_ref()?.stall.as_ref()?;
        Some(format!("{}: {}", row.name, foreign(&stall.summary)))
    });
    let mut text = out.table(&headings, rows);
    for (index, stall) in stalls.enumerate() {
        text.push_str(if index == 0 { "\n\n" } else { "\n" });
        text.push_str(&stall);
    }
    text
}

fn unlinked(consensus: &ConsensusView) -> String {
    let down = consensus.validators.iter().filter(|validator| validator.link.as_ref().is_some_and(|link| link.state != LinkState::Up));
    let names: Vec<_> = down.map(|validator| foreign(&validator.name)).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}
