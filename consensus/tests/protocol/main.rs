//! The engine from the outside: transcripts that read like a script, and small clusters of engines.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod cluster;
mod disk;
#[path = "../../src/members.rs"]
mod members;
mod script;
mod transcripts;
