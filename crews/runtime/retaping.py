"""Which tape would replay a run that nobody recorded? Its requests are made again from its rows.

Each is compared, by its hash, with the one that was sent: a tape that would not replay is not made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from crews.records import audit, tape
from crews.records.forks import rows_of
from crews.records.rows import CallRow, RunRow, ThreadRow, TurnRow
from crews.records.store import Store, dump
from crews.runtime.conversation import Conversation
from crews.runtime.models import ModelAnswer, ModelRequest
from crews.runtime.tapes import entry_of
from crews.safety.redact import Redactor
from crews.teams.spec import TeamSpec


@dataclass(frozen=True, slots=True)
class Retaped:
    """A tape, or why there is none."""

    text: str
    why: str = ""


def tape_of(store: Store, run: RunRow, redactor: Redactor) -> Retaped:
    """The tape of a run, as `--record` would have written it; `Retaped.why` where that cannot be."""
    rows = rows_of(store, run.id)
    compactions = _compactions(store, run.id)
    lines: list[tuple[float, str]] = []
    for thread in rows.threads:
        turns = [t for t in rows.turns if t.path == thread.path]
        calls = [c for c in rows.calls if c.path == thread.path]
        for turn in turns:
            request = _request(run.spec, thread, turns, calls, turn, compactions)
            if request is None:
                where = f"turn {turn.turn} of thread {turn.path}"
                return Retaped("", f"the request of {where} cannot be made again from the rows")
            lines.append((turn.ended_at, dump(entry_of(request, _answer(turn), redactor))))
    if not lines:
        return Retaped("", "no model has answered")
    note = f"Made from the rows of a run of team {run.team_name}."
    return Retaped(tape.header(note) + "".join(f"{line}\n" for _, line in sorted(lines)))


def _compactions(store: Store, run: str) -> dict[str, list[int]]:
    """Thread -> how many turns were sent without their long results, each time that changed."""
    found: dict[str, list[int]] = {}
    for entry in audit.entries(store, run):
        if entry.kind == "compacted":
            body = json.loads(entry.body)
            found.setdefault(body["thread"], []).append(int(body["turns"]))
    return found


def _request(
    team: TeamSpec,
    thread: ThreadRow,
    turns: Sequence[TurnRow],
    calls: Sequence[CallRow],
    turn: TurnRow,
    compactions: dict[str, list[int]],
) -> ModelRequest | None:
    """The request that led to the turn; None: what is made from the rows is not what was sent."""
    if not team.has(thread.agent):
        return None
    # A fork's thread begins compacted, and its log does not say so.
    for compacted in sorted({0, thread.compacted, *compactions.get(thread.path, ())}):
        before = [t for t in turns if t.turn < turn.turn]
        for request in _candidates(team, replace(thread, compacted=compacted), before, calls):
            if request.digest() == turn.request_hash:
                return request
    return None


def _candidates(
    team: TeamSpec, thread: ThreadRow, before: Sequence[TurnRow], calls: Sequence[CallRow]
) -> Iterator[ModelRequest]:
    """The next request of a thread: free to call what it likes, or made to hand over."""
    talk = Conversation.begin(thread)
    for turn in before:
        talk.add_turn(turn, tuple(c for c in calls if c.turn == turn.turn))
        talk.add_results(talk.calls)
    for forced in (None, *(tool["name"] for tool in talk.tools)):
        yield ModelRequest(
            thread=thread.path,
            turn=len(before),
            agent=thread.agent,
            model=thread.model,
            system=thread.system,
            tools=talk.tools,
            messages=tuple(talk.messages),
            texts=tuple(talk.texts),
            max_tokens=team.agent(thread.agent).max_tokens,
            forced_tool=forced,
        )


def _answer(turn: TurnRow) -> ModelAnswer:
    return ModelAnswer(
        blocks=tuple(turn.content),
        stop_reason=turn.stop_reason,
        model=turn.model,
        input_tokens=turn.input_tokens,
        output_tokens=turn.output_tokens,
        cache_write_tokens=turn.cache_write_tokens,
        cache_read_tokens=turn.cache_read_tokens,
        money=turn.money,
        seconds=turn.seconds,
    )
