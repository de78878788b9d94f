//! The validator under test, and everything that it puts out.

use std::{collections::BTreeMap, sync::Arc};

use quorate_replica::{Input, Output, Replica};
use quorate_types::{
    codec,
    committee::SignerSet,
    genesis::Parameters,
    header::Header,
    ids::ValidatorId,
    message::{Evidence, Message},
    receipt::Receipt,
    round::Round,
    settings::Settings,
    verify::VerifyError,
    vote::QuorumCert,
};

use super::{VALIDATORS, flood::Size};
use crate::{
    actor::Actor,
    committee::{BEGINNING, Setting},
    contents,
    disk::{DurableRecord, SimStore},
    invariants::{
        Observation, Register, Violation,
        live_1::{self, Patience},
    },
    random::Random,
    subject::{BuiltIn, Subject},
    time::Micros,
};

/// Most pieces of work that one message can lead to; more means that it works without end.
const WORK_MAX: usize = 20_000;
/// How many rounds have a leader that is drawn beforehand.
const ROUNDS_LED: u64 = 400;
/// How long everything takes.
const PACE: Micros = Micros(2_000);

/// See the module.
pub(super) struct Stage {
    pub(super) setting: Setting,
    pub(super) me: ValidatorId,
    pub(super) leaders: Arc<BTreeMap<Round, ValidatorId>>,
    actor: Actor,
    register: Register,
    disks: Random,
    at: Micros,
    /// The highest certificates that it was shown in this life: of a quorum, and of timeouts.
    shown: (Round, Round),
    /// The highest round in which it has signed.
    signed: Round,
    /// Why it stopped.
    pub(super) stopped: Option<String>,
    /// What explains its timer.
    patience: Patience,
    /// What it has sent and not yet been looked at.
    pub(super) sent: Vec<Message>,
    /// Whom it accused, of what round.
    pub(super) accused: Vec<(ValidatorId, Round)>,
}

pub(super) type Happened = Result<(), Violation>;

