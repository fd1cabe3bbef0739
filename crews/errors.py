"""Which errors can a user meet, what does each say, and with which exit code does it end a command?

    CrewsError (1)
    ├── UsageError (2)            a wrong argument, an unknown run or review
    │   ├── TeamError (2)         what is wrong in a team's files, all problems at once
    │   └── RunBusy (2)           another process works on the run
    ├── KeyMissing (4)            no model can be asked: no key, no endpoint, no tape
    ├── ModelAuthError (4)        the model's endpoint refused the key
    ├── ModelError (1)            every retry and every fallback failed
    ├── BudgetSpent (5)           a limit was reached and nobody extended it
    ├── Denied (6)                policy, or a human, refused
    ├── TapeMismatch (1)          a request differs from the one on the tape
    ├── SandboxUnavailable (1)    no sandbox holds on this machine
    ├── WorkspaceError (1)        the folder cannot be copied, read or written as asked
    └── StoreError (1)            the journal cannot be opened, read or written

Control signals (`Signal`) derive from BaseException on purpose: CrewAI and other callers catch `Exception`.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WAITING = 3
EXIT_KEY = 4
EXIT_BUDGET = 5
EXIT_DENIED = 6
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[int, str] = {
    EXIT_OK: "done",
    EXIT_FAILED: "failed",
    EXIT_USAGE: "wrong usage or configuration",
    EXIT_WAITING: "waiting for a human",
    EXIT_KEY: "no key, or the key was refused",
    EXIT_BUDGET: "a budget is spent",
    EXIT_DENIED: "denied by policy or by a human",
    EXIT_INTERRUPTED: "interrupted; go on with `crews resume`",
}


class CrewsError(Exception):
    """Something a user can understand and act on.

    Args:
        what: One sentence: what is wrong.
        where: The place: `file:line:column`, a run id, a path. Empty if there is none.
        hint: What to do next. Empty if there is nothing to do.
    """

    exit_code = EXIT_FAILED

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.hint}" if self.hint else head


class UsageError(CrewsError):
    """A wrong argument, an unknown run, review or option value."""

    exit_code = EXIT_USAGE


class TeamError(UsageError):
    """A team's files cannot be used; `problems` holds every one that was found (`teams.source.Problem`)."""

    def __init__(
        self, what: str, *, problems: tuple[object, ...] = (), where: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.problems = problems


class RunBusy(UsageError):
    """A living process works on the run."""


class KeyMissing(CrewsError):
    """No model can be asked: there is no key, no endpoint and no tape."""

    exit_code = EXIT_KEY


class ModelAuthError(CrewsError):
    """The model's endpoint refused the credentials."""

    exit_code = EXIT_KEY


class ModelError(CrewsError):
    """The model could not be asked: every retry and every fallback failed.

    `billed`: an answer began and broke off, so that it may have to be paid for.
    """

    def __init__(self, what: str, *, billed: bool = False, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.billed = billed


class BudgetSpent(CrewsError):
    """A limit was reached and nobody extended it."""

    exit_code = EXIT_BUDGET


class Denied(CrewsError):
    """Policy, or a human, refused what was asked."""

    exit_code = EXIT_DENIED


class TapeMismatch(CrewsError):
    """A request differs from the one on the tape; the message shows the difference."""


class SandboxUnavailable(CrewsError):
    """No sandbox holds on this machine, or the one that was named does not."""


class WorkspaceError(CrewsError):
    """A folder or file cannot be copied, read or written as asked."""


class StoreError(CrewsError):
    """The journal cannot be opened, read or written.

    `transient`: the database was away, busy or full of connections, so that the same may succeed later.
    """

    def __init__(
        self, what: str, *, transient: bool = False, where: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.transient = transient


class Signal(BaseException):
    """Base of the control signals: they pass through code that catches `Exception`."""


class Waiting(Signal):
    """The thread cannot go on before a human has decided a review."""


class Fenced(Signal):
    """Another process owns the run now; nothing more may be written by this one."""


class StopRun(Signal):
    """The run is to end now: `status` is what it ends as, `reason` is shown to the user."""

    def __init__(
        self, reason: str, *, status: str = "stopped", exit_code: int = EXIT_FAILED
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.exit_code = exit_code
