//! Planted bugs: the test of the tests.
//!
//! A checker that finds nothing may be looking at nothing. So 24 mistakes that real consensus systems have made stand in `zoo/bugs` as small
//! replacements of text. The hunt copies the sources into a scratch workspace, plants one of them, builds the simulator from there and runs
//! its searches until one breaks a rule. All 24 must be found, and the sources as they are must pass the same searches.
//!
//! No production file has a switch for any of it, and nothing is built from this crate that another one uses: a planted bug exists only
//! below `target/zoo`.

#![forbid(unsafe_code)]

pub mod bug;
pub mod cpu;
pub mod hunt;
pub mod report;
pub mod search;
pub mod workshop;
