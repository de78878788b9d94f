// The pages, and the way between them: `#/block/12`, `#/tx/0x…`, `#/account/0x…`, `#/key/0x…`, `#/validators` and so on.

import { equal, fromHex, toHash, toHex, toText, utf8 } from "./bytes.js";
import { ADDRESSES_KEY, EPOCH_KEY, PROPOSALS_KEY, VERSIONS_KEY, epochStateHash, proposalKey, readBuiltIn, readEpochChange, readEpochState, readProposal, readProposals, reads } from "./formats.js";
import { bytes, card, clock, duration, el, facts, fullLink, keyed, link, moment, mono, number, percent, plural, quiet, rate, say, short, shortLink, table, time } from "./dom.js";
import { lanes, legend, quorum, ribbon, voters } from "./drawings.js";
import { NodeError, blockAt, get, header, lightClient, live, lostBefore, onNews, pin, rates, recent, roundAfter, setPin, start } from "./node.js";
import { CannotCheck, NothingSigned, ProofError, isRefutation, quorumOf } from "./proof.js";

const main = document.getElementById("main");
const HASH = /^(0x)?[0-9a-fA-F]{64}$/;
const BYTES = /^(0x)?([0-9a-fA-F]{2})+$/;
/** The application whose values this page can read. */
const BUILT_IN = "quorate";
const withPrefix = (hash) => "0x" + hash.replace(/^0x/, "").toLowerCase();

// The mark of a proof ------------------------------------------------------------------------------------------------------------------------

const SIGNS = { checking: "…", proved: "✓", unpinned: "≈", refuted: "✗", cannot: "–", unproved: "–" };

function mark(state, words, ...steps) {
  const node = el("details", { class: "proof", "data-mark": state }, el("summary", {}, el("span", { class: "sign", "aria-hidden": "true" }, SIGNS[state]), el("span", {}, words)));
  node.append(el("ol", {}, steps.filter(Boolean).map((step) => el("li", {}, step))));
  return node;
}

const ago = (timestamp) => {
  const age = Date.now() - Number(timestamp);
  return age < 0 ? "of this moment" : `${duration(age)} old`;
};

/** An age that goes on growing. Nobody wants it read out every second. */
const ageOf = (timestamp) => el("span", { "data-since": timestamp, "aria-live": "off" }, ago(timestamp));

function renewAges() {
  for (const age of document.querySelectorAll("[data-since]")) say(age, ago(age.dataset.since));
}

/** Where a mark is or will be: a screen reader says what it becomes. */
const markBox = (...children) => el("div", { "aria-live": "polite" }, ...children);

/** Shows whether claims of the node are refuted. */
function doubt(isRefuted, ...claims) {
  for (const claim of claims) claim.classList.toggle("refuted-claim", Boolean(isRefuted));
}

/** The steps from the genesis hash, pinned or not when the check began, to what a proof shows. */
function steps({ pinned }, proved, what) {
  const { header, signers, power, total, round } = proved;
  return [
    pinned ? `The genesis hash is the one that you pinned: ${short(pinned)}.` : "The genesis hash is the one that the node names. You have not pinned one, so the node is taken at its word for it.",
    "The genesis that the node serves has this hash; it names the first committee.",
    proved.epochs > 0 && `${plural(proved.epochs, "change")} of the committee followed, each signed by a quorum of the committee before.`,
    `${signers.join(", ")} signed the certificate of round ${number(round)}: ${power} of ${total} power, and ${quorumOf(total)} make a quorum. Every signature was checked here.`,
    proved.headers > 1 ? `The certificate commits a block whose ${plural(proved.headers - 1, "ancestor")} lead to block ${number(header.height)}.` : `The certificate commits block ${number(header.height)}.`,
    what,
    `This was so at height ${number(header.height)}, ${moment(header.timestamp)}. A node can show an old state, but no false one.`,
  ];
}

/** The mark for a proof that holds. Green is for those alone that begin with a hash that the user knows. */
function holds(client, proved, what) {
  const when = [`as of block ${number(proved.header.height)}, `, ageOf(proved.header.timestamp)];
  if (client.pinned) return mark("proved", ["Proved here from the genesis hash that you pinned, ", when], ...steps(client, proved, what));
  return mark("unpinned", ["Follows from the genesis hash that this node names, ", when, ". Pin the hash that you know to have it proved."], ...steps(client, proved, what), link("#/trust", "Pin the genesis hash"));
}

/** The mark for a proof that does not hold, or that could not be checked. */
function fails(error) {
  if (isRefutation(error)) return mark("refuted", `Do not believe this: ${error.message}.`, "What the node says does not follow from its own proof and the genesis hash. Ask another node.");
  if (error instanceof CannotCheck) return mark("cannot", `Not proved: ${error.message}.`, "Without signatures nothing is proved, so what stands here is the node's word.", "`quorate wallet` checks proofs on any machine.");
  if (error instanceof NothingSigned) return mark("unproved", `Not proved: ${error.message}.`, "Look again once the first block is committed.");
  if (error instanceof NodeError) return mark("unproved", `Not proved: ${error.message}.`, error.hint ?? "The proof, or a part of what it rests on, could not be fetched.");
  return mark("unproved", "Not proved: this page failed.", String(error?.message ?? error));
}

/** Checks with the light client: the proof, or `null`, and its mark. */
async function check(what, prove) {
  try {
    const client = await lightClient();
    const proved = await prove(client);
    // The node's word for its application would decide how proved bytes read; that of the genesis is proved.
    return { proved, isBuiltIn: client.application === BUILT_IN, mark: holds(client, proved, typeof what === "function" ? what(proved) : what) };
  } catch (error) {
    return { proved: null, isBuiltIn: live.status?.application === BUILT_IN, mark: fails(error), refuted: isRefutation(error) };
  }
}

const pathWords = (length) => (length === 0 ? "is the root of its tree" : `leads through ${plural(length, "branch", "branches")} to the root of its tree`);

/** Reads a key of the state, and proves its value. */
async function proveKey(key, name) {
  const answer = await get(`v1/state/${toHash(key)}`);
  const checked = await check((proved) => `The ${name} ${pathWords(proved.path)}, which the header of the block names.`, (client) => client.value(key, answer));
  return { answer, value: answer.value === null ? null : fromHex(answer.value), ...checked };
}

// The chain ----------------------------------------------------------------------------------------------------------------------------------

/** Why the last questions were not answered. */
function silenceWords({ since, error }) {
  if (error.code === "silent") return `The node does not answer${since ? ` since ${clock(since)}` : ""}.`;
  if (error instanceof NodeError) return `The node cannot answer: ${error.message}.`;
  return isRefutation(error) ? `The node's answers make no sense: ${error.message}.` : `This page failed: ${error?.message ?? error}.`;
}

/** Words of the node as a sentence of their own. */
const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;

/** How the chain is, in a sentence. */
function pulse() {
  const { status, consensus } = live;
  if (live.silence) return ["bad", silenceWords(live.silence)];
  if (!consensus) return ["", "Asking the node …"];
  if (consensus.catching_up || status.catching_up) return ["slow", "This node is catching up: it fetches blocks that the others have committed."];
  if (consensus.stall) return ["slow", sentence(consensus.stall.summary)];
  if (consensus.since_commit_ms > consensus.patience_ms) return ["slow", `Nothing was committed for ${duration(consensus.since_commit_ms)}. Up to ${duration(consensus.patience_ms)} is normal here.`];
  const silent = consensus.validators.filter((one) => one.link && one.link.state !== "up").map((one) => one.name);
  const without = silent.length === 0 ? "" : silent.length > 3 ? `, without ${silent.length} validators` : `, without ${silent.join(" and ")}`;
  return ["", `The chain commits${without}. The last block came ${duration(consensus.since_commit_ms)} ago.`];
}

function figure(name, id) {
  const value = el("dd", { "data-figure": id });
  return { node: el("div", {}, el("dt", {}, name), value), say: (words) => (say(value, words), (value.title = words)) };
}

const blockRow = (block) =>
  el(
    "tr",
    { class: block.transactions_total === 0 ? "empty-block" : null },
    el("td", {}, el("a", { href: `#/block/${block.height}`, "data-block": block.height }, number(block.height))),
    el("td", { class: "right" }, block.transactions_total === 0 ? "empty" : number(block.transactions_total)),
    el("td", {}, block.author ?? (block.height === 0 ? "genesis" : "–")),
    el("td", { class: "later right" }, number(block.round)),
    el("td", { class: "right" }, time(block.timestamp, clock)),
    el("td", { class: "later" }),
  );

