//! The one program `quorate`. It gathers the commands that the other crates offer, adds local networks and measurements, and ends with the
//! exit codes that `quorate_client::terminal` documents. It decides nothing about the protocol.

#![forbid(unsafe_code)]

mod bench;
mod localnet;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use quorate_client::{
    CommandError, Output,
    terminal::{self, OutputArgs},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A permissioned blockchain node: n validators agree by DiemBFT v4 as long as fewer than a third of them fail, in whatever way.
///
/// Exit codes: 0 it worked; 1 it failed; 2 wrong usage; 3 no node could be reached; 4 the transaction is not in the chain and never
/// will be; 5 it is in the chain, but failed; 6 whether it is or will be in the chain is not known; 7 a proof did not verify, or nothing as new
/// as what was proved before; 130 interrupted.
#[derive(Debug, Parser)]
#[expect(clippy::doc_markdown, reason = "this is the help text, which has no markup")]
#[command(name = "quorate", version = version::LINE, propagate_version = false, max_term_width = 110)]
struct Program {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a validator.
    #[command(subcommand)]
    Node(quorate_node::Command),
    /// Make the keys of validators and accounts.
    #[command(subcommand)]
    Keygen(quorate_keygen::Command),
    /// Found a network: the genesis ceremony.
    #[command(subcommand)]
    Genesis(quorate_genesis::Command),
    /// Use a network: accounts, transfers, keys and values, each answer proved.
    Wallet(quorate_wallet::Command),
    /// Run a whole network of real validator processes on this machine.
    #[command(subcommand)]
    Localnet(localnet::Command),
    /// Measure a network on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Run many validators in one process on a virtual clock, with faults that a seed decides.
    #[command(subcommand)]
    Sim(quorate_sim::Command),
    /// Step, vote and lie by hand in a network of four validators that waits for you.
    Playground(quorate_sim::PlaygroundCommand),
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Say which version this is, and what it was built from.
    Version,
}

/// Does what the arguments of the process say.
#[must_use]
pub fn main() -> ExitCode {
    let Program { output, command } = match terminal::parse() {
        Ok(program) => program,
        Err(code) => return code,
    };
    let out = output.open();
    match run(command, &out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            error.exit.into()
        }
    }
}

fn run(command: Command, out: &Output) -> Result<(), CommandError> {
    match command {
        Command::Node(command) => command.run(out),
        Command::Keygen(command) => command.run(out),
        Command::Genesis(command) => command.run(out),
        Command::Wallet(command) => block_on(command.run(out)),
        Command::Localnet(command) => command.run(out),
        Command::Bench(command) => command.run(out),
        Command::Sim(command) => command.run(out),
        Command::Playground(command) => command.run(out),
        Command::Completions { shell } => completions(shell),
        Command::Version => out.print(&version::Build::default(), || version::LINE.into()),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Program::command(), "quorate", &mut script);
    match std::io::Write::write_all(&mut std::io::stdout(), &script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::failure("output", format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A future run to its end, or to Ctrl-C, which drops it: whatever it has started is cleaned up by destructors.
fn block_on<T>(future: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| CommandError::failure("runtime", format!("no threads can be started: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            // A command that listens for Ctrl-C itself has more to say about it.
            biased;
            result = future => result,
            _ = tokio::signal::ctrl_c() => Err(CommandError::interrupted()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Program::command().debug_assert();
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
        check(&Program::command(), "quorate");
    }
}
