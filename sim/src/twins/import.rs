//! Reads scripts from JSON files, in the formats of the courses' generators of twins scenarios. The program's own format is one of them.
//!
//! ```text
//! {number_of_nodes, number_of_twins, leaders: [..], partitions: [[[0, 1], [2, 3, 4]], ..], message_types: [[["Vote"], []], ..]}
//! {.., round_leaders: {"1": 0}, round_partitions: {"1": [[..], ..]}, drop_round_msg: {"1": {"Vote": [2]}}}
//! {.., round_configs: {"1": {leader: ["A", "A'"], partitions: [["A", "B"], ..], MsgType: "Vote"}}, timeout_msg_drop_cnt: 3}
//! {.., leader: [[0, 4]], proposal_partitions, vote_partitions, timeout_partitions, drops: [{type_of_msg_to_drop, node_number, round_from, round_to}]}
//! ```
//! Rounds count from 1. With n nodes, node n is the twin of the first node that has one, n + 1 that of the second. docs/scenarios.md says
//! what each key means here.

use std::collections::{BTreeMap, BTreeSet};

use quorate_scenario::{
    FILE_BYTES_MAX, FileError, Kind, Place,
    literal::{self, Node, Value},
    spelling::{self, plain},
};
use quorate_types::ids::ValidatorId;

use super::{
    script::{ACTORS_MAX, Act, Hearing, Script},
    space::ROUNDS_MAX,
};

/// Most validators of a scenario from a file: half the actors, since each may have a twin.
const VALIDATORS_MAX: usize = ACTORS_MAX / 2;
/// Deepest nesting of a scenario in a file.
const DEPTH_MAX: usize = 4;

type Read<T> = Result<T, FileError>;

/// An imported script, with notes on what the import ignored or assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The script.
    pub script: Script,
    /// What was ignored or assumed, for the user.
    pub notes: Vec<String>,
}

/// Reads a scenario. `case` chooses one of several in a file, from 1.
///
/// # Errors
/// The text is not a valid scenario.
pub fn read(text: &str, case: Option<usize>) -> Read<Imported> {
    let start = Place { line: 1, column: 1 };
    if text.len() > FILE_BYTES_MAX {
        return Err(FileError::new(start, format!("the file has {} bytes", text.len()), format!("use at most {FILE_BYTES_MAX}")));
    }
    let nodes = literal::parse(text)?;
    let mut cases = Vec::new();
    for node in &nodes {
        collect(node, &mut Vec::new(), &mut cases);
    }
    let all = cases.len();
    let number = match (case, cases.get(1)) {
        (None, Some(second)) => {
            let place = second.first().map_or(start, |node| node.place);
            return Err(FileError::new(place, format!("the second of {all} scenarios"), format!("choose one: --case 1 to --case {all}")));
        }
        (case, _) => case.unwrap_or(1),
    };
    match number.checked_sub(1).and_then(|index| cases.get(index)) {
        Some(scopes) => Reader { scopes, notes: Vec::new() }.script(),
        None if all == 0 => {
            let fix = "write number_of_nodes, number_of_twins, leaders and partitions; `quorate sim twins --scenario 0 --export` prints an example";
            Err(FileError::new(start, "the file has no twins scenario", fix))
        }
        None => Err(FileError::new(start, format!("there is no case {number}"), format!("choose one of 1..={all}"))),
    }
}

/// Finds the scenarios: dictionaries that name leaders, each with its enclosing dictionaries, innermost first.
fn collect<'a>(node: &'a Node, around: &mut Vec<&'a Node>, cases: &mut Vec<Vec<&'a Node>>) {
    if around.len() > DEPTH_MAX {
        return;
    }
    match &node.value {
        Value::Dict(pairs) => {
            around.push(node);
            if pairs.iter().any(|(key, _)| key_of(key).is_some_and(|key| LEADERS.contains(&key.as_str()) || key == ROUND_CONFIGS)) {
                cases.push(around.iter().rev().copied().collect());
            } else {
                for (_, value) in pairs {
                    collect(value, around, cases);
                }
            }
            around.pop();
        }
        Value::List(nodes) => {
            for node in nodes {
                collect(node, around, cases);
            }
        }
        Value::None | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Name(_) | Value::Call(..) => {}
    }
}

