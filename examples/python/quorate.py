"""A client and verifier for quorate networks. All that it does is described in docs/formats.md.

It trusts a genesis hash and nothing else: what a node says counts only as far as a quorum of the committee has signed it.

    genesis hash --> committee of epoch 0 --its signatures--> epoch change --> committee of epoch 1 --> ...
    certificate --> header --Merkle path--> receipt, account, value or absence

`Key` signs, `Verifier` checks bytes offline, `Client` talks to a node and verifies each answer.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

T = TypeVar("T")

ZEROS = bytes(32)
ROUND_LIMIT = 2**64 - 9
PROTOCOL_VERSION_MAX = 2
SEATS = 128
HEADERS_MAX = 1_024
PROOF_BYTES_MAX = 1 << 20
ANSWER_BYTES_MAX = 64 << 20
OWN, SHARED = b"\0", b"\1"


class QuorateError(Exception):
    """Something failed; the text says what."""


class Refused(QuorateError):
    """A proof, an epoch change or evidence does not verify."""


class LaterEpoch(Refused):
    """A proof is of an epoch whose committee has not been followed yet."""


class ApiError(QuorateError):
    """A node has answered with an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"the node answers {status} {code}: {message}")
        self.status, self.code = status, code


def check(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


# Encoding


def h(tag: str, *data: bytes) -> bytes:
    """The hash of data under a tag."""
    return hashlib.sha3_256(("quorate/" + tag).encode().ljust(32, b"\0") + b"".join(data)).digest()


def u16(number: int) -> bytes:
    return number.to_bytes(2, "little")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    return number.to_bytes(8, "little")


def uleb(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def string(data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return uleb(len(data)) + data


def option(value: T | None, encode: Callable[[T], bytes]) -> bytes:
    return b"\0" if value is None else b"\1" + encode(value)


def unhex(text: str, length: int | None = None) -> bytes:
    """The bytes of hexadecimal text, with or without 0x."""
    try:
        data = binascii.unhexlify(text.removeprefix("0x"))
    except (binascii.Error, ValueError) as error:
        raise QuorateError(f"not hexadecimal: {text[:80]!r}") from error
    if length is not None and len(data) != length:
        raise QuorateError(f"{length} bytes in hexadecimal are needed, not {len(data)}")
    return data


def field(answer: Any, name: str, kind: type[T]) -> T:
    """A field of a node's answer."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise QuorateError(f"the node's answer lacks {name!r}: {str(answer)[:200]}")
    return value


def shown(answer: Any) -> tuple[bytes | None, bytes]:
    """The value and the proof in a node's answer."""
    value = None if field(answer, "value", object) is None else unhex(field(answer, "value", str))
    return value, unhex(field(answer, "proof", str))


class Reader:
    """Reads BCS, and refuses whatever is not the one encoding of a value."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @staticmethod
    def whole(data: bytes, read: Callable[[Reader], T], most: int = PROOF_BYTES_MAX) -> T:
        check(len(data) <= most, f"encoding: {len(data)} bytes are more than {most}")
        reader = Reader(data)
        value = read(reader)
        check(reader.at == len(data), f"encoding: {len(data) - reader.at} bytes too many")
        return value

    def take(self, count: int) -> bytes:
        end = self.at + count
        check(end <= len(self.data), "encoding: it ends too early")
        piece, self.at = self.data[self.at : end], end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def u64(self) -> int:
        return self.number(8)

    def hash(self) -> bytes:
        return self.take(32)

    def uleb(self, most: int) -> int:
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                check(byte > 0 or shift == 7, "encoding: a length is not minimal")
                check(value <= most, f"encoding: {value} where at most {most} is possible")
                return value
            check(shift < 35, "encoding: a length is too long")

    def string(self, most: int) -> bytes:
        return self.take(self.uleb(most))

    def text(self, most: int) -> str:
        try:
            return self.string(most).decode()
        except UnicodeDecodeError as error:
            raise Refused("encoding: text is not UTF-8") from error

    def option(self, read: Callable[[], T]) -> T | None:
        return read() if self.uleb(1) else None

    def sequence(self, read: Callable[[], T], most: int) -> list[T]:
        return [read() for _ in range(self.uleb(most))]

    def raw(self, read: Callable[[], Any]) -> bytes:
        """The bytes that `read` reads."""
        begin = self.at
        read()
        return self.data[begin : self.at]


# Structures


@dataclass(frozen=True)
class Member:
    seat: int
    name: str
    consensus_key: bytes
    power: int

    @staticmethod
    def read(r: Reader, seat: int) -> Member:
        name, key, _network_key, _address = r.text(128), r.hash(), r.hash(), r.text(128)
        power = r.u64()
        check(power <= 2**48, f"validator {name} has too much power")
        r.option(r.hash)
        return Member(seat, name, key, power)


def read_parameters(r: Reader) -> None:
    r.take(7 * 4)
    r.option(lambda: r.number(4))
    r.uleb(1)
    r.take(4 + 8 + 4)


def read_authority(r: Reader) -> None:
    if r.uleb(1):
        r.sequence(r.hash, SEATS)
        r.number(2)


@dataclass(frozen=True)
class EpochState:
    epoch: int
    version: int
    members: dict[int, Member]
    hash: bytes

    @staticmethod
    def read(r: Reader) -> EpochState:
        begin = r.at
        epoch, version = r.u64(), r.number(4)
        read_parameters(r)
        read_authority(r)
        members = r.sequence(lambda: Member.read(r, r.number(2)), SEATS)
        seats = [member.seat for member in members]
        check(all(a < b for a, b in zip(seats, seats[1:])) and all(seat < SEATS for seat in seats), "seats are not ascending")
        check(len({member.consensus_key for member in members}) == len(members), "two members have one key")
        check(any(member.power for member in members), "nobody has a vote")
        return EpochState(epoch, version, {member.seat: member for member in members}, h("epoch-state", r.data[begin : r.at]))

    def voter(self, seat: int) -> Member:
        member = self.members.get(seat)
        if member is None or member.power == 0:
            raise Refused(f"seat {seat} has no vote in epoch {self.epoch}")
        return member

    @property
    def quorum(self) -> int:
        total = sum(member.power for member in self.members.values())
        return total - (total - 1) // 3


@dataclass(frozen=True)
class Header:
    genesis_hash: bytes
    epoch: int
    height: int
    round: int
    block_id: bytes
    parent: bytes
    timestamp: int
    transactions_root: bytes
    receipts_root: bytes
    state_root: bytes
    epoch_state: bytes
    id: bytes

    @staticmethod
    def read(r: Reader) -> Header:
        begin = r.at
        fields = (r.hash(), r.u64(), r.u64(), r.u64(), r.hash(), r.hash(), r.u64(), r.hash(), r.hash(), r.hash(), r.hash())
        return Header(*fields, h("header", r.data[begin : r.at]))


@dataclass(frozen=True)
class Vote:
    """Vote info and commit info: what the signatures of a certificate, and of a vote, are about."""

    round: int
    parent_round: int
    info_hash: bytes
    genesis_hash: bytes
    epoch: int
    commits: bytes | None
    signed_info_hash: bytes
    signed: bytes

    @staticmethod
    def read(r: Reader) -> Vote:
        begin = r.at
        _id, round_, _parent, parent_round, _state = r.hash(), r.u64(), r.hash(), r.u64(), r.hash()
        middle = r.at
        genesis_hash, epoch, commits, signed_info = r.hash(), r.u64(), r.option(r.hash), r.hash()
        info_hash, signed = h("vote-info", r.data[begin:middle]), h("vote", r.data[middle : r.at])
        return Vote(round_, parent_round, info_hash, genesis_hash, epoch, commits, signed_info, signed)

    def verify(self, genesis_hash: bytes, epoch: int) -> None:
        check(self.genesis_hash == genesis_hash, "the certificate or vote is of another network")
        check(self.epoch == epoch, f"the certificate or vote is of epoch {self.epoch}, not {epoch}")
        check(self.signed_info_hash == self.info_hash, "the vote info is not the signed one")
        check(self.parent_round < self.round < ROUND_LIMIT, f"round {self.round} is not possible")
        check((self.commits is not None) == (self.round == self.parent_round + 1), "the commit does not match the rounds")


@dataclass(frozen=True)
class CommitProof:
    """Headers, and the certificate that commits the last of them. What is proved is the first."""

    headers: list[Header]
    vote: Vote
    signers: int
    signatures: list[bytes]

    @staticmethod
    def read(r: Reader) -> CommitProof:
        headers = r.sequence(lambda: Header.read(r), HEADERS_MAX)
        check(bool(headers), "the proof has no header")
        return CommitProof(headers, Vote.read(r), r.number(16), r.sequence(lambda: r.take(64), SEATS))

    def verify(self, genesis_hash: bytes, state: EpochState) -> Header:
        for parent, header in zip(self.headers, self.headers[1:]):
            check(header.parent == parent.id, "the headers are not a chain")
        for header in self.headers:
            check(header.genesis_hash == genesis_hash, "a header is of another network")
            check(header.epoch == state.epoch, "a header is of another epoch")
        self.vote.verify(genesis_hash, state.epoch)
        check(self.vote.commits == self.headers[-1].id, "the certificate does not commit the last header")
        seats = [seat for seat in range(SEATS) if self.signers >> seat & 1]
        voters = [state.voter(seat) for seat in seats]
        check(len(voters) == len(self.signatures), "there is not one signature for each signer")
        power = sum(voter.power for voter in voters)
        check(power >= state.quorum, f"the signers have power {power}, a quorum is {state.quorum}")
        for voter, signature in zip(voters, self.signatures):
            verify_signature(voter, self.vote.signed, signature)
        return self.headers[0]


def verify_signature(member: Member, signed: bytes, signature: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(member.consensus_key).verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise Refused(f"the signature of {member.name} is not valid") from error


@dataclass(frozen=True)
class Receipt:
    tx_id: bytes
    answer: bytes | None
    """The application's answer; none if the transaction failed."""
    code: str | None
    numbers: list[int]
    leaf: bytes

    @staticmethod
    def read(r: Reader) -> Receipt:
        begin = r.at
        tx_id, failed = r.hash(), r.uleb(1)
        answer = None if failed else r.string(65_536)
        code, numbers = (r.text(32), r.sequence(r.u64, 4)) if failed else (None, [])
        return Receipt(tx_id, answer, code, numbers, h("list-leaf", r.data[begin : r.at]))


def list_root(leaf: bytes, index: int, count: int, siblings: list[bytes]) -> bytes:
    """The root to which a leaf's path leads."""
    check(index < count, f"position {index} of {count} is not possible")
    rest, position, lefts = count, index, []
    while rest > 1:
        half = 1 << (rest - 1).bit_length() - 1
        lefts.append(position < half)
        rest, position = (half, position) if position < half else (rest - half, position - half)
    check(len(lefts) == len(siblings), "the path has another length than the list needs")
    top = leaf
    for left, sibling in zip(reversed(lefts), siblings):
        top = h("list-branch", top, sibling) if left else h("list-branch", sibling, top)
    return h("list-root", u64(count), top)


@dataclass(frozen=True)
class StatePath:
    siblings: list[bytes]
    leaf: tuple[bytes, bytes] | None

    @staticmethod
    def read(r: Reader) -> StatePath:
        return StatePath(r.sequence(r.hash, 256), r.option(lambda: (r.hash(), r.hash())))

    def verify(self, root: bytes, key: bytes, value: bytes | None) -> None:
        place = h("state-key", key)
        depth = len(self.siblings)
        bits = int.from_bytes(place, "big")
        if value is not None:
            check(self.leaf == (place, h("state-value", value)), "the proof does not end in this key with this value")
        elif self.leaf is not None:
            check(self.leaf[0] != place, "the key exists")
            apart = int.from_bytes(self.leaf[0], "big") ^ bits
            check(apart >> (256 - depth) == 0, "the leaf found is not where the key would be")
        top = ZEROS if self.leaf is None else h("state-leaf", *self.leaf)
        for level in reversed(range(depth)):
            pair = (self.siblings[level], top) if bits >> (255 - level) & 1 else (top, self.siblings[level])
            top = h("state-branch", *pair)
        check(top == root, "the path leads to another state root")


@dataclass(frozen=True)
class Account:
    """An account's record; `part` is the application's."""

    sequence: int
    send: bool
    grant: bool
    frozen: bool
    transactions_max: int
    state_bytes_max: int
    part: bytes

    @staticmethod
    def read(r: Reader) -> Account:
        sequence, send, grant, frozen = r.u64(), bool(r.uleb(1)), bool(r.uleb(1)), bool(r.uleb(1))
        return Account(sequence, send, grant, frozen, r.number(2), r.u64(), r.take(len(r.data) - r.at))

    @property
    def balance(self) -> int:
        """In the built-in application."""
        check(len(self.part) == 16, "it is not an account of the built-in application")
        return int.from_bytes(self.part[:8], "little")


# Genesis


def canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def genesis_bytes(genesis: dict[str, Any]) -> bytes:
    """The BCS encoding of a genesis in JSON."""
    p, state, application = genesis["parameters"], genesis["parameters"]["state"], genesis["application"]
    first = ("block_transactions_max", "block_bytes_max", "timeout_base_ms", "timeout_growth_percent", "timeout_max_ms", "heartbeat_ms")
    access = {"open": b"\0", "permissioned": b"\1"}[p.get("access", "open")]
    authority = genesis.get("authority", "operators")
    board = None if authority == "operators" else authority["board"]
    members = [] if board is None else sorted(unhex(address, 32) for address in board["members"])

    def permission(of: dict[str, Any]) -> bytes:
        flags = bytes(bool(of.get(name)) for name in ("send", "grant", "frozen"))
        return flags + u16(of.get("transactions_max", 0)) + u64(of.get("state_bytes_max", 0))

    def entry(of: dict[str, Any]) -> bytes:
        v = of["validator"]
        keys = unhex(v["consensus_key"], 32) + unhex(v["network_key"], 32)
        operator = option(v.get("operator"), lambda address: unhex(address, 32))
        proofs = unhex(of["consensus_proof"], 64) + unhex(of["network_proof"], 64)
        return string(v["name"]) + keys + string(v["address"]) + u64(v["power"]) + operator + proofs

    permissions = sorted((unhex(address, 32), permission(of)) for address, of in genesis.get("permissions", {}).items())
    return b"".join([
        u32(genesis["protocol_version"]), u64(genesis["chain_id"]), string(genesis["name"]), u64(genesis["timestamp"]),
        *(u32(p[name]) for name in first), u32(p["window_size"]), option(p.get("exclude_size"), u32), access,
        u32(p.get("account_block_percent", 50)), u64(state["bytes_max"]), u32(state["block_effect_bytes_max"]),
        option(board, lambda of: uleb(len(members)) + b"".join(members) + u16(of["needed"])),
        uleb(len(permissions)), *(address + of for address, of in permissions),
        uleb(len(genesis["validators"])), *(entry(of) for of in genesis["validators"]),
        string(application["name"]), u32(application["version"]), string(canonical_json(application["settings"])),
    ])  # fmt: skip


def read_genesis(r: Reader) -> EpochState:
    """The epoch state that a genesis begins with."""
    version = r.take(4)
    r.u64(), r.text(128), r.u64()
    parameters, authority = r.raw(lambda: read_parameters(r)), r.raw(lambda: read_authority(r))
    r.sequence(lambda: r.take(32 + 13), 1 << 24)
    seats: list[bytes] = []

    def entry() -> None:
        seats.append(u16(len(seats)) + r.raw(lambda: Member.read(r, len(seats))))
        r.take(2 * 64)

    r.sequence(entry, SEATS)
    r.text(32), r.number(4), r.text(1 << 26)
    return Reader.whole(u64(0) + version + parameters + authority + uleb(len(seats)) + b"".join(seats), EpochState.read)


# Verifying


@dataclass(frozen=True)
class Proven(Generic[T]):
    """A value that a quorum has signed, and the header under which it has: its height and time tell how old the value is."""

    value: T
    header: Header


class Verifier:
    """Follows the committee from the genesis, and verifies what its epochs have signed. It asks nobody."""

    def __init__(self, genesis_hash: bytes, genesis: dict[str, Any]) -> None:
        try:
            encoded = genesis_bytes(genesis)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise Refused(f"this is not a genesis: {error!r}") from error
        found = h("genesis", encoded)
        check(found == genesis_hash, f"the genesis has hash 0x{found.hex()}, not the trusted 0x{genesis_hash.hex()}")
        self.genesis_hash = genesis_hash
        self.states = [Reader.whole(encoded, read_genesis, 1 << 26)]
        self.ends: list[Header] = []

    @property
    def epoch(self) -> int:
        """The newest epoch that was followed."""
        return len(self.states) - 1

    def follow(self, change: bytes) -> None:
        """Follows the change of the committee that ends the newest epoch known."""
        proof, state = Reader.whole(change, lambda r: (CommitProof.read(r), EpochState.read(r)), PROOF_BYTES_MAX + (64 << 10))
        now = self.states[-1]
        last = proof.verify(self.genesis_hash, now)
        check(state.epoch == now.epoch + 1, f"the change leads to epoch {state.epoch}, not {now.epoch + 1}")
        check(state.hash == last.epoch_state, "the header names another epoch state")
        check(state.hash != now.hash, "the block is not the last one of its epoch")
        check(state.version <= PROTOCOL_VERSION_MAX, f"epoch {state.epoch} has version {state.version} of the protocol, unknown to this client")
        self.states.append(state)
        self.ends.append(last)

    def receipt(self, tx_id: bytes, proof: bytes) -> Proven[Receipt]:
        def read(r: Reader) -> tuple[Receipt, int, int, list[bytes], CommitProof]:
            return Receipt.read(r), r.number(4), r.number(4), r.sequence(r.hash, 32), CommitProof.read(r)

        receipt, index, count, siblings, commit = Reader.whole(proof, read)
        check(receipt.tx_id == tx_id, f"the proof is about another transaction, 0x{receipt.tx_id.hex()}")
        header = self._header(commit)
        check(list_root(receipt.leaf, index, count, siblings) == header.receipts_root, "the receipt is not in the block")
        return Proven(receipt, header)

    def value(self, key: bytes, value: bytes | None, proof: bytes) -> Proven[bytes | None]:
        """Verifies that a key has this value, or with `None` that it is absent."""
        path, commit = Reader.whole(proof, lambda r: (StatePath.read(r), CommitProof.read(r)))
        header = self._header(commit)
        path.verify(header.state_root, key, value)
        return Proven(value, header)

    def account(self, address: bytes, value: bytes | None, proof: bytes) -> Proven[Account | None]:
        header = self.value(b"a" + address, value, proof).header
        return Proven(None if value is None else Reader.whole(value, Account.read), header)

    def state(self, epoch: int) -> EpochState:
        """What governs an epoch."""
        if epoch > self.epoch:
            raise LaterEpoch(f"epoch {epoch} is not known yet, only up to {self.epoch}")
        return self.states[epoch]

    def _header(self, commit: CommitProof) -> Header:
        epoch = commit.headers[0].epoch
        header = commit.verify(self.genesis_hash, self.state(epoch))
        if epoch < len(self.ends):
            last = self.ends[epoch]
            check(header.height < last.height or header == last, f"epoch {epoch} has ended with block {last.height}")
        return header


# Transactions


class Key:
    """The key of an account."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()
        self.address = h("address", self.public)

    @staticmethod
    def load(text: str) -> Key:
        """A seed of 64 hexadecimal digits, or an account's key file without encryption."""
        if re.fullmatch("(0x)?[0-9a-fA-F]{64}", text):
            return Key(unhex(text))
        try:
            content = Path(text).read_text()
        except OSError as error:
            raise QuorateError(f"{text!r} is neither a seed nor a readable key file: {error}") from error
        seed = re.search(r'^seed = "((?:0x)?[0-9a-fA-F]{64})"$', content, re.MULTILINE)
        if seed is None:
            raise QuorateError(f"{text} holds no seed in plain text; an encrypted key file is not supported")
        return Key(unhex(seed[1]))

    def sign(self, genesis_hash: bytes, sequence: int, payload: bytes, expires_at: int, target: int = 0) -> Transaction:
        """Signs a transaction to the application (target 0) or the chain (1)."""
        content = genesis_hash + self.public + u64(sequence) + u64(expires_at) + bytes([target]) + string(payload)
        tx_id = h("transaction", content)
        return Transaction(tx_id, content + self._key.sign(tx_id), expires_at)


@dataclass(frozen=True)
class Transaction:
    id: bytes
    raw: bytes
    expires_at: int


def transfer(to: bytes, amount: int) -> bytes:
    """The payload of a transfer."""
    return b"\0\0" + to + u64(amount)


def put(space: bytes, key: bytes, value: bytes) -> bytes:
    """The payload that puts a value under a key; the space is `OWN` or `SHARED`."""
    return b"\1" + space + string(key) + b"\0" + string(value)


def own_key(owner: bytes, key: bytes) -> bytes:
    """The key in the state of an account's own key."""
    return b"k" + owner + key


def shared_key(key: bytes) -> bytes:
    return b"s" + key


# A node


class Client:
    """Talks to one node, and believes what is proved. A node can withhold, or show an old state, but none older than was proved before."""

    def __init__(self, api: str, genesis_hash: bytes, timeout: float = 10) -> None:
        self.api, self.timeout, self.newest = api.rstrip("/"), timeout, 0
        self.verifier = Verifier(genesis_hash, self.get("/v1/genesis"))

    def get(self, path: str) -> Any:
        return self._request(urllib.request.Request(self.api + path), self.timeout)

    def raw(self, path: str) -> bytes:
        """The bytes at a path; nothing is checked."""
        return self._bytes(urllib.request.Request(self.api + path), self.timeout)

    def _request(self, request: urllib.request.Request, timeout: float) -> Any:
        body = self._bytes(request, timeout)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise QuorateError(f"{self.api} answers something that is not JSON") from error

    def _bytes(self, request: urllib.request.Request, timeout: float) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.read(ANSWER_BYTES_MAX)
        except urllib.error.HTTPError as error:
            try:
                said = json.loads(error.read(ANSWER_BYTES_MAX))["error"]
                raise ApiError(error.code, said["code"], said["message"]) from error
            except (ValueError, KeyError, TypeError, RecursionError):
                raise ApiError(error.code, "http", error.reason) from error
        except OSError as error:
            raise QuorateError(f"{self.api} does not answer: {error}") from error

    def follow(self) -> None:
        """Follows all changes of the committee that the node knows."""
        while True:
            changes = field(self.get(f"/v1/epochs?from={self.verifier.epoch}"), "changes", list)
            if not changes:
                return
            for change in changes:
                self.verifier.follow(unhex(change))

    def _proved(self, verify: Callable[[], T]) -> T:
        try:
            return verify()
        except LaterEpoch:
            self.follow()
            return verify()

    def _fresh(self, proven: Proven[T]) -> Proven[T]:
        check(proven.header.height >= self.newest, f"the node shows block {proven.header.height}, and has shown {self.newest} before")
        self.newest = proven.header.height
        return proven

    def account(self, address: bytes) -> Proven[Account | None]:
        """An account, or its absence."""
        value, proof = shown(self.get(f"/v1/accounts/0x{address.hex()}"))
        return self._fresh(self._proved(lambda: self.verifier.account(address, value, proof)))

    def state(self, key: bytes) -> Proven[bytes | None]:
        """A value of the state, or its absence."""
        value, proof = shown(self.get(f"/v1/state/0x{key.hex()}"))
        return self._fresh(self._proved(lambda: self.verifier.value(key, value, proof)))

    def receipt(self, tx_id: bytes) -> Proven[Receipt]:
        proof = unhex(field(self.get(f"/v1/transactions/0x{tx_id.hex()}/proof"), "proof", str))
        proven = self._proved(lambda: self.verifier.receipt(tx_id, proof))
        self.newest = max(self.newest, proven.header.height)
        return proven

    def sign(self, key: Key, payload: bytes, lifetime: float = 60) -> Transaction:
        """Signs the account's next transaction."""
        account = self.account(key.address).value
        expires_at = int((time.time() + lifetime) * 1000)
        return key.sign(self.verifier.genesis_hash, 0 if account is None else account.sequence, payload, expires_at)

    def submit(self, transaction: Transaction) -> None:
        """Hands a transaction to the node, which decides nothing by taking or refusing it."""
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.api + "/v1/transactions?wait=accepted", transaction.raw, headers)
        while True:
            try:
                self._request(request, self.timeout + 20)
                return
            except ApiError as error:
                if error.status != 503 or time.time() * 1000 > transaction.expires_at:
                    raise
            time.sleep(0.5)

    def wait(self, transaction: Transaction) -> Proven[Receipt]:
        """Waits until the receipt is proved. An error means that the transaction may be in the chain nevertheless, until it has expired."""
        while True:
            try:
                return self.receipt(transaction.id)
            except ApiError as error:
                if error.code != "not-committed" and error.status != 503:
                    raise
            status = self.get(f"/v1/transactions/0x{transaction.id.hex()}")
            if field(status, "status", str) == "dropped":
                raise QuorateError(f"the node says that it has dropped the transaction: {status.get('code')}: {status.get('reason')}")
            if time.time() * 1000 > transaction.expires_at + 10_000:
                raise QuorateError("the transaction has expired, and nothing is proved about it")
            time.sleep(0.1)

    def send(self, key: Key, payload: bytes) -> Proven[Receipt]:
        """Signs, submits, waits, verifies."""
        transaction = self.sign(key, payload)
        self.submit(transaction)
        return self.wait(transaction)
