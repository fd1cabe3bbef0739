"""How do a review, a diff, a timeline and a report look, drawn and as plain text?"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crews.cli.parts import Part
from crews.plain import one_line, visible
from crews.report.money import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from crews.report import Moment

SHORT = 60
"""Lines of a diff or a text that are shown at first."""


def parts_text(parts: Sequence[Part]) -> str:
    """Parts as plain text."""
    return "\n".join(_part_text(part) for part in parts)


def _part_text(part: Part) -> str:
    match part.kind:
        case "head":
            return part.text
        case "fact":
            return f"{part.title}: {part.text}"
        case "words":
            return f"{part.title}:\n{textwrap.indent(part.text, '  | ', lambda _: True)}"
        case "list":
            return f"{part.title}:\n{textwrap.indent(part.text, '  - ')}"
        case "code" | "diff":
            return f"{part.title}:\n{textwrap.indent(part.text.rstrip(), '    ')}"


def parts_drawn(parts: Sequence[Part], limit: int | None = None) -> RenderableType:
    """Parts for a terminal; `limit`: lines of one part, the rest is only counted."""
    from rich.console import Group

    return Group(*(_part_drawn(part, limit) for part in parts))


def shortened(parts: Sequence[Part], limit: int = SHORT) -> bool:
    """Would `parts_drawn` leave something out?"""
    return any(part.text.count("\n") >= limit for part in parts)


def _part_drawn(part: Part, limit: int | None) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    text, more = _cut(part.text, limit)
    rest = Text(f"  … {more} more lines: press v to see all", style="yellow") if more else Text()
    match part.kind:
        case "head":
            return Text(text, style="bold")
        case "fact":
            return Text.assemble((f"{part.title}: ", "dim"), text)
        case "words":
            body = Padding(Text(text, style="italic"), (0, 0, 0, 2))
        case "list":
            body = Padding(Text("\n".join(f"- {line}" for line in text.split("\n"))), (0, 0, 0, 2))
        case "code":
            body = Padding(Text(text, style="cyan"), (0, 0, 0, 4))
        case "diff":
            body = Padding(diff_drawn(text), (0, 0, 0, 2))
    return Group(Text(f"{part.title}:", style="dim"), body, *([rest] if more else []))


def _cut(text: str, limit: int | None) -> tuple[str, int]:
    lines = text.rstrip("\n").split("\n")
    if limit is None or len(lines) <= limit:
        return "\n".join(lines), 0
    return "\n".join(lines[:limit]), len(lines) - limit


def diff_drawn(diff: str) -> RenderableType:
    """A unified diff in colours; nothing in it can act on the terminal."""
    from rich.syntax import Syntax

    return Syntax(
        visible(diff).rstrip("\n"),
        "diff",
        theme="ansi_dark",
        background_color="default",
        word_wrap=True,
    )


def markdown_drawn(text: str) -> RenderableType:
    """Markdown for a terminal; a link shows its address, for its text may say another."""
    from rich.markdown import Markdown

    return Markdown(visible(text), hyperlinks=False)


def timeline_text(moments: Sequence[Moment]) -> str:
    """A timeline as indented lines."""
    return "\n".join(_moment_text(m) for m in moments)


def timeline_drawn(moments: Sequence[Moment]) -> RenderableType:
    """A timeline for a terminal."""
    from rich.text import Text

    lines = [Text(_moment_text(m), style=_style(m)) for m in moments]
    return Text("\n").join(lines)


def _moment_text(moment: Moment) -> str:
    at = "" if moment.at is None else duration(moment.at)
    return f"{at:>9}  {'  ' * moment.depth}{one_line(_what(moment), 1000)}".rstrip()


def _what(moment: Moment) -> str:
    detail = f" | {moment.detail}" if moment.detail else ""
    match moment.kind:
        case "thread":
            return f"{moment.agent} {moment.address} ({moment.state}): {moment.title}{detail}"
        case "turn":
            return f"{moment.title}{detail}"
        case "call":
            usual = moment.ruling == "allow" and moment.rule.startswith("default-")
            told = moment.ruling and not usual
            ruling = f" [{moment.ruling} by {moment.rule or 'default'}]" if told else ""
            return f"{moment.title} -> {moment.state}{ruling}{detail}"
        case "review":
            rule = f" [{moment.rule}]" if moment.rule else ""
            return f"review {moment.address}: {moment.title}{rule} -> {moment.state}{detail}"
        case "hand_over":
            verdict = f" ({moment.state})" if moment.state else ""
            return f"hands over{verdict}: {moment.title}{detail}"
        case "flag":
            return f"flag: {moment.title}"


def _style(moment: Moment) -> str:
    if moment.kind == "flag" or moment.state in {"denied", "failed", "unknown"}:
        return "red"
    if moment.kind == "review":
        return "yellow"
    return {"thread": "bold", "turn": "dim", "hand_over": "green"}.get(moment.kind, "")
