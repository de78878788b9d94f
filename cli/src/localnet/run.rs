//! Starts and stops the validators of a network.

use std::{fs, path::Path, time::Duration};

use quorate_app::App;
use quorate_terminal::{CommandError, Output};
use serde::Serialize;

use super::{
    create::{Shape, create},
    directory::{Localnet, Member, file_error},
    process::{Process, Signal},
    ready::{commit_a_transaction, wait_until_ready},
    scenario::{Plan, has_plan},
    show,
};

/// Timeout for a validator's shutdown, which should take at most 5 seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the end of a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The network to start, if it exists. Options that only apply to a new network are then refused, except a number of validators that matches.
///
/// # Errors
/// Such an option, or an invalid one.
pub(super) fn existing(app: &App, directory: &Path, reset: bool, shape: &Shape) -> Result<Option<Localnet>, CommandError> {
    shape.check(app)?;
    if reset || !Localnet::exists(directory) {
        return Ok(None);
    }
    let localnet = Localnet::load(directory)?;
    let mut other = shape.clone();
    other.validators = other.validators.filter(|validators| usize::from(*validators) != localnet.validators.len());
    let Some(option) = other.given() else { return Ok(Some(localnet)) };
    let what =
        format!("{option} applies to a new network, but {} holds one of {} validators", directory.display(), localnet.validators.len());
    Err(CommandError::usage(what).with_hint("leave it out to start that network, add --reset to replace it, or choose another --dir"))
}

/// `quorate localnet start`: starts the existing network or a new one, which with `reset` replaces an existing one.
pub(super) async fn start(
    app: &App,
    directory: &Path,
    (reset, existing): (bool, Option<Localnet>),
    shape: &Shape,
    plan: &Plan,
    timeout: Duration,
    out: &Output,
) -> Result<(), CommandError> {
    let mut localnet = if let Some(localnet) = existing {
        localnet
    } else {
        if reset && Localnet::exists(directory) {
            remove(directory, out).await?;
        }
        refuse_existing(directory)?;
        create(app, directory, shape)?
    };
    let _lock = Localnet::lock(&localnet.directory)?;
    plan.write(&localnet)?;
    start_all(app, &mut localnet, timeout, out).await?;
    show::show(&localnet, out).await?;
    out.note(show::usage(app, &localnet));
    Ok(())
}

/// Starts the stopped validators, and waits until the chain commits. On failure, the started ones are killed. With a fault plan they need only
/// connect to each other: the plan may keep the chain from committing.
pub(crate) async fn start_all(app: &App, localnet: &mut Localnet, timeout: Duration, out: &Output) -> Result<(), CommandError> {
    let stopped: Vec<_> = (0..localnet.validators.len()).filter(|index| !localnet.validators[*index].is_running()).collect();
    let _progress = out.progress(format!("starting {} validators", stopped.len()));
    let guard = KillOnDrop::default();
    let started = async {
        for index in stopped {
            guard.add(spawn(localnet, index)?);
        }
        localnet.save()?;
        let members: Vec<_> = localnet.validators.iter().collect();
        wait_until_ready(localnet, &members, members.len().saturating_sub(1), timeout).await?;
        let is_faulty = members.iter().any(|member| has_plan(localnet, member));
        if is_faulty { Ok(()) } else { commit_a_transaction(app, localnet, timeout).await }
    };
    started.await?;
    guard.disarm();
    Ok(())
}

/// Kills the processes when dropped, unless disarmed: on failure or interruption of the command.
#[derive(Default)]
struct KillOnDrop(std::cell::RefCell<Vec<Process>>);

impl KillOnDrop {
    fn add(&self, process: Process) {
        self.0.borrow_mut().push(process);
    }

    fn disarm(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        for process in self.0.borrow().iter() {
            // It may have exited already, which may be the failure.
            drop(process.signal(Signal::KILL));
        }
        // On a busy machine a killed process lives on for a moment, with its ports and files.
        for process in self.0.borrow().iter() {
            process.block_until_gone(KILL_TIMEOUT);
        }
    }
}

