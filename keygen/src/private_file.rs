//! Files that nobody else may read: made once, durable before they count, refused when others have access.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::Path,
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
/// Any access of group or others.
const OTHERS: u32 = 0o077;
/// Write access of group or others, by which a file in a directory can be exchanged.
const OTHERS_WRITE: u32 = 0o022;
const PERMISSIONS: u32 = 0o777;

/// Whether others than the owner may see or change what a new file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Mode 0600.
    Private,
    /// Mode 0644.
    Public,
}

/// Makes a directory of mode 0700, or checks that the existing one is as private.
///
/// # Errors
/// [`KeyError::Loose`], [`KeyError::Io`].
pub fn private_directory(path: &Path) -> Result<(), KeyError> {
    let failed = |error| KeyError::Io { path: path.into(), error };
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(failed)?;
    check(path, fs::metadata(path).map_err(failed)?.mode(), OTHERS, DIRECTORY_MODE)
}

/// Makes a file that must not exist, whole or not at all, and returns when it is on the disk, its name included.
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

/// Reads a private file. Its mode is looked at on the open file, so it cannot be exchanged in between.
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
    check(path, metadata.mode(), OTHERS, FILE_MODE)?;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        check(
            parent,
            fs::metadata(parent).map_err(|error| KeyError::Io { path: parent.into(), error })?.mode(),
            OTHERS_WRITE,
            DIRECTORY_MODE,
        )?;
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
    // Reserved at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
    file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| KeyError::Io { path: path.into(), error })?;
    if bytes.len() > KEY_FILE_BYTES_MAX { Err(KeyError::TooLong(path.into())) } else { Ok(bytes) }
}

fn check(path: &Path, mode: u32, forbidden: u32, wanted: u32) -> Result<(), KeyError> {
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyError::Loose { path: path.into(), mode: mode & PERMISSIONS, wanted }) }
}

pub(crate) fn is_loose(file: &File) -> io::Result<Option<u32>> {
    let metadata = file.metadata()?;
    Ok((metadata.is_file() && metadata.mode() & OTHERS != 0).then(|| metadata.mode() & PERMISSIONS))
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
    fn a_directory_that_others_can_use_is_refused_with_the_fix() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("keys");
        private_directory(&directory).unwrap();
        create(&directory.join("key"), b"secret", Secrecy::Private).unwrap();
        set_mode(&directory, 0o750);
        assert!(private_directory(&directory).unwrap_err().to_string().contains("chmod 700"));
        assert!(read(&directory.join("key")).is_ok(), "a directory that others can only look into does not spoil the file");
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
