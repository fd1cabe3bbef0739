"""What has a thread read, and by whom may it be aimed? Reads of its rows: there is no other state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

from pydantic import JsonValue

from crews.records import inbox
from crews.records.journal import Journal
from crews.records.rows import CallRow, ThreadRow
from crews.runtime.scene import Scene
from crews.safety.known import UNDECLARED, Known
from crews.safety.labels import AIMED, Exposure, Grounds, worst
from crews.safety.values import leaves, pieces
from crews.tools.gate import AnyTool

_SETTING = re.compile(r"(?m)^([ \t-]*[\w-]+:)[ \t]*[\d._]+[ \t]*(?=#|$)")
"""A number that sets something, like a budget: it is no amount that anybody is to be paid."""
PLAN = "plan"
"""The control tool whose arguments fix what a run will need."""


@dataclass(slots=True)
class Knowledge:
    """One thread's, as it grows."""

    scene: Scene
    thread: ThreadRow
    tools: Mapping[str, AnyTool]
    _known: Known = field(init=False)

    def __post_init__(self) -> None:
        self._known = Known(Grounds.of(trusted_texts(self.scene, self.thread)), _label(self.thread))

    def learn(self, calls: Iterable[CallRow]) -> None:
        """Take in the results of a turn."""
        for call in calls:
            tool = self.tools.get(call.tool)
            self._known = self._known.after(
                call.address,
                call.label,
                call.whole_result or call.result,
                tool=tool.declared if tool else UNDECLARED,
                arguments=call.args if call.label in {"trusted", "fields"} else None,
                failed=call.is_error,
            )

    def now(self) -> Known:
        """What is known, with what humans have said by now, where an action can be aimed at all."""
        sandbox = self.scene.sandbox
        reaching = sandbox is not None and bool(sandbox.egress)
        if not reaching and not any(tool.effect in AIMED for tool in self.tools.values()):
            return self._known
        return self._known.trusting(human_words(self.scene.journal))


def _label(thread: ThreadRow) -> Exposure:
    return worst((thread.label,))


def trusted_texts(scene: Scene, thread: ThreadRow) -> Iterator[str]:
    """What a thread may be aimed by from its beginning: goal, inputs, the team's files, and its brief.

    A brief counts only if who wrote it had read nothing of others; else what was planned before that does.
    """
    row = scene.row()
    yield row.goal
    yield from (text for _, text in leaves(json.loads(row.inputs)))
    yield from (without_settings(text) for text in scene.team.sources.values())
    if _label(thread) == "trusted":
        yield thread.brief
    elif thread.kind == "delegation":
        yield from _planned(scene.journal, thread)


@lru_cache(maxsize=64)
def without_settings(source: str) -> str:
    """A file of the team without its bare figures; one text for all of the team's runs."""
    return _SETTING.sub(r"\1", source)


def human_words(journal: Journal) -> Iterator[str]:
    """What humans answered or wrote in this run. An approval is no word of theirs: it holds for one call."""
    for review in inbox.list_reviews(journal.store, run=journal.run, state="decided"):
        if review.decision in {"answer", "approve", "edit"} and review.signed_in != "":
            yield review.answer
        if review.decision == "edit" and review.kind in {"action", "plan"}:
            yield from rewritten(review.about.get("arguments"), review.edited or {})


def rewritten(before: JsonValue, after: JsonValue) -> Iterator[str]:
    """What a human wrote into a call's arguments: a word that was there before is still the model's."""
    models = {part for _, text in leaves(before) for part in pieces(text)}
    for _, text in leaves(after):
        for theirs, words in groupby(text.split(), lambda word: models.isdisjoint(pieces(word))):
            if theirs:
                yield " ".join(words)


def _planned(journal: Journal, thread: ThreadRow) -> Iterator[str]:
    """The thread's step as it stands in the plans that were made while nothing of others had been read."""
    parent = journal.thread(parent_path(thread.path))
    if parent is None:
        return
    calls = journal.calls(parent.path)
    for call in calls:
        if (call.tool, call.state) == (PLAN, "done") and exposure_before(
            parent, calls, call.turn
        ) == "trusted":
            steps: list[Any] = list(call.args.get("steps") or ())  # type: ignore[arg-type]
            mine: list[JsonValue] = [s for s in steps if s.get("id") == thread.step]
            yield from (text for _, text in leaves(mine))


def parent_path(path: str) -> str:
    """Path of the thread that began this one."""
    return path.rpartition("/")[0] or "/"


def exposure_before(thread: ThreadRow, calls: Sequence[CallRow], turn: int) -> Exposure:
    """What a thread had read when it gave the answer of that turn."""
    return worst((thread.label, *(c.label for c in calls if c.turn < turn)))


def exposure_of(journal: Journal, thread: ThreadRow) -> Exposure:
    """What a thread has read in all."""
    return worst((thread.label, *(c.label for c in journal.calls(thread.path))))


def exposure_at(journal: Journal, address: str) -> Exposure:
    """What the thread of a call had read when it asked for it; a thread that is not there is the worst."""
    path, _, place = address.rpartition(":")
    thread = journal.thread(path)
    if thread is None:
        return "untrusted"
    return exposure_before(thread, journal.calls(path), int(place.partition(".")[0]))
