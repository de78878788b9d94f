//! Sizes, and events that nobody asked for, which the scripts of `tests/protocol` cannot show.

use std::sync::atomic::{AtomicBool, Ordering};

use quorate_types::{
    crypto::{PublicKey, Signature, SigningKey},
    signing::Unsigned,
};

use super::*;
use crate::{
    members::{EPOCH, Members, NETWORK},
    safety::{SafetyStore, SafetyWrite, persist},
};

/// More blocks are on disk than the tree holds, as after hundreds of abandoned rounds: the certified one stays.
#[test]
fn a_start_with_more_blocks_than_the_tree_holds_keeps_the_certified_chain() {
    let members = Members::equal(4);
    let (me, genesis) = (ValidatorId(0), members.genesis_qc());
    let block = |round: u64, qc: &Verified<QuorumCert>| Members::block(ValidatorId(1), Round(round), 0, qc);
    let certified = block(1, &genesis);
    let qc = members.qc(&certified);
    let mut blocks = vec![certified.clone()];
    blocks.extend((2..400).map(|round| block(round, &qc)));
    // The last block extends the root.
    blocks.push(block(400, &genesis));
    let certificates = Some(Verified::<SyncInfo>::own(&qc, &genesis, None));
    let engine = recovered(&members, me, |disk| Recovered { certificates, blocks, ..disk });
    assert!(engine.tree().contains(&certified.id()));
    assert_eq!(engine.tree().blocks().count(), 256);
}

/// Starts on the genesis, and what else is on disk.
fn recovered(members: &Members, me: ValidatorId, change: impl FnOnce(Recovered) -> Recovered) -> Engine {
    recovered_with(members, me, Arc::new(members.key(me)), change)
}

fn recovered_with(members: &Members, me: ValidatorId, signer: Arc<dyn Signer>, change: impl FnOnce(Recovered) -> Recovered) -> Engine {
    let genesis = members.genesis_qc();
    let disk = Recovered {
        root: Root { id: genesis.block_id(), round: Round(0), state_id: genesis.vote_info.exec_state_id, payload_round: Round(0) },
        root_qc: genesis,
        committed: Vec::new(),
        record: SafetyRecord::new(NETWORK, EPOCH),
        abstains: false,
        last_timeout: None,
        certificates: None,
        blocks: Vec::new(),
    };
    let config = Config {
        genesis_hash: NETWORK,
        committee: Arc::clone(&members.committee),
        parameters: members.parameters,
        me,
        fixed_leaders: Arc::default(),
    };
    Engine::recover(config, signer, change(disk)).0
}

fn at_genesis(members: &Members, me: ValidatorId) -> Engine {
    recovered(members, me, |disk| disk)
}

#[test]
fn a_payload_that_was_not_asked_for_is_not_proposed() {
    let members = Members::equal(4);
    let leader = at_genesis(&members, ValidatorId(0)).leader(Round(1));
    let other = members.ids().into_iter().find(|id| *id != leader).unwrap();
    let mut engine = at_genesis(&members, other);
    let (parent, payload) = (engine.tree().root().id, Members::payload(1, 1));
    assert!(engine.handle(Event::PayloadReady { round: Round(1), parent, timestamp: UnixMillis(1), payload }).is_empty());
}

/// Every round brings a proposal whose parent is missing, and is given up.
#[test]
fn only_the_newest_parked_blocks_are_kept() {
    let members = Members::equal(4);
    let mut engine = at_genesis(&members, ValidatorId(3));
    let genesis = members.genesis_qc();
    let missing = members.qc(&Members::block(ValidatorId(0), Round(1), 7, &genesis));
    let signers: Vec<_> = members.quorum().into_iter().map(|id| (id, &missing)).collect();
    for round in 3..30 {
        let tc = members.tc(Round(round - 1), &signers);
        let from = engine.leader(Round(round));
        let block = Members::block(from, Round(round), 0, &missing);
        let message = VerifiedMessage::Proposal(members.proposal(&block, Some(&tc), &genesis));
        drop(engine.handle(Event::Message { from, message }));
    }
    let parked: Vec<u64> = engine.parked.iter().map(|block| block.round().0).collect();
    assert_eq!(parked, (21..29).collect::<Vec<_>>(), "the last one is that of the current round");
}

/// Has the key elsewhere, out of reach at first.
#[derive(Debug)]
struct Distant {
    key: SigningKey,
    is_there: AtomicBool,
}

impl Signer for Distant {
    fn public(&self) -> PublicKey {
        self.key.public()
    }

    fn sign(&self, unsigned: &Unsigned) -> Option<Signature> {
        self.is_there.load(Ordering::Relaxed).then(|| self.key.sign(&unsigned.digest()))
    }
}

struct NoDisk;

impl SafetyStore for NoDisk {
    type Error = ();

    fn write_sync(&mut self, _: &SafetyWrite<'_>) -> Result<(), ()> {
        Ok(())
    }

    fn attest(&mut self, _: &SafetyWrite<'_>) -> Result<(), ()> {
        Ok(())
    }
}

/// Fires the timer, and makes durable and signs what follows.
fn time_out(engine: &mut Engine) -> Vec<Effect> {
    let effects = engine.handle(Event::TimerFired(engine.round()));
    let ballots = effects.into_iter().filter_map(|effect| match effect {
        Effect::Persist { ballot, .. } => Some(persist(&mut NoDisk, *ballot).unwrap()),
        _ => None,
    });
    ballots.collect::<Vec<_>>().into_iter().flat_map(|saved| engine.handle(Event::Persisted(saved))).collect()
}

