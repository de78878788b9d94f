//! Measures the speed of the simulator: honest validators, whose messages arrive at once.
//!
//! Types, signatures, replicas, ledgers and disks that count syncs are real. Only checks with the same result for every validator are shared:
//! a signature made in this process is not checked again (see [`crate::twins::Lab`]), and a message is verified once for all receivers.

#[cfg(feature = "command")]
pub(crate) mod command;

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use quorate_harness::{Content, Machine, Packet, is_for, time::Micros};
use quorate_replica::{Input, Output};
use quorate_types::{
    ids::ValidatorId,
    message::Recipients,
    round::{Height, Round},
};
use serde::Serialize;

use crate::twins::Lab;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpeedRun {
    /// Number of validators.
    pub validators: u16,
    /// Highest round reached.
    pub rounds: u64,
    /// Height that all validators have committed.
    pub height: u64,
    /// Number of transactions in these blocks.
    pub transactions: u64,
    /// Number of messages received.
    pub messages: u64,
    /// Virtual time passed, in milliseconds.
    pub virtual_ms: u64,
}

/// Runs an honest network until it reaches a round. As long as there are transactions, each block holds one. After that, blocks are empty and
/// the clock jumps from heartbeat to heartbeat.
///
/// # Errors
/// A validator does not start or stops, or a message does not verify.
pub fn honest(validators: u16, rounds: Round, transactions: u64) -> Result<SpeedRun, String> {
    let lab = Lab::new(validators, transactions)?;
    let leaders = Arc::default();
    let mut machines: Vec<Machine> = (0..validators).map(|id| Machine::by_hand(ValidatorId(id), &leaders)).collect();
    let (mut run, mut now) = (SpeedRun { validators, ..SpeedRun::default() }, Micros(0));
    let mut sent: VecDeque<Sent> = VecDeque::new();
    for machine in &mut machines {
        machine.start_at_genesis(&lab.setting, &lab.origin, now).map_err(|error| error.to_string())?;
        machine.push(Input::Gossip(lab.work.first().cloned().unwrap_or_default()), now);
    }
    for machine in &mut machines {
        work(machine, &mut sent, &mut run)?;
    }
    while run.rounds < rounds.0 {
        let Some(Sent { from, to, packet }) = sent.pop_front() else {
            now = machines.iter().filter_map(Machine::deadline).min().ok_or("no validator has a deadline")?.max(now);
            for machine in machines.iter_mut().filter(|machine| machine.deadline().is_some_and(|deadline| deadline <= now)) {
                machine.push(Input::Tick, now);
                work(machine, &mut sent, &mut run)?;
            }
            continue;
        };
        for machine in machines.iter_mut().filter(|machine| is_for(to, from, machine.id)) {
            run.messages = run.messages.saturating_add(1);
            let opened = packet.open(&lab.setting.verifier, from).map_err(|refused| refused.what)?;
            machine.push(opened.into_input(from), now);
            work(machine, &mut sent, &mut run)?;
        }
    }
    run.height = machines.iter().map(Machine::height).min().unwrap_or(Height(0)).0;
    run.virtual_ms = now.ms();
    Ok(run)
}

struct Sent {
    from: ValidatorId,
    to: Recipients,
    packet: Rc<Packet>,
}

/// Lets a validator work until it waits for input.
fn work(machine: &mut Machine, sent: &mut VecDeque<Sent>, run: &mut SpeedRun) -> Result<(), String> {
    let id = machine.id;
    while let Some(output) = machine.work().output.map_err(|fatal| format!("validator {id} stops: {fatal}"))? {
        match output {
            Output::Send { to, message } => sent.push_back(Sent { from: id, to, packet: Packet::plain(Content::Message(message)) }),
            Output::Committed(committed) if id == ValidatorId(0) => {
                let receipts: usize = committed.blocks.iter().map(|block| block.receipts.len()).sum();
                run.transactions = run.transactions.saturating_add(receipts as u64);
            }
            Output::Accused(evidence) => return Err(format!("validator {id} accuses validator {}", evidence.culprit)),
            Output::Committed(_)
            | Output::Gossip(_)
            | Output::Serve(_)
            | Output::Answer { .. }
            | Output::Ignored { .. }
            | Output::Worked => {}
        }
    }
    run.rounds = run.rounds.max(machine.round().0);
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