/// Starts one validator and records its process.
fn spawn(localnet: &mut Localnet, index: usize) -> Result<Process, CommandError> {
    let program = std::env::current_exe()
        .map_err(|error| CommandError::failure("program", format!("cannot find this program's executable: {error}")))?;
    let member = &localnet.validators[index];
    let (home, log) = (localnet.home(member), localnet.log(member));
    let arguments = [Path::new("node"), Path::new("run"), Path::new("--home"), &home];
    let (process, child) =
        Process::spawn(&program, &arguments, &home, &log).map_err(|error| file_error("start", Path::new(&member.name), &error))?;
    // It outlives us. If it ends before us, it stays a zombie, which `Process` recognizes.
    drop(child);
    localnet.validators[index].process = Some(process.clone());
    Ok(process)
}

/// Shuts down all validators, and kills those that do not end in time.
pub(crate) async fn stop_all(localnet: &mut Localnet, out: &Output) -> Result<(), CommandError> {
    for member in &localnet.validators {
        signal(member, Signal::TERM)?;
    }
    for index in 0..localnet.validators.len() {
        finish(localnet, index, out).await?;
    }
    localnet.save()
}

/// Kills all validators without waiting, for destructors.
pub(crate) fn kill_all(localnet: &Localnet) {
    for member in &localnet.validators {
        // A process that cannot be killed has ended, or is not ours.
        drop(signal(member, Signal::KILL));
    }
}

fn signal(member: &Member, signal: Signal) -> Result<(), CommandError> {
    let sent = member.process.as_ref().map_or(Ok(()), |process| process.signal(signal));
    sent.map_err(|error| CommandError::failure("signal", format!("cannot stop {}: {error}", member.name)))
}

/// Waits for the end of a validator that was told to stop, and kills it on a timeout.
async fn finish(localnet: &mut Localnet, index: usize, out: &Output) -> Result<(), CommandError> {
    let member = &localnet.validators[index];
    let Some(process) = member.process.clone() else { return Ok(()) };
    if !process.wait_until_gone(STOP_TIMEOUT).await {
        out.note(format_args!("{} did not stop within {STOP_TIMEOUT:?}; killing it", member.name));
        kill_and_wait(member, &process).await?;
    }
    localnet.validators[index].process = None;
    Ok(())
}

async fn kill_and_wait(member: &Member, process: &Process) -> Result<(), CommandError> {
    signal(member, Signal::KILL)?;
    if process.wait_until_gone(KILL_TIMEOUT).await {
        return Ok(());
    }
    Err(CommandError::failure("signal", format!("process {} of {} does not end after SIGKILL", process.pid, member.name)))
}

/// `quorate localnet stop`.
pub(super) async fn stop(directory: &Path, out: &Output) -> Result<(), CommandError> {
    let lock_of = Localnet::load(directory)?;
    let _lock = Localnet::lock(&lock_of.directory)?;
    let mut localnet = Localnet::load(directory)?;
    stop_all(&mut localnet, out).await?;
    show::show(&localnet, out).await
}

/// `quorate localnet kill`.
pub(super) async fn kill(directory: &Path, number: usize, out: &Output) -> Result<(), CommandError> {
    let index = Localnet::load(directory)?.position(number)?;
    let _lock = Localnet::lock(directory)?;
    let mut localnet = Localnet::load(directory)?;
    let member = &localnet.validators[index];
    let Some(process) = member.process.clone().filter(Process::is_running) else {
        return Err(CommandError::failure("not-running", format!("{} is not running", member.name)));
    };
    kill_and_wait(member, &process).await?;
    localnet.validators[index].process = None;
    localnet.save()?;
    show::show(&localnet, out).await
}

