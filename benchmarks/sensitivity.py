"""How well do the rules see authentication, permissions and cryptography in real commits, from the diff alone?

uv run python benchmarks/sensitivity.py [--half work|held] [--cache DIR] [--misses N] [--alarms N]

A commit is positive where its author's subject line names one of the three (`commit_labels.py`, fixed beforehand);
the rules see the diff and never the subject. Commits that touch only documentation, tests, translations or Debian's
own packaging are left out, of both kinds alike. Projects are split by a hash of their names: the rules were
worked on while looking at one half, the other half is for the final figure. At most 100 commits of a package count.

Recall: the share of positives for which a rule speaks. Alarms: the share of the others for which one does.
Both are figures about labels that are noisy both ways: see `--misses` and `--alarms` for samples to read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.commit_labels import CATEGORIES, OTHER_SOFTWARE, SECURITY_SOFTWARE, labels
from benchmarks.commits import Commit, commits, fetch, project
from crews.safety.action import Finding
from crews.safety.sensitivity import findings

PER_PACKAGE = 100
FORMS = ("path", "content", "either")


@dataclass(frozen=True, slots=True)
class Judged:
    """A commit, what its author says, what the rules say, and how long they took."""

    commit: Commit
    said: frozenset[str]
    found: tuple[Finding, ...]
    seconds: float

    def seen(self, form: str = "either") -> frozenset[str]:
        """The categories found, in one form of evidence or in either."""
        return frozenset(
            f.category
            for f in self.found
            if f.category in CATEGORIES and (form == "either" or (form == "path") == (f.line == 0))
        )


def half(package: str) -> str:
    """Which half a package is in: all versions of a project are in the same one."""
    odd = hashlib.sha256(project(package).encode()).digest()[0] % 2
    return "held" if odd else "work"


def judged(commit: Commit) -> Judged:
    """Judge a commit, once: what was judged before is remembered. In processor time."""
    began = time.process_time()
    found = findings(commit.changes)
    return Judged(commit, labels(commit.subject), found, time.process_time() - began)


def share(part: int, whole: int) -> float:
    """A share, rounded; 0 of nothing is 0."""
    return round(part / whole, 4) if whole else 0.0


def figures(of: Sequence[Judged]) -> dict[str, float]:
    """Counts, recall and alarms by form of evidence, and each category by itself."""
    positive = [j for j in of if j.said]
    negative = [j for j in of if not j.said]
    rows: dict[str, float] = {
        "packages": len({j.commit.package for j in of}),
        "positive": len(positive),
        "negative": len(negative),
    }
    for form in FORMS:
        rows[f"{form}: recall"] = share(sum(bool(j.seen(form)) for j in positive), len(positive))
        rows[f"{form}: alarms"] = share(sum(bool(j.seen(form)) for j in negative), len(negative))
    alarms = sum(bool(j.seen()) for j in negative)
    hits = sum(bool(j.seen()) for j in positive)
    rows["either: precision"] = share(hits, hits + alarms)
    for category in CATEGORIES:
        said = [j for j in of if category in j.said]
        seen = [j for j in of if category in j.seen()]
        both = sum(category in j.seen() for j in said)
        rows[f"{category}: commits"] = len(said)
        rows[f"{category}: recall"] = share(both, len(said))
        rows[f"{category}: alarms"] = share(len(seen) - both, len(of) - len(said))
        rows[f"{category}: precision"] = share(both, len(seen))
    times = sorted(j.seconds * 1000 for j in of) or [0.0]
    rows["ms a change, median"] = round(statistics.median(times), 3)
    rows["ms a change, p95"] = round(times[int(len(times) * 0.95)], 3)
    return rows


def by_package(of: Sequence[Judged]) -> str:
    """Recall and alarms package by package."""
    lines: list[str] = []
    for package in sorted({j.commit.package for j in of}):
        own = [j for j in of if j.commit.package == package]
        rows = figures(own)
        lines.append(
            f"{package:28} {len(own):4} commits, {rows['positive']:3} positive, recall "
            f"{rows['either: recall']:.2f}, alarms {rows['either: alarms']:.2f}"
        )
    return "\n".join(lines)


def show(title: str, of: Sequence[Judged], most: int, *, spoken: bool) -> None:
    """A sample to read by hand: misses, or alarms with what raised them."""
    drawn = sorted(of, key=lambda j: hashlib.sha256(j.commit.subject.encode()).hexdigest())[:most]
    for j in drawn:
        said = ", ".join(sorted(j.said)) or "nothing"
        print(f"{title}: {j.commit.package}/{j.commit.name}\n    {j.commit.subject} ({said})")
        for f in [f for f in j.found if spoken and f.category in CATEGORIES][:6]:
            print(f"    {f.category:12} {f.path}:{f.line} {f.detail}")


def table(columns: dict[str, dict[str, float]]) -> str:
    """Figures side by side."""
    lines = [f"{'':24}" + "".join(f"{name:>18}" for name in columns)]
    for row in next(iter(columns.values())):
        lines.append(f"{row:24}" + "".join(f"{rows[row]:>18}" for rows in columns.values()))
    return "\n".join(lines)


def main() -> int:
    """Fetch what is missing, judge, print, and write benchmark-sensitivity.json."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=base / "crews-benchmarks" / "commits")
    parser.add_argument("--half", choices=("work", "held"), action="append")
    parser.add_argument("--misses", type=int, default=0, help="misses to print")
    parser.add_argument("--alarms", type=int, default=0, help="alarms to print")
    parser.add_argument("--packages", action="store_true", help="figures by package, too")
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    options = parser.parse_args()
    halves = tuple(options.half or ("work", "held"))
    wanted = [p for p in sorted(SECURITY_SOFTWARE | OTHER_SOFTWARE) if half(p) in halves]
    if not options.offline:
        fetch(options.cache, wanted)
    everything = [judged(c) for p in wanted for c in commits(options.cache, p, PER_PACKAGE)]
    columns: dict[str, dict[str, float]] = {}
    for name in halves:
        here = [j for j in everything if half(j.commit.package) == name]
        columns[f"{name}, all"] = figures(here)
        columns[f"{name}, security"] = figures(
            [j for j in here if j.commit.package in SECURITY_SOFTWARE]
        )
        columns[f"{name}, other"] = figures([j for j in here if j.commit.package in OTHER_SOFTWARE])
    print(table(columns))
    if options.packages:
        print(by_package(everything))
    show("missed", [j for j in everything if j.said and not j.seen()], options.misses, spoken=False)
    show("alarm", [j for j in everything if j.seen() and not j.said], options.alarms, spoken=True)
    Path("benchmark-sensitivity.json").write_text(
        json.dumps(columns, indent=1) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
