//! Evidence against validators: listed and fetched from a node, checked here.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use quorate_client::{ClientError, LightClient, Session, light::LightError};
use quorate_terminal::{CommandError, Output, escape_untrusted};
use quorate_types::{
    evidence::{Contradiction, Evidence},
    ids::EvidenceId,
};

use crate::network::NetworkArgs;

/// Longest file that is read, in bytes. Evidence has some 2,000.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Show and check evidence against validators that signed two contradictory statements.
#[derive(Clone, Debug, Subcommand)]
pub enum EvidenceCommand {
    /// List the evidence that a node holds.
    List(ListArgs),
    /// Fetch evidence from a node, check it, and show it; with -o json, as a file that anyone can check.
    Show(ShowArgs),
    /// Check evidence in a file; a node is needed only to show how the committee has changed until then.
    Verify(VerifyArgs),
}

/// `evidence list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    network: NetworkArgs,
}

/// `evidence show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Id, from `evidence list`.
    id: EvidenceId,
    #[command(flatten)]
    network: NetworkArgs,
}

/// `evidence verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// File from `evidence show -o json` or from a node's data/evidence, or - for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
}

impl EvidenceCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// [`CommandError`], with its exit code.
    pub async fn run(self, out: &Output) -> Result<(), CommandError> {
        match self {
            Self::List(args) => list(&args.network, out).await,
            Self::Show(ShowArgs { id, network }) => {
                let session = network.checker(out).await?;
                show(&session, &fetch(&session, id).await?, out).await
            }
            Self::Verify(VerifyArgs { file, network }) => show(&network.checker(out).await?, &read(&file)?, out).await,
        }
    }
}

/// Evidence from a node, by its id. Its signatures are not checked.
pub(crate) async fn fetch(session: &Session, id: EvidenceId) -> Result<Evidence, CommandError> {
    let evidence = session.client().evidence(id).await?;
    match evidence.id() {
        sent if sent == id => Ok(evidence),
        sent => Err(ClientError::from(LightError::OtherEvidence { asked: id, sent }).into()),
    }
}

async fn list(network: &NetworkArgs, out: &Output) -> Result<(), CommandError> {
    let list = network.client()?.evidence_list().await?;
    let rows = list.evidence.iter().map(|view| {
        let (round, epoch) = (view.round.to_string(), view.epoch.to_string());
        vec![escape_untrusted(&view.validator), format!("two {}s", view.kind), round, epoch, view.id.to_string()]
    });
    if list.evidence.is_empty() {
        return out.print(&list, || "no validator has contradicted itself, as far as this node has seen".into());
    }
    out.print(&list, || out.table(&["validator", "signed", "round", "epoch", "evidence"], rows))?;
    out.note(format_args!("this is what the node says; `evidence show` checks the signatures"));
    Ok(())
}

impl NetworkArgs {
    /// A session that remembers nothing: evidence does not age.
    async fn checker(&self, out: &Output) -> Result<Session, CommandError> {
        let (genesis, client) = self.genesis(out).await?;
        Ok(Session::new(client, LightClient::new(genesis)?))
    }
}

async fn show(session: &Session, evidence: &Evidence, out: &Output) -> Result<(), CommandError> {
    let name = session.evidence(evidence).await?;
    out.print_exactly(evidence, || describe(&name, evidence))?;
    out.good(format_args!("verified: {name}'s consensus key has signed both; an honest validator signs one {} a round", evidence.kind()));
    Ok(())
}

fn describe(name: &str, evidence: &Evidence) -> String {
    let said = match &evidence.contradiction {
        Contradiction::Votes(votes) => votes.map(|vote| {
            let info = vote.vote_info;
            let commits = vote.commit_info.commit_state_id.map_or_else(String::new, |state| format!(", commits {state}"));
            format!("block {}, result {}, on block {} of round {}{commits}", info.id, info.exec_state_id, info.parent_id, info.parent_round)
        }),
        Contradiction::Timeouts(timeouts) => timeouts.map(|timeout| format!("highest certificate of round {}", timeout.high_qc_round)),
        Contradiction::Proposals(proposals) => proposals.map(|proposal| {
            let block = proposal.head.id(evidence.genesis_hash, evidence.epoch);
            format!("block {block}, time {}, {} transactions", proposal.head.timestamp, proposal.head.transactions)
        }),
    };
    let [first, second] = said;
    format!(
        "{name} signed two different {}s in round {} of epoch {}:\n  {first}\n  {second}\nevidence  {}\nnetwork   {}",
        evidence.kind(),
        evidence.round(),
        evidence.epoch,
        evidence.id(),
        evidence.genesis_hash
    )
}

fn read(file: &Path) -> Result<Evidence, CommandError> {
    let (name, source): (String, io::Result<Box<dyn Read>>) = if file.as_os_str() == "-" {
        ("standard input".into(), Ok(Box::new(io::stdin())))
    } else {
        (file.display().to_string(), fs::File::open(file).map(|file| Box::new(file) as Box<dyn Read>))
    };
    let mut text = Vec::new();
    source
        .and_then(|source| source.take(FILE_BYTES_MAX).read_to_end(&mut text))
        .map_err(|error| CommandError::failure("file", format!("cannot read {name}: {error}")).with_hint("check the path"))?;
    serde_json::from_slice(&text).map_err(|error| {
        // The file comes from somebody else, and the error quotes it.
        CommandError::failure("not-evidence", format!("{name} holds no evidence: {}", escape_untrusted(&error.to_string())))
            .with_hint("give a file from `evidence show -o json`, or from data/evidence in a node's home")
    })
}

#[cfg(test)]
mod tests {
    use quorate_terminal::Format;
    use quorate_types::{
        block::BlockHead,
        crypto::{Hash, Signature},
        ids::{GenesisHash, ValidatorId},
        round::{Epoch, Round, UnixMillis},
        sighting::SeenProposal,
    };

    use super::*;

    /// A liar chooses its block's time.
    #[test]
    fn what_show_writes_verify_reads_whatever_numbers_the_liar_chose() {
        let (payload, qc) = (Hash([1; 32]), Hash([2; 32]));
        let (author, round) = (ValidatorId(3), Round(u64::MAX));
        let proposal = |timestamp| {
            let head = BlockHead { author, round, timestamp: UnixMillis(timestamp), transactions: u64::MAX, payload, qc };
            SeenProposal { head, signature: Signature([7; 64]) }
        };
        let contradiction = Contradiction::Proposals([proposal(1 << 53), proposal(u64::MAX)]);
        let evidence = Evidence { genesis_hash: GenesisHash(Hash([9; 32])), epoch: Epoch(u64::MAX), culprit: author, contradiction };
        let out = Output::kept(Format::Json);
        out.print_exactly(&evidence, String::new).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), out.written().stdout).unwrap();
        assert_eq!(read(file.path()).unwrap(), evidence);
    }

    #[test]
    fn the_words_of_a_strange_file_are_quoted_escaped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let genesis = "0".repeat(64);
        let text = format!(r#"{{"genesis_hash":"{genesis}","epoch":0,"culprit":0,"contradiction":{{"\u001b[2K\rverified: it":[]}}}}"#);
        fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err();
        assert!(error.message.contains("verified: it") && !error.message.contains(['\u{1b}', '\r']), "{error:?}");
    }
}
