//! Why a transaction had no effect: a stable code and numbers.
//!
//! Votes certify receipts, and receipts hold failures, so a failure holds only what every build of every program computes identically. Its
//! sentence for people (`Display`) is derived from that when it is shown; rewording it changes no hash.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::codec::Bounded;

/// Longest code of a failure, in bytes.
pub const CODE_BYTES_MAX: usize = 32;
/// Most numbers in a failure.
pub const FAILURE_NUMBERS_MAX: usize = 4;

/// A stable code for programs, such as `insufficient-funds`: 1 to [`CODE_BYTES_MAX`] lower-case letters, digits and hyphens. It has no room
/// for a sentence or for formatted text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// A code from its text. In a `const`, an invalid text fails to compile.
    ///
    /// # Panics
    /// If the text is not a valid code.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        assert!(is_code(text.as_bytes()), "a code has 1 to 32 lower-case letters, digits and hyphens");
        Self(Cow::Borrowed(text))
    }

    /// The text of the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a `const fn` has no iterators; the loop bounds the index")]
const fn is_code(text: &[u8]) -> bool {
    let mut i = 0;
    while i < text.len() {
        if !matches!(text[i], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        i += 1;
    }
    !text.is_empty() && text.len() <= CODE_BYTES_MAX
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_code(text.as_bytes()) { Ok(Self(Cow::Owned(text))) } else { Err(D::Error::custom("not a failure code")) }
    }
}

/// Why a transaction had no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    code: Code,
    numbers: Bounded<u64, FAILURE_NUMBERS_MAX>,
}

impl Failure {
    /// A failure with the numbers that explain it. The code defines what they mean; only the first [`FAILURE_NUMBERS_MAX`] are kept.
    #[must_use]
    pub fn new(code: Code, numbers: &[u64]) -> Self {
        Self { code, numbers: Bounded::truncated(numbers.to_vec()) }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.as_str()
    }

    /// The numbers that explain it.
    #[must_use]
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }
}

/// A sentence for people, for failures that all applications have; any other failure shows its code and numbers. It is not certified.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code(), self.numbers()) {
            ("block-full", _) => f.write_str("the block had no room for its effects; sign it again"),
            ("account-block-full", _) => f.write_str("its sender had no room left for its effects in the block; sign it again"),
            ("malformed-operation", _) => {
                f.write_str("its payload is not an operation of this application; sign it again with a program of the network's version")
            }
            ("unsupported", _) => f.write_str("the application does not support it"),
            ("state-full", _) => f.write_str("the state has reached its largest size; delete something first"),
            ("malformed-query", _) => f.write_str("its bytes are not a query of this application"),
            ("panicked", _) => f.write_str("the application panicked on it; report this to the application's authors"),
            ("answer-too-large", [len, max]) => write!(f, "its answer has {len} bytes; at most {max} are allowed"),
            ("answer-has-no-encoding", _) => {
                f.write_str("its answer contains something without a canonical encoding, such as a floating-point number")
            }
            ("state-key-too-large", [len, max]) => write!(f, "it writes a key of {len} bytes; at most {max} are allowed"),
            ("state-value-too-large", [len, max]) => write!(f, "it writes a value of {len} bytes; at most {max} are allowed"),
            ("state-value-has-no-encoding", _) => {
                f.write_str("it writes a value that contains something without a canonical encoding, such as a floating-point number")
            }
            ("state-key-reserved", _) => f.write_str("it writes a key that begins with 'a', which is reserved for accounts"),
            ("account-too-large", [len, max]) => write!(f, "it keeps {len} bytes in an account; at most {max} are allowed"),
            (code, []) => f.write_str(code),
            (code, numbers) => write!(f, "{code} {numbers:?}"),
        }
    }
}
