"""Which process works on a run, is it still there, and which folder of runs does it see?"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from functools import lru_cache
from pathlib import Path
from typing import Literal

Presence = Literal["here", "gone", "elsewhere"]
OUTERMOST = "pid:[4026531836]"
"""Linux' name for the processes of the machine itself: `PROC_PID_INIT_INO`."""


def this_process() -> str:
    """Name of this process that no other process has had: `HOST/PID/START`. It keeps it as long as it lives."""
    return _named(os.getpid())


@lru_cache(maxsize=1)
def _named(pid: int) -> str:
    return f"{_host()}/{pid}/{_started(pid)}"


# A child can have the same number, where processes are counted anew from it on.
os.register_at_fork(after_in_child=_named.cache_clear)


def host_of(owner: str) -> str:
    """The host in a process' name."""
    return owner.rpartition("/")[0].rpartition("/")[0]


def presence(owner: str) -> Presence:
    """Is that process on this host, gone, or on a host about which nothing can be known from here?"""
    host, pid, start = host_of(owner), owner.split("/")[-2:-1], owner.rpartition("/")[2]
    if not host:
        return "gone"
    if host != _host():
        return "elsewhere"
    here = pid and pid[0].isdigit() and _started(int(pid[0])) == start != ""
    return "here" if here else "gone"


def home_id(folder: Path) -> str:
    """Name of a folder of runs, the same for every process that sees it; made at its first use.

    Runs keep their workspaces there: only who sees the folder can go on with them.
    """
    file = folder / "home-id"
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding="ascii").strip()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = folder / f".home-id-{secrets.token_hex(4)}"
    made.write_text(secrets.token_hex(8), encoding="ascii")
    with contextlib.suppress(FileExistsError):
        os.link(made, file)  # whoever comes second takes the name of the first
    made.unlink()
    return file.read_text(encoding="ascii").strip()


def _host() -> str:
    """This host; a container that has the same name, but processes of its own, is another one."""
    try:
        processes = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        processes = OUTERMOST
    inside = "" if processes == OUTERMOST else f"+{processes.strip('pid:[]')}"
    return socket.gethostname() + inside


def _started(pid: int) -> str:
    """When the process began, in the system's own unit; empty: there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self").exists() else _without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _without_proc(pid: int) -> str:
    """Where there is no /proc, only the number itself can be asked about."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"
