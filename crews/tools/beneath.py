"""How is a folder opened so that neither a link nor `..` leads out of the one it starts from?

By `openat2(2)` (Linux 5.6) where the kernel has it and lets us use it, else component by component
with `O_NOFOLLOW`, which gives the same guarantee.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Sequence

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_OPENAT2 = 437  # the same number on every Linux architecture but alpha
_RESOLVE = 0x02 | 0x04 | 0x08  # RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH
_ATTEMPTS = 16  # EAGAIN: something was renamed meanwhile, and the kernel could not be sure


class _OpenHow(ctypes.Structure):
    """`struct open_how` of linux/openat2.h."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_folder(top: int, parts: Sequence[str], *, create: bool = False) -> int:
    """A new descriptor of the folder `parts` beneath the open folder `top`; the caller closes it.

    Raises:
        OSError: ELOOP where a component is a link, EXDEV for `..`, else as the system says.
    """
    _check(parts)
    system_call = _openat2()
    if parts and system_call:
        try:
            return system_call(top, "/".join(parts))
        except FileNotFoundError:
            if not create:
                raise
    return walk_down(top, parts, create=create)


def walk_down(top: int, parts: Sequence[str], *, create: bool = False) -> int:
    """What `open_folder` does where there is no `openat2`."""
    _check(parts)
    current = os.dup(top)
    for part in parts:
        try:
            following = _step(current, part, create=create)
        finally:
            os.close(current)
        current = following
    return current


def _check(parts: Sequence[str]) -> None:
    if ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _step(current: int, part: str, *, create: bool) -> int:
    try:
        return os.open(part, FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=current)
    except NotADirectoryError:
        # Linux says ENOTDIR of a link too; ask again, only to give the right reason.
        if stat.S_ISLNK(os.stat(part, dir_fd=current, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, dir_fd=current)
    return _step(current, part, create=False)


@functools.cache
def _openat2() -> Callable[[int, str], int] | None:
    """The system call, if it works here; a seccomp filter may refuse it."""
    if sys.platform != "linux":
        return None
    system_call = ctypes.CDLL(None, use_errno=True).syscall
    system_call.restype = ctypes.c_long
    system_call.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    )
    how = _OpenHow(FOLDER_FLAGS, 0, _RESOLVE)  # the kernel only reads it
    place, size = ctypes.byref(how), ctypes.sizeof(how)

    def attempt(top: int, path: str) -> int:
        return system_call(_OPENAT2, top, os.fsencode(path), place, size)

    def call(top: int, path: str) -> int:
        number = errno.EAGAIN
        for _ in range(_ATTEMPTS):
            if (found := attempt(top, path)) >= 0:
                return found
            number = ctypes.get_errno()
            if number not in (errno.EAGAIN, errno.EINTR):
                break
        raise OSError(number, os.strerror(number))

    return call if _works(call) else None


def _works(call: Callable[[int, str], int]) -> bool:
    top = os.open("/", FOLDER_FLAGS)
    try:
        os.close(call(top, "."))
    except OSError:
        return False
    finally:
        os.close(top)
    return True
