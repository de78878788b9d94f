//! Answers nodes: a thread for each connection, one signature at a time.

use std::{
    io,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use quorate_consensus::keeper::{Keeper, KeeperFile, Refusal};

use crate::wire::{self, Answer, Question, VERSION};

/// Connections served at once: a node has one.
const CONNECTIONS_MAX: usize = 8;
/// Longest silence of a node. An idle chain has a round every ten seconds or so.
const SILENCE: Duration = Duration::from_secs(60);

/// A signer that listens.
#[derive(Debug)]
pub struct Server<F> {
    listener: UnixListener,
    path: PathBuf,
    keeper: Arc<Mutex<Keeper<F>>>,
    connections: Arc<AtomicUsize>,
    on_broken: fn(),
}

impl<F: KeeperFile + 'static> Server<F> {
    /// Listens on a socket that only this user, and with `mode` 0o660 its group, may use. Call it with the keeper's file locked: a socket that is there already was left by an
    /// earlier signer. `on_broken` is called once the record cannot be written any more; it should end the process.
    ///
    /// # Errors
    /// The system's error.
    pub fn listen(path: &Path, mode: u32, keeper: Keeper<F>, on_broken: fn()) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file, and it is no socket"));
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another signer listens there"));
            }
            Ok(_) => std::fs::remove_file(path)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        // Whoever connects before this could enter the directory, and the process's umask let it.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok(Self { listener, path: path.into(), keeper: Arc::new(Mutex::new(keeper)), connections: Arc::default(), on_broken })
    }

    /// Serves for ever.
    pub fn run(self) {
        for stream in self.listener.incoming() {
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            if self.connections.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                tracing::warn!("{}: more than {CONNECTIONS_MAX} connections; the newest is closed", self.path.display());
                continue;
            }
            let (keeper, connections, on_broken) = (Arc::clone(&self.keeper), Arc::clone(&self.connections), self.on_broken);
            let spawned = thread::Builder::new().name("node".into()).spawn(move || {
                match serve(stream, &keeper, on_broken) {
                    Ok(()) => tracing::info!("the node has closed its connection"),
                    Err(error) => tracing::warn!("the connection of a node is closed: {error}"),
                }
                connections.fetch_sub(1, Ordering::SeqCst);
            });
            if let Err(error) = spawned {
                self.connections.fetch_sub(1, Ordering::SeqCst);
                tracing::warn!("a connection was not accepted: {error}");
            }
        }
    }
}

fn serve<F: KeeperFile>(mut stream: UnixStream, keeper: &Mutex<Keeper<F>>, on_broken: fn()) -> io::Result<()> {
    // Whoever says nothing for so long may be the end of a tunnel whose other end is gone. A node connects again by itself.
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let lock = || keeper.lock().unwrap_or_else(PoisonError::into_inner);
    let mut is_welcome = false;
    while let Some(question) = wire::read(&mut stream)? {
        let answer = match question {
            Question::Hello { version, .. } if version != VERSION => Answer::OtherVersion(VERSION),
            Question::Hello { genesis_hash, .. } => {
                let keeper = lock();
                let (ours, epoch) = keeper.record().scope();
                if ours == genesis_hash {
                    is_welcome = true;
                    tracing::info!(%epoch, round = %keeper.record().highest_round(), "a node has connected");
                    Answer::Welcome(keeper.public())
                } else {
                    Answer::Refused(Refusal::Network(ours))
                }
            }
            Question::Sign(_) if !is_welcome => return Err(io::Error::new(io::ErrorKind::InvalidData, "it asked before its hello")),
            Question::Sign(unsigned) => match lock().sign(&unsigned) {
                Ok(signature) => Answer::Signed(signature),
                Err(refusal) => {
                    let statement = unsigned.statement();
                    tracing::error!(epoch = %unsigned.scope().1, "not signed: a {} of round {}: {refusal}", statement.kind(), statement.round());
                    if refusal == Refusal::Broken {
                        on_broken();
                    }
                    Answer::Refused(refusal)
                }
            },
        };
        wire::write(&mut stream, &answer)?;
    }
    Ok(())
}
