//! Validator processes: started detached from the terminal, and identified by process id *and* start time, so that another process that got
//! the same id is never killed.

use std::{
    fs::OpenOptions,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, kill_process};
use serde::{Deserialize, Serialize};

pub(crate) use rustix::process::Signal;

/// How often a process is polled while waiting for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A process that we started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Process id.
    pub(crate) pid: u32,
    /// Start time in the system's own format, only ever compared.
    pub(crate) started: String,
}

/// State and resource usage of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) started: String,
    /// It has ended, but its parent has not reaped it yet.
    pub(crate) is_zombie: bool,
    /// CPU time of all threads so far.
    pub(crate) cpu: Duration,
    /// Resident memory, in bytes.
    pub(crate) resident_bytes: u64,
}

impl Process {
    /// Starts a program in its own process group, so that Ctrl-C at this terminal does not reach it, with its output appended to a file.
    pub(crate) fn spawn(program: &Path, arguments: &[&Path], directory: &Path, log: &Path) -> io::Result<(Self, Child)> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let pid = child.id();
        let usage = usage(pid).ok_or_else(|| io::Error::other("the process exited at once"))?;
        Ok((Self { pid, started: usage.started }, child))
    }

    /// Its usage; `None` if it has ended, even if another process has its id now.
    pub(crate) fn usage(&self) -> Option<Usage> {
        usage(self.pid).filter(|usage| !usage.is_zombie && usage.started == self.started)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.usage().is_some()
    }

    /// Sends a signal, if the process is still the one that we started.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid.filter(|_| self.is_running()).map(|pid| kill_process(pid, signal)) {
            Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until it has ended, but not longer than this, where nothing can be awaited.
    pub(crate) fn block_until_gone(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until it has ended. Returns whether it did in time.
    pub(crate) async fn wait_until_gone(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        true
    }
}

/// Usage of the process with this id.
#[cfg(target_os = "linux")]
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Usage of the process with this id.
#[cfg(not(target_os = "linux"))]
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    usage_by_ps(pid)
}

/// `pid (name) state ppid ... utime(14) stime(15) ... starttime(22) vsize rss(24) ...`, times in ticks, memory in pages. The name may hold
/// anything, so fields are counted from the last closing parenthesis.
#[cfg(target_os = "linux")]
fn parse_stat(stat: &str) -> Option<Usage> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |index: usize| field(index)?.parse::<u64>().ok();
    let ticks = number(14)?.saturating_add(number(15)?);
    Some(Usage {
        started: field(22)?.to_owned(),
        // In a killed process, the first thread may be dead while others still hold its files.
        is_zombie: matches!(field(3)?, "Z" | "X") && number(20)? <= 1,
        cpu: Duration::from_micros(ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second().max(1)),
        resident_bytes: number(24)?.saturating_mul(rustix::param::page_size() as u64),
    })
}

#[cfg(any(not(target_os = "linux"), test))]
fn usage_by_ps(pid: u32) -> Option<Usage> {
    let output = Command::new("ps").args(["-o", "stat=,rss=,time=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").output().ok()?;
    parse_ps(&String::from_utf8(output.stdout).ok()?)
}

/// `Ss  2304 0:01.25 Fri Nov 20 12:00:00 2026`: state, memory in KiB, CPU time as `[[days-]hours:]minutes:seconds`, start time.
#[cfg(any(not(target_os = "linux"), test))]
fn parse_ps(line: &str) -> Option<Usage> {
    let mut words = line.split_ascii_whitespace();
    let state = words.next()?;
    let kibibytes: u64 = words.next()?.parse().ok()?;
    let time = words.next()?;
    let (days, time) = time.split_once('-').unwrap_or(("0", time));
    let mut seconds = 0.0;
    for part in time.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    seconds += days.parse::<f64>().ok()? * 86_400.0;
    Some(Usage {
        started: words.collect::<Vec<_>>().join(" "),
        is_zombie: state.starts_with('Z'),
        cpu: Duration::try_from_secs_f64(seconds).ok()?,
        resident_bytes: kibibytes.saturating_mul(1_024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_by_number_and_start_and_another_with_its_number_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (process, mut child) =
            Process::spawn(Path::new("sleep"), &[Path::new("600")], directory.path(), &directory.path().join("log")).unwrap();
        let impostor = Process { started: "another time".into(), ..process.clone() };
        assert!(process.is_running() && !impostor.is_running());
        impostor.signal(Signal::KILL).unwrap();
        assert!(process.is_running(), "the signal to the impostor must not reach the process");
        process.signal(Signal::KILL).unwrap();
        child.wait().unwrap();
        assert!(!process.is_running());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn reads_what_linux_says_even_of_a_process_with_a_strange_name() {
        let stat = "42 (a) Z (b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 7 0 987654 1000000 256 0";
        let usage = parse_stat(stat).unwrap();
        assert_eq!((usage.started.as_str(), usage.is_zombie), ("987654", false));
        assert_eq!(usage.cpu, Duration::from_micros(200_000_000 / rustix::param::clock_ticks_per_second()));
        assert_eq!(usage.resident_bytes, 256 * rustix::param::page_size() as u64);
        let dying =
            |threads: u8| parse_stat(&format!("42 (a) Z 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 {threads} 0 987654 0 0 0")).unwrap().is_zombie;
        assert_eq!((dying(3), dying(1)), (false, true), "a thread still holds its files");
        assert_eq!(parse_stat("42 (x"), None);
    }

    #[test]
    fn reads_what_ps_says() {
        let usage = parse_ps("Ss   2304   0:01.25 Fri Nov 20 12:00:00 2026\n").unwrap();
        assert_eq!(usage.started, "Fri Nov 20 12:00:00 2026");
        assert_eq!((usage.cpu, usage.resident_bytes), (Duration::from_millis(1_250), 2_304 * 1_024));
        assert_eq!(parse_ps("R 1 01:02:03 x").unwrap().cpu, Duration::from_secs(3_723));
        assert_eq!(parse_ps("R 1 2-00:00:01 x").unwrap().cpu, Duration::from_secs(172_801));
        assert_eq!(parse_ps(""), None);
        // Only if `ps` is installed.
        if let Some(by_ps) = usage_by_ps(std::process::id()) {
            assert!(by_ps.resident_bytes > 0 && !by_ps.is_zombie);
        }
    }
}
