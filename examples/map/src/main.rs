//! The map's program: validators, keys, genesis, local networks, measurements, and a client.

fn main() -> std::process::ExitCode {
    quorate_cli::run(quorate_example_map::TextMap)
}
