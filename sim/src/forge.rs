//! CERT-1: verification accepts only what a quorum or the sender has really signed, for this network and this epoch.
//!
//! A small valid chain is built, in which one round was given up. Every message that can be made from it must be accepted. Then one thing at
//! a time is forged: a field is changed under the signatures; a signer is left out, doubled or invented; a genuine part is put where it does
//! not belong; a block is replaced. Each forgery is encoded in every kind of message that can carry it, and each must be refused for exactly
//! what was forged: the carrier is accepted with genuine content. The quorum rule is derived anew here.
//!
//! The same validators also found the network a second time, with the same keys and chain id. Whatever they signed there must be refused
//! here, even with this network's certificates put in place of those that no signature covers.

use quorate_builtin::{GenesisAccount, Settings};
use quorate_harness::{
    committee::{BEGINNING, Setting},
    invariants::Violation,
    pen::Pen,
    random::Random,
};
use quorate_types::{
    block::{Block, Payload, Proposal},
    codec::{self, Bounded},
    committee::SignerSet,
    crypto::{Hash, Signature, SigningKey},
    genesis::GenesisValidator,
    ids::{Address, BlockId, GenesisHash, StateId, ValidatorId},
    message::{CatchupResponse, FetchResponse, Message, RecoveryRequest, SyncInfo},
    round::{Epoch, Height, Round, Sequence, UnixMillis},
    sighting::{SeenProposal, SeenTimeout, SeenVote, Sightings},
    timeout::{TimeoutCert, TimeoutMessage},
    transaction::Transaction,
    vote::{QuorumCert, Vote},
};

use crate::report::Report;

/// The outcome of one seed.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    /// Number of messages tried, including genuine ones.
    pub messages: u64,
    /// The first genuine message refused, or the first forged one accepted.
    pub failure: Option<Report>,
}

/// Tries every forgery on the chain of a seed.
#[must_use]
pub fn forge(seed: u64, validators: u16) -> Forged {
    let mut random = Random::new(seed).fork("forge");
    let broken = |what: String| {
        let violation = Some(Violation { invariant: "CERT-1".into(), what, at_us: 0 });
        Some(Report { seed, validators, violation, ..Report::default() })
    };
    // Another account in genesis: the same draws give the same keys and parameters, but another genesis hash.
    let account = GenesisAccount { address: Address::default(), balance: 1 };
    let founded = |random: &Random, accounts| {
        let mut random = random.clone();
        let settings = Settings::default().with_accounts(accounts).in_genesis().settings;
        let setting = Setting::draw(&mut random, validators, &quorate_builtin::app(), settings, &[])?;
        Ok::<_, String>((setting, random))
    };
    let ((setting, drawn), (again, _)) = match (founded(&random, Vec::new()), founded(&random, vec![account])) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(what), _) | (_, Err(what)) => return Forged { messages: 0, failure: broken(what) },
    };
    random = drawn;
    let (Some(forger), Some(elsewhere)) = (Forger::new(&setting, &mut random.clone()), Forger::new(&again, &mut random)) else {
        return Forged { messages: 0, failure: broken("there is no chain to forge from".into()) };
    };
    let mut messages = 0u64;
    let mut accepted = |from: ValidatorId, message: &Message| {
        messages = messages.saturating_add(1);
        let message = Message::decode(&codec::encode(message)).map_err(|error| ("decode", error.to_string()))?;
        setting.verifier.message(from, message).map(|_| ()).map_err(|error| (error.word(), error.to_string()))
    };
    for Letter { what, from, message, .. } in forger.genuine() {
        if let Err((_, error)) = accepted(from, &message) {
            return Forged { messages, failure: broken(format!("a genuine {} is refused: {what}: {error}", message.kind())) };
        }
    }
    if let Err(what) = founded_twice(&setting, &again) {
        return Forged { messages, failure: broken(what) };
    }
    for forged in forger.forged(&mut random).into_iter().chain(elsewhere.replayed(&forger)) {
        if let Err(what) = judge(&forged, accepted(forged.from, &forged.message)) {
            return Forged { messages, failure: broken(what) };
        }
    }
    Forged { messages, failure: None }
}

/// The error's word with which a forgery must be refused. Two words separated by a bar if the carrying message decides which check comes
/// first.
type Reason = &'static str;

/// A message to try, with its description.
struct Letter {
    what: String,
    /// Empty for a genuine message.
    reason: Reason,
    from: ValidatorId,
    message: Message,
}

fn letter(what: &str, from: ValidatorId, message: Message) -> Letter {
    Letter { what: what.into(), reason: "", from, message }
}

fn forgery(what: &str, reason: Reason, from: ValidatorId, message: Message) -> Letter {
    Letter { reason, ..letter(what, from, message) }
}

/// Checks that a forgery was refused, and for what is forged in it.
fn judge(letter: &Letter, refused: Result<(), (&'static str, String)>) -> Result<(), String> {
    let Letter { what, reason, message, .. } = letter;
    match refused {
        Ok(()) => Err(format!("a forged {} is accepted: {what}", message.kind())),
        Err((word, _)) if reason.split('|').any(|reason| reason == word) => Ok(()),
        Err((_, error)) => Err(format!("a forged {} is refused, but not with {reason}: {what}: {error}", message.kind())),
    }
}

/// The chain: blocks of rounds 1, 2, 4 and 5. Round 3 was given up by validators some of which had the certificate of round 2, others only
/// that of round 1.
struct Forger<'a> {
    pen: Pen<'a>,
    setting: &'a Setting,
    signers: SignerSet,
    /// Almost a quorum: adding any other member makes one.
    too_few: SignerSet,
    blocks: [Block; 4],
    states: [StateId; 4],
    genesis: QuorumCert,
    /// One per block, in the same order.
    qcs: [QuorumCert; 4],
    tc: TimeoutCert,
    key: SigningKey,
}

