//! Fail-stop: ends a node that must not go on because an invariant is broken, the disk failed, or a thread or task that it needs has ended.
//!
//! Nothing is retried, and nothing more is signed: the replica's thread has ended by the time its failure is reported. A node that ran on
//! without one of its threads would look alive to monitoring, yet do only part of its work for ever.

use std::{
    fmt, io,
    panic::PanicHookInfo,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

/// Name of the threads that answer clients' requests. A panic there costs one answer; tasks that must not end have an [`Alarm`].
pub(crate) const API_THREAD: &str = "api";

/// Records the first failure. Clones share one record.
#[derive(Clone)]
pub(crate) struct Failure {
    first: Arc<watch::Sender<Option<String>>>,
    /// Called immediately by the failing thread, before any cleanup.
    hook: fn(&str),
    /// True from the end of startup to the beginning of shutdown: no watched thread or task may end meanwhile.
    is_running: Arc<AtomicBool>,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.get()).finish()
    }
}

impl Failure {
    pub(crate) fn new(hook: fn(&str)) -> Self {
        Self { first: Arc::new(watch::Sender::new(None)), hook, is_running: Arc::default() }
    }

    /// Sets whether the end of a watched thread or task is a failure from now on.
    pub(crate) fn set_running(&self, is_running: bool) {
        self.is_running.store(is_running, Ordering::SeqCst);
    }

    /// Spawns a task that must not end before the node does.
    pub(crate) fn spawn(
        &self,
        runtime: &Handle,
        name: &str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let alarm = Alarm { failure: self.clone(), name: format!("the task `{name}`") };
        runtime.spawn(async move {
            let _alarm = alarm;
            task.await;
        })
    }

    /// Reports a failure. Only the first is recorded; all are logged and passed to the hook.
    pub(crate) fn report(&self, what: &str) {
        tracing::error!("stopping at once: {what}");
        (self.hook)(what);
        self.first.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| what.into());
            is_first
        });
    }

    /// The first failure, if any.
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

/// Ends the process with the reason if any thread but those of the API panics, including threads of libraries, which have no [`Alarm`].
pub(crate) fn end_process_on_panic(end: fn(&str)) {
    std::panic::set_hook(Box::new(move |panic| on_panic(panic, end)));
}

fn on_panic(panic: &PanicHookInfo<'_>, end: fn(&str)) {
    // The caller of the application catches this panic and reports what it means there.
    if quorate_app::is_in_application() {
        return tracing::error!("the application has panicked: {panic}");
    }
    let thread = thread::current();
    let name = thread.name().unwrap_or("?");
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("for an unknown reason");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what = format!("the thread `{name}` has panicked at {place}, which is a bug in this program: {message}");
    tracing::error!("{what}");
    if name != API_THREAD {
        end(&what);
    }
}

/// Threads that the node cannot do without: the end of one is a failure.
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

    /// Starts a thread.
    pub(crate) fn start(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let alarm = Alarm { failure: self.failure.clone(), name: format!("the thread `{name}`") };
        let alive = self.alive.clone();
        self.handles.push(thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alive = alive;
            let _alarm = alarm;
            body();
        })?);
        Ok(())
    }

    /// Waits until all threads have ended.
    ///
    /// # Errors
    /// The names of the threads still running after `patience`.
    pub(crate) fn join(self, patience: Duration) -> Result<(), Vec<String>> {
        drop(self.alive);
        if self.ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            let running = self.handles.iter().filter(|handle| !handle.is_finished());
            return Err(running.map(|handle| handle.thread().name().unwrap_or_default().to_owned()).collect());
        }
        for handle in self.handles {
            // The thread's alarm has already reported a panic.
            drop(handle.join());
        }
        Ok(())
    }
}

/// Held by a thread or task that must not end; reports a failure when dropped.
struct Alarm {
    failure: Failure,
    name: String,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failure.report(&format!("{} has panicked, which is a bug in this program", self.name));
        } else if self.failure.is_running.load(Ordering::SeqCst) && self.failure.get().is_none() {
            self.failure.report(&format!("{} has ended, which is a bug in this program", self.name));
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
    fn the_quiet_end_of_a_thread_or_task_is_a_failure_while_the_node_runs_and_none_before_or_after() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let end_both = |failure: &Failure| {
            let mut threads = Threads::new(failure.clone());
            threads.start("quick", || {}).unwrap();
            threads.join(PATIENCE).unwrap();
            let thread = failure.get();
            let failure = Failure { first: Arc::new(watch::Sender::new(None)), ..failure.clone() };
            runtime.block_on(failure.spawn(runtime.handle(), "brief", async {})).unwrap();
            (thread, failure.get())
        };
        let failure = Failure::new(|_| {});
        assert_eq!(end_both(&failure), (None, None), "before");
        failure.set_running(true);
        let (thread, task) = end_both(&failure);
        assert!(thread.unwrap().contains("`quick` has ended") && task.unwrap().contains("`brief` has ended"));
        let failure = Failure::new(|_| {});
        failure.set_running(true);
        failure.set_running(false);
        assert_eq!(end_both(&failure), (None, None), "after");
    }

    static ENDED_BY: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

    #[test]
    fn a_panic_on_any_thread_but_those_that_answer_requests_ends_the_process_with_the_reason() {
        end_process_on_panic(|what| ENDED_BY.lock().unwrap().push(what.to_owned()));
        for name in ["of a library", API_THREAD] {
            assert!(thread::Builder::new().name(name.into()).spawn(|| panic!("on purpose")).unwrap().join().is_err());
        }
        drop(std::panic::take_hook());
        let ended_by = ENDED_BY.lock().unwrap().clone();
        let of = |name: &str| ended_by.iter().find(|what| what.contains(&format!("the thread `{name}` has panicked")));
        assert!(of("of a library").unwrap().contains("on purpose") && of("of a library").unwrap().contains("failure.rs"));
        assert_eq!(of(API_THREAD), None);
    }

    #[test]
    fn the_panic_of_a_task_is_a_failure() {
        let failure = Failure::new(|_| {});
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(failure.spawn(runtime.handle(), "doomed", async { panic!("on purpose") })).is_err());
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
