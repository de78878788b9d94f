//! A validator's role in a world.

use quorate_harness::{SimHome, time::Micros};

use crate::{byzantine::Liar, fault::PowerCut};

/// A validator's faults and their consequences.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any may hold together with any other")]
pub(super) struct Role {
    /// Belongs to the permanent minority; the run does not wait for it.
    pub(super) excused: bool,
    /// Sits between its replica and the network, if it lies.
    pub(super) liar: Option<Liar>,
    /// Neither a restart nor the calm sets its wall clock right.
    pub(super) clock_stays_wrong: bool,
    /// Older copy of its home, to be restored.
    pub(super) old_home: Option<SimHome>,
    /// Its disk is empty or an older copy, but its witness is current. If it has signed since, it may not start.
    pub(super) disk_has_forgotten: bool,
    /// It has lost its memory and may not have signed again yet (SAFE-8).
    pub(super) abstains: bool,
    /// Its disk may lack transactions on which the application has panicked here.
    pub(super) has_lost_panics: bool,
    /// It was shown a signature of its own that it does not remember, and has stopped for ever.
    pub(super) stopped: bool,
    /// It never starts again.
    pub(super) gone: bool,
    /// Armed power cut, and how long the power stays off.
    pub(super) armed: Option<(PowerCut, Micros)>,
    /// Number of outputs over all lives.
    pub(super) polls: u64,
}
