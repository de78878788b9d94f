use quorate_ledger::{genesis_header, genesis_qc};
use quorate_types::{
    block::{BlockContent, Payload},
    codec::Bounded,
    committee::{Validator, VotingPower},
    crypto::SigningKey,
    genesis::{Genesis, Parameters},
    header::Header,
    ids::{ChainId, StateId},
    message::FETCH_BLOCKS_MAX,
    round::{Epoch, UnixMillis},
    verify::{VerifiedMessage, Verifier},
    vote::{LedgerCommitInfo, Vote, VoteInfo},
};

use super::*;

const ME: ValidatorId = ValidatorId(0);
const NOW: Duration = Duration::from_secs(1);
const ROOT: (Round, Height) = (Round(1), Height(1));

/// Four validators and their blocks of rounds 1, 2, 3 and so on, each with a certificate for the one before.
struct Chain {
    verifier: Verifier,
    blocks: Vec<Block>,
    certificates: Vec<QuorumCert>,
    headers: Vec<Header>,
}

impl Chain {
    fn new(length: u64) -> Self {
        let mut keys: Vec<SigningKey> = (1..=4).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        keys.sort_by_key(SigningKey::public);
        let networks: Vec<SigningKey> = (50..54).map(|seed| SigningKey::from_seed(&[seed; 32])).collect();
        let members = keys.iter().zip(&networks).enumerate().map(|(number, (key, network))| {
            let validator = Validator {
                name: format!("v{number}"),
                consensus_key: key.public(),
                network_key: network.public(),
                address: "/ip4/127.0.0.1/tcp/1".into(),
                power: VotingPower(1),
                operator: None,
            };
            (validator, key, network)
        });
        let genesis =
            Genesis::draft(ChainId(7), "test", UnixMillis(0), Parameters::default(), quorate_builtin::Settings::default().in_genesis());
        let genesis = genesis.with_validators(members);
        let (header, _) = genesis_header(&quorate_builtin::app(), &genesis).unwrap();
        let genesis_qc = genesis_qc(&header);
        let verifier = Verifier::new(genesis.committee().unwrap(), genesis_qc.clone(), genesis.parameters);
        let mut chain = Self { verifier, blocks: Vec::new(), certificates: vec![genesis_qc], headers: vec![header] };
        for round in 1..=length {
            let block = Block::new(BlockContent {
                genesis_hash: chain.verifier.genesis_hash(),
                epoch: Epoch(0),
                author: ME,
                round: Round(round),
                timestamp: UnixMillis(round),
                payload: Payload::default(),
                qc: chain.certificates.last().unwrap().clone(),
            });
            let before = chain.headers.last().unwrap();
            let (height, parent, timestamp) = (before.height.next(), before.state_id(), UnixMillis(round));
            let header = Header { height, parent, timestamp, round: Round(round), block_id: block.id(), ..before.clone() };
            chain.certificates.push(chain.certify(&block, header.state_id(), &keys));
            chain.headers.push(header);
            chain.blocks.push(block);
        }
        chain
    }

    fn certify(&self, block: &Block, state_id: StateId, keys: &[SigningKey]) -> QuorumCert {
        let parent = block.qc().vote_info;
        let vote_info =
            VoteInfo { id: block.id(), round: block.round(), parent_id: parent.id, parent_round: parent.round, exec_state_id: state_id };
        let commit_state_id = vote_info.commits_parent().then_some(parent.exec_state_id);
        let commit_info = LedgerCommitInfo {
            genesis_hash: block.content().genesis_hash,
            epoch: Epoch(0),
            commit_state_id,
            vote_info_hash: vote_info.digest(),
        };
        let vote = |id: u16| {
            let key = &keys[usize::from(id)];
            (ValidatorId(id), Verified::<Vote>::sign(vote_info, commit_info, &self.verifier.genesis_qc(), ValidatorId(id), key).unwrap())
        };
        let votes: BTreeMap<ValidatorId, Verified<Vote>> = (0..3).map(vote).collect();
        Verified::<QuorumCert>::aggregate(self.verifier.committee(), &votes).unwrap().into_inner()
    }

    fn catchup(&self) -> Catchup {
        Catchup::new(ME, Arc::clone(self.verifier.committee()))
    }

