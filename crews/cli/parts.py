"""What does a human need to see to decide a review? Parts in order, before anything is drawn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crews.cli.aims import aims, listed, steps, text_of
from crews.cli.output import moment
from crews.plain import one_line, plain, visible
from crews.records.questions import ReviewKind, ReviewRow
from crews.records.reviews import meaning
from crews.records.rows import RunRow
from crews.report.money import Money, counted, duration

PartKind = Literal["head", "fact", "words", "list", "code", "diff"]


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a review, harmless to print."""

    kind: PartKind
    title: str
    text: str
    """Lines; a `list` has one entry a line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who can answer, and for how many calls."""

    at: float
    """Seconds since the epoch: when the review is looked at."""
    may: tuple[str, ...] | None
    """Users who may decide; None: the journal knows no users."""
    same: tuple[ReviewRow, ...]
    """The open reviews of the same question, this one first."""

    @classmethod
    def now(cls, may: tuple[str, ...] | None, same: tuple[ReviewRow, ...]) -> Asked:
        """As it is at this moment."""
        return cls(time.time(), may, same)


def review_parts(
    review: ReviewRow, run: RunRow | None = None, asked: Asked | None = None
) -> tuple[Part, ...]:
    """A review as parts; `run` adds what was spent so far, `asked` who may decide."""
    return tuple(part for part in _parts(review, run, asked) if part.text.strip())


def _parts(review: ReviewRow, run: RunRow | None, asked: Asked | None) -> Iterator[Part]:
    yield Part("head", "", one_line(review.title, 300))
    where = f"by {one_line(review.agent)} at {one_line(review.address)}"
    yield _fact("review", f"{review.id} ({review.kind.replace('_', ' ')}) {where}")
    if run is not None:
        yield _fact("run", f"{run.id}: {one_line(run.goal, 200)}")
    yield _fact("stopped by", _why(review))
    yield from _people(review, asked)
    yield Part("list", "findings", _findings(review))
    yield from _brief(review)
    yield from _subject(review)
    if run is not None:
        yield _fact("spent so far", _spent(run))
    yield from _decided(review)


def choices_part(review: ReviewRow) -> Part:
    """What can be decided, and what each decision means."""
    meant = meaning(review)
    lines = [f"{choice}: {meant.get(choice, '')}" for choice in review.choices]
    return Part("list", "you can", "\n".join(lines))


def _fact(title: str, text: str) -> Part:
    return Part("fact", title, text)


def _people(review: ReviewRow, asked: Asked | None) -> Iterator[Part]:
    """Who is asked, until when, and who comes after them."""
    eyes = "four eyes: not whoever started the run" if review.four_eyes else ""
    yield _fact("to be decided by", ", ".join(p for p in (one_line(review.role), eyes) if p))
    if asked is not None and asked.may is not None and review.state == "open":
        yield _fact(
            "who may", one_line(", ".join(asked.may) or "nobody: no user has the role", 400)
        )
    yield Part("list", "chain", "\n".join(_stage(review, n) for n in range(len(review.stages))))
    if review.state != "open":
        return
    at = time.time() if asked is None else asked.at
    last = review.stage + 1 >= len(review.stages)
    yield _fact("due", f"{due}, then {'denied' if last else 'the next one is asked'}"
                if (due := until(review, at)) else "")  # fmt: skip
    if review.claimed_by and review.claimed_until is not None and review.claimed_until > at:
        yield _fact(
            "seen by", f"{one_line(review.claimed_by)} until {moment(review.claimed_until)}"
        )
    if asked is not None and len(asked.same) > 1:
        others = ", ".join(r.id for r in asked.same[1:])
        yield _fact(
            "asked", f"{len(asked.same)} times: one decision is for {others} too (`--only`: not)"
        )


def _stage(review: ReviewRow, number: int) -> str:
    stage = review.stages[number]
    now = " <- now" if review.state == "open" and number == review.stage else ""
    remind = f", reminded every {duration(stage.remind)}" if stage.remind else ""
    return f"{one_line(stage.role) or 'whoever may'}: {duration(stage.within)}{remind}{now}"


def until(review: ReviewRow, at: float) -> str:
    """How long an open review's present stage still lasts, as seen at that time; empty: for ever."""
    if review.due_at is None or review.state != "open":
        return ""
    left = review.due_at - at
    return f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago"


