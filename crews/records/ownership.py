"""Is the run still this process's, and what did it read of it in its own last transaction?

What may be written a little later is kept until the owner's next transaction, and stands in it before anything else:
each transaction is flushed to the disk, which costs more than what is in it. Through the owner calls are read as they
will be.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from crews.errors import Fenced
from crews.records import prepared
from crews.records.rows import CallRow
from crews.records.seen import Seen
from crews.records.store import Store


@dataclass(frozen=True, slots=True)
class Later:
    """A change of a call that is not written yet."""

    call: CallRow
    """As it will be."""
    write: Callable[[Connection], None]


class Ownership:
    """A run in the hands of the process that owns it."""

    def __init__(self, store: Store, run: str, epoch: int) -> None:
        self.store = store
        self.run = run
        self.epoch = epoch
        self._seen: Seen | None = None
        self._later: list[Later] = []

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction that only the run's present owner can make.

        Raises:
            Fenced: another process has taken the run over.
        """
        waiting, self._later = self._later, []
        again = waiting
        try:
            with self.store.writing() as connection:
                self._seen = self._own(connection)
                again = []  # what cannot be written must not stand in the way of all that comes after it
                for one in waiting:
                    one.write(connection)
                again = waiting
                yield connection
                again = []  # the commit may have kept it whatever is said of it
        except BaseException:
            self._seen, self._later = None, [*again, *self._later]
            raise

    def _own(self, connection: Connection) -> Seen:
        mine = {"b_run": self.run, "b_epoch": self.epoch}
        # SQLite's one write lock is this transaction's. Elsewhere the update takes the row's lock first, so that
        # no claim slips between.
        sqlite = connection.dialect.name == "sqlite"
        row = (prepared.OWNED if sqlite else prepared.OWN).run(connection, mine).first()
        if row is None:
            raise Fenced(f"run {self.run} has another owner")
        return Seen.of(row)

    def flush(self) -> None:
        """Write what was to be written later; Fenced as for `writing`."""
        if self._later:
            with self.writing():
                pass

    def _ahead(self, calls: Iterable[CallRow]) -> tuple[CallRow, ...]:
        """Calls as they will be."""
        if not self._later:
            return tuple(calls)
        newer = {one.call.address: one.call for one in self._later}
        return tuple(newer.get(call.address, call) for call in calls)

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
