//! Narrates events in the paper's terms: every message, vote, certificate, round and commit becomes a note.

use std::{collections::BTreeSet, sync::Arc};

use quorate_harness::{
    Content,
    contents::{self, Statement},
    is_for,
};
use quorate_ledger::Committed;
use quorate_replica::{Answer, Output, Ticket};
use quorate_types::{
    block::Block,
    evidence::{Contradiction, Evidence},
    ids::ValidatorId,
    message::{Message, Recipients},
    round::Round,
    transaction::Transaction,
};

use super::{
    client::outcome_words,
    flight::Seat,
    paint::{Line, Tone, row},
    rules,
    stage::{Stage, seen},
};

/// Rounds for which a process's first proposal is remembered.
const PROPOSALS_MAX: usize = 16;

/// One narrated event.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// The kind of event, in one word.
    tag: String,
    text: String,
    tone: Tone,
    /// Shown even by `run`, which shows only the important notes.
    pub(super) is_mark: bool,
}

impl Note {
    /// A message arrives; notes on its effects follow.
    pub(super) fn head(number: u64, text: String) -> Self {
        Self { tag: format!("#{number}"), text, tone: Tone::Plain, is_mark: false }
    }

    pub(super) fn detail(tag: &str, text: String) -> Self {
        Self { tag: tag.into(), text, tone: Tone::Plain, is_mark: false }
    }

    pub(super) fn mark(tag: &str, text: String) -> Self {
        Self { is_mark: true, ..Self::detail(tag, text) }
    }

    pub(super) fn good(tag: &str, text: String) -> Self {
        Self { tone: Tone::Good, ..Self::mark(tag, text) }
    }

    pub(super) fn bad(tag: &str, text: String) -> Self {
        Self { tone: Tone::Bad, ..Self::mark(tag, text) }
    }

    pub(super) fn line(&self) -> Line {
        if self.tag.starts_with('#') {
            Line::new(self.tone, format!("{} {}", self.tag, self.text))
        } else {
            Line::new(self.tone, format!("  {:<9} {}", self.tag, self.text))
        }
    }
}

impl Stage {
    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Notes what changed in a replica since the last call.
    pub(super) fn observe(&mut self, seat: Seat) {
        let Some(player) = self.players.get_mut(seat) else { return };
        let Some(engine) = player.machine.engine() else { return };
        let (before, now) = (player.seen, seen(engine));
        if before == now {
            return;
        }
        let name = player.name.clone();
        let me = player.machine.id;
        let qc = (**engine.tree().high_qc()).clone();
        let leader = engine.leader(now.round);
        let collects = engine.leader(now.voted.next()) == me;
        let record = engine.safety_record();
        let gave_up = record.last_timeout().is_some_and(|(round, ..)| round == now.voted);
        let voted_for = player.proposals.get(&now.voted).copied();
        player.seen = now;

        // The vote comes first: it may complete a quorum.
        if now.voted > before.voted && !gave_up && collects {
            let label = voted_for.map_or_else(|| "its own block".into(), |id| self.blocks.label(&id));
            self.tally.cast(now.voted, seat, &label);
            self.tally.hear(now.voted, seat, me, &label);
            let text =
                format!("{name} votes for {label} and keeps the vote: as leader of round {}, it collects the votes", now.voted.next());
            self.note(Note::detail("vote", text));
        }
        if now.high_qc > before.high_qc {
            let label = self.blocks.label(&qc.block_id());
            let signers: Vec<String> = qc.signers.iter().map(|id| self.validator(id)).collect();
            let commits = match qc.commits() {
                Some((parent, ..)) if parent != qc.block_id() => {
                    let parent = self.blocks.label(&parent);
                    if parent == "G" { String::new() } else { format!("; the rounds are consecutive, so it commits {parent}") }
                }
                _ => String::new(),
            };
            if self.blocks.learn_qc(&qc) {
                let text = format!("{name} has {} equal votes, from {}: QC({label}){commits}", signers.len(), row(&signers));
                self.note(Note::good("QC", text));
            } else {
                self.note(Note::detail("QC", format!("{name} learns QC({label}){commits}")));
            }
        }
        if now.round > before.round {
            let by = if now.high_qc.next() == now.round {
                format!("QC({})", self.blocks.label(&qc.block_id()))
            } else {
                format!("TC({})", now.round.previous().unwrap_or_default())
            };
            let leads = if leader == me { "which it leads".into() } else { format!("led by {}", self.validator(leader)) };
            self.note(Note::detail("round", format!("{name} enters round {}, {leads}, on {by}", now.round)));
        }
    }

