// The light client: what it accepts follows from the hash of the genesis, and from nothing else that a node says.
//
//   genesis hash → committee of epoch 0 → its signatures → change → committee of epoch 1 → … → committee of the epoch that a proof names
//   a node's answer → certificate → headers → path → receipt or value, which must be what the node claims
//
// A proof shows that something was committed, at the height and time of its header. A node can show an old state, but no false one.

import { FormError, equal, fromHash, fromHex, hash, toHash, toHex, u64 } from "./bytes.js";
import { accountKey, leafOf, listLeaf, readAccount, readEpochChange, readGenesis, readReceiptProof, readValueProof, reads } from "./formats.js";

/** Proves nothing, and this is why. */
export class ProofError extends Error {}
/** The browser cannot check signatures here, so nothing is proved either way. */
export class CannotCheck extends Error {}
/** The proof is of the genesis, which has no signatures. */
export class NothingSigned extends Error {}

const demand = (holds, why) => {
  if (!holds) throw new ProofError(why);
};

/** Newest version of the protocol that this page knows. */
const VERSION_MAX = 2;
/** The rounds from here on are impossible. */
const ROUND_LIMIT = 2n ** 64n - 9n;
/** Receipts that are fetched at a time. */
const AT_ONCE = 4;

// Signatures -------------------------------------------------------------------------------------------------------------------------------

const NO_SIGNATURES = "this browser cannot check signatures";

/**
 * Whether an Ed25519 signature is valid. The browser's rule is stricter than the network's (ZIP-215) and accepts nothing that the network
 * would refuse, as long as the key is not of small order: a genesis or a committee with such a key is not accepted by any validator.
 */
async function isValid(key, message, signature) {
  const { subtle } = globalThis.crypto ?? {};
  if (!subtle) throw new CannotCheck(`${NO_SIGNATURES} on a page that came over plain HTTP from another machine: use HTTPS, or a tunnel to this one`);
  let imported;
  try {
    imported = await subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    if (error?.name === "NotSupportedError") throw new CannotCheck(`${NO_SIGNATURES}: it does not know Ed25519`);
    return false;
  }
  return (await subtle.verify({ name: "Ed25519" }, imported, signature, message)) === true;
}

const SMALL_ORDER = new Set([
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]);

// Merkle trees -----------------------------------------------------------------------------------------------------------------------------

const listBranch = (left, right) => hash("quorate/list-branch", left, right);
const listRoot = (count, top) => hash("quorate/list-root", u64(count), top);

/** The largest power of two below `count`, which is at least 2. */
function split(count) {
  let power = 1;
  while (power * 2 < count) power *= 2;
  return power;
}

function top(leaves) {
  if (leaves.length === 0) return new Uint8Array(32);
  if (leaves.length === 1) return leaves[0];
  const at = split(leaves.length);
  return listBranch(top(leaves.slice(0, at)), top(leaves.slice(at)));
}

/** The root of a whole list. */
export const rootOf = (leaves) => listRoot(leaves.length, top(leaves));

/** The root that a path leads to from a leaf, or `null` if the path does not fit its own position. */
function rootFromLeaf({ index, count, siblings }, leaf) {
  if (index >= count) return null;
  // From the top down: on which side the leaf is.
  const isLeft = [];
  for (let position = index, size = count; size > 1; ) {
    const at = split(size);
    const left = position < at;
    isLeft.unshift(left);
    [position, size] = left ? [position, at] : [position - at, size - at];
  }
  if (isLeft.length !== siblings.length) return null;
  const highest = siblings.reduce((node, sibling, i) => (isLeft[i] ? listBranch(node, sibling) : listBranch(sibling, node)), leaf);
  return listRoot(count, highest);
}

const bitOf = (key, depth) => (key[depth >> 3] >> (7 - (depth & 7))) & 1;

/** The root of the state in which `key` has this value, or none, if `path` is right; throws if it says something else. */
function rootFromState({ siblings, end }, key, value) {
  const keyHash = hash("quorate/state-key", key);
  if (value === null) {
    // Absent: either nothing is where the key would be, or the leaf of another key, which must then stand on this key's path.
    if (end) {
      demand(!equal(end.key, keyHash), "the node says that there is no value, but its proof shows one");
      for (let depth = 0; depth < siblings.length; depth++) demand(bitOf(end.key, depth) === bitOf(keyHash, depth), "the proof ends at a key that is elsewhere");
    }
  } else {
    demand(end && equal(end.key, keyHash), "the proof shows no value under this key");
    demand(equal(end.value, hash("quorate/state-value", value)), "the proof is of another value");
  }
  const leaf = end ? hash("quorate/state-leaf", end.key, end.value) : new Uint8Array(32);
  return siblings.reduceRight((node, sibling, depth) => hash("quorate/state-branch", ...(bitOf(keyHash, depth) ? [sibling, node] : [node, sibling])), leaf);
}

// The light client -------------------------------------------------------------------------------------------------------------------------

