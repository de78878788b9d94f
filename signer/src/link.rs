//! The node's side: a [`Signer`] that asks a socket.
//!
//! The replica waits for the answer, as it waits for the disk. It waits once for a signer that hangs, and then leaves it alone for a while.

use std::{
    fmt,
    io::{self, Read},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use quorate_consensus::keeper::Refusal;
use quorate_types::{
    crypto::{PublicKey, Signature},
    ids::GenesisHash,
    signing::{Signer, Unsigned},
};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::wire::{self, Answer, Question, VERSION};

/// Longest time that one signature may take, connecting included.
const PATIENCE: Duration = Duration::from_millis(500);
/// Pause after the first failure; doubled by each further one.
const BACKOFF: Duration = Duration::from_millis(50);
/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Why the signer does not sign.
#[derive(Debug, thiserror::Error)]
pub enum Absence {
    /// It does not answer.
    #[error("the signer at {} does not answer: {error}. {}", path.display(), way_to(error))]
    Silent {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// It holds another key.
    #[error("the signer holds the consensus key {theirs}, not {ours}; set node.signer to the socket of the right one")]
    OtherKey {
        /// The node's.
        ours: PublicKey,
        /// The signer's.
        theirs: PublicKey,
    },
    /// It does not speak our version.
    #[error("the signer speaks version {0} of its protocol, and this node version {VERSION}; use one release of quorate for both")]
    OtherVersion(u8),
    /// It has judged the statement.
    #[error("the signer refuses: {refusal}. {meaning}", refusal = .0, meaning = meaning_of(*.0))]
    Refused(Refusal),
    /// It said what no signer says.
    #[error("the signer's answer makes no sense; is the socket in node.signer really that of `quorate signer run`?")]
    Nonsense,
}

fn way_to(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "This user may not use the socket: run the signer with --group and a group that both have",
        _ => "Start it: `quorate signer run`",
    }
}

const fn meaning_of(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Voted(_) | Refusal::HidesQc(_) | Refusal::Proposed(_) | Refusal::Epoch(_) => {
            "The key has signed more than this node knows: another node uses the signer, or this node's data is old. Stop the other one"
        }
        Refusal::Network(_) => "Set node.signer to the socket of this network's signer",
        Refusal::Broken => "Look at the signer's log and disk, and start it again",
        Refusal::Inconsistent => "That is a bug of this node: report it",
    }
}

/// Signs by asking a signer.
pub struct RemoteSigner {
    path: PathBuf,
    key: PublicKey,
    genesis_hash: GenesisHash,
    state: Mutex<State>,
    /// Why it did not sign the last time. Apart from the state, which is locked for as long as an answer takes.
    absence: Mutex<Option<String>>,
}

#[derive(Default)]
struct State {
    stream: Option<UnixStream>,
    failures: u32,
    /// Not before then.
    again: Option<Instant>,
}

/// A stream that is read until a moment, however the bytes come in.
struct Until<'a>(&'a UnixStream, Instant);

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.1.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.set_read_timeout(Some(left))?;
        let mut stream = self.0;
        stream.read(buffer)
    }
}

impl fmt::Debug for RemoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSigner({})", self.path.display())
    }
}

impl RemoteSigner {
    /// Asks at this socket for signatures of this key on this network. Does not connect yet.
    #[must_use]
    pub fn new(path: PathBuf, key: PublicKey, genesis_hash: GenesisHash) -> Self {
        Self { path, key, genesis_hash, state: Mutex::default(), absence: Mutex::default() }
    }

    /// Connects, if there is no connection.
    ///
    /// # Errors
    /// [`Absence`].
    pub fn connect(&self) -> Result<(), Absence> {
        let mut state = self.lock();
        if state.stream.is_none() {
            let greeted = self.greet(Instant::now() + PATIENCE);
            *self.lock_absence() = greeted.as_ref().err().map(ToString::to_string);
            state.stream = Some(greeted?);
        }
        Ok(())
    }

