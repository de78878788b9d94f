/**
 * A client and verifier for quorate networks. All that it does is described in docs/formats.md.
 *
 * It trusts a genesis hash and nothing else: what a node says counts only as far as a quorum of the committee has signed it.
 *
 *     genesis hash --> committee of epoch 0 --its signatures--> epoch change --> committee of epoch 1 --> ...
 *     certificate --> header --Merkle path--> receipt, account, value or absence
 *
 * `Key` signs, `Verifier` checks bytes offline, `Client` talks to a node and verifies each answer. 64-bit numbers are `bigint`.
 */

import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { canonicalJson, parseJson, type Json, type JsonObject } from "./json.js";

const ZEROS = Buffer.alloc(32);
export const ROUND_LIMIT = 2n ** 64n - 9n;
const PROTOCOL_VERSION_MAX = 2;
const ANSWER_BYTES_MAX = 64 << 20;
const SEATS = 128;
const HEADERS_MAX = 1_024;
const PROOF_BYTES_MAX = 1 << 20;
export const OWN = Buffer.of(0);
export const SHARED = Buffer.of(1);

/** Something failed; the message says what. */
export class QuorateError extends Error {}

/** A proof, an epoch change or evidence does not verify. */
export class Refused extends QuorateError {}

/** A proof is of an epoch whose committee has not been followed yet. */
export class LaterEpoch extends Refused {}

/** A node has answered with an error. */
export class ApiError extends QuorateError {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(`the node answers ${status} ${code}: ${message}`);
  }
}

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Refused(what);
}

// Encoding

/** The hash of data under a tag. */
export function h(tag: string, ...data: Uint8Array[]): Buffer {
  const hash = createHash("sha3-256").update(Buffer.from(`quorate/${tag}`.padEnd(32, "\0")));
  for (const part of data) hash.update(part);
  return hash.digest();
}

function little(size: number, number: bigint | number): Buffer {
  let rest = BigInt(number);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  if (rest !== 0n) throw new QuorateError(`${number} does not fit into ${size} bytes`);
  return bytes;
}

export const u8 = (number: number): Buffer => little(1, number);
export const u16 = (number: bigint | number): Buffer => little(2, number);
export const u32 = (number: bigint | number): Buffer => little(4, number);
export const u64 = (number: bigint | number): Buffer => little(8, number);

export function uleb(number: number): Buffer {
  const bytes: number[] = [];
  for (; number >= 0x80; number = Math.floor(number / 0x80)) bytes.push((number % 0x80) | 0x80);
  return Buffer.of(...bytes, number);
}

export function string(data: Uint8Array | string): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([uleb(bytes.length), bytes]);
}

export function option<T>(value: T | null, encode: (value: T) => Uint8Array): Buffer {
  return value === null ? u8(0) : Buffer.concat([u8(1), encode(value)]);
}

/** The bytes of hexadecimal text, with or without 0x. */
export function unhex(text: string, length?: number): Buffer {
  const digits = text.startsWith("0x") ? text.slice(2) : text;
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new QuorateError(`not hexadecimal: ${text.slice(0, 80)}`);
  const bytes = Buffer.from(digits, "hex");
  if (length !== undefined && bytes.length !== length) {
    throw new QuorateError(`${length} bytes in hexadecimal are needed, not ${bytes.length}`);
  }
  return bytes;
}

export const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;
export const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Reads BCS, and refuses whatever is not the one encoding of a value. */
export class Reader {
  private at = 0;

  constructor(private readonly data: Buffer) {}

  static whole<T>(data: Buffer, read: (reader: Reader) => T, most = PROOF_BYTES_MAX): T {
    check(data.length <= most, `encoding: ${data.length} bytes are more than ${most}`);
    const reader = new Reader(data);
    const value = read(reader);
    check(reader.left === 0, `encoding: ${reader.left} bytes too many`);
    return value;
  }

  get left(): number {
    return this.data.length - this.at;
  }

  take(count: number): Buffer {
    check(count <= this.left, "encoding: it ends too early");
    this.at += count;
    return this.data.subarray(this.at - count, this.at);
  }

