//! `quorate sim twins`.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process,
    sync::Mutex,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use quorate_harness::{lab::Lab, subject::Shared};
use quorate_scenario::command::{bad, read_text};
use quorate_terminal::{CommandError, Output, shell_word};
use serde::{Deserialize, Serialize};

use super::{
    campaign::{Broken, Plan, Tally},
    counters::Counters,
    export::export,
    import::{Imported, read},
    script::Script,
    space::Space,
    stage::{Outcome, play_script},
};
use crate::command::cpu_time;

/// Interval between checkpoint writes.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// `quorate sim twins`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "the options of a command")]
pub struct TwinsCommand {
    /// Run the scenario in this JSON file instead: each round's leader and connectivity, and lost messages (docs/scenarios.md).
    #[arg(
        value_name = "FILE",
        group = "one",
        conflicts_with_all = ["rounds", "two_phase", "change", "validators", "sample", "seed", "part", "threads", "checkpoint", "report", "commit"]
    )]
    file: Option<PathBuf>,
    /// Which scenario to use, from 1, if the file has several.
    #[arg(long, value_name = "NUMBER", requires = "file")]
    case: Option<usize>,
    /// Number of rounds with chosen leaders and sides; after them everybody hears everybody.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    rounds: u32,
    /// In each round, choose sides for proposals separately from those for everything else.
    #[arg(long)]
    two_phase: bool,
    /// Let the committee change: by the block with this transaction, from 1, of which a block holds one.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=64))]
    change: Option<u32>,
    /// Let all copies of a validator have their key at one signer; then nobody may be accused of anything.
    #[arg(long)]
    signers: bool,
    /// 4 validators, one of them with a twin, or 7, two of them with twins.
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    validators: u16,
    /// Draw this many scenarios at random instead of running all.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// Seed that decides which scenarios --sample draws.
    #[arg(long, requires = "sample", default_value_t = 0)]
    seed: u64,
    /// Run only part K of N, to split a campaign between machines.
    #[arg(long, value_name = "K/N", value_parser = parse_part)]
    part: Option<(u64, u64)>,
    /// Number of threads [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Save progress to this file, and resume from it if it exists.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Write the report to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Commit to name in the report [default: from git].
    #[arg(long, value_name = "HASH")]
    commit: Option<String>,
    /// Run only the scenario with this number.
    #[arg(long, value_name = "NUMBER", group = "one", conflicts_with_all = ["part", "checkpoint", "report"])]
    scenario: Option<u64>,
    /// Print the scenario of --scenario as a JSON file instead of running it.
    #[arg(long, requires = "scenario", conflicts_with = "trace")]
    export: bool,
    /// Print every event of the scenario of --scenario or FILE, line by line.
    #[arg(long, requires = "one")]
    trace: bool,
}

/// The saved progress of a campaign.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    /// [`Plan::options`].
    options: String,
    cpu_ms: u64,
    wall_ms: u64,
    tally: Tally,
}

/// The result of a scenario from a file.
#[derive(Debug, Serialize)]
struct FileReport<'a> {
    validators: u16,
    twins: Vec<String>,
    rounds: usize,
    /// How many twins the protocol tolerates.
    tolerated: u16,
    /// Whether every invariant but liveness held.
    safe: bool,
    /// Whether every honest validator committed in time after the file's last round; `None` if there are too many twins to require it.
    live: Option<bool>,
    notes: &'a [String],
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// The report on a campaign.
#[derive(Debug, Serialize)]
struct CampaignReport {
    what: &'static str,
    options: String,
    validators: u16,
    twins: u16,
    rounds: u32,
    two_phase: bool,
    sample: Option<u64>,
    seed: Option<u64>,
    part: String,
    /// Scenarios up to symmetry, and how many of them were run.
    canonical: u64,
    scenarios: u64,
    first: Option<u64>,
    last: Option<u64>,
    cpu_seconds: f64,
    wall_seconds: f64,
    commit: Option<String>,
    counters: Counters,
    history: String,
    violated: u64,
    violations: Vec<Broken>,
}

