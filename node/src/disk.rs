//! How much room the file system of `data/` has left.
//!
//! Below a mark, transactions of clients are refused: blocks, votes and what is in the pools still need room, and a validator that takes
//! nothing new for a while is better than one that stops because nothing can be written. Consensus goes on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    api::{error::ApiError, limits::stopped},
    metrics::Metrics,
};

/// How often the room is measured. The fastest chain writes some tens of megabytes meanwhile.
const EVERY: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    /// `None`: nothing is written anywhere, and there is always room.
    directory: Option<PathBuf>,
    /// The least that must be free; 0: nothing is asked.
    free_bytes_min: u64,
    /// What was free at the last look.
    free_bytes: AtomicU64,
}

impl DiskSpace {
    /// The room where this directory is, measured once.
    ///
    /// # Errors
    /// The system does not say.
    pub(crate) fn new(directory: Option<PathBuf>, free_bytes_min: u64) -> io::Result<Self> {
        let disk = Self { directory, free_bytes_min, free_bytes: AtomicU64::new(u64::MAX) };
        disk.look()?;
        Ok(disk)
    }

    /// Measures again.
    fn look(&self) -> io::Result<u64> {
        let free = self.directory.as_deref().map_or(Ok(u64::MAX), free_bytes)?;
        self.free_bytes.store(free, Ordering::Relaxed);
        Ok(free)
    }

    /// Whether transactions of clients are taken.
    pub(crate) fn has_room(&self) -> bool {
        self.free_bytes.load(Ordering::Relaxed) >= self.free_bytes_min
    }

    /// Takes a transaction of a client, or refuses it.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        if self.has_room() { Ok(()) } else { Err(ApiError::disk_nearly_full(self.to_string())) }
    }
}

impl std::fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        let free = mib(self.free_bytes.load(Ordering::Relaxed));
        write!(f, "{free} MiB of the disk are free, store.free_bytes_min is {} MiB", mib(self.free_bytes_min))
    }
}

/// What the system lets us write there.
fn free_bytes(directory: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(directory)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Looks at the room until the node stops.
pub(crate) async fn run(disk: Arc<DiskSpace>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut had_room = true;
    loop {
        let looking = Arc::clone(&disk);
        match tokio::task::spawn_blocking(move || looking.look()).await {
            Ok(Ok(free)) => metrics.disk_free(free),
            // What was known last holds on.
            Ok(Err(error)) => tracing::warn!(%error, "the free room of the disk cannot be measured"),
            Err(_) => {}
        }
        match (had_room, disk.has_room()) {
            (true, false) => tracing::warn!("{disk}: transactions of clients are refused until there is more; consensus goes on"),
            (false, true) => tracing::info!("{disk}: transactions of clients are taken again"),
            (true, true) | (false, false) => {}
        }
        had_room = disk.has_room();
        tokio::select! {
            () = stopped(&mut stop) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_mark_nothing_new_is_taken_and_above_it_everything() {
        let directory = tempfile::tempdir().unwrap();
        for (mark, room) in [(0, true), (1, true), (u64::MAX, false)] {
            let disk = DiskSpace::new(Some(directory.path().into()), mark).unwrap();
            assert_eq!((disk.has_room(), disk.admit().is_ok()), (room, room), "{disk}");
        }
        assert!(DiskSpace::new(Some(directory.path().join("missing")), 0).is_err());
        assert!(DiskSpace::new(None, 1 << 50).unwrap().has_room());
    }

    #[test]
    fn what_changes_is_seen_at_the_next_look() {
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskSpace::new(Some(directory.path().into()), 1).unwrap();
        disk.free_bytes.store(0, Ordering::Relaxed);
        let error = disk.admit().unwrap_err();
        assert!(format!("{error:?}").contains("disk-nearly-full"), "{error:?}");
        assert!(disk.look().unwrap() > 0 && disk.admit().is_ok());
    }
}
