//! Draws what is known, on a screen of any size. What does not fit is left out: the nodes and their troubles come first, the charts last.
//!
//! The terminal's own foreground and background are kept, and colours only stress what words say, so it is readable on light, dark and without.

use std::time::Duration;

use quorate_terminal::in_this_program;
use quorate_types::{
    diagnosis::{ConsensusView, LinkState, ValidatorStanding},
    round::UnixMillis,
    rpc::NodeStatus,
};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Clear, Paragraph, Row, Sparkline, Table, TableState, Wrap},
};

use crate::state::{Node, SECONDS_MAX, Second, State, Tone, short};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const KEYS: &str = "q quit   ↑ ↓ choose a node   PgUp PgDn scroll the committee   ? help";
const HELP: [&str; 18] = [
    "q, Esc        quit",
    "↑ ↓, Tab      choose the node whose view is shown",
    "PgUp, PgDn    scroll the committee",
    "?             show or hide this",
    "",
    "COMMIT   time since the node's last commit, or its start",
    "POOL     transactions that wait for a block",
    "LINKS    validators that the node is linked to, of the others",
    "HEARD    time since the last message over the link",
    "ROUND    last round of a signed message; '?': a claim only",
    "VOTE     round of the last vote that was seen",
    "LOST     rounds without a block before this one",
    "",
    "Charts show the last two minutes, the newest at the right.",
    "A rate is the mean of the last ten seconds, a round time is",
    "the last one, a peak the highest of a second. An idle chain",
    "commits one empty block per heartbeat: its rounds are long.",
    "Nothing here is proved: it is what the nodes say.",
];

/// Draws a frame.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State) {
    let mut rest = frame.area();
    let height = rest.height;
    title(frame, state, take(&mut rest, 1));
    if height > 5 {
        let keys = Rect { y: rest.bottom().saturating_sub(1), height: 1, ..rest };
        rest.height = rest.height.saturating_sub(1);
        frame.render_widget(Line::raw(KEYS), keys);
    }
    nodes(frame, state, take(&mut rest, rows(state.nodes.len()).min((height / 4).max(2)).saturating_add(1)));
    let troubles: Vec<Line<'_>> = state.troubles().into_iter().map(|(tone, text)| Line::styled(text, style(tone, state))).collect();
    let needed = troubles.iter().map(|line| wrapped(line, rest.width)).fold(0, u16::saturating_add);
    frame.render_widget(Paragraph::new(troubles).wrap(Wrap { trim: true }), take(&mut rest, needed.min((height / 4).max(1))));
    if let Some(node) = state.node() {
        let validators = node.consensus.as_ref().map_or(0, |(_, view)| view.validators.len());
        committee(frame, state, node, take(&mut rest, rows(validators).min((height / 3).max(2)).saturating_add(2)));
        let [left, right] = Layout::horizontal([Constraint::Fill(4), Constraint::Fill(5)]).spacing(1).areas(rest);
        charts(frame, node, left);
        let [commits, lost] = if rest.width >= 120 {
            Layout::horizontal([Constraint::Fill(5), Constraint::Fill(4)]).spacing(1).areas(right)
        } else {
            Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]).areas(right)
        };
        last_commits(frame, node, commits);
        lost_rounds(frame, node, lost);
    }
    if state.helps {
        help(frame);
    }
}

/// Cuts rows off the top.
fn take(rest: &mut Rect, rows: u16) -> Rect {
    let top = Rect { height: rows.min(rest.height), ..*rest };
    rest.y = rest.y.saturating_add(top.height);
    rest.height = rest.height.saturating_sub(top.height);
    top
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Rows that a line takes, broken between words.
fn wrapped(line: &Line<'_>, width: u16) -> u16 {
    let width = usize::from(width.max(1));
    let (mut rows_above, mut used) = (0usize, 0usize);
    for word in line.spans.iter().flat_map(|span| span.content.split(' ')) {
        let word = Span::raw(word).width();
        let with_space = used.saturating_add(word).saturating_add(usize::from(used > 0));
        if with_space <= width {
            used = with_space;
        } else {
            let parts = word.saturating_sub(1) / width;
            rows_above = rows_above.saturating_add(parts).saturating_add(usize::from(used > 0));
            used = word.saturating_sub(parts.saturating_mul(width));
        }
    }
    rows(rows_above.saturating_add(1))
}

fn style(tone: Tone, state: &State) -> Style {
    // The named colours follow the terminal's theme; yellow and cyan are too pale on white, blue too dark on black.
    let colored = |style: Style, color| if state.colored { style.fg(color) } else { style };
    match tone {
        Tone::Good => colored(Style::new(), Color::Green),
        Tone::Plain => Style::new(),
        Tone::Warning => colored(BOLD, Color::Magenta),
        Tone::Bad => colored(BOLD, Color::Red),
    }
}

/// A section's area below its titled rule.
fn section<'a>(frame: &mut Frame<'_>, heading: impl Into<Line<'a>>, area: Rect) -> Rect {
    let rule = Block::new().borders(Borders::TOP).title(heading.into().style(BOLD));
    let inner = rule.inner(area);
    frame.render_widget(rule, area);
    inner
}