    pub(super) fn on_output(&mut self, seat: Seat, output: Output) {
        match output {
            // The harness's machine answers requests for blocks.
            Output::Serve(_) | Output::Worked => {}
            Output::Send { to, message } => self.on_send(seat, to, &message),
            Output::Gossip(transactions) => self.on_gossip(seat, &transactions),
            Output::Answer { ticket, answer } => self.on_answer(seat, ticket, &answer),
            Output::Committed(committed) => self.on_committed(seat, &committed),
            Output::Accused(evidence) => self.on_accused(seat, &evidence),
            Output::Ignored { from, reason } => self.on_ignored(seat, from, reason),
        }
    }

    fn on_send(&mut self, seat: Seat, to: Recipients, message: &Arc<Message>) {
        let Some(me) = self.player(seat).map(|player| player.machine.id) else { return };
        self.learn(seat, message);
        let meant = self.players.iter().enumerate().filter(|(_, player)| is_for(to, me, player.machine.id));
        let receivers: Vec<Seat> = meant.map(|(seat, _)| seat).collect();
        let (tag, text, is_mark) = self.describe_sent(seat, to, message);
        let mut numbers = Vec::new();
        let mut lost = Vec::new();
        for receiver in receivers {
            match self.post(seat, receiver, Content::Message(Arc::clone(message))) {
                Some(number) => numbers.push(number),
                None => lost.push(self.name(receiver)),
            }
        }
        let lost = if lost.is_empty() { String::new() } else { format!("; lost to {}: down", row(&lost)) };
        let note = Note { is_mark, ..Note::detail(tag, format!("{text}{}{lost}", range(&numbers))) };
        self.note_sent(seat, message, note);
    }

    /// A process's own vote or timeout may complete a certificate before it is sent: notes on the effects go after the note on the message.
    fn note_sent(&mut self, seat: Seat, message: &Message, note: Note) {
        let own = format!("{} ", self.name(seat));
        let led_to = |note: &&Note| matches!(note.tag.as_str(), "QC" | "round") && note.text.starts_with(&own);
        let after = match message {
            Message::Vote(_) | Message::Timeout(_) => self.notes.iter().rev().take_while(led_to).count(),
            _ => 0,
        };
        let at = self.notes.len().saturating_sub(after);
        self.notes.insert(at, note);
    }

    /// Records blocks, votes and timeouts as they are sent.
    fn learn(&mut self, seat: Seat, message: &Message) {
        let id = self.player(seat).map_or(ValidatorId(0), |player| player.machine.id);
        match contents::statement(message) {
            Some(Statement::Proposal(proposal)) => {
                let block = &proposal.block;
                self.blocks.learn(block, proposal.last_round_tc.as_ref().map(|tc| tc.round), self.payload(block));
                if let Some(player) = self.players.get_mut(seat) {
                    player.proposed = player.proposed.saturating_add(1);
                }
                self.remember_proposal(seat, block);
            }
            Some(Statement::Vote(vote)) => {
                let label = self.vote_label(&vote.vote_info);
                self.tally.cast(vote.vote_info.round, seat, &label);
            }
            Some(Statement::Timeout(timeout)) => {
                if let Some(player) = self.players.get_mut(seat) {
                    player.gave_up = player.gave_up.saturating_add(1);
                }
                self.tally.hear_up(timeout.timeout.round, seat, id);
            }
            None => {}
        }
    }

