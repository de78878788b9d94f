//! Rate limit for repeated lines: each call site has a burst and a long-term rate, so that none, whatever triggers it, buries the others.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tracing::{Event, Level, Subscriber, callsite::Identifier};
use tracing_subscriber::layer::{Context, Layer};

/// Lines that a call site may log at once.
const BURST: u32 = 100;
/// Time after which a call site may log one more line.
const REFILL: Duration = Duration::from_secs(1);

static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Lines left out since the process started.
pub(super) fn left_out() -> u64 {
    LEFT_OUT.load(Ordering::Relaxed)
}

/// The filter. `debug` and `trace` lines appear only on request, so they are not limited.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// Bounded by the call sites in the program.
    places: Mutex<HashMap<Identifier, Allowance>>,
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: u32,
    refilled_at: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.refilled_at).as_millis() / REFILL.as_millis();
        if let Some(due) = u32::try_from(due).ok().filter(|due| *due > 0) {
            self.left = self.left.saturating_add(due).min(BURST);
            self.refilled_at = now;
        }
        let is_allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_allowed
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::INFO {
            return true;
        }
        let now = Instant::now();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_allowed = places.entry(event.metadata().callsite()).or_insert(Allowance { left: BURST, refilled_at: now }).take(now);
        if !is_allowed {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance { left: BURST, refilled_at: start };
        assert_eq!((0..1_000).filter(|_| allowance.take(start)).count(), BURST as usize);
        assert!(!allowance.take(start + REFILL / 2));
        assert!(allowance.take(start + REFILL) && !allowance.take(start + REFILL));
        assert_eq!((0..1_000).filter(|_| allowance.take(start + REFILL * 100_000)).count(), BURST as usize);
    }

    /// Counts what gets through.
    struct Heard(Arc<AtomicU64>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_place_that_says_too_much_does_not_silence_another() {
        let heard = Arc::new(AtomicU64::new(0));
        let subscriber = tracing_subscriber::registry().with(Repeats::default()).with(Heard(Arc::clone(&heard)));
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..BURST * 3 {
                tracing::warn!("chatter");
            }
            let chatter = heard.load(Ordering::Relaxed);
            assert!(chatter < u64::from(BURST) * 2, "{chatter}");
            tracing::warn!("what matters");
            assert_eq!(heard.load(Ordering::Relaxed), chatter + 1);
            for _ in 0..BURST * 3 {
                tracing::debug!("asked for");
            }
            assert_eq!(heard.load(Ordering::Relaxed), chatter + 1 + u64::from(BURST) * 3);
        });
    }
}
