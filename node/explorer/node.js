// The node that serves this page: asks it politely, and keeps what the pages show live.

import { FormError, fromHex, parseJson, toHash } from "./bytes.js";
import { EPOCH_KEY, readEpochState } from "./formats.js";
import { LightClient } from "./proof.js";

const POLL_MS = 1000;
const SILENCE_MS = 10_000;
const BACKOFF_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 32 << 20;
/** Heights and rounds are below this one, so that adding to them is exact. */
const COUNT_LIMIT = 2 ** 52;
const VALIDATORS_MAX = 128;
/** Blocks that are kept, for the drawing of rounds. */
const BLOCKS_KEPT = 160;
const BLOCKS_AT_FIRST = 40;
/** A busy chain commits more blocks in a second than this page asks for. */
const BLOCKS_PER_POLL = 12;
const AT_ONCE = 4;
/** A position that no block has, so that the answer is the header alone. */
const NO_TRANSACTIONS = 4294967295;
/** Time over which rates are taken. */
const RATE_MS = 10_000;
const EPOCH_POLLS = 30;
const LATEST_TRANSACTIONS = 6;

/** The node refused, or did not answer: then `code` is `silent`. */
export class NodeError extends Error {
  constructor({ code, message, hint }, retryAfterMs = 0) {
    super(message);
    this.code = String(code);
    this.hint = typeof hint === "string" ? hint : undefined;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The text of an answer, unless it is too long. */
async function textOf(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > ANSWER_BYTES_MAX) {
      reader.cancel().catch(() => {});
      throw new NodeError({ code: "too-long", message: "the node's answer is too long" });
    }
    text += decoder.decode(value, { stream: true });
  }
}

export async function get(path) {
  let response;
  let text;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(SILENCE_MS), cache: "no-store" });
    text = await textOf(response);
  } catch (error) {
    throw error instanceof NodeError ? error : new NodeError({ code: "silent", message: "the node does not answer" });
  }
  let body;
  try {
    body = parseJson(text);
  } catch {
    throw new NodeError({ code: "not-json", message: "the node's answer is not JSON" });
  }
  if (body === null || typeof body !== "object") throw new NodeError({ code: "not-json", message: "the node's answer is no object" });
  if (response.ok) return body;
  throw new NodeError(typeof body.error?.message === "string" ? body.error : { code: "error", message: `the node answered with status ${response.status}` }, 1000 * (Number(response.headers.get("retry-after")) || 0));
}

/** Takes an answer in if these numbers in it are possible ones. */
function counts(answer, ...names) {
  for (const name of names) {
    const value = answer?.[name];
    if (!Number.isSafeInteger(value) || value < 0 || value >= COUNT_LIMIT) throw new FormError(`the node gives no possible ${name.replaceAll("_", " ")}`);
  }
  return answer;
}

function texts(answer, ...names) {
  for (const name of names) if (typeof answer?.[name] !== "string") throw new FormError(`the node gives no ${name.replaceAll("_", " ")}`);
}

/** A block at a height, or the `latest`, with its transactions from a position on. */
export async function blockAt(place, from = null) {
  const block = counts(await get(`v1/blocks/${encodeURIComponent(place)}${from === null ? "" : `?from=${encodeURIComponent(from)}`}`), "height", "epoch", "round", "timestamp", "transactions_total");
  if (place !== "latest" && String(block.height) !== String(place)) throw new FormError(`asked for block ${place}, the node answers with block ${block.height}`);
  if (!Array.isArray(block.transactions)) throw new FormError("the node lists no transactions of a block");
  for (const transaction of block.transactions) {
    texts(transaction, "tx_id", "sender");
    texts(transaction.outcome, "result");
  }
  return block;
}

export const header = (height) => blockAt(height, NO_TRANSACTIONS);

