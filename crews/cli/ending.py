"""What is said when a run has ended or waits: the report, where the changes are, what to do next?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from crews.cli.output import console, has_colour, put, put_json, say
from crews.cli.render import markdown_drawn
from crews.plain import one_line, plain
from crews.records.questions import ReviewRow
from crews.records.rows import RunRow

if TYPE_CHECKING:
    from crews.api import Result


def say_end(result: Result) -> None:
    """The result as the last line of JSON."""
    from crews.cli.shapes import result_shape

    put_json(result_shape(result))


def tell_end(result: Result, run: RunRow, *, answer_only: bool) -> None:
    """The report on stdout; what to do next on stderr."""
    if answer_only:
        if run.summary:
            put(plain(run.summary))
    else:
        print_markdown(result.report)
        if changed := _changes(result, run):
            say("\n".join(changed))
    lines = _waiting(result) if result.status == "waiting" else _ended(result)
    if lines:
        say("\n".join(lines))


def print_markdown(text: str) -> None:
    """Markdown, drawn on a terminal."""
    if has_colour(sys.stdout):
        console(sys.stdout).print(markdown_drawn(text))
    else:
        put(text)


def _changes(result: Result, run: RunRow) -> list[str]:
    if result.change_set.is_empty:
        return []
    files = len(result.change_set.files)
    what = f"{files} changed file" + ("s" if files != 1 else "")
    if run.applied_hash:
        return [f"{what}: applied to {run.asked.source}; `crews undo {run.id}` takes them back"]
    lines = [f"{what}, not applied: `crews diff {run.id}` prints them"]
    if run.asked.source and run.approved_hash and not run.asked.observe:
        lines.append(f"`crews apply {run.id}` applies them to {run.asked.source}")
    return lines


def _waiting(result: Result) -> list[str]:
    lines = [f"run {result.run_id} waits for a human:"]
    for review in result.waiting_for:
        lines += [f"  {one_line(review.title, 160)}", *commands(review)]
    if not result.waiting_for:
        lines.append(f"  crews resume {result.run_id}")
    return lines


def commands(review: ReviewRow) -> list[str]:
    """The commands that decide a review."""
    key = review.id
    wanted = {
        "approve": f"    crews inbox approve {key} --resume",
        "answer": f'    crews inbox answer {key} "..." --resume',
        "reject": f'    crews inbox reject {key} --reason "..." --resume',
    }
    return [f"    crews inbox show {key}"] + [wanted[c] for c in review.choices if c in wanted]


def _ended(result: Result) -> list[str]:
    if result.status == "completed":
        return []
    reason = f": {one_line(result.reason, 400)}" if result.reason else ""
    lines = [f"run {result.run_id} {result.status}{reason}"]
    if result.status == "failed":
        lines.append(f"  go on with: crews resume {result.run_id}")
    return lines