  big(size: number): bigint {
    return this.take(size).reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
  }

  small(size: 1 | 2 | 4): number {
    return this.take(size).readUIntLE(0, size);
  }

  u64 = (): bigint => this.big(8);
  hash = (): Buffer => this.take(32);
  signature = (): Buffer => this.take(64);

  uleb(most: number): number {
    for (let value = 0, factor = 1; ; factor *= 0x80) {
      check(factor < 2 ** 35, "encoding: a length is too long");
      const byte = this.small(1);
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        check(byte > 0 || factor === 1, "encoding: a length is not minimal");
        check(value <= most, `encoding: ${value} where at most ${most} is possible`);
        return value;
      }
    }
  }

  bytes(most: number): Buffer {
    return this.take(this.uleb(most));
  }

  text(most: number): string {
    const bytes = this.bytes(most);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw new Refused("encoding: text is not UTF-8");
    }
  }

  option<T>(read: () => T): T | null {
    return this.uleb(1) === 1 ? read() : null;
  }

  sequence<T>(read: () => T, most: number): T[] {
    return Array.from({ length: this.uleb(most) }, read);
  }

  /** What `read` reads, and its bytes. */
  raw<T>(read: () => T): [T, Buffer] {
    const begin = this.at;
    const value = read();
    return [value, this.data.subarray(begin, this.at)];
  }
}

// Structures

export interface Member {
  readonly seat: number;
  readonly name: string;
  readonly consensusKey: Buffer;
  readonly power: bigint;
}

function readMember(r: Reader, seat: number): Member {
  const [name, consensusKey] = [r.text(128), r.hash()];
  r.hash(), r.text(128); // network key, address
  const power = r.u64();
  check(power <= 2n ** 48n, `validator ${name} has too much power`);
  r.option(r.hash);
  return { seat, name, consensusKey, power };
}

function readParameters(r: Reader): void {
  r.take(7 * 4);
  r.option(() => r.take(4));
  r.uleb(1);
  r.take(4 + 8 + 4);
}

function readAuthority(r: Reader): void {
  if (r.uleb(1) === 1) r.sequence(r.hash, SEATS), r.take(2);
}

export class EpochState {
  constructor(
    readonly epoch: bigint,
    readonly version: number,
    readonly members: readonly Member[],
    readonly hash: Buffer,
  ) {}

  static read(this: void, r: Reader): EpochState {
    const [[epoch, version, members], bytes] = r.raw(() => {
      const [epoch, version] = [r.u64(), r.small(4)];
      readParameters(r), readAuthority(r);
      return [epoch, version, r.sequence(() => readMember(r, r.small(2)), SEATS)] as const;
    });
    check(members.every((one, at) => one.seat < SEATS && one.seat > (members[at - 1]?.seat ?? -1)), "seats are not ascending");
    check(new Set(members.map((one) => hex(one.consensusKey))).size === members.length, "two members have one key");
    check(members.some((one) => one.power > 0n), "nobody has a vote");
    return new EpochState(epoch, version, members, h("epoch-state", bytes));
  }

  voter(seat: number): Member {
    const member = this.members.find((one) => one.seat === seat);
    check(member !== undefined && member.power > 0n, `seat ${seat} has no vote in epoch ${this.epoch}`);
    return member;
  }

  get quorum(): bigint {
    const total = this.members.reduce((sum, one) => sum + one.power, 0n);
    return total - (total - 1n) / 3n;
  }
}

export interface Header {
  readonly genesisHash: Buffer;
  readonly epoch: bigint;
  readonly height: bigint;
  readonly round: bigint;
  readonly blockId: Buffer;
  readonly parent: Buffer;
  readonly timestamp: bigint;
  readonly transactionsRoot: Buffer;
  readonly receiptsRoot: Buffer;
  readonly stateRoot: Buffer;
  readonly epochState: Buffer;
  readonly id: Buffer;
}

