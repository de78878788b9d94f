//! The validator under test, and everything it outputs.

use std::{collections::BTreeMap, sync::Arc};

use quorate_harness::{
    Content, Happened, Machine, Opened, Watch,
    committee::Setting,
    contents,
    disk::SimStore,
    invariants::{Observation, Register, Violation, live_1},
    random::Random,
    subject::{BuiltIn, Subject},
    time::Micros,
    violation,
};
use quorate_replica::{Input, Output, Replica};
use quorate_types::{
    committee::SignerSet, genesis::Parameters, ids::ValidatorId, message::Message, round::Round, settings::Settings, vote::QuorumCert,
};

use super::{VALIDATORS, flood::Size};

/// Most pieces of work that one message may cause; more means an endless loop.
const WORK_MAX: usize = 20_000;
/// Rounds with leaders drawn in advance.
const ROUNDS_LED: u64 = 400;
/// Time between two messages.
const PACE: Micros = Micros(2_000);

/// See the module.
pub(super) struct Stage {
    pub(super) setting: Setting,
    pub(super) me: ValidatorId,
    pub(super) leaders: Arc<BTreeMap<Round, ValidatorId>>,
    machine: Machine,
    watch: Watch,
    disks: Random,
    at: Micros,
    /// Highest rounds of quorum and timeout certificates that it has received since its last start.
    shown: (Round, Round),
    /// Highest round in which it has signed.
    signed: Round,
    /// Why it stopped, if it did.
    pub(super) stopped: Option<String>,
    /// Messages it has sent that the acts have not yet processed.
    pub(super) sent: Vec<Message>,
    /// Validators it has accused, with the round.
    pub(super) accused: Vec<(ValidatorId, Round)>,
}

impl Stage {
    pub(super) fn new(random: &mut Random) -> Result<Self, Violation> {
        let broken = |what: String| violation(Micros(0), "SETTING", what);
        // A doubling timer reaches its maximum after a few rounds.
        let parameters = Parameters {
            timeout_base_ms: 200,
            timeout_growth_percent: 200,
            timeout_max_ms: 700,
            heartbeat_ms: 500,
            ..Parameters::default()
        };
        let setting = Setting::fixed(VALIDATORS, &quorate_builtin::app(), Settings::default(), parameters).map_err(broken)?;
        let ids: Vec<ValidatorId> = setting.verifier.committee().ids().collect();
        let me = random.pick(&ids).copied().unwrap_or_default();
        let leaders = Arc::new((1..=ROUNDS_LED).map(|round| (Round(round), random.pick(&ids).copied().unwrap_or_default())).collect());
        let puppets: SignerSet = ids.into_iter().filter(|id| *id != me).collect();
        let mut stage = Self {
            watch: Watch::new(Register::new(&setting.genesis, &setting.verifier, BuiltIn.model(&setting.genesis), puppets)),
            machine: Machine::by_hand(me, &leaders),
            disks: random.fork("disks"),
            at: Micros(0),
            shown: (Round(0), Round(0)),
            signed: Round(0),
            stopped: None,
            sent: Vec::new(),
            accused: Vec::new(),
            leaders,
            setting,
            me,
        };
        stage.start()?;
        Ok(stage)
    }

    pub(super) fn puppets(&self) -> Vec<ValidatorId> {
        self.setting.verifier.committee().ids().filter(|id| *id != self.me).collect()
    }

    pub(super) fn leader(&self, round: Round) -> ValidatorId {
        self.leaders.get(&round).copied().unwrap_or_default()
    }

    pub(super) fn replica(&self) -> Option<&Replica<SimStore>> {
        self.machine.replica()
    }

    /// Its size in memory and on disk.
    pub(super) fn size(&self) -> Result<Size, Violation> {
        let disk = self.machine.home.disk.size().map_err(|error| self.violation("FATAL", error.to_string()))?;
        // The verifier remembers signatures up to a bound of its own, and here those of the puppets.
        let length = |replica: &Replica<SimStore>| format!("{replica:?}").len().saturating_sub(format!("{:?}", replica.verifier()).len());
        let description = self.replica().map_or(0, length);
        Ok(Size { description, disk_keys: disk.0, disk_bytes: disk.1 })
    }

    /// Its current round.
    pub(super) fn round(&self) -> Round {
        self.machine.round()
    }

    pub(super) const fn at(&self) -> Micros {
        self.at
    }

    pub(super) fn violation(&self, invariant: &str, what: String) -> Violation {
        violation(self.at, invariant, what)
    }

    fn start(&mut self) -> Happened {
        let started = self.machine.start(&self.setting, self.at);
        started.map_err(|error| self.violation("OPEN", format!("the validator does not start: {error}")))?;
        self.watch.started(self.at, &mut self.machine)?;
        self.settle()
    }

