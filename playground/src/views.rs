//! Tables about the validators: `status`, `data`, `messages`, `txs`, `checkpoint`.

use std::collections::BTreeMap;

use super::{
    client::state_of,
    flight::Seat,
    paint::{Line, count, row, table},
    stage::{Player, Stage},
};

/// Most messages listed at once.
const MESSAGES_LISTED_MAX: usize = 200;

/// A committed state, shared by the validators that have it.
struct State {
    /// Validators that have it, by height.
    at: BTreeMap<u64, Vec<String>>,
    /// Its accounts and keys with their values.
    data: Vec<(String, String)>,
}

impl Stage {
    /// Round, leader, votes, locks, certificates and timers.
    pub(super) fn status(&self) -> Vec<Line> {
        let rows: Vec<Vec<String>> = self.players.iter().map(|player| self.status_row(player)).collect();
        let headings = ["validator", "is", "round", "leader", "voted", "lock", "high QC", "commits", "height", "pool", "timer"];
        let mut lines = table(&headings.map(str::to_uppercase).each_ref().map(String::as_str), &rows);
        lines.push(Line::plain(format!(
            "{} in flight; quorum {} of {}; f = {}",
            count(self.flight.letters().count(), "message"),
            self.setting.verifier.committee().quorum_power(),
            self.setting.verifier.committee().voters().len(),
            self.faults(),
        )));
        lines
    }

    fn status_row(&self, player: &Player) -> Vec<String> {
        let name = player.name.clone();
        let (Some(engine), Some(replica)) = (player.engine(), player.replica()) else {
            let state = if player.halted.is_some() { "halted" } else { "down" };
            return vec![name, state.into()];
        };
        let record = engine.safety_record();
        let state = match (player.undecided.is_empty(), player.manual) {
            (false, _) => "asks you",
            (true, true) => "manual",
            (true, false) => "up",
        };
        let high_qc = engine.tree().high_qc();
        let now = u128::from(player.clock.0);
        let timer = replica.next_deadline().map_or_else(String::new, |at| format!("{} ms", at.as_micros().saturating_sub(now) / 1_000));
        let status = replica.status();
        vec![
            name,
            state.into(),
            engine.round().to_string(),
            self.validator(engine.leader(engine.round())),
            record.highest_vote_round().to_string(),
            record.highest_qc_round().to_string(),
            self.blocks.qc(high_qc),
            self.blocks.label(&engine.tree().root().id),
            status.height.to_string(),
            status.pool_transactions.to_string(),
            timer,
        ]
    }

    /// Committed accounts and keys, once for each distinct state.
    pub(super) fn data(&self, of: Option<Seat>) -> Vec<Line> {
        let mut states: BTreeMap<String, State> = BTreeMap::new();
        let mut down = Vec::new();
        for (seat, player) in self.players.iter().enumerate() {
            if of.is_some_and(|of| of != seat) {
                continue;
            }
            let Some(view) = player.view() else {
                down.push(player.name.clone());
                continue;
            };
            let (height, root) = state_of(&view);
            let state = states.entry(root).or_insert_with(|| State { at: BTreeMap::new(), data: self.client.data(&view) });
            state.at.entry(height.0).or_default().push(player.name.clone());
        }
        // The state at the greatest height first.
        let mut states: Vec<_> = states.into_iter().collect();
        states.sort_by_key(|(_, State { at: heights, .. })| std::cmp::Reverse(heights.last_key_value().map(|(height, _)| *height)));
        let mut lines = Vec::new();
        for (root, State { at: heights, data }) in states {
            let who: Vec<String> = heights.iter().rev().map(|(height, names)| format!("{} at height {height}", row(names))).collect();
            lines.push(Line::plain(format!("{}: state root {root}", who.join("; "))));
            let width = data.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
            lines.extend(data.iter().map(|(what, value)| Line::plain(format!("  {what:<width$}  {value}"))));
        }
        if !down.is_empty() {
            lines.push(Line::plain(format!("{}: down", row(&down))));
        }
        lines
    }

    /// The messages in flight.
    pub(super) fn messages(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .flight
            .letters()
            .take(MESSAGES_LISTED_MAX)
            .map(|(number, letter)| {
                let cut = if self.flight.is_cut(letter) { "  [held by the partition]" } else { "" };
                Line::plain(format!("#{number} {}{cut}", self.describe(letter)))
            })
            .collect();
        let rest = self.flight.letters().count().saturating_sub(MESSAGES_LISTED_MAX);
        if rest > 0 {
            lines.push(Line::plain(format!("and {rest} more")));
        }
        if lines.is_empty() {
            lines.push(Line::plain("no messages in flight"));
        }
        lines
    }

