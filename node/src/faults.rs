//! Injected message failures, for experiments with real processes. Compiled in only with the feature `faults`, which releases lack.
//!
//! The rules come from `config/faults.json` in the home directory, which `quorate localnet start --scenario` writes. Delayed messages, at most
//! [`LATE_MAX`], wait on a separate thread.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use quorate_faults::{Dice, Fault, Kind, PLAN_BYTES_MAX, Passing, Plan, first_match};
use quorate_network::{Class, Network, PeerIndex};
use quorate_types::{
    ids::ValidatorId,
    message::{Message, Purpose},
    round::Round,
};

/// Most delayed messages; further ones are lost.
const LATE_MAX: usize = 10_000;
/// Longest sleep of the idle thread.
const IDLE: Duration = Duration::from_secs(60);

/// A delayed message.
struct Late {
    due: Instant,
    peer: PeerIndex,
    class: Class,
    bytes: Bytes,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Send it now.
    Sent,
    /// Drop it.
    Lost,
    /// Send it after this delay.
    Late(Duration),
}

/// The failures that one process injects.
pub(crate) struct Faults {
    me: ValidatorId,
    plan: Plan,
    dice: Mutex<Dice>,
    late: SyncSender<Late>,
}

impl Faults {
    /// Reads the plan, if the file exists.
    pub(crate) fn read(file: &Path) -> io::Result<Option<Plan>> {
        let size = match fs::metadata(file) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if size > PLAN_BYTES_MAX {
            return Err(io::Error::other(format!("{} is larger than {PLAN_BYTES_MAX} bytes", file.display())));
        }
        let plan: Plan = serde_json::from_slice(&fs::read(file)?)
            .map_err(|error| io::Error::other(format!("{}: {error}; let `quorate localnet start --scenario` write it", file.display())))?;
        if let Some((rule, why)) = plan.impossible() {
            return Err(io::Error::other(format!("{}: a process cannot obey {rule}: {why}", file.display())));
        }
        Ok(Some(plan))
    }

    /// Starts the thread that delays messages.
    pub(crate) fn start(plan: Plan, me: ValidatorId, network: &Network) -> io::Result<Self> {
        let (late, queue) = mpsc::sync_channel(LATE_MAX);
        let network = network.clone();
        std::thread::Builder::new().name("faults".into()).spawn(move || hold_back(&queue, &network))?;
        tracing::warn!(rules = plan.rules.len(), seed = plan.seed, "this validator injects failures: it is for experiments only");
        Ok(Self { me, dice: Mutex::new(Dice::new(plan.seed, me.0)), plan, late })
    }

    /// Decides what is done with a message to `to`, or, for `None`, with gossip, which goes to all.
    pub(crate) fn fate(&self, to: Option<ValidatorId>, kind: Kind, round: Round, leader: impl Fn(Round) -> ValidatorId) -> Fate {
        let passing = Passing {
            src: Some(self.me.0),
            dest: to.map(|to| to.0),
            kind,
            round: round.0,
            leader: Some(leader(round).0),
            next_leader: Some(leader(round.next()).0),
        };
        let Some((number, rule)) = first_match(&self.plan.rules, &passing).and_then(|number| Some((number, self.plan.rules.get(number)?)))
        else {
            return Fate::Sent;
        };
        if !self.dice.lock().unwrap_or_else(PoisonError::into_inner).chance(rule.per_million) {
            return Fate::Sent;
        }
        let receiver = to.map_or_else(|| "all".into(), |to| to.to_string());
        tracing::warn!(failure = number.saturating_add(1), line = rule.line, %rule, kind = kind.name(), %round, to = receiver, "injected");
        match rule.fault {
            Fault::MsgLoss | Fault::NoPropose => Fate::Lost,
            Fault::Delay(micros) => Fate::Late(Duration::from_micros(micros)),
            // Refused at startup.
            Fault::SetAttr(..) | Fault::Crash(_) => Fate::Sent,
        }
    }

    /// Sends a message after a delay.
    pub(crate) fn later(&self, after: Duration, peer: PeerIndex, class: Class, bytes: Bytes) {
        let late = Late { due: Instant::now() + after, peer, class, bytes };
        if self.late.try_send(late).is_err() {
            tracing::warn!("{LATE_MAX} messages are delayed already; this one is lost");
        }
    }
}

/// A message's kind, and its round if it names one.
pub(crate) fn kind_and_round(message: &Message) -> (Kind, Option<Round>) {
    let kind = match message.purpose() {
        Purpose::Propose => Kind::Proposal,
        Purpose::Vote => Kind::Vote,
        Purpose::Timeout => Kind::TimeOut,
        Purpose::Inform => Kind::QC,
        Purpose::Ask => Kind::SyncRequest,
        Purpose::Answer => Kind::SyncResponse,
    };
    (kind, message.round())
}

fn hold_back(queue: &mpsc::Receiver<Late>, network: &Network) {
    let mut held: BTreeMap<(Instant, u64), Late> = BTreeMap::new();
    let mut count = 0u64;
    loop {
        let wait = held.keys().next().map_or(IDLE, |(due, _)| due.saturating_duration_since(Instant::now()));
        match queue.recv_timeout(wait) {
            Ok(late) if held.len() < LATE_MAX => {
                count = count.saturating_add(1);
                held.insert((late.due, count), late);
            }
            Ok(_) => tracing::warn!("{LATE_MAX} messages are delayed already; this one is lost"),
            Err(RecvTimeoutError::Timeout) => {}
            // The replica has stopped, so its messages are of no more use.
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(first) = held.first_entry().filter(|first| first.key().0 <= Instant::now()) {
            let Late { peer, class, bytes, .. } = first.remove();
            network.send(peer, class, bytes);
        }
    }
}