    /// Why it did not sign the last time it was asked, in words; `None` if it did.
    #[must_use]
    pub fn absence(&self) -> Option<String> {
        self.lock_absence().clone()
    }

    fn lock_absence(&self) -> MutexGuard<'_, Option<String>> {
        self.absence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent(&self, error: io::Error) -> Absence {
        Absence::Silent { path: self.path.clone(), error }
    }

    fn greet(&self, until: Instant) -> Result<UnixStream, Absence> {
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            // Bounds the connecting too: that of a signer that hangs waits once its queue is full.
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect(&SockAddr::unix(&self.path)?)?;
            Ok(UnixStream::from(OwnedFd::from(socket)))
        };
        let mut stream = connect().map_err(|error| self.silent(error))?;
        match self.ask(&mut stream, &Question::Hello { version: VERSION, genesis_hash: self.genesis_hash }, until)? {
            Answer::Welcome(theirs) if theirs == self.key => Ok(stream),
            Answer::Welcome(theirs) => Err(Absence::OtherKey { ours: self.key, theirs }),
            Answer::OtherVersion(version) => Err(Absence::OtherVersion(version)),
            Answer::Refused(refusal) => Err(Absence::Refused(refusal)),
            Answer::Signed(_) => Err(Absence::Nonsense),
        }
    }

    fn ask(&self, stream: &mut UnixStream, question: &Question, until: Instant) -> Result<Answer, Absence> {
        let exchange = |stream: &mut UnixStream| {
            wire::write(stream, question)?;
            wire::read(&mut Until(stream, until))?
                .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "it has closed the connection"))
        };
        exchange(stream).map_err(|error| self.silent(error))
    }

    fn request(&self, state: &mut State, unsigned: &Unsigned) -> Result<Signature, Absence> {
        let (question, until) = (Question::Sign(*unsigned), Instant::now() + PATIENCE);
        // A connection that was open may be one to a signer that has been started again since.
        let held = state.stream.take().and_then(|mut stream| Some((self.ask(&mut stream, &question, until).ok()?, stream)));
        let (answer, stream) = if let Some(held) = held {
            held
        } else {
            let mut stream = self.greet(until)?;
            (self.ask(&mut stream, &question, until)?, stream)
        };
        let signature = match answer {
            Answer::Signed(signature) => signature,
            Answer::Refused(refusal) => {
                state.stream = Some(stream);
                return Err(Absence::Refused(refusal));
            }
            Answer::Welcome(_) | Answer::OtherVersion(_) => return Err(Absence::Nonsense),
        };
        // What we send under our name must be valid, whatever the signer is.
        let key = self.key.decode().map_err(|_| Absence::Nonsense)?;
        key.verify(&unsigned.digest(), &signature).map_err(|_| Absence::Nonsense)?;
        state.stream = Some(stream);
        Ok(signature)
    }
}

impl Signer for RemoteSigner {
    fn public(&self) -> PublicKey {
        self.key
    }

    fn sign(&self, unsigned: &Unsigned) -> Option<Signature> {
        let mut state = self.lock();
        if state.again.is_some_and(|again| Instant::now() < again) {
            return None;
        }
        match self.request(&mut state, unsigned) {
            Ok(signature) => {
                if self.lock_absence().take().is_some() {
                    tracing::info!("the signer signs");
                }
                (state.failures, state.again) = (0, None);
                Some(signature)
            }
            Err(absence) => {
                // A refusal costs nothing, and says nothing about the next statement.
                if !matches!(absence, Absence::Refused(_)) {
                    let pause = BACKOFF.saturating_mul(1 << state.failures.min(6)).min(BACKOFF_MAX);
                    (state.failures, state.again) = (state.failures.saturating_add(1), Some(Instant::now() + pause));
                }
                let words = absence.to_string();
                let last = self.lock_absence().replace(words.clone());
                if last.is_none_or(|last| last != words) {
                    tracing::error!("nothing is signed: {words}");
                }
                None
            }
        }
    }
}
