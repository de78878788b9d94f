//! What the dashboard knows. Answers come in at [`State::apply`], where their texts are escaped and their lists are bounded.

use std::{collections::VecDeque, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use quorate_terminal::escape_untrusted;
use quorate_types::{
    committee::VALIDATORS_MAX,
    diagnosis::ConsensusView,
    event::{BlockEvent, LedBy, NodeEvent},
    round::{Epoch, Height, Round, UnixMillis},
    rpc::{EvidenceList, NodeStatus},
};

use crate::ask::Asked;

/// Seconds that the charts show.
pub(crate) const SECONDS_MAX: usize = 120;
/// Commits kept for each node.
pub(crate) const COMMITS_MAX: usize = 64;
/// Lost rounds kept for each node.
const LOST_MAX: usize = 64;
/// Evidence shown of each node.
const EVIDENCE_MAX: usize = 3;
/// Whole seconds over which rates are averaged.
const RATE_SECONDS: usize = 10;
/// Rows that a page key scrolls.
const PAGE: usize = 8;

/// What a node has answered or told.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The position of the node.
    pub(crate) node: usize,
    /// When, since the start.
    pub(crate) at: Duration,
    pub(crate) news: News,
}

/// What it is, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// The answers of a second.
    Asked(Box<Asked>),
    /// A committed block, and whether it was committed since the stream was opened.
    Block(Result<(BlockEvent, bool), String>),
    /// Something that the node has seen.
    Seen(Result<NodeEvent, String>),
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// It changes what is shown, or nothing.
    Shown,
    Quit,
    Interrupt,
}

/// Everything that is shown.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Node>,
    /// The position of the node whose view is shown.
    pub(crate) chosen: usize,
    /// Rows of the committee above the first one shown.
    pub(crate) scrolled: usize,
    pub(crate) helps: bool,
    pub(crate) colored: bool,
    /// Time since the start.
    pub(crate) now: Duration,
}

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Plain,
    Warning,
    Bad,
}

/// A node that is asked. All texts are escaped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) url: String,
    /// The last status, and when it came.
    pub(crate) status: Option<(Duration, NodeStatus)>,
    /// Why the last question about it has no answer.
    pub(crate) silence: Option<String>,
    /// The last view of consensus, and when it came.
    pub(crate) consensus: Option<(Duration, ConsensusView)>,
    unexplained: Option<String>,
    /// Some of the evidence in words, and how much there is.
    evidence: (Vec<String>, usize),
    without_evidence: Option<String>,
    /// Oldest first.
    pub(crate) commits: VecDeque<Commit>,
    /// Oldest first.
    pub(crate) lost: VecDeque<Lost>,
    /// Oldest first; the last one is not over.
    seconds: VecDeque<Second>,
    /// The round that the node is in.
    entered: Option<Entered>,
    pub(crate) last_round_ms: Option<u64>,
    without_blocks: Option<String>,
    without_rounds: Option<String>,
}

/// A committed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) height: Height,
    pub(crate) epoch: Epoch,
    pub(crate) round: Round,
    pub(crate) author: String,
    pub(crate) transactions: u32,
    pub(crate) time: UnixMillis,
}

/// A round that timeouts have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) round: Round,
    /// Its leader, if the node was in this round.
    pub(crate) leader: Option<String>,
    /// When it ended, by the node's clock.
    pub(crate) time: UnixMillis,
}

#[derive(Clone, Debug)]
struct Entered {
    epoch: Epoch,
    round: Round,
    leader: String,
    at: UnixMillis,
}

/// What happened in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Second {
    pub(crate) blocks: u64,
    pub(crate) transactions: u64,
    /// The time of the longest round that ended.
    pub(crate) round_ms: u64,
}

