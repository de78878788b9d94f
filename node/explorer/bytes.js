// Bytes: hexadecimal, SHA3-256, BCS, and JSON whose numbers keep all their digits. Everything here follows docs/formats.md, "Encoding" and
// "Hashes", and knows nothing of chains.

/** Bytes that are not what they should be. Whoever sent them is wrong, not this page. */
export class FormError extends Error {}

const ASCII = new TextEncoder();
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Hexadecimal ----------------------------------------------------------------------------------------------------------------------------

/** The bytes that a text in hexadecimal, with or without `0x`, stands for. */
export function fromHex(text) {
  const digits = typeof text === "string" && text.startsWith("0x") ? text.slice(2) : text;
  if (typeof digits !== "string" || digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) throw new FormError("this is not hexadecimal");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** The 32 bytes of a hash, key, address or id. */
export function fromHash(text) {
  const bytes = fromHex(text);
  if (bytes.length !== 32) throw new FormError("a hash has 32 bytes");
  return bytes;
}

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
export const toHash = (bytes) => "0x" + toHex(bytes);
export const utf8 = (text) => ASCII.encode(text);

/** Text, or `null` if the bytes are none. */
export function toText(bytes) {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

export const equal = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** The order of bytes: the first that differs decides, and a beginning comes before the whole. */
export function compare(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// SHA3-256 (FIPS 202) ----------------------------------------------------------------------------------------------------------------------
//
// The state is 25 lanes of 64 bits, lane x + 5y at column x and row y. JavaScript counts in 32 bits, so a lane is two words, the low one first.

const RATE = 136;

/** How far rho turns each lane, and where pi moves it: one walk over all lanes but the first gives both. */
const [TURNS, MOVES] = (() => {
  const turns = new Uint8Array(25);
  const moves = new Uint8Array(25);
  for (let step = 1, x = 1, y = 0; step <= 24; step++) {
    const from = x + 5 * y;
    [x, y] = [y, (2 * x + 3 * y) % 5];
    turns[from] = ((step * (step + 1)) / 2) % 64;
    moves[from] = x + 5 * y;
  }
  return [turns, moves];
})();

/** What iota adds in each round: bits of a shift register, at the positions 2^j - 1. */
const CONSTANTS = (() => {
  const words = new Uint32Array(48);
  let register = 1;
  for (let round = 0; round < 24; round++) {
    for (let j = 0; j <= 6; j++) {
      const position = 2 ** j - 1;
      if (register & 1) words[2 * round + (position >> 5)] |= 1 << (position & 31);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
  }
  return words;
})();

const MIXED = new Uint32Array(50);
const PARITY = new Uint32Array(10);

function permute(state) {
  for (let round = 0; round < 24; round++) {
    // theta: every lane gets the parity of the column before it, and of the one after it, turned by one.
    for (let i = 0; i < 10; i++) PARITY[i] = state[i] ^ state[i + 10] ^ state[i + 20] ^ state[i + 30] ^ state[i + 40];
    for (let x = 0; x < 5; x++) {
      const before = 2 * ((x + 4) % 5);
      const after = 2 * ((x + 1) % 5);
      const low = PARITY[before] ^ ((PARITY[after] << 1) | (PARITY[after + 1] >>> 31));
      const high = PARITY[before + 1] ^ ((PARITY[after + 1] << 1) | (PARITY[after] >>> 31));
      for (let i = 2 * x; i < 50; i += 10) {
        state[i] ^= low;
        state[i + 1] ^= high;
      }
    }
    // rho and pi: turn each lane, and move it.
    for (let lane = 0; lane < 25; lane++) {
      const turn = TURNS[lane] & 31;
      const swapped = TURNS[lane] >> 5;
      const low = state[2 * lane + swapped];
      const high = state[2 * lane + 1 - swapped];
      const to = 2 * MOVES[lane];
      MIXED[to] = turn === 0 ? low : (low << turn) | (high >>> (32 - turn));
      MIXED[to + 1] = turn === 0 ? high : (high << turn) | (low >>> (32 - turn));
    }
    // chi: the only step that is not linear.
    for (let row = 0; row < 50; row += 10) {
      for (let i = 0; i < 10; i++) state[row + i] = MIXED[row + i] ^ (~MIXED[row + ((i + 2) % 10)] & MIXED[row + ((i + 4) % 10)]);
    }
    // iota.
    state[0] ^= CONSTANTS[2 * round];
    state[1] ^= CONSTANTS[2 * round + 1];
  }
}

export function sha3(data) {
  const state = new Uint32Array(50);
  const add = (byte, position) => (state[position >> 2] ^= byte << (8 * (position & 3)));
  let position = 0;
  for (const byte of data) {
    add(byte, position++);
    if (position === RATE) {
      permute(state);
      position = 0;
    }
  }
  add(0x06, position);
  add(0x80, RATE - 1);
  permute(state);
  return Uint8Array.from({ length: 32 }, (_, i) => state[i >> 2] >>> (8 * (i & 3)));
}

const TAG_BYTES = 32;
const tags = new Map();

/** `H(tag, data)`: the tag is padded with zeros, so no two uses of the hash share a beginning. */
export function hash(tag, ...data) {
  if (!tags.has(tag)) tags.set(tag, concat(utf8(tag), new Uint8Array(TAG_BYTES - tag.length)));
  return sha3(concat(tags.get(tag), ...data));
}

// BCS --------------------------------------------------------------------------------------------------------------------------------------

/** Reads an encoding from front to back, and refuses every other encoding of the same value. */
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  raw(length) {
    if (length > this.bytes.length - this.at) throw new FormError("the encoding ends too early");
    return this.bytes.subarray(this.at, (this.at += length));
  }

  hash() {
    return this.raw(32);
  }

  signature() {
    return this.raw(64);
  }

  /** A number of this many bytes, as a BigInt: half of them do not fit into a Number. */
  big(length) {
    return this.raw(length).reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
  }

  u8() {
    return this.raw(1)[0];
  }

  u16() {
    return Number(this.big(2));
  }

  u32() {
    return Number(this.big(4));
  }

  u64() {
    return this.big(8);
  }

  u128() {
    return this.big(16);
  }

  /** The number of a variant or of elements: ULEB128, below 2^32 and as short as it can be. */
  uleb() {
    let number = 0;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.u8();
      number += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if ((shift > 0 && byte === 0) || number >= 2 ** 32) break;
        return number;
      }
    }
    throw new FormError("a length is not encoded as it must be");
  }

  flag() {
    const byte = this.u8();
    if (byte > 1) throw new FormError("neither yes nor no");
    return byte === 1;
  }

  option(read) {
    return this.flag() ? read(this) : null;
  }

  sequence(max, read) {
    const length = this.uleb();
    if (length > max) throw new FormError("a sequence is too long");
    return Array.from({ length }, () => read(this));
  }

  byteString(max) {
    const length = this.uleb();
    if (length > max) throw new FormError("a byte string is too long");
    return this.raw(length);
  }

  text(max) {
    const text = toText(this.byteString(max));
    if (text === null) throw new FormError("a text is not UTF-8");
    return text;
  }

  /** One of these, by its number. */
  variant(...reads) {
    const read = reads[this.uleb()];
    if (!read) throw new FormError("no such variant");
    return read(this);
  }

  end() {
    if (this.at !== this.bytes.length) throw new FormError("the encoding has trailing bytes");
  }
}

/** Reads all of it. */
export function decode(bytes, read) {
  const reader = new Reader(bytes);
  const value = read(reader);
  reader.end();
  return value;
}

/** A number in this many bytes, little-endian. */
export function le(length, value) {
  let rest = BigInt(value);
  if (rest < 0n || rest >> BigInt(8 * length) !== 0n) throw new FormError("a number does not fit");
  return Uint8Array.from({ length }, () => {
    const byte = Number(rest & 0xffn);
    rest >>= 8n;
    return byte;
  });
}

export const u16 = (value) => le(2, value);
export const u32 = (value) => le(4, value);
export const u64 = (value) => le(8, value);

export function uleb(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest < 128 ? rest : (rest % 128) | 0x80);
    if (rest < 128) return Uint8Array.from(bytes);
  }
}