impl<'a> Forger<'a> {
    fn new(setting: &'a Setting, random: &mut Random) -> Option<Self> {
        let pen = Pen::new(setting);
        let committee = setting.verifier.committee();
        let mut ids: Vec<ValidatorId> = committee.ids().collect();
        random.shuffle(&mut ids);
        let power = |set: SignerSet| set.iter().filter_map(|id| committee.get(id)).fold(0u64, |sum, one| sum.saturating_add(one.power.0));
        let total = power(ids.iter().copied().collect());
        // Two quorums share more than the power that may be faulty, a third rounded down.
        let bearable = total.saturating_sub(1).checked_div(3)?;
        let quorum = total.saturating_sub(bearable);
        let (mut signers, mut too_few) = (SignerSet::default(), SignerSet::default());
        for id in &ids {
            let mut more = too_few;
            more.insert(*id);
            if power(more) < quorum {
                too_few = more;
            }
            if power(signers) < quorum {
                signers.insert(*id);
            }
        }
        let state = |number: u8| StateId(Hash([number; 32]));
        let states = [state(1), state(2), state(4), state(5)];
        let author = |random: &mut Random| random.pick(&ids).copied();
        let time = |round: u64| UnixMillis(BEGINNING.0.saturating_add(round));
        let key = SigningKey::from_seed(&[9; 32]);
        let genesis = setting.verifier.genesis_qc().into_inner();
        let block = |random: &mut Random, round: u64, qc: &QuorumCert| {
            Some(Pen::block(author(random)?, Round(round), time(round), payload(setting.genesis_hash(), &key, 1), qc))
        };
        let first = block(random, 1, &genesis)?;
        let first_qc = pen.qc(&first, state(1), signers);
        let second = block(random, 2, &first_qc)?;
        let second_qc = pen.qc(&second, state(2), signers);
        // The last signer has a lower certificate than the others. A single signer has nothing to remove, so this forgery is left out.
        let reporters: Vec<ValidatorId> = signers.iter().collect();
        let timeouts: Vec<(ValidatorId, &QuorumCert)> = reporters
            .iter()
            .enumerate()
            .map(|(position, id)| (*id, if position > 0 && position.saturating_add(1) == reporters.len() { &first_qc } else { &second_qc }))
            .collect();
        let tc = pen.tc(Round(3), &timeouts)?;
        let fourth = block(random, 4, &second_qc)?;
        let fourth_qc = pen.qc(&fourth, state(4), signers);
        let fifth = block(random, 5, &fourth_qc)?;
        let fifth_qc = pen.qc(&fifth, state(5), signers);
        let (blocks, qcs) = ([first, second, fourth, fifth], [first_qc, second_qc, fourth_qc, fifth_qc]);
        Some(Self { pen, setting, signers, too_few, blocks, states, genesis, qcs, tc, key })
    }

    fn sync(high_qc: &QuorumCert, high_commit_qc: &QuorumCert, tc: Option<&TimeoutCert>) -> Message {
        let info = SyncInfo { high_qc: high_qc.clone(), high_commit_qc: high_commit_qc.clone(), last_round_tc: tc.cloned() };
        Message::SyncInfo(Box::new(info))
    }

    fn fetched(block_id: BlockId, blocks: &[&Block]) -> Message {
        let blocks: Vec<Block> = blocks.iter().map(|block| (*block).clone()).collect();
        Message::FetchResponse(Box::new(FetchResponse { block_id, blocks: blocks.try_into().unwrap_or_default() }))
    }

    fn caught_up(blocks: &[&Block], commit_qc: Option<&QuorumCert>) -> Message {
        let blocks: Vec<Block> = blocks.iter().map(|block| (*block).clone()).collect();
        let blocks = blocks.try_into().unwrap_or_default();
        Message::CatchupResponse(Box::new(CatchupResponse {
            from: Height(1),
            blocks,
            headers: Bounded::default(),
            commit_qc: commit_qc.cloned(),
        }))
    }

    fn proposed(proposal: Proposal) -> Letter {
        letter("", proposal.block.author(), Message::Proposal(Box::new(proposal)))
    }

    fn voted(vote: Vote) -> Letter {
        letter("", vote.sender, Message::Vote(Box::new(vote)))
    }

    fn timed_out(timeout: TimeoutMessage) -> Letter {
        letter("", timeout.timeout.sender, Message::Timeout(Box::new(timeout)))
    }