impl State {
    pub(crate) fn new<'a>(urls: impl Iterator<Item = &'a str>, colored: bool) -> Self {
        let node = |url| Node { url: escape_untrusted(url), seconds: VecDeque::from([Second::default()]), ..Node::default() };
        Self { nodes: urls.map(node).collect(), chosen: 0, scrolled: 0, helps: false, colored, now: Duration::ZERO }
    }

    /// Takes in what a node has answered.
    pub(crate) fn apply(&mut self, Answer { node, at, news }: Answer) {
        self.tick(at);
        let Some(node) = self.nodes.get_mut(node) else { return };
        match news {
            News::Asked(asked) => node.answered(*asked, at),
            News::Block(told) => match told {
                Ok((block, is_new)) => node.committed(block, is_new),
                Err(reason) => node.without_blocks = Some(escape_untrusted(&reason)),
            },
            News::Seen(seen) => match seen {
                Ok(event) => node.saw(event),
                Err(reason) => (node.without_rounds, node.entered) = (Some(escape_untrusted(&reason)), None),
            },
        }
    }

    /// Time passes. It never goes back.
    pub(crate) fn tick(&mut self, now: Duration) {
        let passed = now.as_secs().saturating_sub(self.now.as_secs());
        self.now = self.now.max(now);
        for _ in 0..passed.min(SECONDS_MAX as u64) {
            for node in &mut self.nodes {
                keep(&mut node.seconds, Second::default(), SECONDS_MAX);
            }
        }
    }

    /// The node whose view is shown.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.nodes.get(self.chosen)
    }

    pub(crate) fn press(&mut self, key: KeyEvent) -> Pressed {
        if key.kind == KeyEventKind::Release {
            return Pressed::Shown;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Pressed::Interrupt,
            KeyCode::Char('q') => return Pressed::Quit,
            KeyCode::Esc if !self.helps => return Pressed::Quit,
            KeyCode::Esc => self.helps = false,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.helps = !self.helps,
            KeyCode::Down | KeyCode::Right | KeyCode::Tab | KeyCode::Char('j') => self.choose(1),
            KeyCode::Up | KeyCode::Left | KeyCode::BackTab | KeyCode::Char('k') => self.choose(self.nodes.len().saturating_sub(1)),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(PAGE).min(self.scrolled_max()),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(PAGE),
            _ => {}
        }
        Pressed::Shown
    }

    /// Chooses the node that is so many places further on, round and round.
    fn choose(&mut self, places: usize) {
        self.chosen = self.chosen.saturating_add(places).checked_rem(self.nodes.len()).unwrap_or(0);
        self.scrolled = 0;
    }

    fn scrolled_max(&self) -> usize {
        let view = self.node().and_then(|node| node.consensus.as_ref());
        view.map_or(0, |(_, view)| view.validators.len().saturating_sub(1))
    }

    /// What is wrong with the chosen node, the worst first.
    pub(crate) fn troubles(&self) -> Vec<(Tone, String)> {
        let Some(node) = self.node() else { return Vec::new() };
        let mut troubles = node.troubles(self.now);
        troubles.extend(self.nodes.iter().filter_map(|other| node.differs_from(other)).map(|difference| (Tone::Bad, difference)));
        // The order among equals stays.
        troubles.sort_by_key(|(tone, _)| *tone != Tone::Bad);
        troubles
    }
}

impl Node {
    /// The name that it gives itself, else its URL.
    pub(crate) fn name(&self) -> &str {
        self.status.as_ref().map_or(self.url.split_once("://").map_or(&self.url, |(_, host)| host), |(_, status)| &status.name)
    }

    fn answered(&mut self, Asked { status, consensus, evidence }: Asked, at: Duration) {
        match status {
            Ok(status) => (self.status, self.silence) = (Some((at, escaped_status(status))), None),
            Err(reason) => self.silence = Some(escape_untrusted(&reason)),
        }
        match consensus {
            Ok(view) => (self.consensus, self.unexplained) = (Some((at, escaped_consensus(view))), None),
            Err(reason) => self.unexplained = Some(escape_untrusted(&reason)),
        }
        match evidence {
            Ok(list) => (self.evidence, self.without_evidence) = (in_words(&list), None),
            Err(reason) => self.without_evidence = Some(escape_untrusted(&reason)),
        }
    }

