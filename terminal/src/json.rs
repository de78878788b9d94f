//! JSON as all commands print it. A number that a reader with double-precision floats would round is written as text.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The largest number below which every whole number has a double of its own.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// The value on one line.
///
/// # Errors
/// Those of the value's own serialization.
pub(super) fn line<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, ExactNumbers))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

struct ExactNumbers;

impl Formatter for ExactNumbers {
    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        if value <= EXACT_MAX { CompactFormatter.write_u64(writer, value) } else { write!(writer, "\"{value}\"") }
    }

    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        if value.unsigned_abs() <= EXACT_MAX { CompactFormatter.write_i64(writer, value) } else { write!(writer, "\"{value}\"") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_double_would_round_are_texts() {
        #[derive(Serialize)]
        struct Outer {
            small: u64,
            #[serde(flatten)]
            inner: Inner,
        }
        #[derive(Serialize)]
        struct Inner {
            large: u64,
            list: Vec<i64>,
        }
        let outer = Outer { small: EXACT_MAX, inner: Inner { large: EXACT_MAX + 1, list: vec![-1, i64::MIN] } };
        let expected = r#"{"small":9007199254740991,"large":"9007199254740992","list":[-1,"-9223372036854775808"]}"#;
        assert_eq!(line(&outer).unwrap(), expected);
    }
}
