//! `quorate localnet start --scenario FILE`: passes the message failures of a scenario file to the validator processes.
//!
//! Only a program built with the feature `faults` can inject them; any other one says how to build it.

use std::path::Path;

use quorate_terminal::{CommandError, Output};

#[cfg(feature = "faults")]
use super::directory::file_error;
use super::directory::{Localnet, Member};

/// The faults for the validators to inject; empty without the feature `faults`.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    #[cfg(feature = "faults")]
    plan: Option<quorate_faults::Plan>,
}

/// Reads a scenario file.
#[cfg(not(feature = "faults"))]
pub(super) fn plan(file: Option<&Path>, _validators: usize, _out: &Output) -> Result<Plan, CommandError> {
    if file.is_none() {
        return Ok(Plan::default());
    }
    let error = CommandError::failure("no-faults", "this program cannot inject failures: it was built without the feature `faults`");
    Err(error.with_hint("build one that can with `make faults`, then run: quorate-faults localnet start --scenario FILE"))
}

/// Reads a scenario file.
#[cfg(feature = "faults")]
pub(super) fn plan(file: Option<&Path>, validators: usize, out: &Output) -> Result<Plan, CommandError> {
    let Some(file) = file else { return Ok(Plan::default()) };
    let bad = |what: &dyn std::fmt::Display| CommandError::failure("bad-scenario", format!("{}:{what}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| bad(&format!(" {error}")))?;
    let imported = quorate_sim::scenario::read(&text, None, None).map_err(|error| bad(&error))?;
    for note in &imported.notes {
        out.note(note);
    }
    let scenario = imported.scenario;
    if usize::from(scenario.validators) != validators {
        let error = bad(&format!(" it has {} validators, but the network has {validators}", scenario.validators));
        return Err(error.with_hint(format!("start the network with --validators {} (and --reset, if it exists)", scenario.validators)));
    }
    let plan = quorate_faults::Plan { seed: scenario.seed.unwrap_or_default(), rules: scenario.failures, speaks: None };
    if let Some((rule, why)) = plan.impossible() {
        let error = bad(&format!("{}:1: real processes cannot obey {rule}: {why}", rule.line));
        let program = quorate_terminal::program_word();
        return Err(error.with_hint(format!(
            "keep only MsgLoss, Delay and NoPropose between validators; for other faults use `{program} sim run` or `{program} localnet kill`"
        )));
    }
    if let Some(trigger) = scenario.triggers.first() {
        let error = bad(&format!("{}:1: real processes have no triggers", trigger.line));
        return Err(error.with_hint(format!("run the scenario with `{} sim run`", quorate_terminal::program_word())));
    }
    Ok(Plan { plan: Some(plan) })
}

#[cfg(feature = "faults")]
fn file(localnet: &Localnet, member: &Member) -> std::path::PathBuf {
    localnet.home(member).join("config").join("faults.json")
}

/// Whether a validator has a fault plan, which it obeys at every start.
#[cfg(feature = "faults")]
pub(super) fn has_plan(localnet: &Localnet, member: &Member) -> bool {
    file(localnet, member).exists()
}

/// Without the feature `faults`, no validator has a plan.
#[cfg(not(feature = "faults"))]
pub(super) const fn has_plan(_localnet: &Localnet, _member: &Member) -> bool {
    false
}

impl Plan {
    /// Writes the plan to each validator's home, or removes an old one.
    #[cfg(feature = "faults")]
    pub(super) fn write(&self, localnet: &Localnet) -> Result<(), CommandError> {
        for member in &localnet.validators {
            let file = file(localnet, member);
            let done = match &self.plan {
                Some(plan) => serde_json::to_vec_pretty(plan).map_err(Into::into).and_then(|bytes| std::fs::write(&file, bytes)),
                None => match std::fs::remove_file(&file) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                    done => done,
                },
            };
            done.map_err(|error| file_error("write", &file, &error))?;
        }
        Ok(())
    }

    /// Does nothing: there is no plan.
    #[cfg(not(feature = "faults"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "same signature as with the feature `faults`")]
    pub(super) const fn write(&self, _localnet: &Localnet) -> Result<(), CommandError> {
        Ok(())
    }
}
