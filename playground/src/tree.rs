//! `tree`: the block tree that the validators know between them, with certificates, locks and commits.
//!
//! One line a block. A chain goes straight down; at a fork, the branch with the highest round stays left and the others go to the right.

use std::collections::{BTreeMap, BTreeSet};

use quorate_consensus::Engine;
use quorate_types::{
    ids::BlockId,
    round::{Height, Round},
};

use super::{
    blocks::Known,
    paint::{Line, Tone, count},
    stage::{Player, Stage},
};

/// Blocks drawn by default.
pub(super) const BLOCKS_DRAWN: usize = 20;
/// Most blocks drawn.
pub(super) const BLOCKS_DRAWN_MAX: usize = 500;

/// The characters to draw with.
struct Signs {
    committed: char,
    certified: char,
    proposed: char,
    down: &'static str,
    branch: &'static str,
    aside: &'static str,
}

const UNICODE: Signs = Signs { committed: '●', certified: '◆', proposed: '○', down: "│", branch: "├─", aside: "│ " };
const ASCII: Signs = Signs { committed: '@', certified: '+', proposed: 'o', down: "|", branch: "|-", aside: "| " };

/// A drawing in progress.
struct Drawing<'a> {
    stage: &'a Stage,
    signs: &'a Signs,
    shown: BTreeMap<BlockId, &'a Known>,
    children: BTreeMap<BlockId, Vec<BlockId>>,
    /// For each block, the highest round among it and its descendants.
    reach: BTreeMap<BlockId, Round>,
    rows: Vec<(String, String, Tone)>,
}

impl Stage {
    /// Draws the newest blocks, at most `blocks_max`.
    pub(super) fn tree(&self, blocks_max: usize, ascii: bool) -> Vec<Line> {
        let all = self.blocks.in_order();
        let left_out = all.len().saturating_sub(blocks_max);
        let newest: Vec<&Known> = all.into_iter().skip(left_out).collect();
        let mut children: BTreeMap<BlockId, Vec<BlockId>> = BTreeMap::new();
        let mut reach: BTreeMap<BlockId, Round> = BTreeMap::new();
        // Newest first, so that a block's reach is known before its parent's.
        for known in newest.iter().rev() {
            let id = known.block.id();
            let own = *reach.entry(id).or_insert(known.block.round());
            let parent = reach.entry(known.block.parent_id()).or_insert(own);
            *parent = (*parent).max(own);
        }
        for known in &newest {
            children.entry(known.block.parent_id()).or_default().push(known.block.id());
        }
        let shown: BTreeMap<BlockId, &Known> = newest.iter().map(|known| (known.block.id(), *known)).collect();
        let roots: BTreeSet<(Round, BlockId)> = newest
            .iter()
            .filter(|known| !shown.contains_key(&known.block.parent_id()))
            .map(|known| (known.block.qc().round(), known.block.parent_id()))
            .collect();
        let signs = if ascii { &ASCII } else { &UNICODE };
        let mut drawing = Drawing { stage: self, signs, shown, children, reach, rows: Vec::new() };
        if left_out > 0 {
            drawing.rows.push((format!("({} before)", count(left_out, "block")), String::new(), Tone::Quiet));
        } else {
            drawing.rows.push((format!("{} G    genesis", signs.committed), self.marks(None), Tone::Plain));
        }
        for (_, root) in roots {
            drawing.below(root, "");
        }
        let width = drawing.rows.iter().filter(|(_, marks, _)| !marks.is_empty()).map(|(text, ..)| text.chars().count()).max().unwrap_or(0);
        let mut lines: Vec<Line> = drawing
            .rows
            .into_iter()
            .map(|(text, marks, tone)| Line::new(tone, format!("{text:<width$}  {marks}").trim_end().to_owned()))
            .collect();
        lines.push(Line::new(
            Tone::Quiet,
            format!("{} committed by a validator   {} certified   {} proposed", signs.committed, signs.certified, signs.proposed),
        ));
        lines
    }

