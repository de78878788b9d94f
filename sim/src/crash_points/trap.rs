//! The trap of a run: the point where power is to fail, for which validators, and how close it is. Disks and files ask it at every step.

use std::collections::{BTreeMap, BTreeSet};

use quorate_replica::Output;
use quorate_types::ids::ValidatorId;

use super::{Instant, Point, Site};

/// What a disk or file does with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Carries it out.
    Pass,
    /// Power fails before it.
    FailBefore,
    /// Writes without a sync, then power fails.
    FailUnsynced,
    /// Carries it out, then power fails.
    FailAfter,
}

/// A step in writing a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileStep {
    /// The content is about to be written.
    Write,
    /// The content is about to be synced.
    Sync,
    /// The file durably has its name, and the writer is about to be told.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// Written without a sync; the next sync springs the trap.
    Written(ValidatorId),
    /// Written; waiting for the next output to leave.
    Effect(ValidatorId),
    /// That output has left.
    Left(ValidatorId),
}

#[derive(Debug)]
struct Armed {
    point: Point,
    whose: BTreeSet<ValidatorId>,
    /// Hits left until power fails; 1 means at the next one.
    left: u64,
    stage: Stage,
}

/// The armed point, and a record of writes.
#[derive(Debug, Default)]
pub(super) struct Trap {
    armed: Option<Armed>,
    /// Where power failed, and for which validator, until the world takes it.
    sprung: Option<(Point, ValidatorId)>,
    /// Number of writes to each site.
    pub(super) writes: BTreeMap<Site, u64>,
    /// Validators whose next witness is of the first record of an epoch.
    first_witness: BTreeSet<ValidatorId>,
    /// Columns of a batch that belongs to no site.
    pub(super) stray: Option<String>,
}

impl Trap {
    /// Arms the trap for the nth hit of a point by any of these validators.
    pub(super) fn arm(&mut self, point: Point, whose: BTreeSet<ValidatorId>, nth: u64) {
        self.armed = Some(Armed { point, whose, left: nth.max(1), stage: Stage::Waiting });
    }

    /// Takes the last power failure: its point and validator.
    pub(super) fn take_sprung(&mut self) -> Option<(Point, ValidatorId)> {
        self.sprung.take()
    }

    fn spring(&mut self, whose: ValidatorId) {
        if let Some(armed) = self.armed.take() {
            self.sprung = Some((armed.point, whose));
        }
    }

    fn count(&mut self, site: Site) {
        let count = self.writes.entry(site).or_default();
        *count = count.saturating_add(1);
    }

    /// Counts a hit if the armed point is at one of these sites, and returns the instant if power is to fail at this hit.
    fn is_due(&mut self, whose: ValidatorId, sites: &[Site]) -> Option<Instant> {
        let armed = self.armed.as_mut().filter(|armed| armed.stage == Stage::Waiting && armed.whose.contains(&whose))?;
        if !sites.contains(&armed.point.site) {
            return None;
        }
        armed.left = armed.left.saturating_sub(1);
        (armed.left == 0).then_some(armed.point.instant)
    }

    /// Called before a batch is written.
    pub(super) fn on_batch(&mut self, whose: ValidatorId, sites: &[Site], sync: bool) -> Act {
        for site in sites {
            self.count(*site);
        }
        if sites.contains(&Site::EpochBallot) {
            self.first_witness.insert(whose);
        }
        if sync && self.armed.as_ref().is_some_and(|armed| armed.stage == Stage::Written(whose)) {
            self.spring(whose);
            return Act::FailAfter;
        }
        let stage = match self.is_due(whose, sites) {
            None => return Act::Pass,
            Some(Instant::BeforeWrite) => {
                self.spring(whose);
                return Act::FailBefore;
            }
            Some(Instant::AfterWrite) => {
                self.spring(whose);
                return Act::FailUnsynced;
            }
            Some(Instant::AfterSync) if sync => {
                self.spring(whose);
                return Act::FailAfter;
            }
            Some(Instant::AfterSync) => Stage::Written(whose),
            Some(Instant::AfterEffect) => Stage::Effect(whose),
        };
        if let Some(armed) = &mut self.armed {
            armed.stage = stage;
        }
        Act::Pass
    }

    /// Called before the witness is written, which is always synced.
    pub(super) fn on_witness(&mut self, whose: ValidatorId) -> Act {
        let is_first = self.first_witness.remove(&whose);
        let sites: &[Site] = if is_first { &[Site::Witness, Site::EpochWitness] } else { &[Site::Witness] };
        for site in sites {
            self.count(*site);
        }
        let act = match self.is_due(whose, sites) {
            None => return Act::Pass,
            Some(Instant::AfterEffect) => {
                if let Some(armed) = &mut self.armed {
                    armed.stage = Stage::Effect(whose);
                }
                return Act::Pass;
            }
            Some(Instant::BeforeWrite) => Act::FailBefore,
            Some(Instant::AfterWrite) => Act::FailUnsynced,
            Some(Instant::AfterSync) => Act::FailAfter,
        };
        self.spring(whose);
        act
    }

