//! No input may crash a validator. A panic counts as a violation in its run and does not end the other runs.

use std::{
    fmt::Display,
    panic::{AssertUnwindSafe, catch_unwind},
};

use quorate_harness::invariants::Violation;

/// Runs a closure whose state is not used again if it panics. `whose` names the run: its seed, or its number.
///
/// # Errors
/// The closure panicked.
pub(crate) fn caught<T>(whose: impl Display, run: impl FnOnce() -> T) -> Result<T, Violation> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let text = text.unwrap_or("a panic without a message");
        Violation { invariant: "PANIC".into(), what: format!("{whose}: {text}"), at_us: 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_violation_that_names_its_run() {
        assert_eq!(caught("seed 7", || 5), Ok(5));
        let Err(violation) = caught("seed 7", || -> u8 { panic!("out of {}", "order") }) else { panic!("nothing was caught") };
        assert_eq!((violation.invariant.as_str(), violation.what.as_str()), ("PANIC", "seed 7: out of order"));
        assert_eq!(
            caught("seed 8", || panic!("plain")).map_err(|violation: Violation| violation.what),
            Err::<(), _>("seed 8: plain".into())
        );
    }
}
