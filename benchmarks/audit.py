"""What do the audit log's entries, checkpoints and proofs cost, on SQLite and on PostgreSQL?

uv run python benchmarks/audit.py [--entries 2000]

PostgreSQL is the tests' own (fsync off: its figures are lower bounds). Writes benchmark-audit.json.

- entries per second: one in each transaction, and a hundred in each; with contents for the vault
- a call: verdict, started, ended, as `tools.gate` does; signed after every hundred entries, and never; by turns in one
  run, so that both meet the same machine; the least and the median
- a checkpoint: made in a transaction of its own, less that transaction without it; medians
- verify: entries a second, with their contents opened
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from crews.records import audit, proving, sealing
from crews.records.journal import Journal
from crews.records.runs import claim
from crews.records.signing import signing_key
from crews.records.steps import Step
from crews.records.store import Store, open_store
from crews.safety.action import Verdict
from crews.settings import Settings
from tests.records import builders


@dataclass(frozen=True, slots=True)
class Figures:
    """One database."""

    appends_per_second: float
    appends_per_second_in_hundreds: float
    call_ms_unsigned: float
    call_ms_signed: float
    call_ms_unsigned_median: float
    call_ms_signed_median: float
    checkpoint_ms: float
    verify_entries_per_second: float


def main() -> int:
    """Measure both, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=2000)
    count = parser.parse_args().entries
    from tests.support.postgres import a_server, fresh_database

    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        settings = Settings(home=Path(folder))
        found["SQLite"] = measure(f"sqlite:///{folder}/crews.db", settings, count)
        with a_server() as server, fresh_database(server) as url:
            found["PostgreSQL"] = measure(url, settings, count)
    rows = {name: asdict(figures) for name, figures in found.items()}
    for row in next(iter(rows.values())):
        print(f"{row:32}" + "".join(f"{name:>12} {rows[name][row]:10.2f}" for name in rows))
    Path("benchmark-audit.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(url: str, settings: Settings, count: int) -> Figures:
    """Everything on one database."""
    seal = sealing.seal(settings)
    with open_store(url) as plain, open_store(url, sealing=seal) as signed:
        alone = rate(count // 4, lambda: append(plain, 1), 1)
        together = rate(count // 100, lambda: append(plain, 100), 100)
        unsigned, with_signs = calls(plain, signed, max(count // 5, 200))
        made = checkpoint(plain, settings)
        return Figures(
            appends_per_second=alone,
            appends_per_second_in_hundreds=together,
            call_ms_unsigned=per_call(unsigned, min),
            call_ms_signed=per_call(with_signs, min),
            call_ms_unsigned_median=per_call(unsigned, statistics.median),
            call_ms_signed_median=per_call(with_signs, statistics.median),
            checkpoint_ms=made * 1000,
            verify_entries_per_second=verified(plain),
        )


def append(store: Store, count: int) -> None:
    """So many entries in one transaction, as long as a verdict."""
    with store.writing() as connection:
        for _ in range(count):
            body = {"agent": "coder", "call": "/0.0:3.1", "rule": "default-read", "ruling": "allow"}
            contents = {"arguments": '{"path":"' + "a" * 200 + '"}'}
            audit.append(connection, "run", "verdict", body, contents=contents, clean=True)


def rate(times: int, work: Callable[[], None], each: int) -> float:
    """Entries a second."""
    begun = time.perf_counter()
    for _ in range(times):
        work()
    return times * each / (time.perf_counter() - begun)


BLOCK = 50
"""Calls in one stretch: 150 entries, so that one or two checkpoints fall into each."""


def calls(plain: Store, signed: Store, count: int) -> tuple[list[float], list[float]]:
    """Seconds of stretches of calls, without checkpoints and with them, by turns."""
    journal = builders.owned(plain)
    builders.thread(journal)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(count // BLOCK * 2):
        which = number % 2
        store = signed if which else plain
        epoch = claim(store, journal.run)
        stretch = Journal(store, journal.run, epoch)
        made = [builders.call(stretch, turn=number, place=place) for place in range(BLOCK)]
        stretch.record_turn(builders.turn(stretch, number=number), made)
        begun = time.perf_counter()
        for call in made:
            call = stretch.rule_call(call, Verdict("allow", "default-read", ""), "a")
            call = stretch.set_call(call, Step("effect_started", {}), state="started")
            stretch.set_call(call, Step("effect_ended", {}), state="done", result="ok")
        times[which].append(time.perf_counter() - begun)
    return times


def per_call(times: list[float], of: Callable[[list[float]], float]) -> float:
    """Milliseconds."""
    return of(times) / BLOCK * 1000


def checkpoint(store: Store, settings: Settings) -> float:
    """Seconds that a checkpoint adds to a transaction."""
    key = signing_key(settings.audit_key_file)
    without, with_it = list[float](), list[float]()
    for number in range(100):
        begun = time.perf_counter()
        with store.writing() as connection:
            audit.append(connection, "run", "note", {"n": number})
            if number % 2:
                sealing.checkpoint(connection, key, settings)
        (with_it if number % 2 else without).append(time.perf_counter() - begun)
    return statistics.median(with_it) - statistics.median(without)


def verified(store: Store) -> float:
    """Entries a second."""
    begun = time.perf_counter()
    found = proving.verify(store)
    assert found.holds, found.breaks
    return found.entries / (time.perf_counter() - begun)


if __name__ == "__main__":
    sys.exit(main())
