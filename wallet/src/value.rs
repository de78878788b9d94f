//! Keys and values of the key-value store: text at the command line, bytes in the chain.

use quorate_builtin::operation::{KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX};
use quorate_terminal::{CommandError, is_plain};

/// A key from the command line.
pub(crate) fn key(text: &str, is_hex: bool) -> Result<Vec<u8>, CommandError> {
    let key = bytes(text, is_hex)?;
    if (1..=KV_KEY_BYTES_MAX).contains(&key.len()) {
        Ok(key)
    } else {
        Err(CommandError::usage(format!("a key has 1 to {KV_KEY_BYTES_MAX} bytes, this one {}", key.len())))
    }
}

/// A value from the command line.
pub(crate) fn value(text: &str, is_hex: bool) -> Result<Vec<u8>, CommandError> {
    let value = bytes(text, is_hex)?;
    if value.len() <= KV_VALUE_BYTES_MAX {
        Ok(value)
    } else {
        Err(CommandError::usage(format!("a value has at most {KV_VALUE_BYTES_MAX} bytes, this one {}", value.len())))
    }
}

fn bytes(text: &str, is_hex: bool) -> Result<Vec<u8>, CommandError> {
    if !is_hex {
        return Ok(text.as_bytes().to_vec());
    }
    hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|error| CommandError::usage(format!("{text:?} is not hexadecimal: {error}")))
}

/// Bytes as text, if they are text that does nothing to a terminal.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(|c| is_plain(c) || c == '\n' || c == '\t'))
}

/// Bytes for people: as text if they are that, else hexadecimal.
pub(crate) fn shown(bytes: &[u8]) -> String {
    text(bytes).map_or_else(|| format!("0x{}", hex::encode(bytes)), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_text_or_hexadecimal() {
        assert_eq!(value("grün", false).unwrap(), "grün".as_bytes());
        assert_eq!(value("0x00ff", true).unwrap(), [0, 255]);
        assert_eq!(value("", false).unwrap(), b"");
        assert_eq!(value("0g", true).unwrap_err().exit.code(), 2);
        assert!(value(&"x".repeat(KV_VALUE_BYTES_MAX + 1), false).is_err());
        assert!(key("", false).is_err() && key(&"x".repeat(KV_KEY_BYTES_MAX + 1), false).is_err());
    }

    #[test]
    fn bytes_that_would_act_on_a_terminal_are_shown_as_digits() {
        assert_eq!(shown(b"plain\n"), "plain\n");
        assert_eq!(shown(b"\x1b[2J"), "0x1b5b324a");
        assert_eq!(shown(&[0xff]), "0xff");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "0x61e280ae62");
    }
}
