//! Logs: to standard error, for people or as one JSON object per line.

use std::io;

use quorate_client::terminal::colors_errors;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter does not parse.
    #[error("log.level = {level:?} is not a filter: {problem}; write it like info or info,quorate_network=debug")]
    Level {
        /// As configured.
        level: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The process logs already.
    #[error("logging is already set up in this process")]
    Twice,
}

/// Checks a filter.
///
/// # Errors
/// [`LoggingError::Level`].
pub(crate) fn check_level(level: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(level).map_err(|error| LoggingError::Level { level: level.into(), problem: error.to_string() })
}

/// Sets up logging for the whole process.
///
/// # Errors
/// [`LoggingError`].
pub(crate) fn start(config: &LogConfig) -> Result<(), LoggingError> {
    let builder = tracing_subscriber::fmt().with_env_filter(check_level(&config.level)?).with_writer(io::stderr);
    match config.format {
        LogFormat::Pretty => builder.with_ansi(colors_errors()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LoggingError::Twice)
}
