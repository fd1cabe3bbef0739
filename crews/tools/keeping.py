"""How is the keeper (`crews.tools.landlock_child`) told to run a command, and what did it say?

There is no file system of the command's own here: the names that it is to know are put into its
text, and taken out of its output.
"""

from __future__ import annotations

import marshal
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from crews.errors import SandboxUnavailable
from crews.tools import landlock_child
from crews.tools.launching import Launch, carry_out, status_pipe
from crews.tools.paths import WORKSPACE_NAME
from crews.tools.sandbox import CommandLimits, CommandResult
from crews.tools.surroundings import SHELL, Interpreter, Scratch, environment, search_path

Right = Literal["read", "write", "device"]

_START = "import sys; sys.path.append(sys.argv[2]); import landlock_child; landlock_child.main()"
"""Imported, not run as a script, because Python keeps the bytecode only of what is imported."""
_PRIVATE_NAME = "/tmp"  # noqa: S108 - the command's name for its own folder
_PLAIN_PATH = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


class Orders(TypedDict):
    """What the keeper is told."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    """Working directory."""
    status: int
    """Descriptor for `exit N` or `error TEXT`."""
    limits: dict[str, int]
    """Name of a `resource.RLIMIT_*` -> value."""
    uid: int | None
    """User and group to become; None: stay who we are."""
    search: bool
    """Keep the right to read what only root may (`CAP_DAC_READ_SEARCH`), within what Landlock lets
    through."""
    abi: int
    """Landlock's version; 0: no Landlock."""
    rules: list[tuple[str, Right]]
    filter: str
    """The seccomp program in hexadecimal; empty: none."""
    mounts: bool
    """Take a mount namespace of one's own, read-only but for `writable`."""
    writable: list[str]
    shared_memory: str
    """Folder that is put over `/dev/shm` where `mounts` holds."""


def plain_orders(python: Interpreter, private: Scratch, workspace: Path) -> Orders:
    """Orders that confine nothing; a backend puts in what it confines."""
    return Orders(
        command=[],
        environment=environment(search_path(python, str(private.bin)), str(private.tmp)),
        folder=str(workspace),
        status=-1,
        limits={},
        uid=None,
        search=False,
        abi=0,
        rules=[],
        filter="",
        mounts=False,
        writable=[],
        shared_memory="",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command runs: real folders, and the names that it knows them by."""

    workspace: Path
    private: Scratch
    python: Interpreter

    @property
    def link(self) -> Path:
        """Another name of the workspace, for a real one that a shell would take apart."""
        return self.private.root / "w"

    def localised(self, command: str) -> str:
        """The command with the real folders in place of the names that it knows."""
        workspace = str(self.workspace)
        if not _PLAIN_PATH.fullmatch(workspace):
            self.link.symlink_to(self.workspace)
            workspace = str(self.link)
        real = {name: path for path, name in self.python.names.items()}
        real |= {_PRIVATE_NAME: str(self.private.tmp), WORKSPACE_NAME: workspace}
        # where the name begins a path and is not the beginning of another name; all at once, because
        # what is put in may hold such a name itself
        known = "|".join(map(re.escape, real))
        return re.sub(
            rf"(?<![\w./-])({known})(?![\w-])(?!\.\w)", lambda found: real[found[1]], command
        )

    @property
    def names(self) -> dict[str, str]:
        """Real folder -> name, for what the command says."""
        workspaces = {str(self.workspace): WORKSPACE_NAME, str(self.link): WORKSPACE_NAME}
        private = {str(self.private.tmp): _PRIVATE_NAME, str(self.private.root): "/run/private"}
        return {**self.python.names, **workspaces, **private}


async def keep(command: str, orders: Orders, limits: CommandLimits, place: Place) -> CommandResult:
    """Run the shell command as ordered.

    Raises:
        SandboxUnavailable: one of the steps to confine it failed; it has not run.
    """
    with status_pipe() as status:
        orders["status"] = status.writer
        orders["command"] = [SHELL, "-c", place.localised(command)]
        launch = Launch(
            argv=(sys.executable, "-I", "-S", "-c", _START),
            arguments=(str(Path(landlock_child.__file__).parent),),
            environment=orders["environment"],
            orders=marshal.dumps(cast("dict[str, Any]", orders)),
            descriptors=(status.writer,),
            status=status.writer,
            folders=(place.workspace, place.private.root),
        )
        ended = await carry_out(launch, limits)
        said = status.read()
    if said.startswith("error"):
        raise SandboxUnavailable(f"the command could not be started: {said.strip()}")
    code = re.search(r"^exit (\d+)$", said, re.MULTILINE)
    return ended.result(int(code[1]) if code else None, place.names)