const NODES: &[&str] =
    &["numberofnodes", "numofnodes", "numberofreplicas", "noofreplicas", "nreplicas", "numberofvalidators", "nvalidators"];
const TWINS: &[&str] = &["numberoftwins", "numoftwins", "nooftwins", "ntwins", "numoffaulty", "numberoffaulty"];
const LEADERS: &[&str] = &["leaders", "leader", "roundleaders"];
const PARTITIONS: &[&str] = &["partitions", "roundpartitions"];
const ROUND_CONFIGS: &str = "roundconfigs";
/// Other known keys of a scenario; some have no meaning here.
const OTHERS: &[&str] = &[
    "twins",
    "nodes",
    "messagetypes",
    "msgtype",
    "droproundmsg",
    "randommessagedrops",
    "delayroundmsg",
    "timeoutmsgdropcnt",
    "proposalpartitions",
    "votepartitions",
    "timeoutpartitions",
    "drops",
    "noofrounds",
    "numberofrounds",
    "rounds",
];

/// The kinds of messages with partitions of their own, as indices into [`Sets`].
const PROPOSALS: usize = 0;
const VOTES: usize = 1;
const TIMEOUTS: usize = 2;
const REST: usize = 3;

/// For each kind of message and each actor, the set of actors that hear it.
type Sets = [Vec<u32>; 4];

fn key_of(node: &Node) -> Option<String> {
    text_of(node).map(plain)
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Text(text) | Value::Name(text) | Value::Number(text) => Some(text.trim()),
        Value::None | Value::Bool(_) | Value::List(_) | Value::Dict(_) | Value::Call(..) => None,
    }
}

fn number_of(node: &Node, what: &str, max: usize) -> Read<usize> {
    let number = text_of(node).and_then(|text| text.parse().ok()).filter(|number| *number <= max);
    number.ok_or_else(|| {
        FileError::new(node.place, format!("{what} is not a number in range"), format!("write a whole number from 0 to {max}"))
    })
}

fn list_of<'a>(node: &'a Node, what: &str) -> Read<&'a [Node]> {
    match &node.value {
        Value::List(nodes) => Ok(nodes),
        other => Err(FileError::new(node.place, format!("{} where {what} should be", other.kind()), "write a list: [..]")),
    }
}

/// Values by round: a list from round 1 on, or a dictionary keyed by round.
fn by_round<'a>(node: &'a Node, what: &str) -> Read<BTreeMap<usize, &'a Node>> {
    let rounds: Vec<(usize, &Node)> = match &node.value {
        Value::List(nodes) => (1..).zip(nodes).collect(),
        Value::Dict(pairs) => pairs.iter().map(|(key, value)| Ok((number_of(key, "a round", usize::MAX)?, value))).collect::<Read<_>>()?,
        other => {
            let fix = "write a list, or a dictionary by round: {\"1\": ..}";
            return Err(FileError::new(node.place, format!("{} where {what} should be", other.kind()), fix));
        }
    };
    if let Some((round, value)) = rounds.iter().find(|(round, _)| !(1..=ROUNDS_MAX as usize).contains(round)) {
        return Err(FileError::new(value.place, format!("there is no round {round} in {what}"), format!("rounds are 1..={ROUNDS_MAX}")));
    }
    Ok(rounds.into_iter().collect())
}

/// The actors and their names in a file.
struct Names {
    cast: Vec<ValidatorId>,
    /// Names that the file defines.
    given: BTreeMap<String, usize>,
    validators: usize,
    twins: Vec<usize>,
}

