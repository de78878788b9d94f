//! Which threads let others go first when the processor is short.

/// How much nicer than the others: such a thread gets about a tenth of the time of one that it competes with.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Puts the calling thread behind those that order what has been taken in already. Without it a flood of transactions takes the time that
/// their blocks need, and throughput collapses.
///
/// On Linux a thread has a priority of its own, although POSIX gives one to the process alone. Elsewhere this does nothing, and admission
/// alone ([`crate::ingest`]) keeps the balance.
pub(crate) fn let_ordering_go_first() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!("a thread keeps its priority: {error}");
    }
}
