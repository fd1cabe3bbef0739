"""What does a user see when something goes wrong? What, where, what to do; no traceback unasked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from crews.cli.output import put_json, say, without_secrets
from crews.errors import EXIT_FAILED, EXIT_INTERRUPTED, CrewsError, TeamError
from crews.plain import plain

if TYPE_CHECKING:
    from crews.teams.source import Problem


def known(error: CrewsError, *, as_json: bool) -> int:
    """Show an error of ours; returns the exit code."""
    if as_json:
        _as_json(error, error.exit_code)
        return error.exit_code
    lines = [p.render() for p in _problems(error)]
    where = f"{error.where}: " if error.where else ""
    # Ctrl-C is no error: the human asked for it.
    mark = "" if error.exit_code == EXIT_INTERRUPTED else "error: "
    lines.append(f"{mark}{where}{error.what}")
    lines += [f"  {line}" for line in _hint(error).split("\n") if line]
    lines += [f"  {note}" for note in getattr(error, "__notes__", ())]
    say(without_secrets(plain("\n".join(lines))))
    return error.exit_code


def _problems(error: CrewsError) -> list[Problem]:
    from crews.teams.source import Problem

    found = error.problems if isinstance(error, TeamError) else ()
    return [problem for problem in found if isinstance(problem, Problem)]


def _hint(error: CrewsError) -> str:
    """A team's hint repeats its problems, for those who only see the text of the error."""
    return "" if _problems(error) else error.hint


def unexpected(error: BaseException, *, as_json: bool) -> int:
    """Show an error that nobody foresaw, and keep its traceback in the log file."""
    if os.environ.get("CREWS_DEBUG") == "1":
        raise error
    shown = CrewsError(
        f"unexpected {type(error).__name__}: {error}",
        hint=f"{_logged(error)}; CREWS_DEBUG=1 shows the traceback here",
    )
    for note in getattr(error, "__notes__", ()):
        shown.add_note(note)
    known(shown, as_json=as_json)
    return EXIT_FAILED


def _logged(error: BaseException) -> str:
    from loguru import logger

    from crews.logs import log_file, set_up
    from crews.settings import load

    try:
        settings = load()
        set_up(settings)
        logger.opt(exception=error).error("unexpected error")
    except Exception as broken:  # noqa: BLE001  # the first error must be shown whatever the log says
        return f"the log file cannot be written: {broken}"
    return f"details are in {log_file(settings)}"


def usage(message: str, code: int, hint: str, *, as_json: bool) -> int:
    """Show what is wrong with the command line itself."""
    error = CrewsError(message, hint=hint)
    error.exit_code = code
    if as_json:
        _as_json(error, code, name="UsageError")
    else:
        known(error, as_json=False)
    return code


def _as_json(error: CrewsError, code: int, name: str = "") -> None:
    from crews.cli.shapes import ErrorShape, ProblemShape

    put_json(
        ErrorShape(
            error=name or type(error).__name__,
            what=error.what,
            where=error.where,
            hint=_hint(error),
            exit_code=code,
            problems=[ProblemShape.model_validate(p.as_json()) for p in _problems(error)],
            notes=list(getattr(error, "__notes__", ())),
        )
    )