    /// Every message that honest validators of the chain could have sent.
    fn genuine(&self) -> Vec<Letter> {
        let [b1, b2, b4, b5] = &self.blocks;
        let [q1, q2, q4, q5] = &self.qcs;
        let [.., s4, s5] = self.states;
        let any = self.any();
        let mut letters = vec![
            Self::proposed(self.pen.proposal(b2.clone(), None, q1)),
            Self::proposed(self.pen.proposal(b4.clone(), Some(&self.tc), q2)),
            Self::proposed(self.pen.proposal(b5.clone(), None, q2)),
            letter("", any, Self::sync(q4, q2, Some(&self.tc))),
            letter("", any, Self::sync(q5, q5, None)),
            letter("", any, Self::fetched(b5.id(), &[b5, b4, b2])),
            letter("", any, Self::fetched(b5.id(), &[])),
            letter("", any, Self::caught_up(&[b1, b2, b4], Some(q5))),
            letter("", any, Self::caught_up(&[], None)),
            letter("", any, Message::SightingsRequest),
            letter("", any, Message::Sightings(Box::new(Sightings::none(Epoch(0), any)))),
            letter("", any, Message::RecoveryRequest(RecoveryRequest { nonce: Hash::default() })),
        ];
        // Carriers with genuine content must be accepted, so that a forgery is refused for its forged part.
        letters.extend([q4, q5].into_iter().flat_map(|qc| self.carriers(qc)));
        letters.extend(self.tc_carriers(&self.tc));
        for id in self.signers.iter() {
            letters.push(Self::voted(self.pen.vote(id, b4, s4, q2)));
            letters.push(Self::voted(self.pen.vote(id, b5, s5, q2)));
            letters.push(Self::timed_out(self.pen.timeout(id, Round(4), q2, Some(&self.tc), q2)));
            letters.push(Self::timed_out(self.pen.timeout(id, Round(6), q5, None, q5)));
            letters.push(letter("", any, Message::Sightings(Box::new(self.sightings(id)))));
        }
        letters
    }

    fn forged(&self, random: &mut Random) -> Vec<Letter> {
        let [.., q4, q5] = &self.qcs;
        let mut letters = Vec::new();
        for (name, qc) in [("a certificate without a commit", q4), ("a certificate with a commit", q5)] {
            for (what, reason, forged) in self.forged_qcs(qc, random) {
                letters.extend(self.carriers(&forged).into_iter().map(|one| Letter { what: format!("{name}: {what}"), reason, ..one }));
            }
        }
        for (what, reason, tc) in self.forged_tcs(random) {
            letters.extend(self.tc_carriers(&tc).into_iter().map(|one| Letter {
                what: format!("a timeout certificate: {what}"),
                reason,
                ..one
            }));
        }
        letters.extend(self.forged_votes(random));
        letters.extend(self.forged_timeouts(random));
        letters.extend(self.forged_proposals(random));
        letters.extend(self.forged_answers());
        letters.extend(self.forged_sightings(random));
        letters
    }

    fn forged_qcs(&self, genuine: &QuorumCert, random: &mut Random) -> Vec<(&'static str, Reason, QuorumCert)> {
        let changed = |change: &dyn Fn(&mut QuorumCert)| {
            let mut qc = genuine.clone();
            change(&mut qc);
            qc
        };
        // The hash of the vote info is updated, the signatures are not.
        let rehashed = |change: &dyn Fn(&mut QuorumCert)| {
            let mut qc = changed(change);
            qc.commit_info.vote_info_hash = qc.vote_info.digest();
            qc
        };
        let signed = |change: &dyn Fn(&mut QuorumCert)| self.pen.signed(rehashed(change));
        // Without a commit, one more round may not bring one; and there is no commit to replace.
        let commits = genuine.commit_info.commit_state_id.is_some();
        let (commit_round, commit_other) = if commits { ("commit-rule", "signature") } else { ("signature", "commit-rule") };
        let other = StateId(Hash([77; 32]));
        let signatures = || genuine.signatures.to_vec();
        let with = |list: Vec<Signature>| changed(&|qc| qc.signatures = list.clone().try_into().unwrap_or_default());
        let mut forged = vec![
            ("the round is one higher", "vote-info-hash", changed(&|qc| qc.vote_info.round = qc.vote_info.round.next())),
            ("the round is one higher, with its hash", commit_round, rehashed(&|qc| qc.vote_info.round = qc.vote_info.round.next())),
            ("the round is far away", "vote-info-hash", changed(&|qc| qc.vote_info.round = Round(1 << 40))),
            ("the round is beyond the last", "round", signed(&|qc| qc.vote_info.round = Round::LIMIT)),
            ("the round is not above the parent's", "round", signed(&|qc| qc.vote_info.parent_round = qc.vote_info.round)),
            ("another parent round", "vote-info-hash", changed(&|qc| qc.vote_info.parent_round = Round(1))),
            ("another block", "vote-info-hash", changed(&|qc| qc.vote_info.id = BlockId(Hash([77; 32])))),
            ("another block, with its hash", "signature", rehashed(&|qc| qc.vote_info.id = BlockId(Hash([77; 32])))),
            ("another parent", "vote-info-hash", changed(&|qc| qc.vote_info.parent_id = BlockId(Hash([77; 32])))),
            ("another result", "vote-info-hash", changed(&|qc| qc.vote_info.exec_state_id = other)),
            ("another result, with its hash", "signature", rehashed(&|qc| qc.vote_info.exec_state_id = other)),
            ("another commit", commit_other, changed(&|qc| qc.commit_info.commit_state_id = Some(other))),
            (
                "a commit against the rule, signed",
                "commit-rule",
                signed(&|qc| {
                    qc.vote_info.parent_round = Round(1);
                    qc.commit_info.commit_state_id = Some(other);
                }),
            ),
            ("another network, signed", "other-network", signed(&|qc| qc.commit_info.genesis_hash = another_network())),
            ("another epoch, signed", "other-epoch", signed(&|qc| qc.commit_info.epoch = Epoch(1))),
            ("one signer too few", "no-quorum", self.pen.signed(changed(&|qc| qc.signers = self.too_few))),
            ("no signers", "no-quorum", self.pen.signed(changed(&|qc| qc.signers = SignerSet::default()))),
            ("no signatures", "signer-count", with(Vec::new())),
            ("one signature too many", "signer-count", with(signatures().into_iter().chain(signatures().first().copied()).collect())),
            ("one signature is missing", "signer-count", with(signatures().into_iter().skip(1).collect())),
            ("a stranger among the signers", "not-in-committee", {
                let mut qc = with(signatures().into_iter().chain(signatures().first().copied()).collect());
                qc.signers.insert(ValidatorId(100));
                qc
            }),
            ("one signer counted repeatedly", "signer-count", {
                let one: SignerSet = genuine.signers.iter().take(1).collect();
                let copies = usize::try_from(self.total_power()).unwrap_or(1).max(2);
                let mut qc = with(vec![signatures().first().copied().unwrap_or(Signature([0; 64])); copies]);
                qc.signers = one;
                qc
            }),
            ("one signature is bad", "signature", {
                let mut list = signatures();
                let index = random.index(list.len());
                if let Some(signature) = list.get_mut(index) {
                    *signature = flipped(*signature, random);
                }
                with(list)
            }),
        ];
        if commits {
            forged.push(("no commit against the rule, signed", "commit-rule", signed(&|qc| qc.commit_info.commit_state_id = None)));
        }
        if genuine.signers.len() > 1 {
            forged.push(("signatures in another order", "signature", with(signatures().into_iter().rev().collect())));
        }
        forged
    }

