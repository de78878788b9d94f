// The structures of docs/formats.md that this page reads, and those that it hashes.

import { FormError, byteString, canonicalJson, compare, concat, decode, fromHash, fromHex, hash, option, sequence, text, toHash, u16, u32, u64, uleb, utf8 } from "./bytes.js";

const MEMBERS_MAX = 128;
const HEADERS_MAX = 1024;
const ANSWER_BYTES_MAX = 65536;

// Keys of the state ------------------------------------------------------------------------------------------------------------------------

const own = (name, ...rest) => concat(Uint8Array.of(0), utf8(name), ...rest);

export const accountKey = (address) => concat(utf8("a"), fromHash(address));
export const EPOCH_KEY = own("epoch");
export const PROPOSALS_KEY = own("proposals");
export const ADDRESSES_KEY = own("addresses");
export const VERSIONS_KEY = own("versions");
export const proposalKey = (number) => own("proposal", u64(number).reverse());

// What governs the chain -------------------------------------------------------------------------------------------------------------------

const ACCESS = ["open", "permissioned"];
const ROLES = ["send", "grant"];
/** Every parameter, in the order of its encoding, with its size in bits. */
const PARAMETERS = {
  block_transactions_max: 32,
  block_bytes_max: 32,
  timeout_base_ms: 32,
  timeout_growth_percent: 32,
  timeout_max_ms: 32,
  heartbeat_ms: 32,
  window_size: 32,
  exclude_size: "option",
  access: "access",
  account_block_percent: 32,
  bytes_max: 64,
  block_effect_bytes_max: 32,
};

const access = (r) => r.variant(...ACCESS.map((word) => () => word));
const role = (r) => r.variant(...ROLES.map((word) => () => word));

const readParameter = { 32: (r) => r.u32(), 64: (r) => r.u64(), option: (r) => r.option((r) => r.u32()), access };

function parameters(r) {
  return Object.fromEntries(Object.entries(PARAMETERS).map(([name, kind]) => [name, readParameter[kind](r)]));
}

/** Those that a proposal changes. */
function parametersChange(r) {
  const changed = Object.entries(PARAMETERS).map(([name, kind]) => [name, r.option(readParameter[kind === "option" ? 32 : kind])]);
  return Object.fromEntries(changed.filter(([, value]) => value !== null));
}

function authority(r) {
  return r.variant(
    () => ({ kind: "operators" }),
    (r) => ({ kind: "board", members: r.sequence(MEMBERS_MAX, (r) => toHash(r.hash())), needed: r.u16() }),
  );
}

function validator(r) {
  return {
    name: r.text(128),
    consensusKey: r.hash(),
    networkKey: r.hash(),
    address: r.text(128),
    power: r.u64(),
    operator: r.option((r) => toHash(r.hash())),
  };
}

const member = (r) => ({ seat: r.u16(), ...validator(r) });

export function epochState(r) {
  const state = {
    epoch: r.u64(),
    version: r.u32(),
    parameters: parameters(r),
    authority: authority(r),
    members: r.sequence(MEMBERS_MAX, member),
  };
  checkMembers(state.members);
  return state;
}

/** A seat is a bit of the signers, so two members must not share one. */
function checkMembers(members) {
  members.forEach(({ seat, power }, i) => {
    if (seat >= MEMBERS_MAX || (i > 0 && seat <= members[i - 1].seat)) throw new FormError("the seats are not in order");
    if (power > 2n ** 48n) throw new FormError("a member has too much power");
  });
}

export const epochStateHash = (bytes) => hash("quorate/epoch-state", bytes);

// Certificates and headers -----------------------------------------------------------------------------------------------------------------

const voteInfo = (r) => ({ block: r.hash(), round: r.u64(), parent: r.hash(), parentRound: r.u64(), stateId: r.hash() });
const commitInfo = (r) => ({ genesis: r.hash(), epoch: r.u64(), stateId: r.option((r) => r.hash()), voteInfoHash: r.hash() });

/** What `read` reads, with the hash of its bytes. */
const hashed = (tag, read) => (r) => {
  const from = r.at;
  const value = read(r);
  return { ...value, hash: hash(tag, r.bytes.subarray(from, r.at)) };
};

function certificate(r) {
  const vote = hashed("quorate/vote-info", voteInfo)(r);
  // The hash of the commit info is what the voters have signed.
  const commit = hashed("quorate/vote", commitInfo)(r);
  return { vote, commit, signers: r.u128(), signatures: r.sequence(MEMBERS_MAX, (r) => r.signature()) };
}

// The hash of a header is the state id that votes certify.
const header = hashed("quorate/header", (r) => ({
  genesis: r.hash(),
  epoch: r.u64(),
  height: r.u64(),
  round: r.u64(),
  blockId: r.hash(),
  parent: r.hash(),
  timestamp: r.u64(),
  transactionsRoot: r.hash(),
  receiptsRoot: r.hash(),
  stateRoot: r.hash(),
  epochState: r.hash(),
}));

