//! Files that are there whole or not at all, whenever the power fails.
//!
//! ```text
//! create    draft -> write -> sync -> link under its name, never over another file -> remove the draft -> sync the directory
//! replace   draft -> write -> sync -> rename over the old file                                         -> sync the directory
//! ```
//! The steps go through [`Files`], so that the simulator can cut the power between any two of them (`quorate sim crash-points`). What a cut
//! may leave behind is a draft, with the mode of the file: `.NAME.PROCESS.new`.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The steps of a file system that the two writers need.
pub trait Files {
    /// An open file.
    type File;

    /// Makes an empty file of a mode, which must not exist.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`].
    fn make(&self, path: &Path, mode: u32) -> io::Result<Self::File>;

    /// Writes all of the content.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, file: &mut Self::File, content: &[u8]) -> io::Result<()>;

    /// Returns when the content survives a power cut; the name may still be lost.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives a file a second name, which nothing may have.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AlreadyExists`].
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a file to a name, in one step, in place of what has it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away; does nothing when there is no such name.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a directory survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// Makes a file that must not exist. When this returns, content and name survive a power cut.
///
/// # Errors
/// The system's; [`io::ErrorKind::AlreadyExists`], and then the file is as it was.
pub fn create<F: Files>(files: &F, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = draft_of(path)?;
    if let Err(error) = write_draft(files, &draft, content, mode).and_then(|()| files.link(&draft, path)) {
        drop(files.remove(&draft));
        return Err(error);
    }
    let durable = files.remove(&draft).and_then(|()| files.sync_directory(directory_of(path)));
    if durable.is_err() {
        // Nobody was told of it, so it is ours to remove.
        drop(files.remove(path));
    }
    durable
}

/// Writes a file in place of the one that may be there: whoever reads sees the old one or the new one. When this returns, the new one
/// survives a power cut.
///
/// # Errors
/// The system's.
pub fn replace<F: Files>(files: &F, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = draft_of(path)?;
    if let Err(error) = write_draft(files, &draft, content, mode).and_then(|()| files.rename(&draft, path)) {
        drop(files.remove(&draft));
        return Err(error);
    }
    files.sync_directory(directory_of(path))
}

fn write_draft<F: Files>(files: &F, draft: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // Of an earlier process with our number, which is dead: no other one uses this name.
    files.remove(draft)?;
    let mut file = files.make(draft, mode)?;
    files.write(&mut file, content)?;
    files.sync(&file)
}

fn draft_of(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a name"))?;
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
            // Memory sticks know no links. There the name is looked at first.
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
    fn a_directory_that_is_not_there_is_an_error_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert!(create(&SystemFiles, &home.path().join("no/key"), b"x", 0o600).is_err());
        assert!(create(&SystemFiles, Path::new("/"), b"x", 0o600).is_err());
        assert!(names(home.path()).is_empty());
    }
}
