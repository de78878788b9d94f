//! Writes the log: a bounded queue, and a thread, the only one that ever blocks on the reader of the log.
//!
//! A stalled reader fills the pipe, a dead one breaks it, a full disk refuses the write: each costs lines, never the validator. Lost lines are
//! counted, and the log reports their number as soon as it can.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{LeftOut, left_out};

/// Bytes of lines that may wait to be written.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Minimum time between two reports of left-out lines.
const REPORT_EVERY: Duration = Duration::from_secs(10);

static LOST: AtomicU64 = AtomicU64::new(0);
/// This process's queue.
static QUEUE: OnceLock<Lines> = OnceLock::new();

/// Lines lost since the process started.
pub(super) fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Waits until this process's queue is written, at most `patience`.
pub(super) fn finish(patience: Duration) {
    if let Some(lines) = QUEUE.get() {
        lines.finish(patience);
    }
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

/// The queue. Clones share one queue.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Queue>);

impl Lines {
    /// A queue whose lines go to standard error.
    pub(super) fn to_standard_error() -> io::Result<Self> {
        // Not `io::stderr`: holding its lock while the reader stalls would block every other thread that writes to it.
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let lines = QUEUE.get_or_init(Self::default).clone();
        lines.clone().write_to(file, REPORT_EVERY)?;
        Ok(lines)
    }

    /// Starts the writing thread.
    fn write_to(self, mut out: impl Write + Send + 'static, report_every: Duration) -> io::Result<()> {
        thread::Builder::new().name("log".into()).spawn(move || {
            let (mut reported, mut reported_at) = (left_out(), Instant::now());
            loop {
                for line in self.take(report_every) {
                    if out.write_all(&line).is_err() {
                        LOST.fetch_add(1, Ordering::Relaxed);
                    }
                }
                self.on_written();
                if reported_at.elapsed() >= report_every {
                    reported_at = Instant::now();
                    report(&mut reported);
                }
            }
        })?;
        Ok(())
    }

    /// Takes all lines, waiting at most `patience` for the first.
    fn take(&self, patience: Duration) -> VecDeque<Vec<u8>> {
        let mut state = self.lock();
        if state.lines.is_empty() {
            state = self.0.filled.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.is_writing = true;
        state.bytes = 0;
        std::mem::take(&mut state.lines)
    }

    fn on_written(&self) {
        self.lock().is_writing = false;
        self.0.written.notify_all();
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes.saturating_add(line.len()) > WAITING_BYTES_MAX {
            LOST.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes = state.bytes.saturating_add(line.len());
        state.lines.push_back(line.to_vec());
        drop(state);
        self.0.filled.notify_one();
    }

    fn finish(&self, patience: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        // A timeout cannot be reported anywhere.
        drop(self.0.written.wait_timeout_while(self.lock(), patience, is_busy));
    }

    /// The queue is consistent after every statement, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs the number of lines left out since the last report. This line, too, can get lost.
fn report(reported: &mut LeftOut) {
    let now = left_out();
    let (lost, repeated) = (now.lost.saturating_sub(reported.lost), now.repeated.saturating_sub(reported.repeated));
    if lost > 0 || repeated > 0 {
        tracing::warn!(lost, repeated, "lines are missing here: they repeated too fast, or this log is read too slowly");
    }
    *reported = now;
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// One call is one line. It never fails and never waits for the reader.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Blocks until released, then fails.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            // The sender is dropped at the end of the test.
            assert!(self.0.recv().is_err());
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_sleeps_or_dies_costs_lines_and_nothing_else() {
        let lines = Lines::default();
        let (release, held) = mpsc::channel();
        lines.clone().write_to(Stuck(held), PATIENCE).unwrap();
        let before = lost();
        let line = [b'x'; 1 << 10];
        for _ in 0..3 * (WAITING_BYTES_MAX >> 10) {
            (&lines).write_all(&line).unwrap();
        }
        let while_stuck = lost() - before;
        assert!(while_stuck >= (WAITING_BYTES_MAX >> 10) as u64, "{while_stuck} are lost");
        lines.finish(Duration::from_millis(1));
        drop(release);
        lines.finish(PATIENCE);
        assert_eq!(lost() - before, 3 * (WAITING_BYTES_MAX >> 10) as u64, "the reader is dead: all lines are lost, and counted");
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        struct Kept(mpsc::Sender<Vec<u8>>);
        impl Write for Kept {
            fn write(&mut self, line: &[u8]) -> io::Result<usize> {
                drop(self.0.send(line.to_vec()));
                Ok(line.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = mpsc::channel();
        let lines = Lines::default();
        lines.clone().write_to(Kept(sender), PATIENCE).unwrap();
        for number in 0..1_000 {
            writeln!(&lines, "{number}").unwrap();
        }
        lines.finish(PATIENCE);
        let written = receiver.try_iter().collect::<Vec<_>>().concat();
        let expected = (0..1_000).fold(String::new(), |text, number| text + &number.to_string() + "\n");
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
