//! The files of a home: settings, permissions, genesis, keys.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use quorate_app::App;
use quorate_keygen::{ConsensusKey, KeyError, PassphraseSource, ValidatorPublic, load_node_keys, load_validator_public};
use quorate_terminal::shell_word;
use quorate_types::{committee::Committee, genesis::Genesis};

use super::{access::RUN_AS, finding::Finding};
use crate::{
    command::on_a_stack_of_its_own,
    config::Config,
    home::Home,
    run::{Membership, check_genesis_hash, check_signer},
    settings::layers::Layers,
};

/// Every user may write.
const ALL_WRITE: u32 = 0o002;
/// The group may write. On many systems it has one member.
const GROUP_WRITE: u32 = 0o020;
/// Some user besides the owner may write.
const OTHERS_WRITE: u32 = ALL_WRITE | GROUP_WRITE;
/// Some user besides the owner has some access.
const OTHERS: u32 = 0o077;
/// In a directory with this bit, only a file's owner can replace it.
const STICKY: u32 = 0o1000;

/// That there is no home, if so: then nothing in it need be examined.
pub(super) fn missing(home: &Home) -> Option<Finding> {
    let path = home.path();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some(Finding::fault("home", format!("{} is not a directory", path.display()), "name the home with --home")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fix = format!("make one: quorate node init --home {}; or name another with --home", shell_word(path));
            Some(Finding::fault("home", format!("there is no home at {}", path.display()), fix))
        }
        Err(error) => Some(Finding::not_checked("home", format!("{}: {error}", path.display()), RUN_AS)),
    }
}

pub(super) fn settings(home: &Home, layers: &Layers) -> Finding {
    let file = home.config_file();
    if layers.problems.is_empty() {
        let changed = layers.settings().iter().filter(|setting| setting.value != setting.default).count();
        return Finding::ok("settings", format!("{} is valid; {changed} settings differ from their defaults", file.display()));
    }
    let problems: Vec<_> = layers.problems.iter().map(|problem| problem.say(&file)).collect();
    let fix = if file.try_exists().unwrap_or(true) {
        format!("correct {}; `quorate config validate --home {}` checks it", file.display(), shell_word(home.path()))
    } else {
        format!("quorate node init --home {}", shell_word(home.path()))
    };
    Finding::fault("settings", problems.join("; "), fix)
}

/// Who may read and write the files.
pub(super) fn permissions(home: &Home) -> Vec<Finding> {
    let keys = home.key_file().parent().map_or_else(|| home.path().into(), Path::to_path_buf);
    let config = home.config_file();
    let rules: [(PathBuf, u32, u32, &str); 7] = [
        (home.path().into(), ALL_WRITE, GROUP_WRITE, "go-w"),
        (config.parent().unwrap_or(home.path()).into(), ALL_WRITE, GROUP_WRITE, "go-w"),
        (config, ALL_WRITE, GROUP_WRITE, "go-w"),
        (home.genesis_file(), ALL_WRITE, GROUP_WRITE, "go-w"),
        (keys, OTHERS_WRITE, OTHERS, "go="),
        (home.data(), OTHERS_WRITE, OTHERS, "go="),
        // The key file has rules of its own (`keys`).
        (home.witness_file(), OTHERS_WRITE, OTHERS, "go="),
    ];
    let mut found = Vec::new();
    for (path, fault, warning, change) in rules {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.push(Finding::not_checked("permissions", format!("{}: {error}", path.display()), RUN_AS));
                continue;
            }
        };
        let mode = metadata.mode();
        let may = if mode & OTHERS_WRITE == 0 { "read" } else { "change" };
        let seen = format!("{} has mode {:03o}: other users may {may} it", path.display(), mode & 0o777);
        let fix = format!("chmod {change} {}", shell_word(&path));
        if mode & fault != 0 && mode & STICKY == 0 {
            found.push(Finding::fault("permissions", seen, fix));
        } else if mode & warning != 0 {
            found.push(Finding::warning("permissions", seen, fix));
        }
    }
    found.extend(owners(home));
    if found.is_empty() {
        found.push(Finding::ok("permissions", "by their modes, nobody but the owner can change the home or enter keys/ and data/"));
    }
    found
}

/// A command that was run as another user leaves files that the validator cannot write.
fn owners(home: &Home) -> Option<Finding> {
    let data = home.data();
    let owner = fs::metadata(&data).ok()?.uid();
    let entries = fs::read_dir(&data).into_iter().chain(fs::read_dir(home.database())).flatten().flatten().map(|entry| entry.path());
    let strange: Vec<_> =
        entries.chain([home.witness_file()]).filter(|path| fs::metadata(path).is_ok_and(|metadata| metadata.uid() != owner)).collect();
    let first = strange.first()?;
    let seen = format!("{} files belong to another user than {}, the first is {}", strange.len(), data.display(), first.display());
    let fix = format!("chown -R {owner} {} {}", shell_word(&data), shell_word(home.witness_file()));
    Some(Finding::fault("permissions", seen, fix))
}

