//! The machine: directories, disk, limits, memory, addresses.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use quorate_ledger::RocksOptions;
use quorate_terminal::shell_word;
use quorate_types::round::UnixMillis;

use super::{
    access::{FILL, Owner, RUN_AS, judge},
    finding::Finding,
};
use crate::{
    config::{Config, StoreConfig},
    disk::free_bytes,
    files::{self, Files},
    home::Home,
    lock::Holder,
    machine::{check_directory, check_threads, listen},
    run::NodeError,
};

/// Syncs that are timed.
const SYNCS: usize = 20;
/// Bytes written before each of them: about as many as a vote.
const SYNC_BYTES: usize = 4_096;
/// No further sync after this time.
const SYNCS_PATIENCE: Duration = Duration::from_secs(5);
/// Each vote waits for two of them.
const SYNC_SLOW: Duration = Duration::from_millis(20);
/// A disk that will be full within this time is worth a warning.
const DAYS_LEFT_MIN: u64 = 14;
/// Growth is not told from a shorter time.
const GROWTH_TIME_MIN: Duration = Duration::from_secs(3_600);
/// Most files of a database that are counted.
const FILES_MAX: usize = 100_000;
/// Memory of an idle validator, in bytes, its database's caches included.
const IDLE_MEMORY_BYTES: u64 = 256 << 20;
/// Longest wait for a connection on this machine.
const LOCAL_PATIENCE: Duration = Duration::from_secs(1);
/// Longest file of the system that is read.
const SYSTEM_FILE_BYTES_MAX: u64 = 64 << 10;

const MIB: u64 = 1 << 20;

/// Whether the validator's user may write where the validator writes: `owner`, if that is not this user.
pub(super) fn directories(home: &Home, owner: Option<Owner>) -> Finding {
    if owner.is_some() {
        return judge(
            owner,
            Finding::ok("directories", "the home and data/ can be written, by their modes"),
            &[(home.path().into(), FILL), (home.data(), FILL)],
        );
    }
    for directory in [home.path().to_path_buf(), home.data()] {
        if let Err(error) = check_directory(&directory) {
            return Finding::fault(
                "directories",
                error,
                format!("chown the home to the user that runs the validator: {}", shell_word(home.path())),
            );
        }
    }
    Finding::ok("directories", "the home and data/ can be written")
}

/// Free space, and how long it lasts.
pub(super) fn disk(home: &Home, store: &StoreConfig, first_block: Option<UnixMillis>, now: UnixMillis) -> Finding {
    let directory = existing(&home.data());
    let free = match free_bytes(&directory) {
        Ok(free) => free,
        Err(error) => {
            return Finding::not_checked("disk", format!("{}: {error}", directory.display()), RUN_AS);
        }
    };
    let used = bytes_in(&home.database());
    let per_day = first_block.and_then(|first| growth_per_day(used, Duration::from_millis(now.since(first))));
    verdict(free, used, per_day, store.free_bytes_min)
}

fn verdict(free: u64, used: u64, per_day: Option<u64>, free_bytes_min: u64) -> Finding {
    const FIX: &str = "free or add space on the disk that holds data/, or lower store.free_bytes_min";
    let left = free.saturating_sub(free_bytes_min);
    let days = per_day.and_then(|per_day| left.checked_div(per_day));
    let growth = match (per_day, days) {
        (Some(per_day), Some(days)) => format!("; it has grown by {} MiB a day, which leaves {days} days", per_day / MIB),
        _ => "; its growth cannot be told yet".into(),
    };
    let seen = format!(
        "{} MiB are free, store.free_bytes_min is {} MiB, the database has {} MiB{growth}",
        free / MIB,
        free_bytes_min / MIB,
        used / MIB
    );
    if free < free_bytes_min {
        Finding::fault("disk", format!("{seen}; clients' transactions are refused"), FIX)
    } else if left < free_bytes_min || days.is_some_and(|days| days < DAYS_LEFT_MIN) {
        Finding::warning("disk", seen, FIX)
    } else {
        Finding::ok("disk", seen)
    }
}

/// The mean growth since the first block; `None` if that is too recent to tell.
fn growth_per_day(used: u64, age: Duration) -> Option<u64> {
    const DAY: u64 = 86_400;
    if age < GROWTH_TIME_MIN {
        return None;
    }
    used.saturating_mul(DAY).checked_div(age.as_secs())
}

fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(FILES_MAX);
    entries.filter_map(|entry| entry.metadata().ok()).fold(0, |sum, metadata| sum.saturating_add(metadata.len()))
}