    /// Called at each step of writing a file.
    pub(super) fn on_file(&mut self, whose: ValidatorId, site: Site, step: FileStep) -> Act {
        if step == FileStep::Write {
            self.count(site);
        }
        let instant = self.armed.as_ref().map(|armed| armed.point.instant);
        let act = match (step, instant) {
            (FileStep::Write, Some(Instant::BeforeWrite)) => Act::FailBefore,
            (FileStep::Write, Some(Instant::AfterWrite)) => Act::FailUnsynced,
            (FileStep::Sync, Some(Instant::AfterSync)) | (FileStep::Done, Some(Instant::AfterEffect)) => Act::FailAfter,
            _ => return Act::Pass,
        };
        if self.is_due(whose, &[site]).is_none() {
            return Act::Pass;
        }
        self.spring(whose);
        act
    }

    /// Whether power fails before this output leaves; `None` means the validator has no work left.
    pub(super) fn fails_before(&mut self, whose: ValidatorId, output: Option<&Output>) -> bool {
        let has_left = self.armed.as_ref().is_some_and(|armed| armed.stage == Stage::Left(whose));
        // A commit's effect includes all answers to clients.
        if !has_left || matches!(output, Some(Output::Answer { .. })) {
            return false;
        }
        self.spring(whose);
        true
    }

    /// Called after an output has left.
    pub(super) fn on_output(&mut self, whose: ValidatorId, output: &Output) {
        let leaves = match output {
            Output::Send { .. }
            | Output::Gossip(_)
            | Output::Serve(_)
            | Output::Answer { .. }
            | Output::Committed(_)
            | Output::Accused(_) => true,
            Output::Ignored { .. } | Output::Worked => false,
        };
        if let Some(armed) = self.armed.as_mut().filter(|armed| leaves && armed.stage == Stage::Effect(whose)) {
            armed.stage = Stage::Left(whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ValidatorId = ValidatorId(1);

    fn armed(site: Site, instant: Instant, nth: u64) -> Trap {
        let mut trap = Trap::default();
        trap.arm(Point { site, instant }, BTreeSet::from([ME]), nth);
        trap
    }

    #[test]
    fn it_springs_at_the_nth_hit_of_its_site_and_of_its_validator_only() {
        let mut trap = armed(Site::Vote, Instant::BeforeWrite, 2);
        assert_eq!(trap.on_batch(ME, &[Site::Timeout], true), Act::Pass);
        assert_eq!(trap.on_batch(ME, &[Site::Vote], true), Act::Pass);
        assert_eq!(trap.on_batch(ValidatorId(2), &[Site::Vote], true), Act::Pass);
        assert_eq!(trap.take_sprung(), None);
        assert_eq!(trap.on_batch(ME, &[Site::Vote, Site::HighestCertificates], true), Act::FailBefore);
        assert_eq!(trap.take_sprung(), Some((Point { site: Site::Vote, instant: Instant::BeforeWrite }, ME)));
        assert_eq!(trap.on_batch(ME, &[Site::Vote], true), Act::Pass);
    }

    #[test]
    fn a_write_without_a_sync_is_durable_with_the_next_sync() {
        let mut trap = armed(Site::LedgerCommit, Instant::AfterSync, 1);
        assert_eq!(trap.on_batch(ME, &[Site::LedgerCommit], false), Act::Pass);
        assert_eq!(trap.on_batch(ME, &[Site::BlockInsert], false), Act::Pass);
        assert_eq!(trap.on_batch(ME, &[Site::Vote], true), Act::FailAfter);
        assert!(trap.take_sprung().is_some());
    }

    #[test]
    fn after_the_effect_is_after_the_first_output_that_leaves_and_the_answers_behind_it() {
        let mut trap = armed(Site::LedgerCommit, Instant::AfterEffect, 1);
        assert_eq!(trap.on_batch(ME, &[Site::LedgerCommit], false), Act::Pass);
        assert!(!trap.fails_before(ME, Some(&Output::Worked)));
        trap.on_output(ME, &Output::Worked);
        trap.on_output(ME, &Output::Gossip(Vec::new()));
        let answer = Output::Answer { ticket: quorate_replica::Ticket(1), answer: quorate_replica::Answer::Accepted };
        assert!(!trap.fails_before(ME, Some(&answer)));
        assert!(trap.fails_before(ME, Some(&Output::Worked)));
        assert!(trap.take_sprung().is_some());
    }

    #[test]
    fn a_file_fails_at_the_step_of_the_instant() {
        for (instant, step, act) in [
            (Instant::BeforeWrite, FileStep::Write, Act::FailBefore),
            (Instant::AfterWrite, FileStep::Write, Act::FailUnsynced),
            (Instant::AfterSync, FileStep::Sync, Act::FailAfter),
            (Instant::AfterEffect, FileStep::Done, Act::FailAfter),
        ] {
            let mut trap = armed(Site::KeyFile, instant, 1);
            let steps = [FileStep::Write, FileStep::Sync, FileStep::Done];
            for earlier in steps.into_iter().take_while(|other| *other != step) {
                assert_eq!(trap.on_file(ME, Site::KeyFile, earlier), Act::Pass);
            }
            assert_eq!(trap.on_file(ME, Site::PeerFile, step), Act::Pass);
            assert_eq!(trap.on_file(ME, Site::KeyFile, step), act);
        }
    }
}
