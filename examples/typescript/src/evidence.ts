/** Evidence against a validator that has signed two contradictory statements, checked from the genesis hash alone. */

import type { Json } from "./json.js";
import {
  EpochState, Fields, QuorateError, ROUND_LIMIT, Reader, Verifier, Vote, check, h, option, same, u16, u64, uleb, unhex, verifySignature,
  type Member,
} from "./quorate.js";

interface Statement {
  readonly round: bigint;
  readonly signed: Buffer;
  readonly signature: Buffer;
  /** What must hold apart from the signature. */
  readonly verify: () => void;
}

export class Evidence {
  private constructor(
    readonly genesisHash: Buffer,
    readonly epoch: bigint,
    readonly culprit: number,
    readonly kind: "votes" | "timeouts" | "proposals",
    private readonly statements: readonly [Statement, Statement],
  ) {}

  static read(this: void, r: Reader): Evidence {
    const [genesisHash, epoch, culprit] = [r.hash(), r.u64(), r.small(2)];
    const kind = (["votes", "timeouts", "proposals"] as const)[r.uleb(2)]!;
    const statement = { votes: vote, timeouts: timeout, proposals: proposal }[kind];
    return new Evidence(genesisHash, epoch, culprit, kind, [statement(), statement()]);

    function vote(): Statement {
      const seen = Vote.read(r);
      return { round: seen.round, signed: seen.signed, signature: r.signature(), verify: () => seen.verify(genesisHash, epoch) };
    }

    function timeout(): Statement {
      const [seenEpoch, round, high] = [r.u64(), r.u64(), r.u64()];
      const verify = (): void => {
        check(seenEpoch === epoch, "a timeout is of another epoch");
        check(high < round && round < ROUND_LIMIT, `round ${round} is not possible`);
      };
      return { round, signed: h("timeout", genesisHash, u64(seenEpoch), u64(round), u64(high)), signature: r.signature(), verify };
    }

    function proposal(): Statement {
      const [[author, round], head] = r.raw(() => {
        const [author, round] = [r.small(2), r.u64()];
        r.u64(), r.u64(), r.hash(), r.hash();
        return [author, round] as const;
      });
      const verify = (): void => {
        check(author === culprit, "a proposal is of another author");
        check(0n < round && round < ROUND_LIMIT, `round ${round} is not possible`);
      };
      return { round, signed: h("proposal", h("block", genesisHash, u64(epoch), head)), signature: r.signature(), verify };
    }
  }

  verify(genesisHash: Buffer, state: EpochState): Member {
    check(same(this.genesisHash, genesisHash), "the evidence is of another network");
    check(this.epoch === state.epoch, "the evidence is of another epoch");
    const culprit = state.voter(this.culprit);
    const [first, second] = this.statements;
    check(first.round === second.round, "the statements are of different rounds");
    check(Buffer.compare(first.signed, second.signed) < 0, "the statements are the same, or not in order");
    for (const statement of this.statements) {
      statement.verify();
      verifySignature(culprit, statement.signed, statement.signature);
    }
    return culprit;
  }
}

/** The BCS encoding of evidence in JSON. */
export function evidenceBytes(json: Json): Buffer {
  const evidence = new Fields(json, "the evidence");
  const vote = (of: Fields): Buffer[] => {
    const [info, commit] = [of.in("vote_info"), of.in("commit_info")];
    return [
      info.bytes("id", 32), u64(info.number("round")), info.bytes("parent_id", 32), u64(info.number("parent_round")),
      info.bytes("exec_state_id", 32), commit.bytes("genesis_hash", 32), u64(commit.number("epoch")),
      option(commit.field("commit_state_id") ?? null, (id) => unhex(String(id), 32)), commit.bytes("vote_info_hash", 32),
    ];
  };
  const timeout = (of: Fields): Buffer[] => ["epoch", "round", "high_qc_round"].map((name) => u64(of.number(name)));
  const proposal = (of: Fields): Buffer[] => {
    const head = of.in("head");
    const numbers = ["round", "timestamp", "transactions"].map((name) => u64(head.number(name)));
    return [u16(head.number("author")), ...numbers, head.bytes("payload", 32), head.bytes("qc", 32)];
  };
  const contradiction = evidence.in("contradiction");
  const kinds = [["votes", vote], ["timeouts", timeout], ["proposals", proposal]] as const;
  const number = kinds.findIndex(([name]) => contradiction.field(name) !== undefined);
  const [name, encode] = kinds[number] ?? [];
  if (name === undefined || encode === undefined) throw new QuorateError("the evidence has no contradiction");
  const signed = contradiction.list(name).flatMap((json) => {
    const of = new Fields(json, "a statement");
    return [...encode(of), of.bytes("signature", 64)];
  });
  const head = [evidence.bytes("genesis_hash", 32), u64(evidence.number("epoch")), u16(evidence.number("culprit")), uleb(number)];
  return Buffer.concat([...head, ...signed]);
}

/** The validator that evidence convicts. */
export function convicted(verifier: Verifier, evidence: Buffer): Member {
  const read = Reader.whole(evidence, Evidence.read);
  return read.verify(verifier.genesisHash, verifier.state(read.epoch));
}
