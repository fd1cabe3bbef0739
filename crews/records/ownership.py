"""Is the run still this process's, and what did it read of it in its own last transaction?

What may be written a little later is kept until the owner's next transaction, and stands in it before anything else:
each transaction is flushed to the disk, which costs more than what is in it. Through the owner calls and threads are
read as they will be; everybody else learns of them once they are written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from loguru import logger
from sqlalchemy import Connection

from crews.errors import Fenced, StoreError
from crews.records import prepared
from crews.records.rows import CallRow, ThreadRow
from crews.records.seen import Seen
from crews.records.store import Store

LATEST = 0.5
"""Seconds after which what waits for the next transaction gets one of its own."""


def nobody() -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Later:
    """A change of a call or a thread that is not written yet."""

    key: str
    """Address of the call, or path of the thread."""
    row: CallRow | ThreadRow
    """As it will be."""
    write: Callable[[Connection], None]
    kept: Callable[[], CallRow | ThreadRow | None]
    """Reads the row."""
    told: Callable[[], None]
    """Called once it is written."""


class Ownership:
    """A run in the hands of the process that owns it."""

    def __init__(self, store: Store, run: str, epoch: int) -> None:
        self.store = store
        self.run = run
        self.epoch = epoch
        self._seen: Seen | None = None
        self._later: list[Later] = []
        self._timer: asyncio.TimerHandle | None = None
        self._lost: BaseException | None = None
        """What broke a transaction with something in it that this process has gone on from already."""

    @contextmanager
    def writing(self, *, leaving: bool = False) -> Generator[Connection]:
        """A transaction that only the run's present owner can make.

        Args:
            leaving: The owner lets go of the run, whatever it has lost.

        Raises:
            Fenced: another process has taken the run over.
            StoreError: as for `Store.writing`; after one that took with it what was to be written later, always:
                the run goes on from what the journal holds.
        """
        if not leaving:
            self._check_whole()
        waiting, self._later, begun, tried = self._later, [], False, False
        try:
            with self.store.writing() as connection:
                self._seen = self._own(connection)
                begun = True
                for one in waiting:
                    one.write(connection)
                begun = False
                yield connection
                tried = True  # the commit may have kept it whatever is said of it
        except BaseException as error:
            self._seen = None
            if begun or (tried and not self._is_known(waiting)):
                # What nobody can write, or nobody knows to be written, must not be gone on from, nor be in the way.
                self._lost, self._later = self._lost or error, []
            elif not tried:
                self._later = [*waiting, *self._later]
            raise
        self._written(waiting)

    def _is_known(self, waiting: Sequence[Later]) -> bool:
        """Can it be told whether a transaction was kept that broke at its end? What was not waits again."""
        if not waiting:
            return True
        try:
            kept = waiting[-1].kept() == waiting[-1].row
        except StoreError:
            return False
        if kept:
            self._written(waiting)
        else:
            self._later = [*waiting, *self._later]
        return True

    def _check_whole(self) -> None:
        """Raise StoreError if something that this process has gone on from may be lost."""
        if (why := self._lost) is None:
            return
        known = isinstance(why, StoreError)
        raise StoreError(
            f"a transaction of run {self.run} broke, and what it held may be lost: "
            f"{why.what if known else repr(why)}",
            transient=known and why.transient,
            hint=(why.hint if known else "")
            or "resume the run: it goes on from what the journal holds",
        ) from why

    def _written(self, written: Iterable[Later]) -> None:
        if self._timer is not None and not self._later:
            self._timer.cancel()
            self._timer = None
        for one in written:
            try:
                one.told()
            except Exception:  # noqa: BLE001 - it is written all the same
                logger.exception("a listener broke at {}", one.key)

    def _own(self, connection: Connection) -> Seen:
        mine = {"b_run": self.run, "b_epoch": self.epoch}
        # SQLite's one write lock is this transaction's. Elsewhere the update takes the row's lock first, so that
        # no claim slips between.
        sqlite = connection.dialect.name == "sqlite"
        row = (prepared.OWNED if sqlite else prepared.OWN).run(connection, mine).first()
        if row is None:
            raise Fenced(f"run {self.run} has another owner")
        return Seen.of(row)

    def _write_later(self, later: Later) -> None:
        """Write it with what comes next, or soon, if nothing does."""
        self._check_whole()
        self._later.append(later)
        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return  # whoever has no loop writes next by himself
            self._timer = loop.call_later(LATEST, self._due)

    def _due(self) -> None:
        self._timer = None
        try:
            self.flush()
        except (Exception, Fenced) as error:  # noqa: BLE001 - who writes next meets it again
            logger.warning("what waited to be written could not be: {}", error)

    def flush(self) -> None:
        """Write what was to be written later; raises what `writing` does."""
        if self._later:
            with self.writing():
                pass

    def _ahead(self, calls: Iterable[CallRow]) -> tuple[CallRow, ...]:
        """Calls as they will be."""
        self._check_whole()
        if not self._later:
            return tuple(calls)
        newer = {one.key: one.row for one in self._later if isinstance(one.row, CallRow)}
        return tuple(newer.get(call.address, call) for call in calls)

    def _threads_ahead(self, threads: Iterable[ThreadRow]) -> tuple[ThreadRow, ...]:
        """Threads as they will be, and those that will have begun."""
        self._check_whole()
        newer = {one.key: one.row for one in self._later if isinstance(one.row, ThreadRow)}
        return tuple(({row.path: row for row in threads} | newer).values())

    def totals(self) -> tuple[int, int]:
        """Tokens and nano-dollars that the run has taken so far."""
        if (seen := self._seen) is not None:
            return seen.tokens, seen.money
        tokens, money = self.store.look(prepared.TOTALS, {"b_run": self.run}).one()
        return int(tokens), int(money)

    def stop_asked(self) -> bool:
        """Did a human ask for the end? As of this owner's last write, if that was a moment ago."""
        if (seen := self._seen) is not None and seen.is_fresh:
            return seen.stop_asked
        return bool(self.store.look(prepared.STOP_ASKED, {"b_run": self.run}).scalar())
