//! The end of a node that must not go on: an invariant is broken, the disk failed, or a thread that it needs has panicked.
//!
//! Nothing is tried again, and nothing more is signed: the replica's thread has ended when a failure is reported.

use std::{
    fmt, io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::watch;

/// Where the first failure is reported. Clones share it.
#[derive(Clone)]
pub(crate) struct Failure {
    first: Arc<watch::Sender<Option<String>>>,
    /// Called at once by the thread that fails, before it cleans up anything.
    hook: fn(&str),
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.get()).finish()
    }
}

impl Failure {
    pub(crate) fn new(hook: fn(&str)) -> Self {
        Self { first: Arc::new(watch::Sender::new(None)), hook }
    }

    /// Reports a failure; later ones only tell the log.
    pub(crate) fn report(&self, what: &str) {
        tracing::error!("stopping at once: {what}");
        (self.hook)(what);
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| what.into());
            is_first
        });
    }

    /// What failed, if anything did.
    pub(crate) fn get(&self) -> Option<String> {
        self.first.borrow().clone()
    }

    /// Waits for the first failure.
    pub(crate) async fn wait(&self) -> String {
        let mut first = self.first.subscribe();
        match first.wait_for(Option::is_some).await {
            Ok(what) => what.clone().unwrap_or_default(),
            // The sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The threads that a node cannot do without: the panic of one is a failure.
#[derive(Debug)]
pub(crate) struct Threads {
    failure: Failure,
    handles: Vec<JoinHandle<()>>,
    /// Every thread holds a clone while it runs.
    alive: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Threads {
    pub(crate) fn new(failure: Failure) -> Self {
        let (alive, ended) = mpsc::channel();
        Self { failure, handles: Vec::new(), alive, ended }
    }

    /// Starts one.
    pub(crate) fn start(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let alarm = Alarm { failure: self.failure.clone(), name: name.to_owned() };
        let alive = self.alive.clone();
        self.handles.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alive = alive;
            let _alarm = alarm;
            body();
        })?);
        Ok(())
    }

    /// Waits until all have ended; the names of those that have not, when time is up.
    pub(crate) fn join(self, patience: Duration) -> Result<(), Vec<String>> {
        drop(self.alive);
        if self.ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            let running = self.handles.iter().filter(|handle| !handle.is_finished());
            return Err(running.map(|handle| handle.thread().name().unwrap_or_default().to_owned()).collect());
        }
        for handle in self.handles {
            // A panic has been reported by the thread's alarm.
            drop(handle.join());
        }
        Ok(())
    }
}

struct Alarm {
    failure: Failure,
    name: String,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failure.report(&format!("the thread `{}` has panicked, which is a defect of this program", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_panic_of_a_thread_is_a_failure_and_the_first_failure_is_kept() {
        let failure = Failure::new(|_| {});
        assert_eq!(failure.get(), None);
        let mut threads = Threads::new(failure.clone());
        threads.start("doomed", || panic!("on purpose")).unwrap();
        threads.join(PATIENCE).unwrap();
        failure.report("another");
        assert!(failure.get().unwrap().contains("doomed"));
    }

    #[test]
    fn threads_that_do_not_end_are_named_when_time_is_up() {
        let failure = Failure::new(|_| {});
        let (release, held) = mpsc::channel::<()>();
        let mut threads = Threads::new(failure.clone());
        threads.start("quick", || {}).unwrap();
        threads.start("stuck", move || assert!(held.recv().is_err())).unwrap();
        let running = threads.join(Duration::from_millis(1)).unwrap_err();
        assert!(running.contains(&"stuck".to_owned()), "{running:?}");
        drop(release);
        assert_eq!(failure.get(), None);
    }
}
