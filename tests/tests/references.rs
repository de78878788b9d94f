//! Checks that everything a comment or a page cites exists: rules and other items with an id, sections of the paper, files, links.
//!
//! An id is defined in `docs/`, by a table row that begins with it (`| SAFE-1 | ...`) or by a paragraph that does (`**D1. ...`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

/// Prefixes of numbers that look like ids: the playground's validators, IP versions, standards, licences.
const NAMES: &[&str] = &["P", "V", "BIP-", "UTF-", "BSD-", "BSL-", "MPL-"];

/// Its test cases cite things that do not exist.
const THIS_FILE: &str = "tests/tests/references.rs";

/// Has a table row for every rule of the paper, beginning with its section. A `.txt` name in it is a transcript.
const PROTOCOL: &str = "docs/protocol.md";

/// The book's table of contents.
const CONTENTS: &str = "docs/SUMMARY.md";

/// Checked like sources, because their comments cite.
const TRANSCRIPTS: &str = "consensus/tests/transcripts/";

/// The repository's citable content: every file's path from the root, and the text of sources and pages.
struct Repository {
    files: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Repository {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above");
        let mut repository = Self { files: BTreeSet::new(), texts: BTreeMap::new() };
        repository.walk(root, "");
        assert!(repository.texts.contains_key(PROTOCOL) && repository.texts.contains_key(THIS_FILE), "the root is not the repository's");
        repository.texts.remove(THIS_FILE);
        repository
    }

    fn walk(&mut self, directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).expect("a directory can be read") {
            let entry = entry.expect("a directory can be read");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let (path, kind) = (entry.path(), entry.file_type().expect("a file has a kind"));
            if kind.is_dir() {
                // Build output contains this file, wherever it is.
                if ![".git", "target", "node_modules"].contains(&&*name) && !path.join("CACHEDIR.TAG").exists() {
                    self.walk(&path, &format!("{prefix}{name}/"));
                }
            } else if kind.is_file() {
                let from_root = format!("{prefix}{name}");
                if from_root.starts_with(TRANSCRIPTS)
                    || ["rs", "md", "toml"].iter().any(|one| path.extension().is_some_and(|extension| extension == *one))
                {
                    self.texts.insert(from_root.clone(), fs::read_to_string(&path).expect("sources and pages are UTF-8"));
                }
                self.files.insert(from_root);
            }
        }
    }

    fn pages(&self) -> impl Iterator<Item = (&String, &String)> {
        self.texts.iter().filter(|(file, _)| file.starts_with("docs/") && is_page(file))
    }

    /// Every defined id, with the pages that define it.
    fn definitions(&self) -> BTreeMap<String, Vec<String>> {
        let mut defined = BTreeMap::<_, Vec<_>>::new();
        for (file, text) in self.pages() {
            for id in text.lines().filter_map(definition) {
                defined.entry(id.to_owned()).or_default().push(file.clone());
            }
        }
        defined
    }

    /// The paper's sections with rows in the protocol page, and their chapters.
    fn sections(&self) -> BTreeSet<String> {
        let rows = self.texts[PROTOCOL].lines().filter_map(|line| line.strip_prefix("| §")).filter_map(|row| row.split(" | ").next());
        let listed: BTreeSet<String> = rows.flat_map(|cell| cell.split(", ").map(str::to_owned)).collect();
        let chapters = listed.iter().filter_map(|section| section.split_once('.').map(|(chapter, _)| chapter.to_owned())).collect();
        &listed | &chapters
    }

    /// A page may be named relative to any directory above the citing file, or to `docs/`.
    fn page(&self, from: &str, cited: &str) -> Option<String> {
        // A leading slash follows a crate's directory in a string.
        let cited = cited.trim_start_matches('/');
        let above = Path::new(from).ancestors().filter_map(|path| beside(path.to_str()?, cited));
        above.chain([format!("docs/{cited}")]).find(|path| self.files.contains(path))
    }

    /// A source may be named by the end of its path, with directories left out.
    fn source(&self, cited: &str) -> bool {
        let cited: Vec<&str> = cited.split('/').filter(|one| !matches!(*one, "" | "." | "..")).collect();
        let (name, directories) = cited.split_last().expect("a name has a part");
        self.files.iter().any(|file| {
            let mut parts = file.rsplit('/');
            parts.next().is_some_and(|last| matches_star(name, last))
                && directories.iter().rev().all(|directory| parts.any(|part| matches_star(directory, part)))
        })
    }

    fn is_ours(&self, path: &str) -> bool {
        path.split_once('/').is_some_and(|(first, _)| {
            self.files.range(format!("{first}/")..).next().is_some_and(|file| file.starts_with(&format!("{first}/")))
        })
    }

    /// Every broken citation, as `file:line: what`.
    fn broken(&self) -> Vec<String> {
        let (defined, sections) = (self.definitions(), self.sections());
        let mut broken = Vec::new();
        for (file, text) in &self.texts {
            for (number, line) in text.lines().enumerate() {
                let mut report = |what: String| broken.push(format!("{file}:{}: {what}", number + 1));
                for id in ids(line).into_iter().filter(|id| !defined.contains_key(*id)) {
                    report(format!("no page defines {id}"));
                }
                for path in paths(line) {
                    let exists = match path.rsplit_once('.').map(|(_, extension)| extension) {
                        Some("md") => self.page(file, path).is_some(),
                        Some("rs") => self.source(path),
                        Some("txt") if file == PROTOCOL => self.source(&format!("{TRANSCRIPTS}{path}")),
                        // Users and tests name their own files as they like, but not in our directories.
                        _ => !self.is_ours(path) || self.source(path),
                    };
                    if !exists {
                        report(format!("there is no file {path}"));
                    }
                }
                for (page, section) in cited_sections(line) {
                    match page {
                        None if !sections.contains(section) => report(format!("{PROTOCOL} has no row for §{section} of the paper")),
                        Some(page) if self.page(file, page).is_some_and(|page| !has_section(&self.texts[&page], section)) => {
                            report(format!("{page} has no section {section}"));
                        }
                        _ => {}
                    }
                }
                if is_page(file) {
                    for link in links(line).into_iter().filter(|link| !self.leads_somewhere(file, link)) {
                        report(format!("the link {link} leads nowhere"));
                    }
                }
            }
        }
        broken
    }

    fn leads_somewhere(&self, from: &str, link: &str) -> bool {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let Some(target) = (if path.is_empty() { Some(from.to_owned()) } else { beside(from, path) }) else { return false };
        match self.texts.get(&target) {
            Some(text) => anchor.is_empty() || text.lines().filter_map(heading).any(|title| slug(title) == anchor),
            None => self.files.iter().any(|file| *file == target || file.starts_with(&format!("{target}/"))),
        }
    }
}

