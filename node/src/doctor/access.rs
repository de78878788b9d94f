//! What the user that runs the validator may do with its files, where this command runs as somebody else. That user is the owner of `data/`, or of
//! the home before the first start. The mode bits alone are judged: what a group or an access list grants is not known, and said to be so.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use quorate_terminal::shell_word;

use super::finding::{Finding, State};
use crate::home::Home;

/// What to do where this user may not look.
pub(super) const RUN_AS: &str = "run this command as the user that runs the validator";

/// To read a file.
pub(super) const READ: u32 = 0o4;
/// To read and write a file.
pub(super) const CHANGE: u32 = 0o6;
/// To make and find files in a directory.
pub(super) const FILL: u32 = 0o3;
/// To find a file in a directory.
const FIND: u32 = 0o1;
const ROOT: u32 = 0;

/// Whether a use is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    Granted,
    /// The group has it, and whether the user is in that group, or in the file's access list, is not known.
    ByGroup,
    Denied,
}

/// The user that runs the validator, who is not the user of this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The owner of `data/`, or of the home where there is no `data/`; `None` if that is this user, or cannot be told.
    pub(super) fn of(home: &Home) -> Option<Self> {
        let metadata = fs::metadata(home.data()).or_else(|_| fs::metadata(home.path())).ok()?;
        let owner = Self { uid: metadata.uid(), gid: metadata.gid() };
        (owner.uid != rustix::process::geteuid().as_raw()).then_some(owner)
    }

    /// Whether the mode of a file of this user and group grants all of `wanted`.
    const fn granted(self, wanted: u32, uid: u32, gid: u32, mode: u32) -> Grant {
        let (of_owner, of_group, of_all) = (mode >> 6 & wanted, mode >> 3 & wanted, mode & wanted);
        if self.uid == ROOT {
            Grant::Granted
        } else if self.uid == uid {
            if of_owner == wanted { Grant::Granted } else { Grant::Denied }
        } else if self.gid == gid {
            if of_group == wanted { Grant::Granted } else { Grant::Denied }
        } else if of_all == wanted {
            Grant::Granted
        } else if of_group == wanted {
            Grant::ByGroup
        } else {
            Grant::Denied
        }
    }

    /// The file, or the directory on the way to it, that grants the least.
    fn least(self, path: &Path, wanted: u32) -> io::Result<(Grant, PathBuf, fs::Metadata)> {
        let path = fs::canonicalize(path)?;
        let judge = |path: &Path, wanted: u32| {
            let metadata = fs::metadata(path)?;
            let grant = self.granted(wanted, metadata.uid(), metadata.gid(), metadata.mode());
            Ok::<_, io::Error>((grant, path.to_path_buf(), metadata))
        };
        let mut least = judge(&path, wanted)?;
        for directory in path.ancestors().skip(1) {
            let found = judge(directory, FIND)?;
            if found.0 > least.0 {
                least = found;
            }
        }
        Ok(least)
    }

    /// The finding, judged for this user: `uses` are the paths that the validator needs, and what it does with them. Paths that do not exist are
    /// left to the finding.
    fn judge(self, mut finding: Finding, uses: &[(PathBuf, u32)]) -> Finding {
        let Self { uid, gid } = self;
        if matches!(finding.state, State::Fault | State::NotChecked)
            && let Some(error) = uses.iter().find_map(|(path, _)| closed(path))
        {
            return Finding::not_checked(finding.name, error, RUN_AS);
        }
        if finding.state == State::Fault {
            return finding;
        }
        for (path, wanted) in uses.iter().filter(|(path, _)| !matches!(path.try_exists(), Ok(false))) {
            let (place, metadata) = match self.least(path, *wanted) {
                Ok((Grant::Granted, ..)) => continue,
                Ok((Grant::Denied, place, metadata)) => (place, metadata),
                Ok((Grant::ByGroup, place, _)) => {
                    let seen = format!(
                        "{}; whether user {uid}, who runs the validator, may use {} depends on that user's groups",
                        finding.seen,
                        place.display()
                    );
                    return Finding::not_checked(finding.name, seen, RUN_AS);
                }
                Err(error) => return Finding::not_checked(finding.name, format!("{}: {error}", path.display()), RUN_AS),
            };
            let use_it = match *wanted {
                _ if metadata.is_dir() => "use",
                READ => "read",
                _ => "read and write",
            };
            let seen = format!(
                "{}; but user {uid}, who runs the validator, may not {use_it} {}: it belongs to {}:{} and has mode {:03o}",
                finding.seen,
                place.display(),
                metadata.uid(),
                metadata.gid(),
                metadata.mode() & 0o777
            );
            let fix = format!("if that user runs the validator: chown {uid}:{gid} {0}, and chmod u+rwX {0}", shell_word(&place));
            return Finding::fault(finding.name, seen, fix);
        }
        finding.seen.extend([" (user ", &uid.to_string(), ", who runs the validator, may use it)"]);
        finding
    }
}

