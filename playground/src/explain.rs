//! `explain`: what everybody waits for, and what would happen next.

use quorate_types::round::Round;

use super::{
    flight::Seat,
    paint::{Line, row},
    stage::{Player, Stage},
};

impl Stage {
    /// A line for each validator, and one for what comes next.
    pub(super) fn explain(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self
            .players
            .iter()
            .enumerate()
            .map(|(seat, player)| Line::plain(format!("{}: {}", player.name, self.waits(seat, player))))
            .collect();
        lines.push(Line::hint(self.comes_next()));
        lines
    }

    fn waits(&self, seat: Seat, player: &Player) -> String {
        let name = &player.name;
        if let Some(why) = &player.halted {
            return format!("has stopped for good: {why}");
        }
        let Some(engine) = player.engine() else { return format!("is down; `recover {name}` starts it on its disk") };
        let (round, record) = (engine.round(), engine.safety_record());
        let leader = engine.leader(round);
        let asks =
            if player.undecided.is_empty() { String::new() } else { format!("asks for your vote (`vote {name} yes`, `vote {name} no`); ") };
        let fetching = if engine.is_fetching() { "lacks a block and has asked for it; " } else { "" };
        let doing = if record.last_timeout().is_some_and(|(given_up, ..)| given_up == round) {
            format!("gave round {round} up, and waits for timeouts of a quorum: it has {}", self.timeouts_at(round, seat))
        } else if player.is_idle_leader() {
            format!(
                "leads round {round} and has nothing to propose: a `tx` gives it something, `heartbeat {name}` makes it propose an empty block"
            )
        } else if record.highest_vote_round() == round || leader == player.machine.id {
            let next = round.next();
            if engine.leader(next) == player.machine.id {
                format!(
                    "voted in round {round} and collects the votes for it, as leader of round {next}: it has {}",
                    self.votes_at(round, seat)
                )
            } else {
                format!(
                    "voted in round {round}, and waits for a QC: {} collects the votes and leads round {next}",
                    self.validator(engine.leader(next))
                )
            }
        } else {
            format!(
                "waits in round {round} for the proposal of {}; its timer would give the round up (`timeout {name}`)",
                self.validator(leader)
            )
        };
        format!("{asks}{fetching}{doing}")
    }

    fn votes_at(&self, round: Round, seat: Seat) -> String {
        let heard = self.tally.get(round).and_then(|tally| tally.heard.get(&seat)).map_or(0, std::collections::BTreeMap::len);
        format!("{heard} of {}", self.setting.verifier.committee().quorum_power())
    }

    fn timeouts_at(&self, round: Round, seat: Seat) -> String {
        let heard = self.tally.get(round).and_then(|tally| tally.heard_up.get(&seat)).map_or(0, std::collections::BTreeSet::len);
        format!("{heard} of {}", self.setting.verifier.committee().quorum_power())
    }

    /// What `step` would do, or what a person could do where it would do nothing.
    pub(super) fn comes_next(&self) -> String {
        if let Some(number) = self.flight.next()
            && let Some(letter) = self.flight.get(number)
        {
            return format!("next: `step` delivers #{number} {}", self.describe(letter));
        }
        let names = |meant: &dyn Fn(&Player) -> bool| -> Vec<String> {
            self.players.iter().filter(|player| meant(player)).map(|player| player.name.clone()).collect()
        };
        let asking = names(&|player| !player.undecided.is_empty());
        if !asking.is_empty() {
            return format!("next: nothing moves before you vote for {} (`vote NODE yes|no`)", row(&asking));
        }
        if self.flight.letters().next().is_some() {
            return "next: everything on the way is held by the partition; `heal`, or `timeout NODE` for somebody whose patience ends"
                .into();
        }
        let idle = names(&|player| player.is_idle_leader());
        if let [leader, ..] = idle.as_slice() {
            return format!(
                "next: nothing is on the way; a `tx` gives {leader} something to propose, or `timeout NODE` gives its round up"
            );
        }
        "next: nothing is on the way; `timeout NODE` makes somebody give the round up".into()
    }
}
