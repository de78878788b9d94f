//! `quorate`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    quorate_cli::quorate()
}