fn is_page(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, extension)| extension == "md")
}

/// Resolves a path relative to the directory of `from` into one from the root; `None` if it leads out of the repository.
fn beside(from: &str, path: &str) -> Option<String> {
    let mut whole = PathBuf::from(from);
    whole.pop();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => whole.pop().then_some(())?,
            Component::Normal(name) => whole.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    whole.to_str().map(str::to_owned)
}

/// The id that a line defines.
fn definition(line: &str) -> Option<&str> {
    let id = line
        .strip_prefix("| ")
        .and_then(|row| row.split(" | ").next())
        .or_else(|| line.strip_prefix("**").and_then(|text| text.split(". ").next()))?;
    (ids(id) == [id]).then_some(id)
}

/// The ids in a text: one capital letter and a number, as in D1, or several and a number after a hyphen, as in SAFE-1 and JOLT-L1.
fn ids(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let in_word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let capitals = run(at, u8::is_ascii_uppercase);
        if capitals == 0 || (at > 0 && in_word(at - 1)) {
            at += 1;
            continue;
        }
        let mut digits_at = at + capitals;
        if capitals > 1 && bytes.get(digits_at) == Some(&b'-') {
            digits_at += 1;
            digits_at += run(digits_at, u8::is_ascii_uppercase).min(1);
        }
        let digits = run(digits_at, u8::is_ascii_digit);
        let (before, end) = (&text[at..digits_at], digits_at + digits);
        if (1..=2).contains(&digits) && (capitals == 1 || before.contains('-')) && !in_word(end) && !NAMES.contains(&before) {
            found.push(&text[at..end]);
        }
        at = end;
    }
    found
}

