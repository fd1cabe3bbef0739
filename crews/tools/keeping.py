"""How is the keeper (`crews.tools.landlock_child`) told to run a command, and what did it say?

There is no file system of the command's own here: the names that it is to know are put into its
text, and taken out of its output.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools import landlock_child
from crews.tools.landlock_child import Orders
from crews.tools.launching import Launch, carry_out, status_pipe
from crews.tools.paths import WORKSPACE_NAME
from crews.tools.sandbox import CommandLimits, CommandResult
from crews.tools.surroundings import SHELL, Interpreter, Scratch, environment, search_path

_PRIVATE_NAME = "/tmp"  # noqa: S108 - the command's name for its own folder
_PLAIN_PATH = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


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


async def keep(
    command: str, orders: Orders, limits: CommandLimits, workspace: Path, private: Scratch
) -> CommandResult:
    """Run the shell command as ordered.

    Raises:
        SandboxUnavailable: one of the steps to confine it failed; it has not run.
    """
    link = private.root / "w"
    names = {str(workspace): WORKSPACE_NAME, str(link): WORKSPACE_NAME}
    names |= {str(private.tmp): _PRIVATE_NAME, str(private.root): "/run/private"}
    with status_pipe() as status:
        orders["status"] = status.writer
        orders["command"] = [SHELL, "-c", _localised(command, workspace, private.tmp, link)]
        launch = Launch(
            argv=(sys.executable, "-I", "-S", str(Path(landlock_child.__file__))),
            environment=orders["environment"],
            orders=json.dumps(orders).encode() + b"\n",
            descriptors=(status.writer,),
            folders=(workspace, private.root),
            gentle=True,
        )
        ended = await carry_out(launch, limits)
        said = status.read()
    code = re.search(r"^exit (\d+)$", said, re.MULTILINE)
    output = ended.output.text(names)
    if not ended.killed_for and (code is None or said.startswith("error")):
        raise SandboxUnavailable(f"the command could not be started: {(said or output).strip()}")
    return CommandResult(
        exit_code=None if ended.killed_for or code is None else int(code[1]),
        output=output,
        truncated=ended.output.truncated,
        timed_out=ended.killed_for == "time",
        killed_for=ended.killed_for,
        seconds=ended.seconds,
    )


def _localised(command: str, workspace: Path, tmp: Path, link: Path) -> str:
    """The command with the real folders in place of the names that it knows."""
    real = str(workspace)
    if not _PLAIN_PATH.fullmatch(
        real
    ):  # a shell would take it apart: a link has no such characters
        link.symlink_to(workspace)
        real = str(link)
    return _placed(_placed(command, _PRIVATE_NAME, str(tmp)), WORKSPACE_NAME, real)


def _placed(command: str, name: str, real: str) -> str:
    """Replace the folder `name`, where it begins a path and is not the beginning of another
    name.
    """
    return re.sub(rf"(?<![\w./-]){re.escape(name)}(?![\w-])(?!\.\w)", lambda _: real, command)
