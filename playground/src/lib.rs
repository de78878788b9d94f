//! `quorate playground`: a network of production replicas in which nothing moves until a person says so.
//!
//! ```text
//! terminal or script ──> session ──> parse ──> Act  ──> stage ──> Replica::push / poll     acts: faults, votes, lies
//!                           │ log: undo, save      │                  └─> narrate: what happened, in the paper's words
//!                           └─────────────> Look ──> views, tree, quorum, explain
//! ```
//! docs/playground.md is for those who learn or teach the protocol. Scripts with their transcripts are in `playground/scripts/`.

#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod acts;
mod blocks;
mod cast;
mod client;
mod command;
mod explain;
mod flight;
mod help;
mod narrate;
mod paint;
mod parse;
mod quorum;
mod rules;
mod session;
mod stage;
mod tally;
mod terminal;
mod tree;
mod views;
mod words;

pub use cast::{Options, VALIDATORS_MAX};
pub use command::PlaygroundCommand;
pub use paint::{Line, Tone};
pub use session::{Error, Reply, Session};

/// Runs a script without a terminal. Returns what it prints (comments, commands after `>`, replies) and the number of the refused line, if
/// one ended the script.
///
/// # Errors
/// Invalid options.
pub fn transcript(script: &str, options: Options) -> Result<(String, Option<usize>), String> {
    let mut session = Session::open(options, false)?;
    let mut text = String::new();
    let failed = command::run_script(&mut session, script, &mut |reply| {
        for line in command::script_lines(reply) {
            text.push_str(&line.text);
            text.push('\n');
        }
        Ok(())
    })
    .map_err(|error| error.to_string())?;
    Ok((text, failed.map(|(number, _)| number)))
}
