"""How do many keepers come from one Python, which is slow to start?

This file is a program of its own (`crews.tools.warm` starts it). It does nothing but wait for requests and fork: each
request brings the descriptors of a keeper, and each keeper is a process of its own, which takes nothing with it but
these. The one that waits reads no orders and keeps no descriptor, so nothing of a command is left for the next one.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from crews.tools import landlock_child
elif __package__:
    from crews.tools import landlock_child
else:  # as a program it has nothing but its own folder
    import landlock_child

GIVEN = 4
"""Descriptors of a request: the leash, the output, the status and the orders."""


def serve() -> None:
    """Fork a keeper for every request on the channel that is the first argument, until nobody can ask any more."""
    gc.disable()  # a collection in a keeper would copy all that it shares with the others
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        while True:
            message, given, _, _ = socket.recv_fds(channel, 1, GIVEN)
            if not message:
                return
            _collect()
            keeper = os.fork()
            if keeper == 0:
                _become_keeper(channel.detach(), *given)
            for descriptor in given:
                os.close(descriptor)
            handle = os.pidfd_open(keeper)
            socket.send_fds(channel, [keeper.to_bytes(8, "little")], [handle])
            os.close(handle)


def _collect() -> None:
    """Let go of the keepers that have ended. Only now: until then their numbers mean no other process."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _become_keeper(channel: int, leash: int, output: int, status: int, told: int) -> NoReturn:
    try:
        os.close(channel)
        os.setsid()
        for number, descriptor in enumerate((leash, output, output)):
            os.dup2(descriptor, number)
        os.close(leash)
        os.close(output)
        if os.read(
            0, 1
        ):  # nothing: whoever asked was not told of this keeper, and expects nothing of it
            landlock_child.keep_as_told(told, status)
    finally:
        os._exit(0)
