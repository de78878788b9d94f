// Opens the block explorer of a running node, and its description of the API, in a browser, and checks what they show.
//
//   QUORATE_API           base URL of the node, such as http://127.0.0.1:8080
//   QUORATE_GENESIS_HASH  the hash to pin; by default the one that the node names
//   CHROMIUM              the browser, by default /usr/bin/chromium
//   SCREENSHOTS           directory for pictures, by default none are kept
//   QUORATE_SKIP          "nothing": fail if the chain has nothing to show a check with
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

const summary = { api: API, checks: {}, changes: { tried: 0, refuted: 0, other: {} }, skipped: [], failures: [] };
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

/** The newest block that has what is looked for, or `null`. */
async function newestBlock(has, searched = BLOCKS_SEARCHED) {
  const { height } = await ask("status");
  for (let at = height; at > Math.max(0, height - searched); at--) {
    const block = await ask(`blocks/${at}`);
    if (has(block)) return block;
  }
  return null;
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

const settled = (page) => page.waitForFunction(() => document.querySelector("main h1") && !document.getElementById("main").hasAttribute("aria-busy") && !document.querySelector('[data-mark="checking"]'), null, { timeout: PATIENCE_MS });
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
  check("no mark counts changes that may be withheld", (await page.textContent("main .proof")).includes("the node may withhold later ones"), label);
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
    const caveat = { validators: "who led, links and last votes are not in the state", governance: "Nothing proves that none is left out" }[name];
    if (caveat) check(`${name}: what is not proved is said`, (await page.textContent("main")).includes(caveat), label);
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

/** Proof of a value with the certificate of a genesis: a path, a header, and a certificate of round 0 that nobody has signed. */
const UNSIGNED = `000001${"00".repeat(256 + 112 + 73 + 16 + 1)}`;

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
  add("account height in other digits", accountUrl, accountPage, field("height", (height) => `0b${height.toString(2)}`));
  add("account sequence in other digits", accountUrl, accountPage, field("sequence", (sequence) => `0${sequence}`));
  add("account with the genesis's certificate", accountUrl, accountPage, field("proof", () => UNSIGNED));
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
  add("genesis, application as a list", "/v1/genesis", accountPage, (text) => text.replace(/"application":\{"name":("[^"]*")/, (_, name) => `"application":{"name":[${name}]`));
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
  add("block, height as a text", blockUrl, blockPage, field("height", String));
  add("another block", blockUrl, blockPage, () => JSON.stringify(others.block));
  add("block, a next page after the last", blockUrl, blockPage, (text) => text.replace(/\}$/, ',"next":1}'));
  const outcomeOf = (change) => field("transactions", (all) => all.map((one) => (one.tx_id === transaction ? { ...one, outcome: change(one.outcome) } : one)));
  if (outcome.outcome.result === "applied") {
    add("block, a length of an answer", blockUrl, blockPage, outcomeOf((shown) => ({ ...shown, output_bytes: shown.output_bytes + 7 })));
    add("block, a length of an answer that is left out", blockUrl, blockPage, outcomeOf(({ result, output_bytes }) => ({ result, output_bytes: output_bytes + 7 })));
  }
  if (others.failed) {
    const { height, transactions } = others.failed;
    const asApplied = (shown) => (shown.result === "failed" ? { result: "applied", output_bytes: 1 } : shown);
    add("block, a failed transaction as applied", `/v1/blocks/${height}`, `#/block/${height}`, field("transactions", (all) => all.map((one) => ({ ...one, outcome: asApplied(one.outcome) }))));
  } else summary.skipped.push("a failed transaction as applied: none has failed");
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

async function lie(browser, { known, busy, failed }) {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
  const page = await context.newPage();
  page.on("pageerror", (error) => summary.failures.push(`a lie broke the page: ${error.stack}`));
  await page.goto(`${API}/#/trust`);
  await page.evaluate((hash) => localStorage.setItem("quorate-genesis-hash", hash), known);
  const { tx_id: transaction, sender } = busy.transactions[0];
  const status = await ask("status");
  const genesis = await ask("genesis");
  const operator = genesis.validators.map((entry) => entry.validator.operator).find((address) => address && address !== sender);
  const others = { account: await ask(`accounts/${operator ?? `0x${"00".repeat(32)}`}`), proof: null, block: await ask(`blocks/${busy.height - 1}`), failed };
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
    if (marks.includes("refuted") && (await page.textContent("main h1")) !== "This did not work") check("what is refuted is faded", (await page.locator("main .refuted-claim").count()) > 0, change.part);
    if (!marks.includes("refuted")) summary.changes.other[marks.join() || "no mark"] = (summary.changes.other[marks.join() || "no mark"] ?? 0) + 1;
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

// Traps ------------------------------------------------------------------------------------------------------------------------------------

/** A lock: what waits at it goes on once it is opened. */
function lock() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { opened, open };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Whether the page still runs: one in an endless loop does not answer. */
const responds = (page) => Promise.race([page.evaluate(() => true), sleep(5000).then(() => false)]);
const heading = async (page) => (await settled(page), page.textContent("main h1"));
const textIn = (page, words, selector = "main") => page.waitForFunction(([selector, words]) => document.querySelector(selector).textContent.includes(words), [selector, words], { timeout: PATIENCE_MS });
const change = (text, changed) => JSON.stringify({ ...JSON.parse(text), ...changed });

/**
 * What a lying node must not reach. Each trap opens a page of its own, whose answers are what `answer` makes of them: a text, what `fulfill`
 * takes, "abort", or nothing for the node's own. It gets the path after `/v1/`, the node's answer, how often this path was asked, and a lock.
 */
function traps({ known, busy, several, proposal, epochs }) {
  const [{ tx_id: transaction, sender }] = busy.transactions;
  const { height } = busy;
  const wrong = changeByte(known, 3, 1);
  const epochKey = "state/0x0065706f6368";
  const isStatus = (path) => path === "status";
  const isEpochs = (path) => path.startsWith("epochs?");
  const isHeader = (path) => /^blocks\/\d+\?from=4294967295$/.test(path);
  /** A page is left whose answer comes late: what stands there then? */
  const late = (name, hash, isLate, to, then) => ({
    name: `${name} that comes late is nowhere`,
    hash,
    answer: async ({ path, held }) => isLate(path) && held.opened,
    look: async ({ page, asked, held }) => {
      while (asked(isLate) === 0) await sleep(50);
      await sleep(1000);
      await page.evaluate((to) => (location.hash = to), to);
      await sleep(500);
      await settled(page);
      held.open();
      await sleep(1500);
      return then(page);
    },
  });
  const list = [
    late("a key", "#/key/0x736869", (path) => path === "state/0x736869", `#/account/${sender}`, async (page) => (await heading(page)) === "Account"),
    late("a transaction's sender", `#/tx/${transaction}`, (path) => path.startsWith(`blocks/${height}?from=`) && !isHeader(path), "#/trust", async (page) => !(await page.textContent("main")).includes("sequence number")),
    late("a search", `#/search/${transaction}`, (path) => path === `transactions/${transaction}`, "#/trust", (page) => page.url().endsWith("#/trust")),
    {
      name: "a pin that comes during a check says nothing of it",
      hash: `#/account/${sender}`,
      isUnpinned: true,
      answer: async ({ path, own, held }) => {
        if (path !== "genesis") return;
        const genesis = await own();
        await held.opened;
        return genesis;
      },
      look: async ({ page, held }) => {
        await page.waitForSelector('[data-mark="checking"]');
        await page.evaluate((hash) => localStorage.setItem("quorate-genesis-hash", hash), wrong);
        held.open();
        await settled(page);
        return (await markOf(page)) !== "proved";
      },
    },
    ...[2 ** 51, Number.MAX_SAFE_INTEGER].flatMap((round) => [
      { name: "an absurd round ends no page", answer: async ({ path, own }) => path === "consensus" && change(await own(), { round }), look: async ({ page }) => (await sleep(2500), responds(page)) },
      { name: "an absurd round ends no page", hash: "#/consensus", answer: async ({ path, own }) => path === "consensus" && change(await own(), { round }), look: async ({ page }) => (await sleep(2500), responds(page)) },
      { name: "an absurd round of a block ends no page", answer: async ({ path, own }) => isHeader(path) && Number(path.match(/\d+/)[0]) % 7 === 0 && change(await own(), { round }), look: async ({ page }) => (await sleep(2500), responds(page)) },
    ]),
    {
      name: "a header of another block is not taken in",
      answer: async ({ path }) => isHeader(path) && JSON.stringify(busy),
      look: async ({ page }) => (await textIn(page, "make no sense", "#banners"), (await page.locator("[data-block]").count()) <= 1),
    },
    {
      name: "one answer without sense does not end the polling",
      answer: ({ path, times }) => path === "consensus" && times === 3 && "{}",
      look: async ({ page }) => {
        await textIn(page, "make no sense", "#banners");
        await page.waitForFunction(() => document.getElementById("banners").textContent === "", null, { timeout: PATIENCE_MS });
        return true;
      },
    },
    {
      name: "what cannot be drawn does not end the polling",
      isBroken: true,
      answer: async ({ path, own }) => isHeader(path) && change(await own(), { author: {} }),
      look: async ({ page, asked }) => {
        await textIn(page, "could not draw", "#banners");
        const before = asked(isStatus);
        await sleep(3500);
        return asked(isStatus) > before;
      },
    },
    {
      name: "a long pause is no short one",
      answer: ({ path }) => path === "status" && { status: 503, headers: { "retry-after": "3000000" }, body: '{"error":{"code":"busy","message":"busy"}}' },
      look: async ({ page, asked }) => (await sleep(3000), asked(isStatus) < 4),
    },
    {
      name: "twins do not multiply",
      answer: async ({ path, own }) => {
        if (path !== "consensus") return;
        const { validators } = JSON.parse(await own());
        return change(await own(), { validators: validators.map((one) => ({ ...one, name: "twin" })) });
      },
      look: async ({ page }) => {
        const count = () => page.locator(".people .name").count();
        await page.waitForSelector(".people .name");
        const before = await count();
        await sleep(3500);
        return (await count()) === before;
      },
    },
    {
      name: "a long answer that is left out is compared, and green if it is right",
      hash: `#/block/${height}`,
      answer: async ({ path, own }) => {
        if (path !== `blocks/${height}`) return;
        const { transactions } = JSON.parse(await own());
        return change(await own(), { transactions: transactions.map(({ outcome: { output, ...outcome }, ...one }) => ({ ...one, outcome })) });
      },
      look: async ({ page, asked }) => (await settled(page), (await markOf(page)) === "proved" && asked((path) => path === `transactions/${transaction}/proof`) > 0),
    },
    {
      name: "a block without author is not the genesis",
      hash: `#/block/${height}`,
      answer: async ({ path, own }) => path === `blocks/${height}` && change(await own(), { author: null }),
      look: async ({ page }) => (await settled(page), !(await page.textContent("main")).includes("this is genesis")),
    },
    {
      name: "one lost round after an epoch is named",
      hash: `#/block/${height}`,
      answer: async ({ path, own }) => (path === `blocks/${height}` ? change(await own(), { round: 2 }) : path === `blocks/${height - 1}?from=4294967295` && change(await own(), { epoch: busy.epoch + 1, round: 7 })),
      look: async ({ page }) => (await textIn(page, "One round was lost before this block: round 1."), true),
    },
    {
      name: "an age is renewed",
      hash: `#/account/${sender}`,
      look: async ({ page }) => {
        await settled(page);
        const before = await page.textContent("main .proof summary");
        await sleep(2500);
        return (await page.textContent("main .proof summary")) !== before;
      },
    },
    {
      name: "a pending transaction outlives a silent answer",
      hash: `#/tx/${transaction}`,
      answer: ({ path, times }) => (path !== `transactions/${transaction}` || times > 3 ? undefined : times === 2 ? "abort" : '{"status":"pending"}'),
      look: async ({ page }) => (await page.waitForSelector('[data-mark="proved"]', { timeout: PATIENCE_MS }), true),
    },
    {
      name: "a page that failed for silence comes once the node answers",
      hash: `#/tx/${transaction}`,
      answer: ({ path, times }) => path === `transactions/${transaction}` && times === 1 && "abort",
      look: async ({ page }) => (await page.waitForSelector('[data-mark="proved"]', { timeout: PATIENCE_MS }), true),
    },
    ...["#/key/0xabc", `#/tx/${transaction}?x`, "#/account/0x12", "#/block/x", "#/constructor"].map((hash) => ({ name: "an address that means nothing blames nobody", hash, look: async ({ page }) => (await heading(page)) === "There is no such page" })),
    { name: "a key with invisible characters is shown by its bytes", hash: "#/key/0x73e280ae6162", look: async ({ page }) => (await settled(page), !(await page.textContent("main")).includes("\u202e")) },
    {
      name: "looking again keeps the focus",
      hash: `#/account/${sender}`,
      look: async ({ page }) => {
        await settled(page);
        await page.focus("#again");
        await page.keyboard.press("Enter");
        await sleep(300);
        await settled(page);
        return page.evaluate(() => document.activeElement.id === "again");
      },
    },
    {
      name: "marks are read out when they change, and countdowns are not",
      hash: `#/account/${sender}`,
      answer: ({ path }) => path === "status" && "abort",
      look: async ({ page }) => {
        await textIn(page, "asks again", "#banners");
        await page.waitForSelector('main [aria-live="polite"] > .proof');
        return page.evaluate(() => !document.querySelector("#banners p > :not([aria-hidden])").textContent.includes("asks again"));
      },
    },
    {
      name: "an endless answer is cut off",
      hash: `#/account/${sender}`,
      answer: ({ path }) => path === `accounts/${sender}` && `{"a":"${"a".repeat(33 << 20)}"}`,
      look: async ({ page }) => (await textIn(page, "too long"), true),
    },
  ];
  const need = (what, name, trap) => (what ? list.push({ name, ...trap(what) }) : summary.skipped.push(`${name}: this chain has nothing to show it with`));
  need(several, "two loads of a page are one", ({ height, transactions, transactions_total }) => ({
    hash: `#/block/${height}`,
    answer: async ({ path, own, held }) => {
      if (path === `blocks/${height}`) return change(await own(), { transactions: transactions.slice(0, 1), next: 1 });
      if (path !== `blocks/${height}?from=1`) return;
      await held.opened;
    },
    look: async ({ page, held }) => {
      const more = page.getByRole("button", { name: "Show more" });
      await more.click();
      await more.click();
      held.open();
      await settled(page);
      return transactions_total > 1 && (await markOf(page)) === "proved";
    },
  }));
  need(epochs, "the same change of the committee for ever is refused", (changes) => ({
    hash: "#/governance",
    answer: async ({ path, own }) => {
      if (path === "genesis") return { status: 503, body: '{"error":{"code":"busy","message":"busy"}}' };
      if (path === "status") return change(await own(), { epoch: 10 ** 15 });
      if (isEpochs(path)) return JSON.stringify({ epoch: 10 ** 15, changes: changes.slice(0, 1) });
    },
    look: async ({ page, asked }) => (await sleep(4000), asked(isEpochs) > 0 && asked(isEpochs) < 4),
  }));
  need(proposal, "votes counted by another committee are not green", () => ({
    hash: "#/governance",
    answer: async ({ path, own }) => path === epochKey && change(await own(), { value: changeByte(JSON.parse(await own()).value, bytesIn(JSON.parse(await own()).value) - 36, 1), proof: UNSIGNED, height: 0 }),
    look: async ({ page }) => (await settled(page), (await page.locator('.people .proof[data-mark="unproved"]').count()) > 0 && (await page.locator('.people .proof[data-mark="proved"]').count()) === 0),
  }));
  need(proposal, "a proposal is not closed by the node's word", (key) => ({
    hash: "#/governance",
    answer: async ({ path, own }) => path === `state/${key}` && change(await own(), { value: null }),
    look: async ({ page }) => (await settled(page), (await page.locator('.people .proof[data-mark="refuted"]').count()) === 1 && !(await page.textContent("main")).includes("closed meanwhile")),
  }));
  return list;
}

/** The key of an open proposal, or `null`: the list begins with the next number, 8 bytes, and a length; then come numbers, 8 bytes each, and addresses. */
async function openProposal() {
  const { value } = await ask("state/0x0070726f706f73616c73");
  if (value === null) return null;
  const digits = value.replace(/^0x/, "");
  if (digits.slice(16, 18) === "00") return null;
  return `0x0070726f706f73616c${Buffer.from(digits.slice(18, 34), "hex").reverse().toString("hex")}`;
}

async function springTraps(browser, { known, busy }) {
  const several = await newestBlock((block) => block.transactions_total > 1, BLOCKS_SEARCHED / 10);
  const { changes } = await ask("epochs?from=0");
  for (const { name, hash = "#/", isUnpinned, isBroken, answer, look } of traps({ known, busy, several, proposal: await openProposal(), epochs: changes.length > 0 && changes })) {
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    if (!isUnpinned) await context.addInitScript((hash) => localStorage.setItem("quorate-genesis-hash", hash), known);
    const page = await context.newPage();
    if (!isBroken) page.on("pageerror", (error) => summary.failures.push(`${name}: ${error.stack}`));
    const log = [];
    const asked = (what) => log.filter(what).length;
    const held = lock();
    const meet = async (route) => {
      const url = new URL(route.request().url());
      const path = (url.pathname + url.search).replace(/^\/v1\//, "");
      log.push(path);
      let response;
      const own = async () => (response ??= await route.fetch()).text();
      const said = await answer?.({ path, own, times: asked((one) => one === path), held });
      if (!said) return route.continue();
      if (said === "abort") return route.abort();
      return route.fulfill({ contentType: "application/json", ...(typeof said === "string" ? { body: said } : said) });
    };
    // What is still on its way when the page is closed meets nobody.
    await page.route("**/v1/**", (route) => meet(route).catch(() => {}));
    try {
      await page.goto(`${API}/${hash}`, { waitUntil: "commit" });
      check(name, await look({ page, asked, held }), hash);
    } catch (error) {
      summary.failures.push(`${name}: ${error.message}`);
    }
    held.open();
    await Promise.race([context.close(), sleep(5000)]);
  }
}

/** The page that shows the description of the API: all of it opened, filtered, and each path that needs no values asked. */
async function readDescription(browser, { width, height, scheme }) {
  const label = `docs, ${width} px, ${scheme}`;
  const { paths, components } = await ask("openapi.json");
  const operations = Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, of]) => ({ path, method, ...of })));
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  const page = await context.newPage();
  guard(page, label);
  await page.goto(`${API}/v1/docs`);
  await page.waitForSelector("section.group", { timeout: PATIENCE_MS });
  await fits(page, label);
  await picture(page, `${width}-${scheme}-docs`);
  check("every path and type is on the page", (await page.locator(".paths > details").count()) === operations.length + Object.keys(components.schemas).length, label);
  for (const summary of await page.locator(".paths > details > summary").all()) await summary.click();
  await fits(page, `${label}, opened`);
  await picture(page, `${width}-${scheme}-docs-opened`);
  check("everything opens", (await page.locator(".paths > details .inside:empty").count()) === 0, label);
  const dead = await page.evaluate(() => [...document.querySelectorAll('a[href^="#"]')].map((one) => one.getAttribute("href")).filter((href) => !document.getElementById(href.slice(1))));
  check("every link on the page leads somewhere", dead.length === 0, `${label}: ${dead}`);
  for (const { operationId, path, method, parameters = [], responses } of operations) {
    if (method !== "get" || path === "/metrics" || responses[200].content["text/event-stream"] || parameters.some((one) => one.required)) continue;
    const form = page.locator(`#${operationId} form.try`);
    await form.locator("button").click();
    const answer = page.locator(`#${operationId} pre`);
    await answer.waitFor({ timeout: PATIENCE_MS });
    check("a path is asked from the page", (await answer.textContent()).length > 1, `${label}: ${path}`);
  }
  await page.fill("#query", "no-such-block");
  const left = await page.locator("section.group .paths > details:visible").allTextContents();
  check("the filter leaves what has the words", left.length > 2 && left.length < operations.length, `${label}: ${left.length}`);
  await page.fill("#query", "nothing has these words");
  check("the filter says that nothing is left", await page.isVisible("#nothing"), label);
  await page.goto(`${API}/v1/docs#block_raw`);
  await page.reload();
  await page.waitForSelector("#block_raw[open] form.try input[name=height]", { timeout: PATIENCE_MS });
  await page.fill("#block_raw input[name=height]", "0");
  await page.click("#block_raw form.try button");
  const raw = page.locator("#block_raw pre");
  await raw.waitFor({ timeout: PATIENCE_MS });
  check("bytes are shown as digits", /^00[0-9a-f]{300,}…?$/.test(await raw.textContent()), label);
  await context.close();
}

async function run() {
  if (PICTURES) await mkdir(PICTURES, { recursive: true });
  const known = process.env.QUORATE_GENESIS_HASH ?? (await ask("status")).genesis_hash;
  const busy = await newestBlock((block) => block.transactions_total > 0);
  if (busy === null) throw new Error("no transaction is committed: send one first");
  const failed = await newestBlock((block) => block.transactions.some((one) => one.outcome.result === "failed"), BLOCKS_SEARCHED / 10);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  summary.browser = browser.version();
  try {
    for (const [width, height] of [[360, 780], [1920, 1080]]) {
      for (const scheme of ["light", "dark"]) {
        await visit(browser, { width, height, scheme, known, busy });
        await readDescription(browser, { width, height, scheme });
      }
    }
    await lie(browser, { known, busy, failed });
    await springTraps(browser, { known, busy });
  } finally {
    await browser.close();
  }
}

try {
  await run();
} catch (error) {
  summary.failures.push(error.stack);
}
if (process.env.QUORATE_SKIP === "nothing") summary.failures.push(...summary.skipped);
summary.ok = summary.failures.length === 0;
console.log(JSON.stringify(summary, null, 2));
process.exitCode = summary.ok ? 0 : 1;
