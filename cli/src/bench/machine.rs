//! Description of the machine that runs a benchmark.

use std::{fs, path::Path, thread};

use serde::Serialize;

/// The machine, as far as it can be found out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: Option<u64>,
    system: String,
    /// One-minute load average before the measurement, which shows what else the machine was doing.
    load_average_before: Option<f64>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
        let memory = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu,
            cores: thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: memory.map(|kibibytes| kibibytes.saturating_mul(1_024)),
            system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
            load_average_before: read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()),
        }
    }
}

/// The value of `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Type of the file system that holds a directory. Durable writes cost something only on a real disk.
pub(crate) fn filesystem(directory: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let directory = fs::canonicalize(directory).ok()?;
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        // Of mounts on the same point, the last one is on top.
        if directory.starts_with(point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_fields_of_proc_files() {
        assert_eq!(field("a : 1\nmodel name\t: Some CPU @ 2 GHz\n", "model name").as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(field("", "x"), None);
    }
}
