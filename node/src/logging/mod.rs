//! Logs: to standard error, for people or as one JSON object per line.
//!
//! A log is best effort, the validator is not: whoever logs never waits for the reader of the log and never fails because of it. Lines that
//! cannot be written ([`writer`]) and lines that repeat themselves too fast ([`repeats`]) are left out and counted.

mod level;
mod repeats;
mod writer;

use std::{io, time::Duration};

use quorate_terminal::colors_errors;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

pub(crate) use self::level::check_level;
use self::{repeats::Repeats, writer::Lines};
use crate::config::{LogConfig, LogFormat};

/// How long the end of the process waits for its last lines to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error("`log.level` = {level:?} is not possible: {problem}; write it like info or info,quorate_network=debug")]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The process logs already.
    #[error("logging is already set up in this process")]
    Twice,
    /// There is no standard error, or no thread that writes to it.
    #[error("nothing can be logged: {0}")]
    System(#[from] io::Error),
}

/// Lines of this process that are not in its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// The reader of the log was too slow, or gone.
    pub(crate) lost: u64,
    /// The same place in the program had said too much in a short time.
    pub(crate) repeated: u64,
}

/// What has been left out since the process started.
pub(crate) fn left_out() -> LeftOut {
    LeftOut { lost: writer::lost(), repeated: repeats::left_out() }
}

/// Sets up logging for the whole process.
///
/// # Errors
/// [`LoggingError`].
pub(crate) fn start(config: &LogConfig) -> Result<(), LoggingError> {
    let level = check_level(&config.level)?;
    let lines = Lines::to_standard_error()?;
    let format = tracing_subscriber::fmt::layer().with_writer(lines).with_ansi(colors_errors()).log_internal_errors(false);
    let log = tracing_subscriber::registry().with(level).with(Repeats::default());
    match config.format {
        LogFormat::Pretty => log.with(format).try_init(),
        LogFormat::Json => log.with(format.json().flatten_event(true)).try_init(),
    }
    .map_err(|_| LoggingError::Twice)
}

/// Waits a moment until everything that was logged is written; before the process ends.
pub(crate) fn finish() {
    writer::finish(LAST_WORDS);
}
