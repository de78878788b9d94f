/**
 * Tests against a real network, the golden files of this repository, and proofs signed by a committee of the test's own.
 *
 *     QUORATE_API           URL of a node
 *     QUORATE_GENESIS_HASH  the network's genesis hash
 *     QUORATE_SEED_KEY      seed (64 hexadecimal digits) or unencrypted key file of an account that may send, with a balance of 10,000,
 *                           and nothing else sending from it meanwhile
 *     QUORATE_EPOCHS        optional: how many times the committee must have changed at least
 *
 * Without the first three, only what needs no network is tested.
 */

import assert from "node:assert/strict";
import { createPrivateKey, randomBytes, sign } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { before, describe, test } from "node:test";

import { Evidence, convicted, evidenceBytes } from "./evidence.js";
import { canonicalJson, parseJson, type Json } from "./json.js";
import {
  ApiError, Client, CommitProof, EpochState, Fields, Key, LaterEpoch, OWN, QuorateError, Reader, Refused, SHARED, StatePath, Verifier,
  balance, genesisBytes, h, hex, option, ownKey, put, readGenesis, same, sharedKey, string, transfer, u16, u32, u64, uleb, unhex,
} from "./quorate.js";

const { QUORATE_API, QUORATE_GENESIS_HASH, QUORATE_SEED_KEY, QUORATE_EPOCHS } = process.env;
const GOLDEN = new URL("../../../types/tests/golden/", import.meta.url);
const bytes = (text: string): Buffer => Buffer.from(text);

function refused(what: string, verify: () => unknown): void {
  assert.throws(verify, Refused, `accepted: ${what}`);
}

/** These bytes verify, and no others: each byte changed in each of two ways, all prefixes, all with something appended. */
function only(good: Buffer, verify: (bytes: Buffer) => unknown): void {
  verify(good);
  for (let at = 0; at < good.length; at++) {
    for (const mask of [0x01, 0xff]) {
      const bad = Buffer.from(good);
      bad[at]! ^= mask;
      refused(`byte ${at} of ${good.length} xor ${mask}`, () => verify(bad));
    }
  }
  for (let length = 0; length < good.length; length++) {
    refused(`the first ${length} bytes of ${good.length}`, () => verify(good.subarray(0, length)));
  }
  for (const more of [Buffer.of(0), Buffer.of(1), Buffer.of(255), good]) {
    refused(`${more.length} bytes more`, () => verify(Buffer.concat([good, more])));
  }
}

function copyOf(verifier: Verifier, genesis: Json): Verifier {
  const copy = new Verifier(verifier.genesisHash, genesis);
  [copy.states, copy.ends] = [[...verifier.states], [...verifier.ends]];
  return copy;
}

const network = QUORATE_API !== undefined && QUORATE_GENESIS_HASH !== undefined && QUORATE_SEED_KEY !== undefined;

