"""How does a run's report read? As Markdown in which a model's words can forge nothing of ours."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from crews.plain import one_line, plain
from crews.records.store import Store
from crews.report.facts import Asked, ChangedFile, Evidence, Refusal, Report, Took, Work, report
from crews.report.money import Money, counted, duration, total


def markdown(store: Store, run: str) -> str:
    """A run's report, whatever its state; the same rows give the same text.

    Raises:
        UsageError: there is no such run.
    """
    return written(report(store, run))


def written(found: Report) -> str:
    """A report as Markdown."""
    parts = [
        _head(found),
        _section("Result", _result(found)),
        _section("Who did what", "\n\n".join(_work(w, found.summary) for w in found.work)),
        _section("Asked and decided", _table(_ASKED, [_asked(a) for a in found.asked])),
        _section("Refused", _table(_REFUSED, [_refused(r) for r in found.refusals])),
        _section("Changes", _changes(found.files, found.delivery)),
        _section("Open questions", "\n".join(f"- {cell(q)}" for q in found.open_questions)),
        _section("What it took", _took(found.took, found.work)),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def quoted(text: str) -> str:
    """Somebody's words as a quotation: no heading, tag or picture in them counts as ours."""
    lines = _tame(plain(text)).strip().split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def cell(text: str, width: int = 200) -> str:
    """Somebody's words within a line or a table's cell."""
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", _tags(one_line(text, width)))


def code(text: str) -> str:
    """A name as code; a backtick in it cannot end it."""
    return f"`{one_line(text).replace('`', 'ˋ').replace('|', '¦')}`" if text else ""


def _tame(text: str) -> str:
    # A picture is fetched by whoever shows the report: its address could carry data out.
    text = _tags(text).replace("![", "!\\[")
    return re.sub(r"^(\s*)(#{1,6}(?:\s|$))", r"\1\\\2", text, flags=re.MULTILINE)


def _tags(text: str) -> str:
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _head(found: Report) -> str:
    at = datetime.fromtimestamp(found.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    by = f", asked for by {cell(found.started_by)}" if found.started_by else ""
    status = f"**{found.status}**" + (f": {cell(found.reason, 400)}" if found.reason else "")
    return (
        f"# Run {code(found.run)}: {cell(found.goal, 300)}\n\n"
        f"Team {code(found.team)}, {at}{by}{_origin(found)}. Status: {status}"
        + "".join(
            f"\n\n**The files could not be rebuilt exactly:** {cell(difference, 400)}"
            for difference in found.differences
        )
    )


def _origin(found: Report) -> str:
    return f", {cell(found.origin)}" if found.origin else ""


def _result(found: Report) -> str:
    return f"In the team's own words:\n\n{quoted(found.summary)}" if found.summary else ""


def _work(work: Work, summary: str) -> str:
    step = f", step {code(work.step)}" if work.step else ""
    title = f"### {code(work.agent)} at {code(work.path)}{step}: {cell(work.task, 120)}"
    return "\n\n".join(p for p in (title, _used(work), _handed_over(work, summary)) if p)


def _used(work: Work) -> str:
    spent = f"{counted(work.tokens, 'token')}, {work.money}, {duration(work.working_seconds)}"
    state = {"open": "not finished", "failed": "failed", "done": "done"}.get(work.state, work.state)
    return f"{state}; {counted(work.turns, 'turn')}, {counted(work.calls, 'call')}, {spent}."


def _handed_over(work: Work, summary: str) -> str:
    given = work.handover
    lines = [f"- **flagged:** {cell(flag, 400)}" for flag in work.flags]
    if given is None:
        return "\n".join(lines)
    if given.verdict:
        lines.append(f"- verdict: **{given.verdict}**")
    lines += [f"- says it changed: {cell(change)}" for change in given.changes]
    if work.evidence:
        lines.append(f"- evidence: {_evidence(work.evidence)}")
    if work.kind != "brief" and given.confidence:
        lines.append(f"- confidence, by its own account: {given.confidence:g}")
    # What stands above as the result is not said twice.
    said = "" if work.said == summary else quoted(work.said)
    return f"{said}\n\n{chr(10).join(lines)}".strip()


def _evidence(named: Sequence[Evidence]) -> str:
    """The calls that were named, counted by tool; what is missing or went wrong is named by place."""
    done = Counter(e.tool for e in named if e.state == "done")
    parts = [f"{code(tool)} x{count}" if count > 1 else code(tool) for tool, count in done.items()]
    for evidence in named:
        if evidence.state is None:
            parts.append(f"{code(evidence.address)} (**no such call**)")
        elif evidence.state != "done":
            parts.append(f"{code(evidence.address)} {code(evidence.tool)} ({evidence.state})")
    return ", ".join(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_ASKED = ("review", "what", "rule", "decision", "by", "waited")


def _asked(asked: Asked) -> tuple[str, ...]:
    decision = asked.decision or asked.state
    decision += " (void: what was asked about has changed)" if asked.state == "void" else ""
    decision += f": {cell(asked.answer)}" if asked.answer else ""
    waited = "" if asked.waited is None else duration(asked.waited)
    return (
        code(asked.id), cell(asked.title), code(asked.rule), decision, cell(asked.by), waited,
    )  # fmt: skip


_REFUSED = ("call", "agent", "tool", "rule", "by", "reason")


def _refused(refusal: Refusal) -> tuple[str, ...]:
    return (
        code(refusal.address), code(refusal.agent), code(refusal.tool), code(refusal.rule),
        cell(refusal.by) or "policy", cell(refusal.reason),
    )  # fmt: skip


def _changes(files: Sequence[ChangedFile], delivery: str) -> str:
    if not delivery:
        return ""
    lines = [f"- {code(f.path)} {f.kind} ({_extent(f)})" for f in files]
    return "\n".join([f"The change set: {delivery}.", *([""] if lines else []), *lines])


def _extent(file: ChangedFile) -> str:
    """How much of a file changed; what a human wrote into it was never counted."""
    return "as edited by the human" if file.edited else f"+{file.additions} -{file.deletions}"


def _took(took: Took, work: Sequence[Work]) -> str:
    facts = [
        ("turns", f"{took.turns:,}"),
        ("calls", f"{took.calls:,}"),
        ("tokens", f"{took.tokens:,}"),
        ("money", str(took.money)),
        ("working time", duration(took.working_seconds)),
        ("waiting for a human", duration(took.waiting_seconds)),
        ("delegations", f"{took.delegations:,}, at most {took.at_once} at once"),
    ]
    whole = _table(("", "total"), facts)
    agents = _table(("agent", "threads", "turns", "tokens", "money"), list(_per_agent(work)))
    return f"{whole}\n\n{agents}" if agents else whole


def _per_agent(work: Sequence[Work]) -> Iterator[tuple[str, ...]]:
    for agent in dict.fromkeys(w.agent for w in work):
        mine = [w for w in work if w.agent == agent]
        money: Money = total(w.money for w in mine)
        turns, tokens = sum(w.turns for w in mine), sum(w.tokens for w in mine)
        yield code(agent), str(len(mine)), f"{turns:,}", f"{tokens:,}", str(money)