    fn id(&self, round: usize) -> BlockId {
        self.blocks[round - 1].id()
    }

    /// The engine is missing the block of a round; validator 1 should have it.
    fn missing(&self, round: usize, rounds_behind: u64) -> Missing {
        Missing { block_id: self.id(round), rounds_behind, holders: vec![ValidatorId(1)] }
    }

    fn fetched(&self, rounds: &[usize]) -> Verified<FetchResponse> {
        let blocks: Vec<Block> = rounds.iter().map(|round| self.blocks[round - 1].clone()).collect();
        self.verified_fetch(FetchResponse { block_id: self.id(rounds[0]), blocks: Bounded::truncated(blocks) })
    }

    fn verified_fetch(&self, response: FetchResponse) -> Verified<FetchResponse> {
        match self.verifier.message(ValidatorId(1), Message::FetchResponse(Box::new(response))).unwrap().split() {
            VerifiedMessage::FetchResponse(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// The blocks of these rounds, which are also their heights, with the certificate that commits the last.
    fn committed(&self, rounds: std::ops::RangeInclusive<usize>) -> Verified<CatchupResponse> {
        let (from, commit_qc) = (Height(*rounds.start() as u64), Some(self.certificates[rounds.end() + 1].clone()));
        let blocks = rounds.map(|round| self.blocks[round - 1].clone()).collect();
        self.verified(CatchupResponse { from, blocks: Bounded::truncated(blocks), headers: Bounded::default(), commit_qc })
    }

    /// The blocks of these rounds, with the certificate that commits a later one.
    fn part(&self, rounds: std::ops::RangeInclusive<usize>, commits: usize) -> Verified<CatchupResponse> {
        let mut response = (*self.committed(rounds.clone())).clone();
        response.headers = Bounded::truncated(self.headers[*rounds.end()..=commits].to_vec());
        response.commit_qc = Some(self.certificates[commits + 1].clone());
        self.verified(response)
    }

    /// The answer of a peer that does not have the block of a round.
    fn not_fetched(&self, round: usize) -> Verified<FetchResponse> {
        self.verified_fetch(FetchResponse { block_id: self.id(round), blocks: Bounded::default() })
    }

    fn nothing_from(&self, from: u64) -> Verified<CatchupResponse> {
        self.verified(CatchupResponse::nothing_from(Height(from)))
    }

    fn verified(&self, response: CatchupResponse) -> Verified<CatchupResponse> {
        match self.verifier.message(ValidatorId(1), Message::CatchupResponse(Box::new(response))).unwrap().split() {
            VerifiedMessage::CatchupResponse(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// A tree that holds the blocks of these rounds.
    fn knows(&self, rounds: &[usize]) -> impl Fn(&BlockId) -> bool {
        let known: Vec<BlockId> = rounds.iter().map(|round| self.id(*round)).collect();
        move |id| known.contains(id)
    }
}

fn rounds(blocks: Option<Blocks>) -> Vec<u64> {
    blocks.expect("there are blocks").0.iter().map(|block| block.round().0).collect()
}

/// The peer that is asked now, and for what. The tree has everything that was handed over.
fn asks(catchup: &mut Catchup, now: Duration, root: (Round, Height)) -> Option<(u16, Result<BlockId, Height>)> {
    request(catchup.on_time(now, root, |_| true))
}

fn request(asked: Option<(ValidatorId, Message)>) -> Option<(u16, Result<BlockId, Height>)> {
    asked.map(|(to, message)| match message {
        Message::FetchRequest(request) => (to.0, Ok(request.block_id)),
        Message::CatchupRequest(request) => (to.0, Err(request.from)),
        other => panic!("{other:?}"),
    })
}

#[test]
fn whoever_does_not_answer_loses_its_turn_and_patience_grows_by_the_lap() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(3, 2), NOW);
    let (mut asked, mut now) = (Vec::new(), NOW);
    for _ in 0..12 {
        let (to, _) = asks(&mut catchup, now, ROOT).unwrap();
        assert_eq!(asks(&mut catchup, now, ROOT), None);
        let next = catchup.deadline().unwrap();
        asked.push((to, next.saturating_sub(now).as_millis()));
        now = next;
    }
    let lap = |patience| [(1, patience), (2, patience), (3, patience)];
    assert_eq!(asked, [lap(200), lap(400), lap(800), lap(800)].concat());
}

#[test]
fn a_chain_that_is_not_wanted_any_more_is_given_up_and_after_a_start_it_still_asks_around() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(3, 2), NOW);
    catchup.unwanted(NOW);
    assert!(catchup.is_behind());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    assert!(catchup.on_committed(ValidatorId(1), chain.nothing_from(2), NOW, (chain.id(1), Height(1))).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Err(Height(2)))));
    assert!(catchup.on_committed(ValidatorId(2), chain.nothing_from(2), NOW, (chain.id(1), Height(1))).is_none());
    assert!(!catchup.is_behind());
    catchup.want(chain.missing(3, 2), NOW);
    assert!(catchup.is_behind());
    catchup.unwanted(NOW);
    assert!(!catchup.is_behind());
    assert_eq!(asks(&mut catchup, NOW, ROOT), None);
}

