"""Which system calls may a command not make, and how is that said to the kernel?

A classic BPF program (`man 2 seccomp`, `linux/seccomp.h`), built here without a library. Numbers
are from `asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64); on another machine there
is no program. What is refused fails with an errno, so that a library that only tries (io_uring,
clone3) falls back.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from errno import EPERM
from functools import lru_cache
from typing import Literal

Machine = Literal["x86_64", "aarch64"]

_AUDIT_ARCH: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET,TIME}
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: type into, or steer, the terminal
_SIGNAL_OWNER = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal by way of a descriptor
_SIGNAL_OWNER_IOCTL = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP
_FAMILIES = (
    1,
    2,
    10,
    16,
)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: what a private network confines

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_AT_NUMBER, _AT_ARCH, _AT_ARGUMENTS = 0, 4, 16

_Number = tuple[int | None, int | None]

_KERNEL: dict[str, _Number] = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "fanotify_init": (300, 262),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
_UNSEEN_MEMORY: dict[
    str, _Number
] = {  # memory that no process shows as its own: no limit would see it
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
}
_SHARED_WITH_HOST: dict[str, _Number] = {  # what only a namespace would keep apart
    "socket": (41, 198),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "inotify_add_watch": (254, 27),
}
_SIGNALS: dict[str, _Number] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
_METADATA: dict[str, _Number] = {  # by path: Landlock does not judge them
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
}
_CLONE, _CLONE3, _IOCTL, _FCNTL = (56, 220), (435, 435), (16, 29), (72, 25)
_SOCKET, _UTIMENSAT, _TRUNCATE = (41, 198), (280, 88), (76, 45)
_ON_OTHERS: tuple[
    tuple[_Number, int], ...
] = (  # (call, argument that names a process): only oneself
    ((302, 261), 0),  # prlimit64
    ((203, 122), 0),  # sched_setaffinity
    ((144, 119), 0),  # sched_setscheduler
    ((142, 118), 0),  # sched_setparam
    ((314, 274), 0),  # sched_setattr
    ((141, 140), 1),  # setpriority
    ((251, 30), 1),  # ioprio_set
)


@dataclass(frozen=True, slots=True)
class Refusals:
    """What is refused beside the kernel's own doors, which always are."""

    shared: bool = False
    """True where host and command share network, IPC and processes (no namespaces): no sockets at
    all but pairs, no System V or POSIX queues, no limits or priorities of other processes."""
    signals: bool = False
    """No signals, not even to oneself: where the kernel cannot tell the host's processes from
    ours."""
    metadata: bool = False
    """No change of modes, owners, times and attributes by path."""
    truncate: bool = False
    """No `truncate` by path (Landlock before ABI 3 does not judge it)."""


@dataclass(frozen=True, slots=True)
class _Rule:
    number: int
    error: int = EPERM
    argument: int | None = None
    """Index of the argument that is looked at (its low 32 bits); None: the call is refused whatever
    it is."""
    test: Literal["in", "not in", "bits"] = "in"
    values: tuple[int, ...] = ()


_PLAIN = _Rule(0)


@lru_cache(maxsize=16)
def program(machine: str, refusals: Refusals) -> bytes | None:
    """The filter, an array of `struct sock_filter`; None: the machine's numbers are not known."""
    if machine not in ("x86_64", "aarch64"):
        return None
    column = 0 if machine == "x86_64" else 1
    lines = [
        _line(_LOAD, value=_AT_ARCH),
        _line(_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        _line(_RETURN, value=_KILL),
        _line(_LOAD, value=_AT_NUMBER),
    ]
    if machine == "x86_64":  # the x32 interface has other numbers for the same calls
        lines += [_line(_ANY_BIT, 0, 1, _X32), _line(_RETURN, value=_ERRNO | errno.ENOSYS)]
    for rule in _rules(column, refusals):
        lines += _block(rule)
    return b"".join([*lines, _line(_RETURN, value=_ALLOW)])


def _rules(column: int, refusals: Refusals) -> Iterator[_Rule]:
    yield from _each(_KERNEL.values(), column)
    yield from _each(_UNSEEN_MEMORY.values(), column, _Rule(0, errno.ENOSYS))
    # the flags of clone3 lie in memory, where a filter cannot look
    yield from _each([_CLONE3], column, _Rule(0, errno.ENOSYS))
    yield from _each([_CLONE], column, _Rule(0, EPERM, 0, "bits", (_NEW_NAMESPACES,)))
    yield from _each([_IOCTL], column, _Rule(0, EPERM, 1, "in", _TERMINAL_INPUT))
    if refusals.shared:
        yield from _each(_SHARED_WITH_HOST.values(), column, _Rule(0, errno.EACCES))
        for call, argument in _ON_OTHERS:
            yield from _each([call], column, _Rule(0, EPERM, argument, "not in", (0,)))
    else:
        yield from _each([_SOCKET], column, _Rule(0, errno.EAFNOSUPPORT, 0, "not in", _FAMILIES))
    if refusals.signals:
        yield from _each(_SIGNALS.values(), column)
        yield from _each([_FCNTL], column, _Rule(0, EPERM, 1, "in", _SIGNAL_OWNER))
        yield from _each([_IOCTL], column, _Rule(0, EPERM, 1, "in", _SIGNAL_OWNER_IOCTL))
    if refusals.metadata:
        yield from _each(_METADATA.values(), column)
        # a null path is allowed: then it is done by descriptor
        yield from _each([_UTIMENSAT], column, _Rule(0, EPERM, 1, "not in", (0,)))
    if refusals.truncate:
        yield from _each([_TRUNCATE], column)


def _each(calls: Iterable[_Number], column: int, like: _Rule = _PLAIN) -> Iterator[_Rule]:
    """The rule for each of these calls that the machine has."""
    for call in calls:
        if (number := call[column]) is not None:
            yield replace(like, number=number)


def _block(rule: _Rule) -> list[bytes]:
    """The lines for one rule; they begin and end with the call's number in the accumulator."""
    refuse = _line(_RETURN, value=_ERRNO | rule.error)
    if rule.argument is None:
        return [_line(_EQUAL, 0, 1, rule.number), refuse]
    count = len(rule.values)
    tests: list[bytes] = []
    for index, value in enumerate(rule.values):
        left = count - index - 1  # tests after this one
        if rule.test == "in":
            tests.append(_line(_EQUAL, left, 0 if left else 1, value))
        elif rule.test == "not in":
            tests.append(_line(_EQUAL, left + 1, 0, value))
        else:
            tests.append(_line(_ANY_BIT, left, 0 if left else 1, value))
    inner = [_line(_LOAD, value=_AT_ARGUMENTS + 8 * rule.argument), *tests, refuse]
    inner.append(_line(_LOAD, value=_AT_NUMBER))
    return [_line(_EQUAL, 0, len(inner), rule.number), *inner]


def _line(code: int, if_true: int = 0, if_false: int = 0, value: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
