//! The program for any [`Application`]: `node run`, `keygen`, `genesis`, `localnet`, `bench`, `sim` and the rest. It exits with the codes
//! documented in `quorate_terminal`, and decides nothing about the protocol.
//!
//! ```no_run
//! # use quorate_builtin::BuiltIn as Counter;
//! fn main() -> std::process::ExitCode {
//!     quorate_cli::run(Counter)
//! }
//! ```
//!
//! `quorate` itself is [`Program`] with the built-in application, its options for `genesis new`, and its wallet.

#![forbid(unsafe_code)]

mod bench;
mod localnet;
mod quorate;
mod version;

pub use quorate::{WalletCommand, quorate};

use std::{marker::PhantomData, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use quorate_app::{App, Application};
use quorate_genesis::{SettingsArgs, SettingsFile};
use quorate_terminal::{CommandError, Output, OutputArgs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program of an application with the process's arguments.
#[must_use]
pub fn run<A: Application>(application: A) -> ExitCode {
    Program::<SettingsFile, NoCommand>::new(App::new(application)).run()
}

/// A program for one application. `S` holds the options of `genesis new` that become its settings, `C` its additional commands.
#[derive(Debug)]
pub struct Program<S, C> {
    app: App,
    arguments: PhantomData<fn() -> (S, C)>,
}

/// Additional commands of a program.
pub trait Extension: Subcommand {
    /// Runs a command. The future is dropped on Ctrl-C.
    ///
    /// # Errors
    /// [`CommandError`].
    fn run(self, app: &App, out: &Output) -> impl Future<Output = Result<(), CommandError>>;
}

/// No additional commands.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum NoCommand {}

impl Extension for NoCommand {
    async fn run(self, _: &App, _: &Output) -> Result<(), CommandError> {
        match self {}
    }
}

/// A permissioned blockchain node: validators agree by DiemBFT v4 while less than a third of their voting power is faulty.
///
/// Exit codes: 0 success; 1 failure; 2 wrong usage; 3 no node reachable, nothing sent; 4 the transaction is not in the chain and never will be;
/// 5 it is in the chain, but failed; 6 outcome unknown, it may be in the chain, now or later; 7 a proof did not verify, or was older than what
/// was proved before; 130 interrupted.
#[derive(Debug, Parser)]
#[expect(clippy::doc_markdown, reason = "help text, which has no markup")]
#[command(name = "quorate", version = version::LINE, propagate_version = false, max_term_width = 110)]
struct CommandLine<S: SettingsArgs, C: Extension> {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command<S, C>,
}

#[derive(Debug, Subcommand)]
enum Command<S: SettingsArgs, C: Extension> {
    /// Run a validator.
    #[command(subcommand)]
    Node(quorate_node::Command),
    /// Examine a validator's home, its machine and its running node, and say what to do about what is wrong. Exit code 1 if there is a fault.
    Doctor(quorate_node::DoctorCommand),
    /// Collect what helps somebody else to find a validator's fault.
    #[command(subcommand)]
    Debug(quorate_node::DebugCommand),
    /// Watch nodes, their committee and their chain at a terminal; with -o json, print what each node says, once a second.
    Monitor(quorate_monitor::MonitorCommand),
    /// Show, check and change a validator's settings.
    #[command(subcommand)]
    Config(quorate_node::ConfigCommand),
    /// Keep a validator's consensus key in a process of its own.
    #[command(subcommand)]
    Signer(quorate_node::SignerCommand),
    /// Create the keys of validators and accounts.
    #[command(subcommand)]
    Keygen(quorate_keygen::Command),
    /// Run the genesis ceremony that founds a network.
    #[command(subcommand)]
    Genesis(quorate_genesis::Command<S>),
    #[command(flatten)]
    Extension(C),
    #[command(flatten)]
    Service(quorate_wallet::ServiceCommand),
    #[command(subcommand)]
    Evidence(quorate_wallet::EvidenceCommand),
    /// Show the committee and what else governs the chain, and change it together with the others who decide.
    Validator(quorate_wallet::ValidatorCommand),
    /// Show what accounts may do, and change it.
    Permission(quorate_wallet::PermissionCommand),
    /// Run a network of validator processes on this machine.
    #[command(subcommand)]
    Localnet(localnet::Command),
    /// Measure a network on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Simulate many validators in one process on a virtual clock, with faults chosen by a seed.
    #[command(subcommand)]
    Sim(quorate_sim::Command),
    /// Step through a network of four validators by hand: deliver messages, vote, and lie.
    Playground(quorate_sim::PlaygroundCommand),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the version, and what it was built from.
    Version,
}

impl<S: SettingsArgs, C: Extension> Program<S, C> {
    /// A program for this application.
    #[must_use]
    pub const fn new(app: App) -> Self {
        Self { app, arguments: PhantomData }
    }

    /// Runs the command in the process's arguments.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let CommandLine { output, command } = match quorate_terminal::parse::<CommandLine<S, C>>(self.app.name()) {
            Ok(line) => line,
            Err(code) => return code,
        };
        let out = output.open();
        match self.execute(command, &out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                out.error(&error);
                error.exit.into()
            }
        }
    }

    fn execute(&self, command: Command<S, C>, out: &Output) -> Result<(), CommandError> {
        let app = &self.app;
        match command {
            Command::Node(command) => command.run(app, out),
            Command::Doctor(command) => command.run(app, out),
            Command::Debug(command) => command.run(app, out),
            Command::Monitor(command) => block_on(command.run(out)),
            Command::Config(command) => command.run(out),
            Command::Signer(command) => command.run(app, out),
            Command::Keygen(command) => command.run(out),
            Command::Genesis(command) => command.run(app, out),
            Command::Service(command) => block_on(command.run(app, out)),
            Command::Evidence(command) => block_on(command.run(out)),
            Command::Validator(command) => block_on(command.run(app, out)),
            Command::Permission(command) => block_on(command.run(app, out)),
            Command::Localnet(command) => command.run(app, out),
            Command::Bench(command) => command.run(app, out),
            Command::Sim(command) => command.run(out),
            Command::Playground(command) => command.run(out),
            Command::Extension(command) => block_on(command.run(app, out)),
            Command::Completions { shell } => completions(CommandLine::<S, C>::command().name(app.name()), shell),
            Command::Version => out.print(&version::Build::default(), || version::LINE.into()),
        }
    }
}

fn completions(mut command: clap::Command, shell: clap_complete::Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    match std::io::Write::write_all(&mut std::io::stdout(), &script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::failure("output", format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Runs a future to its end, or drops it on Ctrl-C: destructors clean up what it has started.
fn block_on<T>(future: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| CommandError::failure("runtime", format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            // A command that handles Ctrl-C itself takes precedence.
            biased;
            result = future => result,
            _ = tokio::signal::ctrl_c() => Err(CommandError::interrupted()),
        }
    })
}

#[cfg(test)]
mod tests {
    use quorate_wallet::BankSettings;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::<BankSettings, WalletCommand>::command().debug_assert();
        CommandLine::<SettingsFile, NoCommand>::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        fn check(command: &clap::Command, path: &str) {
            for child in command.get_subcommands() {
                let path = format!("{path} {}", child.get_name());
                assert!(child.get_about().is_some() || child.get_name() == "help", "{path} has no description");
                for argument in child.get_arguments() {
                    assert!(argument.get_help().is_some(), "{path} {} has no description", argument.get_id());
                }
                check(child, &path);
            }
        }
        check(&CommandLine::<BankSettings, WalletCommand>::command(), "quorate");
    }
}