    /// Every message that can carry a quorum certificate.
    fn carriers(&self, qc: &QuorumCert) -> Vec<Letter> {
        let [b1, b2, b4, b5] = &self.blocks;
        let (any, round) = (self.any(), qc.round().next());
        let block = Pen::block(any, round, UnixMillis(BEGINNING.0.saturating_add(9)), Payload::default(), qc);
        let mut letters = vec![
            letter("", any, Self::sync(qc, &self.genesis, None)),
            letter("", any, Self::fetched(block.id(), &[&block])),
            Self::timed_out(self.pen.timeout(any, round, qc, None, &self.genesis)),
            Self::proposed(self.pen.proposal(block, None, &self.genesis)),
        ];
        if qc.commit_info.commit_state_id.is_some() {
            let [.., s5] = self.states;
            letters.push(letter("", any, Self::sync(qc, qc, None)));
            letters.push(letter("", any, Self::caught_up(&[b1, b2, b4], Some(qc))));
            letters.push(Self::voted(self.pen.vote(any, b5, s5, qc)));
        }
        letters
    }

    fn forged_tcs(&self, random: &mut Random) -> Vec<(&'static str, Reason, TimeoutCert)> {
        let [q1, q2, _, q5] = &self.qcs;
        let changed = |change: &dyn Fn(&mut TimeoutCert)| {
            let mut tc = self.tc.clone();
            change(&mut tc);
            tc
        };
        let rounds = |tc: &mut TimeoutCert, of: &dyn Fn(usize, Round) -> Round| {
            let list: Vec<Round> = tc.high_qc_rounds.iter().enumerate().map(|(position, round)| of(position, *round)).collect();
            tc.high_qc_rounds = list.try_into().unwrap_or_default();
        };
        let copies = usize::try_from(self.total_power()).unwrap_or(1).max(2);
        let mut forged = vec![
            ("the highest certificate is replaced by an older one", "high-qc-mismatch", changed(&|tc| tc.high_qc = q1.clone())),
            ("the highest certificate is replaced by a higher one", "high-qc-mismatch", changed(&|tc| tc.high_qc = q5.clone())),
            ("another round", "signature|ill-formed", changed(&|tc| tc.round = Round(4))),
            (
                "the claims are lowered to an older certificate",
                "signature",
                changed(&|tc| {
                    tc.high_qc = q1.clone();
                    rounds(tc, &|_, _| Round(1));
                }),
            ),
            ("a claim as high as the round given up", "round", changed(&|tc| rounds(tc, &|_, _| Round(3)))),
            (
                "a claim is missing",
                "signer-count",
                changed(&|tc| {
                    tc.high_qc_rounds = tc.high_qc_rounds.iter().skip(1).copied().collect::<Vec<_>>().try_into().unwrap_or_default();
                }),
            ),
            (
                "another epoch, signed",
                "other-epoch",
                changed(&|tc| {
                    tc.epoch = Epoch(1);
                    let each = tc.signers.iter().zip(tc.high_qc_rounds.iter());
                    let list: Vec<_> = each.map(|(id, round)| self.pen.sign_timeout(id, Epoch(1), tc.round, *round)).collect();
                    tc.signatures = list.try_into().unwrap_or_default();
                }),
            ),
            (
                "one signer counted repeatedly",
                "signer-count",
                changed(&|tc| {
                    let first = tc.signatures.first().copied().unwrap_or(Signature([0; 64]));
                    tc.signers = tc.signers.iter().take(1).collect();
                    tc.signatures = vec![first; copies].try_into().unwrap_or_default();
                    tc.high_qc_rounds = vec![q2.round()].try_into().unwrap_or_default();
                }),
            ),
            ("no signatures", "signer-count", changed(&|tc| tc.signatures = Vec::new().try_into().unwrap_or_default())),
        ];
        let few: Vec<(ValidatorId, &QuorumCert)> = self.too_few.iter().map(|id| (id, q2)).collect();
        forged.extend(self.pen.tc(Round(3), &few).map(|tc| ("one signer too few", "no-quorum", tc)));
        let index = random.index(self.tc.signatures.len());
        let mut list = self.tc.signatures.to_vec();
        if let Some(signature) = list.get_mut(index) {
            *signature = flipped(*signature, random);
        }
        forged.push(("one signature is bad", "signature", changed(&|tc| tc.signatures = list.clone().try_into().unwrap_or_default())));
        forged
    }

