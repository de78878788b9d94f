//! Words of others, made safe to show: whoever is asked may be a liar, and a terminal does what some characters tell it.

/// Longest text of somebody else's that is shown, in characters.
pub const FOREIGN_CHARS_MAX: usize = 300;

/// Whether a character shows itself and does nothing else: no control character, no mark that turns the direction of text or takes up no room.
#[must_use]
pub fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(
            u32::from(c),
            0xad | 0x34f
                | 0x61c
                | 0x115f
                | 0x1160
                | 0x17b4
                | 0x17b5
                | 0x180b..=0x180f
                | 0x200b..=0x200f
                | 0x2028..=0x202e
                | 0x2060..=0x206f
                | 0x3164
                | 0xfe00..=0xfe0f
                | 0xfeff
                | 0xffa0
                | 0xfff0..=0xfffb
                | 0x1d173..=0x1d17a
                | 0xe0000..=0xe0fff
        )
}

/// The text on one line, with everything that is not plain written as `\u{…}`, and at most [`FOREIGN_CHARS_MAX`] characters of it.
#[must_use]
pub fn foreign(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == FOREIGN_CHARS_MAX {
            shown.push('…');
            break;
        }
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_written_out_and_what_is_long_is_cut() {
        assert_eq!(foreign("plain, grün, 余额"), "plain, grün, 余额");
        assert_eq!(foreign("no\r\u{1b}[2Kverified: height 7"), r"no\u{d}\u{1b}[2Kverified: height 7");
        assert_eq!(foreign("a\u{202e}b\u{2066}c\u{200b}d\ne"), r"a\u{202e}b\u{2066}c\u{200b}d\u{a}e");
        assert_eq!(foreign(&"x".repeat(10_000)).chars().count(), FOREIGN_CHARS_MAX + 1);
    }
}
