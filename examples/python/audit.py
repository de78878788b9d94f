#!/usr/bin/env python3
"""Reads the whole chain as bytes, and recomputes every hash in it from the genesis hash alone.

For each block: its id, the lists of transactions and receipts under its header, the header before it, and the quorum's signatures that
commit it. What it does not do is execute the transactions: it takes the state roots from the headers, which the quorum has signed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from quorate import (
    HEADERS_MAX,
    ZEROS,
    Client,
    CommitProof,
    Header,
    QuorateError,
    Reader,
    Receipt,
    Verifier,
    Vote,
    check,
    h,
    u16,
    u64,
    unhex,
)

TRANSACTION_BYTES_MAX = 1 << 16
TRANSACTIONS_MAX = 8_192
BLOCKS_MAX = 256
PART_BYTES_MAX = 4 << 20


@dataclass(frozen=True)
class Certificate:
    vote: Vote
    signers: int
    signatures: list[bytes]
    hash: bytes

    @staticmethod
    def read(r: Reader) -> Certificate:
        begin = r.at
        fields = Vote.read(r), r.number(16), r.sequence(lambda: r.take(64), 128)
        return Certificate(*fields, h("certificate", r.data[begin : r.at]))


@dataclass(frozen=True)
class Block:
    genesis_hash: bytes
    epoch: int
    round: int
    timestamp: int
    transactions: list[bytes]
    id: bytes

    @staticmethod
    def read(r: Reader) -> Block:
        genesis_hash, epoch, author, round_, timestamp = r.hash(), r.u64(), r.number(2), r.u64(), r.u64()
        transactions = r.sequence(lambda: r.string(TRANSACTION_BYTES_MAX), TRANSACTIONS_MAX)
        payload = h("payload", *(piece for raw in transactions for piece in (u64(len(raw)), raw)))
        head = genesis_hash + u64(epoch) + u16(author) + u64(round_) + u64(timestamp) + u64(len(transactions))
        return Block(genesis_hash, epoch, round_, timestamp, transactions, h("block", head, payload, Certificate.read(r).hash))


@dataclass(frozen=True)
class StoredBlock:
    block: Block | None
    header: Header
    certificate: Certificate | None

    @staticmethod
    def read(r: Reader) -> StoredBlock:
        return StoredBlock(r.option(lambda: Block.read(r)), Header.read(r), r.option(lambda: Certificate.read(r)))


def list_root(leaves: list[bytes]) -> bytes:
    """The root of the tree over a list."""

    def top(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return part[0]
        half = 1 << (len(part) - 1).bit_length() - 1
        return h("list-branch", top(part[:half]), top(part[half:]))

    return h("list-root", u64(len(leaves)), top(leaves) if leaves else ZEROS)


class Auditor:
    """Takes the blocks of a chain in order. A block is proved once a certificate commits it or one after it in its epoch."""

    def __init__(self, verifier: Verifier) -> None:
        self.verifier = verifier
        self.last: Header | None = None
        self.unproved: list[Header] = []

    @property
    def next(self) -> int:
        """The height of the next block."""
        return 0 if self.last is None else self.last.height + 1

    def take(self, stored: StoredBlock) -> None:
        header, block = stored.header, stored.block
        check(header.height == self.next, f"block {header.height} comes where {self.next} is expected")
        check(header.genesis_hash == self.verifier.genesis_hash, "a header is of another network")
        if self.last is None:
            self.genesis(stored)
        else:
            check(block is not None, f"there is no block at height {header.height}")
            check(header.parent == self.last.id, f"header {header.height} is not on the one before")
            named = (header.genesis_hash, header.epoch, header.round, header.timestamp, header.block_id)
            own = (block.genesis_hash, block.epoch, block.round, block.timestamp, block.id)
            check(named == own, f"header {header.height} is of another block")
            ids = [h("list-leaf", h("transaction", raw[:-64])) for raw in block.transactions]
            check(list_root(ids) == header.transactions_root, f"header {header.height} has other transactions")
            self.unproved.append(header)
            if stored.certificate is not None:
                self.prove(stored.certificate)
            check(len(self.unproved) < HEADERS_MAX, f"nothing commits block {header.height}")
        self.last = header

    def genesis(self, stored: StoredBlock) -> None:
        """Checks the header of genesis. Nobody has signed it; the first block's header names it."""
        header, empty = stored.header, list_root([])
        check(stored.block is None and header.parent == ZEROS, "genesis has no block and no parent")
        check((header.round, header.epoch) == (0, 0), "genesis is in round 0 of epoch 0")
        check(header.block_id == h("genesis-block", header.genesis_hash), "genesis has another id")
        check((header.transactions_root, header.receipts_root) == (empty, empty), "genesis has no transactions")
        check(header.epoch_state == self.verifier.state(0).hash, "genesis has another first epoch")

    def prove(self, certificate: Certificate) -> None:
        epoch = self.unproved[0].epoch
        commit = CommitProof(self.unproved, certificate.vote, certificate.signers, certificate.signatures)
        commit.verify(self.verifier.genesis_hash, self.verifier.state(epoch))
        self.unproved = []


def audit(client: Client) -> tuple[Header, int]:
    """Checks the node's chain up to its end. Returns the newest proved header, and the number of transactions."""
    client.follow()
    auditor, newest, transactions = Auditor(client.verifier), None, 0
    while True:
        part = client.raw(f"/v1/blocks/raw?from={auditor.next}")
        blocks = Reader.whole(part, lambda r: r.sequence(lambda: StoredBlock.read(r), BLOCKS_MAX), PART_BYTES_MAX)
        for stored in blocks:
            if stored.header.epoch > client.verifier.epoch:
                client.follow()
            auditor.take(stored)
            receipts = read_receipts(client, stored)
            root = list_root([receipt.leaf for receipt in receipts])
            check(root == stored.header.receipts_root, f"header {stored.header.height} has other receipts")
            transactions += len(receipts)
            newest = newest if auditor.unproved else stored.header
        if not blocks:
            check(newest is not None, "the node has no chain")
            return newest, transactions


def read_receipts(client: Client, stored: StoredBlock) -> list[Receipt]:
    """The receipts of a block, as many as it has transactions."""
    receipts: list[Receipt] = []
    count = 0 if stored.block is None else len(stored.block.transactions)
    while len(receipts) < count:
        part = client.raw(f"/v1/blocks/{stored.header.height}/receipts/raw?from={len(receipts)}")
        more = Reader.whole(part, lambda r: r.sequence(lambda: Receipt.read(r), TRANSACTIONS_MAX), PART_BYTES_MAX)
        check(bool(more), f"receipts are missing at height {stored.header.height}")
        receipts += more
    return receipts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--api", required=True, help="URL of a node, such as http://127.0.0.1:8080; it need not be trusted")
    parser.add_argument("--genesis-hash", required=True, help="the network's genesis hash, from someone you trust")
    args = parser.parse_args()
    header, transactions = audit(Client(args.api, unhex(args.genesis_hash, 32)))
    print(f"blocks 0 to {header.height} are whole and proved: {transactions} transactions, state root 0x{header.state_root.hex()}")


if __name__ == "__main__":
    try:
        main()
    except QuorateError as error:
        sys.exit(f"{type(error).__name__}: {error}")