    /// Every message that can carry a timeout certificate of round 3.
    fn tc_carriers(&self, tc: &TimeoutCert) -> Vec<Letter> {
        let [_, q2, ..] = &self.qcs;
        let [.., b4, _] = &self.blocks;
        let any = self.any();
        vec![
            letter("", any, Self::sync(q2, q2, Some(tc))),
            Self::proposed(self.pen.proposal(b4.clone(), Some(tc), q2)),
            Self::timed_out(self.pen.timeout(any, tc.round.next(), q2, Some(tc), q2)),
        ]
    }

    fn forged_votes(&self, random: &mut Random) -> Vec<Letter> {
        let [.., b5] = &self.blocks;
        let [_, q2, q4, _] = &self.qcs;
        let [.., s5] = self.states;
        let (any, other) = (self.any(), self.other());
        let genuine = self.pen.vote(any, b5, s5, q2);
        let mut letters = Vec::new();
        let mut add = |what: &str, reason, change: &dyn Fn(&mut Vote)| {
            let mut vote = genuine.clone();
            change(&mut vote);
            letters.push(Letter { what: what.into(), reason, ..Self::voted(vote) });
        };
        let bad = flipped(genuine.signature, random);
        let state = StateId(Hash([77; 32]));
        add("a bad signature", "signature", &|vote| vote.signature = bad);
        add("in another validator's name", "signature|not-in-committee", &|vote| vote.sender = other);
        add("another round", "vote-info-hash", &|vote| vote.vote_info.round = vote.vote_info.round.next());
        add("another result", "vote-info-hash", &|vote| vote.vote_info.exec_state_id = state);
        add("another result, with its hash", "signature", &|vote| {
            vote.vote_info.exec_state_id = state;
            vote.commit_info.vote_info_hash = vote.vote_info.digest();
        });
        add("another commit", "signature", &|vote| vote.commit_info.commit_state_id = Some(state));
        add("no commit", "commit-rule", &|vote| vote.commit_info.commit_state_id = None);
        add("another epoch, signed", "other-epoch", &|vote| {
            vote.commit_info.epoch = Epoch(1);
            vote.signature = self.pen.sign_vote(vote.sender, &vote.commit_info);
        });
        add("another network, signed", "other-network", &|vote| {
            vote.commit_info.genesis_hash = another_network();
            vote.signature = self.pen.sign_vote(vote.sender, &vote.commit_info);
        });
        add("its certificate commits nothing", "commit-rule", &|vote| vote.high_commit_qc = q4.clone());
        letters.push(Letter {
            what: "sent by another validator".into(),
            reason: "other-sender|not-in-committee",
            from: other,
            ..Self::voted(genuine.clone())
        });
        letters
    }

    fn forged_timeouts(&self, random: &mut Random) -> Vec<Letter> {
        let [q1, q2, ..] = &self.qcs;
        let (any, other) = (self.any(), self.other());
        let genuine = self.pen.timeout(any, Round(4), q2, Some(&self.tc), q2);
        let mut letters = Vec::new();
        let mut add = |what: &str, reason, change: &dyn Fn(&mut TimeoutMessage)| {
            let mut timeout = genuine.clone();
            change(&mut timeout);
            letters.push(Letter { what: what.into(), reason, ..Self::timed_out(timeout) });
        };
        let bad = flipped(genuine.timeout.signature, random);
        add("a bad signature", "signature", &|message| message.timeout.signature = bad);
        add("in another validator's name", "signature|not-in-committee", &|message| message.timeout.sender = other);
        add("another certificate", "signature", &|message| message.timeout.high_qc = q1.clone());
        add("another round", "signature", &|message| message.timeout.round = Round(5));
        add("without the certificate that leads into the round", "ill-formed", &|message| message.last_round_tc = None);
        add("another epoch, signed", "other-epoch", &|message| {
            message.timeout.epoch = Epoch(1);
            message.timeout.signature = self.pen.sign_timeout(any, Epoch(1), message.timeout.round, message.timeout.high_qc.round());
        });
        letters.push(Letter {
            what: "sent by another validator".into(),
            reason: "other-sender|not-in-committee",
            from: other,
            ..Self::timed_out(genuine.clone())
        });
        let mut both = self.pen.timeout(any, Round(3), q2, None, q2);
        both.last_round_tc = Some(self.tc.clone());
        letters.push(Letter { what: "two certificates lead into the round".into(), reason: "ill-formed", ..Self::timed_out(both) });
        let far = Round::LIMIT;
        letters.push(Letter {
            what: "a round beyond the last".into(),
            reason: "round",
            ..Self::timed_out(self.pen.timeout(any, far, q2, Some(&self.tc), q2))
        });
        letters
    }