    /// The signers of a block's QC, and the validators that have it as high QC, as lock, or committed. `None` is genesis.
    fn marks(&self, known: Option<&Known>) -> String {
        let round = known.map_or(Round(0), |known| known.block.round());
        let id = known.map(|known| known.block.id());
        let of = |holds: &dyn Fn(&Player) -> bool| -> Vec<&str> {
            self.players.iter().filter(|player| holds(player)).map(|player| player.name.as_str()).collect()
        };
        let certified = known.is_none_or(|known| known.certified.is_some());
        let locked = of(&|player| certified && player.engine().is_some_and(|engine| is_locked(engine, round, id)));
        let high = of(&|player| {
            player.engine().map(|engine| engine.tree().high_qc()).is_some_and(|qc| id.map_or(qc.round() == round, |id| qc.block_id() == id))
        });
        let committed = of(&|player| known.is_none_or(|known| Self::has_committed(player, known)));
        let mut marks = Vec::new();
        if let Some((signers, _)) = known.and_then(|known| known.certified) {
            marks.push(format!("QC[{}]", signers.iter().map(|id| self.validator(id)).collect::<Vec<String>>().join(" ")));
        }
        let running = self.players.iter().filter(|player| player.is_up()).count();
        for (what, names) in [("high", high), ("lock", locked), ("commit", committed)] {
            if known.is_none() && what == "commit" || names.is_empty() {
                continue;
            }
            let names = if names.len() == running && running > 1 { "all".into() } else { names.join(" ") };
            marks.push(format!("{what}[{names}]"));
        }
        marks.join(" ")
    }

    fn has_committed(player: &Player, known: &Known) -> bool {
        let (Some(height), Some(replica)) = (known.committed, player.replica()) else { return false };
        // Some process committed the block at this height; this one may have a different block there.
        let at = |height: Height| replica.ledger().reader().header_at(height).ok().flatten();
        replica.ledger().root().height >= height && at(height).is_some_and(|header| header.block_id == known.block.id())
    }
}

/// Whether a validator is locked on this block. The lock is only a round; if a fork certified two blocks in it, the one that the validator
/// knows counts.
fn is_locked(engine: &Engine, round: Round, id: Option<BlockId>) -> bool {
    let high_qc = engine.tree().high_qc();
    let is_known = |id: BlockId| if high_qc.round() == round { high_qc.block_id() == id } else { engine.tree().contains(&id) };
    engine.safety_record().highest_qc_round() == round && id.is_none_or(is_known)
}

impl Drawing<'_> {
    /// Draws the descendants of a block: the branches first, then the chain with the highest round.
    fn below(&mut self, parent: BlockId, indent: &str) {
        let mut parent = parent;
        loop {
            let mut children = self.children.get(&parent).cloned().unwrap_or_default();
            children.sort_by_key(|id| (self.reach.get(id).copied(), self.certified(id)));
            let Some(main) = children.pop() else { return };
            for branch in children {
                self.row(branch, &format!("{indent}{} ", self.signs.branch));
                let indent = format!("{indent}{} ", self.signs.aside);
                self.below(branch, &indent);
            }
            self.rows.push((format!("{indent}{}", self.signs.down), String::new(), Tone::Plain));
            self.row(main, indent);
            parent = main;
        }
    }

    fn certified(&self, id: &BlockId) -> bool {
        self.shown.get(id).is_some_and(|known| known.certified.is_some())
    }

    fn row(&mut self, id: BlockId, indent: &str) {
        let Some(known) = self.shown.get(&id) else { return };
        let (sign, tone) = match (known.committed, known.certified) {
            (Some(_), _) => (self.signs.committed, Tone::Good),
            (None, Some(_)) => (self.signs.certified, Tone::Plain),
            (None, None) => (self.signs.proposed, Tone::Plain),
        };
        let tc = known.tc.map_or_else(String::new, |round| format!(" after TC({round})"));
        let block = &known.block;
        let text = format!(
            "{indent}{sign} {:<4} round {} by {}{tc}: {}",
            known.label,
            block.round(),
            self.stage.validator(block.author()),
            known.content
        );
        let marks = self.stage.marks(Some(known));
        self.rows.push((text, marks, tone));
    }
}
