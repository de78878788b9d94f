//! `quorate` with the feature `faults`, under another name so that a program that can lose messages is not mistaken for a release.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    quorate_cli::quorate()
}