describe("network", { skip: network ? false : "no network is named in the environment" }, () => {
  let client: Client, verifier: Verifier, key: Key, genesis: Json;

  before(async () => {
    client = await Client.connect(QUORATE_API!, unhex(QUORATE_GENESIS_HASH!, 32));
    [verifier, key, genesis] = [client.verifier, Key.load(QUORATE_SEED_KEY!), await client.get("/v1/genesis")];
    await client.follow();
  });

  const fields = async (path: string): Promise<Fields> => new Fields(await client.get(path), "the answer");
  const shown = async (path: string): Promise<[Buffer | null, Buffer]> => {
    const view = await fields(path);
    return [view.field("value") === null ? null : view.bytes("value"), view.bytes("proof")];
  };
  const code = (code: string) => (error: unknown): boolean => error instanceof ApiError && error.code === code;

  test("sign, submit, wait, verify", async () => {
    const to = new Key(randomBytes(32)).address;
    assert.equal((await client.account(to)).value, null);
    const rich = (await client.account(key.address)).value!;
    const { value: receipt } = await client.send(key, transfer(to, 1_000n));
    assert.deepEqual([receipt.failure, receipt.answer], [null, Buffer.of(0)]);
    const [opened, poorer] = [(await client.account(to)).value!, (await client.account(key.address)).value!];
    assert.deepEqual([balance(opened), opened.sequence], [1_000n, 0n]);
    assert.deepEqual([balance(poorer), poorer.sequence], [balance(rich) - 1_000n, rich.sequence + 1n]);

    const [name, value] = [Buffer.concat([bytes("name-"), randomBytes(4)]), randomBytes(100)];
    await client.send(key, put(OWN, name, value));
    assert.deepEqual((await client.state(ownKey(key.address, name))).value, value);
    assert.equal((await client.state(ownKey(to, name))).value, null);
    await client.send(key, put(SHARED, name, Buffer.alloc(0)));
    assert.deepEqual((await client.state(sharedKey(name))).value, Buffer.alloc(0));
    assert.deepEqual((await client.state(Buffer.concat([bytes("h"), name]))).value, key.address);

    const slice = Buffer.concat([Buffer.of(1, 0), string(Buffer.concat([bytes("absent-"), name])), Buffer.of(3), u32(0), u32(4)]);
    const { value: failed } = await client.send(key, slice);
    assert.deepEqual([failed.failure, failed.answer], [{ code: "missing-key", numbers: [] }, null]);
    assert.deepEqual((await client.receipt(failed.txId)).value, failed);
  });

  test("refusals of the node say why", async () => {
    const { sequence } = (await client.account(key.address)).value!;
    await assert.rejects(client.submit(key.sign(randomBytes(32), sequence, Buffer.alloc(0), 2 ** 52)), code("other-network"));
    await assert.rejects(client.send(key, transfer(randomBytes(32), 2n ** 64n - 1n)), code("insufficient-funds"));
    await assert.rejects(Client.connect("http://127.0.0.1:9", verifier.genesisHash), QuorateError);
  });

  test("receipt proof", async () => {
    const transaction = await client.sign(key, transfer(key.address, 1n));
    await client.submit(transaction);
    await client.wait(transaction);
    const proof = (await fields(`/v1/transactions/${hex(transaction.id)}/proof`)).bytes("proof");
    only(proof, (bytes) => verifier.receipt(transaction.id, bytes));
    refused("the receipt of another transaction", () => verifier.receipt(randomBytes(32), proof));
  });

  test("receipts of several transactions", async () => {
    // Those that wait for an earlier one come into one block with it, so the paths in its list have siblings.
    const first = await client.sign(key, transfer(key.address, 1n));
    const sequence = first.raw.readBigUInt64LE(64);
    const later = [1n, 2n, 3n, 4n].map((by) => key.sign(verifier.genesisHash, sequence + by, transfer(key.address, 1n), first.expiresAt));
    for (const transaction of [...later].reverse().concat(first)) await client.submit(transaction);
    for (const { id, ...transaction } of [first, ...later]) {
      await client.wait({ id, ...transaction });
      const proof = (await fields(`/v1/transactions/${hex(id)}/proof`)).bytes("proof");
      only(proof, (bytes) => verifier.receipt(id, bytes));
    }
  });

  test("account proof", async () => {
    const [value, proof] = await shown(`/v1/accounts/${hex(key.address)}`);
    only(proof, (bytes) => verifier.account(key.address, value, bytes));
    only(value!, (bytes) => verifier.account(key.address, bytes, proof));
    refused("the proof of another account", () => verifier.account(randomBytes(32), value, proof));
    refused("an account denied", () => verifier.account(key.address, null, proof));
  });

  test("absence proof", async () => {
    for (let turn = 0; turn < 4; turn++) {
      const address = randomBytes(32);
      const [value, proof] = await shown(`/v1/accounts/${hex(address)}`);
      assert.equal(value, null);
      only(proof, (bytes) => verifier.account(address, null, bytes));
      refused("an account claimed", () => verifier.account(address, Buffer.alloc(37), proof));
      refused("the absence of an account that exists", () => verifier.account(key.address, null, proof));
    }
  });

  test("value proof", async () => {
    const name = bytes("proved");
    await client.send(key, put(OWN, name, bytes("value")));
    const place = ownKey(key.address, name);
    const [value, proof] = await shown(`/v1/state/${hex(place)}`);
    assert.deepEqual(value, bytes("value"));
    only(proof, (bytes) => verifier.value(place, value, bytes));
    const others = [ownKey(key.address, bytes("other")), ownKey(randomBytes(32), name), sharedKey(name), Buffer.alloc(0), place.subarray(1)];
    for (const other of others) refused("the proof of another key", () => verifier.value(other, value, proof));
    refused("another value", () => verifier.value(place, bytes("Value"), proof));
    refused("a value denied", () => verifier.value(place, null, proof));
  });

  test("the epoch state in the state is the followed one", async () => {
    const { value, header } = await client.state(bytes("\0epoch"));
    await client.follow();
    const state = Reader.whole(value!, EpochState.read);
    assert.deepEqual(state, verifier.state(state.epoch));
    assert.deepEqual(header.epochState, state.hash);
  });

  test("another genesis hash", async () => {
    for (let at = 0; at < 32; at++) {
      const bad = Buffer.from(verifier.genesisHash);
      bad[at]! ^= 1;
      refused("another genesis hash", () => new Verifier(bad, genesis));
    }
    const [value, proof] = await shown(`/v1/accounts/${hex(key.address)}`);
    const other = parseJson(canonicalJson(genesis));
    Object.assign(other as object, { chain_id: new Fields(other, "the genesis").number("chain_id") ^ 1n });
    const stranger = new Verifier(h("genesis", genesisBytes(other)), other);
    [stranger.states, stranger.ends] = [verifier.states, verifier.ends];
    refused("a proof of another network", () => stranger.account(key.address, value, proof));
  });

  test("a quorum is counted by power", async () => {
    const [value, proof] = await shown(`/v1/accounts/${hex(key.address)}`);
    const { header } = verifier.account(key.address, value, proof);
    const { signers } = Reader.whole(proof, (r) => [StatePath.read(r), CommitProof.read(r)] as const)[1];
    const state = verifier.state(header.epoch);
    const signed = (seat: number): boolean => ((signers >> BigInt(seat)) & 1n) === 1n;
    const voting = state.members.filter((member) => signed(member.seat));
    const powers = (of: (seat: number) => bigint): void => {
      const members = state.members.map((member) => ({ ...member, power: of(member.seat) }));
      const other = copyOf(verifier, genesis);
      other.states = other.states.map((one) => (one === state ? new EpochState(state.epoch, state.version, members, state.hash) : one));
      other.account(key.address, value, proof);
    };
    powers((seat) => (signed(seat) ? 1n : 0n));
    refused("a signer without power", () => powers((seat) => (seat === voting[0]!.seat ? 0n : 1n)));
    if (state.members.length > voting.length) {
      powers((seat) => (signed(seat) ? 100n : 1n));
      refused("many signers with little power", () => powers((seat) => (signed(seat) ? 1n : 100n)));
    }
  });

  test("epoch changes", async () => {
    await client.follow();
    const last = verifier.epoch;
    assert.ok(last >= Number(QUORATE_EPOCHS ?? "0"), `${last} epoch changes`);
    assert.ok(BigInt(last) >= (await fields("/v1/status")).number("epoch") - 1n);
    const follower = new Verifier(verifier.genesisHash, genesis);
    const changes: Buffer[] = [];
    while (changes.length < last) {
      changes.push(...(await fields(`/v1/epochs?from=${changes.length}`)).list("changes").map((change) => unhex(String(change))));
    }
    for (const [epoch, change] of changes.slice(0, last).entries()) {
      if (epoch + 1 < last) refused("a later change", () => follower.follow(changes[epoch + 1]!));
      if (epoch === 0 || epoch === last - 1) only(change, (bytes) => copyOf(follower, genesis).follow(bytes));
      follower.follow(change);
      refused("a change twice", () => follower.follow(change));
    }
    assert.deepEqual(follower.states, verifier.states);
    for (let height = 1n; height < 4n; height++) {
      for (const json of (await fields(`/v1/blocks/${height}`)).list("transactions")) {
        const { header } = await client.receipt(new Fields(json, "a transaction").bytes("tx_id"));
        assert.deepEqual([header.height, header.epoch], [height, 0n]);
      }
    }
  });

  test("evidence that the node holds", async () => {
    for (const json of (await fields("/v1/evidence")).list("evidence")) {
      const view = new Fields(json, "the list");
      const encoded = evidenceBytes(await client.get(`/v1/evidence/${view.text("id")}`));
      assert.deepEqual(h("evidence", encoded), view.bytes("id"));
      assert.equal(convicted(verifier, encoded).name, view.text("validator"));
    }
  });
});

