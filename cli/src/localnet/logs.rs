//! The logs of the validators, one after the other or as they grow.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::Duration,
};

use quorate_terminal::CommandError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::directory::{Localnet, Member, file_error};

/// How often a log is looked at while it is followed.
const GLANCE: Duration = Duration::from_millis(200);
/// Most that is read at once of a log that is followed.
const CHUNK_BYTES_MAX: u64 = 1 << 20;

/// A log, and how much of it has been shown.
struct Tail {
    prefix: String,
    path: PathBuf,
    /// Kept open: when the log is moved away, what it got in the meantime is still to be shown.
    file: Option<File>,
    shown: u64,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

/// Prints the logs of one validator, or of all with their numbers in front of the lines.
pub(super) async fn show(localnet: &Localnet, number: Option<usize>, follow: bool) -> Result<(), CommandError> {
    let position = number.map(|number| localnet.position(number)).transpose()?;
    let tail = |(index, member): (usize, &Member)| {
        let prefix = if position.is_some() { String::new() } else { format!("{} | ", index + 1) };
        Tail::new(prefix, localnet.log(member))
    };
    let chosen = localnet.validators.iter().enumerate().filter(|(index, _)| position.is_none_or(|position| position == *index));
    let mut tails: Vec<_> = chosen.map(tail).collect();
    loop {
        let mut is_done = true;
        for tail in &mut tails {
            let lines = tail.read().map_err(|error| file_error("read", &tail.path, &error))?;
            is_done &= lines.is_empty();
            if !print(&lines)? {
                return Ok(());
            }
        }
        if is_done && !follow {
            // A process that was killed may have left half a line, which may say why.
            return tails.iter_mut().try_for_each(|tail| print(&tail.finish()).map(drop));
        }
        if is_done {
            if reader_is_gone() {
                return Ok(());
            }
            tokio::time::sleep(GLANCE).await;
        }
    }
}

/// Writes to standard output. Whether somebody still reads it.
fn print(lines: &[u8]) -> Result<bool, CommandError> {
    match io::stdout().write_all(lines).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::failure("output", format!("standard output cannot be written: {error}"))),
        Ok(()) => Ok(true),
    }
}

/// Whether standard output is a pipe that nobody reads any more, or a terminal that is gone: there may be nothing to write for a long time, so
/// writing does not tell.
fn reader_is_gone() -> bool {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    poll(&mut watched, Some(&at_once)).is_ok() && watched.iter().any(|watched| watched.revents().intersects(gone))
}

impl Tail {
    const fn new(prefix: String, path: PathBuf) -> Self {
        Self { prefix, path, file: None, shown: 0, unfinished: Vec::new() }
    }

    /// The lines that have been finished since the last time, each with its prefix. A validator that was never started has no log; one that
    /// was emptied or replaced is shown from its beginning.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let lines = self.read_open_file()?;
        if !lines.is_empty() {
            return Ok(lines);
        }
        // Only when all of the old one is shown.
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let is_same = match &self.file {
            Some(open) => identity(&open.metadata()?) == identity(&file.metadata()?),
            None => false,
        };
        if is_same {
            return Ok(lines);
        }
        let mut lines = self.finish();
        (self.file, self.shown) = (Some(file), 0);
        lines.extend(self.read_open_file()?);
        Ok(lines)
    }

    fn read_open_file(&mut self) -> io::Result<Vec<u8>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut lines = Vec::new();
        if file.metadata()?.len() < self.shown {
            self.shown = 0;
            lines = self.finish();
        }
        let Some(file) = &mut self.file else { return Ok(lines) };
        file.seek(SeekFrom::Start(self.shown))?;
        let read = file.take(CHUNK_BYTES_MAX).read_to_end(&mut self.unfinished)?;
        self.shown = self.shown.saturating_add(read as u64);
        let end = self.unfinished.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
        let rest = self.unfinished.split_off(end);
        let finished = std::mem::replace(&mut self.unfinished, rest);
        for line in finished.split_inclusive(|byte| *byte == b'\n') {
            lines.extend_from_slice(self.prefix.as_bytes());
            lines.extend_from_slice(line);
        }
        Ok(lines)
    }

    /// A line whose end will not come, with an end.
    fn finish(&mut self) -> Vec<u8> {
        let line = std::mem::take(&mut self.unfinished);
        if line.is_empty() { line } else { [self.prefix.as_bytes(), &line, b"\n"].concat() }
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail_of(path: &std::path::Path) -> Tail {
        Tail::new("1 | ".into(), path.into())
    }

    #[test]
    fn a_line_is_shown_once_and_only_when_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut tail = tail_of(&path);
        assert!(tail.read().unwrap().is_empty(), "there is no log yet");
        fs::write(&path, "one\ntwo\nthr").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | one\n1 | two\n");
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | three\n");
        assert!(tail.read().unwrap().is_empty() && tail.finish().is_empty());
    }

    #[test]
    fn a_log_that_is_emptied_is_shown_from_its_new_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut tail = tail_of(&path);
        fs::write(&path, "one\ntwo\nhal").unwrap();
        tail.read().unwrap();
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | hal\n");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | new\n");
    }

    #[test]
    fn a_log_that_is_moved_away_is_shown_to_its_end_and_then_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut tail = tail_of(&path);
        fs::write(&path, "one\n").unwrap();
        tail.read().unwrap();
        fs::rename(&path, &old).unwrap();
        assert!(tail.read().unwrap().is_empty(), "there is no new one yet");
        File::options().append(true).open(&old).unwrap().write_all(b"two\nlast").unwrap();
        fs::write(&path, "new, and longer than the old one\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"1 | two\n");
        assert_eq!(tail.read().unwrap(), b"1 | last\n1 | new, and longer than the old one\n");
    }
}