impl Names {
    fn new(validators: usize, twins: Vec<usize>) -> Self {
        let copies = |id: usize| std::iter::repeat_n(id, if twins.contains(&id) { 2 } else { 1 });
        let cast = (0..validators).flat_map(copies).map(|id| ValidatorId(u16::try_from(id).unwrap_or(u16::MAX))).collect();
        Self { cast, given: BTreeMap::new(), validators, twins }
    }

    /// The actor that is a validator's first or second copy.
    fn copy(&self, id: usize, second: bool) -> Option<usize> {
        let first = self.cast.iter().position(|known| usize::from(known.0) == id)?;
        if !second {
            return Some(first);
        }
        self.twins.contains(&id).then(|| first.saturating_add(1))
    }

    fn actor(&self, node: &Node) -> Read<usize> {
        let name = text_of(node).unwrap_or_default();
        self.given.get(name).copied().or_else(|| self.guessed(name)).ok_or_else(|| {
            let shown = if name.is_empty() { node.value.kind().to_owned() } else { format!("{name:?}") };
            let last = self.cast.len().saturating_sub(1);
            let fix = format!("nodes are 0..={last}, twins last, or A, B, .. and A'; other names need a list `nodes`");
            FileError::new(node.place, format!("there is no node {shown}"), fix)
        })
    }

    /// `4`, `A`, `A'`, `v0'`, `replica0'`.
    fn guessed(&self, name: &str) -> Option<usize> {
        let (base, second) = name.strip_suffix('\'').map_or((name, false), |base| (base, true));
        let mut letters = base.chars();
        if let (Some(letter @ 'A'..='Z'), None) = (letters.next(), letters.next()) {
            return self.copy(usize::try_from(u32::from(letter).checked_sub(u32::from('A'))?).ok()?, second);
        }
        let id: usize = base.trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || letter == '_').parse().ok()?;
        match id.checked_sub(self.validators) {
            None => self.copy(id, second),
            Some(twin) if !second => self.copy(*self.twins.get(twin)?, true),
            Some(_) => None,
        }
    }
}