/// The finding, judged for the user that runs the validator, if that is not this one.
pub(super) fn judge(owner: Option<Owner>, finding: Finding, uses: &[(PathBuf, u32)]) -> Finding {
    match owner {
        Some(owner) => owner.judge(finding, uses),
        None => finding,
    }
}

/// Why this user may not read a file, or a file in a directory; `None` if it may, or if something else is wrong.
pub(super) fn closed(path: &Path) -> Option<String> {
    let denied =
        |path: &Path, error: io::Error| (error.kind() == io::ErrorKind::PermissionDenied).then(|| format!("{}: {error}", path.display()));
    if !path.is_dir() {
        return fs::File::open(path).err().and_then(|error| denied(path, error));
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return denied(path, error),
    };
    let mut files = entries.flatten().map(|entry| entry.path());
    files.find_map(|file| fs::File::open(&file).err().and_then(|error| denied(&file, error)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_mode_of_a_file_says_who_may_use_it() {
        let quorate = Owner { uid: 998, gid: 997 };
        for (wanted, uid, gid, mode, grant) in [
            (READ, 998, 997, 0o600, Grant::Granted),
            (READ, 0, 0, 0o600, Grant::Denied),
            (READ, 0, 0, 0o644, Grant::Granted),
            (CHANGE, 0, 0, 0o644, Grant::Denied),
            (READ, 0, 997, 0o640, Grant::Granted),
            (CHANGE, 0, 997, 0o640, Grant::Denied),
            (READ, 0, 5, 0o640, Grant::ByGroup),
            (READ, 998, 997, 0o044, Grant::Denied),
            (READ, 0, 997, 0o604, Grant::Denied),
            (FILL, 0, 0, 0o755, Grant::Denied),
            (FILL, 998, 0, 0o700, Grant::Granted),
            (FIND, 0, 0, 0o711, Grant::Granted),
        ] {
            assert_eq!(quorate.granted(wanted, uid, gid, mode), grant, "{wanted:o} {uid}:{gid} {mode:03o}");
        }
        assert_eq!(Owner { uid: 0, gid: 0 }.granted(READ, 998, 997, 0o600), Grant::Granted);
    }

    #[test]
    fn what_the_validator_s_user_may_not_use_is_a_fault_whatever_this_user_may() {
        // Where every user may enter each directory above.
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let (inner, file) = (directory.path().join("keys"), directory.path().join("keys/validator.key"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "").unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let us = fs::metadata(&file).unwrap();
        // Some other user, in no group of the files.
        let other = Owner { uid: us.uid() + 1, gid: us.gid() + 1 };
        let judged = || other.judge(Finding::ok("keys", "it opens"), &[(file.clone(), READ)]);
        for (home, keys, key, state, named) in [
            (0o755, 0o755, 0o644, State::Ok, "may use it"),
            (0o755, 0o755, 0o600, State::Fault, "validator.key: it belongs to"),
            (0o755, 0o700, 0o644, State::Fault, "keys: it belongs to"),
            (0o700, 0o755, 0o644, State::Fault, "may not use"),
            (0o755, 0o755, 0o640, State::NotChecked, "groups"),
        ] {
            set(&file, key);
            set(&inner, keys);
            set(directory.path(), home);
            let finding = judged();
            assert!(finding.state == state && finding.seen.contains(named), "{finding:?}");
            assert_eq!(finding.fix.is_none(), state == State::Ok, "{finding:?}");
        }
        let fault = other.judge(Finding::fault("keys", "wrong passphrase", "another"), &[(file, READ)]);
        assert_eq!((fault.state, fault.seen.as_str()), (State::Fault, "wrong passphrase"), "this user has seen what is wrong");
    }
}
