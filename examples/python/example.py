#!/usr/bin/env python3
"""Signs a transfer and a put, submits them, waits, and verifies receipts, account, value and absence from the genesis hash alone."""

from __future__ import annotations

import argparse
import os
import sys

from quorate import OWN, Client, Key, QuorateError, own_key, put, transfer, unhex


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", required=True, help="URL of a node, such as http://127.0.0.1:8080; it need not be trusted")
    parser.add_argument("--genesis-hash", required=True, help="the network's genesis hash, from someone you trust")
    parser.add_argument("--key", required=True, help="an account's seed, 64 hexadecimal digits, or its unencrypted key file")
    parser.add_argument("--to", help="address that gets the amount; by default a new account")
    parser.add_argument("--amount", type=int, default=1_000)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    client, key = Client(args.api, unhex(args.genesis_hash, 32)), Key.load(args.key)
    to = unhex(args.to, 32) if args.to else Key(os.urandom(32)).address

    for what, payload in (("transfer", transfer(to, args.amount)), ("put", put(OWN, b"greeting", b"hello"))):
        receipt = client.send(key, payload)
        result = "applied" if receipt.value.code is None else f"failed: {receipt.value.code} {receipt.value.numbers}"
        print(f"{what}: 0x{receipt.value.tx_id.hex()} {result}, epoch {receipt.header.epoch}, height {receipt.header.height}")

    account = client.account(to)
    print(f"account 0x{to.hex()}: {account.value and account.value.balance}, at height {account.header.height}")
    value = client.state(own_key(key.address, b"greeting"))
    print(f"greeting: {value.value!r}, at height {value.header.height}")
    absent = client.state(own_key(key.address, b"nothing"))
    print(f"nothing: {'absent' if absent.value is None else absent.value!r}, at height {absent.header.height}")


if __name__ == "__main__":
    try:
        main()
    except QuorateError as error:
        sys.exit(f"{type(error).__name__}: {error}")
