//! A network of four validators for tests: what its nodes answer, and a server that answers it.

use std::time::Duration;

use axum::{Router, routing::get};
use quorate_types::{
    crypto::Hash,
    diagnosis::{ConsensusView, LastVote, LinkState, LinkView, Stall, ValidatorStanding},
    event::{BlockEvent, LedBy, NodeEvent},
    ids::{BlockId, ChainId, EvidenceId, GenesisHash, StateId},
    round::{Epoch, Height, Round, UnixMillis},
    rpc::{EvidenceList, EvidenceView, NodeStatus, PeerView},
    sighting::StatementKind,
};

use crate::{
    ask::Asked,
    state::{Answer, News, State},
};

/// A node that nobody runs.
pub(crate) const REFUSED: &str = "http://127.0.0.1:1";

pub(crate) const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// What one of them reports while nothing is committed.
pub(crate) const STALL: &str = "nothing has been committed for 24 s: 2 of 4 validators answer, 3 are needed; \
     missing: carol (last seen in round 118, link down for 20 s: Connection refused), dave (never seen)";

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn status(name: &str) -> NodeStatus {
    let peer = |name: &&str| PeerView { name: (*name).into(), address: "/ip4/127.0.0.1".into(), connected: true, reason: None };
    NodeStatus {
        name: name.into(),
        version: "0.1.0".into(),
        application: "bank".into(),
        application_version: 1,
        network: "riverside".into(),
        chain_id: ChainId(7),
        genesis_hash: GenesisHash::default(),
        epoch: Epoch(2),
        round: Round(121),
        height: Height(120),
        state_id: StateId::default(),
        state_root: StateId::default(),
        timestamp: UnixMillis(1_790_000_000_000),
        pool_transactions: 17,
        catching_up: false,
        signs_nothing: None,
        peers: NAMES.iter().filter(|other| **other != name).map(peer).collect(),
    }
}

pub(crate) fn consensus(name: &str) -> ConsensusView {
    let standing = |other: &&str| ValidatorStanding {
        name: (*other).into(),
        power: 1,
        last_round: Some(Round(121)),
        claimed_round: None,
        last_vote: Some(LastVote { round: Round(120), block_id: BlockId::default() }),
        link: (*other != name).then_some(LinkView { state: LinkState::Up, since_ms: 90_000, reason: None }),
        heard_ms_ago: (*other != name).then_some(400),
    };
    ConsensusView {
        name: name.into(),
        round: Round(121),
        leader: "bob".into(),
        high_qc_round: Round(120),
        height: Height(120),
        committed_round: Round(119),
        highest_vote_round: Round(120),
        locked_round: Round(119),
        catching_up: false,
        since_commit_ms: 900,
        patience_ms: 11_000,
        quorum_power: 3,
        total_power: 4,
        validators: NAMES.iter().map(standing).collect(),
        stall: None,
    }
}

pub(crate) fn asked(name: &str) -> Asked {
    Asked { status: Ok(status(name)), consensus: Ok(consensus(name)), evidence: Ok(EvidenceList::default()) }
}

pub(crate) fn silent(reason: &str) -> Asked {
    Asked { status: Err(reason.into()), consensus: Err(reason.into()), evidence: Err(reason.into()) }
}

pub(crate) fn stalled(name: &str) -> Asked {
    let stall = Stall { summary: STALL.into(), answering_power: 2, missing: vec!["carol".into(), "dave".into()] };
    Asked { consensus: Ok(ConsensusView { stall: Some(stall), ..consensus(name) }), ..asked(name) }
}

pub(crate) fn accused(validator: &str) -> EvidenceView {
    let (id, kind) = (EvidenceId::default(), StatementKind::Vote);
    EvidenceView { id, validator: validator.into(), kind, epoch: Epoch(2), round: Round(55) }
}

pub(crate) fn block(height: u64, round: u64) -> BlockEvent {
    BlockEvent {
        height: Height(height),
        epoch: Epoch(2),
        round: Round(round),
        block_id: BlockId::default(),
        state_id: StateId(Hash([1; 32])),
        // 2026-09-21 14:13:20 UTC
        timestamp: UnixMillis(1_790_000_000_000),
        author: Some("carol".into()),
        transactions_total: 5,
        next_epoch: None,
    }
}

pub(crate) fn round(round: u64, at: u64, leader: &str, led_by: LedBy) -> NodeEvent {
    NodeEvent::Round { at: UnixMillis(1_790_000_000_000 + at), epoch: Epoch(2), round: Round(round), leader: leader.into(), led_by }
}

pub(crate) fn tell(state: &mut State, node: usize, at: u64, news: News) {
    state.apply(Answer { node, at: seconds(at), news });
}

pub(crate) fn tell_asked(state: &mut State, node: usize, at: u64, asked: Asked) {
    tell(state, node, at, News::Asked(Box::new(asked)));
}

/// Four nodes that have answered after a second, and told three blocks.
pub(crate) fn network() -> State {
    let urls: Vec<_> = (0..4).map(|number| format!("http://127.0.0.1:710{number}")).collect();
    let mut state = State::new(urls.iter().map(String::as_str), true);
    for (node, name) in NAMES.iter().enumerate() {
        tell_asked(&mut state, node, 1, asked(name));
        for (at, height, number) in [(2, 118, 117), (3, 119, 118), (4, 120, 120)] {
            tell(&mut state, node, at, News::Block(Ok((block(height, number), true))));
        }
    }
    state
}

/// Serves what alice answers, and two streams that end. Returns its URL.
pub(crate) async fn serve() -> String {
    fn json<T: serde::Serialize>(value: &T) -> String {
        serde_json::to_string(value).unwrap()
    }
    fn event(name: &str, data: &impl serde::Serialize) -> String {
        format!("id: 1\nevent: {name}\ndata: {}\n\n", json(data))
    }
    // A comment in between, as on a quiet network.
    let blocks = [event("block", &block(120, 120)), ":\n\n".into(), event("block", &block(121, 121))].concat();
    let timeout = NodeEvent::Timeout { at: UnixMillis(9), epoch: Epoch(2), round: Round(121), leader: "bob".into() };
    let seen = [event("round", &round(121, 0, "bob", LedBy::Certificate)), event("timeout", &timeout)].concat();
    let paths = [
        ("/v1/status", json(&status("alice"))),
        ("/v1/consensus", json(&consensus("alice"))),
        ("/v1/evidence", json(&EvidenceList::default())),
        ("/v1/events", blocks),
        ("/v1/events/node", seen),
    ];
    let router = paths.into_iter().fold(Router::new(), |router, (path, body)| router.route(path, get(async move || body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}