const right = (name, className = "right") => el("th", { scope: "col", class: className }, name);

function chainPage(_, page) {
  const height = el("p", { class: "height", id: "height", "data-figure": "height" }, "–");
  const state = el("p", { class: "pulse" });
  const list = {
    round: figure("round", "round"),
    epoch: figure("epoch", "epoch"),
    leader: figure("leader now", "leader"),
    certified: figure("certified round", "high-qc"),
    commits: figure("commits / s", "commits"),
    transactions: figure("transactions / s", "transactions"),
    pool: figure("waiting in the pool", "pool"),
    quorum: figure("validators linked", "linked"),
  };
  const hero = el("section", { class: "card" }, el("div", { class: "hero" }, el("div", {}, el("h1", { class: "label" }, "Height"), height, state), el("dl", { class: "figures" }, Object.values(list).map(({ node }) => node))));
  const drawn = el("div", { class: "draw" });
  const rounds = card("Rounds", drawn, legend(["bar", "block"], ["empty", "empty block"], ["lost", "lost round"], ["gap", "not asked for"], ["open", "not committed yet"], ["present", "under way"]));
  const blocks = table(["Height", right("Transactions"), "Author", right("Round", "later right"), right("Time"), el("th", { scope: "col", class: "later" }, "")], [], { "aria-label": "Last blocks" });
  const people = el("ul", { class: "people" });
  const latest = el("ul", { class: "people" });
  const latestCard = card("Latest transactions", latest);
  page.show(hero, rounds, el("div", { class: "columns wide" }, card("Last blocks", blocks.node), el("div", { class: "stack" }, card("Validators", people), latestCard)));

  return () => {
    const { status, consensus } = live;
    const [kind, words] = pulse();
    say(state, words);
    state.className = `pulse ${kind}`;
    if (!status) return;
    say(height, number(status.height));
    const { commits, transactions, isSample } = rates();
    list.round.say(number(consensus.round));
    list.epoch.say(number(status.epoch));
    list.leader.say(consensus.leader);
    list.certified.say(number(consensus.high_qc_round));
    list.commits.say(rate(commits));
    list.transactions.say((isSample ? "≈ " : "") + rate(transactions));
    list.pool.say(number(status.pool_transactions));
    const up = consensus.validators.filter((one) => !one.link || one.link.state === "up").length;
    list.quorum.say(`${up} of ${consensus.validators.length}`);
    const known = recent();
    drawn.replaceChildren(ribbon({ width: drawn.clientWidth, blocks: known, consensus }));
    keyed(blocks.body, known.slice(0, 16), {
      key: (block) => block.height,
      make: (block) => blockRow(block),
      update: (row, block) => {
        const lost = lostBefore(block);
        const note = row.lastElementChild;
        if (lost > 0 && !note.firstChild) note.append(el("span", { class: "tag slow" }, `after ${plural(lost, "lost round")}`));
      },
    });
    const authored = new Map();
    for (const { author } of known) if (author) authored.set(author, (authored.get(author) ?? 0) + 1);
    keyed(people, consensus.validators, {
      key: (one) => one.name,
      make: (one) => el("li", {}, el("span", { class: "name" }, one.name), el("span", { class: "tag" }), el("span", { class: "rest" })),
      update: (row, one) => {
        const [, tag, rest] = row.children;
        const isDown = one.link && one.link.state !== "up";
        const leads = consensus.leader === one.name;
        tag.className = isDown ? "tag slow" : leads ? "tag leads" : "tag";
        say(tag, isDown ? (leads ? "leads now, no link" : "no link") : leads ? "leads now" : one.link ? "linked" : "this node");
        say(rest, `${number(authored.get(one.name) ?? 0)} of the last ${number(known.filter((block) => block.author).length)} blocks`);
      },
    });
    latestCard.hidden = !live.latest;
    if (live.latest) {
      keyed(latest, live.latest.transactions, {
        key: ({ tx_id }) => tx_id,
        make: ({ tx_id, sender, outcome }) =>
          el("li", {}, el("a", { href: `#/tx/${tx_id}`, class: "mono", "data-tx": tx_id, title: tx_id }, short(tx_id)), outcome.result === "failed" && el("span", { class: "tag slow" }, outcome.code), el("span", { class: "rest" }, "by ", shortLink("account", sender))),
      });
    }
  };
}

// Validators ---------------------------------------------------------------------------------------------------------------------------------

const memberRow = (member, total) =>
  el(
    "tr",
    {},
    el("td", {}, member.seat),
    el("td", {}, el("strong", {}, member.name), " ", el("span", { class: "tag" })),
    el("td", { class: "right" }, number(member.power)),
    el("td", {}, member.power > 0n ? [el("progress", { class: "share", max: 1000, value: Math.round((1000 * Number(member.power)) / Number(total)), "aria-hidden": "true" }), percent(member.power, total)] : el("span", { class: "tag" }, "observer")),
    el("td", { class: "right" }),
    el("td", {}),
    el("td", { class: "right" }),
    el("td", {}, member.operator ? shortLink("account", member.operator) : "–"),
    el("td", {}, el("code", { title: toHash(member.consensusKey) }, short(toHash(member.consensusKey)))),
    el("td", {}, el("code", {}, member.address)),
  );

function linkWords(standing) {
  if (!standing) return "unknown";
  if (!standing.link) return "this node";
  const { state, since_ms: since, reason } = standing.link;
  return `${state}${state === "up" ? "" : ` for ${duration(since)}${reason ? `: ${reason}` : ""}`}`;
}

function validatorsPage(_, page) {
  const proofs = markBox();
  const drawn = el("div", { class: "draw" });
  const power = el("p", { class: "quiet" });
  const seats = table(["Seat", "Name", right("Power"), "Share", right("Led"), "Link", right("Last vote"), "Operator", "Consensus key", "Address"], [], { "aria-label": "Members of the committee" });
  const intro = el("h1", {}, "Validators");
  const parameters = card("Parameters of the epoch", el("div", {}));
  page.show(
    el("div", { class: "head" }, intro),
    card("Who answers", drawn, power, legend(["bar", "answers this node"], ["silent", "does not"], ["needed", "a quorum"])),
    card("The committee", seats.node, proofs, quiet("The tags beside the names, who led, links and last votes are not in the state: they are the node's word.")),
    parameters,
  );
  let shown = null;
  let complaint = null;

  /** Proves the very answer that the table shows, not another one to the same question. */
  async function prove({ answer }) {
    proofs.replaceChildren(mark("checking", "Checking the proof of the committee …"));
    const checked = await check((proved) => `The state of the epoch ${pathWords(proved.path)}, which the header of the block names.`, (client) => client.value(EPOCH_KEY, answer));
    if (shown?.answer !== answer) return;
    doubt(checked.refuted, seats.node, parameters);
    proofs.replaceChildren(checked.mark);
  }

  return () => {
    const { consensus, epoch } = live;
    if (!consensus) return;
    const standings = new Map(consensus.validators.map((one) => [one.name, one]));
    const asked = voters(consensus);
    drawn.replaceChildren(quorum({ validators: asked, total: consensus.total_power, needed: consensus.quorum_power }));
    const answering = asked.filter((one) => one.answers).reduce((sum, one) => sum + BigInt(one.power), 0n);
    const spare = answering - BigInt(consensus.quorum_power);
    const outlook = spare > 0n ? `so the chain goes on if ${spare} more should fail` : spare === 0n ? "so none of those that answer may fail now" : "so the chain stands still until more validators answer";
    say(power, `${answering} of ${consensus.total_power} power answers. A quorum needs ${consensus.quorum_power}, ${outlook}.`);
    if (!epoch) {
      if (live.epochError && live.epochError.message !== complaint) {
        doubt(true, seats.node, parameters);
        proofs.replaceChildren(fails(live.epochError));
      }
      complaint = live.epochError?.message ?? null;
      return;
    }
    const total = epoch.state.members.reduce((sum, member) => sum + member.power, 0n);
    say(intro, `Validators of epoch ${epoch.state.epoch}`);
    const blocks = recent().filter((block) => block.author);
    const isNew = shown !== epoch;
    shown = epoch;
    if (isNew) seats.body.replaceChildren();
    keyed(seats.body, epoch.state.members, {
      key: (member) => member.seat,
      make: (member) => memberRow(member, total),
      update: (row, member) => {
        const standing = standings.get(member.name);
        const leads = consensus.leader === member.name;
        const tag = row.children[1].querySelector(".tag");
        const isDown = standing?.link && standing.link.state !== "up";
        tag.className = isDown ? "tag slow" : leads ? "tag leads" : "tag";
        say(tag, isDown ? "no link" : leads ? "leads now" : member.power === 0n ? "observer" : "voter");
        say(row.children[4], `${blocks.filter((block) => block.author === member.name).length} of ${blocks.length}`);
        const words = linkWords(standing);
        say(row.children[5], words);
        row.children[5].className = isDown ? "wrap" : "";
        say(row.children[6], standing?.last_vote ? number(standing.last_vote.round) : "–");
      },
    });
    if (isNew) {
      parameters.lastElementChild.replaceWith(parameterFacts(epoch.state));
      prove(epoch).catch((error) => proofs.replaceChildren(fails(error)));
    }
  };
}

