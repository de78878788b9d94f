//! A script for one engine: `> ` lines are its inputs, and the lines below each are the effects that follow, one per line.
//!
//! ```text
//! start ME of N [powers P,P,..]      block NAME round R on PARENT [by V] [txs N]    qc NAME by V,V..     tc R qc CERT by V,V..
//! propose NAME [tc R] [commit CERT]  vote NAME by V,V.. [commit CERT] [wrong]       timeout R qc CERT by V,V.. [tc R] [commit CERT]
//! sync from V qc CERT commit CERT [tc R]      fetched NAME,NAME.. [commit CERT]     timer R              pool ready|empty
//! payload [txs N]     auto on|off    executed [wrong|rejected]    saved             lose  crash          status
//! clock right|behind  timely NAME
//! ```
//! A certificate is named after its block, a timeout certificate after its round. `auto on`, the default, executes and persists at once,
//! effect by effect, as a replica does; `auto off` leaves both to `executed` and `saved`, which answer the oldest waiting effect. `lose`
//! erases everything on disk but the safety record. `clock right`, the default, silently accepts every block's time; `clock behind` leaves
//! that to `timely`.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::Arc,
};

use quorate_consensus::{
    Config, Effect, Engine, Event, Rejected,
    safety::{Ballot, Unsaved},
};
use quorate_types::{
    block::Block,
    ids::{BlockId, ValidatorId},
    message::{Message, Recipients, SyncInfo},
    round::{Round, UnixMillis},
    timeout::TimeoutCert,
    verify::{Verified, VerifiedMessage},
    vote::QuorumCert,
};

use crate::{
    disk::Disk,
    members::{Members, state_of, wrong_state_of},
};

struct World {
    members: Members,
    me: ValidatorId,
    engine: Engine,
    disk: Disk,
    names: BTreeMap<BlockId, String>,
    blocks: BTreeMap<String, Verified<Block>>,
    qcs: BTreeMap<String, Verified<QuorumCert>>,
    tcs: BTreeMap<u64, Verified<TimeoutCert>>,
    building: Option<(Round, BlockId)>,
    executing: VecDeque<BlockId>,
    saving: VecDeque<(Unsaved<Ballot>, SyncInfo)>,
    auto: bool,
    clock_behind: bool,
    halted: bool,
}

/// The words of a line: a verb, its object, and then named values.
struct Line<'a> {
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn at(&self, position: usize) -> &'a str {
        self.words.get(position).unwrap_or_else(|| panic!("{:?}: word {position} is missing", self.words))
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn after(&self, word: &str) -> Option<&'a str> {
        let position = self.words.iter().position(|w| *w == word)?;
        Some(self.at(position + 1))
    }

    fn number(&self, word: &str) -> Option<u64> {
        self.after(word).map(|text| text.parse().unwrap())
    }

    fn validators(&self, word: &str) -> Option<Vec<ValidatorId>> {
        self.after(word).map(|text| text.split(',').map(|id| ValidatorId(id.parse().unwrap())).collect())
    }
}

/// Runs a script and returns its `> ` lines and comments with the effects between them.
pub(crate) fn run(script: &str) -> String {
    let mut world: Option<World> = None;
    let mut output = String::new();
    let mut blank = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let line_words = Line { words: command.split_whitespace().collect() };
            if blank {
                output.push('\n');
            }
            writeln!(output, "> {command}").unwrap();
            if line_words.at(0) == "start" {
                let (started, text) = World::start(&line_words);
                world = Some(started);
                output.push_str(&text);
            } else {
                let world = world.as_mut().expect("a script begins with `start`");
                assert!(!world.halted, "nothing happens after a halt");
                output.push_str(&world.command(&line_words));
            }
            blank = false;
        } else if line.starts_with('#') {
            if blank {
                output.push('\n');
            }
            writeln!(output, "{line}").unwrap();
            blank = false;
        } else if line.is_empty() {
            blank = true;
        }
    }
    output
}

impl World {
    fn start(line: &Line<'_>) -> (Self, String) {
        let n: usize = line.after("of").unwrap().parse().unwrap();
        let members = match line.after("powers") {
            None => Members::equal(n),
            Some(powers) => Members::new(&powers.split(',').map(|power| power.parse().unwrap()).collect::<Vec<_>>()),
        };
        let me = ValidatorId(line.at(1).parse().unwrap());
        let disk = Disk::default();
        let (engine, effects) = open(&members, me, &disk);
        let genesis = members.genesis_qc();
        let mut world = Self {
            me,
            engine,
            disk,
            names: BTreeMap::from([(genesis.block_id(), "genesis".into())]),
            blocks: BTreeMap::new(),
            qcs: BTreeMap::from([("genesis".into(), genesis)]),
            tcs: BTreeMap::new(),
            building: None,
            executing: VecDeque::new(),
            saving: VecDeque::new(),
            auto: true,
            clock_behind: false,
            halted: false,
            members,
        };
        let text = world.run(effects);
        (world, text)
    }