    fn committed(&mut self, block: BlockEvent, is_new: bool) {
        self.without_blocks = None;
        if is_new && let Some(second) = self.seconds.back_mut() {
            second.blocks = second.blocks.saturating_add(1);
            second.transactions = second.transactions.saturating_add(block.transactions_total.into());
        }
        let BlockEvent { height, epoch, round, timestamp, author, transactions_total, .. } = block;
        if self.commits.back().is_some_and(|last| last.height >= height) {
            // Another chain at the same URL.
            self.commits.clear();
        }
        let author = author.map_or_else(|| "-".into(), |author| escape_untrusted(&author));
        let commit = Commit { height, epoch, round, author, transactions: transactions_total, time: timestamp };
        keep(&mut self.commits, commit, COMMITS_MAX);
    }

    fn saw(&mut self, event: NodeEvent) {
        self.without_rounds = None;
        let (at, epoch, round, leader, led_by) = match event {
            NodeEvent::Round { at, epoch, round, leader, led_by } => (at, epoch, round, leader, led_by),
            NodeEvent::Gap { .. } => {
                self.entered = None;
                return;
            }
            // The round that it belongs to is told when it ends, and evidence is asked for.
            NodeEvent::Timeout { .. } | NodeEvent::Evidence(_) => return,
        };
        let entered = Entered { epoch, round, leader: escape_untrusted(&leader), at };
        let before = self.entered.replace(entered).filter(|before| before.epoch == epoch && before.round.next() == round);
        if let Some(before) = &before {
            let took = at.since(before.at);
            self.last_round_ms = Some(took);
            if let Some(second) = self.seconds.back_mut() {
                second.round_ms = second.round_ms.max(took);
            }
        }
        if led_by == LedBy::Timeouts
            && let Some(round) = round.previous()
        {
            keep(&mut self.lost, Lost { round, leader: before.map(|before| before.leader), time: at }, LOST_MAX);
        }
    }

    /// Its state in a word or two.
    pub(crate) fn standing(&self, now: Duration) -> (Tone, String) {
        let stalled = self.consensus.as_ref().is_some_and(|(_, view)| view.stall.is_some());
        match (&self.silence, &self.status) {
            (None, None) => (Tone::Plain, "asking".into()),
            (Some(_), None) => (Tone::Bad, "no answer".into()),
            (Some(_), Some((at, _))) => (Tone::Bad, format!("no answer {}", short(now.saturating_sub(*at)))),
            (None, Some(_)) if stalled => (Tone::Bad, "stalled".into()),
            (None, Some((_, status))) if status.signs_nothing.is_some() => (Tone::Warning, "signs nothing".into()),
            (None, Some((_, status))) if status.catching_up => (Tone::Warning, "catching up".into()),
            (None, Some(_)) if self.unexplained.is_some() => (Tone::Warning, "slow".into()),
            (None, Some(_)) => (Tone::Good, "ok".into()),
        }
    }

    fn troubles(&self, now: Duration) -> Vec<(Tone, String)> {
        let mut troubles = Vec::new();
        if let Some(reason) = &self.silence {
            let since = self.status.as_ref().map_or_else(|| "yet".into(), |(at, _)| format!("for {}", short(now.saturating_sub(*at))));
            troubles.push((Tone::Bad, format!("{} has not answered {since}: {reason}", self.name())));
        }
        if let Some((_, view)) = &self.consensus
            && let Some(stall) = &view.stall
        {
            troubles.push((Tone::Bad, format!("stalled: {}", stall.summary)));
        }
        let (shown, total) = &self.evidence;
        troubles.extend(shown.iter().map(|evidence| (Tone::Bad, format!("evidence: {evidence}"))));
        let more = total.saturating_sub(shown.len());
        if more > 0 {
            troubles.push((Tone::Bad, format!("evidence: and {more} more at /v1/evidence")));
        }
        if self.silence.is_some() {
            return troubles;
        }
        if let Some((_, status)) = &self.status {
            if let Some(reason) = &status.signs_nothing {
                troubles.push((Tone::Warning, format!("signs nothing: {reason}")));
            }
            if status.catching_up {
                troubles.push((Tone::Warning, "catching up: it is fetching blocks that others have committed".into()));
            }
        }
        let missing = [
            ("the state of consensus", &self.unexplained),
            ("the evidence", &self.without_evidence),
            ("the commits", &self.without_blocks),
            ("the rounds", &self.without_rounds),
        ];
        for (what, reason) in missing {
            troubles.extend(reason.as_ref().map(|reason| (Tone::Warning, format!("{what} cannot be shown: {reason}"))));
        }
        troubles
    }

