"""What did runs cost, per agent, thread and model, and teams per day? An unknown price is said to be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crews.cli import completion
from crews.cli.common import Json, journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.store import Store
    from crews.report import Costs, Money
    from crews.report.costs import Share, TeamDay


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cost")(cost)


def cost(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id.", autocompletion=completion.runs),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="How many runs, or with --by how many days.")
    ] = 20,
    by: Annotated[
        Literal["day", "team"] | None,
        typer.Option(help="What teams spent per day (UTC), or in all of these days."),
    ] = None,
    json: Json = False,
) -> None:
    """Show what a run cost, the latest runs together, or what teams spent on the latest days."""
    from crews.cli.output import put, put_json

    with journal() as (store, _):
        if by is not None:
            _put_days(store, by, run, limit, as_json=json)
            return
        found = _costs(store, run, limit)
    if json:
        put_json(_as_json(found[0]) if run else [_as_json(one) for one in found])
    elif run:
        put(one_run(found[0]))
    else:
        put(many_runs(found))


def _costs(store: Store, run: str | None, limit: int) -> list[Costs]:
    from crews.records.runs import list_runs
    from crews.report import costs

    names = [run] if run else [r.id for r in list_runs(store, limit=limit)]
    return [costs(store, name) for name in names]


_HEAD = ["turns", "input", "cache written", "cache read", "output", "money"]
_RIGHT = frozenset(range(1, 7))


def one_run(costs: Costs) -> str:
    """One run's costs as tables."""
    from crews.cli.output import moment, table
    from crews.plain import one_line

    if costs.purged_at is not None:
        total = costs.total
        took = f"{total.turns:,} turns, {total.tokens:,} tokens, {total.money}"
        return (
            f"run {costs.run} ({costs.status}): purged on {moment(costs.purged_at)}; it took {took}"
        )
    blocks = [f"run {costs.run} ({costs.status}): {one_line(costs.goal)}"]
    groups = (("agent", costs.agents), ("thread", costs.threads), ("model", costs.models))
    for name, shares in groups:
        rows = [*map(_row, shares), _row(costs.total)]
        blocks.append(table([name, *_HEAD], rows, right=_RIGHT))
    return "\n\n".join(blocks)


def many_runs(found: Sequence[Costs]) -> str:
    """Several runs' costs, each a line, and their sum."""
    from crews.cli.output import table
    from crews.plain import one_line
    from crews.report.money import total

    if not found:
        return "There are no runs yet."
    rows = [
        [c.run, c.status, f"{c.total.turns:,}", f"{c.total.tokens:,}", str(c.total.money),
         one_line(c.goal, 60)]
        for c in found
    ]  # fmt: skip
    turns, tokens = (sum(getattr(c.total, key) for c in found) for key in ("turns", "tokens"))
    money = total(c.total.money for c in found)
    rows.append(["total", "", f"{turns:,}", f"{tokens:,}", str(money), ""])
    head = ["run", "status", "turns", "tokens", "money", "goal"]
    return table(head, rows, right=frozenset({2, 3, 4}))


def _put_days(
    store: Store, by: Literal["day", "team"], run: str | None, limit: int, *, as_json: bool
) -> None:
    from crews.cli.output import put, put_json
    from crews.errors import UsageError
    from crews.report.costs import team_days

    if run is not None:
        raise UsageError("--by adds up every run", hint="leave out the run, or leave out --by")
    found = team_days(store, limit)
    if as_json:
        put_json([_day(one) for one in found] if by == "day" else _teams_as_json(found))
    elif not found:
        put("Nothing was spent yet.")
    else:
        put(by_day(found) if by == "day" else by_team(found))


def by_day(found: Sequence[TeamDay]) -> str:
    """What each team spent on each day, and the sum."""
    from crews.cli.output import table
    from crews.plain import one_line
    from crews.report.money import total

    rows = [
        [d.day, one_line(d.team, 40), str(d.money), "no limit" if d.lifted else _extended(d)]
        for d in found
    ]
    rows.append(["total", "", str(total(d.money for d in found)), ""])
    return table(["day (UTC)", "team", "money", "extended by"], rows, right=frozenset({2, 3}))


def _extended(day: TeamDay) -> str:
    return str(day.extended) if day.extended.nano else ""


def by_team(found: Sequence[TeamDay]) -> str:
    """What each team spent on all of these days, and the sum."""
    from crews.cli.output import table
    from crews.plain import one_line
    from crews.report.money import total

    rows = [
        [one_line(team, 40), f"{len(own):,}", str(total(d.money for d in own))]
        for team, own in _teams(found).items()
    ]
    days = len({d.day for d in found})
    rows.append(["total", f"{days:,}", str(total(d.money for d in found))])
    return table(["team", "days", "money"], rows, right=frozenset({1, 2}))


def _teams(found: Sequence[TeamDay]) -> dict[str, list[TeamDay]]:
    return {team: [d for d in found if d.team == team] for team in sorted({d.team for d in found})}


def _row(share: Share) -> list[str]:
    from crews.plain import one_line

    counts = (
        share.turns, share.input_tokens, share.cache_write_tokens, share.cache_read_tokens,
        share.output_tokens,
    )  # fmt: skip
    return [one_line(share.name, 50), *(f"{n:,}" for n in counts), str(share.money)]


def _as_json(costs: Costs) -> dict[str, Any]:
    from crews.cli.output import iso

    return {
        "run": costs.run,
        "goal": costs.goal,
        "status": costs.status,
        "purged_at": iso(costs.purged_at),
        "total": _share(costs.total),
        "agents": [_share(s) for s in costs.agents],
        "threads": [_share(s) for s in costs.threads],
        "models": [_share(s) for s in costs.models],
    }


def _share(share: Share) -> dict[str, Any]:
    return {
        "name": share.name,
        "turns": share.turns,
        "input_tokens": share.input_tokens,
        "cache_write_tokens": share.cache_write_tokens,
        "cache_read_tokens": share.cache_read_tokens,
        "output_tokens": share.output_tokens,
        "tokens": share.tokens,
        **_money(share.money),
    }


def _day(day: TeamDay) -> dict[str, Any]:
    return {
        "team": day.team,
        "day": day.day,
        **_money(day.money),
        "extended_usd": day.extended.nano / 1e9,
        "lifted": day.lifted,
    }


def _teams_as_json(found: Sequence[TeamDay]) -> list[dict[str, Any]]:
    from crews.report.money import total

    return [
        {"team": team, "days": len(own), **_money(total(d.money for d in own))}
        for team, own in _teams(found).items()
    ]


def _money(money: Money) -> dict[str, float | None]:
    dollars = money.dollars
    return {
        "cost_usd": None if dollars is None else float(dollars),
        "cost_usd_known_part": money.nano / 1e9,
    }
