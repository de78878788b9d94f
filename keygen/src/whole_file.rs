//! Atomic file writes: a power cut leaves a file whole or absent (or, when replaced, old or new).
//!
//! ```text
//! create    draft -> write -> sync -> link to its name, fails if that exists -> remove the draft -> sync the directory
//! replace   draft -> write -> sync -> rename over the old file                                   -> sync the directory
//! ```
//! The steps go through [`Files`], so that the simulator can cut the power between any two of them (`quorate sim crash-points`). A cut may
//! leave a draft behind, `.NAME.PROCESS.new`, with the mode of the file, or open to its owner alone.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

/// Mode of a file that nobody but its owner can use.
const PRIVATE: u32 = 0o600;

/// The file system operations that [`create`] and [`replace`] use.
pub trait Files {
    /// An open file.
    type File;

    /// Creates an empty file with this mode; it must not exist.
    ///
    /// # Errors
    /// The system's error; [`io::ErrorKind::AlreadyExists`].
    fn make(&self, path: &Path, mode: u32) -> io::Result<Self::File>;

    /// Writes all of `content`.
    ///
    /// # Errors
    /// The system's error.
    fn write(&self, file: &mut Self::File, content: &[u8]) -> io::Result<()>;

    /// Makes the content durable; the name may still be lost.
    ///
    /// # Errors
    /// The system's error.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives a file a second name, which must not exist.
    ///
    /// # Errors
    /// The system's error; [`io::ErrorKind::AlreadyExists`].
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file atomically, replacing the target if it exists.
    ///
    /// # Errors
    /// The system's error.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; does nothing if there is none.
    ///
    /// # Errors
    /// The system's error.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The system's error.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// Creates a file that must not exist. On return content and name are durable.
///
/// # Errors
/// The system's error; [`io::ErrorKind::AlreadyExists`], and then the existing file is unchanged.
pub fn create<F: Files>(files: &F, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = draft_of(path)?;
    if let Err(error) = write_draft(files, &draft, content, mode, |_| Ok(())).and_then(|()| files.link(&draft, path)) {
        drop(files.remove(&draft));
        return Err(error);
    }
    let durable = files.remove(&draft).and_then(|()| files.sync_directory(directory_of(path)));
    if durable.is_err() {
        // No caller relies on the file yet, so it can be removed.
        drop(files.remove(path));
    }
    durable
}

/// Writes a file, replacing an existing one atomically: readers see the old or the new content. On return the new content is durable.
///
/// # Errors
/// The system's error.
pub fn replace<F: Files>(files: &F, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_by(files, path, content, mode, |_| Ok(()))
}

/// Like [`replace`], by a file with the owner, group and mode of the old one, which must exist. If the new file cannot have them, the old one
/// stays: only root can give a file to somebody else.
///
/// # Errors
/// The system's error.
pub fn replace_alike(path: &Path, content: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path)?;
    let become_alike = |draft: &File| {
        let ours = draft.metadata()?;
        if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
            fchown(draft, Some(old.uid()), Some(old.gid())).map_err(|error| {
                io::Error::new(error.kind(), format!("it belongs to {}:{}, and a new file cannot: {error}", old.uid(), old.gid()))
            })?;
        }
        draft.set_permissions(old.permissions())
    };
    replace_by(&SystemFiles, path, content, PRIVATE, become_alike)
}

fn replace_by<F: Files>(
    files: &F,
    path: &Path,
    content: &[u8],
    mode: u32,
    prepare: impl FnOnce(&F::File) -> io::Result<()>,
) -> io::Result<()> {
    let draft = draft_of(path)?;
    if let Err(error) = write_draft(files, &draft, content, mode, prepare).and_then(|()| files.rename(&draft, path)) {
        drop(files.remove(&draft));
        return Err(error);
    }
    files.sync_directory(directory_of(path))
}

/// `prepare` changes the file before it is synced.
fn write_draft<F: Files>(
    files: &F,
    draft: &Path,
    content: &[u8],
    mode: u32,
    prepare: impl FnOnce(&F::File) -> io::Result<()>,
) -> io::Result<()> {
    // A leftover of a dead process that had our process id; no live process uses this name.
    files.remove(draft)?;
    let mut file = files.make(draft, mode)?;
    files.write(&mut file, content)?;
    prepare(&file)?;
    files.sync(&file)
}

fn draft_of(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?;
    let mut draft = OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.new", std::process::id()));
    Ok(path.with_file_name(draft))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    type File = File;

    fn make(&self, path: &Path, mode: u32) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
    }

    fn write(&self, file: &mut File, content: &[u8]) -> io::Result<()> {
        file.write_all(content)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        match fs::hard_link(from, to) {
            // Some file systems, such as FAT, have no hard links. There the name is checked before the rename, which is not atomic.
            Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                if to.try_exists()? {
                    Err(io::ErrorKind::AlreadyExists.into())
                } else {
                    fs::rename(from, to)
                }
            }
            done => done,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_created_is_whole_alone_and_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        create(&SystemFiles, &path, b"first", 0o600).unwrap();
        let error = create(&SystemFiles, &path, b"second", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(home.path()), ["key"]);
    }

    #[test]
    fn what_is_replaced_is_the_new_file_and_a_draft_of_a_dead_process_is_no_hindrance() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("address");
        fs::write(draft_of(&path).unwrap(), b"half").unwrap();
        replace(&SystemFiles, &path, b"one", 0o644).unwrap();
        replace(&SystemFiles, &path, b"two", 0o644).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(home.path()), ["address"]);
    }

    #[test]
    fn a_file_that_is_replaced_alike_keeps_owner_group_and_mode_or_stays() {
        use std::os::unix::fs::{PermissionsExt, chown};
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.toml");
        assert!(replace_alike(&path, b"new").is_err() && names(home.path()).is_empty(), "there is nothing to replace");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root can give a file away.
        let is_root = chown(&path, Some(12_345), Some(54_321)).is_ok();
        let of = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid(), file.mode() & 0o777)).unwrap();
        let before = of(&path);
        assert_eq!(before.0 == 12_345, is_root);
        replace_alike(&path, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), of(&path)), (b"new".as_slice(), before));
        assert_eq!(names(home.path()), ["config.toml"]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert!(create(&SystemFiles, &home.path().join("no/key"), b"x", 0o600).is_err());
        assert!(create(&SystemFiles, Path::new("/"), b"x", 0o600).is_err());
        assert!(names(home.path()).is_empty());
    }
}