    /// Records proposals, votes and timeouts as they arrive.
    pub(super) fn count(&mut self, to: Seat, from: ValidatorId, message: &Message) {
        match contents::statement(message) {
            Some(Statement::Proposal(proposal)) => self.remember_proposal(to, &proposal.block),
            Some(Statement::Vote(vote)) => {
                let label = self.vote_label(&vote.vote_info);
                self.tally.hear(vote.vote_info.round, to, from, &label);
            }
            Some(Statement::Timeout(timeout)) => {
                self.tally.hear_up(timeout.timeout.round, to, from);
            }
            None => {}
        }
    }

    fn remember_proposal(&mut self, seat: Seat, block: &Block) {
        if let Some(player) = self.players.get_mut(seat) {
            player.proposals.entry(block.round()).or_insert_with(|| block.id());
            if player.proposals.len() > PROPOSALS_MAX {
                player.proposals.pop_first();
            }
        }
    }

    fn on_gossip(&mut self, seat: Seat, transactions: &[Transaction]) {
        let Some(me) = self.player(seat).map(|player| player.machine.id) else { return };
        let mut numbers = Vec::new();
        for receiver in 0..self.players.len() {
            let Some(player) = self.player(receiver).filter(|player| player.machine.id != me) else { continue };
            let Some(replica) = player.replica() else { continue };
            let committed =
                |transaction: &Transaction| matches!(replica.ledger().reader().find_transaction(&transaction.id()), Ok(Some(_)));
            let lacks = |transaction: &&Transaction| !replica.is_pending(&transaction.id()) && !committed(transaction);
            let lacking: Vec<Transaction> = transactions.iter().filter(lacks).cloned().collect();
            if !lacking.is_empty() {
                numbers.extend(self.post(seat, receiver, Content::Transactions(lacking)));
            }
        }
        if !numbers.is_empty() {
            self.note(Note::detail("gossip", format!("{} gossips it{}", self.name(seat), range(&numbers))));
        }
    }

    fn on_answer(&mut self, seat: Seat, ticket: Ticket, answer: &Answer) {
        let Some((words, text, equal)) = self.client.on_answer(ticket, answer) else { return };
        // A twin and its original count as one validator.
        let voices = |seats: &mut dyn Iterator<Item = &Seat>| -> usize {
            seats.filter_map(|seat| self.player(*seat)).map(|player| player.machine.id).collect::<BTreeSet<ValidatorId>>().len()
        };
        let needed = self.faults().saturating_add(1);
        let enough = voices(&mut equal.iter()) >= needed && voices(&mut equal.iter().filter(|other| **other != seat)) < needed;
        let name = self.name(seat);
        match answer {
            Answer::Rejected { .. } if equal.len() == 1 => {
                self.note(Note::bad("client", format!("{name} rejects \"{words}\": {text}")));
            }
            Answer::Committed { .. } if enough => {
                let who = if needed == 1 {
                    "one validator says so".into()
                } else {
                    format!("f+1 = {needed} validators say so, so at least one honest one does")
                };
                self.note(Note::good("client", format!("\"{words}\": {text}; {who}")));
            }
            Answer::Accepted | Answer::Rejected { .. } | Answer::Committed { .. } => {}
        }
    }

