"""What does a command find around it: which environment, readable and private folders?

Both backends show the same things: the system's programs and libraries, the running Python with its
packages, and a few files of `/etc` that hold no secret. Nothing of a home folder is among them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools.ending import unhurried
from crews.tools.folders import discard

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
)
ETC = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/lsb-release",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/terminfo",
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SHELL = "/bin/sh"
_ABOVE = 20
_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_SECRETS = (".ssh", ".aws", ".gnupg", ".kube", ".docker", ".netrc", ".config", ".git-credentials")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The running Python, as a command can use it."""

    program: Path
    """`sys.executable`: inside a virtual environment if there is one."""
    prefixes: tuple[Path, ...]
    """Folders outside the system's that it needs to start and to import; both ends of links."""

    @property
    def folder(self) -> Path:
        """Its `bin`, first on PATH."""
        return self.program.parent

    @property
    def names(self) -> Mapping[str, str]:
        """Host folder -> name for it that is the same on every machine: `/venv` or `/python`."""
        return _named(self.prefixes)


@lru_cache(maxsize=8)
def _named(prefixes: tuple[Path, ...]) -> Mapping[str, str]:
    own = {Path(sys.prefix), Path(sys.prefix).resolve()} - {Path(sys.base_prefix)}
    return {str(path): "/venv" if path in own else "/python" for path in prefixes}


def interpreter() -> Interpreter:
    """The running Python and the folders that it lives in.

    Raises:
        SandboxUnavailable: one of them would show a home folder or its secrets.
    """
    program = Path(sys.executable or f"{sys.base_prefix}/bin/python3")
    wanted = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix)}
    wanted |= {_prefix(link) for link in _links(program)}
    wanted |= {path.resolve() for path in wanted}
    outside = sorted(path for path in wanted if not within(path, SYSTEM) and path.is_dir())
    kept = tuple(path for path in outside if not any(other in path.parents for other in outside))
    for path in kept:
        _check(path)
    return Interpreter(program, kept)


def within(path: Path, folders: tuple[str, ...]) -> bool:
    """Is it one of these folders, or beneath one?"""
    return any(path.is_relative_to(folder) for folder in folders)


def _links(program: Path) -> Iterator[Path]:
    """The program and every name on the way to the file that it is a link to."""
    for _ in range(40):
        yield program
        if not program.is_symlink():
            return
        program = program.parent / program.readlink()


def _prefix(program: Path) -> Path:
    return Path(os.path.normpath(program)).parent.parent


def _check(prefix: Path) -> None:
    home = Path.home()
    shows = prefix in (home, *home.parents) or any((prefix / name).exists() for name in _SECRETS)
    if shows:
        raise SandboxUnavailable(
            f"Python lives in `{prefix}`, which holds a home folder or its secrets",
            hint="Use a Python, or a virtual environment, in a folder of its own.",
        )


def environment(path: tuple[str, ...], private: str) -> dict[str, str]:
    """All that a command finds in its environment; `private` is its home and temporary folder."""
    return {
        "PATH": ":".join(path),
        "HOME": private,
        "TMPDIR": private,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "SHELL": SHELL,
        "USER": "agent",
        "LOGNAME": "agent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def search_path(python: Interpreter, extra: str) -> tuple[str, ...]:
    """PATH: the running Python's folder, `extra` (for a `python` that it lacks), the system's."""
    return tuple(dict.fromkeys((str(python.folder), extra, *_PATH)))


@dataclass(frozen=True, slots=True)
class Scratch:
    """The private folders of one command, on the host's disk so that limits can see them."""

    root: Path

    @property
    def tmp(self) -> Path:
        """`/tmp` and the home of the command."""
        return self.root / "tmp"

    @property
    def shm(self) -> Path:
        """`/dev/shm` of the command."""
        return self.root / "shm"

    @property
    def bin(self) -> Path:
        """On its PATH: a `python`, where the interpreter's folder has only `python3`; else it is not there."""
        return self.root / "bin"


@asynccontextmanager
async def scratch(python: Interpreter, uid: int | None) -> AsyncGenerator[Scratch]:
    """Make the private folders, for user `uid` if not None; removed at the end with all in them."""
    made = Scratch(_folder())
    try:
        yield _furnished(made, python, uid)
    finally:
        if not _was_empty(made):
            await unhurried(asyncio.to_thread(discard, made.root))


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="crews-", dir=_real(tempfile.gettempdir())))


@lru_cache(maxsize=8)
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _was_empty(made: Scratch) -> bool:
    """Remove folders in which nothing was left: most commands leave nothing, and a thread takes longer than that."""
    try:
        for folder in (made.tmp, made.shm, made.root):
            folder.rmdir()
    except OSError:
        return False
    return True


def _furnished(made: Scratch, python: Interpreter, uid: int | None) -> Scratch:
    made.root.chmod(0o755 if uid is not None else 0o700)
    for folder in (made.tmp, made.shm):
        folder.mkdir(0o700)
        if uid is not None:
            os.chown(folder, uid, uid)
    if not os.path.exists(python.folder / "python"):  # noqa: PTH110
        made.bin.mkdir()
        wrapper = made.bin / "python"
        wrapper.write_text(f'#!{SHELL}\nexec "{python.program}" "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)
    return made


@contextmanager
def general_files(uid: int) -> Generator[Mapping[str, int]]:
    """The files of `/etc` that a command sees, each with a descriptor from which it can be copied.

    Those that name users and machines name the command's user and this machine only.
    """
    texts = {
        "/etc/passwd": f"root:x:0:0::/:/bin/false\nagent:x:{uid}:{uid}::/tmp:{SHELL}\n",
        "/etc/group": f"root:x:0:\nagent:x:{uid}:\n",
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }
    with ExitStack() as closing:
        opened: dict[str, int] = {}
        for name in (*ETC, *texts):
            if name in texts:
                found = _in_memory(texts[name])
            elif os.path.isfile(name):  # noqa: PTH113 - a Path costs more than the look
                found = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            else:
                continue
            closing.callback(os.close, found)
            # A shell can only name the descriptors below ten, of which the launcher needs one.
            opened[name] = fcntl.fcntl(found, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
            closing.callback(os.close, opened[name])
        yield opened


def _in_memory(text: str) -> int:
    descriptor = os.memfd_create("crews")
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
