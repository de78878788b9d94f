//! A simulated signer: the production [`Keeper`] on a file in memory. It is there at once, or not at all.

use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_consensus::keeper::{self, Keeper, KeeperFile, Record, Refusal};
use quorate_types::{
    crypto::{PublicKey, Signature, SigningKey},
    ids::GenesisHash,
    round::Epoch,
    signing::{Signer, Unsigned},
};

/// A signer, which several machines may use.
#[derive(Debug)]
pub struct SimSigner {
    public: PublicKey,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// While it is there.
    keeper: Option<Keeper<File>>,
    /// While it is away: the key, and the content of the file.
    away: Option<(SigningKey, Vec<u8>)>,
    refused: Vec<(Unsigned, Refusal)>,
}

/// Writes never fail: a signer whose disk fails is one that stays away.
#[derive(Debug)]
struct File(Vec<u8>);

impl KeeperFile for File {
    type Error = std::convert::Infallible;

    fn write_sync(&mut self, at: usize, bytes: &[u8]) -> Result<(), Self::Error> {
        for (old, new) in self.0.iter_mut().skip(at).zip(bytes) {
            *old = *new;
        }
        Ok(())
    }
}

impl SimSigner {
    /// A signer of a key that has signed nothing. It is away.
    #[must_use]
    pub fn new(key: SigningKey, genesis_hash: GenesisHash) -> Self {
        let public = key.public();
        let content = keeper::new_file(public, &Record::new(genesis_hash, Epoch(0)));
        Self { public, inner: Mutex::new(Inner { keeper: None, away: Some((key, content)), refused: Vec::new() }) }
    }

    /// Starts it on its file, if it is away.
    pub fn start(&self) {
        let mut inner = self.lock();
        if let Some((key, content)) = inner.away.take() {
            inner.keeper = Keeper::open(key, File(content.clone()), &content).ok();
        }
    }

    /// Ends it, whatever it was doing.
    pub fn stop(&self) {
        let mut inner = self.lock();
        if let Some(keeper) = inner.keeper.take() {
            let (key, File(content)) = keeper.close();
            inner.away = Some((key, content));
        }
    }

    /// What it has refused, and why.
    #[must_use]
    pub fn refused(&self) -> Vec<(Unsigned, Refusal)> {
        self.lock().refused.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for SimSigner {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, unsigned: &Unsigned) -> Option<Signature> {
        let mut inner = self.lock();
        match inner.keeper.as_mut()?.sign(unsigned) {
            Ok(signature) => Some(signature),
            Err(refusal) => {
                inner.refused.push((*unsigned, refusal));
                None
            }
        }
    }
}