    fn on_committed(&mut self, seat: Seat, committed: &Committed) {
        let name = self.name(seat);
        for block in &committed.blocks {
            let (id, height) = (block.header.block_id, block.header.height);
            let label = self.blocks.label(&id);
            let results: Vec<String> = block
                .receipts
                .iter()
                .map(|receipt| format!("{}: {}", self.client.words(&receipt.tx_id), outcome_words(&receipt.outcome)))
                .collect();
            let results = if results.is_empty() { "empty".into() } else { results.join("; ") };
            let first = self.blocks.learn_commit(&id, height);
            let note = if first { Note::good } else { Note::detail };
            self.note(note("commit", format!("{name} commits {label} at height {height}: {results}")));
        }
        let abandoned: Vec<String> = committed.abandoned.iter().map(|id| self.blocks.label(id)).collect();
        if !abandoned.is_empty() {
            self.note(Note::mark("abandon", format!("{name} drops {}: not on the committed chain", row(&abandoned))));
        }
    }

    fn on_accused(&mut self, seat: Seat, evidence: &Evidence) {
        let (what, rule) = rules::evidence(evidence);
        let culprit = self.validator(evidence.culprit);
        let name = self.name(seat);
        let mut labels = match &evidence.contradiction {
            Contradiction::Votes(votes) => votes.map(|vote| self.vote_label(&vote.vote_info)).to_vec(),
            Contradiction::Proposals(proposals) => {
                proposals.map(|proposal| self.blocks.label(&proposal.head.id(evidence.genesis_hash, evidence.epoch))).to_vec()
            }
            Contradiction::Timeouts(_) => Vec::new(),
        };
        labels.sort();
        let which = if labels.is_empty() { String::new() } else { format!(" ({})", row(&labels)) };
        self.note(Note::bad("Evidence:", format!("{name} holds {what} by {culprit} in round {}{which}; {rule}", evidence.round())));
    }

    fn on_ignored(&mut self, seat: Seat, from: ValidatorId, reason: &'static str) {
        let delivering = self.delivering.clone();
        let Some(player) = self.players.get_mut(seat) else { return };
        let mut why = rules::why(reason).to_owned();
        if reason == "unsafe-timeout" {
            player.refused = player.refused.saturating_add(1);
        }
        if reason == "unsafe-vote"
            && let Some(Message::Proposal(proposal)) = delivering.as_deref()
            && let (Some(engine), Some(key)) = (player.engine(), self.setting.key(player.machine.id))
            && let Ok(proposal) = self.setting.verifier.proposal((**proposal).clone())
            && let Some(rule) =
                rules::why_no_vote((engine.safety_record(), self.setting.verifier.committee()), key, player.machine.id, &proposal)
        {
            why = rule;
        }
        // The validator's own copy of a vote that it broadcast again: not worth a note.
        if from == player.machine.id && reason == "duplicate" {
            return;
        }
        let block = match delivering.as_deref() {
            Some(Message::Proposal(proposal)) => self.blocks.label(&proposal.block.id()),
            _ => "the block".into(),
        };
        let name = self.name(seat);
        let note = match reason {
            "parent-missing" => Note::mark("waits", format!("{name} holds the proposal of {block} until the parent arrives, {why}")),
            "unsafe-vote" => Note::bad("refused", format!("{name} does not vote for {block}, {why}")),
            "unsafe-timeout" => Note::bad("refused", format!("{name} does not give up the round, {why}")),
            _ => {
                let kind = delivering.as_deref().map_or("message", Message::kind);
                Note::bad("refused", format!("{name} refuses {}'s {kind}, {why}", self.validator(from)))
            }
        };
        // Late and duplicate messages are normal on a slow network.
        let everyday = matches!(reason, "old-round" | "duplicate");
        self.note(Note { is_mark: !everyday, ..note });
    }

    /// The highest round that any running process is in.
    pub(super) fn highest_round(&self) -> Round {
        self.players.iter().filter_map(|player| player.engine()).map(quorate_consensus::Engine::round).max().unwrap_or_default()
    }
}

/// ` (#4 to #6)`.
fn range(numbers: &[u64]) -> String {
    match numbers {
        [] => String::new(),
        [one] => format!(" (#{one})"),
        [first, .., last] => format!(" (#{first} to #{last})"),
    }
}
