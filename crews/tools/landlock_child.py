"""How does a command get under Landlock and seccomp, and how does nothing of it survive?

This file is a program of its own: the keeper. It is given a descriptor with its orders (`Orders`,
marshalled), and its standard input is a pipe whose end means: end everything, for whoever asked is
gone or wants no more. The keeper forks once. The child takes off every right and becomes the
command; the keeper, which is never confined, is the parent of every orphan of it
(`PR_SET_CHILD_SUBREAPER`), and ends them all when the command is done. What it has to say goes to
the status descriptor: `exit N` (128 + signal for a killed command), or `error TEXT` if the command
could not be started.

It starts for every command, so it imports only what starts fast: no typing, pathlib, json, signal
or contextlib (20 ms together).

Sources: `man 7 landlock`, `linux/landlock.h`, `man 2 mount_setattr`, `man 7 capabilities`.
"""

from __future__ import annotations

import ctypes
import marshal
import os
import resource
import select
import stat
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from crews.tools.keeping import Orders, Right

_SIGKILL, _SIGSTOP = 9, 19
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 8, 22, 24
_PR_SET_SECUREBITS, _NO_SETUID_FIXUP = 28, 0b1100  # with its lock
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_CAP_DAC_READ_SEARCH, _LAST_CAP = 2, 40
_MOUNT_SETATTR, _CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 442, 444, 445, 446
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_RDONLY = -100, 0x8000, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_SOCK, _MAKE_FIFO, _MAKE_SYM, _REFER, _TRUNCATE = 1 << 9, 1 << 10, 1 << 12, 1 << 13, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_MAKE = _MAKE_REG | _MAKE_DIR | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_FILE | _REMOVE_DIR | _REFER | _MAKE
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_RIGHTS: dict[Right, int] = {
    "read": _READ,
    "write": _WRITE,
    "device": _READ_FILE | _WRITE_FILE,
}


class _Failed(Exception):
    """A step that must hold did not."""


_libc = ctypes.CDLL(None, use_errno=True)


def _must(step: str, result: int) -> int:
    if result < 0:
        raise _Failed(f"{step}: {os.strerror(ctypes.get_errno())}")
    return result


def _prctl(step: str, option: int, *values: int) -> None:
    padded = [*values, 0, 0, 0, 0][:4]
    _must(step, _libc.prctl(option, *(ctypes.c_ulong(value) for value in padded)))


def landlock_abi() -> int:
    """The version of Landlock that the running kernel speaks; 0: none."""
    if sys.platform != "linux":
        return 0
    return max(0, _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1)))


# --- what the command may do ---------------------------------------------------------------------


def _private_mounts(orders: Orders) -> None:
    """See every file system read-only but for the writable folders, and a private `/dev/shm`."""
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWNS) < 0:
        _must("unshare", _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        _say("/proc/self/setgroups", "deny")
        _say("/proc/self/uid_map", f"{uid} {uid} 1")
        _say("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount(None, "/", _MS_REC | _MS_PRIVATE)
    _mount(orders["shared_memory"], "/dev/shm", _MS_BIND)  # noqa: S108
    _set_read_only("/", read_only=True)
    for path in [*orders["writable"], "/dev/shm"]:  # noqa: S108
        if path in orders["writable"]:
            _mount(path, path, _MS_BIND)
        _set_read_only(path, read_only=False)


def _say(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, text.encode())
    os.close(descriptor)


def _mount(source: str | None, target: str, flags: int) -> None:
    origin = os.fsencode(source) if source else None
    flagged = ctypes.c_ulong(flags)
    _must(f"mount {target}", _libc.mount(origin, os.fsencode(target), None, flagged, None))


def _set_read_only(path: str, *, read_only: bool) -> None:
    attributes = struct.pack(
        "=QQQQ", _MOUNT_RDONLY if read_only else 0, 0 if read_only else _MOUNT_RDONLY, 0, 0
    )
    flags = ctypes.c_uint(_AT_RECURSIVE if read_only else 0)
    result = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, attributes, ctypes.c_size_t(32)
    )
    _must(f"mount_setattr {path}", result)


def _drop_rights(uid: int | None, *, search: bool) -> None:
    """Leave every group, user and capability behind; nothing that is executed gives them back."""
    if os.getuid() == 0:
        for capability in range(_LAST_CAP + 1):
            if not (search and capability == _CAP_DAC_READ_SEARCH):
                _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if uid is not None:
        if search:  # access(2) would forget the capability, and git asks by it
            _libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
        _prctl("keepcaps", _PR_SET_KEEPCAPS, 1 if search else 0)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _set_capabilities(1 << _CAP_DAC_READ_SEARCH if search else 0)
    if search:
        _prctl("ambient", _PR_CAP_AMBIENT, 2, _CAP_DAC_READ_SEARCH)
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)