#[test]
fn while_the_signer_is_away_nothing_is_sent_and_the_same_timeout_is_tried_again() {
    let members = Members::equal(4);
    let me = ValidatorId(3);
    let signer = Arc::new(Distant { key: members.key(me), is_there: AtomicBool::new(false) });
    let mut engine = recovered_with(&members, me, Arc::<Distant>::clone(&signer), |disk| disk);
    for _ in 0..3 {
        let effects = time_out(&mut engine);
        assert!(matches!(effects[..], [Effect::Ignored { reason: Ignored::NotSigned, .. }]), "{effects:?}");
    }
    signer.is_there.store(true, Ordering::Relaxed);
    let effects = time_out(&mut engine);
    let timeouts = effects.iter().filter(|effect| matches!(effect, Effect::Send { message: Message::Timeout(_), .. }));
    assert_eq!(timeouts.count(), 1, "{effects:?}");
    // It is sent again as it is, without another signature.
    signer.is_there.store(false, Ordering::Relaxed);
    let effects = engine.handle(Event::TimerFired(Round(1)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Send { message: Message::Timeout(_), .. })), "{effects:?}");
}

/// Each attempt syncs a record.
#[test]
fn others_cannot_make_a_validator_without_its_signer_try_again() {
    let members = Members::equal(4);
    let me = ValidatorId(3);
    let signer = Arc::new(Distant { key: members.key(me), is_there: AtomicBool::new(false) });
    let mut engine = recovered_with(&members, me, signer, |disk| disk);
    let genesis = members.genesis_qc();
    let mut attempts = 0;
    for from in [0, 1].map(ValidatorId).into_iter().cycle().take(20) {
        let message = VerifiedMessage::Timeout(members.timeout(from, Round(1), (&genesis, None, &genesis)));
        for effect in engine.handle(Event::Message { from, message }) {
            if let Effect::Persist { ballot, .. } = effect {
                attempts += 1;
                drop(engine.handle(Event::Persisted(persist(&mut NoDisk, *ballot).unwrap())));
            }
        }
    }
    assert_eq!(attempts, 1);
    assert_eq!(time_out(&mut engine).len(), 1, "the timer does");
}

/// It was written with its ballot. A restart would take it for one that was executed, and voted for.
#[test]
fn a_block_that_was_not_signed_is_deleted() {
    let members = Members::equal(4);
    let leader = at_genesis(&members, ValidatorId(0)).leader(Round(1));
    let signer = Arc::new(Distant { key: members.key(leader), is_there: AtomicBool::new(false) });
    let mut engine = recovered_with(&members, leader, signer, |disk| disk);
    let (parent, payload) = (engine.tree().root().id, Members::payload(1, 1));
    let mut effects = engine.handle(Event::PayloadReady { round: Round(1), parent, timestamp: UnixMillis(1), payload });
    let Some(Effect::Persist { ballot, .. }) = effects.pop() else { panic!("a proposal") };
    let Ballot::Proposal { block, .. } = ballot.ballot() else { panic!("a proposal") };
    let id = block.id();
    let effects = engine.handle(Event::Persisted(persist(&mut NoDisk, *ballot).unwrap()));
    assert!(
        matches!(effects[..], [Effect::Discard { round: Round(1), block }, Effect::Ignored { reason: Ignored::NotSigned, .. }] if block == id),
        "{effects:?}"
    );
}

#[test]
fn a_vote_that_was_not_signed_is_lost_and_the_next_round_has_its_own() {
    let members = Members::equal(4);
    let first = at_genesis(&members, ValidatorId(0));
    let (one, two) = (first.leader(Round(1)), first.leader(Round(2)));
    let me = members.ids().into_iter().find(|id| ![one, two].contains(id)).unwrap();
    let signer = Arc::new(Distant { key: members.key(me), is_there: AtomicBool::new(false) });
    let mut engine = recovered_with(&members, me, Arc::<Distant>::clone(&signer), |disk| disk);
    let genesis = members.genesis_qc();
    let block = Members::block(one, Round(1), 1, &genesis);
    let vote = |engine: &mut Engine, from: ValidatorId, block: &Verified<Block>, qc: &Verified<QuorumCert>| {
        let proposal = members.proposal(block, None, qc);
        let mut effects = engine.handle(Event::Message { from, message: VerifiedMessage::Proposal(proposal) });
        let mut done = Vec::new();
        while !effects.is_empty() {
            let mut next = Vec::new();
            for effect in effects {
                next.extend(match effect {
                    Effect::Execute { block } => {
                        engine.handle(Event::Executed { block: block.id(), outcome: Ok(crate::members::state_of(block.id())) })
                    }
                    Effect::CheckTime(id) => engine.handle(Event::Timely(id)),
                    Effect::Persist { ballot, .. } => engine.handle(Event::Persisted(persist(&mut NoDisk, *ballot).unwrap())),
                    other => {
                        done.push(other);
                        Vec::new()
                    }
                });
            }
            effects = next;
        }
        done
    };
    let votes =
        |effects: &[Effect]| effects.iter().filter(|effect| matches!(effect, Effect::Send { message: Message::Vote(_), .. })).count();
    let effects = vote(&mut engine, one, &block, &genesis);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Ignored { reason: Ignored::NotSigned, .. })), "{effects:?}");
    assert_eq!(votes(&effects), 0);
    signer.is_there.store(true, Ordering::Relaxed);
    let qc = members.qc(&block);
    let effects = vote(&mut engine, two, &Members::block(two, Round(2), 1, &qc), &genesis);
    assert_eq!(votes(&effects), 1, "{effects:?}");
}
