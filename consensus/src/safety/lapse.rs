//! A loss of memory: what is not known about the past of the key (docs/protocol.md, "A way back").

use quorate_types::{
    codec::{self, DecodeError},
    crypto::Hash,
    round::{Epoch, Round},
};
use serde::{Deserialize, Serialize};

/// Stored beside the safety record of a validator that has lost its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lapse {
    /// Anything may have been signed: nothing is signed now.
    Open {
        /// Drawn at random after the loss: what repeats it was said after the last forgotten signature.
        nonce: Hash,
    },
    /// In this epoch, anything may have been signed in rounds up to this one. Nothing of what was forgotten is of a later epoch.
    Closed {
        /// The epoch.
        epoch: Epoch,
        /// The last unknown round.
        round: Round,
    },
}

impl Lapse {
    const BYTES_MAX: usize = 64;

    /// Decodes a stored lapse.
    ///
    /// # Errors
    /// [`DecodeError`]: damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, Self::BYTES_MAX)
    }
}