    fn forged_proposals(&self, random: &mut Random) -> Vec<Letter> {
        let [_, _, b4, b5] = &self.blocks;
        let [q1, q2, q4, _] = &self.qcs;
        let genuine = self.pen.proposal(b5.clone(), None, q2);
        let mut letters = Vec::new();
        let mut add =
            |what: &str, reason, proposal: Proposal| letters.push(Letter { what: what.into(), reason, ..Self::proposed(proposal) });
        let remade = |change: &dyn Fn(&mut quorate_types::block::BlockContent)| {
            let mut content = b5.content().clone();
            change(&mut content);
            Block::new(content)
        };
        let unsigned = |block: Block| Proposal { block, ..genuine.clone() };
        let signed = |block: Block| self.pen.proposal(block, None, q2);
        add("a bad signature", "signature", Proposal { signature: flipped(genuine.signature, random), ..genuine.clone() });
        add("another payload", "signature", unsigned(remade(&|content| content.payload = Payload::default())));
        add("another time", "signature", unsigned(remade(&|content| content.timestamp = content.timestamp.next())));
        add("another author", "signature|not-in-committee", unsigned(remade(&|content| content.author = self.stranger_to(content.author))));
        add("another round", "signature", unsigned(remade(&|content| content.round = content.round.next())));
        add("another epoch, signed", "other-epoch", signed(remade(&|content| content.epoch = Epoch(1))));
        add("another network, signed", "other-network", signed(remade(&|content| content.genesis_hash = another_network())));
        add("the round is not above its certificate's", "round", signed(remade(&|content| content.round = content.qc.round())));
        add("without a certificate that leads into the round", "ill-formed", signed(remade(&|content| content.round = Round(9))));
        add("without the timeout certificate", "ill-formed", self.pen.proposal(b4.clone(), None, q2));
        add("with an unneeded timeout certificate", "ill-formed", self.pen.proposal(b5.clone(), Some(&self.tc), q2));
        add("its commit certificate commits nothing", "commit-rule", self.pen.proposal(b5.clone(), None, q4));
        let most = u64::from(self.setting.genesis.parameters.block_transactions_max);
        add(
            "more transactions than allowed",
            "payload-size",
            signed(remade(&|content| content.payload = payload(self.setting.genesis_hash(), &self.key, most.saturating_add(1)))),
        );
        add("a transaction twice", "duplicate-transaction|payload-size", {
            let twice = |one: Transaction| vec![one.clone(), one];
            let list = payload(self.setting.genesis_hash(), &self.key, 1).iter().next().cloned().map(twice).unwrap_or_default();
            signed(remade(&|content| content.payload = list.clone().try_into().unwrap_or_default()))
        });
        add("a transaction signed for another network", "other-network", {
            let sign = |key| Transaction::sign(another_network(), key, Sequence(0), UnixMillis(u64::MAX), vec![7]);
            signed(remade(&|content| content.payload = vec![sign(&self.key)].try_into().unwrap_or_default()))
        });
        // The same author's genuine signature over another block.
        let older = Pen::block(b5.author(), Round(2), UnixMillis(BEGINNING.0.saturating_add(2)), Payload::default(), q1);
        add(
            "signed for another block",
            "signature",
            Proposal { signature: self.pen.proposal(older, None, q1).signature, ..genuine.clone() },
        );
        let from = self.stranger_to(b5.author());
        letters.push(Letter {
            what: "sent by another validator".into(),
            reason: "other-sender|not-in-committee",
            from,
            ..Self::proposed(genuine.clone())
        });
        letters
    }

    /// What this network's validators have signed, to be tried on `other`, a network they founded with the same keys: unchanged, and with
    /// `other`'s certificates wherever the sender's signature covers only their rounds.
    fn replayed(&self, other: &Self) -> Vec<Letter> {
        let any = self.any();
        let mut letters: Vec<Letter> = self
            .genuine()
            .into_iter()
            .filter(|letter| signs_something(&letter.message))
            .map(|letter| Letter { what: "from a network founded twice".into(), reason: "other-network|signature|round", ..letter })
            .collect();
        let dressed =
            |message| Letter { what: "from a network founded twice, with this one's certificates".into(), reason: "signature", ..message };
        let [q1, q2, ..] = &self.qcs;
        let [o1, o2, ..] = &other.qcs;
        for (round, own, theirs) in [(Round(1), &self.genesis, &other.genesis), (Round(2), q1, o1), (Round(3), q2, o2)] {
            let mut timeout = self.pen.timeout(any, round, own, None, &self.genesis);
            timeout.timeout.high_qc = theirs.clone();
            timeout.high_commit_qc = other.genesis.clone();
            letters.push(dressed(Self::timed_out(timeout)));
        }
        let mut tc = self.tc.clone();
        tc.high_qc = o2.clone();
        letters.extend(other.tc_carriers(&tc).into_iter().map(dressed));
        letters
    }

