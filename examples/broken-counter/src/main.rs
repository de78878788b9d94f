//! The program of the counter that panics on one name.

use quorate_example_broken_counter::{BrokenCounter, Mistake};

fn main() -> std::process::ExitCode {
    quorate_cli::run(BrokenCounter(Mistake::Panic))
}