fn title(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut line = Line::from(Span::styled(in_this_program("quorate monitor".into()), BOLD));
    if let Some(node) = state.node() {
        line.push_span(format!("   {}", node.url));
        if let Some((_, status)) = &node.status {
            let NodeStatus { network, chain_id, application, application_version, .. } = status;
            line.push_span(format!("   {network} (chain {chain_id})   {application} v{application_version}"));
        }
    }
    frame.render_widget(line, area);
}

fn nodes(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let headings = ["NODE", "VERSION", "HEIGHT", "EPOCH", "ROUND", "COMMIT", "POOL", "LINKS", "STATE"];
    let (more, number) = widths(area);
    let widths = [11u16.saturating_add(more), 7, number, 5, number, 6, 5, 5].map(Constraint::Length);
    let table = state.nodes.iter().map(|node| node_row(state, node));
    let table = Table::new(table, widths.into_iter().chain([Constraint::Fill(1)]))
        .header(Row::new(headings).style(BOLD))
        .highlight_symbol("> ")
        .row_highlight_style(BOLD);
    frame.render_stateful_widget(table, area, &mut TableState::new().with_selected(Some(state.chosen)));
}

/// What a wide screen adds to a name's column, and the width of a number's.
fn widths(area: Rect) -> (u16, u16) {
    let spare = area.width.saturating_sub(80);
    ((spare / 4).min(20), (spare / 12).min(6).saturating_add(8))
}

fn node_row<'a>(state: &State, node: &'a Node) -> Row<'a> {
    let (tone, word) = node.standing(state.now);
    let mut cells = vec![Span::raw(node.name())];
    if let Some((_, status)) = &node.status {
        let commit = node.consensus.as_ref().map(|(at, view)| since(view.since_commit_ms, state.now.saturating_sub(*at)));
        let linked = status.peers.iter().filter(|peer| peer.connected).count();
        cells.extend([
            Span::raw(&status.version),
            status.height.to_string().into(),
            status.epoch.to_string().into(),
            status.round.to_string().into(),
            commit.unwrap_or_else(|| "-".into()).into(),
            status.pool_transactions.to_string().into(),
            format!("{linked}/{}", status.peers.len()).into(),
        ]);
    } else {
        cells.resize(8, Span::raw("-"));
    }
    cells.push(Span::styled(word, style(tone, state)));
    Row::new(cells)
}

/// A time that a node told some time ago.
fn since(millis: u64, ago: Duration) -> String {
    short(Duration::from_millis(millis).saturating_add(ago))
}

fn committee(frame: &mut Frame<'_>, state: &State, node: &Node, area: Rect) {
    let Some((at, view)) = &node.consensus else {
        section(frame, format!("committee: {} has not told yet ", node.name()), area);
        return;
    };
    let age = state.now.saturating_sub(*at);
    let old = if age.as_secs() >= 3 { format!(" {} ago", short(age)) } else { String::new() };
    let ConsensusView { name, round, leader, high_qc_round, quorum_power, total_power, .. } = view;
    let heading = format!(
        "committee as {name} sees it{old}: round {round}, leader {leader}, certified {high_qc_round}, quorum {quorum_power}/{total_power} "
    );
    let area = section(frame, heading, area);
    let headings = ["NAME", "POWER", "ROUND", "VOTE", "HEARD", "LINK"];
    let (more, number) = widths(area);
    let widths = [13u16.saturating_add(more), number, number, number, 6].map(Constraint::Length);
    let table = view.validators.iter().skip(state.scrolled).map(|validator| validator_row(state, validator, view, age));
    let table = Table::new(table, widths.into_iter().chain([Constraint::Fill(1)])).header(Row::new(headings).style(BOLD));
    frame.render_widget(table, area);
}