    /// Sends it a message from a puppet, which must verify.
    pub(super) fn tell(&mut self, from: ValidatorId, message: &Message) -> Happened {
        self.watch.see(self.at, &Observation::Sent { node: from, message, durable: None })?;
        let packet = Content::Message(Arc::new(message.clone())).encode().map_err(|what| self.violation("WIRE", what))?;
        let opened = packet.open(&self.setting.verifier, from);
        let opened = opened.map_err(|refused| self.violation("WIRE", format!("{}: {}", message.kind(), refused.what)))?;
        let (qc, tc) = certificates(message);
        self.shown = (self.shown.0.max(qc), self.shown.1.max(tc));
        self.at = self.at.after(PACE);
        if let Opened::Message(message) = &opened {
            self.watch.see(self.at, &Observation::Received { node: self.me, from, message, is_verified: true })?;
        }
        self.machine.push(opened.into_input(from), self.at);
        self.settle()
    }

    /// Lets its next deadline pass.
    pub(super) fn wait(&mut self) -> Happened {
        if let Some(deadline) = self.machine.deadline() {
            self.at = self.at.max(deadline).after(Micros(1));
        }
        self.machine.push(Input::Tick, self.at);
        self.settle()
    }

    /// Cuts its power and restarts it.
    pub(super) fn restart(&mut self) -> Happened {
        self.machine.stop();
        self.machine.home.crash(&mut self.disks);
        self.shown = (Round(0), Round(0));
        self.sent.clear();
        self.start()?;
        if self.stopped.is_none() && self.round() < self.signed {
            let (round, signed) = (self.round(), self.signed);
            let what = format!("after a restart it is in round {round}, although it has signed in round {signed}");
            return Err(self.violation("CERT-2", what));
        }
        Ok(())
    }

    /// Lets it do all its work, then checks it.
    fn settle(&mut self) -> Happened {
        for _ in 0..WORK_MAX {
            let worked = self.machine.work();
            self.watch.polled(self.at, &mut self.machine, &worked)?;
            match worked.output {
                Ok(Some(output)) => self.output(output)?,
                Ok(None) => return self.check(),
                Err(fatal) => {
                    self.stopped = Some(fatal.to_string());
                    self.machine.stop();
                    return Ok(());
                }
            }
        }
        Err(self.violation("LIVE-1", "it never stops working".into()))
    }

    fn output(&mut self, output: Output) -> Happened {
        match output {
            Output::Send { message, .. } => {
                self.watch.sent(self.at, &self.machine, &message)?;
                self.signed = self.signed.max(contents::round_of(&message).unwrap_or_default());
                self.sent.push(Message::clone(&message));
            }
            Output::Committed(committed) => self.watch.committed(self.at, &mut self.machine, &committed)?,
            Output::Accused(evidence) => {
                self.watch.see(self.at, &Observation::Accused { node: self.me, evidence: &evidence })?;
                self.accused.push((evidence.culprit, evidence.round()));
            }
            Output::Gossip(_) | Output::Serve(_) | Output::Answer { .. } | Output::Ignored { .. } | Output::Worked => {}
        }
        Ok(())
    }

    /// Checks CERT-2, and the bound on its timer (LIVE-1).
    fn check(&self) -> Happened {
        let Some(replica) = self.replica() else { return Ok(()) };
        let (qc, tc) = self.shown;
        let (round, high) = (replica.engine().round(), replica.engine().tree().high_qc().round());
        if high < qc {
            return Err(
                self.violation("CERT-2", format!("it has received a certificate of round {qc}, but its high QC is of round {high}"))
            );
        }
        if round <= qc.max(tc) {
            let what = format!("it has received certificates of rounds {qc} and {tc}, but is in round {round}");
            return Err(self.violation("CERT-2", what));
        }
        let waits = self.machine.deadline().map_or(Micros(0), |deadline| deadline.since(self.at));
        live_1::wait(&self.setting.genesis.parameters, self.machine.gap(), waits)
            .map_err(|what| self.violation("LIVE-1", format!("it {what}")))?;
        Ok(())
    }
}

/// The highest rounds that a message proves by a quorum certificate and by a timeout certificate. A response proves none, since a validator
/// ignores one that it did not request.
fn certificates(message: &Message) -> (Round, Round) {
    if contents::answered_blocks(message).is_some() {
        return (Round(0), Round(0));
    }
    let qc = contents::quorum_certs(message).map(QuorumCert::round).max();
    (qc.unwrap_or_default(), contents::timeout_cert(message).map_or(Round(0), |tc| tc.round))
}
