//! `quorum`: the votes and timeouts of a round, whom they have reached, and how many are missing.

use std::collections::BTreeMap;

use quorate_harness::Content;
use quorate_types::{ids::ValidatorId, round::Round};

use super::{
    flight::Seat,
    paint::{Line, Tone, row, table},
    stage::Stage,
    tally::RoundTally,
};

impl Stage {
    /// The votes and timeouts of a round; by default of the newest one with any.
    pub(super) fn quorum(&self, round: Option<Round>) -> Vec<Line> {
        let round = round.unwrap_or_else(|| self.quorum_round());
        let committee = self.setting.verifier.committee();
        let (needed, all) = (committee.quorum_power(), committee.voters().len());
        let formula = if all == self.faults().saturating_mul(3).saturating_add(1) { "2f+1" } else { "n-f" };
        let leader = |round: Round| {
            let engine = self.players.iter().filter_map(|player| player.engine()).max_by_key(|engine| engine.round());
            engine.map_or(ValidatorId(0), |engine| engine.leader(round))
        };
        let collector = leader(round.next());
        let mut lines = vec![Line::plain(format!(
            "round {round}, led by {}; {}, who leads round {}, collects its votes; quorum {needed} of {all} ({formula}, f = {})",
            self.validator(leader(round)),
            self.validator(collector),
            round.next(),
            self.faults(),
        ))];
        let empty = RoundTally::default();
        let tally = self.tally.get(round).unwrap_or(&empty);
        let rows: Vec<Vec<String>> = (0..self.players.len()).map(|seat| self.quorum_row(seat, round, tally)).collect();
        lines.extend(table(&["VALIDATOR", "VOTES FOR", "VOTE REACHED", "GAVE UP", "HAS TIMEOUTS FROM"], &rows));
        lines.extend(self.sums(tally, needed, all));
        if let Some(known) = self.blocks.certified_in(round)
            && let Some((signers, _)) = known.certified
        {
            let names: Vec<String> = signers.iter().map(|id| self.validator(id)).collect();
            lines.push(Line::new(Tone::Good, format!("QC({}): certified by {}", known.label, row(&names))));
        }
        lines
    }

    /// The newest round with votes or timeouts.
    fn quorum_round(&self) -> Round {
        let highest = self.highest_round();
        if self.tally.get(highest).is_some() { highest } else { highest.previous().filter(|round| round.0 > 0).unwrap_or(highest) }
    }

    fn quorum_row(&self, seat: Seat, round: Round, tally: &RoundTally) -> Vec<String> {
        let Some(player) = self.player(seat) else { return Vec::new() };
        let id = player.machine.id;
        let cast = tally.cast.get(&seat).map_or(&[][..], Vec::as_slice);
        let votes = if cast.is_empty() { "-".into() } else { cast.join(" and ") };
        // Only a key's first vote counts.
        let counts = |heard: &BTreeMap<ValidatorId, String>| heard.get(&id).is_some_and(|vote| cast.contains(vote));
        let reached: Vec<String> = tally.heard.iter().filter(|(_, heard)| counts(heard)).map(|(seat, _)| self.name(*seat)).collect();
        let under_way = self.flight.letters().filter(|(_, letter)| letter.from == seat && is_vote_of(&letter.content, round));
        let mut where_: Vec<String> = reached;
        where_.extend(under_way.map(|(number, letter)| format!("#{number} to {}", self.name(letter.to))));
        if !player.undecided.is_empty() {
            where_.push("waits for your vote".into());
        }
        let gave_up = if tally.gave_up.contains(&seat) { "yes" } else { "-" };
        let heard_up: Vec<String> = tally.heard_up.get(&seat).into_iter().flatten().map(|id| self.validator(*id)).collect();
        let dash = |words: String| if words.is_empty() { "-".to_owned() } else { words };
        vec![player.name.clone(), votes, dash(where_.join(", ")), gave_up.into(), dash(heard_up.join(", "))]
    }

    /// For each process, how many equal votes it holds; and the most timeouts that any holds.
    fn sums(&self, tally: &RoundTally, needed: u64, all: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        for (seat, heard) in &tally.heard {
            let mut equal: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (id, vote) in heard {
                equal.entry(vote).or_default().push(self.validator(*id));
            }
            for (vote, names) in equal {
                let verdict = if names.len() as u64 >= needed { "a quorum: QC" } else { "no quorum" };
                let text = format!(
                    "{} has votes for {vote}: {}/{all} ({}), {verdict} (threshold {needed})",
                    self.name(*seat),
                    names.len(),
                    row(&names)
                );
                lines.push(Line::plain(text));
            }
        }
        let most = tally.heard_up.values().map(std::collections::BTreeSet::len).max().unwrap_or_default();
        if most > 0 {
            let committee = self.setting.verifier.committee();
            lines.push(Line::plain(format!(
                "timeouts: at most {most}/{all} at one validator; {} (f+1) make the others join in, {needed} make a TC",
                committee.amplify_power()
            )));
        }
        lines
    }
}

fn is_vote_of(content: &Content, round: Round) -> bool {
    match content {
        Content::Message(message) => match &**message {
            quorate_types::message::Message::Vote(vote) => vote.vote_info.round == round,
            _ => false,
        },
        Content::Transactions(_) => false,
    }
}