describe("what a committee whose keys we hold could sign but must not", () => {
  const ZEROS = Buffer.alloc(32);
  const elsewhere = Buffer.alloc(32, 1);
  const join = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
  const keys = [1, 2, 3, 4, 5].map((number) => {
    const der = join(unhex("302e020100300506032b657004220420"), Buffer.alloc(32, number));
    return { secret: createPrivateKey({ key: der, format: "der", type: "pkcs8" }), public: new Key(Buffer.alloc(32, number)).public };
  });
  keys.sort((a, b) => Buffer.compare(a.public, b.public));
  const publicKey = (seat: number): Buffer => keys[seat]!.public;
  const signed = (seat: number, hash: Buffer): Buffer => sign(null, hash, keys[seat]!.secret);
  const POWERS = [1, 2, 3, 4, 0];

  const genesis: Json = parseJson(JSON.stringify({
    protocol_version: 1, chain_id: 7, name: "forged", timestamp: 1,
    parameters: {
      block_transactions_max: 1, block_bytes_max: 2, timeout_base_ms: 3, timeout_growth_percent: 4, timeout_max_ms: 5, heartbeat_ms: 6,
      window_size: 7, state: { bytes_max: 8, block_effect_bytes_max: 9 },
    },
    validators: POWERS.map((power, seat) => {
      const key = hex(publicKey(seat));
      const validator = { name: `v${seat}`, consensus_key: key, network_key: key, address: "a", power };
      return { validator, consensus_proof: "00".repeat(64), network_proof: "00".repeat(64) };
    }),
    application: { name: "none", version: 1, settings: {} },
  }));
  const encoded = genesisBytes(genesis);
  const network = h("genesis", encoded);
  const verifier = new Verifier(network, genesis);

  const member = (seat: number, power: number = 1, key = seat): Buffer =>
    join(u16(seat), string(`v${seat}`), publicKey(key), publicKey(key), string("a"), u64(power), Buffer.of(0));
  const state = (epoch: number, members: Buffer[], version = 1): Buffer => {
    const begin = 4 + 8 + string("forged").length + 8;
    const parametersAndAuthority = encoded.subarray(begin, begin + 7 * 4 + 1 + 1 + 4 + 8 + 4 + 1);
    return join(u64(epoch), u32(version), parametersAndAuthority, uleb(members.length), ...members);
  };

  type Roots = { state?: Buffer; receipts?: Buffer; epochState?: Buffer };
  type HeaderParts = Roots & { height?: number; parent?: Buffer; epoch?: number; network?: Buffer };
  const header = (of: HeaderParts = {}): Buffer => {
    const [height, roots] = [of.height ?? 5, [ZEROS, of.receipts ?? ZEROS, of.state ?? ZEROS, of.epochState ?? ZEROS]];
    return join(of.network ?? network, u64(of.epoch ?? 0), u64(height), u64(height), ZEROS, of.parent ?? ZEROS, u64(9), ...roots);
  };
  interface VoteParts { rounds?: [bigint, bigint]; commits?: Buffer | null; epoch?: number; network?: Buffer; info?: Buffer }
  const vote = (of: VoteParts = {}): Buffer => {
    const { rounds: [round, parent] = [7n, 6n], commits = ZEROS } = of;
    const info = join(ZEROS, u64(round), ZEROS, u64(parent), ZEROS);
    return join(info, of.network ?? network, u64(of.epoch ?? 0), option(commits, (id) => id), of.info ?? h("vote-info", info));
  };
  /** A commit proof; `signing` are the seats whose signatures it has, those that it names if not said. */
  const proof = (headers: Buffer[], { seats = [2, 3], signing = seats, ...of }: VoteParts & { seats?: number[]; signing?: number[] } = {}) => {
    const last = headers.at(-1);
    const content = vote({ commits: last === undefined ? ZEROS : h("header", last), ...of });
    const signatures = signing.map((seat) => signed(seat, h("vote", content.subarray(112))));
    const signers = seats.reduce((bits, seat) => bits | (1n << BigInt(seat)), 0n);
    const bits = join(u64(signers & (2n ** 64n - 1n)), u64(signers >> 64n));
    return join(uleb(headers.length), ...headers, content, bits, uleb(signatures.length), ...signatures);
  };
  /** Uses a proof to show that a key of the empty state is absent. */
  const absent = (commit: Buffer, path: Buffer = Buffer.of(0, 0)): unknown => verifier.value(bytes("k"), null, join(path, commit));

  test("commit proofs", () => {
    const first = header();
    const second = header({ height: 6, parent: h("header", first) });
    absent(proof([first]));
    absent(proof([first, second]));
    absent(proof([first], { seats: [0, 1, 3] }));
    const bad: [string, Buffer][] = [
      ["no header", proof([])],
      ["headers that are no chain", proof([first, header({ height: 6 })])],
      ["headers in the wrong order", proof([second, first])],
      ["a header of another network", proof([header({ network: elsewhere })])],
      ["a second header of another network", proof([first, header({ height: 6, parent: h("header", first), network: elsewhere })])],
      ["a second header of another epoch", proof([first, header({ height: 6, parent: h("header", first), epoch: 1 })])],
      ["a certificate of another network", proof([first], { network: elsewhere })],
      ["a certificate of another epoch", proof([first], { epoch: 1 })],
      ["another vote info", proof([first], { info: elsewhere })],
      ["a round that is not above its parent's", proof([first], { rounds: [6n, 6n] })],
      ["a round that is too high", proof([first], { rounds: [2n ** 64n - 9n, 2n ** 64n - 10n] })],
      ["a commit although the rounds do not follow each other", proof([first], { rounds: [8n, 6n] })],
      ["no commit", proof([first], { commits: null, rounds: [8n, 6n] })],
      ["no commit although the rounds follow each other", proof([first], { commits: null })],
      ["a commit of another header", proof([first], { commits: elsewhere })],
      ["less than a quorum", proof([first], { seats: [1, 3] })],
      ["nobody", proof([first], { seats: [] })],
      ["an observer", proof([first], { seats: [2, 3, 4] })],
      ["a free seat", proof([first], { seats: [2, 3, 5], signing: [2, 3, 3] })],
      ["a signature too few", proof([first], { seats: [1, 2, 3], signing: [1, 2] })],
      ["a signature too many", proof([first], { signing: [2, 3, 3] })],
      ["the signatures in another order", proof([first], { signing: [3, 2] })],
      ["somebody else's signature", proof([first], { signing: [2, 1] })],
      ["a length that is not minimal", join(Buffer.of(0x81, 0), proof([first]).subarray(1))],
    ];
    for (const [what, commit] of bad) refused(what, () => absent(commit));
    // The root is right, but the leaf is on the other side than the key.
    const right = h("state-key", bytes("k"))[0]! >> 7 === 1;
    const leaf: Buffer[] = [join(Buffer.of(right ? 0 : 0x80), Buffer.alloc(31)), ZEROS];
    const [top, one] = [h("state-leaf", ...leaf), join(uleb(1), ZEROS, Buffer.of(1), ...leaf)];
    const root = right ? h("state-branch", ZEROS, top) : h("state-branch", top, ZEROS);
    refused("a leaf elsewhere", () => absent(proof([header({ state: root })]), one));
  });

  test("receipts", () => {
    const receipts = [0, 1, 2].map((number) => join(Buffer.alloc(32, number), Buffer.of(0), string("answer")));
    const [a, b, c] = receipts.map((receipt) => h("list-leaf", receipt)) as [Buffer, Buffer, Buffer];
    const pair = h("list-branch", a, b);
    const commit = proof([header({ receipts: h("list-root", u64(3), h("list-branch", pair, c)) })]);
    const proven = (at: number, siblings: Buffer[], index = at, count = 3): unknown => {
      const receipt = receipts[at]!;
      return verifier.receipt(receipt.subarray(0, 32), join(receipt, u32(index), u32(count), uleb(siblings.length), ...siblings, commit));
    };
    proven(0, [b, c]);
    proven(1, [a, c]);
    proven(2, [pair]);
    refused("another position", () => proven(0, [b, c], 1));
    refused("a position too high", () => proven(2, [pair], 3));
    refused("another number", () => proven(2, [pair], 2, 4));
    refused("no list", () => proven(0, [], 0, 0));
    refused("a sibling too few", () => proven(0, [b]));
    refused("a sibling too many", () => proven(2, [pair, ZEROS]));
  });

  test("epoch changes", () => {
    const members = [member(1), member(9, 1, 4)];
    const change = (next: Buffer): Buffer => join(proof([header({ epochState: h("epoch-state", next) })]), next);
    const good = state(1, members, 2);
    const own = state(0, POWERS.map((power, seat) => member(seat, power)));
    assert.deepEqual(h("epoch-state", own), verifier.state(0n).hash);
    only(change(good), (bytes) => copyOf(verifier, genesis).follow(bytes));
    const follower = copyOf(verifier, genesis);
    const bad: [string, Buffer][] = [
      ["its own epoch", own],
      ["a later epoch", state(2, members)],
      ["a version that nobody knows", state(1, members, 3)],
      ["no members", state(1, [])],
      ["nobody with power", state(1, [member(1, 0)])],
      ["too much power", state(1, [member(1, 2 ** 48 + 1)])],
      ["seats in another order", state(1, [...members].reverse())],
      ["a seat twice", state(1, [member(1), member(1, 1, 2)])],
      ["a seat too high", state(1, [member(128, 1, 4)])],
      ["a key twice", state(1, [member(1), member(2, 1, 1)])],
    ];
    for (const [what, next] of bad) refused(what, () => follower.follow(change(next)));
    refused("another state than the header's", () => follower.follow(join(proof([header()]), good)));
    const show = (commit: Buffer): unknown => follower.value(bytes("k"), null, join(Buffer.of(0, 0), commit));
    const later = proof([header({ height: 6, epoch: 1 })], { epoch: 1, seats: [1, 9], signing: [1, 4] });
    assert.throws(() => show(later), LaterEpoch);
    follower.follow(change(good));
    show(later);
    show(proof([header({ height: 4 })]));
    show(proof([header({ epochState: h("epoch-state", good) })]));
    refused("another block at the end of an epoch", () => show(proof([header()])));
    refused("a block after the end of an epoch", () => show(proof([header({ height: 6 })])));
    refused("a former committee", () => show(proof([header({ height: 6, epoch: 1 })], { epoch: 1 })));
  });

  test("evidence", () => {
    type Signed = [content: Buffer, hash: Buffer];
    interface Case { seat?: number; by?: number; epoch?: number; network?: Buffer }
    const proven = (kind: number, statements: Signed[], { seat = 3, by = seat, epoch = 0, network: of = network }: Case = {}) => {
      const ordered = [...statements].sort(([, a], [, b]) => Buffer.compare(a, b)).flatMap(([content, hash]) => [content, signed(by, hash)]);
      return convicted(verifier, join(of, u64(epoch), u16(seat), uleb(kind), ...ordered));
    };
    const voted = (of: VoteParts = {}): Signed => [vote(of), h("vote", vote(of).subarray(112))];
    const timeout = (round: bigint, high: bigint, epoch = 0): Signed => {
      const content = join(u64(epoch), u64(round), u64(high));
      return [content, h("timeout", network, content)];
    };
    const proposal = (time: number, round = 5n, author = 3): Signed => {
      const content = join(u16(author), u64(round), u64(time), u64(0), ZEROS, ZEROS);
      return [content, h("proposal", h("block", network, u64(0), content))];
    };
    const LIMIT = 2n ** 64n - 9n;
    const good: Signed[][] = [[voted(), voted({ commits: elsewhere })], [timeout(5n, 3n), timeout(5n, 4n)], [proposal(1), proposal(2)]];
    for (const [kind, pair] of good.entries()) {
      assert.equal(proven(kind, pair).seat, 3);
      refused("a statement twice", () => proven(kind, [pair[0]!, pair[0]!]));
      refused("an observer", () => proven(kind, pair, { seat: 4 }));
      refused("a free seat", () => proven(kind, pair, { seat: 5, by: 3 }));
      refused("another signer", () => proven(kind, pair, { by: 2 }));
      refused("another network", () => proven(kind, pair, { network: elsewhere }));
      refused("another epoch", () => proven(kind, pair, { epoch: 1 }));
    }
    const bad: [string, number, Signed[]][] = [
      ["votes of two rounds", 0, [voted(), voted({ rounds: [8n, 7n] })]],
      ["a vote of another network", 0, [voted(), voted({ network: elsewhere })]],
      ["a vote of another epoch", 0, [voted(), voted({ epoch: 1 })]],
      ["a vote with another vote info", 0, [voted(), voted({ info: elsewhere })]],
      ["a vote that should commit", 0, [voted(), voted({ commits: null })]],
      ["votes below their parents", 0, [voted({ rounds: [6n, 6n], commits: null }), voted({ rounds: [6n, 7n], commits: null })]],
      ["timeouts of two rounds", 1, [timeout(5n, 3n), timeout(6n, 3n)]],
      ["a timeout of another epoch", 1, [timeout(5n, 3n), timeout(5n, 3n, 1)]],
      ["a timeout at its certificate's round", 1, [timeout(5n, 3n), timeout(5n, 5n)]],
      ["timeouts of too high a round", 1, [timeout(LIMIT, 3n), timeout(LIMIT, 4n)]],
      ["proposals of two rounds", 2, [proposal(1), proposal(2, 6n)]],
      ["a proposal of another author", 2, [proposal(1), proposal(2, 5n, 2)]],
      ["proposals of round 0", 2, [proposal(1, 0n), proposal(2, 0n)]],
      ["proposals of too high a round", 2, [proposal(1, LIMIT), proposal(2, LIMIT)]],
    ];
    for (const [what, kind, pair] of bad) refused(what, () => proven(kind, pair));
  });
});

