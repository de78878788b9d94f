//! Numbers with a meaning. None converts from a plain integer by accident, and none overflows.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The next one. Stays at the largest number, which no valid message carries.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before, `None` before zero.
            #[must_use]
            pub fn previous(self) -> Option<Self> {
                self.0.checked_sub(1).map(Self)
            }

            /// How far this lies above `other`; zero when it does not.
            #[must_use]
            pub const fn since(self, other: Self) -> u64 {
                self.0.saturating_sub(other.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A round of the protocol: 0 is genesis, each later one has one leader (paper §3).
    Round
}
number! {
    /// A period with one committee. Rounds start again in each epoch.
    Epoch
}
number! {
    /// A position in the committed chain; genesis has height 0.
    Height
}
number! {
    /// Milliseconds since 1970-01-01 UTC.
    UnixMillis
}
number! {
    /// The number of an account's next transaction, from 0.
    Sequence
}

impl Round {
    /// No valid message carries a round at or above this one, so that `next` never saturates.
    pub const LIMIT: Self = Self(u64::MAX - 8);
}
