// The drawings: the ribbon of rounds, who makes a quorum, and how far each validator has come.

import { el, number, percent, plural, svg } from "./dom.js";

const title = (words) => svg("title", {}, words);

// The ribbon of rounds ---------------------------------------------------------------------------------------------------------------------

const SLOT = 14;
const RIBBON_HEIGHT = 92;
const BASE = RIBBON_HEIGHT - 20;

/**
 * What stands in the slots, the oldest first: every block that is known here, every round that was lost between two neighbours, a gap for those
 * that this page has not asked for, and the rounds since the last commit. Of rounds in a row only the last `count` matter, however many they are.
 */
function slotsOf(blocks, consensus, count) {
  const slots = [];
  const add = (kind, from, to) => {
    for (let round = Math.max(from, to - count + 1); round <= to; round++) slots.push({ kind, round });
  };
  let parent = null;
  for (const block of [...blocks].reverse()) {
    if (parent?.height === block.height - 1) {
      add("lost", parent.epoch === block.epoch ? parent.round + 1 : 1, block.round - 1);
    } else if (parent) slots.push({ kind: "gap", from: parent.height + 1, to: block.height - 1 });
    slots.push({ kind: "block", round: block.round, block });
    parent = block;
  }
  // The newest blocks may still be on their way to this page.
  if (parent && parent.round < consensus.committed_round) slots.push({ kind: "gap", from: parent.height + 1, to: consensus.height });
  add("open", consensus.committed_round + 1, consensus.round);
  return slots;
}

/**
 * The last rounds, a slot each: blocks as bars, as tall as they have transactions; empty blocks low and quiet; lost rounds as crosses; what is
 * not committed yet as an outline; the present round dashed.
 */
export function ribbon({ width, blocks, consensus }) {
  const count = Math.max(8, Math.floor(width / SLOT));
  const slots = slotsOf(blocks, consensus, count).slice(-count);
  const most = Math.max(16, ...blocks.map((block) => block.transactions_total));
  const draw = {
    block: ({ block }, x) => {
      const isEmpty = block.transactions_total === 0;
      const height = isEmpty ? 6 : 10 + (BASE - 16) * (Math.log2(1 + block.transactions_total) / Math.log2(1 + most));
      const words = `round ${block.round}: block ${block.height}${block.author ? ` of ${block.author}` : ""}, ${isEmpty ? "empty" : plural(block.transactions_total, "transaction")}`;
      return svg("rect", { class: isEmpty ? "bar empty" : "bar", x: x + 2, y: BASE - height, width: SLOT - 4, height, rx: 2 }, title(words));
    },
    lost: ({ round }, x) => svg("path", { class: "lost", d: `M${x + SLOT / 2 - 3} ${BASE - 8}l6 6m0 -6l-6 6` }, title(`round ${round} was lost: no block of it is in the chain`)),
    gap: ({ from, to }, x) => svg("path", { class: "gap", d: `M${x + 2} ${BASE - 3}h${SLOT - 4}` }, title(`blocks ${from} to ${to}: this page has not asked for them`)),
    open: ({ round }, x) => {
      const state = round === consensus.round ? `under way; ${consensus.leader} leads it` : round === consensus.high_qc_round ? "its block is certified, but not committed yet" : round < consensus.high_qc_round ? "not committed yet" : "ended without a certificate that this node knows";
      return svg("rect", { class: round === consensus.round ? "bar present" : "bar open", x: x + 2.5, y: BASE - 17.5, width: SLOT - 5, height: 17, rx: 2 }, title(`round ${round}: ${state}`));
    },
  };
  const offset = (count - slots.length) * SLOT;
  const parts = [];
  let labelled = -Infinity;
  slots.forEach((slot, i) => {
    const x = offset + i * SLOT;
    parts.push(draw[slot.kind](slot, x));
    const isMark = slot.kind === "block" && slot.round % 5 === 0 && x - labelled > 66;
    if (isMark && x > 20 && x < count * SLOT - 40) {
      labelled = x;
      parts.push(svg("text", { x: x + SLOT / 2, y: RIBBON_HEIGHT - 3, "text-anchor": "middle" }, number(slot.round)));
    }
  });
  const shown = slots.filter(({ kind }) => kind === "block").length;
  const lost = slots.filter(({ kind }) => kind === "lost").length;
  const label = `The last rounds, up to ${consensus.round}: ${plural(shown, "committed block")}, ${plural(lost, "lost round")}`;
  const drawn = count * SLOT;
  return svg(
    "svg",
    { class: "ribbon", role: "img", "aria-label": label, viewBox: `0 0 ${drawn} ${RIBBON_HEIGHT}`, width: drawn, height: RIBBON_HEIGHT },
    svg("line", { class: "ground", x1: 0, x2: drawn, y1: BASE + 0.5, y2: BASE + 0.5 }),
    parts,
  );
}

// A quorum ---------------------------------------------------------------------------------------------------------------------------------

/** The power of all voters as one bar: filled for those that answer, with a mark at what a quorum needs. */
export function quorum({ validators, total, needed }) {
  const width = 1000;
  const part = (power) => (width * Number(power)) / Math.max(1, Number(total));
  let at = 0;
  let answering = 0;
  const ordered = [...validators].sort((a, b) => Number(b.answers) - Number(a.answers));
  const segments = ordered.map(({ name, power, answers }) => {
    const from = at;
    at += part(power);
    if (answers) answering += Number(power);
    return svg(
      "rect",
      { class: answers ? "answers" : "silent", x: from + 2, y: 12, width: Math.max(1, at - from - 4), height: 18, rx: 4 },
      title(`${name}: power ${power}, ${percent(power, total)}, ${answers ? "answers" : "does not answer"}`),
    );
  });
  const mark = part(needed);
  const label = `${answering} of ${total} power answers; a quorum needs ${needed}`;
  return svg(
    "svg",
    { class: "quorum", role: "img", "aria-label": label, viewBox: `0 0 ${width} 42`, preserveAspectRatio: "none" },
    segments,
    svg("line", { class: "needed", x1: mark, x2: mark, y1: 4, y2: 38 }, title(`a quorum needs ${needed}`)),
  );
}

