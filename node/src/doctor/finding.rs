//! What a check has found.

use std::fmt;

use quorate_terminal::in_this_program;
use serde::Serialize;

use crate::settings::passwords;

/// How a matter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// In order.
    Ok,
    /// Not known; the fix says what would make it known.
    NotChecked,
    /// The validator works, but something should be done.
    Warning,
    /// The validator does not start, or does not do its work.
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        })
    }
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was examined, such as `disk` or `peer carol`.
    pub(crate) name: String,
    /// How it stands.
    pub(crate) state: State,
    /// What was seen.
    pub(crate) seen: String,
    /// What to do, as a command or a sentence; none if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Finding {
    fn new(name: impl Into<String>, state: State, seen: &dyn fmt::Display, fix: Option<String>) -> Self {
        // In a table, each finding is a line. Errors quote URLs, and a finding is shown to others.
        let seen = passwords::in_text(&seen.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
        let told = |text: String| in_this_program(passwords::in_text(&text));
        Self { name: name.into(), state, seen: in_this_program(seen), fix: fix.map(told) }
    }

    pub(crate) fn ok(name: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self::new(name, State::Ok, &seen, None)
    }

    pub(crate) fn not_checked(name: impl Into<String>, seen: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self::new(name, State::NotChecked, &seen, Some(fix.into()))
    }

    pub(crate) fn warning(name: impl Into<String>, seen: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self::new(name, State::Warning, &seen, Some(fix.into()))
    }

    pub(crate) fn fault(name: impl Into<String>, seen: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self::new(name, State::Fault, &seen, Some(fix.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_finding_tells_the_password_of_a_url() {
        let url = "http://user:SECRET@127.0.0.1:1";
        for finding in [
            Finding::ok("node", format!("{url} answers")),
            Finding::fault("node", format!("no node is reachable ({url}/v1/status: connection refused)"), format!("correct --url {url}")),
        ] {
            let told = format!("{finding:?}");
            assert!(!told.contains("SECRET") && told.contains("***@127.0.0.1:1"), "{told}");
        }
    }
}
