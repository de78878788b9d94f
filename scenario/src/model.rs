//! A scenario, independent of its file format, and the rules it must satisfy.

use std::collections::BTreeSet;

use quorate_builtin::KvSpace;
use quorate_types::genesis::Parameters;

use super::{
    operations::{REQUESTS_MAX, Workload},
    rules::{Fault, Party, Rounds, Rule},
    triggers::Trigger,
};

/// Most validators in a scenario.
pub(crate) const VALIDATORS_MAX: u64 = 128;
/// Most clients in a scenario.
pub(crate) const CLIENTS_MAX: u64 = 1_000;
/// Most requests of all clients together.
pub(crate) const REQUESTS_TOTAL_MAX: usize = 100_000;
/// Most failures, and also most triggers.
pub(crate) const RULES_MAX: usize = 1_000;
/// Longest run, in virtual seconds: a day.
pub(crate) const TIME_LIMIT_S_MAX: u64 = 86_400;
/// Upper bound of all other times, in milliseconds: an hour.
pub(crate) const MS_MAX: u64 = 3_600_000;
/// Rounds for which round-robin leaders are computed; beyond, reputation elects.
pub(crate) const LEADER_ROUNDS_MAX: u64 = 100_000;

/// The expected result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Every request is committed, and every honest validator has it.
    Committed,
    /// Commits stop: there are more faults than the protocol tolerates.
    Stalled,
}

impl Expect {
    /// Its name in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Stalled => "stalled",
        }
    }
}

/// How leaders are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaders {
    /// As in production: by reputation, and two rounds each while there is no history.
    Reputation,
    /// Validator `round % n`, as in the course's programs; so validator 1 leads round 1.
    RoundRobin,
    /// The leaders of the rounds from 1 on; reputation after the last one.
    Fixed(Vec<u16>),
}

/// A scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Name; the output directory is named after it.
    pub name: String,
    /// What the scenario shows.
    pub description: String,
    /// Source of all randomness; if `None`, the caller draws one and prints it.
    pub seed: Option<u64>,
    /// Number of validators.
    pub validators: u16,
    /// Validators that may lie.
    pub faulty: BTreeSet<u16>,
    /// Allows more than f faulty validators.
    pub beyond_f: bool,
    /// The requests of each client.
    pub workloads: Vec<Workload>,
    /// Clients that forge their first message's signature and send every later message twice.
    pub faulty_clients: BTreeSet<u16>,
    /// Whether clients share their keys.
    pub space: KvSpace,
    /// The expected result.
    pub expect: Expect,
    /// The run fails if it takes more rounds.
    pub rounds_max: Option<u64>,
    /// Virtual seconds after which the run is aborted.
    pub time_limit_s: u64,
    /// Time after which a client resends its request.
    pub client_timeout_ms: u64,
    /// Pause of a client between two requests.
    pub request_gap_ms: u64,
    /// Shortest and longest message delay.
    pub network_delay_ms: (u64, u64),
    /// The protocol's parameters.
    pub parameters: Parameters,
    /// How leaders are chosen.
    pub leaders: Leaders,
    /// Message failures; the first matching one applies.
    pub failures: Vec<Rule>,
    /// Failures triggered by counts of events.
    pub triggers: Vec<Trigger>,
}