/// `quorate localnet restart`.
pub(super) async fn restart(directory: &Path, number: usize, timeout: Duration, out: &Output) -> Result<(), CommandError> {
    let index = Localnet::load(directory)?.position(number)?;
    let _lock = Localnet::lock(directory)?;
    let mut localnet = Localnet::load(directory)?;
    signal(&localnet.validators[index], Signal::TERM)?;
    finish(&mut localnet, index, out).await?;
    spawn(&mut localnet, index)?;
    localnet.save()?;
    wait_until_ready(&localnet, &[&localnet.validators[index]], 0, timeout).await?;
    show::show(&localnet, out).await
}

/// `quorate localnet destroy`.
pub(super) async fn destroy(directory: &Path, out: &Output) -> Result<(), CommandError> {
    let localnet = Localnet::load(directory)?;
    remove(directory, out).await?;
    out.print(&Destroyed { destroyed: &localnet.directory }, || format!("removed {}", localnet.directory.display()))
}

#[derive(Serialize)]
struct Destroyed<'a> {
    destroyed: &'a Path,
}

async fn remove(directory: &Path, out: &Output) -> Result<(), CommandError> {
    let mut localnet = Localnet::load(directory)?;
    let _lock = Localnet::lock(&localnet.directory)?;
    stop_all(&mut localnet, out).await?;
    // Only a directory that holds a network is removed: `load` has read its state file.
    fs::remove_dir_all(&localnet.directory).map_err(|error| file_error("remove", &localnet.directory, &error))
}

/// A new network needs a directory that does not exist or is empty.
pub(super) fn refuse_existing(directory: &Path) -> Result<(), CommandError> {
    let is_empty = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(file_error("read", directory, &error)),
    };
    if is_empty {
        return Ok(());
    }
    let what = if Localnet::exists(directory) { "already holds a local network" } else { "is not empty and holds no local network" };
    Err(CommandError::failure("directory", format!("{} {what}", directory.display())).with_hint("choose another with --dir"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_for_a_new_network_is_refused_for_one_that_exists() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("net");
        let of = |validators: u16| Shape { validators: Some(validators), ..Shape::default() };
        assert!(existing(&quorate_builtin::app(), &path, false, &of(2)).unwrap().is_none());
        create(&quorate_builtin::app(), &path, &of(2)).unwrap();
        for shape in [Shape::default(), of(2)] {
            assert!(existing(&quorate_builtin::app(), &path, false, &shape).unwrap().is_some());
        }
        let others = [
            of(3),
            Shape { accounts: Some(3), ..Shape::default() },
            Shape { base_port: Some(20_000), ..of(2) },
            Shape { balance: Some(1), ..Shape::default() },
            Shape { timeout_ms: Some(500), ..Shape::default() },
            Shape { heartbeat_ms: Some(10_000), ..Shape::default() },
            Shape { settings: vec!["log.level=debug".into()], ..Shape::default() },
        ];
        for shape in others {
            let error = existing(&quorate_builtin::app(), &path, false, &shape).unwrap_err();
            assert!(error.exit == quorate_terminal::Exit::Usage && error.message.contains("2 validators"), "{error}");
            assert!(existing(&quorate_builtin::app(), &path, true, &shape).unwrap().is_none(), "--reset creates a new one");
        }
        let wrong = Shape { settings: vec!["no.such=1".into()], ..Shape::default() };
        existing(&quorate_builtin::app(), &path, true, &wrong).unwrap_err();
        assert!(Localnet::exists(&path), "a network is not removed for an invalid one");
    }

    #[test]
    fn a_directory_with_other_things_in_it_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        refuse_existing(directory.path()).unwrap();
        refuse_existing(&directory.path().join("new")).unwrap();
        fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
        let error = refuse_existing(directory.path()).unwrap_err();
        assert!(error.message.contains("is not empty"), "{error}");
        let out = Output::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(destroy(directory.path(), &out)).unwrap_err().code, "no-localnet");
        assert!(directory.path().join("thesis.txt").exists());
    }
}
