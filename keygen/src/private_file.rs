//! Private files: never overwritten, durable once created, refused if other users have access.
//!
//! Who must not have access depends on the owner:
//!
//! ```text
//! owner       forbidden          wanted
//! we          group and others   0600: we can fix the mode
//! root        others             0440: the administrator, systemd or Kubernetes grants access by group or ACL,
//!                                      and we can change neither mode nor content
//! ```
//! A passphrase file owned by root may even be readable by others, as Kubernetes secrets are by default: it is used, with a warning. A file
//! that others can *write* to is always refused.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{
    error::KeyError,
    whole_file::{self, SystemFiles},
};

/// Longest key file, in bytes.
pub const KEY_FILE_BYTES_MAX: usize = 64 << 10;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Any access by group or others.
const OTHERS: u32 = 0o077;
/// The same without read access by the group.
const OTHERS_NOT_GROUP: u32 = 0o037;
/// Mode of a file that root shares with a group.
const GIVEN_MODE: u32 = 0o440;
/// Write access by group or others. On a directory it allows them to replace files.
const OTHERS_WRITE: u32 = 0o022;
/// In a directory with this bit, only a file's owner can replace it.
const STICKY: u32 = 0o1000;
const PERMISSIONS: u32 = 0o777;
const ROOT: u32 = 0;

/// Mode of a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Mode 0600.
    Private,
    /// Mode 0644.
    Public,
}

/// Creates a directory with mode 0700, or checks that an existing one is no more open than that. When this returns, it survives a power cut,
/// with the files that are in it.
///
/// # Errors
/// [`KeyError::Loose`], [`KeyError::Io`].
pub fn private_directory(path: &Path) -> Result<(), KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    let or_here = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.into() };
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !or_here(path).exists()).collect();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(failed)?;
    check(path, fs::metadata(path).map_err(failed)?.mode(), OTHERS, DIRECTORY_MODE)?;
    for changed in std::iter::once(path).chain(missing.into_iter().filter_map(Path::parent)) {
        File::open(or_here(changed)).and_then(|directory| directory.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Creates a file that must not exist, atomically. On return content and name are durable.
///
/// # Errors
/// [`KeyError::Exists`], [`KeyError::Io`].
pub fn create(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), KeyError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
        _ => KeyError::Io { path: path.into(), error },
    };
    let mode = match secrecy {
        Secrecy::Private => FILE_MODE,
        Secrecy::Public => 0o644,
    };
    whole_file::create(&SystemFiles, path, content, mode).map_err(failed)
}

/// Replaces a private file, atomically. On return content and name are durable.
///
/// # Errors
/// [`KeyError::Io`].
pub fn replace(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    whole_file::replace(&SystemFiles, path, content, FILE_MODE).map_err(|error| KeyError::Io { path: path.into(), error })
}

/// Reads a private file. The mode is checked on the open file, so the file cannot be swapped between check and read.
///
/// # Errors
/// [`KeyError`].
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile(path.into()));
    }
    let (forbidden, wanted) = rule(metadata.uid(), us());
    check(path, metadata.mode(), forbidden, wanted)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mode = fs::metadata(parent).map_err(|error| KeyError::Io { path: parent.into(), error })?.mode();
        if mode & STICKY == 0 {
            check(parent, mode, OTHERS_WRITE, DIRECTORY_MODE)?;
        }
    }
    read_bounded(path, &file)
}

/// Reads a public file.
///
/// # Errors
/// [`KeyError`].
pub fn read_public(path: &Path) -> Result<String, KeyError> {
    let file = File::open(path).map_err(|error| KeyError::Io { path: path.into(), error })?;
    let bytes = read_bounded(path, &file)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| KeyError::Content {
        path: path.into(),
        what: "public key",
        reason: "it is not text".into(),
    })
}

pub(crate) fn read_bounded(path: &Path, file: &File) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // Full capacity up front: a growing buffer leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
    file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| KeyError::Io { path: path.into(), error })?;
    if bytes.len() > KEY_FILE_BYTES_MAX { Err(KeyError::TooLong(path.into())) } else { Ok(bytes) }
}

fn check(path: &Path, mode: u32, forbidden: u32, wanted: u32) -> Result<(), KeyError> {
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyError::Loose { path: path.into(), mode: mode & PERMISSIONS, wanted }) }
}