/// The file names in a text, with their paths. Names in URLs and in other repositories are left out.
fn paths(text: &str) -> Vec<&str> {
    let of_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '*');
    let (mut found, mut elsewhere) = (Vec::new(), false);
    for part in text.split_inclusive(|c| !of_path(c)) {
        let path = part.trim_end_matches(|c| !of_path(c)).trim_end_matches(['.', '*']);
        let named = path.rsplit_once('.').is_some_and(|(name, extension)| {
            !name.is_empty() && !name.ends_with('/') && matches!(extension, "md" | "rs" | "txt" | "json" | "toml" | "sh" | "play" | "py")
        });
        if named && !elsewhere {
            found.push(path);
        }
        // As in https://docs.rs and owner/name:path.
        elsewhere = part.ends_with(':');
    }
    found
}

/// The cited sections in a text, with the page that each belongs to; `None` is the paper.
fn cited_sections(text: &str) -> Vec<(Option<&str>, &str)> {
    let number = |text: &str| {
        let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        text[..length].trim_end_matches('.').len()
    };
    let mut found = Vec::new();
    for (at, sign) in text.match_indices('§') {
        let behind = &text[at + sign.len()..];
        let (section, rest) = behind.split_at(number(behind));
        let before = text[..at].trim_end_matches([' ', ',']).rsplit([' ', '(', '`']).next().filter(|word| is_page(word));
        let after =
            rest.strip_prefix(" of ").and_then(|rest| paths(rest).first().copied().filter(|path| rest.starts_with(path) && is_page(path)));
        if !section.is_empty() {
            found.push((before.or(after), section));
        }
    }
    for (at, end) in text.match_indices(".md ") {
        let behind = &text[at + end.len()..];
        let section = &behind[..number(behind)];
        let page = text[..at + 3].rsplit([' ', '(', '`']).next();
        if section.contains('.') {
            found.push((page, section));
        }
    }
    found
}

fn heading(line: &str) -> Option<&str> {
    line.starts_with('#').then(|| line.trim_start_matches('#').trim())
}

fn has_section(page: &str, section: &str) -> bool {
    page.lines().filter_map(heading).any(|title| title.split(' ').next().is_some_and(|first| first.trim_end_matches('.') == section))
}

/// The anchor of a heading, as the usual renderers make it.
fn slug(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The targets of a line's links to other pages or to files.
fn links(line: &str) -> Vec<&str> {
    let targets = line.match_indices("](").filter_map(|(at, start)| line[at + start.len()..].split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://") && !target.contains("::") && !target.contains('`')).collect()
}

/// Whether a name matches a pattern in which `*` stands for anything.
fn matches_star(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|name| name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches_star(rest, &name[at..]))),
    }
}

