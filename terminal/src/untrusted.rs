//! Makes untrusted text safe to show: a node may lie, and terminals act on some characters.

/// Longest untrusted text shown, in characters.
pub const UNTRUSTED_CHARS_MAX: usize = 300;

/// Whether a character only shows a glyph: not a control, bidirectional or zero-width character.
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

/// The text on one line, with every character that is not plain escaped as `\u{…}`, truncated to [`UNTRUSTED_CHARS_MAX`] characters.
#[must_use]
pub fn escape_untrusted(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == UNTRUSTED_CHARS_MAX {
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
        assert_eq!(escape_untrusted("plain, grün, 余额"), "plain, grün, 余额");
        assert_eq!(escape_untrusted("no\r\u{1b}[2Kverified: height 7"), r"no\u{d}\u{1b}[2Kverified: height 7");
        assert_eq!(escape_untrusted("a\u{202e}b\u{2066}c\u{200b}d\ne"), r"a\u{202e}b\u{2066}c\u{200b}d\u{a}e");
        assert_eq!(escape_untrusted(&"x".repeat(10_000)).chars().count(), UNTRUSTED_CHARS_MAX + 1);
    }
}
