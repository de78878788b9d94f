//! What a validator's part is in a world: what is wrong with it, and what follows from that.

use quorate_harness::{SimHome, time::Micros};

use crate::{byzantine::Liar, fault::PowerCut};

/// See the module.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any may hold together with any other")]
pub(super) struct Role {
    /// It belongs to the permanent minority: nobody waits for it.
    pub(super) excused: bool,
    /// Who stands between its replica and the network, if it lies.
    pub(super) liar: Option<Liar>,
    /// Its calendar stays wrong: neither a restart nor the calm sets it right.
    pub(super) clock_stays_wrong: bool,
    /// An older copy of its home, with which it will come back.
    pub(super) old_home: Option<SimHome>,
    /// Its disk is empty or an older copy; the file beside its key is not. It may not start, if it has signed since.
    pub(super) disk_has_forgotten: bool,
    /// It was shown its own signature that it does not remember, and has stopped: for ever.
    pub(super) stopped: bool,
    /// It never starts again.
    pub(super) gone: bool,
    /// An armed power cut, and for how long the power will be off.
    pub(super) armed: Option<(PowerCut, Micros)>,
    /// How many effects and outputs it has gone through, over all lives.
    pub(super) polls: u64,
}
