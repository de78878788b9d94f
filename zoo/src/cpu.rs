//! CPU time of the processes that we started and waited for: user and system, as the kernel counts it. It does not depend on what else the
//! machine does.

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// How much CPU time all our children that have ended had used at some moment.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    seconds: f64,
}

impl CpuTime {
    /// At this moment. Nothing where the kernel does not tell, which no supported one does.
    #[must_use]
    pub fn of_children() -> Self {
        let seconds = getrusage(UsageWho::RUSAGE_CHILDREN).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()));
        Self { seconds }
    }

    /// CPU-seconds used by the children that have ended since then.
    #[must_use]
    pub fn seconds_since(self) -> f64 {
        (Self::of_children().seconds - self.seconds).max(0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time of some minutes")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
