"""Sending new connections to one of several listening sockets on a port, before another of them is closed.

With SO_REUSEPORT every process has a queue of its own for connections that it has yet to accept, and closing the
socket resets what is in there. A program that is attached to one of the sockets holds for all: it names the socket for
each new connection by its number, which is the order in which they began to listen. A number that no socket has is
ignored, and the system spreads connections as before: so it is once one of the sockets is closed. See socket(7),
SO_ATTACH_REUSEPORT_CBPF.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["connections", "steer"]

_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_RETURN_A_CONSTANT: Final = 0x06  # BPF_RET | BPF_K of linux/filter.h


def steer(port: int, turn: int) -> bool:
    """Send new connections on a port to the socket of this process that listens there.

    Args:
        port: the port.
        turn: how many sockets of other processes listen there already.

    Returns:
        Whether it is done. Only Linux can; elsewhere, and without such a socket, nothing changes.
    """
    if sys.platform != "linux":
        return False
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN_A_CONSTANT, 0, 0, turn))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    done = False
    for sock in _sockets(port):
        if not _listens(sock):
            continue
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, program)
            done = True
    return done


def connections(port: int) -> int:
    """How many connections this process has accepted on a port and not closed; 0 where the system does not tell."""
    return sum(_is_connected(sock) for sock in _sockets(port)) if sys.platform == "linux" else 0


def _sockets(port: int) -> Iterator[socket.socket]:
    """Copies of this process's sockets whose own port is this one, whoever has opened them."""
    for path in list(Path("/proc/self/fd").iterdir()):
        try:
            sock = socket.socket(fileno=os.dup(int(path.name)))
        except OSError:  # no socket, or closed since
            continue
        with sock:
            if _is_at(sock, port):
                yield sock


def _is_at(sock: socket.socket, port: int) -> bool:
    try:
        return sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getsockname()[1] == port
    except OSError:
        return False


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
