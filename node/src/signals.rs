//! What the system and its operator tell the process.
//!
//! | Signal | What happens |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | an orderly stop; while the node is still starting, the end at once |
//! | SIGHUP, SIGUSR1, SIGUSR2 | a line in the log: there is nothing to read again |
//! | SIGXFSZ | a line in the log; the write that made a file too long fails, and says so |
//! | SIGPIPE | nothing (Rust ignores it): whoever writes learns that nobody reads |
//!
//! By default most of them would kill a validator without a word, a terminal that is closed for example, or a tool that rotates logs.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::logging;

const STOPPING: [(&str, SignalKind); 3] =
    [("SIGTERM", SignalKind::terminate()), ("SIGINT", SignalKind::interrupt()), ("SIGQUIT", SignalKind::quit())];

const HARMLESS: [(&str, SignalKind, &str); 4] = [
    ("SIGHUP", SignalKind::hangup(), "there is nothing to read again, settings are read at the start; the node goes on"),
    ("SIGUSR1", SignalKind::user_defined1(), "it means nothing here; the node goes on"),
    ("SIGUSR2", SignalKind::user_defined2(), "it means nothing here; the node goes on"),
    ("SIGXFSZ", SignalKind::from_raw(FILE_SIZE), "a file has reached the limit of this process (ulimit -f); raise it"),
];

/// SIGXFSZ, on Linux and macOS alike.
const FILE_SIZE: i32 = 25;

/// Receives the signals of the process.
pub(crate) struct Signals {
    stop: watch::Receiver<Option<&'static str>>,
    is_started: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals over, for as long as the process lives.
    ///
    /// # Errors
    /// The system gives no thread, or does not let us.
    pub(crate) fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stopping, stop) = watch::channel(None);
        let stopping = Arc::new(stopping);
        let is_started = Arc::new(AtomicBool::new(false));
        let context = runtime.enter();
        for (name, kind) in STOPPING {
            let mut signals = signal(kind)?;
            let (stopping, is_started) = (Arc::clone(&stopping), Arc::clone(&is_started));
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    stopping.send_replace(Some(name));
                    if !is_started.load(Ordering::SeqCst) {
                        tracing::info!("{name}: ending before the start is complete");
                        logging::finish();
                        // Nobody waits for an orderly stop yet, and the start may take minutes. A validator may be killed at any moment.
                        std::process::exit(0);
                    }
                }
            });
        }
        for (name, kind, meaning) in HARMLESS {
            let mut signals = signal(kind)?;
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    tracing::warn!("{name}: {meaning}");
                }
            });
        }
        drop(context);
        thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self { stop, is_started })
    }

    /// From now on somebody waits in [`Signals::stop`].
    pub(crate) fn on_started(&self) {
        self.is_started.store(true, Ordering::SeqCst);
    }

    /// Waits for a signal to stop; its name. Those that came earlier count.
    pub(crate) async fn stop(&self) -> &'static str {
        let mut stop = self.stop.clone();
        match stop.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or_default(),
            // The senders live as long as the process.
            Err(_) => std::future::pending().await,
        }
    }
}
