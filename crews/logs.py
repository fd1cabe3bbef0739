"""Where do log lines go? Into one file that turns over; to stderr only on request."""

from __future__ import annotations

import functools
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from crews.plain import plain
from crews.safety.own_secrets import redactor_for
from crews.settings import Settings

if TYPE_CHECKING:
    from loguru import Record

_LINE = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level} {name} {message}"


def log_file(settings: Settings) -> Path:
    """The file that holds the log."""
    return settings.home / "logs" / "crews.log"


@functools.cache
def hush() -> None:
    """Keep quiet in somebody else's script: loguru's own sink would write the values of variables to stderr.

    Works once a process; `loguru.logger.enable("crews")` after the first kickoff shows the lines again.
    """
    logger.disable("crews")


def set_up(settings: Settings, *, verbose: bool = False) -> None:
    """Send loguru's, the standard library's and warnings' lines to the log file.

    Args:
        settings: `home` says where, `log_level` how much.
        verbose: Also write them to stderr; not while a live view is drawn there.
    """
    logger.enable("crews")
    logger.remove()
    logger.configure(patcher=_Cleaner(settings))
    if verbose:
        logger.add(sys.stderr, level="DEBUG", format=_LINE, diagnose=False, backtrace=False)
    _to_file(settings)
    # Below INFO, HTTP libraries write down every request whole.
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.INFO, force=True)
    logging.captureWarnings(False)  # whoever has put another handler in the way since is passed by
    logging.captureWarnings(True)


def adopt(library: str) -> None:
    """Have a library that logs by a handler of its own log its warnings where ours go."""
    log = logging.getLogger(library)
    log.handlers[:] = [_ToLoguru(logging.WARNING)]
    log.propagate = False


def _to_file(settings: Settings) -> None:
    path = log_file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        logger.add(
            path,
            level=settings.log_level.upper(),
            format=_LINE,
            rotation="5 MB",
            retention=5,
            encoding="utf-8",
            # A traceback with the values of variables would write keys and file contents down.
            diagnose=False,
            backtrace=False,
            opener=_private,
        )
    except (OSError, ValueError) as error:
        logger.add(sys.stderr, level="WARNING", format=_LINE, diagnose=False, backtrace=False)
        logger.warning("the log file {} cannot be used: {}", path, error)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _Cleaner:
    """Takes secrets, personal data and control characters out of a record, traceback and all."""

    def __init__(self, settings: Settings) -> None:
        self._redactor = redactor_for(settings, os.environ)

    def __call__(self, record: Record) -> None:
        """Change the record in place."""
        text = record["message"]
        error = record["exception"]
        if error is not None and error.value is not None:
            text += "\n" + "".join(traceback.format_exception(error.value)).rstrip()
            record["exception"] = None
        record["message"] = self._redactor.outward(plain(text))


class _ToLoguru(logging.Handler):
    """Hands the standard library's records on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record under its own logger's name."""
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        named = logger.patch(lambda found: found.update(name=record.name))
        named.opt(exception=record.exc_info).log(level, "{}", record.getMessage())
