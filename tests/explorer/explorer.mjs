// Opens the block explorer of a running node in a browser, and checks what it shows.
//
//   QUORATE_API           base URL of the node, such as http://127.0.0.1:8080
//   QUORATE_GENESIS_HASH  the hash to pin; by default the one that the node names
//   CHROMIUM              the browser, by default /usr/bin/chromium
//   SCREENSHOTS           directory for pictures, by default none are kept
//
// The node must be of the built-in application, and a transaction must be committed. Prints a JSON summary; exit code 0 if all holds, else 1.

import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";

const API = (process.env.QUORATE_API ?? "http://127.0.0.1:8080").replace(/\/$/, "");
const PICTURES = process.env.SCREENSHOTS;
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const PATIENCE_MS = 20_000;
const CHANGES_MIN = 200;
/** How far back a transaction is looked for. */
const BLOCKS_SEARCHED = 20_000;

const summary = { api: API, checks: {}, changes: { tried: 0, refuted: 0, other: {} }, failures: [] };
const passed = (name) => (summary.checks[name] = (summary.checks[name] ?? 0) + 1);

function check(name, holds, detail = "") {
  if (holds) return passed(name);
  summary.failures.push(detail === "" ? name : `${name}: ${detail}`);
}

async function ask(path) {
  const response = await fetch(`${API}/v1/${path}`);
  if (!response.ok) throw new Error(`GET /v1/${path}: ${response.status}`);
  return response.json();
}

/** A block with transactions: the newest, or, if the chain has been idle for long, the one after the first few. */
async function busyBlock() {
  const { height } = await ask("status");
  for (let at = height; at > Math.max(0, height - BLOCKS_SEARCHED); at--) {
    const block = await ask(`blocks/${at}`);
    if (block.transactions_total > 0) return block;
  }
  throw new Error("no transaction is committed: send one first");
}

/** Watches what must not happen on a page. */
function guard(page, label) {
  page.on("console", (message) => {
    if (message.type() === "error") summary.failures.push(`${label}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => summary.failures.push(`${label}: ${error.stack}`));
  page.on("request", (request) => {
    if (!/^(data|about|blob):/.test(request.url()) && new URL(request.url()).origin !== new URL(API).origin) summary.failures.push(`${label}: a request to ${request.url()}`);
  });
}

const settled = (page) => page.waitForFunction(() => !document.getElementById("main").hasAttribute("aria-busy") && !document.querySelector('[data-mark="checking"]'), null, { timeout: PATIENCE_MS });
const markOf = (page) => page.locator("main .proof").first().getAttribute("data-mark", { timeout: PATIENCE_MS });

async function picture(page, name) {
  if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png`, fullPage: true });
}

async function fits(page, label) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  check("no horizontal scrolling", over <= 0, `${label}: ${over} px too wide`);
}

async function search(page, words) {
  await page.fill("#query", words);
  await page.press("#query", "Enter");
}

