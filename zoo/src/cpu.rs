//! CPU time of child processes that have been waited for: user and system time as counted by the kernel, independent of the machine's other
//! load.

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// The CPU time that all ended children had used at some moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    seconds: f64,
}

impl CpuTime {
    /// The time now; zero if the kernel does not tell, which does not happen on supported systems.
    #[must_use]
    pub fn of_children() -> Self {
        let seconds = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()));
        Self { seconds }
    }

    /// CPU-seconds used by children that have ended since then.
    #[must_use]
    pub fn seconds_since(self) -> f64 {
        (Self::of_children().seconds - self.seconds).max(0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time of some minutes")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
