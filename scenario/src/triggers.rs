//! Failures triggered by counts of received messages, as in the format of 2017: `shuttle(0,2),change_result()`.
//!
//! The names are those of Byzantine Chain Replication; a table in docs/scenarios.md says what they mean in this protocol. Events are counted
//! from 0, for each validator and (if the event has one) client, and from 0 again after a restart.

use std::fmt;

use super::{
    operations::{Argument, Call, Wrong},
    spelling::plain,
};

/// A counted event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A client's request arrives from the client.
    ClientRequest,
    /// A client's transaction arrives from another validator.
    ForwardedRequest,
    /// A proposal with a client's transaction arrives.
    Shuttle,
    /// A vote for a block with a client's transaction arrives, or a proposal with the block's certificate.
    ResultShuttle,
    /// A timeout arrives.
    WedgeRequest,
    /// The validator enters a round after one that was given up.
    NewConfiguration,
    /// The validator commits blocks.
    Checkpoint,
    /// Another validator's certificates arrive (`SyncInfo`).
    CompletedCheckpoint,
    /// A request for committed blocks arrives.
    GetRunningState,
    /// A request for pending blocks arrives.
    CatchUp,
}

impl Event {
    const ALL: [(Self, &'static str, bool); 10] = [
        (Self::ClientRequest, "client_request", true),
        (Self::ForwardedRequest, "forwarded_request", true),
        (Self::Shuttle, "shuttle", true),
        (Self::ResultShuttle, "result_shuttle", true),
        (Self::WedgeRequest, "wedge_request", false),
        (Self::NewConfiguration, "new_configuration", false),
        (Self::Checkpoint, "checkpoint", false),
        (Self::CompletedCheckpoint, "completed_checkpoint", false),
        (Self::GetRunningState, "get_running_state", false),
        (Self::CatchUp, "catch_up", false),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(event, ..)| *event == self).map_or("", |(_, name, _)| name)
    }
}

/// What a trigger makes the validator do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Equivocates: the next proposal differs between receivers.
    ChangeOperation,
    /// Gives a wrong result in the next vote and in the next answer to a client.
    ChangeResult,
    /// Does not send the next vote.
    DropResultStmt,
    /// Loses power for good.
    Crash,
    /// From now on, leaves this many blocks out of responses to fetch requests, and all out of those to catch-up requests.
    TruncateHistory(u64),
    /// Does nothing for this many milliseconds.
    Sleep(u64),
    /// Drops the message that triggered it.
    Drop,
    /// Claims the next round in the next proposal.
    IncrementSlot,
    /// Votes for wrong results from now on, as if its state differed.
    ExtraOp,
    /// Signs the next proposal wrongly.
    InvalidOrderSig,
    /// Signs the next vote wrongly.
    InvalidResultSig,
    /// Does not send certificates (`SyncInfo`) from now on.
    DropCheckptStmts,
}

impl Deed {
    fn parse(call: &Call) -> Option<Self> {
        let none = call.arguments.is_empty();
        let number = match call.arguments.as_slice() {
            [Argument::Number(number)] => Some(*number),
            _ => None,
        };
        match plain(&call.name).as_str() {
            "changeoperation" if none => Some(Self::ChangeOperation),
            "changeresult" if none => Some(Self::ChangeResult),
            "dropresultstmt" if none => Some(Self::DropResultStmt),
            "crash" if none => Some(Self::Crash),
            "truncatehistory" => number.map(Self::TruncateHistory),
            "sleep" => number.filter(|ms| *ms <= SLEEP_MS_MAX).map(Self::Sleep),
            "drop" if none => Some(Self::Drop),
            "incrementslot" if none => Some(Self::IncrementSlot),
            "extraop" if none => Some(Self::ExtraOp),
            "invalidordersig" if none => Some(Self::InvalidOrderSig),
            "invalidresultsig" if none => Some(Self::InvalidResultSig),
            "dropcheckptstmts" if none => Some(Self::DropCheckptStmts),
            _ => None,
        }
    }

    /// Whether an honest validator on a bad machine or network could behave like this.
    #[must_use]
    pub const fn is_benign(self) -> bool {
        match self {
            Self::DropResultStmt | Self::Crash | Self::Sleep(_) | Self::Drop | Self::DropCheckptStmts => true,
            Self::ChangeOperation
            | Self::ChangeResult
            | Self::TruncateHistory(_)
            | Self::IncrementSlot
            | Self::ExtraOp
            | Self::InvalidOrderSig
            | Self::InvalidResultSig => false,
        }
    }
}