/** What a person would do, at one width and in one colour scheme. */
async function visit(browser, { width, height, scheme, known, busy }) {
  const label = `${width} px, ${scheme}`;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  guard(page, label);
  await page.goto(`${API}/`);

  const heightOf = async () => Number((await page.textContent("#height")).replace(/\D/g, ""));
  await page.waitForFunction(() => /\d/.test(document.getElementById("height")?.textContent ?? ""), null, { timeout: PATIENCE_MS });
  const before = await heightOf();
  await page.waitForFunction((before) => Number(document.getElementById("height").textContent.replace(/\D/g, "")) > before, before, { timeout: PATIENCE_MS });
  passed("the height grows");
  await page.waitForFunction(() => document.querySelectorAll("[data-block]").length > 5, null, { timeout: PATIENCE_MS });
  await fits(page, `${label}, chain`);
  await picture(page, `${width}-${scheme}-chain`);

  // Without a pin nothing is green.
  const { tx_id: transaction, sender } = busy.transactions[0];
  await search(page, sender);
  await page.waitForURL((url) => url.hash === `#/account/${sender}`, { timeout: PATIENCE_MS });
  await settled(page);
  const unpinned = await markOf(page);
  check("without a pin an account is not green", unpinned === "unpinned", `${label}: ${unpinned}`);

  // As `quorate localnet start` prints it: the hash stands in the field, and is not pinned.
  await page.goto(`${API}/#/trust/${known}`);
  await page.waitForSelector("#pin");
  await settled(page);
  await picture(page, `${width}-${scheme}-trust-unpinned`);
  check("a link proposes a hash, and pins none", (await page.inputValue("#hash")) === known && (await markOf(page)) === "unpinned", label);
  await page.click("#pin button[type=submit]");
  await page.waitForSelector("#unpin", { timeout: PATIENCE_MS });
  await settled(page);
  check("the genesis is green once its hash is pinned", (await markOf(page)) === "proved", label);
  await fits(page, `${label}, trust`);
  await picture(page, `${width}-${scheme}-trust`);

  const found = [
    ["a block", String(busy.height), `#/block/${busy.height}`],
    ["a transaction", transaction, `#/tx/${transaction}`],
    ["a transaction without 0x", transaction.slice(2), `#/tx/${transaction}`],
    ["an account", sender, `#/account/${sender}`],
    ["a key of the state", `0x61${sender.slice(2)}`, `#/key/0x61${sender.slice(2)}`],
  ];
  for (const [what, words, hash] of found) {
    await search(page, words);
    await page.waitForURL((url) => url.hash === hash, { timeout: PATIENCE_MS });
    await settled(page);
    const mark = await markOf(page);
    check(`${what} opens by search, and is green`, mark === "proved", `${label}: ${mark}`);
    await fits(page, `${label}, ${what}`);
    await picture(page, `${width}-${scheme}-${what.replace(/\W+/g, "-")}`);
  }
  const balance = (await ask(`accounts/${sender}`)).shown?.balance;
  await page.goto(`${API}/#/account/${sender}`);
  const shown = await page.textContent('[data-figure="balance"]', { timeout: PATIENCE_MS });
  check("the balance is the account's", shown.replace(/\D/g, "") === balance, `${label}: ${shown}, not ${balance}`);

  for (const name of ["validators", "consensus", "governance"]) {
    await page.goto(`${API}/#/${name}`);
    await page.waitForTimeout(1500);
    await settled(page);
    await fits(page, `${label}, ${name}`);
    await picture(page, `${width}-${scheme}-${name}`);
    if (name !== "consensus") check(`${name}: the proofs are green`, (await markOf(page)) === "proved", label);
  }
  await search(page, "no such thing");
  await page.waitForFunction(() => document.querySelector("main h1")?.textContent === "Not found", null, { timeout: PATIENCE_MS });
  passed("what nobody knows is not found");
  await context.close();
}

// Liars ------------------------------------------------------------------------------------------------------------------------------------

/** A hexadecimal text with one byte changed. */
function changeByte(hex, at, by) {
  const offset = (hex.startsWith("0x") ? 2 : 0) + 2 * at;
  const byte = parseInt(hex.slice(offset, offset + 2), 16) ^ by;
  return hex.slice(0, offset) + byte.toString(16).padStart(2, "0") + hex.slice(offset + 2);
}

const bytesIn = (hex) => (hex.length - (hex.startsWith("0x") ? 2 : 0)) / 2;

/** The text of a JSON answer with another value at a path. Numbers beyond 2^53 survive, because the text is not written anew. */
function changeText(text, old, changed) {
  if (text.split(old).length !== 2) throw new Error(`${old} is not once in the answer`);
  return text.replace(old, () => changed);
}

/** Positions all over a length, each about as often. */
const spread = (length, count) => [...new Set(Array.from({ length: count }, (_, i) => Math.floor(((i + 0.37) * length) / count)))];

