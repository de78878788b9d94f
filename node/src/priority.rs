//! Which threads let others go first when the processor is short.

/// How much nicer than the others: such a thread gets about a tenth of the time of one that it competes with.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// The least that a thread can have: what is left over when nobody else wants it.
#[cfg(target_os = "linux")]
const MOST_NICENESS: i32 = 19;

/// Puts the calling thread behind those that order what has been taken in already. Without it a flood of transactions takes the time that
/// their blocks need, and throughput collapses.
///
/// On Linux a thread has a priority of its own, although POSIX gives one to the process alone. Elsewhere this does nothing, and admission
/// alone ([`crate::ingest`]) keeps the balance.
pub(crate) fn let_ordering_go_first() {
    #[cfg(target_os = "linux")]
    be_nicer(NICENESS);
}

/// Puts the calling thread behind all others: for work that costs clients nothing to ask for, and much to do.
pub(crate) fn let_everybody_go_first() {
    #[cfg(target_os = "linux")]
    be_nicer(MOST_NICENESS);
}

#[cfg(target_os = "linux")]
fn be_nicer(by: i32) {
    if let Err(error) = rustix::process::nice(by) {
        tracing::warn!("a thread keeps its priority: {error}");
    }
}