struct Reader<'a> {
    /// The scenario's dictionary and those enclosing it, innermost first.
    scopes: &'a [&'a Node],
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn pairs(&self) -> impl Iterator<Item = &'a (Node, Node)> {
        self.scopes.iter().flat_map(|scope| match &scope.value {
            Value::Dict(pairs) => pairs.as_slice(),
            _ => &[],
        })
    }

    fn get(&self, keys: &[&str]) -> Option<&'a Node> {
        self.pairs().find(|(key, _)| key_of(key).is_some_and(|key| keys.contains(&key.as_str()))).map(|(_, value)| value)
    }

    fn place(&self) -> Place {
        self.scopes.first().map_or(Place { line: 1, column: 1 }, |node| node.place)
    }

    fn need(&self, keys: &[&str], what: &str, fix: &str) -> Read<&'a Node> {
        self.get(keys).ok_or_else(|| FileError::new(self.place(), format!("the scenario does not say {what}"), format!("add {fix}")))
    }

    fn script(mut self) -> Read<Imported> {
        let nodes = self.need(NODES, "how many nodes there are", "number_of_nodes")?;
        let validators = number_of(nodes, "the number of nodes", VALIDATORS_MAX)?;
        if validators == 0 {
            return Err(FileError::new(nodes.place, "there are no nodes", format!("write a number from 1 to {VALIDATORS_MAX}")));
        }
        let names = self.names(validators)?;
        let rounds = self.rounds(&names)?;
        let timeouts_lost = self.get(&["timeoutmsgdropcnt"]).map_or(Ok(0), |node| number_of(node, "timeout_msg_drop_cnt", 1_000_000))?;
        let acts = rounds
            .into_iter()
            .map(|(leader, [proposals, votes, timeouts, rest])| Act {
                leader,
                proposals: Hearing::Each(proposals),
                votes: Hearing::Each(votes),
                timeouts: Hearing::Each(timeouts),
                rest: Hearing::Each(rest),
            })
            .collect();
        self.note_others();
        let script = Script {
            validators: u16::try_from(validators).unwrap_or(u16::MAX),
            cast: names.cast,
            acts,
            timeouts_lost: timeouts_lost as u64,
        };
        Ok(Imported { script, notes: self.notes })
    }

    /// Reads which validators have twins, and the names of all actors.
    fn names(&self, validators: usize) -> Read<Names> {
        let (count, twins) = (self.get(TWINS), self.get(&["twins"]));
        let mut names = match (twins, count) {
            (Some(Node { value: Value::Dict(pairs), .. }), _) => {
                let plain = Names::new(validators, Vec::new());
                let pairs: Vec<(usize, &Node)> = pairs.iter().map(|(node, twin)| Ok((plain.actor(node)?, twin))).collect::<Read<_>>()?;
                let mut names = Names::new(validators, pairs.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>().into_iter().collect());
                for (id, twin) in pairs {
                    let twin = match &twin.value {
                        Value::List(nodes) if nodes.len() == 1 => nodes.first().unwrap_or(twin),
                        _ => twin,
                    };
                    let name = text_of(twin).ok_or_else(|| {
                        FileError::new(twin.place, format!("{} is not a name of a twin", twin.value.kind()), "write {\"0\": 4}")
                    })?;
                    names.given.extend(names.copy(id, true).map(|actor| (name.to_owned(), actor)));
                }
                names
            }
            (Some(Node { value: Value::List(nodes), .. }), _) => {
                let plain = Names::new(validators, Vec::new());
                let twins = nodes.iter().map(|node| plain.actor(node)).collect::<Read<BTreeSet<_>>>()?;
                Names::new(validators, twins.into_iter().collect())
            }
            (Some(count), _) | (None, Some(count)) => {
                Names::new(validators, (0..number_of(count, "the number of twins", validators)?).collect())
            }
            (None, None) => {
                return self.need(TWINS, "how many twins there are", "number_of_twins").map(|_| Names::new(validators, Vec::new()));
            }
        };
        if let Some(node) = self.get(&["nodes"]) {
            let listed = list_of(node, "the names of the nodes")?;
            if listed.len() != names.cast.len() {
                let what = format!("{} names for {} nodes and twins", listed.len(), names.cast.len());
                return Err(FileError::new(node.place, what, "name the nodes first, then the twins"));
            }
            let twins = names.twins.clone();
            let actors = (0..validators).map(|id| (id, false)).chain(twins.into_iter().map(|id| (id, true)));
            for (node, (id, second)) in listed.iter().zip(actors) {
                let name = text_of(node).ok_or_else(|| FileError::new(node.place, "a name is missing", "write a number or a string"))?;
                names.given.extend(names.copy(id, second).map(|actor| (name.to_owned(), actor)));
            }
        }
        Ok(names)
    }

    /// Reads the leader and the sets of each round.
    fn rounds(&mut self, names: &Names) -> Read<Vec<(ValidatorId, Sets)>> {
        if let Some(node) = self.get(&[ROUND_CONFIGS]) {
            let configs = by_round(node, "round_configs")?;
            let last = configs.keys().max().copied().unwrap_or_default();
            return (1..=last)
                .map(|round| {
                    let config = configs.get(&round).ok_or_else(|| {
                        FileError::new(
                            node.place,
                            format!("round_configs lacks round {round}"),
                            format!("add it: the last round is {last}"),
                        )
                    })?;
                    let scope = [*config];
                    let inner = Reader { scopes: &scope, notes: Vec::new() };
                    let leader = inner.need(LEADERS, &format!("who leads round {round}"), "leader")?;
                    let groups = inner.get(PARTITIONS).map(|node| self.groups(names, node, round)).transpose()?;
                    let mut sets = sets(names, groups.as_deref());
                    if let Some(kind) = inner.get(&["msgtype", "messagetypes"]) {
                        for kind in kinds(kind)? {
                            silence(&mut sets, kind, None);
                        }
                    }
                    Ok((leader_of(names, leader)?, sets))
                })
                .collect();
        }
        let leaders_at = self.need(LEADERS, "who leads", "leaders")?;
        let leaders = by_round(leaders_at, "leaders")?;
        let table = |reader: &Self, keys: &[&str]| reader.get(keys).map_or(Ok(BTreeMap::new()), |node| by_round(node, "the partitions"));
        let partitions = table(self, PARTITIONS)?;
        let own = [table(self, &["proposalpartitions"])?, table(self, &["votepartitions"])?, table(self, &["timeoutpartitions"])?];
        let last = partitions.keys().chain(leaders.keys()).chain(own.iter().flat_map(BTreeMap::keys)).max().copied().unwrap_or_default();
        let dropped = table(self, &["messagetypes"])?;
        let silenced = table(self, &["droproundmsg"])?;
        let between = table(self, &["randommessagedrops"])?;
        let mut rounds = Vec::new();
        for round in 1..=last {
            let leader = leaders.get(&round).ok_or_else(|| {
                FileError::new(leaders_at.place, format!("round {round} has no leader"), format!("name one for each of the {last} rounds"))
            })?;
            let groups = partitions.get(&round).map(|node| self.groups(names, node, round)).transpose()?;
            let mut all = sets(names, groups.as_deref());
            for (kind, own) in own.iter().enumerate() {
                if let (Some(node), Some(place)) = (own.get(&round), all.get_mut(kind)) {
                    let groups = self.groups(names, node, round)?;
                    *place = heard(names, groups.iter());
                }
            }
            if let Some(node) = dropped.get(&round) {
                drop_in_groups(names, &mut all, groups.as_deref(), node)?;
            }
            if let Some(node) = silenced.get(&round) {
                drop_of_senders(names, &mut all, node)?;
            }
            if let Some(node) = between.get(&round) {
                drop_between(names, &mut all, node)?;
            }
            rounds.push((leader_of(names, leader)?, all));
        }
        self.drops(names, &mut rounds)?;
        Ok(rounds)
    }

    /// Reads `[[0, 1], [2]]`, or a list of such lists, of which the last counts.
    fn groups(&mut self, names: &Names, node: &Node, round: usize) -> Read<Vec<Vec<usize>>> {
        let mut groups = list_of(node, "partitions")?;
        let is_deep =
            |node: &Node| matches!(&node.value, Value::List(nodes) if nodes.iter().any(|node| matches!(node.value, Value::List(_))));
        if groups.iter().any(is_deep) {
            if groups.len() > 1 {
                self.notes.push(format!("{}: round {round} has {} sets of partitions; using the last one", node.place, groups.len()));
            }
            groups = groups.last().map_or(Ok(&[][..]), |last| list_of(last, "partitions"))?;
        }
        groups.iter().map(|group| list_of(group, "a partition")?.iter().map(|node| names.actor(node)).collect()).collect()
    }

    /// Applies a list of `{type_of_msg_to_drop, node_number, round_from, round_to}`: each cuts the node off for that kind.
    fn drops(&self, names: &Names, rounds: &mut [(ValidatorId, Sets)]) -> Read<()> {
        let Some(node) = self.get(&["drops", "messagedrops", "intrapartitionmsgdrops", "intrapartitionmsgdropconfig"]) else {
            return Ok(());
        };
        for drop in list_of(node, "the dropped messages")? {
            let scope = [drop];
            let inner = Reader { scopes: &scope, notes: Vec::new() };
            let kinds = kinds(inner.need(&["typeofmsgtodrop", "msgtype"], "which messages are dropped", "type_of_msg_to_drop")?)?;
            let actor = names.actor(inner.need(&["nodenumber", "node"], "whose messages are dropped", "node_number")?)?;
            let end = |keys: &[&str], what: &str, fix: &str| number_of(inner.need(keys, what, fix)?, fix, ROUNDS_MAX as usize);
            let from = end(&["roundfrom"], "from which round", "round_from")?;
            let to = end(&["roundto"], "to which round", "round_to")?;
            for (_, sets) in rounds.iter_mut().take(to).skip(from.saturating_sub(1)) {
                for kind in &kinds {
                    cut(sets, *kind, actor);
                }
            }
        }
        Ok(())
    }

    /// Notes what was ignored.
    fn note_others(&mut self) {
        if let Some(node) = self.get(&["delayroundmsg"]) {
            self.notes.push(format!("{}: delay_round_msg ignored: a message arrives at once or never", node.place));
        }
        let known = |key: &str| {
            let lists: [&[&str]; 5] = [NODES, TWINS, LEADERS, PARTITIONS, OTHERS];
            key == ROUND_CONFIGS || key.ends_with("drops") || key.contains("intrapartition") || lists.iter().any(|list| list.contains(&key))
        };
        let Some(Node { value: Value::Dict(pairs), .. }) = self.scopes.first() else { return };
        for (key, _) in pairs.iter().filter(|(key, _)| !key_of(key).is_some_and(|key| known(&key))) {
            let name = text_of(key).unwrap_or("?");
            self.notes.push(format!("{}: unknown key `{name}` ignored", key.place));
        }
    }
}

