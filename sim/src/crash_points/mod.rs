//! Crash points: every place where a validator writes, and the four moments around each write at which the power may fail.
//!
//! ```text
//!            the write      the sync that makes it durable      what leaves the validator because of it
//!   ────────────┼─────────────────────┼──────────────────────────────────┼─────────────>
//!        before-write     after-write         after-sync             after-effect
//! ```
//! A point is a [`Site`] and an [`Instant`]. A run cuts the power of one validator (sometimes of all) at one point, or at a first and then at
//! a second one, which may lie in the recovery from the first. Then it must come back by itself, no rule may be broken, and the chain must
//! go on. A point that a run does not reach is a failure of the run: what is never hit is not tested.
//!
//! No production code knows of any of this: the disk and the file system under it are watched (`disk`, `files`), and what is written
//! tells the site (`site`). A write that belongs to no site is a failure, too.

mod calm;
pub mod command;
mod course;
mod disk;
mod files;
mod home;
mod matrix;
mod roles;
mod site;
mod trap;
mod witness;
mod world;

use std::fmt;

pub(crate) use course::run_of;
pub use course::{Course, Outcome, run};
pub use matrix::{Matrix, MatrixFailure, PAIRS, POINTS, PointHits, pairs, singles};

/// Where a validator writes. The thirteen places of docs/invariants.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The safety record of a vote.
    Vote,
    /// The safety record of a timeout.
    Timeout,
    /// The safety record of a proposal, and the block with it.
    OwnProposal,
    /// The file beside the key, after the safety record of any ballot.
    Witness,
    /// The first safety record, with which an epoch starts.
    EpochStart,
    /// A proposed block with the certificate in it.
    BlockInsert,
    /// The certificates beside a safety record, where a timeout certificate is among them: only here it is durable.
    HighestCertificates,
    /// Blocks, headers, receipts and the state that they change.
    LedgerCommit,
    /// A whole state at once: that of genesis, into an empty store.
    StateSnapshot,
    /// A block that was fetched or caught up.
    SyncChunk,
    /// The removal of stored blocks that never will be committed.
    Prune,
    /// The file that says where the running process is reached.
    PeerFile,
    /// A key file or the genesis file.
    KeyFile,
}

impl Site {
    /// Every site.
    pub const ALL: [Self; 13] = [
        Self::Vote,
        Self::Timeout,
        Self::OwnProposal,
        Self::Witness,
        Self::EpochStart,
        Self::BlockInsert,
        Self::HighestCertificates,
        Self::LedgerCommit,
        Self::StateSnapshot,
        Self::SyncChunk,
        Self::Prune,
        Self::PeerFile,
        Self::KeyFile,
    ];

    /// Its name in commands and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vote => "vote",
            Self::Timeout => "timeout",
            Self::OwnProposal => "own-proposal",
            Self::Witness => "witness",
            Self::EpochStart => "epoch-start",
            Self::BlockInsert => "block-insert",
            Self::HighestCertificates => "highest-certificates",
            Self::LedgerCommit => "ledger-commit",
            Self::StateSnapshot => "state-snapshot",
            Self::SyncChunk => "sync-chunk",
            Self::Prune => "prune",
            Self::PeerFile => "peer-file",
            Self::KeyFile => "key-file",
        }
    }

    /// Whether a validator writes there once in its life, before its first round.
    pub(crate) const fn is_once(self) -> bool {
        matches!(self, Self::EpochStart | Self::StateSnapshot | Self::KeyFile)
    }

    /// Whether a validator that has started normally writes there once, at its start.
    pub(crate) const fn is_at_start(self) -> bool {
        self.is_once() || matches!(self, Self::PeerFile)
    }
}

/// When the power fails, seen from a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instant {
    /// Nothing of it reaches the disk.
    BeforeWrite,
    /// It is written and not synced: what survives is for the disk to decide.
    AfterWrite,
    /// It is durable, and nobody outside knows. Where a write is not synced by itself, the next sync counts.
    AfterSync,
    /// What it was for has just left the validator. Of a commit that is the answer to its clients, which waits for no sync.
    AfterEffect,
}

impl Instant {
    /// Every instant.
    pub const ALL: [Self; 4] = [Self::BeforeWrite, Self::AfterWrite, Self::AfterSync, Self::AfterEffect];

    /// Its name in commands and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterWrite => "after-write",
            Self::AfterSync => "after-sync",
            Self::AfterEffect => "after-effect",
        }
    }
}

/// A site and an instant. Written `SITE/INSTANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Where.
    pub site: Site,
    /// When.
    pub instant: Instant,
}

impl Point {
    /// All 52 points, in the order of sites and then of instants.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Site::ALL.into_iter().flat_map(|site| Instant::ALL.map(|instant| Self { site, instant })).collect()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site.name(), self.instant.name())
    }
}

impl std::str::FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::all().into_iter().find(|point| point.to_string() == text).ok_or_else(|| {
            let sites: Vec<&str> = Site::ALL.iter().map(|site| site.name()).collect();
            let instants: Vec<&str> = Instant::ALL.iter().map(|instant| instant.name()).collect();
            format!(
                "there is no crash point {text:?}; it is SITE/INSTANT with a site of {} and an instant of {}",
                sites.join(", "),
                instants.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_52_points_and_each_is_found_by_its_name() {
        let all = Point::all();
        assert_eq!(all.len(), 52);
        for point in all {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        assert!("vote/later".parse::<Point>().unwrap_err().contains("after-effect"));
    }
}
