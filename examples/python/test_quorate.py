"""Tests against a real network, the golden files of this repository, and proofs signed by a committee of the test's own.

QUORATE_API           URL of a node
QUORATE_GENESIS_HASH  the network's genesis hash
QUORATE_SEED_KEY      seed (64 hexadecimal digits) or unencrypted key file of an account that may send, with a balance of 10,000,
                      and nothing else sending from it meanwhile
QUORATE_EPOCHS        optional: how many times the committee must have changed at least

Without the first three, only what needs no network is tested.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import audit
import evidence
from quorate import (
    OWN,
    SHARED,
    Client,
    CommitProof,
    EpochState,
    Key,
    LaterEpoch,
    Member,
    QuorateError,
    Reader,
    Refused,
    Verifier,
    ZEROS,
    genesis_bytes,
    h,
    option,
    own_key,
    put,
    read_genesis,
    shared_key,
    string,
    transfer,
    u16,
    u32,
    u64,
    uleb,
    unhex,
)

GOLDEN = Path(__file__).parents[2] / "types/tests/golden"
NETWORK = {"QUORATE_API", "QUORATE_GENESIS_HASH", "QUORATE_SEED_KEY"} <= os.environ.keys()


class Case(unittest.TestCase):
    def refused(self, what: str, verify: Callable[[], object]) -> None:
        try:
            verify()
        except Refused:
            return
        self.fail(f"accepted: {what}")

    def only(self, good: bytes, verify: Callable[[bytes], object]) -> None:
        """These bytes verify, and no others: each byte changed in each of two ways, all prefixes, all with something appended."""
        verify(good)
        for at in range(len(good)):
            for mask in (0x01, 0xFF):
                bad = bytearray(good)
                bad[at] ^= mask
                self.refused(f"byte {at} of {len(good)} xor {mask:#x}", lambda: verify(bytes(bad)))
        for length in range(len(good)):
            self.refused(f"the first {length} bytes of {len(good)}", lambda: verify(good[:length]))
        for more in (b"\0", b"\1", b"\xff", good):
            self.refused(f"{len(more)} bytes more", lambda: verify(good + more))


@unittest.skipUnless(NETWORK, "no network is named in the environment")
class Network(Case):
    client: Client
    key: Key
    genesis: dict

    @classmethod
    def setUpClass(cls) -> None:
        cls.client = Client(os.environ["QUORATE_API"], unhex(os.environ["QUORATE_GENESIS_HASH"], 32))
        cls.key = Key.load(os.environ["QUORATE_SEED_KEY"])
        cls.genesis = cls.client.get("/v1/genesis")
        cls.client.follow()

    def value(self, key: bytes) -> tuple[bytes | None, bytes]:
        view = self.client.get(f"/v1/state/0x{key.hex()}")
        return view["value"] and unhex(view["value"]), unhex(view["proof"])

    def test_sign_submit_wait_verify(self) -> None:
        to = Key(os.urandom(32)).address
        self.assertIsNone(self.client.account(to).value)
        before = self.client.account(self.key.address).value
        assert before is not None
        receipt = self.client.send(self.key, transfer(to, 1_000))
        self.assertEqual((receipt.value.code, receipt.value.answer), (None, b"\0"))
        opened, after = self.client.account(to).value, self.client.account(self.key.address).value
        assert opened is not None and after is not None
        self.assertEqual((opened.balance, opened.sequence), (1_000, 0))
        self.assertEqual((after.balance, after.sequence), (before.balance - 1_000, before.sequence + 1))

        name, value = b"name-" + os.urandom(4), os.urandom(100)
        self.client.send(self.key, put(OWN, name, value))
        self.assertEqual(self.client.state(own_key(self.key.address, name)).value, value)
        self.assertIsNone(self.client.state(own_key(to, name)).value)
        self.client.send(self.key, put(SHARED, name, b""))
        self.assertEqual(self.client.state(shared_key(name)).value, b"")
        self.assertEqual(self.client.state(b"h" + name).value, self.key.address)

        failed = self.client.send(self.key, bytes([1, 0]) + string(b"absent-" + name) + bytes([3]) + u32(0) + u32(4))
        self.assertEqual((failed.value.code, failed.value.answer), ("missing-key", None))
        again = self.client.receipt(failed.value.tx_id)
        self.assertEqual(again.value, failed.value)

    def test_refusals_of_the_node_say_why(self) -> None:
        sequence = self.client.account(self.key.address).value.sequence
        signed = self.key.sign(os.urandom(32), sequence, b"", 2**63)
        with self.assertRaisesRegex(QuorateError, "other-network"):
            self.client.submit(signed)
        with self.assertRaisesRegex(QuorateError, "insufficient-funds"):
            self.client.send(self.key, transfer(os.urandom(32), 2**64 - 1))

    def test_the_whole_chain_as_bytes(self) -> None:
        receipt = self.client.send(self.key, transfer(Key(os.urandom(32)).address, 1_000))
        header, transactions = audit.audit(self.client)
        self.assertGreaterEqual(header.height, receipt.header.height)
        self.assertGreater(transactions, 0)
        raw = self.client.raw(f"/v1/transactions/0x{receipt.value.tx_id.hex()}/raw")
        self.assertEqual(h("transaction", raw[:-64]), receipt.value.tx_id)
        self.assertEqual(self.client.raw("/v1/genesis/raw"), genesis_bytes(self.genesis))
        headers = self.client.raw(f"/v1/headers/raw?from={receipt.header.height}&max=1")
        self.assertEqual(h("header", headers[1:257]), receipt.header.id)
        self.assertEqual(self.client.raw("/v1/blocks/raw?from=18446744073709551615"), uleb(0))

    def test_receipt_proof(self) -> None:
        transaction = self.client.sign(self.key, transfer(self.key.address, 1))
        self.client.submit(transaction)
        self.client.wait(transaction)
        proof = unhex(self.client.get(f"/v1/transactions/0x{transaction.id.hex()}/proof")["proof"])
        self.only(proof, lambda bytes_: self.client.verifier.receipt(transaction.id, bytes_))
        self.refused("the receipt of another transaction", lambda: self.client.verifier.receipt(os.urandom(32), proof))

    def test_receipts_of_several_transactions(self) -> None:
        """Those that wait for an earlier one come into one block with it, so the paths in its list have siblings."""
        first = self.client.sign(self.key, transfer(self.key.address, 1))
        sequence, genesis_hash = int.from_bytes(first.raw[64:72], "little"), self.client.verifier.genesis_hash
        later = [self.key.sign(genesis_hash, sequence + by, transfer(self.key.address, 1), first.expires_at) for by in (1, 2, 3, 4)]
        for transaction in [*reversed(later), first]:
            self.client.submit(transaction)
        for transaction in (first, *later):
            self.client.wait(transaction)
            proof = unhex(self.client.get(f"/v1/transactions/0x{transaction.id.hex()}/proof")["proof"])
            self.only(proof, lambda bytes_: self.client.verifier.receipt(transaction.id, bytes_))

    def test_account_proof(self) -> None:
        view = self.client.get(f"/v1/accounts/0x{self.key.address.hex()}")
        value, proof = unhex(view["value"]), unhex(view["proof"])
        verifier, address = self.client.verifier, self.key.address
        self.only(proof, lambda bytes_: verifier.account(address, value, bytes_))
        self.only(value, lambda bytes_: verifier.account(address, bytes_, proof))
        self.refused("the proof of another account", lambda: verifier.account(os.urandom(32), value, proof))
        self.refused("an account denied", lambda: verifier.account(address, None, proof))

    def test_absence_proof(self) -> None:
        verifier = self.client.verifier
        for _ in range(4):
            address = os.urandom(32)
            value, proof = self.value(b"a" + address)
            self.assertIsNone(value)
            self.only(proof, lambda bytes_: verifier.account(address, None, bytes_))
            self.refused("an account claimed", lambda: verifier.account(address, bytes(37), proof))
            self.refused("the absence of an account that exists", lambda: verifier.account(self.key.address, None, proof))

    def test_value_proof(self) -> None:
        name = b"proved"
        self.client.send(self.key, put(OWN, name, b"value"))
        key = own_key(self.key.address, name)
        value, proof = self.value(key)
        self.assertEqual(value, b"value")
        self.only(proof, lambda bytes_: self.client.verifier.value(key, value, bytes_))
        for other in (own_key(self.key.address, b"other"), own_key(os.urandom(32), name), shared_key(name), b"", key[:-1]):
            self.refused("the proof of another key", lambda: self.client.verifier.value(other, value, proof))
        self.refused("another value", lambda: self.client.verifier.value(key, b"Value", proof))
        self.refused("a value denied", lambda: self.client.verifier.value(key, None, proof))

    def test_the_epoch_state_in_the_state_is_the_followed_one(self) -> None:
        proven = self.client.state(b"\0epoch")
        self.client.follow()
        state = Reader.whole(proven.value, EpochState.read)
        self.assertEqual(state, self.client.verifier.states[state.epoch])
        self.assertEqual(proven.header.epoch_state, state.hash)

    def test_another_genesis_hash(self) -> None:
        for at in range(32):
            bad = bytearray(self.client.verifier.genesis_hash)
            bad[at] ^= 1
            self.refused("another genesis hash", lambda: Verifier(bytes(bad), self.genesis))
        value, proof = self.value(b"a" + self.key.address)
        other = copy.deepcopy(self.genesis)
        other["chain_id"] ^= 1
        verifier = Verifier(h("genesis", genesis_bytes(other)), other)
        verifier.states, verifier.ends = self.client.verifier.states, self.client.verifier.ends
        self.refused("a proof of another network", lambda: verifier.account(self.key.address, value, proof))

    def test_a_quorum_is_counted_by_power(self) -> None:
        key = b"a" + self.key.address
        value, proof = self.value(key)
        verifier = copy.copy(self.client.verifier)
        header = verifier.value(key, value, proof).header
        path_bytes = 1 + 32 * proof[0] + 1 + (64 if value is not None else 0)
        signers = Reader.whole(proof[path_bytes:], CommitProof.read).signers
        state = verifier.states[header.epoch]
        voting = [seat for seat, member in state.members.items() if member.power and signers >> seat & 1]

        def powers(of: Callable[[int], int]) -> None:
            members = {seat: dataclasses.replace(member, power=of(seat)) for seat, member in state.members.items()}
            verifier.states = [dataclasses.replace(state, members=members) if one is state else one for one in self.client.verifier.states]
            verifier.value(key, value, proof)

        powers(lambda seat: 1 if signers >> seat & 1 else 0)
        self.refused("a signer without power", lambda: powers(lambda seat: 0 if seat == voting[0] else 1))
        if len(state.members) > len(voting):
            powers(lambda seat: 100 if signers >> seat & 1 else 1)
            self.refused("many signers with little power", lambda: powers(lambda seat: 1 if signers >> seat & 1 else 100))

    def test_epoch_changes(self) -> None:
        self.client.follow()
        last = self.client.verifier.epoch
        self.assertGreaterEqual(last, int(os.environ.get("QUORATE_EPOCHS", "0")))
        self.assertGreaterEqual(last, self.client.get("/v1/status")["epoch"] - 1)
        follower = Verifier(self.client.verifier.genesis_hash, self.genesis)
        changes: list[bytes] = []
        while len(changes) < last:
            changes += map(unhex, self.client.get(f"/v1/epochs?from={len(changes)}")["changes"])
        for epoch, change in enumerate(changes[:last]):
            self.refused("a later change", lambda: follower.follow(changes[epoch + 1])) if epoch + 1 < last else None
            if epoch in (0, last - 1):
                self.only(change, lambda bytes_: copy_of(follower).follow(bytes_))
            follower.follow(change)
            self.refused("a change twice", lambda: follower.follow(change))
        self.assertEqual(follower.states, self.client.verifier.states)
        for block in range(1, 4):
            for shown in self.client.get(f"/v1/blocks/{block}")["transactions"]:
                receipt = self.client.receipt(unhex(shown["tx_id"]))
                self.assertEqual((receipt.header.height, receipt.header.epoch), (block, 0))

    def test_evidence_that_the_node_holds(self) -> None:
        for view in self.client.get("/v1/evidence")["evidence"]:
            encoded = evidence.evidence_bytes(self.client.get(f"/v1/evidence/{view['id']}"))
            self.assertEqual(h("evidence", encoded), unhex(view["id"]))
            self.assertEqual(evidence.convicted(self.client.verifier, encoded).name, view["validator"])


def copy_of(verifier: Verifier) -> Verifier:
    other = copy.copy(verifier)
    other.states, other.ends = list(verifier.states), list(verifier.ends)
    return other


class Forged(Case):
    """What a committee whose keys we hold could sign but must not."""

    def setUp(self) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(1, 6)]
        self.keys = sorted(keys, key=lambda key: key.public_key().public_bytes_raw())
        self.genesis = {
            "protocol_version": 1, "chain_id": 7, "name": "forged", "timestamp": 1,
            "parameters": {
                "block_transactions_max": 1, "block_bytes_max": 2, "timeout_base_ms": 3, "timeout_growth_percent": 4, "timeout_max_ms": 5,
                "heartbeat_ms": 6, "window_size": 7, "state": {"bytes_max": 8, "block_effect_bytes_max": 9},
            },
            "validators": [self.entry(seat, power) for seat, power in enumerate((1, 2, 3, 4, 0))],
            "application": {"name": "none", "version": 1, "settings": {}},
        }  # fmt: skip
        self.encoded = genesis_bytes(self.genesis)
        self.network = h("genesis", self.encoded)
        self.verifier = Verifier(self.network, self.genesis)

    def entry(self, seat: int, power: int) -> dict:
        key = self.keys[seat].public_key().public_bytes_raw().hex()
        validator = {"name": f"v{seat}", "consensus_key": key, "network_key": key, "address": "a", "power": power}
        return {"validator": validator, "consensus_proof": "00" * 64, "network_proof": "00" * 64}

    def member(self, seat: int, power: int = 1, key: int | None = None) -> bytes:
        public = self.keys[seat if key is None else key].public_key().public_bytes_raw()
        return u16(seat) + string(f"v{seat}") + public * 2 + string("a") + u64(power) + b"\0"

    def state(self, epoch: int, members: list[bytes], version: int = 1) -> bytes:
        begin = 4 + 8 + len(string("forged")) + 8
        parameters_and_authority = self.encoded[begin : begin + 7 * 4 + 1 + 1 + 4 + 8 + 4 + 1]
        return u64(epoch) + u32(version) + parameters_and_authority + uleb(len(members)) + b"".join(members)

    def header(self, height: int = 5, parent: bytes = ZEROS, epoch: int = 0, state: bytes = ZEROS, network: bytes | None = None) -> bytes:
        numbers = u64(epoch) + u64(height) + u64(height)
        return (network or self.network) + numbers + ZEROS + parent + u64(9) + ZEROS * 3 + state

    def vote(
        self,
        rounds: tuple[int, int] = (7, 6),
        commits: bytes | None = ZEROS,
        epoch: int = 0,
        network: bytes | None = None,
        info: bytes | None = None,
    ) -> bytes:
        vote_info = ZEROS + u64(rounds[0]) + ZEROS + u64(rounds[1]) + ZEROS
        commit = option(commits, bytes) + (info or h("vote-info", vote_info))
        return vote_info + (network or self.network) + u64(epoch) + commit

    def proof(self, *headers: bytes, seats: tuple[int, ...] = (2, 3), signing: tuple[int, ...] | None = None, **vote: Any) -> bytes:
        """A commit proof; `signing` are the seats whose signatures it has, those that it names if not said."""
        content = self.vote(commits=vote.pop("commits", h("header", headers[-1]) if headers else ZEROS), **vote)
        signatures = [self.keys[seat].sign(h("vote", content[112:])) for seat in (seats if signing is None else signing)]
        signers = sum(1 << seat for seat in seats).to_bytes(16, "little")
        return uleb(len(headers)) + b"".join(headers) + content + signers + uleb(len(signatures)) + b"".join(signatures)

    def absent(self, proof: bytes, path: bytes = b"\0\0") -> object:
        """Uses a proof to show that a key of the empty state is absent."""
        return self.verifier.value(b"k", None, path + proof)

    def test_commit_proofs(self) -> None:
        header = self.header()
        second = self.header(6, h("header", header))
        self.absent(self.proof(header))
        self.absent(self.proof(header, second))
        self.absent(self.proof(header, seats=(0, 1, 3)))
        elsewhere = bytes([1]) * 32
        for what, proof in {
            "no header": self.proof(),
            "headers that are no chain": self.proof(header, self.header(6)),
            "headers in the wrong order": self.proof(second, header),
            "a header of another network": self.proof(self.header(network=elsewhere)),
            "a second header of another network": self.proof(header, self.header(6, h("header", header), network=elsewhere)),
            "a second header of another epoch": self.proof(header, self.header(6, h("header", header), epoch=1)),
            "a certificate of another network": self.proof(header, network=elsewhere),
            "a certificate of another epoch": self.proof(header, epoch=1),
            "another vote info": self.proof(header, info=elsewhere),
            "a round that is not above its parent's": self.proof(header, rounds=(6, 6)),
            "a round that is too high": self.proof(header, rounds=(2**64 - 9, 2**64 - 10)),
            "a commit although the rounds do not follow each other": self.proof(header, rounds=(8, 6)),
            "no commit": self.proof(header, commits=None, rounds=(8, 6)),
            "no commit although the rounds follow each other": self.proof(header, commits=None),
            "a commit of another header": self.proof(header, commits=elsewhere),
            "less than a quorum": self.proof(header, seats=(1, 3)),
            "nobody": self.proof(header, seats=()),
            "an observer": self.proof(header, seats=(2, 3, 4)),
            "a free seat": self.proof(header, seats=(2, 3, 5), signing=(2, 3, 3)),
            "a signature too few": self.proof(header, seats=(1, 2, 3), signing=(1, 2)),
            "a signature too many": self.proof(header, signing=(2, 3, 3)),
            "the signatures in another order": self.proof(header, signing=(3, 2)),
            "somebody else's signature": self.proof(header, signing=(2, 1)),
        }.items():
            self.refused(what, lambda: self.absent(proof))
        self.refused("a leaf elsewhere", self.elsewhere)
        self.refused("a length that is not minimal", lambda: self.absent(b"\x81\0" + self.proof(header)[1:]))

    def elsewhere(self) -> None:
        """The root is right, but the leaf is on the other side than the key."""
        right = h("state-key", b"k")[0] >> 7
        leaf = bytes([0 if right else 0x80]) + bytes(31), ZEROS
        pair = (ZEROS, h("state-leaf", *leaf)) if right else (h("state-leaf", *leaf), ZEROS)
        header = bytearray(self.header())
        header[192:224] = h("state-branch", *pair)
        self.absent(self.proof(bytes(header)), uleb(1) + ZEROS + b"\1" + b"".join(leaf))

    def test_a_chain_as_bytes(self) -> None:
        empty = h("list-root", u64(0), ZEROS)
        state = self.verifier.state(0).hash
        first = self.network + u64(0) * 3 + h("genesis-block", self.network) + ZEROS + u64(1) + empty * 2 + ZEROS + state
        genesis = b"\0" + first + b"\0"
        payload = [bytes([number]) * 150 for number in range(3)]
        leaves = [h("list-leaf", h("transaction", raw[:-64])) for raw in payload]
        root = h("list-root", u64(3), h("list-branch", h("list-branch", *leaves[:2]), leaves[2]))

        def block(height: int, parent: bytes, transactions: list[bytes], transactions_root: bytes) -> tuple[bytes, bytes]:
            """A block and its header."""
            certificate = self.proof()[1:]
            head = self.network + u64(0) + u16(1) + u64(height) + u64(9) + u64(len(transactions))
            hash_ = h("block", head, h("payload", *(u64(len(raw)) + raw for raw in transactions)), h("certificate", certificate))
            content = head[:-8] + uleb(len(transactions)) + b"".join(map(string, transactions)) + certificate
            header = self.network + u64(0) + u64(height) * 2 + hash_ + h("header", parent) + u64(9) + transactions_root + empty + ZEROS * 2
            return content, header

        second, second_header = block(1, first, payload, root)
        third, third_header = block(2, second_header, [], empty)
        certificate = self.proof(third_header)[1 + len(third_header) :]

        def take(*blocks: bytes) -> audit.Auditor:
            auditor = audit.Auditor(self.verifier)
            for stored in blocks:
                auditor.take(Reader.whole(stored, audit.StoredBlock.read))
            return auditor

        alone = b"\1" + second + second_header + b"\0"
        self.assertEqual(len(take(genesis, alone).unproved), 1)
        with_next = b"\1" + third + third_header + b"\1" + certificate
        self.assertEqual(take(genesis, alone, with_next).unproved, [])
        self.only(with_next, lambda bytes_: take(genesis, alone, bytes_))
        directly = b"\1" + second + second_header + b"\1" + self.proof(second_header)[1 + len(second_header) :]
        self.only(directly, lambda bytes_: take(genesis, bytes_))
        self.refused("a block on another one", lambda: take(genesis, with_next))
        self.refused("no block", lambda: take(genesis, b"\0" + second_header + b"\0"))
        for at in range(len(first)):
            other = bytearray(genesis)
            other[1 + at] ^= 1
            self.refused(f"byte {at} of the header of genesis", lambda: take(bytes(other), directly))

    def test_receipts(self) -> None:
        receipts = [bytes([number]) * 32 + b"\0" + string(b"answer") for number in range(3)]
        leaves = [h("list-leaf", receipt) for receipt in receipts]
        pair = h("list-branch", leaves[0], leaves[1])
        header = bytearray(self.header())
        header[160:192] = h("list-root", u64(3), h("list-branch", pair, leaves[2]))
        commit = self.proof(bytes(header))

        def proven(at: int, *siblings: bytes, index: int | None = None, count: int = 3) -> object:
            path = u32(at if index is None else index) + u32(count) + uleb(len(siblings)) + b"".join(siblings)
            return self.verifier.receipt(receipts[at][:32], receipts[at] + path + commit)

        proven(0, leaves[1], leaves[2])
        proven(1, leaves[0], leaves[2])
        proven(2, pair)
        self.refused("another position", lambda: proven(0, leaves[1], leaves[2], index=1))
        self.refused("a position too high", lambda: proven(2, pair, index=3))
        self.refused("another number", lambda: proven(2, pair, count=4))
        self.refused("no list", lambda: proven(0, index=0, count=0))
        self.refused("a sibling too few", lambda: proven(0, leaves[1]))
        self.refused("a sibling too many", lambda: proven(2, pair, ZEROS))

    def test_epoch_changes(self) -> None:
        members = [self.member(1), self.member(9, key=4)]

        def change(state: bytes) -> bytes:
            return self.proof(self.header(state=h("epoch-state", state))) + state

        good = self.state(1, members, version=2)
        own = self.state(0, [self.member(seat, power) for seat, power in enumerate((1, 2, 3, 4, 0))])
        self.assertEqual(h("epoch-state", own), self.verifier.states[0].hash)
        self.only(change(good), lambda bytes_: copy_of(self.verifier).follow(bytes_))
        for what, state in {
            "its own epoch": own,
            "a later epoch": self.state(2, members),
            "a version that nobody knows": self.state(1, members, version=3),
            "no members": self.state(1, []),
            "nobody with power": self.state(1, [self.member(1, 0)]),
            "too much power": self.state(1, [self.member(1, 2**48 + 1)]),
            "seats in another order": self.state(1, members[::-1]),
            "a seat twice": self.state(1, [self.member(1), self.member(1, key=2)]),
            "a seat too high": self.state(1, [self.member(128, key=4)]),
            "a key twice": self.state(1, [self.member(1), self.member(2, key=1)]),
        }.items():
            self.refused(what, lambda: self.verifier.follow(change(state)))
        self.refused("another state than the header's", lambda: self.verifier.follow(self.proof(self.header()) + good))
        later = self.proof(self.header(6, epoch=1), epoch=1, seats=(1, 9), signing=(1, 4))
        with self.assertRaises(LaterEpoch):
            self.absent(later)
        self.verifier.follow(change(good))
        self.absent(later)
        self.absent(self.proof(self.header(4)))
        self.absent(self.proof(self.header(5, state=h("epoch-state", good))))
        self.refused("another block at the end of an epoch", lambda: self.absent(self.proof(self.header(5))))
        self.refused("a block after the end of an epoch", lambda: self.absent(self.proof(self.header(6))))
        self.refused("a former committee", lambda: self.absent(self.proof(self.header(6, epoch=1), epoch=1)))

    def test_evidence(self) -> None:
        other = bytes([1]) * 32

        def proven(
            *statements: tuple[bytes, bytes],
            kind: int,
            seat: int = 3,
            by: int | None = None,
            epoch: int = 0,
            network: bytes = self.network,
        ) -> Member:
            ordered = sorted(statements, key=lambda statement: statement[1])
            signed = b"".join(content + self.keys[seat if by is None else by].sign(hash_) for content, hash_ in ordered)
            head = network + u64(epoch) + u16(seat) + uleb(kind)
            return evidence.convicted(self.verifier, head + signed)

        def vote(**of: Any) -> tuple[bytes, bytes]:
            content = self.vote(**of)
            return content, h("vote", content[112:])

        def timeout(round_: int, high: int, epoch: int = 0) -> tuple[bytes, bytes]:
            content = u64(epoch) + u64(round_) + u64(high)
            return content, h("timeout", self.network, content)

        def proposal(time: int, round_: int = 5, author: int = 3) -> tuple[bytes, bytes]:
            content = u16(author) + u64(round_) + u64(time) + u64(0) + ZEROS * 2
            return content, h("proposal", h("block", self.network, u64(0), content))

        limit = 2**64 - 9
        good = {0: (vote(), vote(commits=other)), 1: (timeout(5, 3), timeout(5, 4)), 2: (proposal(1), proposal(2))}
        for kind, pair in good.items():
            self.assertEqual(proven(*pair, kind=kind).seat, 3)
            self.refused("a statement twice", lambda: proven(pair[0], pair[0], kind=kind))
            self.refused("an observer", lambda: proven(*pair, kind=kind, seat=4))
            self.refused("a free seat", lambda: proven(*pair, kind=kind, seat=5, by=3))
            self.refused("another signer", lambda: proven(*pair, kind=kind, by=2))
            self.refused("another network", lambda: proven(*pair, kind=kind, network=other))
            self.refused("another epoch", lambda: proven(*pair, kind=kind, epoch=1))
        for what, kind, pair in (
            ("votes of two rounds", 0, (vote(), vote(rounds=(8, 7)))),
            ("a vote of another network", 0, (vote(), vote(network=other))),
            ("a vote of another epoch", 0, (vote(), vote(epoch=1))),
            ("a vote with another vote info", 0, (vote(), vote(info=other))),
            ("a vote that should commit", 0, (vote(), vote(commits=None))),
            ("votes below their parents", 0, (vote(rounds=(6, 6), commits=None), vote(rounds=(6, 7), commits=None))),
            ("timeouts of two rounds", 1, (timeout(5, 3), timeout(6, 3))),
            ("a timeout of another epoch", 1, (timeout(5, 3), timeout(5, 3, epoch=1))),
            ("a timeout at its certificate's round", 1, (timeout(5, 3), timeout(5, 5))),
            ("timeouts of too high a round", 1, (timeout(limit, 3), timeout(limit, 4))),
            ("proposals of two rounds", 2, (proposal(1), proposal(2, round_=6))),
            ("a proposal of another author", 2, (proposal(1), proposal(2, author=2))),
            ("proposals of round 0", 2, (proposal(1, round_=0), proposal(2, round_=0))),
            ("proposals of too high a round", 2, (proposal(1, round_=limit), proposal(2, round_=limit))),
        ):
            self.refused(what, lambda: proven(*pair, kind=kind))


@unittest.skipUnless(GOLDEN.is_dir(), "the golden files are not here")
class Golden(Case):
    def setUp(self) -> None:
        self.hashes = dict(reversed(line.split(" ", 1)) for line in (GOLDEN / "hashes.txt").read_text().splitlines())
        self.genesis = self.file("genesis.hex")
        self.state = Reader.whole(self.genesis, read_genesis)

    def file(self, name: str) -> bytes:
        return bytes.fromhex((GOLDEN / name).read_text())

    def test_hashes(self) -> None:
        transaction = self.file("transaction-raw.hex")
        key = transaction[32:64]
        certificate, header = self.file("quorum-cert.hex"), self.file("header.hex")
        self.assertEqual(h("genesis", self.genesis).hex(), self.hashes["genesis"])
        self.assertEqual(self.state.hash.hex(), self.hashes["epoch state"])
        self.assertEqual(h("transaction", transaction[:-64]).hex(), self.hashes["transaction id"])
        self.assertEqual(h("address", key).hex(), self.hashes["address"])
        self.assertEqual(h("certificate", certificate).hex(), self.hashes["quorum certificate"])
        self.assertEqual(h("header", header).hex(), self.hashes["state id"])
        self.assertEqual(Reader.whole(self.file("block.hex"), audit.Block.read).id.hex(), self.hashes["block id"])

    def test_evidence(self) -> None:
        network = h("genesis", self.genesis)
        views = [json.loads(line) for line in (GOLDEN / "api.jsonl").read_text().splitlines() if '"contradiction"' in line]
        files = sorted(GOLDEN.glob("evidence-*.hex"))
        self.assertEqual((len(files), len(views)), (3, 3))
        for file, view in zip(files, views):
            golden = self.file(file.name)
            self.assertEqual(evidence.evidence_bytes(view), golden)
            self.only(golden, lambda bytes_: Reader.whole(bytes_, evidence.Evidence.read).verify(network, self.state))


if __name__ == "__main__":
    unittest.main()
