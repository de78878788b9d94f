//! Positions in files, and errors at them.

use std::fmt;

pub(crate) use quorate_faults::decimal;

/// A position in a file. Line and column count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl Place {
    /// The position of a byte offset in a text.
    #[must_use]
    pub fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        let start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
        let column = before.get(start..).unwrap_or_default().chars().count().saturating_add(1);
        Self { line, column }
    }
}

/// Finds positions in a text. Lookups in ascending order, one for each value of a file, scan the text only once in total.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    text: &'a str,
    /// Byte offset of the beginning of each line.
    starts: Vec<usize>,
    /// The last lookup and its result, to continue from: a file may be one long line.
    last: (usize, Place),
}

impl<'a> Places<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut starts = vec![0];
        starts.extend(text.match_indices('\n').map(|(index, _)| index.saturating_add(1)));
        Self { text, starts, last: (0, Place { line: 1, column: 1 }) }
    }

    /// The line of a byte offset.
    pub(crate) fn line(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte)
    }

    /// Like [`Place::of`].
    pub(crate) fn of(&mut self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let line = self.line(byte);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let (known, last) = self.last;
        let (from, column) = if last.line == line && known <= byte { (known, last.column) } else { (start, 1) };
        let further = self.text.get(from..byte).unwrap_or_default().chars().count();
        let place = Place { line, column: column.saturating_add(further) };
        self.last = (byte, place);
        place
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// An error in a scenario file: `line:column: what; fix`. A caller that knows the file's name puts it in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Position of the error.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub fix: String,
}

impl FileError {
    /// An error at a place; `fix` says what to do about it.
    pub fn new(place: Place, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.what, self.fix)
    }
}

impl std::error::Error for FileError {}

/// Longest scenario file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// Parses a number with at most six decimals as millionths, without floating point: `0.25` is 250,000.
pub(crate) fn millionths(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return None;
    }
    // Digits beyond the sixth decimal must be zeros.
    let (kept, finer) = part.split_at_checked(6).unwrap_or((part, ""));
    if finer.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u64 = format!("{kept:0<6}").parse().ok()?;
    whole.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "ab\nçd\n";
        let places = [(0, 1, 1), (1, 1, 2), (3, 2, 1), (5, 2, 2), (99, 3, 1)];
        for (byte, line, column) in places {
            assert_eq!(Place::of(text, byte), Place { line, column }, "byte {byte}");
        }
        // In any order, and twice.
        let mut found = Places::new(text);
        for byte in [0, 1, 1, 5, 3, 0, 99, 4, 5, 1].into_iter().filter(|byte| *byte == 99 || text.is_char_boundary(*byte)) {
            assert_eq!(found.of(byte), Place::of(text, byte), "byte {byte}");
            assert_eq!(found.line(byte), Place::of(text, byte).line, "byte {byte}");
        }
    }

    #[test]
    fn decimals_are_read_exactly_and_written_shortly() {
        for (text, number) in [("0", 0), ("1", 1_000_000), ("0.25", 250_000), (".5", 500_000), ("3.", 3_000_000), ("0.000001", 1)] {
            assert_eq!(millionths(text), Some(number), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "0.0000001", "inf", "1.2.3", "99999999999999999999"] {
            assert_eq!(millionths(text), None, "{text}");
        }
        assert_eq!([0, 250_000, 1_000_000, 1_500_000, 1].map(decimal), ["0", "0.25", "1", "1.5", "0.000001"]);
    }
}
