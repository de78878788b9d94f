//! Signal handling.
//!
//! | Signal | Effect |
//! |---|---|
//! | SIGTERM, SIGINT, SIGQUIT | orderly shutdown; immediate exit while the node is still starting |
//! | SIGHUP, SIGUSR1, SIGUSR2 | a line in the log: there is nothing to reload |
//! | SIGXFSZ | a line in the log; the write that exceeded the file size limit fails and is reported |
//! | SIGPIPE | none (Rust ignores it): the write to the closed pipe fails |
//!
//! By default, most of them would kill a validator without a word, for example when a terminal closes or a tool rotates logs.

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
    ("SIGHUP", SignalKind::hangup(), "there is nothing to reload, settings are read at startup; the node goes on"),
    ("SIGUSR1", SignalKind::user_defined1(), "this signal has no meaning here; the node goes on"),
    ("SIGUSR2", SignalKind::user_defined2(), "this signal has no meaning here; the node goes on"),
    ("SIGXFSZ", SignalKind::from_raw(FILE_SIZE), "a file has reached this process's file size limit; raise it (ulimit -f)"),
];

/// SIGXFSZ, on Linux and macOS alike.
const FILE_SIZE: i32 = 25;

/// Receives the process's signals.
pub(crate) struct Signals {
    stop: watch::Receiver<Option<&'static str>>,
    is_started: Arc<AtomicBool>,
}

impl Signals {
    /// Installs handlers that stay for the life of the process.
    ///
    /// # Errors
    /// The system grants no thread or no handler.
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
                        tracing::info!("{name}: exiting before startup is complete");
                        logging::finish();
                        // Nothing handles an orderly shutdown yet, and startup may take minutes. A validator may be killed at any moment.
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

    /// Declares that from now on the caller waits in [`Signals::stop`].
    pub(crate) fn on_started(&self) {
        self.is_started.store(true, Ordering::SeqCst);
    }

    /// Waits for a stop signal and returns its name. An earlier signal counts.
    pub(crate) async fn stop(&self) -> &'static str {
        let mut stop = self.stop.clone();
        match stop.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or_default(),
            // The senders live as long as the process.
            Err(_) => std::future::pending().await,
        }
    }
}
