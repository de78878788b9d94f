//! Classes of direct traffic, and the length prefix of frames.
//!
//! ```text
//! +----------------------+----------------------+
//! | length u32 big-endian| length bytes         |   1 <= length <= limit of the class
//! +----------------------+----------------------+
//! ```
//!
//! The length is checked before any memory is allocated for the frame.

use thiserror::Error;

/// Class of direct traffic; each has its own stream per (sender, receiver) and its own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Proposals, votes, timeouts, certificates: small, urgent, superseded by newer ones.
    Consensus,
    /// Requests and their answers, such as for missing blocks.
    Sync,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 2] = [Class::Consensus, Class::Sync];

    /// Position in arrays that hold one entry per class.
    pub(crate) fn slot(self) -> usize {
        match self {
            Class::Consensus => 0,
            Class::Sync => 1,
        }
    }

    /// Name of the libp2p stream protocol. Its number changes only with the framing; [`crate::Hello`] compares the versions of messages.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Class::Consensus => "/quorate/consensus/1",
            Class::Sync => "/quorate/sync/1",
        }
    }
}

/// Bytes of the length prefix.
pub(crate) const PREFIX_BYTES: usize = 4;

/// A length prefix that a peer must not send. Its stream is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum FrameFault {
    /// The length is zero.
    #[error("an empty frame")]
    Empty,
    /// The length is above the limit of the class.
    #[error("a frame of {length} bytes, above the limit of {limit}")]
    Oversized {
        /// Announced by the prefix.
        length: usize,
        /// The class's limit.
        limit: usize,
    },
}

/// The length in a prefix, checked.
///
/// # Errors
/// [`FrameFault`] for zero and for more than `limit` bytes.
pub(crate) fn checked_length(prefix: [u8; PREFIX_BYTES], limit: usize) -> Result<usize, FrameFault> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    match length {
        0 => Err(FrameFault::Empty),
        _ if length > limit => Err(FrameFault::Oversized { length, limit }),
        _ => Ok(length),
    }
}

/// The prefix for a frame of `length` bytes, or `None` if a `u32` cannot hold it.
pub(crate) fn prefix(length: usize) -> Option<[u8; PREFIX_BYTES]> {
    u32::try_from(length).ok().map(u32::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_accepted_only_between_one_and_the_limit() {
        let cases = [
            (0_u32, Err(FrameFault::Empty)),
            (1, Ok(1)),
            (1024, Ok(1024)),
            (1025, Err(FrameFault::Oversized { length: 1025, limit: 1024 })),
            (u32::MAX, Err(FrameFault::Oversized { length: 4_294_967_295, limit: 1024 })),
        ];
        for (length, expected) in cases {
            assert_eq!(checked_length(length.to_be_bytes(), 1024), expected, "length {length}");
        }
    }

    #[test]
    fn the_prefix_is_big_endian() {
        assert_eq!(prefix(0x0102_0304), Some([1, 2, 3, 4]));
    }
}
