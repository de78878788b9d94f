//! Watches the free space of the file system that holds `data/`.
//!
//! Below a threshold, clients' transactions are refused while consensus goes on: blocks, votes and pooled transactions still need space, and a
//! validator that takes nothing new for a while is better than one that stops because it cannot write.

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

/// Interval between measurements. The fastest chain writes some tens of megabytes meanwhile.
const EVERY: Duration = Duration::from_secs(5);

/// Free disk space, as of the last measurement.
#[derive(Debug)]
pub(crate) struct DiskSpace {
    /// `None`: nothing is written to disk, so there is always room.
    directory: Option<PathBuf>,
    /// The threshold; 0: none.
    free_bytes_min: u64,
    /// Free bytes at the last measurement.
    free_bytes: AtomicU64,
}

impl DiskSpace {
    /// Measures the free space where `directory` is.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn new(directory: Option<PathBuf>, free_bytes_min: u64) -> io::Result<Self> {
        let disk = Self { directory, free_bytes_min, free_bytes: AtomicU64::new(u64::MAX) };
        disk.look()?;
        Ok(disk)
    }

    /// Measures the free space again.
    fn look(&self) -> io::Result<u64> {
        let free = self.directory.as_deref().map_or(Ok(u64::MAX), free_bytes)?;
        self.free_bytes.store(free, Ordering::Relaxed);
        Ok(free)
    }

    /// Whether there is room for clients' transactions.
    pub(crate) fn has_room(&self) -> bool {
        self.free_bytes.load(Ordering::Relaxed) >= self.free_bytes_min
    }

    /// Refuses a client's transaction if there is no room.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        if self.has_room() { Ok(()) } else { Err(ApiError::disk_nearly_full(self.to_string())) }
    }
}

impl std::fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        let free = mib(self.free_bytes.load(Ordering::Relaxed));
        write!(f, "{free} MiB are free on disk, store.free_bytes_min is {} MiB", mib(self.free_bytes_min))
    }
}

/// Bytes that an unprivileged user may still write.
pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let system = rustix::fs::statvfs(directory)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Measures the free space until the node stops.
pub(crate) async fn run(disk: Arc<DiskSpace>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    let mut had_room = true;
    loop {
        let looking = Arc::clone(&disk);
        match tokio::task::spawn_blocking(move || looking.look()).await {
            Ok(Ok(free)) => metrics.disk_free(free),
            // The last measurement stays in force.
            Ok(Err(error)) => tracing::warn!(%error, "free disk space cannot be measured"),
            Err(_) => {}
        }
        match (had_room, disk.has_room()) {
            (true, false) => tracing::warn!("{disk}: clients' transactions are refused until more is free; consensus goes on"),
            (false, true) => tracing::info!("{disk}: clients' transactions are accepted again"),
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