const PARAMETER_WORDS = {
  block_transactions_max: ["most transactions in a block", number],
  block_bytes_max: ["most bytes of transactions in a block", bytes],
  timeout_base_ms: ["a round's first timer", duration],
  timeout_growth_percent: ["each further round without a commit", (value) => `${value} % of the one before`],
  timeout_max_ms: ["a round's longest timer", duration],
  heartbeat_ms: ["an idle chain makes an empty block after", duration],
  window_size: ["elections look back on", (value) => plural(value, "block")],
  exclude_size: ["elections exclude the last", (value) => (value === null ? "f authors" : plural(value, "author"))],
  access: ["who may send", (value) => (value === "open" ? "every key" : "accounts with a role")],
  account_block_percent: ["an account's share of a block", (value) => `${value} %`],
  bytes_max: ["most bytes of state", bytes],
  block_effect_bytes_max: ["most bytes that a block writes", bytes],
};

const authorityWords = (authority) => (authority.kind === "operators" ? "the operators of voters, by the power of their validators" : `a board of ${authority.members.length}, ${authority.needed} of which must approve`);

function parameterFacts(state) {
  const node = facts(
    ["protocol version", state.version],
    ["who decides on proposals", authorityWords(state.authority)],
    ...Object.entries(state.parameters).map(([name, value]) => [PARAMETER_WORDS[name][0], PARAMETER_WORDS[name][1](value)]),
  );
  node.classList.add("two");
  return node;
}

// Consensus ----------------------------------------------------------------------------------------------------------------------------------

/** Why the chain is as fast as it is, in sentences. */
function explain({ status, consensus }) {
  const { round, leader, high_qc_round: certified, committed_round: committed, height } = consensus;
  const words = [`Block ${number(height)} of round ${number(committed)} is committed, ${duration(consensus.since_commit_ms)} ago.`];
  if (status.signs_nothing) words.push(`This validator signs nothing: ${status.signs_nothing}.`);
  if (consensus.catching_up) words.push("It is fetching blocks that the others have committed, so what follows may be old.");
  if (certified > committed) words.push(`The block of round ${number(certified)} is certified: a quorum has voted for it. It is committed as soon as ${certified === committed + 1 || round === certified + 1 ? `the block of round ${number(certified + 1)} is certified too` : "two rounds in a row are certified"}.`);
  const lost = round - certified - 1;
  if (lost > 0) words.push(`${lost === 1 ? `Round ${number(certified + 1)}` : `The rounds ${number(certified + 1)} to ${number(round - 1)}`} ended by timeout, without a certificate.`);
  words.push(`Round ${number(round)} is under way, and ${leader} leads it.`);
  const answering = voters(consensus).reduce((sum, one) => sum + (one.answers ? BigInt(one.power) : 0n), 0n);
  const isQuorum = answering >= BigInt(consensus.quorum_power);
  const silent = consensus.validators.filter((one) => one.link && one.link.state !== "up");
  for (const one of silent) {
    const effect = !isQuorum || BigInt(one.power) === 0n ? "" : one.name === leader ? " It leads this round, so the round ends by timeout." : " When its turn to lead comes, that round ends by timeout.";
    words.push(`${one.name} has not been reached for ${duration(one.link.since_ms)}${one.link.reason ? ` (${one.link.reason})` : ""}.${effect}`);
  }
  if (!isQuorum) words.push(`Only ${answering} of ${consensus.total_power} power answers, and a quorum needs ${consensus.quorum_power}: nothing can be committed until more validators answer. Nothing is lost meanwhile.`);
  else if (consensus.since_commit_ms <= consensus.patience_ms && silent.length === 0 && status.pool_transactions === 0) words.push(`Nothing is wrong. An idle chain waits before it makes an empty block: up to ${duration(consensus.patience_ms)} between two commits are normal here.`);
  if (status.pool_transactions > 0) words.push(`${plural(status.pool_transactions, "transaction")} wait${String(status.pool_transactions) === "1" ? "s" : ""} in this node's pool.`);
  return words;
}

/** Blocks that were voted for and are not committed, as far as the votes show. */
function uncommitted({ validators, committed_round: committed }) {
  const found = new Map();
  for (const { name, power, last_vote: vote } of validators) {
    if (!vote || vote.round <= committed) continue;
    const name_ = `${vote.round}/${vote.block_id}`;
    const entry = found.get(name_) ?? { key: name_, round: vote.round, id: vote.block_id, names: [], power: 0n };
    entry.names.push(name);
    entry.power += BigInt(power);
    found.set(name_, entry);
  }
  return [...found.values()].sort((a, b) => b.round - a.round);
}

function consensusPage(_, page) {
  const words = el("ul", { class: "words" });
  const state = el("p", { class: "pulse" });
  const drawn = el("div", { class: "draw" });
  const bar = el("div", { class: "draw" });
  const open = table([right("Round"), "Block", "Newest votes seen of", "State"], [], { "aria-label": "Blocks that are not committed yet" });
  const numbers = el("div", {});
  const dropped = el("div", {}, quiet("Asking …"));
  page.show(
    el("div", { class: "head" }, el("h1", {}, "Is it slow, or stuck?")),
    el("div", { class: "columns even" }, card(null, state, words), card("Who answers", bar, legend(["bar", "answers this node"], ["silent", "does not"], ["needed", "a quorum"]), numbers)),
    card("Where each validator stands", drawn, legend(["author", "made this round's block"], ["voted", "its newest vote"], ["heard", "its newest message"], ["claimed", "a round that it claims"], ["lost", "lost round"])),
    card("Blocks that are not committed yet", open.node, quiet("A block is certified by the votes of a quorum, and committed when the block of the next round is certified too. Here are the votes that this validator has seen last, one of each validator; they are not proved.")),
    card("Dropped in the last ten minutes", dropped),
  );
  let dropsAt = 0;

  async function showDrops() {
    const { drops, transactions } = await get("v1/drops");
    if (drops.length + transactions.length === 0) return dropped.replaceChildren(quiet("Nothing."));
    const rows = drops.map((drop) => el("tr", {}, el("td", {}, drop.what), el("td", {}, drop.reason), el("td", {}, drop.validator ?? "–"), el("td", { class: "right" }, number(drop.count)), el("td", { class: "right" }, time(drop.last, clock))));
    const left = transactions.slice(-20).reverse().map((one) => el("tr", {}, el("td", {}, shortLink("tx", one.tx_id)), el("td", { class: "wrap" }, one.reason), el("td", { class: "right" }, time(one.at, clock))));
    dropped.replaceChildren(
      rows.length > 0 ? table(["What", "Why", "From", right("Times"), right("Last")], rows, { "aria-label": "Dropped messages" }).node : "",
      left.length > 0 ? table(["Transaction", "Why it left the pool", right("Time")], left, { "aria-label": "Dropped transactions" }).node : "",
    );
  }

  return () => {
    const { status, consensus } = live;
    const [kind, sentence] = pulse();
    say(state, sentence);
    state.className = `pulse ${kind}`;
    if (!consensus) return;
    keyed(words, explain(live).map((text, i) => ({ text, i })), { key: ({ i }) => i, make: () => el("li", {}), update: (row, { text }) => say(row, text) });
    bar.replaceChildren(quorum({ validators: voters(consensus), total: consensus.total_power, needed: consensus.quorum_power }));
    numbers.replaceChildren(
      facts(
        ["asked validator", `${consensus.name}, epoch ${number(status.epoch)}`],
        ["quorum", `${number(consensus.quorum_power)} of ${number(consensus.total_power)} power`],
        ["its last vote", `round ${number(consensus.highest_vote_round)}`],
        ["its lock", `round ${number(consensus.locked_round)}`],
      ),
    );
    drawn.replaceChildren(lanes({ width: Math.max(260, drawn.clientWidth), consensus, blocks: recent() }));
    keyed(open.body, uncommitted(consensus), {
      key: ({ key }) => key,
      make: ({ round, id }) => el("tr", {}, el("td", { class: "right" }, number(round)), el("td", {}, el("code", { title: id }, short(id))), el("td", { class: "wrap" }), el("td", {})),
      update: (row, { names, power, round }) => {
        say(row.children[2], names.join(", "));
        say(row.children[3], round === consensus.high_qc_round ? "certified" : round < consensus.high_qc_round ? "certified, or overtaken" : `${power} of ${consensus.quorum_power} power`);
      },
    });
    if (Date.now() - dropsAt > 10_000) {
      dropsAt = Date.now();
      showDrops().catch((error) => dropped.replaceChildren(quiet(error.message)));
    }
  };
}

