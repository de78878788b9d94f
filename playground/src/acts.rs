//! The user's actions on the network: votes, faults, lies, transactions.

use std::collections::BTreeMap;

use quorate_harness::{Content, committee::BEGINNING};
use quorate_replica::Input;
use quorate_types::{
    crypto::{Hash, Tag},
    ids::StateId,
    message::Message,
    round::{Sequence, UnixMillis},
    rpc::Wait,
    verify::Verified,
    vote::{LedgerCommitInfo, Vote, VoteInfo},
};

use super::{
    cast::VALIDATORS_MAX,
    client::{Client, Order},
    flight::Seat,
    narrate::Note,
    paint::{count, row},
    stage::Stage,
};

/// Domain of false results.
const FALSE_RESULT: Tag = Tag::new("quorate/playground-false-result");
/// Most processes, twins included.
const PLAYERS_MAX: usize = VALIDATORS_MAX + 8;

impl Stage {
    /// The client sends a transaction to one validator, or to every running one.
    pub(super) fn submit(&mut self, order: &Order, at: Option<Seat>) -> Result<(), String> {
        let receivers: Vec<Seat> = match at {
            Some(seat) => self.up(seat).map(|_| vec![seat])?,
            None => self.players.iter().enumerate().filter(|(_, player)| player.is_up()).map(|(seat, _)| seat).collect(),
        };
        let sender = Client::sender(order);
        let next = |seat: &Seat| self.player(*seat)?.replica().map(|replica| replica.next_sequence(&sender));
        let sequence = receivers.iter().filter_map(next).max().ok_or("no validator is running; `recover` one first")?;
        let now = UnixMillis(BEGINNING.0.saturating_add(self.calendar.ms()));
        let transaction = self.client.sign(order, Sequence(sequence.0), now)?;
        let checked = self.setting.verifier.transactions(vec![transaction]).pop();
        let transaction = checked.ok_or("nothing to send")?.map_err(|error| error.to_string())?;
        let whom = match at {
            Some(seat) => self.name(seat),
            None => "every running validator".into(),
        };
        self.note(Note::mark("client", format!("sends \"{}\" to {whom}", order.words())));
        for seat in &receivers {
            let ticket = self.client.ticket(*seat);
            self.push(*seat, Input::Submit { ticket, transaction: transaction.clone(), wait: Wait::Committed })?;
        }
        for seat in receivers {
            self.work(seat);
        }
        Ok(())
    }

    /// Sets whether the user votes for a validator. Switching this off hands the waiting proposals to the replica.
    pub(super) fn set_manual(&mut self, seat: Seat, manual: bool) -> Result<(), String> {
        let Some(player) = self.players.get_mut(seat) else { return Ok(()) };
        player.manual = manual;
        let waiting = if manual { Vec::new() } else { std::mem::take(&mut player.undecided) };
        for (from, message) in waiting {
            self.hand(seat, from, Content::Message(message))?;
        }
        Ok(())
    }

    /// The user's vote on a waiting proposal: the one named, or the one of the highest round.
    pub(super) fn vote(&mut self, seat: Seat, yes: bool, block: Option<&str>) -> Result<(), String> {
        let player = self.up(seat)?;
        let name = player.name.clone();
        if !player.manual {
            return Err(format!("{name} votes by itself, by the rules of §3.4; `vote manual {name}` first"));
        }
        let label = |message: &Message| match message {
            Message::Proposal(proposal) => self.blocks.label(&proposal.block.id()),
            _ => String::new(),
        };
        let round = |message: &Message| match message {
            Message::Proposal(proposal) => proposal.block.round().0,
            _ => 0,
        };
        let waiting: Vec<String> = player.undecided.iter().map(|(_, message)| label(message)).collect();
        let newest = player.undecided.iter().map(|(_, message)| round(message)).max();
        let chosen = block.map_or_else(
            || player.undecided.iter().position(|(_, message)| Some(round(message)) == newest),
            |block| waiting.iter().position(|label| label.eq_ignore_ascii_case(block)),
        );
        let Some(chosen) = chosen else {
            return Err(if waiting.is_empty() {
                format!("no proposal waits for {name}'s vote; `deliver` one to it first (`explain` shows what each validator waits for)")
            } else {
                format!("no such proposal waits for {name}'s vote; these do: {}", row(&waiting))
            });
        };
        let Some(player) = self.players.get_mut(seat) else { return Ok(()) };
        let (from, message) = player.undecided.remove(chosen);
        let decided = round(&message);
        // Proposals of earlier rounds are obsolete now.
        player.undecided.retain(|(_, other)| round(other) >= decided);
        if yes {
            return self.hand(seat, from, Content::Message(message));
        }
        let label = waiting.get(chosen).cloned().unwrap_or_default();
        self.note(Note::mark("vote", format!("{name} withholds its vote for {label}; it keeps the certificates that came with it")));
        Ok(())
    }

    /// Kills a process; everything not written is lost.
    pub(super) fn crash(&mut self, seat: Seat) -> Result<(), String> {
        let name = self.up(seat)?.name.clone();
        if let Some(player) = self.players.get_mut(seat) {
            player.machine.stop();
            player.undecided.clear();
        }
        let lost = self.flight.lose_to(seat);
        let lost = if lost == 0 { String::new() } else { format!("; lost with it: {} in flight", count(lost, "message")) };
        self.note(Note::bad("crash", format!("{name} is down{lost}")));
        Ok(())
    }

