//! Files that nobody else may read: made once, durable before they count, refused when others have access.
//!
//! Who "others" are depends on whose file it is:
//!
//! ```text
//! it is ours           group and others     0600: we can mend it
//! it is root's         others               0440: a machine's administrator, systemd or Kubernetes gives it to the group or by an ACL,
//!                                           and we can change neither its mode nor its content
//! ```
//! A passphrase that root gives may be readable by others too, as secrets of Kubernetes are unless they are told otherwise: then it is used,
//! with a warning. What somebody could *change* is refused in any case.

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
/// All of that, but for reading by the group.
const OTHERS_NOT_GROUP: u32 = 0o037;
/// The mode of a file that root gives to a group.
const GIVEN_MODE: u32 = 0o440;
/// Write access of group or others, by which a file in a directory can be exchanged.
const OTHERS_WRITE: u32 = 0o022;
/// In such a directory only the owner of a file can exchange it.
const STICKY: u32 = 0o1000;
const PERMISSIONS: u32 = 0o777;
const ROOT: u32 = 0;

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
    // Reserved at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX + 1));
    file.take(KEY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| KeyError::Io { path: path.into(), error })?;
    if bytes.len() > KEY_FILE_BYTES_MAX { Err(KeyError::TooLong(path.into())) } else { Ok(bytes) }
}

fn check(path: &Path, mode: u32, forbidden: u32, wanted: u32) -> Result<(), KeyError> {
    if mode & forbidden == 0 { Ok(()) } else { Err(KeyError::Loose { path: path.into(), mode: mode & PERMISSIONS, wanted }) }
}

/// What others must not be able to do with a secret file of this owner, and the mode that it should have.
const fn rule(owner: u32, us: u32) -> (u32, u32) {
    if owner == ROOT && us != ROOT { (OTHERS_NOT_GROUP, GIVEN_MODE) } else { (OTHERS, FILE_MODE) }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Checks the file of a passphrase, which the operator gives. Whether others can read it all the same.
///
/// # Errors
/// [`KeyError::Loose`], [`KeyError::Io`].
pub(crate) fn check_given(path: &Path, file: &File) -> Result<bool, KeyError> {
    let metadata = file.metadata().map_err(|error| KeyError::Io { path: path.into(), error })?;
    // Pipes and descriptors (`/dev/fd/3`) have no mode worth looking at.
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
        // Ours, whoever we are, and somebody else's that root looks at.
        for (owner, us) in [(1000, 1000), (0, 0), (1000, 0), (1000, 1001)] {
            assert_eq!(rule(owner, us), (0o077, 0o600), "{owner} {us}");
        }
        // A credential of systemd is 0440 by its ACL, a secret of Kubernetes with an fsGroup by its group.
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
        // As Kubernetes mounts a secret: a link, in a directory of mode 1777.
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
