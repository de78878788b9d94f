//! Signatures known to be valid, because they were checked or made here.
//!
//! Only [`super::SigningKey::sign`] and the checks of [`crate::verify`] write to it, so it holds no signature that would not verify: it saves
//! work and changes no verdict.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Hash, PublicKey, Signature};
use crate::seen::Seen;

/// See the module. Bounded: it forgets the oldest signatures first; a forgotten one is checked again.
#[derive(Debug)]
pub struct SignatureMemory {
    valid: Mutex<Seen<(Hash, PublicKey), Known>>,
}

/// A valid signature.
#[derive(Clone, Copy, Debug)]
struct Known {
    signature: Signature,
    /// Made by a key of this process. A holder of the key can make other valid signatures of the same digest and may have sent us one, but
    /// `sign` must return exactly what signing anew would give.
    made_here: bool,
}

impl SignatureMemory {
    /// An empty memory for the newest `capacity` signatures; it holds at most twice as many.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { valid: Mutex::new(Seen::new(capacity)) }
    }

    /// Whether exactly this signature is known to be valid.
    pub(crate) fn holds(&self, key: &PublicKey, digest: &Hash, signature: &Signature) -> bool {
        self.lock().get(&(*digest, *key)).is_some_and(|known| known.signature == *signature)
    }

    /// Remembers a signature that has been checked.
    pub(crate) fn remember(&self, key: PublicKey, digest: Hash, signature: Signature) {
        self.lock().insert((digest, key), Known { signature, made_here: false });
    }

    /// The signature of `digest` if a key of this process has made it.
    pub(super) fn made_by(&self, key: &PublicKey, digest: &Hash) -> Option<Signature> {
        self.lock().get(&(*digest, *key)).filter(|known| known.made_here).map(|known| known.signature)
    }

    /// Remembers a signature that has just been made.
    pub(super) fn remember_made(&self, key: PublicKey, digest: Hash, signature: Signature) {
        self.lock().insert((digest, key), Known { signature, made_here: true });
    }

    /// Every entry is valid whichever thread wrote it, so a panic in another thread does no harm.
    fn lock(&self) -> MutexGuard<'_, Seen<(Hash, PublicKey), Known>> {
        self.valid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        committee::{Committee, Validator, VotingPower},
        crypto::SigningKey,
        genesis::Parameters,
        ids::{BlockId, GenesisHash, StateId, ValidatorId},
        round::{Epoch, Round},
        verify::Verifier,
        vote::{LedgerCommitInfo, QuorumCert, Vote, VoteInfo},
    };

    const DIGEST: Hash = Hash([7; 32]);

    #[test]
    fn a_key_with_a_memory_signs_as_it_would_without() {
        let memory = Arc::new(SignatureMemory::new(2));
        let key = SigningKey::from_seed(&[1; 32]);
        let remembering = key.remembering(&memory);
        for digest in [DIGEST, Hash([8; 32]), DIGEST, Hash([9; 32]), Hash([10; 32]), DIGEST] {
            assert_eq!(remembering.sign(&digest), key.sign(&digest));
            assert!(memory.holds(&key.public(), &digest, &key.sign(&digest)));
        }
    }

    #[test]
    fn what_was_signed_is_not_signed_again() {
        let memory = Arc::new(SignatureMemory::new(2));
        let key = SigningKey::from_seed(&[1; 32]);
        // Not a valid signature, so it can only come from the memory.
        let noted = Signature([3; 64]);
        memory.remember_made(key.public(), DIGEST, noted);
        assert_eq!(key.remembering(&memory).sign(&DIGEST), noted);
    }

    #[test]
    fn what_was_checked_is_known_but_never_given_out_as_our_own() {
        let memory = Arc::new(SignatureMemory::new(2));
        let key = SigningKey::from_seed(&[1; 32]);
        let other = Signature([3; 64]);
        memory.remember(key.public(), DIGEST, other);
        assert!(memory.holds(&key.public(), &DIGEST, &other));
        assert_eq!(key.remembering(&memory).sign(&DIGEST), key.sign(&DIGEST));
    }

    #[test]
    fn a_verifier_looks_into_the_memory_that_it_is_given() {
        let (genesis_hash, epoch, key) = (GenesisHash(Hash([7; 32])), Epoch(0), SigningKey::from_seed(&[1; 32]));
        let validator = Validator {
            name: "v".into(),
            consensus_key: key.public(),
            network_key: SigningKey::from_seed(&[2; 32]).public(),
            address: "/ip4/127.0.0.1/tcp/1".into(),
            power: VotingPower(1),
            operator: None,
        };
        let committee = Committee::new(epoch, vec![validator]).unwrap();
        let genesis = QuorumCert::genesis(epoch, genesis_hash, StateId::default());
        let verifier = || Verifier::new(Arc::clone(&committee), genesis.clone(), Parameters::default());
        let vote_info = VoteInfo {
            id: BlockId::default(),
            round: Round(1),
            parent_id: genesis.block_id(),
            parent_round: Round(0),
            exec_state_id: StateId::default(),
        };
        let commit_state_id = Some(StateId::default());
        let commit_info = LedgerCommitInfo { genesis_hash, epoch, commit_state_id, vote_info_hash: vote_info.digest() };
        // Not a valid signature: only a verifier that trusts the memory accepts it.
        let signature = Signature([3; 64]);
        let vote = Vote { vote_info, commit_info, high_commit_qc: genesis.clone(), sender: ValidatorId(0), signature };
        let memory = Arc::new(SignatureMemory::new(2));
        memory.remember(key.public(), commit_info.digest(), signature);
        assert!(verifier().vote(vote.clone()).is_err());
        assert!(verifier().with_signatures(memory).vote(vote).is_ok());
    }

    #[test]
    fn knows_a_signature_for_one_key_and_one_digest_only() {
        let memory = Arc::new(SignatureMemory::new(2));
        let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let signature = key.remembering(&memory).sign(&DIGEST);
        assert!(memory.holds(&key.public(), &DIGEST, &signature));
        assert!(!memory.holds(&other.public(), &DIGEST, &signature));
        assert!(!memory.holds(&key.public(), &Hash([8; 32]), &signature));
        assert!(!memory.holds(&key.public(), &DIGEST, &other.sign(&DIGEST)));
    }
}