/** Every change: which answers it is made to, on which page it is seen, and how. */
async function changes({ sender, transaction, others }) {
  const accountText = await (await fetch(`${API}/v1/accounts/${sender}`)).text();
  const account = JSON.parse(accountText);
  const receipt = (await ask(`transactions/${transaction}/proof`)).proof;
  const outcome = await ask(`transactions/${transaction}`);
  const genesisText = await (await fetch(`${API}/v1/genesis`)).text();
  const genesis = JSON.parse(genesisText);
  const list = [];
  const add = (part, url, hash, change, also) => list.push({ part, hash, changes: { [url]: change, ...also } });
  const accountPage = `#/account/${sender}`;
  const receiptPage = `#/tx/${transaction}`;
  const accountUrl = `/v1/accounts/${sender}`;
  // A fresh answer is changed, not this one, so the change is made by name.
  const field = (name, change) => (text) => {
    const value = JSON.parse(text)[name];
    return changeText(text, `"${name}":${JSON.stringify(value)}`, `"${name}":${JSON.stringify(change(value))}`);
  };
  for (const at of spread(bytesIn(account.proof), 110)) add(`account proof, byte ${at}`, accountUrl, accountPage, field("proof", (hex) => changeByte(hex, Math.min(at, bytesIn(hex) - 1), 1 << at % 8)));
  for (const at of spread(bytesIn(account.value), 37)) add(`account value, byte ${at}`, accountUrl, accountPage, field("value", (hex) => changeByte(hex, at, 1 << at % 8)));
  add("account height", accountUrl, accountPage, field("height", (height) => height + 1));
  add("account sequence", accountUrl, accountPage, field("sequence", (sequence) => sequence + 1));
  add("account address", accountUrl, accountPage, field("address", (address) => changeByte(address, 7, 1)));
  add("account value left out", accountUrl, accountPage, field("value", () => null));
  add("account permission", accountUrl, accountPage, field("permission", (permission) => ({ ...permission, grant: !permission.grant })));
  add("account frozen", accountUrl, accountPage, field("permission", (permission) => ({ ...permission, frozen: !permission.frozen })));
  add("account limit", accountUrl, accountPage, field("permission", (permission) => ({ ...permission, transactions_max: permission.transactions_max + 1 })));
  if (account.shown) add("account balance as shown", accountUrl, accountPage, field("shown", (shown) => ({ ...shown, balance: `${shown.balance}0` })));
  add("account of somebody else", accountUrl, accountPage, () => JSON.stringify({ ...others.account, address: sender }));
  const proofUrl = `/v1/transactions/${transaction}/proof`;
  for (const at of spread(bytesIn(receipt), 110)) add(`receipt proof, byte ${at}`, proofUrl, receiptPage, field("proof", (hex) => changeByte(hex, at, 1 << at % 8)));
  if (others.proof) add("proof of another receipt", proofUrl, receiptPage, () => JSON.stringify({ proof: others.proof }));
  const statusUrl = `/v1/transactions/${transaction}`;
  add("transaction height", statusUrl, receiptPage, field("height", (height) => height + 1));
  add("transaction index", statusUrl, receiptPage, field("index", (index) => index + 1));
  if (outcome.outcome.result === "applied") add("transaction output", statusUrl, receiptPage, field("outcome", (outcome) => ({ ...outcome, output: `${outcome.output}00` })));
  add("transaction result", statusUrl, receiptPage, field("outcome", () => ({ result: "failed", code: "insufficient-funds", numbers: [], reason: "no" })));
  // The genesis: every key and every proof of possession, and one digit of each number.
  genesis.validators.forEach((entry, i) => {
    for (const hex of [entry.validator.consensus_key, entry.validator.network_key, entry.consensus_proof, entry.network_proof]) add(`genesis, validator ${i}`, "/v1/genesis", accountPage, (text) => changeText(text, hex, changeByte(hex, 11, 4)));
  });
  add("genesis, chain id", "/v1/genesis", accountPage, (text) => changeText(text, `"chain_id":${genesis.chain_id}`, `"chain_id":${genesis.chain_id + 1}`));
  add("genesis, time", "/v1/genesis", accountPage, (text) => changeText(text, `"timestamp":${genesis.timestamp}`, `"timestamp":${genesis.timestamp + 1}`));
  add("genesis, parameters", "/v1/genesis", receiptPage, (text) => changeText(text, `"window_size":${genesis.parameters.window_size}`, `"window_size":${genesis.parameters.window_size + 1}`));
  add("genesis, power", "/v1/genesis", receiptPage, (text) => text.replace(/"power":\d+/, `"power":${genesis.validators[0].validator.power + 1}`));
  add("genesis, settings", "/v1/genesis", receiptPage, (text) => text.replace(/"balance":"/, '"balance":"1'));
  add("genesis of another version", "/v1/genesis", receiptPage, (text) => changeText(text, `"protocol_version":${genesis.protocol_version}`, `"protocol_version":${genesis.protocol_version + 1}`));
  // The committee, as the validators' page shows it. A lie in the value alone, and one in the proof.
  const epochUrl = "/v1/state/0x0065706f6368";
  const state = await ask("state/0x0065706f6368");
  for (const at of spread(bytesIn(state.value), 24)) add(`epoch state, byte ${at}`, epochUrl, "#/validators", field("value", (hex) => changeByte(hex, at, 1 << at % 8)));
  for (const at of spread(bytesIn(state.proof), 12)) add(`proof of the epoch state, byte ${at}`, epochUrl, "#/validators", field("proof", (hex) => changeByte(hex, Math.min(at, bytesIn(hex) - 1), 1 << at % 8)));
  // A block's transactions and header.
  const block = await ask(`blocks/${outcome.height}`);
  const blockUrl = `/v1/blocks/${outcome.height}`;
  const blockPage = `#/block/${outcome.height}`;
  for (const name of ["block_id", "state_id", "state_root", "parent"]) add(`block, ${name}`, blockUrl, blockPage, field(name, (hash) => changeByte(hash, 21, 2)));
  for (const name of ["round", "epoch", "timestamp"]) add(`block, ${name}`, blockUrl, blockPage, field(name, (value) => value + 1));
  for (const name of ["tx_id", "receipt"]) add(`block, ${name}`, blockUrl, blockPage, field("transactions", ([first, ...rest]) => [{ ...first, [name]: changeByte(first[name], 30, 8) }, ...rest]));
  add("block, outcome", blockUrl, blockPage, field("transactions", ([first, ...rest]) => [{ ...first, outcome: { result: "failed", code: "no-such-code", numbers: ["1"], reason: "" } }, ...rest]));
  if (block.transactions.length > 1) add("block, order", blockUrl, blockPage, field("transactions", ([first, second, ...rest]) => [second, first, ...rest]));
  // Changes of the committee, if there were any.
  const epochs = await ask("epochs?from=0");
  if (epochs.changes.length > 0) {
    for (const at of spread(bytesIn(epochs.changes[0]), 40)) {
      add(`epoch change, byte ${at}`, "/v1/epochs?from=0", accountPage, (text) => {
        const answer = JSON.parse(text);
        return JSON.stringify({ ...answer, changes: [changeByte(answer.changes[0], at, 1 << at % 8), ...answer.changes.slice(1)] });
      });
    }
    add("epoch change left out", "/v1/epochs?from=0", accountPage, (text) => JSON.stringify({ ...JSON.parse(text), changes: JSON.parse(text).changes.slice(1) }));
  }
  return list;
}

async function lie(browser, { known, busy }) {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => summary.failures.push(`a lie broke the page: ${error.stack}`));
  await page.goto(`${API}/#/trust`);
  await page.evaluate((hash) => localStorage.setItem("quorate-genesis-hash", hash), known);
  const { tx_id: transaction, sender } = busy.transactions[0];
  const status = await ask("status");
  const genesis = await ask("genesis");
  const operator = genesis.validators.map((entry) => entry.validator.operator).find((address) => address && address !== sender);
  const others = { account: await ask(`accounts/${operator ?? `0x${"00".repeat(32)}`}`), proof: null };
  if (busy.transactions[1]) others.proof = (await ask(`transactions/${busy.transactions[1].tx_id}/proof`)).proof;

  const seen = async (hash) => {
    // A page that was open knows the committee already; every change meets one that knows nothing.
    await page.goto("about:blank");
    await page.goto(`${API}/${hash}`);
    await page.waitForFunction(() => document.querySelector('main .proof:not([data-mark="checking"])') || document.querySelector("main h1")?.textContent === "This did not work", null, { timeout: PATIENCE_MS });
    await settled(page);
    return page.evaluate(() => [...document.querySelectorAll("main .proof")].map((proof) => proof.dataset.mark));
  };
  // Unchanged, both pages are green; so what follows can fail.
  for (const hash of [`#/account/${sender}`, `#/tx/${transaction}`]) check("unchanged answers are green", (await seen(hash)).includes("proved"), hash);

  let current = null;
  let isChanged = false;
  await page.route("**/v1/**", async (route) => {
    const url = new URL(route.request().url());
    const change = current?.changes[url.pathname + url.search];
    if (!change) return route.continue();
    const response = await route.fetch();
    const text = await response.text();
    const changed = change(text);
    isChanged ||= changed !== text;
    await route.fulfill({ response, body: changed });
  });
  for (const change of await changes({ sender, transaction, others })) {
    current = change;
    isChanged = false;
    const marks = await seen(change.hash);
    summary.changes.tried += 1;
    if (!isChanged) summary.failures.push(`${change.part}: the page did not ask for what was to be changed`);
    if (marks.includes("proved") || marks.includes("unpinned")) summary.failures.push(`${change.part}: green, although it was changed`);
    if (marks.includes("refuted")) summary.changes.refuted += 1;
    else summary.changes.other[marks.join() || "no mark"] = (summary.changes.other[marks.join() || "no mark"] ?? 0) + 1;
  }
  check("enough changes", summary.changes.tried >= CHANGES_MIN, String(summary.changes.tried));
  check("every change is refuted", summary.changes.refuted === summary.changes.tried, JSON.stringify(summary.changes.other));

  // A node that names another application must not make the page read proved bytes as it likes: what is above the mark stays true.
  const rich = "123456789012345";
  const claimRich = (text) => JSON.stringify({ ...JSON.parse(text), shown: { balance: rich, stored: 1 } });
  current = { changes: { [`/v1/accounts/${sender}`]: claimRich, "/v1/status": (text) => text.replace(/"application":"[^"]*"/, '"application":"other"') } };
  const marks = await seen(`#/account/${sender}`);
  const above = await page.textContent("main .card > div");
  check("another application is no way to lie", !marks.includes("proved") || !above.replace(/\D/g, "").includes(rich), marks.join());

  // Another network than the pinned one: everything is red.
  current = null;
  await page.evaluate((hash) => localStorage.setItem("quorate-genesis-hash", hash), changeByte(known, 3, 1));
  check("with another hash pinned nothing is green", !(await seen(`#/account/${sender}`)).some((mark) => mark === "proved" || mark === "unpinned"));
  await page.evaluate((hash) => localStorage.setItem("quorate-genesis-hash", hash), known);

  // A browser without Ed25519: no mark is green.
  const blind = await browser.newContext();
  await blind.addInitScript((hash) => {
    localStorage.setItem("quorate-genesis-hash", hash);
    Object.defineProperty(crypto, "subtle", { value: undefined });
  }, known);
  const blindPage = await blind.newPage();
  await blindPage.goto(`${API}/#/account/${sender}`);
  await blindPage.waitForSelector('[data-mark="cannot"]', { timeout: PATIENCE_MS });
  check("without signatures nothing is green", (await blindPage.locator('[data-mark="proved"]').count()) === 0);
  await blind.close();

  // A node that falls silent is said to be silent.
  await page.goto(`${API}/`);
  await page.waitForFunction(() => /\d/.test(document.getElementById("height")?.textContent ?? ""), null, { timeout: PATIENCE_MS });
  await page.unroute("**/v1/**");
  await page.route("**/v1/**", (route) => route.abort());
  await page.waitForFunction(() => document.getElementById("banners").textContent.includes("does not answer since"), null, { timeout: PATIENCE_MS });
  passed("a silent node is called silent");
  summary.genesis_hash = status.genesis_hash;
  await context.close();
}

async function run() {
  if (PICTURES) await mkdir(PICTURES, { recursive: true });
  const known = process.env.QUORATE_GENESIS_HASH ?? (await ask("status")).genesis_hash;
  const busy = await busyBlock();
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  summary.browser = browser.version();
  try {
    for (const [width, height] of [[360, 780], [1920, 1080]]) for (const scheme of ["light", "dark"]) await visit(browser, { width, height, scheme, known, busy });
    await lie(browser, { known, busy });
  } finally {
    await browser.close();
  }
}

try {
  await run();
} catch (error) {
  summary.failures.push(error.stack);
}
summary.ok = summary.failures.length === 0;
console.log(JSON.stringify(summary, null, 2));
process.exitCode = summary.ok ? 0 : 1;