    fn forged_answers(&self) -> Vec<Letter> {
        let [b1, b2, b4, b5] = &self.blocks;
        let [q1, q2, q4, q5] = &self.qcs;
        let any = self.any();
        let time = UnixMillis(BEGINNING.0.saturating_add(9));
        let invented = Pen::block(any, Round(5), time, Payload::default(), q4);
        let committed = Pen::block(any, Round(4), time, Payload::default(), q2);
        vec![
            forgery("another block in place of the requested one", "not-a-chain", any, Self::fetched(b5.id(), &[&invented, b4, b2])),
            forgery("another block below the requested one", "not-a-chain", any, Self::fetched(b5.id(), &[b5, &committed, b2])),
            forgery("not the requested block", "not-a-chain", any, Self::fetched(b4.id(), &[b5, b4])),
            forgery("a gap", "not-a-chain", any, Self::fetched(b5.id(), &[b5, b2])),
            forgery("the oldest first", "not-a-chain", any, Self::fetched(b5.id(), &[b2, b4, b5])),
            forgery("the last block is not the committed one", "not-a-chain", any, Self::caught_up(&[b1, b2, &committed], Some(q5))),
            forgery("more blocks than are committed", "not-a-chain", any, Self::caught_up(&[b1, b2, b4, b5], Some(q5))),
            forgery("fewer blocks than are committed", "not-a-chain", any, Self::caught_up(&[b1, b2], Some(q5))),
            forgery("a gap", "not-a-chain", any, Self::caught_up(&[b1, b4], Some(q5))),
            forgery("the newest first", "not-a-chain", any, Self::caught_up(&[b4, b2, b1], Some(q5))),
            forgery("a certificate that commits nothing", "commit-rule", any, Self::caught_up(&[b1, b2], Some(q4))),
            forgery("no certificate", "not-a-chain", any, Self::caught_up(&[b1, b2, b4], None)),
            forgery("no blocks", "not-a-chain", any, Self::caught_up(&[], Some(q5))),
            forgery("the highest certificate is below the one with a commit", "ill-formed", any, Self::sync(q1, q5, None)),
            forgery("the certificate with a commit has none", "commit-rule", any, Self::sync(q4, q4, None)),
        ]
    }

    /// The last statements of a validator.
    fn sightings(&self, of: ValidatorId) -> Sightings {
        let ([.., b5], [.., s5], [_, q2, _, q5]) = (&self.blocks, self.states, &self.qcs);
        let vote = self.pen.vote(of, b5, s5, q2);
        let timeout = self.pen.timeout(of, Round(6), q5, None, q5).timeout;
        let time = UnixMillis(BEGINNING.0.saturating_add(6));
        let proposal = self.pen.proposal(Pen::block(of, Round(6), time, payload(self.setting.genesis_hash(), &self.key, 1), q5), None, q5);
        Sightings { epoch: Epoch(0), of, vote: Some((&vote).into()), timeout: Some((&timeout).into()), proposal: Some((&proposal).into()) }
    }

    /// Forged sightings of a validator's signatures.
    fn forged_sightings(&self, random: &mut Random) -> Vec<Letter> {
        let (any, other) = (self.any(), self.other());
        let genuine = self.sightings(any);
        let mut letters = Vec::new();
        let mut add = |what: &str, reason, change: &dyn Fn(&mut Sightings)| {
            let mut seen = genuine;
            change(&mut seen);
            letters.push(forgery(what, reason, any, Message::Sightings(Box::new(seen))));
        };
        let vote = |change: fn(&mut SeenVote)| move |seen: &mut Sightings| seen.vote.iter_mut().for_each(change);
        let timeout = |change: fn(&mut SeenTimeout)| move |seen: &mut Sightings| seen.timeout.iter_mut().for_each(change);
        let proposal = |change: fn(&mut SeenProposal)| move |seen: &mut Sightings| seen.proposal.iter_mut().for_each(change);
        let state = StateId(Hash([77; 32]));
        let bad = genuine.vote.map_or(Signature([0; 64]), |vote| flipped(vote.signature, random));
        add("a vote with a bad signature", "signature", &|seen| seen.vote.iter_mut().for_each(|vote| vote.signature = bad));
        add("a timeout with a vote's signature", "signature", &|seen| {
            seen.timeout.iter_mut().zip(seen.vote).for_each(|(timeout, vote)| timeout.signature = vote.signature);
        });
        add("a proposal with a vote's signature", "signature", &|seen| {
            seen.proposal.iter_mut().zip(seen.vote).for_each(|(proposal, vote)| proposal.signature = vote.signature);
        });
        add("a vote for another result", "vote-info-hash", &|seen| {
            seen.vote.iter_mut().for_each(|vote| vote.vote_info.exec_state_id = state);
        });
        add("a vote for another result, with its hash", "signature", &|seen| {
            if let Some(vote) = &mut seen.vote {
                vote.vote_info.exec_state_id = state;
                vote.commit_info.vote_info_hash = vote.vote_info.digest();
            }
        });
        add("a vote that commits nothing", "commit-rule", &vote(|vote| vote.commit_info.commit_state_id = None));
        add("a vote of another epoch", "other-epoch", &vote(|vote| vote.commit_info.epoch = Epoch(1)));
        add("a timeout of another round", "signature", &timeout(|timeout| timeout.round = timeout.round.next()));
        add("a timeout with another claim", "signature", &timeout(|timeout| timeout.high_qc_round = Round(1)));
        add("a timeout that claims its own round", "round", &timeout(|timeout| timeout.high_qc_round = timeout.round));
        add("a timeout beyond the last round", "round", &timeout(|timeout| timeout.round = Round::LIMIT));
        add("a timeout of another epoch", "other-epoch", &timeout(|timeout| timeout.epoch = Epoch(1)));
        add("a proposal of another round", "signature", &proposal(|proposal| proposal.head.round = proposal.head.round.next()));
        add("a proposal of round 0", "round", &proposal(|proposal| proposal.head.round = Round(0)));
        add("a proposal of another time", "signature", &proposal(|proposal| proposal.head.timestamp = proposal.head.timestamp.next()));
        add("a proposal with more transactions", "signature", &proposal(|proposal| proposal.head.transactions = 7));
        add("a proposal with other transactions", "signature", &proposal(|proposal| proposal.head.payload = Hash([77; 32])));
        add("a proposal on another certificate", "signature", &proposal(|proposal| proposal.head.qc = Hash([77; 32])));
        add("a proposal by another", "other-sender", &|seen| seen.proposal.iter_mut().for_each(|proposal| proposal.head.author = other));
        add("in another's name", "signature|not-in-committee", &|seen| seen.of = other);
        add("of a stranger", "not-in-committee", &|seen| *seen = Sightings::none(Epoch(0), ValidatorId(u16::MAX)));
        letters
    }

