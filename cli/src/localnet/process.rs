//! Validator processes: started detached from the terminal, and found again by number *and* time of start, so that a number that the system
//! has given to somebody else in the meantime is never killed.

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

/// How often a process is looked at while something is waited for.
const GLANCE: Duration = Duration::from_millis(10);

/// A process that we have started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// When it started, in words of the system that are only compared.
    pub(crate) started: String,
}

/// What the system says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) started: String,
    /// It has ended, and only its parent has not yet asked how.
    pub(crate) is_zombie: bool,
    /// Processor time so far, of all its threads.
    pub(crate) cpu: Duration,
    /// Memory in use, in bytes.
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
        let usage = usage(pid).ok_or_else(|| io::Error::other("the process ended at once"))?;
        Ok((Self { pid, started: usage.started }, child))
    }

    /// What the system says of it; none when it is gone, even if its number is somebody else's now.
    pub(crate) fn usage(&self) -> Option<Usage> {
        usage(self.pid).filter(|usage| !usage.is_zombie && usage.started == self.started)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.usage().is_some()
    }

    /// Sends a signal, if the process is still the one that we have started.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        match pid.filter(|_| self.is_running()).map(|pid| kill_process(pid, signal)) {
            Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until it is gone. Whether it went in time.
    pub(crate) async fn wait_until_gone(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(GLANCE).await;
        }
        true
    }
}

/// What the system says of the process with this number.
#[cfg(target_os = "linux")]
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// What the system says of the process with this number.
#[cfg(not(target_os = "linux"))]
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    usage_by_ps(pid)
}

/// `pid (name) state ppid ... utime(14) stime(15) ... starttime(22) vsize rss(24) ...`, times in ticks, memory in pages. The name may hold
/// anything, so fields are counted from its closing bracket.
#[cfg(target_os = "linux")]
fn parse_stat(stat: &str) -> Option<Usage> {
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |index: usize| field(index)?.parse::<u64>().ok();
    let ticks = number(14)?.saturating_add(number(15)?);
    Some(Usage {
        started: field(22)?.to_owned(),
        // Of a process that was killed the first thread may be dead while others still hold its files.
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

/// `Ss  2304 0:01.25 Fri Nov 20 12:00:00 2026`: state, memory in KiB, `[[days-]hours:]minutes:seconds` of processor time, start.
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
        assert!(process.is_running(), "the signal to the impostor reached nobody");
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
        // Where there is a `ps`, it says the same as Linux itself.
        if let Some(by_ps) = usage_by_ps(std::process::id()) {
            assert!(by_ps.resident_bytes > 0 && !by_ps.is_zombie);
        }
    }
}