    /// How it contradicts another node, if it does.
    fn differs_from(&self, other: &Self) -> Option<String> {
        let ((_, one), (_, two)) = (self.status.as_ref()?, other.status.as_ref()?);
        let name = |status: &NodeStatus| status.name.clone();
        if one.genesis_hash != two.genesis_hash {
            return Some(format!(
                "{} and {} belong to different networks: {} and {}",
                name(one),
                name(two),
                one.genesis_hash,
                two.genesis_hash
            ));
        }
        let is_fork = one.height == two.height && one.state_id != two.state_id;
        is_fork.then(|| format!("{} and {} have different results at height {}", name(one), name(two), one.height))
    }

    /// One figure of each second that the charts show, oldest first.
    pub(crate) fn series(&self, figure: impl Fn(&Second) -> u64) -> Vec<u64> {
        self.seconds.iter().map(figure).collect()
    }

    /// The mean of a figure per second, in tenths, over the last whole seconds.
    pub(crate) fn tenths(&self, figure: impl Fn(&Second) -> u64) -> u64 {
        let whole = self.seconds.iter().rev().skip(1).take(RATE_SECONDS);
        let (sum, count) = whole.fold((0u64, 0u64), |(sum, count), second| (sum.saturating_add(figure(second)), count.saturating_add(1)));
        sum.saturating_mul(10).checked_div(count).unwrap_or(0)
    }

    /// Rounds between a commit and the one before it in its epoch, if that is known.
    pub(crate) fn lost_before(&self, place: usize) -> Option<u64> {
        let (before, commit) = (self.commits.get(place.checked_sub(1)?)?, self.commits.get(place)?);
        let follows = before.epoch == commit.epoch && before.height.next() == commit.height;
        follows.then(|| commit.round.since(before.round.next()))
    }
}

/// Adds one, and forgets the oldest beyond `max`.
fn keep<T>(list: &mut VecDeque<T>, one: T, max: usize) {
    if list.len() >= max {
        list.pop_front();
    }
    list.push_back(one);
}

/// A time in its largest unit.
pub(crate) fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn escape(text: &mut String) {
    *text = escape_untrusted(text);
}

fn escaped_status(mut status: NodeStatus) -> NodeStatus {
    let NodeStatus { name, version, application, network, signs_nothing, peers, .. } = &mut status;
    [name, version, application, network].into_iter().chain(signs_nothing).for_each(escape);
    peers.truncate(VALIDATORS_MAX);
    for peer in peers {
        [&mut peer.name, &mut peer.address].into_iter().chain(&mut peer.reason).for_each(escape);
    }
    status
}

fn escaped_consensus(mut view: ConsensusView) -> ConsensusView {
    let ConsensusView { name, leader, validators, stall, .. } = &mut view;
    [name, leader].into_iter().chain(stall.iter_mut().map(|stall| &mut stall.summary)).for_each(escape);
    if let Some(stall) = stall {
        // The summary names them.
        stall.missing.clear();
    }
    validators.truncate(VALIDATORS_MAX);
    for validator in validators {
        escape(&mut validator.name);
        validator.link.iter_mut().filter_map(|link| link.reason.as_mut()).for_each(escape);
    }
    view
}