/** Voters as `quorum` draws them: one answers if it is the asked validator itself, or its link is up. */
export function voters(consensus) {
  return consensus.validators.filter((one) => BigInt(one.power) > 0n).map((one) => ({ name: one.name, power: one.power, answers: !one.link || one.link.state === "up" }));
}

// How far each validator has come ------------------------------------------------------------------------------------------------------------

const ROUNDS_SHOWN = 16;
const STEP_MIN = 22;
const LANE = 30;

/**
 * A lane for each validator: the blocks that it made, its newest vote, its newest message; and the rounds that matter to the asked one. The
 * rounds from the last commit on are always in it, however far apart they are; then those in between are left out.
 */
export function lanes({ width, consensus, blocks }) {
  const { validators, committed_round: committed, high_qc_round: certified, round: present } = consensus;
  const isNarrow = width < 560;
  const left = isNarrow ? 92 : 150;
  const shown = Math.max(5, Math.min(ROUNDS_SHOWN, Math.floor((width - left) / STEP_MIN)));
  const step = (width - left) / shown;
  const last = present + 1;
  const first = Math.max(0, last - shown + 1);
  // What a validator claims may be any number.
  const x = (round) => left + (Math.min(Math.max(Number(round), first - 0.4), last) - first + 0.5) * step;
  const height = 44 + LANE * validators.length + 8;
  const parts = [];
  const mark = (round, kind, words) => {
    if (round < first) return;
    parts.push(svg("line", { class: `mark ${kind}`, x1: x(round), x2: x(round), y1: 34, y2: height - 6 }, title(`${words}: round ${round}`)));
  };
  mark(committed, "committed", "committed");
  mark(certified, "certified", "certified");
  mark(present, "present", "under way");
  const parents = new Map(blocks.map((block) => [block.height, block]));
  for (let round = first; round <= last; round++) {
    const every = step < 46 ? 4 : 1;
    if ((present - round) % every === 0) parts.push(svg("text", { class: "tick", x: x(round), y: 28, "text-anchor": "middle" }, number(round)));
  }
  const words = [[committed, "committed"], [certified, "certified"], [present, "now"]].filter(([round]) => round >= first);
  for (const [round, word] of words) {
    // On a narrow screen the words of neighbouring rounds would overlap; there, colours and titles say it.
    if (step >= 62 || word === "now") parts.push(svg("text", { class: `mark ${word}`, x: x(round), y: 12, "text-anchor": "middle" }, word));
  }
  const lane = new Map(validators.map(({ name }, i) => [name, 44 + LANE * i + LANE / 2]));
  for (const block of blocks) {
    if (block.round < first) continue;
    const y = lane.get(block.author);
    if (y !== undefined) parts.push(svg("rect", { class: "author", x: x(block.round) - Math.min(16, step / 2 - 2), y: y - 9, width: Math.min(32, step - 4), height: 18, rx: 4 }, title(`${block.author} made block ${block.height} in round ${block.round}`)));
    const parent = parents.get(block.height - 1);
    if (parent?.epoch !== block.epoch) continue;
    for (let round = Math.max(first, parent.round + 1); round < Math.min(block.round, last + 1); round++) parts.push(svg("path", { class: "lost", d: `M${x(round) - 4} 36l8 8m0 -8l-8 8` }, title(`round ${round} was lost`)));
  }
  validators.forEach((one, i) => {
    const y = lane.get(one.name) ?? 44 + LANE * i + LANE / 2;
    const isDown = one.link && one.link.state !== "up";
    const cut = isNarrow && one.name.length > 12 ? `${one.name.slice(0, 11)}…` : one.name.length > 20 ? `${one.name.slice(0, 19)}…` : one.name;
    parts.push(svg("text", { class: isDown ? "name down" : "name", x: 0, y: y + 4 }, cut, title(one.name)));
    parts.push(svg("line", { class: "lane", x1: left, x2: width, y1: y, y2: y }));
    if (one.claimed_round !== undefined) parts.push(svg("circle", { class: "claimed", cx: x(one.claimed_round), cy: y, r: 6 }, title(`${one.name} claims to be in round ${one.claimed_round}`)));
    if (one.last_round !== undefined) parts.push(svg("circle", { class: "heard", cx: x(one.last_round), cy: y, r: 8 }, title(`newest message of ${one.name}: round ${one.last_round}`)));
    if (one.last_vote) parts.push(svg("circle", { class: isDown ? "voted down" : "voted", cx: x(one.last_vote.round), cy: y, r: 4.5 }, title(`newest vote of ${one.name}: round ${one.last_vote.round}`)));
  });
  const behind = validators.filter((one) => (one.last_vote?.round ?? -1) < committed).map((one) => one.name);
  const label = `Round ${present}; committed ${committed}, certified ${certified}. ${behind.length === 0 ? "All validators have voted since the last commit." : `No vote since the last commit seen from ${behind.join(", ")}.`}`;
  return svg("svg", { class: "lanes", role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}`, width, height }, parts);
}

export const legend = (...entries) => el("p", { class: "legend" }, entries.map(([kind, words]) => el("span", {}, el("i", { class: `key ${kind}`, "aria-hidden": "true" }), words)));