test("JSON keeps integers, and refuses everything else", () => {
  const text = '{"a":[18446744073709551615,-9223372036854775808,{}],"b":"\\u0000\\n\\"\\\\é","é":null,"\u{10000}":true}';
  assert.equal(canonicalJson(parseJson(` ${text.replaceAll(",", " ,\n")} `)), text);
  for (const bad of ["", "1.5", "1e3", "01", "[1,]", "{1:2}", "[1 2]", "{}}", '"\\x"', "[", "nul", '"']) {
    assert.throws(() => parseJson(bad), SyntaxError, bad);
  }
});

describe("golden files", { skip: existsSync(GOLDEN) ? false : "the golden files are not here" }, () => {
  const text = (name: string): string => readFileSync(new URL(name, GOLDEN), "utf8");
  const file = (name: string): Buffer => unhex(text(name).replaceAll("\n", ""));

  test("hashes", () => {
    const hashes = new Map(text("hashes.txt").trim().split("\n").map((line) => [line.slice(line.indexOf(" ") + 1), line.split(" ")[0]]));
    const [genesis, transaction] = [file("genesis.hex"), file("transaction-raw.hex")];
    const found = {
      genesis: h("genesis", genesis),
      "genesis block id": h("genesis-block", h("genesis", genesis)),
      "epoch state": Reader.whole(genesis, readGenesis).hash,
      "transaction id": h("transaction", transaction.subarray(0, -64)),
      address: h("address", transaction.subarray(32, 64)),
      "quorum certificate": h("certificate", file("quorum-cert.hex")),
      "state id": h("header", file("header.hex")),
      "empty list's root": h("list-root", u64(0), Buffer.alloc(32)),
    };
    for (const [what, hash] of Object.entries(found)) assert.equal(hash.toString("hex"), hashes.get(what), what);
  });

  test("evidence", () => {
    const genesis = file("genesis.hex");
    const [network, state] = [h("genesis", genesis), Reader.whole(genesis, readGenesis)];
    const views = text("api.jsonl").split("\n").filter((line) => line.includes('"contradiction"')).map(parseJson);
    const files = readdirSync(GOLDEN).filter((name) => name.startsWith("evidence-")).sort();
    assert.deepEqual([views.length, files.length], [3, 3]);
    for (const [at, name] of files.entries()) {
      const golden = file(name);
      assert.ok(same(evidenceBytes(views[at]!), golden));
      only(golden, (bytes) => Reader.whole(bytes, Evidence.read).verify(network, state));
    }
  });
});
