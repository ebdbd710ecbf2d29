"""What Linux lets a server do with its listening sockets: choose among several on a port, and close one without a loss.

A connection that the system has accepted and the program has not is reset when the listening socket is closed. So a
server that ends first lets nobody in (`let_nobody_in`), accepts for a `MOMENT` those that are half way, and then
closes.

With SO_REUSEPORT every process has a queue of its own for connections that it has yet to accept. A program that is
attached to one of the sockets holds for all: it names the socket for each new connection by its number, which is the
order in which they began to listen. A number that no socket has is ignored, and the system spreads connections as
before: so it is once one of the sockets is closed.

See socket(7), SO_ATTACH_FILTER and SO_ATTACH_REUSEPORT_CBPF, and linux/filter.h for the instructions.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MOMENT", "close", "connections", "copy_of", "let_nobody_in", "let_nobody_in_at", "steer"]

MOMENT: Final = 0.1
"""Seconds in which connections are made that were half way; it is some times as long as a packet goes and returns."""

_IS_LINUX: Final = sys.platform == "linux"
_SO_ATTACH_FILTER: Final = 26
_SO_ATTACH_REUSEPORT_CBPF: Final = 51

_Instruction = tuple[int, int, int, int]
"""Its code, how many instructions to jump over if it holds and if it does not, and its operand."""

_LOAD_BYTE: Final = 0x30  # BPF_LD | BPF_B | BPF_ABS
_JUMP_IF_ANY_BIT: Final = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K
_WHOLE_PACKET: Final = 0xFFFFFFFF
_FLAGS: Final = 13  # offset of the flags in the header of TCP
_SYN: Final = 0x02

_DROP_SYN: Final[Sequence[_Instruction]] = (
    (_LOAD_BYTE, 0, 0, _FLAGS),
    (_JUMP_IF_ANY_BIT, 0, 1, _SYN),
    (_RETURN, 0, 0, 0),
    (_RETURN, 0, 0, _WHOLE_PACKET),
)


def copy_of(sock: socket.socket) -> socket.socket:
    """Another socket for the same queue of connections, of which nothing is changed.

    `socket.socket.dup` lets the copy wait as the original does in this process, and to wait or not is a setting of all
    who share the queue. For the moment in which it is set, others that ask the queue until it is empty would wait there
    for one more connection, and answer none of those that they have.
    """
    return socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))


def let_nobody_in(sock: socket.socket) -> None:
    """Answer no new connection on a listening socket, whichever processes share it; those half way are still made.

    Who asks meanwhile asks again a second later, and is refused if the socket has been closed by then. Where the system
    has no filters, the queue of the socket is made as short as can be, which lets some in.
    """
    if not (_IS_LINUX and _attach(sock, _SO_ATTACH_FILTER, _DROP_SYN)):
        sock.listen(0)


def let_nobody_in_at(port: int) -> None:
    """As `let_nobody_in`, for all sockets of this process that listen on a port; only on Linux."""
    for sock in _sockets(port):
        if _listens(sock):
            let_nobody_in(sock)


def close(port: int) -> None:
    """Stop all sockets of this process from listening on a port, whoever has opened them; only on Linux."""
    for sock in _sockets(port):
        if _listens(sock):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def steer(port: int, turn: int) -> bool:
    """Send new connections on a port to the socket of this process that listens there.

    Args:
        port: the port.
        turn: how many sockets of other processes listen there already.

    Returns:
        Whether it is done. Only Linux can; elsewhere, and without such a socket, nothing changes.
    """
    done = False
    for sock in _sockets(port):
        if _listens(sock):
            done = _attach(sock, _SO_ATTACH_REUSEPORT_CBPF, [(_RETURN, 0, 0, turn)]) or done
    return done


def connections(port: int) -> int:
    """How many connections this process has accepted on a port and not closed; 0 where the system does not tell."""
    return sum(_is_connected(sock) for sock in _sockets(port))


def _attach(sock: socket.socket, option: int, instructions: Sequence[_Instruction]) -> bool:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    program = struct.pack("@HP", len(instructions), ctypes.addressof(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, program)
    except OSError:
        return False
    return True


def _sockets(port: int) -> Iterator[socket.socket]:
    """Copies of this process's sockets whose own port is this one, whoever has opened them."""
    if not _IS_LINUX:
        return
    for path in list(Path("/proc/self/fd").iterdir()):
        try:
            copy = os.dup(int(path.name))
        except OSError:  # closed since
            continue
        try:
            sock = socket.socket(fileno=copy)
        except OSError:  # no socket
            os.close(copy)
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