/// The forbidden mode bits of a secret file with this owner, and the mode it should have.
const fn rule(owner: u32, us: u32) -> (u32, u32) {
    if owner == ROOT && us != ROOT { (OTHERS_NOT_GROUP, GIVEN_MODE) } else { (OTHERS, FILE_MODE) }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Checks a passphrase file. Returns whether it is accepted although others can read it.
///
/// # Errors
/// [`KeyError::Loose`], [`KeyError::Io`].
pub(crate) fn check_given(path: &Path, file: &File) -> Result<bool, KeyError> {
    let metadata = file.metadata().map_err(|error| KeyError::Io { path: path.into(), error })?;
    // The mode of pipes and descriptors (`/dev/fd/3`) means nothing.
    if !metadata.is_file() {
        return Ok(false);
    }
    let (owner, mode) = (metadata.uid(), metadata.mode());
    let (forbidden, wanted) = rule(owner, us());
    let forbidden_anyway = if owner == ROOT { OTHERS_WRITE } else { forbidden };
    check(path, mode, forbidden_anyway, wanted)?;
    Ok(mode & forbidden != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & PERMISSIONS
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_private_file_has_mode_0600_in_a_directory_of_0700() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("a/b");
        private_directory(&directory).unwrap();
        let file = directory.join("key");
        create(&file, b"secret", Secrecy::Private).unwrap();
        assert_eq!((mode(&directory), mode(&home.path().join("a")), mode(&file)), (0o700, 0o700, 0o600));
        assert_eq!(read(&file).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        create(&file, b"first", Secrecy::Private).unwrap();
        let error = create(&file, b"second", Secrecy::Private).unwrap_err();
        assert!(matches!(&error, KeyError::Exists(path) if *path == file), "{error}");
        assert!(error.to_string().contains("never overwritten"));
        assert_eq!(read(&file).unwrap().as_slice(), b"first");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_fix() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        create(&file, b"secret", Secrecy::Private).unwrap();
        for loose in [0o640, 0o604, 0o620, 0o666] {
            set_mode(&file, loose);
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{loose:03o}")), "{error}");
        }
        set_mode(&file, 0o400);
        assert!(read(&file).is_ok());
    }

    #[test]
    fn whose_file_it_is_decides_who_may_read_it() {
        // Our own file, whoever we are; then files of other non-root users.
        for (owner, us) in [(1000, 1000), (0, 0), (1000, 0), (1000, 1001)] {
            assert_eq!(rule(owner, us), (0o077, 0o600), "{owner} {us}");
        }
        // A systemd credential is 0440 because of its ACL, a Kubernetes secret with an fsGroup because of its group.
        let (forbidden, wanted) = rule(0, 1000);
        assert_eq!(wanted, 0o440);
        for (mode, is_fine) in [(0o400, true), (0o440, true), (0o444, false), (0o460, false), (0o640, true), (0o644, false)] {
            assert_eq!(mode & forbidden == 0, is_fine, "{mode:03o}");
        }
    }

    #[test]
    fn a_file_in_a_directory_that_all_may_write_to_counts_where_only_its_owner_can_exchange_it() {
        let home = tempfile::tempdir().unwrap();
        let (data, file) = (home.path().join("..data"), home.path().join("key"));
        create(&data, b"secret", Secrecy::Private).unwrap();
        // Kubernetes mounts a secret as a symlink in a directory of mode 1777.
        std::os::unix::fs::symlink("..data", &file).unwrap();
        set_mode(home.path(), 0o1777);
        assert_eq!(read(&file).unwrap().as_slice(), b"secret");
        set_mode(home.path(), 0o777);
        assert!(matches!(read(&file), Err(KeyError::Loose { .. })));
    }

    #[test]
    fn a_directory_that_others_can_use_is_refused_with_the_fix() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        private_directory(&directory).unwrap();
        create(&directory.join("key"), b"secret", Secrecy::Private).unwrap();
        set_mode(&directory, 0o750);
        assert!(private_directory(&directory).unwrap_err().to_string().contains("chmod 700"));
        assert!(read(&directory.join("key")).is_ok(), "read access to the directory alone does no harm");
        set_mode(&directory, 0o770);
        assert!(read(&directory.join("key")).unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn a_huge_file_is_refused_before_it_is_read() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        create(&file, &vec![b'x'; KEY_FILE_BYTES_MAX + 1], Secrecy::Private).unwrap();
        assert!(matches!(read(&file), Err(KeyError::TooLong(_))));
    }
}