#[test]
fn one_validator_cannot_say_for_all_that_there_is_nothing_newer() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.start(NOW);
    let root = (chain.id(1), Height(1));
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    for from in [2, 3, 1, 1, 1, 2, 3] {
        // Only validator 1 was asked, and once.
        assert!(catchup.on_committed(ValidatorId(from), chain.nothing_from(2), NOW, root).is_none());
    }
    assert!(catchup.is_behind());
}

#[test]
fn a_chain_is_joined_where_it_meets_the_tree_though_the_root_has_moved_above_its_end() {
    let chain = Chain::new(4);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(4, 2), NOW);
    assert_eq!(asks(&mut catchup, NOW, (Round(0), Height(0))), Some((1, Ok(chain.id(4)))));
    let blocks = catchup.on_fetched(ValidatorId(1), chain.fetched(&[4, 3, 2, 1]), NOW, Round(2), chain.knows(&[2, 3]));
    assert_eq!(rounds(blocks), [4]);
}

#[test]
fn what_was_fetched_is_kept_when_a_newer_block_is_wanted() {
    let chain = Chain::new(6);
    let mut catchup = chain.catchup();
    let knows = chain.knows(&[1]);
    catchup.want(chain.missing(4, 2), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Ok(chain.id(4)))));
    catchup.want(chain.missing(5, 2), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Ok(chain.id(5)))), "the first request may be lost");
    catchup.want(chain.missing(6, 2), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "not anew for every new block");
    // It answers for another block than the one wanted now.
    assert!(catchup.on_fetched(ValidatorId(1), chain.fetched(&[4, 3]), NOW, ROOT.0, &knows).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Ok(chain.id(6)))));
    assert!(catchup.on_fetched(ValidatorId(1), chain.fetched(&[6, 5]), NOW, ROOT.0, &knows).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Ok(chain.id(2)))), "between 6 and our root only this one is missing");
    let blocks = catchup.on_fetched(ValidatorId(3), chain.fetched(&[2]), NOW, ROOT.0, &knows);
    assert_eq!(rounds(blocks), [2, 3, 4, 5, 6]);
}

#[test]
fn a_late_answer_is_taken_and_an_answer_to_nothing_is_not() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(3, 2), NOW);
    let answer = |catchup: &mut Catchup, round: usize, now| {
        catchup.on_fetched(ValidatorId(3), chain.fetched(&[round]), now, ROOT.0, chain.knows(&[1, 2]))
    };
    assert!(answer(&mut catchup, 3, NOW).is_none(), "nobody was asked yet");
    assert!(asks(&mut catchup, NOW, ROOT).is_some());
    let later = catchup.deadline().unwrap();
    assert!(asks(&mut catchup, later, ROOT).is_some());
    assert!(answer(&mut catchup, 2, later).is_none(), "another block");
    assert_eq!(rounds(answer(&mut catchup, 3, later)), [3]);
    assert!(answer(&mut catchup, 3, later).is_none(), "once is enough");
}