def _why(review: ReviewRow) -> str:
    names = [f"`{one_line(name)}`" for name in review.rule.split(", ") if name]
    rule = f"rule{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else ""
    return ": ".join(p for p in (rule, one_line(review.reason, 400)) if p)


def _findings(review: ReviewRow) -> str:
    """One line a file and category: which lines, and what was seen there."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for found in json.loads(review.findings):
        place = (str(found.get("path", "")), str(found.get("category", "")))
        groups.setdefault(place, []).append(found)
    return "\n".join(_finding(*place, found) for place, found in groups.items())


def _finding(path: str, category: str, found: Sequence[dict[str, Any]]) -> str:
    lines = sorted({int(f["line"]) for f in found if f.get("line")})
    where = f":{','.join(map(str, lines))}" if lines else ""
    details = dict.fromkeys(str(f.get("detail", "")) for f in found)
    return " ".join(f"{visible(path)}{where} {category}: {visible('; '.join(details))}".split())


def _brief(review: ReviewRow) -> Iterator[Part]:
    brief = review.briefing
    if brief is None:
        yield _fact("brief", f"none: {one_line(review.brief_note or 'none was written', 300)}")
        return
    lines = [plain(brief.what), f"Why it was stopped: {plain(brief.why)}"]
    lines += [f"Risk: {brief.risk}", f"Recommends: {plain(brief.recommendation)}"]
    lines += [f"Checked: {plain(entry)}" for entry in brief.checked]
    lines += [f"Could not know: {plain(entry)}" for entry in brief.unknown]
    title = "brief by the escalation agent (a model's words, not checked)"
    yield Part("words", title, "\n".join(lines))


def _spent(run: RunRow) -> str:
    walls = run.walls
    tokens = counted(run.tokens, "token")
    tokens += f" of {walls.tokens:,}" if walls.tokens else ""
    money = str(Money(run.money, run.money_known))
    money += f" of ${walls.money}" if walls.money else ""
    return f"{tokens}, {money}, {duration(run.working_seconds)} of work"


def _decided(review: ReviewRow) -> Iterator[Part]:
    if review.state == "open":
        return
    text = review.state
    if review.decision:
        text = f"{review.decision} by {one_line(review.decided_by)}{_signed(review)}"
        text += f": {one_line(review.answer, 400)}" if review.answer else ""
        text += " (void: what was asked about has changed)" if review.state == "void" else ""
    yield _fact("decision", text)
    if review.edited is None:
        return
    if review.kind != "change_set":
        yield Part("code", "edited to", pretty(review.edited))
        return
    for key, title in (("files", "files with another text"), ("drop", "files left out")):
        paths = (visible(path).replace("\n", "⟨U+000A⟩") for path in review.edited.get(key, ()))
        yield Part("list", title, "\n".join(paths))
    yield _fact("as it was accepted", f"crews diff {review.run}")


def _signed(review: ReviewRow) -> str:
    """How the decider was known, and for what the decision holds."""
    known = {"login": " (by login)", "token": " (by token)"}.get(review.signed_in, "")
    return known + (" for the whole run" if review.scope == "run" else "")


def pretty(value: object) -> str:
    """A value as indented JSON with nothing unseen in it."""
    return visible(json.dumps(value, indent=2, ensure_ascii=False))


_SHOWN: dict[ReviewKind, frozenset[str]] = {
    "action": frozenset(
        {
            "tool",
            "effect",
            "paths",
            "command",
            "diff",
            "changes",
            "arguments",
            "owners",
            "started_at",
            "terms",
            "origins",
            "exposure",
        }
    ),
    "change_set": frozenset(
        {
            "summary",
            "reviewed_by",
            "owners",
            "folder",
            "apply",
            "files",
            "collected",
            "diff",
            "rules",
        }
    ),
    "plan": frozenset({"steps", "in_force", "tool", "effect", "arguments"}),
    "question": frozenset({"question", "context", "escalated"}),
    "hand_over": frozenset({"author", "reviewer", "rounds", "reasons", "summary", "round"}),
}
"""Keys that have a place of their own; every other one is shown as it is, so that none is hidden."""


def _subject(review: ReviewRow) -> Iterator[Part]:
    about = review.about
    match review.kind:
        case "action" | "unknown":
            yield from _action(about)
        case "change_set":
            yield from _change_set(about)
        case "plan":
            yield Part("list", "plan (the supervisor's words)", "\n".join(steps(about, "steps")))
            yield Part("list", "the plan in force", "\n".join(steps(about, "in_force")))
        case "question":
            yield Part("words", "question (the agent's words)", plain(text_of(about, "question")))
            yield Part("words", "context (the agent's words)", plain(text_of(about, "context")))
        case "hand_over":
            yield from _hand_over(about)
        case "budget" | "model":
            yield from _facts(about)
            return
    kind = "action" if review.kind == "unknown" else review.kind
    rest = {k: v for k, v in about.items() if k not in _SHOWN[kind] and v not in ("", [], {}, None)}
    yield Part("code", "further", pretty(rest) if rest else "")


def _action(about: dict[str, Any]) -> Iterator[Part]:
    yield _fact("tool", one_line(" ".join(text_of(about, key) for key in ("tool", "effect"))))
    paths = (visible(path).replace("\n", "⟨U+000A⟩") for path in listed(about, "paths"))
    yield Part("list", "paths", "\n".join(paths))
    yield Part("list", "aimed at", "\n".join(aims(about)))
    yield _owners(about)
    yield Part("code", "command", visible(text_of(about, "command")))
    yield Part("diff", "what it would change", visible(text_of(about, "diff")))
    if about.get("arguments"):
        yield Part("code", "arguments", pretty(about["arguments"]))
    started = about.get("started_at")
    yield _fact("started", moment(started) if isinstance(started, float) else "")


def _owners(about: dict[str, Any]) -> Part:
    return _fact("owners by CODEOWNERS", one_line(", ".join(listed(about, "owners")), 400))


def _change_set(about: dict[str, Any]) -> Iterator[Part]:
    yield Part("words", "summary (the team's words)", plain(text_of(about, "summary")))
    yield _fact("reviewed by", one_line(text_of(about, "reviewed_by")))
    yield _owners(about)
    yield _fact("folder", visible(text_of(about, "folder")))
    applied = "applied to the folder" if about.get("apply") else "kept, not applied"
    yield _fact("on approval", f"the changes are {applied}")
    files: list[dict[str, Any]] = about.get("files") or []
    yield Part("list", "files", "\n".join(_file(f) for f in files))
    collected: list[dict[str, Any]] = about.get("collected") or []
    yield Part("list", "calls that a rule wanted asked about", "\n".join(_collected(collected)))
    yield Part("diff", "diff", visible(text_of(about, "diff")))


def _collected(entries: list[dict[str, Any]]) -> Iterator[str]:
    """One line a rule: how many calls, which, and why it asks."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        why = (text_of(entry, "rule"), text_of(entry, "reason"))
        groups.setdefault(why, []).append(text_of(entry, "call"))
    for (rule, reason), places in groups.items():
        calls = "1 call" if len(places) == 1 else f"{len(places)} calls"
        yield one_line(f"{rule}: {calls} ({', '.join(places)}): {reason}", 600)


def _file(found: dict[str, Any]) -> str:
    counts = f"+{found.get('additions', 0)} -{found.get('deletions', 0)}"
    counts = "binary" if found.get("binary") else counts
    path = visible(str(found.get("path", ""))).replace("\n", "⟨U+000A⟩")
    return f"{path} {found.get('kind', '')} ({counts})"


def _hand_over(about: dict[str, Any]) -> Iterator[Part]:
    for key in ("author", "reviewer", "rounds"):
        yield _fact(key, one_line(text_of(about, key)))
    reasons = "\n".join(one_line(reason, 400) for reason in listed(about, "reasons"))
    yield Part("list", "reasons of the rejection (the reviewer's words)", reasons)
    yield Part("words", "summary (the author's words)", plain(text_of(about, "summary")))


def _facts(about: dict[str, Any]) -> Iterator[Part]:
    for key, value in about.items():
        title = one_line(key.replace("_", " "))
        if isinstance(value, list):
            lines = "\n".join(one_line(entry, 400) for entry in listed(about, key))
            yield Part("list", title, lines)
        else:
            yield _fact(title, one_line(text_of(about, key), 600))