def _set_capabilities(kept: int) -> None:
    header = struct.pack("=Ii", 0x20080522, 0)
    data = struct.pack("=IIIIII", kept, kept, kept, 0, 0, 0)
    _must("capset", _libc.capset(header, data))


def _handled(abi: int) -> int:
    bits = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        bits |= (1 << bit) if abi >= since else 0
    return bits


def _restrict(abi: int, rules: Iterable[tuple[str, Right]]) -> None:
    """Landlock: files by `rules` only, no TCP (ABI 4), no signal or abstract socket out (ABI 6)."""
    handled = _handled(abi)
    attributes = struct.pack("=QQQ", handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    made = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    ruleset = _must("landlock_create_ruleset", made)
    for path, right in rules:
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what is not there need not be allowed
        allowed = _RIGHTS[right] & handled
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            allowed &= _ON_FILES
        beneath = struct.pack("=Qi", allowed, found)
        added = _libc.syscall(_ADD_RULE, ruleset, 1, beneath, ctypes.c_uint(0))
        _must(f"landlock_add_rule {path}", added)
        os.close(found)
    _must("landlock_restrict_self", _libc.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint(0)))
    os.close(ruleset)


def _filter_calls(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    held = ctypes.create_string_buffer(header, len(header))
    _prctl("seccomp", _PR_SET_SECCOMP, 2, ctypes.addressof(held))


def _become(orders: Orders, keeper: int) -> NoReturn:
    """Take off every right, in an order in which the next step still can; become the command."""
    os.setsid()
    if orders["mounts"]:
        _private_mounts(orders)
    confined = bool(orders["filter"])
    if confined:
        _drop_rights(orders["uid"], search=orders["search"])
    if sys.platform == "linux":
        _prctl("pdeathsig", _PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != keeper:
        raise _Failed("the keeper is gone")
    for name, value in orders["limits"].items():
        _limit(getattr(resource, name), value)
    os.chdir(orders["folder"])
    if orders["abi"]:
        _restrict(orders["abi"], orders["rules"])
    if confined:
        _filter_calls(bytes.fromhex(orders["filter"]))
    os.execve(orders["command"][0], orders["command"], orders["environment"])  # noqa: S606


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bounded, bounded))


# --- nothing survives ----------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, zombies too, in one pass over `/proc` (none: empty)."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else []:  # noqa: PTH208
        if name.isdigit() and (parent := _parent(name)):
            below.setdefault(parent, []).append(int(name))
    found = below.get(pid, [])[:]
    for one in found:  # grows while it is walked
        found += below.get(one, [])
    return found


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as line:  # noqa: PTH123
            return int(line.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0  # it has ended meanwhile


def end_all_below(pid: int) -> None:
    """Stop, so that nothing forks on, then kill, until nothing is left that can still run."""
    for number in (_SIGSTOP, _SIGKILL):
        seen: set[int] = set()
        while fresh := set(descendants(pid)) - seen:
            for one in fresh:
                _send(one, number)
            seen |= fresh


def _send(pid: int, number: int) -> None:
    try:  # noqa: SIM105 - contextlib is slow to import
        os.kill(pid, number)
    except OSError:
        pass  # gone already


def _keep(child: int) -> int:
    """Wait for the command, or for the end of standard input; the command's exit code."""
    watched = select.poll()
    watched.register(0, select.POLLHUP | select.POLLERR)
    pause = 20  # milliseconds until the next look at what has ended
    if sys.platform == "linux":
        watched.register(os.pidfd_open(child), select.POLLIN)
        pause = 200
    while (code := _reap(child)) is None:
        if any(descriptor == 0 for descriptor, _ in watched.poll(pause)):
            return 128 + _SIGKILL
    return code


def _reap(child: int) -> int | None:
    """Collect whatever has ended; the exit code of `child` if it is among that."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 128 + _SIGKILL
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code


def _end(child: int) -> None:
    deadline = time.monotonic() + 10
    # Whatever is below is a child of ours, or below one: where there is no child, nobody need be looked for.
    while _reap(0) is None and time.monotonic() < deadline:
        if sys.platform != "linux":  # no way to see what is below: its group must do
            os.killpg(child, _SIGKILL)
        end_all_below(os.getpid())
        if _reap(0) is not None:
            return
        time.sleep(0.001)


def main() -> None:
    """Keep one command, as the orders behind the descriptor say that is the first argument."""
    keep_as_told(int(sys.argv[1]))


def keep_as_told(told: int, status: int = -1) -> None:
    """Keep one command; `status`: the descriptor for that, if it is not the one in the orders."""
    with open(told, "rb") as found:
        orders: Orders = marshal.load(found)  # noqa: S302 - written by our own caller
    if status < 0:
        status = orders["status"]
    if sys.platform == "linux":
        _prctl("subreaper", _PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.set_inheritable(status, False)
            _become(orders, keeper)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the command must not run
            os.write(status, f"error {error}\n".encode())
            os._exit(126)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    code = _keep(child)
    _end(child)
    os.write(status, f"exit {code}\n".encode())