#[test]
fn nobody_is_asked_twice_in_a_row_and_overlapping_answers_count() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 100), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    // A liar sends a block at a time.
    let blocks = catchup.on_committed(ValidatorId(1), chain.committed(2..=2), NOW, (chain.id(1), Height(1)));
    assert_eq!(rounds(blocks), [2]);
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "the engine has not taken it yet");
    let again = catchup.on_committed(ValidatorId(1), chain.committed(2..=2), NOW, (chain.id(1), Height(1)));
    assert!(again.is_none(), "it has been handed over already");
    let root = (Round(2), Height(2));
    catchup.handed_over(NOW);
    catchup.want(chain.missing(8, 99), NOW);
    assert_eq!(asks(&mut catchup, NOW, root), Some((2, Err(Height(3)))));
    // It pushes another one, unsolicited, before the honest answer arrives.
    assert_eq!(rounds(catchup.on_committed(ValidatorId(1), chain.committed(3..=3), NOW, (chain.id(2), Height(2)))), [3]);
    catchup.handed_over(NOW);
    assert_eq!(asks(&mut catchup, NOW, root), None, "the honest answer is outstanding");
    let blocks = catchup.on_committed(ValidatorId(2), chain.committed(3..=6), NOW, (chain.id(3), Height(3)));
    assert_eq!(rounds(blocks), [4, 5, 6]);
}

#[test]
fn a_stretch_longer_than_an_answer_comes_in_parts() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 100), NOW);
    let root = (chain.id(1), Height(1));
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    let (blocks, commit_qc) = catchup.on_committed(ValidatorId(1), chain.part(2..=4, 7), NOW, root).unwrap();
    assert_eq!((blocks.len(), commit_qc.unwrap().commits().unwrap().0), (3, chain.id(7)), "it commits a block still to come");
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "the engine has not taken them yet");
    catchup.handed_over(NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Err(Height(5)))), "what follows, although our root has not moved");
    assert!(catchup.on_committed(ValidatorId(1), chain.part(2..=4, 7), NOW, root).is_none(), "known");
    assert_eq!(rounds(catchup.on_committed(ValidatorId(2), chain.part(3..=5, 7), NOW, root)), [5], "an overlap is dropped");
    assert!(catchup.on_committed(ValidatorId(1), chain.part(6..=6, 7), NOW, root).is_none(), "one handover at a time");
    catchup.handed_over(NOW);
    // The next ones do not answer in time; one of them answers late.
    let mut now = NOW;
    for to in [3, 1, 2, 3] {
        now = catchup.deadline().unwrap();
        assert_eq!(asks(&mut catchup, now, ROOT), Some((to, Err(Height(6)))));
        catchup.want(chain.missing(8, 101), now);
    }
    let (blocks, commit_qc) = catchup.on_committed(ValidatorId(1), chain.committed(6..=7), now, root).unwrap();
    assert_eq!((blocks.len(), commit_qc.unwrap().commits().unwrap().0), (2, chain.id(7)));
}

#[test]
fn what_the_tree_has_dropped_is_asked_for_anew_whatever_else_is_wanted_meanwhile() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(7, 100), NOW);
    let root = (chain.id(1), Height(1));
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    assert_eq!(rounds(catchup.on_committed(ValidatorId(1), chain.part(2..=4, 6), NOW, root)), [2, 3, 4]);
    catchup.handed_over(NOW);
    let nothing = |_: &BlockId| false;
    assert_eq!(request(catchup.on_time(NOW, ROOT, nothing)), Some((2, Err(Height(2)))), "our root");
    catchup.want(chain.missing(8, 101), NOW);
    assert_eq!(rounds(catchup.on_committed(ValidatorId(2), chain.part(2..=4, 6), NOW, root)), [2, 3, 4]);
}

#[test]
fn committed_blocks_that_nobody_asked_for_hold_no_other_request_up() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 2), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Ok(chain.id(8)))));
    assert_eq!(rounds(catchup.on_committed(ValidatorId(3), chain.part(2..=2, 5), NOW, (chain.id(1), Height(1)))), [2]);
    catchup.handed_over(NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), None);
}

#[test]
fn what_nobody_has_committed_is_fetched_by_id() {
    let chain = Chain::new(4);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(4, 100), NOW);
    let root = (chain.id(1), Height(1));
    for to in [1, 2] {
        assert_eq!(asks(&mut catchup, NOW, ROOT), Some((to, Err(Height(2)))));
        assert!(catchup.on_committed(ValidatorId(to), chain.nothing_from(2), NOW, root).is_none());
    }
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((3, Ok(chain.id(4)))));
}

