//! Planted bugs: the test of the tests.
//!
//! A checker that finds nothing may be looking at nothing. So `zoo/bugs` holds 49 mistakes, most of them made by real consensus systems, as small
//! text replacements. The hunt copies the sources into a scratch workspace, plants one bug, builds the simulator from there and runs its
//! searches until one finds a violation. All bugs must be found, and the unmodified sources must pass the same searches.
//!
//! No production file has a switch for any of this, and no other crate uses this one: a planted bug exists only below `target/zoo`.

#![forbid(unsafe_code)]

pub mod bug;
pub mod cpu;
pub mod hunt;
pub mod report;
pub mod search;
pub mod workshop;
