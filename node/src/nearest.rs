//! Suggestions for misspelled words.

use strsim::levenshtein;

/// The candidate at the smallest edit distance, if it is small.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // A third of the letters, but at least two.
    let limit = (length / 3).max(2);
    let scored = candidates.into_iter().map(|candidate| (levenshtein(word, candidate), candidate));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_word_is_not_proposed() {
        assert_eq!(nearest("listne", ["level", "listen"]), Some("listen"));
        assert_eq!(nearest("xyzzy", ["level", "listen"]), None);
    }
}