function readHeader(r: Reader): Header {
  const [fields, bytes] = r.raw(() => ({
    genesisHash: r.hash(), epoch: r.u64(), height: r.u64(), round: r.u64(), blockId: r.hash(), parent: r.hash(), timestamp: r.u64(),
    transactionsRoot: r.hash(), receiptsRoot: r.hash(), stateRoot: r.hash(), epochState: r.hash(),
  }));
  return { ...fields, id: h("header", bytes) };
}

/** Vote info and commit info: what the signatures of a certificate, and of a vote, are about. */
export class Vote {
  private constructor(
    readonly round: bigint,
    readonly parentRound: bigint,
    readonly infoHash: Buffer,
    readonly genesisHash: Buffer,
    readonly epoch: bigint,
    readonly commits: Buffer | null,
    readonly signedInfoHash: Buffer,
    readonly signed: Buffer,
  ) {}

  static read(this: void, r: Reader): Vote {
    const [[round, parentRound], info] = r.raw(() => {
      r.hash();
      const round = r.u64();
      r.hash();
      const parentRound = r.u64();
      r.hash();
      return [round, parentRound] as const;
    });
    const [commit, signed] = r.raw(() => [r.hash(), r.u64(), r.option(r.hash), r.hash()] as const);
    return new Vote(round, parentRound, h("vote-info", info), ...commit, h("vote", signed));
  }

  verify(genesisHash: Buffer, epoch: bigint): void {
    check(same(this.genesisHash, genesisHash), "the certificate or vote is of another network");
    check(this.epoch === epoch, `the certificate or vote is of epoch ${this.epoch}, not ${epoch}`);
    check(same(this.signedInfoHash, this.infoHash), "the vote info is not the signed one");
    check(this.parentRound < this.round && this.round < ROUND_LIMIT, `round ${this.round} is not possible`);
    check((this.commits !== null) === (this.round === this.parentRound + 1n), "the commit does not match the rounds");
  }
}

/** Headers, and the certificate that commits the last of them. What is proved is the first. */
export class CommitProof {
  private constructor(
    readonly headers: readonly Header[],
    readonly first: Header,
    readonly vote: Vote,
    readonly signers: bigint,
    readonly signatures: readonly Buffer[],
  ) {}

  static read(this: void, r: Reader): CommitProof {
    const headers = r.sequence(() => readHeader(r), HEADERS_MAX);
    const first = headers[0];
    check(first !== undefined, "the proof has no header");
    return new CommitProof(headers, first, Vote.read(r), r.big(16), r.sequence(r.signature, SEATS));
  }

  verify(genesisHash: Buffer, state: EpochState): Header {
    let last: Header | undefined;
    for (const header of this.headers) {
      check(last === undefined || same(header.parent, last.id), "the headers are not a chain");
      check(same(header.genesisHash, genesisHash), "a header is of another network");
      check(header.epoch === state.epoch, "a header is of another epoch");
      last = header;
    }
    this.vote.verify(genesisHash, state.epoch);
    const { commits, signed } = this.vote;
    check(commits !== null && last !== undefined && same(commits, last.id), "the certificate does not commit the last header");
    const seats = Array.from({ length: SEATS }, (_, seat) => seat).filter((seat) => (this.signers >> BigInt(seat)) & 1n);
    const voters = seats.map((seat) => state.voter(seat));
    check(voters.length === this.signatures.length, "there is not one signature for each signer");
    const power = voters.reduce((sum, voter) => sum + voter.power, 0n);
    check(power >= state.quorum, `the signers have power ${power}, a quorum is ${state.quorum}`);
    this.signatures.forEach((signature, at) => verifySignature(voters[at]!, signed, signature));
    return this.first;
  }
}

const publicKey = (key: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(key).toString("base64url") }, format: "jwk" });

export function verifySignature(member: Member, signed: Buffer, signature: Buffer): void {
  check(verify(null, signed, publicKey(member.consensusKey), signature), `the signature of ${member.name} is not valid`);
}

export interface Receipt {
  readonly txId: Buffer;
  /** The application's answer; none if the transaction failed. */
  readonly answer: Buffer | null;
  readonly failure: { readonly code: string; readonly numbers: readonly bigint[] } | null;
}

