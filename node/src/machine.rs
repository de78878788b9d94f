//! Checks settings against the machine and the genesis: anything that would make `quorate node run` fail at startup is found here. `init`,
//! `check` and `run` share this code, so none of them accepts what another refuses.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use quorate_ledger::RocksOptions;
use quorate_types::{committee::Committee, ids::ValidatorId, round::Epoch};
use rustix::{
    fs::{Access, access},
    process::{Resource, Rlimit, setrlimit},
};

use crate::{
    config::Config,
    files::{self, Files},
    home::Home,
    nearest::nearest,
    run::NodeError,
};

/// Why a setting does not fit the machine or the genesis.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A directory is not writable.
    #[error("{} cannot be written: {source}; the user that runs the validator must own it", path.display())]
    Directory {
        /// The directory, or its first existing ancestor.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The passphrase file cannot be opened.
    #[error("`node.passphrase_file` = {path:?} cannot be opened: {source}")]
    PassphraseFile {
        /// As configured, resolved against the home directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// `network.peers` has an entry for an unknown validator or for this one.
    #[error("`network.peers` names {name:?}, but {}{}", if *is_us { "that is this validator" } else { "no validator in the genesis has that name" }, did_you_mean(nearest.as_deref()))]
    Peer {
        /// The name in the setting.
        name: String,
        /// It is this validator's own name.
        is_us: bool,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest:?}?"))
}

/// The validator that the settings are for, as far as known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) committee: &'a Committee,
    /// Our position; `None` before there is a key.
    pub(crate) me: Option<ValidatorId>,
}

/// The context in which settings are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// `None` before there is a genesis.
    pub(crate) place: Option<Place<'a>>,
    /// Listen address for validators, once known.
    pub(crate) network_listen: Option<&'a str>,
    /// This home's validator is running, so its own listeners hold the addresses.
    pub(crate) is_running: bool,
}

/// Checks the settings and divides the limit of open files among its users.
///
/// # Errors
/// The [`NodeError`] with which the node would fail to start.
pub(crate) fn check(config: &Config, home: &Home, circumstances: Circumstances<'_>) -> Result<Files, NodeError> {
    let Circumstances { place, network_listen, is_running } = circumstances;
    let helpers = if config.network.join.is_empty() { 0 } else { usize::from(quorate_network::SEATS) };
    let peers = place.map_or(0, |place| place.committee.ids().count().saturating_sub(1)).saturating_add(helpers);
    let tables = u32::try_from(RocksOptions::default().open_files).unwrap_or(u32::MAX);
    let files = Files::divide(files::raise(), tables, peers, config.api.connections_max)?;
    if let Some(Place { committee, me }) = place {
        peer_addresses(config, committee, me)?;
    }
    for directory in [home.path().to_path_buf(), home.data()] {
        check_directory(&directory)?;
    }
    let passphrase_file = &config.node.passphrase_file;
    if !passphrase_file.as_os_str().is_empty() {
        let path = home.path().join(passphrase_file);
        fs::File::open(&path).map_err(|source| MachineError::PassphraseFile { path, source })?;
    }
    check_threads(usize::from(config.node.verify_threads).saturating_add(usize::from(config.api.threads)))?;
    if !is_running {
        // All held at once, as in a running node, so that two equal addresses collide.
        let _api = listen("the API", "api", config.api.listen)?;
        let _metrics = listen("health and metrics", "metrics", config.metrics.listen)?;
        if let Some(address) = network_listen {
            quorate_network::try_listen(address)?;
        }
    }
    Ok(files)
}

/// Binds a TCP listener for clients.
pub(crate) fn listen(what: &'static str, section: &'static str, address: SocketAddr) -> Result<TcpListener, NodeError> {
    let failed = |source| NodeError::Listen { what, section, address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// The configured dial addresses, which override those in the committee. A committee that has changed may have renamed a member, or not have it yet:
/// that must not keep a validator from starting.
pub(crate) fn peer_addresses(
    config: &Config,
    committee: &Committee,
    me: Option<ValidatorId>,
) -> Result<BTreeMap<ValidatorId, String>, MachineError> {
    let find = |(name, address): (&String, &String)| {
        let known = committee.members();
        match known.map(|(id, validator)| (id, &validator.name)).find(|(_, known)| *known == name) {
            Some((id, _)) if Some(id) == me => Err(MachineError::Peer { name: name.clone(), is_us: true, nearest: None }),
            Some((id, _)) => Ok(Some((id, address.clone()))),
            None if committee.epoch() > Epoch(0) => {
                tracing::warn!("`network.peers` names {name:?}, and the committee has no member of that name now; the address is not used");
                Ok(None)
            }
            None => {
                let names = committee.members().map(|(_, validator)| validator.name.as_str());
                let nearest = nearest(name, names).map(str::to_owned);
                Err(MachineError::Peer { name: name.clone(), is_us: false, nearest })
            }
        }
    };
    config.network.peers.iter().map(find).filter_map(Result::transpose).collect()
}

/// Checks that files can be created in `directory` or, if it is missing, in its first existing ancestor.
pub(crate) fn check_directory(directory: &Path) -> Result<(), MachineError> {
    let failed = |path: &Path, source: io::Error| MachineError::Directory { path: path.into(), source };
    for path in directory.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_dir() => return Err(failed(path, io::ErrorKind::NotADirectory.into())),
            Ok(_) => return access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(path, error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path, error)),
        }
    }
    Ok(())
}