fn parse_part(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("{text:?} is not K/N with 1 <= K <= N; write it as in 2/8");
    let (part, parts) = text.split_once('/').ok_or_else(wrong)?;
    let (part, parts) = (part.parse().map_err(|_| wrong())?, parts.parse().map_err(|_| wrong())?);
    if 1 <= part && part <= parts { Ok((part, parts)) } else { Err(wrong()) }
}

fn failed(code: &'static str) -> impl Fn(String) -> CommandError {
    move |message| CommandError::failure(code, message)
}

impl TwinsCommand {
    pub(crate) fn run(self, out: &Output) -> Result<(), CommandError> {
        if let Some(file) = &self.file {
            return self.file(file, out);
        }
        let space = Space::new(self.validators, self.rounds, self.two_phase).map_err(failed("no-such-space"))?;
        let sample = self.sample.map(|count| (count, self.seed));
        let plan = Plan { space, sample, part: self.part.unwrap_or((1, 1)), change: self.change, signers: self.signers };
        let numbers = plan.numbers().map_err(failed("no-such-space"))?;
        match self.scenario {
            Some(number) if number >= numbers => Err(CommandError::failure(
                "no-such-scenario",
                format_args!("there is no scenario {number}; the last one is {}", numbers.saturating_sub(1)),
            )),
            Some(number) => self.one(&plan, number, out),
            None => self.many(&plan, out),
        }
    }

