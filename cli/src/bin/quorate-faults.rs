//! `quorate` with the feature `faults`, under another name: nobody takes a program that can lose messages for a release.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    quorate_cli::quorate()
}