#[test]
fn everything_that_is_cited_is_here() {
    let broken = Repository::read().broken();
    assert!(broken.is_empty(), "{} broken citations:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn an_id_is_defined_once() {
    let repository = Repository::read();
    let twice = |(id, pages): (String, Vec<String>)| {
        let rows = repository.pages().flat_map(|(_, text)| text.lines()).filter(|line| line.starts_with(&format!("| {id} | "))).count();
        (rows > 1 || pages.iter().collect::<BTreeSet<_>>().len() > 1).then(|| format!("{id}: {pages:?}"))
    };
    let twice: Vec<String> = repository.definitions().into_iter().filter_map(twice).collect();
    assert!(twice.is_empty(), "{}", twice.join("\n"));
}

/// The pages that the book's table of contents names, in its order.
fn listed(contents: &str) -> Vec<String> {
    contents.lines().flat_map(links).filter_map(|link| beside(CONTENTS, link)).collect()
}

#[test]
fn the_book_has_every_page_once() {
    let repository = Repository::read();
    let mut listed = listed(&repository.texts[CONTENTS]);
    listed.sort_unstable();
    let pages: Vec<String> = repository.pages().map(|(file, _)| file.clone()).filter(|file| file != CONTENTS).collect();
    assert_eq!(listed, pages, "left: {CONTENTS}; right: the pages in docs/");
}

#[test]
fn the_pages_of_a_table_of_contents_are_found() {
    let contents = "# Summary\n\n[About](README.md)\n\n- [Guide](guide.md)\n  - [Disk](operating/disk.md)\n";
    assert_eq!(listed(contents), ["docs/README.md", "docs/guide.md", "docs/operating/disk.md"]);
}

#[test]
fn citations_in_vain_are_found() {
    let protocol = "| Paper | Rule |\n|---|---|\n| §2 | quorum |\n| §3.1 | main |\n| §4.2, 4.3 | `e5_*.txt` |\n\n**D1. A quorum.** Text.\n";
    let rules = "# Rules\n\n## Of safety, first\n\n| Id | Statement |\n|---|---|\n| SAFE-1 | one vote |\n| JOLT-L1 | one block |\n";
    let repository = |path: &str, text: &str| {
        let texts = [(PROTOCOL, protocol), ("docs/rules.md", rules), (path, text)].map(|(path, text)| (path.to_owned(), text.to_owned()));
        let others = ["consensus/tests/transcripts/e5_a.txt", "types/tests/suite/certificates.rs", "sim/src/forge.rs"].map(str::to_owned);
        Repository { files: texts.iter().map(|(path, _)| path.clone()).chain(others).collect(), texts: texts.into() }
    };
    let found = |path: &str, text: &str| {
        let broken = repository(path, text).broken();
        broken.into_iter().map(|line| line.strip_prefix(&format!("{path}:1: ")).expect("where it is").to_owned()).collect::<Vec<_>>()
    };
    for (text, what) in [
        ("// As SAFE-2 says.", "no page defines SAFE-2"),
        ("// As JOLT-L2 says.", "no page defines JOLT-L2"),
        ("// NET-1", "no page defines NET-1"),
        ("// Deviation D2.", "no page defines D2"),
        ("// (D1-D9)", "no page defines D9"),
        ("\"B25\"", "no page defines B25"),
        ("//! The rules (notes.md).", "there is no file notes.md"),
        ("// see ../rules.md", "there is no file ../rules.md"),
        ("// `sim/src/forger.rs`", "there is no file sim/src/forger.rs"),
        ("// sim/reports/a.json", "there is no file sim/reports/a.json"),
        ("// `node/src/forge.rs`", "there is no file node/src/forge.rs"),
        ("// §3.9 of the paper", "docs/protocol.md has no row for §3.9 of the paper"),
        ("// protocol.md §3.1", "protocol.md has no section 3.1"),
        ("// (docs/protocol.md, §9)", "docs/protocol.md has no section 9"),
        ("// §9 of protocol.md", "protocol.md has no section 9"),
        ("// (protocol.md 2.6)", "protocol.md has no section 2.6"),
    ] {
        assert_eq!(found("sim/src/lib.rs", text), [what], "{text}");
    }
    for text in [
        "// SAFE-1, JOLT-L1, D1: paper §3.1, §3, §4.3. UTF-8, BIP-39, P9, V6, SHA3, CVE-2025-1, S123, D1x, 0xD7.",
        "// docs/rules.md, `rules.md`, ../../docs/rules.md, `types/certificates.rs`, certificates.rs, src/for*.rs, https://docs.rs, a/b:notes.md, mine/a.json, a.txt",
    ] {
        assert_eq!(found("sim/src/lib.rs", text), [""; 0], "{text}");
    }
    for (text, broken) in [
        ("[a](rules.md) [b](rules.md#of-safety-first) [c](../sim) [d](https://docs.rs/#x)", [].as_slice()),
        ("[a](rules.md#of-safety)", &["the link rules.md#of-safety leads nowhere"]),
        ("[a](../node)", &["the link ../node leads nowhere"]),
    ] {
        assert_eq!(found("docs/guide.md", text), broken, "{text}");
    }
    let transcript = repository(PROTOCOL, "| §2 | `e6_*.txt`, `e5_*.txt` |\n").broken();
    assert_eq!(transcript, ["docs/protocol.md:1: there is no file e6_*.txt"]);
}