function readReceipt(r: Reader): Receipt {
  const txId = r.hash();
  if (r.uleb(1) === 0) return { txId, answer: r.bytes(65_536), failure: null };
  return { txId, answer: null, failure: { code: r.text(32), numbers: r.sequence(r.u64, 4) } };
}

/** The root to which a leaf's path leads. */
function listRoot(leaf: Buffer, index: number, count: number, siblings: readonly Buffer[]): Buffer {
  check(index < count, `position ${index} of ${count} is not possible`);
  const lefts: boolean[] = [];
  for (let [rest, position] = [count, index]; rest > 1; ) {
    const half = 2 ** (31 - Math.clz32(rest - 1));
    const left = position < half;
    lefts.unshift(left);
    [rest, position] = left ? [half, position] : [rest - half, position - half];
  }
  check(lefts.length === siblings.length, "the path has another length than the list needs");
  const top = siblings.reduce((top, sibling, at) => (lefts[at] ? h("list-branch", top, sibling) : h("list-branch", sibling, top)), leaf);
  return h("list-root", u64(count), top);
}

const bit = (bytes: Buffer, at: number): number => (bytes[at >> 3]! >> (7 - (at & 7))) & 1;

export class StatePath {
  private constructor(readonly siblings: readonly Buffer[], readonly leaf: { key: Buffer; value: Buffer } | null) {}

  static read(this: void, r: Reader): StatePath {
    return new StatePath(r.sequence(r.hash, 256), r.option(() => ({ key: r.hash(), value: r.hash() })));
  }

  verify(root: Buffer, key: Uint8Array, value: Uint8Array | null): void {
    const { leaf, siblings } = this;
    const place = h("state-key", key);
    if (value !== null) {
      const found = leaf !== null && same(leaf.key, place) && same(leaf.value, h("state-value", value));
      check(found, "the proof does not end in this key with this value");
    } else if (leaf !== null) {
      check(!same(leaf.key, place), "the key exists");
      check(siblings.every((_, level) => bit(leaf.key, level) === bit(place, level)), "the leaf found is not where the key would be");
    }
    const end: Buffer = leaf === null ? ZEROS : h("state-leaf", leaf.key, leaf.value);
    const up = (top: Buffer, sibling: Buffer, level: number): Buffer =>
      bit(place, level) ? h("state-branch", sibling, top) : h("state-branch", top, sibling);
    check(same(siblings.reduceRight(up, end), root), "the path leads to another state root");
  }
}

/** An account's record; `part` is the application's. */
export interface Account {
  readonly sequence: bigint;
  readonly send: boolean;
  readonly grant: boolean;
  readonly frozen: boolean;
  readonly transactionsMax: number;
  readonly stateBytesMax: bigint;
  readonly part: Buffer;
}

function readAccount(r: Reader): Account {
  const flag = (): boolean => r.uleb(1) === 1;
  return {
    sequence: r.u64(), send: flag(), grant: flag(), frozen: flag(), transactionsMax: r.small(2), stateBytesMax: r.u64(), part: r.take(r.left),
  };
}

/** The balance of an account of the built-in application. */
export function balance(account: Account): bigint {
  check(account.part.length === 16, "it is not an account of the built-in application");
  return account.part.readBigUInt64LE(0);
}

// Genesis

/** Reads fields of JSON that may lack them, and says what is missing. */
export class Fields {
  constructor(private readonly json: Json | undefined, private readonly what: string) {}

  private wrong(name: string): never {
    throw new QuorateError(`${this.what} lacks a usable ${name}`);
  }

  field(name: string): Json | undefined {
    const { json } = this;
    return typeof json === "object" && json !== null && !Array.isArray(json) ? json[name] : this.wrong(name);
  }

  object(name: string): JsonObject {
    const value = this.field(name);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : this.wrong(name);
  }

  in(name: string): Fields {
    return new Fields(this.object(name), `${this.what}'s ${name}`);
  }

  list(name: string): Json[] {
    const value = this.field(name);
    return Array.isArray(value) ? value : this.wrong(name);
  }