    fn any(&self) -> ValidatorId {
        self.signers.iter().next().unwrap_or_default()
    }

    /// A validator other than [`Self::any`], or the number of none if there is only one.
    fn other(&self) -> ValidatorId {
        self.stranger_to(self.any())
    }

    fn stranger_to(&self, id: ValidatorId) -> ValidatorId {
        self.setting.verifier.committee().ids().find(|other| *other != id).unwrap_or(ValidatorId(1))
    }

    fn total_power(&self) -> u64 {
        self.setting.verifier.committee().total_power()
    }
}

/// Whether a message contains a signature. Requests and empty answers are the same on every network.
fn signs_something(message: &Message) -> bool {
    match message {
        Message::Proposal(_) | Message::Vote(_) | Message::Timeout(_) | Message::SyncInfo(_) | Message::RecoveryAnswer(_) => true,
        Message::FetchResponse(response) => !response.blocks.is_empty(),
        Message::CatchupResponse(response) => !response.blocks.is_empty(),
        Message::Sightings(seen) => seen.vote.is_some() || seen.timeout.is_some() || seen.proposal.is_some(),
        Message::FetchRequest(_) | Message::CatchupRequest(_) | Message::SightingsRequest | Message::RecoveryRequest(_) => false,
    }
}

/// Checks signatures outside of messages: transactions and proofs of possession.
fn founded_twice(here: &Setting, elsewhere: &Setting) -> Result<(), String> {
    let (one, other) = (here.genesis_hash(), elsewhere.genesis_hash());
    if one == other || here.genesis.chain_id != elsewhere.genesis.chain_id {
        return Err("the two networks need one chain id and two genesis hashes".into());
    }
    let accepted = |what: &str| Err(format!("{what} of a network founded twice is accepted"));
    let key = SigningKey::from_seed(&[9; 32]);
    let sign = |network| Transaction::sign(network, &key, Sequence(0), UnixMillis(u64::MAX), vec![7]);
    let mut relabelled = sign(other).content().clone();
    relabelled.genesis_hash = one;
    let relabelled = [codec::encode(&relabelled), sign(other).signature().0.to_vec()].concat();
    let relabelled = Transaction::decode(relabelled.into()).map_err(|error| error.to_string())?;
    let verdicts = here.verifier.transactions(vec![sign(one), sign(other), relabelled]);
    if verdicts.iter().map(Result::is_ok).collect::<Vec<_>>() != [true, false, false] {
        return accepted("a transaction");
    }
    for entry in &elsewhere.genesis.validators {
        let mut genesis = (*here.genesis).clone();
        let same_key = |own: &&mut GenesisValidator| own.validator.consensus_key == entry.validator.consensus_key;
        let Some(own) = genesis.validators.iter_mut().find(same_key) else { return Err("the two networks have different keys".into()) };
        *own = entry.clone();
        if genesis.check().is_ok() {
            return accepted("a proof of possession");
        }
    }
    Ok(())
}

/// The genesis hash of another network.
fn another_network() -> GenesisHash {
    GenesisHash(Hash([1; 32]))
}

fn payload(genesis_hash: GenesisHash, key: &SigningKey, transactions: u64) -> Payload {
    let sign = |number| Transaction::sign(genesis_hash, key, Sequence(number), UnixMillis(u64::MAX), vec![7]);
    Payload::truncated((0..transactions).map(sign).collect())
}

fn flipped(mut signature: Signature, random: &mut Random) -> Signature {
    let at = random.index(signature.0.len());
    if let Some(byte) = signature.0.get_mut(at) {
        *byte ^= 1;
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::SIZES;

    #[test]
    fn what_is_genuine_is_accepted_and_nothing_else() {
        for (seed, validators) in (0..20).zip(SIZES.into_iter().cycle()) {
            let Forged { messages, failure } = forge(seed, validators);
            assert!(failure.is_none(), "seed {seed}: {failure:?}");
            assert!(messages > 250, "{messages}");
        }
    }

    #[test]
    fn a_forgery_that_is_accepted_or_refused_for_another_reason_is_noticed() {
        let message =
            Message::FetchResponse(Box::new(FetchResponse { block_id: BlockId::default(), blocks: Vec::new().try_into().unwrap() }));
        let one = forgery("a gap", "not-a-chain|round", ValidatorId(0), message);
        judge(&one, Err(("not-a-chain", String::new()))).unwrap();
        judge(&one, Err(("round", String::new()))).unwrap();
        assert!(judge(&one, Ok(())).unwrap_err().contains("accepted"));
        assert!(judge(&one, Err(("ill-formed", "carried badly".into()))).unwrap_err().contains("carried badly"));
    }
}
