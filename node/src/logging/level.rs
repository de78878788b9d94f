//! Parses `log.level`. Strictly, because a misread filter could silence the whole validator.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::LoggingError;
use crate::nearest::nearest;

const LEVELS: [(&str, LevelFilter); 6] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
    ("off", LevelFilter::OFF),
];

/// Our own targets; `quorate` matches all of them.
const OURS: [&str; 10] = [
    "quorate",
    "quorate_app",
    "quorate_consensus",
    "quorate_genesis",
    "quorate_keygen",
    "quorate_ledger",
    "quorate_network",
    "quorate_node",
    "quorate_replica",
    "quorate_types",
];

/// Prefixes of the targets of libraries that log.
const LIBRARIES: [&str; 9] = ["axum", "hyper", "libp2p", "mio", "multistream_select", "netlink", "tokio", "tower", "yamux"];

/// Most verbose level of libraries, whose logs address their own authors, unless the filter asks for more.
const LIBRARY_LEVEL: LevelFilter = LevelFilter::WARN;
/// This library warns of something normal here: an absent validator.
const CHATTY: (&str, LevelFilter) = ("libp2p_gossipsub", LevelFilter::ERROR);

/// Parses a comma-separated filter: at most one level, and levels of targets (`quorate_network=debug`). The default level is `info`.
///
/// # Errors
/// [`LoggingError::Level`].
pub(crate) fn check_level(text: &str) -> Result<Targets, LoggingError> {
    let wrong = |problem: String| LoggingError::Level { level: text.into(), problem };
    let mut rest = None;
    let mut parts: Vec<(&str, LevelFilter)> = Vec::new();
    for word in text.split(',').map(str::trim) {
        match word.split_once('=') {
            None if word.is_empty() => return Err(wrong("a level is missing".into())),
            None => {
                if rest.replace(level(word).map_err(wrong)?).is_some() {
                    return Err(wrong("it has two levels without a target".into()));
                }
            }
            Some((part, word)) => {
                let part = part.trim();
                is_known(part).map_err(wrong)?;
                if parts.iter().any(|(known, _)| *known == part) {
                    return Err(wrong(format!("{part} has two levels")));
                }
                parts.push((part, level(word.trim()).map_err(wrong)?));
            }
        }
    }
    let rest = rest.unwrap_or(LevelFilter::INFO);
    let mut targets = Targets::new().with_default(rest.min(LIBRARY_LEVEL)).with_target("quorate", rest);
    if !parts.iter().any(|(part, _)| part.starts_with("libp2p")) {
        targets = targets.with_target(CHATTY.0, rest.min(CHATTY.1));
    }
    Ok(targets.with_targets(parts.into_iter().map(|(part, level)| (part.to_owned(), level))))
}

fn level(word: &str) -> Result<LevelFilter, String> {
    let found = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, level)| *level).ok_or_else(|| {
        let names = LEVELS.map(|(name, _)| name);
        let hint = nearest(word, names).map_or_else(|| names.join(", "), |name| format!("did you mean {name}?"));
        format!("{word:?} is not a level ({hint})")
    })
}

fn is_known(part: &str) -> Result<(), String> {
    let name = part.split("::").next().unwrap_or_default();
    if OURS.contains(&name) || LIBRARIES.iter().any(|library| name.starts_with(library)) {
        return Ok(());
    }
    let hint = nearest(name, OURS).map_or_else(|| format!("there are {}", OURS.join(", ")), |near| format!("did you mean {near}?"));
    Err(format!("there is no target {part:?} ({hint})"))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_is_no_level_or_no_part_is_refused_and_never_taken_for_silence() {
        for (text, word) in [
            ("", "missing"),
            (" ", "missing"),
            ("info,", "missing"),
            ("inf", "did you mean info?"),
            ("verbose", "not a level"),
            ("2", "not a level"),
            ("info,debug", "two levels"),
            ("quorate_network", "not a level"),
            ("quorate_network=", "not a level"),
            ("quorate_network=loud", "not a level"),
            ("quorate_netwrk=debug", "did you mean quorate_network?"),
            ("network=debug", "no target"),
            ("quorate_node=debug,quorate_node=info", "two levels"),
            ("quorate[span]=debug", "no target"),
        ] {
            let message = check_level(text).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("log.level"), "{text:?}: {message}");
        }
    }

    #[test]
    fn a_level_holds_for_the_program_and_libraries_say_little_unless_asked() {
        let logs = |text: &str, target: &str, level: Level| check_level(text).unwrap().would_enable(target, &level);
        assert!(logs("info", "quorate_node::run", Level::INFO) && !logs("info", "quorate_node::run", Level::DEBUG));
        assert!(logs("DEBUG", "quorate_network::swarm", Level::DEBUG));
        assert!(logs("debug", "yamux", Level::WARN) && !logs("debug", "yamux", Level::INFO));
        assert!(!logs("debug", "libp2p_gossipsub::behaviour", Level::WARN), "\"Not publishing a message ...\"");
        assert!(logs("info,libp2p=debug", "libp2p_gossipsub::behaviour", Level::DEBUG), "asked for");
        assert!(!logs("error", "yamux", Level::WARN));
        assert!(logs("quorate_network=trace", "quorate_network::swarm", Level::TRACE));
        assert!(logs("quorate_network=trace", "quorate_node::run", Level::INFO), "the rest stays at info");
        assert!(logs("warn, quorate_network=debug", "quorate_network", Level::DEBUG) && !logs("off", "quorate_node", Level::ERROR));
    }
}
