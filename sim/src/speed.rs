//! How fast the simulator is: honest validators that hear each other at once, with nothing in between.
//!
//! Everything is real: types, signatures, replicas, ledgers, disks that count syncs. Only what is a fact about bytes is found out once for
//! all: a signature that a validator of this process has made is not checked again (see [`crate::twins::Lab`]), and a message is verified
//! once for all who receive it.

#[cfg(feature = "command")]
pub(crate) mod command;

use std::{collections::VecDeque, sync::Arc};

use quorate_replica::{Input, Output};
use quorate_types::{
    ids::ValidatorId,
    message::{Message, Recipients},
    round::{Height, Round},
};
use serde::Serialize;

use crate::{actor::Actor, time::Micros, twins::Lab};

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpeedRun {
    /// How many validators took part.
    pub validators: u16,
    /// The round that it came to.
    pub rounds: u64,
    /// The height that all have committed.
    pub height: u64,
    /// How many transactions are in these blocks.
    pub transactions: u64,
    /// How many messages arrived.
    pub messages: u64,
    /// How much virtual time went by, in milliseconds.
    pub virtual_ms: u64,
}

/// Runs an honest network until it has come to a round. While there are transactions each block holds one; then blocks are empty, and the
/// clock jumps from heartbeat to heartbeat.
///
/// # Errors
/// A validator does not start or stops, or a message does not verify.
pub fn honest(validators: u16, rounds: Round, transactions: u64) -> Result<SpeedRun, String> {
    let lab = Lab::new(validators, transactions)?;
    let leaders = Arc::default();
    let mut actors: Vec<Actor> = (0..validators).map(|id| Actor::new(ValidatorId(id), 0)).collect();
    let (mut run, mut now) = (SpeedRun { validators, ..SpeedRun::default() }, Micros(0));
    let mut parcels: VecDeque<(ValidatorId, Recipients, Arc<Message>)> = VecDeque::new();
    for actor in &mut actors {
        actor.start_at_genesis(&lab.setting, &lab.origin, &leaders, now)?;
        actor.give(Input::Gossip(lab.work.first().cloned().unwrap_or_default()), now);
    }
    for actor in &mut actors {
        work(actor, &mut parcels, &mut run)?;
    }
    while run.rounds < rounds.0 {
        let Some((from, to, message)) = parcels.pop_front() else {
            now = actors.iter().filter_map(Actor::deadline).min().ok_or("everybody waits for ever")?.max(now);
            for actor in actors.iter_mut().filter(|actor| actor.deadline().is_some_and(|deadline| deadline <= now)) {
                actor.give(Input::Tick, now);
                work(actor, &mut parcels, &mut run)?;
            }
            continue;
        };
        let message = Arc::unwrap_or_clone(message);
        let verified = lab.setting.verifier.message(from, message).map_err(|error| error.to_string())?;
        let receives = |actor: &Actor| match to {
            Recipients::Others => actor.id != from,
            Recipients::One(to) => actor.id == to,
        };
        for actor in actors.iter_mut().filter(|actor| receives(actor)) {
            run.messages = run.messages.saturating_add(1);
            actor.give(Input::Message { from, message: verified.clone() }, now);
            work(actor, &mut parcels, &mut run)?;
        }
    }
    let heights = actors.iter().filter_map(|actor| actor.replica.as_ref()).map(|replica| replica.ledger().root().height);
    run.height = heights.min().unwrap_or(Height(0)).0;
    run.virtual_ms = now.ms();
    Ok(run)
}

/// Lets a validator do all that it can do.
fn work(actor: &mut Actor, parcels: &mut VecDeque<(ValidatorId, Recipients, Arc<Message>)>, run: &mut SpeedRun) -> Result<(), String> {
    let id = actor.id;
    while let Some(output) = actor.work().map_err(|fatal| format!("validator {id} stops: {fatal}"))? {
        match output {
            Output::Send { to, message } => parcels.push_back((id, to, message)),
            Output::Committed(committed) if id == ValidatorId(0) => {
                let receipts: usize = committed.blocks.iter().map(|block| block.receipts.len()).sum();
                run.transactions = run.transactions.saturating_add(receipts as u64);
            }
            Output::Accused(evidence) => return Err(format!("validator {id} accuses validator {}", evidence.culprit())),
            Output::Committed(_)
            | Output::Gossip(_)
            | Output::Serve(_)
            | Output::Answer { .. }
            | Output::Ignored { .. }
            | Output::Worked => {}
        }
    }
    let round = actor.replica.as_ref().map_or(0, |replica| replica.engine().round().0);
    run.rounds = run.rounds.max(round);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_validators_commit_in_every_round() {
        let run = honest(4, Round(60), 20).unwrap();
        assert_eq!((run.rounds, run.transactions), (60, 20));
        assert!(run.height >= 57, "{run:?}");
        assert_eq!(run, honest(4, Round(60), 20).unwrap());
    }
}