const commitProof = (r) => ({ headers: r.sequence(HEADERS_MAX, header), certificate: certificate(r) });

// Proofs -----------------------------------------------------------------------------------------------------------------------------------

const receipt = (r) => ({
  id: r.hash(),
  outcome: r.variant(
    (r) => ({ result: "applied", output: r.byteString(ANSWER_BYTES_MAX) }),
    (r) => ({ result: "failed", code: r.text(32), numbers: r.sequence(4, (r) => r.u64()) }),
  ),
});
const listPath = (r) => ({ index: r.u32(), count: r.u32(), siblings: r.sequence(32, (r) => r.hash()) });
const statePath = (r) => ({
  siblings: r.sequence(256, (r) => r.hash()),
  end: r.variant(
    () => null,
    (r) => ({ key: r.hash(), value: r.hash() }),
  ),
});

export const listLeaf = (data) => hash("quorate/list-leaf", data);

/** Whether a node gives this number, in these very digits: what stands on the page is the node's text, not what it counts as. */
export const reads = (said, shown) => ["number", "bigint", "string"].includes(typeof said) && String(said) === String(shown);

/**
 * The leaf of a receipt, from a node's words about it; `null` if the node left out a part, as it does with long answers.
 */
export function leafOf(id, outcome) {
  const { result, output, output_bytes: length, code, numbers } = outcome;
  if (result === "applied") {
    if (output === undefined) return null;
    const bytes = fromHex(output);
    if (length !== undefined && !reads(length, bytes.length)) throw new FormError("an answer has another length than the node states");
    return listLeaf(concat(fromHash(id), uleb(0), byteString(bytes)));
  }
  if (result !== "failed") throw new FormError("a result is neither applied nor failed");
  return listLeaf(concat(fromHash(id), uleb(1), text(code), sequence(numbers, (number) => u64(decimal(number)))));
}

/** A number that is a text in JSON. */
function decimal(words) {
  if (typeof words !== "string" || !/^(0|[1-9][0-9]{0,19})$/.test(words)) throw new FormError("something else in the place of a number");
  return BigInt(words);
}

export function readReceiptProof(bytes) {
  return decode(bytes, (r) => {
    const from = r.at;
    const read = receipt(r);
    return { receipt: { ...read, leaf: listLeaf(r.bytes.subarray(from, r.at)) }, path: listPath(r), ...commitProof(r) };
  });
}

export const readValueProof = (bytes) => decode(bytes, (r) => ({ path: statePath(r), ...commitProof(r) }));

export const readEpochChange = (bytes) => decode(bytes, (r) => ({ ...commitProof(r), next: hashed("quorate/epoch-state", epochState)(r) }));

// Accounts ---------------------------------------------------------------------------------------------------------------------------------

const permission = (r) => ({ send: r.flag(), grant: r.flag(), frozen: r.flag(), transactions_max: r.u16(), state_bytes_max: r.u64() });

/** An account's record; `part` is the application's. An account that does not exist has sequence number 0 and no permission. */
export function readAccount(bytes) {
  const empty = { sequence: 0n, permission: { send: false, grant: false, frozen: false, transactions_max: 0, state_bytes_max: 0n }, part: null };
  if (bytes === null) return empty;
  return decode(bytes, (r) => ({ sequence: r.u64(), permission: permission(r), part: r.raw(r.bytes.length - r.at) }));
}

/** The built-in application's part of an account. */
export const readBuiltIn = (part) => decode(part, (r) => ({ balance: r.u64(), stored: r.u64() }));

// Proposals --------------------------------------------------------------------------------------------------------------------------------

const permissionChange = (r) =>
  r.variant(
    (r) => `grant the role ${role(r)} to`,
    (r) => `take the role ${role(r)} from`,
    () => "freeze",
    () => "unfreeze",
    (r) => `limit the transactions in a block to ${r.u16()}, for`,
    (r) => `limit the bytes of state to ${r.u64()}, for`,
  );

const possessed = (r) => {
  const read = validator(r);
  r.signature();
  r.signature();
  return read;
};

const seen = {
  votes: (r) => (voteInfo(r), commitInfo(r), r.signature()),
  timeouts: (r) => (r.u64(), r.u64(), r.u64(), r.signature()),
  proposals: (r) => (r.u16(), r.u64(), r.u64(), r.u64(), r.hash(), r.hash(), r.signature()),
};

function evidence(r) {
  const [, epoch, culprit] = [r.hash(), r.u64(), r.u16()];
  const kind = r.variant(...Object.entries(seen).map(([name, read]) => (r) => (read(r), read(r), name)));
  return { epoch, culprit, kind };
}

