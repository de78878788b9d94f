//! `quorate monitor`: a dashboard at a terminal, or lines of JSON for programs.
//!
//! ```text
//! ask: polls and event streams of each node ──> State::apply ──> draw: a frame, four times a second
//! ```
//! `state` and `draw` know no clock, socket or terminal. All texts of nodes are escaped where they enter `state`.

#![forbid(unsafe_code)]

mod ask;
mod command;
mod draw;
mod screen;
mod state;
#[cfg(test)]
mod testing;

pub use self::command::MonitorCommand;