  text(name: string): string {
    const value = this.field(name);
    return typeof value === "string" ? value : this.wrong(name);
  }

  number(name: string, missing?: bigint): bigint {
    const value = this.field(name) ?? missing;
    return typeof value === "bigint" ? value : this.wrong(name);
  }

  /** The bytes of hexadecimal text. */
  bytes(name: string, length?: number): Buffer {
    return unhex(this.text(name), length);
  }
}

/** The BCS encoding of a genesis in JSON. */
export function genesisBytes(json: Json): Buffer {
  const genesis = new Fields(json, "the genesis");
  const [p, application] = [genesis.in("parameters"), genesis.in("application")];
  const times = ["block_transactions_max", "block_bytes_max", "timeout_base_ms", "timeout_growth_percent", "timeout_max_ms", "heartbeat_ms"];
  const isBoard = (genesis.field("authority") ?? "operators") !== "operators";
  const board = isBoard ? genesis.in("authority").in("board") : null;
  const sorted = (items: Buffer[]): Buffer[] => items.sort(Buffer.compare);
  const sequence = (items: Buffer[]): Buffer => Buffer.concat([uleb(items.length), ...items]);
  const address = (text: Json): Buffer => unhex(String(text), 32);

  const permission = ([account, json]: [string, Json]): Buffer => {
    const of = new Fields(json, `the permission of ${account}`);
    const flags = ["send", "grant", "frozen"].map((name) => u8(of.field(name) === true ? 1 : 0));
    return Buffer.concat([address(account), ...flags, u16(of.number("transactions_max", 0n)), u64(of.number("state_bytes_max", 0n))]);
  };
  const entry = (json: Json): Buffer => {
    const of = new Fields(json, "an entry of the genesis");
    const v = of.in("validator");
    return Buffer.concat([
      string(v.text("name")), v.bytes("consensus_key", 32), v.bytes("network_key", 32), string(v.text("address")), u64(v.number("power")),
      option(v.field("operator") ?? null, address), of.bytes("consensus_proof", 64), of.bytes("network_proof", 64),
    ]);
  };
  return Buffer.concat([
    u32(genesis.number("protocol_version")), u64(genesis.number("chain_id")), string(genesis.text("name")), u64(genesis.number("timestamp")),
    ...times.map((name) => u32(p.number(name))), u32(p.number("window_size")),
    option(p.field("exclude_size") ?? null, () => u32(p.number("exclude_size"))), u8(p.field("access") === "permissioned" ? 1 : 0),
    u32(p.number("account_block_percent", 50n)), u64(p.in("state").number("bytes_max")), u32(p.in("state").number("block_effect_bytes_max")),
    option(board, (of) => Buffer.concat([sequence(sorted(of.list("members").map(address))), u16(of.number("needed"))])),
    sequence(sorted(Object.entries(genesis.field("permissions") ? genesis.object("permissions") : {}).map(permission))),
    sequence(genesis.list("validators").map(entry)),
    string(application.text("name")), u32(application.number("version")), string(canonicalJson(application.field("settings") ?? null)),
  ]);
}

/** The epoch state that a genesis begins with. */
export function readGenesis(this: void, r: Reader): EpochState {
  const version = r.take(4);
  r.u64(), r.text(128), r.u64();
  const [, parameters] = r.raw(() => readParameters(r));
  const [, authority] = r.raw(() => readAuthority(r));
  r.sequence(() => r.take(32 + 13), 1 << 24);
  let seat = 0;
  const seats = r.sequence(() => {
    const [, validator] = r.raw(() => readMember(r, seat));
    r.signature(), r.signature();
    return Buffer.concat([u16(seat++), validator]);
  }, SEATS);
  r.text(32), r.small(4), r.text(1 << 26);
  return Reader.whole(Buffer.concat([u64(0), version, parameters, authority, uleb(seats.length), ...seats]), EpochState.read);
}

// Verifying

/** A value that a quorum has signed, and the header under which it has: its height and time tell how old the value is. */
export interface Proven<T> {
  readonly value: T;
  readonly header: Header;
}