fn in_words(EvidenceList { evidence }: &EvidenceList) -> (Vec<String>, usize) {
    let words = evidence.iter().take(EVIDENCE_MAX).map(|one| {
        format!("{} signed two different {}s in round {} of epoch {}", escape_untrusted(&one.validator), one.kind, one.round, one.epoch)
    });
    (words.collect(), evidence.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NAMES, asked, block, network, round, seconds, silent, tell, tell_asked};

    fn press(state: &mut State, code: KeyCode) -> Pressed {
        state.press(KeyEvent::from(code))
    }

    #[test]
    fn keys_choose_scroll_help_and_leave() {
        let mut state = network();
        for (code, chosen) in
            [(KeyCode::Down, 1), (KeyCode::Tab, 2), (KeyCode::Up, 1), (KeyCode::BackTab, 0), (KeyCode::Up, 3), (KeyCode::Down, 0)]
        {
            assert_eq!((press(&mut state, code), state.chosen), (Pressed::Shown, chosen), "{code:?}");
        }
        for _ in 0..3 {
            press(&mut state, KeyCode::PageDown);
            assert_eq!(state.scrolled, NAMES.len() - 1, "the last one stays in sight");
        }
        press(&mut state, KeyCode::Down);
        assert_eq!(state.scrolled, 0, "another committee");
        press(&mut state, KeyCode::Char('?'));
        assert_eq!((press(&mut state, KeyCode::Esc), state.helps), (Pressed::Shown, false));
        assert_eq!(press(&mut state, KeyCode::Esc), Pressed::Quit);
        assert_eq!(press(&mut state, KeyCode::Char('q')), Pressed::Quit);
        assert_eq!(press(&mut state, KeyCode::Char('c')), Pressed::Shown);
        assert_eq!(state.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Pressed::Interrupt);
    }

    #[test]
    fn figures_are_of_the_second_in_which_they_were_told_and_fade_after_two_minutes() {
        let mut state = network();
        tell(&mut state, 0, 5, News::Block(Ok((block(121, 121), false))));
        let blocks = |state: &State| state.nodes[0].series(|second| second.blocks);
        assert_eq!(blocks(&state), [0, 0, 1, 1, 1, 0], "a block from before the stream is no news");
        state.tick(seconds(14));
        assert_eq!(state.nodes[0].tenths(|second| second.transactions), 5, "seconds 4 to 13");
        // Time that goes back changes nothing.
        state.tick(seconds(3));
        assert_eq!((state.now, blocks(&state).len()), (seconds(14), 15));
        state.tick(seconds(123));
        assert_eq!(blocks(&state).iter().sum::<u64>(), 1);
        state.tick(seconds(100_000));
        assert_eq!(blocks(&state), [0; SECONDS_MAX]);
    }

    #[test]
    fn a_lost_round_has_the_leader_that_was_waited_for() {
        let mut state = network();
        let mut see = |number, at, leader: &str, led_by| tell(&mut state, 0, 5, News::Seen(Ok(round(number, at, leader, led_by))));
        see(7, 0, "alice", LedBy::Timeouts);
        see(8, 300, "bob", LedBy::Certificate);
        see(9, 1_400, "carol", LedBy::Timeouts);
        see(12, 1_500, "dave", LedBy::Timeouts);
        let node = &state.nodes[0];
        let lost: Vec<_> = node.lost.iter().map(|lost| (lost.round.0, lost.leader.as_deref())).collect();
        assert_eq!(lost, [(6, None), (8, Some("bob")), (11, None)], "of rounds that it was not in, it knows no leader");
        assert_eq!(node.last_round_ms, Some(1_100));
        assert_eq!(node.seconds.back().unwrap(), &Second { round_ms: 1_100, ..Second::default() });
        // After a gap, nothing is known of the round before.
        tell(&mut state, 0, 5, News::Seen(Ok(NodeEvent::Gap { asked: 1, next: 2 })));
        tell(&mut state, 0, 5, News::Seen(Ok(round(13, 1_600, "alice", LedBy::Timeouts))));
        assert_eq!(state.nodes[0].lost.back().unwrap().leader, None);
    }

    #[test]
    fn rounds_between_commits_are_lost_unless_something_is_missing() {
        let mut state = network();
        let mut commit = |block| tell(&mut state, 0, 5, News::Block(Ok((block, true))));
        commit(block(122, 125));
        commit(BlockEvent { epoch: Epoch(3), ..block(123, 1) });
        commit(BlockEvent { epoch: Epoch(3), ..block(124, 2) });
        let lost = |state: &State| (0..8).map(|place| state.nodes[0].lost_before(place)).collect::<Vec<_>>();
        assert_eq!(lost(&state), [None, Some(0), Some(1), None, None, Some(0), None, None]);
        // The same URL, another chain.
        tell(&mut state, 0, 5, News::Block(Ok((block(1, 1), true))));
        assert_eq!(state.nodes[0].commits.len(), 1);
    }

    #[test]
    fn lists_are_bounded() {
        let mut state = network();
        for number in 0..1_000 {
            tell(&mut state, 0, 5, News::Block(Ok((block(200 + number, 200 + number), true))));
            tell(&mut state, 0, 5, News::Seen(Ok(round(number + 1, 0, "alice", LedBy::Timeouts))));
        }
        let node = &state.nodes[0];
        assert_eq!((node.commits.len(), node.lost.len()), (COMMITS_MAX, LOST_MAX));
        assert_eq!((node.commits.back().unwrap().height, node.lost.back().unwrap().round), (Height(1_199), Round(999)));
    }

    #[test]
    fn troubles_come_and_go() {
        let mut state = network();
        assert_eq!(state.troubles(), []);
        tell(&mut state, 0, 5, News::Seen(Err("busy".into())));
        let mut joining = asked("alice");
        let status = joining.status.as_mut().unwrap();
        (status.catching_up, status.signs_nothing) = (true, Some("its memory is lost".into()));
        tell_asked(&mut state, 0, 5, joining);
        let texts: Vec<_> = state.troubles().into_iter().map(|(tone, text)| (tone == Tone::Bad, text)).collect();
        assert_eq!(
            texts,
            [
                (false, "signs nothing: its memory is lost".to_owned()),
                (false, "catching up: it is fetching blocks that others have committed".to_owned()),
                (false, "the rounds cannot be shown: busy".to_owned()),
            ]
        );
        // Of a node that is gone, only that is known.
        tell_asked(&mut state, 0, 8, silent("refused"));
        assert_eq!(state.troubles(), [(Tone::Bad, "alice has not answered for 3s: refused".to_owned())]);
        assert_eq!(state.nodes[0].standing(seconds(9)), (Tone::Bad, "no answer 4s".to_owned()));
        tell_asked(&mut state, 0, 10, asked("alice"));
        tell(&mut state, 0, 10, News::Seen(Ok(round(1, 0, "alice", LedBy::Certificate))));
        assert_eq!(state.troubles(), []);
    }

    #[test]
    fn a_node_without_an_answer_has_its_url_for_a_name() {
        let mut state = State::new(["http://127.0.0.1:7100"].into_iter(), true);
        assert_eq!((state.nodes[0].name(), state.nodes[0].standing(state.now).1.as_str()), ("127.0.0.1:7100", "asking"));
        tell_asked(&mut state, 0, 1, silent("refused"));
        assert_eq!(state.troubles(), [(Tone::Bad, "127.0.0.1:7100 has not answered yet: refused".to_owned())]);
    }

    #[test]
    fn a_time_is_shown_in_its_largest_unit() {
        let shown = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|time| short(seconds(time)));
        assert_eq!(shown, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
        assert_eq!(short(Duration::MAX), "213503982334601d");
    }
}
