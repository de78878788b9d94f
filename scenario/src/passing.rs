//! What happens to a message between sender and receivers: failure rules, lies and triggers.

use std::{rc::Rc, sync::Arc};

use quorate_harness::{
    Content, Happened, Packet,
    contents::{self, Statement},
    invariants::{Observation, Violation},
    is_for,
    time::Micros,
};
use quorate_replica::Answer;
use quorate_types::{
    crypto::SigningKey,
    ids::{BlockId, ValidatorId},
    message::{Message, Purpose, Recipients},
    receipt::Outcome,
    round::Round,
    transaction::Transaction,
};

use super::{
    executor::{Cause, Executor, Happening, Load},
    rules::{Attribute, Fault, Kind, Passing, first_match},
    seat::take,
    tamper,
    triggers::{Deed, Event},
};

/// The fate of a message to one receiver.
enum Way {
    /// Delivered, with this extra delay.
    Goes(Micros),
    /// Never delivered.
    Lost,
    /// Replaced by these.
    Instead(Vec<Message>),
    /// Not sent: the sender has crashed.
    SenderGone,
}

const fn kind_of(message: &Message) -> Kind {
    match message.purpose() {
        Purpose::Propose => Kind::Proposal,
        Purpose::Vote => Kind::Vote,
        Purpose::Timeout => Kind::TimeOut,
        Purpose::Inform => Kind::QC,
        Purpose::Ask => Kind::SyncRequest,
        Purpose::Answer => Kind::SyncResponse,
    }
}

