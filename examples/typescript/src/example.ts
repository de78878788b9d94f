/** Signs a transfer and a put, submits them, waits, and verifies receipts, account, value and absence from the genesis hash alone. */

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

import { Client, Key, OWN, QuorateError, balance, hex, ownKey, put, transfer, unhex } from "./quorate.js";

const USAGE = `node dist/example.js --api URL --genesis-hash HASH --key SEED-OR-FILE [--to ADDRESS] [--amount N]

--api           URL of a node, such as http://127.0.0.1:8080; it need not be trusted
--genesis-hash  the network's genesis hash, from someone you trust
--key           an account's seed, 64 hexadecimal digits, or its unencrypted key file
--to            address that gets the amount; by default a new account`;

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { api: text, "genesis-hash": text, key: text, to: text, amount: { ...text, default: "1000" } } });
  const { api, "genesis-hash": genesisHash, key: keyText } = values;
  if (api === undefined || genesisHash === undefined || keyText === undefined) throw new QuorateError(USAGE);
  const client = await Client.connect(api, unhex(genesisHash, 32));
  const key = Key.load(keyText);
  const to = values.to === undefined ? new Key(randomBytes(32)).address : unhex(values.to, 32);

  const payloads = { transfer: transfer(to, BigInt(values.amount)), put: put(OWN, Buffer.from("greeting"), Buffer.from("hello")) };
  for (const [what, payload] of Object.entries(payloads)) {
    const { value: receipt, header } = await client.send(key, payload);
    const result = receipt.failure === null ? "applied" : `failed: ${receipt.failure.code} ${receipt.failure.numbers.join(" ")}`;
    console.log(`${what}: ${hex(receipt.txId)} ${result}, epoch ${header.epoch}, height ${header.height}`);
  }
  const account = await client.account(to);
  console.log(`account ${hex(to)}: ${account.value === null ? "absent" : balance(account.value)}, at height ${account.header.height}`);
  for (const name of ["greeting", "nothing"]) {
    const { value, header } = await client.state(ownKey(key.address, Buffer.from(name)));
    console.log(`${name}: ${value === null ? "absent" : value.toString()}, at height ${header.height}`);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof QuorateError ? error.message : error);
  process.exitCode = 1;
});