/// Reads a leader, or a list of its copies.
fn leader_of(names: &Names, node: &Node) -> Read<ValidatorId> {
    let id = |node: &Node| names.actor(node).map(|actor| names.cast.get(actor).copied().unwrap_or_default());
    let Value::List(copies) = &node.value else { return id(node) };
    let ids = copies.iter().map(id).collect::<Read<BTreeSet<_>>>()?;
    match ids.first() {
        Some(leader) if ids.len() == 1 => Ok(*leader),
        _ => Err(FileError::new(node.place, format!("a round with {} leaders", ids.len()), "name one node, with or without its twin")),
    }
}

/// Reads the kinds of messages that a name, or a list of names, stands for.
fn kinds(node: &Node) -> Read<Vec<usize>> {
    if let Value::List(nodes) = &node.value {
        return nodes.iter().map(kinds).collect::<Read<Vec<_>>>().map(|kinds| kinds.concat());
    }
    let found = match text_of(node).and_then(spelling::kind) {
        Some(None) => Some(vec![PROPOSALS, VOTES, TIMEOUTS, REST]),
        Some(Some(Kind::Proposal)) => Some(vec![PROPOSALS]),
        Some(Some(Kind::Vote)) => Some(vec![VOTES]),
        Some(Some(Kind::TimeOut)) => Some(vec![TIMEOUTS]),
        Some(Some(Kind::QC | Kind::SyncRequest | Kind::SyncResponse)) => Some(vec![REST]),
        Some(Some(Kind::Gossip | Kind::Request | Kind::Response)) | None => None,
    };
    found.ok_or_else(|| {
        let shown = text_of(node).map_or_else(|| node.value.kind().to_owned(), |text| format!("{text:?}"));
        let fix = "use Proposal, Vote (Voting), Timeout, QC or Wildcard, in upper or lower case";
        FileError::new(node.place, format!("validators do not send messages of the kind {shown}"), fix)
    })
}

