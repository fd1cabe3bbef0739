"""What does judging cost? Medians of looking at a change, of the gate's verdict, and of redacting a text.

uv run python benchmarks/safety.py
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from base64 import encodebytes as b64
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from crews.errors import UsageError
from crews.safety.action import Action, FileChange, Standing
from crews.safety.owners import parse
from crews.safety.personal import personal_data
from crews.safety.policy import judge
from crews.safety.redact import Redactor
from crews.safety.sensitivity import findings
from crews.teams.spec import Effect, Match, PolicySpec, Rule

ROOT = Path(__file__).parent.parent


def seconds(work: Callable[[], object], rounds: int = 15) -> float:
    """Median seconds of processor time of one call: other work on the machine counts little."""
    times: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def a_change(path: Path) -> FileChange:
    """One line of a real file changed."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    lines[len(lines) // 2] = "changed = True\n"
    return FileChange(path.name, text, "".join(lines))


def encoded(text: str, values: Mapping[str, str]) -> str:
    """The text as JSON, as URL, as hexadecimal and as base64, with a secret in each, once in 2 KB."""
    pieces: list[str] = []
    secrets = itertools.cycle(values.values())
    for at in range(0, len(text), 2048):
        raw = f"{text[at : at + 2048]} {next(secrets)}"
        pieces += [json.dumps(raw), quote(raw), raw.encode().hex(" "), b64(raw.encode()).decode()]
    return "\n".join(pieces)


def a_policy(rules: int) -> PolicySpec:
    """So many rules of every kind, few of which match."""
    kinds = (
        Match(path=("src/part{n}/**", "!src/part{n}/docs/**"), effect=("write",)),
        Match(content=("auth", "crypto", "permissions")),
        Match(tool=("tool_{n}*",), agent=("agent{n}",)),
        Match(content=("regex:DROP TABLE part{n}",)),
        Match(owners=("@org/team{n}",)),
    )
    made = (
        Rule(
            name=f"rule-{n}",
            ruling="ask",
            at="change_set",
            when=_numbered(kinds[n % len(kinds)], n),
        )
        for n in range(rules)
    )
    return PolicySpec(rules=tuple(made))


def _numbered(when: Match, n: int) -> Match:
    return Match.model_validate_json(when.model_dump_json().replace("{n}", str(n)))


def an_action(effect: Effect, text: str, n: int) -> Action:
    """An action as a tool of that effect has it; each number is another path, and another text."""
    path = f"src/part7/app{n}.py"
    before = f"{text}\nnumber = {n}\n"
    change = FileChange(path, before, before.replace("return", "return  # changed", 1))
    return Action(
        tool="write_file",
        effect=effect,
        agent="ann",
        duty="worker",
        thread="/",
        arguments={"path": path, "url": f"https://example.org/{n}"},
        paths=(path,),
        changes=(change,) if effect == "write" else (),
        command=f"pytest -q tests/{n} && ls -la src" if effect == "execute" else "",
    )


def a_first_look(text: str, n: int) -> Action:
    """A write to a file of which no function was ever seen."""
    return an_action("write", text.replace(":\n", f":  # {n}\n"), n)


def verdicts(rules: int) -> dict[str, float]:
    """Milliseconds of one verdict by the kind of action: on what is new, and on what was judged before."""
    policy, text = a_policy(rules), (ROOT / "crews" / "safety" / "policy.py").read_text("utf-8")
    owners = parse("".join(f"/src/part{n}/ @org/team{n}\n" for n in range(100)), "github")
    standing = Standing(
        autonomy=2, granted_tools=frozenset({"write_file"}), sandbox="bubblewrap", owners=owners
    )
    effects: tuple[Effect, ...] = ("read", "write", "execute", "network", "external")
    rows: dict[str, float] = {}
    for effect in effects:
        numbers = iter(range(rules * 1_000, 1_000_000))
        new = seconds(
            lambda e=effect, n=numbers: judge(policy, an_action(e, text, next(n)), standing), 51
        )
        again = seconds(lambda e=effect: judge(policy, an_action(e, text, 0), standing), 51)
        if effect == "write":
            unseen = seconds(
                lambda n=numbers: judge(policy, a_first_look(text, next(n)), standing), 51
            )
            rows[f"the first look at a file, {rules} rules, ms"] = unseen * 1000
        rows[f"a verdict by {rules} rules, {effect}, ms"] = new * 1000
        rows[f"the same action once more, {effect}, ms"] = again * 1000
    return rows


def a_log(n: int) -> str:
    """Ten KB of lines, each with a time, an address of a machine and one of a person; no two logs are alike."""
    lines = (
        f"2026-11-29T01:{n % 60:02}:{i % 60:02}.{i:03}Z INFO shop.orders order {n:x}-{i:x} of user{n}.{i}@example.org "
        f"from 10.{n % 250}.{i}.7 took {i * 31 % 997} ms and was sent on {i:02}.11.2026\n"
        for i in range(75)
    )
    return "".join(lines)


def personal() -> dict[str, float]:
    """Milliseconds a KB of redacting personal data as well; nothing where `crews[pii]` is not installed."""
    try:
        redactor = Redactor({}, personal_data(""))
    except UsageError:
        return {}
    sources = sorted((ROOT / "crews").rglob("*.py"))
    code, logs = iter(sources), iter(range(1000))
    redactor.outward("ann@example.org +1 212 555 0123")  # what it takes to load it is not counted
    size = sum(path.stat().st_size for path in sources[:200]) / 200 / 1024
    coded = [
        seconds(lambda: redactor.outward(next(code).read_text("utf-8")), 1) for _ in range(200)
    ]
    logged = seconds(lambda: redactor.outward(a_log(next(logs))))
    return {
        "code and personal data, ms a KB": statistics.mean(coded) * 1000 / size,
        "a log full of personal data, ms a KB": logged * 1000 / (len(a_log(0)) / 1024),
    }


def main() -> int:
    """Measure and print."""
    changes = [a_change(p) for p in sorted((ROOT / "crews").rglob("*.py")) if p.stat().st_size]
    values = {f"KEY_{n}": f"value-number-{n}-of-ten" for n in range(10)}
    redactor = Redactor(values)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    coded = encoded(text, values)
    looked = [seconds(lambda c=c: findings((c,)), 1) for c in changes]
    rows = {k: v for k, v in verdicts(1).items() if "a verdict" in k} | verdicts(100)
    rows |= {
        "a change of one file, ms, median": statistics.median(looked) * 1000,
        "a change of one file, ms, slowest": max(looked) * 1000,
        "redaction, ms a KB": seconds(lambda: redactor.text(text)) * 1000 / (len(text) / 1024),
        "the same full of codes and secrets, ms a KB": seconds(lambda: redactor.text(coded))
        * 1000
        / (len(coded) / 1024),
    }
    rows |= personal()
    for name, value in rows.items():
        print(f"{name:44} {value:8.3f}")
    Path("benchmark-safety.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
