"""Evidence against a validator that has signed two contradictory statements, checked from the genesis hash alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quorate import ROUND_LIMIT, EpochState, Member, QuorateError, Reader, Verifier, Vote
from quorate import check, h, option, u16, u64, uleb, unhex, verify_signature


@dataclass(frozen=True)
class Statement:
    """What a validator has signed, for evidence."""

    round: int
    signed: bytes
    signature: bytes
    verify: Callable[[], None]


@dataclass(frozen=True)
class Evidence:
    genesis_hash: bytes
    epoch: int
    culprit: int
    kind: str
    statements: list[Statement]

    @staticmethod
    def read(r: Reader) -> Evidence:
        genesis_hash, epoch, culprit, kind = r.hash(), r.u64(), r.number(2), r.uleb(2)

        def vote() -> Statement:
            seen = Vote.read(r)
            return Statement(seen.round, seen.signed, r.take(64), lambda: seen.verify(genesis_hash, epoch))

        def timeout() -> Statement:
            seen_epoch, round_, high = r.u64(), r.u64(), r.u64()

            def verify() -> None:
                check(seen_epoch == epoch, "a timeout is of another epoch")
                check(high < round_ < ROUND_LIMIT, f"round {round_} is not possible")

            return Statement(round_, h("timeout", genesis_hash, u64(seen_epoch), u64(round_), u64(high)), r.take(64), verify)

        def proposal() -> Statement:
            head = r.take(2 + 3 * 8 + 2 * 32)
            author, round_ = int.from_bytes(head[:2], "little"), int.from_bytes(head[2:10], "little")

            def verify() -> None:
                check(author == culprit, "a proposal is of another author")
                check(0 < round_ < ROUND_LIMIT, f"round {round_} is not possible")

            return Statement(round_, h("proposal", h("block", genesis_hash, u64(epoch), head)), r.take(64), verify)

        read = (vote, timeout, proposal)[kind]
        statements = [read(), read()]
        return Evidence(genesis_hash, epoch, culprit, ("votes", "timeouts", "proposals")[kind], statements)

    def verify(self, genesis_hash: bytes, state: EpochState) -> Member:
        check(self.genesis_hash == genesis_hash, "the evidence is of another network")
        check(self.epoch == state.epoch, "the evidence is of another epoch")
        culprit = state.voter(self.culprit)
        first, second = self.statements
        check(first.round == second.round, "the statements are of different rounds")
        check(first.signed < second.signed, "the statements are the same, or not in order")
        for statement in self.statements:
            statement.verify()
            verify_signature(culprit, statement.signed, statement.signature)
        return culprit


def evidence_bytes(evidence: dict[str, Any]) -> bytes:
    """The BCS encoding of evidence in JSON."""

    def vote(of: dict[str, Any]) -> bytes:
        info, commit = of["vote_info"], of["commit_info"]
        return b"".join([
            unhex(info["id"], 32), u64(info["round"]), unhex(info["parent_id"], 32), u64(info["parent_round"]),
            unhex(info["exec_state_id"], 32),
            unhex(commit["genesis_hash"], 32), u64(commit["epoch"]), option(commit["commit_state_id"], lambda id_: unhex(id_, 32)),
            unhex(commit["vote_info_hash"], 32),
        ])  # fmt: skip

    def timeout(of: dict[str, Any]) -> bytes:
        return u64(of["epoch"]) + u64(of["round"]) + u64(of["high_qc_round"])

    def proposal(of: dict[str, Any]) -> bytes:
        head = of["head"]
        numbers = u16(head["author"]) + u64(head["round"]) + u64(head["timestamp"]) + u64(head["transactions"])
        return numbers + unhex(head["payload"], 32) + unhex(head["qc"], 32)

    try:
        ((kind, statements),) = evidence["contradiction"].items()
        number, encode = {"votes": (0, vote), "timeouts": (1, timeout), "proposals": (2, proposal)}[kind]
        signed = b"".join(encode(of) + unhex(of["signature"], 64) for of in statements)
        return unhex(evidence["genesis_hash"], 32) + u64(evidence["epoch"]) + u16(evidence["culprit"]) + uleb(number) + signed
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise QuorateError(f"this is not evidence: {error!r}") from error


def convicted(verifier: Verifier, evidence: bytes) -> Member:
    """The validator that evidence convicts."""
    read = Reader.whole(evidence, Evidence.read)
    return read.verify(verifier.genesis_hash, verifier.state(read.epoch))