impl Executor<'_> {
    fn targets(&self, from: ValidatorId, to: Recipients) -> Vec<ValidatorId> {
        self.seats.iter().map(|seat| seat.id).filter(|other| is_for(to, from, *other)).collect()
    }

    pub(super) fn current_round(&self, id: ValidatorId) -> Round {
        self.seats.get(id.index()).map_or(Round(0), |seat| seat.machine.round())
    }

    /// A validator sends a message.
    pub(super) fn send(&mut self, id: ValidatorId, to: Recipients, message: &Arc<Message>) -> Happened {
        let targets = self.targets(id, to);
        // A message that names a round belongs to that round, even if its sender has moved on.
        let round = contents::round_of(message).unwrap_or_else(|| self.current_round(id));
        let kind = kind_of(message);
        let parcel = Packet::plain(Content::Message(Arc::clone(message)));
        let lie = self.lie(id, message);
        for (index, to) in targets.into_iter().enumerate() {
            let parcel = match &lie {
                Lie::None => &parcel,
                Lie::Silence => return Ok(()),
                Lie::All(other) => other,
                // Every other receiver gets the lie.
                Lie::Half(other) => {
                    if index % 2 == 1 {
                        other
                    } else {
                        &parcel
                    }
                }
            };
            if !self.pass(Some(id), Some(to), kind, round, Load::Parcel(Rc::clone(parcel)))? {
                break;
            }
        }
        Ok(())
    }

    /// A validator gossips transactions.
    pub(super) fn gossip(&mut self, id: ValidatorId, transactions: Vec<Transaction>) -> Happened {
        let round = self.current_round(id);
        let parcel = Packet::plain(Content::Transactions(transactions));
        for to in self.targets(id, Recipients::Others) {
            if !self.pass(Some(id), Some(to), Kind::Gossip, round, Load::Parcel(Rc::clone(&parcel)))? {
                break;
            }
        }
        Ok(())
    }

    /// Passes a message to one receiver. Returns whether the sender is still up.
    pub(super) fn pass(
        &mut self,
        from: Option<ValidatorId>,
        to: Option<ValidatorId>,
        kind: Kind,
        round: Round,
        load: Load,
    ) -> Result<bool, Violation> {
        self.counted.messages = self.counted.messages.saturating_add(1);
        match self.way(from, to, kind, round, &load) {
            Way::Lost => {}
            Way::SenderGone => return Ok(false),
            Way::Goes(later) => self.carry(from, to, later, load)?,
            Way::Instead(messages) => {
                for message in messages {
                    self.carry(from, to, Micros(0), Load::Parcel(Packet::plain(Content::Message(Arc::new(message)))))?;
                }
            }
        }
        Ok(true)
    }

    fn carry(&mut self, from: Option<ValidatorId>, to: Option<ValidatorId>, later: Micros, load: Load) -> Happened {
        self.leaves(from, &load)?;
        let (min, max) = self.scenario.network_delay_ms;
        let delay = Micros(self.network.between(Micros::from_ms(min).0, Micros::from_ms(max).0));
        self.agenda.plan(self.now.after(delay).after(later), Happening::Arrive { from, to, load });
        Ok(())
    }

    /// Reports what a faulty validator really sends, after all rewriting, to the invariants and triggers. An honest validator's message was
    /// reported when its replica sent it.
    fn leaves(&mut self, from: Option<ValidatorId>, load: &Load) -> Happened {
        let (Some(from), Load::Parcel(parcel)) = (from, load) else { return Ok(()) };
        let Some(Content::Message(message)) = parcel.content() else { return Ok(()) };
        if !self.seats.get(from.index()).is_some_and(|seat| seat.faulty) {
            return Ok(());
        }
        self.note_block(message);
        self.watch.see(self.now, &Observation::Sent { node: from, message, durable: None })
    }

    fn way(&mut self, from: Option<ValidatorId>, to: Option<ValidatorId>, kind: Kind, round: Round, load: &Load) -> Way {
        let scenario = self.scenario;
        let leader = |round: Round| {
            let engine = from.and_then(|from| self.seats.get(from.index())?.machine.engine());
            engine.map(|engine| engine.leader(round).0)
        };
        let passing = Passing {
            src: from.map(|id| id.0),
            dest: to.map(|id| id.0),
            kind,
            round: round.0,
            leader: leader(round),
            next_leader: leader(round.next()),
        };
        let Some((number, rule)) =
            first_match(&scenario.failures, &passing).and_then(|number| Some((number, scenario.failures.get(number)?)))
        else {
            return Way::Goes(Micros(0));
        };
        if rule.per_million < 1_000_000 && self.dice.below(1_000_000) >= rule.per_million {
            return Way::Goes(Micros(0));
        }
        let party = |id: Option<ValidatorId>| id.map_or_else(|| "a client".into(), |id| format!("v{id}"));
        let what = format!("{} of round {round} from {} to {}", kind.name(), party(from), party(to));
        let way = match rule.fault {
            Fault::MsgLoss | Fault::NoPropose => Way::Lost,
            Fault::Delay(micros) => Way::Goes(Micros(micros)),
            Fault::Crash(down) => match from {
                Some(from) => {
                    self.power_off(from, down.map(Micros));
                    Way::SenderGone
                }
                None => return Way::Goes(Micros(0)),
            },
            Fault::SetAttr(attribute, value) => match (from.and_then(|from| self.liar(from)), load) {
                (Some(key), Load::Parcel(parcel)) => match self.set_attribute(parcel, attribute, Round(value), &key) {
                    Some(messages) => Way::Instead(messages),
                    None => return Way::Goes(Micros(0)),
                },
                // Only a faulty validator's state can be set.
                _ => return Way::Goes(Micros(0)),
            },
        };
        self.counted.struck.insert((Cause::Failure, number));
        self.injected(rule.fault.name(), &format!("failure {} (line {}): {rule}  <- {what}", number.saturating_add(1), rule.line));
        way
    }

    /// The key of a validator, if it may lie.
    fn liar(&self, id: ValidatorId) -> Option<SigningKey> {
        self.seats.get(id.index()).filter(|seat| seat.faulty)?;
        self.setting.key(id)
    }

    /// What the validator would send if the attribute had this value; `None` if the same.
    fn set_attribute(&self, parcel: &Packet, attribute: Attribute, value: Round, key: &SigningKey) -> Option<Vec<Message>> {
        let Some(Content::Message(message)) = parcel.content() else { return None };
        let own = (**message).clone();
        let instead = match (attribute, &own) {
            (Attribute::CurrentRound, _) => vec![tamper::claim_round(&own, value, key)],
            (Attribute::HighQcRound, _) => vec![tamper::claim_certificate(&own, value, self.certificates.get(&value), key)],
            // If it believes it last voted in an earlier round, it votes again; if in this or a later one, it does not vote.
            (Attribute::HighestVoteRound, Message::Vote(vote)) => {
                if vote.vote_info.round > value {
                    vec![own.clone(), tamper::other_result(vote, key)]
                } else {
                    Vec::new()
                }
            }
            (Attribute::HighestVoteRound, Message::Timeout(timeout)) if timeout.timeout.round < value => Vec::new(),
            (Attribute::HighestVoteRound, _) => return None,
        };
        (instead.as_slice() != [own]).then_some(instead)
    }

    /// Logs and counts an injected failure.
    fn injected(&mut self, name: &str, text: &str) {
        self.failures.add(self.now, text);
        let count = self.counted.injected.entry(name.to_owned()).or_default();
        *count = count.saturating_add(1);
    }

    // ---- triggers -----------------------------------------------------------------------------------------------------------------

    /// The trigger events, each with its client, that the arrival of a message counts as.
    pub(super) fn events_of(&self, load: &Load) -> Vec<(Event, Option<u16>)> {
        if self.scenario.triggers.is_empty() {
            return Vec::new();
        }
        let clients = |event: Event, block: BlockId| {
            let clients = self.block_clients.get(&block).into_iter().flatten();
            clients.map(move |client| (event, Some(*client))).collect::<Vec<_>>()
        };
        match load {
            Load::Answer { .. } => Vec::new(),
            Load::Request { client, .. } => vec![(Event::ClientRequest, Some(*client))],
            Load::Parcel(parcel) => match parcel.content() {
                Some(Content::Transactions(transactions)) => {
                    let owners = transactions.iter().filter_map(|transaction| self.owners.get(&transaction.sender()).copied());
                    owners.map(|client| (Event::ForwardedRequest, Some(client))).collect()
                }
                None => Vec::new(),
                Some(Content::Message(message)) => match contents::statement(message) {
                    Some(Statement::Proposal(proposal)) => {
                        let mut events = clients(Event::Shuttle, proposal.block.id());
                        events.extend(clients(Event::ResultShuttle, proposal.block.parent_id()));
                        events
                    }
                    Some(Statement::Vote(vote)) => clients(Event::ResultShuttle, vote.vote_info.id),
                    Some(Statement::Timeout(_)) => vec![(Event::WedgeRequest, None)],
                    None if matches!(**message, Message::SyncInfo(_)) => vec![(Event::CompletedCheckpoint, None)],
                    None if matches!(**message, Message::CatchupRequest(_)) => vec![(Event::GetRunningState, None)],
                    None if matches!(**message, Message::FetchRequest(_)) => vec![(Event::CatchUp, None)],
                    None => Vec::new(),
                },
            },
        }
    }

    /// Counts an event and does what it triggers. Returns whether the message is to be dropped.
    pub(super) fn fire(&mut self, id: ValidatorId, event: Event, client: Option<u16>) -> bool {
        let scenario = self.scenario;
        if scenario.triggers.is_empty() {
            return false;
        }
        let Some(seat) = self.seats.get_mut(id.index()) else { return false };
        let counter = seat.counts.entry((event, client)).or_default();
        let count = *counter;
        *counter = counter.saturating_add(1);
        let mut dropped = false;
        for (number, trigger) in scenario.triggers.iter().enumerate() {
            if (trigger.validator, trigger.event, trigger.client, trigger.count) != (id.0, event, client, count) {
                continue;
            }
            self.counted.struck.insert((Cause::Trigger, number));
            let text = format!("trigger {} (line {}): {trigger}", number.saturating_add(1), trigger.line);
            self.injected(deed_name(trigger.deed), &text);
            dropped |= self.deed(id, trigger.deed);
        }
        dropped
    }

    fn deed(&mut self, id: ValidatorId, deed: Deed) -> bool {
        let now = self.now;
        let Some(seat) = self.seats.get_mut(id.index()) else { return false };
        let lies = &mut seat.lies;
        let more = |count: &mut u32| *count = count.saturating_add(1);
        match deed {
            Deed::ChangeOperation => more(&mut lies.other_block),
            Deed::ChangeResult => {
                more(&mut lies.other_result);
                more(&mut lies.false_answer);
            }
            Deed::DropResultStmt => more(&mut lies.drop_vote),
            Deed::IncrementSlot => more(&mut lies.next_round),
            Deed::InvalidOrderSig => more(&mut lies.spoil_proposal),
            Deed::InvalidResultSig => more(&mut lies.spoil_vote),
            Deed::ExtraOp => lies.other_state = true,
            Deed::TruncateHistory(blocks) => lies.withhold = blocks,
            Deed::DropCheckptStmts => lies.keep_certificates = true,
            Deed::Sleep(ms) => seat.asleep_until = now.after(Micros::from_ms(ms)),
            Deed::Crash => {
                self.power_off(id, None);
                return true;
            }
            Deed::Drop => return true,
        }
        false
    }

    /// The lie that triggers have planned for a message, if any.
    fn lie(&mut self, id: ValidatorId, message: &Arc<Message>) -> Lie {
        let key = self.setting.key(id);
        let (Some(key), Some(seat)) = (key, self.seats.get_mut(id.index())) else { return Lie::None };
        let lies = &mut seat.lies;
        let parcel = |message: Message| Packet::plain(Content::Message(Arc::new(message)));
        match contents::statement(message) {
            Some(Statement::Proposal(_)) if take(&mut lies.spoil_proposal) => Lie::All(parcel(tamper::spoil(message))),
            Some(Statement::Proposal(proposal)) if take(&mut lies.next_round) => {
                Lie::All(parcel(tamper::claim_round(message, proposal.block.round().next(), &key)))
            }
            Some(Statement::Proposal(proposal)) if take(&mut lies.other_block) => Lie::Half(parcel(tamper::other_block(proposal, &key))),
            Some(Statement::Vote(_)) if take(&mut lies.drop_vote) => Lie::Silence,
            Some(Statement::Vote(_)) if take(&mut lies.spoil_vote) => Lie::All(parcel(tamper::spoil(message))),
            Some(Statement::Vote(vote)) if lies.other_state || take(&mut lies.other_result) => {
                Lie::All(parcel(tamper::other_result(vote, &key)))
            }
            None if lies.keep_certificates && message.purpose() == Purpose::Inform => Lie::Silence,
            None if lies.withhold > 0 && contents::answered_blocks(message).is_some() => {
                Lie::All(parcel(tamper::withhold(message, lies.withhold)))
            }
            Some(Statement::Proposal(_) | Statement::Vote(_) | Statement::Timeout(_)) | None => Lie::None,
        }
    }

    /// The answer, falsified if a trigger has planned that.
    pub(super) fn false_answer(&mut self, id: ValidatorId, answer: Answer) -> Answer {
        let Some(seat) = self.seats.get_mut(id.index()) else { return answer };
        match answer {
            Answer::Committed { height, index, .. } if take(&mut seat.lies.false_answer) => {
                Answer::Committed { height, index, outcome: Outcome::Applied(quorate_builtin::Answer::Value(b"a lie".to_vec()).encode()) }
            }
            other @ (Answer::Committed { .. } | Answer::Accepted | Answer::Rejected { .. }) => other,
        }
    }
}

enum Lie {
    None,
    Silence,
    All(Rc<Packet>),
    Half(Rc<Packet>),
}

const fn deed_name(deed: Deed) -> &'static str {
    match deed {
        Deed::ChangeOperation => "change_operation",
        Deed::ChangeResult => "change_result",
        Deed::DropResultStmt => "drop_result_stmt",
        Deed::Crash => "crash",
        Deed::TruncateHistory(_) => "truncate_history",
        Deed::Sleep(_) => "sleep",
        Deed::Drop => "drop",
        Deed::IncrementSlot => "increment_slot",
        Deed::ExtraOp => "extra_op",
        Deed::InvalidOrderSig => "invalid_order_sig",
        Deed::InvalidResultSig => "invalid_result_sig",
        Deed::DropCheckptStmts => "drop_checkpt_stmts",
    }
}