    fn command(&mut self, line: &Line<'_>) -> String {
        match line.at(0) {
            "block" => {
                let round = line.number("round").unwrap();
                let qc = self.qc(line.after("on").unwrap());
                let author =
                    line.number("by").map_or_else(|| self.engine.leader(Round(round)), |id| ValidatorId(u16::try_from(id).unwrap()));
                let block = Members::block(author, Round(round), line.number("txs").unwrap_or(0), &qc);
                self.name(line.at(1), block);
                String::new()
            }
            "qc" => {
                let block = self.block(line.at(1));
                let state = if line.has("wrong") { wrong_state_of(block.id()) } else { state_of(block.id()) };
                let signers = line.validators("by").unwrap_or_else(|| self.members.quorum());
                let qc = self.members.qc_of(&block, state, &signers);
                self.qcs.insert(line.at(1).into(), qc);
                String::new()
            }
            "tc" => {
                let round: u64 = line.at(1).parse().unwrap();
                let qc = self.qc(line.after("qc").unwrap());
                let signers: Vec<_> = line.validators("by").unwrap().into_iter().map(|id| (id, &qc)).collect();
                let tc = self.members.tc(Round(round), &signers);
                self.tcs.insert(round, tc);
                String::new()
            }
            "propose" => {
                let block = self.block(line.at(1));
                let (tc, commit) = (self.tc(line), self.commit(line));
                let proposal = self.members.proposal(&block, tc.as_ref(), &commit);
                self.message(block.author(), VerifiedMessage::Proposal(proposal))
            }
            "vote" => {
                let block = self.block(line.at(1));
                let state = if line.has("wrong") { wrong_state_of(block.id()) } else { state_of(block.id()) };
                let commit = self.commit(line);
                let by = line.validators("by").unwrap();
                let votes = by.into_iter().map(|id| (id, self.members.vote(id, &block, state, &commit))).collect::<Vec<_>>();
                votes.into_iter().map(|(id, vote)| self.message(id, VerifiedMessage::Vote(vote))).collect()
            }
            "timeout" => {
                let round = Round(line.at(1).parse().unwrap());
                let (qc, tc, commit) = (self.qc(line.after("qc").unwrap()), self.tc(line), self.commit(line));
                let signers = line.validators("by").unwrap();
                let timeouts: Vec<_> =
                    signers.into_iter().map(|id| (id, self.members.timeout(id, round, (&qc, tc.as_ref(), &commit)))).collect();
                timeouts.into_iter().map(|(id, timeout)| self.message(id, VerifiedMessage::Timeout(timeout))).collect()
            }
            "sync" => {
                let info = Verified::<SyncInfo>::own(&self.qc(line.after("qc").unwrap()), &self.commit(line), self.tc(line).as_ref());
                self.message(line.validators("from").unwrap()[0], VerifiedMessage::SyncInfo(info))
            }
            "fetched" => {
                let blocks = line.at(1).split(',').map(|name| self.block(name)).collect();
                let commit_qc = line.after("commit").map(|name| self.qc(name));
                self.tell(Event::Fetched { blocks, commit_qc })
            }
            "timer" => self.tell(Event::TimerFired(Round(line.at(1).parse().unwrap()))),
            "pool" => self.tell(Event::Pool { ready: line.at(1) == "ready" }),
            "payload" => {
                let (round, parent) = self.building.expect("a payload was asked for");
                let payload = Members::payload(line.number("txs").unwrap_or(0), round.0);
                self.tell(Event::PayloadReady { round, parent, timestamp: UnixMillis(round.0), payload })
            }
            "auto" => {
                self.auto = line.at(1) == "on";
                String::new()
            }
            "executed" => {
                let block = self.executing.pop_front().expect("something is being executed");
                let outcome = if line.has("rejected") {
                    Err(Rejected("payload"))
                } else {
                    Ok(if line.has("wrong") { wrong_state_of(block) } else { state_of(block) })
                };
                self.tell(Event::Executed { block, outcome })
            }
            "clock" => {
                self.clock_behind = line.at(1) == "behind";
                String::new()
            }
            "timely" => self.tell(Event::Timely(self.block(line.at(1)).id())),
            "saved" => {
                let (ballot, certificates) = self.saving.pop_front().expect("something is being persisted");
                let saved = self.disk.persist(ballot, certificates);
                self.tell(Event::Persisted(saved))
            }
            "crash" => {
                self.executing.clear();
                self.saving.clear();
                let (engine, effects) = open(&self.members, self.me, &self.disk);
                self.engine = engine;
                self.run(effects)
            }
            "lose" => {
                self.disk.lose_all_but_the_record();
                String::new()
            }
            "status" => {
                let (tree, record) = (self.engine.tree(), self.engine.safety_record());
                let mut text = format!(
                    "  round {}, leader {}, qc {}, commit qc {}, root {}, voted {}, locked {}, proposed {}",
                    self.engine.round(),
                    self.engine.leader(self.engine.round()),
                    self.name_of(tree.high_qc()),
                    self.name_of(tree.high_commit_qc()),
                    self.names[&tree.root().id],
                    record.highest_vote_round(),
                    record.highest_qc_round(),
                    record.last_proposed_round(),
                );
                if let Some(tc) = self.engine.last_round_tc() {
                    write!(text, ", tc {}", tc.round).unwrap();
                }
                if self.engine.is_block_missing() {
                    write!(text, ", lacks {}", self.names[&self.engine.missing_block().unwrap()]).unwrap();
                }
                if self.engine.results_in_votes() > 1 {
                    write!(text, ", {} results in votes", self.engine.results_in_votes()).unwrap();
                }
                text + "\n"
            }
            verb => panic!("no such command: {verb}"),
        }
    }

