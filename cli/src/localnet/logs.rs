//! The logs of the validators, one after the other or as they grow.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    time::Duration,
};

use quorate_client::CommandError;

use super::directory::{Localnet, Member, file_error};

/// How often a log is looked at while it is followed.
const GLANCE: Duration = Duration::from_millis(200);
/// Most that is read at once of a log that is followed.
const CHUNK_BYTES_MAX: u64 = 1 << 20;

/// A log, and how much of it has been shown.
struct Tail {
    prefix: String,
    path: PathBuf,
    shown: u64,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

/// Prints the logs of one validator, or of all with their numbers in front of the lines.
pub(super) async fn show(localnet: &Localnet, number: Option<usize>, follow: bool) -> Result<(), CommandError> {
    let position = number.map(|number| localnet.position(number)).transpose()?;
    let tail = |(index, member): (usize, &Member)| Tail {
        prefix: if position.is_some() { String::new() } else { format!("{} | ", index + 1) },
        path: localnet.log(member),
        shown: 0,
        unfinished: Vec::new(),
    };
    let chosen = localnet.validators.iter().enumerate().filter(|(index, _)| position.is_none_or(|position| position == *index));
    let mut tails: Vec<_> = chosen.map(tail).collect();
    loop {
        let mut is_done = true;
        for tail in &mut tails {
            let lines = tail.read().map_err(|error| file_error("read", &tail.path, &error))?;
            is_done &= lines.is_empty();
            match io::stdout().write_all(&lines).and_then(|()| io::stdout().flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(CommandError::failure("output", format!("standard output cannot be written: {error}"))),
                Ok(()) => {}
            }
        }
        if is_done && !follow {
            return Ok(());
        }
        if is_done {
            tokio::time::sleep(GLANCE).await;
        }
    }
}

impl Tail {
    /// The lines that have been finished since the last time, each with its prefix. A validator that was never started has no log.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.shown))?;
        let read = file.take(CHUNK_BYTES_MAX).read_to_end(&mut self.unfinished)?;
        self.shown = self.shown.saturating_add(read as u64);
        let end = self.unfinished.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        let rest = self.unfinished.split_off(end);
        let finished = std::mem::replace(&mut self.unfinished, rest);
        let mut lines = Vec::with_capacity(finished.len());
        for line in finished.split_inclusive(|byte| *byte == b'\n') {
            lines.extend_from_slice(self.prefix.as_bytes());
            lines.extend_from_slice(line);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_line_is_shown_once_and_only_when_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut tail = Tail { prefix: "1 | ".into(), path: path.clone(), shown: 0, unfinished: Vec::new() };
        assert!(tail.read().unwrap().is_empty(), "there is no log yet");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | one\n1 | two\n");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | three\n");
    }
}
