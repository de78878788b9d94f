//! Lines of text with a tone. Only the last step, painting, knows colours.

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// The kind of a line, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Ordinary text.
    Plain,
    /// The head of a table.
    Heading,
    /// Progress: a certificate, a commit.
    Good,
    /// A refusal, an accusation, a fault.
    Bad,
    /// What to do next.
    Hint,
    /// A comment or other secondary text.
    Quiet,
}

impl Tone {
    const fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Hint => AnsiColor::Cyan.on_default(),
            Self::Quiet => Style::new().dimmed(),
        }
    }
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its kind.
    pub tone: Tone,
    /// The text, without a line break.
    pub text: String,
}

impl Line {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(Tone::Plain, text)
    }

    pub(super) fn hint(text: impl Into<String>) -> Self {
        Self::new(Tone::Hint, text)
    }

    /// The line with colour codes, for a stream that strips them where they are not wanted.
    #[must_use]
    pub fn painted(&self) -> String {
        let style = self.tone.style();
        if self.text.is_empty() { String::new() } else { format!("{style}{}{style:#}", self.text) }
    }
}

/// A table: columns as wide as their widest cell, two spaces between them.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<Line> {
    let mut widths: Vec<usize> = headings.iter().map(|heading| heading.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head = Line::new(Tone::Heading, line(&mut headings.iter().copied()));
    let body = rows.iter().map(|row| Line::plain(line(&mut row.iter().map(String::as_str))));
    std::iter::once(head).chain(body).collect()
}

/// Joins names: `P0, P1 and P2`.
pub(super) fn row<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => "nobody".into(),
        [one] => one.as_ref().into(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// `1 block`, `2 blocks`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_straight_columns_and_no_trailing_space() {
        let lines = table(&["A", "LONG"], &[vec!["wide cell".into(), "x".into()], vec!["●".into(), String::new()]]);
        let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(text, ["A          LONG", "wide cell  x", "●"]);
    }

    #[test]
    fn names_stand_in_a_row_as_people_write_them() {
        assert_eq!([row::<&str>(&[]), row(&["a"]), row(&["a", "b"]), row(&["a", "b", "c"])], ["nobody", "a", "a and b", "a, b and c"]);
    }

    #[test]
    fn a_painted_line_is_the_text_in_the_codes_of_its_tone() {
        assert_eq!(Line::plain("x").painted(), "x");
        assert_eq!(Line::new(Tone::Good, "x").painted(), "\u{1b}[32mx\u{1b}[0m");
        assert_eq!(Line::new(Tone::Good, "").painted(), "");
    }
}
