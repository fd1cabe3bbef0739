"""Killed in the middle of an effect, is it made again where it has a key, and asked about where it has none?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from crews.records.journal import Journal
from crews.records.runs import claim
from crews.records.store import open_store
from crews.tools.base import Args, Tool, ToolContext, ToolResult
from crews.tools.copying import make_workspace
from crews.tools.seat import idempotency_key
from tests.records import builders
from tests.tools.bench import Bench, laid_out, rule, ruled

PAYS = "from tests.tools.test_gate_sigkill import pay_and_hang; pay_and_hang()"


class Nothing(Args):
    """No arguments."""


class Payment(Tool[Nothing]):
    """Writes the key of each payment down, and then takes its time."""

    name = "pay"
    description = "pays"
    effect = "external"
    args = Nothing

    def __init__(self, account: Path, *, hangs: bool) -> None:
        self._account = account
        self._hangs = hangs

    async def run(self, args: Nothing, context: ToolContext) -> ToolResult:
        """Pay."""
        with self._account.open("a", encoding="utf-8") as file:
            file.write(f"{context.key}\n")
        if self._hangs:
            sys.stdout.write("paid\n")
            sys.stdout.flush()
            await asyncio.sleep(60)
        return ToolResult("paid")


class KeyedPayment(Payment):
    """Does one payment for one key."""

    name = "pay_once"
    keyed = True


@contextmanager
def reopened(folder: Path, run: str) -> Generator[Bench]:
    """The bench of an earlier process, in the hands of this one."""
    with open_store(f"sqlite:///{folder / 'crews.db'}") as store:
        journal = Journal(store, run, claim(store, run))
        workspace = make_workspace(folder / "source", folder / "run", 10)
        yield ruled(Bench(store, journal, workspace), rule("allow", "external"))


def pay_and_hang() -> None:
    """What the process that is killed does: both payments of the run at once."""
    folder, run = Path(sys.argv[1]), sys.argv[2]
    with reopened(folder, run) as bench:
        tools = (Payment(folder / "a", hangs=True), KeyedPayment(folder / "b", hangs=True))
        gate, seat = bench.gate(), bench.seat(*tools)

        async def both() -> None:
            calls = bench.journal.calls("/")
            await asyncio.gather(*(gate.settle(call, seat) for call in calls))

        asyncio.run(both())


def test_a_payment_with_a_key_is_repeated_and_one_without_is_asked_about(tmp_path: Path) -> None:
    with laid_out(tmp_path) as bench:
        calls = [bench.propose("pay"), bench.propose("pay_once")]
        bench.journal.release("queued")
    run = calls[0].run
    process = builders.child(PAYS, str(tmp_path), run)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in calls] == ["paid\n"] * 2
    process.kill()
    process.communicate(timeout=30)
    with reopened(tmp_path, run) as bench:
        plain = Payment(tmp_path / "a", hangs=False)
        keyed = KeyedPayment(tmp_path / "b", hangs=False)
        assert bench.settle(bench.now(calls[1]), keyed).state == "done"
        assert bench.waits(bench.now(calls[0]), plain).kind == "unknown"
    keys = [(tmp_path / name).read_text(encoding="utf-8").split() for name in "ab"]
    assert keys == [[idempotency_key(calls[0])], [idempotency_key(calls[1])] * 2]