/// The directory, or its first existing ancestor.
fn existing(directory: &Path) -> PathBuf {
    directory.ancestors().find(|path| path.is_dir()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A file for the timed syncs; removed when dropped.
struct Probe(PathBuf);

impl Drop for Probe {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// How long a sync takes: every signature waits for one.
pub(super) fn syncs(home: &Home) -> Finding {
    let directory = home.data();
    if !directory.is_dir() {
        return Finding::not_checked("sync", format!("{} does not exist", directory.display()), "start the validator once");
    }
    match time_syncs(&directory) {
        Ok(times) => judge_syncs(times),
        Err(error) => Finding::not_checked(
            "sync",
            format!("no file can be written in {}: {error}", directory.display()),
            "run this command as the user that runs the validator, with space on the disk",
        ),
    }
}

fn time_syncs(directory: &Path) -> io::Result<Vec<Duration>> {
    let path = directory.join(format!(".doctor.{}", std::process::id()));
    let mut file: File = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let _probe = Probe(path);
    let start = Instant::now();
    let mut times = Vec::with_capacity(SYNCS);
    while times.len() < SYNCS && start.elapsed() < SYNCS_PATIENCE {
        file.write_all(&[0; SYNC_BYTES])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn judge_syncs(mut times: Vec<Duration>) -> Finding {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let ms = |time: Duration| format!("{}.{:02} ms", time.as_millis(), time.subsec_micros() % 1_000 / 10);
    let seen = format!("{} syncs of {SYNC_BYTES} bytes in data/: median {}, worst {}", times.len(), ms(median), ms(worst));
    if median > SYNC_SLOW {
        let fix = format!("put data/ on a disk whose syncs take less than {} ms: each vote waits for two", SYNC_SLOW.as_millis());
        Finding::warning("sync", seen, fix)
    } else {
        Finding::ok("sync", seen)
    }
}

/// The limit of open files: that of the running validator, or of this process.
pub(super) fn open_files(config: &Config, others: usize, process: Option<Holder>) -> Finding {
    let of_process = process.and_then(|process| process.pid).and_then(|pid| limit_of(&system_file(&format!("/proc/{pid}/limits"))?));
    let (total, whose) = match of_process {
        Some(total) => (total, "the running validator may open"),
        None => (files::raise(), "a process that is started like this one may open"),
    };
    judge_files(total, whose, others, config.api.connections_max)
}

fn judge_files(total: u64, whose: &str, others: usize, connections_max: u32) -> Finding {
    let tables = u32::try_from(RocksOptions::default().open_files).unwrap_or(u32::MAX);
    match Files::divide(total, tables, others, connections_max) {
        Err(error) => Finding::fault(
            "open files",
            format!("{whose} {total} files, and needs {}", error.needed),
            format!("LimitNOFILE={} in the systemd unit, or ulimit -n {0}", error.wanted),
        ),
        Ok(files) if files.clients < connections_max => Finding::warning(
            "open files",
            format!("{whose} {total} files: room for {} connections of api.connections_max = {connections_max}", files.clients),
            "LimitNOFILE=65536 in the systemd unit",
        ),
        Ok(_) => Finding::ok("open files", format!("{whose} {total} files, enough for {connections_max} connections")),
    }
}

/// The soft limit of open files in `/proc/PID/limits`.
fn limit_of(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

pub(super) fn threads(config: &Config) -> Finding {
    let count = usize::from(config.node.verify_threads).saturating_add(usize::from(config.api.threads));
    match check_threads(count) {
        Ok(()) => Finding::ok("threads", format!("{count} more can be started")),
        Err(error) => Finding::fault("threads", error, "raise TasksMax in the systemd unit, or ulimit -u"),
    }
}

/// Whether there is memory for a full pool.
pub(super) fn memory(config: &Config, process: Option<Holder>) -> Finding {
    let Some(available) = system_file("/proc/meminfo").and_then(|text| kib_in(&text, "MemAvailable:")) else {
        return Finding::not_checked(
            "memory",
            "the system does not say how much is available",
            "see that a full pool fits (pool.bytes_max)",
        );
    };
    // A container has a limit of its own.
    let limit = system_file("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<u64>().ok());
    let held = process.and_then(|process| process.pid).and_then(|pid| kib_in(&system_file(&format!("/proc/{pid}/status"))?, "VmRSS:"));
    judge_memory(available.min(limit.unwrap_or(u64::MAX)), held, config.pool.bytes_max)
}

fn judge_memory(available: u64, held: Option<u64>, pool: u64) -> Finding {
    let needed = IDLE_MEMORY_BYTES.saturating_add(pool.saturating_mul(2));
    let holds = held.map_or_else(String::new, |held| format!(", the validator holds {} MiB", held / MIB));
    let seen = format!("{} MiB are available{holds}; with a full pool it takes some {} MiB", available / MIB, needed / MIB);
    if available.saturating_add(held.unwrap_or_default()) < needed {
        Finding::warning("memory", seen, "add memory, or lower pool.bytes_max")
    } else {
        Finding::ok("memory", seen)
    }
}

/// A number of KiB in a file of the system, in bytes.
fn kib_in(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1_024))
}

fn system_file(path: &str) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    File::open(path).ok()?.take(SYSTEM_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The addresses on which the validator listens: free while it is stopped, held by it while it runs.
pub(super) fn addresses(home: &Home, config: &Config, network_listen: Option<&str>, process: Option<Holder>) -> Vec<Finding> {
    let http = [
        ("the API", "api", config.api.listen, home.api_address_file()),
        ("health and metrics", "metrics", config.metrics.listen, home.metrics_address_file()),
    ];
    if let Some(process) = process {
        let at = |configured: SocketAddr, file: PathBuf| super::listening_at(&file).unwrap_or_else(|| super::from_here(configured));
        return http.map(|(what, section, configured, file)| held(what, section, at(configured, file), process)).into();
    }
    // All are held at once, as in a running validator, so that two equal ones collide.
    let mut holding = Vec::new();
    let mut found: Vec<_> = http
        .into_iter()
        .map(|(what, section, address, _)| match listen(what, section, address) {
            Ok(listener) => {
                holding.push(listener);
                Finding::ok(format!("{section}.listen"), format!("{address} is free for {what}"))
            }
            Err(error) => taken(section, &error, address.port(), home),
        })
        .collect();
    if let Some(address) = network_listen {
        found.push(match quorate_network::try_listen(address) {
            Ok(()) => Finding::ok("network.listen", format!("{address} is free for validators")),
            Err(error) => {
                let port = address.rsplit('/').next().and_then(|port| port.parse().ok()).unwrap_or_default();
                taken("network", &NodeError::from(error), port, home)
            }
        });
    }
    found
}

fn taken(section: &str, error: &NodeError, port: u16, home: &Home) -> Finding {
    let fix = format!(
        "`ss -ltnp 'sport = :{port}'` names the process that listens there: stop it, or choose another address: \
         quorate config set {section}.listen ADDRESS --home {}",
        shell_word(home.path())
    );
    Finding::fault(format!("{section}.listen"), error, fix)
}

fn held(what: &str, section: &str, address: SocketAddr, process: Holder) -> Finding {
    let name = format!("{section}.listen");
    match TcpStream::connect_timeout(&address, LOCAL_PATIENCE) {
        Ok(_stream) => Finding::ok(name, format!("{process} listens on {address} for {what}")),
        Err(error) => Finding::fault(
            name,
            format!("{process} runs, and does not answer on {address} for {what}: {error}"),
            "look at its log; restart it if it hangs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_disk_that_is_full_soon_is_a_warning_and_one_below_the_limit_a_fault() {
        for (free, used, per_day, limit, state) in [
            (1_000 * MIB, 0, None, 512 * MIB, State::Warning),
            (10_000 * MIB, 0, None, 512 * MIB, State::Ok),
            (10_000 * MIB, 100 * MIB, Some(MIB), 512 * MIB, State::Ok),
            (10_000 * MIB, 100 * MIB, Some(1_000 * MIB), 512 * MIB, State::Warning),
            (511 * MIB, 100 * MIB, Some(MIB), 512 * MIB, State::Fault),
            (100 * MIB, 0, Some(0), 0, State::Ok),
        ] {
            let finding = verdict(free, used, per_day, limit);
            assert_eq!(finding.state, state, "{finding:?}");
        }
        let seen = verdict(10_000 * MIB, 100 * MIB, Some(948 * MIB), 520 * MIB).seen;
        assert!(seen.contains("948 MiB a day") && seen.contains("leaves 10 days"), "{seen}");
    }

    #[test]
    fn growth_is_told_from_an_hour_on() {
        assert_eq!(growth_per_day(100, Duration::from_secs(3_599)), None);
        assert_eq!(growth_per_day(100, Duration::from_secs(43_200)), Some(200));
    }

    #[test]
    fn slow_syncs_are_a_warning_with_median_and_worst() {
        let ms = Duration::from_millis;
        let slow = judge_syncs(vec![ms(21), ms(400), ms(19), ms(22), ms(23)]);
        assert_eq!(slow.state, State::Warning);
        assert!(slow.seen.contains("5 syncs") && slow.seen.contains("median 22.00 ms, worst 400.00 ms"), "{}", slow.seen);
        assert_eq!(judge_syncs(vec![ms(1), ms(1), ms(400)]).state, State::Ok, "one slow sync is not a slow disk");
    }

    #[test]
    fn syncs_are_timed_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let times = time_syncs(directory.path()).unwrap();
        assert!((1..=SYNCS).contains(&times.len()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn too_few_files_are_a_fault_and_few_a_warning() {
        assert_eq!(judge_files(100, "it may open", 3, 1_024).state, State::Fault);
        assert_eq!(judge_files(1_024, "it may open", 3, 1_024).state, State::Warning);
        assert_eq!(judge_files(65_536, "it may open", 3, 1_024).state, State::Ok);
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(limit_of(limits), Some(1_024));
    }

    #[test]
    fn memory_for_a_full_pool_counts_what_the_validator_holds_already() {
        assert_eq!(judge_memory(300 * MIB, None, 64 * MIB).state, State::Warning);
        assert_eq!(judge_memory(300 * MIB, Some(100 * MIB), 64 * MIB).state, State::Ok);
        assert_eq!(kib_in("MemTotal: 10 kB\nMemAvailable:    2048 kB\n", "MemAvailable:"), Some(2 << 20));
    }
}