/// For each actor, the set of actors that hear it, given these groups.
fn heard<'g>(names: &Names, groups: impl Iterator<Item = &'g Vec<usize>>) -> Vec<u32> {
    let mut sets = vec![0u32; names.cast.len()];
    for group in groups {
        let all = group.iter().fold(0u32, |set, actor| set | 1 << actor);
        for actor in group {
            if let Some(set) = sets.get_mut(*actor) {
                *set |= all;
            }
        }
    }
    sets
}

/// The same for each kind of message; without groups everybody hears everybody.
fn sets(names: &Names, groups: Option<&[Vec<usize>]>) -> Sets {
    let sets = match groups {
        None | Some([]) => vec![u32::MAX; names.cast.len()],
        Some(groups) => heard(names, groups.iter()),
    };
    [sets.clone(), sets.clone(), sets.clone(), sets]
}

/// Lets no one hear a kind of message from this actor, or from any.
fn silence(sets: &mut Sets, kind: usize, actor: Option<usize>) {
    let Some(sets) = sets.get_mut(kind) else { return };
    match actor {
        Some(actor) => sets.get_mut(actor).into_iter().for_each(|set| *set = 0),
        None => sets.fill(0),
    }
}

/// Cuts an actor off from all others, both ways, for a kind of message.
fn cut(sets: &mut Sets, kind: usize, actor: usize) {
    silence(sets, kind, Some(actor));
    sets.get_mut(kind).into_iter().flatten().for_each(|set| *set &= !(1 << actor));
}

