//! The thread that reads blocks for lagging validators, so that the replica's thread never waits for the disk on their behalf. The replica
//! decides what is served to whom, and its quotas bound the queue.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender, TrySendError},
};

use bytes::Bytes;
use quorate_ledger::{LedgerReader, Store};
use quorate_replica::Serve;
use quorate_types::codec;

use crate::{
    event_loop::LoopInput,
    failure::Threads,
    mailbox::{Lane, Mailbox},
    priority,
};

/// Most waiting jobs: more than the whole committee may have outstanding.
const JOBS_MAX: usize = 1_024;

/// The sending end of the thread's job queue.
pub(crate) struct Server(SyncSender<Box<Serve>>);

impl Server {
    /// Queues a job, or hands it back if the queue is full or the thread has ended.
    pub(crate) fn serve(&self, job: Box<Serve>) -> Result<(), Box<Serve>> {
        self.0.try_send(job).map_err(|(TrySendError::Full(job) | TrySendError::Disconnected(job))| job)
    }
}

/// Starts the thread. It ends with the last [`Server`].
pub(crate) fn start<S: Store>(reader: LedgerReader<S>, mailbox: Mailbox<LoopInput>, threads: &mut Threads) -> io::Result<Server> {
    let (jobs, queue) = mpsc::sync_channel(JOBS_MAX);
    threads.start("serve", move || {
        priority::lower_priority();
        serve(&reader, &queue, &mailbox);
    })?;
    Ok(Server(jobs))
}

fn serve<S: Store>(reader: &LedgerReader<S>, queue: &Receiver<Box<Serve>>, mailbox: &Mailbox<LoopInput>) {
    while let Ok(job) = queue.recv() {
        let to = job.to();
        let answer = match job.answer(reader) {
            Ok(message) => Some((Bytes::from(codec::encode(&message)), message)),
            Err(error) => {
                // The requester will ask another peer. Damage that affects our own votes is detected elsewhere.
                tracing::error!(validator = %to, "requested blocks cannot be read: {error}");
                None
            }
        };
        let bytes = answer.as_ref().map_or(0, |(bytes, _)| bytes.len());
        if mailbox.deliver(Lane::Sync, bytes, LoopInput::Served { to, answer }).is_err() {
            return;
        }
    }
}
