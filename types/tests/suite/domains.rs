//! The domains of all hashes: each is used for one thing, and none is ever renamed.

use std::{fmt::Write as _, fs, path::Path};

use quorate_types::crypto::{Hash, Hasher, Tag};

use crate::golden;

/// Every `Tag::new("...")` in the sources below a directory, with its file name.
fn tags(directory: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            tags(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let source = fs::read_to_string(&path).unwrap();
            for part in source.split("Tag::new(\"").skip(1) {
                found.push((part.split('"').next().unwrap().into(), file.clone()));
            }
        }
    }
}

#[test]
fn all_domains_are_listed_and_differ() {
    let mut found = Vec::new();
    tags(Path::new("src"), &mut found);
    found.sort();
    let mut text = String::new();
    for (tag, file) in &found {
        assert!(tag.starts_with("quorate/") && tag.len() <= 32, "{tag}");
        writeln!(text, "{tag} {file}").unwrap();
    }
    golden::check("domains.txt", &text);
    let count = found.len();
    found.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(found.len(), count, "a domain is used twice:\n{text}");
}

#[test]
fn another_domain_gives_another_hash() {
    const SHORT: Tag = Tag::new("quorate/a");
    const LONG: Tag = Tag::new("quorate/ab");
    // A tag fills 32 bytes, so its end cannot be taken for the beginning of the data.
    assert_ne!(Hash::of(&SHORT, b"b"), Hash::of(&LONG, b""));
    let mut hasher = Hasher::new(&SHORT);
    hasher.update(b"in ").update(b"parts");
    assert_eq!(hasher.finish(), Hash::of(&SHORT, b"in parts"));
}
