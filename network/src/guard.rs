//! Detects the end of a thread or task that the network cannot do without. It would otherwise go unnoticed: the links would be gone for good
//! while everything else went on.

use std::sync::Arc;

use tokio::sync::watch;

/// Reports to the node that the network has failed.
pub(crate) type OnFailure = Arc<dyn Fn(&str) + Send + Sync>;

/// Makes guards. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Guards {
    on_failure: OnFailure,
    stop: watch::Receiver<bool>,
}

impl Guards {
    /// Once `stop` becomes true or loses its sender, watched threads and tasks may end.
    pub(crate) fn new(on_failure: OnFailure, stop: watch::Receiver<bool>) -> Guards {
        Guards { on_failure, stop }
    }

    /// Held by the thread or task `name` while it runs.
    pub(crate) fn watch(&self, name: impl Into<String>) -> Guard {
        Guard { guards: self.clone(), name: name.into(), is_released: false }
    }

    /// Spawns a task that must not end.
    pub(crate) fn spawn(&self, name: impl Into<String>, task: impl Future<Output = ()> + Send + 'static) {
        let guard = self.watch(name);
        tokio::spawn(async move {
            let _guard = guard;
            task.await;
        });
    }

    /// Spawns a task that must not end before `end` does, and is dropped then.
    pub(crate) fn spawn_until(
        &self,
        end: impl Future<Output = ()> + Send + 'static,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let guard = self.watch(name);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = end => guard.release(),
                () = task => drop(guard),
            }
        });
    }

    /// Reports any other failure of the network.
    pub(crate) fn fail(&self, what: &str) {
        (self.on_failure)(what);
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

/// Reports a failure when dropped, unless the network is stopping.
pub(crate) struct Guard {
    guards: Guards,
    name: String,
    is_released: bool,
}

impl Guard {
    /// The thread or task may end.
    fn release(mut self) {
        self.is_released = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() || !(self.is_released || self.guards.is_stopping()) {
            self.guards.fail(&format!("{} has ended, which is a bug in this program", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_task_is_told_however_it_ends_unless_the_network_stops() {
        let (stop, stopped) = watch::channel(false);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (telling, told) = tokio::sync::mpsc::unbounded_channel();
        let guards = Guards::new(
            Arc::new({
                let heard = Arc::clone(&heard);
                move |what: &str| {
                    heard.lock().unwrap().push(what.to_owned());
                    telling.send(()).unwrap();
                }
            }),
            stopped,
        );
        let mut told = told;
        guards.spawn("a task that panics", async { panic!("on purpose") });
        guards.spawn("a task that returns", async {});
        guards.spawn_until(std::future::pending(), "a task that returns too early", async {});
        for _ in 0..3 {
            told.recv().await.unwrap();
        }
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        guards.spawn_until(async {}, "a task that is no longer needed", async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        assert!(released.await.is_err(), "it is dropped");
        stop.send_replace(true);
        drop(guards.watch("a task that is stopped"));
        let heard = heard.lock().unwrap().join("; ");
        assert!(heard.contains("that panics") && heard.contains("that returns has") && heard.contains("too early"), "{heard}");
        assert!(!heard.contains("is stopped") && !heard.contains("no longer needed"), "{heard}");
    }
}
