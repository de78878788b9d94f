//! A validator's home directory under watch: the real writers of key files and address files (quorate-keygen, `whole_file.rs`) on a file
//! system that loses unsynced changes in a power cut.
//!
//! Of a file with unsynced content, any prefix may survive. Of the names created, moved and removed since the directory was last synced, any
//! prefix of the changes may survive: file systems used for databases keep this order in their journals.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use quorate_harness::random::Random;
use quorate_keygen::whole_file::{Files, create, replace};
use quorate_types::ids::ValidatorId;

use super::{
    Site,
    disk::{SharedTrap, locked},
    trap::{Act, FileStep},
};

const MODE: u32 = 0o600;

/// A handle to the directory.
#[derive(Clone, Debug)]
pub(super) struct WatchedFiles {
    whose: ValidatorId,
    directory: Arc<Mutex<Directory>>,
    trap: SharedTrap,
}

#[derive(Debug, Default)]
struct Directory {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// The names after each change since the last sync of the directory.
    changes: Vec<BTreeMap<PathBuf, usize>>,
    off: bool,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: bool,
}

impl Directory {
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<PathBuf, usize>)) {
        change(&mut self.names);
        self.changes.push(self.names.clone());
    }

    fn check(&self) -> io::Result<()> {
        if self.off { Err(power_off()) } else { Ok(()) }
    }
}

fn power_off() -> io::Error {
    io::Error::other("the power is off")
}

/// The writers' view of the directory while they write at one site.
struct At<'a> {
    files: &'a WatchedFiles,
    site: Site,
}

impl WatchedFiles {
    pub(super) fn new(whose: ValidatorId, trap: SharedTrap) -> Self {
        Self { whose, directory: Arc::default(), trap }
    }

    /// Creates a file, as programs create a key file or a genesis file.
    pub(super) fn create(&self, name: &str, content: &[u8]) -> io::Result<()> {
        create(&At { files: self, site: Site::KeyFile }, Path::new(name), content, MODE)?;
        self.done(Site::KeyFile)
    }

    /// Replaces a file, as a process does with its address file.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        replace(&At { files: self, site: Site::PeerFile }, Path::new(name), content, MODE)?;
        self.done(Site::PeerFile)
    }

    /// A file's content as a reader sees it.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let directory = locked(&self.directory);
        let content = directory.contents.get(*directory.names.get(Path::new(name))?)?;
        Some(content.bytes.clone())
    }

    /// Cuts the power.
    pub(super) fn crash(&self, random: &mut Random) {
        let mut directory = locked(&self.directory);
        let kept = random.index(directory.changes.len().saturating_add(1));
        let names = match kept.checked_sub(1).and_then(|last| directory.changes.get(last)) {
            Some(names) => names.clone(),
            None => directory.durable_names.clone(),
        };
        directory.names.clone_from(&names);
        directory.durable_names = names;
        directory.changes.clear();
        directory.off = false;
        for content in &mut directory.contents {
            if !content.synced {
                let survives = random.index(content.bytes.len().saturating_add(1));
                content.bytes.truncate(survives);
                content.synced = true;
            }
        }
    }

    fn ask(&self, site: Site, step: FileStep) -> Act {
        locked(&self.trap).on_file(self.whose, site, step)
    }

    fn fail(&self) -> io::Error {
        locked(&self.directory).off = true;
        power_off()
    }

    fn done(&self, site: Site) -> io::Result<()> {
        if self.ask(site, FileStep::Done) == Act::Pass { Ok(()) } else { Err(self.fail()) }
    }

    fn content(&self, file: usize, change: impl FnOnce(&mut Content)) {
        if let Some(content) = locked(&self.directory).contents.get_mut(file) {
            change(content);
        }
    }
}