    fn message(&mut self, from: ValidatorId, message: VerifiedMessage) -> String {
        self.tell(Event::Message { from, message })
    }

    fn tell(&mut self, event: Event) -> String {
        let effects = self.engine.handle(event);
        self.run(effects)
    }

    /// Carries out effects as a replica does: one at a time, queueing what follows from one behind those that wait.
    fn run(&mut self, effects: Vec<Effect>) -> String {
        let mut text = String::new();
        let mut queue: VecDeque<Effect> = effects.into();
        while let Some(effect) = queue.pop_front() {
            if let Effect::Send { message: Message::Proposal(proposal), .. } = &effect {
                let block = self.members.verifier.block(proposal.block.clone()).unwrap();
                self.name(&format!("own{}", block.round()), block);
            }
            if self.clock_behind || !matches!(effect, Effect::CheckTime(_)) {
                writeln!(text, "  {}", self.describe(&effect)).unwrap();
            }
            match effect {
                Effect::Execute { block } => {
                    if self.auto {
                        let outcome = Ok(state_of(block.id()));
                        queue.extend(self.engine.handle(Event::Executed { block: block.id(), outcome }));
                    } else {
                        self.executing.push_back(block.id());
                    }
                }
                Effect::CheckTime(block) => {
                    if !self.clock_behind {
                        queue.extend(self.engine.handle(Event::Timely(block)));
                    }
                }
                Effect::Persist { ballot, certificates } => {
                    if self.auto {
                        let saved = self.disk.persist(*ballot, *certificates);
                        queue.extend(self.engine.handle(Event::Persisted(saved)));
                    } else {
                        self.saving.push_back((*ballot, *certificates));
                    }
                }
                Effect::Store(block) => self.disk.store(&block),
                Effect::Commit { blocks, qc } => self.disk.commit(&blocks, &qc),
                Effect::BuildPayload { round, parent, .. } => self.building = Some((round, parent)),
                Effect::Halt(_) => self.halted = true,
                Effect::Send { .. }
                | Effect::StartTimer { .. }
                | Effect::Fetch(_)
                | Effect::Ignored { .. }
                | Effect::Accuse(_)
                | Effect::Discard { .. } => {}
            }
        }
        text
    }

