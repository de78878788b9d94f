//! Thread priorities, for when CPU is scarce.

/// Added to the niceness of background threads: such a thread gets about a tenth of the CPU time of a normal one that it competes with.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// The lowest priority: the thread gets the CPU time that no other thread wants.
#[cfg(target_os = "linux")]
const MOST_NICENESS: i32 = 19;

/// Lowers the calling thread's priority below that of the threads that order transactions. Otherwise a flood of new transactions takes the
/// CPU time that ordering the admitted ones needs, and throughput collapses.
///
/// Linux has a priority per thread, where POSIX has one per process. Elsewhere this does nothing, and only admission ([`crate::ingest`]) keeps
/// the balance.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    be_nicer(NICENESS);
}

/// Lowers the calling thread's priority below all others: for work that is cheap for clients to request and expensive to do.
pub(crate) fn lowest_priority() {
    #[cfg(target_os = "linux")]
    be_nicer(MOST_NICENESS);
}

#[cfg(target_os = "linux")]
fn be_nicer(by: i32) {
    if let Err(error) = rustix::process::nice(by) {
        tracing::warn!("cannot lower a thread's priority: {error}");
    }
}
