//! DET-1: the event hash, and the trace for people.
//!
//! Every event that reaches a validator and everything that a validator puts out goes into one running hash, with its time. Two runs of one
//! seed have the same hash exactly if they were the same in all of that.

use quorate_types::crypto::{Hash, Hasher, Tag};

use crate::time::Micros;

const EVENT: Tag = Tag::new("quorate/sim-event");

/// Most lines that a trace keeps: the newest.
const TRACE_LINES_MAX: usize = 200_000;

/// The running hash of a world and, if asked for, its trace.
#[derive(Debug)]
pub(crate) struct Audit {
    hash: Hash,
    events: u64,
    trace: Option<std::collections::VecDeque<String>>,
}

impl Audit {
    pub(crate) fn new(trace: bool) -> Self {
        Self { hash: Hash::default(), events: 0, trace: trace.then(std::collections::VecDeque::new) }
    }

    /// Adds an event. `kind` and the number and lengths of `parts` make it unambiguous.
    pub(crate) fn record(&mut self, at: Micros, kind: u8, parts: &[&[u8]]) {
        let mut hasher = Hasher::new(&EVENT);
        hasher.update(&self.hash.0).update(&at.0.to_le_bytes()).update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        self.hash = hasher.finish();
        self.events = self.events.saturating_add(1);
    }

    /// Adds a line to the trace; the text is made only if somebody wants to read it.
    pub(crate) fn note(&mut self, at: Micros, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.trace {
            if lines.len() >= TRACE_LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(format!("{:>8}.{:03} ms  {}", at.ms(), at.0 % 1_000, text()));
        }
    }

    pub(crate) const fn hash(&self) -> Hash {
        self.hash
    }

    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn into_trace(self) -> Vec<String> {
        self.trace.map(Into::into).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_apart_every_difference() {
        type Events<'a> = &'a [(u64, u8, &'a [&'a [u8]])];
        let hash = |events: Events<'_>| {
            let mut audit = Audit::new(false);
            for (at, kind, parts) in events {
                audit.record(Micros(*at), *kind, parts);
            }
            audit.hash()
        };
        let base: Events<'_> = &[(1, 1, &[b"ab", b"c"]), (2, 1, &[])];
        assert_eq!(hash(base), hash(base));
        let others: &[Events<'_>] = &[
            &[(1, 1, &[b"a", b"bc"]), (2, 1, &[])],
            &[(1, 1, &[b"ab", b"c"]), (3, 1, &[])],
            &[(1, 1, &[b"ab", b"c"]), (2, 2, &[])],
            &[(2, 1, &[]), (1, 1, &[b"ab", b"c"])],
            &[(1, 1, &[b"ab", b"c"])],
        ];
        for other in others {
            assert_ne!(hash(base), hash(other));
        }
    }
}