    /// Restarts a process on its disk.
    pub(super) fn recover(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.player(seat).ok_or("there is no such validator")?;
        let name = player.name.clone();
        if player.is_up() {
            return Err(format!("{name} is running; `crash {name}` first"));
        }
        self.note(Note::mark("recover", format!("{name} restarts from its disk: safety record, certificates, blocks (§3.4, §3.5)")));
        self.start(seat)?;
        let told = self.player(seat).and_then(|player| Some((player.engine()?.round(), player.view()?.header().height)));
        if let Some((round, height)) = told {
            self.note(Note::mark("recover", format!("{name} is in round {round}, at committed height {height}")));
        }
        Ok(())
    }

    /// Cuts the network. Unnamed processes form one more side.
    pub(super) fn partition(&mut self, groups: &[Vec<Seat>]) {
        let rest = groups.len();
        let side = |seat: Seat| groups.iter().position(|group| group.contains(&seat)).unwrap_or(rest);
        let sides: BTreeMap<Seat, usize> = (0..self.players.len()).map(|seat| (seat, side(seat))).collect();
        let words: Vec<String> = (0..=rest)
            .map(|side| sides.iter().filter(|(_, at)| **at == side).map(|(seat, _)| self.name(*seat)).collect::<Vec<String>>().join(", "))
            .filter(|names| !names.is_empty())
            .collect();
        self.flight.cut(sides);
        self.note(Note::bad("cut", format!("{}; messages across the cut wait for `heal`", words.join(" | "))));
    }

    /// Ends the partition.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        if !self.flight.heal() {
            return Err("the network is not partitioned; `partition A,B | C,D` cuts it".into());
        }
        self.note(Note::mark("heal", "the network is whole again".into()));
        Ok(())
    }

    /// Starts a second process with the same key, on a copy of the disk.
    pub(super) fn twin(&mut self, seat: Seat) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, clock) = (player.name.clone(), player.clock);
        let twin_name = format!("{name}'");
        if name.ends_with('\'') {
            return Err(format!("{name} is already a twin; one twin of each validator is enough for any equivocation"));
        }
        if self.players.iter().any(|other| other.name == twin_name) {
            return Err(format!("{name} already has a twin: {twin_name}"));
        }
        if self.players.len() >= PLAYERS_MAX {
            return Err(format!("a playground has at most {PLAYERS_MAX} processes; `reset` starts over"));
        }
        let machine = player.machine.twin();
        let proposals = player.proposals.clone();
        let twin = self.seat(twin_name.clone(), machine);
        if let Some(player) = self.players.get_mut(twin) {
            player.clock = clock;
            player.proposals = proposals;
        }
        self.flight.join_side(twin, seat);
        self.note(Note::bad("twin", format!("{twin_name} runs with {name}'s key and a copy of its disk; neither knows of the other")));
        self.start(twin)
    }

    /// Signs a vote with a validator's key, bypassing its replica: for the block's true result, or for a made-up one.
    pub(super) fn lie(&mut self, seat: Seat, to: &[Seat], yes: bool, block: Option<&str>) -> Result<(), String> {
        let player = self.up(seat)?;
        let (name, id) = (player.name.clone(), player.machine.id);
        let high_commit_qc = player.engine().map(|engine| engine.tree().high_commit_qc().clone()).ok_or("it is not running")?;
        let known = match block {
            Some(label) => self.blocks.find(label).ok_or_else(|| format!("there is no block {label}; `tree` shows the blocks"))?,
            None => self
                .blocks
                .in_order()
                .pop()
                .ok_or("there is no block to vote for yet; a transaction (`tx deposit alice 100`) makes the leader propose one")?,
        };
        let block = &known.block;
        let truth = self.result_of(&block.id()).ok_or_else(|| {
            format!("no validator has executed {} yet, so its result is unknown; `deliver` its proposal first", known.label)
        })?;
        let invented = StateId(Hash::of(&FALSE_RESULT, block.id().0.as_bytes()));
        let vote_info = VoteInfo {
            id: block.id(),
            round: block.round(),
            parent_id: block.parent_id(),
            parent_round: block.qc().round(),
            exec_state_id: if yes { truth } else { invented },
        };
        let commit_info = LedgerCommitInfo {
            genesis_hash: block.content().genesis_hash,
            epoch: block.content().epoch,
            commit_state_id: vote_info.commits_parent().then_some(block.qc().vote_info.exec_state_id),
            vote_info_hash: vote_info.digest(),
        };
        let key = self.setting.key(id).ok_or("there is no such validator")?;
        let vote = Verified::<Vote>::sign(vote_info, commit_info, &high_commit_qc, id, &key).ok_or("the key does not sign")?;
        let (label, round) = (self.vote_label(&vote.vote_info), block.round());
        self.tally.cast(round, seat, &label);
        let message = std::sync::Arc::new(Message::from(vote));
        for receiver in to {
            let whom = self.name(*receiver);
            if self.player(*receiver).is_some_and(|player| player.machine.id == id) {
                return Err(format!("{whom} has {name}'s own key; name another validator"));
            }
            self.up(*receiver)?;
            let number = self.post(seat, *receiver, Content::Message(std::sync::Arc::clone(&message))).unwrap_or_default();
            self.note(Note::bad(
                "lie",
                format!("{name} signs a vote for {label} in round {round} and sends it to {whom} only (#{number})"),
            ));
        }
        Ok(())
    }
}