// Blocks -------------------------------------------------------------------------------------------------------------------------------------

const ROWS_AT_ONCE = 100;
/** A block with more transactions is checked when the user asks for it. */
const CHECKED_AT_ONCE = 1024;

function outcomeTag(outcome) {
  if (outcome.result === "applied") return el("span", { class: "quiet" }, outcome.output_bytes > 1 ? `applied, answered with ${plural(outcome.output_bytes, "byte")}` : "applied");
  return [el("span", { class: "tag slow" }, outcome.code), " ", el("span", { class: "quiet" }, outcome.reason)];
}

async function blockPage([place], page) {
  const block = await blockAt(place === "latest" ? place : BigInt(place));
  const { height, transactions_total: total } = block;
  const parent = height > 0 ? await header(height - 1).catch(() => null) : null;
  const lost = parent ? lostBefore(block, parent) : 0;
  const proofs = markBox();
  const listed = [];

  /** Pages follow each other and come to an end. Otherwise a node could keep this page asking for ever. */
  function take({ transactions, next }) {
    listed.push(...transactions);
    const isNext = transactions.length > 0 && next === listed.length && next < total;
    if (!isNext && (next !== undefined || listed.length !== total)) throw new ProofError("the node lists another number of transactions than it states");
  }
  take(block);
  let loading = null;
  /** Loads the next page; one at a time, whoever asks for it. */
  const loadPage = () => (loading ??= blockAt(height, listed.length).then(take).finally(() => (loading = null)));

  const rows = table(["#", "Transaction", "Sender", right("Sequence"), "Outcome"], [], { "aria-label": "Transactions of the block" });
  let drawnRows = 0;
  const more = el("button", { type: "button", class: "plain", onclick: () => page.run(showMore) }, "Show more");
  async function showMore() {
    if (drawnRows >= listed.length && listed.length < total) await loadPage();
    for (const transaction of listed.slice(drawnRows, drawnRows + ROWS_AT_ONCE)) {
      rows.body.append(el("tr", {}, el("td", {}, number(drawnRows)), el("td", {}, shortLink("tx", transaction.tx_id)), el("td", {}, shortLink("account", transaction.sender)), el("td", { class: "right" }, number(transaction.sequence)), el("td", { class: "wrap" }, outcomeTag(transaction.outcome))));
      drawnRows += 1;
    }
    more.hidden = drawnRows >= total;
    say(more, `Show more (${number(drawnRows)} of ${number(total)})`);
  }

  async function prove() {
    proofs.replaceChildren(mark("checking", "Checking the block and its transactions …"));
    const what = `The ids and receipts of all ${plural(total, "transaction")} give the roots in this header, and results, codes and answers are those of the receipts. Author, senders, sequence numbers and the sentences beside the codes are not in it.`;
    const checked = await check(what, async (client) => {
      while (listed.length < total) {
        page.stay();
        await loadPage();
      }
      return client.block(block, listed, async (id) => {
        page.stay();
        const { proof } = await get(`v1/transactions/${encodeURIComponent(id)}/proof`).catch((error) => {
          throw error.code === "not-committed" ? new ProofError("the node lists a transaction that, it says, is not committed") : error;
        });
        return proof;
      });
    });
    doubt(checked.refuted, about, transactions);
    proofs.replaceChildren(checked.mark);
  }

  const older = height > 0 && link(`#/block/${height - 1}`, "← older");
  const newer = link(`#/block/${height + 1}`, "newer →");
  const about = facts(
    ["time", time(block.timestamp)],
    ["epoch, round", `${number(block.epoch)}, ${number(block.round)}`],
    ["transactions", total === 0 ? el("span", { class: "quiet" }, "none: an empty block, which shows that the chain lives, or commits those before it") : number(total)],
    ["block id", mono(block.block_id)],
    ["state id", mono(block.state_id)],
    ["state root", mono(block.state_root)],
    ["parent's state id", mono(block.parent)],
  );
  const author = block.author ? [block.author, el("span", { class: "quiet" }, " (the node's word)")] : height === 0 ? "nobody: this is genesis" : "the node does not say";
  const transactions = card("Transactions", rows.node, more, quiet("Sender, sequence number and the sentence beside a code are the node's word. What would prove the first two is the transaction itself, which the node does not serve."));
  page.show(
    el("div", { class: "head" }, el("h1", {}, el("span", { class: "kind" }, "Block "), number(height)), el("nav", { class: "steps", "aria-label": "Neighbouring blocks" }, older, newer)),
    lost > 0 && el("p", { class: "banner slow" }, `${lost === 1 ? "One round was" : `${number(lost)} rounds were`} lost before this block: ${lost === 1 ? `round ${number(block.round - 1)}` : `rounds ${number(roundAfter(parent, block))} to ${number(block.round - 1)}`}.`),
    card(null, about, proofs, facts(["author", author])),
    total > 0 && transactions,
  );
  await showMore();
  if (height === 0) proofs.replaceChildren(mark("unproved", "Nobody signs genesis. Its hash is what everything else is proved from.", link("#/trust", "About the genesis hash")));
  else if (total === 0) proofs.replaceChildren(mark("unproved", "Not proved: the node has no proof for an empty block alone.", "Receipts and values of the state are proved, and with them the blocks that they are in."));
  else if (total <= CHECKED_AT_ONCE) await prove();
  else proofs.replaceChildren(el("button", { type: "button", class: "plain", onclick: () => page.run(prove) }, `Check all ${number(total)} transactions`));
}

// Transactions -------------------------------------------------------------------------------------------------------------------------------

const numbersOf = (outcome) => (outcome.numbers.length > 0 ? ` (${outcome.numbers.map(String).join(", ")})` : "");

/** Whether the node's reading of an outcome is that of the receipt. */
function sameOutcome(said, shown) {
  if (said.result !== shown.result) return false;
  if (shown.result === "applied") return said.output === toHex(shown.output);
  return said.code === shown.code && said.numbers.length === shown.numbers.length && shown.numbers.every((value, i) => reads(said.numbers[i], value));
}

const STATUS_WORDS = {
  pending: ["tag", "pending", "It waits in this node's pool for a block, or for an earlier sequence number of its sender."],
  dropped: ["tag slow", "dropped", "It will not enter the chain unless it is sent again."],
  unknown: ["tag", "unknown", "This node has never seen it, or has forgotten it. It may be on its way, or its id may be mistyped."],
};