const isVoter = (member) => member.power > 0n;
const powerOf = (members) => members.reduce((sum, member) => sum + member.power, 0n);
export const quorumOf = (total) => (total === 0n ? 0n : total - (total - 1n) / 3n);

export class LightClient {
  /**
   * A client for the network whose genesis has this hash. `fetchChanges(epoch)` must resolve to encoded changes of the committee, in
   * hexadecimal, from the one that ends that epoch on.
   */
  constructor(genesisJson, genesisHash, fetchChanges) {
    const genesis = readGenesis(genesisJson);
    demand(equal(genesis.hash, fromHash(genesisHash)), `the genesis that the node serves has the hash ${toHash(genesis.hash)}, not ${genesisHash}`);
    this.genesis = genesis.hash;
    /** The application, which tells how its part of an account reads. */
    this.application = genesis.application;
    this.fetchChanges = fetchChanges;
    /** Every epoch that was followed: its state, and the last header of the epoch before. */
    this.epochs = [{ state: checkKeys(genesis.state), before: null }];
    this.following = Promise.resolve();
  }

  get newest() {
    return this.epochs[this.epochs.length - 1];
  }

  /** Follows the committee up to an epoch. One caller at a time: two would follow the same change twice. */
  follow(epoch) {
    const turn = this.following.then(() => this.#follow(epoch));
    this.following = turn.catch(() => {});
    return turn;
  }

  async #follow(epoch) {
    while (this.newest.state.epoch < epoch) {
      const from = this.newest.state.epoch;
      for (const change of await this.fetchChanges(from)) await this.#change(readEpochChange(fromHex(change)));
      demand(this.newest.state.epoch > from, `the node does not show how the committee changed after epoch ${from}`);
    }
  }

