//! Tells systemd how the node is, if it runs under systemd (`Type=notify`, `WatchdogSec=`). Elsewhere these calls do nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// The node serves: it has read its state and listens.
pub(crate) fn started() {
    tell(NotifyState::Ready);
}

/// The replica's thread answers.
pub(crate) fn alive() {
    tell(NotifyState::Watchdog);
}

/// The node stops in order.
pub(crate) fn stopping() {
    tell(NotifyState::Stopping);
}

/// How long the supervisor waits for [`alive`] before it restarts the node, if it does.
pub(crate) fn patience() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("cannot tell the supervisor: {error}");
    }
}