/** Follows the committee from the genesis, and verifies what its epochs have signed. It asks nobody. */
export class Verifier {
  /** The epochs that were followed. */
  states: EpochState[];
  /** The last headers of all of them but the newest. */
  ends: Header[] = [];

  constructor(readonly genesisHash: Buffer, genesis: Json) {
    const encoded = genesisBytes(genesis);
    const found = h("genesis", encoded);
    check(same(found, genesisHash), `the genesis has hash ${hex(found)}, not the trusted ${hex(genesisHash)}`);
    this.states = [Reader.whole(encoded, readGenesis, 1 << 26)];
  }

  /** The newest epoch that was followed. */
  get epoch(): number {
    return this.states.length - 1;
  }

  /** Follows the change of the committee that ends the newest epoch known. */
  follow(change: Buffer): void {
    const read = (r: Reader) => [CommitProof.read(r), EpochState.read(r)] as const;
    const [proof, state] = Reader.whole(change, read, PROOF_BYTES_MAX + (64 << 10));
    const now = this.state(BigInt(this.epoch));
    const last = proof.verify(this.genesisHash, now);
    check(state.epoch === now.epoch + 1n, `the change leads to epoch ${state.epoch}, not ${now.epoch + 1n}`);
    check(same(state.hash, last.epochState), "the header names another epoch state");
    check(!same(state.hash, now.hash), "the block is not the last one of its epoch");
    check(state.version <= PROTOCOL_VERSION_MAX, `epoch ${state.epoch} has version ${state.version} of the protocol, unknown to this client`);
    this.states.push(state);
    this.ends.push(last);
  }

  receipt(txId: Uint8Array, proof: Buffer): Proven<Receipt> {
    const read = (r: Reader) => [...r.raw(() => readReceipt(r)), r.small(4), r.small(4), r.sequence(r.hash, 32), CommitProof.read(r)] as const;
    const [receipt, bytes, index, count, siblings, commit] = Reader.whole(proof, read);
    check(same(receipt.txId, txId), `the proof is about another transaction, ${hex(receipt.txId)}`);
    const header = this.header(commit);
    check(same(listRoot(h("list-leaf", bytes), index, count, siblings), header.receiptsRoot), "the receipt is not in the block");
    return { value: receipt, header };
  }

  /** Verifies that a key has this value, or with `null` that it is absent. */
  value(key: Uint8Array, value: Buffer | null, proof: Buffer): Proven<Buffer | null> {
    const [path, commit] = Reader.whole(proof, (r) => [StatePath.read(r), CommitProof.read(r)] as const);
    const header = this.header(commit);
    path.verify(header.stateRoot, key, value);
    return { value, header };
  }

  account(address: Uint8Array, value: Buffer | null, proof: Buffer): Proven<Account | null> {
    const { header } = this.value(Buffer.concat([Buffer.from("a"), address]), value, proof);
    return { value: value === null ? null : Reader.whole(value, readAccount), header };
  }

  /** What governs an epoch. */
  state(epoch: bigint): EpochState {
    const state = this.states[Number(epoch)];
    if (state === undefined) throw new LaterEpoch(`epoch ${epoch} is not known yet, only up to ${this.epoch}`);
    return state;
  }

  private header(commit: CommitProof): Header {
    const { epoch } = commit.first;
    const header = commit.verify(this.genesisHash, this.state(epoch));
    const last = this.ends[Number(epoch)];
    const inside = last === undefined || header.height < last.height || same(header.id, last.id);
    check(inside, `epoch ${epoch} has ended with block ${last?.height}`);
    return header;
  }
}

// Transactions

export interface Transaction {
  readonly id: Buffer;
  readonly raw: Buffer;
  readonly expiresAt: number;
}

/** The key of an account. */
export class Key {
  readonly public: Buffer;
  readonly address: Buffer;
  readonly #key: KeyObject;