async function transactionPage([given], page) {
  const id = withPrefix(given);
  const answer = await get(`v1/transactions/${id}`);
  const title = el("div", { class: "head" }, el("h1", {}, "Transaction"));
  if (answer.status !== "committed") {
    const [className, word, words] = STATUS_WORDS[answer.status] ?? ["tag", String(answer.status), ""];
    page.show(title, card(null, facts(["id", mono(id)], ["status", el("span", { class: className }, word)], ["meaning", words], answer.reason && ["why", `${answer.reason} (${answer.code})`])), quiet("Nothing proves that a transaction is not committed: this is the node's word."));
    // Every block may be the one that it is in. A node that does not answer is asked again at the next.
    let height = live.status?.height;
    return async () => {
      if (answer.status === "dropped" || live.status?.height === height) return;
      height = live.status?.height;
      const now = await get(`v1/transactions/${id}`).catch(() => answer);
      if (now.status !== answer.status) page.again();
    };
  }
  const { height, index, outcome } = answer;
  const proofs = markBox(mark("checking", "Checking the receipt …"));
  const rest = el("div", {});
  const whole = card(null, rest, proofs);
  page.show(title, whole);

  const { proof } = await get(`v1/transactions/${id}/proof`);
  const checked = await check(
    (proved) => `The receipt is number ${proved.index} of ${proved.count} in the block: it ${pathWords(proved.path)}, which the header names.`,
    async (client) => {
      const proved = await client.receipt(id, proof);
      if (!reads(height, proved.header.height) || !reads(index, proved.index) || !sameOutcome(outcome, proved.receipt.outcome)) throw new ProofError("the node states another place or outcome than its proof");
      return proved;
    },
  );
  const { proved } = checked;
  const block = await blockAt(height, index).catch(() => null);
  const listed = block?.transactions.find(({ tx_id }) => tx_id === id);
  // What is proved is read from the proof, by this page.
  const { result, code, ...shown } = proved?.receipt.outcome ?? outcome;
  const output = result !== "applied" ? null : proved ? shown.output : fromHex(shown.output);
  doubt(checked.refuted, rest);
  rest.replaceChildren(
    facts(
      ["id", mono(id)],
      ["outcome", result === "applied" ? "applied" : [el("span", { class: "tag slow" }, code), numbersOf(shown)]],
      result === "failed" && ["in words", outcome.reason, el("span", { class: "quiet" }, " (the node's sentence, made from the code)")],
      output && output.length > 0 && ["answer", outputWords(output, checked.isBuiltIn)],
      ["block", link(`#/block/${height}`, number(height)), `, position ${number(index)}`],
      ["time", proved ? time(proved.header.timestamp) : block ? time(block.timestamp) : "–"],
    ),
  );
  proofs.replaceChildren(checked.mark);
  if (listed) {
    whole.append(
      facts(["sender", fullLink("account", listed.sender)], ["sequence number", number(listed.sequence)]),
      quiet("Sender and sequence number are the node's word: what would prove them is the transaction itself, which the node does not serve."),
    );
  }
}

function outputWords(output, isBuiltIn) {
  if (isBuiltIn && output.length === 1 && output[0] === 0) return el("span", { class: "quiet" }, "done");
  return valueWords(output);
}

/** Bytes as text, or `null` if it would read otherwise than it is written. */
function printable(bytes) {
  const words = toText(bytes);
  return words === null || /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(words) ? null : words;
}

/** Bytes as text if they are printable, and in hexadecimal. */
function valueWords(value) {
  if (value.length === 0) return el("span", { class: "quiet" }, "empty");
  const words = printable(value);
  const shown = value.length > 2048 ? value.subarray(0, 2048) : value;
  const cut = shown.length < value.length ? ` … ${bytes(value.length)} in all` : "";
  return [words !== null && el("p", {}, words.slice(0, 4096)), mono("0x" + toHex(shown)), cut];
}

// Accounts -----------------------------------------------------------------------------------------------------------------------------------

function permissionWords({ send, grant, frozen, transactions_max: transactions, state_bytes_max: state }) {
  const words = [send && "may send", grant && "may grant", frozen && "is frozen", transactions > 0 && `at most ${plural(transactions, "transaction")} in a block`, state > 0 && `at most ${bytes(state)} of state`].filter(Boolean);
  return words.length > 0 ? words.join(", ") : "nothing special";
}

async function accountPage([given], page) {
  const address = withPrefix(given);
  const proofs = markBox(mark("checking", "Checking the account …"));
  const rest = el("div", {});
  const age = el("span", { class: "quiet" });
  const again = el("button", { type: "button", class: "plain", id: "again", onclick: () => page.again() }, "Look again");
  const whole = card(null, rest, proofs);
  page.show(el("div", { class: "head" }, el("h1", {}, "Account"), el("div", { class: "steps" }, age, again)), whole);

  const answer = await get(`v1/accounts/${address}`);
  const checked = await check(
    (proved) => `The account's record ${proved.value === null ? "is proved to be absent: its place " : ""}${pathWords(proved.path)}, which the header of the block names.`,
    async (client) => {
      const proved = await client.account(address, answer);
      if (client.application === BUILT_IN && proved.record.part !== null) {
        const { balance, stored } = readBuiltIn(proved.record.part);
        const { shown } = answer;
        if (!shown || String(shown.balance) !== String(balance) || String(shown.stored) !== String(stored)) throw new ProofError("the node's reading of the account is not what its proof says");
      }
      return proved;
    },
  );
  const { isBuiltIn } = checked;
  const { record } = checked.proved ?? {};
  // What is proved is read from the proof, by this page.
  const sequence = record?.sequence ?? answer.sequence;
  const exists = answer.value !== null;
  const shown = !record ? answer.shown : record.part && isBuiltIn ? readBuiltIn(record.part) : undefined;
  const operates = live.epoch?.state.members.filter((member) => member.operator === address) ?? [];
  doubt(checked.refuted, rest);
  rest.replaceChildren(
    facts(
      ["address", mono(address)],
      !exists && ["state", "There is no such account: it was never opened."],
      exists && shown?.balance !== undefined && ["balance", el("span", { "data-figure": "balance" }, number(shown.balance))],
      ["next sequence number", el("span", { "data-figure": "sequence" }, number(sequence))],
      exists && shown?.stored !== undefined && ["holds in the state", bytes(shown.stored)],
      exists && record?.part?.length > 0 && !isBuiltIn && ["application's part", valueWords(record.part)],
      exists && ["permission", permissionWords(record?.permission ?? answer.permission)],
    ),
  );
  proofs.replaceChildren(checked.mark);
  const waiting = BigInt(answer.next_sequence) - BigInt(sequence);
  const claims = [
    exists && !isBuiltIn && answer.shown !== undefined && ["the node reads it as", mono(JSON.stringify(answer.shown, (_, value) => (typeof value === "bigint" ? String(value) : value)))],
    waiting > 0n && ["in this node's pool", `${plural(waiting, "transaction")} of it`],
    operates.length > 0 && ["operates", operates.map((member) => member.name).join(", ")],
  ].filter(Boolean);
  if (claims.length > 0) whole.append(facts(...claims), quiet("What stands below the mark is the node's word."));
  return () => {
    if (!live.status) return;
    const behind = live.status.height - Number(answer.height);
    say(age, behind > 0 ? `read ${plural(behind, "block")} ago` : "");
  };
}

// Keys of the state --------------------------------------------------------------------------------------------------------------------------

const SYSTEM_KEYS = { epoch: EPOCH_KEY, proposals: PROPOSALS_KEY, addresses: ADDRESSES_KEY, versions: VERSIONS_KEY };

/** The key that a path of the built-in application means. Asked for by its bytes, the node cannot answer about another one. */
function builtInKey(parts) {
  const [kind, space, ...names] = parts;
  if (kind === "accounts" && HASH.test(space ?? "")) return new Uint8Array([...utf8("a"), ...fromHex(space)]);
  if (kind !== "kv" || !names.every((name) => BYTES.test(name))) return null;
  if (space === "shared" && names.length === 1) return new Uint8Array([...utf8("s"), ...fromHex(names[0])]);
  if (space === "own" && names.length === 2 && HASH.test(names[0])) return new Uint8Array([...utf8("k"), ...fromHex(names[0]), ...fromHex(names[1])]);
  return null;
}

function keyWords(key, isBuiltIn) {
  const system = Object.entries(SYSTEM_KEYS).find(([, bytes]) => toHex(bytes) === toHex(key));
  if (system) return `the chain's own entry “${system[0]}”`;
  if (key[0] === 0) return "an entry of the chain itself";
  const rest = key.subarray(1);
  if (key[0] === 0x61 && rest.length === 32) return ["the account ", fullLink("account", toHash(rest))];
  if (!isBuiltIn) return "an entry of the application";
  const name = (bytes) => (printable(bytes) !== null ? `“${printable(bytes)}”` : `0x${toHex(bytes)}`);
  if (key[0] === 0x73) return `the shared key ${name(rest)}`;
  if (key[0] === 0x6b && rest.length >= 32) return [`the key ${name(rest.subarray(32))} of `, fullLink("account", toHash(rest.subarray(0, 32)))];
  if (key[0] === 0x68) return `who holds the shared key ${name(rest)}`;
  return "an entry of the application";
}

