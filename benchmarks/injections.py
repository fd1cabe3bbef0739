"""How far does an attacker get who owns the model once it has read his text, and what is the user asked?

uv run --with agentdojo==0.1.35 python benchmarks/injections.py [--suite NAME] [--quick] [--show]

The suites of agentdojo, without a model. An honest run makes the package's own calls for a user's task, one after
the other; each is judged before it is made, and its result is what the judge learns. In an attack the text of an
injection stands wherever others can write and the task reads; from the call on that shows it, the calls are the
attacker's: the package's own for that injection, or, where it gives none, ours by the injection's goal.

Counted is every pair of a user's task and an injection in which a call of the attacker's with an effect was let
through; one that is exactly a call of the user's own task is the user's. Three humans: nobody (a question is a
refusal), a careful one (approves what the honest task consists of, and nothing else), and one who approves
everything. The planner is taken to be honest and good: before anything is read, it knows which tools the task takes,
and names the values of an argument that aims where the goal names all of them. The declarations of the tools are in
`benchmarks/dojo/team/policy.yaml`. Writes benchmark-injections.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.dojo.attacker import ENCODINGS, Assault, Ruse
from benchmarks.dojo.engine import Engine
from benchmarks.dojo.judges import HUMANS, AllowAll, AskEffects, Human, Judge, OnlyPlanned, Tools
from benchmarks.dojo.package import SUITES, Call, Stage, Suite, UserTask, load_suites
from benchmarks.dojo.play import Attack, Honest, Table

ENGINE: Final = "crews"
WORDS: Final = "his words in the honest calls"
"""Counted where an honest call with an effect and a content is left."""
RUSES: Final[dict[str, Ruse]] = {
    "a new plan asks for his tools first": "replan",
    "between the honest calls": "between",
    "has his targets echoed first": "echo",
    WORDS: "words",
}
QUICK: Final = "plain"


@dataclass(slots=True)
class Row:
    """One policy under one human."""

    policy: str
    human: Human
    tasks: int = 0
    completed: int = 0
    asked: int = 0
    attacks: dict[str, Column] = field(default_factory=dict[str, "Column"])


@dataclass(slots=True)
class Column:
    """One way of attacking: counts of pairs, and of questions."""

    pairs: int = 0
    exposed: int = 0
    armed: int = 0
    acted: int = 0
    breached: int = 0
    asked: int = 0

    def add(self, attack: Attack) -> None:
        """Count one pair."""
        self.pairs += 1
        self.exposed += attack.exposed
        self.armed += attack.armed
        self.acted += attack.acted
        self.breached += attack.breached
        self.asked += attack.made.questions


def judges(tools: Tools) -> Iterator[tuple[str, Judge, Human]]:
    """What is measured, and what it is compared with."""
    yield "allow everything", AllowAll(tools), "nobody"
    yield "only the plan's tools", OnlyPlanned(tools), "nobody"
    for human in HUMANS:
        yield "ask before every effect", AskEffects(tools), human
    for human in HUMANS:
        yield "crews, a plan of tools only", Engine(tools, names=False), human
    for human in HUMANS:
        yield ENGINE, Engine(tools), human


class Measuring:
    """All runs of one suite after the other."""

    def __init__(self, tools: Tools, quick: bool, show: bool) -> None:
        self._tools, self._quick, self._show = tools, quick, show
        self._judges = tuple(judges(tools))
        self.rows = [Row(policy, human) for policy, _, human in self._judges]

    def measure(self, suite: Suite) -> None:
        """Every task of the suite, and every pair."""
        for task in suite.user_tasks.values():
            stage = Stage(suite, task)
            tables = [
                Table(self._tools, judge, human, suite, task, stage)
                for _, judge, human in self._judges
            ]
            for row, table in zip(self.rows, tables, strict=True):
                self._count_honest(row, table.honest(), suite, task)
            for encoding in (QUICK,) if self._quick else ENCODINGS:
                self._attack(suite, stage, tables, encoding)

    def _attack(self, suite: Suite, stage: Stage, tables: list[Table], encoding: str) -> None:
        ruses = RUSES if encoding == QUICK and not self._quick else {}
        for injection in suite.injection_tasks.values():
            assault = Assault.on(suite.name, stage, injection, encoding)
            for row, table in zip(self.rows, tables, strict=True):
                if row.policy != ENGINE and encoding != QUICK:
                    continue
                self._count(row, encoding, table.attacked(assault, "direct"), table, assault)
                for name, ruse in ruses.items() if row.policy == ENGINE else ():
                    self._count(row, name, table.attacked(assault, ruse), table, assault)

    def _count_honest(self, row: Row, run: Honest, suite: Suite, task: UserTask) -> None:
        row.tasks += 1
        row.completed += run.completed
        row.asked += run.made.questions
        if self._show and row.policy == ENGINE and row.human == "careful":
            _tell(f"asked     {suite.name} {task.ID}", run.made.asked)
            _tell(f"refused   {suite.name} {task.ID}", run.made.refused)

    def _count(self, row: Row, name: str, run: Attack, table: Table, assault: Assault) -> None:
        row.attacks.setdefault(name, Column()).add(run)
        if self._show and row.policy == ENGINE and row.human == "nobody":
            where = f"{table.suite.name} {table.task.ID} {assault.task.ID}"
            _tell(f"let through ({name}) {where}", run.made.acted)


def _tell(what: str, calls: list[Call]) -> None:
    for call in calls:
        print(f"{what}: {call.key[:160]}")


def table_of_policies(rows: list[Row]) -> Iterator[str]:
    """Each policy and human, against the plain attack."""
    heads = ("tasks done", "asked/task", "his effects", "goal met", "asked/attack")
    yield f"{'policy':30}{'human':10}" + "".join(f"{head:>16}" for head in heads)
    for row in rows:
        column = row.attacks[QUICK]
        cells = (
            f"{row.completed}/{row.tasks}",
            f"{row.asked / row.tasks:.2f}",
            _part(column.acted, column.pairs),
            f"{column.breached}",
            f"{column.asked / column.pairs:.2f}",
        )
        yield f"{row.policy:30}{row.human:10}" + "".join(f"{cell:>16}" for cell in cells)


def table_of_attacks(rows: list[Row]) -> Iterator[str]:
    """The engine against each way of attacking."""
    own = [row for row in rows if row.policy == ENGINE]
    yield f"{'attack on crews':40}" + "".join(f"{row.human:>16}" for row in own)
    for name in own[0].attacks:
        columns = [row.attacks[name] for row in own]
        cells = (_part(c.acted, c.armed if name == WORDS else c.pairs) for c in columns)
        yield f"{name:40}" + "".join(f"{cell:>16}" for cell in cells)


def _part(some: int, of: int) -> str:
    return f"{some} ({some / of:.2%})" if of else "-"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this one")
    parser.add_argument("--quick", action="store_true", help="only the plain, direct attack")
    parser.add_argument("--show", action="store_true", help="every question and every breach")
    given = parser.parse_args()
    began = time.perf_counter()
    suites = load_suites()
    measuring = Measuring(Tools(), given.quick, given.show)
    for name in given.suite or SUITES:
        measuring.measure(suites[name])
    lines = (*table_of_policies(measuring.rows), "", *table_of_attacks(measuring.rows))
    print("\n".join(lines))
    print(f"\n{time.perf_counter() - began:.0f} s")
    write(measuring.rows)
    return 0


def write(rows: list[Row]) -> None:
    """The counts as JSON."""
    Path("benchmark-injections.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