/// A part of a scenario, to locate an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A top-level key.
    Key(&'static str),
    /// A key of the failure with this index.
    Failure(usize, &'static str),
    /// A key of the trigger with this index.
    Trigger(usize, &'static str),
}

/// A violated rule of scenarios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) part: Part,
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl Default for Scenario {
    /// Four honest validators, and one client with one request.
    fn default() -> Self {
        Self {
            name: "scenario".into(),
            description: String::new(),
            seed: None,
            validators: 4,
            faulty: BTreeSet::new(),
            beyond_f: false,
            workloads: vec![Workload::Requests(1)],
            faulty_clients: BTreeSet::new(),
            space: KvSpace::Shared,
            expect: Expect::Committed,
            rounds_max: None,
            time_limit_s: 300,
            client_timeout_ms: 5_000,
            request_gap_ms: 0,
            network_delay_ms: (1, 5),
            parameters: default_parameters(DELTA_MS),
            leaders: Leaders::Reputation,
            failures: Vec::new(),
            triggers: Vec::new(),
        }
    }
}

/// Default of `delta_ms`, in milliseconds.
pub(crate) const DELTA_MS: u64 = 100;

/// Parameters for a network whose messages take at most `delta_ms`: the round timer is 4 delta, as in the paper's appendix.
pub(crate) fn default_parameters(delta_ms: u64) -> Parameters {
    let base = u32::try_from(delta_ms.saturating_mul(4)).unwrap_or(u32::MAX);
    Parameters {
        timeout_base_ms: base,
        timeout_max_ms: base.saturating_mul(4),
        heartbeat_ms: base.saturating_mul(4),
        block_transactions_max: 1_000,
        ..Parameters::default()
    }
}

impl Scenario {
    /// How many faulty validators the protocol tolerates: (n - 1) / 3.
    #[must_use]
    pub fn tolerated(&self) -> u16 {
        self.validators.saturating_sub(1) / 3
    }

    /// Checks the rules; returns the first violated one.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        let broken = |part: Part, what: String, fix: String| Err(Broken { part, what, fix });
        let (n, faulty) = (u64::from(self.validators), self.faulty.len() as u64);
        if !(1..=VALIDATORS_MAX).contains(&n) {
            return broken(Part::Key("validators"), format!("{n} validators"), format!("choose 1..={VALIDATORS_MAX}"));
        }
        if let Some(id) = self.faulty.iter().find(|id| u64::from(**id) >= n) {
            let last = n.saturating_sub(1);
            return broken(Part::Key("faulty"), format!("there is no validator {id}"), format!("they are numbered 0..={last}"));
        }
        let least = faulty.saturating_mul(3).saturating_add(1);
        if n < least && !self.beyond_f {
            let fix = format!("use at least {least} validators, or set beyond_f = true to test exactly that");
            return broken(Part::Key("faulty"), format!("{n} validators cannot tolerate {faulty} faulty ones (3f+1)"), fix);
        }
        let clients = self.workloads.len() as u64;
        if !(1..=CLIENTS_MAX).contains(&clients) {
            return broken(Part::Key("clients"), format!("{clients} clients"), format!("choose 1..={CLIENTS_MAX}"));
        }
        if let Some(id) = self.faulty_clients.iter().find(|id| u64::from(**id) >= clients) {
            let highest = clients.saturating_sub(1);
            return broken(Part::Key("faulty_clients"), format!("there is no client {id}"), format!("they are numbered 0..={highest}"));
        }
        let requests = self.workloads.iter().fold(0usize, |sum, workload| sum.saturating_add(workload.len()));
        if requests > REQUESTS_TOTAL_MAX || self.workloads.iter().any(|workload| workload.len() > REQUESTS_MAX as usize) {
            let fix = format!("use at most {REQUESTS_MAX} for each client and {REQUESTS_TOTAL_MAX} in total");
            return broken(Part::Key("clients"), format!("{requests} requests"), fix);
        }
        if requests == 0 {
            return broken(
                Part::Key("clients"),
                "no client has any requests".into(),
                "set `requests`, or give a client a [[workload]]".into(),
            );
        }
        self.check_times()?;
        // The course's bound first; the protocol's own may be narrower.
        let exclude = u64::from(self.parameters.excluded(usize::from(self.validators)));
        let f = u64::from(self.tolerated());
        if !(f..=f.saturating_mul(2)).contains(&exclude) || (!self.beyond_f && exclude < faulty) {
            let fix = format!("choose between f and 2f, here {f}..={}", f.saturating_mul(2));
            return broken(Part::Key("exclude_size"), format!("exclude_size {exclude} with {n} validators"), fix);
        }
        if let Err(error) = self.parameters.check(usize::from(self.validators)) {
            return broken(Part::Key("delta_ms"), error.to_string(), "change the key it names".into());
        }
        if let Leaders::Fixed(leaders) = &self.leaders
            && let Some(id) = leaders.iter().find(|id| u64::from(**id) >= n)
        {
            return broken(
                Part::Key("leaders"),
                format!("there is no validator {id}"),
                format!("they are numbered 0..={}", n.saturating_sub(1)),
            );
        }
        self.check_failures()?;
        self.check_triggers()
    }

    fn check_times(&self) -> Result<(), Broken> {
        let broken = |key: &'static str, what: String, fix: String| Err(Broken { part: Part::Key(key), what, fix });
        if !(1..=TIME_LIMIT_S_MAX).contains(&self.time_limit_s) {
            return broken("time_limit_s", format!("a limit of {} s", self.time_limit_s), format!("choose 1..={TIME_LIMIT_S_MAX}"));
        }
        if !(1..=MS_MAX).contains(&self.client_timeout_ms) {
            return broken("client_timeout_ms", format!("a timeout of {} ms", self.client_timeout_ms), format!("choose 1..={MS_MAX}"));
        }
        if self.request_gap_ms > MS_MAX {
            return broken("request_gap_ms", format!("a gap of {} ms", self.request_gap_ms), format!("choose 0..={MS_MAX}"));
        }
        let (min, max) = self.network_delay_ms;
        if min > max || max > MS_MAX {
            return broken(
                "network_delay_ms",
                format!("delays from {min} to {max} ms"),
                format!("write [shortest, longest], at most {MS_MAX}"),
            );
        }
        Ok(())
    }

    fn check_failures(&self) -> Result<(), Broken> {
        let broken = |part: Part, what: String, fix: &str| Err(Broken { part, what, fix: fix.into() });
        if self.failures.len() > RULES_MAX {
            let what = format!("{} failures, at most {RULES_MAX} are allowed", self.failures.len());
            return broken(Part::Failure(RULES_MAX, "src"), what, "use ranges of rounds, such as round = \"3..=9\"");
        }
        for (index, rule) in self.failures.iter().enumerate() {
            for (key, party) in [("src", rule.src), ("dest", rule.dest)] {
                if let Party::Validator(id) = party
                    && id >= self.validators
                {
                    return broken(Part::Failure(index, key), format!("there is no validator {id}"), "use a number below `validators`");
                }
            }
            if rule.per_million > 1_000_000 {
                return broken(Part::Failure(index, "prob"), "a probability above 1".into(), "choose 0 to 1");
            }
            if let Rounds::Between(from, to) = rule.rounds
                && from > to
            {
                return broken(
                    Part::Failure(index, "round"),
                    format!("the range {from}..={to} contains no round"),
                    "write the smaller number first",
                );
            }
            if let (Fault::SetAttr(..), Party::Validator(id)) = (rule.fault, rule.src)
                && !self.faulty.contains(&id)
                && !self.beyond_f
            {
                let what = format!("SetAttr only applies to faulty validators, and {id} is not one");
                return broken(Part::Failure(index, "src"), what, "add it to `faulty` (at most f of them), or choose another validator");
            }
            if matches!(rule.fault, Fault::SetAttr(..)) && self.faulty.is_empty() {
                let what = "SetAttr only applies to faulty validators, and there are none".to_owned();
                return broken(Part::Failure(index, "fail_type"), what, "set `faulty`");
            }
        }
        Ok(())
    }

    fn check_triggers(&self) -> Result<(), Broken> {
        let broken = |part: Part, what: String, fix: &str| Err(Broken { part, what, fix: fix.into() });
        if self.triggers.len() > RULES_MAX {
            let what = format!("{} triggers, at most {RULES_MAX} are allowed", self.triggers.len());
            return broken(Part::Trigger(RULES_MAX, "on"), what, "remove some");
        }
        for (index, trigger) in self.triggers.iter().enumerate() {
            if trigger.validator >= self.validators {
                let what = format!("there is no validator {}", trigger.validator);
                return broken(Part::Trigger(index, "validator"), what, "use a number below `validators`");
            }
            if trigger.client.is_some_and(|client| usize::from(client) >= self.workloads.len()) {
                let what = format!("there is no client {}", trigger.client.unwrap_or_default());
                return broken(Part::Trigger(index, "on"), what, "use a number below `clients`");
            }
            if !trigger.deed.is_benign() && !self.faulty.contains(&trigger.validator) {
                let what = format!("{} is a lie, and validator {} is not faulty", trigger.deed, trigger.validator);
                return broken(Part::Trigger(index, "do"), what, "add the validator to `faulty`");
            }
        }
        Ok(())
    }
}