async function keyPage(parts, page) {
  const [first] = parts;
  const isHex = parts.length === 1 && first.startsWith("0x");
  const known = isHex ? fromHex(first) : live.status?.application === BUILT_IN ? builtInKey(parts) : null;
  const answer = await get(known ? `v1/state/${toHash(known)}` : `v1/state/${parts.map(encodeURIComponent).join("/")}`);
  const key = known ?? fromHex(answer.key);
  const checked = await check(
    (proved) => `${proved.value === null ? "No value stands under this key: its place" : "The value under this key"} ${pathWords(proved.path)}, which the header of the block names.`,
    (client) => client.value(key, answer),
  );
  const value = answer.value === null ? null : fromHex(answer.value);
  const holder = checked.isBuiltIn && key[0] === 0x68 && value?.length === 32;
  page.show(
    el("div", { class: "head" }, el("h1", {}, "Key of the state")),
    card(
      null,
      el(
        "div",
        { class: checked.refuted ? "refuted-claim" : null },
        facts(
          ["key", mono("0x" + toHex(key))],
          ["that is", keyWords(key, checked.isBuiltIn)],
          !known && ["path", `${parts.join("/")} (that it means this key is the node's word)`],
          ["value", value === null ? el("span", { class: "quiet" }, "none") : holder ? fullLink("account", toHash(value)) : valueWords(value)],
          checked.isBuiltIn && key[0] === 0x73 && ["written by", link(`#/key/0x68${toHex(key.subarray(1))}`, "see who holds it")],
          ["height", number(checked.proved?.header.height ?? answer.height)],
        ),
      ),
      checked.mark,
    ),
  );
}

// Governance ---------------------------------------------------------------------------------------------------------------------------------

const memberName = (state, seat) => state.members.find((member) => member.seat === seat)?.name ?? `seat ${seat}`;

function changeWords(state, change) {
  switch (change.kind) {
    case "power":
      return change.power === 0n ? `make ${memberName(state, change.seat)} an observer` : `give ${memberName(state, change.seat)} a power of ${number(change.power)}`;
    case "add":
      return `add ${change.validator.name} with a power of ${number(change.validator.power)}`;
    case "remove":
      return `remove ${memberName(state, change.seat)}${change.evidence ? `, convicted of two ${change.evidence.kind} in one round` : ""}`;
    case "replace":
      return `replace the entry of ${memberName(state, change.seat)} by ${change.validator.name}`;
    case "parameters":
      return `set ${Object.entries(change.parameters).map(([name, value]) => `${PARAMETER_WORDS[name][0]}: ${PARAMETER_WORDS[name][1](value)}`).join("; ")}`;
    case "permit":
      return [`${change.words} `, shortLink("account", change.address)];
    case "authority":
      return `let ${authorityWords(change.authority)} decide`;
    default:
      return `go over to version ${change.version} of the protocol`;
  }
}

/** The votes of accounts on a proposal, and what it needs. */
function votesOf(state, accounts) {
  if (state.authority.kind === "board") return BigInt(accounts.filter((account) => state.authority.members.includes(account)).length);
  return state.members.filter((member) => accounts.includes(member.operator)).reduce((sum, member) => sum + member.power, 0n);
}

const votesNeeded = (state) => (state.authority.kind === "board" ? BigInt(state.authority.needed) : quorumOf(state.members.reduce((sum, member) => sum + member.power, 0n)));

/** A proposal that the list names. Its votes are counted, and its seats named, by the committee that its own proof names. */
async function proposalRow(id, list, committee) {
  const { value, proved, refuted, mark: checked } = await proveKey(proposalKey(id), `proposal ${id}`);
  const row = (isRefuted, words, shown) => el("li", {}, el("div", { class: "stack" }, el("div", { class: isRefuted ? "refuted-claim" : null }, words), shown));
  if (value === null) {
    const isLater = proved && list.proved && proved.header.height > list.proved.header.height;
    return row(refuted, isLater ? `Proposal ${id} was closed meanwhile.` : `The list names proposal ${id}, but the node shows none.`, checked);
  }
  const state = readEpochState(committee.value);
  const { by, change, approvals, rejections } = readProposal(value);
  const isCounted = !proved || equal(epochStateHash(committee.value), proved.header.epochState);
  const words = [
    el("p", {}, el("strong", {}, `${id}: `), changeWords(state, change)),
    el("p", { class: "quiet" }, `${votesOf(state, approvals)} of ${votesNeeded(state)} votes, ${plural(rejections.length, "rejection")}; proposed by `, shortLink("account", by)),
  ];
  return row(refuted, words, isCounted ? checked : mark("unproved", "Not proved: the names and votes are those of another committee than the proposal's.", "The proposal itself is proved. Look again, or ask another node."));
}

async function proposalsCard(into) {
  const list = await proveKey(PROPOSALS_KEY, "list of proposals");
  if (list.refuted) return into.replaceChildren(list.mark);
  const { next, open } = readProposals(list.value);
  if (open.length === 0) return into.replaceChildren(quiet(next === 0n ? "There has never been a proposal." : `None is open. ${plural(next, "proposal")} so far.`), list.mark);
  const committee = await proveKey(EPOCH_KEY, "state of the epoch");
  if (committee.value === null || committee.refuted) return into.replaceChildren(committee.mark);
  const shown = await Promise.all(open.map(({ number: id }) => proposalRow(id, list, committee)));
  into.replaceChildren(el("ul", { class: "people" }, shown), quiet("That these are all that are open:"), list.mark);
}

const describe = (member) => `${member.name} (${number(member.power)})`;

/** What became of a seat, the holder first: another key is another validator, whatever its power. */
function memberDifferences(was, is) {
  const isOther = (name) => !equal(was[name], is[name]);
  return [
    was.name !== is.name ? `${was.name} was replaced by ${is.name}` : isOther("consensusKey") && `${is.name}: another consensus key`,
    was.power !== is.power && `${is.name}: power ${number(was.power)} → ${number(is.power)}`,
    was.operator !== is.operator && `${is.name}: operator ${short(was.operator ?? "nobody")} → ${short(is.operator ?? "nobody")}`,
    was.address !== is.address && `${is.name}: address ${was.address} → ${is.address}`,
    isOther("networkKey") && `${is.name}: another network key`,
  ].filter(Boolean);
}

function difference(before, after) {
  const old = new Map(before.members.map((member) => [member.seat, member]));
  const words = [];
  for (const member of after.members) {
    const was = old.get(member.seat);
    old.delete(member.seat);
    words.push(...(was ? memberDifferences(was, member) : [`${describe(member)} joined`]));
  }
  for (const gone of old.values()) words.push(`${gone.name} left`);
  const text = (value) => JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part));
  if (text(before.parameters) !== text(after.parameters)) words.push(Object.keys(after.parameters).filter((name) => before.parameters[name] !== after.parameters[name]).map((name) => `${PARAMETER_WORDS[name][0]}: ${PARAMETER_WORDS[name][1](after.parameters[name])}`).join("; "));
  if (text(before.authority) !== text(after.authority)) words.push(`now ${authorityWords(after.authority)} decides`);
  if (before.version !== after.version) words.push(`protocol version ${after.version}`);
  return words.join(", ") || "members moved";
}

/** A chain of changes has an end that nothing proves. */
const changesWords = (client) => `${plural(client.epochs.length - 1, "change")} of the committee shown; the node may withhold later ones`;

const EPOCHS_READ_MAX = 1024;