fn validator_row<'a>(state: &State, validator: &'a ValidatorStanding, view: &ConsensusView, age: Duration) -> Row<'a> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".into(), |number| number.to_string());
    let round = match (validator.claimed_round, validator.last_round) {
        (Some(claimed), _) => format!("{claimed}?"),
        (None, last) => number(last.map(|round| round.0)),
    };
    let (tone, link) = match &validator.link {
        None if validator.name == view.name => (Tone::Plain, "itself".into()),
        None => (Tone::Plain, "-".into()),
        Some(link) => {
            let (tone, word) = match link.state {
                LinkState::Up => (Tone::Good, "up"),
                LinkState::Greeting => (Tone::Warning, "greeting"),
                LinkState::Down => (Tone::Bad, "down"),
            };
            let reason = link.reason.as_ref().filter(|_| link.state != LinkState::Up);
            (tone, format!("{word} {}{}", since(link.since_ms, age), reason.map_or_else(String::new, |reason| format!(": {reason}"))))
        }
    };
    Row::new([
        Span::raw(&validator.name),
        validator.power.to_string().into(),
        round.into(),
        number(validator.last_vote.map(|vote| vote.round.0)).into(),
        validator.heard_ms_ago.map_or_else(|| "-".into(), |heard| since(heard, age)).into(),
        Span::styled(link, style(tone, state)),
    ])
}

fn charts(frame: &mut Frame<'_>, node: &Node, area: Rect) {
    let [transactions, blocks, rounds] = Layout::vertical([Constraint::Fill(1); 3]).areas(area);
    let rate = |what: &str, figure: fn(&Second) -> u64| {
        let (tenths, peak) = (node.tenths(figure), node.series(figure).into_iter().max().unwrap_or(0));
        format!("{what}/s: {}.{}, peak {peak} ", tenths / 10, tenths % 10)
    };
    chart(frame, rate("transactions", |second| second.transactions), &node.series(|second| second.transactions), transactions);
    chart(frame, rate("blocks", |second| second.blocks), &node.series(|second| second.blocks), blocks);
    let round_ms = node.series(|second| second.round_ms);
    let last = node.last_round_ms.map_or_else(|| "-".into(), |millis| format!("{millis} ms"));
    let peak = round_ms.iter().max().copied().unwrap_or(0);
    chart(frame, format!("round time: {last}, peak {peak} ms "), &round_ms, rounds);
}

/// A chart of two minutes. A column of a narrow screen shows the highest of several seconds.
fn chart(frame: &mut Frame<'_>, heading: String, seconds: &[u64], area: Rect) {
    let area = section(frame, heading, area);
    let columns = usize::from(area.width).max(1);
    let each = SECONDS_MAX.div_ceil(columns);
    let mut bars: Vec<u64> = seconds.rchunks(each).map(|chunk| chunk.iter().max().copied().unwrap_or(0)).collect();
    // The newest at the right, wherever the chart begins.
    bars.resize(columns, 0);
    bars.reverse();
    frame.render_widget(Sparkline::default().data(bars), area);
}

fn last_commits(frame: &mut Frame<'_>, node: &Node, area: Rect) {
    let area = section(frame, "last commits ", area);
    let commits = node.commits.iter().enumerate().rev().map(|(place, commit)| {
        let lost = node.lost_before(place).map_or_else(|| "-".into(), |lost| lost.to_string());
        Row::new([
            commit.height.to_string(),
            commit.round.to_string(),
            commit.author.clone(),
            commit.transactions.to_string(),
            lost,
            time_of_day(commit.time),
        ])
    });
    let [height, round, transactions, lost, time] = [7, 7, 4, 4, 8].map(Constraint::Length);
    let widths = [height, round, Constraint::Fill(1), transactions, lost, time];
    let headings = ["HEIGHT", "ROUND", "AUTHOR", "TXS", "LOST", "UTC"];
    frame.render_widget(Table::new(commits, widths).header(Row::new(headings).style(BOLD)), area);
}