function change(r) {
  return r.variant(
    (r) => ({ kind: "power", seat: r.u16(), power: r.u64() }),
    (r) => ({ kind: "add", validator: possessed(r) }),
    (r) => ({ kind: "remove", seat: r.u16(), evidence: r.option(evidence) }),
    (r) => ({ kind: "replace", seat: r.u16(), validator: possessed(r) }),
    (r) => ({ kind: "parameters", parameters: parametersChange(r) }),
    (r) => ({ kind: "permit", address: toHash(r.hash()), words: permissionChange(r) }),
    (r) => ({ kind: "authority", authority: authority(r) }),
    (r) => ({ kind: "version", version: r.u32() }),
  );
}

const addresses = (r) => r.sequence(1 << 16, (r) => toHash(r.hash()));

export const readEpochState = (bytes) => decode(bytes, epochState);
export const readProposal = (bytes) => decode(bytes, (r) => ({ by: toHash(r.hash()), change: change(r), approvals: addresses(r), rejections: addresses(r) }));
/** The value under `proposals`; before the first proposal there is none. */
export function readProposals(bytes) {
  if (bytes === null) return { next: 0n, open: [], lastEpochHeight: 0n };
  const open = (r) => ({ number: r.u64(), by: toHash(r.hash()) });
  return decode(bytes, (r) => ({ next: r.u64(), open: r.sequence(1 << 16, open), lastEpochHeight: r.u64() }));
}

// The genesis ------------------------------------------------------------------------------------------------------------------------------

/** A number of a genesis in JSON. */
function whole(value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return value;
  throw new FormError("the genesis has something else in the place of a number");
}

function word(value, words) {
  const number = words.indexOf(value);
  if (number < 0) throw new FormError("the genesis has a word that this page does not know");
  return uleb(number);
}

const bit = (value) => {
  if (typeof value !== "boolean") throw new FormError("the genesis has something else in the place of yes or no");
  return Uint8Array.of(Number(value));
};

const encodeParameter = { 32: (value) => u32(whole(value)), 64: (value) => u64(whole(value)), option: (value) => option(value, (v) => u32(whole(v))), access: (value) => word(value, ACCESS) };

function encodeParameters(json) {
  // In JSON, the limits of the state stand together, and two parameters have a value if they are absent.
  const { state, ...others } = { access: "open", account_block_percent: 50, ...json };
  const flat = { ...others, ...state };
  return concat(...Object.entries(PARAMETERS).map(([name, kind]) => encodeParameter[kind](flat[name])));
}

function encodeAuthority(json) {
  if (json === undefined || json === "operators") return uleb(0);
  return concat(uleb(1), sequence(json.board.members, fromHash), u16(whole(json.board.needed)));
}

const encodePermission = (json) => concat(bit(json.send ?? false), bit(json.grant ?? false), bit(json.frozen ?? false), u16(whole(json.transactions_max ?? 0)), u64(whole(json.state_bytes_max ?? 0)));

const encodeValidator = (json) => concat(text(json.name), fromHash(json.consensus_key), fromHash(json.network_key), text(json.address), u64(whole(json.power)), option(json.operator, fromHash));

function signature(digits) {
  const bytes = fromHex(digits);
  if (bytes.length !== 64) throw new FormError("a signature has 64 bytes");
  return bytes;
}

/** Reads a genesis in JSON: its hash, its application, and the epoch state that it begins with. */
export function readGenesis(json) {
  const version = u32(whole(json.protocol_version));
  const governs = concat(encodeParameters(json.parameters), encodeAuthority(json.authority));
  const permissions = Object.entries(json.permissions ?? {}).map(([address, granted]) => [fromHash(address), granted]);
  permissions.sort(([a], [b]) => compare(a, b));
  const { application, validators } = json;
  const encoded = concat(
    version,
    u64(whole(json.chain_id)),
    text(json.name),
    u64(whole(json.timestamp)),
    governs,
    sequence(permissions, ([address, granted]) => concat(address, encodePermission(granted))),
    sequence(validators, (entry) => concat(encodeValidator(entry.validator), signature(entry.consensus_proof), signature(entry.network_proof))),
    concat(text(application.name), u32(whole(application.version)), text(canonicalJson(application.settings))),
  );
  const keys = validators.map((entry) => fromHash(entry.validator.consensus_key));
  if (keys.some((key, i) => i > 0 && compare(keys[i - 1], key) >= 0)) throw new FormError("the validators are not in the order of their keys");
  const members = sequence([...validators.entries()], ([seat, entry]) => concat(u16(seat), encodeValidator(entry.validator)));
  const state = concat(u64(0), version, governs, members);
  return { hash: hash("quorate/genesis", encoded), application: application.name, state: { ...readEpochState(state), hash: epochStateHash(state) } };
}

