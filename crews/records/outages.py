"""What is wrong with the database, may it pass by itself, and for how long is it tried again?"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from loguru import logger
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crews.errors import StoreError
from crews.records.holders import holder

Trouble = Literal["away", "busy", "full", "read-only", "damaged", "refused", "other"]
"""`away` and `busy` pass; in the rest somebody has to do something."""

PATIENCE = 90.0
"""Seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
QUIET = 1.0
"""Seconds for which nothing is said of an outage."""
LITTLE = 64 * 1024
"""Bytes of free space with which an input/output error is taken for a full disk."""

_SQLITE: dict[int, Trouble] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_PROTOCOL: "busy",  # several processes opened the write-ahead log at once
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
}
_STATES: dict[str, Trouble] = {
    "53100": "full",
    "25006": "read-only",
    "25P03": "away",  # idle too long in a transaction: this process was frozen, and the session ended
    "25P04": "away",
    "55P03": "busy",
    "40001": "busy",
    "40P01": "busy",
    "53300": "busy",
    "57P01": "away",
    "57P02": "away",
    "57P03": "away",
    "57P05": "away",
    "XX001": "damaged",
    "XX002": "damaged",
}
"""PostgreSQL error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_REFUSED = (
    "authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied",
    "permission denied for database", "name or service not known", "nodename nor servname",
    "is not permitted to log in", "invalid connection option", "certificate",
)  # fmt: skip
"""A refused connection has no error code. What is not known by these words is tried again."""

T = TypeVar("T")


class Outage:
    """Tries what changes nothing until the database can be had; tells the log once, whoever waits.

    Args:
        url: The database.
        patience: Seconds after which it is given up. A wait blocks its thread, and an event loop in it.
    """

    def __init__(self, url: URL, patience: float) -> None:
        self.url = url
        self.patience = patience
        self._lock = threading.Lock()
        self._since: float | None = None

    def bridge(self, attempt: Callable[[], T]) -> T:
        """What the attempt returns, as soon as it can.

        Raises:
            StoreError: the trouble does not pass by itself, or lasts for longer than `patience`.
        """
        began, pause = time.monotonic(), 0.0
        while True:
            try:
                result = attempt()
            except (SQLAlchemyError, OSError) as error:
                waited = time.monotonic() - began
                if waited >= self.patience or not passes(error):
                    raise unusable(error, self.url, waited) from error
                if waited > QUIET:
                    self._told(error)
            else:
                self._over()
                return result
            time.sleep(min(pause, self.patience - waited))
            pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * pause))

    def _told(self, error: Exception) -> None:
        with self._lock:
            first, self._since = self._since is None, self._since or time.time()
        if first:
            told = unusable(error, self.url, 0.0)
            logger.warning(
                "{}; it is tried again for up to {:g} s; {}", told.what, self.patience, told.hint
            )

    def _over(self) -> None:
        if self._since is None:
            return
        with self._lock:  # of several threads that waited, one finds it
            since: float | None = self._since
            self._since = None
        if since:
            logger.warning("the journal can be used again, after {:.0f} s", time.time() - since)


def trouble(error: Exception, url: URL | None = None) -> Trouble:
    """What an error of SQLAlchemy or of the file system says."""
    if isinstance(error, PoolTimeout):
        return "busy"
    if isinstance(error, OSError):
        return "full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "other"
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, url)
    return _of_postgres(error, cause)


def _of_sqlite(cause: sqlite3.Error, url: URL | None) -> Trouble:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # without its extension
    if code == sqlite3.SQLITE_IOERR and url is not None and url.database:
        try:
            free = shutil.disk_usage(Path(url.database).parent).free
        except OSError:
            return "other"
        return "full" if free < LITTLE else "other"
    return _SQLITE.get(code, "other")


def _of_postgres(error: Exception, cause: object) -> Trouble:
    state = getattr(cause, "sqlstate", None)
    if state:
        return "away" if str(state).startswith("08") else _STATES.get(str(state), "other")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or type(cause).__name__ in {"OperationalError", "ConnectionTimeout"}:
        text = str(cause).lower()
        return "refused" if any(words in text for words in _REFUSED) else "away"
    return "other"


def passes(error: Exception) -> bool:
    """May the same succeed later, with nobody doing anything about it?"""
    return trouble(error) in {"away", "busy"}


def unusable(error: Exception, url: URL | None = None, waited: float = 0.0) -> StoreError:
    """The error for the user: what is wrong, where, and what to do.

    Args:
        error: What SQLAlchemy, its driver or the file system said.
        url: The database.
        waited: Seconds for which it was tried again in vain.
    """
    kind = trouble(error, url)
    file = _file(url)
    found = holder(file) if kind == "busy" and file else None
    who, advice = ("", "") if found is None else (found.who, found.advice)
    what = {
        "away": "the journal's database cannot be reached",
        "busy": f"the journal is locked by {who or 'somebody else'}",
        "full": "the disk is full, the journal cannot be written",
        "read-only": "the journal cannot be used, it may only be read",
        "damaged": "the journal cannot be used, the file is damaged or is no journal",
    }.get(kind, "the journal cannot be used")
    cause = " ".join(str(getattr(error, "orig", None) or error).split())
    tried = f" (tried for {waited:.0f} s)" if waited >= QUIET else ""
    return StoreError(
        f"{what}: {cause}{tried}",
        transient=kind in {"away", "busy"},
        where=_place(url),
        hint=advice or _HINTS.get(kind, _HINT),
    )


_GO_ON = "what is finished is kept: go on with `crews resume`"
_HINTS: dict[str, str] = {
    "away": f"start it, or check CREWS_DATABASE_URL; {_GO_ON}",
    "busy": f"wait for it, or end it; {_GO_ON}",
    "full": f"make free space on the disk of the journal; {_GO_ON}",
    "read-only": "check the rights of the file and of its folder, or set CREWS_HOME to another",
    "damaged": "bring it back from a copy, or set CREWS_HOME to another folder",
}
_HINT = "check CREWS_HOME or CREWS_DATABASE_URL, the disk's free space and the file's rights"


def _file(url: URL | None) -> Path | None:
    if url is None or url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def _place(url: URL | None) -> str:
    """The database without its password."""
    if url is None:
        return ""
    server = str(url.host or url.query.get("host", ""))
    return str(_file(url) or f"{server}/{url.database}")
