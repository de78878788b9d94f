//! Crash points: every place where a validator writes, and four moments around each write when power may fail.
//!
//! ```text
//!            the write      the sync that makes it durable      the output that depends on it leaves
//!   ────────────┼─────────────────────┼──────────────────────────────────┼─────────────>
//!        before-write     after-write         after-sync             after-effect
//! ```
//! A point is a [`Site`] and an [`Instant`]. A run cuts the power of one validator, sometimes of all, at one point, or at two points in turn,
//! the second of which may lie in the recovery from the first. The validator must then recover by itself, no rule may be broken, and the
//! chain must make progress. A run that does not reach its point fails: what is never hit is not tested.
//!
//! Production code knows nothing of this: the disk and the file system under it are watched (`disk`, `files`), and a write's content
//! identifies its site (`site`). A write that belongs to no site is a failure, too.

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

/// Where a validator writes: the sixteen places of docs/invariants.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The safety record of a vote.
    Vote,
    /// The safety record of a timeout.
    Timeout,
    /// The safety record of a proposal, together with its block.
    OwnProposal,
    /// The witness, after the safety record of any ballot.
    Witness,
    /// The first safety record of all, which begins the first epoch.
    EpochStart,
    /// The commit of the last block of an epoch, with the state of the next.
    EpochEnd,
    /// The first safety record of a later epoch: that of the first ballot in it.
    EpochBallot,
    /// The witness of that record.
    EpochWitness,
    /// A proposed block with its certificate.
    BlockInsert,
    /// The certificates beside a safety record if they include a timeout certificate, which is durable nowhere else.
    HighestCertificates,
    /// Blocks, headers, receipts and the state that they change.
    LedgerCommit,
    /// A whole state at once: that of genesis, into an empty store.
    StateSnapshot,
    /// A block that was fetched or caught up.
    SyncChunk,
    /// The removal of stored blocks that will never be committed.
    Prune,
    /// The file with the address of the running process.
    PeerFile,
    /// A key file or the genesis file.
    KeyFile,
}

impl Site {
    /// Every site.
    pub const ALL: [Self; 16] = [
        Self::Vote,
        Self::Timeout,
        Self::OwnProposal,
        Self::Witness,
        Self::EpochStart,
        Self::EpochEnd,
        Self::EpochBallot,
        Self::EpochWitness,
        Self::BlockInsert,
        Self::HighestCertificates,
        Self::LedgerCommit,
        Self::StateSnapshot,
        Self::SyncChunk,
        Self::Prune,
        Self::PeerFile,
        Self::KeyFile,
    ];

    /// The name in commands and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vote => "vote",
            Self::Timeout => "timeout",
            Self::OwnProposal => "own-proposal",
            Self::Witness => "witness",
            Self::EpochStart => "epoch-start",
            Self::EpochEnd => "epoch-end",
            Self::EpochBallot => "epoch-ballot",
            Self::EpochWitness => "epoch-witness",
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

    /// Whether a validator writes there only once, before its first round.
    pub(crate) const fn is_once(self) -> bool {
        matches!(self, Self::EpochStart | Self::StateSnapshot | Self::KeyFile)
    }

    /// Whether a validator writes there only because the committee changes.
    pub(crate) const fn is_of_change(self) -> bool {
        matches!(self, Self::EpochEnd | Self::EpochBallot | Self::EpochWitness)
    }

    /// Whether a validator writes there once per start or only at its first one.
    pub(crate) const fn is_at_start(self) -> bool {
        self.is_once() || matches!(self, Self::PeerFile)
    }
}

/// When power fails, relative to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instant {
    /// Nothing of the write reaches the disk.
    BeforeWrite,
    /// The write is not yet synced; the disk decides what survives.
    AfterWrite,
    /// The write is durable, but nothing outside depends on it yet. If it has no sync of its own, the next sync counts.
    AfterSync,
    /// The first output that depends on the write has just left the validator. For a commit these are its answers to clients, which wait for
    /// no sync.
    AfterEffect,
}

impl Instant {
    /// Every instant.
    pub const ALL: [Self; 4] = [Self::BeforeWrite, Self::AfterWrite, Self::AfterSync, Self::AfterEffect];

    /// The name in commands and reports.
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

/// A site and an instant, written `SITE/INSTANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Where the validator writes.
    pub site: Site,
    /// When power fails.
    pub instant: Instant,
}

impl Point {
    /// All 64 points, in the order of sites and then of instants.
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
                "no crash point {text:?}; enter SITE/INSTANT, where SITE is one of {} and INSTANT is one of {}",
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
    fn there_are_64_points_and_each_is_found_by_its_name() {
        let all = Point::all();
        assert_eq!(all.len(), 64);
        for point in all {
            assert_eq!(point.to_string().parse(), Ok(point));
        }
        assert!("vote/later".parse::<Point>().unwrap_err().contains("after-effect"));
    }
}