  async #change({ headers, certificate, next }) {
    const { state } = this.newest;
    if (next.epoch <= state.epoch) return;
    const { header } = await this.#committed({ headers, certificate }, this.newest);
    const ends = header.epoch === state.epoch && next.epoch === state.epoch + 1n;
    demand(ends && equal(next.hash, header.epochState) && !equal(next.hash, state.hash), `the change of the committee after epoch ${state.epoch} is none`);
    demand(next.version <= VERSION_MAX, `from epoch ${next.epoch} on the chain speaks version ${next.version} of the protocol, which this page does not know`);
    this.epochs.push({ state: checkKeys(next), before: header });
  }

  /** The first header of a proof, once the committee of its epoch is shown to have committed it. */
  async #committed({ headers, certificate }, { state }) {
    const { vote, commit } = certificate;
    demand(headers.length > 0, "the proof has no header");
    for (let i = 1; i < headers.length; i++) demand(equal(headers[i].parent, headers[i - 1].hash), "the headers do not form a chain");
    for (const header of headers) {
      demand(equal(header.genesis, this.genesis), "the proof is of another network");
      demand(header.epoch === state.epoch, "the headers are of several epochs");
    }
    demand(equal(commit.genesis, this.genesis), "the certificate is of another network");
    demand(commit.epoch === state.epoch, "the certificate is of another epoch");
    demand(equal(commit.voteInfoHash, vote.hash), "the certificate is not about the block that it names");
    demand(vote.round > vote.parentRound && vote.round < ROUND_LIMIT, "the certificate is of an impossible round");
    demand((commit.stateId !== null) === (vote.round === vote.parentRound + 1n), "the certificate commits what it must not, or nothing");
    demand(commit.stateId !== null && equal(commit.stateId, headers[headers.length - 1].hash), "the certificate does not commit the last header");

    const seats = [...Array(128).keys()].filter((seat) => (certificate.signers >> BigInt(seat)) & 1n);
    const signers = seats.map((seat) => state.members.find((member) => member.seat === seat));
    demand(signers.every((signer) => signer && isVoter(signer)), "somebody signed who has no vote");
    demand(signers.length === certificate.signatures.length, "the signatures do not match the signers");
    const total = powerOf(state.members);
    const power = powerOf(signers);
    demand(total > 0n && power >= quorumOf(total), "the signers are no quorum");
    const valid = await Promise.all(signers.map((signer, i) => isValid(signer.consensusKey, commit.hash, certificate.signatures[i])));
    signers.forEach((signer, i) => demand(valid[i], `the signature of ${signer.name} is not valid`));
    return { header: headers[0], headers: headers.length, round: vote.round, signers: signers.map((signer) => signer.name), power, total };
  }

  /** The same, for a proof that a node serves, of this height as it says: follows the committee as far as necessary. */
  async #proved(proof, height) {
    const [first] = proof.headers;
    demand(first, "the proof has no header");
    if (proof.certificate.vote.round === 0n) {
      demand(first.epoch === 0n && reads(height, 0), "the certificate that an epoch begins with proves nothing");
      throw new NothingSigned("the node's proof is the genesis's, which nobody signs");
    }
    await this.follow(first.epoch);
    const epoch = this.epochs[Number(first.epoch)];
    const proved = await this.#committed(proof, epoch);
    const { header } = proved;
    // A committee may lose its keys once it no longer serves, so what it signs after the end of its epoch proves nothing. Whether the epoch
    // has ended is known only if a later one was followed.
    const last = this.epochs[Number(first.epoch) + 1]?.before;
    demand(!last || header.height < last.height || equal(header.hash, last.hash), "a former committee signed this after the end of its epoch");
    return { ...proved, epochs: Number(first.epoch) };
  }

  /** Proves that a value, `null` for none, is under a key, in the state at a height. */
  async value(key, { value, proof, height }) {
    const read = readValueProof(fromHex(proof));
    const bytes = value === null ? null : fromHex(value);
    const proved = await this.#proved(read, height);
    demand(equal(rootFromState(read.path, key, bytes), proved.header.stateRoot), "the path does not lead to the state of the block");
    demand(reads(height, proved.header.height), `the proof is of height ${proved.header.height}, which is not what the node says`);
    return { ...proved, value: bytes, path: read.path.siblings.length };
  }

  /** Proves an account's record. */
  async account(address, answer) {
    const proved = await this.value(accountKey(address), answer);
    const record = readAccount(proved.value);
    demand(answer.address === address, "the node answers about another account");
    demand(reads(answer.sequence, record.sequence), `the sequence number is ${record.sequence}, which is not what the node says`);
    for (const [name, granted] of Object.entries(record.permission)) {
      const said = answer.permission?.[name];
      demand(typeof granted === "boolean" ? said === granted : reads(said, granted), "the node states another permission than its proof");
    }
    return { ...proved, record };
  }

  /** Proves a transaction's receipt. */
  async receipt(id, proof) {
    const read = readReceiptProof(fromHex(proof));
    demand(equal(read.receipt.id, fromHash(id)), "the proof is about another transaction");
    const proved = await this.#proved(read);
    const root = rootFromLeaf(read.path, read.receipt.leaf);
    demand(root && equal(root, proved.header.receiptsRoot), "the path does not lead to the receipts of the block");
    return { ...proved, receipt: read.receipt, index: read.path.index, count: read.path.count, path: read.path.siblings.length };
  }

  /**
   * Proves what a node says about a block and about all its transactions. Only receipts have proofs, so this begins with that of one of
   * them; the ids and receipts that the node lists must then give the roots in its header, and the outcomes that it states the receipts.
   * `proofOf(id)` must resolve to the proof of a receipt: it is asked for the first, and for those whose answer the list leaves out.
   */
  async block(block, transactions, proofOf) {
    const proved = await this.receipt(transactions[0].tx_id, await proofOf(transactions[0].tx_id));
    const { header } = proved;
    const same = (name, said, shown) => demand(reads(said, shown), `the node states another ${name} than its proof`);
    same("height", block.height, header.height);
    same("epoch", block.epoch, header.epoch);
    same("round", block.round, header.round);
    same("time", block.timestamp, header.timestamp);
    same("block id", block.block_id, toHash(header.blockId));
    same("state id", block.state_id, toHash(header.hash));
    same("state root", block.state_root, toHash(header.stateRoot));
    same("parent", block.parent, toHash(header.parent));
    same("number of transactions", block.transactions_total, transactions.length);
    const ids = rootOf(transactions.map(({ tx_id }) => listLeaf(fromHash(tx_id))));
    demand(equal(ids, header.transactionsRoot), "the transactions are not those of the block");
    const receipts = rootOf(transactions.map(({ receipt }) => fromHash(receipt)));
    demand(equal(receipts, header.receiptsRoot), "the receipts are not those of the block");
    const other = "the node states another outcome than a receipt";
    const long = [];
    for (const transaction of transactions) {
      const leaf = leafOf(transaction.tx_id, transaction.outcome);
      if (leaf === null) long.push(transaction);
      else demand(equal(leaf, fromHash(transaction.receipt)), other);
    }
    // The receipts are those of the block, so one that hashes to a listed receipt needs no path.
    const compare = async ({ tx_id, receipt, outcome }) => {
      const { receipt: whole } = readReceiptProof(fromHex(await proofOf(tx_id)));
      demand(equal(whole.id, fromHash(tx_id)) && equal(whole.leaf, fromHash(receipt)), other);
      demand(whole.outcome.result === "applied" && reads(outcome.output_bytes, whole.outcome.output.length), other);
    };
    for (let i = 0; i < long.length; i += AT_ONCE) await Promise.all(long.slice(i, i + AT_ONCE).map(compare));
    return proved;
  }
}

/** No key of a committee is of small order: a signature by such a key says nothing. */
function checkKeys(state) {
  for (const { consensusKey, name } of state.members) demand(!SMALL_ORDER.has(toHex(consensusKey)), `the key of ${name} is of small order`);
  return state;
}

/** Whether an error says that the node's words are wrong, not that this page could not ask or check. */
export const isRefutation = (error) => error instanceof ProofError || error instanceof FormError;