export const byteString = (bytes) => concat(uleb(bytes.length), bytes);
export function text(value) {
  // A list of one text would give the same bytes, and read otherwise wherever it is compared.
  if (typeof value !== "string") throw new FormError("something else in the place of a text");
  return byteString(utf8(value));
}
export const option = (value, encode) => (value === null || value === undefined ? Uint8Array.of(0) : concat(Uint8Array.of(1), encode(value)));
export const sequence = (items, encode) => concat(uleb(items.length), ...items.map(encode));

// JSON -------------------------------------------------------------------------------------------------------------------------------------

const DEPTH_MAX = 128;

/**
 * Parses JSON. Whole numbers beyond 2^53 become BigInts, which the built-in parser would round: a genesis hash covers every digit.
 * Objects have no prototype, so that no name in them means anything to JavaScript, and a name that occurs twice is an error.
 */
export function parseJson(source) {
  let at = 0;
  const fail = () => {
    throw new FormError(`this is not JSON (at character ${at})`);
  };
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(source)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const space = () => match(/[ \t\n\r]*/y);
  const take = (character) => source[at] === character && ((at += 1), true);
  const string = () => {
    const found = match(/"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y) ?? fail();
    return JSON.parse(found);
  };
  const number = () => {
    const found = match(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y) ?? fail();
    const value = Number(found);
    return Number.isSafeInteger(value) || /[.eE]/.test(found) ? value : BigInt(found);
  };
  /** What is between `[` and `]`, or `{` and `}`. */
  const list = (end, read) => {
    space();
    if (take(end)) return;
    do {
      space();
      read();
      space();
    } while (take(","));
    if (!take(end)) fail();
  };
  const value = (depth) => {
    if (depth > DEPTH_MAX) fail();
    if (take("{")) {
      const object = Object.create(null);
      list("}", () => {
        const name = string();
        if (name in object) fail();
        space();
        if (!take(":")) fail();
        space();
        object[name] = value(depth + 1);
      });
      return object;
    }
    if (take("[")) {
      const array = [];
      list("]", () => array.push(value(depth + 1)));
      return array;
    }
    if (source[at] === '"') return string();
    const word = match(/true|false|null/y);
    return word === undefined ? number() : JSON.parse(word);
  };
  space();
  const whole = value(0);
  space();
  if (at !== source.length) fail();
  return whole;
}

const ESCAPES = { '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const escape = (character) => ESCAPES[character] ?? "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");

/** Canonical JSON: the form of it that genesis hashes cover. */
export function canonicalJson(value) {
  if (typeof value === "string") return `"${value.replace(/["\\\u0000-\u001f]/g, escape)}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort((a, b) => compare(utf8(a), utf8(b)));
    return `{${names.map((name) => `${canonicalJson(name)}:${canonicalJson(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" || typeof value === "bigint") {
    if (typeof value === "number" && !Number.isSafeInteger(value)) throw new FormError("canonical JSON has whole numbers only");
    if (value < -(2n ** 63n) || value >= 2n ** 64n) throw new FormError("a number is too large for canonical JSON");
  }
  return String(value);
}
