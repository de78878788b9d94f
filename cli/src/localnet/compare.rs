//! Compares the ledgers of the validators, block by block, as their APIs show them.

use std::collections::BTreeMap;

use quorate_client::Client;
use quorate_terminal::{CommandError, Output, program_word, shell_word};
use quorate_types::round::Height;
use serde::Serialize;

use super::directory::{Localnet, Member};

#[derive(Serialize)]
struct View {
    /// Blocks 1 to this one were compared.
    height: u64,
    blocks: u64,
    transactions: u64,
    block_id: String,
    state_root: String,
    validators: Vec<String>,
}

/// What must be the same everywhere.
#[derive(Clone, PartialEq, Eq)]
struct Fingerprint {
    block_id: String,
    state_id: String,
    state_root: String,
    transactions: u64,
}

/// Compares all blocks that all running validators have. They go on while they are read, so the height is fixed first.
///
/// # Errors
/// Two differ, with both named; fewer than two run.
pub(super) async fn compare(localnet: &Localnet, out: &Output) -> Result<(), CommandError> {
    let running: Vec<_> = localnet.validators.iter().filter(|member| member.is_running()).collect();
    if running.is_empty() {
        return Err(CommandError::failure("not-running", "no validator runs").with_hint(format!(
            "start them: {} localnet start --dir {}",
            program_word(),
            shell_word(&localnet.directory)
        )));
    }
    let mut clients = Vec::with_capacity(running.len());
    let mut height = Height(u64::MAX);
    for member in &running {
        let client = Client::new(&[member.url()])?;
        height = height.min(client.status().await?.height);
        clients.push(client);
    }
    let mut seen = BTreeMap::new();
    let mut transactions = 0u64;
    let _progress = out.progress(format!("comparing {height} blocks of {} validators", running.len()));
    for number in 1..=height.0 {
        for (client, member) in clients.iter().zip(&running) {
            let block = client.block(Some(Height(number))).await?;
            let fingerprint = Fingerprint {
                block_id: block.block_id.to_string(),
                state_id: block.state_id.to_string(),
                state_root: block.state_root.to_string(),
                transactions: block.transactions.len() as u64,
            };
            agree(number, &fingerprint, member, &mut seen)?;
        }
        transactions = transactions.saturating_add(seen.get(&number).map_or(0, |(fingerprint, _)| fingerprint.transactions));
    }
    let last = seen.remove(&height.0).map(|(fingerprint, _)| fingerprint);
    let view = View {
        height: height.0,
        blocks: height.0,
        transactions,
        block_id: last.as_ref().map(|last| last.block_id.clone()).unwrap_or_default(),
        state_root: last.map(|last| last.state_root).unwrap_or_default(),
        validators: running.iter().map(|member| member.name.clone()).collect(),
    };
    out.print(&view, || {
        let rows = running.iter().map(|member| {
            vec![
                member.name.clone(),
                view.blocks.to_string(),
                view.transactions.to_string(),
                view.block_id.clone(),
                view.state_root.clone(),
            ]
        });
        out.table(&["validator", "blocks", "transactions", "last block", "state root"], rows)
    })?;
    out.good(format_args!("{} blocks are the same on {} validators", view.blocks, running.len()));
    Ok(())
}

fn agree<'a>(
    height: u64,
    fingerprint: &Fingerprint,
    member: &'a Member,
    seen: &mut BTreeMap<u64, (Fingerprint, &'a Member)>,
) -> Result<(), CommandError> {
    let (first, owner) = seen.entry(height).or_insert_with(|| (fingerprint.clone(), member));
    if first == fingerprint {
        return Ok(());
    }
    let show =
        |what: &Fingerprint| format!("block {} with state {} and {} transactions", what.block_id, what.state_root, what.transactions);
    Err(CommandError::failure(
        "diverged",
        format!("at height {height} {} has {}, {} has {}", owner.name, show(first), member.name, show(fingerprint)),
    ))
}