/** The epochs, followed and proved from the genesis on; without signatures, only read. */
async function epochsCard(into, page) {
  const epoch = BigInt((await get("v1/status")).epoch);
  const row = ({ state, height, timestamp, words }) =>
    el("tr", {}, el("td", {}, String(state.epoch)), el("td", { class: "right" }, height === null ? "genesis" : link(`#/block/${height}`, number(height))), el("td", {}, timestamp === null ? "–" : time(timestamp)), el("td", {}, plural(state.members.filter((member) => member.power > 0n).length, "voter")), el("td", { class: "wrap" }, words));
  const draw = (epochs) => table(["Epoch", right("After block"), "Since", "Committee", "What changed"], epochs.map(row).reverse(), { "aria-label": "Epochs" }).node;
  try {
    const client = await lightClient();
    await client.follow(epoch);
    const rows = client.epochs.map(({ state, before }, i) => ({ state, height: before?.height ?? null, timestamp: before?.timestamp ?? null, words: i === 0 ? "the genesis" : difference(client.epochs[i - 1].state, state) }));
    const words = changesWords(client);
    const how = "Each change was signed by a quorum of the committee that it ends, which was checked here.";
    into.replaceChildren(draw(rows), client.pinned ? mark("proved", `Proved here from the genesis hash that you pinned: ${words}`, how) : mark("unpinned", `Follows from the genesis hash that this node names: ${words}`, how, link("#/trust", "Pin the genesis hash")));
  } catch (error) {
    if (isRefutation(error)) return into.replaceChildren(fails(error));
    const rows = [];
    while (rows.length < epoch && rows.length < EPOCHS_READ_MAX) {
      page.stay();
      const { changes } = await get(`v1/epochs?from=${rows.length}`);
      if (changes.length === 0) break;
      for (const change of changes.slice(0, EPOCHS_READ_MAX - rows.length)) {
        const { headers, next } = readEpochChange(fromHex(change));
        if (headers.length === 0 || next.epoch !== BigInt(rows.length + 1)) throw new ProofError("the node's changes of the committee do not follow each other");
        rows.push({ state: next, height: headers[0].height, timestamp: headers[0].timestamp, words: rows.length === 0 ? "" : difference(rows.at(-1).state, next) });
      }
    }
    into.replaceChildren(rows.length > 0 ? draw(rows) : quiet("The node shows no epoch after the first."), rows.length > 0 && rows.length < epoch ? quiet("These are not all.") : "", fails(error));
  }
}

async function permissionsCard(into, page) {
  const { accounts } = await get("v1/permissions");
  const access = live.epoch?.state.parameters.access;
  const words = access === "permissioned" ? "Only accounts with a role may send, and those that govern the chain." : access === "open" ? "Every key may send, unless it is frozen." : "";
  if (accounts.length === 0) return into.replaceChildren(quiet(words, " The node names nobody who was given a permission or a limit. Nothing proves that none is left out."));
  const list = el("ul", { class: "people" });
  const show = (accounts) => {
    for (const address of accounts) list.append(el("li", {}, fullLink("account", address)));
  };
  show(accounts);
  let last = accounts.at(-1);
  let loading = null;
  const loadPage = async () => {
    const { accounts } = await get(`v1/permissions?after=${encodeURIComponent(last)}`);
    show(accounts);
    last = accounts.at(-1) ?? last;
    more.hidden = accounts.length < 100;
  };
  const more = el("button", { type: "button", class: "plain", hidden: accounts.length < 100, onclick: () => page.run(() => (loading ??= loadPage().finally(() => (loading = null)))) }, "Show more");
  into.replaceChildren(quiet(words, " These accounts were given a permission or a limit. Nothing proves that none is left out; each account's page proves what it may do."), list, more);
}

async function evidenceCard(into) {
  const { evidence } = await get("v1/evidence");
  if (evidence.length === 0) return into.replaceChildren(quiet("None that this node names: it says that it has not seen a validator contradict itself."));
  const rows = evidence.map((one) => el("tr", {}, el("td", {}, el("strong", {}, one.validator)), el("td", {}, `two ${one.kind}s`), el("td", { class: "right" }, number(one.epoch)), el("td", { class: "right" }, number(one.round)), el("td", {}, link(`v1/evidence/${encodeURIComponent(one.id)}`, short(one.id)))));
  into.replaceChildren(table(["Validator", "Signed", right("Epoch"), right("Round"), "Evidence"], rows, { "aria-label": "Evidence" }).node, quiet("These are claims of the node. `quorate evidence show` fetches them and checks them."));
}

async function governancePage(_, page) {
  const parts = [
    ["Open proposals", proposalsCard],
    ["Epochs", epochsCard],
    ["Permissions", permissionsCard],
    ["Evidence against validators", evidenceCard],
  ];
  const decides = el("p", { class: "quiet" });
  const bodies = parts.map(([title, draw]) => ({ title, draw, into: el("div", { class: "stack" }, quiet("Asking …")) }));
  page.show(el("div", { class: "head" }, el("h1", {}, "Governance"), decides), ...bodies.map(({ title, into }) => card(title, into)));
  await Promise.all(bodies.map(({ draw, into }) => draw(into, page).catch((error) => into.replaceChildren(error instanceof NodeError ? quiet(error.message) : fails(error)))));
  return () => say(decides, live.epoch ? `What changes the chain is decided by ${authorityWords(live.epoch.state.authority)}.` : "");
}

// Trust --------------------------------------------------------------------------------------------------------------------------------------

