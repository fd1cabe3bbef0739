"""Where did a run's tokens and money go: per agent, thread and model? And a team's: per day?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crews.records.days import list_days
from crews.records.journal import Journal
from crews.records.rows import RunRow, RunStatus, TurnRow
from crews.records.runs import get_run
from crews.records.store import Store
from crews.report.money import Money, of_turn, total


@dataclass(frozen=True, slots=True)
class Share:
    """What one agent, thread or model used."""

    name: str
    turns: int
    input_tokens: int
    """Not from a cache."""
    cache_write_tokens: int
    cache_read_tokens: int
    output_tokens: int
    money: Money
    other_tokens: int = 0
    """Of a purged run only their number is known."""

    @property
    def tokens(self) -> int:
        """Every token."""
        read = self.input_tokens + self.cache_write_tokens + self.cache_read_tokens
        return read + self.output_tokens + self.other_tokens


@dataclass(frozen=True, slots=True)
class Costs:
    """What a run used, and who used it; each list holds the run's whole use."""

    run: str
    goal: str
    status: RunStatus
    purged_at: float | None
    """When the run's contents were removed; then only `total` is known."""
    total: Share
    agents: tuple[Share, ...]
    threads: tuple[Share, ...]
    models: tuple[Share, ...]


def costs(store: Store, run: str) -> Costs:
    """Add up a run's turns.

    Raises:
        UsageError: there is no such run.
    """
    row = get_run(store, run)
    journal = Journal(store, run, row.epoch)
    threads = journal.threads()
    agents = {t.path: t.agent for t in threads}
    # What a fork took over was paid for by the run that it came from.
    turns = [turn for t in threads for turn in journal.turns(t.path) if not turn.copied]
    return Costs(
        run=run,
        goal=row.goal,
        status=row.status,
        purged_at=row.purged_at,
        total=share("total", turns) if row.purged_at is None else _kept(row),
        agents=_by([(agents[t.path], t) for t in turns]),
        threads=_by([(f"{t.path} {agents[t.path]}", t) for t in turns]),
        models=_by([(t.model, t) for t in turns]),
    )


def _kept(row: RunRow) -> Share:
    """What stays of a purged run: its sums."""
    money = Money(row.money, row.money_known)
    return Share("total", row.turns, 0, 0, 0, 0, money, other_tokens=row.tokens)


def _by(named: Iterable[tuple[str, TurnRow]]) -> tuple[Share, ...]:
    groups: dict[str, list[TurnRow]] = {}
    for name, turn in named:
        groups.setdefault(name, []).append(turn)
    return tuple(share(name, turns) for name, turns in groups.items())


def share(name: str, turns: Sequence[TurnRow]) -> Share:
    """What these turns used together."""
    return Share(
        name=name,
        turns=len(turns),
        input_tokens=sum(t.input_tokens for t in turns),
        cache_write_tokens=sum(t.cache_write_tokens for t in turns),
        cache_read_tokens=sum(t.cache_read_tokens for t in turns),
        output_tokens=sum(t.output_tokens for t in turns),
        money=total(of_turn(t.money) for t in turns),
    )


@dataclass(frozen=True, slots=True)
class TeamDay:
    """What a team spent on one day (UTC)."""

    team: str
    day: str
    money: Money
    extended: Money
    """What a human allowed on that day beyond the daily limit."""
    lifted: bool
    """A human allowed what has no known price: there was no limit on that day."""


def team_days(store: Store, days: int | None = None) -> tuple[TeamDay, ...]:
    """What teams spent, the newest day first; of the newest `days` on which anything was spent.

    What a process' death cut off is in no day's money, though its provider may have billed it.
    """
    return tuple(
        TeamDay(r.team, r.day, Money(r.money, r.money_known), Money(r.extended), r.lifted)
        for r in list_days(store, days)
    )