#[test]
fn a_chain_that_does_not_meet_ours_is_caught_up_with_by_height() {
    let chain = Chain::new(4);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(4, 2), NOW);
    assert!(asks(&mut catchup, NOW, ROOT).is_some());
    assert!(catchup.on_fetched(ValidatorId(1), chain.fetched(&[4, 3, 2, 1]), NOW, Round(1), |_| false).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Err(Height(2)))));
}

#[test]
fn by_id_up_to_sixty_four_rounds_and_beyond_by_height() {
    let chain = Chain::new(3);
    let first = |rounds_behind| {
        let mut catchup = chain.catchup();
        catchup.want(chain.missing(3, rounds_behind), NOW);
        asks(&mut catchup, NOW, ROOT)
    };
    assert_eq!(first(GAP_ROUNDS_FETCHED), Some((1, Ok(chain.id(3)))));
    assert_eq!(first(GAP_ROUNDS_FETCHED + 1), Some((1, Err(Height(2)))));
}

#[test]
fn we_do_not_ask_ourselves_though_we_signed_the_certificate() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.want(Missing { holders: vec![ME, ValidatorId(2)], ..chain.missing(3, 2) }, NOW);
    let mut now = NOW;
    let mut next = || {
        let asked = asks(&mut catchup, now, ROOT).map(|(to, _)| to);
        now = catchup.deadline().unwrap();
        asked
    };
    assert_eq!([next(), next(), next(), next()], [Some(2), Some(1), Some(3), Some(2)]);
}

#[test]
fn a_peer_that_has_nothing_passes_the_turn_on_at_once_until_all_have_had_one() {
    let chain = Chain::new(3);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(3, 2), NOW);
    for to in [1, 2, 3] {
        assert_eq!(asks(&mut catchup, NOW, ROOT), Some((to, Ok(chain.id(3)))));
        let other = ValidatorId(to % 3 + 1);
        assert!(catchup.on_fetched(other, chain.not_fetched(3), NOW, ROOT.0, chain.knows(&[1])).is_none());
        assert_eq!(asks(&mut catchup, NOW, ROOT), None, "it was not asked");
        assert!(catchup.on_fetched(ValidatorId(to), chain.not_fetched(3), NOW, ROOT.0, chain.knows(&[1])).is_none());
    }
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "asking in circles would flood the network");
    let later = catchup.deadline().unwrap();
    assert_eq!(asks(&mut catchup, later, ROOT), Some((1, Ok(chain.id(3)))));
}

#[test]
fn a_peer_whose_blocks_do_not_follow_ours_passes_the_turn_on_at_once() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 100), NOW);
    let answer =
        |catchup: &mut Catchup, from| catchup.on_committed(ValidatorId(from), chain.committed(4..=5), NOW, (chain.id(1), Height(1)));
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((1, Err(Height(2)))));
    assert!(answer(&mut catchup, 3).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "it was not asked");
    assert!(answer(&mut catchup, 1).is_none());
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Err(Height(2)))));
}

#[test]
fn while_the_engine_is_busy_with_a_handover_nothing_more_is_asked_for() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 100), NOW);
    assert!(asks(&mut catchup, NOW, ROOT).is_some());
    assert_eq!(rounds(catchup.on_committed(ValidatorId(1), chain.committed(2..=3), NOW, (chain.id(1), Height(1)))), [2, 3]);
    let mut now = NOW;
    for _ in 0..3 {
        now = catchup.deadline().unwrap();
        assert_eq!(asks(&mut catchup, now, ROOT), None);
        assert_eq!(catchup.deadline(), Some(now + PATIENCE));
    }
    catchup.handed_over(now);
    assert_eq!(asks(&mut catchup, now, ROOT), Some((2, Err(Height(4)))));
}