/** A link may propose a hash; only the user can pin it. */
async function trustPage([proposed], page) {
  const status = await get("v1/status");
  const served = status.genesis_hash;
  const pinned = pin();
  const field = el("input", { id: "hash", name: "hash", value: pinned ?? (HASH.test(proposed ?? "") ? withPrefix(proposed) : ""), placeholder: "0x…", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-describedby": "pin-help" });
  const complaint = el("p", { class: "quiet", role: "alert" });
  const form = el(
    "form",
    { class: "stack", id: "pin" },
    el("label", { for: "hash" }, "The genesis hash that you know"),
    el("div", { class: "steps" }, field, el("button", { type: "submit", id: "pin-it" }, "Pin it")),
    complaint,
    el("div", { class: "steps" }, pinned !== served && el("button", { type: "button", class: "plain", id: "pin-served", onclick: () => choose(served) }, "Pin the one that the node names"), pinned && el("button", { type: "button", class: "plain", id: "unpin", onclick: () => choose(null) }, "Forget it")),
  );
  const choose = (hash) => {
    try {
      setPin(hash);
    } catch {
      return say(complaint, "The browser does not let this page keep anything.");
    }
    frame();
    page.again();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (HASH.test(text)) choose(withPrefix(text));
    else say(complaint, "A genesis hash has 64 hexadecimal digits.");
  });
  const result = markBox(mark("checking", "Checking the genesis …"));
  const comparison = !pinned
    ? el("p", { class: "banner slow" }, "No hash is pinned, so the node is taken at its word for it: a node that lies about its genesis can show you a network of its own.")
    : pinned === served
      ? el("p", { class: "banner" }, "The node names the hash that you pinned. Every check on this page begins with it.")
      : el("p", { class: "banner bad" }, "This node belongs to another network than the one that you pinned. Nothing that it says is proved.");
  page.show(
    el("div", { class: "head" }, el("h1", {}, "What do you trust?")),
    el(
      "div",
      { class: "columns even" },
      card(
        "The genesis hash",
        el("p", {}, "It names the network: its first validators and their keys, its parameters, its first accounts. Everything else follows from it by signatures. So it must come from somebody whom you trust, and not from the node that you check."),
        comparison,
        facts(["the node names", mono(served)], ["you pinned", pinned ? mono(pinned) : el("span", { class: "quiet" }, "none")]),
        form,
        el("p", { class: "quiet", id: "pin-help" }, "A pin is kept in this browser, for this address. ", el("code", {}, "quorate genesis verify"), " shows the hash of a genesis file."),
      ),
      card(
        "What the marks mean",
        result,
        el(
          "ul",
          { class: "words" },
          el("li", {}, el("strong", {}, "✓ Proved here: "), "this page computed everything from the hash that you pinned. It hashed the genesis, followed each change of the committee, checked the signatures of a quorum, the chain of headers and the path to the value. The node could have withheld it, but not invented it."),
          el("li", {}, el("strong", {}, "≈ Follows: "), "the same, but from the hash that the node names."),
          el("li", {}, el("strong", {}, "– Not proved: "), "the node's word. So is everything without a mark: the live figures, links, the pool, what a validator is waiting for."),
          el("li", {}, el("strong", {}, "✗ Do not believe this: "), "the node's answer contradicts its own proof, or the hash."),
        ),
        quiet("One thing is taken on trust all the same: this page itself, which comes from the node. Open it from a node of your own, or use `quorate wallet`, where a lying page would matter."),
      ),
    ),
  );
  try {
    const client = await lightClient();
    await client.follow(BigInt(status.epoch));
    const words = `${plural(client.epochs[0].state.members.length, "validator")} in the genesis, ${changesWords(client)}`;
    result.replaceChildren(client.pinned ? mark("proved", `The genesis has the hash that you pinned: ${words}`, "The hash was computed here, over every byte of the genesis.") : mark("unpinned", `The genesis has the hash that the node names: ${words}`, "The hash was computed here, over every byte of the genesis."));
  } catch (error) {
    result.replaceChildren(fails(error));
  }
}

// Search -------------------------------------------------------------------------------------------------------------------------------------

async function searchPage(parts, page) {
  const words = parts.join("/").trim();
  const go = (href) => page.isShown() && location.replace(href);
  if (/^[0-9]{1,19}$/.test(words.replace(/[\s_,\u202f]/g, ""))) return go(`#/block/${words.replace(/[\s_,\u202f]/g, "")}`);
  if (words === "latest") return go(`#/block/latest`);
  if (HASH.test(words)) {
    const hash = withPrefix(words);
    const [transaction, account] = await Promise.all([get(`v1/transactions/${hash}`), get(`v1/accounts/${hash}`)]);
    if (transaction.status !== "unknown") return go(`#/tx/${hash}`);
    if (account.value !== null) return go(`#/account/${hash}`);
    const block = recent().find((block) => [block.block_id, block.state_id].includes(hash));
    if (block) return go(`#/block/${block.height}`);
    if (live.epoch?.state.members.some((member) => [member.consensusKey, member.networkKey].some((key) => toHash(key) === hash))) return go("#/validators");
    return page.show(
      el("div", { class: "head" }, el("h1", {}, "Not found")),
      card(null, mono(hash), el("p", {}, "This node knows no transaction and no account with this id, and no recent block."), el("div", { class: "steps" }, link(`#/account/${hash}`, "Open it as an account"), link(`#/tx/${hash}`, "Wait for it as a transaction"), link(`#/key/${hash}`, "Read it as a key"))),
    );
  }
  if (words.startsWith("0x") && BYTES.test(words)) return go(`#/key/${words}`);
  if (live.consensus?.validators.some((one) => one.name === words)) return go("#/validators");
  if (/^(kv|accounts)\//.test(words)) return go(`#/key/${words}`);
  const shared = `0x73${toHex(utf8(words))}`;
  page.show(
    el("div", { class: "head" }, el("h1", {}, "Not found")),
    card(null, el("p", {}, `“${words}” is no height, id, address or key.`), quiet("Search for a height, the 64 digits of a transaction, account or recent block, a key of the state in hexadecimal (0x…), or a path of the application."), live.status?.application === BUILT_IN && words !== "" ? el("p", {}, link(`#/key/${shared}`, `Open the shared key “${words}”`)) : ""),
  );
}

// The way between the pages --------------------------------------------------------------------------------------------------------------------

const isHash = ([given, ...more]) => HASH.test(given) && more.length === 0;

/** Those that are about one thing say what names it; it is tested before the node is asked. */
const PAGES = {
  "": { draw: chainPage, title: "chain" },
  validators: { draw: validatorsPage, title: "validators" },
  consensus: { draw: consensusPage, title: "consensus" },
  governance: { draw: governancePage, title: "governance" },
  trust: { draw: trustPage, title: "trust" },
  block: { draw: blockPage, title: "block", needs: "a height", fits: ([place, ...more]) => /^(latest|[0-9]{1,19})$/.test(place) && more.length === 0 },
  tx: { draw: transactionPage, title: "transaction", needs: "an id of 64 hexadecimal digits", fits: isHash },
  account: { draw: accountPage, title: "account", needs: "an address of 64 hexadecimal digits", fits: isHash },
  key: { draw: keyPage, title: "key", needs: "a key in hexadecimal, two digits for each byte, or a path of the application", fits: (parts) => (parts.length === 1 && parts[0].startsWith("0x") ? BYTES.test(parts[0]) : parts.every((part) => part !== "")) },
  search: { draw: searchPage, title: "search" },
};

let current = 0;
let onNewsOfPage = null;

function problem(error) {
  if (isRefutation(error)) return card(null, el("h1", {}, "This did not work"), fails(error));
  const isNode = error instanceof NodeError;
  return card(null, el("h1", {}, isNode && error.code.startsWith("no-such") ? "Not found" : "This did not work"), el("p", {}, isNode ? `The node says: ${error.message}.` : `This page failed: ${error?.message ?? error}`), error.hint && quiet(error.hint));
}

/** What a page may do with the screen, as long as the user has not left it: answers come late, and another page may be there by then. */
function pageOf(turn) {
  const isShown = () => turn === current;
  return {
    isShown,
    again: () => isShown() && route({ isAgain: true }),
    /** For what takes long: ends it once the page is left. */
    stay: () => {
      if (!isShown()) throw new NodeError({ code: "left", message: "you have left this page" });
    },
    show: (...nodes) => {
      if (!isShown()) return;
      const focused = document.activeElement;
      const hadFocus = focused !== main && main.contains(focused);
      main.replaceChildren(...nodes.filter(Boolean));
      if (hadFocus) (document.getElementById(focused.id) ?? main).focus({ preventScroll: true });
    },
    /** Runs what a button asks for; a failure is shown, not swallowed. */
    run: (work) => work().catch((error) => isShown() && main.append(problem(error))),
  };
}

const nextNews = () =>
  new Promise((resolve) => {
    const end = onNews(() => {
      end();
      resolve();
    });
  });

/** Replaces the page. */
async function route({ isAgain = false } = {}) {
  const page = pageOf((current += 1));
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  let parts;
  try {
    parts = rest.map(decodeURIComponent);
  } catch {
    parts = rest;
  }
  const { draw, title, needs, fits } = (Object.hasOwn(PAGES, name) && PAGES[name]) || {};
  document.title = [title ?? "not found", ...(needs ? [short(parts[0] ?? "")] : []), "quorate"].join(" · ");
  for (const anchor of document.querySelectorAll("nav.frame a")) {
    if (anchor.getAttribute("href") === `#/${name}`) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  onNewsOfPage = null;
  main.setAttribute("aria-busy", "true");
  try {
    if (!draw || (fits && !fits(parts.length > 0 ? parts : [""]))) {
      page.show(card(null, el("h1", {}, "There is no such page"), needs && el("p", {}, `This address should end with ${needs}.`), link("#/", "To the chain")));
    } else {
      // Everything that a page needs to know of the chain comes with the first news.
      if (!live.status && name !== "") await nextNews();
      if (!page.isShown()) return;
      const news = await draw(parts, page);
      if (!page.isShown()) return;
      onNewsOfPage = news ?? null;
      onNewsOfPage?.();
    }
  } catch (error) {
    page.show(problem(error));
    // A node that was silent is asked again once it answers.
    if (page.isShown() && error.code === "silent") onNewsOfPage = () => !live.silence && page.again();
  }
  if (!page.isShown()) return;
  main.removeAttribute("aria-busy");
  if (!isAgain) {
    scrollTo(0, 0);
    if (hasMoved) main.focus({ preventScroll: true });
  }
}

let hasMoved = false;

function banners() {
  const shown = [];
  const { silence, failure, status } = live;
  if (silence) {
    const seconds = Math.max(0, Math.round((silence.again - Date.now()) / 1000));
    shown.push({ key: "silence", className: "banner bad", words: `${silenceWords(silence)} What stands here may be old.`, rest: ` This page asks again${seconds > 1 ? ` in about ${seconds} s` : ""}.` });
  }
  if (failure) shown.push({ key: "failure", className: "banner bad", words: `This page could not draw what the node says: ${failure?.message ?? failure}. What stands here may be old.` });
  const pinned = pin();
  if (status && pinned && pinned !== status.genesis_hash) shown.push({ key: "pin", className: "banner bad", words: "This node belongs to another network than the one whose genesis hash you pinned. See Trust." });
  keyed(document.getElementById("banners"), shown, { key: ({ key }) => key, make: ({ className }) => el("p", { class: className }, el("span", {}), el("span", { "aria-hidden": "true" })), update: (node, { words, rest }) => (say(node.firstChild, words), say(node.lastChild, rest ?? "")) });
}

function frame() {
  const { status } = live;
  banners();
  if (!status) return;
  say(document.getElementById("network"), status.network);
  keyed(
    document.getElementById("foot"),
    [`Served by ${status.name}, quorate ${status.version}`, `application ${status.application} ${status.application_version}`, `chain id ${status.chain_id}`, `genesis ${short(status.genesis_hash)}${pin() ? "" : " (not pinned)"}`].map((words, i) => ({ words, i })),
    { key: ({ i }) => i, make: () => el("span", {}), update: (node, { words }) => say(node, words) },
  );
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = document.getElementById("query").value.trim();
  if (query !== "") location.hash = `#/search/${query.split("/").map(encodeURIComponent).join("/")}`;
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  hasMoved = true;
  route();
});
onNews(frame);
onNews(() => onNewsOfPage?.());
setInterval(banners, 1000);
setInterval(renewAges, 1000);
route();
start();
