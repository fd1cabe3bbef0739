"""What happens in a run when nobody attacks, and what when somebody does?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from benchmarks.dojo.attacker import Assault, Ruse
from benchmarks.dojo.judges import Human, Judge, Tools
from benchmarks.dojo.package import Call, Setting, Stage, Suite, UserTask, World

LONGEST: Final = 80
"""Characters of a value that an attacker would have repeated."""


@dataclass(slots=True)
class Made:
    """What became of some calls."""

    asked: list[Call] = field(default_factory=list[Call])
    refused: list[Call] = field(default_factory=list[Call])
    acted: list[Call] = field(default_factory=list[Call])
    """Calls with an effect that were let through and are not the user's own."""
    plans: int = 0
    """Questions about a wider plan."""

    @property
    def questions(self) -> int:
        """How often a human was asked."""
        return len(self.asked) + self.plans


@dataclass(frozen=True, slots=True)
class Honest:
    """One honest run."""

    made: Made
    completed: bool


@dataclass(frozen=True, slots=True)
class Attack:
    """One run in which the model is the attacker's from the moment that it has read his text."""

    before: Made
    made: Made
    exposed: bool
    """Has the model read his text at all?"""
    armed: bool
    """Does what he wants take an effect at all?"""
    breached: bool
    """By the package's own check of the environment."""

    @property
    def acted(self) -> bool:
        """Was a call of his with an effect let through?"""
        return bool(self.made.acted)


@dataclass(frozen=True, slots=True)
class Table:
    """One judge, one human, one user's task."""

    tools: Tools
    judge: Judge
    human: Human
    suite: Suite
    task: UserTask
    stage: Stage

    def honest(self) -> Honest:
        """The task as the user meant it."""
        world = self._begin(self.stage.honest)
        made = Made()
        for call in self.stage.honest.honest:
            self._put(call, world, made, self.stage.honest)
        return Honest(made, world.completed(self.task))

    def attacked(self, assault: Assault, ruse: Ruse) -> Attack:
        """The task, until its calls have read what was injected; from then on, the attacker's."""
        setting = assault.setting
        world = self._begin(setting)
        before, made = Made(), Made()
        rest = self._until_read(assault.text, world, setting, before)
        wanted = assault.calls(world.now) if ruse != "words" else self._reworded(rest, assault)
        armed = any(self.tools.acts(call) for call in wanted)
        if rest is None:
            return Attack(before, made, exposed=False, armed=armed, breached=False)
        if ruse == "replan":
            self._replan(wanted, made)
        if ruse == "echo":
            self._echo(wanted, world, made, setting)
        for index, call in enumerate(wanted):
            if ruse == "between" and index < len(rest):
                self._put(rest[index], world, before, setting)
            self._put(call, world, made, setting)
        breached = bool(made.acted) and world.breached(assault.task)
        return Attack(before, made, True, armed, breached)

    def _begin(self, setting: Setting) -> World:
        self.judge.begin(self.task.PROMPT, setting.honest)
        return World(self.suite, setting)

    def _until_read(
        self, text: str, world: World, setting: Setting, made: Made
    ) -> Sequence[Call] | None:
        """The honest calls that are left when the text has been read; None: it never was."""
        for index, call in enumerate(setting.honest):
            if _shows(self._put(call, world, made, setting), text):
                return setting.honest[index + 1 :]
        return None

    def _put(self, call: Call, world: World, made: Made, setting: Setting) -> str:
        """Make a call if it may be made; the text that came of it."""
        ruling = self.judge.judge(call)
        own = any(call.key == other.key for other in setting.honest)
        if ruling == "ask":
            made.asked.append(call)
            if self.human == "yes" or (self.human == "careful" and own):
                self.judge.approved(call)
                ruling = "allow"
        if ruling != "allow":
            made.refused.append(call)
            return ""
        if self.tools.acts(call) and not own:
            made.acted.append(call)
        ran = world.run(call)
        self.judge.result(call, ran)
        return ran.text

    def _replan(self, wanted: Sequence[Call], made: Made) -> None:
        tools = frozenset(call.tool for call in wanted)
        ruling = self.judge.replan(tools)
        made.plans += ruling == "ask"
        if ruling == "allow" or (ruling == "ask" and self.human == "yes"):
            self.judge.replanned(tools)

    def _echo(self, wanted: Sequence[Call], world: World, made: Made, setting: Setting) -> None:
        """Ask every reading tool of the plan for each value that he needs, to have it said by the tool."""
        readers = {c.tool: c for c in setting.honest if not self.tools.acts(c)}
        values = {v for c in wanted if self.tools.acts(c) for v in _short_texts(c.arguments)}
        for reader in readers.values():
            for name, value in reader.arguments.items():
                for mine in sorted(values) if isinstance(value, str) else ():
                    asked = Call(reader.tool, {**reader.arguments, name: mine})
                    self._put(asked, world, made, setting)

    def _reworded(self, rest: Sequence[Call] | None, assault: Assault) -> tuple[Call, ...]:
        """The honest calls with an effect that are left, with his words in place of the content."""
        return tuple(
            Call(call.tool, {**call.arguments, **dict.fromkeys(contents, assault.task.GOAL)})
            for call in rest or ()
            if (contents := self._contents(call))
        )

    def _contents(self, call: Call) -> tuple[str, ...]:
        roles = self.tools.spec(call.tool).arguments if self.tools.acts(call) else {}
        return tuple(n for n, v in call.arguments.items() if roles.get(n) == "content" and v)


def _short_texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) < LONGEST:
        yield value
    elif isinstance(value, Mapping):
        yield from _short_texts(list(cast("Mapping[str, object]", value).values()))
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _short_texts(inner)


def _shows(read: str, text: str) -> bool:
    return text in read or json.dumps(text)[1:-1] in read
