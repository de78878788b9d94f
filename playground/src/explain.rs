//! `explain`: what each validator is waiting for, and what would happen next.

use quorate_types::round::Round;

use super::{
    flight::Seat,
    paint::{Line, row},
    stage::{Player, Stage},
};

impl Stage {
    /// One line for each validator, and one for what comes next.
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
        let Some(engine) = player.engine() else { return format!("is down; `recover {name}` restarts it on its disk") };
        let (round, record) = (engine.round(), engine.safety_record());
        let leader = engine.leader(round);
        let asks =
            if player.undecided.is_empty() { String::new() } else { format!("asks for your vote (`vote {name} yes`, `vote {name} no`); ") };
        let fetching = if engine.is_block_missing() { "is fetching a missing block; " } else { "" };
        let doing = if record.last_timeout().is_some_and(|(given_up, ..)| given_up == round) {
            format!("gave up round {round} and waits for timeouts from a quorum: it has {}", self.timeouts_at(round, seat))
        } else if player.is_idle_leader() {
            format!("leads round {round} and has nothing to propose: send a `tx`, or `heartbeat {name}` makes it propose an empty block")
        } else if record.highest_vote_round() == round || leader == player.machine.id {
            let next = round.next();
            if engine.leader(next) == player.machine.id {
                format!("voted in round {round} and, as leader of round {next}, collects its votes: it has {}", self.votes_at(round, seat))
            } else {
                format!(
                    "voted in round {round} and waits for a QC: {} leads round {next} and collects the votes",
                    self.validator(engine.leader(next))
                )
            }
        } else {
            format!("waits in round {round} for {}'s proposal; `timeout {name}` makes it give up the round", self.validator(leader))
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

    /// What `step` would do or, if nothing, what the user could do.
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
            return format!("next: nothing moves until you vote for {} (`vote NODE yes|no`)", row(&asking));
        }
        if self.flight.letters().next().is_some() {
            return "next: the partition holds back every message in flight; `heal`, or `timeout NODE` to let a timer expire".into();
        }
        let idle = names(&|player| player.is_idle_leader());
        if let [leader, ..] = idle.as_slice() {
            return format!(
                "next: no messages in flight; a `tx` gives {leader} something to propose, or `timeout NODE` makes a validator give up its round"
            );
        }
        "next: no messages in flight; `timeout NODE` makes a validator give up its round".into()
    }
}