/** Runs `work` for every item, a few at a time. */
async function each(items, work) {
  const queue = [...items];
  const worker = async () => {
    while (queue.length > 0) await work(queue.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

// Live -------------------------------------------------------------------------------------------------------------------------------------

/** What is known of the chain now. Heights and rounds are Numbers: they take millennia to outgrow them. */
export const live = {
  status: null,
  consensus: null,
  /** Headers of recent blocks, by height. */
  blocks: new Map(),
  /** The state of the epoch, and the node's answer with its proof; or why it cannot be read. */
  epoch: null,
  epochError: null,
  /** The newest block with transactions, and the last of them. */
  latest: null,
  /** The last answer, by this machine's clock. */
  answered: null,
  silence: null,
  /** Why something could not be drawn at the last news. */
  failure: null,
  samples: [],
};

const listeners = new Set();

export function onNews(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** One listener that fails must neither silence the others nor end the polling. */
function tell() {
  let failure = null;
  for (const listener of [...listeners]) {
    try {
      listener();
    } catch (error) {
      failure = error;
      reportError(error);
    }
  }
  live.failure = failure;
}

/** Recent blocks, the newest first. */
export const recent = () => [...live.blocks.values()].sort((a, b) => b.height - a.height);

/** The first round that could have had the block after this parent. Rounds begin anew with an epoch, in round 1. */
export const roundAfter = (parent, block) => (parent.epoch === block.epoch ? parent.round : 0) + 1;

/** How many rounds before this block's had no block in the chain; `null` if its parent is not known here. */
export function lostBefore(block, parent = live.blocks.get(block.height - 1)) {
  return parent ? block.round - roundAfter(parent, block) : null;
}

/** Commits and transactions in a second, `null` while too little is known. */
export function rates() {
  const [first] = live.samples;
  const last = live.samples.at(-1);
  if (!first || last.at - first.at < 2 * POLL_MS) return { commits: null, transactions: null };
  const commits = (1000 * (last.height - first.height)) / (last.at - first.at);
  // Not every block of a busy chain is looked at. Those that are stand for the others.
  const seen = recent().filter((block) => block.height > first.height);
  const mean = seen.length === 0 ? 0 : seen.reduce((sum, block) => sum + block.transactions_total, 0) / seen.length;
  return { commits, transactions: commits * mean, isSample: seen.length < last.height - first.height };
}

async function blocksUpTo(height) {
  const known = live.blocks.size === 0 ? -1 : Math.max(...live.blocks.keys());
  // Another node may answer at this address now, or the same one from the start.
  if (known > height) live.blocks.clear();
  const most = live.blocks.size === 0 ? BLOCKS_AT_FIRST : BLOCKS_PER_POLL;
  const first = Math.max(0, known > height ? 0 : known + 1, height - most + 1);
  const wanted = Array.from({ length: Math.max(0, height - first + 1) }, (_, i) => height - i);
  await each(wanted, async (wanted) => {
    live.blocks.set(wanted, await header(wanted));
    // The first page of blocks comes in bit by bit.
    if (most === BLOCKS_AT_FIRST && live.blocks.size % 8 === 0) tell();
  });
  for (const height of [...live.blocks.keys()].sort((a, b) => a - b).slice(0, -BLOCKS_KEPT)) live.blocks.delete(height);
}

async function latestTransactions() {
  const newest = recent().find((block) => block.transactions_total > 0);
  if (!newest || live.latest?.block.height === newest.height) return;
  const from = Math.max(0, newest.transactions_total - LATEST_TRANSACTIONS);
  const page = await blockAt(newest.height, from);
  live.latest = { block: newest, transactions: page.transactions.map((transaction, i) => ({ ...transaction, index: from + i })).reverse() };
}

async function epochState() {
  const answer = await get(`v1/state/${toHash(EPOCH_KEY)}`);
  live.epochError = null;
  try {
    if (answer.value !== null && answer.value !== live.epoch?.answer.value) live.epoch = { state: readEpochState(fromHex(answer.value)), answer };
  } catch (error) {
    live.epoch = null;
    live.epochError = error;
  }
}

/** What is drawn every second must have the shape that the drawings expect. */
function checkShapes(status, consensus) {
  counts(status, "height", "epoch", "pool_transactions");
  texts(status, "name", "network", "application", "genesis_hash");
  counts(consensus, "height", "round", "high_qc_round", "committed_round", "highest_vote_round", "locked_round", "since_commit_ms", "patience_ms");
  texts(consensus, "name", "leader");
  if (consensus.stall) texts(consensus.stall, "summary");
  if (!Array.isArray(consensus.validators) || consensus.validators.length > VALIDATORS_MAX) throw new FormError("the node gives no list of validators");
  const isPower = (value) => (typeof value === "bigint" || Number.isSafeInteger(value)) && value >= 0;
  if (![consensus.total_power, consensus.quorum_power, ...consensus.validators.map((one) => one?.power)].every(isPower)) throw new FormError("the node gives no possible power");
  for (const one of consensus.validators) {
    texts(one, "name");
    if (one.link) texts(one.link, "state");
    if (one.last_vote) counts(one.last_vote, "round");
  }
}

let polls = 0;

async function poll() {
  const [status, consensus] = await Promise.all([get("v1/status"), get("v1/consensus")]);
  checkShapes(status, consensus);
  live.answered = Date.now();
  live.status = status;
  live.consensus = consensus;
  // A sample is a moment of the page; a chain that went back began anew.
  if (live.samples.some((sample) => sample.height > status.height)) live.samples = [];
  live.samples.push({ at: performance.now(), height: status.height });
  while (live.samples.length > 3 && live.samples.at(-1).at - live.samples[0].at > RATE_MS) live.samples.shift();
  tell();
  const isOtherEpoch = !live.epoch || live.epoch.state.epoch !== BigInt(status.epoch);
  if (isOtherEpoch || polls % EPOCH_POLLS === 0) await epochState();
  await blocksUpTo(status.height);
  await latestTransactions();
  live.silence = null;
  polls += 1;
}

/** Polls once a second, as long as somebody looks; more and more rarely while the node does not answer. */
export async function start() {
  let wake = () => {};
  const shown = () => document.visibilityState === "visible" && wake();
  document.addEventListener("visibilitychange", shown);
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let failures = 0; ; ) {
    if (document.visibilityState !== "visible") {
      await new Promise((resolve) => (wake = resolve));
      live.samples = [];
    }
    let pause = POLL_MS;
    try {
      await poll();
      failures = 0;
    } catch (error) {
      failures += 1;
      pause = Math.min(BACKOFF_MS_MAX, Math.max(POLL_MS * 2 ** (failures - 1), error.retryAfterMs ?? 0));
      live.silence = { since: live.answered, error, again: Date.now() + pause };
      live.samples = [];
    }
    tell();
    await sleep(pause);
  }
}

// Trust ------------------------------------------------------------------------------------------------------------------------------------

const PIN = "quorate-genesis-hash";

/** The genesis hash that the user knows, or `null`. It is kept for this address of the page only. */
export function pin() {
  try {
    return localStorage.getItem(PIN);
  } catch {
    return null;
  }
}

export function setPin(hash) {
  if (hash === null) localStorage.removeItem(PIN);
  else localStorage.setItem(PIN, hash);
  client = null;
}

let client = null;

/** The light client for the pinned genesis; without a pin, for the genesis that the node names. It knows which of the two it is: `pinned`. */
export async function lightClient() {
  const known = pin();
  if (client?.pinned !== known || !client) {
    const changes = async (epoch) => (await get(`v1/epochs?from=${epoch}`)).changes;
    const opening = (async () => {
      const genesis = await get("v1/genesis");
      return Object.assign(new LightClient(genesis, known ?? (await get("v1/status")).genesis_hash, changes), { pinned: known });
    })();
    client = { pinned: known, opening };
    // What failed is tried again the next time.
    opening.catch(() => {
      if (client?.opening === opening) client = null;
    });
  }
  return client.opening;
}
