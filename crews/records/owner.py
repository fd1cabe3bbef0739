"""Which process works on a run, and is it still alive?"""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Name of this process that no other process has had: `HOST/PID/START`."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_started(pid)}"


def alive(owner: str) -> bool:
    """Is that process still there? A process on another host counts as alive: nobody here can know."""
    host, _, rest = owner.rpartition("/")[0].rpartition("/")
    pid, start = rest, owner.rpartition("/")[2]
    if not host:
        return False
    if host != socket.gethostname():
        return True
    return pid.isdigit() and _started(int(pid)) == start != ""


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