/// The genesis, if it can be used.
pub(super) fn genesis(app: &App, home: &Home, config: &Config) -> (Finding, Option<Genesis>) {
    let file = home.genesis_file();
    let get = "get the genesis file from the network's organisers again, and compare its hash with theirs: `quorate genesis verify`";
    let loaded = quorate_genesis::load(&file).and_then(|genesis| quorate_genesis::check_application(app, &genesis).map(|()| genesis));
    let genesis = match loaded {
        Ok(genesis) => genesis,
        Err(error) => return (Finding::fault("genesis", format!("{}: {error}", file.display()), get), None),
    };
    let finding = match check_genesis_hash(&genesis, config) {
        Err(error) => Finding::fault("genesis", error, format!("{get}; or correct node.genesis_hash, if it is that which is wrong")),
        Ok(hash) if config.node.genesis_hash.trim().is_empty() => Finding::warning(
            "genesis",
            format!("{} (chain id {}), {hash}; its hash is not configured", genesis.name, genesis.chain_id),
            format!(
                "if that is the hash that the organisers announced: quorate config set node.genesis_hash {hash} --home {}",
                shell_word(home.path())
            ),
        ),
        Ok(hash) => Finding::ok("genesis", format!("{} (chain id {}), {hash} as configured", genesis.name, genesis.chain_id)),
    };
    (finding, Some(genesis))
}

/// The keys, and their public halves. Nobody is asked for a passphrase.
pub(super) fn keys(home: &Home, config: &Config) -> (Finding, Option<ValidatorPublic>) {
    let file = &config.node.passphrase_file;
    let file = (!file.as_os_str().is_empty()).then(|| home.path().join(file));
    let key_file = home.key_file();
    let opened = on_a_stack_of_its_own(|| {
        let keys = load_node_keys(&key_file, &PassphraseSource::Unattended { file: file.clone() });
        Ok(keys.map(|keys| {
            (keys.public(), check_signer(&keys.consensus, &config.node.signer), matches!(keys.consensus, ConsensusKey::Here(_)))
        }))
    });
    let beside = load_validator_public(&key_file.with_extension("pub"));
    match opened {
        Ok(Ok((public, Err(error), _))) => {
            let fix = "let node.signer and keys/validator.key agree: `quorate signer init` moves the key to a signer";
            (Finding::fault("keys", error, fix), Some(public))
        }
        Ok(Ok((public, Ok(()), is_here))) => {
            let place = if is_here { "in the key file" } else { "at a signer" };
            let seen = format!("{} opens; consensus key {} {place}", key_file.display(), public.consensus_key);
            let finding = match beside {
                Ok(beside) if beside != public => Finding::warning(
                    "keys",
                    format!("{seen}; validator.pub beside it is of another key, {}", beside.consensus_key),
                    "keep only files that `quorate keygen validator` made together",
                ),
                Ok(_) | Err(_) => Finding::ok("keys", seen),
            };
            (finding, Some(public))
        }
        Ok(Err(KeyError::NoPassphrase)) => {
            let seen = format!("{} is encrypted, and its passphrase is not at hand", key_file.display());
            let fix = "set QUORATE_PASSPHRASE or node.passphrase_file; or `quorate node check`, which asks";
            (Finding::not_checked("keys", seen, fix), beside.ok())
        }
        Ok(Err(error)) => {
            let fix = match &error {
                KeyError::Loose { path, wanted, .. } => format!("chmod {wanted:03o} {}", shell_word(path)),
                KeyError::Io { path, .. } if *path != key_file => "correct node.passphrase_file, or let this user read that file".into(),
                KeyError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                    format!("copy the keys here, or make new ones: quorate keygen validator --home {}", shell_word(home.path()))
                }
                _ => "restore the key file or its passphrase from the backup of the keys".into(),
            };
            (Finding::fault("keys", error, fix), beside.ok())
        }
        Err(error) => (Finding::fault("keys", error, "raise the limits of this process (ulimit -u, ulimit -v)"), beside.ok()),
    }
}

/// Whether the keys are those of a member of `committee`: the current one, or that of the genesis while no other is known.
pub(super) fn membership(genesis: &Genesis, public: &ValidatorPublic, committee: Arc<Committee>, may_join: bool) -> Finding {
    const KEYS: &str = "use the key file that was entered with `quorate genesis add-validator`";
    let (epoch, total) = (committee.epoch(), committee.total_power());
    let found = match Membership::find(committee, public) {
        Ok(found) => found.seat,
        Err(error) => return Finding::fault("membership", error, KEYS),
    };
    let was_in_genesis = genesis.committee().is_ok_and(|founders| founders.find(&public.consensus_key).is_some());
    match found {
        Some((id, validator)) => Finding::ok(
            "membership",
            format!("{} has seat {id} and {} of {total} voting power in epoch {epoch}", validator.name, validator.power.0),
        ),
        None if was_in_genesis => Finding::warning(
            "membership",
            format!("the consensus key {} was in the genesis, and is not in the committee of epoch {epoch}", public.consensus_key),
            "the validator follows and signs nothing; if that is not intended, have it proposed: `quorate validator propose-add`",
        ),
        None if may_join => Finding::warning(
            "membership",
            format!("the consensus key {} is not in the committee of epoch {epoch}", public.consensus_key),
            "the validator follows and signs nothing until the committee adds it: `quorate validator propose-add`",
        ),
        None => Finding::fault(
            "membership",
            format!("the consensus key {} is not in the genesis of {:?}", public.consensus_key, genesis.name),
            format!("{KEYS}, or the right genesis; if the committee has added it since, start it with --join"),
        ),
    }
}