impl Stage {
    pub(super) fn new(random: &mut Random) -> Result<Self, Violation> {
        let broken = |what: String| Violation { invariant: "SETTING".into(), what, at_us: 0 };
        // A timer that doubles is at its maximum after a few rounds.
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
        let leaders = (1..=ROUNDS_LED).map(|round| (Round(round), random.pick(&ids).copied().unwrap_or_default())).collect();
        let puppets: SignerSet = ids.into_iter().filter(|id| *id != me).collect();
        let mut stage = Self {
            register: Register::new(setting.powers(), BuiltIn.model(&setting.genesis), BEGINNING, puppets),
            actor: Actor::new(me, 0),
            disks: random.fork("disks"),
            at: Micros(0),
            shown: (Round(0), Round(0)),
            signed: Round(0),
            stopped: None,
            patience: Patience::default(),
            sent: Vec::new(),
            accused: Vec::new(),
            leaders: Arc::new(leaders),
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
        self.actor.replica.as_deref()
    }

    /// How large it is, in memory and on disk.
    pub(super) fn size(&self) -> Result<Size, Violation> {
        let disk = self.actor.disk.size().map_err(|error| self.violation("FATAL", error.to_string()))?;
        let description = self.replica().map_or(0, |replica| format!("{replica:?}").len());
        Ok(Size { description, disk_keys: disk.0, disk_bytes: disk.1 })
    }

    /// Its round.
    pub(super) fn round(&self) -> Round {
        self.replica().map_or(Round(0), |replica| replica.engine().round())
    }

    pub(super) const fn at(&self) -> Micros {
        self.at
    }

    pub(super) fn violation(&self, invariant: &str, what: String) -> Violation {
        Violation { invariant: invariant.into(), what, at_us: self.at.0 }
    }

    fn start(&mut self) -> Happened {
        let started = self.actor.start(&self.setting, &self.leaders, self.at);
        started.map_err(|what| self.violation("OPEN", format!("the validator does not start: {what}")))?;
        self.saved(self.actor.disk.durable_record())?;
        self.settle()
    }

    /// A puppet sends it something that it must be able to verify.
    pub(super) fn tell(&mut self, from: ValidatorId, message: &Message) -> Happened {
        self.register.observe(self.at, &Observation::Sent { node: from, message, durable: None })?;
        let bytes = codec::encode(message);
        let opened = Message::decode(&bytes).map_err(|error| self.violation("WIRE", error.to_string()))?;
        let verified = self.setting.verifier.message(from, opened);
        let verified = verified.map_err(|error: VerifyError| self.violation("WIRE", format!("{}: {error}", message.kind())))?;
        let (qc, tc) = certificates(message);
        self.shown = (self.shown.0.max(qc), self.shown.1.max(tc));
        self.at = self.at.after(PACE);
        self.register.observe(self.at, &Observation::Received { node: self.me, from, message: &verified })?;
        self.actor.give(Input::Message { from, message: verified }, self.at);
        self.settle()
    }

    /// Its next timer runs out.
    pub(super) fn wait(&mut self) -> Happened {
        if let Some(deadline) = self.actor.deadline() {
            self.at = self.at.max(deadline).after(Micros(1));
        }
        self.actor.give(Input::Tick, self.at);
        self.settle()
    }

    /// Its power fails, and comes back.
    pub(super) fn restart(&mut self) -> Happened {
        self.actor.replica = None;
        self.actor.disk.crash(&mut self.disks);
        self.shown = (Round(0), Round(0));
        self.patience = Patience::default();
        self.sent.clear();
        self.start()?;
        if self.stopped.is_none() && self.round() < self.signed {
            let (round, signed) = (self.round(), self.signed);
            let what = format!("after a restart it stands in round {round}, although it has signed in round {signed}");
            return Err(self.violation("CERT-2", what));
        }
        let height = self.replica().map(|replica| replica.ledger().root().height).unwrap_or_default();
        self.register.observe(self.at, &Observation::Started { node: self.me, height })
    }

    /// Lets it do everything that it can do, and looks at it.
    fn settle(&mut self) -> Happened {
        for _ in 0..WORK_MAX {
            let record = self.actor.disk.durable_record();
            let worked = self.actor.work();
            let newest = self.actor.disk.durable_record();
            if newest != record {
                self.saved(newest)?;
            }
            match worked {
                Ok(output) => {
                    if let Some(replica) = &self.actor.replica {
                        self.patience.look(replica.engine());
                    }
                    if let Some(state) = self.actor.new_state() {
                        self.register.observe(self.at, &Observation::State { node: self.me, state })?;
                    }
                    let Some(output) = output else { return self.check() };
                    self.output(output)?;
                }
                Err(fatal) => {
                    self.stopped = Some(fatal.to_string());
                    self.actor.replica = None;
                    return Ok(());
                }
            }
        }
        Err(self.violation("LIVE-1", "it works without end".into()))
    }

    /// Shows the rules what its disk would give back now.
    fn saved(&mut self, record: Option<DurableRecord>) -> Happened {
        let Some(record) = record else { return Ok(()) };
        self.register.observe(self.at, &Observation::Saved { node: self.me, record })
    }

    fn output(&mut self, output: Output) -> Happened {
        match output {
            Output::Send { message, .. } => {
                let durable = self.actor.disk.durable_record();
                self.register.observe(self.at, &Observation::Sent { node: self.me, message: &message, durable })?;
                self.signed = self.signed.max(contents::round_of(&message).unwrap_or_default());
                self.sent.push(Message::clone(&message));
            }
            Output::Committed(committed) => {
                let blocks: Vec<(&Header, &[Receipt])> = committed.blocks.iter().map(|block| (&block.header, &*block.receipts)).collect();
                let qc = committed.view.commit_qc();
                self.register.observe(self.at, &Observation::Committed { node: self.me, blocks: &blocks, qc })?;
            }
            Output::Accused(evidence) => {
                let evidence: &Evidence = &evidence;
                self.register.observe(self.at, &Observation::Accused { node: self.me, evidence })?;
                self.accused.push((evidence.culprit(), evidence.round()));
            }
            Output::Gossip(_) | Output::Serve(_) | Output::Answer { .. } | Output::Ignored { .. } | Output::Worked => {}
        }
        Ok(())
    }

    /// CERT-2.
    fn check(&self) -> Happened {
        let Some(replica) = self.replica() else { return Ok(()) };
        let (qc, tc) = self.shown;
        let (round, high) = (replica.engine().round(), replica.engine().tree().high_qc().round());
        if high < qc {
            return Err(self.violation("CERT-2", format!("it was shown a certificate of round {qc}, its highest is of round {high}")));
        }
        if round <= qc.max(tc) {
            let what = format!("it was shown certificates of rounds {qc} and {tc}, and stands in round {round}");
            return Err(self.violation("CERT-2", what));
        }
        let waits = self.actor.deadline().map_or(Micros(0), |deadline| deadline.since(self.at));
        live_1::wait(&self.setting.genesis.parameters, self.patience.gap(), waits)
            .map_err(|what| self.violation("LIVE-1", format!("it {what}")))?;
        Ok(())
    }
}

/// The highest rounds that a message proves: by a quorum certificate, and by a timeout certificate. An answer proves nothing to a validator
/// that did not ask.
fn certificates(message: &Message) -> (Round, Round) {
    if matches!(message, Message::FetchResponse(_) | Message::CatchupResponse(_)) {
        return (Round(0), Round(0));
    }
    let qc = contents::quorum_certs(message).map(QuorumCert::round).max();
    (qc.unwrap_or_default(), contents::timeout_cert(message).map_or(Round(0), |tc| tc.round))
}