/// Checks that the system grants `count` threads, by running that many at the same time for a moment.
pub(crate) fn check_threads(count: usize) -> Result<(), NodeError> {
    let gate = Mutex::new(());
    let started = thread::scope(|scope| {
        let _closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        (0..count).try_for_each(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.lock())).map(drop))
    });
    started.map_err(NodeError::System)
}

/// Keeps this process's memory, and with it the validator's keys, out of core dumps.
pub(crate) fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!("core dumps cannot be turned off: {error}");
    }
    // The limit does not bind a core dump handler that the kernel pipes to.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!("core dumps cannot be turned off: {error}");
    }
}

#[cfg(test)]
mod tests {
    use quorate_types::genesis::Genesis;

    use super::*;
    use crate::{
        Override,
        testing::{genesis_of, keys},
    };

    fn genesis() -> Genesis {
        genesis_of(&[("one", keys(1), "/ip4/127.0.0.1/tcp/0".into()), ("two", keys(2), "/ip4/127.0.0.1/tcp/1".into())])
    }

    fn checked(home: &Path, settings: &[&str], is_running: bool) -> Result<Files, String> {
        let genesis = genesis();
        let committee = genesis.committee().unwrap();
        let me = committee.find(&keys(1).public().consensus_key);
        let ports = ["api.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0"];
        let overrides: Vec<_> = ports.iter().chain(settings).map(|setting| Override::from_set(setting).unwrap()).collect();
        let config = Config::default().with(&overrides).map_err(|error| error.to_string())?;
        let listen = config.network.listen.clone();
        let circumstances = Circumstances {
            place: Some(Place { committee: &committee, me }),
            network_listen: Some(&listen).filter(|listen| !listen.is_empty()).map(String::as_str),
            is_running,
        };
        check(&config, &Home::new(home), circumstances).map_err(|error| error.to_string())
    }

    #[test]
    fn what_this_machine_cannot_do_is_refused_by_the_name_of_its_setting() {
        let directory = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        // 192.0.2.1 is reserved for documentation: no machine has it.
        for (setting, words) in [
            (format!("api.listen=127.0.0.1:{port}"), ["[api] listen", "another node running"]),
            ("api.listen=192.0.2.1:80".into(), ["192.0.2.1:80", "[api] listen"]),
            (format!("metrics.listen=127.0.0.1:{port}"), ["[metrics] listen", "another node running"]),
            (format!("network.listen=/ip4/127.0.0.1/tcp/{port}"), ["[network] listen", "another node running"]),
            ("network.listen=/ip4/192.0.2.1/tcp/6180".into(), ["192.0.2.1", "[network] listen"]),
            ("network.peers={ twoo = \"/ip4/127.0.0.1/tcp/1\" }".into(), ["network.peers", "did you mean \"two\""]),
            ("network.peers={ one = \"/ip4/127.0.0.1/tcp/1\" }".into(), ["network.peers", "is this validator"]),
            ("node.passphrase_file=nowhere".into(), ["node.passphrase_file", "nowhere"]),
        ] {
            let message = checked(directory.path(), &[&setting], false).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{setting}: {message}");
        }
        for setting in ["network.peers={ two = \"/dns4/two.example.org/tcp/1\" }", &format!("node.passphrase_file={file}")] {
            checked(directory.path(), &[setting], false).unwrap();
        }
        // Addresses that this home's own running validator holds are not tried.
        checked(directory.path(), &[&format!("api.listen=127.0.0.1:{port}")], true).unwrap();
        // A file in place of a directory.
        assert!(checked(&Path::new(file).join("home"), &[], false).unwrap_err().contains(file));
        checked(&directory.path().join("home/to/be"), &[], false).unwrap();
    }

    #[test]
    fn two_listeners_cannot_have_one_address() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let settings = [format!("api.listen={free}"), format!("network.listen=/ip4/127.0.0.1/tcp/{}", free.port())];
        let message = checked(directory.path(), &settings.each_ref().map(String::as_str), false).unwrap_err();
        assert!(message.contains(&free.port().to_string()), "{message}");
    }

    #[test]
    fn threads_are_tried_and_given_back() {
        check_threads(64).unwrap();
    }
}
