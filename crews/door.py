"""How does a command give an order to a worker beside it, and how does the worker take it?

A worker has everything loaded, so that it makes a run sooner than a command can. It listens at a socket in `doors`,
beneath the folder of runs, where only its owner can enter, and takes an order from whoever knows the key that lies
beside it: what runs in a sandbox can read nothing there. An order is not taken, or it makes a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socket
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

PATIENCE = 10.0
"""Seconds after which a worker that does not answer is given up: whoever asks must then find out what it has done."""
LARGEST = 4 * 1024 * 1024
"""Bytes of an order."""

Order = Mapping[str, Any]
"""What is asked for, as JSON can say it."""
Take = Callable[[Order], Awaitable[str]]
"""Takes an order; returns the run that came of it, or nothing."""


def is_open(home: Path) -> bool:
    """May a worker be there that takes orders?"""
    return any(_doors(home))


def hand_in(home: Path, order: Order) -> str:
    """Give an order to a worker.

    Args:
        home: The folder of runs.
        order: What is asked for. It names a submission: an order that gets no answer may have been taken.

    Returns:
        The run that came of it; empty: nobody took the order, or said so.
    """
    for door in _doors(home):
        with contextlib.suppress(OSError, UnicodeError), socket.socket(socket.AF_UNIX) as line:
            key = door.with_suffix(".key").read_text(encoding="ascii")
            line.settimeout(PATIENCE)
            line.connect(str(door))
            line.sendall(json.dumps({"key": key, "order": order}).encode() + b"\n")
            with line.makefile(encoding="ascii") as answer:
                return answer.readline().strip()
    return ""


def fingerprint(text: str) -> str:
    """What says that two know the same, without saying what."""
    return hashlib.sha256(text.encode()).hexdigest()


def place() -> str:
    """What says that two see the same files under the same names: containers can share a folder of runs."""
    root = Path("/").stat()
    try:
        names = Path("/proc/self/ns/mnt").readlink()
    except OSError:
        names = Path()
    return f"{names} {root.st_dev}:{root.st_ino} {os.geteuid()}"


def _doors(home: Path) -> Iterator[Path]:
    folder = home / "doors"
    return folder.glob("*.sock") if _is_private(folder) else iter(())


def _is_private(folder: Path) -> bool:
    """Can only this user have put anything there? Whoever listens is told the token of who asks."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    others = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not others


@asynccontextmanager
async def opened(home: Path, take: Take) -> AsyncGenerator[None]:
    """Take orders until the block is left; none at all where the system knows no such socket."""
    door = home / "doors" / f"{os.getpid()}.sock"
    key = secrets.token_hex(32)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            order = _order(await reader.readuntil(), key)
            await asyncio.sleep(0)  # this process may have been frozen: is somebody still there?
            if order is not None and not reader.at_eof():
                writer.write(f"{await take(order)}\n".encode())
                await writer.drain()
        writer.close()

    try:
        _prepare(door, key)
        server = await asyncio.start_unix_server(answer, door, limit=LARGEST)
    except (OSError, NotImplementedError):  # the path is too long, the folder can hold none
        yield
        return
    try:
        yield
    finally:
        server.close()
        _remove(door)


def _prepare(door: Path, key: str) -> None:
    door.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _is_private(door.parent):
        raise PermissionError(door.parent)
    _remove(door)
    for old in door.parent.glob("*.sock"):
        if not Path(f"/proc/{old.stem}").exists():
            _remove(old)
    file = os.open(door.with_suffix(".key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as beside:
        beside.write(key)


def _remove(door: Path) -> None:
    for path in (door, door.with_suffix(".key")):
        path.unlink(missing_ok=True)


def _order(line: bytes, key: str) -> Order | None:
    """The order in a line; None: whoever wrote it does not know the key. Raises ValueError."""
    said = json.loads(line)
    if not isinstance(said, dict):
        return None
    given = cast("dict[str, Any]", said)
    known = hmac.compare_digest(str(given.get("key")).encode(), key.encode())
    return given.get("order") if known and isinstance(given.get("order"), dict) else None
