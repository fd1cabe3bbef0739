"""What does the audit log say of each step of a run? Structure in the entry, words in the vault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import Connection

from crews.records import audit
from crews.records.rows import CallRow, HandOver, TurnRow
from crews.records.vault import Contents
from crews.safety.action import Verdict


@dataclass(frozen=True, slots=True)
class Step:
    """An entry about one call, whose texts hold no secrets."""

    kind: str
    body: Mapping[str, JsonValue]
    """Empty texts are left out."""
    contents: Contents | None = None
    keyed: Contents | None = None


def note_call(connection: Connection, run: str, call: CallRow, step: Step) -> None:
    """Tell of a step of a call."""
    body = {"call": call.address, "tool": call.tool, **step.body}
    body = {k: v for k, v in body.items() if v != ""}
    audit.append(
        connection, run, step.kind, body, contents=step.contents, keyed=step.keyed, clean=True
    )


def ruled(
    verdict: Verdict, agent: str, arguments: str, reason: str, standing: str, labels: Sequence[str]
) -> Step:
    """What policy said of a call."""
    return Step(
        "verdict",
        {
            "agent": agent, "ruling": verdict.ruling, "rule": verdict.rule,
            "deferred": verdict.deferred, "standing": standing, "labels": list(labels),
        },
        contents={"arguments": arguments, "reason": reason},
    )  # fmt: skip


def note_turn(connection: Connection, run: str, turn: TurnRow) -> None:
    """Tell of a model's answer."""
    audit.append(
        connection,
        run,
        "model_request",
        {
            "thread": turn.path, "turn": turn.turn, "model": turn.model, "tokens": turn.tokens,
            "input": turn.input_tokens, "output": turn.output_tokens,
            "cache_write": turn.cache_write_tokens, "cache_read": turn.cache_read_tokens,
            "money": turn.money,
        },
        keyed={"request": turn.request_hash},
    )  # fmt: skip


def note_handover(
    connection: Connection,
    run: str,
    path: str,
    handover: HandOver,
    flags: Sequence[str],
    hash_after: str,
) -> None:
    """Tell of a thread's end."""
    audit.append(
        connection,
        run,
        "hand_over",
        {"thread": path, "verdict": handover.verdict, "confidence": handover.confidence},
        contents={"flags": list(flags)},
        keyed={"content_hash": hash_after},
    )
