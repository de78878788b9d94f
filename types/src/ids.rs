//! Identifiers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::crypto::{Hash, PublicKey, Tag};

/// Domain of account addresses.
pub const ADDRESS: Tag = Tag::new("quorate/address");

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Hash);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

digest! {
    /// A block: the hash of its whole content, including the parent's certificate with its signatures.
    BlockId
}
digest! {
    /// The result of executing a block on its parent: the hash of its [`crate::header::Header`] (paper: `exec_state_id`, `commit_state_id`).
    StateId
}
digest! {
    /// A transaction: the hash of its signed content, which does not cover the signature.
    TxId
}
digest! {
    /// A network: the hash of its genesis. Part of every signed value, so nothing signed for one network is valid in another, not even if the
    /// same validators founded both under the same number.
    GenesisHash
}
digest! {
    /// A draft of a genesis: everything but its validators.
    DraftHash
}
digest! {
    /// Evidence against a validator: the hash of its encoding.
    EvidenceId
}
digest! {
    /// An account: the hash of its public key, so that a key can one day be replaced.
    Address
}

impl Address {
    /// The account of a public key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(Hash::of(&ADDRESS, &key.0))
    }
}

/// The number of a network, by which people and programs tell networks apart. Signatures are told apart by the [`GenesisHash`], which covers
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ChainId(pub u64);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A validator: its seat in the committee. A validator keeps its seat, whatever becomes of its keys, its address and its power. The founders'
/// seats are in the order of their consensus keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ValidatorId(pub u16);

impl ValidatorId {
    /// The seat as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for ValidatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