/// Longest sleep, in milliseconds: an hour.
const SLEEP_MS_MAX: u64 = 3_600_000;

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeOperation => f.write_str("change_operation()"),
            Self::ChangeResult => f.write_str("change_result()"),
            Self::DropResultStmt => f.write_str("drop_result_stmt()"),
            Self::Crash => f.write_str("crash()"),
            Self::TruncateHistory(blocks) => write!(f, "truncate_history({blocks})"),
            Self::Sleep(ms) => write!(f, "sleep({ms})"),
            Self::Drop => f.write_str("drop()"),
            Self::IncrementSlot => f.write_str("increment_slot()"),
            Self::ExtraOp => f.write_str("extra_op()"),
            Self::InvalidOrderSig => f.write_str("invalid_order_sig()"),
            Self::InvalidResultSig => f.write_str("invalid_result_sig()"),
            Self::DropCheckptStmts => f.write_str("drop_checkpt_stmts()"),
        }
    }
}

/// A failure triggered by a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its line in the file.
    pub line: usize,
    /// The validator that fails.
    pub validator: u16,
    /// The counted event.
    pub event: Event,
    /// The client, if the event is counted by client.
    pub client: Option<u16>,
    /// The count at which it happens, from 0.
    pub count: u64,
    /// What the validator does.
    pub deed: Deed,
}

impl Trigger {
    /// The event as written in files: `shuttle(0,2)`.
    #[must_use]
    pub fn on(&self) -> String {
        match self.client {
            Some(client) => format!("{}({client},{})", self.event.name(), self.count),
            None => format!("{}({})", self.event.name(), self.count),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validator {}: {},{}", self.validator, self.on(), self.deed)
    }
}

/// An event with its client and count.
pub(crate) type On = (Event, Option<u16>, u64);

/// Parses an event.
pub(crate) fn event(call: &Call) -> Result<On, Wrong> {
    let Some((event, name, of_client)) = Event::ALL.iter().find(|(_, name, _)| plain(name) == plain(&call.name)) else {
        let names: Vec<&str> = Event::ALL.iter().map(|(_, name, _)| *name).collect();
        return Err((call.at, format!("there is no trigger `{}`", call.name), format!("the triggers are {}", names.join(", "))));
    };
    match (of_client, call.arguments.as_slice()) {
        (true, [Argument::Number(client), Argument::Number(count)]) if u16::try_from(*client).is_ok() => {
            Ok((*event, u16::try_from(*client).ok(), *count))
        }
        (false, [Argument::Number(count)]) => Ok((*event, None, *count)),
        (true, _) => Err((call.at, format!("{name} counts a client's messages"), format!("write {name}(client,count)"))),
        (false, _) => Err((call.at, format!("{name} takes one number, the count"), format!("write {name}(count)"))),
    }
}

/// Parses a failure.
pub(crate) fn deed(call: &Call) -> Result<Deed, Wrong> {
    Deed::parse(call).ok_or_else(|| {
        (
            call.at,
            format!("`{}` is not a failure, or has wrong arguments", call.name),
            "the failures are change_operation(), change_result(), drop_result_stmt(), crash(), truncate_history(blocks), sleep(ms), drop(), \
             increment_slot(), extra_op(), invalid_order_sig(), invalid_result_sig(), drop_checkpt_stmts()"
                .into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::calls;

    #[test]
    fn every_trigger_and_failure_reads_as_it_is_written() {
        for (kind, name, of_client) in Event::ALL {
            let text = if of_client { format!("{name}(3,7)") } else { format!("{name}(7)") };
            let (event, client, count) = event(&calls(&text).unwrap()[0]).unwrap();
            assert_eq!((event, count, client.is_some()), (kind, 7, of_client));
            let trigger = Trigger { line: 1, validator: 0, event, client, count, deed: Deed::Crash };
            assert_eq!(trigger.on(), text);
        }
        let names = "change_operation(); change_result(); drop_result_stmt(); crash(); truncate_history(3); sleep(200); drop(); \
                     increment_slot(); extra_op(); invalid_order_sig(); invalid_result_sig(); drop_checkpt_stmts()";
        let read: Vec<String> = calls(names).unwrap().iter().map(|call| deed(call).unwrap().to_string()).collect();
        assert_eq!(read.join("; "), names);
        // Spelling is lenient.
        assert_eq!(event(&calls("ClientRequest(3,7)").unwrap()[0]).unwrap(), (Event::ClientRequest, Some(3), 7));
        assert_eq!(deed(&calls("TRUNCATE_HISTORY(3)").unwrap()[0]).unwrap(), Deed::TruncateHistory(3));
    }

    #[test]
    fn refuses_unknown_names_and_wrong_arguments() {
        for text in ["shuttle(1)", "checkpoint(1,2)", "shuttle(70000,1)", "votes(1)"] {
            assert!(event(&calls(text).unwrap()[0]).is_err(), "{text}");
        }
        for text in ["crash(1)", "sleep()", "sleep(999999999999)", "explode()", "truncate_history('a')"] {
            assert!(deed(&calls(text).unwrap()[0]).is_err(), "{text}");
        }
    }
}
