"""How does a command come to the proxy from inside its own network? This program starts it.

It listens on the command's loopback, leaves a process behind that hands each connection to the
proxy's socket, and becomes the command. What the command does to that process cuts off only itself.

    python egress_child.py SOCKET PORT PROGRAM ARGUMENT...
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading


def main() -> None:
    """Listen, fork, become the command."""
    path, port, *command = sys.argv[1:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", int(port)))
    listener.listen(64)
    if os.fork() == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):  # the command's output ends when the command ends
            os.dup2(nothing, number)
        _serve(listener, path)
    listener.close()
    os.execv(command[0], command)  # noqa: S606


def _serve(listener: socket.socket, path: str) -> None:
    while True:
        inner, _ = listener.accept()
        outer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            continue
        for pair in ((inner, outer), (outer, inner)):
            threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
