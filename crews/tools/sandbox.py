"""What is a sandbox, what may a command use up in it, and which one holds on this machine?

A backend is used only after it has proven itself in this process (`crews.tools.probe`): what it has
to keep a command from is tried, and judged from outside. `bubblewrap` is the strongest, `landlock`
needs no package, `docker` needs an engine and is used only where it is named; what each cannot hold
is said in its module.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from crews.errors import SandboxUnavailable
from crews.safety.egress import AllowList

if TYPE_CHECKING:
    from crews.teams.spec import SandboxChoice

Backend = Literal["bubblewrap", "landlock", "docker"]
KilledFor = Literal["", "memory", "time", "output", "disk", "processes"]

INSTALL_HINT = (
    "Install bubblewrap (Debian and Ubuntu: `apt-get install bubblewrap`), or write `sandbox: none` in"
    " policy.yaml to let commands run with all of your rights."
)


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """What one command, with everything that it starts, may use up."""

    wall_seconds: float = 60
    memory_mb: int = 1024
    """Memory of all processes together, in MiB."""
    processes: int = 64
    file_mb: int = 256
    """Largest file that is written, in MiB."""
    disk_mb: int = 512
    """Growth of the workspace and the private `/tmp`, in MiB; every file counts for 4 KiB at
    least."""
    output_bytes: int = 200_000
    """Output that is kept: the first and the last half. A command that writes fifty times as much
    is killed."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended."""

    exit_code: int | None
    """128 + signal for a command that a signal ended; None: it was killed for a limit."""
    output: str
    """Standard output and standard error as they came, without control sequences and paths of the
    host."""
    truncated: bool
    timed_out: bool
    killed_for: KilledFor
    seconds: float
    facts: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What the audit log says of it beside: the hosts that were reached and refused."""


class Sandbox(ABC):
    """A place where a shell command can touch a workspace and nothing else."""

    name: ClassVar[str]
    confines: ClassVar[bool] = True
    """False: a command has all rights of this process (`sandbox: none`)."""

    @property
    def egress(self) -> AllowList:
        """Hosts that a command may reach; none: it has no network."""
        return AllowList()

    @property
    def facts(self) -> dict[str, str]:
        """What else the audit log says of the place, beside its name."""
        return {}

    @abstractmethod
    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        """Run `/bin/sh -c COMMAND` with the workspace as its folder, named `/workspace`.

        When this returns, or is cancelled, no process of the command is left. As root, the
        workspace is given to an unused user first, which the command runs as.

        Raises:
            SandboxUnavailable: the command could not be started; it has not run.
        """


def choose(
    choice: SandboxChoice = "auto", egress: tuple[str, ...] = (), image: str = ""
) -> Sandbox:
    """The sandbox that was asked for; `auto`: bubblewrap, else Landlock with seccomp.

    `egress`: hosts that commands may reach. Only bubblewrap gives a command a network of its own, in
    which that can be held to; with any other the answer is a refusal. `image`: of Docker; empty:
    the official one of the running Python.

    The first call of a process takes up to half a second (the proof); call it by
    `asyncio.to_thread` where that matters. A proof that held is kept for the process, one that
    failed is tried anew.

    Raises:
        SandboxUnavailable: none of them holds; the text has the reason of each.
    """
    if egress:
        return _with_egress(choice, egress)
    if choice == "none":
        from crews.tools.unconfined import Unconfined

        return Unconfined()
    reasons: list[str] = []
    hint = INSTALL_HINT
    for name in ("bubblewrap", "landlock") if choice == "auto" else (choice,):
        try:
            return proven(name, image if name == "docker" else "")
        except SandboxUnavailable as refusal:
            reasons.append(f"{name}: {refusal.what}")
            hint = refusal.hint if choice != "auto" and refusal.hint else hint
    raise SandboxUnavailable(f"no sandbox holds on this machine ({'; '.join(reasons)})", hint=hint)


def _with_egress(choice: SandboxChoice, egress: tuple[str, ...]) -> Sandbox:
    from crews.tools.bubblewrap import Bubblewrap

    if choice not in ("auto", "bubblewrap"):
        raise SandboxUnavailable(
            f"`egress` cannot be held to with `sandbox: {choice}`: only bubblewrap gives a command a"
            " network of its own",
            hint="Write `sandbox: bubblewrap` in policy.yaml, or remove `egress`.",
        )
    found = choose("bubblewrap")
    if not isinstance(found, Bubblewrap):
        raise SandboxUnavailable("`egress` needs bubblewrap", hint=INSTALL_HINT)
    return replace(found, hosts=AllowList(egress))


@functools.cache
def proven(name: Backend, image: str = "") -> Sandbox:
    """The backend of that name once it has held; asked again, the same one (a refusal is not kept).

    Raises:
        SandboxUnavailable: it is not here, or it let something through.
    """
    reasons: list[str] = []
    for candidate in _candidates(name, image):
        if not (reason := _in_a_thread(candidate)):
            return candidate
        if reason not in reasons:
            reasons.append(reason)
    raise SandboxUnavailable("; ".join(reasons))


def _candidates(name: Backend, image: str) -> Iterator[Sandbox]:
    """The ways in which a backend can work, the strongest first."""
    if name == "bubblewrap":
        from crews.tools.bubblewrap import Bubblewrap

        yield Bubblewrap.found()
    elif name == "docker":
        from crews.tools.docker import Docker

        yield Docker.found(image)
    else:
        from crews.tools.landlock import Landlock

        yield Landlock.found()
        yield Landlock.found(private_mounts=False)


def _in_a_thread(candidate: Sandbox) -> str:
    """The reason against it; tried in an event loop of its own, as the caller's may be running."""
    from crews.tools.probe import prove

    reasons: list[str] = []

    def work() -> None:
        try:
            reasons.append(asyncio.run(prove(candidate)))
        except Exception as error:  # noqa: BLE001 - whatever broke, nothing was proven
            reasons.append(f"the probe broke off: {error!r}")

    thread = threading.Thread(target=work, name="sandbox-probe")
    thread.start()
    thread.join()
    return reasons[0] if reasons else "the probe broke off"