  constructor(seed: Uint8Array) {
    // The fixed beginning of an Ed25519 key in PKCS #8 (RFC 8410).
    const der = Buffer.concat([unhex("302e020100300506032b657004220420"), seed]);
    this.#key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    this.public = Buffer.from(createPublicKey(this.#key).export({ format: "jwk" }).x ?? "", "base64url");
    this.address = h("address", this.public);
  }

  /** A seed of 64 hexadecimal digits, or an account's key file without encryption. */
  static load(text: string): Key {
    if (/^(0x)?[0-9a-fA-F]{64}$/.test(text)) return new Key(unhex(text));
    if (!existsSync(text)) throw new QuorateError(`${text} is neither a seed nor a key file`);
    const seed = /^seed = "((?:0x)?[0-9a-fA-F]{64})"$/m.exec(readFileSync(text, "utf8"))?.[1];
    if (seed === undefined) throw new QuorateError(`${text} holds no seed in plain text; an encrypted key file is not supported`);
    return new Key(unhex(seed));
  }

  /** Signs a transaction to the application (target 0) or the chain (1). */
  sign(genesisHash: Uint8Array, sequence: bigint, payload: Uint8Array, expiresAt: number, target: 0 | 1 = 0): Transaction {
    const content = Buffer.concat([genesisHash, this.public, u64(sequence), u64(expiresAt), u8(target), string(payload)]);
    const id = h("transaction", content);
    return { id, raw: Buffer.concat([content, sign(null, id, this.#key)]), expiresAt };
  }
}

/** The payload of a transfer. */
export const transfer = (to: Uint8Array, amount: bigint): Buffer => Buffer.concat([u8(0), u8(0), to, u64(amount)]);

/** The payload that puts a value under a key; the space is `OWN` or `SHARED`. */
export const put = (space: Uint8Array, key: Uint8Array, value: Uint8Array): Buffer =>
  Buffer.concat([u8(1), space, string(key), u8(0), string(value)]);

/** The key in the state of an account's own key. */
export const ownKey = (owner: Uint8Array, key: Uint8Array): Buffer => Buffer.concat([Buffer.from("k"), owner, key]);
export const sharedKey = (key: Uint8Array): Buffer => Buffer.concat([Buffer.from("s"), key]);

// A node

/** Talks to one node, and believes what is proved. A node can withhold, or show an old state, but none older than was proved before. */
export class Client {
  private newest = 0n;

  private constructor(readonly api: string, readonly verifier: Verifier, readonly timeout: number) {}

  static async connect(api: string, genesisHash: Buffer, timeout = 10_000): Promise<Client> {
    const url = api.replace(/\/+$/, "");
    return new Client(url, new Verifier(genesisHash, await request(`${url}/v1/genesis`, timeout)), timeout);
  }

  get(path: string): Promise<Json> {
    return request(this.api + path, this.timeout);
  }

  private async fields(path: string): Promise<Fields> {
    return new Fields(await this.get(path), "the node's answer");
  }

  /** Follows all changes of the committee that the node knows. */
  async follow(): Promise<void> {
    for (;;) {
      const changes = (await this.fields(`/v1/epochs?from=${this.verifier.epoch}`)).list("changes");
      if (changes.length === 0) return;
      for (const change of changes) this.verifier.follow(unhex(String(change)));
    }
  }

  private async proved<T>(verify: () => Proven<T>): Promise<Proven<T>> {
    try {
      return verify();
    } catch (error) {
      if (!(error instanceof LaterEpoch)) throw error;
      await this.follow();
      return verify();
    }
  }

  private async read<T>(path: string, verify: (value: Buffer | null, proof: Buffer) => Proven<T>): Promise<Proven<T>> {
    const view = await this.fields(path);
    const [value, proof] = [(view.field("value") ?? null) === null ? null : view.bytes("value"), view.bytes("proof")];
    const proven = await this.proved(() => verify(value, proof));
    const { height } = proven.header;
    check(height >= this.newest, `the node shows block ${height}, and has shown ${this.newest} before`);
    this.newest = height;
    return proven;
  }

  /** An account, or its absence. */
  account(address: Uint8Array): Promise<Proven<Account | null>> {
    return this.read(`/v1/accounts/${hex(address)}`, (value, proof) => this.verifier.account(address, value, proof));
  }

  /** A value of the state, or its absence. */
  state(key: Uint8Array): Promise<Proven<Buffer | null>> {
    return this.read(`/v1/state/${hex(key)}`, (value, proof) => this.verifier.value(key, value, proof));
  }

  async receipt(txId: Uint8Array): Promise<Proven<Receipt>> {
    const proof = (await this.fields(`/v1/transactions/${hex(txId)}/proof`)).bytes("proof");
    const proven = await this.proved(() => this.verifier.receipt(txId, proof));
    if (proven.header.height > this.newest) this.newest = proven.header.height;
    return proven;
  }

  /** Signs the account's next transaction. */
  async sign(key: Key, payload: Uint8Array, lifetime = 60_000): Promise<Transaction> {
    const account = (await this.account(key.address)).value;
    return key.sign(this.verifier.genesisHash, account?.sequence ?? 0n, payload, Date.now() + lifetime);
  }

  /** Hands a transaction to the node, which decides nothing by taking or refusing it. */
  async submit(transaction: Transaction): Promise<void> {
    for (;;) {
      try {
        await request(`${this.api}/v1/transactions?wait=accepted`, this.timeout + 20_000, transaction.raw);
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 503 || Date.now() > transaction.expiresAt) throw error;
      }
      await sleep(500);
    }
  }

  /** Waits until the receipt is proved. An error means that the transaction may be in the chain nevertheless, until it has expired. */
  async wait(transaction: Transaction): Promise<Proven<Receipt>> {
    for (;;) {
      try {
        return await this.receipt(transaction.id);
      } catch (error) {
        if (!(error instanceof ApiError) || (error.code !== "not-committed" && error.status !== 503)) throw error;
      }
      const status = await this.fields(`/v1/transactions/${hex(transaction.id)}`);
      if (status.text("status") === "dropped") {
        throw new QuorateError(`the node says that it has dropped the transaction: ${status.text("code")}: ${status.text("reason")}`);
      }
      if (Date.now() > transaction.expiresAt + 10_000) throw new QuorateError("the transaction has expired, and nothing is proved about it");
      await sleep(100);
    }
  }

  /** Signs, submits, waits, verifies. */
  async send(key: Key, payload: Uint8Array): Promise<Proven<Receipt>> {
    const transaction = await this.sign(key, payload);
    await this.submit(transaction);
    return this.wait(transaction);
  }
}

/** The text of an answer: a node must not be able to fill the memory. */
async function bounded(answer: Response): Promise<string> {
  const [parts, reader]: [Uint8Array[], ReadableStreamDefaultReader<Uint8Array> | undefined] = [[], answer.body?.getReader()];
  for (let length = 0; ; ) {
    const part = (await reader?.read())?.value;
    if (part === undefined) return Buffer.concat(parts).toString();
    length += part.length;
    if (length > ANSWER_BYTES_MAX) {
      await reader?.cancel();
      throw new Error(`an answer of more than ${ANSWER_BYTES_MAX} bytes`);
    }
    parts.push(part);
  }
}

async function request(url: string, timeout: number, body?: Buffer): Promise<Json> {
  const post = { method: "POST", body: body as BodyInit | undefined, headers: { "content-type": "application/octet-stream" } };
  let [status, text] = [0, ""];
  try {
    const answer = await fetch(url, { ...(body === undefined ? {} : post), signal: AbortSignal.timeout(timeout) });
    [status, text] = [answer.status, await bounded(answer)];
  } catch (error) {
    throw new QuorateError(`${url} does not answer: ${String(error)}`, { cause: error });
  }
  let json: Json;
  try {
    json = parseJson(text);
  } catch {
    throw status < 400 ? new QuorateError(`${url} answers something that is not JSON`) : new ApiError(status, "http", text.slice(0, 200));
  }
  if (status < 400) return json;
  const error = new Fields(json, "the node's answer").in("error");
  throw new ApiError(status, error.text("code"), error.text("message"));
}
