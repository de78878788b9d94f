//! DET-1: the event hash, and a readable trace.
//!
//! Every event that reaches a validator and every output of one goes into a running hash, together with its time. Two runs of one seed with
//! equal hashes had equal events and outputs. Nobody tries to forge a collision, so a fast 128-bit hash replaces a cryptographic one: a world
//! has thousands of events, with all their bytes.

use std::fmt;

use crate::time::Micros;

/// The running hash: two lanes that take in eight bytes at a time, each multiplying by its own odd constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventHash(u64, u64);

impl EventHash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.1 = (self.1.rotate_left(17) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(self.0 >> 32);
    }

    /// The length goes first, so that adjacent parts cannot be confused.
    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.word(u64::from_le_bytes(last));
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0, self.1)
    }
}

/// Most lines a trace keeps. Older ones are dropped.
const TRACE_LINES_MAX: usize = 200_000;

/// A world's running hash and, if enabled, its trace.
#[derive(Debug)]
pub struct Audit {
    hash: EventHash,
    events: u64,
    trace: Option<std::collections::VecDeque<String>>,
}

impl Audit {
    /// An empty event hash, with a trace or without one.
    pub fn new(trace: bool) -> Self {
        Self { hash: EventHash::default(), events: 0, trace: trace.then(std::collections::VecDeque::new) }
    }

    /// Adds an event. `kind` and the number and lengths of `parts` make the encoding unambiguous.
    pub fn record(&mut self, at: Micros, kind: u8, parts: &[&[u8]]) {
        self.hash.word(at.0);
        self.hash.word(u64::from(kind) | (parts.len() as u64) << 8);
        for part in parts {
            self.hash.bytes(part);
        }
        self.events = self.events.saturating_add(1);
    }

    /// Adds a line to the trace. The text is only built if tracing is enabled.
    pub fn note(&mut self, at: Micros, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.trace {
            if lines.len() >= TRACE_LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(format!("{:>8}.{:03} ms  {}", at.ms(), at.0 % 1_000, text()));
        }
    }

    /// The hash of all events so far.
    #[must_use]
    pub const fn hash(&self) -> EventHash {
        self.hash
    }

    /// Number of events.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The lines of the trace, oldest first.
    pub fn into_trace(self) -> Vec<String> {
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
            &[(1, 1, &[b"ab", b"c\0"]), (2, 1, &[])],
            &[(1, 1, &[b"ab", b"c", b""]), (2, 1, &[])],
        ];
        for other in others {
            assert_ne!(hash(base), hash(other));
        }
    }
}
