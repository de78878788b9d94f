//! Numbers as types of their own: none converts implicitly from a plain integer, and none overflows.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The next number. Saturates at the largest one, which no valid message carries.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The previous number; `None` for zero.
            #[must_use]
            pub fn previous(self) -> Option<Self> {
                self.0.checked_sub(1).map(Self)
            }

            /// The distance from `other` up to this number; zero if `other` is larger.
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
    /// A round of the protocol: 0 is genesis, and every later round has one leader (paper §3).
    Round
}
number! {
    /// A period with one committee. Rounds start over in each epoch.
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
    /// The position of a transaction among its sender's, from 0.
    Sequence
}

impl Round {
    /// No valid message carries a round at or above this one, so `next` never saturates.
    pub const LIMIT: Self = Self(u64::MAX - 8);
}