fn lost_rounds(frame: &mut Frame<'_>, node: &Node, area: Rect) {
    let area = section(frame, "rounds lost since the start ", area);
    let lost = node
        .lost
        .iter()
        .rev()
        .map(|lost| Row::new([lost.round.to_string(), lost.leader.clone().unwrap_or_else(|| "-".into()), time_of_day(lost.time)]));
    let widths = [Constraint::Length(8), Constraint::Fill(1), Constraint::Length(8)];
    frame.render_widget(Table::new(lost, widths).header(Row::new(["ROUND", "LEADER", "UTC"]).style(BOLD)), area);
}

fn time_of_day(time: UnixMillis) -> String {
    let second = (time.0 / 1_000) % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

fn help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (64.min(area.width), rows(HELP.len()).saturating_add(2).min(area.height));
    let area = Rect { x: area.width.saturating_sub(width) / 2, y: area.height.saturating_sub(height) / 2, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP.map(Line::raw).to_vec()).block(Block::bordered().title("help")), area);
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent};
    use quorate_terminal::is_plain;
    use quorate_types::{
        diagnosis::Stall,
        event::{BlockEvent, LedBy, NodeEvent},
        ids::ChainId,
        round::{Height, Round},
        rpc::{EvidenceList, EvidenceView},
    };
    use ratatui::{
        Terminal,
        backend::TestBackend,
        buffer::{Buffer, Cell},
    };

    use super::*;
    use crate::{
        ask::Asked,
        state::News,
        testing::{NAMES, STALL, accused, asked, block, network, round, seconds, silent, stalled, tell, tell_asked},
    };

    const SIZES: [(u16, u16); 2] = [(80, 24), (200, 50)];

    fn drawn(state: &State, (width, height): (u16, u16)) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap().buffer.clone()
    }

    /// The rows of the screen.
    fn screen(state: &State, size: (u16, u16)) -> Vec<String> {
        let buffer = drawn(state, size);
        buffer.content.chunks(usize::from(size.0)).map(|row| row.iter().map(Cell::symbol).collect()).collect()
    }

    /// The words of the first row that begins like this.
    fn row(screen: &[String], begin: &str) -> Vec<String> {
        let row = screen.iter().find(|row| row.starts_with(begin)).unwrap_or_else(|| panic!("no row {begin:?}: {screen:#?}"));
        row.split_whitespace().map(str::to_owned).collect()
    }

    /// The screen's text on one line with single spaces.
    fn text(screen: &[String]) -> String {
        screen.iter().flat_map(|row| row.split_whitespace()).collect::<Vec<_>>().join(" ")
    }

    fn assert_shows(screen: &[String], part: &str) {
        assert!(text(screen).contains(part), "no {part:?}: {screen:#?}");
    }

    fn press(state: &mut State, code: KeyCode) {
        state.press(KeyEvent::from(code));
    }

    #[test]
    fn a_healthy_network_has_rows_figures_and_no_trouble() {
        let mut state = network();
        tell_asked(&mut state, 0, 10, asked("alice"));
        for (number, at) in [(118, 0), (119, 250), (120, 510)] {
            tell(&mut state, 0, 10, News::Seen(Ok(round(number, at, "bob", LedBy::Certificate))));
        }
        state.tick(seconds(11));
        assert_eq!(state.troubles(), []);
        for size in SIZES {
            let screen = screen(&state, size);
            assert_shows(&screen, "quorate monitor http://127.0.0.1:7100 riverside (chain 7) bank v1");
            assert_eq!(row(&screen, "> alice"), [">", "alice", "0.1.0", "120", "2", "121", "1s", "17", "3/3", "ok"]);
            assert_eq!(row(&screen, "  dave"), ["dave", "0.1.0", "120", "2", "121", "10s", "17", "3/3", "ok"]);
            assert_shows(&screen, "committee as alice sees it: round 121, leader bob, certified 120, quorum 3/4");
            assert_eq!(row(&screen, "alice"), ["alice", "1", "121", "120", "-", "itself"]);
            assert_eq!(row(&screen, "carol"), ["carol", "1", "121", "120", "1s", "up", "91s"]);
            for part in ["transactions/s: 1.5, peak 5", "blocks/s: 0.3, peak 1", "round time: 260 ms, peak 260 ms"] {
                assert_shows(&screen, part);
            }
            assert!(screen.iter().any(|row| row.contains('█')), "{screen:#?}");
            // One round was lost between the last two blocks.
            assert_shows(&screen, "120 120 carol 5 1 14:13:20");
            assert_shows(&screen, "119 118 carol 5 0 14:13:20");
            assert_shows(&screen, KEYS.split("   ").collect::<Vec<_>>().join(" ").as_str());
        }
    }

    #[test]
    fn a_node_that_is_down_keeps_its_row_and_says_why() {
        let mut state = network();
        for (node, name) in NAMES.iter().enumerate() {
            let mut asked = asked(name);
            let view = asked.consensus.as_mut().unwrap();
            let link = view.validators.last_mut().and_then(|dave| dave.link.as_mut());
            if let Some(link) = link {
                (link.state, link.since_ms, link.reason) = (LinkState::Down, 12_000, Some("Connection refused".into()));
            }
            asked.status.as_mut().unwrap().peers.last_mut().unwrap().connected = false;
            tell_asked(&mut state, node, 13, if *name == "dave" { silent("Connection refused (os error 111)") } else { asked });
        }
        tell(&mut state, 0, 13, News::Seen(Ok(round(120, 0, "dave", LedBy::Certificate))));
        tell(&mut state, 0, 13, News::Seen(Ok(round(121, 1_000, "alice", LedBy::Timeouts))));
        for size in SIZES {
            let screen = screen(&state, size);
            assert_eq!(row(&screen, "  dave").split_off(7), ["3/3", "no", "answer", "12s"]);
            assert_eq!(row(&screen, "> alice").split_off(8), ["2/3", "ok"]);
            assert_eq!(row(&screen, "dave").split_off(5), ["down", "12s:", "Connection", "refused"]);
            assert_shows(&screen, "rounds lost since the start");
            assert_shows(&screen, "120 dave 14:13:21");
        }
        press(&mut state, KeyCode::Up);
        for size in SIZES {
            let screen = screen(&state, size);
            assert_shows(&screen, "dave has not answered for 12s: Connection refused (os error 111)");
            assert_shows(&screen, "committee as dave sees it 12s ago");
        }
    }

    #[test]
    fn a_stalled_chain_is_explained_in_words_at_any_width() {
        let mut state = network();
        for (node, name) in NAMES.iter().enumerate() {
            tell_asked(&mut state, node, 30, stalled(name));
        }
        for size in SIZES {
            let screen = screen(&state, size);
            assert_shows(&screen, &format!("stalled: {STALL}"));
            assert_eq!(row(&screen, "> alice").last().unwrap(), "stalled");
        }
        for width in 20..200 {
            assert_shows(&screen(&state, (width, 80)), "dave (never seen)");
        }
    }

    #[test]
    fn evidence_and_forks_are_troubles() {
        let mut state = network();
        let evidence = (0..5).map(|_| accused("carol")).collect();
        tell_asked(&mut state, 0, 5, Asked { evidence: Ok(EvidenceList { evidence }), ..asked("alice") });
        let forked = NodeStatus { state_id: block(1, 1).state_id, ..asked("bob").status.unwrap() };
        tell_asked(&mut state, 1, 5, Asked { status: Ok(forked), ..asked("bob") });
        for size in SIZES {
            let screen = screen(&state, size);
            assert_shows(&screen, "evidence: carol signed two different votes in round 55 of epoch 2");
            assert_shows(&screen, "evidence: and 2 more at /v1/evidence");
            assert_shows(&screen, "alice and bob have different results at height 120");
        }
    }

    /// A node that answers with the worst that the types allow.
    fn hostile() -> State {
        let evil = format!("\r\u{1b}[2J\u{202e}\u{200b}{}\n\u{7}", "x".repeat(5_000));
        let (max, time) = (u64::MAX, UnixMillis(u64::MAX));
        let mut state = network();
        let Asked { status, consensus, .. } = stalled("alice");
        let (mut status, mut consensus) = (status.unwrap(), consensus.unwrap());
        let texts = [&mut status.name, &mut status.version, &mut status.application, &mut status.network, &mut consensus.leader];
        texts.into_iter().chain([&mut consensus.name]).for_each(|text| text.clone_from(&evil));
        (status.signs_nothing, status.catching_up) = (Some(evil.clone()), true);
        (status.height, status.round, status.pool_transactions, status.timestamp) = (Height(max), Round(max), max, time);
        (status.chain_id, consensus.round, consensus.since_commit_ms) = (ChainId(max), Round(max), max);
        (consensus.quorum_power, consensus.total_power, consensus.high_qc_round) = (max, max, Round(max));
        consensus.stall = Some(Stall { summary: evil.clone(), answering_power: max, missing: vec![evil.clone(); 1_000] });
        let mut validator = consensus.validators.last().unwrap().clone();
        (validator.name, validator.power, validator.claimed_round) = (evil.clone(), max, Some(Round(max)));
        validator.heard_ms_ago = Some(max);
        let link = validator.link.as_mut().unwrap();
        (link.state, link.since_ms, link.reason) = (LinkState::Down, max, Some(evil.clone()));
        consensus.validators = vec![validator; 1_000];
        let evidence = EvidenceList { evidence: vec![EvidenceView { round: Round(max), ..accused(&evil) }; 1_000] };
        tell_asked(&mut state, 0, 20, Asked { status: Ok(status), consensus: Ok(consensus), evidence: Ok(evidence) });
        for height in [max, 0, max, max] {
            let author = Some(evil.clone());
            let block = BlockEvent { timestamp: time, author, transactions_total: u32::MAX, ..block(height, max - height) };
            tell(&mut state, 0, 20, News::Block(Ok((block, true))));
        }
        for (number, at) in [(max, 0), (0, max), (1, 0), (2, max)] {
            let (at, leader, led_by) = (UnixMillis(at), evil.clone(), LedBy::Timeouts);
            let epoch = quorate_types::round::Epoch(max);
            tell(&mut state, 0, 20, News::Seen(Ok(NodeEvent::Round { at, epoch, round: Round(number), leader, led_by })));
        }
        tell(&mut state, 0, 20, News::Block(Err(evil.clone())));
        tell(&mut state, 0, 20, News::Seen(Err(evil.clone())));
        tell_asked(&mut state, 1, 20, silent(&evil));
        state
    }

    #[test]
    fn hostile_texts_and_numbers_do_not_reach_the_terminal() {
        let mut state = hostile();
        for _ in 0..2 {
            for size in SIZES {
                let screen = screen(&state, size);
                assert!(screen.iter().flat_map(|row| row.chars()).all(is_plain), "{screen:#?}");
                assert_shows(&screen, r"\u{d}\u{1b}[2J\u{202e}");
            }
            press(&mut state, KeyCode::Tab);
        }
    }

    #[test]
    fn no_screen_is_too_small() {
        let mut helping = network();
        press(&mut helping, KeyCode::Char('?'));
        let mut scrolled = hostile();
        (0..100).for_each(|_| press(&mut scrolled, KeyCode::PageDown));
        let nobody = State::new(std::iter::empty(), true);
        for state in [network(), helping, hostile(), scrolled, nobody, State::new(["http://a"].into_iter(), false)] {
            for size in [(20, 5), (1, 1), (3, 200), (300, 1)].into_iter().chain((1..40).map(|side| (side * 3, side))) {
                drawn(&state, size);
            }
        }
        assert!(screen(&network(), (20, 5))[0].starts_with("quorate monitor"));
    }

    #[test]
    fn help_covers_the_rest_and_goes_again() {
        let mut state = network();
        press(&mut state, KeyCode::Char('?'));
        for size in SIZES {
            assert_shows(&screen(&state, size), "time since the node's last commit");
        }
        press(&mut state, KeyCode::Esc);
        assert!(!text(&screen(&state, (80, 24))).contains("time since the node's last commit"));
    }

    #[test]
    fn colours_are_those_readable_on_any_background_or_none() {
        let colors = |state: &State| {
            let mut colors: Vec<_> = drawn(state, (200, 50)).content.iter().flat_map(|cell| [cell.fg, cell.bg]).collect();
            colors.sort_by_key(|color| format!("{color:?}"));
            colors.dedup();
            colors
        };
        let mut state = hostile();
        let mut behind = asked("carol");
        behind.status.as_mut().unwrap().catching_up = true;
        tell_asked(&mut state, 2, 21, behind);
        assert_eq!(colors(&state), [Color::Green, Color::Magenta, Color::Red, Color::Reset]);
        state.colored = false;
        assert_eq!(colors(&state), [Color::Reset]);
    }
}