    fn describe(&self, effect: &Effect) -> String {
        let round = |tc: Option<&TimeoutCert>| tc.map_or("-".into(), |tc| tc.round.to_string());
        match effect {
            Effect::Execute { block } => format!("execute {}", self.names[&block.id()]),
            Effect::CheckTime(block) => format!("check the time of {}", self.names[block]),
            Effect::Store(block) => format!("store {}", self.names[&block.id()]),
            Effect::Discard { block, .. } => format!("discard {}", self.names[block]),
            Effect::Persist { ballot, certificates } => {
                let qc = self.name_of(&certificates.high_qc);
                let commit = self.name_of(&certificates.high_commit_qc);
                let record = ballot.record();
                format!(
                    "persist voted {}, locked {}, proposed {}, with qc {qc}, commit qc {commit}, tc {}",
                    record.highest_vote_round(),
                    record.highest_qc_round(),
                    record.last_proposed_round(),
                    round(certificates.last_round_tc.as_ref())
                )
            }
            Effect::Send { to, message } => {
                let to = match to {
                    Recipients::Others => "others".into(),
                    Recipients::One(id) => id.to_string(),
                };
                let message = match message {
                    Message::Proposal(p) => format!(
                        "proposal {} on {}, tc {}, commit qc {}",
                        self.names[&p.block.id()],
                        self.name_of(p.block.qc()),
                        round(p.last_round_tc.as_ref()),
                        self.name_of(&p.high_commit_qc)
                    ),
                    Message::Vote(v) => {
                        let commits =
                            if v.commit_info.commit_state_id.is_some() { self.names[&v.vote_info.parent_id].as_str() } else { "nothing" };
                        format!("vote {}, commits {commits}", self.names[&v.vote_info.id])
                    }
                    Message::Timeout(t) => format!(
                        "timeout {}, qc {}, tc {}, commit qc {}",
                        t.timeout.round,
                        self.name_of(&t.timeout.high_qc),
                        round(t.last_round_tc.as_ref()),
                        self.name_of(&t.high_commit_qc)
                    ),
                    Message::SyncInfo(info) => format!(
                        "sync info, qc {}, commit qc {}, tc {}",
                        self.name_of(&info.high_qc),
                        self.name_of(&info.high_commit_qc),
                        round(info.last_round_tc.as_ref())
                    ),
                    other => other.kind().into(),
                };
                format!("send {to}: {message}")
            }
            Effect::StartTimer { round, after_ms } => format!("timer {round} after {after_ms} ms"),
            Effect::BuildPayload { round, parent, flush } => {
                format!("build round {round} on {}{}", self.names[parent], if *flush { ", flush" } else { "" })
            }
            Effect::Commit { blocks, qc } => {
                let names: Vec<&str> = blocks.iter().map(|block| self.names[&block.id()].as_str()).collect();
                format!("commit {} by qc {}", names.join(" "), self.name_of(qc))
            }
            Effect::Fetch(missing) => {
                let holders: Vec<String> = missing.holders.iter().map(ToString::to_string).collect();
                format!("fetch {}, {} rounds behind, from {}", self.names[&missing.block_id], missing.rounds_behind, holders.join(" "))
            }
            Effect::Ignored { from, reason } => format!("ignored from {from}: {}", reason.word()),
            Effect::Accuse(evidence) => {
                format!("accuse {}: two {}s in round {}", evidence.culprit, evidence.kind(), evidence.round())
            }
            Effect::Halt(halt) => {
                let mut text = halt.to_string();
                for (id, name) in &self.names {
                    text = text.replace(&id.to_string(), name).replace(&format!("{id:?}"), name);
                }
                // State ids and other hashes tell a reader nothing.
                format!("halt: {}", text.split(" {").next().unwrap_or(&text).split(": Div").next().unwrap_or(&text))
            }
        }
    }

    fn name(&mut self, name: &str, block: Verified<Block>) {
        self.names.insert(block.id(), name.into());
        self.blocks.insert(name.into(), block);
    }

    fn block(&self, name: &str) -> Verified<Block> {
        self.blocks.get(name).unwrap_or_else(|| panic!("no block {name}")).clone()
    }

    fn qc(&mut self, name: &str) -> Verified<QuorumCert> {
        if let Some(qc) = self.qcs.get(name) {
            return qc.clone();
        }
        let qc = self.members.qc(&self.block(name));
        self.qcs.insert(name.into(), qc.clone());
        qc
    }

    fn commit(&mut self, line: &Line<'_>) -> Verified<QuorumCert> {
        self.qc(line.after("commit").unwrap_or("genesis"))
    }

    fn tc(&self, line: &Line<'_>) -> Option<Verified<TimeoutCert>> {
        line.number("tc").map(|round| self.tcs.get(&round).unwrap_or_else(|| panic!("no tc {round}")).clone())
    }

    fn name_of(&self, qc: &QuorumCert) -> String {
        self.names.get(&qc.block_id()).cloned().unwrap_or_else(|| format!("?{}", qc.round()))
    }
}

fn open(members: &Members, me: ValidatorId, disk: &Disk) -> (Engine, Vec<Effect>) {
    let config = Config {
        genesis_hash: crate::members::NETWORK,
        committee: Arc::clone(&members.committee),
        parameters: members.parameters,
        me,
        fixed_leaders: Arc::default(),
    };
    Engine::recover(config, Arc::new(members.key(me)), disk.recovered(me, &members.verifier))
}
