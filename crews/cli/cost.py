"""What did runs cost, per agent, thread and model? An unknown price is said to be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli import completion
from crews.cli.common import Json, journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.store import Store
    from crews.report import Costs
    from crews.report.costs import Share


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cost")(cost)


def cost(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id.", autocompletion=completion.runs),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many runs, without RUN.")] = 20,
    json: Json = False,
) -> None:
    """Show what a run cost, or the latest runs together."""
    from crews.cli.output import put, put_json

    with journal() as (store, _):
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
    from crews.cli.output import table
    from crews.plain import one_line

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


def _row(share: Share) -> list[str]:
    from crews.plain import one_line

    counts = (
        share.turns, share.input_tokens, share.cache_write_tokens, share.cache_read_tokens,
        share.output_tokens,
    )  # fmt: skip
    return [one_line(share.name, 50), *(f"{n:,}" for n in counts), str(share.money)]


def _as_json(costs: Costs) -> dict[str, Any]:
    return {
        "run": costs.run,
        "goal": costs.goal,
        "status": costs.status,
        "total": _share(costs.total),
        "agents": [_share(s) for s in costs.agents],
        "threads": [_share(s) for s in costs.threads],
        "models": [_share(s) for s in costs.models],
    }


def _share(share: Share) -> dict[str, Any]:
    dollars = share.money.dollars
    return {
        "name": share.name,
        "turns": share.turns,
        "input_tokens": share.input_tokens,
        "cache_write_tokens": share.cache_write_tokens,
        "cache_read_tokens": share.cache_read_tokens,
        "output_tokens": share.output_tokens,
        "cost_usd": None if dollars is None else float(dollars),
        "cost_usd_known_part": share.money.nano / 1e9,
    }