#[test]
fn answers_to_the_newest_sixteen_requests_are_taken() {
    let chain = Chain::new(20);
    let oldest_answered = |requests: usize| {
        let (mut catchup, mut now) = (chain.catchup(), NOW);
        for round in 4..4 + requests {
            catchup.want(chain.missing(round, 2), now);
            now = now.max(catchup.deadline().unwrap());
            assert_eq!(asks(&mut catchup, now, ROOT).unwrap().1, Ok(chain.id(round)));
        }
        catchup.on_fetched(ValidatorId(1), chain.fetched(&[4]), now, ROOT.0, chain.knows(&[3])).is_some()
    };
    assert!(oldest_answered(ASKED_MAX));
    assert!(!oldest_answered(ASKED_MAX + 1));
}

#[test]
fn a_chain_of_which_too_much_waits_is_caught_up_with_by_height() {
    let length = WAITING_MAX.0 + 10;
    let chain = Chain::new(length as u64);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(length, 2), NOW);
    let mut waiting = 0;
    while waiting < WAITING_MAX.0 {
        let newest = length - waiting;
        let (_, request) = asks(&mut catchup, NOW, ROOT).unwrap();
        assert_eq!(request, Ok(chain.id(newest)), "{waiting} are waiting");
        let count = (WAITING_MAX.0 - waiting).min(FETCH_BLOCKS_MAX);
        let fetched: Vec<usize> = (newest + 1 - count..=newest).rev().collect();
        assert!(catchup.on_fetched(ValidatorId(1), chain.fetched(&fetched), NOW, ROOT.0, chain.knows(&[1])).is_none());
        waiting += count;
    }
    assert!(matches!(asks(&mut catchup, NOW, ROOT), Some((_, Err(Height(2))))));
}

#[test]
fn whoever_claims_a_later_epoch_is_asked_next_and_once_in_a_row() {
    let chain = Chain::new(1);
    let mut catchup = Catchup::new(ME, Arc::clone(chain.verifier.committee()));
    catchup.started = true;
    let asked = |catchup: &mut Catchup, now| catchup.on_time(now, ROOT, |_| true).map(|(to, _)| to.0);
    catchup.on_later_epoch(ValidatorId(3), NOW);
    assert_eq!(asked(&mut catchup, NOW), Some(3));
    assert!(!catchup.is_behind(), "nothing is proved yet");
    // The same claim again, by a peer that does not answer.
    catchup.on_later_epoch(ValidatorId(3), NOW);
    let times = (1..=3).map(|turn| NOW + PATIENCE * turn);
    assert_eq!(times.map(|now| asked(&mut catchup, now)).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    catchup.on_later_epoch(ValidatorId(2), NOW);
    assert_eq!(asked(&mut catchup, NOW + PATIENCE * 8), Some(2));
}

#[test]
fn a_committee_of_one_asks_nobody() {
    let chain = Chain::new(1);
    let mut catchup = Catchup::new(ME, Arc::clone(chain.verifier.committee()));
    catchup.start(NOW);
    let alone = Committee::of_seats(
        Epoch(1),
        &[quorate_types::committee::Seat { id: ME, validator: chain.verifier.committee().get(ME).unwrap().clone() }],
    );
    let mut alone = catchup.next(ME, alone.unwrap());
    alone.start(NOW);
    assert!(!alone.is_behind() && alone.deadline().is_none());
}

#[test]
fn whoever_claims_a_later_epoch_is_asked_at_once_though_all_were_asked_by_id_in_vain() {
    let chain = Chain::new(8);
    let mut catchup = chain.catchup();
    catchup.want(chain.missing(8, 4), NOW);
    for holder in [1, 2, 3] {
        assert_eq!(asks(&mut catchup, NOW, ROOT), Some((holder, Ok(chain.id(8)))));
        catchup.on_fetched(ValidatorId(holder), chain.not_fetched(8), NOW, ROOT.0, |_| false);
    }
    assert_eq!(asks(&mut catchup, NOW, ROOT), None, "all have been asked in vain");
    catchup.on_later_epoch(ValidatorId(2), NOW);
    assert_eq!(asks(&mut catchup, NOW, ROOT), Some((2, Err(Height(2)))));
    // Each claim counts once, and only until something by height is asked for.
    for claimant in [3, 2, 1] {
        catchup.on_later_epoch(ValidatorId(claimant), NOW);
        assert_eq!(asks(&mut catchup, NOW, ROOT), None);
    }
}