/// Applies a list of the kinds of messages lost in each partition of the round.
fn drop_in_groups(names: &Names, all: &mut Sets, groups: Option<&[Vec<usize>]>, node: &Node) -> Read<()> {
    let lost = list_of(node, "the dropped kinds of a round")?;
    let groups = groups.unwrap_or_default();
    if lost.len() > groups.len() {
        let what = format!("dropped kinds for {} partitions, but the round has {}", lost.len(), groups.len());
        return Err(FileError::new(node.place, what, "write a list of kinds for each partition of the round"));
    }
    let lost = lost.iter().map(kinds).collect::<Read<Vec<_>>>()?;
    for kind in [PROPOSALS, VOTES, TIMEOUTS, REST] {
        if lost.iter().any(|lost| lost.contains(&kind)) {
            let loses = |index: usize| lost.get(index).is_some_and(|lost| lost.contains(&kind));
            let kept = groups.iter().enumerate().filter(|(index, _)| !loses(*index)).map(|(_, group)| group);
            if let Some(place) = all.get_mut(kind) {
                *place = heard(names, kept);
            }
        }
    }
    Ok(())
}

/// Applies `{"Vote": [2, 3]}`: no one hears the votes of these nodes.
fn drop_of_senders(names: &Names, all: &mut Sets, node: &Node) -> Read<()> {
    let Value::Dict(pairs) = &node.value else {
        return Err(FileError::new(
            node.place,
            format!("{} where the dropped kinds should be", node.value.kind()),
            "write {\"Vote\": [2]}",
        ));
    };
    for (kind, senders) in pairs {
        let kinds = kinds(kind)?;
        for sender in list_of(senders, "the nodes whose messages are dropped")? {
            let actor = names.actor(sender)?;
            for kind in &kinds {
                silence(all, *kind, Some(actor));
            }
        }
    }
    Ok(())
}

/// Applies `[["Vote", 0, 2]]`: these two nodes do not hear each other's votes.
fn drop_between(names: &Names, all: &mut Sets, node: &Node) -> Read<()> {
    for drop in list_of(node, "the dropped messages of a round")? {
        match list_of(drop, "a kind and two nodes")? {
            [] => {}
            [kind, one, other] => {
                let (one, other) = (names.actor(one)?, names.actor(other)?);
                for kind in kinds(kind)? {
                    let Some(sets) = all.get_mut(kind) else { continue };
                    for (from, to) in [(one, other), (other, one)] {
                        sets.get_mut(from).into_iter().for_each(|set| *set &= !(1 << to));
                    }
                }
            }
            _ => return Err(FileError::new(drop.place, "expected a kind and two nodes", "write [\"Vote\", 0, 2]")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