    fn file(&self, file: &Path, out: &Output) -> Result<(), CommandError> {
        let Imported { script, notes } = read(&read_text(file)?, self.case).map_err(|error| bad(file, &error))?;
        for note in &notes {
            out.note(note);
        }
        let rounds = u32::try_from(script.acts.len()).unwrap_or(u32::MAX);
        let lab = Lab::for_rounds(script.validators, rounds).map_err(failed("no-network"))?;
        let outcome = play_script(&lab, &script, self.trace);
        for line in &outcome.trace {
            out.always(format_args!("{line}"));
        }
        let report = file_report(&script, &notes, &outcome);
        out.print(&report, || file_text(&report))?;
        let command = format!("quorate sim twins {} --trace", shell_word(file));
        let again = self.case.map_or_else(|| command.clone(), |case| format!("{command} --case {case}"));
        let broken = |what: String| Err(CommandError::failure("invariant-broken", what).with_hint(format_args!("trace it with `{again}`")));
        match &outcome.violation {
            Some(violation) if !script.is_beyond() => broken(format!("{} is violated: {}", violation.invariant, violation.what)),
            // Beyond f, forks cannot be prevented, but the signatures must convict more than f validators, all of them with a twin.
            Some(_) if outcome.forked && !is_accountable(&script, &outcome) => {
                broken("the chain forked, but the signatures do not convict the culprits".into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn one(&self, plan: &Plan, number: u64, out: &Output) -> Result<(), CommandError> {
        if self.export {
            let text = export(&plan.scenario(number)).map_err(|error| CommandError::failure("output", error))?;
            let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| CommandError::failure("output", error))?;
            return out.print(&value, || text.clone());
        }
        let lab = plan.lab(&Shared::default()).map_err(failed("no-network"))?;
        let scenario = plan.scenario(number);
        let outcome = plan.play(&lab, &scenario, self.trace);
        out.note(format_args!("{scenario}"));
        for line in &outcome.trace {
            out.always(format_args!("{line}"));
        }
        out.print(&outcome, || one_text(number, &outcome))?;
        match &outcome.violation {
            None => Ok(()),
            Some(violation) => {
                Err(CommandError::failure("invariant-broken", format_args!("scenario {number} violates {}", violation.invariant)))
            }
        }
    }

    fn many(&self, plan: &Plan, out: &Output) -> Result<(), CommandError> {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let start = match &self.checkpoint {
            Some(path) => read_checkpoint(path, plan)?,
            None => None,
        };
        let start = start.unwrap_or_else(|| Checkpoint { options: plan.options(), cpu_ms: 0, wall_ms: 0, tally: Tally::default() });
        if start.tally.pieces > 0 {
            out.note(format_args!("resuming after {} scenarios", start.tally.counters.scenarios));
        }
        let canonical = plan.scenarios().map_err(failed("no-such-space"))?;
        let bar = progress_bar(canonical, out);
        bar.set_position(start.tally.counters.scenarios);
        bar.reset_eta();
        let (wall, cpu) = (Instant::now(), cpu_time());
        let so_far = |tally: &Tally| Checkpoint {
            options: plan.options(),
            cpu_ms: start.cpu_ms.saturating_add(millis(cpu_time().saturating_sub(cpu))),
            wall_ms: start.wall_ms.saturating_add(millis(wall.elapsed())),
            tally: tally.clone(),
        };
        // When the checkpoint was last written, how many violations have been printed, and the error of a failed write.
        let state = Mutex::new((Instant::now(), start.tally.violations.len(), None));
        let on_piece = |tally: &Tally, scenarios: u64| {
            bar.inc(scenarios);
            let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (written, told, error) = &mut *state;
            for broken in tally.violations.iter().skip(*told) {
                bar.suspend(|| out.note(broken_text(broken)));
            }
            *told = tally.violations.len();
            if let Some(path) = &self.checkpoint
                && written.elapsed() >= CHECKPOINT_EVERY
            {
                *written = Instant::now();
                *error = write_json(path, &so_far(tally)).err();
            }
            error.is_none()
        };
        let tally = plan.run(start.tally.clone(), threads, &on_piece).map_err(failed("no-network"))?;
        bar.finish_and_clear();
        if let Some(error) = state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).2 {
            return Err(error);
        }
        let end = so_far(&tally);
        if let Some(path) = &self.checkpoint {
            write_json(path, &end)?;
        }
        let report = self.report_of(plan, canonical, end);
        if let Some(path) = &self.report {
            write_json(path, &report)?;
        }
        out.print(&report, || report_text(&report))?;
        match report.violations.first() {
            None => Ok(()),
            Some(broken) => {
                Err(CommandError::failure("invariant-broken", format_args!("an invariant is violated; trace it with `{}`", broken.replay)))
            }
        }
    }

    fn report_of(&self, plan: &Plan, canonical: u64, end: Checkpoint) -> CampaignReport {
        let Checkpoint { options, cpu_ms, wall_ms, tally } = end;
        CampaignReport {
            what: "twins",
            options,
            validators: plan.space.validators(),
            twins: plan.space.twins(),
            rounds: plan.space.rounds(),
            two_phase: plan.space.is_two_phase(),
            sample: plan.sample.map(|(count, _)| count),
            seed: plan.sample.map(|(_, seed)| seed),
            part: format!("{}/{}", plan.part.0, plan.part.1),
            canonical,
            scenarios: tally.counters.scenarios,
            first: tally.first,
            last: tally.last,
            cpu_seconds: Duration::from_millis(cpu_ms).as_secs_f64(),
            wall_seconds: Duration::from_millis(wall_ms).as_secs_f64(),
            commit: self.commit.clone().or_else(commit),
            counters: tally.counters,
            history: format!("{:016x}", tally.history),
            violated: tally.violated,
            violations: tally.violations,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The commit checked out in the current directory.
fn commit() -> Option<String> {
    let output = process::Command::new("git").args(["rev-parse", "HEAD"]).stderr(process::Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn read_checkpoint(path: &Path, plan: &Plan) -> Result<Option<Checkpoint>, CommandError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CommandError::failure("checkpoint", format_args!("cannot read {}: {error}", path.display()))),
    };
    let damaged = |error: serde_json::Error| {
        CommandError::failure(
            "checkpoint",
            format_args!("{} is not a checkpoint of `sim twins` ({error}); name another file", path.display()),
        )
    };
    let checkpoint: Checkpoint = serde_json::from_slice(&bytes).map_err(damaged)?;
    if checkpoint.options == plan.options() {
        return Ok(Some(checkpoint));
    }
    Err(CommandError::failure(
        "checkpoint",
        format_args!(
            "{} belongs to another campaign: `{}`, not `{}`; name another file, or remove it to start over",
            path.display(),
            checkpoint.options,
            plan.options()
        ),
    ))
}

/// Writes a file atomically: a reader finds the old or the new one.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CommandError> {
    let failed = |error: &dyn std::fmt::Display| CommandError::failure("file", format_args!("cannot write {}: {error}", path.display()));
    let mut text = serde_json::to_string_pretty(value).map_err(|error| failed(&error))?;
    text.push('\n');
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let write = || {
        let mut file = std::fs::File::create(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, path)
    };
    write().map_err(|error| failed(&error))
}

fn progress_bar(count: u64, out: &Output) -> ProgressBar {
    if out.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} scenarios, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn broken_text(broken: &Broken) -> String {
    format!("scenario {} violates {}: {}\n{}\n    {}", broken.scenario, broken.invariant, broken.what, broken.steps, broken.replay)
}

/// Whether the signatures convict those who forked the chain, and only those.
fn is_accountable(script: &Script, outcome: &Outcome) -> bool {
    let f = usize::from(script.validators.saturating_sub(1) / 3);
    outcome.culprits.len() > f && outcome.culprits.iter().all(|culprit| script.faulty().contains(*culprit))
}

fn file_report<'a>(script: &Script, notes: &'a [String], outcome: &'a Outcome) -> FileReport<'a> {
    let broken = outcome.violation.as_ref().map(|violation| violation.invariant == "LIVE-1");
    FileReport {
        validators: script.validators,
        twins: script.faulty().iter().map(|id| format!("v{id}")).collect(),
        rounds: script.acts.len(),
        tolerated: script.validators.saturating_sub(1) / 3,
        safe: broken != Some(false),
        live: (!script.is_beyond()).then_some(broken.is_none()),
        notes,
        outcome,
    }
}

fn file_text(report: &FileReport<'_>) -> String {
    let FileReport { outcome, .. } = report;
    let names = |ids: &[quorate_types::ids::ValidatorId]| ids.iter().map(|id| format!("v{id}")).collect::<Vec<_>>().join(", ");
    let safety = match &outcome.violation {
        Some(violation) if !report.safe => format!("VIOLATED: {}: {}", violation.invariant, violation.what),
        Some(_) | None => "every invariant holds".into(),
    };
    let most = outcome.counters.rounds_to_commit_max;
    let liveness = match (report.live, &outcome.violation) {
        (None, _) => format!("not required: {} twins, {} tolerated", report.twins.len(), report.tolerated),
        (Some(true), _) => format!("every honest validator commits after round {}, within {most} rounds", report.rounds),
        (Some(false), Some(violation)) if violation.invariant == "LIVE-1" => format!("VIOLATED: {}", violation.what),
        (Some(false), _) => "not judged, since safety is violated".into(),
    };
    let mut lines = vec![
        format!("{} validators, twins of {}, {} rounds", report.validators, none_or(report.twins.join(", ")), report.rounds),
        format!("  safety     {safety}"),
        format!("  liveness   {liveness}"),
    ];
    if outcome.forked {
        lines.push("  fork       honest validators committed different blocks at one height".into());
    }
    lines.push(format!("  culprits   {} (by signatures on two votes in one round)", none_or(names(&outcome.culprits))));
    lines.push(format!("  accused    {} (by honest validators)", none_or(names(&outcome.accused))));
    lines.push(format!("{} rounds, {} messages, history {:016x}", outcome.counters.rounds, outcome.counters.messages, outcome.history));
    lines.join("\n")
}

fn none_or(text: String) -> String {
    if text.is_empty() { "none".into() } else { text }
}

fn one_text(number: u64, outcome: &Outcome) -> String {
    let verdict = match &outcome.violation {
        None => "every invariant holds".into(),
        Some(violation) => format!("{} is violated after {} us: {}", violation.invariant, violation.at_us, violation.what),
    };
    format!(
        "scenario {number}: {verdict}\n{} rounds, {} messages, history {:016x}",
        outcome.counters.rounds, outcome.counters.messages, outcome.history
    )
}

fn report_text(report: &CampaignReport) -> String {
    let counters = &report.counters;
    let mut text = format!(
        "{} scenarios of {} ({}), {} violated an invariant; {:.1} CPU seconds, {:.1} seconds\n\
         {} rounds, {} messages; with everybody connected, a commit took at most {} rounds\n\
         scenarios with two proposals in a round: {}; two votes of a twin: {}; timeout certificates: {}; a pruned fork: {} (certified: {}); \
         accusations of double votes, timeouts, proposals: {}, {}, {}; fetched blocks: {}; catch-up: {}; sides joined: {}\nhistory {}",
        report.scenarios,
        report.canonical,
        report.options,
        report.violated,
        report.cpu_seconds,
        report.wall_seconds,
        counters.rounds,
        counters.messages,
        counters.rounds_to_commit_max,
        counters.two_proposals,
        counters.two_votes,
        counters.timeout_certificates,
        counters.forks_pruned,
        counters.certified_forks_pruned,
        counters.accused_of_votes,
        counters.accused_of_timeouts,
        counters.accused_of_proposals,
        counters.fetched,
        counters.caught_up,
        counters.sides_joined,
        report.history,
    );
    for broken in &report.violations {
        text = format!("{text}\n{}", broken_text(broken));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use quorate_terminal::Format;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        twins: TwinsCommand,
    }

    fn parse(arguments: &str) -> Result<TwinsCommand, clap::Error> {
        Program::try_parse_from(std::iter::once("twins").chain(arguments.split_whitespace())).map(|program| program.twins)
    }

    /// A directory for one test.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("quorate-twins-{name}-{}", process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_command_that_a_violation_prints_is_one() {
        let out = Output::new(Format::Json, true);
        for plan in ["--rounds 2 --two-phase", "--rounds 9 --validators 7 --sample 9 --seed 4 --part 2/3"] {
            let twins = parse(plan).unwrap();
            let space = Space::new(twins.validators, twins.rounds, twins.two_phase).unwrap();
            let plan = Plan { space, sample: twins.sample.map(|count| (count, twins.seed)), part: (2, 3), change: None, signers: false };
            let replay = plan.replay(7);
            let again = parse(replay.strip_prefix("quorate sim twins ").unwrap()).unwrap();
            assert!(again.trace && again.scenario == Some(7) && again.part.is_none());
            assert_eq!(
                (again.rounds, again.two_phase, again.validators, again.seed),
                (twins.rounds, twins.two_phase, twins.validators, twins.seed)
            );
            TwinsCommand { trace: false, ..again }.run(&out).unwrap();
        }
        for wrong in [
            "--part 0/2",
            "--part 3/2",
            "--part 2",
            "--trace",
            "--seed 3",
            "--rounds 0",
            "--export",
            "--case 2",
            "file.json --rounds 2",
            "file.json --scenario 2",
            "--scenario 2 --export --trace",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse("--validators 5").unwrap().run(&out).unwrap_err().code, "no-such-space");
        assert_eq!(parse("--rounds 20").unwrap().run(&out).unwrap_err().code, "no-such-space");
        assert_eq!(parse("--rounds 1 --scenario 64").unwrap().run(&out).unwrap_err().code, "no-such-scenario");
    }

    #[test]
    fn a_campaign_goes_on_from_its_checkpoint_and_refuses_that_of_another() {
        let (out, directory) = (Output::new(Format::Json, true), directory("checkpoint"));
        let (checkpoint, report) = (directory.join("checkpoint.json"), directory.join("report.json"));
        let options = |rounds: u32| TwinsCommand {
            checkpoint: Some(checkpoint.clone()),
            report: Some(report.clone()),
            commit: Some("c0ffee".into()),
            ..parse(&format!("--rounds {rounds} --threads 1")).unwrap()
        };
        options(1).run(&out).unwrap();
        let first = std::fs::read_to_string(&report).unwrap();
        let value: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!((value["scenarios"].as_u64(), value["canonical"].as_u64()), (Some(15), Some(15)), "{first}");
        assert_eq!((value["commit"].as_str(), value["what"].as_str()), (Some("c0ffee"), Some("twins")));
        // Nothing is left to do, and the report is the same.
        options(1).run(&out).unwrap();
        let again: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
        assert_eq!((&again["counters"], &again["history"]), (&value["counters"], &value["history"]));
        let error = options(2).run(&out).unwrap_err();
        assert!(error.message.contains("belongs to another campaign"), "{error}");
        std::fs::write(&checkpoint, "{").unwrap();
        assert!(options(1).run(&out).unwrap_err().message.contains("is not a checkpoint"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