    /// The client's transactions and the answers to them.
    pub(super) fn transactions(&self) -> Vec<Line> {
        if self.client.sent().is_empty() {
            return vec![Line::hint("no transactions yet; try `tx deposit alice 100`")];
        }
        let rows: Vec<Vec<String>> = self
            .client
            .sent()
            .iter()
            .map(|sent| {
                let mut answers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
                for (seat, answer) in &sent.answers {
                    answers.entry(answer).or_default().push(self.name(*seat));
                }
                let words: Vec<String> = answers.iter().map(|(answer, names)| format!("{answer} ({})", row(names))).collect();
                let all = self.setting.verifier.committee().voters().len();
                let words = if words.is_empty() { "no answer yet".into() } else { words.join("; ") };
                vec![sent.words.clone(), format!("{}/{all}", sent.answers.len()), words]
            })
            .collect();
        table(&["TRANSACTION", "ANSWERS", "ANSWER (FROM)"], &rows)
    }

    /// Height, state root, certificate and data of every validator, and whether they agree.
    pub(super) fn checkpoint(&self) -> Vec<Line> {
        let rows: Vec<Vec<String>> = self
            .players
            .iter()
            .map(|player| match player.view() {
                None => vec![player.name.clone(), "down".into()],
                Some(view) => {
                    let (height, root) = state_of(&view);
                    let qc = view.commit_qc();
                    let signers: Vec<String> = qc.signers.iter().map(|id| self.validator(id)).collect();
                    let by = if signers.is_empty() { "genesis".into() } else { format!("{} of {}", self.blocks.qc(qc), row(&signers)) };
                    vec![player.name.clone(), height.to_string(), self.blocks.label(&view.header().block_id), root, by]
                }
            })
            .collect();
        let mut lines = table(&["VALIDATOR", "HEIGHT", "BLOCK", "STATE ROOT", "COMMITTED BY"], &rows);
        lines.extend(self.data(None));
        lines.push(self.agreement());
        lines
    }

    /// Whether the running validators agree at every height they share, and no process has ever committed a different block.
    fn agreement(&self) -> Line {
        let mut chain: BTreeMap<u64, (String, quorate_types::ids::BlockId)> = BTreeMap::new();
        for player in &self.players {
            let Some(replica) = player.replica() else { continue };
            let reader = replica.ledger().reader();
            for height in 1..=replica.ledger().root().height.0 {
                let Ok(Some(header)) = reader.header_at(quorate_types::round::Height(height)) else { continue };
                let (first, block) = chain.entry(height).or_insert_with(|| (player.name.clone(), header.block_id)).clone();
                if block != header.block_id {
                    let text =
                        format!("{first} and {} committed different blocks at height {height}: more than f validators lie", player.name);
                    return Line::new(super::paint::Tone::Bad, text);
                }
            }
        }
        if let Some((height, first, second)) = self.blocks.fork() {
            let text = format!("{first} and {second} have both been committed at height {height}: more than f validators lie");
            return Line::new(super::paint::Tone::Bad, text);
        }
        if !self.players.iter().any(super::stage::Player::is_up) {
            return Line::plain("no validator is running, so there is nothing to compare; `recover NODE` restarts one");
        }
        Line::new(super::paint::Tone::Good, format!("agreement: all have the same block at every height up to {}", chain.len()))
    }

    /// The summary after `run` and `undo`: heights, rounds and stopped validators.
    pub(super) fn outline(&self) -> Line {
        let mut heights: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        let mut rounds: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for player in &self.players {
            let (Some(engine), Some(view)) = (player.engine(), player.view()) else { continue };
            heights.entry(view.header().height.0).or_default().push(player.name.clone());
            rounds.entry(engine.round().0).or_default().push(player.name.clone());
        }
        let words = |what: &BTreeMap<u64, Vec<String>>| match what.len() {
            0 => "-".to_owned(),
            1 => what.keys().map(u64::to_string).collect(),
            _ => what.iter().rev().map(|(number, names)| format!("{number} at {}", row(names))).collect::<Vec<String>>().join(", "),
        };
        let down: Vec<String> = self.players.iter().filter(|player| !player.is_up()).map(|player| player.name.clone()).collect();
        let down = if down.is_empty() { String::new() } else { format!("; down: {}", row(&down)) };
        Line::plain(format!("committed height {}; round {}{down}", words(&heights), words(&rounds)))
    }
}
