//! `quorate sim` as a program of its own. It takes the same arguments, and needs neither `RocksDB` nor a socket to be built.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use quorate_terminal::OutputArgs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Run many validators in one process on a virtual clock, with faults that a seed decides.
#[derive(Debug, Parser)]
#[command(name = "quorate-sim", version, max_term_width = 110)]
struct Program {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: quorate_sim::Command,
}

fn main() -> ExitCode {
    let Program { output, command } = match quorate_terminal::parse("quorate-sim") {
        Ok(program) => program,
        Err(code) => return code,
    };
    let out = output.open();
    match command.run(&out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            out.error(&error);
            error.exit.into()
        }
    }
}