impl Files for At<'_> {
    type File = usize;

    fn make(&self, path: &Path, _mode: u32) -> io::Result<usize> {
        let mut directory = locked(&self.files.directory);
        directory.check()?;
        if directory.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = directory.contents.len();
        directory.contents.push(Content::default());
        directory.change(|names| {
            names.insert(path.into(), file);
        });
        Ok(file)
    }

    fn write(&self, file: &mut usize, content: &[u8]) -> io::Result<()> {
        locked(&self.files.directory).check()?;
        let act = self.files.ask(self.site, FileStep::Write);
        if act != Act::FailBefore {
            self.files.content(*file, |file| {
                file.bytes.extend_from_slice(content);
                file.synced = false;
            });
        }
        if act == Act::Pass { Ok(()) } else { Err(self.files.fail()) }
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        locked(&self.files.directory).check()?;
        let act = self.files.ask(self.site, FileStep::Sync);
        self.files.content(*file, |file| file.synced = true);
        if act == Act::Pass { Ok(()) } else { Err(self.files.fail()) }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut directory = locked(&self.files.directory);
        directory.check()?;
        if directory.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = directory.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        directory.change(|names| {
            names.insert(to.into(), file);
        });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut directory = locked(&self.files.directory);
        directory.check()?;
        let file = directory.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        directory.change(|names| {
            names.remove(from);
            names.insert(to.into(), file);
        });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut directory = locked(&self.files.directory);
        directory.check()?;
        if directory.names.contains_key(path) {
            directory.change(|names| {
                names.remove(path);
            });
        }
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        let mut directory = locked(&self.files.directory);
        directory.check()?;
        directory.durable_names = directory.names.clone();
        directory.changes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::crash_points::{Instant, Point};

    const ME: ValidatorId = ValidatorId(0);

    /// What is left after a power cut at this instant of a write, over many seeds.
    fn left(
        site: Site,
        instant: Instant,
        write: impl Fn(&WatchedFiles) -> io::Result<()>,
        old: Option<&[u8]>,
    ) -> BTreeSet<Option<Vec<u8>>> {
        (0..60)
            .map(|seed| {
                let trap = SharedTrap::default();
                let files = WatchedFiles::new(ME, Arc::clone(&trap));
                if let Some(old) = old {
                    files.replace("file", old).unwrap();
                }
                locked(&trap).arm(Point { site, instant }, BTreeSet::from([ME]), 1);
                assert!(write(&files).is_err());
                files.crash(&mut Random::new(seed));
                let found = files.read("file");
                // The write succeeds when repeated, whatever was left behind.
                if found.is_none() || old.is_some() {
                    write(&files).unwrap();
                    assert_eq!(files.read("file"), Some(b"content".to_vec()));
                }
                found
            })
            .collect()
    }

    #[test]
    fn a_created_file_is_absent_or_whole_and_there_once_its_writer_was_told_so() {
        let (none, whole) = (None, Some(b"content".to_vec()));
        let left = |instant| left(Site::KeyFile, instant, |files| files.create("file", b"content"), None);
        assert_eq!(left(Instant::BeforeWrite), BTreeSet::from([none.clone()]));
        assert_eq!(left(Instant::AfterWrite), BTreeSet::from([none.clone()]));
        assert_eq!(left(Instant::AfterSync), BTreeSet::from([none]));
        assert_eq!(left(Instant::AfterEffect), BTreeSet::from([whole]));
    }

    #[test]
    fn a_replaced_file_is_the_old_one_or_the_new_one() {
        let (old, new) = (Some(b"old".to_vec()), Some(b"content".to_vec()));
        let left = |instant| left(Site::PeerFile, instant, |files| files.replace("file", b"content"), Some(b"old"));
        for instant in [Instant::BeforeWrite, Instant::AfterWrite, Instant::AfterSync] {
            assert_eq!(left(instant), BTreeSet::from([old.clone()]));
        }
        assert_eq!(left(Instant::AfterEffect), BTreeSet::from([new]));
    }

    #[test]
    fn a_writer_that_writes_in_place_would_leave_half_a_file() {
        let mut found = BTreeSet::new();
        for seed in 0..60 {
            let trap = SharedTrap::default();
            let files = WatchedFiles::new(ME, Arc::clone(&trap));
            locked(&trap).arm(Point { site: Site::KeyFile, instant: Instant::AfterWrite }, BTreeSet::from([ME]), 1);
            let at = At { files: &files, site: Site::KeyFile };
            let mut file = at.make(Path::new("file"), MODE).unwrap();
            assert!(at.write(&mut file, b"content").is_err());
            files.crash(&mut Random::new(seed));
            found.insert(files.read("file").map(|bytes| bytes.len()));
        }
        assert!(found.len() > 5, "{found:?}");
    }
}
